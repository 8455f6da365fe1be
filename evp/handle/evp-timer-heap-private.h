/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/handle/evp-handle-private.h"

G_BEGIN_DECLS

/*
 * What the structures of the timer queue hold. It repeats the time, so that comparing does not touch
 * the handles: with a million timers nearly every access to a handle is a cache miss.
 */
typedef struct
{
  gint64 when;
  guint64 seq; /* order of insertion */
  EvpHandle *handle;
} EvpTimerEntry;

static inline gboolean
evp_timer_entry_before (const EvpTimerEntry *a,
                        const EvpTimerEntry *b)
{
  return a->when < b->when || (a->when == b->when && a->seq < b->seq);
}

/*
 * A heap with four children per node; entries[0] is the first. A handle in it holds its index, and
 * NULL as `next`. An all zero heap is empty.
 */
typedef struct
{
  EvpTimerEntry *entries;
  guint n_entries;
  guint capacity;
} EvpTimerHeap;

void evp_timer_heap_insert (EvpTimerHeap        *self,
                            const EvpTimerEntry *entry);
void evp_timer_heap_remove (EvpTimerHeap        *self,
                            guint                index);
void evp_timer_heap_clear  (EvpTimerHeap        *self);

G_END_DECLS
