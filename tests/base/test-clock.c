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

      g_assert_cmpfloat ((double) evp_clock_seconds_to_ns (seconds), >=, seconds * 1e9);
      g_assert_cmpfloat ((double) evp_clock_seconds_to_ns (seconds), <=, seconds * 1e9 + 1);
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
  g_test_add_func ("/evp/base/clock/seconds", test_seconds);

  return g_test_run ();
}
