/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/handle/evp-handle.h"

G_BEGIN_DECLS

#define EVP_TYPE_TIMER_HANDLE (evp_timer_handle_get_type ())

EVP_AVAILABLE_IN_1_0
GType           evp_timer_handle_get_type  (void);
EVP_AVAILABLE_IN_1_0
EvpTimerHandle *evp_timer_handle_ref       (EvpTimerHandle *self);
EVP_AVAILABLE_IN_1_0
void            evp_timer_handle_unref     (EvpTimerHandle *self);
EVP_AVAILABLE_IN_1_0
void            evp_timer_handle_run       (EvpTimerHandle *self);
EVP_AVAILABLE_IN_1_0
void            evp_timer_handle_cancel    (EvpTimerHandle *self);
EVP_AVAILABLE_IN_1_0
gboolean        evp_timer_handle_cancelled (EvpTimerHandle *self);
EVP_AVAILABLE_IN_1_0
double          evp_timer_handle_when      (EvpTimerHandle *self);
EVP_AVAILABLE_IN_1_0
void            evp_timer_handle_set_name  (EvpTimerHandle *self,
                                            const char     *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpTimerHandle, evp_timer_handle_unref)

G_END_DECLS
