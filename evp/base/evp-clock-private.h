/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>
#include <time.h>

G_BEGIN_DECLS

#define EVP_NSEC_PER_SEC  G_GINT64_CONSTANT (1000000000)
#define EVP_NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)
#define EVP_NSEC_PER_USEC G_GINT64_CONSTANT (1000)

/* Never: later than any deadline a double can name on this clock. */
#define EVP_TIME_NEVER    G_MAXINT64

/* Monotonic time in nanoseconds, never cached: the clock of all deadlines. */
static inline gint64
evp_clock_get_time_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (gint64) now.tv_sec * EVP_NSEC_PER_SEC + now.tv_nsec;
}

/*
 * Seconds to nanoseconds, rounded up so that nothing is early; what is out of range is
 * clamped. The caller has refused NaN.
 */
static inline gint64
evp_clock_seconds_to_ns (double seconds)
{
  double ns = seconds * 1e9;

  if (ns >= 9.2e18)
    return EVP_TIME_NEVER;
  if (ns <= -9.2e18)
    return G_MININT64 + 1;
  gint64 whole = (gint64) ns;
  return (double) whole < ns ? whole + 1 : whole;
}

static inline double
evp_clock_ns_to_seconds (gint64 ns)
{
  return (double) ns / 1e9;
}

G_END_DECLS
