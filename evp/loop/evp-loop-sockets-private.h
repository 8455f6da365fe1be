/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-sockets.h"

G_BEGIN_DECLS

/*
 * Says that a socket belongs to an open stream or server of the library, or no longer does: as long as it
 * does, the sock_…_async() functions refuse it, because they would take its place in the loop.
 */
void     evp_loop_socket_set_owned (GSocket *socket,
                                    gboolean owned);
/* What every sock_…_async() function asks first: not closed, not owned, in debug mode not blocking, and not cancelled. */
gboolean evp_loop_socket_check     (EvpAbstractEventLoop *loop,
                                    GSocket              *socket,
                                    GCancellable         *cancellable,
                                    GError              **error);

G_END_DECLS
