/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-loop-network-private.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/net/evp-loop-names.h"
#include "evp/net/evp-server-options-private.h"
#include "evp/net/evp-server-private.h"
#include "evp/net/evp-tls-options-private.h"

#include <string.h>

#define DEFAULT_BACKLOG 100

/* A server in the making: its names are looked up one after the other, then all addresses are bound at once. */
typedef struct
{
  EvpLoopTask *task;
  EvpAbstractEventLoop *loop;
  EvpServerOptions *options;
  GPtrArray *hosts;     /* of strings that are to be looked up */
  guint next_host;
  guint16 port;
  int backlog;
  GPtrArray *addresses; /* of GSocketAddress, each once */
} EvpStarting;

static void
evp_starting_free (EvpStarting *self)
{
  g_object_unref (self->task);
  g_object_unref (self->loop);
  g_object_unref (self->options);
  g_ptr_array_unref (self->hosts);
  g_ptr_array_unref (self->addresses);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpStarting, evp_starting_free)

static gboolean
evp_same_address (GSocketAddress *one,
                  GSocketAddress *other)
{
  gssize size = g_socket_address_get_native_size (one);
  g_autofree gpointer native = g_malloc0 ((gsize) MAX (size, 0));
  g_autofree gpointer other_native = g_malloc0 ((gsize) MAX (size, 0));

  return size >= 0 && g_socket_address_get_native_size (other) == size
         && g_socket_address_to_native (one, native, (gsize) size, NULL)
         && g_socket_address_to_native (other, other_native, (gsize) size, NULL)
         && memcmp (native, other_native, (gsize) size) == 0;
}

/* (transfer full): the address, unless it is there already or of the wrong family. */
static void
evp_starting_add_address (EvpStarting    *self,
                          GSocketAddress *address)
{
  GSocketFamily family = self->options->family;
  gboolean wanted = family == G_SOCKET_FAMILY_INVALID || g_socket_address_get_family (address) == family;

  for (guint i = 0; i < self->addresses->len && wanted; i++)
    wanted = !evp_same_address (g_ptr_array_index (self->addresses, i), address);
  if (wanted)
    g_ptr_array_add (self->addresses, address);
  else
    g_object_unref (address);
}

/* With port 0 the sockets share a port, if that is free for all of them. */
static EvpListener *
evp_starting_bind (EvpStarting    *self,
                   GSocketAddress *address,
                   guint16         shared_port,
                   GError        **error)
{
  GInetSocketAddress *inet;
  g_autoptr (GSocketAddress) same_port = NULL;
  g_autoptr (GError) in_use = NULL;
  EvpListener *listener;
  guint scope = 0;

  if (shared_port == 0)
    return evp_listener_bind (self->loop, address, self->options, error);
  inet = G_INET_SOCKET_ADDRESS (address);
  if (g_socket_address_get_family (address) == G_SOCKET_FAMILY_IPV6)
    scope = g_inet_socket_address_get_scope_id (inet);
  same_port = g_object_new (G_TYPE_INET_SOCKET_ADDRESS,
                            "address", g_inet_socket_address_get_address (inet),
                            "port", (guint) shared_port,
                            "scope-id", scope,
                            NULL);
  listener = evp_listener_bind (self->loop, same_port, self->options, &in_use);
  if (listener != NULL || in_use == NULL)
    return listener;
  return evp_listener_bind (self->loop, address, self->options, error);
}

static guint16
evp_listener_get_port (EvpListener *listener)
{
  g_autoptr (GSocketAddress) address = g_socket_get_local_address (evp_listener_get_socket (listener), NULL);

  return G_IS_INET_SOCKET_ADDRESS (address) ? g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)) : 0;
}

/* Binds every address; NULL if one cannot be bound, or none. */
static GPtrArray *
evp_starting_bind_all (EvpStarting *self,
                       GError     **error)
{
  g_autoptr (GPtrArray) listeners = g_ptr_array_new_with_free_func ((GDestroyNotify) evp_listener_unref);
  guint16 shared_port = 0;

  if (self->options->socket != NULL)
    g_ptr_array_add (listeners, evp_listener_new (self->loop, self->options->socket));
  for (guint i = 0; i < self->addresses->len; i++)
    {
      GError *bind_error = NULL;
      EvpListener *listener = evp_starting_bind (self, g_ptr_array_index (self->addresses, i), shared_port, &bind_error);

      if (bind_error != NULL)
        {
          g_propagate_error (error, bind_error);
          return NULL;
        }
      if (listener == NULL)
        continue;
      g_ptr_array_add (listeners, listener);
      if (self->port == 0 && shared_port == 0)
        shared_port = evp_listener_get_port (listener);
    }
  if (listeners->len == 0)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                           _("This machine has none of the addresses to listen at"));
      return NULL;
    }
  return g_steal_pointer (&listeners);
}

/* All addresses are known. */
static void
evp_starting_finish (EvpStarting *self)
{
  g_autoptr (EvpServer) server = NULL;
  GPtrArray *listeners;
  GError *error = NULL;

  listeners = evp_starting_bind_all (self, &error);
  if (listeners != NULL)
    server = evp_server_new (self->loop, listeners, self->backlog, self->options);
  if (server == NULL || (self->options->start_serving && !evp_server_start_serving (server, &error)))
    evp_loop_task_fail (self->task, error);
  else
    evp_loop_task_return_pointer (self->task, g_steal_pointer (&server), g_object_unref);
}

static void evp_starting_found_cb (GObject      *source,
                                   GAsyncResult *result,
                                   gpointer      user_data);

static void
evp_starting_look_up (EvpStarting *starting)
{
  g_autoptr (EvpStarting) self = starting;
  g_autofree char *service = g_strdup_printf ("%u", self->port);

  if (self->next_host == self->hosts->len)
    evp_starting_finish (self);
  else
    {
      const char *host = g_ptr_array_index (self->hosts, self->next_host++);

      evp_event_loop_getaddrinfo_async (self->loop, host, service, self->options->family,
                                        evp_loop_task_get_cancellable (self->task), evp_starting_found_cb, self);
      g_steal_pointer (&self);
    }
}

static void
evp_starting_found_cb (GObject      *source,
                       GAsyncResult *result,
                       gpointer      user_data)
{
  g_autoptr (EvpStarting) self = user_data;
  GError *error = NULL;
  GList *found = evp_event_loop_getaddrinfo_finish (self->loop, result, &error);

  if (error != NULL)
    {
      evp_loop_task_fail (self->task, error);
      return;
    }
  for (GList *each = found; each != NULL; each = each->next)
    evp_starting_add_address (self, each->data);
  g_list_free (found);
  evp_starting_look_up (g_steal_pointer (&self));
}

/* What is impossible by itself, whatever the world says. */
static gboolean
evp_server_check (EvpServerOptions *options,
                  gboolean          is_unix,
                  const char       *host,
                  guint16           port,
                  GError          **error)
{
  gboolean has_hosts = options->hosts != NULL && options->hosts[0] != NULL;

  if (options->socket != NULL && (host != NULL || port != 0 || has_hosts))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           is_unix ? _("Give either a path or a socket, not both")
                                   : _("Give either a host and port or a socket, not both"));
      return FALSE;
    }
  if (is_unix && (has_hosts || options->reuse_port))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("A unix socket has neither hosts nor a port to share"));
      return FALSE;
    }
  if (options->tls_options != NULL && !evp_tls_options_check (options->tls_options, TRUE, error))
    return FALSE;
  return options->socket == NULL || evp_check_own_socket (options->socket, is_unix, error);
}

/* Where to listen, as far as it is known without asking anybody. */
static gboolean
evp_starting_add_hosts (EvpStarting *self,
                        gboolean     is_unix,
                        const char  *host,
                        GError     **error)
{
  gboolean has_hosts = self->options->hosts != NULL && self->options->hosts[0] != NULL;

  if (self->options->socket != NULL)
    return TRUE;
  if (is_unix)
    {
      GSocketAddress *address = evp_unix_address_new (host, error);

      if (address != NULL)
        g_ptr_array_add (self->addresses, address);
      return address != NULL;
    }
  if ((host == NULL && !has_hosts) || (host != NULL && *host == '\0'))
    {
      evp_starting_add_address (self, g_inet_socket_address_new_from_string ("0.0.0.0", self->port));
      evp_starting_add_address (self, g_inet_socket_address_new_from_string ("::", self->port));
    }
  else if (host != NULL)
    g_ptr_array_add (self->hosts, g_strdup (host));
  for (guint i = 0; has_hosts && self->options->hosts[i] != NULL; i++)
    g_ptr_array_add (self->hosts, g_strdup (self->options->hosts[i]));
  return TRUE;
}

void
evp_server_start (EvpLoopTask      *task,
                  EvpServerOptions *options,
                  gboolean          is_unix,
                  const char       *host,
                  guint16           port,
                  int               backlog)
{
  g_autoptr (EvpStarting) self = g_new0 (EvpStarting, 1);
  GError *error = NULL;

  self->task = g_object_ref (task);
  self->loop = g_object_ref (evp_loop_task_get_loop (task));
  self->options = evp_server_options_snapshot (options);
  self->hosts = g_ptr_array_new_with_free_func (g_free);
  self->addresses = g_ptr_array_new_with_free_func (g_object_unref);
  self->port = port;
  self->backlog = backlog > 0 ? backlog : DEFAULT_BACKLOG;

  if (!evp_server_check (self->options, is_unix, host, port, &error)
      || !evp_starting_add_hosts (self, is_unix, host, &error))
    evp_loop_task_return_error (task, error);
  else
    evp_starting_look_up (g_steal_pointer (&self));
}
