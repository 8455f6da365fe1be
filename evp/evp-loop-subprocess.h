/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/process/evp-subprocess.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
void           evp_event_loop_subprocess_exec_async   (EvpAbstractEventLoop *self,
                                                       const char * const   *argv,
                                                       EvpSubprocessOptions *options,
                                                       GCancellable         *cancellable,
                                                       GAsyncReadyCallback   callback,
                                                       gpointer              user_data);
EVP_AVAILABLE_IN_1_0
EvpSubprocess *evp_event_loop_subprocess_exec_finish  (EvpAbstractEventLoop *self,
                                                       GAsyncResult         *result,
                                                       GError              **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void           evp_event_loop_subprocess_shell_async  (EvpAbstractEventLoop *self,
                                                       const char           *command,
                                                       EvpSubprocessOptions *options,
                                                       GCancellable         *cancellable,
                                                       GAsyncReadyCallback   callback,
                                                       gpointer              user_data);
EVP_AVAILABLE_IN_1_0
EvpSubprocess *evp_event_loop_subprocess_shell_finish (EvpAbstractEventLoop *self,
                                                       GAsyncResult         *result,
                                                       GError              **error) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
