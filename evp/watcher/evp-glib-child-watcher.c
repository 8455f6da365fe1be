/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-glib-child-watcher.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-exit-status.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-base-child-watcher-private.h"

#include <unistd.h>

/**
 * EvpGLibChildWatcher:
 *
 * Leaves children to GLib: a child watch source in the main context of the child's loop, like
 * [func@GLib.child_watch_add].
 *
 * Take it in programs that must have only one mechanism for children, and already have GLib's. What it costs, and
 * whether it takes `SIGCHLD`, is GLib's affair: where GLib uses pidfds, it takes neither signal nor thread.
 *
 * The callback runs in the loop that ran where the child was added, or that the watcher is attached to. Where
 * there is neither, it runs in the thread-default main context of the caller. The loop needs a main
 * context ([method@Evp.AbstractEventLoop.dup_main_context]).
 *
 * GLib itself reports a status that somebody else took as success. This class looks just before GLib
 * reaps, and so reports it as lost, but only where GLib uses pidfds (2.74 and newer on Linux); elsewhere GLib's worker thread reaps, and only what was lost before the child was added is known.
 *
 * All methods may be called from any thread.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpWatch parent;

  /* under the table's lock */
  GSource *source; /* (owned) (nullable) */
} GLibWatch;

/* What a source has; a g_atomic_rc_box. The context's thread only, once the source is attached. */
typedef struct
{
  EvpWatch *watch;
  GPollFD *poll; /* the source's own, on a pidfd; NULL: GLib's worker thread reaps */
  gboolean lost; /* seen before GLib looked */
} SourceData;

static EvpAbstractChildWatcherInterface own_table;

static void evp_glib_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpGLibChildWatcher, evp_glib_child_watcher, EVP_TYPE_BASE_CHILD_WATCHER,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, evp_glib_child_watcher_iface_init))

static void
source_data_clear (gpointer data)
{
  SourceData *self = data;

  evp_watch_unref (self->watch);
}

static void
source_data_ref (gpointer data)
{
  g_atomic_rc_box_acquire (data);
}

static void
source_data_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, source_data_clear);
}

static void
child_cb (GPid     pid,
          int      wait_status,
          gpointer user_data)
{
  SourceData *data = user_data;
  g_autoptr (EvpChildHandler) handler = evp_watch_take (data->watch);
  gboolean lost = data->lost && wait_status == 0;
  EvpWatch *watch;

  if (handler == NULL)
    return;
  watch = evp_watch_ref (data->watch);
  watch->funcs->stop (watch);
  evp_watch_tell (handler, lost ? EVP_WAIT_LOST : EVP_WAIT_EXITED, evp_returncode_from_wait_status (wait_status));
  evp_watch_unref (watch);
}

static void
source_data_get (gpointer     user_data,
                 GSource     *source,
                 GSourceFunc *func,
                 gpointer    *data)
{
  *func = G_SOURCE_FUNC (child_cb);
  *data = user_data;
}

static GSourceCallbackFuncs source_data_funcs = {
  .ref = source_data_ref,
  .unref = source_data_unref,
  .get = source_data_get,
};

/*
 * GLib's check() reaps when its pidfd is readable, and takes whatever goes wrong then for success: it is
 * only asked once we have seen that there is a status, or that it is gone. A pidfd of our own, added with
 * g_source_add_unix_fd(), would not do: the source would be dispatched whenever that is readable, whatever
 * check() says, and GLib's may not be yet.
 */
static gboolean
source_check (GSource *source)
{
  SourceData *data = source->callback_data;
  EvpWaitResult result;

  if (data == NULL || (data->poll->revents & G_IO_IN) == 0)
    return FALSE;
  result = evp_os_wait_look (data->watch->pid);
  data->lost = result == EVP_WAIT_LOST;
  return result != EVP_WAIT_RUNNING && g_child_watch_funcs.check (source);
}

static void
source_set_look (GSource    *source,
                 SourceData *data)
{
  static gsize initialized = 0;
  static GSourceFuncs funcs;

  /* the one descriptor with which GLib has made it, if it has */
  if (source->poll_fds == NULL)
    return;
  data->poll = source->poll_fds->data;
  if (g_once_init_enter (&initialized))
    {
      funcs = g_child_watch_funcs;
      funcs.check = source_check;
      g_once_init_leave (&initialized, 1);
    }
  g_source_set_funcs (source, &funcs);
}

/* A context for the handler of a watch; NULL if there is none. */
static GMainContext *
dup_context (EvpChildHandler *handler)
{
  g_autoptr (EvpAbstractEventLoop) loop = evp_child_handler_dup_loop (handler);

  return loop != NULL ? evp_event_loop_dup_main_context (loop) : g_main_context_ref_thread_default ();
}

/* FALSE if the watch has left the table meanwhile. */
static gboolean
glib_watch_start (GLibWatch    *self,
                  GMainContext *context)
{
  GSource *source = g_child_watch_source_new (self->parent.pid), *former;
  SourceData *data = g_atomic_rc_box_new0 (SourceData);
  gboolean live;

  data->watch = evp_watch_ref (&self->parent);
  g_source_set_name (source, "EvpGLibChildWatcher");
  g_source_set_callback_indirect (source, data, &source_data_funcs);
  source_set_look (source, data);

  g_mutex_lock (&self->parent.table->lock);
  live = self->parent.handler != NULL;
  former = self->source;
  self->source = live ? g_source_ref (source) : NULL;
  g_mutex_unlock (&self->parent.table->lock);

  if (former != NULL)
    {
      g_source_destroy (former);
      g_source_unref (former);
    }
  if (live)
    g_source_attach (source, context);
  g_source_unref (source);
  return live;
}

static void
glib_watch_moved (EvpWatch *watch)
{
  GLibWatch *self = (GLibWatch *) watch;
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GMainContext) context = NULL;
  gboolean same;

  g_mutex_lock (&watch->table->lock);
  handler = watch->handler != NULL ? g_object_ref (watch->handler) : NULL;
  g_mutex_unlock (&watch->table->lock);
  if (handler == NULL)
    return;
  context = dup_context (handler);
  if (context == NULL)
    {
      evp_watch_drop (watch);
      return;
    }
  g_mutex_lock (&watch->table->lock);
  same = self->source != NULL && g_source_get_context (self->source) == context;
  g_mutex_unlock (&watch->table->lock);
  if (!same)
    glib_watch_start (self, context);
}

static void
glib_watch_stop (EvpWatch *watch)
{
  GLibWatch *self = (GLibWatch *) watch;
  GSource *source;

  g_mutex_lock (&watch->table->lock);
  source = g_steal_pointer (&self->source);
  g_mutex_unlock (&watch->table->lock);
  if (source == NULL)
    return;
  g_source_destroy (source);
  g_source_unref (source);
}

static const EvpWatchFuncs watch_funcs = {
  .size = sizeof (GLibWatch),
  .moved = glib_watch_moved,
  .stop = glib_watch_stop,
};

static gboolean
evp_glib_child_watcher_add_handler (EvpAbstractChildWatcher *watcher,
                                    GPid                     pid,
                                    EvpChildHandler         *handler,
                                    GError                 **error)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
  g_autoptr (GMainContext) context = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  EvpChildHandler *replaced, *ended = NULL;
  gboolean bound, lost;
  EvpWatch *watch;

  if (!evp_watch_table_check (table, error))
    return FALSE;
  /* no loop at all will do: there is always a context */
  loop = evp_child_handler_dup_loop (handler);
  bound = loop != NULL;
  if (!bound)
    {
      g_autoptr (EvpAbstractEventLoop) attached = evp_watch_table_dup_loop (table, NULL);

      bound = attached != NULL;
    }
  if (bound && !evp_watch_table_bind (table, handler, error))
    return FALSE;
  context = dup_context (handler);
  if (context == NULL)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
                   /* Translators: %s is the name of a class */
                   _("%s needs an event loop with a main context"), G_OBJECT_TYPE_NAME (watcher));
      return FALSE;
    }

  if (!evp_watch_table_lock_open (table, error))
    return FALSE;
  watch = evp_watch_table_add_locked (table, handler, &watch_funcs, &replaced);
  /* GLib would say that it succeeded */
  lost = replaced == NULL && evp_os_wait_look (pid) == EVP_WAIT_LOST;
  if (lost)
    ended = evp_watch_take_locked (watch);
  g_mutex_unlock (&table->lock);
  if (ended != NULL)
    {
      evp_child_handler_invoke_lost (ended, pid);
      g_object_unref (ended);
    }
  else if (replaced != NULL)
    evp_watch_replaced (watch, replaced);
  else
    glib_watch_start ((GLibWatch *) watch, context);
  if (ended == NULL && bound)
    evp_child_handler_guard (handler);
  evp_watch_unref (watch);
  return TRUE;
}

static gboolean
evp_glib_child_watcher_attach_loop (EvpAbstractChildWatcher *watcher,
                                    EvpAbstractEventLoop    *loop,
                                    GError                 **error)
{
  g_autoptr (GMainContext) context = NULL;

  if (!evp_base_child_watcher_check_loop (watcher, loop, error))
    return FALSE;
  context = loop != NULL ? evp_event_loop_dup_main_context (loop) : NULL;
  if (loop != NULL && context == NULL)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
                   _("%s needs an event loop with a main context"), G_OBJECT_TYPE_NAME (watcher));
      return FALSE;
    }
  return evp_base_child_watcher_attach (watcher, loop, error);
}

static void
evp_glib_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->add_handler = evp_glib_child_watcher_add_handler;
  iface->attach_loop = evp_glib_child_watcher_attach_loop;
  own_table = *iface;
}

static void
evp_glib_child_watcher_class_init (EvpGLibChildWatcherClass *klass)
{
}

static void
evp_glib_child_watcher_init (EvpGLibChildWatcher *self)
{
  evp_child_watcher_check_table (EVP_TYPE_GLIB_CHILD_WATCHER, &own_table);
}

/**
 * evp_glib_child_watcher_new:
 *
 * Makes a watcher.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpGLibChildWatcher): a new watcher
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_glib_child_watcher_new (void)
{
  return g_object_new (EVP_TYPE_GLIB_CHILD_WATCHER, NULL);
}
