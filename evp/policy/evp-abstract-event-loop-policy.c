/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-abstract-event-loop-policy-private.h"

#include "evp/base/evp-error-private.h"

/**
 * EvpAbstractEventLoopPolicy:
 *
 * Decides which event loop and which child watcher belong to the place that asks.
 *
 * One policy serves the whole process, see [func@Evp.get_event_loop_policy] and
 * [func@Evp.set_event_loop_policy]. It answers three questions: which loop is the current one
 * here, how is a new loop made, and who notices that a child process has ended. What "here" means
 * is the policy's own business: the thread for [class@Evp.DefaultEventLoopPolicy], the thread-default
 * main context for [class@Evp.MainContextEventLoopPolicy].
 *
 * To change one answer, derive from [class@Evp.DefaultEventLoopPolicy] and chain up; its page shows
 * how in each language. To answer everything yourself, implement this interface from scratch. A slot
 * that is left out fails with %EVP_ERROR_NOT_SUPPORTED; a policy without child watchers is legal, only
 * children cannot be started under it.
 *
 * ```python
 * class Scratch(GObject.Object, Evp.AbstractEventLoopPolicy):
 *     def do_get_event_loop(self):
 *         return self.loop
 * ```
 * ```c
 * static void
 * scratch_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
 * {
 *   iface->get_event_loop = scratch_get_event_loop;
 * }
 *
 * G_DEFINE_TYPE_WITH_CODE (Scratch, scratch, G_TYPE_OBJECT,
 *                          G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, scratch_iface_init))
 * ```
 *
 * Composition needs no chaining up: a policy from scratch may keep an
 * [class@Evp.DefaultEventLoopPolicy] and call its methods.
 *
 * Types of policies can be registered at the GIO extension point
 * [const@Evp.EVENT_LOOP_POLICY_EXTENSION_POINT_NAME] and are then selected with the environment
 * variable `EVP_POLICY`.
 *
 * A policy may be asked from any thread.
 *
 * Known from asyncio as `AbstractEventLoopPolicy`.
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopPolicyInterface::get_event_loop:
 * @self: the policy
 * @error: return location for an error
 *
 * Finds the current loop of the place that asks.
 *
 * Called on the thread that asks. Chain up, or return a new reference.
 *
 * Returns: (transfer full): the loop; never `NULL` without an error
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopPolicyInterface::set_event_loop:
 * @self: the policy
 * @loop: (transfer none) (nullable): the loop, or `NULL` to clear it
 * @error: return location for an error
 *
 * Makes a loop the current one of the place that asks.
 *
 * Chain up, or `get_event_loop` goes on failing and no child watcher is attached.
 *
 * Returns: `TRUE` if the loop was set; `FALSE` with an error
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopPolicyInterface::new_event_loop:
 * @self: the policy
 * @error: return location for an error
 *
 * Makes a loop, without making it the current one.
 *
 * Also called when a missing loop is made on behalf of the main thread.
 *
 * Returns: (transfer full): a loop that nobody else has; never `NULL` without an error
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopPolicyInterface::get_child_watcher:
 * @self: the policy
 * @error: return location for an error
 *
 * Finds the child watcher, the same for all threads.
 *
 * Returns: (transfer full): the watcher; never `NULL` without an error
 *
 * Since: 1.0
 */

/**
 * EvpAbstractEventLoopPolicyInterface::set_child_watcher:
 * @self: the policy
 * @watcher: (transfer none) (nullable): the watcher, or `NULL` for a new default one
 * @error: return location for an error
 *
 * Replaces the child watcher, and closes the previous one.
 *
 * Returns: `TRUE` if the watcher was set; `FALSE` with an error
 *
 * Since: 1.0
 */

typedef EvpAbstractEventLoopPolicyInterface EvpEventLoopPolicyInterface;

/* Types can be registered as soon as the first policy type exists. */
#define REGISTER_EXTENSION_POINT \
  g_io_extension_point_set_required_type ( \
      g_io_extension_point_register (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME), g_define_type_id);

G_DEFINE_INTERFACE_WITH_CODE (EvpAbstractEventLoopPolicy, evp_event_loop_policy, G_TYPE_OBJECT,
                              REGISTER_EXTENSION_POINT)

void
evp_event_loop_policy_check_table (GType                                      type,
                                   const EvpAbstractEventLoopPolicyInterface *filled_in)
{
  const EvpAbstractEventLoopPolicyInterface *iface =
      g_type_interface_peek (g_type_class_peek (type), EVP_TYPE_EVENT_LOOP_POLICY);

  if (G_UNLIKELY (iface->get_event_loop != filled_in->get_event_loop
                  || iface->set_event_loop != filled_in->set_event_loop
                  || iface->new_event_loop != filled_in->new_event_loop
                  || iface->get_child_watcher != filled_in->get_child_watcher
                  || iface->set_child_watcher != filled_in->set_child_watcher))
    g_critical ("A subclass wrote into %s and changed every policy of that class: "
                "list Evp.AbstractEventLoopPolicy among the bases of the subclass",
                g_type_name (type));
}

static EvpAbstractEventLoop *
evp_event_loop_policy_default_get_event_loop (EvpAbstractEventLoopPolicy *self,
                                              GError                    **error)
{
  evp_set_error_unimplemented (error, self, "get_event_loop");
  return NULL;
}

static gboolean
evp_event_loop_policy_default_set_event_loop (EvpAbstractEventLoopPolicy *self,
                                              EvpAbstractEventLoop       *loop,
                                              GError                    **error)
{
  evp_set_error_unimplemented (error, self, "set_event_loop");
  return FALSE;
}

static EvpAbstractEventLoop *
evp_event_loop_policy_default_new_event_loop (EvpAbstractEventLoopPolicy *self,
                                              GError                    **error)
{
  evp_set_error_unimplemented (error, self, "new_event_loop");
  return NULL;
}

static EvpAbstractChildWatcher *
evp_event_loop_policy_default_get_child_watcher (EvpAbstractEventLoopPolicy *self,
                                                 GError                    **error)
{
  evp_set_error_unimplemented (error, self, "get_child_watcher");
  return NULL;
}

static gboolean
evp_event_loop_policy_default_set_child_watcher (EvpAbstractEventLoopPolicy *self,
                                                 EvpAbstractChildWatcher    *watcher,
                                                 GError                    **error)
{
  evp_set_error_unimplemented (error, self, "set_child_watcher");
  return FALSE;
}

static void
evp_event_loop_policy_default_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->get_event_loop = evp_event_loop_policy_default_get_event_loop;
  iface->set_event_loop = evp_event_loop_policy_default_set_event_loop;
  iface->new_event_loop = evp_event_loop_policy_default_new_event_loop;
  iface->get_child_watcher = evp_event_loop_policy_default_get_child_watcher;
  iface->set_child_watcher = evp_event_loop_policy_default_set_child_watcher;
}

/**
 * evp_event_loop_policy_get_event_loop:
 * @self: the policy
 * @error: return location for an error, or `NULL`
 *
 * Finds the current loop of the place that asks, and may make one.
 *
 * This asks the policy only. [func@Evp.get_event_loop] prefers the loop that is running, and is
 * what programs usually want. A loop that is missing is made or not as
 * [property@Evp.BaseEventLoopPolicy:missing-loop] says.
 *
 * May be called from any thread. O(1).
 *
 * Fails with %EVP_ERROR_NO_EVENT_LOOP if there is none, %EVP_ERROR_NOT_SUPPORTED if the policy does
 * not offer this, %EVP_ERROR_FAILED if its implementation returned nothing, and whatever making a
 * loop fails with.
 *
 * Returns: (transfer full): the loop
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_event_loop_policy_get_event_loop (EvpAbstractEventLoopPolicy *self,
                                      GError                    **error)
{
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  GError *slot_error = NULL;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP_POLICY (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  loop = EVP_EVENT_LOOP_POLICY_GET_IFACE (self)->get_event_loop (self, &slot_error);
  if (!evp_check_slot_result (loop != NULL, slot_error, self, "get_event_loop", error))
    return NULL;
  return g_steal_pointer (&loop);
}

/**
 * evp_event_loop_policy_set_event_loop:
 * @self: the policy
 * @loop: (transfer none) (nullable): the loop, or `NULL` to clear it
 * @error: return location for an error, or `NULL`
 *
 * Makes a loop the current one of the place that asks.
 *
 * The policy keeps a reference. The previous loop is neither stopped nor closed. A closed loop may
 * be set, and stays the current one. After `NULL`, asking for the loop fails here until another one
 * is set. On the main thread the child watcher of the policy, if it has one already, is attached to
 * the new loop; if that fails, the loop is set all the same and the error is passed on.
 *
 * May be called from any thread. O(1).
 *
 * Fails with %EVP_ERROR_NOT_SUPPORTED if the policy does not offer this, and with what
 * [method@Evp.AbstractChildWatcher.attach_loop] fails with.
 *
 * Returns: `TRUE` if the loop was set
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_policy_set_event_loop (EvpAbstractEventLoopPolicy *self,
                                      EvpAbstractEventLoop       *loop,
                                      GError                    **error)
{
  GError *slot_error = NULL;
  gboolean succeeded;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP_POLICY (self), FALSE);
  g_return_val_if_fail (loop == NULL || EVP_IS_EVENT_LOOP (loop), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  succeeded = EVP_EVENT_LOOP_POLICY_GET_IFACE (self)->set_event_loop (self, loop, &slot_error);
  return evp_check_slot_result (succeeded, slot_error, self, "set_event_loop", error);
}

/**
 * evp_event_loop_policy_new_event_loop:
 * @self: the policy
 * @error: return location for an error, or `NULL`
 *
 * Makes a loop, without making it the current one.
 *
 * Every call makes another one. A loop that is made this way brings a main context of its own.
 *
 * May be called from any thread. O(1).
 *
 * Fails with %EVP_ERROR_NOT_SUPPORTED if the policy does not offer this, %EVP_ERROR_INVALID_ARGUMENT
 * if its loop type cannot be made, %EVP_ERROR_FAILED if its implementation returned nothing.
 *
 * Returns: (transfer full): a new loop
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_event_loop_policy_new_event_loop (EvpAbstractEventLoopPolicy *self,
                                      GError                    **error)
{
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  GError *slot_error = NULL;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP_POLICY (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  loop = EVP_EVENT_LOOP_POLICY_GET_IFACE (self)->new_event_loop (self, &slot_error);
  if (!evp_check_slot_result (loop != NULL, slot_error, self, "new_event_loop", error))
    return NULL;
  return g_steal_pointer (&loop);
}

/**
 * evp_event_loop_policy_get_child_watcher:
 * @self: the policy
 * @error: return location for an error, or `NULL`
 *
 * Finds the child watcher of the policy, and makes one on first use.
 *
 * All threads get the same object.
 *
 * May be called from any thread. O(1).
 *
 * Fails with %EVP_ERROR_NOT_SUPPORTED if the policy has no child watchers, %EVP_ERROR_INVALID_ARGUMENT
 * if its watcher type cannot be made, %EVP_ERROR_FAILED if its implementation returned nothing.
 *
 * Returns: (transfer full): the watcher
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_event_loop_policy_get_child_watcher (EvpAbstractEventLoopPolicy *self,
                                         GError                    **error)
{
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;
  GError *slot_error = NULL;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP_POLICY (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  watcher = EVP_EVENT_LOOP_POLICY_GET_IFACE (self)->get_child_watcher (self, &slot_error);
  if (!evp_check_slot_result (watcher != NULL, slot_error, self, "get_child_watcher", error))
    return NULL;
  return g_steal_pointer (&watcher);
}

/**
 * evp_event_loop_policy_set_child_watcher:
 * @self: the policy
 * @watcher: (transfer none) (nullable): the watcher, or `NULL` for a new default one on next use
 * @error: return location for an error, or `NULL`
 *
 * Replaces the child watcher of the policy.
 *
 * The previous watcher is closed. The new one is not attached to any loop; see
 * [method@Evp.AbstractChildWatcher.attach_loop]. Setting the watcher that is there already does
 * nothing.
 *
 * May be called from any thread. O(1).
 *
 * Fails with %EVP_ERROR_NOT_SUPPORTED if the policy has no child watchers, or does not let them be
 * replaced.
 *
 * Returns: `TRUE` if the watcher was set
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_policy_set_child_watcher (EvpAbstractEventLoopPolicy *self,
                                         EvpAbstractChildWatcher    *watcher,
                                         GError                    **error)
{
  GError *slot_error = NULL;
  gboolean succeeded;

  g_return_val_if_fail (EVP_IS_EVENT_LOOP_POLICY (self), FALSE);
  g_return_val_if_fail (watcher == NULL || EVP_IS_CHILD_WATCHER (watcher), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  succeeded = EVP_EVENT_LOOP_POLICY_GET_IFACE (self)->set_child_watcher (self, watcher, &slot_error);
  return evp_check_slot_result (succeeded, slot_error, self, "set_child_watcher", error);
}
