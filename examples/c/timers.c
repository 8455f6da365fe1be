/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers: once, repeated, and cancelled. */

#include <evp/evp.h>

typedef struct
{
  EvpAbstractEventLoop *loop;
  double start;
  double when;
  int left;
} Ticker;

static void
tick (gpointer user_data)
{
  Ticker *ticker = user_data;
  g_autoptr (GError) error = NULL;

  g_print ("%.2f s: %d to go\n", evp_event_loop_time (ticker->loop) - ticker->start, ticker->left);
  if (ticker->left-- == 0)
    {
      evp_event_loop_stop (ticker->loop);
      return;
    }

  /* from the time it was due, not from now: so it does not drift */
  ticker->when += 0.05;
  if (evp_event_loop_call_at (ticker->loop, ticker->when, tick, ticker, NULL, &error) == NULL)
    {
      g_printerr ("%s\n", error->message);
      evp_event_loop_stop (ticker->loop);
    }
}

static void
never (gpointer user_data)
{
  g_print ("this is never printed\n");
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_event_loop (&error);
  EvpTimerHandle *forgotten;
  Ticker ticker;

  if (loop == NULL)
    goto out;
  ticker.loop = loop;
  ticker.start = ticker.when = evp_event_loop_time (loop);
  ticker.left = 4;
  if (evp_event_loop_call_at (loop, ticker.when, tick, &ticker, NULL, &error) == NULL)
    goto out;

  /* borrowed from the loop: to keep it for longer, take a reference */
  forgotten = evp_event_loop_call_later (loop, 0.1, never, NULL, NULL, &error);
  if (forgotten == NULL)
    goto out;
  evp_timer_handle_cancel (forgotten);

  if (evp_event_loop_run_forever (loop, &error))
    evp_event_loop_close (loop, &error);

out:
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
