/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-socket-input-stream-private.h"

#include <gio/gfiledescriptorbased.h>

struct _EvpSocketInputStream
{
  GInputStream parent_instance;

  EvpSocketChannel channel;
};

static void evp_socket_input_stream_pollable_init (GPollableInputStreamInterface *iface);
static void evp_socket_input_stream_descriptor_init (GFileDescriptorBasedIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpSocketInputStream, evp_socket_input_stream, G_TYPE_INPUT_STREAM,
                               G_IMPLEMENT_INTERFACE (G_TYPE_POLLABLE_INPUT_STREAM,
                                                      evp_socket_input_stream_pollable_init)
                               G_IMPLEMENT_INTERFACE (G_TYPE_FILE_DESCRIPTOR_BASED,
                                                      evp_socket_input_stream_descriptor_init))

static gssize
evp_socket_input_stream_read_fn (GInputStream *stream,
                                 void         *buffer,
                                 gsize         count,
                                 GCancellable *cancellable,
                                 GError      **error)
{
  return g_socket_receive_with_blocking (EVP_SOCKET_INPUT_STREAM (stream)->channel.socket, buffer, count,
                                         TRUE, cancellable, error);
}

static gboolean
evp_socket_input_stream_close_fn (GInputStream *stream,
                                  GCancellable *cancellable,
                                  GError      **error)
{
  evp_socket_channel_close (&EVP_SOCKET_INPUT_STREAM (stream)->channel);
  return TRUE;
}

static void
evp_socket_input_stream_read_async (GInputStream       *stream,
                                    void               *buffer,
                                    gsize               count,
                                    int                 io_priority,
                                    GCancellable       *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer            user_data)
{
  EvpSocketInputStream *self = (EvpSocketInputStream *) stream;

  if (evp_socket_channel_get_loop (&self->channel) != NULL)
    evp_socket_channel_transfer_async (&self->channel, evp_socket_input_stream_read_async, buffer, count,
                                       cancellable, callback, user_data);
  else
    G_INPUT_STREAM_CLASS (evp_socket_input_stream_parent_class)
      ->read_async (stream, buffer, count, io_priority, cancellable, callback, user_data);
}

static gssize
evp_socket_input_stream_read_finish (GInputStream *stream,
                                     GAsyncResult *result,
                                     GError      **error)
{
  if (evp_loop_task_is_valid (result, stream, evp_socket_input_stream_read_async))
    return (gssize) evp_loop_task_propagate_int ((EvpLoopTask *) result, error);
  return G_INPUT_STREAM_CLASS (evp_socket_input_stream_parent_class)->read_finish (stream, result, error);
}

static void
evp_socket_input_stream_close_async (GInputStream       *stream,
                                     int                 io_priority,
                                     GCancellable       *cancellable,
                                     GAsyncReadyCallback callback,
                                     gpointer            user_data)
{
  EvpSocketChannel *channel = &EVP_SOCKET_INPUT_STREAM (stream)->channel;
  EvpAbstractEventLoop *loop = evp_socket_channel_get_loop (channel);
  g_autoptr (GTask) task = NULL;

  evp_socket_channel_close (channel);
  if (loop != NULL)
    {
      g_autoptr (EvpLoopTask) loop_task = evp_loop_task_new (loop, stream, evp_socket_input_stream_close_async,
                                                             cancellable, callback, user_data);

      evp_loop_task_return_int (loop_task, TRUE);
      return;
    }
  task = g_task_new (stream, cancellable, callback, user_data);
  g_task_set_source_tag (task, evp_socket_input_stream_close_async);
  g_task_set_priority (task, io_priority);
  g_task_return_boolean (task, TRUE);
}

static gboolean
evp_socket_input_stream_close_finish (GInputStream *stream,
                                      GAsyncResult *result,
                                      GError      **error)
{
  if (evp_loop_task_is_valid (result, stream, evp_socket_input_stream_close_async))
    return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error) > 0;
  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
evp_socket_input_stream_is_readable (GPollableInputStream *stream)
{
  return g_socket_condition_check (EVP_SOCKET_INPUT_STREAM (stream)->channel.socket, G_IO_IN) != 0;
}

static GSource *
evp_socket_input_stream_create_source (GPollableInputStream *stream,
                                       GCancellable         *cancellable)
{
  return evp_socket_channel_create_source (&EVP_SOCKET_INPUT_STREAM (stream)->channel, cancellable);
}

static gssize
evp_socket_input_stream_read_nonblocking (GPollableInputStream *stream,
                                          void                 *buffer,
                                          gsize                 count,
                                          GError              **error)
{
  return evp_socket_channel_receive (&((EvpSocketInputStream *) stream)->channel, buffer, count, error);
}

static int
evp_socket_input_stream_get_fd (GFileDescriptorBased *stream)
{
  return g_socket_get_fd (EVP_SOCKET_INPUT_STREAM (stream)->channel.socket);
}

static void
evp_socket_input_stream_finalize (GObject *object)
{
  evp_socket_channel_clear (&EVP_SOCKET_INPUT_STREAM (object)->channel);

  G_OBJECT_CLASS (evp_socket_input_stream_parent_class)->finalize (object);
}

static void
evp_socket_input_stream_pollable_init (GPollableInputStreamInterface *iface)
{
  iface->is_readable = evp_socket_input_stream_is_readable;
  iface->create_source = evp_socket_input_stream_create_source;
  iface->read_nonblocking = evp_socket_input_stream_read_nonblocking;
}

static void
evp_socket_input_stream_descriptor_init (GFileDescriptorBasedIface *iface)
{
  iface->get_fd = evp_socket_input_stream_get_fd;
}

static void
evp_socket_input_stream_class_init (EvpSocketInputStreamClass *klass)
{
  GInputStreamClass *stream_class = G_INPUT_STREAM_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = evp_socket_input_stream_finalize;
  stream_class->read_fn = evp_socket_input_stream_read_fn;
  stream_class->close_fn = evp_socket_input_stream_close_fn;
  stream_class->read_async = evp_socket_input_stream_read_async;
  stream_class->read_finish = evp_socket_input_stream_read_finish;
  stream_class->close_async = evp_socket_input_stream_close_async;
  stream_class->close_finish = evp_socket_input_stream_close_finish;
}

static void
evp_socket_input_stream_init (EvpSocketInputStream *self)
{
}

GInputStream *
evp_socket_input_stream_new (GSocket              *socket,
                             EvpAbstractEventLoop *loop,
                             EvpSocketLoopFunc     find_loop)
{
  EvpSocketInputStream *self = g_object_new (EVP_TYPE_SOCKET_INPUT_STREAM, NULL);

  evp_socket_channel_init (&self->channel, self, socket, EVP_IO_EVENTS_READ, loop, find_loop);
  return G_INPUT_STREAM (self);
}

EvpSocketChannel *
evp_socket_input_stream_get_channel (EvpSocketInputStream *self)
{
  return &self->channel;
}
