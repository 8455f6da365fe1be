/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The workloads that are compared with other event loops, on libevp. Beside the common parameters:
 *   rounds=1       one round per turn of the main context, as asyncio does (ready)
 *   budget=US      how long one turn may last, for instrumented runs, in which everything takes longer
 *   selector=NAME  epoll, poll or select
 *   watcher=NAME   pidfd, threaded, safe, fast, multi-loop or glib (children)
 *   start=posix    children started by posix_spawn() and watched, instead of as subprocesses
 *   loop=NAME      selector (the default), proactor, proactor-uring or proactor-gio
 *   variant=NAME   sock: sock_recv(), send at once, and sock_sendall() for what is left (the default);
 *                  into: the same with sock_recv_into(); pure: sock_recv() and sock_sendall() (echo)
 *   blocks=N       read a file of so many blocks that the program makes for itself (file)
 *   requests=N     so many from a client in the program, and then it ends: to see that it works (echo)
 *   warm=1         as many timers have come and gone before, so that their memory is there, as it is in
 *                  programs whose timers are made by themselves (timers)
 */
#include "bench-peer.h"

#include <evp/evp.h>

static EvpAbstractEventLoop *loop;

static EvpAbstractEventLoop *
new_loop (void)
{
  const char *name = param_str ("selector", "");
  const char *kind = param_str ("loop", "selector");
  EvpSelector *selector = NULL;
  EvpAbstractEventLoop *made;

  if (!strncmp (kind, "proactor", 8))
    {
      if (kind[8] == '-')
        g_setenv ("EVP_PROACTOR", kind + 9, TRUE);
      made = evp_proactor_event_loop_new (NULL, NULL);
      CHECK (made != NULL);
      return made;
    }
  if (!strcmp (name, "poll"))
    selector = evp_poll_selector_new ();
  else if (!strcmp (name, "select"))
    selector = evp_select_selector_new ();
  else if (!strcmp (name, "epoll"))
    selector = evp_epoll_selector_new ();
  made = evp_selector_event_loop_new (selector, NULL, NULL);
  g_clear_object (&selector);
  CHECK (made != NULL);
  if (param ("rounds", 0) == 1)
    g_object_set (made, "turn-budget", 0.0, NULL);
  if (param ("budget", 0) > 0)
    g_object_set (made, "turn-budget", (double) param ("budget", 0) / 1e6, NULL);
  return made;
}

static void
run (void)
{
  CHECK (evp_event_loop_run_forever (loop, NULL));
}

/* ---- ready ---- */
static long to_start, to_run;

static void
ready_cb (gpointer data)
{
  ++*(long *) data;
  if (--to_run == 0)
    evp_event_loop_stop (loop);
  if (to_start > 0)
    {
      to_start--;
      evp_event_loop_call_soon (loop, ready_cb, data, NULL, NULL);
    }
}

static void
run_ready (void)
{
  long n = param ("n", 3000000), chains = param ("chains", 1), sum = 0;
  long *ran = xcalloc ((size_t) chains, sizeof *ran);
  struct span t;

  loop = new_loop ();
  to_run = n;
  to_start = n - chains;
  t = span_start ();
  for (long i = 0; i < chains; i++)
    evp_event_loop_call_soon (loop, ready_cb, &ran[i], NULL, NULL);
  run ();
  t = span_end (t);
  for (long i = 0; i < chains; i++)
    sum += ran[i];
  CHECK (sum == n && to_start == 0);
  emit_span ("op", t, (double) n);
}

/* ---- timers ---- */
static void
timer_cb (gpointer data)
{
  if (timer_fired (timer_due (GPOINTER_TO_INT (data))))
    evp_event_loop_stop (loop);
}

static void
insert_timers (EvpTimerHandle **timers,
               const int       *ms,
               long             n)
{
  for (long i = 0; i < n; i++)
    timers[i] = evp_event_loop_call_at (loop, (double) timer_due (ms[i]) / 1e9, timer_cb,
                                        GINT_TO_POINTER (ms[i]), NULL, NULL);
}

static void
run_timers (void)
{
  long n = tcheck.n = param ("n", 1000000);
  bool cancel = !strcmp (param_str ("mode", "fire"), "cancel");
  int *ms = timer_deadlines (n, 500), *order = random_order (n);
  EvpTimerHandle **timers = xcalloc ((size_t) n, sizeof *timers);
  struct span insert, rest;

  loop = new_loop ();
  tcheck.base = now_ns ();
  if (param ("warm", 0))
    {
      insert_timers (timers, ms, n);
      for (long i = 0; i < n; i++)
        evp_timer_handle_cancel (timers[i]);
    }
  /* where the program notes them is not the loop's affair: no page of it is touched for the first time below */
  memset (timers, 0xff, (size_t) n * sizeof *timers);
  tcheck.base = now_ns ();
  insert = span_start ();
  insert_timers (timers, ms, n);
  insert = span_end (insert);
  rest = span_start ();
  if (!cancel)
    {
      run ();
      timer_results (insert, span_end (rest));
      return;
    }
  for (long i = 0; i < n; i++)
    evp_timer_handle_cancel (timers[order[i]]);
  rest = span_end (rest);
  emit ("insert_cpu_ns", (double) insert.cpu / (double) n);
  emit ("cancel_cpu_ns", (double) rest.cpu / (double) n);
}

/* ---- fds ---- */
static void
pipe_cb (int fd, gpointer data)
{
  if (fds_readable (fd))
    evp_event_loop_stop (loop);
}

static void
run_fds (void)
{
  struct span t;

  fds_setup ();
  loop = new_loop ();
  for (int i = 0; i < net.m; i++)
    CHECK (evp_event_loop_add_reader (loop, net.pipes[i][0], pipe_cb, NULL, NULL, NULL));
  t = span_start ();
  fds_start ();
  run ();
  emit_span ("event", span_end (t), (double) net.events);
}

/* ---- threadsafe ---- */
#define POST_BITS (sizeof (gpointer) == 8 ? 48 : 24) /* for the number; the producer is above it */

static void
post_cb (gpointer data)
{
  guint64 packed = GPOINTER_TO_SIZE (data);

  if (post_ran ((int) (packed >> POST_BITS), (long) (packed & ((G_GUINT64_CONSTANT (1) << POST_BITS) - 1))))
    evp_event_loop_stop (loop);
}

static void *
producer (void *arg)
{
  guint64 self = GPOINTER_TO_SIZE (arg);

  for (long i = 0; i < posts.n / posts.producers; i++)
    evp_event_loop_call_soon_threadsafe (loop, post_cb, GSIZE_TO_POINTER (self << POST_BITS | (guint64) i), NULL, NULL);
  return NULL;
}

static void
run_threadsafe (void)
{
  struct span t;

  loop = new_loop ();
  t = span_start ();
  posts_setup (producer);
  run ();
  posts_finish (t);
}

/* ---- echo ---- */
typedef struct
{
  GSocket *socket;
  char *buffer; /* into */
} EchoConn;

static GSocket *echo_listener;
static bool echo_into, echo_pure;

static void echo_next (EchoConn *conn);

static void
echo_close (EchoConn *conn)
{
  g_socket_close (conn->socket, NULL);
  g_object_unref (conn->socket);
  free (conn->buffer);
  free (conn);
}

static void
echo_sent_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  if (evp_event_loop_sock_sendall_finish (loop, result, NULL))
    echo_next (data);
  else
    echo_close (data);
}

/* At once; what the socket does not take is sent when it does. */
static void
echo_answer (EchoConn *conn, const char *data, gsize size, GBytes *whole)
{
  gssize sent = echo_pure ? 0 : g_socket_send (conn->socket, data, size, NULL, NULL);
  GBytes *rest;

  if (sent == (gssize) size)
    {
      echo_next (conn);
      return;
    }
  sent = MAX (sent, 0); /* an error comes again */
  rest = whole != NULL ? g_bytes_new_from_bytes (whole, (gsize) sent, size - (gsize) sent)
                       : g_bytes_new (data + sent, size - (gsize) sent);
  evp_event_loop_sock_sendall_async (loop, conn->socket, rest, NULL, echo_sent_cb, conn);
  g_bytes_unref (rest);
}

static void
echo_received_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  EchoConn *conn = data;
  GBytes *bytes = evp_event_loop_sock_recv_finish (loop, result, NULL);
  gsize size = 0;
  const char *start = bytes != NULL ? g_bytes_get_data (bytes, &size) : NULL;

  if (size > 0)
    echo_answer (conn, start, size, bytes);
  else
    echo_close (conn);
  if (bytes != NULL)
    g_bytes_unref (bytes);
}

static void
echo_received_into_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  EchoConn *conn = data;
  gssize size = evp_event_loop_sock_recv_into_finish (loop, result, NULL);

  if (size > 0)
    echo_answer (conn, conn->buffer, (gsize) size, NULL);
  else
    echo_close (conn);
}

static void
echo_next (EchoConn *conn)
{
  if (echo_into)
    evp_event_loop_sock_recv_into_async (loop, conn->socket, conn->buffer, ECHO_BUF, NULL,
                                         echo_received_into_cb, conn);
  else
    evp_event_loop_sock_recv_async (loop, conn->socket, ECHO_BUF, NULL, echo_received_cb, conn);
}

static void
echo_accepted_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  GSocket *socket = evp_event_loop_sock_accept_finish (loop, result, NULL);
  EchoConn *conn;

  CHECK (socket != NULL);
  conn = xcalloc (1, sizeof *conn);
  conn->socket = socket;
  if (echo_into)
    conn->buffer = xcalloc (1, ECHO_BUF);
  set_nodelay (g_socket_get_fd (socket));
  echo_next (conn);
  evp_event_loop_sock_accept_async (loop, echo_listener, NULL, echo_accepted_cb, NULL);
}

/* A client of its own, to see that the server works. */
static void
echo_stop_cb (gpointer data)
{
  evp_event_loop_stop (loop);
}

static void *
echo_client (void *arg)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (INADDR_LOOPBACK),
                                 .sin_port = htons ((uint16_t) GPOINTER_TO_INT (arg)) };
  long left = param ("requests", 0), size = param ("size", 64);
  char *out = xcalloc (1, (size_t) size), *in = xcalloc (1, (size_t) size);
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  CHECK (connect (fd, (struct sockaddr *) &address, sizeof address) == 0);
  for (; left > 0; left--)
    {
      memset (out, (int) left, (size_t) size);
      CHECK (send (fd, out, (size_t) size, MSG_NOSIGNAL) == size);
      CHECK (recv (fd, in, (size_t) size, MSG_WAITALL) == size && memcmp (in, out, (size_t) size) == 0);
    }
  close (fd);
  evp_event_loop_call_soon_threadsafe (loop, echo_stop_cb, NULL, NULL, NULL);
  return NULL;
}

static void
run_echo (void)
{
  const char *variant = param_str ("variant", "sock");
  int port, fd = echo_listen (&port);
  pthread_t client;

  echo_into = !strcmp (variant, "into");
  echo_pure = !strcmp (variant, "pure");
  CHECK (echo_into || echo_pure || !strcmp (variant, "sock"));
  loop = new_loop ();
  echo_listener = g_socket_new_from_fd (fd, NULL);
  CHECK (echo_listener != NULL);
  g_socket_set_blocking (echo_listener, FALSE);
  evp_event_loop_sock_accept_async (loop, echo_listener, NULL, echo_accepted_cb, NULL);
  echo_ready (port);
  if (param ("requests", 0) <= 0)
    {
      run (); /* until a signal ends the process */
      return;
    }
  CHECK (pthread_create (&client, NULL, echo_client, GINT_TO_POINTER (port)) == 0);
  run ();
  CHECK (pthread_join (client, NULL) == 0);
}

/* ---- children ---- */
static EvpAbstractChildWatcher *watcher;
static bool by_posix_spawn;
static EvpSubprocessOptions *options;

static void kid_start (bool stays);

static void
kid_ended (int returncode)
{
  int next = kid_exited (returncode);

  if (next < 0)
    evp_event_loop_stop (loop);
  if (next > 0)
    {
      kids.spawned++;
      kid_start (false);
    }
}

static void
kid_cb (GPid pid, int returncode, gpointer data)
{
  if (GPOINTER_TO_INT (data) == 0)
    kid_ended (returncode);
}

static void
kid_exited_cb (EvpSubprocess *process, int returncode, gpointer data)
{
  kid_ended (returncode);
  g_object_unref (process);
}

static void
kid_started_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  EvpSubprocess *process = evp_event_loop_subprocess_exec_finish (loop, result, NULL);

  CHECK (process != NULL);
  if (GPOINTER_TO_INT (data) == 0)
    {
      if (evp_subprocess_get_returncode (process) != EVP_RETURNCODE_NONE)
        kid_exited_cb (process, evp_subprocess_get_returncode (process), NULL);
      else
        g_signal_connect (process, "exited", G_CALLBACK (kid_exited_cb), NULL);
    }
}

static void
kid_start (bool stays)
{
  if (by_posix_spawn)
    {
      pid_t pid;

      evp_child_watcher_enter (watcher);
      pid = kids_posix_spawn (stays);
      CHECK (evp_child_watcher_add_child_handler (watcher, pid, kid_cb, GINT_TO_POINTER (stays), NULL, NULL));
      evp_child_watcher_exit (watcher);
      if (stays)
        kids.pids[kids.spawned++] = pid;
    }
  else
    {
      const char *argv[] = { kids_path (stays), NULL };
      uint64_t t = thread_cpu_ns ();

      evp_event_loop_subprocess_exec_async (loop, argv, options, NULL, kid_started_cb, GINT_TO_POINTER (stays));
      kids.spawn_cpu += thread_cpu_ns () - t;
    }
}

static struct span kids_span;

static void
kids_begin_cb (gpointer data)
{
  /* inside the loop, because some watchers want a running one */
  for (long i = 0; i < kids.live; i++)
    {
      bool posix = by_posix_spawn;

      by_posix_spawn = true;
      kids.spawned = i;
      kid_start (true);
      by_posix_spawn = posix;
    }
  kids.spawned = 0;
  kids.spawn_cpu = 0;
  kids_span = span_start ();
  while (kids.spawned < kids.spawn && kids.spawned < kids.conc)
    {
      kids.spawned++;
      kid_start (false);
    }
}

static void
run_children (void)
{
  const char *name = param_str ("watcher", "");

  kids_setup ();
  by_posix_spawn = !strcmp (param_str ("start", ""), "posix");
  loop = new_loop ();
  if (!strcmp (name, "threaded"))
    watcher = evp_threaded_child_watcher_new ();
  else if (!strcmp (name, "safe"))
    watcher = evp_safe_child_watcher_new ();
  else if (!strcmp (name, "fast"))
    watcher = evp_fast_child_watcher_new ();
  else if (!strcmp (name, "multi-loop"))
    watcher = evp_multi_loop_child_watcher_new ();
  else if (!strcmp (name, "glib"))
    watcher = evp_glib_child_watcher_new ();
  else
    watcher = evp_pidfd_child_watcher_new ();
  options = evp_subprocess_options_new ();
  evp_subprocess_options_set_child_watcher (options, watcher);
  CHECK (evp_child_watcher_attach_loop (watcher, loop, NULL));
  evp_event_loop_call_soon (loop, kids_begin_cb, NULL, NULL, NULL);
  run ();
  kids_span = span_end (kids_span);
  /* the ones that stay are killed by the harness and must not be reported as lost */
  for (long i = 0; i < kids.live; i++)
    evp_child_watcher_remove_child_handler (watcher, kids.pids[i]);
  kids_results (kids_span);
}

/* ---- loop ---- */
static void
use_cb (gpointer data)
{
  ++*(long *) data;
  evp_event_loop_stop (loop);
}

static void
run_loop (void)
{
  long n = param ("n", 5000), use = param ("use", 0), ran = 0;
  struct span t = span_start ();

  for (long i = 0; i < n; i++)
    {
      loop = new_loop ();
      if (use)
        {
          evp_event_loop_call_soon (loop, use_cb, &ran, NULL, NULL);
          run ();
        }
      CHECK (evp_event_loop_close (loop, NULL));
      g_object_unref (loop);
    }
  t = span_end (t);
  CHECK (ran == (use ? n : 0));
  emit_span ("loop", t, (double) n);
}

/* Reads of a file: on a loop with a proactor, whatever else was asked for. */
typedef struct
{
  uint64_t block;
  char buffer[BLOCK];
} Slot;

static int file_fd;

static void read_cb (GObject *source, GAsyncResult *result, gpointer data);

static void
start_read (Slot *slot)
{
  slot->block = files_next ();
  evp_proactor_event_loop_read_into_async ((EvpProactorEventLoop *) loop, file_fd, slot->buffer, BLOCK,
                                           (gint64) slot->block * BLOCK, NULL, read_cb, slot);
}

static void
read_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Slot *slot = data;
  gssize n = evp_proactor_event_loop_read_into_finish ((EvpProactorEventLoop *) source, result, NULL);

  if (files_read (slot->buffer, n, slot->block))
    start_read (slot);
  else if (files.finished == files.reads)
    evp_event_loop_stop (loop);
}

static void
make_file (const char *path, long blocks)
{
  char block[BLOCK] = "";
  int fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  CHECK (fd >= 0);
  for (uint64_t i = 0; i < (uint64_t) blocks; i++)
    {
      memcpy (block, &i, sizeof i);
      CHECK (write (fd, block, BLOCK) == BLOCK);
    }
  close (fd);
}

static void
run_file (void)
{
  char *made = NULL;
  struct span t;
  Slot *slots;

  if (param ("blocks", 0) > 0)
    {
      made = g_build_filename (g_get_tmp_dir (), "bench-evp-XXXXXX", NULL);
      file_fd = g_mkstemp (made);
      CHECK (file_fd >= 0);
      close (file_fd);
      make_file (made, param ("blocks", 0));
    }
  /* the last one counts */
  if (made != NULL)
    {
      char **argv = g_new0 (char *, bench_argc + 2);

      for (int i = 0; i < bench_argc; i++)
        argv[i] = bench_argv[i];
      argv[bench_argc++] = g_strconcat ("path=", made, NULL);
      bench_argv = argv;
    }
  files_setup ();
  file_fd = open (files.path, O_RDONLY | O_CLOEXEC);
  CHECK (file_fd >= 0);
  if (made != NULL)
    unlink (made);
  if (!strncmp (param_str ("loop", "proactor"), "proactor-", 9))
    g_setenv ("EVP_PROACTOR", param_str ("loop", NULL) + 9, TRUE);
  loop = evp_proactor_event_loop_new (NULL, NULL);
  CHECK (loop != NULL);
  slots = xcalloc ((size_t) files.depth, sizeof *slots);

  t = span_start ();
  for (long i = 0; i < files.depth; i++)
    start_read (&slots[i]);
  run ();
  files_results (span_end (t));

  CHECK (evp_event_loop_close (loop, NULL));
  g_object_unref (loop);
  free (slots);
  close (file_fd);
}

int
main (int argc, char **argv)
{
  static const struct workload all[] = {
    { "ready", run_ready }, { "timers", run_timers }, { "fds", run_fds }, { "threadsafe", run_threadsafe },
    { "echo", run_echo }, { "children", run_children }, { "loop", run_loop },
    { "file", run_file }, { NULL, NULL } };
  return bench_main ("evp", all, argc, argv);
}
