/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/proactor/evp-operation-private.h"

G_BEGIN_DECLS

/*
 * Threads that read and write files. They start as operations come, up to a limit, and stay until the
 * pool is closed. What is done is collected by the thread that owns the pool; operations are completed
 * there and nowhere else.
 *
 * Holds no references to operations.
 */
typedef struct _EvpFilePool EvpFilePool;

/* Tells, on any thread, that there is something to collect; called with the pool locked. */
typedef void (*EvpFilePoolNotify) (gpointer user_data);

EvpFilePool  *evp_file_pool_new     (EvpFilePoolNotify notify,
                                     gpointer          user_data);
/* FALSE if there is no thread to do it. */
gboolean      evp_file_pool_submit  (EvpFilePool      *self,
                                     EvpOperation     *operation,
                                     GError          **error);
/* TRUE if it had not begun: then the pool has forgotten it. */
gboolean      evp_file_pool_cancel  (EvpFilePool      *self,
                                     EvpOperation     *operation);
/* What is done, with results, linked by `next`. */
EvpOperation *evp_file_pool_collect (EvpFilePool      *self);
/*
 * Waits for the threads, frees the pool, and gives what has not been collected. What had not begun has
 * the result -ECANCELED. In the child of a fork() there are no threads, and that is the result of all.
 */
EvpOperation *evp_file_pool_close   (EvpFilePool      *self);

G_END_DECLS
