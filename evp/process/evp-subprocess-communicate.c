/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/process/evp-subprocess-private.h"

#include "evp/base/evp-i18n-private.h"

#define EVP_COMMUNICATE_CHUNK (64 * 1024)

/* What one of the child's outputs has said so far. */
typedef struct
{
  struct _EvpCommunicate *communicate;
  char *data;
  gsize length;
  gsize capacity;
} EvpCommunicateOutput;

/*
 * Up to four operations at a time: writing, two times reading, waiting. The first error cancels the
 * others, and is reported when all have come back, so that no stream is left in use.
 */
typedef struct _EvpCommunicate
{
  EvpSubprocess *process;
  EvpLoopTask *task;
  GCancellable *cancellable;
  GMainContext *context; /* the loop's; NULL if it has none */
  GBytes *input;
  EvpCommunicateOutput outputs[2];
  guint pending;
  gboolean put_off; /* the input has not begun, as another thread had the context */
  GError *error;
} EvpCommunicate;

typedef struct
{
  GBytes *outputs[2];
} EvpCommunicateResult;

static void
evp_communicate_result_free (gpointer data)
{
  EvpCommunicateResult *result = data;

  g_clear_pointer (&result->outputs[0], g_bytes_unref);
  g_clear_pointer (&result->outputs[1], g_bytes_unref);
  g_free (result);
}

static void
evp_communicate_fail (EvpCommunicate *self,
                      GError         *error)
{
  if (self->error != NULL)
    {
      g_error_free (error);
      return;
    }
  self->error = error;
  g_cancellable_cancel (self->cancellable);
}

static GInputStream *
evp_communicate_get_stream (EvpCommunicate *self,
                            int             i)
{
  return i == 0 ? evp_subprocess_get_stdout (self->process) : evp_subprocess_get_stderr (self->process);
}

static void
evp_communicate_end_operation (EvpCommunicate *self)
{
  if (--self->pending > 0)
    return;

  if (self->error != NULL)
    evp_loop_task_return_error (self->task, g_steal_pointer (&self->error));
  else
    {
      EvpCommunicateResult *result = g_new0 (EvpCommunicateResult, 1);

      for (int i = 0; i < 2; i++)
        if (evp_communicate_get_stream (self, i) != NULL)
          result->outputs[i] = g_bytes_new_take (g_steal_pointer (&self->outputs[i].data),
                                                 self->outputs[i].length);
      evp_loop_task_return_pointer (self->task, result, evp_communicate_result_free);
    }

  g_free (self->outputs[0].data);
  g_free (self->outputs[1].data);
  g_clear_pointer (&self->input, g_bytes_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_object_unref (self->cancellable);
  g_object_unref (self->task);
  g_object_unref (self->process);
  g_free (self);
}

/* GIO completes what it does around a stream's own operation in the context that is the thread's default
 * when it is called: that has to be the loop's, also while the loop does not run. */
static void
evp_communicate_push_context (EvpCommunicate *self)
{
  if (self->context != NULL)
    g_main_context_push_thread_default (self->context);
}

static void
evp_communicate_pop_context (EvpCommunicate *self)
{
  if (self->context != NULL)
    g_main_context_pop_thread_default (self->context);
}

static void
evp_communicate_cancel_cb (EvpLoopTask *task,
                           gpointer     data)
{
  evp_communicate_fail (data, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                   _("Operation was cancelled")));
}

static void
evp_communicate_stdin_closed_cb (GObject      *source,
                                 GAsyncResult *result,
                                 gpointer      user_data)
{
  EvpCommunicate *self = user_data;
  GError *error = NULL;

  if (!g_output_stream_close_finish (G_OUTPUT_STREAM (source), result, &error))
    evp_communicate_fail (self, error);
  evp_communicate_end_operation (self);
}

static void
evp_communicate_close_stdin (EvpCommunicate *self)
{
  self->pending++;
  evp_communicate_push_context (self);
  g_output_stream_close_async (evp_subprocess_get_stdin (self->process), G_PRIORITY_DEFAULT, NULL,
                               evp_communicate_stdin_closed_cb, self);
  evp_communicate_pop_context (self);
}

static void
evp_communicate_written_cb (GObject      *source,
                            GAsyncResult *result,
                            gpointer      user_data)
{
  EvpCommunicate *self = user_data;
  GError *error = NULL;

  /* a child need not read what it is given: EPIPE and ECONNRESET are its way to say so */
  if (g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, &error)
      || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE))
    evp_communicate_close_stdin (self);
  else
    /* an end of file would tell the child that this was all, as it was not */
    evp_communicate_fail (self, g_steal_pointer (&error));
  g_clear_error (&error);
  evp_communicate_end_operation (self);
}

/* The part that GIO has its hands in. */
static void
evp_communicate_begin_input (EvpCommunicate *self)
{
  GOutputStream *stdin_stream = evp_subprocess_get_stdin (self->process);
  gsize size;
  const void *data;

  if (self->input == NULL)
    {
      evp_communicate_close_stdin (self);
      return;
    }
  data = g_bytes_get_data (self->input, &size);
  self->pending++;
  evp_communicate_push_context (self);
  g_output_stream_write_all_async (stdin_stream, data, size, G_PRIORITY_DEFAULT,
                                   self->cancellable, evp_communicate_written_cb, self);
  evp_communicate_pop_context (self);
}

static void
evp_communicate_input_cb (gpointer user_data)
{
  EvpCommunicate *self = user_data;

  self->put_off = FALSE;
  evp_communicate_begin_input (self);
}

/* Also when a loop that closes drops it. */
static void
evp_communicate_input_gone_cb (gpointer user_data)
{
  EvpCommunicate *self = user_data;

  if (self->put_off)
    evp_communicate_fail (self, g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                                     _("The event loop is closed; make a new one")));
  evp_communicate_end_operation (self);
}

static void
evp_communicate_start_input (EvpCommunicate *self)
{
  if (self->context == NULL || g_main_context_acquire (self->context))
    {
      evp_communicate_begin_input (self);
      if (self->context != NULL)
        g_main_context_release (self->context);
      return;
    }
  /* g_main_context_invoke() on another thread has the context for a moment, while the loop does not run */
  self->pending++;
  self->put_off = TRUE;
  evp_event_loop_call_soon_threadsafe (evp_subprocess_get_loop (self->process), evp_communicate_input_cb,
                                       self, evp_communicate_input_gone_cb, NULL);
}

static void evp_communicate_read (EvpCommunicateOutput *output);

static void
evp_communicate_read_cb (GObject      *source,
                         GAsyncResult *result,
                         gpointer      user_data)
{
  EvpCommunicateOutput *output = user_data;
  EvpCommunicate *self = output->communicate;
  GError *error = NULL;
  gssize n = g_input_stream_read_finish (G_INPUT_STREAM (source), result, &error);

  if (n > 0)
    {
      output->length += (gsize) n;
      evp_communicate_read (output);
    }
  else if (n < 0)
    evp_communicate_fail (self, error);
  evp_communicate_end_operation (self);
}

static void
evp_communicate_read (EvpCommunicateOutput *output)
{
  EvpCommunicate *self = output->communicate;

  if (self->error != NULL)
    return;
  if (output->capacity - output->length < EVP_COMMUNICATE_CHUNK / 2)
    {
      gsize capacity = output->capacity + MAX (output->capacity, EVP_COMMUNICATE_CHUNK);
      char *data = capacity > output->capacity ? g_try_realloc (output->data, capacity) : NULL;

      if (data == NULL)
        {
          evp_communicate_fail (self, g_error_new (G_IO_ERROR, G_IO_ERROR_NO_SPACE,
                                                   _("The output of child %d does not fit into memory; "
                                                     "read its streams instead"),
                                                   (int) evp_subprocess_get_pid (self->process)));
          return;
        }
      output->data = data;
      output->capacity = capacity;
    }
  self->pending++;
  g_input_stream_read_async (evp_communicate_get_stream (self, output == &self->outputs[0] ? 0 : 1),
                             output->data + output->length, output->capacity - output->length,
                             G_PRIORITY_DEFAULT, self->cancellable, evp_communicate_read_cb, output);
}

static void
evp_communicate_exited_cb (GObject      *source,
                           GAsyncResult *result,
                           gpointer      user_data)
{
  EvpCommunicate *self = user_data;
  GError *error = NULL;

  evp_subprocess_wait_finish (EVP_SUBPROCESS (source), result, &error);
  if (error != NULL)
    evp_communicate_fail (self, error);
  evp_communicate_end_operation (self);
}

/**
 * evp_subprocess_communicate_async:
 * @self: a child
 * @input: (nullable): what to write to its standard input
 * @cancellable: (nullable): ends the conversation, not the child
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Writes @input to the child, closes its standard input, reads its outputs to the end, and waits for
 * the end of the process.
 *
 * All of that happens at once, so neither side can block the other. A child that ends or closes its
 * standard input without reading everything is no error. A standard input that is a pipe is closed even
 * without @input. The outputs are kept in memory; for large ones read the streams. A grandchild that
 * holds an output makes this last as long as it lives.
 *
 * After a cancellation or an error the child still runs, and what has been read is gone. If not all of
 * @input had been written, the rest is not, but standard input stays open, so that the child does not
 * take what it has got for everything: close it, or the child, yourself.
 *
 * Use it from the thread of the loop. O(n) in the size of the data.
 *
 * Since: 1.0
 */
void
evp_subprocess_communicate_async (EvpSubprocess      *self,
                                  GBytes             *input,
                                  GCancellable       *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer            user_data)
{
  EvpAbstractEventLoop *loop;
  EvpCommunicate *communicate;
  g_autoptr (EvpLoopTask) task = NULL;
  GOutputStream *stdin_stream;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_SUBPROCESS (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));
  loop = evp_subprocess_get_loop (self);
  g_return_if_fail (loop != NULL);

  task = evp_loop_task_new (loop, self, evp_subprocess_communicate_async, cancellable, callback, user_data);
  stdin_stream = evp_subprocess_get_stdin (self);
  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    {
      evp_loop_task_return_error (task, error);
      return;
    }
  if (input != NULL && stdin_stream == NULL)
    {
      evp_loop_task_return_new_error (task, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                                      _("Child %d has no pipe for standard input; start it with "
                                        "the option stdin set to a pipe"),
                                      (int) evp_subprocess_get_pid (self));
      return;
    }

  communicate = g_new0 (EvpCommunicate, 1);
  communicate->process = g_object_ref (self);
  communicate->task = g_object_ref (task);
  communicate->cancellable = g_cancellable_new ();
  communicate->context = evp_event_loop_dup_main_context (loop);
  communicate->pending = 1; /* this call */
  if (input != NULL && g_bytes_get_size (input) > 0)
    communicate->input = g_bytes_ref (input);
  if (stdin_stream != NULL)
    evp_communicate_start_input (communicate);
  for (int i = 0; i < 2; i++)
    {
      communicate->outputs[i].communicate = communicate;
      if (evp_communicate_get_stream (communicate, i) != NULL)
        evp_communicate_read (&communicate->outputs[i]);
    }
  communicate->pending++;
  evp_subprocess_wait_async (self, communicate->cancellable, evp_communicate_exited_cb, communicate);
  evp_loop_task_set_cancel_func (task, evp_communicate_cancel_cb, communicate);
  evp_communicate_end_operation (communicate);
}

/**
 * evp_subprocess_communicate_finish:
 * @self: a child
 * @result: what the callback got
 * @stdout_bytes: (out) (optional) (nullable) (transfer full): what the child wrote to standard output;
 *   `NULL` if that is not a pipe
 * @stderr_bytes: (out) (optional) (nullable) (transfer full): the same of standard error
 * @error: return location for an error
 *
 * Finishes a conversation with a child.
 *
 * It says nothing about success of the child: see [method@Evp.Subprocess.get_returncode].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of [method@Evp.Subprocess.wait_finish] and of the streams;
 * %EVP_ERROR_INVALID_ARGUMENT for input without a pipe.
 *
 * Returns: `TRUE`, or `FALSE` with @error set
 *
 * Since: 1.0
 */
gboolean
evp_subprocess_communicate_finish (EvpSubprocess *self,
                                   GAsyncResult  *result,
                                   GBytes       **stdout_bytes,
                                   GBytes       **stderr_bytes,
                                   GError       **error)
{
  EvpCommunicateResult *outputs;

  g_return_val_if_fail (EVP_IS_SUBPROCESS (self), FALSE);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_subprocess_communicate_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  outputs = evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
  if (stdout_bytes != NULL)
    *stdout_bytes = outputs != NULL ? g_steal_pointer (&outputs->outputs[0]) : NULL;
  if (stderr_bytes != NULL)
    *stderr_bytes = outputs != NULL ? g_steal_pointer (&outputs->outputs[1]) : NULL;
  if (outputs == NULL)
    return FALSE;
  evp_communicate_result_free (outputs);
  return TRUE;
}
