/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/watcher/evp-child-handler.h"

G_BEGIN_DECLS

#define EVP_TYPE_CHILD_WATCHER (evp_child_watcher_get_type ())

EVP_AVAILABLE_IN_1_0
GType evp_child_watcher_get_type (void);

#define EVP_CHILD_WATCHER(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), EVP_TYPE_CHILD_WATCHER, EvpAbstractChildWatcher))
#define EVP_IS_CHILD_WATCHER(object) \
  (G_TYPE_CHECK_INSTANCE_TYPE ((object), EVP_TYPE_CHILD_WATCHER))
#define EVP_CHILD_WATCHER_GET_IFACE(object) \
  (G_TYPE_INSTANCE_GET_INTERFACE ((object), EVP_TYPE_CHILD_WATCHER, EvpAbstractChildWatcherInterface))

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpAbstractChildWatcher, g_object_unref)

typedef struct _EvpAbstractChildWatcherInterface EvpAbstractChildWatcherInterface;

/**
 * EvpAbstractChildWatcherInterface:
 * @parent_iface: the parent interface
 * @add_handler: watches a child
 * @remove_handler: forgets a child
 * @attach_loop: moves the watcher to a loop
 * @is_active: whether an exit would be noticed
 * @close: frees what the watcher holds
 * @enter: begins the bracket round spawning and registering
 * @exit: ends it
 *
 * The slots of a child watcher.
 *
 * They are called on the thread that calls the method over them, which may be any.
 *
 * Since: 1.0
 */
struct _EvpAbstractChildWatcherInterface
{
  GTypeInterface parent_iface;

  /*< public >*/
  gboolean (*add_handler)    (EvpAbstractChildWatcher *self,
                              GPid                     pid,
                              EvpChildHandler         *handler,
                              GError                 **error);
  gboolean (*remove_handler) (EvpAbstractChildWatcher *self,
                              GPid                     pid);
  gboolean (*attach_loop)    (EvpAbstractChildWatcher *self,
                              EvpAbstractEventLoop    *loop,
                              GError                 **error);
  gboolean (*is_active)      (EvpAbstractChildWatcher *self);
  void     (*close)          (EvpAbstractChildWatcher *self);
  void     (*enter)          (EvpAbstractChildWatcher *self);
  void     (*exit)           (EvpAbstractChildWatcher *self);

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
EvpAbstractChildWatcher *evp_child_watcher_new_default          (void) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gboolean                 evp_child_watcher_add_handler          (EvpAbstractChildWatcher *self,
                                                                 GPid                     pid,
                                                                 EvpChildHandler         *handler,
                                                                 GError                 **error);
EVP_AVAILABLE_IN_1_0
gboolean                 evp_child_watcher_remove_handler       (EvpAbstractChildWatcher *self,
                                                                 GPid                     pid);
EVP_AVAILABLE_IN_1_0
gboolean                 evp_child_watcher_add_child_handler    (EvpAbstractChildWatcher *self,
                                                                 GPid                     pid,
                                                                 EvpChildCallback         callback,
                                                                 gpointer                 user_data,
                                                                 GDestroyNotify           destroy,
                                                                 GError                 **error);
EVP_AVAILABLE_IN_1_0
gboolean                 evp_child_watcher_remove_child_handler (EvpAbstractChildWatcher *self,
                                                                 GPid                     pid);
EVP_AVAILABLE_IN_1_0
gboolean                 evp_child_watcher_attach_loop          (EvpAbstractChildWatcher *self,
                                                                 EvpAbstractEventLoop    *loop,
                                                                 GError                 **error);
EVP_AVAILABLE_IN_1_0
gboolean                 evp_child_watcher_is_active            (EvpAbstractChildWatcher *self);
EVP_AVAILABLE_IN_1_0
void                     evp_child_watcher_close                (EvpAbstractChildWatcher *self);
EVP_AVAILABLE_IN_1_0
void                     evp_child_watcher_enter                (EvpAbstractChildWatcher *self);
EVP_AVAILABLE_IN_1_0
void                     evp_child_watcher_exit                 (EvpAbstractChildWatcher *self);

G_END_DECLS
