/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-sockets.h"

G_BEGIN_DECLS

/*
 * Says that a socket belongs to an open stream or endpoint on a loop, or with NULL, from any thread, that it no
 * longer does: as long as it does, the sock_…_async() functions refuse it, and the loop's functions for readers
 * and writers refuse its descriptor, because they would take its place in the loop. O(1).
 */
void     evp_loop_socket_set_owner (GSocket              *socket,
                                    EvpAbstractEventLoop *loop);
/* Whether a stream or endpoint on @loop owns this descriptor; a socket that was closed without a word owns none. */
gboolean evp_loop_fd_is_owned      (EvpAbstractEventLoop *loop,
                                    int                   fd);
/* What every sock_…_async() function asks first: not closed, not owned, in debug mode not blocking, and not cancelled. */
gboolean evp_loop_socket_check     (EvpAbstractEventLoop *loop,
                                    GSocket              *socket,
                                    GCancellable         *cancellable,
                                    GError              **error);

G_END_DECLS
