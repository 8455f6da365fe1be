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

G_END_DECLS
