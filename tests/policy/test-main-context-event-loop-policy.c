/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"

#include "support/evp-test-support.h"
#include "support/evp-test-watcher.h"

#include <sys/wait.h>
#include <unistd.h>

typedef struct
{
  EvpAbstractEventLoopPolicy *policy;
  EvpAbstractEventLoop *main_loop;
} Data;

static EvpAbstractEventLoop *
get_loop (EvpAbstractEventLoopPolicy *policy)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_event_loop_policy_get_event_loop (policy, &error);

  g_assert_no_error (error);
  g_assert_nonnull (loop);
  return loop;
}

static void
assert_context (EvpAbstractEventLoop *loop,
                GMainContext         *expected)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (loop);

  g_assert_true (context == expected);
}

static void
close_and_unref (EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_close (loop, &error);
  g_assert_no_error (error);
  g_object_unref (loop);
}

/* Rules: P-39 */
static void
test_contexts (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_main_context_event_loop_policy_new ();
  g_autoptr (GMainContext) context = g_main_context_new ();
  EvpAbstractEventLoop *outer = get_loop (policy);
  EvpAbstractEventLoop *inner, *again;

  assert_context (outer, g_main_context_default ());
  g_main_context_push_thread_default (context);
  inner = get_loop (policy);
  g_assert_true (inner != outer);
  assert_context (inner, context);
  again = get_loop (policy);
  g_assert_true (again == inner);
  g_object_unref (again);

  /* NULL concerns this context only */
  evp_event_loop_policy_set_event_loop (policy, NULL, NULL);
  g_assert_null (evp_event_loop_policy_get_event_loop (policy, NULL));
  g_main_context_pop_thread_default (context);
  again = get_loop (policy);
  g_assert_true (again == outer);
  g_object_unref (again);
  close_and_unref (inner);
  close_and_unref (outer);
}

static gpointer
worker_thread (gpointer user_data)
{
  Data *data = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GMainContext) context = g_main_context_new ();
  gpointer *weak = g_new (gpointer, 1);
  EvpAbstractEventLoop *loop;

  /* without a context of its own it shares that of the main thread, and makes nothing */
  loop = evp_event_loop_policy_get_event_loop (data->policy, &error);
  g_assert_true (loop == data->main_loop);
  if (loop == NULL)
    {
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
      g_assert_nonnull (strstr (error->message, "context-worker"));
    }
  g_clear_object (&loop);

  g_main_context_push_thread_default (context);
  loop = get_loop (data->policy);
  assert_context (loop, context);
  g_main_context_pop_thread_default (context);
  evp_event_loop_close (loop, NULL);
  *weak = loop;
  g_object_add_weak_pointer (G_OBJECT (loop), weak);
  g_object_unref (loop);
  g_assert_nonnull (*weak);
  return weak;
}

/* Rules: P-13, P-15, P-18, P-39 */
static void
test_threads (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_main_context_event_loop_policy_new ();
  Data data = { policy, NULL };
  g_autofree gpointer *weak = NULL;
  g_autofree gpointer *again = NULL;

  /* the loop of a context goes with the thread that made it */
  weak = g_thread_join (g_thread_new ("context-worker", worker_thread, &data));
  g_assert_null (*weak);
  data.main_loop = get_loop (policy);
  again = g_thread_join (g_thread_new ("context-worker", worker_thread, &data));
  g_assert_null (*again);
  close_and_unref (data.main_loop);
}

typedef struct
{
  EvpAbstractEventLoopPolicy *policy;
  GMainContext *context;
  GAsyncQueue *has_set;
  GAsyncQueue *may_end;
} Owner;

static void
set_loop_of_context (Owner                *owner,
                     EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  g_main_context_push_thread_default (owner->context);
  g_assert_true (evp_event_loop_policy_set_event_loop (owner->policy, loop, &error));
  g_assert_no_error (error);
  g_main_context_pop_thread_default (owner->context);
}

static gpointer
first_owner_thread (gpointer user_data)
{
  Owner *owner = user_data;

  set_loop_of_context (owner, NULL);
  g_async_queue_push (owner->has_set, owner);
  return g_async_queue_pop (owner->may_end);
}

/* A context that moves: its loop goes with the thread that set it last, and not with an earlier one. */
/* Rules: P-39 */
static void
test_context_moves (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_main_context_event_loop_policy_new ();
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GAsyncQueue) has_set = g_async_queue_new ();
  g_autoptr (GAsyncQueue) may_end = g_async_queue_new ();
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (NULL, context, NULL);
  Owner owner = { policy, context, has_set, may_end };
  EvpAbstractEventLoop *again;
  GThread *first = g_thread_new ("first-owner", first_owner_thread, &owner);

  g_async_queue_pop (has_set);
  set_loop_of_context (&owner, loop);
  g_async_queue_push (may_end, &owner);
  g_thread_join (first);

  g_main_context_push_thread_default (context);
  again = get_loop (policy);
  g_main_context_pop_thread_default (context);
  g_assert_true (again == loop);
  g_object_unref (again);
  close_and_unref (loop);
}

static gpointer
set_default_thread (gpointer user_data)
{
  Data *data = user_data;

  evp_event_loop_policy_set_event_loop (data->policy, data->main_loop, NULL);
  return NULL;
}

/* Rules: P-39 */
static void
test_default_context_outlives_worker (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_main_context_event_loop_policy_new ();
  Data data = { policy, evp_selector_event_loop_new (NULL, g_main_context_default (), NULL) };
  EvpAbstractEventLoop *loop;

  g_thread_join (g_thread_new ("setter", set_default_thread, &data));
  loop = get_loop (policy);
  g_assert_true (loop == data.main_loop);
  g_object_unref (loop);
  evp_event_loop_close (data.main_loop, NULL);
  g_object_unref (policy);
  policy = NULL;
  g_assert_finalize_object (data.main_loop);
}

static void
ask_in_callback (gpointer user_data)
{
  Data *data = user_data;
  EvpAbstractEventLoop *loop = get_loop (data->policy);
  g_autoptr (EvpAbstractEventLoop) running = evp_get_running_loop (NULL);

  g_assert_true (loop == data->main_loop);
  g_assert_true (loop == running);
  g_object_unref (loop);
  evp_event_loop_stop (data->main_loop);
}

/* Rules: P-39, P-22 */
static void
test_running (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a loop that stops itself");
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_main_context_event_loop_policy_new ();
  g_autoptr (GError) error = NULL;
  Data data = { policy, evp_event_loop_policy_new_event_loop (policy, &error) };

  /* its context is pushed while it runs, and has no other loop */
  g_assert_no_error (error);
  evp_event_loop_call_soon (data.main_loop, ask_in_callback, &data, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_run_forever (data.main_loop, &error));
  g_assert_no_error (error);
  close_and_unref (data.main_loop);
}

static void
unset_in_callback (gpointer user_data)
{
  Data *data = user_data;
  g_autoptr (GError) error = NULL;

  evp_event_loop_policy_set_event_loop (data->policy, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (evp_event_loop_policy_get_event_loop (data->policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
  evp_event_loop_stop (data->main_loop);
}

/* Rules: P-12, P-17 */
static void
test_unset_while_running (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a loop that stops itself");
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_main_context_event_loop_policy_new ();
  g_autoptr (GError) error = NULL;
  Data data = { policy, evp_event_loop_policy_new_event_loop (policy, &error) };

  g_assert_no_error (error);
  evp_event_loop_call_soon (data.main_loop, unset_in_callback, &data, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_run_forever (data.main_loop, &error));
  close_and_unref (data.main_loop);
}

static void
ask_for_another_context (gpointer user_data)
{
  Data *data = user_data;
  g_autoptr (GMainContext) context = g_main_context_new ();
  EvpAbstractEventLoop *other;

  g_main_context_push_thread_default (context);
  other = get_loop (data->policy);
  g_main_context_pop_thread_default (context);
  g_assert_true (other != data->main_loop);
  assert_context (other, context);
  close_and_unref (other);
  evp_event_loop_stop (data->main_loop);
}

/* Rules: P-39 */
static void
test_other_context_while_running (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a loop that stops itself");
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_main_context_event_loop_policy_new ();
  g_autoptr (GError) error = NULL;
  Data data = { policy, evp_event_loop_policy_new_event_loop (policy, &error) };

  g_assert_no_error (error);
  evp_event_loop_call_soon (data.main_loop, ask_for_another_context, &data, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_run_forever (data.main_loop, &error));
  close_and_unref (data.main_loop);
}

/* Rules: P-29, P-39 */
static void
test_watcher (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy =
      g_object_new (EVP_TYPE_MAIN_CONTEXT_EVENT_LOOP_POLICY, "child-watcher-type", EVP_TYPE_TEST_WATCHER, NULL);
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = get_loop (policy);

  /* made in the main thread, it belongs to the loop of the default context */
  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  g_assert_true (EVP_TEST_WATCHER (watcher)->loop == loop);
  close_and_unref (loop);
}

/* Rules: P-26 */
static void
test_missing_loop_error (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy =
      g_object_new (EVP_TYPE_MAIN_CONTEXT_EVENT_LOOP_POLICY, "missing-loop", EVP_MISSING_LOOP_ERROR, NULL);
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
  g_clear_error (&error);
  g_main_context_push_thread_default (context);
  g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
  g_main_context_pop_thread_default (context);
}

/* Rules: P-19, P-39 */
static void
test_fork (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy =
      g_object_new (EVP_TYPE_MAIN_CONTEXT_EVENT_LOOP_POLICY, "missing-loop", EVP_MISSING_LOOP_ERROR, NULL);
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (NULL, NULL, NULL);
  EvpAbstractEventLoop *found;
  int status = -1;
  pid_t pid;

  evp_event_loop_policy_set_event_loop (policy, loop, NULL);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    _exit (evp_event_loop_policy_get_event_loop (policy, NULL) == NULL ? 0 : 1);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  found = get_loop (policy);
  g_assert_true (found == loop);
  g_object_unref (found);
  close_and_unref (loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/contexts", test_contexts);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/threads", test_threads);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/context-moves", test_context_moves);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/default-context-outlives-worker",
                   test_default_context_outlives_worker);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/running", test_running);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/unset-while-running", test_unset_while_running);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/other-context-while-running",
                   test_other_context_while_running);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/watcher", test_watcher);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/missing-loop-error", test_missing_loop_error);
  g_test_add_func ("/evp/policy/main-context-event-loop-policy/fork", test_fork);
  return g_test_run ();
}
