/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/policy/evp-abstract-event-loop-policy.h"

G_BEGIN_DECLS

/*
 * Fills in what the policies for Windows have in common where there is no Windows: no loops, and nowhere
 * child watchers.
 */
void evp_windows_event_loop_policy_fill_in (EvpAbstractEventLoopPolicyInterface *iface);

G_END_DECLS
