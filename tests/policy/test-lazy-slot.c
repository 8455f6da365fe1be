/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-error.h"
#include "evp/policy/evp-lazy-slot-private.h"

#include "support/evp-test-support.h"

static EvpLazySlot static_slot; /* never initialised: static storage needs no more */
static GObject *discarded;

static void
discard (gpointer object)
{
  discarded = object;
}

static gpointer
make_plain (gpointer user_data,
            GError **error)
{
  return g_object_new (G_TYPE_OBJECT, NULL);
}

static gpointer
make_nothing (gpointer user_data,
              GError **error)
{
  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_FAILED, "no");
  return NULL;
}

static gpointer
make_recursively (gpointer user_data,
                  GError **error)
{
  return evp_lazy_slot_ensure (user_data, make_recursively, g_object_unref, user_data, error);
}

/* Somebody else stores an object while this one is made. */
static gpointer
make_too_late (gpointer user_data,
               GError **error)
{
  g_autoptr (GObject) other = g_object_new (G_TYPE_OBJECT, NULL);

  g_assert_null (evp_lazy_slot_replace (user_data, other));
  return g_object_new (G_TYPE_OBJECT, NULL);
}

/* Rules: P-2, P-29, Z-15 */
static void
test_ensure (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GObject) first = NULL;
  g_autoptr (GObject) second = NULL;
  g_autoptr (GObject) third = NULL;
  g_autoptr (GObject) old = NULL;

  g_assert_null (evp_lazy_slot_dup (&static_slot));
  g_assert_null (evp_lazy_slot_ensure (&static_slot, make_nothing, discard, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FAILED);
  g_clear_error (&error);
  g_assert_null (evp_lazy_slot_ensure (&static_slot, make_recursively, discard, &static_slot, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);

  first = evp_lazy_slot_ensure (&static_slot, make_plain, discard, NULL, &error);
  second = evp_lazy_slot_ensure (&static_slot, make_nothing, discard, NULL, &error);
  third = evp_lazy_slot_dup (&static_slot);
  g_assert_no_error (error);
  g_assert_nonnull (first);
  g_assert_true (first == second && second == third);
  old = evp_lazy_slot_replace (&static_slot, NULL);
  g_assert_true (old == first);
  g_assert_null (discarded);

  g_clear_object (&first);
  first = evp_lazy_slot_ensure (&static_slot, make_too_late, discard, &static_slot, &error);
  g_assert_no_error (error);
  g_assert_nonnull (discarded);
  g_assert_true (first != discarded);
  g_clear_object (&discarded);
  g_clear_object (&old);
  old = evp_lazy_slot_replace (&static_slot, NULL);
  g_assert_true (old == first);
}

typedef struct
{
  EvpLazySlot slot;
  int n_made; /* atomic */
} Race;

static gpointer
make_counted (gpointer user_data,
              GError **error)
{
  g_atomic_int_inc (&((Race *) user_data)->n_made);
  g_thread_yield ();
  return g_object_new (G_TYPE_OBJECT, NULL);
}

static gpointer
race_thread (gpointer data)
{
  return evp_lazy_slot_ensure (&((Race *) data)->slot, make_counted, g_object_unref, data, NULL);
}

/* Rules: P-2, P-29 */
static void
test_race (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "racing threads");

  for (guint round = 0; round < 200; round++)
    {
      Race race = { 0 };
      GThread *threads[4];
      GObject *objects[4];

      evp_lazy_slot_init (&race.slot);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = g_thread_new ("racer", race_thread, &race);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        objects[i] = g_thread_join (threads[i]);
      g_assert_cmpint (race.n_made, ==, 1);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_assert_true (objects[i] == objects[0]);
      for (guint i = 1; i < G_N_ELEMENTS (threads); i++)
        g_object_unref (objects[i]);
      evp_lazy_slot_clear (&race.slot);
      g_assert_finalize_object (objects[0]);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/evp/policy/lazy-slot/ensure", test_ensure);
  g_test_add_func ("/evp/policy/lazy-slot/race", test_race);
  return g_test_run ();
}
