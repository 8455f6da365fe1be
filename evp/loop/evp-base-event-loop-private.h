/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-base-event-loop.h"
#include "evp/loop/evp-loop-core-private.h"

G_BEGIN_DECLS

EvpLoopCore *evp_base_event_loop_get_core (EvpBaseEventLoop *self);

/*
 * Classes whose scheduling slots are the library's own: their loops are scheduled on without going
 * through the interface. Filled when the first loop of a class is made.
 */
#define EVP_N_FAST_CLASSES 4
extern gpointer evp_loop_fast_classes[EVP_N_FAST_CLASSES] __attribute__ ((visibility ("hidden")));
extern int evp_loop_core_offset __attribute__ ((visibility ("hidden")));

gboolean evp_loop_is_fast_class (gpointer klass) G_NO_INLINE;

static inline gboolean
evp_loop_is_first_class (EvpAbstractEventLoop *loop)
{
  return __atomic_load_n (&evp_loop_fast_classes[0], __ATOMIC_RELAXED) == (gpointer) ((GTypeInstance *) loop)->g_class;
}

static inline EvpLoopCore *
evp_loop_get_core (EvpAbstractEventLoop *loop)
{
  return *(EvpLoopCore **) G_STRUCT_MEMBER_P (loop, evp_loop_core_offset);
}

/* The engine of a loop whose class is known to be plain, else NULL. */
static inline EvpLoopCore *
evp_loop_peek_core (EvpAbstractEventLoop *loop)
{
  if (G_LIKELY (evp_loop_is_first_class (loop)) || evp_loop_is_fast_class (((GTypeInstance *) loop)->g_class))
    return evp_loop_get_core (loop);
  return NULL;
}

G_END_DECLS
