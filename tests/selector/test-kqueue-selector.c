/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-kqueue-selector.h"

#include "contract/contract-selector.h"

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  contract_selector_add ("kqueue-selector", evp_kqueue_selector_new,
                         CONTRACT_SELECTOR_OWN_FD | CONTRACT_SELECTOR_CLOSED_SILENT |
                       CONTRACT_SELECTOR_HALF_HANG_UP);

  return g_test_run ();
}
