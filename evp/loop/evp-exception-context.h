/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

#define EVP_TYPE_EXCEPTION_CONTEXT (evp_exception_context_get_type ())

EVP_AVAILABLE_IN_1_0
GType                evp_exception_context_get_type   (void);
EVP_AVAILABLE_IN_1_0
EvpExceptionContext *evp_exception_context_new        (const char                *message) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpExceptionContext *evp_exception_context_ref        (EvpExceptionContext       *self);
EVP_AVAILABLE_IN_1_0
void                 evp_exception_context_unref      (EvpExceptionContext       *self);
EVP_AVAILABLE_IN_1_0
const char          *evp_exception_context_get_message (EvpExceptionContext      *self);
EVP_AVAILABLE_IN_1_0
const GError        *evp_exception_context_get_error  (EvpExceptionContext       *self);
EVP_AVAILABLE_IN_1_0
void                 evp_exception_context_set_error  (EvpExceptionContext       *self,
                                                       const GError              *error);
EVP_AVAILABLE_IN_1_0
EvpHandle           *evp_exception_context_get_handle (EvpExceptionContext       *self);
EVP_AVAILABLE_IN_1_0
void                 evp_exception_context_set_handle (EvpExceptionContext       *self,
                                                       EvpHandle                 *handle);
EVP_AVAILABLE_IN_1_0
EvpExceptionContext *evp_exception_context_get_context (EvpExceptionContext      *self);
EVP_AVAILABLE_IN_1_0
void                 evp_exception_context_set_context (EvpExceptionContext      *self,
                                                        EvpExceptionContext      *context);
EVP_AVAILABLE_IN_1_0
const char          *evp_exception_context_get_string (EvpExceptionContext       *self,
                                                       const char                *key);
EVP_AVAILABLE_IN_1_0
void                 evp_exception_context_set_string (EvpExceptionContext       *self,
                                                       const char                *key,
                                                       const char                *value);
EVP_AVAILABLE_IN_1_0
char               **evp_exception_context_get_keys   (EvpExceptionContext       *self) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
char                *evp_exception_context_to_string  (EvpExceptionContext       *self) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpExceptionContext, evp_exception_context_unref)

G_END_DECLS
