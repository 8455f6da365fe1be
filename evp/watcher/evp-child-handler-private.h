/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/watcher/evp-child-handler.h"

G_BEGIN_DECLS

/* How a child ended, for whoever made the handler. */
typedef struct
{
  int done;        /* atomic; set last */
  gboolean lost;
  double cpu_time; /* seconds; < 0: unknown */
} EvpChildOutcome;

/*
 * Has the end noted in @outcome too, as soon as it is reported. Only before anybody else has the handler; the
 * memory must stay until the handler releases its data.
 */
void                  evp_child_handler_set_outcome (EvpChildHandler    *self,
                                                     EvpChildOutcome    *outcome);
/* Marks this thread as one of ours, on which foreign data is never released. */
void                  evp_child_handler_enter_helper_thread (void);

/* The loop, with a reference; NULL if there is none. Any thread. */
EvpAbstractEventLoop *evp_child_handler_dup_loop  (EvpChildHandler      *self);
/* Like evp_child_handler_set_loop(); NULL: into none. */
void                  evp_child_handler_put_into  (EvpChildHandler      *self,
                                                   EvpAbstractEventLoop *loop);
/* Has the handler dropped, with a warning, as soon as its loop is closed, by the thread that closes. */
void                  evp_child_handler_guard     (EvpChildHandler      *self);
/* Calls back right here: the caller knows that this is the thread of the handler's loop. */
void                  evp_child_handler_run_here  (EvpChildHandler      *self,
                                                   int                   returncode,
                                                   gboolean              lost);
/* The loop is closed: warns, and lets go of the callback. Any thread; once. */
void                  evp_child_handler_drop      (EvpChildHandler      *self);

G_END_DECLS
