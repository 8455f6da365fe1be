/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-exit-status.h"
#include "evp/base/evp-types.h"

G_BEGIN_DECLS

#define EVP_TYPE_CHILD_HANDLER (evp_child_handler_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpChildHandler, evp_child_handler, EVP, CHILD_HANDLER, GObject)

EVP_AVAILABLE_IN_1_0
EvpChildHandler      *evp_child_handler_new            (GPid                  pid,
                                                        EvpAbstractEventLoop *loop,
                                                        EvpChildCallback      callback,
                                                        gpointer              user_data,
                                                        GDestroyNotify        destroy) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GPid                  evp_child_handler_get_pid        (EvpChildHandler      *self);
EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop *evp_child_handler_get_loop       (EvpChildHandler      *self);
EVP_AVAILABLE_IN_1_0
void                  evp_child_handler_set_loop       (EvpChildHandler      *self,
                                                        EvpAbstractEventLoop *loop);
EVP_AVAILABLE_IN_1_0
gboolean              evp_child_handler_get_done       (EvpChildHandler      *self);
EVP_AVAILABLE_IN_1_0
int                   evp_child_handler_get_returncode (EvpChildHandler      *self);
EVP_AVAILABLE_IN_1_0
gboolean              evp_child_handler_get_lost       (EvpChildHandler      *self);
EVP_AVAILABLE_IN_1_0
double                evp_child_handler_get_cpu_time   (EvpChildHandler      *self);
EVP_AVAILABLE_IN_1_0
void                  evp_child_handler_set_cpu_time   (EvpChildHandler      *self,
                                                        double                cpu_time);
EVP_AVAILABLE_IN_1_0
void                  evp_child_handler_invoke         (EvpChildHandler      *self,
                                                        GPid                  pid,
                                                        int                   returncode);
EVP_AVAILABLE_IN_1_0
void                  evp_child_handler_invoke_lost    (EvpChildHandler      *self,
                                                        GPid                  pid);
EVP_AVAILABLE_IN_1_0
void                  evp_child_handler_cancel         (EvpChildHandler      *self);

G_END_DECLS
