/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-pidfd-child-watcher-private.h"

#include "evp/os/evp-os-wait-private.h"
#include "evp/watcher/evp-base-child-watcher.h"
#include "watcher/watcher-fixture.h"

#include <fcntl.h>

static void
setup (Fixture      *f,
       gconstpointer data)
{
  fixture_set_up (f, "PidfdChildWatcher", evp_pidfd_child_watcher_new);
}

/* Rules: W-51, W-53, Z-35 */
static void
test_errors (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;
  struct rlimit former;
  Child child = { 0 };
  guint n_fds;

  /* no loop at all */
  child.pid = evp_test_spawn_child ("pause", NULL);
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, child.pid, child_cb, &child, child_destroy_cb,
                                                       &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_RUNNING_LOOP);
  g_clear_error (&error);

  /* no descriptor left */
  test_attach (f->watcher, f->loop);
  n_fds = evp_test_count_fds ();
  former = exhaust_fds ();
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, child.pid, child_cb, &child, child_destroy_cb,
                                                       &error));
  setrlimit (RLIMIT_NOFILE, &former);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_clear_error (&error);
  g_assert_cmpuint (evp_test_count_fds (), ==, n_fds);

  /* no such process */
  kill_and_reap (child.pid);
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, child.pid, child_cb, &child, child_destroy_cb,
                                                       &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_cmpint (child.n_destroyed, ==, 3);

  /* and the handler stays as it was, so that another watcher can have it */
  handler = evp_child_handler_new (child.pid, NULL, child_cb, &child, child_destroy_cb);
  g_assert_false (evp_child_watcher_add_handler (f->watcher, child.pid, handler, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_null (evp_child_handler_get_loop (handler));
  g_assert_cmpint (child.n_destroyed, ==, 3);
  g_assert_cmpint (child.n_calls, ==, 0);
  g_assert_cmpuint (evp_base_child_watcher_get_n_handlers (EVP_BASE_CHILD_WATCHER (f->watcher)), ==, 0);
}

/* Rules: W-59 */
static void
test_harmless (Fixture      *f,
               gconstpointer data)
{
  struct sigaction action;
  Child child = { .stop = f->loop };
  guint n_threads = evp_test_count_threads ();
  int flags = -1;

  test_attach (f->watcher, f->loop);
  child.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &child);
  g_assert_cmpuint (evp_test_count_threads (), ==, n_threads);
  sigaction (SIGCHLD, NULL, &action);
  g_assert_true (action.sa_handler == SIG_DFL);

  /* the pidfd is the one descriptor that names it, and is close-on-exec */
  for (int fd = 3; fd < 200 && flags < 0; fd++)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/fdinfo/%d", fd);
      g_autofree char *line = g_strdup_printf ("Pid:\t%d\n", (int) child.pid);
      g_autofree char *text = NULL;

      if (g_file_get_contents (path, &text, NULL, NULL) && strstr (text, line) != NULL)
        flags = fcntl (fd, F_GETFD);
    }
  g_assert_cmpint (flags, ==, FD_CLOEXEC);

  kill (child.pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);
}

typedef struct
{
  Child child;
  EvpAbstractEventLoop *loop;
  guint n_fds;
} Counting;

static void
counting_cb (GPid     pid,
             int      returncode,
             gpointer user_data)
{
  Counting *self = user_data;

  self->n_fds = evp_test_count_fds ();
  evp_event_loop_stop (self->loop);
}

/* Rules: W-52 */
static void
test_closed_before_callback (Fixture      *f,
                             gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Counting self = { .loop = f->loop };
  Child first = { .stop = f->loop };

  test_attach (f->watcher, f->loop);
  /* what the loop opens on first use is open after this */
  first.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &first);
  kill (first.pid, SIGKILL);
  test_loop_run (f->loop);

  guint n_fds = evp_test_count_fds ();
  GPid pid = evp_test_spawn_child ("pause", NULL);
  evp_child_watcher_add_child_handler (f->watcher, pid, counting_cb, &self, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (evp_test_count_fds (), ==, n_fds + 1);
  kill (pid, SIGKILL);
  test_loop_run (f->loop);
  g_assert_cmpuint (self.n_fds, ==, n_fds);
}

/* Rules: W-57 */
static void
test_loop_closed (Fixture      *f,
                  gconstpointer data)
{
  guint n_fds = evp_test_count_fds ();
  EvpAbstractEventLoop *other = test_loop_new ();
  Child running = { 0 }, dead = { 0 };

  test_attach (f->watcher, other);
  running.pid = evp_test_spawn_child ("pause", NULL);
  dead.pid = evp_test_spawn_child ("exit", "0", NULL);
  test_add (f->watcher, &running);
  test_add (f->watcher, &dead);
  wait_for_zombie (dead.pid);
  evp_child_watcher_attach_loop (f->watcher, NULL, NULL);
  test_loop_close (other);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, f->n_warnings + 2);
  g_assert_cmpuint (evp_test_count_fds (), ==, n_fds);
  g_assert_cmpint (running.n_destroyed, ==, 1);
  g_assert_cmpint (dead.n_destroyed, ==, 1);
  g_assert_cmpint (running.n_calls + dead.n_calls, ==, 0);
  /* the one that had ended is reaped, the other is not ours to wait for */
  g_assert_cmpint (waitpid (dead.pid, NULL, WNOHANG), ==, -1);
  kill_and_reap (running.pid);
}

/* Rules: W-51, W-54, W-59 */
static void
test_with_pidfd (Fixture      *f,
                 gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpChildHandler) handler = NULL, refused = NULL;
  Child child = { .stop = f->loop }, stale = { 0 };
  guint n_fds = evp_test_count_fds ();
  EvpSharedFd *shared;
  int pidfd;

  test_attach (f->watcher, f->loop);
  child.pid = stale.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &stale);
  pidfd = evp_os_pidfd_open (child.pid, &error);
  g_assert_no_error (error);
  /* a new pidfd is a new child: what was there for the pid is lost */
  handler = evp_child_handler_new (child.pid, f->loop, child_cb, &child, child_destroy_cb);
  shared = evp_os_shared_fd_new (pidfd);
  evp_pidfd_child_watcher_add_handler_with_pidfd (EVP_PIDFD_CHILD_WATCHER (f->watcher), child.pid, shared, handler,
                                                  &error);
  g_assert_no_error (error);
  evp_os_shared_fd_unref (shared);
  kill (child.pid, SIGTERM);
  test_loop_run (f->loop);
  g_assert_cmpint (child.returncode, ==, -SIGTERM);
  g_assert_cmpint (stale.returncode, ==, EVP_RETURNCODE_LOST);
  g_assert_cmpint (fcntl (pidfd, F_GETFD), ==, -1);

  /* not kept when it fails */
  evp_child_watcher_close (f->watcher);
  pidfd = evp_os_pidfd_open (getpid (), &error);
  g_assert_no_error (error);
  shared = evp_os_shared_fd_new (pidfd);
  refused = evp_child_handler_new (getpid (), f->loop, child_cb, &child, NULL);
  g_assert_false (evp_pidfd_child_watcher_add_handler_with_pidfd (EVP_PIDFD_CHILD_WATCHER (f->watcher), getpid (),
                                                                  shared, refused, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_WATCHER_CLOSED);
  g_assert_cmpint (fcntl (pidfd, F_GETFD), !=, -1);
  evp_os_shared_fd_unref (shared);
  g_assert_cmpint (fcntl (pidfd, F_GETFD), ==, -1);
  g_clear_object (&handler);
  g_clear_object (&refused);
  g_clear_pointer (&f->loop, test_loop_close);
  g_assert_cmpuint (evp_test_count_fds (), <=, n_fds);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpAbstractChildWatcher *watcher;
  Child *child;
  GThread *thread;
} Foreign;

static gpointer
foreign_thread (gpointer data)
{
  Foreign *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpChildHandler) handler = NULL;

  /* into a loop that runs elsewhere */
  handler = evp_child_handler_new (self->child->pid, self->loop, child_cb, self->child, child_destroy_cb);
  evp_child_watcher_add_handler (self->watcher, self->child->pid, handler, &error);
  g_assert_no_error (error);
  kill (self->child->pid, SIGKILL);
  return NULL;
}

static void
foreign_cb (gpointer user_data)
{
  Foreign *self = user_data;

  self->thread = g_thread_new ("foreign", foreign_thread, self);
}

/* Rules: W-2, W-51, W-54 */
static void
test_foreign_thread (Fixture      *f,
                     gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  Child child = { .stop = f->loop };
  Foreign foreign = { f->loop, f->watcher, &child, NULL };

  child.pid = evp_test_spawn_child ("pause", NULL);
  evp_event_loop_set_debug (f->loop, TRUE); /* refuses what comes from other threads */
  evp_event_loop_call_soon (f->loop, foreign_cb, &foreign, NULL, &error);
  g_assert_no_error (error);
  test_loop_run (f->loop);
  g_thread_join (foreign.thread);
  g_assert_cmpint (child.returncode, ==, -SIGKILL);
  g_assert_true (child.thread == g_thread_self ());
  wait_for_threads (f->leaks.threads);
}

/* Rules: W-51, W-55, Z-35 */
static void
test_bare_loop (Fixture      *f,
                gconstpointer data)
{
  g_autoptr (EvpAbstractEventLoop) bare = g_object_new (bare_loop_get_type (), NULL);
  g_autoptr (GError) error = NULL;
  Child child = { .stop = f->loop }, refused = { 0 };

  test_attach (f->watcher, f->loop);
  child.pid = refused.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &child);
  /* it cannot move to a loop without descriptors: not lost, but where it was */
  test_attach (f->watcher, bare);
  assert_warned (f->n_warnings, 1, 0);
  kill (child.pid, SIGTERM);
  test_loop_run (f->loop);
  g_assert_cmpint (child.returncode, ==, -SIGTERM);

  /* and one cannot be added there */
  refused.pid = evp_test_spawn_child ("pause", NULL);
  g_assert_false (evp_child_watcher_add_child_handler (f->watcher, refused.pid, child_cb, &refused, child_destroy_cb,
                                                       &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_cmpint (refused.n_destroyed, ==, 1);
  g_assert_cmpuint (evp_base_child_watcher_get_n_handlers (EVP_BASE_CHILD_WATCHER (f->watcher)), ==, 0);
  kill_and_reap (refused.pid);
}

/* A loop that takes no descriptors, and whose thread has always been faster than the one that posts. */
typedef GObject      HastyLoop;
typedef GObjectClass HastyLoopClass;

static gpointer
hasty_thread (gpointer handle)
{
  evp_handle_run (handle);
  return NULL;
}

static gboolean
hasty_loop_schedule_threadsafe (EvpAbstractEventLoop *loop,
                                EvpHandle            *handle,
                                GError              **error)
{
  g_thread_join (g_thread_new ("hasty", hasty_thread, handle));
  return TRUE;
}

static void
hasty_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  iface->schedule_threadsafe = hasty_loop_schedule_threadsafe;
}

static GType hasty_loop_get_type (void);

G_DEFINE_TYPE_WITH_CODE (HastyLoop, hasty_loop, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, hasty_loop_iface_init))

static void
hasty_loop_class_init (HastyLoopClass *klass)
{
}

static void
hasty_loop_init (HastyLoop *self)
{
}

/* Rules: W-51, Z-35 */
static void
test_hasty_loop (Fixture      *f,
                 gconstpointer data)
{
  g_autoptr (EvpAbstractEventLoop) hasty = g_object_new (hasty_loop_get_type (), NULL);
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;
  Child child = { 0 };

  /* what fails before the call has returned is the caller's to know, and nobody else's */
  child.pid = evp_test_spawn_child ("pause", NULL);
  handler = evp_child_handler_new (child.pid, hasty, child_cb, &child, child_destroy_cb);
  g_assert_false (evp_child_watcher_add_handler (f->watcher, child.pid, handler, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  assert_warned (f->n_warnings, 0, 0);
  g_assert_cmpuint (evp_base_child_watcher_get_n_handlers (EVP_BASE_CHILD_WATCHER (f->watcher)), ==, 0);
  g_assert_cmpint (child.n_destroyed, ==, 0);
  kill_and_reap (child.pid);
  g_clear_object (&handler);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  g_assert_finalize_object (g_steal_pointer (&hasty));
}

typedef struct
{
  EvpAbstractChildWatcher *watcher;
  EvpAbstractEventLoop *loop;
  Child *child;
} Replacer;

static gpointer
replacer_thread (gpointer data)
{
  Replacer *self = data;
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;

  handler = evp_child_handler_new (self->child->pid, self->loop, child_cb, self->child, child_destroy_cb);
  evp_child_watcher_add_handler (self->watcher, self->child->pid, handler, &error);
  g_assert_no_error (error);
  return NULL;
}

/* Rules: W-2, W-54, W-62 */
static void
test_there_and_back (Fixture      *f,
                     gconstpointer data)
{
  EvpAbstractEventLoop *other = test_loop_new ();
  Child first = { 0 }, second = { 0 }, third = { .stop = f->loop };
  Replacer replacer = { f->watcher, other, &second };

  test_attach (f->watcher, f->loop);
  first.pid = second.pid = third.pid = evp_test_spawn_child ("pause", NULL);
  test_add (f->watcher, &first);
  /* to another loop, by a thread that cannot take the descriptor out of this one by itself … */
  g_thread_join (g_thread_new ("replacer", replacer_thread, &replacer));
  /* … and back, before that has happened */
  test_add (f->watcher, &third);
  test_loop_turn (f->loop);
  test_loop_turn (f->loop);
  assert_warned (f->n_warnings, 0, 0);
  g_assert_cmpint (first.n_destroyed, ==, 1);
  g_assert_cmpint (third.n_destroyed, ==, 0);

  kill (third.pid, SIGTERM);
  test_loop_run (f->loop);
  g_assert_cmpint (third.n_calls, ==, 1);
  g_assert_cmpint (third.returncode, ==, -SIGTERM);
  test_loop_turn (other);
  g_assert_cmpint (first.n_calls + second.n_calls, ==, 0);
  g_assert_cmpint (second.n_destroyed, ==, 1);
  test_loop_close (other);
  wait_for_threads (f->leaks.threads);
}

/* Rules: W-5, W-56 */
static void
test_active (Fixture      *f,
             gconstpointer data)
{
  g_assert_true (evp_child_watcher_is_active (f->watcher));
  test_attach (f->watcher, f->loop);
  g_assert_true (evp_child_watcher_is_active (f->watcher));
  evp_child_watcher_close (f->watcher);
  g_assert_false (evp_child_watcher_is_active (f->watcher));
}

static void
test_no_pidfds (void)
{
  const char *reason;

  g_assert_false (evp_os_pidfd_supported (&reason));
  g_test_skip (reason);
}

/* Rules: W-2, W-54 */
static void
test_same_handler (Fixture      *f,
                   gconstpointer data)
{
  g_autoptr (EvpChildHandler) handler = NULL;
  g_autoptr (GError) error = NULL;
  Child child = { .stop = f->loop };

  /* one that takes its own place is still wanted */
  child.pid = evp_test_spawn_child ("pause", NULL);
  handler = evp_child_handler_new (child.pid, f->loop, child_cb, &child, child_destroy_cb);
  for (int i = 0; i < 2; i++)
    {
      g_assert_true (evp_child_watcher_add_handler (f->watcher, child.pid, handler, &error));
      g_assert_no_error (error);
    }
  kill (child.pid, SIGTERM);
  test_loop_run (f->loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, -SIGTERM);
  g_assert_cmpint (child.n_destroyed, ==, 1);
}

/* Rules: W-14, W-40 */
static void
test_closed_attached_loop (Fixture      *f,
                           gconstpointer data)
{
  test_refuses_closed_loop (f->watcher);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  if (!evp_os_pidfd_supported (NULL))
    {
      g_test_add_func ("/evp/watcher/pidfd-child-watcher/no-pidfds", test_no_pidfds);
      return g_test_run ();
    }
#define ADD(name, func) g_test_add ("/evp/watcher/pidfd-child-watcher/" name, Fixture, NULL, setup, func, \
                                      fixture_tear_down)
  ADD ("errors", test_errors);
  ADD ("harmless", test_harmless);
  ADD ("closed-before-callback", test_closed_before_callback);
  ADD ("loop-closed", test_loop_closed);
  ADD ("with-pidfd", test_with_pidfd);
  ADD ("foreign-thread", test_foreign_thread);
  ADD ("bare-loop", test_bare_loop);
  ADD ("hasty-loop", test_hasty_loop);
  ADD ("there-and-back", test_there_and_back);
  ADD ("active", test_active);
  ADD ("closed-loop", test_closed_attached_loop);
  ADD ("same-handler", test_same_handler);

  return g_test_run ();
}
