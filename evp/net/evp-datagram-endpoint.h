/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

#include <gio/gio.h>

G_BEGIN_DECLS

#define EVP_TYPE_DATAGRAM_ENDPOINT (evp_datagram_endpoint_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpDatagramEndpoint, evp_datagram_endpoint, EVP, DATAGRAM_ENDPOINT, GObject)

EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop *evp_datagram_endpoint_get_loop           (EvpDatagramEndpoint *self);
EVP_AVAILABLE_IN_1_0
GSocket              *evp_datagram_endpoint_get_socket         (EvpDatagramEndpoint *self);
EVP_AVAILABLE_IN_1_0
GSocketAddress       *evp_datagram_endpoint_get_local_address  (EvpDatagramEndpoint *self,
                                                                GError             **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GSocketAddress       *evp_datagram_endpoint_get_remote_address (EvpDatagramEndpoint *self);
EVP_AVAILABLE_IN_1_0
gboolean              evp_datagram_endpoint_is_closing         (EvpDatagramEndpoint *self);
EVP_AVAILABLE_IN_1_0
gsize                 evp_datagram_endpoint_get_high_water     (EvpDatagramEndpoint *self);
EVP_AVAILABLE_IN_1_0
void                  evp_datagram_endpoint_set_high_water     (EvpDatagramEndpoint *self,
                                                                gsize                high_water);
EVP_AVAILABLE_IN_1_0
guint                 evp_datagram_endpoint_get_max_size       (EvpDatagramEndpoint *self);
EVP_AVAILABLE_IN_1_0
void                  evp_datagram_endpoint_set_max_size       (EvpDatagramEndpoint *self,
                                                                guint                max_size);
EVP_AVAILABLE_IN_1_0
gboolean              evp_datagram_endpoint_send               (EvpDatagramEndpoint *self,
                                                                GBytes              *data,
                                                                GSocketAddress      *address,
                                                                GError             **error);
EVP_AVAILABLE_IN_1_0
void                  evp_datagram_endpoint_receive_async      (EvpDatagramEndpoint *self,
                                                                GCancellable        *cancellable,
                                                                GAsyncReadyCallback  callback,
                                                                gpointer             user_data);
EVP_AVAILABLE_IN_1_0
GBytes               *evp_datagram_endpoint_receive_finish     (EvpDatagramEndpoint *self,
                                                                GAsyncResult        *result,
                                                                GSocketAddress     **address,
                                                                GError             **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void                  evp_datagram_endpoint_close              (EvpDatagramEndpoint *self);
EVP_AVAILABLE_IN_1_0
void                  evp_datagram_endpoint_abort              (EvpDatagramEndpoint *self);

G_END_DECLS
