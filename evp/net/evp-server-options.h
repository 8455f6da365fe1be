/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/net/evp-tls-options.h"

#include <gio/gio.h>

G_BEGIN_DECLS

#define EVP_TYPE_SERVER_OPTIONS (evp_server_options_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpServerOptions, evp_server_options, EVP, SERVER_OPTIONS, GObject)

EVP_AVAILABLE_IN_1_0
EvpServerOptions   *evp_server_options_new                (void) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
const char * const *evp_server_options_get_hosts          (EvpServerOptions *self);
EVP_AVAILABLE_IN_1_0
GSocketFamily       evp_server_options_get_family         (EvpServerOptions *self);
EVP_AVAILABLE_IN_1_0
gboolean            evp_server_options_get_reuse_address  (EvpServerOptions *self);
EVP_AVAILABLE_IN_1_0
gboolean            evp_server_options_get_reuse_port     (EvpServerOptions *self);
EVP_AVAILABLE_IN_1_0
gboolean            evp_server_options_get_start_serving  (EvpServerOptions *self);
EVP_AVAILABLE_IN_1_0
GSocket            *evp_server_options_get_socket         (EvpServerOptions *self);
EVP_AVAILABLE_IN_1_0
int                 evp_server_options_get_socket_mode    (EvpServerOptions *self);
EVP_AVAILABLE_IN_1_0
gboolean            evp_server_options_get_cleanup_socket (EvpServerOptions *self);
EVP_AVAILABLE_IN_1_0
EvpTlsOptions      *evp_server_options_get_tls_options    (EvpServerOptions *self);
EVP_AVAILABLE_IN_1_0
void                evp_server_options_set_hosts          (EvpServerOptions   *self,
                                                           const char * const *hosts);
EVP_AVAILABLE_IN_1_0
void                evp_server_options_set_family         (EvpServerOptions *self,
                                                           GSocketFamily     family);
EVP_AVAILABLE_IN_1_0
void                evp_server_options_set_reuse_address  (EvpServerOptions *self,
                                                           gboolean          reuse_address);
EVP_AVAILABLE_IN_1_0
void                evp_server_options_set_reuse_port     (EvpServerOptions *self,
                                                           gboolean          reuse_port);
EVP_AVAILABLE_IN_1_0
void                evp_server_options_set_start_serving  (EvpServerOptions *self,
                                                           gboolean          start_serving);
EVP_AVAILABLE_IN_1_0
void                evp_server_options_set_socket         (EvpServerOptions *self,
                                                           GSocket          *socket);
EVP_AVAILABLE_IN_1_0
void                evp_server_options_set_socket_mode    (EvpServerOptions *self,
                                                           int               socket_mode);
EVP_AVAILABLE_IN_1_0
void                evp_server_options_set_cleanup_socket (EvpServerOptions *self,
                                                           gboolean          cleanup_socket);
EVP_AVAILABLE_IN_1_0
void                evp_server_options_set_tls_options    (EvpServerOptions *self,
                                                           EvpTlsOptions    *tls_options);

G_END_DECLS
