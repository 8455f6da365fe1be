/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

/**
 * EVP_RETURNCODE_LOST:
 *
 * The return code of a child whose exit status somebody else has taken.
 *
 * It is 255, as in asyncio, and a child may really exit with 255:
 * [method@Evp.ChildHandler.get_lost] tells the two apart.
 *
 * Since: 1.0
 */
#define EVP_RETURNCODE_LOST 255

EVP_AVAILABLE_IN_1_0
int evp_returncode_from_wait_status (int wait_status);

G_END_DECLS
