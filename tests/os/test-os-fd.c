/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-fd-private.h"

#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void
assert_pipe_flags (gboolean nonblock)
{
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_true (evp_os_fd_pipe (fds, nonblock, &error));
  g_assert_no_error (error);
  for (int i = 0; i < 2; i++)
    {
      g_assert_cmpint (fcntl (fds[i], F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
      g_assert_cmpint (fcntl (fds[i], F_GETFL) & O_NONBLOCK, ==, nonblock ? O_NONBLOCK : 0);
    }
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  evp_os_fd_close (fds[0]);
  evp_os_fd_close (fds[1]);
}

static void
test_pipe (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();

  assert_pipe_flags (FALSE);
  assert_pipe_flags (TRUE);
  evp_test_leaks_check (&leaks);
}

static void
test_pipe_refused (void)
{
  g_autoptr (GError) error = NULL;
  struct rlimit limit, none;
  int fds[2] = { 7, 7 };

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  none = limit;
  /* not 0, with which poll() fails in GLib's own thread */
  none.rlim_cur = (rlim_t) dup (0);
  close ((int) none.rlim_cur);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  gboolean made = evp_os_fd_pipe (fds, TRUE, &error);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);

  g_assert_false (made);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_assert_nonnull (strstr (error->message, "ulimit -n"));
  g_assert_cmpint (fds[0], ==, EVP_FD_NONE);
  g_assert_cmpint (fds[1], ==, EVP_FD_NONE);
}

/* One descriptor more or less decides, and none is left behind by asking. */
static void
test_check_left (void)
{
  g_autoptr (GError) error = NULL;
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  struct rlimit limit, none, one;

  g_assert_true (evp_os_fd_check_left (&error));
  g_assert_no_error (error);

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  none = one = limit;
  none.rlim_cur = (rlim_t) dup (0);
  close ((int) none.rlim_cur);
  one.rlim_cur = none.rlim_cur + 1;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  gboolean left = evp_os_fd_check_left (&error);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &one), ==, 0);
  gboolean last_left = evp_os_fd_check_left (NULL);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);

  g_assert_false (left);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_assert_true (last_left);
  evp_test_leaks_check (&leaks);
}

static void
test_scope (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  int number, kept;

  {
    g_auto (EvpFd) closes_itself = open ("/dev/null", O_RDONLY | O_CLOEXEC);
    g_auto (EvpFd) stolen = open ("/dev/null", O_RDONLY | O_CLOEXEC);

    number = closes_itself;
    kept = evp_os_fd_steal (&stolen);
    g_assert_cmpint (stolen, ==, EVP_FD_NONE);
    g_assert_true (evp_os_fd_is_open (number));
  }
  g_assert_false (evp_os_fd_is_open (number));
  g_assert_true (evp_os_fd_is_open (kept));
  evp_os_fd_close (kept);
  evp_test_leaks_check (&leaks);
}

static void
test_close_keeps_errno (void)
{
  errno = ERANGE;
  evp_os_fd_close (EVP_FD_NONE);
  g_assert_cmpint (errno, ==, ERANGE);
  evp_os_fd_close (G_MAXINT);
  g_assert_cmpint (errno, ==, ERANGE);
  g_assert_false (evp_os_fd_is_open (G_MAXINT));
  g_assert_cmpint (errno, ==, ERANGE);
}

static void
test_flags (void)
{
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_cmpint (pipe (fds), ==, 0);
  for (int i = 0; i < 2; i++)
    {
      /* twice: the second time there is nothing to do */
      g_assert_true (evp_os_fd_set_nonblock (fds[0], &error));
      g_assert_true (evp_os_fd_set_cloexec (fds[0], &error));
    }
  g_assert_no_error (error);
  g_assert_cmpint (fcntl (fds[0], F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
  g_assert_cmpint (fcntl (fds[0], F_GETFD), ==, FD_CLOEXEC);
  g_assert_cmpint (fcntl (fds[1], F_GETFL) & O_NONBLOCK, ==, 0);
  g_assert_cmpint (fcntl (fds[1], F_GETFD), ==, 0);
  evp_os_fd_close (fds[0]);
  evp_os_fd_close (fds[1]);

  g_assert_false (evp_os_fd_set_nonblock (G_MAXINT, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
  g_clear_error (&error);
  g_assert_false (evp_os_fd_set_cloexec (G_MAXINT, &error));
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
}

static void
test_shared (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpSharedFd *shared;
  int fds[2];

  g_assert_true (evp_os_fd_pipe (fds, FALSE, NULL));
  shared = evp_os_shared_fd_new (fds[0]);
  g_assert_true (evp_os_shared_fd_ref (shared) == shared);
  evp_os_shared_fd_unref (shared);
  g_assert_cmpint (shared->fd, ==, fds[0]);
  g_assert_true (evp_os_fd_is_open (fds[0]));
  evp_os_shared_fd_unref (shared);
  g_assert_false (evp_os_fd_is_open (fds[0]));
  evp_os_fd_close (fds[1]);
  evp_test_leaks_check (&leaks);
}

static gint n_signals;

static void
count_cb (int signum)
{
  g_atomic_int_inc (&n_signals);
}

static gpointer
read_a_little (gpointer data)
{
  int fd = GPOINTER_TO_INT (data);
  char buffer[4096];

  g_assert_cmpint (read (fd, buffer, sizeof buffer), >, 0);
  evp_os_fd_close (fd);
  return NULL;
}

/* The other end goes in the middle of the call: it returns what went before, and the signal comes all the same. */
/* Rules: Z-25 */
static void
test_write_partly (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  const struct sigaction count = { .sa_handler = count_cb };
  const gsize size = 4 * 1024 * 1024;
  g_autofree char *data = g_malloc0 (size);
  struct sigaction before;
  GThread *reader;
  gssize n;
  int fds[2];

  g_assert_no_errno (sigaction (SIGPIPE, &count, &before));
  g_assert_true (evp_os_fd_pipe (fds, FALSE, NULL));
  reader = g_thread_new ("reader", read_a_little, GINT_TO_POINTER (fds[0]));
  n = evp_os_fd_write (fds[1], data, size);
  g_thread_join (reader);
  g_assert_cmpint (n, >, 0);
  g_assert_cmpint (n, <, size);
  g_assert_cmpint (g_atomic_int_get (&n_signals), ==, 0);

  g_assert_cmpint (evp_os_fd_write (fds[1], data, size), ==, -1);
  g_assert_cmpint (errno, ==, EPIPE);
  g_assert_cmpint (g_atomic_int_get (&n_signals), ==, 0);
  evp_os_fd_close (fds[1]);
  g_assert_no_errno (sigaction (SIGPIPE, &before, NULL));
  evp_test_leaks_check (&leaks);
}

#ifdef __linux__
/* Rules: Z-25 */
static void
test_sendfile_partly (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  const struct sigaction count = { .sa_handler = count_cb };
  const gsize size = 1024 * 1024;
  g_autofree char *path = NULL;
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t length = sizeof address;
  struct sigaction before;
  int file, listener, fd, peer;
  gssize n;

  g_assert_no_errno (sigaction (SIGPIPE, &count, &before));
  file = g_file_open_tmp ("evp-XXXXXX", &path, NULL);
  g_assert_no_errno (file);
  g_assert_no_errno (unlink (path));
  g_assert_no_errno (ftruncate (file, (off_t) size));

  listener = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_no_errno (bind (listener, (struct sockaddr *) &address, length));
  g_assert_no_errno (listen (listener, 1));
  g_assert_no_errno (getsockname (listener, (struct sockaddr *) &address, &length));
  fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, length));
  peer = accept (listener, NULL, NULL);
  g_assert_no_errno (peer);
  g_assert_no_errno (fcntl (fd, F_SETFL, O_NONBLOCK));
  /* it answers the first part with a reset */
  evp_os_fd_close (peer);

  n = evp_os_fd_sendfile (fd, file, 0, size);
  g_assert_cmpint (n, <, size);
  g_assert_cmpint (g_atomic_int_get (&n_signals), ==, 0);
  g_assert_cmpint (evp_os_fd_sendfile (fd, file, 0, size), ==, -1);
  g_assert_cmpint (errno, ==, EPIPE);
  g_assert_cmpint (g_atomic_int_get (&n_signals), ==, 0);

  evp_os_fd_close (fd);
  evp_os_fd_close (listener);
  evp_os_fd_close (file);
  g_assert_no_errno (sigaction (SIGPIPE, &before, NULL));
  evp_test_leaks_check (&leaks);
}
#endif

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/os/fd/pipe", test_pipe);
  g_test_add_func ("/evp/os/fd/pipe-refused", test_pipe_refused);
  g_test_add_func ("/evp/os/fd/check-left", test_check_left);
  g_test_add_func ("/evp/os/fd/scope", test_scope);
  g_test_add_func ("/evp/os/fd/close-keeps-errno", test_close_keeps_errno);
  g_test_add_func ("/evp/os/fd/flags", test_flags);
  g_test_add_func ("/evp/os/fd/shared", test_shared);
  g_test_add_func ("/evp/os/fd/write-partly", test_write_partly);
#ifdef __linux__
  g_test_add_func ("/evp/os/fd/sendfile-partly", test_sendfile_partly);
#endif

  return g_test_run ();
}
