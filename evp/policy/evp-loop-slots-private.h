/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/*
 * The current loops of one policy: one per thread, or one per main context.
 *
 * A slot belongs to the thread that filled it last and is emptied when that thread ends. When the policy
 * dies before, the slots of other threads are emptied by those threads, at their next look into any
 * policy, so that a loop is never released by a stranger. After fork() all slots count as never
 * used; the loops of the parent are forgotten but not released, since closing one here would
 * disturb what the parent still uses.
 */
typedef struct _EvpLoopSlots EvpLoopSlots;

EvpLoopSlots *evp_loop_slots_new    (void);
void          evp_loop_slots_free   (EvpLoopSlots *self);

/*
 * Whether a loop, or NULL, was ever stored for @context (NULL: for the calling thread); a reference
 * to what was stored in @loop. O(1), any thread.
 */
gboolean      evp_loop_slots_lookup (EvpLoopSlots          *self,
                                     GMainContext          *context,
                                     EvpAbstractEventLoop **loop);
/* Stores a reference to @loop (nullable). O(1), any thread. */
void          evp_loop_slots_store  (EvpLoopSlots         *self,
                                     GMainContext         *context,
                                     EvpAbstractEventLoop *loop);

/*
 * While a loop is made for a main context that exists already, the main thread's as a rule: a note
 * for the calling thread, on the caller's stack. new_event_loop() adopts that context.
 */
typedef struct _EvpLoopCreation EvpLoopCreation;

struct _EvpLoopCreation
{
  EvpLoopCreation *outer;
  gconstpointer policy;
  GMainContext *context;
};

void          evp_loop_creation_begin       (EvpLoopCreation *self,
                                             gconstpointer    policy,
                                             GMainContext    *context);
void          evp_loop_creation_end         (EvpLoopCreation *self);
/* Whether the calling thread is making a loop for @policy. */
gboolean      evp_loop_creation_is_active   (gconstpointer policy);
/* The main context that the loop being made has to adopt (borrowed), or NULL for one of its own. */
GMainContext *evp_loop_creation_get_context (void);

G_END_DECLS
