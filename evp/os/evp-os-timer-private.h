/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A descriptor that becomes readable at an absolute time of the monotonic clock, in nanoseconds. Arming it
 * again makes it unreadable; it is never read. -1 where there is none, or none is allowed.
 */
int      evp_os_timer_new    (void);
gboolean evp_os_timer_arm    (int    timer_fd,
                              gint64 when);
void     evp_os_timer_disarm (int    timer_fd);

G_END_DECLS
