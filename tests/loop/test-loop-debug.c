/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What helps to find out what a loop does: slow callbacks, statistics, marks for Sysprof. */

#include "config.h"

#include "evp/base/evp-debug-private.h"
#include "evp/handle/evp-handle-private.h"
#include "evp/loop/evp-selector-event-loop.h"
#include "evp/loop/evp-loop-statistics.h"
#include "tests/support/evp-test-support.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef struct
{
  EvpAbstractEventLoop *loop;
  int pipe[2];
  guint n_calls;
} Fixture;

static void
set_up (Fixture      *f,
        gconstpointer data)
{
  f->loop = evp_selector_event_loop_new (NULL, NULL, NULL);
  g_assert_nonnull (f->loop);
  g_assert_true (g_unix_open_pipe (f->pipe, FD_CLOEXEC, NULL));
}

static void
tear_down (Fixture      *f,
           gconstpointer data)
{
  g_assert_true (evp_event_loop_close (f->loop, NULL));
  g_assert_finalize_object (f->loop);
  close (f->pipe[0]);
  close (f->pipe[1]);
}

static void
stop_cb (gpointer user_data)
{
  Fixture *f = user_data;

  f->n_calls++;
  evp_event_loop_stop (f->loop);
}

static void
stop_fd_cb (int      fd,
            gpointer user_data)
{
  stop_cb (user_data);
}

static void
stop_signal_cb (int      signum,
                gpointer user_data)
{
  stop_cb (user_data);
}

/* Everything is reported, with what belongs to it. */
static void
assert_reported (Fixture    *f,
                 const char *name)
{
  guint before = evp_warn_runtime_get_count ();
  g_autofree char *message = NULL;
  g_autofree char *start = g_strdup_printf ("Executing %s", name);

  f->n_calls = 0;
  g_assert_true (evp_event_loop_run_forever (f->loop, NULL));
  g_assert_cmpuint (f->n_calls, ==, 1);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, before + 1);
  message = evp_warn_runtime_dup_last ();
  g_assert_true (g_str_has_prefix (message, start));
  g_assert_nonnull (strstr (message, " seconds"));
#ifdef HAVE_BACKTRACE
  {
    g_auto (GStrv) lines = g_strsplit (message, "\n", -1);

    g_assert_cmpstr (lines[1], ==, "Scheduled at (most recent call first):");
    /* the function of the library, the test, main() … */
    g_assert_cmpuint (g_strv_length (lines), >=, 2 + 3);
  }
#endif
}

static gpointer
post_main (gpointer data)
{
  Fixture *f = data;

  g_assert_true (evp_event_loop_call_soon_threadsafe (f->loop, stop_cb, f, NULL, NULL));
  return NULL;
}

/* Rules: D-4, D-5 */
static void
test_slow (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "slow callbacks");
  EvpHandle *handle;

  evp_event_loop_set_debug (f->loop, TRUE);
  evp_base_event_loop_set_slow_callback_duration (EVP_BASE_EVENT_LOOP (f->loop), 0.0);

  g_assert_nonnull (evp_event_loop_call_soon (f->loop, stop_cb, f, NULL, NULL));
  assert_reported (f, "");

  g_assert_nonnull (evp_event_loop_call_later (f->loop, 0.001, stop_cb, f, NULL, NULL));
  assert_reported (f, "");

  g_assert_true (evp_event_loop_call_soon_threadsafe (f->loop, stop_cb, f, NULL, NULL));
  assert_reported (f, "");

  g_thread_join (g_thread_new ("post", post_main, f));
  assert_reported (f, "");

  handle = evp_event_loop_call_soon_threadsafe_handle (f->loop, stop_cb, f, NULL, NULL);
  assert_reported (f, "");
  evp_handle_unref (handle);

  g_assert_true (evp_event_loop_add_reader (f->loop, f->pipe[0], stop_fd_cb, f, NULL, NULL));
  g_assert_cmpint (write (f->pipe[1], "x", 1), ==, 1);
  assert_reported (f, "");
  g_assert_true (evp_event_loop_remove_reader (f->loop, f->pipe[0]));

  g_assert_true (evp_event_loop_add_signal_handler (f->loop, SIGUSR1, stop_signal_cb, f, NULL, NULL));
  g_assert_cmpint (kill (getpid (), SIGUSR1), ==, 0);
  assert_reported (f, "");
  g_assert_true (evp_event_loop_remove_signal_handler (f->loop, SIGUSR1));
}

/* Rules: D-4 */
static void
test_names (Fixture      *f,
            gconstpointer data)
{
  EvpHandle *handle;
  EvpTimerHandle *timer;

  evp_event_loop_set_debug (f->loop, TRUE);
  evp_base_event_loop_set_slow_callback_duration (EVP_BASE_EVENT_LOOP (f->loop), 0.0);

  handle = evp_event_loop_call_soon (f->loop, stop_cb, f, NULL, NULL);
  evp_handle_set_name (handle, "first");
  evp_handle_set_name (handle, "<function stop>");
  assert_reported (f, "<function stop> took ");

  timer = evp_event_loop_call_later (f->loop, 0, stop_cb, f, NULL, NULL);
  evp_timer_handle_set_name (timer, "<timer stop>");
  assert_reported (f, "<timer stop> took ");

  handle = evp_event_loop_call_soon (f->loop, stop_cb, f, NULL, NULL);
  evp_handle_set_name (handle, "forgotten");
  evp_handle_set_name (handle, NULL);
  assert_reported (f, "callback at ");
}

static void
named_cb (gpointer user_data)
{
  Fixture *f = user_data;

  evp_base_event_loop_name_running_callback (EVP_BASE_EVENT_LOOP (f->loop), "forgotten");
  evp_base_event_loop_name_running_callback (EVP_BASE_EVENT_LOOP (f->loop), "what it did");
  stop_cb (user_data);
}

static void
named_fd_cb (int      fd,
             gpointer user_data)
{
  named_cb (user_data);
}

static void
unnamed_cb (gpointer user_data)
{
  Fixture *f = user_data;

  evp_base_event_loop_name_running_callback (EVP_BASE_EVENT_LOOP (f->loop), "forgotten");
  evp_base_event_loop_name_running_callback (EVP_BASE_EVENT_LOOP (f->loop), NULL);
  stop_cb (user_data);
}

static void
nesting_cb (gpointer user_data)
{
  Fixture *f = user_data;

  evp_base_event_loop_name_running_callback (EVP_BASE_EVENT_LOOP (f->loop), "the outer one");
  g_assert_nonnull (evp_event_loop_call_soon (f->loop, named_cb, f, NULL, NULL));
  while (f->n_calls == 0)
    g_main_context_iteration (evp_base_event_loop_get_main_context (EVP_BASE_EVENT_LOOP (f->loop)), TRUE);
}

/* Rules: D-4 */
static void
test_running_name (Fixture      *f,
                   gconstpointer data)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "names of running callbacks");
  EvpBaseEventLoop *base = EVP_BASE_EVENT_LOOP (f->loop);
  g_autofree char *message = NULL;
  EvpHandle *handle;

  evp_base_event_loop_name_running_callback (base, "nothing runs");
  evp_event_loop_set_debug (f->loop, TRUE);
  evp_base_event_loop_set_slow_callback_duration (base, 0.0);
  evp_base_event_loop_name_running_callback (base, "nothing runs");

  handle = evp_event_loop_call_soon (f->loop, named_cb, f, NULL, NULL);
  evp_handle_set_name (handle, "the handle");
  assert_reported (f, "what it did took ");

  g_assert_true (evp_event_loop_add_reader (f->loop, f->pipe[0], named_fd_cb, f, NULL, NULL));
  g_assert_cmpint (write (f->pipe[1], "x", 1), ==, 1);
  assert_reported (f, "what it did took ");
  g_assert_true (evp_event_loop_remove_reader (f->loop, f->pipe[0]));

  /* it is for one time, and can be taken back */
  handle = evp_event_loop_call_soon (f->loop, stop_cb, f, NULL, NULL);
  evp_handle_set_name (handle, "the handle");
  assert_reported (f, "the handle took ");
  handle = evp_event_loop_call_soon (f->loop, unnamed_cb, f, NULL, NULL);
  evp_handle_set_name (handle, "the handle");
  assert_reported (f, "the handle took ");

  /* what runs inside another keeps its name to itself */
  f->n_calls = 0;
  g_assert_nonnull (evp_event_loop_call_soon (f->loop, nesting_cb, f, NULL, NULL));
  g_assert_true (evp_event_loop_run_forever (f->loop, NULL));
  message = evp_warn_runtime_dup_last ();
  g_assert_true (g_str_has_prefix (message, "Executing the outer one took "));
}

/* Rules: D-4 */
static void
test_place (Fixture      *f,
            gconstpointer data)
{
  g_autofree char *what = NULL;
  g_autofree char *name = NULL;
  EvpHandle *handle;

  /* a static function has no symbol that could be found; what addr2line needs does not depend on where we are */
  handle = evp_event_loop_call_soon (f->loop, stop_cb, f, NULL, NULL);
  what = evp_handle_describe (handle);
  name = g_path_get_basename (g_get_prgname ());
  g_assert_true (g_str_has_prefix (what, "callback at "));
  g_assert_nonnull (strstr (what, name));
  g_assert_true (g_regex_match_simple ("\\(\\+0x[0-9a-f]+\\)$", what, G_REGEX_DEFAULT, G_REGEX_MATCH_DEFAULT));
}

/* Rules: D-5 */
static void
test_no_debug (Fixture      *f,
               gconstpointer data)
{
  guint before = evp_warn_runtime_get_count ();
  EvpHandle *handle;

  evp_base_event_loop_set_slow_callback_duration (EVP_BASE_EVENT_LOOP (f->loop), 0.0);
  handle = evp_handle_ref (evp_event_loop_call_soon (f->loop, stop_cb, f, NULL, NULL));
  /* nothing keeps it, and nothing is known */
  evp_handle_set_name (handle, "a name");
  g_assert_null (evp_handle_describe_origin (handle));
  g_assert_true (evp_event_loop_run_forever (f->loop, NULL));
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, before);
  evp_handle_unref (handle);
}

static EvpLoopStatistics *
statistics_of (Fixture *f)
{
  return evp_base_event_loop_get_statistics (EVP_BASE_EVENT_LOOP (f->loop));
}

static void
nothing_cb (gpointer user_data)
{
}

static void
test_statistics (Fixture      *f,
                 gconstpointer data)
{
  g_autoptr (EvpLoopStatistics) before = statistics_of (f);
  g_autoptr (EvpLoopStatistics) scheduled = NULL;
  g_autoptr (EvpLoopStatistics) after = NULL;
  g_autoptr (EvpLoopStatistics) copy = NULL;
  EvpTimerHandle *late;

  g_assert_cmpuint (evp_loop_statistics_get_turns (before), ==, 0);
  g_assert_cmpuint (evp_loop_statistics_get_callbacks (before), ==, 0);
  g_assert_cmpuint (evp_loop_statistics_get_timers (before), ==, 0);
  g_assert_cmpuint (evp_loop_statistics_get_fds (before), ==, 0);
  g_assert_cmpuint (evp_loop_statistics_get_wakeups (before), ==, 0);
  g_assert_cmpfloat (evp_loop_statistics_get_longest_callback (before), ==, 0);
  g_assert_cmpfloat (evp_loop_statistics_get_time_asleep (before), ==, 0);

  for (guint i = 0; i < 4; i++)
    evp_event_loop_call_soon (f->loop, nothing_cb, NULL, NULL, NULL);
  late = evp_timer_handle_ref (evp_event_loop_call_later (f->loop, 3600, nothing_cb, NULL, NULL, NULL));
  evp_event_loop_call_later (f->loop, 0.002, stop_cb, f, NULL, NULL);
  g_assert_true (evp_event_loop_add_reader (f->loop, f->pipe[0], stop_fd_cb, f, NULL, NULL));
  scheduled = statistics_of (f);
  g_assert_cmpuint (evp_loop_statistics_get_timers (scheduled), ==, 2);
  g_assert_cmpuint (evp_loop_statistics_get_fds (scheduled), ==, 1);

  g_assert_true (evp_event_loop_run_forever (f->loop, NULL));
  after = statistics_of (f);
  g_assert_cmpuint (evp_loop_statistics_get_callbacks (after), ==, 5);
  g_assert_cmpuint (evp_loop_statistics_get_turns (after), >=, 1);
  g_assert_cmpuint (evp_loop_statistics_get_timers (after), ==, 1);
  g_assert_cmpuint (evp_loop_statistics_get_fds (after), ==, 1);
  g_assert_cmpfloat (evp_loop_statistics_get_longest_callback (after), >, 0);
  g_assert_cmpfloat (evp_loop_statistics_get_longest_callback (after), <, 60);
  g_assert_cmpfloat (evp_loop_statistics_get_time_asleep (after), <, 60);
  /* it has slept unless it was too slow for that, and then nothing woke it */
  g_assert_cmpint (evp_loop_statistics_get_wakeups (after) > 0, ==, evp_loop_statistics_get_time_asleep (after) > 0);

  /* a snapshot stays what it was */
  copy = evp_loop_statistics_copy (after);
  evp_timer_handle_cancel (late);
  evp_timer_handle_unref (late);
  g_assert_true (evp_event_loop_remove_reader (f->loop, f->pipe[0]));
  g_assert_cmpuint (evp_loop_statistics_get_timers (copy), ==, 1);
  g_assert_cmpuint (evp_loop_statistics_get_fds (copy), ==, 1);
  g_clear_pointer (&after, evp_loop_statistics_free);
  after = statistics_of (f);
  g_assert_cmpuint (evp_loop_statistics_get_timers (after), ==, 0);
  g_assert_cmpuint (evp_loop_statistics_get_fds (after), ==, 0);
}

static const char *program;

/* In a process of its own, which Sysprof would have started. */
static int
be_traced (void)
{
  Fixture f = { 0 };

  set_up (&f, NULL);
  /* both callbacks in one turn, however slow this is */
  g_object_set (f.loop, "turn-budget", 60.0, NULL);
  evp_base_event_loop_set_slow_callback_duration (EVP_BASE_EVENT_LOOP (f.loop), 0.0);
  evp_event_loop_call_soon (f.loop, nothing_cb, NULL, NULL, NULL);
  evp_event_loop_call_soon (f.loop, stop_cb, &f, NULL, NULL);
  evp_event_loop_run_forever (f.loop, NULL);
  tear_down (&f, NULL);
  return f.n_calls == 1 ? 0 : 1;
}

static gboolean
has (const char *content,
     gsize       length,
     const char *text)
{
  return memmem (content, length, text, strlen (text)) != NULL;
}

static void
test_sysprof (void)
{
  for (guint traced = 0; traced < 2; traced++)
    {
      g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDERR_PIPE);
      g_autoptr (GSubprocess) process = NULL;
      g_autoptr (GError) error = NULL;
      g_autofree char *path = NULL;
      g_autofree char *content = NULL;
      g_autofree char *messages = NULL;
      gsize length;
      int fd = g_file_open_tmp ("evp-test-XXXXXX", &path, &error);

      g_assert_no_error (error);
      g_subprocess_launcher_take_fd (launcher, fd, 5);
      g_subprocess_launcher_unsetenv (launcher, "SYSPROF_CONTROL_FD");
      if (traced)
        g_subprocess_launcher_setenv (launcher, "SYSPROF_TRACE_FD", "5", TRUE);
      else
        g_subprocess_launcher_unsetenv (launcher, "SYSPROF_TRACE_FD");
      process = g_subprocess_launcher_spawn (launcher, &error, program, "--be-traced", NULL);
      g_assert_no_error (error);
      g_assert_true (g_subprocess_communicate_utf8 (process, NULL, NULL, NULL, &messages, &error));
      g_assert_no_error (error);
      g_assert_true (g_subprocess_get_successful (process));
      /* it is no debug mode: nothing is said */
      g_assert_null (strstr (messages, "Executing"));

      g_assert_true (g_file_get_contents (path, &content, &length, &error));
      g_assert_no_error (error);
      g_assert_cmpint (g_unlink (path), ==, 0);
#ifdef HAVE_SYSPROF
      g_assert_cmpint (has (content, length, "libevp"), ==, (int) traced);
      g_assert_cmpint (has (content, length, "Turn"), ==, (int) traced);
      g_assert_cmpint (has (content, length, "2 callbacks"), ==, (int) traced);
      g_assert_cmpint (has (content, length, "Slow callback"), ==, (int) traced);
#else
      g_assert_false (has (content, length, "libevp"));
#endif
    }
}

int
main (int    argc,
      char **argv)
{
  program = argv[0];
  if (argc == 2 && strcmp (argv[1], "--be-traced") == 0)
    return be_traced ();

  g_test_init (&argc, &argv, NULL);

  g_test_add ("/evp/loop/loop-debug/slow", Fixture, NULL, set_up, test_slow, tear_down);
  g_test_add ("/evp/loop/loop-debug/names", Fixture, NULL, set_up, test_names, tear_down);
  g_test_add ("/evp/loop/loop-debug/running-name", Fixture, NULL, set_up, test_running_name, tear_down);
  g_test_add ("/evp/loop/loop-debug/place", Fixture, NULL, set_up, test_place, tear_down);
  g_test_add ("/evp/loop/loop-debug/no-debug", Fixture, NULL, set_up, test_no_debug, tear_down);
  g_test_add ("/evp/loop/loop-debug/statistics", Fixture, NULL, set_up, test_statistics, tear_down);
  g_test_add_func ("/evp/loop/loop-debug/sysprof", test_sysprof);

  return g_test_run ();
}
