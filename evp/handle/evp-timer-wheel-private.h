/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/handle/evp-timer-heap-private.h"

G_BEGIN_DECLS

/*
 * Timers that are some way off, sorted coarsely; see evp-timer-wheel.c. A handle in it has a non-NULL
 * `next`, which with `index` belongs to the wheel.
 */
typedef struct _EvpTimerWheel EvpTimerWheel;

EvpTimerWheel *evp_timer_wheel_new           (gint64               now);
void           evp_timer_wheel_free          (EvpTimerWheel       *self);
/* FALSE: it is too near for the wheel, and precedes everything in it. */
gboolean       evp_timer_wheel_insert        (EvpTimerWheel       *self,
                                              const EvpTimerEntry *entry,
                                              gint64               now);
/* The handle must be in the wheel. O(1), amortised. */
void           evp_timer_wheel_remove        (EvpTimerWheel       *self,
                                              EvpHandle           *handle);
/*
 * Takes out the next timers, about a millisecond full, if the wheel's next deadline is reached: their
 * number, and they in order in *entries, which grows as needed. Their handles' `next` and `index` are
 * left for the caller to set. Only when all that was taken before is used up.
 */
guint          evp_timer_wheel_take_due      (EvpTimerWheel       *self,
                                              gint64               now,
                                              EvpTimerEntry      **entries,
                                              guint               *capacity);
/* Takes out any timer; FALSE if there is none. */
gboolean       evp_timer_wheel_take_any      (EvpTimerWheel       *self,
                                              EvpTimerEntry       *entry);
/* Never later than the earliest deadline, and earlier only after a removal; EVP_TIME_NEVER if empty. */
gint64         evp_timer_wheel_get_next      (EvpTimerWheel       *self);
gsize          evp_timer_wheel_get_footprint (EvpTimerWheel       *self);

G_END_DECLS
