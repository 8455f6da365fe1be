/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-signals-private.h"

#include "evp/loop/evp-loop-source-private.h"
#include "evp/os/evp-os-signal-private.h"

#include <signal.h>

struct _EvpLoopSignals
{
  EvpLoopCore *core; /* which owns this */
  EvpOsSignalSubscriber *subscriber;
  GPollFD *tag;
  gboolean pending; /* the poll saw the descriptor readable */
  guint n_handlers;
  EvpHandle *handlers[NSIG]; /* owned */
};

static EvpLoopSignals *
evp_loop_signals_new (EvpLoopCore *core,
                      GError     **error)
{
  EvpOsSignalSubscriber *subscriber = evp_os_signal_subscriber_new (error);
  EvpLoopSignals *self;

  if (subscriber == NULL)
    return NULL;
  self = g_new0 (EvpLoopSignals, 1);
  self->core = core;
  self->subscriber = subscriber;
  self->tag = evp_loop_source_add_fd (core, evp_os_signal_subscriber_get_fd (subscriber), G_IO_IN);
  return self;
}

void
evp_loop_signals_free (EvpLoopSignals *self)
{
  EvpHandle *handlers[NSIG];

  evp_loop_source_remove_fd (self->core, self->tag);
  evp_os_signal_subscriber_free (self->subscriber);
  /* releasing user data runs foreign code, so the table goes first */
  for (int i = 0; i < NSIG; i++)
    handlers[i] = g_steal_pointer (&self->handlers[i]);
  g_free (self);
  for (int i = 0; i < NSIG; i++)
    if (handlers[i] != NULL)
      {
        evp_handle_cancel (handlers[i]);
        evp_handle_unref (handlers[i]);
      }
}

gboolean
evp_loop_signals_add (EvpLoopCore *core,
                      int          signum,
                      EvpHandle   *handle,
                      GError     **error)
{
  EvpLoopSignals *self = core->signals;
  EvpHandle *old;

  if (self == NULL)
    self = evp_loop_signals_new (core, error);
  if (self == NULL)
    return FALSE;

  if (!evp_os_signal_subscribe (self->subscriber, signum, error))
    {
      if (core->signals == NULL)
        evp_loop_signals_free (self);
      return FALSE;
    }

  core->signals = self;
  old = self->handlers[signum];
  self->handlers[signum] = evp_handle_ref (handle);
  if (old == NULL)
    self->n_handlers++;
  else
    evp_handle_unref (old); /* not cancelled: a run that is queued already still happens */
  return TRUE;
}

gboolean
evp_loop_signals_remove (EvpLoopCore *core,
                         int          signum)
{
  EvpLoopSignals *self = core->signals;
  EvpHandle *old;

  if (self == NULL || signum <= 0 || signum >= NSIG || self->handlers[signum] == NULL)
    return FALSE;

  evp_os_signal_unsubscribe (self->subscriber, signum);
  old = g_steal_pointer (&self->handlers[signum]);
  if (--self->n_handlers == 0)
    {
      core->signals = NULL;
      evp_loop_signals_free (self);
    }
  evp_handle_cancel (old);
  evp_handle_unref (old);
  return TRUE;
}

gboolean
evp_loop_signals_polled (EvpLoopSignals *self)
{
  if (self->core->source != NULL && self->tag->revents != 0)
    self->pending = TRUE;
  return self->pending;
}

static void
run_signal_cb (gpointer user_data)
{
  evp_handle_run (user_data);
}

static void
release_handle_cb (gpointer user_data)
{
  evp_handle_unref (user_data);
}

static void
deliver (EvpLoopSignals *self,
         EvpHandle      *handler)
{
  /* in debug mode, messages are about the handler */
  EvpHandle *named = evp_handle_new_traced_as (evp_handle_ref (handler), run_signal_cb, handler, release_handle_cb);

  if (named != NULL)
    evp_loop_core_push (self->core, named);
  else
    evp_loop_core_call_soon (self->core, run_signal_cb, handler, release_handle_cb);
}

void
evp_loop_signals_collect (EvpLoopSignals *self)
{
  if (!self->pending)
    return;
  self->pending = FALSE;
  /* first empty, then count: what arrives in between makes the descriptor readable again */
  evp_os_signal_drain (self->subscriber);
  for (int signum = 1; signum < NSIG; signum++)
    {
      if (self->handlers[signum] == NULL)
        continue;
      for (guint n = evp_os_signal_take_count (self->subscriber, signum); n > 0; n--)
        deliver (self, self->handlers[signum]);
    }
}
