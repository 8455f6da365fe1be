/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-base-event-loop-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/loop/evp-loop-sockets-private.h"

/* The methods that watch file descriptors and signals: callbacks become handles for the slots. */

static gboolean
check_fd (EvpAbstractEventLoop *self,
          int                   fd,
          GError              **error)
{
  if (fd < 0)
    g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, _("%d is not a file descriptor"), fd);
  else if (evp_loop_fd_is_owned (self, fd))
    g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                         _("The socket belongs to a stream; use that, or close it first"));
  else
    return TRUE;
  return FALSE;
}

/* Thousands of watches lie side by side in the loop's slabs, where there are any. */
static EvpHandle *
new_watch (EvpAbstractEventLoop *self,
           EvpHandleKind         kind,
           int                   number,
           gpointer              callback,
           gpointer              user_data,
           GDestroyNotify        destroy,
           gboolean              reentrant)
{
  EvpLoopCore *core = evp_loop_peek_core (self);
  EvpHandle *handle;

  if (core != NULL && __atomic_load_n (&core->slow, __ATOMIC_RELAXED) == 0)
    {
      handle = evp_handle_pool_alloc (&core->pool);
      handle->callback.any = callback;
      handle->user_data = user_data;
      handle->destroy = destroy;
      handle->kind = (guint8) kind;
      handle->flags = 0;
    }
  else
    handle = evp_loop_core_new_handle (core, kind, callback, user_data, destroy);
  handle->when = number;
  handle->reentrant = reentrant;
  return handle;
}

static gboolean
watch_fd (EvpAbstractEventLoop *self,
          EvpIOEvents           direction,
          gboolean              internal,
          int                   fd,
          EvpFdCallback         callback,
          gpointer              user_data,
          GDestroyNotify        destroy,
          GError              **error)
{
  const EvpAbstractEventLoopInterface *iface = EVP_EVENT_LOOP_GET_IFACE (self);
  const gboolean reads = direction == EVP_IO_EVENTS_READ;
  EvpHandle *handle = new_watch (self, EVP_HANDLE_FD, fd, callback, user_data, destroy, internal);
  GError *slot_error = NULL;
  gboolean ok = (internal || check_fd (self, fd, &slot_error))
                && (reads ? iface->watch_reader : iface->watch_writer) (self, fd, handle, &slot_error);

  evp_handle_unref (handle);
  return evp_check_slot_result (ok, slot_error, self, reads ? "add_reader" : "add_writer", error);
}

gboolean
evp_loop_watch_fd (EvpAbstractEventLoop *loop,
                   EvpIOEvents           direction,
                   int                   fd,
                   EvpFdCallback         callback,
                   gpointer              user_data,
                   GDestroyNotify        destroy,
                   GError              **error)
{
  return watch_fd (loop, direction, TRUE, fd, callback, user_data, destroy, error);
}

gboolean
evp_loop_unwatch_fd (EvpAbstractEventLoop *loop,
                     EvpIOEvents           direction,
                     int                   fd)
{
  const EvpAbstractEventLoopInterface *iface = EVP_EVENT_LOOP_GET_IFACE (loop);

  return (direction == EVP_IO_EVENTS_READ ? iface->remove_reader : iface->remove_writer) (loop, fd);
}

/**
 * evp_event_loop_add_reader:
 * @self: a loop
 * @fd: a file descriptor
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to run while it is readable
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the loop's thread
 * @error: return location for an error
 *
 * Runs a callback whenever a file descriptor is readable, until it is removed.
 *
 * A reader that is there already is replaced. Reading and writing are independent. Hang-up and errors
 * count as readable and writable. Regular files are always ready.
 *
 * Remove the reader before the descriptor is closed. If it was forgotten, the loop does not
 * spin, and the number can be used again.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %EVP_ERROR_INVALID_ARGUMENT for a negative number; %EVP_ERROR_INVALID_STATE for the descriptor of
 * an open connection or datagram endpoint of this loop; %EVP_ERROR_LOOP_CLOSED; %EVP_ERROR_FORKED in the
 * child of a `fork()`; %EVP_ERROR_NOT_SUPPORTED; %G_IO_ERROR from the system if the descriptor is not open
 * or there are too many.
 *
 * Returns: whether it succeeded; if not, the data was released
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_add_reader (EvpAbstractEventLoop *self,
                           int                   fd,
                           EvpFdCallback         callback,
                           gpointer              user_data,
                           GDestroyNotify        destroy,
                           GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);
  g_return_val_if_fail (callback != NULL, FALSE);

  return watch_fd (self, EVP_IO_EVENTS_READ, FALSE, fd, callback, user_data, destroy, error);
}

/**
 * evp_event_loop_remove_reader:
 * @self: a loop
 * @fd: a file descriptor
 *
 * Stops watching a file descriptor for reading. The callback does not run any more, even if it is queued.
 *
 * The descriptor of an open connection or datagram endpoint of this loop has no reader; it is left alone.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: whether there was a reader
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_remove_reader (EvpAbstractEventLoop *self,
                              int                   fd)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);

  return fd >= 0 && !evp_loop_fd_is_owned (self, fd) && evp_loop_unwatch_fd (self, EVP_IO_EVENTS_READ, fd);
}

/**
 * evp_event_loop_add_writer:
 * @self: a loop
 * @fd: a file descriptor
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to run while it is writable
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the loop's thread
 * @error: return location for an error
 *
 * Runs a callback whenever a file descriptor is writable, until it is removed.
 *
 * For the rest it is like [method@Evp.AbstractEventLoop.add_reader].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: as [method@Evp.AbstractEventLoop.add_reader].
 *
 * Returns: whether it succeeded; if not, the data was released
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_add_writer (EvpAbstractEventLoop *self,
                           int                   fd,
                           EvpFdCallback         callback,
                           gpointer              user_data,
                           GDestroyNotify        destroy,
                           GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);
  g_return_val_if_fail (callback != NULL, FALSE);

  return watch_fd (self, EVP_IO_EVENTS_WRITE, FALSE, fd, callback, user_data, destroy, error);
}

/**
 * evp_event_loop_remove_writer:
 * @self: a loop
 * @fd: a file descriptor
 *
 * Stops watching a file descriptor for writing. The callback does not run any more, even if it is queued.
 *
 * The descriptor of an open connection or datagram endpoint of this loop has no writer; it is left alone.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: whether there was a writer
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_remove_writer (EvpAbstractEventLoop *self,
                              int                   fd)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);

  return fd >= 0 && !evp_loop_fd_is_owned (self, fd) && evp_loop_unwatch_fd (self, EVP_IO_EVENTS_WRITE, fd);
}

/**
 * evp_event_loop_add_signal_handler:
 * @self: a loop
 * @signum: a signal
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to run when it arrives
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the loop's thread
 * @error: return location for an error
 *
 * Runs a callback of the loop whenever a Unix signal arrives.
 *
 * The callback is an ordinary one and may do anything. A handler of this loop for the same signal is
 * replaced; several loops may watch the same signal. What the process did with the signal before is
 * kept, and put back when the last handler goes. The system merges equal signals that arrive at once: count on
 * one run after the last of them.
 *
 * Use it from the main thread. O(1).
 *
 * Errors: %EVP_ERROR_INVALID_ARGUMENT for what is not the number of a signal; %EVP_ERROR_LOOP_CLOSED;
 * %EVP_ERROR_FORKED in the child of a `fork()`; %EVP_ERROR_WRONG_THREAD; %G_IO_ERROR for signals that
 * cannot be caught.
 *
 * Returns: whether it succeeded; if not, the data was released
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_add_signal_handler (EvpAbstractEventLoop *self,
                                   int                   signum,
                                   EvpSignalCallback     callback,
                                   gpointer              user_data,
                                   GDestroyNotify        destroy,
                                   GError              **error)
{
  EvpHandle *handle;
  GError *slot_error = NULL;
  gboolean ok;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);
  g_return_val_if_fail (callback != NULL, FALSE);

  handle = new_watch (self, EVP_HANDLE_SIGNAL, signum, callback, user_data, destroy, FALSE);
  ok = EVP_EVENT_LOOP_GET_IFACE (self)->watch_signal (self, signum, handle, &slot_error);
  evp_handle_unref (handle);
  return evp_check_slot_result (ok, slot_error, self, "add_signal_handler", error);
}

/**
 * evp_event_loop_remove_signal_handler:
 * @self: a loop
 * @signum: a signal
 *
 * Stops watching a signal. The callback does not run any more, even if it is queued.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: whether this loop had a handler for it
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_remove_signal_handler (EvpAbstractEventLoop *self,
                                      int                   signum)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);

  return EVP_EVENT_LOOP_GET_IFACE (self)->remove_signal_handler (self, signum);
}
