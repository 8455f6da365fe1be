/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/net/evp-socket-input-stream-private.h"
#include "evp/net/evp-socket-output-stream-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* GIO's client and service, whose connections are ours while they are registered. */

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpTestDeadline *deadline;
  GSocketService *service;
  guint16 port;
  GSocketConnection *accepted;
  gboolean incoming;
} Fixture;

static gboolean
incoming_cb (GSocketService    *service,
             GSocketConnection *connection,
             GObject           *source,
             gpointer           user_data)
{
  Fixture *fixture = user_data;

  g_set_object (&fixture->accepted, connection);
  fixture->incoming = TRUE;
  return TRUE;
}

static void
set_up (Fixture      *fixture,
        gconstpointer data)
{
  fixture->deadline = evp_test_deadline_start (60, "connections of GIO");
}

static void
tear_down (Fixture      *fixture,
           gconstpointer data)
{
  evp_test_deadline_stop (fixture->deadline);
}

static GSocketConnection *
connect_to (Fixture       *fixture,
            GSocketClient *client)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GError) error = NULL;
  GSocketConnection *connection;

  fixture->incoming = FALSE;
  g_socket_client_connect_to_host_async (client, "127.0.0.1", fixture->port, NULL, evp_test_ready_cb, &await);
  connection = g_socket_client_connect_to_host_finish (client, evp_test_await (&await), &error);
  evp_test_await_clear (&await);
  g_assert_no_error (error);
  evp_test_run_until (fixture->loop, &fixture->incoming);
  return connection;
}

static gboolean
is_ours (gpointer connection)
{
  return EVP_IS_SOCKET_INPUT_STREAM (g_io_stream_get_input_stream (connection))
         && EVP_IS_SOCKET_OUTPUT_STREAM (g_io_stream_get_output_stream (connection));
}

/* Both directions, by asynchronous calls only. */
static void
exchange (Fixture  *fixture,
          gpointer  from,
          gpointer  to)
{
  EvpTestAwait read = { fixture->loop, NULL };
  EvpTestAwait write = { fixture->loop, NULL };
  char buffer[16];
  gsize n_written;
  g_autoptr (GError) error = NULL;

  g_input_stream_read_async (g_io_stream_get_input_stream (to), buffer, sizeof buffer, 0, NULL,
                             evp_test_ready_cb, &read);
  g_output_stream_write_all_async (g_io_stream_get_output_stream (from), "hello", 5, 0, NULL,
                                   evp_test_ready_cb, &write);
  evp_test_await (&write);
  g_output_stream_write_all_finish (g_io_stream_get_output_stream (from), write.result, &n_written, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n_written, ==, 5);
  if (read.result == NULL)
    evp_test_await (&read);
  g_assert_cmpint (g_input_stream_read_finish (g_io_stream_get_input_stream (to), read.result, &error), ==, 5);
  g_assert_no_error (error);
  g_assert_cmpmem (buffer, 5, "hello", 5);
  evp_test_await_clear (&read);
  evp_test_await_clear (&write);
}

static void
close_it (Fixture *fixture,
          gpointer connection)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GError) error = NULL;

  g_io_stream_close_async (connection, 0, NULL, evp_test_ready_cb, &await);
  g_assert_true (g_io_stream_close_finish (connection, evp_test_await (&await), &error));
  g_assert_no_error (error);
  evp_test_await_clear (&await);
}

static void
start_service (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  fixture->service = g_socket_service_new ();
  fixture->port = g_socket_listener_add_any_inet_port (G_SOCKET_LISTENER (fixture->service), NULL, &error);
  g_assert_no_error (error);
  g_signal_connect (fixture->service, "incoming", G_CALLBACK (incoming_cb), fixture);
}

static void
stop_service (Fixture *fixture)
{
  g_socket_service_stop (fixture->service);
  g_socket_listener_close (G_SOCKET_LISTENER (fixture->service));
  g_clear_object (&fixture->accepted);
  g_clear_object (&fixture->service);
}

static void
never_ready_cb (int      fd,
                gpointer user_data)
{
  g_assert_not_reached ();
}

static void
registered_body (Fixture      *fixture,
                 gconstpointer data)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketConnection) before = NULL;
  g_autoptr (GSocketConnection) ours = NULL;
  g_autoptr (GSocketConnection) after = NULL;
  g_autoptr (GError) error = NULL;

  start_service (fixture);
  before = connect_to (fixture, client);
  g_assert_false (is_ours (before));
  g_assert_true (evp_socket_connection_register (&error));
  g_assert_no_error (error);
  g_assert_true (evp_socket_connection_register (&error)); /* counted */
  evp_socket_connection_unregister ();
  g_assert_false (is_ours (before));

  ours = connect_to (fixture, client);
  g_assert_true (G_IS_TCP_CONNECTION (ours));
  g_assert_true (is_ours (ours));
  g_assert_true (is_ours (fixture->accepted));
  exchange (fixture, ours, fixture->accepted);
  exchange (fixture, fixture->accepted, ours);
  g_assert_false (evp_event_loop_add_reader (fixture->loop,
                                             g_socket_get_fd (g_socket_connection_get_socket (ours)),
                                             never_ready_cb, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);

  evp_socket_connection_unregister ();
  g_assert_true (is_ours (ours)); /* what it has, it keeps */
  exchange (fixture, ours, fixture->accepted);
  close_it (fixture, fixture->accepted);
  close_it (fixture, ours);
  g_assert_true (g_io_stream_is_closed (G_IO_STREAM (ours)));
  g_assert_true (g_socket_is_closed (g_socket_connection_get_socket (ours)));

  after = connect_to (fixture, client);
  g_assert_false (is_ours (after));
  exchange (fixture, after, fixture->accepted);
  stop_service (fixture);
}

static void
test_registered (Fixture      *fixture,
                 gconstpointer data)
{
  fixture->loop = evp_selector_event_loop_new (NULL, NULL, NULL);
  evp_test_run_case_in_loop (fixture->loop, (GTestFixtureFunc) registered_body, fixture);
  evp_test_run_ready (fixture->loop);
  evp_event_loop_close (fixture->loop, NULL);
  g_assert_finalize_object (fixture->loop);
}

typedef struct
{
  GMainContext *context;
  gboolean done;
} Done;

static void
read_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  Done *done = user_data;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_input_stream_read_finish (G_INPUT_STREAM (source), result, &error), ==, 5);
  g_assert_no_error (error);
  done->done = TRUE;
}

/* Without a loop here, a connection does what GIO's own does; with one, it is found when it is needed. */
static void
test_no_loop (Fixture      *fixture,
              gconstpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (GSocket) near = NULL;
  g_autoptr (GSocket) far = NULL;
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GError) error = NULL;
  Done done = { context, FALSE };
  EvpSocketChannel *channel;
  char buffer[16];
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  near = g_socket_new_from_fd (fds[0], NULL);
  far = g_socket_new_from_fd (fds[1], NULL);
  g_assert_true (evp_socket_connection_register (NULL));
  connection = g_socket_connection_factory_create_connection (near);
  evp_socket_connection_unregister ();
  g_assert_true (is_ours (connection));
  channel = evp_socket_input_stream_get_channel (EVP_SOCKET_INPUT_STREAM (g_io_stream_get_input_stream (G_IO_STREAM (connection))));

  g_main_context_push_thread_default (context);
  g_input_stream_read_async (g_io_stream_get_input_stream (G_IO_STREAM (connection)), buffer, sizeof buffer,
                             0, NULL, read_cb, &done);
  g_assert_null (channel->loop);
  g_main_context_iteration (context, FALSE);
  g_assert_false (done.done);
  g_assert_cmpint (g_socket_send (far, "hello", 5, NULL, &error), ==, 5);
  while (!done.done)
    g_main_context_iteration (context, TRUE);

  /* blocking calls never need one */
  g_assert_cmpint (g_socket_send (far, "again", 5, NULL, &error), ==, 5);
  g_assert_cmpint (g_input_stream_read (g_io_stream_get_input_stream (G_IO_STREAM (connection)), buffer,
                                        sizeof buffer, NULL, &error), ==, 5);
  g_assert_no_error (error);

  /* a loop comes to live here */
  fixture->loop = evp_selector_event_loop_new (NULL, context, NULL);
  done.done = FALSE;
  g_input_stream_read_async (g_io_stream_get_input_stream (G_IO_STREAM (connection)), buffer, sizeof buffer,
                             0, NULL, read_cb, &done);
  g_assert_true (channel->loop == fixture->loop);
  g_main_context_iteration (context, FALSE);
  g_assert_false (done.done);
  g_assert_cmpint (g_socket_send (far, "hello", 5, NULL, &error), ==, 5);
  while (!done.done)
    g_main_context_iteration (context, TRUE);

  /* and goes */
  evp_event_loop_close (fixture->loop, NULL);
  done.done = FALSE;
  g_input_stream_read_async (g_io_stream_get_input_stream (G_IO_STREAM (connection)), buffer, sizeof buffer,
                             0, NULL, read_cb, &done);
  g_assert_null (channel->loop);
  g_assert_cmpint (g_socket_send (far, "hello", 5, NULL, &error), ==, 5);
  while (!done.done)
    g_main_context_iteration (context, TRUE);
  g_main_context_pop_thread_default (context);
  g_assert_finalize_object (fixture->loop);
}

static gpointer
other_thread (gpointer stream)
{
  EvpSocketChannel *channel = evp_socket_input_stream_get_channel (stream);

  /* its thread-default main context is the main thread's, the loop there is not its own */
  g_assert_null (evp_socket_channel_get_loop (channel));
  return NULL;
}

static void
test_other_thread (Fixture      *fixture,
                   gconstpointer data)
{
  g_autoptr (GSocket) near = NULL;
  g_autoptr (GSocketConnection) connection = NULL;
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  near = g_socket_new_from_fd (fds[0], NULL);
  close (fds[1]);
  fixture->loop = evp_selector_event_loop_new (NULL, g_main_context_default (), NULL);
  g_assert_true (evp_socket_connection_register (NULL));
  connection = g_socket_connection_factory_create_connection (near);
  evp_socket_connection_unregister ();

  g_assert_true (g_main_context_acquire (NULL));
  g_thread_join (g_thread_new ("other", other_thread, g_io_stream_get_input_stream (G_IO_STREAM (connection))));
  g_assert_true (evp_socket_channel_get_loop (evp_socket_input_stream_get_channel (
                   EVP_SOCKET_INPUT_STREAM (g_io_stream_get_input_stream (G_IO_STREAM (connection))))) == fixture->loop);
  g_main_context_release (NULL);
  g_clear_object (&connection);
  evp_event_loop_close (fixture->loop, NULL);
  g_assert_finalize_object (fixture->loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add ("/evp/net/socket-connection/registered", Fixture, NULL, set_up, test_registered, tear_down);
  g_test_add ("/evp/net/socket-connection/no-loop", Fixture, NULL, set_up, test_no_loop, tear_down);
  g_test_add ("/evp/net/socket-connection/other-thread", Fixture, NULL, set_up, test_other_thread, tear_down);

  return g_test_run ();
}
