/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/policy/evp-default-event-loop-policy.h"

G_BEGIN_DECLS

#define EVP_TYPE_WINDOWS_SELECTOR_EVENT_LOOP_POLICY (evp_windows_selector_event_loop_policy_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpWindowsSelectorEventLoopPolicy, evp_windows_selector_event_loop_policy, EVP, WINDOWS_SELECTOR_EVENT_LOOP_POLICY, EvpDefaultEventLoopPolicy)

/**
 * EvpWindowsSelectorEventLoopPolicyClass:
 * @parent_class: the parent class
 *
 * The class of the policy. Its slots are those of [iface@Evp.AbstractEventLoopPolicy].
 *
 * Since: 1.0
 */
struct _EvpWindowsSelectorEventLoopPolicyClass
{
  EvpDefaultEventLoopPolicyClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoopPolicy *evp_windows_selector_event_loop_policy_new (void) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
