/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
gboolean evp_socket_connection_register   (GError **error);
EVP_AVAILABLE_IN_1_0
void     evp_socket_connection_unregister (void);

G_END_DECLS
