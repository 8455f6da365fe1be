/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-signal-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error.h"
#include "evp/os/evp-os-wait-private.h"

#include "support/evp-test-support.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
# include <sys/syscall.h>
#endif

static gboolean
is_readable (EvpOsSignalSubscriber *subscriber)
{
  struct pollfd poll_fd = { .fd = evp_os_signal_subscriber_get_fd (subscriber), .events = POLLIN };

  return poll (&poll_fd, 1, 0) == 1;
}

static EvpOsSignalSubscriber *
subscriber_for (int signum)
{
  g_autoptr (GError) error = NULL;
  EvpOsSignalSubscriber *self = evp_os_signal_subscriber_new (&error);

  g_assert_no_error (error);
  g_assert_nonnull (self);
  g_assert_true (evp_os_signal_subscribe (self, signum, &error));
  g_assert_no_error (error);
  return self;
}

static void
get_action (int               signum,
            struct sigaction *action)
{
  memset (action, 0, sizeof *action);
  g_assert_cmpint (sigaction (signum, NULL, action), ==, 0);
}

/* Rules: G-2 */
static void
test_is_valid (void)
{
  g_assert_false (evp_os_signal_is_valid (-1));
  g_assert_false (evp_os_signal_is_valid (0));
  g_assert_false (evp_os_signal_is_valid (SIGRTMAX + 1));
  g_assert_false (evp_os_signal_is_valid (G_MAXINT));
  for (int i = 32; i < SIGRTMIN; i++) /* the C library's own */
    g_assert_false (evp_os_signal_is_valid (i));
  g_assert_true (evp_os_signal_is_valid (SIGHUP));
  g_assert_true (evp_os_signal_is_valid (SIGKILL));
  g_assert_true (evp_os_signal_is_valid (SIGCHLD));
  g_assert_true (evp_os_signal_is_valid (SIGRTMIN));
  g_assert_true (evp_os_signal_is_valid (SIGRTMAX));
}

/* Rules: G-2, G-4 */
static void
test_invalid (void)
{
  const int invalid[] = { 0, -1, SIGRTMIN - 1, SIGRTMAX + 1, G_MAXINT };
  EvpOsSignalSubscriber *self = evp_os_signal_subscriber_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (invalid); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (evp_os_signal_subscribe (self, invalid[i], &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_assert_false (evp_os_signal_unsubscribe (self, invalid[i]));
      g_assert_cmpuint (evp_os_signal_take_count (self, invalid[i]), ==, 0);
      g_assert_false (evp_os_signal_is_installed (invalid[i]));
    }
  evp_os_signal_subscriber_free (self);
}

/* Rules: G-3 */
static void
test_cannot_be_caught (void)
{
  const int uncatchable[] = { SIGKILL, SIGSTOP };
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpOsSignalSubscriber *self = evp_os_signal_subscriber_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (uncatchable); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (evp_os_signal_subscribe (self, uncatchable[i], &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, "cannot be caught"));
      g_assert_false (evp_os_signal_unsubscribe (self, uncatchable[i]));
    }
  evp_os_signal_subscriber_free (self);
  evp_test_leaks_check (&leaks);
}

/* Rules: G-5, G-7 */
static void
test_delivery (void)
{
  EvpOsSignalSubscriber *self = subscriber_for (SIGUSR1);

  g_assert_true (evp_os_signal_is_installed (SIGUSR1));
  g_assert_false (is_readable (self));
  for (int i = 0; i < 5; i++)
    raise (SIGUSR1);
  g_assert_true (is_readable (self));
  evp_os_signal_drain (self);
  g_assert_false (is_readable (self));
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGUSR2), ==, 0);
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGUSR1), ==, 5);
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGUSR1), ==, 0);
  evp_os_signal_drain (self); /* nothing there: does not block */
  evp_os_signal_subscriber_free (self);
}

/* Rules: G-7 */
static void
test_merged_while_blocked (void)
{
  EvpOsSignalSubscriber *self = subscriber_for (SIGUSR1);
  sigset_t set, before;

  sigemptyset (&set);
  sigaddset (&set, SIGUSR1);
  pthread_sigmask (SIG_BLOCK, &set, &before);
  for (int i = 0; i < 5; i++)
    raise (SIGUSR1);
  g_assert_false (is_readable (self));
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  g_assert_true (is_readable (self));
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGUSR1), ==, 1);
  evp_os_signal_subscriber_free (self);
}

/* Rules: G-6, G-8 */
static void
test_subscribe_twice (void)
{
  g_autoptr (GError) error = NULL;
  EvpOsSignalSubscriber *self = subscriber_for (SIGUSR1);

  g_assert_true (evp_os_signal_subscribe (self, SIGUSR1, &error));
  g_assert_no_error (error);
  raise (SIGUSR1);
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGUSR1), ==, 1);
  raise (SIGUSR1);
  g_assert_true (evp_os_signal_unsubscribe (self, SIGUSR1));
  g_assert_false (evp_os_signal_unsubscribe (self, SIGUSR1));
  g_assert_false (evp_os_signal_is_installed (SIGUSR1));
  /* what was not asked for before the removal is lost */
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGUSR1), ==, 0);
  evp_os_signal_subscriber_free (self);
}

/* Rules: G-11 */
static void
test_many_subscribers (void)
{
  EvpOsSignalSubscriber *subscribers[10];

  for (guint i = 0; i < G_N_ELEMENTS (subscribers); i++)
    subscribers[i] = subscriber_for (SIGUSR1);
  raise (SIGUSR1);
  for (guint i = 0; i < G_N_ELEMENTS (subscribers); i++)
    {
      g_assert_true (is_readable (subscribers[i]));
      g_assert_cmpuint (evp_os_signal_take_count (subscribers[i], SIGUSR1), ==, 1);
    }
  /* from the middle: the others still hear */
  evp_os_signal_subscriber_free (subscribers[4]);
  raise (SIGUSR1);
  for (guint i = 0; i < G_N_ELEMENTS (subscribers); i++)
    if (i != 4)
      {
        g_assert_cmpuint (evp_os_signal_take_count (subscribers[i], SIGUSR1), ==, 1);
        g_assert_true (evp_os_signal_is_installed (SIGUSR1));
        evp_os_signal_subscriber_free (subscribers[i]);
      }
  g_assert_false (evp_os_signal_is_installed (SIGUSR1));
}

static void
test_realtime (void)
{
  EvpOsSignalSubscriber *self;

  if (evp_test_has_valgrind ())
    {
      g_test_skip ("valgrind keeps the last signal for itself");
      return;
    }
  self = subscriber_for (SIGRTMAX);
  raise (SIGRTMAX);
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGRTMAX), ==, 1);
  evp_os_signal_subscriber_free (self);
}

/* volatile: raise() is declared as a leaf, which the compiler takes to mean that it calls nothing here */
static volatile int plain_calls;

static void
plain_cb (int signum)
{
  plain_calls++;
  errno = EXDEV;
}

static volatile int info_calls;
static volatile pid_t info_pid;
static volatile int info_code;

static void
info_cb (int        signum,
         siginfo_t *info,
         void      *context)
{
  info_calls++;
  info_pid = info->si_pid;
  info_code = context != NULL ? info->si_code : 0;
}

/* Rules: G-9, G-10, Z-31, W-41 */
static void
test_puts_back (void)
{
  struct sigaction previous = { .sa_handler = plain_cb, .sa_flags = SA_NODEFER }, now;
  EvpOsSignalSubscriber *first, *second;

  sigemptyset (&previous.sa_mask);
  sigaddset (&previous.sa_mask, SIGUSR1);
  g_assert_true (evp_os_signal_is_default (SIGUSR2));
  g_assert_cmpint (sigaction (SIGUSR2, &previous, NULL), ==, 0);
  g_assert_false (evp_os_signal_is_default (SIGUSR2));
  plain_calls = 0;

  first = subscriber_for (SIGUSR2);
  g_assert_false (evp_os_signal_is_default (SIGUSR2));
  get_action (SIGUSR2, &now);
  g_assert_cmpint (now.sa_flags & (SA_RESTART | SA_SIGINFO | SA_ONSTACK), ==, SA_RESTART | SA_SIGINFO | SA_ONSTACK);
  second = subscriber_for (SIGUSR2);
  raise (SIGUSR2);
  /* only SIGCHLD is chained: others are taken over while somebody listens */
  g_assert_cmpint (plain_calls, ==, 0);

  evp_os_signal_subscriber_free (first);
  g_assert_true (evp_os_signal_is_installed (SIGUSR2));
  evp_os_signal_subscriber_free (second);
  g_assert_false (evp_os_signal_is_installed (SIGUSR2));
  get_action (SIGUSR2, &now);
  g_assert_true (now.sa_handler == plain_cb);
  g_assert_cmpint (now.sa_flags & (SA_NODEFER | SA_RESTART | SA_SIGINFO), ==, SA_NODEFER);
  g_assert_cmpint (sigismember (&now.sa_mask, SIGUSR1), ==, 1);
  raise (SIGUSR2);
  g_assert_cmpint (plain_calls, ==, 1);
  signal (SIGUSR2, SIG_DFL);
}

/* Rules: Z-31, W-64 */
static void
test_foreign_handler_stays (void)
{
  EvpOsSignalSubscriber *self = subscriber_for (SIGUSR2);
  guint warnings = evp_warn_runtime_get_count ();
  struct sigaction now;

  signal (SIGUSR2, plain_cb);
  g_assert_false (evp_os_signal_is_installed (SIGUSR2));
  g_assert_true (evp_os_signal_unsubscribe (self, SIGUSR2));
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings + 1);
  g_autofree char *warning = evp_warn_runtime_dup_last ();
  g_assert_nonnull (strstr (warning, "replaced"));
  get_action (SIGUSR2, &now);
  g_assert_true (now.sa_handler == plain_cb);

  /* and it counts as what was there when we come again */
  g_assert_true (evp_os_signal_subscribe (self, SIGUSR2, NULL));
  g_assert_true (evp_os_signal_is_installed (SIGUSR2));
  evp_os_signal_subscriber_free (self);
  get_action (SIGUSR2, &now);
  g_assert_true (now.sa_handler == plain_cb);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings + 1);
  signal (SIGUSR2, SIG_DFL);
}

static struct sigaction saved_by_foreign;

static void
foreign_chaining_cb (int        signum,
                     siginfo_t *info,
                     void      *context)
{
  info_calls++;
  if (saved_by_foreign.sa_flags & SA_SIGINFO)
    saved_by_foreign.sa_sigaction (signum, info, context);
}

/* Rules: W-64, Z-31 */
static void
test_foreign_handler_that_chains (void)
{
  struct sigaction foreign = { .sa_sigaction = foreign_chaining_cb, .sa_flags = SA_SIGINFO };
  EvpOsSignalSubscriber *first, *second;

  signal (SIGCHLD, plain_cb);
  first = subscriber_for (SIGCHLD);
  g_assert_cmpint (sigaction (SIGCHLD, &foreign, &saved_by_foreign), ==, 0);

  /* theirs calls ours, ours calls the first */
  plain_calls = info_calls = 0;
  raise (SIGCHLD);
  g_assert_cmpint (info_calls, ==, 1);
  g_assert_cmpint (plain_calls, ==, 1);
  g_assert_cmpuint (evp_os_signal_take_count (first, SIGCHLD), ==, 1);

  /* a new subscriber puts ours in front again: everybody is called once, and nobody runs in circles */
  second = subscriber_for (SIGCHLD);
  g_assert_true (evp_os_signal_is_installed (SIGCHLD));
  plain_calls = info_calls = 0;
  raise (SIGCHLD);
  g_assert_cmpint (info_calls, ==, 1);
  g_assert_cmpint (plain_calls, ==, 1);
  g_assert_cmpuint (evp_os_signal_take_count (first, SIGCHLD), ==, 1);
  g_assert_cmpuint (evp_os_signal_take_count (second, SIGCHLD), ==, 1);

  evp_os_signal_subscriber_free (first);
  evp_os_signal_subscriber_free (second);
  g_assert_cmpint (sigaction (SIGCHLD, NULL, &foreign), ==, 0);
  g_assert_true (foreign.sa_sigaction == foreign_chaining_cb);
  signal (SIGCHLD, SIG_DFL);
}

/* Whoever is interrupted by something else in the middle of it. */
static void
raising_cb (int signum)
{
  plain_calls++;
  raise (SIGUSR1);
}

/* Rules: G-5, W-64 */
static void
test_other_signal_meanwhile (void)
{
  g_autoptr (GError) error = NULL;
  EvpOsSignalSubscriber *self;

  signal (SIGCHLD, raising_cb);
  self = subscriber_for (SIGCHLD);
  g_assert_true (evp_os_signal_subscribe (self, SIGUSR1, &error));
  g_assert_no_error (error);

  /* the second one arrives inside the handler that we pass the first one on to */
  plain_calls = 0;
  raise (SIGCHLD);
  g_assert_cmpint (plain_calls, ==, 1);
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGCHLD), ==, 1);
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGUSR1), ==, 1);

  evp_os_signal_subscriber_free (self);
  signal (SIGCHLD, SIG_DFL);
}

/* Rules: W-64, Z-28 */
static void
test_sigchld_chains (void)
{
  struct sigaction previous = { .sa_sigaction = info_cb, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP };
  g_autoptr (EvpTestDeadline) deadline = NULL;
  EvpOsSignalSubscriber *self;
  GPid pid;
  int status;

  sigemptyset (&previous.sa_mask);
  g_assert_cmpint (sigaction (SIGCHLD, &previous, NULL), ==, 0);
  self = subscriber_for (SIGCHLD);
  info_calls = 0;
  deadline = evp_test_deadline_start (30, "SIGCHLD of a child");

  pid = evp_test_spawn_child ("pause", NULL);
  kill (pid, SIGSTOP);
  g_assert_cmpint (waitpid (pid, &status, WUNTRACED), ==, pid);
  kill (pid, SIGKILL);
  g_assert_true (evp_os_wait_peek (pid));
  struct pollfd poll_fd = { .fd = evp_os_signal_subscriber_get_fd (self), .events = POLLIN };
  while (info_calls == 0)
    if (poll (&poll_fd, 1, -1) == 1)
      evp_os_signal_drain (self);
  /* its siginfo and context came through, and the stop, which it did not want, was not passed on */
  g_assert_cmpint (info_calls, ==, 1);
  g_assert_cmpint (info_pid, ==, pid);
  g_assert_cmpint (info_code, ==, CLD_KILLED);
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGCHLD), >=, 1);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);

  evp_os_signal_subscriber_free (self);
  signal (SIGCHLD, SIG_DFL);
}

static sigjmp_buf before_signal;

static void
jump_cb (int signum)
{
  plain_calls++;
  siglongjmp (before_signal, 1);
}

/* Deeper in the stack each time, as a program may be when the next signal comes. */
static G_NO_INLINE void
raise_below (gsize n_bytes)
{
  volatile char *room = g_alloca (n_bytes);

  room[0] = 1;
  if (sigsetjmp (before_signal, 1) == 0)
    raise (SIGCHLD);
  g_assert_cmpint (room[0], ==, 1);
}

/* Rules: W-64, Z-28 */
static void
test_sigchld_handler_that_jumps (void)
{
  struct sigaction foreign = { .sa_sigaction = foreign_chaining_cb, .sa_flags = SA_SIGINFO };
  EvpOsSignalSubscriber *first, *second;

  signal (SIGCHLD, jump_cb);
  first = subscriber_for (SIGCHLD);
  plain_calls = 0;
  for (int i = 1; i <= 4; i++)
    {
      raise_below (i % 2 == 0 ? 64 : (gsize) i * 4096);
      g_assert_cmpint (plain_calls, ==, i);
      g_assert_cmpuint (evp_os_signal_take_count (first, SIGCHLD), ==, 1);
    }

  /* the same from within a handler that ours calls and that calls ours */
  g_assert_cmpint (sigaction (SIGCHLD, &foreign, &saved_by_foreign), ==, 0);
  second = subscriber_for (SIGCHLD);
  plain_calls = info_calls = 0;
  for (int i = 1; i <= 4; i++)
    {
      raise_below (i % 2 == 0 ? 64 : (gsize) i * 4096);
      g_assert_cmpint (info_calls, ==, i);
      g_assert_cmpint (plain_calls, ==, i);
      g_assert_cmpuint (evp_os_signal_take_count (first, SIGCHLD), ==, 1);
      g_assert_cmpuint (evp_os_signal_take_count (second, SIGCHLD), ==, 1);
    }

  evp_os_signal_subscriber_free (first);
  evp_os_signal_subscriber_free (second);
  signal (SIGCHLD, SIG_DFL);
}

/* One that lets the next signal interrupt it. */
static void
open_cb (int signum)
{
  sigset_t mask;

  if (plain_calls++ > 0)
    return;
  sigemptyset (&mask);
  sigaddset (&mask, SIGCHLD);
  pthread_sigmask (SIG_UNBLOCK, &mask, NULL);
  raise (SIGCHLD);
}

/* Rules: W-64, Z-28 */
static void
test_sigchld_inside_handler (void)
{
  EvpOsSignalSubscriber *self;

  signal (SIGCHLD, open_cb);
  self = subscriber_for (SIGCHLD);
  for (int i = 0; i < 2; i++)
    {
      plain_calls = 0;
      raise (SIGCHLD);
      g_assert_cmpint (plain_calls, ==, 2);
      g_assert_cmpuint (evp_os_signal_take_count (self, SIGCHLD), ==, 2);
    }

  evp_os_signal_subscriber_free (self);
  signal (SIGCHLD, SIG_DFL);
}

static sigset_t mask_in_handler;

static void
mask_cb (int signum)
{
  plain_calls++;
  pthread_sigmask (SIG_BLOCK, NULL, &mask_in_handler);
}

/* Rules: W-64, Z-28 */
static void
test_sigchld_keeps_mask (void)
{
  struct sigaction previous = { .sa_handler = mask_cb };
  EvpOsSignalSubscriber *self;

  /* whoever must not be interrupted by SIGUSR2 is not, now that we call it */
  sigemptyset (&previous.sa_mask);
  sigaddset (&previous.sa_mask, SIGUSR2);
  g_assert_cmpint (sigaction (SIGCHLD, &previous, NULL), ==, 0);
  self = subscriber_for (SIGCHLD);
  plain_calls = 0;
  sigemptyset (&mask_in_handler);
  raise (SIGCHLD);
  g_assert_cmpint (plain_calls, ==, 1);
  g_assert_cmpint (sigismember (&mask_in_handler, SIGUSR2), ==, 1);

  evp_os_signal_subscriber_free (self);
  signal (SIGCHLD, SIG_DFL);
}

/* Rules: Z-28 */
static void
test_errno_survives (void)
{
  EvpOsSignalSubscriber *self;

  signal (SIGCHLD, plain_cb);
  self = subscriber_for (SIGCHLD);
  plain_calls = 0;
  errno = ERANGE;
  raise (SIGCHLD);
  g_assert_cmpint (errno, ==, ERANGE);
  g_assert_cmpint (plain_calls, ==, 1);
  evp_os_signal_subscriber_free (self);
  signal (SIGCHLD, SIG_DFL);
}

/* Rules: W-63 */
static void
test_sigchld_ignored_before (void)
{
  const struct sigaction ignoring[] = {
    { .sa_handler = SIG_IGN },
    { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT },
  };

  for (guint i = 0; i < G_N_ELEMENTS (ignoring); i++)
    {
      g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (30, "a child");
      EvpOsSignalSubscriber *self;
      struct sigaction now;
      int returncode = -1;
      GPid pid;

      g_assert_cmpint (sigaction (SIGCHLD, &ignoring[i], NULL), ==, 0);
      self = subscriber_for (SIGCHLD);
      /* while we listen, children can be waited for */
      pid = evp_test_spawn_child ("exit", "9", NULL);
      g_assert_true (evp_os_wait_peek (pid));
      g_assert_cmpint (evp_os_wait_reap (pid, &returncode, NULL), ==, EVP_WAIT_EXITED);
      g_assert_cmpint (returncode, ==, 9);
      evp_os_signal_subscriber_free (self);
      get_action (SIGCHLD, &now);
      g_assert_true (now.sa_handler == ignoring[i].sa_handler);
      g_assert_cmpint (now.sa_flags & SA_NOCLDWAIT, ==, ignoring[i].sa_flags & SA_NOCLDWAIT);
    }
  signal (SIGCHLD, SIG_DFL);
}

static void
assert_child_succeeds (pid_t pid)
{
  /* it has a thread, so it starts after the fork */
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "the forked child");
  int status;

  g_assert_cmpint (pid, >, 0);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
}

/* Rules: Z-30 */
static void
test_fork (void)
{
  EvpOsSignalSubscriber *self = subscriber_for (SIGUSR1);
  pid_t pid;

  /* what the child gets is no news for the parent */
  pid = fork ();
  if (pid == 0)
    {
      raise (SIGUSR1);
      _exit (is_readable (self) || evp_os_signal_take_count (self, SIGUSR1) != 0 ? 1 : 0);
    }
  assert_child_succeeds (pid);
  g_assert_false (is_readable (self));

#ifdef __linux__
  /* nor if the C library knows nothing of the child */
  pid = (pid_t) syscall (SYS_clone, (long) SIGCHLD, NULL, NULL, NULL, NULL);
  if (pid == 0)
    {
      kill (getpid (), SIGUSR1);
      _exit (is_readable (self) ? 1 : 0);
    }
  assert_child_succeeds (pid);
  g_assert_false (is_readable (self));
#endif

#ifndef __SANITIZE_THREAD__ /* which, after a fork, keeps back even the signals of raise() */
  /* a subscriber of the child's own hears, and the inherited one is of no use but can be freed */
  pid = fork ();
  if (pid == 0)
    {
      g_autoptr (GError) error = NULL;
      EvpOsSignalSubscriber *own = evp_os_signal_subscriber_new (NULL);

      if (evp_os_signal_subscribe (self, SIGUSR2, &error) || !g_error_matches (error, EVP_ERROR, EVP_ERROR_FORKED))
        _exit (2);
      if (!evp_os_signal_subscribe (own, SIGUSR1, NULL))
        _exit (3);
      raise (SIGUSR1);
      if (!is_readable (own) || evp_os_signal_take_count (own, SIGUSR1) != 1 || is_readable (self))
        _exit (4);
      evp_os_signal_subscriber_free (own);
      evp_os_signal_subscriber_free (self);
      _exit (evp_os_signal_is_installed (SIGUSR1) ? 5 : 0);
    }
  assert_child_succeeds (pid);
  g_assert_false (is_readable (self));
#endif

  g_assert_true (evp_os_signal_is_installed (SIGUSR1));
  raise (SIGUSR1);
  g_assert_cmpuint (evp_os_signal_take_count (self, SIGUSR1), ==, 1);
  evp_os_signal_subscriber_free (self);
}

typedef struct
{
  int done;
  pthread_t target;
} Storm;

static gpointer
storm_thread (gpointer data)
{
  Storm *storm = data;

  while (!g_atomic_int_get (&storm->done))
    {
      raise (SIGUSR1);
      pthread_kill (storm->target, SIGUSR1);
    }
  return NULL;
}

/* Rules: G-11, Z-28, Z-29 */
static void
test_free_during_handlers (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "subscribers in a storm of signals");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpOsSignalSubscriber *anchor = subscriber_for (SIGUSR1);
  Storm storm = { .target = pthread_self () };
  GThread *threads[2];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("storm", storm_thread, &storm);
  for (int i = 0; i < 300; i++)
    {
      EvpOsSignalSubscriber *self = subscriber_for (SIGUSR1);
      struct pollfd poll_fd = { .fd = evp_os_signal_subscriber_get_fd (self), .events = POLLIN };
      int ready, fds[2];

      do
        ready = poll (&poll_fd, 1, -1);
      while (ready < 0 && errno == EINTR);
      g_assert_cmpint (ready, ==, 1);
      evp_os_signal_drain (self);
      evp_os_signal_subscriber_free (self);

      /* the number is free again: a late write of a handler would end up here */
      g_assert_cmpint (pipe (fds), ==, 0);
      poll_fd.fd = fds[0];
      g_assert_cmpint (poll (&poll_fd, 1, 0), <=, 0);
      close (fds[0]);
      close (fds[1]);
    }
  g_atomic_int_set (&storm.done, 1);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (evp_os_signal_take_count (anchor, SIGUSR1), >, 0);
  evp_os_signal_subscriber_free (anchor);
  g_assert_false (evp_os_signal_is_installed (SIGUSR1));
  evp_test_leaks_check (&leaks);
}

/* Rules: G-12 */
static void
test_free_unsubscribes (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpOsSignalSubscriber *self = subscriber_for (SIGUSR1);

  g_assert_true (evp_os_signal_subscribe (self, SIGUSR2, NULL));
  g_assert_true (evp_os_signal_subscribe (self, SIGHUP, NULL));
  evp_os_signal_subscriber_free (self);
  g_assert_false (evp_os_signal_is_installed (SIGUSR1));
  g_assert_false (evp_os_signal_is_installed (SIGUSR2));
  g_assert_false (evp_os_signal_is_installed (SIGHUP));
  evp_test_leaks_check (&leaks);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/os/signal/is-valid", test_is_valid);
  g_test_add_func ("/evp/os/signal/invalid", test_invalid);
  g_test_add_func ("/evp/os/signal/cannot-be-caught", test_cannot_be_caught);
  g_test_add_func ("/evp/os/signal/delivery", test_delivery);
  g_test_add_func ("/evp/os/signal/merged-while-blocked", test_merged_while_blocked);
  g_test_add_func ("/evp/os/signal/subscribe-twice", test_subscribe_twice);
  g_test_add_func ("/evp/os/signal/many-subscribers", test_many_subscribers);
  g_test_add_func ("/evp/os/signal/realtime", test_realtime);
  g_test_add_func ("/evp/os/signal/puts-back", test_puts_back);
  g_test_add_func ("/evp/os/signal/foreign-handler-stays", test_foreign_handler_stays);
  g_test_add_func ("/evp/os/signal/foreign-handler-that-chains", test_foreign_handler_that_chains);
  g_test_add_func ("/evp/os/signal/other-signal-meanwhile", test_other_signal_meanwhile);
  g_test_add_func ("/evp/os/signal/sigchld-chains", test_sigchld_chains);
  g_test_add_func ("/evp/os/signal/sigchld-handler-that-jumps", test_sigchld_handler_that_jumps);
  g_test_add_func ("/evp/os/signal/sigchld-inside-handler", test_sigchld_inside_handler);
  g_test_add_func ("/evp/os/signal/sigchld-keeps-mask", test_sigchld_keeps_mask);
  g_test_add_func ("/evp/os/signal/errno-survives", test_errno_survives);
  g_test_add_func ("/evp/os/signal/sigchld-ignored-before", test_sigchld_ignored_before);
  g_test_add_func ("/evp/os/signal/fork", test_fork);
  g_test_add_func ("/evp/os/signal/free-during-handlers", test_free_during_handlers);
  g_test_add_func ("/evp/os/signal/free-unsubscribes", test_free_unsubscribes);

  return g_test_run ();
}
