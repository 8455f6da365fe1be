/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-abstract-event-loop.h"

/* Who is told about failures. The handler is kept with the object, so that it works for loops of any class. */

typedef struct
{
  EvpExceptionHandler handler;
  gpointer user_data;
  GDestroyNotify destroy;
  gint ref_count;
} ExceptionHandler;

static void
exception_handler_unref (gpointer data)
{
  ExceptionHandler *self = data;

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  if (self->destroy != NULL)
    self->destroy (self->user_data);
  g_free (self);
}

static gpointer
exception_handler_dup (gpointer data,
                       gpointer user_data)
{
  if (data != NULL)
    g_atomic_int_inc (&((ExceptionHandler *) data)->ref_count);
  return data;
}

static GQuark
exception_handler_quark (void)
{
  return g_quark_from_static_string ("evp-exception-handler");
}

/**
 * evp_event_loop_set_exception_handler:
 * @self: a loop
 * @handler: (nullable) (scope notified) (closure user_data) (destroy destroy): the handler, or `NULL` for the default
 * @user_data: data for @handler
 * @destroy: (nullable): releases @user_data
 *
 * Sets who is told about failures that nobody else can be told about: callbacks that raised an
 * exception, futures whose error nobody asked for.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_set_exception_handler (EvpAbstractEventLoop *self,
                                      EvpExceptionHandler   handler,
                                      gpointer              user_data,
                                      GDestroyNotify        destroy)
{
  ExceptionHandler *record = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));

  if (handler != NULL)
    {
      record = g_new0 (ExceptionHandler, 1);
      record->ref_count = 1;
      record->handler = handler;
      record->user_data = user_data;
      record->destroy = destroy;
    }
  g_object_set_qdata_full (G_OBJECT (self), exception_handler_quark (), record, exception_handler_unref);
}

/**
 * evp_event_loop_call_exception_handler:
 * @self: a loop
 * @context: what is known about the failure
 *
 * Tells the exception handler about a failure; without one, the loop's
 * [method@Evp.AbstractEventLoop.default_exception_handler].
 *
 * It may be called on a closed loop. May be called from any thread; the handler then runs there. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_call_exception_handler (EvpAbstractEventLoop *self,
                                       EvpExceptionContext  *context)
{
  ExceptionHandler *record;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (context != NULL);

  record = g_object_dup_qdata (G_OBJECT (self), exception_handler_quark (), exception_handler_dup, NULL);
  if (record == NULL)
    {
      evp_event_loop_default_exception_handler (self, context);
      return;
    }
  record->handler (self, context, record->user_data);
  exception_handler_unref (record);
}

/**
 * evp_event_loop_default_exception_handler:
 * @self: a loop
 * @context: what is known about the failure
 *
 * Does what a loop does with a failure when no handler is set: logs it.
 *
 * A class may override it. May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_default_exception_handler (EvpAbstractEventLoop *self,
                                          EvpExceptionContext  *context)
{
  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (context != NULL);

  EVP_EVENT_LOOP_GET_IFACE (self)->default_exception_handler (self, context);
}
