/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-debug-private.h"

/* The keys are read once, so each case has a process of its own. */
static void
in_subprocess (const char *value,
               guint       expected)
{
  const guint all = EVP_DEBUG_LOOP | EVP_DEBUG_SELECTOR | EVP_DEBUG_WATCHER
                    | EVP_DEBUG_PROCESS | EVP_DEBUG_POLICY | EVP_DEBUG_SIGNAL;

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, 0);
      g_test_trap_assert_passed ();
      return;
    }
  if (value != NULL)
    g_setenv ("EVP_DEBUG", value, TRUE);
  else
    g_unsetenv ("EVP_DEBUG");
  for (guint key = 1; key <= all; key <<= 1)
    g_assert_cmpint (evp_debug_enabled (key), ==, (expected & key) != 0);
  /* later changes are not looked at */
  g_setenv ("EVP_DEBUG", "loop,signal", TRUE);
  for (guint key = 1; key <= all; key <<= 1)
    g_assert_cmpint (evp_debug_enabled (key), ==, (expected & key) != 0);
}

/* Rules: D-1 */
static void
test_off (void)
{
  in_subprocess (NULL, 0);
}

/* Rules: D-1 */
static void
test_keys (void)
{
  in_subprocess ("watcher, process", EVP_DEBUG_WATCHER | EVP_DEBUG_PROCESS);
}

/* Rules: D-1 */
static void
test_all (void)
{
  in_subprocess ("all", G_MAXUINT);
}

/* EVP_DEBUG=help lists what there is, and switches nothing on. */
static void
test_help (void)
{
  in_subprocess ("help", 0);
  if (g_test_subprocess ())
    return;
  for (const char *const *key = (const char *const[]) { "loop", "selector", "watcher", "process", "policy", "signal",
                                                        "all", NULL };
       *key != NULL; key++)
    {
      g_autofree char *pattern = g_strdup_printf ("*%s*", *key);

      g_test_trap_assert_stderr (pattern);
    }
}

/*
 * Rules: D-1
 * A key that does not exist is said, with those that do; the others count.
 */
static void
test_unknown_key (void)
{
  g_autofree char *last = NULL;

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, 0);
      g_test_trap_assert_passed ();
      return;
    }
  g_setenv ("EVP_DEBUG", "watchers,loop, Signal,", TRUE);
  g_assert_true (evp_debug_enabled (EVP_DEBUG_LOOP));
  g_assert_true (evp_debug_enabled (EVP_DEBUG_SIGNAL));
  g_assert_false (evp_debug_enabled (EVP_DEBUG_WATCHER));
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, 1);
  last = evp_warn_runtime_dup_last ();
  g_assert_cmpstr (last, ==, "EVP_DEBUG=watchers is not known and is ignored; known are: "
                             "loop, selector, watcher, process, policy, signal, all, help");
}

static void
test_note (void)
{
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, 0);
      g_test_trap_assert_passed ();
      g_test_trap_assert_stdout ("*the watcher says 42*");
      g_test_trap_assert_stdout_unmatched ("*the loop*");
      return;
    }
  g_setenv ("EVP_DEBUG", "watcher", TRUE);
  g_setenv ("G_MESSAGES_DEBUG", "all", TRUE);
  EVP_DEBUG_NOTE (EVP_DEBUG_WATCHER, "the watcher says %d", 42);
  EVP_DEBUG_NOTE (EVP_DEBUG_LOOP, "the loop is silent");
}

/* Even where warnings are fatal, this is none of the programmer's. */
static void
test_warning_is_never_fatal (void)
{
  guint before = evp_warn_runtime_get_count ();

  g_log_set_always_fatal (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  evp_warn_runtime ("child %d was lost", 7);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, before + 1);
  g_autofree char *first = evp_warn_runtime_dup_last ();
  g_assert_cmpstr (first, ==, "child 7 was lost");

  evp_log_runtime (G_LOG_LEVEL_CRITICAL, "a callback %s", "failed");
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, before + 2);
  g_autofree char *second = evp_warn_runtime_dup_last ();
  g_assert_cmpstr (second, ==, "a callback failed");
}

static void
test_warning_is_logged (void)
{
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, 0);
      g_test_trap_assert_passed ();
      g_test_trap_assert_stderr ("*Evp-WARNING*child 7 was lost*");
      return;
    }
  evp_warn_runtime ("child %d was lost", 7);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/base/debug/off", test_off);
  g_test_add_func ("/evp/base/debug/keys", test_keys);
  g_test_add_func ("/evp/base/debug/all", test_all);
  g_test_add_func ("/evp/base/debug/help", test_help);
  g_test_add_func ("/evp/base/debug/unknown-key", test_unknown_key);
  g_test_add_func ("/evp/base/debug/note", test_note);
  g_test_add_func ("/evp/base/debug/warning-is-never-fatal", test_warning_is_never_fatal);
  g_test_add_func ("/evp/base/debug/warning-is-logged", test_warning_is_logged);

  return g_test_run ();
}
