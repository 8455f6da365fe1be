/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

#define EVP_TYPE_TLS_OPTIONS (evp_tls_options_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpTlsOptions, evp_tls_options, EVP, TLS_OPTIONS, GObject)

EVP_AVAILABLE_IN_1_0
EvpTlsOptions         *evp_tls_options_new                     (void) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GTlsCertificate       *evp_tls_options_get_certificate         (EvpTlsOptions         *self);
EVP_AVAILABLE_IN_1_0
GTlsDatabase          *evp_tls_options_get_database            (EvpTlsOptions         *self);
EVP_AVAILABLE_IN_1_0
GTlsAuthenticationMode evp_tls_options_get_authentication_mode (EvpTlsOptions         *self);
EVP_AVAILABLE_IN_1_0
GTlsCertificateFlags   evp_tls_options_get_validation_flags    (EvpTlsOptions         *self);
EVP_AVAILABLE_IN_1_0
const char * const    *evp_tls_options_get_alpn_protocols      (EvpTlsOptions         *self);
EVP_AVAILABLE_IN_1_0
double                 evp_tls_options_get_handshake_timeout   (EvpTlsOptions         *self);
EVP_AVAILABLE_IN_1_0
double                 evp_tls_options_get_shutdown_timeout    (EvpTlsOptions         *self);
EVP_AVAILABLE_IN_1_0
void                   evp_tls_options_set_certificate         (EvpTlsOptions         *self,
                                                                GTlsCertificate       *certificate);
EVP_AVAILABLE_IN_1_0
void                   evp_tls_options_set_database            (EvpTlsOptions         *self,
                                                                GTlsDatabase          *database);
EVP_AVAILABLE_IN_1_0
void                   evp_tls_options_set_authentication_mode (EvpTlsOptions         *self,
                                                                GTlsAuthenticationMode mode);
EVP_AVAILABLE_IN_1_0
void                   evp_tls_options_set_validation_flags    (EvpTlsOptions         *self,
                                                                GTlsCertificateFlags   flags);
EVP_AVAILABLE_IN_1_0
void                   evp_tls_options_set_alpn_protocols      (EvpTlsOptions         *self,
                                                                const char * const    *protocols);
EVP_AVAILABLE_IN_1_0
void                   evp_tls_options_set_handshake_timeout   (EvpTlsOptions         *self,
                                                                double                 seconds);
EVP_AVAILABLE_IN_1_0
void                   evp_tls_options_set_shutdown_timeout    (EvpTlsOptions         *self,
                                                                double                 seconds);

G_END_DECLS
