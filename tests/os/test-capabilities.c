/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <evp/evp.h>

#include "support/evp-test-support.h"

/* What is listed is known, and works or says why not. */
static void
test_list (void)
{
  g_auto (GStrv) names = evp_capabilities_list ();

  g_assert_cmpuint (g_strv_length (names), ==, 5);
  for (guint i = 0; names[i] != NULL; i++)
    {
      const char *why = evp_capabilities_explain (names[i]);

      if (evp_capabilities_get (names[i]))
        g_assert_null (why);
      else
        g_assert_cmpuint (strlen (why), >, 0);
    }
  g_assert_true (g_strv_contains ((const char *const *) names, "io-uring"));
}

/* Rules: W-58 */
static void
test_linux (void)
{
#ifdef __linux__
  g_assert_true (evp_capabilities_get ("epoll"));
  g_assert_false (evp_capabilities_get ("kqueue"));
  g_assert_nonnull (evp_capabilities_explain ("kqueue"));
#else
  g_test_skip ("not Linux");
#endif
}

static void
test_unknown (void)
{
  g_assert_false (evp_capabilities_get ("telepathy"));
  g_assert_nonnull (evp_capabilities_explain ("telepathy"));
}

/* Trying leaves nothing behind. */
static void
test_no_leak (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_auto (GStrv) names = evp_capabilities_list ();

  for (guint i = 0; names[i] != NULL; i++)
    evp_capabilities_get (names[i]);
  evp_test_leaks_check (&leaks);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* first, so that it sees the trying */
  g_test_add_func ("/evp/os/capabilities/no-leak", test_no_leak);
  g_test_add_func ("/evp/os/capabilities/list", test_list);
  g_test_add_func ("/evp/os/capabilities/linux", test_linux);
  g_test_add_func ("/evp/os/capabilities/unknown", test_unknown);
  return g_test_run ();
}
