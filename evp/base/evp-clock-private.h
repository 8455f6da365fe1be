/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <float.h>
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
 * A double, and no more than that: the 387 calculates with 64 binary digits, and what it has not rounded yet
 * differs from the same number after it was stored. A time would come back as the next nanosecond.
 */
static inline double
evp_clock_round (double number)
{
#if defined (FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 1
  volatile double rounded = number;

  return rounded;
#else
  return number;
#endif
}

/*
 * Seconds to nanoseconds, rounded up so that nothing is early; what is out of range is
 * clamped. The caller has refused NaN.
 */
static inline gint64
evp_clock_seconds_to_ns (double seconds)
{
  double ns = evp_clock_round (seconds * 1e9);

  if (ns >= 9.2e18)
    return EVP_TIME_NEVER;
  if (ns <= -9.2e18)
    return G_MININT64 + 1;
  gint64 whole = (gint64) ns;
  return (double) whole < ns ? whole + 1 : whole;
}

/*
 * Nanoseconds, not negative, as the system takes them. Where its seconds have 32 bits, what is more than 68 years
 * off becomes these 68 years: who waits has to look at the clock afterwards.
 */
static inline struct timespec
evp_clock_ns_to_timespec (gint64 ns)
{
  gint64 seconds = ns / EVP_NSEC_PER_SEC;

  if (sizeof (time_t) < sizeof (gint64) && seconds > G_MAXINT32)
    return (struct timespec) { .tv_sec = G_MAXINT32 };
  return (struct timespec) { .tv_sec = (time_t) seconds, .tv_nsec = (long) (ns % EVP_NSEC_PER_SEC) };
}

static inline double
evp_clock_ns_to_seconds (gint64 ns)
{
  return evp_clock_round ((double) ns / 1e9);
}

G_END_DECLS
