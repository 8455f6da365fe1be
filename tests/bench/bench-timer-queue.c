/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The timer queue alone, in ns per timer: inserting, firing, and cancelling in random order, with
 * deadlines that are random whole milliseconds between 0 and 499. The heap, the wheel, and what the
 * library uses take turns; each figure is the median of the turns.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "evp/base/evp-clock-private.h"
#include "evp/handle/evp-timer-queue-private.h"

enum { INSERT, FIRE, CANCEL, TIMEOUT, N_FIGURES };
enum { HEAP, WHEEL, DEFAULT, N_KINDS };

#define MAX_TURNS 9

static const char *figure_names[] = { "insert", "fire", "cancel", "timeout" };

static EvpTimerQueue *
make_queue (guint kind)
{
  switch (kind)
    {
    case HEAP: return evp_timer_queue_new_with_heap_max (G_MAXUINT);
    case WHEEL: return evp_timer_queue_new_with_heap_max (0);
    default: return evp_timer_queue_new ();
    }
}

static void
fail (const char *what)
{
  fprintf (stderr, "bench-timer-queue: %s\n", what);
  exit (1);
}

static void
fill (EvpTimerQueue *queue,
      EvpHandle     *handles,
      const gint64  *delays,
      guint          n,
      gint64         now)
{
  for (guint i = 0; i < n; i++)
    {
      handles[i].when = now + delays[i];
      evp_timer_queue_insert (queue, &handles[i], now);
    }
}

/* ns per timer, summed over enough repetitions for the clock to matter little */
static void
measure (guint         kind,
         EvpHandle    *handles,
         const gint64 *delays,
         const guint  *order,
         guint         n,
         double        figures[N_FIGURES])
{
  guint n_repeats = MAX (1, 200000 / n);
  gint64 spent[N_FIGURES] = { 0 };
  gint64 start, now = evp_clock_get_time_ns ();
  EvpTimerQueue *queue = make_queue (kind);

  for (guint repeat = 0; repeat < n_repeats; repeat++)
    {
      gint64 previous = G_MININT64;
      guint n_fired = 0;

      start = evp_clock_get_time_ns ();
      fill (queue, handles, delays, n, now);
      spent[INSERT] += evp_clock_get_time_ns () - start;

      /* as a loop does: at each deadline, what is due */
      start = evp_clock_get_time_ns ();
      while (evp_timer_queue_get_size (queue) > 0)
        {
          now = MAX (now, evp_timer_queue_get_next (queue));
          for (EvpHandle *handle; (handle = evp_timer_queue_pop_due (queue, now)) != NULL; n_fired++)
            {
              if (handle->when < previous || handle->when > now)
                fail ("wrong order");
              previous = handle->when;
            }
        }
      spent[FIRE] += evp_clock_get_time_ns () - start;
      if (n_fired != n)
        fail ("timers were lost");

      fill (queue, handles, delays, n, now);
      start = evp_clock_get_time_ns ();
      for (guint i = 0; i < n; i++)
        evp_timer_queue_remove (queue, &handles[order[i]]);
      spent[CANCEL] += evp_clock_get_time_ns () - start;
      if (evp_timer_queue_get_size (queue) != 0)
        fail ("timers are left");
      now += 500 * EVP_NSEC_PER_MSEC;

      /* a timeout of 30 s is set and cancelled beside all the others */
      fill (queue, handles, delays, n, now);
      start = evp_clock_get_time_ns ();
      for (guint i = 0; i < n; i++)
        {
          EvpHandle timeout = { .when = now + i + 30 * EVP_NSEC_PER_SEC };

          evp_timer_queue_insert (queue, &timeout, now);
          evp_timer_queue_remove (queue, &timeout);
        }
      spent[TIMEOUT] += evp_clock_get_time_ns () - start;
      for (guint i = 0; i < n; i++)
        evp_timer_queue_remove (queue, &handles[i]);
    }
  evp_timer_queue_free (queue);
  for (guint i = 0; i < N_FIGURES; i++)
    figures[i] = (double) spent[i] / n_repeats / n;
}

static int
compare_doubles (gconstpointer a,
                 gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

static void
run (guint n)
{
  guint n_turns = n > 100000 ? 3 : MAX_TURNS;
  EvpHandle *handles = g_aligned_alloc0 (n, sizeof (EvpHandle), 64);
  gint64 *delays = g_new (gint64, n);
  guint *order = g_new (guint, n);
  double all[N_KINDS][N_FIGURES][MAX_TURNS];
  GRand *rand = g_rand_new_with_seed (42);

  for (guint i = 0; i < n; i++)
    {
      delays[i] = g_rand_int_range (rand, 0, 500) * EVP_NSEC_PER_MSEC;
      order[i] = i;
    }
  for (guint i = n; i > 1; i--)
    {
      guint other = (guint) g_rand_int_range (rand, 0, (gint32) i);
      guint swap = order[i - 1];

      order[i - 1] = order[other];
      order[other] = swap;
    }
  for (guint turn = 0; turn < n_turns; turn++)
    for (guint kind = 0; kind < N_KINDS; kind++)
      {
        double figures[N_FIGURES];

        measure (kind, handles, delays, order, n, figures);
        for (guint i = 0; i < N_FIGURES; i++)
          all[kind][i][turn] = figures[i];
      }
  for (guint i = 0; i < N_FIGURES; i++)
    {
      for (guint kind = 0; kind < N_KINDS; kind++)
        qsort (all[kind][i], n_turns, sizeof (double), compare_doubles);
      printf ("%-8s n=%-8u heap %7.1f ns   wheel %7.1f ns   used %7.1f ns\n", figure_names[i], n,
              all[HEAP][i][n_turns / 2], all[WHEEL][i][n_turns / 2], all[DEFAULT][i][n_turns / 2]);
    }
  g_rand_free (rand);
  g_free (order);
  g_free (delays);
  g_aligned_free (handles);
}

int
main (int   argc,
      char *argv[])
{
  static const guint sizes[] = { 10, 100, 1000, 20000, 1000000 };

  if (argc > 1)
    for (int i = 1; i < argc; i++)
      run ((guint) CLAMP (atoi (argv[i]), 1, 10000000));
  else
    for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
      run (sizes[i]);
  return 0;
}
