/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-enums.h"
#include "evp/policy/evp-abstract-event-loop-policy.h"

G_BEGIN_DECLS

#define EVP_TYPE_BASE_EVENT_LOOP_POLICY (evp_base_event_loop_policy_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpBaseEventLoopPolicy, evp_base_event_loop_policy, EVP, BASE_EVENT_LOOP_POLICY, GObject)

/**
 * EvpBaseEventLoopPolicyClass:
 * @parent_class: the parent class
 *
 * The class of a policy with a loop per thread. Its slots are those of [iface@Evp.AbstractEventLoopPolicy].
 *
 * Since: 1.0
 */
struct _EvpBaseEventLoopPolicyClass
{
  GObjectClass parent_class;

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
EvpMissingLoop evp_base_event_loop_policy_get_missing_loop (EvpBaseEventLoopPolicy *self);
EVP_AVAILABLE_IN_1_0
void           evp_base_event_loop_policy_set_missing_loop (EvpBaseEventLoopPolicy *self,
                                                            EvpMissingLoop          missing_loop);

G_END_DECLS
