/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/policy/evp-abstract-event-loop-policy.h"

G_BEGIN_DECLS

/*
 * Complains loudly if the table of @type is no longer what the class filled in. A subclass that
 * does not add the interface itself shares its parent's table, and a language may write an override
 * straight into it, which would change every other policy of that class. Called by the instance
 * initialiser of each derivable class.
 */
void evp_event_loop_policy_check_table (GType                                      type,
                                        const EvpAbstractEventLoopPolicyInterface *filled_in);

G_END_DECLS
