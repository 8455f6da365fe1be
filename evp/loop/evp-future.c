/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-future-private.h"

#include "evp/base/evp-backtrace-private.h"
#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-base-event-loop-private.h"
#include "evp/loop/evp-loop-post-private.h"
#include "evp/loop/evp-running-loop-private.h"

/**
 * EvpFuture:
 *
 * A result that comes later.
 *
 * A future belongs to one event loop. It is pending until somebody gives it a result with
 * [method@Evp.Future.set_result] or an error with [method@Evp.Future.set_error], or until it is
 * cancelled; after that it never changes again. What waits for it is told through the loop, in the
 * turn that follows, never from inside the function that completed it.
 *
 * ```c
 * static void
 * answer_cb (EvpFuture *future, gpointer user_data)
 * {
 *   g_autoptr (GError) error = NULL;
 *   const GValue *value = evp_future_get_result (future, &error);
 *
 *   if (error != NULL)
 *     g_printerr ("%s\n", error->message);
 *   else
 *     g_print ("%d\n", g_value_get_int (value));
 * }
 *
 * g_autoptr (EvpFuture) future = evp_event_loop_create_future (loop);
 * evp_future_add_done_callback (future, answer_cb, NULL, NULL);
 * ```
 *
 * It is the thing to give to callers of code that you write with callbacks; inside GIO,
 * [func@Evp.Future.ready_callback] turns any asynchronous call into a future, and
 * [method@Evp.Future.await_async] turns a future into an asynchronous call.
 *
 * Nobody may have asked a failed future for its error when it is finalized: then the error is given
 * to the loop's exception handler once, with the keys `message`, `exception` and `future`, the last
 * of them a text, and `source_traceback` in debug mode. [method@Evp.Future.get_result] and
 * [method@Evp.Future.cancel] count as asking.
 *
 * Use it from the thread of its loop: the one that runs it, or, while nobody does, the one that
 * created the future. Other threads may hold references, ask [method@Evp.Future.done] and
 * [method@Evp.Future.cancelled], read the result of a future that is done, and complete it: set a
 * result or an error, or cancel. A completion from another thread takes effect on the thread of the
 * loop, in one of its next turns. From then on the future is done for everybody; until then it is
 * pending for everybody, and what happens to it on its own thread wins.
 *
 * Completing costs O(1) and a turn of the loop for each callback.
 *
 * In asyncio this is `asyncio.Future`.
 *
 * Since: 1.0
 */

typedef enum
{
  EVP_FUTURE_PENDING,
  EVP_FUTURE_COMPLETING, /* somebody writes the result; pending for everybody else */
  EVP_FUTURE_FINISHED,
  EVP_FUTURE_FAILED,
  EVP_FUTURE_CANCELLED,
} EvpFutureState;

typedef struct _EvpFutureEntry EvpFutureEntry;

struct _EvpFutureEntry
{
  EvpFutureEntry *next;
  EvpFuture *future; /* a reference, once it is scheduled */
  EvpFutureCallback callback;
  gpointer user_data;
  GDestroyNotify destroy;
  guint id;
};

/* A completion on its way from another thread to the loop. */
typedef struct
{
  EvpFuture *future;
  EvpFutureState state;
  GValue value;
  GError *failure;
} EvpFutureDelivery;

/* An error that nobody asked for, on its way to the exception handler. */
typedef struct
{
  GWeakRef loop; /* weak: the report waits in the loop's own queue */
  EvpExceptionContext *context;
} EvpFutureReport;

struct _EvpFuture
{
  GObject parent_instance;

  EvpAbstractEventLoop *loop; /* constant */
  GThread *thread;            /* constant, never followed: who created it */
  gint state;                 /* atomic; an EvpFutureState. Result and error are constant once it is final */
  gint claimed;               /* atomic; a completion from another thread is on its way */
  gint retrieved;             /* atomic; somebody asked for the error, or nobody needs to */
  GValue value;               /* G_VALUE_INIT for the result NULL */
  GError *failure;
  EvpBacktrace *trace; /* constant; debug mode only */

  /* these belong to the thread of the loop */
  guint last_id;
  EvpFutureEntry first;    /* the first callback needs no memory of its own */
  EvpFutureEntry *entries; /* in order of adding; may begin with `first` */
  EvpFutureEntry **tail;
};

static void evp_future_async_result_iface_init (GAsyncResultIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpFuture, evp_future, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_ASYNC_RESULT,
                                                      evp_future_async_result_iface_init))

static void
evp_future_entry_run_cb (gpointer user_data)
{
  EvpFutureEntry *entry = user_data;
  EvpFutureCallback callback = g_steal_pointer (&entry->callback);

  callback (entry->future, entry->user_data);
}

/* Releases an entry, whether it has run or not. It may hold the last reference to its future. */
static void
evp_future_entry_free (gpointer user_data)
{
  EvpFutureEntry *entry = user_data;
  EvpFuture *future = g_steal_pointer (&entry->future);
  GDestroyNotify destroy = entry->destroy;
  gpointer data = entry->user_data;

  if (future != NULL && entry == &future->first)
    entry->destroy = NULL;
  else
    g_free (entry);
  if (destroy != NULL)
    destroy (data);
  g_clear_object (&future);
}

/*
 * The callbacks belong to the thread of the loop, but where the loop is closed another thread that
 * completes the future has to drop them. Only then, and for the list only, this lock is taken. That thread
 * knows it from a post that was refused, so it comes after all that the loop's thread did before.
 */
static GMutex closed_lock;

static gboolean
evp_future_lock (EvpFuture *self)
{
  EvpLoopCore *core;
  gboolean closed;

  if (self->loop == NULL)
    return FALSE;
  core = evp_loop_peek_core (self->loop);
  closed = core != NULL ? core->closed : evp_event_loop_is_closed (self->loop);
  if (G_LIKELY (!closed))
    return FALSE;
  g_mutex_lock (&closed_lock);
  return TRUE;
}

static void
evp_future_unlock (gboolean locked)
{
  if (locked)
    g_mutex_unlock (&closed_lock);
}

static EvpFutureEntry *
evp_future_steal_entries (EvpFuture *self)
{
  gboolean locked = evp_future_lock (self);
  EvpFutureEntry *entry = g_steal_pointer (&self->entries);

  self->tail = &self->entries;
  evp_future_unlock (locked);
  return entry;
}

/* Has the callbacks called in their order; on the thread of the loop. A closed loop drops them. */
static void
evp_future_schedule (EvpFuture *self)
{
  EvpFutureEntry *entry = evp_future_steal_entries (self);

  while (entry != NULL)
    {
      EvpFutureEntry *next = entry->next;

      entry->future = g_object_ref (self);
      if (self->loop != NULL)
        evp_event_loop_call_soon (self->loop, evp_future_entry_run_cb, entry, evp_future_entry_free, NULL);
      else
        evp_future_entry_free (entry);
      entry = next;
    }
}

/* Releases the callbacks without calling them; takes over a reference. */
static void
evp_future_drop_entries_and_unref (gpointer data)
{
  EvpFuture *self = data;
  EvpFutureEntry *entry = evp_future_steal_entries (self);

  while (entry != NULL)
    {
      EvpFutureEntry *next = entry->next;

      entry->future = g_object_ref (self);
      evp_future_entry_free (entry);
      entry = next;
    }
  g_object_unref (self);
}

/* Makes the future done, without a word to anybody; from any thread. FALSE if it was done already. */
static gboolean
evp_future_settle (EvpFuture     *self,
                   EvpFutureState state,
                   const GValue  *value,
                   const GError  *failure)
{
  if (!g_atomic_int_compare_and_exchange (&self->state, EVP_FUTURE_PENDING, EVP_FUTURE_COMPLETING))
    return FALSE;
  if (value != NULL)
    {
      g_value_init (&self->value, G_VALUE_TYPE (value));
      g_value_copy (value, &self->value);
    }
  if (failure != NULL)
    self->failure = g_error_copy (failure);
  g_atomic_int_set (&self->state, state);
  return TRUE;
}

static void
evp_future_delivery_run_cb (gpointer user_data)
{
  EvpFutureDelivery *delivery = user_data;
  EvpFuture *self = g_steal_pointer (&delivery->future);

  if (evp_future_settle (self, delivery->state, G_IS_VALUE (&delivery->value) ? &delivery->value : NULL,
                         delivery->failure)
      && self->entries != NULL)
    evp_future_schedule (self);
  g_object_unref (self);
}

static void
evp_future_delivery_free (gpointer user_data)
{
  EvpFutureDelivery *delivery = user_data;
  EvpFuture *self = delivery->future;

  if (self != NULL)
    {
      /* the loop is closed: done all the same, but there is nobody to tell */
      g_atomic_int_set (&self->retrieved, TRUE);
      evp_future_settle (self, delivery->state, G_IS_VALUE (&delivery->value) ? &delivery->value : NULL,
                         delivery->failure);
      evp_loop_post_release (self->loop, evp_future_drop_entries_and_unref, self);
    }
  if (G_IS_VALUE (&delivery->value))
    g_value_unset (&delivery->value);
  g_clear_error (&delivery->failure);
  g_free (delivery);
}

static void
evp_future_deliver (EvpFuture     *self,
                    EvpFutureState state,
                    const GValue  *value,
                    const GError  *failure)
{
  EvpFutureDelivery *delivery = g_new0 (EvpFutureDelivery, 1);

  delivery->future = g_object_ref (self);
  delivery->state = state;
  if (value != NULL)
    {
      g_value_init (&delivery->value, G_VALUE_TYPE (value));
      g_value_copy (value, &delivery->value);
    }
  if (failure != NULL)
    delivery->failure = g_error_copy (failure);
  evp_event_loop_call_soon_threadsafe (self->loop, evp_future_delivery_run_cb,
                                       delivery, evp_future_delivery_free, NULL);
}

/* Completes the future here, or has it completed on the thread of the loop. */
static gboolean
evp_future_complete (EvpFuture     *self,
                     EvpFutureState state,
                     const GValue  *value,
                     const GError  *failure)
{
  if (g_atomic_int_get (&self->state) != EVP_FUTURE_PENDING)
    return FALSE;

  if (self->loop == NULL || evp_loop_is_local_thread (self->loop, self->thread))
    {
      if (!evp_future_settle (self, state, value, failure))
        return FALSE;
      if (self->entries != NULL)
        evp_future_schedule (self);
      return TRUE;
    }

  if (!g_atomic_int_compare_and_exchange (&self->claimed, FALSE, TRUE))
    return FALSE;
  evp_future_deliver (self, state, value, failure);
  return TRUE;
}

gboolean
evp_future_is_settled (EvpFuture *self)
{
  return g_atomic_int_get (&self->state) != EVP_FUTURE_PENDING || g_atomic_int_get (&self->claimed);
}

static void
evp_future_report_run_cb (gpointer user_data)
{
  EvpFutureReport *report = user_data;
  g_autoptr (EvpExceptionContext) context = g_steal_pointer (&report->context);
  g_autoptr (EvpAbstractEventLoop) loop = g_weak_ref_get (&report->loop);

  if (loop != NULL)
    {
      evp_event_loop_call_exception_handler (loop, context);
    }
  else
    {
      g_autofree char *text = evp_exception_context_to_string (context);

      evp_warn_runtime ("%s", text);
    }
}

static void
evp_future_report_free (gpointer user_data)
{
  EvpFutureReport *report = user_data;

  if (report->context != NULL) /* the loop is closed, but its handler still listens */
    evp_future_report_run_cb (report);
  g_weak_ref_clear (&report->loop);
  g_free (report);
}

/*
 * Through the loop rather than at once: this is called by finalize, which garbage collectors call
 * at any time and from any thread, and some languages run nothing then.
 */
static void
evp_future_report_failure (EvpFuture *self)
{
  EvpFutureReport *report = g_new0 (EvpFutureReport, 1);
  g_autofree char *trace =
    self->trace != NULL ? evp_backtrace_describe (self->trace, _("Created at (most recent call first):")) : NULL;
  g_autofree char *text = g_strdup_printf ("<EvpFuture %p failed>", self);

  g_weak_ref_init (&report->loop, self->loop);
  report->context = evp_exception_context_new (_("The error of a future was never retrieved"));
  evp_exception_context_set_error (report->context, self->failure);
  evp_exception_context_set_string (report->context, "future", text);
  evp_exception_context_set_string (report->context, "source_traceback", trace);
  if (self->loop != NULL)
    evp_event_loop_call_soon_threadsafe (self->loop, evp_future_report_run_cb,
                                         report, evp_future_report_free, NULL);
  else
    evp_future_report_free (report);
}

static gpointer
evp_future_get_user_data (GAsyncResult *result)
{
  return NULL;
}

static GObject *
evp_future_get_source_object (GAsyncResult *result)
{
  EvpFuture *self = EVP_FUTURE (result);

  return self->loop != NULL ? g_object_ref (G_OBJECT (self->loop)) : NULL;
}

static gboolean
evp_future_is_tagged (GAsyncResult *result,
                      gpointer      source_tag)
{
  return FALSE;
}

static void
evp_future_async_result_iface_init (GAsyncResultIface *iface)
{
  iface->get_user_data = evp_future_get_user_data;
  iface->get_source_object = evp_future_get_source_object;
  iface->is_tagged = evp_future_is_tagged;
}

static void
evp_future_finalize (GObject *object)
{
  EvpFuture *self = EVP_FUTURE (object);
  EvpFutureEntry *entry = g_steal_pointer (&self->entries);

  /* nobody will call them; `first` is part of the future and goes with it */
  while (entry != NULL)
    {
      EvpFutureEntry *next = entry->next;

      if (entry->destroy == NULL)
        ;
      else if (self->loop == NULL || evp_loop_is_local_thread (self->loop, self->thread))
        entry->destroy (entry->user_data);
      else
        evp_loop_post_release (self->loop, entry->destroy, entry->user_data);
      if (entry != &self->first)
        g_free (entry);
      entry = next;
    }

  if (self->state == EVP_FUTURE_FAILED && !self->retrieved)
    evp_future_report_failure (self);

  if (G_IS_VALUE (&self->value))
    g_value_unset (&self->value);
  g_clear_error (&self->failure);
  g_clear_pointer (&self->trace, g_free);
  g_clear_object (&self->loop);

  G_OBJECT_CLASS (evp_future_parent_class)->finalize (object);
}

static void
evp_future_class_init (EvpFutureClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = evp_future_finalize;
}

static void
evp_future_init (EvpFuture *self)
{
  self->thread = g_thread_self ();
  self->tail = &self->entries;
}

/**
 * evp_future_new:
 * @loop: (nullable): the loop it belongs to, or %NULL for the one that runs in this thread
 *
 * Creates a pending future.
 *
 * Prefer [method@Evp.AbstractEventLoop.create_future], which loops may override. Without a loop, and
 * with none running, the future can be completed and asked, but nobody can be told.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (transfer full): a new future
 *
 * Since: 1.0
 */
EvpFuture *
evp_future_new (EvpAbstractEventLoop *loop)
{
  EvpFuture *self;

  g_return_val_if_fail (loop == NULL || EVP_IS_EVENT_LOOP (loop), NULL);

  self = g_object_new (EVP_TYPE_FUTURE, NULL);
  if (loop == NULL)
    loop = evp_running_loop_get ();
  if (loop != NULL)
    {
      EvpLoopCore *core = evp_loop_peek_core (loop);

      self->loop = g_object_ref (loop);
      if (G_UNLIKELY (core != NULL ? core->debug : evp_event_loop_get_debug (loop)))
        {
          self->trace = g_new (EvpBacktrace, 1);
          evp_backtrace_take (self->trace);
        }
    }
  return self;
}

/**
 * evp_future_done:
 * @self: future
 *
 * Tells whether the future has a result or an error, or was cancelled.
 *
 * May be called from any thread. O(1).
 *
 * Returns: whether it is no longer pending
 *
 * Since: 1.0
 */
gboolean
evp_future_done (EvpFuture *self)
{
  g_return_val_if_fail (EVP_IS_FUTURE (self), FALSE);

  return g_atomic_int_get (&self->state) > EVP_FUTURE_COMPLETING;
}

/**
 * evp_future_cancelled:
 * @self: future
 *
 * Tells whether the future was cancelled.
 *
 * May be called from any thread. O(1).
 *
 * Returns: whether it was cancelled
 *
 * Since: 1.0
 */
gboolean
evp_future_cancelled (EvpFuture *self)
{
  g_return_val_if_fail (EVP_IS_FUTURE (self), FALSE);

  return g_atomic_int_get (&self->state) == EVP_FUTURE_CANCELLED;
}

/**
 * evp_future_cancel:
 * @self: future
 *
 * Cancels the future, unless it is done.
 *
 * Whoever works for it and looks at it, or has a callback on it, stops. On a future that is done this
 * does nothing but tell that nobody is interested in its error any more.
 *
 * May be called from any thread; see the description of the class. O(1).
 *
 * Returns: %TRUE if it was pending
 *
 * Since: 1.0
 */
gboolean
evp_future_cancel (EvpFuture *self)
{
  g_return_val_if_fail (EVP_IS_FUTURE (self), FALSE);

  if (evp_future_complete (self, EVP_FUTURE_CANCELLED, NULL, NULL))
    return TRUE;
  g_atomic_int_set (&self->retrieved, TRUE);
  return FALSE;
}

/**
 * evp_future_set_result:
 * @self: future
 * @value: (nullable): the result, which is copied; %NULL for a result without a value
 * @error: return location for an error
 *
 * Completes the future with a result.
 *
 * The callbacks are called through the loop, in the order in which they were added. If the loop is closed the
 * future becomes done all the same, and the callbacks are dropped.
 *
 * Fails with %EVP_ERROR_INVALID_STATE if the future is done already, then nothing changes.
 *
 * May be called from any thread; see the description of the class. O(1), and O(n) in the number of
 * callbacks.
 *
 * Returns: %TRUE, or %FALSE with an error
 *
 * Since: 1.0
 */
gboolean
evp_future_set_result (EvpFuture    *self,
                       const GValue *value,
                       GError      **error)
{
  g_return_val_if_fail (EVP_IS_FUTURE (self), FALSE);
  g_return_val_if_fail (value == NULL || G_IS_VALUE (value), FALSE);

  if (G_LIKELY (evp_future_complete (self, EVP_FUTURE_FINISHED, value, NULL)))
    return TRUE;
  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                       _("The future is done already; ask whether it is before setting a result"));
  return FALSE;
}

/**
 * evp_future_set_error:
 * @self: future
 * @failure: the error, which is copied
 *
 * Completes the future with an error.
 *
 * All that is said of [method@Evp.Future.set_result] holds here.
 *
 * May be called from any thread; see the description of the class. O(1), and O(n) in the number of
 * callbacks.
 *
 * Returns: %TRUE, or %FALSE if the future is done already; then nothing changes
 *
 * Since: 1.0
 */
gboolean
evp_future_set_error (EvpFuture    *self,
                      const GError *failure)
{
  g_return_val_if_fail (EVP_IS_FUTURE (self), FALSE);
  g_return_val_if_fail (failure != NULL, FALSE);

  return evp_future_complete (self, EVP_FUTURE_FAILED, NULL, failure);
}

/**
 * evp_future_get_result:
 * @self: future
 * @error: return location for an error
 *
 * Gets the result.
 *
 * Fails with the error that the future was given, with %EVP_ERROR_CANCELLED if it was cancelled, and
 * with %EVP_ERROR_INVALID_STATE while it is pending. A result without a value is %NULL too, so look
 * at the error.
 *
 * May be called from any thread once the future is done; before, from the thread of the loop. O(1).
 *
 * Returns: (transfer none) (nullable): the result, which lives as long as the future
 *
 * Since: 1.0
 */
const GValue *
evp_future_get_result (EvpFuture *self,
                       GError   **error)
{
  g_return_val_if_fail (EVP_IS_FUTURE (self), NULL);

  switch ((EvpFutureState) g_atomic_int_get (&self->state))
    {
    case EVP_FUTURE_FINISHED:
      return G_IS_VALUE (&self->value) ? &self->value : NULL;

    case EVP_FUTURE_FAILED:
      g_atomic_int_set (&self->retrieved, TRUE);
      if (error != NULL)
        g_propagate_error (error, g_error_copy (self->failure));
      return NULL;

    case EVP_FUTURE_CANCELLED:
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_CANCELLED, _("The future was cancelled"));
      return NULL;

    case EVP_FUTURE_PENDING:
    case EVP_FUTURE_COMPLETING:
    default:
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                           _("The future has no result yet; wait until it is done"));
      return NULL;
    }
}

/**
 * evp_future_add_done_callback:
 * @self: future
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to call when the future is done
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, once the callback has run or will not run any more
 *
 * Has a callback called when the future is done.
 *
 * Callbacks are called through the loop, each on its own, in the order in which they were added. If the
 * future is done already the callback is called in the next turn. What is added twice is called
 * twice. On a closed loop callbacks are dropped.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: a number for [method@Evp.Future.remove_done_callback], never 0
 *
 * Since: 1.0
 */
guint
evp_future_add_done_callback (EvpFuture        *self,
                              EvpFutureCallback callback,
                              gpointer          user_data,
                              GDestroyNotify    destroy)
{
  EvpFutureEntry *entry;
  gboolean locked;
  guint id;

  g_return_val_if_fail (EVP_IS_FUTURE (self), 0);
  g_return_val_if_fail (callback != NULL, 0);

  if (G_UNLIKELY (++self->last_id == 0))
    self->last_id = 2;
  id = self->last_id;

  /* the inner entry serves once: later it may still be in the loop's queue */
  entry = id == 1 ? &self->first : g_new (EvpFutureEntry, 1);
  *entry = (EvpFutureEntry) { NULL, NULL, callback, user_data, destroy, id };
  locked = evp_future_lock (self);
  *self->tail = entry;
  self->tail = &entry->next;
  evp_future_unlock (locked);

  if (evp_future_done (self))
    evp_future_schedule (self);
  return id;
}

/**
 * evp_future_remove_done_callback:
 * @self: future
 * @id: what [method@Evp.Future.add_done_callback] returned
 *
 * Takes a callback back, and releases its data.
 *
 * It will not be called. Once the future is done its callbacks are on their way and cannot be
 * removed.
 *
 * Use it from the thread of the loop. O(n) in the number of callbacks.
 *
 * Returns: %TRUE if it was removed, %FALSE if there is no such callback
 *
 * Since: 1.0
 */
gboolean
evp_future_remove_done_callback (EvpFuture *self,
                                 guint      id)
{
  EvpFutureEntry *entry = NULL;
  gboolean locked;

  g_return_val_if_fail (EVP_IS_FUTURE (self), FALSE);

  locked = evp_future_lock (self);
  for (EvpFutureEntry **link = &self->entries; *link != NULL; link = &(*link)->next)
    if ((*link)->id == id)
      {
        entry = *link;
        *link = entry->next;
        if (entry->next == NULL)
          self->tail = link;
        break;
      }
  evp_future_unlock (locked);

  if (entry == NULL)
    return FALSE;
  entry->future = g_object_ref (self);
  evp_future_entry_free (entry);
  return TRUE;
}

/**
 * evp_future_get_loop:
 * @self: future
 *
 * Gets the loop that the future belongs to.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none) (nullable): the loop; %NULL only if there was none when it was created
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_future_get_loop (EvpFuture *self)
{
  g_return_val_if_fail (EVP_IS_FUTURE (self), NULL);

  return self->loop;
}

/**
 * evp_future_ready_callback:
 * @source: (nullable): the object whose operation ended
 * @result: the result of the operation
 * @user_data: (type EvpFuture) (transfer full): the future to complete
 *
 * Completes a future with the [iface@Gio.AsyncResult] of an asynchronous operation.
 *
 * This is a [callback@Gio.AsyncReadyCallback]: give it to any asynchronous function, with a reference to a
 * future as its data, and the operation becomes a future. Its result is the result object, for the
 * operation's own finish function; errors of the operation come out of that.
 *
 * ```c
 * EvpFuture *future = evp_event_loop_create_future (loop);
 *
 * g_file_load_contents_async (file, NULL, evp_future_ready_callback, g_object_ref (future));
 * ```
 *
 * If the future was cancelled in the meantime the result is dropped.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_future_ready_callback (GObject      *source,
                           GAsyncResult *result,
                           gpointer      user_data)
{
  g_autoptr (EvpFuture) self = user_data;
  g_auto (GValue) value = G_VALUE_INIT;

  g_return_if_fail (EVP_IS_FUTURE (self));
  g_return_if_fail (G_IS_ASYNC_RESULT (result));

  g_value_init (&value, G_TYPE_ASYNC_RESULT);
  g_value_set_object (&value, result);
  evp_future_complete (self, EVP_FUTURE_FINISHED, &value, NULL);
}

typedef struct
{
  GWeakRef source; /* the target does not keep its source alive */
  EvpFuture *target;
} EvpFutureChain;

static EvpFutureChain *
evp_future_chain_link_new (EvpFuture *source,
                           EvpFuture *target)
{
  EvpFutureChain *link = g_new0 (EvpFutureChain, 1);

  g_weak_ref_init (&link->source, source);
  link->target = target != NULL ? g_object_ref (target) : NULL;
  return link;
}

static void
evp_future_chain_link_free (gpointer data)
{
  EvpFutureChain *link = data;

  g_weak_ref_clear (&link->source);
  g_clear_object (&link->target);
  g_free (link);
}

static void
evp_future_chain_forward_cb (EvpFuture *source,
                             gpointer   user_data)
{
  EvpFutureChain *link = user_data;
  EvpFutureState state = g_atomic_int_get (&source->state);

  g_atomic_int_set (&source->retrieved, TRUE);
  evp_future_complete (link->target, state,
                       state == EVP_FUTURE_FINISHED && G_IS_VALUE (&source->value) ? &source->value : NULL,
                       state == EVP_FUTURE_FAILED ? source->failure : NULL);
}

static void
evp_future_chain_backward_cb (EvpFuture *target,
                              gpointer   user_data)
{
  EvpFutureChain *link = user_data;
  g_autoptr (EvpFuture) source = g_weak_ref_get (&link->source);

  if (source != NULL && evp_future_cancelled (target) && !evp_future_done (source))
    evp_future_cancel (source);
}

/* Links are callbacks, and those belong to the thread of each future's loop. */
typedef struct
{
  EvpFuture *future;
  EvpFutureCallback callback;
  EvpFutureChain *link;
} EvpFutureAttachment;

static void
evp_future_attachment_run_cb (gpointer user_data)
{
  EvpFutureAttachment *attachment = user_data;

  evp_future_add_done_callback (attachment->future, attachment->callback,
                                g_steal_pointer (&attachment->link), evp_future_chain_link_free);
}

static void
evp_future_attachment_free (gpointer user_data)
{
  EvpFutureAttachment *attachment = user_data;

  g_clear_pointer (&attachment->link, evp_future_chain_link_free);
  g_object_unref (attachment->future);
  g_free (attachment);
}

static void
evp_future_attach (EvpFuture        *self,
                   EvpFutureCallback callback,
                   EvpFutureChain   *link)
{
  EvpFutureAttachment *attachment;

  if (self->loop == NULL || evp_loop_is_local_thread (self->loop, self->thread))
    {
      evp_future_add_done_callback (self, callback, link, evp_future_chain_link_free);
      return;
    }
  attachment = g_new (EvpFutureAttachment, 1);
  *attachment = (EvpFutureAttachment) { g_object_ref (self), callback, link };
  evp_event_loop_call_soon_threadsafe (self->loop, evp_future_attachment_run_cb,
                                       attachment, evp_future_attachment_free, NULL);
}

/**
 * evp_future_chain:
 * @self: the future to follow
 * @target: the future that follows it
 *
 * Copies the result, the error or the cancellation of one future to another, as soon as it is there.
 *
 * Cancelling @target cancels @self. The two may belong to different loops that run in different
 * threads; nothing happens if the loop of @target is closed. A @target that is done already stays as
 * it is. While it waits, @self keeps @target alive, but not the other way round.
 *
 * In asyncio this is what `wrap_future()` does.
 *
 * Use it from the thread of the loop of either future. O(1).
 *
 * Since: 1.0
 */
void
evp_future_chain (EvpFuture *self,
                  EvpFuture *target)
{
  g_return_if_fail (EVP_IS_FUTURE (self));
  g_return_if_fail (EVP_IS_FUTURE (target));
  g_return_if_fail (self != target);

  evp_future_attach (target, evp_future_chain_backward_cb, evp_future_chain_link_new (self, NULL));
  evp_future_attach (self, evp_future_chain_forward_cb, evp_future_chain_link_new (NULL, target));
}
