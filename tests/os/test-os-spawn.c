/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-spawn-private.h"

#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-wait-private.h"

#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGV(...) ((const char *const[]) { __VA_ARGS__, NULL })

#define REQUEST(...)                                                                    \
  ((EvpOsSpawnRequest) { .process_group = -1, .fds = standard_fds, .n_fds = 3, __VA_ARGS__ })

static const EvpOsSpawnFd standard_fds[] = { { 0, 0 }, { 1, 1 }, { 2, 2 } };

static int
wait_for (pid_t pid)
{
  int returncode = -1000;

  g_assert_true (evp_os_wait_peek (pid));
  g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_EXITED);
  return returncode;
}

static char *
read_to_end (int fd)
{
  GString *text = g_string_new (NULL);
  char buffer[4096];
  gssize n;

  while ((n = read (fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
    if (n > 0)
      g_string_append_len (text, buffer, n);
  g_assert_cmpint (n, ==, 0);
  return g_string_free (text, FALSE);
}

static int
run (const EvpOsSpawnRequest *request)
{
  g_autoptr (GError) error = NULL;
  pid_t pid = 0;

  g_assert_true (evp_os_spawn (request, &pid, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (pid, >, 0);
  return wait_for (pid);
}

/* What the child writes; it must end with 0. The request's fds are put behind 0 to 2. */
static char *
run_for_output (EvpOsSpawnRequest   request,
                const EvpOsSpawnFd *more,
                gsize               n_more)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "the output of a child");
  g_autofree EvpOsSpawnFd *fds = g_new (EvpOsSpawnFd, 3 + n_more);
  g_autoptr (GError) error = NULL;
  pid_t pid;
  int channel[2];

  g_assert_true (evp_os_fd_pipe (channel, FALSE, &error));
  g_assert_no_error (error);
  fds[0] = (EvpOsSpawnFd) { 0, 0 };
  fds[1] = (EvpOsSpawnFd) { channel[1], 1 };
  fds[2] = (EvpOsSpawnFd) { 2, 2 };
  for (gsize i = 0; i < n_more; i++)
    fds[3 + i] = more[i];
  request.fds = fds;
  request.n_fds = 3 + n_more;
  g_assert_true (evp_os_spawn (&request, &pid, NULL, &error));
  g_assert_no_error (error);
  close (channel[1]);
  char *text = read_to_end (channel[0]);
  close (channel[0]);
  g_assert_cmpint (wait_for (pid), ==, 0);
  return text;
}

static void
assert_fails (const EvpOsSpawnRequest *request,
              int                      code,
              const char              *word,
              const char              *reason)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_autoptr (GError) error = NULL;
  pid_t pid = 4711;
  int pidfd = 4711;

  g_assert_false (evp_os_spawn (request, &pid, &pidfd, &error));
  g_assert_error (error, G_IO_ERROR, code);
  g_assert_nonnull (strstr (error->message, word));
  g_assert_nonnull (strstr (error->message, reason));
  g_assert_cmpint (pid, ==, -1);
  g_assert_cmpint (pidfd, ==, -1);
  evp_test_leaks_check (&leaks);
  /* nor a child that somebody would have to wait for */
  g_assert_cmpint (waitpid (-1, NULL, WNOHANG), ==, -1);
  g_assert_cmpint (errno, ==, ECHILD);
}

/* Valgrind dies of an exec() that fails although the file is there. */
static gboolean
exec_failure_is_fatal (void)
{
  const char *preloaded = g_getenv ("LD_PRELOAD");

  return preloaded != NULL && strstr (preloaded, "vgpreload") != NULL;
}

/* Rules */
static void
test_exec_errors (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("evp-spawn-XXXXXX", &error);
  g_autofree char *plain = g_build_filename (folder, "plain", NULL);
  g_autofree char *garbage = g_build_filename (folder, "garbage", NULL);
  g_autofree char *script = g_build_filename (folder, "script", NULL);
  g_autofree char *below = g_build_filename (plain, "below", NULL);

  g_assert_no_error (error);
  g_assert_true (g_file_set_contents_full (plain, "", 0, 0, 0644, NULL));
  g_assert_true (g_file_set_contents_full (garbage, "no program", -1, 0, 0755, NULL));
  g_assert_true (g_file_set_contents_full (script, "#!/nonexistent/interpreter\n", -1, 0, 0755, NULL));

  EvpOsSpawnRequest request = REQUEST (.argv = ARGV ("evp-no-such-program"));
  assert_fails (&request, G_IO_ERROR_NOT_FOUND, "“evp-no-such-program”", "Check the name and PATH.");
  request.argv = ARGV ("/nonexistent/program");
  assert_fails (&request, G_IO_ERROR_NOT_FOUND, "“/nonexistent/program”", g_strerror (ENOENT));
  request.argv = ARGV ("");
  assert_fails (&request, G_IO_ERROR_NOT_FOUND, "“”", g_strerror (ENOENT));
  request.argv = ARGV (folder);
  assert_fails (&request, G_IO_ERROR_PERMISSION_DENIED, folder, g_strerror (EACCES));
  request.argv = ARGV (plain);
  assert_fails (&request, G_IO_ERROR_PERMISSION_DENIED, plain, "executable");
  request.argv = ARGV (garbage);
  assert_fails (&request, g_io_error_from_errno (ENOEXEC), garbage, g_strerror (ENOEXEC));
  if (!exec_failure_is_fatal ())
    {
      request.argv = ARGV (script);
      assert_fails (&request, G_IO_ERROR_NOT_FOUND, script, "interpreter");
    }
  request.argv = ARGV (below);
  assert_fails (&request, G_IO_ERROR_NOT_DIRECTORY, below, g_strerror (ENOTDIR));

  request.argv = ARGV (evp_test_child_path (), "exit", "0");
  request.cwd = "/nonexistent/directory";
  assert_fails (&request, G_IO_ERROR_NOT_FOUND, "“/nonexistent/directory”", "directory exists");
  request.cwd = plain;
  assert_fails (&request, G_IO_ERROR_NOT_DIRECTORY, plain, g_strerror (ENOTDIR));

  g_assert_cmpint (g_unlink (plain) + g_unlink (garbage) + g_unlink (script) + g_rmdir (folder), ==, 0);
}

/* Rules: Q-5 */
static void
test_bad_descriptor (void)
{
  const EvpOsSpawnFd bad[] = { { G_MAXINT, 1 } };
  const EvpOsSpawnFd same[] = { { 1000, 1000 } };
  const EvpOsSpawnFd negative[] = { { -1, 0 } };
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "exit", "0"));

  request.n_fds = 1;
  request.fds = bad;
  assert_fails (&request, g_io_error_from_errno (EBADF), "descriptor", g_strerror (EBADF));
  request.fds = same;
  assert_fails (&request, g_io_error_from_errno (EBADF), "descriptor", g_strerror (EBADF));
  request.fds = negative;
  assert_fails (&request, g_io_error_from_errno (EBADF), "descriptor", g_strerror (EBADF));
}

static void
test_too_long (void)
{
  /* one string longer than the 32 pages that Linux allows */
  g_autofree char *huge = g_strnfill (64 * 65536, 'x');
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), huge));

  if (exec_failure_is_fatal ())
    g_test_skip ("valgrind cannot go on when exec() fails");
  else
    assert_fails (&request, g_io_error_from_errno (E2BIG), "too long", g_strerror (E2BIG));
}

/* Rules: Q-5 */
static void
test_path_lookup (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp ("evp-spawn-XXXXXX", &error);
  g_autofree char *first = g_build_filename (folder, "first", NULL);
  g_autofree char *second = g_build_filename (folder, "second", NULL);
  g_autofree char *not_executable = g_build_filename (first, "evp-tool", NULL);
  g_autofree char *tool = g_build_filename (second, "evp-tool", NULL);
  g_autofree char *path = g_strdup_printf ("PATH=%s/missing:%s:%s", folder, first, second);
  g_autofree char *denied_path = g_strdup_printf ("PATH=%s:%s/missing", first, folder);
  g_autofree char *here_path = g_strdup_printf ("PATH=%s:", folder);

  g_assert_cmpint (g_mkdir (first, 0755) + g_mkdir (second, 0755), ==, 0);
  g_assert_true (g_file_set_contents_full (not_executable, "", 0, 0, 0644, NULL));
  g_assert_cmpint (symlink (evp_test_child_path (), tool), ==, 0);

  /* what cannot be run is passed over for what can */
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV ("evp-tool", "exit", "7"), .envp = ARGV ("X=y", path));
  g_assert_cmpint (run (&request), ==, 7);
  /* and is the error if there is nothing else */
  request.envp = ARGV (denied_path);
  assert_fails (&request, G_IO_ERROR_PERMISSION_DENIED, "“evp-tool”", g_strerror (EACCES));
  /* a path with a slash is not looked up */
  request.argv = ARGV ("./evp-tool", "exit", "8");
  request.envp = ARGV (path);
  assert_fails (&request, G_IO_ERROR_NOT_FOUND, "“./evp-tool”", g_strerror (ENOENT));
  request.cwd = second;
  g_assert_cmpint (run (&request), ==, 8);
  /* an empty folder is the child's working directory, and so is an empty PATH */
  request.argv = ARGV ("evp-tool", "exit", "9");
  request.envp = ARGV (here_path);
  g_assert_cmpint (run (&request), ==, 9);
  request.envp = ARGV ("PATH=");
  g_assert_cmpint (run (&request), ==, 9);
  /* without PATH in the child's environment the parent's does not count, and the working directory neither */
  request.envp = ARGV ("X=y");
  assert_fails (&request, G_IO_ERROR_NOT_FOUND, "“evp-tool”", g_strerror (ENOENT));
  request.argv = ARGV ("true");
  g_assert_cmpint (run (&request), ==, 0);

  g_assert_cmpint (g_unlink (tool) + g_unlink (not_executable) + g_rmdir (first) + g_rmdir (second) + g_rmdir (folder), ==, 0);
}

/* Rules: Q-13 */
static void
test_environment (void)
{
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "env", "EVP_SPAWN_TEST"));
  g_autofree char *inherited = NULL, *given = NULL, *none = NULL, *arguments = NULL;

  g_setenv ("EVP_SPAWN_TEST", "parent", TRUE);
  inherited = run_for_output (request, NULL, 0);
  g_assert_cmpstr (inherited, ==, "parent\n");
  request.envp = ARGV ("EVP_SPAWN_TEST=child");
  given = run_for_output (request, NULL, 0);
  g_assert_cmpstr (given, ==, "child\n");
  request.envp = (const char *const[]) { NULL };
  none = run_for_output (request, NULL, 0);
  g_assert_cmpstr (none, ==, "(unset)\n");
  g_unsetenv ("EVP_SPAWN_TEST");

  request.argv = ARGV (evp_test_child_path (), "argv", "", "two words", "$HOME", "ü");
  arguments = run_for_output (request, NULL, 0);
  g_assert_cmpstr (arguments, ==, "\ntwo words\n$HOME\nü\n");
}

static void
test_directory (void)
{
  g_autofree char *before = g_get_current_dir ();
  g_autofree char *after = NULL;
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "cwd"), .cwd = "/proc/sys");
  g_autofree char *text = run_for_output (request, NULL, 0);

  g_assert_cmpstr (text, ==, "/proc/sys\n");
  after = g_get_current_dir ();
  g_assert_cmpstr (after, ==, before);
}

static void
run_swapped (const EvpOsSpawnFd *swap,
             gsize               n_fds)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a child with 0 and 1 exchanged");
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "cat"));
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  int input[2], output[2], saved[2];
  pid_t pid;

  g_assert_true (evp_os_fd_pipe (input, FALSE, NULL));
  g_assert_true (evp_os_fd_pipe (output, FALSE, NULL));
  saved[0] = fcntl (0, F_DUPFD_CLOEXEC, 10);
  saved[1] = fcntl (1, F_DUPFD_CLOEXEC, 10);

  /* our 0 is where the child shall write to, our 1 where it shall read from */
  dup2 (output[1], 0);
  dup2 (input[0], 1);
  request.fds = swap;
  request.n_fds = n_fds;
  gboolean started = evp_os_spawn (&request, &pid, NULL, NULL);
  dup2 (saved[0], 0);
  dup2 (saved[1], 1);

  g_assert_true (started);
  close (output[1]);
  close (input[0]);
  close (saved[0]);
  close (saved[1]);
  g_assert_cmpint (write (input[1], "hello", 5), ==, 5);
  close (input[1]);
  g_autofree char *text = read_to_end (output[0]);
  g_assert_cmpstr (text, ==, "hello");
  close (output[0]);
  g_assert_cmpint (wait_for (pid), ==, 0);
  evp_test_leaks_check (&leaks);
}

/* Rules */
static void
test_swapped_fds (void)
{
  const EvpOsSpawnFd swap[] = { { 0, 1 }, { 1, 0 }, { 2, 2 } };

  run_swapped (swap, 3);
  /* the largest target is a source, too */
  run_swapped (swap, 2);
}

/* Rules: Q-20 */
static void
test_passed_fds (void)
{
  int passed = fcntl (2, F_DUPFD_CLOEXEC, 40);
  const EvpOsSpawnFd more[] = {
    { passed, passed }, /* its close-on-exec flag must go */
    { passed, 41 },
    { 2, passed + 7 },
    { passed, 3 },
    { 0, 5 }, /* 5 and 3 may be numbers of sources here: the pipe of the output is one of the lowest */
    { 2, 4 },
  };
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "fds"));
  g_autofree char *text = NULL;

  g_assert_cmpint (passed, ==, 40);
  text = run_for_output (request, more, G_N_ELEMENTS (more));
  g_auto (GStrv) numbers = g_strsplit (g_strstrip (text), "\n", -1);
  g_assert_cmpuint (g_strv_length (numbers), ==, 9);
  const char *const expected[] = { "0", "1", "2", "3", "4", "5", "40", "41", "47" };
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_true (g_strv_contains ((const char *const *) numbers, expected[i]));
  /* the parent's own flags are as they were */
  g_assert_cmpint (fcntl (passed, F_GETFD), ==, FD_CLOEXEC);
  close (passed);
}

/* Rules: Q-20 */
static void
test_highest_fds (void)
{
  enum { LIMIT = 60 };
  const EvpOsSpawnFd high[] = { { 2, LIMIT - 1 }, { 0, LIMIT - 3 } };
  const EvpOsSpawnFd swapped[] = { { 2, LIMIT - 1 }, { LIMIT - 2, LIMIT - 3 }, { LIMIT - 3, LIMIT - 2 } };
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "fds"));
  g_autofree char *text = NULL;
  g_autofree char *swapped_text = NULL;
  struct rlimit limit, low;
  int fds[2];

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  low = limit;
  low.rlim_cur = LIMIT;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));

  /* above the targets there is no number left */
  text = run_for_output (request, high, G_N_ELEMENTS (high));
  for (int i = 0; i < 2; i++)
    fds[i] = fcntl (2, F_DUPFD_CLOEXEC, LIMIT - 3);
  swapped_text = run_for_output (request, swapped, G_N_ELEMENTS (swapped));
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));

  g_assert_cmpstr (g_strdelimit (g_strstrip (text), "\n", ' '), ==, "0 1 2 57 59");
  g_assert_cmpstr (g_strdelimit (g_strstrip (swapped_text), "\n", ' '), ==, "0 1 2 57 58 59");
  close (fds[0]);
  close (fds[1]);
}

static int *
open_many (guint n)
{
  int *fds = g_new (int, n);

  for (guint i = 0; i < n; i++)
    {
      fds[i] = open ("/dev/null", O_RDONLY); /* not close-on-exec: somebody else's library is careless */
      g_assert_cmpint (fds[i], >=, 0);
    }
  return fds;
}

static void
close_many (int  *fds,
            guint n)
{
  for (guint i = 0; i < n; i++)
    {
      /* the child has closed its own, not ours */
      g_assert_true (evp_os_fd_is_open (fds[i]));
      g_assert_cmpint (fcntl (fds[i], F_GETFD), ==, 0);
      close (fds[i]);
    }
  g_free (fds);
}

static void
check_others_closed (guint n)
{
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "fds"));
  int *low = open_many (n / 2);
  int far_away = fcntl (2, F_DUPFD, (int) n + 200);
  g_autofree char *text = NULL;

  g_assert_cmpint (far_away, >, 0);
  /* the pipe of the output is now somewhere in the middle */
  text = run_for_output (request, NULL, 0);
  g_assert_cmpstr (text, ==, "0\n1\n2\n");
  close_many (low, n / 2);
  close_many (g_memdup2 (&far_away, sizeof far_away), 1);
}

/* Rules: Q-20 */
static void
test_others_closed (void)
{
  check_others_closed (20);
}

/* Rules: Q-20 */
static void
test_many_others_closed (void)
{
  struct rlimit limit;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  if (limit.rlim_cur < 5000)
    {
      struct rlimit raised = { MIN (limit.rlim_max, 5000), limit.rlim_max };

      setrlimit (RLIMIT_NOFILE, &raised);
      if (raised.rlim_cur < 5000)
        {
          g_test_skip ("fewer than 5000 descriptors are allowed here");
          return;
        }
    }
  check_others_closed (4000);
}

static void
test_session_and_group (void)
{
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "ids"));
  int uid, gid, group, session, pid;

  g_autofree char *inherited = run_for_output (request, NULL, 0);
  g_assert_cmpint (sscanf (inherited, "%d %d %d %d %d", &uid, &gid, &group, &session, &pid), ==, 5);
  g_assert_cmpint (group, ==, getpgrp ());
  g_assert_cmpint (session, ==, getsid (0));
  g_assert_cmpint (uid, ==, (int) getuid ());

  request.process_group = 0;
  g_autofree char *own_group = run_for_output (request, NULL, 0);
  g_assert_cmpint (sscanf (own_group, "%d %d %d %d %d", &uid, &gid, &group, &session, &pid), ==, 5);
  g_assert_cmpint (group, ==, pid);
  g_assert_cmpint (session, ==, getsid (0));

  request.process_group = getpgrp ();
  g_autofree char *given_group = run_for_output (request, NULL, 0);
  g_assert_cmpint (sscanf (given_group, "%d %d %d %d %d", &uid, &gid, &group, &session, &pid), ==, 5);
  g_assert_cmpint (group, ==, getpgrp ());

  for (int with_group = 0; with_group < 2; with_group++)
    {
      request.process_group = with_group ? 0 : -1;
      request.new_session = TRUE;
      g_autofree char *own_session = run_for_output (request, NULL, 0);
      g_assert_cmpint (sscanf (own_session, "%d %d %d %d %d", &uid, &gid, &group, &session, &pid), ==, 5);
      g_assert_cmpint (group, ==, pid);
      g_assert_cmpint (session, ==, pid);
    }

  /* no such group */
  request.new_session = FALSE;
  request.process_group = G_MAXINT;
  assert_fails (&request, G_IO_ERROR_PERMISSION_DENIED, "process group", g_strerror (EPERM));
}

static void
test_ids (void)
{
  const gid_t groups[] = { 4243, 4244 };
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV ("/bin/sh", "-c", "id -u; id -g; id -G"),
                                       .set_uid = TRUE, .uid = 4241, .set_gid = TRUE, .gid = 4242,
                                       .set_groups = TRUE, .groups = groups, .n_groups = 2);

  if (geteuid () != 0)
    {
      assert_fails (&request, G_IO_ERROR_PERMISSION_DENIED, "privileges", g_strerror (EPERM));
      g_test_skip ("only root can start a child as somebody else");
      return;
    }
  g_autofree char *text = run_for_output (request, NULL, 0);
  g_assert_cmpstr (text, ==, "4241\n4242\n4242 4243 4244\n");
  g_assert_cmpint (getuid (), ==, 0);
}

static int wrong_process; /* atomic */
static int handled;       /* atomic */
static pid_t test_pid;

static void
handler_cb (int signum)
{
  int saved_errno = errno;

  g_atomic_int_inc (&handled);
  if (syscall (SYS_getpid) != test_pid)
    g_atomic_int_inc (&wrong_process);
  errno = saved_errno;
}

/* Rules: Q-20 */
static void
test_signals (void)
{
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "signals"));
  sigset_t blocked, before, after;
  struct sigaction pipe_action, hup_action, tstp_action;
  g_autofree char *text = NULL, *restored = NULL;
  const struct sigaction ignore = { .sa_handler = SIG_IGN };

  sigaction (SIGPIPE, &ignore, &pipe_action);
  sigaction (SIGHUP, &ignore, &hup_action);
  sigaction (SIGTSTP, &ignore, &tstp_action);
  signal (SIGUSR1, handler_cb);
  sigemptyset (&blocked);
  sigaddset (&blocked, SIGTERM);
  sigaddset (&blocked, SIGUSR2);
  pthread_sigmask (SIG_BLOCK, &blocked, &before);

  /* what is ignored is inherited, the mask is not */
  text = run_for_output (request, NULL, 0);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_auto (GStrv) ignored = g_strsplit (lines[0], " ", -1);
  g_assert_true (g_strv_contains ((const char *const *) ignored, "1"));
  g_assert_true (g_strv_contains ((const char *const *) ignored, "13"));
  g_assert_true (g_strv_contains ((const char *const *) ignored, "20"));
  g_assert_false (g_strv_contains ((const char *const *) ignored, "10"));
  g_assert_cmpstr (lines[1], ==, "");

  request.restore_signals = TRUE;
  restored = run_for_output (request, NULL, 0);
  g_assert_cmpstr (restored, ==, "\n\n");

  /* the parent's mask is as it was, after a failure too */
  request.argv = ARGV ("/nonexistent/program");
  g_assert_false (evp_os_spawn (&request, &(pid_t) { 0 }, NULL, NULL));
  pthread_sigmask (SIG_SETMASK, &before, &after);
  for (int i = 1; i < NSIG; i++)
    g_assert_cmpint (sigismember (&after, i) == 1, ==,
                     sigismember (&before, i) == 1 || i == SIGTERM || i == SIGUSR2);
  struct sigaction now;
  sigaction (SIGHUP, NULL, &now);
  g_assert_true (now.sa_handler == SIG_IGN);

  sigaction (SIGPIPE, &pipe_action, NULL);
  sigaction (SIGHUP, &hup_action, NULL);
  sigaction (SIGTSTP, &tstp_action, NULL);
  signal (SIGUSR1, SIG_DFL);
}

static gpointer
group_storm_thread (gpointer data)
{
  int *done = data;

  while (!g_atomic_int_get (done))
    {
      kill (0, SIGUSR1);
      sched_yield ();
    }
  return NULL;
}

/* Handlers of the parent must not run in a child, which would work on the parent's memory. */
static void
test_signal_storm (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "children in a storm of signals");
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "exit", "5"));
  int done = 0;
  GThread *thread;

  setpgid (0, 0);
  if (getpgrp () != getpid ())
    {
      g_test_skip ("no process group of its own");
      return;
    }
  test_pid = getpid ();
  g_atomic_int_set (&handled, 0);
  g_atomic_int_set (&wrong_process, 0);
  signal (SIGUSR1, handler_cb);
  thread = g_thread_new ("storm", group_storm_thread, &done);
  for (int i = 0; i < (evp_test_is_slow () ? 10 : 100); i++)
    {
      int returncode = run (&request);

      /* the signal is for the child too, which has no handler */
      g_assert_true (returncode == 5 || returncode == -SIGUSR1);
    }
  g_atomic_int_set (&done, 1);
  g_thread_join (thread);
  signal (SIGUSR1, SIG_DFL);
  g_assert_cmpint (g_atomic_int_get (&handled), >, 0);
  g_assert_cmpint (g_atomic_int_get (&wrong_process), ==, 0);
}

static void
test_pidfd (void)
{
  g_autoptr (GError) error = NULL;
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "pause"));
  const char *reason;
  int pidfd = 0, returncode;
  pid_t pid;

  g_assert_true (evp_os_spawn (&request, &pid, &pidfd, &error));
  g_assert_no_error (error);
  if (!evp_os_pidfd_supported (&reason))
    {
      g_assert_cmpint (pidfd, ==, -1);
      kill (pid, SIGKILL);
      g_assert_cmpint (wait_for (pid), ==, -SIGKILL);
      if (!g_test_subprocess ())
        g_test_skip (reason);
      return;
    }
  g_assert_cmpint (pidfd, >=, 0);
  g_assert_cmpint (fcntl (pidfd, F_GETFD), ==, FD_CLOEXEC);
  g_assert_cmpint (evp_os_pidfd_send_signal (pidfd, SIGKILL), ==, 0);
  g_assert_true (evp_os_wait_peek (pid));
  g_assert_cmpint (evp_os_wait_reap_pidfd (pidfd, pid, &returncode, NULL), ==, EVP_WAIT_EXITED);
  g_assert_cmpint (returncode, ==, -SIGKILL);
  close (pidfd);
  evp_test_leaks_check (&leaks);
}

static void
test_large_parent (void)
{
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "exit", "0"));
  const gsize size = (evp_test_is_slow () ? 30 : 300) * 1024 * 1024;
  char *memory = g_malloc (size);

  for (gsize i = 0; i < size; i += 4096)
    memory[i] = (char) i;
  for (int i = 0; i < (evp_test_is_slow () ? 5 : 50); i++)
    g_assert_cmpint (run (&request), ==, 0);
  g_assert_cmpint (memory[4096 * 5], ==, (char) (4096 * 5));
  g_free (memory);
}

/* Rules */
static void
test_many (void)
{
  EvpOsSpawnRequest good = REQUEST (.argv = ARGV (evp_test_child_path (), "exit", "3"));
  EvpOsSpawnRequest bad = REQUEST (.argv = ARGV ("/nonexistent/program"));
  EvpTestLeaks leaks = evp_test_leaks_begin ();

  for (int i = 0; i < (evp_test_is_slow () ? 50 : 500); i++)
    {
      pid_t pid;
      int pidfd;

      g_assert_true (evp_os_spawn (&good, &pid, &pidfd, NULL));
      g_assert_false (evp_os_spawn (&bad, &(pid_t) { 0 }, &(int) { 0 }, NULL));
      g_assert_cmpint (wait_for (pid), ==, 3);
      evp_os_fd_close (pidfd);
    }
  evp_test_leaks_check (&leaks);
}

static gpointer
spawning_thread (gpointer data)
{
  int number = GPOINTER_TO_INT (data);
  g_autofree char *code = g_strdup_printf ("%d", number);
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "exit", code));
  EvpOsSpawnRequest bad = REQUEST (.argv = ARGV ("/nonexistent/program"));
  EvpOsSpawnRequest listing = REQUEST (.argv = ARGV (evp_test_child_path (), "fds"));

  for (int i = 0; i < 25; i++)
    {
      g_assert_cmpint (run (&request), ==, number);
      g_assert_false (evp_os_spawn (&bad, &(pid_t) { 0 }, NULL, NULL));
      /* no thread's pipes leak into the child of another */
      g_autofree char *text = run_for_output (listing, NULL, 0);
      g_assert_cmpstr (text, ==, "0\n1\n2\n");
    }
  return NULL;
}

/* Rules */
static void
test_threads (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "children of several threads");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("spawning", spawning_thread, GINT_TO_POINTER (10 + (int) i));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  evp_test_leaks_check (&leaks);
}

static void
test_no_process_left (void)
{
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "exit", "0"));
  struct rlimit limit, low;

  g_assert_cmpint (getrlimit (RLIMIT_NPROC, &limit), ==, 0);
  low = limit;
  low.rlim_cur = 0;
  if (geteuid () == 0 || setrlimit (RLIMIT_NPROC, &low) != 0)
    {
      g_test_skip ("root may always start one more process");
      return;
    }
  assert_fails (&request, g_io_error_from_errno (EAGAIN), "too many processes", g_strerror (EAGAIN));
  setrlimit (RLIMIT_NPROC, &limit);
}

/* From here on, a system call fails if that argument has one of the flags (0: always). */
static gboolean
forbid (int     number,
        int     argument,
        guint32 flags,
        int     error)
{
  guint32 offset = (guint32) offsetof (struct seccomp_data, args) + (guint32) argument * 8;

#if G_BYTE_ORDER == G_BIG_ENDIAN
  offset += 4;
#endif
  struct sock_filter code[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (guint32) number, 0, flags != 0 ? 3 : 1),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offset),
    BPF_JUMP (BPF_JMP | BPF_JSET | BPF_K, flags, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (guint32) error),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_filter always[] = {
    code[0],
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (guint32) number, 0, 1),
    code[4],
    code[5],
  };
  struct sock_fprog program = { G_N_ELEMENTS (code), code };

  if (flags == 0)
    program = (struct sock_fprog) { G_N_ELEMENTS (always), always };
  return prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/* Where the kernel or a sandbox refuses the fast way, the slow one does the same. */
static void
check_under_sandbox (gboolean (*apply) (void))
{
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
      if (g_test_trap_reached_timeout () || !g_test_trap_has_passed ())
        g_test_fail_printf ("not the same under a sandbox");
      return;
    }
  if (!apply ())
    {
      g_printerr ("skipped: no filter of system calls here\n");
      return;
    }
  test_exec_errors ();
  test_bad_descriptor ();
  test_path_lookup ();
  test_environment ();
  test_swapped_fds ();
  test_passed_fds ();
  test_highest_fds ();
  test_others_closed ();
  test_signals ();
  test_pidfd ();
  test_threads ();
}

static gboolean
forbid_vfork (void)
{
  return forbid (SYS_clone, 0, CLONE_VFORK, EPERM);
}

/* Rules */
static void
test_sandbox_no_vfork (void)
{
  check_under_sandbox (forbid_vfork);
}

static gboolean
forbid_close_range (void)
{
  return forbid (SYS_close_range, 0, 0, ENOSYS);
}

/* Rules */
static void
test_sandbox_no_close_range (void)
{
  check_under_sandbox (forbid_close_range);
}

static gboolean
forbid_pidfd_flag (void)
{
  return forbid (SYS_clone, 0, 0x1000 /* CLONE_PIDFD */, EINVAL);
}

/* Rules */
static void
test_sandbox_no_clone_pidfd (void)
{
  check_under_sandbox (forbid_pidfd_flag);
}

static gboolean
forbid_unshare (void)
{
  return forbid (SYS_close_range, 2, 2 /* CLOSE_RANGE_UNSHARE */, EPERM);
}

/* Rules */
static void
test_sandbox_no_unshare (void)
{
  check_under_sandbox (forbid_unshare);
}

/* The first child shows that it can be done, and then it is forbidden. */
static gboolean
forbid_vfork_later (void)
{
  EvpOsSpawnRequest request = REQUEST (.argv = ARGV (evp_test_child_path (), "exit", "0"));

  return run (&request) == 0 && forbid_vfork ();
}

/* Rules */
static void
test_sandbox_no_vfork_later (void)
{
  check_under_sandbox (forbid_vfork_later);
}

static gboolean
forbid_all (void)
{
  return forbid_vfork () && forbid_close_range () && forbid (SYS_pidfd_open, 0, 0, EPERM);
}

/* Rules */
static void
test_sandbox_nothing (void)
{
  check_under_sandbox (forbid_all);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/os/spawn/exec-errors", test_exec_errors);
  g_test_add_func ("/evp/os/spawn/bad-descriptor", test_bad_descriptor);
  g_test_add_func ("/evp/os/spawn/too-long", test_too_long);
  g_test_add_func ("/evp/os/spawn/path-lookup", test_path_lookup);
  g_test_add_func ("/evp/os/spawn/environment", test_environment);
  g_test_add_func ("/evp/os/spawn/directory", test_directory);
  g_test_add_func ("/evp/os/spawn/swapped-fds", test_swapped_fds);
  g_test_add_func ("/evp/os/spawn/passed-fds", test_passed_fds);
  g_test_add_func ("/evp/os/spawn/highest-fds", test_highest_fds);
  g_test_add_func ("/evp/os/spawn/others-closed", test_others_closed);
  g_test_add_func ("/evp/os/spawn/many-others-closed", test_many_others_closed);
  g_test_add_func ("/evp/os/spawn/session-and-group", test_session_and_group);
  g_test_add_func ("/evp/os/spawn/ids", test_ids);
  g_test_add_func ("/evp/os/spawn/signals", test_signals);
  g_test_add_func ("/evp/os/spawn/signal-storm", test_signal_storm);
  g_test_add_func ("/evp/os/spawn/pidfd", test_pidfd);
  g_test_add_func ("/evp/os/spawn/large-parent", test_large_parent);
  g_test_add_func ("/evp/os/spawn/many", test_many);
  g_test_add_func ("/evp/os/spawn/threads", test_threads);
  g_test_add_func ("/evp/os/spawn/no-process-left", test_no_process_left);
  g_test_add_func ("/evp/os/spawn/sandbox/no-vfork", test_sandbox_no_vfork);
  g_test_add_func ("/evp/os/spawn/sandbox/no-vfork-later", test_sandbox_no_vfork_later);
  g_test_add_func ("/evp/os/spawn/sandbox/no-unshare", test_sandbox_no_unshare);
  g_test_add_func ("/evp/os/spawn/sandbox/no-close-range", test_sandbox_no_close_range);
  g_test_add_func ("/evp/os/spawn/sandbox/no-clone-pidfd", test_sandbox_no_clone_pidfd);
  g_test_add_func ("/evp/os/spawn/sandbox/nothing", test_sandbox_nothing);

  return g_test_run ();
}
