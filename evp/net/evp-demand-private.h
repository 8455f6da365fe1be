/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/*
 * Something waits in a socket, and nobody wants it. Whether that has changed cannot be told by an event: GObject
 * does not say that a handler was connected. So a source asks before each sleep of the loop's main context:
 * whatever connected it was called by that context. Nothing wakes it up to ask. A loop without a main context
 * has to look now and then.
 */
typedef struct _EvpDemand EvpDemand;

typedef struct
{
  gboolean (*wanted) (gpointer data);
  /* in a callback of the loop's thread, once; stop it then */
  void     (*resume) (gpointer data);
} EvpDemandFuncs;

/* @destroy is called for @data when it is stopped. On the loop's thread. */
EvpDemand *evp_demand_start (EvpAbstractEventLoop *loop,
                             const EvpDemandFuncs *funcs,
                             gpointer              data,
                             GDestroyNotify        destroy);
/* May be called for NULL, and for one that is over. */
void       evp_demand_stop  (EvpDemand           **demand);

G_END_DECLS
