/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-base-child-watcher.h"
#include "evp/watcher/evp-fast-child-watcher.h"
#include "evp/watcher/evp-glib-child-watcher.h"
#include "evp/watcher/evp-multi-loop-child-watcher.h"
#include "evp/watcher/evp-pidfd-child-watcher.h"
#include "evp/watcher/evp-safe-child-watcher.h"
#include "evp/watcher/evp-threaded-child-watcher.h"
#include "watcher/watcher-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>

/* Thousands of real children, all alive at once, under each watcher; hundreds where everything is slow. */
#define N_CHILDREN (evp_test_has_valgrind () ? 100u : evp_test_is_slow () ? 300u : 2000u)

typedef struct
{
  EvpAbstractEventLoop *loop;
  guint n_left;
  guint n_wrong;
} Crowd;

typedef struct
{
  Crowd *crowd;
  GPid pid;
  int expected;
  int n_calls;
} Member;

static void
member_cb (GPid     pid,
           int      returncode,
           gpointer user_data)
{
  Member *member = user_data;

  member->n_calls++;
  if (pid != member->pid || returncode != member->expected)
    member->crowd->n_wrong++;
  if (--member->crowd->n_left == 0)
    evp_event_loop_stop (member->crowd->loop);
}

static GPid
spawn (char *const *argv)
{
  pid_t pid;
  int failed = posix_spawn (&pid, argv[0], NULL, NULL, argv, environ);

  g_assert_cmpint (failed, ==, 0);
  return pid;
}

/* Rules: W-2, W-6, W-17, W-22, W-28, W-42, Q-21 */
static void
test_many (gconstpointer data)
{
  EvpAbstractChildWatcher *(*make) (void) = (EvpAbstractChildWatcher *(*) (void)) data;
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (100, "many children");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  guint n_warnings = evp_warn_runtime_get_count ();
  EvpAbstractEventLoop *loop = test_loop_new ();
  EvpAbstractChildWatcher *watcher = make ();
  const guint n_children = N_CHILDREN;
  g_autofree Member *members = g_new0 (Member, n_children);
  Crowd crowd = { .loop = loop, .n_left = n_children };
  char code[4] = "", *path = (char *) evp_test_child_path ();
  char *pausing[] = { path, (char *) "pause", NULL };
  char *ending[] = { path, (char *) "exit", code, NULL };

  test_attach (watcher, loop);
  evp_child_watcher_enter (watcher);
  for (guint i = 0; i < n_children; i++)
    {
      g_autoptr (GError) error = NULL;
      gboolean pauses = i % 4 != 0;

      g_snprintf (code, sizeof code, "%u", i % 200);
      members[i].crowd = &crowd;
      members[i].expected = pauses ? -SIGKILL : (int) (i % 200);
      members[i].pid = spawn (pauses ? pausing : ending);
      evp_child_watcher_add_child_handler (watcher, members[i].pid, member_cb, &members[i], NULL, &error);
      g_assert_no_error (error);
    }
  evp_child_watcher_exit (watcher);
  for (guint i = 0; i < n_children; i++)
    if (i % 4 != 0)
      kill (members[i].pid, SIGKILL);
  if (crowd.n_left > 0)
    test_loop_run (loop);

  g_assert_cmpuint (crowd.n_wrong, ==, 0);
  for (guint i = 0; i < n_children; i++)
    g_assert_cmpint (members[i].n_calls, ==, 1);
  g_assert_cmpuint (evp_base_child_watcher_get_n_handlers (EVP_BASE_CHILD_WATCHER (watcher)), ==, 0);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings);
  test_watcher_free (watcher);
  test_loop_close (loop);
  wait_for_threads (leaks.threads);
  evp_test_leaks_check (&leaks);
}

/* Ten thousand in all, which end at once: as one is told, the next one starts. */
#define N_THROUGH (evp_test_has_valgrind () ? 150u : evp_test_is_slow () ? 200u : 10000u)
#define N_AT_ONCE 100u

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpAbstractChildWatcher *watcher;
  guint n_started;
  guint n_ended;
  guint n_wrong;
  GHashTable *expected; /* pid → code + 1: of those that live */
} Stream;

static void stream_start (Stream *self);

/* A child that is at its end before this returns. */
static pid_t
start_ended (volatile int code)
{
  pid_t pid;

  if (evp_test_is_slow ())
    {
      /* a copy of this process is slow there; and in place of vfork() it is fork(), which returns at once */
      g_autofree char *text = g_strdup_printf ("%d", code);
      siginfo_t info;

      pid = evp_test_spawn_child ("exit", text, NULL);
      while (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT) != 0)
        g_assert_cmpint (errno, ==, EINTR);
      return pid;
    }
  pid = vfork ();
  if (pid == 0)
    _exit (code);
  return pid;
}

static void
stream_cb (GPid     pid,
           int      returncode,
           gpointer user_data)
{
  Stream *self = user_data;
  gpointer expected = NULL;

  g_hash_table_steal_extended (self->expected, GINT_TO_POINTER (pid), NULL, &expected);
  if (GPOINTER_TO_INT (expected) != returncode + 1)
    self->n_wrong++;
  self->n_ended++;
  if (self->n_started < N_THROUGH)
    stream_start (self);
  else if (g_hash_table_size (self->expected) == 0)
    evp_event_loop_stop (self->loop);
}

static void
stream_start (Stream *self)
{
  g_autoptr (GError) error = NULL;
  const int code = (int) (self->n_started++ % 200);
  pid_t pid;

  evp_child_watcher_enter (self->watcher);
  pid = start_ended (code);
  g_assert_cmpint (pid, >, 0);
  g_hash_table_insert (self->expected, GINT_TO_POINTER (pid), GINT_TO_POINTER (code + 1));
  evp_child_watcher_add_child_handler (self->watcher, pid, stream_cb, self, NULL, &error);
  g_assert_no_error (error);
  evp_child_watcher_exit (self->watcher);
}

/* Rules: W-2, W-6, W-17, W-28, W-42 */
static void
test_through (gconstpointer data)
{
  EvpAbstractChildWatcher *(*make) (void) = (EvpAbstractChildWatcher *(*) (void)) data;
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (100, "ten thousand children");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  guint n_warnings = evp_warn_runtime_get_count ();
  Stream stream = { .loop = test_loop_new (), .watcher = make () };

  stream.expected = g_hash_table_new (NULL, NULL);
  test_attach (stream.watcher, stream.loop);
  while (stream.n_started < N_AT_ONCE)
    stream_start (&stream);
  while (stream.n_ended < N_THROUGH)
    test_loop_run (stream.loop);

  g_assert_cmpuint (stream.n_wrong, ==, 0);
  g_assert_cmpuint (stream.n_ended, ==, N_THROUGH);
  g_assert_cmpuint (g_hash_table_size (stream.expected), ==, 0);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings);
  g_hash_table_unref (stream.expected);
  test_watcher_free (stream.watcher);
  test_loop_close (stream.loop);
  evp_test_leaks_check (&leaks);
}

/* A thread of somebody who reaps whatever child there is. */
typedef struct
{
  int done; /* atomic */
  guint n_taken;
} Thief;

static gpointer
thief_thread (gpointer data)
{
  Thief *self = data;

  while (!g_atomic_int_get (&self->done))
    {
      if (waitpid (-1, NULL, WNOHANG) > 0)
        self->n_taken++;
      else
        sched_yield ();
    }
  return NULL;
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  guint n_left, n_right, n_lost, n_wrong, n_refused;
} Robbed;

static void
robbed_cb (GPid     pid,
           int      returncode,
           gpointer user_data)
{
  Robbed *self = user_data;

  if (returncode == 7)
    self->n_right++;
  else if (returncode == 255)
    self->n_lost++;
  else
    self->n_wrong++;
  if (--self->n_left == 0)
    evp_event_loop_stop (self->loop);
}

/* GLib may warn of a child that was taken while it made its source. */
static gboolean
is_of_thief (const char *domain,
             const char *message)
{
  return g_strcmp0 (domain, "GLib") == 0 && strstr (message, "g_child_watch_source_new") != NULL;
}

static void
glib_log_cb (const char     *domain,
             GLogLevelFlags  level,
             const char     *message,
             gpointer        user_data)
{
  /* g_test's own handler would let the test fail already */
  if (is_of_thief (domain, message))
    g_test_message ("%s", message);
  else
    g_log_default_handler (domain, level, message, user_data);
}

static gboolean
is_fatal (const char     *domain,
          GLogLevelFlags  level,
          const char     *message,
          gpointer        user_data)
{
  return !is_of_thief (domain, message);
}

/* What it takes is told as lost, with a warning for each; what it does not take is right; nothing is told twice. */
/* Rules: W-6, W-7, W-32, W-64 */
static void
test_thief (gconstpointer data)
{
  EvpAbstractChildWatcher *(*make) (void) = (EvpAbstractChildWatcher *(*) (void)) data;
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (100, "children that somebody steals");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  guint n_warnings = evp_warn_runtime_get_count ();
  const guint n_children = evp_test_has_valgrind () ? 20 : evp_test_is_slow () ? 50 : 300;
  Thief thief = { 0 };
  Robbed robbed = { .loop = test_loop_new (), .n_left = n_children };
  EvpAbstractChildWatcher *watcher = make ();
  GThread *thread;
  const char *reason;
  guint log_handler;
  char *argv[] = { (char *) evp_test_child_path (), (char *) "exit", (char *) "7", NULL };

  if (EVP_IS_GLIB_CHILD_WATCHER (watcher) && !evp_os_pidfd_supported (&reason))
    {
      g_test_skip ("without pidfds GLib reaps, and takes what is lost for success");
      test_watcher_free (watcher);
      test_loop_close (robbed.loop);
      return;
    }
  log_handler = g_log_set_handler ("GLib", G_LOG_LEVEL_WARNING | G_LOG_FLAG_FATAL, glib_log_cb, NULL);
  g_test_log_set_fatal_handler (is_fatal, NULL);
  thread = g_thread_new ("thief", thief_thread, &thief);
  test_attach (watcher, robbed.loop);
  for (guint i = 0; i < n_children; i++)
    {
      g_autoptr (GError) error = NULL;
      GPid pid;

      evp_child_watcher_enter (watcher);
      pid = spawn (argv);
      if (!evp_child_watcher_add_child_handler (watcher, pid, robbed_cb, &robbed, NULL, &error))
        {
          /* taken before it could be watched */
          g_assert_nonnull (error);
          robbed.n_refused++;
          robbed.n_left--;
        }
      evp_child_watcher_exit (watcher);
      if (i % 16 == 0)
        test_loop_turn (robbed.loop);
    }
  if (robbed.n_left > 0)
    test_loop_run (robbed.loop);
  g_atomic_int_set (&thief.done, 1);
  g_thread_join (thread);
  g_log_remove_handler ("GLib", log_handler);

  g_assert_cmpuint (robbed.n_wrong, ==, 0);
  g_assert_cmpuint (robbed.n_right + robbed.n_lost + robbed.n_refused, ==, n_children);
  g_assert_cmpuint (robbed.n_lost + robbed.n_refused, ==, thief.n_taken);
  g_assert_cmpuint (evp_warn_runtime_get_count () - n_warnings, ==, robbed.n_lost);
  test_watcher_free (watcher);
  test_loop_close (robbed.loop);
  evp_test_leaks_check (&leaks);
}

static int n_foreign; /* atomic: calls of the handler of somebody else */

static struct sigaction replaced; /* by that handler, which calls what it finds, as is the custom */

static void
foreign_cb (int        signum,
            siginfo_t *info,
            void      *context)
{
  g_atomic_int_inc (&n_foreign);
  if ((replaced.sa_flags & SA_SIGINFO) != 0)
    replaced.sa_sigaction (signum, info, context);
  else if (replaced.sa_handler != SIG_DFL && replaced.sa_handler != SIG_IGN)
    replaced.sa_handler (signum);
}

/* Somebody's handler of SIGCHLD, from before or from after the watcher's: both learn of all children. */
static void
check_foreign_handler (EvpAbstractChildWatcher *(*make) (void),
                       gboolean                   before)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (100, "children beside a foreign handler");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  const struct sigaction foreign = { .sa_sigaction = foreign_cb, .sa_flags = SA_RESTART | SA_SIGINFO };
  struct sigaction found, now;
  Stream stream = { .loop = test_loop_new (), .watcher = make (), .expected = g_hash_table_new (NULL, NULL) };
  const char *reason;

  if (EVP_IS_GLIB_CHILD_WATCHER (stream.watcher) && !evp_os_pidfd_supported (&reason))
    {
      g_test_skip ("without pidfds GLib takes SIGCHLD, and puts nothing back");
      test_watcher_free (stream.watcher);
      test_loop_close (stream.loop);
      g_hash_table_unref (stream.expected);
      return;
    }
  g_atomic_int_set (&n_foreign, 0);
  sigaction (SIGCHLD, NULL, &found);
  if (before)
    sigaction (SIGCHLD, &foreign, &replaced);
  test_attach (stream.watcher, stream.loop);
  if (!before)
    sigaction (SIGCHLD, &foreign, &replaced);

  stream.n_started = N_THROUGH - 20;
  while (stream.n_started < N_THROUGH)
    stream_start (&stream);
  while (stream.n_ended < 20)
    test_loop_run (stream.loop);
  g_assert_cmpuint (stream.n_wrong, ==, 0);
  g_assert_cmpint (g_atomic_int_get (&n_foreign), >, 0);

  test_watcher_free (stream.watcher);
  test_loop_close (stream.loop);
  /* it is still theirs */
  sigaction (SIGCHLD, NULL, &now);
  g_assert_true (now.sa_sigaction == foreign_cb);
  sigaction (SIGCHLD, &found, NULL);
  g_hash_table_unref (stream.expected);
  evp_test_leaks_check (&leaks);
}

static void
test_handler_before (gconstpointer data)
{
  check_foreign_handler ((EvpAbstractChildWatcher *(*) (void)) data, TRUE);
}

static void
test_handler_after (gconstpointer data)
{
  check_foreign_handler ((EvpAbstractChildWatcher *(*) (void)) data, FALSE);
}

static void
skip_cb (void)
{
  g_test_skip ("the limit of open files (ulimit -Hn) is too low for two descriptors for each child");
}

int
main (int   argc,
      char *argv[])
{
  struct rlimit limit;

  g_test_init (&argc, &argv, NULL);

  /* two descriptors for each child, at most */
  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 2 * N_CHILDREN + 100)
    {
      g_test_add_func ("/evp/stress/many-children/all", skip_cb);
      return g_test_run ();
    }

#define ADD(name, func) \
  g_test_add_data_func ("/evp/stress/many-children/" name, (gconstpointer) func, test_many); \
  g_test_add_data_func ("/evp/stress/many-children/through/" name, (gconstpointer) func, test_through); \
  g_test_add_data_func ("/evp/stress/many-children/thief/" name, (gconstpointer) func, test_thief); \
  g_test_add_data_func ("/evp/stress/many-children/handler-before/" name, (gconstpointer) func, test_handler_before); \
  g_test_add_data_func ("/evp/stress/many-children/handler-after/" name, (gconstpointer) func, test_handler_after)
  if (evp_os_pidfd_supported (NULL))
    {
      ADD ("pidfd", evp_pidfd_child_watcher_new);
    }
  ADD ("threaded", evp_threaded_child_watcher_new);
  ADD ("safe", evp_safe_child_watcher_new);
  ADD ("fast", evp_fast_child_watcher_new);
  ADD ("multi-loop", evp_multi_loop_child_watcher_new);
  ADD ("glib", evp_glib_child_watcher_new);

  return g_test_run ();
}
