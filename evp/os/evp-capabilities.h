/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
gboolean     evp_capabilities_get     (const char *name);
EVP_AVAILABLE_IN_1_0
const char  *evp_capabilities_explain (const char *name);
EVP_AVAILABLE_IN_1_0
char       **evp_capabilities_list    (void) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
