/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/proactor/evp-uring-proactor-private.h"

#ifdef HAVE_LIBURING

# include "evp/os/evp-os-fork-private.h"

# include <errno.h>
# include <string.h>
# include <sys/eventfd.h>
# include <sys/mman.h>

/*
 * Receiving ahead: one request that goes on answering, into memory that all of a ring's receivers share, in place of
 * one request for each part. What comes while the operation is pending is copied to where it
 * wants it; what comes between two submissions is kept for the next, up to a limit.
 *
 * It pays for small parts. Large ones are received where they belong, without a copy: so it begins after a
 * few small ones, and ends with the first that fills a buffer.
 *
 * The request holds the open file, so it is ended, and the end waited for, before the descriptor is closed.
 */

# define N_BUFFERS 128
# define BUFFER_SIZE 8192
# define BUFFER_GROUP 0

/* So many small parts in a row make it worth while. */
# define BEGIN_AFTER 3

/* Nobody asks for what comes: the rest stays in the socket. */
# define MAX_AHEAD (8 * BUFFER_SIZE)

/* Room for a few parts stays: with an answer on its way, the next request often comes before it is asked for. */
# define KEPT_SIZE 512

struct _EvpUringReceiver
{
  EvpUringProactor *proactor;  /* owned */
  EvpOperation *operation;     /* not owned; NULL: dropped, this goes with its last answer */
  int fd;
  gboolean armed;              /* the ring will answer at least once more; in `receivers` */
  gboolean stopping;           /* that answer has been asked for */
  gboolean *stopped;           /* somebody waits for it */
  gboolean wanted;             /* the operation is pending here */
  gboolean ended;
  gssize ending;               /* 0 at the end of the stream, or minus errno; to be told after the data */
  char *data;                  /* what came and nobody has asked for */
  gsize start, length, size;
  EvpUringReceiver *next, *previous; /* of `receivers` */
  EvpUringReceiver *next_dropped;
};

static void
receiver_free (EvpUringReceiver *self)
{
  g_object_unref (self->proactor);
  g_free (self->data);
  g_free (self);
}

static gboolean
ensure_buffers (EvpUringProactor *proactor)
{
  EvpUringBuffers *buffers = &proactor->buffers;
  const gsize ring_size = N_BUFFERS * sizeof (struct io_uring_buf);
  struct io_uring_buf_reg registration;
  gpointer memory;

  if (buffers->ring != NULL || buffers->refused)
    return !buffers->refused;

  memory = mmap (NULL, ring_size + N_BUFFERS * BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return FALSE;
  madvise (memory, ring_size + N_BUFFERS * BUFFER_SIZE, MADV_DONTFORK);
  registration = (struct io_uring_buf_reg) {
    .ring_addr = (guint64) (guintptr) memory,
    .ring_entries = N_BUFFERS,
    .bgid = BUFFER_GROUP,
  };
  if (io_uring_register_buf_ring (&proactor->uring.ring, &registration, 0) != 0)
    {
      munmap (memory, ring_size + N_BUFFERS * BUFFER_SIZE);
      buffers->refused = TRUE;
      return FALSE;
    }
  buffers->ring = memory;
  buffers->memory = (char *) memory + ring_size;
  io_uring_buf_ring_init (buffers->ring);
  for (guint i = 0; i < N_BUFFERS; i++)
    io_uring_buf_ring_add (buffers->ring, buffers->memory + i * BUFFER_SIZE, BUFFER_SIZE, (guint16) i,
                           io_uring_buf_ring_mask (N_BUFFERS), (int) i);
  io_uring_buf_ring_advance (buffers->ring, N_BUFFERS);
  return TRUE;
}

static void
give_back (EvpUringBuffers *buffers,
           guint            id)
{
  io_uring_buf_ring_add (buffers->ring, buffers->memory + id * BUFFER_SIZE, BUFFER_SIZE, (guint16) id,
                         io_uring_buf_ring_mask (N_BUFFERS), 0);
  io_uring_buf_ring_advance (buffers->ring, 1);
}

static void
keep (EvpUringReceiver *self,
      const char       *bytes,
      gsize             length)
{
  if (length == 0)
    return;
  if (self->length == 0)
    self->start = 0;
  if (self->start + self->length + length > self->size)
    {
      gsize size = MAX (2 * (self->length + length), KEPT_SIZE);
      char *data = g_malloc (size);

      if (self->length > 0)
        memcpy (data, self->data + self->start, self->length);
      g_free (self->data);
      self->data = data;
      self->size = size;
      self->start = 0;
    }
  memcpy (self->data + self->start + self->length, bytes, length);
  self->length += length;
}

static gsize
take_kept (EvpUringReceiver *self,
           gpointer          buffer,
           gsize             size)
{
  gsize n = MIN (size, self->length);

  memcpy (buffer, self->data + self->start, n);
  self->start += n;
  self->length -= n;
  if (self->length == 0 && self->size > KEPT_SIZE)
    {
      g_clear_pointer (&self->data, g_free);
      self->size = 0;
    }
  return n;
}

static gboolean
arm (EvpUringReceiver *self)
{
  EvpUringProactor *proactor = self->proactor;
  struct io_uring_sqe *sqe = evp_uring_get_sqe (&proactor->uring);

  if (sqe == NULL)
    return FALSE;
  io_uring_prep_recv_multishot (sqe, self->fd, NULL, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = BUFFER_GROUP;
  io_uring_sqe_set_data (sqe, (char *) self + EVP_URING_TAG_RECEIVER);

  self->armed = TRUE;
  self->stopping = FALSE;
  self->previous = NULL;
  self->next = proactor->receivers;
  if (self->next != NULL)
    self->next->previous = self;
  proactor->receivers = self;
  proactor->n_in_flight++;
  return TRUE;
}

static void
disarmed (EvpUringReceiver *self)
{
  EvpUringProactor *proactor = self->proactor;

  self->armed = FALSE;
  self->stopping = FALSE;
  if (self->previous != NULL)
    self->previous->next = self->next;
  else
    proactor->receivers = self->next;
  if (self->next != NULL)
    self->next->previous = self->previous;
  self->next = self->previous = NULL;
  proactor->n_in_flight--;
  if (self->stopped != NULL)
    *self->stopped = TRUE;
  self->stopped = NULL;
}

static gboolean
stop (EvpUringReceiver *self)
{
  struct io_uring_sqe *sqe;

  if (!self->armed || self->stopping)
    return TRUE;
  sqe = evp_uring_get_sqe (&self->proactor->uring);
  if (sqe == NULL)
    return FALSE;
  io_uring_prep_cancel (sqe, (char *) self + EVP_URING_TAG_RECEIVER, 0);
  io_uring_sqe_set_data (sqe, NULL);
  self->stopping = TRUE;
  return TRUE;
}

/* Until the ring has let go of the descriptor. If it was dropped, it is gone then. */
static void
stop_now (EvpUringReceiver *self)
{
  g_autoptr (EvpUringProactor) proactor = g_object_ref (self->proactor);
  gboolean stopped = FALSE;

  self->stopped = &stopped;
  while (!proactor->closed && !stopped)
    {
      gboolean asked = stop (self);
      int failed = evp_uring_enter (&proactor->uring, asked ? 1 : 0);

      evp_uring_proactor_collect (proactor);
      if (G_UNLIKELY (evp_uring_is_refused (failed)))
        break; /* the ring goes soon, and lets go of everything then */
    }
  if (!stopped)
    self->stopped = NULL;
}

static guint
deliver (EvpUringReceiver *self,
         gssize            result)
{
  self->wanted = FALSE;
  evp_uring_proactor_finish (self->operation, result);
  return 1;
}

guint
evp_uring_receiver_answer (EvpUringReceiver *self,
                           int               answer,
                           guint             flags)
{
  EvpUringProactor *proactor = self->proactor;

  if ((flags & IORING_CQE_F_MORE) == 0)
    disarmed (self);

  if ((flags & IORING_CQE_F_BUFFER) != 0)
    {
      guint id = flags >> IORING_CQE_BUFFER_SHIFT;
      const char *bytes = proactor->buffers.memory + id * BUFFER_SIZE;
      gsize length = (gsize) MAX (answer, 0);
      gsize n = 0;

      if (self->wanted && answer > 0)
        {
          n = MIN (length, self->operation->length);
          memcpy (self->operation->buffer, bytes, n);
        }
      if (self->operation != NULL)
        keep (self, bytes + n, length - n);
      give_back (&proactor->buffers, id);
      if (length > EVP_URING_SMALL_PART || self->length > MAX_AHEAD)
        {
          if (self->operation != NULL)
            self->operation->engine_count = 0;
          if (length == BUFFER_SIZE || self->length > MAX_AHEAD)
            stop (self);
        }
      if (n > 0)
        return deliver (self, (gssize) n); /* if the loop closes, this may be gone now */
    }
  if (answer == -EINVAL)
    proactor->buffers.refused = TRUE;
  else if (answer <= 0 && answer != -ECANCELED && answer != -ENOBUFS && answer != -EINTR && answer != -EAGAIN)
    {
      self->ended = TRUE;
      self->ending = answer;
      if (self->wanted)
        {
          self->ended = FALSE;
          return deliver (self, answer); /* the same */
        }
    }
  if (self->armed)
    return 0;

  if (self->operation == NULL)
    receiver_free (self);
  else if (self->wanted)
    {
      /* it ended without an answer for who waits: out of buffers, or large parts are to come */
      self->wanted = FALSE;
      if (proactor->closed)
        return deliver (self, -ECANCELED);
      evp_uring_proactor_put (proactor, self->operation);
    }
  return 0;
}

static void
receiver_drop (EvpOperation *operation)
{
  EvpUringReceiver *self = operation->engine_data;
  EvpUringProactor *proactor = self->proactor;
  gboolean elsewhere;

  operation->engine_take = NULL;
  operation->engine_count = 0;

  g_mutex_lock (&proactor->lock);
  elsewhere = !proactor->closed && proactor->thread != evp_handle_thread_token ();
  if (elsewhere)
    {
      /* what the operation was for is at its end: the data that still come are nobody's */
      self->next_dropped = proactor->dropped;
      g_atomic_pointer_set (&proactor->dropped, self);
      eventfd_write (proactor->uring.event_fd, 1);
    }
  g_mutex_unlock (&proactor->lock);
  if (elsewhere)
    return;

  self->operation = NULL;
  if (self->armed && proactor->fork_generation == evp_os_fork_generation ())
    stop_now (self);
  else
    receiver_free (self);
}

static gssize
receiver_take (EvpOperation *operation,
               gpointer      buffer,
               gsize         size)
{
  EvpUringReceiver *self = operation->engine_data;
  gssize ending;

  operation->engine_count = 0;
  if (self->armed)
    stop_now (self);
  if (buffer == NULL)
    return self->length > 0 ? (gssize) self->length : self->ended ? self->ending : 0;
  if (self->length > 0)
    return (gssize) take_kept (self, buffer, size);
  ending = self->ended ? self->ending : 0;
  self->ended = FALSE;
  return ending;
}

gboolean
evp_uring_receiver_submit (EvpUringProactor *proactor,
                           EvpOperation     *operation)
{
  EvpUringReceiver *self = operation->engine_data;

  if (self == NULL)
    {
      if (operation->engine_count < BEGIN_AFTER || operation->msg_flags != 0 || !ensure_buffers (proactor))
        return FALSE;
      self = g_new0 (EvpUringReceiver, 1);
      self->proactor = g_object_ref (proactor);
      self->operation = operation;
      self->fd = operation->fd;
      operation->engine_data = self;
      operation->engine_free = receiver_drop;
      operation->engine_take = receiver_take;
    }

  if (self->length > 0)
    {
      evp_uring_proactor_finish (operation, (gssize) take_kept (self, operation->buffer, operation->length));
      return TRUE;
    }
  if (self->ended)
    {
      self->ended = FALSE;
      evp_uring_proactor_finish (operation, self->ending);
      return TRUE;
    }
  if (!self->armed && (operation->engine_count < BEGIN_AFTER || !ensure_buffers (proactor) || !arm (self)))
    return FALSE;
  operation->index = EVP_URING_RECEIVING;
  self->wanted = TRUE;
  return TRUE;
}

/* Nothing is lost: what comes is kept. */
void
evp_uring_receiver_cancel (EvpOperation *operation)
{
  deliver (operation->engine_data, -ECANCELED);
}

gboolean
evp_uring_receiver_disown (EvpOperation *operation)
{
  EvpUringReceiver *self;

  if (operation->engine_free != receiver_drop)
    return FALSE;
  self = operation->engine_data;
  if (self->length > 0 || (self->ended && self->ending != 0))
    {
      evp_uring_proactor_finish (operation, receiver_take (operation, operation->buffer, operation->length));
      return TRUE;
    }
  receiver_drop (operation);
  operation->engine_data = NULL;
  operation->engine_free = NULL;
  return FALSE;
}

void
evp_uring_receivers_sweep (EvpUringProactor *proactor)
{
  EvpUringReceiver *dropped;

  if (G_LIKELY (g_atomic_pointer_get (&proactor->dropped) == NULL))
    return;
  g_mutex_lock (&proactor->lock);
  dropped = proactor->dropped;
  g_atomic_pointer_set (&proactor->dropped, NULL);
  g_mutex_unlock (&proactor->lock);

  while (dropped != NULL)
    {
      EvpUringReceiver *self = dropped;

      dropped = self->next_dropped;
      self->operation = NULL;
      if (!self->armed)
        receiver_free (self);
      else if (!stop (self))
        proactor->cancels_missing = TRUE;
    }
}

gboolean
evp_uring_receivers_stop (EvpUringProactor *proactor)
{
  evp_uring_receivers_sweep (proactor);
  for (EvpUringReceiver *self = proactor->receivers; self != NULL; self = self->next)
    if ((proactor->closed || self->operation == NULL) && !stop (self))
      return FALSE;
  return TRUE;
}

void
evp_uring_receivers_clear (EvpUringProactor *proactor)
{
  EvpUringReceiver *self;

  /* in a child of fork() they are armed for ever */
  while ((self = proactor->receivers) != NULL)
    {
      disarmed (self);
      if (self->operation == NULL)
        receiver_free (self);
      else if (self->wanted)
        {
          self->wanted = FALSE;
          if (proactor->closed)
            evp_uring_proactor_finish (self->operation, -ECANCELED);
          else
            evp_uring_proactor_put (proactor, self->operation);
        }
    }
  if (proactor->buffers.ring != NULL && proactor->fork_generation == evp_os_fork_generation ())
    munmap (proactor->buffers.ring, N_BUFFERS * sizeof (struct io_uring_buf) + N_BUFFERS * BUFFER_SIZE);
  proactor->buffers.ring = NULL;
}

#endif
