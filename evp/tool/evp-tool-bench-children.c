/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-bench-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * Children that end at once, beside others that live and are watched as well. What starting them costs is the
 * same for every watcher, and left out.
 */

#define CONCURRENCY 10

static GArray *living; /* of GPid */
static int living_fd = -1; /* those read from its other end: however we end, they do, too */

static EvpAbstractEventLoop *
new_loop (GError **error)
{
  return evp_selector_event_loop_new (NULL, NULL, error);
}

static const EvpToolBenchSubject watchers[] = {
  { "GMainLoop", NULL, NULL },
  { "EvpPidfdChildWatcher", new_loop, evp_pidfd_child_watcher_new },
  { "EvpThreadedChildWatcher", new_loop, evp_threaded_child_watcher_new },
  { "EvpSafeChildWatcher", new_loop, evp_safe_child_watcher_new },
  { "EvpFastChildWatcher", new_loop, evp_fast_child_watcher_new },
  { "EvpMultiLoopChildWatcher", new_loop, evp_multi_loop_child_watcher_new },
  { "EvpGLibChildWatcher", new_loop, evp_glib_child_watcher_new },
  { NULL },
};

typedef struct
{
  EvpAbstractEventLoop *loop; /* or the two of GLib */
  EvpAbstractChildWatcher *watcher;
  GMainContext *context;
  GMainLoop *main_loop;
  GPtrArray *sources; /* of GLib's, for those that live; owned */
  guint64 to_start, to_finish;
  guint n_running;
  double spawn_cpu; /* ns */
  GError *error;
} Children;

static void
children_stop (Children *self)
{
  if (self->loop != NULL)
    evp_event_loop_stop (self->loop);
  else
    g_main_loop_quit (self->main_loop);
}

/* A group of its own: Ctrl-C is for us. */
static GPid
spawn (const char *program,
       int         stdin_fd,
       int        *error_number)
{
  char *argv[] = { (char *) program, NULL };
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, usual;
  pid_t pid;

  sigemptyset (&none);
  sigemptyset (&usual);
  sigaddset (&usual, SIGPIPE);
  sigaddset (&usual, SIGXFSZ);
  posix_spawn_file_actions_init (&actions);
  if (stdin_fd >= 0)
    posix_spawn_file_actions_adddup2 (&actions, stdin_fd, STDIN_FILENO);
  posix_spawn_file_actions_addopen (&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_init (&attributes);
  posix_spawnattr_setpgroup (&attributes, 0);
  posix_spawnattr_setsigmask (&attributes, &none);
  posix_spawnattr_setsigdefault (&attributes, &usual);
  posix_spawnattr_setflags (&attributes,
                            POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  *error_number = posix_spawnp (&pid, program, &actions, &attributes, argv, environ);
  posix_spawnattr_destroy (&attributes);
  posix_spawn_file_actions_destroy (&actions);
  return *error_number == 0 ? pid : -1;
}

/* Those that live */

static void
children_end (void)
{
  if (living_fd >= 0)
    close (living_fd);
  living_fd = -1;
  for (guint i = 0; living != NULL && i < living->len; i++)
    while (waitpid (g_array_index (living, GPid, i), NULL, 0) < 0 && errno == EINTR)
      continue;
  g_clear_pointer (&living, g_array_unref);
}

static guint
children_begin (guint load)
{
  /* two for each, because a watcher may need as many */
  guint possible = evp_tool_bench_count_free_fds () / 2;
  int fds[2], error_number;

  living = g_array_new (FALSE, FALSE, sizeof (GPid));
  possible = possible > 100 ? possible - 100 : 0;
  if (load == 0 || !g_unix_open_pipe (fds, FD_CLOEXEC, NULL))
    return 0;
  living_fd = fds[1];
  while (living->len < MIN (load, possible))
    {
      GPid pid = spawn ("cat", fds[0], &error_number);

      if (pid < 0)
        break;
      g_array_append_val (living, pid);
    }
  close (fds[0]);
  return living->len;
}

static void
living_ended_cb (GPid     pid,
                 int      status,
                 gpointer data)
{
  /* somebody else has ended it: nothing that is measured */
}

static void
children_fail (Children *self,
               GError   *error)
{
  if (self->error == NULL)
    self->error = error;
  else
    g_error_free (error);
  children_stop (self);
}

static void
watch_living_cb (gpointer data)
{
  Children *self = data;
  GError *error = NULL;

  evp_child_watcher_enter (self->watcher);
  for (guint i = 0; i < living->len && error == NULL; i++)
    evp_child_watcher_add_child_handler (self->watcher, g_array_index (living, GPid, i), living_ended_cb, NULL, NULL,
                                         &error);
  evp_child_watcher_exit (self->watcher);
  if (error != NULL)
    children_fail (self, error);
  else
    children_stop (self);
}

/* Those that end */

static void start_one (Children *self);

static void
ended_cb (GPid     pid,
          int      status,
          gpointer data)
{
  Children *self = data;

  self->n_running--;
  self->to_finish--;
  if (self->to_start > 0)
    start_one (self);
  else if (self->n_running == 0)
    children_stop (self);
}

static void
start_one (Children *self)
{
  struct timespec before, after;
  int error_number;
  GError *error = NULL;
  GPid pid;

  if (self->error != NULL)
    return;
  if (self->watcher != NULL)
    evp_child_watcher_enter (self->watcher);
  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &before);
  pid = spawn ("true", -1, &error_number);
  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &after);
  self->spawn_cpu += (after.tv_sec - before.tv_sec) * 1e9 + (double) (after.tv_nsec - before.tv_nsec);
  if (pid < 0)
    g_set_error_literal (&error, G_IO_ERROR, g_io_error_from_errno (error_number), g_strerror (error_number));
  else
    {
      self->to_start--;
      self->n_running++;
      if (self->watcher != NULL)
        evp_child_watcher_add_child_handler (self->watcher, pid, ended_cb, self, NULL, &error);
      else
        {
          GSource *source = g_child_watch_source_new (pid);

          g_source_set_callback (source, G_SOURCE_FUNC (ended_cb), self, NULL);
          g_source_attach (source, self->context);
          g_source_unref (source);
        }
    }
  if (self->watcher != NULL)
    evp_child_watcher_exit (self->watcher);
  if (error != NULL)
    children_fail (self, error);
}

static void
start_some_cb (gpointer data)
{
  Children *self = data;

  for (guint i = 0; i < CONCURRENCY && self->to_start > 0; i++)
    start_one (self);
}

static gboolean
start_some_source_cb (gpointer data)
{
  start_some_cb (data);
  return G_SOURCE_REMOVE;
}

static gboolean
children_run_loop (Children *self,
                   GError  **error)
{
  gboolean ran = TRUE;

  if (self->loop != NULL)
    ran = evp_event_loop_run_forever (self->loop, error);
  else
    g_main_loop_run (self->main_loop);
  if (ran && self->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&self->error));
      ran = FALSE;
    }
  return ran;
}

static void
children_free (gpointer data)
{
  Children *self = data;

  if (self->watcher != NULL)
    {
      for (guint i = 0; i < living->len; i++)
        evp_child_watcher_remove_child_handler (self->watcher, g_array_index (living, GPid, i));
      evp_child_watcher_attach_loop (self->watcher, NULL, NULL);
      evp_child_watcher_close (self->watcher);
    }
  g_clear_object (&self->watcher);
  for (guint i = 0; self->sources != NULL && i < self->sources->len; i++)
    g_source_destroy (g_ptr_array_index (self->sources, i));
  g_clear_pointer (&self->sources, g_ptr_array_unref);
  if (self->loop != NULL)
    evp_event_loop_close (self->loop, NULL);
  g_clear_object (&self->loop);
  g_clear_pointer (&self->main_loop, g_main_loop_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_error (&self->error);
  g_free (self);
}

static gboolean
children_fill (Children                  *self,
               const EvpToolBenchSubject *subject,
               GError                   **error)
{
  if (subject->new_loop == NULL)
    {
      self->context = g_main_context_new ();
      self->main_loop = g_main_loop_new (self->context, FALSE);
      self->sources = g_ptr_array_new_with_free_func ((GDestroyNotify) g_source_unref);
      for (guint i = 0; i < living->len; i++)
        {
          GSource *source = g_child_watch_source_new (g_array_index (living, GPid, i));

          g_source_set_callback (source, G_SOURCE_FUNC (living_ended_cb), NULL, NULL);
          g_source_attach (source, self->context);
          g_ptr_array_add (self->sources, source);
        }
      return TRUE;
    }
  self->loop = subject->new_loop (error);
  if (self->loop == NULL)
    return FALSE;
  self->watcher = subject->new_watcher ();
  /* inside the loop, because some watchers want a running one */
  return evp_child_watcher_attach_loop (self->watcher, self->loop, error)
         && evp_event_loop_call_soon (self->loop, watch_living_cb, self, NULL, error) != NULL
         && children_run_loop (self, error);
}

static gpointer
children_set_up (const EvpToolBenchSubject *subject,
                 GError                   **error)
{
  Children *self = g_new0 (Children, 1);

  if (!children_fill (self, subject, error))
    g_clear_pointer (&self, children_free);
  return self;
}

static gboolean
children_run (gpointer          state,
              guint64           n,
              EvpToolBenchCost *cost,
              GError          **error)
{
  Children *self = state;
  gboolean ran;

  self->to_start = self->to_finish = n;
  self->spawn_cpu = 0;
  if (self->loop != NULL)
    evp_event_loop_call_soon (self->loop, start_some_cb, self, NULL, NULL);
  else
    {
      GSource *source = g_idle_source_new ();

      g_source_set_callback (source, start_some_source_cb, self, NULL);
      g_source_attach (source, self->context);
      g_source_unref (source);
    }
  evp_tool_bench_start (cost);
  ran = children_run_loop (self, error);
  evp_tool_bench_stop (cost);
  cost->cpu = MAX (cost->cpu - self->spawn_cpu, 0);
  return ran;
}

const EvpToolBenchWorkload evp_tool_bench_children = {
  "children", N_("Children"), N_("a child, watched and reaped"), N_("living children"), { 0, 1000 }, 10, 2,
  watchers, 10, 50, children_begin, children_end, children_set_up, children_run, children_free,
};
