/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-files.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-base-event-loop-private.h"
#include "evp/loop/evp-loop-files-private.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/loop/evp-loop-task-private.h"

#include <errno.h>
#include <sys/stat.h>

/*
 * Files by descriptor: each request is one operation of the loop and one task. A loop keeps those that have ended
 * for the next ones, up to as many as are usually on their way at once.
 *
 * The tasks have no references to the loop: all requests that are under way hold one together.
 */
#define MAX_SPARE 64

/* What the system takes at a time, whatever it is given. */
#define LARGEST_REQUEST 0x7ffff000

typedef struct
{
  EvpOperation *operation;
  EvpLoopTask *task; /* parked, or NULL, while the request is spare */
  GBytes *bytes;  /* to write */
  gsize done;     /* of it */
  gboolean owns_buffer;
} EvpFileRequest;

static void file_done_cb (EvpOperation *operation,
                          gpointer      user_data);

static void
request_free (EvpFileRequest *request)
{
  g_clear_object (&request->task);
  evp_operation_unref (request->operation);
  g_free (request);
}

/* The request has ended, and its task has returned. The loop may go with the last one. */
static void
request_put_back (EvpFileRequest *request)
{
  EvpOperation *operation = request->operation;
  EvpAbstractEventLoop *loop = operation->loop;
  EvpLoopCore *core = evp_loop_get_core (loop);

  if (!evp_loop_task_park (request->task))
    g_clear_object (&request->task);
  g_clear_pointer (&request->bytes, g_bytes_unref);
  core->n_files--;
  if (core->closed || core->n_spare_files == MAX_SPARE)
    request_free (request);
  else
    {
      operation->next = core->spare_files;
      core->spare_files = operation;
      core->n_spare_files++;
    }
  if (core->n_files == 0)
    g_object_unref (loop);
}

static EvpFileRequest *
request_get (EvpAbstractEventLoop *loop,
             EvpOperationKind      kind,
             int                   fd)
{
  EvpLoopCore *core = evp_loop_get_core (loop);
  EvpOperation *operation = core->spare_files;
  EvpFileRequest *request;

  if (core->n_files++ == 0)
    g_object_ref (loop);
  if (operation == NULL)
    {
      request = g_new0 (EvpFileRequest, 1);
      request->operation = evp_operation_new (kind, fd, file_done_cb, request);
      request->operation->loop = loop;
      return request;
    }
  core->spare_files = g_steal_pointer (&operation->next);
  core->n_spare_files--;
  operation->kind = (guint8) kind;
  operation->fd = fd;
  operation->flags = 0;
  request = operation->user_data;
  request->done = 0;
  request->owns_buffer = FALSE;
  return request;
}

void
evp_loop_files_clear_spare (EvpLoopCore *core)
{
  while (core->spare_files != NULL)
    {
      EvpOperation *operation = core->spare_files;

      core->spare_files = operation->next;
      request_free (operation->user_data);
    }
  core->n_spare_files = 0;
}

static void
fail (EvpFileRequest *request,
      GError         *error)
{
  evp_loop_task_return_error (request->task, error);
  request_put_back (request);
}

static void
submit (EvpFileRequest *request)
{
  EvpLoopTask *task = request->task;
  EvpOperation *operation = request->operation;
  GError *error = NULL;

  if (evp_loop_submit_operation (operation->loop, operation, &error))
    {
      if (evp_loop_task_get_cancellable (task) != NULL)
        evp_loop_task_set_operation (task, operation);
      return;
    }
  if (request->owns_buffer)
    g_free (operation->buffer);
  fail (request, error);
}

/* Whether there is more to write. */
static gboolean
writes_on (EvpFileRequest *request)
{
  EvpOperation *operation = request->operation;
  gsize size = g_bytes_get_size (request->bytes);
  GError *error = NULL;

  if (operation->result <= 0)
    return FALSE;
  request->done += (gsize) operation->result;
  if (request->done >= size)
    return FALSE;
  operation->buffer = (char *) operation->buffer + operation->result;
  operation->length = MIN (size - request->done, LARGEST_REQUEST);
  if (operation->offset >= 0)
    operation->offset += operation->result;
  if (g_cancellable_is_cancelled (evp_loop_task_get_cancellable (request->task)))
    return FALSE;
  if (evp_loop_submit_operation (operation->loop, operation, &error))
    return TRUE;
  g_error_free (error); /* as much as was written; the next write says why it was not more */
  return FALSE;
}

static void
file_done_cb (EvpOperation *operation,
              gpointer      user_data)
{
  EvpFileRequest *request = user_data;
  EvpLoopTask *task = request->task;
  gssize result = operation->result;
  gpointer buffer = request->owns_buffer ? operation->buffer : NULL;
  GError *error = NULL;

  if (request->bytes != NULL)
    {
      if (writes_on (request))
        return;
      /* what has been written is no error */
      if (request->done > 0)
        result = (gssize) request->done;
    }
  if (result < 0)
    {
      evp_loop_check_operation (operation->loop, operation,
                                request->bytes != NULL ? _("Cannot write to the file") : _("Cannot read from the file"),
                                &error);
      g_free (buffer);
    }

  if (error != NULL)
    evp_loop_task_return_error_now (task, error);
  else if (request->owns_buffer)
    evp_loop_task_return_pointer_now (task, g_bytes_new_take (g_realloc (buffer, (gsize) result), (gsize) result),
                                      (GDestroyNotify) g_bytes_unref);
  else
    evp_loop_task_return_int_now (task, result);
  request_put_back (request);
}

/* NULL: it has failed, and the caller's callback will be told. */
static EvpFileRequest *
begin (EvpProactorEventLoop *self,
       EvpOperationKind      kind,
       int                   fd,
       gint64                offset,
       gpointer              tag,
       GCancellable         *cancellable,
       GAsyncReadyCallback   callback,
       gpointer              user_data)
{
  EvpAbstractEventLoop *loop = EVP_EVENT_LOOP (self);
  EvpFileRequest *request = request_get (loop, kind, fd);
  GError *error = NULL;

  request->task = evp_loop_task_renew (request->task, loop, loop, tag, cancellable, callback, user_data);
  if (offset < -1)
    error = g_error_new (EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                         _("%lld is no place in a file; give an offset, or -1 for where the file stands"),
                         (long long) offset);
  else if (cancellable != NULL)
    g_cancellable_set_error_if_cancelled (cancellable, &error);
  if (error != NULL)
    {
      fail (request, error);
      return NULL;
    }
  request->operation->offset = offset;
  return request;
}

/**
 * evp_proactor_event_loop_read_async:
 * @self: a loop
 * @fd: a file that is open for reading
 * @count: how many bytes at most
 * @offset: where to begin, in bytes; −1: where the file stands, which then moves
 * @cancellable: (nullable): ends it early, if it has not begun
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Reads from a file.
 *
 * It is for regular files and block devices, which are always ready and so keep a loop waiting that
 * simply reads. On [class@Evp.UringProactor] the kernel does it, on [class@Evp.GioProactor] a
 * thread. Requests may overlap; they are done in any order, so give each its offset. Pipes, sockets and
 * terminals have no places: with another @offset than −1 that is an error (`ESPIPE`), as with pread().
 *
 * It gives as many bytes as there are, up to @count; fewer at the end of the file, and at most 2 GiB
 * at once. Nothing at all is the end.
 *
 * The descriptor has to stay open until the callback runs, also after cancelling. A request that is
 * under way cannot always be interrupted, and then ends with its result.
 *
 * asyncio has no such function.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_proactor_event_loop_read_async (EvpProactorEventLoop *self,
                                    int                   fd,
                                    gsize                 count,
                                    gint64                offset,
                                    GCancellable         *cancellable,
                                    GAsyncReadyCallback   callback,
                                    gpointer              user_data)
{
  EvpFileRequest *request;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  request = begin (self, EVP_OPERATION_READ, fd, offset, evp_proactor_event_loop_read_async,
                   cancellable, callback, user_data);
  if (request == NULL)
    return;
  count = MIN (count, LARGEST_REQUEST);
  request->operation->buffer = g_try_malloc (MAX (count, 1));
  request->operation->length = count;
  request->owns_buffer = TRUE;
  if (request->operation->buffer != NULL)
    {
      submit (request);
      return;
    }
  evp_set_error_from_errno (&error, ENOMEM, "%s", _("Cannot read from the file"));
  fail (request, error);
}

/**
 * evp_proactor_event_loop_read_finish:
 * @self: a loop
 * @result: the result that the callback was given
 * @error: return location for an error
 *
 * Ends [method@Evp.ProactorEventLoop.read_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR: what the system says, such as %G_IO_ERROR_IS_DIRECTORY, or %G_IO_ERROR_CANCELLED;
 * %EVP_ERROR_LOOP_CLOSED; %EVP_ERROR_INVALID_ARGUMENT if the offset cannot be;
 * %EVP_ERROR_NOT_SUPPORTED if the loop's proactor cannot read files.
 *
 * Returns: (transfer full): what was read; empty at the end of the file
 *
 * Since: 1.0
 */
GBytes *
evp_proactor_event_loop_read_finish (EvpProactorEventLoop *self,
                                     GAsyncResult         *result,
                                     GError              **error)
{
  g_return_val_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_proactor_event_loop_read_async), NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}

/**
 * evp_proactor_event_loop_read_into_async:
 * @self: a loop
 * @fd: a file that is open for reading
 * @buffer: (array length=size) (element-type guint8): where to put what is read; it has to stay
 *   there until the callback runs
 * @size: how many bytes there is room for
 * @offset: where to begin, in bytes; −1: where the file stands, which then moves
 * @cancellable: (nullable): ends it early, if it has not begun
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Reads from a file into memory of the caller, without any of its own.
 *
 * For the rest it is [method@Evp.ProactorEventLoop.read_async]. @buffer belongs to the operation
 * until the callback runs, also after cancelling. Languages with a garbage collector give
 * a copy; they use that method.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_proactor_event_loop_read_into_async (EvpProactorEventLoop *self,
                                         int                   fd,
                                         void                 *buffer,
                                         gsize                 size,
                                         gint64                offset,
                                         GCancellable         *cancellable,
                                         GAsyncReadyCallback   callback,
                                         gpointer              user_data)
{
  EvpFileRequest *request;

  g_return_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self));
  g_return_if_fail (buffer != NULL || size == 0);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  request = begin (self, EVP_OPERATION_READ, fd, offset, evp_proactor_event_loop_read_into_async,
                   cancellable, callback, user_data);
  if (request == NULL)
    return;
  request->operation->buffer = buffer;
  request->operation->length = MIN (size, LARGEST_REQUEST);
  submit (request);
}

/**
 * evp_proactor_event_loop_read_into_finish:
 * @self: a loop
 * @result: the result that the callback was given
 * @error: return location for an error
 *
 * Ends [method@Evp.ProactorEventLoop.read_into_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of [method@Evp.ProactorEventLoop.read_finish].
 *
 * Returns: how many bytes were read, 0 at the end of the file; -1 with an error
 *
 * Since: 1.0
 */
gssize
evp_proactor_event_loop_read_into_finish (EvpProactorEventLoop *self,
                                          GAsyncResult         *result,
                                          GError              **error)
{
  g_return_val_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self), -1);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_proactor_event_loop_read_into_async), -1);

  return (gssize) evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error);
}

/**
 * evp_proactor_event_loop_write_async:
 * @self: a loop
 * @fd: a file that is open for writing
 * @bytes: what to write
 * @offset: where to begin, in bytes; −1: where the file stands, which then moves, or, if it is open for
 *   appending, its end
 * @cancellable: (nullable): ends it early, if it has not begun
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Writes to a file.
 *
 * It writes all of @bytes, in as many parts as the system needs, unless an error stops it on the way.
 *
 * It is for regular files and block devices; pipes, sockets and terminals have
 * [method@Evp.AbstractEventLoop.connect_write_pipe]. Requests may overlap; they are done in any order, so give each its
 * offset. What is written has not necessarily reached the disk.
 *
 * The descriptor has to stay open until the callback runs, also after cancelling. A request that is
 * under way cannot always be interrupted, and then ends with its result.
 *
 * asyncio has no such function.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_proactor_event_loop_write_async (EvpProactorEventLoop *self,
                                     int                   fd,
                                     GBytes               *bytes,
                                     gint64                offset,
                                     GCancellable         *cancellable,
                                     GAsyncReadyCallback   callback,
                                     gpointer              user_data)
{
  EvpFileRequest *request;
  struct stat status;
  gsize size;

  g_return_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self));
  g_return_if_fail (bytes != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  request = begin (self, EVP_OPERATION_WRITE, fd, offset, evp_proactor_event_loop_write_async,
                   cancellable, callback, user_data);
  if (request == NULL)
    return;
  /* a pipe without a reader would raise SIGPIPE */
  if (fstat (fd, &status) == 0 && (S_ISFIFO (status.st_mode) || S_ISSOCK (status.st_mode)))
    {
      fail (request, g_error_new (EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                                  _("File descriptor %d is not a file; use connect_write_pipe()"), fd));
      return;
    }
  request->bytes = g_bytes_ref (bytes);
  request->operation->buffer = (gpointer) g_bytes_get_data (bytes, &size);
  request->operation->length = MIN (size, LARGEST_REQUEST);
  submit (request);
}

/**
 * evp_proactor_event_loop_write_finish:
 * @self: a loop
 * @result: the result that the callback was given
 * @error: return location for an error
 *
 * Ends [method@Evp.ProactorEventLoop.write_async].
 *
 * An error or the cancellable that stopped it after some of the bytes gives their number; the next write
 * there meets that error.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of [method@Evp.ProactorEventLoop.read_finish], %G_IO_ERROR_NO_SPACE among them;
 * %EVP_ERROR_INVALID_ARGUMENT also if it is not a file.
 *
 * Returns: how many bytes were written, less than all only if an error stopped it; -1 with an error
 *
 * Since: 1.0
 */
gssize
evp_proactor_event_loop_write_finish (EvpProactorEventLoop *self,
                                      GAsyncResult         *result,
                                      GError              **error)
{
  g_return_val_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self), -1);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_proactor_event_loop_write_async), -1);

  return (gssize) evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error);
}
