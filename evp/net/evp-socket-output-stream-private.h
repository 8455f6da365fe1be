/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/net/evp-socket-channel-private.h"

G_BEGIN_DECLS

#define EVP_TYPE_SOCKET_OUTPUT_STREAM (evp_socket_output_stream_get_type ())

G_DECLARE_FINAL_TYPE (EvpSocketOutputStream, evp_socket_output_stream, EVP, SOCKET_OUTPUT_STREAM, GOutputStream)

/* The writing side of a connected socket. @loop may be NULL, then @find_loop is asked when one is needed. */
GOutputStream    *evp_socket_output_stream_new         (GSocket               *socket,
                                                        EvpAbstractEventLoop  *loop,
                                                        EvpSocketLoopFunc      find_loop);
EvpSocketChannel *evp_socket_output_stream_get_channel (EvpSocketOutputStream *self);

G_END_DECLS
