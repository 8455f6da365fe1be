/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-pipe-output-stream-private.h"

#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-task-private.h"
#include "evp/loop/evp-pipe-private.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>

struct _EvpPipeOutputStream
{
  GOutputStream parent_instance;

  EvpPipe *pipe;

  /* the write that waits; GIO allows one at a time and keeps the stream alive for it */
  EvpLoopTask *task;
  const void *buffer;
  gsize count;

  EvpPipe *hang_up; /* NULL: not watched */

  gboolean ended;
  EvpPipeEndedFunc ended_func;
  gpointer ended_data;
};

static void evp_pipe_output_stream_pollable_init (GPollableOutputStreamInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpPipeOutputStream, evp_pipe_output_stream, G_TYPE_OUTPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                      evp_pipe_output_stream_pollable_init))

static void
evp_pipe_output_stream_end (EvpPipeOutputStream *self)
{
  EvpPipeEndedFunc func = g_steal_pointer (&self->ended_func);

  self->ended = TRUE;
  if (func != NULL)
    func (self->ended_data);
}

/* As evp_pipe_write(), and takes note of a failure. */
static gssize
evp_pipe_output_stream_try (EvpPipeOutputStream *self,
                            const void          *buffer,
                            gsize                count,
                            GError             **error)
{
  gssize n = evp_pipe_write (self->pipe, buffer, count, error);

  if (n == -1)
    evp_pipe_output_stream_end (self);
  return n;
}

static void
evp_pipe_output_stream_pipe_cb (gpointer stream,
                                GError  *error)
{
  EvpPipeOutputStream *self = stream;
  g_autoptr (EvpLoopTask) task = g_steal_pointer (&self->task);
  GError *write_error = NULL;
  gssize n;

  if (error != NULL)
    {
      if (g_error_matches (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED))
        evp_loop_task_return_error_now (task, error);
      else
        evp_loop_task_return_error (task, error);
      return;
    }
  n = evp_pipe_output_stream_try (self, self->buffer, self->count, &write_error);
  if (n == EVP_PIPE_WOULD_BLOCK && evp_pipe_wait (self->pipe, &write_error))
    self->task = g_steal_pointer (&task); /* spurious */
  else if (n >= 0)
    evp_loop_task_return_int (task, n);
  else
    evp_loop_task_return_error (task, write_error);
}

static void
evp_pipe_output_stream_cancel_cb (EvpLoopTask *task,
                                  gpointer     data)
{
  EvpPipeOutputStream *self = data;

  if (self->task != task)
    return;
  evp_pipe_stop_waiting (self->pipe);
  g_clear_object (&self->task);
  evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                  "%s", _("Operation was cancelled"));
}

static gssize
evp_pipe_output_stream_write_fn (GOutputStream *stream,
                                 const void    *buffer,
                                 gsize          count,
                                 GCancellable  *cancellable,
                                 GError       **error)
{
  EvpPipeOutputStream *self = EVP_PIPE_OUTPUT_STREAM (stream);
  gssize n;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return -1;
  while ((n = evp_pipe_output_stream_try (self, buffer, count, error)) == EVP_PIPE_WOULD_BLOCK)
    if (!evp_pipe_poll (self->pipe, cancellable, error))
      return -1;
  return n;
}

static gboolean
evp_pipe_output_stream_close_fn (GOutputStream *stream,
                                 GCancellable  *cancellable,
                                 GError       **error)
{
  EvpPipeOutputStream *self = EVP_PIPE_OUTPUT_STREAM (stream);

  evp_pipe_output_stream_ignore_hang_up (self);
  if (self->pipe != NULL) /* NULL: made by g_object_new() */
    evp_pipe_close (self->pipe);
  evp_pipe_output_stream_end (self);
  return TRUE;
}

static void
evp_pipe_output_stream_write_async (GOutputStream      *stream,
                                    const void         *buffer,
                                    gsize               count,
                                    int                 io_priority,
                                    GCancellable       *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer            user_data)
{
  EvpPipeOutputStream *self = EVP_PIPE_OUTPUT_STREAM (stream);
  EvpAbstractEventLoop *loop = evp_pipe_get_loop (self->pipe);
  g_autoptr (EvpLoopTask) task = evp_loop_task_new (loop, self, evp_pipe_output_stream_write_async,
                                                    cancellable, callback, user_data);
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
  n = evp_pipe_output_stream_try (self, buffer, count, &error);
  if (n >= 0)
    evp_loop_task_return_int (task, n);
  else if (n != EVP_PIPE_WOULD_BLOCK || !evp_pipe_wait (self->pipe, &error))
    evp_loop_task_return_error (task, error);
  else
    {
      self->buffer = buffer;
      self->count = count;
      self->task = g_object_ref (task);
      evp_loop_task_set_cancel_func (task, evp_pipe_output_stream_cancel_cb, self);
    }
}

static gssize
evp_pipe_output_stream_write_finish (GOutputStream *stream,
                                     GAsyncResult  *result,
                                     GError       **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, stream, evp_pipe_output_stream_write_async), -1);

  return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error);
}

static void
evp_pipe_output_stream_close_async (GOutputStream      *stream,
                                    int                 io_priority,
                                    GCancellable       *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer            user_data)
{
  EvpPipeOutputStream *self = EVP_PIPE_OUTPUT_STREAM (stream);
  g_autoptr (EvpLoopTask) task = evp_loop_task_new (evp_pipe_get_loop (self->pipe), self,
                                                    evp_pipe_output_stream_close_async,
                                                    cancellable, callback, user_data);

  evp_pipe_output_stream_close_fn (stream, NULL, NULL);
  evp_loop_task_return_int (task, TRUE);
}

static gboolean
evp_pipe_output_stream_close_finish (GOutputStream *stream,
                                     GAsyncResult  *result,
                                     GError       **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, stream, evp_pipe_output_stream_close_async), FALSE);

  return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error) > 0;
}

static gboolean
evp_pipe_output_stream_is_writable (GPollableOutputStream *stream)
{
  return evp_pipe_is_ready (EVP_PIPE_OUTPUT_STREAM (stream)->pipe);
}

static GSource *
evp_pipe_output_stream_create_source (GPollableOutputStream *stream,
                                      GCancellable          *cancellable)
{
  int fd = evp_pipe_get_fd (EVP_PIPE_OUTPUT_STREAM (stream)->pipe);
  g_autoptr (GSource) child = fd < 0 ? g_timeout_source_new (0) /* closed: writing says so at once */
                                     : g_unix_fd_source_new (fd, G_IO_OUT | G_IO_HUP | G_IO_ERR);

  return g_pollable_source_new_full (stream, child, cancellable);
}

static gssize
evp_pipe_output_stream_write_nonblocking (GPollableOutputStream *stream,
                                          const void            *buffer,
                                          gsize                  count,
                                          GError               **error)
{
  gssize n = evp_pipe_output_stream_try (EVP_PIPE_OUTPUT_STREAM (stream), buffer, count, error);

  if (n == EVP_PIPE_WOULD_BLOCK)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, g_strerror (EAGAIN));
      return -1;
    }
  return n;
}

static void
evp_pipe_output_stream_finalize (GObject *object)
{
  EvpPipeOutputStream *self = EVP_PIPE_OUTPUT_STREAM (object);

  g_clear_object (&self->task);
  g_clear_pointer (&self->pipe, evp_pipe_unref);

  G_OBJECT_CLASS (evp_pipe_output_stream_parent_class)->finalize (object);
}

static void
evp_pipe_output_stream_pollable_init (GPollableOutputStreamInterface *iface)
{
  iface->is_writable = evp_pipe_output_stream_is_writable;
  iface->create_source = evp_pipe_output_stream_create_source;
  iface->write_nonblocking = evp_pipe_output_stream_write_nonblocking;
}

static void
evp_pipe_output_stream_class_init (EvpPipeOutputStreamClass *klass)
{
  GOutputStreamClass *stream_class = G_OUTPUT_STREAM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = evp_pipe_output_stream_finalize;
  stream_class->write_fn = evp_pipe_output_stream_write_fn;
  stream_class->close_fn = evp_pipe_output_stream_close_fn;
  stream_class->write_async = evp_pipe_output_stream_write_async;
  stream_class->write_finish = evp_pipe_output_stream_write_finish;
  stream_class->close_async = evp_pipe_output_stream_close_async;
  stream_class->close_finish = evp_pipe_output_stream_close_finish;
}

static void
evp_pipe_output_stream_init (EvpPipeOutputStream *self)
{
}

GOutputStream *
evp_pipe_output_stream_new (EvpAbstractEventLoop *loop,
                            int                   fd)
{
  EvpPipeOutputStream *self = g_object_new (EVP_TYPE_PIPE_OUTPUT_STREAM, NULL);

  self->pipe = evp_pipe_new (loop, fd, EVP_IO_EVENTS_WRITE, evp_pipe_output_stream_pipe_cb, self);
  return G_OUTPUT_STREAM (self);
}

gboolean
evp_pipe_output_stream_get_ended (EvpPipeOutputStream *self)
{
  return self->ended;
}

void
evp_pipe_output_stream_set_ended_func (EvpPipeOutputStream *self,
                                       EvpPipeEndedFunc     func,
                                       gpointer             data)
{
  self->ended_func = self->ended ? NULL : func;
  self->ended_data = data;
  if (func == NULL)
    evp_pipe_output_stream_ignore_hang_up (self);
}

static void
evp_pipe_output_stream_hang_up_cb (gpointer stream,
                                   GError  *error)
{
  EvpPipeOutputStream *self = stream;

  if (error != NULL)
    {
      g_error_free (error);
      evp_pipe_output_stream_ignore_hang_up (self);
    }
  else if (evp_pipe_has_hung_up (self->hang_up))
    {
      evp_pipe_output_stream_ignore_hang_up (self);
      evp_pipe_output_stream_end (self);
    }
  else if (!evp_pipe_wait (self->hang_up, NULL))
    evp_pipe_output_stream_ignore_hang_up (self);
}

void
evp_pipe_output_stream_ignore_hang_up (EvpPipeOutputStream *self)
{
  EvpPipe *hang_up = g_steal_pointer (&self->hang_up);

  if (hang_up == NULL)
    return;
  evp_pipe_close (hang_up);
  evp_pipe_unref (hang_up);
}

void
evp_pipe_output_stream_watch_hang_up (EvpPipeOutputStream *self)
{
  if (self->ended || self->hang_up != NULL)
    return;
  self->hang_up = evp_pipe_new_hang_up (self->pipe, evp_pipe_output_stream_hang_up_cb, self);
  if (!evp_pipe_wait (self->hang_up, NULL))
    evp_pipe_output_stream_ignore_hang_up (self);
}

void
evp_pipe_output_stream_abort (EvpPipeOutputStream *self)
{
  g_autoptr (EvpLoopTask) task = g_steal_pointer (&self->task);

  evp_pipe_output_stream_close_fn (G_OUTPUT_STREAM (self), NULL, NULL);
  if (task != NULL)
    evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CLOSED, "%s", _("Stream is closed"));
  else
    g_output_stream_close (G_OUTPUT_STREAM (self), NULL, NULL);
}
