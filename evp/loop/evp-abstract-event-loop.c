/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-abstract-event-loop.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-future.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/loop/evp-running-loop-private.h"

/**
 * EvpAbstractEventLoop:
 *
 * An event loop: it runs callbacks soon, at a time, when a file descriptor is ready, or when a signal arrives.
 *
 * Ask the policy for one with [func@Evp.get_event_loop], or make one with
 * [ctor@Evp.SelectorEventLoop.new].
 *
 * ```c
 * static void
 * greet (gpointer user_data)
 * {
 *   EvpAbstractEventLoop *loop = user_data;
 *
 *   g_print ("Hello\n");
 *   evp_event_loop_stop (loop);
 * }
 *
 * g_autoptr (EvpAbstractEventLoop) loop = evp_get_event_loop (&error);
 * evp_event_loop_call_later (loop, 0.5, greet, loop, NULL, &error);
 * evp_event_loop_run_forever (loop, &error);
 * ```
 *
 * ## Loops of one's own
 *
 * Deriving from [class@Evp.SelectorEventLoop] and overriding a slot is the usual way. A loop from scratch
 * implements the slots; what comes to it are [struct@Evp.Handle]s, which it keeps a reference to and runs with
 * [method@Evp.Handle.run]. Slots that are left out fail with %EVP_ERROR_NOT_SUPPORTED.
 *
 * A loop belongs to one thread at a time, that in which it runs; methods that may be called
 * from other threads say so.
 *
 * In asyncio: `asyncio.AbstractEventLoop`.
 *
 * Since: 1.0
 */
typedef EvpAbstractEventLoopInterface EvpEventLoopInterface;

G_DEFINE_INTERFACE (EvpAbstractEventLoop, evp_event_loop, G_TYPE_OBJECT)

static gboolean
default_run_forever (EvpAbstractEventLoop *self,
                     GError              **error)
{
  evp_set_error_unimplemented (error, self, "run_forever");
  return FALSE;
}

static void
default_stop (EvpAbstractEventLoop *self)
{
}

static gboolean
default_is_running (EvpAbstractEventLoop *self)
{
  return evp_running_loop_get () == self;
}

static gboolean
default_is_closed (EvpAbstractEventLoop *self)
{
  return FALSE;
}

static gboolean
default_close (EvpAbstractEventLoop *self,
               GError              **error)
{
  evp_set_error_unimplemented (error, self, "close");
  return FALSE;
}

static gint64
default_get_time_us (EvpAbstractEventLoop *self)
{
  return evp_clock_get_time_ns () / EVP_NSEC_PER_USEC;
}

static gboolean
default_schedule (EvpAbstractEventLoop *self,
                  EvpHandle            *handle,
                  GError              **error)
{
  evp_set_error_unimplemented (error, self, "call_soon");
  return FALSE;
}

static gboolean
default_schedule_threadsafe (EvpAbstractEventLoop *self,
                             EvpHandle            *handle,
                             GError              **error)
{
  evp_set_error_unimplemented (error, self, "call_soon_threadsafe");
  return FALSE;
}

static gboolean
default_schedule_timer (EvpAbstractEventLoop *self,
                        EvpTimerHandle       *handle,
                        GError              **error)
{
  evp_set_error_unimplemented (error, self, "call_at");
  return FALSE;
}

static gboolean
default_watch_reader (EvpAbstractEventLoop *self,
                      int                   fd,
                      EvpHandle            *handle,
                      GError              **error)
{
  evp_set_error_unimplemented (error, self, "add_reader");
  return FALSE;
}

static gboolean
default_watch_writer (EvpAbstractEventLoop *self,
                      int                   fd,
                      EvpHandle            *handle,
                      GError              **error)
{
  evp_set_error_unimplemented (error, self, "add_writer");
  return FALSE;
}

static gboolean
default_remove_fd (EvpAbstractEventLoop *self,
                   int                   fd)
{
  return FALSE;
}

static gboolean
default_watch_signal (EvpAbstractEventLoop *self,
                      int                   signum,
                      EvpHandle            *handle,
                      GError              **error)
{
  evp_set_error_unimplemented (error, self, "add_signal_handler");
  return FALSE;
}

static EvpFuture *
default_create_future (EvpAbstractEventLoop *self)
{
  return evp_future_new (self);
}

static void
default_handle_exception (EvpAbstractEventLoop *self,
                          EvpExceptionContext  *context)
{
  g_autofree char *text = evp_exception_context_to_string (context);

  evp_log_runtime (G_LOG_LEVEL_CRITICAL, "%s", text);
}

static gboolean
default_get_debug (EvpAbstractEventLoop *self)
{
  return FALSE;
}

static void
default_set_debug (EvpAbstractEventLoop *self,
                   gboolean              enabled)
{
}

static GMainContext *
default_dup_main_context (EvpAbstractEventLoop *self)
{
  return NULL;
}

static void
evp_event_loop_default_init (EvpAbstractEventLoopInterface *iface)
{
  iface->run_forever = default_run_forever;
  iface->stop = default_stop;
  iface->is_running = default_is_running;
  iface->is_closed = default_is_closed;
  iface->close = default_close;
  iface->get_time_us = default_get_time_us;
  iface->schedule = default_schedule;
  iface->schedule_threadsafe = default_schedule_threadsafe;
  iface->schedule_timer = default_schedule_timer;
  iface->watch_reader = default_watch_reader;
  iface->watch_writer = default_watch_writer;
  iface->remove_reader = default_remove_fd;
  iface->remove_writer = default_remove_fd;
  iface->watch_signal = default_watch_signal;
  iface->remove_signal_handler = default_remove_fd;
  iface->create_future = default_create_future;
  iface->default_exception_handler = default_handle_exception;
  iface->get_debug = default_get_debug;
  iface->set_debug = default_set_debug;
  iface->dup_main_context = default_dup_main_context;
  iface->submit_operation = evp_loop_readiness_submit;
  iface->cancel_operation = evp_loop_readiness_cancel;
}

/* The slots that have no public function of the same name and arguments. */

/**
 * EvpAbstractEventLoopInterface::get_time_us:
 * @self: a loop
 *
 * Tells the time of the loop's clock; [method@Evp.AbstractEventLoop.time] is the method over it.
 *
 * The loops of the library keep to the system's monotonic clock. A class with another one also has a
 * `schedule_timer` of its own, which says when a time of that clock has come.
 *
 * Returns: microseconds of a monotonic clock
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopInterface::schedule:
 * @self: a loop
 * @handle: (transfer none): what to run
 * @error: return location for an error
 *
 * Queues a handle, to be run in the next turn; [method@Evp.AbstractEventLoop.call_soon] is the
 * method over it. A loop that keeps the handle references it.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopInterface::schedule_threadsafe:
 * @self: a loop
 * @handle: (transfer none): what to run
 * @error: return location for an error
 *
 * Queues a handle from any thread, and wakes the loop;
 * [method@Evp.AbstractEventLoop.call_soon_threadsafe] is the method over it.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopInterface::schedule_timer:
 * @self: a loop
 * @handle: (transfer none): what to run, and when
 * @error: return location for an error
 *
 * Schedules a handle for its time; [method@Evp.AbstractEventLoop.call_at] is the method over it.
 *
 * A handle may be cancelled while it is scheduled: then running it does nothing.
 * Its time may be infinite, also that of handles of the library's own: then keep it, never run it, and cancel it
 * when the loop is closed.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopInterface::watch_reader:
 * @self: a loop
 * @fd: a file descriptor, not negative
 * @handle: (transfer none): what to run whenever it is readable; can be run any number of times
 * @error: return location for an error
 *
 * Watches a descriptor for reading, in place of what watched it before;
 * [method@Evp.AbstractEventLoop.add_reader] is the method over it.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopInterface::watch_writer:
 * @self: a loop
 * @fd: a file descriptor, not negative
 * @handle: (transfer none): what to run whenever it is writable; can be run any number of times
 * @error: return location for an error
 *
 * Watches a descriptor for writing, in place of what watched it before;
 * [method@Evp.AbstractEventLoop.add_writer] is the method over it.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopInterface::submit_operation:
 * @self: a loop
 * @operation: what to do; take a reference until it has completed
 * @error: return location for an error
 *
 * Starts a socket or file operation: `sock_recv_async()`, the streams and the
 * like stand on it.
 *
 * The default tries it at once and then whenever `watch_reader` or `watch_writer` says that the
 * descriptor is ready, so that a loop with readers and writers has all of them. Accept
 * an operation and call [method@Evp.Operation.complete] later to do it yourself.
 *
 * Returns: whether it was accepted
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopInterface::cancel_operation:
 * @self: a loop
 * @operation: a pending operation
 *
 * Asks for the end of an operation, which completes all the same. It is called once per operation.
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopInterface::watch_signal:
 * @self: a loop
 * @signum: a signal
 * @handle: (transfer none): what to run whenever it arrives; can be run any number of times
 * @error: return location for an error
 *
 * Watches a signal; [method@Evp.AbstractEventLoop.add_signal_handler] is the method over it.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */

/**
 * evp_event_loop_run_forever:
 * @self: a loop
 * @error: return location for an error
 *
 * Runs the loop until [method@Evp.AbstractEventLoop.stop] is called.
 *
 * While it runs, the loop's main context is the thread-default one. If stop was called before, exactly
 * one turn is made. A loop can be run again after it was stopped.
 *
 * Use it from the thread that shall be the loop's until it returns. Each turn is O(n) in the
 * callbacks that are due; what the selector or proactor costs comes on top.
 *
 * Errors: %EVP_ERROR_LOOP_CLOSED; %EVP_ERROR_LOOP_RUNNING if this loop runs already, another one runs in
 * this thread, or another thread iterates the main context; %EVP_ERROR_FORKED in the child of a
 * `fork()`.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_run_forever (EvpAbstractEventLoop *self,
                            GError              **error)
{
  GError *slot_error = NULL;
  EvpAbstractEventLoop *running;
  EvpRunningLoop previous;
  gboolean ok;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);

  running = evp_running_loop_get ();
  if (evp_event_loop_is_closed (self))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return FALSE;
    }
  if (running != NULL)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING,
                           running == self ? _("The event loop is already running")
                                           : _("Another event loop is running in this thread; a thread runs one at a time"));
      return FALSE;
    }

  previous = evp_running_loop_push (self);
  ok = EVP_EVENT_LOOP_GET_IFACE (self)->run_forever (self, &slot_error);
  evp_running_loop_pop (previous);
  return evp_check_slot_result (ok, slot_error, self, "run_forever", error);
}

static void
stop_loop_cb (EvpFuture *future,
              gpointer   user_data)
{
  evp_event_loop_stop (user_data);
}

/**
 * evp_event_loop_run_until_complete:
 * @self: a loop
 * @future: a future of this loop
 * @error: return location for an error
 *
 * Runs the loop until a future is done.
 *
 * Ask [method@Evp.Future.get_result] for the result.
 *
 * Use it from the thread that shall be the loop's until it returns. Each turn is O(n) in the
 * callbacks that are due; what the selector or proactor costs comes on top.
 *
 * Errors: those of [method@Evp.AbstractEventLoop.run_forever]; %EVP_ERROR_INVALID_ARGUMENT if the future
 * belongs to another loop; %EVP_ERROR_LOOP_STOPPED if the loop was stopped first, the future is then
 * still pending; %EVP_ERROR_CANCELLED if the future was cancelled; otherwise the future's own error.
 *
 * Returns: whether the future got a result
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_run_until_complete (EvpAbstractEventLoop *self,
                                   EvpFuture            *future,
                                   GError              **error)
{
  GError *failed = NULL;
  gboolean ok;
  guint id;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);
  g_return_val_if_fail (EVP_IS_FUTURE (future), FALSE);

  if (!evp_event_loop_is_closed (self) && evp_running_loop_get () == NULL
      && evp_future_get_loop (future) != self)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The future belongs to another event loop; run that one"));
      return FALSE;
    }

  g_object_ref (self);
  g_object_ref (future);
  id = evp_event_loop_is_closed (self) || evp_running_loop_get () != NULL
         ? 0 : evp_future_add_done_callback (future, stop_loop_cb, self, NULL);
  ok = evp_event_loop_run_forever (self, error);
  if (id != 0)
    evp_future_remove_done_callback (future, id);
  if (ok && !evp_future_done (future))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_STOPPED,
                           _("The event loop was stopped before the future was done"));
      ok = FALSE;
    }
  else if (ok)
    {
      evp_future_get_result (future, &failed);
      ok = failed == NULL;
      if (failed != NULL)
        g_propagate_error (error, failed);
    }
  g_object_unref (future);
  g_object_unref (self);
  return ok;
}

/**
 * evp_event_loop_stop:
 * @self: a loop
 *
 * Makes [method@Evp.AbstractEventLoop.run_forever] return at the end of its current turn.
 *
 * Callbacks that are queued already still run; what they schedule waits for the next run. Before a
 * run, it limits that run to one turn.
 *
 * Use it from the thread of the loop. From another one it takes effect when something else wakes the loop:
 * there, post it with [method@Evp.AbstractEventLoop.call_soon_threadsafe]. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_stop (EvpAbstractEventLoop *self)
{
  g_return_if_fail (EVP_IS_EVENT_LOOP (self));

  EVP_EVENT_LOOP_GET_IFACE (self)->stop (self);
}

/**
 * evp_event_loop_is_running:
 * @self: a loop
 *
 * Tells whether the loop runs.
 *
 * It does between entry and exit of the methods that run it, and, when somebody else
 * iterates its main context, while that goes on.
 *
 * May be called from any thread. O(1).
 *
 * Returns: whether the loop runs
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_is_running (EvpAbstractEventLoop *self)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);

  return EVP_EVENT_LOOP_GET_IFACE (self)->is_running (self);
}

/**
 * evp_event_loop_is_closed:
 * @self: a loop
 *
 * Tells whether the loop was closed.
 *
 * May be called from any thread. O(1).
 *
 * Returns: whether the loop was closed
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_is_closed (EvpAbstractEventLoop *self)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), TRUE);

  return EVP_EVENT_LOOP_GET_IFACE (self)->is_closed (self);
}

/**
 * evp_event_loop_close:
 * @self: a loop
 * @error: return location for an error
 *
 * Closes the loop: drops what is scheduled without running it, and frees what the loop holds.
 *
 * File descriptors stay open, futures stay as they are. Closing twice does no harm, and cannot be
 * undone. A loop whose main context is iterated by somebody else may be closed between two of its
 * callbacks, but not inside one.
 *
 * Use it from the thread of the loop. O(n) in what is scheduled.
 *
 * Errors: %EVP_ERROR_LOOP_RUNNING, and nothing was done.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_close (EvpAbstractEventLoop *self,
                      GError              **error)
{
  GError *slot_error = NULL;
  gboolean ok;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);

  ok = EVP_EVENT_LOOP_GET_IFACE (self)->close (self, &slot_error);
  return evp_check_slot_result (ok, slot_error, self, "close", error);
}

/**
 * evp_event_loop_create_future:
 * @self: a loop
 *
 * Makes a pending future of this loop. This works on a closed loop, too.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (transfer full): a new future
 *
 * Since: 1.0
 */
EvpFuture *
evp_event_loop_create_future (EvpAbstractEventLoop *self)
{
  EvpFuture *future;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);

  future = EVP_EVENT_LOOP_GET_IFACE (self)->create_future (self);
  /* an exception in a language's implementation: a future is needed all the same */
  return future != NULL ? future : evp_future_new (self);
}

/**
 * evp_event_loop_get_debug:
 * @self: a loop
 *
 * Tells whether the loop is in debug mode.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: whether debug mode is on
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_get_debug (EvpAbstractEventLoop *self)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);

  return EVP_EVENT_LOOP_GET_IFACE (self)->get_debug (self);
}

/**
 * evp_event_loop_set_debug:
 * @self: a loop
 * @enabled: whether debug mode shall be on
 *
 * Switches debug mode: scheduling from a wrong thread fails, slow callbacks are reported.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_set_debug (EvpAbstractEventLoop *self,
                          gboolean              enabled)
{
  g_return_if_fail (EVP_IS_EVENT_LOOP (self));

  EVP_EVENT_LOOP_GET_IFACE (self)->set_debug (self, enabled);
}

/**
 * evp_event_loop_dup_main_context:
 * @self: a loop
 *
 * Gives the main context that the loop lives in, if it lives in one.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (nullable): the main context, or `NULL`
 *
 * Since: 1.0
 */
GMainContext *
evp_event_loop_dup_main_context (EvpAbstractEventLoop *self)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);

  return EVP_EVENT_LOOP_GET_IFACE (self)->dup_main_context (self);
}
