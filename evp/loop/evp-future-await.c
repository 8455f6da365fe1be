/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-future-private.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-abstract-event-loop.h"

/*
 * One wait for a future, and the GAsyncResult that its callback gets. It waits as a callback of the
 * future, and so is called in the loop's own order, which a GTask would not be.
 */

#define EVP_TYPE_FUTURE_AWAIT (evp_future_await_get_type ())
G_DECLARE_FINAL_TYPE (EvpFutureAwait, evp_future_await, EVP, FUTURE_AWAIT, GObject)

struct _EvpFutureAwait
{
  GObject parent_instance;

  EvpFuture *future;            /* constant */
  GObject *source;              /* constant; the future itself, or what it was made for */
  gpointer tag;                 /* constant */
  GAsyncReadyCallback callback; /* constant */
  gpointer user_data;           /* constant */
  GMainContext *context;        /* constant; where to call if the loop is closed */
  GCancellable *cancellable;    /* constant */
  gulong cancelled_id;          /* written once, before anybody can end the wait */
  guint callback_id;            /* loop's thread */
  gint ended;                   /* atomic; the callback was called, or is about to be */
  gboolean cancelled;           /* written by whoever ends the wait, before it calls */
};

static void evp_future_await_async_result_iface_init (GAsyncResultIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpFutureAwait, evp_future_await, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_ASYNC_RESULT,
                                                      evp_future_await_async_result_iface_init))

/* The caller holds a reference. */
static void
evp_future_await_call (EvpFutureAwait *self)
{
  /* waits for a handler that runs in another thread; never called from one */
  g_cancellable_disconnect (self->cancellable, self->cancelled_id);
  if (self->callback != NULL)
    self->callback (self->source, G_ASYNC_RESULT (self), self->user_data);
}

static gboolean
evp_future_await_idle_cb (gpointer user_data)
{
  evp_future_await_call (user_data);
  return G_SOURCE_REMOVE;
}

/* The loop calls nobody any more, but whoever waits must hear of it. */
static void
evp_future_await_call_elsewhere (EvpFutureAwait *self)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_static_name (source, "[evp] evp_future_await_async");
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, evp_future_await_idle_cb, g_object_ref (self), g_object_unref);
  g_source_attach (source, self->context);
}

static gboolean
evp_future_await_end (EvpFutureAwait *self)
{
  return g_atomic_int_compare_and_exchange (&self->ended, FALSE, TRUE);
}

static void
evp_future_await_done_cb (EvpFuture *future,
                          gpointer   user_data)
{
  EvpFutureAwait *self = user_data;

  if (evp_future_await_end (self))
    evp_future_await_call (self);
}

/* The future's callback is gone. If it was never called the loop is closed. */
static void
evp_future_await_dropped (gpointer data)
{
  EvpFutureAwait *self = data;

  if (evp_future_await_end (self))
    evp_future_await_call_elsewhere (self);
  g_object_unref (self);
}

static void
evp_future_await_cancel_run_cb (gpointer user_data)
{
  EvpFutureAwait *self = user_data;

  if (!evp_future_await_end (self))
    return;
  self->cancelled = TRUE;
  evp_future_remove_done_callback (self->future, self->callback_id);
  evp_future_await_call (self);
}

/* Without having run: the loop is closed. */
static void
evp_future_await_cancel_dropped (gpointer data)
{
  EvpFutureAwait *self = data;

  if (evp_future_await_end (self))
    {
      self->cancelled = TRUE;
      evp_future_await_call_elsewhere (self);
    }
  g_object_unref (self);
}

/* In the thread that cancels, or in the one that begins to wait. */
static void
evp_future_await_cancelled_cb (GCancellable *cancellable,
                               gpointer      user_data)
{
  EvpFutureAwait *self = user_data;

  evp_event_loop_call_soon_threadsafe (evp_future_get_loop (self->future), evp_future_await_cancel_run_cb,
                                       g_object_ref (self), evp_future_await_cancel_dropped, NULL);
}

static gpointer
evp_future_await_get_user_data (GAsyncResult *result)
{
  return EVP_FUTURE_AWAIT (result)->user_data;
}

static GObject *
evp_future_await_get_source_object (GAsyncResult *result)
{
  return g_object_ref (EVP_FUTURE_AWAIT (result)->source);
}

static gboolean
evp_future_await_is_tagged (GAsyncResult *result,
                            gpointer      source_tag)
{
  return source_tag == EVP_FUTURE_AWAIT (result)->tag;
}

static void
evp_future_await_async_result_iface_init (GAsyncResultIface *iface)
{
  iface->get_user_data = evp_future_await_get_user_data;
  iface->get_source_object = evp_future_await_get_source_object;
  iface->is_tagged = evp_future_await_is_tagged;
}

static void
evp_future_await_finalize (GObject *object)
{
  EvpFutureAwait *self = EVP_FUTURE_AWAIT (object);

  g_clear_object (&self->future);
  g_clear_object (&self->source);
  g_clear_object (&self->cancellable);
  g_clear_pointer (&self->context, g_main_context_unref);

  G_OBJECT_CLASS (evp_future_await_parent_class)->finalize (object);
}

static void
evp_future_await_class_init (EvpFutureAwaitClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = evp_future_await_finalize;
}

static void
evp_future_await_init (EvpFutureAwait *self)
{
}

void
evp_future_await_for (EvpFuture          *self,
                      gpointer            source,
                      gpointer            tag,
                      GCancellable       *cancellable,
                      GAsyncReadyCallback callback,
                      gpointer            user_data)
{
  g_autoptr (EvpFutureAwait) wait = g_object_new (EVP_TYPE_FUTURE_AWAIT, NULL);

  wait->future = g_object_ref (self);
  wait->source = g_object_ref (source);
  wait->tag = tag;
  wait->callback = callback;
  wait->user_data = user_data;
  wait->context = g_main_context_ref_thread_default ();
  if (cancellable != NULL && evp_future_get_loop (self) != NULL)
    {
      wait->cancellable = g_object_ref (cancellable);
      /* zero if it is cancelled already; then the end has been posted, too */
      wait->cancelled_id = g_cancellable_connect (cancellable, G_CALLBACK (evp_future_await_cancelled_cb),
                                                  g_object_ref (wait), g_object_unref);
    }
  wait->callback_id = evp_future_add_done_callback (self, evp_future_await_done_cb,
                                                    g_object_ref (wait), evp_future_await_dropped);
}

gboolean
evp_future_await_is_for (GAsyncResult *result,
                         gpointer      source,
                         gpointer      tag)
{
  return EVP_IS_FUTURE_AWAIT (result)
         && EVP_FUTURE_AWAIT (result)->source == source
         && EVP_FUTURE_AWAIT (result)->tag == tag;
}

const GValue *
evp_future_await_get_result (GAsyncResult *result,
                             GError      **error)
{
  EvpFutureAwait *wait = EVP_FUTURE_AWAIT (result);

  if (wait->cancelled)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _("The wait for the future was cancelled"));
      return NULL;
    }
  if (!evp_future_done (wait->future))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The loop was closed before the future was done"));
      return NULL;
    }
  return evp_future_get_result (wait->future, error);
}

/**
 * evp_future_await_async:
 * @self: future
 * @cancellable: (nullable): ends this wait
 * @callback: (scope async) (nullable): what to call when the wait is over
 * @user_data: data for @callback
 *
 * Waits until the future is done.
 *
 * Any number of callers may wait for one future. @callback is called through the loop, in the order in which
 * callbacks of futures are called. If the loop was closed it is called in the main context that was
 * the thread's default when the wait began.
 *
 * Cancelling @cancellable, from any thread, ends this wait with %G_IO_ERROR_CANCELLED and leaves the
 * future and everybody else who waits for it alone, as `asyncio.shield()` does; to cancel what is being
 * waited for use [method@Evp.Future.cancel].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_future_await_async (EvpFuture          *self,
                        GCancellable       *cancellable,
                        GAsyncReadyCallback callback,
                        gpointer            user_data)
{
  g_return_if_fail (EVP_IS_FUTURE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  evp_future_await_for (self, self, evp_future_await_async, cancellable, callback, user_data);
}

/**
 * evp_future_await_finish:
 * @self: future
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Evp.Future.await_async].
 *
 * Fails as [method@Evp.Future.get_result] does; with %G_IO_ERROR_CANCELLED if the wait was cancelled; and
 * with %EVP_ERROR_LOOP_CLOSED if the loop was closed before the future was done.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none) (nullable): the result, which lives as long as the future
 *
 * Since: 1.0
 */
const GValue *
evp_future_await_finish (EvpFuture    *self,
                         GAsyncResult *result,
                         GError      **error)
{
  g_return_val_if_fail (EVP_IS_FUTURE (self), NULL);
  g_return_val_if_fail (evp_future_await_is_for (result, self, evp_future_await_async), NULL);

  return evp_future_await_get_result (result, error);
}
