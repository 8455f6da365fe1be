/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The keys of the environment variable EVP_DEBUG. */
typedef enum
{
  EVP_DEBUG_LOOP = 1 << 0,
  EVP_DEBUG_SELECTOR = 1 << 1,
  EVP_DEBUG_WATCHER = 1 << 2,
  EVP_DEBUG_PROCESS = 1 << 3,
  EVP_DEBUG_POLICY = 1 << 4,
  EVP_DEBUG_SIGNAL = 1 << 5,
} EvpDebugFlags;

gboolean evp_debug_enabled (EvpDebugFlags key);

/* A line of debugging output; costs one load and one branch while its key is off. */
#define EVP_DEBUG_NOTE(key, ...)                \
  G_STMT_START {                                \
    if (G_UNLIKELY (evp_debug_enabled (key)))   \
      g_debug (__VA_ARGS__);                    \
  } G_STMT_END

/*
 * A warning about something that happened at run time (a lost exit status, a loop closed too
 * early). It is logged at warning level but never aborts: fatal warnings are for mistakes of the
 * programmer, and these are not.
 */
void evp_warn_runtime (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* The same at another level: G_LOG_LEVEL_CRITICAL for failures. */
void evp_log_runtime  (GLogLevelFlags level,
                       const char    *format, ...) G_GNUC_PRINTF (2, 3);

/* Tests read here what evp_warn_runtime() and evp_log_runtime() said last, and how often it spoke. */
char *evp_warn_runtime_dup_last  (void);
guint evp_warn_runtime_get_count (void);

G_END_DECLS
