/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/policy/evp-base-event-loop-policy.h"

G_BEGIN_DECLS

#define EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY (evp_default_event_loop_policy_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpDefaultEventLoopPolicy, evp_default_event_loop_policy, EVP, DEFAULT_EVENT_LOOP_POLICY, EvpBaseEventLoopPolicy)

/**
 * EvpDefaultEventLoopPolicyClass:
 * @parent_class: the parent class
 *
 * The class of the policy. Its slots are those of [iface@Evp.AbstractEventLoopPolicy].
 *
 * Since: 1.0
 */
struct _EvpDefaultEventLoopPolicyClass
{
  EvpBaseEventLoopPolicyClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoopPolicy *evp_default_event_loop_policy_new                    (void) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GType                       evp_default_event_loop_policy_get_loop_type          (EvpDefaultEventLoopPolicy *self);
EVP_AVAILABLE_IN_1_0
void                        evp_default_event_loop_policy_set_loop_type          (EvpDefaultEventLoopPolicy *self,
                                                                                  GType                      loop_type);
EVP_AVAILABLE_IN_1_0
GType                       evp_default_event_loop_policy_get_child_watcher_type (EvpDefaultEventLoopPolicy *self);
EVP_AVAILABLE_IN_1_0
void                        evp_default_event_loop_policy_set_child_watcher_type (EvpDefaultEventLoopPolicy *self,
                                                                                  GType                      child_watcher_type);
EVP_AVAILABLE_IN_1_0
GType                       evp_default_event_loop_policy_get_selector_type      (EvpDefaultEventLoopPolicy *self);
EVP_AVAILABLE_IN_1_0
void                        evp_default_event_loop_policy_set_selector_type      (EvpDefaultEventLoopPolicy *self,
                                                                                  GType                      selector_type);
EVP_AVAILABLE_IN_1_0
GType                       evp_default_event_loop_policy_get_proactor_type      (EvpDefaultEventLoopPolicy *self);
EVP_AVAILABLE_IN_1_0
void                        evp_default_event_loop_policy_set_proactor_type      (EvpDefaultEventLoopPolicy *self,
                                                                                  GType                      proactor_type);

G_END_DECLS
