/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
void     evp_event_loop_sock_recv_async           (EvpAbstractEventLoop *self,
                                                   GSocket              *socket,
                                                   gsize                 n,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GBytes  *evp_event_loop_sock_recv_finish          (EvpAbstractEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void     evp_event_loop_sock_recv_into_async      (EvpAbstractEventLoop *self,
                                                   GSocket              *socket,
                                                   void                 *buffer,
                                                   gsize                 size,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gssize   evp_event_loop_sock_recv_into_finish     (EvpAbstractEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
EVP_AVAILABLE_IN_1_0
void     evp_event_loop_sock_recvfrom_async       (EvpAbstractEventLoop *self,
                                                   GSocket              *socket,
                                                   gsize                 n,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GBytes  *evp_event_loop_sock_recvfrom_finish      (EvpAbstractEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GSocketAddress      **address,
                                                   GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void     evp_event_loop_sock_recvfrom_into_async  (EvpAbstractEventLoop *self,
                                                   GSocket              *socket,
                                                   void                 *buffer,
                                                   gsize                 size,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gssize   evp_event_loop_sock_recvfrom_into_finish (EvpAbstractEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GSocketAddress      **address,
                                                   GError              **error);
EVP_AVAILABLE_IN_1_0
void     evp_event_loop_sock_sendall_async        (EvpAbstractEventLoop *self,
                                                   GSocket              *socket,
                                                   GBytes               *bytes,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gboolean evp_event_loop_sock_sendall_finish       (EvpAbstractEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
EVP_AVAILABLE_IN_1_0
void     evp_event_loop_sock_sendto_async         (EvpAbstractEventLoop *self,
                                                   GSocket              *socket,
                                                   GBytes               *bytes,
                                                   GSocketAddress       *address,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gssize   evp_event_loop_sock_sendto_finish        (EvpAbstractEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
EVP_AVAILABLE_IN_1_0
void     evp_event_loop_sock_accept_async         (EvpAbstractEventLoop *self,
                                                   GSocket              *socket,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GSocket *evp_event_loop_sock_accept_finish        (EvpAbstractEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void     evp_event_loop_sock_connect_async        (EvpAbstractEventLoop *self,
                                                   GSocket              *socket,
                                                   GSocketAddress       *address,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gboolean evp_event_loop_sock_connect_finish       (EvpAbstractEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);

G_END_DECLS
