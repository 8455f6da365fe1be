/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/proactor/evp-operation-private.h"

#include "evp/os/evp-os-fd-private.h"

#include <errno.h>
#include <unistd.h>

/* The system calls of operations, for those who do without a kernel that completes things. */

static gssize
try_connect (EvpOperation *operation,
             gboolean      again)
{
  int failed = 0;
  socklen_t length = sizeof (failed);

  if (!again)
    {
      if (connect (operation->fd, &operation->address->any, operation->address_length) == 0)
        return 0;
      /* interrupted, it goes on by itself; EAGAIN is of a unix socket with a full queue, which cannot be
       * waited for */
      return errno == EINPROGRESS || errno == EINTR ? -EAGAIN : errno == EAGAIN ? -EBUSY : -errno;
    }
  if (getsockopt (operation->fd, SOL_SOCKET, SO_ERROR, &failed, &length) != 0)
    return -errno;
  return -failed;
}

static gssize
try_accept (EvpOperation *operation)
{
  EvpSockaddr *address = operation->address;
  socklen_t length = sizeof (EvpSockaddr);
  int fd;

  do
    fd = accept4 (operation->fd, address != NULL ? &address->any : NULL, address != NULL ? &length : NULL,
                  SOCK_CLOEXEC | SOCK_NONBLOCK);
  while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd < 0)
    return -errno;
  operation->address_length = length;
  return fd;
}

static gssize
try_send (EvpOperation *operation)
{
  const int flags = operation->msg_flags | MSG_NOSIGNAL | MSG_DONTWAIT;
  gssize n;

  do
    {
      n = send (operation->fd, (const char *) operation->buffer + operation->transferred,
                operation->length - operation->transferred, flags);
      if (n >= 0)
        operation->transferred += (gsize) n;
    }
  while (n < 0 ? errno == EINTR
               : (operation->flags & EVP_OPERATION_ALL) != 0 && operation->transferred < operation->length);
  return n < 0 ? -errno : (gssize) operation->transferred;
}

static gssize
try_read (EvpOperation *operation)
{
  gssize n;

  do
    n = operation->offset < 0 ? read (operation->fd, operation->buffer, operation->length)
                              : pread (operation->fd, operation->buffer, operation->length, operation->offset);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

static gssize
try_write (EvpOperation *operation)
{
  gssize n;

  if (operation->offset < 0) /* a pipe, perhaps */
    n = evp_os_fd_write (operation->fd, operation->buffer, operation->length);
  else
    do
      n = pwrite (operation->fd, operation->buffer, operation->length, operation->offset);
    while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

/* recv() or recvfrom(), for an operation that has no buffer yet. */
static gssize
try_receive_allocating (EvpOperation *operation)
{
  const int flags = operation->msg_flags | MSG_DONTWAIT;
  gboolean with_address = operation->kind == EVP_OPERATION_RECV_FROM;
  gpointer buffer = g_try_malloc (operation->length);
  gssize n;

  if (buffer == NULL && operation->length > 0)
    return -ENOMEM;
  do
    n = recvfrom (operation->fd, buffer, operation->length, flags,
                  with_address ? &operation->address->any : NULL,
                  with_address ? &operation->address_length : NULL);
  while (n < 0 && errno == EINTR);
  if (n <= 0)
    {
      int saved_errno = errno;

      g_free (buffer);
      return n < 0 ? -saved_errno : 0;
    }
  if ((gsize) n < operation->length)
    operation->flags |= EVP_OPERATION_DRAINED;
  operation->buffer = buffer;
  return n;
}

gssize
evp_operation_try (EvpOperation *self,
                   gboolean      again)
{
  const int flags = self->msg_flags | MSG_DONTWAIT;
  gssize n;

  switch (self->kind)
    {
    case EVP_OPERATION_RECV:
      if ((self->flags & EVP_OPERATION_ALLOCATE) != 0 && self->buffer == NULL)
        return try_receive_allocating (self);
      do
        n = recv (self->fd, self->buffer, self->length, flags);
      while (n < 0 && errno == EINTR);
      if (n > 0 && (gsize) n < self->length)
        self->flags |= EVP_OPERATION_DRAINED;
      return n < 0 ? -errno : n;

    case EVP_OPERATION_RECV_FROM:
      evp_operation_ensure_address (self);
      if ((self->flags & EVP_OPERATION_ALLOCATE) != 0 && self->buffer == NULL)
        return try_receive_allocating (self);
      do
        n = recvfrom (self->fd, self->buffer, self->length, flags,
                      &self->address->any, &self->address_length);
      while (n < 0 && errno == EINTR);
      return n < 0 ? -errno : n;

    case EVP_OPERATION_SEND:
      return try_send (self);

    case EVP_OPERATION_SEND_TO:
      do
        n = sendto (self->fd, self->buffer, self->length, flags | MSG_NOSIGNAL,
                    &self->address->any, self->address_length);
      while (n < 0 && errno == EINTR);
      return n < 0 ? -errno : n;

    case EVP_OPERATION_ACCEPT:
      return try_accept (self);

    case EVP_OPERATION_CONNECT:
      return try_connect (self, again);

    case EVP_OPERATION_READ:
      return try_read (self);

    case EVP_OPERATION_WRITE:
      return try_write (self);

    case EVP_OPERATION_POLL:
      return again ? self->events : -EAGAIN;

    default:
      return -EOPNOTSUPP;
    }
}

