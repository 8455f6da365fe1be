/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-core-private.h"

G_BEGIN_DECLS

/* The single GSource that joins a loop and its main context. */
void     evp_loop_source_attach (EvpLoopCore *core);
void     evp_loop_source_detach (EvpLoopCore *core);
/* The loop's thread changed what to wait for from outside a turn, or another thread did: look again. */
GPollFD *evp_loop_source_add_fd    (EvpLoopCore *core,
                                    int          fd,
                                    GIOCondition condition);
void     evp_loop_source_remove_fd (EvpLoopCore *core,
                                    GPollFD     *tag);

/*
 * (transfer full) (nullable): a loop of this library that lives in @context. From any thread; what is done with the
 * loop belongs to its own. O(n) in the number of loops.
 */
EvpAbstractEventLoop *
             evp_loop_source_find_loop (GMainContext   *context);

G_END_DECLS
