/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-wait-private.h"
#include "fuzz/fuzz-random.h"
#include "net/net-loops.h"
#include "support/evp-test-process.h"

#include <signal.h>
#include <string.h>

/*
 * Children that are started, waited for, written to, killed and forgotten in random order, with every
 * watcher on every loop. The model is what each of them may end with, and that every request is answered
 * once, and with the same.
 */

#define N_CHILDREN 8
#define N_STEPS 60
#define MAX_BYTES 200000

typedef enum
{
  EXIT,      /* ends by itself */
  SUICIDE,   /* too, by a signal */
  WAIT_EXIT, /* ends when its standard input does */
  CAT,       /* the same, and gives back what it got */
  FLOOD,     /* writes, and ends when that is read */
  PAUSE,     /* ends when it is killed */
  N_MODES,
} Mode;

typedef struct _Round Round;

typedef struct
{
  Round *round;
  Mode mode;
  int code;       /* what it ends with by itself */
  guint n_bytes;  /* CAT, FLOOD: what it writes */
  EvpSubprocess *process;
  GCancellable *cancellable;
  gboolean starting, communicated;
  gboolean terminated, killed; /* SIGTERM, SIGKILL may have reached it */
  guint n_pending;             /* requests */
  guint n_exited;              /* signals "exited" */
} Child;

struct _Round
{
  GRand *rand;
  EvpAbstractEventLoop *loop;
  EvpAbstractChildWatcher *watcher;
  Child children[N_CHILDREN];
};

static void
check_code (Child *child,
            int    code)
{
  if (child->killed && code == -SIGKILL)
    return;
  if (child->terminated && code == -SIGTERM)
    return;
  g_assert_cmpint (child->mode, !=, PAUSE);
  g_assert_cmpint (code, ==, child->code);
}

static void
exited_cb (EvpSubprocess *process,
           int            code,
           gpointer       user_data)
{
  Child *child = user_data;

  g_assert_cmpuint (child->n_exited, ==, 0);
  child->n_exited++;
  check_code (child, code);
  g_assert_cmpint (evp_subprocess_get_returncode (process), ==, code);
}

static void
started_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Child *child = user_data;
  g_autoptr (GError) error = NULL;

  g_assert_true (child->starting);
  child->starting = FALSE;
  child->process = evp_event_loop_subprocess_exec_finish (child->round->loop, result, &error);
  g_assert_no_error (error);
  g_signal_connect (child->process, "exited", G_CALLBACK (exited_cb), child);
}

static void
start (Child *child)
{
  static const char *const modes[] = { "exit", "signal", "wait-exit", "cat", "flood", "pause" };
  g_autoptr (EvpSubprocessOptions) options = evp_test_options (EVP_STDIO_PIPE, EVP_STDIO_PIPE, EVP_STDIO_NULL);
  char number[16];
  const char *argv[] = { evp_test_child_path (), NULL, number, NULL };
  GRand *rand = child->round->rand;

  if (child->process != NULL || child->starting)
    return;
  child->mode = (Mode) fuzz_below (rand, N_MODES);
  child->code = fuzz_below (rand, 4) == 0 ? 255 : (int) fuzz_below (rand, 256);
  child->n_bytes = fuzz_below (rand, MAX_BYTES);
  if (child->mode == SUICIDE)
    child->code = fuzz_below (rand, 2) == 0 ? SIGTERM : SIGUSR1;
  g_snprintf (number, sizeof number, "%d", child->mode == FLOOD ? (int) child->n_bytes : child->code);
  if (child->mode == SUICIDE)
    child->code = -child->code;
  else if (child->mode == CAT || child->mode == FLOOD)
    child->code = 0;
  argv[1] = modes[child->mode];
  evp_subprocess_options_set_child_watcher (options, child->round->watcher);
  child->starting = TRUE;
  evp_event_loop_subprocess_exec_async (child->round->loop, argv, options, NULL, started_cb, child);
}

static void
waited_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  Child *child = user_data;
  g_autoptr (GError) error = NULL;
  int code = evp_subprocess_wait_finish (EVP_SUBPROCESS (source), result, &error);

  g_assert_cmpuint (child->n_pending, >, 0);
  child->n_pending--;
  if (error != NULL)
    {
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_true (g_cancellable_is_cancelled (child->cancellable));
      return;
    }
  check_code (child, code);
  g_assert_cmpint (code, ==, evp_subprocess_get_returncode (child->process));
}

static void
wait_for (Child    *child,
          gboolean  cancellable)
{
  if (child->process == NULL || child->n_pending > 5)
    return;
  child->n_pending++;
  evp_subprocess_wait_async (child->process, cancellable ? child->cancellable : NULL, waited_cb, child);
}

static void
communicated_cb (GObject      *source,
                 GAsyncResult *result,
                 gpointer      user_data)
{
  Child *child = user_data;
  g_autoptr (GBytes) output = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;
  const char *bytes;

  g_assert_cmpuint (child->n_pending, >, 0);
  child->n_pending--;
  g_assert_true (evp_subprocess_communicate_finish (EVP_SUBPROCESS (source), result, &output, NULL, &error));
  g_assert_no_error (error);
  g_assert_nonnull (output);
  bytes = g_bytes_get_data (output, &size);
  for (gsize i = 0; i < size; i++)
    g_assert_cmpint (bytes[i], ==, 'x');
  if (child->mode != CAT && child->mode != FLOOD)
    g_assert_cmpuint (size, ==, 0);
  else if (evp_subprocess_get_returncode (child->process) == 0)
    g_assert_cmpuint (size, ==, child->n_bytes);
  else
    g_assert_cmpuint (size, <=, child->n_bytes);
}

static void
communicate (Child *child)
{
  g_autoptr (GBytes) input = NULL;

  if (child->process == NULL || child->communicated)
    return;
  child->communicated = TRUE;
  if (child->mode == CAT)
    {
      char *text = g_malloc (child->n_bytes);

      memset (text, 'x', child->n_bytes);
      input = g_bytes_new_take (text, child->n_bytes);
    }
  child->n_pending++;
  evp_subprocess_communicate_async (child->process, input, NULL, communicated_cb, child);
}

/* Refused only when the child has ended, and that is known. */
static void
end (Child *child,
     int    signum)
{
  g_autoptr (GError) error = NULL;
  gboolean sent;

  if (child->process == NULL)
    return;
  if (signum == SIGKILL)
    sent = evp_subprocess_kill (child->process, &error);
  else
    sent = evp_subprocess_terminate (child->process, &error);
  if (!sent)
    {
      g_assert_nonnull (error);
      return;
    }
  if (signum == SIGKILL)
    child->killed = TRUE;
  else
    child->terminated = TRUE;
}

static void
step (Round *self)
{
  Child *child = &self->children[fuzz_below (self->rand, N_CHILDREN)];
  guint what = fuzz_below (self->rand, 100);

  if (what < 35)
    start (child);
  else if (what < 60)
    wait_for (child, fuzz_below (self->rand, 2) == 0);
  else if (what < 75)
    communicate (child);
  else if (what < 82)
    end (child, SIGTERM);
  else if (what < 88)
    end (child, SIGKILL);
  else if (what < 94)
    g_cancellable_cancel (child->cancellable);
  if (fuzz_below (self->rand, 2) == 0)
    evp_test_run_ready (self->loop);
}

static void
run_cb (gpointer user_data)
{
  Round *self = user_data;

  for (guint i = 0; i < N_STEPS; i++)
    step (self);

  for (guint i = 0; i < N_CHILDREN; i++)
    {
      Child *child = &self->children[i];
      g_auto (EvpTestAwait) await = { self->loop, NULL };
      g_autoptr (GError) error = NULL;
      int code;

      while (child->starting)
        evp_test_run_ready (self->loop);
      if (child->process == NULL)
        continue;
      communicate (child); /* whatever it waits for in its pipes */
      if (child->mode == PAUSE && !child->killed)
        end (child, SIGKILL);
      evp_subprocess_wait_async (child->process, NULL, evp_test_ready_cb, &await);
      code = evp_subprocess_wait_finish (child->process, evp_test_await (&await), &error);
      g_assert_no_error (error);
      check_code (child, code);
      g_assert_false (evp_subprocess_get_lost (child->process));
      /* what else was asked is answered, too */
      while (child->n_pending > 0 || child->n_exited == 0)
        evp_test_run_ready (self->loop);
    }
  for (guint i = 0; i < N_CHILDREN; i++)
    {
      g_clear_object (&self->children[i].process);
      g_clear_object (&self->children[i].cancellable);
    }
  evp_test_run_ready (self->loop);
}

typedef struct
{
  const NetLoop *loop;
  EvpAbstractChildWatcher *(*new_watcher) (void);
} Kinds;

static void
round_cb (GRand        *rand,
          gconstpointer data)
{
  const Kinds *kinds = data;
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  Round self = { .rand = rand };
  g_autoptr (GError) error = NULL;

  self.loop = kinds->loop->make (NULL);
  self.watcher = kinds->new_watcher ();
  g_assert_true (evp_child_watcher_attach_loop (self.watcher, self.loop, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < N_CHILDREN; i++)
    self.children[i] = (Child) { .round = &self, .cancellable = g_cancellable_new () };

  if (kinds->loop->adopted)
    {
      g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (self.loop);

      g_main_context_push_thread_default (context);
      run_cb (&self);
      g_main_context_pop_thread_default (context);
    }
  else
    {
      evp_test_run_in_loop (self.loop, run_cb, &self);
    }

  evp_child_watcher_close (self.watcher);
  g_assert_finalize_object (self.watcher);
  g_assert_true (evp_event_loop_close (self.loop, &error));
  g_assert_no_error (error);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_finalize_object (self.loop);
  evp_test_leaks_check (&leaks);
}

static FuzzArguments arguments;

/* Rules, W-6 */
static void
test_model (gconstpointer data)
{
  g_autoptr (EvpTestDeadline) deadline = arguments.rounds > 0 ? evp_test_deadline_start (100, "random children") : NULL;

  fuzz_rounds (&arguments, round_cb, data);
}

int
main (int    argc,
      char **argv)
{
  static const struct
  {
    const char *name;
    EvpAbstractChildWatcher *(*make) (void);
  } watchers[] = {
    { "pidfd", evp_pidfd_child_watcher_new },
    { "threaded", evp_threaded_child_watcher_new },
    { "safe", evp_safe_child_watcher_new },
    { "fast", evp_fast_child_watcher_new },
    { "multi-loop", evp_multi_loop_child_watcher_new },
    { "glib", evp_glib_child_watcher_new },
  };
  static Kinds kinds[G_N_ELEMENTS (watchers) * G_N_ELEMENTS (net_loops)];
  guint n, n_kinds = 0;

  arguments = fuzz_init (&argc, &argv, 2);
  n = G_N_ELEMENTS (net_loops) - !evp_test_has_uring ();
  for (guint i = evp_os_pidfd_supported (NULL) ? 0 : 1; i < G_N_ELEMENTS (watchers); i++)
    for (guint j = 0; j < n; j++)
      {
        g_autofree char *path = g_strdup_printf ("/evp/fuzz/process-model/%s/%s", watchers[i].name, net_loops[j].name);

        kinds[n_kinds] = (Kinds) { &net_loops[j], watchers[i].make };
        g_test_add_data_func (path, &kinds[n_kinds++], test_model);
      }
  return g_test_run ();
}
