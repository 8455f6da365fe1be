/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "net/net-loops.h"
#include "net/net-servers.h"
#include "support/evp-test-tls.h"

/* Servers that shake hands; apart from the others, because the threads that do so take their time to go. */

static void
report_cb (EvpAbstractEventLoop *loop,
           EvpExceptionContext  *context,
           gpointer              user_data)
{
  GPtrArray *reports = user_data;

  g_ptr_array_add (reports, evp_exception_context_ref (context));
}

static EvpServer *
serve_tls (NetFixture *fixture)
{
  g_autoptr (EvpTlsOptions) tls = evp_tls_options_new ();
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (GError) error = NULL;
  EvpServer *server;

  evp_tls_options_set_certificate (tls, evp_test_tls_certificate ());
  evp_server_options_set_tls_options (options, tls);
  server = net_serve_full (fixture->loop, "127.0.0.1", 0, 0, options, &error);
  g_assert_no_error (error);
  return server;
}

static GIOStream *
connect_tls (NetFixture  *fixture,
             EvpServer   *server,
             const char  *server_name,
             GError     **error)
{
  g_autoptr (EvpTlsOptions) tls = evp_tls_options_new ();
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();

  evp_tls_options_set_database (tls, evp_test_tls_database ());
  evp_connection_options_set_tls (options, TRUE);
  evp_connection_options_set_tls_options (options, tls);
  evp_connection_options_set_server_name (options, server_name);
  return net_connect_full (fixture->loop, "127.0.0.1", net_server_port (server), options, NULL, error);
}

/* GIO's threads that have shaken hands hold the connection, and that the loop, until they have gone. */
static void
wait_for_threads (NetFixture *fixture)
{
  while (evp_test_count_threads () > fixture->leaks.threads)
    {
      /* those that shake hands would stay for a while */
      g_thread_pool_stop_unused_threads ();
      evp_test_run_ready (fixture->loop);
    }
}

/* Rules: N-9, N-10 */
static void
test_tls (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = NULL;
  g_auto (EvpTestAwait) accept = { fixture->loop, NULL };
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) accepted = NULL;
  g_autoptr (GError) error = NULL;

  if (!evp_test_tls_available ())
    return;
  server = serve_tls (fixture);
  evp_server_accept_async (server, NULL, evp_test_ready_cb, &accept);
  client = connect_tls (fixture, server, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (G_IS_TLS_CLIENT_CONNECTION (client));
  accepted = evp_server_accept_finish (server, net_result (&accept), &error);
  g_assert_no_error (error);
  g_assert_true (G_IS_TLS_SERVER_CONNECTION (accepted));
  net_assert_connected (fixture->loop, client, accepted);
  net_assert_connected (fixture->loop, accepted, client);

  /* another name than the certificate's */
  g_clear_object (&client);
  g_clear_object (&accepted);
  {
    g_auto (EvpTestAwait) other = { fixture->loop, NULL };

    evp_server_accept_async (server, NULL, evp_test_ready_cb, &other);
    client = connect_tls (fixture, server, "other.test", &error);
    g_assert_null (client);
    g_assert_error (error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE);
    g_clear_error (&error);
    evp_server_close (server);
    accepted = evp_server_accept_finish (server, net_result (&other), NULL);
    g_clear_object (&accepted);
  }
  net_wait_closed (fixture->loop, server);
  wait_for_threads (fixture);
}

/* Who does not speak TLS, or says nothing at all, keeps nobody else out. */
/* Rules: N-16 */
static void
test_tls_failure (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (GIOStream) silent = NULL;
  g_autoptr (GPtrArray) reports = g_ptr_array_new_with_free_func ((GDestroyNotify) evp_exception_context_unref);
  gboolean debug = evp_event_loop_get_debug (fixture->loop);

  if (!evp_test_tls_available ())
    return;
  server = serve_tls (fixture);
  silent = net_connect (fixture->loop, server);
  evp_event_loop_set_exception_handler (fixture->loop, report_cb, reports, NULL);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GIOStream) plain = net_connect (fixture->loop, server);
      g_auto (EvpTestAwait) accept = { fixture->loop, NULL };
      g_auto (EvpTestAwait) answer = { fixture->loop, NULL };
      g_autoptr (GIOStream) client = NULL;
      g_autoptr (GIOStream) accepted = NULL;
      g_autoptr (GError) error = NULL;
      char buffer[256];

      evp_event_loop_set_debug (fixture->loop, i == 1);
      evp_server_accept_async (server, NULL, evp_test_ready_cb, &accept);
      g_assert_true (g_output_stream_write_all (g_io_stream_get_output_stream (plain), "GET / HTTP/1.0\r\n\r\n", 18,
                                                NULL, NULL, &error));
      /* an alert at most, and the end */
      do
        {
          evp_test_await_clear (&answer);
          g_input_stream_read_async (g_io_stream_get_input_stream (plain), buffer, sizeof buffer, G_PRIORITY_DEFAULT,
                                     NULL, evp_test_ready_cb, &answer);
        }
      while (g_input_stream_read_finish (g_io_stream_get_input_stream (plain), net_result (&answer), NULL) > 0);
      evp_test_run_ready (fixture->loop);
      g_assert_cmpuint (reports->len, ==, i);
      client = connect_tls (fixture, server, NULL, &error);
      g_assert_no_error (error);
      accepted = evp_server_accept_finish (server, net_result (&accept), &error);
      g_assert_no_error (error);
      net_assert_connected (fixture->loop, client, accepted);
    }
  evp_event_loop_set_debug (fixture->loop, debug);
  evp_event_loop_set_exception_handler (fixture->loop, NULL, NULL, NULL);
  evp_server_close (server);
  g_clear_object (&silent);
  net_wait_closed (fixture->loop, server);
  wait_for_threads (fixture);
}

typedef struct
{
  GPtrArray *connections;
  guint n_wanted;
  gboolean done;
} Incoming;

/* Wants so many connections, and no more. */

static void
incoming_cb (EvpServer *server,
             GIOStream *connection,
             gpointer   user_data)
{
  Incoming *incoming = user_data;

  g_ptr_array_add (incoming->connections, g_object_ref (connection));
  g_assert_false (incoming->done);
  incoming->done = incoming->connections->len == incoming->n_wanted;
  if (incoming->done)
    g_signal_handlers_disconnect_by_data (server, incoming);
}

#define N_CLIENTS 3

/* The client's side of a handshake. */
static void
start_handshake (NetFixture   *fixture,
                 GIOStream    *plain,
                 EvpTestAwait *handshake)
{
  g_autoptr (EvpTlsOptions) options = evp_tls_options_new ();

  evp_tls_options_set_database (options, evp_test_tls_database ());
  evp_event_loop_start_tls_with_options_async (fixture->loop, plain, FALSE, options, "localhost", NULL,
                                               evp_test_ready_cb, handshake);
}

static GIOStream *
finish_handshake (NetFixture   *fixture,
                  EvpTestAwait *handshake)
{
  g_autoptr (GError) error = NULL;
  GIOStream *client = evp_event_loop_start_tls_with_options_finish (fixture->loop, net_result (handshake), &error);

  g_assert_no_error (error);
  return client;
}

static GIOStream *
shake_hands (NetFixture *fixture,
             GIOStream  *plain)
{
  g_auto (EvpTestAwait) handshake = { fixture->loop, NULL };

  start_handshake (fixture, plain, &handshake);
  return finish_handshake (fixture, &handshake);
}

/*
 * Clients that are let in for requests which are taken back before any of them has shaken hands. The last
 * has not done it yet.
 */
static GIOStream *
connect_for_nobody (NetFixture *fixture,
                    EvpServer  *server,
                    GPtrArray  *clients)
{
  const guint n_timers = evp_test_count_timers (fixture->loop);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  EvpTestAwait accepts[N_CLIENTS] = { { NULL, NULL } };
  GIOStream *plain[N_CLIENTS];
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < N_CLIENTS; i++)
    {
      accepts[i].loop = fixture->loop;
      evp_server_accept_async (server, cancellable, evp_test_ready_cb, &accepts[i]);
      plain[i] = net_connect (fixture->loop, server);
    }
  while (evp_test_count_timers (fixture->loop) < n_timers + N_CLIENTS) /* those of the handshakes */
    evp_test_run_ready (fixture->loop);
  g_cancellable_cancel (cancellable);
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      g_assert_null (evp_server_accept_finish (server, net_result (&accepts[i]), &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      evp_test_await_clear (&accepts[i]);
    }
  for (guint i = 0; i < N_CLIENTS - 1; i++)
    {
      g_ptr_array_add (clients, shake_hands (fixture, plain[i]));
      g_object_unref (plain[i]);
      while (evp_test_count_timers (fixture->loop) > n_timers + N_CLIENTS - 1 - i) /* the server's side */
        evp_test_run_ready (fixture->loop);
    }
  evp_test_run_ready (fixture->loop);
  return plain[N_CLIENTS - 1];
}

/* Whoever wants a connection next gets it: a handler that is connected later, or a request. One is left over. */
/* Rules: N-9 */
static void
test_tls_unwanted (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GIOStream) last = NULL;
  g_autoptr (GIOStream) second = NULL;
  Incoming incoming = { connections, N_CLIENTS - 2, FALSE };
  g_autoptr (GError) error = NULL;

  if (!evp_test_tls_available ())
    return;
  server = serve_tls (fixture);
  last = connect_for_nobody (fixture, server, clients);
  g_ptr_array_add (clients, shake_hands (fixture, last));
  g_signal_connect (server, "incoming", G_CALLBACK (incoming_cb), &incoming);
  evp_test_run_until (fixture->loop, &incoming.done);
  for (guint i = 0; i < incoming.n_wanted; i++)
    net_assert_connected (fixture->loop, g_ptr_array_index (clients, i), g_ptr_array_index (connections, i));
  evp_test_run_ready (fixture->loop);
  second = net_server_accept (fixture->loop, server, NULL, &error);
  g_assert_no_error (error);
  net_assert_connected (fixture->loop, g_ptr_array_index (clients, incoming.n_wanted), second);

  evp_server_close (server);
  g_ptr_array_set_size (clients, 0);
  g_ptr_array_set_size (connections, 0);
  g_clear_object (&second);
  net_wait_closed (fixture->loop, server);
  wait_for_threads (fixture);
}

/* A handler that comes late is told of the connections in their order, also of one that is ready in the same turn. */
/* Rules: N-9 */
static void
test_tls_order (NetFixture *fixture)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (fixture->loop);
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (GPtrArray) connections = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GIOStream) last = NULL;
  Incoming incoming = { connections, N_CLIENTS, FALSE };
  g_auto (EvpTestAwait) handshake = { fixture->loop, NULL };
  guint n_timers;

  if (!evp_test_tls_available ())
    return;
  server = serve_tls (fixture);
  n_timers = evp_test_count_timers (fixture->loop);
  last = connect_for_nobody (fixture, server, clients);
  start_handshake (fixture, last, &handshake);
  /* until both are over: the server is as a rule the last, and about to hear of it */
  while (evp_test_count_timers (fixture->loop) > n_timers)
    g_main_context_iteration (context, TRUE);
  g_signal_connect (server, "incoming", G_CALLBACK (incoming_cb), &incoming);
  evp_test_run_until (fixture->loop, &incoming.done);
  g_ptr_array_add (clients, finish_handshake (fixture, &handshake));
  for (guint i = 0; i < N_CLIENTS; i++)
    net_assert_connected (fixture->loop, g_ptr_array_index (clients, i), g_ptr_array_index (connections, i));

  evp_server_close (server);
  g_ptr_array_set_size (clients, 0);
  g_ptr_array_set_size (connections, 0);
  net_wait_closed (fixture->loop, server);
  wait_for_threads (fixture);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  net_test_add ("server", "tls", test_tls);
  net_test_add ("server", "tls-failure", test_tls_failure);
  net_test_add ("server", "tls-unwanted", test_tls_unwanted);
  net_test_add ("server", "tls-order", test_tls_order);

  return g_test_run ();
}
