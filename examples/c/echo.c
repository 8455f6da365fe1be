/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections: a server that sends back what it gets, and clients, over TCP, a unix socket, and TLS. */

#include <evp/evp.h>

#include <glib/gstdio.h>
#include <string.h>

#define CLIENTS 5

typedef struct
{
  EvpAbstractEventLoop *loop;
  char *folder;
  char *path;                    /* of the unix socket */
  char *pem;                     /* the file of a certificate and its key */
  const char *name;              /* what is being shown */
  EvpServer *server;
  EvpConnectionOptions *options; /* of the clients */
  guint16 port;
  int clients;                   /* that have not gone */
  GError *error;
} Program;

typedef struct
{
  Program *program;
  GIOStream *stream;
  char text[32];
  char answer[32];
} Client;

static void tcp_is_done (Program *program);
static void unix_is_done (Program *program);

/* Ends the program; an error is printed by main(). */
static void
finish (Program *program,
        GError  *error)
{
  if (program->error == NULL)
    program->error = error;
  else
    g_clear_error (&error);
  evp_event_loop_stop (program->loop);
}

/* The server */

static void
echoed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  g_autoptr (GIOStream) connection = user_data; /* closed with its last reference */
  g_autoptr (GError) error = NULL;

  if (g_output_stream_splice_finish (G_OUTPUT_STREAM (source), result, &error) < 0)
    g_printerr ("%s\n", error->message);
}

static void
incoming_cb (EvpServer *server,
             GIOStream *connection,
             gpointer   user_data)
{
  /* sends back what comes, until the other end has no more to say */
  g_output_stream_splice_async (g_io_stream_get_output_stream (connection), g_io_stream_get_input_stream (connection),
                                G_OUTPUT_STREAM_SPLICE_NONE, G_PRIORITY_DEFAULT, NULL,
                                echoed_cb, g_object_ref (connection));
}

/* The clients */

static void
client_is_done (Client *client,
                GError *error)
{
  Program *program = client->program;

  g_clear_object (&client->stream);
  g_free (client);
  if (error != NULL)
    finish (program, error);
  if (--program->clients > 0 || program->error != NULL)
    return;

  g_print ("%s: %d clients got back what they said\n", program->name, CLIENTS);
  evp_server_close (program->server);
  g_clear_object (&program->server);
  if (strcmp (program->name, "TCP") == 0)
    tcp_is_done (program);
  else if (strcmp (program->name, "unix socket") == 0)
    unix_is_done (program);
  else
    finish (program, NULL);
}

static void
answered_cb (GObject      *source,
             GAsyncResult *result,
             gpointer      user_data)
{
  Client *client = user_data;
  GError *error = NULL;

  if (g_input_stream_read_all_finish (G_INPUT_STREAM (source), result, NULL, &error)
      && strcmp (client->text, client->answer) != 0)
    error = g_error_new (EVP_ERROR, EVP_ERROR_FAILED, "the answer is “%s”", client->answer);
  client_is_done (client, error);
}

static void
asked_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  Client *client = user_data;
  GError *error = NULL;

  if (!g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, &error))
    client_is_done (client, error);
  else
    g_input_stream_read_all_async (g_io_stream_get_input_stream (client->stream), client->answer,
                                   strlen (client->text), G_PRIORITY_DEFAULT, NULL, answered_cb, client);
}

static void
connected_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      user_data)
{
  EvpAbstractEventLoop *loop = EVP_EVENT_LOOP (source);
  Client *client = user_data;
  GError *error = NULL;

  if (strcmp (client->program->name, "unix socket") == 0)
    client->stream = evp_event_loop_create_unix_connection_finish (loop, result, &error);
  else
    client->stream = evp_event_loop_create_connection_finish (loop, result, &error);
  if (client->stream == NULL)
    client_is_done (client, error);
  else
    g_output_stream_write_all_async (g_io_stream_get_output_stream (client->stream), client->text,
                                     strlen (client->text), G_PRIORITY_DEFAULT, NULL, asked_cb, client);
}

static void
run_clients (Program    *program,
             const char *name,
             EvpServer  *server)
{
  program->name = name;
  program->server = server;
  program->clients = CLIENTS;
  g_signal_connect (server, "incoming", G_CALLBACK (incoming_cb), program);
  for (int i = 0; i < CLIENTS; i++)
    {
      Client *client = g_new0 (Client, 1);

      client->program = program;
      g_snprintf (client->text, sizeof client->text, "hello from client %d", i);
      if (strcmp (name, "unix socket") == 0)
        evp_event_loop_create_unix_connection_async (program->loop, program->path, NULL, NULL, connected_cb, client);
      else
        evp_event_loop_create_connection_async (program->loop, "localhost", program->port, program->options, NULL,
                                                connected_cb, client);
    }
}

/* The port that a server with port 0 got. */
static guint16
find_port (EvpServer *server)
{
  g_autoptr (GPtrArray) sockets = evp_server_get_sockets (server);
  g_autoptr (GSocketAddress) address = g_socket_get_local_address (g_ptr_array_index (sockets, 0), NULL);

  return g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (address));
}

/* TLS: by options of both sides, with a certificate that only these clients trust */

static void
tls_server_cb (GObject      *source,
               GAsyncResult *result,
               gpointer      user_data)
{
  Program *program = user_data;
  GError *error = NULL;
  EvpServer *server = evp_event_loop_create_server_finish (EVP_EVENT_LOOP (source), result, &error);

  if (server == NULL)
    {
      finish (program, error);
      return;
    }
  program->port = find_port (server);
  run_clients (program, "TLS", server);
}

static void
certified_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      user_data)
{
  Program *program = user_data;
  g_autoptr (GBytes) pem = NULL;
  g_autoptr (GTlsCertificate) certificate = NULL;
  g_autoptr (GTlsDatabase) database = NULL;
  g_autoptr (EvpTlsOptions) tls = evp_tls_options_new ();
  g_autoptr (EvpTlsOptions) trust = evp_tls_options_new ();
  g_autoptr (EvpServerOptions) options = evp_server_options_new ();
  GError *error = NULL;

  if (!evp_subprocess_communicate_finish (EVP_SUBPROCESS (source), result, &pem, NULL, &error)
      || !g_file_set_contents (program->pem, g_bytes_get_data (pem, NULL), (gssize) g_bytes_get_size (pem), &error)
      || (certificate = g_tls_certificate_new_from_file (program->pem, &error)) == NULL
      || (database = g_tls_file_database_new (program->pem, &error)) == NULL)
    {
      finish (program, error);
      return;
    }
  evp_tls_options_set_certificate (tls, certificate);
  evp_server_options_set_tls_options (options, tls);
  evp_tls_options_set_database (trust, database);
  program->options = evp_connection_options_new ();
  evp_connection_options_set_tls (program->options, TRUE);
  evp_connection_options_set_tls_options (program->options, trust);
  evp_event_loop_create_server_async (program->loop, "localhost", 0, 0, options, NULL, tls_server_cb, program);
}

static void
openssl_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Program *program = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSubprocess) process = evp_event_loop_subprocess_exec_finish (EVP_EVENT_LOOP (source), result, &error);

  if (process != NULL)
    evp_subprocess_communicate_async (process, NULL, NULL, certified_cb, program);
  else
    {
      g_print ("no TLS: %s\n", error->message);
      finish (program, NULL);
    }
}

static void
unix_is_done (Program *program)
{
  const char * const argv[] = {
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "1", "-keyout", "-", "-out", "-", NULL
  };
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();

  if (!g_tls_backend_supports_tls (g_tls_backend_get_default ()))
    {
      g_print ("no TLS: glib-networking is missing\n");
      finish (program, NULL);
      return;
    }
  evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
  evp_subprocess_options_set_stderr (options, EVP_STDIO_NULL);
  evp_event_loop_subprocess_exec_async (program->loop, argv, options, NULL, openssl_cb, program);
}

/* A unix socket */

static void
unix_server_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  GError *error = NULL;
  EvpServer *server = evp_event_loop_create_unix_server_finish (EVP_EVENT_LOOP (source), result, &error);

  if (server != NULL)
    run_clients (user_data, "unix socket", server);
  else
    finish (user_data, error);
}

static void
tcp_is_done (Program *program)
{
  evp_event_loop_create_unix_server_async (program->loop, program->path, 0, NULL, NULL, unix_server_cb, program);
}

/* TCP */

static void
tcp_server_cb (GObject      *source,
               GAsyncResult *result,
               gpointer      user_data)
{
  Program *program = user_data;
  GError *error = NULL;
  EvpServer *server = evp_event_loop_create_server_finish (EVP_EVENT_LOOP (source), result, &error);

  if (server == NULL)
    {
      finish (program, error);
      return;
    }
  program->port = find_port (server);
  run_clients (program, "TCP", server);
}

static void
start (gpointer user_data)
{
  Program *program = user_data;

  evp_event_loop_create_server_async (program->loop, "localhost", 0, 0, NULL, NULL, tcp_server_cb, program);
}

int
main (void)
{
  Program program = { NULL };
  g_autoptr (GError) error = NULL;

  program.folder = g_dir_make_tmp ("evp-echo-XXXXXX", &error);
  if (program.folder != NULL)
    program.loop = evp_get_event_loop (&error);
  if (program.loop != NULL)
    {
      program.path = g_build_filename (program.folder, "socket", NULL);
      program.pem = g_build_filename (program.folder, "certificate.pem", NULL);
      if (evp_event_loop_call_soon (program.loop, start, &program, NULL, &error) != NULL
          && evp_event_loop_run_forever (program.loop, &error))
        evp_event_loop_close (program.loop, &error);
      g_unlink (program.pem);
    }
  if (program.folder != NULL)
    g_rmdir (program.folder);
  if (error == NULL)
    error = program.error;
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  g_clear_object (&program.options);
  g_clear_object (&program.loop);
  g_free (program.path);
  g_free (program.pem);
  g_free (program.folder);
  return error != NULL;
}
