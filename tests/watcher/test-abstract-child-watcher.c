/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-abstract-child-watcher.h"

#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-base-child-watcher.h"
#include "evp/watcher/evp-pidfd-child-watcher.h"
#include "evp/watcher/evp-threaded-child-watcher.h"
#include "watcher/watcher-fixture.h"

/* A class that implements nothing. */
typedef GObject Empty;
typedef GObjectClass EmptyClass;

static void
empty_iface_init (EvpAbstractChildWatcherInterface *iface)
{
}

static GType empty_get_type (void);

G_DEFINE_TYPE_WITH_CODE (Empty, empty, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, empty_iface_init))

static void
empty_class_init (EmptyClass *klass)
{
}

static void
empty_init (Empty *self)
{
}

/* One from scratch, as a language would write it: it remembers a handler, and forgets that, or why, it has failed. */
typedef struct
{
  GObject parent;
  EvpChildHandler *handler;
  gboolean fail;
} Scratch;
typedef GObjectClass ScratchClass;

static gboolean
scratch_add_handler (EvpAbstractChildWatcher *watcher,
                     GPid                     pid,
                     EvpChildHandler         *handler,
                     GError                 **error)
{
  Scratch *self = (Scratch *) watcher;

  g_set_object (&self->handler, handler);
  return !self->fail;
}

static void
scratch_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->add_handler = scratch_add_handler;
}

static GType scratch_get_type (void);

G_DEFINE_TYPE_WITH_CODE (Scratch, scratch, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, scratch_iface_init))

static void
scratch_class_init (ScratchClass *klass)
{
}

static void
scratch_init (Scratch *self)
{
}

/* A class that derives from the base alone. */
typedef EvpBaseChildWatcher Derived;
typedef EvpBaseChildWatcherClass DerivedClass;

static GType derived_get_type (void);

G_DEFINE_TYPE (Derived, derived, EVP_TYPE_BASE_CHILD_WATCHER)

static void
derived_class_init (DerivedClass *klass)
{
}

static void
derived_init (Derived *self)
{
}

/* Rules: W-1, W-5, W-9 */
static void
test_empty (void)
{
  g_autoptr (EvpAbstractChildWatcher) watcher = g_object_new (empty_get_type (), NULL);
  g_autoptr (GError) error = NULL;
  Child child = { .pid = 1 };

  g_assert_false (evp_child_watcher_add_child_handler (watcher, 1, child_cb, &child, child_destroy_cb, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "Empty"));
  g_clear_error (&error);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  g_assert_false (evp_child_watcher_attach_loop (watcher, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_false (evp_child_watcher_remove_child_handler (watcher, 1));
  g_assert_false (evp_child_watcher_remove_handler (watcher, 1));
  g_assert_false (evp_child_watcher_is_active (watcher));
  evp_child_watcher_enter (watcher);
  evp_child_watcher_exit (watcher);
  evp_child_watcher_close (watcher);
}

/* Rules: W-2, W-60 */
static void
test_scratch (void)
{
  Scratch *self = g_object_new (scratch_get_type (), NULL);
  EvpAbstractChildWatcher *watcher = EVP_CHILD_WATCHER (self);
  g_autoptr (GError) error = NULL;
  Child child = { .pid = 4711 };

  test_add (watcher, &child);
  evp_child_handler_invoke (self->handler, 4711, 5);
  g_assert_cmpint (child.returncode, ==, 5);
  g_assert_cmpint (child.n_destroyed, ==, 1);

  /* nothing without an error */
  self->fail = TRUE;
  g_assert_false (evp_child_watcher_add_child_handler (watcher, 4711, child_cb, &child, child_destroy_cb, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FAILED);
  g_assert_cmpint (child.n_destroyed, ==, 2);
  /* what has failed is over, though the class has kept the handler */
  evp_child_handler_invoke (self->handler, 4711, 6);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_clear_object (&self->handler);
  g_object_unref (self);
}

/* Rules: W-1, W-5, W-8 */
static void
test_base (void)
{
  g_autoptr (EvpAbstractChildWatcher) watcher = g_object_new (derived_get_type (), NULL);
  g_autoptr (GError) error = NULL;
  Child child = { .pid = 1 };

  g_assert_true (evp_child_watcher_is_active (watcher));
  g_assert_false (evp_child_watcher_add_child_handler (watcher, 1, child_cb, &child, child_destroy_cb, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_false (evp_child_watcher_remove_child_handler (watcher, 1));
  g_assert_cmpuint (evp_base_child_watcher_get_n_handlers (EVP_BASE_CHILD_WATCHER (watcher)), ==, 0);
  evp_child_watcher_close (watcher);
  evp_child_watcher_close (watcher);
  g_assert_false (evp_child_watcher_is_active (watcher));
}

/* Rules: W-58, W-67 */
static void
test_default (void)
{
  g_autoptr (EvpAbstractChildWatcher) watcher = evp_child_watcher_new_default ();

  if (evp_os_pidfd_supported (NULL))
    g_assert_true (EVP_IS_PIDFD_CHILD_WATCHER (watcher));
  else
    g_assert_true (EVP_IS_THREADED_CHILD_WATCHER (watcher));
  g_assert_true (evp_child_watcher_is_active (watcher));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/watcher/abstract-child-watcher/empty", test_empty);
  g_test_add_func ("/evp/watcher/abstract-child-watcher/scratch", test_scratch);
  g_test_add_func ("/evp/watcher/base-child-watcher/derived", test_base);
  g_test_add_func ("/evp/watcher/abstract-child-watcher/default", test_default);

  return g_test_run ();
}
