/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

#define EVP_TYPE_FUTURE (evp_future_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpFuture, evp_future, EVP, FUTURE, GObject)

EVP_AVAILABLE_IN_1_0
EvpFuture            *evp_future_new                  (EvpAbstractEventLoop *loop) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gboolean              evp_future_done                 (EvpFuture            *self);
EVP_AVAILABLE_IN_1_0
gboolean              evp_future_cancelled            (EvpFuture            *self);
EVP_AVAILABLE_IN_1_0
gboolean              evp_future_cancel               (EvpFuture            *self);
EVP_AVAILABLE_IN_1_0
gboolean              evp_future_set_result           (EvpFuture            *self,
                                                       const GValue         *value,
                                                       GError              **error);
EVP_AVAILABLE_IN_1_0
gboolean              evp_future_set_error            (EvpFuture            *self,
                                                       const GError         *failure);
EVP_AVAILABLE_IN_1_0
const GValue         *evp_future_get_result           (EvpFuture            *self,
                                                       GError              **error);
EVP_AVAILABLE_IN_1_0
guint                 evp_future_add_done_callback    (EvpFuture            *self,
                                                       EvpFutureCallback     callback,
                                                       gpointer              user_data,
                                                       GDestroyNotify        destroy);
EVP_AVAILABLE_IN_1_0
gboolean              evp_future_remove_done_callback (EvpFuture            *self,
                                                       guint                 id);
EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop *evp_future_get_loop             (EvpFuture            *self);
EVP_AVAILABLE_IN_1_0
void                  evp_future_await_async          (EvpFuture            *self,
                                                       GCancellable         *cancellable,
                                                       GAsyncReadyCallback   callback,
                                                       gpointer              user_data);
EVP_AVAILABLE_IN_1_0
const GValue         *evp_future_await_finish         (EvpFuture            *self,
                                                       GAsyncResult         *result,
                                                       GError              **error);
EVP_AVAILABLE_IN_1_0
void                  evp_future_ready_callback       (GObject              *source,
                                                       GAsyncResult         *result,
                                                       gpointer              user_data);
EVP_AVAILABLE_IN_1_0
void                  evp_future_chain                (EvpFuture            *self,
                                                       EvpFuture            *target);

G_END_DECLS
