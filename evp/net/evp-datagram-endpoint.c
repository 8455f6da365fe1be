/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-datagram-endpoint-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/loop/evp-loop-post-private.h"
#include "evp/loop/evp-loop-sockets-private.h"
#include "evp/loop/evp-loop-task-private.h"
#include "evp/net/evp-demand-private.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <math.h>
#include <string.h>

/**
 * EvpDatagramEndpoint:
 *
 * One end of a conversation in datagrams: messages that arrive whole, or not at all.
 *
 * [method@Evp.AbstractEventLoop.create_datagram_endpoint_async] makes it. What arrives is either handed to the
 * handlers of [signal@Evp.DatagramEndpoint::datagram-received], or fetched one by one with
 * [method@Evp.DatagramEndpoint.receive_async]:
 *
 * ```c
 * static void
 * datagram_cb (EvpDatagramEndpoint *endpoint,
 *              GBytes              *data,
 *              GSocketAddress      *address,
 *              gpointer             user_data)
 * {
 *   evp_datagram_endpoint_send (endpoint, data, address, NULL); // an echo
 * }
 *
 * g_signal_connect (endpoint, "datagram-received", G_CALLBACK (datagram_cb), NULL);
 * ```
 *
 * While nobody wants a datagram it stays in the socket, and what the socket has no room for is lost, as
 * is the way of datagrams. Connect the handler as soon as you have the endpoint. An empty datagram is a datagram
 * like any other.
 *
 * The endpoint belongs to whoever holds it: handlers do not keep it. Close it when it is done; if it is
 * dropped while open it closes its socket with a warning.
 *
 * Use it from the thread of its loop. Its last reference may be dropped on any thread. An endpoint to which
 * nothing is sent costs nothing.
 *
 * In asyncio this is a `DatagramTransport` with its protocol.
 *
 * Since: 1.0
 */

/* What each queued datagram counts for beside its bytes, so that empty ones do not queue without end. */
#define EVP_DATAGRAM_OVERHEAD 64

/* How many datagrams are taken from the socket, or given to it, before others have their turn. */
#define EVP_DATAGRAM_BATCH 64

#define EVP_DATAGRAM_DEFAULT_HIGH_WATER (64 * 1024)
#define EVP_DATAGRAM_DEFAULT_MAX_SIZE (256 * 1024)

/* Seconds: how long to wait for what nothing tells. */
#define EVP_DATAGRAM_FIRST_DELAY 0.001
#define EVP_DATAGRAM_LAST_SEND_DELAY 0.05

/*
 * What the loop knows of an endpoint. It outlives the endpoint until the loop has given back the
 * operations, and only then closes the socket. It belongs to the loop's thread.
 */
typedef struct
{
  EvpAbstractEventLoop *loop; /* constant */
  GThread *thread;            /* constant */
  GWeakRef endpoint;          /* an EvpDatagramEndpoint */
  GSocket *socket;            /* NULL once it is closed */
  int fd;
  EvpOperation *read;         /* waits until there is a datagram */
  EvpOperation *write;        /* waits until there is room */
  EvpDemand *demand;          /* while nobody wants what is there */
  EvpTimerHandle *guard;      /* meanwhile: never fires, but the loop drops it when it closes */
  EvpTimerHandle *retry;      /* sends again where the kernel cannot say when there is room */
  EvpDatagramEndpoint *kept;  /* while it flushes after close() */
  gboolean closing;
} EvpDatagramIo;

typedef struct
{
  GBytes *data;
  GSocketAddress *address; /* NULL: where the socket is connected to */
} EvpDatagram;

struct _EvpDatagramEndpoint
{
  GObject parent_instance;

  EvpDatagramIo *io;
  GSocketAddress *remote; /* NULL: none */
  gboolean connected;
  gboolean closing;
  gboolean closed;
  guint max_size;

  /* sending */
  GQueue queue; /* of EvpDatagram */
  gsize queued; /* bytes, with the overhead */
  gsize high_water;
  gboolean refused; /* a datagram, since the queue was empty last */
  double send_delay;

  /* receiving */
  GQueue receivers; /* of EvpLoopTask */
  EvpSockaddr last_native; /* the last sender: usually the next, too */
  socklen_t last_length;
  GSocketAddress *last_address;
};

G_DEFINE_FINAL_TYPE (EvpDatagramEndpoint, evp_datagram_endpoint, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_HIGH_WATER,
  PROP_MAX_SIZE,
  N_PROPS
};

enum
{
  DATAGRAM_RECEIVED,
  ERROR_RECEIVED,
  DRAINED,
  CLOSED,
  N_SIGNALS
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

static void evp_datagram_endpoint_receive_ready (EvpDatagramEndpoint *self);
static gboolean evp_datagram_endpoint_is_wanted (EvpDatagramEndpoint *self);
static void evp_datagram_endpoint_flush         (EvpDatagramEndpoint *self);
static void evp_datagram_endpoint_end_with_loop (EvpDatagramEndpoint *self);

static void
evp_datagram_free (gpointer data)
{
  EvpDatagram *datagram = data;

  g_clear_pointer (&datagram->data, g_bytes_unref);
  g_clear_object (&datagram->address);
  g_free (datagram);
}

static void
evp_datagram_io_clear (gpointer data)
{
  EvpDatagramIo *io = data;

  g_weak_ref_clear (&io->endpoint);
  evp_operation_unref (io->read);
  evp_operation_unref (io->write);
  g_clear_object (&io->socket);
  g_object_unref (io->loop);
}

static void
evp_datagram_io_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, evp_datagram_io_clear);
}

static void
evp_datagram_io_stop_timer (EvpTimerHandle **timer)
{
  EvpTimerHandle *handle = g_steal_pointer (timer);

  if (handle == NULL)
    return;
  evp_timer_handle_cancel (handle);
  evp_timer_handle_unref (handle);
}

static void
evp_datagram_io_stop_demand (EvpDatagramIo *io)
{
  evp_demand_stop (&io->demand);
  evp_datagram_io_stop_timer (&io->guard);
}

/* Closes the socket as soon as no operation needs it. */
static void
evp_datagram_io_try_close (EvpDatagramIo *io)
{
  g_autoptr (EvpDatagramEndpoint) kept = NULL;
  g_autoptr (EvpDatagramEndpoint) self = NULL;

  if (!io->closing || io->socket == NULL
      || io->read->state != EVP_OPERATION_IDLE || io->write->state != EVP_OPERATION_IDLE)
    return;
  evp_loop_retire_operation (io->read);
  evp_loop_retire_operation (io->write);
  evp_loop_socket_set_owner (io->socket, NULL);
  g_socket_close (io->socket, NULL);
  g_clear_object (&io->socket);
  kept = g_steal_pointer (&io->kept);
  self = g_weak_ref_get (&io->endpoint);
  if (self != NULL && !evp_event_loop_is_closed (io->loop))
    g_signal_emit (self, signals[CLOSED], 0);
}

static void
evp_datagram_io_close (EvpDatagramIo *io)
{
  io->closing = TRUE;
  evp_datagram_io_stop_demand (io);
  evp_datagram_io_stop_timer (&io->retry);
  evp_loop_cancel_operation (io->loop, io->read);
  evp_loop_cancel_operation (io->loop, io->write);
  evp_datagram_io_try_close (io);
}

/* For a release on the loop's thread, with a reference. */
static void
evp_datagram_io_close_and_unref (gpointer data)
{
  evp_datagram_io_close (data);
  evp_datagram_io_unref (data);
}

static gboolean
evp_datagram_io_arm (EvpDatagramIo *io,
                     EvpOperation  *operation,
                     GError       **error)
{
  if (operation->state != EVP_OPERATION_IDLE)
    return TRUE;
  if (!evp_loop_submit_operation (io->loop, operation, error))
    return FALSE;
  g_atomic_rc_box_acquire (io); /* given back when it completes */
  return TRUE;
}

/* The timer that @which points to is over, or its loop. */
static EvpDatagramEndpoint *
evp_datagram_io_end_timer (EvpDatagramIo   *io,
                           EvpTimerHandle **which)
{
  g_clear_pointer (which, evp_timer_handle_unref);
  return io->closing ? NULL : g_weak_ref_get (&io->endpoint);
}

static void
evp_datagram_io_retry_cb (gpointer user_data)
{
  EvpDatagramIo *io = user_data;
  g_autoptr (EvpDatagramEndpoint) self = evp_datagram_io_end_timer (io, &io->retry);

  if (self != NULL)
    evp_datagram_endpoint_flush (self);
}

/* Also when a loop that closes drops the timer. */
static void
evp_datagram_io_timer_gone (gpointer data)
{
  EvpDatagramIo *io = data;

  if (!io->closing && evp_event_loop_is_closed (io->loop))
    {
      g_autoptr (EvpDatagramEndpoint) self = g_weak_ref_get (&io->endpoint);

      if (self != NULL)
        evp_datagram_endpoint_end_with_loop (self);
    }
  evp_datagram_io_unref (io);
}

static void
evp_datagram_io_start_timer (EvpDatagramIo   *io,
                             EvpTimerHandle **timer,
                             double          *delay,
                             double           longest,
                             EvpCallback      callback)
{
  EvpTimerHandle *handle;

  handle = evp_event_loop_call_later (io->loop, *delay, callback, g_atomic_rc_box_acquire (io),
                                      evp_datagram_io_timer_gone, NULL);
  *delay = MIN (*delay * 2, longest);
  if (handle != NULL)
    *timer = evp_timer_handle_ref (handle);
}

static gboolean
evp_datagram_io_wanted_cb (gpointer data)
{
  EvpDatagramIo *io = data;
  g_autoptr (EvpDatagramEndpoint) self = g_weak_ref_get (&io->endpoint);

  return self != NULL && evp_datagram_endpoint_is_wanted (self);
}

static void
evp_datagram_io_resume_cb (gpointer data)
{
  EvpDatagramIo *io = data;
  g_autoptr (EvpDatagramEndpoint) self = g_weak_ref_get (&io->endpoint);

  evp_datagram_io_stop_demand (io);
  if (self != NULL)
    evp_datagram_endpoint_receive_ready (self);
}

static const EvpDemandFuncs evp_datagram_demand_funcs = {
  evp_datagram_io_wanted_cb,
  evp_datagram_io_resume_cb,
};

static void
evp_datagram_io_guard_cb (gpointer user_data)
{
}

static void
evp_datagram_io_start_demand (EvpDatagramIo *io)
{
  double never = INFINITY;

  if (io->demand != NULL)
    return;
  io->demand = evp_demand_start (io->loop, &evp_datagram_demand_funcs, g_atomic_rc_box_acquire (io),
                                 evp_datagram_io_unref);
  evp_datagram_io_start_timer (io, &io->guard, &never, never, evp_datagram_io_guard_cb);
}

static void
evp_datagram_endpoint_clear_queue (EvpDatagramEndpoint *self)
{
  g_queue_clear_full (&self->queue, evp_datagram_free);
  self->queued = 0;
}

static void
evp_datagram_endpoint_fail_receivers (EvpDatagramEndpoint *self,
                                      const GError        *error)
{
  EvpLoopTask *task;

  while ((task = g_queue_pop_head (&self->receivers)) != NULL)
    {
      if (g_error_matches (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED))
        evp_loop_task_return_error_now (task, g_error_copy (error));
      else
        evp_loop_task_return_error (task, g_error_copy (error));
      g_object_unref (task);
    }
}

/* At once, without flushing. */
static void
evp_datagram_endpoint_shut (EvpDatagramEndpoint *self,
                            const GError        *reason)
{
  self->closing = TRUE;
  self->closed = TRUE;
  evp_datagram_endpoint_clear_queue (self);
  evp_datagram_endpoint_fail_receivers (self, reason);
  evp_datagram_io_close (self->io);
}

static GError *
evp_datagram_endpoint_closed_error (void)
{
  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CLOSED, _("The datagram endpoint is closed"));
}

/* The loop is closed: so is the endpoint. */
static void
evp_datagram_endpoint_end_with_loop (EvpDatagramEndpoint *self)
{
  g_autoptr (GError) reason = g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                                   _("The event loop is closed; make a new one"));

  evp_datagram_endpoint_shut (self, reason);
}

/* In a callback of the loop. Who waits for a datagram hears of the error, too. */
static void
evp_datagram_endpoint_report (EvpDatagramEndpoint *self,
                              const GError        *error)
{
  g_autoptr (EvpLoopTask) task = g_queue_pop_head (&self->receivers);

  if (task != NULL)
    evp_loop_task_return_error (task, g_error_copy (error));
  g_signal_emit (self, signals[ERROR_RECEIVED], 0, error);
}

typedef struct
{
  EvpDatagramEndpoint *endpoint;
  GError *error;
} EvpDatagramReport;

static void
evp_datagram_report_free (gpointer data)
{
  EvpDatagramReport *report = data;

  g_object_unref (report->endpoint);
  g_error_free (report->error);
  g_free (report);
}

static void
evp_datagram_report_cb (gpointer user_data)
{
  EvpDatagramReport *report = user_data;

  if (!report->endpoint->closed)
    evp_datagram_endpoint_report (report->endpoint, report->error);
}

/* The same from a function of the user. */
static void
evp_datagram_endpoint_report_soon (EvpDatagramEndpoint *self,
                                   GError              *error) /* (transfer full) */
{
  EvpDatagramReport *report = g_new (EvpDatagramReport, 1);

  report->endpoint = g_object_ref (self);
  report->error = error;
  evp_event_loop_call_soon (self->io->loop, evp_datagram_report_cb, report, evp_datagram_report_free, NULL);
}

static GError *
evp_datagram_error (int         saved_errno,
                    const char *what)
{
  GError *error = NULL;

  evp_set_error_from_errno (&error, saved_errno, "%s", what);
  return error;
}

/* Sending */

/* The number of bytes, or minus errno. */
static gssize
evp_datagram_endpoint_send_now (EvpDatagramEndpoint *self,
                                EvpDatagram         *datagram)
{
  gsize size;
  gconstpointer bytes = g_bytes_get_data (datagram->data, &size);
  EvpSockaddr native;
  socklen_t length = 0;
  gssize n;

  if (datagram->address != NULL)
    {
      length = (socklen_t) g_socket_address_get_native_size (datagram->address);
      if (length > sizeof native
          || !g_socket_address_to_native (datagram->address, &native, sizeof native, NULL))
        return -EAFNOSUPPORT;
    }
  do
    n = sendto (self->io->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL, length > 0 ? &native.any : NULL, length);
  while (n < 0 && errno == EINTR);
  return n < 0 ? -errno : n;
}

/* Waits for room. It fails when the loop does; then nothing can be sent. */
static void
evp_datagram_endpoint_await_room (EvpDatagramEndpoint *self)
{
  g_autoptr (GError) error = NULL;

  if (evp_datagram_io_arm (self->io, self->io->write, &error))
    return;
  evp_datagram_endpoint_clear_queue (self);
  evp_datagram_endpoint_report_soon (self, g_steal_pointer (&error));
}

/* Everything that was queued is out, or given up. */
static void
evp_datagram_endpoint_flushed (EvpDatagramEndpoint *self)
{
  if (self->closing)
    {
      self->closed = TRUE;
      evp_datagram_io_close (self->io);
    }
  else if (self->refused)
    {
      self->refused = FALSE;
      g_signal_emit (self, signals[DRAINED], 0);
    }
}

static void
evp_datagram_endpoint_flush (EvpDatagramEndpoint *self)
{
  EvpDatagram *datagram;
  guint n_sent = 0;

  while (n_sent < EVP_DATAGRAM_BATCH && (datagram = g_queue_peek_head (&self->queue)) != NULL)
    {
      gssize n = evp_datagram_endpoint_send_now (self, datagram);

      if (n == -EAGAIN || n == -EWOULDBLOCK)
        break;
      n_sent++;
      self->send_delay = EVP_DATAGRAM_FIRST_DELAY;
      g_queue_pop_head (&self->queue);
      self->queued -= g_bytes_get_size (datagram->data) + EVP_DATAGRAM_OVERHEAD;
      evp_datagram_free (datagram);
      if (n < 0)
        {
          g_autoptr (GError) error = evp_datagram_error ((int) -n, _("Cannot send a datagram"));

          evp_datagram_endpoint_report (self, error);
        }
      if (self->closed)
        return;
    }
  if (g_queue_is_empty (&self->queue))
    evp_datagram_endpoint_flushed (self);
  else if (n_sent > 0)
    evp_datagram_endpoint_await_room (self);
  else if (self->io->retry == NULL) /* a handler may have run a loop of its own, and that has come here */
    /* The kernel said that there is room, and there is none: for a unix socket that is not connected it
     * knows no better, because the room is that of a receiver. */
    evp_datagram_io_start_timer (self->io, &self->io->retry, &self->send_delay,
                                 EVP_DATAGRAM_LAST_SEND_DELAY, evp_datagram_io_retry_cb);
}

static void
evp_datagram_write_ready_cb (EvpOperation *operation,
                             gpointer      user_data)
{
  EvpDatagramIo *io = user_data;
  g_autoptr (EvpDatagramEndpoint) self = g_weak_ref_get (&io->endpoint);

  if (io->closing)
    evp_datagram_io_try_close (io);
  else if (self != NULL && evp_event_loop_is_closed (io->loop))
    evp_datagram_endpoint_end_with_loop (self);
  else if (self != NULL)
    evp_datagram_endpoint_flush (self);
  evp_datagram_io_unref (io);
}

/* Receiving */

static void
evp_datagram_scratch_free (gpointer data)
{
  g_byte_array_unref (data);
}

/* Room for one datagram; shared by all endpoints of the thread, for as long as it takes to copy it out. */
static gpointer
evp_datagram_scratch (guint size)
{
  static GPrivate scratch = G_PRIVATE_INIT (evp_datagram_scratch_free);
  GByteArray *array = g_private_get (&scratch);

  if (array == NULL)
    {
      array = g_byte_array_new ();
      g_private_set (&scratch, array);
    }
  if (array->len < size)
    g_byte_array_set_size (array, size);
  return array->data;
}

static gboolean
evp_datagram_endpoint_is_wanted (EvpDatagramEndpoint *self)
{
  return !self->closing
         && (!g_queue_is_empty (&self->receivers)
             || g_signal_has_handler_pending (self, signals[DATAGRAM_RECEIVED], 0, FALSE));
}

/* The sender, (transfer full). */
static GSocketAddress *
evp_datagram_endpoint_get_sender (EvpDatagramEndpoint *self,
                                  const EvpSockaddr   *native,
                                  socklen_t            length)
{
  GSocketAddress *address = NULL;

  if (self->last_address != NULL && length == self->last_length
      && memcmp (native, &self->last_native, length) == 0)
    return g_object_ref (self->last_address);

  if (length > 0)
    address = g_socket_address_new_from_native ((gpointer) native, length);
  if (address == NULL) /* it has no name */
    address = g_unix_socket_address_new_with_type ("", 0, G_UNIX_SOCKET_ADDRESS_ANONYMOUS);
  memcpy (&self->last_native, native, length);
  self->last_length = length;
  g_set_object (&self->last_address, address);
  return address;
}

typedef struct
{
  GBytes *data;
  GSocketAddress *address;
} EvpReceivedDatagram;

static void
evp_received_datagram_free (gpointer data)
{
  EvpReceivedDatagram *received = data;

  g_clear_pointer (&received->data, g_bytes_unref);
  g_clear_object (&received->address);
  g_free (received);
}

static void
evp_datagram_endpoint_deliver (EvpDatagramEndpoint *self,
                               GBytes              *data,
                               GSocketAddress      *address)
{
  g_autoptr (EvpLoopTask) task = g_queue_pop_head (&self->receivers);
  EvpReceivedDatagram *received;

  if (task == NULL)
    {
      g_signal_emit (self, signals[DATAGRAM_RECEIVED], 0, data, address);
      return;
    }
  received = g_new (EvpReceivedDatagram, 1);
  received->data = g_bytes_ref (data);
  received->address = g_object_ref (address);
  evp_loop_task_return_pointer (task, received, evp_received_datagram_free);
}

/* Takes one datagram from the socket; FALSE if there is none. */
static gboolean
evp_datagram_endpoint_receive_one (EvpDatagramEndpoint *self)
{
  EvpSockaddr native;
  struct iovec room = { evp_datagram_scratch (self->max_size), self->max_size };
  struct msghdr message = { .msg_name = &native, .msg_namelen = sizeof native, .msg_iov = &room, .msg_iovlen = 1 };
  gssize n;

  do
    n = recvmsg (self->io->fd, &message, MSG_DONTWAIT);
  while (n < 0 && errno == EINTR);

  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return FALSE;
  if (n < 0)
    {
      g_autoptr (GError) error = evp_datagram_error (errno, _("Cannot receive a datagram"));

      evp_datagram_endpoint_report (self, error);
    }
  else if ((message.msg_flags & MSG_TRUNC) != 0)
    {
      g_autoptr (GError) error =
        g_error_new (G_IO_ERROR, G_IO_ERROR_MESSAGE_TOO_LARGE,
                     _("A datagram of more than %u bytes was dropped; set a larger “max-size”"), self->max_size);

      evp_datagram_endpoint_report (self, error);
    }
  else
    {
      g_autoptr (GBytes) data = g_bytes_new (room.iov_base, (gsize) n);
      g_autoptr (GSocketAddress) address = evp_datagram_endpoint_get_sender (self, &native, message.msg_namelen);

      evp_datagram_endpoint_deliver (self, data, address);
    }
  return TRUE;
}

/* Waits for the next datagram, whether anybody wants it or not: handlers come without notice. */
static void
evp_datagram_endpoint_await_datagram (EvpDatagramEndpoint *self)
{
  g_autoptr (GError) error = NULL;

  if (self->closing || evp_datagram_io_arm (self->io, self->io->read, &error))
    return;
  evp_datagram_endpoint_fail_receivers (self, error);
  evp_datagram_endpoint_report_soon (self, g_steal_pointer (&error));
}

/* What the socket has to say when nobody asks it for datagrams, to those who asked for errors. */
static GError *
evp_datagram_endpoint_take_error (EvpDatagramEndpoint *self)
{
  int saved_errno = 0;
  socklen_t length = sizeof saved_errno;

  if (!g_signal_has_handler_pending (self, signals[ERROR_RECEIVED], 0, FALSE)
      || getsockopt (self->io->fd, SOL_SOCKET, SO_ERROR, &saved_errno, &length) < 0
      || saved_errno == 0)
    return NULL;
  return evp_datagram_error (saved_errno, _("Cannot receive a datagram"));
}

static void
evp_datagram_endpoint_receive_ready (EvpDatagramEndpoint *self)
{
  if (self->closing)
    return;
  if (!evp_datagram_endpoint_is_wanted (self))
    {
      g_autoptr (GError) error = evp_datagram_endpoint_take_error (self);

      if (error == NULL)
        {
          /* it stays in the socket */
          evp_datagram_io_start_demand (self->io);
          return;
        }
      evp_datagram_endpoint_await_datagram (self); /* first: a handler may run a loop of its own */
      evp_datagram_endpoint_report (self, error);
      return;
    }
  evp_datagram_endpoint_await_datagram (self); /* first: a handler may run a loop of its own */
  for (guint i = 0; i < EVP_DATAGRAM_BATCH && evp_datagram_endpoint_is_wanted (self); i++)
    if (!evp_datagram_endpoint_receive_one (self))
      break;
}

static void
evp_datagram_read_ready_cb (EvpOperation *operation,
                            gpointer      user_data)
{
  EvpDatagramIo *io = user_data;
  g_autoptr (EvpDatagramEndpoint) self = g_weak_ref_get (&io->endpoint);

  if (io->closing)
    evp_datagram_io_try_close (io);
  else if (self != NULL && evp_event_loop_is_closed (io->loop))
    evp_datagram_endpoint_end_with_loop (self);
  else if (self != NULL && operation->result != -ECANCELED)
    evp_datagram_endpoint_receive_ready (self);
  evp_datagram_io_unref (io);
}

static void
evp_datagram_endpoint_cancel_receive_cb (EvpLoopTask *task,
                                         gpointer     data)
{
  EvpDatagramEndpoint *self = data;

  if (g_queue_remove (&self->receivers, task))
    {
      evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                      "%s", _("Operation was cancelled"));
      g_object_unref (task);
    }
}

static void
evp_datagram_endpoint_finalize (GObject *object)
{
  EvpDatagramEndpoint *self = EVP_DATAGRAM_ENDPOINT (object);
  EvpDatagramIo *io = self->io;

  if (io != NULL && !self->closed)
    {
      evp_warn_runtime (_("A datagram endpoint (%p) was dropped without being closed; call close() when it is done"),
                        (void *) self);
      if (evp_loop_is_local_thread (io->loop, io->thread))
        evp_datagram_io_close_and_unref (io);
      else
        evp_loop_post_release (io->loop, evp_datagram_io_close_and_unref, io);
    }
  else if (io != NULL)
    evp_datagram_io_unref (io);
  evp_datagram_endpoint_clear_queue (self);
  g_clear_object (&self->remote);
  g_clear_object (&self->last_address);

  G_OBJECT_CLASS (evp_datagram_endpoint_parent_class)->finalize (object);
}

static void
evp_datagram_endpoint_get_property (GObject    *object,
                                    guint       property_id,
                                    GValue     *value,
                                    GParamSpec *pspec)
{
  EvpDatagramEndpoint *self = EVP_DATAGRAM_ENDPOINT (object);

  switch (property_id)
    {
    case PROP_HIGH_WATER:
      g_value_set_uint64 (value, self->high_water);
      break;
    case PROP_MAX_SIZE:
      g_value_set_uint (value, self->max_size);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_datagram_endpoint_set_property (GObject      *object,
                                    guint         property_id,
                                    const GValue *value,
                                    GParamSpec   *pspec)
{
  EvpDatagramEndpoint *self = EVP_DATAGRAM_ENDPOINT (object);

  switch (property_id)
    {
    case PROP_HIGH_WATER:
      evp_datagram_endpoint_set_high_water (self, (gsize) g_value_get_uint64 (value));
      break;
    case PROP_MAX_SIZE:
      evp_datagram_endpoint_set_max_size (self, g_value_get_uint (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_datagram_endpoint_class_init (EvpDatagramEndpointClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = evp_datagram_endpoint_finalize;
  object_class->get_property = evp_datagram_endpoint_get_property;
  object_class->set_property = evp_datagram_endpoint_set_property;

  /**
   * EvpDatagramEndpoint:high-water:
   *
   * How many bytes may wait to be sent before a further datagram is refused.
   *
   * Each datagram counts for its bytes and 64 more.
   *
   * Since: 1.0
   */
  properties[PROP_HIGH_WATER] =
    g_param_spec_uint64 ("high-water", NULL, NULL, 0, G_MAXSIZE, EVP_DATAGRAM_DEFAULT_HIGH_WATER, flags);

  /**
   * EvpDatagramEndpoint:max-size:
   *
   * The size of the largest datagram that is received.
   *
   * A larger one is dropped, and reported as %G_IO_ERROR_MESSAGE_TOO_LARGE. No UDP datagram is larger than 64 KiB.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_SIZE] =
    g_param_spec_uint ("max-size", NULL, NULL, 1, G_MAXINT, EVP_DATAGRAM_DEFAULT_MAX_SIZE, flags);

  g_object_class_install_properties (object_class, N_PROPS, properties);

  /**
   * EvpDatagramEndpoint::datagram-received:
   * @self: the endpoint
   * @data: what was received; perhaps empty
   * @address: who sent it
   *
   * A datagram has arrived, and no [method@Evp.DatagramEndpoint.receive_async] waits for one.
   *
   * Emitted on the thread of the loop.
 *
 * Since: 1.0
   */
  signals[DATAGRAM_RECEIVED] =
    g_signal_new ("datagram-received", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                  G_TYPE_NONE, 2, G_TYPE_BYTES, G_TYPE_SOCKET_ADDRESS);

  /**
   * EvpDatagramEndpoint::error-received:
   * @self: the endpoint
   * @error: what the system says
   *
   * A datagram could not be sent or received.
   *
   * The endpoint goes on. On a connected socket %G_IO_ERROR_CONNECTION_REFUSED tells that nobody receives at the other end.
   * If a [method@Evp.DatagramEndpoint.receive_async] waits it fails with the same error. A handler is told also
   * while nobody wants datagrams, as long as none lies in the socket.
   *
   * Emitted on the thread of the loop.
 *
 * Since: 1.0
   */
  signals[ERROR_RECEIVED] =
    g_signal_new ("error-received", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                  G_TYPE_NONE, 1, G_TYPE_ERROR);

  /**
   * EvpDatagramEndpoint::drained:
   * @self: the endpoint
   *
   * After a datagram was refused, everything that waited has been sent.
   *
   * Emitted on the thread of the loop.
 *
 * Since: 1.0
   */
  signals[DRAINED] =
    g_signal_new ("drained", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);

  /**
   * EvpDatagramEndpoint::closed:
   * @self: the endpoint
   *
   * The endpoint was closed, what waited has been sent, and the socket is closed.
   *
   * Emitted on the thread of the loop.
 *
 * Since: 1.0
   */
  signals[CLOSED] =
    g_signal_new ("closed", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
evp_datagram_endpoint_init (EvpDatagramEndpoint *self)
{
  g_queue_init (&self->queue);
  g_queue_init (&self->receivers);
  self->high_water = EVP_DATAGRAM_DEFAULT_HIGH_WATER;
  self->max_size = EVP_DATAGRAM_DEFAULT_MAX_SIZE;
  self->send_delay = EVP_DATAGRAM_FIRST_DELAY;
  /* one that was made by itself, as languages can, has no loop and no socket: it is closed from the beginning */
  self->closing = TRUE;
  self->closed = TRUE;
}

EvpDatagramEndpoint *
evp_datagram_endpoint_new (EvpAbstractEventLoop *loop,
                           GSocket              *socket,
                           GSocketAddress       *remote,
                           GError              **error)
{
  g_autoptr (EvpDatagramEndpoint) self = g_object_new (EVP_TYPE_DATAGRAM_ENDPOINT, NULL);
  EvpDatagramIo *io = g_atomic_rc_box_new0 (EvpDatagramIo);
  EvpSockaddr peer;
  socklen_t length = sizeof peer;

  io->loop = g_object_ref (loop);
  io->thread = g_thread_self ();
  io->socket = g_object_ref (socket);
  io->fd = g_socket_get_fd (socket);
  io->read = evp_operation_new (EVP_OPERATION_POLL, io->fd, evp_datagram_read_ready_cb, io);
  io->read->events = EVP_IO_EVENTS_READ;
  io->write = evp_operation_new (EVP_OPERATION_POLL, io->fd, evp_datagram_write_ready_cb, io);
  io->write->events = EVP_IO_EVENTS_WRITE;
  g_weak_ref_init (&io->endpoint, self);
  evp_loop_socket_set_owner (socket, loop);

  self->io = io;
  self->closing = FALSE;
  self->closed = FALSE;
  self->connected = getpeername (io->fd, &peer.any, &length) == 0;
  if (self->connected && remote == NULL)
    self->remote = g_socket_get_remote_address (socket, NULL);
  else
    g_set_object (&self->remote, remote);
  if (!evp_datagram_io_arm (io, io->read, error))
    {
      self->closing = TRUE;
      self->closed = TRUE;
      io->closing = TRUE;
      evp_loop_socket_set_owner (socket, NULL); /* it stays the caller's */
      g_clear_object (&io->socket);
      return NULL;
    }
  return g_steal_pointer (&self);
}

/**
 * evp_datagram_endpoint_get_loop:
 * @self: an endpoint
 *
 * Gets the loop of the endpoint.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none): the loop
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_datagram_endpoint_get_loop (EvpDatagramEndpoint *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self), NULL);
  g_return_val_if_fail (self->io != NULL, NULL);

  return self->io->loop;
}

/**
 * evp_datagram_endpoint_get_socket:
 * @self: an endpoint
 *
 * Gets the socket, to set its options: multicast groups, for example.
 *
 * It belongs to the endpoint: do not close it, make it blocking, or receive from it.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (transfer none) (nullable): the socket, or %NULL once it is closed
 *
 * Since: 1.0
 */
GSocket *
evp_datagram_endpoint_get_socket (EvpDatagramEndpoint *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self), NULL);

  return self->io != NULL ? self->io->socket : NULL;
}

/**
 * evp_datagram_endpoint_get_local_address:
 * @self: an endpoint
 * @error: return location for an error
 *
 * Gets the address that the socket is bound to, with the port that the system has chosen.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR_CLOSED once the endpoint is closed; %G_IO_ERROR with what the system says.
 *
 * Returns: (transfer full): the address, or %NULL with @error set
 *
 * Since: 1.0
 */
GSocketAddress *
evp_datagram_endpoint_get_local_address (EvpDatagramEndpoint *self,
                                         GError             **error)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self), NULL);

  if (self->io == NULL || self->io->socket == NULL)
    {
      g_propagate_error (error, evp_datagram_endpoint_closed_error ());
      return NULL;
    }
  return g_socket_get_local_address (self->io->socket, error);
}

/**
 * evp_datagram_endpoint_get_remote_address:
 * @self: an endpoint
 *
 * Gets the address that the endpoint sends to when [method@Evp.DatagramEndpoint.send] is given none.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (transfer none) (nullable): the address, or %NULL if each datagram needs one of its own
 *
 * Since: 1.0
 */
GSocketAddress *
evp_datagram_endpoint_get_remote_address (EvpDatagramEndpoint *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self), NULL);

  return self->remote;
}

/**
 * evp_datagram_endpoint_is_closing:
 * @self: an endpoint
 *
 * Says whether the endpoint was closed, or is about to be when everything has been sent.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: whether nothing can be sent or received any more
 *
 * Since: 1.0
 */
gboolean
evp_datagram_endpoint_is_closing (EvpDatagramEndpoint *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self), TRUE);

  return self->closing;
}

/**
 * evp_datagram_endpoint_get_high_water:
 * @self: an endpoint
 *
 * Gets how many bytes may wait to be sent before a further datagram is refused.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: number of bytes
 *
 * Since: 1.0
 */
gsize
evp_datagram_endpoint_get_high_water (EvpDatagramEndpoint *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self), 0);

  return self->high_water;
}

/**
 * evp_datagram_endpoint_set_high_water:
 * @self: an endpoint
 * @high_water: number of bytes; 0 lets one datagram wait
 *
 * Sets how many bytes may wait to be sent before a further datagram is refused.
 *
 * Each datagram counts for its bytes and 64 more. What waits already is kept.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_datagram_endpoint_set_high_water (EvpDatagramEndpoint *self,
                                      gsize                high_water)
{
  g_return_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self));

  if (self->high_water == high_water)
    return;
  self->high_water = high_water;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_HIGH_WATER]);
}

/**
 * evp_datagram_endpoint_get_max_size:
 * @self: an endpoint
 *
 * Gets the size of the largest datagram that is received.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: number of bytes
 *
 * Since: 1.0
 */
guint
evp_datagram_endpoint_get_max_size (EvpDatagramEndpoint *self)
{
  g_return_val_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self), 0);

  return self->max_size;
}

/**
 * evp_datagram_endpoint_set_max_size:
 * @self: an endpoint
 * @max_size: number of bytes, at least 1
 *
 * Sets the size of the largest datagram that is received.
 *
 * A larger one is dropped, and reported as %G_IO_ERROR_MESSAGE_TOO_LARGE.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_datagram_endpoint_set_max_size (EvpDatagramEndpoint *self,
                                    guint                max_size)
{
  g_return_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self));
  g_return_if_fail (max_size > 0 && max_size <= G_MAXINT);

  if (self->max_size == max_size)
    return;
  self->max_size = max_size;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_SIZE]);
}

static gboolean
evp_socket_address_equal (GSocketAddress *one,
                          GSocketAddress *other)
{
  gssize size = g_socket_address_get_native_size (one);
  EvpSockaddr native[2];

  if (one == other)
    return TRUE;
  return size == g_socket_address_get_native_size (other) && (gsize) size <= sizeof native[0]
         && g_socket_address_to_native (one, &native[0], sizeof native[0], NULL)
         && g_socket_address_to_native (other, &native[1], sizeof native[1], NULL)
         && memcmp (&native[0], &native[1], (gsize) size) == 0;
}

/**
 * evp_datagram_endpoint_send:
 * @self: an endpoint
 * @data: the datagram; may be empty
 * @address: (nullable): where to; %NULL for the endpoint's remote address
 * @error: return location for an error
 *
 * Sends a datagram.
 *
 * It is sent at once if the socket has room. If not it waits, in the order of sending, and more than
 * [property@Evp.DatagramEndpoint:high-water] bytes of waiting datagrams are refused with %G_IO_ERROR_WOULD_BLOCK;
 * [signal@Evp.DatagramEndpoint::drained] tells when to go on.
 *
 * What the system has against a datagram, for example that it is too large, comes with the signal
 * [signal@Evp.DatagramEndpoint::error-received], and not from here. That it was sent does not mean that it arrives.
 *
 * Corresponds to asyncio's `DatagramTransport.sendto()`.
 *
 * Use it from the thread of the loop. O(n), without copying.
 *
 * Errors: %G_IO_ERROR_WOULD_BLOCK; %EVP_ERROR_INVALID_ARGUMENT if the endpoint has a remote address and
 * @address is another one, or if there is none; %G_IO_ERROR_CLOSED; %EVP_ERROR_LOOP_CLOSED.
 *
 * Returns: %TRUE if it was sent or waits to be, %FALSE with @error set
 *
 * Since: 1.0
 */
gboolean
evp_datagram_endpoint_send (EvpDatagramEndpoint *self,
                            GBytes              *data,
                            GSocketAddress      *address,
                            GError             **error)
{
  EvpDatagram datagram = { data, NULL };
  gssize n = -EAGAIN;

  g_return_val_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self), FALSE);
  g_return_val_if_fail (data != NULL, FALSE);
  g_return_val_if_fail (address == NULL || G_IS_SOCKET_ADDRESS (address), FALSE);

  if (self->io != NULL && evp_event_loop_is_closed (self->io->loop))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return FALSE;
    }
  if (self->closing)
    {
      g_propagate_error (error, evp_datagram_endpoint_closed_error ());
      return FALSE;
    }
  if (self->remote != NULL && address != NULL && !evp_socket_address_equal (self->remote, address))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The endpoint sends to its remote address only; leave the address out"));
      return FALSE;
    }
  if (self->remote == NULL && address == NULL && !self->connected)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The endpoint has no remote address; give one with each datagram"));
      return FALSE;
    }
  if (!self->connected)
    datagram.address = address != NULL ? address : self->remote;

  if (g_queue_is_empty (&self->queue))
    {
      n = evp_datagram_endpoint_send_now (self, &datagram);
    }
  else if (self->queued > self->high_water)
    {
      self->refused = TRUE;
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK,
                   _("%lu bytes wait to be sent already; go on when they are out"), (gulong) self->queued);
      return FALSE;
    }
  if (n >= 0)
    return TRUE;
  if (n != -EAGAIN && n != -EWOULDBLOCK)
    {
      evp_datagram_endpoint_report_soon (self, evp_datagram_error ((int) -n, _("Cannot send a datagram")));
      return TRUE;
    }
  g_bytes_ref (data);
  if (datagram.address != NULL)
    g_object_ref (datagram.address);
  self->queued += g_bytes_get_size (data) + EVP_DATAGRAM_OVERHEAD;
  g_queue_push_tail (&self->queue, g_memdup2 (&datagram, sizeof datagram));
  if (g_queue_get_length (&self->queue) == 1)
    evp_datagram_endpoint_await_room (self);
  return TRUE;
}

/**
 * evp_datagram_endpoint_receive_async:
 * @self: an endpoint
 * @cancellable: (nullable): ends the wait; no datagram is lost
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Waits for a datagram.
 *
 * Several calls may wait; they are served in order, and before the handlers of
 * [signal@Evp.DatagramEndpoint::datagram-received].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_datagram_endpoint_receive_async (EvpDatagramEndpoint *self,
                                     GCancellable        *cancellable,
                                     GAsyncReadyCallback  callback,
                                     gpointer             user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self));
  g_return_if_fail (self->io != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self->io->loop, self, evp_datagram_endpoint_receive_async,
                            cancellable, callback, user_data);
  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    {
      evp_loop_task_return_error (task, error);
      return;
    }
  if (evp_event_loop_is_closed (self->io->loop))
    {
      evp_loop_task_return_new_error (task, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                      "%s", _("The event loop is closed; make a new one"));
      return;
    }
  if (self->closing)
    {
      evp_loop_task_return_error (task, evp_datagram_endpoint_closed_error ());
      return;
    }
  g_queue_push_tail (&self->receivers, g_object_ref (task));
  evp_loop_task_set_cancel_func (task, evp_datagram_endpoint_cancel_receive_cb, self);
  evp_datagram_io_stop_demand (self->io);
  evp_datagram_endpoint_await_datagram (self);
}

/**
 * evp_datagram_endpoint_receive_finish:
 * @self: an endpoint
 * @result: what the callback got
 * @address: (out) (optional) (transfer full): return location for the address of the sender
 * @error: return location for an error
 *
 * Finishes waiting for a datagram.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR with what the system says, after which the endpoint goes on, for example
 * %G_IO_ERROR_CONNECTION_REFUSED; %G_IO_ERROR_MESSAGE_TOO_LARGE for a datagram of more than
 * [property@Evp.DatagramEndpoint:max-size]; %G_IO_ERROR_CLOSED once the endpoint is closed;
 * %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): the datagram, perhaps empty, or %NULL with @error set
 *
 * Since: 1.0
 */
GBytes *
evp_datagram_endpoint_receive_finish (EvpDatagramEndpoint *self,
                                      GAsyncResult        *result,
                                      GSocketAddress     **address,
                                      GError             **error)
{
  EvpReceivedDatagram *received;
  GBytes *data = NULL;

  g_return_val_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_datagram_endpoint_receive_async), NULL);

  if (address != NULL)
    *address = NULL;
  received = evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
  if (received != NULL)
    {
      data = g_steal_pointer (&received->data);
      if (address != NULL)
        *address = g_steal_pointer (&received->address);
      evp_received_datagram_free (received);
    }
  return data;
}

/**
 * evp_datagram_endpoint_close:
 * @self: an endpoint
 *
 * Closes the endpoint.
 *
 * Nothing is received any more, and whoever waits fails with %G_IO_ERROR_CLOSED. Datagrams that wait to
 * be sent still are; then the socket is closed, and the signal [signal@Evp.DatagramEndpoint::closed] says so.
 * Until then the endpoint is kept. Calling it again does no harm.
 *
 * Use it from the thread of the loop. O(n) in what waits to be received.
 *
 * Since: 1.0
 */
void
evp_datagram_endpoint_close (EvpDatagramEndpoint *self)
{
  g_autoptr (GError) reason = NULL;

  g_return_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self));

  if (self->closing)
    return;
  if (g_queue_is_empty (&self->queue) || evp_event_loop_is_closed (self->io->loop))
    {
      evp_datagram_endpoint_abort (self);
      return;
    }
  self->closing = TRUE;
  self->io->kept = g_object_ref (self);
  evp_datagram_io_stop_demand (self->io);
  evp_loop_cancel_operation (self->io->loop, self->io->read);
  reason = evp_datagram_endpoint_closed_error ();
  evp_datagram_endpoint_fail_receivers (self, reason);
}

/**
 * evp_datagram_endpoint_abort:
 * @self: an endpoint
 *
 * Closes the endpoint at once: datagrams that wait to be sent are dropped.
 *
 * Use it from the thread of the loop. O(n) in what waits.
 *
 * Since: 1.0
 */
void
evp_datagram_endpoint_abort (EvpDatagramEndpoint *self)
{
  g_autoptr (GError) reason = NULL;

  g_return_if_fail (EVP_IS_DATAGRAM_ENDPOINT (self));

  if (self->closed)
    return;
  reason = evp_datagram_endpoint_closed_error ();
  evp_datagram_endpoint_shut (self, reason);
}
