/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/net/evp-tls-options.h"

#include <gio/gio.h>

G_BEGIN_DECLS

#define EVP_TYPE_CONNECTION_OPTIONS (evp_connection_options_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpConnectionOptions, evp_connection_options, EVP, CONNECTION_OPTIONS, GObject)

EVP_AVAILABLE_IN_1_0
EvpConnectionOptions *evp_connection_options_new                      (void) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GSocketFamily         evp_connection_options_get_family               (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
const char           *evp_connection_options_get_local_host           (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
guint16               evp_connection_options_get_local_port           (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
double                evp_connection_options_get_happy_eyeballs_delay (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
int                   evp_connection_options_get_interleave           (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
double                evp_connection_options_get_timeout              (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
GSocket              *evp_connection_options_get_socket               (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
gboolean              evp_connection_options_get_tls                  (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
const char           *evp_connection_options_get_server_name          (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
EvpTlsOptions        *evp_connection_options_get_tls_options          (EvpConnectionOptions *self);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_family               (EvpConnectionOptions *self,
                                                                       GSocketFamily         family);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_local_host           (EvpConnectionOptions *self,
                                                                       const char           *local_host);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_local_port           (EvpConnectionOptions *self,
                                                                       guint16               local_port);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_happy_eyeballs_delay (EvpConnectionOptions *self,
                                                                       double                happy_eyeballs_delay);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_interleave           (EvpConnectionOptions *self,
                                                                       int                   interleave);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_timeout              (EvpConnectionOptions *self,
                                                                       double                timeout);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_socket               (EvpConnectionOptions *self,
                                                                       GSocket              *socket);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_tls                  (EvpConnectionOptions *self,
                                                                       gboolean              tls);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_server_name          (EvpConnectionOptions *self,
                                                                       const char           *server_name);
EVP_AVAILABLE_IN_1_0
void                  evp_connection_options_set_tls_options          (EvpConnectionOptions *self,
                                                                       EvpTlsOptions        *tls_options);

G_END_DECLS
