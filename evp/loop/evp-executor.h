/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

#define EVP_TYPE_EXECUTOR (evp_executor_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpExecutor, evp_executor, EVP, EXECUTOR, GObject)

EVP_AVAILABLE_IN_1_0
EvpExecutor *evp_executor_new             (int                  max_workers) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
int          evp_executor_get_max_workers (EvpExecutor         *self);
EVP_AVAILABLE_IN_1_0
gboolean     evp_executor_is_shut_down    (EvpExecutor         *self);
EVP_AVAILABLE_IN_1_0
EvpFuture   *evp_executor_submit          (EvpExecutor          *self,
                                           EvpAbstractEventLoop *loop,
                                           EvpExecutorFunc       func,
                                           gpointer              user_data,
                                           GDestroyNotify        destroy,
                                           GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void         evp_executor_shutdown        (EvpExecutor          *self,
                                           gboolean              wait);

G_END_DECLS
