/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/proactor/evp-file-pool-private.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

/* The threads of EvpGioProactor, with pipes that keep them busy for as long as it takes. */

#define MAX_OPERATIONS 64

typedef struct
{
  EvpTestDeadline *deadline;
  EvpFilePool *pool;
  int pipe[2]; /* blocking */
  EvpOperation *operations[MAX_OPERATIONS];
  char bytes[MAX_OPERATIONS];
  guint n_operations;
  guint n_busy;     /* so many of them have a thread, the first */
  gint n_notified;  /* atomic */
} Fixture;

static void
notify (gpointer user_data)
{
  g_atomic_int_inc (&((Fixture *) user_data)->n_notified);
}

/* One byte, which nobody has written yet. */
static EvpOperation *
submit (Fixture *f)
{
  const guint i = f->n_operations++;
  EvpOperation *operation;
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (i, <, MAX_OPERATIONS);
  operation = f->operations[i] = evp_operation_new (EVP_OPERATION_READ, f->pipe[0], NULL, NULL);
  operation->buffer = &f->bytes[i];
  operation->length = 1;
  g_assert_true (evp_file_pool_submit (f->pool, operation, &error));
  g_assert_no_error (error);
  return operation;
}

/* All threads that it may have wait for a byte; more would be queued. */
static void
set_up (Fixture      *f,
        gconstpointer data)
{
  f->deadline = evp_test_deadline_start (30, "the threads of a pool");
  f->pool = evp_file_pool_new (notify, f);
  g_assert_cmpint (pipe2 (f->pipe, O_CLOEXEC), ==, 0);
  f->n_busy = CLAMP (g_get_num_processors () * 2, 4, 16);
  for (guint i = 0; i < f->n_busy; i++)
    submit (f);
}

static void
tear_down (Fixture      *f,
           gconstpointer data)
{
  for (guint i = 0; i < f->n_operations; i++)
    {
      g_assert_cmpint (f->operations[i]->ref_count, ==, 1);
      evp_operation_unref (f->operations[i]);
    }
  close (f->pipe[0]);
  if (f->pipe[1] >= 0)
    close (f->pipe[1]);
  evp_test_deadline_stop (f->deadline);
}

static guint
count (EvpOperation *list)
{
  guint n = 0;

  for (; list != NULL; list = list->next)
    n++;
  return n;
}

static void
finish (Fixture *f,
        guint    n_expected)
{
  g_assert_cmpuint (count (evp_file_pool_close (f->pool)), ==, n_expected);
}

/* The end of the pipe lets every thread go. */
static void
end (Fixture *f)
{
  close (f->pipe[1]);
  f->pipe[1] = -1;
}

static void
collect (Fixture *f,
         guint    n_expected)
{
  guint n = 0;

  while (n < n_expected)
    {
      n += count (evp_file_pool_collect (f->pool));
      g_thread_yield ();
    }
  g_assert_cmpuint (n, ==, n_expected);
}

/* What has not begun can be taken back, once; what has begun, or is done, cannot. */
/* Rules: K-18 */
static void
test_cancel (Fixture      *f,
             gconstpointer data)
{
  EvpOperation *queued[3];

  for (guint i = 0; i < 3; i++)
    queued[i] = submit (f);
  /* the one in the middle, the last and the first */
  for (guint i = 0; i < 3; i++)
    {
      EvpOperation *operation = queued[(i + 1) % 3];

      g_assert_true (evp_file_pool_cancel (f->pool, operation));
      g_assert_false (evp_file_pool_cancel (f->pool, operation));
    }
  end (f);
  collect (f, f->n_busy);
  for (guint i = 0; i < f->n_busy; i++)
    {
      g_assert_false (evp_file_pool_cancel (f->pool, f->operations[i]));
      g_assert_cmpint (f->operations[i]->result, ==, 0);
    }
  g_assert_cmpint (g_atomic_int_get (&f->n_notified), >, 0);
  finish (f, 0);
}

/* One that was taken back can be given again. */
static void
test_again (Fixture      *f,
            gconstpointer data)
{
  EvpOperation *operation = submit (f);

  for (guint i = 0; i < 3; i++)
    {
      g_assert_true (evp_file_pool_cancel (f->pool, operation));
      g_assert_true (evp_file_pool_submit (f->pool, operation, NULL));
    }
  end (f);
  collect (f, f->n_operations);
  g_assert_cmpint (operation->result, ==, 0);
  finish (f, 0);
}

/* In the child of a fork() there are no threads: closing there gives what had not been collected, and nothing else. */
static void
test_fork (Fixture      *f,
           gconstpointer data)
{
  EvpOperation *queued = submit (f);
  char byte = 0;
  int status;
  pid_t pid;

  g_assert_true (evp_file_pool_cancel (f->pool, queued));
  /* one of them is done */
  g_assert_cmpint (write (f->pipe[1], &byte, 1), ==, 1);
  collect (f, 1);
  pid = fork ();
  if (pid == 0)
    {
      guint n = 0;
      gboolean ok = TRUE;

      for (EvpOperation *done = evp_file_pool_close (f->pool); done != NULL; done = done->next)
        {
          ok = ok && done != queued && done->result == -ECANCELED;
          n++;
        }
      _exit (ok && n == f->n_busy - 1 ? 0 : 1);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  end (f);
  collect (f, f->n_busy - 1);
  finish (f, 0);
}

/* Looks at what the pool writes under its lock, so the thread sanitizer must not see it. */
__attribute__ ((no_sanitize ("thread"), noinline)) static gboolean
is_cancelled (EvpOperation *operation)
{
  return __atomic_load_n (&operation->result, __ATOMIC_ACQUIRE) == -ECANCELED;
}

static gpointer
end_thread (gpointer data)
{
  Fixture *f = data;

  /* the pool is closing */
  while (!is_cancelled (f->operations[f->n_operations - 1]))
    g_thread_yield ();
  end (f);
  return NULL;
}

/* Closing waits for what has begun, and what has not never does. */
/* Rules: V-5 */
static void
test_close (Fixture      *f,
            gconstpointer data)
{
  EvpOperation *done;
  GThread *thread;
  guint n_busy = 0;

  for (guint i = 0; i < 5; i++)
    submit (f);
  thread = g_thread_new ("end", end_thread, f);
  done = evp_file_pool_close (f->pool);
  g_thread_join (thread);
  g_assert_cmpuint (count (done), ==, f->n_operations);
  for (guint i = 0; i < f->n_operations; i++)
    {
      g_assert_true (f->operations[i]->result == 0 || f->operations[i]->result == -ECANCELED);
      n_busy += f->operations[i]->result == 0;
    }
  g_assert_cmpuint (n_busy, <=, f->n_busy);
  for (guint i = f->n_busy; i < f->n_operations; i++)
    g_assert_cmpint (f->operations[i]->result, ==, -ECANCELED);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add ("/evp/proactor/file-pool/cancel", Fixture, NULL, set_up, test_cancel, tear_down);
  g_test_add ("/evp/proactor/file-pool/again", Fixture, NULL, set_up, test_again, tear_down);
  g_test_add ("/evp/proactor/file-pool/fork", Fixture, NULL, set_up, test_fork, tear_down);
  g_test_add ("/evp/proactor/file-pool/close", Fixture, NULL, set_up, test_close, tear_down);

  return g_test_run ();
}
