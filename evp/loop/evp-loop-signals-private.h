/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-core-private.h"

G_BEGIN_DECLS

/* The signal handlers of one loop; made with the first, gone with the last. */
typedef struct _EvpLoopSignals EvpLoopSignals;

gboolean evp_loop_signals_add     (EvpLoopCore    *core,
                                   int             signum,
                                   EvpHandle      *handle,
                                   GError        **error);
gboolean evp_loop_signals_remove  (EvpLoopCore    *core,
                                   int             signum);
/* Whether the main context's poll saw a signal. */
gboolean evp_loop_signals_polled  (EvpLoopSignals *self);
/* Queues what has arrived. */
void     evp_loop_signals_collect (EvpLoopSignals *self);
void     evp_loop_signals_free    (EvpLoopSignals *self);

G_END_DECLS
