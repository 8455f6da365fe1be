/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/net/evp-connection-options.h"
#include "evp/net/evp-server-options.h"
#include "evp/net/evp-server.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
void       evp_event_loop_create_connection_async       (EvpAbstractEventLoop *self,
                                                         const char           *host,
                                                         guint16               port,
                                                         EvpConnectionOptions *options,
                                                         GCancellable         *cancellable,
                                                         GAsyncReadyCallback   callback,
                                                         gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GIOStream *evp_event_loop_create_connection_finish      (EvpAbstractEventLoop *self,
                                                         GAsyncResult         *result,
                                                         GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void       evp_event_loop_create_unix_connection_async  (EvpAbstractEventLoop *self,
                                                         const char           *path,
                                                         EvpConnectionOptions *options,
                                                         GCancellable         *cancellable,
                                                         GAsyncReadyCallback   callback,
                                                         gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GIOStream *evp_event_loop_create_unix_connection_finish (EvpAbstractEventLoop *self,
                                                         GAsyncResult         *result,
                                                         GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void       evp_event_loop_create_server_async           (EvpAbstractEventLoop *self,
                                                         const char           *host,
                                                         guint16               port,
                                                         int                   backlog,
                                                         EvpServerOptions     *options,
                                                         GCancellable         *cancellable,
                                                         GAsyncReadyCallback   callback,
                                                         gpointer              user_data);
EVP_AVAILABLE_IN_1_0
EvpServer *evp_event_loop_create_server_finish          (EvpAbstractEventLoop *self,
                                                         GAsyncResult         *result,
                                                         GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void       evp_event_loop_create_unix_server_async      (EvpAbstractEventLoop *self,
                                                         const char           *path,
                                                         int                   backlog,
                                                         EvpServerOptions     *options,
                                                         GCancellable         *cancellable,
                                                         GAsyncReadyCallback   callback,
                                                         gpointer              user_data);
EVP_AVAILABLE_IN_1_0
EvpServer *evp_event_loop_create_unix_server_finish     (EvpAbstractEventLoop *self,
                                                         GAsyncResult         *result,
                                                         GError              **error) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
