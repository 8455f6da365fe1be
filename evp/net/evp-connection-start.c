/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-loop-network-private.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/net/evp-connection-options-private.h"
#include "evp/net/evp-connector-private.h"
#include "evp/net/evp-loop-names.h"
#include "evp/net/evp-loop-tls-private.h"
#include "evp/net/evp-socket-stream-private.h"
#include "evp/net/evp-tls-options-private.h"

/*
 * One connection in the making: names are looked up, addresses are tried, TLS begins. It ends when
 * nothing of that is under way any more, also when it was cancelled or took too long, so that nothing of it
 * is left when the caller hears of it.
 */
typedef struct
{
  EvpLoopTask *task;
  EvpAbstractEventLoop *loop;
  EvpConnectionOptions *options;
  char *host;
  guint16 port;

  GCancellable *stop;      /* for what is made of other asynchronous calls */
  GList *addresses;
  GList *locals;
  guint n_lookups;         /* that have not ended */
  EvpConnector *connector; /* while it works */
  EvpTimerHandle *timer;   /* of the timeout */
  gboolean timed_out;
  GError *error;           /* the first */
} EvpConnecting;

static void
evp_connecting_clear (gpointer data)
{
  EvpConnecting *self = data;

  g_object_unref (self->task);
  g_object_unref (self->loop);
  g_object_unref (self->options);
  g_object_unref (self->stop);
  g_free (self->host);
  g_list_free_full (self->addresses, g_object_unref);
  g_list_free_full (self->locals, g_object_unref);
  g_clear_pointer (&self->connector, evp_connector_unref);
  g_clear_error (&self->error);
}

static EvpConnecting *
evp_connecting_ref (EvpConnecting *self)
{
  return g_rc_box_acquire (self);
}

static void
evp_connecting_unref (EvpConnecting *self)
{
  g_rc_box_release_full (self, evp_connecting_clear);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpConnecting, evp_connecting_unref)

static void
evp_connecting_stop_timer (EvpConnecting *self)
{
  EvpTimerHandle *timer = g_steal_pointer (&self->timer);

  if (timer == NULL)
    return;
  evp_timer_handle_cancel (timer);
  evp_timer_handle_unref (timer);
}

static void
evp_connecting_fail (EvpConnecting *self,
                     GError        *error)
{
  evp_connecting_stop_timer (self);
  if (self->timed_out && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      g_clear_error (&error);
      error = g_error_new (G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                           /* Translators: %s is the name of a host or file, %g a number of seconds */
                           _("Cannot connect to %s: no answer in %g seconds"),
                           self->host, self->options->timeout);
    }
  evp_loop_task_fail (self->task, error);
}

/* Ends whatever is under way; what that is then tells the task. */
static void
evp_connecting_stop (EvpConnecting *self)
{
  g_cancellable_cancel (self->stop);
  if (self->connector != NULL)
    evp_connector_cancel (self->connector);
}

static void
evp_connecting_cancel_cb (EvpLoopTask *task,
                          gpointer     data)
{
  evp_connecting_stop (data);
}

static void
evp_connecting_timeout_cb (gpointer user_data)
{
  EvpConnecting *self = user_data;

  g_clear_pointer (&self->timer, evp_timer_handle_unref);
  self->timed_out = TRUE;
  evp_connecting_stop (self);
}

static void
evp_connecting_encrypted_cb (GObject      *source,
                             GAsyncResult *result,
                             gpointer      user_data)
{
  g_autoptr (EvpConnecting) self = user_data;
  GError *error = NULL;
  GIOStream *stream = evp_event_loop_start_tls_with_options_finish (self->loop, result, &error);

  if (stream != NULL)
    evp_loop_task_return_pointer (self->task, stream, g_object_unref);
  else
    evp_connecting_fail (self, error);
}

static void
evp_connecting_connected (EvpConnecting *self,
                          GSocket       *socket)
{
  g_autoptr (GIOStream) stream = evp_socket_stream_new (self->loop, socket);

  evp_connecting_stop_timer (self);
  if (self->host != NULL && G_IS_TCP_CONNECTION (stream))
    evp_tls_set_default_hostname (stream, self->host);
  if (self->options->tls)
    evp_event_loop_start_tls_with_options_async (self->loop, stream, FALSE, self->options->tls_options,
                                                 self->options->server_name, self->stop,
                                                 evp_connecting_encrypted_cb, evp_connecting_ref (self));
  else
    evp_loop_task_return_pointer (self->task, g_steal_pointer (&stream), g_object_unref);
}

static void
evp_connecting_connector_cb (GSocket *connected,
                             GError  *error,
                             gpointer user_data)
{
  g_autoptr (EvpConnecting) self = user_data;
  g_autoptr (GSocket) socket = connected;

  if (error != NULL)
    evp_connecting_fail (self, error);
  else
    evp_connecting_connected (self, socket);
}

/* All names are known. */
static void
evp_connecting_connect (EvpConnecting *self)
{
  /* the end may have come when the names were known already, but we had not been told */
  if (self->error == NULL)
    g_cancellable_set_error_if_cancelled (self->stop, &self->error);
  if (self->error != NULL)
    {
      evp_connecting_fail (self, g_steal_pointer (&self->error));
      return;
    }
  self->connector = evp_connector_new (self->loop, evp_connecting_connector_cb, evp_connecting_ref (self));
  evp_connector_set_addresses (self->connector, self->addresses);
  evp_connector_set_local_addresses (self->connector, self->locals);
  evp_connector_set_happy_eyeballs (self->connector, self->options->happy_eyeballs_delay, self->options->interleave);
  evp_connector_start (self->connector);
}

static void
evp_connecting_lookup_ended (EvpConnecting *self,
                             GList        **list,
                             GAsyncResult  *result)
{
  GError *error = NULL;

  *list = evp_event_loop_getaddrinfo_finish (self->loop, result, &error);
  if (error != NULL && self->error == NULL)
    {
      self->error = error;
      g_cancellable_cancel (self->stop); /* the other one */
    }
  else
    g_clear_error (&error);
  if (--self->n_lookups == 0)
    evp_connecting_connect (self);
}

static void
evp_connecting_found_cb (GObject      *source,
                         GAsyncResult *result,
                         gpointer      user_data)
{
  g_autoptr (EvpConnecting) self = user_data;

  evp_connecting_lookup_ended (self, &self->addresses, result);
}

static void
evp_connecting_found_local_cb (GObject      *source,
                               GAsyncResult *result,
                               gpointer      user_data)
{
  g_autoptr (EvpConnecting) self = user_data;

  evp_connecting_lookup_ended (self, &self->locals, result);
}

static void
evp_connecting_look_up (EvpConnecting      *self,
                        const char         *host,
                        guint16             port,
                        GAsyncReadyCallback callback)
{
  g_autofree char *service = g_strdup_printf ("%u", port);

  self->n_lookups++;
  evp_event_loop_getaddrinfo_async (self->loop, host, service, self->options->family, self->stop,
                                    callback, evp_connecting_ref (self));
}

/* A local port alone: any address of either family. */
static GList *
evp_any_addresses (guint16 port)
{
  GList *list = NULL;

  list = g_list_prepend (list, g_inet_socket_address_new_from_string ("::", port));
  return g_list_prepend (list, g_inet_socket_address_new_from_string ("0.0.0.0", port));
}

static void
evp_connecting_start_timer (EvpConnecting *self)
{
  EvpTimerHandle *timer;

  if (!(self->options->timeout > 0))
    return;
  timer = evp_event_loop_call_later (self->loop, self->options->timeout, evp_connecting_timeout_cb,
                                     evp_connecting_ref (self), (GDestroyNotify) evp_connecting_unref, NULL);
  if (timer != NULL)
    self->timer = evp_timer_handle_ref (timer);
}

/* What is impossible by itself, whatever the world says. */
static gboolean
evp_connection_check (EvpConnectionOptions *options,
                      gboolean              is_unix,
                      const char           *host,
                      guint16               port,
                      GError              **error)
{
  const char *problem = NULL;

  if (options->socket != NULL && (host != NULL || port != 0))
    problem = is_unix ? _("Give either a path or a socket, not both")
                      : _("Give either a host and port or a socket, not both");
  else if (options->socket == NULL && !is_unix && (host == NULL || *host == '\0'))
    problem = _("There is neither a host nor a socket to connect with");
  else if (options->server_name != NULL && !options->tls)
    problem = _("A server name is for TLS only; set tls, too");
  else if (options->tls_options != NULL && !options->tls)
    problem = _("Options of TLS are for TLS only; set tls, too");
  else if (options->tls && options->server_name == NULL && (is_unix || host == NULL))
    problem = _("TLS without a host needs a server name; an empty one accepts any");
  if (problem != NULL)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, problem);
      return FALSE;
    }
  if (options->tls_options != NULL && !evp_tls_options_check (options->tls_options, FALSE, error))
    return FALSE;
  if (options->socket == NULL)
    return TRUE;
  if (!evp_check_own_socket (options->socket, is_unix, error))
    return FALSE;
  if (!g_socket_is_connected (options->socket) && !g_socket_check_connect_result (options->socket, error))
    return FALSE;
  return TRUE;
}

void
evp_connection_start (EvpLoopTask          *task,
                      EvpConnectionOptions *options,
                      gboolean              is_unix,
                      const char           *host,
                      guint16               port)
{
  g_autoptr (EvpConnectionOptions) own = evp_connection_options_snapshot (options);
  g_autoptr (EvpConnecting) self = NULL;
  GError *error = NULL;
  GSocketAddress *address = NULL;

  if (!evp_connection_check (own, is_unix, host, port, &error)
      || (is_unix && own->socket == NULL && (address = evp_unix_address_new (host, &error)) == NULL))
    {
      evp_loop_task_return_error (task, error);
      return;
    }
  self = g_rc_box_new0 (EvpConnecting);
  self->task = g_object_ref (task);
  self->loop = g_object_ref (evp_loop_task_get_loop (task));
  self->options = g_steal_pointer (&own);
  self->host = g_strdup (host);
  self->port = port;
  self->stop = g_cancellable_new ();
  evp_loop_task_set_cancel_func (task, evp_connecting_cancel_cb, self);
  if (self->options->socket != NULL)
    {
      evp_connecting_connected (self, self->options->socket);
      return;
    }
  evp_connecting_start_timer (self);
  if (address != NULL)
    {
      self->addresses = g_list_prepend (NULL, address);
      evp_connecting_connect (self);
      return;
    }
  if (self->options->local_host == NULL && self->options->local_port != 0)
    self->locals = evp_any_addresses (self->options->local_port);
  else if (self->options->local_host != NULL)
    evp_connecting_look_up (self, self->options->local_host, self->options->local_port, evp_connecting_found_local_cb);
  evp_connecting_look_up (self, host, port, evp_connecting_found_cb);
}
