/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/net/evp-socket-stream-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Each case runs on every kind of loop. */

typedef EvpAbstractEventLoop *(*MakeLoop) (GError **error);

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
  GIOStream *stream; /* on the loop */
  GSocket *peer;     /* the other side, blocking */
} Fixture;

typedef struct
{
  MakeLoop make;
  void (*test) (Fixture *fixture);
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

/* Rules: T-11 */
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

static EvpAbstractEventLoop *
make_selector (GError **error)
{
  return evp_selector_event_loop_new (NULL, NULL, error);
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

  evp_test_run_in_loop (fixture->loop, body_cb, &body);
}

static void
add_cases (const char *name,
           MakeLoop    make)
{
  static const struct
  {
    const char *name;
    void (*test) (Fixture *fixture);
  } cases[] = {
    { "read", test_read },
    { "half-close", test_half_close },
    { "types", test_types },
    { "close", test_close },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/net/socket-stream/%s/%s", name, cases[i].name);
      Case *kind = g_new (Case, 1); /* lives as long as the program */

      kind->make = make;
      kind->test = cases[i].test;
      g_test_add (path, Fixture, kind, set_up, run_case, tear_down);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  add_cases ("selector", make_selector);

  return g_test_run ();
}
