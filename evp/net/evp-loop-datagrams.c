/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-loop-datagrams.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-task-private.h"
#include "evp/net/evp-datagram-endpoint-private.h"
#include "evp/net/evp-datagram-options-private.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean
evp_set_error_invalid (GError    **error,
                       const char *message)
{
  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, message);
  return FALSE;
}

/* The family that everything agrees on. */
static gboolean
evp_choose_family (GSocketAddress     *local,
                   GSocketAddress     *remote,
                   EvpDatagramOptions *options,
                   GSocketFamily      *family,
                   GError            **error)
{
  GSocketFamily wanted = options != NULL ? options->family : G_SOCKET_FAMILY_INVALID;
  GSocketAddress *address = local != NULL ? local : remote;

  *family = address != NULL ? g_socket_address_get_family (address) : wanted;
  if (*family == G_SOCKET_FAMILY_INVALID)
    return evp_set_error_invalid (error, _("An endpoint needs a local or remote address, or the family of its socket"));
  if (wanted != G_SOCKET_FAMILY_INVALID && wanted != *family)
    return evp_set_error_invalid (error, _("The address is not of the family that was asked for"));
  if (remote != NULL && g_socket_address_get_family (remote) != *family)
    return evp_set_error_invalid (error, _("The local and the remote address must be of one family"));
  return TRUE;
}

/* A socket that some earlier program left behind; another kind of file is not touched. */
static void
evp_remove_stale_socket (GSocketAddress *address)
{
  struct stat status;
  const char *path;

  if (!G_IS_UNIX_SOCKET_ADDRESS (address)
      || g_unix_socket_address_get_address_type (G_UNIX_SOCKET_ADDRESS (address)) != G_UNIX_SOCKET_ADDRESS_PATH)
    return;
  path = g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (address));
  if ((stat (path, &status) == 0 && (!S_ISSOCK (status.st_mode) || unlink (path) == 0)) || errno == ENOENT)
    return;
  evp_warn_runtime (_("Cannot look at or remove the old socket “%s”: %s"), path, g_strerror (errno));
}

/* Not g_socket_bind(), which has an opinion of its own about SO_REUSEPORT. */
static gboolean
evp_bind_socket (GSocket        *socket,
                 GSocketAddress *address,
                 GError        **error)
{
  union
  {
    struct sockaddr any;
    struct sockaddr_storage storage;
  } native;
  gssize size = g_socket_address_get_native_size (address);
  g_autofree char *text = NULL;
  int saved_errno;

  if (!g_socket_address_to_native (address, &native, sizeof native, error))
    return FALSE;
  if (bind (g_socket_get_fd (socket), &native.any, (socklen_t) size) == 0)
    return TRUE;
  saved_errno = errno;
  text = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
  evp_set_error_from_errno (error, saved_errno, _("Cannot bind to %s"), text);
  return FALSE;
}

static GSocket *
evp_open_datagram_socket (GSocketFamily       family,
                          GSocketAddress     *local,
                          GSocketAddress     *remote,
                          EvpDatagramOptions *options,
                          GError            **error)
{
  g_autoptr (GSocket) socket = g_socket_new (family, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_DEFAULT, error);
  gboolean broadcast = options != NULL && options->allow_broadcast;

  if (socket == NULL)
    return NULL;
  g_socket_set_blocking (socket, FALSE);
#ifdef SO_REUSEPORT
  if (options != NULL && options->reuse_port
      && !g_socket_set_option (socket, SOL_SOCKET, SO_REUSEPORT, TRUE, error))
    return NULL;
#else
  if (options != NULL && options->reuse_port)
    {
      evp_set_error_invalid (error, _("This system cannot share a port among sockets"));
      return NULL;
    }
#endif
  if (broadcast && !g_socket_set_option (socket, SOL_SOCKET, SO_BROADCAST, TRUE, error))
    return NULL;
  if (local != NULL)
    {
      evp_remove_stale_socket (local);
      if (!evp_bind_socket (socket, local, error))
        return NULL;
    }
  if (remote != NULL && !broadcast && !g_socket_connect (socket, remote, NULL, error))
    return NULL;
  return g_steal_pointer (&socket);
}

static EvpDatagramEndpoint *
evp_create_datagram_endpoint (EvpAbstractEventLoop *loop,
                              GSocketAddress       *local,
                              GSocketAddress       *remote,
                              EvpDatagramOptions   *options,
                              GError              **error)
{
  g_autoptr (GSocket) socket = NULL;
  GSocketFamily family;

  if (evp_event_loop_is_closed (loop))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return NULL;
    }
  if (options != NULL && options->socket != NULL)
    {
      if (g_socket_get_socket_type (options->socket) != G_SOCKET_TYPE_DATAGRAM)
        {
          evp_set_error_invalid (error, _("The socket is none for datagrams"));
          return NULL;
        }
      if (local != NULL || remote != NULL || options->family != G_SOCKET_FAMILY_INVALID
          || options->allow_broadcast || options->reuse_port)
        {
          evp_set_error_invalid (error, _("With a socket no address and no other option can be given"));
          return NULL;
        }
      socket = g_object_ref (options->socket);
      g_socket_set_blocking (socket, FALSE);
      return evp_datagram_endpoint_new (loop, socket, NULL, error);
    }
  if (!evp_choose_family (local, remote, options, &family, error))
    return NULL;
  socket = evp_open_datagram_socket (family, local, remote, options, error);
  return socket == NULL ? NULL : evp_datagram_endpoint_new (loop, socket, remote, error);
}

/* One that nobody has fetched. */
static void
evp_discard_datagram_endpoint (gpointer data)
{
  evp_datagram_endpoint_abort (data);
  g_object_unref (data);
}

/**
 * evp_event_loop_create_datagram_endpoint_async:
 * @self: a loop
 * @local: (nullable): the address to bind to; with port 0 the system chooses one
 * @remote: (nullable): the address to talk to, and to hear from, alone
 * @options: (nullable): what is special about the endpoint
 * @cancellable: (nullable): ends it
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Makes an endpoint for datagrams: UDP, or unix datagrams.
 *
 * With @remote the socket is connected to it, unless it may broadcast: then it only sends there. There
 * must be an address or, in @options, a family or a socket. A unix socket that an earlier program
 * left at the path of @local is removed; any other file there is an error.
 *
 * Names are no addresses: look them up first, with [method@Evp.AbstractEventLoop.getaddrinfo_async].
 *
 * Corresponds to asyncio's `loop.create_datagram_endpoint()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_create_datagram_endpoint_async (EvpAbstractEventLoop *self,
                                               GSocketAddress       *local,
                                               GSocketAddress       *remote,
                                               EvpDatagramOptions   *options,
                                               GCancellable         *cancellable,
                                               GAsyncReadyCallback   callback,
                                               gpointer              user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;
  EvpDatagramEndpoint *endpoint = NULL;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (local == NULL || G_IS_SOCKET_ADDRESS (local));
  g_return_if_fail (remote == NULL || G_IS_SOCKET_ADDRESS (remote));
  g_return_if_fail (options == NULL || EVP_IS_DATAGRAM_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self, self, evp_event_loop_create_datagram_endpoint_async,
                            cancellable, callback, user_data);
  if (!g_cancellable_set_error_if_cancelled (cancellable, &error))
    endpoint = evp_create_datagram_endpoint (self, local, remote, options, &error);
  if (endpoint != NULL)
    evp_loop_task_return_pointer (task, endpoint, evp_discard_datagram_endpoint);
  else
    evp_loop_task_return_error (task, error);
}

/**
 * evp_event_loop_create_datagram_endpoint_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes making an endpoint for datagrams.
 *
 * Connect to its signals in this callback: then none comes too early.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %EVP_ERROR_INVALID_ARGUMENT for addresses and options that do not fit together; %G_IO_ERROR
 * with what the system says, for example %G_IO_ERROR_ADDRESS_IN_USE; %EVP_ERROR_NOT_SUPPORTED on a loop that
 * cannot wait for sockets; %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the endpoint, or %NULL with @error set
 *
 * Since: 1.0
 */
EvpDatagramEndpoint *
evp_event_loop_create_datagram_endpoint_finish (EvpAbstractEventLoop *self,
                                                GAsyncResult         *result,
                                                GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_create_datagram_endpoint_async), NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}
