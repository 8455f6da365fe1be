/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "support/evp-test-refusing-loop.h"

#include <errno.h>

static gboolean
evp_test_refusing_loop_submit_operation (EvpAbstractEventLoop *loop,
                                         EvpOperation         *operation,
                                         GError              **error)
{
  EvpTestRefusingLoop *self = EVP_TEST_REFUSING_LOOP (loop);
  EvpAbstractEventLoopInterface *parent = g_type_interface_peek_parent (EVP_EVENT_LOOP_GET_IFACE (loop));

  if (self->refuses)
    {
      self->refuses = FALSE;
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_FAILED, "not now");
      return FALSE;
    }
  if (self->fails)
    {
      self->fails = FALSE;
      evp_operation_fail (operation, EIO);
      return TRUE;
    }
  return parent->submit_operation (loop, operation, error);
}

static void
evp_test_refusing_loop_iface_init (gpointer iface,
                                   gpointer data)
{
  ((EvpAbstractEventLoopInterface *) iface)->submit_operation = evp_test_refusing_loop_submit_operation;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpTestRefusingLoop, evp_test_refusing_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                               G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, evp_test_refusing_loop_iface_init))

static void
evp_test_refusing_loop_class_init (EvpTestRefusingLoopClass *klass)
{
}

static void
evp_test_refusing_loop_init (EvpTestRefusingLoop *self)
{
}

EvpTestRefusingLoop *
evp_test_refusing_loop_new (void)
{
  return g_object_new (EVP_TYPE_TEST_REFUSING_LOOP, NULL);
}
