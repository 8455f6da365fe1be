/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/net/evp-connection-options-private.h"

static void
test_defaults (void)
{
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();

  g_assert_cmpint (evp_connection_options_get_family (options), ==, G_SOCKET_FAMILY_INVALID);
  g_assert_null (evp_connection_options_get_local_host (options));
  g_assert_cmpuint (evp_connection_options_get_local_port (options), ==, 0);
  g_assert_cmpfloat (evp_connection_options_get_happy_eyeballs_delay (options), ==, 0.25);
  g_assert_cmpint (evp_connection_options_get_interleave (options), ==, -1);
  g_assert_cmpfloat (evp_connection_options_get_timeout (options), ==, 0.0);
  g_assert_null (evp_connection_options_get_socket (options));
  g_assert_false (evp_connection_options_get_tls (options));
  g_assert_null (evp_connection_options_get_server_name (options));
}

static void
notify_cb (EvpConnectionOptions *options,
           GParamSpec           *pspec,
           GString              *log)
{
  g_string_append_printf (log, "%s ", pspec->name);
}

/* What is set by one way is read by the other, and told once. */
static void
test_properties (void)
{
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  g_autoptr (GString) log = g_string_new (NULL);
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
  g_autofree char *local_host = NULL, *server_name = NULL;
  GSocketFamily family;
  guint port;
  double delay, timeout;
  int interleave;
  gboolean tls;
  g_autoptr (GSocket) socket_read = NULL;

  g_signal_connect (options, "notify", G_CALLBACK (notify_cb), log);
  for (int i = 0; i < 2; i++)
    {
      evp_connection_options_set_family (options, G_SOCKET_FAMILY_IPV6);
      evp_connection_options_set_local_host (options, "::1");
      evp_connection_options_set_local_port (options, 4711);
      evp_connection_options_set_happy_eyeballs_delay (options, 0.5);
      evp_connection_options_set_interleave (options, 2);
      evp_connection_options_set_timeout (options, 3.0);
      evp_connection_options_set_socket (options, socket);
      evp_connection_options_set_tls (options, 2);
      evp_connection_options_set_server_name (options, "example.org");
    }
  g_assert_cmpstr (log->str, ==, "family local-host local-port happy-eyeballs-delay interleave timeout socket tls "
                                 "server-name ");

  g_object_get (options, "family", &family, "local-host", &local_host, "local-port", &port,
                "happy-eyeballs-delay", &delay, "interleave", &interleave, "timeout", &timeout,
                "socket", &socket_read, "tls", &tls, "server-name", &server_name, NULL);
  g_assert_cmpint (family, ==, G_SOCKET_FAMILY_IPV6);
  g_assert_cmpstr (local_host, ==, "::1");
  g_assert_cmpuint (port, ==, 4711);
  g_assert_cmpfloat (delay, ==, 0.5);
  g_assert_cmpint (interleave, ==, 2);
  g_assert_cmpfloat (timeout, ==, 3.0);
  g_assert_true (socket_read == socket);
  g_assert_true (tls);
  g_assert_cmpstr (server_name, ==, "example.org");

  g_object_set (options, "local-host", NULL, "interleave", 0, "socket", NULL, NULL);
  g_assert_null (evp_connection_options_get_local_host (options));
  g_assert_cmpint (evp_connection_options_get_interleave (options), ==, 0);
  g_assert_null (evp_connection_options_get_socket (options));
}

/* What a call reads does not change under its hands. */
static void
test_snapshot (void)
{
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
  g_autoptr (EvpConnectionOptions) copy = NULL;
  g_autoptr (EvpConnectionOptions) none = evp_connection_options_snapshot (NULL);

  evp_connection_options_set_local_host (options, "127.0.0.1");
  evp_connection_options_set_timeout (options, 1.0);
  copy = evp_connection_options_snapshot (options);
  evp_connection_options_set_local_host (options, NULL);
  evp_connection_options_set_timeout (options, 2.0);

  g_assert_cmpstr (copy->local_host, ==, "127.0.0.1");
  g_assert_cmpfloat (copy->timeout, ==, 1.0);
  g_assert_cmpfloat (none->happy_eyeballs_delay, ==, 0.25);
}

/* What is set may be a piece of what is set already. */
static void
test_own_value (void)
{
  g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();

  evp_connection_options_set_local_host (options, "x127.0.0.1");
  evp_connection_options_set_local_host (options, evp_connection_options_get_local_host (options) + 1);
  g_assert_cmpstr (evp_connection_options_get_local_host (options), ==, "127.0.0.1");
  evp_connection_options_set_server_name (options, "www.example.org");
  evp_connection_options_set_server_name (options, evp_connection_options_get_server_name (options)
                                                   + strlen ("www."));
  g_assert_cmpstr (evp_connection_options_get_server_name (options), ==, "example.org");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/net/connection-options/defaults", test_defaults);
  g_test_add_func ("/evp/net/connection-options/properties", test_properties);
  g_test_add_func ("/evp/net/connection-options/snapshot", test_snapshot);
  g_test_add_func ("/evp/net/connection-options/own-value", test_own_value);

  return g_test_run ();
}
