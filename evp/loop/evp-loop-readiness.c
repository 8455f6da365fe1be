/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-operation-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

#include <errno.h>
#include <sys/socket.h>

/*
 * Operations by readiness: the system call is tried at once, and again whenever the descriptor is ready.
 *
 * The registration with the loop outlives the wait, because the next wait is usually near; if the
 * descriptor becomes ready while nobody waits, it is taken out. So a busy socket costs no epoll_ctl() and
 * an idle one wakes nobody up.
 *
 * A try that took less than there was room for has emptied the socket: the next one waits first.
 */
typedef struct
{
  gatomicrefcount ref_count;
  EvpOperation *operation; /* not owned; NULL once it has gone; see link_lock */
  EvpAbstractEventLoop *loop;
  GThread *thread;
  int fd;
  EvpIOEvents direction;
  gboolean registered;
  gboolean waiting;
} EvpReadiness;

/*
 * Guards the link between an operation and its registration where one of the two goes: an
 * operation may go on another thread, when a garbage collector drops a stream. Never taken while
 * something is being waited for.
 */
static GMutex link_lock;

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
      /* interrupted, it goes on by itself; a connected unix socket never says "in progress", and a
       * full one cannot be waited for */
      return errno == EINPROGRESS || errno == EINTR ? -EAGAIN : errno == EAGAIN ? -ECONNREFUSED : -errno;
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

/* The result, or -EAGAIN. */
static gssize
try_now (EvpOperation *operation,
         gboolean      again)
{
  const int flags = operation->msg_flags | MSG_DONTWAIT;
  gssize n;

  switch (operation->kind)
    {
    case EVP_OPERATION_RECV:
      do
        n = recv (operation->fd, operation->buffer, operation->length, flags);
      while (n < 0 && errno == EINTR);
      if (n > 0 && (gsize) n < operation->length)
        operation->flags |= EVP_OPERATION_DRAINED;
      return n < 0 ? -errno : n;

    case EVP_OPERATION_RECV_FROM:
      evp_operation_ensure_address (operation);
      do
        n = recvfrom (operation->fd, operation->buffer, operation->length, flags,
                      &operation->address->any, &operation->address_length);
      while (n < 0 && errno == EINTR);
      return n < 0 ? -errno : n;

    case EVP_OPERATION_SEND:
      return try_send (operation);

    case EVP_OPERATION_SEND_TO:
      do
        n = sendto (operation->fd, operation->buffer, operation->length, flags | MSG_NOSIGNAL,
                    &operation->address->any, operation->address_length);
      while (n < 0 && errno == EINTR);
      return n < 0 ? -errno : n;

    case EVP_OPERATION_ACCEPT:
      return try_accept (operation);

    case EVP_OPERATION_CONNECT:
      return try_connect (operation, again);

    case EVP_OPERATION_POLL:
      return again ? operation->events : -EAGAIN;

    default:
      return -EOPNOTSUPP;
    }
}

static void
unregister (EvpReadiness *self)
{
  if (!self->registered)
    return;
  self->registered = FALSE; /* first: the notify that follows is ours */
  if (self->direction == EVP_IO_EVENTS_READ)
    evp_event_loop_remove_reader (self->loop, self->fd);
  else
    evp_event_loop_remove_writer (self->loop, self->fd);
}

static void
ready_cb (int      fd,
          gpointer user_data)
{
  EvpReadiness *self = user_data;
  gssize result;

  if (!self->waiting)
    {
      unregister (self);
      return;
    }
  result = try_now (self->operation, TRUE);
  if (result == -EAGAIN || result == -EWOULDBLOCK)
    return;
  self->waiting = FALSE;
  evp_operation_complete (self->operation, result);
}

static void
readiness_unref (gpointer user_data)
{
  EvpReadiness *self = user_data;

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_object_unref (self->loop);
  g_free (self);
}

/*
 * The loop has let go of the registration: it was asked to, it closes, or somebody else has registered
 * the descriptor. In the last case the operation waits in vain until it is cancelled, as in asyncio.
 */
static void
forgotten_cb (gpointer user_data)
{
  EvpReadiness *self = user_data;
  EvpOperation *operation;
  gboolean waiting = self->waiting;

  self->registered = FALSE;
  self->waiting = FALSE;

  g_mutex_lock (&link_lock);
  operation = g_steal_pointer (&self->operation);
  if (operation != NULL)
    {
      operation->flags &= (guint8) ~EVP_OPERATION_DRAINED;
      operation->engine_data = NULL;
      g_atomic_pointer_set (&operation->engine_free, NULL);
    }
  g_mutex_unlock (&link_lock);

  if (operation != NULL && waiting && evp_event_loop_is_closed (self->loop))
    evp_operation_fail (operation, ECANCELED);
  readiness_unref (self);
}

static void
unregister_cb (gpointer user_data)
{
  unregister (user_data);
}

/* The operation goes, or its descriptor will be closed. Nothing is being waited for. */
static void
readiness_release (EvpOperation *operation)
{
  EvpReadiness *self;

  g_mutex_lock (&link_lock);
  self = operation->engine_data;
  operation->engine_data = NULL;
  if (self != NULL)
    {
      self->operation = NULL;
      g_atomic_ref_count_inc (&self->ref_count);
    }
  g_mutex_unlock (&link_lock);

  if (self == NULL)
    return;
  if (self->thread != g_thread_self ()
      && evp_event_loop_call_soon_threadsafe (self->loop, unregister_cb, self, readiness_unref, NULL))
    return;
  if (self->thread == g_thread_self ())
    {
      unregister (self);
      readiness_unref (self);
    }
}

static gboolean
wait_ready (EvpAbstractEventLoop *loop,
      EvpOperation         *operation,
      GError              **error)
{
  EvpReadiness *self = operation->engine_data;
  gboolean ok;

  if (self == NULL)
    {
      self = g_new (EvpReadiness, 1);
      g_atomic_ref_count_init (&self->ref_count);
      self->operation = operation;
      self->loop = g_object_ref (loop);
      self->thread = g_thread_self ();
      self->fd = operation->fd;
      self->direction = evp_operation_get_direction (operation);
      self->registered = TRUE;
      self->waiting = FALSE; /* a refusal must not complete it as well */
      operation->engine_data = self;
      operation->engine_free = readiness_release;
      if (self->direction == EVP_IO_EVENTS_READ)
        ok = evp_event_loop_add_reader (loop, self->fd, ready_cb, self, forgotten_cb, error);
      else
        ok = evp_event_loop_add_writer (loop, self->fd, ready_cb, self, forgotten_cb, error);
      if (!ok) /* and freed */
        return FALSE;
    }
  self->waiting = TRUE;
  return TRUE;
}

gboolean
evp_loop_readiness_submit (EvpAbstractEventLoop *loop,
                           EvpOperation         *operation,
                           GError              **error)
{
  gssize result;

  if (operation->kind == EVP_OPERATION_READ || operation->kind == EVP_OPERATION_WRITE)
    {
      evp_set_error_unimplemented (error, loop, operation->kind == EVP_OPERATION_READ ? "read_async" : "write_async");
      return FALSE;
    }
  if ((operation->flags & EVP_OPERATION_DRAINED) != 0 && operation->kind == EVP_OPERATION_RECV)
    {
      operation->flags &= (guint8) ~EVP_OPERATION_DRAINED;
      return wait_ready (loop, operation, error);
    }
  result = try_now (operation, FALSE);
  if (result == -EAGAIN || result == -EWOULDBLOCK)
    return wait_ready (loop, operation, error);
  evp_operation_complete (operation, result);
  return TRUE;
}

void
evp_loop_readiness_cancel (EvpAbstractEventLoop *loop,
                           EvpOperation         *operation)
{
  EvpReadiness *self = operation->engine_data;

  if (self != NULL)
    self->waiting = FALSE;
  evp_operation_fail (operation, ECANCELED);
}
