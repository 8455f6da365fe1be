/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"
#include "support/evp-test-tls.h"

#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>
#include <unistd.h>

/*
 * libsoup, which knows nothing of this library, on registered connections: HTTPS with HTTP/1.1 between its own
 * server and client, and HTTP/2 over TLS with a server of somebody else (nghttpd), at first alone, then behind
 * a TLS server of ours.
 */

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpTestDeadline *deadline;
} Fixture;

typedef struct
{
  EvpAbstractEventLoop *(*new_loop) (void);
  void (*body) (Fixture *f);
} Case;

#define TEXT "What is asked for.\n"
#define LONG_SIZE (1024 * 1024)

static EvpAbstractEventLoop *
new_selector_loop (void)
{
  return evp_selector_event_loop_new (NULL, NULL, NULL);
}

static EvpAbstractEventLoop *
new_proactor_loop (void)
{
  return evp_proactor_event_loop_new (NULL, NULL);
}

/* So that a byte at the wrong place shows. */
static char *
make_long_text (void)
{
  char *text = g_malloc (LONG_SIZE);

  for (gsize i = 0; i < LONG_SIZE; i++)
    text[i] = (char) ('a' + (i * 7 + i / 1000) % 26);
  return text;
}

static void
set_up (Fixture      *f,
        gconstpointer data)
{
  const Case *what = data;

  f->deadline = evp_test_deadline_start (100, "libsoup");
  f->loop = what->new_loop ();
  g_assert_nonnull (f->loop);
  g_assert_true (evp_socket_connection_register (NULL));
}

static void
tear_down (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  evp_socket_connection_unregister ();
  evp_event_loop_close (f->loop, &error);
  g_assert_no_error (error);
  g_object_unref (f->loop);
  evp_test_deadline_stop (f->deadline);
}

static void
run (Fixture      *f,
     gconstpointer data)
{
  const Case *what = data;

  if (evp_test_tls_available ())
    evp_test_run_case_in_loop (f->loop, (GTestFixtureFunc) (void (*) (void)) what->body, f);
}

/* Client */

/* Counts the connections that a session makes, and looks at what they are made of. */
static void
network_event_cb (SoupMessage       *message,
                  GSocketClientEvent event,
                  GIOStream         *connection,
                  guint             *n_connections)
{
  g_autoptr (GIOStream) base = NULL;
  const char *name;

  if (event != G_SOCKET_CLIENT_TLS_HANDSHAKED)
    return;
  g_assert_true (G_IS_TLS_CONNECTION (connection));
  g_object_get (connection, "base-io-stream", &base, NULL);
  name = G_OBJECT_TYPE_NAME (g_io_stream_get_input_stream (base));
  g_assert_cmpstr (name, ==, "EvpSocketInputStream");
  (*n_connections)++;
}

static SoupSession *
new_session (void)
{
  return soup_session_new_with_options ("tls-database", evp_test_tls_database (),
                                        "max-conns", 20, "max-conns-per-host", 5, NULL);
}

static SoupMessage *
new_message (const char *method,
             guint16     port,
             const char *path,
             guint      *n_connections)
{
  g_autofree char *uri = g_strdup_printf ("https://127.0.0.1:%u%s", port, path);
  SoupMessage *message = soup_message_new (method, uri);

  g_assert_nonnull (message);
  g_signal_connect (message, "network-event", G_CALLBACK (network_event_cb), n_connections);
  return message;
}

static void
check_response (SoupMessage    *message,
                SoupHTTPVersion version,
                GBytes         *body,
                const char     *expected,
                gsize           size)
{
  g_assert_cmpuint (soup_message_get_status (message), ==, SOUP_STATUS_OK);
  g_assert_cmpint (soup_message_get_http_version (message), ==, version);
  g_assert_cmpmem (g_bytes_get_data (body, NULL), g_bytes_get_size (body), expected, size);
}

static void
get (Fixture        *f,
     SoupSession    *session,
     guint16         port,
     const char     *path,
     SoupHTTPVersion version,
     const char     *expected,
     gsize           size,
     guint          *n_connections)
{
  g_autoptr (SoupMessage) message = new_message ("GET", port, path, n_connections);
  g_autoptr (GBytes) body = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };

  soup_session_send_and_read_async (session, message, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
  body = soup_session_send_and_read_finish (session, evp_test_await (&await), &error);
  g_assert_no_error (error);
  check_response (message, version, body, expected, size);
}

/* @n at once, on as many connections as the protocol needs. */
static void
get_many (Fixture        *f,
          SoupSession    *session,
          guint16         port,
          const char     *path,
          SoupHTTPVersion version,
          const char     *expected,
          gsize           size,
          guint           n,
          guint          *n_connections)
{
  g_autofree EvpTestAwait *awaits = g_new0 (EvpTestAwait, n);
  g_autoptr (GPtrArray) messages = g_ptr_array_new_with_free_func (g_object_unref);

  for (guint i = 0; i < n; i++)
    {
      awaits[i].loop = f->loop;
      g_ptr_array_add (messages, new_message ("GET", port, path, n_connections));
      soup_session_send_and_read_async (session, messages->pdata[i], G_PRIORITY_DEFAULT, NULL,
                                        evp_test_ready_cb, &awaits[i]);
    }
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GBytes) body = NULL;
      g_autoptr (GError) error = NULL;

      if (awaits[i].result == NULL)
        evp_test_await (&awaits[i]);
      body = soup_session_send_and_read_finish (session, awaits[i].result, &error);
      g_assert_no_error (error);
      check_response (messages->pdata[i], version, body, expected, size);
      evp_test_await_clear (&awaits[i]);
    }
}

static void
post (Fixture        *f,
      SoupSession    *session,
      guint16         port,
      const char     *path,
      SoupHTTPVersion version,
      const char     *text,
      gsize           size,
      guint          *n_connections)
{
  g_autoptr (SoupMessage) message = new_message ("POST", port, path, n_connections);
  g_autoptr (GBytes) request = g_bytes_new_static (text, size);
  g_autoptr (GBytes) body = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };

  soup_message_set_request_body_from_bytes (message, "text/plain", request);
  soup_session_send_and_read_async (session, message, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
  body = soup_session_send_and_read_finish (session, evp_test_await (&await), &error);
  g_assert_no_error (error);
  check_response (message, version, body, text, size);
}

/* Everything that a client does, against whatever server: /text, /long, and /echo for POST. */
static guint
be_a_client (Fixture        *f,
             guint16         port,
             SoupHTTPVersion version)
{
  g_autoptr (SoupSession) session = new_session ();
  g_autofree char *long_text = make_long_text ();
  guint n_connections = 0;

  /* one after the other: one connection, kept alive */
  for (int i = 0; i < 20; i++)
    get (f, session, port, "/text", version, TEXT, strlen (TEXT), &n_connections);
  g_assert_cmpuint (n_connections, ==, 1);

  get (f, session, port, "/long", version, long_text, LONG_SIZE, &n_connections);
  g_assert_cmpuint (n_connections, ==, 1);
  /* what cannot be repeated is sent on a new one */
  post (f, session, port, "/echo", version, long_text, LONG_SIZE, &n_connections);

  get_many (f, session, port, "/text", version, TEXT, strlen (TEXT), 50, &n_connections);
  get_many (f, session, port, "/long", version, long_text, LONG_SIZE, 5, &n_connections);
  soup_session_abort (session);
  return n_connections;
}

/* HTTP/1.1, libsoup's own server */

static void
request_cb (SoupServer        *server,
            SoupServerMessage *message,
            const char        *path,
            GHashTable        *query,
            gpointer           user_data)
{
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  if (g_str_equal (path, "/text"))
    soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_STATIC, TEXT, strlen (TEXT));
  else if (g_str_equal (path, "/long"))
    soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_TAKE, make_long_text (), LONG_SIZE);
  else
    {
      g_autoptr (GBytes) body = soup_message_body_flatten (soup_server_message_get_request_body (message));

      g_assert_cmpstr (soup_server_message_get_method (message), ==, "POST");
      soup_message_body_append_bytes (soup_server_message_get_response_body (message), body);
    }
}

static guint16
port_of_uri (GSList *uris)
{
  guint16 port = (guint16) g_uri_get_port (uris->data);

  g_slist_free_full (uris, (GDestroyNotify) g_uri_unref);
  return port;
}

/* Rules: N-9 */
static void
test_https (Fixture *f)
{
  g_autoptr (SoupServer) server = soup_server_new ("tls-certificate", evp_test_tls_certificate (), NULL);
  g_autoptr (GError) error = NULL;
  guint n;

  soup_server_add_handler (server, NULL, request_cb, NULL, NULL);
  soup_server_listen_local (server, 0, SOUP_SERVER_LISTEN_HTTPS | SOUP_SERVER_LISTEN_IPV4_ONLY, &error);
  g_assert_no_error (error);
  n = be_a_client (f, port_of_uri (soup_server_get_uris (server)), SOUP_HTTP_1_1);
  g_assert_cmpuint (n, ==, 5); /* as many as the session may have */
  soup_server_disconnect (server);
}

/* HTTP/2, somebody else's server */

typedef struct
{
  GSubprocess *process;
  GThread *reader; /* of what it says */
  char *directory;
  guint16 port;
} Nghttpd;

static void
write_file (const char *directory,
            const char *name,
            const char *contents,
            gssize      size)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, contents, size, &error);
  g_assert_no_error (error);
}

static guint16
find_free_port (void)
{
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM,
                                             G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_autoptr (GSocketAddress) bound = NULL;
  g_autoptr (GError) error = NULL;

  g_socket_bind (socket, any, TRUE, &error);
  g_assert_no_error (error);
  bound = g_socket_get_local_address (socket, &error);
  g_assert_no_error (error);
  return g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (bound));
}

static gpointer
nghttpd_read_thread (gpointer process)
{
  GInputStream *output = g_subprocess_get_stdout_pipe (process);

  while (g_input_stream_skip (output, 65536, NULL, NULL) > 0)
    ;
  return NULL;
}

/* Somebody else may take the port in between, so there is more than one attempt. */
static void
nghttpd_start (Nghttpd *self,
               gboolean tls)
{
  const char *program = g_getenv ("EVP_TEST_NGHTTPD");
  g_autofree char *long_text = make_long_text ();
  g_autofree char *pem = NULL;
  g_autoptr (GError) error = NULL;

  self->directory = g_dir_make_tmp ("evp-test-XXXXXX", &error);
  g_assert_no_error (error);
  write_file (self->directory, "text", TEXT, -1);
  write_file (self->directory, "long", long_text, LONG_SIZE);
  write_file (self->directory, "pem", evp_test_tls_pem (), -1);
  pem = g_build_filename (self->directory, "pem", NULL);

  for (int attempt = 0; attempt < 10; attempt++)
    {
      g_autoptr (GDataInputStream) lines = NULL;
      g_autofree char *port = NULL;
      g_autofree char *line = NULL;

      self->port = find_free_port ();
      port = g_strdup_printf ("%u", self->port);
      self->process = g_subprocess_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE, &error,
                                        "stdbuf", "-oL", program,
                                        "-a", "127.0.0.1", "-v", "-d", self->directory, "--echo-upload",
                                        port, tls ? pem : "--no-tls", tls ? pem : NULL, NULL);
      g_assert_no_error (error);
      lines = g_data_input_stream_new (g_subprocess_get_stdout_pipe (self->process));
      g_filter_input_stream_set_close_base_stream (G_FILTER_INPUT_STREAM (lines), FALSE);
      /* it says so when it listens; newer ones would keep it to themselves if stdbuf let them */
      line = g_data_input_stream_read_line (lines, NULL, NULL, NULL);
      if (line != NULL && strstr (line, "listen 127.0.0.1") != NULL)
        {
          self->reader = g_thread_new ("nghttpd", nghttpd_read_thread, self->process);
          return;
        }
      g_subprocess_force_exit (self->process);
      g_subprocess_wait (self->process, NULL, NULL);
      g_clear_object (&self->process);
    }
  g_error ("%s does not listen", program);
}

static void
nghttpd_stop (Nghttpd *self)
{
  static const char *const names[] = { "text", "long", "pem" };

  g_subprocess_force_exit (self->process);
  g_subprocess_wait (self->process, NULL, NULL);
  g_thread_join (self->reader);
  g_clear_object (&self->process);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (self->directory, names[i], NULL);

      g_unlink (path);
    }
  g_rmdir (self->directory);
  g_clear_pointer (&self->directory, g_free);
}

static gboolean
nghttpd_is_there (void)
{
  const char *program = g_getenv ("EVP_TEST_NGHTTPD");

  if (program != NULL && *program != '\0')
    return TRUE;
  g_test_skip ("there is no HTTP/2 server here: nghttpd, Debian's nghttp2-server, is missing");
  return FALSE;
}

static void
test_http2_client (Fixture *f)
{
  Nghttpd server;
  guint n;

  if (!nghttpd_is_there ())
    return;
  nghttpd_start (&server, TRUE);
  n = be_a_client (f, server.port, SOUP_HTTP_2_0);
  g_assert_cmpuint (n, ==, 2); /* fifty at once need no more than were there */
  nghttpd_stop (&server);
}

/* HTTP/2 behind a TLS server of ours, which passes what it hears on to nghttpd */

typedef struct
{
  EvpAbstractEventLoop *loop;
  GSocketService *service;
  EvpTlsOptions *options;
  guint16 backend_port;
  guint n_connections;
  guint n_tunnels; /* that are open */
} Front;

typedef struct
{
  Front *front;
  GIOStream *near;
  GIOStream *far;
  guint n_directions; /* that still go on */
} Tunnel;

static void
tunnel_spliced_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      user_data)
{
  Tunnel *tunnel = user_data;

  /* whoever goes first, goes without ceremony */
  g_output_stream_splice_finish (G_OUTPUT_STREAM (source), result, NULL);
  tunnel->n_directions--;
  g_io_stream_close_async (tunnel->near, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  g_io_stream_close_async (tunnel->far, G_PRIORITY_DEFAULT, NULL, NULL, NULL);
  if (tunnel->n_directions > 0)
    return;
  tunnel->front->n_tunnels--;
  g_object_unref (tunnel->near);
  g_object_unref (tunnel->far);
  g_free (tunnel);
}

static void
tunnel_pass_on (Tunnel    *tunnel,
                GIOStream *from,
                GIOStream *to)
{
  g_output_stream_splice_async (g_io_stream_get_output_stream (to), g_io_stream_get_input_stream (from),
                                G_OUTPUT_STREAM_SPLICE_NONE, G_PRIORITY_DEFAULT, NULL,
                                tunnel_spliced_cb, tunnel);
}

static void
front_connected_cb (GObject      *source,
                    GAsyncResult *result,
                    gpointer      user_data)
{
  Tunnel *tunnel = user_data;
  g_autoptr (GError) error = NULL;

  tunnel->far = G_IO_STREAM (g_socket_client_connect_to_host_finish (G_SOCKET_CLIENT (source), result, &error));
  g_assert_no_error (error);
  tunnel->n_directions = 2;
  tunnel_pass_on (tunnel, tunnel->near, tunnel->far);
  tunnel_pass_on (tunnel, tunnel->far, tunnel->near);
}

static void
front_tls_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      user_data)
{
  Tunnel *tunnel = user_data;
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GError) error = NULL;

  tunnel->near = evp_event_loop_start_tls_with_options_finish (EVP_EVENT_LOOP (source), result, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (g_tls_connection_get_negotiated_protocol (G_TLS_CONNECTION (tunnel->near)), ==, "h2");
  g_socket_client_connect_to_host_async (client, "127.0.0.1", tunnel->front->backend_port, NULL,
                                         front_connected_cb, tunnel);
}

static gboolean
front_incoming_cb (GSocketService    *service,
                   GSocketConnection *connection,
                   GObject           *source,
                   Front             *front)
{
  Tunnel *tunnel = g_new0 (Tunnel, 1);

  tunnel->front = front;
  front->n_connections++;
  front->n_tunnels++;
  evp_event_loop_start_tls_with_options_async (front->loop, G_IO_STREAM (connection), TRUE, front->options,
                                               NULL, NULL, front_tls_cb, tunnel);
  return TRUE;
}

/* Rules: N-9, N-11 */
static void
test_http2_server (Fixture *f)
{
  const char *const protocols[] = { "h2", "http/1.1", NULL };
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (f->loop);
  g_autoptr (GSocketAddress) any = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_autoptr (GSocketAddress) address = NULL;
  g_autoptr (GError) error = NULL;
  Front front = { .loop = f->loop };
  Nghttpd backend;

  if (!nghttpd_is_there ())
    return;
  nghttpd_start (&backend, FALSE);
  front.backend_port = backend.port;
  front.options = evp_tls_options_new ();
  evp_tls_options_set_certificate (front.options, evp_test_tls_certificate ());
  evp_tls_options_set_alpn_protocols (front.options, protocols);
  front.service = g_socket_service_new ();
  g_signal_connect (front.service, "incoming", G_CALLBACK (front_incoming_cb), &front);
  g_socket_listener_add_address (G_SOCKET_LISTENER (front.service), any, G_SOCKET_TYPE_STREAM,
                                 G_SOCKET_PROTOCOL_TCP, NULL, &address, &error);
  g_assert_no_error (error);

  be_a_client (f, g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address)), SOUP_HTTP_2_0);
  g_assert_cmpuint (front.n_connections, ==, 2);

  while (front.n_tunnels > 0)
    g_main_context_iteration (context, TRUE);
  g_socket_service_stop (front.service);
  g_socket_listener_close (G_SOCKET_LISTENER (front.service));
  g_object_unref (front.service);
  g_object_unref (front.options);
  nghttpd_stop (&backend);
}

int
main (int   argc,
      char *argv[])
{
  static const struct
  {
    const char *name;
    Case what;
  } cases[] = {
    { "/evp/interop/soup/https/selector", { new_selector_loop, test_https } },
    { "/evp/interop/soup/https/proactor", { new_proactor_loop, test_https } },
    { "/evp/interop/soup/http2-client/selector", { new_selector_loop, test_http2_client } },
    { "/evp/interop/soup/http2-client/proactor", { new_proactor_loop, test_http2_client } },
    { "/evp/interop/soup/http2-server/selector", { new_selector_loop, test_http2_server } },
    { "/evp/interop/soup/http2-server/proactor", { new_proactor_loop, test_http2_server } },
  };

  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    g_test_add (cases[i].name, Fixture, &cases[i].what, set_up, run, tear_down);
  return g_test_run ();
}
