/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error.h"
#include "evp/loop/evp-running-loop-private.h"
#include "evp/loop/evp-selector-event-loop.h"
#include "evp/watcher/evp-abstract-child-watcher.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the tests of the watchers share: a child, and what its callback saw. */
typedef struct
{
  GPid pid;
  EvpAbstractEventLoop *stop; /* the loop to stop when it has ended; (nullable) */
  int n_calls;
  int returncode;
  GThread *thread;
  EvpAbstractEventLoop *loop;
  int n_destroyed;
  GThread *destroy_thread;
} Child;

static inline void
child_cb (GPid     pid,
          int      returncode,
          gpointer user_data)
{
  Child *child = user_data;

  g_assert_cmpint (pid, ==, child->pid);
  g_assert_cmpint (child->n_destroyed, ==, 0);
  child->n_calls++;
  child->returncode = returncode;
  child->thread = g_thread_self ();
  child->loop = evp_running_loop_get ();
  if (child->stop != NULL)
    evp_event_loop_stop (child->stop);
}

static inline void
child_destroy_cb (gpointer user_data)
{
  Child *child = user_data;

  child->n_destroyed++;
  child->destroy_thread = g_thread_self ();
}

static inline EvpAbstractEventLoop *
test_loop_new (void)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (NULL, NULL, &error);

  g_assert_no_error (error);
  return loop;
}

static inline void
test_loop_close (EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_close (loop, &error);
  g_assert_no_error (error);
  g_assert_finalize_object (loop);
}

static inline void
test_loop_run (EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_run_forever (loop, &error);
  g_assert_no_error (error);
}

static inline void
test_stop_cb (gpointer user_data)
{
  evp_event_loop_stop (user_data);
}

/* One turn: what is ready runs. */
static inline void
test_loop_turn (EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_call_soon (loop, test_stop_cb, loop, NULL, &error);
  g_assert_no_error (error);
  test_loop_run (loop);
}

static inline void
test_attach (EvpAbstractChildWatcher *watcher,
             EvpAbstractEventLoop    *loop)
{
  g_autoptr (GError) error = NULL;

  evp_child_watcher_attach_loop (watcher, loop, &error);
  g_assert_no_error (error);
}

static inline void
test_add (EvpAbstractChildWatcher *watcher,
          Child                   *child)
{
  g_autoptr (GError) error = NULL;

  evp_child_watcher_add_child_handler (watcher, child->pid, child_cb, child, child_destroy_cb, &error);
  g_assert_no_error (error);
}

static inline void
test_watcher_free (EvpAbstractChildWatcher *watcher)
{
  evp_child_watcher_close (watcher);
  g_assert_finalize_object (watcher);
}

static inline void
wait_for_zombie (GPid pid)
{
  siginfo_t info;

  while (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT) < 0)
    g_assert_cmpint (errno, ==, EINTR);
}

static inline void
kill_and_reap (GPid pid)
{
  g_assert_cmpint (kill (pid, SIGKILL), ==, 0);
  while (waitpid (pid, NULL, 0) < 0)
    g_assert_cmpint (errno, ==, EINTR);
}

/* A thread that has ended may be listed for a moment. */
static inline void
wait_for_threads (guint n)
{
  while (evp_test_count_threads () > n)
    g_thread_yield ();
}

/* A watcher with a loop; whatever they leave behind fails the test. */
typedef struct
{
  EvpTestDeadline *deadline;
  EvpTestLeaks leaks;
  EvpAbstractEventLoop *loop;
  EvpAbstractChildWatcher *watcher;
  guint n_warnings; /* before the test */
} Fixture;

static inline void
fixture_set_up (Fixture                   *f,
                const char                *what,
                EvpAbstractChildWatcher *(*watcher_new) (void))
{
  f->deadline = evp_test_deadline_start (60, what);
  f->leaks = evp_test_leaks_begin ();
  f->n_warnings = evp_warn_runtime_get_count ();
  f->loop = test_loop_new ();
  f->watcher = watcher_new ();
}

/* Lets go of the watcher and of the loop, for what a test looks at before the rest of the tear-down. */
static inline void
fixture_release (Fixture *f)
{
  if (f->watcher != NULL)
    test_watcher_free (g_steal_pointer (&f->watcher));
  if (f->loop != NULL)
    test_loop_close (g_steal_pointer (&f->loop));
}

static inline void
fixture_tear_down (Fixture      *f,
                   gconstpointer data)
{
  fixture_release (f);
  evp_test_leaks_check (&f->leaks);
  evp_test_deadline_stop (f->deadline);
}

/* The same for a watcher with threads, which end a little later than the watcher. */
static inline void
fixture_tear_down_threads (Fixture      *f,
                           gconstpointer data)
{
  fixture_release (f);
  wait_for_threads (f->leaks.threads);
  fixture_tear_down (f, data);
}

static inline gpointer
attach_thread (gpointer data)
{
  Fixture *f = data;
  g_autoptr (GError) error = NULL;

  g_assert_false (evp_child_watcher_attach_loop (f->watcher, f->loop, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WRONG_THREAD);
  return NULL;
}

/* A watcher that is attached in the main thread only. */
static inline void
test_refuses_other_threads (Fixture *f)
{
  g_thread_join (g_thread_new ("attach", attach_thread, f));
}

/* A watcher that is attached to a loop that has been closed since refuses a child, and lets its handler be. */
static inline void
test_refuses_closed_loop (EvpAbstractChildWatcher *watcher)
{
  EvpAbstractEventLoop *loop = test_loop_new ();
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;
  guint n_warnings = evp_warn_runtime_get_count ();
  Child child = { 0 };

  test_attach (watcher, loop);
  evp_event_loop_close (loop, &error);
  g_assert_no_error (error);
  child.pid = evp_test_spawn_child ("pause", NULL);
  handler = evp_child_handler_new (child.pid, NULL, child_cb, &child, child_destroy_cb);
  g_assert_false (evp_child_watcher_add_handler (watcher, child.pid, handler, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_assert_null (evp_child_handler_get_loop (handler));
  g_assert_cmpint (child.n_destroyed, ==, 0);
  g_assert_false (evp_child_watcher_remove_child_handler (watcher, child.pid));
  kill_and_reap (child.pid);
  test_attach (watcher, NULL);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_warnings);
  g_assert_finalize_object (loop);
}

/* Whether the last warning speaks of a pid. */
static inline void
assert_warned (guint n_before,
               guint n_more,
               GPid  pid)
{
  g_autofree char *warning = evp_warn_runtime_dup_last ();
  g_autofree char *number = g_strdup_printf ("%d", (int) pid);

  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, n_before + n_more);
  if (n_more > 0 && pid != 0)
    g_assert_nonnull (strstr (warning, number));
}

/* From here on no descriptor can be opened, until the limit is put back. */
static inline struct rlimit
exhaust_fds (void)
{
  struct rlimit former, none;
  int next = dup (0);

  g_assert_cmpint (next, >=, 0);
  close (next);
  getrlimit (RLIMIT_NOFILE, &former);
  none = former;
  /* all below it are in use; not 0, as poll() refuses more descriptors than that */
  none.rlim_cur = (rlim_t) next;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  return former;
}

/* A loop that can do nothing: no descriptors, no main context, no callbacks. */
typedef GObject      BareLoop;
typedef GObjectClass BareLoopClass;

static inline void
bare_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
}

static GType bare_loop_get_type (void) G_GNUC_UNUSED;

G_DEFINE_TYPE_WITH_CODE (BareLoop, bare_loop, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, bare_loop_iface_init))

static void
bare_loop_class_init (BareLoopClass *klass)
{
}

static void
bare_loop_init (BareLoop *self)
{
}
