/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-socket-stream-private.h"

#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-post-private.h"
#include "evp/loop/evp-loop-sockets-private.h"
#include "evp/net/evp-socket-input-stream-private.h"
#include "evp/net/evp-socket-output-stream-private.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

struct _EvpTcpConnection
{
  GTcpConnection parent_instance;
};

struct _EvpUnixConnection
{
  GUnixConnection parent_instance;
};

G_DEFINE_FINAL_TYPE (EvpTcpConnection, evp_tcp_connection, G_TYPE_TCP_CONNECTION)
G_DEFINE_FINAL_TYPE (EvpUnixConnection, evp_unix_connection, G_TYPE_UNIX_CONNECTION)

/* What is attached to a connection. */
typedef struct
{
  EvpAbstractEventLoop *loop; /* NULL: found when it is needed */
  EvpSocketLoopFunc find_loop;
  GInputStream *input;        /* NULL: nobody has asked for it */
  GOutputStream *output;
  gboolean in_dispose;

  /* closing */
  guint n_busy;               /* channels that still use the descriptor */
  EvpLoopTask *close_task;    /* NULL: g_io_stream_close() */
} EvpSocketParts;

/* GIO's own functions. Copies, because the classes themselves can be changed by evp_socket_connection_register(). */
static GIOStreamClass gio_tcp_class, gio_unix_class;

static GQuark
evp_socket_parts_quark (void)
{
  return g_quark_from_static_string ("evp-socket-parts");
}

static GQuark
evp_socket_closed_quark (void)
{
  return g_quark_from_static_string ("evp-socket-closed");
}

static EvpSocketParts *
evp_socket_parts_get (GIOStream *stream)
{
  return g_object_get_qdata (G_OBJECT (stream), evp_socket_parts_quark ());
}

static void
evp_socket_parts_free (gpointer data)
{
  EvpSocketParts *parts = data;

  g_clear_object (&parts->input);
  g_clear_object (&parts->output);
  g_clear_object (&parts->loop);
  g_free (parts);
}

static const GIOStreamClass *
evp_socket_stream_get_gio_class (gpointer stream)
{
  return G_IS_TCP_CONNECTION (stream) ? &gio_tcp_class : &gio_unix_class;
}

static GSocket *
evp_socket_stream_get_socket (GIOStream *stream)
{
  return g_socket_connection_get_socket (G_SOCKET_CONNECTION (stream));
}

static GInputStream *
evp_socket_stream_get_input_stream (GIOStream *stream)
{
  EvpSocketParts *parts = evp_socket_parts_get (stream);

  if (parts == NULL)
    return evp_socket_stream_get_gio_class (stream)->get_input_stream (stream);
  if (parts->input == NULL)
    parts->input = evp_socket_input_stream_new (evp_socket_stream_get_socket (stream), parts->loop, parts->find_loop);
  return parts->input;
}

static GOutputStream *
evp_socket_stream_get_output_stream (GIOStream *stream)
{
  EvpSocketParts *parts = evp_socket_parts_get (stream);

  if (parts == NULL)
    return evp_socket_stream_get_gio_class (stream)->get_output_stream (stream);
  if (parts->output == NULL)
    parts->output = evp_socket_output_stream_new (evp_socket_stream_get_socket (stream), parts->loop, parts->find_loop);
  return parts->output;
}

static EvpSocketChannel *
evp_socket_parts_get_input_channel (EvpSocketParts *parts)
{
  return parts->input != NULL ? evp_socket_input_stream_get_channel (EVP_SOCKET_INPUT_STREAM (parts->input)) : NULL;
}

static EvpSocketChannel *
evp_socket_parts_get_output_channel (EvpSocketParts *parts)
{
  return parts->output != NULL ? evp_socket_output_stream_get_channel (EVP_SOCKET_OUTPUT_STREAM (parts->output)) : NULL;
}

/* Closing */

/* The number can be used again at once, on any thread. */
static gboolean
evp_socket_stream_close_socket (GIOStream *stream,
                                GError   **error)
{
  GSocket *socket = evp_socket_stream_get_socket (stream);

  evp_loop_socket_set_owner (socket, NULL);
  return g_socket_close (socket, error);
}

/* A graceful end: our side has said that nothing more comes, and now waits for the peer's to say so. */
typedef struct
{
  GIOStream *stream;
  EvpLoopTask *task;
  EvpOperation *operation;
  EvpTimerHandle *timeout; /* of the socket, if it has one */
  gboolean timed_out;
  char buffer[1024];       /* for what is dropped */
} EvpSocketFarewell;

static void
evp_socket_farewell_stop_timeout (EvpSocketFarewell *self)
{
  if (self->timeout == NULL)
    return;
  evp_timer_handle_cancel (self->timeout);
  g_clear_pointer (&self->timeout, evp_timer_handle_unref);
}

static void
evp_socket_farewell_free (EvpSocketFarewell *self,
                          GError            *error)
{
  evp_loop_retire_operation (self->operation);
  evp_socket_farewell_stop_timeout (self);
  evp_socket_stream_close_socket (self->stream, error == NULL ? &error : NULL);
  if (error != NULL)
    evp_loop_task_return_error_now (self->task, error);
  else
    evp_loop_task_return_int_now (self->task, TRUE);
  evp_operation_unref (self->operation);
  g_object_unref (self->task);
  g_object_unref (self->stream);
  g_free (self);
}

static void
evp_socket_farewell_timeout_cb (gpointer user_data)
{
  EvpSocketFarewell *self = user_data;

  g_clear_pointer (&self->timeout, evp_timer_handle_unref);
  self->timed_out = TRUE;
  evp_loop_cancel_operation (evp_loop_task_get_loop (self->task), self->operation);
}

/* Waits for something that is to be dropped, or for the end, as long as for any other. */
static gboolean
evp_socket_farewell_receive (EvpSocketFarewell *self,
                             GError           **error)
{
  EvpAbstractEventLoop *loop = evp_loop_task_get_loop (self->task);
  guint seconds = g_socket_get_timeout (evp_socket_stream_get_socket (self->stream));

  if (!evp_loop_submit_operation (loop, self->operation, error))
    return FALSE;
  if (seconds > 0)
    {
      self->timeout = evp_event_loop_call_later (loop, seconds, evp_socket_farewell_timeout_cb, self, NULL, NULL);
      if (self->timeout != NULL)
        evp_timer_handle_ref (self->timeout);
    }
  return TRUE;
}

static void
evp_socket_farewell_received_cb (EvpOperation *operation,
                                 gpointer      user_data)
{
  EvpSocketFarewell *self = user_data;
  GError *error = NULL;

  evp_socket_farewell_stop_timeout (self);
  if (self->timed_out && operation->result == -ECANCELED)
    error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_TIMED_OUT, _("Socket I/O timed out"));
  else if (evp_loop_check_operation (evp_loop_task_get_loop (self->task), operation,
                                     _("Receiving from the socket failed"), &error)
           && operation->result > 0 && evp_socket_farewell_receive (self, &error))
    return;
  evp_socket_farewell_free (self, error);
}

static void
evp_socket_farewell_cancel_cb (EvpLoopTask *task,
                               gpointer     data)
{
  evp_loop_cancel_operation (evp_loop_task_get_loop (task), ((EvpSocketFarewell *) data)->operation);
}

static void
evp_socket_stream_say_farewell (GIOStream   *stream,
                                EvpLoopTask *task)
{
  GSocket *socket = evp_socket_stream_get_socket (stream);
  EvpSocketFarewell *self;
  GError *error = NULL;

  if (!g_socket_shutdown (socket, FALSE, TRUE, &error))
    {
      evp_socket_stream_close_socket (stream, NULL);
      evp_loop_task_return_error (task, error);
      return;
    }
  self = g_new (EvpSocketFarewell, 1);
  self->timeout = NULL;
  self->timed_out = FALSE;
  self->stream = g_object_ref (stream);
  self->task = g_object_ref (task);
  self->operation = evp_operation_new (EVP_OPERATION_RECV, g_socket_get_fd (socket),
                                       evp_socket_farewell_received_cb, self);
  self->operation->buffer = self->buffer;
  self->operation->length = sizeof self->buffer;
  evp_loop_task_set_cancel_func (task, evp_socket_farewell_cancel_cb, self);
  if (!evp_socket_farewell_receive (self, &error))
    evp_socket_farewell_free (self, error);
}

static gboolean
evp_socket_stream_is_graceful (GIOStream    *stream,
                               GCancellable *cancellable)
{
  return G_IS_TCP_CONNECTION (stream)
         && g_tcp_connection_get_graceful_disconnect (G_TCP_CONNECTION (stream))
         && !g_cancellable_is_cancelled (cancellable);
}

/* Nothing uses the descriptor any more. @now: inside a callback of the loop, or while it closes. */
static void
evp_socket_stream_finish_close (GIOStream      *stream,
                                EvpSocketParts *parts,
                                gboolean        now)
{
  g_autoptr (EvpLoopTask) task = g_steal_pointer (&parts->close_task);
  GError *error = NULL;

  if (task == NULL)
    evp_socket_stream_close_socket (stream, NULL);
  else if (evp_socket_stream_is_graceful (stream, evp_loop_task_get_cancellable (task)))
    evp_socket_stream_say_farewell (stream, task);
  else if (!evp_socket_stream_close_socket (stream, &error))
    (now ? evp_loop_task_return_error_now : evp_loop_task_return_error) (task, error);
  else
    (now ? evp_loop_task_return_int_now : evp_loop_task_return_int) (task, TRUE);
}

static void
evp_socket_stream_channel_closed_cb (gpointer data)
{
  g_autoptr (GIOStream) stream = data;
  EvpSocketParts *parts = evp_socket_parts_get (stream);

  parts->n_busy--;
  if (parts->n_busy == 0)
    evp_socket_stream_finish_close (stream, parts, TRUE);
}

static void
evp_socket_stream_abort_channel (GIOStream        *stream,
                                 EvpSocketParts   *parts,
                                 EvpSocketChannel *channel)
{
  if (channel == NULL || evp_socket_channel_abort (channel, evp_socket_stream_channel_closed_cb, stream))
    return;
  parts->n_busy++;
  g_object_ref (stream); /* given back by the callback */
}

/* Ends what goes on, and closes both streams. */
static void
evp_socket_stream_close_parts (GIOStream      *stream,
                               EvpSocketParts *parts)
{
  g_object_set_qdata (G_OBJECT (stream), evp_socket_closed_quark (), NULL); /* tells who wants to know */
  if (!parts->in_dispose)
    {
      evp_socket_stream_abort_channel (stream, parts, evp_socket_parts_get_input_channel (parts));
      evp_socket_stream_abort_channel (stream, parts, evp_socket_parts_get_output_channel (parts));
    }
  if (parts->output != NULL)
    g_output_stream_close (parts->output, NULL, NULL);
  if (parts->input != NULL)
    g_input_stream_close (parts->input, NULL, NULL);
}

static void
evp_socket_stream_close_on_loop_cb (gpointer user_data)
{
  g_autoptr (GIOStream) stream = user_data;
  EvpSocketParts *parts = evp_socket_parts_get (stream);

  evp_socket_stream_close_parts (stream, parts);
  if (parts->n_busy == 0)
    evp_socket_stream_finish_close (stream, parts, FALSE);
}

/*
 * A TLS connection closes what is below it on a thread of its own. Operations are the loop's, and the
 * descriptor must outlive them.
 */
static gboolean
evp_socket_stream_close_elsewhere (GIOStream      *stream,
                                   EvpSocketParts *parts)
{
  EvpSocketChannel *channels[2] = {
    evp_socket_parts_get_input_channel (parts), evp_socket_parts_get_output_channel (parts)
  };

  if (parts->in_dispose)
    return FALSE;
  for (int i = 0; i < 2; i++)
    if (channels[i] != NULL && channels[i]->operation != NULL
        && !evp_loop_is_local_thread (channels[i]->loop, channels[i]->thread))
      {
        parts->close_task = evp_loop_task_new (channels[i]->loop, stream, evp_socket_stream_close_elsewhere,
                                               NULL, NULL, NULL);
        evp_loop_post_release (channels[i]->loop, evp_socket_stream_close_on_loop_cb, g_object_ref (stream));
        return TRUE;
      }
  return FALSE;
}

static gboolean
evp_socket_stream_close_fn (GIOStream    *stream,
                            GCancellable *cancellable,
                            GError      **error)
{
  EvpSocketParts *parts = evp_socket_parts_get (stream);

  if (parts != NULL)
    {
      if (evp_socket_stream_close_elsewhere (stream, parts))
        return TRUE;
      evp_socket_stream_close_parts (stream, parts);
      if (parts->n_busy > 0)
        return TRUE; /* the descriptor goes when the kernel has let go of it */
      evp_loop_socket_set_owner (evp_socket_stream_get_socket (stream), NULL);
    }
  return evp_socket_stream_get_gio_class (stream)->close_fn (stream, cancellable, error);
}

/* On whose loop to close; NULL: as GIO does. */
static EvpAbstractEventLoop *
evp_socket_stream_dup_loop (EvpSocketParts *parts)
{
  EvpSocketChannel *channel;
  EvpAbstractEventLoop *loop;

  if (parts == NULL)
    return NULL;
  channel = evp_socket_parts_get_input_channel (parts);
  if (channel == NULL)
    channel = evp_socket_parts_get_output_channel (parts);
  if (channel == NULL && parts->find_loop != NULL)
    return parts->find_loop (g_main_context_get_thread_default ());
  loop = channel != NULL ? evp_socket_channel_get_loop (channel) : parts->loop;
  return loop != NULL ? g_object_ref (loop) : NULL;
}

static void
evp_socket_stream_close_async (GIOStream          *stream,
                               int                 io_priority,
                               GCancellable       *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer            user_data)
{
  EvpSocketParts *parts = evp_socket_parts_get (stream);
  g_autoptr (EvpAbstractEventLoop) loop = evp_socket_stream_dup_loop (parts);

  if (loop == NULL)
    {
      evp_socket_stream_get_gio_class (stream)->close_async (stream, io_priority, cancellable, callback, user_data);
      return;
    }
  parts->close_task = evp_loop_task_new (loop, stream, evp_socket_stream_close_async, cancellable, callback, user_data);
  evp_socket_stream_close_parts (stream, parts);
  if (parts->n_busy == 0)
    evp_socket_stream_finish_close (stream, parts, FALSE);
}

static gboolean
evp_socket_stream_close_finish (GIOStream    *stream,
                                GAsyncResult *result,
                                GError      **error)
{
  if (evp_loop_task_is_valid (result, stream, evp_socket_stream_close_async))
    return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error) > 0;
  return evp_socket_stream_get_gio_class (stream)->close_finish (stream, result, error);
}

static void
evp_socket_stream_dispose (GObject *object)
{
  EvpSocketParts *parts = evp_socket_parts_get (G_IO_STREAM (object));

  if (parts != NULL)
    parts->in_dispose = TRUE;
  evp_socket_stream_get_gio_class (object)->parent_class.dispose (object);
}

static void
evp_tcp_connection_class_init (EvpTcpConnectionClass *klass)
{
  gio_tcp_class = *G_IO_STREAM_CLASS (evp_tcp_connection_parent_class);
  evp_socket_stream_set_functions (G_IO_STREAM_CLASS (klass));
}

static void
evp_tcp_connection_init (EvpTcpConnection *self)
{
}

static void
evp_unix_connection_class_init (EvpUnixConnectionClass *klass)
{
  gio_unix_class = *G_IO_STREAM_CLASS (evp_unix_connection_parent_class);
  evp_socket_stream_set_functions (G_IO_STREAM_CLASS (klass));
}

static void
evp_unix_connection_init (EvpUnixConnection *self)
{
}

GIOStream *
evp_socket_stream_new (EvpAbstractEventLoop *loop,
                       GSocket              *socket)
{
  GIOStream *self;
  GType type;

  switch (g_socket_get_family (socket))
    {
    case G_SOCKET_FAMILY_IPV4:
    case G_SOCKET_FAMILY_IPV6:
      type = EVP_TYPE_TCP_CONNECTION;
      /* small writes are not held back; fails on sockets that are not TCP, which do not need it */
      g_socket_set_option (socket, IPPROTO_TCP, TCP_NODELAY, 1, NULL);
      break;
    case G_SOCKET_FAMILY_UNIX:
      type = EVP_TYPE_UNIX_CONNECTION;
      break;
    case G_SOCKET_FAMILY_INVALID:
    default:
      return G_IO_STREAM (g_socket_connection_factory_create_connection (socket));
    }
  self = g_object_new (type, "socket", socket, NULL);
  evp_socket_stream_attach (self, loop, NULL);
  return self;
}

void
evp_socket_stream_attach (GIOStream            *connection,
                          EvpAbstractEventLoop *loop,
                          EvpSocketLoopFunc     find_loop)
{
  EvpSocketParts *parts = g_new0 (EvpSocketParts, 1);

  if (loop != NULL)
    {
      parts->loop = g_object_ref (loop);
      evp_loop_socket_set_owner (g_socket_connection_get_socket (G_SOCKET_CONNECTION (connection)), loop);
    }
  parts->find_loop = find_loop;
  g_object_set_qdata_full (G_OBJECT (connection), evp_socket_parts_quark (), parts, evp_socket_parts_free);
}

void
evp_socket_stream_set_patience (GIOStream *connection,
                                double     seconds)
{
  EvpSocketParts *parts = evp_socket_parts_get (connection);

  if (parts != NULL)
    evp_socket_output_stream_get_channel (EVP_SOCKET_OUTPUT_STREAM (evp_socket_stream_get_output_stream (connection)))
      ->patience_us = (gint64) MIN (seconds * 1e6, (double) G_MAXINT32 * 1000);
}

void
evp_socket_stream_set_closed_func (GIOStream     *connection,
                                   GDestroyNotify func,
                                   gpointer       data)
{
  g_object_set_qdata_full (G_OBJECT (connection), evp_socket_closed_quark (), data, func);
}

void
evp_socket_stream_set_functions (GIOStreamClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = evp_socket_stream_dispose;
  klass->get_input_stream = evp_socket_stream_get_input_stream;
  klass->get_output_stream = evp_socket_stream_get_output_stream;
  klass->close_fn = evp_socket_stream_close_fn;
  klass->close_async = evp_socket_stream_close_async;
  klass->close_finish = evp_socket_stream_close_finish;
}
