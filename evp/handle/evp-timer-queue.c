/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-timer-queue-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/handle/evp-timer-heap-private.h"
#include "evp/handle/evp-timer-wheel-private.h"

/*
 * Few timers are in the heap alone. When there are more than `heap_max` the wheel takes those that
 * are some way off, and the rest is in two places: in `due` what the wheel handed out last, sorted;
 * in the heap what came later and precedes the rest of the wheel. When only an eighth is left the heap
 * has them all again, and the memory of the wheel is returned.
 *
 * Where a handle is, its `next` tells: NULL in the heap, the queue itself in `due`, else in the wheel.
 */

/*
 * Up to here the heap costs half of the wheel where timers are cancelled again, as most timeouts are, and
 * twice as much where they fire. Changing over touches the wheel's memory for the first time, which is dear.
 */
#define HEAP_MAX 1024

struct _EvpTimerQueue
{
  EvpTimerHeap heap;
  EvpTimerWheel *wheel; /* NULL while there are few */
  EvpTimerEntry *due;   /* entries with a NULL handle were removed */
  guint due_position;   /* of the first that is left, if less than n_due */
  guint n_due;
  guint due_capacity;
  guint size;
  guint heap_max;
  guint64 seq; /* of the next insertion: equal times leave in the order in which they came */
};

static void
evp_timer_queue_start_wheel (EvpTimerQueue *self,
                             gint64         now)
{
  EvpTimerHeap old = self->heap;

  memset (&self->heap, 0, sizeof self->heap);
  self->wheel = evp_timer_wheel_new (now);
  for (guint i = 0; i < old.n_entries; i++)
    if (!evp_timer_wheel_insert (self->wheel, &old.entries[i], now))
      evp_timer_heap_insert (&self->heap, &old.entries[i]);
  evp_timer_heap_clear (&old);
}

static void
evp_timer_queue_stop_wheel (EvpTimerQueue *self)
{
  EvpTimerEntry entry;

  while (evp_timer_wheel_take_any (self->wheel, &entry))
    evp_timer_heap_insert (&self->heap, &entry);
  g_clear_pointer (&self->wheel, evp_timer_wheel_free);

  for (guint i = self->due_position; i < self->n_due; i++)
    if (self->due[i].handle != NULL)
      {
        self->due[i].handle->next = NULL;
        evp_timer_heap_insert (&self->heap, &self->due[i]);
      }
  g_clear_pointer (&self->due, g_free);
  self->due_position = self->n_due = self->due_capacity = 0;
}

static inline void
evp_timer_queue_shrunk (EvpTimerQueue *self)
{
  self->size--;
  if (self->wheel != NULL && self->size < self->heap_max / 8)
    evp_timer_queue_stop_wheel (self);
}

static inline void
evp_timer_queue_skip_removed (EvpTimerQueue *self)
{
  while (self->due_position < self->n_due && self->due[self->due_position].handle == NULL)
    self->due_position++;
}

static EvpHandle *
evp_timer_queue_pop_heap (EvpTimerQueue *self,
                          guint          index)
{
  EvpHandle *handle = self->heap.entries[index].handle;

  evp_timer_heap_remove (&self->heap, index);
  evp_timer_queue_shrunk (self);
  return handle;
}

static EvpHandle *
evp_timer_queue_pop_first_due (EvpTimerQueue *self)
{
  EvpHandle *handle = self->due[self->due_position++].handle;

  handle->next = NULL;
  evp_timer_queue_skip_removed (self);
  evp_timer_queue_shrunk (self);
  return handle;
}

/* Gets the next timers from the wheel if their time has come. */
static gboolean
evp_timer_queue_refill (EvpTimerQueue *self,
                        gint64         now)
{
  enum { AHEAD = 16 };
  guint n = evp_timer_wheel_take_due (self->wheel, now, &self->due, &self->due_capacity);

  for (guint i = 0; i < MIN (n, AHEAD); i++)
    __builtin_prefetch (self->due[i].handle, 1);
  for (guint i = 0; i < n; i++)
    {
      if (i + AHEAD < n)
        __builtin_prefetch (self->due[i + AHEAD].handle, 1);
      self->due[i].handle->next = (EvpHandle *) self;
      self->due[i].handle->index = i;
    }
  self->due_position = 0;
  self->n_due = n;
  return n > 0;
}

EvpTimerQueue *
evp_timer_queue_new (void)
{
  return evp_timer_queue_new_with_heap_max (HEAP_MAX);
}

EvpTimerQueue *
evp_timer_queue_new_with_heap_max (guint heap_max)
{
  EvpTimerQueue *self = g_new0 (EvpTimerQueue, 1);

  self->heap_max = heap_max;
  return self;
}

void
evp_timer_queue_free (EvpTimerQueue *self)
{
  evp_timer_heap_clear (&self->heap);
  g_clear_pointer (&self->wheel, evp_timer_wheel_free);
  g_free (self->due);
  g_free (self);
}

void
evp_timer_queue_insert (EvpTimerQueue *self,
                        EvpHandle     *handle,
                        gint64         now)
{
  EvpTimerEntry entry = { handle->when, self->seq++, handle };

  if (self->wheel == NULL && self->size >= self->heap_max)
    evp_timer_queue_start_wheel (self, now);
  self->size++;
  if (self->wheel != NULL && evp_timer_wheel_insert (self->wheel, &entry, now))
    return;
  handle->next = NULL;
  evp_timer_heap_insert (&self->heap, &entry);
}

void
evp_timer_queue_remove (EvpTimerQueue *self,
                        EvpHandle     *handle)
{
  if (handle->next == NULL)
    {
      g_return_if_fail (handle->index < self->heap.n_entries);
      g_return_if_fail (self->heap.entries[handle->index].handle == handle);

      evp_timer_heap_remove (&self->heap, handle->index);
    }
  else if (handle->next == (EvpHandle *) self)
    {
      self->due[handle->index].handle = NULL;
      handle->next = NULL;
      evp_timer_queue_skip_removed (self);
    }
  else
    evp_timer_wheel_remove (self->wheel, handle);
  evp_timer_queue_shrunk (self);
}

EvpHandle *
evp_timer_queue_pop_due (EvpTimerQueue *self,
                         gint64         now)
{
  const EvpTimerEntry *due;

  if (self->due_position == self->n_due)
    {
      if (self->heap.n_entries > 0)
        return self->heap.entries[0].when <= now ? evp_timer_queue_pop_heap (self, 0) : NULL;
      if (self->wheel == NULL || !evp_timer_queue_refill (self, now))
        return NULL;
    }

  due = &self->due[self->due_position];
  if (self->heap.n_entries > 0 && evp_timer_entry_before (&self->heap.entries[0], due))
    return self->heap.entries[0].when <= now ? evp_timer_queue_pop_heap (self, 0) : NULL;
  return due->when <= now ? evp_timer_queue_pop_first_due (self) : NULL;
}

EvpHandle *
evp_timer_queue_pop_any (EvpTimerQueue *self)
{
  EvpTimerEntry entry;

  if (self->due_position < self->n_due)
    return evp_timer_queue_pop_first_due (self);
  if (self->heap.n_entries > 0)
    return evp_timer_queue_pop_heap (self, self->heap.n_entries - 1);
  if (self->wheel == NULL || !evp_timer_wheel_take_any (self->wheel, &entry))
    return NULL;
  evp_timer_queue_shrunk (self);
  return entry.handle;
}

gint64
evp_timer_queue_get_next (EvpTimerQueue *self)
{
  gint64 next = EVP_TIME_NEVER;

  if (self->due_position < self->n_due)
    next = self->due[self->due_position].when;
  if (self->heap.n_entries > 0)
    return MIN (next, self->heap.entries[0].when);
  if (self->due_position == self->n_due && self->wheel != NULL)
    return evp_timer_wheel_get_next (self->wheel);
  return next;
}

guint
evp_timer_queue_get_size (EvpTimerQueue *self)
{
  return self->size;
}

gsize
evp_timer_queue_get_footprint (EvpTimerQueue *self)
{
  return sizeof (EvpTimerQueue) +
         (self->heap.capacity + self->due_capacity) * sizeof (EvpTimerEntry) +
         (self->wheel != NULL ? evp_timer_wheel_get_footprint (self->wheel) : 0);
}
