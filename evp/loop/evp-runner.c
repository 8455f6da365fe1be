/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-runner-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-future.h"
#include "evp/os/evp-os-fork-private.h"
#include "evp/os/evp-os-signal-private.h"

#include <signal.h>

/* How long the default executor may take to end its work, in seconds; as in asyncio. */
#define EXECUTOR_TIMEOUT 300.0

/* Lives on the stack of evp_runner_run(); all callbacks below run inside of that call. */
typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpMainFunc main_func;
  gpointer user_data;
  EvpFuture *future;     /* what main_func returned */
  gboolean handles_int;  /* our handler for SIGINT is installed */
  gboolean interrupted;  /* SIGINT arrived */
} EvpRunner;

static void
evp_runner_start_cb (gpointer user_data)
{
  EvpRunner *self = user_data;

  self->future = self->main_func (self->loop, self->user_data);
  evp_event_loop_stop (self->loop);
}

static void
evp_runner_interrupt_cb (int      signum,
                         gpointer user_data)
{
  EvpRunner *self = user_data;

  self->interrupted = TRUE;
  self->handles_int = FALSE;
  /* the next one does what it did before: as a rule, it ends the process */
  evp_event_loop_remove_signal_handler (self->loop, signum);
  if (self->future != NULL)
    evp_future_cancel (self->future);
}

/* As asyncio does: who has a handler of their own keeps it. */
static void
evp_runner_watch_int (EvpRunner *self)
{
  g_autoptr (GError) error = NULL;

  if (!evp_os_is_main_thread () || !evp_os_signal_is_default (SIGINT))
    return;
  /* without it the program cannot be interrupted politely, and that is no reason not to run it */
  self->handles_int = evp_event_loop_add_signal_handler (self->loop, SIGINT, evp_runner_interrupt_cb,
                                                         self, NULL, &error);
  if (error != NULL)
    EVP_DEBUG_NOTE (EVP_DEBUG_LOOP, "SIGINT is not handled: %s", error->message);
}

/* One more turn: what has been called back so far runs, and what that queues does not. */
static gboolean
evp_runner_turn (EvpRunner *self,
                 GError   **error)
{
  evp_event_loop_stop (self->loop);
  return evp_event_loop_run_forever (self->loop, error);
}

static gboolean
evp_runner_shut_executor_down (EvpRunner *self,
                               GError   **error)
{
  g_autoptr (EvpFuture) ready = evp_event_loop_create_future (self->loop);
  g_autoptr (GError) local_error = NULL;
  const GValue *value;
  gboolean succeeded;

  evp_event_loop_shutdown_default_executor_async (self->loop, EXECUTOR_TIMEOUT, NULL,
                                                  evp_future_ready_callback, g_object_ref (ready));
  if (!evp_event_loop_run_until_complete (self->loop, ready, error))
    return FALSE;
  value = evp_future_get_result (ready, error);
  if (value == NULL)
    return FALSE;
  succeeded = evp_event_loop_shutdown_default_executor_finish (self->loop, g_value_get_object (value),
                                                               &local_error);
  if (!succeeded && !g_error_matches (local_error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED))
    {
      g_propagate_error (error, g_steal_pointer (&local_error));
      return FALSE;
    }
  return TRUE;
}

gboolean
evp_runner_run (EvpAbstractEventLoop *loop,
                EvpMainFunc           main_func,
                gpointer              user_data,
                GError              **error)
{
  EvpRunner self = { .loop = loop, .main_func = main_func, .user_data = user_data };
  g_autoptr (EvpFuture) future = NULL;
  g_autoptr (GError) main_error = NULL;
  g_autoptr (GError) tidy_error = NULL;
  EvpHandle *start;
  gboolean succeeded = FALSE;

  evp_runner_watch_int (&self);

  /* main runs inside of the loop, where it can ask for the running one */
  start = evp_event_loop_call_soon (loop, evp_runner_start_cb, &self, NULL, &main_error);
  if (start != NULL)
    {
      evp_handle_ref (start);
      succeeded = evp_event_loop_run_forever (loop, &main_error);
      /* a loop that could not be run must not start it while it is tidied up, or later */
      evp_handle_cancel (start);
      evp_handle_unref (start);
    }
  future = self.future;
  if (succeeded && future == NULL)
    {
      g_set_error_literal (&main_error, EVP_ERROR, EVP_ERROR_FAILED,
                           _("The main function returned no future; return one that is done when "
                             "the program is, for example from evp_event_loop_create_future()"));
      succeeded = FALSE;
    }
  if (succeeded)
    {
      if (self.interrupted)
        evp_future_cancel (future);
      succeeded = evp_event_loop_run_until_complete (loop, future, &main_error);
    }
  if (self.interrupted && g_error_matches (main_error, EVP_ERROR, EVP_ERROR_CANCELLED))
    {
      g_clear_error (&main_error);
      g_set_error_literal (&main_error, EVP_ERROR, EVP_ERROR_CANCELLED,
                           _("The program was interrupted by the signal SIGINT"));
    }

  if (future != NULL && !evp_future_done (future))
    evp_future_cancel (future);
  if (!evp_event_loop_is_closed (loop)
      && (!evp_runner_turn (&self, &tidy_error)
          || !evp_runner_shut_executor_down (&self, &tidy_error)))
    evp_warn_runtime (
        /* Translators: %s is an error message */
        _("Tidying up after the main function failed: %s"), tidy_error->message);
  if (self.handles_int)
    evp_event_loop_remove_signal_handler (loop, SIGINT);

  if (!succeeded)
    g_propagate_error (error, g_steal_pointer (&main_error));
  return succeeded;
}
