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
 * GLib itself reports a status that somebody else took as success, older ones at least. Where GLib uses pidfds
 * (2.74 and newer on Linux), its source tells when, and this class takes the status, and so reports it as lost.
 * Elsewhere GLib reaps: then no processor time is known, and with older ones of what is lost only what was lost
 * before the child was added.
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

static EvpAbstractChildWatcherInterface own_table;

static void evp_glib_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpGLibChildWatcher, evp_glib_child_watcher, EVP_TYPE_BASE_CHILD_WATCHER,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, evp_glib_child_watcher_iface_init))

/* What newer GLibs say of a status that somebody else took, with a warning of theirs; older ones call it 0. */
#define WAIT_STATUS_LOST (-1)

/* Where GLib has reaped. */
static void
child_cb (GPid     pid,
          int      wait_status,
          gpointer user_data)
{
  EvpWatch *watch = user_data;
  g_autoptr (EvpChildHandler) handler = evp_watch_take (watch);

  if (handler == NULL)
    return;
  watch->funcs->stop (watch);
  if (wait_status == WAIT_STATUS_LOST)
    evp_watch_tell (handler, EVP_WAIT_LOST, 0);
  else
    evp_watch_tell (handler, EVP_WAIT_EXITED, evp_returncode_from_wait_status (wait_status));
}

static gboolean
source_check (GSource *source)
{
  GPollFD *pidfd = source->poll_fds->data;

  return (pidfd->revents & G_IO_IN) != 0;
}

static gboolean
source_dispatch (GSource     *source,
                 GSourceFunc  callback,
                 gpointer     user_data)
{
  return evp_watch_finish (user_data) ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/*
 * GLib takes whatever goes wrong when it reaps for success, a status that somebody else took too. Where its
 * source waits for a pidfd, we reap when that is readable: in one step that tells the one from the other.
 */
static void
source_set_reaps (GSource *source)
{
  static GSourceFuncs funcs;
  static gsize initialized = 0;

  /* without a pidfd GLib has no descriptor in it */
  if (source->poll_fds == NULL)
    return;
  if (g_once_init_enter (&initialized))
    {
      funcs = g_child_watch_funcs;
      funcs.prepare = NULL;
      funcs.check = source_check;
      funcs.dispatch = source_dispatch;
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

/* GLib got no pidfd, because somebody took the child just now; not because there was no descriptor left. */
static gboolean
source_came_too_late (GSource *source,
                      GPid     pid)
{
  return source->poll_fds == NULL && evp_os_wait_look (pid) == EVP_WAIT_LOST
         && !g_child_watch_funcs.check (source); /* which has the status, or will itself tell that it is lost */
}

/* The watch may have left the table meanwhile, or does so now because its child is lost. */
static void
glib_watch_start (GLibWatch    *self,
                  GMainContext *context)
{
  GSource *source = g_child_watch_source_new (self->parent.pid), *former;
  g_autoptr (EvpChildHandler) lost = NULL;
  gboolean live;

  g_source_set_name (source, "EvpGLibChildWatcher");
  g_source_set_callback (source, G_SOURCE_FUNC (child_cb), evp_watch_ref (&self->parent), evp_watch_unref);
  source_set_reaps (source);
  if (source_came_too_late (source, self->parent.pid))
    lost = evp_watch_take (&self->parent);

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
  if (lost != NULL)
    evp_watch_tell (lost, EVP_WAIT_LOST, 0);
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
  /* the source of a context that is gone has none */
  same = self->source != NULL && !g_source_is_destroyed (self->source)
         && g_source_get_context (self->source) == context;
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
