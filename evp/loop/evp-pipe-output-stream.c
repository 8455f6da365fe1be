/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-pipe-output-stream-private.h"

#include <gio/gio.h>

struct _EvpPipeOutputStream
{
  GOutputStream parent_instance;

  EvpPipeStream base;
};

static void evp_pipe_output_stream_pollable_init (GPollableOutputStreamInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpPipeOutputStream, evp_pipe_output_stream, G_TYPE_OUTPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                      evp_pipe_output_stream_pollable_init))

static gssize
evp_pipe_output_stream_write_fn (GOutputStream *stream,
                                 const void    *buffer,
                                 gsize          count,
                                 GCancellable  *cancellable,
                                 GError       **error)
{
  return evp_pipe_stream_transfer (&EVP_PIPE_OUTPUT_STREAM (stream)->base, (gpointer) buffer, count,
                                   cancellable, error);
}

static gboolean
evp_pipe_output_stream_close_fn (GOutputStream *stream,
                                 GCancellable  *cancellable,
                                 GError       **error)
{
  evp_pipe_stream_close (&EVP_PIPE_OUTPUT_STREAM (stream)->base);
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
  evp_pipe_stream_transfer_async (&EVP_PIPE_OUTPUT_STREAM (stream)->base, stream,
                                  evp_pipe_output_stream_write_async, (gpointer) buffer, count,
                                  cancellable, callback, user_data);
}

static gssize
evp_pipe_output_stream_write_finish (GOutputStream *stream,
                                     GAsyncResult  *result,
                                     GError       **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, stream, evp_pipe_output_stream_write_async), -1);

  return (gssize) evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error);
}

static void
evp_pipe_output_stream_close_async (GOutputStream      *stream,
                                    int                 io_priority,
                                    GCancellable       *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer            user_data)
{
  EvpPipeOutputStream *self = EVP_PIPE_OUTPUT_STREAM (stream);
  g_autoptr (EvpLoopTask) task = evp_loop_task_new (evp_pipe_get_loop (self->base.pipe), self,
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
  return evp_pipe_is_ready (EVP_PIPE_OUTPUT_STREAM (stream)->base.pipe);
}

static GSource *
evp_pipe_output_stream_create_source (GPollableOutputStream *stream,
                                      GCancellable          *cancellable)
{
  return evp_pipe_stream_create_source (&EVP_PIPE_OUTPUT_STREAM (stream)->base, stream, cancellable);
}

static gssize
evp_pipe_output_stream_write_nonblocking (GPollableOutputStream *stream,
                                          const void            *buffer,
                                          gsize                  count,
                                          GError               **error)
{
  return evp_pipe_stream_transfer_nonblocking (&EVP_PIPE_OUTPUT_STREAM (stream)->base,
                                               (gpointer) buffer, count, error);
}

static void
evp_pipe_output_stream_finalize (GObject *object)
{
  evp_pipe_stream_clear (&EVP_PIPE_OUTPUT_STREAM (object)->base);

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

  evp_pipe_stream_init (&self->base, self, loop, fd, EVP_IO_EVENTS_WRITE);
  return G_OUTPUT_STREAM (self);
}

gboolean
evp_pipe_output_stream_get_ended (EvpPipeOutputStream *self)
{
  return self->base.ended;
}

void
evp_pipe_output_stream_set_ended_func (EvpPipeOutputStream *self,
                                       EvpPipeEndedFunc     func,
                                       gpointer             data,
                                       GDestroyNotify       destroy)
{
  evp_pipe_stream_set_ended_func (&self->base, func, data, destroy);
}

void
evp_pipe_output_stream_ignore_hang_up (EvpPipeOutputStream *self)
{
  evp_pipe_stream_ignore_hang_up (&self->base);
}

void
evp_pipe_output_stream_watch_hang_up (EvpPipeOutputStream *self)
{
  evp_pipe_stream_watch_hang_up (&self->base);
}

void
evp_pipe_output_stream_abort (EvpPipeOutputStream *self)
{
  if (!evp_pipe_stream_abort (&self->base))
    g_output_stream_close (G_OUTPUT_STREAM (self), NULL, NULL);
}
