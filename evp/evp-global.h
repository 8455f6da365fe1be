/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/evp-loop-subprocess.h"
#include "evp/policy/evp-abstract-event-loop-policy.h"

G_BEGIN_DECLS

EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoopPolicy *evp_get_event_loop_policy (void) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
void                        evp_set_event_loop_policy (EvpAbstractEventLoopPolicy *policy);
EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop       *evp_get_event_loop        (GError                    **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gboolean                    evp_set_event_loop        (EvpAbstractEventLoop       *loop,
                                                       GError                    **error);
EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop       *evp_new_event_loop        (GError                    **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop       *evp_get_running_loop      (GError                    **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpAbstractChildWatcher    *evp_get_child_watcher     (GError                    **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gboolean                    evp_set_child_watcher     (EvpAbstractChildWatcher    *watcher,
                                                       GError                    **error);
EVP_AVAILABLE_IN_1_0
gboolean                    evp_run                   (EvpMainFunc                 main_func,
                                                       gpointer                    user_data,
                                                       GDestroyNotify              destroy,
                                                       GError                    **error);
EVP_AVAILABLE_IN_1_0
gboolean                    evp_run_in_context        (GMainContext               *main_context,
                                                       EvpMainFunc                 main_func,
                                                       gpointer                    user_data,
                                                       GDestroyNotify              destroy,
                                                       GError                    **error);

G_END_DECLS
