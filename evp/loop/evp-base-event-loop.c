/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-base-event-loop-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-future.h"
#include "evp/loop/evp-loop-executor-private.h"
#include "evp/loop/evp-loop-io-private.h"
#include "evp/loop/evp-loop-signals-private.h"
#include "evp/loop/evp-loop-source-private.h"
#include "evp/loop/evp-loop-statistics-private.h"
#include "evp/loop/evp-running-loop-private.h"
#include "evp/os/evp-os-fork-private.h"
#include "evp/os/evp-os-signal-private.h"

#include <math.h>

/**
 * EvpBaseEventLoop:
 *
 * What the library's loops share: a loop that lives inside a [struct@GLib.MainContext].
 *
 * A loop is one source in its main context, whatever it watches and schedules, so GTK, GIO and D-Bus work
 * beside it on the same thread. It can be driven in two ways:
 *
 * - *Run*: [method@Evp.AbstractEventLoop.run_forever] or
 *   [method@Evp.AbstractEventLoop.run_until_complete] iterate the context until they are done.
 * - *Adopted*: somebody else iterates the context, `g_application_run()` or `g_main_loop_run()` for example.
 *   Everything works as well, main loops nested inside callbacks included. Then
 *   [method@Evp.AbstractEventLoop.stop] has nothing to stop, and
 *   [method@Evp.AbstractEventLoop.is_running] says whether the context is being iterated.
 *
 * A turn runs callbacks for as long as [property@Evp.BaseEventLoop:turn-budget] says before other
 * sources of the context have their turn. Unlike in asyncio, several rounds of callbacks may run between two
 * looks at the file descriptors; the order in which callbacks run is asyncio's.
 *
 * A loop belongs to the thread that iterates its context. Only
 * [method@Evp.AbstractEventLoop.call_soon_threadsafe] and its relatives may be called from other threads.
 *
 * A loop should be closed with [method@Evp.AbstractEventLoop.close]; one that is finalised open is closed then,
 * with a warning.
 *
 * In asyncio: `asyncio.BaseEventLoop`.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpLoopCore *core;
} EvpBaseEventLoopPrivate;

static void evp_base_event_loop_iface_init (EvpAbstractEventLoopInterface *iface);

G_DEFINE_ABSTRACT_TYPE_WITH_CODE (EvpBaseEventLoop, evp_base_event_loop, G_TYPE_OBJECT,
                                  G_ADD_PRIVATE (EvpBaseEventLoop)
                                  G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, evp_base_event_loop_iface_init))

enum
{
  PROP_MAIN_CONTEXT = 1,
  PROP_DEBUG,
  PROP_SLOW_CALLBACK_DURATION,
  PROP_TURN_BUDGET,
  PROP_TIMER_COALESCING,
  N_PROPS,
};

enum
{
  SIGNAL_CLOSED,
  N_SIGNALS,
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

gpointer evp_loop_fast_classes[EVP_N_FAST_CLASSES];
int evp_loop_core_offset;

#define PRIVATE(loop) \
  ((EvpBaseEventLoopPrivate *) evp_base_event_loop_get_instance_private ((EvpBaseEventLoop *) (loop)))

EvpLoopCore *
evp_base_event_loop_get_core (EvpBaseEventLoop *self)
{
  return PRIVATE (self)->core;
}

gboolean
evp_loop_is_fast_class (gpointer klass)
{
  for (guint i = 1; i < EVP_N_FAST_CLASSES; i++)
    if (__atomic_load_n (&evp_loop_fast_classes[i], __ATOMIC_RELAXED) == klass)
      return TRUE;
  return FALSE;
}

/* These two from any thread: what another thread is told may be over by then, but it is no race. */
static gboolean
is_closed (EvpLoopCore *core)
{
  return __atomic_load_n (&core->closed, __ATOMIC_RELAXED);
}

static gboolean
is_turning (EvpLoopCore *core)
{
  return __atomic_load_n (&core->running, __ATOMIC_ACQUIRE) || __atomic_load_n (&core->depth, __ATOMIC_RELAXED) > 0;
}

static gboolean
check_open (EvpLoopCore *core,
            GError     **error)
{
  if (G_UNLIKELY (is_closed (core)))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return FALSE;
    }
  if (G_UNLIKELY (core->fork_generation != evp_os_fork_generation ()))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_FORKED,
                           _("The event loop belongs to the process from before fork(); make a new one in the child"));
      return FALSE;
    }
  return TRUE;
}

/* In debug mode, and while the loop runs: are we on its thread? */
static gboolean
check_thread (EvpLoopCore *core,
              GError     **error)
{
  if (G_LIKELY (!core->debug) || g_main_context_is_owner (core->context))
    return TRUE;
  /* an adopted loop runs while somebody iterates its context */
  if (!__atomic_load_n (&core->running, __ATOMIC_ACQUIRE) && g_main_context_acquire (core->context))
    {
      g_main_context_release (core->context);
      return TRUE;
    }
  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_WRONG_THREAD,
                       _("Not in the thread of the event loop; use call_soon_threadsafe() from other threads"));
  return FALSE;
}

/* Vfuncs */

static gboolean
evp_base_event_loop_run_forever (EvpAbstractEventLoop *loop,
                                 GError              **error)
{
  EvpLoopCore *core = PRIVATE (loop)->core;
  g_autoptr (GMainLoop) main_loop = NULL;
  int idle = 0;

  if (!check_open (core, error))
    return FALSE;
  if (__atomic_load_n (&core->depth, __ATOMIC_RELAXED) > 0
      || !__atomic_compare_exchange_n (&core->running, &idle, 1, FALSE, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING, _("The event loop is already running"));
      return FALSE;
    }
  /* g_main_loop_run() would wait for the other thread */
  if (!g_main_context_acquire (core->context))
    {
      __atomic_store_n (&core->running, 0, __ATOMIC_RELEASE);
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING,
                           _("Another thread is iterating the main context of the event loop"));
      return FALSE;
    }

  g_object_ref (loop);
  g_main_context_push_thread_default (core->context);
  main_loop = g_main_loop_new (core->context, TRUE);
  core->main_loop = main_loop;
  core->run_depth = core->depth;

  g_main_loop_run (main_loop);

  core->main_loop = NULL;
  __atomic_store_n (&core->stopping, 0, __ATOMIC_RELAXED);
  __atomic_store_n (&core->running, 0, __ATOMIC_RELEASE);
  g_main_context_pop_thread_default (core->context);
  g_main_context_release (core->context);
  g_object_unref (loop);
  return TRUE;
}

static void
evp_base_event_loop_stop (EvpAbstractEventLoop *loop)
{
  /* whoever sees it sees what was done before it */
  __atomic_store_n (&PRIVATE (loop)->core->stopping, 1, __ATOMIC_RELEASE);
}

static gboolean
evp_base_event_loop_is_running (EvpAbstractEventLoop *loop)
{
  EvpLoopCore *core = PRIVATE (loop)->core;

  if (is_closed (core) || core->fork_generation != evp_os_fork_generation ())
    return FALSE;
  if (is_turning (core))
    return TRUE;
  /* adopted: the context is iterated by this thread, or by another one */
  if (g_main_context_is_owner (core->context))
    return TRUE;
  if (!g_main_context_acquire (core->context))
    return TRUE;
  g_main_context_release (core->context);
  return FALSE;
}

static gboolean
evp_base_event_loop_is_closed (EvpAbstractEventLoop *loop)
{
  return is_closed (PRIVATE (loop)->core);
}

static void
do_close (EvpAbstractEventLoop *loop)
{
  EvpLoopCore *core = PRIVATE (loop)->core;

  evp_loop_core_close (core);
  evp_loop_executor_close (loop);
  g_signal_emit (loop, signals[SIGNAL_CLOSED], 0);
}

static gboolean
evp_base_event_loop_close (EvpAbstractEventLoop *loop,
                           GError              **error)
{
  EvpLoopCore *core = PRIVATE (loop)->core;

  if (is_closed (core))
    return TRUE;
  if (is_turning (core) && core->fork_generation == evp_os_fork_generation ())
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING,
                           _("A running event loop cannot be closed; stop it first"));
      return FALSE;
    }
  g_object_ref (loop);
  do_close (loop);
  g_object_unref (loop);
  return TRUE;
}

static gint64
evp_base_event_loop_get_time_us (EvpAbstractEventLoop *loop)
{
  return evp_clock_get_time_ns () / EVP_NSEC_PER_USEC;
}

static gboolean
evp_base_event_loop_schedule (EvpAbstractEventLoop *loop,
                              EvpHandle            *handle,
                              GError              **error)
{
  EvpLoopCore *core = PRIVATE (loop)->core;

  if (!check_open (core, error) || !check_thread (core, error))
    return FALSE;
  /* one that is armed is linked into the timer queue */
  if ((handle->flags & (EVP_HANDLE_QUEUED | EVP_HANDLE_ARMED)) != 0)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE, _("The handle is already scheduled"));
      return FALSE;
    }
  if (!evp_inbox_is_empty (&core->inbox))
    evp_loop_core_drain (core);
  evp_loop_core_push (core, evp_handle_ref (handle));
  return TRUE;
}

static gboolean
evp_base_event_loop_schedule_threadsafe (EvpAbstractEventLoop *loop,
                                         EvpHandle            *handle,
                                         GError              **error)
{
  EvpLoopCore *core = PRIVATE (loop)->core;

  if (core->fork_generation == evp_os_fork_generation ())
    {
      /* inside a turn it would go into the queue that it is in already */
      if (__atomic_load_n (&core->pool.owner, __ATOMIC_RELAXED) == evp_handle_thread_token ()
          && (handle->flags & (EVP_HANDLE_QUEUED | EVP_HANDLE_ARMED)) != 0)
        {
          g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE, _("The handle is already scheduled"));
          return FALSE;
        }
      if (evp_loop_core_post (core, NULL, evp_handle_ref (handle), NULL))
        return TRUE;
      evp_handle_unref (handle);
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return FALSE;
    }
  return check_open (core, error);
}

static gboolean
evp_base_event_loop_schedule_timer (EvpAbstractEventLoop *loop,
                                    EvpTimerHandle       *handle,
                                    GError              **error)
{
  EvpLoopCore *core = PRIVATE (loop)->core;

  if (!check_open (core, error) || !check_thread (core, error))
    return FALSE;
  if ((handle->handle.flags & (EVP_HANDLE_QUEUED | EVP_HANDLE_ARMED)) != 0)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE, _("The handle is already scheduled"));
      return FALSE;
    }
  evp_loop_core_arm (core, &handle->handle);
  return TRUE;
}

static gboolean
check_signum (int      signum,
              GError **error)
{
  if (evp_os_signal_is_valid (signum))
    return TRUE;
  g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, _("%d is not the number of a signal"), signum);
  return FALSE;
}

static gboolean
evp_base_event_loop_watch_signal (EvpAbstractEventLoop *loop,
                                  int                   signum,
                                  EvpHandle            *handle,
                                  GError              **error)
{
  EvpLoopCore *core = PRIVATE (loop)->core;

  if (!check_signum (signum, error) || !check_open (core, error))
    return FALSE;
  if (!evp_os_is_main_thread ())
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_WRONG_THREAD,
                           _("Signal handlers can only be added in the main thread"));
      return FALSE;
    }
  return evp_loop_signals_add (core, signum, handle, error);
}

static gboolean
evp_base_event_loop_remove_signal_handler (EvpAbstractEventLoop *loop,
                                           int                   signum)
{
  return evp_loop_signals_remove (PRIVATE (loop)->core, signum);
}

static gboolean
evp_base_event_loop_get_debug (EvpAbstractEventLoop *loop)
{
  return PRIVATE (loop)->core->debug;
}

static void
evp_base_event_loop_set_debug (EvpAbstractEventLoop *loop,
                               gboolean              enabled)
{
  EvpLoopCore *core = PRIVATE (loop)->core;

  if (core->debug == !!enabled)
    return;
  evp_loop_core_set_debug (core, !!enabled);
  g_object_notify_by_pspec (G_OBJECT (loop), properties[PROP_DEBUG]);
}

static GMainContext *
evp_base_event_loop_dup_main_context (EvpAbstractEventLoop *loop)
{
  return g_main_context_ref (PRIVATE (loop)->core->context);
}

static void
evp_base_event_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  iface->run_forever = evp_base_event_loop_run_forever;
  iface->stop = evp_base_event_loop_stop;
  iface->is_running = evp_base_event_loop_is_running;
  iface->is_closed = evp_base_event_loop_is_closed;
  iface->close = evp_base_event_loop_close;
  iface->get_time_us = evp_base_event_loop_get_time_us;
  iface->schedule = evp_base_event_loop_schedule;
  iface->schedule_threadsafe = evp_base_event_loop_schedule_threadsafe;
  iface->schedule_timer = evp_base_event_loop_schedule_timer;
  iface->watch_signal = evp_base_event_loop_watch_signal;
  iface->remove_signal_handler = evp_base_event_loop_remove_signal_handler;
  iface->get_debug = evp_base_event_loop_get_debug;
  iface->set_debug = evp_base_event_loop_set_debug;
  iface->dup_main_context = evp_base_event_loop_dup_main_context;
}

/*
 * A class that leaves the clock and the scheduling slots alone is scheduled on directly. And a binding that writes a
 * subclass's slots into the table it shares with its parent is told so: every loop of the
 * parent's class would change.
 */
static void
inspect_class (EvpBaseEventLoop *self)
{
  EvpAbstractEventLoopInterface *base, *own;
  gpointer klass = G_OBJECT_GET_CLASS (self);

  base = g_type_interface_peek (g_type_class_peek (EVP_TYPE_BASE_EVENT_LOOP), EVP_TYPE_EVENT_LOOP);
  if (base->schedule != evp_base_event_loop_schedule || base->run_forever != evp_base_event_loop_run_forever
      || base->close != evp_base_event_loop_close || base->stop != evp_base_event_loop_stop
      || base->schedule_timer != evp_base_event_loop_schedule_timer
      || base->schedule_threadsafe != evp_base_event_loop_schedule_threadsafe
      || base->watch_signal != evp_base_event_loop_watch_signal
      || base->is_running != evp_base_event_loop_is_running || base->is_closed != evp_base_event_loop_is_closed)
    g_critical ("A subclass wrote into EvpBaseEventLoop: list Evp.AbstractEventLoop among its bases");

  own = g_type_interface_peek (klass, EVP_TYPE_EVENT_LOOP);
  if (own->schedule != evp_base_event_loop_schedule || own->schedule_timer != evp_base_event_loop_schedule_timer
      || own->schedule_threadsafe != evp_base_event_loop_schedule_threadsafe
      || own->get_time_us != evp_base_event_loop_get_time_us)
    return;
  for (guint i = 0; i < EVP_N_FAST_CLASSES; i++)
    {
      gpointer expected = NULL;

      if (__atomic_load_n (&evp_loop_fast_classes[i], __ATOMIC_RELAXED) == klass
          || __atomic_compare_exchange_n (&evp_loop_fast_classes[i], &expected, klass, FALSE,
                                          __ATOMIC_RELEASE, __ATOMIC_RELAXED)
          || expected == klass)
        break;
    }
}

static void
evp_base_event_loop_constructed (GObject *object)
{
  EvpBaseEventLoop *self = EVP_BASE_EVENT_LOOP (object);
  EvpBaseEventLoopPrivate *priv = PRIVATE (self);

  G_OBJECT_CLASS (evp_base_event_loop_parent_class)->constructed (object);

  evp_loop_source_attach (priv->core);
  inspect_class (self);
}

static void
evp_base_event_loop_dispose (GObject *object)
{
  EvpLoopCore *core = PRIVATE (object)->core;

  if (!core->closed)
    {
      if (core->fork_generation == evp_os_fork_generation ())
        evp_warn_runtime (_("An event loop (%s at %p) was dropped without being closed; call close() when it is done"),
                          G_OBJECT_TYPE_NAME (object), (void *) object);
      do_close (EVP_EVENT_LOOP (object));
    }
  core->loop = NULL;

  G_OBJECT_CLASS (evp_base_event_loop_parent_class)->dispose (object);
}

static void
evp_base_event_loop_finalize (GObject *object)
{
  EvpBaseEventLoopPrivate *priv = PRIVATE (object);

  evp_loop_core_unref (priv->core);

  G_OBJECT_CLASS (evp_base_event_loop_parent_class)->finalize (object);
}

static void
evp_base_event_loop_get_property (GObject    *object,
                                  guint       prop_id,
                                  GValue     *value,
                                  GParamSpec *pspec)
{
  EvpLoopCore *core = PRIVATE (object)->core;

  switch (prop_id)
    {
    case PROP_MAIN_CONTEXT:
      g_value_set_boxed (value, core->context);
      break;
    case PROP_DEBUG:
      g_value_set_boolean (value, core->debug);
      break;
    case PROP_SLOW_CALLBACK_DURATION:
      g_value_set_double (value, evp_clock_ns_to_seconds (core->slow_callback));
      break;
    case PROP_TURN_BUDGET:
      g_value_set_double (value, evp_clock_ns_to_seconds (core->budget));
      break;
    case PROP_TIMER_COALESCING:
      g_value_set_double (value, evp_clock_ns_to_seconds (core->coalescing));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_base_event_loop_set_property (GObject      *object,
                                  guint         prop_id,
                                  const GValue *value,
                                  GParamSpec   *pspec)
{
  EvpBaseEventLoopPrivate *priv = PRIVATE (object);

  switch (prop_id)
    {
    case PROP_MAIN_CONTEXT:
      {
        GMainContext *context = g_value_get_boxed (value);

        priv->core->context = context != NULL ? g_main_context_ref (context) : g_main_context_new ();
      }
      break;
    case PROP_DEBUG:
      evp_event_loop_set_debug (EVP_EVENT_LOOP (object), g_value_get_boolean (value));
      break;
    case PROP_SLOW_CALLBACK_DURATION:
      evp_base_event_loop_set_slow_callback_duration (EVP_BASE_EVENT_LOOP (object), g_value_get_double (value));
      break;
    case PROP_TURN_BUDGET:
      priv->core->budget = evp_clock_seconds_to_ns (g_value_get_double (value));
      break;
    case PROP_TIMER_COALESCING:
      priv->core->coalescing = evp_clock_seconds_to_ns (g_value_get_double (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_base_event_loop_class_init (EvpBaseEventLoopClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = evp_base_event_loop_constructed;
  object_class->dispose = evp_base_event_loop_dispose;
  object_class->finalize = evp_base_event_loop_finalize;
  object_class->get_property = evp_base_event_loop_get_property;
  object_class->set_property = evp_base_event_loop_set_property;

  evp_loop_core_offset = EvpBaseEventLoop_private_offset + (int) G_STRUCT_OFFSET (EvpBaseEventLoopPrivate, core);

  /**
   * EvpBaseEventLoop:main-context:
   *
   * The main context that the loop lives in; `NULL` at construction makes a new one.
   *
   * Since: 1.0
   */
  properties[PROP_MAIN_CONTEXT] =
    g_param_spec_boxed ("main-context", NULL, NULL, G_TYPE_MAIN_CONTEXT,
                        G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpBaseEventLoop:debug:
   *
   * Whether the loop is in debug mode: it checks the calling thread and reports slow callbacks.
   *
   * Initially on if the environment variable `EVP_DEBUG` has the key `loop`.
   *
   * Since: 1.0
   */
  properties[PROP_DEBUG] =
    g_param_spec_boolean ("debug", NULL, NULL, FALSE,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpBaseEventLoop:slow-callback-duration:
   *
   * In debug mode, callbacks that take this many seconds or longer are reported.
   *
   * Since: 1.0
   */
  properties[PROP_SLOW_CALLBACK_DURATION] =
    g_param_spec_double ("slow-callback-duration", NULL, NULL, 0.0, G_MAXDOUBLE, 0.1,
                         G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpBaseEventLoop:turn-budget:
   *
   * How many seconds of callbacks run before other sources of the main context have their turn.
   *
   * A source of the same priority is late by about one and a half times as much. A callback that takes
   * longer is not interrupted. With 0, every turn runs exactly one round, as in asyncio: what was
   * queued at its start, and the descriptors are looked at before each.
   *
   * Since: 1.0
   */
  properties[PROP_TURN_BUDGET] =
    g_param_spec_double ("turn-budget", NULL, NULL, 0.0, 3600.0, 0.0001,
                         G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);

  /**
   * EvpBaseEventLoop:timer-coalescing:
   *
   * After a wake-up for a timer the next one comes no sooner than this many seconds.
   *
   * Timers that are due in between are late by at most as much, and share one wake-up. With 0 every
   * timer is exact.
   *
   * Since: 1.0
   */
  properties[PROP_TIMER_COALESCING] =
    g_param_spec_double ("timer-coalescing", NULL, NULL, 0.0, 1.0, 0.00005,
                         G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);

  /**
   * EvpBaseEventLoop::closed:
   * @self: the loop
   *
   * Emitted once, when the loop has been closed, on the thread that closed it.
   *
   * Since: 1.0
   */
  signals[SIGNAL_CLOSED] =
    g_signal_new ("closed", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
evp_base_event_loop_init (EvpBaseEventLoop *self)
{
  EvpBaseEventLoopPrivate *priv = PRIVATE (self);

  priv->core = evp_loop_core_new (EVP_EVENT_LOOP (self));
  evp_loop_core_set_debug (priv->core, evp_debug_enabled (EVP_DEBUG_LOOP));
}

/**
 * evp_base_event_loop_get_main_context:
 * @self: a loop
 *
 * Gives the main context that the loop lives in.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none): the main context
 *
 * Since: 1.0
 */
GMainContext *
evp_base_event_loop_get_main_context (EvpBaseEventLoop *self)
{
  g_return_val_if_fail (EVP_IS_BASE_EVENT_LOOP (self), NULL);

  return PRIVATE (self)->core->context;
}

/**
 * evp_base_event_loop_get_statistics:
 * @self: a loop
 *
 * Tells what the loop has done so far.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (transfer full): a snapshot
 *
 * Since: 1.0
 */
EvpLoopStatistics *
evp_base_event_loop_get_statistics (EvpBaseEventLoop *self)
{
  EvpLoopStatistics *statistics;
  EvpLoopCore *core;

  g_return_val_if_fail (EVP_IS_BASE_EVENT_LOOP (self), NULL);

  core = PRIVATE (self)->core;
  statistics = g_new0 (EvpLoopStatistics, 1);
  statistics->turns = core->n_turns;
  statistics->callbacks = core->n_callbacks;
  statistics->wakeups = core->n_wakeups;
  statistics->timers = core->timers != NULL ? evp_timer_queue_get_size (core->timers) : 0;
  statistics->fds = core->io_funcs != NULL && core->io_funcs->count != NULL ? core->io_funcs->count (core->io) : 0;
  statistics->longest_callback = evp_clock_ns_to_seconds (core->longest_callback);
  statistics->time_asleep = evp_clock_ns_to_seconds (core->time_asleep);
  return statistics;
}

/**
 * evp_base_event_loop_get_slow_callback_duration:
 * @self: a loop
 *
 * Tells from which duration on callbacks are reported in debug mode.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: seconds
 *
 * Since: 1.0
 */
double
evp_base_event_loop_get_slow_callback_duration (EvpBaseEventLoop *self)
{
  g_return_val_if_fail (EVP_IS_BASE_EVENT_LOOP (self), 0.0);

  return evp_clock_ns_to_seconds (PRIVATE (self)->core->slow_callback);
}

/**
 * evp_base_event_loop_set_slow_callback_duration:
 * @self: a loop
 * @seconds: a duration; with 0 every callback is reported
 *
 * Sets from which duration on callbacks are reported in debug mode. 0.1 seconds at first.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_base_event_loop_set_slow_callback_duration (EvpBaseEventLoop *self,
                                                double            seconds)
{
  EvpLoopCore *core;
  gint64 ns;

  g_return_if_fail (EVP_IS_BASE_EVENT_LOOP (self));
  g_return_if_fail (seconds >= 0.0);

  core = PRIVATE (self)->core;
  ns = evp_clock_seconds_to_ns (seconds);
  if (core->slow_callback == ns)
    return;
  core->slow_callback = ns;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SLOW_CALLBACK_DURATION]);
}

/**
 * evp_base_event_loop_name_running_callback:
 * @self: a loop
 * @name: (nullable): what to call the callback; `NULL` for what it was called before
 *
 * Says what messages about slow callbacks call the one that runs now.
 *
 * It is for what drives something else in its callbacks, such as coroutines: only there is it known what
 * took so long. The overrides for Python and JavaScript use it for the callbacks of descriptors, signals,
 * futures and tasks. The name is for this one time; [method@Evp.Handle.set_name] names a handle.
 * Unless a callback runs in debug mode nothing happens.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_base_event_loop_name_running_callback (EvpBaseEventLoop *self,
                                           const char       *name)
{
  g_return_if_fail (EVP_IS_BASE_EVENT_LOOP (self));

  evp_loop_core_name_running (PRIVATE (self)->core, name);
}
