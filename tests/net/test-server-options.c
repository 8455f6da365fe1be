/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/net/evp-server-options-private.h"

static void
test_defaults (void)
{
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();

  g_assert_null (evp_server_options_get_hosts (options));
  g_assert_cmpint (evp_server_options_get_family (options), ==, G_SOCKET_FAMILY_INVALID);
  g_assert_true (evp_server_options_get_reuse_address (options));
  g_assert_false (evp_server_options_get_reuse_port (options));
  g_assert_true (evp_server_options_get_start_serving (options));
  g_assert_null (evp_server_options_get_socket (options));
  g_assert_cmpint (evp_server_options_get_socket_mode (options), ==, -1);
  g_assert_true (evp_server_options_get_cleanup_socket (options));
}

static void
notify_cb (EvpServerOptions *options,
           GParamSpec       *pspec,
           GString          *log)
{
  g_string_append_printf (log, "%s ", pspec->name);
}

/* What is set by one way is read by the other, and told once. */
static void
test_properties (void)
{
  const char * const hosts[] = { "127.0.0.1", "::1", NULL };
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (GString) log = g_string_new (NULL);
  g_auto (GStrv) read = NULL;
  GSocketFamily family;
  gboolean reuse_address, reuse_port, start_serving, cleanup_socket;
  int mode;

  g_signal_connect (options, "notify", G_CALLBACK (notify_cb), log);
  for (int i = 0; i < 2; i++)
    {
      evp_server_options_set_family (options, G_SOCKET_FAMILY_IPV4);
      evp_server_options_set_reuse_address (options, FALSE);
      evp_server_options_set_reuse_port (options, TRUE);
      evp_server_options_set_start_serving (options, FALSE);
      evp_server_options_set_socket_mode (options, 0600);
      evp_server_options_set_cleanup_socket (options, FALSE);
    }
  g_assert_cmpstr (log->str, ==, "family reuse-address reuse-port start-serving socket-mode cleanup-socket ");
  evp_server_options_set_hosts (options, hosts);
  evp_server_options_set_hosts (options, evp_server_options_get_hosts (options));

  g_object_get (options, "hosts", &read, "family", &family, "reuse-address", &reuse_address,
                "reuse-port", &reuse_port, "start-serving", &start_serving, "socket-mode", &mode,
                "cleanup-socket", &cleanup_socket, NULL);
  g_assert_cmpstrv (read, hosts);
  g_assert_cmpint (family, ==, G_SOCKET_FAMILY_IPV4);
  g_assert_false (reuse_address);
  g_assert_true (reuse_port);
  g_assert_false (start_serving);
  g_assert_cmpint (mode, ==, 0600);
  g_assert_false (cleanup_socket);
}

/* What a call reads does not change under its hands. */
static void
test_snapshot (void)
{
  const char * const hosts[] = { "127.0.0.1", NULL };
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  g_autoptr (EvpServerOptions) copy = NULL;
  g_autoptr (EvpServerOptions) none = evp_server_options_snapshot (NULL);

  evp_server_options_set_hosts (options, hosts);
  evp_server_options_set_reuse_port (options, TRUE);
  copy = evp_server_options_snapshot (options);
  evp_server_options_set_hosts (options, NULL);
  evp_server_options_set_reuse_port (options, FALSE);

  g_assert_cmpstrv (copy->hosts, hosts);
  g_assert_true (copy->reuse_port);
  g_assert_true (none->reuse_address);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/net/server-options/defaults", test_defaults);
  g_test_add_func ("/evp/net/server-options/properties", test_properties);
  g_test_add_func ("/evp/net/server-options/snapshot", test_snapshot);

  return g_test_run ();
}
