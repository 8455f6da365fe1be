/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/watcher/evp-abstract-child-watcher.h"

G_BEGIN_DECLS

/**
 * EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME:
 *
 * The GIO extension point at which types of policies are registered.
 *
 * Since: 1.0
 */
#define EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME "evp-event-loop-policy"

#define EVP_TYPE_EVENT_LOOP_POLICY (evp_event_loop_policy_get_type ())

EVP_AVAILABLE_IN_1_0
GType evp_event_loop_policy_get_type (void);

#define EVP_EVENT_LOOP_POLICY(object) \
  (G_TYPE_CHECK_INSTANCE_CAST ((object), EVP_TYPE_EVENT_LOOP_POLICY, EvpAbstractEventLoopPolicy))
#define EVP_IS_EVENT_LOOP_POLICY(object) \
  (G_TYPE_CHECK_INSTANCE_TYPE ((object), EVP_TYPE_EVENT_LOOP_POLICY))
#define EVP_EVENT_LOOP_POLICY_GET_IFACE(object) \
  (G_TYPE_INSTANCE_GET_INTERFACE ((object), EVP_TYPE_EVENT_LOOP_POLICY, EvpAbstractEventLoopPolicyInterface))

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpAbstractEventLoopPolicy, g_object_unref)

typedef struct _EvpAbstractEventLoopPolicyInterface EvpAbstractEventLoopPolicyInterface;

/**
 * EvpAbstractEventLoopPolicyInterface:
 * @parent_iface: the parent interface
 * @get_event_loop: finds the loop of the calling context
 * @set_event_loop: sets it
 * @new_event_loop: makes a loop
 * @get_child_watcher: finds the child watcher
 * @set_child_watcher: sets it
 *
 * The slots of a policy. Each has a default that fails with %EVP_ERROR_NOT_SUPPORTED.
 *
 * They are called on the thread that calls the method over them, which may be any.
 *
 * Since: 1.0
 */
struct _EvpAbstractEventLoopPolicyInterface
{
  GTypeInterface parent_iface;

  /*< public >*/
  EvpAbstractEventLoop    *(*get_event_loop)    (EvpAbstractEventLoopPolicy *self,
                                                 GError                    **error);
  gboolean                 (*set_event_loop)    (EvpAbstractEventLoopPolicy *self,
                                                 EvpAbstractEventLoop       *loop,
                                                 GError                    **error);
  EvpAbstractEventLoop    *(*new_event_loop)    (EvpAbstractEventLoopPolicy *self,
                                                 GError                    **error);
  EvpAbstractChildWatcher *(*get_child_watcher) (EvpAbstractEventLoopPolicy *self,
                                                 GError                    **error);
  gboolean                 (*set_child_watcher) (EvpAbstractEventLoopPolicy *self,
                                                 EvpAbstractChildWatcher    *watcher,
                                                 GError                    **error);

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop    *evp_event_loop_policy_get_event_loop    (EvpAbstractEventLoopPolicy *self,
                                                                  GError                    **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gboolean                 evp_event_loop_policy_set_event_loop    (EvpAbstractEventLoopPolicy *self,
                                                                  EvpAbstractEventLoop       *loop,
                                                                  GError                    **error);
EVP_AVAILABLE_IN_1_0
EvpAbstractEventLoop    *evp_event_loop_policy_new_event_loop    (EvpAbstractEventLoopPolicy *self,
                                                                  GError                    **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpAbstractChildWatcher *evp_event_loop_policy_get_child_watcher (EvpAbstractEventLoopPolicy *self,
                                                                  GError                    **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gboolean                 evp_event_loop_policy_set_child_watcher (EvpAbstractEventLoopPolicy *self,
                                                                  EvpAbstractChildWatcher    *watcher,
                                                                  GError                    **error);

G_END_DECLS
