/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct _EvpTestDeadline
{
  GMutex lock;
  GCond stopped_cond;
  gboolean stopped;
  gint64 end;
  char *what;
  guint seconds;
  GThread *thread;
};

gboolean
evp_test_is_slow (void)
{
  return g_getenv ("EVP_TEST_SLOW") != NULL;
}

gboolean
evp_test_has_valgrind (void)
{
  return g_getenv ("EVP_TEST_VALGRIND") != NULL;
}

gboolean
evp_test_has_tsan (void)
{
#if defined (__SANITIZE_THREAD__)
  return TRUE;
#elif defined (__has_feature)
# if __has_feature (thread_sanitizer)
  return TRUE;
# endif
#endif
  return FALSE;
}

/*
 * Valgrind grows the stack when it is used, but not for the handler of a signal that comes just then: all that
 * a test needs is used once before.
 */
static void __attribute__ ((constructor))
use_stack (void)
{
  volatile char stack[512 * 1024];

  if (evp_test_has_valgrind ())
    for (gsize i = sizeof stack; i > 0; i -= 1024)
      stack[i - 1] = 0;
}

static gpointer
deadline_thread (gpointer data)
{
  EvpTestDeadline *self = data;

  g_mutex_lock (&self->lock);
  while (!self->stopped)
    if (!g_cond_wait_until (&self->stopped_cond, &self->lock, self->end))
      break;
  if (!self->stopped)
    g_error ("waited %u seconds in vain for %s", self->seconds, self->what);
  g_mutex_unlock (&self->lock);
  return NULL;
}

EvpTestDeadline *
evp_test_deadline_start (guint       seconds,
                         const char *what)
{
  EvpTestDeadline *self = g_new0 (EvpTestDeadline, 1);
  sigset_t all, saved;

  g_mutex_init (&self->lock);
  g_cond_init (&self->stopped_cond);
  self->seconds = seconds;
  self->what = g_strdup (what);
  /* sanitizers and valgrind are slow; a deadline is there to end what hangs, not to judge speed */
  self->end = g_get_monotonic_time () + (gint64) seconds * G_USEC_PER_SEC
              * (evp_test_is_slow () ? 20 : 1);
  /* signals are for the thread that is tested */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &saved);
  self->thread = g_thread_new ("test-deadline", deadline_thread, self);
  pthread_sigmask (SIG_SETMASK, &saved, NULL);
  return self;
}

void
evp_test_deadline_stop (EvpTestDeadline *self)
{
  g_mutex_lock (&self->lock);
  self->stopped = TRUE;
  g_cond_signal (&self->stopped_cond);
  g_mutex_unlock (&self->lock);
  g_thread_join (self->thread);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->stopped_cond);
  g_free (self->what);
  g_free (self);
}

static guint
count_entries (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  guint n = 0;

  g_assert_nonnull (dir);
  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

guint
evp_test_count_fds (void)
{
  return count_entries ("/proc/self/fd") - 1; /* one of them was the directory itself */
}

/* Whether the thread is on its way out: one that was joined may still be listed for a moment. */
static gboolean
thread_is_ending (const char *tid)
{
  enum { PF_EXITING = 0x4 };
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%s/stat", tid);
  char stat[1024];
  const char *after_name;
  guint flags;
  ssize_t n;
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  g_assert_true (fd >= 0 || errno == ENOENT || errno == ESRCH);
  if (fd < 0)
    return TRUE;
  n = read (fd, stat, sizeof stat - 1);
  g_assert_true (n > 0 || errno == ESRCH);
  close (fd);
  if (n <= 0)
    return TRUE;
  stat[n] = '\0';
  after_name = strrchr (stat, ')');
  g_assert_nonnull (after_name);
  g_assert_cmpint (sscanf (after_name, ") %*c %*d %*d %*d %*d %*d %u", &flags), ==, 1);
  return (flags & PF_EXITING) != 0;
}

guint
evp_test_count_threads (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *tid;
  guint n = 0;

  g_assert_nonnull (dir);
  while ((tid = g_dir_read_name (dir)) != NULL)
    if (!thread_is_ending (tid))
      n++;
  return n;
}

guint
evp_test_count_zombies (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/task", 0, NULL);
  const char *tid;
  guint n = 0;

  g_assert_nonnull (dir);
  while ((tid = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_strdup_printf ("/proc/self/task/%s/children", tid);
      g_autofree char *text = NULL;

      if (!g_file_get_contents (path, &text, NULL, NULL))
        continue;
      g_auto (GStrv) pids = g_strsplit_set (text, " \n", -1);
      for (guint i = 0; pids[i] != NULL; i++)
        {
          g_autofree char *stat_path = g_strdup_printf ("/proc/%s/stat", pids[i]);
          g_autofree char *stat = NULL;
          const char *after_name;

          if (*pids[i] == '\0' || !g_file_get_contents (stat_path, &stat, NULL, NULL))
            continue;
          after_name = strrchr (stat, ')');
          if (after_name != NULL && after_name[1] == ' ' && after_name[2] == 'Z')
            n++;
        }
    }
  return n;
}

EvpTestLeaks
evp_test_leaks_begin (void)
{
  /* made by whoever needs them first, and never freed: no leaks of a test. GTask brings GLib's worker thread */
  g_main_context_default ();
  g_type_class_unref (g_type_class_ref (G_TYPE_TASK));

  return (EvpTestLeaks) {
    .fds = evp_test_count_fds (),
    .threads = evp_test_count_threads (),
    .zombies = evp_test_count_zombies (),
  };
}

void
evp_test_wait_for_threads (guint n_threads)
{
  gint64 deadline = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;
  guint now;

  /* looked at once a round: GLib starts threads of its own when it likes */
  while ((now = evp_test_count_threads ()) > n_threads && g_get_monotonic_time () < deadline)
    {
      /* idle ones, which GLib keeps for its next task for 15 seconds */
      g_thread_pool_stop_unused_threads ();
      g_thread_yield ();
    }
  g_assert_cmpuint (now, <=, n_threads);
}

void
evp_test_spin (gint64 microseconds)
{
  gint64 end = g_get_monotonic_time () + microseconds;

  while (g_get_monotonic_time () <= end)
    g_thread_yield ();
}

void
evp_test_leaks_check (EvpTestLeaks *before)
{
  /* threads that nobody joins may take a moment to go; one that ends closes its descriptors first */
  evp_test_wait_for_threads (before->threads);
  g_assert_cmpuint (evp_test_count_fds (), ==, before->fds);
  g_assert_cmpuint (evp_test_count_zombies (), ==, before->zombies);
}

const char *
evp_test_child_path (void)
{
  const char *path = g_getenv ("EVP_TEST_CHILD");

  if (path == NULL)
    g_error ("EVP_TEST_CHILD must name the child program; run the tests through meson");
  return path;
}

void
evp_test_exit_forked (int status)
{
  if (evp_test_has_valgrind ())
    {
      char text[12];

      /* what it has of its parent is lost here, and valgrind, which this leaves, would make a failure of that */
      g_snprintf (text, sizeof text, "%d", status);
      execl (evp_test_child_path (), "evp-test-child", "exit", text, NULL);
    }
  _exit (status);
}

GPid
evp_test_spawn_child (const char *mode,
                      ...)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  va_list args;
  pid_t pid;
  int failed;

  g_ptr_array_add (argv, (gpointer) evp_test_child_path ());
  va_start (args, mode);
  for (const char *arg = mode; arg != NULL; arg = va_arg (args, const char *))
    g_ptr_array_add (argv, (gpointer) arg);
  va_end (args);
  g_ptr_array_add (argv, NULL);

  failed = posix_spawn (&pid, evp_test_child_path (), NULL, NULL, (char **) argv->pdata, environ);
  if (failed != 0)
    g_error ("%s: %s", evp_test_child_path (), g_strerror (failed));
  return pid;
}
