/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-base-event-loop-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fork-private.h"

#include <math.h>

/*
 * The methods that schedule. A loop of a plain class is scheduled on directly, which costs a few nanoseconds;
 * any other one gets a handle through its slots.
 */

/*
 * A loop written elsewhere may run a handle and forget it at once, but the caller was promised
 * a borrowed one: the loop keeps the last.
 */
static EvpHandle *
lend (EvpAbstractEventLoop *self,
      EvpHandle            *handle)
{
  static GQuark quark = 0;

  if (g_atomic_int_get (&handle->ref_count) == 1)
    {
      if (G_UNLIKELY (quark == 0))
        quark = g_quark_from_static_string ("evp-lent-handle");
      g_object_set_qdata_full (G_OBJECT (self), quark, handle, (GDestroyNotify) evp_handle_unref);
    }
  else
    evp_handle_unref (handle);
  return handle;
}

static G_NO_INLINE EvpHandle *
call_soon_slowly (EvpAbstractEventLoop *self,
                  EvpCallback           callback,
                  gpointer              user_data,
                  GDestroyNotify        destroy,
                  GError              **error)
{
  EvpHandle *handle;
  EvpLoopCore *core;
  GError *slot_error = NULL;
  gboolean ok;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (callback != NULL, NULL);

  core = evp_loop_peek_core (self);
  if (core != NULL && __atomic_load_n (&core->slow, __ATOMIC_RELAXED) == EVP_LOOP_SLOW_POSTED)
    evp_loop_core_drain (core);
  if (core != NULL && __atomic_load_n (&core->slow, __ATOMIC_RELAXED) == 0)
    return evp_loop_core_call_soon (core, callback, user_data, destroy);

  handle = evp_loop_core_new_handle (core, EVP_HANDLE_CALLBACK, callback, user_data, destroy);
  ok = EVP_EVENT_LOOP_GET_IFACE (self)->schedule (self, handle, &slot_error);
  if (evp_check_slot_result (ok, slot_error, self, "call_soon", error))
    return lend (self, handle);
  evp_handle_unref (handle);
  return NULL;
}

/**
 * evp_event_loop_call_soon:
 * @self: a loop
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to run
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the loop's thread
 * @error: return location for an error
 *
 * Runs a callback once, soon: after what was scheduled before, and never inside this call.
 *
 * What callbacks schedule runs in the next round. It works while the loop does not run, for its next run.
 *
 * Use it from the thread of the loop; from others, use
 * [method@Evp.AbstractEventLoop.call_soon_threadsafe]. O(1).
 *
 * Errors: %EVP_ERROR_LOOP_CLOSED; %EVP_ERROR_WRONG_THREAD in debug mode.
 *
 * Returns: (transfer none): a handle to cancel it with, borrowed from the loop; `NULL` on error, and then
 *   the data was released
 *
 * Since: 1.0
 */
EvpHandle *
evp_event_loop_call_soon (EvpAbstractEventLoop *self,
                          EvpCallback           callback,
                          gpointer              user_data,
                          GDestroyNotify        destroy,
                          GError              **error)
{
  /* all that is not a plain loop in its usual state is a tail call, so that this path saves no registers */
  if (G_LIKELY (self != NULL && callback != NULL && evp_loop_is_first_class (self)))
    {
      EvpLoopCore *core = evp_loop_get_core (self);

      if (G_LIKELY (__atomic_load_n (&core->slow, __ATOMIC_RELAXED) == 0))
        return evp_loop_core_call_soon (core, callback, user_data, destroy);
    }
  return call_soon_slowly (self, callback, user_data, destroy, error);
}

static gboolean
post_by_slot (EvpAbstractEventLoop *self,
              EvpHandle            *handle,
              GError              **error)
{
  GError *slot_error = NULL;
  gboolean ok = EVP_EVENT_LOOP_GET_IFACE (self)->schedule_threadsafe (self, handle, &slot_error);

  return evp_check_slot_result (ok, slot_error, self, "call_soon_threadsafe", error);
}

/**
 * evp_event_loop_call_soon_threadsafe:
 * @self: a loop
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to run
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the loop's thread
 * @error: return location for an error
 *
 * Like [method@Evp.AbstractEventLoop.call_soon], from any thread; a sleeping loop wakes up.
 *
 * Calls of one thread run in their order, those of [method@Evp.AbstractEventLoop.call_soon] included. What another
 * thread calls while a turn runs is queued at the end of its round, so it may run after what callbacks of
 * that round call later. If the loop is closed before the callback ran, the
 * data is released by the thread that closes.
 *
 * @callback may run before this returns, and drop what it holds of the loop: the calling thread needs a
 * reference of its own to @self, as for every method that threads share.
 *
 * May be called from any thread. O(1).
 *
 * Errors: %EVP_ERROR_LOOP_CLOSED.
 *
 * Returns: whether it succeeded; if not, the data was released
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_call_soon_threadsafe (EvpAbstractEventLoop *self,
                                     EvpCallback           callback,
                                     gpointer              user_data,
                                     GDestroyNotify        destroy,
                                     GError              **error)
{
  EvpHandle *handle;
  EvpLoopCore *core;
  gboolean ok;

  g_return_val_if_fail (self != NULL, FALSE);
  g_return_val_if_fail (callback != NULL, FALSE);

  core = evp_loop_peek_core (self);
  if (G_LIKELY (core != NULL && core->fork_generation == evp_os_fork_generation ()
                && (__atomic_load_n (&core->slow, __ATOMIC_RELAXED) & EVP_LOOP_SLOW_DEBUG) == 0))
    {
      if (G_LIKELY (evp_loop_core_post (core, callback, user_data, destroy)))
        return TRUE;
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      if (destroy != NULL)
        destroy (user_data);
      return FALSE;
    }

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);
  handle = evp_loop_core_new_handle (core, EVP_HANDLE_CALLBACK, callback, user_data, destroy);
  handle->flags |= EVP_HANDLE_THREADSAFE;
  ok = post_by_slot (self, handle, error);
  evp_handle_unref (handle);
  return ok;
}

/**
 * evp_event_loop_call_soon_threadsafe_handle:
 * @self: a loop
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to run
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the loop's thread
 * @error: return location for an error
 *
 * Like [method@Evp.AbstractEventLoop.call_soon_threadsafe], and returns a handle that any thread may cancel.
 *
 * A callback that is running while another thread cancels it is not interrupted.
 *
 * May be called from any thread. O(1).
 *
 * Errors: %EVP_ERROR_LOOP_CLOSED; %EVP_ERROR_FORKED in the child of a `fork()`.
 *
 * Returns: (transfer full): the handle; `NULL` on error, and then the data was released
 *
 * Since: 1.0
 */
EvpHandle *
evp_event_loop_call_soon_threadsafe_handle (EvpAbstractEventLoop *self,
                                            EvpCallback           callback,
                                            gpointer              user_data,
                                            GDestroyNotify        destroy,
                                            GError              **error)
{
  EvpHandle *handle;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (callback != NULL, NULL);

  handle = evp_loop_core_new_handle (evp_loop_peek_core (self), EVP_HANDLE_CALLBACK, callback, user_data, destroy);
  handle->flags |= EVP_HANDLE_THREADSAFE;
  if (post_by_slot (self, handle, error))
    return handle;
  evp_handle_unref (handle);
  return NULL;
}

static EvpTimerHandle *
schedule_at (EvpAbstractEventLoop *self,
             gint64                when,
             EvpCallback           callback,
             gpointer              user_data,
             GDestroyNotify        destroy,
             GError              **error)
{
  EvpLoopCore *core = evp_loop_peek_core (self);
  EvpHandle *handle;
  GError *slot_error = NULL;
  gboolean ok;

  if (G_LIKELY (core != NULL && __atomic_load_n (&core->slow, __ATOMIC_RELAXED) == 0))
    return (EvpTimerHandle *) evp_loop_core_add_timer (core, when, callback, user_data, destroy);

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  /* a timer from the pool leaves the queue when it is cancelled; what was posted meanwhile is no reason for another */
  if (core != NULL && __atomic_load_n (&core->slow, __ATOMIC_RELAXED) == EVP_LOOP_SLOW_POSTED)
    {
      evp_loop_core_drain (core);
      if (__atomic_load_n (&core->slow, __ATOMIC_RELAXED) == 0)
        return (EvpTimerHandle *) evp_loop_core_add_timer (core, when, callback, user_data, destroy);
    }
  handle = evp_loop_core_new_handle (core, EVP_HANDLE_TIMER, callback, user_data, destroy);
  handle->when = when;
  ok = EVP_EVENT_LOOP_GET_IFACE (self)->schedule_timer (self, (EvpTimerHandle *) handle, &slot_error);
  if (evp_check_slot_result (ok, slot_error, self, "call_at", error))
    return (EvpTimerHandle *) lend (self, handle);
  evp_handle_unref (handle);
  return NULL;
}

/* The time of a loop with a clock of its own, in nanoseconds. */
static gint64
ask_time (EvpAbstractEventLoop *self)
{
  const gint64 us = EVP_EVENT_LOOP_GET_IFACE (self)->get_time_us (self);
  gint64 ns;

  if (__builtin_mul_overflow (us, EVP_NSEC_PER_USEC, &ns))
    return us > 0 ? EVP_TIME_NEVER : -EVP_TIME_NEVER;
  return ns;
}

static gboolean
check_number (double         number,
              gpointer       user_data,
              GDestroyNotify destroy,
              GError       **error)
{
  if (G_LIKELY (!isnan (number)))
    return TRUE;
  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, _("A time must be a number, not NaN"));
  if (destroy != NULL)
    destroy (user_data);
  return FALSE;
}

/**
 * evp_event_loop_call_later:
 * @self: a loop
 * @delay: seconds; zero or less is soon
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to run
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the loop's thread
 * @error: return location for an error
 *
 * Runs a callback once, after a delay.
 *
 * It never runs early. Timers for the same time run in the order in which they were scheduled. An
 * infinite delay never ends.
 *
 * Use it from the thread of the loop. O(1), or O(log n) in the number of timers due within a millisecond.
 *
 * Errors: %EVP_ERROR_INVALID_ARGUMENT for NaN; %EVP_ERROR_LOOP_CLOSED; %EVP_ERROR_WRONG_THREAD in debug mode.
 *
 * Returns: (transfer none): a handle to cancel it with, borrowed from the loop; `NULL` on error, and then
 *   the data was released
 *
 * Since: 1.0
 */
EvpTimerHandle *
evp_event_loop_call_later (EvpAbstractEventLoop *self,
                           double                delay,
                           EvpCallback           callback,
                           gpointer              user_data,
                           GDestroyNotify        destroy,
                           GError              **error)
{
  gint64 now, ns, when;

  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (callback != NULL, NULL);

  if (!check_number (delay, user_data, destroy, error))
    return NULL;

  if (G_LIKELY (evp_loop_peek_core (self) != NULL))
    now = evp_clock_get_time_ns ();
  else if (!EVP_IS_EVENT_LOOP (self))
    g_return_val_if_reached (NULL);
  else
    now = ask_time (self);
  ns = evp_clock_seconds_to_ns (delay);
  /* a clock that starts anywhere may start below zero */
  if (ns == EVP_TIME_NEVER || __builtin_add_overflow (now, ns, &when))
    when = ns > 0 ? EVP_TIME_NEVER : -EVP_TIME_NEVER;
  return schedule_at (self, when, callback, user_data, destroy, error);
}

/**
 * evp_event_loop_call_at:
 * @self: a loop
 * @when: a time of the clock of [method@Evp.AbstractEventLoop.time], in seconds
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to run
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the loop's thread
 * @error: return location for an error
 *
 * Runs a callback once, at a time.
 *
 * For the rest it is like [method@Evp.AbstractEventLoop.call_later].
 *
 * Use it from the thread of the loop. O(1), or O(log n) in the number of timers due within a millisecond.
 *
 * Errors: as [method@Evp.AbstractEventLoop.call_later].
 *
 * Returns: (transfer none): a handle to cancel it with, borrowed from the loop; `NULL` on error, and then
 *   the data was released
 *
 * Since: 1.0
 */
EvpTimerHandle *
evp_event_loop_call_at (EvpAbstractEventLoop *self,
                        double                when,
                        EvpCallback           callback,
                        gpointer              user_data,
                        GDestroyNotify        destroy,
                        GError              **error)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_return_val_if_fail (callback != NULL, NULL);

  if (!check_number (when, user_data, destroy, error))
    return NULL;
  return schedule_at (self, evp_clock_seconds_to_ns (when), callback, user_data, destroy, error);
}

/**
 * evp_event_loop_time:
 * @self: a loop
 *
 * Tells the time of the loop's clock, which is monotonic and starts anywhere.
 *
 * May be called from any thread. O(1).
 *
 * Returns: seconds
 *
 * Since: 1.0
 */
double
evp_event_loop_time (EvpAbstractEventLoop *self)
{
  g_return_val_if_fail (self != NULL, 0.0);

  if (G_LIKELY (evp_loop_peek_core (self) != NULL))
    return evp_clock_ns_to_seconds (evp_clock_get_time_ns ());
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), 0.0);
  return (double) EVP_EVENT_LOOP_GET_IFACE (self)->get_time_us (self) / 1e6;
}
