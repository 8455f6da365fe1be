/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "net/net-loops.h"
#include "net/net-servers.h"

#include <gio/gunixconnection.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>

/* A resolver that knows a few names. */
typedef GResolver FakeResolver;
typedef GResolverClass FakeResolverClass;

GType fake_resolver_get_type (void);

G_DEFINE_TYPE (FakeResolver, fake_resolver, g_resolver_get_type ())

static gint n_asked; /* atomic */

static GList *
fake_resolver_lookup_by_name (GResolver    *resolver,
                              const char   *hostname,
                              GCancellable *cancellable,
                              GError      **error)
{
  static const struct
  {
    const char *name;
    const char *addresses[3];
  } hosts[] = {
    { "one.test", { "127.0.0.1" } },
    { "two.test", { "127.0.0.2", "127.0.0.1" } },
    { "twice.test", { "127.0.0.1", "127.0.0.1" } },
    { "three.test", { "127.0.0.3" } },
    { "six.test", { "::1" } },
    { "both.test", { "::1", "127.0.0.1" } },
    { "elsewhere.test", { "127.0.0.1", "2001:db8::1" } },
    { "nowhere.test", { "2001:db8::1" } },
  };
  GList *list = NULL;

  g_atomic_int_inc (&n_asked);
  while (g_str_equal (hostname, "slow.test") && !g_cancellable_is_cancelled (cancellable))
    g_thread_yield ();
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++)
    for (guint j = 0; g_str_equal (hostname, hosts[i].name) && j < 3 && hosts[i].addresses[j] != NULL; j++)
      list = g_list_append (list, g_inet_address_new_from_string (hosts[i].addresses[j]));
  if (list == NULL)
    g_set_error_literal (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND, "unknown here");
  return list;
}

static void
fake_resolver_class_init (FakeResolverClass *klass)
{
  klass->lookup_by_name = fake_resolver_lookup_by_name;
}

static void
fake_resolver_init (FakeResolver *self)
{
}

static char *
peer_of (GIOStream *stream)
{
  g_autoptr (GSocketAddress) address =
    g_socket_connection_get_remote_address (G_SOCKET_CONNECTION (stream), NULL);

  return g_inet_address_to_string (g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address)));
}

static char *
addresses_of (EvpServer *server)
{
  g_autoptr (GPtrArray) sockets = evp_server_get_sockets (server);
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < sockets->len; i++)
    {
      g_autoptr (GSocketAddress) address = g_socket_get_local_address (g_ptr_array_index (sockets, i), NULL);
      g_autofree char *one = g_inet_address_to_string (g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address)));

      g_string_append_printf (text, "%s ", one);
    }
  return g_string_free (text, FALSE);
}

/* Connections */

/* Rules: N-2, N-3, T-11 */
static void
test_connection (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  int asked = g_atomic_int_get (&n_asked);
  g_autoptr (GIOStream) numeric = net_connect (fixture->loop, server);
  g_autoptr (GIOStream) named = NULL;
  g_autoptr (GIOStream) accepted = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *peer = NULL;
  int no_delay = 0;

  g_assert_cmpint (g_atomic_int_get (&n_asked), ==, asked);
  g_assert_true (G_IS_TCP_CONNECTION (numeric));
  g_socket_get_option (g_socket_connection_get_socket (G_SOCKET_CONNECTION (numeric)), IPPROTO_TCP, TCP_NODELAY,
                       &no_delay, NULL);
  g_assert_cmpint (no_delay, !=, 0);
  accepted = net_server_accept (fixture->loop, server, NULL, &error);
  net_assert_connected (fixture->loop, numeric, accepted);

  /* nobody is at its first address */
  named = net_connect_full (fixture->loop, "two.test", net_server_port (server), NULL, NULL, &error);
  g_assert_no_error (error);
  peer = peer_of (named);
  g_assert_cmpstr (peer, ==, "127.0.0.1");
  evp_server_close (server);
}

/* Rules: N-2, N-4 */
static void
test_connection_errors (NetFixture *fixture)
{
  g_autoptr (GSocket) bound = net_bound ("127.0.0.1");
  guint16 port = net_local_port (bound);
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strdup_printf ("Cannot connect to 127.0.0.2:%u: Connection refused; "
                                           "Cannot connect to 127.0.0.1:%u: Connection refused", port, port);

  g_assert_null (net_connect_full (fixture->loop, "two.test", port, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_assert_cmpstr (error->message, ==, text);
  g_clear_error (&error);
  g_assert_null (net_connect_full (fixture->loop, "none.test", port, NULL, NULL, &error));
  g_assert_error (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND);
}

static void
assert_invalid_connection (NetFixture           *fixture,
                           const char           *host,
                           guint16               port,
                           EvpConnectionOptions *options)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (net_connect_full (fixture->loop, host, port, options, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
}

/* Rules: N-1 */
static void
test_connection_arguments (NetFixture *fixture)
{
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  g_autoptr (EvpTlsOptions) tls = evp_tls_options_new ();
  g_autoptr (GSocket) datagram = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr (GSocket) stream = net_bound ("127.0.0.1");
  g_autoptr (GSocket) closed = net_bound ("127.0.0.1");

  assert_invalid_connection (fixture, NULL, 0, NULL);
  assert_invalid_connection (fixture, "", 80, NULL);
  evp_connection_options_set_server_name (options, "one.test");
  assert_invalid_connection (fixture, "127.0.0.1", 80, options);
  evp_connection_options_set_server_name (options, NULL);
  evp_connection_options_set_tls_options (options, tls);
  assert_invalid_connection (fixture, "127.0.0.1", 80, options);
  evp_tls_options_set_handshake_timeout (tls, 0);
  evp_connection_options_set_tls (options, TRUE);
  assert_invalid_connection (fixture, "127.0.0.1", 80, options);
  evp_connection_options_set_tls (options, FALSE);
  evp_connection_options_set_tls_options (options, NULL);

  evp_connection_options_set_socket (options, datagram);
  assert_invalid_connection (fixture, NULL, 0, options);
  evp_connection_options_set_socket (options, stream);
  assert_invalid_connection (fixture, "127.0.0.1", 80, options);
  assert_invalid_connection (fixture, NULL, 80, options);
  evp_connection_options_set_tls (options, TRUE); /* whom to expect? */
  assert_invalid_connection (fixture, NULL, 0, options);
  evp_connection_options_set_tls (options, FALSE);
  g_socket_close (closed, NULL);
  evp_connection_options_set_socket (options, closed);
  assert_invalid_connection (fixture, NULL, 0, options);
}

/* A socket that was connected or accepted elsewhere. */
/* Rules: N-1, N-21 */
static void
test_connection_socket (NetFixture *fixture)
{
  g_autoptr (GSocket) listener = net_listener ("127.0.0.1");
  g_autoptr (GSocketAddress) address = g_socket_get_local_address (listener, NULL);
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr (GSocket) accepted = NULL;
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GError) error = NULL;

  evp_connection_options_set_socket (options, socket);
  g_assert_true (g_socket_connect (socket, address, NULL, &error));
  client = net_connect_full (fixture->loop, NULL, 0, options, NULL, &error);
  g_assert_no_error (error);
  accepted = net_accept_next (listener);
  evp_connection_options_set_socket (options, accepted);
  server = net_connect_full (fixture->loop, NULL, 0, options, NULL, &error);
  g_assert_no_error (error);
  net_assert_connected (fixture->loop, client, server);
}

/* Rules: N-5 */
static void
test_connection_local (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  g_autoptr (GSocket) taken = net_bound ("127.0.0.1");
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) accepted = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *peer = NULL;

  evp_connection_options_set_local_host (options, "three.test");
  client = net_connect_full (fixture->loop, "one.test", net_server_port (server), options, NULL, &error);
  g_assert_no_error (error);
  accepted = net_server_accept (fixture->loop, server, NULL, &error);
  peer = peer_of (accepted);
  g_assert_cmpstr (peer, ==, "127.0.0.3");

  evp_connection_options_set_local_host (options, "six.test");
  g_assert_null (net_connect_full (fixture->loop, "one.test", net_server_port (server), options, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  evp_connection_options_set_local_host (options, "none.test");
  g_assert_null (net_connect_full (fixture->loop, "one.test", net_server_port (server), options, NULL, &error));
  g_assert_error (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND);
  g_clear_error (&error);
  evp_connection_options_set_local_host (options, NULL);
  evp_connection_options_set_local_port (options, net_local_port (taken));
  g_assert_null (net_connect_full (fixture->loop, "127.0.0.1", net_server_port (server), options, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  evp_server_close (server);
}

/* Rules: N-8 */
static void
test_connection_cancel (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_auto (NetBlackHole) hole = { 0 };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  const char *hosts[] = { "slow.test", "127.0.0.1", "two.test" };

  net_black_hole_init (&hole);
  for (guint i = 0; i < G_N_ELEMENTS (hosts); i++)
    {
      g_auto (EvpTestAwait) await = { fixture->loop, NULL };
      guint fds;

      g_cancellable_reset (cancellable);
      evp_test_run_ready (fixture->loop);
      fds = evp_test_count_fds ();
      evp_event_loop_create_connection_async (fixture->loop, hosts[i], hole.port, NULL, cancellable, evp_test_ready_cb, &await);
      evp_test_run_ready (fixture->loop);
      g_assert_null (await.result);
      g_cancellable_cancel (cancellable);
      g_assert_null (evp_event_loop_create_connection_finish (fixture->loop, net_result (&await), &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      g_assert_cmpuint (evp_test_count_fds (), <=, fds + 3); /* what the loop itself has opened */
    }
  /* before it begins */
  g_assert_null (net_connect_full (fixture->loop, "127.0.0.1", net_server_port (server), NULL, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  evp_server_close (server);
}

static void
test_connection_timeout (NetFixture *fixture)
{
  g_auto (NetBlackHole) hole = { 0 };
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;

  net_black_hole_init (&hole);
  evp_connection_options_set_timeout (options, 0.01);
  g_assert_null (net_connect_full (fixture->loop, "127.0.0.1", hole.port, options, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_clear_error (&error);
  g_assert_null (net_connect_full (fixture->loop, "slow.test", hole.port, options, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_clear_error (&error);
  evp_connection_options_set_timeout (options, 1e6);
  client = net_connect_full (fixture->loop, "127.0.0.1", net_server_port (server), options, NULL, &error);
  g_assert_no_error (error);
  evp_server_close (server);
}

/* Rules: N-6, N-7 */
static void
test_connection_happy (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *peer = NULL;

  if (!net_have_ipv6 ())
    {
      g_test_skip ("no IPv6 here");
      return;
    }
  /* only IPv4 answers */
  server = net_serve (fixture->loop, "127.0.0.1");
  client = net_connect_full (fixture->loop, "both.test", net_server_port (server), NULL, NULL, &error);
  g_assert_no_error (error);
  peer = peer_of (client);
  g_assert_cmpstr (peer, ==, "127.0.0.1");
  evp_connection_options_set_family (options, G_SOCKET_FAMILY_IPV6);
  g_assert_null (net_connect_full (fixture->loop, "both.test", net_server_port (server), options, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  evp_server_close (server);
}

typedef struct
{
  guint n_calls;
  GError *error;
} Failed;

static void
failed_connection_cb (GObject      *source,
                      GAsyncResult *result,
                      gpointer      user_data)
{
  Failed *failed = user_data;

  failed->n_calls++;
  g_assert_null (evp_event_loop_create_connection_finish (EVP_EVENT_LOOP (source), result, &failed->error));
}

/* The loop is closed while a connection is being made, and before. */
/* Rules: N-8 */
static void
test_connection_loop_closed (gconstpointer data)
{
  const NetLoop *kind = data;
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  NetBlackHole hole;
  EvpAbstractEventLoop *loop = kind->make (NULL);
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  Failed failed = { 0 };
  gboolean done = FALSE;

  net_black_hole_init (&hole);
  evp_connection_options_set_timeout (options, 1e6);
  evp_event_loop_create_connection_async (loop, "127.0.0.1", hole.port, options, NULL, failed_connection_cb, &failed);
  evp_test_run_ready (loop);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_cmpuint (failed.n_calls, ==, 1);
  g_assert_error (failed.error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&failed.error);

  evp_event_loop_create_connection_async (loop, "127.0.0.1", hole.port, NULL, NULL, failed_connection_cb, &failed);
  g_assert_cmpuint (failed.n_calls, ==, 1);
  while (!done)
    {
      g_main_context_iteration (NULL, TRUE);
      done = failed.n_calls == 2;
    }
  g_assert_error (failed.error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&failed.error);
  net_black_hole_clear (&hole);
  g_assert_finalize_object (loop);
  evp_test_leaks_check (&leaks);
}

/* Servers */

/* Rules: N-13 */
static void
test_server_addresses (NetFixture *fixture)
{
  const char * const more[] = { "three.test", "127.0.0.3", NULL };
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (EvpServer) twice = NULL;
  g_autoptr (EvpServer) listed = NULL;
  g_autoptr (EvpServer) only_listed = NULL;
  g_autofree char *addresses = NULL, *listed_addresses = NULL, *only_addresses = NULL;
  g_autoptr (GError) error = NULL;

  twice = net_serve_full (fixture->loop, "twice.test", 0, 0, NULL, &error);
  g_assert_no_error (error);
  addresses = addresses_of (twice);
  g_assert_cmpstr (addresses, ==, "127.0.0.1 ");
  evp_server_close (twice);

  evp_server_options_set_hosts (options, more);
  listed = net_serve_full (fixture->loop, "two.test", 0, 0, options, &error);
  g_assert_no_error (error);
  listed_addresses = addresses_of (listed);
  g_assert_cmpstr (listed_addresses, ==, "127.0.0.2 127.0.0.1 127.0.0.3 ");
  evp_server_close (listed);

  only_listed = net_serve_full (fixture->loop, NULL, 0, 0, options, &error);
  g_assert_no_error (error);
  only_addresses = addresses_of (only_listed);
  g_assert_cmpstr (only_addresses, ==, "127.0.0.3 ");
  evp_server_close (only_listed);

  g_assert_null (net_serve_full (fixture->loop, "none.test", 0, 0, NULL, &error));
  g_assert_error (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND);
}

/* All interfaces: IPv4 and IPv6 each have a socket, and neither takes the other's connections. */
/* Rules: N-13 */
static void
test_server_any (NetFixture *fixture)
{
  const char *hosts[] = { NULL, "" };

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (EvpServer) server = net_serve_full (fixture->loop, hosts[i], 0, 0, NULL, &error);
      g_autoptr (GPtrArray) sockets = NULL;
      g_autoptr (GIOStream) client = NULL;

      g_assert_no_error (error);
      sockets = evp_server_get_sockets (server);
      g_assert_cmpuint (sockets->len, ==, net_have_ipv6 () ? 2 : 1);
      for (guint j = 0; j < sockets->len; j++)
        {
          GSocket *socket = g_ptr_array_index (sockets, j);
          int only = 0;

          if (g_socket_get_family (socket) != G_SOCKET_FAMILY_IPV6)
            continue;
          g_assert_true (g_socket_get_option (socket, IPPROTO_IPV6, IPV6_V6ONLY, &only, NULL));
          g_assert_cmpint (only, ==, 1);
        }
      client = net_connect (fixture->loop, server);
      evp_server_close (server);
    }
}

/* Rules: N-13 */
static void
test_server_bind_errors (NetFixture *fixture)
{
  g_autoptr (EvpServer) server = net_serve (fixture->loop, "127.0.0.1");
  g_autoptr (EvpServer) other = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *name = g_strdup_printf ("127.0.0.1:%u", net_server_port (server));
  g_autofree char *addresses = NULL;
  guint fds;

  /* names the address, and leaves none of the others */
  evp_test_run_ready (fixture->loop);
  fds = evp_test_count_fds ();
  g_assert_null (net_serve_full (fixture->loop, "127.0.0.1", net_server_port (server), 0, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_nonnull (strstr (error->message, name));
  g_assert_cmpuint (evp_test_count_fds (), ==, fds);
  g_clear_error (&error);

  /* an address that this machine does not have is left out, unless there is no other */
  other = net_serve_full (fixture->loop, "elsewhere.test", 0, 0, NULL, &error);
  g_assert_no_error (error);
  addresses = addresses_of (other);
  g_assert_cmpstr (addresses, ==, "127.0.0.1 ");
  g_assert_null (net_serve_full (fixture->loop, "nowhere.test", 0, 0, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  evp_server_close (other);
  evp_server_close (server);
}

/* Rules: N-12, N-13 */
static void
test_server_reuse (NetFixture *fixture)
{
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (EvpServer) first = NULL;
  g_autoptr (EvpServer) second = NULL;
  g_autoptr (GPtrArray) sockets = NULL;
  g_autoptr (GError) error = NULL;
  int reuse = -1;

  evp_server_options_set_reuse_port (options, TRUE);
  first = net_serve_full (fixture->loop, "127.0.0.1", 0, 0, options, &error);
  g_assert_no_error (error);
  second = net_serve_full (fixture->loop, "127.0.0.1", net_server_port (first), 0, options, &error);
  g_assert_no_error (error);
  sockets = evp_server_get_sockets (first);
  g_assert_true (g_socket_get_option (g_ptr_array_index (sockets, 0), SOL_SOCKET, SO_REUSEADDR, &reuse, NULL));
  g_assert_cmpint (reuse, ==, 1);
  evp_server_close (first);
  evp_server_close (second);

  evp_server_options_set_reuse_address (options, FALSE);
  g_clear_object (&first);
  g_clear_pointer (&sockets, g_ptr_array_unref);
  first = net_serve_full (fixture->loop, "127.0.0.1", 0, 0, options, &error);
  sockets = evp_server_get_sockets (first);
  g_assert_true (g_socket_get_option (g_ptr_array_index (sockets, 0), SOL_SOCKET, SO_REUSEADDR, &reuse, NULL));
  g_assert_cmpint (reuse, ==, 0);
  evp_server_close (first);
}

static void
assert_invalid_server (NetFixture       *fixture,
                       const char       *host,
                       guint16           port,
                       EvpServerOptions *options)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (net_serve_full (fixture->loop, host, port, 0, options, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
}

/* Rules: N-12 */
static void
test_server_arguments (NetFixture *fixture)
{
  const char * const hosts[] = { "127.0.0.1", NULL };
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (EvpTlsOptions) tls = evp_tls_options_new ();
  g_autoptr (GSocket) datagram = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr (GSocket) stream = net_bound ("127.0.0.1");
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;

  evp_server_options_set_tls_options (options, tls); /* without a certificate */
  assert_invalid_server (fixture, "127.0.0.1", 0, options);
  evp_server_options_set_tls_options (options, NULL);
  evp_server_options_set_socket (options, datagram);
  assert_invalid_server (fixture, NULL, 0, options);
  evp_server_options_set_socket (options, stream);
  assert_invalid_server (fixture, "127.0.0.1", 0, options);
  assert_invalid_server (fixture, NULL, 80, options);
  evp_server_options_set_hosts (options, hosts);
  assert_invalid_server (fixture, NULL, 0, options);
  evp_server_options_set_hosts (options, NULL);

  /* one that was bound elsewhere */
  server = net_serve_full (fixture->loop, NULL, 0, 0, options, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (net_server_port (server), ==, net_local_port (stream));
  client = net_connect (fixture->loop, server);
  evp_server_close (server);
}

/* Unix sockets */

typedef struct
{
  char *folder;
  char *path;
} UnixPath;

static void
unix_path_init (UnixPath *self)
{
  g_autoptr (GError) error = NULL;

  self->folder = g_dir_make_tmp ("evp-test-XXXXXX", &error);
  g_assert_no_error (error);
  self->path = g_build_filename (self->folder, "socket", NULL);
}

static void
unix_path_clear (UnixPath *self)
{
  if (self->path == NULL)
    return;
  g_unlink (self->path);
  g_rmdir (self->folder);
  g_clear_pointer (&self->path, g_free);
  g_clear_pointer (&self->folder, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (UnixPath, unix_path_clear)

/* Rules: N-20 */
static void
test_unix (NetFixture *fixture)
{
  g_auto (UnixPath) path = { 0 };
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) accepted = NULL;
  g_autoptr (GError) error = NULL;
  GStatBuf status;

  unix_path_init (&path);
  g_assert_null (net_connect_unix (fixture->loop, path.path, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, path.path));
  g_clear_error (&error);

  evp_server_options_set_socket_mode (options, 0600);
  server = net_serve_unix (fixture->loop, path.path, options, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_stat (path.path, &status), ==, 0);
  g_assert_cmpint (status.st_mode & 0777, ==, 0600);
  client = net_connect_unix (fixture->loop, path.path, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (G_IS_UNIX_CONNECTION (client));
  accepted = net_server_accept (fixture->loop, server, NULL, &error);
  net_assert_connected (fixture->loop, client, accepted);
  evp_server_close (server);
  g_assert_false (g_file_test (path.path, G_FILE_TEST_EXISTS));
}

/* A listening socket whose queue of connections is full. */
typedef struct
{
  GSocket *listener;
  GPtrArray *fillers; /* of GSocket */
  char *name;
} FullQueue;

static GSocket *
new_unix_socket (void)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &error);

  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  return socket;
}

static void
full_queue_init (FullQueue *self)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *uuid = g_uuid_string_random ();
  g_autoptr (GSocketAddress) address = NULL;
  gboolean connected;

  self->name = g_strconcat ("@evp-test-", uuid, NULL);
  address = g_unix_socket_address_new_with_type (self->name + 1, -1, G_UNIX_SOCKET_ADDRESS_ABSTRACT);
  self->listener = new_unix_socket ();
  self->fillers = g_ptr_array_new_with_free_func (g_object_unref);
  g_socket_bind (self->listener, address, FALSE, &error);
  g_assert_no_error (error);
  g_socket_set_listen_backlog (self->listener, 0);
  g_socket_listen (self->listener, &error);
  g_assert_no_error (error);
  do
    {
      GSocket *filler = new_unix_socket ();

      g_ptr_array_add (self->fillers, filler);
      connected = g_socket_connect (filler, address, NULL, NULL);
    }
  while (connected);
}

static void
full_queue_clear (FullQueue *self)
{
  g_clear_object (&self->listener);
  g_clear_pointer (&self->fillers, g_ptr_array_unref);
  g_clear_pointer (&self->name, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (FullQueue, full_queue_clear)

/* A server that is slow to accept is waited for, like everywhere else. */
/* Rules: K-11, N-8 */
static void
test_unix_full (NetFixture *fixture)
{
  g_auto (FullQueue) queue = { 0 };
  g_auto (EvpTestAwait) cancelled = { fixture->loop, NULL };
  g_auto (EvpTestAwait) waiting = { fixture->loop, NULL };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GSocket) accepted = NULL;
  g_autoptr (GError) error = NULL;

  full_queue_init (&queue);
  evp_event_loop_create_unix_connection_async (fixture->loop, queue.name, NULL, cancellable,
                                               evp_test_ready_cb, &cancelled);
  evp_test_run_ready (fixture->loop);
  g_assert_null (cancelled.result);
  g_cancellable_cancel (cancellable);
  g_assert_null (evp_event_loop_create_unix_connection_finish (fixture->loop, net_result (&cancelled), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);

  evp_connection_options_set_timeout (options, 0.01);
  g_assert_null (net_connect_unix (fixture->loop, queue.name, options, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_clear_error (&error);

  evp_event_loop_create_unix_connection_async (fixture->loop, queue.name, NULL, NULL, evp_test_ready_cb, &waiting);
  evp_test_run_ready (fixture->loop);
  g_assert_null (waiting.result);
  accepted = g_socket_accept (queue.listener, NULL, &error);
  g_assert_no_error (error);
  client = evp_event_loop_create_unix_connection_finish (fixture->loop, net_result (&waiting), &error);
  g_assert_no_error (error);
  g_assert_true (G_IS_UNIX_CONNECTION (client));
}

/* Rules: N-20 */
static void
test_unix_abstract (NetFixture *fixture)
{
  /* as long as a name can be */
  g_autofree char *name =
    g_strdup_printf ("@evp-test-%-88d-%d", (int) getpid (), g_random_int_range (100000000, 1000000000));
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpServer) server = net_serve_unix (fixture->loop, name, NULL, &error);
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) accepted = NULL;

  g_assert_no_error (error);
  g_assert_cmpuint (strlen (name), ==, 108);
  client = net_connect_unix (fixture->loop, name, NULL, &error);
  g_assert_no_error (error);
  accepted = net_server_accept (fixture->loop, server, NULL, &error);
  net_assert_connected (fixture->loop, accepted, client);
  /* it is in use, and nothing is removed for it */
  g_assert_null (net_serve_unix (fixture->loop, name, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  evp_server_close (server);
}

/* Rules: N-20 */
static void
test_unix_stale (NetFixture *fixture)
{
  g_auto (UnixPath) path = { 0 };
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) stale = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (EvpServer) successor = NULL;
  g_autoptr (EvpServer) kept = NULL;
  g_autoptr (GError) error = NULL;

  /* a socket that was left behind goes */
  unix_path_init (&path);
  address = g_unix_socket_address_new (path.path);
  g_assert_true (g_socket_bind (stale, address, FALSE, NULL));
  g_socket_close (stale, NULL);
  server = net_serve_unix (fixture->loop, path.path, NULL, &error);
  g_assert_no_error (error);

  /* and so does that of a living server, which then leaves its successor's alone */
  successor = net_serve_unix (fixture->loop, path.path, NULL, &error);
  g_assert_no_error (error);
  evp_server_close (server);
  g_assert_true (g_file_test (path.path, G_FILE_TEST_EXISTS));
  evp_server_close (successor);
  g_assert_false (g_file_test (path.path, G_FILE_TEST_EXISTS));

  evp_server_options_set_cleanup_socket (options, FALSE);
  kept = net_serve_unix (fixture->loop, path.path, options, &error);
  g_assert_no_error (error);
  evp_server_close (kept);
  g_assert_true (g_file_test (path.path, G_FILE_TEST_EXISTS));
  g_unlink (path.path);

  /* another file is not touched */
  g_assert_true (g_file_set_contents (path.path, "text", -1, NULL));
  g_assert_null (net_serve_unix (fixture->loop, path.path, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
  g_assert_nonnull (strstr (error->message, path.path));
  g_assert_true (g_file_test (path.path, G_FILE_TEST_IS_REGULAR));
}

/* Rules: N-19 */
static void
test_unix_arguments (NetFixture *fixture)
{
  g_autofree char *long_path = g_strnfill (108, 'x');
  g_autofree char *long_name = g_strdup_printf ("@%s", long_path);
  const char *bad[] = { NULL, "", "@", long_path, long_name };
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  g_autoptr (EvpServerOptions) server_options = evp_server_options_new ();
  g_autoptr (GSocket) inet = net_bound ("127.0.0.1");
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (net_connect_unix (fixture->loop, bad[i], NULL, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_null (net_serve_unix (fixture->loop, bad[i], NULL, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }

  /* a path and a socket, a socket of another family, TLS with nobody to expect */
  evp_connection_options_set_socket (options, inet);
  evp_server_options_set_socket (server_options, inet);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_null (net_connect_unix (fixture->loop, i == 0 ? "path" : NULL, options, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_null (net_serve_unix (fixture->loop, i == 0 ? "path" : NULL, server_options, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  evp_connection_options_set_socket (options, NULL);
  evp_connection_options_set_tls (options, TRUE);
  g_assert_null (net_connect_unix (fixture->loop, "path", options, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  evp_connection_options_set_tls (options, FALSE);
  evp_connection_options_set_server_name (options, "one.test");
  g_assert_null (net_connect_unix (fixture->loop, "path", options, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  evp_server_options_set_socket (server_options, NULL);
  evp_server_options_set_reuse_port (server_options, TRUE);
  g_assert_null (net_serve_unix (fixture->loop, "path", server_options, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
}

static void
failed_unix_connection_cb (GObject      *source,
                           GAsyncResult *result,
                           gpointer      user_data)
{
  Failed *failed = user_data;

  failed->n_calls++;
  g_assert_null (evp_event_loop_create_unix_connection_finish (EVP_EVENT_LOOP (source), result, &failed->error));
}

/* The loop is closed while a unix server's queue is full. */
/* Rules: N-8 */
static void
test_unix_full_loop_closed (gconstpointer data)
{
  const NetLoop *kind = data;
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpAbstractEventLoop *loop = kind->make (NULL);
  FullQueue queue;
  Failed failed = { 0 };

  full_queue_init (&queue);
  evp_event_loop_create_unix_connection_async (loop, queue.name, NULL, NULL, failed_unix_connection_cb, &failed);
  evp_test_run_ready (loop);
  g_assert_cmpuint (failed.n_calls, ==, 0);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_cmpuint (failed.n_calls, ==, 1);
  g_assert_error (failed.error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&failed.error);
  full_queue_clear (&queue);
  g_assert_finalize_object (loop);
  evp_test_leaks_check (&leaks);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (GResolver) resolver = NULL;

  g_test_init (&argc, &argv, NULL);
  resolver = g_object_new (fake_resolver_get_type (), NULL);
  g_resolver_set_default (resolver);

  net_test_add ("loop-network", "connection", test_connection);
  net_test_add ("loop-network", "connection-errors", test_connection_errors);
  net_test_add ("loop-network", "connection-arguments", test_connection_arguments);
  net_test_add ("loop-network", "connection-socket", test_connection_socket);
  net_test_add ("loop-network", "connection-local", test_connection_local);
  net_test_add ("loop-network", "connection-cancel", test_connection_cancel);
  net_test_add ("loop-network", "connection-timeout", test_connection_timeout);
  net_test_add ("loop-network", "connection-happy", test_connection_happy);
  net_test_add ("loop-network", "server-addresses", test_server_addresses);
  net_test_add ("loop-network", "server-any", test_server_any);
  net_test_add ("loop-network", "server-bind-errors", test_server_bind_errors);
  net_test_add ("loop-network", "server-reuse", test_server_reuse);
  net_test_add ("loop-network", "server-arguments", test_server_arguments);
  net_test_add ("loop-network", "unix", test_unix);
  net_test_add ("loop-network", "unix-abstract", test_unix_abstract);
  net_test_add ("loop-network", "unix-full", test_unix_full);
  net_test_add ("loop-network", "unix-stale", test_unix_stale);
  net_test_add ("loop-network", "unix-arguments", test_unix_arguments);
  for (guint i = 0; i < G_N_ELEMENTS (net_loops) - !evp_test_has_uring (); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/net/loop-network/connection-loop-closed/%s", net_loops[i].name);
      g_autofree char *unix_path = g_strdup_printf ("/evp/net/loop-network/unix-full-loop-closed/%s", net_loops[i].name);

      g_test_add_data_func (path, &net_loops[i], test_connection_loop_closed);
      g_test_add_data_func (unix_path, &net_loops[i], test_unix_full_loop_closed);
    }

  return g_test_run ();
}
