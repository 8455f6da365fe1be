/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/net/evp-listener-private.h"
#include "evp/net/evp-server.h"

G_BEGIN_DECLS

/* A server that does not listen yet. @listeners: (transfer full): of EvpListener, with a free function. */
EvpServer *evp_server_new (EvpAbstractEventLoop *loop,
                           GPtrArray            *listeners,
                           int                   backlog,
                           EvpServerOptions     *options);

G_END_DECLS
