/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-demand-private.h"

typedef struct
{
  GSource source;

  const EvpDemandFuncs *funcs;
  gpointer data;
  GDestroyNotify destroy;
} EvpDemand;

static gboolean
evp_demand_prepare (GSource *source,
                    int     *timeout)
{
  EvpDemand *self = (EvpDemand *) source;

  *timeout = -1;
  return self->funcs->wanted (self->data);
}

static gboolean
evp_demand_dispatch (GSource    *source,
                     GSourceFunc callback,
                     gpointer    user_data)
{
  EvpDemand *self = (EvpDemand *) source;

  self->funcs->resume (self->data);
  return G_SOURCE_REMOVE;
}

static void
evp_demand_finalize (GSource *source)
{
  EvpDemand *self = (EvpDemand *) source;

  self->destroy (self->data);
}

static GSourceFuncs evp_demand_source_funcs = {
  .prepare = evp_demand_prepare,
  .dispatch = evp_demand_dispatch,
  .finalize = evp_demand_finalize,
};

GSource *
evp_demand_start (EvpAbstractEventLoop *loop,
                  const EvpDemandFuncs *funcs,
                  gpointer              data,
                  GDestroyNotify        destroy)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (loop);
  GSource *source = g_source_new (&evp_demand_source_funcs, sizeof (EvpDemand));
  EvpDemand *self = (EvpDemand *) source;

  self->funcs = funcs;
  self->data = data;
  self->destroy = destroy;
  g_source_set_static_name (source, "[evp] nobody wants what is there");
  g_source_set_can_recurse (source, TRUE);
  g_source_attach (source, context);
  return source;
}

void
evp_demand_stop (GSource **demand)
{
  GSource *source = g_steal_pointer (demand);

  if (source == NULL)
    return;
  g_source_destroy (source);
  g_source_unref (source);
}
