/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "support/evp-test-watcher.h"

static int n_made; /* atomic */

static gboolean
evp_test_watcher_attach_loop (EvpAbstractChildWatcher *watcher,
                              EvpAbstractEventLoop    *loop,
                              GError                 **error)
{
  EvpTestWatcher *self = EVP_TEST_WATCHER (watcher);

  g_set_object (&self->loop, loop);
  self->n_attached++;
  return TRUE;
}

static gboolean
evp_test_watcher_is_active (EvpAbstractChildWatcher *watcher)
{
  return EVP_TEST_WATCHER (watcher)->loop != NULL;
}

static void
evp_test_watcher_close (EvpAbstractChildWatcher *watcher)
{
  EVP_TEST_WATCHER (watcher)->n_closed++;
}

static void
evp_test_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->attach_loop = evp_test_watcher_attach_loop;
  iface->is_active = evp_test_watcher_is_active;
  iface->close = evp_test_watcher_close;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpTestWatcher, evp_test_watcher, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, evp_test_watcher_iface_init))

static void
evp_test_watcher_finalize (GObject *object)
{
  g_clear_object (&EVP_TEST_WATCHER (object)->loop);

  G_OBJECT_CLASS (evp_test_watcher_parent_class)->finalize (object);
}

static void
evp_test_watcher_class_init (EvpTestWatcherClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = evp_test_watcher_finalize;
}

static void
evp_test_watcher_init (EvpTestWatcher *self)
{
  g_atomic_int_inc (&n_made);
}

EvpTestWatcher *
evp_test_watcher_new (void)
{
  return g_object_new (EVP_TYPE_TEST_WATCHER, NULL);
}

guint
evp_test_watcher_n_made (void)
{
  return (guint) g_atomic_int_get (&n_made);
}
