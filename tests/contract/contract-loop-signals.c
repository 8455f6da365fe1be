/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-loop-fixture.h"

#include <signal.h>
#include <unistd.h>

static void
signal_note_cb (int      signum,
                gpointer user_data)
{
  Note *data = user_data;

  if (data->fd >= 0)
    g_assert_cmpint (signum, ==, data->fd);
  g_assert_true (evp_running_loop_get () == data->fixture->loop);
  note_cb (data);
}

static void
add_signal_then (Fixture    *fixture,
                 int         signum,
                 const char *text,
                 EvpCallback then)
{
  Note *data = note (fixture, text);
  g_autoptr (GError) error = NULL;

  data->fd = signum;
  data->then = then;
  g_assert_true (evp_event_loop_add_signal_handler (fixture->loop, signum, signal_note_cb, data, note_free, &error));
  g_assert_no_error (error);
}

static void
add_signal (Fixture    *fixture,
            int         signum,
            const char *text)
{
  add_signal_then (fixture, signum, text, NULL);
}

static void
never_signal_cb (int      signum,
                 gpointer user_data)
{
  g_assert_not_reached ();
}

static gpointer
kill_thread (gpointer data)
{
  /* to the process: any thread may take it, and the loop sleeps by now or soon */
  kill (getpid (), GPOINTER_TO_INT (data));
  return NULL;
}

/* Rules: G-1, G-2, G-5, G-10, Z-27 */
static void
case_delivery (Fixture *fixture)
{
  int signals[] = { SIGUSR1, SIGHUP, SIGWINCH, SIGALRM, SIGTERM, SIGINT, SIGRTMIN + 1,
                    SIGRTMAX - evp_test_has_valgrind () }; /* which keeps the last one for itself */

  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    {
      struct sigaction before, during, after;
      GThread *thread;

      clear_log (fixture);
      sigaction (signals[i], NULL, &before);
      add_signal_then (fixture, signals[i], "s", finish_cb);
      sigaction (signals[i], NULL, &during);
      g_assert_true (during.sa_handler != before.sa_handler);
      g_assert_cmpint (during.sa_flags & SA_RESTART, !=, 0);
      thread = g_thread_new ("kill", kill_thread, GINT_TO_POINTER (signals[i]));
      drive (fixture);
      g_thread_join (thread);
      assert_log (fixture, "s");
      g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, signals[i]));
      assert_log (fixture, "s~");
      g_assert_false (evp_event_loop_remove_signal_handler (fixture->loop, signals[i]));
      sigaction (signals[i], NULL, &after);
      g_assert_true (after.sa_handler == before.sa_handler);
      g_assert_cmpint (after.sa_flags & SA_RESTART, ==, before.sa_flags & SA_RESTART);
    }
}

static volatile sig_atomic_t n_own_signals;

static void
own_handler (int signum)
{
  n_own_signals++;
}

/* Rules: G-4, G-9, Z-31 */
static void
case_restores (Fixture *fixture)
{
  struct sigaction own = { .sa_handler = own_handler, .sa_flags = SA_NODEFER }, before, after;

  sigaction (SIGUSR1, &own, &before);
  add_signal (fixture, SIGUSR1, "s");
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
  sigaction (SIGUSR1, NULL, &after);
  g_assert_true (after.sa_handler == own_handler);
  g_assert_cmpint (after.sa_flags & SA_NODEFER, !=, 0);
  n_own_signals = 0;
  raise (SIGUSR1);
  g_assert_cmpint (n_own_signals, ==, 1);

  /* somebody installed his own meanwhile: that one stays */
  add_signal (fixture, SIGUSR1, "s");
  signal (SIGUSR1, SIG_IGN);
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
  sigaction (SIGUSR1, NULL, &after);
  g_assert_true (after.sa_handler == SIG_IGN);
  sigaction (SIGUSR1, &before, NULL);
  fixture->n_expected_warnings = evp_warn_runtime_get_count () - fixture->n_warnings; /* it may say so */
  g_assert_cmpuint (fixture->n_expected_warnings, <=, 1);
}

/* Rules: G-6 */
static void
case_replace (Fixture *fixture)
{
  add_signal (fixture, SIGUSR1, "old");
  add_signal_then (fixture, SIGUSR1, "n", finish_cb);
  assert_log (fixture, "~");
  clear_log (fixture);
  raise (SIGUSR1);
  drive (fixture);
  assert_log (fixture, "n");
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
  g_assert_false (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
}

/* Rules: G-7, G-8 */
static void
case_while_stopped (Fixture *fixture)
{
  add_signal (fixture, SIGUSR1, "s");
  for (int i = 0; i < 5; i++)
    raise (SIGUSR1);
  assert_log (fixture, ""); /* nothing runs outside the loop */
  call_later (fixture, 0.01, finish_cb, fixture);
  drive (fixture);
  /* at least one run after the last delivery */
  g_assert_cmpuint (fixture->log->len, >=, 1);
  g_assert_cmpuint (fixture->log->len, <=, 5);

  /* removed before the next run: lost */
  clear_log (fixture);
  raise (SIGUSR1);
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
  add_signal (fixture, SIGUSR2, "2");
  raise (SIGUSR2);
  call_later (fixture, 0.01, finish_cb, fixture);
  drive (fixture);
  assert_log (fixture, "~2");
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR2));
}

/* Rules: G-1, G-2, G-3, G-4 */
static void
case_refused (Fixture *fixture)
{
  int invalid[] = { 0, -1, -64, 32, 33, SIGRTMAX + 1, 1000 };
  int uncatchable[] = { SIGKILL, SIGSTOP };
  g_autoptr (GError) error = NULL;
  guint n_fds;

  add_signal (fixture, SIGUSR1, "s"); /* whatever a first handler opens */
  n_fds = evp_test_count_fds ();
  for (guint i = 0; i < G_N_ELEMENTS (invalid); i++)
    {
      g_assert_false (evp_event_loop_add_signal_handler (fixture->loop, invalid[i], never_signal_cb,
                                                         note (fixture, ""), note_free, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_false (evp_event_loop_remove_signal_handler (fixture->loop, invalid[i]));
    }
  for (guint i = 0; i < G_N_ELEMENTS (uncatchable); i++)
    {
      g_assert_false (evp_event_loop_add_signal_handler (fixture->loop, uncatchable[i], never_signal_cb,
                                                         note (fixture, ""), note_free, &error));
      g_assert_nonnull (error);
      g_clear_error (&error);
      g_assert_false (evp_event_loop_remove_signal_handler (fixture->loop, uncatchable[i]));
    }
  assert_log (fixture, "~~~~~~~~~");
  g_assert_cmpuint (evp_test_count_fds (), ==, n_fds);
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
}

/* Rules: G-3, G-10 */
static void
case_rolled_back (Fixture *fixture)
{
  guint n_fds = evp_test_count_fds ();
  g_autoptr (GError) error = NULL;

  /* as the first: what was made for it goes again */
  g_assert_false (evp_event_loop_add_signal_handler (fixture->loop, SIGKILL, never_signal_cb, NULL, NULL, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_false (evp_event_loop_add_signal_handler (fixture->loop, 0, never_signal_cb, NULL, NULL, &error));
  g_assert_cmpuint (evp_test_count_fds (), ==, n_fds);

  add_signal (fixture, SIGUSR1, "s");
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
  g_assert_cmpuint (evp_test_count_fds (), ==, n_fds);
}

static gpointer
refused_thread (gpointer data)
{
  Fixture *fixture = data;
  g_autoptr (GError) error = NULL;

  g_assert_false (evp_event_loop_add_signal_handler (fixture->loop, SIGUSR1, never_signal_cb,
                                                     note (fixture, ""), note_free, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WRONG_THREAD);
  g_clear_error (&error);
  /* the number is looked at first */
  g_assert_false (evp_event_loop_add_signal_handler (fixture->loop, 0, never_signal_cb,
                                                     note (fixture, ""), note_free, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);

  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  /* then whether the loop is closed */
  g_assert_false (evp_event_loop_add_signal_handler (fixture->loop, 0, never_signal_cb,
                                                     note (fixture, ""), note_free, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (evp_event_loop_add_signal_handler (fixture->loop, SIGUSR1, never_signal_cb,
                                                     note (fixture, ""), note_free, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  return NULL;
}

/* Rules: G-1, G-2 */
static void
case_other_thread (Fixture *fixture)
{
  g_thread_join (g_thread_new ("refused", refused_thread, fixture));
  assert_log (fixture, "~~~~");
}

typedef struct
{
  Fixture *fixture;
  EvpAbstractEventLoop *other;
  guint n_here, n_there;
} Both;

static void
here_cb (int      signum,
         gpointer user_data)
{
  Both *both = user_data;

  both->n_here++;
}

static void
there_cb (int      signum,
          gpointer user_data)
{
  Both *both = user_data;

  g_assert_true (evp_running_loop_get () == both->other);
  both->n_there++;
}

static gpointer
run_other_thread (gpointer data)
{
  EvpAbstractEventLoop *other = data;

  evp_event_loop_stop (other);
  g_assert_true (evp_event_loop_run_forever (other, NULL));
  return NULL;
}

/* Rules: G-1, G-11, G-12 */
static void
case_two_loops (Fixture *fixture)
{
  Both both = { fixture, fixture->kind->make (NULL, NULL) };
  g_autoptr (GError) error = NULL;
  struct sigaction before, after;

  sigaction (SIGUSR1, NULL, &before);
  g_assert_true (evp_event_loop_add_signal_handler (fixture->loop, SIGUSR1, here_cb, &both, NULL, &error));
  g_assert_true (evp_event_loop_add_signal_handler (both.other, SIGUSR1, there_cb, &both, NULL, &error));
  g_assert_no_error (error);
  raise (SIGUSR1);
  turn (fixture);
  /* which thread runs the loop is of no matter */
  g_thread_join (g_thread_new ("other", run_other_thread, both.other));
  g_assert_cmpuint (both.n_here, ==, 1);
  g_assert_cmpuint (both.n_there, ==, 1);

  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
  raise (SIGUSR1);
  turn (fixture);
  g_thread_join (g_thread_new ("other", run_other_thread, both.other));
  g_assert_cmpuint (both.n_here, ==, 1);
  g_assert_cmpuint (both.n_there, ==, 2);

  g_assert_true (evp_event_loop_close (both.other, NULL));
  g_assert_false (evp_event_loop_remove_signal_handler (both.other, SIGUSR1));
  sigaction (SIGUSR1, NULL, &after);
  g_assert_true (after.sa_handler == before.sa_handler);
  g_assert_finalize_object (both.other);
}

static void
use_everything_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  /* an ordinary callback: the whole interface is allowed, removing itself too */
  soon (fixture, "a");
  later (fixture, 0, "t");
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
  add_signal_then (fixture, SIGUSR2, "2", finish_cb);
  raise (SIGUSR2);
}

/* Rules: C-13, G-5, G-13 */
static void
case_callback_uses_loop (Fixture *fixture)
{
  add_signal_then (fixture, SIGUSR1, "1", use_everything_cb);
  raise (SIGUSR1);
  drive (fixture);
  turn (fixture);
  g_assert_true (g_str_has_prefix (fixture->log->str, "1~"));
  g_assert_nonnull (strchr (fixture->log->str, 'a'));
  g_assert_nonnull (strchr (fixture->log->str, 't'));
  g_assert_nonnull (strchr (fixture->log->str, '2'));
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR2));
}

static void
remove_other_signal_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1);
  evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR2);
}

/* Rules: G-13, I-4 */
static void
case_removed_in_batch (Fixture *fixture)
{
  add_signal_then (fixture, SIGUSR1, "s", remove_other_signal_cb);
  add_signal_then (fixture, SIGUSR2, "s", remove_other_signal_cb);
  raise (SIGUSR1);
  raise (SIGUSR2);
  call_later (fixture, 0.01, finish_cb, fixture);
  drive (fixture);
  /* whichever ran first removed both */
  g_assert_cmpint (fixture->log->str[0], ==, 's');
  g_assert_null (strchr (fixture->log->str + 1, 's'));
}

/* Rules: G-7, G-10, I-6 */
static void
case_quiet_after_signal (Fixture *fixture)
{
  add_signal (fixture, SIGUSR1, "s");
  raise (SIGUSR1);
  count_polls (fixture);
  call_later (fixture, 0.05, finish_cb, fixture);
  drive (fixture);
  assert_log (fixture, "s");
  g_assert_cmpuint (n_polls (fixture), <=, 8);
  g_assert_true (evp_event_loop_remove_signal_handler (fixture->loop, SIGUSR1));
}

const ContractEntry contract_loop_signal_cases[] = {
  { "signal-delivery", case_delivery, IN_BOTH | NEEDS_SIGNALS },
  { "signal-restores", case_restores, IN_BOTH | NEEDS_SIGNALS },
  { "signal-replace", case_replace, IN_BOTH | NEEDS_SIGNALS },
  { "signal-while-stopped", case_while_stopped, IN_BOTH | NEEDS_SIGNALS },
  { "signal-refused", case_refused, IN_BOTH | NEEDS_SIGNALS },
  { "signal-rolled-back", case_rolled_back, IN_BOTH | NEEDS_SIGNALS },
  { "signal-other-thread", case_other_thread, IN_BOTH | NEEDS_SIGNALS },
  { "signal-two-loops", case_two_loops, IN_BOTH | NEEDS_SIGNALS },
  { "signal-callback-uses-loop", case_callback_uses_loop, IN_BOTH | NEEDS_SIGNALS },
  { "signal-removed-in-batch", case_removed_in_batch, IN_BOTH | NEEDS_SIGNALS },
  { "signal-quiet-after", case_quiet_after_signal, IN_BOTH | NEEDS_SIGNALS },
  { NULL },
};
