/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-threaded-child-watcher.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-base-child-watcher-private.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/**
 * EvpThreadedChildWatcher:
 *
 * Notices the end of a child by a thread that waits for it. It needs nothing: no signal, no selector, no
 * particular thread. The default where there are no pidfds.
 *
 * The thread only waits: the child is reaped, and the callback runs, in the loop that ran where the child
 * was added (or that the watcher is attached to). The threads are small, have names of their own, and block all
 * signals. A child that is removed and added again keeps its thread.
 *
 * [method@Evp.AbstractChildWatcher.close] wakes and joins the threads, and waits for no child. Where there are no
 * pidfds, a thread cannot be woken: it ends with its child, and owns nothing but its stack until then.
 *
 * The cost of an exit is O(1); each child costs a thread while it lives.
 *
 * All methods may be called from any thread.
 *
 * In asyncio: `asyncio.ThreadedChildWatcher`.
 *
 * Since: 1.0
 */

/* Foreign loops may be written in a language whose interpreter runs on these stacks too. */
#define STACK_SIZE (256 * 1024)

/* The threads from one opening of the watcher to its closing. */
typedef struct
{
  gatomicrefcount ref_count;
  int wake_fd; /* constant; hangs up when the threads shall end */

  /* under the table's lock */
  int close_fd;        /* the other end of wake_fd */
  GHashTable *waiting; /* pid → watch, borrowed from its thread: the threads that have not seen the end yet */

  GMutex lock; /* protects n_threads */
  GCond ended;
  guint n_threads; /* those that can be woken */
} ThreadGroup;

typedef struct
{
  EvpWatch parent;

  ThreadGroup *group; /* (owned); constant once the thread runs */
  int pidfd;          /* constant once the thread runs; -1 if there is none */
} ThreadWatch;

struct _EvpThreadedChildWatcherPrivate
{
  ThreadGroup *group; /* under the table's lock; (owned) (nullable) */
};

typedef struct _EvpThreadedChildWatcherPrivate EvpThreadedChildWatcherPrivate;

static EvpAbstractChildWatcherInterface own_table;

static void evp_threaded_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpThreadedChildWatcher, evp_threaded_child_watcher, EVP_TYPE_BASE_CHILD_WATCHER,
                         G_ADD_PRIVATE (EvpThreadedChildWatcher)
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, evp_threaded_child_watcher_iface_init))

static __thread ThreadGroup *current_group; /* of a waiting thread */

static ThreadGroup *
thread_group_new (GError **error)
{
  ThreadGroup *self;
  int fds[2];

  if (!evp_os_fd_pipe (fds, TRUE, error))
    return NULL;
  self = g_new0 (ThreadGroup, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->wake_fd = fds[0];
  self->close_fd = fds[1];
  self->waiting = g_hash_table_new (NULL, NULL);
  g_mutex_init (&self->lock);
  g_cond_init (&self->ended);
  return self;
}

static ThreadGroup *
thread_group_ref (ThreadGroup *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

static void
thread_group_unref (ThreadGroup *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  evp_os_fd_close (self->wake_fd);
  evp_os_fd_close (self->close_fd);
  g_hash_table_unref (self->waiting);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->ended);
  g_free (self);
}

static void
thread_group_leave (ThreadGroup *self)
{
  g_mutex_lock (&self->lock);
  self->n_threads--;
  g_cond_broadcast (&self->ended);
  g_mutex_unlock (&self->lock);
}

/* FALSE if the group was closed first. */
static gboolean
thread_watch_wait (ThreadWatch *self)
{
  GPollFD fds[2] = {
    { .fd = self->pidfd, .events = G_IO_IN },
    { .fd = self->group->wake_fd, .events = G_IO_IN },
  };

  if (self->pidfd < 0)
    {
      /* whether it has ended or is none of ours will be seen when it is reaped */
      evp_os_wait_peek (self->parent.pid);
      return TRUE;
    }
  while (g_poll (fds, 2, -1) < 0 && errno == EINTR)
    ;
  if (fds[1].revents != 0)
    return FALSE;
  /* who is told to look must find it */
  if (evp_os_wait_look (self->parent.pid) == EVP_WAIT_RUNNING)
    evp_os_wait_peek (self->parent.pid);
  return TRUE;
}

static void *
thread_watch_thread (void *data)
{
  static gint n_started;
  ThreadWatch *self = data;
  EvpWatchTable *table = self->parent.table;
  ThreadGroup *group = self->group;
  gboolean counted = self->pidfd >= 0, ended;
#ifdef __linux__
  char name[16];

  snprintf (name, sizeof name, "evp-wait-%u", (guint) (g_atomic_int_add (&n_started, 1) + 1) % 1000000);
  pthread_setname_np (pthread_self (), name);
#endif
  evp_child_handler_enter_helper_thread ();
  current_group = group;

  ended = thread_watch_wait (self);

  g_mutex_lock (&table->lock);
  g_hash_table_remove (group->waiting, GINT_TO_POINTER (self->parent.pid));
  g_mutex_unlock (&table->lock);
  if (ended)
    evp_watch_publish (&self->parent);

  thread_group_ref (group);
  evp_watch_unref (self);
  if (counted)
    thread_group_leave (group);
  thread_group_unref (group);
  return NULL;
}

/* 0 or an errno. */
static int
thread_watch_start (ThreadWatch *self)
{
  gsize stack_size = STACK_SIZE;
  sigset_t all, former;
  pthread_attr_t attr;
  pthread_t thread;
  int failure;

#ifdef _SC_THREAD_STACK_MIN
  stack_size = MAX (stack_size, (gsize) MAX (sysconf (_SC_THREAD_STACK_MIN), 0));
#endif
  pthread_attr_init (&attr);
  pthread_attr_setdetachstate (&attr, PTHREAD_CREATE_DETACHED);
#if !defined (__SANITIZE_ADDRESS__) && !defined (__SANITIZE_THREAD__)
  pthread_attr_setstacksize (&attr, stack_size);
#endif

  evp_watch_ref (&self->parent);
  if (self->pidfd >= 0)
    {
      g_mutex_lock (&self->group->lock);
      self->group->n_threads++;
      g_mutex_unlock (&self->group->lock);
    }
  /* signals are for the threads of the program */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &former);
  failure = pthread_create (&thread, &attr, thread_watch_thread, self);
  pthread_sigmask (SIG_SETMASK, &former, NULL);
  pthread_attr_destroy (&attr);
  if (failure != 0)
    {
      if (self->pidfd >= 0)
        thread_group_leave (self->group);
      evp_watch_unref (self);
    }
  return failure;
}

static void
thread_watch_clear (EvpWatch *watch)
{
  ThreadWatch *self = (ThreadWatch *) watch;

  if (self->group != NULL)
    {
      evp_os_fd_close (self->pidfd);
      thread_group_unref (self->group);
    }
}

static EvpWaitResult
thread_watch_reap (EvpWatch *watch,
                   int      *returncode,
                   double   *cpu_time)
{
  ThreadWatch *self = (ThreadWatch *) watch;

  return self->group != NULL && self->pidfd >= 0
         ? evp_os_wait_reap_pidfd (self->pidfd, watch->pid, returncode, cpu_time)
         : evp_os_wait_reap (watch->pid, returncode, cpu_time);
}

static const EvpWatchFuncs watch_funcs = {
  .size = sizeof (ThreadWatch),
  .clear = thread_watch_clear,
  .reap = thread_watch_reap,
};

/* The group that is open, with a reference; NULL with @error if there is none left to be had. */
static ThreadGroup *
evp_threaded_child_watcher_ref_group (EvpThreadedChildWatcher *self,
                                      GError                 **error)
{
  EvpThreadedChildWatcherPrivate *priv = evp_threaded_child_watcher_get_instance_private (self);
  EvpWatchTable *table = evp_base_child_watcher_get_table (self);
  ThreadGroup *group;

  g_mutex_lock (&table->lock);
  if (priv->group == NULL)
    priv->group = thread_group_new (error);
  group = priv->group != NULL ? thread_group_ref (priv->group) : NULL;
  g_mutex_unlock (&table->lock);
  return group;
}

static gboolean
evp_threaded_child_watcher_add_handler (EvpAbstractChildWatcher *watcher,
                                        GPid                     pid,
                                        EvpChildHandler         *handler,
                                        GError                 **error)
{
  EvpThreadedChildWatcher *self = EVP_THREADED_CHILD_WATCHER (watcher);
  EvpWatchTable *table = evp_base_child_watcher_get_table (self);
  EvpChildHandler *replaced = NULL, *mine;
  ThreadGroup *group;
  ThreadWatch *watch;
  int failure;

  if (!evp_watch_table_check (table, error) || !evp_watch_table_bind (table, handler, error))
    return FALSE;
  group = evp_threaded_child_watcher_ref_group (self, error);
  if (group == NULL)
    return FALSE;

  if (!evp_watch_table_lock_open (table, error))
    {
      thread_group_unref (group);
      return FALSE;
    }
  watch = g_hash_table_lookup (group->waiting, GINT_TO_POINTER (pid));
  if (watch != NULL && watch->parent.handler == NULL)
    {
      /* removed, and now added again: its thread still waits */
      evp_watch_table_readd_locked (table, &watch->parent, handler);
      g_mutex_unlock (&table->lock);
      thread_group_unref (group);
      evp_child_handler_guard (handler);
      return TRUE;
    }
  watch = (ThreadWatch *) evp_watch_table_add_locked (table, handler, &watch_funcs, &replaced);
  if (replaced == NULL)
    {
      watch->group = group;
      watch->pidfd = EVP_FD_NONE;
      if (evp_os_wait_look (pid) == EVP_WAIT_RUNNING)
        {
          /* without one, the thread waits in another way */
          if (evp_os_pidfd_supported (NULL))
            watch->pidfd = evp_os_pidfd_open (pid, NULL);
          g_hash_table_insert (group->waiting, GINT_TO_POINTER (pid), watch);
          g_mutex_unlock (&table->lock);
          failure = thread_watch_start (watch);
        }
      else
        {
          g_mutex_unlock (&table->lock);
          evp_watch_publish (&watch->parent);
          failure = 0;
        }
    }
  else
    {
      g_mutex_unlock (&table->lock);
      thread_group_unref (group);
      evp_watch_replaced (&watch->parent, replaced);
      failure = 0;
    }

  if (failure == 0)
    /* its data must not be released by a thread that waits */
    evp_child_handler_guard (handler);
  else
    {
      g_mutex_lock (&table->lock);
      g_hash_table_remove (group->waiting, GINT_TO_POINTER (pid));
      mine = evp_watch_take_locked (&watch->parent);
      g_mutex_unlock (&table->lock);
      if (mine != NULL && mine != handler)
        evp_child_handler_invoke_lost (mine, pid);
      g_clear_object (&mine);
      evp_set_error_from_errno (error, failure, _("Cannot start a thread that waits for child %d"), (int) pid);
    }
  evp_watch_unref (watch);
  return failure == 0;
}

static void
evp_threaded_child_watcher_close_threads (EvpThreadedChildWatcher *self)
{
  EvpThreadedChildWatcherPrivate *priv = evp_threaded_child_watcher_get_instance_private (self);
  EvpWatchTable *table = evp_base_child_watcher_get_table (self);
  ThreadGroup *group;

  evp_watch_table_close (table);

  g_mutex_lock (&table->lock);
  group = g_steal_pointer (&priv->group);
  if (group != NULL)
    {
      evp_os_fd_close (group->close_fd);
      group->close_fd = EVP_FD_NONE;
    }
  g_mutex_unlock (&table->lock);
  if (group == NULL)
    return;

  /* a foreign loop may release the watcher's last reference on one of its own threads */
  g_mutex_lock (&group->lock);
  while (group->n_threads > (current_group == group ? 1 : 0))
    g_cond_wait (&group->ended, &group->lock);
  g_mutex_unlock (&group->lock);
  thread_group_unref (group);
}

static void
evp_threaded_child_watcher_close (EvpAbstractChildWatcher *watcher)
{
  if (!evp_watch_table_is_forked (evp_base_child_watcher_get_table (watcher)))
    evp_threaded_child_watcher_close_threads (EVP_THREADED_CHILD_WATCHER (watcher));
}

static void
evp_threaded_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->add_handler = evp_threaded_child_watcher_add_handler;
  iface->close = evp_threaded_child_watcher_close;
  own_table = *iface;
}

static void
evp_threaded_child_watcher_dispose (GObject *object)
{
  if (evp_base_child_watcher_begin_dispose (object))
    evp_threaded_child_watcher_close_threads (EVP_THREADED_CHILD_WATCHER (object));

  G_OBJECT_CLASS (evp_threaded_child_watcher_parent_class)->dispose (object);
}

static void
evp_threaded_child_watcher_class_init (EvpThreadedChildWatcherClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = evp_threaded_child_watcher_dispose;
}

static void
evp_threaded_child_watcher_init (EvpThreadedChildWatcher *self)
{
  evp_child_watcher_check_table (EVP_TYPE_THREADED_CHILD_WATCHER, &own_table);
}

/**
 * evp_threaded_child_watcher_new:
 *
 * Makes a watcher. Threads are started when children are added.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpThreadedChildWatcher): a new watcher
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_threaded_child_watcher_new (void)
{
  return g_object_new (EVP_TYPE_THREADED_CHILD_WATCHER, NULL);
}
