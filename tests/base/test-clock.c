/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-clock-private.h"

#include <math.h>

/* Rules: C-5 */
static void
test_monotonic (void)
{
  gint64 before = g_get_monotonic_time ();
  gint64 last = evp_clock_get_time_ns ();

  for (int i = 0; i < 10000; i++)
    {
      gint64 now = evp_clock_get_time_ns ();

      g_assert_cmpint (now, >=, last);
      last = now;
    }
  /* GLib's own clock, so that times can be compared */
  g_assert_cmpint (last / EVP_NSEC_PER_USEC, >=, before);
  g_assert_cmpint (last / EVP_NSEC_PER_USEC, <=, g_get_monotonic_time ());
}

static void
test_rounds_up (void)
{
  g_assert_cmpint (evp_clock_seconds_to_ns (0), ==, 0);
  g_assert_cmpint (evp_clock_seconds_to_ns (1.5), ==, 1500 * EVP_NSEC_PER_MSEC);
  g_assert_cmpint (evp_clock_seconds_to_ns (-2), ==, -2 * EVP_NSEC_PER_SEC);
  /* anything above nothing is something */
  g_assert_cmpint (evp_clock_seconds_to_ns (1e-15), ==, 1);
  g_assert_cmpint (evp_clock_seconds_to_ns (1.25e-9), ==, 2);
  g_assert_cmpint (evp_clock_seconds_to_ns (-1.25e-9), ==, -1);

  /* and no deadline comes out earlier than it was asked for, as far as a double can tell */
  for (int i = 0; i < 100000; i++)
    {
      double seconds = g_test_rand_double_range (0, 1e6);

      volatile double ns = seconds * 1e9; /* a double, even where the processor calculates with more */
      volatile double later = ns + 1;

      g_assert_cmpfloat ((double) evp_clock_seconds_to_ns (seconds), >=, ns);
      g_assert_cmpfloat ((double) evp_clock_seconds_to_ns (seconds), <=, later);
    }
}

/* Rules: C-9 */
static void
test_far_times (void)
{
  g_assert_cmpint (evp_clock_seconds_to_ns (INFINITY), ==, EVP_TIME_NEVER);
  g_assert_cmpint (evp_clock_seconds_to_ns (1e300), ==, EVP_TIME_NEVER);
  g_assert_cmpint (evp_clock_seconds_to_ns (1e10), ==, EVP_TIME_NEVER);
  g_assert_cmpint (evp_clock_seconds_to_ns (9e9), <, EVP_TIME_NEVER);
  g_assert_cmpint (evp_clock_seconds_to_ns (-INFINITY), <, -9 * EVP_NSEC_PER_SEC * EVP_NSEC_PER_SEC);
  /* its negative exists, too */
  g_assert_cmpint (-evp_clock_seconds_to_ns (-INFINITY), ==, G_MAXINT64);
}

/* Rules: C-9 */
static void
test_timespec (void)
{
  struct timespec ts = evp_clock_ns_to_timespec (5 * EVP_NSEC_PER_SEC + 7);
  gint64 far_away = evp_clock_seconds_to_ns (9e9);

  g_assert_cmpint (ts.tv_sec, ==, 5);
  g_assert_cmpint (ts.tv_nsec, ==, 7);
  ts = evp_clock_ns_to_timespec (0);
  g_assert_cmpint (ts.tv_sec, ==, 0);
  g_assert_cmpint (ts.tv_nsec, ==, 0);
  /* never less than 68 years, and nothing that the system would refuse */
  for (gint64 ns = far_away; ns >= G_MAXINT32 * EVP_NSEC_PER_SEC; ns -= far_away / 1000)
    {
      ts = evp_clock_ns_to_timespec (ns);
      g_assert_cmpint (ts.tv_sec, >=, G_MAXINT32);
      g_assert_cmpint (ts.tv_sec, <=, ns / EVP_NSEC_PER_SEC);
      g_assert_cmpint (ts.tv_nsec, >=, 0);
      g_assert_cmpint (ts.tv_nsec, <, EVP_NSEC_PER_SEC);
    }
}

/* What was a time of the clock is one again. */
static void
test_there_and_back (void)
{
  for (int i = 0; i < 100000; i++)
    {
      /* up to some weeks, a double knows more than the nanoseconds */
      gint64 ns = (gint64) g_test_rand_int_range (0, G_MAXINT32) * g_test_rand_int_range (1, 1000 * 1000);
      volatile double seconds = evp_clock_ns_to_seconds (ns);

      g_assert_true (evp_clock_ns_to_seconds (ns) == seconds);
      g_assert_cmpint (evp_clock_seconds_to_ns (seconds), >=, ns - 1);
      g_assert_cmpint (evp_clock_seconds_to_ns (seconds), <=, ns + 1);
    }
  g_assert_cmpint (evp_clock_seconds_to_ns (0.1), ==, 100 * EVP_NSEC_PER_MSEC);
  g_assert_cmpint (evp_clock_seconds_to_ns (0.7), ==, 700 * EVP_NSEC_PER_MSEC);
  g_assert_cmpint (evp_clock_seconds_to_ns (1e-3), ==, EVP_NSEC_PER_MSEC);
}

static void
test_seconds (void)
{
  g_assert_cmpfloat (evp_clock_ns_to_seconds (0), ==, 0);
  g_assert_cmpfloat (evp_clock_ns_to_seconds (2500 * EVP_NSEC_PER_MSEC), ==, 2.5);
  g_assert_cmpfloat (evp_clock_ns_to_seconds (-EVP_NSEC_PER_SEC), ==, -1);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/base/clock/monotonic", test_monotonic);
  g_test_add_func ("/evp/base/clock/rounds-up", test_rounds_up);
  g_test_add_func ("/evp/base/clock/far-times", test_far_times);
  g_test_add_func ("/evp/base/clock/timespec", test_timespec);
  g_test_add_func ("/evp/base/clock/there-and-back", test_there_and_back);
  g_test_add_func ("/evp/base/clock/seconds", test_seconds);

  return g_test_run ();
}
