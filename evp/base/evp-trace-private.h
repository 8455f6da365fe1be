/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Marks on the time line of Sysprof, while it records this process (SYSPROF_CONTROL_FD or SYSPROF_TRACE_FD). Without
 * it, or in a build without sysprof-capture, they cost a load and a branch.
 */
gboolean evp_trace_is_active (void);
/* Now, on Sysprof's clock. */
gint64   evp_trace_now       (void);
/* From @begin until now. */
void     evp_trace_mark      (gint64      begin,
                              const char *name,
                              const char *message);

G_END_DECLS
