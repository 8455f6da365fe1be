/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <evp/evp.h>

#include "support/evp-test-support.h"

#include <errno.h>
#include <sys/resource.h>

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

/* No descriptor is free when it is tried: that is said, and not remembered. */
static void
test_shortage (void)
{
  g_auto (GStrv) names = evp_capabilities_list ();
  const char *shortage = g_strerror (EMFILE);
  struct rlimit before, none;
  guint short_of = 0;

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, 0);
      g_test_trap_assert_passed ();
      return;
    }

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  none = (struct rlimit) { 0, before.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  for (guint i = 0; names[i] != NULL; i++)
    {
      const char *why = evp_capabilities_explain (names[i]);

      if (why != NULL && strstr (why, shortage) != NULL)
        {
          g_assert_false (evp_capabilities_get (names[i]));
          short_of++;
        }
    }
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);

  for (guint i = 0; names[i] != NULL; i++)
    {
      const char *why = evp_capabilities_explain (names[i]);

      g_assert_true (why == NULL || strstr (why, shortage) == NULL);
      g_assert_true (evp_capabilities_get (names[i]) == (why == NULL));
    }
#ifdef __linux__
  g_assert_cmpuint (short_of, >, 0);
  g_assert_true (evp_capabilities_get ("epoll"));
#endif
}

/* The same for a proactor: the next loop has io_uring, as if nothing had been. */
static void
test_proactor_after_shortage (void)
{
  g_autoptr (EvpProactor) during = NULL;
  g_autoptr (EvpProactor) after = NULL;
  struct rlimit before, none;

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, 0);
      g_test_trap_assert_passed ();
      return;
    }

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  none = (struct rlimit) { 0, before.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  during = evp_proactor_new_default ();
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
  g_assert_true (EVP_IS_GIO_PROACTOR (during));

  after = evp_proactor_new_default ();
  g_assert_true (EVP_IS_URING_PROACTOR (after) == evp_capabilities_get ("io-uring"));
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
  g_test_add_func ("/evp/os/capabilities/shortage", test_shortage);
  g_test_add_func ("/evp/os/capabilities/proactor-after-shortage", test_proactor_after_shortage);
  return g_test_run ();
}
