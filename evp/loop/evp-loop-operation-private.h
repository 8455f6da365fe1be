/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/proactor/evp-operation-private.h"

G_BEGIN_DECLS

/*
 * Operations on a loop: on one with a selector they are tried at once and then wait for readiness, on
 * one with a proactor they are handed to it. Whichever it is, the operation's function is called later,
 * as a callback of the loop, never inside submit().
 *
 * The caller keeps the loop, the descriptor and the buffer until then. If the loop is closed, the
 * function is called with -ECANCELED while it closes.
 */
gboolean evp_loop_submit_operation (EvpAbstractEventLoop *loop,
                                    EvpOperation         *operation,
                                    GError              **error);
/* Asks for the end; does nothing if it is not pending. The function is called as ever. */
void     evp_loop_cancel_operation (EvpAbstractEventLoop *loop,
                                    EvpOperation         *operation);
/*
 * Before its descriptor is closed, and from any thread: the loop forgets what it remembers of an
 * operation that is not pending.
 */
void     evp_loop_retire_operation (EvpOperation         *operation);
/* LOOP_CLOSED if that is why it was cancelled, else what evp_operation_check_result() says. */
gboolean evp_loop_check_operation  (EvpAbstractEventLoop *loop,
                                    EvpOperation         *operation,
                                    const char           *what,
                                    GError              **error);

/*
 * evp_event_loop_add_reader(), …_add_writer(), …_remove_reader() and …_remove_writer() for those who own the
 * descriptor. In a loop of this library @callback may be called again, by a nested main loop, before it has returned,
 * and it may let go of what it watches at any time.
 */
gboolean evp_loop_watch_fd         (EvpAbstractEventLoop *loop,
                                    EvpIOEvents           direction,
                                    int                   fd,
                                    EvpFdCallback         callback,
                                    gpointer              user_data,
                                    GDestroyNotify        destroy,
                                    GError              **error);
gboolean evp_loop_unwatch_fd       (EvpAbstractEventLoop *loop,
                                    EvpIOEvents           direction,
                                    int                   fd);

/*
 * Completes a pending operation, and calls its function right here: from inside a callback of the loop that was queued
 * for nothing else.
 */
void     evp_loop_deliver_operation (EvpOperation        *operation,
                                     gssize               result);

/* The slots of loops that do it by their readers and writers. */
gboolean evp_loop_readiness_submit (EvpAbstractEventLoop *loop,
                                    EvpOperation         *operation,
                                    GError              **error);
void     evp_loop_readiness_cancel (EvpAbstractEventLoop *loop,
                                    EvpOperation         *operation);

G_END_DECLS
