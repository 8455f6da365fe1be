/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/proactor/evp-proactor.h"

G_BEGIN_DECLS

#define EVP_TYPE_URING_PROACTOR (evp_uring_proactor_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpUringProactor, evp_uring_proactor, EVP, URING_PROACTOR, EvpProactor)

EVP_AVAILABLE_IN_1_0
EvpProactor *evp_uring_proactor_new (GError **error) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
