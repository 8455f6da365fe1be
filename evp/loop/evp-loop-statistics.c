/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-statistics-private.h"

/**
 * EvpLoopStatistics:
 *
 * What a loop has done since it was made: a snapshot, from
 * [method@Evp.BaseEventLoop.get_statistics].
 *
 * Counting is always on; it costs an increment per callback.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (EvpLoopStatistics, evp_loop_statistics, evp_loop_statistics_copy, evp_loop_statistics_free)

/**
 * evp_loop_statistics_copy:
 * @self: statistics
 *
 * Copies the snapshot.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): a copy
 *
 * Since: 1.0
 */
EvpLoopStatistics *
evp_loop_statistics_copy (EvpLoopStatistics *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return g_memdup2 (self, sizeof *self);
}

/**
 * evp_loop_statistics_free:
 * @self: (transfer full): statistics
 *
 * Frees the snapshot.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_loop_statistics_free (EvpLoopStatistics *self)
{
  g_free (self);
}

/**
 * evp_loop_statistics_get_turns:
 * @self: statistics
 *
 * How many turns the loop has made: dispatches by its main context.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the number of turns
 *
 * Since: 1.0
 */
guint64
evp_loop_statistics_get_turns (EvpLoopStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->turns;
}

/**
 * evp_loop_statistics_get_callbacks:
 * @self: statistics
 *
 * How many callbacks the loop has run.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the number of callbacks
 *
 * Since: 1.0
 */
guint64
evp_loop_statistics_get_callbacks (EvpLoopStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->callbacks;
}

/**
 * evp_loop_statistics_get_wakeups:
 * @self: statistics
 *
 * How often the loop was woken from sleep because there was work for it.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the number of wake-ups
 *
 * Since: 1.0
 */
guint64
evp_loop_statistics_get_wakeups (EvpLoopStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->wakeups;
}

/**
 * evp_loop_statistics_get_timers:
 * @self: statistics
 *
 * How many timers are scheduled now.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the number of timers
 *
 * Since: 1.0
 */
guint
evp_loop_statistics_get_timers (EvpLoopStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->timers;
}

/**
 * evp_loop_statistics_get_fds:
 * @self: statistics
 *
 * How many file descriptors are watched now.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the number of descriptors
 *
 * Since: 1.0
 */
guint
evp_loop_statistics_get_fds (EvpLoopStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->fds;
}

/**
 * evp_loop_statistics_get_longest_callback:
 * @self: statistics
 *
 * The longest time that a callback has taken.
 *
 * Exact in debug mode; otherwise it is the longest time between two looks at the clock, which may be
 * a few microseconds more.
 *
 * May be called from any thread. O(1).
 *
 * Returns: seconds
 *
 * Since: 1.0
 */
double
evp_loop_statistics_get_longest_callback (EvpLoopStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->longest_callback;
}

/**
 * evp_loop_statistics_get_time_asleep:
 * @self: statistics
 *
 * How long the loop has waited for something to do.
 *
 * May be called from any thread. O(1).
 *
 * Returns: seconds
 *
 * Since: 1.0
 */
double
evp_loop_statistics_get_time_asleep (EvpLoopStatistics *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->time_asleep;
}
