/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-enums.h"
#include "evp/base/evp-types.h"

G_BEGIN_DECLS

#define EVP_TYPE_SELECTOR_KEY (evp_selector_key_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpSelectorKey, evp_selector_key, EVP, SELECTOR_KEY, GObject)

EVP_AVAILABLE_IN_1_0
EvpSelectorKey *evp_selector_key_new              (int             fd,
                                                   EvpIOEvents     events,
                                                   const GValue   *data) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
int             evp_selector_key_get_fd           (EvpSelectorKey *self);
EVP_AVAILABLE_IN_1_0
EvpIOEvents     evp_selector_key_get_events       (EvpSelectorKey *self);
EVP_AVAILABLE_IN_1_0
EvpIOEvents     evp_selector_key_get_ready_events (EvpSelectorKey *self);
EVP_AVAILABLE_IN_1_0
const GValue   *evp_selector_key_get_data         (EvpSelectorKey *self);
EVP_AVAILABLE_IN_1_0
void            evp_selector_key_set_events       (EvpSelectorKey *self,
                                                   EvpIOEvents     events);
EVP_AVAILABLE_IN_1_0
void            evp_selector_key_set_ready_events (EvpSelectorKey *self,
                                                   EvpIOEvents     events);
EVP_AVAILABLE_IN_1_0
void            evp_selector_key_set_data         (EvpSelectorKey *self,
                                                   const GValue   *data);

G_END_DECLS
