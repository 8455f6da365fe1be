/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-datagram-options-private.h"

/**
 * EvpDatagramOptions:
 *
 * What is special about a datagram endpoint to be made.
 *
 * Without options an endpoint has the family of its addresses, cannot broadcast, and shares its address
 * with nobody.
 *
 * ```c
 * g_autoptr (EvpDatagramOptions) options = evp_datagram_options_new ();
 *
 * evp_datagram_options_set_allow_broadcast (options, TRUE);
 * ```
 *
 * In Python the properties are keyword arguments: `Evp.DatagramOptions(allow_broadcast=True)`.
 *
 * Options are only read, and only by the call that they are given to: one object serves any number of
 * endpoints, and may be changed as soon as the call has returned. Impossible combinations come out of
 * the `_finish()` function.
 *
 * An options object belongs to one thread at a time.
 *
 * Since: 1.0
 */

G_DEFINE_FINAL_TYPE (EvpDatagramOptions, evp_datagram_options, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_FAMILY,
  PROP_ALLOW_BROADCAST,
  PROP_REUSE_PORT,
  PROP_SOCKET,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

static void
evp_datagram_options_finalize (GObject *object)
{
  g_clear_object (&EVP_DATAGRAM_OPTIONS (object)->socket);

  G_OBJECT_CLASS (evp_datagram_options_parent_class)->finalize (object);
}

static void
evp_datagram_options_get_property (GObject    *object,
                                   guint       property_id,
                                   GValue     *value,
                                   GParamSpec *pspec)
{
  EvpDatagramOptions *self = EVP_DATAGRAM_OPTIONS (object);

  switch (property_id)
    {
    case PROP_FAMILY:
      g_value_set_enum (value, (int) self->family);
      break;
    case PROP_ALLOW_BROADCAST:
      g_value_set_boolean (value, self->allow_broadcast);
      break;
    case PROP_REUSE_PORT:
      g_value_set_boolean (value, self->reuse_port);
      break;
    case PROP_SOCKET:
      g_value_set_object (value, self->socket);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_datagram_options_set_property (GObject      *object,
                                   guint         property_id,
                                   const GValue *value,
                                   GParamSpec   *pspec)
{
  EvpDatagramOptions *self = EVP_DATAGRAM_OPTIONS (object);

  switch (property_id)
    {
    case PROP_FAMILY:
      evp_datagram_options_set_family (self, (GSocketFamily) g_value_get_enum (value));
      break;
    case PROP_ALLOW_BROADCAST:
      evp_datagram_options_set_allow_broadcast (self, g_value_get_boolean (value));
      break;
    case PROP_REUSE_PORT:
      evp_datagram_options_set_reuse_port (self, g_value_get_boolean (value));
      break;
    case PROP_SOCKET:
      evp_datagram_options_set_socket (self, g_value_get_object (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_datagram_options_class_init (EvpDatagramOptionsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = evp_datagram_options_finalize;
  object_class->get_property = evp_datagram_options_get_property;
  object_class->set_property = evp_datagram_options_set_property;

  /**
   * EvpDatagramOptions:family:
   *
   * The family of a socket that is given no address.
   *
   * %G_SOCKET_FAMILY_INVALID for that of the addresses.
   * It is needed when an endpoint has neither a local nor a remote address; beside an address it must be
   * that of the address.
   *
   * Since: 1.0
   */
  properties[PROP_FAMILY] =
    g_param_spec_enum ("family", NULL, NULL, G_TYPE_SOCKET_FAMILY, G_SOCKET_FAMILY_INVALID, flags);

  /**
   * EvpDatagramOptions:allow-broadcast:
   *
   * Whether messages may be sent to broadcast addresses.
   *
   * Such a socket stays unconnected, though the endpoint may have a remote address: answers come from
   * any host.
   *
   * Since: 1.0
   */
  properties[PROP_ALLOW_BROADCAST] =
    g_param_spec_boolean ("allow-broadcast", NULL, NULL, FALSE, flags);

  /**
   * EvpDatagramOptions:reuse-port:
   *
   * Whether several sockets may be bound to the local address.
   *
   * All of them have to say so. The kernel then spreads what arrives over them; multicast reaches all.
   * Where the system has no `SO_REUSEPORT` making the endpoint fails.
   *
   * Since: 1.0
   */
  properties[PROP_REUSE_PORT] =
    g_param_spec_boolean ("reuse-port", NULL, NULL, FALSE, flags);

  /**
   * EvpDatagramOptions:socket:
   *
   * A socket that was made elsewhere.
   *
   * It must be one for datagrams. With it no address and no other option may be given. The endpoint makes
   * it non-blocking, keeps it, and closes it in the end.
   *
   * Since: 1.0
   */
  properties[PROP_SOCKET] =
    g_param_spec_object ("socket", NULL, NULL, G_TYPE_SOCKET, flags);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_datagram_options_init (EvpDatagramOptions *self)
{
}

/**
 * evp_datagram_options_new:
 *
 * Creates options with the defaults.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): new options
 *
 * Since: 1.0
 */
EvpDatagramOptions *
evp_datagram_options_new (void)
{
  return g_object_new (EVP_TYPE_DATAGRAM_OPTIONS, NULL);
}

/**
 * evp_datagram_options_get_family:
 * @self: options
 *
 * Gets the family of a socket that is given no address.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the family
 *
 * Since: 1.0
 */
GSocketFamily
evp_datagram_options_get_family (EvpDatagramOptions *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_OPTIONS (self), G_SOCKET_FAMILY_INVALID);

  return self->family;
}

/**
 * evp_datagram_options_get_allow_broadcast:
 * @self: options
 *
 * Gets whether messages may be sent to broadcast addresses.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: whether it may broadcast
 *
 * Since: 1.0
 */
gboolean
evp_datagram_options_get_allow_broadcast (EvpDatagramOptions *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_OPTIONS (self), FALSE);

  return self->allow_broadcast;
}

/**
 * evp_datagram_options_get_reuse_port:
 * @self: options
 *
 * Gets whether several sockets may be bound to the local address.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: whether the port is shared
 *
 * Since: 1.0
 */
gboolean
evp_datagram_options_get_reuse_port (EvpDatagramOptions *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_OPTIONS (self), FALSE);

  return self->reuse_port;
}

/**
 * evp_datagram_options_get_socket:
 * @self: options
 *
 * Gets a socket that was made elsewhere.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (transfer none) (nullable): the socket
 *
 * Since: 1.0
 */
GSocket *
evp_datagram_options_get_socket (EvpDatagramOptions *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_OPTIONS (self), NULL);

  return self->socket;
}

/**
 * evp_datagram_options_set_family:
 * @self: options
 * @family: a family
 *
 * Sets the family of a socket that is given no address.
 *
 * %G_SOCKET_FAMILY_INVALID for that of the addresses.
 * It is needed when an endpoint has neither a local nor a remote address; beside an address it must be
 * that of the address.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_datagram_options_set_family (EvpDatagramOptions *self,
                                 GSocketFamily       family)
{
  g_return_if_fail (EVP_IS_DATAGRAM_OPTIONS (self));

  if (self->family == family)
    return;
  self->family = family;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_FAMILY]);
}

/**
 * evp_datagram_options_set_allow_broadcast:
 * @self: options
 * @allow_broadcast: %TRUE to be allowed to
 *
 * Sets whether messages may be sent to broadcast addresses.
 *
 * Such a socket stays unconnected, though the endpoint may have a remote address: answers come from
 * any host.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_datagram_options_set_allow_broadcast (EvpDatagramOptions *self,
                                          gboolean            allow_broadcast)
{
  g_return_if_fail (EVP_IS_DATAGRAM_OPTIONS (self));

  allow_broadcast = !!allow_broadcast;
  if (self->allow_broadcast == allow_broadcast)
    return;
  self->allow_broadcast = allow_broadcast;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_ALLOW_BROADCAST]);
}

/**
 * evp_datagram_options_set_reuse_port:
 * @self: options
 * @reuse_port: %TRUE to share it
 *
 * Sets whether several sockets may be bound to the local address.
 *
 * All of them have to say so. The kernel then spreads what arrives over them; multicast reaches all.
 * Where the system has no `SO_REUSEPORT` making the endpoint fails.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_datagram_options_set_reuse_port (EvpDatagramOptions *self,
                                     gboolean            reuse_port)
{
  g_return_if_fail (EVP_IS_DATAGRAM_OPTIONS (self));

  reuse_port = !!reuse_port;
  if (self->reuse_port == reuse_port)
    return;
  self->reuse_port = reuse_port;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_REUSE_PORT]);
}

/**
 * evp_datagram_options_set_socket:
 * @self: options
 * @socket: (nullable): a socket
 *
 * Sets a socket that was made elsewhere.
 *
 * It must be one for datagrams. With it no address and no other option may be given. The endpoint makes
 * it non-blocking, keeps it, and closes it in the end.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_datagram_options_set_socket (EvpDatagramOptions *self,
                                 GSocket            *socket)
{
  g_return_if_fail (EVP_IS_DATAGRAM_OPTIONS (self));
  g_return_if_fail (socket == NULL || G_IS_SOCKET (socket));

  if (g_set_object (&self->socket, socket))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SOCKET]);
}
