/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-task-private.h"
#include "evp/process/evp-subprocess.h"

G_BEGIN_DECLS

EvpSubprocess        *evp_subprocess_new          (EvpAbstractEventLoop    *loop);
EvpAbstractEventLoop *evp_subprocess_get_loop     (EvpSubprocess           *self);
/* Takes the parent's ends, -1 for none; they must be in non-blocking mode. */
void                  evp_subprocess_take_pipes   (EvpSubprocess           *self,
                                                   int                      stdin_fd,
                                                   int                      stdout_fd,
                                                   int                      stderr_fd);
/*
 * Takes @pidfd (-1 for none) and registers the child. The watcher may report its end before this
 * returns; it stays a secret until evp_subprocess_announce().
 */
gboolean              evp_subprocess_watch        (EvpSubprocess           *self,
                                                   EvpAbstractChildWatcher *watcher,
                                                   GPid                     pid,
                                                   int                      pidfd,
                                                   GError                 **error);
/* From now on the end of the child is published, in a callback of its own at the earliest. */
void                  evp_subprocess_announce     (EvpSubprocess           *self);
/*
 * For a child that was never announced and that no watcher will reap: removes it from @watcher (if it is
 * there), kills it and waits for the little time that this takes.
 */
void                  evp_subprocess_discard      (EvpSubprocess           *self,
                                                   EvpAbstractChildWatcher *watcher);

G_END_DECLS
