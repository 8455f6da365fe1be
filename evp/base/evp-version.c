/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-version.h"

/**
 * evp_get_version:
 *
 * Tells the version of the library that the program runs with, such as `"1.0.0"`.
 *
 * It may be newer than the headers the program was compiled against, which
 * %EVP_MAJOR_VERSION and its companions tell.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none): the version
 *
 * Since: 1.0
 */
const char *
evp_get_version (void)
{
  return PACKAGE_VERSION;
}
