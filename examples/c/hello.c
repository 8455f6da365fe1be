/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smallest program: a callback, a timer, and a loop that runs until it is stopped. */

#include <evp/evp.h>

static void
say_hello (gpointer user_data)
{
  g_print ("hello\n");
}

static void
say_goodbye (gpointer user_data)
{
  EvpAbstractEventLoop *loop = user_data;

  g_print ("and goodbye, 0.1 seconds later\n");
  evp_event_loop_stop (loop);
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_event_loop (&error);

  if (loop == NULL
      || evp_event_loop_call_soon (loop, say_hello, NULL, NULL, &error) == NULL
      || evp_event_loop_call_later (loop, 0.1, say_goodbye, loop, NULL, &error) == NULL
      || !evp_event_loop_run_forever (loop, &error)
      || !evp_event_loop_close (loop, &error))
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
