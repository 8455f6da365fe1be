/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/os/evp-os-fd-private.h"
#include "evp/watcher/evp-pidfd-child-watcher.h"

G_BEGIN_DECLS

/*
 * Like evp_child_watcher_add_handler(), with a pidfd of the child that the caller has open already, as a
 * launcher has. It names a new child, so a handler that is still there for the same pid belongs to one
 * that is gone and lost.
 */
gboolean evp_pidfd_child_watcher_add_handler_with_pidfd (EvpPidfdChildWatcher *self,
                                                         GPid                  pid,
                                                         EvpSharedFd          *pidfd,
                                                         EvpChildHandler      *handler,
                                                         GError              **error);

G_END_DECLS
