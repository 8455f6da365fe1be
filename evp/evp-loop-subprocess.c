/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp-loop-subprocess.h"

#include "evp/evp-global.h"
#include "evp/process/evp-subprocess-launcher-private.h"

static void
evp_event_loop_launch (EvpAbstractEventLoop *self,
                       const char * const   *argv,
                       EvpSubprocessOptions *options,
                       GCancellable         *cancellable,
                       GAsyncReadyCallback   callback,
                       gpointer              user_data)
{
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;
  GError *error = NULL;

  if (options != NULL)
    g_set_object (&watcher, evp_subprocess_options_get_child_watcher (options));
  if (watcher == NULL)
    watcher = evp_get_child_watcher (&error);
  evp_subprocess_launch_async (self, watcher, argv, options, error, cancellable, callback, user_data);
}

/**
 * evp_event_loop_subprocess_exec_async:
 * @self: a loop
 * @argv: (array zero-terminated=1) (element-type filename): the program and its arguments
 * @options: (nullable): what is special about the child
 * @cancellable: (nullable): kills the child again, if it comes before the callback
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Starts a child process.
 *
 * A program without a slash in its name is looked for in the `PATH` of the child's environment. No
 * shell is involved. Without options standard input, output and error are inherited; no other
 * descriptor ever reaches the child unless [method@Evp.SubprocessOptions.pass_fd] says so. Starting
 * does not copy this process, however large it is, and returns when the program has been executed or
 * could not be.
 *
 * The child's end is noticed by the watcher of @options, or else by that of the policy
 * ([func@Evp.get_child_watcher]). It is asked first: nothing is started if it is not active.
 *
 * Nothing is reported before this function returns; all errors come out of
 * [method@Evp.AbstractEventLoop.subprocess_exec_finish].
 *
 * Corresponds to asyncio's `loop.subprocess_exec()` and `asyncio.create_subprocess_exec()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_subprocess_exec_async (EvpAbstractEventLoop *self,
                                      const char * const   *argv,
                                      EvpSubprocessOptions *options,
                                      GCancellable         *cancellable,
                                      GAsyncReadyCallback   callback,
                                      gpointer              user_data)
{
  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (options == NULL || EVP_IS_SUBPROCESS_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  evp_event_loop_launch (self, argv, options, cancellable, callback, user_data);
}

/**
 * evp_event_loop_subprocess_exec_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes starting a child process.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR with what the system says, for example %G_IO_ERROR_NOT_FOUND if there is no such
 * program or directory and %G_IO_ERROR_PERMISSION_DENIED if it is not executable;
 * %EVP_ERROR_WATCHER_INACTIVE; %EVP_ERROR_INVALID_ARGUMENT for impossible options or an empty @argv;
 * %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_CANCELLED, after the child has been killed and reaped; and those of
 * the watcher.
 *
 * Returns: (transfer full): the child, or `NULL` with @error set
 *
 * Since: 1.0
 */
EvpSubprocess *
evp_event_loop_subprocess_exec_finish (EvpAbstractEventLoop *self,
                                       GAsyncResult         *result,
                                       GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);

  return evp_subprocess_launch_finish (self, result, error);
}

/**
 * evp_event_loop_subprocess_shell_async:
 * @self: a loop
 * @command: (type filename): a command for the shell
 * @options: (nullable): what is special about the child
 * @cancellable: (nullable): kills the child again, if it comes before the callback
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Starts a child process with `/bin/sh -c`.
 *
 * A command that the shell cannot find is no error here: the shell ends with 127. Never build
 * @command from input of others; [method@Evp.AbstractEventLoop.subprocess_exec_async] needs no quoting.
 * Everything else is as there.
 *
 * Corresponds to asyncio's `loop.subprocess_shell()` and `asyncio.create_subprocess_shell()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_subprocess_shell_async (EvpAbstractEventLoop *self,
                                       const char           *command,
                                       EvpSubprocessOptions *options,
                                       GCancellable         *cancellable,
                                       GAsyncReadyCallback   callback,
                                       gpointer              user_data)
{
  const char *argv[] = { "/bin/sh", "-c", command, NULL };

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (command != NULL);
  g_return_if_fail (options == NULL || EVP_IS_SUBPROCESS_OPTIONS (options));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  evp_event_loop_launch (self, argv, options, cancellable, callback, user_data);
}

/**
 * evp_event_loop_subprocess_shell_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes starting a shell.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of [method@Evp.AbstractEventLoop.subprocess_exec_finish].
 *
 * Returns: (transfer full): the child, or `NULL` with @error set
 *
 * Since: 1.0
 */
EvpSubprocess *
evp_event_loop_subprocess_shell_finish (EvpAbstractEventLoop *self,
                                        GAsyncResult         *result,
                                        GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);

  return evp_subprocess_launch_finish (self, result, error);
}
