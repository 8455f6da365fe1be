/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-subprocess.h"

#include "evp/evp.h"
#include "evp/os/evp-os-wait-private.h"
#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-uring-proactor.h"
#include "support/evp-test-loop.h"

static EvpAbstractEventLoop *
make_selector (GError **error)
{
  return evp_selector_event_loop_new (NULL, NULL, error);
}

static EvpAbstractEventLoop *
make_gio (GError **error)
{
  g_autoptr (EvpProactor) proactor = evp_gio_proactor_new ();

  return g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
}

static EvpAbstractEventLoop *
make_uring (GError **error)
{
  g_autoptr (EvpProactor) proactor = evp_uring_proactor_new (error);

  if (proactor == NULL)
    return NULL;
  return g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
}

int
main (int    argc,
      char **argv)
{
  gboolean has_pidfd;

  g_test_init (&argc, &argv, NULL);
  has_pidfd = evp_os_pidfd_supported (NULL);
  if (has_pidfd)
    contract_subprocess_add ("pidfd", evp_pidfd_child_watcher_new, make_selector);
  contract_subprocess_add ("threaded", evp_threaded_child_watcher_new, make_selector);
  contract_subprocess_add ("safe", evp_safe_child_watcher_new, make_selector);
  contract_subprocess_add ("fast", evp_fast_child_watcher_new, make_selector);
  contract_subprocess_add ("multi-loop", evp_multi_loop_child_watcher_new, make_selector);
  contract_subprocess_add ("glib", evp_glib_child_watcher_new, make_selector);
  /* one that has its descriptors in the loop, and one that comes from other threads */
  if (has_pidfd)
    contract_subprocess_add ("pidfd/proactor-gio", evp_pidfd_child_watcher_new, make_gio);
  contract_subprocess_add ("threaded/proactor-gio", evp_threaded_child_watcher_new, make_gio);
  if (evp_test_has_uring ())
    {
      if (has_pidfd)
        contract_subprocess_add ("pidfd/proactor-uring", evp_pidfd_child_watcher_new, make_uring);
      contract_subprocess_add ("threaded/proactor-uring", evp_threaded_child_watcher_new, make_uring);
    }
  return g_test_run ();
}
