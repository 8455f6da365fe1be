/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/evp.h"

G_BEGIN_DECLS

/* A child watcher that watches nothing, but remembers how it was treated. */
#define EVP_TYPE_TEST_WATCHER (evp_test_watcher_get_type ())

G_DECLARE_FINAL_TYPE (EvpTestWatcher, evp_test_watcher, EVP, TEST_WATCHER, GObject)

struct _EvpTestWatcher
{
  GObject parent_instance;

  EvpAbstractEventLoop *loop; /* the loop that it is attached to */
  guint n_attached;           /* calls of attach_loop, with NULL too */
  guint n_closed;
};

EvpTestWatcher *evp_test_watcher_new    (void);
guint           evp_test_watcher_n_made (void); /* in this process, by any thread */

G_END_DECLS
