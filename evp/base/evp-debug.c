/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-debug-private.h"

#include "evp/base/evp-i18n-private.h"
#include "evp/base/evp-string-private.h"

static const GDebugKey debug_keys[] = {
  { "loop", EVP_DEBUG_LOOP },
  { "selector", EVP_DEBUG_SELECTOR },
  { "watcher", EVP_DEBUG_WATCHER },
  { "process", EVP_DEBUG_PROCESS },
  { "policy", EVP_DEBUG_POLICY },
  { "signal", EVP_DEBUG_SIGNAL },
};

/* GLib reads the value, and passes over what it does not know; a mistyped key would be silence. */
static void
warn_unknown_keys (const char *value)
{
  g_auto (GStrv) names = g_strsplit_set (value, ":;, \t", -1);
  g_autoptr (GString) known = g_string_new (NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (debug_keys); i++)
    g_string_append_printf (known, "%s, ", debug_keys[i].key);
  g_string_append (known, "all, help");

  for (char **name = names; *name != NULL; name++)
    {
      gboolean found = **name == '\0' || g_ascii_strcasecmp (*name, "all") == 0
                       || g_ascii_strcasecmp (*name, "help") == 0;

      for (gsize i = 0; !found && i < G_N_ELEMENTS (debug_keys); i++)
        found = g_ascii_strcasecmp (*name, debug_keys[i].key) == 0;
      if (!found)
        evp_warn_runtime (
            /* Translators: name of an environment variable, its value, a list of values */
            _("%s=%s is not known and is ignored; known are: %s"), "EVP_DEBUG", *name, known->str);
    }
}

gboolean
evp_debug_enabled (EvpDebugFlags key)
{
  static gsize flags = 0;

  if (g_once_init_enter (&flags))
    {
      const char *variable = g_getenv ("EVP_DEBUG");
      gsize value = g_parse_debug_string (variable, debug_keys, G_N_ELEMENTS (debug_keys));

      if (variable != NULL)
        warn_unknown_keys (variable);
      /* zero means "not initialised yet", so one more bit is always set */
      g_once_init_leave (&flags, value | ((gsize) 1 << 31));
    }
  return (flags & key) != 0;
}

static GMutex last_lock; /* protects the two below */
static char *last_warning;
static guint n_warnings;

static void
log_runtime (GLogLevelFlags level,
             const char    *message)
{
  g_mutex_lock (&last_lock);
  evp_set_string (&last_warning, message);
  n_warnings++;
  g_mutex_unlock (&last_lock);

  /*
   * GLib aborts for warnings under G_DEBUG=fatal-warnings and in its tests, unless a message says
   * that it came through the old API, which did that check itself.
   */
  const GLogField fields[] = {
    { "GLIB_OLD_LOG_API", "1", -1 },
    { "MESSAGE", message, -1 },
    { "PRIORITY", level == G_LOG_LEVEL_CRITICAL ? "3" : "4", -1 },
    { "GLIB_DOMAIN", G_LOG_DOMAIN, -1 },
  };
  g_log_structured_array (level, fields, G_N_ELEMENTS (fields));
}

void
evp_log_runtime (GLogLevelFlags level,
                 const char    *format,
                 ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  log_runtime (level, message);
}

void
evp_warn_runtime (const char *format,
                  ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  log_runtime (G_LOG_LEVEL_WARNING, message);
}

char *
evp_warn_runtime_dup_last (void)
{
  g_mutex_lock (&last_lock);
  char *copy = g_strdup (last_warning);
  g_mutex_unlock (&last_lock);
  return copy;
}

guint
evp_warn_runtime_get_count (void)
{
  g_mutex_lock (&last_lock);
  guint count = n_warnings;
  g_mutex_unlock (&last_lock);
  return count;
}
