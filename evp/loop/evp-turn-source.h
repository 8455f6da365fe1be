/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

#define EVP_TYPE_TURN_SOURCE (evp_turn_source_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpTurnSource, evp_turn_source, EVP, TURN_SOURCE, GObject)

EVP_AVAILABLE_IN_1_0
EvpTurnSource *evp_turn_source_new              (GMainContext   *main_context,
                                                 int             fd) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GMainContext  *evp_turn_source_get_main_context (EvpTurnSource  *self);
EVP_AVAILABLE_IN_1_0
int            evp_turn_source_get_fd           (EvpTurnSource  *self);
EVP_AVAILABLE_IN_1_0
int            evp_turn_source_get_priority     (EvpTurnSource  *self);
EVP_AVAILABLE_IN_1_0
void           evp_turn_source_set_priority     (EvpTurnSource  *self,
                                                 int             priority);
EVP_AVAILABLE_IN_1_0
double         evp_turn_source_get_deadline     (EvpTurnSource  *self);
EVP_AVAILABLE_IN_1_0
void           evp_turn_source_set_deadline     (EvpTurnSource  *self,
                                                 double          deadline);
EVP_AVAILABLE_IN_1_0
void           evp_turn_source_set_callback     (EvpTurnSource  *self,
                                                 EvpTurnCallback callback,
                                                 gpointer        user_data,
                                                 GDestroyNotify  destroy);
EVP_AVAILABLE_IN_1_0
gboolean       evp_turn_source_is_attached      (EvpTurnSource  *self);
EVP_AVAILABLE_IN_1_0
void           evp_turn_source_attach           (EvpTurnSource  *self);
EVP_AVAILABLE_IN_1_0
void           evp_turn_source_detach           (EvpTurnSource  *self);
EVP_AVAILABLE_IN_1_0
void           evp_turn_source_pause            (EvpTurnSource  *self);
EVP_AVAILABLE_IN_1_0
void           evp_turn_source_resume           (EvpTurnSource  *self);
EVP_AVAILABLE_IN_1_0
void           evp_turn_source_wake             (EvpTurnSource  *self);

G_END_DECLS
