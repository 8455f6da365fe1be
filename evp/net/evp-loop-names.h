/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

#include <gio/gio.h>

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
void   evp_event_loop_getaddrinfo_async  (EvpAbstractEventLoop *self,
                                          const char           *host,
                                          const char           *service,
                                          GSocketFamily         family,
                                          GCancellable         *cancellable,
                                          GAsyncReadyCallback   callback,
                                          gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GList *evp_event_loop_getaddrinfo_finish (EvpAbstractEventLoop *self,
                                          GAsyncResult         *result,
                                          GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void   evp_event_loop_getnameinfo_async  (EvpAbstractEventLoop *self,
                                          GSocketAddress       *address,
                                          GCancellable         *cancellable,
                                          GAsyncReadyCallback   callback,
                                          gpointer              user_data);
EVP_AVAILABLE_IN_1_0
char  *evp_event_loop_getnameinfo_finish (EvpAbstractEventLoop *self,
                                          GAsyncResult         *result,
                                          char                **service,
                                          GError              **error) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
