/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-loop-tls-private.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/handle/evp-timer-handle.h"
#include "evp/loop/evp-loop-task-private.h"
#include "evp/net/evp-socket-stream-private.h"
#include "evp/net/evp-tls-options-private.h"

#include <errno.h>
#include <sys/socket.h>

/*
 * One handshake. It belongs to its TLS connection, which GIO's handshake, the timer and the source that
 * waits for the client hold on to: whichever of them is dropped unheard takes nothing with it that the
 * others need.
 *
 * TLS libraries shake hands on a thread of their own. Nothing here is touched from there.
 */
typedef struct
{
  GTlsConnection *connection; /* owns this */
  GIOStream *stream;
  GMainContext *context;
  EvpLoopTask *task;          /* NULL: it has returned */
  GCancellable *cancellable;  /* ends the handshake, whatever the reason */
  GSource *waiting;           /* for the client; NULL: not waiting */
  EvpTimerHandle *timer;      /* borrowed from the loop; NULL: it has run, or is not wanted any more */
  double timeout;
  double shutdown_timeout;
  gboolean timed_out;
} EvpTlsHandshake;

static G_DEFINE_QUARK (evp-tls-handshake, evp_tls_handshake)
static G_DEFINE_QUARK (evp-tls-hostname, evp_tls_hostname)

static void
evp_tls_handshake_free (gpointer user_data)
{
  EvpTlsHandshake *self = user_data;

  g_clear_object (&self->task);
  g_clear_object (&self->cancellable);
  g_clear_object (&self->stream);
  g_clear_pointer (&self->waiting, g_source_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_free (self);
}

static EvpTlsHandshake *
evp_tls_handshake_of (gpointer connection)
{
  return g_object_get_qdata (connection, evp_tls_handshake_quark ());
}

/* Whether the other end is there no more. The library's error does not tell it from a wrong protocol. */
static gboolean
evp_tls_handshake_peer_is_gone (EvpTlsHandshake *self)
{
  char byte;
  gssize n;

  if (!G_IS_SOCKET_CONNECTION (self->stream))
    return FALSE;
  n = recv (g_socket_get_fd (g_socket_connection_get_socket (G_SOCKET_CONNECTION (self->stream))),
            &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* What the caller is told. Takes @error. */
static GError *
evp_tls_handshake_explain (EvpTlsHandshake *self,
                           GError          *error)
{
  if (self->timed_out)
    {
      g_error_free (error);
      return g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                          /* Translators: %g is a number of seconds */
                          _("The TLS handshake was not complete after %g seconds"), self->timeout);
    }
  if (g_error_matches (error, G_TLS_ERROR, G_TLS_ERROR_EOF)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED)
      || (g_error_matches (error, G_TLS_ERROR, G_TLS_ERROR_NOT_TLS)
          && evp_tls_handshake_peer_is_gone (self)))
    {
      g_error_free (error);
      return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                                  _("The other end closed the connection during the TLS handshake"));
    }
  return error;
}

/* Not in a hurry to be polite: a connection without a handshake has nothing to say good-bye to. */
static void
evp_tls_handshake_close_stream (EvpTlsHandshake *self)
{
  if (G_IS_TCP_CONNECTION (self->stream))
    g_tcp_connection_set_graceful_disconnect (G_TCP_CONNECTION (self->stream), FALSE);
  g_io_stream_close (self->stream, NULL, NULL);
}

/* The end of it. Takes @error; NULL is success. */
static void
evp_tls_handshake_complete (EvpTlsHandshake *self,
                            GError          *error)
{
  g_autoptr (GTlsConnection) connection = g_object_ref (self->connection);
  g_autoptr (EvpLoopTask) task = g_steal_pointer (&self->task);
  EvpTimerHandle *timer = g_steal_pointer (&self->timer);

  if (timer != NULL)
    evp_timer_handle_cancel (timer);
  if (error != NULL)
    error = evp_tls_handshake_explain (self, error);
  /* without a task the loop was closed in between, and nobody waits for the stream */
  if (error != NULL || task == NULL)
    evp_tls_handshake_close_stream (self);
  else
    evp_socket_stream_set_patience (self->stream, self->shutdown_timeout);
  g_object_set_qdata (G_OBJECT (connection), evp_tls_handshake_quark (), NULL);

  if (task == NULL)
    g_clear_error (&error);
  else if (error != NULL)
    evp_loop_task_return_error (task, error);
  else
    evp_loop_task_return_pointer (task, g_steal_pointer (&connection), g_object_unref);
}

static void
evp_tls_handshake_cb (GObject      *source,
                      GAsyncResult *result,
                      gpointer      user_data)
{
  GError *error = NULL;

  g_tls_connection_handshake_finish (G_TLS_CONNECTION (source), result, &error);
  evp_tls_handshake_complete (evp_tls_handshake_of (source), error);
}

static gboolean evp_tls_handshake_begin_cb (gpointer user_data);

static void
evp_tls_handshake_begin (EvpTlsHandshake *self)
{
  /* g_main_context_invoke() on another thread may have the context for a moment, while the loop does not run */
  if (!g_main_context_acquire (self->context))
    {
      self->waiting = g_idle_source_new ();
      g_source_set_priority (self->waiting, G_PRIORITY_DEFAULT);
      g_source_set_callback (self->waiting, evp_tls_handshake_begin_cb, g_object_ref (self->connection), g_object_unref);
      g_source_set_static_name (self->waiting, "[evp] a TLS handshake begins");
      g_source_attach (self->waiting, self->context);
      return;
    }
  /* the result, and questions about certificates, come back through this context */
  g_main_context_push_thread_default (self->context);
  g_tls_connection_handshake_async (self->connection, G_PRIORITY_DEFAULT, self->cancellable,
                                    evp_tls_handshake_cb, NULL);
  g_main_context_pop_thread_default (self->context);
  g_main_context_release (self->context);
}

static gboolean
evp_tls_handshake_begin_cb (gpointer user_data)
{
  EvpTlsHandshake *self = evp_tls_handshake_of (user_data);
  GError *error = NULL;

  g_clear_pointer (&self->waiting, g_source_unref);
  if (g_cancellable_set_error_if_cancelled (self->cancellable, &error))
    evp_tls_handshake_complete (self, error);
  else
    evp_tls_handshake_begin (self);
  return G_SOURCE_REMOVE;
}

static gboolean
evp_tls_handshake_readable_cb (GObject *stream,
                               gpointer user_data)
{
  return evp_tls_handshake_begin_cb (user_data);
}

/*
 * A handshake occupies a thread of GLib's pool, which everybody shares. A client that connects and says
 * nothing must not have one.
 */
static void
evp_tls_handshake_wait_for_client (EvpTlsHandshake *self)
{
  GPollableInputStream *in = G_POLLABLE_INPUT_STREAM (g_io_stream_get_input_stream (self->stream));
  GSource *source;

  if (g_pollable_input_stream_is_readable (in))
    {
      evp_tls_handshake_begin (self);
      return;
    }
  source = self->waiting = g_pollable_input_stream_create_source (in, self->cancellable);
  g_source_set_callback (source, G_SOURCE_FUNC (evp_tls_handshake_readable_cb),
                         g_object_ref (self->connection), g_object_unref);
  g_source_set_static_name (source, "[evp] the first bytes of a TLS client");
  g_source_attach (source, self->context);
}

static void
evp_tls_handshake_timeout_cb (gpointer user_data)
{
  EvpTlsHandshake *self = evp_tls_handshake_of (user_data);

  self->timer = NULL;
  self->timed_out = TRUE;
  g_cancellable_cancel (self->cancellable);
}

/* The loop has let go of the timer. If neither it nor we had done with it, the loop is being closed. */
static void
evp_tls_handshake_timer_dropped (gpointer user_data)
{
  g_autoptr (GTlsConnection) connection = user_data;
  EvpTlsHandshake *self = evp_tls_handshake_of (connection);
  g_autoptr (EvpLoopTask) task = NULL;

  if (self == NULL || self->timer == NULL)
    return;
  self->timer = NULL;
  task = g_steal_pointer (&self->task);
  g_cancellable_cancel (self->cancellable);
  if (self->waiting != NULL)
    {
      /* its context may never be iterated again */
      g_source_destroy (self->waiting);
      evp_tls_handshake_close_stream (self);
    }
  evp_loop_task_return_error_now (task, g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                                             _("The event loop is closed; make a new one")));
}

static void
evp_tls_handshake_cancelled (EvpLoopTask *task,
                             gpointer     user_data)
{
  EvpTlsHandshake *self = user_data;

  g_cancellable_cancel (self->cancellable);
}

static gboolean
evp_tls_accept_certificate_cb (GTlsConnection      *connection,
                               GTlsCertificate     *certificate,
                               GTlsCertificateFlags faults,
                               EvpTlsOptions       *options)
{
  /* no name was asked for, so there is no wrong one */
  if (G_IS_TLS_CLIENT_CONNECTION (connection)
      && g_tls_client_connection_get_server_identity (G_TLS_CLIENT_CONNECTION (connection)) == NULL)
    faults &= ~G_TLS_CERTIFICATE_BAD_IDENTITY;
  return evp_tls_options_accept (options, connection, certificate, faults);
}

static gboolean
evp_tls_check_stream (GIOStream *stream,
                      GError   **error)
{
  GInputStream *in = g_io_stream_get_input_stream (stream);
  GOutputStream *out = g_io_stream_get_output_stream (stream);

  if (G_IS_TLS_CONNECTION (stream))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The stream speaks TLS already"));
      return FALSE;
    }
  if (g_io_stream_is_closed (stream))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The stream is closed; TLS needs an open connection"));
      return FALSE;
    }
  if (!G_IS_POLLABLE_INPUT_STREAM (in) || !g_pollable_input_stream_can_poll (G_POLLABLE_INPUT_STREAM (in))
      || !G_IS_POLLABLE_OUTPUT_STREAM (out) || !g_pollable_output_stream_can_poll (G_POLLABLE_OUTPUT_STREAM (out)))
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                   /* Translators: %s is a class name */
                   _("%s cannot carry TLS: its streams cannot be polled; take a connection"),
                   G_OBJECT_TYPE_NAME (stream));
      return FALSE;
    }
  if (g_io_stream_has_pending (stream) || g_input_stream_has_pending (in) || g_output_stream_has_pending (out))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                           _("The stream is being read or written; let that finish before TLS begins"));
      return FALSE;
    }
  return TRUE;
}

/* NULL without an error: the name is not looked at. */
static GSocketConnectable *
evp_tls_make_identity (GIOStream  *stream,
                       const char *hostname,
                       GError    **error)
{
  guint16 port = 0;

  if (hostname == NULL)
    hostname = g_object_get_qdata (G_OBJECT (stream), evp_tls_hostname_quark ());
  if (hostname == NULL)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The client side of TLS needs the server's name, to see whether it has the right one; "
                             "an empty name switches that off"));
      return NULL;
    }
  if (*hostname == '\0')
    return NULL;
  if (G_IS_SOCKET_CONNECTION (stream))
    {
      g_autoptr (GSocketAddress) address =
        g_socket_connection_get_remote_address (G_SOCKET_CONNECTION (stream), NULL);

      if (G_IS_INET_SOCKET_ADDRESS (address))
        port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
    }
  /* a numeric address is compared, but must not be sent as the name of the server that is wanted */
  if (g_hostname_is_ip_address (hostname))
    {
      GSocketAddress *address = g_inet_socket_address_new_from_string (hostname, port);

      if (address != NULL)
        return G_SOCKET_CONNECTABLE (address);
    }
  return g_network_address_new (hostname, port);
}

static GTlsConnection *
evp_tls_make_connection (GIOStream     *stream,
                         gboolean       server_side,
                         EvpTlsOptions *options,
                         const char    *hostname,
                         GError       **error)
{
  GTlsCertificate *certificate = evp_tls_options_get_certificate (options);
  GTlsDatabase *database = evp_tls_options_get_database (options);
  const char * const *protocols = evp_tls_options_get_alpn_protocols (options);
  g_autoptr (GIOStream) made = NULL;
  GTlsConnection *connection;

  if (!g_tls_backend_supports_tls (g_tls_backend_get_default ()))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
                           _("GIO has no TLS here; install the package glib-networking"));
      return NULL;
    }
  if (!evp_tls_options_check (options, server_side, error) || !evp_tls_check_stream (stream, error))
    return NULL;

  if (server_side)
    {
      made = g_tls_server_connection_new (stream, certificate, error);
      if (made == NULL)
        return NULL;
      g_object_set (made, "authentication-mode", evp_tls_options_get_authentication_mode (options), NULL);
    }
  else
    {
      GError *local_error = NULL;
      g_autoptr (GSocketConnectable) identity = evp_tls_make_identity (stream, hostname, &local_error);

      if (local_error != NULL)
        {
          g_propagate_error (error, local_error);
          return NULL;
        }
      made = g_tls_client_connection_new (stream, identity, error);
      if (made == NULL)
        return NULL;
      if (certificate != NULL)
        g_tls_connection_set_certificate (G_TLS_CONNECTION (made), certificate);
    }

  connection = G_TLS_CONNECTION (g_steal_pointer (&made));
  if (database != NULL)
    g_tls_connection_set_database (connection, database);
  if (protocols != NULL)
    g_tls_connection_set_advertised_protocols (connection, (const char **) protocols);
  g_signal_connect_data (connection, "accept-certificate", G_CALLBACK (evp_tls_accept_certificate_cb),
                         g_object_ref (options), (GClosureNotify) (void (*) (void)) g_object_unref,
                         G_CONNECT_DEFAULT);
  return connection;
}

static gboolean
evp_tls_start (EvpLoopTask          *task,
               EvpAbstractEventLoop *loop,
               GIOStream            *stream,
               gboolean              server_side,
               EvpTlsOptions        *options,
               const char           *hostname,
               GError              **error)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (loop);
  g_autoptr (GTlsConnection) connection = NULL;
  EvpTlsHandshake *self;
  GError *cancelled = NULL;

  if (context == NULL)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
                   /* Translators: %s is a class name */
                   _("%s does not live in a main context, which TLS needs"), G_OBJECT_TYPE_NAME (loop));
      return FALSE;
    }
  connection = evp_tls_make_connection (stream, server_side, options, hostname, error);
  if (connection == NULL)
    return FALSE;

  self = g_new0 (EvpTlsHandshake, 1);
  self->connection = connection;
  self->stream = g_object_ref (stream);
  self->context = g_main_context_ref (context);
  self->cancellable = g_cancellable_new ();
  self->timeout = evp_tls_options_get_handshake_timeout (options);
  self->shutdown_timeout = evp_tls_options_get_shutdown_timeout (options);
  g_object_set_qdata_full (G_OBJECT (connection), evp_tls_handshake_quark (), self, evp_tls_handshake_free);
  self->timer = evp_event_loop_call_later (loop, self->timeout, evp_tls_handshake_timeout_cb,
                                           g_object_ref (connection), evp_tls_handshake_timer_dropped, error);
  if (self->timer == NULL)
    return FALSE;
  self->task = g_object_ref (task);
  evp_loop_task_set_cancel_func (task, evp_tls_handshake_cancelled, self);

  if (g_cancellable_set_error_if_cancelled (evp_loop_task_get_cancellable (task), &cancelled))
    evp_tls_handshake_complete (self, cancelled);
  else if (server_side)
    evp_tls_handshake_wait_for_client (self);
  else
    evp_tls_handshake_begin (self);
  return TRUE;
}

void
evp_tls_set_default_hostname (GIOStream  *stream,
                              const char *hostname)
{
  g_object_set_qdata_full (G_OBJECT (stream), evp_tls_hostname_quark (), g_strdup (hostname), g_free);
}

/**
 * evp_event_loop_start_tls_async:
 * @self: a loop
 * @stream: an open connection
 * @server_side: whether this end is the server
 * @certificate: (nullable): what this end shows to the other, with its private key; a server must have one
 * @hostname: (nullable): the name that the server's certificate must bear; `NULL` is the host that
 *   @stream was connected to, an empty string accepts any name. Only a client looks at it.
 * @cancellable: (nullable): ends the handshake and closes the stream
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Begins to speak TLS on an open connection, as after `STARTTLS`.
 *
 * The connection's own streams must be at rest, with nothing buffered above them, and must not be used any
 * more once this function was called: what has been agreed on is the business of the stream that
 * [method@Evp.AbstractEventLoop.start_tls_finish] gives. Closing that one closes both.
 *
 * The certificate of a server must be valid and issued by an authority that the system trusts;
 * [method@Evp.AbstractEventLoop.start_tls_with_options_async] can be told otherwise. The handshake may take
 * 60 seconds. The TLS library works on a thread of its own meanwhile, and the loop goes on; a server
 * takes that thread only when the client has said something.
 *
 * Corresponds to asyncio's `loop.start_tls()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_start_tls_async (EvpAbstractEventLoop *self,
                                GIOStream            *stream,
                                gboolean              server_side,
                                GTlsCertificate      *certificate,
                                const char           *hostname,
                                GCancellable         *cancellable,
                                GAsyncReadyCallback   callback,
                                gpointer              user_data)
{
  g_autoptr (EvpTlsOptions) options = NULL;

  g_return_if_fail (certificate == NULL || G_IS_TLS_CERTIFICATE (certificate));

  options = evp_tls_options_new ();
  evp_tls_options_set_certificate (options, certificate);
  evp_event_loop_start_tls_with_options_async (self, stream, server_side, options, hostname,
                                               cancellable, callback, user_data);
}

/**
 * evp_event_loop_start_tls_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes beginning to speak TLS.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %EVP_ERROR_INVALID_ARGUMENT if the stream is closed, speaks TLS already or cannot be polled, a server
 * has no certificate, or a client has no name to compare; %EVP_ERROR_INVALID_STATE if the stream is being
 * used; %EVP_ERROR_NOT_SUPPORTED if GIO has no TLS, or the loop no main context. These leave the stream as it is.
 *
 * All others close it: %G_TLS_ERROR for what the TLS library says, %G_TLS_ERROR_BAD_CERTIFICATE in
 * particular; %G_IO_ERROR_CONNECTION_CLOSED if the other end went away; %G_IO_ERROR_TIMED_OUT;
 * %G_IO_ERROR_CANCELLED. %EVP_ERROR_LOOP_CLOSED leaves it to its last reference.
 *
 * Returns: (transfer full): a [class@Gio.TlsConnection] over the stream, or `NULL` with @error set
 *
 * Since: 1.0
 */
GIOStream *
evp_event_loop_start_tls_finish (EvpAbstractEventLoop *self,
                                 GAsyncResult         *result,
                                 GError              **error)
{
  return evp_event_loop_start_tls_with_options_finish (self, result, error);
}

/**
 * evp_event_loop_start_tls_with_options_async:
 * @self: a loop
 * @stream: an open connection
 * @server_side: whether this end is the server
 * @options: (nullable): certificates, trust, protocols and times; a server needs them
 * @hostname: (nullable): the name that the server's certificate must bear, as in
 *   [method@Evp.AbstractEventLoop.start_tls_async]
 * @cancellable: (nullable): ends the handshake and closes the stream
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Begins to speak TLS on an open connection, as the options say.
 *
 * Everything else is as in [method@Evp.AbstractEventLoop.start_tls_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_start_tls_with_options_async (EvpAbstractEventLoop *self,
                                             GIOStream            *stream,
                                             gboolean              server_side,
                                             EvpTlsOptions        *options,
                                             const char           *hostname,
                                             GCancellable         *cancellable,
                                             GAsyncReadyCallback   callback,
                                             gpointer              user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;
  g_autoptr (EvpTlsOptions) used = NULL;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (G_IS_IO_STREAM (stream));
  g_return_if_fail (options == NULL || EVP_IS_TLS_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self, self, evp_event_loop_start_tls_with_options_async,
                            cancellable, callback, user_data);
  used = options != NULL ? g_object_ref (options) : evp_tls_options_new ();
  if (!evp_tls_start (task, self, stream, server_side, used, hostname, &error))
    evp_loop_task_return_error (task, error);
}

/**
 * evp_event_loop_start_tls_with_options_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes beginning to speak TLS as options say.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of [method@Evp.AbstractEventLoop.start_tls_finish], and %EVP_ERROR_INVALID_ARGUMENT for impossible
 * options.
 *
 * Returns: (transfer full): a [class@Gio.TlsConnection] over the stream, or `NULL` with @error set
 *
 * Since: 1.0
 */
GIOStream *
evp_event_loop_start_tls_with_options_finish (EvpAbstractEventLoop *self,
                                              GAsyncResult         *result,
                                              GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_start_tls_with_options_async), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}
