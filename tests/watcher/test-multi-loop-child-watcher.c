/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-multi-loop-child-watcher.h"

#include "evp/os/evp-os-signal-private.h"
#include "watcher/watcher-fixture.h"

static void
setup (Fixture      *f,
       gconstpointer data)
{
  fixture_set_up (f, "MultiLoopChildWatcher", evp_multi_loop_child_watcher_new);
}

/* Rules: W-5, W-36, W-41 */
static void
test_install (Fixture      *f,
              gconstpointer data)
{
  struct sigaction action;

  g_assert_false (evp_child_watcher_is_active (f->watcher));
  g_assert_false (evp_os_signal_is_installed (SIGCHLD));
  g_assert_cmpuint (evp_test_count_threads (), ==, f->leaks.threads);
  test_attach (f->watcher, f->loop);
  g_assert_true (evp_child_watcher_is_active (f->watcher));
  g_assert_true (evp_os_signal_is_installed (SIGCHLD));
  test_attach (f->watcher, f->loop);
  test_attach (f->watcher, NULL);
  g_assert_true (evp_child_watcher_is_active (f->watcher));
  g_assert_cmpuint (evp_test_count_threads (), ==, f->leaks.threads + 1);

  evp_child_watcher_close (f->watcher);
  g_assert_false (evp_child_watcher_is_active (f->watcher));
  sigaction (SIGCHLD, NULL, &action);
  g_assert_true (action.sa_handler == SIG_DFL);
  test_attach (f->watcher, f->loop);
  g_assert_true (evp_child_watcher_is_active (f->watcher));
  evp_child_watcher_close (f->watcher);

  /* attaching is not needed: launchers ask inside the bracket */
  test_attach (f->watcher, f->loop);
  evp_child_watcher_close (f->watcher);
  test_watcher_free (f->watcher);
  f->watcher = evp_multi_loop_child_watcher_new ();
  evp_child_watcher_enter (f->watcher);
  g_assert_true (evp_child_watcher_is_active (f->watcher));
  evp_child_watcher_exit (f->watcher);
  assert_warned (f->n_warnings, 0, 0);
}

typedef struct
{
  Fixture *f;
  Child child;
} Adder;

static void
add_cb (gpointer user_data)
{
  Adder *self = user_data;

  self->child.pid = evp_test_spawn_child ("exit", "4", NULL);
  wait_for_zombie (self->child.pid);
  test_add (self->f->watcher, &self->child);
  g_assert_cmpint (self->child.n_calls, ==, 0);
}

/* Rules: W-38, W-39, W-42 */
static void
test_never_at_once (Fixture      *f,
                    gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Adder adder = { .f = f, .child.stop = f->loop };
  Child child = { .pid = getpid () };

  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, child.pid, child_cb, &child, child_destroy_cb,
                                                       &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_RUNNING_LOOP);
  g_clear_error (&error);

  /* with a loop that runs, attaching is not needed */
  evp_event_loop_call_soon (f->loop, add_cb, &adder, NULL, &error);
  g_assert_no_error (error);
  test_loop_run (f->loop);
  g_assert_cmpint (adder.child.returncode, ==, 4);
  g_assert_true (adder.child.loop == f->loop);
}

/* Rules: W-43 */
static void
test_attach_thread (Fixture      *f,
                    gconstpointer data)
{
  test_refuses_other_threads (f);
  g_assert_false (evp_os_signal_is_installed (SIGCHLD));
  wait_for_threads (f->leaks.threads);
}

static int n_foreign;

static void
foreign_handler (int        signum,
                 siginfo_t *info,
                 void      *context)
{
  g_atomic_int_inc (&n_foreign);
}

/* Rules: W-37, W-64, Z-31 */
static void
test_restore (Fixture      *f,
              gconstpointer data)
{
  struct sigaction foreign = { .sa_sigaction = foreign_handler, .sa_flags = SA_SIGINFO | SA_NODEFER }, former, now;
  Child child = { .stop = f->loop };

  sigaddset (&foreign.sa_mask, SIGUSR2);
  sigaction (SIGCHLD, &foreign, &former);
  test_attach (f->watcher, f->loop);
  n_foreign = 0;
  child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &child);
  kill (child.pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpint (child.returncode, ==, -SIGKILL);
  g_assert_cmpint (g_atomic_int_get (&n_foreign), >=, 1);

  evp_child_watcher_close (f->watcher);
  sigaction (SIGCHLD, NULL, &now);
  g_assert_true (now.sa_sigaction == foreign_handler);
  g_assert_true ((now.sa_flags & SA_NODEFER) != 0);
  g_assert_cmpint (sigismember (&now.sa_mask, SIGUSR2), ==, 1);
  sigaction (SIGCHLD, &former, NULL);
  assert_warned (f->n_warnings, 0, 0);
}

/* Rules: W-41, W-64, Z-31 */
static void
test_replaced (Fixture      *f,
               gconstpointer data)
{
  struct sigaction foreign = { .sa_sigaction = foreign_handler, .sa_flags = SA_SIGINFO }, former, now;

  test_attach (f->watcher, f->loop);
  sigaction (SIGCHLD, &foreign, &former);
  g_assert_false (evp_child_watcher_is_active (f->watcher));
  evp_child_watcher_close (f->watcher);
  /* left where it is, with a word about it */
  assert_warned (f->n_warnings, 1, 0);
  sigaction (SIGCHLD, NULL, &now);
  g_assert_true (now.sa_sigaction == foreign_handler);
  now = (struct sigaction) { .sa_handler = SIG_DFL };
  sigaction (SIGCHLD, &now, NULL);
}

/* Rules: W-8, W-14, W-41 */
static void
test_attach_fails (Fixture      *f,
                   gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  struct rlimit former;
  Child child = { 0 };

  /* closed, and without a descriptor for the helper thread: it stays closed */
  evp_child_watcher_close (f->watcher);
  former = exhaust_fds ();
  g_assert_false (evp_child_watcher_attach_loop (f->watcher, f->loop, &error));
  setrlimit (RLIMIT_NOFILE, &former);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_clear_error (&error);
  child.pid = evp_test_spawn_child ("pause", NULL);
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, child.pid, child_cb, &child, child_destroy_cb,
                                                       &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WATCHER_CLOSED);
  kill_and_reap (child.pid);
}

/* Rules: W-14, W-40 */
static void
test_closed_attached_loop (Fixture      *f,
                           gconstpointer data)
{
  test_refuses_closed_loop (f->watcher);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add ("/evp/watcher/multi-loop-child-watcher/" name, Fixture, NULL, setup, func, \
                                      fixture_tear_down_threads)
  ADD ("install", test_install);
  ADD ("never-at-once", test_never_at_once);
  ADD ("attach-thread", test_attach_thread);
  ADD ("restore", test_restore);
  ADD ("replaced", test_replaced);
  ADD ("attach-fails", test_attach_fails);
  ADD ("closed-loop", test_closed_attached_loop);

  return g_test_run ();
}
