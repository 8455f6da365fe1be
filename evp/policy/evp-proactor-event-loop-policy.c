/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-proactor-event-loop-policy.h"

#include "evp/loop/evp-proactor-event-loop.h"
#include "evp/policy/evp-abstract-event-loop-policy-private.h"
#include "evp/policy/evp-default-event-loop-policy-private.h"

/**
 * EvpProactorEventLoopPolicy:
 *
 * The default policy with loops that wait for completion, on every platform.
 *
 * [property@Evp.DefaultEventLoopPolicy:loop-type] cannot be set. It behaves like
 * [class@Evp.DefaultEventLoopPolicy] otherwise, and is what `EVP_POLICY=proactor` selects.
 *
 * ```c
 * g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_proactor_event_loop_policy_new ();
 *
 * evp_set_event_loop_policy (policy);
 * ```
 *
 * May be used from any thread.
 *
 * Since: 1.0
 */

static void evp_proactor_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpProactorEventLoopPolicy, evp_proactor_event_loop_policy,
                         EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY,
                                                evp_proactor_event_loop_policy_iface_init))

/* what this class filled in; written once, when the class is made */
static EvpAbstractEventLoopPolicyInterface filled_in;

static void
evp_proactor_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  filled_in = *iface;
}

static void
evp_proactor_event_loop_policy_class_init (EvpProactorEventLoopPolicyClass *klass)
{
}

static void
evp_proactor_event_loop_policy_init (EvpProactorEventLoopPolicy *self)
{
  evp_event_loop_policy_check_table (EVP_TYPE_PROACTOR_EVENT_LOOP_POLICY, &filled_in);
  evp_default_event_loop_policy_fix_loop_type (EVP_DEFAULT_EVENT_LOOP_POLICY (self),
                                               EVP_TYPE_PROACTOR_EVENT_LOOP);
}

/**
 * evp_proactor_event_loop_policy_new:
 *
 * Makes a policy.
 *
 * It is not installed; see [func@Evp.set_event_loop_policy].
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpProactorEventLoopPolicy): a new policy
 *
 * Since: 1.0
 */
EvpAbstractEventLoopPolicy *
evp_proactor_event_loop_policy_new (void)
{
  return g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP_POLICY, NULL);
}
