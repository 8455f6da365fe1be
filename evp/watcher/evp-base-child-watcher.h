/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/watcher/evp-abstract-child-watcher.h"

G_BEGIN_DECLS

#define EVP_TYPE_BASE_CHILD_WATCHER (evp_base_child_watcher_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpBaseChildWatcher, evp_base_child_watcher, EVP, BASE_CHILD_WATCHER, GObject)

/**
 * EvpBaseChildWatcherClass:
 * @parent_class: the parent class
 *
 * What the library's watchers share. The slots are those of [iface@Evp.AbstractChildWatcher].
 *
 * Since: 1.0
 */
struct _EvpBaseChildWatcherClass
{
  GObjectClass parent_class;

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
guint evp_base_child_watcher_get_n_handlers (EvpBaseChildWatcher *self);

G_END_DECLS
