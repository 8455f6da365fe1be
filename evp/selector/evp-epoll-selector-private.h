/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/selector/evp-epoll-private.h"
#include "evp/selector/evp-epoll-selector.h"

G_BEGIN_DECLS

/*
 * The set inside the selector, for the loop that owns it: what it registers there is not seen by the
 * selector's own methods. NULL if the selector is closed.
 */
EvpEpoll *evp_epoll_selector_get_epoll (EvpEpollSelector *self);

G_END_DECLS
