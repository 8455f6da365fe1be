/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/process/evp-subprocess-launcher-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/process/evp-subprocess-options-private.h"
#include "evp/process/evp-subprocess-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* A child that runs already and whose starter does not know yet. */
typedef struct
{
  EvpLoopTask *task;
  EvpSubprocess *process;
  EvpAbstractChildWatcher *watcher;
  gboolean scheduled; /* the starter's call has returned */
} EvpSubprocessLaunch;

/* The descriptors of a child before it exists. All close themselves. */
typedef struct
{
  EvpFd parent_ends[3]; /* of pipes, non-blocking */
  EvpFd child_ends[3];
  EvpFd null;
  int sources[3];       /* what becomes 0, 1 and 2 */
} EvpSubprocessStdio;

static void
evp_subprocess_stdio_clear (EvpSubprocessStdio *self)
{
  for (int i = 0; i < 3; i++)
    {
      evp_os_fd_close (evp_os_fd_steal (&self->parent_ends[i]));
      evp_os_fd_close (evp_os_fd_steal (&self->child_ends[i]));
    }
  evp_os_fd_close (evp_os_fd_steal (&self->null));
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (EvpSubprocessStdio, evp_subprocess_stdio_clear)

static gboolean
evp_subprocess_stdio_open_pipe (EvpSubprocessStdio *self,
                                int                 stream,
                                GError            **error)
{
  const int parent = stream == 0 ? 1 : 0;
  int fds[2];

  if (!evp_os_fd_pipe (fds, FALSE, error))
    return FALSE;
  self->parent_ends[stream] = fds[parent];
  self->child_ends[stream] = fds[1 - parent];
  self->sources[stream] = fds[1 - parent];
  return evp_os_fd_set_nonblock (fds[parent], error);
}

static gboolean
evp_subprocess_stdio_open_null (EvpSubprocessStdio *self,
                                int                 stream,
                                GError            **error)
{
  if (self->null < 0 && (self->null = open ("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
    {
      evp_set_error_from_errno (error, errno, "%s", "/dev/null");
      return FALSE;
    }
  self->sources[stream] = self->null;
  return TRUE;
}

static gboolean
evp_subprocess_stdio_open (EvpSubprocessStdio   *self,
                           EvpSubprocessOptions *options,
                           GError              **error)
{
  static const char *const names[3] = { "stdin", "stdout", "stderr" };
  EvpStdio modes[3] = { EVP_STDIO_INHERIT, EVP_STDIO_INHERIT, EVP_STDIO_INHERIT };

  if (options != NULL)
    {
      modes[0] = evp_subprocess_options_get_stdin (options);
      modes[1] = evp_subprocess_options_get_stdout (options);
      modes[2] = evp_subprocess_options_get_stderr (options);
    }
  /* A program may have closed its own; then the number belongs to nobody, or to whatever was opened
   * since: one of our pipes, for example. Looked at before we open anything. */
  for (int i = 0; i < 3; i++)
    if (modes[i] == EVP_STDIO_INHERIT)
      {
        int flags = fcntl (i, F_GETFD);

        if (flags < 0 || (flags & FD_CLOEXEC) != 0)
          modes[i] = EVP_STDIO_NULL;
      }

  for (int i = 0; i < 3; i++)
    switch (modes[i])
      {
      case EVP_STDIO_INHERIT:
        break;
      case EVP_STDIO_PIPE:
        if (!evp_subprocess_stdio_open_pipe (self, i, error))
          return FALSE;
        break;
      case EVP_STDIO_NULL:
        if (!evp_subprocess_stdio_open_null (self, i, error))
          return FALSE;
        break;
      case EVP_STDIO_FD:
        self->sources[i] = evp_subprocess_options_get_stdio_fd (options, i);
        if (!evp_os_fd_is_open (self->sources[i]))
          {
            g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                         /* Translators: %s is "stdin", "stdout" or "stderr", %d the number of a descriptor */
                         _("The child's %s is to be descriptor %d, which is not open"),
                         names[i], self->sources[i]);
            return FALSE;
          }
        break;
      case EVP_STDIO_MERGE:
        if (i == 2)
          {
            self->sources[2] = self->sources[1];
            break;
          }
        G_GNUC_FALLTHROUGH;
      default:
        g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                     /* Translators: the first %s is "stdin" or "stdout"; do not translate EVP_STDIO_MERGE */
                     _("The child's %s cannot be EVP_STDIO_MERGE: only stderr can be merged"), names[i]);
        return FALSE;
      }
  return TRUE;
}

/* Runs inside the watcher's bracket. */
static EvpSubprocess *
evp_subprocess_start (EvpAbstractEventLoop    *loop,
                      EvpAbstractChildWatcher *watcher,
                      const EvpOsSpawnRequest *request,
                      EvpSubprocessStdio      *stdio,
                      GError                 **error)
{
  g_autoptr (EvpSubprocess) process = NULL;
  pid_t pid;
  int pidfd;

  if (!evp_child_watcher_is_active (watcher))
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_WATCHER_INACTIVE,
                   /* Translators: %s is the class name of a child watcher */
                   _("%s is not active, so nobody would notice the end of a child; attach it to a loop, and start "
                     "the child in a callback of that loop, when it runs; or take another watcher"),
                   G_OBJECT_TYPE_NAME (watcher));
      return NULL;
    }
  if (!evp_os_spawn (request, &pid, &pidfd, error))
    return NULL;
  process = evp_subprocess_new (loop);
  evp_subprocess_take_pipes (process, evp_os_fd_steal (&stdio->parent_ends[0]),
                             evp_os_fd_steal (&stdio->parent_ends[1]),
                             evp_os_fd_steal (&stdio->parent_ends[2]));
  if (!evp_subprocess_watch (process, watcher, pid, pidfd, error))
    {
      evp_subprocess_discard (process, NULL);
      return NULL;
    }
  return g_steal_pointer (&process);
}

static EvpSubprocess *
evp_subprocess_spawn (EvpAbstractEventLoop    *loop,
                      EvpAbstractChildWatcher *watcher,
                      const char * const      *argv,
                      EvpSubprocessOptions    *options,
                      GError                 **error)
{
  g_auto (EvpSubprocessStdio) stdio = {
    { EVP_FD_NONE, EVP_FD_NONE, EVP_FD_NONE },
    { EVP_FD_NONE, EVP_FD_NONE, EVP_FD_NONE },
    EVP_FD_NONE,
    { 0, 1, 2 },
  };
  EvpOsSpawnRequest request = { .argv = argv, .process_group = -1, .restore_signals = TRUE };
  EvpOsSpawnFd standard[3];
  g_autofree EvpOsSpawnFd *all = NULL;
  EvpSubprocess *process;

  if (argv == NULL || argv[0] == NULL)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("There is no program to run: the list of arguments is empty"));
      return NULL;
    }
  if (evp_event_loop_is_closed (loop))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return NULL;
    }

  if (options != NULL)
    evp_subprocess_options_fill (options, &request);
  if (!evp_subprocess_stdio_open (&stdio, options, error))
    return NULL;
  for (int i = 0; i < 3; i++)
    standard[i] = (EvpOsSpawnFd) { stdio.sources[i], i };
  request.fds = standard;
  request.n_fds = 3;
  if (options != NULL && evp_subprocess_options_get_fds (options) != NULL)
    {
      const GArray *more = evp_subprocess_options_get_fds (options);

      all = g_new (EvpOsSpawnFd, 3 + more->len);
      memcpy (all, standard, sizeof standard);
      memcpy (all + 3, more->data, more->len * sizeof *all);
      request.fds = all;
      request.n_fds = 3 + more->len;
    }

  evp_child_watcher_enter (watcher);
  process = evp_subprocess_start (loop, watcher, &request, &stdio, error);
  evp_child_watcher_exit (watcher);
  return process;
}

/* A child whose starter has changed his mind has ended. */
static void
evp_subprocess_launch_aborted_cb (GObject      *source,
                                  GAsyncResult *result,
                                  gpointer      user_data)
{
  g_autoptr (EvpLoopTask) task = user_data;
  GError *error = NULL;

  if (evp_subprocess_wait_finish (EVP_SUBPROCESS (source), result, &error) == EVP_RETURNCODE_NONE)
    {
      evp_subprocess_discard (EVP_SUBPROCESS (source), NULL); /* the watcher has dropped it */
      g_clear_error (&error);
    }
  evp_loop_task_return_error_now (task, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                             _("Operation was cancelled")));
}

static void
evp_subprocess_launch_started_cb (gpointer user_data)
{
  EvpSubprocessLaunch *self = user_data;
  g_autoptr (EvpSubprocess) process = g_steal_pointer (&self->process);

  if (g_cancellable_is_cancelled (evp_loop_task_get_cancellable (self->task)))
    {
      evp_subprocess_close (process);
      evp_subprocess_announce (process);
      evp_subprocess_wait_async (process, NULL, evp_subprocess_launch_aborted_cb,
                                 g_object_ref (self->task));
      return;
    }
  evp_subprocess_announce (process); /* first: the callback may run the loop until the child has ended */
  evp_loop_task_return_pointer_now (self->task, g_steal_pointer (&process), g_object_unref);
}

static void
evp_subprocess_launch_free (gpointer user_data)
{
  EvpSubprocessLaunch *self = user_data;

  if (self->process != NULL)
    {
      GError *error;

      /* the loop was closed in between */
      evp_subprocess_discard (self->process, self->watcher);
      g_object_unref (self->process);
      error = g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                   _("The event loop is closed; make a new one"));
      if (self->scheduled)
        evp_loop_task_return_error_now (self->task, error);
      else
        evp_loop_task_return_error (self->task, error);
    }
  g_object_unref (self->watcher);
  g_object_unref (self->task);
  g_free (self);
}

void
evp_subprocess_launch_async (EvpAbstractEventLoop    *loop,
                             EvpAbstractChildWatcher *watcher,
                             const char * const      *argv,
                             EvpSubprocessOptions    *options,
                             GError                  *error,
                             GCancellable            *cancellable,
                             GAsyncReadyCallback      callback,
                             gpointer                 user_data)
{
  g_autoptr (EvpLoopTask) task = evp_loop_task_new (loop, loop, evp_subprocess_launch_async,
                                                    cancellable, callback, user_data);
  EvpSubprocessLaunch *launch;
  EvpSubprocess *process = NULL;

  if (error == NULL && !g_cancellable_set_error_if_cancelled (cancellable, &error))
    process = evp_subprocess_spawn (loop, watcher, argv, options, &error);
  if (process == NULL)
    {
      evp_loop_task_return_error (task, error);
      return;
    }

  launch = g_new0 (EvpSubprocessLaunch, 1);
  launch->task = g_steal_pointer (&task);
  launch->process = process;
  launch->watcher = g_object_ref (watcher);
  if (evp_event_loop_call_soon (loop, evp_subprocess_launch_started_cb, launch,
                                evp_subprocess_launch_free, NULL) != NULL)
    launch->scheduled = TRUE;
}

EvpSubprocess *
evp_subprocess_launch_finish (EvpAbstractEventLoop *loop,
                              GAsyncResult         *result,
                              GError              **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, loop, evp_subprocess_launch_async), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}
