/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-loop-network-private.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"

#include <gio/gunixsocketaddress.h>
#include <string.h>
#include <sys/un.h>

GSocketAddress *
evp_unix_address_new (const char *path,
                      GError    **error)
{
  if (path == NULL || *path == '\0' || g_str_equal (path, "@"))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("A unix socket needs a path, or an abstract name that begins with “@”"));
      return NULL;
    }
  /* a path ends with a zero, an abstract name begins with one in the place of its @ */
  if (strlen (path) + (*path == '@' ? 0 : 1) > sizeof ((struct sockaddr_un *) NULL)->sun_path)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                   /* Translators: the first %s is a file name, %u a number of bytes */
                   _("The path of a unix socket is too long: %s; it has room for %u bytes"),
                   path, (guint) sizeof ((struct sockaddr_un *) NULL)->sun_path - 1);
      return NULL;
    }
  if (*path == '@')
    return g_unix_socket_address_new_with_type (path + 1, -1, G_UNIX_SOCKET_ADDRESS_ABSTRACT);
  return g_unix_socket_address_new (path);
}

gboolean
evp_check_own_socket (GSocket *socket,
                      gboolean is_unix,
                      GError **error)
{
  if (g_socket_is_closed (socket))
    g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, _("The given socket is closed"));
  else if (g_socket_get_socket_type (socket) != G_SOCKET_TYPE_STREAM)
    g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                         _("The given socket is not a stream socket"));
  else if (is_unix && g_socket_get_family (socket) != G_SOCKET_FAMILY_UNIX)
    g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                         _("The given socket is not a unix socket"));
  else
    return TRUE;
  return FALSE;
}

void
evp_loop_task_fail (EvpLoopTask *task,
                    GError      *error)
{
  if (evp_event_loop_is_closed (evp_loop_task_get_loop (task)))
    evp_loop_task_return_error_now (task, error);
  else
    evp_loop_task_return_error (task, error);
}

/* Whether anything can begin; else the task has failed. */
static gboolean
evp_event_loop_check_start (EvpAbstractEventLoop *self,
                            EvpLoopTask          *task)
{
  GError *error = NULL;

  if (g_cancellable_set_error_if_cancelled (evp_loop_task_get_cancellable (task), &error))
    evp_loop_task_return_error (task, error);
  else if (evp_event_loop_is_closed (self))
    evp_loop_task_return_new_error (task, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                    "%s", _("The event loop is closed; make a new one"));
  else
    return TRUE;
  return FALSE;
}

/**
 * evp_event_loop_create_connection_async:
 * @self: a loop
 * @host: (nullable): a host name or numeric address; `NULL` if the options have a socket
 * @port: the port; 0 if the options have a socket
 * @options: (nullable): what is special about the connection
 * @cancellable: (nullable): ends the attempt; no socket is left
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Connects to a host.
 *
 * The name is looked up by the default [class@Gio.Resolver], numbers without it. All addresses are tried: IPv6
 * and IPv4 in turns, the next when the one before has failed or a quarter of a second has passed, and the first
 * that answers wins ([property@Evp.ConnectionOptions:happy-eyeballs-delay]).
 *
 * Nothing is reported before this function returns; all errors come out of
 * [method@Evp.AbstractEventLoop.create_connection_finish].
 *
 * Corresponds to asyncio's `loop.create_connection()`; with a connected socket in the options, to
 * `loop.connect_accepted_socket()`, too.
 *
 * Use it from the thread of the loop. O(n) in the number of addresses.
 *
 * Since: 1.0
 */
void
evp_event_loop_create_connection_async (EvpAbstractEventLoop *self,
                                        const char           *host,
                                        guint16               port,
                                        EvpConnectionOptions *options,
                                        GCancellable         *cancellable,
                                        GAsyncReadyCallback   callback,
                                        gpointer              user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (options == NULL || EVP_IS_CONNECTION_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self, self, evp_event_loop_create_connection_async, cancellable, callback, user_data);
  if (evp_event_loop_check_start (self, task))
    evp_connection_start (task, options, FALSE, host, port);
}

/**
 * evp_event_loop_create_connection_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes connecting to a host.
 *
 * The stream is a [class@Gio.TcpConnection] whose asynchronous calls go through the loop, and with TLS a
 * [class@Gio.TlsConnection] over one, whose handshake is over. Small writes are not held back
 * (`TCP_NODELAY`).
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: that of the only address, or one with the texts of all of them and the code of the last, for example
 * %G_IO_ERROR_CONNECTION_REFUSED; %G_RESOLVER_ERROR; %EVP_ERROR_INVALID_ARGUMENT for impossible options;
 * %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_TIMED_OUT; %G_IO_ERROR_CANCELLED; those of TLS.
 *
 * Returns: (transfer full): the stream, or `NULL` with @error set
 *
 * Since: 1.0
 */
GIOStream *
evp_event_loop_create_connection_finish (EvpAbstractEventLoop *self,
                                         GAsyncResult         *result,
                                         GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_create_connection_async), NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}

/**
 * evp_event_loop_create_unix_connection_async:
 * @self: a loop
 * @path: (nullable) (type filename): the path of a unix socket, or `@` and an abstract name; `NULL` if the options have
 *   a socket
 * @options: (nullable): what is special about the connection
 * @cancellable: (nullable): ends the attempt; no socket is left
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Connects to a unix socket.
 *
 * If the server's queue of connections is full it is tried again after a while, less and less often; give a
 * [property@Evp.ConnectionOptions:timeout], or cancel it, to end that.
 *
 * With TLS the options need a [property@Evp.ConnectionOptions:server-name]. All errors come out of
 * [method@Evp.AbstractEventLoop.create_unix_connection_finish].
 *
 * Corresponds to asyncio's `loop.create_unix_connection()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_create_unix_connection_async (EvpAbstractEventLoop *self,
                                             const char           *path,
                                             EvpConnectionOptions *options,
                                             GCancellable         *cancellable,
                                             GAsyncReadyCallback   callback,
                                             gpointer              user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (options == NULL || EVP_IS_CONNECTION_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self, self, evp_event_loop_create_unix_connection_async, cancellable, callback, user_data);
  if (evp_event_loop_check_start (self, task))
    evp_connection_start (task, options, TRUE, path, 0);
}

/**
 * evp_event_loop_create_unix_connection_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes connecting to a unix socket.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR with what the system says, for example %G_IO_ERROR_NOT_FOUND or
 * %G_IO_ERROR_CONNECTION_REFUSED; %EVP_ERROR_INVALID_ARGUMENT; %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_TIMED_OUT;
 * %G_IO_ERROR_CANCELLED; those of TLS.
 *
 * Returns: (transfer full): a [class@Gio.UnixConnection], with TLS a [class@Gio.TlsConnection], or `NULL` with @error
 *   set
 *
 * Since: 1.0
 */
GIOStream *
evp_event_loop_create_unix_connection_finish (EvpAbstractEventLoop *self,
                                              GAsyncResult         *result,
                                              GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_create_unix_connection_async), NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}

/**
 * evp_event_loop_create_server_async:
 * @self: a loop
 * @host: (nullable): the name or number to listen at; `NULL` or empty for all interfaces
 * @port: the port; 0 for any that is free
 * @backlog: how many connections may wait in the kernel, and are accepted in one go; 0 or less for 100
 * @options: (nullable): what is special about the server
 * @cancellable: (nullable): ends looking up the names
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Listens at a port.
 *
 * Each address of the host gets a socket of its own; one that IPv6 and IPv4 share is not made. An address that
 * this machine does not have is left out, as long as another one can be had. With port 0 all sockets get the same
 * port, if it is free for all of them; [method@Evp.Server.get_sockets] tells.
 *
 * All errors come out of [method@Evp.AbstractEventLoop.create_server_finish].
 *
 * Corresponds to asyncio's `loop.create_server()`.
 *
 * Use it from the thread of the loop. O(n) in the number of addresses.
 *
 * Since: 1.0
 */
void
evp_event_loop_create_server_async (EvpAbstractEventLoop *self,
                                    const char           *host,
                                    guint16               port,
                                    int                   backlog,
                                    EvpServerOptions     *options,
                                    GCancellable         *cancellable,
                                    GAsyncReadyCallback   callback,
                                    gpointer              user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (options == NULL || EVP_IS_SERVER_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self, self, evp_event_loop_create_server_async, cancellable, callback, user_data);
  if (evp_event_loop_check_start (self, task))
    evp_server_start (task, options, FALSE, host, port, backlog);
}

/**
 * evp_event_loop_create_server_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes making a server.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR with what the system says and the address, for example %G_IO_ERROR_ADDRESS_IN_USE;
 * %G_RESOLVER_ERROR; %EVP_ERROR_INVALID_ARGUMENT for impossible options; %EVP_ERROR_LOOP_CLOSED;
 * %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the server, or `NULL` with @error set
 *
 * Since: 1.0
 */
EvpServer *
evp_event_loop_create_server_finish (EvpAbstractEventLoop *self,
                                     GAsyncResult         *result,
                                     GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_create_server_async), NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}

/**
 * evp_event_loop_create_unix_server_async:
 * @self: a loop
 * @path: (nullable) (type filename): where to put the socket, or `@` and an abstract name; `NULL` if the options have a
 *   socket
 * @backlog: how many connections may wait in the kernel, and are accepted in one go; 0 or less for 100
 * @options: (nullable): what is special about the server
 * @cancellable: (nullable): ends it, if it comes first
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Listens at a unix socket.
 *
 * A socket that is at @path already is taken for one that a dead server has left, and removed; any other file is
 * not. Closing the server removes the file again.
 *
 * All errors come out of [method@Evp.AbstractEventLoop.create_unix_server_finish].
 *
 * Corresponds to asyncio's `loop.create_unix_server()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_create_unix_server_async (EvpAbstractEventLoop *self,
                                         const char           *path,
                                         int                   backlog,
                                         EvpServerOptions     *options,
                                         GCancellable         *cancellable,
                                         GAsyncReadyCallback   callback,
                                         gpointer              user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (options == NULL || EVP_IS_SERVER_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self, self, evp_event_loop_create_unix_server_async, cancellable, callback, user_data);
  if (evp_event_loop_check_start (self, task))
    evp_server_start (task, options, TRUE, path, 0, backlog);
}

/**
 * evp_event_loop_create_unix_server_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes making a server at a unix socket.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR with what the system says and the path, for example %G_IO_ERROR_ADDRESS_IN_USE if another
 * kind of file is there; %EVP_ERROR_INVALID_ARGUMENT; %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the server, or `NULL` with @error set
 *
 * Since: 1.0
 */
EvpServer *
evp_event_loop_create_unix_server_finish (EvpAbstractEventLoop *self,
                                          GAsyncResult         *result,
                                          GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_create_unix_server_async), NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}
