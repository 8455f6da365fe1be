/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <evp/evp.h>

int
main (void)
{
  g_print ("%s %d\n", evp_get_version (), evp_returncode_from_wait_status (0));
  return EVP_CHECK_VERSION (1, 0, 0) ? 0 : 1;
}
