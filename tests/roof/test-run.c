/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-debug-private.h"
#include "evp/evp.h"

#include "support/evp-test-support.h"
#include "support/evp-test-watcher.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct
{
  EvpAbstractEventLoop *loop; /* the loop that evp_run() made; a reference */
  EvpFuture *future;          /* what main returned; a reference */
  EvpTestWatcher *watcher;
  guint n_main;
  guint n_destroyed;
  guint n_left_run;
  guint n_left_dropped;
  guint n_done;
  GMutex lock; /* protects the rest */
  GCond changed;
  gboolean released;
  gboolean worked;
} Program;

static Program program;
static EvpTestDeadline *deadline;

static void
destroy_cb (gpointer user_data)
{
  ((Program *) user_data)->n_destroyed++;
}

static gboolean
run (EvpMainFunc   main_func,
     GError      **error)
{
  return evp_run (main_func, &program, destroy_cb, error);
}

/* Keeps what main returns, and checks what holds in every main function. */
static EvpFuture *
begin (EvpAbstractEventLoop *loop)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();
  g_autoptr (EvpAbstractEventLoop) running = evp_get_running_loop (NULL);
  g_autoptr (EvpAbstractEventLoop) current = evp_event_loop_policy_get_event_loop (policy, NULL);

  g_assert_true (running == loop);
  g_assert_true (current == loop);
  g_assert_true (evp_event_loop_is_running (loop));
  g_assert_cmpuint (program.n_destroyed, ==, 0);
  program.n_main++;
  g_set_object (&program.loop, loop);
  g_clear_object (&program.future);
  program.future = evp_event_loop_create_future (loop);
  return g_object_ref (program.future);
}

static void
finish_cb (gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  evp_future_set_result (user_data, NULL, &error);
  g_assert_no_error (error);
}

static EvpFuture *
main_returns (EvpAbstractEventLoop *loop,
              gpointer              user_data)
{
  EvpFuture *future = begin (loop);

  g_assert_true (user_data == &program);
  evp_event_loop_call_soon (loop, finish_cb, g_object_ref (future), g_object_unref, NULL);
  return future;
}

static EvpFuture *
main_fails (EvpAbstractEventLoop *loop,
            gpointer              user_data)
{
  EvpFuture *future = begin (loop);
  g_autoptr (GError) failure = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_NO_SPACE, "the disk is full");

  evp_future_set_error (future, failure);
  return future;
}

static EvpFuture *
main_is_cancelled (EvpAbstractEventLoop *loop,
                   gpointer              user_data)
{
  EvpFuture *future = begin (loop);

  evp_future_cancel (future);
  return future;
}

static EvpFuture *
main_returns_nothing (EvpAbstractEventLoop *loop,
                      gpointer              user_data)
{
  g_object_unref (begin (loop));
  return NULL;
}

static void
stop_cb (gpointer user_data)
{
  evp_event_loop_stop (program.loop);
}

static void
done_cb (EvpFuture *future,
         gpointer   user_data)
{
  program.n_done++;
}

static EvpFuture *
main_stops (EvpAbstractEventLoop *loop,
            gpointer              user_data)
{
  EvpFuture *future = begin (loop);

  evp_future_add_done_callback (future, done_cb, NULL, NULL);
  evp_event_loop_call_soon (loop, stop_cb, NULL, NULL, NULL);
  return future;
}

static EvpFuture *
main_runs (EvpAbstractEventLoop *loop,
           gpointer              user_data)
{
  g_autoptr (GError) error = NULL;
  EvpFuture *future = begin (loop);

  g_assert_false (evp_run (main_returns, NULL, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING);
  g_assert_true (evp_event_loop_is_running (loop));
  evp_future_set_result (future, NULL, NULL);
  return future;
}

static void
left_cb (gpointer user_data)
{
  program.n_left_run++;
}

static void
left_dropped_cb (gpointer user_data)
{
  program.n_left_dropped++;
}

static EvpFuture *
main_leaves_work (EvpAbstractEventLoop *loop,
                  gpointer              user_data)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_call_later (loop, 3600, left_cb, NULL, left_dropped_cb, &error);
  g_assert_no_error (error);
  return main_returns (loop, user_data);
}

static void
expect_closed (guint n_main)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (program.n_main, ==, n_main);
  g_assert_cmpuint (program.n_destroyed, ==, 1);
  g_assert_null (evp_get_running_loop (NULL));
  if (n_main == 0)
    return;
  g_assert_true (evp_event_loop_is_closed (program.loop));
  g_assert_false (evp_event_loop_is_running (program.loop));
  /* the current loop was set to NULL */
  g_assert_null (evp_get_event_loop (&error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
}

/* Rules: L-19 */
static void
test_returns (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (run (main_returns, &error));
  g_assert_no_error (error);
  expect_closed (1);
  g_assert_true (evp_future_done (program.future));

  /* and once more: each has a loop of its own */
  program.n_destroyed = 0;
  g_assert_true (run (main_returns, &error));
  expect_closed (2);
}

/* Rules: L-19 */
static void
test_fails (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (run (main_fails, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_assert_cmpstr (error->message, ==, "the disk is full");
  expect_closed (1);
}

/* Rules: L-19 */
static void
test_cancelled (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (run (main_is_cancelled, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_CANCELLED);
  expect_closed (1);
}

/* Rules: L-19 */
static void
test_no_future (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (run (main_returns_nothing, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FAILED);
  expect_closed (1);
}

/* Rules: L-19, L-7 */
static void
test_stopped (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (run (main_stops, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_STOPPED);
  expect_closed (1);
  /* what was left of the program is cancelled, and hears of it */
  g_assert_true (evp_future_cancelled (program.future));
  g_assert_cmpuint (program.n_done, ==, 1);
}

/* Rules: L-19, L-8 */
static void
test_recursive (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (run (main_runs, &error));
  g_assert_no_error (error);
  expect_closed (1);
}

/* Rules: L-19, L-13 */
static void
test_leaves_work (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (run (main_leaves_work, &error));
  g_assert_no_error (error);
  expect_closed (1);
  g_assert_cmpuint (program.n_left_run, ==, 0);
  g_assert_cmpuint (program.n_left_dropped, ==, 1);
}

static void
work_func (EvpFuture *future,
           gpointer   user_data)
{
  g_mutex_lock (&program.lock);
  while (!program.released)
    g_cond_wait (&program.changed, &program.lock);
  program.worked = TRUE;
  g_mutex_unlock (&program.lock);
}

static void
release_cb (EvpFuture *future,
            gpointer   user_data)
{
  g_mutex_lock (&program.lock);
  program.released = TRUE;
  g_cond_broadcast (&program.changed);
  g_mutex_unlock (&program.lock);
}

static EvpFuture *
main_leaves_executor (EvpAbstractEventLoop *loop,
                      gpointer              user_data)
{
  g_autoptr (GError) error = NULL;
  EvpFuture *future = begin (loop);
  g_autoptr (EvpFuture) work = evp_event_loop_run_in_executor (loop, work_func, NULL, NULL, &error);

  g_assert_no_error (error);
  evp_future_add_done_callback (future, release_cb, NULL, NULL);
  evp_future_set_result (future, NULL, NULL);
  return future;
}

/* Rules: L-19, E-5 */
static void
test_executor (void)
{
  g_autoptr (GError) error = NULL;

  /* work that began is waited for */
  g_assert_true (run (main_leaves_executor, &error));
  g_assert_no_error (error);
  expect_closed (1);
  g_mutex_lock (&program.lock);
  g_assert_true (program.worked);
  g_mutex_unlock (&program.lock);
}

static EvpFuture *
main_checks_watcher (EvpAbstractEventLoop *loop,
                     gpointer              user_data)
{
  g_assert_true (program.watcher->loop == loop);
  return main_returns (loop, user_data);
}

/* Rules: L-19, P-31, P-32 */
static void
test_watcher (void)
{
  g_autoptr (GError) error = NULL;

  program.watcher = evp_test_watcher_new ();
  evp_set_child_watcher (EVP_CHILD_WATCHER (program.watcher), &error);
  g_assert_no_error (error);
  g_assert_true (run (main_checks_watcher, &error));
  g_assert_no_error (error);
  expect_closed (1);
  g_assert_null (program.watcher->loop);
  g_assert_cmpuint (program.watcher->n_attached, ==, 2);
  g_assert_cmpuint (program.watcher->n_closed, ==, 0);
}

/* A loop that cannot be run at first. */
typedef struct
{
  EvpSelectorEventLoop parent_instance;
  gboolean has_failed;
} ShyLoop;

typedef struct
{
  EvpSelectorEventLoopClass parent_class;
} ShyLoopClass;

static void shy_loop_iface_init (EvpAbstractEventLoopInterface *iface);

static GType shy_loop_get_type (void);

G_DEFINE_TYPE_WITH_CODE (ShyLoop, shy_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, shy_loop_iface_init))

static EvpAbstractEventLoopInterface *shy_loop_parent_iface;

static gboolean
shy_loop_run_forever (EvpAbstractEventLoop *loop,
                      GError              **error)
{
  ShyLoop *self = (ShyLoop *) loop;

  if (self->has_failed)
    return shy_loop_parent_iface->run_forever (loop, error);
  self->has_failed = TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "somebody else runs its context");
  return FALSE;
}

static void
shy_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  shy_loop_parent_iface = g_type_interface_peek_parent (iface);
  iface->run_forever = shy_loop_run_forever;
}

static void
shy_loop_class_init (ShyLoopClass *klass)
{
}

static void
shy_loop_init (ShyLoop *self)
{
}

/* A main function that was not started in time is not started while everything is tidied up. */
/* Rules: L-19 */
static void
test_not_run (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_default_event_loop_policy_new ();
  g_autoptr (GError) error = NULL;

  evp_default_event_loop_policy_set_loop_type (EVP_DEFAULT_EVENT_LOOP_POLICY (policy), shy_loop_get_type ());
  evp_set_event_loop_policy (policy);
  g_assert_false (run (main_returns, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  expect_closed (0);
}

/* Rules: L-19 */
static void
test_no_loop (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_windows_selector_event_loop_policy_new ();
  g_autoptr (GError) error = NULL;

  evp_set_event_loop_policy (policy);
  g_assert_false (run (main_returns, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  expect_closed (0);
}

static gpointer
run_thread (gpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (run (main_returns, &error));
  g_assert_no_error (error);
  expect_closed (1);
  return NULL;
}

/* Rules: L-19 */
static void
test_thread (void)
{
  g_thread_join (g_thread_new ("runner", run_thread, NULL));
}

/* Rules: L-19, P-39 */
static void
test_main_context_policy (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_main_context_event_loop_policy_new ();
  g_autoptr (GError) error = NULL;

  evp_set_event_loop_policy (policy);
  g_assert_true (run (main_returns, &error));
  g_assert_no_error (error);
  expect_closed (1);
}

static EvpFuture *
main_in_default_context (EvpAbstractEventLoop *loop,
                         gpointer              user_data)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (loop);
  g_autoptr (GMainContext) other_context = NULL;
  g_autoptr (EvpAbstractEventLoop) other = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (context == g_main_context_default ());
  /* that was for this loop only */
  other = evp_new_event_loop (&error);
  g_assert_no_error (error);
  other_context = evp_event_loop_dup_main_context (other);
  g_assert_true (other_context != context);
  evp_event_loop_close (other, &error);
  g_assert_no_error (error);
  return main_returns (loop, user_data);
}

/* Rules: L-19 */
static void
test_context (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_run_in_context (g_main_context_default (), main_in_default_context, &program,
                                     destroy_cb, &error));
  g_assert_no_error (error);
  expect_closed (1);
}

static gboolean
int_is (void (*handler) (int))
{
  struct sigaction action;

  g_assert_cmpint (sigaction (SIGINT, NULL, &action), ==, 0);
  return action.sa_handler == handler;
}

static void
interrupted_cb (EvpFuture *future,
                gpointer   user_data)
{
  g_assert_true (evp_future_cancelled (future));
  program.n_done++;
  /* the second one would have its default effect */
  g_assert_true (int_is (SIG_DFL));
}

static void
raise_cb (gpointer user_data)
{
  g_assert_false (int_is (SIG_DFL));
  g_assert_cmpint (kill (getpid (), SIGINT), ==, 0);
}

static EvpFuture *
main_is_interrupted (EvpAbstractEventLoop *loop,
                     gpointer              user_data)
{
  EvpFuture *future = begin (loop);

  evp_future_add_done_callback (future, interrupted_cb, NULL, NULL);
  evp_event_loop_call_soon (loop, raise_cb, NULL, NULL, NULL);
  return future;
}

/* Rules: L-19 */
static void
test_interrupt (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (int_is (SIG_DFL));
  g_assert_false (run (main_is_interrupted, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_CANCELLED);
  g_assert_nonnull (strstr (error->message, "SIGINT"));
  expect_closed (1);
  g_assert_cmpuint (program.n_done, ==, 1);
  g_assert_true (int_is (SIG_DFL));

  /* without a signal nothing is left behind either */
  program.n_destroyed = 0;
  g_clear_error (&error);
  g_assert_true (run (main_returns, &error));
  g_assert_true (int_is (SIG_DFL));
}

static void
raise_again_cb (EvpFuture *future,
                gpointer   user_data)
{
  kill (getpid (), SIGINT);
}

static EvpFuture *
main_is_interrupted_twice (EvpAbstractEventLoop *loop,
                           gpointer              user_data)
{
  EvpFuture *future = begin (loop);

  evp_future_add_done_callback (future, raise_again_cb, NULL, NULL);
  evp_event_loop_call_soon (loop, raise_cb, NULL, NULL, NULL);
  return future;
}

/* Rules: L-19 */
static void
test_interrupt_twice (void)
{
  int status = -1;
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      signal (SIGINT, SIG_DFL);
      run (main_is_interrupted_twice, NULL);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status));
  g_assert_cmpint (WTERMSIG (status), ==, SIGINT);
}

static void
own_handler (int signum)
{
}

static EvpFuture *
main_keeps_handler (EvpAbstractEventLoop *loop,
                    gpointer              user_data)
{
  g_assert_true (int_is (own_handler));
  return main_returns (loop, user_data);
}

/* Rules: L-19 */
static void
test_own_handler (void)
{
  g_autoptr (GError) error = NULL;

  signal (SIGINT, own_handler);
  g_assert_true (run (main_keeps_handler, &error));
  g_assert_no_error (error);
  g_assert_true (int_is (own_handler));
  signal (SIGINT, SIG_DFL);
}

static void
set_up (gpointer      *f,
        gconstpointer  data)
{
  deadline = evp_test_deadline_start (60, "a test of evp_run()");
  memset (&program, 0, sizeof program);
  g_mutex_init (&program.lock);
  g_cond_init (&program.changed);
}

static void
tear_down (gpointer      *f,
           gconstpointer  data)
{
  evp_set_event_loop_policy (NULL);
  g_clear_object (&program.future);
  g_clear_object (&program.watcher);
  if (program.loop != NULL)
    g_assert_finalize_object (program.loop);
  g_mutex_clear (&program.lock);
  g_cond_clear (&program.changed);
  evp_test_deadline_stop (deadline);
}

static void
run_case (gpointer      *f,
          gconstpointer  data)
{
  ((void (*) (void)) data) ();
}

int
main (int    argc,
      char **argv)
{
  static const struct
  {
    const char *path;
    void (*run) (void);
  } cases[] = {
    { "returns", test_returns },
    { "fails", test_fails },
    { "cancelled", test_cancelled },
    { "no-future", test_no_future },
    { "stopped", test_stopped },
    { "recursive", test_recursive },
    { "leaves-work", test_leaves_work },
    { "executor", test_executor },
    { "watcher", test_watcher },
    { "not-run", test_not_run },
    { "no-loop", test_no_loop },
    { "thread", test_thread },
    { "main-context-policy", test_main_context_policy },
    { "context", test_context },
    { "interrupt", test_interrupt },
    { "interrupt-twice", test_interrupt_twice },
    { "own-handler", test_own_handler },
  };

  g_test_init (&argc, &argv, NULL);
  signal (SIGINT, SIG_DFL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/evp/roof/run/", cases[i].path, NULL);

      g_test_add (path, gpointer, cases[i].run, set_up, run_case, tear_down);
    }
  return g_test_run ();
}
