/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-subprocess.h"

#include "evp/evp.h"

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  contract_subprocess_add ("pidfd", evp_pidfd_child_watcher_new);
  contract_subprocess_add ("threaded", evp_threaded_child_watcher_new);
  contract_subprocess_add ("safe", evp_safe_child_watcher_new);
  contract_subprocess_add ("fast", evp_fast_child_watcher_new);
  contract_subprocess_add ("multi-loop", evp_multi_loop_child_watcher_new);
  contract_subprocess_add ("glib", evp_glib_child_watcher_new);
  return g_test_run ();
}
