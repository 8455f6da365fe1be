/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-server-options-private.h"

/**
 * EvpServerOptions:
 *
 * What is special about a server to be made.
 *
 * Without options a server listens at once, at every address of its host.
 *
 * ```c
 * g_autoptr (EvpServerOptions) options = evp_server_options_new ();
 *
 * evp_server_options_set_reuse_port (options, TRUE);
 * evp_server_options_set_start_serving (options, FALSE);
 * ```
 *
 * In Python the properties are keyword arguments: `Evp.ServerOptions(reuse_port=True)`.
 *
 * Options are only read, and only by the call that they are given to: one object serves any number of
 * servers, and may be changed as soon as the call has returned. Impossible combinations come out of the
 * `_finish()` function.
 *
 * An options object belongs to one thread at a time.
 *
 * Since: 1.0
 */

G_DEFINE_FINAL_TYPE (EvpServerOptions, evp_server_options, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_HOSTS,
  PROP_FAMILY,
  PROP_REUSE_ADDRESS,
  PROP_REUSE_PORT,
  PROP_START_SERVING,
  PROP_SOCKET,
  PROP_SOCKET_MODE,
  PROP_CLEANUP_SOCKET,
  PROP_TLS_OPTIONS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

static void
evp_server_options_finalize (GObject *object)
{
  EvpServerOptions *self = EVP_SERVER_OPTIONS (object);

  g_clear_pointer (&self->hosts, g_strfreev);
  g_clear_object (&self->socket);
  g_clear_object (&self->tls_options);

  G_OBJECT_CLASS (evp_server_options_parent_class)->finalize (object);
}

static void
evp_server_options_get_property (GObject    *object,
                                 guint       property_id,
                                 GValue     *value,
                                 GParamSpec *pspec)
{
  EvpServerOptions *self = EVP_SERVER_OPTIONS (object);

  switch (property_id)
    {
    case PROP_HOSTS:
      g_value_set_boxed (value, self->hosts);
      break;
    case PROP_FAMILY:
      g_value_set_enum (value, (int) self->family);
      break;
    case PROP_REUSE_ADDRESS:
      g_value_set_boolean (value, self->reuse_address);
      break;
    case PROP_REUSE_PORT:
      g_value_set_boolean (value, self->reuse_port);
      break;
    case PROP_START_SERVING:
      g_value_set_boolean (value, self->start_serving);
      break;
    case PROP_SOCKET:
      g_value_set_object (value, self->socket);
      break;
    case PROP_SOCKET_MODE:
      g_value_set_int (value, self->socket_mode);
      break;
    case PROP_CLEANUP_SOCKET:
      g_value_set_boolean (value, self->cleanup_socket);
      break;
    case PROP_TLS_OPTIONS:
      g_value_set_object (value, self->tls_options);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_server_options_set_property (GObject      *object,
                                 guint         property_id,
                                 const GValue *value,
                                 GParamSpec   *pspec)
{
  EvpServerOptions *self = EVP_SERVER_OPTIONS (object);

  switch (property_id)
    {
    case PROP_HOSTS:
      evp_server_options_set_hosts (self, g_value_get_boxed (value));
      break;
    case PROP_FAMILY:
      evp_server_options_set_family (self, (GSocketFamily) g_value_get_enum (value));
      break;
    case PROP_REUSE_ADDRESS:
      evp_server_options_set_reuse_address (self, g_value_get_boolean (value));
      break;
    case PROP_REUSE_PORT:
      evp_server_options_set_reuse_port (self, g_value_get_boolean (value));
      break;
    case PROP_START_SERVING:
      evp_server_options_set_start_serving (self, g_value_get_boolean (value));
      break;
    case PROP_SOCKET:
      evp_server_options_set_socket (self, g_value_get_object (value));
      break;
    case PROP_SOCKET_MODE:
      evp_server_options_set_socket_mode (self, g_value_get_int (value));
      break;
    case PROP_CLEANUP_SOCKET:
      evp_server_options_set_cleanup_socket (self, g_value_get_boolean (value));
      break;
    case PROP_TLS_OPTIONS:
      evp_server_options_set_tls_options (self, g_value_get_object (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_server_options_class_init (EvpServerOptionsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = evp_server_options_finalize;
  object_class->get_property = evp_server_options_get_property;
  object_class->set_property = evp_server_options_set_property;

  /**
   * EvpServerOptions:hosts:
   *
   * More names or numbers to listen at, beside the host that is given to the call; `NULL` for none.
   *
   * Since: 1.0
   */
  properties[PROP_HOSTS] = g_param_spec_boxed ("hosts", NULL, NULL, G_TYPE_STRV, flags);
  /**
   * EvpServerOptions:family:
   *
   * The kind of addresses to use; %G_SOCKET_FAMILY_INVALID for any.
   *
   * Since: 1.0
   */
  properties[PROP_FAMILY] =
    g_param_spec_enum ("family", NULL, NULL, G_TYPE_SOCKET_FAMILY, G_SOCKET_FAMILY_INVALID, flags);
  /**
   * EvpServerOptions:reuse-address:
   *
   * Whether the port may be taken while connections of an earlier server still linger.
   *
   * Since: 1.0
   */
  properties[PROP_REUSE_ADDRESS] = g_param_spec_boolean ("reuse-address", NULL, NULL, TRUE, flags);
  /**
   * EvpServerOptions:reuse-port:
   *
   * Whether other sockets of the same user may listen at the same port, all with this option.
   *
   * Since: 1.0
   */
  properties[PROP_REUSE_PORT] = g_param_spec_boolean ("reuse-port", NULL, NULL, FALSE, flags);
  /**
   * EvpServerOptions:start-serving:
   *
   * Whether the server listens at once; else it waits for [method@Evp.Server.start_serving], with its
   * port taken.
   *
   * Since: 1.0
   */
  properties[PROP_START_SERVING] = g_param_spec_boolean ("start-serving", NULL, NULL, TRUE, flags);
  /**
   * EvpServerOptions:socket:
   *
   * A bound socket to listen on, instead of making one.
   *
   * Since: 1.0
   */
  properties[PROP_SOCKET] = g_param_spec_object ("socket", NULL, NULL, G_TYPE_SOCKET, flags);
  /**
   * EvpServerOptions:socket-mode:
   *
   * The permissions of the file of a unix socket, as for `chmod`; −1 for what the umask leaves.
   *
   * Since: 1.0
   */
  properties[PROP_SOCKET_MODE] = g_param_spec_int ("socket-mode", NULL, NULL, -1, 07777, -1, flags);
  /**
   * EvpServerOptions:cleanup-socket:
   *
   * Whether closing the server removes the file of a unix socket, if it still is this one.
   *
   * Since: 1.0
   */
  properties[PROP_CLEANUP_SOCKET] = g_param_spec_boolean ("cleanup-socket", NULL, NULL, TRUE, flags);
  /**
   * EvpServerOptions:tls-options:
   *
   * The certificate of the server, trust, protocols and times of TLS; `NULL` for no TLS.
   *
   * Since: 1.0
   */
  properties[PROP_TLS_OPTIONS] = g_param_spec_object ("tls-options", NULL, NULL, EVP_TYPE_TLS_OPTIONS, flags);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_server_options_init (EvpServerOptions *self)
{
  self->reuse_address = TRUE;
  self->start_serving = TRUE;
  self->socket_mode = -1;
  self->cleanup_socket = TRUE;
}

EvpServerOptions *
evp_server_options_snapshot (EvpServerOptions *options)
{
  EvpServerOptions *self = evp_server_options_new ();

  if (options == NULL)
    return self;
  self->hosts = g_strdupv (options->hosts);
  self->family = options->family;
  self->reuse_address = options->reuse_address;
  self->reuse_port = options->reuse_port;
  self->start_serving = options->start_serving;
  g_set_object (&self->socket, options->socket);
  self->socket_mode = options->socket_mode;
  self->cleanup_socket = options->cleanup_socket;
  g_set_object (&self->tls_options, options->tls_options);
  return self;
}

/**
 * evp_server_options_new:
 *
 * Makes options that say nothing: everything is as without options.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): new options
 *
 * Since: 1.0
 */
EvpServerOptions *
evp_server_options_new (void)
{
  return g_object_new (EVP_TYPE_SERVER_OPTIONS, NULL);
}

/**
 * evp_server_options_get_hosts:
 * @self: options
 *
 * Gets more names to listen at.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none) (array zero-terminated=1): the names, or `NULL`
 *
 * Since: 1.0
 */
const char * const *
evp_server_options_get_hosts (EvpServerOptions *self)
{
  g_return_val_if_fail (EVP_IS_SERVER_OPTIONS (self), NULL);

  return (const char * const *) self->hosts;
}

/**
 * evp_server_options_get_family:
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
evp_server_options_get_family (EvpServerOptions *self)
{
  g_return_val_if_fail (EVP_IS_SERVER_OPTIONS (self), G_SOCKET_FAMILY_INVALID);

  return self->family;
}

/**
 * evp_server_options_get_reuse_address:
 * @self: options
 *
 * Gets whether the port may be taken while earlier connections still linger.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: `TRUE` if so
 *
 * Since: 1.0
 */
gboolean
evp_server_options_get_reuse_address (EvpServerOptions *self)
{
  g_return_val_if_fail (EVP_IS_SERVER_OPTIONS (self), FALSE);

  return self->reuse_address;
}

/**
 * evp_server_options_get_reuse_port:
 * @self: options
 *
 * Gets whether several sockets may share the port.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: `TRUE` if so
 *
 * Since: 1.0
 */
gboolean
evp_server_options_get_reuse_port (EvpServerOptions *self)
{
  g_return_val_if_fail (EVP_IS_SERVER_OPTIONS (self), FALSE);

  return self->reuse_port;
}

/**
 * evp_server_options_get_start_serving:
 * @self: options
 *
 * Gets whether the server listens at once.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: `TRUE` if so
 *
 * Since: 1.0
 */
gboolean
evp_server_options_get_start_serving (EvpServerOptions *self)
{
  g_return_val_if_fail (EVP_IS_SERVER_OPTIONS (self), FALSE);

  return self->start_serving;
}

/**
 * evp_server_options_get_socket:
 * @self: options
 *
 * Gets the socket to listen on.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none): the socket, or `NULL`
 *
 * Since: 1.0
 */
GSocket *
evp_server_options_get_socket (EvpServerOptions *self)
{
  g_return_val_if_fail (EVP_IS_SERVER_OPTIONS (self), NULL);

  return self->socket;
}

/**
 * evp_server_options_get_socket_mode:
 * @self: options
 *
 * Gets the permissions of the file of a unix socket.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the permissions, or −1
 *
 * Since: 1.0
 */
int
evp_server_options_get_socket_mode (EvpServerOptions *self)
{
  g_return_val_if_fail (EVP_IS_SERVER_OPTIONS (self), -1);

  return self->socket_mode;
}

/**
 * evp_server_options_get_cleanup_socket:
 * @self: options
 *
 * Gets whether closing the server removes the file of a unix socket.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: `TRUE` if so
 *
 * Since: 1.0
 */
gboolean
evp_server_options_get_cleanup_socket (EvpServerOptions *self)
{
  g_return_val_if_fail (EVP_IS_SERVER_OPTIONS (self), FALSE);

  return self->cleanup_socket;
}

/**
 * evp_server_options_get_tls_options:
 * @self: options
 *
 * Gets what the server needs for TLS.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none): the options, or `NULL`
 *
 * Since: 1.0
 */
EvpTlsOptions *
evp_server_options_get_tls_options (EvpServerOptions *self)
{
  g_return_val_if_fail (EVP_IS_SERVER_OPTIONS (self), NULL);

  return self->tls_options;
}

/**
 * evp_server_options_set_hosts:
 * @self: options
 * @hosts: (nullable) (array zero-terminated=1): host names or numeric addresses, or `NULL`
 *
 * Sets more names or numbers to listen at, beside the host that is given to the call. An address
 * that several of them have is used once.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_server_options_set_hosts (EvpServerOptions   *self,
                              const char * const *hosts)
{
  char **copy;

  g_return_if_fail (EVP_IS_SERVER_OPTIONS (self));

  copy = g_strdupv ((char **) hosts); /* first: it may be our own */
  g_strfreev (self->hosts);
  self->hosts = copy;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HOSTS]);
}

/**
 * evp_server_options_set_family:
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
evp_server_options_set_family (EvpServerOptions *self,
                               GSocketFamily     family)
{
  g_return_if_fail (EVP_IS_SERVER_OPTIONS (self));

  if (self->family == family)
    return;
  self->family = family;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_FAMILY]);
}

/**
 * evp_server_options_set_reuse_address:
 * @self: options
 * @reuse_address: `TRUE` if so
 *
 * Sets whether the port may be taken while connections of an earlier server still linger
 * (`SO_REUSEADDR`).
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_server_options_set_reuse_address (EvpServerOptions *self,
                                      gboolean          reuse_address)
{
  g_return_if_fail (EVP_IS_SERVER_OPTIONS (self));

  reuse_address = !!reuse_address;
  if (self->reuse_address == reuse_address)
    return;
  self->reuse_address = reuse_address;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_REUSE_ADDRESS]);
}

/**
 * evp_server_options_set_reuse_port:
 * @self: options
 * @reuse_port: `TRUE` if so
 *
 * Sets whether several sockets may listen at the same port, and share the connections
 * (`SO_REUSEPORT`). All of them need the option.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_server_options_set_reuse_port (EvpServerOptions *self,
                                   gboolean          reuse_port)
{
  g_return_if_fail (EVP_IS_SERVER_OPTIONS (self));

  reuse_port = !!reuse_port;
  if (self->reuse_port == reuse_port)
    return;
  self->reuse_port = reuse_port;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_REUSE_PORT]);
}

/**
 * evp_server_options_set_start_serving:
 * @self: options
 * @start_serving: `FALSE` to wait for [method@Evp.Server.start_serving]
 *
 * Sets whether the server listens at once.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_server_options_set_start_serving (EvpServerOptions *self,
                                      gboolean          start_serving)
{
  g_return_if_fail (EVP_IS_SERVER_OPTIONS (self));

  start_serving = !!start_serving;
  if (self->start_serving == start_serving)
    return;
  self->start_serving = start_serving;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_START_SERVING]);
}

/**
 * evp_server_options_set_socket:
 * @self: options
 * @socket: (nullable): a bound stream socket, or `NULL`
 *
 * Gives a bound stream socket, for example one inherited from a service manager; the server takes it
 * over and closes it. Then there must be neither host and port nor path.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_server_options_set_socket (EvpServerOptions *self,
                               GSocket          *socket)
{
  g_return_if_fail (EVP_IS_SERVER_OPTIONS (self));
  g_return_if_fail (socket == NULL || G_IS_SOCKET (socket));

  if (g_set_object (&self->socket, socket))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SOCKET]);
}

/**
 * evp_server_options_set_socket_mode:
 * @self: options
 * @socket_mode: permissions as for `chmod`, or −1 for what the umask leaves
 *
 * Sets the permissions of the file of a unix socket. Nobody can connect before they are set.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_server_options_set_socket_mode (EvpServerOptions *self,
                                    int               socket_mode)
{
  g_return_if_fail (EVP_IS_SERVER_OPTIONS (self));
  g_return_if_fail (socket_mode >= -1);

  if (self->socket_mode == socket_mode)
    return;
  self->socket_mode = socket_mode;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SOCKET_MODE]);
}

/**
 * evp_server_options_set_cleanup_socket:
 * @self: options
 * @cleanup_socket: `TRUE` if so
 *
 * Sets whether closing the server removes the file of a unix socket. The file of another server that
 * has taken the path meanwhile is left alone.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_server_options_set_cleanup_socket (EvpServerOptions *self,
                                       gboolean          cleanup_socket)
{
  g_return_if_fail (EVP_IS_SERVER_OPTIONS (self));

  cleanup_socket = !!cleanup_socket;
  if (self->cleanup_socket == cleanup_socket)
    return;
  self->cleanup_socket = cleanup_socket;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CLEANUP_SOCKET]);
}

/**
 * evp_server_options_set_tls_options:
 * @self: options
 * @tls_options: (nullable): options of TLS, or `NULL`
 *
 * Makes the server speak TLS: every connection begins with a handshake, and is handed over when that
 * has succeeded. Handshakes do not hold each other up; one that fails is told to the exception
 * handler in debug mode only.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_server_options_set_tls_options (EvpServerOptions *self,
                                    EvpTlsOptions    *tls_options)
{
  g_return_if_fail (EVP_IS_SERVER_OPTIONS (self));
  g_return_if_fail (tls_options == NULL || EVP_IS_TLS_OPTIONS (tls_options));

  if (g_set_object (&self->tls_options, tls_options))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_TLS_OPTIONS]);
}
