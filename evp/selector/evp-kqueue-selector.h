/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/selector/evp-selector.h"

G_BEGIN_DECLS

#define EVP_TYPE_KQUEUE_SELECTOR (evp_kqueue_selector_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpKqueueSelector, evp_kqueue_selector, EVP, KQUEUE_SELECTOR, EvpSelector)

/**
 * EvpKqueueSelectorClass:
 * @parent_class: the parent class
 *
 * The class of the selector.
 *
 * Since: 1.0
 */
struct _EvpKqueueSelectorClass
{
  EvpSelectorClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

EVP_AVAILABLE_IN_1_0
EvpSelector *evp_kqueue_selector_new (void) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
