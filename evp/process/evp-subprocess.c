/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/process/evp-subprocess-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-post-private.h"
#include "evp/loop/evp-pipe-input-stream-private.h"
#include "evp/loop/evp-pipe-output-stream-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-fork-private.h"
#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-child-handler-private.h"
#include "evp/watcher/evp-pidfd-child-watcher-private.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

/**
 * EvpSubprocess:
 *
 * A child process that was started by a loop.
 *
 * It comes from [method@Evp.AbstractEventLoop.subprocess_exec_finish] or
 * [method@Evp.AbstractEventLoop.subprocess_shell_finish]. Standard streams for which the options say
 * %EVP_STDIO_PIPE are GIO streams here; the others are `NULL`.
 *
 * ```c
 * static void
 * on_output (GObject *source, GAsyncResult *result, gpointer user_data)
 * {
 *   g_autoptr (GBytes) output = NULL;
 *   g_autoptr (GError) error = NULL;
 *
 *   if (evp_subprocess_communicate_finish (EVP_SUBPROCESS (source), result, &output, NULL, &error))
 *     g_print ("%.*s", (int) g_bytes_get_size (output), (const char *) g_bytes_get_data (output, NULL));
 *   else
 *     g_printerr ("%s\n", error->message);
 * }
 *
 * static void
 * on_started (GObject *source, GAsyncResult *result, gpointer user_data)
 * {
 *   g_autoptr (GError) error = NULL;
 *   g_autoptr (EvpSubprocess) child =
 *     evp_event_loop_subprocess_exec_finish (EVP_EVENT_LOOP (source), result, &error);
 *
 *   if (child != NULL)
 *     evp_subprocess_communicate_async (child, NULL, NULL, on_output, NULL);
 *   else
 *     g_printerr ("%s\n", error->message);
 * }
 * ```
 *
 * ## The end of a child
 *
 * A child's end is known when its child watcher has reported it to the loop; then the signal
 * [signal@Evp.Subprocess::exited] is emitted, the properties change, and everybody who waits is woken.
 * Only the watcher ever waits for the process: nothing here takes its status away.
 *
 * The end of the process and the end of its output are two things, in either order. The streams stay
 * open when the child has ended, so nothing that it wrote is lost, and a grandchild that holds them can
 * keep them open for as long as it likes. [method@Evp.Subprocess.wait_async] ends with the process,
 * [method@Evp.Subprocess.wait_closed_async] with the streams too.
 *
 * ## Lifetime
 *
 * A running child's object lives until its end has been delivered, whether or not anybody else refers
 * to it: dropping a reference never kills. If the watcher or the loop is closed before that, nobody will
 * report the end: pending waits fail, and when the object is released with its child still running,
 * there is a warning and the child is killed. [method@Evp.Subprocess.close] beforehand avoids the
 * warning. Streams may outlive the object.
 *
 * ## Threads
 *
 * Everything happens on the thread of the loop: use the object from there, and expect signals and
 * callbacks there.
 *
 * In asyncio this is `asyncio.subprocess.Process`, with its transport.
 *
 * Since: 1.0
 */

struct _EvpSubprocess
{
  GObject parent_instance;

  EvpAbstractEventLoop *loop; /* NULL only for g_object_new() */
  GPid pid;                   /* 0: none */
  EvpSharedFd *pidfd;         /* the watcher may have it too; (owned) (nullable) */
  guint generation;           /* of the process whose child it is */
  GThread *thread;            /* where it was made: the loop's, when nobody runs that */

  GOutputStream *stdin_stream;
  GInputStream *output_streams[2]; /* stdout, stderr */

  EvpChildOutcome outcome; /* written by the handler, which belongs to the watcher and owns a reference to us */
  int ended_returncode;
  int returncode;
  guint announced : 1; /* whoever started the child has this object */
  guint ended : 1;     /* the watcher has reported the end */
  guint published : 1; /* so have we */
  guint unwatched : 1; /* the watcher has dropped the child */
  guint closed : 1;

  GQueue waiters;        /* of EvpLoopTask: for the exit */
  GQueue closed_waiters; /* the same: for the streams too */
  gulong loop_closed_id; /* while there are some: the connection to the loop's signal "closed" */
};

G_DEFINE_FINAL_TYPE (EvpSubprocess, evp_subprocess, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_PID,
  PROP_RETURNCODE,
  PROP_LOST,
  PROP_CPU_TIME,
  PROP_STDIN,
  PROP_STDOUT,
  PROP_STDERR,
  N_PROPS
};

enum
{
  SIGNAL_EXITED,
  N_SIGNALS
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

static void
evp_subprocess_clear_pidfd (EvpSubprocess *self)
{
  g_clear_pointer (&self->pidfd, evp_os_shared_fd_unref);
}

static void
evp_subprocess_forget_loop (EvpSubprocess *self)
{
  if (self->loop_closed_id != 0)
    g_signal_handler_disconnect (self->loop, self->loop_closed_id);
  self->loop_closed_id = 0;
}

static gboolean
evp_subprocess_pipes_ended (EvpSubprocess *self)
{
  if (self->stdin_stream != NULL
      && !evp_pipe_output_stream_get_ended (EVP_PIPE_OUTPUT_STREAM (self->stdin_stream)))
    return FALSE;
  for (int i = 0; i < 2; i++)
    if (self->output_streams[i] != NULL
        && !evp_pipe_input_stream_get_ended (EVP_PIPE_INPUT_STREAM (self->output_streams[i])))
      return FALSE;
  return TRUE;
}

static void
evp_subprocess_check_closed (EvpSubprocess *self)
{
  EvpLoopTask *task;

  if (!self->published || g_queue_is_empty (&self->closed_waiters))
    return;
  /* nobody may be writing; then only the hang-up tells that the reader has gone */
  if (self->stdin_stream != NULL)
    evp_pipe_output_stream_watch_hang_up (EVP_PIPE_OUTPUT_STREAM (self->stdin_stream));
  if (!evp_subprocess_pipes_ended (self))
    return;
  evp_subprocess_forget_loop (self);
  while ((task = g_queue_pop_head (&self->closed_waiters)) != NULL)
    {
      evp_loop_task_return_int (task, TRUE);
      g_object_unref (task);
    }
}

/* What the streams know of the child, which may be dropped on another thread while one of them ends. */
static void
evp_subprocess_link_clear (gpointer link)
{
  g_weak_ref_clear (link);
}

static void
evp_subprocess_link_unref (gpointer link)
{
  g_atomic_rc_box_release_full (link, evp_subprocess_link_clear);
}

static void
evp_subprocess_pipe_ended_cb (gpointer link)
{
  g_autoptr (EvpSubprocess) self = g_weak_ref_get (link);

  if (self != NULL)
    evp_subprocess_check_closed (self);
}

static void
evp_subprocess_publish (EvpSubprocess *self)
{
  EvpLoopTask *task;

  if (self->published || !self->announced || !self->ended)
    return;
  g_object_ref (self);
  self->published = TRUE;
  self->returncode = self->ended_returncode;
  EVP_DEBUG_NOTE (EVP_DEBUG_PROCESS, "child %d: return code %d%s", (int) self->pid, self->returncode,
                  self->outcome.lost ? " (lost)" : "");
  while ((task = g_queue_pop_head (&self->waiters)) != NULL)
    {
      evp_loop_task_return_int (task, self->returncode);
      g_object_unref (task);
    }
  evp_subprocess_check_closed (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_RETURNCODE]);
  if (self->outcome.lost)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LOST]);
  if (self->outcome.cpu_time >= 0)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CPU_TIME]);
  g_signal_emit (self, signals[SIGNAL_EXITED], 0, self->returncode);
  g_object_unref (self);
}

/* The watcher, or whoever has it, says that the child has ended. */
static void
evp_subprocess_ended_cb (GPid     pid,
                         int      returncode,
                         gpointer user_data)
{
  EvpSubprocess *self = user_data;

  if (self->ended)
    return;
  self->ended = TRUE;
  self->ended_returncode = returncode;
  evp_subprocess_clear_pidfd (self);
  evp_subprocess_publish (self);
}

static GError *
evp_subprocess_unwatched_error (EvpSubprocess *self)
{
  if (evp_event_loop_is_closed (self->loop))
    return g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                _("The event loop is closed; make a new one"));
  return g_error_new (EVP_ERROR, EVP_ERROR_WATCHER_CLOSED,
                      _("The child watcher has dropped child %d without telling its end; a watcher calls "
                        "evp_child_handler_invoke() once for each child, and is closed after its children"),
                      (int) self->pid);
}

static void
evp_subprocess_fail_waiters (EvpSubprocess *self,
                             GQueue        *waiters)
{
  EvpLoopTask *task;

  while ((task = g_queue_pop_head (waiters)) != NULL)
    {
      GError *error = evp_subprocess_unwatched_error (self);

      if (error->code == EVP_ERROR_LOOP_CLOSED)
        evp_loop_task_return_error_now (task, error);
      else
        evp_loop_task_return_error (task, error);
      g_object_unref (task);
    }
}

static void
evp_subprocess_loop_closed_cb (EvpAbstractEventLoop *loop,
                               EvpSubprocess        *self)
{
  g_object_ref (self);
  evp_subprocess_forget_loop (self);
  evp_subprocess_fail_waiters (self, &self->closed_waiters);
  g_object_unref (self);
}

/* Whoever waits for a stream waits for ever once its loop is closed. */
static void
evp_subprocess_mind_loop (EvpSubprocess *self)
{
  GSignalQuery query = { 0 };
  guint signal_id;

  if (self->loop_closed_id != 0)
    return;
  /* loops written elsewhere need not have it */
  signal_id = g_signal_lookup ("closed", G_OBJECT_TYPE (self->loop));
  if (signal_id == 0)
    return;
  g_signal_query (signal_id, &query);
  if (query.n_params == 0 && query.return_type == G_TYPE_NONE)
    self->loop_closed_id = g_signal_connect (self->loop, "closed", G_CALLBACK (evp_subprocess_loop_closed_cb), self);
}

/* The handler has done its work, or has been dropped. */
static void
evp_subprocess_handler_gone (gpointer user_data)
{
  EvpSubprocess *self = user_data;

  if (!self->ended)
    {
      /* reaped, but the news did not get through? then its number is nobody's business any more */
      self->ended = g_atomic_int_get (&self->outcome.done) != 0;
      self->unwatched = TRUE;
      evp_subprocess_fail_waiters (self, &self->waiters);
      evp_subprocess_fail_waiters (self, &self->closed_waiters);
    }
  g_object_unref (self);
}

static void
evp_subprocess_wait_cancel_cb (EvpLoopTask *task,
                               gpointer     data)
{
  EvpSubprocess *self = data;

  if (!g_queue_remove (&self->waiters, task) && !g_queue_remove (&self->closed_waiters, task))
    return;
  if (g_queue_is_empty (&self->closed_waiters))
    {
      evp_subprocess_forget_loop (self);
      if (self->stdin_stream != NULL)
        evp_pipe_output_stream_ignore_hang_up (EVP_PIPE_OUTPUT_STREAM (self->stdin_stream));
    }
  evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                  "%s", _("Operation was cancelled"));
  g_object_unref (task);
}

/* Queues @task (transfer full), or lets it fail at once. */
static void
evp_subprocess_queue_waiter (EvpSubprocess *self,
                             GQueue        *waiters,
                             EvpLoopTask   *task)
{
  GCancellable *cancellable = evp_loop_task_get_cancellable (task);

  if (g_cancellable_is_cancelled (cancellable))
    evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                    "%s", _("Operation was cancelled"));
  else if (self->unwatched
           || (evp_event_loop_is_closed (self->loop) && !(self->published && evp_subprocess_pipes_ended (self))))
    evp_loop_task_return_error (task, evp_subprocess_unwatched_error (self));
  else
    {
      g_queue_push_tail (waiters, task);
      evp_loop_task_set_cancel_func (task, evp_subprocess_wait_cancel_cb, self);
      return;
    }
  g_object_unref (task);
}

/*
 * 0 or an errno; ESRCH if the child is dead, whether it has been reaped or not. Never reaps, and never
 * reaches anybody else: a pidfd cannot, and a number is used only while it names a child of ours.
 */
static int
evp_subprocess_deliver_signal (EvpSubprocess *self,
                               int            signum)
{
  siginfo_t info;

  /* after fork(), it is the child of somebody else */
  if (self->generation != evp_os_fork_generation () || g_atomic_int_get (&self->outcome.done))
    return ESRCH;
  if (self->pidfd != NULL)
    return evp_os_pidfd_send_signal (self->pidfd->fd, signum);
  if (waitid (P_PID, (id_t) self->pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
    return ESRCH;
  return kill (self->pid, signum) < 0 ? errno : 0;
}

/* The streams live on with those who use them. On another thread they are left alone: they find out. */
static void
evp_subprocess_unlink_pipes (EvpSubprocess *self)
{
  if (self->stdin_stream != NULL)
    evp_pipe_output_stream_set_ended_func (EVP_PIPE_OUTPUT_STREAM (self->stdin_stream), NULL, NULL, NULL);
  for (int i = 0; i < 2; i++)
    if (self->output_streams[i] != NULL)
      evp_pipe_input_stream_set_ended_func (EVP_PIPE_INPUT_STREAM (self->output_streams[i]), NULL, NULL, NULL);
}

static void
evp_subprocess_dispose (GObject *object)
{
  EvpSubprocess *self = EVP_SUBPROCESS (object);

  if (self->pid > 0 && !self->ended && !self->closed)
    {
      /* Translators: %d is a process number */
      evp_warn_runtime (_("Child %d still runs though nothing watches or refers to it any more; it is "
                          "killed. Wait for it, or call close(), before the loop or the child watcher "
                          "is closed"), (int) self->pid);
      evp_subprocess_close (self);
    }
  if (self->loop != NULL
      && (evp_event_loop_is_closed (self->loop) || evp_loop_is_local_thread (self->loop, self->thread)))
    evp_subprocess_unlink_pipes (self);
  g_clear_object (&self->stdin_stream);
  for (int i = 0; i < 2; i++)
    g_clear_object (&self->output_streams[i]);

  G_OBJECT_CLASS (evp_subprocess_parent_class)->dispose (object);
}

static void
evp_subprocess_finalize (GObject *object)
{
  EvpSubprocess *self = EVP_SUBPROCESS (object);

  evp_subprocess_clear_pidfd (self);
  evp_subprocess_forget_loop (self);
  g_clear_object (&self->loop);

  G_OBJECT_CLASS (evp_subprocess_parent_class)->finalize (object);
}

static void
evp_subprocess_get_property (GObject    *object,
                             guint       property_id,
                             GValue     *value,
                             GParamSpec *pspec)
{
  EvpSubprocess *self = EVP_SUBPROCESS (object);

  switch (property_id)
    {
    case PROP_PID:
      g_value_set_int (value, self->pid);
      break;
    case PROP_RETURNCODE:
      g_value_set_int (value, self->returncode);
      break;
    case PROP_LOST:
      g_value_set_boolean (value, evp_subprocess_get_lost (self));
      break;
    case PROP_CPU_TIME:
      g_value_set_double (value, evp_subprocess_get_cpu_time (self));
      break;
    case PROP_STDIN:
      g_value_set_object (value, self->stdin_stream);
      break;
    case PROP_STDOUT:
    case PROP_STDERR:
      g_value_set_object (value, self->output_streams[property_id - PROP_STDOUT]);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_subprocess_class_init (EvpSubprocessClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->dispose = evp_subprocess_dispose;
  object_class->finalize = evp_subprocess_finalize;
  object_class->get_property = evp_subprocess_get_property;

  /**
   * EvpSubprocess:pid:
   *
   * The number of the process.
   *
   * Since: 1.0
   */
  properties[PROP_PID] = g_param_spec_int ("pid", NULL, NULL, 0, G_MAXINT, 0, flags);
  /**
   * EvpSubprocess:returncode:
   *
   * How the child ended; %EVP_RETURNCODE_NONE until that is known.
   *
   * Since: 1.0
   */
  properties[PROP_RETURNCODE] = g_param_spec_int ("returncode", NULL, NULL, G_MININT, G_MAXINT,
                                                  EVP_RETURNCODE_NONE, flags);
  /**
   * EvpSubprocess:lost:
   *
   * Whether the child has ended but somebody else has taken its status.
   *
   * Since: 1.0
   */
  properties[PROP_LOST] = g_param_spec_boolean ("lost", NULL, NULL, FALSE, flags);
  /**
   * EvpSubprocess:cpu-time:
   *
   * How much processor time the child took, in seconds; -1.0 until that is known, or where it never is.
   *
   * Since: 1.0
   */
  properties[PROP_CPU_TIME] = g_param_spec_double ("cpu-time", NULL, NULL, -1.0, G_MAXDOUBLE, -1.0, flags);
  /**
   * EvpSubprocess:stdin:
   *
   * The stream that writes to the child's standard input, if that is a pipe.
   *
   * Since: 1.0
   */
  properties[PROP_STDIN] = g_param_spec_object ("stdin", NULL, NULL, G_TYPE_OUTPUT_STREAM, flags);
  /**
   * EvpSubprocess:stdout:
   *
   * The stream that reads the child's standard output, if that is a pipe.
   *
   * Since: 1.0
   */
  properties[PROP_STDOUT] = g_param_spec_object ("stdout", NULL, NULL, G_TYPE_INPUT_STREAM, flags);
  /**
   * EvpSubprocess:stderr:
   *
   * The stream that reads the child's standard error, if that is a pipe of its own.
   *
   * Since: 1.0
   */
  properties[PROP_STDERR] = g_param_spec_object ("stderr", NULL, NULL, G_TYPE_INPUT_STREAM, flags);

  g_object_class_install_properties (object_class, N_PROPS, properties);

  /**
   * EvpSubprocess::exited:
   * @self: the child
   * @returncode: exit code 0–255, or minus the number of the signal that killed it
   *
   * Emitted once, on the thread of the loop, when the end of the child is known.
   *
   * Its output may not have been read to the end yet. If the status was taken by somebody else,
   * @returncode is %EVP_RETURNCODE_LOST and [property@Evp.Subprocess:lost] is `TRUE`.
   *
   * Since: 1.0
   */
  signals[SIGNAL_EXITED] = g_signal_new ("exited", EVP_TYPE_SUBPROCESS, G_SIGNAL_RUN_LAST, 0,
                                         NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT);
}

static void
evp_subprocess_init (EvpSubprocess *self)
{
  self->generation = evp_os_fork_generation ();
  self->thread = g_thread_self ();
  self->returncode = EVP_RETURNCODE_NONE;
  self->outcome.cpu_time = -1.0;
}

EvpSubprocess *
evp_subprocess_new (EvpAbstractEventLoop *loop)
{
  EvpSubprocess *self = g_object_new (EVP_TYPE_SUBPROCESS, NULL);

  self->loop = g_object_ref (loop);
  return self;
}

EvpAbstractEventLoop *
evp_subprocess_get_loop (EvpSubprocess *self)
{
  return self->loop;
}

void
evp_subprocess_take_pipes (EvpSubprocess *self,
                           int            stdin_fd,
                           int            stdout_fd,
                           int            stderr_fd)
{
  const int output_fds[2] = { stdout_fd, stderr_fd };
  GWeakRef *link;

  if (stdin_fd < 0 && stdout_fd < 0 && stderr_fd < 0)
    return;
  link = g_atomic_rc_box_new (GWeakRef);
  g_weak_ref_init (link, self);

  if (stdin_fd >= 0)
    {
      self->stdin_stream = evp_pipe_output_stream_new (self->loop, stdin_fd);
      evp_pipe_output_stream_set_ended_func (EVP_PIPE_OUTPUT_STREAM (self->stdin_stream),
                                             evp_subprocess_pipe_ended_cb, g_atomic_rc_box_acquire (link),
                                             evp_subprocess_link_unref);
    }
  for (int i = 0; i < 2; i++)
    if (output_fds[i] >= 0)
      {
        self->output_streams[i] = evp_pipe_input_stream_new (self->loop, output_fds[i]);
        evp_pipe_input_stream_set_ended_func (EVP_PIPE_INPUT_STREAM (self->output_streams[i]),
                                              evp_subprocess_pipe_ended_cb, g_atomic_rc_box_acquire (link),
                                              evp_subprocess_link_unref);
      }
  evp_subprocess_link_unref (link);
}

gboolean
evp_subprocess_watch (EvpSubprocess           *self,
                      EvpAbstractChildWatcher *watcher,
                      GPid                     pid,
                      int                      pidfd,
                      GError                 **error)
{
  g_autoptr (EvpChildHandler) handler = evp_child_handler_new (pid, self->loop, evp_subprocess_ended_cb,
                                                               g_object_ref (self),
                                                               evp_subprocess_handler_gone);

  self->pid = pid;
  if (pidfd >= 0)
    self->pidfd = evp_os_shared_fd_new (pidfd);
  evp_child_handler_set_outcome (handler, &self->outcome);
  /* The library's own watcher shares the pidfd; a subclass may have a slot of its own, and gets the pid. */
  if (self->pidfd != NULL && G_OBJECT_TYPE (watcher) == EVP_TYPE_PIDFD_CHILD_WATCHER)
    return evp_pidfd_child_watcher_add_handler_with_pidfd (EVP_PIDFD_CHILD_WATCHER (watcher), pid, self->pidfd,
                                                           handler, error);
  return evp_child_watcher_add_handler (watcher, pid, handler, error);
}

static void
evp_subprocess_publish_cb (gpointer user_data)
{
  evp_subprocess_publish (user_data);
}

/* It has been published, or the loop was closed first. */
static void
evp_subprocess_publish_gone (gpointer user_data)
{
  EvpSubprocess *self = user_data;

  if (!self->published)
    {
      self->unwatched = TRUE;
      evp_subprocess_fail_waiters (self, &self->waiters);
      evp_subprocess_fail_waiters (self, &self->closed_waiters);
    }
  g_object_unref (self);
}

void
evp_subprocess_announce (EvpSubprocess *self)
{
  self->announced = TRUE;
  if (self->ended)
    evp_event_loop_call_soon (self->loop, evp_subprocess_publish_cb,
                              g_object_ref (self), evp_subprocess_publish_gone, NULL);
}

void
evp_subprocess_discard (EvpSubprocess           *self,
                        EvpAbstractChildWatcher *watcher)
{
  int returncode, failed;

  evp_subprocess_close (self);
  if (self->ended)
    return;
  failed = evp_subprocess_deliver_signal (self, SIGKILL);
  if (watcher != NULL)
    evp_child_watcher_remove_handler (watcher, self->pid);
  /* A killed child ends at once. One that may not be killed, because it has become another user
   * since, cannot be waited for here. */
  if ((failed == 0 || failed == ESRCH) && evp_os_wait_peek (self->pid))
    evp_os_wait_reap (self->pid, &returncode, NULL);
  self->ended = TRUE;
  evp_subprocess_clear_pidfd (self);
}

/**
 * evp_subprocess_get_pid:
 * @self: a child
 *
 * Gets the number of the process.
 *
 * After the child's end the number may belong to another process.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: the number
 *
 * Since: 1.0
 */
GPid
evp_subprocess_get_pid (EvpSubprocess *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), 0);

  return self->pid;
}

/**
 * evp_subprocess_get_returncode:
 * @self: a child
 *
 * Gets how the child ended.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: the exit code 0–255; minus the number of the signal that killed the child;
 *   %EVP_RETURNCODE_LOST if somebody else has taken the status; %EVP_RETURNCODE_NONE until the end has
 *   been reported on the loop
 *
 * Since: 1.0
 */
int
evp_subprocess_get_returncode (EvpSubprocess *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), EVP_RETURNCODE_NONE);

  return self->returncode;
}

/**
 * evp_subprocess_get_lost:
 * @self: a child
 *
 * Gets whether the child has ended but somebody else has taken its status.
 *
 * Only then is a return code of %EVP_RETURNCODE_LOST not the child's own.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: `TRUE` if the status is lost
 *
 * Since: 1.0
 */
gboolean
evp_subprocess_get_lost (EvpSubprocess *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), FALSE);

  return self->published && self->outcome.lost;
}

/**
 * evp_subprocess_get_cpu_time:
 * @self: a child
 *
 * Gets how much processor time the child took: its own, in user and system mode, and that of those of
 * its descendants that were waited for.
 *
 * The child watcher finds it out when it learns how the child ended, see
 * [method@Evp.ChildHandler.get_cpu_time]; not every watcher does.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: seconds, or -1.0 while the child runs and where it is not known
 *
 * Since: 1.0
 */
double
evp_subprocess_get_cpu_time (EvpSubprocess *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), -1.0);

  return self->published ? self->outcome.cpu_time : -1.0;
}

/**
 * evp_subprocess_get_stdin:
 * @self: a child
 *
 * Gets the stream that writes to the child's standard input.
 *
 * Closing it is the child's end of file. What [method@Evp.AbstractEventLoop.connect_write_pipe] says
 * about streams holds here.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (nullable) (transfer none): the stream, or `NULL` if standard input is not a pipe
 *
 * Since: 1.0
 */
GOutputStream *
evp_subprocess_get_stdin (EvpSubprocess *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), NULL);

  return self->stdin_stream;
}

/**
 * evp_subprocess_get_stdout:
 * @self: a child
 *
 * Gets the stream that reads the child's standard output.
 *
 * Closing it makes the child's next write fail with `EPIPE`. What
 * [method@Evp.AbstractEventLoop.connect_read_pipe] says about streams holds here.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (nullable) (transfer none): the stream, or `NULL` if standard output is not a pipe
 *
 * Since: 1.0
 */
GInputStream *
evp_subprocess_get_stdout (EvpSubprocess *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), NULL);

  return self->output_streams[0];
}

/**
 * evp_subprocess_get_stderr:
 * @self: a child
 *
 * Gets the stream that reads the child's standard error.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (nullable) (transfer none): the stream, or `NULL` if standard error is not a pipe of its own
 *
 * Since: 1.0
 */
GInputStream *
evp_subprocess_get_stderr (EvpSubprocess *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), NULL);

  return self->output_streams[1];
}

/**
 * evp_subprocess_wait_async:
 * @self: a child
 * @cancellable: (nullable): ends the waiting, not the child
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Waits for the end of the process.
 *
 * It ends at the exit, also if somebody still holds a pipe of the child;
 * [method@Evp.Subprocess.wait_closed_async] waits for the pipes too. Any number of callers may wait. A
 * child that fills a pipe which nobody reads never ends: read it, or use
 * [method@Evp.Subprocess.communicate_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_wait_async (EvpSubprocess      *self,
                           GCancellable       *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer            user_data)
{
  EvpLoopTask *task;

  g_return_if_fail (EVP_IS_SUBPROCESS (self));
  g_return_if_fail (self->loop != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self->loop, self, evp_subprocess_wait_async, cancellable, callback, user_data);
  if (self->published)
    {
      evp_loop_task_return_int (task, self->returncode);
      g_object_unref (task);
    }
  else
    evp_subprocess_queue_waiter (self, &self->waiters, task);
}

/**
 * evp_subprocess_wait_finish:
 * @self: a child
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes waiting for the end of the process.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR_CANCELLED, %EVP_ERROR_LOOP_CLOSED, or %EVP_ERROR_WATCHER_CLOSED if the watcher
 * has dropped the child.
 *
 * Returns: the return code as of [method@Evp.Subprocess.get_returncode]; %EVP_RETURNCODE_NONE with
 *   @error set
 *
 * Since: 1.0
 */
int
evp_subprocess_wait_finish (EvpSubprocess *self,
                            GAsyncResult  *result,
                            GError       **error)
{
  g_autoptr (GError) local_error = NULL;
  int returncode;

  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), EVP_RETURNCODE_NONE);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_subprocess_wait_async),
                        EVP_RETURNCODE_NONE);
  g_return_val_if_fail (error == NULL || *error == NULL, EVP_RETURNCODE_NONE);

  returncode = (int) evp_loop_task_propagate_int (EVP_LOOP_TASK (result), &local_error);
  if (local_error == NULL)
    return returncode;
  g_propagate_error (error, g_steal_pointer (&local_error));
  return EVP_RETURNCODE_NONE;
}

/**
 * evp_subprocess_wait_closed_async:
 * @self: a child
 * @cancellable: (nullable): ends the waiting, not the child
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Waits until the process has ended and all its pipes are done with.
 *
 * A pipe is done with when its stream was closed, has failed, or, for output, was read to its end:
 * nothing is read on the caller's behalf, so no output is lost. Standard input is also done with when
 * nobody is left to read it. A grandchild that holds a pipe makes this last as long as it lives.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_wait_closed_async (EvpSubprocess      *self,
                                  GCancellable       *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer            user_data)
{
  EvpLoopTask *task;

  g_return_if_fail (EVP_IS_SUBPROCESS (self));
  g_return_if_fail (self->loop != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self->loop, self, evp_subprocess_wait_closed_async,
                            cancellable, callback, user_data);
  evp_subprocess_queue_waiter (self, &self->closed_waiters, task);
  evp_subprocess_check_closed (self);
  if (!g_queue_is_empty (&self->closed_waiters))
    evp_subprocess_mind_loop (self);
}

/**
 * evp_subprocess_wait_closed_finish:
 * @self: a child
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes waiting for the end of the process and of its pipes.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of [method@Evp.Subprocess.wait_finish].
 *
 * Returns: `TRUE`, or `FALSE` with @error set
 *
 * Since: 1.0
 */
gboolean
evp_subprocess_wait_closed_finish (EvpSubprocess *self,
                                   GAsyncResult  *result,
                                   GError       **error)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), FALSE);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_subprocess_wait_closed_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error) > 0;
}

/**
 * evp_subprocess_send_signal:
 * @self: a child
 * @signum: the number of a signal
 * @error: return location for an error
 *
 * Sends a signal to the child.
 *
 * It reaches this child or nobody, never a process that got the same number later. Between the child's
 * death and the moment when the loop learns of it nothing happens, and that is no error.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %EVP_ERROR_NOT_FOUND once the end of the child is known, %EVP_ERROR_INVALID_ARGUMENT if
 * there is no such signal, %G_IO_ERROR_PERMISSION_DENIED.
 *
 * Returns: `TRUE`, or `FALSE` with @error set
 *
 * Since: 1.0
 */
gboolean
evp_subprocess_send_signal (EvpSubprocess *self,
                            int            signum,
                            GError       **error)
{
  int failed;

  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (signum < 0 || signum >= NSIG)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, _("There is no signal %d"), signum);
      return FALSE;
    }
  if (self->pid <= 0 || self->published)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND,
                   _("Child %d has ended already"), (int) self->pid);
      return FALSE;
    }
  if (self->ended)
    return TRUE;
  failed = evp_subprocess_deliver_signal (self, signum);
  if (failed == 0 || failed == ESRCH)
    return TRUE;
  if (failed == EINVAL)
    g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, _("There is no signal %d"), signum);
  else
    evp_set_error_from_errno (error, failed, _("Child %d cannot be sent signal %d"),
                              (int) self->pid, signum);
  return FALSE;
}

/**
 * evp_subprocess_terminate:
 * @self: a child
 * @error: return location for an error
 *
 * Asks the child to end: sends `SIGTERM`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of [method@Evp.Subprocess.send_signal].
 *
 * Returns: `TRUE`, or `FALSE` with @error set
 *
 * Since: 1.0
 */
gboolean
evp_subprocess_terminate (EvpSubprocess *self,
                          GError       **error)
{
  return evp_subprocess_send_signal (self, SIGTERM, error);
}

/**
 * evp_subprocess_kill:
 * @self: a child
 * @error: return location for an error
 *
 * Ends the child: sends `SIGKILL`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of [method@Evp.Subprocess.send_signal].
 *
 * Returns: `TRUE`, or `FALSE` with @error set
 *
 * Since: 1.0
 */
gboolean
evp_subprocess_kill (EvpSubprocess *self,
                     GError       **error)
{
  return evp_subprocess_send_signal (self, SIGKILL, error);
}

/**
 * evp_subprocess_close:
 * @self: a child
 *
 * Is done with the child: closes its pipes, and kills it if it still runs.
 *
 * Operations pending on the streams fail with %G_IO_ERROR_CLOSED. The child's end is still delivered,
 * as [signal@Evp.Subprocess::exited] and to those who wait. Closing again does nothing.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_close (EvpSubprocess *self)
{
  g_return_if_fail (EVP_IS_SUBPROCESS (self));

  if (self->closed)
    return;
  self->closed = TRUE;
  g_object_ref (self);
  if (self->stdin_stream != NULL)
    evp_pipe_output_stream_abort (EVP_PIPE_OUTPUT_STREAM (self->stdin_stream));
  for (int i = 0; i < 2; i++)
    if (self->output_streams[i] != NULL)
      evp_pipe_input_stream_abort (EVP_PIPE_INPUT_STREAM (self->output_streams[i]));
  /* a refusal is ignored: there is nobody who could do better */
  if (self->pid > 0 && !self->ended)
    evp_subprocess_deliver_signal (self, SIGKILL);
  g_object_unref (self);
}
