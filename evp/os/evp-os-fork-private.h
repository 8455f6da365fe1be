/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A number that differs in the child after a fork(); one load. Never 0. */
guint evp_os_fork_generation (void);

/* Whether the calling thread is the process's main thread; after fork(), the thread that forked. */
gboolean evp_os_is_main_thread (void);

G_END_DECLS
