/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-watcher.h"

#include "evp/base/evp-debug-private.h"
#include "evp/loop/evp-running-loop-private.h"
#include "evp/loop/evp-selector-event-loop.h"
#include "evp/watcher/evp-base-child-watcher.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct
{
  const char *name;
  EvpAbstractChildWatcher *(*make) (void);
  ContractWatcherLoop make_loop;
  ContractWatcherFlags flags;
} Contract;

typedef struct
{
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
  EvpAbstractEventLoop *loop;
  EvpAbstractChildWatcher *watcher;
  guint n_warnings;
} Fixture;

/* A child, and what its callback saw. */
typedef struct
{
  GPid pid;
  EvpAbstractEventLoop *stop; /* the loop to stop when it has ended; (nullable) */
  guint *n_left;              /* only when this becomes 0; (nullable) */
  int n_calls;
  int returncode;
  GThread *thread;
  EvpAbstractEventLoop *loop;
  int n_destroyed;
} Child;

static void
ended_cb (GPid     pid,
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
  if (child->n_left != NULL && --*child->n_left > 0)
    return;
  if (child->stop != NULL)
    evp_event_loop_stop (child->stop);
}

static void
destroy_cb (gpointer user_data)
{
  Child *child = user_data;

  child->n_destroyed++;
}

static EvpAbstractEventLoop *
make_selector_loop (GError **error)
{
  return evp_selector_event_loop_new (NULL, NULL, error);
}

static ContractWatcherLoop make_loop; /* of the contract whose case runs */

static EvpAbstractEventLoop *
new_loop (void)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = make_loop (&error);

  g_assert_no_error (error);
  return loop;
}

static void
close_loop (EvpAbstractEventLoop **loop)
{
  g_autoptr (GError) error = NULL;

  if (*loop == NULL)
    return;
  evp_event_loop_close (*loop, &error);
  g_assert_no_error (error);
  g_assert_finalize_object (g_steal_pointer (loop));
}

/* The same for one that a helper thread has posted to, and may be about to let go of: then it is gone. */
static void
close_posted_loop (EvpAbstractEventLoop **loop)
{
  g_autoptr (GError) error = NULL;
  GWeakRef former;
  gpointer kept;

  g_weak_ref_init (&former, *loop);
  evp_event_loop_close (*loop, &error);
  g_assert_no_error (error);
  g_clear_object (loop);
  while ((kept = g_weak_ref_get (&former)) != NULL)
    {
      g_object_unref (kept);
      g_thread_yield ();
    }
  g_weak_ref_clear (&former);
}

static void
run (EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_run_forever (loop, &error);
  g_assert_no_error (error);
}

static void
attach (EvpAbstractChildWatcher *watcher,
        EvpAbstractEventLoop    *loop)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_child_watcher_attach_loop (watcher, loop, &error));
  g_assert_no_error (error);
}

/* Adds a child that was spawned inside the same bracket. */
static void
add (Fixture *f,
     Child   *child)
{
  g_autoptr (GError) error = NULL;

  evp_child_watcher_add_child_handler (f->watcher, child->pid, ended_cb, child, destroy_cb, &error);
  g_assert_no_error (error);
}

#define spawn_and_add(f, child, ...)                       \
  G_STMT_START {                                           \
    evp_child_watcher_enter ((f)->watcher);                \
    (child)->pid = evp_test_spawn_child (__VA_ARGS__);     \
    add ((f), (child));                                    \
    evp_child_watcher_exit ((f)->watcher);                 \
  } G_STMT_END

/* Waits until a child of ours has ended, and leaves it a zombie. */
static void
wait_for_zombie (GPid pid)
{
  siginfo_t info;

  while (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT) < 0)
    g_assert_cmpint (errno, ==, EINTR);
}

/* The same, where the watcher may have reaped it by then: some do in a thread of their own. */
static void
wait_for_end (GPid pid)
{
  siginfo_t info;

  while (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
    ;
}

static void
reap (GPid pid)
{
  while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
    ;
}

/* Runs the loop until one more child, added last, has been noticed: what was to be noticed before it, was. */
static void
run_past (Fixture *f)
{
  Child last = { .stop = f->loop };

  spawn_and_add (f, &last, "pause", NULL);
  kill (last.pid, SIGKILL);
  run (f->loop);
  g_assert_cmpint (last.n_calls, ==, 1);
  g_assert_cmpint (last.n_destroyed, ==, 1);
}

static void
setup (Fixture      *f,
       gconstpointer data)
{
  const Contract *contract = data;

  f->deadline = evp_test_deadline_start (60, contract->name);
  f->leaks = evp_test_leaks_begin ();
  f->n_warnings = evp_warn_runtime_get_count ();
  make_loop = contract->make_loop;
  f->loop = new_loop ();
  f->watcher = contract->make ();
  attach (f->watcher, f->loop);
}

static void
teardown (Fixture      *f,
          gconstpointer data)
{
  if (f->watcher != NULL)
    {
      evp_child_watcher_close (f->watcher);
      g_assert_finalize_object (f->watcher);
    }
  close_loop (&f->loop);
  /* a thread that was joined may be listed for a moment */
  while (evp_test_count_threads () > f->leaks.threads)
    g_thread_yield ();
  evp_test_leaks_check (&f->leaks);
  g_clear_pointer (&f->deadline, evp_test_deadline_stop);
}

/* Rules: W-2, W-6, W-17, W-18, W-22, W-28, W-52, W-60, Z-31, Z-39, Z-42 */
static void
test_codes (Fixture      *f,
            gconstpointer data)
{
  static const struct
  {
    const char *mode, *argument;
    int returncode;
  } cases[] = {
    { "exit", "0", 0 },
    { "exit", "7", 7 },
    { "exit", "255", 255 },
    { "signal", "9", -SIGKILL },
    { "signal", "15", -SIGTERM },
  };
  Child children[G_N_ELEMENTS (cases)] = { 0 };
  Child running = { 0 };
  guint n_left = G_N_ELEMENTS (cases);

  spawn_and_add (f, &running, "pause", NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      children[i].n_left = &n_left;
      spawn_and_add (f, &children[i], cases[i].mode, cases[i].argument, NULL);
    }
  /* some may have been noticed at once; those that are not stop the loop when it runs */
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    children[i].stop = f->loop;
  if (n_left > 0)
    run (f->loop);

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_assert_cmpint (children[i].n_calls, ==, 1);
      g_assert_cmpint (children[i].n_destroyed, ==, 1);
      g_assert_cmpint (children[i].returncode, ==, cases[i].returncode);
      g_assert_true (children[i].thread == g_thread_self ());
    }
  g_assert_cmpint (running.n_calls, ==, 0);

  running.stop = f->loop;
  kill (running.pid, SIGKILL);
  run (f->loop);
  g_assert_cmpint (running.returncode, ==, -SIGKILL);
  g_assert_true (running.loop == f->loop);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings);
}

/* Rules: W-20, W-29, W-36, W-38, W-53, W-61, Z-36 */
static void
test_dead (Fixture      *f,
           gconstpointer data)
{
  Child child = { .stop = f->loop };

  evp_child_watcher_enter (f->watcher);
  child.pid = evp_test_spawn_child ("exit", "3", NULL);
  wait_for_zombie (child.pid);
  add (f, &child);
  evp_child_watcher_exit (f->watcher);
  if (child.n_calls == 0)
    run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, 3);
  g_assert_cmpint (child.n_destroyed, ==, 1);
}

/* Rules: W-2, W-47, W-54 */
static void
test_replace (Fixture      *f,
              gconstpointer data)
{
  Child first = { 0 };
  Child second = { .stop = f->loop };

  evp_child_watcher_enter (f->watcher);
  first.pid = second.pid = evp_test_spawn_child ("pause", NULL);
  add (f, &first);
  add (f, &second);
  evp_child_watcher_exit (f->watcher);
  g_assert_cmpint (first.n_destroyed, ==, 1);
  g_assert_cmpint (second.n_destroyed, ==, 0);
  if (EVP_IS_BASE_CHILD_WATCHER (f->watcher))
    g_assert_cmpuint (evp_base_child_watcher_get_n_handlers (EVP_BASE_CHILD_WATCHER (f->watcher)), ==, 1);

  kill (first.pid, SIGTERM);
  run (f->loop);
  run_past (f);
  g_assert_cmpint (first.n_calls, ==, 0);
  g_assert_cmpint (second.n_calls, ==, 1);
  g_assert_cmpint (second.returncode, ==, -SIGTERM);
  g_assert_cmpint (second.n_destroyed, ==, 1);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings);
}

/* Rules: W-3, W-22, W-47, W-62 */
static void
test_remove (Fixture      *f,
             gconstpointer data)
{
  const Contract *contract = data;
  Child child = { 0 };

  g_assert_false (evp_child_watcher_remove_child_handler (f->watcher, getpid ()));
  spawn_and_add (f, &child, "pause", NULL);
  g_assert_true (evp_child_watcher_remove_child_handler (f->watcher, child.pid));
  g_assert_false (evp_child_watcher_remove_handler (f->watcher, child.pid));
  g_assert_cmpint (child.n_destroyed, ==, 1);

  kill (child.pid, SIGKILL);
  wait_for_zombie (child.pid);
  run_past (f);
  g_assert_cmpint (child.n_calls, ==, 0);
  if ((contract->flags & CONTRACT_WATCHER_STEALS) == 0)
    /* it is whole, and ours */
    g_assert_cmpint (waitpid (child.pid, NULL, WNOHANG), ==, child.pid);
}

typedef struct
{
  Child child;
  Fixture *f;
  GPid other;
} Remover;

static void
remove_other_cb (GPid     pid,
                 int      returncode,
                 gpointer user_data)
{
  Remover *self = user_data;

  self->child.n_calls++;
  evp_child_watcher_remove_child_handler (self->f->watcher, self->other);
  evp_event_loop_stop (self->f->loop);
}

/* Rules: W-3, W-22, W-31, W-62, Z-36 */
static void
test_remove_late (Fixture      *f,
                  gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Remover one = { .f = f }, two = { .f = f };

  evp_child_watcher_enter (f->watcher);
  one.child.pid = two.other = evp_test_spawn_child ("pause", NULL);
  two.child.pid = one.other = evp_test_spawn_child ("pause", NULL);
  evp_child_watcher_add_child_handler (f->watcher, one.child.pid, remove_other_cb, &one, destroy_cb, &error);
  g_assert_no_error (error);
  evp_child_watcher_add_child_handler (f->watcher, two.child.pid, remove_other_cb, &two, destroy_cb, &error);
  g_assert_no_error (error);
  evp_child_watcher_exit (f->watcher);

  kill (one.child.pid, SIGKILL);
  kill (two.child.pid, SIGKILL);
  wait_for_zombie (one.child.pid);
  wait_for_zombie (two.child.pid);
  run (f->loop);
  run_past (f);
  /* whoever came first has removed the other */
  g_assert_cmpint (one.child.n_calls + two.child.n_calls, ==, 1);
  g_assert_cmpint (one.child.n_destroyed, ==, 1);
  g_assert_cmpint (two.child.n_destroyed, ==, 1);
  reap (one.child.n_calls == 0 ? one.child.pid : two.child.pid);
}

/* Rules: W-3, W-47 */
static void
test_readd (Fixture      *f,
            gconstpointer data)
{
  Child first = { 0 };
  Child second = { .stop = f->loop };

  evp_child_watcher_enter (f->watcher);
  first.pid = second.pid = evp_test_spawn_child ("pause", NULL);
  add (f, &first);
  g_assert_true (evp_child_watcher_remove_child_handler (f->watcher, first.pid));
  add (f, &second);
  evp_child_watcher_exit (f->watcher);

  kill (first.pid, SIGKILL);
  run (f->loop);
  run_past (f);
  g_assert_cmpint (first.n_calls, ==, 0);
  g_assert_cmpint (second.n_calls, ==, 1);
  g_assert_cmpint (second.returncode, ==, -SIGKILL);
}

/* Rules: W-23, W-28, W-33, W-59, Z-32 */
static void
test_strangers (Fixture      *f,
                gconstpointer data)
{
  const Contract *contract = data;
  GPid stranger = evp_test_spawn_child ("exit", "4", NULL);
  int status = 0;

  wait_for_zombie (stranger);
  run_past (f);
  if ((contract->flags & CONTRACT_WATCHER_STEALS) != 0)
    {
      g_assert_cmpint (waitpid (stranger, &status, WNOHANG), ==, -1);
      g_assert_cmpint (errno, ==, ECHILD);
      g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings + 1);
      return;
    }
  g_assert_cmpint (waitpid (stranger, &status, WNOHANG), ==, stranger);
  g_assert_cmpint (WEXITSTATUS (status), ==, 4);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings);
}

/* Rules: W-6, W-7, W-32, W-52, W-64, Z-34, Z-35, Z-39 */
static void
test_stolen (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *warning = NULL, *number = NULL;
  Child child = { .stop = f->loop };

  evp_child_watcher_enter (f->watcher);
  child.pid = evp_test_spawn_child ("pause", NULL);
  handler = evp_child_handler_new (child.pid, f->loop, ended_cb, &child, destroy_cb);
  evp_child_watcher_add_handler (f->watcher, child.pid, handler, &error);
  g_assert_no_error (error);
  evp_child_watcher_exit (f->watcher);

  g_assert_false (evp_child_handler_get_lost (handler));
  kill (child.pid, SIGKILL);
  reap (child.pid);
  run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, EVP_RETURNCODE_LOST);
  g_assert_true (evp_child_handler_get_lost (handler));
  g_assert_true (evp_child_handler_get_done (handler));
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings + 1);
  warning = evp_warn_runtime_dup_last ();
  number = g_strdup_printf ("%d", (int) child.pid);
  g_assert_nonnull (strstr (warning, number));

  /* and the next one is as it should be */
  run_past (f);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings + 1);
}

/* Rules: W-6, W-7, W-53, W-63 */
static void
test_ignored (Fixture      *f,
              gconstpointer data)
{
  const Contract *contract = data;
  g_autoptr (GError) error = NULL;
  struct sigaction ignore = { .sa_handler = SIG_IGN }, former, now;
  Child child = { .stop = f->loop }, gone = { .stop = f->loop };

  /* a process that was started so: before there is any watcher */
  evp_child_watcher_close (f->watcher);
  sigaction (SIGCHLD, &ignore, &former);
  gone.pid = evp_test_spawn_child ("exit", "0", NULL);
  reap (gone.pid);
  attach (f->watcher, f->loop);

  spawn_and_add (f, &child, "pause", NULL);
  kill (child.pid, SIGKILL);
  run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  if ((contract->flags & CONTRACT_WATCHER_SIGNAL) != 0)
    {
      g_assert_cmpint (child.returncode, ==, -SIGKILL);
      g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings);
    }
  else
    {
      g_assert_cmpint (child.returncode, ==, EVP_RETURNCODE_LOST);
      g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings + 1);
    }

  f->n_warnings = evp_warn_runtime_get_count ();
  evp_child_watcher_enter (f->watcher);
  if (evp_child_watcher_add_child_handler (f->watcher, gone.pid, ended_cb, &gone, destroy_cb, &error))
    {
      g_assert_cmpint (contract->flags & CONTRACT_WATCHER_NEEDS_PROCESS, ==, 0);
      if (gone.n_calls == 0)
        run (f->loop);
      g_assert_cmpint (gone.n_calls, ==, 1);
      g_assert_cmpint (gone.returncode, ==, EVP_RETURNCODE_LOST);
      g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings + 1);
    }
  else
    {
      g_assert_cmpint (contract->flags & CONTRACT_WATCHER_NEEDS_PROCESS, !=, 0);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    }
  g_assert_cmpint (gone.n_destroyed, ==, 1);
  evp_child_watcher_exit (f->watcher);

  evp_child_watcher_close (f->watcher);
  sigaction (SIGCHLD, NULL, &now);
  g_assert_true (now.sa_handler == SIG_IGN);
  sigaction (SIGCHLD, &former, NULL);
}

/* Rules: W-14, W-21, W-51 */
static void
test_refused (Fixture      *f,
              gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) closed = new_loop ();
  Child child = { 0 };

  evp_event_loop_close (closed, &error);
  g_assert_no_error (error);

  evp_child_watcher_enter (f->watcher);
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, 0, ended_cb, &child, destroy_cb, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  evp_child_watcher_exit (f->watcher);

  g_assert_false (evp_child_watcher_attach_loop (f->watcher, closed, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);
  /* still attached to the other one */
  run_past (f);
}

/* Rules: W-2, W-15, W-18 */
static void
test_adopted (Fixture      *f,
              gconstpointer data)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (f->loop);
  Child child = { 0 };

  /* added by code that is no callback of the loop */
  g_assert_null (evp_running_loop_get ());
  spawn_and_add (f, &child, "pause", NULL);
  kill (child.pid, SIGKILL);
  while (child.n_calls == 0)
    g_main_context_iteration (context, TRUE);
  g_assert_cmpint (child.returncode, ==, -SIGKILL);
  g_assert_true (child.loop == f->loop);
  g_assert_cmpint (child.n_destroyed, ==, 1);
}

typedef struct
{
  Child child;
  Fixture *f;
  Child *other;
} Nesting;

static void
nesting_cb (GPid     pid,
            int      returncode,
            gpointer user_data)
{
  Nesting *self = user_data;
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (self->f->loop);

  self->child.n_calls++;
  kill (self->other->pid, SIGTERM);
  while (self->other->n_calls == 0)
    g_main_context_iteration (context, TRUE);
  evp_event_loop_stop (self->f->loop);
}

/* Rules: W-31, Z-36 */
static void
test_nested (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Child other = { 0 };
  Nesting nesting = { .f = f, .other = &other };

  spawn_and_add (f, &other, "pause", NULL);
  evp_child_watcher_enter (f->watcher);
  nesting.child.pid = evp_test_spawn_child ("pause", NULL);
  evp_child_watcher_add_child_handler (f->watcher, nesting.child.pid, nesting_cb, &nesting, destroy_cb, &error);
  g_assert_no_error (error);
  evp_child_watcher_exit (f->watcher);
  kill (nesting.child.pid, SIGKILL);
  run (f->loop);
  g_assert_cmpint (nesting.child.n_calls, ==, 1);
  g_assert_cmpint (nesting.child.n_destroyed, ==, 1);
  g_assert_cmpint (other.n_calls, ==, 1);
  g_assert_cmpint (other.returncode, ==, -SIGTERM);
}

typedef struct
{
  Fixture *f;
  Child child;
  GThread *thread;
  EvpAbstractEventLoop *loop;
  EvpAbstractEventLoop *main_loop;
  gint *n_left;
} Worker;

static void
worker_add_cb (gpointer user_data)
{
  Worker *self = user_data;

  spawn_and_add (self->f, &self->child, "exit", "5", NULL);
}

static void
stop_cb (gpointer user_data)
{
  evp_event_loop_stop (user_data);
}

static gpointer
worker_thread (gpointer data)
{
  Worker *self = data;
  g_autoptr (GError) error = NULL;

  self->loop = new_loop ();
  self->child.stop = self->loop;
  evp_event_loop_call_soon (self->loop, worker_add_cb, self, NULL, &error);
  g_assert_no_error (error);
  run (self->loop);
  g_assert_true (self->child.loop == self->loop);
  evp_event_loop_close (self->loop, NULL);
  g_clear_object (&self->loop);
  if (g_atomic_int_dec_and_test (self->n_left))
    evp_event_loop_call_soon_threadsafe (self->main_loop, stop_cb, self->main_loop, NULL, NULL);
  return NULL;
}

static void
start_workers_cb (gpointer user_data)
{
  Worker *workers = user_data;

  for (int i = 0; i < 4; i++)
    workers[i].thread = g_thread_new ("worker", worker_thread, &workers[i]);
}

/* Rules: W-2, W-26, W-38, W-39, W-44, W-46, W-60, Z-42 */
static void
test_threads (Fixture      *f,
              gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Worker workers[4] = { 0 };
  gint n_left = G_N_ELEMENTS (workers);

  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    workers[i] = (Worker) { .f = f, .main_loop = f->loop, .n_left = &n_left };
  /* the main loop must run for watchers that sweep in it */
  evp_event_loop_call_soon (f->loop, start_workers_cb, workers, NULL, &error);
  g_assert_no_error (error);
  run (f->loop);

  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    {
      g_assert_cmpint (workers[i].child.n_calls, ==, 1);
      g_assert_cmpint (workers[i].child.returncode, ==, 5);
      g_assert_true (workers[i].child.thread == workers[i].thread);
      g_assert_cmpint (workers[i].child.n_destroyed, ==, 1);
      /* the thread that posts last must not see its loop finalized meanwhile */
      g_thread_join (workers[i].thread);
    }
}

/* Rules: W-40, W-45, W-57, Z-40 */
static void
test_closed_loop (Fixture      *f,
                  gconstpointer data)
{
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *warning = NULL, *number = NULL;
  EvpAbstractEventLoop *other = new_loop ();
  Child child = { 0 };

  evp_child_watcher_enter (f->watcher);
  child.pid = evp_test_spawn_child ("pause", NULL);
  handler = evp_child_handler_new (child.pid, other, ended_cb, &child, destroy_cb);
  evp_child_watcher_add_handler (f->watcher, child.pid, handler, &error);
  g_assert_no_error (error);
  evp_child_watcher_exit (f->watcher);

  evp_event_loop_close (other, &error);
  g_assert_no_error (error);
  kill (child.pid, SIGKILL);
  wait_for_end (child.pid);
  run_past (f);
  g_assert_cmpint (child.n_calls, ==, 0);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings + 1);
  warning = evp_warn_runtime_dup_last ();
  number = g_strdup_printf ("%d", (int) child.pid);
  g_assert_nonnull (strstr (warning, number));
  g_assert_nonnull (strstr (warning, G_OBJECT_TYPE_NAME (f->loop)));

  /* reaped by those that are able to */
  reap (child.pid);
  evp_child_watcher_remove_child_handler (f->watcher, child.pid);
  g_clear_object (&handler);
  g_object_unref (other);
}

/* Rules: W-4, W-11, W-12, W-19, W-55, W-65 */
static void
test_move (Fixture      *f,
           gconstpointer data)
{
  EvpAbstractEventLoop *second = new_loop ();
  Child early = { 0 }, late = { 0 };
  guint n_left = 2;
  GWeakRef former;
  gpointer kept;

  spawn_and_add (f, &early, "pause", NULL);
  spawn_and_add (f, &late, "pause", NULL);
  /* the same one again is harmless */
  attach (f->watcher, f->loop);
  kill (early.pid, SIGKILL);
  wait_for_zombie (early.pid);

  early.stop = late.stop = second;
  early.n_left = late.n_left = &n_left;
  attach (f->watcher, second);
  g_weak_ref_init (&former, f->loop);
  g_assert_true (evp_event_loop_close (f->loop, NULL));
  g_clear_object (&f->loop);

  kill (late.pid, SIGTERM);
  run (second);
  g_assert_cmpint (early.n_calls, ==, 1);
  g_assert_cmpint (early.returncode, ==, -SIGKILL);
  g_assert_cmpint (late.n_calls, ==, 1);
  g_assert_cmpint (late.returncode, ==, -SIGTERM);
  g_assert_true (late.loop == second);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings);
  f->loop = second;

  /* nothing keeps the former loop; a helper thread may be about to let go of it */
  while ((kept = g_weak_ref_get (&former)) != NULL)
    {
      g_object_unref (kept);
      g_thread_yield ();
    }
  g_weak_ref_clear (&former);
}

/* Rules: W-38, W-65 */
static void
test_stay (Fixture      *f,
           gconstpointer data)
{
  EvpAbstractEventLoop *other = new_loop ();
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;
  Child child = { .stop = other };

  evp_child_watcher_enter (f->watcher);
  child.pid = evp_test_spawn_child ("pause", NULL);
  handler = evp_child_handler_new (child.pid, other, ended_cb, &child, destroy_cb);
  g_assert_true (evp_child_watcher_add_handler (f->watcher, child.pid, handler, &error));
  g_assert_no_error (error);
  evp_child_watcher_exit (f->watcher);

  /* the watcher comes to its loop and goes again: what was added there is none of that */
  attach (f->watcher, other);
  attach (f->watcher, f->loop);
  kill (child.pid, SIGTERM);
  wait_for_end (child.pid);
  run_past (f);
  g_assert_cmpint (child.n_calls, ==, 0);
  run (other);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, -SIGTERM);
  g_assert_true (child.loop == other);
  g_clear_object (&handler);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  close_posted_loop (&other);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings);
}

/* Rules: W-5, W-8, W-24, W-34, W-41, W-56 */
static void
test_close (Fixture      *f,
            gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Child child = { 0 }, refused = { 0 };

  spawn_and_add (f, &child, "pause", NULL);
  evp_child_watcher_close (f->watcher);
  evp_child_watcher_close (f->watcher);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  g_assert_false (evp_child_watcher_is_active (f->watcher));
  g_assert_false (evp_child_watcher_remove_child_handler (f->watcher, child.pid));

  evp_child_watcher_enter (f->watcher);
  refused.pid = child.pid;
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, child.pid, ended_cb, &refused, destroy_cb, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WATCHER_CLOSED);
  g_assert_cmpint (refused.n_destroyed, ==, 1);
  evp_child_watcher_exit (f->watcher);

  kill (child.pid, SIGKILL);
  reap (child.pid);
  attach (f->watcher, NULL);
  attach (f->watcher, f->loop);
  run_past (f);
  g_assert_cmpint (child.n_calls, ==, 0);
  /* with nothing pending, neither closing nor detaching is worth a word */
  attach (f->watcher, NULL);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings);
}

/* Rules: W-8, W-48 */
static void
test_dropped (Fixture      *f,
              gconstpointer data)
{
  Child child = { 0 };

  spawn_and_add (f, &child, "pause", NULL);
  g_assert_finalize_object (g_steal_pointer (&f->watcher));
  g_assert_cmpint (child.n_destroyed, ==, 1);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings + 1);
  kill (child.pid, SIGKILL);
  reap (child.pid);
}

/* Rules: W-66, Z-30 */
static void
test_fork (Fixture      *f,
           gconstpointer data)
{
  Child child = { .stop = f->loop };
  int status = 0;
  pid_t pid;

  spawn_and_add (f, &child, "pause", NULL);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      g_autoptr (GError) error = NULL;
      Child own = { .pid = child.pid };

      /* no assertions here: they would report as if they were the parent */
      if (evp_child_watcher_is_active (f->watcher))
        evp_test_exit_forked (10);
      if (evp_child_watcher_add_child_handler (f->watcher, child.pid, ended_cb, &own, destroy_cb, &error)
          || !g_error_matches (error, EVP_ERROR, EVP_ERROR_FORKED) || own.n_destroyed != 1)
        evp_test_exit_forked (11);
      g_clear_error (&error);
      if (evp_child_watcher_attach_loop (f->watcher, f->loop, &error)
          || !g_error_matches (error, EVP_ERROR, EVP_ERROR_FORKED))
        evp_test_exit_forked (12);
      if (evp_child_watcher_remove_child_handler (f->watcher, child.pid))
        evp_test_exit_forked (13);
      evp_child_watcher_enter (f->watcher);
      evp_child_watcher_exit (f->watcher);
      evp_child_watcher_close (f->watcher);
      g_object_unref (f->watcher);
      evp_test_exit_forked (child.n_calls + child.n_destroyed);
    }
  while (waitpid (pid, &status, 0) < 0)
    g_assert_cmpint (errno, ==, EINTR);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);

  /* the parent's watcher has felt nothing */
  kill (child.pid, SIGKILL);
  run (f->loop);
  g_assert_cmpint (child.returncode, ==, -SIGKILL);
}

#ifndef EVP_CONTRACT_INSTALLED /* of the library's own classes */
static gboolean
scribble (EvpAbstractChildWatcher *self)
{
  return FALSE;
}

/* Rules: P-36 */
static void
test_table (Fixture      *f,
            gconstpointer data)
{
  const Contract *contract = data;
  EvpAbstractChildWatcherInterface *iface = EVP_CHILD_WATCHER_GET_IFACE (f->watcher);
  gboolean (*former) (EvpAbstractChildWatcher *) = iface->is_active;
  EvpAbstractChildWatcher *watcher;

  iface->is_active = scribble;
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "A subclass wrote into *ChildWatcher: list *");
  watcher = contract->make ();
  g_test_assert_expected_messages ();
  iface->is_active = former;
  g_object_unref (watcher);
}
#endif

void
contract_watcher_add (const char               *name,
                      EvpAbstractChildWatcher *(*make) (void),
                      ContractWatcherFlags      flags)
{
  contract_watcher_add_with_loop (name, make, make_selector_loop, flags);
}

void
contract_watcher_add_with_loop (const char               *name,
                                EvpAbstractChildWatcher *(*make) (void),
                                ContractWatcherLoop       loop,
                                ContractWatcherFlags      flags)
{
  static Contract contracts[16]; /* they are used as long as the program lives */
  static guint n_contracts;
  Contract *contract = &contracts[n_contracts++];
  const struct
  {
    const char *name;
    void (*run) (Fixture *, gconstpointer);
  } cases[] = {
    { "codes", test_codes },
    { "dead", test_dead },
    { "replace", test_replace },
    { "remove", test_remove },
    { "remove-late", test_remove_late },
    { "readd", test_readd },
    { "strangers", test_strangers },
    { "stolen", test_stolen },
    { "ignored", test_ignored },
    { "refused", test_refused },
    { "adopted", test_adopted },
    { "nested", test_nested },
    { "threads", test_threads },
    { "closed-loop", test_closed_loop },
    { "move", test_move },
    { "stay", test_stay },
    { "close", test_close },
    { "dropped", test_dropped },
    { "fork", test_fork },
#ifndef EVP_CONTRACT_INSTALLED
    { "table", test_table },
#endif
  };

  g_assert_cmpuint (n_contracts, <=, G_N_ELEMENTS (contracts));
  contract->name = g_intern_string (name);
  contract->make = make;
  contract->make_loop = loop;
  contract->flags = flags;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/watcher/%s/contract/%s", name, cases[i].name);

      g_test_add (path, Fixture, contract, setup, cases[i].run, teardown);
    }
}
