/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/policy/evp-default-event-loop-policy.h"

G_BEGIN_DECLS

#define EVP_TYPE_MAIN_CONTEXT_EVENT_LOOP_POLICY (evp_main_context_event_loop_policy_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpMainContextEventLoopPolicy, evp_main_context_event_loop_policy, EVP, MAIN_CONTEXT_EVENT_LOOP_POLICY, EvpDefaultEventLoopPolicy)

/**
 * EvpMainContextEventLoopPolicyClass:
 * @parent_class: the parent class
 *
 * The class of the policy. Its slots are those of [iface@Evp.AbstractEventLoopPolicy].
 *
 * Since: 1.0
 */
struct _EvpMainContextEventLoopPolicyClass
{
  EvpDefaultEventLoopPolicyClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoopPolicy *evp_main_context_event_loop_policy_new (void) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
