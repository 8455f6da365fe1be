/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/watcher/evp-watch-table-private.h"

G_BEGIN_DECLS

/*
 * SIGCHLD for the watchers that sweep in the loop that they are attached to. It has a place of its own in the
 * process's signal table: a program that takes SIGCHLD on the same loop does not silence it.
 */
typedef struct _EvpSigchld EvpSigchld;

/*
 * Looks for children that have ended, without asking each: how many of the table's were found. If it
 * finds none, or may have missed one whose status was stolen, all are asked.
 */
typedef guint (*EvpSigchldQuickFunc) (EvpWatchTable *table,
                                      gpointer       data);

/* @data (nullable) is a g_atomic_rc_box; takes a reference of its own. */
EvpSigchld *evp_sigchld_new   (EvpWatchTable        *table,
                               EvpAbstractEventLoop *loop,
                               EvpSigchldQuickFunc   quick,
                               gpointer              data,
                               GDestroyNotify        data_clear,
                               GError              **error);
/* Puts the former disposition of SIGCHLD back, and frees. */
void        evp_sigchld_stop  (EvpSigchld           *self);

/* Asks each child of the table: the number of those that have ended. Callbacks run where they may, at once. */
guint       evp_sigchld_sweep (EvpWatchTable        *table);
/* Tells a handler: at once if this is the thread of its loop, else through the loop. */
void        evp_sigchld_tell  (EvpWatchTable        *table,
                               EvpChildHandler      *handler,
                               EvpWaitResult         result,
                               int                   returncode);

/* What attach_loop() of these watchers does; @slot is where they keep their EvpSigchld, under the table's lock. */
gboolean    evp_sigchld_attach (gpointer              watcher,
                                EvpSigchld          **slot,
                                EvpAbstractEventLoop *loop,
                                EvpSigchldQuickFunc   quick,
                                gpointer              data,
                                GDestroyNotify        data_clear,
                                GError              **error);
/* What close() of them does. */
void        evp_sigchld_close  (gpointer              watcher,
                                EvpSigchld          **slot);
gboolean    evp_sigchld_is_active (gpointer           watcher);

G_END_DECLS
