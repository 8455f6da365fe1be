/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-main-context-event-loop-policy.h"

#include "evp/loop/evp-running-loop-private.h"
#include "evp/os/evp-os-fork-private.h"
#include "evp/policy/evp-abstract-event-loop-policy-private.h"
#include "evp/policy/evp-base-event-loop-policy-private.h"

/**
 * EvpMainContextEventLoopPolicy:
 *
 * A policy with one loop per main context, instead of one per thread.
 *
 * The place that asks is the thread-default main context, as everywhere in GIO: the context that was
 * pushed last with [method@GLib.MainContext.push_thread_default], else GLib's default context.
 * Choose it for a library or a program that already divides its work between main contexts. What
 * `EVP_POLICY=main-context` selects.
 *
 * A loop that is missing is made, as [property@Evp.BaseEventLoopPolicy:missing-loop] says, in the
 * context that asks: in GLib's default context for the main thread, and in a context that a thread
 * has pushed for any thread. A thread without a context of its own shares the loop of the default
 * context if there is one, and may then call only what is allowed from any thread; it does not
 * make one. While a loop runs, its own context is the thread-default one, and that loop is found.
 *
 * The policy keeps the loop of a context until the thread that set it ends; that of the default
 * context until the policy is finalized. The child watcher follows the loop of the default context,
 * set on the main thread.
 *
 * ```c
 * g_autoptr (GMainContext) context = g_main_context_new ();
 * g_autoptr (EvpAbstractEventLoop) loop = NULL;
 *
 * g_main_context_push_thread_default (context);
 * loop = evp_event_loop_policy_get_event_loop (policy, &error);  // lives in that context
 * g_main_context_pop_thread_default (context);
 * ```
 *
 * May be used from any thread.
 *
 * Since: 1.0
 */

static void evp_main_context_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpMainContextEventLoopPolicy, evp_main_context_event_loop_policy,
                         EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY,
                                                evp_main_context_event_loop_policy_iface_init))

/* what this class filled in; written once, when the class is made */
static EvpAbstractEventLoopPolicyInterface filled_in;

/* The loop that runs in this thread, if @context is its own. */
static EvpAbstractEventLoop *
dup_running_loop (GMainContext *context)
{
  EvpAbstractEventLoop *loop = evp_running_loop_get ();
  g_autoptr (GMainContext) running = NULL;

  if (loop == NULL)
    return NULL;
  running = evp_event_loop_dup_main_context (loop);
  return running == context ? g_object_ref (loop) : NULL;
}

static EvpAbstractEventLoop *
evp_main_context_event_loop_policy_get_event_loop (EvpAbstractEventLoopPolicy *policy,
                                                   GError                    **error)
{
  EvpBaseEventLoopPolicy *self = EVP_BASE_EVENT_LOOP_POLICY (policy);
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  gboolean may_adopt = evp_os_is_main_thread () || context != g_main_context_default ();
  g_autoptr (EvpAbstractEventLoop) loop = NULL;

  /*
   * A context has one loop. evp_run() sets its loop outside, for the context that is the default
   * there, and runs it in a context of its own, which nobody has set a loop for.
   */
  if (!evp_base_event_loop_policy_lookup_loop (self, context, &loop))
    loop = dup_running_loop (context);
  if (loop != NULL)
    return g_steal_pointer (&loop);
  return evp_base_event_loop_policy_find_loop (self, context, may_adopt ? context : NULL, error);
}

static gboolean
evp_main_context_event_loop_policy_set_event_loop (EvpAbstractEventLoopPolicy *policy,
                                                   EvpAbstractEventLoop       *loop,
                                                   GError                    **error)
{
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  gboolean attach = evp_os_is_main_thread () && context == g_main_context_default ();

  return evp_base_event_loop_policy_store_loop (EVP_BASE_EVENT_LOOP_POLICY (policy), context, loop,
                                                attach, error);
}

static void
evp_main_context_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->get_event_loop = evp_main_context_event_loop_policy_get_event_loop;
  iface->set_event_loop = evp_main_context_event_loop_policy_set_event_loop;
  filled_in = *iface;
}

static void
evp_main_context_event_loop_policy_class_init (EvpMainContextEventLoopPolicyClass *klass)
{
}

static void
evp_main_context_event_loop_policy_init (EvpMainContextEventLoopPolicy *self)
{
  evp_event_loop_policy_check_table (EVP_TYPE_MAIN_CONTEXT_EVENT_LOOP_POLICY, &filled_in);
}

/**
 * evp_main_context_event_loop_policy_new:
 *
 * Makes a policy.
 *
 * It is not installed; see [func@Evp.set_event_loop_policy].
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpMainContextEventLoopPolicy): a new policy
 *
 * Since: 1.0
 */
EvpAbstractEventLoopPolicy *
evp_main_context_event_loop_policy_new (void)
{
  return g_object_new (EVP_TYPE_MAIN_CONTEXT_EVENT_LOOP_POLICY, NULL);
}
