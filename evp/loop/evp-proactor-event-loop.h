/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-base-event-loop.h"
#include "evp/proactor/evp-proactor.h"

G_BEGIN_DECLS

#define EVP_TYPE_PROACTOR_EVENT_LOOP (evp_proactor_event_loop_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpProactorEventLoop, evp_proactor_event_loop, EVP, PROACTOR_EVENT_LOOP, EvpBaseEventLoop)

/**
 * EvpProactorEventLoopClass:
 * @parent_class: the parent class
 *
 * The class of a loop on a proactor. Its slots are those of [iface@Evp.AbstractEventLoop].
 *
 * Since: 1.0
 */
struct _EvpProactorEventLoopClass
{
  EvpBaseEventLoopClass parent_class;

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop *evp_proactor_event_loop_new          (GMainContext         *main_context,
                                                            GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpProactor          *evp_proactor_event_loop_get_proactor (EvpProactorEventLoop *self);

G_END_DECLS
