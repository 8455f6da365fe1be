/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-abstract-event-loop.h"

#include <gio/gio.h>

G_BEGIN_DECLS

#define EVP_TYPE_SERVER (evp_server_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpServer, evp_server, EVP, SERVER, GObject)

EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop *evp_server_get_loop             (EvpServer           *self);
EVP_AVAILABLE_IN_1_0
GPtrArray            *evp_server_get_sockets          (EvpServer           *self) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gboolean              evp_server_is_serving           (EvpServer           *self);
EVP_AVAILABLE_IN_1_0
gboolean              evp_server_start_serving        (EvpServer           *self,
                                                       GError             **error);
EVP_AVAILABLE_IN_1_0
void                  evp_server_serve_forever_async  (EvpServer           *self,
                                                       GCancellable        *cancellable,
                                                       GAsyncReadyCallback  callback,
                                                       gpointer             user_data);
EVP_AVAILABLE_IN_1_0
gboolean              evp_server_serve_forever_finish (EvpServer           *self,
                                                       GAsyncResult        *result,
                                                       GError             **error);
EVP_AVAILABLE_IN_1_0
void                  evp_server_accept_async         (EvpServer           *self,
                                                       GCancellable        *cancellable,
                                                       GAsyncReadyCallback  callback,
                                                       gpointer             user_data);
EVP_AVAILABLE_IN_1_0
GIOStream            *evp_server_accept_finish        (EvpServer           *self,
                                                       GAsyncResult        *result,
                                                       GError             **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void                  evp_server_close                (EvpServer           *self);
EVP_AVAILABLE_IN_1_0
void                  evp_server_wait_closed_async    (EvpServer           *self,
                                                       GCancellable        *cancellable,
                                                       GAsyncReadyCallback  callback,
                                                       gpointer             user_data);
EVP_AVAILABLE_IN_1_0
gboolean              evp_server_wait_closed_finish   (EvpServer           *self,
                                                       GAsyncResult        *result,
                                                       GError             **error);

G_END_DECLS
