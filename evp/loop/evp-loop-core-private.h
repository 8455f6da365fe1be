/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/handle/evp-inbox-private.h"
#include "evp/handle/evp-ready-queue-private.h"
#include "evp/handle/evp-timer-queue-private.h"
#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

typedef struct _EvpLoopCore EvpLoopCore;

/* How a kind of loop learns about its file descriptors. */
typedef struct
{
  /* The loop is about to sleep. TRUE: there is something to harvest already, or to hand over first. May be NULL. */
  gboolean (*prepare) (gpointer io);
  /* Whether the main context's poll saw any of them ready. */
  gboolean (*polled)  (gpointer io);
  /* Asks the kernel without blocking and queues handles; returns how many. */
  guint    (*harvest) (gpointer io);
  /* A handle that was detached or suspended while its callback ran. */
  void     (*settle)  (gpointer io, EvpHandle *handle);
  /* How many are watched. */
  guint    (*count)   (gpointer io);
  /* Whether one that is closed while it is watched just goes, unreported. May be NULL: no. */
  gboolean (*forgets_closed) (gpointer io);
  /* The loop closes: forget all descriptors, release their handles. */
  void     (*close)   (gpointer io);
  void     (*free)    (gpointer io);
} EvpLoopIoFuncs;

typedef enum
{
  EVP_LOOP_SLOW_CLOSED = 1 << 0,
  EVP_LOOP_SLOW_DEBUG = 1 << 1,
  EVP_LOOP_SLOW_POSTED = 1 << 2, /* the inbox was filled while the loop was outside its turns, maybe by its own thread */
} EvpLoopSlow;

/*
 * The engine of a loop: everything that a turn needs, without GObject. It belongs to the loop's thread,
 * apart from what says otherwise. The loop and its GSource hold references.
 */
struct _EvpLoopCore
{
  EvpHandlePool pool;         /* first: its `destroy` frees the core */
  EvpReadyQueue ready;
  EvpTimerQueue *timers;      /* made with the first timer */
  EvpInbox inbox;             /* any thread */
  guint32 generation;         /* stamps what is queued now */
  guint32 round;              /* what is stamped up to here belongs to the current round */
  guint slow;                 /* atomic; EvpLoopSlow: why call_soon takes the long way */
  guint depth;                /* of nested dispatches; written atomically, since anybody may ask whether the loop runs */
  guint n_queued_watches;     /* descriptors that were found ready and whose callbacks have not run yet */
  gboolean may_deliver;       /* what a reentrant watch finds may be delivered from its callback */

  const EvpLoopIoFuncs *io_funcs; /* NULL: no descriptors */
  gpointer io;

  EvpAbstractEventLoop *loop; /* borrowed; NULL once the loop is finalised */
  GMainContext *context;
  GSource *source;            /* NULL once closed */
  GMainLoop *main_loop;       /* while run_forever() runs */
  guint run_depth;            /* the depth at which run_forever() was called */
  int running;                /* atomic: run_forever() runs */
  int stopping;               /* atomic: stop() was called */
  int sleeping;               /* atomic: the context may be polling; see evp_loop_core_wake() */
  gboolean closed;            /* written atomically, too */
  gboolean debug;             /* see evp_loop_core_set_debug() */
  gboolean measuring;         /* each callback is timed: in debug mode, and for Sysprof */
  guint fork_generation;
  gint ref_count;             /* atomic */

  /* sleeping and waking */
  int timer_fd;               /* -1: none yet; -2: there are none here */
  GPollFD *timer_tag;
  gint64 timer_armed;         /* for when, or EVP_TIME_NEVER */
  gint64 last_timer_wakeup;
  gint64 coalescing;          /* ns */
  gint64 budget;              /* ns */
  gint64 busy_since;          /* since when it was always ready; 0: it was not */
  gint64 asleep_since;        /* 0: not asleep */
  gboolean yielding;
  gboolean timer_expired;
  gint64 now;                 /* at the last look at the timers */
  guint check_every;          /* callbacks between looks at the clock */

  /* signals */
  struct _EvpLoopSignals *signals;

  gpointer spare_task;        /* atomic; owned: see evp_loop_task_release() */
  gpointer scratch;           /* owned: see evp-loop-readiness.c */
  gsize serial;               /* of no other loop, dead or alive, as an address may be */
  gpointer served_socket, served_state; /* while a callback for a socket runs: see get_state_on() in evp-loop-sockets.c */
  EvpOperation *spare_files;  /* owned, linked by `next`: see evp-loop-files.c */
  guint n_spare_files;
  guint n_files;              /* requests on files that are under way */

  /* statistics */
  guint64 n_turns, n_callbacks, n_wakeups;
  gint64 longest_callback, time_asleep; /* ns */
  gint64 slow_callback;                 /* ns; debug mode warns from here on */
  guint n_measured;                     /* callbacks on the stack that are timed */
  char *running_name;                   /* what the innermost of them calls itself, or NULL */
};

/* Without a context yet; see evp_loop_source_attach(). */
EvpLoopCore *evp_loop_core_new    (EvpAbstractEventLoop *loop);
EvpLoopCore *evp_loop_core_ref    (EvpLoopCore          *self);
void         evp_loop_core_unref  (EvpLoopCore          *self);
/* Drops everything that is scheduled, without running it, and leaves the context. */
void         evp_loop_core_close  (EvpLoopCore          *self);
/* One turn: several rounds under a budget. */
void         evp_loop_core_turn   (EvpLoopCore          *self,
                                   gboolean              polled);
/* Drains the inbox into the ready queue. */
void         evp_loop_core_drain  (EvpLoopCore          *self);
/* Makes a sleeping context look again; from any thread. */
void         evp_loop_core_wake   (EvpLoopCore          *self);
EvpHandle   *evp_loop_core_add_timer (EvpLoopCore       *self,
                                      gint64             when,
                                      EvpCallback        callback,
                                      gpointer           user_data,
                                      GDestroyNotify     destroy);
/* A timer handle made elsewhere; takes a reference. */
void         evp_loop_core_arm    (EvpLoopCore          *self,
                                   EvpHandle            *handle);
void         evp_loop_core_set_slow (EvpLoopCore        *self,
                                     EvpLoopSlow         reason,
                                     gboolean            set);
/* What messages call the callback that runs; nothing if it is not timed. */
void         evp_loop_core_name_running (EvpLoopCore    *self,
                                         const char     *name);
/* Debug mode: callbacks are timed, and it is known where they were scheduled. */
void         evp_loop_core_set_debug (EvpLoopCore       *self,
                                      gboolean           enabled);
/* Posts to the inbox and wakes the loop; from any thread. FALSE if it is closed: then nothing was taken over. */
gboolean     evp_loop_core_post   (EvpLoopCore          *self,
                                   EvpCallback           callback,
                                   gpointer              user_data,
                                   GDestroyNotify        destroy);

static inline gint64
evp_loop_core_next_deadline (EvpLoopCore *self)
{
  return self->timers == NULL ? G_MAXINT64 : evp_timer_queue_get_next (self->timers);
}

/* A handle that is not from the pool. In debug mode it knows where it comes from. @self may be NULL; from any thread. */
static inline EvpHandle *
evp_loop_core_new_handle (EvpLoopCore   *self,
                          EvpHandleKind  kind,
                          gpointer       callback,
                          gpointer       user_data,
                          GDestroyNotify destroy)
{
  if (self != NULL && (__atomic_load_n (&self->slow, __ATOMIC_RELAXED) & EVP_LOOP_SLOW_DEBUG) != 0)
    return evp_handle_new_traced (kind, callback, user_data, destroy);
  return evp_handle_new_standalone (kind, callback, user_data, destroy);
}

/* Queues a handle; the queue takes over the caller's reference. */
static inline void
evp_loop_core_push (EvpLoopCore *self,
                    EvpHandle   *handle)
{
  evp_ready_queue_push (&self->ready, handle, self->generation);
}

/* The same when the pool must grow. */
EvpHandle *evp_loop_core_call_soon_slowly (EvpLoopCore   *self,
                                           EvpCallback    callback,
                                           gpointer       user_data,
                                           GDestroyNotify destroy) G_NO_INLINE;

static inline EvpHandle *
evp_loop_core_call_soon (EvpLoopCore   *self,
                         EvpCallback    callback,
                         gpointer       user_data,
                         GDestroyNotify destroy)
{
  EvpHandle *handle = self->pool.free;

  if (G_UNLIKELY (handle == NULL))
    return evp_loop_core_call_soon_slowly (self, callback, user_data, destroy);

  self->pool.free = handle->next;
  handle->ref_count = 1;
  handle->callback.plain = callback;
  handle->user_data = user_data;
  handle->destroy = destroy;
  handle->kind = EVP_HANDLE_CALLBACK;
  handle->flags = EVP_HANDLE_QUEUED;
  handle->is_traced = 0;
  handle->reentrant = 0;
  evp_ready_queue_append (&self->ready, handle, self->generation);
  return handle;
}

G_END_DECLS
