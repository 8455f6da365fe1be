/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/watcher/evp-abstract-child-watcher.h"

G_BEGIN_DECLS

/*
 * What subprocesses promise whatever the child watcher is. Adds the cases
 * /evp/contract/sub-process/NAME/CASE; each makes a watcher of its own.
 */
void contract_subprocess_add (const char *name,
                              EvpAbstractChildWatcher *(*new_watcher) (void));

G_END_DECLS
