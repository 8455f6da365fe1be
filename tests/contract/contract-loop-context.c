/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-loop-fixture.h"

#include <fcntl.h>
#include <unistd.h>

/* How a loop lives in its main context: beside other sources, inside nested main loops, beside other loops. */

static void
assert_running_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  g_assert_true (evp_running_loop_get () == fixture->loop);
  g_assert_true (evp_event_loop_is_running (fixture->loop));
  if (!fixture->kind->adopted)
    g_assert_true (g_main_context_get_thread_default () == fixture->context);
}

static void
assert_running_future_cb (EvpFuture *future,
                          gpointer   user_data)
{
  assert_running_cb (user_data);
}

static void
assert_running_fd_cb (int      fd,
                      gpointer user_data)
{
  Fixture *fixture = user_data;

  assert_running_cb (fixture);
  evp_event_loop_remove_reader (fixture->loop, fd);
}

/* Rules: P-20, P-21, P-22, P-24, L-11 */
static void
case_running_loop (Fixture *fixture)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (fixture->loop);
  gboolean fds = (fixture->kind->flags & CONTRACT_LOOP_FDS) != 0;
  int pipe_fds[2];

  make_pipe (pipe_fds);
  put (pipe_fds[1]);
  call (fixture, assert_running_cb, fixture);
  call_later (fixture, 0, assert_running_cb, fixture);
  evp_event_loop_call_soon_threadsafe (fixture->loop, assert_running_cb, fixture, NULL, NULL);
  evp_future_add_done_callback (future, assert_running_future_cb, fixture, NULL);
  evp_future_cancel (future);
  if (fds)
    reader (fixture, pipe_fds[0], assert_running_fd_cb, fixture, NULL);
  call_later (fixture, 0.01, finish_cb, fixture);
  drive (fixture);
  g_assert_null (evp_running_loop_get ());
  if (fds)
    g_assert_false (evp_event_loop_remove_reader (fixture->loop, pipe_fds[0]));
  close_both (pipe_fds);
}

static gboolean
not_running_source_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  /* a stranger's source is no callback of the loop; under run_* it runs within the loop all the same */
  g_string_append_c (fixture->log, evp_running_loop_get () == fixture->loop ? 'L' : '-');
  finish (fixture);
  return G_SOURCE_REMOVE;
}

static GSource *
attach (Fixture    *fixture,
        GSource    *source,
        int         priority,
        GSourceFunc callback,
        gpointer    user_data)
{
  g_source_set_priority (source, priority);
  g_source_set_callback (source, callback, user_data, NULL);
  g_source_attach (source, fixture->context);
  return source;
}

/* Rules: P-22, P-24 */
static void
case_running_in_source (Fixture *fixture)
{
  g_autoptr (GSource) source = attach (fixture, g_idle_source_new (), G_PRIORITY_DEFAULT, not_running_source_cb, fixture);

  drive (fixture);
  assert_log (fixture, fixture->kind->adopted ? "-" : "L");
}

typedef struct
{
  Fixture *fixture;
  EvpAbstractEventLoop *other;
  guint n_checked;
} TwoLoops;

static void
check_other_cb (gpointer user_data)
{
  TwoLoops *two = user_data;

  g_assert_true (evp_running_loop_get () == two->other);
  two->n_checked++;
}

static void
iterate_for_other_cb (gpointer user_data)
{
  TwoLoops *two = user_data;
  guint n = two->n_checked;

  g_assert_true (evp_running_loop_get () == two->fixture->loop);
  evp_event_loop_call_soon (two->other, check_other_cb, two, NULL, NULL);
  while (two->n_checked == n)
    g_main_context_iteration (two->fixture->context, TRUE);
  /* put back */
  g_assert_true (evp_running_loop_get () == two->fixture->loop);
  finish (two->fixture);
}

/* Rules: P-22, P-24, Z-10 */
static void
case_two_loops (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  TwoLoops two = { fixture, fixture->kind->make (fixture->context, &error), 0 };

  g_assert_no_error (error);
  call (fixture, iterate_for_other_cb, &two);
  drive (fixture);
  g_assert_cmpuint (two.n_checked, ==, 1);

  evp_event_loop_call_soon (two.other, check_other_cb, &two, NULL, NULL);
  call_later (fixture, 0.01, finish_cb, fixture);
  drive (fixture);
  g_assert_cmpuint (two.n_checked, ==, 2);
  g_assert_true (evp_event_loop_close (two.other, &error));
  g_assert_finalize_object (two.other);
}

static void
again_cb (gpointer user_data)
{
  call (user_data, again_cb, user_data);
}

typedef struct
{
  Fixture *fixture;
  guint n_left;
} Counter;

static gboolean
count_down_cb (gpointer user_data)
{
  Counter *counter = user_data;

  if (--counter->n_left > 0)
    return G_SOURCE_CONTINUE;
  finish (counter->fixture);
  return G_SOURCE_REMOVE;
}

/* Rules: I-3, Z-1 */
static void
case_same_priority (Fixture *fixture)
{
  Counter counter = { fixture, 50 };
  g_autoptr (GSource) source = attach (fixture, g_idle_source_new (), G_PRIORITY_DEFAULT, count_down_cb, &counter);

  call (fixture, again_cb, fixture);
  drive (fixture);
  g_assert_cmpuint (counter.n_left, ==, 0);
}

/* Rules: I-3, Z-1 */
static void
case_lower_priority (Fixture *fixture)
{
  Counter counter = { fixture, 5 };
  g_autoptr (GSource) source = attach (fixture, g_idle_source_new (), G_PRIORITY_LOW, count_down_cb, &counter);

  /* redrawing and other idle work goes on beside a loop that is never done */
  call (fixture, again_cb, fixture);
  drive (fixture);
  g_assert_cmpuint (counter.n_left, ==, 0);
}

static void
nothing_fd_cb (int      fd,
               gpointer user_data)
{
}

/* Rules: I-3, Z-1 */
static void
case_lower_priority_fds (Fixture *fixture)
{
  Counter counter = { fixture, 5 };
  g_autoptr (GSource) source = attach (fixture, g_idle_source_new (), G_PRIORITY_LOW, count_down_cb, &counter);
  int fds[2];

  /* nor does a descriptor that is always ready stand in their way */
  make_pipe (fds);
  put (fds[1]);
  reader (fixture, fds[0], nothing_fd_cb, NULL, NULL);
  drive (fixture);
  g_assert_cmpuint (counter.n_left, ==, 0);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, fds[0]));
  close_both (fds);
}

static void
busy_briefly_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  /* for long enough that a loop would let others go first, if it were busy all the time */
  g_string_append_c (fixture->log, '.');
  evp_test_spin (10000);
}

/* Rules: I-3 */
static void
case_one_iteration (Fixture *fixture)
{
  /* one call that does not block runs what is ready, whatever happened in the past */
  for (int i = 0; i < 3; i++)
    {
      clear_log (fixture);
      call (fixture, busy_briefly_cb, fixture);
      g_main_context_iteration (fixture->context, FALSE);
      evp_test_spin (10000);
      soon (fixture, "b");
      g_assert_true (g_main_context_pending (fixture->context));
      g_main_context_iteration (fixture->context, FALSE);
      g_assert_true (g_str_has_suffix (fixture->log->str, "b"));
    }
}

/* Rules: I-3, Z-1 */
static void
case_beside_busy_source (Fixture *fixture)
{
  Counter endless = { fixture, G_MAXUINT };
  g_autoptr (GSource) source = attach (fixture, g_idle_source_new (), G_PRIORITY_DEFAULT, count_down_cb, &endless);

  soon (fixture, "a");
  later (fixture, 0.002, "t");
  call_later (fixture, 0.01, finish_cb, fixture);
  drive (fixture);
  assert_log (fixture, "at");
  g_source_destroy (source);
}

typedef struct
{
  Fixture *fixture;
  GMainLoop *nested;
  int pipe_fds[2];
} Nested;

static void
quit_nested_cb (gpointer user_data)
{
  g_main_loop_quit (user_data);
}

static void
nested_read_cb (int      fd,
                gpointer user_data)
{
  Nested *nested = user_data;

  get (fd);
  g_string_append_c (nested->fixture->log, 'r');
}

static gpointer
nested_post_thread (gpointer data)
{
  Nested *nested = data;

  evp_event_loop_call_soon_threadsafe (nested->fixture->loop, note_cb, note (nested->fixture, "p"), g_free, NULL);
  return NULL;
}

static void
dialog_cb (gpointer user_data)
{
  Nested *nested = user_data;
  Fixture *fixture = nested->fixture;

  g_string_append (fixture->log, "[");
  soon (fixture, "s");
  g_thread_join (g_thread_new ("post", nested_post_thread, nested));
  if (nested->pipe_fds[0] >= 0)
    put (nested->pipe_fds[1]);
  call_later (fixture, 0.02, quit_nested_cb, nested->nested);
  g_main_loop_run (nested->nested);
  g_string_append (fixture->log, "]");
  g_assert_true (evp_running_loop_get () == fixture->loop);
}

/* Rules: Z-10, I-5, C-1 */
static void
case_nested_main_loop (Fixture *fixture)
{
  Nested nested = { fixture, g_main_loop_new (fixture->context, FALSE), { -1, -1 } };
  char *open, *close;

  if ((fixture->kind->flags & CONTRACT_LOOP_FDS) != 0)
    {
      make_pipe (nested.pipe_fds);
      reader (fixture, nested.pipe_fds[0], nested_read_cb, &nested, NULL);
    }
  soon (fixture, "a");
  call (fixture, dialog_cb, &nested);
  soon (fixture, "b"); /* the rest of the batch runs inside, each once */
  soon (fixture, "c");
  later (fixture, 0.001, "t");
  call_later (fixture, 0.1, finish_cb, fixture);
  drive (fixture);

  g_assert_true (g_str_has_prefix (fixture->log->str, "a["));
  g_assert_true (g_str_has_suffix (fixture->log->str, "]"));
  open = strchr (fixture->log->str, '[');
  close = strchr (fixture->log->str, ']');
  for (const char *letter = nested.pipe_fds[0] >= 0 ? "bcspt" "r" : "bcspt"; *letter != '\0'; letter++)
    {
      char *found = strchr (fixture->log->str, *letter);

      g_assert_nonnull (found);
      g_assert_true (found > open && found < close);
      g_assert_null (strchr (found + 1, *letter)); /* never twice */
    }
  g_assert_true (strchr (open, 'b') < strchr (open, 'c'));
  g_assert_true (strchr (open, 'c') < strchr (open, 's'));

  if (nested.pipe_fds[0] >= 0)
    {
      evp_event_loop_remove_reader (fixture->loop, nested.pipe_fds[0]);
      close_both (nested.pipe_fds);
    }
  g_main_loop_unref (nested.nested);
}

static void
nested_batch_cb (gpointer user_data)
{
  Nested *nested = user_data;

  g_string_append (nested->fixture->log, "[");
  /* more is posted while the batch is not done */
  g_thread_join (g_thread_new ("post", nested_post_thread, nested));
  call_later (nested->fixture, 0.01, quit_nested_cb, nested->nested);
  g_main_loop_run (nested->nested);
  g_string_append (nested->fixture->log, "]");
}

/* Rules: Z-10, C-3, C-4 */
static void
case_nested_in_posts (Fixture *fixture)
{
  Nested nested = { fixture, g_main_loop_new (fixture->context, FALSE), { -1, -1 } };

  /* posts that arrived together: a nested loop goes on with them, in their order */
  evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "1"), g_free, NULL);
  evp_event_loop_call_soon_threadsafe (fixture->loop, nested_batch_cb, &nested, NULL, NULL);
  evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "2"), g_free, NULL);
  evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "3"), g_free, NULL);
  call_later (fixture, 0.1, finish_cb, fixture);
  drive (fixture);
  assert_log (fixture, "1[23p]");
  g_main_loop_unref (nested.nested);
}

static void
stop_nested_cb (gpointer user_data)
{
  Nested *nested = user_data;
  Fixture *fixture = nested->fixture;

  call_later (fixture, 0, finish_cb, fixture);
  later (fixture, 0.01, "t");
  call_later (fixture, 0.02, quit_nested_cb, nested->nested);
  g_main_loop_run (nested->nested);
  g_string_append (fixture->log, "]");
}

/* Rules: L-2, L-5, Z-10 */
static void
case_stop_in_nested (Fixture *fixture)
{
  Nested nested = { fixture, g_main_loop_new (fixture->context, FALSE), { -1, -1 } };

  /* ends the run, not the dialog that happens to be open */
  call (fixture, stop_nested_cb, &nested);
  drive (fixture);
  assert_log (fixture, "t]");
  g_main_loop_unref (nested.nested);
}

static void
deeper_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  if (fixture->log->len >= 20)
    {
      g_string_append_c (fixture->log, '!');
      return;
    }
  g_string_append_c (fixture->log, '(');
  call (fixture, deeper_cb, fixture);
  while (strchr (fixture->log->str, '!') == NULL)
    g_main_context_iteration (fixture->context, TRUE);
}

/* Rules: Z-10 */
static void
case_deep (Fixture *fixture)
{
  call (fixture, deeper_cb, fixture);
  call_later (fixture, 0.05, finish_cb, fixture);
  drive (fixture);
  g_assert_cmpuint (fixture->log->len, ==, 21);
}

static void
close_in_dialog_cb (gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (GError) error = NULL;

  g_assert_false (evp_event_loop_close (fixture->loop, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING);
}

static gboolean
close_in_source_cb (gpointer user_data)
{
  close_in_dialog_cb (user_data);
  return G_SOURCE_REMOVE;
}

static void
iterate_source_cb (gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (GSource) source = attach (fixture, g_idle_source_new (), G_PRIORITY_DEFAULT, close_in_source_cb, fixture);

  while (!g_source_is_destroyed (source))
    g_main_context_iteration (fixture->context, TRUE);
  finish (fixture);
}

/* Rules: L-12, Z-10, Z-11 */
static void
case_close_inside (Fixture *fixture)
{
  /* a callback is on the stack, further down: its loop cannot be closed */
  call (fixture, close_in_dialog_cb, fixture);
  call (fixture, iterate_source_cb, fixture);
  drive (fixture);
  g_assert_false (evp_event_loop_is_closed (fixture->loop));
}

typedef struct
{
  Fixture *fixture;
  gboolean closed;
} Closing;

static gboolean
close_adopted_cb (gpointer user_data)
{
  Closing *closing = user_data;
  g_autoptr (GError) error = NULL;

  /* outside its callbacks an adopted loop can be closed: the context goes on without it */
  closing->closed = evp_event_loop_close (closing->fixture->loop, &error);
  finish (closing->fixture);
  return G_SOURCE_REMOVE;
}

/* Rules: L-12, L-13, Z-11 */
static void
case_close_from_source (Fixture *fixture)
{
  Closing closing = { fixture, FALSE };
  g_autoptr (GSource) source = attach (fixture, g_timeout_source_new (1), G_PRIORITY_DEFAULT, close_adopted_cb, &closing);

  later (fixture, 60, "never");
  drive (fixture);
  g_assert_cmpint (closing.closed, ==, fixture->kind->adopted);
  g_assert_cmpint (evp_event_loop_is_closed (fixture->loop), ==, fixture->kind->adopted);
}

static gboolean
schedule_source_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  /* the loop's source may be asleep by now: it has to look again */
  soon (fixture, "a");
  later (fixture, 0.001, "t");
  call_later (fixture, 0.01, finish_cb, fixture);
  return G_SOURCE_REMOVE;
}

/* Rules: C-2, C-3, L-11, Z-11 */
static void
case_scheduled_by_source (Fixture *fixture)
{
  g_autoptr (GSource) source = attach (fixture, g_timeout_source_new (5), G_PRIORITY_DEFAULT, schedule_source_cb, fixture);

  drive (fixture);
  assert_log (fixture, "at");

  /* and of whichever priority */
  clear_log (fixture);
  g_autoptr (GSource) high = attach (fixture, g_timeout_source_new (5), G_PRIORITY_HIGH, schedule_source_cb, fixture);
  drive (fixture);
  assert_log (fixture, "at");
  clear_log (fixture);
  g_autoptr (GSource) low = attach (fixture, g_timeout_source_new (5), G_PRIORITY_LOW, schedule_source_cb, fixture);
  drive (fixture);
  assert_log (fixture, "at");
}

static void
task_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  g_assert_true (g_task_propagate_boolean (G_TASK (result), NULL));
  finish (user_data);
}

static void
start_task_cb (gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, task_cb, user_data);

  g_task_return_boolean (task, TRUE);
}

/* Rules: Z-3, Z-4 */
static void
case_gio_inside (Fixture *fixture)
{
  /* GIO's operations started inside a callback end in the same loop */
  call (fixture, start_task_cb, fixture);
  drive (fixture);
}

/* Rules: L-2, Z-9, Z-12 */
static void
case_context_reusable (Fixture *fixture)
{
  /* the context is given back after each run: anybody may iterate it in between, the loop's work included */
  for (int i = 0; i < 3; i++)
    {
      soon_then (fixture, "a", finish_cb);
      drive (fixture);
      g_assert_false (g_main_context_is_owner (fixture->context));
      g_assert_null (g_main_context_get_thread_default ());
      soon (fixture, "b");
      /* not only as long as something runs: a loop that was ready for long enough stands back in between */
      while (!g_str_has_suffix (fixture->log->str, "b"))
        g_main_context_iteration (fixture->context, FALSE);
    }
  assert_log (fixture, "ababab");
}

const ContractEntry contract_loop_context_cases[] = {
  { "running-loop", case_running_loop, IN_BOTH },
  { "running-in-source", case_running_in_source, IN_BOTH },
  { "two-loops", case_two_loops, IN_BOTH },
  { "same-priority", case_same_priority, IN_BOTH },
  { "lower-priority", case_lower_priority, IN_BOTH },
  { "lower-priority-fds", case_lower_priority_fds, IN_BOTH | NEEDS_FDS },
  { "one-iteration", case_one_iteration, IN_ADOPTED },
  { "beside-busy-source", case_beside_busy_source, IN_BOTH },
  { "nested-main-loop", case_nested_main_loop, IN_BOTH },
  { "nested-in-posts", case_nested_in_posts, IN_BOTH },
  { "stop-in-nested", case_stop_in_nested, IN_BOTH },
  { "deep", case_deep, IN_BOTH },
  { "close-inside", case_close_inside, IN_BOTH },
  { "close-from-source", case_close_from_source, IN_BOTH },
  { "scheduled-by-source", case_scheduled_by_source, IN_BOTH },
  { "gio-inside", case_gio_inside, IN_BOTH },
  { "context-reusable", case_context_reusable, IN_BOTH },
  { NULL },
};
