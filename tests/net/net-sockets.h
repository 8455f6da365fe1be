/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Sockets on the loopback interface for tests to connect to. */

static inline GSocketAddress *
net_address (const char *host,
             guint16     port)
{
  GSocketAddress *address = g_inet_socket_address_new_from_string (host, port);

  g_assert_nonnull (address);
  return address;
}

static inline guint16
net_local_port (GSocket *socket)
{
  g_autoptr (GSocketAddress) address = g_socket_get_local_address (socket, NULL);

  return g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
}

/* A socket bound to some port; nobody can connect to it. */
static inline GSocket *
net_bound (const char *host)
{
  g_autoptr (GSocketAddress) address = net_address (host, 0);
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new (g_socket_address_get_family (address), G_SOCKET_TYPE_STREAM,
                                  G_SOCKET_PROTOCOL_DEFAULT, &error);

  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  g_socket_bind (socket, address, FALSE, &error);
  g_assert_no_error (error);
  return socket;
}

static inline GSocket *
net_listener (const char *host)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = net_bound (host);

  g_socket_listen (socket, &error);
  g_assert_no_error (error);
  return socket;
}

/* NULL if nobody has connected. */
static inline GSocket *
net_accept (GSocket *listener)
{
  return g_socket_accept (listener, NULL, NULL);
}

/* Waits for the next one: who connects may know of it before the kernel has told the listener. */
static inline GSocket *
net_accept_next (GSocket *listener)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket;

  g_socket_condition_wait (listener, G_IO_IN, NULL, &error);
  g_assert_no_error (error);
  socket = g_socket_accept (listener, NULL, &error);
  g_assert_no_error (error);
  return socket;
}

/* A listener whose queue is full: who connects to it waits, and hears nothing. */
typedef struct
{
  GSocket *listener;
  GSocket *fillers[3];
  guint16 port;
} NetBlackHole;

static inline void
net_black_hole_init (NetBlackHole *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) address = NULL;

  self->listener = net_bound ("127.0.0.1");
  g_socket_set_listen_backlog (self->listener, 0);
  g_socket_listen (self->listener, &error);
  g_assert_no_error (error);
  self->port = net_local_port (self->listener);
  address = net_address ("127.0.0.1", self->port);
  for (guint i = 0; i < G_N_ELEMENTS (self->fillers); i++)
    {
      self->fillers[i] = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
      g_socket_set_blocking (self->fillers[i], FALSE);
      g_socket_connect (self->fillers[i], address, NULL, NULL);
    }
}

static inline void
net_black_hole_clear (NetBlackHole *self)
{
  g_clear_object (&self->listener);
  for (guint i = 0; i < G_N_ELEMENTS (self->fillers); i++)
    g_clear_object (&self->fillers[i]);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (NetBlackHole, net_black_hole_clear)

static inline gboolean
net_have_ipv6 (void)
{
  g_autoptr (GSocketAddress) address = net_address ("::1", 0);
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV6, G_SOCKET_TYPE_STREAM,
                                             G_SOCKET_PROTOCOL_DEFAULT, NULL);

  return socket != NULL && g_socket_bind (socket, address, FALSE, NULL);
}

G_END_DECLS
