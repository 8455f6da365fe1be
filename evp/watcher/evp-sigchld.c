/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-sigchld-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/os/evp-os-signal-private.h"
#include "evp/watcher/evp-base-child-watcher-private.h"
#include "evp/watcher/evp-loop-reader-private.h"

#include <signal.h>

/* How long after a quick look that found something all children are asked at the latest. */
#define SWEEP_DELAY 0.05

struct _EvpSigchld
{
  gatomicrefcount ref_count;

  /* constant, apart from the count */
  EvpWatchTable *table;
  EvpAbstractEventLoop *loop;
  EvpOsSignalSubscriber *subscriber; /* freed by the last of its two users, the reader and the watcher */
  gint n_users;                      /* atomic */
  EvpSigchldQuickFunc quick;
  gpointer data;
  GDestroyNotify data_clear;

  EvpLoopReader *reader; /* set before anybody else sees it; freed by stop() */
  gint stopped;          /* atomic */
  gboolean posted;       /* a look is; the loop's thread only */
  gboolean scheduled;    /* a sweep is; the loop's thread only */
};

static EvpSigchld *
evp_sigchld_ref (EvpSigchld *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

static void
evp_sigchld_unref (gpointer data)
{
  EvpSigchld *self = data;

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  if (self->data != NULL)
    g_atomic_rc_box_release_full (self->data, self->data_clear);
  evp_watch_table_unref (self->table);
  g_object_unref (self->loop);
  g_free (self);
}

static void
evp_sigchld_release (gpointer data)
{
  EvpSigchld *self = data;

  if (g_atomic_int_dec_and_test (&self->n_users))
    g_clear_pointer (&self->subscriber, evp_os_signal_subscriber_free);
  evp_sigchld_unref (self);
}

void
evp_sigchld_tell (EvpWatchTable   *table,
                  EvpChildHandler *handler,
                  EvpWaitResult    result,
                  int              returncode)
{
  g_autoptr (EvpAbstractEventLoop) loop = evp_child_handler_dup_loop (handler);
  g_autoptr (EvpAbstractEventLoop) attached = NULL;
  g_autoptr (GThread) home = NULL;
  EvpLoopAccess access;

  attached = evp_watch_table_dup_loop (table, &home);
  if (loop == NULL && attached != NULL)
    {
      evp_child_handler_set_loop (handler, attached);
      loop = g_object_ref (attached);
    }
  if (loop != NULL && loop == attached && evp_loop_access_begin (&access, loop, home))
    {
      evp_loop_access_end (&access);
      evp_child_handler_run_here (handler, returncode, result == EVP_WAIT_LOST);
    }
  else
    evp_watch_tell (handler, result, returncode);
}

guint
evp_sigchld_sweep (EvpWatchTable *table)
{
  g_autoptr (GPtrArray) list = evp_watch_table_list (table);
  guint n = 0;

  for (guint i = 0; i < list->len; i++)
    {
      g_autoptr (EvpChildHandler) handler = NULL;
      EvpWaitResult result;
      int returncode = 0;

      /* one that was removed by a callback of this sweep is not asked */
      handler = evp_watch_collect (list->pdata[i], &result, &returncode);
      if (handler == NULL)
        continue;
      n++;
      evp_sigchld_tell (table, handler, result, returncode);
    }
  return n;
}

static void
scheduled_cb (gpointer user_data)
{
  EvpSigchld *self = user_data;

  self->scheduled = FALSE;
  if (!g_atomic_int_get (&self->stopped))
    evp_sigchld_sweep (self->table);
}

static void
look_cb (gpointer user_data)
{
  EvpSigchld *self = evp_sigchld_ref (user_data);

  self->posted = FALSE;
  if (g_atomic_int_get (&self->stopped))
    ;
  /*
   * Signals merge, so every time all children must be looked at; but asking each is only needed to find those whose
   * status somebody else took. When others were found that can wait a little, and many wait together.
   */
  else if (self->quick (self->table, self->data) == 0)
    evp_sigchld_sweep (self->table);
  else if (!self->scheduled && evp_watch_table_get_size (self->table) > 0 && !g_atomic_int_get (&self->stopped))
    {
      self->scheduled = evp_event_loop_call_later (self->loop, SWEEP_DELAY, scheduled_cb, evp_sigchld_ref (self),
                                                   evp_sigchld_unref, NULL) != NULL;
      if (!self->scheduled)
        /* a loop without timers */
        evp_sigchld_sweep (self->table);
    }
  evp_sigchld_unref (self);
}

/* Callbacks must not run in here: a main loop inside one of them would not see the next signal. */
static void
reader_ready (gpointer user_data)
{
  EvpSigchld *self = user_data;

  evp_os_signal_drain (self->subscriber);
  evp_os_signal_take_count (self->subscriber, SIGCHLD);
  if (!self->posted)
    self->posted = evp_event_loop_call_soon (self->loop, look_cb, evp_sigchld_ref (self), evp_sigchld_unref,
                                             NULL) != NULL;
}

static void
warn_detached (guint n_handlers)
{
  evp_warn_runtime (evp_ngettext ("The event loop was detached from its child watcher, which has %u pending handler; "
                                  "attach another loop, or its callback is not called",
                                  "The event loop was detached from its child watcher, which has %u pending handlers; "
                                  "attach another loop, or their callbacks are not called",
                                  n_handlers),
                    n_handlers);
}

/* The loop was closed: the handlers stay, and wait for another one. */
static void
reader_dropped (gpointer user_data)
{
  EvpSigchld *self = user_data;
  EvpAbstractEventLoop *loop = NULL;
  guint n_handlers;

  evp_os_signal_unsubscribe (self->subscriber, SIGCHLD);
  g_mutex_lock (&self->table->lock);
  if (self->table->loop == self->loop)
    loop = g_steal_pointer (&self->table->loop);
  n_handlers = g_hash_table_size (self->table->watches);
  g_mutex_unlock (&self->table->lock);
  if (loop != NULL && n_handlers > 0)
    warn_detached (n_handlers);
  g_clear_object (&loop);
}

static const EvpLoopReaderFuncs reader_funcs = {
  .ready = reader_ready,
  .dropped = reader_dropped,
  .gone = evp_sigchld_release,
};

EvpSigchld *
evp_sigchld_new (EvpWatchTable        *table,
                 EvpAbstractEventLoop *loop,
                 EvpSigchldQuickFunc   quick,
                 gpointer              data,
                 GDestroyNotify        data_clear,
                 GError              **error)
{
  EvpOsSignalSubscriber *subscriber;
  EvpSigchld *self;

  subscriber = evp_os_signal_subscriber_new (error);
  if (subscriber == NULL)
    return NULL;
  self = g_new0 (EvpSigchld, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->table = evp_watch_table_ref (table);
  self->loop = g_object_ref (loop);
  self->subscriber = subscriber;
  self->n_users = 2;
  self->quick = quick;
  self->data = data != NULL ? g_atomic_rc_box_acquire (data) : NULL;
  self->data_clear = data_clear;

  if (evp_os_signal_subscribe (subscriber, SIGCHLD, error))
    /* attach_loop() is called by the loop's thread */
    self->reader = evp_loop_reader_new (loop, g_thread_self (), evp_os_signal_subscriber_get_fd (subscriber),
                                        &reader_funcs, evp_sigchld_ref (self), error);
  else
    evp_sigchld_ref (self);
  if (self->reader != NULL)
    return self;
  evp_sigchld_release (self);
  evp_sigchld_release (self);
  return NULL;
}

void
evp_sigchld_stop (EvpSigchld *self)
{
  g_atomic_int_set (&self->stopped, TRUE);
  evp_os_signal_unsubscribe (self->subscriber, SIGCHLD);
  evp_loop_reader_stop (g_steal_pointer (&self->reader));
  evp_sigchld_release (self);
}

gboolean
evp_sigchld_attach (gpointer              watcher,
                    EvpSigchld          **slot,
                    EvpAbstractEventLoop *loop,
                    EvpSigchldQuickFunc   quick,
                    gpointer              data,
                    GDestroyNotify        data_clear,
                    GError              **error)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
  EvpSigchld *sigchld = NULL, *former;
  gboolean was_attached;
  guint n_handlers;

  if (!evp_base_child_watcher_check_main_loop (watcher, loop, error))
    return FALSE;
  /* the new one first: if it fails, everything is as before */
  if (loop != NULL)
    {
      sigchld = evp_sigchld_new (table, loop, quick, data, data_clear, error);
      if (sigchld == NULL)
        return FALSE;
    }

  g_mutex_lock (&table->lock);
  former = *slot;
  *slot = sigchld;
  was_attached = table->loop != NULL;
  n_handlers = g_hash_table_size (table->watches);
  g_mutex_unlock (&table->lock);
  evp_watch_table_attach (table, loop);
  if (former != NULL)
    evp_sigchld_stop (former);

  if (loop != NULL)
    /* children may have ended meanwhile */
    evp_sigchld_sweep (table);
  else if (was_attached && n_handlers > 0)
    warn_detached (n_handlers);
  return TRUE;
}

void
evp_sigchld_close (gpointer     watcher,
                   EvpSigchld **slot)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
  EvpSigchld *former;

  /* the handlers first, so nothing is pending that needed a warning */
  evp_watch_table_close (table);
  g_mutex_lock (&table->lock);
  former = g_steal_pointer (slot);
  g_mutex_unlock (&table->lock);
  if (former != NULL)
    evp_sigchld_stop (former);
}

gboolean
evp_sigchld_is_active (gpointer watcher)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
  g_autoptr (EvpAbstractEventLoop) loop = NULL;

  if (!evp_watch_table_check (table, NULL))
    return FALSE;
  loop = evp_watch_table_dup_loop (table, NULL);
  return loop != NULL && evp_os_signal_is_installed (SIGCHLD) && evp_event_loop_is_running (loop);
}
