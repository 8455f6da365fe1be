/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unix signals as ordinary callbacks. */

#include <evp/evp.h>

#include <signal.h>
#include <unistd.h>

static void
received (int      signum,
          gpointer user_data)
{
  EvpAbstractEventLoop *loop = user_data;

  g_print ("received %s\n", signum == SIGHUP ? "SIGHUP" : "SIGTERM");
  if (signum == SIGTERM)
    evp_event_loop_stop (loop);
}

static void
send_signal (gpointer user_data)
{
  kill (getpid (), GPOINTER_TO_INT (user_data));
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_event_loop (&error);

  if (loop == NULL
      || !evp_event_loop_add_signal_handler (loop, SIGHUP, received, loop, NULL, &error)
      || !evp_event_loop_add_signal_handler (loop, SIGTERM, received, loop, NULL, &error)
      /* somebody sends them; here it is the program itself */
      || evp_event_loop_call_soon (loop, send_signal, GINT_TO_POINTER (SIGHUP), NULL, &error) == NULL
      || evp_event_loop_call_later (loop, 0.1, send_signal, GINT_TO_POINTER (SIGTERM), NULL, &error) == NULL
      || !evp_event_loop_run_forever (loop, &error)
      || !evp_event_loop_close (loop, &error))
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
