/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/* What the running slot of this thread held before; for putting it back. */
typedef struct
{
  EvpAbstractEventLoop *loop;
  guint generation;
} EvpRunningLoop;

/* The loop now running in this thread, borrowed; NULL if there is none, or it is from before a fork(). */
EvpAbstractEventLoop *evp_running_loop_get  (void);
EvpRunningLoop        evp_running_loop_push (EvpAbstractEventLoop *loop);
void                  evp_running_loop_pop  (EvpRunningLoop        previous);

G_END_DECLS
