/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-demand-private.h"

/* Seconds: how often a loop that has no main context looks. */
#define FIRST_DELAY 0.001
#define LAST_DELAY 1.0

struct _EvpDemand
{
  const EvpDemandFuncs *funcs;
  gpointer data;
  GDestroyNotify destroy;
  GSource *source; /* in the loop's main context, if it has one */

  /* otherwise */
  EvpAbstractEventLoop *loop;
  EvpTimerHandle *timer;
  double delay;
};

typedef struct
{
  GSource source;

  EvpDemand *demand;
} EvpDemandSource;

static void
evp_demand_clear (gpointer data)
{
  EvpDemand *self = data;

  g_clear_object (&self->loop);
  self->destroy (self->data);
}

static void
evp_demand_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, evp_demand_clear);
}

static gboolean
evp_demand_prepare (GSource *source,
                    int     *timeout)
{
  EvpDemand *self = ((EvpDemandSource *) source)->demand;

  *timeout = -1;
  return self->funcs->wanted (self->data);
}

static gboolean
evp_demand_dispatch (GSource    *source,
                     GSourceFunc callback,
                     gpointer    user_data)
{
  EvpDemand *self = ((EvpDemandSource *) source)->demand;

  self->funcs->resume (self->data);
  return G_SOURCE_REMOVE;
}

static void
evp_demand_finalize (GSource *source)
{
  evp_demand_unref (((EvpDemandSource *) source)->demand);
}

static GSourceFuncs evp_demand_source_funcs = {
  .prepare = evp_demand_prepare,
  .dispatch = evp_demand_dispatch,
  .finalize = evp_demand_finalize,
};

static void
evp_demand_attach (EvpDemand    *self,
                   GMainContext *context)
{
  self->source = g_source_new (&evp_demand_source_funcs, sizeof (EvpDemandSource));
  ((EvpDemandSource *) self->source)->demand = g_atomic_rc_box_acquire (self);
  g_source_set_static_name (self->source, "[evp] nobody wants what is there");
  g_source_set_can_recurse (self->source, TRUE);
  g_source_attach (self->source, context);
}

static void evp_demand_arm (EvpDemand *self);

static void
evp_demand_look_cb (gpointer user_data)
{
  EvpDemand *self = user_data;

  g_clear_pointer (&self->timer, evp_timer_handle_unref);
  if (self->funcs->wanted (self->data))
    {
      self->funcs->resume (self->data);
      return;
    }
  self->delay = MIN (self->delay * 2, LAST_DELAY);
  evp_demand_arm (self);
}

/* Nothing is armed in a loop that is closed. */
static void
evp_demand_arm (EvpDemand *self)
{
  EvpTimerHandle *timer = evp_event_loop_call_later (self->loop, self->delay, evp_demand_look_cb,
                                                     g_atomic_rc_box_acquire (self), evp_demand_unref, NULL);

  if (timer != NULL)
    self->timer = evp_timer_handle_ref (timer);
}

EvpDemand *
evp_demand_start (EvpAbstractEventLoop *loop,
                  const EvpDemandFuncs *funcs,
                  gpointer              data,
                  GDestroyNotify        destroy)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (loop);
  EvpDemand *self = g_atomic_rc_box_new0 (EvpDemand);

  self->funcs = funcs;
  self->data = data;
  self->destroy = destroy;
  if (context != NULL)
    evp_demand_attach (self, context);
  else
    {
      self->loop = g_object_ref (loop);
      self->delay = FIRST_DELAY;
      evp_demand_arm (self);
    }
  return self;
}

void
evp_demand_stop (EvpDemand **demand)
{
  EvpDemand *self = g_steal_pointer (demand);
  EvpTimerHandle *timer;

  if (self == NULL)
    return;
  if (self->source != NULL)
    {
      g_source_destroy (self->source);
      g_clear_pointer (&self->source, g_source_unref);
    }
  timer = g_steal_pointer (&self->timer);
  if (timer != NULL)
    {
      evp_timer_handle_cancel (timer);
      evp_timer_handle_unref (timer);
    }
  evp_demand_unref (self);
}
