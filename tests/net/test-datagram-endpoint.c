/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "net/net-contextless.h"
#include "net/net-loops.h"

#include "evp/base/evp-debug-private.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Two endpoints on one loop, or one and a bare socket. */

static GSocketAddress *
inet (const char *host,
      guint       port)
{
  return g_inet_socket_address_new_from_string (host, port);
}

static EvpDatagramEndpoint *
create_full (NetFixture         *fixture,
             GSocketAddress     *local,
             GSocketAddress     *remote,
             EvpDatagramOptions *options,
             GError            **error)
{
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };

  evp_event_loop_create_datagram_endpoint_async (fixture->loop, local, remote, options, NULL,
                                                 evp_test_ready_cb, &await);
  return evp_event_loop_create_datagram_endpoint_finish (fixture->loop, evp_test_await (&await), error);
}

static EvpDatagramEndpoint *
create (NetFixture     *fixture,
        GSocketAddress *local,
        GSocketAddress *remote)
{
  g_autoptr (GError) error = NULL;
  EvpDatagramEndpoint *endpoint = create_full (fixture, local, remote, NULL, &error);

  g_assert_no_error (error);
  return endpoint;
}

/* At a port of this machine that the system chooses. */
static EvpDatagramEndpoint *
create_local (NetFixture *fixture)
{
  g_autoptr (GSocketAddress) local = inet ("127.0.0.1", 0);

  return create (fixture, local, NULL);
}

static GSocketAddress *
address_of (EvpDatagramEndpoint *endpoint)
{
  g_autoptr (GError) error = NULL;
  GSocketAddress *address = evp_datagram_endpoint_get_local_address (endpoint, &error);

  g_assert_no_error (error);
  return address;
}

static guint
port_of (GSocketAddress *address)
{
  return g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
}

static void
send_text (EvpDatagramEndpoint *endpoint,
           const char          *text,
           GSocketAddress      *address)
{
  g_autoptr (GBytes) data = g_bytes_new (text, strlen (text));
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_datagram_endpoint_send (endpoint, data, address, &error));
  g_assert_no_error (error);
}

static GBytes *
receive (NetFixture          *fixture,
         EvpDatagramEndpoint *endpoint,
         GSocketAddress     **address,
         GError             **error)
{
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };

  evp_datagram_endpoint_receive_async (endpoint, NULL, evp_test_ready_cb, &await);
  return evp_datagram_endpoint_receive_finish (endpoint, evp_test_await (&await), address, error);
}

static void
assert_bytes (GBytes     *data,
              const char *text)
{
  g_assert_nonnull (data);
  g_assert_cmpmem (g_bytes_get_data (data, NULL), g_bytes_get_size (data), text, strlen (text));
}

static void
assert_received (NetFixture          *fixture,
                 EvpDatagramEndpoint *endpoint,
                 const char          *text,
                 GSocketAddress      *from)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GBytes) data = receive (fixture, endpoint, &address, &error);

  g_assert_no_error (error);
  assert_bytes (data, text);
  if (from != NULL)
    g_assert_cmpuint (port_of (address), ==, port_of (from));
}

/* Closes it, and sees that nobody else holds it. */
static void
close_endpoint (NetFixture          *fixture,
                EvpDatagramEndpoint *endpoint)
{
  evp_datagram_endpoint_close (endpoint);
  g_assert_true (evp_datagram_endpoint_is_closing (endpoint));
  evp_datagram_endpoint_close (endpoint);
  evp_test_run_ready (fixture->loop);
  g_assert_null (evp_datagram_endpoint_get_socket (endpoint));
  g_assert_finalize_object (endpoint);
}

/* What the signals of an endpoint have said. */
typedef struct
{
  NetFixture *fixture;
  GString *log;
  guint n;
  guint wanted;
  gboolean enough;
  GError *error;
  GSocketAddress *address;
  gboolean flag;
} Heard;

static void
heard_init (Heard      *heard,
            NetFixture *fixture,
            guint       wanted)
{
  *heard = (Heard) { .fixture = fixture, .log = g_string_new (NULL), .wanted = wanted };
}

static void
heard_clear (Heard *heard)
{
  g_string_free (heard->log, TRUE);
  g_clear_error (&heard->error);
  g_clear_object (&heard->address);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Heard, heard_clear)

static void
received_cb (EvpDatagramEndpoint *endpoint,
             GBytes              *data,
             GSocketAddress      *address,
             gpointer             user_data)
{
  Heard *heard = user_data;

  g_string_append_len (heard->log, g_bytes_get_data (data, NULL), (gssize) g_bytes_get_size (data));
  g_string_append_c (heard->log, ' ');
  g_set_object (&heard->address, address);
  if (++heard->n == heard->wanted)
    heard->enough = TRUE;
}

static void
error_cb (EvpDatagramEndpoint *endpoint,
          GError              *error,
          gpointer             user_data)
{
  Heard *heard = user_data;

  g_clear_error (&heard->error);
  heard->error = g_error_copy (error);
  heard->flag = TRUE;
}

static void
flag_cb (EvpDatagramEndpoint *endpoint,
         gpointer             user_data)
{
  ((Heard *) user_data)->flag = TRUE;
}

/* Rules: T-12 */
static void
test_echo (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_autoptr (GSocketAddress) client_address = address_of (client);
  g_autoptr (GSocketAddress) sender = NULL;
  g_autoptr (GBytes) data = NULL;
  g_autoptr (GBytes) empty = g_bytes_new (NULL, 0);
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_datagram_endpoint_get_loop (client) == fixture->loop);
  g_assert_cmpuint (port_of (evp_datagram_endpoint_get_remote_address (client)), ==, port_of (server_address));
  g_assert_null (evp_datagram_endpoint_get_remote_address (server));

  send_text (client, "one", NULL);
  data = receive (fixture, server, &sender, &error);
  g_assert_no_error (error);
  assert_bytes (data, "one");
  g_assert_cmpuint (port_of (sender), ==, port_of (client_address));
  send_text (server, "two", sender);
  assert_received (fixture, client, "two", server_address);

  /* its remote address, spelt out */
  send_text (client, "three", server_address);
  assert_received (fixture, server, "three", client_address);

  /* an empty datagram is one, and no end */
  g_assert_true (evp_datagram_endpoint_send (client, empty, NULL, &error));
  send_text (client, "four", NULL);
  assert_received (fixture, server, "", client_address);
  assert_received (fixture, server, "four", client_address);

  close_endpoint (fixture, client);
  close_endpoint (fixture, server);
}

/* Rules: T-12, K-8 */
static void
test_senders (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *one = create (fixture, NULL, server_address);
  EvpDatagramEndpoint *other = create (fixture, NULL, server_address);
  g_autoptr (GSocketAddress) one_address = address_of (one);
  g_autoptr (GSocketAddress) other_address = address_of (other);

  /* each is told from the last */
  for (guint i = 0; i < 3; i++)
    {
      send_text (one, "one", NULL);
      assert_received (fixture, server, "one", one_address);
      send_text (other, "other", NULL);
      assert_received (fixture, server, "other", other_address);
    }

  close_endpoint (fixture, one);
  close_endpoint (fixture, other);
  close_endpoint (fixture, server);
}

/* Rules: T-12 */
static void
test_address (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  g_autoptr (GSocketAddress) other = inet ("127.0.0.1", 9);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_autoptr (GBytes) data = g_bytes_new_static ("x", 1);
  g_autoptr (GError) error = NULL;

  g_assert_false (evp_datagram_endpoint_send (client, data, other, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (evp_datagram_endpoint_send (server, data, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);

  close_endpoint (fixture, client);
  close_endpoint (fixture, server);
}

static void
never_ready_cb (int      fd,
                gpointer user_data)
{
  g_assert_not_reached ();
}

/* Rules: F-9, K-2 */
static void
test_owned (NetFixture *fixture)
{
  EvpDatagramEndpoint *endpoint = create_local (fixture);
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autoptr (GError) error = NULL;

  evp_event_loop_sock_recvfrom_async (fixture->loop, evp_datagram_endpoint_get_socket (endpoint), 10, NULL,
                                      evp_test_ready_cb, &await);
  g_assert_null (evp_event_loop_sock_recvfrom_finish (fixture->loop, evp_test_await (&await), NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);

  g_assert_false (evp_event_loop_add_reader (fixture->loop,
                                             g_socket_get_fd (evp_datagram_endpoint_get_socket (endpoint)),
                                             never_ready_cb, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  close_endpoint (fixture, endpoint);
}

/* Rules: T-12 */
static void
test_signals (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_autoptr (GSocketAddress) client_address = address_of (client);
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autoptr (GBytes) data = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Heard) heard = { 0 };

  heard_init (&heard, fixture, 3);
  g_signal_connect (server, "datagram-received", G_CALLBACK (received_cb), &heard);
  send_text (client, "one", NULL);
  send_text (client, "two", NULL);
  send_text (client, "three", NULL);
  g_assert_cmpuint (heard.n, ==, 0);
  evp_test_run_until (fixture->loop, &heard.enough);
  g_assert_cmpstr (heard.log->str, ==, "one two three ");
  g_assert_cmpuint (port_of (heard.address), ==, port_of (client_address));

  /* who waits comes first */
  evp_datagram_endpoint_receive_async (server, NULL, evp_test_ready_cb, &await);
  send_text (client, "four", NULL);
  send_text (client, "five", NULL);
  heard.enough = FALSE;
  heard.wanted = 4;
  data = evp_datagram_endpoint_receive_finish (server, evp_test_await (&await), NULL, &error);
  g_assert_no_error (error);
  assert_bytes (data, "four");
  evp_test_await_clear (&await);
  evp_test_run_until (fixture->loop, &heard.enough);
  g_assert_cmpstr (heard.log->str, ==, "one two three five ");

  close_endpoint (fixture, client);
  close_endpoint (fixture, server);
}

/* What nobody wants stays in the socket, wakes nobody up, and comes when somebody wants it, in order. */
/* Rules: T-12 */
static void
test_late (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_auto (Heard) heard = { 0 };

  send_text (client, "one", NULL);
  send_text (client, "two", NULL);
  evp_test_run_ready (fixture->loop);
  assert_received (fixture, server, "one", NULL);
  evp_test_run_ready (fixture->loop);
  assert_received (fixture, server, "two", NULL);

  send_text (client, "three", NULL);
  evp_test_run_ready (fixture->loop);
  while (!evp_test_sleeps (fixture->loop))
    evp_test_run_ready (fixture->loop);
  heard_init (&heard, fixture, 1);
  g_signal_connect (server, "datagram-received", G_CALLBACK (received_cb), &heard);
  g_assert_false (evp_test_sleeps (fixture->loop));
  evp_test_run_until (fixture->loop, &heard.enough);
  g_assert_cmpstr (heard.log->str, ==, "three ");

  close_endpoint (fixture, client);
  close_endpoint (fixture, server);
}

/* Rules: T-12 */
static void
test_refused (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_autoptr (GSocketAddress) client_address = address_of (client);
  g_autoptr (GBytes) data = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Heard) heard = { 0 };

  heard_init (&heard, fixture, 0);
  g_signal_connect (client, "error-received", G_CALLBACK (error_cb), &heard);
  close_endpoint (fixture, server);

  /* who waits hears of it, and so do the handlers */
  send_text (client, "nobody listens", NULL);
  data = receive (fixture, client, NULL, &error);
  g_assert_null (data);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_assert_true (heard.flag);
  g_assert_error (heard.error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);

  /* the endpoint lives on */
  server = create (fixture, server_address, NULL);
  send_text (client, "somebody listens", NULL);
  assert_received (fixture, server, "somebody listens", client_address);

  close_endpoint (fixture, client);
  close_endpoint (fixture, server);
}

/* Rules: T-12 */
static void
test_refused_unasked (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_autoptr (GSocketAddress) client_address = address_of (client);
  g_autoptr (GBytes) data = NULL;

  close_endpoint (fixture, server);

  /* nobody waits for datagrams: the errors come all the same, each time */
  for (int i = 0; i < 2; i++)
    {
      g_auto (Heard) heard = { 0 };
      gulong id;

      heard_init (&heard, fixture, 0);
      id = g_signal_connect (client, "error-received", G_CALLBACK (error_cb), &heard);
      send_text (client, "nobody listens", NULL);
      evp_test_run_until (fixture->loop, &heard.flag);
      g_assert_error (heard.error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
      g_signal_handler_disconnect (client, id);
    }

  /* and what has come meanwhile still waits in the socket */
  server = create (fixture, server_address, NULL);
  send_text (server, "later", client_address);
  assert_received (fixture, client, "later", server_address);

  close_endpoint (fixture, client);
  close_endpoint (fixture, server);
}

/* Rules: T-12 */
static void
test_too_large (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_autofree char *large = g_strnfill (70000, 'x');
  g_autoptr (GBytes) data = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Heard) heard = { 0 };

  /* to send: not from send() itself */
  heard_init (&heard, fixture, 0);
  g_signal_connect (client, "error-received", G_CALLBACK (error_cb), &heard);
  send_text (client, large, NULL);
  g_assert_false (heard.flag);
  evp_test_run_until (fixture->loop, &heard.flag);
  g_assert_error (heard.error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);

  /* to receive */
  g_assert_cmpuint (evp_datagram_endpoint_get_max_size (server), ==, 256 * 1024);
  evp_datagram_endpoint_set_max_size (server, 4);
  send_text (client, "12345", NULL);
  send_text (client, "1234", NULL);
  data = receive (fixture, server, NULL, &error);
  g_assert_null (data);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE);
  assert_received (fixture, server, "1234", NULL);

  close_endpoint (fixture, client);
  close_endpoint (fixture, server);
}

/* Rules: T-12 */
static void
test_queue (NetFixture *fixture)
{
  int fds[2];
  g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();
  EvpDatagramEndpoint *sender;
  g_autoptr (GError) error = NULL;
  g_auto (Heard) heard = { 0 };
  guint n_sent = 0, n_received = 0, n_at_once = 0;

  heard_init (&heard, fixture, 0);
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  {
    g_autoptr (GSocket) socket = g_socket_new_from_fd (fds[0], &error);

    g_assert_no_error (error);
    evp_datagram_options_set_socket (options, socket);
    sender = create_full (fixture, NULL, NULL, options, &error);
    g_assert_no_error (error);
    evp_datagram_options_set_socket (options, NULL);
  }
  g_signal_connect (sender, "drained", G_CALLBACK (flag_cb), &heard);
  g_assert_cmpuint (evp_datagram_endpoint_get_high_water (sender), ==, 64 * 1024);
  evp_datagram_endpoint_set_high_water (sender, 10 * (64 + sizeof n_sent));

  for (guint round = 0; round < 3; round++)
    {
      guint n_before = n_sent;

      /* until it is refused, after as many each time */
      for (;;)
        {
          g_autoptr (GBytes) data = g_bytes_new (&n_sent, sizeof n_sent);

          if (!evp_datagram_endpoint_send (sender, data, NULL, &error))
            break;
          n_sent++;
          g_assert_cmpuint (n_sent, <, 100000);
        }
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
      g_clear_error (&error);
      if (round == 0)
        n_at_once = n_sent;
      g_assert_cmpuint (n_at_once, >, 10);
      g_assert_cmpuint (n_sent - n_before, >, n_at_once - 5);

      while (n_received < n_sent)
        {
          guint number;

          if (read (fds[1], &number, sizeof number) == sizeof number)
            {
              g_assert_cmpuint (number, ==, n_received);
              n_received++;
            }
          else
            {
              g_assert_cmpint (errno, ==, EAGAIN);
              evp_test_run_ready (fixture->loop);
            }
        }
      evp_test_run_until (fixture->loop, &heard.flag);
      heard.flag = FALSE;
    }
  send_text (sender, "more", NULL);
  close_endpoint (fixture, sender);
  close (fds[1]);
}

/* Rules: T-6, T-12 */
static void
test_close_flushes (NetFixture *fixture)
{
  int fds[2];
  g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();
  g_autoptr (GBytes) data = g_bytes_new_static ("x", 1);
  g_autoptr (GError) error = NULL;
  g_auto (Heard) heard = { 0 };
  guint n_sent = 0, n_received = 0;
  char byte;
  EvpDatagramEndpoint *sender;

  heard_init (&heard, fixture, 0);
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  {
    g_autoptr (GSocket) socket = g_socket_new_from_fd (fds[0], &error);

    evp_datagram_options_set_socket (options, socket);
    sender = create_full (fixture, NULL, NULL, options, &error);
    g_assert_no_error (error);
    evp_datagram_options_set_socket (options, NULL);
  }
  evp_datagram_endpoint_set_high_water (sender, 0);
  while (evp_datagram_endpoint_send (sender, data, NULL, &error))
    n_sent++;
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  g_clear_error (&error);

  g_signal_connect (sender, "closed", G_CALLBACK (flag_cb), &heard);
  evp_datagram_endpoint_close (sender);
  g_assert_false (evp_datagram_endpoint_send (sender, data, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_object_unref (sender); /* what was sent is sent, whoever forgets it */
  evp_test_run_ready (fixture->loop);
  g_assert_false (heard.flag);
  while (!heard.flag)
    {
      while (read (fds[1], &byte, 1) == 1)
        n_received++;
      evp_test_run_ready (fixture->loop);
    }
  while (read (fds[1], &byte, 1) == 1)
    n_received++;
  g_assert_cmpuint (n_received, ==, n_sent);
  close (fds[1]);
}

/* Rules: N-22 */
static void
test_unix (NetFixture *fixture)
{
  g_autofree char *folder = g_dir_make_tmp ("evp-XXXXXX", NULL);
  g_autofree char *server_path = g_build_filename (folder, "server", NULL);
  g_autofree char *client_path = g_build_filename (folder, "client", NULL);
  g_autoptr (GSocketAddress) server_address = g_unix_socket_address_new (server_path);
  g_autoptr (GSocketAddress) client_address = g_unix_socket_address_new (client_path);
  EvpDatagramEndpoint *server = create (fixture, server_address, NULL);
  EvpDatagramEndpoint *client = create (fixture, client_address, server_address);
  EvpDatagramEndpoint *nameless = create (fixture, NULL, server_address);
  g_autoptr (GSocketAddress) sender = NULL;
  g_autoptr (GSocketAddress) no_name = NULL;
  g_autoptr (GBytes) data = NULL;
  g_autoptr (GBytes) again = NULL;
  g_autoptr (GError) error = NULL;
  guint n_warnings = evp_warn_runtime_get_count ();

  send_text (client, "one", NULL);
  data = receive (fixture, server, &sender, &error);
  g_assert_no_error (error);
  assert_bytes (data, "one");
  g_assert_cmpstr (g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (sender)), ==, client_path);
  send_text (server, "two", sender);
  assert_received (fixture, client, "two", NULL);

  send_text (nameless, "three", NULL);
  again = receive (fixture, server, &no_name, &error);
  g_assert_no_error (error);
  assert_bytes (again, "three");
  g_assert_cmpint (g_unix_socket_address_get_address_type (G_UNIX_SOCKET_ADDRESS (no_name)), ==,
                   G_UNIX_SOCKET_ADDRESS_ANONYMOUS);
  close_endpoint (fixture, nameless);

  /* a socket that was left behind is removed, and nobody is told; another file stays */
  close_endpoint (fixture, server);
  g_assert_true (g_file_test (server_path, G_FILE_TEST_EXISTS));
  server = create (fixture, server_address, NULL);
  close_endpoint (fixture, server);
  g_assert_no_errno (g_unlink (server_path));
  g_assert_true (g_file_set_contents (server_path, "precious", -1, NULL));
  g_assert_null (create_full (fixture, server_address, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_nonnull (strstr (error->message, server_path));
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings);

  close_endpoint (fixture, client);
  g_assert_no_errno (g_unlink (server_path));
  g_assert_no_errno (g_unlink (client_path));
  g_assert_no_errno (g_rmdir (folder));
}

static void
run_ready_cb (gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
}

/*
 * The room that a unix datagram needs is the receiver's, and the kernel does not say when there is some
 * for a socket that is not connected: the loop must neither spin nor forget.
 */
static void
test_unix_full (NetFixture *fixture)
{
  g_autofree char *folder = g_dir_make_tmp ("evp-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "receiver", NULL);
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();
  g_autoptr (GSocket) receiver = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, 0, NULL);
  EvpDatagramEndpoint *sender;
  g_autoptr (GError) error = NULL;
  guint n_sent = 0, n_received = 0;

  g_socket_set_blocking (receiver, FALSE);
  g_assert_true (g_socket_bind (receiver, address, FALSE, NULL));
  evp_datagram_options_set_family (options, G_SOCKET_FAMILY_UNIX);
  sender = create_full (fixture, NULL, NULL, options, &error);
  g_assert_no_error (error);
  for (;;)
    {
      g_autoptr (GBytes) data = g_bytes_new (&n_sent, sizeof n_sent);

      if (!evp_datagram_endpoint_send (sender, data, address, &error))
        break;
      n_sent++;
    }
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);

  if (EVP_IS_BASE_EVENT_LOOP (fixture->loop))
    {
      g_autoptr (EvpLoopStatistics) before = evp_base_event_loop_get_statistics (EVP_BASE_EVENT_LOOP (fixture->loop));
      g_autoptr (EvpLoopStatistics) after = NULL;
      gboolean over = FALSE;

      evp_event_loop_call_later (fixture->loop, 0.1, run_ready_cb, &over, NULL, NULL);
      evp_test_run_until (fixture->loop, &over);
      after = evp_base_event_loop_get_statistics (EVP_BASE_EVENT_LOOP (fixture->loop));
      g_assert_cmpuint (evp_loop_statistics_get_callbacks (after) - evp_loop_statistics_get_callbacks (before), <, 100);
    }

  while (n_received < n_sent)
    {
      guint number;

      if (g_socket_receive (receiver, (char *) &number, sizeof number, NULL, NULL) == sizeof number)
        {
          g_assert_cmpuint (number, ==, n_received);
          n_received++;
        }
      else
        {
          gboolean turned = FALSE;

          evp_event_loop_call_later (fixture->loop, 0.001, run_ready_cb, &turned, NULL, NULL);
          evp_test_run_until (fixture->loop, &turned);
        }
    }
  close_endpoint (fixture, sender);
  g_assert_no_errno (g_unlink (path));
  g_assert_no_errno (g_rmdir (folder));
}

typedef struct
{
  NetFixture *fixture;
  GSocketAddress *full;
  guint n_timers;
  gboolean returned;
} Retry;

/* Sends where there is no room, and runs the loop until it has given up to be told of any. */
static void
send_in_error_cb (EvpDatagramEndpoint *endpoint,
                  GError              *error,
                  gpointer             user_data)
{
  Retry *retry = user_data;
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (retry->fixture->loop);

  send_text (endpoint, "two", retry->full);
  while (evp_test_count_timers (retry->fixture->loop) == retry->n_timers)
    g_main_context_iteration (context, TRUE);
  retry->returned = TRUE;
}

static void
assert_socket_has (NetFixture *fixture,
                   GSocket    *socket,
                   const char *text)
{
  char buffer[16];
  gssize n;

  while ((n = g_socket_receive (socket, buffer, sizeof buffer, NULL, NULL)) < 0)
    evp_test_run_ready (fixture->loop);
  g_assert_cmpmem (buffer, n, text, strlen (text));
}

/* A datagram that has to wait is tried again by one timer, also when a handler runs a loop of its own. */
/* Rules: T-12 */
static void
test_unix_full_nested (NetFixture *fixture)
{
  g_autofree char *folder = g_dir_make_tmp ("evp-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (folder, "receiver", NULL);
  g_autofree char *nowhere_path = g_build_filename (folder, "nowhere", NULL);
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  g_autoptr (GSocketAddress) nowhere = g_unix_socket_address_new (nowhere_path);
  g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();
  g_autoptr (GSocket) receiver = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, 0, NULL);
  g_autoptr (GSocket) filler = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, 0, NULL);
  Retry retry = { fixture, address, evp_test_count_timers (fixture->loop), FALSE };
  EvpDatagramEndpoint *sender;
  g_autoptr (GError) error = NULL;
  guint n_filled = 0;

  g_socket_set_blocking (receiver, FALSE);
  g_socket_set_blocking (filler, FALSE);
  g_assert_true (g_socket_bind (receiver, address, FALSE, NULL));
  while (g_socket_send_to (filler, address, "x", 1, NULL, NULL) == 1)
    n_filled++;
  evp_datagram_options_set_family (options, G_SOCKET_FAMILY_UNIX);
  sender = create_full (fixture, NULL, NULL, options, &error);
  g_assert_no_error (error);
  g_signal_connect (sender, "error-received", G_CALLBACK (send_in_error_cb), &retry);

  send_text (sender, "one", address);
  send_text (sender, "lost", nowhere);
  while (evp_test_count_timers (fixture->loop) == retry.n_timers)
    evp_test_run_ready (fixture->loop);
  assert_socket_has (fixture, receiver, "x");
  evp_test_run_until (fixture->loop, &retry.returned);
  for (int i = 0; i < 3; i++)
    evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (evp_test_count_timers (fixture->loop), ==, retry.n_timers + 1);

  for (guint i = 1; i < n_filled; i++)
    assert_socket_has (fixture, receiver, "x");
  assert_socket_has (fixture, receiver, "one");
  assert_socket_has (fixture, receiver, "two");
  close_endpoint (fixture, sender);
  g_assert_no_errno (g_unlink (path));
  g_assert_no_errno (g_rmdir (folder));
}

static void
assert_refused (NetFixture         *fixture,
                GSocketAddress     *local,
                GSocketAddress     *remote,
                EvpDatagramOptions *options)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (create_full (fixture, local, remote, options, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
}

/* Rules: N-22 */
static void
test_arguments (NetFixture *fixture)
{
  g_autoptr (GSocketAddress) ipv4 = inet ("127.0.0.1", 0);
  g_autoptr (GSocketAddress) ipv6 = inet ("::1", 0);
  g_autoptr (GSocketAddress) remote = inet ("127.0.0.1", 9);
  g_autoptr (GSocket) stream = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GSocket) datagram = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, 0, NULL);
  g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) taken = NULL;
  EvpDatagramEndpoint *endpoint;

  /* nothing to go by, and families that do not agree */
  assert_refused (fixture, NULL, NULL, NULL);
  assert_refused (fixture, NULL, NULL, options);
  assert_refused (fixture, ipv6, remote, NULL);
  evp_datagram_options_set_family (options, G_SOCKET_FAMILY_IPV6);
  assert_refused (fixture, ipv4, NULL, options);

  /* a family is enough */
  evp_datagram_options_set_family (options, G_SOCKET_FAMILY_IPV4);
  endpoint = create_full (fixture, NULL, NULL, options, &error);
  g_assert_no_error (error);
  close_endpoint (fixture, endpoint);

  /* a socket stands alone */
  evp_datagram_options_set_socket (options, datagram);
  assert_refused (fixture, NULL, NULL, options);
  evp_datagram_options_set_family (options, G_SOCKET_FAMILY_INVALID);
  assert_refused (fixture, ipv4, NULL, options);
  assert_refused (fixture, NULL, remote, options);
  evp_datagram_options_set_allow_broadcast (options, TRUE);
  assert_refused (fixture, NULL, NULL, options);
  evp_datagram_options_set_allow_broadcast (options, FALSE);
  evp_datagram_options_set_reuse_port (options, TRUE);
  assert_refused (fixture, NULL, NULL, options);
  evp_datagram_options_set_reuse_port (options, FALSE);
  evp_datagram_options_set_socket (options, stream);
  assert_refused (fixture, NULL, NULL, options);
  evp_datagram_options_set_socket (options, datagram);
  endpoint = create_full (fixture, NULL, NULL, options, &error);
  g_assert_no_error (error);
  g_assert_true (evp_datagram_endpoint_get_socket (endpoint) == datagram);
  g_assert_false (g_socket_get_blocking (datagram));
  evp_datagram_options_set_socket (options, NULL);
  close_endpoint (fixture, endpoint);
  g_assert_true (g_socket_is_closed (datagram));

  /* an address that is taken */
  endpoint = create (fixture, ipv4, NULL);
  taken = address_of (endpoint);
  g_assert_null (create_full (fixture, taken, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  close_endpoint (fixture, endpoint);
}

static int
socket_option (EvpDatagramEndpoint *endpoint,
               int                  option)
{
  int value = -1;

  g_assert_true (g_socket_get_option (evp_datagram_endpoint_get_socket (endpoint), SOL_SOCKET, option, &value, NULL));
  return value;
}

/* Rules: N-23 */
static void
test_options (NetFixture *fixture)
{
  g_autoptr (GSocketAddress) local = inet ("127.0.0.1", 0);
  g_autoptr (GSocketAddress) first_address = NULL;
  g_autoptr (GSocketAddress) second_address = NULL;
  g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();
  g_autoptr (GError) error = NULL;
  EvpDatagramEndpoint *plain = create (fixture, local, NULL);
  EvpDatagramEndpoint *first, *second, *broadcast, *listener;
  struct sockaddr_storage peer;
  socklen_t length = sizeof peer;

  /* only what was asked for */
  g_assert_cmpint (socket_option (plain, SO_BROADCAST), ==, 0);
  g_assert_cmpint (socket_option (plain, SO_REUSEPORT), ==, 0);
  g_assert_cmpint (socket_option (plain, SO_REUSEADDR), ==, 0);
  close_endpoint (fixture, plain);

  evp_datagram_options_set_reuse_port (options, TRUE);
  first = create_full (fixture, local, NULL, options, &error);
  g_assert_no_error (error);
  g_assert_cmpint (socket_option (first, SO_REUSEPORT), ==, 1);
  first_address = address_of (first);
  second = create_full (fixture, first_address, NULL, options, &error);
  g_assert_no_error (error);
  second_address = address_of (second);
  g_assert_cmpuint (port_of (first_address), ==, port_of (second_address));
  close_endpoint (fixture, first);
  close_endpoint (fixture, second);

  /* a remote address, and not connected: others may answer, but it sends there only */
  evp_datagram_options_set_reuse_port (options, FALSE);
  evp_datagram_options_set_allow_broadcast (options, TRUE);
  listener = create (fixture, first_address, NULL);
  broadcast = create_full (fixture, NULL, first_address, options, &error);
  g_assert_no_error (error);
  g_assert_cmpint (socket_option (broadcast, SO_BROADCAST), ==, 1);
  g_assert_cmpint (getpeername (g_socket_get_fd (evp_datagram_endpoint_get_socket (broadcast)),
                                (struct sockaddr *) &peer, &length), ==, -1);
  send_text (broadcast, "to all", NULL);
  assert_received (fixture, listener, "to all", NULL);
  {
    g_autoptr (GBytes) data = g_bytes_new_static ("x", 1);

    g_assert_false (evp_datagram_endpoint_send (broadcast, data, local, &error));
    g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  }
  close_endpoint (fixture, broadcast);
  close_endpoint (fixture, listener);
}

/* Cancelling a wait loses nothing. */
static void
test_cancel (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  {
    g_auto (EvpTestAwait) first = { fixture->loop, NULL };
    g_auto (EvpTestAwait) second = { fixture->loop, NULL };
    g_auto (EvpTestAwait) third = { fixture->loop, NULL };
    g_autoptr (GBytes) data = NULL;

    evp_datagram_endpoint_receive_async (server, cancellable, evp_test_ready_cb, &first);
    evp_datagram_endpoint_receive_async (server, NULL, evp_test_ready_cb, &second);
    evp_test_run_ready (fixture->loop);
    g_cancellable_cancel (cancellable);
    g_assert_null (evp_datagram_endpoint_receive_finish (server, evp_test_await (&first), NULL, &error));
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_clear_error (&error);

    send_text (client, "kept", NULL);
    data = evp_datagram_endpoint_receive_finish (server, evp_test_await (&second), NULL, &error);
    g_assert_no_error (error);
    assert_bytes (data, "kept");

    evp_datagram_endpoint_receive_async (server, cancellable, evp_test_ready_cb, &third);
    g_assert_null (evp_datagram_endpoint_receive_finish (server, evp_test_await (&third), NULL, &error));
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_clear_error (&error);
  }

  /* closing ends waits */
  {
    g_auto (EvpTestAwait) waiting = { fixture->loop, NULL };
    g_auto (EvpTestAwait) late = { fixture->loop, NULL };

    evp_datagram_endpoint_receive_async (server, NULL, evp_test_ready_cb, &waiting);
    evp_test_run_ready (fixture->loop);
    evp_datagram_endpoint_close (server);
    g_assert_null (evp_datagram_endpoint_receive_finish (server, evp_test_await (&waiting), NULL, &error));
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
    g_clear_error (&error);
    evp_datagram_endpoint_receive_async (server, NULL, evp_test_ready_cb, &late);
    g_assert_null (evp_datagram_endpoint_receive_finish (server, evp_test_await (&late), NULL, &error));
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  }
  close_endpoint (fixture, server);
  close_endpoint (fixture, client);
}

static void
close_in_handler_cb (EvpDatagramEndpoint *endpoint,
                     GBytes              *data,
                     GSocketAddress      *address,
                     gpointer             user_data)
{
  Heard *heard = user_data;

  received_cb (endpoint, data, address, user_data);
  evp_datagram_endpoint_close (endpoint);
  heard->flag = TRUE;
}

/* Rules: T-6 */
static void
test_close_in_handler (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_auto (Heard) heard = { 0 };

  heard_init (&heard, fixture, 0);
  g_signal_connect (server, "datagram-received", G_CALLBACK (close_in_handler_cb), &heard);
  send_text (client, "one", NULL);
  send_text (client, "two", NULL);
  evp_test_run_until (fixture->loop, &heard.flag);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpstr (heard.log->str, ==, "one ");
  close_endpoint (fixture, server);
  close_endpoint (fixture, client);
}

/* Its last reference goes inside a handler. */
static void
unref_in_handler_cb (EvpDatagramEndpoint *endpoint,
                     GBytes              *data,
                     GSocketAddress      *address,
                     gpointer             user_data)
{
  close_in_handler_cb (endpoint, data, address, user_data);
  g_object_unref (endpoint);
}

static void
test_unref_in_handler (NetFixture *fixture)
{
  EvpDatagramEndpoint *server = create_local (fixture);
  g_autoptr (GSocketAddress) server_address = address_of (server);
  EvpDatagramEndpoint *client = create (fixture, NULL, server_address);
  g_auto (Heard) heard = { 0 };
  gpointer weak = server;

  heard_init (&heard, fixture, 0);
  g_object_add_weak_pointer (G_OBJECT (server), &weak);
  g_signal_connect (server, "datagram-received", G_CALLBACK (unref_in_handler_cb), &heard);
  send_text (client, "one", NULL);
  evp_test_run_until (fixture->loop, &heard.flag);
  evp_test_run_ready (fixture->loop);
  g_assert_null (weak);
  close_endpoint (fixture, client);
}

static gpointer
drop_thread (gpointer endpoint)
{
  g_object_unref (endpoint);
  return NULL;
}

/* Rules: T-13 */
static void
test_drop (NetFixture *fixture)
{
  for (int elsewhere = 0; elsewhere < 2; elsewhere++)
    {
      EvpDatagramEndpoint *endpoint = create_local (fixture);
      g_autoptr (GSocket) socket = g_object_ref (evp_datagram_endpoint_get_socket (endpoint));
      guint n_warnings = evp_warn_runtime_get_count ();
      g_autofree char *warning = NULL;
      g_auto (Heard) heard = { 0 };

      heard_init (&heard, fixture, 0);
      g_signal_connect (endpoint, "error-received", G_CALLBACK (error_cb), &heard);
      g_signal_connect (endpoint, "closed", G_CALLBACK (flag_cb), &heard);
      if (elsewhere)
        g_thread_join (g_thread_new ("drop", drop_thread, endpoint));
      else
        g_object_unref (endpoint);
      g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings + 1);
      warning = evp_warn_runtime_dup_last ();
      g_assert_nonnull (strstr (warning, "datagram endpoint"));
      evp_test_run_ready (fixture->loop);
      g_assert_true (g_socket_is_closed (socket));
      g_assert_false (heard.flag);
    }
}

/* A loop that cannot wait for anything. */
typedef struct
{
  EvpSelectorEventLoop parent_instance;
} DeafLoop;

typedef EvpSelectorEventLoopClass DeafLoopClass;

GType deaf_loop_get_type (void);

static gboolean
deaf_loop_submit_operation (EvpAbstractEventLoop *loop,
                            EvpOperation         *operation,
                            GError              **error)
{
  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED, "deaf");
  return FALSE;
}

static void
deaf_loop_iface_init (gpointer iface,
                      gpointer data)
{
  ((EvpAbstractEventLoopInterface *) iface)->submit_operation = deaf_loop_submit_operation;
}

G_DEFINE_TYPE_WITH_CODE (DeafLoop, deaf_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, deaf_loop_iface_init))

static void
deaf_loop_class_init (DeafLoopClass *klass)
{
}

static void
deaf_loop_init (DeafLoop *self)
{
}

/* Then there is no endpoint, and a socket that was given is given back. */
static void
test_deaf (void)
{
  g_autoptr (EvpAbstractEventLoop) loop = g_object_new (deaf_loop_get_type (), NULL);
  NetFixture fixture = { .loop = loop };
  g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, 0, NULL);
  g_autoptr (GError) error = NULL;
  guint n_warnings = evp_warn_runtime_get_count ();

  evp_datagram_options_set_socket (options, socket);
  g_assert_null (create_full (&fixture, NULL, NULL, options, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_false (g_socket_is_closed (socket));
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings);
  evp_datagram_options_set_socket (options, NULL);
  g_assert_finalize_object (g_steal_pointer (&socket));
  g_assert_true (evp_event_loop_close (loop, NULL));
}

static void
note_receive_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      user_data)
{
  GError **error = user_data;

  g_assert_null (evp_datagram_endpoint_receive_finish (EVP_DATAGRAM_ENDPOINT (source), result, NULL, error));
}

static void
test_loop_closed (void)
{
  GMainContext *context = g_main_context_default (); /* has descriptors, too */
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a closed loop");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_autoptr (EvpAbstractEventLoop) loop = evp_selector_event_loop_new (NULL, NULL, NULL);
  NetFixture fixture = { .loop = loop };
  EvpDatagramEndpoint *endpoint = create_local (&fixture);
  EvpDatagramEndpoint *stalled = create_local (&fixture);
  g_autoptr (GSocketAddress) address = address_of (stalled);
  g_autoptr (GBytes) data = g_bytes_new_static ("x", 1);
  g_autoptr (GError) error = NULL;

  evp_datagram_endpoint_receive_async (endpoint, NULL, note_receive_cb, &error);
  send_text (endpoint, "nobody wants it", address);
  evp_test_run_ready (loop);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  g_assert_true (evp_datagram_endpoint_is_closing (endpoint));
  g_assert_true (evp_datagram_endpoint_is_closing (stalled));
  g_assert_null (evp_datagram_endpoint_get_socket (endpoint));
  g_assert_false (evp_datagram_endpoint_send (endpoint, data, address, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  evp_datagram_endpoint_receive_async (endpoint, NULL, note_receive_cb, &error);
  while (error == NULL)
    g_main_context_iteration (context, TRUE);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_assert_finalize_object (endpoint);
  g_assert_finalize_object (stalled);
  g_clear_object (&loop);
  evp_test_leaks_check (&leaks);
}

/* Languages can make any type without arguments. */
static void
test_half_made (void)
{
  EvpDatagramEndpoint *endpoint = g_object_new (EVP_TYPE_DATAGRAM_ENDPOINT, NULL);
  g_autoptr (GSocketAddress) address = inet ("127.0.0.1", 9);
  g_autoptr (GBytes) data = g_bytes_new_static ("x", 1);
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_datagram_endpoint_is_closing (endpoint));
  g_assert_null (evp_datagram_endpoint_get_socket (endpoint));
  g_assert_null (evp_datagram_endpoint_get_remote_address (endpoint));
  g_assert_null (evp_datagram_endpoint_get_local_address (endpoint, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_false (evp_datagram_endpoint_send (endpoint, data, address, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*io != NULL*");
  g_assert_null (evp_datagram_endpoint_get_loop (endpoint));
  g_test_assert_expected_messages ();
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*io != NULL*");
  evp_datagram_endpoint_receive_async (endpoint, NULL, note_receive_cb, &error);
  g_test_assert_expected_messages ();
  evp_datagram_endpoint_close (endpoint);
  evp_datagram_endpoint_abort (endpoint);
  g_assert_finalize_object (endpoint);
}

static void
stop_datagram_cb (EvpDatagramEndpoint *endpoint,
                  GBytes              *data,
                  GSocketAddress      *address,
                  gpointer             n_received)
{
  ++*(guint *) n_received;
  evp_event_loop_stop (evp_datagram_endpoint_get_loop (endpoint));
}

/* Without a main context nothing tells when a handler comes; what is in the socket goes to it all the same. */
static void
test_contextless (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a loop without a main context");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpAbstractEventLoop *loop = g_object_new (net_contextless_loop_get_type (), NULL);
  g_autoptr (GSocketAddress) local = inet ("127.0.0.1", 0);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GAsyncResult) created = NULL;
  g_autoptr (EvpDatagramEndpoint) endpoint = NULL;
  g_autoptr (GBytes) data = g_bytes_new_static ("x", 1);
  guint n_received = 0;
  g_autoptr (GError) error = NULL;

  evp_event_loop_create_datagram_endpoint_async (loop, local, NULL, NULL, NULL, net_contextless_ready_cb, &created);
  net_contextless_run (loop);
  endpoint = evp_event_loop_create_datagram_endpoint_finish (loop, created, &error);
  g_assert_no_error (error);
  address = address_of (endpoint);
  for (guint i = 0; i < 3; i++)
    {
      gulong id;

      g_assert_true (evp_datagram_endpoint_send (endpoint, data, address, &error));
      g_assert_no_error (error);
      net_contextless_pause (loop);
      g_assert_cmpuint (n_received, ==, i);
      if (i == 2)
        break; /* nobody wants the last one */
      id = g_signal_connect (endpoint, "datagram-received", G_CALLBACK (stop_datagram_cb), &n_received);
      net_contextless_run (loop);
      g_assert_cmpuint (n_received, ==, i + 1);
      g_signal_handler_disconnect (endpoint, id);
    }
  evp_datagram_endpoint_close (endpoint);
  g_assert_cmpuint (evp_test_count_timers (loop), ==, 0);
  g_clear_object (&created);
  g_assert_finalize_object (g_steal_pointer (&endpoint));
  g_assert_true (evp_event_loop_close (loop, &error));
  g_assert_finalize_object (loop);
  evp_test_leaks_check (&leaks);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/net/datagram-endpoint/contextless", test_contextless);
  net_test_add ("datagram-endpoint", "echo", test_echo);
  net_test_add ("datagram-endpoint", "senders", test_senders);
  net_test_add ("datagram-endpoint", "address", test_address);
  net_test_add ("datagram-endpoint", "owned", test_owned);
  net_test_add ("datagram-endpoint", "signals", test_signals);
  net_test_add ("datagram-endpoint", "late", test_late);
  net_test_add ("datagram-endpoint", "refused", test_refused);
  net_test_add ("datagram-endpoint", "refused-unasked", test_refused_unasked);
  net_test_add ("datagram-endpoint", "too-large", test_too_large);
  net_test_add ("datagram-endpoint", "queue", test_queue);
  net_test_add ("datagram-endpoint", "close-flushes", test_close_flushes);
  net_test_add ("datagram-endpoint", "unix", test_unix);
  net_test_add ("datagram-endpoint", "unix-full", test_unix_full);
  net_test_add ("datagram-endpoint", "unix-full-nested", test_unix_full_nested);
  net_test_add ("datagram-endpoint", "arguments", test_arguments);
  net_test_add ("datagram-endpoint", "options", test_options);
  net_test_add ("datagram-endpoint", "cancel", test_cancel);
  net_test_add ("datagram-endpoint", "close-in-handler", test_close_in_handler);
  net_test_add ("datagram-endpoint", "unref-in-handler", test_unref_in_handler);
  net_test_add ("datagram-endpoint", "drop", test_drop);
  g_test_add_func ("/evp/net/datagram-endpoint/deaf", test_deaf);
  g_test_add_func ("/evp/net/datagram-endpoint/loop-closed", test_loop_closed);
  g_test_add_func ("/evp/net/datagram-endpoint/half-made", test_half_made);

  return g_test_run ();
}
