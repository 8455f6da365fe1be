/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-threaded-child-watcher.h"

#include "watcher/watcher-fixture.h"

#include <fcntl.h>
#include <stdlib.h>

static void
setup (Fixture      *f,
       gconstpointer data)
{
  fixture_set_up (f, "ThreadedChildWatcher", evp_threaded_child_watcher_new);
}

/* The status of the thread that waits, once it has its name; NULL if there is none. Counts them. */
static char *
find_thread (guint *n_found)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *tid;
  char *found = NULL;

  *n_found = 0;
  while ((tid = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/task", tid, "status", NULL);
      g_autofree char *status = NULL;

      if (!g_file_get_contents (path, &status, NULL, NULL) || !g_str_has_prefix (status, "Name:\tevp-wait-"))
        continue;
      ++*n_found;
      g_free (found);
      found = g_steal_pointer (&status);
    }
  return found;
}

/* Rules: W-44, W-46 */
static void
test_needs_loop (Fixture      *f,
                 gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Child child = { 0 };

  g_assert_true (evp_child_watcher_is_active (f->watcher));
  child.pid = evp_test_spawn_child ("pause", NULL);
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, child.pid, child_cb, &child, child_destroy_cb,
                                                       &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_RUNNING_LOOP);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  kill_and_reap (child.pid);
}

/* Rules: W-44, W-47, W-50 */
static void
test_thread (Fixture      *f,
             gconstpointer data)
{
  Child child = { .stop = f->loop };
  g_autofree char *status = NULL;
  const char *blocked;
  guint64 mask;
  guint n;

  test_attach (f->watcher, f->loop);
  child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &child);
  /* removed and added again, replaced: it stays one thread */
  g_assert_true (evp_child_watcher_remove_child_handler (f->watcher, child.pid));
  test_add (f->watcher, &child);
  test_add (f->watcher, &child);
  child.n_destroyed = 0;
  g_assert_cmpuint (evp_test_count_threads (), ==, f->leaks.threads + 1);
  while ((status = find_thread (&n)) == NULL)
    g_thread_yield ();
  g_assert_cmpuint (n, ==, 1);
  blocked = strstr (status, "SigBlk:\t");
  g_assert_nonnull (blocked);
  mask = g_ascii_strtoull (blocked + strlen ("SigBlk:\t"), NULL, 16);
  g_assert_true ((mask & (1u << (SIGCHLD - 1))) != 0);
  g_assert_true ((mask & (1u << (SIGINT - 1))) != 0);
  g_assert_true ((mask & (1u << (SIGTERM - 1))) != 0);

  kill (child.pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  wait_for_threads (f->leaks.threads);
}

/* Rules: W-49, Z-33 */
static void
test_reaped_by_loop (Fixture      *f,
                     gconstpointer data)
{
  Child child = { .stop = f->loop };

  test_attach (f->watcher, f->loop);
  child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &child);
  kill (child.pid, SIGKILL);
  wait_for_threads (f->leaks.threads);
  /* the thread has seen it and is gone, and the pid is still taken */
  wait_for_zombie (child.pid);
  g_assert_cmpint (kill (child.pid, 0), ==, 0);
  g_assert_cmpint (child.n_calls, ==, 0);
  test_loop_run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (kill (child.pid, 0), ==, -1);
}

/* Rules: W-8, W-46, W-48 */
static void
test_close (Fixture      *f,
            gconstpointer data)
{
  Child children[20] = { 0 };
  const char *reason;

  if (!evp_os_pidfd_supported (&reason))
    {
      /* nothing wakes a thread then but the end of its child */
      g_test_skip (reason);
      return;
    }
  test_attach (f->watcher, f->loop);
  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    {
      children[i].pid = evp_test_spawn_child ("pause", NULL);
      test_add (f->watcher, &children[i]);
    }
  g_assert_cmpuint (evp_test_count_threads (), ==, f->leaks.threads + G_N_ELEMENTS (children));
  /* it waits for its threads, not for the children */
  evp_child_watcher_close (f->watcher);
  wait_for_threads (f->leaks.threads);
  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    {
      g_assert_cmpint (children[i].n_destroyed, ==, 1);
      kill_and_reap (children[i].pid);
    }
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings);
}

/* Rules: W-8, W-47, Z-35 */
static void
test_without_pidfds (Fixture      *f,
                     gconstpointer data)
{
  struct rlimit former;
  Child first = { .stop = f->loop }, child = { .stop = f->loop }, abandoned = { 0 };

  /* with no descriptor left, the thread waits in the older way */
  test_attach (f->watcher, f->loop);
  first.pid = evp_test_spawn_child ("pause", NULL);
  child.pid = evp_test_spawn_child ("pause", NULL);
  abandoned.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &first);
  former = exhaust_fds ();
  test_add (f->watcher, &child);
  test_add (f->watcher, &abandoned);
  setrlimit (RLIMIT_NOFILE, &former);

  kill (child.pid, SIGTERM);
  test_loop_run (f->loop);
  g_assert_cmpint (child.returncode, ==, -SIGTERM);
  /* close() still waits for no child */
  evp_child_watcher_close (f->watcher);
  g_assert_cmpint (abandoned.n_destroyed, ==, 1);
  kill_and_reap (abandoned.pid);
  kill_and_reap (first.pid);
  wait_for_threads (f->leaks.threads);
}

#if defined (__SANITIZE_ADDRESS__) || defined (__SANITIZE_THREAD__)
# define SANITIZED 1
#elif defined (__has_feature)
# if __has_feature (address_sanitizer) || __has_feature (thread_sanitizer)
#  define SANITIZED 1
# endif
#endif
#ifndef SANITIZED
# define SANITIZED 0
#endif

/* Rules: W-44, Z-35 */
static void
test_no_threads_left (Fixture      *f,
                      gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  struct rlimit former, none;
  Child child = { .stop = f->loop };

  if (SANITIZED)
    {
      g_test_skip ("the sanitizer itself needs address space");
      return;
    }
  test_attach (f->watcher, f->loop);
  child.pid = evp_test_spawn_child ("pause", NULL);
  /* no address space for a stack: the limit is far below what is mapped already */
  getrlimit (RLIMIT_AS, &former);
  none = former;
  none.rlim_cur = 1 << 20;
  setrlimit (RLIMIT_AS, &none);
  gboolean added = evp_child_watcher_add_child_handler (f->watcher, child.pid, child_cb, &child, child_destroy_cb,
                                                        &error);
  setrlimit (RLIMIT_AS, &former);
  if (added)
    {
      /* a cached stack was at hand */
      kill (child.pid, SIGKILL);
      test_loop_run (f->loop);
      g_assert_cmpint (child.returncode, ==, -SIGKILL);
      return;
    }
  g_assert_nonnull (error);
  g_assert_true (error->domain == G_IO_ERROR);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  /* nothing stays, and it may be tried again */
  child.n_destroyed = 0;
  test_add (f->watcher, &child);
  kill (child.pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpint (child.returncode, ==, -SIGKILL);
}

/* Rules: W-48 */
static void
test_exit (void)
{
  if (g_test_subprocess ())
    {
      EvpAbstractEventLoop *loop = test_loop_new ();
      EvpAbstractChildWatcher *watcher = evp_threaded_child_watcher_new ();
      Child child = { 0 };
      int fds[2];

      /* the child ends when its standard input does, which is when this process is gone */
      g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
      g_assert_cmpint (dup2 (fds[0], 0), ==, 0);
      test_attach (watcher, loop);
      child.pid = evp_test_spawn_child ("wait", NULL);
      test_add (watcher, &child);
      g_assert_cmpint (child.n_calls, ==, 0);
      exit (0);
    }
  g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed ();
}

/* Rules: W-6, W-32, W-47 */
static void
test_again (Fixture      *f,
            gconstpointer data)
{
  Child child = { .stop = f->loop };

  /* the thread of a child that has ended does not wait for the next one of that number */
  test_attach (f->watcher, f->loop);
  child.pid = evp_test_spawn_child ("exit", "4", NULL);
  test_add (f->watcher, &child);
  test_loop_run (f->loop);
  g_assert_cmpint (child.returncode, ==, 4);
  wait_for_threads (f->leaks.threads);
  test_add (f->watcher, &child);
  child.n_destroyed = 0;
  test_loop_run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 2);
  g_assert_cmpint (child.returncode, ==, EVP_RETURNCODE_LOST);
  assert_warned (f->n_warnings, 1, child.pid);
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

#define ADD(name, func) g_test_add ("/evp/watcher/threaded-child-watcher/" name, Fixture, NULL, setup, func, \
                                      fixture_tear_down_threads)
  ADD ("needs-loop", test_needs_loop);
  ADD ("thread", test_thread);
  ADD ("reaped-by-loop", test_reaped_by_loop);
  ADD ("close", test_close);
  ADD ("without-pidfds", test_without_pidfds);
  ADD ("no-threads-left", test_no_threads_left);
  ADD ("closed-loop", test_closed_attached_loop);
  ADD ("again", test_again);
  g_test_add_func ("/evp/watcher/threaded-child-watcher/exit", test_exit);

  return g_test_run ();
}
