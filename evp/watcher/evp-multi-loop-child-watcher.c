/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-multi-loop-child-watcher.h"

#include "evp/base/evp-debug-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-signal-private.h"
#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-base-child-watcher-private.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

/**
 * EvpMultiLoopChildWatcher:
 *
 * Notices the end of children by `SIGCHLD`, without a loop of its own: children can be added in any thread whose
 * loop runs, and each callback runs in the loop that added it.
 *
 * It asks only for the children that it watches. Take it where there are no pidfds, and a thread for each child is too
 * much; otherwise [class@Evp.PidfdChildWatcher] and [class@Evp.ThreadedChildWatcher] cost less.
 *
 * It takes `SIGCHLD` from the first [method@Evp.AbstractChildWatcher.enter],
 * [method@Evp.AbstractChildWatcher.attach_loop] or child on until it is closed. The signal handler only writes to a
 * descriptor; one helper thread, which blocks all signals, looks for the children that have ended, and hands them to
 * their loops, which reap them. What was installed before is called too and is put back at the end, unless
 * somebody else has put a handler on top: that one is left in place, with a warning. At most one watcher that
 * takes `SIGCHLD` may be used in a process.
 *
 * Attaching is not needed, and only possible in the main thread; it gives a loop to those who add children where
 * none runs.
 *
 * The cost of an exit is O(n) in the number of children watched.
 *
 * Methods may be called from any thread, apart from [method@Evp.AbstractChildWatcher.attach_loop] with a loop.
 *
 * In asyncio: `asyncio.MultiLoopChildWatcher`.
 *
 * Since: 1.0
 */

/* What the helper thread has; a g_atomic_rc_box. */
typedef struct
{
  EvpWatchTable *table;
  EvpOsSignalSubscriber *subscriber;
  int wake_fds[2]; /* a byte in it ends the thread */
  GThread *thread; /* (owned by the watcher) */
} Helper;

typedef struct
{
  Helper *helper; /* under the table's lock; (nullable) */
} EvpMultiLoopChildWatcherPrivate;

static EvpAbstractChildWatcherInterface own_table;

static void evp_multi_loop_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpMultiLoopChildWatcher, evp_multi_loop_child_watcher, EVP_TYPE_BASE_CHILD_WATCHER,
                         G_ADD_PRIVATE (EvpMultiLoopChildWatcher)
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, evp_multi_loop_child_watcher_iface_init))

#define PRIVATE(watcher) \
  ((EvpMultiLoopChildWatcherPrivate *) \
   evp_multi_loop_child_watcher_get_instance_private (EVP_MULTI_LOOP_CHILD_WATCHER (watcher)))

static const EvpWatchFuncs watch_funcs = {
  .size = sizeof (EvpWatch),
};

static void
helper_clear (gpointer data)
{
  Helper *self = data;

  if (self->subscriber != NULL)
    evp_os_signal_subscriber_free (self->subscriber);
  evp_os_fd_close (self->wake_fds[0]);
  evp_os_fd_close (self->wake_fds[1]);
  evp_watch_table_unref (self->table);
}

static void
helper_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, helper_clear);
}

static void
helper_look (EvpWatch *watch)
{
  if (evp_watch_is_live (watch) && evp_os_wait_look (watch->pid) != EVP_WAIT_RUNNING)
    evp_watch_publish (watch);
}

static gpointer
helper_thread (gpointer data)
{
  Helper *self = data;
  GPollFD fds[2] = {
    { .fd = evp_os_signal_subscriber_get_fd (self->subscriber), .events = G_IO_IN },
    { .fd = self->wake_fds[0], .events = G_IO_IN },
  };

  evp_child_handler_enter_helper_thread ();
  for (;;)
    {
      g_autoptr (GPtrArray) list = NULL;

      if (g_poll (fds, 2, -1) < 0 && errno == EINTR)
        continue;
      if (fds[1].revents != 0)
        break;
      evp_os_signal_drain (self->subscriber);
      evp_os_signal_take_count (self->subscriber, SIGCHLD);
      list = evp_watch_table_list (self->table);
      for (guint i = 0; i < list->len; i++)
        helper_look (list->pdata[i]);
    }
  helper_unref (self);
  return NULL;
}

static Helper *
helper_new (EvpWatchTable *table,
            GError       **error)
{
  Helper *self = g_atomic_rc_box_new0 (Helper);
  sigset_t all, former;

  self->table = evp_watch_table_ref (table);
  self->wake_fds[0] = self->wake_fds[1] = EVP_FD_NONE;
  self->subscriber = evp_os_signal_subscriber_new (error);
  if (self->subscriber != NULL
      && evp_os_fd_pipe (self->wake_fds, TRUE, error)
      && evp_os_signal_subscribe (self->subscriber, SIGCHLD, error))
    {
      /* signals are for the threads of the program */
      sigfillset (&all);
      pthread_sigmask (SIG_SETMASK, &all, &former);
      self->thread = g_thread_try_new ("evp-children", helper_thread, g_atomic_rc_box_acquire (self), error);
      pthread_sigmask (SIG_SETMASK, &former, NULL);
      if (self->thread != NULL)
        return self;
      helper_unref (self);
    }
  helper_unref (self);
  return NULL;
}

/* Ends the thread, and puts back what SIGCHLD did before. */
static void
helper_stop (Helper *self)
{
  GThread *thread = self->thread;

  evp_os_signal_unsubscribe (self->subscriber, SIGCHLD);
  while (write (self->wake_fds[1], "", 1) < 0 && errno == EINTR)
    ;
  /* a foreign loop may release the watcher's last reference on this very thread */
  if (thread != g_thread_self ())
    g_thread_join (thread);
  else
    g_thread_unref (thread);
  helper_unref (self);
}

static gboolean
evp_multi_loop_child_watcher_install (EvpMultiLoopChildWatcher *self,
                                      GError                  **error)
{
  EvpMultiLoopChildWatcherPrivate *priv = PRIVATE (self);
  EvpWatchTable *table = evp_base_child_watcher_get_table (self);
  Helper *helper;
  gboolean installed;

  g_mutex_lock (&table->lock);
  installed = priv->helper != NULL;
  g_mutex_unlock (&table->lock);
  if (installed)
    return TRUE;

  helper = helper_new (table, error);
  if (helper == NULL)
    return FALSE;
  g_mutex_lock (&table->lock);
  if (priv->helper == NULL && !table->closed)
    priv->helper = g_steal_pointer (&helper);
  g_mutex_unlock (&table->lock);
  /* another thread was quicker */
  if (helper != NULL)
    helper_stop (helper);
  return TRUE;
}

static gboolean
evp_multi_loop_child_watcher_add_handler (EvpAbstractChildWatcher *watcher,
                                          GPid                     pid,
                                          EvpChildHandler         *handler,
                                          GError                 **error)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
  EvpChildHandler *replaced;
  EvpWatch *watch;

  if (!evp_watch_table_check (table, error) || !evp_watch_table_bind (table, handler, error)
      || !evp_multi_loop_child_watcher_install (EVP_MULTI_LOOP_CHILD_WATCHER (watcher), error)
      || !evp_watch_table_lock_open (table, error))
    return FALSE;
  watch = evp_watch_table_add_locked (table, handler, &watch_funcs, &replaced);
  g_mutex_unlock (&table->lock);
  evp_watch_replaced (watch, replaced);

  /* its data must not be released by the helper thread */
  evp_child_handler_guard (handler);
  /* its signal may have come before we knew of it */
  helper_look (watch);
  evp_watch_unref (watch);
  return TRUE;
}

static gboolean
evp_multi_loop_child_watcher_attach_loop (EvpAbstractChildWatcher *watcher,
                                          EvpAbstractEventLoop    *loop,
                                          GError                 **error)
{
  if (!evp_base_child_watcher_check_main_loop (watcher, loop, error))
    return FALSE;
  if (loop != NULL)
    {
      EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
      gboolean was_closed;

      g_mutex_lock (&table->lock);
      was_closed = table->closed;
      table->closed = FALSE;
      g_mutex_unlock (&table->lock);
      if (!evp_multi_loop_child_watcher_install (EVP_MULTI_LOOP_CHILD_WATCHER (watcher), error))
        {
          g_mutex_lock (&table->lock);
          table->closed = was_closed;
          g_mutex_unlock (&table->lock);
          return FALSE;
        }
    }
  return evp_base_child_watcher_attach (watcher, loop, error);
}

static gboolean
evp_multi_loop_child_watcher_is_active (EvpAbstractChildWatcher *watcher)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
  gboolean installed;

  if (!evp_watch_table_lock_open (table, NULL))
    return FALSE;
  installed = PRIVATE (watcher)->helper != NULL;
  g_mutex_unlock (&table->lock);
  return installed && evp_os_signal_is_installed (SIGCHLD);
}

static void
evp_multi_loop_child_watcher_do_close (EvpMultiLoopChildWatcher *self)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (self);
  Helper *helper;

  evp_watch_table_close (table);
  g_mutex_lock (&table->lock);
  helper = g_steal_pointer (&PRIVATE (self)->helper);
  g_mutex_unlock (&table->lock);
  if (helper != NULL)
    helper_stop (helper);
}

static void
evp_multi_loop_child_watcher_close (EvpAbstractChildWatcher *watcher)
{
  if (!evp_watch_table_is_forked (evp_base_child_watcher_get_table (watcher)))
    evp_multi_loop_child_watcher_do_close (EVP_MULTI_LOOP_CHILD_WATCHER (watcher));
}

/* Launchers ask is_active() inside the bracket: from here on, the answer is yes. */
static void
evp_multi_loop_child_watcher_enter (EvpAbstractChildWatcher *watcher)
{
  g_autoptr (GError) error = NULL;

  if (evp_watch_table_check (evp_base_child_watcher_get_table (watcher), NULL)
      && !evp_multi_loop_child_watcher_install (EVP_MULTI_LOOP_CHILD_WATCHER (watcher), &error))
    evp_warn_runtime ("%s", error->message);
}

static void
evp_multi_loop_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->add_handler = evp_multi_loop_child_watcher_add_handler;
  iface->attach_loop = evp_multi_loop_child_watcher_attach_loop;
  iface->is_active = evp_multi_loop_child_watcher_is_active;
  iface->close = evp_multi_loop_child_watcher_close;
  iface->enter = evp_multi_loop_child_watcher_enter;
  own_table = *iface;
}

static void
evp_multi_loop_child_watcher_dispose (GObject *object)
{
  if (evp_base_child_watcher_begin_dispose (object))
    evp_multi_loop_child_watcher_do_close (EVP_MULTI_LOOP_CHILD_WATCHER (object));

  G_OBJECT_CLASS (evp_multi_loop_child_watcher_parent_class)->dispose (object);
}

static void
evp_multi_loop_child_watcher_class_init (EvpMultiLoopChildWatcherClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = evp_multi_loop_child_watcher_dispose;
}

static void
evp_multi_loop_child_watcher_init (EvpMultiLoopChildWatcher *self)
{
  evp_child_watcher_check_table (EVP_TYPE_MULTI_LOOP_CHILD_WATCHER, &own_table);
}

/**
 * evp_multi_loop_child_watcher_new:
 *
 * Makes a watcher. `SIGCHLD` is taken later, when the watcher is used.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpMultiLoopChildWatcher): a new watcher
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_multi_loop_child_watcher_new (void)
{
  return g_object_new (EVP_TYPE_MULTI_LOOP_CHILD_WATCHER, NULL);
}
