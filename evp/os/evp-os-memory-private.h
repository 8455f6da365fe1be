/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Says that memory which was just allocated is about to be written to, all of it. Its pages then come together
 * instead of with a fault each, where the system can do that; otherwise nothing happens. Contents stay.
 */
void evp_os_memory_populate (gpointer start,
                             gsize    size);

G_END_DECLS
