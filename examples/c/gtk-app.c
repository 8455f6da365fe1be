/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A GTK application: children run, their output appears line by line, and the window stays responsive.
 *
 * The application drives the loop; nobody calls evp_event_loop_run_forever(). With --quit it starts by itself, and
 * ends with the children. */

#include <evp/evp.h>
#include <gtk/gtk.h>

#define N_CHILDREN 3
#define SCRIPT "for step in 1 2 3 4 5; do echo \"step $step of 5\"; sleep 0.2; done"

typedef struct
{
  EvpAbstractEventLoop *loop;
  GtkWidget *window;
  GtkWidget *button;
  GtkWidget *status;
  GtkWidget *text;
  int running;
  guint frames;
  gboolean quit_at_end;
  GError *error;
} Program;

typedef struct
{
  Program *program;
  int number;
  EvpSubprocess *process;
  GDataInputStream *lines;
} Child;

static void G_GNUC_PRINTF (2, 3)
append (Program    *program,
        const char *format,
        ...)
{
  GtkTextBuffer *buffer = gtk_text_view_get_buffer (GTK_TEXT_VIEW (program->text));
  GtkTextIter end;
  g_autofree char *line = NULL;
  va_list args;

  va_start (args, format);
  line = g_strdup_vprintf (format, args);
  va_end (args);
  gtk_text_buffer_get_end_iter (buffer, &end);
  gtk_text_buffer_insert (buffer, &end, line, -1);
  if (program->quit_at_end)
    g_print ("%s", line);
}

static void
set_status (Program    *program,
            const char *format)
{
  g_autofree char *label = g_strdup_printf ("%d running, %u %s", program->running, program->frames, format);

  gtk_label_set_label (GTK_LABEL (program->status), label);
}

/* a child is through, well or not */
static void
end_child (Child  *child,
           GError *error)
{
  Program *program = child->program;

  if (error != NULL)
    {
      append (program, "%s\n", error->message);
      g_clear_error (&program->error);
      program->error = error;
    }
  program->running--;
  if (program->running == 0)
    {
      gtk_widget_set_sensitive (program->button, TRUE);
      set_status (program, "frames were drawn");
      if (program->quit_at_end)
        gtk_window_close (GTK_WINDOW (program->window));
    }
  g_clear_object (&child->lines);
  g_clear_object (&child->process);
  g_free (child);
}

static void
waited_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  Child *child = user_data;
  GError *error = NULL;
  int returncode = evp_subprocess_wait_finish (EVP_SUBPROCESS (source), result, &error);

  if (error == NULL)
    append (child->program, "child %d ended with %d\n", child->number, returncode);
  end_child (child, error);
}

static void
read_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  Child *child = user_data;
  GError *error = NULL;
  g_autofree char *line = g_data_input_stream_read_line_finish_utf8 (child->lines, result, NULL, &error);

  if (error != NULL)
    {
      end_child (child, error);
    }
  else if (line == NULL)
    {
      evp_subprocess_wait_async (child->process, NULL, waited_cb, child);
    }
  else
    {
      append (child->program, "child %d: %s\n", child->number, line);
      g_data_input_stream_read_line_async (child->lines, G_PRIORITY_DEFAULT, NULL, read_cb, child);
    }
}

static void
spawned_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Child *child = user_data;
  GError *error = NULL;

  child->process = evp_event_loop_subprocess_shell_finish (EVP_EVENT_LOOP (source), result, &error);
  if (child->process == NULL)
    {
      end_child (child, error);
      return;
    }
  child->lines = g_data_input_stream_new (evp_subprocess_get_stdout (child->process));
  g_data_input_stream_read_line_async (child->lines, G_PRIORITY_DEFAULT, NULL, read_cb, child);
}

static void
start (GtkButton *button,
       gpointer   user_data)
{
  Program *program = user_data;
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();

  gtk_widget_set_sensitive (program->button, FALSE);
  evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
  program->running = N_CHILDREN;
  for (int i = 1; i <= N_CHILDREN; i++)
    {
      Child *child = g_new0 (Child, 1);

      child->program = program;
      child->number = i;
      evp_event_loop_subprocess_shell_async (program->loop, SCRIPT, options, NULL, spawned_cb, child);
    }
}

/* before each frame: as long as this number grows, the window is alive */
static gboolean
draw_cb (GtkWidget     *widget,
         GdkFrameClock *clock,
         gpointer       user_data)
{
  Program *program = user_data;

  if (program->running > 0)
    {
      program->frames++;
      set_status (program, "frames drawn meanwhile");
    }
  return G_SOURCE_CONTINUE;
}

static void
activate_cb (GtkApplication *application,
             gpointer        user_data)
{
  Program *program = user_data;
  GtkWidget *header = gtk_header_bar_new ();
  GtkWidget *box = gtk_box_new (GTK_ORIENTATION_VERTICAL, 12);
  GtkWidget *scrolled = gtk_scrolled_window_new ();

  /* it lives in the default main context, which the application iterates */
  program->loop = evp_get_event_loop (&program->error);
  if (program->loop == NULL)
    return;

  program->button = gtk_button_new_with_label ("Start " G_STRINGIFY (N_CHILDREN) " children");
  g_signal_connect (program->button, "clicked", G_CALLBACK (start), program);
  gtk_header_bar_pack_start (GTK_HEADER_BAR (header), program->button);
  program->status = gtk_label_new ("nothing runs");
  gtk_label_set_xalign (GTK_LABEL (program->status), 0);

  program->text = gtk_text_view_new ();
  gtk_text_view_set_editable (GTK_TEXT_VIEW (program->text), FALSE);
  gtk_text_view_set_monospace (GTK_TEXT_VIEW (program->text), TRUE);
  gtk_text_view_set_left_margin (GTK_TEXT_VIEW (program->text), 6);
  gtk_text_view_set_top_margin (GTK_TEXT_VIEW (program->text), 6);
  gtk_scrolled_window_set_child (GTK_SCROLLED_WINDOW (scrolled), program->text);
  gtk_scrolled_window_set_has_frame (GTK_SCROLLED_WINDOW (scrolled), TRUE);
  gtk_widget_set_vexpand (scrolled, TRUE);

  gtk_widget_set_margin_top (box, 12);
  gtk_widget_set_margin_bottom (box, 12);
  gtk_widget_set_margin_start (box, 12);
  gtk_widget_set_margin_end (box, 12);
  gtk_box_append (GTK_BOX (box), program->status);
  gtk_box_append (GTK_BOX (box), scrolled);

  program->window = gtk_application_window_new (application);
  gtk_window_set_title (GTK_WINDOW (program->window), "Children");
  gtk_window_set_default_size (GTK_WINDOW (program->window), 480, 360);
  gtk_window_set_titlebar (GTK_WINDOW (program->window), header);
  gtk_window_set_child (GTK_WINDOW (program->window), box);
  gtk_widget_add_tick_callback (program->window, draw_cb, program, NULL);
  gtk_window_present (GTK_WINDOW (program->window));
  if (program->quit_at_end)
    start (NULL, program);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (GtkApplication) application = NULL;
  Program program = { .quit_at_end = argc > 1 && g_str_equal (argv[1], "--quit") };
  int status;

  if (!gtk_init_check ())
    {
      g_printerr ("there is no display\n");
      return 77;
    }
  application = gtk_application_new ("com.example.Evp", G_APPLICATION_NON_UNIQUE);
  g_signal_connect (application, "activate", G_CALLBACK (activate_cb), &program);
  status = g_application_run (G_APPLICATION (application), 0, NULL);

  g_clear_object (&program.loop);
  if (program.error == NULL)
    return status;
  g_printerr ("%s\n", program.error->message);
  g_error_free (program.error);
  return 1;
}
