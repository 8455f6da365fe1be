/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/watcher/evp-pidfd-child-watcher.h"

G_BEGIN_DECLS

/*
 * Like evp_child_watcher_add_handler(), with a pidfd of the child that the caller has open already, as a
 * launcher has: the watcher takes it, also when it fails. It names a new child, so a handler that is
 * still there for the same pid belongs to one that is gone and lost.
 */
gboolean evp_pidfd_child_watcher_add_handler_with_pidfd (EvpPidfdChildWatcher *self,
                                                         GPid                  pid,
                                                         int                   pidfd,
                                                         EvpChildHandler      *handler,
                                                         GError              **error);
/*
 * Signals a watched child through its pidfd: 0 or an errno; ESRCH if it is dead, or not watched (any
 * more). Any thread.
 */
int      evp_pidfd_child_watcher_send_signal            (EvpPidfdChildWatcher *self,
                                                         GPid                  pid,
                                                         int                   signum);

G_END_DECLS
