/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-handle-private.h"

#include "evp/base/evp-clock-private.h"

#include <math.h>

/**
 * EvpTimerHandle:
 *
 * A callback that was scheduled for a time, and can be cancelled.
 *
 * It is an [struct@Evp.Handle] that also knows when it is due. See there for ownership and threads.
 *
 * In asyncio: `asyncio.TimerHandle`.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (EvpTimerHandle, evp_timer_handle, evp_timer_handle_ref, evp_timer_handle_unref)

/**
 * evp_timer_handle_ref:
 * @self: a timer handle
 *
 * Takes a reference.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
EvpTimerHandle *
evp_timer_handle_ref (EvpTimerHandle *self)
{
  return (EvpTimerHandle *) evp_handle_ref (&self->handle);
}

/**
 * evp_timer_handle_unref:
 * @self: (transfer full): a timer handle
 *
 * Drops a reference. This does not cancel.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_timer_handle_unref (EvpTimerHandle *self)
{
  evp_handle_unref (&self->handle);
}

/**
 * evp_timer_handle_run:
 * @self: a timer handle
 *
 * Runs the callback now, unless the handle was cancelled or has run already. Only loops call this.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_timer_handle_run (EvpTimerHandle *self)
{
  evp_handle_run (&self->handle);
}

/**
 * evp_timer_handle_cancel:
 * @self: a timer handle
 *
 * Makes sure that the callback does not run any more, and releases its data at once.
 *
 * Use it from the thread of the loop. At most O(log n) in the number of timers.
 *
 * Since: 1.0
 */
void
evp_timer_handle_cancel (EvpTimerHandle *self)
{
  evp_handle_cancel (&self->handle);
}

/**
 * evp_timer_handle_cancelled:
 * @self: a timer handle
 *
 * Tells whether [method@Evp.TimerHandle.cancel] was called.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: whether the handle was cancelled
 *
 * Since: 1.0
 */
gboolean
evp_timer_handle_cancelled (EvpTimerHandle *self)
{
  return evp_handle_cancelled (&self->handle);
}

/**
 * evp_timer_handle_when:
 * @self: a timer handle
 *
 * Tells when the callback is due, on the clock of [method@Evp.AbstractEventLoop.time]. It stays
 * known after the callback has run or was cancelled.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: the time, in seconds; infinity if it is beyond the clock
 *
 * Since: 1.0
 */
double
evp_timer_handle_when (EvpTimerHandle *self)
{
  g_return_val_if_fail (self != NULL, 0.0);

  return self->handle.when == EVP_TIME_NEVER ? INFINITY : evp_clock_ns_to_seconds (self->handle.when);
}

/**
 * evp_timer_handle_set_name:
 * @self: a timer handle
 * @name: (nullable): what to call the callback; `NULL` for its address
 *
 * Says what messages about slow callbacks call this one: [method@Evp.Handle.set_name].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_timer_handle_set_name (EvpTimerHandle *self,
                           const char     *name)
{
  evp_handle_set_name (&self->handle, name);
}
