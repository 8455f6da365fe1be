/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/policy/evp-default-event-loop-policy.h"

G_BEGIN_DECLS

/* Makes @type the only loop type; for the instance initialiser of a subclass. */
void evp_default_event_loop_policy_fix_loop_type (EvpDefaultEventLoopPolicy *self,
                                                  GType                      type);

/* What new_event_loop() does, for a given type. */
EvpAbstractEventLoop *evp_default_event_loop_policy_make_loop (EvpDefaultEventLoopPolicy *self,
                                                               GType                      type,
                                                               GError                   **error);

/*
 * EVP_TYPE_PROACTOR_EVENT_LOOP, or G_TYPE_INVALID while no such class is part of the process; then
 * new_event_loop() says so.
 */
GType evp_default_event_loop_policy_get_proactor_loop_type (void);

G_END_DECLS
