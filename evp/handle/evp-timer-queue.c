/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-timer-queue-private.h"

#include "evp/base/evp-clock-private.h"

/*
 * A heap with four children per node. Entries are inline, so that comparing does not touch the
 * handles: with a million timers nearly every access to a handle is a cache miss. The handle holds
 * its index, so that it can be taken out from anywhere.
 */

#define ARITY        4
#define MIN_CAPACITY 16

typedef struct
{
  gint64 when;
  guint64 seq;
  EvpHandle *handle;
} Entry;

struct _EvpTimerQueue
{
  Entry *entries;
  guint n_entries;
  guint capacity;
  guint64 seq; /* of the next insertion: equal times leave in the order in which they came */
};

static inline gboolean
entry_before (const Entry *a,
              const Entry *b)
{
  return a->when < b->when || (a->when == b->when && a->seq < b->seq);
}

static inline void
evp_timer_queue_place (EvpTimerQueue *self,
                       guint          index,
                       Entry          entry)
{
  self->entries[index] = entry;
  entry.handle->index = index;
}

static void
evp_timer_queue_sift_up (EvpTimerQueue *self,
                         guint          index,
                         Entry          entry)
{
  while (index > 0)
    {
      guint parent = (index - 1) / ARITY;

      if (!entry_before (&entry, &self->entries[parent]))
        break;
      evp_timer_queue_place (self, index, self->entries[parent]);
      index = parent;
    }
  evp_timer_queue_place (self, index, entry);
}

static void
evp_timer_queue_sift_down (EvpTimerQueue *self,
                           guint          index,
                           Entry          entry)
{
  for (;;)
    {
      gsize first = (gsize) index * ARITY + 1;
      guint best, last;

      if (first >= self->n_entries)
        break;
      best = (guint) first;
      last = (guint) MIN (first + ARITY, self->n_entries);
      for (guint child = best + 1; child < last; child++)
        if (entry_before (&self->entries[child], &self->entries[best]))
          best = child;
      if (!entry_before (&self->entries[best], &entry))
        break;
      evp_timer_queue_place (self, index, self->entries[best]);
      index = best;
    }
  evp_timer_queue_place (self, index, entry);
}

static void
evp_timer_queue_resize (EvpTimerQueue *self,
                        guint          capacity)
{
  self->entries = g_renew (Entry, self->entries, capacity);
  self->capacity = capacity;
}

static void
evp_timer_queue_take_out (EvpTimerQueue *self,
                          guint          index)
{
  Entry last;

  self->entries[index].handle->index = 0;
  last = self->entries[--self->n_entries];
  if (index < self->n_entries)
    {
      if (index > 0 && entry_before (&last, &self->entries[(index - 1) / ARITY]))
        evp_timer_queue_sift_up (self, index, last);
      else
        evp_timer_queue_sift_down (self, index, last);
    }
  /* a quarter, not a half: otherwise a size that moves around one limit would copy all the time */
  if (self->capacity > MIN_CAPACITY && self->n_entries < self->capacity / 4)
    evp_timer_queue_resize (self, self->capacity / 2);
}

EvpTimerQueue *
evp_timer_queue_new (void)
{
  return g_new0 (EvpTimerQueue, 1);
}

void
evp_timer_queue_free (EvpTimerQueue *self)
{
  g_free (self->entries);
  g_free (self);
}

void
evp_timer_queue_insert (EvpTimerQueue *self,
                        EvpHandle     *handle,
                        gint64         now)
{
  Entry entry = { handle->when, self->seq++, handle };

  if (self->n_entries == self->capacity)
    evp_timer_queue_resize (self, MAX (MIN_CAPACITY, self->capacity * 2));
  evp_timer_queue_sift_up (self, self->n_entries++, entry);
}

void
evp_timer_queue_remove (EvpTimerQueue *self,
                        EvpHandle     *handle)
{
  g_return_if_fail (handle->index < self->n_entries);
  g_return_if_fail (self->entries[handle->index].handle == handle);

  evp_timer_queue_take_out (self, handle->index);
}

EvpHandle *
evp_timer_queue_pop_due (EvpTimerQueue *self,
                         gint64         now)
{
  EvpHandle *handle;

  if (self->n_entries == 0 || self->entries[0].when > now)
    return NULL;
  handle = self->entries[0].handle;
  evp_timer_queue_take_out (self, 0);
  return handle;
}

EvpHandle *
evp_timer_queue_pop_any (EvpTimerQueue *self)
{
  EvpHandle *handle;

  if (self->n_entries == 0)
    return NULL;
  handle = self->entries[self->n_entries - 1].handle;
  evp_timer_queue_take_out (self, self->n_entries - 1);
  return handle;
}

gint64
evp_timer_queue_get_next (EvpTimerQueue *self)
{
  return self->n_entries > 0 ? self->entries[0].when : EVP_TIME_NEVER;
}

guint
evp_timer_queue_get_size (EvpTimerQueue *self)
{
  return self->n_entries;
}

gsize
evp_timer_queue_get_footprint (EvpTimerQueue *self)
{
  return sizeof (EvpTimerQueue) + self->capacity * sizeof (Entry);
}
