/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <evp/evp.h>

#include "support/evp-test-process.h"
#include "support/evp-test-support.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
# include <linux/filter.h>
# include <linux/seccomp.h>
# include <sched.h>
# include <sys/prctl.h>
# include <sys/syscall.h>
#endif

/*
 * What the world refuses: system calls that a sandbox forbids, descriptors and threads that there are no more
 * of. Under each, a loop does one of everything. A refusal for which there is another way must not be noticed;
 * any other ends in a GError. Nothing crashes, hangs or stays behind.
 */

/* --- threads are refused as often as a test says --- */

static int n_refused_threads; /* atomic; -1: all */

#define EXPORT __attribute__ ((visibility ("default")))

/* Comes before libc's, also for GLib. */
EXPORT int
pthread_create (pthread_t            *thread,
                const pthread_attr_t *attr,
                void               *(*function) (void *),
                void                 *data)
{
  static int (*real) (pthread_t *, const pthread_attr_t *, void *(*) (void *), void *); /* atomic */
  void *found = g_atomic_pointer_get ((void **) &real);
  int n = g_atomic_int_get (&n_refused_threads);

  if (n != 0)
    {
      if (n > 0)
        g_atomic_int_add (&n_refused_threads, -1);
      return EAGAIN;
    }
  if (found == NULL)
    {
      found = dlsym (RTLD_NEXT, "pthread_create");
      g_atomic_pointer_set ((void **) &real, found);
    }
  return ((int (*) (pthread_t *, const pthread_attr_t *, void *(*) (void *), void *)) found) (thread, attr, function,
                                                                                             data);
}

/* --- one of everything --- */

static EvpAbstractEventLoop *
make_proactor_loop (GError **error)
{
  return evp_proactor_event_loop_new (NULL, error);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  gboolean tolerant; /* a GError will do */
  gboolean done;
} Work;

/* Whether it worked; if it did not, there is an error that says what, and it was to be expected. */
static gboolean
worked (Work    *work,
        gboolean success,
        GError **error)
{
  if (success)
    {
      g_assert_no_error (*error);
      return TRUE;
    }
  g_assert_nonnull (*error);
  g_assert_cmpuint (strlen ((*error)->message), >, 0);
  if (!work->tolerant)
    g_error ("not without what was refused: %s", (*error)->message);
  g_clear_error (error);
  return FALSE;
}

static void
done_cb (gpointer user_data)
{
  ((Work *) user_data)->done = TRUE;
}

static void
run (Work *work)
{
  evp_test_run_until (work->loop, &work->done);
  work->done = FALSE;
}

static void
work_with_timers (Work *work)
{
  g_autoptr (GError) error = NULL;

  /* less than a millisecond wants a timer of the kernel */
  if (worked (work, evp_event_loop_call_later (work->loop, 0.0003, done_cb, work, NULL, &error) != NULL, &error))
    run (work);
  if (worked (work, evp_event_loop_call_later (work->loop, 0.002, done_cb, work, NULL, &error) != NULL, &error))
    run (work);
}

static gpointer
post_thread (gpointer data)
{
  Work *work = data;

  evp_event_loop_call_soon_threadsafe (work->loop, done_cb, work, NULL, NULL);
  return NULL;
}

static void
work_with_threads (Work *work)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GThread) thread = g_thread_try_new ("post", post_thread, work, &error);

  if (thread == NULL)
    {
      g_assert_true (work->tolerant);
      return;
    }
  run (work);
  g_thread_join (g_steal_pointer (&thread));
}

static void
number_cb (int      number,
           gpointer user_data)
{
  done_cb (user_data);
}

static void
work_with_fds (Work *work)
{
  g_autoptr (GError) error = NULL;
  int fds[2];

  if (pipe (fds) < 0)
    {
      g_assert_true (work->tolerant);
      return;
    }
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  if (worked (work, evp_event_loop_add_reader (work->loop, fds[0], number_cb, work, NULL, &error), &error))
    {
      run (work);
      g_assert_true (evp_event_loop_remove_reader (work->loop, fds[0]));
    }
  close (fds[0]);
  close (fds[1]);
}

static void
work_with_signals (Work *work)
{
  g_autoptr (GError) error = NULL;

  if (worked (work, evp_event_loop_add_signal_handler (work->loop, SIGUSR1, number_cb, work, NULL, &error), &error))
    {
      raise (SIGUSR1);
      run (work);
      g_assert_true (evp_event_loop_remove_signal_handler (work->loop, SIGUSR1));
    }
}

static void
answer_func (EvpFuture *future,
             gpointer   user_data)
{
  GValue value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, 42);
  g_assert_true (evp_future_set_result (future, &value, NULL));
}

static void
work_with_executor (Work *work)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpFuture) future = evp_event_loop_run_in_executor (work->loop, answer_func, NULL, NULL, &error);

  if (worked (work, future != NULL, &error)
      && worked (work, evp_event_loop_run_until_complete (work->loop, future, &error), &error))
    g_assert_cmpint (g_value_get_int (evp_future_get_result (future, NULL)), ==, 42);
}

static void
work_with_files (Work *work)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = NULL;
  g_auto (EvpTestAwait) await = { work->loop };
  int fd;

  if (!EVP_IS_PROACTOR_EVENT_LOOP (work->loop))
    return;
  fd = open ("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    {
      g_assert_true (work->tolerant);
      return;
    }
  evp_proactor_event_loop_read_async (EVP_PROACTOR_EVENT_LOOP (work->loop), fd, 100, 0, NULL, evp_test_ready_cb,
                                      &await);
  bytes = evp_proactor_event_loop_read_finish (EVP_PROACTOR_EVENT_LOOP (work->loop), evp_test_await (&await), &error);
  if (worked (work, bytes != NULL, &error))
    g_assert_cmpuint (g_bytes_get_size (bytes), ==, 100);
  close (fd);
}

static void
work_with_children (Work                    *work,
                    EvpAbstractChildWatcher *watcher)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpSubprocess) process = NULL;
  g_autoptr (EvpSubprocessOptions) options = evp_test_options (EVP_STDIO_NULL, EVP_STDIO_PIPE, EVP_STDIO_INHERIT);

  process = evp_test_start (work->loop, watcher, options, &error, "echo", "seven", NULL);
  if (worked (work, process != NULL, &error))
    {
      g_autofree char *text = evp_test_communicate (work->loop, process, NULL, NULL, &error);

      if (worked (work, text != NULL, &error))
        g_assert_cmpstr (text, ==, "seven\n");
      /* once it runs, its end is known */
      g_assert_cmpint (evp_test_wait (work->loop, process, &error), ==, 0);
      g_assert_no_error (error);
      g_assert_false (evp_subprocess_get_lost (process));
    }
}

/* A worker that has just posted its result may hold it for a moment. */
static void
drop (EvpAbstractEventLoop *loop)
{
  GWeakRef weak;
  gpointer still;

  g_weak_ref_init (&weak, loop);
  g_object_unref (loop);
  while ((still = g_weak_ref_get (&weak)) != NULL)
    {
      g_object_unref (still);
      g_thread_yield ();
    }
  g_weak_ref_clear (&weak);
}

static void
work_once (EvpTestMakeLoop make,
           gboolean        tolerant)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;
  Work work = { .tolerant = tolerant };

  work.loop = make (&error);
  if (!worked (&work, work.loop != NULL, &error))
    return;
  work_with_timers (&work);
  work_with_threads (&work);
  work_with_fds (&work);
  work_with_signals (&work);
  work_with_executor (&work);
  work_with_files (&work);
  watcher = evp_child_watcher_new_default ();
  if (worked (&work, evp_child_watcher_attach_loop (watcher, work.loop, &error), &error))
    work_with_children (&work, watcher);
  evp_child_watcher_close (watcher);
  evp_event_loop_close (work.loop, &error);
  g_assert_no_error (error);
  drop (work.loop);
}

static void
work_with_both (gboolean tolerant)
{
  work_once (evp_test_make_selector_loop, tolerant);
  work_once (make_proactor_loop, tolerant);
}

/* --- refused system calls --- */

#ifdef __linux__

typedef struct
{
  const char *name;
  int number;
  int error;
  int argument; /* -1: always; else refused if that argument has one of the flags */
  guint32 flags;
} Refusal;

# define ALWAYS -1, 0

/* Numbers that old headers lack; the same everywhere but on alpha. */
# define NR_IO_URING_SETUP 425
# define NR_PIDFD_OPEN     434

static const Refusal refusals[] = {
  { "pidfd-open/EPERM", NR_PIDFD_OPEN, EPERM, ALWAYS },
  { "pidfd-open/ENOSYS", NR_PIDFD_OPEN, ENOSYS, ALWAYS },
  { "epoll-create1/EPERM", SYS_epoll_create1, EPERM, ALWAYS },
  { "epoll-create1/ENOSYS", SYS_epoll_create1, ENOSYS, ALWAYS },
  { "timerfd-create/EPERM", SYS_timerfd_create, EPERM, ALWAYS },
  { "timerfd-create/ENOSYS", SYS_timerfd_create, ENOSYS, ALWAYS },
  { "eventfd2/EPERM", SYS_eventfd2, EPERM, ALWAYS },
  { "eventfd2/ENOSYS", SYS_eventfd2, ENOSYS, ALWAYS },
  { "io-uring-setup/EPERM", NR_IO_URING_SETUP, EPERM, ALWAYS },
  { "io-uring-setup/ENOSYS", NR_IO_URING_SETUP, ENOSYS, ALWAYS },
  { "io-uring-setup/ENOMEM", NR_IO_URING_SETUP, ENOMEM, ALWAYS },
  { "clone/vfork", SYS_clone, EPERM, 0, CLONE_VFORK },
  { "clone/pidfd", SYS_clone, EINVAL, 0, 0x1000 /* CLONE_PIDFD */ },
  { "clone/files", SYS_clone, EPERM, 0, CLONE_FILES },
  { "clone3", 435, ENOSYS, ALWAYS },
};

static void
refuse (const Refusal *refusal)
{
  guint32 offset = (guint32) offsetof (struct seccomp_data, args) + (guint32) MAX (refusal->argument, 0) * 8
                   + (G_BYTE_ORDER == G_BIG_ENDIAN ? 4 : 0);
  const gboolean always = refusal->argument < 0;
  struct sock_filter code[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, (guint32) refusal->number, 0, 3),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offset),
    BPF_JUMP (BPF_JMP | BPF_JSET | BPF_K, refusal->flags, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (guint32) refusal->error),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { G_N_ELEMENTS (code), code };

  if (always)
    {
      /* no look at an argument, and so no jump past the refusal */
      code[2] = (struct sock_filter) BPF_STMT (BPF_LD | BPF_W | BPF_IMM, 1);
      code[3] = (struct sock_filter) BPF_JUMP (BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1);
    }
  g_assert_cmpint (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
  g_assert_cmpint (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
}

/* In a process of its own, since there is no way back. */
static gboolean
in_own_process (void)
{
  if (g_test_subprocess ())
    return TRUE;
  g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
  g_test_trap_assert_passed ();
  return FALSE;
}

/* What looks for leaks at the end would need what is refused. */
static void
end_own_process (void)
{
  _exit (0);
}

static void
test_refused (gconstpointer data)
{
  if (!in_own_process ())
    return;
  refuse (data);
  evp_test_deadline_start (60, "a loop without a system call");
  work_with_both (FALSE);
  end_own_process ();
}

/* The same after all of it has been used once, so that it was found to work. */
static void
test_refused_later (gconstpointer data)
{
  if (!in_own_process ())
    return;
  evp_test_deadline_start (60, "a loop without a system call");
  work_with_both (FALSE);
  refuse (data);
  work_with_both (TRUE);
  end_own_process ();
}

static void
test_all_refused (void)
{
  if (!in_own_process ())
    return;
  for (gsize i = 0; i < G_N_ELEMENTS (refusals); i++)
    if (refusals[i].flags != CLONE_FILES) /* without clone3() it is what makes threads, too */
      refuse (&refusals[i]);
  evp_test_deadline_start (60, "a loop without any of it");
  work_with_both (FALSE);
  end_own_process ();
}

/* What ENFILE is, too: no file table of the whole system has to be full for it. */
static void
test_no_files (void)
{
  static const Refusal enfile[] = {
    { "pipe2", SYS_pipe2, ENFILE, ALWAYS },
    { "eventfd2", SYS_eventfd2, ENFILE, ALWAYS },
    { "epoll_create1", SYS_epoll_create1, ENFILE, ALWAYS },
    { "timerfd_create", SYS_timerfd_create, ENFILE, ALWAYS },
    { "pidfd_open", NR_PIDFD_OPEN, ENFILE, ALWAYS },
    { "io_uring_setup", NR_IO_URING_SETUP, ENFILE, ALWAYS },
    { "socketpair", SYS_socketpair, ENFILE, ALWAYS },
  };

  if (!in_own_process ())
    return;
  evp_test_deadline_start (60, "a loop without files");
  work_with_both (FALSE);
  for (gsize i = 0; i < G_N_ELEMENTS (enfile); i++)
    {
      refuse (&enfile[i]);
      work_with_both (TRUE);
    }
  end_own_process ();
}

#endif

/* --- no descriptors --- */

/* With each number of descriptors that are left, from none to enough. */
static void
test_few_descriptors (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "loops without descriptors");
  struct rlimit before, few;
  EvpTestLeaks leaks;
  int next;

  work_with_both (FALSE); /* what is made once */
  leaks = evp_test_leaks_begin ();
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  next = dup (0);
  close (next);
  for (int n_left = 0; n_left < 24; n_left++)
    {
      few = before;
      few.rlim_cur = (rlim_t) (next + n_left);
      g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
      work_with_both (TRUE);
      g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
      evp_test_leaks_check (&leaks);
    }
  work_with_both (FALSE);
  evp_test_leaks_check (&leaks);
}

/* --- no threads --- */

/* The first thread, the second and so on is refused, and at last all of them. */
static void
test_no_threads (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "loops without threads");
  EvpTestLeaks leaks;

  work_with_both (FALSE);
  leaks = evp_test_leaks_begin ();
  evp_test_wait_for_threads (leaks.threads);
  for (int n = 1; n < 4; n++)
    {
      g_atomic_int_set (&n_refused_threads, n);
      work_with_both (TRUE);
      g_atomic_int_set (&n_refused_threads, 0);
      evp_test_leaks_check (&leaks);
    }
  g_atomic_int_set (&n_refused_threads, -1);
  work_with_both (TRUE);
  g_atomic_int_set (&n_refused_threads, 0);
  work_with_both (FALSE);
  evp_test_leaks_check (&leaks);
}

/* The executor says so, and works as soon as there are threads again. */
static void
test_executor_without_threads (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "an executor without threads");
  g_autoptr (GError) error = NULL;
  Work work = { .loop = evp_test_make_selector_loop (&error) };

  g_assert_no_error (error);
  g_atomic_int_set (&n_refused_threads, -1);
  g_assert_null (evp_event_loop_run_in_executor (work.loop, answer_func, NULL, NULL, &error));
  g_assert_error (error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN);
  g_clear_error (&error);
  g_atomic_int_set (&n_refused_threads, 0);
  work_with_executor (&work);
  evp_event_loop_close (work.loop, NULL);
  g_object_unref (work.loop);
}

static void
not_called_cb (GPid     pid,
               int      returncode,
               gpointer user_data)
{
  g_assert_not_reached ();
}

/* So do the watchers with threads; a child that was not taken is still whole, and ours. */
static void
test_watcher_without_threads (gconstpointer data)
{
  EvpAbstractChildWatcher *(*make) (void) = (EvpAbstractChildWatcher *(*) (void)) data;
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a watcher without threads");
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_test_make_selector_loop (&error);
  g_autoptr (EvpAbstractChildWatcher) watcher = make ();
  GPid pid = evp_test_spawn_child ("pause", NULL);
  gboolean added;
  int status = 0;

  g_atomic_int_set (&n_refused_threads, -1);
  added = evp_child_watcher_attach_loop (watcher, loop, &error)
          && evp_child_watcher_add_child_handler (watcher, pid, not_called_cb, NULL, NULL, &error);
  g_atomic_int_set (&n_refused_threads, 0);
  g_assert_false (added);
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, g_strerror (EAGAIN)));
  kill (pid, SIGTERM);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (WTERMSIG (status), ==, SIGTERM);
  evp_child_watcher_close (watcher);
  evp_event_loop_close (loop, NULL);
  g_object_unref (loop);
}

int
main (int    argc,
      char **argv)
{
  g_autofree char *options = g_strconcat (g_getenv ("ASAN_OPTIONS") != NULL ? g_getenv ("ASAN_OPTIONS") : "",
                                          ":detect_leaks=0", NULL);

  g_test_init (&argc, &argv, NULL);
  /* the sanitizer's search for leaks in our children would need what is refused to them, too */
  g_setenv ("ASAN_OPTIONS", options, TRUE);

#ifdef __linux__
  for (gsize i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      g_autofree char *path = g_strconcat ("/evp/stress/faults/refused/", refusals[i].name, NULL);
      g_autofree char *later = g_strconcat ("/evp/stress/faults/refused-later/", refusals[i].name, NULL);

      g_test_add_data_func (path, &refusals[i], test_refused);
      g_test_add_data_func (later, &refusals[i], test_refused_later);
    }
  g_test_add_func ("/evp/stress/faults/all-refused", test_all_refused);
  g_test_add_func ("/evp/stress/faults/no-files", test_no_files);
#endif
  g_test_add_func ("/evp/stress/faults/few-descriptors", test_few_descriptors);
  g_test_add_func ("/evp/stress/faults/no-threads", test_no_threads);
  g_test_add_func ("/evp/stress/faults/executor-without-threads", test_executor_without_threads);
  g_test_add_data_func ("/evp/stress/faults/watcher-without-threads/threaded",
                        (gconstpointer) evp_threaded_child_watcher_new, test_watcher_without_threads);
  g_test_add_data_func ("/evp/stress/faults/watcher-without-threads/multi-loop",
                        (gconstpointer) evp_multi_loop_child_watcher_new, test_watcher_without_threads);

  return g_test_run ();
}
