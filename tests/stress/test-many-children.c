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

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>

/* Thousands of real children, all alive at once, under each watcher; hundreds where everything is slow. */
#define N_CHILDREN (g_getenv ("EVP_TEST_SLOW") != NULL ? 300u : 2000u)

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
    return 77;

#define ADD(name, func) g_test_add_data_func ("/evp/stress/many-children/" name, (gconstpointer) func, test_many)
  if (evp_os_pidfd_supported (NULL))
    ADD ("pidfd", evp_pidfd_child_watcher_new);
  ADD ("threaded", evp_threaded_child_watcher_new);
  ADD ("safe", evp_safe_child_watcher_new);
  ADD ("fast", evp_fast_child_watcher_new);
  ADD ("multi-loop", evp_multi_loop_child_watcher_new);
  ADD ("glib", evp_glib_child_watcher_new);

  return g_test_run ();
}
