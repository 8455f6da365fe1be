/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/watcher/evp-abstract-child-watcher.h"

G_BEGIN_DECLS

/*
 * A binding that knows no better writes a subclass's slots into the table that it shares with its parent,
 * and so changes every object of the parent's class. Each derivable class keeps what its
 * iface_init() made, and asks in its instance init whether that is still there.
 */
void evp_child_watcher_check_table (GType                                   type,
                                    const EvpAbstractChildWatcherInterface *expected);

G_END_DECLS
