/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-subprocess.h"

#include "evp/evp.h"
#include "evp/os/evp-os-wait-private.h"
#include "support/evp-test-loop.h"

int
main (int    argc,
      char **argv)
{
  gboolean has_pidfd;

  g_test_init (&argc, &argv, NULL);
  has_pidfd = evp_os_pidfd_supported (NULL);
  if (has_pidfd)
    contract_subprocess_add ("pidfd", evp_pidfd_child_watcher_new, evp_test_make_selector_loop);
  contract_subprocess_add ("threaded", evp_threaded_child_watcher_new, evp_test_make_selector_loop);
  contract_subprocess_add ("safe", evp_safe_child_watcher_new, evp_test_make_selector_loop);
  contract_subprocess_add ("fast", evp_fast_child_watcher_new, evp_test_make_selector_loop);
  contract_subprocess_add ("multi-loop", evp_multi_loop_child_watcher_new, evp_test_make_selector_loop);
  contract_subprocess_add ("glib", evp_glib_child_watcher_new, evp_test_make_selector_loop);
  /* one that has its descriptors in the loop, and one that comes from other threads */
  if (has_pidfd)
    contract_subprocess_add ("pidfd/proactor-gio", evp_pidfd_child_watcher_new, evp_test_make_gio_loop);
  contract_subprocess_add ("threaded/proactor-gio", evp_threaded_child_watcher_new, evp_test_make_gio_loop);
  if (evp_test_has_uring ())
    {
      if (has_pidfd)
        contract_subprocess_add ("pidfd/proactor-uring", evp_pidfd_child_watcher_new, evp_test_make_uring_loop);
      contract_subprocess_add ("threaded/proactor-uring", evp_threaded_child_watcher_new, evp_test_make_uring_loop);
    }
  return g_test_run ();
}
