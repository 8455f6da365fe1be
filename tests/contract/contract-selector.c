/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-selector.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-error.h"
#include "evp/selector/evp-select-selector.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define READ  EVP_IO_EVENTS_READ
#define WRITE EVP_IO_EVENTS_WRITE
#define BOTH  (EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE)

typedef struct
{
  EvpSelector *(*make) (void);
  ContractSelectorFlags flags;
} Contract;

typedef struct
{
  EvpSelector *selector;
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
  int pipe[2];
  int sock[2];
} Fixture;

static void
setup (Fixture      *f,
       gconstpointer data)
{
  const Contract *contract = data;

  f->leaks = evp_test_leaks_begin ();
  f->deadline = evp_test_deadline_start (30, "the selector contract");
  f->leaks.threads = evp_test_count_threads ();
  f->selector = contract->make ();
  g_assert_cmpint (pipe2 (f->pipe, O_CLOEXEC | O_NONBLOCK), ==, 0);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, f->sock), ==, 0);
}

static void
close_fd (int *fd)
{
  if (*fd >= 0)
    g_assert_cmpint (close (*fd), ==, 0);
  *fd = -1;
}

static void
teardown (Fixture      *f,
          gconstpointer data)
{
  for (int i = 0; i < 2; i++)
    {
      close_fd (&f->pipe[i]);
      close_fd (&f->sock[i]);
    }
  if (f->selector != NULL)
    g_assert_finalize_object (f->selector);
  evp_test_leaks_check (&f->leaks);
  g_clear_pointer (&f->deadline, evp_test_deadline_stop);
}

static void
fill (int fd)
{
  g_assert_cmpint (write (fd, "x", 1), ==, 1);
}

static void
drain (int fd)
{
  char buffer[16];

  g_assert_cmpint (read (fd, buffer, sizeof buffer), >, 0);
}

static void
watch (EvpSelector *selector,
       int          fd,
       EvpIOEvents  events)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSelectorKey) key = evp_selector_register (selector, fd, events, NULL, &error);

  g_assert_no_error (error);
  g_assert_true (EVP_IS_SELECTOR_KEY (key));
  g_assert_cmpint (evp_selector_key_get_fd (key), ==, fd);
}

static void
unwatch (EvpSelector *selector,
         int          fd)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_selector_unregister (selector, fd, &error));
  g_assert_no_error (error);
}

static void
rewatch (EvpSelector *selector,
         int          fd,
         EvpIOEvents  events)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSelectorKey) key = evp_selector_modify (selector, fd, events, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpint (evp_selector_key_get_events (key), ==, events);
}

static GPtrArray *
wait_for (EvpSelector *selector,
          double       timeout)
{
  g_autoptr (GError) error = NULL;
  GPtrArray *ready = evp_selector_select (selector, timeout, &error);

  g_assert_no_error (error);
  g_assert_nonnull (ready);
  return ready;
}

static EvpIOEvents
ready_events (GPtrArray *ready,
              int        fd)
{
  EvpIOEvents events = 0;
  guint n = 0;

  for (guint i = 0; i < ready->len; i++)
    {
      EvpSelectorKey *key = g_ptr_array_index (ready, i);

      if (evp_selector_key_get_fd (key) == fd)
        {
          events = evp_selector_key_get_ready_events (key);
          g_assert_cmpint (events, !=, 0);
          n++;
        }
    }
  g_assert_cmpuint (n, <=, 1);
  return events;
}

/* Exactly @events of exactly @fd; @events 0: nothing at all. */
static void
expect (EvpSelector *selector,
        double       timeout,
        int          fd,
        EvpIOEvents  events)
{
  g_autoptr (GPtrArray) ready = wait_for (selector, timeout);

  g_assert_cmpuint (ready->len, ==, events != 0 ? 1 : 0);
  g_assert_cmpint (ready_events (ready, fd), ==, events);
}

static void
expect_not_found (EvpSelector *selector,
                  int          fd)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_selector_get_key (selector, fd, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);
}

/* Rules: S-1, S-2, S-6 */
static void
test_arguments (Fixture      *f,
                gconstpointer data)
{
  static const int impossible[] = { 0, 4, 7, -1 };
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_selector_register (f->selector, -1, READ, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (evp_selector_modify (f->selector, -1, READ, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (evp_selector_unregister (f->selector, -7, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (evp_selector_get_key (f->selector, -1, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);

  for (guint i = 0; i < G_N_ELEMENTS (impossible); i++)
    {
      g_assert_null (evp_selector_register (f->selector, f->pipe[0], (EvpIOEvents) impossible[i],
                                            NULL, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  expect_not_found (f->selector, f->pipe[0]);

  watch (f->selector, f->pipe[0], READ);
  for (guint i = 0; i < G_N_ELEMENTS (impossible); i++)
    {
      g_assert_null (evp_selector_modify (f->selector, f->pipe[0], (EvpIOEvents) impossible[i],
                                          NULL, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  g_assert_null (evp_selector_select (f->selector, (double) NAN, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);

  fill (f->pipe[1]);
  expect (f->selector, -1, f->pipe[0], READ);
}

/* Rules: S-2 */
static void
test_register (Fixture      *f,
               gconstpointer data)
{
  g_autoptr (EvpSelectorKey) key = NULL;
  g_autoptr (EvpSelectorKey) found = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_STRING);
  g_value_set_string (&value, "attached");

  expect_not_found (f->selector, f->pipe[0]);
  key = evp_selector_register (f->selector, f->pipe[0], READ, &value, &error);
  g_assert_no_error (error);
  g_assert_cmpint (evp_selector_key_get_fd (key), ==, f->pipe[0]);
  g_assert_cmpint (evp_selector_key_get_events (key), ==, READ);
  g_assert_cmpint (evp_selector_key_get_ready_events (key), ==, 0);
  g_assert_cmpstr (g_value_get_string (evp_selector_key_get_data (key)), ==, "attached");

  found = evp_selector_get_key (f->selector, f->pipe[0], &error);
  g_assert_no_error (error);
  g_assert_true (found == key);

  g_assert_null (evp_selector_register (f->selector, f->pipe[0], WRITE, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_EXISTS);
  g_clear_error (&error);
  g_assert_cmpint (evp_selector_key_get_events (key), ==, READ);

  expect_not_found (f->selector, f->pipe[1]);
  g_assert_false (evp_selector_unregister (f->selector, f->pipe[1], &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);
}

/* Rules: F-6, Z-22 */
static void
test_fd_zero (Fixture      *f,
              gconstpointer data)
{
  int saved = fcntl (0, F_DUPFD_CLOEXEC, 3);

  g_assert_cmpint (dup2 (f->pipe[0], 0), ==, 0);
  watch (f->selector, 0, READ);
  expect (f->selector, 0, 0, 0);
  fill (f->pipe[1]);
  expect (f->selector, -1, 0, READ);
  unwatch (f->selector, 0);
  expect (f->selector, 0, 0, 0);

  if (saved >= 0)
    {
      g_assert_cmpint (dup2 (saved, 0), ==, 0);
      close (saved);
    }
  else
    {
      close (0);
    }
}

/* Rules: F-7, S-3 */
static void
test_not_open (Fixture      *f,
               gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int fd = f->pipe[0];

  close_fd (&f->pipe[0]);
  g_assert_null (evp_selector_register (f->selector, fd, READ, NULL, &error));
  g_assert_nonnull (error);
  g_assert_true (error->domain == G_IO_ERROR);
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
  expect_not_found (f->selector, fd);
  expect (f->selector, 0, fd, 0);
}

/* Rules: F-8, S-3, S-14 */
static void
test_regular_file (Fixture      *f,
                   gconstpointer data)
{
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;
  int file = g_file_open_tmp ("evp-XXXXXX", &name, &error);
  int null = open ("/dev/null", O_RDWR | O_CLOEXEC);

  g_assert_no_error (error);
  g_assert_cmpint (null, >=, 0);
  unlink (name);

  watch (f->selector, file, READ);
  expect (f->selector, -1, file, READ);
  expect (f->selector, -1, file, READ);
  rewatch (f->selector, file, BOTH);
  expect (f->selector, -1, file, BOTH);

  watch (f->selector, null, WRITE);
  watch (f->selector, f->pipe[0], READ);
  fill (f->pipe[1]);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (GPtrArray) ready = wait_for (f->selector, -1);

      g_assert_cmpuint (ready->len, ==, 3);
      g_assert_cmpint (ready_events (ready, file), ==, BOTH);
      g_assert_cmpint (ready_events (ready, null), ==, WRITE);
      g_assert_cmpint (ready_events (ready, f->pipe[0]), ==, READ);
    }

  unwatch (f->selector, file);
  unwatch (f->selector, f->pipe[0]);
  expect (f->selector, -1, null, WRITE);
  unwatch (f->selector, null);
  expect (f->selector, 0, null, 0);
  close (file);
  close (null);
}

/* Rules: S-7, S-8, F-1, F-3 */
static void
test_ready (Fixture      *f,
            gconstpointer data)
{
  watch (f->selector, f->pipe[0], READ);
  expect (f->selector, 0, f->pipe[0], 0);
  fill (f->pipe[1]);
  expect (f->selector, -1, f->pipe[0], READ);
  expect (f->selector, -1, f->pipe[0], READ);
  drain (f->pipe[0]);
  expect (f->selector, 0, f->pipe[0], 0);

  watch (f->selector, f->sock[0], READ);
  expect (f->selector, 0, f->sock[0], 0);
  rewatch (f->selector, f->sock[0], WRITE);
  expect (f->selector, -1, f->sock[0], WRITE);
  fill (f->sock[1]);
  expect (f->selector, -1, f->sock[0], WRITE);
  rewatch (f->selector, f->sock[0], BOTH);
  expect (f->selector, -1, f->sock[0], BOTH);
  drain (f->sock[0]);
  expect (f->selector, -1, f->sock[0], WRITE);
  rewatch (f->selector, f->sock[0], READ);
  expect (f->selector, 0, f->sock[0], 0);
}

/* Rules: S-7 */
static void
test_ready_events (Fixture      *f,
                   gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSelectorKey) key = NULL;

  key = evp_selector_register (f->selector, f->sock[0], BOTH, NULL, &error);
  g_assert_no_error (error);
  fill (f->sock[1]);
  expect (f->selector, -1, f->sock[0], BOTH);
  g_assert_cmpint (evp_selector_key_get_ready_events (key), ==, BOTH);

  drain (f->sock[0]);
  expect (f->selector, -1, f->sock[0], WRITE);
  g_assert_cmpint (evp_selector_key_get_ready_events (key), ==, WRITE);

  rewatch (f->selector, f->sock[0], READ);
  expect (f->selector, 0, f->sock[0], 0);
  g_assert_cmpint (evp_selector_key_get_ready_events (key), ==, 0);
}

/* Rules: S-2, S-5 */
static void
test_modify (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (EvpSelectorKey) key = NULL;
  g_autoptr (EvpSelectorKey) same = NULL;
  g_autoptr (EvpSelectorKey) found = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, 42);

  g_assert_null (evp_selector_modify (f->selector, f->sock[0], READ, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);
  g_clear_error (&error);

  watch (f->selector, f->sock[0], READ);
  key = evp_selector_modify (f->selector, f->sock[0], WRITE, &value, &error);
  g_assert_no_error (error);
  g_assert_cmpint (evp_selector_key_get_events (key), ==, WRITE);
  g_assert_cmpint (g_value_get_int (evp_selector_key_get_data (key)), ==, 42);
  expect (f->selector, -1, f->sock[0], WRITE);

  g_value_set_int (&value, 43);
  same = evp_selector_modify (f->selector, f->sock[0], WRITE, &value, &error);
  g_assert_no_error (error);
  g_assert_cmpint (evp_selector_key_get_events (same), ==, WRITE);
  g_assert_cmpint (g_value_get_int (evp_selector_key_get_data (same)), ==, 43);
  expect (f->selector, -1, f->sock[0], WRITE);

  rewatch (f->selector, f->sock[0], WRITE);
  found = evp_selector_get_key (f->selector, f->sock[0], &error);
  g_assert_no_error (error);
  g_assert_null (evp_selector_key_get_data (found));
}

/* Rules: S-2, S-7 */
static void
test_unregister (Fixture      *f,
                 gconstpointer data)
{
  g_autoptr (EvpSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;

  watch (f->selector, f->pipe[0], READ);
  key = evp_selector_get_key (f->selector, f->pipe[0], &error);
  g_assert_no_error (error);
  fill (f->pipe[1]);
  expect (f->selector, -1, f->pipe[0], READ);

  unwatch (f->selector, f->pipe[0]);
  expect_not_found (f->selector, f->pipe[0]);
  expect (f->selector, 0, f->pipe[0], 0);
  g_assert_cmpint (evp_selector_key_get_fd (key), ==, f->pipe[0]);
  g_assert_cmpint (evp_selector_key_get_events (key), ==, READ);
  g_assert_false (evp_selector_unregister (f->selector, f->pipe[0], &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);

  watch (f->selector, f->pipe[0], READ);
  expect (f->selector, -1, f->pipe[0], READ);
}

/* Nothing becomes ready, and not before @seconds are over. */
static void
expect_full_wait (EvpSelector *selector,
                  double       seconds)
{
  gint64 start = evp_clock_get_time_ns ();
  g_autoptr (GPtrArray) ready = wait_for (selector, seconds);

  g_assert_cmpint (evp_clock_get_time_ns () - start, >=, evp_clock_seconds_to_ns (seconds));
  g_assert_cmpuint (ready->len, ==, 0);
}

/* Rules: S-6, S-9 */
static void
test_timeout (Fixture      *f,
              gconstpointer data)
{
  static const double timeouts[] = { 0, 1e-12, 0.0000015, 0.0004, 0.001, 0.0107 };

  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    expect_full_wait (f->selector, timeouts[i]);

  watch (f->selector, f->pipe[0], READ);
  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    expect_full_wait (f->selector, timeouts[i]);

  fill (f->pipe[1]);
  /* more than the 31 bits and the 32 bits of a system's seconds */
  expect (f->selector, 1e9, f->pipe[0], READ);
  expect (f->selector, 3e9, f->pipe[0], READ);
  expect (f->selector, 9e9, f->pipe[0], READ);
  expect (f->selector, 1e300, f->pipe[0], READ);
  expect (f->selector, (double) INFINITY, f->pipe[0], READ);
  expect (f->selector, -(double) INFINITY, f->pipe[0], READ);
}

static int signal_count; /* atomic */
static int signal_pipe = -1;

static void
signal_cb (int signum)
{
  if (g_atomic_int_add (&signal_count, 1) == 2 && signal_pipe >= 0)
    {
      ssize_t n = write (signal_pipe, "x", 1);

      (void) n;
    }
}

/* Rules: S-9, Z-26 */
static void
test_signal (Fixture      *f,
             gconstpointer data)
{
  struct sigaction action = { .sa_handler = signal_cb };
  struct itimerval often = { { 0, 3000 }, { 0, 3000 } };
  struct itimerval never = { { 0, 0 }, { 0, 0 } };

  if (evp_test_has_valgrind () && EVP_IS_SELECT_SELECTOR (f->selector))
    {
      g_test_skip ("valgrind 3.19 hands the kernel an address of its own when pselect() is tried again");
      return;
    }
  if (evp_test_has_tsan () && EVP_IS_SELECT_SELECTOR (f->selector))
    {
      g_test_skip ("the thread sanitizer keeps signals back during pselect()");
      return;
    }
  watch (f->selector, f->pipe[0], READ);
  g_atomic_int_set (&signal_count, 10);
  g_assert_cmpint (sigaction (SIGALRM, &action, NULL), ==, 0);
  g_assert_cmpint (setitimer (ITIMER_REAL, &often, NULL), ==, 0);

  while (g_atomic_int_get (&signal_count) < 13)
    expect_full_wait (f->selector, 0.02);

  /* the third interruption makes it readable */
  signal_pipe = f->pipe[1];
  g_atomic_int_set (&signal_count, 0);
  expect (f->selector, -1, f->pipe[0], READ);
  g_assert_cmpint (g_atomic_int_get (&signal_count), >=, 3);

  /* the handler stays: under valgrind the last signal may still be on its way */
  g_assert_cmpint (setitimer (ITIMER_REAL, &never, NULL), ==, 0);
  signal_pipe = -1;
}

/* Rules: F-10, S-8, Z-19 */
static void
test_hang_up (Fixture      *f,
              gconstpointer data)
{
  const Contract *contract = data;
  int other[2];

  /* the reading end, when the last writer goes */
  watch (f->selector, f->pipe[0], READ);
  close_fd (&f->pipe[1]);
  expect (f->selector, -1, f->pipe[0], READ);
  if ((contract->flags & CONTRACT_SELECTOR_HALF_HANG_UP) == 0)
    {
      rewatch (f->selector, f->pipe[0], BOTH);
      expect (f->selector, -1, f->pipe[0], BOTH);
    }
  unwatch (f->selector, f->pipe[0]);

  /* the writing end, when the last reader goes */
  g_assert_cmpint (pipe2 (other, O_CLOEXEC), ==, 0);
  watch (f->selector, other[1], READ);
  expect (f->selector, 0, other[1], 0);
  close (other[0]);
  expect (f->selector, -1, other[1], READ);
  rewatch (f->selector, other[1], WRITE);
  expect (f->selector, -1, other[1], WRITE);
  rewatch (f->selector, other[1], BOTH);
  expect (f->selector, -1, other[1], BOTH);
  unwatch (f->selector, other[1]);
  close (other[1]);

  watch (f->selector, f->sock[0], BOTH);
  close_fd (&f->sock[1]);
  expect (f->selector, -1, f->sock[0], BOTH);
}

/* Rules: S-7, S-14 */
static void
test_many (Fixture      *f,
           gconstpointer data)
{
  enum { N = 300 };
  int pipes[N][2];
  g_autoptr (GPtrArray) ready = NULL;

  /* one that is not ready, or all that are would be all there are */
  watch (f->selector, f->pipe[0], READ);

  for (int i = 0; i < N; i++)
    {
      g_assert_cmpint (pipe2 (pipes[i], O_CLOEXEC), ==, 0);
      fill (pipes[i][1]);
      watch (f->selector, pipes[i][0], READ);
    }

  ready = wait_for (f->selector, -1);
  g_assert_cmpuint (ready->len, ==, N);
  for (int i = 0; i < N; i++)
    g_assert_cmpint (ready_events (ready, pipes[i][0]), ==, READ);

  for (int i = 0; i < N; i++)
    {
      if (i != 123)
        unwatch (f->selector, pipes[i][0]);
    }
  expect (f->selector, -1, pipes[123][0], READ);
  for (int i = 0; i < N; i++)
    {
      close (pipes[i][0]);
      close (pipes[i][1]);
    }
}

/* Rules: S-4 */
static void
test_unregister_late (Fixture      *f,
                      gconstpointer data)
{
  int fd = f->pipe[0];

  watch (f->selector, fd, READ);
  close_fd (&f->pipe[0]);
  unwatch (f->selector, fd);
  expect_not_found (f->selector, fd);
  expect (f->selector, 0, fd, 0);

  /* the number is reused before it is unregistered */
  watch (f->selector, f->sock[0], READ);
  fd = f->sock[0];
  g_assert_cmpint (dup2 (f->sock[1], fd), ==, fd);
  unwatch (f->selector, fd);
  expect (f->selector, 0, fd, 0);
  watch (f->selector, fd, WRITE);
  expect (f->selector, -1, fd, WRITE);
}

/* Rules: S-16 */
static void
test_closed (Fixture      *f,
             gconstpointer data)
{
  const Contract *contract = data;
  g_autoptr (GError) error = NULL;
  int fd = f->pipe[0];

  watch (f->selector, fd, READ);
  close_fd (&f->pipe[0]);
  if (contract->flags & CONTRACT_SELECTOR_CLOSED_FAILS)
    {
      g_assert_null (evp_selector_select (f->selector, -1, &error));
      g_assert_nonnull (error);
      g_assert_true (error->domain == G_IO_ERROR);
    }
  else if (contract->flags & CONTRACT_SELECTOR_CLOSED_READY)
    {
      expect (f->selector, -1, fd, READ);
    }
  else if (contract->flags & CONTRACT_SELECTOR_CLOSED_SILENT)
    {
      expect (f->selector, 0, fd, 0);
    }
  unwatch (f->selector, fd);
  expect (f->selector, 0, fd, 0);
}

/* Rules: F-11, S-5, Z-21 */
static void
test_reused (Fixture      *f,
             gconstpointer data)
{
  const EvpIOEvents events[] = { READ, WRITE, BOTH };

  for (guint i = 0; i < G_N_ELEMENTS (events); i++)
    {
      int fd = f->pipe[0];

      /* closed without unregistering; the number comes back as something else */
      watch (f->selector, fd, READ);
      close (fd);
      g_assert_cmpint (dup2 (f->sock[0], fd), ==, fd);
      rewatch (f->selector, fd, events[i]);
      if (i == 0)
        fill (f->sock[1]);
      expect (f->selector, -1, fd, events[i]);
      unwatch (f->selector, fd);
      expect (f->selector, 0, fd, 0);
      close (fd);
      close_fd (&f->pipe[1]);
      g_assert_cmpint (pipe2 (f->pipe, O_CLOEXEC), ==, 0);
    }
}

/* Rules: F-12, Z-21 */
static void
test_duplicate (Fixture      *f,
                gconstpointer data)
{
  int fd = f->pipe[0];
  int duplicate = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  int own_fd = evp_selector_get_fd (f->selector);
  struct pollfd own = { .fd = own_fd, .events = POLLIN };

  /* closed first, unregistered afterwards: nothing must be left */
  watch (f->selector, fd, READ);
  close_fd (&f->pipe[0]);
  unwatch (f->selector, fd);
  fill (f->pipe[1]);
  expect (f->selector, 0, fd, 0);
  expect_full_wait (f->selector, 0.005);
  if (own_fd >= 0)
    {
      g_assert_cmpint (evp_selector_get_fd (f->selector), ==, own_fd);
      g_assert_cmpint (poll (&own, 1, 0), ==, 0);
    }

  /* the number lives on as something else, and only that is reported */
  g_assert_cmpint (dup2 (f->sock[0], fd), ==, fd);
  watch (f->selector, fd, READ);
  expect_full_wait (f->selector, 0.005);
  if (own_fd >= 0)
    g_assert_cmpint (poll (&own, 1, 0), ==, 0);
  fill (f->sock[1]);
  expect (f->selector, -1, fd, READ);
  unwatch (f->selector, fd);

  /* the successor is registered while the duplicate of its predecessor is ready */
  watch (f->selector, duplicate, READ);
  expect (f->selector, -1, duplicate, READ);
  g_assert_cmpint (dup2 (duplicate, f->sock[1]), ==, f->sock[1]);
  close_fd (&f->pipe[1]);
  g_assert_cmpint (pipe2 (f->pipe, O_CLOEXEC), ==, 0);
  close (duplicate);
  unwatch (f->selector, duplicate);
  g_assert_cmpint (dup2 (f->pipe[0], duplicate), ==, duplicate);
  watch (f->selector, duplicate, READ);
  expect_full_wait (f->selector, 0.005);
  if (own_fd >= 0)
    g_assert_cmpint (poll (&own, 1, 0), ==, 0);
  fill (f->pipe[1]);
  expect (f->selector, -1, duplicate, READ);
  unwatch (f->selector, duplicate);

  close (duplicate);
  close (fd);
}

/* Rules: S-10 */
static void
test_map (Fixture      *f,
          gconstpointer data)
{
  g_autoptr (GPtrArray) empty = evp_selector_get_map (f->selector);
  g_autoptr (GPtrArray) two = NULL;
  int sum = 0;

  g_assert_nonnull (empty);
  g_assert_cmpuint (empty->len, ==, 0);
  watch (f->selector, f->pipe[0], READ);
  watch (f->selector, f->sock[1], BOTH);
  two = evp_selector_get_map (f->selector);
  g_assert_cmpuint (two->len, ==, 2);
  for (guint i = 0; i < two->len; i++)
    {
      int fd = evp_selector_key_get_fd (g_ptr_array_index (two, i));
      g_autoptr (EvpSelectorKey) key = evp_selector_get_key (f->selector, fd, NULL);

      g_assert_true (key == g_ptr_array_index (two, i));
      sum += fd;
    }
  g_assert_cmpint (sum, ==, f->pipe[0] + f->sock[1]);
}

/* Rules: S-10, S-11, F-16 */
static void
test_close (Fixture      *f,
            gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  watch (f->selector, f->pipe[0], READ);
  fill (f->pipe[1]);
  evp_selector_close (f->selector);
  evp_selector_close (f->selector);

  g_assert_null (evp_selector_get_map (f->selector));
  g_assert_cmpint (evp_selector_get_fd (f->selector), ==, -1);
  g_assert_null (evp_selector_get_key (f->selector, f->pipe[0], &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_assert_null (evp_selector_register (f->selector, f->pipe[0], READ, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_assert_null (evp_selector_modify (f->selector, f->pipe[0], READ, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_assert_false (evp_selector_unregister (f->selector, f->pipe[0], &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_assert_null (evp_selector_select (f->selector, 0, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);

  drain (f->pipe[0]);
}

/* Rules: S-12 */
static void
test_own_fd (Fixture      *f,
             gconstpointer data)
{
  const Contract *contract = data;
  struct pollfd own = { .fd = evp_selector_get_fd (f->selector), .events = POLLIN };
  int null;

  if ((contract->flags & CONTRACT_SELECTOR_OWN_FD) == 0)
    {
      g_assert_cmpint (own.fd, ==, -1);
      return;
    }

  g_assert_cmpint (own.fd, >=, 0);
  g_assert_cmpint (fcntl (own.fd, F_GETFD) & FD_CLOEXEC, !=, 0);
  watch (f->selector, f->pipe[0], READ);
  g_assert_cmpint (poll (&own, 1, 0), ==, 0);
  fill (f->pipe[1]);
  g_assert_cmpint (poll (&own, 1, -1), ==, 1);
  drain (f->pipe[0]);
  g_assert_cmpint (poll (&own, 1, 0), ==, 0);

  /* also while only something that never blocks is there */
  null = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  watch (f->selector, null, READ);
  g_assert_cmpint (poll (&own, 1, -1), ==, 1);
  expect (f->selector, -1, null, READ);
  g_assert_cmpint (poll (&own, 1, -1), ==, 1);
  unwatch (f->selector, null);
  g_assert_cmpint (poll (&own, 1, 0), ==, 0);
  close (null);
}

/* Rules: S-11 */
static void
test_release (Fixture      *f,
              gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_auto (GValue) value = G_VALUE_INIT;
  GObject *attached = g_object_new (G_TYPE_OBJECT, NULL);
  gpointer weak = attached;

  g_object_add_weak_pointer (attached, &weak);
  g_value_init (&value, G_TYPE_OBJECT);
  g_value_take_object (&value, attached);

  for (int round = 0; round < 2; round++)
    {
      g_autoptr (EvpSelectorKey) key = NULL;

      key = evp_selector_register (f->selector, f->pipe[0], READ, round == 0 ? &value : NULL, &error);
      g_assert_no_error (error);
      g_value_reset (&value);
      g_assert_true ((weak != NULL) == (round == 0));
      if (round == 0)
        unwatch (f->selector, f->pipe[0]);
    }
  g_assert_null (weak);

  /* the key that is still registered goes with the selector */
  {
    EvpSelectorKey *key = evp_selector_get_key (f->selector, f->pipe[0], &error);

    g_assert_no_error (error);
    weak = key;
    g_object_add_weak_pointer (G_OBJECT (key), &weak);
    g_object_unref (key);
  }
  g_assert_nonnull (weak);
  g_assert_finalize_object (g_steal_pointer (&f->selector));
  g_assert_null (weak);
}

void
contract_selector_add (const char            *name,
                       EvpSelector         *(*make) (void),
                       ContractSelectorFlags  flags)
{
  static const struct
  {
    const char *name;
    void (*run) (Fixture *f, gconstpointer data);
  } cases[] = {
    { "arguments", test_arguments },
    { "register", test_register },
    { "fd-zero", test_fd_zero },
    { "not-open", test_not_open },
    { "regular-file", test_regular_file },
    { "ready", test_ready },
    { "ready-events", test_ready_events },
    { "modify", test_modify },
    { "unregister", test_unregister },
    { "timeout", test_timeout },
    { "signal", test_signal },
    { "hang-up", test_hang_up },
    { "many", test_many },
    { "unregister-late", test_unregister_late },
    { "closed", test_closed },
    { "reused", test_reused },
    { "duplicate", test_duplicate },
    { "map", test_map },
    { "close", test_close },
    { "own-fd", test_own_fd },
    { "release", test_release },
  };
  static Contract contracts[4];
  static guint n_contracts;
  Contract *contract = &contracts[n_contracts++];

  g_assert_cmpuint (n_contracts, <=, G_N_ELEMENTS (contracts));
  contract->make = make;
  contract->flags = flags;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/selector/%s/contract/%s", name, cases[i].name);

      g_test_add (path, Fixture, contract, setup, cases[i].run, teardown);
    }
}
