/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-future.h"

G_BEGIN_DECLS

/* Whether work for it is in vain: it is done, or completed from another thread and about to be. */
gboolean evp_future_is_settled (EvpFuture *self);

/*
 * An _async/_finish pair over a future: waits as evp_future_await_async() does, for a function @tag of
 * @source, which the callback gets as its source object. The call is the last use of @self that is needed.
 */
void          evp_future_await_for        (EvpFuture          *self,
                                           gpointer            source,
                                           gpointer            tag,
                                           GCancellable       *cancellable,
                                           GAsyncReadyCallback callback,
                                           gpointer            user_data);
/* For the precondition of the _finish. */
gboolean      evp_future_await_is_for     (GAsyncResult       *result,
                                           gpointer            source,
                                           gpointer            tag);
/* The future's result or error; borrowed from @result. */
const GValue *evp_future_await_get_result (GAsyncResult       *result,
                                           GError            **error);

G_END_DECLS
