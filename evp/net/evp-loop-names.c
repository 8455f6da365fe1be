/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-loop-names.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/loop/evp-loop-task-private.h"
#include "evp/net/evp-work-private.h"

#include <netdb.h>
#include <string.h>

/*
 * Names are looked up by the GResolver that is the default when the question is asked, so that a
 * program or a test can put its own there. It is called on a worker thread; what is numeric needs none.
 */

typedef struct
{
  EvpLoopTask *task; /* the loop's thread */

  /* set before the worker starts */
  GResolver *resolver;
  GCancellable *cancellable;
  char *host;
  char *service;
  int port; /* -1: that of the service */
  GSocketFamily family;
  GSocketAddress *address;
  gint64 started;

  /* the worker's until it is done */
  GList *addresses;
  char *found_host;
  char *found_service;
  GError *error;
} EvpNameQuery;

/* What getnameinfo found. */
typedef struct
{
  char *host;
  char *service;
} EvpNames;

static void
evp_names_free (gpointer data)
{
  EvpNames *names = data;

  g_free (names->host);
  g_free (names->service);
  g_free (names);
}

static void
evp_addresses_free (gpointer data)
{
  g_list_free_full (data, g_object_unref);
}

static void
evp_name_query_clear (gpointer data)
{
  EvpNameQuery *query = data;

  g_clear_object (&query->task);
  g_clear_object (&query->resolver);
  g_clear_object (&query->cancellable);
  g_clear_object (&query->address);
  g_free (query->host);
  g_free (query->service);
  g_free (query->found_host);
  g_free (query->found_service);
  g_clear_pointer (&query->addresses, evp_addresses_free);
  g_clear_error (&query->error);
}

static void
evp_name_query_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, evp_name_query_clear);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpNameQuery, evp_name_query_unref)

/* -1 if it is not a number; a number that is no port is an error. */
static int
evp_parse_port (const char *service,
                GError    **error)
{
  guint64 number;

  if (service == NULL || *service == '\0')
    return 0;
  if (service[strspn (service, "0123456789")] != '\0')
    return -1;
  if (!g_ascii_string_to_unsigned (service, 10, 0, G_MAXUINT16, &number, NULL))
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                   _("%s is no port; ports are from 0 to 65535"), service);
      return -1;
    }
  return (int) number;
}

static void
evp_set_error_no_address (GError    **error,
                          const char *host)
{
  g_set_error (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND,
               _("“%s” has no address of the family that was asked for"), host);
}

/* Worker: the C library's answer without a host: this machine itself, or just a port. */
static struct addrinfo *
evp_get_own_addresses (const char   *service,
                       GSocketFamily family,
                       GError      **error)
{
  struct addrinfo hints = { .ai_family = (int) family }, *found = NULL;
  int failed = getaddrinfo (NULL, service, &hints, &found);

  if (failed == 0 && found != NULL)
    return found;
  if (failed == EAI_SERVICE || failed == EAI_NONAME)
    g_set_error (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND,
                 _("There is no service “%s”; give its port"), service);
  else
    g_set_error (error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_INTERNAL, "%s", gai_strerror (failed));
  return NULL;
}

/* Worker */
static gboolean
evp_look_up_service (EvpNameQuery *query)
{
  struct addrinfo *found;
  g_autoptr (GSocketAddress) address = NULL;

  if (query->port >= 0)
    return TRUE;
  found = evp_get_own_addresses (query->service, G_SOCKET_FAMILY_INVALID, &query->error);
  if (found == NULL)
    return FALSE;
  address = g_socket_address_new_from_native (found->ai_addr, found->ai_addrlen);
  query->port = g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
  freeaddrinfo (found);
  return TRUE;
}

static gboolean
evp_has_address (GList          *addresses,
                 GSocketAddress *address)
{
  GInetAddress *inet = g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (address));

  for (; addresses != NULL; addresses = addresses->next)
    if (g_inet_address_equal (g_inet_socket_address_get_address (addresses->data), inet))
      return TRUE;
  return FALSE;
}

/* Worker: without a host; in the order of the library, and once for all types of sockets. */
static void
evp_look_up_loopback (EvpNameQuery *query)
{
  g_autofree char *port = g_strdup_printf ("%d", query->port);
  struct addrinfo *found = evp_get_own_addresses (port, query->family, &query->error);

  if (found == NULL)
    return;
  for (struct addrinfo *each = found; each != NULL; each = each->ai_next)
    {
      g_autoptr (GSocketAddress) address = g_socket_address_new_from_native (each->ai_addr, each->ai_addrlen);

      if (G_IS_INET_SOCKET_ADDRESS (address) && !evp_has_address (query->addresses, address))
        query->addresses = g_list_prepend (query->addresses, g_steal_pointer (&address));
    }
  query->addresses = g_list_reverse (query->addresses);
  freeaddrinfo (found);
}

/* Worker: GInetAddresses. A resolver that knows no flags is asked without; the caller looks at families, too. */
static GList *
evp_resolve (EvpNameQuery *query,
             GError      **error)
{
  GResolverNameLookupFlags flags = G_RESOLVER_NAME_LOOKUP_FLAGS_DEFAULT;

  if (query->family == G_SOCKET_FAMILY_IPV4)
    flags = G_RESOLVER_NAME_LOOKUP_FLAGS_IPV4_ONLY;
  else if (query->family == G_SOCKET_FAMILY_IPV6)
    flags = G_RESOLVER_NAME_LOOKUP_FLAGS_IPV6_ONLY;
  if (G_RESOLVER_GET_CLASS (query->resolver)->lookup_by_name_with_flags == NULL)
    flags = G_RESOLVER_NAME_LOOKUP_FLAGS_DEFAULT;
  return g_resolver_lookup_by_name_with_flags (query->resolver, query->host, flags, query->cancellable, error);
}

/* Worker */
static void
evp_look_up_addresses (gpointer data)
{
  EvpNameQuery *query = data;
  GList *found;

  if (!evp_look_up_service (query))
    return;
  if (query->host == NULL)
    {
      evp_look_up_loopback (query);
      return;
    }
  found = evp_resolve (query, &query->error);
  if (query->error != NULL)
    return;
  for (GList *each = found; each != NULL; each = each->next)
    if (query->family == G_SOCKET_FAMILY_INVALID || g_inet_address_get_family (each->data) == query->family)
      query->addresses = g_list_prepend (query->addresses,
                                         g_inet_socket_address_new (each->data, (guint16) query->port));
  query->addresses = g_list_reverse (query->addresses);
  g_resolver_free_addresses (found);
  if (query->addresses == NULL)
    evp_set_error_no_address (&query->error, query->host);
}

/* The address as text, with its scope. */
static char *
evp_address_to_string (GInetSocketAddress *address)
{
  g_autofree char *text = g_inet_address_to_string (g_inet_socket_address_get_address (address));
  guint32 scope = 0;

  if (g_socket_address_get_family (G_SOCKET_ADDRESS (address)) == G_SOCKET_FAMILY_IPV6)
    scope = g_inet_socket_address_get_scope_id (address);
  return scope == 0 ? g_steal_pointer (&text) : g_strdup_printf ("%s%%%u", text, scope);
}

/* Worker */
static void
evp_look_up_names (gpointer data)
{
  EvpNameQuery *query = data;
  GInetSocketAddress *address = G_INET_SOCKET_ADDRESS (query->address);
  struct sockaddr_storage native;
  gssize size = g_socket_address_get_native_size (query->address);
  char service[NI_MAXSERV];
  int failed;

  query->found_host = g_resolver_lookup_by_address (query->resolver,
                                                    g_inet_socket_address_get_address (address),
                                                    query->cancellable, &query->error);
  if (g_error_matches (query->error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_NOT_FOUND))
    g_clear_error (&query->error);
  if (query->error != NULL)
    return;
  if (query->found_host == NULL) /* it has no name */
    query->found_host = evp_address_to_string (address);

  if (!g_socket_address_to_native (query->address, &native, sizeof native, &query->error))
    return;
  failed = getnameinfo ((struct sockaddr *) &native, (socklen_t) size, NULL, 0, service, sizeof service, 0);
  if (failed == 0)
    query->found_service = g_strdup (service);
  else
    g_set_error (&query->error, G_RESOLVER_ERROR, G_RESOLVER_ERROR_INTERNAL, "%s", gai_strerror (failed));
}

static void
evp_name_query_done (gpointer data,
                     GError  *error)
{
  EvpNameQuery *query = data;

  if (error == NULL && evp_event_loop_get_debug (evp_loop_task_get_source (query->task)))
    g_debug ("Looking up %s took %.3f ms", query->host != NULL ? query->host : "an address",
             (double) (evp_clock_get_time_ns () - query->started) / 1e6);
  if (error == NULL)
    error = g_steal_pointer (&query->error);
  if (error != NULL)
    {
      evp_loop_task_return_error (query->task, error);
      return;
    }
  if (query->address == NULL)
    {
      evp_loop_task_return_pointer (query->task, g_steal_pointer (&query->addresses), evp_addresses_free);
    }
  else
    {
      EvpNames *names = g_new (EvpNames, 1);

      names->host = g_steal_pointer (&query->found_host);
      names->service = g_steal_pointer (&query->found_service);
      evp_loop_task_return_pointer (query->task, names, evp_names_free);
    }
}

/* The worker sees it, too, and what it says then is dropped. */
static void
evp_name_query_cancel_cb (EvpLoopTask *task,
                          gpointer     data)
{
  evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s", _("Operation was cancelled"));
}

static EvpNameQuery *
evp_name_query_new (EvpAbstractEventLoop *loop,
                    gpointer              tag,
                    GCancellable         *cancellable,
                    GAsyncReadyCallback   callback,
                    gpointer              user_data)
{
  EvpNameQuery *query = g_atomic_rc_box_new0 (EvpNameQuery);

  query->task = evp_loop_task_new (loop, loop, tag, cancellable, callback, user_data);
  g_set_object (&query->cancellable, cancellable);
  query->resolver = g_resolver_get_default ();
  return query;
}

static void
evp_name_query_start (EvpNameQuery         *query,
                      EvpAbstractEventLoop *loop,
                      EvpWorkFunc           func)
{
  GError *error = NULL;

  query->started = evp_clock_get_time_ns ();
  if (g_cancellable_set_error_if_cancelled (query->cancellable, &error)
      || !evp_work_start (loop, func, evp_name_query_done, query, evp_name_query_unref, &error))
    evp_loop_task_return_error (query->task, error);
  else
    evp_loop_task_set_cancel_func (query->task, evp_name_query_cancel_cb, NULL);
}

/* The answer if it can be given at once: a list, or an error. */
static gboolean
evp_answer_numeric (EvpNameQuery *query,
                    GList       **addresses,
                    GError      **error)
{
  g_autoptr (GSocketAddress) address = NULL;

  *addresses = NULL;
  if (query->host == NULL || query->port < 0)
    return FALSE;
  address = g_inet_socket_address_new_from_string (query->host, (guint) query->port);
  if (address == NULL)
    return FALSE;
  if (query->family == G_SOCKET_FAMILY_INVALID || g_socket_address_get_family (address) == query->family)
    *addresses = g_list_prepend (NULL, g_steal_pointer (&address));
  else
    evp_set_error_no_address (error, query->host);
  return TRUE;
}

/**
 * evp_event_loop_getaddrinfo_async:
 * @self: a loop
 * @host: (nullable): a name or a numeric address; %NULL for this machine itself (the loopback addresses)
 * @service: (nullable): the name of a service or the number of a port; %NULL for port 0
 * @family: the family of addresses that is wanted, %G_SOCKET_FAMILY_INVALID for all
 * @cancellable: (nullable): ends the look-up
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Looks up the addresses of a host.
 *
 * A numeric host, which may be an IPv6 address with a scope such as `fe80::1%eth0`, with a numeric port
 * is answered without any look-up. Names of hosts are looked up by the default [class@Gio.Resolver],
 * names of services in the system's list of services (`/etc/services`). Both run on a thread of the loop's
 * default executor: after [method@Evp.AbstractEventLoop.shutdown_default_executor_async] a look-up fails
 * with %EVP_ERROR_INVALID_STATE. A resolver of your own is called on such a thread. In debug mode
 * the time that a look-up took is logged.
 *
 * Corresponds to asyncio's `loop.getaddrinfo()`.
 *
 * Use it from the thread of the loop. O(1), and the work of the executor.
 *
 * Since: 1.0
 */
void
evp_event_loop_getaddrinfo_async (EvpAbstractEventLoop *self,
                                  const char           *host,
                                  const char           *service,
                                  GSocketFamily         family,
                                  GCancellable         *cancellable,
                                  GAsyncReadyCallback   callback,
                                  gpointer              user_data)
{
  g_autoptr (EvpNameQuery) query = NULL;
  GList *addresses;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (family == G_SOCKET_FAMILY_INVALID || family == G_SOCKET_FAMILY_IPV4
                    || family == G_SOCKET_FAMILY_IPV6);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  query = evp_name_query_new (self, evp_event_loop_getaddrinfo_async, cancellable, callback, user_data);
  query->host = host != NULL && *host != '\0' ? g_strdup (host) : NULL;
  query->service = g_strdup (service);
  query->family = family;
  query->port = evp_parse_port (service, &error);
  if (error != NULL || g_cancellable_set_error_if_cancelled (cancellable, &error))
    evp_loop_task_return_error (query->task, error);
  else if (!evp_answer_numeric (query, &addresses, &error))
    evp_name_query_start (query, self, evp_look_up_addresses);
  else if (error != NULL)
    evp_loop_task_return_error (query->task, error);
  else
    evp_loop_task_return_pointer (query->task, addresses, evp_addresses_free);
}

/**
 * evp_event_loop_getaddrinfo_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes looking up addresses.
 *
 * Each address comes once, in the order of the C library, which puts the best first.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_RESOLVER_ERROR_NOT_FOUND if there is no such host or service, or no address of the family;
 * other errors of the resolver; %EVP_ERROR_INVALID_ARGUMENT if the number of the port is too large;
 * %EVP_ERROR_INVALID_STATE after the executor was shut down; %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full) (element-type Gio.SocketAddress): addresses with the port, at least one, or
 *   %NULL with @error set
 *
 * Since: 1.0
 */
GList *
evp_event_loop_getaddrinfo_finish (EvpAbstractEventLoop *self,
                                   GAsyncResult         *result,
                                   GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_getaddrinfo_async), NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}

/**
 * evp_event_loop_getnameinfo_async:
 * @self: a loop
 * @address: an address of IPv4 or IPv6
 * @cancellable: (nullable): ends the look-up
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Looks up the name of a host and of a service, from their numbers.
 *
 * It works as [method@Evp.AbstractEventLoop.getaddrinfo_async] does, by the default [class@Gio.Resolver] and
 * on a thread of the loop's default executor.
 *
 * Corresponds to asyncio's `loop.getnameinfo()`.
 *
 * Use it from the thread of the loop. O(1), and the work of the executor.
 *
 * Since: 1.0
 */
void
evp_event_loop_getnameinfo_async (EvpAbstractEventLoop *self,
                                  GSocketAddress       *address,
                                  GCancellable         *cancellable,
                                  GAsyncReadyCallback   callback,
                                  gpointer              user_data)
{
  g_autoptr (EvpNameQuery) query = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (G_IS_SOCKET_ADDRESS (address));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  query = evp_name_query_new (self, evp_event_loop_getnameinfo_async, cancellable, callback, user_data);
  g_set_object (&query->address, address);
  if (G_IS_INET_SOCKET_ADDRESS (address))
    evp_name_query_start (query, self, evp_look_up_names);
  else
    evp_loop_task_return_new_error (query->task, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, "%s",
                                    _("Only addresses of IPv4 and IPv6 have names"));
}

/**
 * evp_event_loop_getnameinfo_finish:
 * @self: a loop
 * @result: what the callback got
 * @service: (out) (optional) (transfer full): return location for the name of the service
 * @error: return location for an error
 *
 * Finishes looking up names.
 *
 * What has no name is given as a number.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of the resolver; %EVP_ERROR_INVALID_ARGUMENT for an address of another family;
 * %EVP_ERROR_INVALID_STATE after the executor was shut down; %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the name of the host, or %NULL with @error set
 *
 * Since: 1.0
 */
char *
evp_event_loop_getnameinfo_finish (EvpAbstractEventLoop *self,
                                   GAsyncResult         *result,
                                   char                **service,
                                   GError              **error)
{
  EvpNames *names;
  char *host = NULL;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_getnameinfo_async), NULL);

  if (service != NULL)
    *service = NULL;
  names = evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
  if (names != NULL)
    {
      host = g_steal_pointer (&names->host);
      if (service != NULL)
        *service = g_steal_pointer (&names->service);
      evp_names_free (names);
    }
  return host;
}
