/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/process/evp-subprocess.h"

G_BEGIN_DECLS

/*
 * Starts a child that @watcher will watch. All errors come out of the finish function, where the caller
 * gets the child too. @error (transfer full) (nullable): a failure to be reported instead, for callers
 * that have got no watcher; @watcher may be NULL then.
 */
void           evp_subprocess_launch_async  (EvpAbstractEventLoop    *loop,
                                             EvpAbstractChildWatcher *watcher,
                                             const char * const      *argv,
                                             EvpSubprocessOptions    *options,
                                             GError                  *error,
                                             GCancellable            *cancellable,
                                             GAsyncReadyCallback      callback,
                                             gpointer                 user_data);
EvpSubprocess *evp_subprocess_launch_finish (EvpAbstractEventLoop    *loop,
                                             GAsyncResult            *result,
                                             GError                 **error);

G_END_DECLS
