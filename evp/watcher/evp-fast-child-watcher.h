/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/watcher/evp-base-child-watcher.h"

G_BEGIN_DECLS

#define EVP_TYPE_FAST_CHILD_WATCHER (evp_fast_child_watcher_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpFastChildWatcher, evp_fast_child_watcher, EVP, FAST_CHILD_WATCHER, EvpBaseChildWatcher)

/**
 * EvpFastChildWatcherClass:
 * @parent_class: the parent class
 *
 * The class of the watcher. Its slots are those of [iface@Evp.AbstractChildWatcher].
 *
 * Since: 1.0
 */
struct _EvpFastChildWatcherClass
{
  EvpBaseChildWatcherClass parent_class;

  /*< private >*/
  gpointer padding[4];
};

EVP_AVAILABLE_IN_1_0
EvpAbstractChildWatcher *evp_fast_child_watcher_new (void) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
