/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/net/evp-loop-tls-private.h"
#include "evp/net/evp-socket-stream-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"
#include "support/evp-test-tls.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  const char *name;
  EvpAbstractEventLoop *(*new_loop) (GError **error);
  gboolean gio; /* connections are GIO's */
} Kind;

typedef struct
{
  const Kind *kind;
  EvpAbstractEventLoop *loop;
  EvpTestDeadline *deadline;
  guint fds;
  GIOStream *client;
  GIOStream *server;
  const char *address;
} Fixture;

typedef struct
{
  void (*test) (Fixture *f);
  const Kind *kind;
} Case;

static EvpAbstractEventLoop *
new_uring_loop (GError **error)
{
  /* as in evp_test_has_uring() */
  return evp_test_has_valgrind () ? NULL : evp_test_make_uring_loop (error);
}

static GIOStream *
make_stream (Fixture *f,
             int      fd)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (GError) error = NULL;

  socket = g_socket_new_from_fd (fd, &error);
  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  if (f->kind->gio)
    return G_IO_STREAM (g_socket_connection_factory_create_connection (socket));
  return evp_socket_stream_new (f->loop, socket);
}

static void
set_up (Fixture      *f,
        gconstpointer data)
{
  const Case *what = data;
  g_autoptr (GError) error = NULL;
  int fds[2];

  f->deadline = evp_test_deadline_start (60, "TLS");
  f->fds = evp_test_count_fds ();
  f->kind = what->kind;
  f->loop = what->kind->new_loop (&error);
  if (f->loop == NULL) /* no io_uring: the case says so */
    return;
  g_assert_no_error (error);
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  f->client = make_stream (f, fds[0]);
  f->server = make_stream (f, fds[1]);
}

static void
tear_down (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  if (f->loop == NULL)
    {
      evp_test_deadline_stop (f->deadline);
      return;
    }
  g_clear_object (&f->client);
  g_clear_object (&f->server);
  evp_event_loop_close (f->loop, &error);
  g_assert_no_error (error);
  /* the last reference may be that of the thread that shook hands, so wait: until the deadline */
  g_object_add_weak_pointer (G_OBJECT (f->loop), (gpointer *) &f->loop);
  g_object_unref (f->loop);
  while (g_atomic_pointer_get (&f->loop) != NULL)
    g_thread_yield ();
  while (evp_test_count_fds () > f->fds)
    g_thread_yield ();
  g_assert_cmpuint (evp_test_count_fds (), ==, f->fds);
  evp_test_deadline_stop (f->deadline);
}

/* It may be there already: two ends wait at the same time. */
static GAsyncResult *
wait_for (EvpTestAwait *await)
{
  return await->result != NULL ? await->result : evp_test_await (await);
}

static EvpTlsOptions *
server_options (void)
{
  EvpTlsOptions *options = evp_tls_options_new ();

  evp_tls_options_set_certificate (options, evp_test_tls_certificate ());
  return options;
}

static EvpTlsOptions *
client_options (void)
{
  EvpTlsOptions *options = evp_tls_options_new ();

  evp_tls_options_set_database (options, evp_test_tls_database ());
  return options;
}

/* Both ends shake hands. NULL options are those of a good server or client. */
static void
shake_hands (Fixture       *f,
             EvpTlsOptions *for_server,
             EvpTlsOptions *for_client,
             const char    *hostname,
             GIOStream    **server,
             GIOStream    **client,
             GError       **server_error,
             GError       **client_error)
{
  g_autoptr (EvpTlsOptions) good_server = server_options ();
  g_autoptr (EvpTlsOptions) good_client = client_options ();
  g_auto (EvpTestAwait) at_server = { f->loop };
  g_auto (EvpTestAwait) at_client = { f->loop };

  evp_event_loop_start_tls_with_options_async (f->loop, f->server, TRUE,
                                               for_server != NULL ? for_server : good_server, NULL,
                                               NULL, evp_test_ready_cb, &at_server);
  evp_event_loop_start_tls_with_options_async (f->loop, f->client, FALSE,
                                               for_client != NULL ? for_client : good_client, hostname,
                                               NULL, evp_test_ready_cb, &at_client);
  *client = evp_event_loop_start_tls_with_options_finish (f->loop, wait_for (&at_client), client_error);
  if (server_error == client_error)
    g_assert_no_error (*client_error);
  *server = evp_event_loop_start_tls_with_options_finish (f->loop, wait_for (&at_server), server_error);
}

/* One end only; the other end is the test's. */
static GIOStream *
start_tls (Fixture       *f,
           GIOStream     *stream,
           gboolean       server_side,
           EvpTlsOptions *options,
           const char    *hostname,
           GError       **error)
{
  g_auto (EvpTestAwait) await = { f->loop };

  evp_event_loop_start_tls_with_options_async (f->loop, stream, server_side, options, hostname,
                                               NULL, evp_test_ready_cb, &await);
  return evp_event_loop_start_tls_with_options_finish (f->loop, wait_for (&await), error);
}

static void
close_stream (Fixture   *f,
              GIOStream *stream)
{
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };

  g_io_stream_close_async (stream, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
  g_io_stream_close_finish (stream, wait_for (&await), &error);
  g_assert_no_error (error);
}

static gssize
read_some (Fixture   *f,
           GIOStream *stream,
           char      *buffer,
           gsize      size,
           GError   **error)
{
  g_auto (EvpTestAwait) await = { f->loop };

  g_input_stream_read_async (g_io_stream_get_input_stream (stream), buffer, size, G_PRIORITY_DEFAULT,
                             NULL, evp_test_ready_cb, &await);
  return g_input_stream_read_finish (g_io_stream_get_input_stream (stream), wait_for (&await), error);
}

/* @size bytes go from one end to the other, both as streams have it: in whatever pieces. */
static void
transfer (Fixture   *f,
          GIOStream *from,
          GIOStream *to,
          gsize      size)
{
  g_autofree char *sent = g_malloc (size);
  g_autofree char *received = g_malloc (size);
  g_auto (EvpTestAwait) writing = { f->loop };
  g_auto (EvpTestAwait) reading = { f->loop };
  g_autoptr (GError) error = NULL;
  gsize n = 0;

  for (gsize i = 0; i < size; i++)
    sent[i] = (char) (i * 31 + i / 251);
  g_output_stream_write_all_async (g_io_stream_get_output_stream (from), sent, size, G_PRIORITY_DEFAULT,
                                   NULL, evp_test_ready_cb, &writing);
  g_input_stream_read_all_async (g_io_stream_get_input_stream (to), received, size, G_PRIORITY_DEFAULT,
                                 NULL, evp_test_ready_cb, &reading);
  g_input_stream_read_all_finish (g_io_stream_get_input_stream (to), wait_for (&reading), &n, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, size);
  g_output_stream_write_all_finish (g_io_stream_get_output_stream (from), wait_for (&writing), &n, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, size);
  g_assert_cmpmem (sent, size, received, size);
}

static int
fd_of (GIOStream *stream)
{
  return g_socket_get_fd (g_socket_connection_get_socket (G_SOCKET_CONNECTION (stream)));
}

static void
put (GIOStream  *stream,
     const void *data,
     gsize       size)
{
  g_assert_cmpint (send (fd_of (stream), data, size, MSG_NOSIGNAL), ==, (gssize) size);
}

/* Rules: N-9, N-11, T-6 */
static void
test_both (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GIOStream) base = NULL;
  g_autoptr (GError) error = NULL;
  char byte;

  shake_hands (f, NULL, NULL, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  g_assert_true (G_IS_TLS_SERVER_CONNECTION (server));
  g_assert_true (G_IS_TLS_CLIENT_CONNECTION (client));
  g_object_get (client, "base-io-stream", &base, NULL);
  g_assert_true (base == f->client);
  g_assert_true (g_tls_certificate_is_same (g_tls_connection_get_peer_certificate (G_TLS_CONNECTION (client)),
                                            evp_test_tls_certificate ()));

  transfer (f, client, server, 1);
  transfer (f, server, client, 300000);
  transfer (f, client, server, 300000);

  /* the end is announced by TLS: an end without announcement would be an error */
  close_stream (f, client);
  g_assert_true (g_io_stream_is_closed (f->client));
  g_assert_cmpint (read_some (f, server, &byte, 1, &error), ==, 0);
  g_assert_no_error (error);
}

static void
test_address_as_name (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;

  shake_hands (f, NULL, NULL, f->address, &server, &client, &error, &error);
  g_assert_no_error (error);
}

/* Rules: N-9 */
static void
test_ipv4_as_name (Fixture *f)
{
  f->address = "127.0.0.1";
  test_address_as_name (f);
}

/* Rules: N-9 */
static void
test_ipv6_as_name (Fixture *f)
{
  f->address = "::1";
  test_address_as_name (f);
}

/* Rules: N-9 */
static void
test_wrong_address (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) server_error = NULL;
  g_autoptr (GError) client_error = NULL;

  shake_hands (f, NULL, NULL, "127.0.0.2", &server, &client, &server_error, &client_error);
  g_assert_error (client_error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE);
  g_assert_nonnull (server_error);
}

/* Rules: N-9, N-11 */
static void
test_wrong_name (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) server_error = NULL;
  g_autoptr (GError) client_error = NULL;

  shake_hands (f, NULL, NULL, "example.com", &server, &client, &server_error, &client_error);
  g_assert_error (client_error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE);
  g_assert_nonnull (server_error);
  g_assert_null (client);
  g_assert_null (server);
  g_assert_true (g_io_stream_is_closed (f->client));
  g_assert_true (g_io_stream_is_closed (f->server));
}

/* Rules: N-9 */
static void
test_empty_name (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;

  shake_hands (f, NULL, NULL, "", &server, &client, &error, &error);
  g_assert_no_error (error);
  transfer (f, client, server, 10);
}

/* Rules: N-9 */
static void
test_default_name (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;

  evp_tls_set_default_hostname (f->client, "localhost");
  shake_hands (f, NULL, NULL, NULL, &server, &client, &error, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_network_address_get_hostname (G_NETWORK_ADDRESS (
                     g_tls_client_connection_get_server_identity (G_TLS_CLIENT_CONNECTION (client)))),
                   ==, "localhost");
}

/* Rules: N-9 */
static void
test_wrong_default_name (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) server_error = NULL;
  g_autoptr (GError) client_error = NULL;

  evp_tls_set_default_hostname (f->client, "example.com");
  shake_hands (f, NULL, NULL, NULL, &server, &client, &server_error, &client_error);
  g_assert_error (client_error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE);
  g_assert_nonnull (server_error);
}

/* Rules: N-9 */
static void
test_no_name (Fixture *f)
{
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;

  none = start_tls (f, f->client, FALSE, NULL, NULL, &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_assert_null (none);
  g_clear_error (&error);

  /* nothing has happened to the stream */
  shake_hands (f, NULL, NULL, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
}

/* Rules: N-9, N-11 */
static void
test_untrusted (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) server_error = NULL;
  g_autoptr (GError) client_error = NULL;
  g_autoptr (EvpTlsOptions) options = evp_tls_options_new ();

  shake_hands (f, NULL, options, "localhost", &server, &client, &server_error, &client_error);
  g_assert_error (client_error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE);
  g_assert_nonnull (server_error);
  g_assert_true (g_io_stream_is_closed (f->client));
}

typedef struct
{
  GThread *thread;
  GTlsCertificateFlags faults;
  gboolean answer;
  guint calls;
} Question;

static gboolean
accept_certificate_cb (EvpTlsOptions       *options,
                       GTlsConnection      *connection,
                       GTlsCertificate     *certificate,
                       GTlsCertificateFlags faults,
                       Question            *question)
{
  g_assert_true (g_thread_self () == question->thread);
  g_assert_true (G_IS_TLS_CLIENT_CONNECTION (connection));
  g_assert_true (g_tls_certificate_is_same (certificate, evp_test_tls_certificate ()));
  question->faults = faults;
  question->calls++;
  return question->answer;
}

/* Rules: N-9 */
static void
test_accept_certificate (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTlsOptions) options = evp_tls_options_new ();
  Question question = { .thread = g_thread_self (), .answer = TRUE };

  g_signal_connect (options, "accept-certificate", G_CALLBACK (accept_certificate_cb), &question);
  shake_hands (f, NULL, options, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (question.calls, ==, 1);
  g_assert_cmpuint (question.faults, ==, G_TLS_CERTIFICATE_UNKNOWN_CA);
  transfer (f, server, client, 10);
}

/* Rules: N-9 */
static void
test_refuse_certificate (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) server_error = NULL;
  g_autoptr (GError) client_error = NULL;
  g_autoptr (EvpTlsOptions) options = evp_tls_options_new ();
  Question question = { .thread = g_thread_self (), .answer = FALSE };

  g_signal_connect (options, "accept-certificate", G_CALLBACK (accept_certificate_cb), &question);
  shake_hands (f, NULL, options, "localhost", &server, &client, &server_error, &client_error);
  g_assert_error (client_error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE);
  g_assert_nonnull (server_error);
  g_assert_cmpuint (question.calls, ==, 1);
}

/* Rules: N-9 */
static void
test_validation_flags (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTlsOptions) for_server = evp_tls_options_new ();
  g_autoptr (EvpTlsOptions) for_client = client_options ();

  evp_tls_options_set_certificate (for_server, evp_test_tls_expired ());
  evp_tls_options_set_validation_flags (for_client, G_TLS_CERTIFICATE_VALIDATE_ALL & ~G_TLS_CERTIFICATE_EXPIRED);
  shake_hands (f, for_server, for_client, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
}

/* Rules: N-9 */
static void
test_expired (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) server_error = NULL;
  g_autoptr (GError) client_error = NULL;
  g_autoptr (EvpTlsOptions) options = evp_tls_options_new ();

  evp_tls_options_set_certificate (options, evp_test_tls_expired ());
  shake_hands (f, options, NULL, "localhost", &server, &client, &server_error, &client_error);
  g_assert_error (client_error, G_TLS_ERROR, G_TLS_ERROR_BAD_CERTIFICATE);
  g_assert_nonnull (server_error);
}

/* Rules: N-9 */
static void
test_client_certificate (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTlsOptions) for_server = server_options ();
  g_autoptr (EvpTlsOptions) for_client = client_options ();

  evp_tls_options_set_authentication_mode (for_server, G_TLS_AUTHENTICATION_REQUIRED);
  evp_tls_options_set_database (for_server, evp_test_tls_database ());
  evp_tls_options_set_certificate (for_client, evp_test_tls_client ());
  shake_hands (f, for_server, for_client, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  g_assert_true (g_tls_certificate_is_same (g_tls_connection_get_peer_certificate (G_TLS_CONNECTION (server)),
                                            evp_test_tls_client ()));
}

/* Rules: N-11 */
static void
test_client_certificate_missing (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) server_error = NULL;
  g_autoptr (GError) client_error = NULL;
  g_autoptr (EvpTlsOptions) options = server_options ();

  evp_tls_options_set_authentication_mode (options, G_TLS_AUTHENTICATION_REQUIRED);
  evp_tls_options_set_database (options, evp_test_tls_database ());
  /* with TLS 1.3 a client believes that all is well until it reads */
  shake_hands (f, options, NULL, "localhost", &server, &client, &server_error, &client_error);
  g_assert_error (server_error, G_TLS_ERROR, G_TLS_ERROR_CERTIFICATE_REQUIRED);
  g_assert_true (g_io_stream_is_closed (f->server));
}

/* Rules: N-9 */
static void
test_alpn (Fixture *f)
{
  const char *const at_server[] = { "evp/2", "evp/1", NULL };
  const char *const at_client[] = { "other", "evp/1", NULL };
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTlsOptions) for_server = server_options ();
  g_autoptr (EvpTlsOptions) for_client = client_options ();

  evp_tls_options_set_alpn_protocols (for_server, at_server);
  evp_tls_options_set_alpn_protocols (for_client, at_client);
  shake_hands (f, for_server, for_client, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_tls_connection_get_negotiated_protocol (G_TLS_CONNECTION (server)), ==, "evp/1");
  g_assert_cmpstr (g_tls_connection_get_negotiated_protocol (G_TLS_CONNECTION (client)), ==, "evp/1");
}

/* The other end says nothing: a server waits for it without a thread, a client within the handshake. */
static void
check_timeout (Fixture *f,
               gboolean server_side)
{
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTlsOptions) options = server_options ();
  GIOStream *stream = server_side ? f->server : f->client;

  evp_tls_options_set_handshake_timeout (options, 0.05);
  none = start_tls (f, stream, server_side, options, "localhost", &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (error->message, "0.05"));
  g_assert_null (none);
  g_assert_true (g_io_stream_is_closed (stream));
}

/* Rules: N-10, N-11 */
static void
test_server_timeout (Fixture *f)
{
  check_timeout (f, TRUE);
}

/* Rules: N-10, N-11 */
static void
test_client_timeout (Fixture *f)
{
  check_timeout (f, FALSE);
}

/* Rules: N-10 */
static void
test_impossible_timeouts (Fixture *f)
{
  static const double values[] = { 0, -1 };

  for (gsize i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autoptr (EvpTlsOptions) options = server_options ();
      g_autoptr (GIOStream) none = NULL;
      g_autoptr (GError) error = NULL;

      evp_tls_options_set_handshake_timeout (options, values[i]);
      none = start_tls (f, f->server, TRUE, options, NULL, &error);
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);

      evp_tls_options_set_handshake_timeout (options, 1);
      evp_tls_options_set_shutdown_timeout (options, values[i]);
      none = start_tls (f, f->server, TRUE, options, NULL, &error);
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_assert_false (g_io_stream_is_closed (f->server));
    }
}

static const guint8 half_a_hello[] = { 0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03 };

static void
check_peer_gone (Fixture *f,
                 gboolean server_side)
{
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTlsOptions) options = server_options ();
  GIOStream *stream = server_side ? f->server : f->client;

  none = start_tls (f, stream, server_side, options, "localhost", &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
  g_assert_null (none);
  g_assert_true (g_io_stream_is_closed (stream));
}

/* Rules: N-10, N-11 */
static void
test_peer_gone_at_once (Fixture *f)
{
  g_assert_true (g_io_stream_close (f->client, NULL, NULL));
  check_peer_gone (f, TRUE);
}

/* Rules: N-10, N-11 */
static void
test_peer_gone_in_between (Fixture *f)
{
  put (f->client, half_a_hello, sizeof half_a_hello);
  g_assert_true (g_io_stream_close (f->client, NULL, NULL));
  check_peer_gone (f, TRUE);
}

/* Rules: N-10, N-11 */
static void
test_server_gone (Fixture *f)
{
  g_assert_no_errno (shutdown (fd_of (f->server), SHUT_WR));
  check_peer_gone (f, FALSE);
}

/* Rules: N-11 */
static void
test_not_tls (Fixture *f)
{
  static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: nobody\r\n\r\n";
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTlsOptions) options = server_options ();

  put (f->client, text, strlen (text));
  none = start_tls (f, f->server, TRUE, options, NULL, &error);
  g_assert_nonnull (error);
  g_assert_true (error->domain == G_TLS_ERROR);
  g_assert_true (g_io_stream_is_closed (f->server));
}

/* Rules: N-11 */
static void
test_cancelled_before (Fixture *f)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };

  g_cancellable_cancel (cancellable);
  evp_event_loop_start_tls_async (f->loop, f->client, FALSE, NULL, "localhost", cancellable,
                                  evp_test_ready_cb, &await);
  none = evp_event_loop_start_tls_finish (f->loop, wait_for (&await), &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (g_io_stream_is_closed (f->client));
}

static void
check_cancelled (Fixture *f,
                 gboolean server_side,
                 gboolean half)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };
  GIOStream *stream = server_side ? f->server : f->client;

  if (half)
    put (f->client, half_a_hello, sizeof half_a_hello);
  evp_event_loop_start_tls_async (f->loop, stream, server_side, evp_test_tls_certificate (), "localhost",
                                  cancellable, evp_test_ready_cb, &await);
  if (!server_side)
    {
      char buffer[16];

      /* the hello has been sent: the handshake is under way */
      g_assert_cmpint (read_some (f, f->server, buffer, sizeof buffer, &error), >, 0);
      g_assert_no_error (error);
    }
  evp_test_run_ready (f->loop);
  g_cancellable_cancel (cancellable);
  none = evp_event_loop_start_tls_finish (f->loop, wait_for (&await), &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (g_io_stream_is_closed (stream));
}

/* Rules: N-11 */
static void
test_cancelled_waiting (Fixture *f)
{
  check_cancelled (f, TRUE, FALSE);
}

/* Rules: N-11 */
static void
test_cancelled_server (Fixture *f)
{
  check_cancelled (f, TRUE, TRUE);
}

/* Rules: N-11 */
static void
test_cancelled_client (Fixture *f)
{
  check_cancelled (f, FALSE, FALSE);
}

/* Rules: N-11 */
static void
test_wrong_streams (Fixture *f)
{
  g_autoptr (GInputStream) in = g_memory_input_stream_new ();
  g_autoptr (GInputStream) filter = g_buffered_input_stream_new (in);
  g_autoptr (GOutputStream) out = g_memory_output_stream_new_resizable ();
  g_autoptr (GIOStream) not_pollable = g_simple_io_stream_new (filter, out);
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;

  none = start_tls (f, not_pollable, FALSE, NULL, "localhost", &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_assert_false (g_io_stream_is_closed (not_pollable));
  g_clear_error (&error);

  shake_hands (f, NULL, NULL, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  none = start_tls (f, client, FALSE, NULL, "localhost", &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  transfer (f, client, server, 10);

  close_stream (f, client);
  none = start_tls (f, f->client, FALSE, NULL, "localhost", &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
}

/* Rules: N-11 */
static void
test_busy_stream (Fixture *f)
{
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };
  char byte;

  g_input_stream_read_async (g_io_stream_get_input_stream (f->client), &byte, 1, G_PRIORITY_DEFAULT, NULL,
                             evp_test_ready_cb, &await);
  none = start_tls (f, f->client, FALSE, NULL, "localhost", &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);

  put (f->server, "x", 1);
  g_assert_cmpint (g_input_stream_read_finish (g_io_stream_get_input_stream (f->client),
                                               wait_for (&await), &error), ==, 1);
  g_assert_no_error (error);
}

/* Rules: N-11 */
static void
test_no_certificate (Fixture *f)
{
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };

  evp_event_loop_start_tls_async (f->loop, f->server, TRUE, NULL, NULL, NULL, evp_test_ready_cb, &await);
  none = evp_event_loop_start_tls_finish (f->loop, wait_for (&await), &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "g_tls_certificate_new_from_file"));
  g_assert_false (g_io_stream_is_closed (f->server));
}

/* Rules: N-11 */
static void
test_dropped (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;

  /* nobody keeps the streams below */
  shake_hands (f, NULL, NULL, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  g_clear_object (&f->client);
  g_clear_object (&f->server);
  transfer (f, client, server, 100);
  g_clear_object (&client);
}

/* Rules: N-10, T-6 */
static void
test_shutdown_timeout (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTlsOptions) options = client_options ();
  g_auto (EvpTestAwait) await = { f->loop };
  static const char data[4096];

  if (f->kind->gio)
    return;
  evp_tls_options_set_shutdown_timeout (options, 0.05);
  shake_hands (f, NULL, options, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  while (send (fd_of (f->client), data, sizeof data, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
    ;

  /* nobody reads, so there is no room for the last message */
  g_io_stream_close_async (client, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
  g_assert_false (g_io_stream_close_finish (client, wait_for (&await), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
  g_assert_true (g_io_stream_is_closed (f->client));
}

/* Rules: T-6 */
static void
test_close_while_reading (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) reading = { f->loop };
  char byte, other;

  shake_hands (f, NULL, NULL, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  g_input_stream_read_async (g_io_stream_get_input_stream (client), &byte, 1, G_PRIORITY_DEFAULT, NULL,
                             evp_test_ready_cb, &reading);
  evp_test_run_ready (f->loop);
  close_stream (f, client);
  g_assert_cmpint (g_input_stream_read_finish (g_io_stream_get_input_stream (client), wait_for (&reading), &error), <=, 0);
  g_clear_error (&error);
  g_assert_cmpint (read_some (f, server, &other, 1, &error), ==, 0);
  g_assert_no_error (error);
}

/* Rules: T-5 */
static void
test_nobody_reads (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) writing = { f->loop };
  const gsize size = 8 * 1024 * 1024;
  g_autofree char *data = g_malloc0 (size);
  gsize n = 0;

  shake_hands (f, NULL, NULL, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  g_output_stream_write_all_async (g_io_stream_get_output_stream (client), data, size, G_PRIORITY_DEFAULT,
                                   cancellable, evp_test_ready_cb, &writing);
  evp_test_run_ready (f->loop);
  g_assert_null (writing.result); /* it waits, and keeps nothing but what the caller has given */
  g_cancellable_cancel (cancellable);
  g_assert_false (g_output_stream_write_all_finish (g_io_stream_get_output_stream (client), wait_for (&writing),
                                                    &n, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (n, <, size);
}

/* Rules: T-7 */
static void
test_end_of_writing (Fixture *f)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) closing = { f->loop };
  char byte;

  shake_hands (f, NULL, NULL, "localhost", &server, &client, &error, &error);
  g_assert_no_error (error);
  g_output_stream_close_async (g_io_stream_get_output_stream (client), G_PRIORITY_DEFAULT, NULL,
                               evp_test_ready_cb, &closing);
  g_assert_true (g_output_stream_close_finish (g_io_stream_get_output_stream (client), wait_for (&closing), &error));
  g_assert_no_error (error);
  g_assert_cmpint (read_some (f, server, &byte, 1, &error), ==, 0);
  g_assert_no_error (error);
  transfer (f, server, client, 1000);
}

static void
check_loop_closed (Fixture *f,
                   gboolean begun)
{
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) at_server = { f->loop };
  g_auto (EvpTestAwait) at_client = { f->loop };

  if (begun)
    put (f->client, half_a_hello, sizeof half_a_hello);
  evp_event_loop_start_tls_async (f->loop, f->server, TRUE, evp_test_tls_certificate (), NULL, NULL,
                                  evp_test_ready_cb, &at_server);
  g_assert_null (at_server.result);
  g_assert_true (evp_event_loop_close (f->loop, &error));
  g_assert_no_error (error);
  g_assert_nonnull (at_server.result);
  none = evp_event_loop_start_tls_finish (f->loop, at_server.result, &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_assert_null (none);
  g_clear_error (&error);

  /* a closed loop calls nobody; the thread's main context does */
  evp_event_loop_start_tls_async (f->loop, f->client, FALSE, NULL, "localhost", NULL,
                                  evp_test_ready_cb, &at_client);
  while (at_client.result == NULL)
    g_main_context_iteration (NULL, TRUE);
  none = evp_event_loop_start_tls_finish (f->loop, at_client.result, &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
}

static void
run_in_loop (Fixture      *f,
             gconstpointer data)
{
  const Case *what = data;

  if (f->loop == NULL)
    g_test_skip ("this loop does not work here");
  else if (evp_test_tls_available ())
    evp_test_run_case_in_loop (f->loop, (GTestFixtureFunc) (void (*) (void)) what->test, f);
}

/* Rules: N-11 */
static void
test_loop_closed_waiting (Fixture      *f,
                          gconstpointer data)
{
  if (!evp_test_tls_available ())
    return;
  check_loop_closed (f, FALSE);
  g_assert_true (g_io_stream_is_closed (f->server));
}

/* Rules: N-11 */
static void
test_loop_closed_shaking (Fixture      *f,
                          gconstpointer data)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (f->loop);

  if (!evp_test_tls_available ())
    return;
  check_loop_closed (f, TRUE);
  /* GIO keeps what its own thread works on until that has been heard */
  while (!g_io_stream_is_closed (f->server))
    g_main_context_iteration (context, FALSE);
}

/* Another thread has the loop's main context for a moment, before the loop runs. */
/* Rules: N-11 */
static void
test_occupied (Fixture      *f,
               gconstpointer data)
{
  g_autoptr (GIOStream) server = NULL;
  g_autoptr (GIOStream) client = NULL;
  g_autoptr (EvpTlsOptions) for_server = server_options ();
  g_autoptr (EvpTlsOptions) for_client = client_options ();
  g_auto (EvpTestAwait) at_server = { f->loop };
  g_auto (EvpTestAwait) at_client = { f->loop };
  g_autoptr (GError) error = NULL;
  EvpTestOccupation *occupation;

  if (!evp_test_tls_available ())
    return;
  occupation = evp_test_occupy (f->loop);
  evp_event_loop_start_tls_with_options_async (f->loop, f->client, FALSE, for_client, "localhost",
                                               NULL, evp_test_ready_cb, &at_client);
  evp_event_loop_start_tls_with_options_async (f->loop, f->server, TRUE, for_server, NULL,
                                               NULL, evp_test_ready_cb, &at_server);
  evp_test_occupation_end (occupation);
  client = evp_event_loop_start_tls_with_options_finish (f->loop, wait_for (&at_client), &error);
  g_assert_no_error (error);
  server = evp_event_loop_start_tls_with_options_finish (f->loop, wait_for (&at_server), &error);
  g_assert_no_error (error);
}

/* The same, and the loop never runs again; or the user has thought better of it. */
/* Rules: N-11 */
static void
test_occupied_in_vain (Fixture      *f,
                       gconstpointer data)
{
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) at_server = { f->loop };
  g_auto (EvpTestAwait) at_client = { f->loop };
  g_autoptr (GError) error = NULL;
  EvpTestOccupation *occupation;

  if (!evp_test_tls_available ())
    return;
  put (f->client, half_a_hello, sizeof half_a_hello);
  occupation = evp_test_occupy (f->loop);
  evp_event_loop_start_tls_async (f->loop, f->client, FALSE, NULL, "localhost", cancellable,
                                  evp_test_ready_cb, &at_client);
  evp_test_occupation_end (occupation);
  g_cancellable_cancel (cancellable);
  none = evp_event_loop_start_tls_finish (f->loop, wait_for (&at_client), &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_true (g_io_stream_is_closed (f->client));

  occupation = evp_test_occupy (f->loop);
  evp_event_loop_start_tls_async (f->loop, f->server, TRUE, evp_test_tls_certificate (), NULL, NULL,
                                  evp_test_ready_cb, &at_server);
  evp_test_occupation_end (occupation);
  g_assert_true (evp_event_loop_close (f->loop, NULL));
  g_assert_nonnull (at_server.result);
  none = evp_event_loop_start_tls_finish (f->loop, at_server.result, &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_assert_true (g_io_stream_is_closed (f->server));
}

static void
no_backend_cb (gpointer user_data)
{
  Fixture *f = user_data;
  g_autoptr (GIOStream) none = NULL;
  g_autoptr (GError) error = NULL;

  none = start_tls (f, f->client, FALSE, NULL, "localhost", &error);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "glib-networking"));
  g_assert_false (g_io_stream_is_closed (f->client));
}

/* Rules: N-11 */
static void
test_no_backend (Fixture      *f,
                 gconstpointer data)
{
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess ("/evp/net/loop-tls/no-backend", 0, G_TEST_SUBPROCESS_DEFAULT);
      g_test_trap_assert_passed ();
      return;
    }
  evp_test_run_in_loop (f->loop, no_backend_cb, f);
}

static const Kind kinds[] = {
  { "selector", evp_test_make_selector_loop, FALSE },
  { "uring", new_uring_loop, FALSE },
  { "gio-proactor", evp_test_make_gio_loop, FALSE },
  { "gio-connection", evp_test_make_selector_loop, TRUE },
};

static const struct
{
  const char *name;
  void (*test) (Fixture *f);
} tests[] = {
  { "both", test_both },
  { "ipv4-as-name", test_ipv4_as_name },
  { "ipv6-as-name", test_ipv6_as_name },
  { "wrong-address", test_wrong_address },
  { "wrong-name", test_wrong_name },
  { "empty-name", test_empty_name },
  { "default-name", test_default_name },
  { "wrong-default-name", test_wrong_default_name },
  { "no-name", test_no_name },
  { "untrusted", test_untrusted },
  { "accept-certificate", test_accept_certificate },
  { "refuse-certificate", test_refuse_certificate },
  { "validation-flags", test_validation_flags },
  { "expired", test_expired },
  { "client-certificate", test_client_certificate },
  { "client-certificate-missing", test_client_certificate_missing },
  { "alpn", test_alpn },
  { "server-timeout", test_server_timeout },
  { "client-timeout", test_client_timeout },
  { "impossible-timeouts", test_impossible_timeouts },
  { "peer-gone-at-once", test_peer_gone_at_once },
  { "peer-gone-in-between", test_peer_gone_in_between },
  { "server-gone", test_server_gone },
  { "not-tls", test_not_tls },
  { "cancelled-before", test_cancelled_before },
  { "cancelled-waiting", test_cancelled_waiting },
  { "cancelled-server", test_cancelled_server },
  { "cancelled-client", test_cancelled_client },
  { "wrong-streams", test_wrong_streams },
  { "busy-stream", test_busy_stream },
  { "no-certificate", test_no_certificate },
  { "dropped", test_dropped },
  { "shutdown-timeout", test_shutdown_timeout },
  { "close-while-reading", test_close_while_reading },
  { "nobody-reads", test_nobody_reads },
  { "end-of-writing", test_end_of_writing },
};

int
main (int   argc,
      char *argv[])
{
  static const Case once = { NULL, &kinds[0] };
  static Case cases[G_N_ELEMENTS (kinds)][G_N_ELEMENTS (tests)]; /* as long as the tests run */

  g_test_init (&argc, &argv, NULL);
  evp_test_leaks_begin (); /* what is made once, and has a descriptor, is made now */
  if (g_test_subprocess ())
    g_setenv ("GIO_USE_TLS", "dummy", TRUE);
  else if (g_tls_backend_supports_tls (g_tls_backend_get_default ()))
    g_type_ensure (g_tls_backend_get_client_connection_type (g_tls_backend_get_default ()));

  for (gsize k = 0; k < G_N_ELEMENTS (kinds); k++)
    {
      for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
        {
          g_autofree char *path = g_strdup_printf ("/evp/net/loop-tls/%s/%s", kinds[k].name, tests[i].name);
          Case *what = &cases[k][i];

          what->test = tests[i].test;
          what->kind = &kinds[k];
          g_test_add_vtable (path, sizeof (Fixture), what,
                             (GTestFixtureFunc) (void (*) (void)) set_up,
                             (GTestFixtureFunc) (void (*) (void)) run_in_loop,
                             (GTestFixtureFunc) (void (*) (void)) tear_down);
        }
    }
  g_test_add ("/evp/net/loop-tls/loop-closed-waiting", Fixture, &once, set_up, test_loop_closed_waiting, tear_down);
  g_test_add ("/evp/net/loop-tls/loop-closed-shaking", Fixture, &once, set_up, test_loop_closed_shaking, tear_down);
  g_test_add ("/evp/net/loop-tls/occupied", Fixture, &once, set_up, test_occupied, tear_down);
  g_test_add ("/evp/net/loop-tls/occupied-in-vain", Fixture, &once, set_up, test_occupied_in_vain, tear_down);
  g_test_add ("/evp/net/loop-tls/no-backend", Fixture, &once, set_up, test_no_backend, tear_down);
  return g_test_run ();
}
