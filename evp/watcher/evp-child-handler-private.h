/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/watcher/evp-child-handler.h"

G_BEGIN_DECLS

/* Marks this thread as one of ours, on which foreign data is never released. */
void                  evp_child_handler_enter_helper_thread (void);

/* The loop, with a reference; NULL if there is none. Any thread. */
EvpAbstractEventLoop *evp_child_handler_dup_loop  (EvpChildHandler      *self);
/* Has the handler dropped, with a warning, as soon as its loop is closed, by the thread that closes. */
void                  evp_child_handler_guard     (EvpChildHandler      *self);
/* Calls back right here: the caller knows that this is the thread of the handler's loop. */
void                  evp_child_handler_run_here  (EvpChildHandler      *self,
                                                   int                   returncode,
                                                   gboolean              lost);
/* The loop is closed: warns, and lets go of the callback. Any thread; once. */
void                  evp_child_handler_drop      (EvpChildHandler      *self);

G_END_DECLS
