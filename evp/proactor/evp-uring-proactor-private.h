/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/proactor/evp-uring-proactor.h"

G_BEGIN_DECLS

/*
 * The loop's short cuts. Before the loop sleeps on evp_proactor_get_fd(): whether evp_proactor_poll() has something
 * to do now. If not, the descriptor becomes readable when it has; at other times it may stay silent.
 */
gboolean evp_uring_proactor_prepare  (EvpUringProactor *self);
/* The same question without going to sleep. */
gboolean evp_uring_proactor_has_work (EvpUringProactor *self);

G_END_DECLS
