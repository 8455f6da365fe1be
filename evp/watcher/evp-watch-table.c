/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-watch-table-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/os/evp-os-fork-private.h"

EvpWatchTable *
evp_watch_table_new (void)
{
  EvpWatchTable *self = g_new0 (EvpWatchTable, 1);

  g_atomic_ref_count_init (&self->ref_count);
  g_mutex_init (&self->lock);
  self->generation = evp_os_fork_generation ();
  self->watches = g_hash_table_new_full (NULL, NULL, NULL, evp_watch_unref);
  return self;
}

EvpWatchTable *
evp_watch_table_ref (EvpWatchTable *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
evp_watch_table_unref (EvpWatchTable *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_hash_table_unref (self->watches);
  g_clear_object (&self->loop);
  g_clear_pointer (&self->home, g_thread_unref);
  g_mutex_clear (&self->lock);
  g_free (self);
}

gboolean
evp_watch_table_is_forked (EvpWatchTable *self)
{
  return self->generation != evp_os_fork_generation ();
}

gboolean
evp_watch_table_lock_open (EvpWatchTable *self,
                           GError       **error)
{
  /* the lock may be held by a thread of the parent for ever */
  if (evp_watch_table_is_forked (self))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_FORKED,
                           _("The child watcher belongs to the process from before fork(), as do its children; "
                             "make a new one"));
      return FALSE;
    }
  g_mutex_lock (&self->lock);
  if (!self->closed)
    return TRUE;
  g_mutex_unlock (&self->lock);
  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_WATCHER_CLOSED,
                       _("The child watcher is closed; attach it to a loop again, or make a new one"));
  return FALSE;
}

gboolean
evp_watch_table_check (EvpWatchTable *self,
                       GError       **error)
{
  if (!evp_watch_table_lock_open (self, error))
    return FALSE;
  g_mutex_unlock (&self->lock);
  return TRUE;
}

guint
evp_watch_table_get_size (EvpWatchTable *self)
{
  guint size;

  if (evp_watch_table_is_forked (self))
    return 0;
  g_mutex_lock (&self->lock);
  size = g_hash_table_size (self->watches);
  g_mutex_unlock (&self->lock);
  return size;
}

EvpAbstractEventLoop *
evp_watch_table_dup_loop (EvpWatchTable *self,
                          GThread      **home)
{
  EvpAbstractEventLoop *loop;

  g_mutex_lock (&self->lock);
  loop = self->loop != NULL ? g_object_ref (self->loop) : NULL;
  if (home != NULL)
    *home = self->home != NULL ? g_thread_ref (self->home) : NULL;
  g_mutex_unlock (&self->lock);
  return loop;
}

GThread *
evp_watch_table_dup_home (EvpWatchTable        *self,
                          EvpAbstractEventLoop *loop)
{
  GThread *home;

  g_mutex_lock (&self->lock);
  home = loop != NULL && loop == self->loop ? g_thread_ref (self->home) : NULL;
  g_mutex_unlock (&self->lock);
  return home;
}

gboolean
evp_watch_table_bind (EvpWatchTable   *self,
                      EvpChildHandler *handler,
                      GError         **error)
{
  g_autoptr (EvpAbstractEventLoop) loop = evp_child_handler_dup_loop (handler);
  gboolean bound = loop != NULL;

  if (!bound)
    {
      loop = evp_watch_table_dup_loop (self, NULL);
      if (loop == NULL)
        {
          g_set_error_literal (error, EVP_ERROR, EVP_ERROR_NO_RUNNING_LOOP,
                               _("No event loop runs in this thread, and the child watcher is attached to none; "
                                 "call this from a running loop, or ask evp_get_event_loop() in the main thread "
                                 "before, or attach the watcher"));
          return FALSE;
        }
    }
  if (evp_event_loop_is_closed (loop))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED, _("The event loop is closed; make a new one"));
      return FALSE;
    }
  if (!bound)
    evp_child_handler_set_loop (handler, loop);
  return TRUE;
}

/* Whether a handler goes where the watcher is attached; under the lock. */
static gboolean
follows (EvpWatchTable   *self,
         EvpChildHandler *handler)
{
  EvpAbstractEventLoop *loop = evp_child_handler_get_loop (handler);

  return loop == NULL || loop == self->loop;
}

EvpWatch *
evp_watch_table_add_locked (EvpWatchTable       *self,
                            EvpChildHandler     *handler,
                            const EvpWatchFuncs *funcs,
                            EvpChildHandler    **replaced)
{
  GPid pid = evp_child_handler_get_pid (handler);
  EvpWatch *watch = g_hash_table_lookup (self->watches, GINT_TO_POINTER (pid));

  *replaced = NULL;
  if (watch != NULL)
    *replaced = watch->handler;
  else
    {
      watch = g_malloc0 (funcs->size);
      g_atomic_ref_count_init (&watch->ref_count);
      watch->funcs = funcs;
      watch->table = evp_watch_table_ref (self);
      watch->pid = pid;
      g_hash_table_insert (self->watches, GINT_TO_POINTER (pid), watch);
    }
  watch->handler = g_object_ref (handler);
  watch->follows = follows (self, handler);
  return evp_watch_ref (watch);
}

void
evp_watch_table_readd_locked (EvpWatchTable   *self,
                              EvpWatch        *watch,
                              EvpChildHandler *handler)
{
  watch->handler = g_object_ref (handler);
  watch->follows = follows (self, handler);
  g_hash_table_insert (self->watches, GINT_TO_POINTER (watch->pid), evp_watch_ref (watch));
}

void
evp_watch_replaced (EvpWatch        *watch,
                    EvpChildHandler *replaced)
{
  gboolean same;

  if (replaced == NULL)
    return;
  g_mutex_lock (&watch->table->lock);
  same = watch->handler == replaced;
  g_mutex_unlock (&watch->table->lock);
  if (!same)
    evp_child_handler_cancel (replaced);
  g_object_unref (replaced);
  if (watch->funcs->moved != NULL)
    watch->funcs->moved (watch);
}

EvpWatch *
evp_watch_table_add (EvpWatchTable       *self,
                     EvpChildHandler     *handler,
                     const EvpWatchFuncs *funcs,
                     gboolean            *fresh)
{
  EvpChildHandler *replaced;
  EvpWatch *watch;

  g_mutex_lock (&self->lock);
  watch = evp_watch_table_add_locked (self, handler, funcs, &replaced);
  g_mutex_unlock (&self->lock);
  *fresh = replaced == NULL;
  evp_watch_replaced (watch, replaced);
  return watch;
}

static void
forget (EvpWatch        *watch,
        EvpChildHandler *handler)
{
  if (watch->funcs->stop != NULL)
    watch->funcs->stop (watch);
  evp_child_handler_cancel (handler);
  g_object_unref (handler);
}

gboolean
evp_watch_table_remove (EvpWatchTable *self,
                        GPid           pid)
{
  EvpChildHandler *handler = NULL;
  EvpWatch *watch;

  if (evp_watch_table_is_forked (self))
    return FALSE;
  g_mutex_lock (&self->lock);
  watch = g_hash_table_lookup (self->watches, GINT_TO_POINTER (pid));
  if (watch != NULL)
    {
      evp_watch_ref (watch);
      handler = evp_watch_take_locked (watch);
    }
  g_mutex_unlock (&self->lock);
  if (watch == NULL)
    return FALSE;
  forget (watch, handler);
  evp_watch_unref (watch);
  return TRUE;
}

GPtrArray *
evp_watch_table_list (EvpWatchTable *self)
{
  GPtrArray *list;
  GHashTableIter iter;
  gpointer watch;

  g_mutex_lock (&self->lock);
  list = g_ptr_array_new_full (g_hash_table_size (self->watches), evp_watch_unref);
  g_hash_table_iter_init (&iter, self->watches);
  while (g_hash_table_iter_next (&iter, NULL, &watch))
    g_ptr_array_add (list, evp_watch_ref (watch));
  g_mutex_unlock (&self->lock);
  return list;
}

void
evp_watch_table_close (EvpWatchTable *self)
{
  g_autoptr (GPtrArray) list = NULL;
  EvpAbstractEventLoop *loop;

  g_mutex_lock (&self->lock);
  self->closed = TRUE;
  loop = g_steal_pointer (&self->loop);
  g_mutex_unlock (&self->lock);
  g_clear_object (&loop);

  list = evp_watch_table_list (self);
  for (guint i = 0; i < list->len; i++)
    {
      EvpWatch *watch = list->pdata[i];
      EvpChildHandler *handler = evp_watch_take (watch);

      if (handler != NULL)
        forget (watch, handler);
    }
}

void
evp_watch_table_attach (EvpWatchTable        *self,
                        EvpAbstractEventLoop *loop)
{
  g_autoptr (GPtrArray) list = NULL;
  EvpAbstractEventLoop *former;

  g_mutex_lock (&self->lock);
  former = self->loop;
  self->loop = loop != NULL ? g_object_ref (loop) : NULL;
  g_clear_pointer (&self->home, g_thread_unref);
  if (loop != NULL)
    {
      self->home = g_thread_ref (g_thread_self ());
      self->closed = FALSE;
    }
  g_mutex_unlock (&self->lock);

  if (loop != NULL)
    {
      list = evp_watch_table_list (self);
      for (guint i = 0; i < list->len; i++)
        {
          EvpWatch *watch = list->pdata[i];
          EvpChildHandler *handler;

          g_mutex_lock (&self->lock);
          handler = watch->follows && watch->handler != NULL ? g_object_ref (watch->handler) : NULL;
          g_mutex_unlock (&self->lock);
          if (handler == NULL)
            continue;
          evp_child_handler_set_loop (handler, loop);
          if (watch->funcs->moved != NULL)
            watch->funcs->moved (watch);
          g_object_unref (handler);
        }
    }
  g_clear_object (&former);
}

EvpWatch *
evp_watch_ref (EvpWatch *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
evp_watch_unref (gpointer data)
{
  EvpWatch *self = data;

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  if (self->funcs->clear != NULL)
    self->funcs->clear (self);
  g_clear_object (&self->handler);
  evp_watch_table_unref (self->table);
  g_free (self);
}

gboolean
evp_watch_is_live (EvpWatch *self)
{
  gboolean live;

  g_mutex_lock (&self->table->lock);
  live = self->handler != NULL;
  g_mutex_unlock (&self->table->lock);
  return live;
}

EvpChildHandler *
evp_watch_take_locked (EvpWatch *self)
{
  EvpChildHandler *handler = g_steal_pointer (&self->handler);

  /* the caller holds a reference besides the table's */
  if (handler != NULL)
    g_hash_table_remove (self->table->watches, GINT_TO_POINTER (self->pid));
  return handler;
}

EvpChildHandler *
evp_watch_take (EvpWatch *self)
{
  EvpChildHandler *handler;

  g_mutex_lock (&self->table->lock);
  handler = evp_watch_take_locked (self);
  g_mutex_unlock (&self->table->lock);
  return handler;
}

EvpChildHandler *
evp_watch_collect (EvpWatch      *self,
                   EvpWaitResult *result,
                   int           *returncode)
{
  EvpChildHandler *handler = NULL;
  double cpu_time = EVP_CPU_TIME_UNKNOWN;

  *result = EVP_WAIT_RUNNING;
  /* the caller holds a reference, so the table's is not the last */
  g_mutex_lock (&self->table->lock);
  if (self->handler != NULL)
    {
      *result = self->funcs->reap != NULL ? self->funcs->reap (self, returncode, &cpu_time)
                                          : evp_os_wait_reap (self->pid, returncode, &cpu_time);
      if (*result != EVP_WAIT_RUNNING)
        handler = evp_watch_take_locked (self);
    }
  g_mutex_unlock (&self->table->lock);
  if (handler != NULL)
    evp_child_handler_set_cpu_time (handler, cpu_time);
  return handler;
}

void
evp_watch_tell (EvpChildHandler *handler,
                EvpWaitResult    result,
                int              returncode)
{
  GPid pid = evp_child_handler_get_pid (handler);

  if (result == EVP_WAIT_LOST)
    evp_child_handler_invoke_lost (handler, pid);
  else
    evp_child_handler_invoke (handler, pid, returncode);
}

gboolean
evp_watch_finish (EvpWatch *self)
{
  g_autoptr (EvpChildHandler) handler = NULL;
  EvpWaitResult result;
  int returncode = 0;

  handler = evp_watch_collect (self, &result, &returncode);
  if (handler == NULL)
    return FALSE;
  /* what stop() lets go of may hold the last reference */
  evp_watch_ref (self);
  if (self->funcs->stop != NULL)
    self->funcs->stop (self);
  /* before the callback, which may take its time: what the watch holds is needed no more */
  evp_watch_unref (self);
  evp_watch_tell (handler, result, returncode);
  return TRUE;
}

void
evp_watch_drop (EvpWatch *self)
{
  g_autoptr (EvpChildHandler) handler = NULL;
  EvpWaitResult result;
  int returncode = 0;

  handler = evp_watch_collect (self, &result, &returncode);
  if (handler == NULL)
    handler = evp_watch_take (self);
  if (handler == NULL)
    return;
  evp_watch_ref (self);
  if (self->funcs->stop != NULL)
    self->funcs->stop (self);
  evp_child_handler_drop (handler);
  evp_watch_unref (self);
}

/* A watch on its way to the loop of its handler. */
typedef struct
{
  EvpWatch *watch;
  EvpAbstractEventLoop *loop;
  gboolean ran;
} Posted;

static void
posted_cb (gpointer data)
{
  Posted *posted = data;

  posted->ran = TRUE;
  g_mutex_lock (&posted->watch->table->lock);
  posted->watch->posted = FALSE;
  g_mutex_unlock (&posted->watch->table->lock);
  evp_watch_finish (posted->watch);
}

/* It has run, or the loop is closed. */
static void
posted_free (gpointer data)
{
  Posted *posted = data;
  EvpWatch *watch = posted->watch;

  if (!posted->ran)
    {
      gboolean moved;

      g_mutex_lock (&watch->table->lock);
      watch->posted = FALSE;
      moved = watch->handler != NULL && evp_child_handler_get_loop (watch->handler) != posted->loop;
      g_mutex_unlock (&watch->table->lock);
      if (moved)
        evp_watch_publish (watch);
      else
        evp_watch_drop (watch);
    }
  evp_watch_unref (watch);
  g_object_unref (posted->loop);
  g_free (posted);
}

void
evp_watch_publish (EvpWatch *self)
{
  EvpAbstractEventLoop *loop = NULL;
  Posted *posted;

  g_mutex_lock (&self->table->lock);
  if (self->handler != NULL && !self->posted)
    {
      self->posted = TRUE;
      loop = evp_child_handler_dup_loop (self->handler);
    }
  g_mutex_unlock (&self->table->lock);
  if (loop == NULL)
    return;

  posted = g_new0 (Posted, 1);
  posted->watch = evp_watch_ref (self);
  posted->loop = loop;
  /* a refusal ends in posted_free() too */
  evp_event_loop_call_soon_threadsafe (loop, posted_cb, posted, posted_free, NULL);
}
