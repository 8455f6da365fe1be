/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error.h"
#include "evp/loop/evp-future.h"
#include "evp/loop/evp-selector-event-loop.h"
#include "support/evp-test-support.h"

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpTestLeaks leaks;
  GString *log;
  GPtrArray *reports; /* contexts that the exception handler got */
} Fixture;

static void
report_cb (EvpAbstractEventLoop *loop,
           EvpExceptionContext  *context,
           gpointer              user_data)
{
  Fixture *fixture = user_data;

  g_assert_true (loop == fixture->loop);
  g_ptr_array_add (fixture->reports, evp_exception_context_ref (context));
}

static void
fixture_set_up (Fixture      *fixture,
                gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  fixture->leaks = evp_test_leaks_begin ();
  fixture->log = g_string_new (NULL);
  fixture->reports = g_ptr_array_new_with_free_func ((GDestroyNotify) evp_exception_context_unref);
  fixture->loop = evp_selector_event_loop_new (NULL, NULL, &error);
  g_assert_no_error (error);
  evp_event_loop_set_exception_handler (fixture->loop, report_cb, fixture, NULL);
}

static void
fixture_tear_down (Fixture      *fixture,
                   gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_close (fixture->loop, &error);
  g_assert_no_error (error);
  g_assert_finalize_object (fixture->loop);
  g_string_free (fixture->log, TRUE);
  g_ptr_array_unref (fixture->reports);
  evp_test_leaks_check (&fixture->leaks);
}

/* One iteration: what is ready now, and nothing that it adds. */
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
} Letter;

static Letter *
letter (Fixture    *fixture,
        const char *text)
{
  Letter *self = g_new (Letter, 1);

  *self = (Letter) { fixture, text };
  return self;
}

static void
letter_cb (EvpFuture *future,
           gpointer   user_data)
{
  Letter *self = user_data;

  g_assert_true (evp_future_done (future));
  g_string_append (self->fixture->log, self->letter);
}

static void
letter_free (gpointer data)
{
  Letter *self = data;

  g_string_append_c (self->fixture->log, '~');
  g_free (self);
}

static void
letter_soon_cb (gpointer user_data)
{
  Letter *self = user_data;

  g_string_append (self->fixture->log, self->letter);
}

static void
set_int (EvpFuture *future,
         int        number)
{
  g_auto (GValue) value = G_VALUE_INIT;
  g_autoptr (GError) error = NULL;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, number);
  g_assert_true (evp_future_set_result (future, &value, &error));
  g_assert_no_error (error);
}

static void
assert_int (EvpFuture *future,
            int        number)
{
  g_autoptr (GError) error = NULL;
  const GValue *value = evp_future_get_result (future, &error);

  g_assert_no_error (error);
  g_assert_true (G_VALUE_HOLDS_INT (value));
  g_assert_cmpint (g_value_get_int (value), ==, number);
}

static void
assert_result_error (EvpFuture *future,
                     int        code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_future_get_result (future, &error));
  g_assert_error (error, EVP_ERROR, code);
  /* nobody has to ask for the error */
  g_assert_null (evp_future_get_result (future, NULL));
}

static GError *
some_error (void)
{
  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NOT_EMPTY, "it is not empty");
}

/* Rules: U-1, U-2, U-3, U-8 */
static void
test_result (Fixture      *fixture,
             gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) failure = some_error ();
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_future_get_loop (future) == fixture->loop);
  g_assert_false (evp_future_done (future));
  g_assert_false (evp_future_cancelled (future));
  assert_result_error (future, EVP_ERROR_INVALID_STATE);

  set_int (future, 7);
  g_assert_true (evp_future_done (future));
  g_assert_false (evp_future_cancelled (future));
  assert_int (future, 7);
  assert_int (future, 7);

  /* final: nothing changes it any more */
  g_assert_false (evp_future_set_result (future, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_assert_false (evp_future_set_result (future, NULL, NULL));
  g_assert_false (evp_future_set_error (future, failure));
  g_assert_false (evp_future_cancel (future));
  assert_int (future, 7);
}

/* Rules: U-1, U-3 */
static void
test_result_null (Fixture      *fixture,
                  gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_future_set_result (future, NULL, &error));
  g_assert_true (evp_future_done (future));
  g_assert_null (evp_future_get_result (future, &error));
  g_assert_no_error (error);
}

/* Rules: U-1, U-2, U-3 */
static void
test_error (Fixture      *fixture,
            gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) failure = some_error ();
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_future_set_error (future, failure));
  g_assert_true (evp_future_done (future));
  g_assert_false (evp_future_cancelled (future));
  for (int i = 0; i < 2; i++)
    {
      g_clear_error (&error);
      g_assert_null (evp_future_get_result (future, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_EMPTY);
      g_assert_cmpstr (error->message, ==, "it is not empty");
    }
  g_assert_false (evp_future_set_error (future, failure));
  g_assert_false (evp_future_set_result (future, NULL, NULL));
}

/* Rules: U-1, U-2, U-3, U-4 */
static void
test_cancel (Fixture      *fixture,
             gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) error = NULL;

  evp_future_add_done_callback (future, letter_cb, letter (fixture, "a"), letter_free);
  g_assert_true (evp_future_cancel (future));
  g_assert_true (evp_future_done (future));
  g_assert_true (evp_future_cancelled (future));
  g_assert_false (evp_future_cancel (future));
  g_assert_false (evp_future_set_result (future, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  assert_result_error (future, EVP_ERROR_CANCELLED);
  g_assert_cmpstr (fixture->log->str, ==, "");
  turn (fixture);
  g_assert_cmpstr (fixture->log->str, ==, "a~");
}

/* Rules: U-5, C-1, Z-4 */
static void
test_callbacks (Fixture      *fixture,
                gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  guint ids[4];

  evp_event_loop_call_soon (fixture->loop, letter_soon_cb, letter (fixture, "1"), letter_free, NULL);
  ids[0] = evp_future_add_done_callback (future, letter_cb, letter (fixture, "a"), letter_free);
  ids[1] = evp_future_add_done_callback (future, letter_cb, letter (fixture, "b"), letter_free);
  ids[2] = evp_future_add_done_callback (future, letter_cb, letter (fixture, "b"), letter_free);
  ids[3] = evp_future_add_done_callback (future, letter_cb, letter (fixture, "c"), letter_free);
  for (guint i = 0; i < 4; i++)
    {
      g_assert_cmpuint (ids[i], !=, 0);
      for (guint j = 0; j < i; j++)
        g_assert_cmpuint (ids[i], !=, ids[j]);
    }

  set_int (future, 1);
  evp_event_loop_call_soon (fixture->loop, letter_soon_cb, letter (fixture, "2"), letter_free, NULL);
  g_assert_cmpstr (fixture->log->str, ==, "");
  turn (fixture);
  g_assert_cmpstr (fixture->log->str, ==, "1~a~b~b~c~2~");

  /* a future that is done calls in the next turn */
  g_string_truncate (fixture->log, 0);
  evp_future_add_done_callback (future, letter_cb, letter (fixture, "d"), letter_free);
  g_assert_cmpstr (fixture->log->str, ==, "");
  turn (fixture);
  g_assert_cmpstr (fixture->log->str, ==, "d~");
}

/* Rules: U-6 */
static void
test_remove_callback (Fixture      *fixture,
                      gconstpointer data)
{
  /* each position of three, and what stays in order */
  static const char *const expected[3] = { "b~c~d~", "a~c~d~", "a~b~d~" };
  static const char *const names[4] = { "a", "b", "c", "d" };

  for (guint removed = 0; removed < 3; removed++)
    {
      g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
      guint ids[4];

      for (guint i = 0; i < 3; i++)
        ids[i] = evp_future_add_done_callback (future, letter_cb, letter (fixture, names[i]), letter_free);
      g_string_truncate (fixture->log, 0);
      g_assert_true (evp_future_remove_done_callback (future, ids[removed]));
      g_assert_cmpstr (fixture->log->str, ==, "~");
      g_assert_false (evp_future_remove_done_callback (future, ids[removed]));
      g_assert_false (evp_future_remove_done_callback (future, 0));
      ids[3] = evp_future_add_done_callback (future, letter_cb, letter (fixture, names[3]), letter_free);
      g_assert_cmpuint (ids[3], !=, ids[removed]);

      g_string_truncate (fixture->log, 0);
      set_int (future, 1);
      /* on their way: too late */
      for (guint i = 0; i < 4; i++)
        g_assert_false (evp_future_remove_done_callback (future, ids[i]));
      turn (fixture);
      g_assert_cmpstr (fixture->log->str, ==, expected[removed]);
    }
}

/* Rules: U-6 */
static void
test_remove_all (Fixture      *fixture,
                 gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  guint a = evp_future_add_done_callback (future, letter_cb, letter (fixture, "a"), letter_free);
  guint b = evp_future_add_done_callback (future, letter_cb, letter (fixture, "b"), letter_free);

  g_assert_true (evp_future_remove_done_callback (future, b));
  g_assert_true (evp_future_remove_done_callback (future, a));
  set_int (future, 1);
  turn (fixture);
  g_assert_cmpstr (fixture->log->str, ==, "~~");
}

static void
change_list_cb (EvpFuture *future,
                gpointer   user_data)
{
  Fixture *fixture = user_data;

  g_string_append_c (fixture->log, 'x');
  evp_future_add_done_callback (future, letter_cb, letter (fixture, "n"), letter_free);
}

/* Rules: U-6, I-3 */
static void
test_callback_adds (Fixture      *fixture,
                    gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);

  evp_future_add_done_callback (future, change_list_cb, fixture, NULL);
  evp_future_add_done_callback (future, letter_cb, letter (fixture, "a"), letter_free);
  set_int (future, 1);
  turn (fixture);
  g_assert_cmpstr (fixture->log->str, ==, "xa~");
  turn (fixture);
  g_assert_cmpstr (fixture->log->str, ==, "xa~n~");
}

static void
remove_other_free (gpointer data)
{
  EvpFuture *future = data;

  /* the list is changed by what a removal releases */
  evp_future_remove_done_callback (future, 2);
}

static void
never_cb (EvpFuture *future,
          gpointer   user_data)
{
  g_assert_not_reached ();
}

/* Rules: U-6, Z-7 */
static void
test_release_removes (Fixture      *fixture,
                      gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  guint first = evp_future_add_done_callback (future, never_cb, future, remove_other_free);
  guint second = evp_future_add_done_callback (future, never_cb, NULL, NULL);

  evp_future_add_done_callback (future, letter_cb, letter (fixture, "c"), letter_free);
  g_assert_cmpuint (second, ==, 2);
  g_assert_true (evp_future_remove_done_callback (future, first));
  g_assert_false (evp_future_remove_done_callback (future, second));
  set_int (future, 1);
  turn (fixture);
  g_assert_cmpstr (fixture->log->str, ==, "c~");
}

/* Rules: U-5, Z-8 */
static void
test_last_reference (Fixture      *fixture,
                     gconstpointer data)
{
  EvpFuture *future = evp_event_loop_create_future (fixture->loop);
  gpointer watched = future;

  g_object_add_weak_pointer (G_OBJECT (future), &watched);
  evp_future_add_done_callback (future, letter_cb, letter (fixture, "a"), letter_free);
  evp_future_add_done_callback (future, letter_cb, letter (fixture, "b"), letter_free);
  set_int (future, 1);
  g_object_unref (future);
  g_assert_nonnull (watched); /* its callbacks get it */
  turn (fixture);
  g_assert_null (watched);
  g_assert_cmpstr (fixture->log->str, ==, "a~b~");
}

/* Rules: U-6 */
static void
test_pending_finalized (Fixture      *fixture,
                        gconstpointer data)
{
  EvpFuture *future = evp_event_loop_create_future (fixture->loop);

  evp_future_add_done_callback (future, never_cb, letter (fixture, "a"), letter_free);
  evp_future_add_done_callback (future, never_cb, letter (fixture, "b"), letter_free);
  g_assert_finalize_object (future);
  g_assert_cmpstr (fixture->log->str, ==, "~~");
  turn (fixture);
  g_assert_cmpuint (fixture->reports->len, ==, 0);
}

static void
fail_cb (EvpFuture *future,
         gpointer   user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (EvpExceptionContext) context = evp_exception_context_new ("a callback failed");

  evp_event_loop_call_exception_handler (fixture->loop, context);
}

/* Rules: U-7, X-1, X-10 */
static void
test_failing_callback (Fixture      *fixture,
                       gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);

  evp_future_add_done_callback (future, fail_cb, fixture, NULL);
  evp_future_add_done_callback (future, letter_cb, letter (fixture, "b"), letter_free);
  set_int (future, 1);
  turn (fixture);
  g_assert_cmpuint (fixture->reports->len, ==, 1);
  g_assert_cmpstr (fixture->log->str, ==, "b~");
}

/* Rules: U-9, U-13 */
static void
test_never_retrieved (Fixture      *fixture,
                      gconstpointer data)
{
  EvpFuture *future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) failure = some_error ();
  EvpExceptionContext *context;

  evp_future_add_done_callback (future, letter_cb, letter (fixture, "a"), letter_free);
  g_assert_true (evp_future_set_error (future, failure));
  turn (fixture);
  g_assert_cmpstr (fixture->log->str, ==, "a~");
  g_assert_cmpuint (fixture->reports->len, ==, 0);

  g_assert_finalize_object (future);
  turn (fixture);
  g_assert_cmpuint (fixture->reports->len, ==, 1);
  context = g_ptr_array_index (fixture->reports, 0);
  g_assert_nonnull (strstr (evp_exception_context_get_message (context), "never retrieved"));
  g_assert_error (evp_exception_context_get_error (context), G_IO_ERROR, G_IO_ERROR_NOT_EMPTY);
  g_assert_true (g_str_has_prefix (evp_exception_context_get_string (context, "future"), "<EvpFuture"));
  g_assert_null (evp_exception_context_get_string (context, "source_traceback"));

  turn (fixture);
  g_assert_cmpuint (fixture->reports->len, ==, 1);
}

/* Rules: U-9 */
static void
test_retrieved (Fixture      *fixture,
                gconstpointer data)
{
  g_autoptr (GError) failure = some_error ();

  for (int how = 0; how < 4; how++)
    {
      EvpFuture *future = evp_event_loop_create_future (fixture->loop);

      switch (how)
        {
        case 0:
          g_assert_true (evp_future_set_error (future, failure));
          g_assert_null (evp_future_get_result (future, NULL));
          break;
        case 1:
          g_assert_true (evp_future_set_error (future, failure));
          g_assert_false (evp_future_cancel (future));
          break;
        case 2:
          set_int (future, 1);
          break;
        default:
          g_assert_true (evp_future_cancel (future));
        }
      g_assert_finalize_object (future);
      turn (fixture);
      g_assert_cmpuint (fixture->reports->len, ==, 0);
    }
}

/* Rules: U-9, X-9 */
static void
test_never_retrieved_closed (Fixture      *fixture,
                             gconstpointer data)
{
  EvpFuture *early = evp_event_loop_create_future (fixture->loop);
  EvpFuture *late = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) failure = some_error ();
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_future_set_error (early, failure));
  g_assert_true (evp_future_set_error (late, failure));
  g_assert_finalize_object (early);
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  /* it was in the queue that close() dropped */
  g_assert_cmpuint (fixture->reports->len, ==, 1);

  g_assert_finalize_object (late);
  g_assert_cmpuint (fixture->reports->len, ==, 2);
}

static gpointer
unref_thread (gpointer data)
{
  g_object_unref (data);
  return NULL;
}

/* Rules: U-9, U-13, X-9, Z-44 */
static void
test_never_retrieved_thread (Fixture      *fixture,
                             gconstpointer data)
{
  EvpFuture *future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) failure = some_error ();

  g_assert_true (evp_future_set_error (future, failure));
  g_thread_join (g_thread_new ("unref", unref_thread, g_steal_pointer (&future)));
  g_assert_cmpuint (fixture->reports->len, ==, 0);
  turn (fixture);
  g_assert_cmpuint (fixture->reports->len, ==, 1);
}

/* Rules: D-5, U-9 */
static void
test_creation_trace (Fixture      *fixture,
                     gconstpointer data)
{
  g_autoptr (GError) failure = some_error ();
  EvpFuture *future;

  evp_event_loop_set_debug (fixture->loop, TRUE);
  future = evp_event_loop_create_future (fixture->loop);
  g_assert_true (evp_future_set_error (future, failure));
  g_assert_finalize_object (future);
  turn (fixture);
  g_assert_cmpuint (fixture->reports->len, ==, 1);
#ifdef HAVE_BACKTRACE
  g_assert_nonnull (evp_exception_context_get_string (g_ptr_array_index (fixture->reports, 0),
                                                      "source_traceback"));
#endif
}

/* Rules: L-14, L-15 */
static void
test_closed_loop (Fixture      *fixture,
                  gconstpointer data)
{
  g_autoptr (EvpFuture) before = evp_event_loop_create_future (fixture->loop);
  g_autoptr (EvpFuture) after = NULL;
  g_autoptr (GError) error = NULL;

  evp_future_add_done_callback (before, never_cb, letter (fixture, "a"), letter_free);
  evp_future_add_done_callback (before, never_cb, letter (fixture, "b"), letter_free);
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_assert_false (evp_future_done (before)); /* close() cancels no futures */
  g_assert_cmpstr (fixture->log->str, ==, "");

  set_int (before, 3);
  assert_int (before, 3);
  g_assert_cmpstr (fixture->log->str, ==, "~~");

  after = evp_event_loop_create_future (fixture->loop);
  g_assert_nonnull (after);
  g_assert_true (evp_future_cancel (after));
  g_string_truncate (fixture->log, 0);
  g_assert_cmpuint (evp_future_add_done_callback (after, never_cb, letter (fixture, "c"), letter_free), !=, 0);
  g_assert_cmpstr (fixture->log->str, ==, "~");
}

/* Rules: L-13, U-5 */
static void
test_close_drops_scheduled (Fixture      *fixture,
                            gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) error = NULL;

  evp_future_add_done_callback (future, never_cb, letter (fixture, "a"), letter_free);
  evp_future_add_done_callback (future, never_cb, letter (fixture, "b"), letter_free);
  set_int (future, 1);
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_assert_cmpstr (fixture->log->str, ==, "~~");
}

typedef struct
{
  EvpFuture *future;
  int how;
  gboolean answers[3];
} Worker;

static gpointer
complete_thread (gpointer data)
{
  Worker *worker = data;

  for (int i = 0; i < 3; i++)
    if (worker->how == 0)
      {
        g_auto (GValue) value = G_VALUE_INIT;

        g_value_init (&value, G_TYPE_INT);
        g_value_set_int (&value, 100 + i);
        worker->answers[i] = evp_future_set_result (worker->future, &value, NULL);
      }
    else if (worker->how == 1)
      {
        g_autoptr (GError) failure = some_error ();

        worker->answers[i] = evp_future_set_error (worker->future, failure);
      }
    else
      worker->answers[i] = evp_future_cancel (worker->future);
  return NULL;
}

/* Rules: U-8, U-10, C-3 */
static void
test_completed_by_thread (Fixture      *fixture,
                          gconstpointer data)
{
  for (int how = 0; how < 3; how++)
    {
      g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
      Worker worker = { future, how, { FALSE } };

      g_string_truncate (fixture->log, 0);
      evp_future_add_done_callback (future, letter_cb, letter (fixture, "a"), letter_free);
      g_thread_join (g_thread_new ("complete", complete_thread, &worker));
      /* the first completion counts, and takes effect on the thread of the loop */
      g_assert_true (worker.answers[0]);
      g_assert_false (worker.answers[1]);
      g_assert_false (worker.answers[2]);
      g_assert_false (evp_future_done (future));
      turn (fixture);
      g_assert_true (evp_future_done (future));
      turn (fixture);
      g_assert_cmpstr (fixture->log->str, ==, "a~");
      if (how == 0)
        {
          assert_int (future, 100);
        }
      else if (how == 1)
        {
          g_autoptr (GError) error = NULL;

          evp_future_get_result (future, &error);
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_EMPTY);
        }
      else
        {
          g_assert_true (evp_future_cancelled (future));
        }
    }
}

/* Rules: U-8, U-10, E-3 */
static void
test_cancel_beats_thread (Fixture      *fixture,
                          gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  Worker worker = { future, 0, { FALSE } };

  evp_future_add_done_callback (future, letter_cb, letter (fixture, "a"), letter_free);
  g_thread_join (g_thread_new ("complete", complete_thread, &worker));
  g_assert_true (evp_future_cancel (future));
  turn (fixture);
  turn (fixture);
  g_assert_true (evp_future_cancelled (future));
  g_assert_cmpstr (fixture->log->str, ==, "a~");
}

/* Rules: L-15, E-2 */
static void
test_thread_completes_closed (Fixture      *fixture,
                              gconstpointer data)
{
  g_autoptr (EvpFuture) posted = evp_event_loop_create_future (fixture->loop);
  g_autoptr (EvpFuture) refused = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) error = NULL;
  Worker worker = { posted, 1, { FALSE } };

  evp_future_add_done_callback (posted, never_cb, letter (fixture, "a"), letter_free);
  evp_future_add_done_callback (refused, never_cb, letter (fixture, "b"), letter_free);
  g_thread_join (g_thread_new ("complete", complete_thread, &worker));
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_assert_true (evp_future_done (posted));
  g_assert_cmpstr (fixture->log->str, ==, "~");

  worker.future = refused;
  g_thread_join (g_thread_new ("complete", complete_thread, &worker));
  g_assert_true (worker.answers[0]);
  g_assert_true (evp_future_done (refused));
  g_assert_cmpstr (fixture->log->str, ==, "~~");

  /* dropped without noise, though they are errors */
  g_clear_object (&posted);
  g_clear_object (&refused);
  g_assert_cmpuint (fixture->reports->len, ==, 0);
}

static void
note_thread (gpointer data)
{
  GThread **thread = data;

  *thread = g_thread_self ();
}

/* Rules: L-15, Z-7, Z-42 */
static void
test_thread_completes_closed_default (Fixture      *fixture,
                                      gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (NULL, g_main_context_default (), &error);
  EvpFuture *future = evp_event_loop_create_future (loop);
  Worker worker = { future, 0, { FALSE } };
  GThread *released_by = NULL;

  g_assert_no_error (error);
  evp_future_add_done_callback (future, never_cb, &released_by, note_thread);
  g_assert_true (evp_event_loop_close (loop, &error));
  g_thread_join (g_thread_new ("complete", complete_thread, &worker));
  g_assert_true (evp_future_done (future));
  /* whoever iterates the default context still does when the loop is gone */
  g_assert_null (released_by);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_true (released_by == g_thread_self ());
  g_assert_finalize_object (future);
  g_assert_finalize_object (loop);
}

#define N_RACERS 4

typedef struct
{
  EvpFuture **futures;
  guint n_futures;
  guint n_won;
} Racer;

static gpointer
race_thread (gpointer data)
{
  Racer *racer = data;

  for (guint i = 0; i < racer->n_futures; i++)
    if (evp_future_set_result (racer->futures[i], NULL, NULL))
      racer->n_won++;
  return NULL;
}

static void
count_cb (EvpFuture *future,
          gpointer   user_data)
{
  guint *count = user_data;

  (*count)++;
}

/* Rules: U-8, C-4 */
static void
test_racing_threads (Fixture      *fixture,
                     gconstpointer data)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "futures that threads race for");
  enum { N = 500 };
  EvpFuture *futures[N];
  Racer racers[N_RACERS];
  GThread *threads[N_RACERS];
  guint n_called = 0, n_won = 0;

  for (guint i = 0; i < N; i++)
    {
      futures[i] = evp_event_loop_create_future (fixture->loop);
      evp_future_add_done_callback (futures[i], count_cb, &n_called, NULL);
    }
  for (guint i = 0; i < N_RACERS; i++)
    {
      racers[i] = (Racer) { futures, N, 0 };
      threads[i] = g_thread_new ("racer", race_thread, &racers[i]);
    }
  while (n_called < N)
    turn (fixture);
  for (guint i = 0; i < N_RACERS; i++)
    {
      g_thread_join (threads[i]);
      n_won += racers[i].n_won;
    }
  turn (fixture);
  g_assert_cmpuint (n_won, ==, N);
  g_assert_cmpuint (n_called, ==, N);
  for (guint i = 0; i < N; i++)
    g_assert_finalize_object (futures[i]);
}

typedef struct
{
  Fixture *fixture;
  EvpFuture *future;
  int number;
  GError *error;
  guint n_called;
} Awaited;

static void
awaited_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Awaited *awaited = user_data;
  g_autoptr (GObject) from_result = g_async_result_get_source_object (result);
  const GValue *value;

  g_assert_true (source == G_OBJECT (awaited->future));
  g_assert_true (from_result == source);
  g_assert_true (g_async_result_get_user_data (result) == awaited);
  g_assert_true (g_async_result_is_tagged (result, evp_future_await_async));
  value = evp_future_await_finish (awaited->future, result, &awaited->error);
  awaited->number = value != NULL ? g_value_get_int (value) : -1;
  awaited->n_called++;
  g_string_append_c (awaited->fixture->log, 'w');
}

/* Rules: U-5, U-13, Z-4, Z-45 */
static void
test_await (Fixture      *fixture,
            gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  Awaited awaited = { fixture, future };

  evp_future_add_done_callback (future, letter_cb, letter (fixture, "a"), letter_free);
  evp_future_await_async (future, NULL, awaited_cb, &awaited);
  evp_future_add_done_callback (future, letter_cb, letter (fixture, "b"), letter_free);
  set_int (future, 12);
  g_assert_cmpuint (awaited.n_called, ==, 0);
  turn (fixture);
  g_assert_no_error (awaited.error);
  g_assert_cmpint (awaited.number, ==, 12);
  g_assert_cmpstr (fixture->log->str, ==, "a~wb~");

  /* done already: in the next turn, not at once */
  evp_future_await_async (future, NULL, awaited_cb, &awaited);
  evp_future_await_async (future, NULL, NULL, NULL);
  g_assert_cmpuint (awaited.n_called, ==, 1);
  turn (fixture);
  g_assert_cmpuint (awaited.n_called, ==, 2);
}

/* Rules: U-3, U-9 */
static void
test_await_error (Fixture      *fixture,
                  gconstpointer data)
{
  EvpFuture *failed = evp_event_loop_create_future (fixture->loop);
  g_autoptr (EvpFuture) cancelled = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) failure = some_error ();
  Awaited awaited = { fixture, failed };

  evp_future_await_async (failed, NULL, awaited_cb, &awaited);
  evp_future_set_error (failed, failure);
  turn (fixture);
  g_assert_error (awaited.error, G_IO_ERROR, G_IO_ERROR_NOT_EMPTY);
  g_clear_error (&awaited.error);
  g_assert_finalize_object (failed);
  turn (fixture);
  g_assert_cmpuint (fixture->reports->len, ==, 0); /* finishing is asking */

  awaited.future = cancelled;
  evp_future_await_async (cancelled, NULL, awaited_cb, &awaited);
  evp_future_cancel (cancelled);
  turn (fixture);
  g_assert_error (awaited.error, EVP_ERROR, EVP_ERROR_CANCELLED);
  g_clear_error (&awaited.error);
}

static gpointer
cancel_thread (gpointer data)
{
  g_cancellable_cancel (data);
  return NULL;
}

/* Rules: U-12 */
static void
test_await_cancelled (Fixture      *fixture,
                      gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  Awaited other = { fixture, future };

  evp_future_await_async (future, NULL, awaited_cb, &other);
  for (int how = 0; how < 3; how++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      Awaited awaited = { fixture, future };

      if (how == 0) /* before it begins */
        g_cancellable_cancel (cancellable);
      evp_future_await_async (future, cancellable, awaited_cb, &awaited);
      if (how == 1)
        g_cancellable_cancel (cancellable);
      else if (how == 2)
        g_thread_join (g_thread_new ("cancel", cancel_thread, cancellable));
      g_assert_cmpuint (awaited.n_called, ==, 0);
      turn (fixture);
      g_assert_cmpuint (awaited.n_called, ==, 1);
      g_assert_error (awaited.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&awaited.error);
      g_assert_finalize_object (g_steal_pointer (&cancellable));
    }

  /* only those waits ended: the future and who else waits know nothing of it */
  g_assert_false (evp_future_done (future));
  set_int (future, 4);
  turn (fixture);
  g_assert_cmpuint (other.n_called, ==, 1);
  g_assert_cmpint (other.number, ==, 4);
}

/* Rules: U-12 */
static void
test_await_both (Fixture      *fixture,
                 gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Awaited awaited = { fixture, future };

  /* done first, cancelled while the callback is on its way: called once, with the result */
  evp_future_await_async (future, cancellable, awaited_cb, &awaited);
  set_int (future, 5);
  g_cancellable_cancel (cancellable);
  turn (fixture);
  turn (fixture);
  g_assert_cmpuint (awaited.n_called, ==, 1);
  g_assert_no_error (awaited.error);
  g_assert_cmpint (awaited.number, ==, 5);
}

/* Rules: L-15 */
static void
test_await_closed (Fixture      *fixture,
                   gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (EvpFuture) queued = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  Awaited awaited[3] = { { fixture, future }, { fixture, future }, { fixture, queued } };

  evp_future_await_async (future, NULL, awaited_cb, &awaited[0]);
  evp_future_await_async (future, cancellable, awaited_cb, &awaited[1]);
  evp_future_await_async (queued, NULL, awaited_cb, &awaited[2]);
  set_int (queued, 8);
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_cancellable_cancel (cancellable);
  set_int (future, 6);

  /* whoever waits hears of it, in the main context where the wait began */
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (awaited[i].n_called, ==, 0);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (awaited[i].n_called, ==, 1);
  g_assert_cmpint (awaited[0].number, ==, 6);
  g_assert_error (awaited[1].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&awaited[1].error);
  g_assert_cmpint (awaited[2].number, ==, 8);
}

/* Rules: U-13 */
static void
test_async_result (Fixture      *fixture,
                   gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GObject) source = g_async_result_get_source_object (G_ASYNC_RESULT (future));

  g_assert_true (source == G_OBJECT (fixture->loop));
  g_assert_null (g_async_result_get_user_data (G_ASYNC_RESULT (future)));
  g_assert_false (g_async_result_is_tagged (G_ASYNC_RESULT (future), NULL));
}

/* Rules: U-13 */
static void
test_ready_callback (Fixture      *fixture,
                     gconstpointer data)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (fixture->loop);
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a GIO operation");
  g_autoptr (GObject) source = G_OBJECT (g_cancellable_new ());
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GError) error = NULL;
  g_autoptr (GTask) task = NULL;
  const GValue *value;

  /* any call of GIO; a task does for all of them, without GIO's worker threads */
  g_main_context_push_thread_default (context);
  task = g_task_new (source, NULL, evp_future_ready_callback, g_object_ref (future));
  g_main_context_pop_thread_default (context);
  g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "no such file");

  g_assert_true (evp_event_loop_run_until_complete (fixture->loop, future, &error));
  g_assert_no_error (error);
  value = evp_future_get_result (future, &error);
  g_assert_no_error (error);
  g_assert_true (g_value_get_object (value) == task);
  g_assert_false (g_task_propagate_boolean (g_value_get_object (value), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

/* Rules: U-10 */
static void
test_ready_callback_cancelled (Fixture      *fixture,
                               gconstpointer data)
{
  EvpFuture *future = evp_event_loop_create_future (fixture->loop);
  g_autoptr (GTask) task = g_task_new (NULL, NULL, NULL, NULL);

  evp_future_cancel (future);
  evp_future_ready_callback (NULL, G_ASYNC_RESULT (task), g_object_ref (future));
  g_assert_true (evp_future_cancelled (future));
  g_assert_finalize_object (future);
  g_task_return_boolean (task, TRUE);
}

/* Rules: U-11, U-9 */
static void
test_chain (Fixture      *fixture,
            gconstpointer data)
{
  for (int how = 0; how < 3; how++)
    {
      EvpFuture *source = evp_event_loop_create_future (fixture->loop);
      g_autoptr (EvpFuture) target = evp_event_loop_create_future (fixture->loop);
      g_autoptr (GError) failure = some_error ();
      g_autoptr (GError) error = NULL;

      evp_future_chain (source, target);
      if (how == 0)
        set_int (source, 9);
      else if (how == 1)
        evp_future_set_error (source, failure);
      else
        evp_future_cancel (source);
      g_assert_false (evp_future_done (target));
      turn (fixture);
      g_assert_true (evp_future_done (target));
      if (how == 0)
        {
          assert_int (target, 9);
        }
      else if (how == 1)
        {
          g_assert_null (evp_future_get_result (target, &error));
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_EMPTY);
        }
      else
        {
          g_assert_true (evp_future_cancelled (target));
        }
      turn (fixture);
      g_assert_finalize_object (source);
      turn (fixture);
      g_assert_cmpuint (fixture->reports->len, ==, 0);
    }
}

/* Rules: U-11 */
static void
test_chain_backwards (Fixture      *fixture,
                      gconstpointer data)
{
  EvpFuture *source = evp_event_loop_create_future (fixture->loop);
  EvpFuture *target = evp_event_loop_create_future (fixture->loop);
  EvpFuture *forgotten = evp_event_loop_create_future (fixture->loop);

  evp_future_chain (source, target);
  g_assert_true (evp_future_cancel (target));
  turn (fixture);
  g_assert_true (evp_future_cancelled (source));
  turn (fixture);
  g_assert_finalize_object (source);
  g_assert_finalize_object (target);

  /* one that somebody else has completed is no reason to stop */
  for (int how = 0; how < 2; how++)
    {
      g_autoptr (GError) failure = some_error ();

      source = evp_event_loop_create_future (fixture->loop);
      target = evp_event_loop_create_future (fixture->loop);
      evp_future_chain (source, target);
      if (how == 0)
        set_int (target, 5);
      else
        g_assert_true (evp_future_set_error (target, failure));
      turn (fixture);
      turn (fixture);
      g_assert_false (evp_future_done (source));
      set_int (source, 6);
      turn (fixture);
      if (how == 0)
        assert_int (target, 5);
      else
        g_assert_null (evp_future_get_result (target, NULL));
      turn (fixture);
      g_assert_finalize_object (source);
      g_assert_finalize_object (target);
    }

  /* a target does not keep its source alive */
  source = evp_event_loop_create_future (fixture->loop);
  evp_future_chain (source, forgotten);
  g_assert_finalize_object (source);
  g_assert_false (evp_future_done (forgotten));
  g_assert_finalize_object (forgotten);
}

static gpointer
other_loop_thread (gpointer data)
{
  Worker *worker = data;
  g_autoptr (GError) error = NULL;

  evp_event_loop_run_until_complete (evp_future_get_loop (worker->future), worker->future, &error);
  return g_steal_pointer (&error);
}

static void
runs_cb (gpointer user_data)
{
  g_atomic_int_set ((int *) user_data, TRUE);
}

/* Rules: U-11 */
static void
test_chain_across_loops (Fixture      *fixture,
                         gconstpointer data)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a chain across loops");
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *other = evp_selector_event_loop_new (NULL, NULL, &error);
  GThread *thread;
  GError *thread_error;

  g_assert_no_error (error);
  for (int backwards = 0; backwards < 2; backwards++)
    {
      g_autoptr (EvpFuture) here = evp_event_loop_create_future (fixture->loop);
      g_autoptr (EvpFuture) there = evp_event_loop_create_future (other);
      Worker worker = { there, 0, { FALSE } };
      int runs = FALSE; /* atomic */

      evp_future_chain (here, there);
      g_assert_nonnull (evp_event_loop_call_soon (other, runs_cb, &runs, NULL, NULL));
      thread = g_thread_new ("other-loop", other_loop_thread, &worker);
      /* until it runs, the loop and its futures are still ours */
      while (!g_atomic_int_get (&runs))
        g_thread_yield ();
      if (backwards)
        {
          evp_future_cancel (there);
          g_assert_false (evp_event_loop_run_until_complete (fixture->loop, here, &error));
          g_assert_error (error, EVP_ERROR, EVP_ERROR_CANCELLED);
        }
      else
        {
          set_int (here, 77);
          g_assert_true (evp_event_loop_run_until_complete (fixture->loop, here, &error));
        }
      thread_error = g_thread_join (thread);
      if (backwards)
        g_assert_error (thread_error, EVP_ERROR, EVP_ERROR_CANCELLED);
      else
        assert_int (there, 77);
      g_clear_error (&thread_error);
    }
  g_assert_true (evp_event_loop_close (other, NULL));

  /* the target's loop is closed: nothing happens, and nothing breaks */
  g_autoptr (EvpFuture) source = evp_event_loop_create_future (fixture->loop);
  g_autoptr (EvpFuture) dead = evp_event_loop_create_future (other);
  evp_future_chain (source, dead);
  set_int (source, 1);
  turn (fixture);
  assert_int (source, 1);
  g_clear_object (&dead);
  g_clear_object (&source);
  g_assert_finalize_object (other);
}

/* Rules: U-8 */
static void
test_no_loop (Fixture      *fixture,
              gconstpointer data)
{
  EvpFuture *future = g_object_new (EVP_TYPE_FUTURE, NULL);
  EvpFuture *failed = evp_future_new (NULL);
  g_autoptr (GError) failure = some_error ();
  guint n_warnings = evp_warn_runtime_get_count ();

  g_assert_null (evp_future_get_loop (future));
  evp_future_add_done_callback (future, never_cb, letter (fixture, "a"), letter_free);
  set_int (future, 1);
  assert_int (future, 1);
  g_assert_cmpstr (fixture->log->str, ==, "~");
  g_assert_finalize_object (future);

  /* nobody to tell but the log */
  evp_future_set_error (failed, failure);
  g_assert_finalize_object (failed);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings + 1);
}

static void
make_future_cb (gpointer user_data)
{
  EvpFuture **future = user_data;

  *future = evp_future_new (NULL);
}

/* Rules: U-8 */
static void
test_running_loop (Fixture      *fixture,
                   gconstpointer data)
{
  g_autoptr (EvpFuture) future = NULL;

  evp_event_loop_call_soon (fixture->loop, make_future_cb, &future, NULL, NULL);
  turn (fixture);
  g_assert_true (evp_future_get_loop (future) == fixture->loop);
}

#define ADD(name, function) \
  g_test_add ("/evp/loop/future/" name, Fixture, NULL, fixture_set_up, function, fixture_tear_down)

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  ADD ("result", test_result);
  ADD ("result-null", test_result_null);
  ADD ("error", test_error);
  ADD ("cancel", test_cancel);
  ADD ("callbacks", test_callbacks);
  ADD ("remove-callback", test_remove_callback);
  ADD ("remove-all", test_remove_all);
  ADD ("callback-adds", test_callback_adds);
  ADD ("release-removes", test_release_removes);
  ADD ("last-reference", test_last_reference);
  ADD ("pending-finalized", test_pending_finalized);
  ADD ("failing-callback", test_failing_callback);
  ADD ("never-retrieved", test_never_retrieved);
  ADD ("retrieved", test_retrieved);
  ADD ("never-retrieved-closed", test_never_retrieved_closed);
  ADD ("never-retrieved-thread", test_never_retrieved_thread);
  ADD ("creation-trace", test_creation_trace);
  ADD ("closed-loop", test_closed_loop);
  ADD ("close-drops-scheduled", test_close_drops_scheduled);
  ADD ("completed-by-thread", test_completed_by_thread);
  ADD ("cancel-beats-thread", test_cancel_beats_thread);
  ADD ("thread-completes-closed", test_thread_completes_closed);
  ADD ("thread-completes-closed-default", test_thread_completes_closed_default);
  ADD ("racing-threads", test_racing_threads);
  ADD ("await", test_await);
  ADD ("await-error", test_await_error);
  ADD ("await-cancelled", test_await_cancelled);
  ADD ("await-both", test_await_both);
  ADD ("await-closed", test_await_closed);
  ADD ("async-result", test_async_result);
  ADD ("ready-callback", test_ready_callback);
  ADD ("ready-callback-cancelled", test_ready_callback_cancelled);
  ADD ("chain", test_chain);
  ADD ("chain-backwards", test_chain_backwards);
  ADD ("chain-across-loops", test_chain_across_loops);
  ADD ("no-loop", test_no_loop);
  ADD ("running-loop", test_running_loop);

  return g_test_run ();
}
