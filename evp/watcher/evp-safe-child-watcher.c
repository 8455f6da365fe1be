/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-safe-child-watcher.h"

#include "evp/watcher/evp-base-child-watcher-private.h"
#include "evp/watcher/evp-sigchld-private.h"

/**
 * EvpSafeChildWatcher:
 *
 * Notices the end of children by `SIGCHLD`, and asks only for those that it watches: children of other code are
 * safe.
 *
 * Take it where neither pidfds nor threads are to be had; otherwise [class@Evp.PidfdChildWatcher] and
 * [class@Evp.ThreadedChildWatcher] cost less and have fewer conditions:
 *
 * - It must be attached, in the main thread, to a loop that runs there; without one it accepts children,
 *   and finds out about them when it is attached.
 * - It takes `SIGCHLD`. What was installed before is called too, and is put back at the end; code that installs
 *   a handler of its own later silences it.
 * - At most one watcher of its kind may be used in a process.
 *
 * If a child has ended already, the callback runs inside
 * [method@Evp.AbstractChildWatcher.add_child_handler], or inside
 * [method@Evp.AbstractChildWatcher.attach_loop].
 *
 * The cost of an exit is usually that of a few system calls. All children are asked, O(n), when other code
 * leaves children of its own unreaped, when a status was stolen, and now and then.
 *
 * Methods may be called from any thread, apart from [method@Evp.AbstractChildWatcher.attach_loop] with a loop.
 *
 * In asyncio: `asyncio.SafeChildWatcher`.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpSigchld *sigchld; /* under the table's lock; (owned) (nullable) */
} EvpSafeChildWatcherPrivate;

static EvpAbstractChildWatcherInterface own_table;

static void evp_safe_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpSafeChildWatcher, evp_safe_child_watcher, EVP_TYPE_BASE_CHILD_WATCHER,
                         G_ADD_PRIVATE (EvpSafeChildWatcher)
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, evp_safe_child_watcher_iface_init))

#define PRIVATE(watcher) \
  ((EvpSafeChildWatcherPrivate *) evp_safe_child_watcher_get_instance_private (EVP_SAFE_CHILD_WATCHER (watcher)))

static const EvpWatchFuncs watch_funcs = {
  .size = sizeof (EvpWatch),
};

/* As long as the first zombie is one of ours, nobody else need be asked. */
static guint
quick (EvpWatchTable *table,
       gpointer       data)
{
  guint n = 0;
  pid_t pid;

  while (evp_os_wait_look_any (&pid))
    {
      g_autoptr (EvpChildHandler) handler = NULL;
      EvpWaitResult result;
      EvpWatch *watch;
      int returncode = 0;

      g_mutex_lock (&table->lock);
      watch = g_hash_table_lookup (table->watches, GINT_TO_POINTER (pid));
      if (watch != NULL)
        evp_watch_ref (watch);
      g_mutex_unlock (&table->lock);
      if (watch == NULL)
        /* a stranger hides what is behind it */
        return 0;
      handler = evp_watch_collect (watch, &result, &returncode);
      evp_watch_unref (watch);
      if (handler == NULL)
        return 0;
      n++;
      evp_sigchld_tell (table, handler, result, returncode);
    }
  return n;
}

static gboolean
evp_safe_child_watcher_add_handler (EvpAbstractChildWatcher *watcher,
                                    GPid                     pid,
                                    EvpChildHandler         *handler,
                                    GError                 **error)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
  g_autoptr (EvpChildHandler) ended = NULL;
  EvpChildHandler *replaced;
  EvpWaitResult result;
  EvpWatch *watch;
  int returncode = 0;

  if (!evp_watch_table_lock_open (table, error))
    return FALSE;
  watch = evp_watch_table_add_locked (table, handler, &watch_funcs, &replaced);
  g_mutex_unlock (&table->lock);
  evp_watch_replaced (watch, replaced);

  /* its signal may have come before we knew of it */
  ended = evp_watch_collect (watch, &result, &returncode);
  evp_watch_unref (watch);
  if (ended != NULL)
    evp_sigchld_tell (table, ended, result, returncode);
  return TRUE;
}

static gboolean
evp_safe_child_watcher_attach_loop (EvpAbstractChildWatcher *watcher,
                                    EvpAbstractEventLoop    *loop,
                                    GError                 **error)
{
  return evp_sigchld_attach (watcher, &PRIVATE (watcher)->sigchld, loop, quick, NULL, NULL, error);
}

static gboolean
evp_safe_child_watcher_is_active (EvpAbstractChildWatcher *watcher)
{
  return evp_sigchld_is_active (watcher);
}

static void
evp_safe_child_watcher_close (EvpAbstractChildWatcher *watcher)
{
  if (!evp_watch_table_is_forked (evp_base_child_watcher_get_table (watcher)))
    evp_sigchld_close (watcher, &PRIVATE (watcher)->sigchld);
}

static void
evp_safe_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->add_handler = evp_safe_child_watcher_add_handler;
  iface->attach_loop = evp_safe_child_watcher_attach_loop;
  iface->is_active = evp_safe_child_watcher_is_active;
  iface->close = evp_safe_child_watcher_close;
  own_table = *iface;
}

static void
evp_safe_child_watcher_dispose (GObject *object)
{
  if (evp_base_child_watcher_begin_dispose (object))
    evp_sigchld_close (object, &PRIVATE (object)->sigchld);

  G_OBJECT_CLASS (evp_safe_child_watcher_parent_class)->dispose (object);
}

static void
evp_safe_child_watcher_class_init (EvpSafeChildWatcherClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = evp_safe_child_watcher_dispose;
}

static void
evp_safe_child_watcher_init (EvpSafeChildWatcher *self)
{
  evp_child_watcher_check_table (EVP_TYPE_SAFE_CHILD_WATCHER, &own_table);
}

/**
 * evp_safe_child_watcher_new:
 *
 * Makes a watcher, which is attached to no loop yet. `SIGCHLD` is taken when it is.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpSafeChildWatcher): a new watcher
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_safe_child_watcher_new (void)
{
  return g_object_new (EVP_TYPE_SAFE_CHILD_WATCHER, NULL);
}
