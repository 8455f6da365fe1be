/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-connection-options-private.h"

#include "evp/base/evp-string-private.h"

/**
 * EvpConnectionOptions:
 *
 * What is special about a connection to be made.
 *
 * Without options a connection tries all addresses of the host, IPv6 and IPv4 in turns, a quarter of a
 * second apart (happy eyeballs, RFC 8305), from any local address, and is not encrypted.
 *
 * ```c
 * g_autoptr (EvpConnectionOptions) options = evp_connection_options_new ();
 *
 * evp_connection_options_set_timeout (options, 10.0);
 * evp_connection_options_set_tls (options, TRUE);
 * ```
 *
 * In Python the properties are keyword arguments: `Evp.ConnectionOptions(timeout=10, tls=True)`.
 *
 * Options are only read, and only by the call that they are given to: one object serves any number of
 * connections, and may be changed as soon as the call has returned. Impossible combinations come out of
 * the `_finish()` function.
 *
 * An options object belongs to one thread at a time.
 *
 * Since: 1.0
 */

G_DEFINE_FINAL_TYPE (EvpConnectionOptions, evp_connection_options, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_FAMILY,
  PROP_LOCAL_HOST,
  PROP_LOCAL_PORT,
  PROP_HAPPY_EYEBALLS_DELAY,
  PROP_INTERLEAVE,
  PROP_TIMEOUT,
  PROP_SOCKET,
  PROP_TLS,
  PROP_SERVER_NAME,
  PROP_TLS_OPTIONS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

static void
evp_connection_options_finalize (GObject *object)
{
  EvpConnectionOptions *self = EVP_CONNECTION_OPTIONS (object);

  g_clear_pointer (&self->local_host, g_free);
  g_clear_object (&self->socket);
  g_clear_pointer (&self->server_name, g_free);
  g_clear_object (&self->tls_options);

  G_OBJECT_CLASS (evp_connection_options_parent_class)->finalize (object);
}

static void
evp_connection_options_get_property (GObject    *object,
                                     guint       property_id,
                                     GValue     *value,
                                     GParamSpec *pspec)
{
  EvpConnectionOptions *self = EVP_CONNECTION_OPTIONS (object);

  switch (property_id)
    {
    case PROP_FAMILY:
      g_value_set_enum (value, (int) self->family);
      break;
    case PROP_LOCAL_HOST:
      g_value_set_string (value, self->local_host);
      break;
    case PROP_LOCAL_PORT:
      g_value_set_uint (value, self->local_port);
      break;
    case PROP_HAPPY_EYEBALLS_DELAY:
      g_value_set_double (value, self->happy_eyeballs_delay);
      break;
    case PROP_INTERLEAVE:
      g_value_set_int (value, self->interleave);
      break;
    case PROP_TIMEOUT:
      g_value_set_double (value, self->timeout);
      break;
    case PROP_SOCKET:
      g_value_set_object (value, self->socket);
      break;
    case PROP_TLS:
      g_value_set_boolean (value, self->tls);
      break;
    case PROP_SERVER_NAME:
      g_value_set_string (value, self->server_name);
      break;
    case PROP_TLS_OPTIONS:
      g_value_set_object (value, self->tls_options);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_connection_options_set_property (GObject      *object,
                                     guint         property_id,
                                     const GValue *value,
                                     GParamSpec   *pspec)
{
  EvpConnectionOptions *self = EVP_CONNECTION_OPTIONS (object);

  switch (property_id)
    {
    case PROP_FAMILY:
      evp_connection_options_set_family (self, (GSocketFamily) g_value_get_enum (value));
      break;
    case PROP_LOCAL_HOST:
      evp_connection_options_set_local_host (self, g_value_get_string (value));
      break;
    case PROP_LOCAL_PORT:
      evp_connection_options_set_local_port (self, (guint16) g_value_get_uint (value));
      break;
    case PROP_HAPPY_EYEBALLS_DELAY:
      evp_connection_options_set_happy_eyeballs_delay (self, g_value_get_double (value));
      break;
    case PROP_INTERLEAVE:
      evp_connection_options_set_interleave (self, g_value_get_int (value));
      break;
    case PROP_TIMEOUT:
      evp_connection_options_set_timeout (self, g_value_get_double (value));
      break;
    case PROP_SOCKET:
      evp_connection_options_set_socket (self, g_value_get_object (value));
      break;
    case PROP_TLS:
      evp_connection_options_set_tls (self, g_value_get_boolean (value));
      break;
    case PROP_SERVER_NAME:
      evp_connection_options_set_server_name (self, g_value_get_string (value));
      break;
    case PROP_TLS_OPTIONS:
      evp_connection_options_set_tls_options (self, g_value_get_object (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_connection_options_class_init (EvpConnectionOptionsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = evp_connection_options_finalize;
  object_class->get_property = evp_connection_options_get_property;
  object_class->set_property = evp_connection_options_set_property;

  /**
   * EvpConnectionOptions:family:
   *
   * The kind of addresses to use; %G_SOCKET_FAMILY_INVALID for any.
   *
   * Since: 1.0
   */
  properties[PROP_FAMILY] =
    g_param_spec_enum ("family", NULL, NULL, G_TYPE_SOCKET_FAMILY, G_SOCKET_FAMILY_INVALID, flags);
  /**
   * EvpConnectionOptions:local-host:
   *
   * The local address to connect from, a name or number; `NULL` leaves it to the system.
   *
   * Since: 1.0
   */
  properties[PROP_LOCAL_HOST] = g_param_spec_string ("local-host", NULL, NULL, NULL, flags);
  /**
   * EvpConnectionOptions:local-port:
   *
   * The local port to connect from; 0 leaves it to the system.
   *
   * Since: 1.0
   */
  properties[PROP_LOCAL_PORT] = g_param_spec_uint ("local-port", NULL, NULL, 0, G_MAXUINT16, 0, flags);
  /**
   * EvpConnectionOptions:happy-eyeballs-delay:
   *
   * How long to wait for one address before another one is tried beside it, in seconds; 0 or less
   * tries them one after the other.
   *
   * Since: 1.0
   */
  properties[PROP_HAPPY_EYEBALLS_DELAY] =
    g_param_spec_double ("happy-eyeballs-delay", NULL, NULL, -G_MAXDOUBLE, G_MAXDOUBLE, 0.25, flags);
  /**
   * EvpConnectionOptions:interleave:
   *
   * How many addresses of the first kind (IPv6 or IPv4) are tried before the kinds alternate; 0 keeps
   * the order of the resolver, −1 is 1 with happy eyeballs and 0 without.
   *
   * Since: 1.0
   */
  properties[PROP_INTERLEAVE] = g_param_spec_int ("interleave", NULL, NULL, -1, G_MAXINT, -1, flags);
  /**
   * EvpConnectionOptions:timeout:
   *
   * How long looking up the name and connecting may take together, in seconds; 0 or less for as long
   * as the system tries. A TLS handshake has its own.
   *
   * Since: 1.0
   */
  properties[PROP_TIMEOUT] =
    g_param_spec_double ("timeout", NULL, NULL, -G_MAXDOUBLE, G_MAXDOUBLE, 0.0, flags);
  /**
   * EvpConnectionOptions:socket:
   *
   * A connected socket to make a stream of, instead of connecting one.
   *
   * Since: 1.0
   */
  properties[PROP_SOCKET] = g_param_spec_object ("socket", NULL, NULL, G_TYPE_SOCKET, flags);
  /**
   * EvpConnectionOptions:tls:
   *
   * Whether to begin TLS when connected.
   *
   * Since: 1.0
   */
  properties[PROP_TLS] = g_param_spec_boolean ("tls", NULL, NULL, FALSE, flags);
  /**
   * EvpConnectionOptions:server-name:
   *
   * The name that the certificate of the server must bear; `NULL` for the host connected to, empty for
   * any.
   *
   * Since: 1.0
   */
  properties[PROP_SERVER_NAME] = g_param_spec_string ("server-name", NULL, NULL, NULL, flags);
  /**
   * EvpConnectionOptions:tls-options:
   *
   * Certificates, trust, protocols and times of TLS; `NULL` for the usual ones.
   *
   * Since: 1.0
   */
  properties[PROP_TLS_OPTIONS] = g_param_spec_object ("tls-options", NULL, NULL, EVP_TYPE_TLS_OPTIONS, flags);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_connection_options_init (EvpConnectionOptions *self)
{
  self->happy_eyeballs_delay = 0.25;
  self->interleave = -1;
}

EvpConnectionOptions *
evp_connection_options_snapshot (EvpConnectionOptions *options)
{
  EvpConnectionOptions *self = evp_connection_options_new ();

  if (options == NULL)
    return self;
  self->family = options->family;
  self->local_host = g_strdup (options->local_host);
  self->local_port = options->local_port;
  self->happy_eyeballs_delay = options->happy_eyeballs_delay;
  self->interleave = options->interleave;
  self->timeout = options->timeout;
  g_set_object (&self->socket, options->socket);
  self->tls = options->tls;
  self->server_name = g_strdup (options->server_name);
  g_set_object (&self->tls_options, options->tls_options);
  return self;
}

/**
 * evp_connection_options_new:
 *
 * Makes options that say nothing: everything is as without options.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): new options
 *
 * Since: 1.0
 */
EvpConnectionOptions *
evp_connection_options_new (void)
{
  return g_object_new (EVP_TYPE_CONNECTION_OPTIONS, NULL);
}

/**
 * evp_connection_options_get_family:
 * @self: options
 *
 * Gets the kind of addresses to use.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the family, or %G_SOCKET_FAMILY_INVALID for any
 *
 * Since: 1.0
 */
GSocketFamily
evp_connection_options_get_family (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), G_SOCKET_FAMILY_INVALID);

  return self->family;
}

/**
 * evp_connection_options_get_local_host:
 * @self: options
 *
 * Gets the local address to connect from.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable): the name or number, or `NULL`
 *
 * Since: 1.0
 */
const char *
evp_connection_options_get_local_host (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), NULL);

  return self->local_host;
}

/**
 * evp_connection_options_get_local_port:
 * @self: options
 *
 * Gets the local port to connect from.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the port, or 0
 *
 * Since: 1.0
 */
guint16
evp_connection_options_get_local_port (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), 0);

  return self->local_port;
}

/**
 * evp_connection_options_get_happy_eyeballs_delay:
 * @self: options
 *
 * Gets how long to wait for one address before another one is tried beside it.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: seconds
 *
 * Since: 1.0
 */
double
evp_connection_options_get_happy_eyeballs_delay (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), 0.0);

  return self->happy_eyeballs_delay;
}

/**
 * evp_connection_options_get_interleave:
 * @self: options
 *
 * Gets how many addresses of the first kind are tried before the kinds alternate.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the number, 0 for the order of the resolver, or −1
 *
 * Since: 1.0
 */
int
evp_connection_options_get_interleave (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), -1);

  return self->interleave;
}

/**
 * evp_connection_options_get_timeout:
 * @self: options
 *
 * Gets how long looking up the name and connecting may take together.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: seconds; 0 or less for as long as the system tries
 *
 * Since: 1.0
 */
double
evp_connection_options_get_timeout (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), 0.0);

  return self->timeout;
}

/**
 * evp_connection_options_get_socket:
 * @self: options
 *
 * Gets the connected socket to make a stream of.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none): the socket, or `NULL`
 *
 * Since: 1.0
 */
GSocket *
evp_connection_options_get_socket (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), NULL);

  return self->socket;
}

/**
 * evp_connection_options_get_tls:
 * @self: options
 *
 * Gets whether TLS begins when connected.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: `TRUE` for TLS
 *
 * Since: 1.0
 */
gboolean
evp_connection_options_get_tls (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), FALSE);

  return self->tls;
}

/**
 * evp_connection_options_get_server_name:
 * @self: options
 *
 * Gets the name that the certificate of the server must bear.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable): the name, `NULL` for the host connected to, or empty for any
 *
 * Since: 1.0
 */
const char *
evp_connection_options_get_server_name (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), NULL);

  return self->server_name;
}

/**
 * evp_connection_options_get_tls_options:
 * @self: options
 *
 * Gets what is special about TLS.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none): the options, or `NULL`
 *
 * Since: 1.0
 */
EvpTlsOptions *
evp_connection_options_get_tls_options (EvpConnectionOptions *self)
{
  g_return_val_if_fail (EVP_IS_CONNECTION_OPTIONS (self), NULL);

  return self->tls_options;
}

/**
 * evp_connection_options_set_family:
 * @self: options
 * @family: %G_SOCKET_FAMILY_IPV4, %G_SOCKET_FAMILY_IPV6, or %G_SOCKET_FAMILY_INVALID for any
 *
 * Restricts a name with addresses of both kinds to one.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_family (EvpConnectionOptions *self,
                                   GSocketFamily         family)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));

  if (self->family == family)
    return;
  self->family = family;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_FAMILY]);
}

/**
 * evp_connection_options_set_local_host:
 * @self: options
 * @local_host: (nullable): a host name or numeric address, or `NULL`
 *
 * Sets the local address to connect from. Only those of its addresses are used that are of the same
 * kind as the remote one; a remote address without such a local one fails.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_local_host (EvpConnectionOptions *self,
                                       const char           *local_host)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));

  if (evp_set_string (&self->local_host, local_host))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LOCAL_HOST]);
}

/**
 * evp_connection_options_set_local_port:
 * @self: options
 * @local_port: a port, or 0 to leave it to the system
 *
 * Sets the local port to connect from.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_local_port (EvpConnectionOptions *self,
                                       guint16               local_port)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));

  if (self->local_port == local_port)
    return;
  self->local_port = local_port;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LOCAL_PORT]);
}

/**
 * evp_connection_options_set_happy_eyeballs_delay:
 * @self: options
 * @happy_eyeballs_delay: seconds; 0 or less tries the addresses one after the other
 *
 * Sets how long to wait for one address before another one is tried beside it. The default is a
 * quarter of a second, as RFC 8305 recommends. An address that fails makes room for the next one at
 * once, whatever the delay.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_happy_eyeballs_delay (EvpConnectionOptions *self,
                                                 double                happy_eyeballs_delay)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));

  if (!(self->happy_eyeballs_delay < happy_eyeballs_delay)
      && !(self->happy_eyeballs_delay > happy_eyeballs_delay))
    return;
  self->happy_eyeballs_delay = happy_eyeballs_delay;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HAPPY_EYEBALLS_DELAY]);
}

/**
 * evp_connection_options_set_interleave:
 * @self: options
 * @interleave: a number, 0 to keep the order of the resolver, or −1: 1 with happy eyeballs, 0 without
 *
 * Sets how many addresses of the first kind (IPv6 or IPv4) are tried before the kinds alternate.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_interleave (EvpConnectionOptions *self,
                                       int                   interleave)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));
  g_return_if_fail (interleave >= -1);

  if (self->interleave == interleave)
    return;
  self->interleave = interleave;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_INTERLEAVE]);
}

/**
 * evp_connection_options_set_timeout:
 * @self: options
 * @timeout: seconds; 0 or less for as long as the system tries
 *
 * Sets how long looking up the name and connecting may take together. The error is
 * %G_IO_ERROR_TIMED_OUT.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_timeout (EvpConnectionOptions *self,
                                    double                timeout)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));

  if (!(self->timeout < timeout) && !(self->timeout > timeout))
    return;
  self->timeout = timeout;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_TIMEOUT]);
}

/**
 * evp_connection_options_set_socket:
 * @self: options
 * @socket: (nullable): a connected socket, or `NULL`
 *
 * Gives a connected stream socket, for example one that was accepted elsewhere; the stream takes it
 * over and closes it. Then there must be neither host and port nor path.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_socket (EvpConnectionOptions *self,
                                   GSocket              *socket)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));
  g_return_if_fail (socket == NULL || G_IS_SOCKET (socket));

  if (g_set_object (&self->socket, socket))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SOCKET]);
}

/**
 * evp_connection_options_set_tls:
 * @self: options
 * @tls: `TRUE` for TLS
 *
 * Sets whether to begin TLS when connected. The stream is a [class@Gio.TlsConnection] then, and its
 * handshake is over.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_tls (EvpConnectionOptions *self,
                                gboolean              tls)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));

  tls = !!tls;
  if (self->tls == tls)
    return;
  self->tls = tls;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_TLS]);
}

/**
 * evp_connection_options_set_server_name:
 * @self: options
 * @server_name: (nullable): a name, `NULL` for the host connected to, or empty for any
 *
 * Sets the name that the certificate of the server must bear. Connections over unix sockets or with
 * a given socket need one for TLS.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_server_name (EvpConnectionOptions *self,
                                        const char           *server_name)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));

  if (evp_set_string (&self->server_name, server_name))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SERVER_NAME]);
}

/**
 * evp_connection_options_set_tls_options:
 * @self: options
 * @tls_options: (nullable): options of TLS, or `NULL`
 *
 * Sets what is special about TLS. It needs [property@Evp.ConnectionOptions:tls].
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_connection_options_set_tls_options (EvpConnectionOptions *self,
                                        EvpTlsOptions        *tls_options)
{
  g_return_if_fail (EVP_IS_CONNECTION_OPTIONS (self));
  g_return_if_fail (tls_options == NULL || EVP_IS_TLS_OPTIONS (tls_options));

  if (g_set_object (&self->tls_options, tls_options))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_TLS_OPTIONS]);
}
