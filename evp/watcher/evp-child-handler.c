/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-child-handler-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/loop/evp-running-loop-private.h"
#include "evp/os/evp-os-fork-private.h"

/**
 * EvpChildHandler:
 *
 * What a child watcher calls when a child has ended: a callback, and the loop in which it must run.
 *
 * Programs rarely see one: [method@Evp.AbstractChildWatcher.add_child_handler] makes it from a callback.
 * A watcher, which may be written in any language, receives it in its slot
 * [vfunc@Evp.AbstractChildWatcher.add_handler], keeps it, and calls [method@Evp.ChildHandler.invoke] when
 * the child has ended.
 *
 * The callback runs at most once, on the thread of the handler's loop. The data of the callback is released
 * after it has run, or when the handler is cancelled, or when its loop is closed: on the thread of the loop or
 * on the one that made the handler, never on a helper thread of a watcher.
 *
 * All methods may be called from any thread, and are O(1).
 *
 * Since: 1.0
 */

typedef enum
{
  STATE_PENDING,  /* the child has not ended yet, as far as we know */
  STATE_POSTED,   /* it has, and the callback is on its way */
  STATE_RUNNING,  /* the callback is on a stack */
  STATE_FINISHED, /* the callback has run, or never will; its data is gone */
} State;

struct _EvpChildHandler
{
  GObject parent_instance;

  /* constant */
  GPid pid;
  GThread *maker; /* the thread that made it, and so may release the data */
  guint generation; /* of the process whose child it is: evp_os_fork_generation() */

  GMutex lock; /* protects what follows; not held while foreign code runs */
  State state;
  EvpAbstractEventLoop *loop;
  gulong closed_id;     /* the connection to the loop's signal "closed" */
  EvpChildCallback callback;
  gpointer user_data;
  GDestroyNotify destroy;
  EvpChildOutcome *outcome; /* (nullable): the maker's; as long as the data is there */
  int returncode;
  double cpu_time; /* seconds; < 0: unknown */
  gboolean done;
  gboolean lost;
};

G_DEFINE_FINAL_TYPE (EvpChildHandler, evp_child_handler, G_TYPE_OBJECT)

static __thread gboolean in_helper_thread;

void
evp_child_handler_enter_helper_thread (void)
{
  in_helper_thread = TRUE;
}

/* A callback and its data, taken out of a handler. */
typedef struct
{
  EvpChildCallback callback;
  gpointer user_data;
  GDestroyNotify destroy;
  EvpAbstractEventLoop *loop; /* (owned) (nullable) */
} Closure;

static void
release_cb (gpointer user_data)
{
}

static gboolean
release_idle_cb (gpointer user_data)
{
  return G_SOURCE_REMOVE;
}

/*
 * Releases the data on a thread where a language may be: GJS crashes when it happens elsewhere. @here says
 * that this is such a thread.
 */
static void
closure_release (Closure *closure,
                 GThread *maker,
                 gboolean here)
{
  EvpAbstractEventLoop *loop = closure->loop;
  GDestroyNotify destroy = g_steal_pointer (&closure->destroy);

  if (destroy == NULL)
    ;
  else if (here || (!in_helper_thread && loop == NULL) || maker == g_thread_self ()
           || (loop != NULL && evp_running_loop_get () == loop))
    destroy (closure->user_data);
  else if (loop != NULL && !evp_event_loop_is_closed (loop))
    /* if it is closed right now, the data is released all the same */
    evp_event_loop_call_soon_threadsafe (loop, release_cb, closure->user_data, destroy, NULL);
  else if (in_helper_thread)
    g_idle_add_full (G_PRIORITY_DEFAULT, release_idle_cb, closure->user_data, destroy);
  else
    destroy (closure->user_data);
  g_clear_object (&closure->loop);
}

/* Under the lock. */
static void
disconnect (EvpChildHandler *self)
{
  if (self->closed_id != 0)
    g_signal_handler_disconnect (self->loop, self->closed_id);
  self->closed_id = 0;
}

/* Under the lock. */
static Closure
take_closure (EvpChildHandler *self)
{
  Closure closure = {
    .callback = g_steal_pointer (&self->callback),
    .user_data = g_steal_pointer (&self->user_data),
    .destroy = g_steal_pointer (&self->destroy),
    .loop = self->loop != NULL ? g_object_ref (self->loop) : NULL,
  };

  self->outcome = NULL;
  disconnect (self);
  return closure;
}

/* On the thread of the loop. */
static void
evp_child_handler_run (EvpChildHandler *self)
{
  Closure closure;
  int returncode;

  g_mutex_lock (&self->lock);
  if (self->state != STATE_POSTED)
    {
      g_mutex_unlock (&self->lock);
      return;
    }
  self->state = STATE_RUNNING;
  returncode = self->returncode;
  closure = take_closure (self);
  g_mutex_unlock (&self->lock);

  if (closure.loop != NULL && evp_event_loop_get_debug (closure.loop))
    g_debug ("child %d ended with return code %d", (int) self->pid, returncode);
  else
    EVP_DEBUG_NOTE (EVP_DEBUG_WATCHER, "child %d ended with return code %d", (int) self->pid, returncode);

  g_object_ref (self);
  closure.callback (self->pid, returncode, closure.user_data);

  g_mutex_lock (&self->lock);
  self->state = STATE_FINISHED;
  g_mutex_unlock (&self->lock);
  closure_release (&closure, self->maker, TRUE);
  g_object_unref (self);
}

static void
run_cb (gpointer user_data)
{
  evp_child_handler_run (user_data);
}

static void
warn_closed (EvpChildHandler      *self,
             EvpAbstractEventLoop *loop)
{
  /* nothing is lost in a forked process: the child, and its end, are the parent's */
  if (self->generation != evp_os_fork_generation ())
    return;
  /* Translators: %d is a process id, %s the class of an event loop, %p its address */
  evp_warn_runtime (_("The event loop of the handler for child %d (%s at %p) is closed; "
                      "its callback is dropped and will not be called"),
                    (int) self->pid, loop != NULL ? G_OBJECT_TYPE_NAME (loop) : "none", (void *) loop);
}

static void
evp_child_handler_drop_for (EvpChildHandler      *self,
                            EvpAbstractEventLoop *loop, /* (nullable): only if it is in this one */
                            gboolean              here)
{
  Closure closure;

  g_mutex_lock (&self->lock);
  if ((self->state != STATE_PENDING && self->state != STATE_POSTED) || (loop != NULL && self->loop != loop))
    {
      g_mutex_unlock (&self->lock);
      return;
    }
  self->state = STATE_FINISHED;
  closure = take_closure (self);
  g_mutex_unlock (&self->lock);

  warn_closed (self, closure.loop);
  closure_release (&closure, self->maker, here);
}

/* The loop has let go of a posted callback: because it has run, or because the loop is closed. */
static void
posted_cb (gpointer user_data)
{
  EvpChildHandler *self = user_data;

  evp_child_handler_drop_for (self, NULL, FALSE);
  g_object_unref (self);
}

static void
closed_cb (EvpAbstractEventLoop *loop,
           gpointer              user_data)
{
  EvpChildHandler *self = user_data;

  /* the thread that closes a loop is the loop's */
  g_object_ref (self);
  evp_child_handler_drop_for (self, loop, TRUE);
  g_object_unref (self);
}

static void
unref_closure_cb (gpointer  user_data,
                  GClosure *closure)
{
  g_object_unref (user_data);
}

/* Notes the end; FALSE if that was done before, or nobody wants to know. */
static gboolean
evp_child_handler_end (EvpChildHandler       *self,
                       int                    returncode,
                       gboolean               lost,
                       EvpAbstractEventLoop **loop)
{
  g_mutex_lock (&self->lock);
  if (self->state != STATE_PENDING)
    {
      g_mutex_unlock (&self->lock);
      return FALSE;
    }
  self->state = STATE_POSTED;
  self->returncode = lost ? EVP_RETURNCODE_LOST : returncode;
  self->lost = lost;
  self->done = TRUE;
  if (self->outcome != NULL)
    {
      self->outcome->lost = lost;
      self->outcome->cpu_time = self->cpu_time;
      g_atomic_int_set (&self->outcome->done, TRUE);
    }
  *loop = self->loop != NULL ? g_object_ref (self->loop) : NULL;
  g_mutex_unlock (&self->lock);

  if (lost)
    evp_warn_runtime (_("The exit status of child %d was taken by somebody else, or it was never a child of this "
                        "process; it is reported as %d and lost"),
                      (int) self->pid, EVP_RETURNCODE_LOST);
  return TRUE;
}

static void
evp_child_handler_invoke_full (EvpChildHandler *self,
                               int              returncode,
                               gboolean         lost)
{
  g_autoptr (EvpAbstractEventLoop) loop = NULL;

  if (!evp_child_handler_end (self, returncode, lost, &loop))
    return;
  if (loop == NULL || evp_running_loop_get () == loop)
    evp_child_handler_run (self);
  else
    /* a refusal ends in posted_cb() too */
    evp_event_loop_call_soon_threadsafe (loop, run_cb, g_object_ref (self), posted_cb, NULL);
}

static void
evp_child_handler_finalize (GObject *object)
{
  EvpChildHandler *self = EVP_CHILD_HANDLER (object);
  Closure closure = take_closure (self);

  closure_release (&closure, self->maker, FALSE);
  g_clear_object (&self->loop);
  g_thread_unref (self->maker);
  g_mutex_clear (&self->lock);

  G_OBJECT_CLASS (evp_child_handler_parent_class)->finalize (object);
}

static void
evp_child_handler_class_init (EvpChildHandlerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = evp_child_handler_finalize;
}

static void
evp_child_handler_init (EvpChildHandler *self)
{
  g_mutex_init (&self->lock);
  self->maker = g_thread_ref (g_thread_self ());
  self->generation = evp_os_fork_generation ();
  /* until evp_child_handler_new() says otherwise there is nothing to call */
  self->state = STATE_FINISHED;
  self->cpu_time = -1.0;
}

/* For the watchers of the library */

void
evp_child_handler_set_outcome (EvpChildHandler *self,
                               EvpChildOutcome *outcome)
{
  self->outcome = outcome;
}

EvpAbstractEventLoop *
evp_child_handler_dup_loop (EvpChildHandler *self)
{
  EvpAbstractEventLoop *loop;

  g_mutex_lock (&self->lock);
  loop = self->loop != NULL ? g_object_ref (self->loop) : NULL;
  g_mutex_unlock (&self->lock);
  return loop;
}

/* Under the lock; there may be a connection already. */
static void
connect_closed (EvpChildHandler *self)
{
  GSignalQuery query = { 0 };
  guint signal_id;

  if (self->closed_id != 0 || self->loop == NULL
      || (self->state != STATE_PENDING && self->state != STATE_POSTED))
    return;
  /* loops written elsewhere need not have it */
  signal_id = g_signal_lookup ("closed", G_OBJECT_TYPE (self->loop));
  if (signal_id == 0)
    return;
  g_signal_query (signal_id, &query);
  if (query.n_params == 0 && query.return_type == G_TYPE_NONE)
    self->closed_id = g_signal_connect_data (self->loop, "closed", G_CALLBACK (closed_cb), g_object_ref (self),
                                             unref_closure_cb, 0);
}

void
evp_child_handler_guard (EvpChildHandler *self)
{
  g_autoptr (EvpAbstractEventLoop) loop = NULL;

  g_mutex_lock (&self->lock);
  connect_closed (self);
  loop = self->closed_id != 0 ? g_object_ref (self->loop) : NULL;
  g_mutex_unlock (&self->lock);

  /* between the caller's look and ours */
  if (loop != NULL && evp_event_loop_is_closed (loop))
    evp_child_handler_drop_for (self, loop, FALSE);
}

void
evp_child_handler_run_here (EvpChildHandler *self,
                            int              returncode,
                            gboolean         lost)
{
  g_autoptr (EvpAbstractEventLoop) loop = NULL;

  if (evp_child_handler_end (self, returncode, lost, &loop))
    evp_child_handler_run (self);
}

void
evp_child_handler_drop (EvpChildHandler *self)
{
  evp_child_handler_drop_for (self, NULL, FALSE);
}

void
evp_child_handler_put_into (EvpChildHandler      *self,
                            EvpAbstractEventLoop *loop)
{
  g_autoptr (EvpAbstractEventLoop) former = NULL;

  g_mutex_lock (&self->lock);
  if (self->loop != loop)
    {
      gboolean guarded = self->closed_id != 0;

      disconnect (self);
      former = self->loop;
      self->loop = loop != NULL ? g_object_ref (loop) : NULL;
      if (guarded)
        connect_closed (self);
    }
  g_mutex_unlock (&self->lock);
}

/**
 * evp_child_handler_new:
 * @pid: a child of this process
 * @loop: (nullable): the loop in which @callback must run, or `NULL` if that does not matter
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to call when the child has ended
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the thread of @loop or on this one
 *
 * Makes a handler for a child.
 *
 * It watches nothing by itself: give it to [method@Evp.AbstractChildWatcher.add_handler].
 *
 * Without a loop, the callback runs in the loop that the watcher is attached to, or wherever
 * [method@Evp.ChildHandler.invoke] is called.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): a new handler
 *
 * Since: 1.0
 */
EvpChildHandler *
evp_child_handler_new (GPid                  pid,
                       EvpAbstractEventLoop *loop,
                       EvpChildCallback      callback,
                       gpointer              user_data,
                       GDestroyNotify        destroy)
{
  EvpChildHandler *self;

  g_return_val_if_fail (loop == NULL || EVP_IS_EVENT_LOOP (loop), NULL);
  g_return_val_if_fail (callback != NULL, NULL);

  self = g_object_new (EVP_TYPE_CHILD_HANDLER, NULL);
  self->pid = pid;
  self->loop = loop != NULL ? g_object_ref (loop) : NULL;
  self->callback = callback;
  self->user_data = user_data;
  self->destroy = destroy;
  self->state = STATE_PENDING;
  return self;
}

/**
 * evp_child_handler_get_pid:
 * @self: a handler
 *
 * Gets the process id of the child.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the process id
 *
 * Since: 1.0
 */
GPid
evp_child_handler_get_pid (EvpChildHandler *self)
{
  g_return_val_if_fail (EVP_IS_CHILD_HANDLER (self), 0);

  return self->pid;
}

/**
 * evp_child_handler_get_loop:
 * @self: a handler
 *
 * Gets the loop in which the callback runs.
 *
 * When its watcher is attached to another loop, the handler may move there; only until then is the
 * loop kept alive by the handler.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none) (nullable): the loop, or `NULL` if there is none
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_child_handler_get_loop (EvpChildHandler *self)
{
  EvpAbstractEventLoop *loop;

  g_return_val_if_fail (EVP_IS_CHILD_HANDLER (self), NULL);

  g_mutex_lock (&self->lock);
  loop = self->loop;
  g_mutex_unlock (&self->lock);
  return loop;
}

/**
 * evp_child_handler_set_loop:
 * @self: a handler
 * @loop: the loop in which the callback runs from now on
 *
 * Moves the handler to a loop.
 *
 * For watchers: when a handler without a loop comes to a watcher that is attached to one, and when the
 * watcher is attached to another. What was posted to the former loop already is still delivered there.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_child_handler_set_loop (EvpChildHandler      *self,
                            EvpAbstractEventLoop *loop)
{
  g_return_if_fail (EVP_IS_CHILD_HANDLER (self));
  g_return_if_fail (EVP_IS_EVENT_LOOP (loop));

  evp_child_handler_put_into (self, loop);
}

/**
 * evp_child_handler_get_done:
 * @self: a handler
 *
 * Gets whether the end of the child was reported to the handler.
 *
 * The callback may still be on its way to its loop.
 *
 * May be called from any thread. O(1).
 *
 * Returns: whether [method@Evp.ChildHandler.invoke] or [method@Evp.ChildHandler.invoke_lost] was called
 *   while the handler was wanted
 *
 * Since: 1.0
 */
gboolean
evp_child_handler_get_done (EvpChildHandler *self)
{
  gboolean done;

  g_return_val_if_fail (EVP_IS_CHILD_HANDLER (self), FALSE);

  g_mutex_lock (&self->lock);
  done = self->done;
  g_mutex_unlock (&self->lock);
  return done;
}

/**
 * evp_child_handler_get_returncode:
 * @self: a handler
 *
 * Gets the return code of the child: its exit code 0–255, or minus the number of the signal that killed it.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the return code; 0 before [method@Evp.ChildHandler.get_done]
 *
 * Since: 1.0
 */
int
evp_child_handler_get_returncode (EvpChildHandler *self)
{
  int returncode;

  g_return_val_if_fail (EVP_IS_CHILD_HANDLER (self), 0);

  g_mutex_lock (&self->lock);
  returncode = self->returncode;
  g_mutex_unlock (&self->lock);
  return returncode;
}

/**
 * evp_child_handler_get_lost:
 * @self: a handler
 *
 * Gets whether the child's exit status is unknown, because somebody else took it.
 *
 * The return code is %EVP_RETURNCODE_LOST then, which a child may also exit with by itself.
 *
 * May be called from any thread. O(1).
 *
 * Returns: whether the status was lost
 *
 * Since: 1.0
 */
gboolean
evp_child_handler_get_lost (EvpChildHandler *self)
{
  gboolean lost;

  g_return_val_if_fail (EVP_IS_CHILD_HANDLER (self), FALSE);

  g_mutex_lock (&self->lock);
  lost = self->lost;
  g_mutex_unlock (&self->lock);
  return lost;
}

/**
 * evp_child_handler_get_cpu_time:
 * @self: a handler
 *
 * Gets how much processor time the child took: its own, in user and system mode, and that of those of
 * its descendants that were waited for.
 *
 * The watchers of this library find it out on Linux, without a further system call, apart from
 * [class@Evp.GLibChildWatcher] where GLib has no pidfds and does not tell it. It is not known either if
 * the exit status was lost.
 *
 * May be called from any thread. O(1).
 *
 * Returns: seconds, or -1.0 if it is not known, or not yet
 *
 * Since: 1.0
 */
double
evp_child_handler_get_cpu_time (EvpChildHandler *self)
{
  double cpu_time;

  g_return_val_if_fail (EVP_IS_CHILD_HANDLER (self), -1.0);

  g_mutex_lock (&self->lock);
  cpu_time = self->cpu_time;
  g_mutex_unlock (&self->lock);
  return cpu_time;
}

/**
 * evp_child_handler_set_cpu_time:
 * @self: a handler
 * @cpu_time: the processor time that the child has taken, in seconds
 *
 * Tells the processor time of the child. For watchers that know it; call it before
 * [method@Evp.ChildHandler.invoke].
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_child_handler_set_cpu_time (EvpChildHandler *self,
                                double           cpu_time)
{
  g_return_if_fail (EVP_IS_CHILD_HANDLER (self));

  g_mutex_lock (&self->lock);
  self->cpu_time = cpu_time;
  g_mutex_unlock (&self->lock);
}

/**
 * evp_child_handler_invoke:
 * @self: a handler
 * @pid: the child that ended, the handler's
 * @returncode: its exit code 0–255, or minus the number of the signal that killed it
 *
 * Reports that the child has ended: watchers call it.
 *
 * On the thread where the handler's loop runs, the callback runs at once; from anywhere else it is posted
 * to the loop. Without a loop it runs at once. If the loop is closed, there is a warning, and the callback is
 * dropped. Only the first call has an effect, and none after [method@Evp.ChildHandler.cancel].
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_child_handler_invoke (EvpChildHandler *self,
                          GPid             pid,
                          int              returncode)
{
  g_return_if_fail (EVP_IS_CHILD_HANDLER (self));
  g_return_if_fail (pid == self->pid);

  evp_child_handler_invoke_full (self, returncode, FALSE);
}

/**
 * evp_child_handler_invoke_lost:
 * @self: a handler
 * @pid: the child that ended, the handler's
 *
 * Reports that the child has ended and that nobody knows how: somebody else took its exit status.
 *
 * Like [method@Evp.ChildHandler.invoke] with %EVP_RETURNCODE_LOST; besides there is one warning,
 * and [method@Evp.ChildHandler.get_lost] becomes true.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_child_handler_invoke_lost (EvpChildHandler *self,
                               GPid             pid)
{
  g_return_if_fail (EVP_IS_CHILD_HANDLER (self));
  g_return_if_fail (pid == self->pid);

  evp_child_handler_invoke_full (self, EVP_RETURNCODE_LOST, TRUE);
}

/**
 * evp_child_handler_cancel:
 * @self: a handler
 *
 * Makes sure that the callback is never called, and releases its data.
 *
 * Watchers call it for a handler that was removed or replaced. When another thread is just running the
 * callback, it is not interrupted.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_child_handler_cancel (EvpChildHandler *self)
{
  Closure closure;

  g_return_if_fail (EVP_IS_CHILD_HANDLER (self));

  g_mutex_lock (&self->lock);
  if (self->state != STATE_PENDING && self->state != STATE_POSTED)
    {
      g_mutex_unlock (&self->lock);
      return;
    }
  self->state = STATE_FINISHED;
  closure = take_closure (self);
  g_mutex_unlock (&self->lock);

  closure_release (&closure, self->maker, FALSE);
}
