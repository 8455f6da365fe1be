/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-fork-private.h"

#include "support/evp-test-support.h"

#include <sys/wait.h>
#include <unistd.h>

static int
wait_for_exit (pid_t pid)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (30, "the forked child");
  int status;

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  return WEXITSTATUS (status);
}

/* Rules: Z-17, Z-30 */
static void
test_generation (void)
{
  guint before = evp_os_fork_generation ();
  pid_t pid;

  g_assert_cmpuint (before, !=, 0);
  g_assert_cmpuint (evp_os_fork_generation (), ==, before);

  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      guint child = evp_os_fork_generation ();

      /* a grandchild differs from both */
      pid_t grandchild = fork ();
      if (grandchild == 0)
        _exit (evp_os_fork_generation () != child && evp_os_fork_generation () != before ? 0 : 1);
      int status = 1;
      if (grandchild < 0 || waitpid (grandchild, &status, 0) != grandchild || status != 0)
        _exit (2);
      _exit (child != before && child != 0 && evp_os_is_main_thread () ? 0 : 1);
    }
  g_assert_cmpint (wait_for_exit (pid), ==, 0);
  g_assert_cmpuint (evp_os_fork_generation (), ==, before);
}

static gpointer
worker_thread (gpointer data)
{
  gboolean *in_child_was_main = data;
  pid_t pid;

  g_assert_false (evp_os_is_main_thread ());
  g_assert_false (evp_os_is_main_thread ());

  /* the thread that forks is the child's main thread, whatever it was before */
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    _exit (evp_os_is_main_thread () ? 0 : 1);
  *in_child_was_main = wait_for_exit (pid) == 0;
  g_assert_false (evp_os_is_main_thread ());
  return NULL;
}

/* Rules: Z-17, P-13 */
static void
test_main_thread (void)
{
  gboolean in_child_was_main = FALSE;
  GThread *thread;

  /* the worker asks first: a library loaded late must not take it for the main thread */
  thread = g_thread_new ("worker", worker_thread, &in_child_was_main);
  g_thread_join (thread);
  g_assert_true (in_child_was_main);
  g_assert_true (evp_os_is_main_thread ());
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/os/fork/main-thread", test_main_thread);
  g_test_add_func ("/evp/os/fork/generation", test_generation);

  return g_test_run ();
}
