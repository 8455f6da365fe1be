/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-timer-wheel-private.h"

#include "evp/base/evp-clock-private.h"

/*
 * A hierarchical wheel. Time is cut into ticks of 2^20 ns, about a millisecond, and tick numbers are
 * read as eight digits of six bits. Each level has 64 slots, one per value of its digit. A timer is
 * on the level of the highest digit in which its tick differs from `base`, in the slot of that
 * digit's value. So everything on one level precedes everything on the levels above, the first
 * occupied slot of the lowest occupied level has the next timer, and two bit masks find it.
 *
 * When a slot of level 0 is reached it is handed out, sorted. When a slot of a higher level is, its
 * timers move down, with `base` at the start of that slot. What must hold:
 *
 * - `base` is the start of a slot and moves only forward, and only to a slot that is reached, or to
 *   the current tick if no occupied slot starts before that. It is not the end of the slot handed out
 *   last: that could carry into a higher digit, and new timers would be put on lower levels than older
 *   ones of the same slot, and overtake them. That end is `near`.
 * - Every timer's tick is at or after `near`; what is before is not for the wheel.
 * - Each slot knows its minimum, so that the next deadline is known without moving timers down early.
 *   Removing may leave it too early, never too late: that costs one vain look, after which it is exact.
 *
 * A slot is a list of chunks of entries in order of arrival. Removing empties the entry and leaves a
 * hole. Holes at the end of a chunk are used again at once, an empty chunk is unlinked at once, so a
 * timer that is set and removed over and over leaves nothing; what holes remain between live entries
 * is bounded by compacting.
 */

#define TICK_BITS      20
#define DIGIT_BITS     6
#define N_LEVELS       8
#define N_SLOTS        (1 << DIGIT_BITS)
#define CHUNK_ENTRIES  20
#define MAX_HOLES      4096 /* more than the live entries */
#define MAX_SPARE      16   /* free chunks, more than those in use */
#define SORT_RUN       8

G_STATIC_ASSERT (TICK_BITS + N_LEVELS * DIGIT_BITS >= 64);

typedef struct _Chunk Chunk;

struct _Chunk
{
  Chunk *next; /* also of the list of free chunks */
  Chunk *previous;
  guint16 slot; /* level * N_SLOTS + slot */
  guint16 n_used;
  guint16 n_live; /* never 0 in a slot */
  EvpTimerEntry entries[CHUNK_ENTRIES];
};

typedef struct
{
  Chunk *first;
  Chunk *last;
  gint64 min;
} Slot;

struct _EvpTimerWheel
{
  guint64 base; /* a tick */
  guint64 near; /* a tick: base, or the one after if the slot of base was handed out */
  guint levels; /* bit mask of levels with an occupied slot */
  guint64 occupied[N_LEVELS];
  gsize n_live;
  gsize n_holes;
  gsize n_chunks; /* in slots */
  gsize n_free;
  Chunk *free;
  EvpTimerEntry *scratch; /* for sorting */
  guint scratch_capacity;
  Slot slots[N_LEVELS * N_SLOTS];
};

/* Ticks are counted from the least time there is, so they are never negative. */
static inline guint64
tick_of (gint64 when)
{
  return ((guint64) when ^ (G_GUINT64_CONSTANT (1) << 63)) >> TICK_BITS;
}

static Chunk *
evp_timer_wheel_acquire_chunk (EvpTimerWheel *self)
{
  Chunk *chunk = self->free;

  if (chunk != NULL)
    {
      self->free = chunk->next;
      self->n_free--;
    }
  else
    chunk = g_new (Chunk, 1);
  self->n_chunks++;
  return chunk;
}

/* Spares are kept in proportion to what is in use, so that memory shrinks after a peak. */
static void
evp_timer_wheel_release_chunk (EvpTimerWheel *self,
                               Chunk         *chunk)
{
  chunk->next = self->free;
  self->free = chunk;
  self->n_free++;
  self->n_chunks--;
  while (self->n_free > self->n_chunks + MAX_SPARE)
    {
      chunk = self->free;
      self->free = chunk->next;
      self->n_free--;
      g_free (chunk);
    }
}

static inline void
evp_timer_wheel_mark_empty (EvpTimerWheel *self,
                            guint          slot)
{
  guint level = slot / N_SLOTS;

  self->occupied[level] &= ~(G_GUINT64_CONSTANT (1) << slot % N_SLOTS);
  if (self->occupied[level] == 0)
    self->levels &= ~(1U << level);
}

static void
evp_timer_wheel_unlink_chunk (EvpTimerWheel *self,
                              Chunk         *chunk)
{
  Slot *slot = &self->slots[chunk->slot];

  if (chunk->previous != NULL)
    chunk->previous->next = chunk->next;
  else
    slot->first = chunk->next;
  if (chunk->next != NULL)
    chunk->next->previous = chunk->previous;
  else
    slot->last = chunk->previous;
  if (slot->first == NULL)
    evp_timer_wheel_mark_empty (self, chunk->slot);
  evp_timer_wheel_release_chunk (self, chunk);
}

/* Puts an entry where it belongs as seen from `base`; its tick is not before `near`. */
static inline void
evp_timer_wheel_place (EvpTimerWheel       *self,
                       const EvpTimerEntry *entry)
{
  guint64 tick = tick_of (entry->when);
  guint64 difference = tick ^ self->base;
  guint level = difference == 0 ? 0 : (guint) (63 - __builtin_clzll (difference)) / DIGIT_BITS;
  guint digit = (guint) (tick >> level * DIGIT_BITS) % N_SLOTS;
  guint index = level * N_SLOTS + digit;
  Slot *slot = &self->slots[index];
  Chunk *chunk = slot->last;

  if (chunk == NULL || chunk->n_used == CHUNK_ENTRIES)
    {
      chunk = evp_timer_wheel_acquire_chunk (self);
      chunk->next = NULL;
      chunk->previous = slot->last;
      chunk->slot = (guint16) index;
      chunk->n_used = 0;
      chunk->n_live = 0;
      if (slot->last != NULL)
        slot->last->next = chunk;
      else
        {
          slot->first = chunk;
          slot->min = entry->when;
          self->occupied[level] |= G_GUINT64_CONSTANT (1) << digit;
          self->levels |= 1U << level;
        }
      slot->last = chunk;
    }
  if (entry->when < slot->min)
    slot->min = entry->when;
  entry->handle->next = (EvpHandle *) chunk;
  entry->handle->index = chunk->n_used;
  chunk->entries[chunk->n_used++] = *entry;
  chunk->n_live++;
}

/* Empties a slot; its chunks are the caller's to release, and their entries and holes to count. */
static Chunk *
evp_timer_wheel_detach (EvpTimerWheel *self,
                        guint          slot)
{
  Chunk *chunks = self->slots[slot].first;

  self->slots[slot].first = NULL;
  self->slots[slot].last = NULL;
  evp_timer_wheel_mark_empty (self, slot);
  return chunks;
}

/* Places the entries of a detached slot anew. */
static void
evp_timer_wheel_replace (EvpTimerWheel *self,
                         Chunk         *chunks)
{
  while (chunks != NULL)
    {
      Chunk *chunk = chunks;

      /* all handles are written to: fetch them together instead of one after the other */
      for (guint i = 0; i < chunk->n_used; i++)
        __builtin_prefetch (chunk->entries[i].handle, 1);
      self->n_holes -= chunk->n_used - chunk->n_live;
      for (guint i = 0; i < chunk->n_used; i++)
        if (chunk->entries[i].handle != NULL)
          evp_timer_wheel_place (self, &chunk->entries[i]);
      chunks = chunk->next;
      evp_timer_wheel_release_chunk (self, chunk);
    }
}

static void
evp_timer_wheel_compact (EvpTimerWheel *self)
{
  for (guint level = 0; level < N_LEVELS; level++)
    for (guint64 left = self->occupied[level]; left != 0; left &= left - 1)
      {
        guint slot = level * N_SLOTS + (guint) __builtin_ctzll (left);

        evp_timer_wheel_replace (self, evp_timer_wheel_detach (self, slot));
      }
}

/* A stable merge sort, as the entries often are in order already, or in a few runs. */
static void
evp_timer_wheel_sort (EvpTimerWheel *self,
                      EvpTimerEntry *entries,
                      guint          n)
{
  EvpTimerEntry *from = entries, *to;

  for (guint start = 0; start < n; start += SORT_RUN)
    {
      guint end = MIN (start + SORT_RUN, n);

      for (guint i = start + 1; i < end; i++)
        {
          EvpTimerEntry entry = entries[i];
          guint j = i;

          for (; j > start && evp_timer_entry_before (&entry, &entries[j - 1]); j--)
            entries[j] = entries[j - 1];
          entries[j] = entry;
        }
    }
  if (n <= SORT_RUN)
    return;

  if (self->scratch_capacity < n || self->scratch_capacity / 8 > n)
    {
      g_free (self->scratch);
      self->scratch = g_new (EvpTimerEntry, n);
      self->scratch_capacity = n;
    }
  to = self->scratch;
  for (guint width = SORT_RUN; width < n; width *= 2)
    {
      EvpTimerEntry *swap;

      for (guint start = 0; start < n; start += 2 * width)
        {
          guint middle = MIN (start + width, n);
          guint end = MIN (start + 2 * width, n);
          guint left = start, right = middle, out = start;

          if (middle < end && evp_timer_entry_before (&from[middle], &from[middle - 1]))
            while (left < middle && right < end)
              {
                gboolean take_right = evp_timer_entry_before (&from[right], &from[left]);

                to[out++] = from[take_right ? right : left];
                right += (guint) take_right;
                left += (guint) !take_right;
              }
          memcpy (&to[out], &from[left], (middle - left) * sizeof (EvpTimerEntry));
          out += middle - left;
          memcpy (&to[out], &from[right], (end - right) * sizeof (EvpTimerEntry));
        }
      swap = from;
      from = to;
      to = swap;
    }
  if (from != entries)
    memcpy (entries, from, n * sizeof (EvpTimerEntry));
}

/* Hands out a slot of level 0. */
static guint
evp_timer_wheel_take_slot (EvpTimerWheel  *self,
                           guint           slot,
                           EvpTimerEntry **entries,
                           guint          *capacity)
{
  Chunk *chunks = evp_timer_wheel_detach (self, slot);
  gboolean sorted = TRUE;
  guint n = 0;

  for (Chunk *chunk = chunks; chunk != NULL; chunk = chunk->next)
    n += chunk->n_live;
  if (*capacity < n || *capacity / 8 > n)
    {
      g_free (*entries);
      *capacity = MAX (n, CHUNK_ENTRIES);
      *entries = g_new (EvpTimerEntry, *capacity);
    }
  self->n_live -= n;
  n = 0;
  while (chunks != NULL)
    {
      Chunk *chunk = chunks;

      for (guint i = 0; i < chunk->n_used; i++)
        if (chunk->entries[i].handle != NULL)
          {
            (*entries)[n] = chunk->entries[i];
            if (n > 0 && evp_timer_entry_before (&(*entries)[n], &(*entries)[n - 1]))
              sorted = FALSE;
            n++;
          }
      self->n_holes -= chunk->n_used - chunk->n_live;
      chunks = chunk->next;
      evp_timer_wheel_release_chunk (self, chunk);
    }
  if (!sorted)
    evp_timer_wheel_sort (self, *entries, n);
  return n;
}

/* The slot of the next timer; the wheel is not empty. */
static inline guint
evp_timer_wheel_get_first_slot (EvpTimerWheel *self)
{
  guint level = (guint) __builtin_ctz (self->levels);

  return level * N_SLOTS + (guint) __builtin_ctzll (self->occupied[level]);
}

static inline guint64
evp_timer_wheel_get_slot_start (EvpTimerWheel *self,
                                guint          slot)
{
  guint level = slot / N_SLOTS;
  guint64 above = self->base >> (level + 1) * DIGIT_BITS << (level + 1) * DIGIT_BITS;

  return above | (guint64) (slot % N_SLOTS) << level * DIGIT_BITS;
}

static inline void
evp_timer_wheel_move_base (EvpTimerWheel *self,
                           guint64        tick)
{
  if (tick > self->base)
    {
      self->base = tick;
      self->near = tick;
    }
}

EvpTimerWheel *
evp_timer_wheel_new (gint64 now)
{
  EvpTimerWheel *self = g_new0 (EvpTimerWheel, 1);

  self->base = self->near = tick_of (now);
  return self;
}

void
evp_timer_wheel_free (EvpTimerWheel *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->slots); i++)
    for (Chunk *chunk = self->slots[i].first, *next; chunk != NULL; chunk = next)
      {
        next = chunk->next;
        g_free (chunk);
      }
  for (Chunk *chunk = self->free, *next; chunk != NULL; chunk = next)
    {
      next = chunk->next;
      g_free (chunk);
    }
  g_free (self->scratch);
  g_free (self);
}

gboolean
evp_timer_wheel_insert (EvpTimerWheel       *self,
                        const EvpTimerEntry *entry,
                        gint64               now)
{
  if (self->n_live == 0)
    evp_timer_wheel_move_base (self, tick_of (now));
  if (tick_of (entry->when) < self->near)
    return FALSE;
  evp_timer_wheel_place (self, entry);
  self->n_live++;
  return TRUE;
}

void
evp_timer_wheel_remove (EvpTimerWheel *self,
                        EvpHandle     *handle)
{
  Chunk *chunk = (Chunk *) handle->next;
  guint index = handle->index;

  chunk->entries[index].handle = NULL;
  handle->next = NULL;
  self->n_live--;
  self->n_holes++;
  if (--chunk->n_live == 0)
    {
      self->n_holes -= chunk->n_used;
      evp_timer_wheel_unlink_chunk (self, chunk);
      return;
    }
  /* the last entry is never a hole; only look when it was this one, as a look is a cache miss */
  if (index == chunk->n_used - 1U)
    while (chunk->entries[chunk->n_used - 1].handle == NULL)
      {
        chunk->n_used--;
        self->n_holes--;
      }
  if (self->n_holes > self->n_live + MAX_HOLES)
    evp_timer_wheel_compact (self);
}

guint
evp_timer_wheel_take_due (EvpTimerWheel  *self,
                          gint64          now,
                          EvpTimerEntry **entries,
                          guint          *capacity)
{
  while (self->levels != 0)
    {
      guint slot = evp_timer_wheel_get_first_slot (self);
      guint64 start = evp_timer_wheel_get_slot_start (self, slot);

      if (self->slots[slot].min > now)
        {
          if (start > tick_of (now))
            evp_timer_wheel_move_base (self, tick_of (now));
          return 0;
        }
      evp_timer_wheel_move_base (self, start);
      if (slot < N_SLOTS)
        {
          self->near = start + 1;
          return evp_timer_wheel_take_slot (self, slot, entries, capacity);
        }
      evp_timer_wheel_replace (self, evp_timer_wheel_detach (self, slot));
    }
  evp_timer_wheel_move_base (self, tick_of (now));
  return 0;
}

gboolean
evp_timer_wheel_take_any (EvpTimerWheel *self,
                          EvpTimerEntry *entry)
{
  Chunk *chunk;

  if (self->levels == 0)
    return FALSE;
  chunk = self->slots[evp_timer_wheel_get_first_slot (self)].last;
  *entry = chunk->entries[chunk->n_used - 1];
  evp_timer_wheel_remove (self, entry->handle);
  return TRUE;
}

gint64
evp_timer_wheel_get_next (EvpTimerWheel *self)
{
  return self->levels != 0 ? self->slots[evp_timer_wheel_get_first_slot (self)].min : EVP_TIME_NEVER;
}

gsize
evp_timer_wheel_get_footprint (EvpTimerWheel *self)
{
  return sizeof (EvpTimerWheel) + (self->n_chunks + self->n_free) * sizeof (Chunk) +
         self->scratch_capacity * sizeof (EvpTimerEntry);
}
