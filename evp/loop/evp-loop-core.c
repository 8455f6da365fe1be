/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-core-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/base/evp-string-private.h"
#include "evp/base/evp-trace-private.h"
#include "evp/loop/evp-loop-files-private.h"
#include "evp/loop/evp-loop-signals-private.h"
#include "evp/loop/evp-loop-source-private.h"
#include "evp/loop/evp-running-loop-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-fork-private.h"

/*
 * Several rounds run in one dispatch of the source: a turn of the main context costs about a hundred
 * times as much as a callback. Other sources of the same priority get their turn after this
 * long, give or take half of it.
 */
#define DEFAULT_BUDGET (100 * EVP_NSEC_PER_USEC)

/* While callbacks keep coming, the kernel is asked for events this often. */
#define IO_INTERVAL (50 * EVP_NSEC_PER_USEC)

/*
 * Sleeps that end in quick succession are joined: after a wake-up for a timer the next one comes no sooner
 * than this. Without it, timers 25 µs apart each pay for a wake-up.
 */
#define DEFAULT_COALESCING (50 * EVP_NSEC_PER_USEC)

/* Looking at the clock costs as much as a few callbacks, so it is done once in up to so many. */
#define MAX_CHECK_EVERY 64
#define SHORT_CHECK (4 * EVP_NSEC_PER_USEC)

static void
evp_loop_core_free (EvpHandlePool *pool)
{
  g_free (pool);
}

EvpLoopCore *
evp_loop_core_new (EvpAbstractEventLoop *loop)
{
  static gsize last_serial = 0; /* atomic */
  EvpLoopCore *self = g_new0 (EvpLoopCore, 1);

  self->ref_count = 1;
  self->serial = (gsize) g_atomic_pointer_add (&last_serial, 1) + 1;
  self->loop = loop;
  evp_handle_pool_init (&self->pool, evp_loop_core_free);
  evp_inbox_init (&self->inbox);
  self->generation = 1;
  self->timer_fd = -1;
  self->timer_armed = EVP_TIME_NEVER;
  self->coalescing = DEFAULT_COALESCING;
  self->budget = DEFAULT_BUDGET;
  self->check_every = 1;
  self->slow_callback = EVP_NSEC_PER_SEC / 10;
  self->measuring = evp_trace_is_active ();
  self->fork_generation = evp_os_fork_generation ();
  return self;
}

EvpLoopCore *
evp_loop_core_ref (EvpLoopCore *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
evp_loop_core_unref (EvpLoopCore *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  if (self->io_funcs != NULL)
    self->io_funcs->free (self->io);
  g_clear_object (&self->spare_task);
  g_clear_pointer (&self->scratch, g_free);
  evp_loop_files_clear_spare (self);
  evp_inbox_clear (&self->inbox);
  g_clear_pointer (&self->timers, evp_timer_queue_free);
  g_clear_pointer (&self->context, g_main_context_unref);
  evp_handle_pool_orphan (&self->pool);
}

void
evp_loop_core_set_slow (EvpLoopCore *self,
                        EvpLoopSlow  reason,
                        gboolean     set)
{
  if (set)
    __atomic_or_fetch (&self->slow, reason, __ATOMIC_RELAXED);
  else
    __atomic_and_fetch (&self->slow, ~(guint) reason, __ATOMIC_RELAXED);
}

void
evp_loop_core_set_debug (EvpLoopCore *self,
                         gboolean     enabled)
{
  self->debug = enabled;
  self->measuring = enabled || evp_trace_is_active ();
  evp_loop_core_set_slow (self, EVP_LOOP_SLOW_DEBUG, enabled);
}

static void
release_batch (EvpLoopCore *self,
               EvpBatch    *batch)
{
  while (batch->next < batch->n_posts)
    {
      EvpPost post = batch->posts[batch->next++];

      evp_post_drop (&post);
    }
  evp_inbox_recycle (&self->inbox, batch);
}

void
evp_loop_core_close (EvpLoopCore *self)
{
  EvpBatch *last;
  EvpHandle *handle;

  /* user data is released below, which runs foreign code: it finds a closed loop */
  __atomic_store_n (&self->closed, TRUE, __ATOMIC_RELAXED);
  evp_loop_core_set_slow (self, EVP_LOOP_SLOW_CLOSED, TRUE);

  g_clear_object (&self->spare_task);
  g_clear_pointer (&self->scratch, g_free);
  evp_loop_files_clear_spare (self);
  evp_loop_source_detach (self);
  last = evp_inbox_close (&self->inbox);
  g_clear_pointer (&self->signals, evp_loop_signals_free);
  if (self->io_funcs != NULL)
    self->io_funcs->close (self->io);

  while (self->ready.head != NULL)
    {
      handle = evp_ready_queue_pop (&self->ready);
      if (handle->kind == EVP_HANDLE_BATCH)
        {
          release_batch (self, (EvpBatch *) handle);
          continue;
        }
      if (handle->kind == EVP_HANDLE_CALLBACK || handle->kind == EVP_HANDLE_TIMER
          || (handle->flags & EVP_HANDLE_DETACHED) != 0)
        {
          evp_handle_drop (handle);
          evp_handle_unref (handle);
        }
    }
  if (last != NULL)
    release_batch (self, last);

  if (self->timers != NULL)
    while ((handle = evp_timer_queue_pop_any (self->timers)) != NULL)
      {
        handle->flags &= (guint8) ~EVP_HANDLE_ARMED;
        evp_handle_drop (handle);
        evp_handle_unref (handle);
      }
}

void
evp_loop_core_drain (EvpLoopCore *self)
{
  EvpBatch *batch;

  /* before the inbox is emptied: what comes after is marked again */
  if ((__atomic_load_n (&self->slow, __ATOMIC_RELAXED) & EVP_LOOP_SLOW_POSTED) != 0)
    evp_loop_core_set_slow (self, EVP_LOOP_SLOW_POSTED, FALSE);
  batch = evp_inbox_drain (&self->inbox);
  if (batch != NULL)
    evp_loop_core_push (self, &batch->handle);
}

EvpHandle *
evp_loop_core_call_soon_slowly (EvpLoopCore   *self,
                                EvpCallback    callback,
                                gpointer       user_data,
                                GDestroyNotify destroy)
{
  EvpHandle *handle = evp_handle_pool_alloc (&self->pool);
  handle->callback.plain = callback;
  handle->user_data = user_data;
  handle->destroy = destroy;
  handle->kind = EVP_HANDLE_CALLBACK;
  handle->flags = 0;
  evp_loop_core_push (self, handle);
  return handle;
}

/*
 * The producer has published its post, then reads `sleeping`; the loop stores `sleeping`, then looks for
 * posts. Both orders are sequentially consistent, so at least one of the two sees the other.
 */
void
evp_loop_core_wake (EvpLoopCore *self)
{
  if (__atomic_load_n (&self->sleeping, __ATOMIC_SEQ_CST)
      && __atomic_exchange_n (&self->sleeping, 0, __ATOMIC_SEQ_CST))
    g_main_context_wakeup (self->context);
}

gboolean
evp_loop_core_post (EvpLoopCore   *self,
                    EvpCallback    callback,
                    gpointer       user_data,
                    GDestroyNotify destroy)
{
  gpointer owner = __atomic_load_n (&self->pool.owner, __ATOMIC_RELAXED);

  if (owner == evp_handle_thread_token ())
    {
      /* inside a turn: in the order of the calls, with what call_soon() queues */
      EvpHandle *handle;

      if (self->closed)
        return FALSE;
      evp_loop_core_drain (self);
      if (callback != NULL)
        evp_loop_core_call_soon (self, callback, user_data, destroy);
      else
        {
          handle = user_data;
          evp_loop_core_push (self, handle);
        }
      return TRUE;
    }

  if (!evp_inbox_post (&self->inbox, callback, user_data, destroy))
    return FALSE;
  if (owner == NULL && (__atomic_load_n (&self->slow, __ATOMIC_RELAXED) & EVP_LOOP_SLOW_POSTED) == 0)
    evp_loop_core_set_slow (self, EVP_LOOP_SLOW_POSTED, TRUE);
  evp_loop_core_wake (self);
  return TRUE;
}

/* Timers */

static void
evp_loop_core_timer_cancelled (EvpHandlePool *pool,
                               EvpHandle     *handle)
{
  EvpLoopCore *self = (EvpLoopCore *) pool;

  evp_timer_queue_remove (self->timers, handle);
  handle->flags &= (guint8) ~EVP_HANDLE_ARMED;
}

static inline void
insert_timer (EvpLoopCore *self,
              EvpHandle   *handle)
{
  if (G_UNLIKELY (self->timers == NULL))
    {
      self->timers = evp_timer_queue_new ();
      self->now = evp_clock_get_time_ns ();
      self->pool.timer_cancelled = evp_loop_core_timer_cancelled;
    }
  handle->flags |= EVP_HANDLE_ARMED;
  /* the time only tells the queue how far it is; that of the last look will do */
  evp_timer_queue_insert (self->timers, handle, self->now);
}

EvpHandle *
evp_loop_core_add_timer (EvpLoopCore   *self,
                         gint64         when,
                         EvpCallback    callback,
                         gpointer       user_data,
                         GDestroyNotify destroy)
{
  EvpHandle *handle = evp_handle_pool_alloc (&self->pool);

  handle->callback.plain = callback;
  handle->user_data = user_data;
  handle->destroy = destroy;
  handle->kind = EVP_HANDLE_TIMER;
  handle->flags = 0;
  handle->when = when;
  insert_timer (self, handle);
  return handle;
}

void
evp_loop_core_arm (EvpLoopCore *self,
                   EvpHandle   *handle)
{
  insert_timer (self, evp_handle_ref (handle));
  if (handle->pool == NULL && handle->kind == EVP_HANDLE_TIMER)
    ((EvpOwnTimer *) handle)->armed_in = &self->pool;
}

static inline void
queue_due_timers (EvpLoopCore *self,
                  gint64       now)
{
  EvpHandle *handle;

  self->now = now;
  if (self->timers == NULL || evp_timer_queue_get_next (self->timers) > now)
    return;
  while ((handle = evp_timer_queue_pop_due (self->timers, now)) != NULL)
    {
      handle->flags &= (guint8) ~EVP_HANDLE_ARMED;
      evp_loop_core_push (self, handle);
    }
}

/* Running */

static void
report_slow (EvpLoopCore *self,
             EvpHandle   *handle,
             gint64       took,
             gint64       mark)
{
  g_autofree char *what = self->running_name != NULL ? g_strdup (self->running_name) : evp_handle_describe (handle);
  g_autofree char *origin = evp_handle_describe_origin (handle);

  if (mark != 0)
    evp_trace_mark (mark, "Slow callback", what);
  if (!self->debug)
    return;
  if (origin != NULL)
    /* Translators: a callback, seconds, and a text of several lines that says where it was scheduled */
    evp_warn_runtime (_("Executing %s took %.3f seconds\n%s"), what, evp_clock_ns_to_seconds (took), origin);
  else
    evp_warn_runtime (_("Executing %s took %.3f seconds"), what, evp_clock_ns_to_seconds (took));
}

static void
run_measured (EvpLoopCore *self,
              EvpHandle   *handle)
{
  gint64 mark = G_UNLIKELY (evp_trace_is_active ()) ? evp_trace_now () : 0;
  gint64 start = evp_clock_get_time_ns ();
  char *outer = g_steal_pointer (&self->running_name);
  gint64 took;

  evp_handle_ref (handle);
  self->n_measured++;
  evp_handle_run (handle);
  self->n_measured--;
  took = evp_clock_get_time_ns () - start;
  self->longest_callback = MAX (self->longest_callback, took);
  if (took >= self->slow_callback)
    report_slow (self, handle, took, mark);
  g_free (self->running_name);
  self->running_name = outer;
  evp_handle_unref (handle);
}

void
evp_loop_core_name_running (EvpLoopCore *self,
                            const char  *name)
{
  if (self->n_measured > 0)
    evp_set_string (&self->running_name, name);
}

static void
run_watch (EvpLoopCore *self,
           EvpHandle   *handle)
{
  if ((handle->flags & EVP_HANDLE_DETACHED) != 0)
    {
      evp_handle_release (handle);
      return;
    }
  if ((handle->flags & EVP_HANDLE_CANCELLED) != 0)
    return;

  if (handle->reentrant && !self->measuring)
    {
      /* it may be gone when this returns */
      self->may_deliver = TRUE;
      handle->callback.fd ((int) handle->when, handle->user_data);
      return;
    }
  handle->flags |= EVP_HANDLE_RUNNING;
  if (G_UNLIKELY (self->measuring))
    run_measured (self, handle);
  else
    handle->callback.fd ((int) handle->when, handle->user_data);
  handle->flags &= (guint8) ~EVP_HANDLE_RUNNING;
  if (G_UNLIKELY ((handle->flags & (EVP_HANDLE_CANCELLED | EVP_HANDLE_DETACHED | EVP_HANDLE_SUSPENDED)) != 0))
    {
      if ((handle->flags & EVP_HANDLE_CANCELLED) != 0)
        evp_handle_drop (handle);
      if (self->io_funcs != NULL)
        self->io_funcs->settle (self->io, handle);
    }
}

static void
run_post (EvpLoopCore *self,
          EvpBatch    *batch)
{
  /* the batch leaves the queue with its last post, so that a nested loop finds the others */
  EvpPost post = batch->posts[batch->next++];

  if (batch->next == batch->n_posts)
    {
      evp_ready_queue_pop (&self->ready);
      evp_inbox_recycle (&self->inbox, batch);
    }
  if (G_UNLIKELY (self->measuring))
    {
      EvpHandle *handle = post.callback == NULL ? post.user_data
                                                : evp_handle_new_standalone (EVP_HANDLE_CALLBACK, post.callback,
                                                                             post.user_data, post.destroy);

      run_measured (self, handle);
      evp_handle_unref (handle);
    }
  else
    evp_post_run (&post);
}

static void
run_special (EvpLoopCore *self,
             EvpHandle   *handle)
{
  if (handle->kind == EVP_HANDLE_BATCH)
    {
      run_post (self, (EvpBatch *) handle);
      return;
    }

  evp_ready_queue_pop (&self->ready);
  if (handle->kind == EVP_HANDLE_FD)
    {
      /* one that was scheduled by hand is not counted */
      if (self->n_queued_watches > 0)
        self->n_queued_watches--;
      run_watch (self, handle);
    }
  else
    {
      if (self->measuring)
        run_measured (self, handle);
      else
        evp_handle_run (handle);
      evp_handle_release (handle);
    }
}

static inline void
run_head (EvpLoopCore *self,
          EvpHandle   *handle,
          gboolean     measuring)
{
  GDestroyNotify destroy;
  gpointer user_data;

  if (G_UNLIKELY (handle->kind > EVP_HANDLE_TIMER || handle->flags != EVP_HANDLE_QUEUED || measuring))
    {
      run_special (self, handle);
      return;
    }

  self->ready.head = handle->next;
  handle->flags = EVP_HANDLE_DROPPED;
  user_data = handle->user_data;
  destroy = handle->destroy;
  handle->callback.plain (user_data);
  if (destroy != NULL)
    destroy (user_data);
  evp_handle_release (handle);
}

/*
 * The kernel is asked again only when all that it reported has run: it would report the rest once more, and
 * where callbacks are slow and descriptors many, each callback would pay for all of them. Nothing
 * overtakes anything by that, because what is found now is queued at the end anyway.
 */
static inline guint
harvest (EvpLoopCore *self)
{
  if (self->io_funcs == NULL || self->closed)
    return 0;
  return self->n_queued_watches > 0 ? self->n_queued_watches : self->io_funcs->harvest (self->io);
}

/* stop() ends a run at the level at which it was called, not the main loops nested inside it. */
static inline gboolean
must_stop (EvpLoopCore *self)
{
  return G_UNLIKELY (__atomic_load_n (&self->stopping, __ATOMIC_ACQUIRE))
         && self->main_loop != NULL && self->depth == self->run_depth + 1;
}

/* The budget is spent. Only a loop that has more to do is busy, and stands back for others some time. */
static inline void
leave_early (EvpLoopCore *self,
             guint        harvested)
{
  if (self->ready.head == NULL && harvested == 0)
    self->busy_since = 0;
}

static void
turn (EvpLoopCore *self,
      gboolean     polled)
{
  gint64 now = evp_clock_get_time_ns ();
  gboolean one_round = self->budget == 0;
  gint64 end = one_round ? G_MAXINT64 : now + self->budget;
  gint64 next_io = now + IO_INTERVAL;
  gint64 last_look = now;
  gboolean measuring = self->measuring;
  EvpHandle *handle;
  guint harvested = 0;
  guint until_check;

  self->n_turns++;
  if (!evp_inbox_is_empty (&self->inbox))
    evp_loop_core_drain (self);
  if (polled)
    harvested = harvest (self);
  if (self->signals != NULL)
    evp_loop_signals_collect (self->signals);
  queue_due_timers (self, now);

  self->check_every = 1;
  until_check = 1;
  for (;;)
    {
      /* a new round: what callbacks queue from here on belongs to the next */
      if (self->ready.head != NULL && (gint32) (self->ready.head->generation - self->round) > 0)
        self->round = self->generation++;

      while ((handle = self->ready.head) != NULL && (gint32) (handle->generation - self->round) <= 0)
        {
          run_head (self, handle, measuring);
          if (--until_check > 0)
            continue;

          self->n_callbacks += self->check_every;
          measuring = self->measuring;
          now = evp_clock_get_time_ns ();
          gint64 took = now - last_look;
          last_look = now;
          if (G_UNLIKELY (took > self->longest_callback))
            self->longest_callback = took;
          if (took < SHORT_CHECK)
            self->check_every = MIN (self->check_every * 2, MAX_CHECK_EVERY);
          else
            self->check_every = MAX (self->check_every / 2, 1);
          until_check = self->check_every;
          if (now >= end)
            {
              /* a stop that falls due with the end of this round is seen by the next dispatch */
              if (self->ready.head == NULL || (gint32) (self->ready.head->generation - self->round) > 0)
                break;
              return;
            }
          /* what is found after the last round would be told in the next run, when it may not be true any more */
          if (now >= next_io && !one_round && !must_stop (self))
            {
              next_io = now + IO_INTERVAL;
              harvested = harvest (self);
              queue_due_timers (self, now);
            }
        }

      if (must_stop (self))
        {
          self->n_callbacks += self->check_every - until_check;
          g_main_loop_quit (self->main_loop);
          return;
        }
      if (!evp_inbox_is_empty (&self->inbox))
        evp_loop_core_drain (self);
      if (now >= end || one_round)
        {
          self->n_callbacks += self->check_every - until_check;
          leave_early (self, harvested);
          return;
        }
      if (self->ready.head == NULL)
        {
          now = evp_clock_get_time_ns ();
          last_look = now;
          self->n_callbacks += self->check_every - until_check;
          until_check = self->check_every;
          queue_due_timers (self, now);
          if (now >= end)
            {
              leave_early (self, harvested);
              return;
            }
          if (self->ready.head == NULL)
            {
              next_io = now + IO_INTERVAL;
              harvested = harvest (self);
              if (harvested == 0 && self->ready.head == NULL)
                {
                  self->busy_since = 0;
                  return;
                }
            }
        }
    }
}

static void
turn_marked (EvpLoopCore *self,
             gboolean     polled)
{
  gint64 begin = evp_trace_now ();
  guint64 before = self->n_callbacks;
  char message[64];

  turn (self, polled);
  g_snprintf (message, sizeof message, "%" G_GUINT64_FORMAT " callbacks", self->n_callbacks - before);
  evp_trace_mark (begin, "Turn", message);
}

void
evp_loop_core_turn (EvpLoopCore *self,
                    gboolean     polled)
{
  gpointer owner = __atomic_load_n (&self->pool.owner, __ATOMIC_RELAXED);
  EvpRunningLoop previous;
  EvpAbstractEventLoop *loop;

  if (self->closed || self->loop == NULL)
    return;

  /* a callback may drop the last reference to its loop */
  loop = g_object_ref (self->loop);
  __atomic_store_n (&self->pool.owner, evp_handle_thread_token (), __ATOMIC_RELAXED);
  previous = evp_running_loop_push (loop);
  __atomic_store_n (&self->depth, self->depth + 1, __ATOMIC_RELAXED);
  if (G_UNLIKELY (evp_trace_is_active ()))
    turn_marked (self, polled);
  else
    turn (self, polled);
  __atomic_store_n (&self->depth, self->depth - 1, __ATOMIC_RELAXED);
  evp_running_loop_pop (previous);
  __atomic_store_n (&self->pool.owner, owner, __ATOMIC_RELAXED);
  g_object_unref (loop);
}
