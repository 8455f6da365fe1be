/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

#include <gio/gio.h>

G_BEGIN_DECLS

#define EVP_TYPE_DATAGRAM_OPTIONS (evp_datagram_options_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpDatagramOptions, evp_datagram_options, EVP, DATAGRAM_OPTIONS, GObject)

EVP_AVAILABLE_IN_1_0
EvpDatagramOptions *evp_datagram_options_new                 (void) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GSocketFamily       evp_datagram_options_get_family          (EvpDatagramOptions *self);
EVP_AVAILABLE_IN_1_0
gboolean            evp_datagram_options_get_allow_broadcast (EvpDatagramOptions *self);
EVP_AVAILABLE_IN_1_0
gboolean            evp_datagram_options_get_reuse_port      (EvpDatagramOptions *self);
EVP_AVAILABLE_IN_1_0
GSocket            *evp_datagram_options_get_socket          (EvpDatagramOptions *self);
EVP_AVAILABLE_IN_1_0
void                evp_datagram_options_set_family          (EvpDatagramOptions *self,
                                                              GSocketFamily       family);
EVP_AVAILABLE_IN_1_0
void                evp_datagram_options_set_allow_broadcast (EvpDatagramOptions *self,
                                                              gboolean            allow_broadcast);
EVP_AVAILABLE_IN_1_0
void                evp_datagram_options_set_reuse_port      (EvpDatagramOptions *self,
                                                              gboolean            reuse_port);
EVP_AVAILABLE_IN_1_0
void                evp_datagram_options_set_socket          (EvpDatagramOptions *self,
                                                              GSocket            *socket);

G_END_DECLS
