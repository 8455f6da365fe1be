/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/watcher/evp-abstract-child-watcher-private.h"
#include "evp/watcher/evp-base-child-watcher.h"
#include "evp/watcher/evp-watch-table-private.h"

G_BEGIN_DECLS

EvpWatchTable *evp_base_child_watcher_get_table (gpointer               self);
/* The slots, for subclasses that do more. */
gboolean       evp_base_child_watcher_attach    (gpointer               self,
                                                 EvpAbstractEventLoop  *loop,
                                                 GError               **error);
gboolean       evp_base_child_watcher_check_loop (gpointer              self,
                                                 EvpAbstractEventLoop  *loop,
                                                 GError               **error);
/* The same, for those whose loop has to be the main thread's. */
gboolean       evp_base_child_watcher_check_main_loop
                                                (gpointer               self,
                                                 EvpAbstractEventLoop  *loop,
                                                 GError               **error);
/*
 * For dispose(): FALSE if there is nothing to free, because this is a forked child; warns if
 * children were still watched.
 */
gboolean       evp_base_child_watcher_begin_dispose (gpointer           self);

G_END_DECLS
