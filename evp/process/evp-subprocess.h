/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/process/evp-subprocess-options.h"

G_BEGIN_DECLS

/**
 * EVP_RETURNCODE_NONE:
 *
 * The return code of a child that has not ended.
 *
 * Since: 1.0
 */
#define EVP_RETURNCODE_NONE (-2147483647 - 1)

#define EVP_TYPE_SUBPROCESS (evp_subprocess_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpSubprocess, evp_subprocess, EVP, SUBPROCESS, GObject)

EVP_AVAILABLE_IN_1_0
GPid           evp_subprocess_get_pid            (EvpSubprocess       *self);
EVP_AVAILABLE_IN_1_0
int            evp_subprocess_get_returncode     (EvpSubprocess       *self);
EVP_AVAILABLE_IN_1_0
gboolean       evp_subprocess_get_lost           (EvpSubprocess       *self);
EVP_AVAILABLE_IN_1_0
double         evp_subprocess_get_cpu_time       (EvpSubprocess       *self);
EVP_AVAILABLE_IN_1_0
GOutputStream *evp_subprocess_get_stdin          (EvpSubprocess       *self);
EVP_AVAILABLE_IN_1_0
GInputStream  *evp_subprocess_get_stdout         (EvpSubprocess       *self);
EVP_AVAILABLE_IN_1_0
GInputStream  *evp_subprocess_get_stderr         (EvpSubprocess       *self);
EVP_AVAILABLE_IN_1_0
void           evp_subprocess_wait_async         (EvpSubprocess       *self,
                                                  GCancellable        *cancellable,
                                                  GAsyncReadyCallback  callback,
                                                  gpointer             user_data);
EVP_AVAILABLE_IN_1_0
int            evp_subprocess_wait_finish        (EvpSubprocess       *self,
                                                  GAsyncResult        *result,
                                                  GError             **error);
EVP_AVAILABLE_IN_1_0
void           evp_subprocess_wait_closed_async  (EvpSubprocess       *self,
                                                  GCancellable        *cancellable,
                                                  GAsyncReadyCallback  callback,
                                                  gpointer             user_data);
EVP_AVAILABLE_IN_1_0
gboolean       evp_subprocess_wait_closed_finish (EvpSubprocess       *self,
                                                  GAsyncResult        *result,
                                                  GError             **error);
EVP_AVAILABLE_IN_1_0
void           evp_subprocess_communicate_async  (EvpSubprocess       *self,
                                                  GBytes              *input,
                                                  GCancellable        *cancellable,
                                                  GAsyncReadyCallback  callback,
                                                  gpointer             user_data);
EVP_AVAILABLE_IN_1_0
gboolean       evp_subprocess_communicate_finish (EvpSubprocess       *self,
                                                  GAsyncResult        *result,
                                                  GBytes             **stdout_bytes,
                                                  GBytes             **stderr_bytes,
                                                  GError             **error);
EVP_AVAILABLE_IN_1_0
gboolean       evp_subprocess_send_signal        (EvpSubprocess       *self,
                                                  int                  signum,
                                                  GError             **error);
EVP_AVAILABLE_IN_1_0
gboolean       evp_subprocess_terminate          (EvpSubprocess       *self,
                                                  GError             **error);
EVP_AVAILABLE_IN_1_0
gboolean       evp_subprocess_kill               (EvpSubprocess       *self,
                                                  GError             **error);
EVP_AVAILABLE_IN_1_0
void           evp_subprocess_close              (EvpSubprocess       *self);

G_END_DECLS
