/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-glib-child-watcher.h"

#include "watcher/watcher-fixture.h"

#include <glib-unix.h>

/* Rules: W-2, W-6, W-47 */
static void
test_without_loop (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a child in the default context");
  EvpAbstractChildWatcher *watcher = evp_glib_child_watcher_new ();
  Child first = { 0 }, child = { 0 };

  first.pid = child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (watcher, &first);
  test_add (watcher, &child);
  g_assert_cmpint (first.n_destroyed, ==, 1);
  kill (child.pid, SIGTERM);
  while (child.n_calls == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (child.returncode, ==, -SIGTERM);
  g_assert_cmpint (first.n_calls, ==, 0);
  test_watcher_free (watcher);
}

/* Rules: W-6, W-7 */
static void
test_not_ours (void)
{
  guint n_warnings = evp_warn_runtime_get_count ();
  EvpAbstractChildWatcher *watcher = evp_glib_child_watcher_new ();
  Child child = { .pid = 1 };

  test_add (watcher, &child);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, EVP_RETURNCODE_LOST);
  assert_warned (n_warnings, 1, 1);
  test_watcher_free (watcher);
}

static void
subprocess_cb (GObject      *object,
               GAsyncResult *result,
               gpointer      user_data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (g_subprocess_wait_finish (G_SUBPROCESS (object), result, &error));
  g_assert_no_error (error);
  g_main_loop_quit (user_data);
}

/* Rules: W-23, Z-32 */
static void
test_beside_gsubprocess (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "GSubprocess beside the watcher");
  g_autoptr (GMainLoop) main_loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GSubprocess) subprocess = NULL;
  g_autoptr (GError) error = NULL;
  EvpAbstractChildWatcher *watcher = evp_glib_child_watcher_new ();
  Child child = { 0 };

  child.pid = evp_test_spawn_child ("exit", "5", NULL);
  test_add (watcher, &child);
  subprocess = g_subprocess_new (G_SUBPROCESS_FLAGS_NONE, &error, evp_test_child_path (), "exit", "6", NULL);
  g_assert_no_error (error);
  g_subprocess_wait_async (subprocess, NULL, subprocess_cb, main_loop);
  g_main_loop_run (main_loop);
  while (child.n_calls == 0)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (g_subprocess_get_exit_status (subprocess), ==, 6);
  g_assert_cmpint (child.returncode, ==, 5);
  test_watcher_free (watcher);
}

/* Rules: W-14 */
static void
test_bare_loop (void)
{
  g_autoptr (EvpAbstractEventLoop) bare = g_object_new (bare_loop_get_type (), NULL);
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;
  EvpAbstractChildWatcher *watcher = evp_glib_child_watcher_new ();
  Child child = { 0 };

  /* a loop without a main context will not do */
  g_assert_false (evp_child_watcher_attach_loop (watcher, bare, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  child.pid = evp_test_spawn_child ("pause", NULL);
  handler = evp_child_handler_new (child.pid, bare, child_cb, &child, child_destroy_cb);
  g_assert_false (evp_child_watcher_add_handler (watcher, child.pid, handler, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  kill_and_reap (child.pid);
  test_watcher_free (watcher);
}

/* Rules: W-2, W-40, W-57 */
static void
test_closed_loop (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a child whose loop was closed");
  guint n_warnings = evp_warn_runtime_get_count ();
  EvpAbstractEventLoop *first = test_loop_new (), *second = test_loop_new ();
  EvpAbstractChildWatcher *watcher = evp_glib_child_watcher_new ();
  Child dropped = { 0 }, child = { .stop = second };

  test_attach (watcher, first);
  dropped.pid = child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (watcher, &dropped);
  test_attach (watcher, NULL);
  evp_event_loop_close (first, NULL);
  g_object_unref (first);
  assert_warned (n_warnings, 1, dropped.pid);
  g_assert_cmpint (dropped.n_destroyed, ==, 1);

  /* the first goes now, its context too, and with that GLib's source; the next loop gets another */
  test_attach (watcher, second);
  test_add (watcher, &child);
  kill (child.pid, SIGTERM);
  test_loop_run (second);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, -SIGTERM);
  g_assert_cmpint (dropped.n_calls, ==, 0);
  assert_warned (n_warnings, 1, 0);
  test_watcher_free (watcher);
  test_loop_close (second);
}

/* Whether GLib leaves a child without a pidfd alone until its source is dispatched, and so can tell what is lost. */
static gboolean
source_reaps_late (GPid running)
{
  g_autoptr (GSource) source = g_child_watch_source_new (running);

  g_assert_null (source->poll_fds);
  return g_child_watch_funcs.check (source);
}

/* Rules: W-6 */
static void
test_no_fds (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "children that GLib gets no pidfd for");
  g_autoptr (GSource) worker = g_unix_signal_source_new (SIGUSR2); /* GLib's thread has its descriptors from now on */
  guint n_warnings = evp_warn_runtime_get_count ();
  EvpAbstractEventLoop *loop = test_loop_new ();
  EvpAbstractChildWatcher *watcher = evp_glib_child_watcher_new ();
  Child child = { .stop = loop }, stolen = { .stop = loop };
  struct rlimit former;
  gboolean reaps_late;

  test_attach (watcher, loop);
  child.pid = evp_test_spawn_child ("pause", NULL);
  stolen.pid = evp_test_spawn_child ("pause", NULL);
  former = exhaust_fds ();
  test_add (watcher, &child);
  reaps_late = source_reaps_late (stolen.pid);
  if (reaps_late)
    test_add (watcher, &stolen);
  setrlimit (RLIMIT_NOFILE, &former);

  kill (child.pid, SIGTERM);
  test_loop_run (loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, -SIGTERM);
  assert_warned (n_warnings, 0, 0);

  kill_and_reap (stolen.pid);
  if (reaps_late)
    {
      g_test_expect_message ("GLib", G_LOG_LEVEL_WARNING, "*waitpid*g_child_watch_source_new()*");
      test_loop_run (loop);
      g_test_assert_expected_messages ();
      g_assert_cmpint (stolen.n_calls, ==, 1);
      g_assert_cmpint (stolen.returncode, ==, EVP_RETURNCODE_LOST);
      assert_warned (n_warnings, 1, stolen.pid);
    }
  else
    g_test_message ("this GLib takes what is lost for success: not looked at");
  g_assert_cmpint (stolen.n_calls, ==, reaps_late ? 1 : 0);
  test_watcher_free (watcher);
  test_loop_close (loop);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/watcher/glib-child-watcher/without-loop", test_without_loop);
  g_test_add_func ("/evp/watcher/glib-child-watcher/not-ours", test_not_ours);
  g_test_add_func ("/evp/watcher/glib-child-watcher/beside-gsubprocess", test_beside_gsubprocess);

  g_test_add_func ("/evp/watcher/glib-child-watcher/bare-loop", test_bare_loop);
  g_test_add_func ("/evp/watcher/glib-child-watcher/closed-loop", test_closed_loop);
  g_test_add_func ("/evp/watcher/glib-child-watcher/no-fds", test_no_fds);

  return g_test_run ();
}
