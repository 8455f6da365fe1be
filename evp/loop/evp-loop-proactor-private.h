/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-core-private.h"
#include "evp/loop/evp-loop-io-private.h"
#include "evp/proactor/evp-proactor.h"

G_BEGIN_DECLS

/* The descriptors of a loop on a proactor: the proactor's own, and a selector's for readers and writers. */
typedef struct _EvpLoopProactor EvpLoopProactor;

/* Registers itself with the core, which owns it. @proactor may be NULL: made when first needed. */
EvpLoopProactor *evp_loop_proactor_new           (EvpLoopCore     *core,
                                                  EvpProactor     *proactor);
/* Whether a proactor was given to a loop before: it cannot be shared. */
gboolean         evp_loop_proactor_is_taken      (EvpProactor     *proactor);
/* Borrowed. */
EvpProactor     *evp_loop_proactor_get_proactor  (EvpLoopProactor *self);
EvpLoopIo       *evp_loop_proactor_get_readiness (EvpLoopProactor *self);
/* What the proactor cannot do is done by readiness. */
gboolean         evp_loop_proactor_submit        (EvpLoopProactor *self,
                                                  EvpOperation    *operation,
                                                  GError         **error);
void             evp_loop_proactor_cancel        (EvpLoopProactor *self,
                                                  EvpOperation    *operation);

G_END_DECLS
