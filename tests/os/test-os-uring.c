/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-uring-private.h"

#include "evp/base/evp-clock-private.h"
#include "support/evp-test-support.h"

#ifdef HAVE_LIBURING

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define N_INTERRUPTIONS 5

static gboolean interrupting;
static guint n_polls;
static int timeouts[2 * N_INTERRUPTIONS];

/* The system's; for a while a signal comes each time, and in the end nothing has. */
int
poll (struct pollfd *fds,
      nfds_t         n_fds,
      int            timeout)
{
  struct timespec ts = { timeout / 1000, timeout % 1000 * EVP_NSEC_PER_MSEC };

  if (!interrupting)
    return (int) syscall (SYS_ppoll, fds, n_fds, timeout >= 0 ? &ts : NULL, NULL, 0);

  g_assert_cmpuint (n_polls, <, G_N_ELEMENTS (timeouts));
  timeouts[n_polls++] = timeout;
  if (n_polls > N_INTERRUPTIONS)
    return 0;
  evp_test_spin (2000);
  errno = EINTR;
  return -1;
}

/* However many signals come, waiting for a kernel that does not let go of a ring has an end. */
static void
test_interrupted (void)
{
  EvpUring uring;
  gboolean gone;

  if (evp_uring_probe () != 0)
    {
      g_test_skip ("io_uring does not work here");
      return;
    }

  evp_uring_init (&uring);
  g_assert_cmpint (evp_uring_open (&uring, 2), ==, 0);
  interrupting = TRUE;
  gone = evp_uring_close_elsewhere (&uring);
  interrupting = FALSE;

  g_assert_false (gone);
  g_assert_false (evp_uring_is_open (&uring));
  g_assert_cmpuint (n_polls, ==, N_INTERRUPTIONS + 1);
  g_assert_cmpint (timeouts[0], >, 0);
  for (guint i = 1; i < n_polls; i++)
    {
      g_assert_cmpint (timeouts[i], >=, 0);
      g_assert_cmpint (timeouts[i], <, timeouts[i - 1]);
    }
}

static void
test_gone (void)
{
  EvpUring uring;

  if (evp_uring_probe () != 0)
    {
      g_test_skip ("io_uring does not work here");
      return;
    }

  evp_uring_init (&uring);
  g_assert_true (evp_uring_close_elsewhere (&uring));
  g_assert_cmpint (evp_uring_open (&uring, 2), ==, 0);
  g_assert_true (evp_uring_close_elsewhere (&uring));
  g_assert_false (evp_uring_is_open (&uring));
}

#else

static void
test_without (void)
{
  g_assert_cmpint (evp_uring_probe (), !=, 0);
}

#endif

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

#ifdef HAVE_LIBURING
  g_test_add_func ("/evp/os/uring/gone", test_gone);
  g_test_add_func ("/evp/os/uring/interrupted", test_interrupted);
#else
  g_test_add_func ("/evp/os/uring/without", test_without);
#endif

  return g_test_run ();
}
