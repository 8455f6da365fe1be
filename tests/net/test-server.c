/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "net/net-contextless.h"
#include "net/net-loops.h"
#include "net/net-servers.h"
#include "net/net-sockets.h"
#include "support/evp-test-refusing-loop.h"

#include <sys/resource.h>

typedef struct
{
  EvpServer *server;
  GPtrArray *connections;
  guint wanted;
  gboolean done;
} Incoming;

static void
incoming_cb (EvpServer *server,
             GIOStream *connection,
             gpointer   user_data)
{
  Incoming *incoming = user_data;

  g_assert_true (G_IS_SOCKET_CONNECTION (connection));
  g_ptr_array_add (incoming->connections, g_object_ref (connection));
  incoming->done = incoming->connections->len >= incoming->wanted;
}

static void
incoming_init (Incoming  *self,
               EvpServer *server)
{
  self->connections = g_ptr_array_new_with_free_func (g_object_unref);
  self->server = server;
  g_signal_connect (server, "incoming", G_CALLBACK (incoming_cb), self);
}

static void
incoming_wait (NetFixture *fixture,
               Incoming   *self,
               guint       n)
{
  self->wanted = n;
  self->done = self->connections->len >= n;
  evp_test_run_until (fixture->loop, &self->done);
  g_assert_cmpuint (self->connections->len, ==, n);
}

static void
incoming_clear (Incoming *self)
{
  g_clear_pointer (&self->connections, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Incoming, incoming_clear)

static void
close_stream (GIOStream *stream)
{
  g_autoptr (GError) error = NULL;

  g_io_stream_close (stream, NULL, &error);
  g_assert_no_error (error);
}

/* Rules: N-14, N-17 */
static void
test_incoming (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_auto (Incoming) incoming = { 0 };
  GIOStream *clients[3];

  g_assert_true (evp_server_is_serving (server));
  g_assert_true (evp_server_get_loop (server) == fixture->loop);
  incoming_init (&incoming, server);
  for (int i = 0; i < 3; i++)
    clients[i] = net_connect (fixture->loop, server);
  incoming_wait (fixture, &incoming, 3);
  for (guint i = 0; i < 3; i++)
    {
      net_assert_connected (fixture->loop, clients[i], g_ptr_array_index (incoming.connections, i));
      net_assert_connected (fixture->loop, g_ptr_array_index (incoming.connections, i), clients[i]);
      g_object_unref (clients[i]);
    }
  evp_server_close (server);
}

/* Connections that nobody wants yet wait in the kernel, wake nobody up, and come at once when they are wanted. */
/* Rules: N-14 */
static void
test_late_handler (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_autoptr (GIOStream) client = net_connect (fixture->loop, server);
  g_autoptr (GIOStream) other = NULL;
  g_auto (Incoming) incoming = { 0 };
  guint fds;

  evp_test_run_ready (fixture->loop);
  fds = evp_test_count_fds ();
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (evp_test_count_fds (), ==, fds);
  while (!evp_test_sleeps (fixture->loop))
    evp_test_run_ready (fixture->loop);
  incoming_init (&incoming, server);
  g_assert_false (evp_test_sleeps (fixture->loop));
  incoming_wait (fixture, &incoming, 1);

  /* the same again, without a handler once more */
  g_signal_handlers_block_by_func (server, incoming_cb, &incoming);
  other = net_connect (fixture->loop, server);
  evp_test_run_ready (fixture->loop);
  while (!evp_test_sleeps (fixture->loop))
    evp_test_run_ready (fixture->loop);
  g_signal_handlers_unblock_by_func (server, incoming_cb, &incoming);
  incoming_wait (fixture, &incoming, 2);
  evp_server_close (server);
}

/* A socket that was given may listen already. */
/* Rules: N-12, N-17 */
static void
test_listening_socket (NetFixture *fixture)
{
  g_autoptr (GSocket) listener = net_listener ("127.0.0.1");
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) accepted = NULL;
  g_autoptr (GError) error = NULL;

  evp_server_options_set_socket (options, listener);
  server = net_serve_full (fixture->loop, NULL, 0, 0, options, &error);
  g_assert_no_error (error);
  client = net_connect (fixture->loop, server);
  accepted = net_server_accept (fixture->loop, server, NULL, &error);
  g_assert_no_error (error);
  net_assert_connected (fixture->loop, client, accepted);
  evp_server_close (server);
}

static void
test_accept (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_auto (EvpTestAwait) first = { fixture->loop, NULL };
  g_auto (EvpTestAwait) second = { fixture->loop, NULL };
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) other_client = NULL;
  g_autoptr (GIOStream) accepted = NULL;
  g_autoptr (GIOStream) other_accepted = NULL;
  g_autoptr (GError) error = NULL;

  /* requested first */
  evp_server_accept_async (server, NULL, evp_test_ready_cb, &first);
  evp_server_accept_async (server, NULL, evp_test_ready_cb, &second);
  client = net_connect (fixture->loop, server);
  accepted = evp_server_accept_finish (server, net_result (&first), &error);
  g_assert_no_error (error);
  net_assert_connected (fixture->loop, client, accepted);
  g_assert_null (second.result);
  other_client = net_connect (fixture->loop, server);
  other_accepted = evp_server_accept_finish (server, net_result (&second), &error);
  g_assert_no_error (error);
  net_assert_connected (fixture->loop, other_client, other_accepted);
  g_clear_object (&client);
  g_clear_object (&accepted);

  /* connected first, and long ago */
  client = net_connect (fixture->loop, server);
  evp_test_run_ready (fixture->loop);
  accepted = net_server_accept (fixture->loop, server, NULL, &error);
  g_assert_no_error (error);
  net_assert_connected (fixture->loop, accepted, client);
  evp_server_close (server);
}

/* A request that is taken back costs no connection. */
static void
test_accept_cancel (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_auto (EvpTestAwait) first = { fixture->loop, NULL };
  g_auto (EvpTestAwait) second = { fixture->loop, NULL };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) accepted = NULL;
  g_autoptr (GError) error = NULL;

  evp_server_accept_async (server, cancellable, evp_test_ready_cb, &first);
  evp_server_accept_async (server, NULL, evp_test_ready_cb, &second);
  g_cancellable_cancel (cancellable);
  accepted = evp_server_accept_finish (server, net_result (&first), &error);
  g_assert_null (accepted);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  client = net_connect (fixture->loop, server);
  accepted = evp_server_accept_finish (server, net_result (&second), &error);
  g_assert_no_error (error);
  net_assert_connected (fixture->loop, client, accepted);
  g_clear_object (&accepted);

  accepted = net_server_accept (fixture->loop, server, cancellable, &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  evp_server_close (server);
}

/* Rules: N-17 */
static void
test_close (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  guint16 port = net_server_port (server);
  g_autoptr (GPtrArray) sockets = evp_server_get_sockets (server);
  g_autoptr (GPtrArray) none = NULL;
  g_auto (EvpTestAwait) accept = { fixture->loop, NULL };
  g_autoptr (GIOStream) client = net_connect (fixture->loop, server);
  g_autoptr (GError) error = NULL;
  g_autoptr (GIOStream) accepted = net_server_accept (fixture->loop, server, NULL, &error);
  g_autoptr (EvpServer) successor = NULL;

  evp_server_accept_async (server, NULL, evp_test_ready_cb, &accept);
  evp_test_run_ready (fixture->loop);
  evp_server_close (server);
  {
    /* from now on, not after the next turn of the loop */
    g_autoptr (GSocketAddress) address = net_address ("127.0.0.1", port);
    g_autoptr (GSocket) late = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM,
                                             G_SOCKET_PROTOCOL_TCP, NULL);

    g_assert_false (g_socket_connect (late, address, NULL, &error));
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    g_clear_error (&error);
  }
  evp_server_close (server);
  g_assert_false (evp_server_is_serving (server));
  none = evp_server_get_sockets (server);
  g_assert_cmpuint (none->len, ==, 0);
  g_assert_null (evp_server_accept_finish (server, net_result (&accept), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_true (g_socket_is_closed (g_ptr_array_index (sockets, 0)));

  /* what is connected stays so, nobody else gets in, and the port is free */
  net_assert_connected (fixture->loop, client, accepted);
  g_assert_null (net_connect_full (fixture->loop, "127.0.0.1", port, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_clear_error (&error);
  successor = net_serve_full (fixture->loop, "127.0.0.1", port, 0, NULL, &error);
  g_assert_no_error (error);
  evp_server_close (successor);

  g_assert_null (net_server_accept (fixture->loop, server, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_false (evp_server_start_serving (server, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
}

static void
close_in_handler_cb (EvpServer *server,
                     GIOStream *connection,
                     gpointer   user_data)
{
  guint *n_calls = user_data;

  (*n_calls)++;
  evp_server_close (server);
}

/* Rules: N-17 */
static void
test_close_in_handler (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_autoptr (GIOStream) first = net_connect (fixture->loop, server);
  g_autoptr (GIOStream) second = net_connect (fixture->loop, server);
  guint n_calls = 0;

  g_signal_connect (server, "incoming", G_CALLBACK (close_in_handler_cb), &n_calls);
  net_wait_closed (fixture->loop, server);
  g_assert_cmpuint (n_calls, ==, 1);
}

/* Rules: N-14, N-17 */
static void
test_start_later (NetFixture *fixture)
{
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (EvpServer) unused = NULL;
  g_auto (EvpTestAwait) accept = { fixture->loop, NULL };
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) accepted = NULL;
  g_autoptr (GError) error = NULL;
  guint fds;

  evp_server_options_set_start_serving (options, FALSE);
  server = net_serve_full (fixture->loop, "127.0.0.1", 0, 0, options, &error);
  g_assert_no_error (error);
  g_assert_false (evp_server_is_serving (server));
  /* bound, not listening */
  g_assert_cmpuint (net_server_port (server), !=, 0);
  g_assert_null (net_connect_full (fixture->loop, "127.0.0.1", net_server_port (server), NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_clear_error (&error);

  evp_server_accept_async (server, NULL, evp_test_ready_cb, &accept);
  g_assert_true (evp_server_start_serving (server, &error));
  g_assert_true (evp_server_start_serving (server, &error));
  g_assert_true (evp_server_is_serving (server));
  client = net_connect (fixture->loop, server);
  accepted = evp_server_accept_finish (server, net_result (&accept), &error);
  g_assert_no_error (error);
  evp_server_close (server);

  /* one that never listens goes with its last reference */
  evp_test_run_ready (fixture->loop);
  fds = evp_test_count_fds ();
  unused = net_serve_full (fixture->loop, "127.0.0.1", 0, 0, options, &error);
  g_assert_cmpuint (evp_test_count_fds (), >, fds);
  g_assert_finalize_object (g_steal_pointer (&unused));
  g_assert_cmpuint (evp_test_count_fds (), ==, fds);
}

/* Rules: N-18 */
static void
test_wait_closed (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_autoptr (GIOStream) client = net_connect (fixture->loop, server);
  g_autoptr (GIOStream) other_client = net_connect (fixture->loop, server);
  g_autoptr (GError) error = NULL;
  g_autoptr (GIOStream) accepted = net_server_accept (fixture->loop, server, NULL, &error);
  g_autoptr (GIOStream) other_accepted = net_server_accept (fixture->loop, server, NULL, &error);
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_auto (EvpTestAwait) other_await = { fixture->loop, NULL };
  g_auto (EvpTestAwait) cancelled = { fixture->loop, NULL };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();

  evp_server_wait_closed_async (server, NULL, evp_test_ready_cb, &await);
  evp_server_wait_closed_async (server, cancellable, evp_test_ready_cb, &cancelled);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_server_wait_closed_finish (server, net_result (&cancelled), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);

  /* closed, but there are connections */
  evp_server_close (server);
  evp_server_wait_closed_async (server, NULL, evp_test_ready_cb, &other_await);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  close_stream (accepted); /* though there is a reference */
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  g_clear_object (&other_accepted); /* without being closed */
  g_assert_true (evp_server_wait_closed_finish (server, net_result (&await), &error));
  g_assert_true (evp_server_wait_closed_finish (server, net_result (&other_await), &error));

  /* at once when both hold */
  net_wait_closed (fixture->loop, server);
}

/* The connections go first. */
/* Rules: N-18 */
static void
test_wait_closed_connections_first (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_autoptr (GIOStream) client = net_connect (fixture->loop, server);
  g_autoptr (GError) error = NULL;
  g_autoptr (GIOStream) accepted = net_server_accept (fixture->loop, server, NULL, &error);
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };

  evp_server_wait_closed_async (server, NULL, evp_test_ready_cb, &await);
  g_clear_object (&accepted);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  evp_server_close (server);
  g_assert_true (evp_server_wait_closed_finish (server, net_result (&await), &error));
}

static gpointer
drop_thread (gpointer object)
{
  g_object_unref (object);
  return NULL;
}

/* A garbage collector drops the last connection on a thread of its own. */
/* Rules: N-18 */
static void
test_wait_closed_elsewhere (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_autoptr (GIOStream) client = net_connect (fixture->loop, server);
  g_autoptr (GError) error = NULL;
  GIOStream *accepted = net_server_accept (fixture->loop, server, NULL, &error);

  evp_server_close (server);
  g_thread_join (g_thread_new ("drop", drop_thread, accepted));
  net_wait_closed (fixture->loop, server);
}

/* Rules: N-17 */
static void
test_serve_forever (NetFixture *fixture)
{
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (EvpServer) other = NULL;
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_auto (EvpTestAwait) second = { fixture->loop, NULL };
  g_auto (EvpTestAwait) third = { fixture->loop, NULL };
  g_auto (EvpTestAwait) fourth = { fixture->loop, NULL };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  /* it starts, one can wait, and cancelling closes */
  evp_server_options_set_start_serving (options, FALSE);
  server = net_serve_full (fixture->loop, "127.0.0.1", 0, 0, options, &error);
  evp_server_serve_forever_async (server, cancellable, evp_test_ready_cb, &await);
  g_assert_true (evp_server_is_serving (server));
  evp_server_serve_forever_async (server, NULL, evp_test_ready_cb, &second);
  g_assert_false (evp_server_serve_forever_finish (server, net_result (&second), &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_server_serve_forever_finish (server, net_result (&await), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_false (evp_server_is_serving (server));

  /* closed already */
  evp_server_serve_forever_async (server, NULL, evp_test_ready_cb, &third);
  g_assert_false (evp_server_serve_forever_finish (server, net_result (&third), &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);

  /* closed meanwhile */
  other = net_serve (fixture->loop, "127.0.0.1");
  evp_server_serve_forever_async (other, NULL, evp_test_ready_cb, &fourth);
  evp_test_run_ready (fixture->loop);
  g_assert_null (fourth.result);
  evp_server_close (other);
  g_assert_true (evp_server_serve_forever_finish (other, net_result (&fourth), &error));
}

/* A server that listens needs nobody to hold it. */
static void
test_dropped (NetFixture *fixture)
{
  EvpServer *server = net_serve (fixture->loop, "127.0.0.1");
  g_auto (Incoming) incoming = { 0 };
  guint16 port = net_server_port (server);
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;

  incoming_init (&incoming, server);
  g_object_add_weak_pointer (G_OBJECT (server), (gpointer *) &server);
  g_object_unref (server);
  g_assert_nonnull (server);
  client = net_connect_full (fixture->loop, "127.0.0.1", port, NULL, NULL, &error);
  g_assert_no_error (error);
  incoming_wait (fixture, &incoming, 1);
  incoming_clear (&incoming);
  evp_server_close (server);
  evp_test_run_ready (fixture->loop);
  evp_test_run_ready (fixture->loop);
  g_assert_null (server);
}

static void
report_cb (EvpAbstractEventLoop *loop,
           EvpExceptionContext  *context,
           gpointer              user_data)
{
  GPtrArray *reports = user_data;

  g_ptr_array_add (reports, evp_exception_context_ref (context));
}

/* Rules: N-15 */
static void
test_out_of_descriptors (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_autoptr (GPtrArray) reports = g_ptr_array_new_with_free_func ((GDestroyNotify) evp_exception_context_unref);
  g_auto (Incoming) incoming = { 0 };
  g_autoptr (GIOStream) client = NULL;
  struct rlimit limit, low;
  EvpExceptionContext *report;
  g_autofree char *name = g_strdup_printf ("127.0.0.1:%u", net_server_port (server));
  int fd, used;

  if (evp_test_has_valgrind ())
    {
      g_test_skip ("valgrind keeps its own limit of descriptors");
      return;
    }
  evp_event_loop_set_exception_handler (fixture->loop, report_cb, reports, NULL);
  client = net_connect (fixture->loop, server);
  incoming_init (&incoming, server);
  /* no descriptor is left for the connection */
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  fd = dup (0);
  used = fd;
  close (fd);
  low = limit;
  low.rlim_cur = (rlim_t) used;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
  while (reports->len == 0)
    evp_test_run_ready (fixture->loop);
  /* reported once, and it rests: what waits does not make the loop spin */
  evp_test_run_ready (fixture->loop);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  g_assert_cmpuint (reports->len, ==, 1);
  g_assert_cmpuint (incoming.connections->len, ==, 0);
  report = g_ptr_array_index (reports, 0);
  g_assert_true (g_error_matches (evp_exception_context_get_error (report), G_IO_ERROR,
                                  G_IO_ERROR_TOO_MANY_OPEN_FILES));
  g_assert_cmpstr (evp_exception_context_get_string (report, "socket"), ==, name);
  /* and it recovers */
  incoming_wait (fixture, &incoming, 1);
  g_assert_cmpuint (reports->len, ==, 1);
  net_assert_connected (fixture->loop, client, g_ptr_array_index (incoming.connections, 0));
  evp_event_loop_set_exception_handler (fixture->loop, NULL, NULL, NULL);
  evp_server_close (server);
}

/* One readiness brings in no more than the backlog says, and the rest all the same. */
/* Rules: N-15 */
static void
test_rounds (NetFixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpServer) server = net_serve_full (fixture->loop, "127.0.0.1", 0, 3, NULL, &error);
  g_auto (Incoming) incoming = { 0 };
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);

  g_assert_no_error (error);
  incoming_init (&incoming, server);
  for (guint i = 0; i < 20; i++)
    g_ptr_array_add (clients, net_connect (fixture->loop, server));
  incoming_wait (fixture, &incoming, 20);
  evp_server_close (server);
}

typedef struct
{
  guint n_calls;
  GError *errors[4];
} Closed;

static void
closed_accept_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      user_data)
{
  Closed *closed = user_data;

  g_assert_null (evp_server_accept_finish (EVP_SERVER (source), result, &closed->errors[closed->n_calls++]));
}

static void
closed_wait_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  Closed *closed = user_data;

  g_assert_false (evp_server_wait_closed_finish (EVP_SERVER (source), result, &closed->errors[closed->n_calls++]));
}

static void
closed_forever_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      user_data)
{
  Closed *closed = user_data;

  g_assert_false (evp_server_serve_forever_finish (EVP_SERVER (source), result, &closed->errors[closed->n_calls++]));
}

/* The loop is closed while the server listens: everybody who waits hears of it, and nothing is left. */
static void
test_loop_closed (gconstpointer data)
{
  const NetLoop *kind = data;
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpAbstractEventLoop *loop = kind->make (NULL);
  EvpServer *server = net_serve (loop, "127.0.0.1");
  GIOStream *client = net_connect (loop, server);
  GIOStream *accepted = net_server_accept (loop, server, NULL, NULL);
  Closed closed = { 0 };
  g_autoptr (GError) error = NULL;

  evp_server_accept_async (server, NULL, closed_accept_cb, &closed);
  evp_server_wait_closed_async (server, NULL, closed_wait_cb, &closed);
  evp_server_serve_forever_async (server, NULL, closed_forever_cb, &closed);
  evp_test_run_ready (loop);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_cmpuint (closed.n_calls, ==, 3);
  for (guint i = 0; i < 3; i++)
    {
      g_assert_error (closed.errors[i], EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
      g_clear_error (&closed.errors[i]);
    }
  g_assert_false (evp_server_is_serving (server));
  g_assert_false (evp_server_start_serving (server, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_object_unref (client);
  g_object_unref (accepted);
  g_assert_finalize_object (server);
  g_assert_finalize_object (loop);
  evp_test_leaks_check (&leaks);
}

/* From a language anything can be made. */
static void
test_empty (void)
{
  g_autoptr (EvpServer) server = g_object_new (EVP_TYPE_SERVER, NULL);

  g_assert_false (evp_server_is_serving (server));
  g_assert_null (evp_server_get_loop (server));
  evp_server_close (server);
}

static EvpServer *
idle_server (EvpAbstractEventLoop *loop)
{
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (GError) error = NULL;
  EvpServer *server;

  evp_server_options_set_start_serving (options, FALSE);
  server = net_serve_full (loop, "127.0.0.1", 0, 0, options, &error);
  g_assert_no_error (error);
  return server;
}

/* A server that could not start does so the next time. */
/* Rules: N-14, N-17 */
static void
test_start_refused (void)
{
  EvpTestDeadline *deadline = evp_test_deadline_start (60, "start-refused");
  EvpTestRefusingLoop *refusing = evp_test_refusing_loop_new ();
  EvpAbstractEventLoop *loop = EVP_EVENT_LOOP (refusing);
  g_autoptr (EvpServer) server = idle_server (loop);
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) accepted = NULL;
  g_autoptr (GError) error = NULL;

  refusing->refuses = TRUE;
  g_assert_false (evp_server_start_serving (server, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FAILED);
  g_clear_error (&error);
  g_assert_false (evp_server_is_serving (server));

  g_assert_true (evp_server_start_serving (server, &error));
  g_assert_no_error (error);
  client = net_connect (loop, server);
  accepted = net_server_accept (loop, server, NULL, &error);
  g_assert_no_error (error);
  g_clear_object (&client);
  g_clear_object (&accepted);
  evp_server_close (server);
  g_clear_object (&server);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_finalize_object (loop);
  evp_test_deadline_stop (deadline);
}

static void
close_server_cb (EvpAbstractEventLoop *loop,
                 EvpExceptionContext  *context,
                 gpointer              user_data)
{
  g_assert_true (g_error_matches (evp_exception_context_get_error (context), G_IO_ERROR, G_IO_ERROR_FAILED));
  evp_server_close (user_data);
}

/* Who hears that a server cannot wait for connections may close it: then nothing is left of it. */
/* Rules: N-15, N-17 */
static void
test_close_in_report (void)
{
  EvpTestDeadline *deadline = evp_test_deadline_start (60, "close-in-report");
  EvpTestRefusingLoop *refusing = evp_test_refusing_loop_new ();
  EvpAbstractEventLoop *loop = EVP_EVENT_LOOP (refusing);
  g_autoptr (EvpServer) server = idle_server (loop);
  g_autoptr (GError) error = NULL;

  evp_event_loop_set_exception_handler (loop, close_server_cb, server, NULL);
  refusing->fails = TRUE;
  g_assert_true (evp_server_start_serving (server, &error));
  g_assert_no_error (error);
  net_wait_closed (loop, server);
  g_assert_false (evp_server_is_serving (server));
  evp_test_run_ready (loop);
  /* a cancelled one of the server's may still be counted; there is none of the listener's */
  g_assert_cmpuint (evp_test_count_timers (loop), <=, 1);
  g_clear_object (&server);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_finalize_object (loop);
  evp_test_deadline_stop (deadline);
}

static void
stop_incoming_cb (EvpServer *server,
                  GIOStream *connection,
                  gpointer   user_data)
{
  g_set_object ((GIOStream **) user_data, connection);
  evp_event_loop_stop (evp_server_get_loop (server));
}

/* The kernel lets it in; the server need not know. */
static GSocket *
connect_blocking (EvpServer *server)
{
  g_autoptr (GSocketAddress) address = net_address ("127.0.0.1", net_server_port (server));
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);

  g_assert_no_error (error);
  g_socket_connect (socket, address, NULL, &error);
  g_assert_no_error (error);
  return socket;
}

/* Without a main context nothing tells when a handler comes; it is served all the same, and again after a rest. */
/* Rules: N-9 */
static void
test_contextless (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a loop without a main context");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpAbstractEventLoop *loop = g_object_new (net_contextless_loop_get_type (), NULL);
  g_autoptr (GAsyncResult) created = NULL;
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (GSocket) unwanted = NULL;
  g_autoptr (GError) error = NULL;

  evp_event_loop_create_server_async (loop, "127.0.0.1", 0, 0, NULL, NULL, net_contextless_ready_cb, &created);
  net_contextless_run (loop);
  server = evp_event_loop_create_server_finish (loop, created, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GSocket) client = connect_blocking (server);
      g_autoptr (GIOStream) connection = NULL;
      gulong id;

      net_contextless_pause (loop);
      id = g_signal_connect (server, "incoming", G_CALLBACK (stop_incoming_cb), &connection);
      net_contextless_run (loop);
      g_assert_nonnull (connection);
      g_signal_handler_disconnect (server, id);
    }
  /* a connection that nobody wants does not keep the server */
  unwanted = connect_blocking (server);
  do
    net_contextless_pause (loop);
  while (evp_test_count_timers (loop) == 0);
  evp_server_close (server);
  g_assert_cmpuint (evp_test_count_timers (loop), ==, 0);
  g_clear_object (&created);
  g_clear_object (&unwanted);
  g_assert_finalize_object (g_steal_pointer (&server));
  g_assert_true (evp_event_loop_close (loop, &error));
  g_assert_finalize_object (loop);
  evp_test_leaks_check (&leaks);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/net/server/empty", test_empty);
  g_test_add_func ("/evp/net/server/start-refused", test_start_refused);
  g_test_add_func ("/evp/net/server/close-in-report", test_close_in_report);
  g_test_add_func ("/evp/net/server/contextless", test_contextless);
  net_test_add ("server", "incoming", test_incoming);
  net_test_add ("server", "late-handler", test_late_handler);
  net_test_add ("server", "listening-socket", test_listening_socket);
  net_test_add ("server", "accept", test_accept);
  net_test_add ("server", "accept-cancel", test_accept_cancel);
  net_test_add ("server", "close", test_close);
  net_test_add ("server", "close-in-handler", test_close_in_handler);
  net_test_add ("server", "start-later", test_start_later);
  net_test_add ("server", "wait-closed", test_wait_closed);
  net_test_add ("server", "wait-closed-connections-first", test_wait_closed_connections_first);
  net_test_add ("server", "wait-closed-elsewhere", test_wait_closed_elsewhere);
  net_test_add ("server", "serve-forever", test_serve_forever);
  net_test_add ("server", "dropped", test_dropped);
  net_test_add ("server", "out-of-descriptors", test_out_of_descriptors);
  net_test_add ("server", "rounds", test_rounds);
  for (guint i = 0; i < G_N_ELEMENTS (net_loops) - !evp_test_has_uring (); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/net/server/loop-closed/%s", net_loops[i].name);

      g_test_add_data_func (path, &net_loops[i], test_loop_closed);
    }

  return g_test_run ();
}
