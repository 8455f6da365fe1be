/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child watcher of one's own, for the whole process: it tells which children it is asked to watch. */

#include <evp/evp.h>

#define TALKING_TYPE_WATCHER (talking_watcher_get_type ())
G_DECLARE_FINAL_TYPE (TalkingWatcher, talking_watcher, TALKING, WATCHER, EvpThreadedChildWatcher)

struct _TalkingWatcher
{
  EvpThreadedChildWatcher parent_instance;

  int watched;
};

static EvpAbstractChildWatcherInterface *parent_iface;

static gboolean
talking_watcher_add_handler (EvpAbstractChildWatcher *watcher,
                             GPid                     pid,
                             EvpChildHandler         *handler,
                             GError                 **error)
{
  g_print ("child number %d\n", ++TALKING_WATCHER (watcher)->watched);
  /* the parent calls evp_child_handler_invoke() when the child has ended */
  return parent_iface->add_handler (watcher, pid, handler, error);
}

static void
talking_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  parent_iface = g_type_interface_peek_parent (iface);
  iface->add_handler = talking_watcher_add_handler;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (TalkingWatcher, talking_watcher, EVP_TYPE_THREADED_CHILD_WATCHER,
                               G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, talking_watcher_iface_init))

static void
talking_watcher_class_init (TalkingWatcherClass *klass)
{
}

static void
talking_watcher_init (TalkingWatcher *self)
{
}

static void
ended_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  g_autoptr (EvpFuture) end = user_data;
  g_autoptr (GError) error = NULL;
  int code = evp_subprocess_wait_finish (EVP_SUBPROCESS (source), result, &error);

  g_print ("the return code is %d\n", code);
  if (error != NULL)
    evp_future_set_error (end, error);
  else
    evp_future_set_result (end, NULL, NULL);
}

static void
spawned_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  g_autoptr (EvpFuture) end = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSubprocess) process =
    evp_event_loop_subprocess_shell_finish (EVP_EVENT_LOOP (source), result, &error);

  if (process != NULL)
    evp_subprocess_wait_async (process, NULL, ended_cb, g_steal_pointer (&end));
  else
    evp_future_set_error (end, error);
}

static EvpFuture *
run (EvpAbstractEventLoop *loop,
     gpointer              user_data)
{
  EvpFuture *end = evp_event_loop_create_future (loop);

  evp_event_loop_subprocess_shell_async (loop, "exit 3", NULL, NULL, spawned_cb, g_object_ref (end));
  return end;
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TalkingWatcher) watcher = g_object_new (TALKING_TYPE_WATCHER, NULL);

  if (!evp_set_child_watcher (EVP_CHILD_WATCHER (watcher), &error)
      || !evp_run (run, NULL, NULL, &error))
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
