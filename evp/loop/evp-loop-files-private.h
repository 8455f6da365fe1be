/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-core-private.h"

G_BEGIN_DECLS

/* Frees the requests that a loop keeps for the next ones. */
void evp_loop_files_clear_spare (EvpLoopCore *core);

G_END_DECLS
