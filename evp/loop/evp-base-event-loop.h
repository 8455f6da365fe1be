/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/loop/evp-loop-statistics.h"

G_BEGIN_DECLS

#define EVP_TYPE_BASE_EVENT_LOOP (evp_base_event_loop_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpBaseEventLoop, evp_base_event_loop, EVP, BASE_EVENT_LOOP, GObject)

/**
 * EvpBaseEventLoopClass:
 * @parent_class: the parent class
 *
 * The class of a loop inside a main context. Its slots are those of [iface@Evp.AbstractEventLoop].
 *
 * Since: 1.0
 */
struct _EvpBaseEventLoopClass
{
  GObjectClass parent_class;

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
GMainContext      *evp_base_event_loop_get_main_context           (EvpBaseEventLoop *self);
EVP_AVAILABLE_IN_1_0
EvpLoopStatistics *evp_base_event_loop_get_statistics             (EvpBaseEventLoop *self) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
double             evp_base_event_loop_get_slow_callback_duration (EvpBaseEventLoop *self);
EVP_AVAILABLE_IN_1_0
void               evp_base_event_loop_set_slow_callback_duration (EvpBaseEventLoop *self,
                                                                   double            seconds);
EVP_AVAILABLE_IN_1_0
void               evp_base_event_loop_name_running_callback      (EvpBaseEventLoop *self,
                                                                   const char       *name);

G_END_DECLS
