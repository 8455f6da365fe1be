/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-operation-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-base-event-loop-private.h"

#include <errno.h>

static void
deliver (EvpOperation *operation)
{
  operation->state = EVP_OPERATION_IDLE;
  operation->func (operation, operation->user_data);
}

static void
deliver_cb (gpointer user_data)
{
  EvpOperation *operation = user_data;

  operation->n_delivered++;
  deliver (operation);
}

/*
 * After the function was called, or when a loop that closes drops what is queued. The function may have
 * submitted the operation again, and it may have completed again; or even been delivered, in a nested loop.
 */
static void
release_cb (gpointer user_data)
{
  EvpOperation *operation = user_data;

  if (operation->n_delivered > 0)
    operation->n_delivered--;
  else if (operation->state == EVP_OPERATION_COMPLETED)
    deliver (operation);
  evp_operation_unref (operation);
}

static void
complete_cb (EvpOperation *operation)
{
  EvpLoopCore *core = evp_loop_peek_core (operation->loop);

  if (core != NULL && !core->closed
      && __atomic_load_n (&core->pool.owner, __ATOMIC_RELAXED) == evp_handle_thread_token ())
    {
      evp_loop_core_call_soon (core, deliver_cb, operation, release_cb);
      return;
    }
  /* outside a turn, from another thread, or a loop written elsewhere; one that is closed lets go of it at once */
  evp_event_loop_call_soon_threadsafe (operation->loop, deliver_cb, operation, release_cb, NULL);
}

void
evp_loop_deliver_operation (EvpOperation *operation,
                            gssize        result)
{
  operation->result = result;
  deliver (operation);
  evp_operation_unref (operation);
}

gboolean
evp_loop_submit_operation (EvpAbstractEventLoop *loop,
                           EvpOperation         *operation,
                           GError              **error)
{
  EvpAbstractEventLoopInterface *iface;
  GError *slot_error = NULL;
  gboolean ok;

  g_return_val_if_fail (operation->state == EVP_OPERATION_IDLE, FALSE);

  if (operation->loop != loop || operation->slots == NULL)
    operation->slots = EVP_EVENT_LOOP_GET_IFACE (loop);
  operation->loop = loop;
  operation->complete_func = complete_cb;
  operation->state = EVP_OPERATION_SUBMITTED;
  operation->flags &= (guint8) ~EVP_OPERATION_CANCELLING;
  operation->transferred = 0;
  g_atomic_int_inc (&operation->ref_count); /* given back by release_cb() */

  /* by readiness it is made when there is something to put into it */
  iface = operation->slots;
  if ((operation->flags & EVP_OPERATION_ALLOCATE) != 0 && iface->submit_operation != evp_loop_readiness_submit)
    {
      operation->buffer = g_try_malloc (operation->length);
      if (operation->buffer == NULL && operation->length > 0)
        {
          evp_operation_fail (operation, ENOMEM);
          return TRUE;
        }
    }
  ok = iface->submit_operation (loop, operation, &slot_error);
  if (G_LIKELY (ok && slot_error == NULL)
      || evp_check_slot_result (ok, slot_error, loop, "submit_operation", error))
    return TRUE;
  if ((operation->flags & EVP_OPERATION_ALLOCATE) != 0)
    g_clear_pointer (&operation->buffer, g_free);
  operation->state = EVP_OPERATION_IDLE;
  evp_operation_unref (operation);
  return FALSE;
}

void
evp_loop_cancel_operation (EvpAbstractEventLoop *loop,
                           EvpOperation         *operation)
{
  if (operation->state != EVP_OPERATION_SUBMITTED || (operation->flags & EVP_OPERATION_CANCELLING) != 0)
    return;
  operation->flags |= EVP_OPERATION_CANCELLING;
  ((EvpAbstractEventLoopInterface *) operation->slots)->cancel_operation (loop, operation);
}

void
evp_loop_retire_operation (EvpOperation *operation)
{
  g_return_if_fail (operation->state != EVP_OPERATION_SUBMITTED);

  if (operation->engine_free != NULL)
    operation->engine_free (operation);
  operation->engine_free = NULL;
  operation->engine_data = NULL;
  operation->engine_count = 0;
  operation->slots = NULL;
  operation->flags &= (guint8) ~EVP_OPERATION_DRAINED;
}

gboolean
evp_loop_check_operation (EvpAbstractEventLoop *loop,
                          EvpOperation         *operation,
                          const char           *what,
                          GError              **error)
{
  if (operation->result == -ECANCELED && evp_event_loop_is_closed (loop))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return FALSE;
    }
  return evp_operation_check_result (operation, what, error);
}
