/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <evp/evp.h>

static void
done_cb (gpointer user_data)
{
  evp_event_loop_stop (user_data);
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_selector_event_loop_new (NULL, NULL, &error);

  if (loop == NULL
      || evp_event_loop_call_later (loop, 0.001, done_cb, loop, NULL, &error) == NULL
      || !evp_event_loop_run_forever (loop, &error)
      || !evp_event_loop_close (loop, &error))
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  g_print ("%s %d\n", evp_get_version (), evp_returncode_from_wait_status (0));
  return EVP_CHECK_VERSION (1, 0, 0) ? 0 : 1;
}
