/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-socket-output-stream-private.h"

#include <gio/gfiledescriptorbased.h>

struct _EvpSocketOutputStream
{
  GOutputStream parent_instance;

  EvpSocketChannel channel;
};

static void evp_socket_output_stream_pollable_init (GPollableOutputStreamInterface *iface);
static void evp_socket_output_stream_descriptor_init (GFileDescriptorBasedIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpSocketOutputStream, evp_socket_output_stream, G_TYPE_OUTPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_OUTPUT_STREAM,
                                                      evp_socket_output_stream_pollable_init)
                               G_IMPLEMENT_INTERFACE (G_TYPE_FILE_DESCRIPTOR_BASED,
                                                      evp_socket_output_stream_descriptor_init))

static gssize
evp_socket_output_stream_write_fn (GOutputStream *stream,
                                   const void    *buffer,
                                   gsize          count,
                                   GCancellable  *cancellable,
                                   GError       **error)
{
  EvpSocketChannel *channel = &EVP_SOCKET_OUTPUT_STREAM (stream)->channel;
  const GOutputVector vector = { buffer, count };
  gsize n_written;

  if (channel->patience_us < 0)
    return g_socket_send_with_blocking (channel->socket, buffer, count, TRUE, cancellable, error);
  if (evp_socket_channel_writev (channel, &vector, 1, channel->patience_us, &n_written, cancellable, error)
      != G_POLLABLE_RETURN_OK)
    return -1;
  return (gssize) n_written;
}

static gboolean
evp_socket_output_stream_writev_fn (GOutputStream       *stream,
                                    const GOutputVector *vectors,
                                    gsize                n_vectors,
                                    gsize               *n_written,
                                    GCancellable        *cancellable,
                                    GError             **error)
{
  return evp_socket_channel_writev (&EVP_SOCKET_OUTPUT_STREAM (stream)->channel, vectors, n_vectors,
                                    EVP_SOCKET_OUTPUT_STREAM (stream)->channel.patience_us,
                                    n_written, cancellable, error) == G_POLLABLE_RETURN_OK;
}

static gboolean
evp_socket_output_stream_close_fn (GOutputStream *stream,
                                   GCancellable  *cancellable,
                                   GError       **error)
{
  evp_socket_channel_close (&EVP_SOCKET_OUTPUT_STREAM (stream)->channel);
  return TRUE;
}

static void
evp_socket_output_stream_write_async (GOutputStream      *stream,
                                      const void         *buffer,
                                      gsize               count,
                                      int                 io_priority,
                                      GCancellable       *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer            user_data)
{
  EvpSocketOutputStream *self = (EvpSocketOutputStream *) stream;

  if (evp_socket_channel_get_loop (&self->channel) != NULL)
    evp_socket_channel_transfer_async (&self->channel, evp_socket_output_stream_write_async, (gpointer) buffer, count,
                                       cancellable, callback, user_data);
  else
    G_OUTPUT_STREAM_CLASS (evp_socket_output_stream_parent_class)
      ->write_async (stream, buffer, count, io_priority, cancellable, callback, user_data);
}

static gssize
evp_socket_output_stream_write_finish (GOutputStream *stream,
                                       GAsyncResult  *result,
                                       GError       **error)
{
  if (evp_loop_task_is_valid (result, stream, evp_socket_output_stream_write_async))
    return (gssize) evp_loop_task_propagate_int ((EvpLoopTask *) result, error);
  return G_OUTPUT_STREAM_CLASS (evp_socket_output_stream_parent_class)->write_finish (stream, result, error);
}

static void
evp_socket_output_stream_writev_async (GOutputStream       *stream,
                                       const GOutputVector *vectors,
                                       gsize                n_vectors,
                                       int                  io_priority,
                                       GCancellable        *cancellable,
                                       GAsyncReadyCallback  callback,
                                       gpointer             user_data)
{
  EvpSocketOutputStream *self = EVP_SOCKET_OUTPUT_STREAM (stream);

  if (evp_socket_channel_get_loop (&self->channel) != NULL)
    evp_socket_channel_writev_async (&self->channel, evp_socket_output_stream_writev_async, vectors, n_vectors,
                                     cancellable, callback, user_data);
  else
    G_OUTPUT_STREAM_CLASS (evp_socket_output_stream_parent_class)
      ->writev_async (stream, vectors, n_vectors, io_priority, cancellable, callback, user_data);
}

static gboolean
evp_socket_output_stream_writev_finish (GOutputStream *stream,
                                        GAsyncResult  *result,
                                        gsize         *n_written,
                                        GError       **error)
{
  gssize n;

  if (!evp_loop_task_is_valid (result, stream, evp_socket_output_stream_writev_async))
    return G_OUTPUT_STREAM_CLASS (evp_socket_output_stream_parent_class)
      ->writev_finish (stream, result, n_written, error);
  n = (gssize) evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error);
  if (n_written != NULL)
    *n_written = n < 0 ? 0 : (gsize) n;
  return n >= 0;
}

static void
evp_socket_output_stream_close_async (GOutputStream      *stream,
                                      int                 io_priority,
                                      GCancellable       *cancellable,
                                      GAsyncReadyCallback callback,
                                      gpointer            user_data)
{
  EvpSocketChannel *channel = &EVP_SOCKET_OUTPUT_STREAM (stream)->channel;
  EvpAbstractEventLoop *loop = evp_socket_channel_get_loop (channel);
  g_autoptr (GTask) task = NULL;

  evp_socket_channel_close (channel);
  if (loop != NULL)
    {
      g_autoptr (EvpLoopTask) loop_task = evp_loop_task_new (loop, stream, evp_socket_output_stream_close_async,
                                                             cancellable, callback, user_data);

      evp_loop_task_return_int (loop_task, TRUE);
      return;
    }
  task = g_task_new (stream, cancellable, callback, user_data);
  g_task_set_source_tag (task, evp_socket_output_stream_close_async);
  g_task_set_priority (task, io_priority);
  g_task_return_boolean (task, TRUE);
}

static gboolean
evp_socket_output_stream_close_finish (GOutputStream *stream,
                                       GAsyncResult  *result,
                                       GError       **error)
{
  if (evp_loop_task_is_valid (result, stream, evp_socket_output_stream_close_async))
    return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error) > 0;
  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
evp_socket_output_stream_is_writable (GPollableOutputStream *stream)
{
  return g_socket_condition_check (EVP_SOCKET_OUTPUT_STREAM (stream)->channel.socket, G_IO_OUT) != 0;
}

static GSource *
evp_socket_output_stream_create_source (GPollableOutputStream *stream,
                                        GCancellable          *cancellable)
{
  return evp_socket_channel_create_source (&EVP_SOCKET_OUTPUT_STREAM (stream)->channel, cancellable);
}

static gssize
evp_socket_output_stream_write_nonblocking (GPollableOutputStream *stream,
                                            const void            *buffer,
                                            gsize                  count,
                                            GError               **error)
{
  return evp_socket_channel_send (&((EvpSocketOutputStream *) stream)->channel, buffer, count, error);
}

static GPollableReturn
evp_socket_output_stream_writev_nonblocking (GPollableOutputStream *stream,
                                             const GOutputVector   *vectors,
                                             gsize                  n_vectors,
                                             gsize                 *n_written,
                                             GError               **error)
{
  return evp_socket_channel_writev (&EVP_SOCKET_OUTPUT_STREAM (stream)->channel, vectors, n_vectors,
                                    0, n_written, NULL, error);
}

static int
evp_socket_output_stream_get_fd (GFileDescriptorBased *stream)
{
  return g_socket_get_fd (EVP_SOCKET_OUTPUT_STREAM (stream)->channel.socket);
}

static void
evp_socket_output_stream_finalize (GObject *object)
{
  evp_socket_channel_clear (&EVP_SOCKET_OUTPUT_STREAM (object)->channel);

  G_OBJECT_CLASS (evp_socket_output_stream_parent_class)->finalize (object);
}

static void
evp_socket_output_stream_pollable_init (GPollableOutputStreamInterface *iface)
{
  iface->is_writable = evp_socket_output_stream_is_writable;
  iface->create_source = evp_socket_output_stream_create_source;
  iface->write_nonblocking = evp_socket_output_stream_write_nonblocking;
  iface->writev_nonblocking = evp_socket_output_stream_writev_nonblocking;
}

static void
evp_socket_output_stream_descriptor_init (GFileDescriptorBasedIface *iface)
{
  iface->get_fd = evp_socket_output_stream_get_fd;
}

static void
evp_socket_output_stream_class_init (EvpSocketOutputStreamClass *klass)
{
  GOutputStreamClass *stream_class = G_OUTPUT_STREAM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = evp_socket_output_stream_finalize;
  stream_class->write_fn = evp_socket_output_stream_write_fn;
  stream_class->writev_fn = evp_socket_output_stream_writev_fn;
  stream_class->close_fn = evp_socket_output_stream_close_fn;
  stream_class->write_async = evp_socket_output_stream_write_async;
  stream_class->write_finish = evp_socket_output_stream_write_finish;
  stream_class->writev_async = evp_socket_output_stream_writev_async;
  stream_class->writev_finish = evp_socket_output_stream_writev_finish;
  stream_class->close_async = evp_socket_output_stream_close_async;
  stream_class->close_finish = evp_socket_output_stream_close_finish;
}

static void
evp_socket_output_stream_init (EvpSocketOutputStream *self)
{
}

GOutputStream *
evp_socket_output_stream_new (GSocket              *socket,
                              EvpAbstractEventLoop *loop,
                              EvpSocketLoopFunc     find_loop)
{
  EvpSocketOutputStream *self = g_object_new (EVP_TYPE_SOCKET_OUTPUT_STREAM, NULL);

  evp_socket_channel_init (&self->channel, self, socket, EVP_IO_EVENTS_WRITE, loop, find_loop);
  return G_OUTPUT_STREAM (self);
}

EvpSocketChannel *
evp_socket_output_stream_get_channel (EvpSocketOutputStream *self)
{
  return &self->channel;
}
