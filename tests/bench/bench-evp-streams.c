/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The workload "echo" on GIO streams:
 *   loop=NAME      selector or proactor, of this library, or glib: no loop, a GMainLoop runs
 *   from=accept    (the default) connections of GIO, registered to be ours, on sockets that are accepted here
 *   from=service   GIO's own GSocketService, whose connections are registered to be ours
 *   register=0     they are not: the same program on GIO alone
 *   write=async    answers by g_output_stream_write_all_async() alone; else what can be written at once is
 *   read=gsource   reads by pollable sources, as programs like libsoup do
 */
#include "bench-peer.h"

#include <evp/evp.h>

#include <glib-unix.h>

typedef struct
{
  GIOStream *stream;
  GInputStream *input;
  GOutputStream *output;
  GPollableOutputStream *pollable; /* the same */
  char *buffer;
} Connection;

static EvpAbstractEventLoop *loop;
static gboolean write_async, by_source;



static void start_read (Connection *self);

static void
connection_free (Connection *self)
{
  g_io_stream_close (self->stream, NULL, NULL);
  g_object_unref (self->stream);
  g_free (self->buffer);
  g_free (self);
}

static void
written_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Connection *self = data;

  if (g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, NULL))
    start_read (self);
  else
    connection_free (self);
}

/* FALSE: the connection is gone, or something remains to be written. */
static gboolean
answer (Connection *self, gsize n)
{
  gssize sent = 0;
  GError *error = NULL;

  if (!write_async)
    {
      sent = g_pollable_output_stream_write_nonblocking (self->pollable, self->buffer, n,
                                                         NULL, &error);
      if (sent == (gssize) n)
        return TRUE;
      if (sent < 0 && !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        {
          g_clear_error (&error);
          connection_free (self);
          return FALSE;
        }
      g_clear_error (&error);
      sent = MAX (sent, 0);
    }
  g_output_stream_write_all_async (self->output, self->buffer + sent, n - (gsize) sent, 0, NULL, written_cb, self);
  return FALSE;
}

static void
read_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Connection *self = data;
  gssize n = g_input_stream_read_finish (self->input, result, NULL);

  if (n <= 0)
    connection_free (self);
  else if (answer (self, (gsize) n))
    start_read (self);
}

static gboolean
readable_cb (GObject *stream, gpointer data)
{
  Connection *self = data;
  GError *error = NULL;
  gssize n = g_pollable_input_stream_read_nonblocking ((GPollableInputStream *) stream, self->buffer, ECHO_BUF,
                                                       NULL, &error);

  if (n > 0)
    return answer (self, (gsize) n);
  if (n < 0 && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    {
      g_error_free (error);
      return TRUE;
    }
  g_clear_error (&error);
  connection_free (self);
  return FALSE;
}

static void
start_read (Connection *self)
{
  GSource *source;

  if (!by_source)
    {
      g_input_stream_read_async (self->input, self->buffer, ECHO_BUF, 0, NULL, read_cb, self);
      return;
    }
  source = g_pollable_input_stream_create_source (G_POLLABLE_INPUT_STREAM (self->input), NULL);
  g_source_set_callback (source, G_SOURCE_FUNC (readable_cb), self, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  g_source_unref (source);
}

static void
begin (GSocketConnection *connection)
{
  Connection *self = g_new0 (Connection, 1);

  self->stream = g_object_ref (G_IO_STREAM (connection));
  self->input = g_io_stream_get_input_stream (self->stream);
  self->output = g_io_stream_get_output_stream (self->stream);
  self->pollable = G_POLLABLE_OUTPUT_STREAM (self->output);
  self->buffer = g_malloc (ECHO_BUF);
  g_socket_set_option (g_socket_connection_get_socket (connection), IPPROTO_TCP, TCP_NODELAY, 1, NULL);
  start_read (self);
}

static void
accept_cb (int fd, gpointer data)
{
  int accepted;

  while ((accepted = accept4 (fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    {
      GSocket *socket = g_socket_new_from_fd (accepted, NULL);
      GSocketConnection *connection = g_socket_connection_factory_create_connection (socket);

      begin (connection);
      g_object_unref (connection);
      g_object_unref (socket);
    }
}

static gboolean
accept_source_cb (int fd, GIOCondition condition, gpointer data)
{
  accept_cb (fd, data);
  return TRUE;
}

static gboolean
incoming_cb (GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  begin (connection);
  return TRUE;
}

static void
run_echo (void)
{
  const char *which = param_str ("loop", "selector");
  GMainContext *context = g_main_context_new ();
  GSocketService *service;
  GSource *source;
  GSocket *listener;
  int port, fd;

  write_async = !strcmp (param_str ("write", ""), "async");
  by_source = !strcmp (param_str ("read", ""), "gsource");
  if (!strcmp (which, "proactor"))
    loop = evp_proactor_event_loop_new (context, NULL);
  else if (!strcmp (which, "selector"))
    loop = evp_selector_event_loop_new (NULL, context, NULL);
  CHECK (loop != NULL || !strcmp (which, "glib"));
  if (param ("register", 1))
    CHECK (evp_socket_connection_register (NULL));
  fd = echo_listen (&port);
  g_main_context_push_thread_default (context);
  if (!strcmp (param_str ("from", ""), "service"))
    {
      service = g_socket_service_new ();
      g_socket_listener_set_backlog (G_SOCKET_LISTENER (service), 1024);
      listener = g_socket_new_from_fd (fd, NULL);
      CHECK (g_socket_listener_add_socket (G_SOCKET_LISTENER (service), listener, NULL, NULL));
      g_signal_connect (service, "incoming", G_CALLBACK (incoming_cb), NULL);
    }
  else if (loop != NULL)
    evp_event_loop_add_reader (loop, fd, accept_cb, NULL, NULL, NULL);
  else
    {
      source = g_unix_fd_source_new (fd, G_IO_IN);
      g_source_set_callback (source, G_SOURCE_FUNC (accept_source_cb), NULL, NULL);
      g_source_attach (source, context);
    }
  echo_ready (port);
  if (loop != NULL)
    {
      g_main_context_pop_thread_default (context);
      CHECK (evp_event_loop_run_forever (loop, NULL));
    }
  else
    g_main_loop_run (g_main_loop_new (context, FALSE));
}

int
main (int argc, char **argv)
{
  static const struct workload all[] = { { "echo", run_echo }, { NULL, NULL } };
  return bench_main ("evp-stream", all, argc, argv);
}
