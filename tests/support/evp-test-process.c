/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "support/evp-test-process.h"

#include "evp/process/evp-subprocess-launcher-private.h"
#include "support/evp-test-support.h"

#include <string.h>

EvpSubprocess *
evp_test_start_argv (EvpAbstractEventLoop    *loop,
                     EvpAbstractChildWatcher *watcher,
                     EvpSubprocessOptions    *options,
                     const char * const      *argv,
                     GCancellable            *cancellable,
                     GError                 **error)
{
  g_auto (EvpTestAwait) await = { loop };

  evp_subprocess_launch_async (loop, watcher, argv, options, NULL, cancellable, evp_test_ready_cb, &await);
  return evp_subprocess_launch_finish (loop, evp_test_await (&await), error);
}

EvpSubprocess *
evp_test_start (EvpAbstractEventLoop    *loop,
                EvpAbstractChildWatcher *watcher,
                EvpSubprocessOptions    *options,
                GError                 **error,
                const char              *mode,
                ...)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  va_list args;

  g_ptr_array_add (argv, (gpointer) evp_test_child_path ());
  va_start (args, mode);
  for (const char *arg = mode; arg != NULL; arg = va_arg (args, const char *))
    g_ptr_array_add (argv, (gpointer) arg);
  va_end (args);
  g_ptr_array_add (argv, NULL);
  return evp_test_start_argv (loop, watcher, options, (const char * const *) argv->pdata, NULL, error);
}

int
evp_test_wait (EvpAbstractEventLoop *loop,
               EvpSubprocess        *process,
               GError              **error)
{
  g_auto (EvpTestAwait) await = { loop };

  evp_subprocess_wait_async (process, NULL, evp_test_ready_cb, &await);
  return evp_subprocess_wait_finish (process, evp_test_await (&await), error);
}

static char *
to_text (GBytes *bytes)
{
  gsize size;
  const char *data = g_bytes_get_data (bytes, &size);

  return g_strndup (data != NULL ? data : "", size);
}

char *
evp_test_communicate (EvpAbstractEventLoop *loop,
                      EvpSubprocess        *process,
                      const char           *input,
                      char                **stderr_text,
                      GError              **error)
{
  g_auto (EvpTestAwait) await = { loop };
  g_autoptr (GBytes) in = input != NULL ? g_bytes_new_static (input, strlen (input)) : NULL;
  g_autoptr (GBytes) out = NULL;
  g_autoptr (GBytes) err = NULL;

  evp_subprocess_communicate_async (process, in, NULL, evp_test_ready_cb, &await);
  if (!evp_subprocess_communicate_finish (process, evp_test_await (&await), &out, &err, error))
    {
      g_assert_null (out);
      g_assert_null (err);
      return NULL;
    }
  if (stderr_text != NULL)
    *stderr_text = err != NULL ? to_text (err) : NULL;
  return out != NULL ? to_text (out) : NULL;
}

char *
evp_test_read_line (EvpAbstractEventLoop *loop,
                    GInputStream         *stream)
{
  g_auto (EvpTestAwait) await = { loop };
  g_autoptr (GDataInputStream) lines = g_data_input_stream_new (stream);
  g_autoptr (GError) error = NULL;
  char *line;

  g_filter_input_stream_set_close_base_stream (G_FILTER_INPUT_STREAM (lines), FALSE);
  g_data_input_stream_read_line_async (lines, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
  line = g_data_input_stream_read_line_finish (lines, evp_test_await (&await), NULL, &error);
  g_assert_no_error (error);
  return line;
}

EvpSubprocessOptions *
evp_test_options (EvpStdio in,
                  EvpStdio out,
                  EvpStdio err)
{
  return g_object_new (EVP_TYPE_SUBPROCESS_OPTIONS, "stdin", in, "stdout", out, "stderr", err, NULL);
}
