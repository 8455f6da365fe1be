/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/net/evp-socket-stream-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Each case runs on every kind of loop. */

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
  GIOStream *stream; /* on the loop */
  GSocket *peer;     /* the other side, blocking */
  gboolean polled;   /* the main context polls each descriptor of the loop */
} Fixture;

typedef struct
{
  EvpTestMakeLoop make;
  void (*test) (Fixture *fixture);
  gboolean outside; /* of the running loop */
  gboolean polled;
} Case;

static GSocket *
wrap_fd (int fd)
{
  GError *error = NULL;
  GSocket *socket = g_socket_new_from_fd (fd, &error);

  g_assert_no_error (error);
  return socket;
}

/* A connected pair over TCP, on the loopback device. */
static void
make_tcp_pair (GSocket **near,
               GSocket **far)
{
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) listener = NULL;
  g_autoptr (GError) error = NULL;

  listener = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
  g_assert_no_error (error);
  g_socket_bind (listener, any, TRUE, &error);
  g_assert_no_error (error);
  g_socket_listen (listener, &error);
  g_assert_no_error (error);
  address = g_socket_get_local_address (listener, &error);
  g_assert_no_error (error);
  *near = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, &error);
  g_assert_no_error (error);
  g_socket_connect (*near, address, NULL, &error);
  g_assert_no_error (error);
  *far = g_socket_accept (listener, NULL, &error);
  g_assert_no_error (error);
}

static void
make_unix_pair (GSocket **near,
                GSocket **far)
{
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  *near = wrap_fd (fds[0]);
  *far = wrap_fd (fds[1]);
}

static void
set_up (Fixture      *fixture,
        gconstpointer data)
{
  const Case *kind = data;
  g_autoptr (GSocket) near = NULL;
  g_autoptr (GError) error = NULL;

  fixture->deadline = evp_test_deadline_start (60, "a stream");
  fixture->leaks = evp_test_leaks_begin ();
  fixture->polled = kind->polled;
  fixture->loop = kind->make (&error);
  g_assert_no_error (error);
  make_unix_pair (&near, &fixture->peer);
  fixture->stream = evp_socket_stream_new (fixture->loop, near);
}

static void
tear_down (Fixture      *fixture,
           gconstpointer data)
{
  g_clear_object (&fixture->stream);
  g_clear_object (&fixture->peer);
  if (!evp_event_loop_is_closed (fixture->loop))
    evp_test_run_ready (fixture->loop);
  evp_event_loop_close (fixture->loop, NULL);
  g_assert_finalize_object (fixture->loop);
  evp_test_leaks_check (&fixture->leaks);
  evp_test_deadline_stop (fixture->deadline);
}

static GInputStream *
input (Fixture *fixture)
{
  return g_io_stream_get_input_stream (fixture->stream);
}

static GOutputStream *
output (Fixture *fixture)
{
  return g_io_stream_get_output_stream (fixture->stream);
}

static void
peer_sends (Fixture    *fixture,
            const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_socket_send (fixture->peer, text, strlen (text), NULL, &error), ==, (gssize) strlen (text));
  g_assert_no_error (error);
}

static void
assert_peer_gets (Fixture    *fixture,
                  const char *text)
{
  g_autoptr (GError) error = NULL;
  gsize size = strlen (text);
  g_autofree char *buffer = g_malloc (size);
  gsize got = 0;

  while (got < size)
    {
      gssize n = g_socket_receive (fixture->peer, buffer + got, size - got, NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpint (n, >, 0);
      got += (gsize) n;
    }
  g_assert_cmpmem (buffer, got, text, size);
}

/* The result may have come while another one was waited for. */
static GAsyncResult *
wait_for (EvpTestAwait *await)
{
  return await->result != NULL ? await->result : evp_test_await (await);
}

static gssize
read_finish (Fixture      *fixture,
             EvpTestAwait *await,
             GError      **error)
{
  gssize n = g_input_stream_read_finish (input (fixture), wait_for (await), error);

  evp_test_await_clear (await);
  return n;
}

static gssize
write_finish (Fixture      *fixture,
              EvpTestAwait *await,
              GError      **error)
{
  gssize n = g_output_stream_write_finish (output (fixture), wait_for (await), error);

  evp_test_await_clear (await);
  return n;
}

static gboolean
close_finish (Fixture      *fixture,
              EvpTestAwait *await,
              GError      **error)
{
  gboolean ok = g_io_stream_close_finish (fixture->stream, wait_for (await), error);

  evp_test_await_clear (await);
  return ok;
}

/* Rules: T-1, T-2 */
static void
test_read (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  char buffer[16];
  g_autoptr (GError) error = NULL;

  /* there already */
  peer_sends (fixture, "early");
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  g_assert_null (await.result); /* never inside the call */
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 5);
  g_assert_no_error (error);
  g_assert_cmpmem (buffer, 5, "early", 5);

  /* again and again, each time before there is anything */
  for (guint i = 0; i < 3; i++)
    {
      g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
      evp_test_run_ready (fixture->loop);
      g_assert_null (await.result);
      peer_sends (fixture, "later");
      g_assert_cmpint (read_finish (fixture, &await, &error), ==, 5);
      g_assert_cmpmem (buffer, 5, "later", 5);
    }

  /* more than there is room for */
  peer_sends (fixture, "one two three");
  g_input_stream_read_async (input (fixture), buffer, 4, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 4);
  g_assert_cmpmem (buffer, 4, "one ", 4);
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 9);
  g_assert_cmpmem (buffer, 9, "two three", 9);
}

/* Rules: T-3, T-7 */
static void
test_half_close (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  GSocket *socket = g_socket_connection_get_socket (G_SOCKET_CONNECTION (fixture->stream));
  char buffer[16];
  g_autoptr (GError) error = NULL;

  /* the peer says that nothing more will come; it can still be written to */
  g_socket_shutdown (fixture->peer, FALSE, TRUE, &error);
  g_assert_no_error (error);
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 0);
  g_assert_no_error (error);
  g_output_stream_write_async (output (fixture), "after", 5, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (write_finish (fixture, &await, &error), ==, 5);
  g_assert_no_error (error);
  assert_peer_gets (fixture, "after");

  /* and our end of writing is seen there */
  g_socket_shutdown (socket, FALSE, TRUE, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_socket_receive (fixture->peer, buffer, sizeof buffer, NULL, &error), ==, 0);
}

/* Rules: T-10, T-11 */
static void
test_types (Fixture *fixture)
{
  g_autoptr (GSocket) near = NULL;
  g_autoptr (GSocket) far = NULL;
  g_autoptr (GIOStream) stream = NULL;
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GError) error = NULL;
  int no_delay = 0;

  g_assert_true (G_IS_UNIX_CONNECTION (fixture->stream));
  make_tcp_pair (&near, &far);
  stream = evp_socket_stream_new (fixture->loop, near);
  g_assert_true (G_IS_TCP_CONNECTION (stream));
  g_assert_true (g_socket_connection_get_socket (G_SOCKET_CONNECTION (stream)) == near);
  g_assert_true (g_socket_get_option (near, IPPROTO_TCP, TCP_NODELAY, &no_delay, &error));
  g_assert_no_error (error);
  g_assert_cmpint (no_delay, !=, 0);
  address = g_socket_connection_get_remote_address (G_SOCKET_CONNECTION (stream), &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_socket_address_get_family (address), ==, G_SOCKET_FAMILY_IPV4);
}

static void
test_close (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  EvpTestAwait read = { fixture->loop, NULL };
  char buffer[16];
  g_autoptr (GError) error = NULL;

  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &read);
  evp_test_run_ready (fixture->loop);
  g_io_stream_close_async (fixture->stream, 0, NULL, evp_test_ready_cb, &await);
  g_assert_true (close_finish (fixture, &await, &error));
  g_assert_no_error (error);
  g_assert_cmpint (read_finish (fixture, &read, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_cmpint (g_socket_receive (fixture->peer, buffer, sizeof buffer, NULL, &error), ==, 0);
  g_assert_no_error (error);
}

/* Rules: T-4, T-14 */
static void
test_write (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  GOutputVector vectors[3] = { { "one ", 4 }, { "two ", 4 }, { "three", 5 } };
  gsize n_written;
  g_autoptr (GError) error = NULL;

  g_output_stream_write_async (output (fixture), "first", 5, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (write_finish (fixture, &await, &error), ==, 5);
  g_assert_no_error (error);
  assert_peer_gets (fixture, "first");

  g_output_stream_writev_async (output (fixture), vectors, 3, 0, NULL, evp_test_ready_cb, &await);
  g_assert_true (g_output_stream_writev_finish (output (fixture), wait_for (&await), &n_written, &error));
  evp_test_await_clear (&await);
  g_assert_no_error (error);
  g_assert_cmpuint (n_written, ==, 13);
  assert_peer_gets (fixture, "one two three");

  /* blocking calls, from any thread */
  g_assert_cmpint (g_output_stream_write (output (fixture), "plain", 5, NULL, &error), ==, 5);
  g_assert_true (g_output_stream_writev (output (fixture), vectors, 3, &n_written, NULL, &error));
  g_assert_cmpuint (n_written, ==, 13);
  assert_peer_gets (fixture, "plainone two three");
}

/* Fills the socket until nothing more is taken; how much it took. */
static gsize
fill (Fixture *fixture)
{
  static const char zeros[65536];
  gsize filled = 0;
  gssize n;

  while ((n = g_pollable_output_stream_write_nonblocking (G_POLLABLE_OUTPUT_STREAM (output (fixture)), zeros,
                                                          sizeof zeros, NULL, NULL)) > 0)
    filled += (gsize) n;
  return filled;
}

static void
drain (Fixture *fixture,
       gsize    size)
{
  char buffer[65536];
  g_autoptr (GError) error = NULL;

  while (size > 0)
    {
      gssize n = g_socket_receive (fixture->peer, buffer, MIN (size, sizeof buffer), NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpint (n, >, 0);
      size -= (gsize) n;
    }
}

/* Rules: T-5 */
static void
test_pressure (Fixture *fixture)
{
  const gsize size = 3 * 1024 * 1024;
  EvpTestAwait await = { fixture->loop, NULL };
  g_autofree guint8 *data = g_malloc (size);
  g_autofree guint8 *received = g_malloc (size);
  GOutputVector vector;
  gsize n_written, n_received = 0, filled;
  g_autoptr (GError) error = NULL;

  /* a write ends when the kernel has taken the data, so what is on the way is bounded */
  for (gsize i = 0; i < size; i++)
    data[i] = (guint8) (i * 7 + i / 251);
  g_socket_set_blocking (fixture->peer, FALSE);
  g_output_stream_write_all_async (output (fixture), data, size, 0, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  while (n_received < size)
    {
      gssize n = g_socket_receive (fixture->peer, (char *) received + n_received, size - n_received, NULL, NULL);

      n_received += (gsize) MAX (n, 0);
      evp_test_run_ready (fixture->loop);
    }
  g_assert_true (g_output_stream_write_all_finish (output (fixture), wait_for (&await), &n_written, &error));
  evp_test_await_clear (&await);
  g_assert_no_error (error);
  g_assert_cmpuint (n_written, ==, size);
  g_assert_cmpmem (data, size, received, size);
  g_socket_set_blocking (fixture->peer, TRUE);

  /* the same with vectors, which wait for room as well */
  filled = fill (fixture);
  vector.buffer = "tail";
  vector.size = 4;
  g_output_stream_writev_async (output (fixture), &vector, 1, 0, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  drain (fixture, filled);
  g_assert_true (g_output_stream_writev_finish (output (fixture), wait_for (&await), &n_written, &error));
  evp_test_await_clear (&await);
  g_assert_no_error (error);
  g_assert_cmpuint (n_written, ==, 4);
  assert_peer_gets (fixture, "tail");
}

static gpointer
cancel_thread (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

static void
test_cancel (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  char buffer[16];
  gsize filled;
  g_autoptr (GError) error = NULL;

  /* before */
  g_cancellable_cancel (cancellable);
  peer_sends (fixture, "kept");
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, cancellable, evp_test_ready_cb, &await);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);

  /* nothing was lost; and cancelling after the end changes nothing */
  g_cancellable_reset (cancellable);
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, cancellable, evp_test_ready_cb, &await);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 4);
  g_assert_no_error (error);
  g_cancellable_cancel (cancellable);

  /* while it waits, from here and from another thread */
  for (guint i = 0; i < 2; i++)
    {
      g_cancellable_reset (cancellable);
      g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, cancellable, evp_test_ready_cb, &await);
      evp_test_run_ready (fixture->loop);
      g_assert_null (await.result);
      if (i == 0)
        g_cancellable_cancel (cancellable);
      else
        g_thread_join (g_thread_new ("cancel", cancel_thread, cancellable));
      g_assert_cmpint (read_finish (fixture, &await, &error), ==, -1);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
    }

  /* a write */
  filled = fill (fixture);
  g_cancellable_reset (cancellable);
  g_output_stream_write_async (output (fixture), "lost", 4, 0, cancellable, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  g_cancellable_cancel (cancellable);
  g_assert_cmpint (write_finish (fixture, &await, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  drain (fixture, filled);

  /* and the stream goes on */
  peer_sends (fixture, "on");
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 2);
  g_assert_no_error (error);
  g_output_stream_write_async (output (fixture), "fine", 4, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (write_finish (fixture, &await, &error), ==, 4);
  assert_peer_gets (fixture, "fine");
}

/* Rules: T-8 */
static void
test_paused (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (fixture->loop);
  char buffer[16];
  g_autoptr (GError) error = NULL;

  /* the loop has watched it once */
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  peer_sends (fixture, "first");
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 5);

  /* who does not read gets nothing, and is not woken up for it again and again */
  peer_sends (fixture, "second");
  evp_test_run_ready (fixture->loop);
  for (guint i = 0; i < 10; i++)
    g_main_context_iteration (context, FALSE);
  g_assert_false (g_main_context_pending (context));
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 6);
  g_assert_no_error (error);
}

/* Rules: T-6 */
static void
test_close_pending (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  EvpTestAwait read = { fixture->loop, NULL };
  EvpTestAwait write = { fixture->loop, NULL };
  char buffer[16];
  gsize filled;
  g_autoptr (GError) error = NULL;

  /* all at once, also with a read and a write that wait */
  filled = fill (fixture);
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &read);
  g_output_stream_write_async (output (fixture), "lost", 4, 0, NULL, evp_test_ready_cb, &write);
  evp_test_run_ready (fixture->loop);
  g_io_stream_close_async (fixture->stream, 0, NULL, evp_test_ready_cb, &await);
  g_assert_true (close_finish (fixture, &await, &error));
  g_assert_no_error (error);
  g_assert_cmpint (read_finish (fixture, &read, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_cmpint (write_finish (fixture, &write, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);

  /* what the kernel had taken arrives, then the end */
  drain (fixture, filled);
  g_assert_cmpint (g_socket_receive (fixture->peer, buffer, sizeof buffer, NULL, &error), ==, 0);

  /* again is harmless; anything else is refused */
  g_io_stream_close_async (fixture->stream, 0, NULL, evp_test_ready_cb, &await);
  g_assert_true (close_finish (fixture, &await, &error));
  g_assert_no_error (error);
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &read);
  g_assert_cmpint (read_finish (fixture, &read, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

/* Rules: T-6 */
static void
test_close_at_once (Fixture *fixture)
{
  EvpTestAwait read = { fixture->loop, NULL };
  char buffer[16];
  g_autoptr (GError) error = NULL;

  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &read);
  evp_test_run_ready (fixture->loop);
  g_assert_true (g_io_stream_close (fixture->stream, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (g_io_stream_is_closed (fixture->stream));
  g_assert_cmpint (read_finish (fixture, &read, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);
  evp_test_run_ready (fixture->loop);
  g_assert_true (g_socket_is_closed (g_socket_connection_get_socket (G_SOCKET_CONNECTION (fixture->stream))));
  g_assert_cmpint (g_socket_receive (fixture->peer, buffer, sizeof buffer, NULL, &error), ==, 0);
  g_assert_no_error (error);
}

/* Rules: T-9 */
static void
test_reset (Fixture *fixture)
{
  const struct linger at_once = { 1, 0 };
  EvpTestAwait await = { fixture->loop, NULL };
  EvpTestAwait write = { fixture->loop, NULL };
  g_autofree char *data = g_malloc0 (16 * 1024 * 1024);
  char buffer[16];
  gsize n_written;
  GSocket *near;
  g_autoptr (GError) error = NULL;

  g_clear_object (&fixture->stream);
  g_clear_object (&fixture->peer);
  make_tcp_pair (&near, &fixture->peer);
  fixture->stream = evp_socket_stream_new (fixture->loop, near);
  g_object_unref (near);

  /* the peer resets the connection in the middle of a transfer: an error, and no signal */
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  g_output_stream_write_all_async (output (fixture), data, 16 * 1024 * 1024, 0, NULL, evp_test_ready_cb, &write);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (setsockopt (g_socket_get_fd (fixture->peer), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), ==, 0);
  g_socket_close (fixture->peer, &error);
  g_assert_no_error (error);
  /* the kernel tells it once, to whoever asks first; after that, it is the end of the stream */
  if (read_finish (fixture, &await, &error) != 0)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
  g_clear_error (&error);
  g_assert_false (g_output_stream_write_all_finish (output (fixture), wait_for (&write), &n_written, &error));
  evp_test_await_clear (&write);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
  g_clear_error (&error);
  g_assert_cmpuint (n_written, <, 16 * 1024 * 1024);

  /* and so does every write from now on */
  g_output_stream_write_async (output (fixture), "x", 1, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (write_finish (fixture, &await, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
}

static gboolean
source_cb (GObject *stream,
           gpointer n_calls)
{
  ++*(guint *) n_calls;
  return G_SOURCE_CONTINUE;
}

static GSource *
attach_source (Fixture      *fixture,
               GMainContext *context,
               guint        *n_calls)
{
  GSource *source = g_pollable_input_stream_create_source (G_POLLABLE_INPUT_STREAM (input (fixture)), NULL);

  g_source_set_callback (source, G_SOURCE_FUNC (source_cb), n_calls, NULL);
  g_source_attach (source, context);
  return source;
}

static void
destroy_source (GSource *source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

static void
test_pollable (Fixture *fixture)
{
  GPollableInputStream *pollable = G_POLLABLE_INPUT_STREAM (input (fixture));
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GMainContext) home = evp_event_loop_dup_main_context (fixture->loop);
  g_autoptr (GMainContext) abroad = g_main_context_new ();
  guint n_calls = 0, n_abroad = 0;
  GSource *source, *other;
  char buffer[16];
  g_autoptr (GError) error = NULL;

  g_assert_true (g_pollable_input_stream_can_poll (pollable));
  g_assert_false (g_pollable_input_stream_is_readable (pollable));
  g_assert_true (g_pollable_output_stream_is_writable (G_POLLABLE_OUTPUT_STREAM (output (fixture))));
  g_assert_cmpint (g_pollable_input_stream_read_nonblocking (pollable, buffer, sizeof buffer, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  g_clear_error (&error);

  /* in the context of the loop, and in another one at the same time */
  source = attach_source (fixture, home, &n_calls);
  other = attach_source (fixture, abroad, &n_abroad);
  evp_test_run_ready (fixture->loop);
  g_main_context_iteration (abroad, FALSE);
  g_assert_cmpuint (n_calls + n_abroad, ==, 0);
  peer_sends (fixture, "poll");
  while (n_calls == 0)
    g_main_context_iteration (home, TRUE);
  while (n_abroad == 0)
    g_main_context_iteration (abroad, TRUE);
  destroy_source (other);

  /* level-triggered: as long as there is something */
  n_calls = 0;
  while (n_calls < 3)
    g_main_context_iteration (home, TRUE);
  g_assert_true (g_pollable_input_stream_is_readable (pollable));
  g_assert_cmpint (g_pollable_input_stream_read_nonblocking (pollable, buffer, sizeof buffer, NULL, &error), ==, 4);
  evp_test_run_ready (fixture->loop);
  n_calls = 0;
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (n_calls, ==, 0);

  /* a read beside it: neither disturbs the other */
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  peer_sends (fixture, "both");
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 4);
  g_assert_no_error (error);
  g_assert_cmpmem (buffer, 4, "both", 4);
  destroy_source (source);

  /* a source that comes while a read waits, and a read while a source waits */
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  source = attach_source (fixture, home, &n_calls);
  evp_test_run_ready (fixture->loop);
  peer_sends (fixture, "more");
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 4);
  n_calls = 0;
  peer_sends (fixture, "again");
  while (n_calls == 0)
    g_main_context_iteration (home, TRUE);
  g_assert_cmpint (g_pollable_input_stream_read_nonblocking (pollable, buffer, sizeof buffer, NULL, &error), ==, 5);
  destroy_source (source);

  /* dropped while it waits: whoever reads afterwards gets everything */
  source = attach_source (fixture, home, &n_calls);
  evp_test_run_ready (fixture->loop);
  destroy_source (source);
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  peer_sends (fixture, "last");
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 4);
  g_assert_no_error (error);

  /* closing wakes who waits */
  n_calls = 0;
  source = attach_source (fixture, home, &n_calls);
  evp_test_run_ready (fixture->loop);
  g_assert_true (g_io_stream_close (fixture->stream, NULL, &error));
  while (n_calls == 0)
    g_main_context_iteration (home, TRUE);
  destroy_source (source);
}

/* GIO's own streams on top, and from one connection to another. */
static void
test_gio (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GDataInputStream) lines = g_data_input_stream_new (input (fixture));
  g_autoptr (GInputStream) memory = g_memory_input_stream_new_from_data ("spliced", 7, NULL);
  g_autoptr (GError) error = NULL;
  char buffer[16];
  char *line;

  g_filter_input_stream_set_close_base_stream (G_FILTER_INPUT_STREAM (lines), FALSE);
  peer_sends (fixture, "one\ntw");
  g_data_input_stream_read_line_async (lines, 0, NULL, evp_test_ready_cb, &await);
  line = g_data_input_stream_read_line_finish (lines, wait_for (&await), NULL, &error);
  evp_test_await_clear (&await);
  g_assert_no_error (error);
  g_assert_cmpstr (line, ==, "one");
  g_free (line);
  g_data_input_stream_read_line_async (lines, 0, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  peer_sends (fixture, "o\n");
  line = g_data_input_stream_read_line_finish (lines, wait_for (&await), NULL, &error);
  evp_test_await_clear (&await);
  g_assert_no_error (error);
  g_assert_cmpstr (line, ==, "two");
  g_free (line);

  peer_sends (fixture, "skipped");
  g_input_stream_skip_async (input (fixture), 7, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (g_input_stream_skip_finish (input (fixture), wait_for (&await), &error), ==, 7);
  evp_test_await_clear (&await);
  g_assert_no_error (error);

  g_output_stream_splice_async (output (fixture), memory, G_OUTPUT_STREAM_SPLICE_CLOSE_SOURCE, 0, NULL,
                                evp_test_ready_cb, &await);
  g_assert_cmpint (g_output_stream_splice_finish (output (fixture), wait_for (&await), &error), ==, 7);
  evp_test_await_clear (&await);
  g_assert_no_error (error);
  assert_peer_gets (fixture, "spliced");

  peer_sends (fixture, "plain");
  g_assert_cmpint (g_input_stream_read (input (fixture), buffer, sizeof buffer, NULL, &error), ==, 5);
  g_assert_no_error (error);
}

/* What GSocketClient sets, for one. */
static void
test_timeout (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  guint n_timers;
  char buffer[16];
  g_autoptr (GError) error = NULL;

  g_socket_set_timeout (g_socket_connection_get_socket (G_SOCKET_CONNECTION (fixture->stream)), 1);
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_clear_error (&error);

  peer_sends (fixture, "late");
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 4);
  g_assert_no_error (error);

  /* what ends for another reason says so, and leaves no timer behind */
  g_socket_set_timeout (g_socket_connection_get_socket (G_SOCKET_CONNECTION (fixture->stream)), 1000);
  n_timers = evp_test_count_timers (fixture->loop);
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, cancellable, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (evp_test_count_timers (fixture->loop), ==, n_timers + 1);
  g_cancellable_cancel (cancellable);
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (evp_test_count_timers (fixture->loop), ==, n_timers);
}

/* A stream that waits for the peer when it is closed, in place of the fixture's; gives its socket. */
static GSocket *
connect_gracefully (Fixture *fixture)
{
  GSocket *near;

  g_clear_object (&fixture->stream);
  g_clear_object (&fixture->peer);
  make_tcp_pair (&near, &fixture->peer);
  fixture->stream = evp_socket_stream_new (fixture->loop, near);
  g_tcp_connection_set_graceful_disconnect (G_TCP_CONNECTION (fixture->stream), TRUE);
  return near;
}

static void
test_graceful (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GSocket) near = connect_gracefully (fixture);
  guint n_timers = evp_test_count_timers (fixture->loop);
  char buffer[16];
  g_autoptr (GError) error = NULL;

  g_socket_set_timeout (near, 1000);

  /* waits until the peer has closed, too */
  g_io_stream_close_async (fixture->stream, 0, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  g_assert_cmpint (g_socket_receive (fixture->peer, buffer, sizeof buffer, NULL, &error), ==, 0);
  /* what the peer still says is dropped */
  peer_sends (fixture, "dropped");
  evp_test_run_ready (fixture->loop);
  g_socket_close (fixture->peer, NULL);
  g_assert_true (close_finish (fixture, &await, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (evp_test_count_timers (fixture->loop), ==, n_timers);
}

static void
test_graceful_cancelled (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GSocket) near = connect_gracefully (fixture);
  g_autoptr (GError) error = NULL;

  g_io_stream_close_async (fixture->stream, 0, cancellable, evp_test_ready_cb, &await);
  peer_sends (fixture, "dropped");
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  g_cancellable_cancel (cancellable);
  g_assert_false (close_finish (fixture, &await, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (g_socket_is_closed (near));
}

/* Outside the loop: nobody can wait for the peer any more, and nobody is called back inside the call. */
static void
test_graceful_loop_closed (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GSocket) near = connect_gracefully (fixture);
  char buffer[16];
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (input (fixture));
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_assert_no_error (error);
  g_io_stream_close_async (fixture->stream, 0, NULL, evp_test_ready_cb, &await);
  g_assert_null (await.result);
  while (await.result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (close_finish (fixture, &await, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  g_assert_true (g_socket_is_closed (near));
  g_assert_cmpint (g_socket_receive (fixture->peer, buffer, sizeof buffer, NULL, &error), ==, 0);
  g_assert_no_error (error);
}

/* The timeout of a socket holds for the peer's good-bye, too. */
static void
test_graceful_timeout (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GSocket) near = connect_gracefully (fixture);
  guint n_timers = evp_test_count_timers (fixture->loop);
  g_autoptr (GError) error = NULL;

  g_socket_set_timeout (near, 1);
  g_io_stream_close_async (fixture->stream, 0, NULL, evp_test_ready_cb, &await);
  peer_sends (fixture, "dropped");
  g_assert_false (close_finish (fixture, &await, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_true (g_socket_is_closed (near));
  g_assert_cmpuint (evp_test_count_timers (fixture->loop), ==, n_timers);
}

/* A source that goes takes its wait with it, and what the wait holds. */
static void
test_source_dropped (Fixture *fixture)
{
  g_autoptr (GMainContext) home = evp_event_loop_dup_main_context (fixture->loop);
  GObject *stream = G_OBJECT (input (fixture));
  guint n_calls = 0;
  GSource *source = attach_source (fixture, home, &n_calls);

  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (g_atomic_int_get (&stream->ref_count), >, 1);
  destroy_source (source);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (g_atomic_int_get (&stream->ref_count), ==, 1);
  g_assert_cmpuint (n_calls, ==, 0);
}

/* Rules: T-18 */
/* No SIGPIPE, also in a program that GIO has not kept from it. */
static void
test_no_signal (Fixture *fixture)
{
  GPollableOutputStream *pollable = G_POLLABLE_OUTPUT_STREAM (output (fixture));
  void (*before) (int) = signal (SIGPIPE, SIG_DFL);
  EvpTestAwait await = { fixture->loop, NULL };
  g_autoptr (GError) error = NULL;

  g_assert_true (g_socket_close (fixture->peer, NULL));
  g_assert_cmpint (g_pollable_output_stream_write_nonblocking (pollable, "x", 1, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  g_clear_error (&error);
  g_output_stream_write_async (output (fixture), "x", 1, 0, NULL, evp_test_ready_cb, &await);
  g_assert_cmpint (g_output_stream_write_finish (output (fixture), wait_for (&await), &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  evp_test_await_clear (&await);
  signal (SIGPIPE, before);
}

/* Rules: T-13 */
static void
test_dropped (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  GInputStream *kept = g_object_ref (input (fixture));
  char buffer[16];
  g_autoptr (GError) error = NULL;

  g_input_stream_read_async (kept, buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);

  /* as in GIO, a read that waits keeps its side open */
  g_clear_object (&fixture->stream);
  peer_sends (fixture, "still");
  g_assert_cmpint (g_input_stream_read_finish (kept, wait_for (&await), &error), ==, 5);
  evp_test_await_clear (&await);
  g_assert_no_error (error);
  g_object_unref (kept);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (g_socket_receive (fixture->peer, buffer, sizeof buffer, NULL, &error), ==, 0);
  g_assert_no_error (error);
}

static gpointer
drop_thread (gpointer stream)
{
  g_object_unref (stream);
  return NULL;
}

/* Rules: T-13 */
static void
test_dropped_elsewhere (Fixture *fixture)
{
  EvpTestAwait await = { fixture->loop, NULL };
  char buffer[16];
  g_autoptr (GError) error = NULL;

  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  peer_sends (fixture, "once");
  g_assert_cmpint (read_finish (fixture, &await, &error), ==, 4);
  evp_test_run_ready (fixture->loop);

  /* a garbage collector, on a thread of its own */
  g_thread_join (g_thread_new ("drop", drop_thread, g_steal_pointer (&fixture->stream)));
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (g_socket_receive (fixture->peer, buffer, sizeof buffer, NULL, &error), ==, 0);
  g_assert_no_error (error);
}

static void
count_report_cb (EvpAbstractEventLoop *loop,
                 EvpExceptionContext  *context,
                 gpointer              n_reports)
{
  ++*(guint *) n_reports;
}

/* The other thread drops the connection, and with it its part of the streams, while a read ends. */
static void
drop_elsewhere_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      user_data)
{
  Fixture *fixture = user_data;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_input_stream_read_finish (G_INPUT_STREAM (source), result, &error), ==, 4);
  g_assert_no_error (error);
  g_thread_join (g_thread_new ("drop", drop_thread, g_steal_pointer (&fixture->stream)));
}

/* Rules: T-13, F-9 */
static void
test_dropped_in_callback (Fixture *fixture)
{
  char buffer[16];
  guint n_reports = 0;
  g_autoptr (GError) error = NULL;

  g_object_set (fixture->loop, "turn-budget", 0.0, NULL); /* it asks the kernel between any two callbacks */
  evp_event_loop_set_exception_handler (fixture->loop, count_report_cb, &n_reports, NULL);
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, drop_elsewhere_cb, fixture);
  evp_test_run_ready (fixture->loop);
  peer_sends (fixture, "last");
  while (fixture->stream != NULL)
    evp_test_run_ready (fixture->loop);

  /* the descriptor is closed when the loop watches it no more */
  while (g_socket_condition_check (fixture->peer, G_IO_IN) == 0)
    evp_test_run_ready (fixture->loop);
  g_assert_cmpint (g_socket_receive (fixture->peer, buffer, sizeof buffer, NULL, &error), ==, 0);
  g_assert_no_error (error);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (n_reports, ==, 0);
  evp_event_loop_set_exception_handler (fixture->loop, NULL, NULL, NULL);
}

static void
count_ready_cb (int      fd,
                gpointer n_ready)
{
  ++*(guint *) n_ready;
}

static void
count_destroyed (gpointer n_destroyed)
{
  ++*(guint *) n_destroyed;
}

static void
assert_owned (EvpAbstractEventLoop *loop,
              int                   fd)
{
  guint n_destroyed = 0;
  g_autoptr (GError) error = NULL;

  g_assert_false (evp_event_loop_add_reader (loop, fd, count_ready_cb, &n_destroyed, count_destroyed, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_assert_false (evp_event_loop_add_writer (loop, fd, count_ready_cb, &n_destroyed, count_destroyed, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_assert_cmpuint (n_destroyed, ==, 2);
  g_assert_false (evp_event_loop_remove_reader (loop, fd));
  g_assert_false (evp_event_loop_remove_writer (loop, fd));
}

/* Gives a number that has become free to the end of a pipe, and sees that it can be watched. */
static void
assert_free (EvpAbstractEventLoop *loop,
             int                   fd,
             gpointer              unref_before_use)
{
  int pipe_fds[2];
  guint n_ready = 0;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (pipe (pipe_fds), ==, 0);
  if (pipe_fds[0] == fd)
    pipe_fds[0] = -1;
  else
    g_assert_cmpint (dup2 (pipe_fds[0], fd), ==, fd);
  g_assert_true (evp_event_loop_add_reader (loop, fd, count_ready_cb, &n_ready, NULL, &error));
  g_assert_no_error (error);
  g_clear_object (&unref_before_use);
  g_assert_cmpint (write (pipe_fds[1], "x", 1), ==, 1);
  while (n_ready == 0)
    evp_test_run_ready (loop);
  g_assert_true (evp_event_loop_remove_reader (loop, fd));
  close (fd);
  close (pipe_fds[1]);
  if (pipe_fds[0] >= 0)
    close (pipe_fds[0]);
}

/* Rules: F-9, K-2 */
static void
test_owner (Fixture *fixture)
{
  GSocket *socket = g_socket_connection_get_socket (G_SOCKET_CONNECTION (fixture->stream));
  g_autoptr (EvpAbstractEventLoop) other = NULL;
  g_autoptr (GSocket) near = NULL;
  g_autoptr (GSocket) far = NULL;
  g_autoptr (GBytes) bytes = g_bytes_new_static ("x", 1);
  EvpTestAwait await = { fixture->loop, NULL };
  EvpTestAwait read = { fixture->loop, NULL };
  int fd = g_socket_get_fd (socket);
  GIOStream *stream;
  char buffer[16];
  g_autoptr (GError) error = NULL;

  assert_owned (fixture->loop, fd);
  evp_event_loop_sock_recv_async (fixture->loop, socket, 1, NULL, evp_test_ready_cb, &await);
  g_assert_null (evp_event_loop_sock_recv_finish (fixture->loop, wait_for (&await), &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  evp_test_await_clear (&await);

  /* it is another loop's own affair */
  other = evp_selector_event_loop_new (NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_add_reader (other, fd, count_ready_cb, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_remove_reader (other, fd));
  g_assert_true (evp_event_loop_close (other, &error));

  /* what waits is not disturbed */
  g_input_stream_read_async (input (fixture), buffer, sizeof buffer, 0, NULL, evp_test_ready_cb, &read);
  evp_test_run_ready (fixture->loop);
  assert_owned (fixture->loop, fd);
  evp_event_loop_sock_sendall_async (fixture->loop, socket, bytes, NULL, evp_test_ready_cb, &await);
  g_assert_false (evp_event_loop_sock_sendall_finish (fixture->loop, wait_for (&await), &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  evp_test_await_clear (&await);
  peer_sends (fixture, "read");
  g_assert_cmpint (read_finish (fixture, &read, &error), ==, 4);
  g_assert_no_error (error);

  /* closed, and the number used again */
  g_assert_true (g_io_stream_close (fixture->stream, NULL, &error));
  evp_test_run_ready (fixture->loop);
  assert_free (fixture->loop, fd, NULL);

  /* closed without the stream's knowing */
  make_unix_pair (&near, &far);
  fd = g_socket_get_fd (near);
  stream = evp_socket_stream_new (fixture->loop, near);
  assert_owned (fixture->loop, fd);
  g_assert_true (g_socket_close (near, &error));
  assert_free (fixture->loop, fd, stream);
}

static guint
count_poll_fds (GMainContext *context)
{
  GPollFD fds[2048];
  int priority, timeout;
  guint n;

  g_assert_true (g_main_context_acquire (context));
  g_main_context_prepare (context, &priority);
  n = (guint) g_main_context_query (context, G_MAXINT, &timeout, fds, G_N_ELEMENTS (fds));
  g_main_context_check (context, priority, fds, 0);
  g_main_context_release (context);
  return n;
}

/* Rules: T-8 */
static void
test_idle (Fixture *fixture)
{
  const guint n = 1000;
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (fixture->loop);
  g_autofree EvpTestAwait *awaits = g_new0 (EvpTestAwait, n);
  g_autofree char *buffers = g_malloc (n);
  g_autoptr (GPtrArray) streams = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GPtrArray) peers = g_ptr_array_new_with_free_func (g_object_unref);
  guint before, after;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < n; i++)
    {
      GSocket *near, *far;
      GIOStream *stream;

      make_unix_pair (&near, &far);
      stream = evp_socket_stream_new (fixture->loop, near);
      g_object_unref (near);
      g_ptr_array_add (streams, stream);
      g_ptr_array_add (peers, far);
      awaits[i].loop = fixture->loop;
      g_input_stream_read_async (g_io_stream_get_input_stream (stream), buffers + i, 1, 0, NULL,
                                 evp_test_ready_cb, &awaits[i]);
      if (i == 0)
        {
          evp_test_run_ready (fixture->loop);
          before = count_poll_fds (context);
        }
    }
  evp_test_run_ready (fixture->loop);

  /* every one waits, and the main context knows of none, unless it has to poll for the loop */
  after = count_poll_fds (context);
  if (!fixture->polled)
    g_assert_cmpuint (after, ==, before);
  for (guint i = 0; i < n; i++)
    {
      g_assert_null (awaits[i].result);
      g_assert_cmpint (g_socket_send (g_ptr_array_index (peers, i), "x", 1, NULL, &error), ==, 1);
    }
  for (guint i = 0; i < n; i++)
    {
      g_assert_cmpint (g_input_stream_read_finish (g_io_stream_get_input_stream (g_ptr_array_index (streams, i)),
                                                   wait_for (&awaits[i]), &error), ==, 1);
      evp_test_await_clear (&awaits[i]);
    }
}

static void
count_error_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      n_failed)
{
  g_autoptr (GError) error = NULL;

  if (g_input_stream_read_finish (G_INPUT_STREAM (source), result, &error) < 0)
    {
      g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
      ++*(guint *) n_failed;
    }
}

/* Outside the loop: it is closed with thousands of operations in flight. */
static void
test_loop_closed (Fixture *fixture)
{
  const guint n = 1000;
  g_autoptr (GPtrArray) streams = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GPtrArray) peers = g_ptr_array_new_with_free_func (g_object_unref);
  g_autofree char *buffers = g_malloc (n);
  EvpTestAwait await = { fixture->loop, NULL };
  guint n_failed = 0;
  char byte;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GSocket) near = NULL;
      GSocket *far;
      GIOStream *stream;

      make_unix_pair (&near, &far);
      stream = evp_socket_stream_new (fixture->loop, near);
      g_ptr_array_add (streams, stream);
      g_ptr_array_add (peers, far);
      g_input_stream_read_async (g_io_stream_get_input_stream (stream), buffers + i, 1, 0, NULL,
                                 count_error_cb, &n_failed);
    }
  evp_test_run_ready (fixture->loop);
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n_failed, ==, n);
  g_clear_pointer (&buffers, g_free);

  /* later calls fail as well, in the thread's main context */
  g_input_stream_read_async (input (fixture), &byte, 1, 0, NULL, evp_test_ready_cb, &await);
  while (await.result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpint (g_input_stream_read_finish (input (fixture), await.result, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  evp_test_await_clear (&await);
  g_assert_true (g_io_stream_close (fixture->stream, NULL, &error));
  g_assert_no_error (error);
}

static EvpAbstractEventLoop *
make_poll (GError **error)
{
  g_autoptr (EvpSelector) selector = evp_poll_selector_new ();

  return evp_selector_event_loop_new (selector, NULL, error);
}

static EvpAbstractEventLoop *
make_select (GError **error)
{
  g_autoptr (EvpSelector) selector = evp_select_selector_new ();

  return evp_selector_event_loop_new (selector, NULL, error);
}

typedef struct
{
  Fixture *fixture;
  const Case *kind;
} Body;

static void
body_cb (gpointer user_data)
{
  Body *body = user_data;

  body->kind->test (body->fixture);
}

/* In a callback of the running loop: parts of GIO look for the thread's main context. */
static void
run_case (Fixture      *fixture,
          gconstpointer data)
{
  Body body = { fixture, data };

  if (body.kind->outside)
    body_cb (&body);
  else
    evp_test_run_in_loop (fixture->loop, body_cb, &body);
}

static void
add_cases (GPtrArray      *kinds,
           const char     *name,
           EvpTestMakeLoop make,
           gboolean        polled)
{
  static const struct
  {
    const char *name;
    void (*test) (Fixture *fixture);
    gboolean outside;
  } cases[] = {
    { "read", test_read },
    { "write", test_write },
    { "pressure", test_pressure },
    { "half-close", test_half_close },
    { "types", test_types },
    { "cancel", test_cancel },
    { "paused", test_paused },
    { "close", test_close },
    { "close-pending", test_close_pending },
    { "close-at-once", test_close_at_once },
    { "reset", test_reset },
    { "pollable", test_pollable },
    { "gio", test_gio },
    { "timeout", test_timeout },
    { "graceful", test_graceful },
    { "graceful-cancelled", test_graceful_cancelled },
    { "graceful-loop-closed", test_graceful_loop_closed, TRUE },
    { "graceful-timeout", test_graceful_timeout },
    { "source-dropped", test_source_dropped },
    { "no-signal", test_no_signal },
    { "dropped", test_dropped },
    { "dropped-elsewhere", test_dropped_elsewhere },
    { "dropped-in-callback", test_dropped_in_callback },
    { "owner", test_owner },
    { "idle", test_idle },
    { "loop-closed", test_loop_closed, TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/net/socket-stream/%s/%s", name, cases[i].name);
      Case *kind;

      if (make == make_select && (cases[i].test == test_idle || cases[i].test == test_loop_closed))
        continue; /* more descriptors than select() takes */
      kind = g_new (Case, 1);
      g_ptr_array_add (kinds, kind);
      kind->make = make;
      kind->test = cases[i].test;
      kind->polled = polled;
      kind->outside = cases[i].outside;
      g_test_add (path, Fixture, kind, set_up, run_case, tear_down);
    }
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (GPtrArray) kinds = g_ptr_array_new_with_free_func (g_free);

  g_test_init (&argc, &argv, NULL);

  add_cases (kinds, "selector", evp_test_make_selector_loop, FALSE);
  add_cases (kinds, "selector-poll", make_poll, TRUE);
  add_cases (kinds, "selector-select", make_select, TRUE);
  add_cases (kinds, "proactor-gio", evp_test_make_gio_loop, TRUE);
  if (evp_test_has_uring ())
    add_cases (kinds, "proactor-uring", evp_test_make_uring_loop, FALSE);

  return g_test_run ();
}
