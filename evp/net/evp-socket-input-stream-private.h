/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/net/evp-socket-channel-private.h"

G_BEGIN_DECLS

#define EVP_TYPE_SOCKET_INPUT_STREAM (evp_socket_input_stream_get_type ())

G_DECLARE_FINAL_TYPE (EvpSocketInputStream, evp_socket_input_stream, EVP, SOCKET_INPUT_STREAM, GInputStream)

/* The reading side of a connected socket. @loop may be NULL, then @find_loop is asked when one is needed. */
GInputStream     *evp_socket_input_stream_new         (GSocket              *socket,
                                                       EvpAbstractEventLoop *loop,
                                                       EvpSocketLoopFunc     find_loop);
EvpSocketChannel *evp_socket_input_stream_get_channel (EvpSocketInputStream *self);

G_END_DECLS
