/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error.h"
#include "evp/loop/evp-executor.h"
#include "evp/loop/evp-future.h"
#include "evp/loop/evp-selector-event-loop.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A door that jobs wait at: so the order of things is the test's, not the scheduler's. */
typedef struct
{
  GMutex lock;
  GCond changed;
  gboolean open;
  guint n_waiting;
  guint n_max_waiting;
  GString *log; /* with the lock */
} Door;

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpExecutor *executor;
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
  Door door;
  guint n_reports;
  GThread *test_thread;
} Fixture;

static void
report_cb (EvpAbstractEventLoop *loop,
           EvpExceptionContext  *context,
           gpointer              user_data)
{
  Fixture *fixture = user_data;

  fixture->n_reports++;
}

static void
fixture_set_up (Fixture      *fixture,
                gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  fixture->leaks = evp_test_leaks_begin ();
  fixture->deadline = evp_test_deadline_start (60, "jobs of an executor");
  fixture->test_thread = g_thread_self ();
  g_mutex_init (&fixture->door.lock);
  g_cond_init (&fixture->door.changed);
  fixture->door.log = g_string_new (NULL);
  fixture->loop = evp_selector_event_loop_new (NULL, NULL, &error);
  g_assert_no_error (error);
  evp_event_loop_set_exception_handler (fixture->loop, report_cb, fixture, NULL);
  fixture->executor = evp_executor_new (2);
  evp_event_loop_set_default_executor (fixture->loop, fixture->executor);
}

static void
open_door (Door *door)
{
  g_mutex_lock (&door->lock);
  door->open = TRUE;
  g_cond_broadcast (&door->changed);
  g_mutex_unlock (&door->lock);
}

static void
wait_for_waiting (Door *door,
                  guint n)
{
  g_mutex_lock (&door->lock);
  while (door->n_waiting < n)
    g_cond_wait (&door->changed, &door->lock);
  g_mutex_unlock (&door->lock);
}

static void
fixture_tear_down (Fixture      *fixture,
                   gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  open_door (&fixture->door);
  evp_executor_shutdown (fixture->executor, TRUE);
  evp_event_loop_close (fixture->loop, &error);
  g_assert_no_error (error);
  g_assert_finalize_object (fixture->loop);
  g_assert_finalize_object (fixture->executor);
  g_assert_cmpuint (fixture->n_reports, ==, 0);
  g_string_free (fixture->door.log, TRUE);
  g_mutex_clear (&fixture->door.lock);
  g_cond_clear (&fixture->door.changed);
  evp_test_deadline_stop (fixture->deadline);
  evp_test_leaks_check (&fixture->leaks);
}

static void
run_until (Fixture   *fixture,
           EvpFuture *future)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_event_loop_run_until_complete (fixture->loop, future, &error));
  g_assert_no_error (error);
}

static void
turn (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_stop (fixture->loop);
  evp_event_loop_run_forever (fixture->loop, &error);
  g_assert_no_error (error);
}

typedef struct
{
  Fixture *fixture;
  const char *letter;
  GThread *ran_in;
  GThread *released_in;
  gboolean ran;
  gboolean signals_blocked;
  char name[32];
} Job;

static void
job_released (gpointer data)
{
  Job *job = data;

  g_assert_null (job->released_in);
  job->released_in = g_thread_self ();
}

/* The thread posts the release of a job after its result; a job on the stack has to live until then. */
static void
wait_for_release (Fixture *fixture,
                  Job     *job)
{
  while (job->released_in == NULL)
    turn (fixture);
}

static void
job_func (EvpFuture *future,
          gpointer   user_data)
{
  Job *job = user_data;
  g_auto (GValue) value = G_VALUE_INIT;
  sigset_t mask;

  job->ran = TRUE;
  job->ran_in = g_thread_self ();
  pthread_getname_np (pthread_self (), job->name, sizeof job->name);
  sigemptyset (&mask);
  pthread_sigmask (SIG_SETMASK, NULL, &mask);
  job->signals_blocked = sigismember (&mask, SIGINT) == 1 && sigismember (&mask, SIGCHLD) == 1
                         && sigismember (&mask, SIGTERM) == 1 && sigismember (&mask, SIGUSR1) == 1;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, 42);
  g_assert_true (evp_future_set_result (future, &value, NULL));
  /* a second time is refused here, too */
  g_assert_false (evp_future_set_result (future, &value, NULL));
}

/* Rules: E-1, E-2, Z-29, Z-42 */
static void
test_result (Fixture      *fixture,
             gconstpointer data)
{
  Job job = { fixture };
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpFuture) future = evp_event_loop_run_in_executor (fixture->loop, job_func, &job, job_released, &error);
  sigset_t mask;

  g_assert_no_error (error);
  g_assert_true (evp_future_get_loop (future) == fixture->loop);
  run_until (fixture, future);
  g_assert_cmpint (g_value_get_int (evp_future_get_result (future, &error)), ==, 42);
  g_assert_no_error (error);

  wait_for_release (fixture, &job);
  g_assert_true (job.ran_in != fixture->test_thread);
  g_assert_true (job.released_in == fixture->test_thread);
  g_assert_true (g_str_has_prefix (job.name, "evp"));
  g_assert_true (job.signals_blocked);
  /* the mask of the thread that started it is what it was */
  pthread_sigmask (SIG_SETMASK, NULL, &mask);
  g_assert_cmpint (sigismember (&mask, SIGUSR1), ==, 0);
}

static void
nothing_func (EvpFuture *future,
              gpointer   user_data)
{
}

static void
fail_func (EvpFuture *future,
           gpointer   user_data)
{
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NO_SPACE, "no space");

  g_assert_true (evp_future_set_error (future, error));
}

/* Rules: E-1, E-2 */
static void
test_no_result (Fixture      *fixture,
                gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpFuture) nothing = evp_event_loop_run_in_executor (fixture->loop, nothing_func, NULL, NULL, &error);
  g_autoptr (EvpFuture) failing = evp_event_loop_run_in_executor (fixture->loop, fail_func, NULL, NULL, &error);

  run_until (fixture, nothing);
  g_assert_null (evp_future_get_result (nothing, &error));
  g_assert_no_error (error);

  g_assert_false (evp_event_loop_run_until_complete (fixture->loop, failing, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
}

static void
door_func (EvpFuture *future,
           gpointer   user_data)
{
  Job *job = user_data;
  Door *door = &job->fixture->door;

  g_mutex_lock (&door->lock);
  g_string_append (door->log, job->letter);
  door->n_waiting++;
  door->n_max_waiting = MAX (door->n_max_waiting, door->n_waiting);
  g_cond_broadcast (&door->changed);
  while (!door->open)
    g_cond_wait (&door->changed, &door->lock);
  door->n_waiting--;
  g_mutex_unlock (&door->lock);
  job->ran = TRUE;
}

/* Rules: E-1 */
static void
test_limit (Fixture      *fixture,
            gconstpointer data)
{
  guint n_threads = evp_test_count_threads ();
  Job jobs[6];
  EvpFuture *futures[6];

  for (guint i = 0; i < 6; i++)
    {
      static const char *const letters[] = { "a", "b", "c", "d", "e", "f" };

      jobs[i] = (Job) { fixture, letters[i] };
      futures[i] = evp_event_loop_run_in_executor (fixture->loop, door_func, &jobs[i], job_released, NULL);
    }
  wait_for_waiting (&fixture->door, 2);
  g_assert_cmpuint (evp_test_count_threads (), ==, n_threads + 2);
  open_door (&fixture->door);
  for (guint i = 0; i < 6; i++)
    {
      run_until (fixture, futures[i]);
      g_assert_true (jobs[i].ran);
      g_object_unref (futures[i]);
    }
  g_assert_cmpuint (fixture->door.n_max_waiting, <=, 2);
  g_assert_cmpuint (fixture->door.log->len, ==, 6);
  g_assert_cmpuint (evp_test_count_threads (), ==, n_threads + 2);
  for (guint i = 0; i < 6; i++)
    wait_for_release (fixture, &jobs[i]);
}

/* Rules: E-1 */
static void
test_order (Fixture      *fixture,
            gconstpointer data)
{
  g_autoptr (EvpExecutor) one = evp_executor_new (1);
  EvpFuture *futures[5];
  Job jobs[5];

  for (guint i = 0; i < 5; i++)
    {
      static const char *const letters[] = { "a", "b", "c", "d", "e" };

      jobs[i] = (Job) { fixture, letters[i] };
      futures[i] = evp_executor_submit (one, fixture->loop, door_func, &jobs[i], NULL, NULL);
    }
  open_door (&fixture->door);
  for (guint i = 0; i < 5; i++)
    {
      run_until (fixture, futures[i]);
      g_object_unref (futures[i]);
    }
  g_assert_cmpstr (fixture->door.log->str, ==, "abcde");
  evp_executor_shutdown (one, TRUE);
}

/* Rules: E-3, U-4 */
static void
test_cancel (Fixture      *fixture,
             gconstpointer data)
{
  g_autoptr (EvpExecutor) one = evp_executor_new (1);
  Job running = { fixture, "a" }, waiting = { fixture, "b" };
  g_autoptr (EvpFuture) first = evp_executor_submit (one, fixture->loop, door_func, &running, job_released, NULL);
  g_autoptr (EvpFuture) second = evp_executor_submit (one, fixture->loop, door_func, &waiting, job_released, NULL);

  wait_for_waiting (&fixture->door, 1);
  g_assert_true (evp_future_cancel (first));
  g_assert_true (evp_future_cancel (second));
  g_assert_true (evp_future_cancelled (first));
  g_assert_false (running.ran);

  open_door (&fixture->door);
  evp_executor_shutdown (one, TRUE);
  /* one went on, its result is dropped; the other never began */
  g_assert_true (running.ran);
  g_assert_false (waiting.ran);
  while (running.released_in == NULL || waiting.released_in == NULL)
    turn (fixture);
  g_assert_true (evp_future_cancelled (first));
  g_assert_true (evp_future_cancelled (second));
}

/* Rules: E-2, E-3, E-6, L-13 */
static void
test_close_first (Fixture      *fixture,
                  gconstpointer data)
{
  Job running = { fixture, "a" }, cancelled = { fixture, "b" };
  EvpFuture *future = evp_event_loop_run_in_executor (fixture->loop, door_func, &running, job_released, NULL);
  EvpFuture *other = evp_event_loop_run_in_executor (fixture->loop, door_func, &cancelled, job_released, NULL);
  g_autoptr (GError) error = NULL;
  guint n_warnings = evp_warn_runtime_get_count ();

  wait_for_waiting (&fixture->door, 2);
  evp_future_cancel (other);
  /* does not wait for what runs */
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_assert_no_error (error);
  g_assert_false (running.ran);
  g_assert_true (evp_executor_is_shut_down (fixture->executor));
  g_assert_null (evp_event_loop_run_in_executor (fixture->loop, nothing_func, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);

  open_door (&fixture->door);
  evp_executor_shutdown (fixture->executor, TRUE);
  g_assert_true (running.ran);
  g_assert_nonnull (running.released_in);
  g_assert_nonnull (cancelled.released_in);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings);
  g_assert_finalize_object (future);
  g_assert_finalize_object (other);
}

/* Rules: E-2, L-13 */
static void
test_close_drops_results (Fixture      *fixture,
                          gconstpointer data)
{
  Job job = { fixture };
  g_autoptr (EvpFuture) future = evp_event_loop_run_in_executor (fixture->loop, job_func, &job, job_released, NULL);
  g_autoptr (GError) error = NULL;

  /* its result is in the loop's queue */
  evp_executor_shutdown (fixture->executor, TRUE);
  g_assert_false (evp_future_done (future));
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_assert_true (evp_future_done (future));
  g_assert_true (job.released_in == fixture->test_thread);
}

/* Rules: E-1, E-5 */
static void
test_shut_down_refuses (Fixture      *fixture,
                        gconstpointer data)
{
  Job job = { fixture };
  g_autoptr (GError) error = NULL;

  g_assert_false (evp_executor_is_shut_down (fixture->executor));
  evp_executor_shutdown (fixture->executor, TRUE);
  evp_executor_shutdown (fixture->executor, TRUE);
  evp_executor_shutdown (fixture->executor, FALSE);
  g_assert_true (evp_executor_is_shut_down (fixture->executor));
  g_assert_null (evp_executor_submit (fixture->executor, fixture->loop, job_func, &job, job_released, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_assert_true (job.released_in == fixture->test_thread);
  g_assert_false (job.ran);
}

/* Rules: E-1 */
static void
test_shutdown_runs_queue (Fixture      *fixture,
                          gconstpointer data)
{
  g_autoptr (EvpExecutor) one = evp_executor_new (1);
  Job jobs[3] = { { fixture, "a" }, { fixture, "b" }, { fixture, "c" } };
  EvpFuture *futures[3];

  for (guint i = 0; i < 3; i++)
    futures[i] = evp_executor_submit (one, fixture->loop, door_func, &jobs[i], NULL, NULL);
  evp_executor_shutdown (one, FALSE);
  open_door (&fixture->door);
  evp_executor_shutdown (one, TRUE);
  g_assert_cmpstr (fixture->door.log->str, ==, "abc");
  for (guint i = 0; i < 3; i++)
    {
      run_until (fixture, futures[i]);
      g_object_unref (futures[i]);
    }
}

typedef struct
{
  GAsyncResult *result;
  guint n_called;
} Waiter;

static void
shutdown_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      user_data)
{
  Waiter *waiter = user_data;

  g_set_object (&waiter->result, result);
  waiter->n_called++;
  evp_event_loop_stop (EVP_EVENT_LOOP (source));
}

static void
finish_shutdown (Fixture *fixture,
                 Waiter  *waiter)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (waiter->n_called, ==, 0);
  g_assert_true (evp_event_loop_run_forever (fixture->loop, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (waiter->n_called, ==, 1);
  g_assert_true (evp_event_loop_shutdown_default_executor_finish (fixture->loop, waiter->result, &error));
  g_assert_no_error (error);
  g_clear_object (&waiter->result);
}

static void
open_door_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  /* the loop runs while the shutdown waits */
  open_door (&fixture->door);
}

/* Rules: E-5 */
static void
test_shutdown_async (Fixture      *fixture,
                     gconstpointer data)
{
  Job job = { fixture, "a" };
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpFuture) future = evp_event_loop_run_in_executor (fixture->loop, door_func, &job, job_released, &error);
  g_autoptr (EvpFuture) own = NULL;
  g_autoptr (EvpExecutor) other = evp_executor_new (1);
  Waiter waiter = { NULL }, again = { NULL };

  wait_for_waiting (&fixture->door, 1);
  evp_event_loop_shutdown_default_executor_async (fixture->loop, -1, NULL, shutdown_cb, &waiter);
  g_assert_null (evp_event_loop_run_in_executor (fixture->loop, nothing_func, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  /* other executors still work, as the default one they do not */
  own = evp_executor_submit (other, fixture->loop, nothing_func, NULL, NULL, &error);
  g_assert_no_error (error);
  evp_event_loop_set_default_executor (fixture->loop, other);
  g_assert_null (evp_event_loop_run_in_executor (fixture->loop, nothing_func, NULL, NULL, NULL));
  evp_event_loop_set_default_executor (fixture->loop, NULL);

  evp_event_loop_call_soon (fixture->loop, open_door_cb, fixture, NULL, NULL);
  finish_shutdown (fixture, &waiter);
  g_assert_true (job.ran);
  run_until (fixture, own);
  g_assert_true (evp_future_done (future));

  /* repeating does no harm */
  evp_event_loop_shutdown_default_executor_async (fixture->loop, -1, NULL, shutdown_cb, &again);
  finish_shutdown (fixture, &again);
  evp_executor_shutdown (other, TRUE);
  wait_for_release (fixture, &job);
}

/* Rules: E-5 */
static void
test_shutdown_async_unused (Fixture      *fixture,
                            gconstpointer data)
{
  Waiter waiter = { NULL };
  guint n_threads;

  evp_event_loop_set_default_executor (fixture->loop, NULL);
  n_threads = evp_test_count_threads ();
  evp_event_loop_shutdown_default_executor_async (fixture->loop, 0, NULL, shutdown_cb, &waiter);
  g_assert_cmpuint (evp_test_count_threads (), ==, n_threads);
  finish_shutdown (fixture, &waiter);
}

/* Rules: E-5 */
static void
test_shutdown_async_timeout (Fixture      *fixture,
                             gconstpointer data)
{
  Job job = { fixture, "a" };
  g_autoptr (EvpFuture) future = evp_event_loop_run_in_executor (fixture->loop, door_func, &job, job_released, NULL);
  guint n_warnings = evp_warn_runtime_get_count ();
  guint n_threads = evp_test_count_threads ();
  Waiter waiter = { NULL };

  wait_for_waiting (&fixture->door, 1);
  evp_event_loop_shutdown_default_executor_async (fixture->loop, 0.01, NULL, shutdown_cb, &waiter);
  finish_shutdown (fixture, &waiter);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings + 1);
  g_assert_false (job.ran);

  /* it goes on, and its result still comes */
  open_door (&fixture->door);
  run_until (fixture, future);
  g_assert_true (job.ran);
  /* nobody joined the thread that waited; it ends by itself */
  while (evp_test_count_threads () >= n_threads)
    {
      evp_executor_shutdown (fixture->executor, TRUE);
      turn (fixture);
    }
  wait_for_release (fixture, &job);
}

/* Rules: E-5, U-12 */
static void
test_shutdown_async_cancelled (Fixture      *fixture,
                               gconstpointer data)
{
  Job job = { fixture, "a" };
  g_autoptr (EvpFuture) future = evp_event_loop_run_in_executor (fixture->loop, door_func, &job, job_released, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  Waiter waiter = { NULL }, second = { NULL };
  guint n_threads = evp_test_count_threads ();

  wait_for_waiting (&fixture->door, 1);
  evp_event_loop_shutdown_default_executor_async (fixture->loop, -1, cancellable, shutdown_cb, &waiter);
  g_cancellable_cancel (cancellable);
  g_assert_true (evp_event_loop_run_forever (fixture->loop, &error));
  g_assert_cmpuint (waiter.n_called, ==, 1);
  g_assert_false (evp_event_loop_shutdown_default_executor_finish (fixture->loop, waiter.result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_object (&waiter.result);

  /* the shutdown went its way */
  g_clear_error (&error);
  g_assert_null (evp_event_loop_run_in_executor (fixture->loop, nothing_func, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  open_door (&fixture->door);
  evp_event_loop_shutdown_default_executor_async (fixture->loop, -1, NULL, shutdown_cb, &second);
  finish_shutdown (fixture, &second);
  run_until (fixture, future);
  while (evp_test_count_threads () >= n_threads)
    turn (fixture);
  wait_for_release (fixture, &job);
}

/* Rules: E-4 */
static void
test_replace_default (Fixture      *fixture,
                      gconstpointer data)
{
  g_autoptr (EvpFuture) future = NULL;
  EvpExecutor *other = evp_executor_new (1);
  Job job = { fixture };
  Waiter waiter = { NULL };

  evp_event_loop_set_default_executor (fixture->loop, other);
  g_assert_false (evp_executor_is_shut_down (fixture->executor));
  evp_executor_shutdown (fixture->executor, FALSE);
  future = evp_event_loop_run_in_executor (fixture->loop, job_func, &job, job_released, NULL);
  run_until (fixture, future);
  g_object_unref (other);
  evp_event_loop_shutdown_default_executor_async (fixture->loop, -1, NULL, shutdown_cb, &waiter);
  finish_shutdown (fixture, &waiter);
  wait_for_release (fixture, &job);
}

/* Rules: E-1 */
static void
test_default_size (Fixture      *fixture,
                   gconstpointer data)
{
  int expected = (int) MIN (32, g_get_num_processors () + 4);

  for (int n = -2; n < 4; n++)
    {
      g_autoptr (EvpExecutor) executor = evp_executor_new (n);
      int got = 0;

      g_object_get (executor, "max-workers", &got, NULL);
      g_assert_cmpint (got, ==, n <= 0 ? expected : n);
      g_assert_cmpint (evp_executor_get_max_workers (executor), ==, got);
    }
  g_autoptr (EvpExecutor) plain = g_object_new (EVP_TYPE_EXECUTOR, NULL);
  g_assert_cmpint (evp_executor_get_max_workers (plain), ==, expected);
}

static void
shut_own_func (EvpFuture *future,
               gpointer   user_data)
{
  evp_executor_shutdown (user_data, TRUE);
}

/* Rules: E-1 */
static void
test_shutdown_from_job (Fixture      *fixture,
                        gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_run_in_executor (fixture->loop, shut_own_func, fixture->executor, NULL, NULL);

  run_until (fixture, future);
  g_assert_true (evp_executor_is_shut_down (fixture->executor));
}

/* Rules: E-1 */
static void
test_dropped (Fixture      *fixture,
              gconstpointer data)
{
  guint n_threads = evp_test_count_threads ();
  EvpExecutor *executor = evp_executor_new (2);
  Job job = { fixture, "a" };
  g_autoptr (EvpFuture) future = evp_executor_submit (executor, fixture->loop, door_func, &job, job_released, NULL);

  wait_for_waiting (&fixture->door, 1);
  g_assert_finalize_object (executor); /* waits for nobody */
  open_door (&fixture->door);
  run_until (fixture, future);
  while (evp_test_count_threads () > n_threads)
    turn (fixture);
  wait_for_release (fixture, &job);
}

static void
door_and_shut_func (EvpFuture *future,
                    gpointer   user_data)
{
  Job *job = user_data;

  door_func (future, job);
  evp_executor_shutdown (job->fixture->executor, TRUE);
}

/* Rules: E-1 */
static void
test_shutdown_from_two_jobs (Fixture      *fixture,
                             gconstpointer data)
{
  Job a = { fixture, "a" }, b = { fixture, "b" };
  g_autoptr (EvpFuture) first = evp_event_loop_run_in_executor (fixture->loop, door_and_shut_func, &a, job_released, NULL);
  g_autoptr (EvpFuture) second = evp_event_loop_run_in_executor (fixture->loop, door_and_shut_func, &b, job_released, NULL);

  wait_for_waiting (&fixture->door, 2);
  open_door (&fixture->door);
  run_until (fixture, first);
  run_until (fixture, second);
  wait_for_release (fixture, &a);
  wait_for_release (fixture, &b);
}

/* Rules: E-1 */
static void
test_reuse (Fixture      *fixture,
            gconstpointer data)
{
  enum { N = 200 };
  g_autoptr (EvpExecutor) executor = evp_executor_new (N);
  guint n_threads = evp_test_count_threads ();

  /* one after the other, so threads that have nothing to do are there (as a rule: the last may be on its way) */
  for (guint i = 0; i < N; i++)
    {
      g_autoptr (EvpFuture) future = evp_executor_submit (executor, fixture->loop, nothing_func, NULL, NULL, NULL);

      run_until (fixture, future);
    }
  g_assert_cmpuint (evp_test_count_threads () - n_threads, <, N / 2);
  evp_executor_shutdown (executor, TRUE);
  turn (fixture);
}

/* Rules: E-1 */
static void
test_second_worker (Fixture      *fixture,
                    gconstpointer data)
{
  /* one thread that has nothing to do is not enough for two jobs that wait for each other; often, to meet it so */
  for (guint i = 0; i < 30; i++)
    {
      g_autoptr (EvpExecutor) executor = evp_executor_new (2);
      Job warm = { fixture, "w" }, a = { fixture, "a" }, b = { fixture, "b" };
      g_autoptr (EvpFuture) before = evp_executor_submit (executor, fixture->loop, job_func, &warm, job_released, NULL);
      g_autoptr (EvpFuture) first = NULL;
      g_autoptr (EvpFuture) second = NULL;

      wait_for_release (fixture, &warm);
      for (guint j = 0; j < 100; j++)
        g_thread_yield ();
      first = evp_executor_submit (executor, fixture->loop, door_func, &a, job_released, NULL);
      second = evp_executor_submit (executor, fixture->loop, door_func, &b, job_released, NULL);
      wait_for_waiting (&fixture->door, 2);
      open_door (&fixture->door);
      wait_for_release (fixture, &a);
      wait_for_release (fixture, &b);
      g_assert_true (evp_future_done (before) && evp_future_done (first) && evp_future_done (second));
      fixture->door.open = FALSE;
      evp_executor_shutdown (executor, TRUE);
    }
}

/* Rules: E-5 */
static void
test_shutdown_async_in_time (Fixture      *fixture,
                             gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_run_in_executor (fixture->loop, nothing_func, NULL, NULL, NULL);
  guint n_warnings = evp_warn_runtime_get_count ();
  Waiter waiter = { NULL };

  evp_event_loop_shutdown_default_executor_async (fixture->loop, 3600, NULL, shutdown_cb, &waiter);
  g_assert_cmpuint (evp_test_count_timers (fixture->loop), ==, 1);
  finish_shutdown (fixture, &waiter);
  /* nothing waits for the hour to end */
  g_assert_cmpuint (evp_test_count_timers (fixture->loop), ==, 0);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings);
  run_until (fixture, future);
}

static void
awaited_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  g_set_object (&((Waiter *) user_data)->result, result);
}

/* Rules: E-5 */
static void
test_shutdown_finish_of_another (Fixture      *fixture,
                                 gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  Waiter waiter = { NULL };

  evp_event_loop_shutdown_default_executor_async (fixture->loop, -1, NULL, shutdown_cb, &waiter);
  g_assert_true (evp_event_loop_run_forever (fixture->loop, NULL));
  g_assert_cmpuint (waiter.n_called, ==, 1);

  /* a result knows which call it belongs to, and whose it is */
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*evp_future_await_is_for*");
  g_assert_null (evp_future_await_finish (future, waiter.result, NULL));
  g_test_assert_expected_messages ();
  g_assert_true (g_async_result_is_tagged (waiter.result, evp_event_loop_shutdown_default_executor_async));
  g_assert_false (g_async_result_is_tagged (waiter.result, evp_future_await_async));
  g_clear_object (&waiter.result);

  evp_future_await_async (future, NULL, awaited_cb, &waiter);
  evp_future_set_result (future, NULL, NULL);
  turn (fixture);
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*evp_future_await_is_for*");
  g_assert_false (evp_event_loop_shutdown_default_executor_finish (fixture->loop, waiter.result, NULL));
  g_test_assert_expected_messages ();
  g_clear_object (&waiter.result);
}

/* Rules: P-19, E-1 */
static void
test_fork (Fixture      *fixture,
           gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_run_in_executor (fixture->loop, nothing_func, NULL, NULL, NULL);
  pid_t pid;
  int status;

  run_until (fixture, future);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      g_autoptr (GError) error = NULL;
      EvpFuture *refused = evp_executor_submit (fixture->executor, fixture->loop, nothing_func, NULL, NULL, &error);

      /* its threads are in the parent: an error, no hanging */
      evp_executor_shutdown (fixture->executor, TRUE);
      if (refused != NULL || !g_error_matches (error, EVP_ERROR, EVP_ERROR_FORKED))
        evp_test_exit_forked (1);
      evp_test_exit_forked (evp_executor_is_shut_down (fixture->executor) ? 0 : 2);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

static void
add_one_func (EvpFuture *future,
              gpointer   user_data)
{
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, GPOINTER_TO_INT (user_data) + 1);
  evp_future_set_result (future, &value, NULL);
}

/* Rules: E-1, E-2, C-4 */
static void
test_many (Fixture      *fixture,
           gconstpointer data)
{
  enum { N = 2000 };
  EvpFuture *futures[N];

  for (int i = 0; i < N; i++)
    futures[i] = evp_event_loop_run_in_executor (fixture->loop, add_one_func, GINT_TO_POINTER (i), NULL, NULL);
  for (int i = 0; i < N; i++)
    {
      run_until (fixture, futures[i]);
      g_assert_cmpint (g_value_get_int (evp_future_get_result (futures[i], NULL)), ==, i + 1);
    }
  evp_executor_shutdown (fixture->executor, TRUE);
  turn (fixture);
  for (int i = 0; i < N; i++)
    g_assert_finalize_object (futures[i]);
}

/* A loop from elsewhere, whose own thread has always run what is posted before the post is over. */
typedef GObject      HastyLoop;
typedef GObjectClass HastyLoopClass;

static GType hasty_loop_get_type (void);
static gint n_hasty_loops; /* atomic */

static gpointer
hasty_thread (gpointer handle)
{
  evp_handle_run (handle);
  evp_handle_unref (handle);
  return NULL;
}

static gboolean
hasty_loop_schedule_threadsafe (EvpAbstractEventLoop *loop,
                                EvpHandle            *handle,
                                GError              **error)
{
  g_thread_join (g_thread_new ("hasty", hasty_thread, evp_handle_ref (handle)));
  /* and is not done with itself */
  g_assert_cmpint (g_atomic_int_get (&n_hasty_loops), ==, 1);
  return TRUE;
}

static void
hasty_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  iface->schedule_threadsafe = hasty_loop_schedule_threadsafe;
}

G_DEFINE_TYPE_WITH_CODE (HastyLoop, hasty_loop, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, hasty_loop_iface_init))

static void
hasty_loop_finalize (GObject *object)
{
  g_atomic_int_add (&n_hasty_loops, -1);
  G_OBJECT_CLASS (hasty_loop_parent_class)->finalize (object);
}

static void
hasty_loop_class_init (HastyLoopClass *klass)
{
  klass->finalize = hasty_loop_finalize;
}

static void
hasty_loop_init (HastyLoop *self)
{
  g_atomic_int_inc (&n_hasty_loops);
}

/* The last reference to a loop goes with the job, in the middle of the post that releases it. */
/* Rules: E-2 */
static void
test_foreign_loop_goes (Fixture      *fixture,
                        gconstpointer data)
{
  EvpAbstractEventLoop *loop = g_object_new (hasty_loop_get_type (), NULL);
  Job job = { fixture, "a" };
  EvpFuture *future = evp_executor_submit (fixture->executor, loop, door_func, &job, job_released, NULL);

  wait_for_waiting (&fixture->door, 1);
  g_object_unref (future);
  g_object_unref (loop);
  open_door (&fixture->door);
  evp_executor_shutdown (fixture->executor, TRUE);
  g_assert_nonnull (job.released_in);
  g_assert_cmpint (g_atomic_int_get (&n_hasty_loops), ==, 0);
}

#define ADD(name, function) \
  g_test_add ("/evp/loop/executor/" name, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  ADD ("result", test_result);
  ADD ("no-result", test_no_result);
  ADD ("limit", test_limit);
  ADD ("order", test_order);
  ADD ("cancel", test_cancel);
  ADD ("close-first", test_close_first);
  ADD ("close-drops-results", test_close_drops_results);
  ADD ("shut-down-refuses", test_shut_down_refuses);
  ADD ("shutdown-runs-queue", test_shutdown_runs_queue);
  ADD ("shutdown-async", test_shutdown_async);
  ADD ("shutdown-async-unused", test_shutdown_async_unused);
  ADD ("shutdown-async-timeout", test_shutdown_async_timeout);
  ADD ("shutdown-async-cancelled", test_shutdown_async_cancelled);
  ADD ("replace-default", test_replace_default);
  ADD ("default-size", test_default_size);
  ADD ("shutdown-from-job", test_shutdown_from_job);
  ADD ("shutdown-from-two-jobs", test_shutdown_from_two_jobs);
  ADD ("reuse", test_reuse);
  ADD ("second-worker", test_second_worker);
  ADD ("shutdown-async-in-time", test_shutdown_async_in_time);
  ADD ("shutdown-finish-of-another", test_shutdown_finish_of_another);
  ADD ("dropped", test_dropped);
  ADD ("foreign-loop-goes", test_foreign_loop_goes);
  ADD ("fork", test_fork);
  ADD ("many", test_many);

  return g_test_run ();
}
