/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/proactor/evp-operation-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

#include <errno.h>
#include <string.h>

/**
 * EvpOperation:
 *
 * One request to the kernel that completes later: to receive, to send, to read a file.
 *
 * Programs never make one: they call `sock_recv_async()` and its like. It is
 * what a loop or an [class@Evp.Proactor] written elsewhere receives. Such a class does what
 * [method@Evp.Operation.get_kind] says and then calls [method@Evp.Operation.complete] or
 * [method@Evp.Operation.fail], exactly once; until then it holds a reference.
 *
 * An operation that receives has room for [method@Evp.Operation.get_length] bytes; put them there with
 * [method@Evp.Operation.store_data] before completing it. One that sends gives its bytes by
 * [method@Evp.Operation.copy_data].
 *
 * Since: 1.0
 */

G_DEFINE_BOXED_TYPE (EvpOperation, evp_operation, evp_operation_ref, evp_operation_unref)

EvpOperation *
evp_operation_new (EvpOperationKind kind,
                   int              fd,
                   EvpOperationFunc func,
                   gpointer         user_data)
{
  EvpOperation *self = g_new0 (EvpOperation, 1);

  self->ref_count = 1;
  self->kind = (guint8) kind;
  self->fd = fd;
  self->offset = -1;
  self->func = func;
  self->user_data = user_data;
  return self;
}

void
evp_operation_ensure_address (EvpOperation *self)
{
  if (self->address == NULL)
    self->address = g_new (EvpSockaddr, 1);
  self->address_length = sizeof (EvpSockaddr);
}

gboolean
evp_operation_check_result (EvpOperation *self,
                            const char   *what,
                            GError      **error)
{
  if (self->result >= 0)
    return TRUE;
  if (self->result == -ECANCELED)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, _("Operation was cancelled"));
  else
    evp_set_error_from_errno (error, (int) -self->result, "%s", what);
  return FALSE;
}

/**
 * evp_operation_ref:
 * @self: an operation
 *
 * Takes a reference.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
EvpOperation *
evp_operation_ref (EvpOperation *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_int_inc (&self->ref_count);
  return self;
}

/**
 * evp_operation_unref:
 * @self: (transfer full): an operation
 *
 * Gives a reference back.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_operation_unref (EvpOperation *self)
{
  g_return_if_fail (self != NULL);

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  if (self->engine_free != NULL)
    self->engine_free (self);
  g_free (self->address);
  g_free (self);
}

/**
 * evp_operation_get_kind:
 * @self: an operation
 *
 * Says what to do.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the kind
 *
 * Since: 1.0
 */
EvpOperationKind
evp_operation_get_kind (EvpOperation *self)
{
  g_return_val_if_fail (self != NULL, EVP_OPERATION_POLL);

  return (EvpOperationKind) self->kind;
}

/**
 * evp_operation_get_fd:
 * @self: an operation
 *
 * Says on which file descriptor. It stays open until the operation has completed.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the file descriptor
 *
 * Since: 1.0
 */
int
evp_operation_get_fd (EvpOperation *self)
{
  g_return_val_if_fail (self != NULL, -1);

  return self->fd;
}

/**
 * evp_operation_get_length:
 * @self: an operation
 *
 * Says how many bytes there are to send, or how many there is room for.
 *
 * May be called from any thread. O(1).
 *
 * Returns: number of bytes
 *
 * Since: 1.0
 */
gsize
evp_operation_get_length (EvpOperation *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->length;
}

/**
 * evp_operation_get_offset:
 * @self: an operation
 *
 * Says where in a file to read or write. What has no places, such as a pipe, is not read or written at one; the
 * operation fails with `ESPIPE` instead.
 *
 * May be called from any thread. O(1).
 *
 * Returns: offset in bytes, or −1 for the file's own position
 *
 * Since: 1.0
 */
gint64
evp_operation_get_offset (EvpOperation *self)
{
  g_return_val_if_fail (self != NULL, -1);

  return self->offset;
}

/**
 * evp_operation_get_events:
 * @self: an operation
 *
 * Says what to wait for, for %EVP_OPERATION_POLL.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the events
 *
 * Since: 1.0
 */
EvpIOEvents
evp_operation_get_events (EvpOperation *self)
{
  g_return_val_if_fail (self != NULL, EVP_IO_EVENTS_NONE);

  return (EvpIOEvents) self->events;
}

/**
 * evp_operation_is_pending:
 * @self: an operation
 *
 * Says whether the operation was submitted and has not completed.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: whether it is pending
 *
 * Since: 1.0
 */
gboolean
evp_operation_is_pending (EvpOperation *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return self->state == EVP_OPERATION_SUBMITTED;
}

/**
 * evp_operation_get_address:
 * @self: an operation
 * @error: return location for an error
 *
 * Gives the address to connect or send to, or the one that was received from.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR if the address is of a kind that GIO does not know, %EVP_ERROR_NOT_FOUND if
 * the operation has none.
 *
 * Returns: (transfer full): the address
 *
 * Since: 1.0
 */
GSocketAddress *
evp_operation_get_address (EvpOperation *self,
                           GError      **error)
{
  GSocketAddress *address;

  g_return_val_if_fail (self != NULL, NULL);

  if (self->address == NULL || self->address_length == 0)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_NOT_FOUND, _("The operation has no address"));
      return NULL;
    }
  address = g_socket_address_new_from_native (self->address, self->address_length);
  if (address == NULL)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                         _("The kind of the socket address is unknown"));
  return address;
}

/**
 * evp_operation_set_address:
 * @self: an operation
 * @address: a socket address
 * @error: return location for an error
 *
 * Sets where to connect or send to, or, in a proactor, where something was received from.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR if @address has no native form.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */
gboolean
evp_operation_set_address (EvpOperation   *self,
                           GSocketAddress *address,
                           GError        **error)
{
  gssize size;

  g_return_val_if_fail (self != NULL, FALSE);
  g_return_val_if_fail (G_IS_SOCKET_ADDRESS (address), FALSE);

  evp_operation_ensure_address (self);
  size = g_socket_address_get_native_size (address);
  if (size < 0 || (gsize) size > sizeof (EvpSockaddr))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                           _("The kind of the socket address is unknown"));
      return FALSE;
    }
  if (!g_socket_address_to_native (address, self->address, sizeof (EvpSockaddr), error))
    return FALSE;
  self->address_length = (socklen_t) size;
  return TRUE;
}

/**
 * evp_operation_copy_data:
 * @self: an operation that sends or writes
 *
 * Copies the bytes that are to be sent.
 *
 * May be called from any thread while the operation is pending. O(n).
 *
 * Returns: (transfer full): the bytes
 *
 * Since: 1.0
 */
GBytes *
evp_operation_copy_data (EvpOperation *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return g_bytes_new (self->buffer, self->buffer != NULL ? self->length : 0);
}

/**
 * evp_operation_store_data:
 * @self: an operation that receives or reads
 * @data: what was received
 *
 * Puts bytes where the operation wants them. What there is no room for is dropped.
 *
 * May be called from any thread while the operation is pending. O(n).
 *
 * Returns: how many bytes there was room for: the result to complete the operation with
 *
 * Since: 1.0
 */
gsize
evp_operation_store_data (EvpOperation *self,
                          GBytes       *data)
{
  gconstpointer bytes;
  gsize size;

  g_return_val_if_fail (self != NULL, 0);
  g_return_val_if_fail (data != NULL, 0);
  g_return_val_if_fail (evp_operation_get_direction (self) == EVP_IO_EVENTS_READ, 0);

  bytes = g_bytes_get_data (data, &size);
  size = MIN (size, self->length);
  if (size > 0 && self->buffer != NULL)
    memcpy (self->buffer, bytes, size);
  return size;
}

/* Whether the result is a number of bytes out of or into the operation's. */
static gboolean
has_bytes (EvpOperation *self)
{
  switch (self->kind)
    {
    case EVP_OPERATION_RECV:
    case EVP_OPERATION_RECV_FROM:
      return (self->msg_flags & MSG_TRUNC) == 0; /* else it tells the length of the message */
    case EVP_OPERATION_SEND:
    case EVP_OPERATION_SEND_TO:
    case EVP_OPERATION_READ:
    case EVP_OPERATION_WRITE:
      return TRUE;
    default:
      return FALSE;
    }
}

/**
 * evp_operation_complete:
 * @self: a pending operation
 * @result: number of bytes, a file descriptor, events, or 0; not negative
 *
 * Completes an operation: whoever waits for it is told through the loop, never inside this call.
 *
 * A number of bytes is not greater than [method@Evp.Operation.get_length]; if it is, that is a programming error, and the
 * operation fails.
 *
 * Call it once, from the thread of the loop or, in a proactor with threads, from any. O(1).
 *
 * Since: 1.0
 */
void
evp_operation_complete (EvpOperation *self,
                        gssize        result)
{
  g_return_if_fail (self != NULL);
  g_return_if_fail (self->state == EVP_OPERATION_SUBMITTED);

  if (G_UNLIKELY (result > 0 && (gsize) result > self->length && has_bytes (self)))
    {
      g_critical ("An operation on %zu bytes was completed with %zd", self->length, result);
      result = -EIO; /* there is no more memory than that */
    }
  self->result = result;
  self->state = EVP_OPERATION_COMPLETED;
  self->complete_func (self);
}

/**
 * evp_operation_fail:
 * @self: a pending operation
 * @saved_errno: why, as a number of the system (`errno`); `ECANCELED` if it was cancelled
 *
 * Completes an operation with an error: whoever waits for it is told through the loop.
 *
 * Call it once, from the thread of the loop or, in a proactor with threads, from any. O(1).
 *
 * Since: 1.0
 */
void
evp_operation_fail (EvpOperation *self,
                    int           saved_errno)
{
  g_return_if_fail (saved_errno > 0);

  evp_operation_complete (self, -saved_errno);
}
