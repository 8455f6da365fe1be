/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/policy/evp-base-event-loop-policy.h"

G_BEGIN_DECLS

typedef EvpAbstractChildWatcher *(*EvpMakeChildWatcher) (EvpBaseEventLoopPolicy *self,
                                                         GError                **error);

/* How the default child watcher is made; set once, by the instance initialiser of a subclass. */
void evp_base_event_loop_policy_set_make_child_watcher (EvpBaseEventLoopPolicy *self,
                                                        EvpMakeChildWatcher     make);

/* Whether a loop, or NULL, was ever stored for a place; see below. */
gboolean              evp_base_event_loop_policy_lookup_loop (EvpBaseEventLoopPolicy *self,
                                                              GMainContext           *place,
                                                              EvpAbstractEventLoop  **loop);

/*
 * The loop of a place: of the main context @place, or of the calling thread if that is NULL. A loop
 * that is missing is made, as the property says, if @adopt is not NULL, and lives in that context.
 */
EvpAbstractEventLoop *evp_base_event_loop_policy_find_loop (EvpBaseEventLoopPolicy *self,
                                                            GMainContext           *place,
                                                            GMainContext           *adopt,
                                                            GError                **error);

/* Stores the loop of a place, and attaches the child watcher, if there is one, when @attach. */
gboolean              evp_base_event_loop_policy_store_loop (EvpBaseEventLoopPolicy *self,
                                                             GMainContext           *place,
                                                             EvpAbstractEventLoop   *loop,
                                                             gboolean                attach,
                                                             GError                **error);

G_END_DECLS
