/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "support/evp-test-support.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Many connections that come and go in every way, and a loop that is closed under thousands of waits. */

#define N_CONNECTIONS (g_getenv ("EVP_TEST_SLOW") != NULL ? 2000u : 20000u)
#define N_AT_ONCE 100
#define N_PENDING (g_getenv ("EVP_TEST_SLOW") != NULL ? 500u : 4000u)

typedef EvpAbstractEventLoop *(*MakeLoop) (void);

static EvpAbstractEventLoop *
make_selector (void)
{
  return evp_selector_event_loop_new (NULL, NULL, NULL);
}

static EvpAbstractEventLoop *
make_proactor (void)
{
  return evp_proactor_event_loop_new (NULL, NULL);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  GSocket *listener;
  GSocketAddress *address;
  guint n_started, n_ended, n_accepted, n_closed;
} Crowd;

/* One that connects, says a byte, and goes: half of them with a reset. */
typedef struct
{
  Crowd *crowd;
  GSocket *socket;
  guint number;
} Client;

typedef struct
{
  Crowd *crowd;
  GSocket *socket;
  GCancellable *cancellable;
  guint n_pending;
} Server;

static void client_start (Crowd *crowd);

static void
crowd_check (Crowd *crowd)
{
  if (crowd->n_ended == N_CONNECTIONS && crowd->n_closed == N_CONNECTIONS)
    evp_event_loop_stop (crowd->loop);
}

static void
client_connected_cb (GObject      *source,
                     GAsyncResult *result,
                     gpointer      user_data)
{
  Client *client = user_data;
  Crowd *crowd = client->crowd;
  const struct linger reset = { 1, 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_event_loop_sock_connect_finish (crowd->loop, result, &error));
  g_assert_no_error (error);
  if (client->number % 3 != 0)
    g_assert_cmpint (g_socket_send (client->socket, "x", 1, NULL, NULL), ==, 1);
  /* without it, ports would run out: closed ones are kept for a minute */
  setsockopt (g_socket_get_fd (client->socket), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  g_object_unref (client->socket);
  g_free (client);
  crowd->n_ended++;
  crowd_check (crowd);
}

static void
client_start (Crowd *crowd)
{
  Client *client = g_new0 (Client, 1);

  client->crowd = crowd;
  client->number = crowd->n_started++;
  client->socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_assert_nonnull (client->socket);
  g_socket_set_blocking (client->socket, FALSE);
  evp_event_loop_sock_connect_async (crowd->loop, client->socket, crowd->address, NULL, client_connected_cb, client);
}

static void
server_unref (Server *server)
{
  if (--server->n_pending > 0)
    return;
  server->crowd->n_closed++;
  /* not before: the queue of the listener must never be full, for then connections are lost */
  if (server->crowd->n_started < N_CONNECTIONS)
    client_start (server->crowd);
  crowd_check (server->crowd);
  g_object_unref (server->socket);
  g_object_unref (server->cancellable);
  g_free (server);
}

static void
server_received_cb (GObject      *source,
                    GAsyncResult *result,
                    gpointer      user_data)
{
  Server *server = user_data;
  g_autoptr (GBytes) bytes = evp_event_loop_sock_recv_finish (server->crowd->loop, result, NULL);

  /* a byte, the end, a reset or cancelled: whatever the kernel made of it */
  if (bytes != NULL && g_bytes_get_size (bytes) > 0)
    {
      evp_event_loop_sock_recv_async (server->crowd->loop, server->socket, 16, server->cancellable,
                                      server_received_cb, server);
      return;
    }
  g_cancellable_cancel (server->cancellable); /* the sending, if it still goes on */
  server_unref (server);
}

static void
server_sent_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  evp_event_loop_sock_sendall_finish (EVP_EVENT_LOOP (source), result, NULL);
  server_unref (user_data);
}

static void
accepted_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      user_data)
{
  Crowd *crowd = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = g_bytes_new_static ("hello", 5);
  Server *server = g_new0 (Server, 1);

  server->crowd = crowd;
  server->cancellable = g_cancellable_new ();
  server->n_pending = 2;
  server->socket = evp_event_loop_sock_accept_finish (crowd->loop, result, &error);
  g_assert_no_error (error);
  evp_event_loop_sock_recv_async (crowd->loop, server->socket, 16, server->cancellable, server_received_cb, server);
  evp_event_loop_sock_sendall_async (crowd->loop, server->socket, bytes, server->cancellable, server_sent_cb, server);
  if (++crowd->n_accepted < N_CONNECTIONS)
    evp_event_loop_sock_accept_async (crowd->loop, crowd->listener, NULL, accepted_cb, crowd);
}

/* Rules: K-5, K-9, K-12, K-18 */
static void
test_connections (gconstpointer make)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (110, "many connections");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  Crowd crowd = { ((MakeLoop) make) () };

  g_assert_nonnull (crowd.loop);
  crowd.listener = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_socket_set_blocking (crowd.listener, FALSE);
  g_socket_set_listen_backlog (crowd.listener, 2 * N_AT_ONCE);
  g_assert_true (g_socket_bind (crowd.listener, any, FALSE, NULL));
  g_assert_true (g_socket_listen (crowd.listener, NULL));
  crowd.address = g_socket_get_local_address (crowd.listener, NULL);

  evp_event_loop_sock_accept_async (crowd.loop, crowd.listener, NULL, accepted_cb, &crowd);
  for (guint i = 0; i < N_AT_ONCE; i++)
    client_start (&crowd);
  g_assert_true (evp_event_loop_run_forever (crowd.loop, NULL));
  g_assert_cmpuint (crowd.n_ended, ==, N_CONNECTIONS);
  g_assert_cmpuint (crowd.n_accepted, ==, N_CONNECTIONS);
  g_assert_cmpuint (crowd.n_closed, ==, N_CONNECTIONS);

  g_assert_true (evp_event_loop_close (crowd.loop, NULL));
  g_assert_finalize_object (crowd.loop);
  g_object_unref (crowd.listener);
  g_object_unref (crowd.address);
  evp_test_leaks_check (&leaks);
}

static void
pending_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  guint *n_ended = user_data;
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_event_loop_sock_recv_finish (EVP_EVENT_LOOP (source), result, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  (*n_ended)++;
}

/* Rules: K-18, L-13 */
static void
test_close_pending (gconstpointer make)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (110, "closing a loop with much to do");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_autoptr (GPtrArray) sockets = g_ptr_array_new_with_free_func (g_object_unref);
  EvpAbstractEventLoop *loop = ((MakeLoop) make) ();
  guint n_ended = 0;

  for (guint i = 0; i < N_PENDING; i++)
    {
      int fds[2];

      g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
      for (guint j = 0; j < 2; j++)
        {
          GSocket *socket = g_socket_new_from_fd (fds[j], NULL);

          g_socket_set_blocking (socket, FALSE);
          g_ptr_array_add (sockets, socket);
          evp_event_loop_sock_recv_async (loop, socket, 4096, NULL, pending_cb, &n_ended);
        }
    }
  evp_event_loop_stop (loop);
  g_assert_true (evp_event_loop_run_forever (loop, NULL));
  g_assert_cmpuint (n_ended, ==, 0);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_cmpuint (n_ended, ==, 2 * N_PENDING);
  g_assert_finalize_object (loop);
  g_ptr_array_set_size (sockets, 0);
  evp_test_leaks_check (&leaks);
}

int
main (int    argc,
      char **argv)
{
  struct rlimit limit;

  g_test_init (&argc, &argv, NULL);

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);

  g_test_add_data_func ("/evp/stress/sockets/connections/selector", make_selector, test_connections);
  g_test_add_data_func ("/evp/stress/sockets/close-pending/selector", make_selector, test_close_pending);
  g_test_add_data_func ("/evp/stress/sockets/connections/proactor", make_proactor, test_connections);
  g_test_add_data_func ("/evp/stress/sockets/close-pending/proactor", make_proactor, test_close_pending);

  return g_test_run ();
}
