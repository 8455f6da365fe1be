/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/evp.h"

G_BEGIN_DECLS

/* A loop as somebody might write it without GLib: it shows no main context. */
typedef struct
{
  EvpSelectorEventLoop parent_instance;
} NetContextlessLoop;

typedef EvpSelectorEventLoopClass NetContextlessLoopClass;

GType net_contextless_loop_get_type (void);

static GMainContext *
net_contextless_loop_dup_main_context (EvpAbstractEventLoop *loop)
{
  return NULL;
}

static void
net_contextless_loop_iface_init (gpointer iface,
                                 gpointer data)
{
  ((EvpAbstractEventLoopInterface *) iface)->dup_main_context = net_contextless_loop_dup_main_context;
}

G_DEFINE_TYPE_WITH_CODE (NetContextlessLoop, net_contextless_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, net_contextless_loop_iface_init))

static void
net_contextless_loop_class_init (NetContextlessLoopClass *klass)
{
}

static void
net_contextless_loop_init (NetContextlessLoop *self)
{
}

/* A GAsyncReadyCallback: keeps the result, and stops the loop. */
static void
net_contextless_ready_cb (GObject      *source,
                          GAsyncResult *result,
                          gpointer      user_data)
{
  GAsyncResult **kept = user_data;
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_running_loop (NULL);

  *kept = g_object_ref (result);
  evp_event_loop_stop (loop);
}

static inline void
net_contextless_run (EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_event_loop_run_forever (loop, &error));
  g_assert_no_error (error);
}

static void
net_contextless_stop_cb (gpointer loop)
{
  evp_event_loop_stop (loop);
}

/* Time for the loop to find that there is something which nobody wants; long enough or not, all holds. */
static inline void
net_contextless_pause (EvpAbstractEventLoop *loop)
{
  evp_event_loop_call_later (loop, 0.01, net_contextless_stop_cb, loop, NULL, NULL);
  net_contextless_run (loop);
}

G_END_DECLS
