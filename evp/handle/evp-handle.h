/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

#define EVP_TYPE_HANDLE (evp_handle_get_type ())

EVP_AVAILABLE_IN_1_0
GType      evp_handle_get_type  (void);
EVP_AVAILABLE_IN_1_0
EvpHandle *evp_handle_ref       (EvpHandle *self);
EVP_AVAILABLE_IN_1_0
void       evp_handle_unref     (EvpHandle *self);
EVP_AVAILABLE_IN_1_0
void       evp_handle_run       (EvpHandle *self);
EVP_AVAILABLE_IN_1_0
void       evp_handle_cancel    (EvpHandle *self);
EVP_AVAILABLE_IN_1_0
gboolean   evp_handle_cancelled (EvpHandle *self);
EVP_AVAILABLE_IN_1_0
void       evp_handle_set_name  (EvpHandle *self,
                                 const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpHandle, evp_handle_unref)

G_END_DECLS
