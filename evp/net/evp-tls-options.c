/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-tls-options-private.h"

#include "evp/base/evp-i18n-private.h"
#include "evp/base/evp-error.h"

/**
 * EvpTlsOptions:
 *
 * How the two ends of a TLS connection convince each other.
 *
 * A client needs none: by default the server's certificate must be issued, directly or not, by an
 * authority that the system trusts, be valid today and bear the server's name. A server needs a
 * [property@Evp.TlsOptions:certificate], with its private key.
 *
 * ```c
 * g_autoptr (EvpTlsOptions) options = evp_tls_options_new ();
 * g_autoptr (GTlsDatabase) authorities = g_tls_file_database_new ("/etc/example/ca.pem", &error);
 *
 * evp_tls_options_set_database (options, authorities);
 * evp_tls_options_set_handshake_timeout (options, 10);
 * ```
 *
 * In Python the properties are keyword arguments: `Evp.TlsOptions(certificate=certificate)`.
 *
 * Options are only read, when a handshake begins; one object serves any number of connections, and
 * corresponds to asyncio's `ssl.SSLContext`. The signal
 * [signal@Evp.TlsOptions::accept-certificate] is emitted for all of them. Impossible values are found
 * then, and come out of the `_finish()` function.
 *
 * An options object belongs to one thread at a time; while connections use it, to that of their loop.
 *
 * Since: 1.0
 */

struct _EvpTlsOptions
{
  GObject parent_instance;

  GTlsCertificate *certificate;
  GTlsDatabase *database; /* NULL: the system's */
  GTlsAuthenticationMode authentication_mode;
  GTlsCertificateFlags validation_flags;
  char **alpn_protocols; /* NULL: none offered */
  double handshake_timeout;
  double shutdown_timeout;
};

#define EVP_TLS_HANDSHAKE_TIMEOUT 60.0
#define EVP_TLS_SHUTDOWN_TIMEOUT 30.0

G_DEFINE_FINAL_TYPE (EvpTlsOptions, evp_tls_options, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_CERTIFICATE,
  PROP_DATABASE,
  PROP_AUTHENTICATION_MODE,
  PROP_VALIDATION_FLAGS,
  PROP_ALPN_PROTOCOLS,
  PROP_HANDSHAKE_TIMEOUT,
  PROP_SHUTDOWN_TIMEOUT,
  N_PROPS
};

enum
{
  ACCEPT_CERTIFICATE,
  N_SIGNALS
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

static void
evp_tls_options_set_seconds (EvpTlsOptions *self,
                             double        *field,
                             double         seconds,
                             GParamSpec    *pspec)
{
  if (*field == seconds)
    return;
  *field = seconds;
  g_object_notify_by_pspec (G_OBJECT (self), pspec);
}

static gboolean
evp_tls_options_check_seconds (double      seconds,
                               const char *property,
                               GError    **error)
{
  if (seconds > 0)
    return TRUE;
  g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
               /* Translators: %s is the name of a property, which is not translated */
               _("The TLS option %s must be more than 0 seconds"), property);
  return FALSE;
}

static void
evp_tls_options_finalize (GObject *object)
{
  EvpTlsOptions *self = EVP_TLS_OPTIONS (object);

  g_clear_object (&self->certificate);
  g_clear_object (&self->database);
  g_clear_pointer (&self->alpn_protocols, g_strfreev);

  G_OBJECT_CLASS (evp_tls_options_parent_class)->finalize (object);
}

static void
evp_tls_options_get_property (GObject    *object,
                              guint       property_id,
                              GValue     *value,
                              GParamSpec *pspec)
{
  EvpTlsOptions *self = EVP_TLS_OPTIONS (object);

  switch (property_id)
    {
    case PROP_CERTIFICATE:
      g_value_set_object (value, self->certificate);
      break;
    case PROP_DATABASE:
      g_value_set_object (value, self->database);
      break;
    case PROP_AUTHENTICATION_MODE:
      g_value_set_enum (value, (int) self->authentication_mode);
      break;
    case PROP_VALIDATION_FLAGS:
      g_value_set_flags (value, self->validation_flags);
      break;
    case PROP_ALPN_PROTOCOLS:
      g_value_set_boxed (value, self->alpn_protocols);
      break;
    case PROP_HANDSHAKE_TIMEOUT:
      g_value_set_double (value, self->handshake_timeout);
      break;
    case PROP_SHUTDOWN_TIMEOUT:
      g_value_set_double (value, self->shutdown_timeout);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_tls_options_set_property (GObject      *object,
                              guint         property_id,
                              const GValue *value,
                              GParamSpec   *pspec)
{
  EvpTlsOptions *self = EVP_TLS_OPTIONS (object);

  switch (property_id)
    {
    case PROP_CERTIFICATE:
      evp_tls_options_set_certificate (self, g_value_get_object (value));
      break;
    case PROP_DATABASE:
      evp_tls_options_set_database (self, g_value_get_object (value));
      break;
    case PROP_AUTHENTICATION_MODE:
      evp_tls_options_set_authentication_mode (self, (GTlsAuthenticationMode) g_value_get_enum (value));
      break;
    case PROP_VALIDATION_FLAGS:
      evp_tls_options_set_validation_flags (self, (GTlsCertificateFlags) g_value_get_flags (value));
      break;
    case PROP_ALPN_PROTOCOLS:
      evp_tls_options_set_alpn_protocols (self, g_value_get_boxed (value));
      break;
    case PROP_HANDSHAKE_TIMEOUT:
      evp_tls_options_set_handshake_timeout (self, g_value_get_double (value));
      break;
    case PROP_SHUTDOWN_TIMEOUT:
      evp_tls_options_set_shutdown_timeout (self, g_value_get_double (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_tls_options_class_init (EvpTlsOptionsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = evp_tls_options_finalize;
  object_class->get_property = evp_tls_options_get_property;
  object_class->set_property = evp_tls_options_set_property;

  /**
   * EvpTlsOptions:certificate:
   *
   * What this end shows to the other, with its private key. A server must have one.
   *
   * Since: 1.0
   */
  properties[PROP_CERTIFICATE] = g_param_spec_object ("certificate", NULL, NULL, G_TYPE_TLS_CERTIFICATE, flags);
  /**
   * EvpTlsOptions:database:
   *
   * The authorities that this end trusts; `NULL` for those of the system.
   *
   * Since: 1.0
   */
  properties[PROP_DATABASE] = g_param_spec_object ("database", NULL, NULL, G_TYPE_TLS_DATABASE, flags);
  /**
   * EvpTlsOptions:authentication-mode:
   *
   * Whether a server asks its clients for a certificate. Clients do not look at it.
   *
   * Since: 1.0
   */
  properties[PROP_AUTHENTICATION_MODE] =
    g_param_spec_enum ("authentication-mode", NULL, NULL, G_TYPE_TLS_AUTHENTICATION_MODE,
                       G_TLS_AUTHENTICATION_NONE, flags);
  /**
   * EvpTlsOptions:validation-flags:
   *
   * The faults for which the other end's certificate is refused. A certificate all of whose faults are left out
   * here is accepted. Leaving out any makes a connection open to whoever sits in between: GIO does not promise
   * to find the other faults of a certificate that has one.
   *
   * Since: 1.0
   */
  properties[PROP_VALIDATION_FLAGS] =
    g_param_spec_flags ("validation-flags", NULL, NULL, G_TYPE_TLS_CERTIFICATE_FLAGS,
                        G_TLS_CERTIFICATE_VALIDATE_ALL, flags);
  /**
   * EvpTlsOptions:alpn-protocols:
   *
   * The application protocols that this end speaks, the best first, for example `h2` and `http/1.1`; `NULL` to
   * leave the matter out. What was agreed on is in the property `negotiated-protocol` of the connection.
   *
   * Since: 1.0
   */
  properties[PROP_ALPN_PROTOCOLS] = g_param_spec_boxed ("alpn-protocols", NULL, NULL, G_TYPE_STRV, flags);
  /**
   * EvpTlsOptions:handshake-timeout:
   *
   * The seconds after which a handshake that is not complete has failed. More than 0; 60 by default.
   *
   * Since: 1.0
   */
  properties[PROP_HANDSHAKE_TIMEOUT] =
    g_param_spec_double ("handshake-timeout", NULL, NULL, -G_MAXDOUBLE, G_MAXDOUBLE,
                         EVP_TLS_HANDSHAKE_TIMEOUT, flags);
  /**
   * EvpTlsOptions:shutdown-timeout:
   *
   * The seconds for which closing waits until the other end takes the message of the end. More than 0; 30 by
   * default. Connections that were made by a loop, or by GIO after
   * [func@Evp.socket_connection_register], keep it; with others the cancellable of
   * [method@Gio.IOStream.close_async] is what limits closing. An answer is never waited for.
   *
   * Since: 1.0
   */
  properties[PROP_SHUTDOWN_TIMEOUT] =
    g_param_spec_double ("shutdown-timeout", NULL, NULL, -G_MAXDOUBLE, G_MAXDOUBLE,
                         EVP_TLS_SHUTDOWN_TIMEOUT, flags);

  g_object_class_install_properties (object_class, N_PROPS, properties);

  /**
   * EvpTlsOptions::accept-certificate:
   * @self: options
   * @connection: the connection whose other end is in doubt
   * @certificate: what the other end shows
   * @faults: what is wrong with it
   *
   * Emitted on the loop's thread when a certificate would be refused. Whoever can tell that it is the right one
   * all the same, by its fingerprint for example, returns `TRUE`.
   *
   * The handshake waits for the answer; the loop does, too.
   *
   * Returns: whether to accept the certificate; without a handler it is refused
   *
   * Since: 1.0
   */
  signals[ACCEPT_CERTIFICATE] =
    g_signal_new ("accept-certificate", EVP_TYPE_TLS_OPTIONS, G_SIGNAL_RUN_LAST, 0,
                  g_signal_accumulator_true_handled, NULL, NULL,
                  G_TYPE_BOOLEAN, 3,
                  G_TYPE_TLS_CONNECTION, G_TYPE_TLS_CERTIFICATE, G_TYPE_TLS_CERTIFICATE_FLAGS);
}

static void
evp_tls_options_init (EvpTlsOptions *self)
{
  self->authentication_mode = G_TLS_AUTHENTICATION_NONE;
  self->validation_flags = G_TLS_CERTIFICATE_VALIDATE_ALL;
  self->handshake_timeout = EVP_TLS_HANDSHAKE_TIMEOUT;
  self->shutdown_timeout = EVP_TLS_SHUTDOWN_TIMEOUT;
}

gboolean
evp_tls_options_check (EvpTlsOptions *self,
                       gboolean       server_side,
                       GError       **error)
{
  if (!evp_tls_options_check_seconds (self->handshake_timeout, "handshake-timeout", error)
      || !evp_tls_options_check_seconds (self->shutdown_timeout, "shutdown-timeout", error))
    return FALSE;
  if (server_side && self->certificate == NULL)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The server side of TLS needs a certificate with its private key; "
                             "g_tls_certificate_new_from_file() reads one"));
      return FALSE;
    }
  return TRUE;
}

gboolean
evp_tls_options_accept (EvpTlsOptions       *self,
                        GTlsConnection      *connection,
                        GTlsCertificate     *certificate,
                        GTlsCertificateFlags faults)
{
  gboolean accepted = FALSE;

  if ((faults & self->validation_flags) == 0)
    return TRUE;
  g_signal_emit (self, signals[ACCEPT_CERTIFICATE], 0, connection, certificate, faults, &accepted);
  return accepted;
}

/**
 * evp_tls_options_new:
 *
 * Creates options that suit a client of a public server.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): new options
 *
 * Since: 1.0
 */
EvpTlsOptions *
evp_tls_options_new (void)
{
  return g_object_new (EVP_TYPE_TLS_OPTIONS, NULL);
}

/**
 * evp_tls_options_get_certificate:
 * @self: options
 *
 * Gets what this end shows to the other.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none): the certificate
 *
 * Since: 1.0
 */
GTlsCertificate *
evp_tls_options_get_certificate (EvpTlsOptions *self)
{
  g_return_val_if_fail (EVP_IS_TLS_OPTIONS (self), NULL);

  return self->certificate;
}

/**
 * evp_tls_options_get_database:
 * @self: options
 *
 * Gets the authorities that this end trusts.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none): the database, or `NULL` for the system's
 *
 * Since: 1.0
 */
GTlsDatabase *
evp_tls_options_get_database (EvpTlsOptions *self)
{
  g_return_val_if_fail (EVP_IS_TLS_OPTIONS (self), NULL);

  return self->database;
}

/**
 * evp_tls_options_get_authentication_mode:
 * @self: options
 *
 * Tells whether a server asks its clients for a certificate.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the mode
 *
 * Since: 1.0
 */
GTlsAuthenticationMode
evp_tls_options_get_authentication_mode (EvpTlsOptions *self)
{
  g_return_val_if_fail (EVP_IS_TLS_OPTIONS (self), G_TLS_AUTHENTICATION_NONE);

  return self->authentication_mode;
}

/**
 * evp_tls_options_get_validation_flags:
 * @self: options
 *
 * Gets the faults for which a certificate is refused.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the faults
 *
 * Since: 1.0
 */
GTlsCertificateFlags
evp_tls_options_get_validation_flags (EvpTlsOptions *self)
{
  g_return_val_if_fail (EVP_IS_TLS_OPTIONS (self), G_TLS_CERTIFICATE_VALIDATE_ALL);

  return self->validation_flags;
}

/**
 * evp_tls_options_get_alpn_protocols:
 * @self: options
 *
 * Gets the application protocols that this end speaks.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none) (array zero-terminated=1): the protocols, or `NULL`
 *
 * Since: 1.0
 */
const char * const *
evp_tls_options_get_alpn_protocols (EvpTlsOptions *self)
{
  g_return_val_if_fail (EVP_IS_TLS_OPTIONS (self), NULL);

  return (const char * const *) self->alpn_protocols;
}

/**
 * evp_tls_options_get_handshake_timeout:
 * @self: options
 *
 * Gets the time that a handshake may take.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: seconds
 *
 * Since: 1.0
 */
double
evp_tls_options_get_handshake_timeout (EvpTlsOptions *self)
{
  g_return_val_if_fail (EVP_IS_TLS_OPTIONS (self), EVP_TLS_HANDSHAKE_TIMEOUT);

  return self->handshake_timeout;
}

/**
 * evp_tls_options_get_shutdown_timeout:
 * @self: options
 *
 * Gets the time that the last message may take.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: seconds
 *
 * Since: 1.0
 */
double
evp_tls_options_get_shutdown_timeout (EvpTlsOptions *self)
{
  g_return_val_if_fail (EVP_IS_TLS_OPTIONS (self), EVP_TLS_SHUTDOWN_TIMEOUT);

  return self->shutdown_timeout;
}

/**
 * evp_tls_options_set_certificate:
 * @self: options
 * @certificate: (nullable): a certificate with its private key
 *
 * Sets what this end shows to the other.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_tls_options_set_certificate (EvpTlsOptions   *self,
                                 GTlsCertificate *certificate)
{
  g_return_if_fail (EVP_IS_TLS_OPTIONS (self));
  g_return_if_fail (certificate == NULL || G_IS_TLS_CERTIFICATE (certificate));

  if (g_set_object (&self->certificate, certificate))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CERTIFICATE]);
}

/**
 * evp_tls_options_set_database:
 * @self: options
 * @database: (nullable): authorities, or `NULL` for the system's
 *
 * Sets the authorities that this end trusts.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_tls_options_set_database (EvpTlsOptions *self,
                              GTlsDatabase  *database)
{
  g_return_if_fail (EVP_IS_TLS_OPTIONS (self));
  g_return_if_fail (database == NULL || G_IS_TLS_DATABASE (database));

  if (g_set_object (&self->database, database))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_DATABASE]);
}

/**
 * evp_tls_options_set_authentication_mode:
 * @self: options
 * @mode: a mode
 *
 * Sets whether a server asks its clients for a certificate.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_tls_options_set_authentication_mode (EvpTlsOptions         *self,
                                         GTlsAuthenticationMode mode)
{
  g_return_if_fail (EVP_IS_TLS_OPTIONS (self));

  if (self->authentication_mode == mode)
    return;
  self->authentication_mode = mode;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_AUTHENTICATION_MODE]);
}

/**
 * evp_tls_options_set_validation_flags:
 * @self: options
 * @flags: faults
 *
 * Sets the faults for which a certificate is refused. See
 * [property@Evp.TlsOptions:validation-flags] before leaving any out.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_tls_options_set_validation_flags (EvpTlsOptions       *self,
                                      GTlsCertificateFlags flags)
{
  g_return_if_fail (EVP_IS_TLS_OPTIONS (self));

  if (self->validation_flags == flags)
    return;
  self->validation_flags = flags;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_VALIDATION_FLAGS]);
}

/**
 * evp_tls_options_set_alpn_protocols:
 * @self: options
 * @protocols: (nullable) (array zero-terminated=1): names of protocols, the best first
 *
 * Sets the application protocols that this end speaks.
 *
 * Use it from the thread that owns the options. O(n) in the number of protocols.
 *
 * Since: 1.0
 */
void
evp_tls_options_set_alpn_protocols (EvpTlsOptions      *self,
                                    const char * const *protocols)
{
  char **copy;

  g_return_if_fail (EVP_IS_TLS_OPTIONS (self));

  copy = g_strdupv ((char **) protocols);
  g_strfreev (self->alpn_protocols);
  self->alpn_protocols = copy;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_ALPN_PROTOCOLS]);
}

/**
 * evp_tls_options_set_handshake_timeout:
 * @self: options
 * @seconds: more than 0
 *
 * Sets the time that a handshake may take.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_tls_options_set_handshake_timeout (EvpTlsOptions *self,
                                       double         seconds)
{
  g_return_if_fail (EVP_IS_TLS_OPTIONS (self));

  evp_tls_options_set_seconds (self, &self->handshake_timeout, seconds, properties[PROP_HANDSHAKE_TIMEOUT]);
}

/**
 * evp_tls_options_set_shutdown_timeout:
 * @self: options
 * @seconds: more than 0
 *
 * Sets the time that the last message may take.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_tls_options_set_shutdown_timeout (EvpTlsOptions *self,
                                      double         seconds)
{
  g_return_if_fail (EVP_IS_TLS_OPTIONS (self));

  evp_tls_options_set_seconds (self, &self->shutdown_timeout, seconds, properties[PROP_SHUTDOWN_TIMEOUT]);
}
