/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
void evp_set_running_loop (EvpAbstractEventLoop *loop);

G_END_DECLS
