/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-task-private.h"
#include "evp/net/evp-loop-network.h"

G_BEGIN_DECLS

/* A path, or with a leading '@' the abstract name behind it. */
GSocketAddress *evp_unix_address_new  (const char     *path,
                                       GError        **error);
/* Whether a socket of the caller's can be used: a stream socket, and with @is_unix a unix one. */
gboolean        evp_check_own_socket  (GSocket        *socket,
                                       gboolean        is_unix,
                                       GError        **error);
/* Fails a task, at once if its loop is closing and nothing can be scheduled any more. */
void            evp_loop_task_fail    (EvpLoopTask    *task,
                                       GError         *error); /* (transfer full) */

/* The work of create_connection() and create_unix_connection(): fails or returns a GIOStream. */
void            evp_connection_start  (EvpLoopTask          *task,
                                       EvpConnectionOptions *options,
                                       gboolean              is_unix,
                                       const char           *host,
                                       guint16               port);
/* The work of create_server() and create_unix_server(): fails or returns an EvpServer. */
void            evp_server_start      (EvpLoopTask          *task,
                                       EvpServerOptions     *options,
                                       gboolean              is_unix,
                                       const char           *host,
                                       guint16               port,
                                       int                   backlog);

G_END_DECLS
