/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"

static void
test_defaults (void)
{
  g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();

  g_assert_cmpint (evp_datagram_options_get_family (options), ==, G_SOCKET_FAMILY_INVALID);
  g_assert_false (evp_datagram_options_get_allow_broadcast (options));
  g_assert_false (evp_datagram_options_get_reuse_port (options));
  g_assert_null (evp_datagram_options_get_socket (options));
}

static void
notify_cb (EvpDatagramOptions *options,
           GParamSpec         *pspec,
           GString            *log)
{
  g_string_append_printf (log, "%s ", pspec->name);
}

/* What is set by one way is read by the other, and told once. */
static void
test_properties (void)
{
  g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, 0, NULL);
  g_autoptr (GSocket) read = NULL;
  g_autoptr (GString) log = g_string_new (NULL);
  GSocketFamily family;
  gboolean allow_broadcast, reuse_port;

  g_signal_connect (options, "notify", G_CALLBACK (notify_cb), log);
  for (int i = 0; i < 2; i++)
    {
      evp_datagram_options_set_family (options, G_SOCKET_FAMILY_IPV6);
      evp_datagram_options_set_allow_broadcast (options, TRUE);
      evp_datagram_options_set_reuse_port (options, TRUE);
      evp_datagram_options_set_socket (options, socket);
    }
  g_assert_cmpstr (log->str, ==, "family allow-broadcast reuse-port socket ");
  g_object_get (options, "family", &family, "allow-broadcast", &allow_broadcast, "reuse-port", &reuse_port,
                "socket", &read, NULL);
  g_assert_cmpint (family, ==, G_SOCKET_FAMILY_IPV6);
  g_assert_true (allow_broadcast);
  g_assert_true (reuse_port);
  g_assert_true (read == socket);

  g_object_set (options, "family", G_SOCKET_FAMILY_IPV4, "allow-broadcast", FALSE, "reuse-port", FALSE,
                "socket", NULL, NULL);
  g_assert_cmpint (evp_datagram_options_get_family (options), ==, G_SOCKET_FAMILY_IPV4);
  g_assert_false (evp_datagram_options_get_allow_broadcast (options));
  g_assert_false (evp_datagram_options_get_reuse_port (options));
  g_assert_null (evp_datagram_options_get_socket (options));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/net/datagram-options/defaults", test_defaults);
  g_test_add_func ("/evp/net/datagram-options/properties", test_properties);

  return g_test_run ();
}
