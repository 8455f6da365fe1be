/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-group-private.h"
#include "evp/tool/evp-tool-output-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * `evp run`: many commands at once on one loop, under a policy and a watcher of the user's choice.
 */

/* Between a polite SIGTERM and SIGKILL. */
#define GRACE_SECONDS 2.0
/* A grandchild may hold a child's pipe long after the child ended: this long without output, and it is let go. */
#define DRAIN_SECONDS 2.0
/* How often to look whether what a command has started is gone as well. */
#define GROUP_SECONDS 0.02
/* When there is no room for a single command: how often to try again, and how many times before it is an error. */
#define SHORTAGE_SECONDS 0.05
#define MAX_SHORTAGES 20
#define PROGRESS_SECONDS 0.1

typedef struct _Run Run;

typedef struct
{
  Run *run;
  char *text;           /* as the user wrote it */
  char **argv;
  EvpSubprocess *process;
  EvpToolPipe *pipes[2]; /* NULL once closed */
  EvpTimerHandle *timer; /* the time limit, then the grace */
  EvpTimerHandle *drain_timer;
  EvpTimerHandle *group_timer;
  EvpToolGroup *group;   /* NULL: it shares ours */
  GPid pid;
  int returncode;
  double started, wall, cpu; /* seconds; cpu < 0: not known */
  gboolean ended;            /* the process has ended; its output may still come */
  gboolean finished;         /* that, too */
  gboolean stopping;         /* it was told to end … */
  gboolean killed;           /* … and made to, as it took too long, with all that it has started */
  gboolean lingering;        /* what it has started has not ended yet, and will be made to */
  gboolean lost, timed_out;
  char *error;               /* why it was not started */
} Job;

struct _Run
{
  EvpAbstractEventLoop *loop;
  EvpAbstractChildWatcher *watcher;
  EvpFuture *done;
  EvpToolSink *out, *err;
  GPtrArray *jobs;
  GQueue waiting; /* borrowed jobs, in order */
  GPtrArray *running; /* borrowed jobs */
  guint max_running;
  guint n_shortages; /* since something was started */
  guint n_finished, n_failed;
  double timeout; /* 0: none */
  gboolean fail_fast, json, single, show_progress;
  gboolean shares_group; /* the only command has our terminal, and so must be in our process group */
  gboolean progress_shown;
  gboolean output_failed;
  gboolean stopping; /* start no more */
  gboolean killing;  /* and no more patience with those that run */
  gboolean suspend_soon;
  int interrupted;   /* the signal, or 0 */
  EvpTimerHandle *kill_timer;
};

static Run *current_run; /* whose progress bar is in the way of a log message */
static gboolean quiet;   /* no log messages */

static void run_start_more (Run *self);
static void job_maybe_finish (Job *job);
static void job_watch_group (Job *job);

static void
job_free (gpointer data)
{
  Job *job = data;

  g_free (job->text);
  g_strfreev (job->argv);
  g_clear_object (&job->process);
  g_clear_pointer (&job->timer, evp_timer_handle_unref);
  g_clear_pointer (&job->drain_timer, evp_timer_handle_unref);
  g_clear_pointer (&job->group_timer, evp_timer_handle_unref);
  g_clear_pointer (&job->group, evp_tool_group_free);
  g_free (job->error);
  g_free (job);
}

static gboolean
job_failed (Job *job)
{
  return job->error != NULL || job->returncode != 0 || job->lost || job->timed_out;
}

static void
clear_timer (EvpTimerHandle **timer)
{
  if (*timer != NULL)
    evp_timer_handle_cancel (*timer);
  g_clear_pointer (timer, evp_timer_handle_unref);
}

static void
job_set_timer (Job             *job,
               EvpTimerHandle **timer,
               double           seconds,
               EvpCallback      callback)
{
  EvpTimerHandle *handle;

  clear_timer (timer);
  handle = evp_event_loop_call_later (job->run->loop, seconds, callback, job, NULL, NULL);
  *timer = handle != NULL ? evp_timer_handle_ref (handle) : NULL;
}

/* The process and, because it may be a shell, what it has started. */
static void
job_signal (Job *job,
            int  signum)
{
  if (job->process == NULL)
    return;
  if (job->group != NULL)
    evp_tool_group_signal (job->group, signum, job->ended ? NULL : job->process);
  else if (!job->ended)
    evp_subprocess_send_signal (job->process, signum, NULL);
}

/* SIGTERM, which reaches also who is suspended. */
static void
job_terminate (Job *job)
{
  job->stopping = TRUE;
  job_signal (job, SIGTERM);
  job_signal (job, SIGCONT);
}

/* Gives up on pipes that somebody else still holds. */
static void
job_abandon_output (Job *job)
{
  EvpToolPipe *pipes[2] = { job->pipes[0], job->pipes[1] };

  /* giving up the first may finish the job, but does not free it */
  for (guint i = 0; i < 2; i++)
    if (pipes[i] != NULL && job->pipes[i] == pipes[i])
      evp_tool_pipe_abandon (pipes[i]);
}

/* Progress */

static void
run_hide_progress (gpointer user_data)
{
  Run *self = user_data;

  if (self->progress_shown && evp_tool_sink_show (self->err, "\r\033[K"))
    self->progress_shown = FALSE;
}

static GLogWriterOutput
log_writer (GLogLevelFlags   level,
            const GLogField *fields,
            gsize            n_fields,
            gpointer         user_data)
{
  if (quiet)
    return G_LOG_WRITER_HANDLED;
  if (current_run != NULL)
    run_hide_progress (current_run);
  return g_log_writer_default (level, fields, n_fields, user_data);
}

static void
run_progress_cb (gpointer user_data)
{
  Run *self = user_data;
  /* Translators: the progress bar: finished, all, running now, failed */
  g_autofree char *numbers = g_strdup_printf (_("%u of %u, %u running, %u failed"), self->n_finished, self->jobs->len,
                                              self->running->len, self->n_failed);
  g_autofree char *line = evp_tool_progress (STDERR_FILENO, self->n_finished, self->jobs->len, numbers);

  /* not into the middle of a line */
  if (evp_tool_sink_is_idle (self->out) && evp_tool_sink_is_idle (self->err))
    {
      g_autofree char *text = evp_tool_to_locale (line);

      if (evp_tool_sink_show (self->err, text))
        self->progress_shown = TRUE;
    }
  evp_event_loop_call_later (self->loop, PROGRESS_SECONDS, run_progress_cb, self, NULL, NULL);
}

/* Stopping */

static void
run_kill_cb (gpointer user_data)
{
  Run *self = user_data;
  /* giving up output ends jobs, which leave the array */
  g_autoptr (GPtrArray) running = g_ptr_array_copy (self->running, NULL, NULL);

  self->killing = TRUE;
  for (guint i = 0; i < running->len; i++)
    {
      Job *job = g_ptr_array_index (running, i);

      job_signal (job, SIGKILL);
      if (job->ended)
        {
          job->lingering = FALSE;
          job_abandon_output (job);
          job_maybe_finish (job);
        }
    }
}

static void
run_stop (Run *self)
{
  EvpTimerHandle *timer;

  if (self->stopping)
    return;
  self->stopping = TRUE;
  for (guint i = 0; i < self->running->len; i++)
    {
      Job *job = g_ptr_array_index (self->running, i);

      /* from now on it is not its own limit that ends it; or it has been, and has its own grace */
      if (!job->timed_out)
        clear_timer (&job->timer);
      job_terminate (job);
      /* of one that has ended, what still writes */
      if (job->ended)
        job_watch_group (job);
    }
  timer = evp_event_loop_call_later (self->loop, GRACE_SECONDS, run_kill_cb, self, NULL, NULL);
  self->kill_timer = timer != NULL ? evp_timer_handle_ref (timer) : NULL;
}

static void
run_signal_cb (int      signum,
               gpointer user_data)
{
  Run *self = user_data;

  /*
   * Asked twice from the keyboard: no more patience. The others come twice for one reason: timeout(1) sends SIGTERM
   * to us and to our group, and of a terminal that goes away the kernel tells us and the shell does.
   */
  if (self->interrupted != 0 && (signum == SIGINT || signum == SIGQUIT))
    run_kill_cb (self);
  self->interrupted = signum;
  run_stop (self);
  run_start_more (self);
}

/* Ctrl-Z reaches our group only. We suspend ourselves as if there were no handler, after those that we have started. */
static void
run_suspend (Run *self)
{
  struct sigaction action = { .sa_handler = SIG_DFL };
  struct sigaction former;

  for (guint i = 0; i < self->running->len; i++)
    {
      Job *job = g_ptr_array_index (self->running, i);

      /* it is there already, but we have not been told: job_started_cb() comes back to this */
      self->suspend_soon = job->process == NULL;
      if (self->suspend_soon)
        return;
    }
  for (guint i = 0; i < self->running->len; i++)
    job_signal (g_ptr_array_index (self->running, i), SIGTSTP);
  run_hide_progress (self);

  sigaction (SIGTSTP, &action, &former);
  raise (SIGTSTP);
  /* somebody has sent SIGCONT, or the system has seen that nobody would */
  sigaction (SIGTSTP, &former, NULL);
  for (guint i = 0; i < self->running->len; i++)
    job_signal (g_ptr_array_index (self->running, i), SIGCONT);
}

static void
run_suspend_cb (int      signum,
                gpointer user_data)
{
  run_suspend (user_data);
}

static void
run_output_failed_cb (int      error_number,
                      gpointer user_data)
{
  Run *self = user_data;

  self->output_failed = TRUE;
  /* a reader that has seen enough is no reason for a message */
  if (error_number != EPIPE)
    {
      g_autofree char *message = g_strdup_printf (_("Cannot write the output: %s"), g_strerror (error_number));
      g_autofree char *line = g_strdup_printf ("evp: %s\n", message);
      g_autofree char *text = evp_tool_to_locale (line);

      /* not evp_tool_error(), which waits for a terminal that Ctrl-S has stopped, and we with it */
      evp_tool_sink_print (self->err, text);
    }
  run_stop (self);
}

/* Results */

static char *
signal_name (int signum)
{
#if defined (__GLIBC__) && __GLIBC_PREREQ (2, 32)
  const char *name = sigabbrev_np (signum);

  if (name != NULL)
    return g_strdup_printf ("SIG%s", name);
#endif
  /* Translators: a signal that has no name */
  return g_strdup_printf (_("signal %d"), signum);
}

static char *
job_result (Job *job)
{
  g_autofree char *result = NULL;

  if (job->error != NULL)
    return g_strdup (_("not started"));
  if (job->lost)
    result = g_strdup (_("lost"));
  else if (job->returncode < 0)
    result = signal_name (-job->returncode);
  else
    result = g_strdup_printf ("%d", job->returncode);
  if (job->timed_out)
    /* Translators: %s is a return code or the name of a signal */
    return g_strdup_printf (_("%s, timed out"), result);
  return g_steal_pointer (&result);
}

static void
job_print_json (Job *job)
{
  g_autoptr (GString) json = g_string_new ("{");
  g_autofree char *command = evp_tool_json_string (job->text);

  if (job->error != NULL)
    {
      g_autofree char *error = evp_tool_json_string (job->error);

      g_string_append_printf (json, "\"command\": %s, \"error\": %s", command, error);
    }
  else
    {
      g_autofree char *wall = evp_tool_json_number (job->wall);
      g_autofree char *cpu = job->cpu >= 0 ? evp_tool_json_number (job->cpu) : g_strdup ("null");

      g_string_append_printf (json, "\"pid\": %d, \"command\": %s, \"returncode\": %d, \"wall\": %s, \"cpu\": %s",
                              (int) job->pid, command, job->returncode, wall, cpu);
      if (job->timed_out)
        g_string_append (json, ", \"timed_out\": true");
      if (job->lost)
        g_string_append (json, ", \"lost\": true");
    }
  g_string_append (json, "}\n");
  evp_tool_sink_print (job->run->out, json->str);
}

static void
job_finish (Job *job)
{
  Run *self = job->run;

  job->finished = TRUE;
  clear_timer (&job->timer);
  clear_timer (&job->drain_timer);
  clear_timer (&job->group_timer);
  g_clear_pointer (&job->group, evp_tool_group_free);
  g_ptr_array_remove_fast (self->running, job);
  g_clear_object (&job->process);
  self->n_finished++;
  if (job_failed (job))
    {
      self->n_failed++;
      if (self->fail_fast)
        run_stop (self);
    }
  if (self->json)
    job_print_json (job);
  run_start_more (self);
}

static void
job_maybe_finish (Job *job)
{
  if (job->ended && !job->finished && !job->lingering && job->pipes[0] == NULL && job->pipes[1] == NULL)
    job_finish (job);
}

static void
job_group_cb (gpointer user_data)
{
  Job *job = user_data;

  if (job->lingering)
    job_watch_group (job);
  job_maybe_finish (job);
}

/* Its process has ended; waits for the rest of its group, until the grace is over. */
static void
job_watch_group (Job *job)
{
  job->lingering = job->group != NULL && evp_tool_group_lives (job->group);
  if (job->lingering)
    job_set_timer (job, &job->group_timer, GROUP_SECONDS, job_group_cb);
  else
    clear_timer (&job->timer);
}

static void
job_drain_cb (gpointer user_data)
{
  Job *job = user_data;

  /* silence is the child's only if we listen: whoever reads our output may be slow */
  for (guint i = 0; i < 2; i++)
    if (job->pipes[i] != NULL && evp_tool_pipe_is_paused (job->pipes[i]))
      {
        job_set_timer (job, &job->drain_timer, DRAIN_SECONDS, job_drain_cb);
        return;
      }
  job_abandon_output (job);
}

static void
job_output_cb (gpointer user_data)
{
  Job *job = user_data;

  if (job->ended)
    job_set_timer (job, &job->drain_timer, DRAIN_SECONDS, job_drain_cb);
}

static void
job_stdout_closed_cb (gpointer user_data)
{
  Job *job = user_data;

  job->pipes[0] = NULL;
  job_maybe_finish (job);
}

static void
job_stderr_closed_cb (gpointer user_data)
{
  Job *job = user_data;

  job->pipes[1] = NULL;
  job_maybe_finish (job);
}

static void
job_exited_cb (EvpSubprocess *process,
               int            returncode,
               gpointer       user_data)
{
  Job *job = user_data;
  Run *self = job->run;

  if (job->ended)
    return;
  job->ended = TRUE;
  job->returncode = returncode;
  job->lost = evp_subprocess_get_lost (process);
  job->cpu = evp_subprocess_get_cpu_time (process);
  job->wall = evp_event_loop_time (self->loop) - job->started;
  /* Ctrl-C has come from the terminal to both of us, and the command was faster */
  if (self->shares_group && self->interrupted == 0 && (returncode == -SIGINT || returncode == -SIGQUIT))
    self->interrupted = -returncode;
  /* who has got SIGKILL is not waited for: it may be dead, but in the group until somebody reaps it */
  if (job->stopping && !job->killed && !self->killing)
    job_watch_group (job);
  else
    clear_timer (&job->timer);
  if (self->killing)
    {
      job_signal (job, SIGKILL);
      job_abandon_output (job);
    }
  if (job->pipes[0] != NULL || job->pipes[1] != NULL)
    job_set_timer (job, &job->drain_timer, DRAIN_SECONDS, job_drain_cb);
  job_maybe_finish (job);
}

static void
job_grace_over_cb (gpointer user_data)
{
  Job *job = user_data;

  job->killed = TRUE;
  job_signal (job, SIGKILL);
  job->lingering = FALSE;
  job_maybe_finish (job);
}

static void
job_timed_out_cb (gpointer user_data)
{
  Job *job = user_data;

  job->timed_out = TRUE;
  job_terminate (job);
  job_set_timer (job, &job->timer, GRACE_SECONDS, job_grace_over_cb);
}

static void
job_not_started (Job        *job,
                 const char *why)
{
  job->error = g_strdup (why);
  job_finish (job);
}

/* No descriptors or processes left. */
static gboolean
is_shortage (GError *error)
{
  return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES)
         || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
}

static void
run_start_more_cb (gpointer user_data)
{
  run_start_more (user_data);
}

/*
 * Fewer at once, and this one later: whatever ends next makes room. If nothing runs, somebody else may; and of
 * what has just ended the thread or the descriptors that watched it may still be going. FALSE: enough of that.
 */
static gboolean
job_postpone (Job *job)
{
  Run *self = job->run;

  if (self->stopping || (self->running->len == 1 && self->n_shortages++ >= MAX_SHORTAGES))
    return FALSE;
  g_ptr_array_remove_fast (self->running, job);
  g_queue_push_head (&self->waiting, job);
  self->max_running = MAX (self->running->len, 1);
  if (self->running->len == 0)
    evp_event_loop_call_later (self->loop, SHORTAGE_SECONDS, run_start_more_cb, self, NULL, NULL);
  return TRUE;
}

static void
job_started (Job          *job,
             GAsyncResult *result)
{
  Run *self = job->run;
  g_autoptr (GError) error = NULL;

  job->process = evp_event_loop_subprocess_exec_finish (self->loop, result, &error);
  if (job->process == NULL)
    {
      if (!is_shortage (error) || !job_postpone (job))
        job_not_started (job, error->message);
      return;
    }

  self->n_shortages = 0;
  job->pid = evp_subprocess_get_pid (job->process);
  if (!self->shares_group)
    job->group = evp_tool_group_new (job->pid);
  if (evp_subprocess_get_stdout (job->process) != NULL)
    job->pipes[0] = evp_tool_pipe_new (self->json ? self->err : self->out, evp_subprocess_get_stdout (job->process),
                                       job_output_cb, job_stdout_closed_cb, job);
  if (evp_subprocess_get_stderr (job->process) != NULL)
    job->pipes[1] = evp_tool_pipe_new (self->err, evp_subprocess_get_stderr (job->process),
                                       job_output_cb, job_stderr_closed_cb, job);
  if (self->timeout > 0 && !self->stopping)
    job_set_timer (job, &job->timer, self->timeout, job_timed_out_cb);
  g_signal_connect (job->process, "exited", G_CALLBACK (job_exited_cb), job);
  if (self->killing)
    job_signal (job, SIGKILL);
  else if (self->stopping)
    job_terminate (job);
  if (evp_subprocess_get_returncode (job->process) != EVP_RETURNCODE_NONE)
    job_exited_cb (job->process, evp_subprocess_get_returncode (job->process), job);
}

static void
job_started_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  Job *job = user_data;

  job_started (job, result);
  if (job->run->suspend_soon)
    run_suspend (job->run);
}

static void
job_start (Job *job)
{
  Run *self = job->run;
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();

  if (!self->single)
    {
      evp_subprocess_options_set_stdin (options, EVP_STDIO_NULL);
      evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
      evp_subprocess_options_set_stderr (options, EVP_STDIO_PIPE);
    }
  else if (self->json)
    evp_subprocess_options_set_stdout_fd (options, STDERR_FILENO);
  if (!self->shares_group)
    {
      evp_subprocess_options_set_process_group (options, 0);
      /* who reads the terminal from another group than the one in the foreground is suspended */
      if (isatty (STDIN_FILENO))
        evp_subprocess_options_set_stdin (options, EVP_STDIO_NULL);
    }
  evp_subprocess_options_set_child_watcher (options, self->watcher);

  g_ptr_array_add (self->running, job);
  job->started = evp_event_loop_time (self->loop);
  evp_event_loop_subprocess_exec_async (self->loop, (const char *const *) job->argv, options, NULL,
                                        job_started_cb, job);
}

static void
run_start_more (Run *self)
{
  while (!self->stopping && self->running->len < self->max_running && !g_queue_is_empty (&self->waiting))
    job_start (g_queue_pop_head (&self->waiting));

  if (self->stopping)
    {
      const char *why = self->interrupted != 0 ? _("Not started, because of an interruption")
                        : self->output_failed  ? _("Not started, because nobody reads the output")
                                               : _("Not started, because another command failed");
      Job *job;

      while ((job = g_queue_pop_head (&self->waiting)) != NULL)
        {
          job->error = g_strdup (why);
          self->n_finished++;
          if (self->json)
            job_print_json (job);
        }
    }
  if (self->running->len == 0 && g_queue_is_empty (&self->waiting) && !evp_future_done (self->done))
    evp_future_set_result (self->done, NULL, NULL);
}

static void
run_begin_cb (gpointer user_data)
{
  Run *self = user_data;

  if (self->show_progress)
    run_progress_cb (self);
  run_start_more (self);
}

/* The table */

enum { COLUMN_PID, COLUMN_RESULT, COLUMN_WALL, COLUMN_CPU, COLUMN_COMMAND, N_COLUMNS };

static void
run_print_table (Run *self)
{
  const char *titles[N_COLUMNS] = { _("PID"), _("RESULT"), _("WALL"), _("CPU"), _("COMMAND") };
  const EvpToolAlign align[N_COLUMNS] = { EVP_TOOL_ALIGN_RIGHT, EVP_TOOL_ALIGN_LEFT, EVP_TOOL_ALIGN_RIGHT,
                                          EVP_TOOL_ALIGN_RIGHT, EVP_TOOL_ALIGN_LEFT };
  g_autoptr (GPtrArray) cells = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) table = g_string_new (NULL);
  g_autofree char *text = NULL;
  gsize widths[N_COLUMNS] = { 0 };
  guint n_succeeded = 0, n_unstarted = 0, n_failed = 0;

  for (guint c = 0; c < N_COLUMNS; c++)
    g_ptr_array_add (cells, g_strdup (titles[c]));
  for (guint i = 0; i < self->jobs->len; i++)
    {
      Job *job = g_ptr_array_index (self->jobs, i);
      gboolean started = job->error == NULL;

      if (!started)
        n_unstarted++;
      else if (job_failed (job))
        n_failed++;
      else
        n_succeeded++;
      g_ptr_array_add (cells, started ? g_strdup_printf ("%d", (int) job->pid) : g_strdup ("-"));
      g_ptr_array_add (cells, job_result (job));
      g_ptr_array_add (cells, started ? g_strdup_printf ("%.3f s", job->wall) : g_strdup ("-"));
      g_ptr_array_add (cells, started && job->cpu >= 0 ? g_strdup_printf ("%.3f s", job->cpu) : g_strdup ("-"));
      g_ptr_array_add (cells, evp_tool_visible (job->text));
    }
  for (guint i = 0; i < cells->len; i++)
    widths[i % N_COLUMNS] = MAX (widths[i % N_COLUMNS], evp_tool_text_width (g_ptr_array_index (cells, i)));
  for (guint i = 0; i < cells->len; i++)
    {
      guint column = i % N_COLUMNS;

      if (column == COLUMN_COMMAND)
        {
          Job *job = i > N_COLUMNS ? g_ptr_array_index (self->jobs, i / N_COLUMNS - 1) : NULL;

          g_string_append (table, g_ptr_array_index (cells, i));
          if (job != NULL && job->error != NULL)
            {
              g_autofree char *error = evp_tool_visible (job->error);

              g_string_append_printf (table, "  (%s)", error);
            }
          g_string_append_c (table, '\n');
          continue;
        }
      evp_tool_append_padded (table, g_ptr_array_index (cells, i), widths[column], align[column]);
      g_string_append (table, "  ");
    }
  g_string_append_printf (table,
                          /* Translators: the numbers are of all commands, and how many of them did what */
                          ngettext ("%u command: %u succeeded, %u failed, %u not started\n",
                                    "%u commands: %u succeeded, %u failed, %u not started\n", self->jobs->len),
                          self->jobs->len, n_succeeded, n_failed, n_unstarted);
  text = evp_tool_to_locale (table->str);
  evp_tool_sink_print (self->out, text);
}

/* Input */

static void
run_add_job (Run    *self,
             char  **argv, /* (transfer full) */
             char   *text) /* (transfer full) */
{
  Job *job = g_new0 (Job, 1);

  job->run = self;
  job->argv = argv;
  job->text = text;
  job->cpu = -1;
  g_ptr_array_add (self->jobs, job);
  g_queue_push_tail (&self->waiting, job);
}

/* Far more than any list is; what never ends (/dev/zero, yes) is told before it has taken all the memory. */
#define MAX_LIST_BYTES (256u << 20)
/* characters; a line may be as long */
#define MAX_MESSAGE 400

/* 0 or an errno. Ends at a NUL byte, which no list has, or when there is too much. */
static int
read_all (int         fd,
          GByteArray *bytes)
{
  for (;;)
    {
      guint8 buffer[65536];
      gssize n = read (fd, buffer, sizeof buffer);

      if (n > 0)
        {
          const guint8 *nul = memchr (buffer, '\0', (gsize) n);

          g_byte_array_append (bytes, buffer, nul != NULL ? (guint) (nul - buffer) + 1 : (guint) n);
          if (nul != NULL)
            return 0;
          if (bytes->len > MAX_LIST_BYTES)
            return EFBIG;
        }
      else if (n == 0)
        return 0;
      else if (errno == EAGAIN)
        {
          struct pollfd more = { .fd = fd, .events = POLLIN };

          poll (&more, 1, -1);
        }
      else if (errno != EINTR)
        return errno;
    }
}

/*
 * Comments are what a shell takes for them. For GLib, a # after a tab begins none, one at the very end is a mistake,
 * and one after a blank begins one even if the blank is part of the word: what is no comment gets a backslash.
 */
static char *
cut_comment (const char *line)
{
  GString *plain = g_string_new (NULL);
  gboolean word = FALSE;
  char quote = '\0';

  for (const char *p = line; *p != '\0'; p++)
    {
      gboolean blank = FALSE;

      if (*p == '\\' && quote != '\'' && p[1] != '\0')
        g_string_append_c (plain, *p++);
      else if (*p == quote)
        quote = '\0';
      else if (quote != '\0')
        ;
      else if (*p == '#' && !word)
        break;
      else if (*p == '#')
        g_string_append_c (plain, '\\');
      else if (*p == '\'' || *p == '"')
        quote = *p;
      else
        blank = *p == ' ' || *p == '\t';
      g_string_append_c (plain, *p);
      word = !blank;
    }
  return g_string_free (plain, FALSE);
}

/* What is shown of a line: not the blanks around it, unless the last is part of a word, after a backslash. */
static char *
strip_line (const char *line)
{
  gsize length, n_backslashes = 0;

  while (g_ascii_isspace (*line))
    line++;
  length = strlen (line);
  while (length > 0 && g_ascii_isspace (line[length - 1]))
    length--;
  while (n_backslashes < length && line[length - 1 - n_backslashes] == '\\')
    n_backslashes++;
  if (n_backslashes % 2 == 1 && line[length] != '\0')
    length++;
  return g_strndup (line, length);
}

/* A message that quotes the list, which may have anything in it, and much of that. */
static char *
short_message (const char *message)
{
  char *text = evp_tool_visible (message);

  if (g_utf8_strlen (text, -1) > MAX_MESSAGE)
    {
      g_autofree char *whole = text;
      g_autofree char *beginning = g_utf8_substring (whole, 0, MAX_MESSAGE);

      text = g_strconcat (beginning, "…", NULL);
    }
  return text;
}

/* FALSE, after a message, if a line cannot be understood. */
static gboolean
run_read_line (Run        *self,
               guint       number,
               const char *bytes,
               gsize       length)
{
  g_autofree char *line = NULL;
  g_autofree char *plain = NULL;
  g_autofree char *message = NULL;
  g_autoptr (GError) error = NULL;
  char **argv;

  if (memchr (bytes, '\0', length) != NULL)
    {
      evp_tool_error (_("line %u: There is a NUL byte in it"), number);
      return FALSE;
    }
  line = g_strndup (bytes, length);
  if (length > 0 && line[length - 1] == '\r')
    line[length - 1] = '\0';

  /* not stripped at the end before that: the last space may be part of a word, after a backslash */
  plain = cut_comment (line);
  if (g_shell_parse_argv (plain, NULL, &argv, &error))
    {
      run_add_job (self, argv, strip_line (line));
      return TRUE;
    }
  if (g_error_matches (error, G_SHELL_ERROR, G_SHELL_ERROR_EMPTY_STRING))
    return TRUE;
  message = short_message (error->message);
  /* Translators: %u is the number of a line, %s says what is wrong there */
  evp_tool_error (_("line %u: %s"), number, message);
  return FALSE;
}

static gboolean
run_read_lines (Run        *self,
                const char *bytes,
                gsize       size)
{
  gboolean ok = TRUE;
  guint number = 0;
  gsize start = 0;

  /* some editors begin a file with a byte order mark */
  if (size >= 3 && memcmp (bytes, "\xef\xbb\xbf", 3) == 0)
    start = 3;
  while (start < size)
    {
      const char *end = memchr (bytes + start, '\n', size - start);
      gsize length = end != NULL ? (gsize) (end - bytes) - start : size - start;

      if (!run_read_line (self, ++number, bytes + start, length))
        ok = FALSE;
      start += length + 1;
    }
  return ok;
}

static gboolean
run_read_input (Run *self)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  int failure;

  if (isatty (STDIN_FILENO))
    g_printerr ("%s\n", _("Reading commands, one a line; Ctrl-D ends."));
  failure = read_all (STDIN_FILENO, bytes);
  if (failure != 0)
    {
      evp_tool_error (_("Cannot read the commands from standard input: %s"), g_strerror (failure));
      return FALSE;
    }

  return run_read_lines (self, (const char *) bytes->data, bytes->len);
}

static char *
quote_argv (char **argv)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; argv[i] != NULL; i++)
    {
      g_autofree char *quoted = strpbrk (argv[i], " \t\n\"'\\$`*?[]#~=%&|;<>(){}") != NULL || *argv[i] == '\0'
                                  ? g_shell_quote (argv[i]) : g_strdup (argv[i]);

      if (i > 0)
        g_string_append_c (text, ' ');
      g_string_append (text, quoted);
    }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* The command line */

typedef struct
{
  char *policy, *watcher;
  int max_running;
  gboolean has_max_running;
  double timeout;
  char **command; /* borrowed from the command line; NULL: there is none */
} Arguments;

static const char *const policies[] = { "default", "selector", "proactor", "main-context", NULL };

static int
check_arguments (Arguments *arguments,
                 Run       *run)
{
  if (arguments->watcher != NULL && evp_tool_find_watcher (arguments->watcher) == NULL)
    {
      g_autofree char *known = evp_tool_list_watchers ();

      return evp_tool_usage ("evp run", _("There is no child watcher “%s”; there are %s"), arguments->watcher, known);
    }
  if (arguments->has_max_running && arguments->max_running < 1)
    return evp_tool_usage ("evp run", "%s", _("-j needs a number of at least 1"));
  if (!isfinite (arguments->timeout) || arguments->timeout < 0)
    return evp_tool_usage ("evp run", "%s", _("--timeout needs a number of seconds"));
  run->max_running = arguments->has_max_running ? (guint) arguments->max_running : g_get_num_processors ();
  run->timeout = arguments->timeout;
  return EVP_TOOL_OK;
}

/*
 * Makes the policy that --policy names. The library knows how to find it, and loads modules, when it
 * is asked through the environment; the children must not inherit that.
 */
static int
use_policy (const char *name)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = NULL;
  g_autofree char *former = g_strdup (g_getenv ("EVP_POLICY"));
  GIOExtensionPoint *point;

  if (name == NULL)
    return EVP_TOOL_OK;

  /* one message about an unknown name is enough, and it is ours */
  if (!g_strv_contains (policies, name))
    quiet = TRUE;
  g_setenv ("EVP_POLICY", name, TRUE);
  policy = evp_get_event_loop_policy ();
  if (former != NULL)
    g_setenv ("EVP_POLICY", former, TRUE);
  else
    g_unsetenv ("EVP_POLICY");
  quiet = FALSE;

  point = g_io_extension_point_lookup (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME);
  if (point == NULL || g_io_extension_point_get_extension_by_name (point, name) == NULL)
    {
      g_autofree char *known = g_strjoinv (", ", (char **) policies);

      /* Translators: the second %s is a list */
      return evp_tool_usage ("evp run", _("There is no policy “%s”; there are %s, and those that modules bring"),
                             name, known);
    }
  return EVP_TOOL_OK;
}

static gboolean
same_file (int a,
           int b)
{
  struct stat one, other;

  return fstat (a, &one) == 0 && fstat (b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Who started us may have decided that a signal is not for us: nohup, or a shell in the background. */
static gboolean
is_ignored (int signum)
{
  struct sigaction action;

  return sigaction (signum, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* How many commands there are descriptors for; job_started_cb() sees to it if this is too many still. */
static guint
count_affordable (void)
{
  const rlim_t each = 5;   /* two pipes, and a pidfd for the watcher, the child's object and the group at most */
  const rlim_t spare = 24; /* while one is being started, and for GLib, which does not survive without */
  struct rlimit limit;
  rlim_t used = 0;

  if (getrlimit (RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return G_MAXUINT;
  for (int fd = 0; fd < 256; fd++)
    if (fcntl (fd, F_GETFD) >= 0)
      used++;
  if (limit.rlim_cur < used + spare + each)
    return 1;
  return (guint) MIN ((limit.rlim_cur - used - spare) / each, G_MAXUINT);
}

static const int stop_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

static gboolean
run_prepare (Run        *self,
             const char *watcher,
             GError    **error)
{
  self->loop = evp_new_event_loop (error);
  if (self->loop == NULL)
    return FALSE;
  if (watcher != NULL)
    {
      g_autoptr (EvpAbstractChildWatcher) own = evp_tool_find_watcher (watcher)->create ();

      if (!evp_set_child_watcher (own, error))
        return FALSE;
    }
  self->watcher = evp_get_child_watcher (error);
  if (self->watcher == NULL)
    return FALSE;
  /* with the watcher there already, this attaches it */
  if (!evp_set_event_loop (self->loop, error))
    return FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (stop_signals); i++)
    if (!is_ignored (stop_signals[i])
        && !evp_event_loop_add_signal_handler (self->loop, stop_signals[i], run_signal_cb, self, NULL, error))
      return FALSE;
  if (!is_ignored (SIGTSTP)
      && !evp_event_loop_add_signal_handler (self->loop, SIGTSTP, run_suspend_cb, self, NULL, error))
    return FALSE;

  self->max_running = MIN (self->max_running, count_affordable ());
  self->out = evp_tool_sink_new (self->loop, STDOUT_FILENO, run_hide_progress, run_output_failed_cb, self);
  /* a terminal, say: then lines must not mix there either */
  self->err = same_file (STDOUT_FILENO, STDERR_FILENO)
                ? self->out
                : evp_tool_sink_new (self->loop, STDERR_FILENO, run_hide_progress, run_output_failed_cb, self);
  return TRUE;
}

static int
run_all (Run        *self,
         const char *watcher)
{
  g_autoptr (GError) error = NULL;

  signal (SIGPIPE, SIG_IGN);
  if (!evp_tool_check_free_fds ())
    return EVP_TOOL_USAGE;
  if (!run_prepare (self, watcher, &error))
    {
      evp_tool_error ("%s", error->message);
      return EVP_TOOL_USAGE;
    }

  current_run = self;
  self->done = evp_event_loop_create_future (self->loop);
  evp_event_loop_call_soon (self->loop, run_begin_cb, self, NULL, NULL);
  if (!evp_event_loop_run_until_complete (self->loop, self->done, &error))
    {
      current_run = NULL;
      run_hide_progress (self);
      evp_tool_error ("%s", error->message);
      return EVP_TOOL_FAILED;
    }
  current_run = NULL;
  run_hide_progress (self);

  /* nothing is left to be stopped but ourselves */
  for (guint i = 0; i < G_N_ELEMENTS (stop_signals); i++)
    evp_event_loop_remove_signal_handler (self->loop, stop_signals[i]);
  evp_event_loop_remove_signal_handler (self->loop, SIGTSTP);
  if (!self->json)
    run_print_table (self);
  evp_tool_sink_finish (self->out);
  evp_tool_sink_finish (self->err);
  if (self->interrupted != 0)
    return 128 + self->interrupted;
  return self->n_failed > 0 || self->output_failed ? EVP_TOOL_FAILED : EVP_TOOL_OK;
}

static void
run_clear (Run *self)
{
  if (self->kill_timer != NULL)
    evp_timer_handle_unref (self->kill_timer);
  if (self->err != NULL && self->err != self->out)
    evp_tool_sink_free (self->err);
  if (self->out != NULL)
    evp_tool_sink_free (self->out);
  if (self->loop != NULL)
    {
      evp_set_event_loop (NULL, NULL);
      evp_event_loop_close (self->loop, NULL);
    }
  if (self->watcher != NULL)
    evp_child_watcher_close (self->watcher);
  g_clear_object (&self->done);
  g_clear_object (&self->watcher);
  g_clear_object (&self->loop);
  g_queue_clear (&self->waiting);
  g_ptr_array_unref (self->running);
  g_ptr_array_unref (self->jobs);
}

/* GOption wants “-j 4”; as with make, “-j4” will do. The words stay the caller's. */
static GPtrArray *
split_words (int    argc,
             char **argv)
{
  GPtrArray *words = g_ptr_array_new ();

  for (int i = 0; i < argc; i++)
    if (i > 0 && g_str_has_prefix (argv[i], "-j") && argv[i][2] != '\0')
      {
        g_ptr_array_add (words, (char *) "-j");
        g_ptr_array_add (words, argv[i] + 2);
      }
    else
      g_ptr_array_add (words, argv[i]);
  return words;
}

static int
parse_arguments (int         argc,
                 char      **argv,
                 Arguments  *arguments,
                 Run        *run)
{
  g_autoptr (GOptionContext) options = NULL;
  g_autoptr (GPtrArray) words = NULL;
  g_autoptr (GError) error = NULL;
  const GOptionEntry entries[] = {
    { "policy", 0, 0, G_OPTION_ARG_STRING, &arguments->policy, N_("The event loop policy"), N_("POLICY") },
    { "watcher", 0, 0, G_OPTION_ARG_STRING, &arguments->watcher, N_("The child watcher"), N_("WATCHER") },
    { "jobs", 'j', 0, G_OPTION_ARG_INT, &arguments->max_running,
      N_("How many commands run at once (as many as there are processors)"), N_("N") },
    { "timeout", 0, 0, G_OPTION_ARG_DOUBLE, &arguments->timeout,
      N_("End commands that take longer: SIGTERM, then SIGKILL"), N_("SECONDS") },
    { "fail-fast", 0, 0, G_OPTION_ARG_NONE, &run->fail_fast, N_("Stop everything when a command fails"), NULL },
    { "json", 0, 0, G_OPTION_ARG_NONE, &run->json, N_("Print a JSON object per command"), NULL },
    { NULL },
  };

  for (int i = 1; i < argc; i++)
    if (strcmp (argv[i], "--") == 0)
      {
        arguments->command = &argv[i + 1];
        argc = i;
        break;
      }
  words = split_words (argc, argv);
  argc = (int) words->len;
  g_ptr_array_add (words, NULL);
  argv = (char **) words->pdata;

  options = g_option_context_new (_("[-- COMMAND ARGUMENT…]"));
  g_option_context_set_translation_domain (options, GETTEXT_PACKAGE);
  g_option_context_set_summary (options,
                                _("Runs many commands at once on one event loop.\n\n"
                                  "Without a command, reads commands from standard input, one a line, with quotes as a shell\n"
                                  "reads them. Empty lines and comments (#) are skipped. Their output is passed on line by line."));
  g_option_context_set_description (options,
                                    _("Exit status: 0 if all succeeded, 1 if some failed, 2 for wrong usage or unreadable input,\n"
                                      "130 if interrupted."));
  g_option_context_add_main_entries (options, entries, GETTEXT_PACKAGE);
  arguments->max_running = G_MININT;
  if (!g_option_context_parse (options, &argc, &argv, &error))
    return evp_tool_usage ("evp run", "%s", error->message);
  arguments->has_max_running = arguments->max_running != G_MININT;
  if (argc > 1)
    return evp_tool_usage ("evp run", _("“%s” is one word too many; a command comes after “--”"), argv[1]);
  if (arguments->command != NULL && arguments->command[0] == NULL)
    return evp_tool_usage ("evp run", "%s", _("There is no command after “--”"));
  return check_arguments (arguments, run);
}

static void
clear_arguments (Arguments *arguments)
{
  g_clear_pointer (&arguments->policy, g_free);
  g_clear_pointer (&arguments->watcher, g_free);
}

int
evp_tool_run (int    argc,
              char **argv)
{
  Arguments arguments = { 0 };
  Run run = { 0 };
  int status;

  g_set_prgname ("evp run");
  g_log_set_writer_func (log_writer, NULL, NULL);
  status = parse_arguments (argc, argv, &arguments, &run);
  if (status == EVP_TOOL_OK)
    status = use_policy (arguments.policy);
  if (status != EVP_TOOL_OK)
    goto out;

  run.jobs = g_ptr_array_new_with_free_func (job_free);
  run.running = g_ptr_array_new ();
  run.single = arguments.command != NULL;
  run.shares_group = run.single && run.timeout <= 0 && isatty (STDIN_FILENO);
  run.show_progress = arguments.command == NULL && isatty (STDERR_FILENO);
  if (run.single)
    run_add_job (&run, g_strdupv (arguments.command), quote_argv (arguments.command));

  if (run.single || run_read_input (&run))
    status = run_all (&run, arguments.watcher);
  else
    status = EVP_TOOL_USAGE;
  run_clear (&run);

out:
  clear_arguments (&arguments);
  return status;
}
