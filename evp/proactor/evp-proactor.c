/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/proactor/evp-proactor.h"

#include "evp/base/evp-error-private.h"
#include "evp/proactor/evp-operation-private.h"

/**
 * EvpProactor:
 *
 * Executes requests and says when they are done, where an [class@Evp.Selector] says when they could be.
 *
 * An `EvpProactorEventLoop` has one; a program uses the loop's methods and never meets it. Derive a
 * class and give an instance to a loop to change how the loop does its input and output.
 *
 * The loop calls the slots, on its own thread: `attach` once, `submit` and `cancel` any number of times,
 * `poll` whenever the proactor's descriptor is readable and before it sleeps if something was submitted,
 * `close` at the end. Every operation that `submit` accepted is completed exactly once, by
 * [method@Evp.Operation.complete] or [method@Evp.Operation.fail], also if it is cancelled and also by
 * `close`; only then may its buffer go.
 *
 * Use it from the thread of its loop.
 *
 * Since: 1.0
 */

/**
 * EvpProactorClass::attach:
 * @self: a proactor
 * @context: the main context of the loop
 *
 * Learns where it will be polled, before anything is submitted.
 *
 * Since: 1.0
 */

/**
 * EvpProactorClass::supports:
 * @self: a proactor
 * @kind: what to do
 *
 * Says whether it can do a kind of operation. The default can do none.
 *
 * Returns: whether it can
 *
 * Since: 1.0
 */

/**
 * EvpProactorClass::submit:
 * @self: a proactor
 * @operation: what to do; take a reference until it has completed
 * @error: return location for an error
 *
 * Starts an operation.
 *
 * Returns: whether it was accepted
 *
 * Since: 1.0
 */

/**
 * EvpProactorClass::cancel:
 * @self: a proactor
 * @operation: a pending operation
 *
 * Asks for the end of an operation, which completes all the same.
 *
 * Since: 1.0
 */

/**
 * EvpProactorClass::poll:
 * @self: a proactor
 *
 * Hands over what was submitted, and completes what is done. Does not block.
 *
 * Returns: how many operations completed
 *
 * Since: 1.0
 */

/**
 * EvpProactorClass::get_fd:
 * @self: a proactor
 *
 * Gives a descriptor that is readable when `poll` has something to collect.
 *
 * Returns: the descriptor, or -1 if sources of the main context do it
 *
 * Since: 1.0
 */

/**
 * EvpProactorClass::close:
 * @self: a proactor
 *
 * Cancels what is pending, waits until all of it has completed, and frees what the proactor holds.
 *
 * Since: 1.0
 */

G_DEFINE_ABSTRACT_TYPE (EvpProactor, evp_proactor, G_TYPE_OBJECT)

static void
evp_proactor_real_attach (EvpProactor  *self,
                          GMainContext *context)
{
}

static gboolean
evp_proactor_real_supports (EvpProactor     *self,
                            EvpOperationKind kind)
{
  return FALSE;
}

static gboolean
evp_proactor_real_submit (EvpProactor  *self,
                          EvpOperation *operation,
                          GError      **error)
{
  evp_set_error_unimplemented (error, self, "submit");
  return FALSE;
}

static void
evp_proactor_real_cancel (EvpProactor  *self,
                          EvpOperation *operation)
{
}

static guint
evp_proactor_real_poll (EvpProactor *self)
{
  return 0;
}

static int
evp_proactor_real_get_fd (EvpProactor *self)
{
  return -1;
}

static void
evp_proactor_real_close (EvpProactor *self)
{
}

static void
evp_proactor_class_init (EvpProactorClass *klass)
{
  klass->attach = evp_proactor_real_attach;
  klass->supports = evp_proactor_real_supports;
  klass->submit = evp_proactor_real_submit;
  klass->cancel = evp_proactor_real_cancel;
  klass->poll = evp_proactor_real_poll;
  klass->get_fd = evp_proactor_real_get_fd;
  klass->close = evp_proactor_real_close;
}

static void
evp_proactor_init (EvpProactor *self)
{
}

/**
 * evp_proactor_attach:
 * @self: a proactor
 * @context: the main context of the loop
 *
 * Tells the proactor where it will be polled. The loop does it.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_proactor_attach (EvpProactor  *self,
                     GMainContext *context)
{
  g_return_if_fail (EVP_IS_PROACTOR (self));
  g_return_if_fail (context != NULL);

  EVP_PROACTOR_GET_CLASS (self)->attach (self, context);
}

/**
 * evp_proactor_supports:
 * @self: a proactor
 * @kind: what to do
 *
 * Says whether the proactor can do a kind of operation.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: whether it can
 *
 * Since: 1.0
 */
gboolean
evp_proactor_supports (EvpProactor     *self,
                       EvpOperationKind kind)
{
  g_return_val_if_fail (EVP_IS_PROACTOR (self), FALSE);

  return EVP_PROACTOR_GET_CLASS (self)->supports (self, kind);
}

/**
 * evp_proactor_submit:
 * @self: a proactor
 * @operation: what to do; not pending
 * @error: return location for an error
 *
 * Starts an operation, which the kernel learns of with the next [method@Evp.Proactor.poll] at the latest.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %EVP_ERROR_NOT_SUPPORTED if the proactor cannot do it; %G_IO_ERROR if the system refused.
 *
 * Returns: whether it was accepted: then it completes, whatever happens
 *
 * Since: 1.0
 */
gboolean
evp_proactor_submit (EvpProactor  *self,
                     EvpOperation *operation,
                     GError      **error)
{
  GError *slot_error = NULL;
  gboolean ok;

  g_return_val_if_fail (EVP_IS_PROACTOR (self), FALSE);
  g_return_val_if_fail (operation != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  ok = EVP_PROACTOR_GET_CLASS (self)->submit (self, operation, &slot_error);
  return evp_check_slot_result (ok, slot_error, self, "submit", error);
}

/**
 * evp_proactor_cancel:
 * @self: a proactor
 * @operation: a pending operation
 *
 * Asks for the end of an operation. It completes all the same: as cancelled, or with its result if
 * that came first.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_proactor_cancel (EvpProactor  *self,
                     EvpOperation *operation)
{
  g_return_if_fail (EVP_IS_PROACTOR (self));
  g_return_if_fail (operation != NULL);

  EVP_PROACTOR_GET_CLASS (self)->cancel (self, operation);
}

/**
 * evp_proactor_poll:
 * @self: a proactor
 *
 * Hands over to the kernel what was submitted, and completes the operations that are done. Never blocks.
 *
 * Use it from the thread of the loop. O(completed).
 *
 * Returns: how many operations completed
 *
 * Since: 1.0
 */
guint
evp_proactor_poll (EvpProactor *self)
{
  g_return_val_if_fail (EVP_IS_PROACTOR (self), 0);

  return EVP_PROACTOR_GET_CLASS (self)->poll (self);
}

/**
 * evp_proactor_get_fd:
 * @self: a proactor
 *
 * Gives a descriptor that becomes readable when [method@Evp.Proactor.poll] has something to collect.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: the descriptor; -1 if there is none, or none yet
 *
 * Since: 1.0
 */
int
evp_proactor_get_fd (EvpProactor *self)
{
  g_return_val_if_fail (EVP_IS_PROACTOR (self), -1);

  return EVP_PROACTOR_GET_CLASS (self)->get_fd (self);
}

/**
 * evp_proactor_close:
 * @self: a proactor
 *
 * Cancels what is pending and waits until the kernel has let go of all of it. Every pending
 * operation completes. Closing twice is harmless.
 *
 * Use it from the thread of the loop. O(n) in the operations pending.
 *
 * Since: 1.0
 */
void
evp_proactor_close (EvpProactor *self)
{
  g_return_if_fail (EVP_IS_PROACTOR (self));

  EVP_PROACTOR_GET_CLASS (self)->close (self);
}
