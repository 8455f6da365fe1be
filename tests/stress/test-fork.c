/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <evp/evp.h>

#include "evp/base/evp-debug-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-process.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * fork() in the middle of everything: in a callback of a loop that has a timer, a reader, a receive, a read of a
 * file, a signal handler, a job on another thread, a future and two children under way, each with a watcher of its
 * own. Whatever the forked process does then, the parent's loop notices nothing of it.
 */

typedef struct
{
  EvpTestMakeLoop make;
  EvpAbstractEventLoop *loop;
  EvpAbstractChildWatcher *watcher, *threaded;
  EvpSubprocess *cats[2];
  EvpFuture *job, *future;
  GSocket *near, *far;
  int pipe[2], file[2];
  guint8 byte;

  GMutex lock; /* protects the field below */
  GCond told;
  gboolean go;

  gboolean read, ticked, signalled, forked;
  int returncode; /* of the forked process; -1000: not yet */
} Fixture;

typedef void (*ForkedFunc) (Fixture *f);

typedef struct
{
  EvpTestMakeLoop make;
  ForkedFunc forked;
} Case;

/* --- in the forked process: an exit status other than 0 fails the test --- */

static void
forked_exits (Fixture *f)
{
}

static void
forked_execs (Fixture *f)
{
  execl (evp_test_child_path (), "evp-test-child", "exit", "0", NULL);
  evp_test_exit_forked (2);
}

static void
set_cb (gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
}

static void
forked_runs_a_loop (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = f->make (&error);
  g_autoptr (EvpAbstractChildWatcher) watcher = evp_child_watcher_new_default ();
  g_autoptr (EvpSubprocessOptions) options = evp_test_options (EVP_STDIO_NULL, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (EvpSubprocess) process = NULL;
  g_autofree char *text = NULL;
  gboolean done = FALSE;

  g_assert_no_error (error);
  g_assert_nonnull (evp_event_loop_call_later (loop, 0.0003, set_cb, &done, NULL, &error));
  evp_test_run_until (loop, &done);
  g_assert_true (evp_child_watcher_attach_loop (watcher, loop, &error));
  process = evp_test_start (loop, watcher, options, &error, "echo", "forked", NULL);
  g_assert_no_error (error);
  text = evp_test_communicate (loop, process, NULL, NULL, &error);
  g_assert_cmpstr (text, ==, "forked\n");
  g_assert_cmpint (evp_test_wait (loop, process, &error), ==, 0);
  evp_child_watcher_close (watcher);
  g_assert_true (evp_event_loop_close (loop, &error));
}

static void
not_called_cb (GPid     pid,
               int      returncode,
               gpointer user_data)
{
  evp_test_exit_forked (3);
}

/* What it has from the parent says that it is not its own, or does nothing. */
static void
forked_asks_the_parents (Fixture *f)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_get_running_loop (NULL));
  g_assert_false (evp_event_loop_run_forever (f->loop, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FORKED);
  g_clear_error (&error);
  g_assert_false (evp_child_watcher_add_child_handler (f->threaded, getppid (), not_called_cb, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FORKED);
  g_clear_error (&error);
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, getppid (), not_called_cb, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FORKED);
  evp_child_watcher_close (f->watcher);
  evp_child_watcher_close (f->threaded);
  evp_subprocess_kill (f->cats[0], NULL);
  evp_subprocess_close (f->cats[1]);
  evp_event_loop_stop (f->loop);
  evp_event_loop_call_soon_threadsafe (f->loop, set_cb, &f->read, NULL, NULL);
  evp_event_loop_remove_reader (f->loop, f->pipe[0]);
  evp_event_loop_remove_signal_handler (f->loop, SIGUSR1);
  evp_event_loop_close (f->loop, NULL);
}

/* Closing the parent's loop drops its handlers, of children that are the parent's: nothing to warn of. */
static void
forked_closes_the_parents_loop (Fixture *f)
{
  guint n_warnings = evp_warn_runtime_get_count ();

  evp_event_loop_close (f->loop, NULL);
  g_assert_true (evp_event_loop_is_closed (f->loop));
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings);
}

/* --- in the parent --- */

static void
exited_cb (GPid     pid,
           int      returncode,
           gpointer user_data)
{
  Fixture *f = user_data;

  f->returncode = returncode;
  f->forked = TRUE;
}

static void
fork_cb (gpointer user_data)
{
  gpointer *args = user_data;
  Fixture *f = args[0];
  const Case *test = args[1];
  g_autoptr (GError) error = NULL;
  GPid pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      alarm (evp_test_is_slow () ? 100 : 20);
      test->forked (f);
      evp_test_exit_forked (0);
    }
  g_assert_true (evp_child_watcher_add_child_handler (f->watcher, pid, exited_cb, f, NULL, &error));
  g_assert_no_error (error);
}

static void
read_cb (int      fd,
         gpointer user_data)
{
  Fixture *f = user_data;
  char byte;

  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
  f->read = TRUE;
}

static void
signal_cb (int      signum,
           gpointer user_data)
{
  ((Fixture *) user_data)->signalled = TRUE;
}

static void
job_func (EvpFuture *future,
          gpointer   user_data)
{
  Fixture *f = user_data;

  g_mutex_lock (&f->lock);
  while (!f->go)
    g_cond_wait (&f->told, &f->lock);
  g_mutex_unlock (&f->lock);
}

static EvpSubprocess *
start_cat (Fixture                 *f,
           EvpAbstractChildWatcher *watcher)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSubprocessOptions) options = evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  EvpSubprocess *cat = evp_test_start (f->loop, watcher, options, &error, "cat", NULL);

  g_assert_no_error (error);
  return cat;
}

static void
end_cat (Fixture       *f,
         EvpSubprocess *cat)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = evp_test_communicate (f->loop, cat, "purr", NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (text, ==, "purr");
  g_assert_cmpint (evp_test_wait (f->loop, cat, &error), ==, 0);
  g_assert_no_error (error);
  g_assert_false (evp_subprocess_get_lost (cat));
  g_object_unref (cat);
}

/* Rules: P-19, P-23, W-66, Z-30 */
static void
run_case_cb (gpointer user_data)
{
  gpointer *args = user_data;
  Fixture *f = args[0];
  g_auto (EvpTestAwait) received = { f->loop };
  g_auto (EvpTestAwait) file_read = { f->loop };
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = NULL;
  const gboolean has_files = EVP_IS_PROACTOR_EVENT_LOOP (f->loop);

  f->watcher = evp_child_watcher_new_default ();
  f->threaded = evp_threaded_child_watcher_new ();
  g_assert_true (evp_child_watcher_attach_loop (f->watcher, f->loop, &error));
  g_assert_true (evp_child_watcher_attach_loop (f->threaded, f->loop, &error));
  f->cats[0] = start_cat (f, f->watcher);
  f->cats[1] = start_cat (f, f->threaded);
  g_assert_true (evp_event_loop_add_reader (f->loop, f->pipe[0], read_cb, f, NULL, &error));
  g_assert_true (evp_event_loop_add_signal_handler (f->loop, SIGUSR1, signal_cb, f, NULL, &error));
  f->job = evp_event_loop_run_in_executor (f->loop, job_func, f, NULL, &error);
  g_assert_no_error (error);
  f->future = evp_event_loop_create_future (f->loop);
  evp_event_loop_sock_recv_async (f->loop, f->near, 16, NULL, evp_test_ready_cb, &received);
  if (has_files)
    evp_proactor_event_loop_read_into_async (EVP_PROACTOR_EVENT_LOOP (f->loop), f->file[0], &f->byte, 1, -1, NULL,
                                             evp_test_ready_cb, &file_read);
  evp_test_run_ready (f->loop);
  g_assert_nonnull (evp_event_loop_call_later (f->loop, 0.002, set_cb, &f->ticked, NULL, &error));

  evp_event_loop_call_soon (f->loop, fork_cb, args, NULL, NULL);
  evp_test_run_until (f->loop, &f->forked);
  g_assert_cmpint (f->returncode, ==, 0);

  /* all of it goes on, and nothing of it has happened before */
  evp_test_run_until (f->loop, &f->ticked);
  g_assert_false (f->read || f->signalled || received.result != NULL || file_read.result != NULL);
  g_assert_false (evp_future_done (f->job) || evp_future_done (f->future));
  g_assert_cmpint (write (f->pipe[1], "x", 1), ==, 1);
  evp_test_run_until (f->loop, &f->read);
  g_assert_cmpint (kill (getpid (), SIGUSR1), ==, 0);
  evp_test_run_until (f->loop, &f->signalled);
  g_assert_cmpint (g_socket_send (f->far, "hello", 5, NULL, &error), ==, 5);
  bytes = evp_event_loop_sock_recv_finish (f->loop, evp_test_await (&received), &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), "hello", 5);
  if (has_files)
    {
      g_assert_cmpint (write (f->file[1], "y", 1), ==, 1);
      g_assert_cmpint (evp_proactor_event_loop_read_into_finish (EVP_PROACTOR_EVENT_LOOP (f->loop),
                                                                 evp_test_await (&file_read), &error), ==, 1);
      g_assert_cmpint (f->byte, ==, 'y');
    }
  g_mutex_lock (&f->lock);
  f->go = TRUE;
  g_cond_signal (&f->told);
  g_mutex_unlock (&f->lock);
  while (!evp_future_done (f->job))
    evp_test_run_ready (f->loop);
  g_assert_true (evp_future_set_result (f->future, NULL, &error));
  end_cat (f, f->cats[0]);
  end_cat (f, f->cats[1]);

  g_assert_true (evp_event_loop_remove_reader (f->loop, f->pipe[0]));
  g_assert_true (evp_event_loop_remove_signal_handler (f->loop, SIGUSR1));
  g_clear_object (&f->job);
  g_clear_object (&f->future);
  evp_child_watcher_close (f->watcher);
  evp_child_watcher_close (f->threaded);
  g_clear_object (&f->watcher);
  g_clear_object (&f->threaded);
}

static void
run_case (gconstpointer data)
{
  const Case *test = data;
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a process that forks");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_autoptr (GError) error = NULL;
  Fixture f = { .make = test->make, .returncode = -1000 };
  gpointer args[] = { &f, (gpointer) test };
  int pair[2];

  g_mutex_init (&f.lock);
  g_cond_init (&f.told);
  g_assert_cmpint (pipe (f.pipe), ==, 0);
  g_assert_cmpint (pipe (f.file), ==, 0);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), ==, 0);
  f.near = g_socket_new_from_fd (pair[0], &error);
  f.far = g_socket_new_from_fd (pair[1], &error);
  g_assert_no_error (error);
  g_socket_set_blocking (f.near, FALSE);

  f.loop = test->make (&error);
  g_assert_no_error (error);
  evp_test_run_in_loop (f.loop, run_case_cb, args);
  g_assert_true (evp_event_loop_close (f.loop, &error));
  g_assert_no_error (error);
  g_object_unref (f.loop);

  g_object_unref (f.near);
  g_object_unref (f.far);
  for (int i = 0; i < 2; i++)
    {
      close (f.pipe[i]);
      close (f.file[i]);
    }
  g_cond_clear (&f.told);
  g_mutex_clear (&f.lock);
  evp_test_leaks_check (&leaks);
}

static void
add (const char     *name,
     EvpTestMakeLoop make)
{
  static const struct
  {
    const char *name;
    ForkedFunc forked;
  } children[] = {
    { "exits", forked_exits },
    { "execs", forked_execs },
    { "runs-a-loop", forked_runs_a_loop },
    { "asks-the-parents", forked_asks_the_parents },
    { "closes-the-parents-loop", forked_closes_the_parents_loop },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (children); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/stress/fork/%s/%s", children[i].name, name);
      Case *test = g_new (Case, 1);

      *test = (Case) { make, children[i].forked };
      g_test_add_data_func_full (path, test, run_case, g_free);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  add ("selector", evp_test_make_selector_loop);
  add ("proactor-gio", evp_test_make_gio_loop);
  if (evp_test_has_uring ())
    add ("proactor-uring", evp_test_make_uring_loop);

  return g_test_run ();
}
