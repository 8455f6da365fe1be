/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-enums.h"
#include "evp/base/evp-types.h"

G_BEGIN_DECLS

/**
 * EvpOperationKind:
 * @EVP_OPERATION_RECV: receive from a connected socket; 0 at the end of the stream
 * @EVP_OPERATION_RECV_FROM: receive one message and learn its sender
 * @EVP_OPERATION_SEND: send to a connected socket, all or, with the number of bytes for a result, a part
 * @EVP_OPERATION_SEND_TO: send one message to an address
 * @EVP_OPERATION_ACCEPT: accept a connection; the result is its file descriptor
 * @EVP_OPERATION_CONNECT: connect a socket to an address
 * @EVP_OPERATION_READ: read from a file, at an offset or, with -1, where it stands
 * @EVP_OPERATION_WRITE: write to a file, at an offset or, with -1, where it stands
 * @EVP_OPERATION_POLL: wait until a file descriptor is ready; the result is what it is ready for
 *
 * What an [struct@Evp.Operation] does.
 *
 * Since: 1.0
 */
typedef enum
{
  EVP_OPERATION_RECV,
  EVP_OPERATION_RECV_FROM,
  EVP_OPERATION_SEND,
  EVP_OPERATION_SEND_TO,
  EVP_OPERATION_ACCEPT,
  EVP_OPERATION_CONNECT,
  EVP_OPERATION_READ,
  EVP_OPERATION_WRITE,
  EVP_OPERATION_POLL,
} EvpOperationKind;

#define EVP_TYPE_OPERATION (evp_operation_get_type ())

EVP_AVAILABLE_IN_1_0
GType            evp_operation_get_type    (void);
EVP_AVAILABLE_IN_1_0
EvpOperation    *evp_operation_ref         (EvpOperation *self);
EVP_AVAILABLE_IN_1_0
void             evp_operation_unref       (EvpOperation *self);
EVP_AVAILABLE_IN_1_0
EvpOperationKind evp_operation_get_kind    (EvpOperation *self);
EVP_AVAILABLE_IN_1_0
int              evp_operation_get_fd      (EvpOperation *self);
EVP_AVAILABLE_IN_1_0
gsize            evp_operation_get_length  (EvpOperation *self);
EVP_AVAILABLE_IN_1_0
gint64           evp_operation_get_offset  (EvpOperation *self);
EVP_AVAILABLE_IN_1_0
EvpIOEvents      evp_operation_get_events  (EvpOperation *self);
EVP_AVAILABLE_IN_1_0
gboolean         evp_operation_is_pending  (EvpOperation *self);
EVP_AVAILABLE_IN_1_0
GSocketAddress  *evp_operation_get_address (EvpOperation *self,
                                            GError      **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gboolean         evp_operation_set_address (EvpOperation   *self,
                                            GSocketAddress *address,
                                            GError        **error);
EVP_AVAILABLE_IN_1_0
GBytes          *evp_operation_copy_data   (EvpOperation *self) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gsize            evp_operation_store_data  (EvpOperation *self,
                                            GBytes       *data);
EVP_AVAILABLE_IN_1_0
void             evp_operation_complete    (EvpOperation *self,
                                            gssize        result);
EVP_AVAILABLE_IN_1_0
void             evp_operation_fail        (EvpOperation *self,
                                            int           saved_errno);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpOperation, evp_operation_unref)

G_END_DECLS
