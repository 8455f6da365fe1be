/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-timer-queue-private.h"

#include "evp/base/evp-clock-private.h"
#include "support/evp-test-support.h"

#define MSEC EVP_NSEC_PER_MSEC
#define SEC  EVP_NSEC_PER_SEC
#define HOUR (3600 * SEC)
#define YEAR (G_GINT64_CONSTANT (8766) * HOUR)

/* where the virtual clock of most tests starts: an odd time, like any real one */
#define START (G_GINT64_CONSTANT (987654321) * MSEC + 123457)

static void
check_empty (EvpTimerQueue *queue)
{
  g_assert_cmpuint (evp_timer_queue_get_size (queue), ==, 0);
  g_assert_cmpint (evp_timer_queue_get_next (queue), ==, EVP_TIME_NEVER);
  g_assert_null (evp_timer_queue_pop_due (queue, G_MAXINT64));
  g_assert_null (evp_timer_queue_pop_any (queue));
}

/* Inserts handles[0…n) with the given times. */
static EvpHandle *
insert_all (EvpTimerQueue *queue,
            const gint64  *whens,
            guint          n,
            gint64         now)
{
  EvpHandle *handles = g_new0 (EvpHandle, n);

  for (guint i = 0; i < n; i++)
    {
      handles[i].when = whens[i];
      evp_timer_queue_insert (queue, &handles[i], now);
    }
  g_assert_cmpuint (evp_timer_queue_get_size (queue), ==, n);
  return handles;
}

static void
shuffle (guint *order,
         guint  n)
{
  for (guint i = 0; i < n; i++)
    order[i] = i;
  for (guint i = n; i > 1; i--)
    {
      guint other = (guint) g_test_rand_int_range (0, (gint32) i);
      guint swap = order[i - 1];

      order[i - 1] = order[other];
      order[other] = swap;
    }
}

static gint64
rand_64 (void)
{
  return (gint64) ((guint64) (guint32) g_test_rand_int () << 32 | (guint32) g_test_rand_int ());
}

/* 0 … below − 1 */
static gint64
rand_below (gint64 below)
{
  return (gint64) ((guint64) rand_64 () % (guint64) below);
}

static gint64
add_clamped (gint64 a,
             gint64 b)
{
  if (b > 0 && a > G_MAXINT64 - b)
    return G_MAXINT64;
  if (b < 0 && a < G_MININT64 - b)
    return G_MININT64;
  return a + b;
}

static void
test_empty (void)
{
  EvpTimerQueue *queue = evp_timer_queue_new ();

  check_empty (queue);
  evp_timer_queue_free (queue);
}

/* Rules: C-7 */
static void
test_equal_times (void)
{
  static const guint sizes[] = { 2, 5, 100, 1000, 20000 };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    {
      EvpTimerQueue *queue = evp_timer_queue_new ();
      guint n = sizes[s];
      EvpHandle *handles = g_new0 (EvpHandle, 2 * n);

      /* two times, interleaved: each keeps its own order */
      for (guint i = 0; i < 2 * n; i++)
        {
          handles[i].when = START + (i % 2 == 0 ? 7 : 3) * MSEC;
          evp_timer_queue_insert (queue, &handles[i], START);
        }
      for (guint i = 0; i < n; i++)
        g_assert_true (evp_timer_queue_pop_due (queue, START + 10 * MSEC) == &handles[2 * i + 1]);
      for (guint i = 0; i < n; i++)
        g_assert_true (evp_timer_queue_pop_due (queue, START + 10 * MSEC) == &handles[2 * i]);
      check_empty (queue);
      evp_timer_queue_free (queue);
      g_free (handles);
    }
}

/* Rules: C-7, C-10 */
static void
test_ascending (void)
{
  static const gint64 whens[] = {
    START + 50, START - 1, START + 50 * MSEC, START + 51, START - HOUR, START,
  };
  static const guint order[] = { 4, 1, 5, 0, 3, 2 };
  EvpTimerQueue *queue = evp_timer_queue_new ();
  EvpHandle *handles = insert_all (queue, whens, G_N_ELEMENTS (whens), START);

  g_assert_cmpint (evp_timer_queue_get_next (queue), <=, START - HOUR);
  g_assert_null (evp_timer_queue_pop_due (queue, START - HOUR - 1));
  for (guint i = 0; i < G_N_ELEMENTS (order); i++)
    {
      g_assert_cmpint (evp_timer_queue_get_next (queue), <=, handles[order[i]].when);
      g_assert_true (evp_timer_queue_pop_due (queue, START + HOUR) == &handles[order[i]]);
    }
  check_empty (queue);
  evp_timer_queue_free (queue);
  g_free (handles);
}

/* Rules: C-9 */
static void
test_extremes (void)
{
  static const gint64 nows[] = { G_MININT64, G_MININT64 + 1, -1, 0, START, G_MAXINT64 - 1, G_MAXINT64 };

  for (guint n = 0; n < G_N_ELEMENTS (nows); n++)
    {
      gint64 whens[2000];
      gint64 previous = G_MININT64;
      EvpTimerQueue *queue = evp_timer_queue_new ();
      EvpHandle *handles;

      for (guint i = 0; i < G_N_ELEMENTS (whens); i++)
        switch (i % 6)
          {
          case 0: whens[i] = G_MAXINT64; break;
          case 1: whens[i] = G_MININT64; break;
          case 2: whens[i] = G_MAXINT64 - i; break;
          case 3: whens[i] = G_MININT64 + i; break;
          case 4: whens[i] = add_clamped (nows[n], i); break;
          default: whens[i] = 0; break;
          }
      handles = insert_all (queue, whens, G_N_ELEMENTS (whens), nows[n]);
      g_assert_cmpint (evp_timer_queue_get_next (queue), ==, G_MININT64);

      /* never means never: not one nanosecond before the end of time */
      for (EvpHandle *handle; (handle = evp_timer_queue_pop_due (queue, G_MAXINT64 - 1)) != NULL;)
        {
          g_assert_cmpint (handle->when, >=, previous);
          g_assert_cmpint (handle->when, <, G_MAXINT64);
          previous = handle->when;
        }
      g_assert_cmpint (evp_timer_queue_get_next (queue), ==, EVP_TIME_NEVER);
      g_assert_cmpuint (evp_timer_queue_get_size (queue), >=, G_N_ELEMENTS (whens) / 6);
      previous = 0;
      for (EvpHandle *handle; (handle = evp_timer_queue_pop_due (queue, G_MAXINT64)) != NULL; previous++)
        g_assert_cmpint (handle->when, ==, G_MAXINT64);
      g_assert_cmpint (previous, >=, G_N_ELEMENTS (whens) / 6);
      check_empty (queue);
      evp_timer_queue_free (queue);
      g_free (handles);
    }
}

/* Rules: C-7, C-9, C-10 */
static void
test_far_future (void)
{
  gint64 whens[3000];
  gint64 now = START;
  guint n_fired = 0;
  EvpTimerQueue *queue = evp_timer_queue_new ();
  EvpHandle *handles;

  for (guint i = 0; i < G_N_ELEMENTS (whens); i++)
    {
      gint64 span = i % 3 == 0 ? 100 * YEAR : i % 3 == 1 ? YEAR : HOUR;

      whens[i] = START + 1 + rand_below (span);
    }
  handles = insert_all (queue, whens, G_N_ELEMENTS (whens), START);

  /* driven by its own deadlines: each is exact, as nothing is cancelled */
  while (evp_timer_queue_get_size (queue) > 0)
    {
      gint64 next = evp_timer_queue_get_next (queue);
      guint before = n_fired;

      g_assert_cmpint (next, >, now);
      g_assert_null (evp_timer_queue_pop_due (queue, next - 1));
      now = next;
      for (EvpHandle *handle; (handle = evp_timer_queue_pop_due (queue, now)) != NULL; n_fired++)
        g_assert_cmpint (handle->when, ==, now);
      g_assert_cmpuint (n_fired, >, before);
    }
  g_assert_cmpuint (n_fired, ==, G_N_ELEMENTS (whens));
  check_empty (queue);
  evp_timer_queue_free (queue);
  g_free (handles);
}

/* A week of timers that start again, each with its own interval, as in a busy service. */
/* Rules: C-7 */
static void
test_week (void)
{
  const gboolean slow = evp_test_is_slow (); /* the week's first day is as busy */
  const gint64 end = START + (slow ? 1 : 7) * 24 * HOUR;
  guint n = 1000;
  EvpTimerQueue *queue = evp_timer_queue_new ();
  EvpHandle *handles = g_new0 (EvpHandle, n);
  gint64 *intervals = g_new (gint64, n);
  guint64 n_fired = 0, expected = 0;
  gint64 now = START;

  for (guint i = 0; i < n; i++)
    {
      intervals[i] = HOUR + rand_below (48 * HOUR);
      handles[i].when = now + intervals[i];
      expected += (guint64) ((end - now) / intervals[i]);
      evp_timer_queue_insert (queue, &handles[i], now);
    }
  for (;;)
    {
      gint64 next = evp_timer_queue_get_next (queue);

      g_assert_cmpint (next, >, now);
      if (next > end)
        break;
      now = next;
      for (EvpHandle *handle; (handle = evp_timer_queue_pop_due (queue, now)) != NULL; n_fired++)
        {
          g_assert_cmpint (handle->when, ==, now);
          handle->when += intervals[handle - handles];
          evp_timer_queue_insert (queue, handle, now);
        }
    }
  g_assert_cmpuint (n_fired, ==, expected);
  g_assert_cmpuint (evp_timer_queue_get_size (queue), ==, n);
  evp_timer_queue_free (queue);
  g_free (intervals);
  g_free (handles);
}

/* A week of a busy service: millions of timers of all lengths, most of them cancelled in time. */
/* Rules: C-6, C-7, C-10, C-17 */
static void
test_busy_week (void)
{
  enum { N_SLOTS = 20000, N_EACH = 30 };
  const gboolean slow = evp_test_is_slow (); /* the week's first day is as busy */
  const gint64 end = START + (slow ? 1 : 7) * 24 * HOUR;
  EvpTimerQueue *queue = evp_timer_queue_new ();
  EvpHandle *handles = g_new0 (EvpHandle, N_SLOTS);
  guint64 *seqs = g_new0 (guint64, N_SLOTS); /* order of insertion; 0: not in the queue */
  guint64 seq = 0, n_fired = 0, n_cancelled = 0, n_left = 0;
  gint64 now = START;

  while (now < end)
    {
      gint64 previous = G_MININT64;
      guint64 previous_seq = 0;

      for (guint i = 0; i < N_EACH; i++)
        {
          guint slot = (guint) rand_below (N_SLOTS);
          static const gint64 spans[] = { SEC, 30 * SEC, 30 * SEC, HOUR, 72 * HOUR };

          if (seqs[slot] != 0)
            {
              evp_timer_queue_remove (queue, &handles[slot]);
              n_cancelled++;
            }
          handles[slot].when = now + rand_below (spans[rand_below (G_N_ELEMENTS (spans))]);
          if (i % 3 == 0) /* many at the same time */
            handles[slot].when -= handles[slot].when % SEC;
          evp_timer_queue_insert (queue, &handles[slot], now);
          seqs[slot] = ++seq;
        }
      now += rand_below (12 * SEC);
      for (EvpHandle *handle; (handle = evp_timer_queue_pop_due (queue, now)) != NULL; n_fired++)
        {
          guint slot = (guint) (handle - handles);

          g_assert_cmpint (handle->when, <=, now);
          g_assert_cmpint (handle->when, >=, previous);
          if (handle->when == previous)
            g_assert_cmpuint (seqs[slot], >, previous_seq);
          g_assert_cmpuint (seqs[slot], !=, 0);
          previous = handle->when;
          previous_seq = seqs[slot];
          seqs[slot] = 0;
        }
      g_assert_cmpint (evp_timer_queue_get_next (queue), >, now);
      if (rand_below (1000) == 0)
        for (guint slot = 0; slot < N_SLOTS; slot++)
          g_assert_true (seqs[slot] == 0 || handles[slot].when > now);
    }
  for (guint slot = 0; slot < N_SLOTS; slot++)
    n_left += seqs[slot] != 0;
  g_assert_cmpuint (evp_timer_queue_get_size (queue), ==, n_left);
  g_assert_cmpuint (n_fired + n_cancelled + n_left, ==, seq);
  g_assert_cmpuint (seq, >, slow ? 200000 : 1000000);
  evp_timer_queue_free (queue);
  g_free (seqs);
  g_free (handles);
}

/* Rules: C-17, C-18, C-19 */
static void
test_cancel_all (void)
{
  guint n = evp_test_is_slow () ? 20000 : 100000;
  EvpTimerQueue *queue = evp_timer_queue_new ();
  gsize idle = evp_timer_queue_get_footprint (queue);
  EvpHandle *handles = g_new0 (EvpHandle, n);
  guint *order = g_new (guint, n);

  for (guint round = 0; round < 3; round++)
    {
      gint64 now = START + round * HOUR;

      for (guint i = 0; i < n; i++)
        {
          handles[i].when = now + rand_below (round == 0 ? 500 : 1000000) * MSEC;
          evp_timer_queue_insert (queue, &handles[i], now);
        }
      shuffle (order, n);
      for (guint i = 0; i < n; i++)
        {
          evp_timer_queue_remove (queue, &handles[order[i]]);
          g_assert_cmpuint (evp_timer_queue_get_size (queue), ==, n - i - 1);
          /* a cancelled one is not kept anywhere, whatever happens to its memory */
          memset (&handles[order[i]], 0xaa, sizeof (EvpHandle));
          if (i % 1000 == 0)
            g_assert_null (evp_timer_queue_pop_due (queue, now - 1));
        }
      check_empty (queue);
      g_assert_cmpuint (evp_timer_queue_get_footprint (queue), <=, idle + 16384);
    }
  evp_timer_queue_free (queue);
  g_free (order);
  g_free (handles);
}

/* The deadline of a cancelled timer is not slept for, once it was looked at. */
/* Rules: C-19 */
static void
test_cancelled_deadline (void)
{
  static const guint sizes[] = { 1, 10, 5000 };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    {
      guint n = sizes[s];
      EvpTimerQueue *queue = evp_timer_queue_new ();
      EvpHandle *handles = g_new0 (EvpHandle, n);
      EvpHandle first = { .when = START + MSEC };

      for (guint i = 0; i < n; i++)
        {
          handles[i].when = START + HOUR + (gint64) i * MSEC;
          evp_timer_queue_insert (queue, &handles[i], START);
        }
      evp_timer_queue_insert (queue, &first, START);
      g_assert_cmpint (evp_timer_queue_get_next (queue), ==, first.when);
      evp_timer_queue_remove (queue, &first);
      g_assert_cmpint (evp_timer_queue_get_next (queue), ==, START + HOUR);
      evp_timer_queue_free (queue);
      g_free (handles);
    }
}

/* "30 s timeout, cancelled at once", alone and beside others: no memory is kept for the dead. */
/* Rules: C-17, C-18 */
static void
test_timeout_pattern (void)
{
  static const guint backgrounds[] = { 0, 10, 1000, 20000 };
  const guint n = evp_test_is_slow () ? 50000 : 300000;

  for (guint b = 0; b < G_N_ELEMENTS (backgrounds); b++)
    {
      guint n_background = backgrounds[b], n_open = 100;
      EvpTimerQueue *queue = evp_timer_queue_new ();
      EvpHandle *background = g_new0 (EvpHandle, n_background);
      EvpHandle *open = g_new0 (EvpHandle, n_open);
      gint64 now = START;
      gsize footprint, limit;

      for (guint i = 0; i < n_background; i++)
        {
          background[i].when = now + 10 * HOUR + rand_below (HOUR);
          evp_timer_queue_insert (queue, &background[i], now);
        }
      for (guint i = 0; i < n_open; i++)
        {
          open[i].when = now + 30 * SEC;
          evp_timer_queue_insert (queue, &open[i], now);
        }
      footprint = evp_timer_queue_get_footprint (queue);
      limit = 2 * footprint + 2 * 4096 * 24 + 65536;
      for (guint i = 0; i < n; i++)
        {
          EvpHandle *handle = &open[g_test_rand_bit () ? i % n_open : (guint) rand_below (n_open)];

          evp_timer_queue_remove (queue, handle);
          now += 10000;
          handle->when = now + 30 * SEC;
          evp_timer_queue_insert (queue, handle, now);
          g_assert_null (i % 16 == 0 ? evp_timer_queue_pop_due (queue, now) : NULL);
          g_assert_cmpuint (evp_timer_queue_get_footprint (queue), <=, limit);
        }
      g_assert_cmpuint (evp_timer_queue_get_size (queue), ==, n_background + n_open);
      for (guint i = 0; i < n_background + n_open; i++)
        g_assert_nonnull (evp_timer_queue_pop_due (queue, now + 12 * HOUR));
      check_empty (queue);
      evp_timer_queue_free (queue);
      g_free (background);
      g_free (open);
    }
}

/* One of ten lives on: the holes that the others leave are bounded, and the order stays right. */
/* Rules: C-17, C-18 */
static void
test_holes (void)
{
  guint n = 100000, n_left = 0;
  EvpTimerQueue *queue = evp_timer_queue_new ();
  EvpHandle *handles = g_new0 (EvpHandle, n);
  gint64 previous = G_MININT64;
  gsize peak;

  for (guint i = 0; i < n; i++)
    {
      handles[i].when = START + rand_below (i % 2 == 0 ? 500 : 500000) * MSEC;
      evp_timer_queue_insert (queue, &handles[i], START);
    }
  peak = evp_timer_queue_get_footprint (queue);
  for (guint i = 0; i < n; i++)
    if (i % 10 != 0)
      evp_timer_queue_remove (queue, &handles[i]);
  g_assert_cmpuint (evp_timer_queue_get_size (queue), ==, n / 10);
  /* twice what lives, 4,096 holes, and as much again of free memory */
  g_assert_cmpuint (evp_timer_queue_get_footprint (queue), <, peak * 6 / 10);
  for (EvpHandle *handle; (handle = evp_timer_queue_pop_due (queue, G_MAXINT64)) != NULL; n_left++)
    {
      g_assert_cmpint (handle->when, >=, previous);
      g_assert_cmpuint ((guint) (handle - handles) % 10, ==, 0);
      previous = handle->when;
    }
  g_assert_cmpuint (n_left, ==, n / 10);
  check_empty (queue);
  evp_timer_queue_free (queue);
  g_free (handles);
}

static void
check_memory_shrinks (EvpTimerQueue *queue)
{
  guint n = 200000;
  gsize idle = evp_timer_queue_get_footprint (queue);
  EvpHandle *handles = g_new0 (EvpHandle, n);
  gsize peak;

  for (guint i = 0; i < n; i++)
    {
      handles[i].when = START + rand_below (500) * MSEC;
      evp_timer_queue_insert (queue, &handles[i], START);
    }
  peak = evp_timer_queue_get_footprint (queue);
  g_assert_cmpuint (peak, >, n * sizeof (gpointer));
  while (evp_timer_queue_get_size (queue) > n / 100)
    g_assert_nonnull (evp_timer_queue_pop_due (queue, START + HOUR));
  g_assert_cmpuint (evp_timer_queue_get_footprint (queue), <, peak / 10);
  while (evp_timer_queue_get_size (queue) > 0)
    g_assert_nonnull (evp_timer_queue_pop_due (queue, START + HOUR));
  g_assert_cmpuint (evp_timer_queue_get_footprint (queue), <, idle + peak / 50);
  check_empty (queue);
  evp_timer_queue_free (queue);
  g_free (handles);
}

static void
test_memory_shrinks (void)
{
  check_memory_shrinks (evp_timer_queue_new ());
  check_memory_shrinks (evp_timer_queue_new_with_heap_max (G_MAXUINT));
  check_memory_shrinks (evp_timer_queue_new_with_heap_max (0));
}

/* All in one millisecond, some fired, some cancelled: the few that are left can still be cancelled. */
/* Rules: C-7, C-17 */
static void
test_shrink_while_firing (void)
{
  guint n = 2000;

  for (guint n_left = 1; n_left < n; n_left += 1 + n_left / 8)
    {
      EvpTimerQueue *queue = evp_timer_queue_new ();
      EvpHandle *handles = g_new0 (EvpHandle, n);

      for (guint i = 0; i < n; i++)
        {
          handles[i].when = START + MSEC + i / 4;
          evp_timer_queue_insert (queue, &handles[i], START);
        }
      for (guint i = 0; i < n / 2; i++)
        g_assert_true (evp_timer_queue_pop_due (queue, handles[i].when) == &handles[i]);
      for (guint i = n / 2; i < n - n_left; i++)
        evp_timer_queue_remove (queue, &handles[i]);
      for (guint i = MAX (n / 2, n - n_left); i < n; i++)
        if (i % 2 == 0)
          evp_timer_queue_remove (queue, &handles[i]);
        else
          g_assert_true (evp_timer_queue_pop_due (queue, handles[i].when) == &handles[i]);
      check_empty (queue);
      evp_timer_queue_free (queue);
      g_free (handles);
    }
}

static void
test_pop_any (void)
{
  static const guint sizes[] = { 1, 7, 100, 5000 };

  for (guint s = 0; s < G_N_ELEMENTS (sizes); s++)
    {
      guint n = sizes[s];
      EvpTimerQueue *queue = evp_timer_queue_new ();
      EvpHandle *handles = g_new0 (EvpHandle, n);
      g_autofree gboolean *seen = g_new0 (gboolean, n);

      for (guint i = 0; i < n; i++)
        {
          handles[i].when = i % 50 == 0 ? G_MAXINT64 : START + rand_below (HOUR) - 60 * SEC;
          evp_timer_queue_insert (queue, &handles[i], START);
        }
      /* in the middle of firing, some due, some not */
      for (guint i = 0; i < n / 100; i++)
        {
          EvpHandle *handle = evp_timer_queue_pop_due (queue, START + HOUR / 2);

          g_assert_nonnull (handle);
          seen[handle - handles] = TRUE;
        }
      for (EvpHandle *handle; (handle = evp_timer_queue_pop_any (queue)) != NULL;)
        {
          g_assert_false (seen[handle - handles]);
          seen[handle - handles] = TRUE;
        }
      for (guint i = 0; i < n; i++)
        g_assert_true (seen[i]);
      check_empty (queue);
      evp_timer_queue_free (queue);
      g_free (handles);
    }
}

/* A queue that is freed forgets what is in it, and does not touch it. */
static void
test_free_with_timers (void)
{
  EvpTimerQueue *queue = evp_timer_queue_new ();
  EvpHandle *handles = g_new0 (EvpHandle, 3000);

  for (guint i = 0; i < 3000; i++)
    {
      handles[i].when = START + rand_below (SEC);
      evp_timer_queue_insert (queue, &handles[i], START);
    }
  for (guint i = 0; i < 100; i++)
    g_assert_nonnull (evp_timer_queue_pop_due (queue, START + SEC));
  g_free (handles);
  evp_timer_queue_free (queue);
}

/*
 * The model: all timers in one array, looked through from end to end.
 */
typedef struct
{
  EvpTimerQueue *queue;
  gint64 now;
  guint64 seq;
  GPtrArray *live; /* of ModelTimer */
} Model;

typedef struct
{
  EvpHandle handle; /* first */
  guint64 seq;
  guint position; /* in model->live */
} ModelTimer;

static gint64
model_random_when (Model *model)
{
  switch (g_test_rand_int_range (0, 16))
    {
    case 0: return model->now;
    case 1: return add_clamped (model->now, -rand_below (SEC));
    case 2: return add_clamped (model->now, rand_below (100));
    case 3: return add_clamped (model->now, rand_below (3 * MSEC));
    case 4: return add_clamped (model->now, rand_below (100) * MSEC);
    case 5: return add_clamped (model->now, rand_below (70 * MSEC));
    case 6: return add_clamped (model->now, rand_below (5 * SEC));
    case 7: return add_clamped (model->now, 30 * SEC);
    case 8: return add_clamped (model->now, rand_below (HOUR));
    case 9: return add_clamped (model->now, rand_below (YEAR));
    /* around the limits of binary digits */
    case 10:
    case 11:
      {
        guint bits = (guint) g_test_rand_int_range (18, 50);
        gint64 limit = ((model->now >> bits) + 1) * (gint64) (G_GUINT64_CONSTANT (1) << bits);

        return add_clamped (limit, g_test_rand_int_range (-2, 3));
      }
    /* the same time as another one */
    case 12:
    case 13:
      if (model->live->len > 0)
        return ((ModelTimer *) model->live->pdata[rand_below (model->live->len)])->handle.when;
      return model->now + MSEC;
    case 14:
      return add_clamped (model->now, (gint64) 1 << g_test_rand_int_range (0, 62));
    default:
      switch (g_test_rand_int_range (0, 6))
        {
        case 0: return G_MININT64;
        case 1: return G_MAXINT64;
        case 2: return G_MAXINT64 - rand_below (1000);
        default: return add_clamped (model->now, rand_below (500) * MSEC);
        }
    }
}

static void
model_insert (Model *model)
{
  ModelTimer *timer = g_new0 (ModelTimer, 1);

  timer->handle.when = model_random_when (model);
  timer->seq = model->seq++;
  timer->position = model->live->len;
  g_ptr_array_add (model->live, timer);
  evp_timer_queue_insert (model->queue, &timer->handle, model->now);
}

static void
model_forget (Model      *model,
              ModelTimer *timer)
{
  g_assert_true (model->live->pdata[timer->position] == timer);
  g_ptr_array_remove_index_fast (model->live, timer->position);
  if (timer->position < model->live->len)
    ((ModelTimer *) model->live->pdata[timer->position])->position = timer->position;
  g_free (timer); /* at once: the sanitizer sees whether the queue looks at it again */
}

static ModelTimer *
model_first (Model *model)
{
  ModelTimer *best = NULL;

  for (guint i = 0; i < model->live->len; i++)
    {
      ModelTimer *timer = model->live->pdata[i];

      if (best == NULL || timer->handle.when < best->handle.when ||
          (timer->handle.when == best->handle.when && timer->seq < best->seq))
        best = timer;
    }
  return best;
}

static void
model_cancel (Model *model)
{
  ModelTimer *timer;

  if (model->live->len == 0)
    return;
  switch (g_test_rand_int_range (0, 4))
    {
    case 0: timer = model->live->pdata[model->live->len - 1]; break;
    case 1: timer = model_first (model); break;
    default: timer = model->live->pdata[rand_below (model->live->len)]; break;
    }
  evp_timer_queue_remove (model->queue, &timer->handle);
  model_forget (model, timer);
}

static void
model_check (Model *model)
{
  ModelTimer *first = model_first (model);

  g_assert_cmpuint (evp_timer_queue_get_size (model->queue), ==, model->live->len);
  if (first != NULL)
    g_assert_cmpint (evp_timer_queue_get_next (model->queue), <=, first->handle.when);
  else
    g_assert_cmpint (evp_timer_queue_get_next (model->queue), ==, EVP_TIME_NEVER);
}

/* Fires what is due, sometimes with other things in between, as callbacks would do. */
static void
model_fire (Model *model,
            guint  limit)
{
  while (limit-- > 0)
    {
      ModelTimer *first = model_first (model);
      EvpHandle *handle = evp_timer_queue_pop_due (model->queue, model->now);

      if (handle == NULL)
        {
          g_assert_true (first == NULL || first->handle.when > model->now);
          break;
        }
      g_assert_true (handle == &first->handle);
      model_forget (model, first);
      if (g_test_rand_int_range (0, 20) == 0)
        model_insert (model);
      if (g_test_rand_int_range (0, 20) == 0)
        model_cancel (model);
    }
}

static void
model_advance (Model *model)
{
  gint64 next;

  switch (g_test_rand_int_range (0, 12))
    {
    case 0: break;
    case 1: model->now = add_clamped (model->now, rand_below (1000)); break;
    case 2: model->now = add_clamped (model->now, rand_below (MSEC)); break;
    case 3: model->now = add_clamped (model->now, rand_below (20 * MSEC)); break;
    case 4: model->now = add_clamped (model->now, rand_below (SEC)); break;
    case 5:
      if (g_test_rand_int_range (0, 5) == 0)
        model->now = add_clamped (model->now, rand_below (200 * SEC));
      break;
    case 6:
      if (g_test_rand_int_range (0, 50) == 0)
        model->now = add_clamped (model->now, rand_below (30 * 24 * HOUR));
      break;
    case 7:
      {
        guint bits = (guint) g_test_rand_int_range (18, 28);

        model->now = add_clamped (((model->now >> bits) + 1) * ((gint64) 1 << bits),
                                  g_test_rand_int_range (-1, 2));
        break;
      }
    default:
      /* the usual case: sleep until the next deadline */
      next = evp_timer_queue_get_next (model->queue);
      if (next != EVP_TIME_NEVER && next < add_clamped (model->now, 1000 * SEC))
        model->now = MAX (model->now, next);
      break;
    }
}

/* Sleeps from deadline to deadline until nothing is left: a stale one may cost a look, never a spin. */
static void
model_drain (Model *model)
{
  guint n_vain = 0;
  guint limit = 16 * model->live->len + 64;

  while (model->live->len > 0)
    {
      guint before = model->live->len;

      model->now = MAX (model->now, evp_timer_queue_get_next (model->queue));
      for (;;)
        {
          ModelTimer *first = model_first (model);
          EvpHandle *handle = evp_timer_queue_pop_due (model->queue, model->now);

          if (handle == NULL)
            {
              g_assert_true (first == NULL || first->handle.when > model->now);
              break;
            }
          g_assert_true (handle == &first->handle);
          model_forget (model, first);
        }
      model_check (model);
      if (model->live->len == before)
        g_assert_cmpuint (++n_vain, <, limit);
    }
}

static void
run_model (EvpTimerQueue *queue,
           guint          target,
           guint          n_steps,
           gint64         start)
{
  Model model = { .queue = queue, .now = start, .live = g_ptr_array_new () };
  gboolean growing = TRUE;

  for (guint step = 0; step < n_steps; step++)
    {
      int what = g_test_rand_int_range (0, 10);

      if (model.live->len > target)
        growing = FALSE;
      else if (model.live->len < target / 16 + 1)
        growing = TRUE;

      if (what < (growing ? 6 : 3))
        model_insert (&model);
      else if (what < (growing ? 7 : 6))
        model_cancel (&model);
      else if (what < 9)
        {
          model_advance (&model);
          /* sometimes time passes without a look at the timers, or not all are taken */
          if (g_test_rand_int_range (0, 4) != 0)
            model_fire (&model, g_test_rand_int_range (0, 4) == 0 ? 3 : G_MAXUINT);
        }
      else
        model_check (&model);
    }
  model_fire (&model, G_MAXUINT);
  model_drain (&model);
  check_empty (model.queue);
  evp_timer_queue_free (model.queue);
  g_ptr_array_unref (model.live);
}

static void
run_models (EvpTimerQueue *(*make_queue) (void))
{
  static const guint targets[] = { 3, 40, 150, 450, 1500 };

  for (guint t = 0; t < G_N_ELEMENTS (targets); t++)
    for (guint round = 0; round < 4; round++)
      {
        gint64 start;

        switch (round)
          {
          case 0: start = 0; break;
          case 1: start = -rand_below (HOUR); break;
          case 2: start = (rand_64 () & 0xffffffff) << 20; break;
          default: start = START; break;
          }
        run_model (make_queue (), targets[t], 6000, start);
      }
}

static EvpTimerQueue *
make_heap (void)
{
  return evp_timer_queue_new_with_heap_max (G_MAXUINT);
}

static EvpTimerQueue *
make_wheel (void)
{
  return evp_timer_queue_new_with_heap_max (0);
}

/* goes back and forth between the two all the time */
static EvpTimerQueue *
make_mixed (void)
{
  return evp_timer_queue_new_with_heap_max ((guint) g_test_rand_int_range (1, 400));
}

/* Rules: C-7, C-10, C-17, C-19 */
static void
test_model (void)
{
  run_models (evp_timer_queue_new);
}

/* Rules: C-7, C-10, C-17, C-19 */
static void
test_model_heap (void)
{
  run_models (make_heap);
}

/* Rules: C-7, C-10, C-17, C-19 */
static void
test_model_wheel (void)
{
  run_models (make_wheel);
}

/* Rules: C-7, C-10, C-17, C-19 */
static void
test_model_mixed (void)
{
  run_models (make_mixed);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/handle/timer-queue/empty", test_empty);
  g_test_add_func ("/evp/handle/timer-queue/equal-times", test_equal_times);
  g_test_add_func ("/evp/handle/timer-queue/ascending", test_ascending);
  g_test_add_func ("/evp/handle/timer-queue/extremes", test_extremes);
  g_test_add_func ("/evp/handle/timer-queue/far-future", test_far_future);
  g_test_add_func ("/evp/handle/timer-queue/week", test_week);
  g_test_add_func ("/evp/handle/timer-queue/busy-week", test_busy_week);
  g_test_add_func ("/evp/handle/timer-queue/cancel-all", test_cancel_all);
  g_test_add_func ("/evp/handle/timer-queue/cancelled-deadline", test_cancelled_deadline);
  g_test_add_func ("/evp/handle/timer-queue/timeout-pattern", test_timeout_pattern);
  g_test_add_func ("/evp/handle/timer-queue/holes", test_holes);
  g_test_add_func ("/evp/handle/timer-queue/memory-shrinks", test_memory_shrinks);
  g_test_add_func ("/evp/handle/timer-queue/shrink-while-firing", test_shrink_while_firing);
  g_test_add_func ("/evp/handle/timer-queue/pop-any", test_pop_any);
  g_test_add_func ("/evp/handle/timer-queue/free-with-timers", test_free_with_timers);
  g_test_add_func ("/evp/handle/timer-queue/model", test_model);
  g_test_add_func ("/evp/handle/timer-queue/model-heap", test_model_heap);
  g_test_add_func ("/evp/handle/timer-queue/model-wheel", test_model_wheel);
  g_test_add_func ("/evp/handle/timer-queue/model-mixed", test_model_mixed);

  return g_test_run ();
}
