/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/net/evp-datagram-endpoint.h"

G_BEGIN_DECLS

/*
 * An endpoint for a socket that is bound and connected as it shall be, and non-blocking. @remote is
 * where it sends to if the socket is not connected.
 */
EvpDatagramEndpoint *evp_datagram_endpoint_new (EvpAbstractEventLoop *loop,
                                                GSocket              *socket,
                                                GSocketAddress       *remote,
                                                GError              **error);

G_END_DECLS
