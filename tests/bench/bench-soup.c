/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a request costs a libsoup server beside keep-alive connections that do nothing. HTTP/1.1, the client is a
 * thread with plain sockets. Ends with status 77 if there cannot be as many connections.
 *
 *   loop=NAME      selector or proactor of this library, or glib: a GMainLoop
 *   register=0     connections are GIO's own
 *   idle=N         connections that have made one request, and stay; a tenth where everything is slow (EVP_TEST_SLOW)
 *   active=N       connections that make requests
 *   n=N            requests in all
 */
#include "bench-peer.h"

#include <evp/evp.h>
#include <libsoup/soup.h>

#define BODY "hello, world\n"

static EvpAbstractEventLoop *loop;
static GMainContext *context;
static GMainLoop *main_loop;
static clockid_t server_clock;
static guint port;
static long n_handled;

static long
idle_wanted (void)
{
  return param ("idle", 100) / (getenv ("EVP_TEST_SLOW") != NULL ? 10 : 1);
}

static void
handler_cb (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  n_handled++;
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_STATIC, BODY, strlen (BODY));
}

static void
put (int fd)
{
  static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

  CHECK (send (fd, request, sizeof request - 1, MSG_NOSIGNAL) == sizeof request - 1);
}

/* A whole answer, which must be the right one. */
static void
get (int fd)
{
  char answer[2048];
  size_t have = 0;

  for (;;)
    {
      ssize_t n = recv (fd, answer + have, sizeof answer - 1 - have, 0);

      CHECK (n > 0);
      have += (size_t) n;
      answer[have] = '\0';
      if (have >= strlen (BODY) && !strcmp (answer + have - strlen (BODY), BODY))
        break;
      CHECK (have < sizeof answer - 1);
    }
  CHECK (!strncmp (answer, "HTTP/1.1 200 ", 13));
}

static int
connect_one (void)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK),
                                 .sin_port = htons ((uint16_t) port) };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  CHECK (fd >= 0 && connect (fd, (struct sockaddr *) &address, sizeof address) == 0);
  set_nodelay (fd);
  return fd;
}

/* A few at a time: the server's backlog is short, and each turn of its main context looks at all that there are. */
static int *
connect_all (long n)
{
  int *fds = xcalloc ((size_t) n + 1, sizeof *fds);

  for (long i = 0, next; i < n; i = next)
    {
      next = MIN (i + 8, n);
      for (long k = i; k < next; k++)
        fds[k] = connect_one ();
      for (long k = i; k < next; k++)
        put (fds[k]);
      for (long k = i; k < next; k++)
        get (fds[k]);
    }
  return fds;
}

static uint64_t
server_cpu_ns (void)
{
  struct timespec t;

  CHECK (clock_gettime (server_clock, &t) == 0);
  return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

/* How many descriptors the main context polls; in its thread. */
static gboolean
count_cb (gpointer data)
{
  int timeout, n = g_main_context_query (context, G_MAXINT, &timeout, NULL, 0);

  __atomic_store_n ((int *) data, n, __ATOMIC_RELEASE);
  return FALSE;
}

static gboolean
stop_cb (gpointer data)
{
  if (loop != NULL)
    evp_event_loop_stop (loop);
  else
    g_main_loop_quit (main_loop);
  return FALSE;
}

/* Where there is no io_uring the proactor has a source of GIO's for each socket that waits. */
static gboolean
polls_by_gio (void)
{
  return EVP_IS_PROACTOR_EVENT_LOOP (loop)
         && EVP_IS_GIO_PROACTOR (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (loop)));
}

static gpointer
client (gpointer data)
{
  long n_idle = idle_wanted (), n_active = param ("active", 10), n = param ("n", 20000), done = 0;
  int *idle = connect_all (n_idle), *active = connect_all (n_active);
  int polled = 0;
  uint64_t cpu;

  cpu = server_cpu_ns ();
  while (done < n)
    {
      for (long i = 0; i < n_active; i++)
        put (active[i]);
      for (long i = 0; i < n_active; i++)
        get (active[i]);
      done += n_active;
    }
  cpu = server_cpu_ns () - cpu;

  /* the others are as alive as they were */
  for (long i = 0; i < n_idle; i += 10)
    put (idle[i]);
  for (long i = 0; i < n_idle; i += 10)
    get (idle[i]);
  g_main_context_invoke (context, count_cb, &polled);
  while (__atomic_load_n (&polled, __ATOMIC_ACQUIRE) == 0)
    g_thread_yield ();
  emit ("polled_fds", polled);
  if (loop != NULL && param ("register", 1) && !polls_by_gio ())
    CHECK (polled < 20);
  else
    CHECK (polled > n_idle);
  emit ("cpu_ns_per_request", (double) cpu / (double) done);

  for (long i = 0; i < n_idle; i++)
    close (idle[i]);
  for (long i = 0; i < n_active; i++)
    close (active[i]);
  free (idle);
  free (active);
  g_main_context_invoke (context, stop_cb, NULL);
  return NULL;
}

static void
run_soup (void)
{
  const char *which = param_str ("loop", "selector");
  struct rlimit limit;
  SoupServer *server;
  GSList *uris;
  GThread *thread;

  CHECK (getrlimit (RLIMIT_NOFILE, &limit) == 0);
  if (limit.rlim_cur < (rlim_t) (2 * (idle_wanted () + param ("active", 10)) + 100))
    {
      printf ("1..0 # SKIP no more than %lu open files are allowed here\n", (unsigned long) limit.rlim_cur);
      exit (UNSUPPORTED);
    }

  /*
   * The main context looks at thousands of sources in each turn, and libsoup has some for each connection: a busy
   * machine takes its time for that. As a test it has a limit of its own.
   */
  alarm (1000);
  context = g_main_context_new ();
  if (!strcmp (which, "selector"))
    loop = evp_selector_event_loop_new (NULL, context, NULL);
  else if (!strcmp (which, "proactor"))
    loop = evp_proactor_event_loop_new (context, NULL);
  CHECK (loop != NULL || !strcmp (which, "glib"));
  if (param ("register", 1))
    CHECK (evp_socket_connection_register (NULL));

  g_main_context_push_thread_default (context);
  server = soup_server_new (NULL, NULL);
  soup_server_add_handler (server, NULL, handler_cb, NULL, NULL);
  CHECK (soup_server_listen_local (server, 0, SOUP_SERVER_LISTEN_IPV4_ONLY, NULL));
  uris = soup_server_get_uris (server);
  port = (guint) g_uri_get_port (uris->data);
  g_slist_free_full (uris, (GDestroyNotify) g_uri_unref);
  CHECK (pthread_getcpuclockid (pthread_self (), &server_clock) == 0);

  thread = g_thread_new ("client", client, NULL);
  if (loop != NULL)
    {
      g_main_context_pop_thread_default (context);
      CHECK (evp_event_loop_run_forever (loop, NULL));
      g_main_context_push_thread_default (context);
    }
  else
    {
      main_loop = g_main_loop_new (context, FALSE);
      g_main_loop_run (main_loop);
      g_main_loop_unref (main_loop);
    }
  g_thread_join (thread);
  CHECK (n_handled >= param ("n", 20000) + idle_wanted () + param ("active", 10));

  soup_server_disconnect (server);
  g_object_unref (server);
  g_main_context_pop_thread_default (context);
  if (loop != NULL)
    {
      CHECK (evp_event_loop_close (loop, NULL));
      g_object_unref (loop);
    }
}

int
main (int argc, char **argv)
{
  static const struct workload all[] = { { "soup", run_soup }, { NULL, NULL } };
  return bench_main ("evp-soup", all, argc, argv);
}
