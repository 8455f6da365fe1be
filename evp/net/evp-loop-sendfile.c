/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-loop-sendfile.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/loop/evp-loop-sockets-private.h"
#include "evp/loop/evp-loop-task-private.h"
#include "evp/net/evp-socket-output-stream-private.h"
#include "evp/net/evp-work-private.h"
#include "evp/os/evp-os-fd-private.h"

#include <errno.h>
#include <gio/gfiledescriptorbased.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How much is sent by one call before others have their turn. */
#define EVP_SENDFILE_CHUNK (1024 * 1024)

/* How much the fallback reads at once: for sockets, and for streams that make something of it, like TLS. */
#define EVP_SENDFILE_SOCKET_BLOCK (256 * 1024)
#define EVP_SENDFILE_STREAM_BLOCK (16 * 1024)

/*
 * One file on its way. The kernel's way is a step whenever the socket is ready; for streams of this library the
 * stream waits, because it knows of everybody else who does. The fallback takes turns: a worker reads a block,
 * then the block is sent. The worker has the job to itself until it is done.
 */
typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpLoopTask *task;
  GCancellable *cancellable;

  /* where to: a stream, a bare socket, or both */
  GSocket *socket;
  GIOStream *stream;
  GOutputStream *output;
  gboolean pending;      /* the stream is kept from writing */
  EvpOperation *poll;    /* waits for a socket that is no stream of ours */

  /* where from: an open file, or one to be opened, or a stream that is no file of this system */
  GFile *file;
  GInputStream *input;
  int fd;
  goffset offset;
  gint64 left;           /* bytes still to be sent; G_MAXINT64: to the end */
  gint64 sent;
  gboolean fallback;
  gboolean is_stream;    /* the file belongs to the job, and has no position to be kept */
  gboolean unavailable;  /* the kernel cannot do it */
  gboolean calling;      /* the function that begins it has not returned */
  int failed;            /* errno of the kernel's way */

  /* the fallback's */
  guint8 *block;
  gsize block_size;
  gsize block_length;
  gboolean sought;
  GError *error;
} EvpSendfile;

static void evp_sendfile_read_next (EvpSendfile *job);

static void
evp_sendfile_clear (gpointer data)
{
  EvpSendfile *job = data;

  g_clear_pointer (&job->poll, evp_operation_unref);
  g_clear_object (&job->task);
  g_clear_object (&job->cancellable);
  g_clear_object (&job->socket);
  g_clear_object (&job->output);
  g_clear_object (&job->stream);
  g_clear_object (&job->input);
  g_clear_object (&job->file);
  g_clear_object (&job->loop);
  g_clear_error (&job->error);
  g_free (job->block);
}

static void
evp_sendfile_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, evp_sendfile_clear);
}

static void
evp_sendfile_release_stream (EvpSendfile *job)
{
  if (job->pending)
    g_output_stream_clear_pending (job->output);
  job->pending = FALSE;
}

/* In a callback of the loop, or before any: the end. Nobody is called back inside the call. */
static void
evp_sendfile_finish (EvpSendfile *job,
                     GError      *error) /* (transfer full) (nullable) */
{
  evp_sendfile_release_stream (job);
  if (job->poll != NULL && job->poll->state == EVP_OPERATION_IDLE)
    evp_loop_retire_operation (job->poll);
  /* where asyncio leaves it, and also after an error; nobody can do more if it fails */
  if (!job->is_stream && job->sent > 0)
    (void) !lseek (job->fd, (off_t) (job->offset + job->sent), SEEK_SET);

  if (error == NULL)
    evp_loop_task_return_int (job->task, job->sent);
  else if (!job->calling && g_error_matches (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED))
    evp_loop_task_return_error_now (job->task, error);
  else
    evp_loop_task_return_error (job->task, error);
}

static gboolean
evp_sendfile_is_connection_error (int saved_errno)
{
  return saved_errno == EPIPE || saved_errno == ECONNRESET || saved_errno == ECONNABORTED
         || saved_errno == ENOTCONN || saved_errno == ETIMEDOUT;
}

/* The kernel's way */

/* TRUE if there is nothing more to wait for: everything is sent, it failed, or it cannot be done. */
static gboolean
evp_sendfile_try (gpointer data)
{
  EvpSendfile *job = data;
  gint64 position = job->offset + job->sent;
  struct stat status;
  gssize n;

  if (fstat (job->fd, &status) != 0 || !S_ISREG (status.st_mode))
    {
      job->unavailable = TRUE;
      return TRUE;
    }
  if (job->left == 0 || position >= status.st_size)
    return TRUE;

  n = evp_os_fd_sendfile (g_socket_get_fd (job->socket), job->fd, position,
                          (gsize) MIN (MIN (job->left, status.st_size - position), EVP_SENDFILE_CHUNK));
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
    return FALSE;
  if (n < 0)
    {
      job->failed = errno;
      job->unavailable = job->sent == 0 && !evp_sendfile_is_connection_error (job->failed);
      return TRUE;
    }
  if (n == 0) /* somebody has made it shorter */
    return TRUE;
  job->sent += n;
  if (job->left != G_MAXINT64)
    job->left -= n;
  return job->left == 0 || position + n >= status.st_size;
}

/* The kernel's way has ended. */
static void
evp_sendfile_tried (EvpSendfile *job)
{
  GError *error = NULL;

  if (job->unavailable && job->fallback)
    {
      evp_sendfile_release_stream (job);
      evp_sendfile_read_next (job);
      return;
    }
  if (job->unavailable)
    g_set_error_literal (&error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
                         _("The system cannot send this file from the kernel; allow the fallback"));
  else if (job->failed == ENOTCONN)
    g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED, _("The socket is not connected"));
  else if (job->failed != 0)
    {
      g_autofree char *sent = g_strdup_printf ("%" G_GINT64_FORMAT, job->sent);

      /* Translators: %s is a number */
      evp_set_error_from_errno (&error, job->failed, _("Sending failed after %s bytes of the file"), sent);
    }
  evp_sendfile_finish (job, error);
}

/* Waits on a socket that is no stream of ours, and has a reference to the job meanwhile. */
static void
evp_sendfile_step (EvpSendfile *job)
{
  GError *error = NULL;

  if (evp_sendfile_try (job))
    evp_sendfile_tried (job);
  else if (evp_loop_submit_operation (job->loop, job->poll, &error))
    g_atomic_rc_box_acquire (job);
  else
    evp_sendfile_finish (job, error);
}

static void
evp_sendfile_polled_cb (EvpOperation *operation,
                        gpointer      user_data)
{
  EvpSendfile *job = user_data;
  GError *error = NULL;

  if (evp_loop_check_operation (job->loop, operation, _("Waiting for the socket failed"), &error))
    evp_sendfile_step (job);
  else
    evp_sendfile_finish (job, error);
  evp_sendfile_unref (job);
}

static void
evp_sendfile_stream_cb (GObject      *source,
                        GAsyncResult *result,
                        gpointer      user_data)
{
  EvpSendfile *job = user_data;
  GError *error = NULL;

  if (evp_loop_task_propagate_int (EVP_LOOP_TASK (result), &error) >= 0)
    evp_sendfile_tried (job);
  else
    evp_sendfile_finish (job, error);
  evp_sendfile_unref (job);
}

static void
evp_sendfile_start (EvpSendfile *job)
{
  if (job->socket == NULL || job->fd < 0)
    {
      job->unavailable = TRUE;
      evp_sendfile_tried (job);
    }
  else if (job->poll != NULL)
    {
      evp_sendfile_step (job);
    }
  else
    {
      evp_socket_channel_try_async (evp_socket_output_stream_get_channel (EVP_SOCKET_OUTPUT_STREAM (job->output)),
                                    evp_sendfile_start, evp_sendfile_try, job, job->cancellable,
                                    evp_sendfile_stream_cb, g_atomic_rc_box_acquire (job));
    }
}

/* The fallback */

/* Worker: from a file of this system, or a pipe. */
static void
evp_sendfile_read_descriptor (EvpSendfile *job,
                              gsize        wanted)
{
  while (job->block_length < wanted)
    {
      gint64 position = job->offset + job->sent + (gint64) job->block_length;
      guint8 *room = job->block + job->block_length;
      gsize size = wanted - job->block_length;
      gssize n = pread (job->fd, room, size, (off_t) position);

      if (n < 0 && errno == ESPIPE && job->offset == 0) /* it has no positions, and stands where it is to be read */
        n = read (job->fd, room, size);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        evp_set_error_from_errno (&job->error, errno, "%s", _("Cannot read the file"));
      if (n <= 0)
        return;
      job->block_length += (gsize) n;
    }
}

/* Worker: from anywhere else. */
static void
evp_sendfile_read_stream (EvpSendfile *job,
                          gsize        wanted)
{
  goffset skipped = 0;

  if (!job->sought && G_IS_SEEKABLE (job->input) && g_seekable_can_seek (G_SEEKABLE (job->input)))
    {
      if (!g_seekable_seek (G_SEEKABLE (job->input), job->offset, G_SEEK_SET, job->cancellable, &job->error))
        return;
      skipped = job->offset;
    }
  while (!job->sought && skipped < job->offset)
    {
      gssize n = g_input_stream_skip (job->input, (gsize) MIN (job->offset - skipped, G_MAXSSIZE),
                                      job->cancellable, &job->error);

      if (n <= 0) /* or it is not that long */
        return;
      skipped += n;
    }
  job->sought = TRUE;
  g_input_stream_read_all (job->input, job->block, wanted, &job->block_length, job->cancellable, &job->error);
}

/* Worker */
static void
evp_sendfile_read (gpointer data)
{
  EvpSendfile *job = data;
  gsize wanted = (gsize) MIN (job->left, (gint64) job->block_size);

  job->block_length = 0;
  if (job->block == NULL)
    job->block = g_malloc (job->block_size);
  if (job->fd >= 0)
    evp_sendfile_read_descriptor (job, wanted);
  else
    evp_sendfile_read_stream (job, wanted);
}

static void
evp_sendfile_block_sent (EvpSendfile *job,
                         gboolean     ok,
                         GError      *error)
{
  if (ok)
    {
      job->sent += (gint64) job->block_length;
      if (job->left != G_MAXINT64)
        job->left -= (gint64) job->block_length;
      evp_sendfile_read_next (job);
    }
  else
    evp_sendfile_finish (job, error);
  evp_sendfile_unref (job);
}

static void
evp_sendfile_socket_sent_cb (GObject      *source,
                             GAsyncResult *result,
                             gpointer      user_data)
{
  GError *error = NULL;
  gboolean ok = evp_event_loop_sock_sendall_finish (EVP_EVENT_LOOP (source), result, &error);

  evp_sendfile_block_sent (user_data, ok, error);
}

static void
evp_sendfile_stream_sent_cb (GObject      *source,
                             GAsyncResult *result,
                             gpointer      user_data)
{
  GError *error = NULL;
  gboolean ok = g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, &error);

  evp_sendfile_block_sent (user_data, ok, error);
}

static void
evp_sendfile_send_block (EvpSendfile *job)
{
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GMainContext) context = NULL;

  g_atomic_rc_box_acquire (job);
  if (job->output == NULL)
    {
      bytes = g_bytes_new_static (job->block, job->block_length); /* the job keeps it */
      evp_event_loop_sock_sendall_async (job->loop, job->socket, bytes, job->cancellable,
                                         evp_sendfile_socket_sent_cb, job);
      return;
    }
  context = evp_event_loop_dup_main_context (job->loop);
  if (context != NULL)
    g_main_context_push_thread_default (context);
  g_output_stream_write_all_async (job->output, job->block, job->block_length, G_PRIORITY_DEFAULT,
                                   job->cancellable, evp_sendfile_stream_sent_cb, job);
  if (context != NULL)
    g_main_context_pop_thread_default (context);
}

static void
evp_sendfile_read_cb (gpointer data,
                      GError  *error)
{
  EvpSendfile *job = data;

  if (error == NULL && job->error != NULL)
    error = g_steal_pointer (&job->error);
  if (error == NULL)
    g_cancellable_set_error_if_cancelled (job->cancellable, &error);
  if (error != NULL || job->block_length == 0)
    evp_sendfile_finish (job, error);
  else
    evp_sendfile_send_block (job);
}

static void
evp_sendfile_read_next (EvpSendfile *job)
{
  GError *error = NULL;

  if (job->left == 0)
    evp_sendfile_finish (job, NULL);
  else if (g_cancellable_set_error_if_cancelled (job->cancellable, &error)
           || !evp_work_start (job->loop, evp_sendfile_read, evp_sendfile_read_cb, job, evp_sendfile_unref, &error))
    evp_sendfile_finish (job, error);
}

/* Opening */

/* Worker */
static void
evp_sendfile_open (gpointer data)
{
  EvpSendfile *job = data;

  job->input = G_INPUT_STREAM (g_file_read (job->file, job->cancellable, &job->error));
  if (job->input != NULL && G_IS_FILE_DESCRIPTOR_BASED (job->input))
    job->fd = g_file_descriptor_based_get_fd (G_FILE_DESCRIPTOR_BASED (job->input));
}

static void
evp_sendfile_open_cb (gpointer data,
                      GError  *error)
{
  EvpSendfile *job = data;

  if (error == NULL && job->error != NULL)
    error = g_steal_pointer (&job->error);
  if (error == NULL)
    g_cancellable_set_error_if_cancelled (job->cancellable, &error);
  if (error != NULL)
    evp_sendfile_finish (job, error);
  else
    evp_sendfile_start (job);
}

/* What is in progress is told, and says when it has stopped; a worker is waited for. */
static void
evp_sendfile_cancel_cb (EvpLoopTask *task,
                        gpointer     data)
{
  EvpSendfile *job = data;

  if (job->poll != NULL)
    evp_loop_cancel_operation (job->loop, job->poll);
}

static EvpSendfile *
evp_sendfile_new (EvpAbstractEventLoop *loop,
                  gpointer              tag,
                  goffset               offset,
                  gint64                count,
                  gboolean              fallback,
                  GCancellable         *cancellable,
                  GAsyncReadyCallback   callback,
                  gpointer              user_data)
{
  EvpSendfile *job = g_atomic_rc_box_new0 (EvpSendfile);

  job->loop = g_object_ref (loop);
  job->task = evp_loop_task_new (loop, loop, tag, cancellable, callback, user_data);
  g_set_object (&job->cancellable, cancellable);
  job->fd = -1;
  job->offset = offset;
  job->left = count < 0 ? G_MAXINT64 : count;
  job->fallback = fallback;
  job->calling = TRUE;
  return job;
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpSendfile, evp_sendfile_unref)

/* A socket that the loop waits for on behalf of the job alone. */
static void
evp_sendfile_set_socket (EvpSendfile *job,
                         GSocket     *socket)
{
  job->socket = g_object_ref (socket);
  job->poll = evp_operation_new (EVP_OPERATION_POLL, g_socket_get_fd (socket), evp_sendfile_polled_cb, job);
  job->poll->events = EVP_IO_EVENTS_WRITE;
}

static gboolean
evp_sendfile_check_range (goffset  offset,
                          gint64   count,
                          GError **error)
{
  if (count == 0 || count < -1)
    g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                         _("The number of bytes must be positive, or −1 for all up to the end"));
  else if (offset < 0)
    g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, _("The offset must not be negative"));
  else
    return TRUE;
  return FALSE;
}

static gboolean
evp_sendfile_check_socket (EvpSendfile *job,
                           GSocket     *socket,
                           gint64       count,
                           GError     **error)
{
  if (!evp_loop_socket_check (job->loop, socket, job->cancellable, error))
    return FALSE;
  if (g_socket_get_socket_type (socket) != G_SOCKET_TYPE_STREAM)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("A file can be sent over a stream socket only"));
      return FALSE;
    }
  return evp_sendfile_check_range (job->offset, count, error);
}

/* The socket under a stream that adds nothing to what is written, or NULL. */
static GSocket *
evp_sendfile_find_socket (GIOStream *stream)
{
  GOutputStream *output = g_io_stream_get_output_stream (stream);

  if (!G_IS_SOCKET_CONNECTION (stream))
    return NULL;
  /* GIO's is no public type; what wraps another stream, as for TLS, has another one */
  if (EVP_IS_SOCKET_OUTPUT_STREAM (output) || g_str_equal (G_OBJECT_TYPE_NAME (output), "GSocketOutputStream"))
    return g_socket_connection_get_socket (G_SOCKET_CONNECTION (stream));
  return NULL;
}

/* Whether the stream itself can wait on this loop. */
static gboolean
evp_sendfile_has_channel (EvpSendfile *job)
{
  return EVP_IS_SOCKET_OUTPUT_STREAM (job->output)
         && evp_socket_channel_get_loop (
              evp_socket_output_stream_get_channel (EVP_SOCKET_OUTPUT_STREAM (job->output))) != NULL;
}

static gboolean
evp_sendfile_set_stream (EvpSendfile *job,
                         GIOStream   *stream,
                         gint64       count,
                         GError     **error)
{
  GSocket *socket;

  if (g_cancellable_set_error_if_cancelled (job->cancellable, error))
    return FALSE;
  if (g_io_stream_is_closed (stream))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED, _("Stream is closed"));
      return FALSE;
    }
  job->stream = g_object_ref (stream);
  job->output = g_object_ref (g_io_stream_get_output_stream (stream));
  socket = evp_sendfile_find_socket (stream);
  if (socket != NULL && g_socket_get_socket_type (socket) != G_SOCKET_TYPE_STREAM)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
                           _("A file can be sent over a stream socket only"));
      return FALSE;
    }
  if (!evp_sendfile_check_range (job->offset, count, error))
    return FALSE;
  if (socket == NULL && !job->fallback)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
                           _("The system cannot send this file from the kernel; allow the fallback"));
      return FALSE;
    }
  if (socket == NULL)
    return TRUE;
  if (!g_output_stream_set_pending (job->output, error))
    return FALSE;
  job->pending = TRUE;
  if (evp_sendfile_has_channel (job))
    job->socket = g_object_ref (socket);
  else
    evp_sendfile_set_socket (job, socket);
  return TRUE;
}

static gssize
evp_sendfile_tell (EvpLoopTask *task,
                   GError     **error)
{
  gint64 sent = evp_loop_task_propagate_int (task, error);

  return (gssize) MIN (sent, (gint64) G_MAXSSIZE);
}

/**
 * evp_event_loop_sock_sendfile_async:
 * @self: a loop
 * @socket: a connected, non-blocking stream socket
 * @fd: a file descriptor to read from; it stays open until the callback
 * @offset: where in the file to begin
 * @count: how many bytes, or −1 for all up to the end
 * @fallback: whether to read and send if the kernel cannot do both
 * @cancellable: (nullable): ends it
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Sends a file over a socket.
 *
 * The kernel sends it without copying it to the program. Where it cannot, the file is read on a thread of the
 * loop's default executor, 256 KiB at a time, and sent; without @fallback it fails with %EVP_ERROR_NOT_SUPPORTED.
 *
 * Afterwards, also after an error, the position of the file is after the last byte sent, if any was sent.
 * The fallback counts whole blocks.
 *
 * Corresponds to asyncio's `loop.sock_sendfile()`.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_event_loop_sock_sendfile_async (EvpAbstractEventLoop *self,
                                    GSocket              *socket,
                                    int                   fd,
                                    goffset               offset,
                                    gint64                count,
                                    gboolean              fallback,
                                    GCancellable         *cancellable,
                                    GAsyncReadyCallback   callback,
                                    gpointer              user_data)
{
  g_autoptr (EvpSendfile) job = NULL;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (G_IS_SOCKET (socket));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  job = evp_sendfile_new (self, evp_event_loop_sock_sendfile_async, offset, count, fallback,
                          cancellable, callback, user_data);
  job->fd = fd;
  job->block_size = EVP_SENDFILE_SOCKET_BLOCK;
  if (!evp_sendfile_check_socket (job, socket, count, &error))
    {
      evp_sendfile_finish (job, error);
      return;
    }
  evp_sendfile_set_socket (job, socket);
  evp_loop_task_set_cancel_func (job->task, evp_sendfile_cancel_cb, job);
  evp_sendfile_start (job);
  job->calling = FALSE;
}

/**
 * evp_event_loop_sock_sendfile_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes sending a file over a socket.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %EVP_ERROR_INVALID_ARGUMENT for a socket that is no stream socket, an impossible @count or offset, and
 * in debug mode a blocking socket; %EVP_ERROR_INVALID_STATE for a socket that belongs to a stream, and when
 * the fallback needs an executor that was shut down; %EVP_ERROR_NOT_SUPPORTED without a fallback;
 * %G_IO_ERROR_CONNECTION_CLOSED if the peer is gone; %G_IO_ERROR with what else the system says;
 * %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_CANCELLED.
 *
 * Returns: how many bytes were sent, 0 at the end of the file, or -1 with @error set; with 32 bits, %G_MAXSSIZE
 *   stands for that many and more
 *
 * Since: 1.0
 */
gssize
evp_event_loop_sock_sendfile_finish (EvpAbstractEventLoop *self,
                                     GAsyncResult         *result,
                                     GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), -1);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sock_sendfile_async), -1);

  return evp_sendfile_tell (EVP_LOOP_TASK (result), error);
}

/**
 * evp_event_loop_sendfile_async:
 * @self: a loop
 * @stream: a connection
 * @file: the file to send
 * @offset: where in the file to begin
 * @count: how many bytes, or −1 for all up to the end
 * @fallback: whether to read and write if the kernel cannot do both
 * @cancellable: (nullable): ends it
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Sends a file over a connection.
 *
 * Over TCP and unix sockets the kernel sends a file of this system without copying it to the program.
 * Meanwhile nothing else can be written to the stream: that fails with %G_IO_ERROR_PENDING, as does sending a
 * file while something is being written. Flush a buffered stream above @stream before.
 *
 * Anything else is the fallback's: TLS, other streams, files that only GIO knows. The file is read on a thread of
 * the loop's default executor, 16 KiB at a time, and written to the stream; do not write to it
 * yourself meanwhile. Without @fallback it fails with %EVP_ERROR_NOT_SUPPORTED.
 *
 * The file is opened on a thread of the executor, too.
 *
 * Corresponds to asyncio's `loop.sendfile()`.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_event_loop_sendfile_async (EvpAbstractEventLoop *self,
                               GIOStream            *stream,
                               GFile                *file,
                               goffset               offset,
                               gint64                count,
                               gboolean              fallback,
                               GCancellable         *cancellable,
                               GAsyncReadyCallback   callback,
                               gpointer              user_data)
{
  g_autoptr (EvpSendfile) job = NULL;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_EVENT_LOOP (self));
  g_return_if_fail (G_IS_IO_STREAM (stream));
  g_return_if_fail (G_IS_FILE (file));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  job = evp_sendfile_new (self, evp_event_loop_sendfile_async, offset, count, fallback,
                          cancellable, callback, user_data);
  job->is_stream = TRUE;
  job->file = g_object_ref (file);
  job->block_size = EVP_SENDFILE_STREAM_BLOCK;
  if (!evp_sendfile_set_stream (job, stream, count, &error)
      || !evp_work_start (self, evp_sendfile_open, evp_sendfile_open_cb, job, evp_sendfile_unref, &error))
    {
      evp_sendfile_finish (job, error);
      return;
    }
  evp_loop_task_set_cancel_func (job->task, evp_sendfile_cancel_cb, job);
  job->calling = FALSE;
}

/**
 * evp_event_loop_sendfile_finish:
 * @self: a loop
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes sending a file over a connection.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR_CLOSED for a closed stream; %G_IO_ERROR_PENDING while something is being written;
 * %EVP_ERROR_INVALID_ARGUMENT for an impossible count or offset; %EVP_ERROR_NOT_SUPPORTED for datagrams, and without a
 * fallback; %EVP_ERROR_INVALID_STATE after the executor was shut down; %G_IO_ERROR_CONNECTION_CLOSED if the
 * peer is gone; those of opening and reading the file and of writing to the stream;
 * %EVP_ERROR_LOOP_CLOSED; %G_IO_ERROR_CANCELLED.
 *
 * Returns: how many bytes were sent, 0 at the end of the file, or -1 with @error set; with 32 bits, %G_MAXSSIZE
 *   stands for that many and more
 *
 * Since: 1.0
 */
gssize
evp_event_loop_sendfile_finish (EvpAbstractEventLoop *self,
                                GAsyncResult         *result,
                                GError              **error)
{
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (self), -1);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sendfile_async), -1);

  return evp_sendfile_tell (EVP_LOOP_TASK (result), error);
}
