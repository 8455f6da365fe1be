/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-pidfd-child-watcher.h"
#include "evp/watcher/evp-threaded-child-watcher.h"

/**
 * evp_child_watcher_new_default:
 *
 * Makes a watcher of the class that is best here: [class@Evp.PidfdChildWatcher] where it works, else
 * [class@Evp.ThreadedChildWatcher].
 *
 * Both need no particular thread and no attached loop, and harm no other code.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): a new watcher
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_child_watcher_new_default (void)
{
  if (evp_os_pidfd_supported (NULL))
    return evp_pidfd_child_watcher_new ();
  return evp_threaded_child_watcher_new ();
}
