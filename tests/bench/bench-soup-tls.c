/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a request costs a libsoup server that has many idle keep-alive connections over TLS, with and without
 * evp_socket_connection_register(): the same program in both cases, on the same loop.
 *
 *   bench-soup-tls [idle=N] [active=N] [requests=N] [tls=0|1] [register=0|1]
 *
 * The server is a process of its own, which reports its processor time. The client opens the idle connections, each
 * with one request, then sends each request on all active connections at once and waits for the answers.
 */

#include "config.h"

#include "evp/evp.h"
#include "support/evp-test-tls.h"

#include <libsoup/soup.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static int idle = 0, active = 10, requests = 200, tls = 1, registered = 1;

static double
cpu_us (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double) now.tv_sec * 1e6 + (double) now.tv_nsec / 1e3;
}

static void
must (GError *error)
{
  if (error == NULL)
    return;
  fprintf (stderr, "bench-soup-tls: %s\n", error->message);
  exit (1);
}

/* Server */

static void
request_cb (SoupServer        *server,
            SoupServerMessage *message,
            const char        *path,
            GHashTable        *query,
            gpointer           user_data)
{
  char *text = strcmp (path, "/cpu") == 0 ? g_strdup_printf ("%.0f", cpu_us ()) : g_strnfill (64, 'x');

  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_TAKE, text, strlen (text));
}

static void
serve (int port_fd)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_get_event_loop (&error);
  SoupServer *server;
  GSList *uris;
  int port;

  must (error);
  if (registered)
    evp_socket_connection_register (&error);
  must (error);
  server = soup_server_new (tls ? "tls-certificate" : NULL, tls ? evp_test_tls_certificate () : NULL, NULL);
  soup_server_add_handler (server, NULL, request_cb, NULL, NULL);
  soup_server_listen_local (server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY | (tls ? SOUP_SERVER_LISTEN_HTTPS : 0), &error);
  must (error);
  uris = soup_server_get_uris (server);
  port = g_uri_get_port (uris->data);
  if (write (port_fd, &port, sizeof port) != sizeof port)
    exit (1);
  evp_event_loop_run_forever (loop, &error);
  must (error);
}

/* Client */

static void
event_cb (GSocketClient      *client,
          GSocketClientEvent  event,
          GSocketConnectable *connectable,
          GIOStream          *connection,
          gpointer            user_data)
{
  /* or the first request waits until the server's kernel acknowledges the end of the handshake */
  if (event == G_SOCKET_CLIENT_CONNECTED)
    g_socket_set_option (g_socket_connection_get_socket (G_SOCKET_CONNECTION (connection)),
                         IPPROTO_TCP, TCP_NODELAY, 1, NULL);
}

static void
ask (GIOStream  *stream,
     const char *path)
{
  g_autofree char *text = g_strdup_printf ("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
  g_autoptr (GError) error = NULL;

  g_output_stream_write_all (g_io_stream_get_output_stream (stream), text, strlen (text), NULL, NULL, &error);
  must (error);
}

static char *
answer (GIOStream *stream)
{
  GString *text = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  const char *body, *length;
  char buffer[1024];
  gssize n;

  while (TRUE)
    {
      n = g_input_stream_read (g_io_stream_get_input_stream (stream), buffer, sizeof buffer, NULL, &error);
      must (error);
      if (n == 0)
        {
          fprintf (stderr, "bench-soup-tls: the server has closed a connection\n");
          exit (1);
        }
      g_string_append_len (text, buffer, n);
      body = strstr (text->str, "\r\n\r\n");
      length = strstr (text->str, "Content-Length: ");
      if (body != NULL && length != NULL && strlen (body + 4) >= (gsize) atoi (length + strlen ("Content-Length: ")))
        break;
    }
  if (strncmp (text->str, "HTTP/1.1 200 ", 13) != 0)
    {
      fprintf (stderr, "bench-soup-tls: not an answer: %s\n", text->str);
      exit (1);
    }
  g_string_erase (text, 0, body + 4 - text->str);
  return g_string_free (text, FALSE);
}

static double
server_cpu (GIOStream *stream)
{
  g_autofree char *text = NULL;

  ask (stream, "/cpu");
  text = answer (stream);
  return atof (text);
}

static long
resident_kb (pid_t pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", (int) pid);
  g_autofree char *text = NULL;
  const char *line;

  if (!g_file_get_contents (path, &text, NULL, NULL) || (line = strstr (text, "VmRSS:")) == NULL)
    return 0;
  return atol (line + strlen ("VmRSS:"));
}

int
main (int   argc,
      char *argv[])
{
  g_autoptr (GSocketClient) client = NULL;
  g_autoptr (GPtrArray) streams = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GError) error = NULL;
  struct rlimit limit;
  int fds[2], port;
  double before, after, opened;
  pid_t pid;

  for (int i = 1; i < argc; i++)
    if (sscanf (argv[i], "idle=%d", &idle) != 1 && sscanf (argv[i], "active=%d", &active) != 1
        && sscanf (argv[i], "requests=%d", &requests) != 1 && sscanf (argv[i], "tls=%d", &tls) != 1
        && sscanf (argv[i], "register=%d", &registered) != 1)
      {
        fprintf (stderr, "bench-soup-tls: what is %s?\n", argv[i]);
        return 2;
      }
  if (g_getenv ("EVP_TEST_SLOW") != NULL)
    idle /= 10;
  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < (rlim_t) (idle + active) + 50)
    {
      printf ("soup skipped: %d connections need more descriptors than %lu\n", idle + active, (gulong) limit.rlim_cur);
      return 77;
    }
#ifndef HAVE_GNUTLS
  if (tls)
    {
      printf ("soup skipped: built without GnuTLS\n");
      return 77;
    }
#endif

  if (tls)
    evp_test_tls_database (); /* both processes have the same authority */
  if (pipe (fds) != 0)
    return 1;
  pid = fork ();
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      close (fds[0]);
      serve (fds[1]);
      _exit (0);
    }
  close (fds[1]);
  if (read (fds[0], &port, sizeof port) != sizeof port)
    return 1;

  /* or each connection reads the certificates of the system, which takes longer than all the rest */
  if (tls)
    g_tls_backend_set_default_database (g_tls_backend_get_default (), evp_test_tls_database ());
  client = g_socket_client_new ();
  g_socket_client_set_tls (client, tls);
  g_signal_connect (client, "event", G_CALLBACK (event_cb), NULL);
  opened = 0;
  for (int i = 0; i < idle + active; i++)
    {
      GSocketConnection *connection = g_socket_client_connect_to_host (client, "127.0.0.1", (guint16) port, NULL, &error);
      g_autofree char *text = NULL;

      must (error);
      g_ptr_array_add (streams, connection);
      ask (G_IO_STREAM (connection), "/");
      text = answer (G_IO_STREAM (connection));
    }
  opened = server_cpu (streams->pdata[idle]);

  before = server_cpu (streams->pdata[idle]);
  for (int r = 0; r < requests; r++)
    {
      for (int i = idle; i < idle + active; i++)
        ask (streams->pdata[i], "/");
      for (int i = idle; i < idle + active; i++)
        g_free (answer (streams->pdata[i]));
    }
  after = server_cpu (streams->pdata[idle]);
  printf ("soup idle=%d active=%d requests=%d tls=%d register=%d server_cpu_us_per_request=%.1f "
          "server_cpu_us_per_connection=%.0f server_rss_kb=%ld\n",
          idle, active, requests, tls, registered, (after - before) / ((double) requests * active),
          opened / (idle + active), resident_kb (pid));

  kill (pid, SIGTERM);
  waitpid (pid, NULL, 0);
  return 0;
}
