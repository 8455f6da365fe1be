/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many children at once, of which at most a few run at the same time. */

#include <evp/evp.h>

#define N_CHILDREN 40
#define AT_ONCE 8

typedef struct
{
  EvpAbstractEventLoop *loop;
  int next;
  int running;
  int codes[3];
  gboolean failed;
} Crowd;

static void start_next (Crowd *crowd);

static void
one_less (Crowd  *crowd,
          GError *error)
{
  if (error != NULL)
    {
      g_printerr ("%s\n", error->message);
      crowd->failed = TRUE;
    }
  crowd->running--;
  start_next (crowd);
}

static void
ended_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  Crowd *crowd = user_data;
  g_autoptr (GError) error = NULL;
  int code = evp_subprocess_wait_finish (EVP_SUBPROCESS (source), result, &error);

  if (error == NULL && code >= 0 && code < 3)
    crowd->codes[code]++;
  one_less (crowd, error);
}

static void
spawned_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Crowd *crowd = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSubprocess) process =
    evp_event_loop_subprocess_shell_finish (EVP_EVENT_LOOP (source), result, &error);

  if (process != NULL)
    evp_subprocess_wait_async (process, NULL, ended_cb, crowd);
  else
    one_less (crowd, error);
}

static void
start_next (Crowd *crowd)
{
  while (crowd->running < AT_ONCE && crowd->next < N_CHILDREN && !crowd->failed)
    {
      g_autofree char *command = g_strdup_printf ("exit %d", crowd->next++ % 3);

      crowd->running++;
      evp_event_loop_subprocess_shell_async (crowd->loop, command, NULL, NULL, spawned_cb, crowd);
    }
  if (crowd->running == 0)
    evp_event_loop_stop (crowd->loop);
}

static void
start (gpointer user_data)
{
  start_next (user_data);
}

int
main (void)
{
  Crowd crowd = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_event_loop (&error);

  crowd.loop = loop;
  if (loop == NULL
      || evp_event_loop_call_soon (loop, start, &crowd, NULL, &error) == NULL
      || !evp_event_loop_run_forever (loop, &error)
      || !evp_event_loop_close (loop, &error))
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  for (int code = 0; code < 3; code++)
    g_print ("%d ended with %d\n", crowd.codes[code], code);
  return crowd.failed;
}
