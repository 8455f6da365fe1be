/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-loop-fixture.h"

#include "evp/loop/evp-loop-sockets-private.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* The operations on sockets, with the other end in the hands of the test. */

typedef struct
{
  Fixture *fixture;
  GAsyncResult *result;
  gboolean awaited;
} Await;

static void
ready_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  Await *await = user_data;

  g_assert_true (source == (GObject *) await->fixture->loop);
  g_assert_null (await->result); /* once */
  await->result = g_object_ref (result);
  if (await->awaited)
    finish (await->fixture);
}

static GAsyncResult *
wait_for (Await *await)
{
  if (await->result == NULL)
    {
      await->awaited = TRUE;
      drive (await->fixture);
      await->awaited = FALSE;
    }
  g_assert_nonnull (await->result);
  return await->result;
}

static void
await_clear (Await *await)
{
  g_clear_object (&await->result);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Await, await_clear)

static GSocket *
new_socket (int fd)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new_from_fd (fd, &error);

  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  return socket;
}

static void
new_pair (GSocket **socket,
          int      *peer)
{
  int fds[2];

  make_pair (fds);
  *socket = new_socket (fds[0]);
  *peer = fds[1];
}

static GSocket *
new_inet (GSocketType type)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new (G_SOCKET_FAMILY_IPV4, type, G_SOCKET_PROTOCOL_DEFAULT, &error);

  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  return socket;
}

static GSocketAddress *
bind_local (GSocket *socket)
{
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_autoptr (GError) error = NULL;
  GSocketAddress *address;

  g_assert_true (g_socket_bind (socket, any, TRUE, &error));
  g_assert_no_error (error);
  address = g_socket_get_local_address (socket, &error);
  g_assert_no_error (error);
  return address;
}

static GSocket *
new_listener (GSocketAddress **address)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = new_inet (G_SOCKET_TYPE_STREAM);

  *address = bind_local (socket);
  g_assert_true (g_socket_listen (socket, &error));
  g_assert_no_error (error);
  return socket;
}

static GSocketAddress *
new_abstract_address (void)
{
  static guint serial = 0;
  g_autofree char *name = g_strdup_printf ("evp-contract-%d-%u", (int) getpid (), serial++);

  return g_unix_socket_address_new_with_type (name, -1, G_UNIX_SOCKET_ADDRESS_ABSTRACT);
}

static GSocket *
new_unix_listener (GSocketAddress *address,
                   int             backlog)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &error);

  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  g_assert_true (g_socket_bind (socket, address, FALSE, &error));
  g_assert_no_error (error);
  g_socket_set_listen_backlog (socket, backlog);
  g_assert_true (g_socket_listen (socket, &error));
  g_assert_no_error (error);
  return socket;
}

static void
say (int         fd,
     const char *text)
{
  g_assert_cmpint (send (fd, text, strlen (text), MSG_NOSIGNAL), ==, (gssize) strlen (text));
}

static void
assert_recv (Await      *await,
             const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = evp_event_loop_sock_recv_finish (await->fixture->loop, wait_for (await), &error);

  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), text, strlen (text));
  g_clear_object (&await->result);
}

static void
assert_recv_error (Await *await,
                   GQuark domain,
                   int    code)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_event_loop_sock_recv_finish (await->fixture->loop, wait_for (await), &error));
  g_assert_error (error, domain, code);
  g_clear_object (&await->result);
}

/* Rules: K-3, K-7 */
static void
case_recv (Fixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  g_auto (Await) await = { fixture };
  int peer;

  new_pair (&socket, &peer);

  /* there already; never inside the call */
  say (peer, "one");
  evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &await);
  g_assert_null (await.result);
  assert_recv (&await, "one");

  /* later, several times, and no more than was asked for */
  for (guint i = 0; i < 3; i++)
    {
      evp_event_loop_sock_recv_async (fixture->loop, socket, 4, NULL, ready_cb, &await);
      turn (fixture);
      g_assert_null (await.result);
      say (peer, "abcdef");
      assert_recv (&await, "abcd");
      evp_event_loop_sock_recv_async (fixture->loop, socket, 4, NULL, ready_cb, &await);
      assert_recv (&await, "ef");
    }

  /* the other side says no more, but still listens */
  g_assert_cmpint (shutdown (peer, SHUT_WR), ==, 0);
  for (guint i = 0; i < 2; i++)
    {
      evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &await);
      assert_recv (&await, "");
    }
  close (peer);
}

/* Rules: K-7 */
static void
case_recv_into (Fixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Await) await = { fixture };
  char buffer[8] = "";
  int peer;

  new_pair (&socket, &peer);
  evp_event_loop_sock_recv_into_async (fixture->loop, socket, buffer, sizeof buffer, NULL, ready_cb, &await);
  turn (fixture);
  say (peer, "abcdefghij");
  g_assert_cmpint (evp_event_loop_sock_recv_into_finish (fixture->loop, wait_for (&await), &error), ==, 8);
  g_assert_no_error (error);
  g_assert_cmpmem (buffer, 8, "abcdefgh", 8);
  await_clear (&await);

  /* nothing asked, nothing waited for, nothing taken */
  evp_event_loop_sock_recv_into_async (fixture->loop, socket, NULL, 0, NULL, ready_cb, &await);
  g_assert_cmpint (evp_event_loop_sock_recv_into_finish (fixture->loop, wait_for (&await), &error), ==, 0);
  await_clear (&await);
  evp_event_loop_sock_recv_async (fixture->loop, socket, 0, NULL, ready_cb, &await);
  assert_recv (&await, "");
  evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &await);
  assert_recv (&await, "ij");

  close (peer);
  evp_event_loop_sock_recv_into_async (fixture->loop, socket, buffer, sizeof buffer, NULL, ready_cb, &await);
  g_assert_cmpint (evp_event_loop_sock_recv_into_finish (fixture->loop, wait_for (&await), &error), ==, 0);
  g_assert_no_error (error);
}

/* Rules: K-8, K-10 */
static void
case_datagrams (Fixture *fixture)
{
  g_autoptr (GSocket) a = new_inet (G_SOCKET_TYPE_DATAGRAM);
  g_autoptr (GSocket) b = new_inet (G_SOCKET_TYPE_DATAGRAM);
  g_autoptr (GSocketAddress) address_a = bind_local (a);
  g_autoptr (GSocketAddress) address_b = bind_local (b);
  const char *texts[] = { "first", "", "a longer third one" };
  char buffer[8];
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_auto (Await) received = { fixture };
      g_auto (Await) sent = { fixture };
      g_autoptr (GBytes) bytes = g_bytes_new_static (texts[i], strlen (texts[i]));
      g_autoptr (GBytes) datagram = NULL;
      g_autoptr (GSocketAddress) sender = NULL;

      evp_event_loop_sock_recvfrom_async (fixture->loop, b, 100, NULL, ready_cb, &received);
      turn (fixture);
      g_assert_null (received.result);
      evp_event_loop_sock_sendto_async (fixture->loop, a, bytes, address_b, NULL, ready_cb, &sent);
      g_assert_cmpint (evp_event_loop_sock_sendto_finish (fixture->loop, wait_for (&sent), &error), ==,
                       (gssize) strlen (texts[i]));
      g_assert_no_error (error);
      datagram = evp_event_loop_sock_recvfrom_finish (fixture->loop, wait_for (&received), &sender, &error);
      g_assert_no_error (error);
      g_assert_true (g_bytes_equal (datagram, bytes));
      g_assert_cmpint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (sender)), ==,
                       g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address_a)));
    }

  /* two at once, each received by itself, the second cut off */
  for (guint i = 0; i < 2; i++)
    g_assert_cmpint (g_socket_send_to (a, address_b, texts[2], strlen (texts[2]), NULL, NULL), >, 0);
  for (guint i = 0; i < 2; i++)
    {
      g_auto (Await) received = { fixture };
      g_autoptr (GSocketAddress) sender = NULL;

      evp_event_loop_sock_recvfrom_into_async (fixture->loop, b, buffer, sizeof buffer, NULL, ready_cb, &received);
      g_assert_cmpint (evp_event_loop_sock_recvfrom_into_finish (fixture->loop, wait_for (&received), &sender, &error),
                       ==, 8);
      g_assert_no_error (error);
      g_assert_nonnull (sender);
      g_assert_cmpmem (buffer, 8, texts[2], 8);
    }
}

static GBytes *
new_pattern (gsize size)
{
  guint8 *data = g_malloc (size);

  for (gsize i = 0; i < size; i++)
    data[i] = (guint8) (i * 7 + i / 251);
  return g_bytes_new_take (data, size);
}

/* Rules: K-9 */
static void
case_sendall (Fixture *fixture)
{
  const gsize size = 8 * 1024 * 1024;
  g_autoptr (GBytes) pattern = new_pattern (size);
  g_autoptr (GBytes) nothing = g_bytes_new (NULL, 0);
  g_autoptr (GByteArray) received = g_byte_array_sized_new (size);
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GSocket) other = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Await) sent = { fixture };
  int peer;

  new_pair (&socket, &peer);
  other = new_socket (peer);
  evp_event_loop_sock_sendall_async (fixture->loop, socket, pattern, NULL, ready_cb, &sent);
  turn (fixture);
  g_assert_null (sent.result); /* it cannot all fit */

  while (received->len < size)
    {
      g_auto (Await) part = { fixture };
      g_autoptr (GBytes) bytes = NULL;

      evp_event_loop_sock_recv_async (fixture->loop, other, 300 * 1000, NULL, ready_cb, &part);
      bytes = evp_event_loop_sock_recv_finish (fixture->loop, wait_for (&part), &error);
      g_assert_no_error (error);
      g_assert_cmpuint (g_bytes_get_size (bytes), >, 0);
      g_byte_array_append (received, g_bytes_get_data (bytes, NULL), (guint) g_bytes_get_size (bytes));
    }
  g_assert_true (evp_event_loop_sock_sendall_finish (fixture->loop, wait_for (&sent), &error));
  g_assert_no_error (error);
  g_assert_cmpmem (received->data, received->len, g_bytes_get_data (pattern, NULL), size);
  await_clear (&sent);

  evp_event_loop_sock_sendall_async (fixture->loop, socket, nothing, NULL, ready_cb, &sent);
  g_assert_true (evp_event_loop_sock_sendall_finish (fixture->loop, wait_for (&sent), &error));
  g_assert_no_error (error);
}

/* "… (123 of 456 bytes were sent)" */
static void
assert_says_how_much (const GError *error,
                      gsize         size)
{
  g_autoptr (GRegex) regex = g_regex_new ("\\((\\d+) of (\\d+) bytes were sent\\)$", 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  g_autofree char *part = NULL;
  g_autofree char *all = NULL;

  g_assert_true (g_regex_match (regex, error->message, 0, &match));
  part = g_match_info_fetch (match, 1);
  all = g_match_info_fetch (match, 2);
  g_assert_cmpuint (g_ascii_strtoull (part, NULL, 10), >, 0);
  g_assert_cmpuint (g_ascii_strtoull (part, NULL, 10), <, size);
  g_assert_cmpuint (g_ascii_strtoull (all, NULL, 10), ==, size);
}

/* Rules: K-6, K-9 */
static void
case_sendall_fails (Fixture *fixture)
{
  const gsize size = 8 * 1024 * 1024;
  g_autoptr (GBytes) pattern = new_pattern (size);
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (Await) sent = { fixture };
  int peer;

  /* cancelled in the middle */
  new_pair (&socket, &peer);
  evp_event_loop_sock_sendall_async (fixture->loop, socket, pattern, cancellable, ready_cb, &sent);
  turn (fixture);
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_event_loop_sock_sendall_finish (fixture->loop, wait_for (&sent), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  assert_says_how_much (error, size);
  g_clear_error (&error);
  await_clear (&sent);

  /* the other side goes away in the middle: an error, never a signal */
  evp_event_loop_sock_sendall_async (fixture->loop, socket, pattern, NULL, ready_cb, &sent);
  turn (fixture);
  g_assert_null (sent.result);
  close (peer);
  g_assert_false (evp_event_loop_sock_sendall_finish (fixture->loop, wait_for (&sent), &error));
  g_assert_true (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE)
                 || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED));
  await_clear (&sent);
  g_clear_error (&error);

  evp_event_loop_sock_sendall_async (fixture->loop, socket, pattern, NULL, ready_cb, &sent);
  g_assert_false (evp_event_loop_sock_sendall_finish (fixture->loop, wait_for (&sent), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
}

static void
cancel_cb (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
}

static gpointer
cancel_thread (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* Rules: K-5, U-12 */
static void
case_cancel (Fixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  g_auto (Await) await = { fixture };
  int peer;

  new_pair (&socket, &peer);
  for (guint way = 0; way < 4; way++)
    {
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      GThread *thread = NULL;

      if (way == 0) /* before: nothing is even tried */
        {
          say (peer, "kept");
          g_cancellable_cancel (cancellable);
        }
      evp_event_loop_sock_recv_async (fixture->loop, socket, 64, cancellable, ready_cb, &await);
      g_assert_null (await.result);
      if (way == 1) /* before the loop could look */
        g_cancellable_cancel (cancellable);
      if (way == 2) /* from a callback, while it waits */
        {
          turn (fixture);
          call (fixture, cancel_cb, cancellable);
        }
      if (way == 3) /* from elsewhere, while it waits */
        {
          turn (fixture);
          thread = g_thread_new ("cancel", cancel_thread, cancellable);
        }
      assert_recv_error (&await, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_pointer (&thread, g_thread_join);

      /* nothing was lost, and what arrives while nobody waits stays */
      if (way != 0)
        say (peer, "kept");
      turn (fixture);
      evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &await);
      assert_recv (&await, "kept");

      /* too late */
      g_cancellable_cancel (cancellable);
      turn (fixture);
    }
  close (peer);
}

typedef struct
{
  GCancellable *cancellable;
  int peer;
} Race;

static gpointer
race_thread (gpointer data)
{
  Race *race = data;

  say (race->peer, "x");
  g_cancellable_cancel (race->cancellable);
  return NULL;
}

/* Rules: K-5, K-18 */
static void
case_cancel_race (Fixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  gsize n_received = 0, n_lost = 0;
  int peer;

  new_pair (&socket, &peer);
  for (guint i = 0; i < 50; i++)
    {
      g_auto (Await) await = { fixture };
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autoptr (GBytes) bytes = NULL;
      g_autoptr (GError) error = NULL;
      Race race = { cancellable, peer };
      GThread *thread;

      evp_event_loop_sock_recv_async (fixture->loop, socket, 1, cancellable, ready_cb, &await);
      thread = g_thread_new ("race", race_thread, &race);
      bytes = evp_event_loop_sock_recv_finish (fixture->loop, wait_for (&await), &error);
      g_thread_join (thread);
      /* the one or the other, never both and never neither */
      if (bytes != NULL)
        {
          g_assert_no_error (error);
          g_assert_cmpuint (g_bytes_get_size (bytes), ==, 1);
          n_received++;
        }
      else
        {
          g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
          n_lost++;
        }
    }
  /* what was not received is still there */
  while (n_lost > 0)
    {
      char byte;

      g_assert_cmpint (recv (g_socket_get_fd (socket), &byte, 1, MSG_DONTWAIT), ==, 1);
      n_lost--;
      n_received++;
    }
  g_assert_cmpuint (n_received, ==, 50);
  close (peer);
}

/* Rules: K-6 */
static void
case_spurious_recv (Fixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GSocket) duplicate = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (Await) first = { fixture };
  g_auto (Await) second = { fixture };
  Await *other;
  int peer;

  /* two wait for one socket: one of them is woken for nothing */
  new_pair (&socket, &peer);
  duplicate = new_socket (fcntl (g_socket_get_fd (socket), F_DUPFD_CLOEXEC, 3));
  evp_event_loop_sock_recv_async (fixture->loop, socket, 64, cancellable, ready_cb, &first);
  evp_event_loop_sock_recv_async (fixture->loop, duplicate, 64, cancellable, ready_cb, &second);
  turn (fixture);
  say (peer, "one");
  while (first.result == NULL && second.result == NULL)
    turn (fixture);
  for (guint i = 0; i < 5; i++)
    turn (fixture);
  g_assert_true ((first.result == NULL) != (second.result == NULL));
  other = first.result != NULL ? &second : &first;
  assert_recv (first.result != NULL ? &first : &second, "one");
  g_cancellable_cancel (cancellable);
  assert_recv_error (other, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  close (peer);
}

/* Rules: K-11, K-12 */
static void
case_connect_accept (Fixture *fixture)
{
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocketAddress) remote = NULL;
  g_autoptr (GSocketAddress) local = NULL;
  g_autoptr (GSocket) listener = new_listener (&address);
  g_autoptr (GSocket) client = new_inet (G_SOCKET_TYPE_STREAM);
  g_autoptr (GSocket) server = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Await) accepted = { fixture };
  g_auto (Await) connected = { fixture };
  g_auto (Await) received = { fixture };
  const struct linger reset = { 1, 0 };

  evp_event_loop_sock_accept_async (fixture->loop, listener, NULL, ready_cb, &accepted);
  turn (fixture);
  g_assert_null (accepted.result);
  evp_event_loop_sock_connect_async (fixture->loop, client, address, NULL, ready_cb, &connected);
  g_assert_true (evp_event_loop_sock_connect_finish (fixture->loop, wait_for (&connected), &error));
  g_assert_no_error (error);
  g_assert_true (g_socket_is_connected (client));
  server = evp_event_loop_sock_accept_finish (fixture->loop, wait_for (&accepted), &error);
  g_assert_no_error (error);

  g_assert_true (g_socket_is_connected (server));
  g_assert_false (g_socket_get_blocking (server));
  g_assert_cmpint (fcntl (g_socket_get_fd (server), F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
  g_assert_cmpint (fcntl (g_socket_get_fd (server), F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  remote = g_socket_get_remote_address (server, &error);
  g_assert_no_error (error);
  local = g_socket_get_local_address (client, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (remote)), ==,
                   g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (local)));

  /* and it works, both ways, and is reset by the other side */
  say (g_socket_get_fd (client), "hello");
  evp_event_loop_sock_recv_async (fixture->loop, server, 64, NULL, ready_cb, &received);
  assert_recv (&received, "hello");
  evp_event_loop_sock_recv_async (fixture->loop, server, 64, NULL, ready_cb, &received);
  turn (fixture);
  g_assert_cmpint (setsockopt (g_socket_get_fd (client), SOL_SOCKET, SO_LINGER, &reset, sizeof reset), ==, 0);
  g_assert_true (g_socket_close (client, &error));
  assert_recv_error (&received, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
}

/* Rules: K-11 */
static void
case_connect_timed_out (Fixture *fixture)
{
  g_autoptr (GSocket) listener = new_inet (G_SOCKET_TYPE_STREAM);
  g_autoptr (GSocketAddress) address = bind_local (listener);
  g_autoptr (GSocket) client = new_inet (G_SOCKET_TYPE_STREAM);
  g_autoptr (GPtrArray) fillers = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GError) error = NULL;
  g_auto (Await) connected = { fixture };

  /* a server that is full answers nobody */
  g_socket_set_listen_backlog (listener, 0);
  g_assert_true (g_socket_listen (listener, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < 3; i++)
    {
      GSocket *filler = new_inet (G_SOCKET_TYPE_STREAM);

      g_ptr_array_add (fillers, filler);
      g_socket_connect (filler, address, NULL, NULL);
    }

  /* milliseconds; the kernel looks when it sends for the second time, after a second */
  g_assert_true (g_socket_set_option (client, IPPROTO_TCP, TCP_USER_TIMEOUT, 1, &error));
  evp_event_loop_sock_connect_async (fixture->loop, client, address, NULL, ready_cb, &connected);
  g_assert_false (evp_event_loop_sock_connect_finish (fixture->loop, wait_for (&connected), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

/* Rules: K-11 */
static void
case_connect_unix (Fixture *fixture)
{
  g_autoptr (GSocketAddress) address = new_abstract_address ();
  g_autoptr (GSocket) listener = new_unix_listener (address, 0);
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (Await) connected = { fixture };
  g_auto (Await) accepted = { fixture };
  g_autoptr (GSocket) last = NULL;

  /* until the queue is full: that one goes on waiting, without an error */
  do
    {
      GSocket *client = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);

      g_socket_set_blocking (client, FALSE);
      g_ptr_array_add (clients, client);
      await_clear (&connected);
      evp_event_loop_sock_connect_async (fixture->loop, client, address, cancellable, ready_cb, &connected);
      for (guint i = 0; i < 5 && connected.result == NULL; i++)
        turn (fixture);
      if (connected.result != NULL)
        {
          g_assert_true (evp_event_loop_sock_connect_finish (fixture->loop, connected.result, &error));
          g_assert_no_error (error);
        }
    }
  while (connected.result != NULL);
  g_assert_cmpuint (clients->len, >, 1);

  /* cancelled and tried again */
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_event_loop_sock_connect_finish (fixture->loop, wait_for (&connected), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  await_clear (&connected);
  evp_event_loop_sock_connect_async (fixture->loop, g_ptr_array_index (clients, clients->len - 1), address, NULL,
                                     ready_cb, &connected);
  turn (fixture);
  g_assert_null (connected.result);

  /* until there is room */
  evp_event_loop_sock_accept_async (fixture->loop, listener, NULL, ready_cb, &accepted);
  last = evp_event_loop_sock_accept_finish (fixture->loop, wait_for (&accepted), &error);
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_sock_connect_finish (fixture->loop, wait_for (&connected), &error));
  g_assert_no_error (error);
}

/* Rules: K-11 */
static void
case_connect_refused (Fixture *fixture)
{
  g_autoptr (GSocketAddress) nowhere = new_abstract_address ();
  g_autoptr (GSocket) nobody = new_inet (G_SOCKET_TYPE_STREAM); /* has the address, and does not listen */
  g_autoptr (GSocketAddress) address = bind_local (nobody);
  g_autoptr (GSocket) client = new_inet (G_SOCKET_TYPE_STREAM);
  g_autoptr (GSocket) unix_client = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM,
                                                  G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *name = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
  g_auto (Await) connected = { fixture };

  evp_event_loop_sock_connect_async (fixture->loop, client, address, NULL, ready_cb, &connected);
  g_assert_false (evp_event_loop_sock_connect_finish (fixture->loop, wait_for (&connected), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_assert_nonnull (strstr (error->message, name));
  g_assert_nonnull (strstr (error->message, g_strerror (ECONNREFUSED)));
  g_clear_error (&error);
  await_clear (&connected);
  g_assert_false (g_socket_is_connected (client));

  g_socket_set_blocking (unix_client, FALSE);
  evp_event_loop_sock_connect_async (fixture->loop, unix_client, nowhere, NULL, ready_cb, &connected);
  g_assert_false (evp_event_loop_sock_connect_finish (fixture->loop, wait_for (&connected), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
  g_clear_error (&error);
  await_clear (&connected);

  /* an address of another family */
  evp_event_loop_sock_connect_async (fixture->loop, unix_client, address, NULL, ready_cb, &connected);
  g_assert_false (evp_event_loop_sock_connect_finish (fixture->loop, wait_for (&connected), &error));
  g_assert_true (error->domain == G_IO_ERROR);
}

/* Rules: K-12 */
static void
case_accept_cancelled (Fixture *fixture)
{
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) listener = new_listener (&address);
  g_autoptr (GSocket) client = new_inet (G_SOCKET_TYPE_STREAM);
  g_autoptr (GSocket) server = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (Await) accepted = { fixture };

  evp_event_loop_sock_accept_async (fixture->loop, listener, cancellable, ready_cb, &accepted);
  turn (fixture);
  g_cancellable_cancel (cancellable);
  g_assert_null (evp_event_loop_sock_accept_finish (fixture->loop, wait_for (&accepted), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  await_clear (&accepted);

  /* who connects then is met by the next one */
  g_socket_connect (client, address, NULL, NULL);
  for (guint i = 0; i < 3; i++)
    turn (fixture);
  evp_event_loop_sock_accept_async (fixture->loop, listener, NULL, ready_cb, &accepted);
  server = evp_event_loop_sock_accept_finish (fixture->loop, wait_for (&accepted), &error);
  g_assert_no_error (error);
  say (g_socket_get_fd (server), "x");
}

/* Rules: K-12 */
static void
case_accept_unasked (Fixture *fixture)
{
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) listener = new_listener (&address);
  g_autoptr (GSocket) client = new_inet (G_SOCKET_TYPE_STREAM);
  g_auto (Await) accepted = { fixture };

  /* a result that nobody takes closes its connection: the fixture counts descriptors */
  evp_event_loop_sock_accept_async (fixture->loop, listener, NULL, ready_cb, &accepted);
  g_socket_connect (client, address, NULL, NULL);
  wait_for (&accepted);
  await_clear (&accepted);
  evp_event_loop_sock_accept_async (fixture->loop, listener, NULL, NULL, NULL);
  turn (fixture);
}

/* Rules: K-1, K-2 */
static void
case_refused_sockets (Fixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Await) await = { fixture };
  int peer;

  new_pair (&socket, &peer);
  say (peer, "kept");

  g_socket_set_blocking (socket, TRUE);
  evp_event_loop_set_debug (fixture->loop, TRUE);
  evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &await);
  assert_recv_error (&await, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  evp_event_loop_set_debug (fixture->loop, FALSE);
  g_socket_set_blocking (socket, FALSE);

#ifndef EVP_CONTRACT_INSTALLED
  evp_loop_socket_set_owner (socket, fixture->loop);
  evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &await);
  assert_recv_error (&await, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  evp_loop_socket_set_owner (socket, NULL);
#endif

  evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &await);
  assert_recv (&await, "kept");

  g_assert_true (g_socket_close (socket, &error));
  evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &await);
  assert_recv_error (&await, G_IO_ERROR, G_IO_ERROR_CLOSED);
  close (peer);
}

/* Rules: K-3 */
static void
case_close_loop (Fixture *fixture)
{
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) listener = new_listener (&address);
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GBytes) pattern = new_pattern (8 * 1024 * 1024);
  g_autoptr (GError) error = NULL;
  g_auto (Await) received = { fixture };
  g_auto (Await) sent = { fixture };
  g_auto (Await) accepted = { fixture };
  g_auto (Await) late = { fixture };
  int peer;

  new_pair (&socket, &peer);
  evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &received);
  evp_event_loop_sock_sendall_async (fixture->loop, socket, pattern, NULL, ready_cb, &sent);
  evp_event_loop_sock_accept_async (fixture->loop, listener, NULL, ready_cb, &accepted);
  turn (fixture);
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_assert_no_error (error);

  /* nobody waits for ever */
  g_assert_nonnull (received.result);
  g_assert_nonnull (sent.result);
  g_assert_nonnull (accepted.result);
  assert_recv_error (&received, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_assert_false (evp_event_loop_sock_sendall_finish (fixture->loop, sent.result, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  g_assert_null (evp_event_loop_sock_accept_finish (fixture->loop, accepted.result, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);

  /* and afterwards: told by the main context of the thread */
  evp_event_loop_sock_recv_async (fixture->loop, socket, 64, NULL, ready_cb, &late);
  while (late.result == NULL)
    g_main_context_iteration (NULL, TRUE);
  assert_recv_error (&late, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  close (peer);
}

typedef struct
{
  Fixture *fixture;
  GSocket *socket;
  guint n_left;
} Echo;

static void echo_next (Echo *echo);

static void
echo_sent_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      user_data)
{
  Echo *echo = user_data;
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_event_loop_sock_sendall_finish (EVP_EVENT_LOOP (source), result, &error));
  g_assert_no_error (error);
  if (--echo->n_left > 0)
    echo_next (echo);
  else
    finish (echo->fixture);
}

static void
echo_received_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      user_data)
{
  Echo *echo = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = evp_event_loop_sock_recv_finish (EVP_EVENT_LOOP (source), result, &error);

  g_assert_no_error (error);
  evp_event_loop_sock_sendall_async (echo->fixture->loop, echo->socket, bytes, NULL, echo_sent_cb, echo);
}

static void
echo_next (Echo *echo)
{
  evp_event_loop_sock_recv_async (echo->fixture->loop, echo->socket, 64, NULL, echo_received_cb, echo);
}

static gpointer
ask_thread (gpointer data)
{
  int fd = GPOINTER_TO_INT (data);

  for (guint i = 0; i < 100; i++)
    {
      char text[8];

      g_snprintf (text, sizeof text, "%u", i);
      say (fd, text);
      g_assert_cmpint (recv (fd, text, sizeof text, 0), >, 0);
      g_assert_cmpuint (g_ascii_strtoull (text, NULL, 10), ==, i);
    }
  return NULL;
}

/* Rules: K-3, K-7, K-9 */
static void
case_echo (Fixture *fixture)
{
  g_autoptr (GSocket) socket = NULL;
  Echo echo = { fixture, NULL, 100 };
  GThread *thread;
  int peer;

  new_pair (&socket, &peer);
  g_assert_cmpint (fcntl (peer, F_SETFL, 0), ==, 0); /* the other side blocks */
  echo.socket = socket;
  echo_next (&echo);
  thread = g_thread_new ("ask", ask_thread, GINT_TO_POINTER (peer));
  drive (fixture);
  g_thread_join (thread);
  close (peer);
}

const ContractEntry contract_loop_socket_cases[] = {
  { "sock-recv", case_recv, IN_BOTH | NEEDS_SOCKETS },
  { "sock-recv-into", case_recv_into, IN_BOTH | NEEDS_SOCKETS },
  { "sock-datagrams", case_datagrams, IN_BOTH | NEEDS_SOCKETS },
  { "sock-sendall", case_sendall, IN_BOTH | NEEDS_SOCKETS },
  { "sock-sendall-fails", case_sendall_fails, IN_BOTH | NEEDS_SOCKETS },
  { "sock-cancel", case_cancel, IN_BOTH | NEEDS_SOCKETS },
  { "sock-cancel-race", case_cancel_race, IN_BOTH | NEEDS_SOCKETS },
  { "sock-spurious", case_spurious_recv, IN_BOTH | NEEDS_SOCKETS },
  { "sock-connect-accept", case_connect_accept, IN_BOTH | NEEDS_SOCKETS },
  { "sock-connect-timed-out", case_connect_timed_out, IN_RUN | NEEDS_SOCKETS },
  { "sock-connect-unix", case_connect_unix, IN_BOTH | NEEDS_SOCKETS },
  { "sock-connect-refused", case_connect_refused, IN_BOTH | NEEDS_SOCKETS },
  { "sock-accept-cancelled", case_accept_cancelled, IN_BOTH | NEEDS_SOCKETS },
  { "sock-accept-unasked", case_accept_unasked, IN_BOTH | NEEDS_SOCKETS },
  { "sock-refused", case_refused_sockets, IN_BOTH | NEEDS_SOCKETS },
  { "sock-close-loop", case_close_loop, IN_BOTH | NEEDS_SOCKETS },
  { "sock-echo", case_echo, IN_BOTH | NEEDS_SOCKETS },
  { NULL },
};
