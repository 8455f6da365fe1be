/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A watcher as somebody else might write it: it takes notes, and reaps when it is told to. */

#define TEST_TYPE_WATCHER (test_watcher_get_type ())
G_DECLARE_FINAL_TYPE (TestWatcher, test_watcher, TEST, WATCHER, GObject)

struct _TestWatcher
{
  GObject parent_instance;
  GString *log;
  gboolean inactive;  /* what is_active() denies */
  gboolean refuse;    /* add_handler() fails */
  gboolean immediate; /* add_handler() waits for the child and calls back before it returns */
  EvpChildHandler *handler;
  GPid pid;
};

static int
reap (GPid pid)
{
  int status;

  while (waitpid (pid, &status, 0) < 0)
    g_assert_cmpint (errno, ==, EINTR);
  return evp_returncode_from_wait_status (status);
}

static gboolean
test_watcher_add_handler (EvpAbstractChildWatcher *watcher,
                          GPid                     pid,
                          EvpChildHandler         *handler,
                          GError                 **error)
{
  TestWatcher *self = TEST_WATCHER (watcher);

  g_string_append (self->log, "add ");
  self->pid = pid;
  if (self->refuse)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_FAILED, "refused");
      return FALSE;
    }
  if (self->immediate)
    evp_child_handler_invoke (handler, pid, reap (pid));
  else
    g_set_object (&self->handler, handler);
  return TRUE;
}

static gboolean
test_watcher_remove_handler (EvpAbstractChildWatcher *watcher,
                             GPid                     pid)
{
  TestWatcher *self = TEST_WATCHER (watcher);

  g_string_append (self->log, "remove ");
  if (self->handler == NULL)
    return FALSE;
  evp_child_handler_cancel (self->handler);
  g_clear_object (&self->handler);
  return TRUE;
}

static gboolean
test_watcher_is_active (EvpAbstractChildWatcher *watcher)
{
  g_string_append (TEST_WATCHER (watcher)->log, "active? ");
  return !TEST_WATCHER (watcher)->inactive;
}

static void
test_watcher_enter (EvpAbstractChildWatcher *watcher)
{
  g_string_append (TEST_WATCHER (watcher)->log, "enter ");
}

static void
test_watcher_exit (EvpAbstractChildWatcher *watcher)
{
  g_string_append (TEST_WATCHER (watcher)->log, "exit ");
}

static void
test_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->add_handler = test_watcher_add_handler;
  iface->remove_handler = test_watcher_remove_handler;
  iface->is_active = test_watcher_is_active;
  iface->enter = test_watcher_enter;
  iface->exit = test_watcher_exit;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (TestWatcher, test_watcher, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, test_watcher_iface_init))

static void
test_watcher_finalize (GObject *object)
{
  TestWatcher *self = TEST_WATCHER (object);

  g_clear_object (&self->handler);
  g_string_free (self->log, TRUE);
  G_OBJECT_CLASS (test_watcher_parent_class)->finalize (object);
}

static void
test_watcher_class_init (TestWatcherClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = test_watcher_finalize;
}

static void
test_watcher_init (TestWatcher *self)
{
  self->log = g_string_new (NULL);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpAbstractChildWatcher *watcher; /* the default one */
  TestWatcher *own;
  EvpTestDeadline *deadline;
  EvpTestLeaks leaks;
} Fixture;

static void
set_up (Fixture      *f,
        gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->deadline = evp_test_deadline_start (60, "a subprocess");
  f->leaks = evp_test_leaks_begin ();
  f->loop = evp_selector_event_loop_new (NULL, NULL, &error);
  g_assert_no_error (error);
  f->watcher = evp_child_watcher_new_default ();
  f->own = g_object_new (TEST_TYPE_WATCHER, NULL);
}

static void
tear_down (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_finalize_object (f->own);
  evp_child_watcher_close (f->watcher);
  g_assert_finalize_object (f->watcher);
  evp_event_loop_close (f->loop, &error);
  g_assert_no_error (error);
  g_assert_finalize_object (f->loop);
  while (evp_test_count_threads () > f->leaks.threads) /* those of a threaded watcher are on their way out */
    g_thread_yield ();
  evp_test_leaks_check (&f->leaks);
  evp_test_deadline_stop (f->deadline);
}

static EvpAbstractChildWatcher *
own (Fixture *f)
{
  return EVP_CHILD_WATCHER (f->own);
}

/* Rules: Q-1, W-5, W-9 */
static void
test_inactive (Fixture      *f,
               gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_NULL);
  g_autoptr (GError) error = NULL;

  f->own->inactive = TRUE;
  g_assert_null (evp_test_start (f->loop, own (f), options, &error, "exit", "0", NULL));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WATCHER_INACTIVE);
  g_assert_nonnull (strstr (error->message, "TestWatcher"));
  g_assert_cmpstr (f->own->log->str, ==, "enter active? exit ");
  g_assert_cmpint (f->own->pid, ==, 0);
  g_assert_cmpint (waitpid (-1, NULL, WNOHANG), ==, -1);
  g_assert_cmpint (errno, ==, ECHILD);
}

/* Rules: W-9, Q-1, Q-5 */
static void
test_bracket (Fixture      *f,
              gconstpointer data)
{
  const char *missing[] = { "/nonexistent", NULL };
  g_autoptr (EvpSubprocess) child = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_test_start_argv (f->loop, own (f), NULL, missing, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_cmpstr (f->own->log->str, ==, "enter active? exit ");
  g_string_truncate (f->own->log, 0);

  child = evp_test_start (f->loop, own (f), NULL, NULL, "exit", "4", NULL);
  g_assert_nonnull (child);
  g_assert_cmpstr (f->own->log->str, ==, "enter active? add exit ");
  g_assert_cmpint (evp_subprocess_get_returncode (child), ==, EVP_RETURNCODE_NONE);
  evp_child_handler_invoke (f->own->handler, f->own->pid, reap (f->own->pid));
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 4);
}

/* Rules: Q-18 */
static void
test_add_fails (Fixture      *f,
                gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_PIPE);
  guint warnings = evp_warn_runtime_get_count ();
  g_autoptr (GError) error = NULL;

  f->own->refuse = TRUE;
  g_assert_null (evp_test_start (f->loop, own (f), options, &error, "pause", NULL));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FAILED);
  g_assert_cmpstr (error->message, ==, "refused");
  g_assert_cmpstr (f->own->log->str, ==, "enter active? add exit ");
  /* killed and reaped */
  g_assert_cmpint (waitpid (f->own->pid, NULL, WNOHANG), ==, -1);
  g_assert_cmpint (errno, ==, ECHILD);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings);
}

typedef struct
{
  GString *log;
  EvpSubprocess *child;
} Order;

static void
order_exited_cb (EvpSubprocess *child,
                 int            returncode,
                 gpointer       user_data)
{
  g_string_append_printf (((Order *) user_data)->log, "exited %d ", returncode);
}

static void
order_started_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      user_data)
{
  Order *order = user_data;

  order->child = evp_subprocess_launch_finish (EVP_EVENT_LOOP (source), result, NULL);
  g_assert_nonnull (order->child);
  g_assert_cmpint (evp_subprocess_get_returncode (order->child), ==, EVP_RETURNCODE_NONE);
  g_signal_connect (order->child, "exited", G_CALLBACK (order_exited_cb), order);
  g_string_append (order->log, "started ");
}

/* Rules: Q-6, Z-36, W-20, W-29 */
static void
test_exit_inside_add (Fixture      *f,
                      gconstpointer data)
{
  g_autoptr (GString) log = g_string_new (NULL);
  const char *argv[] = { evp_test_child_path (), "exit", "6", NULL };
  Order order = { log, NULL };

  f->own->immediate = TRUE;
  evp_subprocess_launch_async (f->loop, own (f), argv, NULL, NULL, NULL, order_started_cb, &order);
  g_assert_cmpstr (log->str, ==, "");
  evp_test_run_ready (f->loop);
  g_assert_cmpstr (log->str, ==, "started exited 6 ");
  g_assert_finalize_object (order.child);
}

static void
nested_started_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      user_data)
{
  g_autoptr (EvpSubprocess) child = evp_subprocess_launch_finish (EVP_EVENT_LOOP (source), result, NULL);

  /* a modal main loop in the callback, until the child has ended */
  *(int *) user_data = evp_test_wait (EVP_EVENT_LOOP (source), child, NULL);
}

/* Rules: Z-10, Q-6 */
static void
test_nested (Fixture      *f,
             gconstpointer data)
{
  const char *argv[] = { evp_test_child_path (), "exit", "8", NULL };
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (f->loop);
  EvpAbstractChildWatcher *watchers[] = { own (f), f->watcher };

  f->own->immediate = TRUE;
  for (int i = 0; i < 2; i++)
    {
      int returncode = EVP_RETURNCODE_NONE;

      evp_subprocess_launch_async (f->loop, watchers[i], argv, NULL, NULL, NULL, nested_started_cb, &returncode);
      while (returncode == EVP_RETURNCODE_NONE)
        g_main_context_iteration (context, TRUE);
      g_assert_cmpint (returncode, ==, 8);
    }
}

static void
count_cb (GObject    *object,
          GParamSpec *pspec,
          gpointer    user_data)
{
  ++*(guint *) user_data;
}

/* Rules: Q-13, W-6, Z-39 */
static void
test_lost (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, own (f), NULL, NULL, "exit", "0", NULL);
  guint n_notified = 0;
  gboolean lost;
  int returncode, pid;

  g_object_get (child, "lost", &lost, "returncode", &returncode, "pid", &pid, NULL);
  g_assert_false (lost);
  g_assert_cmpint (returncode, ==, EVP_RETURNCODE_NONE);
  g_assert_cmpint (pid, ==, f->own->pid);
  g_signal_connect (child, "notify::lost", G_CALLBACK (count_cb), &n_notified);
  reap (f->own->pid);
  evp_child_handler_invoke_lost (f->own->handler, f->own->pid);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, EVP_RETURNCODE_LOST);
  g_object_get (child, "lost", &lost, "returncode", &returncode, NULL);
  g_assert_true (lost);
  g_assert_true (evp_subprocess_get_lost (child));
  g_assert_cmpuint (n_notified, ==, 1);
  g_assert_cmpint (returncode, ==, EVP_RETURNCODE_LOST);
}

/* Rules: Q-14, Z-33, Z-34 */
static void
test_stolen (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, own (f), NULL, NULL, "exit", "0", NULL);
  g_autoptr (GError) error = NULL;

  /* reaped behind everybody's back: the number may be anybody's now, and nobody gets the signal */
  reap (f->own->pid);
  g_assert_true (evp_subprocess_send_signal (child, 0, &error));
  g_assert_true (evp_subprocess_kill (child, &error));
  g_assert_no_error (error);
  evp_child_handler_invoke_lost (f->own->handler, f->own->pid);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, EVP_RETURNCODE_LOST);
}

/* Rules: Q-14 */
static void
test_forked (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, NULL, NULL, "pause", NULL);
  GPid copy = fork ();

  /* to a copy of this process, the child is a stranger */
  if (copy == 0)
    {
      evp_subprocess_kill (child, NULL);
      evp_test_exit_forked (0);
    }
  g_assert_cmpint (reap (copy), ==, 0);
  g_assert_true (evp_subprocess_terminate (child, NULL));
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, -SIGTERM);
}

/* Rules: Q-14 */
static void
test_bad_signal (Fixture      *f,
                 gconstpointer data)
{
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, NULL, NULL, "pause", NULL);
  static const int bad[] = { -1, 1000, 65 };
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_false (evp_subprocess_send_signal (child, bad[i], &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  g_assert_true (evp_subprocess_kill (child, NULL));
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, -SIGKILL);
}

/* Rules */
static void
test_stdio (Fixture      *f,
            gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) merged =
    evp_test_options (EVP_STDIO_NULL, EVP_STDIO_PIPE, EVP_STDIO_MERGE);
  g_autoptr (EvpSubprocessOptions) to_fd =
    evp_test_options (EVP_STDIO_NULL, EVP_STDIO_NULL, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) child = NULL;
  g_autoptr (GOutputStream) in = NULL;
  g_autoptr (GInputStream) out = NULL;
  g_autoptr (GInputStream) err = NULL;
  g_autofree char *text = NULL;
  char buffer[32];
  int fds[2];

  child = evp_test_start (f->loop, f->watcher, merged, NULL, "both", "one", "two", NULL);
  g_object_get (child, "stdin", &in, "stdout", &out, "stderr", &err, NULL);
  g_assert_null (in);
  g_assert_null (err);
  g_assert_nonnull (out);
  g_assert_true (out == evp_subprocess_get_stdout (child));
  text = evp_test_communicate (f->loop, child, NULL, NULL, NULL);
  g_assert_cmpstr (text, ==, "one\ntwo\n");
  g_clear_object (&child);

  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  evp_subprocess_options_set_stderr_fd (to_fd, fds[1]);
  child = evp_test_start (f->loop, f->watcher, to_fd, NULL, "both", "one", "two", NULL);
  close (fds[1]);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 0);
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer), ==, 4);
  g_assert_cmpmem (buffer, 4, "two\n", 4);
  g_assert_cmpint (read (fds[0], buffer, sizeof buffer), ==, 0);
  close (fds[0]);
}

/* Rules */
static void
test_bad_options (Fixture      *f,
                  gconstpointer data)
{
  static const EvpStdio bad[][3] = {
    { EVP_STDIO_MERGE, EVP_STDIO_INHERIT, EVP_STDIO_INHERIT },
    { EVP_STDIO_INHERIT, EVP_STDIO_MERGE, EVP_STDIO_INHERIT },
    { EVP_STDIO_PIPE, EVP_STDIO_FD, EVP_STDIO_INHERIT }, /* no descriptor was set */
  };
  const char *empty[] = { NULL };
  g_autoptr (GError) error = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (EvpSubprocessOptions) options = evp_test_options (bad[i][0], bad[i][1], bad[i][2]);

      g_assert_null (evp_test_start (f->loop, f->watcher, options, &error, "exit", NULL));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  g_assert_null (evp_test_start_argv (f->loop, f->watcher, NULL, empty, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (evp_test_start_argv (f->loop, f->watcher, NULL, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
}

static char *
run_mode (Fixture              *f,
          EvpSubprocessOptions *options,
          const char           *mode,
          const char           *arg)
{
  g_autoptr (EvpSubprocess) child = NULL;
  g_autoptr (GError) error = NULL;

  evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
  child = evp_test_start (f->loop, f->watcher, options, &error, mode, arg, NULL);
  g_assert_no_error (error);
  return g_strchomp (evp_test_communicate (f->loop, child, NULL, NULL, NULL));
}

/* Rules */
static void
test_environment (Fixture      *f,
                  gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  g_autofree char *inherited = NULL;
  g_autofree char *set = NULL;
  g_autofree char *unset = NULL;
  g_autofree char *cwd = NULL;

  g_setenv ("EVP_TEST_VARIABLE", "parent", TRUE);
  inherited = run_mode (f, options, "env", "EVP_TEST_VARIABLE");
  g_assert_cmpstr (inherited, ==, "parent");
  evp_subprocess_options_setenv (options, "EVP_TEST_VARIABLE", "child");
  set = run_mode (f, options, "env", "EVP_TEST_VARIABLE");
  g_assert_cmpstr (set, ==, "child");
  evp_subprocess_options_unsetenv (options, "EVP_TEST_VARIABLE");
  unset = run_mode (f, options, "env", "EVP_TEST_VARIABLE");
  g_assert_cmpstr (unset, ==, "(unset)");
  evp_subprocess_options_set_cwd (options, "/");
  cwd = run_mode (f, options, "cwd", NULL);
  g_assert_cmpstr (cwd, ==, "/");
}

/* Rules: Q-20 */
static void
test_session (Fixture      *f,
              gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  g_auto (GStrv) inherited = NULL;
  g_auto (GStrv) group = NULL;
  g_auto (GStrv) session = NULL;
  g_autofree char *text = run_mode (f, options, "ids", NULL);

  /* uid gid pgrp sid pid */
  inherited = g_strsplit (text, " ", -1);
  g_assert_cmpint (atoi (inherited[2]), ==, getpgrp ());
  g_assert_cmpint (atoi (inherited[3]), ==, getsid (0));
  evp_subprocess_options_set_process_group (options, 0);
  g_free (text);
  text = run_mode (f, options, "ids", NULL);
  group = g_strsplit (text, " ", -1);
  g_assert_cmpstr (group[2], ==, group[4]);
  g_assert_cmpint (atoi (group[3]), ==, getsid (0));
  evp_subprocess_options_set_process_group (options, -1);
  evp_subprocess_options_set_new_session (options, TRUE);
  g_free (text);
  text = run_mode (f, options, "ids", NULL);
  session = g_strsplit (text, " ", -1);
  g_assert_cmpstr (session[2], ==, session[4]);
  g_assert_cmpstr (session[3], ==, session[4]);
}

static char *
list_groups (Fixture              *f,
             EvpSubprocessOptions *options)
{
  const char *argv[] = { "/bin/sh", "-c", "id -G", NULL };
  g_autoptr (EvpSubprocess) child = NULL;
  g_autoptr (GError) error = NULL;

  evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
  child = evp_test_start_argv (f->loop, f->watcher, options, argv, NULL, &error);
  g_assert_no_error (error);
  return evp_test_communicate (f->loop, child, NULL, NULL, NULL);
}

/* Rules: Q-20 */
static void
test_no_groups (Fixture      *f,
                gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) untouched = evp_subprocess_options_new ();
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  g_autofree char *parents = list_groups (f, untouched);
  g_autofree char *again = NULL;

  /* no groups to set, unlike a set of none: whoever may not set any may do this */
  evp_subprocess_options_set_groups (options, (guint[]) { 65534, 65533 }, 2);
  evp_subprocess_options_set_groups (options, NULL, 0);
  again = list_groups (f, options);
  g_assert_cmpstr (again, ==, parents);
  if (geteuid () == 0)
    {
      g_autofree char *own = g_strdup_printf ("%d\n", (int) getegid ());
      g_autofree char *none = NULL;

      evp_subprocess_options_set_groups (options, (guint[]) { 65534 }, 0);
      none = list_groups (f, options);
      g_assert_cmpstr (none, ==, own);
    }
}

/* Rules: Q-20 */
static void
test_user (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  g_autofree char *text = NULL;

  evp_subprocess_options_set_uid (options, 65534);
  evp_subprocess_options_set_gid (options, 65534);
  if (geteuid () != 0)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (evp_test_start (f->loop, f->watcher, options, &error, "exit", NULL));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
      return;
    }
  /* one that nobody has by himself */
  evp_subprocess_options_set_groups (options, (guint[]) { 65534, 65533 }, 2);
  evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
  {
    const char *argv[] = { "/bin/sh", "-c", "id -u; id -g; id -G", NULL };
    g_autoptr (GError) error = NULL;
    g_autoptr (EvpSubprocess) child = evp_test_start_argv (f->loop, f->watcher, options, argv, NULL, &error);

    g_assert_no_error (error);
    text = evp_test_communicate (f->loop, child, NULL, NULL, NULL);
    g_assert_cmpstr (text, ==, "65534\n65534\n65534 65533\n");
  }
}

/* Rules: Q-20 */
static void
test_signals_default (Fixture      *f,
                      gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  struct sigaction ignore = { .sa_handler = SIG_IGN }, before_pipe, before_usr1;
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  sigset_t blocked, mask;

  g_assert_no_errno (sigaction (SIGPIPE, &ignore, &before_pipe));
  g_assert_no_errno (sigaction (SIGUSR1, &ignore, &before_usr1));
  sigemptyset (&blocked);
  sigaddset (&blocked, SIGUSR2);
  pthread_sigmask (SIG_BLOCK, &blocked, &mask);
  evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
  {
    g_autoptr (EvpSubprocess) child =
      evp_test_start (f->loop, f->watcher, options, NULL, "signals", NULL);

    text = evp_test_communicate (f->loop, child, NULL, NULL, NULL);
  }
  pthread_sigmask (SIG_SETMASK, &mask, NULL);
  g_assert_no_errno (sigaction (SIGUSR1, &before_usr1, NULL));
  g_assert_no_errno (sigaction (SIGPIPE, &before_pipe, NULL));
  g_assert_cmpstr (text, ==, "\n\n");
}

/* Rules: Q-20 */
static void
test_pass_fd (Fixture      *f,
              gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  g_autofree char *fds = NULL;
  g_autofree char *crossed = NULL;
  int pair[2];

  g_assert_no_errno (pipe2 (pair, O_CLOEXEC));
  evp_subprocess_options_pass_fd (options, pair[0], 9);
  evp_subprocess_options_pass_fd (options, pair[1], pair[1]);
  fds = run_mode (f, options, "fds", NULL);
  crossed = g_strdup_printf (pair[1] < 9 ? "0\n1\n2\n%d\n9" : "0\n1\n2\n9\n%d", pair[1]);
  g_assert_cmpstr (fds, ==, crossed);

  /* each becomes the other */
  g_clear_object (&options);
  options = evp_subprocess_options_new ();
  evp_subprocess_options_pass_fd (options, pair[0], pair[1]);
  evp_subprocess_options_pass_fd (options, pair[1], pair[0]);
  evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
  {
    g_autofree char *script = g_strdup_printf ("echo across >&%d", pair[0]);
    const char *argv[] = { "/bin/sh", "-c", script, NULL };
    g_autoptr (EvpSubprocess) child = evp_test_start_argv (f->loop, f->watcher, options, argv, NULL, NULL);
    char buffer[32];

    g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 0);
    g_assert_cmpint (read (pair[0], buffer, sizeof buffer), ==, 7);
    g_assert_cmpmem (buffer, 7, "across\n", 7);
  }
  close (pair[0]);
  close (pair[1]);
}

static void
never_readable_cb (int      fd,
                   gpointer user_data)
{
  g_assert_not_reached ();
}

/* Rules: Q-3, F-6, Q-20 */
static void
test_closed_stdin (Fixture      *f,
                   gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_INHERIT, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  int saved = fcntl (0, F_DUPFD_CLOEXEC, 3), pair[2];

  g_assert_cmpint (saved, >, 2);
  /* the loop has the selector that it keeps */
  g_assert_no_errno (pipe2 (pair, O_CLOEXEC));
  g_assert_true (evp_event_loop_add_reader (f->loop, pair[0], never_readable_cb, NULL, NULL, NULL));
  g_assert_true (evp_event_loop_remove_reader (f->loop, pair[0]));
  close (pair[0]);
  close (pair[1]);
  g_assert_no_errno (close (0));
  /* The number is free first, then it is that of a pipe of the library; the child gets neither. */
  for (int i = 0; i < 2; i++)
    {
      g_autofree char *fds = run_mode (f, options, "fds", NULL);
      g_autoptr (EvpSubprocess) child =
        evp_test_start (f->loop, f->watcher, options, NULL, "wait", NULL);
      g_autoptr (EvpSubprocess) same =
        evp_test_start (f->loop, f->watcher, options, NULL, "wait", NULL);

      g_assert_cmpstr (fds, ==, "0\n1\n2");
      g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 0);
      g_assert_cmpint (evp_test_wait (f->loop, same, NULL), ==, 0);
    }
  g_assert_cmpint (fcntl (0, F_GETFD), ==, -1);
  /* nor what somebody else has there for himself */
  g_assert_no_errno (pipe2 (pair, O_CLOEXEC));
  g_assert_cmpint (pair[0], ==, 0);
  {
    g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, NULL, "wait", NULL);

    g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 0);
  }
  close (pair[1]);
  g_assert_cmpint (dup2 (saved, 0), ==, 0);
  close (saved);
}

/* Rules: Q-22 */
static void
test_communicate_edges (Fixture      *f,
                        gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) in_only =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_NULL, EVP_STDIO_NULL);
  g_autoptr (EvpSubprocess) plain = evp_test_start (f->loop, f->watcher, NULL, NULL, "exit", "2", NULL);
  g_autoptr (EvpSubprocess) deaf =
    evp_test_start (f->loop, f->watcher, in_only, NULL, "exit", "0", NULL);
  g_autoptr (EvpSubprocess) waiting = evp_test_start (f->loop, f->watcher, in_only, NULL, "wait", NULL);
  g_autoptr (GBytes) input = g_bytes_new_take (g_malloc0 (1024 * 1024), 1024 * 1024);
  g_autoptr (GError) error = NULL;

  /* input, and nowhere to put it */
  g_assert_null (evp_test_communicate (f->loop, plain, "x", NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  for (int i = 0; i < 2; i++)
    {
      /* not piped: NULL; and a child that reads nothing is no failure */
      EvpSubprocess *child = i == 0 ? plain : deaf;
      g_auto (EvpTestAwait) await = { f->loop };
      g_autoptr (GBytes) out = NULL;
      g_autoptr (GBytes) err = NULL;

      evp_subprocess_communicate_async (child, i == 0 ? NULL : input, NULL, evp_test_ready_cb, &await);
      g_assert_true (evp_subprocess_communicate_finish (child, evp_test_await (&await), &out, &err, &error));
      g_assert_no_error (error);
      g_assert_null (out);
      g_assert_null (err);
    }
  /* no input: standard input is closed all the same */
  g_assert_null (evp_test_communicate (f->loop, waiting, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (evp_subprocess_get_returncode (waiting), ==, 0);
}

/* Rules: Q-22 */
static void
test_communicate_outside (Fixture      *f,
                          gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);

  /* called before the loop runs, so that the thread's default context is another than the loop's */
  for (int i = 0; i < 2; i++)
    {
      g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, NULL, "cat", NULL);
      g_autofree char *text = NULL;
      g_autoptr (GError) error = NULL;

      text = evp_test_communicate (f->loop, child, i == 0 ? "early" : NULL, NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (text, ==, i == 0 ? "early" : "");
    }
}

static gpointer
collect_thread (gpointer child)
{
  g_object_unref (child);
  return NULL;
}

/* As a garbage collector does it, while one of the streams, which somebody else has, comes to its end. */
/* Rules: Q-8 */
static void
test_dropped_elsewhere (Fixture      *f,
                        gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);

  for (int i = 0; i < 10; i++)
    {
      EvpSubprocess *child = evp_test_start (f->loop, f->watcher, options, NULL, "echo", "x", NULL);
      g_autoptr (GInputStream) out = g_object_ref (evp_subprocess_get_stdout (child));
      g_autoptr (GError) error = NULL;
      GThread *thread;
      char buffer[8];

      g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 0);
      evp_test_run_ready (f->loop); /* the watcher has forgotten it */
      thread = g_thread_new ("collector", collect_thread, child);
      while (g_pollable_input_stream_read_nonblocking (G_POLLABLE_INPUT_STREAM (out), buffer, sizeof buffer,
                                                       NULL, &error) > 0)
        ;
      g_assert_no_error (error);
      g_thread_join (thread);
      evp_test_run_ready (f->loop);
    }
}

/* The same with one that nothing watches any more, whose output is being waited for. */
/* Rules */
static void
test_dropped_waiting_elsewhere (Fixture      *f,
                                gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_NULL, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  EvpSubprocess *child = evp_test_start (f->loop, own (f), options, NULL, "pause", NULL);
  g_autoptr (GInputStream) out = g_object_ref (evp_subprocess_get_stdout (child));
  const GPid pid = evp_subprocess_get_pid (child);
  g_auto (EvpTestAwait) await = { f->loop };
  guint warnings = evp_warn_runtime_get_count ();
  g_autoptr (GError) error = NULL;
  char buffer[8];

  evp_event_loop_set_debug (f->loop, TRUE); /* it looks at who schedules */
  g_input_stream_read_async (out, buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
  evp_child_watcher_remove_child_handler (own (f), pid);
  g_thread_join (g_thread_new ("collector", collect_thread, child));
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings + 1);
  g_assert_cmpint (reap (pid), ==, -SIGKILL);
  g_assert_cmpint (g_input_stream_read_finish (out, evp_test_await (&await), &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

/* Another thread has the loop's main context for a moment, before the loop runs. */
/* Rules: Q-22 */
static void
test_communicate_occupied (Fixture      *f,
                           gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);

  for (int i = 0; i < 4; i++)
    {
      g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, NULL, "cat", NULL);
      g_autoptr (GBytes) input = (i & 1) == 0 ? g_bytes_new_static ("early", 5) : NULL;
      g_autoptr (GBytes) output = NULL;
      g_auto (EvpTestAwait) await = { f->loop };
      EvpTestOccupation *occupation = evp_test_occupy (f->loop);
      g_autoptr (GError) error = NULL;

      evp_event_loop_set_debug (f->loop, i >= 2);
      evp_subprocess_communicate_async (child, input, NULL, evp_test_ready_cb, &await);
      evp_test_occupation_end (occupation);
      g_assert_true (evp_subprocess_communicate_finish (child, evp_test_await (&await), &output, NULL, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (g_bytes_get_size (output), ==, input != NULL ? 5 : 0);
    }
}

/* The same, and the loop never runs again. */
/* Rules: Q-22 */
static void
test_communicate_occupied_closed (Fixture      *f,
                                  gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, own (f), options, NULL, "pause", NULL);
  GPid pid = evp_subprocess_get_pid (child);
  g_auto (EvpTestAwait) await = { f->loop };
  EvpTestOccupation *occupation = evp_test_occupy (f->loop);
  g_autoptr (GError) error = NULL;

  evp_subprocess_communicate_async (child, NULL, NULL, evp_test_ready_cb, &await);
  evp_test_occupation_end (occupation);
  g_assert_true (evp_event_loop_close (f->loop, &error));
  g_assert_no_error (error);
  evp_child_watcher_remove_child_handler (own (f), pid);
  while (await.result == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_false (evp_subprocess_communicate_finish (child, await.result, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  evp_subprocess_close (child);
  g_assert_cmpint (reap (pid), ==, -SIGKILL);
}

/* Rules */
static void
test_communicate_cancelled (Fixture      *f,
                            gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_PIPE);
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, NULL, "pause", NULL);
  g_autoptr (GBytes) input = g_bytes_new_take (g_malloc0 (1024 * 1024), 1024 * 1024);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) await = { f->loop };
  g_autoptr (GError) error = NULL;

  evp_subprocess_communicate_async (child, input, cancellable, evp_test_ready_cb, &await);
  evp_test_run_ready (f->loop);
  g_assert_null (await.result);
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_subprocess_communicate_finish (child, evp_test_await (&await), NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  /* the streams are free again, nobody has told the child that this was all, and it lives */
  g_assert_false (g_input_stream_has_pending (evp_subprocess_get_stdout (child)));
  g_assert_false (g_output_stream_has_pending (evp_subprocess_get_stdin (child)));
  g_assert_false (g_output_stream_is_closed (evp_subprocess_get_stdin (child)));
  g_assert_cmpint (evp_subprocess_get_returncode (child), ==, EVP_RETURNCODE_NONE);
  evp_subprocess_close (child);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, -SIGKILL);
}

/* Rules */
static void
test_communicate_cancelled_late (Fixture      *f,
                                 gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_PIPE);
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, NULL, "pause", NULL);
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (f->loop);
  g_autoptr (GBytes) input = g_bytes_new_static ("all", 3);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) await = { f->loop };
  g_autoptr (GError) error = NULL;

  /* this was all, and the child has been told */
  evp_subprocess_communicate_async (child, input, cancellable, evp_test_ready_cb, &await);
  while (!g_output_stream_is_closed (evp_subprocess_get_stdin (child)))
    g_main_context_iteration (context, TRUE);
  g_assert_null (await.result);
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_subprocess_communicate_finish (child, evp_test_await (&await), NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  evp_subprocess_close (child);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, -SIGKILL);
}

/* Rules: Q-22 */
static void
test_communicate_busy (Fixture      *f,
                       gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_PIPE);
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, NULL, "pause", NULL);
  GOutputStream *in = evp_subprocess_get_stdin (child);
  g_autofree char *much = g_malloc0 (1024 * 1024);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) written = { f->loop };
  g_autoptr (GError) error = NULL;

  /* somebody else still writes: standard input can be neither written to nor closed */
  g_output_stream_write_all_async (in, much, 1024 * 1024, G_PRIORITY_DEFAULT, cancellable, evp_test_ready_cb, &written);
  for (int i = 0; i < 2; i++)
    {
      g_assert_null (evp_test_communicate (f->loop, child, i == 0 ? NULL : "x", NULL, &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
      g_clear_error (&error);
      g_assert_false (g_output_stream_is_closed (in));
      g_assert_false (g_input_stream_has_pending (evp_subprocess_get_stdout (child)));
      g_assert_false (g_input_stream_has_pending (evp_subprocess_get_stderr (child)));
    }
  g_assert_null (written.result);
  g_cancellable_cancel (cancellable);
  g_assert_false (g_output_stream_write_all_finish (in, evp_test_await (&written), NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  evp_subprocess_close (child);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, -SIGKILL);
}

/* Rules: Q-9 */
static void
test_wait_closed (Fixture      *f,
                  gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) child =
    evp_test_start (f->loop, f->watcher, options, NULL, "echo", "x", NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (EvpTestAwait) closed = { f->loop };
  g_auto (EvpTestAwait) cancelled = { f->loop };
  g_autoptr (GError) error = NULL;
  char buffer[8];

  evp_subprocess_wait_closed_async (child, NULL, evp_test_ready_cb, &closed);
  evp_subprocess_wait_closed_async (child, cancellable, evp_test_ready_cb, &cancelled);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 0);
  evp_test_run_ready (f->loop);
  g_assert_null (closed.result);
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_subprocess_wait_closed_finish (child, evp_test_await (&cancelled), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);

  /* standard output has to be read to its end; standard input has lost its reader by itself */
  for (int expected = 2; expected >= 0; expected -= 2)
    {
      g_auto (EvpTestAwait) read = { f->loop };

      g_assert_null (closed.result);
      g_input_stream_read_async (evp_subprocess_get_stdout (child), buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL,
                                 evp_test_ready_cb, &read);
      g_assert_cmpint (g_input_stream_read_finish (evp_subprocess_get_stdout (child), evp_test_await (&read), NULL),
                       ==, expected);
    }
  if (closed.result == NULL)
    evp_test_await (&closed);
  g_assert_true (evp_subprocess_wait_closed_finish (child, closed.result, &error));
  g_assert_no_error (error);
}

/* Rules: Q-19 */
static void
test_dropped_by_watcher (Fixture      *f,
                         gconstpointer data)
{
  EvpSubprocess *child = evp_test_start (f->loop, own (f), NULL, NULL, "pause", NULL);
  g_auto (EvpTestAwait) await = { f->loop };
  guint warnings = evp_warn_runtime_get_count ();
  g_autoptr (GError) error = NULL;
  g_autofree char *warning = NULL;
  GPid pid = evp_subprocess_get_pid (child);

  evp_subprocess_wait_async (child, NULL, evp_test_ready_cb, &await);
  g_clear_object (&f->own->handler); /* forgotten, not even cancelled */
  g_assert_cmpint (evp_subprocess_wait_finish (child, evp_test_await (&await), &error),
                   ==, EVP_RETURNCODE_NONE);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WATCHER_CLOSED);
  g_clear_error (&error);
  g_assert_cmpint (evp_test_wait (f->loop, child, &error), ==, EVP_RETURNCODE_NONE);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WATCHER_CLOSED);

  evp_test_await_clear (&await);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings);
  g_assert_finalize_object (child);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings + 1);
  warning = evp_warn_runtime_dup_last ();
  g_assert_nonnull (strstr (warning, "still runs"));
  g_assert_cmpint (reap (pid), ==, -SIGKILL);
}

/* Rules */
static void
test_closed_is_quiet (Fixture      *f,
                      gconstpointer data)
{
  EvpSubprocess *child = evp_test_start (f->loop, own (f), NULL, NULL, "pause", NULL);
  guint warnings = evp_warn_runtime_get_count ();
  GPid pid = evp_subprocess_get_pid (child);

  evp_subprocess_close (child);
  g_clear_object (&f->own->handler);
  g_assert_finalize_object (child);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, warnings);
  g_assert_cmpint (reap (pid), ==, -SIGKILL);
}

/* Rules: Q-7 */
static void
test_empty_object (Fixture      *f,
                   gconstpointer data)
{
  /* any language can make one */
  EvpSubprocess *child = g_object_new (EVP_TYPE_SUBPROCESS, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (evp_subprocess_get_pid (child), ==, 0);
  g_assert_cmpint (evp_subprocess_get_returncode (child), ==, EVP_RETURNCODE_NONE);
  g_assert_false (evp_subprocess_kill (child, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);
  evp_subprocess_close (child);
  g_assert_finalize_object (child);
}

/* Rules: Q-8 */
static void
test_interop (Fixture      *f,
              gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) source =
    evp_test_start (f->loop, f->watcher, options, NULL, "echo", "a", "b", NULL);
  g_autoptr (EvpSubprocess) sink = evp_test_start (f->loop, f->watcher, options, NULL, "cat", NULL);
  g_autoptr (GDataInputStream) lines = g_data_input_stream_new (evp_subprocess_get_stdout (sink));
  g_auto (EvpTestAwait) spliced = { f->loop };
  const char *expected[] = { "a", "b", NULL };
  g_autoptr (GError) error = NULL;

  /* one child into another, with GIO's own means */
  g_output_stream_splice_async (evp_subprocess_get_stdin (sink), evp_subprocess_get_stdout (source),
                                G_OUTPUT_STREAM_SPLICE_CLOSE_SOURCE | G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET,
                                G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &spliced);
  for (gsize i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_auto (EvpTestAwait) await = { f->loop };
      g_autofree char *line = NULL;

      g_data_input_stream_read_line_async (lines, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
      line = g_data_input_stream_read_line_finish (lines, evp_test_await (&await), NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (line, ==, expected[i]);
    }
  if (spliced.result == NULL)
    evp_test_await (&spliced);
  g_assert_cmpint (g_output_stream_splice_finish (evp_subprocess_get_stdin (sink), spliced.result, &error),
                   ==, 4);
  g_assert_no_error (error);
  g_assert_cmpint (evp_test_wait (f->loop, source, NULL), ==, 0);
  g_assert_cmpint (evp_test_wait (f->loop, sink, NULL), ==, 0);
}

typedef struct
{
  GError *start_error;
  GError *wait_error;
  EvpSubprocess *child;
} Closing;

static void
closing_started_cb (GObject      *source,
                    GAsyncResult *result,
                    gpointer      user_data)
{
  Closing *closing = user_data;

  closing->child = evp_subprocess_launch_finish (EVP_EVENT_LOOP (source), result, &closing->start_error);
}

static void
closing_waited_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      user_data)
{
  evp_subprocess_wait_finish (EVP_SUBPROCESS (source), result, &((Closing *) user_data)->wait_error);
}

static void
closing_body_cb (gpointer user_data)
{
  gpointer *args = user_data;
  Closing *closing = args[1];
  Fixture *f = args[0];

  closing->child = evp_test_start (f->loop, own (f), NULL, NULL, "pause", NULL);
  evp_subprocess_wait_async (closing->child, NULL, closing_waited_cb, closing);
}

/* Rules: Q-18 */
static void
test_loop_closed_while_starting (Fixture      *f,
                                 gconstpointer data)
{
  const char *argv[] = { evp_test_child_path (), "pause", NULL };
  Closing closing = { 0 };

  evp_subprocess_launch_async (f->loop, own (f), argv, NULL, NULL, NULL, closing_started_cb, &closing);
  g_assert_no_error (closing.start_error);
  g_assert_true (evp_event_loop_close (f->loop, NULL));
  g_assert_error (closing.start_error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&closing.start_error);
  g_assert_null (closing.child);
  /* killed and reaped */
  g_assert_cmpint (waitpid (f->own->pid, NULL, WNOHANG), ==, -1);
  g_assert_cmpint (errno, ==, ECHILD);
  g_assert_cmpstr (f->own->log->str, ==, "enter active? add exit remove ");
}

/* Rules: L-13, Q-19 */
static void
test_loop_closed_while_waiting (Fixture      *f,
                                gconstpointer data)
{
  guint warnings = evp_warn_runtime_get_count ();
  Closing closing = { 0 };
  gpointer args[] = { f, &closing };
  GPid pid;

  evp_test_run_in_loop (f->loop, closing_body_cb, args);
  pid = evp_subprocess_get_pid (closing.child);
  g_assert_true (evp_event_loop_close (f->loop, NULL));
  evp_child_watcher_remove_child_handler (own (f), pid);
  g_assert_error (closing.wait_error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&closing.wait_error);
  g_assert_finalize_object (closing.child);
  g_assert_cmpuint (evp_warn_runtime_get_count (), >, warnings);
  g_assert_cmpint (reap (pid), ==, -SIGKILL);
}

/* Closes the loop under who waits for the child, which tells them. */
static void
close_before_news (Fixture            *f,
                   Closing            *closing,
                   void              (*wait_async) (EvpSubprocess *, GCancellable *, GAsyncReadyCallback, gpointer),
                   GAsyncReadyCallback waited_cb)
{
  g_assert_no_error (closing->wait_error);
  g_assert_true (evp_event_loop_close (f->loop, NULL));
  g_assert_error (closing->wait_error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&closing->wait_error);

  /* nor does anybody wait for ever who asks later */
  wait_async (closing->child, NULL, waited_cb, closing);
  while (closing->wait_error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (closing->wait_error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&closing->wait_error);
  g_assert_finalize_object (closing->child);
}

static void
ended_started_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      user_data)
{
  Closing *closing = user_data;

  closing->child = evp_subprocess_launch_finish (EVP_EVENT_LOOP (source), result, &closing->start_error);
  g_assert_no_error (closing->start_error);
  /* it has ended already, which the next turn would tell */
  evp_subprocess_wait_async (closing->child, NULL, closing_waited_cb, closing);
  evp_event_loop_stop (EVP_EVENT_LOOP (source));
}

static void
ended_body_cb (gpointer user_data)
{
  const char *argv[] = { evp_test_child_path (), "exit", "6", NULL };
  gpointer *args = user_data;
  Fixture *f = args[0];

  f->own->immediate = TRUE;
  evp_subprocess_launch_async (f->loop, own (f), argv, NULL, NULL, NULL, ended_started_cb, args[1]);
}

/* Rules: L-13, Q-7, Q-11 */
static void
test_loop_closed_before_the_news (Fixture      *f,
                                  gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Closing closing = { 0 };
  gpointer args[] = { f, &closing };

  evp_event_loop_call_soon (f->loop, ended_body_cb, args, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_run_forever (f->loop, &error));
  close_before_news (f, &closing, evp_subprocess_wait_async, closing_waited_cb);
}

static void
closing_streams_closed_cb (GObject      *source,
                           GAsyncResult *result,
                           gpointer      user_data)
{
  evp_subprocess_wait_closed_finish (EVP_SUBPROCESS (source), result, &((Closing *) user_data)->wait_error);
}

static void
unread_body_cb (gpointer user_data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  gpointer *args = user_data;
  Closing *closing = args[1];
  Fixture *f = args[0];

  closing->child = evp_test_start (f->loop, f->watcher, options, NULL, "exit", "0", NULL);
  evp_subprocess_wait_closed_async (closing->child, NULL, closing_streams_closed_cb, closing);
  g_assert_cmpint (evp_test_wait (f->loop, closing->child, NULL), ==, 0);
}

/* Rules: L-13, Q-9, Q-10 */
static void
test_loop_closed_before_the_streams (Fixture      *f,
                                     gconstpointer data)
{
  Closing closing = { 0 };
  gpointer args[] = { f, &closing };

  /* the child has ended, but nobody reads what it may have said */
  evp_test_run_in_loop (f->loop, unread_body_cb, args);
  close_before_news (f, &closing, evp_subprocess_wait_closed_async, closing_streams_closed_cb);
}

static void
thread_body_cb (gpointer user_data)
{
  Fixture *f = user_data;
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) child = evp_test_start (f->loop, f->watcher, options, NULL, "cat", NULL);
  g_autofree char *text = evp_test_communicate (f->loop, child, "from a thread", NULL, NULL);

  g_assert_cmpstr (text, ==, "from a thread");
}

static gpointer
thread_func (gpointer data)
{
  Fixture *f = data;
  Fixture mine = { evp_selector_event_loop_new (NULL, NULL, NULL), f->watcher };

  evp_test_run_in_loop (mine.loop, thread_body_cb, &mine);
  g_assert_true (evp_event_loop_close (mine.loop, NULL));
  g_assert_finalize_object (mine.loop);
  return NULL;
}

/* Rules */
static void
test_threads (Fixture      *f,
              gconstpointer data)
{
  GThread *threads[4];

  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("spawner", thread_func, f);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

/* Rules */
static void
test_closed_loop (Fixture      *f,
                  gconstpointer data)
{
  const char *argv[] = { evp_test_child_path (), "exit", NULL };
  Closing closing = { 0 };

  g_assert_true (evp_event_loop_close (f->loop, NULL));
  evp_subprocess_launch_async (f->loop, own (f), argv, NULL, NULL, NULL, closing_started_cb, &closing);
  g_assert_no_error (closing.start_error);
  while (closing.start_error == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (closing.start_error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&closing.start_error);
  g_assert_cmpstr (f->own->log->str, ==, "");
}

typedef void (*TestFunc) (Fixture *, gconstpointer);

int
main (int    argc,
      char **argv)
{
  static const struct
  {
    const char *name;
    TestFunc func;
    gboolean outside; /* the loop does not run */
  } tests[] = {
    { "inactive", test_inactive, FALSE },
    { "bracket", test_bracket, FALSE },
    { "add-fails", test_add_fails, FALSE },
    { "exit-inside-add", test_exit_inside_add, FALSE },
    { "nested", test_nested, FALSE },
    { "lost", test_lost, FALSE },
    { "stolen", test_stolen, FALSE },
    { "forked", test_forked, FALSE },
    { "bad-signal", test_bad_signal, FALSE },
    { "stdio", test_stdio, FALSE },
    { "bad-options", test_bad_options, FALSE },
    { "environment", test_environment, FALSE },
    { "session", test_session, FALSE },
    { "user", test_user, FALSE },
    { "no-groups", test_no_groups, FALSE },
    { "signals-default", test_signals_default, FALSE },
    { "pass-fd", test_pass_fd, FALSE },
    { "closed-stdin", test_closed_stdin, FALSE },
    { "communicate-edges", test_communicate_edges, FALSE },
    { "communicate-cancelled", test_communicate_cancelled, FALSE },
    { "communicate-cancelled-late", test_communicate_cancelled_late, FALSE },
    { "communicate-busy", test_communicate_busy, FALSE },
    { "wait-closed", test_wait_closed, FALSE },
    { "dropped-by-watcher", test_dropped_by_watcher, FALSE },
    { "closed-is-quiet", test_closed_is_quiet, FALSE },
    { "empty-object", test_empty_object, FALSE },
    { "interop", test_interop, FALSE },
    { "dropped-elsewhere", test_dropped_elsewhere, FALSE },
    { "dropped-waiting-elsewhere", test_dropped_waiting_elsewhere, FALSE },
    { "communicate-outside", test_communicate_outside, TRUE },
    { "communicate-occupied", test_communicate_occupied, TRUE },
    { "communicate-occupied-closed", test_communicate_occupied_closed, TRUE },
    { "threads", test_threads, TRUE },
    { "loop-closed-while-starting", test_loop_closed_while_starting, TRUE },
    { "loop-closed-while-waiting", test_loop_closed_while_waiting, TRUE },
    { "loop-closed-before-the-news", test_loop_closed_before_the_news, TRUE },
    { "loop-closed-before-the-streams", test_loop_closed_before_the_streams, TRUE },
    { "closed-loop", test_closed_loop, TRUE },
  };

  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      /* not "subprocess": GLib keeps such paths for g_test_trap_subprocess() and skips them */
      g_autofree char *path = g_strdup_printf ("/evp/process/sub-process/%s", tests[i].name);

      g_test_add (path, Fixture, (gconstpointer) tests[i].func, set_up,
                  tests[i].outside ? tests[i].func : (TestFunc) evp_test_case_in_loop, tear_down);
    }
  return g_test_run ();
}
