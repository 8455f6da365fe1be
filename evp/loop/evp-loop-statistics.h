/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

#define EVP_TYPE_LOOP_STATISTICS (evp_loop_statistics_get_type ())

typedef struct _EvpLoopStatistics EvpLoopStatistics;

EVP_AVAILABLE_IN_1_0
GType              evp_loop_statistics_get_type             (void);
EVP_AVAILABLE_IN_1_0
EvpLoopStatistics *evp_loop_statistics_copy                 (EvpLoopStatistics *self) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void               evp_loop_statistics_free                 (EvpLoopStatistics *self);
EVP_AVAILABLE_IN_1_0
guint64            evp_loop_statistics_get_turns            (EvpLoopStatistics *self);
EVP_AVAILABLE_IN_1_0
guint64            evp_loop_statistics_get_callbacks        (EvpLoopStatistics *self);
EVP_AVAILABLE_IN_1_0
guint64            evp_loop_statistics_get_wakeups          (EvpLoopStatistics *self);
EVP_AVAILABLE_IN_1_0
guint              evp_loop_statistics_get_timers           (EvpLoopStatistics *self);
EVP_AVAILABLE_IN_1_0
guint              evp_loop_statistics_get_fds              (EvpLoopStatistics *self);
EVP_AVAILABLE_IN_1_0
double             evp_loop_statistics_get_longest_callback (EvpLoopStatistics *self);
EVP_AVAILABLE_IN_1_0
double             evp_loop_statistics_get_time_asleep      (EvpLoopStatistics *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpLoopStatistics, evp_loop_statistics_free)

G_END_DECLS
