/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-error-private.h"

#include <errno.h>
#include <gio/gio.h>

static void
test_domain (void)
{
  g_autoptr (GError) error = g_error_new_literal (EVP_ERROR, EVP_ERROR_CANCELLED, "x");

  g_assert_cmpstr (g_quark_to_string (EVP_ERROR), ==, "evp-error-quark");
  g_assert_error (error, EVP_ERROR, EVP_ERROR_CANCELLED);
  /* the numbers are part of the ABI */
  g_assert_cmpint (EVP_ERROR_FAILED, ==, 0);
  g_assert_cmpint (EVP_ERROR_NOT_SUPPORTED, ==, 1);
  g_assert_cmpint (EVP_ERROR_NO_EVENT_LOOP, ==, 2);
  g_assert_cmpint (EVP_ERROR_NO_RUNNING_LOOP, ==, 3);
  g_assert_cmpint (EVP_ERROR_LOOP_RUNNING, ==, 4);
  g_assert_cmpint (EVP_ERROR_LOOP_CLOSED, ==, 5);
  g_assert_cmpint (EVP_ERROR_LOOP_STOPPED, ==, 6);
  g_assert_cmpint (EVP_ERROR_WRONG_THREAD, ==, 7);
  g_assert_cmpint (EVP_ERROR_FORKED, ==, 8);
  g_assert_cmpint (EVP_ERROR_INVALID_STATE, ==, 9);
  g_assert_cmpint (EVP_ERROR_INVALID_ARGUMENT, ==, 10);
  g_assert_cmpint (EVP_ERROR_EXISTS, ==, 11);
  g_assert_cmpint (EVP_ERROR_NOT_FOUND, ==, 12);
  g_assert_cmpint (EVP_ERROR_CANCELLED, ==, 13);
  g_assert_cmpint (EVP_ERROR_WATCHER_INACTIVE, ==, 14);
  g_assert_cmpint (EVP_ERROR_WATCHER_CLOSED, ==, 15);
}

static void
test_errno (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *expected = g_strdup_printf ("Cannot open “x”, try 2: %s", g_strerror (ENOENT));

  errno = EPERM; /* the saved one counts */
  evp_set_error_from_errno (&error, ENOENT, "Cannot open “%s”, try %d", "x", 2);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpstr (error->message, ==, expected);
  /* nobody who wants to know */
  evp_set_error_from_errno (NULL, ENOENT, "unheard");
}

/* Rules: P-7 */
static void
test_unimplemented (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GObject) object = G_OBJECT (g_cancellable_new ());

  evp_set_error_unimplemented (&error, object, "add_reader");
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "GCancellable"));
  g_assert_nonnull (strstr (error->message, "add_reader"));
}

/* Rules: P-16 */
static void
test_slot_result (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GObject) object = G_OBJECT (g_cancellable_new ());

  g_assert_true (evp_check_slot_result (TRUE, NULL, object, "get_event_loop", &error));
  g_assert_no_error (error);

  /* an implementation's own error passes through */
  g_assert_false (evp_check_slot_result (FALSE, g_error_new_literal (EVP_ERROR, EVP_ERROR_FORKED, "own"),
                                         object, "get_event_loop", &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FORKED);
  g_assert_cmpstr (error->message, ==, "own");
  g_clear_error (&error);
  g_assert_false (evp_check_slot_result (FALSE, g_error_new_literal (EVP_ERROR, EVP_ERROR_FORKED, "own"),
                                         object, "get_event_loop", NULL));

  /* an error counts, also if the result says that all is well */
  g_assert_false (evp_check_slot_result (TRUE, g_error_new_literal (EVP_ERROR, EVP_ERROR_FORKED, "own"),
                                         object, "get_event_loop", &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FORKED);
  g_clear_error (&error);

  /* nothing, and no error: an exception that a binding has swallowed, or a forgotten return */
  g_assert_false (evp_check_slot_result (FALSE, NULL, object, "get_event_loop", &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, "GCancellable.get_event_loop()"));
  g_assert_nonnull (strstr (error->message, "must never return NULL"));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/base/error/domain", test_domain);
  g_test_add_func ("/evp/base/error/errno", test_errno);
  g_test_add_func ("/evp/base/error/unimplemented", test_unimplemented);
  g_test_add_func ("/evp/base/error/slot-result", test_slot_result);

  return g_test_run ();
}
