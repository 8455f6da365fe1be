/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-executor-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-executor.h"
#include "evp/loop/evp-future-private.h"
#include "evp/loop/evp-loop-post-private.h"
#include "evp/os/evp-os-thread-private.h"

#include <math.h>

/* The default executor of a loop; kept beside the object, so that loops from elsewhere have one too. */
typedef struct
{
  EvpExecutor *executor; /* made when first needed */
  gboolean shut_down;
} EvpLoopExecutor;

static G_DEFINE_QUARK (evp-loop-executor, evp_loop_executor)

static void
evp_loop_executor_free (gpointer data)
{
  EvpLoopExecutor *state = data;

  g_clear_object (&state->executor);
  g_free (state);
}

static EvpLoopExecutor *
evp_loop_executor_get (EvpAbstractEventLoop *loop)
{
  EvpLoopExecutor *state = g_object_get_qdata (G_OBJECT (loop), evp_loop_executor_quark ());

  if (state == NULL)
    {
      state = g_new0 (EvpLoopExecutor, 1);
      g_object_set_qdata_full (G_OBJECT (loop), evp_loop_executor_quark (), state, evp_loop_executor_free);
    }
  return state;
}

void
evp_loop_executor_close (EvpAbstractEventLoop *loop)
{
  EvpLoopExecutor *state = g_object_get_qdata (G_OBJECT (loop), evp_loop_executor_quark ());
  g_autoptr (EvpExecutor) executor = NULL;

  if (state == NULL)
    return; /* run_in_executor() refuses because the loop is closed */
  state->shut_down = TRUE;
  executor = g_steal_pointer (&state->executor);
  if (executor != NULL)
    evp_executor_shutdown (executor, FALSE);
}

/**
 * evp_event_loop_run_in_executor:
 * @self: a loop
 * @func: (scope notified) (closure user_data) (destroy destroy): the work
 * @user_data: data for @func
 * @destroy: (nullable): releases @user_data, on the thread of the loop, after the work
 * @error: return location for an error
 *
 * Has a function run on a thread of the loop's default executor.
 *
 * The executor is made on first use. All that is said of [method@Evp.Executor.submit], which is for
 * executors of your own, holds here.
 *
 * Fails with %EVP_ERROR_LOOP_CLOSED, and with %EVP_ERROR_INVALID_STATE after
 * [method@Evp.AbstractEventLoop.shutdown_default_executor_async]. After a failure @destroy has been called.
 *
 * Use it from the thread of the loop. O(1), and the start of a thread if none is idle.
 *
 * In asyncio: `loop.run_in_executor (None, func)`.
 *
 * Returns: (transfer full): a future, or %NULL with an error
 *
 * Since: 1.0
 */
EvpFuture *
evp_event_loop_run_in_executor (EvpAbstractEventLoop *self,
                                EvpExecutorFunc       func,
                                gpointer              user_data,
                                GDestroyNotify        destroy,
                                GError              **error)
{
  EvpLoopExecutor *state;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (func != NULL, NULL);

  state = evp_loop_executor_get (self);
  if (evp_event_loop_is_closed (self) || state->shut_down)
    {
      if (evp_event_loop_is_closed (self))
        g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                             _("The event loop is closed; make a new one"));
      else
        g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                             _("The loop's default executor was shut down; submit to an executor of your own"));
      if (destroy != NULL)
        destroy (user_data);
      return NULL;
    }
  if (state->executor == NULL)
    state->executor = evp_executor_new (-1);
  return evp_executor_submit (state->executor, self, func, user_data, destroy, error);
}

/**
 * evp_event_loop_set_default_executor:
 * @self: a loop
 * @executor: (nullable): the executor, or %NULL to have one made when it is needed
 *
 * Sets the executor of [method@Evp.AbstractEventLoop.run_in_executor].
 *
 * The previous one is not shut down, but if nobody else holds it, it ends after its last job. Closing
 * the loop shuts the default executor down without waiting.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_set_default_executor (EvpAbstractEventLoop *self,
                                     EvpExecutor          *executor)
{
  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (executor == NULL || EVP_IS_EXECUTOR (executor));

  g_set_object (&evp_loop_executor_get (self)->executor, executor);
}

/* A shutdown that somebody waits for. */
typedef struct
{
  EvpExecutor *executor; /* for the joiner only */
  EvpFuture *ended;      /* done when the joiner is, or too late */
  GThread *joiner;
  EvpTimerHandle *timer;
  double timeout;
  gboolean late;
} EvpLoopShutdown;

static void
evp_loop_shutdown_clear (gpointer data)
{
  EvpLoopShutdown *shutdown = data;

  g_clear_object (&shutdown->executor);
  g_clear_object (&shutdown->ended);
  g_clear_pointer (&shutdown->joiner, g_thread_unref);
  g_clear_pointer (&shutdown->timer, evp_timer_handle_unref);
}

static void
evp_loop_shutdown_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, evp_loop_shutdown_clear);
}

static gpointer
evp_loop_shutdown_joiner (gpointer data)
{
  EvpLoopShutdown *shutdown = data;

  evp_executor_shutdown (shutdown->executor, TRUE);
  evp_future_set_result (shutdown->ended, NULL, NULL);
  evp_loop_post_release (evp_future_get_loop (shutdown->ended), evp_loop_shutdown_unref, shutdown);
  return NULL;
}

static void
evp_loop_shutdown_late_cb (gpointer user_data)
{
  EvpLoopShutdown *shutdown = user_data;

  shutdown->late = TRUE;
  evp_warn_runtime (_("The default executor still has jobs after %g seconds; they go on, and nobody waits for them"),
                    shutdown->timeout);
  evp_future_set_result (shutdown->ended, NULL, NULL);
}

static void
evp_loop_shutdown_ended_cb (EvpFuture *future,
                            gpointer   user_data)
{
  EvpLoopShutdown *shutdown = user_data;

  if (shutdown->timer != NULL)
    evp_timer_handle_cancel (shutdown->timer);
  if (!shutdown->late && shutdown->joiner != NULL)
    g_thread_join (g_steal_pointer (&shutdown->joiner)); /* it has said that it is done */
}

/**
 * evp_event_loop_shutdown_default_executor_async:
 * @self: a loop
 * @timeout: how many seconds to wait for running jobs; negative: for ever
 * @cancellable: (nullable): ends the wait, not the shutdown
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Shuts the loop's default executor down, and waits for its jobs without blocking the loop.
 *
 * From the call on [method@Evp.AbstractEventLoop.run_in_executor] fails with %EVP_ERROR_INVALID_STATE;
 * executors of your own still work. If the time is over and there still are jobs, a warning says so,
 * and the operation ends as if they were done. Without an executor it ends at once; calling it again does no harm.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_shutdown_default_executor_async (EvpAbstractEventLoop *self,
                                                double                timeout,
                                                GCancellable         *cancellable,
                                                GAsyncReadyCallback   callback,
                                                gpointer              user_data)
{
  g_autoptr (EvpExecutor) executor = NULL;
  g_autoptr (EvpFuture) ended = NULL;
  g_autoptr (GError) error = NULL;
  EvpLoopExecutor *state;
  EvpLoopShutdown *shutdown;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (!isnan (timeout));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  state = evp_loop_executor_get (self);
  state->shut_down = TRUE;
  executor = g_steal_pointer (&state->executor);

  ended = evp_event_loop_create_future (self);
  if (executor == NULL)
    {
      evp_future_set_result (ended, NULL, NULL);
    }
  else
    {
      shutdown = g_atomic_rc_box_new0 (EvpLoopShutdown);
      shutdown->ended = g_object_ref (ended);
      shutdown->timeout = timeout;
      shutdown->executor = g_object_ref (executor);
      shutdown->joiner = evp_os_thread_new ("evp-shutdown", evp_loop_shutdown_joiner,
                                              g_atomic_rc_box_acquire (shutdown), &error);
      if (shutdown->joiner == NULL)
        {
          evp_loop_shutdown_unref (shutdown);
          evp_executor_shutdown (executor, FALSE);
          evp_future_set_error (ended, error);
        }
      else if (timeout >= 0)
        {
          EvpTimerHandle *timer = evp_event_loop_call_later (self, timeout, evp_loop_shutdown_late_cb,
                                                             g_atomic_rc_box_acquire (shutdown),
                                                             evp_loop_shutdown_unref, NULL);

          if (timer != NULL)
            shutdown->timer = evp_timer_handle_ref (timer);
        }
      evp_future_add_done_callback (ended, evp_loop_shutdown_ended_cb, shutdown, evp_loop_shutdown_unref);
    }
  evp_future_await_for (ended, self, evp_event_loop_shutdown_default_executor_async,
                        cancellable, callback, user_data);
}

/**
 * evp_event_loop_shutdown_default_executor_finish:
 * @self: a loop
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Evp.AbstractEventLoop.shutdown_default_executor_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Fails with %G_IO_ERROR_CANCELLED if the wait was cancelled.
 *
 * Returns: %TRUE, or %FALSE with an error
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_shutdown_default_executor_finish (EvpAbstractEventLoop *self,
                                                 GAsyncResult         *result,
                                                 GError              **error)
{
  g_autoptr (GError) failure = NULL;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), FALSE);
  g_return_val_if_fail (evp_future_await_is_for (result, self, evp_event_loop_shutdown_default_executor_async),
                        FALSE);

  evp_future_await_get_result (result, &failure);
  if (failure != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }
  return TRUE;
}
