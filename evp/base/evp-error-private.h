/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/base/evp-error.h"

G_BEGIN_DECLS

void     evp_set_error_from_errno    (GError    **error,
                                      int         saved_errno,
                                      const char *format,
                                      ...) G_GNUC_PRINTF (3, 4);
void     evp_set_error_unimplemented (GError    **error,
                                      gpointer    object,
                                      const char *method);
gboolean evp_check_slot_result       (gboolean    succeeded,
                                      GError     *slot_error, /* (transfer full) (nullable) */
                                      gpointer    object,
                                      const char *method,
                                      GError    **error);

G_END_DECLS
