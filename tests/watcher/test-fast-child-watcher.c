/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-fast-child-watcher.h"

#include "evp/watcher/evp-base-child-watcher.h"
#include "watcher/watcher-fixture.h"

static void
setup (Fixture      *f,
       gconstpointer data)
{
  fixture_set_up (f, "FastChildWatcher", evp_fast_child_watcher_new);
  test_attach (f->watcher, f->loop);
}

/* Lets the loop reap whatever has ended: a child that is added ends, and it is the last. */
static void
reap_all (Fixture *f)
{
  Child last = { .stop = f->loop };

  evp_child_watcher_enter (f->watcher);
  last.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &last);
  kill (last.pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpint (last.n_calls, ==, 1);
  evp_child_watcher_exit (f->watcher);
}

/* Rules: W-27 */
static void
test_no_bracket (Fixture      *f,
                 gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Child child = { 0 };

  child.pid = evp_test_spawn_child ("pause", NULL);
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*evp_child_watcher_enter*");
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, child.pid, child_cb, &child, child_destroy_cb,
                                                       &error));
  g_test_assert_expected_messages ();
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  kill_and_reap (child.pid);

  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*evp_child_watcher_exit*");
  evp_child_watcher_exit (f->watcher);
  g_test_assert_expected_messages ();
}

/* Rules: W-28, W-29, W-30, W-61 */
static void
test_stash (Fixture      *f,
            gconstpointer data)
{
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;
  Child child = { 0 };

  evp_child_watcher_enter (f->watcher);
  child.pid = evp_test_spawn_child ("exit", "9", NULL);
  wait_for_zombie (child.pid);
  reap_all (f);
  /* reaped, and nobody has asked yet */
  g_assert_cmpint (waitpid (child.pid, NULL, WNOHANG), ==, -1);
  handler = evp_child_handler_new (child.pid, NULL, child_cb, &child, child_destroy_cb);
  evp_child_watcher_add_handler (f->watcher, child.pid, handler, &error);
  g_assert_no_error (error);
#ifdef __linux__
  g_assert_cmpfloat (evp_child_handler_get_cpu_time (handler), >=, 0);
#endif
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, 9);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  g_assert_cmpuint (evp_base_child_watcher_get_n_handlers (EVP_BASE_CHILD_WATCHER (f->watcher)), ==, 0);
  evp_child_watcher_exit (f->watcher);
  assert_warned (f->n_warnings, 0, 0);
}

/* Rules: W-26, W-30 */
static void
test_stash_left (Fixture      *f,
                 gconstpointer data)
{
  g_autofree char *number = NULL, *warning = NULL;
  GPid one, two;

  evp_child_watcher_enter (f->watcher);
  evp_child_watcher_enter (f->watcher);
  one = evp_test_spawn_child ("exit", "1", NULL);
  two = evp_test_spawn_child ("signal", "9", NULL);
  wait_for_zombie (one);
  wait_for_zombie (two);
  reap_all (f);
  /* an earlier exit keeps it */
  evp_child_watcher_exit (f->watcher);
  assert_warned (f->n_warnings, 0, 0);
  evp_child_watcher_exit (f->watcher);
  assert_warned (f->n_warnings, 1, one);
  warning = evp_warn_runtime_dup_last ();
  number = g_strdup_printf ("%d (-9)", (int) two);
  g_assert_nonnull (strstr (warning, number));
  /* and it is empty then */
  evp_child_watcher_enter (f->watcher);
  evp_child_watcher_exit (f->watcher);
  assert_warned (f->n_warnings, 1, 0);
}

/* Rules: W-35 */
static void
test_stash_stale (Fixture      *f,
                  gconstpointer data)
{
  Child again = { 0 };

  evp_child_watcher_enter (f->watcher);
  again.pid = evp_test_spawn_child ("exit", "9", NULL);
  wait_for_zombie (again.pid);
  reap_all (f);
  evp_child_watcher_exit (f->watcher);
  assert_warned (f->n_warnings, 1, again.pid);
  /* what was kept does not outlive its bracket: whoever gets the number later does not inherit the code */
  evp_child_watcher_enter (f->watcher);
  test_add (f->watcher, &again);
  evp_child_watcher_exit (f->watcher);
  g_assert_cmpint (again.n_calls, ==, 1);
  g_assert_cmpint (again.returncode, ==, EVP_RETURNCODE_LOST);
  assert_warned (f->n_warnings, 2, again.pid);
}

/* Rules: W-28, W-33 */
static void
test_stranger (Fixture      *f,
               gconstpointer data)
{
  g_autofree char *number = NULL, *warning = NULL;
  Child last = { .stop = f->loop };
  GPid stranger;

  /* outside any bracket */
  evp_child_watcher_enter (f->watcher);
  last.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &last);
  evp_child_watcher_exit (f->watcher);
  stranger = evp_test_spawn_child ("exit", "77", NULL);
  wait_for_zombie (stranger);
  kill (last.pid, SIGKILL);
  test_loop_run (f->loop);
  test_loop_turn (f->loop);
  g_assert_cmpint (waitpid (stranger, NULL, WNOHANG), ==, -1);
  g_assert_cmpint (errno, ==, ECHILD);
  assert_warned (f->n_warnings, 1, stranger);
  warning = evp_warn_runtime_dup_last ();
  g_assert_nonnull (strstr (warning, "77"));
}

/* Rules: W-34 */
static void
test_close (Fixture      *f,
            gconstpointer data)
{
  GPid pid;

  evp_child_watcher_enter (f->watcher);
  pid = evp_test_spawn_child ("exit", "1", NULL);
  wait_for_zombie (pid);
  reap_all (f);
  evp_child_watcher_close (f->watcher);
  evp_child_watcher_exit (f->watcher);
  /* the stash went with the handlers */
  assert_warned (f->n_warnings, 0, 0);
}

/* Rules: W-7, W-32 */
static void
test_nobodys (Fixture      *f,
              gconstpointer data)
{
  Child child = { 0 };

  /* what is gone before it is added can be known, unlike in asyncio */
  child.pid = evp_test_spawn_child ("pause", NULL);
  kill_and_reap (child.pid);
  evp_child_watcher_enter (f->watcher);
  test_add (f->watcher, &child);
  evp_child_watcher_exit (f->watcher);
  g_assert_cmpint (child.returncode, ==, EVP_RETURNCODE_LOST);
  assert_warned (f->n_warnings, 1, child.pid);
}

static void
in_callback_cb (GPid     pid,
                int      returncode,
                gpointer user_data)
{
  Fixture *f = user_data;

  /* no lock is held: everything may be called */
  evp_child_watcher_enter (f->watcher);
  evp_child_watcher_exit (f->watcher);
  g_assert_false (evp_child_watcher_remove_child_handler (f->watcher, pid));
  g_assert_true (evp_child_watcher_is_active (f->watcher));
  evp_event_loop_stop (f->loop);
}

/* Rules: W-31, Z-36 */
static void
test_in_callback (Fixture      *f,
                  gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  GPid pid;

  evp_child_watcher_enter (f->watcher);
  pid = evp_test_spawn_child ("pause", NULL);
  evp_child_watcher_add_child_handler (f->watcher, pid, in_callback_cb, f, NULL, &error);
  g_assert_no_error (error);
  evp_child_watcher_exit (f->watcher);
  kill (pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpuint (evp_base_child_watcher_get_n_handlers (EVP_BASE_CHILD_WATCHER (f->watcher)), ==, 0);
}

static void
close_in_callback_cb (GPid     pid,
                      int      returncode,
                      gpointer user_data)
{
  Fixture *f = user_data;

  evp_child_watcher_close (f->watcher);
  evp_event_loop_stop (f->loop);
}

/* Rules: W-8, W-34 */
static void
test_close_in_callback (Fixture      *f,
                        gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  GPid pid, stranger;

  evp_child_watcher_enter (f->watcher);
  pid = evp_test_spawn_child ("pause", NULL);
  evp_child_watcher_add_child_handler (f->watcher, pid, close_in_callback_cb, f, NULL, &error);
  g_assert_no_error (error);
  evp_child_watcher_exit (f->watcher);
  /* both have ended when the signal is handled, the watcher's own first */
  kill (pid, SIGKILL);
  wait_for_zombie (pid);
  stranger = evp_test_spawn_child ("exit", "3", NULL);
  wait_for_zombie (stranger);
  test_loop_run (f->loop);
  /* a watcher that is closed takes no child any more */
  g_assert_cmpint (waitpid (stranger, NULL, 0), ==, stranger);
  assert_warned (f->n_warnings, 0, 0);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add ("/evp/watcher/fast-child-watcher/" name, Fixture, NULL, setup, func, \
                                      fixture_tear_down)
  ADD ("no-bracket", test_no_bracket);
  ADD ("stash", test_stash);
  ADD ("stash-left", test_stash_left);
  ADD ("stash-stale", test_stash_stale);
  ADD ("stranger", test_stranger);
  ADD ("close", test_close);
  ADD ("nobodys", test_nobodys);
  ADD ("in-callback", test_in_callback);
  ADD ("close-in-callback", test_close_in_callback);

  return g_test_run ();
}
