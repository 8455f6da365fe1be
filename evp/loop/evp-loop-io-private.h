/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-core-private.h"
#include "evp/selector/evp-selector.h"

G_BEGIN_DECLS

/* The readers and writers of a loop on a selector. */
typedef struct _EvpLoopIo EvpLoopIo;

/* Registers itself with the core, which owns it. @selector may be NULL: made when first needed. */
EvpLoopIo   *evp_loop_io_new          (EvpLoopCore  *core,
                                       EvpSelector  *selector);
/* Whether a selector was given to a loop before: it cannot be shared. */
gboolean     evp_loop_io_is_taken     (EvpSelector  *selector);
/* Borrowed. */
EvpSelector *evp_loop_io_get_selector (EvpLoopIo    *self);
/* Watches or, with a reader or writer already there, replaces it; takes a reference to @handle. */
gboolean     evp_loop_io_watch        (EvpLoopIo    *self,
                                       int           fd,
                                       EvpIOEvents   direction,
                                       EvpHandle    *handle,
                                       GError      **error);
/* FALSE if there was none. */
gboolean     evp_loop_io_unwatch      (EvpLoopIo    *self,
                                       int           fd,
                                       EvpIOEvents   direction);

G_END_DECLS
