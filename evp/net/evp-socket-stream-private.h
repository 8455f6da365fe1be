/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/net/evp-socket-channel-private.h"

G_BEGIN_DECLS

/*
 * GIO's connections with streams that belong to a loop. What comes from a loop's functions is of one of these types;
 * connections that GIO makes get the same behaviour from evp_socket_connection_register().
 */
#define EVP_TYPE_TCP_CONNECTION (evp_tcp_connection_get_type ())
#define EVP_TYPE_UNIX_CONNECTION (evp_unix_connection_get_type ())

G_DECLARE_FINAL_TYPE (EvpTcpConnection, evp_tcp_connection, EVP, TCP_CONNECTION, GTcpConnection)
G_DECLARE_FINAL_TYPE (EvpUnixConnection, evp_unix_connection, EVP, UNIX_CONNECTION, GUnixConnection)

/*
 * (transfer full): a connection for a connected socket. Its asynchronous functions belong to the thread of the loop.
 */
GIOStream *evp_socket_stream_new    (EvpAbstractEventLoop *loop,
                                     GSocket              *socket);
/* Makes the streams of @connection those of this library; before anybody has asked for them. */
void       evp_socket_stream_attach (GIOStream            *connection,
                                     EvpAbstractEventLoop *loop,
                                     EvpSocketLoopFunc     find_loop);
/*
 * How long a blocking write waits for the peer to take anything; without, for ever. TLS says its good-bye so. Does
 * nothing to a connection of somebody else.
 */
void       evp_socket_stream_set_patience
                                    (GIOStream            *connection,
                                     double                seconds);
/*
 * Calls func (data) once, when @connection begins to close, whoever closes it and on whatever thread; at the
 * latest when it is finalised.
 */
void       evp_socket_stream_set_closed_func
                                    (GIOStream            *connection,
                                     GDestroyNotify        func,
                                     gpointer              data);
/* Sets the functions of a class of connections; those that nothing was attached to do as GIO does. */
void       evp_socket_stream_set_functions
                                    (GIOStreamClass       *klass);

G_END_DECLS
