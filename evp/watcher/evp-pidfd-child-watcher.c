/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-pidfd-child-watcher-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-base-child-watcher-private.h"
#include "evp/watcher/evp-loop-reader-private.h"

#include <errno.h>

/**
 * EvpPidfdChildWatcher:
 *
 * Notices the end of a child by a pidfd in the selector of the child's loop: no signal, no thread, and no
 * search. The default where it works.
 *
 * It works on Linux 5.3 and newer, unless a sandbox forbids it; [func@Evp.capabilities_get] with `pidfd` tells.
 * Where it does not, take [class@Evp.ThreadedChildWatcher], or let
 * [func@Evp.AbstractChildWatcher.new_default] choose.
 *
 * Children can be added in any thread whose loop runs there, or by anybody once a loop is
 * attached. The loop needs [method@Evp.AbstractEventLoop.add_reader]. When it is closed while a child is
 * watched, the handler is dropped with a warning.
 *
 * ```c
 * g_autoptr (EvpAbstractChildWatcher) watcher = evp_pidfd_child_watcher_new ();
 *
 * if (!evp_child_watcher_add_child_handler (watcher, pid, ended, NULL, NULL, &error))
 *   g_printerr ("%s\n", error->message);
 * ```
 *
 * The cost of an exit is O(1), however many children there are; each costs a file descriptor while it lives.
 *
 * All methods may be called from any thread.
 *
 * In asyncio: `asyncio.PidfdChildWatcher`.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpWatch parent;

  EvpSharedFd *pidfd;    /* set once, under the table's lock; readers have the watch, so it is open while a loop has it */
  EvpLoopReader *reader; /* in the handler's loop; (owned) (nullable); under the table's lock */
} PidfdWatch;

static EvpAbstractChildWatcherInterface own_table;

static void evp_pidfd_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpPidfdChildWatcher, evp_pidfd_child_watcher, EVP_TYPE_BASE_CHILD_WATCHER,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, evp_pidfd_child_watcher_iface_init))

static void
reader_ready (gpointer watch)
{
  evp_watch_finish (watch);
}

static void
reader_dropped (gpointer user_data)
{
  PidfdWatch *self = user_data;
  EvpWatch *watch = &self->parent;
  gboolean current;

  g_mutex_lock (&watch->table->lock);
  /* not a reader that a newer one in another loop has replaced */
  current = self->reader == NULL
            || watch->handler == NULL
            || evp_loop_reader_get_loop (self->reader) == evp_child_handler_get_loop (watch->handler);
  g_mutex_unlock (&watch->table->lock);
  if (current)
    evp_watch_drop (watch);
}

static const EvpLoopReaderFuncs reader_funcs = {
  .ready = reader_ready,
  .dropped = reader_dropped,
  .gone = evp_watch_unref,
};

/* A reader in the loop of the handler, if it is not there already. */
static gboolean
pidfd_watch_start (PidfdWatch *self,
                   GError    **error)
{
  EvpWatchTable *table = self->parent.table;
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (GThread) home = NULL;
  EvpLoopReader *reader, *former = NULL;

  g_mutex_lock (&table->lock);
  if (self->parent.handler != NULL)
    loop = evp_child_handler_dup_loop (self->parent.handler);
  if (loop == NULL || (self->reader != NULL && evp_loop_reader_get_loop (self->reader) == loop))
    {
      g_mutex_unlock (&table->lock);
      return TRUE;
    }
  g_mutex_unlock (&table->lock);

  home = evp_watch_table_dup_home (table, loop);
  reader = evp_loop_reader_new (loop, home, self->pidfd->fd, &reader_funcs, evp_watch_ref (&self->parent), error);
  if (reader == NULL)
    {
      evp_watch_unref (&self->parent);
      return FALSE;
    }

  g_mutex_lock (&table->lock);
  if (self->parent.handler != NULL && evp_child_handler_get_loop (self->parent.handler) == loop)
    {
      former = self->reader;
      self->reader = reader;
    }
  else
    /* removed or moved on meanwhile */
    former = reader;
  g_mutex_unlock (&table->lock);
  if (former != NULL)
    evp_loop_reader_stop (former);
  return TRUE;
}

static void
pidfd_watch_moved (EvpWatch *watch)
{
  PidfdWatch *self = (PidfdWatch *) watch;
  g_autoptr (EvpAbstractEventLoop) former = NULL;
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;

  if (pidfd_watch_start (self, &error))
    return;
  evp_warn_runtime ("%s", error->message);

  /* the new loop does not take descriptors: it stays where it was */
  g_mutex_lock (&watch->table->lock);
  if (self->reader != NULL && watch->handler != NULL)
    {
      former = g_object_ref (evp_loop_reader_get_loop (self->reader));
      handler = g_object_ref (watch->handler);
    }
  g_mutex_unlock (&watch->table->lock);
  if (former != NULL && !evp_event_loop_is_closed (former))
    evp_child_handler_set_loop (handler, former);
  else
    evp_watch_drop (watch);
}

static void
pidfd_watch_stop (EvpWatch *watch)
{
  PidfdWatch *self = (PidfdWatch *) watch;
  EvpLoopReader *reader;

  g_mutex_lock (&watch->table->lock);
  reader = g_steal_pointer (&self->reader);
  g_mutex_unlock (&watch->table->lock);
  if (reader != NULL)
    evp_loop_reader_stop (reader);
}

/* Nobody refers to it any more, so the descriptor is out of all selectors. */
static void
pidfd_watch_clear (EvpWatch *watch)
{
  PidfdWatch *self = (PidfdWatch *) watch;

  g_clear_pointer (&self->pidfd, evp_os_shared_fd_unref);
}

static EvpWaitResult
pidfd_watch_reap (EvpWatch *watch,
                  int      *returncode,
                  double   *cpu_time)
{
  PidfdWatch *self = (PidfdWatch *) watch;

  return evp_os_wait_reap_pidfd (self->pidfd->fd, watch->pid, returncode, cpu_time);
}

static const EvpWatchFuncs watch_funcs = {
  .size = sizeof (PidfdWatch),
  .moved = pidfd_watch_moved,
  .stop = pidfd_watch_stop,
  .clear = pidfd_watch_clear,
  .reap = pidfd_watch_reap,
};

static gboolean
evp_pidfd_child_watcher_add (EvpPidfdChildWatcher *self,
                             EvpSharedFd          *pidfd, /* (transfer full) (nullable) */
                             EvpChildHandler      *handler,
                             GError              **error)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (self);
  GPid pid = evp_child_handler_get_pid (handler);
  EvpChildHandler *mine, *replaced = NULL;
  gboolean ok = FALSE, known;
  EvpWatch *watch;

  if (!evp_watch_table_check (table, error) || !evp_watch_table_bind (table, handler, error))
    goto out;

  g_mutex_lock (&table->lock);
  watch = g_hash_table_lookup (table->watches, GINT_TO_POINTER (pid));
  known = watch != NULL;
  if (known)
    evp_watch_ref (watch);
  g_mutex_unlock (&table->lock);
  if (known)
    {
      if (pidfd != NULL && (mine = evp_watch_take (watch)) != NULL)
        {
          pidfd_watch_stop (watch);
          evp_child_handler_invoke_lost (mine, pid);
          g_object_unref (mine);
        }
      evp_watch_unref (watch);
    }
  if (pidfd == NULL && !known)
    {
      int fd = evp_os_pidfd_open (pid, error);

      if (fd < 0)
        goto out;
      pidfd = evp_os_shared_fd_new (fd);
    }

  if (!evp_watch_table_lock_open (table, error))
    goto out;
  watch = evp_watch_table_add_locked (table, handler, &watch_funcs, &replaced);
  if (replaced == NULL)
    ((PidfdWatch *) watch)->pidfd = g_steal_pointer (&pidfd);
  if (replaced == NULL && ((PidfdWatch *) watch)->pidfd == NULL)
    {
      /* its child ended between our two looks, and so did the watch: there is nothing left to wait for */
      mine = evp_watch_take_locked (watch);
      g_mutex_unlock (&table->lock);
      evp_child_handler_invoke_lost (mine, pid);
      g_object_unref (mine);
      evp_watch_unref (watch);
      return TRUE;
    }
  g_mutex_unlock (&table->lock);

  if (replaced != NULL)
    {
      evp_watch_replaced (watch, replaced);
      ok = TRUE;
    }
  else if (!(ok = pidfd_watch_start ((PidfdWatch *) watch, error)))
    {
      mine = evp_watch_take (watch);
      pidfd_watch_stop (watch);
      /* another thread may have replaced it at once, and was told that all is well */
      if (mine != NULL && mine != handler)
        evp_child_handler_invoke_lost (mine, pid);
      g_clear_object (&mine);
    }
  evp_watch_unref (watch);

out:
  if (pidfd != NULL)
    evp_os_shared_fd_unref (pidfd);
  return ok;
}

static gboolean
evp_pidfd_child_watcher_add_handler (EvpAbstractChildWatcher *watcher,
                                     GPid                     pid,
                                     EvpChildHandler         *handler,
                                     GError                 **error)
{
  return evp_pidfd_child_watcher_add (EVP_PIDFD_CHILD_WATCHER (watcher), NULL, handler, error);
}

static gboolean
evp_pidfd_child_watcher_is_active (EvpAbstractChildWatcher *watcher)
{
  return evp_os_pidfd_supported (NULL)
         && evp_watch_table_check (evp_base_child_watcher_get_table (watcher), NULL);
}

static void
evp_pidfd_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->add_handler = evp_pidfd_child_watcher_add_handler;
  iface->is_active = evp_pidfd_child_watcher_is_active;
  own_table = *iface;
}

static void
evp_pidfd_child_watcher_class_init (EvpPidfdChildWatcherClass *klass)
{
}

static void
evp_pidfd_child_watcher_init (EvpPidfdChildWatcher *self)
{
  evp_child_watcher_check_table (EVP_TYPE_PIDFD_CHILD_WATCHER, &own_table);
}

gboolean
evp_pidfd_child_watcher_add_handler_with_pidfd (EvpPidfdChildWatcher *self,
                                                GPid                  pid,
                                                EvpSharedFd          *pidfd,
                                                EvpChildHandler      *handler,
                                                GError              **error)
{
  return evp_pidfd_child_watcher_add (self, evp_os_shared_fd_ref (pidfd), handler, error);
}

/**
 * evp_pidfd_child_watcher_new:
 *
 * Makes a watcher. It can be made everywhere; where there are no pidfds, adding a child fails.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpPidfdChildWatcher): a new watcher
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_pidfd_child_watcher_new (void)
{
  return g_object_new (EVP_TYPE_PIDFD_CHILD_WATCHER, NULL);
}
