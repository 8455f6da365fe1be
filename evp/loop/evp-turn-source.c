/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-turn-source.h"

#include "evp/base/evp-clock-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-fork-private.h"
#include "evp/os/evp-os-timer-private.h"

#include <math.h>

/**
 * EvpTurnSource:
 *
 * Drives somebody else's event loop inside a [struct@GLib.MainContext].
 *
 * Event loops of other worlds (Python's asyncio, libuv, an interpreter's scheduler) work in turns: look at the
 * descriptors, run what is ready, find out when there is something to do again. A turn source does the
 * waiting for such a loop, so that it runs on one thread beside GTK, GIO, D-Bus and the loops of this library:
 *
 * - a descriptor, usually the loop's own epoll or kqueue, which is all that the main context polls;
 * - a deadline, kept to the microsecond and never early;
 * - [method@Evp.TurnSource.wake], for what happens between two turns;
 * - one callback for each turn, which says when the next one is due.
 *
 * That callback is the only code of the other world that runs: asking whether there is something to do, and
 * waiting, stays in C.
 *
 * ```c
 * static gint64
 * turn_cb (gpointer user_data)
 * {
 *   uv_loop_t *loop = user_data;
 *   int timeout;
 *
 *   uv_run (loop, UV_RUN_NOWAIT);
 *   timeout = uv_backend_timeout (loop);
 *   return timeout <= 0 ? timeout : g_get_monotonic_time () + timeout * G_GINT64_CONSTANT (1000);
 * }
 *
 * source = evp_turn_source_new (NULL, uv_backend_fd (loop));
 * evp_turn_source_set_callback (source, turn_cb, loop, NULL);
 * evp_turn_source_attach (source);
 * evp_turn_source_wake (source);
 * ```
 *
 * While a turn runs the source is blocked, descriptor included: a main loop nested inside a turn neither begins
 * another turn nor spins. A main loop nested inside somebody else's callback goes on driving the turns.
 *
 * A source that has been busy for 8 milliseconds without a pause stands back for some turns of the main context, so
 * that sources of lower priority (GTK's redraw and idle callbacks among them) get through.
 *
 * In a child process after fork() the source detaches itself.
 *
 * Use it from the thread that iterates the main context, [method@Evp.TurnSource.wake] from any thread. A turn
 * costs O(1), however many descriptors the other loop watches.
 *
 * Since: 1.0
 */

/*
 * A source that is always ready would keep those of lower priority from ever running. So after this long it
 * stands back: for several turns of the context, since each lets but one priority through, and a redraw that is
 * due whenever we stand back would keep idle callbacks from ever running; but not for long.
 */
#define YIELD_AFTER (8 * EVP_NSEC_PER_MSEC)
#define YIELD_TURNS 4
#define YIELD_FOR (2 * EVP_NSEC_PER_MSEC)

/* A sleep as long as this one let the others run. */
#define REST (200 * EVP_NSEC_PER_USEC)

#define MAX_SLEEP_MS (24 * 60 * 60 * 1000)

/* What set_callback() was given; a turn holds a reference, so that it may be replaced meanwhile. */
typedef struct
{
  EvpTurnCallback callback;
  gpointer user_data;
  GDestroyNotify destroy;
} Closure;

struct _EvpTurnSource
{
  GObject parent_instance;

  GMainContext *context;  /* constant */
  int fd;                 /* constant; -1 for none */
  int priority;           /* this and what follows: the context's thread only */
  guint fork_generation;  /* at the time of attaching */
  GSource *source;        /* NULL while detached */
  Closure *closure;       /* g_rc_box; NULL for none */
  GPollFD poll;           /* of fd, while attached */
  GPollFD timer_poll;     /* of the timerfd; fd is -1 as long as there is none */
  gboolean no_timer;      /* it could not be made, or armed */
  gboolean timer_expired; /* readable until it is armed again */
  gint64 timer_armed;     /* what for */
  gint64 deadline;        /* ns, EVP_TIME_NEVER */
  gint64 asleep_since;    /* when the context last began to wait for us, or 0 */
  gint64 busy_since;      /* since when there has been no pause, or 0 */
  gint64 yielding_since;  /* when it began to stand back */
  guint yielding;         /* so many turns of the context are for the others */
  guint paused;           /* how often */

  gint woken; /* atomic: from any thread */
};

typedef struct
{
  GSource source;
  EvpTurnSource *owner; /* NULL when it is gone; it destroys the source before */
} Source;

G_DEFINE_FINAL_TYPE (EvpTurnSource, evp_turn_source, G_TYPE_OBJECT)

enum
{
  PROP_MAIN_CONTEXT = 1,
  PROP_FD,
  PROP_PRIORITY,
  N_PROPS,
};

static GParamSpec *properties[N_PROPS];

static void
closure_clear (gpointer data)
{
  Closure *closure = data;

  if (closure->destroy != NULL)
    closure->destroy (closure->user_data);
}

static void
closure_release (Closure *closure)
{
  if (closure != NULL)
    g_rc_box_release_full (closure, closure_clear);
}

/*
 * The main context reads what to poll for before it polls, so this needs no call of its own, which would wake it: a
 * program that pauses for each iteration would never sleep.
 */
static void
poll_unless_paused (EvpTurnSource *self)
{
  self->poll.events = self->paused > 0 ? 0 : G_IO_IN | G_IO_HUP | G_IO_ERR;
  self->timer_poll.events = self->paused > 0 ? 0 : G_IO_IN;
}

/*
 * Arranges for a wake-up at the deadline, and returns what to poll with. GLib's own timeouts are in
 * milliseconds, so a timerfd does it where there is one; it is armed only to sleep, and only when the
 * deadline has changed.
 */
static int
arm_timer (EvpTurnSource *self,
           gint64         now)
{
  if (self->timer_poll.fd == -1 && !self->no_timer)
    {
      int fd = evp_os_timer_new ();

      if (fd >= 0)
        {
          self->timer_poll = (GPollFD) { .fd = fd, .events = G_IO_IN };
          self->timer_armed = EVP_TIME_NEVER;
          g_source_add_poll (self->source, &self->timer_poll);
        }
      else
        self->no_timer = TRUE;
    }
  if (!self->no_timer)
    {
      if (self->deadline == self->timer_armed || evp_os_timer_arm (self->timer_poll.fd, self->deadline))
        {
          self->timer_armed = self->deadline;
          self->timer_expired = FALSE;
          return -1;
        }
      self->no_timer = TRUE;
    }
  if (self->deadline - now >= MAX_SLEEP_MS * EVP_NSEC_PER_MSEC)
    return MAX_SLEEP_MS;
  return (int) ((self->deadline - now + EVP_NSEC_PER_MSEC - 1) / EVP_NSEC_PER_MSEC);
}

static void
stand_back (EvpTurnSource *self,
            gint64         now)
{
  self->yielding = YIELD_TURNS;
  self->yielding_since = now;
}

static gboolean
ready_now (EvpTurnSource *self,
           gint64         now,
           int           *timeout)
{
  *timeout = 0;
  self->asleep_since = 0;
  if (self->yielding > 0)
    return FALSE;
  if (self->busy_since == 0)
    self->busy_since = now;
  else if (now - self->busy_since > YIELD_AFTER)
    {
      stand_back (self, now);
      return FALSE;
    }
  return TRUE;
}

static gboolean
source_prepare (GSource *source,
                int     *timeout)
{
  EvpTurnSource *self = ((Source *) source)->owner;
  gint64 now;

  *timeout = -1;
  if (self == NULL)
    return FALSE;
  if (G_UNLIKELY (self->fork_generation != evp_os_fork_generation ()))
    {
      /* the descriptors are the parent's: this process must not even poll them */
      evp_turn_source_detach (self);
      return FALSE;
    }
  if (self->paused > 0)
    {
      self->asleep_since = self->busy_since = 0;
      return FALSE;
    }

  now = evp_clock_get_time_ns ();
  if (g_atomic_int_get (&self->woken) || self->deadline <= now)
    return ready_now (self, now, timeout);

  self->asleep_since = now;
  if (self->deadline != EVP_TIME_NEVER)
    *timeout = arm_timer (self, now);
  else if (self->timer_expired)
    {
      /* nothing to wait for, but an expired timerfd stays readable */
      evp_os_timer_disarm (self->timer_poll.fd);
      self->timer_armed = EVP_TIME_NEVER;
      self->timer_expired = FALSE;
    }
  return FALSE;
}

static gboolean
source_check (GSource *source)
{
  EvpTurnSource *self = ((Source *) source)->owner;
  gboolean ready;
  gint64 now, asleep;

  if (self == NULL || self->paused > 0)
    return FALSE;
  if (self->timer_poll.fd >= 0 && self->timer_poll.revents != 0)
    {
      /* whatever it was armed for has passed */
      self->timer_expired = TRUE;
      self->timer_armed = EVP_TIME_NEVER;
    }

  now = evp_clock_get_time_ns ();
  if (self->yielding > 0)
    {
      if (now - self->yielding_since > YIELD_FOR)
        self->yielding = 1;
      if (--self->yielding == 0)
        self->busy_since = 0;
      return FALSE;
    }
  ready = (self->fd >= 0 && self->poll.revents != 0) || g_atomic_int_get (&self->woken) || self->deadline <= now;
  asleep = self->asleep_since != 0 ? now - self->asleep_since : 0;
  self->asleep_since = 0;
  if (!ready || asleep > REST)
    self->busy_since = 0;
  else if (self->busy_since == 0)
    self->busy_since = now;
  else if (now - self->busy_since > YIELD_AFTER)
    {
      /* a descriptor that is ready each time it looks */
      stand_back (self, now);
      self->yielding--;
      return FALSE;
    }
  return ready;
}

static gboolean
source_dispatch (GSource    *source,
                 GSourceFunc callback,
                 gpointer    user_data)
{
  EvpTurnSource *self = ((Source *) source)->owner;
  Closure *closure;
  gint64 next;

  /* somebody whose turn came before this one may have paused it */
  if (self == NULL || self->closure == NULL || self->paused > 0)
    return G_SOURCE_CONTINUE;

  g_object_ref (self);
  closure = g_rc_box_acquire (self->closure);
  g_atomic_int_set (&self->woken, FALSE);
  next = closure->callback (closure->user_data);
  if (next < 0 || next >= EVP_TIME_NEVER / EVP_NSEC_PER_USEC)
    self->deadline = EVP_TIME_NEVER;
  else
    self->deadline = next * EVP_NSEC_PER_USEC;
  closure_release (closure);
  g_object_unref (self);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs source_funcs = {
  .prepare = source_prepare,
  .check = source_check,
  .dispatch = source_dispatch,
};

static void
evp_turn_source_constructed (GObject *object)
{
  EvpTurnSource *self = EVP_TURN_SOURCE (object);

  G_OBJECT_CLASS (evp_turn_source_parent_class)->constructed (object);

  if (self->context == NULL)
    self->context = g_main_context_ref (g_main_context_default ());
}

static void
evp_turn_source_dispose (GObject *object)
{
  EvpTurnSource *self = EVP_TURN_SOURCE (object);

  evp_turn_source_detach (self);
  closure_release (g_steal_pointer (&self->closure));

  G_OBJECT_CLASS (evp_turn_source_parent_class)->dispose (object);
}

static void
evp_turn_source_finalize (GObject *object)
{
  EvpTurnSource *self = EVP_TURN_SOURCE (object);

  g_main_context_unref (self->context);

  G_OBJECT_CLASS (evp_turn_source_parent_class)->finalize (object);
}

static void
evp_turn_source_get_property (GObject    *object,
                              guint       prop_id,
                              GValue     *value,
                              GParamSpec *pspec)
{
  EvpTurnSource *self = EVP_TURN_SOURCE (object);

  switch (prop_id)
    {
    case PROP_MAIN_CONTEXT:
      g_value_set_boxed (value, self->context);
      break;
    case PROP_FD:
      g_value_set_int (value, self->fd);
      break;
    case PROP_PRIORITY:
      g_value_set_int (value, self->priority);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_turn_source_set_property (GObject      *object,
                              guint         prop_id,
                              const GValue *value,
                              GParamSpec   *pspec)
{
  EvpTurnSource *self = EVP_TURN_SOURCE (object);

  switch (prop_id)
    {
    case PROP_MAIN_CONTEXT:
      self->context = g_value_dup_boxed (value);
      break;
    case PROP_FD:
      self->fd = g_value_get_int (value);
      break;
    case PROP_PRIORITY:
      evp_turn_source_set_priority (self, g_value_get_int (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_turn_source_class_init (EvpTurnSourceClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = evp_turn_source_constructed;
  object_class->dispose = evp_turn_source_dispose;
  object_class->finalize = evp_turn_source_finalize;
  object_class->get_property = evp_turn_source_get_property;
  object_class->set_property = evp_turn_source_set_property;

  /**
   * EvpTurnSource:main-context:
   *
   * The main context that the turns run in; `NULL` at construction stands for the default one.
   *
   * Since: 1.0
   */
  properties[PROP_MAIN_CONTEXT] =
    g_param_spec_boxed ("main-context", NULL, NULL, G_TYPE_MAIN_CONTEXT,
                        G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpTurnSource:fd:
   *
   * The descriptor that makes a turn due while it is readable, or -1 for none.
   *
   * Since: 1.0
   */
  properties[PROP_FD] =
    g_param_spec_int ("fd", NULL, NULL, -1, G_MAXINT, -1,
                      G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpTurnSource:priority:
   *
   * The priority of the turns among the other sources of the main context.
   *
   * Since: 1.0
   */
  properties[PROP_PRIORITY] =
    g_param_spec_int ("priority", NULL, NULL, G_MININT, G_MAXINT, G_PRIORITY_DEFAULT,
                      G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_turn_source_init (EvpTurnSource *self)
{
  self->fd = -1;
  self->timer_poll.fd = -1;
  self->priority = G_PRIORITY_DEFAULT;
  self->deadline = EVP_TIME_NEVER;
  self->timer_armed = EVP_TIME_NEVER;
}

/**
 * evp_turn_source_new:
 * @main_context: (nullable): where the turns run, or `NULL` for the default main context
 * @fd: a descriptor that makes a turn due while it is readable, or -1
 *
 * Creates a source that is not attached yet.
 *
 * The descriptor stays the caller's. It has to be open while the source is attached.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): a new source
 *
 * Since: 1.0
 */
EvpTurnSource *
evp_turn_source_new (GMainContext *main_context,
                     int           fd)
{
  g_return_val_if_fail (fd >= -1, NULL);

  return g_object_new (EVP_TYPE_TURN_SOURCE, "main-context", main_context, "fd", fd, NULL);
}

/**
 * evp_turn_source_get_main_context:
 * @self: source
 *
 * Gets the main context that the turns run in.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none): the main context
 *
 * Since: 1.0
 */
GMainContext *
evp_turn_source_get_main_context (EvpTurnSource *self)
{
  g_return_val_if_fail (EVP_IS_TURN_SOURCE (self), NULL);

  return self->context;
}

/**
 * evp_turn_source_get_fd:
 * @self: source
 *
 * Gets the descriptor that makes a turn due while it is readable.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the descriptor, or -1
 *
 * Since: 1.0
 */
int
evp_turn_source_get_fd (EvpTurnSource *self)
{
  g_return_val_if_fail (EVP_IS_TURN_SOURCE (self), -1);

  return self->fd;
}

/**
 * evp_turn_source_get_priority:
 * @self: source
 *
 * Gets the priority of the turns.
 *
 * Use it from the thread of the main context. O(1).
 *
 * Returns: the priority, %G_PRIORITY_DEFAULT unless it was set
 *
 * Since: 1.0
 */
int
evp_turn_source_get_priority (EvpTurnSource *self)
{
  g_return_val_if_fail (EVP_IS_TURN_SOURCE (self), G_PRIORITY_DEFAULT);

  return self->priority;
}

/**
 * evp_turn_source_set_priority:
 * @self: source
 * @priority: a priority of GLib; a smaller number comes first
 *
 * Sets the priority of the turns among the other sources of the main context.
 *
 * Use it from the thread of the main context; inside a turn, too. O(n) in the number of sources.
 *
 * Since: 1.0
 */
void
evp_turn_source_set_priority (EvpTurnSource *self,
                              int            priority)
{
  g_return_if_fail (EVP_IS_TURN_SOURCE (self));

  if (self->priority == priority)
    return;
  self->priority = priority;
  if (self->source != NULL)
    g_source_set_priority (self->source, priority);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_PRIORITY]);
}

/**
 * evp_turn_source_get_deadline:
 * @self: source
 *
 * Gets when the next turn is due at the latest.
 *
 * Use it from the thread of the main context. O(1).
 *
 * Returns: seconds of the monotonic clock; infinity for never
 *
 * Since: 1.0
 */
double
evp_turn_source_get_deadline (EvpTurnSource *self)
{
  g_return_val_if_fail (EVP_IS_TURN_SOURCE (self), 0.0);

  return self->deadline == EVP_TIME_NEVER ? INFINITY : evp_clock_ns_to_seconds (self->deadline);
}

/**
 * evp_turn_source_set_deadline:
 * @self: source
 * @deadline: seconds of the monotonic clock, as in [func@GLib.get_monotonic_time]; infinity for never
 *
 * Sets when the next turn is due at the latest.
 *
 * A time that has passed stands for at once. The turn does not begin before it, and sooner only if the descriptor
 * is readable or somebody wakes the source. What the callback of a turn returns takes the place of what was set
 * before or during that turn.
 *
 * Use it from the thread of the main context. O(1), and no system call.
 *
 * Since: 1.0
 */
void
evp_turn_source_set_deadline (EvpTurnSource *self,
                              double         deadline)
{
  g_return_if_fail (EVP_IS_TURN_SOURCE (self));
  g_return_if_fail (!isnan (deadline));

  self->deadline = evp_clock_seconds_to_ns (deadline);
}

/**
 * evp_turn_source_set_callback:
 * @self: source
 * @callback: (nullable) (scope notified) (closure user_data) (destroy destroy): runs one turn, and says when the next
 *   one is due; `NULL` for none
 * @user_data: data for the callback
 * @destroy: (nullable): frees @user_data
 *
 * Sets what a turn is, in place of what was set before.
 *
 * An attached source needs one: `NULL` detaches it.
 *
 * @user_data is freed when another callback is set and when the source is dropped, but not while a turn runs.
 *
 * Use it from the thread of the main context; inside a turn, too. O(1).
 *
 * Since: 1.0
 */
void
evp_turn_source_set_callback (EvpTurnSource  *self,
                              EvpTurnCallback callback,
                              gpointer        user_data,
                              GDestroyNotify  destroy)
{
  Closure *previous;

  g_return_if_fail (EVP_IS_TURN_SOURCE (self));

  previous = g_steal_pointer (&self->closure);
  if (callback != NULL)
    {
      self->closure = g_rc_box_new0 (Closure);
      self->closure->callback = callback;
      self->closure->user_data = user_data;
      self->closure->destroy = destroy;
    }
  else
    evp_turn_source_detach (self);
  closure_release (previous);
}

/**
 * evp_turn_source_is_attached:
 * @self: source
 *
 * Tells whether the main context drives the turns.
 *
 * Use it from the thread of the main context. O(1).
 *
 * Returns: whether the source is attached
 *
 * Since: 1.0
 */
gboolean
evp_turn_source_is_attached (EvpTurnSource *self)
{
  g_return_val_if_fail (EVP_IS_TURN_SOURCE (self), FALSE);

  return self->source != NULL && self->fork_generation == evp_os_fork_generation ();
}

/**
 * evp_turn_source_attach:
 * @self: source
 *
 * Lets the main context drive the turns, from its next iteration on.
 *
 * There has to be a callback. A source that is attached already stays so. The source does not keep itself alive: one
 * that is dropped is detached.
 *
 * Use it from the thread of the main context. O(1).
 *
 * Since: 1.0
 */
void
evp_turn_source_attach (EvpTurnSource *self)
{
  g_return_if_fail (EVP_IS_TURN_SOURCE (self));
  g_return_if_fail (self->closure != NULL);

  if (evp_turn_source_is_attached (self))
    return;
  evp_turn_source_detach (self); /* the parent's, after a fork */

  self->fork_generation = evp_os_fork_generation ();
  self->asleep_since = self->busy_since = 0;
  self->yielding = FALSE;
  self->source = g_source_new (&source_funcs, sizeof (Source));
  ((Source *) self->source)->owner = self;
  g_source_set_static_name (self->source, "Evp turns");
  g_source_set_priority (self->source, self->priority);
  /*
   * Not g_source_add_unix_fd(): a source with such a descriptor is ready whenever that is, whatever its check()
   * says, and could never stand back for others.
   */
  if (self->fd >= 0)
    {
      self->poll = (GPollFD) { .fd = self->fd };
      poll_unless_paused (self);
      g_source_add_poll (self->source, &self->poll);
    }
  g_source_attach (self->source, self->context);
}

/**
 * evp_turn_source_detach:
 * @self: source
 *
 * Ends the driving of turns; nothing of the source is left in the main context.
 *
 * It can be attached again. Detaching one that is not attached does nothing. Inside a turn it lets that
 * turn end.
 *
 * Use it from the thread of the main context. O(1).
 *
 * Since: 1.0
 */
void
evp_turn_source_detach (EvpTurnSource *self)
{
  GSource *source;

  g_return_if_fail (EVP_IS_TURN_SOURCE (self));

  source = g_steal_pointer (&self->source);
  if (source == NULL)
    return;
  ((Source *) source)->owner = NULL;
  /* removes what is polled as well, so the descriptors may be closed */
  g_source_destroy (source);
  g_source_unref (source);
  if (self->timer_poll.fd >= 0)
    evp_os_fd_close (self->timer_poll.fd);
  self->timer_poll.fd = -1;
  self->no_timer = self->timer_expired = FALSE;
  self->timer_armed = EVP_TIME_NEVER;
}

/**
 * evp_turn_source_pause:
 * @self: source
 *
 * Lets no turn begin until [method@Evp.TurnSource.resume].
 *
 * It is for a main loop that is nested in somebody else's callback and must not drive the other world meanwhile. Unlike
 * detaching and attaching again it does not wake the main context, so that it may be done for each iteration. What the
 * descriptor, the deadline and [method@Evp.TurnSource.wake] ask for meanwhile is done afterwards. A turn that runs goes
 * on. Pausing twice needs resuming twice. A source that is not attached can be paused, too.
 *
 * Use it from the thread of the main context. O(1), and no system call.
 *
 * Since: 1.0
 */
void
evp_turn_source_pause (EvpTurnSource *self)
{
  g_return_if_fail (EVP_IS_TURN_SOURCE (self));

  self->paused++;
  poll_unless_paused (self);
}

/**
 * evp_turn_source_resume:
 * @self: source
 *
 * Takes one [method@Evp.TurnSource.pause] back.
 *
 * Use it from the thread of the main context. O(1), and no system call.
 *
 * Since: 1.0
 */
void
evp_turn_source_resume (EvpTurnSource *self)
{
  g_return_if_fail (EVP_IS_TURN_SOURCE (self));
  g_return_if_fail (self->paused > 0);

  self->paused--;
  poll_unless_paused (self);
}

/**
 * evp_turn_source_wake:
 * @self: source
 *
 * Makes a turn due at once, whatever the deadline is.
 *
 * Inside a turn it asks for another one after it. While the source is not attached it is remembered.
 *
 * May be called from any thread. O(1); a system call only from other threads.
 *
 * Since: 1.0
 */
void
evp_turn_source_wake (EvpTurnSource *self)
{
  g_return_if_fail (EVP_IS_TURN_SOURCE (self));

  if (g_atomic_int_exchange (&self->woken, TRUE))
    return;
  /* the thread of the context looks before it sleeps */
  if (!g_main_context_is_owner (self->context))
    g_main_context_wakeup (self->context);
}
