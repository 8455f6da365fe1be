/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-pipe-input-stream-private.h"

#include <gio/gio.h>

struct _EvpPipeInputStream
{
  GInputStream parent_instance;

  EvpPipeStream base;
};

static void evp_pipe_input_stream_pollable_init (GPollableInputStreamInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpPipeInputStream, evp_pipe_input_stream, G_TYPE_INPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_INPUT_STREAM,
                                                      evp_pipe_input_stream_pollable_init))

static gssize
evp_pipe_input_stream_read_fn (GInputStream *stream,
                               void         *buffer,
                               gsize         count,
                               GCancellable *cancellable,
                               GError      **error)
{
  return evp_pipe_stream_transfer (&EVP_PIPE_INPUT_STREAM (stream)->base, buffer, count,
                                   cancellable, error);
}

static gboolean
evp_pipe_input_stream_close_fn (GInputStream *stream,
                                GCancellable *cancellable,
                                GError      **error)
{
  evp_pipe_stream_close (&EVP_PIPE_INPUT_STREAM (stream)->base);
  return TRUE;
}

static void
evp_pipe_input_stream_read_async (GInputStream       *stream,
                                  void               *buffer,
                                  gsize               count,
                                  int                 io_priority,
                                  GCancellable       *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer            user_data)
{
  evp_pipe_stream_transfer_async (&EVP_PIPE_INPUT_STREAM (stream)->base, stream,
                                  evp_pipe_input_stream_read_async, buffer, count,
                                  cancellable, callback, user_data);
}

static gssize
evp_pipe_input_stream_read_finish (GInputStream *stream,
                                   GAsyncResult *result,
                                   GError      **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, stream, evp_pipe_input_stream_read_async), -1);

  return (gssize) evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error);
}

static void
evp_pipe_input_stream_close_async (GInputStream       *stream,
                                   int                 io_priority,
                                   GCancellable       *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer            user_data)
{
  EvpPipeInputStream *self = EVP_PIPE_INPUT_STREAM (stream);
  g_autoptr (EvpLoopTask) task = evp_loop_task_new (evp_pipe_get_loop (self->base.pipe), self,
                                                    evp_pipe_input_stream_close_async,
                                                    cancellable, callback, user_data);

  evp_pipe_input_stream_close_fn (stream, NULL, NULL);
  evp_loop_task_return_int (task, TRUE);
}

static gboolean
evp_pipe_input_stream_close_finish (GInputStream *stream,
                                    GAsyncResult *result,
                                    GError      **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, stream, evp_pipe_input_stream_close_async), FALSE);

  return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error) > 0;
}

static gboolean
evp_pipe_input_stream_is_readable (GPollableInputStream *stream)
{
  return evp_pipe_is_ready (EVP_PIPE_INPUT_STREAM (stream)->base.pipe);
}

static GSource *
evp_pipe_input_stream_create_source (GPollableInputStream *stream,
                                     GCancellable         *cancellable)
{
  return evp_pipe_stream_create_source (&EVP_PIPE_INPUT_STREAM (stream)->base, stream, cancellable);
}

static gssize
evp_pipe_input_stream_read_nonblocking (GPollableInputStream *stream,
                                        void                 *buffer,
                                        gsize                 count,
                                        GError              **error)
{
  return evp_pipe_stream_transfer_nonblocking (&EVP_PIPE_INPUT_STREAM (stream)->base,
                                               buffer, count, error);
}

static void
evp_pipe_input_stream_finalize (GObject *object)
{
  evp_pipe_stream_clear (&EVP_PIPE_INPUT_STREAM (object)->base);

  G_OBJECT_CLASS (evp_pipe_input_stream_parent_class)->finalize (object);
}

static void
evp_pipe_input_stream_pollable_init (GPollableInputStreamInterface *iface)
{
  iface->is_readable = evp_pipe_input_stream_is_readable;
  iface->create_source = evp_pipe_input_stream_create_source;
  iface->read_nonblocking = evp_pipe_input_stream_read_nonblocking;
}

static void
evp_pipe_input_stream_class_init (EvpPipeInputStreamClass *klass)
{
  GInputStreamClass *stream_class = G_INPUT_STREAM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = evp_pipe_input_stream_finalize;
  stream_class->read_fn = evp_pipe_input_stream_read_fn;
  stream_class->close_fn = evp_pipe_input_stream_close_fn;
  stream_class->read_async = evp_pipe_input_stream_read_async;
  stream_class->read_finish = evp_pipe_input_stream_read_finish;
  stream_class->close_async = evp_pipe_input_stream_close_async;
  stream_class->close_finish = evp_pipe_input_stream_close_finish;
}

static void
evp_pipe_input_stream_init (EvpPipeInputStream *self)
{
}

GInputStream *
evp_pipe_input_stream_new (EvpAbstractEventLoop *loop,
                           int                   fd)
{
  EvpPipeInputStream *self = g_object_new (EVP_TYPE_PIPE_INPUT_STREAM, NULL);

  evp_pipe_stream_init (&self->base, self, loop, fd, EVP_IO_EVENTS_READ);
  return G_INPUT_STREAM (self);
}

gboolean
evp_pipe_input_stream_get_ended (EvpPipeInputStream *self)
{
  return self->base.ended;
}

void
evp_pipe_input_stream_set_ended_func (EvpPipeInputStream *self,
                                      EvpPipeEndedFunc    func,
                                      gpointer            data,
                                      GDestroyNotify      destroy)
{
  evp_pipe_stream_set_ended_func (&self->base, func, data, destroy);
}

void
evp_pipe_input_stream_abort (EvpPipeInputStream *self)
{
  if (!evp_pipe_stream_abort (&self->base))
    g_input_stream_close (G_INPUT_STREAM (self), NULL, NULL);
}
