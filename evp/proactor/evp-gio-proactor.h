/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/proactor/evp-proactor.h"

G_BEGIN_DECLS

#define EVP_TYPE_GIO_PROACTOR (evp_gio_proactor_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpGioProactor, evp_gio_proactor, EVP, GIO_PROACTOR, EvpProactor)

/**
 * EvpGioProactorClass:
 * @parent_class: the parent class
 *
 * The class of a proactor without a kernel's help. Its slots are those of [class@Evp.Proactor].
 *
 * Since: 1.0
 */
struct _EvpGioProactorClass
{
  EvpProactorClass parent_class;

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
EvpProactor *evp_gio_proactor_new (void) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
