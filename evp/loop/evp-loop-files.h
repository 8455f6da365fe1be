/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-proactor-event-loop.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
void     evp_proactor_event_loop_read_async       (EvpProactorEventLoop *self,
                                                   int                   fd,
                                                   gsize                 count,
                                                   gint64                offset,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GBytes  *evp_proactor_event_loop_read_finish      (EvpProactorEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void     evp_proactor_event_loop_read_into_async  (EvpProactorEventLoop *self,
                                                   int                   fd,
                                                   void                 *buffer,
                                                   gsize                 size,
                                                   gint64                offset,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gssize   evp_proactor_event_loop_read_into_finish (EvpProactorEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
EVP_AVAILABLE_IN_1_0
void     evp_proactor_event_loop_write_async      (EvpProactorEventLoop *self,
                                                   int                   fd,
                                                   GBytes               *bytes,
                                                   gint64                offset,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gssize   evp_proactor_event_loop_write_finish     (EvpProactorEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);
EVP_AVAILABLE_IN_1_0
void     evp_proactor_event_loop_load_file_async  (EvpProactorEventLoop *self,
                                                   GFile                *file,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
GBytes  *evp_proactor_event_loop_load_file_finish (EvpProactorEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void     evp_proactor_event_loop_save_file_async  (EvpProactorEventLoop *self,
                                                   GFile                *file,
                                                   GBytes               *bytes,
                                                   GCancellable         *cancellable,
                                                   GAsyncReadyCallback   callback,
                                                   gpointer              user_data);
EVP_AVAILABLE_IN_1_0
gboolean evp_proactor_event_loop_save_file_finish (EvpProactorEventLoop *self,
                                                   GAsyncResult         *result,
                                                   GError              **error);

G_END_DECLS
