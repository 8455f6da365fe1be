/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-selector-table-private.h"

#include "evp/base/evp-clock-private.h"

/* Rules: S-6, S-9 */
static void
test_time_left (void)
{
  g_assert_cmpint (evp_selector_time_left (evp_selector_deadline (-1)), ==, -1);
  g_assert_cmpint (evp_selector_time_left (evp_selector_deadline (G_MAXINT64)), ==, -1);
  g_assert_cmpint (evp_selector_time_left (evp_selector_deadline (0)), ==, 0);
  g_assert_cmpint (evp_selector_time_left (1), ==, 0);
  g_assert_cmpint (evp_selector_time_left (evp_clock_get_time_ns () + EVP_NSEC_PER_SEC), >, 0);

  /* the deadline passes while it is asked: still not less than 0, which would be for ever */
  for (guint i = 0; i < 200 * 1000; i++)
    {
      gint64 left = evp_selector_time_left (evp_clock_get_time_ns () + i % 2000);

      g_assert_cmpint (left, >=, 0);
      g_assert_cmpint (left, <=, 2000);
    }
}

/* Rules: S-7 */
static void
test_many_selects (void)
{
  EvpSelectorTable table;
  EvpSelectorKey *key;

  evp_selector_table_init (&table);
  key = evp_selector_table_add (&table, 3, EVP_IO_EVENTS_READ, NULL, NULL);

  /* as after days of selecting: one that was never ready is not taken for one that is in the list already */
  table.selects = G_MAXUINT32 - 1;
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GPtrArray) ready = NULL;

      g_assert_true (evp_selector_table_begin_select (&table, NULL));
      if (i > 0)
        evp_selector_table_add_ready (&table, key, EVP_IO_EVENTS_READ);
      ready = evp_selector_table_end_select (&table);
      g_ptr_array_set_free_func (ready, g_object_unref);
      g_assert_cmpuint (ready->len, ==, i > 0 ? 1 : 0);
    }
  evp_selector_table_close (&table);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/selector/selector-table/time-left", test_time_left);
  g_test_add_func ("/evp/selector/selector-table/many-selects", test_many_selects);

  return g_test_run ();
}
