/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-poll-selector.h"

#include "contract/contract-selector.h"

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  contract_selector_add ("poll-selector", evp_poll_selector_new,
                         CONTRACT_SELECTOR_CLOSED_READY);

  return g_test_run ();
}
