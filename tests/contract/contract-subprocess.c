/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-subprocess.h"

#include "evp/base/evp-debug-private.h"
#include "evp/evp.h"
#include "evp/process/evp-subprocess-launcher-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-process.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpAbstractChildWatcher *watcher;
} Fixture;

typedef void (*TestFunc) (Fixture *f);

typedef struct
{
  EvpAbstractChildWatcher *(*new_watcher) (void);
  EvpAbstractEventLoop *(*new_loop) (GError **error);
  TestFunc func;
  const char *name;
} Case;

/* Rules, W-6 */
static void
test_return_codes (Fixture *f)
{
  static const struct
  {
    const char *mode, *arg;
    int expected;
  } children[] = {
    { "exit", "0", 0 },   { "exit", "1", 1 },      { "exit", "127", 127 },
    { "exit", "255", 255 }, { "signal", "9", -9 }, { "signal", "15", -15 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (children); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, NULL, &error,
                                                        children[i].mode, children[i].arg, NULL);

      g_assert_no_error (error);
      g_assert_cmpint (evp_subprocess_get_pid (child), >, 0);
      g_assert_cmpint (evp_test_wait (f->loop, child, &error), ==, children[i].expected);
      g_assert_no_error (error);
      g_assert_cmpint (evp_subprocess_get_returncode (child), ==, children[i].expected);
      g_assert_false (evp_subprocess_get_lost (child));
      /* again, at once */
      g_assert_cmpint (evp_test_wait (f->loop, child, &error), ==, children[i].expected);
      g_assert_no_error (error);
    }
}

static void
test_exited_cb (EvpSubprocess *child,
                int            returncode,
                gpointer       cpu_time)
{
  *(double *) cpu_time = evp_subprocess_get_cpu_time (child);
}

/* Rules: Q-7 */
static void
test_cpu_time (Fixture *f)
{
  gint64 start = g_get_monotonic_time ();
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_INHERIT, EVP_STDIO_INHERIT);
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, &error, "wait-burn", NULL);
  double cpu_time, at_exit = -2;

  g_assert_no_error (error);
  g_assert_cmpfloat (evp_subprocess_get_cpu_time (child), ==, -1);
  g_signal_connect (child, "exited", G_CALLBACK (test_exited_cb), &at_exit);
  g_assert_true (g_output_stream_close (evp_subprocess_get_stdin (child), NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (evp_test_wait (f->loop, child, &error), ==, 0);
  g_assert_no_error (error);

  g_object_get (child, "cpu-time", &cpu_time, NULL);
  g_assert_cmpfloat (cpu_time, ==, evp_subprocess_get_cpu_time (child));
  g_assert_cmpfloat (cpu_time, ==, at_exit);
#ifdef __linux__
  /* without pidfds GLib reaps for that watcher, and does not tell */
  if (!EVP_IS_GLIB_CHILD_WATCHER (f->watcher) || cpu_time >= 0)
    {
      g_assert_cmpfloat (cpu_time, >, 0);
      g_assert_cmpfloat (cpu_time, <, (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC + 1);
      return;
    }
#endif
  g_assert_cmpfloat (cpu_time, ==, -1);
}

/* Rules */
static void
test_spawn_failures (Fixture *f)
{
  const char *missing[] = { "/nonexistent/program", NULL };
  const char *directory[] = { "/", NULL };
  const char *child[] = { evp_test_child_path (), NULL };
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_PIPE);
  g_autoptr (GError) error = NULL;
  guint warnings = evp_warn_runtime_get_count ();

  g_assert_null (evp_test_start_argv (f->loop, f->watcher, options, missing, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "/nonexistent/program"));
  g_clear_error (&error);

  g_assert_null (evp_test_start_argv (f->loop, f->watcher, options, directory, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
  g_clear_error (&error);

  evp_subprocess_options_set_cwd (options, "/nonexistent/directory");
  g_assert_null (evp_test_start_argv (f->loop, f->watcher, options, child, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "/nonexistent/directory"));
  g_clear_error (&error);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings);
}

/* Rules */
static void
test_communicate (Fixture *f)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_PIPE);
  g_autoptr (EvpSubprocess) cat = evp_test_start (f->loop, f->watcher, options, NULL, "cat", NULL);
  g_autoptr (EvpSubprocess) both =
    evp_test_start (f->loop, f->watcher, options, NULL, "both", "out", "err", NULL);
  g_autofree char *copy = evp_test_communicate (f->loop, cat, "some input", NULL, NULL);
  g_autofree char *err = NULL;
  g_autofree char *out = evp_test_communicate (f->loop, both, NULL, &err, NULL);

  g_assert_cmpstr (copy, ==, "some input");
  g_assert_cmpint (evp_subprocess_get_returncode (cat), ==, 0);
  g_assert_cmpstr (out, ==, "out\n");
  g_assert_cmpstr (err, ==, "err\n");
}

/* Rules: Q-22 */
static void
test_communicate_much (Fixture *f)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, NULL, "cat", NULL);
  g_auto (EvpTestAwait) await = { f->loop };
  const gsize size = 3 * 1024 * 1024 + 17;
  guint8 *data = g_malloc (size);
  g_autoptr (GBytes) input = NULL;
  g_autoptr (GBytes) output = NULL;
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < size; i++)
    data[i] = (guint8) (i * 31 + i / 509);
  input = g_bytes_new_take (data, size);
  evp_subprocess_communicate_async (child, input, NULL, evp_test_ready_cb, &await);
  g_assert_true (evp_subprocess_communicate_finish (child, evp_test_await (&await), &output, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (input, output));
}

/* Rules: Q-21 */
static void
test_many (Fixture *f)
{
  EvpSubprocess *children[30];
  EvpTestAwait awaits[G_N_ELEMENTS (children)];

  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    {
      g_autoptr (EvpSubprocessOptions) options =
        evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_NULL, EVP_STDIO_INHERIT);
      g_autofree char *code = g_strdup_printf ("%u", 100 + i);

      children[i] = evp_test_start (f->loop, f->watcher, options, NULL, "wait-exit", code, NULL);
      awaits[i] = (EvpTestAwait) { f->loop };
      evp_subprocess_wait_async (children[i], NULL, evp_test_ready_cb, &awaits[i]);
    }
  /* they end when standard input does, last first */
  for (guint i = G_N_ELEMENTS (children); i-- > 0;)
    g_assert_true (g_output_stream_close (evp_subprocess_get_stdin (children[i]), NULL, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (children); i++)
    {
      if (awaits[i].result == NULL)
        evp_test_await (&awaits[i]);
      g_assert_cmpint (evp_subprocess_wait_finish (children[i], awaits[i].result, NULL),
                       ==, 100 + (int) i);
      evp_test_await_clear (&awaits[i]);
      g_object_unref (children[i]);
    }
}

/* Rules: Q-8, Z-37 */
static void
test_output_after_exit (Fixture *f)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_INHERIT, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) child =
    evp_test_start (f->loop, f->watcher, options, NULL, "echo", "kept", NULL);
  g_autofree char *line = NULL;

  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 0);
  line = evp_test_read_line (f->loop, evp_subprocess_get_stdout (child));
  g_assert_cmpstr (line, ==, "kept");
}

/* Rules */
static void
test_grandchild (Fixture *f)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_NULL, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) child =
    evp_test_start (f->loop, f->watcher, options, NULL, "grandchild", NULL);
  g_auto (EvpTestAwait) closed = { f->loop };
  g_auto (EvpTestAwait) ended = { f->loop };
  g_autofree char *line = evp_test_read_line (f->loop, evp_subprocess_get_stdout (child));
  pid_t grandchild = (pid_t) atoi (line);
  char buffer[8];

  g_assert_cmpint (grandchild, >, 1);
  evp_subprocess_wait_closed_async (child, NULL, evp_test_ready_cb, &closed);
  g_input_stream_read_async (evp_subprocess_get_stdout (child), buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL,
                             evp_test_ready_cb, &ended);
  /* the exit is not delayed by the grandchild, */
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 0);
  evp_test_run_ready (f->loop);
  g_assert_null (ended.result);
  /* the end of the pipes is */
  g_assert_null (closed.result);
  g_assert_no_errno (kill (grandchild, SIGKILL));
  evp_test_await (&closed);
  g_assert_true (evp_subprocess_wait_closed_finish (child, closed.result, NULL));
  if (ended.result == NULL)
    evp_test_await (&ended);
  g_assert_cmpint (g_input_stream_read_finish (evp_subprocess_get_stdout (child), ended.result, NULL),
                   ==, 0);
}

/* Rules: Q-14, Z-33 */
static void
test_signals (Fixture *f)
{
  g_autoptr (EvpSubprocess) terminated =
    evp_test_start (f->loop, f->watcher, NULL, NULL, "pause", NULL);
  g_autoptr (EvpSubprocess) killed = evp_test_start (f->loop, f->watcher, NULL, NULL, "pause", NULL);
  g_autoptr (EvpSubprocess) other = evp_test_start (f->loop, f->watcher, NULL, NULL, "pause", NULL);
  g_autoptr (EvpSubprocess) dead = evp_test_start (f->loop, f->watcher, NULL, NULL, "exit", "3", NULL);
  g_autoptr (GError) error = NULL;
  siginfo_t info;

  g_assert_true (evp_subprocess_terminate (terminated, &error));
  g_assert_true (evp_subprocess_kill (killed, &error));
  g_assert_true (evp_subprocess_send_signal (other, SIGUSR1, &error));
  g_assert_cmpint (evp_test_wait (f->loop, terminated, NULL), ==, -SIGTERM);
  g_assert_cmpint (evp_test_wait (f->loop, killed, NULL), ==, -SIGKILL);
  g_assert_cmpint (evp_test_wait (f->loop, other, NULL), ==, -SIGUSR1);

  /* dead, but the loop may not know yet: nothing happens */
  if (evp_subprocess_get_returncode (dead) == EVP_RETURNCODE_NONE)
    {
      while (waitid (P_PID, (id_t) evp_subprocess_get_pid (dead), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
      g_assert_true (evp_subprocess_kill (dead, &error));
      g_assert_no_error (error);
    }
  g_assert_cmpint (evp_test_wait (f->loop, dead, NULL), ==, 3);

  /* the end is known */
  g_assert_false (evp_subprocess_kill (killed, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (evp_subprocess_send_signal (dead, 0, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);
}

static void
count_cb (EvpSubprocess *child,
          int            returncode,
          gpointer       user_data)
{
  g_assert_cmpint (returncode, ==, evp_subprocess_get_returncode (child));
  (*(guint *) user_data)++;
}

/* Rules: Q-15 */
static void
test_close (Fixture *f)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_PIPE);
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, NULL, "pause", NULL);
  g_auto (EvpTestAwait) read = { f->loop };
  g_auto (EvpTestAwait) closed = { f->loop };
  g_autoptr (GError) error = NULL;
  guint exits = 0;
  char buffer[8];

  g_signal_connect (child, "exited", G_CALLBACK (count_cb), &exits);
  g_input_stream_read_async (evp_subprocess_get_stdout (child), buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL,
                             evp_test_ready_cb, &read);
  evp_subprocess_wait_closed_async (child, NULL, evp_test_ready_cb, &closed);
  evp_subprocess_close (child);
  evp_subprocess_close (child);
  g_assert_cmpint (g_input_stream_read_finish (evp_subprocess_get_stdout (child), evp_test_await (&read), &error),
                   ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, -SIGKILL);
  if (closed.result == NULL)
    evp_test_await (&closed);
  g_assert_true (evp_subprocess_wait_closed_finish (child, closed.result, NULL));
  evp_subprocess_close (child);
  evp_test_run_ready (f->loop);
  g_assert_cmpuint (exits, ==, 1);
}

/* Rules: Q-15 */
static void
test_close_after_death (Fixture *f)
{
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, NULL, NULL, "exit", "5", NULL);
  siginfo_t info;

  if (evp_subprocess_get_returncode (child) == EVP_RETURNCODE_NONE)
    while (waitid (P_PID, (id_t) evp_subprocess_get_pid (child), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
      ;
  evp_subprocess_close (child);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 5);
}

/* Rules: Q-18 */
static void
test_cancel_start (Fixture *f)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  const char *argv[] = { evp_test_child_path (), "pause", NULL };
  guint warnings = evp_warn_runtime_get_count ();
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };

  /* while it is starting: killed and reaped before the error comes out */
  evp_subprocess_launch_async (f->loop, f->watcher, argv, NULL, NULL, cancellable, evp_test_ready_cb, &await);
  g_cancellable_cancel (cancellable);
  g_assert_null (evp_subprocess_launch_finish (f->loop, evp_test_await (&await), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_cmpint (waitpid (-1, NULL, WNOHANG), ==, -1);
  g_assert_cmpint (errno, ==, ECHILD);

  /* before */
  g_assert_null (evp_test_start_argv (f->loop, f->watcher, NULL, argv, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings);
}

/* Rules: Q-12 */
static void
test_cancel_wait (Fixture *f)
{
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, NULL, NULL, "pause", NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) first = { f->loop };
  g_auto (EvpTestAwait) second = { f->loop };
  g_autoptr (GError) error = NULL;

  evp_subprocess_wait_async (child, cancellable, evp_test_ready_cb, &first);
  evp_subprocess_wait_async (child, NULL, evp_test_ready_cb, &second);
  g_cancellable_cancel (cancellable);
  g_assert_cmpint (evp_subprocess_wait_finish (child, evp_test_await (&first), &error),
                   ==, EVP_RETURNCODE_NONE);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_null (second.result);
  g_assert_cmpint (evp_subprocess_get_returncode (child), ==, EVP_RETURNCODE_NONE);
  g_assert_true (evp_subprocess_terminate (child, NULL));
  g_assert_cmpint (evp_subprocess_wait_finish (child, evp_test_await (&second), NULL), ==, -SIGTERM);
}

/* Rules: Q-20, Z-38 */
static void
test_descriptors (Fixture *f)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) sibling = NULL;
  g_autoptr (EvpSubprocess) child = NULL;
  g_autofree char *fds = NULL;
  int leaky[2];

  /* also descriptors that are not close-on-exec, and the pipes of others */
  g_assert_no_errno (pipe (leaky));
  sibling = evp_test_start (f->loop, f->watcher, options, NULL, "cat", NULL);
  child = evp_test_start (f->loop, f->watcher, options, NULL, "fds", NULL);
  fds = evp_test_communicate (f->loop, child, NULL, NULL, NULL);
  g_assert_cmpstr (fds, ==, "0\n1\n2\n");
  close (leaky[0]);
  close (leaky[1]);

  /* so the sibling sees its end of file while `child`'s object is alive */
  g_clear_pointer (&fds, g_free);
  fds = evp_test_communicate (f->loop, sibling, "", NULL, NULL);
  g_assert_cmpstr (fds, ==, "");
}

static void
exited_cb (EvpSubprocess *child,
           int            returncode,
           gpointer       user_data)
{
  *(gboolean *) user_data = TRUE;
}

/* Rules: Q-19 */
static void
test_forgotten (Fixture *f)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_INHERIT, EVP_STDIO_INHERIT);
  EvpSubprocess *child = evp_test_start (f->loop, f->watcher, options, NULL, "wait", NULL);
  g_autoptr (GOutputStream) in = g_object_ref (evp_subprocess_get_stdin (child));
  guint warnings = evp_warn_runtime_get_count ();
  gboolean exited = FALSE;

  /* nobody refers to it any more, and it still runs and reports */
  g_signal_connect (child, "exited", G_CALLBACK (exited_cb), &exited);
  g_object_add_weak_pointer (G_OBJECT (child), (gpointer *) &child);
  g_object_unref (child);
  evp_test_run_ready (f->loop);
  g_assert_nonnull (child);
  g_assert_false (exited);
  g_assert_true (g_output_stream_close (in, NULL, NULL));
  evp_test_run_until (f->loop, &exited);
  evp_test_run_ready (f->loop);
  g_assert_null (child);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings);
}

typedef struct
{
  EvpSubprocess *child;
  guint exits;
} Quick;

static void
quick_started_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      user_data)
{
  Quick *quick = user_data;
  g_autoptr (GError) error = NULL;

  quick->child = evp_subprocess_launch_finish (EVP_EVENT_LOOP (source), result, &error);
  g_assert_no_error (error);
  g_assert_cmpint (evp_subprocess_get_returncode (quick->child), ==, EVP_RETURNCODE_NONE);
  g_signal_connect (quick->child, "exited", G_CALLBACK (count_cb), &quick->exits);
}

/* Rules: Q-6, W-61, Z-36 */
static void
test_quick (Fixture *f)
{
  const char *argv[] = { evp_test_child_path (), "exit", "9", NULL };
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (f->loop);

  /* children that may be dead before they are watched: whoever starts one learns of it first */
  for (int i = 0; i < 20; i++)
    {
      Quick quick = { NULL, 0 };

      evp_subprocess_launch_async (f->loop, f->watcher, argv, NULL, NULL, NULL, quick_started_cb, &quick);
      g_assert_null (quick.child);
      while (quick.exits == 0)
        g_main_context_iteration (context, TRUE);
      g_assert_cmpint (evp_test_wait (f->loop, quick.child, NULL), ==, 9);
      g_assert_cmpuint (quick.exits, ==, 1);
      g_object_unref (quick.child);
    }
}

/* Rules */
static void
test_pipes_close (Fixture *f)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) deaf =
    evp_test_start (f->loop, f->watcher, options, NULL, "close-stdin", NULL);
  g_autoptr (EvpSubprocess) mute =
    evp_test_start (f->loop, f->watcher, options, NULL, "flood", "1000000", NULL);
  g_autofree char *line = evp_test_read_line (f->loop, evp_subprocess_get_stdout (deaf));
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };

  /* the child has closed its input */
  g_assert_cmpstr (line, ==, "closed");
  g_output_stream_write_async (evp_subprocess_get_stdin (deaf), "x", 1, G_PRIORITY_DEFAULT, NULL,
                               evp_test_ready_cb, &await);
  g_assert_cmpint (g_output_stream_write_finish (evp_subprocess_get_stdin (deaf), evp_test_await (&await), &error),
                   ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  g_assert_true (evp_subprocess_kill (deaf, NULL));
  g_assert_cmpint (evp_test_wait (f->loop, deaf, NULL), ==, -SIGKILL);

  /* we close its output: SIGPIPE is back to its default in the child */
  g_assert_true (g_input_stream_close (evp_subprocess_get_stdout (mute), NULL, NULL));
  g_assert_cmpint (evp_test_wait (f->loop, mute, NULL), ==, -SIGPIPE);
}

/* Rules: Q-23 */
static void
test_back_pressure (Fixture *f)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_NULL, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) child =
    evp_test_start (f->loop, f->watcher, options, NULL, "flood", "1000000", NULL);
  GInputStream *out = evp_subprocess_get_stdout (child);
  gsize total = 0;
  gssize n;

  do
    {
      g_auto (EvpTestAwait) await = { f->loop };
      g_autoptr (GError) error = NULL;
      char buffer[4096];
      siginfo_t info = { 0 };

      /* what was not read, apart from what a pipe holds, was not written: the child waits for us */
      if (total < 800000)
        {
          g_assert_no_errno (waitid (P_PID, (id_t) evp_subprocess_get_pid (child), &info, WEXITED | WNOHANG | WNOWAIT));
          g_assert_cmpint (info.si_pid, ==, 0);
        }
      g_input_stream_read_async (out, buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
      n = g_input_stream_read_finish (out, evp_test_await (&await), &error);
      g_assert_no_error (error);
      total += (gsize) n;
    }
  while (n > 0);
  g_assert_cmpuint (total, ==, 1000000);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 0);
}

static void
body_cb (gpointer user_data)
{
  gpointer *args = user_data;
  Fixture *f = args[0];
  const Case *test = args[1];
  g_autoptr (GError) error = NULL;

  /* Safe and Fast are active only while their loop runs */
  evp_child_watcher_attach_loop (f->watcher, f->loop, &error);
  g_assert_no_error (error);
  test->func (f);
  evp_child_watcher_attach_loop (f->watcher, NULL, NULL);
}

static void
run_case (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, test->name);
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_autoptr (GError) error = NULL;
  Fixture f = { test->new_loop (&error), test->new_watcher () };
  gpointer args[] = { &f, (gpointer) test };

  g_assert_no_error (error);
  evp_test_run_in_loop (f.loop, body_cb, args);
  evp_child_watcher_close (f.watcher);
  g_assert_finalize_object (f.watcher);
  g_assert_true (evp_event_loop_close (f.loop, &error));
  g_assert_no_error (error);
  g_assert_finalize_object (f.loop);
  /* the threads of a watcher may still be on their way out; the deadline watches over them */
  while (evp_test_count_threads () > leaks.threads)
    g_thread_yield ();
  evp_test_leaks_check (&leaks);
}

void
contract_subprocess_add (const char *name,
                         EvpAbstractChildWatcher *(*new_watcher) (void),
                         EvpAbstractEventLoop *(*new_loop) (GError **error))
{
  static const struct
  {
    const char *name;
    TestFunc func;
  } tests[] = {
    { "return-codes", test_return_codes },
    { "cpu-time", test_cpu_time },
    { "spawn-failures", test_spawn_failures },
    { "communicate", test_communicate },
    { "communicate-much", test_communicate_much },
    { "many", test_many },
    { "output-after-exit", test_output_after_exit },
    { "grandchild", test_grandchild },
    { "signals", test_signals },
    { "close", test_close },
    { "close-after-death", test_close_after_death },
    { "cancel-start", test_cancel_start },
    { "cancel-wait", test_cancel_wait },
    { "descriptors", test_descriptors },
    { "forgotten", test_forgotten },
    { "quick", test_quick },
    { "pipes-close", test_pipes_close },
    { "back-pressure", test_back_pressure },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      /* not "subprocess": GLib keeps such paths for g_test_trap_subprocess() and skips them */
      g_autofree char *path = g_strdup_printf ("/evp/contract/sub-process/%s/%s", name, tests[i].name);
      Case *test = g_new (Case, 1);

      *test = (Case) { new_watcher, new_loop, tests[i].func, tests[i].name };
      g_test_add_data_func_full (path, test, run_case, g_free);
    }
}
