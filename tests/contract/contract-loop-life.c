/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-loop-fixture.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <unistd.h>

static void
set_int (EvpFuture *future,
         int        number)
{
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, number);
  g_assert_true (evp_future_set_result (future, &value, NULL));
}

static void
stop_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  fixture->finished = TRUE;
  evp_event_loop_stop (fixture->loop);
}

/* Rules: L-1, L-11, C-5 */
static void
case_new (Fixture *fixture)
{
  double before = evp_event_loop_time (fixture->loop);

  g_assert_false (evp_event_loop_is_running (fixture->loop));
  g_assert_false (evp_event_loop_is_closed (fixture->loop));
  g_assert_true (before > 0.0);
  g_assert_true (evp_event_loop_time (fixture->loop) >= before);
  g_assert_null (evp_running_loop_get ());
}

/* Rules: L-1, L-2 */
static void
case_run_again (Fixture *fixture)
{
  for (int i = 0; i < 3; i++)
    {
      soon (fixture, "a");
      soon_then (fixture, "b", finish_cb);
      drive (fixture);
      g_assert_null (evp_running_loop_get ());
    }
  assert_log (fixture, "ababab");
}

static void
queue_x_cb (gpointer user_data)
{
  soon (user_data, "x");
}

static void
count_to_five_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  g_string_append_c (fixture->log, 'n');
  if (fixture->log->len < 5)
    call (fixture, count_to_five_cb, fixture);
  else
    finish (fixture);
}

/* Rules: L-4, Z-2, Z-9 */
static void
case_stop_before_run (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  soon_then (fixture, "a", queue_x_cb);
  later (fixture, 3600, "never");
  evp_event_loop_stop (fixture->loop);
  soon (fixture, "b");
  g_assert_true (evp_event_loop_run_forever (fixture->loop, &error));
  g_assert_no_error (error);
  /* exactly one iteration; what it queued waits for the next run */
  assert_log (fixture, "ab");

  /* the flag is used up */
  clear_log (fixture);
  call (fixture, count_to_five_cb, fixture);
  drive (fixture);
  assert_log (fixture, "xnnnn");
}

/* Rules: L-3, L-5, Z-9 */
static void
case_stop_in_callback (Fixture *fixture)
{
  soon (fixture, "1");
  soon_then (fixture, "2", stop_cb);
  soon_then (fixture, "3", queue_x_cb);
  soon_then (fixture, "4", stop_cb); /* twice equals once */
  soon (fixture, "5");
  drive (fixture);
  assert_log (fixture, "12345");

  soon_then (fixture, "6", stop_cb);
  drive (fixture);
  assert_log (fixture, "12345x6");
}

static gpointer
post_finish_thread (gpointer data)
{
  Fixture *fixture = data;

  g_assert_true (evp_event_loop_call_soon_threadsafe (fixture->loop, finish_cb, fixture, NULL, NULL));
  return NULL;
}

static void
start_thread_cb (gpointer user_data)
{
  gpointer *both = user_data;

  both[1] = g_thread_new ("contract", ((gpointer *) both[0])[0], ((gpointer *) both[0])[1]);
}

/* Starts a thread from within the loop, drives the loop until finish(), and joins the thread. */
static void
drive_with_thread (Fixture    *fixture,
                   GThreadFunc func,
                   gpointer    data)
{
  gpointer what[2] = { func, data };
  gpointer both[2] = { what, NULL };

  call (fixture, start_thread_cb, both);
  drive (fixture);
  g_thread_join (both[1]);
}

/* Rules: L-3, C-3, Z-14 */
static void
case_stop_from_thread (Fixture *fixture)
{
  later (fixture, 3600, "never");
  drive_with_thread (fixture, post_finish_thread, fixture);
  assert_log (fixture, "");
}

static void
nothing_cb (gpointer user_data)
{
}

static gpointer
stop_and_wake_thread (gpointer data)
{
  Fixture *fixture = data;

  /* stop() only raises the flag; it is seen when something else wakes the loop */
  fixture->finished = TRUE;
  evp_event_loop_stop (fixture->loop);
  g_assert_true (evp_event_loop_call_soon_threadsafe (fixture->loop, nothing_cb, NULL, NULL, NULL));
  return NULL;
}

/* Rules: L-3 */
static void
case_stop_flag_from_thread (Fixture *fixture)
{
  drive_with_thread (fixture, stop_and_wake_thread, fixture);
}

/* Rules: L-6, U-3 */
static void
case_until_complete (Fixture *fixture)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (EvpFuture) failed = evp_event_loop_create_future (fixture->loop);
  g_autoptr (EvpFuture) cancelled = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) failure = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_BUSY, "busy");
  g_autoptr (GError) error = NULL;

  /* done already: one iteration, which also does other work */
  set_int (future, 5);
  soon_then (fixture, "a", queue_x_cb);
  soon (fixture, "b");
  g_assert_true (evp_event_loop_run_until_complete (fixture->loop, future, &error));
  g_assert_no_error (error);
  g_assert_true (g_str_has_prefix (fixture->log->str, "ab"));
  g_assert_cmpint (g_value_get_int (evp_future_get_result (future, NULL)), ==, 5);

  evp_future_set_error (failed, failure);
  g_assert_false (evp_event_loop_run_until_complete (fixture->loop, failed, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_clear_error (&error);

  evp_future_cancel (cancelled);
  g_assert_false (evp_event_loop_run_until_complete (fixture->loop, cancelled, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_CANCELLED);
}

static void
complete_cb (gpointer user_data)
{
  set_int (user_data, 1);
}

/* Rules: L-6, L-7 */
static void
case_until_stopped (Fixture *fixture)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (EvpFuture) other = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) error = NULL;

  soon_then (fixture, "a", stop_cb);
  g_assert_false (evp_event_loop_run_until_complete (fixture->loop, future, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_STOPPED);
  g_clear_error (&error);
  g_assert_false (evp_future_done (future));

  /* its callback is gone: the old future does not stop a later run */
  call (fixture, complete_cb, future);
  call_later (fixture, 0.01, complete_cb, other);
  g_assert_true (evp_event_loop_run_until_complete (fixture->loop, other, &error));
  g_assert_no_error (error);
  g_assert_true (evp_future_done (future));

  /* and the loop can be run with it again */
  g_assert_true (evp_event_loop_run_until_complete (fixture->loop, future, &error));
  g_assert_no_error (error);
}

/* Rules: L-6 */
static void
case_until_complete_later (Fixture *fixture)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) error = NULL;

  call_later (fixture, 0.01, complete_cb, future);
  g_assert_true (evp_event_loop_run_until_complete (fixture->loop, future, &error));
  g_assert_no_error (error);
}

/* Rules: L-8, L-10 */
static void
case_foreign_future (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *other = fixture->kind->make (NULL, &error);
  EvpFuture *future = evp_event_loop_create_future (other);

  set_int (future, 1);
  soon (fixture, "never");
  g_assert_false (evp_event_loop_run_until_complete (fixture->loop, future, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  assert_log (fixture, ""); /* nothing has run */
  g_assert_false (evp_event_loop_is_running (fixture->loop));

  /* closed comes before the argument */
  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  g_assert_false (evp_event_loop_run_until_complete (fixture->loop, future, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);

  g_object_unref (future);
  g_assert_true (evp_event_loop_close (other, NULL));
  g_assert_finalize_object (other);
}

static void
refused_runs_cb (gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *other = fixture->kind->make (NULL, &error);
  EvpAbstractEventLoop *loops[2] = { fixture->loop, other };
  GMainContext *context = g_main_context_get_thread_default ();

  g_assert_true (evp_event_loop_is_running (fixture->loop));
  g_assert_true (evp_running_loop_get () == fixture->loop);
  for (int i = 0; i < 2; i++)
    {
      EvpFuture *future = evp_event_loop_create_future (loops[i]);
      EvpFuture *foreign = evp_event_loop_create_future (loops[1 - i]);

      g_assert_false (evp_event_loop_run_forever (loops[i], &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING);
      g_clear_error (&error);
      g_assert_false (evp_event_loop_run_until_complete (loops[i], future, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING);
      g_clear_error (&error);
      /* running comes before the argument */
      g_assert_false (evp_event_loop_run_until_complete (loops[i], foreign, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING);
      g_clear_error (&error);
      g_assert_finalize_object (foreign);
      g_assert_finalize_object (future);

      /* the outer run knows nothing of it */
      g_assert_true (evp_event_loop_is_running (fixture->loop));
      g_assert_false (evp_event_loop_is_running (other));
      g_assert_true (evp_running_loop_get () == fixture->loop);
      g_assert_true (g_main_context_get_thread_default () == context);
    }
  g_assert_true (evp_event_loop_close (other, NULL));
  g_assert_finalize_object (other);

  g_assert_false (evp_event_loop_close (fixture->loop, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING);
  g_assert_false (evp_event_loop_is_closed (fixture->loop));
  soon_then (fixture, "x", finish_cb);
}

/* Rules: L-8, L-9, L-12, P-22, Z-11, Z-13 */
static void
case_nested_run (Fixture *fixture)
{
  soon_then (fixture, "a", refused_runs_cb);
  soon (fixture, "b");
  drive (fixture);
  assert_log (fixture, "abx");
  g_assert_false (evp_event_loop_is_running (fixture->loop));
}

static gpointer
refused_thread (gpointer data)
{
  Fixture *fixture = data;
  g_autoptr (GError) error = NULL;

  /* at once, and without an effect */
  g_assert_true (evp_event_loop_is_running (fixture->loop));
  g_assert_false (evp_event_loop_run_forever (fixture->loop, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING);
  g_clear_error (&error);
  g_assert_null (evp_running_loop_get ());
  if (!fixture->kind->adopted)
    {
      g_assert_false (evp_event_loop_close (fixture->loop, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING);
      g_clear_error (&error);
    }
  g_assert_true (evp_event_loop_is_running (fixture->loop));
  return post_finish_thread (fixture);
}

/* Rules: L-8, L-11, L-12, Z-12 */
static void
case_run_in_two_threads (Fixture *fixture)
{
  drive_with_thread (fixture, refused_thread, fixture);
  g_assert_false (evp_event_loop_is_running (fixture->loop));
}

static gpointer
own_run_thread (gpointer data)
{
  Fixture *fixture = data;

  soon_then (fixture, "t", finish_cb);
  later (fixture, 0, "u");
  drive (fixture);
  g_assert_null (evp_running_loop_get ());
  return NULL;
}

/* Rules: L-16 */
static void
case_moves (Fixture *fixture)
{
  soon (fixture, "a");
  g_thread_join (g_thread_new ("first", own_run_thread, fixture));
  g_thread_join (g_thread_new ("second", own_run_thread, fixture));
  soon_then (fixture, "z", finish_cb);
  drive (fixture);
  assert_log (fixture, "atutuz");
}

typedef struct
{
  Fixture *fixture;
  guint n_released;
} Released;

static void
never_cb (gpointer user_data)
{
  g_assert_not_reached ();
}

static void
never_fd_cb (int      fd,
             gpointer user_data)
{
  g_assert_not_reached ();
}

static void
never_future_cb (EvpFuture *future,
                 gpointer   user_data)
{
  g_assert_not_reached ();
}

/* What is released while a loop closes finds it closed. */
static void
released (gpointer data)
{
  Released *self = data;
  EvpAbstractEventLoop *loop = self->fixture->loop;
  g_autoptr (GError) error = NULL;

  self->n_released++;
  if (loop == NULL || !evp_event_loop_is_closed (loop))
    return;
  g_assert_null (evp_event_loop_call_soon (loop, never_cb, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  g_assert_null (evp_event_loop_call_later (loop, 0, never_cb, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  g_assert_false (evp_event_loop_call_soon_threadsafe (loop, never_cb, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  g_assert_false (evp_event_loop_remove_reader (loop, 0));
  g_assert_true (evp_event_loop_close (loop, &error));
  g_assert_no_error (error);
}

/* Rules: L-12, L-13, L-14, F-16, G-4, G-12, Z-7 */
static void
case_close (Fixture *fixture)
{
  EvpAbstractEventLoop *loop = fixture->loop;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (loop);
  g_autoptr (EvpFuture) late = NULL;
  g_autoptr (EvpHandle) handle = NULL;
  g_autoptr (EvpHandle) shared = NULL;
  g_autoptr (EvpTimerHandle) timer = NULL;
  Released data = { fixture, 0 };
  gboolean fds = (fixture->kind->flags & CONTRACT_LOOP_FDS) != 0;
  gboolean signals = (fixture->kind->flags & CONTRACT_LOOP_SIGNALS) != 0;
  guint expected = 5;
  struct sigaction before, after;
  int pipe_fds[2];

  make_pipe (pipe_fds);
  put (pipe_fds[1]);
  sigaction (SIGUSR2, NULL, &before);

  handle = evp_handle_ref (evp_event_loop_call_soon (loop, never_cb, &data, released, &error));
  g_assert_true (evp_event_loop_call_soon_threadsafe (loop, never_cb, &data, released, &error));
  shared = evp_event_loop_call_soon_threadsafe_handle (loop, never_cb, &data, released, &error);
  timer = evp_timer_handle_ref (evp_event_loop_call_later (loop, 0, never_cb, &data, released, &error));
  evp_event_loop_call_later (loop, 1000, never_cb, &data, released, &error);
  evp_event_loop_call_later (loop, INFINITY, never_cb, NULL, NULL, &error);
  evp_future_add_done_callback (future, never_future_cb, NULL, NULL);
  if (fds)
    {
      g_assert_true (evp_event_loop_add_reader (loop, pipe_fds[0], never_fd_cb, &data, released, &error));
      g_assert_true (evp_event_loop_add_writer (loop, pipe_fds[1], never_fd_cb, &data, released, &error));
      expected += 2;
    }
  if (signals)
    {
      g_assert_true (evp_event_loop_add_signal_handler (loop, SIGUSR2, never_fd_cb, &data, released, &error));
      expected++;
    }
  g_assert_no_error (error);

  g_assert_true (evp_event_loop_close (loop, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (data.n_released, ==, expected);
  g_assert_true (evp_event_loop_is_closed (loop));
  g_assert_false (evp_event_loop_is_running (loop));
  g_assert_true (evp_event_loop_close (loop, &error));
  sigaction (SIGUSR2, NULL, &after);
  g_assert_true (after.sa_handler == before.sa_handler);
  /* descriptors and futures are the user's */
  get (pipe_fds[0]);
  g_assert_false (evp_future_done (future));

  /* refused, and what was given is released */
  data.n_released = 0;
#define REFUSED(result)                                         \
  G_STMT_START {                                                \
    g_assert_false ((result));                                  \
    g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);   \
    g_clear_error (&error);                                     \
  } G_STMT_END
  REFUSED (evp_event_loop_run_forever (loop, &error));
  REFUSED (evp_event_loop_run_until_complete (loop, future, &error));
  REFUSED (evp_event_loop_call_soon (loop, never_cb, &data, released, &error) != NULL);
  REFUSED (evp_event_loop_call_soon_threadsafe (loop, never_cb, &data, released, &error));
  REFUSED (evp_event_loop_call_soon_threadsafe_handle (loop, never_cb, &data, released, &error) != NULL);
  REFUSED (evp_event_loop_call_later (loop, 0, never_cb, &data, released, &error) != NULL);
  REFUSED (evp_event_loop_call_at (loop, 0, never_cb, &data, released, &error) != NULL);
  REFUSED (evp_event_loop_run_in_executor (loop, (EvpExecutorFunc) never_future_cb, &data, released, &error) != NULL);
  expected = 6;
  if (fds)
    {
      REFUSED (evp_event_loop_add_reader (loop, pipe_fds[0], never_fd_cb, &data, released, &error));
      REFUSED (evp_event_loop_add_writer (loop, pipe_fds[1], never_fd_cb, &data, released, &error));
      expected += 2;
    }
  if (signals)
    {
      REFUSED (evp_event_loop_add_signal_handler (loop, SIGUSR2, never_fd_cb, &data, released, &error));
      expected++;
    }
  g_assert_cmpuint (data.n_released, ==, expected);

  g_assert_false (evp_event_loop_remove_reader (loop, pipe_fds[0]));
  g_assert_false (evp_event_loop_remove_writer (loop, pipe_fds[1]));
  g_assert_false (evp_event_loop_remove_signal_handler (loop, SIGUSR2));
  evp_handle_cancel (handle);
  evp_handle_cancel (shared);
  evp_timer_handle_cancel (timer);
  g_assert_true (evp_handle_cancelled (handle));

  /* still fine */
  late = evp_event_loop_create_future (loop);
  g_assert_nonnull (late);
  evp_event_loop_stop (loop);
  g_assert_true (evp_event_loop_time (loop) > 0);
  g_assert_false (evp_event_loop_is_running (loop));
  evp_event_loop_set_debug (loop, TRUE);
  g_assert_true (evp_event_loop_get_debug (loop));
  evp_event_loop_set_debug (loop, FALSE);
  evp_event_loop_set_exception_handler (loop, NULL, NULL, NULL);

  close_both (pipe_fds);
}

/* Rules: L-13, L-15, U-5 */
static void
case_close_with_future (Fixture *fixture)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  Released data = { fixture, 0 };

  evp_future_add_done_callback (future, never_future_cb, &data, released);
  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  g_assert_cmpuint (data.n_released, ==, 0);
  set_int (future, 1); /* completes silently */
  g_assert_true (evp_future_done (future));
  g_assert_cmpuint (data.n_released, ==, 1);
}

/* Rules: L-18, Z-40 */
static void
case_dropped (Fixture *fixture)
{
  Released data = { fixture, 0 };
  g_autofree char *warning = NULL;
  guint n_warnings = evp_warn_runtime_get_count ();

  evp_event_loop_call_soon (fixture->loop, never_cb, &data, released, NULL);
  evp_event_loop_call_later (fixture->loop, 5, never_cb, &data, released, NULL);
  g_assert_finalize_object (g_steal_pointer (&fixture->loop));
  g_assert_cmpuint (data.n_released, ==, 2);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings + 1);
  warning = evp_warn_runtime_dup_last ();
  g_assert_nonnull (strstr (warning, "EventLoop"));
  fixture->n_expected_warnings = 1;
}

static void
unref_loop_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  g_object_unref (fixture->loop);
  fixture->finished = TRUE;
  if (fixture->kind->adopted)
    g_main_loop_quit (fixture->main_loop);
  else
    evp_event_loop_stop (fixture->loop); /* which runs, so it lives */
}

/* Rules: L-18, Z-8 */
static void
case_dropped_in_callback (Fixture *fixture)
{
  gpointer watched = fixture->loop;

  g_object_add_weak_pointer (G_OBJECT (fixture->loop), &watched);
  soon_then (fixture, "a", unref_loop_cb);
  soon (fixture, "b");
  drive (fixture);
  g_assert_null (watched);
  fixture->loop = NULL;
  g_assert_true (g_str_has_prefix (fixture->log->str, "a"));
  fixture->n_expected_warnings = 1;
}

typedef struct
{
  Fixture *fixture;
  EvpExceptionHandler handler;
  guint n_called;
} Handling;

static void
replacing_handler (EvpAbstractEventLoop *loop,
                   EvpExceptionContext  *context,
                   gpointer              user_data)
{
  Handling *handling = user_data;

  handling->n_called++;
  g_assert_true (loop == handling->fixture->loop);
  /* replacing itself: its data stays while it runs */
  evp_event_loop_set_exception_handler (loop, NULL, NULL, NULL);
  handling->n_called++;
}

static void
handling_free (gpointer data)
{
  Handling *handling = data;

  g_string_append_printf (handling->fixture->log, "~%u", handling->n_called);
  g_free (handling);
}

/* Rules, Z-7 */
static void
case_exception_handler (Fixture *fixture)
{
  g_autoptr (EvpExceptionContext) context = evp_exception_context_new ("it broke");
  g_autoptr (GError) error = g_error_new_literal (EVP_ERROR, EVP_ERROR_FAILED, "no luck");
  Handling *handling = g_new0 (Handling, 1);
  g_autofree char *logged = NULL;
  g_autofree char *text = NULL;

  evp_exception_context_set_error (context, error);
  evp_event_loop_call_exception_handler (fixture->loop, context);
  g_assert_cmpuint (fixture->reports->len, ==, 1);
  g_assert_true (g_ptr_array_index (fixture->reports, 0) == context);

  handling->fixture = fixture;
  evp_event_loop_set_exception_handler (fixture->loop, replacing_handler, handling, handling_free);
  evp_event_loop_call_exception_handler (fixture->loop, context);
  assert_log (fixture, "~2");
  g_assert_cmpuint (fixture->reports->len, ==, 1);

  /* the default logs, and survives fatal warnings, under which all tests of GLib run */
  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  evp_event_loop_call_exception_handler (fixture->loop, context);
  logged = evp_warn_runtime_dup_last ();
  text = evp_exception_context_to_string (context);
  g_assert_cmpstr (logged, ==, text);
  fixture->n_expected_warnings = 1;
}

static void
fail_and_count_cb (gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (EvpExceptionContext) context = evp_exception_context_new ("a callback failed");

  evp_event_loop_call_exception_handler (fixture->loop, context);
}

static gpointer
report_thread (gpointer data)
{
  fail_and_count_cb (data);
  return NULL;
}

/* Rules, F-13, G-14 */
static void
case_failing_callback (Fixture *fixture)
{
  soon (fixture, "a");
  soon_then (fixture, "b", fail_and_count_cb);
  soon_then (fixture, "c", finish_cb);
  drive (fixture);
  assert_log (fixture, "abc");
  g_assert_cmpuint (fixture->reports->len, ==, 1);

  g_thread_join (g_thread_new ("report", report_thread, fixture));
  g_assert_cmpuint (fixture->reports->len, ==, 2);
}

static gpointer
wrong_thread (gpointer data)
{
  Fixture *fixture = data;
  g_autoptr (GError) error = NULL;
  Released data_of_calls = { fixture, 0 };

  g_assert_null (evp_event_loop_call_soon (fixture->loop, never_cb, &data_of_calls, released, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WRONG_THREAD);
  g_clear_error (&error);
  g_assert_null (evp_event_loop_call_later (fixture->loop, 0, never_cb, &data_of_calls, released, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WRONG_THREAD);
  g_clear_error (&error);
  g_assert_null (evp_event_loop_call_at (fixture->loop, 0, never_cb, &data_of_calls, released, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WRONG_THREAD);
  g_clear_error (&error);
  g_assert_cmpuint (data_of_calls.n_released, ==, 3);
  return post_finish_thread (fixture);
}

static gpointer
call_soon_thread (gpointer data)
{
  soon (data, "t");
  return NULL;
}

/* Rules: D-1, D-2 */
static void
case_debug_thread (Fixture *fixture)
{
  g_assert_false (evp_event_loop_get_debug (fixture->loop));
  evp_event_loop_set_debug (fixture->loop, TRUE);
  g_assert_true (evp_event_loop_get_debug (fixture->loop));

  /* while it does not run nobody checks */
  g_thread_join (g_thread_new ("allowed", call_soon_thread, fixture));
  soon (fixture, "a");
  drive_with_thread (fixture, wrong_thread, fixture);
  assert_log (fixture, "ta");
}

/* Rules: D-4 */
static void
case_debug_slow (Fixture *fixture)
{
  g_autofree char *text = NULL;
  guint n_warnings;

  if (!g_object_class_find_property (G_OBJECT_GET_CLASS (fixture->loop), "slow-callback-duration"))
    {
      g_test_skip ("a loop without slow-callback-duration");
      return;
    }
  evp_event_loop_set_debug (fixture->loop, TRUE);
  n_warnings = evp_warn_runtime_get_count ();
  g_object_set (fixture->loop, "slow-callback-duration", 3600.0, NULL);
  soon_then (fixture, "a", finish_cb);
  drive (fixture);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings);

  g_object_set (fixture->loop, "slow-callback-duration", 0.0, NULL); /* reports everything */
  soon_then (fixture, "a", finish_cb);
  drive (fixture);
  g_assert_cmpuint (evp_warn_runtime_get_count (), >=, n_warnings + 1);
  text = evp_warn_runtime_dup_last ();
  g_assert_nonnull (strstr (text, "0.0"));
  fixture->n_expected_warnings = evp_warn_runtime_get_count () - n_warnings;
}

/* Rules: D-3 */
static void
case_no_callback (Fixture *fixture)
{
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*callback != NULL*");
  g_assert_null (evp_event_loop_call_soon (fixture->loop, NULL, NULL, NULL, NULL));
  g_test_assert_expected_messages ();
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*callback != NULL*");
  g_assert_null (evp_event_loop_call_later (fixture->loop, 0, NULL, NULL, NULL, NULL));
  g_test_assert_expected_messages ();
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*callback != NULL*");
  g_assert_false (evp_event_loop_call_soon_threadsafe (fixture->loop, NULL, NULL, NULL, NULL));
  g_test_assert_expected_messages ();
}

const ContractEntry contract_loop_life_cases[] = {
  { "new", case_new, IN_BOTH },
  { "run-again", case_run_again, IN_BOTH },
  { "stop-before-run", case_stop_before_run, IN_RUN },
  { "stop-in-callback", case_stop_in_callback, IN_RUN },
  { "stop-from-thread", case_stop_from_thread, IN_BOTH },
  { "stop-flag-from-thread", case_stop_flag_from_thread, IN_RUN },
  { "until-complete", case_until_complete, IN_RUN },
  { "until-complete-later", case_until_complete_later, IN_RUN },
  { "until-stopped", case_until_stopped, IN_RUN },
  { "foreign-future", case_foreign_future, IN_RUN },
  { "nested-run", case_nested_run, IN_BOTH },
  { "run-in-two-threads", case_run_in_two_threads, IN_BOTH },
  { "moves", case_moves, IN_BOTH },
  { "close", case_close, IN_BOTH },
  { "close-with-future", case_close_with_future, IN_BOTH },
  { "dropped", case_dropped, IN_BOTH },
  { "dropped-in-callback", case_dropped_in_callback, IN_BOTH },
  { "exception-handler", case_exception_handler, IN_BOTH },
  { "failing-callback", case_failing_callback, IN_BOTH },
  { "debug-thread", case_debug_thread, IN_BOTH },
  { "debug-slow", case_debug_slow, IN_BOTH },
  { "no-callback", case_no_callback, IN_RUN },
  { NULL },
};
