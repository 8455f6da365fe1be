/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A child process: its input, its output, and how it ended. */

#include <evp/evp.h>

#include <locale.h>
#include <string.h>

typedef struct
{
  EvpAbstractEventLoop *loop;
  GError *error;
} Program;

static void
not_started_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  Program *program = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSubprocess) process =
    evp_event_loop_subprocess_exec_finish (EVP_EVENT_LOOP (source), result, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    g_print ("as it should: %s\n", error->message);
  else
    g_propagate_error (&program->error, g_steal_pointer (&error));
  evp_event_loop_stop (program->loop);
}

static void
communicated_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      user_data)
{
  Program *program = user_data;
  const char * const missing[] = { "/does/not/exist", NULL };
  g_autoptr (GBytes) output = NULL;
  gsize size;
  const char *text;

  if (evp_subprocess_communicate_finish (EVP_SUBPROCESS (source), result, &output, NULL, &program->error))
    {
      text = g_bytes_get_data (output, &size);
      g_print ("%.*s (return code %d)\n", (int) size, text,
               evp_subprocess_get_returncode (EVP_SUBPROCESS (source)));
      evp_event_loop_subprocess_exec_async (program->loop, missing, NULL, NULL, not_started_cb, program);
    }
  else
    evp_event_loop_stop (program->loop);
}

static void
spawned_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Program *program = user_data;
  const char *text = "hello from a child";
  g_autoptr (GBytes) input = g_bytes_new_static (text, strlen (text));
  g_autoptr (EvpSubprocess) process =
    evp_event_loop_subprocess_exec_finish (EVP_EVENT_LOOP (source), result, &program->error);

  if (process != NULL)
    evp_subprocess_communicate_async (process, input, NULL, communicated_cb, program);
  else
    evp_event_loop_stop (program->loop);
}

static void
start (gpointer user_data)
{
  Program *program = user_data;
  const char * const argv[] = { "tr", "a-z", "A-Z", NULL };
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();

  evp_subprocess_options_set_stdin (options, EVP_STDIO_PIPE);
  evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
  evp_event_loop_subprocess_exec_async (program->loop, argv, options, NULL, spawned_cb, program);
}

int
main (void)
{
  Program program = { NULL, NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = NULL;

  setlocale (LC_ALL, ""); /* messages in the language of who reads them */
  loop = evp_get_event_loop (&error);
  program.loop = loop;
  if (loop != NULL
      && evp_event_loop_call_soon (loop, start, &program, NULL, &error) != NULL
      && evp_event_loop_run_forever (loop, &error)
      && program.error == NULL)
    evp_event_loop_close (loop, &error);
  if (error == NULL)
    error = program.error;
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
