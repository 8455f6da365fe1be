/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-turn-source.h"
#include "evp/os/evp-os-fd-private.h"
#include "support/evp-test-support.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

/* A loop of another world: it counts its turns, and each does what the test says. */
typedef struct
{
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
  GMainContext *context;
  EvpTurnSource *source;
  int pipe[2];
  guint n_turns;
  guint n_destroyed;
  gint64 next;                       /* what each turn returns */
  gint64 (*turn) (gpointer fixture); /* instead, if there is one */
  gboolean done;
  guint n_others; /* dispatches of another source */
} Fixture;

static gint64
turn_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  fixture->n_turns++;
  return fixture->turn != NULL ? fixture->turn (fixture) : fixture->next;
}

static void
destroy_cb (gpointer user_data)
{
  ((Fixture *) user_data)->n_destroyed++;
}

static void
set_up (Fixture      *fixture,
        gconstpointer data)
{
  fixture->leaks = evp_test_leaks_begin ();
  fixture->deadline = evp_test_deadline_start (60, "turns of a source");
  fixture->context = g_main_context_new ();
  fixture->next = -1;
  g_assert_true (evp_os_fd_pipe (fixture->pipe, TRUE, NULL));
  fixture->source = evp_turn_source_new (fixture->context, fixture->pipe[0]);
  evp_turn_source_set_callback (fixture->source, turn_cb, fixture, destroy_cb);
}

static void
tear_down (Fixture      *fixture,
           gconstpointer data)
{
  if (fixture->source != NULL)
    g_assert_finalize_object (fixture->source);
  g_assert_cmpuint (fixture->n_destroyed, ==, 1);
  /* nothing of it is left */
  g_assert_false (g_main_context_pending (fixture->context));
  g_main_context_unref (fixture->context);
  evp_os_fd_close (fixture->pipe[0]);
  evp_os_fd_close (fixture->pipe[1]);
  evp_test_deadline_stop (fixture->deadline);
  evp_test_leaks_check (&fixture->leaks);
}

static void
iterate (Fixture *fixture,
         guint    n)
{
  while (n-- > 0)
    g_main_context_iteration (fixture->context, FALSE);
}

/*
 * Iterates until there were N turns altogether. On a busy machine that takes more iterations than turns: a
 * source that seems to have been busy for long stands back. An iteration never has two.
 */
static void
iterate_to_turn (Fixture *fixture,
                 guint    n)
{
  for (guint i = 0; i < 100 && fixture->n_turns < n; i++)
    {
      guint before = fixture->n_turns;

      iterate (fixture, 1);
      g_assert_cmpuint (fixture->n_turns, <=, before + 1);
    }
  g_assert_cmpuint (fixture->n_turns, ==, n);
}

static gint64
finish (gpointer user_data)
{
  ((Fixture *) user_data)->done = TRUE;
  return -1;
}

static void
run (Fixture *fixture)
{
  while (!fixture->done)
    g_main_context_iteration (fixture->context, TRUE);
}

static GSource *
add_source (Fixture    *fixture,
            int         priority,
            GSourceFunc func)
{
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, priority);
  g_source_set_callback (source, func, fixture, NULL);
  g_source_attach (source, fixture->context);
  return source;
}

static void
test_turn_source_properties (Fixture      *fixture,
                             gconstpointer data)
{
  g_autoptr (GMainContext) context = NULL;
  g_autoptr (EvpTurnSource) bare = NULL;
  int fd, priority;

  g_object_get (fixture->source, "main-context", &context, "fd", &fd, "priority", &priority, NULL);
  g_assert_true (context == fixture->context);
  g_assert_true (evp_turn_source_get_main_context (fixture->source) == fixture->context);
  g_assert_cmpint (fd, ==, fixture->pipe[0]);
  g_assert_cmpint (evp_turn_source_get_fd (fixture->source), ==, fixture->pipe[0]);
  g_assert_cmpint (priority, ==, G_PRIORITY_DEFAULT);

  g_assert_true (isinf (evp_turn_source_get_deadline (fixture->source)));
  evp_turn_source_set_deadline (fixture->source, 12.5);
  g_assert_cmpfloat (evp_turn_source_get_deadline (fixture->source), ==, 12.5);
  evp_turn_source_set_deadline (fixture->source, INFINITY);
  g_assert_true (isinf (evp_turn_source_get_deadline (fixture->source)));

  /* as a binding may make it */
  bare = g_object_new (EVP_TYPE_TURN_SOURCE, NULL);
  g_assert_true (evp_turn_source_get_main_context (bare) == g_main_context_default ());
  g_assert_cmpint (evp_turn_source_get_fd (bare), ==, -1);
  g_assert_false (evp_turn_source_is_attached (bare));
}

/* Nothing happens without a reason; each reason makes one turn. */
static void
test_turn_source_reasons (Fixture      *fixture,
                          gconstpointer data)
{
  char byte;

  evp_turn_source_wake (fixture->source);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 0);
  g_assert_false (evp_turn_source_is_attached (fixture->source));

  /* what was asked for before is remembered */
  evp_turn_source_attach (fixture->source);
  evp_turn_source_attach (fixture->source);
  g_assert_true (evp_turn_source_is_attached (fixture->source));
  iterate_to_turn (fixture, 1);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 1);

  evp_turn_source_wake (fixture->source);
  evp_turn_source_wake (fixture->source);
  iterate_to_turn (fixture, 2);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 2);

  evp_turn_source_set_deadline (fixture->source, 0.0);
  iterate_to_turn (fixture, 3);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 3);

  /* as long as the descriptor is readable */
  g_assert_cmpint (write (fixture->pipe[1], "x", 1), ==, 1);
  iterate_to_turn (fixture, 6);
  g_assert_cmpint (read (fixture->pipe[0], &byte, 1), ==, 1);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 6);

  /* 0 is at once */
  fixture->next = 0;
  evp_turn_source_wake (fixture->source);
  iterate_to_turn (fixture, 9);

  evp_turn_source_detach (fixture->source);
  g_assert_false (evp_turn_source_is_attached (fixture->source));
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 9);

  /* and again */
  evp_turn_source_attach (fixture->source);
  iterate_to_turn (fixture, 12);
}

static gint64
wake_inside (gpointer user_data)
{
  Fixture *fixture = user_data;

  if (fixture->n_turns == 1)
    {
      evp_turn_source_set_deadline (fixture->source, 0.0); /* what is returned counts */
      evp_turn_source_wake (fixture->source);
    }
  return -1;
}

/* Woken inside a turn there is one more; a deadline set inside it does not outlive it. */
static void
test_turn_source_wake_inside (Fixture      *fixture,
                              gconstpointer data)
{
  fixture->turn = wake_inside;
  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  iterate_to_turn (fixture, 2);
  iterate (fixture, 5);
  g_assert_cmpuint (fixture->n_turns, ==, 2);
}

static gint64 due;

static gint64
check_due (gpointer user_data)
{
  Fixture *fixture = user_data;
  gint64 now = g_get_monotonic_time ();

  if (fixture->n_turns > 1)
    g_assert_cmpint (now, >=, due);
  if (fixture->n_turns == 6)
    return finish (fixture);
  due = now + 300 * fixture->n_turns;
  return due;
}

/* No turn is early, not by a microsecond, and none is asked for twice. */
static void
test_turn_source_never_early (Fixture      *fixture,
                              gconstpointer data)
{
  fixture->turn = check_due;
  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  run (fixture);
  g_assert_cmpuint (fixture->n_turns, ==, 6);

  /* an expired timer is no reason for a turn, and does not spin */
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 6);
  g_assert_false (g_main_context_pending (fixture->context));

  fixture->n_turns = 1;
  fixture->done = FALSE;
  fixture->turn = check_due;
  due = g_get_monotonic_time () + 1500;
  evp_turn_source_set_deadline (fixture->source, due / 1e6);
  due -= 1; /* a double holds it to less than that */
  while (fixture->n_turns == 1)
    g_main_context_iteration (fixture->context, TRUE);
  run (fixture);
}

static gpointer
wake_from_thread (gpointer data)
{
  evp_turn_source_wake (((Fixture *) data)->source);
  return NULL;
}

static gboolean
start_thread_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  g_thread_join (g_thread_new ("waker", wake_from_thread, fixture));
  return G_SOURCE_REMOVE;
}

/* A thread wakes a context that waits for ever. */
static void
test_turn_source_threads (Fixture      *fixture,
                          gconstpointer data)
{
  GThread *thread;

  fixture->turn = finish;
  evp_turn_source_attach (fixture->source);
  thread = g_thread_new ("waker", wake_from_thread, fixture);
  run (fixture);
  g_thread_join (thread);

  /* a source of ours is dispatched, and the thread meanwhile */
  fixture->done = FALSE;
  g_source_unref (add_source (fixture, G_PRIORITY_DEFAULT, start_thread_cb));
  run (fixture);
}

static gboolean
quit_cb (gpointer user_data)
{
  g_main_loop_quit (user_data);
  return G_SOURCE_REMOVE;
}

static gint64
nest (gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (GMainLoop) loop = NULL;
  g_autoptr (GSource) timeout = NULL;
  guint iterations = 0;

  if (fixture->n_turns > 1)
    return finish (fixture);
  g_assert_cmpint (write (fixture->pipe[1], "x", 1), ==, 1);
  evp_turn_source_wake (fixture->source);

  /* a nested loop: no turn, and it sleeps although the descriptor is readable */
  loop = g_main_loop_new (fixture->context, FALSE);
  timeout = g_timeout_source_new (20);
  g_source_set_callback (timeout, quit_cb, loop, NULL);
  g_source_attach (timeout, fixture->context);
  while (!g_source_is_destroyed (timeout))
    {
      g_main_context_iteration (fixture->context, TRUE);
      iterations++;
    }
  g_assert_cmpuint (fixture->n_turns, ==, 1);
  g_assert_cmpuint (iterations, <=, 10);
  return -1;
}

/* A main loop nested inside a turn begins no other turn, and does not spin. */
static void
test_turn_source_nested_in_turn (Fixture      *fixture,
                                 gconstpointer data)
{
  fixture->turn = nest;
  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  run (fixture);
  g_assert_cmpuint (fixture->n_turns, ==, 2);
}

static gboolean
nest_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  evp_turn_source_wake (fixture->source);
  run (fixture);
  return G_SOURCE_REMOVE;
}

/* One that is nested inside somebody else's callback drives the turns. */
static void
test_turn_source_nested_elsewhere (Fixture      *fixture,
                                   gconstpointer data)
{
  fixture->turn = finish;
  evp_turn_source_attach (fixture->source);
  g_source_unref (add_source (fixture, G_PRIORITY_DEFAULT, nest_cb));
  g_main_context_iteration (fixture->context, TRUE);
  g_assert_cmpuint (fixture->n_turns, ==, 1);
}

static gboolean
count_cb (gpointer user_data)
{
  ((Fixture *) user_data)->n_others++;
  return G_SOURCE_CONTINUE;
}

/* A source that is always ready, by itself or by its descriptor, lets those of lower priority through. */
static void
test_turn_source_stands_back (Fixture      *fixture,
                              gconstpointer data)
{
  GSource *idle = add_source (fixture, G_PRIORITY_DEFAULT_IDLE, count_cb);

  evp_turn_source_attach (fixture->source);
  if (data != NULL)
    g_assert_cmpint (write (fixture->pipe[1], "x", 1), ==, 1);
  else
    {
      fixture->next = 0;
      evp_turn_source_wake (fixture->source);
    }
  while (fixture->n_others < 5)
    g_main_context_iteration (fixture->context, FALSE);
  /* and is not stalled by them */
  g_assert_cmpuint (fixture->n_turns, >, 20);
  g_source_destroy (idle);
  g_source_unref (idle);
  evp_turn_source_detach (fixture->source);
}

static gboolean
redraw_cb (gpointer user_data)
{
  return G_SOURCE_CONTINUE;
}

/* A redraw that is due whenever the source stands back does not take all of that away from idle callbacks. */
static void
test_turn_source_stands_back_for_all (Fixture      *fixture,
                                      gconstpointer data)
{
  GSource *idle = add_source (fixture, G_PRIORITY_DEFAULT_IDLE, count_cb);
  g_autoptr (GSource) redraw = g_timeout_source_new (1);

  g_source_set_priority (redraw, G_PRIORITY_HIGH_IDLE + 20);
  g_source_set_callback (redraw, redraw_cb, NULL, NULL);
  g_source_attach (redraw, fixture->context);
  fixture->next = 0;
  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  while (fixture->n_others < 5)
    g_main_context_iteration (fixture->context, FALSE);
  g_assert_cmpuint (fixture->n_turns, >, 20);
  g_source_destroy (redraw);
  g_source_destroy (idle);
  g_source_unref (idle);
  evp_turn_source_detach (fixture->source);
}

/* A source of the same priority that is always ready, and this one, take turns. */
static void
test_turn_source_takes_turns (Fixture      *fixture,
                              gconstpointer data)
{
  GSource *other = add_source (fixture, G_PRIORITY_DEFAULT, count_cb);

  fixture->next = 0;
  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  while (fixture->n_turns < 50)
    g_main_context_iteration (fixture->context, FALSE);
  g_assert_cmpuint (fixture->n_others, >=, 45);
  g_assert_cmpuint (fixture->n_others, <=, 200);
  g_source_destroy (other);
  g_source_unref (other);
  evp_turn_source_detach (fixture->source);
}

static gint64
lower_priority (gpointer user_data)
{
  Fixture *fixture = user_data;

  evp_turn_source_set_priority (fixture->source, G_PRIORITY_LOW);
  return 0;
}

/* The priority counts, and can be changed inside a turn. */
static void
test_turn_source_priority (Fixture      *fixture,
                           gconstpointer data)
{
  GSource *idle = add_source (fixture, G_PRIORITY_DEFAULT_IDLE, count_cb);

  fixture->turn = lower_priority;
  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  iterate_to_turn (fixture, 1);
  g_assert_cmpint (evp_turn_source_get_priority (fixture->source), ==, G_PRIORITY_LOW);
  fixture->n_others = 0;
  iterate (fixture, 10);
  g_assert_cmpuint (fixture->n_turns, ==, 1);
  g_assert_cmpuint (fixture->n_others, ==, 10);
  g_source_destroy (idle);
  g_source_unref (idle);
  evp_turn_source_detach (fixture->source);
}

static gint64
drop_inside (gpointer user_data)
{
  Fixture *fixture = user_data;

  g_clear_object (&fixture->source);
  g_assert_cmpuint (fixture->n_destroyed, ==, 0);
  return finish (fixture);
}

/* Dropped inside a turn, it goes when that has ended. */
static void
test_turn_source_dropped_inside (Fixture      *fixture,
                                 gconstpointer data)
{
  fixture->turn = drop_inside;
  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  run (fixture);
  g_assert_cmpuint (fixture->n_destroyed, ==, 1);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 1);
}

static guint n_replacements;

static gint64
replacement_cb (gpointer user_data)
{
  n_replacements++;
  return -1;
}

static gint64
replace_inside (gpointer user_data)
{
  Fixture *fixture = user_data;

  evp_turn_source_set_callback (fixture->source, replacement_cb, NULL, NULL);
  g_assert_cmpuint (fixture->n_destroyed, ==, 0);
  return 0;
}

/* The callback can be replaced inside a turn; its data lives until that has ended. */
static void
test_turn_source_replaced_inside (Fixture      *fixture,
                                  gconstpointer data)
{
  n_replacements = 0;
  fixture->turn = replace_inside;
  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  iterate_to_turn (fixture, 1);
  g_assert_cmpuint (fixture->n_destroyed, ==, 1);
  for (guint i = 0; i < 100 && n_replacements == 0; i++)
    iterate (fixture, 1);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 1);
  g_assert_cmpuint (n_replacements, ==, 1);
}

static gint64
take_away_inside (gpointer user_data)
{
  Fixture *fixture = user_data;

  evp_turn_source_set_callback (fixture->source, NULL, NULL, NULL);
  g_assert_false (evp_turn_source_is_attached (fixture->source));
  /* what this returned is of no use to anybody */
  return 0;
}

/*
 * Without a callback nobody would read the descriptor: there is no turn, and the context sleeps although the
 * descriptor is readable and a turn is due.
 */
static void
test_turn_source_without_callback (Fixture      *fixture,
                                   gconstpointer data)
{
  fixture->turn = take_away_inside;
  evp_turn_source_attach (fixture->source);
  g_assert_cmpint (write (fixture->pipe[1], "x", 1), ==, 1);
  evp_turn_source_wake (fixture->source);
  iterate_to_turn (fixture, 1);
  g_assert_cmpuint (fixture->n_destroyed, ==, 1);
  g_assert_false (evp_turn_source_is_attached (fixture->source));
  evp_turn_source_wake (fixture->source);
  evp_turn_source_set_deadline (fixture->source, 0.0);
  g_assert_false (g_main_context_pending (fixture->context));

  /* it cannot be attached so */
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*closure != NULL*");
  evp_turn_source_attach (fixture->source);
  g_test_assert_expected_messages ();
  g_assert_false (evp_turn_source_is_attached (fixture->source));
  g_assert_false (g_main_context_pending (fixture->context));

  /* one taken away outside a turn, before it ever came to that */
  fixture->n_destroyed = 0;
  evp_turn_source_set_callback (fixture->source, turn_cb, fixture, destroy_cb);
  evp_turn_source_attach (fixture->source);
  g_assert_true (g_main_context_pending (fixture->context));
  evp_turn_source_set_callback (fixture->source, NULL, NULL, NULL);
  g_assert_cmpuint (fixture->n_destroyed, ==, 1);
  g_assert_false (g_main_context_pending (fixture->context));
  g_assert_cmpuint (fixture->n_turns, ==, 1);

  /* and with another one all goes on */
  fixture->n_destroyed = 0;
  fixture->turn = finish;
  evp_turn_source_set_callback (fixture->source, turn_cb, fixture, destroy_cb);
  evp_turn_source_attach (fixture->source);
  run (fixture);
  g_assert_cmpuint (fixture->n_turns, ==, 2);
  evp_turn_source_detach (fixture->source);
}

static gint64
detach_inside (gpointer user_data)
{
  Fixture *fixture = user_data;

  evp_turn_source_detach (fixture->source);
  /* and the descriptor may go, too */
  evp_os_fd_close (fixture->pipe[0]);
  evp_os_fd_close (fixture->pipe[1]);
  fixture->pipe[0] = fixture->pipe[1] = -1;
  return 0;
}

static void
test_turn_source_detached_inside (Fixture      *fixture,
                                  gconstpointer data)
{
  fixture->turn = detach_inside;
  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  iterate_to_turn (fixture, 1);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 1);
  g_assert_false (evp_turn_source_is_attached (fixture->source));
}

/* A child process does not take part in its parent's loop, and can begin its own. */
static void
test_turn_source_fork (Fixture      *fixture,
                       gconstpointer data)
{
  int status = 0;
  pid_t pid;

  evp_turn_source_attach (fixture->source);
  g_assert_cmpint (write (fixture->pipe[1], "x", 1), ==, 1);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      if (evp_turn_source_is_attached (fixture->source))
        _exit (1);
      iterate (fixture, 3);
      if (fixture->n_turns != 0)
        _exit (2);
      evp_turn_source_attach (fixture->source);
      for (guint i = 0; i < 100 && fixture->n_turns == 0; i++)
        iterate (fixture, 1);
      _exit (fixture->n_turns == 1 ? 0 : 3);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  iterate_to_turn (fixture, 2);
  evp_turn_source_detach (fixture->source);
}

/* How many descriptors keep the context awake now: 0 if it would sleep for ever. */
static int
count_what_wakes (GMainContext *context)
{
  GPollFD fds[8];
  int priority, timeout, n_fds, n_ready;

  g_assert_true (g_main_context_acquire (context));
  g_main_context_prepare (context, &priority);
  n_fds = g_main_context_query (context, priority, &timeout, fds, G_N_ELEMENTS (fds));
  g_assert_cmpint (n_fds, <=, (int) G_N_ELEMENTS (fds));
  g_assert_cmpint (timeout, ==, -1);
  n_ready = g_poll (fds, (guint) n_fds, 0);
  g_main_context_check (context, priority, fds, n_fds);
  g_main_context_release (context);
  return n_ready;
}

/* Rules: I-6 */
static void
test_turn_source_sleeps_on (Fixture      *fixture,
                            gconstpointer data)
{
  /* a deadline that has passed leaves nothing behind that keeps the context awake */
  evp_turn_source_attach (fixture->source);
  /* twice: the second time the timer is there already */
  for (guint i = 1; i <= 2; i++)
    {
      evp_turn_source_set_deadline (fixture->source, (double) (g_get_monotonic_time () + 3000) / 1e6);
      while (fixture->n_turns < i)
        g_main_context_iteration (fixture->context, TRUE);
      /* GLib notes each change of what it polls as one wake-up */
      g_assert_cmpint (count_what_wakes (fixture->context), <=, 1);
      g_assert_cmpint (count_what_wakes (fixture->context), ==, 0);
      g_assert_cmpuint (fixture->n_turns, ==, i);
    }
  evp_turn_source_detach (fixture->source);
}

static gint64
read_inside (gpointer user_data)
{
  Fixture *fixture = user_data;
  char byte;

  while (read (fixture->pipe[0], &byte, 1) == 1)
    ;
  return fixture->next;
}

/* Whatever asks for a turn is heard when the source is resumed, and wakes nobody before. */
static void
test_turn_source_paused (Fixture      *fixture,
                         gconstpointer data)
{
  gint64 passed;

  /* attached or not */
  fixture->turn = read_inside;
  evp_turn_source_pause (fixture->source);
  evp_turn_source_attach (fixture->source);
  iterate (fixture, 3);
  g_assert_cmpint (write (fixture->pipe[1], "x", 1), ==, 1);
  g_assert_cmpint (count_what_wakes (fixture->context), ==, 0);

  /* as often as it was paused */
  evp_turn_source_pause (fixture->source);
  evp_turn_source_resume (fixture->source);
  g_assert_cmpint (count_what_wakes (fixture->context), ==, 0);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 0);
  evp_turn_source_resume (fixture->source);
  iterate_to_turn (fixture, 1);

  /* a timer that is armed */
  passed = g_get_monotonic_time () + 2000;
  evp_turn_source_set_deadline (fixture->source, (double) passed / 1e6);
  iterate (fixture, 3);
  evp_turn_source_pause (fixture->source);
  while (g_get_monotonic_time () <= passed)
    ;
  if (fixture->n_turns == 1)
    {
      g_assert_cmpint (count_what_wakes (fixture->context), ==, 0);
      iterate (fixture, 3);
      g_assert_cmpuint (fixture->n_turns, ==, 1);
    }
  evp_turn_source_resume (fixture->source);
  iterate_to_turn (fixture, 2);

  evp_turn_source_pause (fixture->source);
  evp_turn_source_wake (fixture->source);
  iterate (fixture, 3);
  g_assert_cmpint (count_what_wakes (fixture->context), ==, 0);
  g_assert_cmpuint (fixture->n_turns, ==, 2);
  evp_turn_source_resume (fixture->source);
  iterate_to_turn (fixture, 3);

  /* neither wakes the context by itself */
  iterate (fixture, 3);
  evp_turn_source_pause (fixture->source);
  evp_turn_source_resume (fixture->source);
  g_assert_cmpint (count_what_wakes (fixture->context), ==, 0);
  evp_turn_source_detach (fixture->source);
}

static gboolean
pause_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  fixture->n_others++;
  evp_turn_source_pause (fixture->source);
  return G_SOURCE_REMOVE;
}

/* What was found to be ready before it was paused does not begin either. */
static void
test_turn_source_paused_at_last (Fixture      *fixture,
                                 gconstpointer data)
{
  g_autoptr (GSource) other = add_source (fixture, G_PRIORITY_DEFAULT, pause_cb);

  evp_turn_source_attach (fixture->source);
  evp_turn_source_wake (fixture->source);
  iterate (fixture, 1);
  g_assert_cmpuint (fixture->n_others, ==, 1);
  iterate (fixture, 3);
  g_assert_cmpuint (fixture->n_turns, ==, 0);
  evp_turn_source_resume (fixture->source);
  iterate_to_turn (fixture, 1);
  evp_turn_source_detach (fixture->source);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, function, data) \
  g_test_add ("/evp/loop/turn-source/" name, Fixture, data, set_up, function, tear_down)

  ADD ("properties", test_turn_source_properties, NULL);
  ADD ("reasons", test_turn_source_reasons, NULL);
  ADD ("wake-inside", test_turn_source_wake_inside, NULL);
  ADD ("never-early", test_turn_source_never_early, NULL);
  ADD ("sleeps-on", test_turn_source_sleeps_on, NULL);
  ADD ("threads", test_turn_source_threads, NULL);
  ADD ("nested-in-turn", test_turn_source_nested_in_turn, NULL);
  ADD ("nested-elsewhere", test_turn_source_nested_elsewhere, NULL);
  ADD ("stands-back", test_turn_source_stands_back, NULL);
  ADD ("stands-back-from-descriptor", test_turn_source_stands_back, "fd");
  ADD ("stands-back-for-all", test_turn_source_stands_back_for_all, NULL);
  ADD ("takes-turns", test_turn_source_takes_turns, NULL);
  ADD ("priority", test_turn_source_priority, NULL);
  ADD ("dropped-inside", test_turn_source_dropped_inside, NULL);
  ADD ("replaced-inside", test_turn_source_replaced_inside, NULL);
  ADD ("without-callback", test_turn_source_without_callback, NULL);
  ADD ("detached-inside", test_turn_source_detached_inside, NULL);
  ADD ("paused", test_turn_source_paused, NULL);
  ADD ("paused-at-last", test_turn_source_paused_at_last, NULL);
  ADD ("fork", test_turn_source_fork, NULL);

  return g_test_run ();
}
