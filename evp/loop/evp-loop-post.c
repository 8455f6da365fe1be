/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-post-private.h"

#include "evp/loop/evp-base-event-loop-private.h"
#include "evp/loop/evp-running-loop-private.h"

gboolean
evp_loop_is_local_thread (EvpAbstractEventLoop *loop,
                          GThread              *home)
{
  g_autoptr (GMainContext) context = NULL;

  if (evp_running_loop_get () == loop)
    return TRUE;

  context = evp_event_loop_dup_main_context (loop);
  if (context == NULL)
    return g_thread_self () == home;
  if (g_main_context_is_owner (context))
    return TRUE;
  if (g_thread_self () != home || !g_main_context_acquire (context))
    return FALSE;
  /* nobody runs the loop, so whoever prepares it is its thread */
  g_main_context_release (context);
  return TRUE;
}

typedef struct
{
  GDestroyNotify destroy;
  gpointer data;
  gboolean in_default_context;
} EvpLoopRelease;

static void
evp_loop_release_run_cb (gpointer user_data)
{
  EvpLoopRelease *release = user_data;
  GDestroyNotify destroy = g_steal_pointer (&release->destroy);

  destroy (release->data);
}

static gboolean
evp_loop_release_idle_cb (gpointer user_data)
{
  evp_loop_release_run_cb (user_data);
  return G_SOURCE_REMOVE;
}

static void
evp_loop_release_free (gpointer user_data)
{
  EvpLoopRelease *release = user_data;

  if (release->destroy != NULL && release->in_default_context)
    {
      release->in_default_context = FALSE;
      g_idle_add_full (G_PRIORITY_DEFAULT, evp_loop_release_idle_cb, release, evp_loop_release_free);
      return;
    }
  if (release->destroy != NULL)
    evp_loop_release_run_cb (release);
  g_free (release);
}

void
evp_loop_post_release (EvpAbstractEventLoop *loop,
                       GDestroyNotify        destroy,
                       gpointer              data)
{
  EvpLoopRelease *release = g_new (EvpLoopRelease, 1);
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (loop);
  EvpLoopCore *core = evp_loop_peek_core (loop);

  /*
   * @data may hold the last reference to the loop, which then goes while this is still in the middle of it. Of
   * ours only the engine must stay, and the loop is finalized in its own thread; one that schedules itself is in
   * the middle of code that we do not know.
   */
  if (core != NULL)
    evp_loop_core_ref (core);
  else
    g_object_ref (loop);
  *release = (EvpLoopRelease) { destroy, data, context == g_main_context_default () };
  evp_event_loop_call_soon_threadsafe (loop, evp_loop_release_run_cb, release, evp_loop_release_free, NULL);
  if (core != NULL)
    evp_loop_core_unref (core);
  else
    g_object_unref (loop);
}
