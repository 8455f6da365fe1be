/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-socket-channel-private.h"

#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-base-event-loop-private.h"
#include "evp/loop/evp-loop-post-private.h"
#include "evp/loop/evp-loop-sockets-private.h"

#include <errno.h>
#include <sys/socket.h>

/* What sendmsg() takes at once. */
#define MAX_VECTORS 1024

static void evp_socket_channel_start (EvpSocketChannel *self);

static const char *
evp_socket_channel_describe (EvpSocketChannel *self)
{
  return self->direction == EVP_IO_EVENTS_READ ? _("Receiving from the socket failed")
                                               : _("Sending to the socket failed");
}

static gboolean
evp_socket_channel_is_busy (EvpSocketChannel *self)
{
  return self->operation != NULL && self->operation->state != EVP_OPERATION_IDLE;
}

static inline gboolean
evp_socket_channel_loop_is_closed (EvpSocketChannel *self)
{
  EvpLoopCore *core = evp_loop_peek_core (self->loop);

  return core != NULL ? core->closed : evp_event_loop_is_closed (self->loop);
}

static void
evp_socket_channel_clear_timeout (EvpSocketChannel *self)
{
  if (self->timeout == NULL)
    return;
  evp_timer_handle_cancel (self->timeout);
  g_clear_pointer (&self->timeout, evp_timer_handle_unref);
}

/* Takes the transfer away from the channel. */
static EvpLoopTask *
evp_socket_channel_steal_task (EvpSocketChannel *self)
{
  evp_socket_channel_clear_timeout (self);
  self->vectors = NULL;
  self->try_func = NULL;
  return g_steal_pointer (&self->task);
}

static GError *
evp_socket_channel_make_error (EvpSocketChannel *self)
{
  GError *error = NULL;

  if (self->closed)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CLOSED, _("Stream is closed"));
  if (self->timed_out)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, _("Socket I/O timed out"));
  evp_loop_check_operation (self->loop, self->operation, evp_socket_channel_describe (self), &error);
  return error;
}

static void
evp_socket_channel_drop_task (EvpSocketChannel *self,
                              EvpLoopTask      *task)
{
  if (evp_loop_task_park (task) && self->spare == NULL)
    self->spare = task;
  else
    g_object_unref (task);
}

/* Ends the transfer from inside a callback of the loop; runs foreign code. */
static void
evp_socket_channel_finish (EvpSocketChannel *self)
{
  const gssize result = self->operation->result;
  EvpLoopTask *task;

  if (G_LIKELY (result >= 0))
    {
      task = evp_socket_channel_steal_task (self);
      evp_loop_task_return_int_now (task, result);
    }
  else
    {
      GError *error = evp_socket_channel_make_error (self);

      task = evp_socket_channel_steal_task (self);
      evp_loop_task_return_error_now (task, error);
    }
  evp_socket_channel_drop_task (self, task);
}

/* After an operation has ended: if the channel was closed meanwhile, the descriptor is not needed any more. */
static void
evp_socket_channel_give_up (EvpSocketChannel *self)
{
  EvpSocketChannelFunc func;

  if (!self->closed || self->operation->state != EVP_OPERATION_IDLE)
    return;
  evp_loop_retire_operation (self->operation);
  func = g_steal_pointer (&self->closed_func);
  if (func != NULL)
    func (self->closed_data);
}

/* The operation of a transfer has completed. */
static void
evp_socket_channel_transferred_cb (EvpOperation *operation,
                                   gpointer      user_data)
{
  EvpSocketChannel *self = user_data;
  gpointer stream = self->stream;

  g_object_ref (stream);
  if (G_UNLIKELY (self->sources != NULL))
    evp_socket_channel_wake_sources (self);
  evp_socket_channel_finish (self);
  if (G_UNLIKELY (self->closed))
    evp_socket_channel_give_up (self);
  g_object_unref (stream);
}

/* The operation has waited for readiness. Whoever submitted it holds a reference to the stream, released here. */
static void
evp_socket_channel_polled_cb (EvpOperation *operation,
                              gpointer      user_data)
{
  EvpSocketChannel *self = user_data;
  gpointer stream = self->stream;

  operation->func = evp_socket_channel_transferred_cb;
  evp_socket_channel_wake_sources (self);
  if (self->task != NULL)
    {
      if (self->closed || self->timed_out
          || (operation->result < 0 && evp_event_loop_is_closed (self->loop)))
        {
          operation->result = -ECANCELED;
          evp_socket_channel_finish (self);
        }
      else
        evp_socket_channel_start (self);
    }
  evp_socket_channel_give_up (self);
  g_object_unref (stream);
}

static void
evp_socket_channel_ensure_operation (EvpSocketChannel *self)
{
  if (self->operation != NULL)
    return;
  self->operation = evp_operation_new (self->direction == EVP_IO_EVENTS_READ ? EVP_OPERATION_RECV : EVP_OPERATION_SEND,
                                       g_socket_get_fd (self->socket),
                                       evp_socket_channel_transferred_cb, self);
  self->thread = g_thread_self ();
}

static gboolean
evp_socket_channel_submit_poll (EvpSocketChannel *self,
                                GError          **error)
{
  EvpOperation *operation = self->operation;

  operation->kind = EVP_OPERATION_POLL;
  operation->events = (guint8) self->direction;
  operation->func = evp_socket_channel_polled_cb;
  g_object_ref (self->stream);
  if (evp_loop_submit_operation (self->loop, operation, error))
    return TRUE;
  operation->func = evp_socket_channel_transferred_cb;
  g_object_unref (self->stream);
  return FALSE;
}

/* The operation is free: does the next step of the transfer. */
static void
evp_socket_channel_start (EvpSocketChannel *self)
{
  EvpOperation *operation = self->operation;
  GError *error = NULL;
  gboolean ok;

  if (self->try_func != NULL)
    {
      if (self->try_func (self->buffer))
        {
          EvpLoopTask *task = evp_socket_channel_steal_task (self);

          evp_loop_task_return_int (task, 0);
          evp_socket_channel_drop_task (self, task);
          return;
        }
      ok = evp_socket_channel_submit_poll (self, &error);
    }
  else if (self->vectors != NULL)
    {
      gsize n_written = 0;

      if (evp_socket_channel_writev (self, self->vectors, self->n_vectors, 0, &n_written, NULL, &error)
          != G_POLLABLE_RETURN_WOULD_BLOCK)
        {
          EvpLoopTask *task = evp_socket_channel_steal_task (self);

          if (error != NULL)
            evp_loop_task_return_error (task, error);
          else
            evp_loop_task_return_int (task, (gssize) n_written);
          evp_socket_channel_drop_task (self, task);
          return;
        }
      g_clear_error (&error);
      ok = evp_socket_channel_submit_poll (self, &error);
    }
  else
    {
      operation->kind = self->direction == EVP_IO_EVENTS_READ ? EVP_OPERATION_RECV : EVP_OPERATION_SEND;
      operation->buffer = self->buffer;
      operation->length = self->count;
      ok = evp_loop_submit_operation (self->loop, operation, &error);
    }
  if (!ok)
    {
      EvpLoopTask *task = evp_socket_channel_steal_task (self);

      evp_loop_task_return_error (task, error);
      evp_socket_channel_drop_task (self, task);
    }
}

static void
evp_socket_channel_cancel_cb (EvpLoopTask *task,
                              gpointer     data)
{
  EvpSocketChannel *self = data;

  if (self->task != task)
    return;
  if (self->operation->kind != EVP_OPERATION_POLL)
    {
      evp_loop_cancel_operation (self->loop, self->operation);
      return;
    }
  /* it waits for the sources as well, who want to go on */
  evp_socket_channel_steal_task (self);
  evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s", _("Operation was cancelled"));
  if (!evp_socket_channel_has_sources (self))
    evp_loop_cancel_operation (self->loop, self->operation);
  evp_socket_channel_drop_task (self, task);
}

static void
evp_socket_channel_timeout_cb (gpointer user_data)
{
  EvpSocketChannel *self = user_data;

  g_clear_pointer (&self->timeout, evp_timer_handle_unref);
  self->timed_out = TRUE;
  evp_loop_cancel_operation (self->loop, self->operation);
}

/* The rest of an `_async()` function, once the transfer is described. */
static void
evp_socket_channel_begin (EvpSocketChannel   *self,
                          gpointer            tag,
                          GCancellable       *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer            user_data)
{
  EvpLoopTask *task = evp_loop_task_renew (g_steal_pointer (&self->spare), self->loop, self->stream, tag,
                                           cancellable, callback, user_data);
  GError *error = NULL;
  guint seconds;

  if (cancellable == NULL || !g_cancellable_set_error_if_cancelled (cancellable, &error))
    if (self->closed || g_socket_is_closed (self->socket))
      error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CLOSED, _("Stream is closed"));
  if (error != NULL)
    {
      self->vectors = NULL;
      self->try_func = NULL;
      evp_loop_task_return_error (task, error);
      evp_socket_channel_drop_task (self, task);
      return;
    }

  evp_socket_channel_ensure_operation (self);
  self->task = task;
  self->timed_out = FALSE;
  if (G_LIKELY (self->operation->state == EVP_OPERATION_IDLE))
    evp_socket_channel_start (self);
  if (self->task == NULL
      || (self->operation->state == EVP_OPERATION_COMPLETED && self->operation->kind != EVP_OPERATION_POLL))
    return; /* nothing is left to be cancelled */

  if (cancellable != NULL)
    evp_loop_task_set_cancel_func (task, evp_socket_channel_cancel_cb, self);
  seconds = g_socket_get_timeout (self->socket);
  if (seconds > 0)
    {
      self->timeout = evp_event_loop_call_later (self->loop, seconds, evp_socket_channel_timeout_cb,
                                                 self, NULL, NULL);
      if (self->timeout != NULL)
        evp_timer_handle_ref (self->timeout);
    }
}

static void
evp_socket_channel_cancel_poll_cb (gpointer user_data)
{
  EvpSocketChannel *self = user_data;

  if (self->operation->kind == EVP_OPERATION_POLL && (self->closed || self->task == NULL)
      && (self->closed || !evp_socket_channel_has_sources (self)))
    evp_loop_cancel_operation (self->loop, self->operation);
}

static void
evp_socket_channel_cancel_poll_elsewhere_cb (gpointer stream_and_channel)
{
  gpointer *pair = stream_and_channel;

  evp_socket_channel_cancel_poll_cb (pair[1]);
}

static void
evp_socket_channel_free_pair (gpointer stream_and_channel)
{
  gpointer *pair = stream_and_channel;

  g_object_unref (pair[0]);
  g_free (pair);
}

void
evp_socket_channel_init (EvpSocketChannel     *self,
                         gpointer              stream,
                         GSocket              *socket,
                         EvpIOEvents           direction,
                         EvpAbstractEventLoop *loop,
                         EvpSocketLoopFunc     find_loop)
{
  self->stream = stream;
  self->socket = g_object_ref (socket);
  self->direction = direction;
  self->find_loop = find_loop;
  self->patience_us = -1;
  g_set_object (&self->loop, loop);
}

static void
evp_socket_channel_nothing_cb (gpointer user_data)
{
}

void
evp_socket_channel_clear (EvpSocketChannel *self)
{
  gboolean elsewhere = self->operation != NULL && self->thread != g_thread_self ();

  g_clear_object (&self->spare);
  g_clear_pointer (&self->operation, evp_operation_unref);
  /* what the loop remembers of the operation goes there; only then may the descriptor be closed */
  if (elsewhere)
    evp_event_loop_call_soon_threadsafe (self->loop, evp_socket_channel_nothing_cb,
                                         g_steal_pointer (&self->socket), g_object_unref, NULL);
  g_clear_object (&self->socket);
  g_clear_object (&self->loop);
}

EvpAbstractEventLoop *
evp_socket_channel_get_loop (EvpSocketChannel *self)
{
  GMainContext *context;
  EvpAbstractEventLoop *loop;

  if (G_LIKELY (self->find_loop == NULL))
    return self->loop;
  if (evp_socket_channel_is_busy (self))
    return self->loop; /* it waits there */
  context = g_main_context_get_thread_default ();
  if (self->loop != NULL && self->context == context && self->thread == g_thread_self ()
      && !evp_socket_channel_loop_is_closed (self))
    return self->loop;

  loop = self->find_loop (context);
  if (self->operation != NULL && loop != self->loop)
    evp_loop_retire_operation (self->operation);
  if (loop != self->loop)
    evp_loop_socket_set_owner (self->socket, loop);
  g_clear_object (&self->loop);
  self->loop = loop;
  self->context = context;
  self->thread = g_thread_self ();
  return loop;
}

void
evp_socket_channel_transfer_async (EvpSocketChannel   *self,
                                   gpointer            tag,
                                   gpointer            buffer,
                                   gsize               count,
                                   GCancellable       *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer            user_data)
{
  self->buffer = buffer;
  self->count = count;
  evp_socket_channel_begin (self, tag, cancellable, callback, user_data);
}

void
evp_socket_channel_writev_async (EvpSocketChannel    *self,
                                 gpointer             tag,
                                 const GOutputVector *vectors,
                                 gsize                n_vectors,
                                 GCancellable        *cancellable,
                                 GAsyncReadyCallback  callback,
                                 gpointer             user_data)
{
  self->vectors = vectors;
  self->n_vectors = n_vectors;
  evp_socket_channel_begin (self, tag, cancellable, callback, user_data);
}

/* GIO says what is wrong, if anything is. A socket that is closed has the descriptor -1. */
gssize
evp_socket_channel_receive (EvpSocketChannel *self,
                            void             *buffer,
                            gsize             count,
                            GError          **error)
{
  gssize n = recv (g_socket_get_fd (self->socket), buffer, count, MSG_DONTWAIT);

  if (n >= 0)
    return n;
  return g_socket_receive_with_blocking (self->socket, buffer, count, FALSE, NULL, error);
}

gssize
evp_socket_channel_send (EvpSocketChannel *self,
                         const void       *buffer,
                         gsize             count,
                         GError          **error)
{
  gssize n = send (g_socket_get_fd (self->socket), buffer, count, MSG_DONTWAIT | MSG_NOSIGNAL);

  if (n >= 0)
    return n;
  return g_socket_send_with_blocking (self->socket, buffer, count, FALSE, NULL, error);
}

void
evp_socket_channel_try_async (EvpSocketChannel   *self,
                              gpointer            tag,
                              EvpSocketTryFunc    func,
                              gpointer            data,
                              GCancellable       *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer            user_data)
{
  self->try_func = func;
  self->buffer = data;
  evp_socket_channel_begin (self, tag, cancellable, callback, user_data);
}

GPollableReturn
evp_socket_channel_writev (EvpSocketChannel    *self,
                           const GOutputVector *vectors,
                           gsize                n_vectors,
                           gint64               timeout_us,
                           gsize               *n_written,
                           GCancellable        *cancellable,
                           GError             **error)
{
  return g_socket_send_message_with_timeout (self->socket, NULL, vectors, (int) MIN (n_vectors, MAX_VECTORS),
                                             NULL, 0, 0, timeout_us, n_written, cancellable, error);
}

GSource *
evp_socket_channel_create_source (EvpSocketChannel *self,
                                  GCancellable     *cancellable)
{
  g_autoptr (GSource) child = NULL;
  GSource *source;

  /* a socket with a timeout remembers for the next transfer that it has passed, which only GIO can do */
  if (evp_socket_channel_get_loop (self) == NULL || g_socket_get_timeout (self->socket) > 0)
    {
      child = g_socket_create_source (self->socket, self->direction == EVP_IO_EVENTS_READ ? G_IO_IN : G_IO_OUT,
                                      NULL);
      return g_pollable_source_new_full (self->stream, child, cancellable);
    }
  source = evp_socket_source_new (self);
  if (cancellable != NULL)
    {
      child = g_cancellable_source_new (cancellable);
      g_source_set_dummy_callback (child);
      g_source_add_child_source (source, child);
    }
  return source;
}

gboolean
evp_socket_channel_poll (EvpSocketChannel *self)
{
  if (self->closed || g_socket_is_closed (self->socket))
    return FALSE;
  evp_socket_channel_ensure_operation (self);
  if (self->operation->state != EVP_OPERATION_IDLE)
    return TRUE; /* whatever it does, the sources are told of its end */
  return evp_socket_channel_submit_poll (self, NULL);
}

void
evp_socket_channel_stop_polling (EvpSocketChannel *self)
{
  gpointer *pair;

  if (!evp_socket_channel_is_busy (self))
    return;
  if (self->thread == g_thread_self ())
    {
      evp_socket_channel_cancel_poll_cb (self);
      return;
    }
  pair = g_new (gpointer, 2);
  pair[0] = g_object_ref (self->stream);
  pair[1] = self;
  evp_event_loop_call_soon_threadsafe (self->loop, evp_socket_channel_cancel_poll_elsewhere_cb,
                                       pair, evp_socket_channel_free_pair, NULL);
}

static void
evp_socket_channel_close_now (EvpSocketChannel *self)
{
  if (self->closed)
    return;
  self->closed = TRUE;
  if (self->operation == NULL)
    return;
  if (self->operation->state == EVP_OPERATION_IDLE)
    evp_loop_retire_operation (self->operation);
  else
    evp_socket_channel_stop_polling (self);
}

static void
evp_socket_channel_close_and_unref (gpointer data)
{
  EvpSocketChannel *self = data;
  gpointer stream = self->stream;

  evp_socket_channel_close_now (self);
  g_object_unref (stream);
}

void
evp_socket_channel_close (EvpSocketChannel *self)
{
  /* the loop's thread may be in the middle of it, and must have let go of the descriptor before that is closed */
  if (self->operation != NULL && !evp_loop_is_local_thread (self->loop, self->thread))
    {
      g_object_ref (self->stream);
      evp_loop_post_release (self->loop, evp_socket_channel_close_and_unref, self);
    }
  else
    evp_socket_channel_close_now (self);
}

gboolean
evp_socket_channel_abort (EvpSocketChannel    *self,
                          EvpSocketChannelFunc func,
                          gpointer             data)
{
  EvpOperation *operation = self->operation;

  self->closed = TRUE;
  if (operation == NULL)
    return TRUE;
  if (operation->state == EVP_OPERATION_SUBMITTED)
    evp_loop_cancel_operation (self->loop, operation);
  if (operation->state == EVP_OPERATION_SUBMITTED)
    {
      self->closed_func = func;
      self->closed_data = data;
      return FALSE;
    }
  /* it may have completed already; that is told as ever */
  evp_loop_retire_operation (operation);
  return TRUE;
}
