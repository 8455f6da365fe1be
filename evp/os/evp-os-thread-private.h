/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A thread that takes no signals: those belong to the program's own threads. NULL with @error. */
GThread *evp_os_thread_new (const char  *name,
                            GThreadFunc  func,
                            gpointer     data,
                            GError     **error);

G_END_DECLS
