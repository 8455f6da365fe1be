/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-statistics.h"

G_BEGIN_DECLS

struct _EvpLoopStatistics
{
  guint64 turns, callbacks, wakeups;
  guint timers, fds;
  double longest_callback, time_asleep; /* seconds */
};

G_END_DECLS
