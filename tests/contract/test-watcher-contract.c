/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-watcher.h"

#include "evp/loop/evp-proactor-event-loop.h"
#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-fast-child-watcher.h"
#include "evp/watcher/evp-glib-child-watcher.h"
#include "evp/watcher/evp-multi-loop-child-watcher.h"
#include "evp/watcher/evp-pidfd-child-watcher.h"
#include "evp/watcher/evp-safe-child-watcher.h"
#include "evp/watcher/evp-threaded-child-watcher.h"
#include "support/evp-test-loop.h"

/* Rules: V-9, V-14 */
static EvpAbstractEventLoop *
make_proactor_loop (GError **error)
{
  return evp_proactor_event_loop_new (NULL, error);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  if (evp_os_pidfd_supported (NULL))
    contract_watcher_add ("pidfd-child-watcher", evp_pidfd_child_watcher_new, CONTRACT_WATCHER_NEEDS_PROCESS);
  contract_watcher_add ("threaded-child-watcher", evp_threaded_child_watcher_new, 0);
  contract_watcher_add ("safe-child-watcher", evp_safe_child_watcher_new,
                        CONTRACT_WATCHER_SIGNAL | CONTRACT_WATCHER_SWEEPS);
  contract_watcher_add ("fast-child-watcher", evp_fast_child_watcher_new,
                        CONTRACT_WATCHER_SIGNAL | CONTRACT_WATCHER_SWEEPS | CONTRACT_WATCHER_STEALS);
  contract_watcher_add ("multi-loop-child-watcher", evp_multi_loop_child_watcher_new, CONTRACT_WATCHER_SIGNAL);
  /* without pidfds GLib's worker thread takes the status of a child that was removed, too */
  if (evp_os_pidfd_supported (NULL))
    contract_watcher_add ("glib-child-watcher", evp_glib_child_watcher_new, 0);

  if (evp_os_pidfd_supported (NULL))
    {
      contract_watcher_add_with_loop ("pidfd-child-watcher-on-proactor", evp_pidfd_child_watcher_new,
                                      make_proactor_loop, CONTRACT_WATCHER_NEEDS_PROCESS);
      contract_watcher_add_with_loop ("pidfd-child-watcher-on-gio", evp_pidfd_child_watcher_new,
                                      evp_test_make_gio_loop, CONTRACT_WATCHER_NEEDS_PROCESS);
    }
  contract_watcher_add_with_loop ("threaded-child-watcher-on-gio", evp_threaded_child_watcher_new, evp_test_make_gio_loop, 0);
  contract_watcher_add_with_loop ("safe-child-watcher-on-proactor", evp_safe_child_watcher_new, make_proactor_loop,
                                  CONTRACT_WATCHER_SIGNAL | CONTRACT_WATCHER_SWEEPS);

  return g_test_run ();
}
