/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/loop/evp-pipe-input-stream-private.h"
#include "evp/loop/evp-pipe-output-stream-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpTestDeadline *deadline;
  EvpTestLeaks leaks;
  EvpCallback body;
} Fixture;

static void
set_up (Fixture      *f,
        gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->deadline = evp_test_deadline_start (60, "a pipe stream");
  f->leaks = evp_test_leaks_begin ();
  f->loop = evp_selector_event_loop_new (NULL, NULL, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_close (f->loop, &error);
  g_assert_no_error (error);
  g_assert_finalize_object (f->loop);
  evp_test_leaks_check (&f->leaks);
  evp_test_deadline_stop (f->deadline);
}

static void
make_pipe (int fds[2])
{
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
}

static GInputStream *
reader (Fixture *f,
        int      fd)
{
  g_autoptr (GError) error = NULL;
  GInputStream *stream = evp_event_loop_connect_read_pipe (f->loop, fd, &error);

  g_assert_no_error (error);
  return stream;
}

static GOutputStream *
writer (Fixture *f,
        int      fd)
{
  g_autoptr (GError) error = NULL;
  GOutputStream *stream = evp_event_loop_connect_write_pipe (f->loop, fd, &error);

  g_assert_no_error (error);
  return stream;
}

static void
put (int         fd,
     const char *text)
{
  g_assert_cmpint (write (fd, text, strlen (text)), ==, (gssize) strlen (text));
}

static void
post_write_cb (gpointer user_data)
{
  put (GPOINTER_TO_INT (user_data), "later");
}

static gssize
read_sync_async (Fixture      *f,
                 GInputStream *stream,
                 char         *buffer,
                 gsize         size,
                 GCancellable *cancellable,
                 GError      **error)
{
  g_auto (EvpTestAwait) await = { f->loop };

  g_input_stream_read_async (stream, buffer, size, G_PRIORITY_DEFAULT, cancellable, evp_test_ready_cb, &await);
  return g_input_stream_read_finish (stream, evp_test_await (&await), error);
}

/* Rules: T-15, F-1 */
static void
test_read (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (GInputStream) stream = NULL;
  g_autoptr (GError) error = NULL;
  char buffer[64];
  int fds[2];

  make_pipe (fds);
  stream = reader (f, fds[0]);
  g_assert_cmpint (fcntl (fds[0], F_GETFL) & O_NONBLOCK, !=, 0);

  /* something is there */
  put (fds[1], "now");
  g_assert_cmpint (read_sync_async (f, stream, buffer, sizeof buffer, NULL, &error), ==, 3);
  g_assert_cmpmem (buffer, 3, "now", 3);
  /* nothing is there yet */
  for (int i = 0; i < 3; i++)
    {
      evp_event_loop_call_soon (f->loop, post_write_cb, GINT_TO_POINTER (fds[1]), NULL, NULL);
      g_assert_cmpint (read_sync_async (f, stream, buffer, sizeof buffer, NULL, &error), ==, 5);
      g_assert_cmpmem (buffer, 5, "later", 5);
    }
  /* the end, as often as one likes */
  close (fds[1]);
  g_assert_cmpint (read_sync_async (f, stream, buffer, sizeof buffer, NULL, &error), ==, 0);
  g_assert_cmpint (read_sync_async (f, stream, buffer, sizeof buffer, NULL, &error), ==, 0);
  g_assert_no_error (error);

  g_assert_true (g_input_stream_close (stream, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpint (fcntl (fds[0], F_GETFD), ==, -1);
  g_assert_cmpint (read_sync_async (f, stream, buffer, sizeof buffer, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

/* Rules: T-15, T-17, Z-24 */
static void
test_kinds (Fixture      *f,
            gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *name = NULL;
  int file = g_file_open_tmp (NULL, &name, &error);
  int fds[2];

  /* nothing is owned after a refusal */
  g_assert_no_error (error);
  g_assert_null (evp_event_loop_connect_read_pipe (f->loop, file, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (evp_event_loop_connect_write_pipe (f->loop, file, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_cmpint (fcntl (file, F_GETFL) & O_NONBLOCK, ==, 0);
  g_assert_no_errno (close (file));
  g_assert_no_errno (unlink (name));

  g_assert_null (evp_event_loop_connect_read_pipe (f->loop, -1, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (evp_event_loop_connect_read_pipe (f->loop, file, &error));
  g_assert_cmpint ((int) error->domain, ==, (int) G_IO_ERROR);
  g_clear_error (&error);

  /* the wrong end */
  make_pipe (fds);
  g_assert_null (evp_event_loop_connect_read_pipe (f->loop, fds[1], &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (evp_event_loop_connect_write_pipe (f->loop, fds[0], &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_no_errno (close (fds[0]));
  g_assert_no_errno (close (fds[1]));

  /* sockets and character devices are fine */
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  g_object_unref (reader (f, fds[0]));
  g_object_unref (writer (f, fds[1]));
  g_assert_cmpint (fcntl (fds[0], F_GETFD), ==, -1);
  g_object_unref (writer (f, open ("/dev/null", O_WRONLY | O_CLOEXEC)));
}

/* Rules: T-16 */
static void
test_terminal (Fixture      *f,
               gconstpointer data)
{
  g_autoptr (GInputStream) stream = NULL;
  g_autoptr (GError) error = NULL;
  char buffer[64];
  int master = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC);
  int slave;

  if (master < 0 || grantpt (master) < 0 || unlockpt (master) < 0
      || (slave = open (ptsname (master), O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
    {
      if (master >= 0)
        close (master);
      g_test_skip ("there are no pseudo-terminals here");
      return;
    }
  stream = reader (f, master);
  put (slave, "tty");
  g_assert_cmpint (read_sync_async (f, stream, buffer, sizeof buffer, NULL, &error), ==, 3);
  close (slave);
  g_assert_cmpint (read_sync_async (f, stream, buffer, sizeof buffer, NULL, &error), ==, 0);
  g_assert_no_error (error);
}

/* Rules: T-17 */
static void
test_write (Fixture      *f,
            gconstpointer data)
{
  g_autoptr (GOutputStream) out = NULL;
  g_autoptr (GInputStream) in = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) written = { f->loop };
  g_auto (EvpTestAwait) read = { f->loop };
  g_auto (EvpTestAwait) closed = { f->loop };
  const gsize size = 1024 * 1024;
  g_autofree char *data_out = g_malloc (size);
  g_autofree char *data_in = g_malloc0 (size);
  gsize n_written = 0, n_read = 0;
  int fds[2];

  for (gsize i = 0; i < size; i++)
    data_out[i] = (char) (i * 7 + i / 251);
  make_pipe (fds);
  in = reader (f, fds[0]);
  out = writer (f, fds[1]);

  /* a pipe takes 64 KiB: one write is partial */
  g_output_stream_write_async (out, data_out, size, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &written);
  n_written = (gsize) g_output_stream_write_finish (out, evp_test_await (&written), &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n_written, >, 0);
  g_assert_cmpuint (n_written, <, size);
  evp_test_await_clear (&written);

  /* GIO's own helpers write and read the rest */
  g_output_stream_write_all_async (out, data_out + n_written, size - n_written, G_PRIORITY_DEFAULT, NULL,
                                   evp_test_ready_cb, &written);
  g_input_stream_read_all_async (in, data_in, size, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &read);
  evp_test_await (&read);
  g_assert_true (g_input_stream_read_all_finish (in, read.result, &n_read, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (data_out, size, data_in, n_read);
  if (written.result == NULL)
    evp_test_await (&written);
  g_assert_true (g_output_stream_write_all_finish (out, written.result, NULL, &error));
  g_assert_no_error (error);

  /* closing is the reader's end */
  g_output_stream_close_async (out, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &closed);
  g_assert_true (g_output_stream_close_finish (out, evp_test_await (&closed), &error));
  g_assert_no_error (error);
  g_assert_cmpint (read_sync_async (f, in, data_in, 1, NULL, &error), ==, 0);
  g_assert_no_error (error);
}

static gboolean
sigpipe_is_pending (void)
{
  sigset_t pending;

  sigpending (&pending);
  return sigismember (&pending, SIGPIPE) == 1;
}

static gboolean
sigpipe_is_blocked (void)
{
  sigset_t mask;

  pthread_sigmask (SIG_BLOCK, NULL, &mask);
  return sigismember (&mask, SIGPIPE) == 1;
}

static void
check_broken_pipe (Fixture *f,
                   gboolean sockets,
                   gboolean async)
{
  g_autoptr (GOutputStream) out = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };
  struct sigaction before, after;
  int fds[2];

  g_assert_no_errno (sigaction (SIGPIPE, NULL, &before));
  if (sockets)
    g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
  else
    make_pipe (fds);
  out = writer (f, fds[1]);
  close (fds[0]);
  if (async)
    {
      g_output_stream_write_async (out, "x", 1, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
      g_assert_cmpint (g_output_stream_write_finish (out, evp_test_await (&await), &error), ==, -1);
    }
  else
    g_assert_cmpint (g_output_stream_write (out, "x", 1, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  g_assert_no_errno (sigaction (SIGPIPE, NULL, &after));
  g_assert_true (before.sa_handler == after.sa_handler);
}

/* Rules: Z-25, T-18 */
static void
test_broken_pipe (Fixture      *f,
                  gconstpointer data)
{
  struct sigaction fatal = { .sa_handler = SIG_DFL }, before;
  sigset_t sigpipe, mask;

  sigemptyset (&sigpipe);
  sigaddset (&sigpipe, SIGPIPE);
  g_assert_no_errno (sigaction (SIGPIPE, &fatal, &before));
  pthread_sigmask (SIG_UNBLOCK, &sigpipe, &mask);

  for (int i = 0; i < 4; i++)
    {
      check_broken_pipe (f, (i & 1) != 0, (i & 2) != 0);
      g_assert_false (sigpipe_is_blocked ());
      g_assert_false (sigpipe_is_pending ());
    }

  /* who blocks it and has one waiting keeps both */
  pthread_sigmask (SIG_BLOCK, &sigpipe, NULL);
  check_broken_pipe (f, FALSE, TRUE);
  g_assert_true (sigpipe_is_blocked ());
  g_assert_false (sigpipe_is_pending ());
  pthread_kill (pthread_self (), SIGPIPE);
  check_broken_pipe (f, FALSE, TRUE);
  g_assert_true (sigpipe_is_blocked ());
  g_assert_true (sigpipe_is_pending ());
  g_assert_cmpint (sigwaitinfo (&sigpipe, NULL), ==, SIGPIPE);

  pthread_sigmask (SIG_SETMASK, &mask, NULL);
  g_assert_no_errno (sigaction (SIGPIPE, &before, NULL));
}

/* Rules: T-18, T-19, F-10 */
static void
test_reader_leaves (Fixture      *f,
                    gconstpointer data)
{
  g_autoptr (GOutputStream) out = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };
  g_autofree char *block = g_malloc0 (1024 * 1024);
  int fds[2];

  make_pipe (fds);
  out = writer (f, fds[1]);
  g_output_stream_write_all_async (out, block, 1024 * 1024, G_PRIORITY_DEFAULT, NULL,
                                   evp_test_ready_cb, &await);
  evp_test_run_ready (f->loop);
  g_assert_null (await.result); /* full */
  close (fds[0]);
  g_assert_false (g_output_stream_write_all_finish (out, evp_test_await (&await), NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
}

static gpointer
cancel_thread (gpointer data)
{
  g_cancellable_cancel (data);
  return NULL;
}

/* Rules: Z-45 */
static void
test_cancel (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (GInputStream) in = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  char buffer[8];
  int fds[2];

  make_pipe (fds);
  in = reader (f, fds[0]);
  for (int i = 0; i < 3; i++)
    {
      g_autoptr (GError) error = NULL;
      g_auto (EvpTestAwait) await = { f->loop };

      g_cancellable_reset (cancellable);
      if (i == 0) /* before */
        g_cancellable_cancel (cancellable);
      g_input_stream_read_async (in, buffer, sizeof buffer, G_PRIORITY_DEFAULT, cancellable,
                                 evp_test_ready_cb, &await);
      if (i == 1) /* while it waits */
        g_cancellable_cancel (cancellable);
      if (i == 2) /* from another thread */
        g_thread_join (g_thread_new ("cancel", cancel_thread, cancellable));
      g_assert_cmpint (g_input_stream_read_finish (in, evp_test_await (&await), &error), ==, -1);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
  /* nothing was lost, and the stream still works */
  g_cancellable_reset (cancellable);
  put (fds[1], "still");
  g_assert_cmpint (read_sync_async (f, in, buffer, sizeof buffer, cancellable, NULL), ==, 5);
  g_cancellable_cancel (cancellable); /* too late to matter */
  evp_test_run_ready (f->loop);
  close (fds[1]);
}

/* Rules: T-15 */
static void
test_pending (Fixture      *f,
              gconstpointer data)
{
  g_autoptr (GInputStream) in = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) first = { f->loop };
  char buffer[8], other[8];
  int fds[2];

  make_pipe (fds);
  in = reader (f, fds[0]);
  g_input_stream_read_async (in, buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &first);
  g_assert_false (g_input_stream_close (in, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
  g_clear_error (&error);
  g_assert_cmpint (g_input_stream_read (in, other, sizeof other, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PENDING);
  g_clear_error (&error);

  put (fds[1], "one");
  g_assert_cmpint (g_input_stream_read_finish (in, evp_test_await (&first), &error), ==, 3);
  g_assert_no_error (error);
  close (fds[1]);
}

static gpointer
write_thread (gpointer data)
{
  put (GPOINTER_TO_INT (data), "thread");
  return NULL;
}

static gpointer
drain_thread (gpointer data)
{
  int fd = GPOINTER_TO_INT (data);
  char buffer[4096];
  gsize total = 0;
  gssize n;

  while ((n = read (fd, buffer, sizeof buffer)) > 0)
    total += (gsize) n;
  close (fd);
  return GSIZE_TO_POINTER (total);
}

/* Rules: T-15, T-17 */
static void
test_synchronous (Fixture      *f,
                  gconstpointer data)
{
  g_autoptr (GInputStream) in = NULL;
  g_autoptr (GOutputStream) out = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_autofree char *block = g_malloc0 (300 * 1024);
  GThread *thread;
  char buffer[64];
  gsize n;
  int fds[2];

  /* it blocks until something comes */
  make_pipe (fds);
  in = reader (f, fds[0]);
  thread = g_thread_new ("write", write_thread, GINT_TO_POINTER (fds[1]));
  g_assert_cmpint (g_input_stream_read (in, buffer, sizeof buffer, NULL, &error), ==, 6);
  g_thread_join (thread);
  /* or until it is cancelled */
  thread = g_thread_new ("cancel", cancel_thread, cancellable);
  g_assert_cmpint (g_input_stream_read (in, buffer, sizeof buffer, cancellable, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_thread_join (thread);
  /* skipping reads */
  put (fds[1], "skipped");
  g_assert_cmpint (g_input_stream_skip (in, 4, NULL, &error), ==, 4);
  g_assert_cmpint (g_input_stream_read (in, buffer, sizeof buffer, NULL, &error), ==, 3);
  g_assert_cmpmem (buffer, 3, "ped", 3);
  close (fds[1]);

  /* more than a pipe holds */
  make_pipe (fds);
  out = writer (f, fds[1]);
  thread = g_thread_new ("drain", drain_thread, GINT_TO_POINTER (fds[0]));
  g_assert_true (g_output_stream_write_all (out, block, 300 * 1024, &n, NULL, &error));
  g_assert_true (g_output_stream_close (out, NULL, &error));
  g_assert_cmpuint (GPOINTER_TO_SIZE (g_thread_join (thread)), ==, 300 * 1024);
  g_assert_no_error (error);
}

static guint
count_watched (Fixture *f)
{
  g_autoptr (EvpLoopStatistics) statistics = evp_base_event_loop_get_statistics (EVP_BASE_EVENT_LOOP (f->loop));

  return evp_loop_statistics_get_fds (statistics);
}

typedef struct
{
  GThread *thread;
  gboolean told;
} Ended;

static void
ended_cb (gpointer data)
{
  Ended *ended = data;

  g_assert_false (ended->told);
  g_assert_true (g_thread_self () == ended->thread);
  ended->told = TRUE;
}

static gpointer
close_thread (gpointer stream)
{
  g_assert_true (g_output_stream_close (stream, NULL, NULL));
  return NULL;
}

static gpointer
read_end_thread (gpointer stream)
{
  char buffer[4];

  g_assert_cmpint (g_input_stream_read (stream, buffer, sizeof buffer, NULL, NULL), ==, 0);
  return NULL;
}

static gpointer
write_end_thread (gpointer stream)
{
  g_assert_cmpint (g_output_stream_write (stream, "x", 1, NULL, NULL), ==, -1);
  return NULL;
}

/* Whoever has to hear that a pipe is done with belongs to the loop's thread, and its hang-up is watched there. */
/* Rules: T-17, T-19 */
static void
test_ends_elsewhere (Fixture      *f,
                     gconstpointer data)
{
  for (int i = 0; i < 4; i++)
    {
      Ended ended = { g_thread_self (), FALSE };
      g_autoptr (GInputStream) in = NULL;
      g_autoptr (GOutputStream) out = NULL;
      int fds[2];

      make_pipe (fds);
      if (i == 0)
        {
          in = evp_pipe_input_stream_new (f->loop, fds[0]);
          evp_pipe_input_stream_set_ended_func (EVP_PIPE_INPUT_STREAM (in), ended_cb, &ended, NULL);
          close (fds[1]);
          g_thread_join (g_thread_new ("read", read_end_thread, in));
        }
      else
        {
          out = evp_pipe_output_stream_new (f->loop, fds[1]);
          evp_pipe_output_stream_set_ended_func (EVP_PIPE_OUTPUT_STREAM (out), ended_cb, &ended, NULL);
          if (i >= 2)
            evp_pipe_output_stream_watch_hang_up (EVP_PIPE_OUTPUT_STREAM (out));
          if (i != 2) /* a watch is about to find that */
            close (fds[0]);
          g_thread_join (g_thread_new ("end", i == 1 ? write_end_thread : close_thread, out));
        }
      g_assert_false (ended.told);
      evp_test_run_until (f->loop, &ended.told);
      g_assert_cmpuint (count_watched (f), ==, 0);
      if (i == 2)
        close (fds[0]);
    }
}

static gboolean
pollable_cb (GObject *stream,
             gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Rules: T-15 */
static void
test_pollable (Fixture      *f,
               gconstpointer data)
{
  g_autoptr (GInputStream) in = NULL;
  g_autoptr (GOutputStream) out = NULL;
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (f->loop);
  g_autoptr (GError) error = NULL;
  gboolean ready = FALSE;
  char buffer[65536] = { 0 };
  int fds[2];

  make_pipe (fds);
  in = reader (f, fds[0]);
  out = writer (f, fds[1]);
  g_assert_true (g_pollable_input_stream_can_poll (G_POLLABLE_INPUT_STREAM (in)));
  g_assert_false (g_pollable_input_stream_is_readable (G_POLLABLE_INPUT_STREAM (in)));
  g_assert_cmpint (g_pollable_input_stream_read_nonblocking (G_POLLABLE_INPUT_STREAM (in), buffer, 1, NULL, &error),
                   ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
  g_clear_error (&error);

  for (int i = 0; i < 2; i++)
    {
      g_autoptr (GSource) source = i == 0
        ? g_pollable_output_stream_create_source (G_POLLABLE_OUTPUT_STREAM (out), NULL)
        : g_pollable_input_stream_create_source (G_POLLABLE_INPUT_STREAM (in), NULL);

      if (i == 1)
        g_assert_cmpint (g_pollable_output_stream_write_nonblocking (G_POLLABLE_OUTPUT_STREAM (out), "p", 1,
                                                                     NULL, &error), ==, 1);
      ready = FALSE;
      g_source_set_callback (source, G_SOURCE_FUNC (pollable_cb), &ready, NULL);
      g_source_attach (source, context);
      evp_test_run_until (f->loop, &ready);
    }
  g_assert_true (g_pollable_input_stream_is_readable (G_POLLABLE_INPUT_STREAM (in)));
  g_assert_cmpint (g_pollable_input_stream_read_nonblocking (G_POLLABLE_INPUT_STREAM (in), buffer, 8, NULL, &error),
                   ==, 1);

  while (g_pollable_output_stream_is_writable (G_POLLABLE_OUTPUT_STREAM (out)))
    g_assert_cmpint (g_pollable_output_stream_write_nonblocking (G_POLLABLE_OUTPUT_STREAM (out), buffer,
                                                                 sizeof buffer, NULL, &error), >, 0);
  g_assert_cmpint (g_pollable_output_stream_write_nonblocking (G_POLLABLE_OUTPUT_STREAM (out), buffer,
                                                               sizeof buffer, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK);
}

/* Rules: T-15, T-17 */
static void
test_splice (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (GInputStream) in = NULL;
  g_autoptr (GInputStream) far = NULL;
  g_autoptr (GOutputStream) out = NULL;
  g_autoptr (GDataInputStream) lines = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) spliced = { f->loop };
  g_autofree char *line = NULL;
  int first[2], second[2];

  make_pipe (first);
  make_pipe (second);
  in = reader (f, first[0]);
  out = writer (f, second[1]);
  far = reader (f, second[0]);
  lines = g_data_input_stream_new (far);
  g_output_stream_splice_async (out, in, G_OUTPUT_STREAM_SPLICE_CLOSE_SOURCE | G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET,
                                G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &spliced);
  for (int i = 0; i < 2; i++)
    {
      g_auto (EvpTestAwait) await = { f->loop };

      put (first[1], i == 0 ? "first\nsec" : "ond\n");
      g_data_input_stream_read_line_async (lines, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
      g_free (line);
      line = g_data_input_stream_read_line_finish_utf8 (lines, evp_test_await (&await), NULL, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (line, ==, i == 0 ? "first" : "second");
    }
  close (first[1]);
  if (spliced.result == NULL)
    evp_test_await (&spliced);
  g_assert_cmpint (g_output_stream_splice_finish (out, spliced.result, &error), ==, 13);
  g_assert_no_error (error);
  g_assert_true (g_input_stream_is_closed (in));
  g_assert_true (g_output_stream_is_closed (out));
}

/* Rules: Z-4, Z-45 */
static void
test_order (Fixture      *f,
            gconstpointer data)
{
  g_autoptr (GInputStream) in = NULL;
  g_auto (EvpTestAwait) await = { f->loop };
  g_autoptr (GMainContext) other = g_main_context_new ();
  char buffer[8];
  int fds[2];

  /* The callback comes through the loop, even if another context is the thread's default. */
  make_pipe (fds);
  in = reader (f, fds[0]);
  put (fds[1], "x");
  g_main_context_push_thread_default (other);
  g_input_stream_read_async (in, buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
  g_main_context_pop_thread_default (other);
  g_assert_cmpint (g_input_stream_read_finish (in, evp_test_await (&await), NULL), ==, 1);
  close (fds[1]);
}

/* Rules: F-11, F-12 */
static void
test_descriptor_reused (Fixture      *f,
                        gconstpointer data)
{
  char buffer[8];

  /* the same numbers, over and over: what the loop knew of the former ones must be gone */
  for (int i = 0; i < 10; i++)
    {
      g_autoptr (GInputStream) in = NULL;
      int fds[2];

      make_pipe (fds);
      in = reader (f, fds[0]);
      evp_event_loop_call_soon (f->loop, post_write_cb, GINT_TO_POINTER (fds[1]), NULL, NULL);
      g_assert_cmpint (read_sync_async (f, in, buffer, sizeof buffer, NULL, NULL), ==, 5);
      close (fds[1]);
    }
}

/* Rules: F-2 */
static void
test_registration_taken (Fixture      *f,
                         gconstpointer data)
{
  g_autoptr (GInputStream) in = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };
  char buffer[8];
  int fds[2];

  make_pipe (fds);
  in = reader (f, fds[0]);
  g_input_stream_read_async (in, buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL, evp_test_ready_cb, &await);
  g_assert_true (evp_event_loop_remove_reader (f->loop, fds[0]));
  g_assert_cmpint (g_input_stream_read_finish (in, evp_test_await (&await), &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  close (fds[1]);
}

static void
closed_read_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  GError **error = user_data;

  g_assert_cmpint (g_input_stream_read_finish (G_INPUT_STREAM (source), result, error), ==, -1);
}

/* Rules: F-16, L-13, L-14 */
static void
test_loop_closed (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a closed loop");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (NULL, NULL, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) late = NULL;
  GInputStream *in;
  char buffer[8];
  int fds[2];

  make_pipe (fds);
  in = evp_event_loop_connect_read_pipe (loop, fds[0], &error);
  g_assert_no_error (error);
  g_input_stream_read_async (in, buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL, closed_read_cb, &error);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);

  /* later calls fail too; in the thread-default context, as the loop has none any more */
  g_input_stream_read_async (in, buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL, closed_read_cb, &late);
  g_assert_no_error (late);
  while (late == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_assert_error (late, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);

  g_assert_null (evp_event_loop_connect_read_pipe (loop, fds[1], &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);

  g_assert_finalize_object (in);
  g_assert_finalize_object (loop);
  close (fds[1]);
  evp_test_leaks_check (&leaks);
}

static gpointer
unref_thread (gpointer stream)
{
  g_object_unref (stream);
  return NULL;
}

/* Rules: Z-44 */
static void
test_released_elsewhere (Fixture      *f,
                         gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  GInputStream *in;
  char buffer[8];
  int fds[2];

  /* as a garbage collector does it: while the loop still knows the descriptor */
  make_pipe (fds);
  in = reader (f, fds[0]);
  evp_event_loop_call_soon (f->loop, post_write_cb, GINT_TO_POINTER (fds[1]), NULL, NULL);
  g_assert_cmpint (read_sync_async (f, in, buffer, sizeof buffer, NULL, &error), ==, 5);
  g_assert_no_error (error);
  g_thread_join (g_thread_new ("collector", unref_thread, in));
  evp_test_run_ready (f->loop);
  g_assert_cmpint (fcntl (fds[0], F_GETFD), ==, -1);
  close (fds[1]);
}

/* A selector in whose unregister() another thread drops a stream, and waits for that. */
typedef struct
{
  EvpPollSelector parent_instance;
  GInputStream *stream;
  int fd;
} DroppingSelector;

typedef EvpPollSelectorClass DroppingSelectorClass;

static GType dropping_selector_get_type (void);

G_DEFINE_TYPE (DroppingSelector, dropping_selector, EVP_TYPE_POLL_SELECTOR)

static gboolean
dropping_selector_unregister (EvpSelector *selector,
                              int          fd,
                              GError     **error)
{
  DroppingSelector *self = (DroppingSelector *) selector;

  if (self->stream != NULL)
    {
      self->fd = fd;
      g_thread_join (g_thread_new ("collector", unref_thread, g_steal_pointer (&self->stream)));
      g_assert_cmpint (fcntl (fd, F_GETFD), !=, -1);
    }
  return EVP_SELECTOR_CLASS (dropping_selector_parent_class)->unregister (selector, fd, error);
}

static void
dropping_selector_class_init (DroppingSelectorClass *klass)
{
  EVP_SELECTOR_CLASS (klass)->unregister = dropping_selector_unregister;
}

static void
dropping_selector_init (DroppingSelector *self)
{
}

/* The loop is about to let go of a descriptor, and the last user of its stream does so at the same moment. */
/* Rules: T-15, F-11 */
static void
test_released_in_middle (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a stream dropped in the middle of it");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_autoptr (GError) error = NULL;
  DroppingSelector *selector = g_object_new (dropping_selector_get_type (), NULL);
  Fixture f = { evp_selector_event_loop_new (EVP_SELECTOR (selector), NULL, &error) };
  GInputStream *in;
  char buffer[8];
  int fds[2];

  g_assert_no_error (error);
  make_pipe (fds);
  in = reader (&f, fds[0]);
  evp_event_loop_call_soon (f.loop, post_write_cb, GINT_TO_POINTER (fds[1]), NULL, NULL);
  g_assert_cmpint (read_sync_async (&f, in, buffer, sizeof buffer, NULL, &error), ==, 5);
  g_assert_no_error (error);
  /* nobody waits for this */
  put (fds[1], "more");
  selector->stream = in;
  while (selector->stream != NULL)
    evp_test_run_ready (f.loop);
  g_assert_cmpint (selector->fd, ==, fds[0]);
  evp_test_run_ready (f.loop);
  g_assert_cmpint (fcntl (fds[0], F_GETFD), ==, -1);
  close (fds[1]);

  evp_event_loop_close (f.loop, &error);
  g_assert_no_error (error);
  g_assert_finalize_object (f.loop);
  g_assert_finalize_object (selector);
  evp_test_leaks_check (&leaks);
}

/* A write has found out what the hang-up would tell: the loop watches for that no more, and the stream can go. */
/* Rules: T-19, F-11 */
static void
test_released_after_end (Fixture      *f,
                         gconstpointer data)
{
  Ended ended = { g_thread_self (), FALSE };
  GOutputStream *out;
  g_autoptr (GError) error = NULL;
  int fds[2];

  make_pipe (fds);
  out = evp_pipe_output_stream_new (f->loop, fds[1]);
  evp_pipe_output_stream_set_ended_func (EVP_PIPE_OUTPUT_STREAM (out), ended_cb, &ended, NULL);
  evp_pipe_output_stream_watch_hang_up (EVP_PIPE_OUTPUT_STREAM (out));
  g_assert_cmpuint (count_watched (f), ==, 1);
  close (fds[0]);
  g_assert_cmpint (g_output_stream_write (out, "x", 1, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE);
  g_assert_true (ended.told);
  g_assert_cmpuint (count_watched (f), ==, 0);
  g_thread_join (g_thread_new ("collector", unref_thread, out));
  evp_test_run_ready (f->loop);
  g_assert_cmpint (fcntl (fds[1], F_GETFD), ==, -1);
}

static void
nested_read_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  Fixture *f = ((gpointer *) user_data)[0];
  char buffer[8];

  g_assert_cmpint (g_input_stream_read_finish (G_INPUT_STREAM (source), result, NULL), ==, 3);
  /* a modal dialog in the callback goes on reading the same stream */
  evp_event_loop_call_soon (f->loop, post_write_cb, ((gpointer *) user_data)[1], NULL, NULL);
  g_assert_cmpint (read_sync_async (f, G_INPUT_STREAM (source), buffer, sizeof buffer, NULL, NULL), ==, 5);
  ((gpointer *) user_data)[2] = GINT_TO_POINTER (TRUE);
}

static void
post_one_cb (gpointer user_data)
{
  put (GPOINTER_TO_INT (user_data), "one");
}

/* Rules: Z-10 */
static void
test_nested (Fixture      *f,
             gconstpointer data)
{
  g_autoptr (GInputStream) in = NULL;
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (f->loop);
  gpointer args[3] = { f };
  char buffer[8];
  int fds[2];

  make_pipe (fds);
  in = reader (f, fds[0]);
  args[1] = GINT_TO_POINTER (fds[1]);
  g_input_stream_read_async (in, buffer, sizeof buffer, G_PRIORITY_DEFAULT, NULL, nested_read_cb, args);
  evp_event_loop_call_soon (f->loop, post_one_cb, args[1], NULL, NULL);
  while (args[2] == NULL)
    g_main_context_iteration (context, TRUE);
  close (fds[1]);
}

/* Rules: F-12, T-8 */
static void
test_idle (Fixture      *f,
           gconstpointer data)
{
  g_autoptr (GInputStream) in = NULL;
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (f->loop);
  char buffer[8];
  int fds[2];

  make_pipe (fds);
  in = reader (f, fds[0]);
  g_assert_cmpuint (count_watched (f), ==, 0);
  for (int i = 0; i < 2; i++)
    {
      evp_event_loop_call_soon (f->loop, post_write_cb, GINT_TO_POINTER (fds[1]), NULL, NULL);
      g_assert_cmpint (read_sync_async (f, in, buffer, sizeof buffer, NULL, NULL), ==, 5);
      g_assert_cmpuint (count_watched (f), ==, 1); /* the next read is near */
      /* data that nobody asks for does not keep the loop awake */
      put (fds[1], "nobody");
      while (count_watched (f) > 0)
        g_main_context_iteration (context, TRUE);
      g_assert_cmpint (read_sync_async (f, in, buffer, sizeof buffer, NULL, NULL), ==, 6);
    }
  close (fds[1]);
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
    { "read", test_read },
    { "kinds", test_kinds },
    { "terminal", test_terminal },
    { "write", test_write },
    { "broken-pipe", test_broken_pipe },
    { "reader-leaves", test_reader_leaves },
    { "cancel", test_cancel },
    { "pending", test_pending },
    { "synchronous", test_synchronous },
    { "ends-elsewhere", test_ends_elsewhere },
    { "pollable", test_pollable },
    { "splice", test_splice },
    { "order", test_order },
    { "descriptor-reused", test_descriptor_reused },
    { "registration-taken", test_registration_taken },
    { "released-elsewhere", test_released_elsewhere },
    { "released-after-end", test_released_after_end },
    { "nested", test_nested },
    { "idle", test_idle },
  };

  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/loop/pipe-stream/%s", tests[i].name);

      g_test_add (path, Fixture, (gconstpointer) tests[i].func, set_up, (TestFunc) evp_test_case_in_loop, tear_down);
    }
  g_test_add_func ("/evp/loop/pipe-stream/loop-closed", test_loop_closed);
  g_test_add_func ("/evp/loop/pipe-stream/released-in-middle", test_released_in_middle);
  return g_test_run ();
}
