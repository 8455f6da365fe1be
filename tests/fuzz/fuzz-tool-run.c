/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What people type at `evp run`, for libFuzzer: its command line and the commands that it reads. It is
 * understood or refused, and nothing is run. The first byte says which of the two the rest is; the words
 * of a command line are separated by newlines.
 */

#include "evp/tool/evp-tool-run.c"

#include <stdint.h>

int LLVMFuzzerInitialize   (int           *argc,
                            char        ***argv);
int LLVMFuzzerTestOneInput (const uint8_t *data,
                            size_t         size);

static void
swallow (const char *text)
{
}

int
LLVMFuzzerInitialize (int    *argc,
                      char ***argv)
{
  g_set_printerr_handler (swallow);
  g_set_print_handler (swallow);
  return 0;
}

/* GLib prints the help and exits. */
static gboolean
asks_for_help (char **words)
{
  for (; *words != NULL && strcmp (*words, "--") != 0; words++)
    if (g_str_has_prefix (*words, "--help") || ((*words)[0] == '-' && (*words)[1] != '-' && strpbrk (*words, "h?") != NULL))
      return TRUE;
  return FALSE;
}

static void
read_command_line (const char *text)
{
  g_auto (GStrv) words = g_strsplit (text, "\n", -1);
  /* as main() gets it: the array is the parser's to change, the words are not */
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  Arguments arguments = { 0 };
  Run run = { 0 };

  if (asks_for_help (words))
    return;
  g_ptr_array_add (argv, (gpointer) "run");
  for (char **word = words; *word != NULL; word++)
    g_ptr_array_add (argv, *word);
  g_ptr_array_add (argv, NULL);
  if (parse_arguments ((int) argv->len - 1, (char **) argv->pdata, &arguments, &run) == EVP_TOOL_OK)
    {
      g_assert (run.max_running >= 1);
      g_assert (isfinite (run.timeout) && run.timeout >= 0);
      if (arguments.command != NULL)
        {
          g_autofree char *quoted = quote_argv (arguments.command);

          g_assert (arguments.command[0] != NULL && quoted != NULL);
        }
    }
  clear_arguments (&arguments);
}

static void
read_input (const char *bytes,
            gsize       size)
{
  Run run = { 0 };
  gboolean ok;

  run.jobs = g_ptr_array_new_with_free_func (job_free);
  ok = run_read_lines (&run, bytes, size);
  /* no line of it is lost in silence, and no command is empty */
  g_assert (run.jobs->len <= size);
  for (guint i = 0; i < run.jobs->len; i++)
    {
      Job *job = g_ptr_array_index (run.jobs, i);

      g_assert (job->argv != NULL && job->argv[0] != NULL);
      g_assert (job->text != NULL && strchr (job->text, '\n') == NULL);
    }
  if (memchr (bytes, '\0', size) != NULL)
    g_assert (!ok);
  g_queue_clear (&run.waiting);
  g_ptr_array_unref (run.jobs);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data,
                        size_t         size)
{
  g_autofree char *text = NULL;

  if (size == 0)
    return 0;
  text = g_strndup ((const char *) data + 1, size - 1);
  if (data[0] % 2 == 0)
    read_command_line (text);
  else
    read_input ((const char *) data + 1, size - 1);
  return 0;
}
