/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "net/net-loops.h"

#include "evp/net/evp-socket-stream-private.h"
#include "support/evp-test-tls.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* more than the buffers of a socket hold */
#define FILE_SIZE ((evp_test_is_slow () ? 3 : 8) * 384 * 1024 + 17)

/* A file, and two ends of a socket: what is sent into the near one comes out of the far one. */
typedef struct
{
  NetFixture *fixture;
  GSocket *near;
  GIOStream *stream; /* over `near`, if the test makes one */
  int far;           /* -1: the test has closed it */
  char *path;
  int file;
  GString *content;
  GString *received;
} Pair;

static void
pair_init (Pair       *self,
           NetFixture *fixture,
           gsize       size)
{
  g_autoptr (GError) error = NULL;
  int fds[2];

  *self = (Pair) { .fixture = fixture };
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  self->near = g_socket_new_from_fd (fds[0], &error);
  g_assert_no_error (error);
  g_socket_set_blocking (self->near, FALSE);
  self->far = fds[1];

  self->content = g_string_sized_new (size);
  g_string_set_size (self->content, size);
  for (gsize i = 0; i < size; i++)
    self->content->str[i] = (char) ((i * 7 + i / 251) & 0xff);
  self->file = g_file_open_tmp ("evp-XXXXXX", &self->path, &error);
  g_assert_no_error (error);
  g_assert_cmpint (write (self->file, self->content->str, size), ==, (gssize) size);
  g_assert_cmpint (lseek (self->file, 0, SEEK_SET), ==, 0);
  self->received = g_string_new (NULL);
}

static void
pair_close_far (Pair *self)
{
  if (self->far >= 0)
    close (self->far);
  self->far = -1;
}

static void
pair_clear (Pair *self)
{
  evp_test_run_ready (self->fixture->loop);
  if (self->stream != NULL)
    g_io_stream_close (self->stream, NULL, NULL);
  else
    g_socket_close (self->near, NULL);
  evp_test_run_ready (self->fixture->loop);
  g_clear_object (&self->stream);
  g_clear_object (&self->near);
  pair_close_far (self);
  if (self->file >= 0)
    close (self->file);
  g_unlink (self->path);
  g_free (self->path);
  g_string_free (self->content, TRUE);
  g_string_free (self->received, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Pair, pair_clear)

/* Takes what has arrived. */
static void
pair_drain (Pair *self)
{
  char buffer[65536];
  gssize n;

  while ((n = read (self->far, buffer, sizeof buffer)) > 0)
    g_string_append_len (self->received, buffer, n);
}

/* Drains and turns the loop until there is a result. */
static GAsyncResult *
pair_await (Pair         *self,
            EvpTestAwait *await)
{
  while (await->result == NULL)
    {
      evp_test_run_ready (self->fixture->loop);
      pair_drain (self);
      g_thread_yield (); /* to a worker */
    }
  pair_drain (self);
  return await->result;
}

static gssize
send_file (Pair     *self,
           goffset   offset,
           gint64    count,
           gboolean  fallback,
           GError  **error)
{
  g_auto (EvpTestAwait) await = { self->fixture->loop, NULL };

  evp_event_loop_sock_sendfile_async (self->fixture->loop, self->near, self->file, offset, count, fallback, NULL,
                                      evp_test_ready_cb, &await);
  return evp_event_loop_sock_sendfile_finish (self->fixture->loop, pair_await (self, &await), error);
}

static gssize
send_stream (Pair     *self,
             goffset   offset,
             gint64    count,
             gboolean  fallback,
             GError  **error)
{
  g_auto (EvpTestAwait) await = { self->fixture->loop, NULL };
  g_autoptr (GFile) file = g_file_new_for_path (self->path);

  evp_event_loop_sendfile_async (self->fixture->loop, self->stream, file, offset, count, fallback, NULL,
                                 evp_test_ready_cb, &await);
  return evp_event_loop_sendfile_finish (self->fixture->loop, pair_await (self, &await), error);
}

static void
assert_content (Pair  *self,
                gsize  offset,
                gssize n)
{
  g_assert_cmpint ((gssize) self->received->len, ==, n);
  g_assert_true (memcmp (self->received->str, self->content->str + offset, (gsize) n) == 0);
  g_string_truncate (self->received, 0);
}

static gint64
position (Pair *self)
{
  return lseek (self->file, 0, SEEK_CUR);
}

/* Rules: K-14, K-16 */
static void
test_sock (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_autoptr (GError) error = NULL;

  pair_init (&pair, fixture, FILE_SIZE);
  for (int fallback = 0; fallback < 2; fallback++)
    {
      g_assert_cmpint (send_file (&pair, 0, -1, fallback, &error), ==, FILE_SIZE);
      g_assert_no_error (error);
      assert_content (&pair, 0, FILE_SIZE);
      g_assert_cmpint (position (&pair), ==, FILE_SIZE);
    }

  g_assert_cmpint (send_file (&pair, 1000, 2000, FALSE, &error), ==, 2000);
  assert_content (&pair, 1000, 2000);
  g_assert_cmpint (position (&pair), ==, 3000);

  /* less than was asked for, and nothing at all; then it stays where it is */
  g_assert_cmpint (send_file (&pair, FILE_SIZE - 5, 100, FALSE, &error), ==, 5);
  assert_content (&pair, FILE_SIZE - 5, 5);
  g_assert_cmpint (lseek (pair.file, 42, SEEK_SET), ==, 42);
  g_assert_cmpint (send_file (&pair, FILE_SIZE, -1, FALSE, &error), ==, 0);
  g_assert_cmpint (send_file (&pair, FILE_SIZE + 1, 10, FALSE, &error), ==, 0);
  g_assert_cmpint (position (&pair), ==, 42);
  g_assert_no_errno (ftruncate (pair.file, 0));
  g_assert_cmpint (send_file (&pair, 0, -1, FALSE, &error), ==, 0);
  g_assert_no_error (error);
  g_assert_cmpint (position (&pair), ==, 42);
}

/* Rules: K-14 */
static void
test_mixed (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_autoptr (GBytes) before = g_bytes_new_static ("before ", 7);
  g_autoptr (GBytes) after = g_bytes_new_static (" after", 6);
  g_autoptr (GError) error = NULL;

  pair_init (&pair, fixture, 100);
  for (int i = 0; i < 2; i++)
    {
      g_auto (EvpTestAwait) await = { fixture->loop, NULL };

      evp_event_loop_sock_sendall_async (fixture->loop, pair.near, i == 0 ? before : after, NULL,
                                         evp_test_ready_cb, &await);
      g_assert_true (evp_event_loop_sock_sendall_finish (fixture->loop, evp_test_await (&await), &error));
      if (i == 0)
        g_assert_cmpint (send_file (&pair, 0, -1, FALSE, &error), ==, 100);
      g_assert_no_error (error);
    }
  pair_drain (&pair);
  g_string_prepend (pair.content, "before ");
  g_string_append (pair.content, " after");
  assert_content (&pair, 0, 113);
}

/* Puts another file into the pair. */
static void
pair_set_file (Pair *self,
               int   file)
{
  close (self->file);
  self->file = file;
}

/* Rules: K-14, K-15, E-7 */
static void
test_fallback (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_autoptr (GError) error = NULL;
  int fds[2];

  /* no regular file: a pipe, and a device that never ends */
  pair_init (&pair, fixture, 5);
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  g_assert_cmpint (write (fds[1], pair.content->str, 5), ==, 5);
  close (fds[1]);
  pair_set_file (&pair, fds[0]);
  g_assert_cmpint (send_file (&pair, 0, -1, FALSE, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  /* it has no other place than where it stands */
  g_assert_cmpint (send_file (&pair, 2, -1, TRUE, &error), ==, -1);
  g_assert_nonnull (error);
  g_assert_true (error->domain == G_IO_ERROR);
  g_clear_error (&error);
  g_assert_cmpint (send_file (&pair, 0, -1, TRUE, &error), ==, 5);
  g_assert_no_error (error);
  assert_content (&pair, 0, 5);

  pair_set_file (&pair, open ("/dev/zero", O_RDONLY | O_CLOEXEC));
  g_assert_cmpint (send_file (&pair, 0, 600001, TRUE, &error), ==, 600001);
  g_assert_no_error (error);
  g_assert_cmpuint (pair.received->len, ==, 600001);
  for (gsize i = 0; i < pair.received->len; i++)
    g_assert_cmpint (pair.received->str[i], ==, 0);

  /* no file at all */
  pair_set_file (&pair, open ("/dev/null", O_WRONLY | O_CLOEXEC));
  g_assert_cmpint (send_file (&pair, 0, -1, FALSE, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  g_assert_cmpint (send_file (&pair, 0, -1, TRUE, &error), ==, -1);
  g_assert_nonnull (error);
  g_assert_true (error->domain == G_IO_ERROR);
  g_clear_error (&error);

  /* without the executor there is no fallback, but the kernel's way needs none */
  net_shut_down_executor (fixture);
  pair_set_file (&pair, open ("/dev/zero", O_RDONLY | O_CLOEXEC));
  g_assert_cmpint (send_file (&pair, 0, 10, TRUE, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  pair_set_file (&pair, open (pair.path, O_RDONLY | O_CLOEXEC));
  g_string_truncate (pair.received, 0);
  g_assert_cmpint (send_file (&pair, 0, -1, TRUE, &error), ==, 5);
  g_assert_no_error (error);
  assert_content (&pair, 0, 5);
}

static void
assert_refused (Pair       *pair,
                GSocket    *socket,
                goffset     offset,
                gint64      count,
                const char *says)
{
  g_auto (EvpTestAwait) await = { pair->fixture->loop, NULL };
  g_autoptr (GError) error = NULL;

  evp_event_loop_sock_sendfile_async (pair->fixture->loop, socket, pair->file, offset, count, TRUE, NULL,
                                      evp_test_ready_cb, &await);
  g_assert_cmpint (evp_event_loop_sock_sendfile_finish (pair->fixture->loop, evp_test_await (&await), &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, says));
}

/* Rules: K-17 */
static void
test_arguments (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_autoptr (GSocket) datagram = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, 0, NULL);

  pair_init (&pair, fixture, 5);
  assert_refused (&pair, datagram, -1, 0, "stream socket");
  assert_refused (&pair, pair.near, -1, 0, "number of bytes");
  assert_refused (&pair, pair.near, -1, -2, "number of bytes");
  assert_refused (&pair, pair.near, -1, 5, "offset");
  evp_event_loop_set_debug (fixture->loop, TRUE);
  assert_refused (&pair, datagram, -1, 0, "non-blocking");
  evp_event_loop_set_debug (fixture->loop, FALSE);
  pair_drain (&pair);
  g_assert_cmpuint (pair.received->len, ==, 0);
}

/* Rules: K-15, K-16 */
static void
test_peer_gone (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autoptr (GError) error = NULL;
  void (*before) (int) = signal (SIGPIPE, SIG_DFL);

  /* in the middle */
  pair_init (&pair, fixture, FILE_SIZE);
  evp_event_loop_sock_sendfile_async (fixture->loop, pair.near, pair.file, 7, -1, FALSE, NULL,
                                      evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  pair_close_far (&pair);
  g_assert_cmpint (evp_event_loop_sock_sendfile_finish (fixture->loop, evp_test_await (&await), &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
  g_clear_error (&error);
  g_assert_cmpint (position (&pair), >, 7);
  g_assert_cmpint (position (&pair), <, FILE_SIZE);

  /* before the beginning */
  g_assert_cmpint (lseek (pair.file, 42, SEEK_SET), ==, 42);
  for (int fallback = 0; fallback < 2; fallback++)
    {
      g_auto (EvpTestAwait) again = { fixture->loop, NULL };

      evp_event_loop_sock_sendfile_async (fixture->loop, pair.near, pair.file, 0, -1, fallback, NULL,
                                          evp_test_ready_cb, &again);
      g_assert_cmpint (evp_event_loop_sock_sendfile_finish (fixture->loop, evp_test_await (&again), &error), ==, -1);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
      g_clear_error (&error);
      g_assert_cmpint (position (&pair), ==, 42);
    }
  signal (SIGPIPE, before);
}

/* A socket that was never connected. */
/* Rules: K-15 */
static void
test_not_connected (NetFixture *fixture)
{
  /* each says it with an errno of its own */
  const GSocketFamily families[] = { G_SOCKET_FAMILY_IPV4, G_SOCKET_FAMILY_UNIX };
  g_auto (Pair) pair = { 0 };

  pair_init (&pair, fixture, 5);
  for (gsize i = 0; i < G_N_ELEMENTS (families); i++)
    {
      g_auto (EvpTestAwait) await = { fixture->loop, NULL };
      g_autoptr (GSocket) socket = g_socket_new (families[i], G_SOCKET_TYPE_STREAM, 0, NULL);
      g_autoptr (GError) error = NULL;

      g_socket_set_blocking (socket, FALSE);
      evp_event_loop_sock_sendfile_async (fixture->loop, socket, pair.file, 0, -1, FALSE, NULL,
                                          evp_test_ready_cb, &await);
      g_assert_cmpint (evp_event_loop_sock_sendfile_finish (fixture->loop, evp_test_await (&await), &error), ==, -1);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
    }
}

/* Rules: K-16, K-5 */
static void
test_cancel (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_auto (EvpTestAwait) late = { fixture->loop, NULL };
  g_autoptr (GError) error = NULL;
  gint64 sent;

  pair_init (&pair, fixture, FILE_SIZE);
  evp_event_loop_sock_sendfile_async (fixture->loop, pair.near, pair.file, 7, -1, FALSE, cancellable,
                                      evp_test_ready_cb, &await);
  evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  g_cancellable_cancel (cancellable);
  g_assert_cmpint (evp_event_loop_sock_sendfile_finish (fixture->loop, evp_test_await (&await), &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  pair_drain (&pair);
  sent = (gint64) pair.received->len;
  g_assert_cmpint (position (&pair), ==, 7 + sent);
  assert_content (&pair, 7, sent);

  /* the socket can be used as before */
  g_assert_cmpint (send_file (&pair, 7 + sent, 100, FALSE, &error), ==, 100);
  g_assert_no_error (error);
  assert_content (&pair, (gsize) (7 + sent), 100);

  evp_event_loop_sock_sendfile_async (fixture->loop, pair.near, pair.file, 0, -1, FALSE, cancellable,
                                      evp_test_ready_cb, &late);
  g_assert_cmpint (evp_event_loop_sock_sendfile_finish (fixture->loop, evp_test_await (&late), &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  pair_drain (&pair);
  g_assert_cmpuint (pair.received->len, ==, 0);
}

/* The fallback can be cancelled too, and is not done before its worker is. */
static void
test_cancel_fallback (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autoptr (GError) error = NULL;

  pair_init (&pair, fixture, 1);
  pair_set_file (&pair, open ("/dev/zero", O_RDONLY | O_CLOEXEC));
  evp_event_loop_sock_sendfile_async (fixture->loop, pair.near, pair.file, 0, -1, TRUE, cancellable,
                                      evp_test_ready_cb, &await);
  while (pair.received->len < 1000000)
    {
      evp_test_run_ready (fixture->loop);
      g_assert_null (await.result);
      pair_drain (&pair);
    }
  g_cancellable_cancel (cancellable);
  g_assert_cmpint (evp_event_loop_sock_sendfile_finish (fixture->loop, pair_await (&pair, &await), &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
write_text (Pair       *self,
            const char *text)
{
  g_auto (EvpTestAwait) await = { self->fixture->loop, NULL };
  g_autoptr (GError) error = NULL;

  g_output_stream_write_all_async (g_io_stream_get_output_stream (self->stream), text, strlen (text), 0, NULL,
                                   evp_test_ready_cb, &await);
  g_assert_true (g_output_stream_write_all_finish (g_io_stream_get_output_stream (self->stream),
                                                   pair_await (self, &await), NULL, &error));
  g_assert_no_error (error);
}

/* Rules: N-25, K-16 */
static void
check_stream (Pair *pair)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (send_stream (pair, 0, -1, FALSE, &error), ==, FILE_SIZE);
  g_assert_no_error (error);
  assert_content (pair, 0, FILE_SIZE);
  g_assert_cmpint (send_stream (pair, 100, 200, FALSE, &error), ==, 200);
  assert_content (pair, 100, 200);
  g_assert_cmpint (send_stream (pair, FILE_SIZE, -1, FALSE, &error), ==, 0);
  g_assert_no_error (error);

  write_text (pair, "before ");
  g_assert_cmpint (send_stream (pair, 0, 10, TRUE, &error), ==, 10);
  g_assert_no_error (error);
  write_text (pair, " after");
  pair_drain (pair);
  g_assert_cmpuint (pair->received->len, ==, 23);
  g_assert_cmpmem (pair->received->str, 7, "before ", 7);
  g_assert_cmpmem (pair->received->str + 7, 10, pair->content->str, 10);
  g_assert_cmpmem (pair->received->str + 17, 6, " after", 6);
  g_string_truncate (pair->received, 0);
}

/* Rules: N-25 */
static void
test_stream (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };

  pair_init (&pair, fixture, FILE_SIZE);
  pair.stream = evp_socket_stream_new (fixture->loop, pair.near);
  check_stream (&pair);
}

/* Rules: N-25 */
static void
test_gio_stream (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };

  pair_init (&pair, fixture, FILE_SIZE);
  pair.stream = G_IO_STREAM (g_socket_connection_factory_create_connection (pair.near));
  check_stream (&pair);
}

/* Nothing overtakes, and nothing gets in between. */
/* Rules: N-25 */
static void
test_pending (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_auto (EvpTestAwait) sending = { fixture->loop, NULL };
  g_auto (EvpTestAwait) writing = { fixture->loop, NULL };
  g_autoptr (GFile) file = NULL;
  g_autoptr (GError) error = NULL;
  GOutputStream *output;

  pair_init (&pair, fixture, FILE_SIZE);
  pair.stream = evp_socket_stream_new (fixture->loop, pair.near);
  output = g_io_stream_get_output_stream (pair.stream);
  file = g_file_new_for_path (pair.path);

  evp_event_loop_sendfile_async (fixture->loop, pair.stream, file, 0, -1, FALSE, NULL, evp_test_ready_cb, &sending);
  g_assert_cmpint (g_pollable_output_stream_is_writable (G_POLLABLE_OUTPUT_STREAM (output)), ==, TRUE);
  g_assert_cmpint (g_output_stream_write (output, "x", 1, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
  g_clear_error (&error);
  g_assert_cmpint (evp_event_loop_sendfile_finish (fixture->loop, pair_await (&pair, &sending), &error), ==, FILE_SIZE);
  g_assert_no_error (error);
  assert_content (&pair, 0, FILE_SIZE);

  g_output_stream_write_all_async (output, pair.content->str, pair.content->len, 0, NULL,
                                   evp_test_ready_cb, &writing);
  evp_test_run_ready (fixture->loop);
  g_assert_null (writing.result);
  g_assert_cmpint (send_stream (&pair, 0, -1, TRUE, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
  g_clear_error (&error);
  g_assert_true (g_output_stream_write_all_finish (output, pair_await (&pair, &writing), NULL, &error));
  g_assert_no_error (error);
  assert_content (&pair, 0, FILE_SIZE);
}

/* Rules: N-25, E-7 */
static void
test_foreign_stream (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_autoptr (GInputStream) input = g_memory_input_stream_new ();
  g_autoptr (GOutputStream) output = g_memory_output_stream_new_resizable ();
  g_autoptr (GIOStream) stream = g_simple_io_stream_new (input, output);
  g_autoptr (GError) error = NULL;

  pair_init (&pair, fixture, 100000);
  pair.stream = g_object_ref (stream);
  g_assert_cmpint (send_stream (&pair, 0, -1, FALSE, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  g_assert_cmpint (send_stream (&pair, 3, 99990, TRUE, &error), ==, 99990);
  g_assert_no_error (error);
  g_assert_cmpuint (g_memory_output_stream_get_data_size (G_MEMORY_OUTPUT_STREAM (output)), ==, 99990);
  g_assert_true (memcmp (g_memory_output_stream_get_data (G_MEMORY_OUTPUT_STREAM (output)),
                         pair.content->str + 3, 99990) == 0);

  net_shut_down_executor (fixture);
  g_assert_cmpint (send_stream (&pair, 0, -1, TRUE, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_socket_close (pair.near, NULL);
}

/* Rules: N-25 */
static void
test_stream_refused (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_auto (Pair) datagrams = { 0 };
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string ("127.0.0.1", 9);
  g_autoptr (GError) error = NULL;

  pair_init (&pair, fixture, 5);
  pair.stream = evp_socket_stream_new (fixture->loop, pair.near);
  g_assert_cmpint (send_stream (&pair, -1, -1, TRUE, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_cmpint (send_stream (&pair, 0, 0, TRUE, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);

  /* a file that is not there; after that the stream can be written to */
  g_assert_no_errno (g_unlink (pair.path));
  g_assert_cmpint (send_stream (&pair, 0, -1, TRUE, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  write_text (&pair, "written");

  g_assert_true (g_io_stream_close (pair.stream, NULL, NULL));
  g_assert_cmpint (send_stream (&pair, 0, -1, TRUE, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);

  pair_init (&datagrams, fixture, 5);
  g_socket_close (datagrams.near, NULL);
  g_clear_object (&datagrams.near);
  datagrams.near = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_DATAGRAM, 0, NULL);
  g_assert_true (g_socket_connect (datagrams.near, address, NULL, NULL));
  datagrams.stream = G_IO_STREAM (g_socket_connection_factory_create_connection (datagrams.near));
  g_assert_cmpint (send_stream (&datagrams, 0, -1, TRUE, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
}

/* Rules: N-25 */
static void
test_stream_peer_gone (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autoptr (GFile) file = NULL;
  g_autoptr (GError) error = NULL;
  char byte;

  pair_init (&pair, fixture, FILE_SIZE);
  pair.stream = evp_socket_stream_new (fixture->loop, pair.near);
  file = g_file_new_for_path (pair.path);
  evp_event_loop_sendfile_async (fixture->loop, pair.stream, file, 0, -1, FALSE, NULL, evp_test_ready_cb, &await);
  while (read (pair.far, &byte, 1) != 1)
    evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  pair_close_far (&pair);
  g_assert_cmpint (evp_event_loop_sendfile_finish (fixture->loop, evp_test_await (&await), &error), ==, -1);
  g_assert_true (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED));
}

static void
test_stream_cancel (NetFixture *fixture)
{
  g_auto (Pair) pair = { 0 };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };
  g_autoptr (GFile) file = NULL;
  g_autoptr (GError) error = NULL;
  char byte;

  pair_init (&pair, fixture, FILE_SIZE);
  pair.stream = evp_socket_stream_new (fixture->loop, pair.near);
  file = g_file_new_for_path (pair.path);
  evp_event_loop_sendfile_async (fixture->loop, pair.stream, file, 0, -1, FALSE, cancellable,
                                 evp_test_ready_cb, &await);
  while (read (pair.far, &byte, 1) != 1)
    evp_test_run_ready (fixture->loop);
  g_assert_null (await.result);
  g_cancellable_cancel (cancellable);
  g_assert_cmpint (evp_event_loop_sendfile_finish (fixture->loop, evp_test_await (&await), &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  pair_drain (&pair);
  g_string_truncate (pair.received, 0);
  write_text (&pair, "written");
  pair_drain (&pair);
  g_assert_cmpstr (pair.received->str, ==, "written");
}

static gboolean
accept_cb (GTlsConnection      *connection,
           GTlsCertificate     *certificate,
           GTlsCertificateFlags flags,
           gpointer             user_data)
{
  return TRUE;
}

/* TLS has to see every byte: only the fallback will do. */
/* Rules: N-25 */
static void
test_tls (void)
{
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "TLS");
  NetFixture fixture = { 0 };
  g_autoptr (GIOStream) near = NULL;
  g_autoptr (GIOStream) far = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GSocket) far_socket = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *received = g_malloc (FILE_SIZE);
  GMainContext *context = g_main_context_default ();
  gsize n_received = 0;

  if (!evp_test_tls_available ())
    return;
  fixture.loop = loop = evp_selector_event_loop_new (NULL, context, NULL);
  {
    g_auto (Pair) pair = { 0 };
    g_auto (EvpTestAwait) sending = { loop, NULL };
    g_auto (EvpTestAwait) reading = { loop, NULL };
    g_autoptr (GFile) file = NULL;

    pair_init (&pair, &fixture, FILE_SIZE);
    near = evp_socket_stream_new (loop, pair.near);
    far_socket = g_socket_new_from_fd (pair.far, &error);
    g_assert_no_error (error);
    g_socket_set_blocking (far_socket, FALSE);
    pair.far = -1;
    far = evp_socket_stream_new (loop, far_socket);
    pair.stream = g_tls_server_connection_new (near, evp_test_tls_certificate (), &error);
    g_assert_no_error (error);
    client = g_tls_client_connection_new (far, NULL, &error);
    g_assert_no_error (error);
    g_signal_connect (client, "accept-certificate", G_CALLBACK (accept_cb), NULL);

    file = g_file_new_for_path (pair.path);
    evp_event_loop_sendfile_async (loop, pair.stream, file, 0, -1, TRUE, NULL, evp_test_ready_cb, &sending);
    g_input_stream_read_all_async (g_io_stream_get_input_stream (client), received, FILE_SIZE, 0, NULL,
                                   evp_test_ready_cb, &reading);
    g_assert_cmpint (evp_event_loop_sendfile_finish (loop, evp_test_await (&sending), &error), ==, FILE_SIZE);
    g_assert_no_error (error);
    while (reading.result == NULL)
      g_main_context_iteration (context, TRUE);
    g_assert_true (g_input_stream_read_all_finish (G_INPUT_STREAM (g_io_stream_get_input_stream (client)),
                                                   reading.result, &n_received, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (n_received, ==, FILE_SIZE);
    g_assert_true (memcmp (received, pair.content->str, FILE_SIZE) == 0);

    {
      g_auto (EvpTestAwait) refused = { loop, NULL };

      evp_event_loop_sendfile_async (loop, pair.stream, file, 0, -1, FALSE, NULL, evp_test_ready_cb, &refused);
      g_assert_cmpint (evp_event_loop_sendfile_finish (loop, evp_test_await (&refused), &error), ==, -1);
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
      g_clear_error (&error);
    }
    g_io_stream_close (far, NULL, NULL);
    g_io_stream_close (near, NULL, NULL);
    g_clear_object (&pair.stream);
  }
  g_assert_true (evp_event_loop_close (loop, NULL));
}

static void
note_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  GError **error = user_data;

  g_assert_cmpint (evp_event_loop_sock_sendfile_finish (EVP_EVENT_LOOP (source), result, error), ==, -1);
}

static void
note_stream_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  GError **error = user_data;

  g_assert_cmpint (evp_event_loop_sendfile_finish (EVP_EVENT_LOOP (source), result, error), ==, -1);
}

/* What fails at once is told later all the same: nobody is called back inside the call. */
static void
wait_for_closed_error (GError **error)
{
  g_assert_no_error (*error);
  while (*error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (*error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (error);
}

static void
test_loop_closed (void)
{
  g_autoptr (EvpAbstractEventLoop) loop = evp_selector_event_loop_new (NULL, NULL, NULL);
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a closed loop");
  NetFixture fixture = { .loop = loop };
  g_autoptr (GIOStream) stream = NULL;
  g_autoptr (GFile) file = NULL;
  g_autoptr (GError) error = NULL;
  Pair pair;

  pair_init (&pair, &fixture, FILE_SIZE);
  evp_event_loop_sock_sendfile_async (loop, pair.near, pair.file, 0, -1, FALSE, NULL, note_cb, &error);
  evp_test_run_ready (loop);
  g_assert_no_error (error);
  pair.fixture = NULL;
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  evp_event_loop_sock_sendfile_async (loop, pair.near, pair.file, 0, -1, FALSE, NULL, note_cb, &error);
  wait_for_closed_error (&error);
  stream = evp_socket_stream_new (loop, pair.near);
  file = g_file_new_for_path (pair.path);
  evp_event_loop_sendfile_async (loop, stream, file, 0, -1, FALSE, NULL, note_stream_cb, &error);
  wait_for_closed_error (&error);

  g_clear_object (&stream);
  g_object_unref (pair.near);
  close (pair.far);
  close (pair.file);
  g_unlink (pair.path);
  g_free (pair.path);
  g_string_free (pair.content, TRUE);
  g_string_free (pair.received, TRUE);
  g_assert_finalize_object (g_steal_pointer (&loop));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  net_test_add ("loop-sendfile", "sock", test_sock);
  net_test_add ("loop-sendfile", "mixed", test_mixed);
  net_test_add ("loop-sendfile", "fallback", test_fallback);
  net_test_add ("loop-sendfile", "arguments", test_arguments);
  net_test_add ("loop-sendfile", "peer-gone", test_peer_gone);
  net_test_add ("loop-sendfile", "not-connected", test_not_connected);
  net_test_add ("loop-sendfile", "cancel", test_cancel);
  net_test_add ("loop-sendfile", "cancel-fallback", test_cancel_fallback);
  net_test_add ("loop-sendfile", "stream", test_stream);
  net_test_add ("loop-sendfile", "gio-stream", test_gio_stream);
  net_test_add ("loop-sendfile", "pending", test_pending);
  net_test_add ("loop-sendfile", "foreign-stream", test_foreign_stream);
  net_test_add ("loop-sendfile", "stream-refused", test_stream_refused);
  net_test_add ("loop-sendfile", "stream-peer-gone", test_stream_peer_gone);
  net_test_add ("loop-sendfile", "stream-cancel", test_stream_cancel);
  g_test_add_func ("/evp/net/loop-sendfile/tls", test_tls);
  g_test_add_func ("/evp/net/loop-sendfile/loop-closed", test_loop_closed);

  return g_test_run ();
}
