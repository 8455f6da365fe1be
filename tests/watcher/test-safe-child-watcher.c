/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-safe-child-watcher.h"

#include "evp/os/evp-os-signal-private.h"
#include "evp/watcher/evp-base-child-watcher.h"
#include "evp/watcher/evp-multi-loop-child-watcher.h"
#include "watcher/watcher-fixture.h"

static void
setup (Fixture      *f,
       gconstpointer data)
{
  fixture_set_up (f, "SafeChildWatcher", evp_safe_child_watcher_new);
}

static void
teardown (Fixture      *f,
          gconstpointer data)
{
  struct sigaction action;

  fixture_release (f);
  sigaction (SIGCHLD, NULL, &action);
  g_assert_true (action.sa_handler == SIG_DFL);
  fixture_tear_down_threads (f, data);
}

/* Rules: W-12, W-20, W-21 */
static void
test_unattached (Fixture      *f,
                 gconstpointer data)
{
  Child dead = { 0 }, late = { 0 };

  g_assert_false (evp_child_watcher_is_active (f->watcher));
  dead.pid = evp_test_spawn_child ("exit", "3", NULL);
  late.pid = evp_test_spawn_child ("pause", NULL);
  wait_for_zombie (dead.pid);
  test_add (f->watcher, &dead);
  test_add (f->watcher, &late);
  /* at once, without a loop */
  g_assert_cmpint (dead.returncode, ==, 3);
  g_assert_cmpint (late.n_calls, ==, 0);
  kill (late.pid, SIGKILL);
  wait_for_zombie (late.pid);
  /* found when it is attached, inside of it */
  test_attach (f->watcher, f->loop);
  g_assert_cmpint (late.n_calls, ==, 1);
  g_assert_cmpint (late.returncode, ==, -SIGKILL);
}

/* Rules: W-7, W-20 */
static void
test_not_ours (Fixture      *f,
               gconstpointer data)
{
  Child child = { .pid = 1 };

  test_attach (f->watcher, f->loop);
  test_add (f->watcher, &child);
  g_assert_cmpint (child.returncode, ==, EVP_RETURNCODE_LOST);
  assert_warned (f->n_warnings, 1, 1);
}

static void
active_cb (gpointer user_data)
{
  Fixture *f = user_data;

  g_assert_true (evp_child_watcher_is_active (f->watcher));
  evp_event_loop_stop (f->loop);
}

/* Rules: W-5, W-15 */
static void
test_active (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  test_attach (f->watcher, f->loop);
  g_assert_false (evp_child_watcher_is_active (f->watcher));
  evp_event_loop_call_soon (f->loop, active_cb, f, NULL, &error);
  g_assert_no_error (error);
  test_loop_run (f->loop);
  g_assert_false (evp_child_watcher_is_active (f->watcher));
}

/* Rules: W-14, W-24 */
static void
test_attach_thread (Fixture      *f,
                    gconstpointer data)
{
  test_refuses_other_threads (f);
  g_assert_false (evp_os_signal_is_installed (SIGCHLD));
}

/* Rules: W-11, W-12, W-13 */
static void
test_detach (Fixture      *f,
             gconstpointer data)
{
  Child child = { .stop = f->loop };

  test_attach (f->watcher, f->loop);
  test_attach (f->watcher, NULL);
  assert_warned (f->n_warnings, 0, 0);
  test_attach (f->watcher, f->loop);
  child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &child);
  test_attach (f->watcher, NULL);
  assert_warned (f->n_warnings, 1, 0);
  g_assert_false (evp_os_signal_is_installed (SIGCHLD));
  test_attach (f->watcher, NULL);
  assert_warned (f->n_warnings, 1, 0);

  test_attach (f->watcher, f->loop);
  kill (child.pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  assert_warned (f->n_warnings, 1, 0);
}

/* Rules: W-12, W-13 */
static void
test_loop_closed (Fixture      *f,
                  gconstpointer data)
{
  Child child = { 0 };
  EvpAbstractEventLoop *other = test_loop_new ();

  test_attach (f->watcher, other);
  child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &child);
  evp_event_loop_close (other, NULL);
  /* said, and kept for the next loop */
  assert_warned (f->n_warnings, 1, 0);
  g_assert_cmpint (child.n_destroyed, ==, 0);
  g_assert_false (evp_child_watcher_is_active (f->watcher));
  g_assert_false (evp_os_signal_is_installed (SIGCHLD));
  kill (child.pid, SIGKILL);
  wait_for_zombie (child.pid);
  test_attach (f->watcher, f->loop);
  g_assert_cmpint (child.returncode, ==, -SIGKILL);
  g_assert_finalize_object (other);
}

static int n_foreign;
static int foreign_signum;

static void
foreign_handler (int signum)
{
  foreign_signum = signum;
  g_atomic_int_inc (&n_foreign);
}

static void
loop_signal_cb (int      signum,
                gpointer user_data)
{
  int *n = user_data;

  ++*n;
}

/* Rules: W-37, W-64, G-15, Z-31 */
static void
test_signal_shared (Fixture      *f,
                    gconstpointer data)
{
  struct sigaction foreign = { .sa_handler = foreign_handler }, former, now;
  g_autoptr (GError) error = NULL;
  Child child = { .stop = f->loop };
  int n_loop = 0;

  /* one before us is called, and the program's own handler on the same loop too */
  sigaction (SIGCHLD, &foreign, &former);
  test_attach (f->watcher, f->loop);
  evp_event_loop_add_signal_handler (f->loop, SIGCHLD, loop_signal_cb, &n_loop, NULL, &error);
  g_assert_no_error (error);
  n_foreign = 0;
  child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &child);
  kill (child.pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (g_atomic_int_get (&n_foreign), >=, 1);
  g_assert_cmpint (foreign_signum, ==, SIGCHLD);
  test_loop_turn (f->loop);
  g_assert_cmpint (n_loop, >=, 1);

  /* taking the program's away leaves ours */
  g_assert_true (evp_event_loop_remove_signal_handler (f->loop, SIGCHLD));
  child = (Child) { .stop = f->loop };
  child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &child);
  kill (child.pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);

  evp_child_watcher_close (f->watcher);
  sigaction (SIGCHLD, NULL, &now);
  g_assert_true (now.sa_handler == foreign_handler);
  sigaction (SIGCHLD, &former, NULL);
}

/* Rules: W-10 */
static void
test_several (Fixture      *f,
              gconstpointer data)
{
  EvpAbstractChildWatcher *other = evp_safe_child_watcher_new ();
  EvpAbstractChildWatcher *multi = evp_multi_loop_child_watcher_new ();
  EvpChildHandler *handler;
  Child children[3] = { 0 };

  /* asyncio allows one of them per process; here they share the signal, and each reaps its own */
  test_attach (f->watcher, f->loop);
  test_attach (other, f->loop);
  test_attach (multi, f->loop);
  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    {
      children[i].pid = evp_test_spawn_child ("pause", NULL);
      children[i].stop = f->loop;
    }
  test_add (f->watcher, &children[0]);
  test_add (other, &children[1]);
  handler = evp_child_handler_new (children[2].pid, f->loop, child_cb, &children[2], child_destroy_cb);
  g_assert_true (evp_child_watcher_add_handler (multi, children[2].pid, handler, NULL));
  g_clear_object (&handler);
  for (guint i = 1; i < G_N_ELEMENTS (children); i++)
    {
      kill (children[i].pid, SIGTERM);
      while (children[i].n_calls == 0)
        test_loop_run (f->loop);
      g_assert_cmpint (children[i].returncode, ==, -SIGTERM);
    }
  /* the others' leaving takes nothing away */
  test_watcher_free (multi);
  test_watcher_free (other);
  kill (children[0].pid, SIGTERM);
  test_loop_run (f->loop);
  g_assert_cmpint (children[0].returncode, ==, -SIGTERM);
  assert_warned (f->n_warnings, 0, 0);
}

/* Rules: W-17, W-22, W-32, Z-35 */
static void
test_stolen_among_others (Fixture      *f,
                          gconstpointer data)
{
  Child running = { 0 };

  test_attach (f->watcher, f->loop);
  running.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &running);
  for (guint i = 1; i <= 2; i++)
    {
      Child stolen = { .stop = f->loop }, whole = { .stop = f->loop };

      /* their signals are one signal, and the stolen one leaves no zombie: it is found all the same, every time */
      stolen.pid = evp_test_spawn_child ("pause", NULL);
      whole.pid = evp_test_spawn_child ("pause", NULL);
      test_add (f->watcher, &stolen);
      test_add (f->watcher, &whole);
      kill_and_reap (stolen.pid);
      kill (whole.pid, SIGTERM);
      wait_for_zombie (whole.pid);
      while (stolen.n_calls == 0 || whole.n_calls == 0)
        test_loop_run (f->loop);
      g_assert_cmpint (stolen.returncode, ==, EVP_RETURNCODE_LOST);
      g_assert_cmpint (whole.returncode, ==, -SIGTERM);
      assert_warned (f->n_warnings, i, stolen.pid);
    }
  g_assert_cmpint (running.n_calls, ==, 0);
  evp_child_watcher_remove_child_handler (f->watcher, running.pid);
  kill_and_reap (running.pid);
}

typedef struct
{
  Fixture *f;
  Child *next;
} Adding;

static void
adding_cb (GPid     pid,
           int      returncode,
           gpointer user_data)
{
  Adding *self = user_data;

  /* from inside a sweep: no lock is held, and the bookkeeping is done */
  g_assert_false (evp_child_watcher_remove_child_handler (self->f->watcher, pid));
  self->next->pid = evp_test_spawn_child ("exit", "6", NULL);
  test_add (self->f->watcher, self->next);
}

/* Rules: W-31, Z-36 */
static void
test_reentrant (Fixture      *f,
                gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Child next = { .stop = f->loop };
  Adding adding = { f, &next };
  GPid pid;

  test_attach (f->watcher, f->loop);
  pid = evp_test_spawn_child ("pause", NULL);
  evp_child_watcher_add_child_handler (f->watcher, pid, adding_cb, &adding, NULL, &error);
  g_assert_no_error (error);
  kill (pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpint (next.returncode, ==, 6);
}

/* Rules: W-16, W-18, W-25 */
static void
test_many_at_once (Fixture      *f,
                   gconstpointer data)
{
  Child children[50] = { 0 };
  int n_calls = 0;

  test_attach (f->watcher, f->loop);
  evp_child_watcher_enter (f->watcher);
  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    {
      children[i].stop = f->loop;
      children[i].pid = evp_test_spawn_child ("pause", NULL);
      test_add (f->watcher, &children[i]);
    }
  evp_child_watcher_exit (f->watcher);
  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    kill (children[i].pid, SIGKILL);
  while (n_calls < (int) G_N_ELEMENTS (children))
    {
      test_loop_run (f->loop);
      n_calls = 0;
      for (guint i = 0; i < G_N_ELEMENTS (children); i++)
        n_calls += children[i].n_calls;
    }
  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    {
      g_assert_cmpint (children[i].returncode, ==, -SIGKILL);
      g_assert_true (children[i].loop == f->loop);
    }
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add ("/evp/watcher/safe-child-watcher/" name, Fixture, NULL, setup, func, teardown)
  ADD ("unattached", test_unattached);
  ADD ("not-ours", test_not_ours);
  ADD ("active", test_active);
  ADD ("attach-thread", test_attach_thread);
  ADD ("detach", test_detach);
  ADD ("loop-closed", test_loop_closed);
  ADD ("signal-shared", test_signal_shared);
  ADD ("several", test_several);
  ADD ("stolen-among-others", test_stolen_among_others);
  ADD ("reentrant", test_reentrant);
  ADD ("many-at-once", test_many_at_once);

  return g_test_run ();
}
