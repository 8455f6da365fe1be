/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/proactor/evp-uring-proactor-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-capabilities.h"
#include "evp/os/evp-os-fork-private.h"

#include <errno.h>
#include <poll.h>
#include <sys/uio.h>

/**
 * EvpUringProactor:
 *
 * Executes requests with Linux' io_uring.
 *
 * Sockets and files alike complete in the kernel, without threads, and the requests of a turn of the loop
 * are handed over by one system call. It is what an [class@Evp.ProactorEventLoop] takes by itself
 * where the kernel, the sandbox and the build have it; [func@Evp.capabilities_explain] with `io-uring` says why not.
 *
 * The ring is made on the loop's thread when the first request is handed over, and never
 * polls in a kernel thread. A receive that is cancelled has either not begun or delivers what it received. The
 * process may fork; the child does not touch the ring.
 *
 * Costs: O(1) per request, and no allocation. Three file descriptors at most, and 64 KiB.
 *
 * Use it from the thread of its loop.
 *
 * Since: 1.0
 */

G_DEFINE_FINAL_TYPE (EvpUringProactor, evp_uring_proactor, EVP_TYPE_PROACTOR)

#ifdef HAVE_LIBURING

# define RING_ENTRIES 256

/* Longer transfers are done in parts, as by the system calls. */
# define MAX_TRANSFER 0x7ffff000

/* What the kernel keeps pointers to while a message is on its way. */
typedef struct
{
  struct msghdr header;
  struct iovec vector;
} EvpUringMessage;

static void
list_append (EvpOperationList *list,
             EvpOperation     *operation)
{
  operation->next = NULL;
  operation->previous = list->tail;
  if (list->tail != NULL)
    list->tail->next = operation;
  else
    list->head = operation;
  list->tail = operation;
}

static void
list_remove (EvpOperationList *list,
             EvpOperation     *operation)
{
  if (operation->previous != NULL)
    operation->previous->next = operation->next;
  else
    list->head = operation->next;
  if (operation->next != NULL)
    operation->next->previous = operation->previous;
  else
    list->tail = operation->previous;
  operation->next = operation->previous = NULL;
}

static gboolean
is_forked (EvpUringProactor *self)
{
  return G_UNLIKELY (self->fork_generation != evp_os_fork_generation ());
}

static void
release_message (EvpOperation *operation)
{
  g_free (operation->engine_data);
}

static struct msghdr *
ensure_message (EvpOperation *operation)
{
  EvpUringMessage *message = operation->engine_data;

  if (message == NULL)
    {
      message = g_new0 (EvpUringMessage, 1);
      operation->engine_data = message;
      operation->engine_free = release_message;
    }
  message->vector = (struct iovec) { .iov_base = operation->buffer, .iov_len = operation->length };
  message->header = (struct msghdr) {
    .msg_name = operation->address,
    .msg_namelen = operation->address_length,
    .msg_iov = &message->vector,
    .msg_iovlen = 1,
  };
  return &message->header;
}

static guint
to_poll_mask (EvpIOEvents events)
{
  return ((events & EVP_IO_EVENTS_READ) != 0 ? POLLIN : 0) | ((events & EVP_IO_EVENTS_WRITE) != 0 ? POLLOUT : 0);
}

static void
prepare (EvpOperation        *operation,
         struct io_uring_sqe *sqe)
{
  const int flags = operation->msg_flags;
  gsize length = MIN (operation->length - operation->transferred, MAX_TRANSFER);
  char *buffer = (char *) operation->buffer + operation->transferred;

  switch (operation->kind)
    {
    case EVP_OPERATION_RECV:
      io_uring_prep_recv (sqe, operation->fd, buffer, length, flags);
      break;

    case EVP_OPERATION_RECV_FROM:
      evp_operation_ensure_address (operation);
      io_uring_prep_recvmsg (sqe, operation->fd, ensure_message (operation), (guint) flags);
      break;

    case EVP_OPERATION_SEND:
      io_uring_prep_send (sqe, operation->fd, buffer, length,
                          flags | MSG_NOSIGNAL | ((operation->flags & EVP_OPERATION_ALL) != 0 ? MSG_WAITALL : 0));
      break;

    case EVP_OPERATION_SEND_TO:
      io_uring_prep_sendmsg (sqe, operation->fd, ensure_message (operation), (guint) (flags | MSG_NOSIGNAL));
      break;

    case EVP_OPERATION_ACCEPT:
      if (operation->address != NULL)
        operation->address_length = sizeof (EvpSockaddr);
      io_uring_prep_accept (sqe, operation->fd, operation->address != NULL ? &operation->address->any : NULL,
                            operation->address != NULL ? &operation->address_length : NULL,
                            SOCK_CLOEXEC | SOCK_NONBLOCK);
      break;

    case EVP_OPERATION_CONNECT:
      io_uring_prep_connect (sqe, operation->fd, &operation->address->any, operation->address_length);
      break;

    case EVP_OPERATION_READ:
      io_uring_prep_read (sqe, operation->fd, buffer, (guint) length, (guint64) operation->offset);
      break;

    case EVP_OPERATION_WRITE:
      io_uring_prep_write (sqe, operation->fd, buffer, (guint) length, (guint64) operation->offset);
      break;

    default:
      io_uring_prep_poll_add (sqe, operation->fd, to_poll_mask ((EvpIOEvents) operation->events));
      break;
    }
  io_uring_sqe_set_data (sqe, operation);
}

/* Gives it to the ring again; if there is no room, it waits like a new one. */
static void
prepare_again (EvpUringProactor *self,
               EvpOperation     *operation)
{
  struct io_uring_sqe *sqe = evp_uring_get_sqe (&self->uring);

  if (G_LIKELY (sqe != NULL))
    {
      operation->index = EVP_URING_PREPARED;
      prepare (operation, sqe);
      return;
    }
  list_remove (&self->in_flight, operation);
  self->n_in_flight--;
  operation->index = EVP_URING_WAITING;
  list_append (&self->waiting, operation);
}

/*
 * The ring says EAGAIN for what it does not wait for by itself: pipes and ttys in non-blocking mode,
 * for one. So it is asked to wait, and then to try again.
 */
static gboolean
wait_ready (EvpUringProactor *self,
            EvpOperation     *operation)
{
  struct io_uring_sqe *sqe = evp_uring_get_sqe (&self->uring);

  if (sqe == NULL)
    return FALSE;
  io_uring_prep_poll_add (sqe, operation->fd, to_poll_mask (evp_operation_get_direction (operation)));
  io_uring_sqe_set_data (sqe, operation);
  operation->index = EVP_URING_POLLING;
  return TRUE;
}

static gssize
from_poll_mask (EvpOperation *operation,
                int           mask)
{
  guint events = 0;

  if ((mask & (POLLIN | POLLHUP | POLLERR)) != 0)
    events |= EVP_IO_EVENTS_READ;
  if ((mask & (POLLOUT | POLLHUP | POLLERR)) != 0)
    events |= EVP_IO_EVENTS_WRITE;
  events &= operation->events;
  return (gssize) (events != 0 ? events : operation->events);
}

/* What the ring answered becomes the result, or a reason to ask it again. Returns whether it is complete. */
static gboolean
settle (EvpUringProactor *self,
        EvpOperation     *operation,
        int               answer)
{
  gboolean cancelling = (operation->flags & EVP_OPERATION_CANCELLING) != 0 || self->closed;
  gssize result = answer;

  if (operation->index == EVP_URING_POLLING)
    {
      if (!cancelling)
        {
          prepare_again (self, operation);
          return FALSE;
        }
      result = -ECANCELED;
    }
  else if (answer == -EAGAIN || answer == -EINTR || answer == -ERESTART || answer == -ECONNABORTED)
    {
      if (cancelling)
        result = -ECANCELED;
      else if (answer == -EAGAIN && operation->kind == EVP_OPERATION_CONNECT)
        result = -EBUSY; /* a unix socket with a full queue, which cannot be waited for; see evp_operation_try() */
      else if (answer == -EAGAIN && wait_ready (self, operation))
        return FALSE;
      else if (answer != -ECONNABORTED || operation->kind == EVP_OPERATION_ACCEPT)
        {
          prepare_again (self, operation);
          return FALSE;
        }
    }
  else if (answer >= 0)
    switch (operation->kind)
      {
      case EVP_OPERATION_SEND:
        operation->transferred += (gsize) answer;
        if ((operation->flags & EVP_OPERATION_ALL) != 0 && operation->transferred < operation->length)
          {
            if (!cancelling)
              {
                prepare_again (self, operation);
                return FALSE;
              }
            result = -ECANCELED;
          }
        else
          result = (gssize) operation->transferred;
        break;

      case EVP_OPERATION_RECV_FROM:
        operation->address_length = ((EvpUringMessage *) operation->engine_data)->header.msg_namelen;
        break;

      case EVP_OPERATION_POLL:
        result = from_poll_mask (operation, answer);
        break;

      default:
        break;
      }

  list_remove (&self->in_flight, operation);
  self->n_in_flight--;
  evp_operation_complete (operation, result);
  return TRUE;
}

static guint
collect (EvpUringProactor *self)
{
  struct io_uring_cqe *cqe;
  guint completed = 0;

  while (io_uring_peek_cqe (&self->uring.ring, &cqe) == 0 && cqe != NULL)
    {
      EvpOperation *operation = io_uring_cqe_get_data (cqe);
      int answer = cqe->res;

      /* first: what follows may ask the ring for more */
      io_uring_cqe_seen (&self->uring.ring, cqe);
      if (operation != NULL && settle (self, operation, answer))
        completed++;
    }
  return completed;
}

static gboolean
put_into_ring (EvpUringProactor *self,
               EvpOperation     *operation)
{
  struct io_uring_sqe *sqe = evp_uring_get_sqe (&self->uring);

  if (G_UNLIKELY (sqe == NULL))
    return FALSE;
  operation->index = EVP_URING_PREPARED;
  prepare (operation, sqe);
  list_append (&self->in_flight, operation);
  self->n_in_flight++;
  return TRUE;
}

/* Puts an operation, whose stage is not set, into the ring or the queue before it. */
static void
put (EvpUringProactor *self,
     EvpOperation     *operation)
{
  if (G_LIKELY (evp_uring_is_open (&self->uring) && self->waiting.head == NULL) && put_into_ring (self, operation))
    return;
  operation->index = EVP_URING_WAITING;
  list_append (&self->waiting, operation);
}

static void
fail_all (EvpOperationList *list,
          int               saved_errno)
{
  EvpOperation *operation;

  while ((operation = list->head) != NULL)
    {
      list_remove (list, operation);
      evp_operation_complete (operation, -saved_errno);
    }
}

/*
 * Whether an operation that was interrupted may be started again, though nobody knows how far it got: then
 * what it would have done twice is the same.
 */
static gboolean
can_repeat (EvpOperation *operation)
{
  switch (operation->kind)
    {
    case EVP_OPERATION_SEND:
    case EVP_OPERATION_SEND_TO:
      return FALSE;
    case EVP_OPERATION_READ:
    case EVP_OPERATION_WRITE:
      return operation->offset >= 0;
    default:
      return TRUE;
    }
}

/* What the ring has and the kernel has not taken yet has not begun. */
static void
mark_not_begun (EvpUringProactor *self)
{
  const guint n = io_uring_sq_ready (&self->uring.ring);

  for (guint i = 0; i < n; i++)
    {
      EvpOperation *operation = evp_uring_get_unsent (&self->uring, i);

      if (operation != NULL)
        operation->index = EVP_URING_WAITING;
    }
}

/*
 * A ring serves the thread that made it. Once the loop is run or closed on another, or the kernel takes
 * nothing any more, the ring goes, and takes what is in flight with it: what has not begun, or can begin anew, does
 * so later, and the rest is cancelled.
 */
static void
leave_thread (EvpUringProactor *self)
{
  EvpOperationList interrupted;
  EvpOperation *operation;

  collect (self);
  mark_not_begun (self);
  if (!evp_uring_close_elsewhere (&self->uring))
    {
      evp_warn_runtime ("%s", _("The kernel still uses the buffers of requests whose loop is gone, because a process "
                                "made by fork() holds the ring; these requests never complete"));
      self->in_flight = (EvpOperationList) { NULL, NULL };
    }
  interrupted = self->in_flight;
  self->in_flight = (EvpOperationList) { NULL, NULL };
  self->n_in_flight = 0;
  while ((operation = interrupted.head) != NULL)
    {
      list_remove (&interrupted, operation);
      if (self->closed || (operation->flags & EVP_OPERATION_CANCELLING) != 0
          || (operation->index == EVP_URING_PREPARED && !can_repeat (operation)))
        evp_operation_complete (operation, -ECANCELED);
      else
        put (self, operation);
    }
}

/* What was submitted while there was no ring, or no room in it. */
static void
put_waiting (EvpUringProactor *self)
{
  EvpOperation *operation;
  int failed;

  if (!evp_uring_is_open (&self->uring))
    {
      failed = evp_uring_open (&self->uring, RING_ENTRIES);
      if (failed != 0)
        {
          if (self->has_substitute)
            self->refused = failed;
          else
            fail_all (&self->waiting, failed);
          return;
        }
      self->thread = evp_handle_thread_token ();
      self->refused = 0; /* it was only a shortage */
    }
  while ((operation = self->waiting.head) != NULL)
    {
      list_remove (&self->waiting, operation);
      if (!put_into_ring (self, operation))
        {
          list_append (&self->waiting, operation);
          return;
        }
    }
}

/* Vfuncs */

static gboolean
evp_uring_proactor_supports (EvpProactor     *proactor,
                             EvpOperationKind kind)
{
  return TRUE;
}

/*
 * FALSE for a pipe, a socket, a terminal, whose places the ring would ignore. It reads or writes nothing, and asks no
 * file system. Requests on one file usually come together, and are handed over together: one of them is asked about.
 */
static gboolean
has_places (EvpUringProactor *self,
            EvpOperation     *operation)
{
  gssize n;

  if (operation->fd == self->checked_fd)
    return TRUE;
  n = operation->kind == EVP_OPERATION_READ ? preadv (operation->fd, NULL, 0, 0) : pwritev (operation->fd, NULL, 0, 0);
  if (n != 0)
    return errno != ESPIPE;
  self->checked_fd = operation->fd;
  return TRUE;
}

static gboolean
evp_uring_proactor_submit (EvpProactor  *proactor,
                           EvpOperation *operation,
                           GError      **error)
{
  EvpUringProactor *self = EVP_URING_PROACTOR (proactor);

  if (self->closed || is_forked (self))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE, _("The proactor is closed; make a new one"));
      return FALSE;
    }

  if ((operation->kind == EVP_OPERATION_READ || operation->kind == EVP_OPERATION_WRITE) && operation->offset >= 0
      && !has_places (self, operation))
    evp_operation_complete (operation, -ESPIPE);
  else
    put (self, operation);
  return TRUE;
}

static gboolean
ask_to_cancel (EvpUringProactor *self,
               EvpOperation     *operation)
{
  struct io_uring_sqe *sqe = evp_uring_get_sqe (&self->uring);

  operation->flags |= EVP_OPERATION_CANCELLING;
  if (sqe == NULL)
    {
      self->cancels_missing = TRUE;
      return FALSE;
    }
  io_uring_prep_cancel (sqe, operation, 0);
  io_uring_sqe_set_data (sqe, NULL);
  return TRUE;
}

/* Asking twice does no harm. */
static void
send_cancels (EvpUringProactor *self)
{
  self->cancels_missing = FALSE;
  for (EvpOperation *operation = self->in_flight.head; operation != NULL; operation = operation->next)
    if ((self->closed || (operation->flags & EVP_OPERATION_CANCELLING) != 0) && !ask_to_cancel (self, operation))
      return;
}

static void
evp_uring_proactor_cancel (EvpProactor  *proactor,
                           EvpOperation *operation)
{
  EvpUringProactor *self = EVP_URING_PROACTOR (proactor);

  if (operation->index == EVP_URING_WAITING)
    {
      list_remove (&self->waiting, operation);
      evp_operation_complete (operation, -ECANCELED);
      return;
    }
  if (!is_forked (self))
    ask_to_cancel (self, operation);
}

static guint
evp_uring_proactor_poll (EvpProactor *proactor)
{
  EvpUringProactor *self = EVP_URING_PROACTOR (proactor);
  guint completed = 0;

  if (self->closed || is_forked (self))
    return 0;
  self->checked_fd = -1;
  if (G_UNLIKELY (self->thread != evp_handle_thread_token ()) && evp_uring_is_open (&self->uring))
    leave_thread (self);
  if (self->waiting.head != NULL)
    put_waiting (self);
  if (!evp_uring_is_open (&self->uring))
    return 0;

  evp_uring_set_wakeups (&self->uring, FALSE);
  if (G_UNLIKELY (self->cancels_missing))
    send_cancels (self);
  if (io_uring_sq_ready (&self->uring.ring) > 0 || evp_uring_has_work (&self->uring))
    {
      int failed = evp_uring_enter (&self->uring, 0);

      completed = collect (self);
      if (G_UNLIKELY (evp_uring_is_refused (failed)))
        {
          /* what is in flight goes with the ring */
          leave_thread (self);
          put_waiting (self);
        }
    }
  return completed;
}

static int
evp_uring_proactor_get_fd (EvpProactor *proactor)
{
  return EVP_URING_PROACTOR (proactor)->uring.event_fd;
}

static void
evp_uring_proactor_close (EvpProactor *proactor)
{
  EvpUringProactor *self = EVP_URING_PROACTOR (proactor);
  int failed;

  if (self->closed)
    return;
  self->closed = TRUE;
  fail_all (&self->waiting, ECANCELED);

  if (is_forked (self))
    {
      /* the requests are the parent's, and go on there */
      fail_all (&self->in_flight, ECANCELED);
      evp_uring_abandon (&self->uring);
      return;
    }
  if (!evp_uring_is_open (&self->uring))
    return;
  if (self->thread != evp_handle_thread_token ())
    {
      leave_thread (self);
      return;
    }

  self->cancels_missing = TRUE;
  while (self->n_in_flight > 0)
    {
      if (self->cancels_missing)
        send_cancels (self);
      failed = evp_uring_enter (&self->uring, self->cancels_missing ? 0 : 1);
      collect (self);
      if (G_UNLIKELY (evp_uring_is_refused (failed)))
        {
          leave_thread (self);
          return;
        }
    }
  evp_uring_close (&self->uring);
}

static void
evp_uring_proactor_finalize (GObject *object)
{
  EvpUringProactor *self = EVP_URING_PROACTOR (object);

  evp_uring_proactor_close (EVP_PROACTOR (self));

  G_OBJECT_CLASS (evp_uring_proactor_parent_class)->finalize (object);
}

gboolean
evp_uring_proactor_has_work (EvpUringProactor *self)
{
  return self->waiting.head != NULL
         || (evp_uring_is_open (&self->uring)
             && (io_uring_sq_ready (&self->uring.ring) > 0 || evp_uring_has_work (&self->uring)));
}

void
evp_uring_proactor_set_has_substitute (EvpUringProactor *self)
{
  self->has_substitute = TRUE;
}

int
evp_uring_proactor_get_refused (EvpUringProactor *self)
{
  return self->refused;
}

EvpOperation *
evp_uring_proactor_take_waiting (EvpUringProactor *self)
{
  EvpOperation *operation = self->waiting.head;

  if (operation != NULL)
    list_remove (&self->waiting, operation);
  return operation;
}

void
evp_uring_proactor_disown (EvpOperation *operation)
{
  if (operation->engine_free != release_message)
    return;
  release_message (operation);
  operation->engine_data = NULL;
  operation->engine_free = NULL;
}

gboolean
evp_uring_proactor_prepare (EvpUringProactor *self)
{
  if (evp_uring_is_open (&self->uring))
    evp_uring_set_wakeups (&self->uring, TRUE);
  return evp_uring_proactor_has_work (self);
}

#else

static gboolean
evp_uring_proactor_submit (EvpProactor  *proactor,
                           EvpOperation *operation,
                           GError      **error)
{
  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED, evp_capabilities_explain ("io-uring"));
  return FALSE;
}

gboolean
evp_uring_proactor_has_work (EvpUringProactor *self)
{
  return FALSE;
}

gboolean
evp_uring_proactor_prepare (EvpUringProactor *self)
{
  return FALSE;
}

void
evp_uring_proactor_set_has_substitute (EvpUringProactor *self)
{
}

int
evp_uring_proactor_get_refused (EvpUringProactor *self)
{
  return 0;
}

EvpOperation *
evp_uring_proactor_take_waiting (EvpUringProactor *self)
{
  return NULL;
}

void
evp_uring_proactor_disown (EvpOperation *operation)
{
}

#endif

static void
evp_uring_proactor_class_init (EvpUringProactorClass *klass)
{
  EvpProactorClass *proactor_class = EVP_PROACTOR_CLASS (klass);

  proactor_class->submit = evp_uring_proactor_submit;
#ifdef HAVE_LIBURING
  G_OBJECT_CLASS (klass)->finalize = evp_uring_proactor_finalize;
  proactor_class->supports = evp_uring_proactor_supports;
  proactor_class->cancel = evp_uring_proactor_cancel;
  proactor_class->poll = evp_uring_proactor_poll;
  proactor_class->get_fd = evp_uring_proactor_get_fd;
  proactor_class->close = evp_uring_proactor_close;
#endif
}

static void
evp_uring_proactor_init (EvpUringProactor *self)
{
#ifdef HAVE_LIBURING
  evp_uring_init (&self->uring);
  self->checked_fd = -1;
  self->fork_generation = evp_os_fork_generation ();
#endif
}

/**
 * evp_uring_proactor_new:
 * @error: return location for an error
 *
 * Makes a proactor on io_uring.
 *
 * Whether it works here is found out by trying it, once; again for the next proactor if the system was only short of
 * something, such as descriptors. The ring itself is made with the first request.
 *
 * May be called from any thread. O(1).
 *
 * Errors: %EVP_ERROR_NOT_SUPPORTED if the kernel, a sandbox or the build does not have it; the message says which.
 *
 * Returns: (transfer full) (type EvpUringProactor): a new proactor
 *
 * Since: 1.0
 */
EvpProactor *
evp_uring_proactor_new (GError **error)
{
  const char *reason = evp_capabilities_explain ("io-uring");

  if (reason != NULL)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
                   /* Translators: %s is a sentence that says why */
                   _("io_uring cannot be used, take another proactor: %s"), reason);
      return NULL;
    }
  return g_object_new (EVP_TYPE_URING_PROACTOR, NULL);
}
