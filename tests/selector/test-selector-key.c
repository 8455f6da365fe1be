/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-selector-key.h"

#include "evp/evp-enum-types.h"

/* Rules: S-1, S-7 */
static void
test_values (void)
{
  g_autoptr (EvpSelectorKey) key = evp_selector_key_new (5, EVP_IO_EVENTS_READ, NULL);
  EvpIOEvents events, ready;
  int fd;

  g_assert_cmpint (evp_selector_key_get_fd (key), ==, 5);
  g_assert_cmpint (evp_selector_key_get_events (key), ==, EVP_IO_EVENTS_READ);
  g_assert_cmpint (evp_selector_key_get_ready_events (key), ==, EVP_IO_EVENTS_NONE);
  g_assert_null (evp_selector_key_get_data (key));

  evp_selector_key_set_events (key, EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE);
  evp_selector_key_set_ready_events (key, EVP_IO_EVENTS_WRITE);
  g_object_get (key, "fd", &fd, "events", &events, "ready-events", &ready, NULL);
  g_assert_cmpint (fd, ==, 5);
  g_assert_cmpint (events, ==, EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE);
  g_assert_cmpint (ready, ==, EVP_IO_EVENTS_WRITE);
}

/* Rules: S-1 */
static void
test_construct (void)
{
  g_autoptr (EvpSelectorKey) empty = g_object_new (EVP_TYPE_SELECTOR_KEY, NULL);
  g_autoptr (EvpSelectorKey) key = g_object_new (EVP_TYPE_SELECTOR_KEY, "fd", 0,
                                                 "events", EVP_IO_EVENTS_WRITE, NULL);

  g_assert_cmpint (evp_selector_key_get_fd (empty), ==, -1);
  g_assert_cmpint (evp_selector_key_get_fd (key), ==, 0);
  g_assert_cmpint (evp_selector_key_get_events (key), ==, EVP_IO_EVENTS_WRITE);
}

/* Rules: S-5 */
static void
test_data (void)
{
  g_autoptr (EvpSelectorKey) key = NULL;
  g_auto (GValue) value = G_VALUE_INIT;
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);
  gpointer weak = object;

  g_object_add_weak_pointer (object, &weak);
  g_value_init (&value, G_TYPE_OBJECT);
  g_value_take_object (&value, object);
  key = evp_selector_key_new (3, EVP_IO_EVENTS_READ, &value);
  g_value_unset (&value);
  g_assert_true (g_value_get_object (evp_selector_key_get_data (key)) == object);

  /* its own data is a harmless thing to set */
  evp_selector_key_set_data (key, evp_selector_key_get_data (key));
  g_assert_nonnull (weak);

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, 7);
  evp_selector_key_set_data (key, &value);
  g_assert_null (weak);
  g_assert_cmpint (g_value_get_int (evp_selector_key_get_data (key)), ==, 7);
  evp_selector_key_set_data (key, NULL);
  g_assert_null (evp_selector_key_get_data (key));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/selector/selector-key/values", test_values);
  g_test_add_func ("/evp/selector/selector-key/construct", test_construct);
  g_test_add_func ("/evp/selector/selector-key/data", test_data);

  return g_test_run ();
}
