/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-selector.h"

#include "evp/base/evp-error.h"
#include "evp/selector/evp-poll-selector.h"
#include "evp/selector/evp-select-selector.h"

#include <fcntl.h>
#include <unistd.h>

/* A class that leaves every slot out. */
#define TEST_TYPE_BARE_SELECTOR (test_bare_selector_get_type ())
G_DECLARE_FINAL_TYPE (TestBareSelector, test_bare_selector, TEST, BARE_SELECTOR, EvpSelector)

struct _TestBareSelector
{
  EvpSelector parent_instance;
};

G_DEFINE_FINAL_TYPE (TestBareSelector, test_bare_selector, EVP_TYPE_SELECTOR)

static void
test_bare_selector_class_init (TestBareSelectorClass *klass)
{
}

static void
test_bare_selector_init (TestBareSelector *self)
{
}

/* A class that answers nothing and gives no reason, as a slot that threw in some languages does. */
#define TEST_TYPE_MUTE_SELECTOR (test_mute_selector_get_type ())
G_DECLARE_FINAL_TYPE (TestMuteSelector, test_mute_selector, TEST, MUTE_SELECTOR, EvpSelector)

struct _TestMuteSelector
{
  EvpSelector parent_instance;
};

G_DEFINE_FINAL_TYPE (TestMuteSelector, test_mute_selector, EVP_TYPE_SELECTOR)

static EvpSelectorKey *
test_mute_selector_set (EvpSelector  *self,
                        int           fd,
                        EvpIOEvents   events,
                        const GValue *data,
                        GError      **error)
{
  return NULL;
}

static gboolean
test_mute_selector_unregister (EvpSelector *self,
                               int          fd,
                               GError     **error)
{
  return FALSE;
}

static GPtrArray *
test_mute_selector_select (EvpSelector *self,
                           double       timeout,
                           GError     **error)
{
  return NULL;
}

static EvpSelectorKey *
test_mute_selector_get_key (EvpSelector *self,
                            int          fd,
                            GError     **error)
{
  return NULL;
}

static void
test_mute_selector_class_init (TestMuteSelectorClass *klass)
{
  EvpSelectorClass *selector_class = EVP_SELECTOR_CLASS (klass);

  selector_class->register_fd = test_mute_selector_set;
  selector_class->modify = test_mute_selector_set;
  selector_class->unregister = test_mute_selector_unregister;
  selector_class->select = test_mute_selector_select;
  selector_class->get_key = test_mute_selector_get_key;
}

static void
test_mute_selector_init (TestMuteSelector *self)
{
}

/* A class that chains up to one of the library and changes the answer. */
#define TEST_TYPE_PICKY_SELECTOR (test_picky_selector_get_type ())
G_DECLARE_FINAL_TYPE (TestPickySelector, test_picky_selector, TEST, PICKY_SELECTOR, EvpPollSelector)

struct _TestPickySelector
{
  EvpPollSelector parent_instance;
};

G_DEFINE_FINAL_TYPE (TestPickySelector, test_picky_selector, EVP_TYPE_POLL_SELECTOR)

static GPtrArray *
test_picky_selector_select (EvpSelector *self,
                            double       timeout,
                            GError     **error)
{
  GPtrArray *all, *picked;

  all = EVP_SELECTOR_CLASS (test_picky_selector_parent_class)->select (self, timeout, error);
  if (all == NULL)
    return NULL;

  picked = g_ptr_array_new ();
  for (guint i = 0; i < all->len; i++)
    {
      EvpSelectorKey *key = g_ptr_array_index (all, i);

      if (evp_selector_key_get_ready_events (key) & EVP_IO_EVENTS_WRITE)
        g_ptr_array_add (picked, key);
      else
        g_object_unref (key);
    }
  g_ptr_array_unref (all);
  return picked;
}

static void
test_picky_selector_class_init (TestPickySelectorClass *klass)
{
  EVP_SELECTOR_CLASS (klass)->select = test_picky_selector_select;
}

static void
test_picky_selector_init (TestPickySelector *self)
{
}

/* All methods that can fail do, with that code and a message that names class and slot. */
static void
check_all_fail (EvpSelector *selector,
                EvpError     code)
{
  const char *class_name = G_OBJECT_TYPE_NAME (selector);
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);

#define CHECK_ERROR(slot)                                   \
  g_assert_error (error, EVP_ERROR, (int) code);            \
  g_assert_nonnull (strstr (error->message, class_name));   \
  g_assert_nonnull (strstr (error->message, slot));         \
  g_clear_error (&error)

  g_assert_null (evp_selector_register (selector, fds[0], EVP_IO_EVENTS_READ, NULL, &error));
  CHECK_ERROR ("register_fd");
  g_assert_null (evp_selector_modify (selector, fds[0], EVP_IO_EVENTS_READ, NULL, &error));
  CHECK_ERROR ("modify");
  g_assert_false (evp_selector_unregister (selector, fds[0], &error));
  CHECK_ERROR ("unregister");
  g_assert_null (evp_selector_select (selector, 0, &error));
  CHECK_ERROR ("select");
  g_assert_null (evp_selector_get_key (selector, fds[0], &error));
  CHECK_ERROR ("get_key");

  g_assert_null (evp_selector_get_map (selector));
  g_assert_cmpint (evp_selector_get_fd (selector), ==, -1);
  evp_selector_close (selector);
  close (fds[0]);
  close (fds[1]);
}

/* Rules: S-1 */
static void
test_slots_left_out (void)
{
  EvpSelector *selector = g_object_new (TEST_TYPE_BARE_SELECTOR, NULL);

  check_all_fail (selector, EVP_ERROR_NOT_SUPPORTED);
  g_assert_finalize_object (selector);
}

/* Rules: S-1 */
static void
test_slots_without_reason (void)
{
  EvpSelector *selector = g_object_new (TEST_TYPE_MUTE_SELECTOR, NULL);

  check_all_fail (selector, EVP_ERROR_FAILED);
  g_assert_finalize_object (selector);
}

/* Rules: S-7 */
static void
test_chain_up (void)
{
  EvpSelector *selector = g_object_new (TEST_TYPE_PICKY_SELECTOR, NULL);
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (EvpSelectorKey) key = NULL;

      key = evp_selector_register (selector, fds[i],
                                   i == 0 ? EVP_IO_EVENTS_READ : EVP_IO_EVENTS_WRITE, NULL, &error);
      g_assert_no_error (error);
    }
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (GPtrArray) ready = evp_selector_select (selector, -1, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (ready->len, ==, 1);
      g_assert_cmpint (evp_selector_key_get_fd (g_ptr_array_index (ready, 0)), ==, fds[1]);
    }
  close (fds[0]);
  close (fds[1]);
  g_assert_finalize_object (selector);
}

/* Rules: S-7, S-10 */
static void
test_names_for_bindings (void)
{
  EvpSelector *selector = evp_poll_selector_new ();
  g_autoptr (EvpSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  key = evp_selector_register (selector, fds[1], EVP_IO_EVENTS_WRITE, NULL, &error);
  g_assert_no_error (error);
  {
    g_autoptr (GPtrArray) ready = evp_selector_select_keys (selector, -1, &error);
    g_autoptr (GPtrArray) all = evp_selector_list_keys (selector);

    g_assert_no_error (error);
    g_assert_cmpuint (ready->len, ==, 1);
    g_assert_true (g_ptr_array_index (ready, 0) == key);
    g_assert_cmpuint (all->len, ==, 1);
    g_assert_true (g_ptr_array_index (all, 0) == key);
  }
  evp_selector_close (selector);
  g_assert_null (evp_selector_select_keys (selector, -1, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_assert_null (evp_selector_list_keys (selector));
  close (fds[0]);
  close (fds[1]);

  /* neither the arrays nor the selector kept the key */
  g_assert_finalize_object (selector);
  g_assert_finalize_object (g_steal_pointer (&key));
}

static void
close_selector_cb (gpointer  data,
                   GObject  *where_the_object_was)
{
  evp_selector_close (data);
}

static void
check_close_inside (EvpSelector *selector)
{
  g_autoptr (GError) error = NULL;
  g_auto (GValue) value = G_VALUE_INIT;
  EvpSelectorKey *key;
  GPtrArray *ready;
  int fds[2];

  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  g_value_init (&value, G_TYPE_OBJECT);
  g_value_take_object (&value, g_object_new (EVP_TYPE_SELECTOR_KEY, NULL));
  g_object_weak_ref (g_value_get_object (&value), close_selector_cb, selector);
  key = evp_selector_register (selector, fds[0], EVP_IO_EVENTS_READ, &value, &error);
  g_assert_no_error (error);
  g_object_unref (key);
  g_value_unset (&value);

  ready = evp_selector_select (selector, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, ==, 1);
  g_ptr_array_unref (ready);
  g_assert_true (evp_selector_unregister (selector, fds[0], &error));
  g_assert_no_error (error);

  /* what was found by the last select is what held the data, and the end of that closes the selector */
  g_assert_null (evp_selector_select (selector, 0, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_assert_null (evp_selector_get_map (selector));
  g_assert_cmpint (evp_selector_get_fd (selector), ==, -1);
  g_assert_finalize_object (selector);
  close (fds[0]);
  close (fds[1]);
}

/* Rules: S-11 */
static void
test_close_inside (void)
{
  check_close_inside (evp_selector_new_default ());
  check_close_inside (evp_poll_selector_new ());
  check_close_inside (evp_select_selector_new ());
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/selector/selector/slots-left-out", test_slots_left_out);
  g_test_add_func ("/evp/selector/selector/slots-without-reason", test_slots_without_reason);
  g_test_add_func ("/evp/selector/selector/chain-up", test_chain_up);
  g_test_add_func ("/evp/selector/selector/names-for-bindings", test_names_for_bindings);
  g_test_add_func ("/evp/selector/selector/close-inside", test_close_inside);

  return g_test_run ();
}
