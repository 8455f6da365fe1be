/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-timer-heap-private.h"

#define ARITY        4
#define MIN_CAPACITY 16
#define BIG_CAPACITY 1024 /* the next one: six pages, of which few timers touch one */

static inline void
evp_timer_heap_place (EvpTimerHeap        *self,
                      guint                index,
                      const EvpTimerEntry *entry)
{
  self->entries[index] = *entry;
  entry->handle->index = index;
}

static void
evp_timer_heap_sift_up (EvpTimerHeap *self,
                        guint         index,
                        EvpTimerEntry entry)
{
  while (index > 0)
    {
      guint parent = (index - 1) / ARITY;

      if (!evp_timer_entry_before (&entry, &self->entries[parent]))
        break;
      evp_timer_heap_place (self, index, &self->entries[parent]);
      index = parent;
    }
  evp_timer_heap_place (self, index, &entry);
}

static void
evp_timer_heap_sift_down (EvpTimerHeap *self,
                          guint         index,
                          EvpTimerEntry entry)
{
  for (;;)
    {
      gsize first = (gsize) index * ARITY + 1;
      guint best, end;

      if (first >= self->n_entries)
        break;
      best = (guint) first;
      end = (guint) MIN (first + ARITY, self->n_entries);
      for (guint child = best + 1; child < end; child++)
        if (evp_timer_entry_before (&self->entries[child], &self->entries[best]))
          best = child;
      if (!evp_timer_entry_before (&self->entries[best], &entry))
        break;
      evp_timer_heap_place (self, index, &self->entries[best]);
      index = best;
    }
  evp_timer_heap_place (self, index, &entry);
}

static void
evp_timer_heap_resize (EvpTimerHeap *self,
                       guint         capacity)
{
  self->entries = g_renew (EvpTimerEntry, self->entries, capacity);
  self->capacity = capacity;
}

void
evp_timer_heap_insert (EvpTimerHeap        *self,
                       const EvpTimerEntry *entry)
{
  /* by far: what is not used yet is no memory yet, but what is copied elsewhere is touched twice */
  if (self->n_entries == self->capacity)
    evp_timer_heap_resize (self, self->capacity == 0 ? MIN_CAPACITY : MAX (BIG_CAPACITY, self->capacity * 4));
  evp_timer_heap_sift_up (self, self->n_entries++, *entry);
}

void
evp_timer_heap_remove (EvpTimerHeap *self,
                       guint         index)
{
  EvpTimerEntry last;

  self->entries[index].handle->index = 0;
  last = self->entries[--self->n_entries];
  if (index < self->n_entries)
    {
      if (index > 0 && evp_timer_entry_before (&last, &self->entries[(index - 1) / ARITY]))
        evp_timer_heap_sift_up (self, index, last);
      else
        evp_timer_heap_sift_down (self, index, last);
    }
  /* at a quarter, not a half: otherwise a size that moves around one limit would copy all the time */
  if (self->capacity > MIN_CAPACITY && self->n_entries < self->capacity / 4)
    evp_timer_heap_resize (self, self->capacity / 2);
}

void
evp_timer_heap_clear (EvpTimerHeap *self)
{
  g_clear_pointer (&self->entries, g_free);
  self->n_entries = 0;
  self->capacity = 0;
}
