/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-bench-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * What loops do: callbacks, timers, descriptors, posts from other threads. Each is written twice, for a loop
 * of libevp and for GLib's main loop as programs use it.
 */

#define N_CHAINS 10
#define N_ACTIVE 8
#define N_PIPES 16
#define TIMER_SPAN_MS 20

static EvpAbstractEventLoop *
new_selector_loop (EvpSelector *selector,
                   GError     **error)
{
  g_autoptr (EvpSelector) owned = selector;

  return selector != NULL ? evp_selector_event_loop_new (selector, NULL, error) : NULL;
}

#ifdef HAVE_SYS_EPOLL_H
static EvpAbstractEventLoop *
new_epoll_loop (GError **error)
{
  return new_selector_loop (evp_epoll_selector_new (), error);
}
#endif

#ifdef HAVE_SYS_EVENT_H
static EvpAbstractEventLoop *
new_kqueue_loop (GError **error)
{
  return new_selector_loop (evp_kqueue_selector_new (), error);
}
#endif

static EvpAbstractEventLoop *
new_poll_loop (GError **error)
{
  return new_selector_loop (evp_poll_selector_new (), error);
}

static EvpAbstractEventLoop *
new_select_loop (GError **error)
{
  return new_selector_loop (evp_select_selector_new (), error);
}

static EvpAbstractEventLoop *
new_proactor_loop (EvpProactor *proactor)
{
  g_autoptr (EvpProactor) owned = proactor;

  return proactor != NULL ? g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL) : NULL;
}

static EvpAbstractEventLoop *
new_uring_loop (GError **error)
{
  return new_proactor_loop (evp_uring_proactor_new (error));
}

static EvpAbstractEventLoop *
new_gio_loop (GError **error)
{
  return new_proactor_loop (evp_gio_proactor_new ());
}

const EvpToolBenchSubject evp_tool_bench_any_loop[] = {
  { "GMainLoop", NULL, NULL },
#ifdef HAVE_SYS_EPOLL_H
  { "EvpEpollSelector", new_epoll_loop, NULL },
#endif
#ifdef HAVE_SYS_EVENT_H
  { "EvpKqueueSelector", new_kqueue_loop, NULL },
#endif
  { "EvpPollSelector", new_poll_loop, NULL },
  { "EvpSelectSelector", new_select_loop, NULL },
  { "EvpUringProactor", new_uring_loop, NULL },
  { "EvpGioProactor", new_gio_loop, NULL },
  { NULL },
};

const EvpToolBenchSubject evp_tool_bench_proactors[] = {
  { "GFileInputStream", NULL, NULL },
  { "EvpUringProactor", new_uring_loop, NULL },
  { "EvpGioProactor", new_gio_loop, NULL },
  { NULL },
};

typedef struct
{
  const EvpToolBenchSubject *subject;
  EvpAbstractEventLoop *loop; /* or these two */
  GMainContext *context;
  GMainLoop *main_loop;
  guint64 to_start, to_finish;
  GError *error;

  int pipes[N_PIPES][2]; /* descriptors */
  GPtrArray *sources;    /* of GLib's; owned */
  guint next_pipe;
  gboolean filled;

  GThread *producer; /* posts */
} Loop;

static void
loop_free (gpointer data)
{
  Loop *self = data;

  if (self->sources != NULL)
    for (guint i = 0; i < self->sources->len; i++)
      g_source_destroy (g_ptr_array_index (self->sources, i));
  g_clear_pointer (&self->sources, g_ptr_array_unref);
  if (self->loop != NULL)
    evp_event_loop_close (self->loop, NULL);
  g_clear_object (&self->loop);
  g_clear_pointer (&self->main_loop, g_main_loop_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  for (guint i = 0; i < N_PIPES; i++)
    for (guint j = 0; j < 2; j++)
      if (self->pipes[i][j] > 0)
        close (self->pipes[i][j]);
  g_clear_error (&self->error);
  g_free (self);
}

static gpointer
loop_new (const EvpToolBenchSubject *subject,
          GError                   **error)
{
  Loop *self = g_new0 (Loop, 1);

  self->subject = subject;
  if (subject->new_loop != NULL)
    {
      self->loop = subject->new_loop (error);
      if (self->loop == NULL)
        g_clear_pointer (&self, loop_free);
      return self;
    }
  self->context = g_main_context_new ();
  self->main_loop = g_main_loop_new (self->context, FALSE);
  self->sources = g_ptr_array_new_with_free_func ((GDestroyNotify) g_source_unref);
  return self;
}

static gboolean
loop_run (Loop             *self,
          EvpToolBenchCost *cost,
          GError          **error)
{
  gboolean ran = TRUE;

  if (cost != NULL)
    evp_tool_bench_start (cost);
  if (self->loop != NULL)
    ran = evp_event_loop_run_forever (self->loop, error);
  else
    g_main_loop_run (self->main_loop);
  if (cost != NULL)
    evp_tool_bench_stop (cost);
  if (ran && self->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&self->error));
      ran = FALSE;
    }
  return ran;
}

static void
loop_stop (Loop *self)
{
  if (self->loop != NULL)
    evp_event_loop_stop (self->loop);
  else
    g_main_loop_quit (self->main_loop);
}

static void
loop_add_source (Loop       *self,
                 GSource    *source,
                 GSourceFunc callback,
                 gpointer    data)
{
  g_source_set_callback (source, callback, data, NULL);
  g_source_attach (source, self->context);
  g_source_unref (source);
}

/* Callbacks that each ask for the next */

static gboolean ready_source_cb (gpointer data);

static void
ready_cb (gpointer data)
{
  Loop *self = data;

  if (--self->to_finish == 0)
    loop_stop (self);
  if (self->to_start == 0)
    return;
  self->to_start--;
  if (self->loop != NULL)
    {
      evp_event_loop_call_soon (self->loop, ready_cb, self, NULL, NULL);
      return;
    }
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  loop_add_source (self, source, ready_source_cb, self);
}

static gboolean
ready_source_cb (gpointer data)
{
  ready_cb (data);
  return G_SOURCE_REMOVE;
}

static gboolean
ready_run (gpointer          state,
           guint64           n,
           EvpToolBenchCost *cost,
           GError          **error)
{
  Loop *self = state;

  self->to_finish = n + N_CHAINS;
  self->to_start = n;
  /* the first ones only start the chains: they count, but there are few of them */
  for (guint i = 0; i < N_CHAINS; i++)
    {
      if (self->loop != NULL)
        evp_event_loop_call_soon (self->loop, ready_cb, self, NULL, NULL);
      else
        loop_add_source (self, g_idle_source_new (), ready_source_cb, self);
    }
  return loop_run (self, cost, error);
}

const EvpToolBenchWorkload evp_tool_bench_ready = {
  "ready", N_("Callbacks that are ready"), N_("a callback"), NULL, { 0 }, 0, 1,
  evp_tool_bench_any_loop, 1000, 0, NULL, NULL, loop_new, ready_run, loop_free,
};

/* Timers: made, waited for, run */

static void
timer_cb (gpointer data)
{
  Loop *self = data;

  if (--self->to_finish == 0)
    loop_stop (self);
}

static gboolean
timer_source_cb (gpointer data)
{
  timer_cb (data);
  return G_SOURCE_REMOVE;
}

static gboolean
timers_run (gpointer          state,
            guint64           n,
            EvpToolBenchCost *cost,
            GError          **error)
{
  Loop *self = state;
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);

  self->to_finish = n;
  evp_tool_bench_start (cost);
  for (guint64 i = 0; i < n; i++)
    {
      guint ms = (guint) g_rand_int_range (rand, 0, TIMER_SPAN_MS);

      if (self->loop != NULL)
        evp_event_loop_call_later (self->loop, ms / 1e3, timer_cb, self, NULL, NULL);
      else
        loop_add_source (self, g_timeout_source_new (ms), timer_source_cb, self);
    }
  if (!loop_run (self, NULL, error))
    return FALSE;
  evp_tool_bench_stop (cost);
  return TRUE;
}

const EvpToolBenchWorkload evp_tool_bench_timers = {
  "timers", N_("Timers"), N_("a timer, made and run"), NULL, { 0 }, 0, 1,
  evp_tool_bench_any_loop, 100, 5000, NULL, NULL, loop_new, timers_run, loop_free,
};

/* Descriptors: a byte goes from pipe to pipe, beside others where nothing happens */

static GArray *idle_fds; /* of int */

static gboolean
pipe_event (Loop *self,
            int   fd)
{
  char byte;

  if (self->to_finish == 0)
    return FALSE; /* what is ready still waits for the next run */
  if (read (fd, &byte, 1) != 1)
    return FALSE;
  self->next_pipe = (self->next_pipe + 7) % N_PIPES;
  if (write (self->pipes[self->next_pipe][1], &byte, 1) != 1 && self->error == NULL)
    g_set_error_literal (&self->error, G_IO_ERROR, g_io_error_from_errno (errno), g_strerror (errno));
  if (--self->to_finish == 0)
    loop_stop (self);
  return TRUE;
}

static void
pipe_cb (int      fd,
         gpointer data)
{
  pipe_event (data, fd);
}

static gboolean
pipe_source_cb (int          fd,
                GIOCondition condition,
                gpointer     data)
{
  pipe_event (data, fd);
  return G_SOURCE_CONTINUE;
}

static gboolean
watch (Loop    *self,
       int      fd,
       GError **error)
{
  GSource *source;

  if (self->loop != NULL)
    return evp_event_loop_add_reader (self->loop, fd, pipe_cb, self, NULL, error);
  source = g_unix_fd_source_new (fd, G_IO_IN);
  g_source_set_callback (source, G_SOURCE_FUNC (pipe_source_cb), self, NULL);
  g_source_attach (source, self->context);
  g_ptr_array_add (self->sources, source);
  return TRUE;
}

static gboolean
descriptors_fill (Loop    *self,
                  GError **error)
{
  for (guint i = 0; i < N_PIPES; i++)
    if (!g_unix_open_pipe (self->pipes[i], FD_CLOEXEC, error)
        || !g_unix_set_fd_nonblocking (self->pipes[i][0], TRUE, error)
        || !watch (self, self->pipes[i][0], error))
      return FALSE;
  for (guint i = 0; i < idle_fds->len; i++)
    if (!watch (self, g_array_index (idle_fds, int, i), error))
      return FALSE;
  for (guint i = 0; i < N_ACTIVE; i++)
    if (write (self->pipes[i][1], "x", 1) != 1)
      {
        g_set_error_literal (error, G_IO_ERROR, g_io_error_from_errno (errno), g_strerror (errno));
        return FALSE;
      }
  return TRUE;
}

static gpointer
descriptors_set_up (const EvpToolBenchSubject *subject,
                    GError                   **error)
{
  Loop *self = loop_new (subject, error);

  if (self != NULL && !descriptors_fill (self, error))
    g_clear_pointer (&self, loop_free);
  return self;
}

static guint
descriptors_begin (guint load)
{
  guint possible = evp_tool_bench_count_free_fds ();
  int fds[2];

  /* a loop needs some itself */
  possible = possible > 100 ? possible - 100 : 0;
  idle_fds = g_array_new (FALSE, FALSE, sizeof (int));
  while (idle_fds->len < MIN (load, possible) && socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0)
    g_array_append_vals (idle_fds, fds, 2);
  return idle_fds->len;
}

static void
descriptors_end (void)
{
  for (guint i = 0; i < idle_fds->len; i++)
    close (g_array_index (idle_fds, int, i));
  g_clear_pointer (&idle_fds, g_array_unref);
}

static gboolean
descriptors_run (gpointer          state,
                 guint64           n,
                 EvpToolBenchCost *cost,
                 GError          **error)
{
  Loop *self = state;

  self->to_finish = n;
  return loop_run (self, cost, error);
}

const EvpToolBenchWorkload evp_tool_bench_descriptors = {
  "descriptors", N_("Descriptors that become ready"), N_("a wake-up"), N_("idle descriptors"), { 0, 1000, 5000 }, 50, 3,
  evp_tool_bench_any_loop, 200, 0,
  descriptors_begin, descriptors_end, descriptors_set_up, descriptors_run, loop_free,
};

/* Posts from another thread */

static gboolean
post_source_cb (gpointer data)
{
  timer_cb (data);
  return G_SOURCE_REMOVE;
}

static gpointer
producer_main (gpointer data)
{
  Loop *self = data;

  for (guint64 i = 0; i < self->to_start; i++)
    {
      if (self->loop != NULL)
        evp_event_loop_call_soon_threadsafe (self->loop, timer_cb, self, NULL, NULL);
      else
        g_main_context_invoke_full (self->context, G_PRIORITY_DEFAULT, post_source_cb, self, NULL);
    }
  return NULL;
}

static void
start_producer (Loop *self)
{
  self->producer = g_thread_try_new ("evp bench", producer_main, self, &self->error);
  if (self->producer == NULL)
    loop_stop (self);
}

static void
start_producer_cb (gpointer data)
{
  start_producer (data);
}

static gboolean
start_producer_source_cb (gpointer data)
{
  start_producer (data);
  return G_SOURCE_REMOVE;
}

static gboolean
posts_run (gpointer          state,
           guint64           n,
           EvpToolBenchCost *cost,
           GError          **error)
{
  Loop *self = state;
  gboolean ran;

  self->to_start = self->to_finish = n;
  evp_tool_bench_start (cost);
  /* only when the loop runs: a context that nobody owns runs what it is given in the thread that gives it */
  if (self->loop != NULL)
    evp_event_loop_call_soon (self->loop, start_producer_cb, self, NULL, NULL);
  else
    loop_add_source (self, g_idle_source_new (), start_producer_source_cb, self);
  ran = loop_run (self, NULL, error);
  if (self->producer != NULL)
    g_thread_join (g_steal_pointer (&self->producer));
  evp_tool_bench_stop (cost);
  return ran;
}

const EvpToolBenchWorkload evp_tool_bench_posts = {
  "posts", N_("Callbacks from another thread"), N_("a callback"), NULL, { 0 }, 0, 1,
  evp_tool_bench_any_loop, 1000, 0, NULL, NULL, loop_new, posts_run, loop_free,
};

/* Loops made and closed */

static gpointer
loops_set_up (const EvpToolBenchSubject *subject,
              GError                   **error)
{
  /* whether there can be one at all */
  Loop *first = loop_new (subject, error);

  if (first == NULL)
    return NULL;
  loop_free (first);
  return (gpointer) subject;
}

static void
loops_tear_down (gpointer state)
{
}

static gboolean
loops_run (gpointer          state,
           guint64           n,
           EvpToolBenchCost *cost,
           GError          **error)
{
  evp_tool_bench_start (cost);
  for (guint64 i = 0; i < n; i++)
    {
      Loop *self = loop_new (state, error);

      if (self == NULL)
        return FALSE;
      loop_free (self);
    }
  evp_tool_bench_stop (cost);
  return TRUE;
}

const EvpToolBenchWorkload evp_tool_bench_loops = {
  "loops", N_("Loops"), N_("a loop, made and closed"), NULL, { 0 }, 0, 1,
  evp_tool_bench_any_loop, 10, 0, NULL, NULL, loops_set_up, loops_run, loops_tear_down,
};
