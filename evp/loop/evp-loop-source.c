/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-source-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/loop/evp-loop-signals-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-fork-private.h"
#include "evp/os/evp-os-timer-private.h"

/*
 * A loop that is always ready would keep sources of lower priority, GTK's redraw among them, from ever
 * running. So after this long it stands back for one turn of the context.
 */
#define YIELD_AFTER (8 * EVP_NSEC_PER_MSEC)

/* A sleep as long as this one let the others run. */
#define REST (100 * EVP_NSEC_PER_USEC)

#define MAX_SLEEP_MS (24 * 60 * 60 * 1000)

typedef struct _EvpLoopSource EvpLoopSource;

struct _EvpLoopSource
{
  GSource source;
  EvpLoopCore *core;
  GSList *polls; /* of GPollFD: what was added and not removed */
  EvpLoopSource *next, *previous; /* in the list of all; see all_lock */
};

/* The loops that live in a main context, for evp_loop_source_find_loop(). Nothing is called under the lock. */
static GMutex all_lock;
static EvpLoopSource *all;

/*
 * Arranges for a wake-up at @deadline. GLib's own timeouts are rounded up to whole milliseconds, so a
 * timerfd does it where there is one; it is armed again only when the deadline has changed.
 */
static int
arm_timer (EvpLoopCore *core,
           gint64       deadline,
           gint64       now)
{
  if (core->timer_fd == -1)
    {
      core->timer_fd = evp_os_timer_new ();
      if (core->timer_fd >= 0)
        core->timer_tag = evp_loop_source_add_fd (core, core->timer_fd, G_IO_IN);
      else
        core->timer_fd = -2;
    }
  if (core->timer_fd >= 0)
    {
      if (deadline == core->timer_armed || evp_os_timer_arm (core->timer_fd, deadline))
        {
          core->timer_armed = deadline;
          return -1;
        }
      core->timer_armed = EVP_TIME_NEVER;
    }
  if (deadline - now >= MAX_SLEEP_MS * EVP_NSEC_PER_MSEC)
    return MAX_SLEEP_MS;
  return (int) ((deadline - now + EVP_NSEC_PER_MSEC - 1) / EVP_NSEC_PER_MSEC);
}

static gboolean
is_ready (EvpLoopCore *core)
{
  return core->ready.head != NULL
         || !evp_inbox_is_empty (&core->inbox)
         || (__atomic_load_n (&core->stopping, __ATOMIC_ACQUIRE) && core->main_loop != NULL
             && core->depth == core->run_depth);
}

static gboolean
ready_now (EvpLoopCore *core,
           int         *timeout)
{
  gint64 now = evp_clock_get_time_ns ();

  *timeout = 0;
  if (core->busy_since == 0)
    core->busy_since = now;
  else if (now - core->busy_since > YIELD_AFTER)
    {
      core->yielding = TRUE;
      return FALSE;
    }
  return TRUE;
}

static gboolean
evp_loop_source_prepare (GSource *source,
                         int     *timeout)
{
  EvpLoopCore *core = ((EvpLoopSource *) source)->core;
  gint64 deadline, now;

  *timeout = -1;
  if (G_UNLIKELY (core->fork_generation != evp_os_fork_generation ()))
    {
      /* the descriptors are the parent's: this process must not even poll them */
      evp_loop_source_detach (core);
      return FALSE;
    }
  if (is_ready (core))
    return ready_now (core, timeout);

  deadline = evp_loop_core_next_deadline (core);
  now = evp_clock_get_time_ns ();
  if (deadline <= now)
    return ready_now (core, timeout);
  if (core->io_funcs != NULL && core->io_funcs->prepare != NULL && core->io_funcs->prepare (core->io))
    return ready_now (core, timeout);

  /* see evp_loop_core_wake() */
  __atomic_store_n (&core->sleeping, 1, __ATOMIC_SEQ_CST);
  if (!evp_inbox_is_empty (&core->inbox))
    {
      __atomic_store_n (&core->sleeping, 0, __ATOMIC_SEQ_CST);
      return ready_now (core, timeout);
    }

  core->asleep_since = now;
  if (deadline != EVP_TIME_NEVER)
    {
      if (deadline - core->last_timer_wakeup < core->coalescing)
        deadline = core->last_timer_wakeup + core->coalescing;
      *timeout = arm_timer (core, deadline, now);
    }
  else if (core->timer_expired && core->timer_fd >= 0)
    {
      /* nothing to wait for, but an expired timerfd stays readable */
      evp_os_timer_disarm (core->timer_fd);
      core->timer_armed = EVP_TIME_NEVER;
      core->timer_expired = FALSE;
    }
  return FALSE;
}

static gboolean
evp_loop_source_check (GSource *source)
{
  EvpLoopCore *core = ((EvpLoopSource *) source)->core;
  gboolean polled, expired, ready;
  gint64 deadline;

  __atomic_store_n (&core->sleeping, 0, __ATOMIC_SEQ_CST);
  if (core->source == NULL)
    return FALSE;

  polled = core->io_funcs != NULL && core->io_funcs->polled (core->io);
  if (core->signals != NULL && evp_loop_signals_polled (core->signals))
    polled = TRUE;
  expired = core->timer_tag != NULL && core->timer_tag->revents != 0;
  ready = polled || is_ready (core);
  if (core->yielding)
    {
      core->yielding = FALSE;
      core->busy_since = 0;
      return FALSE;
    }

  deadline = evp_loop_core_next_deadline (core);
  if (core->asleep_since != 0 || expired || deadline != EVP_TIME_NEVER)
    {
      gint64 now = evp_clock_get_time_ns ();

      if (expired)
        {
          /* readable until it is armed again; whatever it was armed for has passed */
          core->timer_expired = TRUE;
          core->timer_armed = EVP_TIME_NEVER;
        }
      if (deadline <= now)
        {
          if (core->asleep_since != 0)
            core->last_timer_wakeup = now;
          ready = TRUE;
        }
      if (core->asleep_since != 0)
        {
          gint64 asleep = now - core->asleep_since;

          core->time_asleep += asleep;
          core->asleep_since = 0;
          if (!ready || asleep > REST)
            core->busy_since = 0;
          else if (core->busy_since == 0)
            core->busy_since = now;
          else if (now - core->busy_since > YIELD_AFTER)
            {
              /* descriptors that are ready each time it looks */
              core->busy_since = 0;
              return FALSE;
            }
          if (ready)
            core->n_wakeups++;
        }
    }
  return ready;
}

static gboolean
evp_loop_source_dispatch (GSource    *source,
                          GSourceFunc callback,
                          gpointer    user_data)
{
  EvpLoopCore *core = ((EvpLoopSource *) source)->core;
  gboolean polled = core->io_funcs != NULL && core->io_funcs->polled (core->io);

  /* check() is not asked when prepare() was ready already */
  if (core->signals != NULL)
    evp_loop_signals_polled (core->signals);

  /* the source itself is referenced by the context meanwhile, and holds the core */
  evp_loop_core_turn (core, polled);
  return G_SOURCE_CONTINUE;
}

static void
evp_loop_source_finalize (GSource *source)
{
  g_slist_free_full (((EvpLoopSource *) source)->polls, g_free);
  evp_loop_core_unref (((EvpLoopSource *) source)->core);
}

static GSourceFuncs evp_loop_source_funcs = {
  .prepare = evp_loop_source_prepare,
  .check = evp_loop_source_check,
  .dispatch = evp_loop_source_dispatch,
  .finalize = evp_loop_source_finalize,
};

static void
list_source (EvpLoopSource *self)
{
  g_mutex_lock (&all_lock);
  self->next = all;
  if (all != NULL)
    all->previous = self;
  all = self;
  g_mutex_unlock (&all_lock);
}

static void
unlist_source (EvpLoopSource *self)
{
  g_mutex_lock (&all_lock);
  if (self->previous != NULL)
    self->previous->next = self->next;
  else
    all = self->next;
  if (self->next != NULL)
    self->next->previous = self->previous;
  g_mutex_unlock (&all_lock);
}

void
evp_loop_source_attach (EvpLoopCore *core)
{
  core->source = g_source_new (&evp_loop_source_funcs, sizeof (EvpLoopSource));
  ((EvpLoopSource *) core->source)->core = evp_loop_core_ref (core);
  g_source_set_static_name (core->source, "Evp loop");
  /* so that a main loop nested inside a callback goes on serving timers and descriptors */
  g_source_set_can_recurse (core->source, TRUE);
  g_source_attach (core->source, core->context);
  list_source ((EvpLoopSource *) core->source);
}

void
evp_loop_source_detach (EvpLoopCore *core)
{
  GSource *source = g_steal_pointer (&core->source);

  if (source == NULL)
    return;

  unlist_source ((EvpLoopSource *) source);
  core->timer_tag = NULL;
  g_source_destroy (source);
  if (core->timer_fd >= 0)
    evp_os_fd_close (core->timer_fd);
  core->timer_fd = -2;
  g_source_unref (source);
}

/*
 * Not g_source_add_unix_fd(): a source with such a descriptor is ready whenever that is, whatever its check()
 * says, and could never stand back for others.
 */
GPollFD *
evp_loop_source_add_fd (EvpLoopCore *core,
                        int          fd,
                        GIOCondition condition)
{
  EvpLoopSource *source = (EvpLoopSource *) core->source;
  GPollFD *tag;

  if (source == NULL)
    return NULL;
  tag = g_new (GPollFD, 1);
  *tag = (GPollFD) { .fd = fd, .events = (gushort) (condition | G_IO_ERR | G_IO_HUP) };
  source->polls = g_slist_prepend (source->polls, tag);
  g_source_add_poll (core->source, tag);
  return tag;
}

void
evp_loop_source_remove_fd (EvpLoopCore *core,
                           GPollFD     *tag)
{
  EvpLoopSource *source = (EvpLoopSource *) core->source;

  if (source == NULL || tag == NULL)
    return;
  g_source_remove_poll (core->source, tag);
  source->polls = g_slist_remove (source->polls, tag);
  g_free (tag);
}

EvpAbstractEventLoop *
evp_loop_source_find_loop (GMainContext *context)
{
  EvpAbstractEventLoop *loop = NULL;

  /* one that is being dropped leaves the list in its dispose, so a reference can still be taken */
  g_mutex_lock (&all_lock);
  for (EvpLoopSource *source = all; source != NULL && loop == NULL; source = source->next)
    if (source->core->context == context && source->core->loop != NULL)
      loop = g_object_ref (source->core->loop);
  g_mutex_unlock (&all_lock);
  return loop;
}
