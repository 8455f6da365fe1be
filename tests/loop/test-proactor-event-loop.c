/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A proactor as somebody else would write it: it can read, from nowhere, and does so when it is polled. */

#define TEST_TYPE_PROACTOR (test_proactor_get_type ())
G_DECLARE_FINAL_TYPE (TestProactor, test_proactor, TEST, PROACTOR, EvpProactor)

struct _TestProactor
{
  EvpProactor parent_instance;
  GMainContext *context;
  EvpOperation *operation;
  guint n_cancelled;
  gboolean closed;
  GByteArray *sent; /* not NULL: it sends, a few bytes at a time */
  gsize n_sendable; /* so many in all, then the peer is gone */
};

G_DEFINE_FINAL_TYPE (TestProactor, test_proactor, EVP_TYPE_PROACTOR)

static void
test_proactor_attach (EvpProactor  *proactor,
                      GMainContext *context)
{
  g_assert_null (TEST_PROACTOR (proactor)->context);
  TEST_PROACTOR (proactor)->context = context;
}

static gboolean
test_proactor_supports (EvpProactor     *proactor,
                        EvpOperationKind kind)
{
  return kind == EVP_OPERATION_READ || (kind == EVP_OPERATION_SEND && TEST_PROACTOR (proactor)->sent != NULL);
}

static gboolean
test_proactor_submit (EvpProactor  *proactor,
                      EvpOperation *operation,
                      GError      **error)
{
  TestProactor *self = TEST_PROACTOR (proactor);

  g_assert_nonnull (self->context);
  g_assert_null (self->operation);
  self->operation = evp_operation_ref (operation);
  return TRUE;
}

static void
test_proactor_cancel (EvpProactor  *proactor,
                      EvpOperation *operation)
{
  TEST_PROACTOR (proactor)->n_cancelled++;
}

static void
end (TestProactor *self,
     gssize        result)
{
  EvpOperation *operation = g_steal_pointer (&self->operation);

  if (result < 0)
    evp_operation_fail (operation, (int) -result);
  else
    evp_operation_complete (operation, result);
  evp_operation_unref (operation);
}

static void
send_part (TestProactor *self)
{
  g_autoptr (GBytes) bytes = evp_operation_copy_data (self->operation);
  gsize n = MIN (MIN (3, g_bytes_get_size (bytes)), self->n_sendable);

  g_byte_array_append (self->sent, g_bytes_get_data (bytes, NULL), (guint) n);
  self->n_sendable -= n;
  end (self, n > 0 ? (gssize) n : -EPIPE);
}

static guint
test_proactor_poll (EvpProactor *proactor)
{
  TestProactor *self = TEST_PROACTOR (proactor);
  g_autoptr (GBytes) bytes = g_bytes_new_static ("made up", 7);

  if (self->operation == NULL || evp_operation_get_offset (self->operation) > 0)
    return 0;
  if (evp_operation_get_kind (self->operation) == EVP_OPERATION_SEND)
    {
      send_part (self);
      return 1;
    }
  end (self, (gssize) evp_operation_store_data (self->operation, bytes));
  return 1;
}

static void
test_proactor_close (EvpProactor *proactor)
{
  TestProactor *self = TEST_PROACTOR (proactor);

  if (self->operation != NULL)
    end (self, -ECANCELED);
  self->closed = TRUE;
}

static void
test_proactor_class_init (TestProactorClass *klass)
{
  EvpProactorClass *proactor_class = EVP_PROACTOR_CLASS (klass);

  proactor_class->attach = test_proactor_attach;
  proactor_class->supports = test_proactor_supports;
  proactor_class->submit = test_proactor_submit;
  proactor_class->cancel = test_proactor_cancel;
  proactor_class->poll = test_proactor_poll;
  proactor_class->close = test_proactor_close;
}

static void
test_proactor_init (TestProactor *self)
{
}

static void
done_cb (EvpOperation *operation,
         gpointer      user_data)
{
  *(gboolean *) user_data = TRUE;
}

/* Rules: V-5 */
static void
test_own (void)
{
  g_autoptr (EvpProactor) proactor = g_object_new (TEST_TYPE_PROACTOR, NULL);
  EvpAbstractEventLoop *loop = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
  char buffer[16];
  gboolean done = FALSE;
  g_autoptr (EvpOperation) operation = evp_operation_new (EVP_OPERATION_READ, 0, done_cb, &done);
  g_autoptr (EvpOperation) receive = NULL;
  g_autoptr (EvpProactor) property = NULL;
  int fds[2];

  g_object_get (loop, "proactor", &property, NULL);
  g_assert_true (property == proactor);
  g_assert_true (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (loop)) == proactor);

  operation->buffer = buffer;
  operation->length = sizeof buffer;
  g_assert_true (evp_loop_submit_operation (loop, operation, NULL));
  evp_test_run_until (loop, &done);
  g_assert_cmpint (operation->result, ==, 7);
  g_assert_cmpmem (buffer, 7, "made up", 7);
  g_assert_true (TEST_PROACTOR (proactor)->context
                 == evp_base_event_loop_get_main_context (EVP_BASE_EVENT_LOOP (loop)));

  /* what it cannot do is done by readiness */
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  receive = evp_operation_new (EVP_OPERATION_RECV, fds[0], done_cb, &done);
  receive->flags |= EVP_OPERATION_ALLOCATE;
  receive->length = 100;
  done = FALSE;
  g_assert_true (evp_loop_submit_operation (loop, receive, NULL));
  evp_test_run_ready (loop);
  g_assert_false (done);
  g_assert_cmpint (write (fds[1], "real", 4), ==, 4);
  evp_test_run_until (loop, &done);
  g_assert_cmpint (receive->result, ==, 4);
  g_assert_cmpmem (receive->buffer, 4, "real", 4);
  g_free (receive->buffer);
  evp_loop_retire_operation (receive);

  /* cancelling only asks; closing the loop ends it */
  done = FALSE;
  operation->offset = 1;
  g_assert_true (evp_loop_submit_operation (loop, operation, NULL));
  evp_test_run_ready (loop);
  evp_loop_cancel_operation (loop, operation);
  evp_loop_cancel_operation (loop, operation);
  evp_test_run_ready (loop);
  g_assert_cmpuint (TEST_PROACTOR (proactor)->n_cancelled, ==, 1);
  g_assert_false (done);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_true (TEST_PROACTOR (proactor)->closed);
  g_assert_true (done);
  g_assert_cmpint (operation->result, ==, -ECANCELED);

  close (fds[0]);
  close (fds[1]);
  g_assert_finalize_object (loop);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  GSocket *socket;
  GBytes *bytes;
  GCancellable *cancellable;
  EvpTestAwait await;
} Sending;

static void
sending_begin (Sending     *sending,
               EvpProactor *proactor)
{
  int fds[2];

  sending->loop = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
  sending->await.loop = sending->loop;
  sending->bytes = g_bytes_new_static ("ten bytes.", 10);
  sending->cancellable = g_cancellable_new ();
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  sending->socket = g_socket_new_from_fd (fds[0], NULL);
  close (fds[1]);
  TEST_PROACTOR (proactor)->sent = g_byte_array_new ();
  TEST_PROACTOR (proactor)->n_sendable = G_MAXSIZE;
}

static gboolean
send_all (Sending *sending,
          GError **error)
{
  evp_event_loop_sock_sendall_async (sending->loop, sending->socket, sending->bytes, sending->cancellable,
                                     evp_test_ready_cb, &sending->await);
  return evp_event_loop_sock_sendall_finish (sending->loop, evp_test_await (&sending->await), error);
}

static void
sending_end (Sending     *sending,
             EvpProactor *proactor)
{
  evp_test_await_clear (&sending->await);
  g_byte_array_unref (TEST_PROACTOR (proactor)->sent);
  g_object_unref (sending->cancellable);
  g_bytes_unref (sending->bytes);
  g_assert_finalize_object (sending->socket);
  evp_event_loop_close (sending->loop, NULL);
  g_assert_finalize_object (sending->loop);
}

/* A proactor that sends what the socket takes at a time is asked again for the rest. */
/* Rules: K-9 */
static void
test_send_parts (void)
{
  g_autoptr (EvpProactor) proactor = g_object_new (TEST_TYPE_PROACTOR, NULL);
  Sending sending = { NULL };
  g_autoptr (GError) error = NULL;

  sending_begin (&sending, proactor);
  g_assert_true (send_all (&sending, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (TEST_PROACTOR (proactor)->sent->data, TEST_PROACTOR (proactor)->sent->len, "ten bytes.", 10);

  /* the error says how much of all that went */
  evp_test_await_clear (&sending.await);
  TEST_PROACTOR (proactor)->n_sendable = 7;
  g_assert_false (send_all (&sending, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  g_assert_nonnull (strstr (error->message, "7 of 10 bytes"));
  sending_end (&sending, proactor);
}

static void
cancel_cb (gpointer user_data)
{
  g_cancellable_cancel (user_data);
}

/* Cancelled between two parts, it does not begin the next. */
/* Rules: K-9 */
static void
test_send_parts_cancelled (void)
{
  g_autoptr (EvpProactor) proactor = g_object_new (TEST_TYPE_PROACTOR, NULL);
  Sending sending = { NULL };
  g_autoptr (GError) error = NULL;

  sending_begin (&sending, proactor);
  evp_event_loop_sock_sendall_async (sending.loop, sending.socket, sending.bytes, sending.cancellable,
                                     evp_test_ready_cb, &sending.await);
  /* the part is complete, and its callback comes after this one */
  evp_event_loop_call_soon (sending.loop, cancel_cb, sending.cancellable, NULL, NULL);
  send_part (TEST_PROACTOR (proactor));
  g_assert_false (evp_event_loop_sock_sendall_finish (sending.loop, evp_test_await (&sending.await), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_nonnull (strstr (error->message, "3 of 10 bytes"));
  g_assert_cmpuint (TEST_PROACTOR (proactor)->sent->len, ==, 3);
  sending_end (&sending, proactor);
}

/* A proactor says that it read more than there was room for: nobody gets what is behind the buffer. */
static void
test_too_much (void)
{
  g_autoptr (EvpProactor) proactor = g_object_new (TEST_TYPE_PROACTOR, NULL);
  EvpAbstractEventLoop *loop = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
  g_auto (EvpTestAwait) await = { loop };
  g_autoptr (GError) error = NULL;

  evp_proactor_event_loop_read_async (EVP_PROACTOR_EVENT_LOOP (loop), 0, 16, 1, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (loop);
  g_assert_null (await.result);
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*16 bytes was completed with 17*");
  end (TEST_PROACTOR (proactor), 17);
  g_test_assert_expected_messages ();
  g_assert_null (evp_proactor_event_loop_read_finish (EVP_PROACTOR_EVENT_LOOP (loop), evp_test_await (&await), &error));
  g_assert_nonnull (strstr (error->message, g_strerror (EIO)));
  evp_test_await_clear (&await);
  evp_event_loop_close (loop, NULL);
  g_assert_finalize_object (loop);
}

/* A proactor serves one loop. */
static void
test_taken (void)
{
  g_autoptr (EvpProactor) proactor = g_object_new (TEST_TYPE_PROACTOR, NULL);
  EvpAbstractEventLoop *loop = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
  EvpAbstractEventLoop *other;

  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*already belongs to another event loop*");
  other = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
  g_test_assert_expected_messages ();
  g_assert_true (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (other)) != proactor);
  evp_event_loop_close (other, NULL);
  g_assert_finalize_object (other);
  evp_event_loop_close (loop, NULL);
  g_assert_finalize_object (loop);
}

static void
closed_cb (int      fd,
           gpointer loop)
{
  evp_event_loop_stop (loop);
}

/* What the library's proactors refuse once they are closed, a loop that is given one passes on; the rest works. */
static void
test_closed_proactor (gconstpointer data)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a closed proactor");
  g_autoptr (EvpProactor) proactor = g_object_new ((GType) GPOINTER_TO_SIZE (data), NULL);
  EvpAbstractEventLoop *loop;
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  evp_proactor_close (proactor);
  loop = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  socket = g_socket_new_from_fd (fds[0], &error);
  g_assert_no_error (error);
  for (int i = 0; i < 2; i++)
    {
      g_auto (EvpTestAwait) await = { loop, NULL };

      evp_event_loop_sock_recv_async (loop, socket, 16, NULL, evp_test_ready_cb, &await);
      g_assert_null (evp_event_loop_sock_recv_finish (loop, evp_test_await (&await), &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
      g_clear_error (&error);
    }
  g_assert_true (evp_event_loop_add_writer (loop, fds[1], closed_cb, loop, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_run_forever (loop, &error));
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_remove_writer (loop, fds[1]));
  g_assert_true (evp_event_loop_close (loop, &error));
  g_assert_no_error (error);
  g_assert_finalize_object (loop);
  close (fds[1]);
}

static guint
count_fds (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  guint n = 0;

  while (dir != NULL && g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static void
nothing_cb (gpointer user_data)
{
  evp_event_loop_stop (user_data);
}

/* A loop that is given no work for its proactor has no descriptors but those of its context. */
static void
test_lazy (void)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  EvpAbstractEventLoop *loop;
  guint before;

  /* what a first loop opens for the process is not counted */
  loop = evp_selector_event_loop_new (NULL, context, NULL);
  evp_event_loop_call_soon (loop, nothing_cb, loop, NULL, NULL);
  g_assert_true (evp_event_loop_run_forever (loop, NULL));
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_finalize_object (loop);

  before = count_fds ();
  loop = evp_proactor_event_loop_new (context, NULL);
  evp_event_loop_call_soon (loop, nothing_cb, loop, NULL, NULL);
  g_assert_true (evp_event_loop_run_forever (loop, NULL));
  g_assert_cmpuint (count_fds (), ==, before);
  g_assert_nonnull (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (loop)));
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_finalize_object (loop);
  g_assert_cmpuint (count_fds (), ==, before);
}

static void
reader_cb (int      fd,
           gpointer user_data)
{
}

/* A descriptor that is closed while it is watched is closed: the proactor does not hold it open. */
static void
test_closed_reader (void)
{
  EvpAbstractEventLoop *loop = evp_proactor_event_loop_new (NULL, NULL);
  char buffer[4];
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  g_assert_true (evp_event_loop_add_reader (loop, fds[0], reader_cb, NULL, NULL, NULL));
  evp_test_run_ready (loop);
  close (fds[0]);
  g_assert_cmpint (read (fds[1], buffer, sizeof buffer), ==, 0); /* not EAGAIN */
  evp_event_loop_remove_reader (loop, fds[0]);
  close (fds[1]);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_finalize_object (loop);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  int fds[2];
  int pipe[2];
  guint n_received;
  guint n_more; /* received between the time when the pipe became readable and that when its reader knew */
  gboolean stopped;
} Busy;

#define READY_AFTER 100

static void
received_cb (EvpOperation *operation,
             gpointer      user_data)
{
  Busy *busy = user_data;

  g_assert_cmpint (operation->result, ==, 1);
  if (++busy->n_received == READY_AFTER)
    g_assert_cmpint (write (busy->pipe[1], "x", 1), ==, 1);
  if (busy->stopped)
    return;
  g_assert_cmpint (write (busy->fds[1], "x", 1), ==, 1);
  g_assert_true (evp_loop_submit_operation (busy->loop, operation, NULL));
}

static void
readable_cb (int      fd,
             gpointer user_data)
{
  Busy *busy = user_data;

  busy->n_more = busy->n_received - READY_AFTER;
  busy->stopped = TRUE;
  evp_event_loop_remove_reader (busy->loop, fd);
}

/* Operations that complete each time the loop looks keep nobody from being told of descriptors. */
/* Rules: I-3 */
static void
test_busy (gconstpointer data)
{
  gboolean one_round = GPOINTER_TO_INT (data);
  Busy busy = { .loop = evp_proactor_event_loop_new (NULL, NULL) };
  char buffer[1];
  g_autoptr (EvpOperation) operation = NULL;

  if (one_round)
    g_object_set (busy.loop, "turn-budget", 0.0, NULL);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, busy.fds), ==, 0);
  g_assert_cmpint (pipe (busy.pipe), ==, 0);
  g_assert_true (evp_event_loop_add_reader (busy.loop, busy.pipe[0], readable_cb, &busy, NULL, NULL));
  operation = evp_operation_new (EVP_OPERATION_RECV, busy.fds[0], received_cb, &busy);
  operation->buffer = buffer;
  operation->length = sizeof buffer;
  g_assert_cmpint (write (busy.fds[1], "x", 1), ==, 1);
  g_assert_true (evp_loop_submit_operation (busy.loop, operation, NULL));
  evp_test_run_until (busy.loop, &busy.stopped);
  /* otherwise as many as there is time for in a turn */
  if (one_round)
    g_assert_cmpuint (busy.n_more, <=, 20);

  g_assert_true (evp_event_loop_close (busy.loop, NULL));
  g_assert_finalize_object (busy.loop);
  for (guint i = 0; i < 2; i++)
    {
      close (busy.fds[i]);
      close (busy.pipe[i]);
    }
}

/* What a proactor does not support waits beside it, and is cancelled there. */
/* Rules: V-5 */
static void
test_cancel_unsupported (void)
{
  g_autoptr (EvpProactor) proactor = g_object_new (TEST_TYPE_PROACTOR, NULL);
  EvpAbstractEventLoop *loop = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
  EvpTestDeadline *deadline = evp_test_deadline_start (60, "cancel-unsupported");
  g_autoptr (EvpOperation) receive = NULL;
  gboolean done = FALSE;
  char buffer[16];
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  receive = evp_operation_new (EVP_OPERATION_RECV, fds[0], done_cb, &done);
  receive->buffer = buffer;
  receive->length = sizeof buffer;
  g_assert_true (evp_loop_submit_operation (loop, receive, NULL));
  evp_test_run_ready (loop);
  g_assert_false (done);
  evp_loop_cancel_operation (loop, receive);
  g_assert_false (done); /* never inside the call */
  evp_test_run_until (loop, &done);
  g_assert_cmpint (receive->result, ==, -ECANCELED);
  g_assert_cmpuint (TEST_PROACTOR (proactor)->n_cancelled, ==, 0);

  evp_loop_retire_operation (receive);
  close (fds[0]);
  close (fds[1]);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_finalize_object (loop);
  evp_test_deadline_stop (deadline);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/loop/proactor-event-loop/own", test_own);
  g_test_add_func ("/evp/loop/proactor-event-loop/taken", test_taken);
  g_test_add_func ("/evp/loop/proactor-event-loop/too-much", test_too_much);
  g_test_add_func ("/evp/loop/proactor-event-loop/send-parts", test_send_parts);
  g_test_add_func ("/evp/loop/proactor-event-loop/send-parts-cancelled", test_send_parts_cancelled);
  g_test_add_func ("/evp/loop/proactor-event-loop/lazy", test_lazy);
  g_test_add_data_func ("/evp/loop/proactor-event-loop/closed-proactor/gio",
                        GSIZE_TO_POINTER (EVP_TYPE_GIO_PROACTOR), test_closed_proactor);
  if (evp_test_has_uring ())
    g_test_add_data_func ("/evp/loop/proactor-event-loop/closed-proactor/uring",
                          GSIZE_TO_POINTER (EVP_TYPE_URING_PROACTOR), test_closed_proactor);
  g_test_add_func ("/evp/loop/proactor-event-loop/cancel-unsupported", test_cancel_unsupported);
  g_test_add_func ("/evp/loop/proactor-event-loop/closed-reader", test_closed_reader);
  g_test_add_data_func ("/evp/loop/proactor-event-loop/busy", GINT_TO_POINTER (FALSE), test_busy);
  g_test_add_data_func ("/evp/loop/proactor-event-loop/busy/one-round", GINT_TO_POINTER (TRUE), test_busy);

  return g_test_run ();
}
