/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/* On a thread of the loop's default executor. */
typedef void (*EvpWorkFunc) (gpointer data);

/*
 * On the loop's thread, once, as a callback of the loop. With @error (transfer full) the loop was closed
 * before the work was done, and nothing may be expected of @data.
 */
typedef void (*EvpWorkDoneFunc) (gpointer data,
                                 GError  *error);

/*
 * Has a part of an _async() function that blocks done in the loop's default executor. @data, from
 * g_atomic_rc_box_alloc(), gets references of its own, which are released by @unref on the loop's
 * thread. If it fails @done is not called.
 */
gboolean evp_work_start (EvpAbstractEventLoop *loop,
                         EvpWorkFunc           func,
                         EvpWorkDoneFunc       done,
                         gpointer              data,
                         GDestroyNotify        unref,
                         GError              **error);

G_END_DECLS
