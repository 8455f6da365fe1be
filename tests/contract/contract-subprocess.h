/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/watcher/evp-abstract-child-watcher.h"

G_BEGIN_DECLS

/*
 * What subprocesses promise whatever the child watcher and the loop are. Adds the cases
 * /evp/contract/sub-process/NAME/CASE; each makes a watcher and a loop of its own.
 */
void contract_subprocess_add (const char *name,
                              EvpAbstractChildWatcher *(*new_watcher) (void),
                              EvpAbstractEventLoop *(*new_loop) (GError **error));

G_END_DECLS
