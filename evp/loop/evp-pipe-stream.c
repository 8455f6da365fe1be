/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-pipe-stream-private.h"

#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-post-private.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>

/* As evp_pipe_read() or evp_pipe_write(), and takes note of the end. */
static gssize
evp_pipe_stream_try (EvpPipeStream *self,
                     gpointer       buffer,
                     gsize          count,
                     GError       **error)
{
  gboolean reading = self->direction == EVP_IO_EVENTS_READ;
  gssize n = reading ? evp_pipe_read (self->pipe, buffer, count, error)
                     : evp_pipe_write (self->pipe, buffer, count, error);

  if (n == -1 || (reading && n == 0 && count > 0))
    evp_pipe_stream_end (self);
  return n;
}

static void
evp_pipe_stream_pipe_cb (gpointer stream,
                         GError  *error)
{
  EvpPipeStream *self = stream;
  g_autoptr (EvpLoopTask) task = g_steal_pointer (&self->task);
  GError *transfer_error = NULL;
  gssize n;

  if (error != NULL)
    {
      if (g_error_matches (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED))
        evp_loop_task_return_error_now (task, error);
      else
        evp_loop_task_return_error (task, error);
      return;
    }
  n = evp_pipe_stream_try (self, self->buffer, self->count, &transfer_error);
  if (n == EVP_PIPE_WOULD_BLOCK && evp_pipe_wait (self->pipe, &transfer_error))
    self->task = g_steal_pointer (&task); /* spurious */
  else if (n >= 0)
    evp_loop_task_return_int (task, n);
  else
    evp_loop_task_return_error (task, transfer_error);
}

static void
evp_pipe_stream_cancel_cb (EvpLoopTask *task,
                           gpointer     data)
{
  EvpPipeStream *self = data;

  if (self->task != task)
    return;
  evp_pipe_stop_waiting (self->pipe);
  g_clear_object (&self->task);
  evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                  "%s", _("Operation was cancelled"));
}

/* Whether somebody in the thread of the loop has to hear of the end. */
static gboolean
evp_pipe_stream_has_listener (EvpPipeStream *self)
{
  return g_atomic_pointer_get (&self->ended_func) != NULL;
}

static gboolean
evp_pipe_stream_is_elsewhere (EvpPipeStream *self)
{
  return !evp_loop_is_local_thread (evp_pipe_get_loop (self->pipe), self->thread);
}

static void
evp_pipe_stream_end_now (EvpPipeStream *self)
{
  EvpPipeEndedFunc func = self->ended_func;
  gpointer data = self->ended_data;
  GDestroyNotify destroy = g_steal_pointer (&self->ended_destroy);

  g_atomic_pointer_set (&self->ended_func, NULL);
  self->ended = TRUE;
  if (func != NULL)
    {
      evp_pipe_stream_ignore_hang_up (self);
      func (data);
    }
  if (destroy != NULL)
    destroy (data);
}

static void
evp_pipe_stream_end_and_unref (gpointer data)
{
  EvpPipeStream *self = data;

  evp_pipe_stream_end_now (self);
  g_object_unref (self->stream);
}

static void
evp_pipe_stream_close_now (EvpPipeStream *self)
{
  evp_pipe_stream_ignore_hang_up (self);
  if (self->pipe != NULL)
    evp_pipe_close (self->pipe);
  evp_pipe_stream_end_now (self);
}

static void
evp_pipe_stream_close_and_unref (gpointer data)
{
  EvpPipeStream *self = data;

  evp_pipe_stream_close_now (self);
  g_object_unref (self->stream);
}

/* Has @func called in the thread of the loop, with a reference to the stream. */
static void
evp_pipe_stream_post (EvpPipeStream *self,
                      GDestroyNotify func)
{
  g_object_ref (self->stream);
  evp_loop_post_release (evp_pipe_get_loop (self->pipe), func, self);
}

static void
evp_pipe_stream_hang_up_cb (gpointer stream,
                            GError  *error)
{
  EvpPipeStream *self = stream;

  if (error != NULL)
    {
      g_error_free (error);
      evp_pipe_stream_ignore_hang_up (self);
    }
  else if (evp_pipe_has_hung_up (self->hang_up))
    {
      evp_pipe_stream_ignore_hang_up (self);
      evp_pipe_stream_end (self);
    }
  else if (!evp_pipe_wait (self->hang_up, NULL))
    evp_pipe_stream_ignore_hang_up (self);
}

void
evp_pipe_stream_init (EvpPipeStream        *self,
                      gpointer              stream,
                      EvpAbstractEventLoop *loop,
                      int                   fd,
                      EvpIOEvents           direction)
{
  self->direction = direction;
  self->stream = stream;
  self->thread = g_thread_self ();
  self->pipe = evp_pipe_new (loop, fd, direction, evp_pipe_stream_pipe_cb, self);
}

void
evp_pipe_stream_clear (EvpPipeStream *self)
{
  evp_pipe_stream_set_ended_func (self, NULL, NULL, NULL);
  g_clear_object (&self->task);
  g_clear_pointer (&self->pipe, evp_pipe_unref);
}

void
evp_pipe_stream_set_ended_func (EvpPipeStream   *self,
                                EvpPipeEndedFunc func,
                                gpointer         data,
                                GDestroyNotify   destroy)
{
  if (func == NULL)
    evp_pipe_stream_ignore_hang_up (self);
  if (self->ended_destroy != NULL)
    self->ended_destroy (self->ended_data);
  self->ended_data = data;
  self->ended_destroy = destroy;
  g_atomic_pointer_set (&self->ended_func, self->ended ? NULL : func);
}

void
evp_pipe_stream_end (EvpPipeStream *self)
{
  if (evp_pipe_stream_has_listener (self) && evp_pipe_stream_is_elsewhere (self))
    evp_pipe_stream_post (self, evp_pipe_stream_end_and_unref);
  else
    evp_pipe_stream_end_now (self);
}

void
evp_pipe_stream_ignore_hang_up (EvpPipeStream *self)
{
  EvpPipe *hang_up = g_steal_pointer (&self->hang_up);

  if (hang_up == NULL)
    return;
  evp_pipe_close (hang_up);
  evp_pipe_unref (hang_up);
}

void
evp_pipe_stream_watch_hang_up (EvpPipeStream *self)
{
  if (self->ended || self->hang_up != NULL)
    return;
  self->hang_up = evp_pipe_new_hang_up (self->pipe, evp_pipe_stream_hang_up_cb, self);
  if (!evp_pipe_wait (self->hang_up, NULL))
    evp_pipe_stream_ignore_hang_up (self);
}

gssize
evp_pipe_stream_transfer (EvpPipeStream *self,
                          gpointer       buffer,
                          gsize          count,
                          GCancellable  *cancellable,
                          GError       **error)
{
  gssize n;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return -1;
  while ((n = evp_pipe_stream_try (self, buffer, count, error)) == EVP_PIPE_WOULD_BLOCK)
    if (!evp_pipe_poll (self->pipe, cancellable, error))
      return -1;
  return n;
}

gssize
evp_pipe_stream_transfer_nonblocking (EvpPipeStream *self,
                                      gpointer       buffer,
                                      gsize          count,
                                      GError       **error)
{
  gssize n = evp_pipe_stream_try (self, buffer, count, error);

  if (n == EVP_PIPE_WOULD_BLOCK)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, g_strerror (EAGAIN));
      return -1;
    }
  return n;
}

void
evp_pipe_stream_transfer_async (EvpPipeStream      *self,
                                gpointer            stream,
                                gpointer            tag,
                                gpointer            buffer,
                                gsize               count,
                                GCancellable       *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer            user_data)
{
  EvpAbstractEventLoop *loop = evp_pipe_get_loop (self->pipe);
  g_autoptr (EvpLoopTask) task = evp_loop_task_new (loop, stream, tag, cancellable, callback, user_data);
  GError *error = NULL;
  gssize n;

  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    {
      evp_loop_task_return_error (task, error);
      return;
    }
  if (evp_event_loop_is_closed (loop))
    {
      evp_loop_task_return_new_error (task, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                      "%s", _("The event loop is closed; make a new one"));
      return;
    }
  n = evp_pipe_stream_try (self, buffer, count, &error);
  if (n >= 0)
    evp_loop_task_return_int (task, n);
  else if (n != EVP_PIPE_WOULD_BLOCK || !evp_pipe_wait (self->pipe, &error))
    evp_loop_task_return_error (task, error);
  else
    {
      self->buffer = buffer;
      self->count = count;
      self->task = g_object_ref (task);
      evp_loop_task_set_cancel_func (task, evp_pipe_stream_cancel_cb, self);
    }
}

GSource *
evp_pipe_stream_create_source (EvpPipeStream *self,
                               gpointer       stream,
                               GCancellable  *cancellable)
{
  int fd = evp_pipe_get_fd (self->pipe);
  GIOCondition ready = self->direction == EVP_IO_EVENTS_READ ? G_IO_IN : G_IO_OUT;
  g_autoptr (GSource) child = fd < 0 ? g_timeout_source_new (0) /* closed: a transfer says so at once */
                                     : g_unix_fd_source_new (fd, ready | G_IO_HUP | G_IO_ERR);

  return g_pollable_source_new_full (stream, child, cancellable);
}

/* Whether the loop's thread may be in the middle of it, and this is another one. */
static gboolean
evp_pipe_stream_is_in_use_elsewhere (EvpPipeStream *self)
{
  return self->pipe != NULL && evp_pipe_was_watched (self->pipe)
         && !evp_event_loop_is_closed (evp_pipe_get_loop (self->pipe)) && evp_pipe_stream_is_elsewhere (self);
}

void
evp_pipe_stream_close (EvpPipeStream *self)
{
  /* it must have let go of the descriptor before that is closed */
  if ((evp_pipe_stream_has_listener (self) && evp_pipe_stream_is_elsewhere (self))
      || evp_pipe_stream_is_in_use_elsewhere (self))
    evp_pipe_stream_post (self, evp_pipe_stream_close_and_unref);
  else
    evp_pipe_stream_close_now (self);
}

static gboolean
evp_pipe_stream_abort_now (EvpPipeStream *self)
{
  g_autoptr (EvpLoopTask) task = g_steal_pointer (&self->task);

  evp_pipe_stream_close (self);
  if (task == NULL)
    return FALSE;
  evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CLOSED, "%s", _("Stream is closed"));
  return TRUE;
}

static void
evp_pipe_stream_abort_and_unref (gpointer data)
{
  EvpPipeStream *self = data;

  evp_pipe_stream_abort_now (self);
  g_object_unref (self->stream);
}

gboolean
evp_pipe_stream_abort (EvpPipeStream *self)
{
  if (!evp_pipe_stream_is_in_use_elsewhere (self))
    return evp_pipe_stream_abort_now (self);
  evp_pipe_stream_post (self, evp_pipe_stream_abort_and_unref);
  return TRUE;
}
