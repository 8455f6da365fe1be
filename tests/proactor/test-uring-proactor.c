/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/base/evp-debug-private.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/proactor/evp-uring-proactor-private.h"
#include "support/evp-test-loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
# include <linux/filter.h>
# include <linux/seccomp.h>
# include <sys/prctl.h>
# include <sys/syscall.h>
#endif

/* What is particular to io_uring; the rest is in tests/contract/contract-proactor.c. */

typedef struct
{
  EvpAbstractEventLoop *loop;
  int fds[2];
  guint n_done;
  guint n_expected;
  gboolean done;
  gssize result;
} Fixture;

static void
set_up (Fixture      *fixture,
        gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpProactor) proactor = evp_uring_proactor_new (&error);

  g_assert_no_error (error);
  fixture->loop = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fixture->fds), ==, 0);
}

static void
tear_down (Fixture      *fixture,
           gconstpointer data)
{
  evp_event_loop_close (fixture->loop, NULL);
  g_assert_finalize_object (fixture->loop);
  for (guint i = 0; i < 2; i++)
    if (fixture->fds[i] >= 0)
      close (fixture->fds[i]);
}

static void
count_cb (EvpOperation *operation,
          gpointer      user_data)
{
  Fixture *fixture = user_data;

  fixture->result = operation->result;
  fixture->n_done++;
  fixture->done = fixture->n_done >= fixture->n_expected;
}

static void
submit (Fixture      *fixture,
        EvpOperation *operation)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_loop_submit_operation (fixture->loop, operation, &error));
  g_assert_no_error (error);
}

static gssize
submit_and_wait (Fixture      *fixture,
                 EvpOperation *operation)
{
  fixture->n_done = 0;
  fixture->n_expected = 1;
  fixture->done = FALSE;
  submit (fixture, operation);
  evp_test_run_until (fixture->loop, &fixture->done);
  return fixture->result;
}

#define N_MANY 5000

/* More requests in one turn than the ring has room for, and each is answered once. */
static void
test_ring_full (Fixture *fixture)
{
  g_autoptr (GPtrArray) operations = g_ptr_array_new_with_free_func ((GDestroyNotify) evp_operation_unref);
  g_autofree char *received = g_malloc0 (N_MANY);
  char part[100];

  fixture->n_expected = N_MANY;
  for (guint i = 0; i < N_MANY; i++)
    {
      EvpOperation *operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], count_cb, fixture);

      operation->buffer = received + i;
      operation->length = 1;
      g_ptr_array_add (operations, operation);
      submit (fixture, operation);
    }
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (fixture->n_done, ==, 0);

  memset (part, 'x', sizeof part);
  for (guint i = 0; i < N_MANY / sizeof part; i++)
    {
      while (write (fixture->fds[1], part, sizeof part) < 0)
        evp_test_run_ready (fixture->loop);
    }
  evp_test_run_until (fixture->loop, &fixture->done);
  g_assert_cmpuint (fixture->n_done, ==, N_MANY);
  for (guint i = 0; i < N_MANY; i++)
    g_assert_cmpint (received[i], ==, 'x');
}

/* More answers at once than the completion queue holds: the kernel keeps the rest. */
static void
test_overflow (Fixture *fixture)
{
  g_autoptr (GPtrArray) operations = g_ptr_array_new_with_free_func ((GDestroyNotify) evp_operation_unref);
  int zero = open ("/dev/zero", O_RDONLY | O_CLOEXEC);
  g_autofree char *buffer = g_malloc (N_MANY);

  memset (buffer, 1, N_MANY);
  for (guint round = 0; round < 3; round++)
    {
      fixture->n_done = 0;
      fixture->n_expected = N_MANY;
      fixture->done = FALSE;
      for (guint i = 0; i < N_MANY; i++)
        {
          EvpOperation *operation;

          if (round == 0)
            g_ptr_array_add (operations, evp_operation_new (EVP_OPERATION_READ, zero, count_cb, fixture));
          operation = g_ptr_array_index (operations, i);
          operation->buffer = buffer + i;
          operation->length = 1;
          submit (fixture, operation);
        }
      evp_test_run_until (fixture->loop, &fixture->done);
      evp_test_run_ready (fixture->loop);
      g_assert_cmpuint (fixture->n_done, ==, N_MANY);
    }
  for (guint i = 0; i < N_MANY; i++)
    g_assert_cmpint (buffer[i], ==, 0);
  close (zero);
}

static void
free_cb (EvpOperation *operation,
         gpointer      user_data)
{
  Fixture *fixture = user_data;

  g_assert_cmpint (operation->result, ==, -ECANCELED);
  memset (operation->buffer, 0, operation->length);
  g_free (operation->buffer);
  fixture->n_done++;
  evp_operation_unref (operation);
}

/* Every buffer goes as soon as its request says so. Then data come, which must go nowhere. */
/* Rules: V-5 */
static void
test_close_many (Fixture *fixture)
{
  for (guint i = 0; i < N_MANY; i++)
    {
      EvpOperation *operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], free_cb, fixture);

      operation->buffer = g_malloc (16);
      operation->length = 16;
      submit (fixture, operation);
      if (i == N_MANY / 2)
        evp_test_run_ready (fixture->loop);
    }
  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  g_assert_cmpuint (fixture->n_done, ==, N_MANY);
  g_assert_cmpint (write (fixture->fds[1], "late", 4), ==, 4);
}

static EvpOperation *
new_receive (Fixture *fixture,
             char    *buffer,
             gsize    length)
{
  EvpOperation *operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], count_cb, fixture);

  operation->buffer = buffer;
  operation->length = length;
  return operation;
}

/* Parts of all sizes, cancellations, and reads by other means: the stream comes whole and in order. */
/* Rules: K-18, V-6 */
static void
test_parts (Fixture *fixture)
{
  g_autofree char *buffer = g_malloc (32768);
  g_autofree char *data = g_malloc (32768);
  g_autoptr (EvpOperation) operation = new_receive (fixture, buffer, 32768);
  gsize n_written = 0, n_read = 0;
  guint n_cancelled = 0;

  for (guint i = 0; i < 3000; i++)
    {
      /* mostly small */
      gsize size = (gsize) g_test_rand_int_range (1, i % 500 < 400 ? 300 : 32768);
      gssize n;

      if (g_test_rand_int_range (0, 4) > 0)
        {
          for (gsize k = 0; k < size; k++)
            data[k] = (char) ((n_written + k) * 7 + (n_written + k) / 251);
          n = write (fixture->fds[1], data, size);
          if (n > 0)
            n_written += (gsize) n;
        }

      if (g_test_rand_int_range (0, 50) == 0)
        n = recv (fixture->fds[0], buffer, 1000, MSG_DONTWAIT);
      else
        {
          operation->length = (gsize) g_test_rand_int_range (1, i % 3 == 0 ? 32769 : 400);
          fixture->n_done = 0;
          fixture->n_expected = 1;
          fixture->done = FALSE;
          submit (fixture, operation);
          if (n_written == n_read || g_test_rand_int_range (0, 10) == 0)
            evp_loop_cancel_operation (fixture->loop, operation);
          evp_test_run_until (fixture->loop, &fixture->done);
          n = fixture->result;
          if (n == -ECANCELED)
            n_cancelled++;
        }
      for (gssize k = 0; k < n; k++)
        g_assert_cmpint (buffer[k], ==, (char) ((n_read + (gsize) k) * 7 + (n_read + (gsize) k) / 251));
      if (n > 0)
        n_read += (gsize) n;
    }
  g_assert_cmpuint (n_cancelled, >, 0);

  shutdown (fixture->fds[1], SHUT_WR);
  operation->length = 32768;
  for (;;)
    {
      gssize n = submit_and_wait (fixture, operation);

      g_assert_cmpint (n, >=, 0);
      if (n == 0)
        break;
      n_read += (gsize) n;
    }
  g_assert_cmpuint (n_read, ==, n_written);
  g_assert_cmpint (submit_and_wait (fixture, operation), ==, 0);
}

static void
drop_cb (EvpOperation *operation,
         gpointer      user_data)
{
  count_cb (operation, user_data);
  evp_operation_unref (operation);
}

/* The end of the stream comes while the loop closes, and whoever waited for it drops the stream at once. */
static void
test_close_ends (Fixture *fixture)
{
  char buffer[16];
  EvpOperation *operation = new_receive (fixture, buffer, sizeof buffer);

  operation->func = drop_cb;
  fixture->n_done = 0;
  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (shutdown (fixture->fds[1], SHUT_WR), ==, 0);
  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  g_assert_cmpuint (fixture->n_done, ==, 1);
  g_assert_true (fixture->result == 0 || fixture->result == -ECANCELED);
}

typedef struct
{
  Fixture *fixture;
  EvpOperation *operation;
  GMutex lock;
  GCond cond;
  gboolean ran;
  gboolean finish;
} Elsewhere;

static gpointer
run_thread (gpointer data)
{
  Elsewhere *elsewhere = data;

  submit (elsewhere->fixture, elsewhere->operation);
  evp_test_run_ready (elsewhere->fixture->loop);
  g_mutex_lock (&elsewhere->lock);
  elsewhere->ran = TRUE;
  g_cond_signal (&elsewhere->cond);
  while (!elsewhere->finish)
    g_cond_wait (&elsewhere->cond, &elsewhere->lock);
  g_mutex_unlock (&elsewhere->lock);
  return NULL;
}

static void
finish_elsewhere (Elsewhere *elsewhere,
                  GThread   *thread)
{
  g_mutex_lock (&elsewhere->lock);
  elsewhere->finish = TRUE;
  g_cond_signal (&elsewhere->cond);
  g_mutex_unlock (&elsewhere->lock);
  g_thread_join (thread);
}

typedef struct
{
  Fixture *fixture;
  EvpOperation *before; /* that the ring knows of */
  EvpOperation *after;  /* submitted when the loop has run there for the last time */
} Unsent;

static gpointer
unsent_thread (gpointer data)
{
  Unsent *unsent = data;

  submit (unsent->fixture, unsent->before);
  evp_test_run_ready (unsent->fixture->loop);
  submit (unsent->fixture, unsent->after);
  return NULL;
}

/*
 * A loop goes on, on another thread, with what was submitted and not handed over yet: nothing of it has begun, so
 * it can begin there, whatever it is.
 */
/* Rules: V-5 */
static void
test_move_unsent (Fixture *fixture)
{
  char buffer[16], sent[16];
  g_autoptr (EvpOperation) receive = new_receive (fixture, buffer, sizeof buffer);
  g_autoptr (EvpOperation) first = evp_operation_new (EVP_OPERATION_SEND, fixture->fds[0], count_cb, fixture);
  g_autoptr (EvpOperation) second = evp_operation_new (EVP_OPERATION_SEND, fixture->fds[0], count_cb, fixture);
  Unsent unsent = { .fixture = fixture, .before = receive, .after = first };

  first->buffer = (char *) "first";
  first->length = 5;
  second->buffer = (char *) "second";
  second->length = 6;
  fixture->n_expected = 2;
  g_thread_join (g_thread_new ("unsent", unsent_thread, &unsent));
  submit (fixture, second);
  evp_test_run_until (fixture->loop, &fixture->done);
  g_assert_cmpint (first->result, ==, 5);
  g_assert_cmpint (second->result, ==, 6);
  g_assert_cmpint (read (fixture->fds[1], sent, sizeof sent), ==, 11);
  g_assert_cmpmem (sent, 11, "firstsecond", 11);

  fixture->done = FALSE;
  fixture->n_expected = 3;
  g_assert_cmpint (write (fixture->fds[1], "back", 4), ==, 4);
  evp_test_run_until (fixture->loop, &fixture->done);
  g_assert_cmpint (receive->result, ==, 4);
}

/*
 * A loop that ran on one thread is closed, or goes on, on another, while the first is there or has
 * ended. The kernel lets go of the buffer first, or the request starts anew.
 */
static void
elsewhere (Fixture *fixture,
           gboolean thread_stays,
           gboolean goes_on)
{
  char *buffer = g_malloc (16);
  g_autoptr (EvpOperation) operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], count_cb, fixture);
  Elsewhere elsewhere = { .fixture = fixture, .operation = operation };
  GThread *thread;

  g_mutex_init (&elsewhere.lock);
  g_cond_init (&elsewhere.cond);
  operation->buffer = buffer;
  operation->length = 16;
  fixture->n_expected = 1;
  thread = g_thread_new ("elsewhere", run_thread, &elsewhere);
  g_mutex_lock (&elsewhere.lock);
  while (!elsewhere.ran)
    g_cond_wait (&elsewhere.cond, &elsewhere.lock);
  g_mutex_unlock (&elsewhere.lock);
  g_assert_cmpuint (fixture->n_done, ==, 0);
  if (!thread_stays)
    finish_elsewhere (&elsewhere, thread);

  if (goes_on)
    {
      evp_test_run_ready (fixture->loop);
      g_assert_cmpint (write (fixture->fds[1], "on", 2), ==, 2);
      evp_test_run_until (fixture->loop, &fixture->done);
      g_assert_cmpint (fixture->result, ==, 2);
    }
  else
    {
      g_assert_true (evp_event_loop_close (fixture->loop, NULL));
      g_assert_cmpint (fixture->result, ==, -ECANCELED);
    }
  g_assert_cmpuint (fixture->n_done, ==, 1);
  g_free (buffer);
  g_assert_cmpint (write (fixture->fds[1], "late", 4), ==, 4);
  if (thread_stays)
    finish_elsewhere (&elsewhere, thread);
  g_mutex_clear (&elsewhere.lock);
  g_cond_clear (&elsewhere.cond);
}

static void
test_close_elsewhere (Fixture *fixture)
{
  elsewhere (fixture, TRUE, FALSE);
}

static void
test_close_after_thread (Fixture *fixture)
{
  elsewhere (fixture, FALSE, FALSE);
}

static void
test_move (Fixture *fixture)
{
  elsewhere (fixture, TRUE, TRUE);
}

static void
test_move_after_thread (Fixture *fixture)
{
  elsewhere (fixture, FALSE, TRUE);
}

/* The child of fork() ends what it knows of; the parent's requests go on. */
static void
test_fork (Fixture *fixture)
{
  char buffer[16];
  g_autoptr (EvpOperation) operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], count_cb, fixture);
  int status;
  pid_t pid;

  operation->buffer = buffer;
  operation->length = sizeof buffer;
  fixture->n_expected = 1;
  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);

  pid = fork ();
  if (pid == 0)
    {
      g_autoptr (GError) error = NULL;

      if (evp_loop_submit_operation (fixture->loop, evp_operation_new (EVP_OPERATION_POLL, 0, count_cb, fixture), &error)
          || !g_error_matches (error, EVP_ERROR, EVP_ERROR_FORKED))
        _exit (1);
      if (!evp_event_loop_close (fixture->loop, NULL) || fixture->n_done != 1 || fixture->result != -ECANCELED)
        _exit (2);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);

  g_assert_cmpint (write (fixture->fds[1], "parent", 6), ==, 6);
  evp_test_run_until (fixture->loop, &fixture->done);
  g_assert_cmpint (fixture->result, ==, 6);
}

/* Nothing is polled, and nothing wakes up, while all that is pending waits. */
static void
test_idle (Fixture *fixture)
{
  char buffer[16];
  g_autoptr (EvpOperation) operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], count_cb, fixture);
  g_autoptr (EvpLoopStatistics) before = NULL;
  g_autoptr (EvpLoopStatistics) after = NULL;
  GMainContext *context = evp_base_event_loop_get_main_context (EVP_BASE_EVENT_LOOP (fixture->loop));

  operation->buffer = buffer;
  operation->length = sizeof buffer;
  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  before = evp_base_event_loop_get_statistics (EVP_BASE_EVENT_LOOP (fixture->loop));
  for (guint i = 0; i < 10; i++)
    g_assert_false (g_main_context_iteration (context, FALSE));
  after = evp_base_event_loop_get_statistics (EVP_BASE_EVENT_LOOP (fixture->loop));
  g_assert_cmpuint (evp_loop_statistics_get_turns (after), ==, evp_loop_statistics_get_turns (before));
}

#ifdef __linux__

static void
work_without (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpProactor) proactor = evp_uring_proactor_new (&error);
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (EvpOperation) operation = NULL;
  Fixture fixture = { .n_expected = 1 };
  char buffer[4];
  int zero = open ("/dev/zero", O_RDONLY | O_CLOEXEC);

  if (proactor == NULL)
    {
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
      g_assert_nonnull (strstr (error->message, evp_capabilities_explain ("io-uring")));
      g_clear_error (&error);
    }
  loop = evp_proactor_event_loop_new (NULL, &error);
  g_assert_no_error (error);
  g_assert_true (proactor != NULL
                 || !EVP_IS_URING_PROACTOR (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (loop))));

  fixture.loop = loop;
  operation = evp_operation_new (EVP_OPERATION_READ, zero, count_cb, &fixture);
  operation->buffer = buffer;
  operation->length = sizeof buffer;
  g_assert_cmpint (submit_and_wait (&fixture, operation), ==, sizeof buffer);
  evp_event_loop_close (loop, NULL);
  close (zero);
}

/* A sandbox refuses it: the loop does without, and says why. */
static void
test_seccomp (void)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, 425 /* io_uring_setup, everywhere but on alpha */, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { .len = G_N_ELEMENTS (filter), .filter = filter };

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
      g_test_trap_assert_passed ();
      return;
    }
  g_assert_cmpint (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
  g_assert_cmpint (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
  g_assert_false (evp_capabilities_get ("io-uring"));
#ifdef HAVE_LIBURING
  g_assert_nonnull (strstr (evp_capabilities_explain ("io-uring"), g_strerror (EPERM)));
#else
  g_assert_nonnull (evp_capabilities_explain ("io-uring"));
#endif
  work_without ();
}

/* No locked memory: old kernels refuse it then. */
static void
test_memlock (void)
{
  struct rlimit none = { 0, 0 };

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
      g_test_trap_assert_passed ();
      return;
    }
  g_assert_cmpint (setrlimit (RLIMIT_MEMLOCK, &none), ==, 0);
  work_without ();
}

/* No descriptors are left when the ring is made: the request fails, the next one works. */
static void
test_no_descriptors (Fixture *fixture)
{
  char buffer[16];
  g_autoptr (EvpOperation) operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], count_cb, fixture);
  struct rlimit before, none;

  g_assert_cmpint (write (fixture->fds[1], "one", 3), ==, 3);
  operation->buffer = buffer;
  operation->length = sizeof buffer;
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  none = before;
  none.rlim_cur = 3;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  fixture->n_expected = 1;
  submit (fixture, operation);
  while (!fixture->done)
    g_main_context_iteration (evp_base_event_loop_get_main_context (EVP_BASE_EVENT_LOOP (fixture->loop)), FALSE);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
  g_assert_cmpint (fixture->result, ==, -EMFILE);
  g_assert_cmpint (submit_and_wait (fixture, operation), ==, 3);
}

/* The loop chooses by itself, and has chosen io_uring. */
static void
choose (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_close (fixture->loop, NULL);
  g_assert_finalize_object (fixture->loop);
  fixture->loop = evp_proactor_event_loop_new (NULL, &error);
  g_assert_no_error (error);
  g_assert_true (EVP_IS_URING_PROACTOR (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (fixture->loop))));
}

static gboolean
gave_way (Fixture *fixture)
{
  return EVP_IS_GIO_PROACTOR (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (fixture->loop)));
}

static int
count_fds (void)
{
  g_autoptr (GDir) dir = g_dir_open ("/proc/self/fd", 0, NULL);
  int n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

/* The probe said yes, but there are no descriptors for the ring any more: a loop that chose it takes the other. */
/* Rules: V-5 */
static void
test_give_way (Fixture *fixture)
{
  int zero = open ("/dev/zero", O_RDONLY | O_CLOEXEC);

  for (guint n_left = 0; n_left < 4; n_left++)
    {
      char buffer[16], byte = 1;
      g_autoptr (EvpOperation) receive = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], count_cb, fixture);
      g_autoptr (EvpOperation) read = evp_operation_new (EVP_OPERATION_READ, zero, count_cb, fixture);
      g_autoptr (EvpOperation) cancelled = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], count_cb, fixture);
      struct rlimit before, low;
      int first_free, n_fds;

      choose (fixture);
      fixture->n_done = 0;
      fixture->n_expected = 2;
      fixture->done = FALSE;
      /* with memory that the caller gets */
      receive->flags |= EVP_OPERATION_ALLOCATE;
      receive->length = sizeof buffer;
      read->buffer = &byte;
      read->length = 1;
      cancelled->buffer = buffer;
      cancelled->length = sizeof buffer;
      submit (fixture, receive);
      submit (fixture, cancelled);
      submit (fixture, read);
      evp_loop_cancel_operation (fixture->loop, cancelled);
      g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
      first_free = dup (0);
      close (first_free);
      low = before;
      low.rlim_cur = (rlim_t) first_free + n_left;
      n_fds = count_fds ();
      g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
      while (!fixture->done)
        g_main_context_iteration (evp_base_event_loop_get_main_context (EVP_BASE_EVENT_LOOP (fixture->loop)), TRUE);
      g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
      g_assert_true (gave_way (fixture));
      g_assert_cmpint (count_fds (), ==, n_fds);
      g_assert_cmpint (cancelled->result, ==, -ECANCELED);
      g_assert_cmpint (read->result, ==, 1);
      g_assert_cmpint (byte, ==, 0);

      fixture->done = FALSE;
      fixture->n_expected = 3;
      g_assert_cmpint (write (fixture->fds[1], "three", 5), ==, 5);
      evp_test_run_until (fixture->loop, &fixture->done);
      g_assert_cmpint (receive->result, ==, 5);
      g_assert_cmpmem (receive->buffer, 5, "three", 5);
      g_free (receive->buffer);
      g_assert_cmpint (submit_and_wait (fixture, read), ==, 1);
    }
  close (zero);
}

static void
refuse_io_uring (void)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JGE | BPF_K, 425 /* io_uring_setup, _enter, _register, everywhere but on alpha */, 0, 2),
    BPF_JUMP (BPF_JMP | BPF_JGT | BPF_K, 427, 1, 0),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { .len = G_N_ELEMENTS (filter), .filter = filter };

  g_assert_cmpint (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), ==, 0);
  g_assert_cmpint (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
}

/* A sandbox is closed while requests are with the ring. */
static void
refuse_later (Fixture *fixture,
              gboolean chosen)
{
  char buffer[16], other_buffer[16];
  int fds[2];
  g_autoptr (EvpOperation) reused = NULL;
  g_autoptr (EvpOperation) receive = NULL;
  g_autoptr (EvpOperation) send = NULL;

  if (chosen)
    choose (fixture);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  /* one that the ring has served before */
  reused = new_receive (fixture, buffer, sizeof buffer);
  g_assert_cmpint (write (fixture->fds[1], "begin", 5), ==, 5);
  g_assert_cmpint (submit_and_wait (fixture, reused), ==, 5);
  /* and one that waits */
  receive = evp_operation_new (EVP_OPERATION_RECV, fds[0], count_cb, fixture);
  receive->buffer = other_buffer;
  receive->length = sizeof other_buffer;
  submit (fixture, receive);
  evp_test_run_ready (fixture->loop);

  refuse_io_uring ();
  send = evp_operation_new (EVP_OPERATION_SEND, fds[1], count_cb, fixture);
  send->buffer = (char *) "sent";
  send->length = 4;
  if (!chosen)
    {
      fixture->n_done = 0;
      fixture->n_expected = 2;
      fixture->done = FALSE;
      submit (fixture, send);
      evp_test_run_until (fixture->loop, &fixture->done);
      g_assert_cmpint (receive->result, ==, -EPERM);
      g_assert_cmpint (submit_and_wait (fixture, send), ==, -EPERM);
      g_assert_false (gave_way (fixture));
    }
  else
    {
      /* it has not begun, so it may go another way */
      fixture->n_done = 0;
      fixture->n_expected = 2;
      fixture->done = FALSE;
      submit (fixture, send);
      evp_test_run_until (fixture->loop, &fixture->done);
      g_assert_true (gave_way (fixture));
      g_assert_cmpint (send->result, ==, 4);
      g_assert_cmpint (receive->result, ==, 4);
      g_assert_cmpmem (other_buffer, 4, "sent", 4);

      g_assert_cmpint (write (fixture->fds[1], "later", 5), ==, 5);
      g_assert_cmpint (submit_and_wait (fixture, reused), ==, 5);
      g_assert_cmpmem (buffer, 5, "later", 5);
    }
  close (fds[0]);
  close (fds[1]);
}

static void
test_seccomp_later (Fixture *fixture)
{
  if (g_test_subprocess ())
    {
      refuse_later (fixture, TRUE);
      return;
    }
  g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed ();
}

/* The same with a proactor that was asked for. */
static void
test_seccomp_asked (Fixture *fixture)
{
  if (g_test_subprocess ())
    {
      refuse_later (fixture, FALSE);
      return;
    }
  g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed ();
}

/* Threads are refused as well: what needs one fails, once, with the reason, and the rest goes on. */
static void
refuse_threads (Fixture *fixture)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, 435 /* clone3, everywhere; the C library then takes the other */, 4, 0),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 2),
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, args)),
    BPF_JUMP (BPF_JMP | BPF_JSET | BPF_K, 0x10000 /* CLONE_THREAD */, 2, 0),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
  };
  struct sock_fprog program = { .len = G_N_ELEMENTS (filter), .filter = filter };
  char buffer[16], contents[16];
  int file = open ("/proc/self/status", O_RDONLY | O_CLOEXEC);
  g_autoptr (EvpOperation) begin = NULL;
  g_autoptr (EvpOperation) receive = NULL;
  g_autoptr (EvpOperation) read = evp_operation_new (EVP_OPERATION_READ, file, count_cb, fixture);

  choose (fixture);
  begin = new_receive (fixture, buffer, sizeof buffer);
  g_assert_cmpint (write (fixture->fds[1], "begin", 5), ==, 5);
  g_assert_cmpint (submit_and_wait (fixture, begin), ==, 5);

  refuse_io_uring ();
  g_assert_cmpint (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), ==, 0);
  receive = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], count_cb, fixture);
  receive->flags |= EVP_OPERATION_ALLOCATE;
  receive->length = 16;
  read->buffer = contents;
  read->length = sizeof contents;
  read->offset = 0;
  fixture->n_done = 0;
  fixture->n_expected = 2;
  fixture->done = FALSE;
  submit (fixture, read);
  submit (fixture, receive);
  g_assert_cmpint (write (fixture->fds[1], "on", 2), ==, 2);
  evp_test_run_until (fixture->loop, &fixture->done);
  g_assert_true (gave_way (fixture));
  g_assert_cmpint (read->result, ==, -EPERM);
  g_assert_cmpint (receive->result, ==, 2);
  g_assert_cmpmem (receive->buffer, 2, "on", 2);
  g_free (receive->buffer);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (fixture->n_done, ==, 2);
  close (file);
}

static void
test_seccomp_no_thread (Fixture *fixture)
{
  if (g_test_subprocess ())
    {
      refuse_threads (fixture);
      return;
    }
  g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_passed ();
}

#endif

static void
run_case (Fixture      *fixture,
          gconstpointer test)
{
  ((void (*) (Fixture *)) test) (fixture);
}

static void
add (const char *name,
     void      (*test) (Fixture *))
{
  g_autofree char *path = g_strdup_printf ("/evp/proactor/uring-proactor/%s", name);

  g_test_add (path, Fixture, test, set_up, run_case, tear_down);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  if (g_test_subprocess () || evp_test_has_uring ())
    {
      add ("ring-full", test_ring_full);
      add ("overflow", test_overflow);
      add ("close-many", test_close_many);
      add ("parts", test_parts);
      add ("close-ends", test_close_ends);
      add ("close-elsewhere", test_close_elsewhere);
      add ("close-after-thread", test_close_after_thread);
      add ("move", test_move);
      add ("move-after-thread", test_move_after_thread);
      add ("move-unsent", test_move_unsent);
      add ("fork", test_fork);
      add ("idle", test_idle);
#ifdef __linux__
      add ("no-descriptors", test_no_descriptors);
      add ("give-way", test_give_way);
      add ("seccomp-later", test_seccomp_later);
      add ("seccomp-no-thread", test_seccomp_no_thread);
      add ("seccomp-asked", test_seccomp_asked);
#endif
    }
#ifdef __linux__
  g_test_add_func ("/evp/proactor/uring-proactor/seccomp", test_seccomp);
  g_test_add_func ("/evp/proactor/uring-proactor/memlock", test_memlock);
#endif

  return g_test_run ();
}
