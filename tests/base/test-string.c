/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "evp/base/evp-string-private.h"

static void
test_set (void)
{
  char *place = NULL;
  const char *kept;

  g_assert_false (evp_set_string (&place, NULL));
  g_assert_null (place);
  g_assert_true (evp_set_string (&place, ""));
  g_assert_cmpstr (place, ==, "");
  g_assert_true (evp_set_string (&place, "value"));
  g_assert_cmpstr (place, ==, "value");

  kept = place;
  g_assert_false (evp_set_string (&place, "value"));
  g_assert_true (place == kept);
  g_assert_true (evp_set_string (&place, NULL));
  g_assert_null (place);
}

/* What is set may be what is set already, or a piece of it. */
static void
test_own (void)
{
  char *place = NULL;

  g_assert_true (evp_set_string (&place, "/srv/usr"));
  g_assert_false (evp_set_string (&place, place));
  g_assert_true (evp_set_string (&place, place + 4));
  g_assert_cmpstr (place, ==, "/usr");
  g_assert_true (evp_set_string (&place, place + 4));
  g_assert_cmpstr (place, ==, "");
  g_free (place);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/base/string/set", test_set);
  g_test_add_func ("/evp/base/string/own", test_own);
  return g_test_run ();
}
