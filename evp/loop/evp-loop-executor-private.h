/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/* For a loop's close(): the default executor takes no more jobs, and ends without being waited for. */
void evp_loop_executor_close (EvpAbstractEventLoop *loop);

G_END_DECLS
