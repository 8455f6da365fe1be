/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-epoll-private.h"

#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ  EVP_IO_EVENTS_READ
#define WRITE EVP_IO_EVENTS_WRITE
#define NONE  EVP_IO_EVENTS_NONE

typedef struct
{
  EvpEpoll epoll;
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
  EvpEpollEvent events[EVP_EPOLL_BATCH];
  int full[2];  /* a pipe with something in it */
  int empty[2]; /* a pipe with nothing in it */
} Fixture;

static void
setup (Fixture      *f,
       gconstpointer data)
{
  f->leaks = evp_test_leaks_begin ();
  f->deadline = evp_test_deadline_start (30, "an epoll set");
  f->leaks.threads = evp_test_count_threads ();
  evp_epoll_init (&f->epoll);
  g_assert_cmpint (pipe2 (f->full, O_CLOEXEC), ==, 0);
  g_assert_cmpint (pipe2 (f->empty, O_CLOEXEC), ==, 0);
  g_assert_cmpint (write (f->full[1], "x", 1), ==, 1);
}

static void
teardown (Fixture      *f,
          gconstpointer data)
{
  evp_epoll_clear (&f->epoll);
  for (int i = 0; i < 2; i++)
    {
      close (f->full[i]);
      close (f->empty[i]);
    }
  evp_test_leaks_check (&f->leaks);
  evp_test_deadline_stop (f->deadline);
}

static void
expect_one (Fixture    *f,
            int         fd,
            guint32     generation,
            EvpIOEvents events)
{
  g_assert_cmpint (evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, -1), ==, 1);
  g_assert_cmpint (f->events[0].fd, ==, fd);
  g_assert_cmpuint (f->events[0].generation, ==, generation);
  g_assert_cmpint (f->events[0].events, ==, events);
}

static void
expect_none (Fixture *f)
{
  struct pollfd own = { .fd = evp_epoll_get_fd (&f->epoll), .events = POLLIN };

  g_assert_cmpint (evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, 0), ==, 0);
  g_assert_cmpint (poll (&own, 1, 0), ==, 0);
}

/* Rules: S-7, F-10 */
static void
test_events (Fixture      *f,
             gconstpointer data)
{
  g_assert_cmpint (evp_epoll_get_fd (&f->epoll), ==, -1);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->empty[0], NONE, 0), ==, 0);
  g_assert_cmpint (evp_epoll_get_fd (&f->epoll), ==, -1);

  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], READ, 0xfffffffe), ==, 0);
  g_assert_cmpint (evp_epoll_get_fd (&f->epoll), >=, 0);
  expect_one (f, f->full[0], 0xfffffffe, READ);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], READ, 0xffffffff), ==, 0);
  expect_one (f, f->full[0], 0xffffffff, READ);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], WRITE, 5), ==, 0);
  expect_none (f);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], NONE, 0), ==, 0);
  expect_none (f);

  g_assert_cmpint (evp_epoll_set (&f->epoll, f->empty[1], WRITE, 6), ==, 0);
  expect_one (f, f->empty[1], 6, WRITE);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->empty[1], READ, 7), ==, 0);
  expect_none (f);
  close (f->empty[0]);
  expect_one (f, f->empty[1], 7, READ | WRITE);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->empty[1], NONE, 0), ==, 0);
  expect_none (f);
  f->empty[0] = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  g_assert_cmpint (evp_epoll_set (&f->epoll, -1, READ, 1), ==, EBADF);
}

/* Rules: F-7, F-11, S-3 */
static void
test_heal (Fixture      *f,
           gconstpointer data)
{
  int fd = f->empty[0];

  /* MOD of a number that was closed and reused: ENOENT, then ADD */
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, READ, 1), ==, 0);
  g_assert_cmpint (close (fd), ==, 0);
  g_assert_cmpint (dup2 (f->full[0], fd), ==, fd);
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, READ, 2), ==, 0);
  expect_one (f, fd, 2, READ);

  /* ADD of a number that was closed, removed, and put back from a duplicate: EEXIST, then MOD */
  g_assert_cmpint (close (fd), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, NONE, 0), ==, 0);
  g_assert_cmpint (dup2 (f->full[0], fd), ==, fd);
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, READ, 3), ==, 0);
  expect_one (f, fd, 3, READ);

  /* closed for good */
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, NONE, 0), ==, 0);
  g_assert_cmpint (close (fd), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, READ, 4), ==, EBADF);
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, NONE, 0), ==, 0);
  expect_none (f);

  g_assert_cmpint (dup2 (f->full[0], fd), ==, fd);
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, READ, 5), ==, 0);
  expect_one (f, fd, 5, READ);
}

/* Rules: F-12, Z-21 */
static void
test_duplicate (Fixture      *f,
                gconstpointer data)
{
  int duplicate = fcntl (f->full[0], F_DUPFD_CLOEXEC, 3);
  int fd = f->full[0];
  int own, wakeups;

  g_assert_cmpint (evp_epoll_set (&f->epoll, f->empty[1], WRITE, 1), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, READ, 2), ==, 0);
  own = evp_epoll_get_fd (&f->epoll);
  g_assert_cmpint (close (fd), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, NONE, 0), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->empty[1], NONE, 0), ==, 0);

  /* the kernel reports the closed number once more; dropped, it is quiet for good */
  for (wakeups = 0; evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, 0) > 0; wakeups++)
    {
      g_assert_cmpint (f->events[0].fd, ==, fd);
      g_assert_cmpuint (f->events[0].generation, ==, 2);
      g_assert_cmpint (evp_epoll_drop (&f->epoll, &f->events[0]), ==, 0);
    }
  g_assert_cmpint (wakeups, ==, 1);
  expect_none (f);
  g_assert_cmpint (evp_epoll_get_fd (&f->epoll), ==, own);

  /* the number is open again as the same file: a DEL is enough */
  g_assert_cmpint (evp_epoll_set (&f->epoll, duplicate, READ, 3), ==, 0);
  fd = fcntl (duplicate, F_DUPFD_CLOEXEC, 3);
  g_assert_cmpint (close (duplicate), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, duplicate, NONE, 0), ==, 0);
  g_assert_cmpint (dup2 (fd, duplicate), ==, duplicate);
  expect_one (f, duplicate, 3, READ);
  g_assert_cmpint (evp_epoll_drop (&f->epoll, &f->events[0]), ==, 0);
  expect_none (f);

  f->full[0] = fd;
  close (duplicate);
}

/* Rules: F-11, F-12, Z-21 */
static void
test_duplicate_of_reused (Fixture      *f,
                          gconstpointer data)
{
  int duplicate = fcntl (f->full[0], F_DUPFD_CLOEXEC, 3);
  int fd = f->full[0];
  int file = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  gboolean dropped = FALSE;

  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, READ, 1), ==, 0);
  g_assert_cmpint (dup2 (f->empty[0], fd), ==, fd);
  g_assert_cmpint (evp_epoll_set (&f->epoll, fd, READ, 2), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->empty[1], WRITE, 3), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, file, READ, 4), ==, 0);

  /* the old file is dropped; its successor, the others, and what is always ready stay */
  for (int round = 0; round < 3; round++)
    {
      int n = evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, -1);

      g_assert_cmpint (n, ==, round == 0 ? 3 : 2);
      for (int i = 0; i < n; i++)
        {
          if (f->events[i].fd == fd)
            {
              g_assert_cmpuint (f->events[i].generation, ==, 1);
              g_assert_cmpint (evp_epoll_drop (&f->epoll, &f->events[i]), ==, 0);
              dropped = TRUE;
            }
          else
            {
              g_assert_cmpuint (f->events[i].generation, ==, f->events[i].fd == file ? 4 : 3);
            }
        }
    }
  g_assert_true (dropped);

  g_assert_cmpint (evp_epoll_set (&f->epoll, f->empty[1], NONE, 0), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, file, NONE, 0), ==, 0);
  expect_none (f);
  g_assert_cmpint (write (f->empty[1], "x", 1), ==, 1);
  expect_one (f, fd, 2, READ);
  close (duplicate);
  close (file);
}

/* Rules: F-12 */
static void
test_drop_of_the_past (Fixture      *f,
                       gconstpointer data)
{
  EvpEpollEvent event;
  int own;

  /* an event that is older than a change of its descriptor says nothing about the present */
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], READ, 1), ==, 0);
  expect_one (f, f->full[0], 1, READ);
  event = f->events[0];
  own = evp_epoll_get_fd (&f->epoll);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], READ, 2), ==, 0);
  g_assert_cmpint (evp_epoll_drop (&f->epoll, &event), ==, 0);
  expect_one (f, f->full[0], 2, READ);
  g_assert_cmpint (evp_epoll_get_fd (&f->epoll), ==, own);

  /* one that the set knows and its user does not is removed */
  g_assert_cmpint (evp_epoll_drop (&f->epoll, &f->events[0]), ==, 0);
  expect_none (f);
}

/* Rules: F-12 */
static void
test_drop_without_descriptors (Fixture      *f,
                               gconstpointer data)
{
  struct rlimit saved, few;
  int duplicate = fcntl (f->full[0], F_DUPFD_CLOEXEC, 3);

  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], READ, 1), ==, 0);
  g_assert_cmpint (dup2 (f->empty[0], f->full[0]), ==, f->full[0]);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], NONE, 0), ==, 0);
  expect_one (f, f->full[0], 1, READ);

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &saved), ==, 0);
  few = saved;
  few.rlim_cur = 0;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
  g_assert_cmpint (evp_epoll_drop (&f->epoll, &f->events[0]), ==, EMFILE);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &saved), ==, 0);

  expect_one (f, f->full[0], 1, READ);
  g_assert_cmpint (evp_epoll_drop (&f->epoll, &f->events[0]), ==, 0);
  expect_none (f);
  close (duplicate);
}

/* Rules: F-8 */
static void
test_always_ready (Fixture      *f,
                   gconstpointer data)
{
  enum { N = 20 };
  struct pollfd own;
  guint seen[N + 1] = { 0 };
  int files[N];

  for (int i = 0; i < N; i++)
    {
      files[i] = open ("/dev/null", O_RDWR | O_CLOEXEC);
      g_assert_cmpint (files[i], >=, 0);
      g_assert_cmpint (evp_epoll_set (&f->epoll, files[i], i % 2 ? READ : WRITE, (guint32) i), ==, 0);
    }
  own = (struct pollfd) { .fd = evp_epoll_get_fd (&f->epoll), .events = POLLIN };
  g_assert_cmpint (poll (&own, 1, -1), ==, 1);

  g_assert_cmpint (evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, -1), ==, N);
  g_assert_cmpint (poll (&own, 1, -1), ==, 1);

  /* in a small array all have their turn, and so has the ordinary one */
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], READ, N), ==, 0);
  for (int round = 0; round < 4 * N; round++)
    {
      int n = evp_epoll_wait (&f->epoll, f->events, 2, -1);

      g_assert_cmpint (n, >=, 1);
      g_assert_cmpint (n, <=, 2);
      for (int i = 0; i < n; i++)
        {
          guint32 generation = f->events[i].generation;

          g_assert_cmpuint (generation, <=, N);
          g_assert_cmpint (f->events[i].events, ==,
                           generation == N || generation % 2 ? READ : WRITE);
          seen[generation]++;
        }
    }
  for (int i = 0; i <= N; i++)
    g_assert_cmpuint (seen[i], >, 0);

  /* a number that comes back as something that blocks is not always ready any longer */
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], NONE, 0), ==, 0);
  g_assert_cmpint (dup2 (f->empty[0], files[3]), ==, files[3]);
  g_assert_cmpint (evp_epoll_set (&f->epoll, files[3], READ, 3), ==, 0);
  g_assert_cmpint (evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, -1), ==, N - 1);
  /* and the other way round */
  g_assert_cmpint (close (files[3]), ==, 0);
  files[3] = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (evp_epoll_set (&f->epoll, files[3], READ, 3), ==, 0);
  g_assert_cmpint (evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, -1), ==, N);

  for (int i = 0; i < N; i++)
    {
      g_assert_cmpint (evp_epoll_set (&f->epoll, files[i], NONE, 0), ==, 0);
      close (files[i]);
    }
  expect_none (f);
}

/* Rules: S-7 */
static void
test_more_than_a_batch (Fixture      *f,
                        gconstpointer data)
{
  enum { N = 700 };
  g_autofree gboolean *seen = g_new0 (gboolean, N);
  struct rlimit saved, many;
  int fds[N];
  int left = N;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &saved), ==, 0);
  many = saved;
  many.rlim_cur = MIN (saved.rlim_max, 4096);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &many), ==, 0);

  for (int i = 0; i < N; i++)
    {
      fds[i] = fcntl (f->full[0], F_DUPFD_CLOEXEC, 3);
      g_assert_cmpint (fds[i], >=, 0);
      g_assert_cmpint (evp_epoll_set (&f->epoll, fds[i], READ, (guint32) i), ==, 0);
    }
  for (int round = 0; left > 0; round++)
    {
      int n = evp_epoll_wait (&f->epoll, f->events, 100000, -1);

      g_assert_cmpint (round, <, 4);
      for (int i = 0; i < n; i++)
        {
          guint32 generation = f->events[i].generation;

          g_assert_cmpint (f->events[i].fd, ==, fds[generation]);
          if (!seen[generation])
            left--;
          seen[generation] = TRUE;
        }
    }

  for (int i = 0; i < N; i++)
    {
      g_assert_cmpint (evp_epoll_set (&f->epoll, fds[i], NONE, 0), ==, 0);
      close (fds[i]);
    }
  expect_none (f);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &saved), ==, 0);
}

/* Rules: Z-30, P-19 */
static void
test_fork (Fixture      *f,
           gconstpointer data)
{
  int file = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  int own, status;
  pid_t pid;

  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], READ, 1), ==, 0);
  g_assert_cmpint (evp_epoll_set (&f->epoll, file, READ, 2), ==, 0);
  own = evp_epoll_get_fd (&f->epoll);

  pid = fork ();
  if (pid == 0)
    {
      int step = 0;

      /* the child has the same descriptors in a set of its own, under the same number */
      if (evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, 0) != 2)
        step = 1;
      else if (evp_epoll_get_fd (&f->epoll) != own)
        step = 2;
      else if (evp_epoll_set (&f->epoll, f->full[0], NONE, 0) != 0 ||
               evp_epoll_set (&f->epoll, file, NONE, 0) != 0 ||
               evp_epoll_set (&f->epoll, f->empty[0], READ, 3) != 0)
        step = 3;
      else if (evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, 0) != 0)
        step = 4;
      evp_epoll_clear (&f->epoll);
      _exit (step);
    }
  g_assert_cmpint (pid, >, 0);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);

  /* the parent's is as it was */
  g_assert_cmpint (evp_epoll_wait (&f->epoll, f->events, EVP_EPOLL_BATCH, 0), ==, 2);
  g_assert_cmpint (evp_epoll_set (&f->epoll, file, NONE, 0), ==, 0);
  expect_one (f, f->full[0], 1, READ);
  g_assert_cmpint (evp_epoll_set (&f->epoll, f->full[0], NONE, 0), ==, 0);
  g_assert_cmpint (write (f->empty[1], "x", 1), ==, 1);
  expect_none (f);
  close (file);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) \
  g_test_add ("/evp/selector/epoll/" name, Fixture, NULL, setup, func, teardown)
  ADD ("events", test_events);
  ADD ("heal", test_heal);
  ADD ("duplicate", test_duplicate);
  ADD ("duplicate-of-reused", test_duplicate_of_reused);
  ADD ("drop-of-the-past", test_drop_of_the_past);
  ADD ("drop-without-descriptors", test_drop_without_descriptors);
  ADD ("always-ready", test_always_ready);
  ADD ("fork", test_fork);
  ADD ("more-than-a-batch", test_more_than_a_batch);

  return g_test_run ();
}
