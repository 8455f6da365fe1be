/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-windows-proactor-event-loop-policy.h"

#include "evp/loop/evp-proactor-event-loop.h"
#include "evp/policy/evp-abstract-event-loop-policy-private.h"
#include "evp/policy/evp-default-event-loop-policy-private.h"
#include "evp/policy/evp-windows-event-loop-policy-private.h"

/**
 * EvpWindowsProactorEventLoopPolicy:
 *
 * The policy that makes loops that wait for completion on Windows.
 *
 * Its name is known from asyncio, and the class exists on every platform, so that programs and
 * bindings see the same names everywhere. Elsewhere
 * [method@Evp.AbstractEventLoopPolicy.new_event_loop] fails with %EVP_ERROR_NOT_SUPPORTED; use
 * [class@Evp.ProactorEventLoopPolicy], which works on every platform. There are no child watchers on
 * Windows, so both accessors fail with %EVP_ERROR_NOT_SUPPORTED. It keeps one loop per thread like
 * [class@Evp.DefaultEventLoopPolicy].
 *
 * May be used from any thread.
 *
 * Known from asyncio as `WindowsProactorEventLoopPolicy`.
 *
 * Since: 1.0
 */

static void evp_windows_proactor_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpWindowsProactorEventLoopPolicy, evp_windows_proactor_event_loop_policy,
                         EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY,
                                                evp_windows_proactor_event_loop_policy_iface_init))

/* what this class filled in; written once, when the class is made */
static EvpAbstractEventLoopPolicyInterface filled_in;

static void
evp_windows_proactor_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  evp_windows_event_loop_policy_fill_in (iface);
  filled_in = *iface;
}

static void
evp_windows_proactor_event_loop_policy_class_init (EvpWindowsProactorEventLoopPolicyClass *klass)
{
}

static void
evp_windows_proactor_event_loop_policy_init (EvpWindowsProactorEventLoopPolicy *self)
{
  evp_event_loop_policy_check_table (EVP_TYPE_WINDOWS_PROACTOR_EVENT_LOOP_POLICY, &filled_in);
  evp_default_event_loop_policy_fix_loop_type (EVP_DEFAULT_EVENT_LOOP_POLICY (self),
                                               EVP_TYPE_PROACTOR_EVENT_LOOP);
}

/**
 * evp_windows_proactor_event_loop_policy_new:
 *
 * Makes a policy.
 *
 * It is not installed; see [func@Evp.set_event_loop_policy].
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpWindowsProactorEventLoopPolicy): a new policy
 *
 * Since: 1.0
 */
EvpAbstractEventLoopPolicy *
evp_windows_proactor_event_loop_policy_new (void)
{
  return g_object_new (EVP_TYPE_WINDOWS_PROACTOR_EVENT_LOOP_POLICY, NULL);
}
