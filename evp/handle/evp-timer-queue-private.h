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

EvpTimerQueue *evp_timer_queue_new               (void);
/* With another number of timers up to which a heap has them all, for tests; G_MAXUINT: always. */
EvpTimerQueue *evp_timer_queue_new_with_heap_max (guint          heap_max);
/* What is still in it is just forgotten. */
void           evp_timer_queue_free              (EvpTimerQueue *self);
/* `now` may be a little old; it only decides how the timer is filed. */
void           evp_timer_queue_insert            (EvpTimerQueue *self,
                                                  EvpHandle     *handle,
                                                  gint64         now);
/* The handle must be in the queue. O(1) or O(log n), amortised; nothing points to it afterwards. */
void           evp_timer_queue_remove            (EvpTimerQueue *self,
                                                  EvpHandle     *handle);
/* Takes out the next handle with when <= now, or NULL. */
EvpHandle     *evp_timer_queue_pop_due           (EvpTimerQueue *self,
                                                  gint64         now);
/* Takes out any handle, or NULL: for closing. */
EvpHandle     *evp_timer_queue_pop_any           (EvpTimerQueue *self);
/*
 * A time at which to look again: never later than the earliest deadline, and earlier only after a
 * removal among hundreds of timers; EVP_TIME_NEVER if empty. O(1).
 */
gint64         evp_timer_queue_get_next          (EvpTimerQueue *self);
guint          evp_timer_queue_get_size          (EvpTimerQueue *self);
/* Bytes of memory it holds now, for tests. */
gsize          evp_timer_queue_get_footprint     (EvpTimerQueue *self);

G_END_DECLS
