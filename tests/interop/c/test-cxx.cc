/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* <evp/evp.h> is C++ as well, with its macros and its inline functions. */

#include <evp/evp.h>

static void
count_cb (gpointer user_data)
{
  ++*static_cast<int *> (user_data);
}

static void
stop_cb (gpointer user_data)
{
  evp_event_loop_stop (EVP_EVENT_LOOP (user_data));
}

int
main ()
{
  g_autoptr (GError) error = nullptr;
  g_autoptr (EvpAbstractEventLoop) loop = evp_selector_event_loop_new (nullptr, nullptr, &error);
  EvpIOEvents both = static_cast<EvpIOEvents> (EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE);
  int count = 0;

  g_assert_no_error (error);
  g_assert_true (EVP_IS_SELECTOR_EVENT_LOOP (loop));
  g_assert_nonnull (evp_event_loop_call_soon (loop, count_cb, &count, nullptr, &error));
  g_assert_nonnull (evp_event_loop_call_soon (loop, stop_cb, loop, nullptr, &error));
  g_assert_true (evp_event_loop_run_forever (loop, &error));
  g_assert_cmpint (count, ==, 1);
  g_assert_true (evp_event_loop_close (loop, &error));

  g_assert_null (evp_event_loop_call_soon (loop, count_cb, &count, nullptr, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);

  g_assert_cmpint (both, ==, 3);
  g_assert_true (EVP_CHECK_VERSION (1, 0, 0));
  g_assert_cmpstr (g_type_name (EVP_TYPE_IO_EVENTS), ==, "EvpIOEvents");
  return 0;
}
