/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-process.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpTestDeadline *deadline;
} Fixture;

static void
set_up (Fixture      *f,
        gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->deadline = evp_test_deadline_start (60, "a child of a loop");
  f->loop = evp_new_event_loop (&error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_event_loop_close (f->loop, &error));
  g_assert_no_error (error);
  g_object_unref (f->loop);
  evp_set_event_loop_policy (NULL);
  evp_test_deadline_stop (f->deadline);
}

static EvpSubprocess *
exec_sync (Fixture              *f,
           const char * const   *argv,
           EvpSubprocessOptions *options,
           GError              **error)
{
  g_auto (EvpTestAwait) await = { f->loop };

  evp_event_loop_subprocess_exec_async (f->loop, argv, options, NULL, evp_test_ready_cb, &await);
  return evp_event_loop_subprocess_exec_finish (f->loop, evp_test_await (&await), error);
}

static EvpSubprocess *
shell_sync (Fixture              *f,
            const char           *command,
            EvpSubprocessOptions *options,
            GError              **error)
{
  g_auto (EvpTestAwait) await = { f->loop };

  evp_event_loop_subprocess_shell_async (f->loop, command, options, NULL, evp_test_ready_cb, &await);
  return evp_event_loop_subprocess_shell_finish (f->loop, evp_test_await (&await), error);
}

/* Rules */
static void
test_exec (Fixture      *f,
           gconstpointer data)
{
  const char *argv[] = { evp_test_child_path (), "exit", "12", NULL };
  const char *in_path[] = { "true", NULL };
  const char *missing[] = { "evp-no-such-program", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSubprocess) child = exec_sync (f, argv, NULL, &error);
  g_autoptr (EvpSubprocess) looked_up = exec_sync (f, in_path, NULL, NULL);

  g_assert_no_error (error);
  g_assert_null (evp_subprocess_get_stdin (child));
  g_assert_null (evp_subprocess_get_stdout (child));
  g_assert_null (evp_subprocess_get_stderr (child));
  g_assert_cmpint (evp_test_wait (f->loop, child, &error), ==, 12);
  g_assert_no_error (error);
  g_assert_cmpint (evp_test_wait (f->loop, looked_up, NULL), ==, 0);
  g_assert_null (exec_sync (f, missing, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, "evp-no-such-program"));
}

/* Rules */
static void
test_shell (Fixture      *f,
            gconstpointer data)
{
  g_autoptr (EvpSubprocessOptions) options =
    evp_test_options (EVP_STDIO_NULL, EVP_STDIO_PIPE, EVP_STDIO_NULL);
  g_autoptr (EvpSubprocess) child = shell_sync (f, "echo $((6 * 7)); exit 3", options, NULL);
  g_autoptr (EvpSubprocess) missing = shell_sync (f, "evp-no-such-program", options, NULL);
  g_autofree char *text = evp_test_communicate (f->loop, child, NULL, NULL, NULL);

  g_assert_cmpstr (text, ==, "42\n");
  g_assert_cmpint (evp_subprocess_get_returncode (child), ==, 3);
  /* that is the shell's business */
  g_assert_cmpint (evp_test_wait (f->loop, missing, NULL), ==, 127);
}

/* Rules */
static void
test_watchers (Fixture      *f,
               gconstpointer data)
{
  const char *argv[] = { evp_test_child_path (), "exit", "1", NULL };
  g_autoptr (EvpAbstractChildWatcher) inactive = evp_safe_child_watcher_new (); /* attached to nothing */
  g_autoptr (EvpAbstractChildWatcher) active = evp_threaded_child_watcher_new ();
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  g_autoptr (EvpSubprocess) child = NULL;
  g_autoptr (GError) error = NULL;

  /* the policy's, at the time of the call */
  evp_set_child_watcher (inactive, &error);
  g_assert_no_error (error);
  g_assert_null (exec_sync (f, argv, options, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WATCHER_INACTIVE);
  g_clear_error (&error);
  g_assert_cmpint (waitpid (-1, NULL, WNOHANG), ==, -1);
  g_assert_cmpint (errno, ==, ECHILD);

  /* the options' goes first */
  evp_subprocess_options_set_child_watcher (options, active);
  child = exec_sync (f, argv, options, &error);
  g_assert_no_error (error);
  g_assert_cmpint (evp_test_wait (f->loop, child, NULL), ==, 1);
  evp_set_child_watcher (NULL, NULL);
  evp_child_watcher_close (active);
  evp_child_watcher_close (inactive);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpSubprocess *child;
} Starting;

static void
started_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Starting *self = user_data;
  g_autoptr (GError) error = NULL;

  self->child = evp_event_loop_subprocess_exec_finish (self->loop, result, &error);
  g_assert_no_error (error);
  evp_event_loop_stop (self->loop);
}

static void
start_cb (gpointer user_data)
{
  Starting *self = user_data;
  const char *argv[] = { evp_test_child_path (), "exit", "7", NULL };

  evp_event_loop_subprocess_exec_async (self->loop, argv, NULL, NULL, started_cb, self);
}

/*
 * What needs a running loop refuses a child before that runs, says what to do instead, and that works. This case is
 * the only one that does not live in a callback.
 */
/* Rules: Q-1, W-15 */
static void
test_before_running (Fixture      *f,
                     gconstpointer data)
{
  EvpAbstractChildWatcher *(*const makers[]) (void) = { evp_safe_child_watcher_new, evp_fast_child_watcher_new };
  const char *argv[] = { evp_test_child_path (), "exit", "7", NULL };

  for (guint i = 0; i < G_N_ELEMENTS (makers); i++)
    {
      g_autoptr (EvpAbstractChildWatcher) watcher = makers[i] ();
      g_autoptr (GError) error = NULL;
      g_auto (EvpTestAwait) await = { f->loop };
      Starting starting = { .loop = f->loop };

      evp_child_watcher_attach_loop (watcher, f->loop, &error);
      g_assert_no_error (error);
      evp_set_child_watcher (watcher, &error);
      g_assert_no_error (error);
      /* awaiting the answer runs the loop, but the question was before that */
      evp_event_loop_subprocess_exec_async (f->loop, argv, NULL, NULL, evp_test_ready_cb, &await);
      g_assert_null (evp_event_loop_subprocess_exec_finish (f->loop, evp_test_await (&await), &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_WATCHER_INACTIVE);
      g_assert_nonnull (strstr (error->message, "in a callback of that loop"));

      evp_event_loop_call_soon (f->loop, start_cb, &starting, NULL, NULL);
      evp_event_loop_run_forever (f->loop, NULL);
      g_assert_nonnull (starting.child);
      g_assert_cmpint (evp_test_wait (f->loop, starting.child, NULL), ==, 7);
      g_object_unref (starting.child);
      evp_set_child_watcher (NULL, NULL);
      evp_child_watcher_close (watcher);
    }
}

G_DECLARE_FINAL_TYPE (BrokenPolicy, broken_policy, BROKEN, POLICY, EvpDefaultEventLoopPolicy)

struct _BrokenPolicy
{
  EvpDefaultEventLoopPolicy parent_instance;
};

static EvpAbstractChildWatcher *
broken_policy_get_child_watcher (EvpAbstractEventLoopPolicy *self,
                                 GError                    **error)
{
  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED, "no watcher here");
  return NULL;
}

static void
broken_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->get_child_watcher = broken_policy_get_child_watcher;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (BrokenPolicy, broken_policy, EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY,
                               G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, broken_policy_iface_init))

static void
broken_policy_class_init (BrokenPolicyClass *klass)
{
}

static void
broken_policy_init (BrokenPolicy *self)
{
}

/* Rules: Q-2, P-7 */
static void
test_no_watcher (Fixture      *f,
                 gconstpointer data)
{
  const char *argv[] = { evp_test_child_path (), "exit", NULL };
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (broken_policy_get_type (), NULL);
  g_autoptr (GError) error = NULL;

  evp_set_event_loop_policy (policy);
  g_assert_null (exec_sync (f, argv, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_cmpstr (error->message, ==, "no watcher here");
  evp_set_event_loop_policy (NULL);
}

/* Rules: Z-11, Q-24 */
static void
test_adopted (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a child of an adopted loop");
  g_autoptr (EvpSubprocessOptions) options = evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);
  g_autoptr (GError) error = NULL;
  Fixture f = { evp_get_event_loop (&error), NULL };

  /* nobody calls run_forever(): the application iterates its own main context */
  g_assert_no_error (error);
  {
    g_autoptr (EvpSubprocess) child = shell_sync (&f, "cat; exit 5", options, &error);
    g_autofree char *text = NULL;

    g_assert_no_error (error);
    text = evp_test_communicate (f.loop, child, "adopted", NULL, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (text, ==, "adopted");
    g_assert_cmpint (evp_subprocess_get_returncode (child), ==, 5);
  }
  g_assert_true (evp_event_loop_close (f.loop, &error));
  g_assert_no_error (error);
  g_object_unref (f.loop);
  evp_set_event_loop_policy (NULL);
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
  } tests[] = {
    { "exec", test_exec },
    { "shell", test_shell },
    { "watchers", test_watchers },
    { "no-watcher", test_no_watcher },
  };

  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/roof/loop-subprocess/%s", tests[i].name);

      g_test_add (path, Fixture, (gconstpointer) tests[i].func, set_up, (TestFunc) evp_test_case_in_loop, tear_down);
    }
  g_test_add ("/evp/roof/loop-subprocess/before-running", Fixture, NULL, set_up, test_before_running, tear_down);
  g_test_add_func ("/evp/roof/loop-subprocess/adopted", test_adopted);
  return g_test_run ();
}
