/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/net/evp-datagram-endpoint.h"
#include "evp/net/evp-datagram-options.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
void                 evp_event_loop_create_datagram_endpoint_async  (EvpAbstractEventLoop *self,
                                                                     GSocketAddress       *local,
                                                                     GSocketAddress       *remote,
                                                                     EvpDatagramOptions   *options,
                                                                     GCancellable         *cancellable,
                                                                     GAsyncReadyCallback   callback,
                                                                     gpointer              user_data);
EVP_AVAILABLE_IN_1_0
EvpDatagramEndpoint *evp_event_loop_create_datagram_endpoint_finish (EvpAbstractEventLoop *self,
                                                                     GAsyncResult         *result,
                                                                     GError              **error) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
