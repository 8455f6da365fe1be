/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-process.h"
#include "support/evp-test-support.h"

#include <sys/socket.h>

/*
 * A _finish() function that is given the result of another call says so, and returns what it returns with an
 * error, as GIO's do: nothing is taken from that result, which its own function can finish.
 */

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpTestDeadline *deadline;
  GSocket *near, *far;
  EvpTestAwait received, sent; /* two results of the loop's */
} Fixture;

static void
set_up (Fixture      *f,
        gconstpointer data)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static ("x", 1);
  g_autoptr (GError) error = NULL;
  int fds[2];

  f->deadline = evp_test_deadline_start (60, "results");
  /* valgrind does not see what the kernel writes into memory behind its back */
  f->loop = evp_test_has_valgrind () ? evp_test_make_gio_loop (&error) : evp_proactor_event_loop_new (NULL, &error);
  g_assert_no_error (error);
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  f->near = g_socket_new_from_fd (fds[0], &error);
  g_assert_no_error (error);
  f->far = g_socket_new_from_fd (fds[1], &error);
  g_assert_no_error (error);
  g_socket_set_blocking (f->near, FALSE);
  g_socket_set_blocking (f->far, FALSE);
  f->received.loop = f->sent.loop = f->loop;
  evp_event_loop_sock_sendall_async (f->loop, f->near, bytes, NULL, evp_test_ready_cb, &f->sent);
  evp_test_await (&f->sent);
  evp_event_loop_sock_recv_async (f->loop, f->far, 1, NULL, evp_test_ready_cb, &f->received);
  evp_test_await (&f->received);
}

static void
tear_down (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;

  /* they are as good as before */
  bytes = evp_event_loop_sock_recv_finish (f->loop, f->received.result, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "x", 1);
  g_assert_true (evp_event_loop_sock_sendall_finish (f->loop, f->sent.result, &error));
  g_assert_no_error (error);
  evp_test_await_clear (&f->received);
  evp_test_await_clear (&f->sent);
  g_clear_object (&f->near);
  g_clear_object (&f->far);
  g_assert_true (evp_event_loop_close (f->loop, NULL));
  g_assert_finalize_object (f->loop);
  evp_test_deadline_stop (f->deadline);
}

/* That a call of a _finish() function with the result of another call fails. */
#define REFUSES(call, failed) \
  G_STMT_START { \
    g_autoptr (GError) error = NULL; \
    g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*result*_async)' failed"); \
    g_assert_true ((call) == (failed)); \
    g_test_assert_expected_messages (); \
    g_assert_no_error (error); \
  } G_STMT_END

/* Rules: K-1 */
static void
test_sockets (Fixture      *f,
              gconstpointer data)
{
  g_autoptr (EvpAbstractEventLoop) other = evp_proactor_event_loop_new (NULL, NULL);
  EvpAbstractEventLoop *loop = f->loop;
  GAsyncResult *received = f->received.result;
  GSocketAddress *address = NULL;

  REFUSES (evp_event_loop_sock_recv_finish (loop, f->sent.result, &error), NULL);
  REFUSES (evp_event_loop_sock_recv_finish (other, received, &error), NULL);
  REFUSES (evp_event_loop_sock_recv_into_finish (loop, received, &error), -1);
  REFUSES (evp_event_loop_sock_recvfrom_finish (loop, received, &address, &error), NULL);
  REFUSES (evp_event_loop_sock_recvfrom_into_finish (loop, received, &address, &error), -1);
  REFUSES (evp_event_loop_sock_sendall_finish (loop, received, &error), FALSE);
  REFUSES (evp_event_loop_sock_sendto_finish (loop, received, &error), -1);
  REFUSES (evp_event_loop_sock_accept_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_sock_connect_finish (loop, received, &error), FALSE);
  REFUSES (evp_event_loop_sock_sendfile_finish (loop, received, &error), -1);
  g_assert_null (address);
  g_assert_true (evp_event_loop_close (other, NULL));
}

static void
test_files (Fixture      *f,
            gconstpointer data)
{
  EvpProactorEventLoop *loop = EVP_PROACTOR_EVENT_LOOP (f->loop);
  GAsyncResult *received = f->received.result;

  REFUSES (evp_proactor_event_loop_read_finish (loop, received, &error), NULL);
  REFUSES (evp_proactor_event_loop_read_into_finish (loop, received, &error), -1);
  REFUSES (evp_proactor_event_loop_write_finish (loop, received, &error), -1);
  REFUSES (evp_proactor_event_loop_load_file_finish (loop, received, &error), NULL);
  REFUSES (evp_proactor_event_loop_save_file_finish (loop, received, &error), FALSE);
}

static void
test_loop (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (EvpFuture) future = evp_event_loop_create_future (f->loop);
  EvpAbstractEventLoop *loop = f->loop;
  GAsyncResult *received = f->received.result;
  char *service = NULL;

  REFUSES (evp_future_await_finish (future, received, &error), NULL);
  REFUSES (evp_event_loop_shutdown_default_executor_finish (loop, received, &error), FALSE);
  REFUSES (evp_event_loop_getaddrinfo_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_getnameinfo_finish (loop, received, &service, &error), NULL);
  REFUSES (evp_event_loop_create_connection_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_create_unix_connection_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_create_server_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_create_unix_server_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_create_datagram_endpoint_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_start_tls_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_start_tls_with_options_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_sendfile_finish (loop, received, &error), -1);
  REFUSES (evp_event_loop_subprocess_exec_finish (loop, received, &error), NULL);
  REFUSES (evp_event_loop_subprocess_shell_finish (loop, received, &error), NULL);
  g_assert_null (service);
  evp_future_cancel (future);
}

/* Rules: N-18 */
static void
test_server (Fixture      *f,
             gconstpointer data)
{
  g_auto (EvpTestAwait) made = { f->loop };
  g_auto (EvpTestAwait) accepted = { f->loop };
  g_auto (EvpTestAwait) closed = { f->loop };
  g_autoptr (EvpServer) server = NULL;
  g_autoptr (GIOStream) stream = NULL;
  g_autoptr (GError) failure = NULL;

  evp_event_loop_create_server_async (f->loop, "127.0.0.1", 0, 0, NULL, NULL, evp_test_ready_cb, &made);
  server = evp_event_loop_create_server_finish (f->loop, evp_test_await (&made), &failure);
  g_assert_no_error (failure);
  evp_server_accept_async (server, NULL, evp_test_ready_cb, &accepted);
  evp_server_close (server);
  evp_test_await (&accepted);
  evp_server_wait_closed_async (server, NULL, evp_test_ready_cb, &closed);
  evp_test_await (&closed);

  REFUSES (evp_server_accept_finish (server, closed.result, &error), NULL);
  REFUSES (evp_server_wait_closed_finish (server, accepted.result, &error), FALSE);
  REFUSES (evp_server_serve_forever_finish (server, closed.result, &error), FALSE);
  stream = evp_server_accept_finish (server, accepted.result, &failure);
  g_assert_null (stream);
  g_assert_nonnull (failure);
  g_clear_error (&failure);
  g_assert_true (evp_server_wait_closed_finish (server, closed.result, &failure));
  g_assert_no_error (failure);
}

static void
test_datagrams (Fixture      *f,
                gconstpointer data)
{
  g_autoptr (GSocketAddress) local = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_auto (EvpTestAwait) made = { f->loop };
  g_autoptr (EvpDatagramEndpoint) endpoint = NULL;
  g_autoptr (GError) failure = NULL;
  GSocketAddress *address = NULL;

  evp_event_loop_create_datagram_endpoint_async (f->loop, local, NULL, NULL, NULL, evp_test_ready_cb, &made);
  endpoint = evp_event_loop_create_datagram_endpoint_finish (f->loop, evp_test_await (&made), &failure);
  g_assert_no_error (failure);
  REFUSES (evp_datagram_endpoint_receive_finish (endpoint, made.result, &address, &error), NULL);
  g_assert_null (address);
  evp_datagram_endpoint_close (endpoint);
}

/* Rules */
static void
test_child (Fixture      *f,
            gconstpointer data)
{
  g_autoptr (EvpAbstractChildWatcher) watcher = evp_child_watcher_new_default ();
  g_auto (EvpTestAwait) ended = { f->loop };
  g_auto (EvpTestAwait) told = { f->loop };
  g_autoptr (EvpSubprocess) child = NULL;
  g_autoptr (GError) failure = NULL;
  GBytes *out = NULL, *err = NULL;

  g_assert_true (evp_child_watcher_attach_loop (watcher, f->loop, &failure));
  child = evp_test_start (f->loop, watcher, NULL, &failure, "exit", "3", NULL);
  g_assert_no_error (failure);
  evp_subprocess_wait_async (child, NULL, evp_test_ready_cb, &ended);
  evp_test_await (&ended);
  evp_subprocess_communicate_async (child, NULL, NULL, evp_test_ready_cb, &told);
  evp_test_await (&told);

  REFUSES (evp_subprocess_wait_finish (child, told.result, &error), EVP_RETURNCODE_NONE);
  REFUSES (evp_subprocess_wait_closed_finish (child, ended.result, &error), FALSE);
  REFUSES (evp_subprocess_communicate_finish (child, ended.result, &out, &err, &error), FALSE);
  g_assert_null (out);
  g_assert_null (err);
  g_assert_cmpint (evp_subprocess_wait_finish (child, ended.result, &failure), ==, 3);
  g_assert_true (evp_subprocess_communicate_finish (child, told.result, NULL, NULL, &failure));
  g_assert_no_error (failure);
  evp_child_watcher_close (watcher);
}

typedef void (*TestFunc) (Fixture *, gconstpointer);

int
main (int    argc,
      char **argv)
{
  static const struct
  {
    const char *path;
    TestFunc test;
  } cases[] = {
    { "/evp/roof/finish/sockets", test_sockets },
    { "/evp/roof/finish/files", test_files },
    { "/evp/roof/finish/loop", test_loop },
    { "/evp/roof/finish/server", test_server },
    { "/evp/roof/finish/datagrams", test_datagrams },
    { "/evp/roof/finish/child", test_child },
  };

  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].path, Fixture, (gconstpointer) cases[i].test, set_up, (TestFunc) evp_test_case_in_loop,
                tear_down);
  return g_test_run ();
}
