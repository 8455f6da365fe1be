/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-wait-private.h"

#include "evp/base/evp-exit-status.h"
#include "evp/os/evp-os-fd-private.h"

#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Blocks until the child is a zombie, then reaps it. */
static int
reap_ended (GPid pid)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (30, "the end of a child");
  int returncode = -1000;

  g_assert_true (evp_os_wait_peek (pid));
  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_EXITED);
  return returncode;
}

/* Rules: W-6, Q-13 */
static void
test_returncodes (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();

  g_assert_cmpint (reap_ended (evp_test_spawn_child ("exit", "0", NULL)), ==, 0);
  g_assert_cmpint (reap_ended (evp_test_spawn_child ("exit", "1", NULL)), ==, 1);
  g_assert_cmpint (reap_ended (evp_test_spawn_child ("exit", "255", NULL)), ==, 255);
  /* only eight bits reach the parent */
  g_assert_cmpint (reap_ended (evp_test_spawn_child ("exit", "256", NULL)), ==, 0);
  g_assert_cmpint (reap_ended (evp_test_spawn_child ("signal", "9", NULL)), ==, -9);
  g_assert_cmpint (reap_ended (evp_test_spawn_child ("signal", "15", NULL)), ==, -15);
  evp_test_leaks_check (&leaks);
}

static void
end_and_peek (GPid pid)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (30, "the end of a child");

  g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
  g_assert_true (evp_os_wait_peek (pid));
}

/* Rules: W-6 */
static void
test_running (void)
{
  GPid pid = evp_test_spawn_child ("pause", NULL);
  int returncode = 4711;

  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_RUNNING);
  g_assert_cmpint (returncode, ==, 4711);
  end_and_peek (pid);
  /* looking does not reap */
  g_assert_true (evp_os_wait_peek (pid));
  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_EXITED);
  g_assert_cmpint (returncode, ==, -SIGKILL);
}

/* Rules: W-6, W-10 */
static void
test_look (void)
{
  GPid pid = evp_test_spawn_child ("pause", NULL);
  pid_t any = 0;
  int returncode;

  g_assert_cmpint (evp_os_wait_look (pid), ==, EVP_WAIT_RUNNING);
  g_assert_false (evp_os_wait_look_any (&any));
  end_and_peek (pid);
  /* however often it is looked at, there is something left to see */
  for (int i = 0; i < 2; i++)
    {
      g_assert_cmpint (evp_os_wait_look (pid), ==, EVP_WAIT_EXITED);
      g_assert_true (evp_os_wait_look_any (&any));
      g_assert_cmpint (any, ==, pid);
    }
  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_EXITED);
  g_assert_cmpint (returncode, ==, -SIGKILL);
  g_assert_cmpint (evp_os_wait_look (pid), ==, EVP_WAIT_LOST);
  g_assert_false (evp_os_wait_look_any (&any));
}

/* Rules: W-6 */
static void
test_stopped_is_running (void)
{
  GPid pid = evp_test_spawn_child ("pause", NULL);
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (30, "a child to stop");
  int returncode, status;

  g_assert_cmpint (kill (pid, SIGSTOP), ==, 0);
  g_assert_cmpint (waitpid (pid, &status, WUNTRACED), ==, pid);
  g_assert_true (WIFSTOPPED (status));
  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_RUNNING);
  end_and_peek (pid);
  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_EXITED);
}

/* Rules: W-6, W-61, Z-39 */
static void
test_lost (void)
{
  GPid pid = evp_test_spawn_child ("exit", "3", NULL);
  int returncode = 0, status;

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_LOST);
  g_assert_cmpint (returncode, ==, EVP_RETURNCODE_LOST);
  g_assert_false (evp_os_wait_peek (pid));
  /* never a child of ours */
  g_assert_cmpint (evp_os_wait_reap (getpid (), &returncode, NULL), ==, EVP_WAIT_LOST);
}

/* Rules: W-63 */
static void
test_sigchld_ignored (void)
{
  struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
  GPid pid;
  int returncode = 0;

  g_assert_cmpint (sigaction (SIGCHLD, &ignore, &before), ==, 0);
  pid = evp_test_spawn_child ("exit", "7", NULL);
  {
    g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (30, "the kernel to reap");
    /* blocks until the kernel has thrown the status away */
    g_assert_false (evp_os_wait_peek (pid));
  }
  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_LOST);
  g_assert_cmpint (returncode, ==, EVP_RETURNCODE_LOST);
  g_assert_cmpint (sigaction (SIGCHLD, &before, NULL), ==, 0);
}

static void
test_reap_any (void)
{
  GPid pids[3];
  gboolean seen[3] = { FALSE };
  pid_t pid;
  int returncode;

  g_assert_false (evp_os_wait_reap_any (&pid, &returncode, NULL));
  for (int i = 0; i < 3; i++)
    {
      g_autofree char *code = g_strdup_printf ("%d", 10 + i);

      pids[i] = evp_test_spawn_child ("exit", code, NULL);
      g_assert_true (evp_os_wait_peek (pids[i]));
    }
  GPid running = evp_test_spawn_child ("pause", NULL);
  while (evp_os_wait_reap_any (&pid, &returncode, NULL))
    for (int i = 0; i < 3; i++)
      if (pids[i] == pid)
        {
          g_assert_false (seen[i]);
          seen[i] = TRUE;
          g_assert_cmpint (returncode, ==, 10 + i);
        }
  for (int i = 0; i < 3; i++)
    g_assert_true (seen[i]);
  end_and_peek (running);
  g_assert_true (evp_os_wait_reap_any (&pid, &returncode, NULL));
  g_assert_cmpint (pid, ==, running);
  g_assert_cmpint (returncode, ==, -SIGKILL);
}

static void
assert_cpu_time (double cpu_time,
                 gint64 start)
{
#ifdef __linux__
  g_assert_cmpfloat (cpu_time, >, 0);
  /* one thread takes no more than the time that has passed, give or take how the kernel counts */
  g_assert_cmpfloat (cpu_time, <, (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC + 1);
#else
  g_assert_cmpfloat (cpu_time, ==, EVP_CPU_TIME_UNKNOWN);
#endif
}

/* The processor time comes with the status, by whatever way the child is reaped; not with one that is lost. */
static void
test_cpu_time (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (30, "the end of a child");
  gint64 start = g_get_monotonic_time ();
  double cpu_time = -2;
  int returncode;
  pid_t any;
  GPid pid;

  pid = evp_test_spawn_child ("burn", NULL);
  g_assert_true (evp_os_wait_peek (pid));
  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, &cpu_time), ==, EVP_WAIT_EXITED);
  g_assert_cmpint (returncode, ==, 0);
  assert_cpu_time (cpu_time, start);

  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, &cpu_time), ==, EVP_WAIT_LOST);
  g_assert_cmpfloat (cpu_time, ==, EVP_CPU_TIME_UNKNOWN);

  pid = evp_test_spawn_child ("burn", NULL);
  g_assert_true (evp_os_wait_peek (pid));
  g_assert_true (evp_os_wait_reap_any (&any, &returncode, &cpu_time));
  g_assert_cmpint (any, ==, pid);
  assert_cpu_time (cpu_time, start);

  if (evp_os_pidfd_supported (NULL))
    {
      g_auto (EvpFd) pidfd = EVP_FD_NONE;

      pid = evp_test_spawn_child ("burn", NULL);
      pidfd = evp_os_pidfd_open (pid, NULL);
      g_assert_true (evp_os_wait_peek (pid));
      g_assert_cmpint (evp_os_wait_reap_pidfd (pidfd, pid, &returncode, &cpu_time), ==, EVP_WAIT_EXITED);
      assert_cpu_time (cpu_time, start);
    }
}

static gboolean
skip_without_pidfd (void)
{
  const char *reason;

  if (evp_os_pidfd_supported (&reason))
    {
      g_assert_null (reason);
      return FALSE;
    }
  g_assert_nonnull (reason);
  g_test_skip (reason);
  return TRUE;
}

/* Rules: W-6 */
static void
test_pidfd (void)
{
  g_autoptr (GError) error = NULL;
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  GPid pid;
  int returncode = 4711;

  if (skip_without_pidfd ())
    return;

  pid = evp_test_spawn_child ("pause", NULL);
  {
    g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (30, "a pidfd to become readable");
    g_auto (EvpFd) pidfd = evp_os_pidfd_open (pid, &error);

    g_assert_no_error (error);
    g_assert_cmpint (pidfd, >=, 0);
    g_assert_cmpint (fcntl (pidfd, F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint (evp_os_wait_reap_pidfd (pidfd, pid, &returncode, NULL), ==, EVP_WAIT_RUNNING);
    g_assert_cmpint (returncode, ==, 4711);
    g_assert_cmpint (evp_os_pidfd_send_signal (pidfd, SIGTERM), ==, 0);

    struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };
    g_assert_cmpint (poll (&poll_fd, 1, -1), ==, 1);
    g_assert_cmpint (evp_os_wait_reap_pidfd (pidfd, pid, &returncode, NULL), ==, EVP_WAIT_EXITED);
    g_assert_cmpint (returncode, ==, -SIGTERM);

    /* reaped: the descriptor can hit nobody else */
    g_assert_cmpint (evp_os_pidfd_send_signal (pidfd, SIGTERM), ==, ESRCH);
    g_assert_cmpint (evp_os_wait_reap_pidfd (pidfd, pid, &returncode, NULL), ==, EVP_WAIT_LOST);
    g_assert_cmpint (returncode, ==, EVP_RETURNCODE_LOST);
  }
  evp_test_leaks_check (&leaks);
}

static void
test_pidfd_not_found (void)
{
  g_autoptr (GError) error = NULL;
  GPid pid;
  int status, pidfd;

  if (skip_without_pidfd ())
    return;

  pid = evp_test_spawn_child ("exit", "0", NULL);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  pidfd = evp_os_pidfd_open (pid, &error);
  g_assert_cmpint (errno, ==, ESRCH);
  g_assert_cmpint (pidfd, ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/os/wait/returncodes", test_returncodes);
  g_test_add_func ("/evp/os/wait/running", test_running);
  g_test_add_func ("/evp/os/wait/look", test_look);
  g_test_add_func ("/evp/os/wait/stopped-is-running", test_stopped_is_running);
  g_test_add_func ("/evp/os/wait/lost", test_lost);
  g_test_add_func ("/evp/os/wait/sigchld-ignored", test_sigchld_ignored);
  g_test_add_func ("/evp/os/wait/reap-any", test_reap_any);
  g_test_add_func ("/evp/os/wait/cpu-time", test_cpu_time);
  g_test_add_func ("/evp/os/wait/pidfd", test_pidfd);
  g_test_add_func ("/evp/os/wait/pidfd-not-found", test_pidfd_not_found);

  return g_test_run ();
}
