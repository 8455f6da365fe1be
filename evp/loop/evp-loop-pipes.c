/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-abstract-event-loop.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-pipe-input-stream-private.h"
#include "evp/loop/evp-pipe-output-stream-private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* Whether a stream can be made of @fd; if so it is in non-blocking mode afterwards. */
static gboolean
evp_event_loop_check_pipe (EvpAbstractEventLoop *self,
                           int                   fd,
                           int                   wrong_mode,
                           GError              **error)
{
  struct stat status;
  int flags;

  if (evp_event_loop_is_closed (self))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return FALSE;
    }
  if (fd < 0)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                   _("%d is not a file descriptor; it must not be negative"), fd);
      return FALSE;
    }
  if (fstat (fd, &status) < 0)
    {
      evp_set_error_from_errno (error, errno, _("File descriptor %d cannot be used"), fd);
      return FALSE;
    }
  if (!S_ISFIFO (status.st_mode) && !S_ISSOCK (status.st_mode) && !S_ISCHR (status.st_mode))
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                   _("File descriptor %d is not a pipe, a socket or a terminal; "
                     "files can be read with GFile"), fd);
      return FALSE;
    }
  flags = fcntl (fd, F_GETFL);
  if (flags >= 0 && (flags & O_ACCMODE) == wrong_mode)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                   wrong_mode == O_WRONLY
                     ? _("File descriptor %d is open for writing only; give the other end of the pipe")
                     : _("File descriptor %d is open for reading only; give the other end of the pipe"), fd);
      return FALSE;
    }
  if (flags < 0 || ((flags & O_NONBLOCK) == 0 && fcntl (fd, F_SETFL, flags | O_NONBLOCK) < 0))
    {
      evp_set_error_from_errno (error, errno, _("File descriptor %d cannot be made non-blocking"), fd);
      return FALSE;
    }
  return TRUE;
}

/**
 * evp_event_loop_connect_read_pipe:
 * @self: a loop
 * @fd: a pipe, a socket or a character device, open for reading
 * @error: return location for an error
 *
 * Makes a stream of a file descriptor, whose asynchronous calls go through the loop.
 *
 * The stream takes the descriptor if this succeeds, and closes it with itself; after an error it still
 * is the caller's. The descriptor becomes non-blocking, and so does every duplicate of it, also those
 * in other processes: think twice before giving the terminal of a shell.
 *
 * The stream implements [iface@Gio.PollableInputStream]. Reading tries the system call at once and
 * waits on the loop only if there is nothing; results arrive as callbacks of the loop, in order. While
 * nothing is being read the loop does not wake up for the stream. A terminal whose other side has gone
 * is at its end. Closing while a read is pending fails with %G_IO_ERROR_PENDING, as everywhere in GIO:
 * cancel the read first. When the loop is closed, pending reads fail with %EVP_ERROR_LOOP_CLOSED
 * before [method@Evp.AbstractEventLoop.close] returns.
 *
 * Corresponds to asyncio's `loop.connect_read_pipe()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %EVP_ERROR_INVALID_ARGUMENT if @fd is something else, %EVP_ERROR_LOOP_CLOSED, or
 * %G_IO_ERROR.
 *
 * Returns: (transfer full): the stream, or `NULL` with @error set
 *
 * Since: 1.0
 */
GInputStream *
evp_event_loop_connect_read_pipe (EvpAbstractEventLoop *self,
                                  int                   fd,
                                  GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!evp_event_loop_check_pipe (self, fd, O_WRONLY, error))
    return NULL;
  return evp_pipe_input_stream_new (self, fd);
}

/**
 * evp_event_loop_connect_write_pipe:
 * @self: a loop
 * @fd: a pipe, a socket or a character device, open for writing
 * @error: return location for an error
 *
 * Makes a stream of a file descriptor, whose asynchronous calls go through the loop.
 *
 * What [method@Evp.AbstractEventLoop.connect_read_pipe] says about the descriptor, closing and the loop
 * holds here too. The stream implements [iface@Gio.PollableOutputStream].
 *
 * Writing to a pipe without a reader fails with %G_IO_ERROR_BROKEN_PIPE and never raises `SIGPIPE`,
 * whatever the process does with that signal. A write may write less than it was given;
 * [method@Gio.OutputStream.write_all_async] writes all.
 *
 * Corresponds to asyncio's `loop.connect_write_pipe()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %EVP_ERROR_INVALID_ARGUMENT if @fd is something else, %EVP_ERROR_LOOP_CLOSED, or
 * %G_IO_ERROR.
 *
 * Returns: (transfer full): the stream, or `NULL` with @error set
 *
 * Since: 1.0
 */
GOutputStream *
evp_event_loop_connect_write_pipe (EvpAbstractEventLoop *self,
                                   int                   fd,
                                   GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!evp_event_loop_check_pipe (self, fd, O_RDONLY, error))
    return NULL;
  return evp_pipe_output_stream_new (self, fd);
}
