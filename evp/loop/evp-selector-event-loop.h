/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-base-event-loop.h"
#include "evp/selector/evp-selector.h"

G_BEGIN_DECLS

#define EVP_TYPE_SELECTOR_EVENT_LOOP (evp_selector_event_loop_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpSelectorEventLoop, evp_selector_event_loop, EVP, SELECTOR_EVENT_LOOP, EvpBaseEventLoop)

/**
 * EvpSelectorEventLoopClass:
 * @parent_class: the parent class
 *
 * The class of a loop on a selector. Its slots are those of [iface@Evp.AbstractEventLoop].
 *
 * Since: 1.0
 */
struct _EvpSelectorEventLoopClass
{
  EvpBaseEventLoopClass parent_class;

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop *evp_selector_event_loop_new          (EvpSelector          *selector,
                                                            GMainContext         *main_context,
                                                            GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpSelector          *evp_selector_event_loop_get_selector (EvpSelectorEventLoop *self);

G_END_DECLS
