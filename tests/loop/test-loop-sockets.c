/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/loop/evp-base-event-loop-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* What is special about the operations on sockets when the loop waits for readiness. */

typedef struct
{
  EvpAbstractEventLoop *loop;
  GSocket *socket;
  int peer;
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
} Fixture;

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
set_up (Fixture      *fixture,
        gconstpointer selector)
{
  int fds[2];
  g_autoptr (EvpSelector) poll = selector != NULL ? evp_poll_selector_new () : NULL;

  fixture->leaks = evp_test_leaks_begin ();
  fixture->deadline = evp_test_deadline_start (60, "operations on sockets");
  fixture->loop = evp_selector_event_loop_new (poll, NULL, NULL);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  fixture->socket = new_socket (fds[0]);
  fixture->peer = fds[1];
}

static void
tear_down (Fixture      *fixture,
           gconstpointer selector)
{
  g_object_unref (fixture->socket);
  close (fixture->peer);
  evp_event_loop_close (fixture->loop, NULL);
  g_assert_finalize_object (fixture->loop);
  evp_test_deadline_stop (fixture->deadline);
  evp_test_leaks_check (&fixture->leaks);
}

static void
say (Fixture    *fixture,
     const char *text)
{
  g_assert_cmpint (send (fixture->peer, text, strlen (text), MSG_NOSIGNAL), ==, (gssize) strlen (text));
}

static void
recv_start (Fixture      *fixture,
            GCancellable *cancellable,
            EvpTestAwait *await)
{
  evp_event_loop_sock_recv_async (fixture->loop, fixture->socket, 64, cancellable, evp_test_ready_cb, await);
}

static void
assert_recv (Fixture      *fixture,
             EvpTestAwait *await,
             const char   *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = evp_event_loop_sock_recv_finish (fixture->loop, evp_test_await (await), &error);

  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), text, strlen (text));
  evp_test_await_clear (await);
}

static void
assert_cancelled (Fixture      *fixture,
                  EvpTestAwait *await)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_event_loop_sock_recv_finish (fixture->loop, evp_test_await (await), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  evp_test_await_clear (await);
}

/* A loop that remembers its timers. */
#define TEST_TYPE_TIMER_LOOP (test_timer_loop_get_type ())
G_DECLARE_FINAL_TYPE (TestTimerLoop, test_timer_loop, TEST, TIMER_LOOP, EvpSelectorEventLoop)

struct _TestTimerLoop
{
  EvpSelectorEventLoop parent_instance;

  EvpTimerHandle *timers[16];
  double delays[16]; /* until each is due, or less: the clock goes on meanwhile */
  guint n_timers;
  guint n_wanted;
  gboolean reached;
};

static void test_timer_loop_iface_init (EvpAbstractEventLoopInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (TestTimerLoop, test_timer_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                               G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, test_timer_loop_iface_init))

static gboolean
test_timer_loop_schedule_timer (EvpAbstractEventLoop *loop,
                                EvpTimerHandle       *handle,
                                GError              **error)
{
  EvpAbstractEventLoopInterface *parent = g_type_interface_peek (test_timer_loop_parent_class, EVP_TYPE_EVENT_LOOP);
  TestTimerLoop *self = TEST_TIMER_LOOP (loop);

  g_assert_cmpuint (self->n_timers, <, G_N_ELEMENTS (self->timers));
  self->timers[self->n_timers] = evp_timer_handle_ref (handle);
  self->delays[self->n_timers++] = evp_timer_handle_when (handle) - evp_event_loop_time (loop);
  self->reached = self->n_timers >= self->n_wanted;
  return parent->schedule_timer (loop, handle, error);
}

static void
test_timer_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  iface->schedule_timer = test_timer_loop_schedule_timer;
}

static void
test_timer_loop_class_init (TestTimerLoopClass *klass)
{
}

static void
test_timer_loop_init (TestTimerLoop *self)
{
}

static void
set_cb (gpointer flag)
{
  *(gboolean *) flag = TRUE;
}

static void
await_timers (TestTimerLoop *self,
              guint          n)
{
  self->n_wanted = n;
  self->reached = FALSE;
  evp_test_run_until (EVP_EVENT_LOOP (self), &self->reached);
}

static void
forget_timers (TestTimerLoop *self)
{
  while (self->n_timers > 0)
    evp_timer_handle_unref (self->timers[--self->n_timers]);
}

/*
 * A unix socket whose server's queue is full is tried again, less and less often, but never longer than 64 ms from
 * one time to the next; each call begins anew.
 */
/* Rules: K-11 */
static void
test_connect_delays (Fixture      *fixture,
                     gconstpointer selector)
{
  TestTimerLoop *timers = g_object_new (TEST_TYPE_TIMER_LOOP, NULL);
  EvpAbstractEventLoop *loop = EVP_EVENT_LOOP (timers);
  g_autofree char *name = g_strdup_printf ("evp-test-again-%d", (int) getpid ());
  g_autoptr (GSocketAddress) address =
    g_unix_socket_address_new_with_type (name, -1, G_UNIX_SOCKET_ADDRESS_ABSTRACT);
  g_autoptr (GSocket) listener = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { loop };
  gboolean passed = FALSE;
  GSocket *client;
  gint64 due;

  g_socket_set_listen_backlog (listener, 1);
  g_assert_true (g_socket_bind (listener, address, FALSE, &error));
  g_assert_true (g_socket_listen (listener, &error));
  do
    {
      client = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, 0, NULL);
      g_socket_set_blocking (client, FALSE);
      g_ptr_array_add (clients, client);
      g_assert_cmpuint (clients->len, <, 16);
    }
  while (g_socket_connect (client, address, NULL, NULL));

  evp_event_loop_sock_connect_async (loop, client, address, cancellable, evp_test_ready_cb, &await);
  await_timers (timers, 9);
  for (guint i = 0; i < 9; i++)
    g_assert_cmpfloat (timers->delays[i], <=, (1 << MIN (i, 6)) / 1000.0 + 1e-6);

  /* cancelled: there is nothing to wait for, and nothing stays behind */
  g_assert_false (evp_handle_cancelled ((EvpHandle *) timers->timers[timers->n_timers - 1]));
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_event_loop_sock_connect_finish (loop, evp_test_await (&await), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  evp_test_await_clear (&await);
  g_assert_true (evp_handle_cancelled ((EvpHandle *) timers->timers[timers->n_timers - 1]));
  forget_timers (timers);

  evp_event_loop_sock_connect_async (loop, client, address, NULL, evp_test_ready_cb, &await);
  await_timers (timers, 1);
  g_assert_cmpfloat (timers->delays[0], <=, 0.001 + 1e-6);
  g_assert_true (evp_event_loop_close (loop, NULL));
  while (await.result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (evp_event_loop_sock_connect_finish (loop, await.result, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  evp_test_await_clear (&await);
  forget_timers (timers);
  g_assert_finalize_object (timers);

  /* a loop of the library keeps the call for the next one, but not its delay */
  await.loop = fixture->loop;
  g_cancellable_reset (cancellable);
  evp_event_loop_sock_connect_async (fixture->loop, client, address, cancellable, evp_test_ready_cb, &await);
  evp_event_loop_call_later (fixture->loop, 0.1, set_cb, &passed, NULL, NULL);
  evp_test_run_until (fixture->loop, &passed);
  for (guint i = 0; i < 2; i++)
    {
      g_cancellable_cancel (cancellable);
      g_assert_false (evp_event_loop_sock_connect_finish (fixture->loop, evp_test_await (&await), &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      evp_test_await_clear (&await);
      if (i == 1)
        break;
      g_cancellable_reset (cancellable);
      evp_event_loop_sock_connect_async (fixture->loop, client, address, cancellable, evp_test_ready_cb, &await);
      while ((due = evp_loop_core_next_deadline (evp_loop_get_core (fixture->loop))) == G_MAXINT64)
        g_main_context_iteration (evp_base_event_loop_get_main_context (EVP_BASE_EVENT_LOOP (fixture->loop)), FALSE);
      /* one of 64 ms would have been next */
      g_assert_cmpint (due - g_get_monotonic_time () * 1000, <, 40 * 1000000);
    }
}

/* Rules: K-4 */
static void
test_replaced (Fixture      *fixture,
               gconstpointer selector)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) first = { fixture->loop };
  g_auto (EvpTestAwait) second = { fixture->loop };

  recv_start (fixture, cancellable, &first);
  evp_test_run_ready (fixture->loop);
  recv_start (fixture, NULL, &second);
  evp_test_run_ready (fixture->loop);

  /* the first ends by cancelling only, and disturbs the second in nothing */
  g_cancellable_cancel (cancellable);
  assert_cancelled (fixture, &first);
  g_assert_null (second.result);
  say (fixture, "one");
  assert_recv (fixture, &second, "one");

  /* the other way round: the first is still waiting when the second is done */
  g_cancellable_reset (cancellable);
  recv_start (fixture, cancellable, &first);
  evp_test_run_ready (fixture->loop);
  recv_start (fixture, NULL, &second);
  say (fixture, "two");
  assert_recv (fixture, &second, "two");
  say (fixture, "three");
  evp_test_run_ready (fixture->loop);
  g_assert_null (first.result);
  g_cancellable_cancel (cancellable);
  assert_cancelled (fixture, &first);
  recv_start (fixture, NULL, &first);
  assert_recv (fixture, &first, "three");
}

/* Rules: K-4, L-13 */
/* What was replaced, or lost its registration otherwise, is told when the loop closes. */
static void
test_replaced_closed (Fixture      *fixture,
                      gconstpointer selector)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  EvpTestAwait awaits[3] = { { fixture->loop }, { fixture->loop }, { fixture->loop } };
  g_autoptr (GError) error = NULL;

  recv_start (fixture, cancellable, &awaits[0]);
  evp_test_run_ready (fixture->loop);
  recv_start (fixture, NULL, &awaits[1]);
  evp_test_run_ready (fixture->loop);
  recv_start (fixture, NULL, &awaits[2]);
  evp_test_run_ready (fixture->loop);
  g_assert_true (evp_event_loop_remove_reader (fixture->loop, g_socket_get_fd (fixture->socket)));
  evp_test_run_ready (fixture->loop);

  /* one that was cancelled is told once */
  g_cancellable_cancel (cancellable);
  assert_cancelled (fixture, &awaits[0]);
  for (guint i = 1; i < G_N_ELEMENTS (awaits); i++)
    g_assert_null (awaits[i].result);

  evp_event_loop_close (fixture->loop, &error);
  g_assert_no_error (error);
  for (guint i = 1; i < G_N_ELEMENTS (awaits); i++)
    {
      g_autoptr (GError) closed = NULL;

      g_assert_nonnull (awaits[i].result);
      g_assert_null (evp_event_loop_sock_recv_finish (fixture->loop, awaits[i].result, &closed));
      g_assert_error (closed, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
      evp_test_await_clear (&awaits[i]);
    }
  g_assert_null (awaits[0].result);
}

/* Rules: K-7 */
/* Parts of all sizes, kept while more is received: whatever memory they came through, each keeps its own. */
static void
test_sizes (Fixture      *fixture,
            gconstpointer selector)
{
  static const gsize sizes[] = { 1, 16 * 1024, 16 * 1024 + 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 2 };
  g_autoptr (GPtrArray) parts = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  const int room = 512 * 1024;

  g_assert_cmpint (setsockopt (fixture->peer, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), ==, 0);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (sizes); i++)
    {
      const gsize size = sizes[i / 2];
      g_auto (EvpTestAwait) await = { fixture->loop };
      g_autoptr (GError) error = NULL;
      g_autofree char *text = g_malloc (size);
      GBytes *bytes;

      memset (text, (int) i + 1, size);
      if (i % 2 == 0) /* there already, or to be waited for */
        g_assert_cmpint (send (fixture->peer, text, size, MSG_NOSIGNAL), ==, (gssize) size);
      evp_event_loop_sock_recv_async (fixture->loop, fixture->socket,
                                      size <= 64 * 1024 ? 64 * 1024 : 256 * 1024, NULL,
                                      evp_test_ready_cb, &await);
      if (i % 2 != 0)
        {
          evp_test_run_ready (fixture->loop);
          g_assert_null (await.result);
          g_assert_cmpint (send (fixture->peer, text, size, MSG_NOSIGNAL), ==, (gssize) size);
        }
      bytes = evp_event_loop_sock_recv_finish (fixture->loop, evp_test_await (&await), &error);
      g_assert_no_error (error);
      g_assert_cmpuint (g_bytes_get_size (bytes), ==, size);
      g_ptr_array_add (parts, bytes);
    }
  for (guint i = 0; i < parts->len; i++)
    {
      gsize size;
      const char *data = g_bytes_get_data (parts->pdata[i], &size);

      g_assert_cmpint (data[0], ==, i + 1);
      g_assert_cmpint (data[size / 2], ==, i + 1);
      g_assert_cmpint (data[size - 1], ==, i + 1);
    }
}

/* Rules: K-13 */
static void
test_connect_again (Fixture      *fixture,
                    gconstpointer selector)
{
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) listener = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) connected = { fixture->loop };
  GSocket *client;

  /* a full queue of a TCP socket does not answer */
  g_socket_set_listen_backlog (listener, 0);
  g_assert_true (g_socket_bind (listener, any, FALSE, NULL));
  g_assert_true (g_socket_listen (listener, NULL));
  address = g_socket_get_local_address (listener, NULL);
  do
    {
      g_assert_cmpuint (clients->len, <, 100);
      client = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
      g_socket_set_blocking (client, FALSE);
      g_ptr_array_add (clients, client);
      evp_test_await_clear (&connected);
      evp_event_loop_sock_connect_async (fixture->loop, client, address, cancellable, evp_test_ready_cb, &connected);
      evp_test_run_ready (fixture->loop);
    }
  while (connected.result != NULL);

  for (guint i = 0; i < 2; i++)
    {
      g_cancellable_cancel (cancellable);
      g_assert_false (evp_event_loop_sock_connect_finish (fixture->loop, evp_test_await (&connected), &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      evp_test_await_clear (&connected);

      /* the connection is still being made: it is waited for */
      g_cancellable_reset (cancellable);
      evp_event_loop_sock_connect_async (fixture->loop, client, address, cancellable, evp_test_ready_cb, &connected);
      evp_test_run_ready (fixture->loop);
      g_assert_null (connected.result);
    }

  /* with room, the system's next attempt succeeds, a second later */
  for (guint i = 0; i + 1 < clients->len; i++)
    {
      g_auto (EvpTestAwait) accepted = { fixture->loop };
      g_autoptr (GSocket) server = NULL;

      evp_event_loop_sock_accept_async (fixture->loop, listener, NULL, evp_test_ready_cb, &accepted);
      server = evp_event_loop_sock_accept_finish (fixture->loop, evp_test_await (&accepted), &error);
      g_assert_no_error (error);
    }
  g_assert_true (evp_event_loop_sock_connect_finish (fixture->loop, evp_test_await (&connected), &error));
  g_assert_no_error (error);
  g_assert_true (g_socket_is_connected (client));
}

/* Rules: K-6, K-12 */
static void
test_no_descriptors (Fixture      *fixture,
                     gconstpointer selector)
{
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GSocket) listener = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GSocket) client = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, 0, NULL);
  g_autoptr (GSocket) server = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) accepted = { fixture->loop };
  struct rlimit before, none;
  int next_fd;

  if (evp_test_has_valgrind ())
    {
      g_test_skip ("valgrind keeps its own limit of descriptors");
      return;
    }
  g_assert_true (g_socket_bind (listener, any, FALSE, NULL));
  g_assert_true (g_socket_listen (listener, NULL));
  address = g_socket_get_local_address (listener, NULL);
  g_socket_set_blocking (listener, FALSE);
  g_socket_set_blocking (client, FALSE);
  evp_event_loop_sock_accept_async (fixture->loop, listener, NULL, evp_test_ready_cb, &accepted);
  evp_test_run_ready (fixture->loop);

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  none = before;
  next_fd = dup (fixture->peer); /* the lowest number that is free */
  none.rlim_cur = (rlim_t) next_fd;
  close (next_fd);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  g_socket_connect (client, address, NULL, NULL);
  g_assert_null (evp_event_loop_sock_accept_finish (fixture->loop, evp_test_await (&accepted), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_clear_error (&error);
  evp_test_await_clear (&accepted);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);

  /* the connection has waited */
  evp_event_loop_sock_accept_async (fixture->loop, listener, NULL, evp_test_ready_cb, &accepted);
  server = evp_event_loop_sock_accept_finish (fixture->loop, evp_test_await (&accepted), &error);
  g_assert_no_error (error);
}

/* Rules: K-3, F-11 */
static void
test_closed_and_reused (Fixture      *fixture,
                        gconstpointer selector)
{
  for (guint i = 0; i < 20; i++)
    {
      g_auto (EvpTestAwait) received = { fixture->loop };
      int fds[2];

      recv_start (fixture, NULL, &received);
      evp_test_run_ready (fixture->loop);
      say (fixture, "one");
      assert_recv (fixture, &received, "one");

      g_assert_true (g_socket_close (fixture->socket, NULL));
      close (fixture->peer);
      if (i % 2 == 0)
        g_clear_object (&fixture->socket);
      else
        evp_test_run_ready (fixture->loop);
      g_clear_object (&fixture->socket);
      g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
      fixture->socket = new_socket (fds[0]);
      fixture->peer = fds[1];
    }
}

static void
keep_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  g_ptr_array_add (user_data, g_object_ref (result));
}

static void
data_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  /* seen before, but then nothing was attached to it */
  g_assert_null (g_object_get_data (G_OBJECT (result), "mark"));
  g_object_set_data (G_OBJECT (result), "mark", user_data);
  *(guint *) user_data += 1;
}

/* Rules: U-13 */
static void
test_results (Fixture      *fixture,
              gconstpointer selector)
{
  g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func (g_object_unref);
  guint n_marked = 0;

  for (guint i = 0; i < 10; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      say (fixture, text);
      evp_event_loop_sock_recv_async (fixture->loop, fixture->socket, 64, NULL, keep_cb, kept);
      while (kept->len <= i)
        evp_test_run_ready (fixture->loop);
    }
  for (guint i = 0; i < 10; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) bytes = evp_event_loop_sock_recv_finish (fixture->loop, kept->pdata[i], &error);

      g_assert_no_error (error);
      g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), text, 1);
      g_assert_true (g_async_result_get_user_data (kept->pdata[i]) == kept);
    }

  for (guint i = 0; i < 10; i++)
    {
      say (fixture, "x");
      evp_event_loop_sock_recv_async (fixture->loop, fixture->socket, 1, NULL, data_cb, &n_marked);
      while (n_marked <= i)
        evp_test_run_ready (fixture->loop);
    }
}

typedef struct
{
  Fixture *fixture;
  GSocket *other;
  int other_peer;
  GString *told;
  guint depth;
} Inside;

static void
inside_other_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      user_data)
{
  Inside *inside = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = evp_event_loop_sock_recv_finish (inside->fixture->loop, result, &error);

  g_assert_no_error (error);
  g_string_append_len (inside->told, g_bytes_get_data (bytes, NULL), (gssize) g_bytes_get_size (bytes));
}

static void
inside_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  Inside *inside = user_data;
  EvpAbstractEventLoop *loop = inside->fixture->loop;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = evp_event_loop_sock_recv_finish (loop, result, &error);

  g_assert_no_error (error);
  g_string_append_len (inside->told, g_bytes_get_data (bytes, NULL), (gssize) g_bytes_get_size (bytes));
  if (inside->told->len >= 6)
    return;

  /* on the same socket, and, from a loop inside, on another one and on the first again */
  inside->depth++;
  evp_event_loop_sock_recv_async (loop, inside->fixture->socket, 1, NULL, inside_cb, inside);
  if (inside->depth == 1)
    {
      evp_event_loop_sock_recv_async (loop, inside->other, 1, NULL, inside_other_cb, inside);
      g_assert_cmpint (send (inside->other_peer, "B", 1, MSG_NOSIGNAL), ==, 1);
      while (inside->told->len < 2)
        evp_test_run_ready (loop);
      say (inside->fixture, "cdef");
      while (inside->told->len < 4)
        evp_test_run_ready (loop);
    }
}

/* Rules: K-3 */
/* Calls from inside the callback of another, also in a main loop nested there, are of the socket that they name. */
static void
test_inside (Fixture      *fixture,
             gconstpointer selector)
{
  g_autoptr (GString) told = g_string_new (NULL);
  g_autoptr (GSocket) other = NULL;
  Inside inside = { fixture, NULL, -1, told, 0 };
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  inside.other = other = new_socket (fds[0]);
  inside.other_peer = fds[1];

  evp_event_loop_sock_recv_async (fixture->loop, fixture->socket, 1, NULL, inside_cb, &inside);
  say (fixture, "a");
  while (told->len < 6)
    evp_test_run_ready (fixture->loop);
  g_assert_cmpstr (told->str, ==, "aBcdef");
  close (inside.other_peer);
}

/* How many loops are made in the hope that one of them has the address of an earlier one. */
#define N_LOOPS 64

static EvpAbstractEventLoop *
make_loop (const char *kind)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpProactor) proactor = NULL;

  if (g_str_equal (kind, "selector"))
    return evp_selector_event_loop_new (NULL, NULL, NULL);
  proactor = g_str_equal (kind, "gio") ? evp_gio_proactor_new () : evp_uring_proactor_new (&error);
  g_assert_no_error (error);
  return g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
}

/* A message that is waited for. */
static void
receive_message (EvpAbstractEventLoop *loop,
                 GSocket              *socket,
                 int                   peer)
{
  g_auto (EvpTestAwait) await = { loop };
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = NULL;

  evp_event_loop_sock_recvfrom_async (loop, socket, 64, NULL, evp_test_ready_cb, &await);
  evp_test_run_ready (loop);
  g_assert_null (await.result);
  g_assert_cmpint (send (peer, "message", 7, MSG_NOSIGNAL), ==, 7);
  bytes = evp_event_loop_sock_recvfrom_finish (loop, evp_test_await (&await), NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "message", 7);
}

/* Rules: K-18 */
/* What a socket keeps of its last call is of no use to another loop, also to one that has its predecessor's address. */
static void
test_other_loop (gconstpointer kinds)
{
  const char * const *kind = kinds;
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpTestDeadline *deadline = evp_test_deadline_start (60, "one socket on several loops");
  EvpAbstractEventLoop *first = make_loop (kind[0]), *others[N_LOOPS] = { NULL };
  gpointer address = first;
  GSocket *socket;
  int fds[2];
  guint n = 0;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  socket = new_socket (fds[0]);
  receive_message (first, socket, fds[1]);
  receive_message (first, socket, fds[1]);
  g_assert_true (evp_event_loop_close (first, NULL));
  g_assert_finalize_object (first);

  do
    others[n] = make_loop (kind[1]);
  while ((gpointer) others[n++] != address && n < N_LOOPS);
  receive_message (others[n - 1], socket, fds[1]);
  receive_message (others[n - 1], socket, fds[1]);

  for (guint i = 0; i < n; i++)
    {
      g_assert_true (evp_event_loop_close (others[i], NULL));
      g_assert_finalize_object (others[i]);
    }
  g_object_unref (socket);
  close (fds[1]);
  evp_test_deadline_stop (deadline);
  evp_test_leaks_check (&leaks);
}

static void
add (const char *name,
     void      (*test) (Fixture *, gconstpointer))
{
  g_autofree char *path = g_strdup_printf ("/evp/loop/sockets/epoll/%s", name);
  g_autofree char *poll_path = g_strdup_printf ("/evp/loop/sockets/poll/%s", name);

  g_test_add (path, Fixture, NULL, set_up, test, tear_down);
  g_test_add (poll_path, Fixture, "poll", set_up, test, tear_down);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  add ("replaced", test_replaced);
  add ("replaced-closed", test_replaced_closed);
  add ("sizes", test_sizes);
  add ("connect-again", test_connect_again);
  add ("connect-delays", test_connect_delays);
  add ("no-descriptors", test_no_descriptors);
  add ("closed-and-reused", test_closed_and_reused);
  add ("results", test_results);
  add ("inside", test_inside);

  {
    static const char * const kinds[][2] = {
      { "gio", "selector" }, { "selector", "gio" }, { "uring", "selector" }, { "selector", "uring" },
      { "uring", "gio" }, { "gio", "uring" },
    };
    const guint n = evp_test_has_uring () ? G_N_ELEMENTS (kinds) : 2;

    for (guint i = 0; i < n; i++)
      {
        g_autofree char *path = g_strdup_printf ("/evp/loop/sockets/other-loop/%s-%s", kinds[i][0], kinds[i][1]);

        g_test_add_data_func (path, kinds[i], test_other_loop);
      }
  }

  return g_test_run ();
}
