/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-base-child-watcher-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fork-private.h"

/**
 * EvpBaseChildWatcher:
 *
 * What the library's child watchers share: a table of the children that are watched, the loop that the watcher is
 * attached to, and the rules about both.
 *
 * - A handler belongs to the loop that runs where it is added; if none does, to the attached loop.
 * - Handlers that were added for the attached loop move along when another one is attached; the others stay
 *   where they were added.
 * - A closed watcher refuses children with %EVP_ERROR_WATCHER_CLOSED, until it is attached again.
 * - One that is dropped without being closed while children are watched warns, and closes itself.
 *
 * A class that derives from this one without implementing
 * [vfunc@Evp.AbstractChildWatcher.add_handler] fails with %EVP_ERROR_NOT_SUPPORTED.
 *
 * All methods may be called from any thread.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpWatchTable *table; /* constant */
} EvpBaseChildWatcherPrivate;

static EvpAbstractChildWatcherInterface own_table;

static void evp_base_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface);

G_DEFINE_ABSTRACT_TYPE_WITH_CODE (EvpBaseChildWatcher, evp_base_child_watcher, G_TYPE_OBJECT,
                                  G_ADD_PRIVATE (EvpBaseChildWatcher)
                                  G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, evp_base_child_watcher_iface_init))

EvpWatchTable *
evp_base_child_watcher_get_table (gpointer self)
{
  EvpBaseChildWatcherPrivate *priv = evp_base_child_watcher_get_instance_private (self);

  return priv->table;
}

gboolean
evp_base_child_watcher_check_loop (gpointer              self,
                                   EvpAbstractEventLoop *loop,
                                   GError              **error)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (self);

  /* being closed is no hindrance here: attaching opens */
  if (evp_watch_table_is_forked (table))
    return evp_watch_table_check (table, error);
  if (loop != NULL && evp_event_loop_is_closed (loop))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED, _("The event loop is closed; make a new one"));
      return FALSE;
    }
  return TRUE;
}

gboolean
evp_base_child_watcher_check_main_loop (gpointer              self,
                                        EvpAbstractEventLoop *loop,
                                        GError              **error)
{
  if (!evp_base_child_watcher_check_loop (self, loop, error))
    return FALSE;
  if (loop != NULL && !evp_os_is_main_thread ())
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_WRONG_THREAD,
                   /* Translators: %s is the name of a class */
                   _("%s can only be attached in the main thread; other watchers have no such limit"),
                   G_OBJECT_TYPE_NAME (self));
      return FALSE;
    }
  return TRUE;
}

gboolean
evp_base_child_watcher_attach (gpointer              self,
                               EvpAbstractEventLoop *loop,
                               GError              **error)
{
  if (!evp_base_child_watcher_check_loop (self, loop, error))
    return FALSE;
  evp_watch_table_attach (evp_base_child_watcher_get_table (self), loop);
  return TRUE;
}

gboolean
evp_base_child_watcher_begin_dispose (gpointer self)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (self);
  guint n_handlers;

  if (evp_watch_table_is_forked (table))
    return FALSE;
  n_handlers = evp_watch_table_get_size (table);
  if (n_handlers > 0)
    /* Translators: the first %s is the name of a class */
    evp_warn_runtime (evp_ngettext ("%s was dropped without close() while it watched %u child, which is forgotten now",
                                    "%s was dropped without close() while it watched %u children, which are forgotten "
                                    "now",
                                    n_handlers),
                      G_OBJECT_TYPE_NAME (self), n_handlers);
  return TRUE;
}

static gboolean
evp_base_child_watcher_remove_handler (EvpAbstractChildWatcher *watcher,
                                       GPid                     pid)
{
  return evp_watch_table_remove (evp_base_child_watcher_get_table (watcher), pid);
}

static gboolean
evp_base_child_watcher_attach_loop (EvpAbstractChildWatcher *watcher,
                                    EvpAbstractEventLoop    *loop,
                                    GError                 **error)
{
  return evp_base_child_watcher_attach (watcher, loop, error);
}

static gboolean
evp_base_child_watcher_is_active (EvpAbstractChildWatcher *watcher)
{
  return evp_watch_table_check (evp_base_child_watcher_get_table (watcher), NULL);
}

static void
evp_base_child_watcher_close (EvpAbstractChildWatcher *watcher)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);

  if (!evp_watch_table_is_forked (table))
    evp_watch_table_close (table);
}

static void
evp_base_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->remove_handler = evp_base_child_watcher_remove_handler;
  iface->attach_loop = evp_base_child_watcher_attach_loop;
  iface->is_active = evp_base_child_watcher_is_active;
  iface->close = evp_base_child_watcher_close;
  own_table = *iface;
}

static void
evp_base_child_watcher_dispose (GObject *object)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (object);

  if (evp_base_child_watcher_begin_dispose (object))
    evp_watch_table_close (table);

  G_OBJECT_CLASS (evp_base_child_watcher_parent_class)->dispose (object);
}

static void
evp_base_child_watcher_finalize (GObject *object)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (object);

  /* what a forked child inherits belongs to the loops and threads of its parent */
  if (!evp_watch_table_is_forked (table))
    evp_watch_table_unref (table);

  G_OBJECT_CLASS (evp_base_child_watcher_parent_class)->finalize (object);
}

static void
evp_base_child_watcher_class_init (EvpBaseChildWatcherClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = evp_base_child_watcher_dispose;
  object_class->finalize = evp_base_child_watcher_finalize;
}

static void
evp_base_child_watcher_init (EvpBaseChildWatcher *self)
{
  EvpBaseChildWatcherPrivate *priv = evp_base_child_watcher_get_instance_private (self);

  evp_child_watcher_check_table (EVP_TYPE_BASE_CHILD_WATCHER, &own_table);
  priv->table = evp_watch_table_new ();
}

/**
 * evp_base_child_watcher_get_n_handlers:
 * @self: a watcher
 *
 * Gets the number of children that are watched.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the number
 *
 * Since: 1.0
 */
guint
evp_base_child_watcher_get_n_handlers (EvpBaseChildWatcher *self)
{
  g_return_val_if_fail (EVP_IS_BASE_CHILD_WATCHER (self), 0);

  return evp_watch_table_get_size (evp_base_child_watcher_get_table (self));
}
