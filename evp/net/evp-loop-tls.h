/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/net/evp-tls-options.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
void       evp_event_loop_start_tls_async               (EvpAbstractEventLoop *self,
                                                         GIOStream            *stream,
                                                         gboolean              server_side,
                                                         GTlsCertificate      *certificate,
                                                         const char           *hostname,
                                                         GCancellable         *cancellable,
                                                         GAsyncReadyCallback   callback,
                                                         gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GIOStream *evp_event_loop_start_tls_finish              (EvpAbstractEventLoop *self,
                                                         GAsyncResult         *result,
                                                         GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void       evp_event_loop_start_tls_with_options_async  (EvpAbstractEventLoop *self,
                                                         GIOStream            *stream,
                                                         gboolean              server_side,
                                                         EvpTlsOptions        *options,
                                                         const char           *hostname,
                                                         GCancellable         *cancellable,
                                                         GAsyncReadyCallback   callback,
                                                         gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GIOStream *evp_event_loop_start_tls_with_options_finish (EvpAbstractEventLoop *self,
                                                         GAsyncResult         *result,
                                                         GError              **error) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
