/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/*
 * Runs destroy (data) on the thread of @loop, from any thread: in the next turn. When the loop is closed,
 * or is closed before that: when the default main context is iterated if that was the loop's, else in place,
 * because nobody may ever iterate the loop's context again.
 */
void     evp_loop_post_release    (EvpAbstractEventLoop *loop,
                                   GDestroyNotify        destroy,
                                   gpointer              data);

/* Whether the calling thread may touch @loop directly; @home is the thread to take when nobody runs it. */
gboolean evp_loop_is_local_thread (EvpAbstractEventLoop *loop,
                                   GThread              *home);

G_END_DECLS
