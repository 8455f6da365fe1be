/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

#include <gio/gio.h>

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
void   evp_event_loop_sock_sendfile_async  (EvpAbstractEventLoop *self,
                                            GSocket              *socket,
                                            int                   fd,
                                            goffset               offset,
                                            gint64                count,
                                            gboolean              fallback,
                                            GCancellable         *cancellable,
                                            GAsyncReadyCallback   callback,
                                            gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gssize evp_event_loop_sock_sendfile_finish (EvpAbstractEventLoop *self,
                                            GAsyncResult         *result,
                                            GError              **error);
EVP_AVAILABLE_IN_1_0
void   evp_event_loop_sendfile_async       (EvpAbstractEventLoop *self,
                                            GIOStream            *stream,
                                            GFile                *file,
                                            goffset               offset,
                                            gint64                count,
                                            gboolean              fallback,
                                            GCancellable         *cancellable,
                                            GAsyncReadyCallback   callback,
                                            gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gssize evp_event_loop_sendfile_finish      (EvpAbstractEventLoop *self,
                                            GAsyncResult         *result,
                                            GError              **error);

G_END_DECLS
