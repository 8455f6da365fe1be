/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/handle/evp-handle-private.h"

G_BEGIN_DECLS

/*
 * Handles in the order (when, order of insertion), `when` in nanoseconds of the monotonic clock.
 * The queue neither references nor runs what is in it, and knows no clock: callers pass the time.
 * An inserted handle's `next` and `index` belong to the queue until it leaves it.
 */
typedef struct _EvpTimerQueue EvpTimerQueue;

EvpTimerQueue *evp_timer_queue_new      (void);
void           evp_timer_queue_free     (EvpTimerQueue *self); /* what is still in it is just forgotten */
void           evp_timer_queue_insert   (EvpTimerQueue *self,
                                         EvpHandle     *handle,
                                         gint64         now);
/* The handle must be in the queue. O(1) or O(log n), at once: nothing of it stays behind. */
void           evp_timer_queue_remove   (EvpTimerQueue *self,
                                         EvpHandle     *handle);
/* Takes out the next handle with when <= now, or NULL. */
EvpHandle     *evp_timer_queue_pop_due  (EvpTimerQueue *self,
                                         gint64         now);
/* Takes out any handle, or NULL: for closing. */
EvpHandle     *evp_timer_queue_pop_any  (EvpTimerQueue *self);
/* A time at which to look again: never later than the earliest deadline; EVP_TIME_NEVER if empty. */
gint64         evp_timer_queue_get_next (EvpTimerQueue *self);
guint          evp_timer_queue_get_size (EvpTimerQueue *self);
/* Bytes of memory it holds now, for tests. */
gsize          evp_timer_queue_get_footprint (EvpTimerQueue *self);

G_END_DECLS
