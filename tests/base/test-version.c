/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <evp/evp.h>

static void
test_same_everywhere (void)
{
  g_autofree char *of_headers = g_strdup_printf ("%d.%d.%d", EVP_MAJOR_VERSION, EVP_MINOR_VERSION, EVP_MICRO_VERSION);

  g_assert_cmpstr (of_headers, ==, PACKAGE_VERSION);
  g_assert_cmpstr (evp_get_version (), ==, PACKAGE_VERSION);
}

static void
test_check (void)
{
  g_assert_true (EVP_CHECK_VERSION (EVP_MAJOR_VERSION, EVP_MINOR_VERSION, EVP_MICRO_VERSION));
  g_assert_true (EVP_CHECK_VERSION (EVP_MAJOR_VERSION - 1, EVP_MINOR_VERSION + 1, EVP_MICRO_VERSION + 1));
  g_assert_true (EVP_CHECK_VERSION (EVP_MAJOR_VERSION, EVP_MINOR_VERSION - 1, EVP_MICRO_VERSION + 1));
  g_assert_true (EVP_CHECK_VERSION (EVP_MAJOR_VERSION, EVP_MINOR_VERSION, EVP_MICRO_VERSION - 1));
  g_assert_false (EVP_CHECK_VERSION (EVP_MAJOR_VERSION, EVP_MINOR_VERSION, EVP_MICRO_VERSION + 1));
  g_assert_false (EVP_CHECK_VERSION (EVP_MAJOR_VERSION, EVP_MINOR_VERSION + 1, 0));
  g_assert_false (EVP_CHECK_VERSION (EVP_MAJOR_VERSION + 1, 0, 0));
}

/* The preprocessor can ask, too. */
#if !EVP_CHECK_VERSION (1, 0, 0) || EVP_CHECK_VERSION (99, 0, 0)
# error "EVP_CHECK_VERSION does not work in #if"
#endif

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/base/version/same-everywhere", test_same_everywhere);
  g_test_add_func ("/evp/base/version/check", test_check);

  return g_test_run ();
}
