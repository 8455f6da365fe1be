/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-error.h"
#include "evp/handle/evp-handle-private.h"
#include "evp/loop/evp-exception-context.h"

static void
nothing_cb (gpointer user_data)
{
}

/* Rules: X-3 */
static void
test_empty (void)
{
  g_autoptr (EvpExceptionContext) context = evp_exception_context_new (NULL);
  g_auto (GStrv) keys = evp_exception_context_get_keys (context);
  g_autofree char *text = evp_exception_context_to_string (context);

  g_assert_cmpuint (g_strv_length (keys), ==, 0);
  g_assert_null (evp_exception_context_get_message (context));
  g_assert_null (evp_exception_context_get_error (context));
  g_assert_null (evp_exception_context_get_handle (context));
  g_assert_null (evp_exception_context_get_context (context));
  g_assert_null (evp_exception_context_get_string (context, "future"));
  /* the generic text */
  g_assert_cmpstr (text, ==, "Unhandled exception in event loop");
}

/* Rules */
static void
test_strings (void)
{
  g_autoptr (EvpExceptionContext) context = evp_exception_context_new ("it broke");
  const char *const expected[] = { "message", "new_in_2031", "pipe", NULL };
  const char *const without_pipe[] = { "message", "new_in_2031", NULL };

  evp_exception_context_set_string (context, "pipe", "a pipe");
  evp_exception_context_set_string (context, "new_in_2031", "first");
  evp_exception_context_set_string (context, "new_in_2031", "second");
  evp_exception_context_set_string (context, "never", NULL);
  g_assert_cmpstr (evp_exception_context_get_string (context, "new_in_2031"), ==, "second");
  g_assert_cmpstr (evp_exception_context_get_string (context, "message"), ==, "it broke");

  g_auto (GStrv) keys = evp_exception_context_get_keys (context);
  g_assert_cmpstrv (keys, expected);

  evp_exception_context_set_string (context, "pipe", NULL);
  g_assert_null (evp_exception_context_get_string (context, "pipe"));
  g_auto (GStrv) fewer = evp_exception_context_get_keys (context);
  g_assert_cmpstrv (fewer, without_pipe);

  evp_exception_context_set_string (context, "message", "it broke twice");
  g_assert_cmpstr (evp_exception_context_get_message (context), ==, "it broke twice");
  /* its own text, given back to it */
  evp_exception_context_set_string (context, "message", evp_exception_context_get_message (context));
  g_assert_cmpstr (evp_exception_context_get_message (context), ==, "it broke twice");
}

/* Rules */
static void
test_typed (void)
{
  g_autoptr (EvpExceptionContext) context = evp_exception_context_new ("outer");
  g_autoptr (EvpExceptionContext) original = evp_exception_context_new ("inner");
  g_autoptr (GError) error = g_error_new_literal (EVP_ERROR, EVP_ERROR_FAILED, "no luck");
  g_autoptr (EvpHandle) handle = evp_handle_new_standalone (EVP_HANDLE_CALLBACK, nothing_cb, NULL, NULL);
  const char *const expected[] = { "context", "exception", "handle", "message", NULL };

  evp_exception_context_set_error (context, error);
  evp_exception_context_set_handle (context, handle);
  evp_exception_context_set_context (context, original);

  g_assert_true (evp_exception_context_get_error (context) != error);
  g_assert_error (evp_exception_context_get_error (context), EVP_ERROR, EVP_ERROR_FAILED);
  g_assert_true (evp_exception_context_get_handle (context) == handle);
  g_assert_true (evp_exception_context_get_context (context) == original);
  g_auto (GStrv) keys = evp_exception_context_get_keys (context);
  g_assert_cmpstrv (keys, expected);

  /* its own values, given back to it */
  evp_exception_context_set_error (context, evp_exception_context_get_error (context));
  evp_exception_context_set_handle (context, evp_exception_context_get_handle (context));
  evp_exception_context_set_context (context, evp_exception_context_get_context (context));
  g_assert_cmpstr (evp_exception_context_get_error (context)->message, ==, "no luck");

  evp_exception_context_set_error (context, NULL);
  evp_exception_context_set_handle (context, NULL);
  evp_exception_context_set_context (context, NULL);
  g_auto (GStrv) only = evp_exception_context_get_keys (context);
  g_assert_cmpuint (g_strv_length (only), ==, 1);
}

/* Rules: X-5 */
static void
test_to_string (void)
{
  g_autoptr (EvpExceptionContext) context = evp_exception_context_new ("it broke");
  g_autoptr (EvpExceptionContext) original = evp_exception_context_new ("first");
  g_autoptr (GError) error = g_error_new_literal (EVP_ERROR, EVP_ERROR_FAILED, "no luck");
  g_autofree char *text = NULL;

  evp_exception_context_set_string (context, "zebra", "last");
  evp_exception_context_set_string (context, "source_traceback", "one\ntwo\n");
  evp_exception_context_set_string (context, "future", "<EvpFuture>");
  evp_exception_context_set_string (context, "context", "hidden by the context itself");
  evp_exception_context_set_string (context, "exception", "hidden by the error itself");
  evp_exception_context_set_string (original, "pipe", "p");
  evp_exception_context_set_context (context, original);
  evp_exception_context_set_error (context, error);

  text = evp_exception_context_to_string (context);
  g_assert_cmpstr (text, ==,
                   "it broke\n"
                   "context: first\n"
                   "  pipe: p\n"
                   "future: <EvpFuture>\n"
                   "source_traceback: one\n"
                   "  two\n"
                   "zebra: last\n"
                   "exception: no luck (evp-error-quark, 0)");

  /* a text stands in for an error that is not there */
  g_autofree char *second = NULL;
  evp_exception_context_set_error (context, NULL);
  second = evp_exception_context_to_string (context);
  g_assert_true (g_str_has_suffix (second, "\nzebra: last\nexception: hidden by the error itself"));
}

/* Rules */
static void
test_handle_line (void)
{
  g_autoptr (EvpExceptionContext) context = evp_exception_context_new ("it broke");
  g_autoptr (EvpHandle) handle = evp_handle_new_standalone (EVP_HANDLE_CALLBACK, nothing_cb, NULL, NULL);
  g_autofree char *description = evp_handle_describe (handle);
  g_autofree char *expected = g_strdup_printf ("it broke\nhandle: %s", description);
  g_autofree char *text = NULL;

  evp_exception_context_set_handle (context, handle);
  text = evp_exception_context_to_string (context);
  g_assert_cmpstr (text, ==, expected);
}

/* Rules: X-10 */
static void
test_boxed (void)
{
  g_auto (GValue) value = G_VALUE_INIT;
  g_auto (GValue) copy = G_VALUE_INIT;
  EvpExceptionContext *context = evp_exception_context_new ("boxed");

  g_value_init (&value, EVP_TYPE_EXCEPTION_CONTEXT);
  g_value_init (&copy, EVP_TYPE_EXCEPTION_CONTEXT);
  g_value_take_boxed (&value, context);
  g_value_copy (&value, &copy);
  g_assert_true (g_value_get_boxed (&copy) == context);
  g_value_reset (&value);
  g_assert_cmpstr (evp_exception_context_get_message (g_value_get_boxed (&copy)), ==, "boxed");
}

/* Rules: X-6 */
static void
test_no_cycle (void)
{
  g_autoptr (EvpExceptionContext) outer = evp_exception_context_new ("outer");
  g_autoptr (EvpExceptionContext) inner = evp_exception_context_new ("inner");

  evp_exception_context_set_context (outer, inner);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, "*inner != self*");
  evp_exception_context_set_context (inner, outer);
  g_test_assert_expected_messages ();
  g_assert_null (evp_exception_context_get_context (inner));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/loop/exception-context/empty", test_empty);
  g_test_add_func ("/evp/loop/exception-context/strings", test_strings);
  g_test_add_func ("/evp/loop/exception-context/typed", test_typed);
  g_test_add_func ("/evp/loop/exception-context/to-string", test_to_string);
  g_test_add_func ("/evp/loop/exception-context/handle-line", test_handle_line);
  g_test_add_func ("/evp/loop/exception-context/boxed", test_boxed);
  g_test_add_func ("/evp/loop/exception-context/no-cycle", test_no_cycle);

  return g_test_run ();
}
