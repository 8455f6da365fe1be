/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#ifdef __linux__
# include <sched.h>
# include <sys/mount.h>
# include <sys/xattr.h>
#endif
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Files on each proactor, by descriptor and by name. */

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpProactorEventLoop *files; /* the same */
  char *folder;
  char *path; /* in it; holds SIZE bytes of a known pattern */
  int fd;     /* open for reading and writing */
} Fixture;

#define SIZE (1024 * 1024 + 17)

static char
pattern (gsize position)
{
  return (char) (position * 7 + position / 251);
}

static GBytes *
pattern_bytes (gsize position,
               gsize length)
{
  char *data = g_malloc (length);

  for (gsize i = 0; i < length; i++)
    data[i] = pattern (position + i);
  return g_bytes_new_take (data, length);
}

static void
assert_pattern (GBytes *bytes,
                gsize   position,
                gsize   length)
{
  g_autoptr (GBytes) expected = pattern_bytes (position, length);

  g_assert_cmpuint (g_bytes_get_size (bytes), ==, length);
  g_assert_true (g_bytes_equal (bytes, expected));
}

/* Each of the functions as one that waits. */

static GBytes *
read_bytes (Fixture      *f,
            int           fd,
            gsize         count,
            gint64        offset,
            GCancellable *cancellable,
            GError      **error)
{
  g_auto (EvpTestAwait) await = { f->loop };

  evp_proactor_event_loop_read_async (f->files, fd, count, offset, cancellable, evp_test_ready_cb, &await);
  g_assert_null (await.result); /* never inside the call */
  return evp_proactor_event_loop_read_finish (f->files, evp_test_await (&await), error);
}

static gssize
write_bytes (Fixture      *f,
             int           fd,
             GBytes       *bytes,
             gint64        offset,
             GCancellable *cancellable,
             GError      **error)
{
  g_auto (EvpTestAwait) await = { f->loop };

  evp_proactor_event_loop_write_async (f->files, fd, bytes, offset, cancellable, evp_test_ready_cb, &await);
  g_assert_null (await.result);
  return evp_proactor_event_loop_write_finish (f->files, evp_test_await (&await), error);
}

static GBytes *
load (Fixture      *f,
      GFile        *file,
      GCancellable *cancellable,
      GError      **error)
{
  g_auto (EvpTestAwait) await = { f->loop };

  evp_proactor_event_loop_load_file_async (f->files, file, cancellable, evp_test_ready_cb, &await);
  g_assert_null (await.result);
  return evp_proactor_event_loop_load_file_finish (f->files, evp_test_await (&await), error);
}

static gboolean
save (Fixture      *f,
      GFile        *file,
      GBytes       *bytes,
      GCancellable *cancellable,
      GError      **error)
{
  g_auto (EvpTestAwait) await = { f->loop };

  evp_proactor_event_loop_save_file_async (f->files, file, bytes, cancellable, evp_test_ready_cb, &await);
  g_assert_null (await.result);
  return evp_proactor_event_loop_save_file_finish (f->files, evp_test_await (&await), error);
}

static void
test_read (Fixture *f)
{
  g_autoptr (GError) error = NULL;
  const struct
  {
    gsize count;
    gint64 offset;
    gsize expected;
  } cases[] = {
    { 100, 0, 100 },
    { 4096, 4000, 4096 },
    { SIZE, 0, SIZE },
    { SIZE * 2, 5, SIZE - 5 },
    { 100, SIZE - 7, 7 },
    { 100, SIZE, 0 },
    { 100, (gint64) SIZE * 1000, 0 },
    { 0, 3, 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GBytes) bytes = read_bytes (f, f->fd, cases[i].count, cases[i].offset, NULL, &error);

      g_assert_no_error (error);
      assert_pattern (bytes, (gsize) cases[i].offset, cases[i].expected);
    }

  /* where the file stands; reading at an offset has not moved it */
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GBytes) bytes = read_bytes (f, f->fd, 1000, -1, NULL, &error);

      g_assert_no_error (error);
      assert_pattern (bytes, i * 1000, 1000);
    }
}

static void
test_read_into (Fixture *f)
{
  g_autofree char *buffer = g_malloc (5000);
  g_autoptr (GError) error = NULL;
  gssize n;

  {
    g_auto (EvpTestAwait) await = { f->loop };

    evp_proactor_event_loop_read_into_async (f->files, f->fd, buffer, 5000, 77, NULL, evp_test_ready_cb, &await);
    n = evp_proactor_event_loop_read_into_finish (f->files, evp_test_await (&await), &error);
    g_assert_no_error (error);
    g_assert_cmpint (n, ==, 5000);
    for (gsize i = 0; i < 5000; i++)
      g_assert_true (buffer[i] == pattern (77 + i));
  }
  {
    g_auto (EvpTestAwait) await = { f->loop };

    evp_proactor_event_loop_read_into_async (f->files, f->fd, NULL, 0, 77, NULL, evp_test_ready_cb, &await);
    n = evp_proactor_event_loop_read_into_finish (f->files, evp_test_await (&await), &error);
    g_assert_no_error (error);
    g_assert_cmpint (n, ==, 0);
  }
  {
    g_auto (EvpTestAwait) await = { f->loop };

    evp_proactor_event_loop_read_into_async (f->files, f->fd, buffer, 10, SIZE, NULL, evp_test_ready_cb, &await);
    n = evp_proactor_event_loop_read_into_finish (f->files, evp_test_await (&await), &error);
    g_assert_no_error (error);
    g_assert_cmpint (n, ==, 0);
  }
}

static void
test_write (Fixture *f)
{
  g_autoptr (GBytes) large = pattern_bytes (3, 3 * 1024 * 1024);
  g_autoptr (GBytes) small = g_bytes_new_static ("small", 5);
  g_autoptr (GBytes) none = g_bytes_new_static ("", 0);
  g_autoptr (GBytes) back = NULL;
  g_autoptr (GError) error = NULL;
  struct stat status;

  g_assert_cmpint (write_bytes (f, f->fd, large, 3, NULL, &error), ==, 3 * 1024 * 1024);
  g_assert_no_error (error);
  back = read_bytes (f, f->fd, 4 * 1024 * 1024, 0, NULL, &error);
  assert_pattern (back, 0, 3 + 3 * 1024 * 1024);
  g_clear_pointer (&back, g_bytes_unref);

  /* where the file stands */
  g_assert_cmpint (write_bytes (f, f->fd, small, -1, NULL, &error), ==, 5);
  g_assert_cmpint (write_bytes (f, f->fd, small, -1, NULL, &error), ==, 5);
  back = read_bytes (f, f->fd, 10, 0, NULL, &error);
  g_assert_cmpmem (g_bytes_get_data (back, NULL), g_bytes_get_size (back), "smallsmall", 10);

  g_assert_cmpint (write_bytes (f, f->fd, none, 100, NULL, &error), ==, 0);
  g_assert_no_error (error);

  /* further than 4 GiB: a hole */
  g_assert_cmpint (write_bytes (f, f->fd, small, G_GINT64_CONSTANT (5) << 30, NULL, &error), ==, 5);
  g_assert_cmpint (fstat (f->fd, &status), ==, 0);
  g_assert_cmpint (status.st_size, ==, (G_GINT64_CONSTANT (5) << 30) + 5);
  g_clear_pointer (&back, g_bytes_unref);
  back = read_bytes (f, f->fd, 10, (G_GINT64_CONSTANT (5) << 30) - 2, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (back, NULL), g_bytes_get_size (back), "\0\0small", 7);
}

/* The system writes a part of it and refuses the rest. */
static void
test_write_limited (Fixture *f)
{
  g_autoptr (GBytes) bytes = pattern_bytes (0, 1000);
  g_autoptr (GError) error = NULL;
  struct rlimit before, limit;
  struct stat status;
  sigset_t signals, former;

  /* the limit sends a signal as well, to whoever has not blocked it */
  sigemptyset (&signals);
  sigaddset (&signals, SIGXFSZ);
  pthread_sigmask (SIG_BLOCK, &signals, &former);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  limit = before;
  limit.rlim_cur = SIZE + 600;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);

  g_assert_cmpint (write_bytes (f, f->fd, bytes, SIZE, NULL, &error), ==, 600);
  g_assert_no_error (error);
  g_assert_cmpint (write_bytes (f, f->fd, bytes, SIZE + 600, NULL, &error), ==, -1);
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, g_strerror (EFBIG)));

  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &before), ==, 0);
  sigpending (&signals);
  if (sigismember (&signals, SIGXFSZ) == 1)
    {
      int signum;

      sigemptyset (&signals);
      sigaddset (&signals, SIGXFSZ);
      sigwait (&signals, &signum);
    }
  pthread_sigmask (SIG_SETMASK, &former, NULL);
  g_assert_cmpint (fstat (f->fd, &status), ==, 0);
  g_assert_cmpint (status.st_size, ==, SIZE + 600);
}

/* Rules: V-15 */
static void
test_errors (Fixture *f)
{
  int directory = open (f->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int read_only = open (f->path, O_RDONLY | O_CLOEXEC);
  int full = open ("/dev/full", O_WRONLY | O_CLOEXEC);
  g_autoptr (GBytes) bytes = g_bytes_new_static ("x", 1);
  g_autoptr (GBytes) in = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_null (read_bytes (f, directory, 10, 0, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY);
  g_clear_error (&error);

  g_assert_null (read_bytes (f, f->fd, 10, -2, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);

  g_assert_null (read_bytes (f, -1, 10, 0, NULL, &error));
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
  g_clear_error (&error);

  g_assert_cmpint (write_bytes (f, read_only, bytes, 0, NULL, &error), ==, -1);
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
  g_clear_error (&error);

  g_assert_cmpint (write_bytes (f, full, bytes, -1, NULL, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_clear_error (&error);

  /* files are not pipes, and pipes are no files */
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  close (fds[0]);
  for (gint64 offset = -1; offset <= 1; offset++)
    {
      g_assert_cmpint (write_bytes (f, fds[1], bytes, offset, NULL, &error), ==, -1);
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  close (fds[1]);

  /* reading needs no place */
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  g_assert_cmpint (write (fds[1], "kept", 4), ==, 4);
  g_assert_null (read_bytes (f, fds[0], 10, 0, NULL, &error));
  g_assert_nonnull (strstr (error->message, g_strerror (ESPIPE)));
  g_clear_error (&error);
  in = read_bytes (f, fds[0], 10, -1, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (in, NULL), g_bytes_get_size (in), "kept", 4);
  close (fds[0]);
  close (fds[1]);

  g_assert_null (evp_event_loop_connect_read_pipe (f->loop, f->fd, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);

  close (directory);
  close (read_only);
  close (full);
}

static void
count_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  gpointer *args = user_data;
  Fixture *f = args[0];
  guint *n_left = args[1];
  guint index = GPOINTER_TO_UINT (args[2]);
  gboolean *finished = args[3];
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = evp_proactor_event_loop_read_finish (f->files, result, &error);

  g_assert_no_error (error);
  assert_pattern (bytes, index * 1000, 4096);
  if (--*n_left == 0)
    *finished = TRUE;
}

/* Many at once: each gets its own. */
static void
test_overlap (Fixture *f)
{
  gpointer args[500][4];
  guint n_left = 500;
  gboolean finished = FALSE;

  for (guint i = 0; i < 500; i++)
    {
      args[i][0] = f;
      args[i][1] = &n_left;
      args[i][2] = GUINT_TO_POINTER (i);
      args[i][3] = &finished;
      evp_proactor_event_loop_read_async (f->files, f->fd, 4096, i * 1000, NULL, count_cb, args[i]);
    }
  evp_test_run_until (f->loop, &finished);
}

/* One of several, which may be there already. */
static GAsyncResult *
await_one (EvpTestAwait *await)
{
  return await->result != NULL ? await->result : evp_test_await (await);
}

/* Rules: K-18 */
static void
test_cancel (Fixture *f)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GBytes) bytes = pattern_bytes (1, 1000);
  g_autoptr (GBytes) contents = NULL;
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autoptr (GError) error = NULL;

  /* before it begins: nothing happens at all */
  g_cancellable_cancel (cancellable);
  g_assert_null (read_bytes (f, f->fd, 10, -1, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_cmpint (lseek (f->fd, 0, SEEK_CUR), ==, 0);
  g_assert_cmpint (write_bytes (f, f->fd, bytes, 0, cancellable, &error), ==, -1);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_null (load (f, file, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_false (save (f, file, bytes, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  contents = read_bytes (f, f->fd, SIZE + 1, 0, NULL, &error);
  assert_pattern (contents, 0, SIZE);

  /* while it is under way: it ends either way, and only once; twenty times to meet it in different places */
  for (guint i = 0; i < 20; i++)
    {
      g_auto (EvpTestAwait) await = { f->loop };
      g_auto (EvpTestAwait) loading = { f->loop };
      g_auto (EvpTestAwait) saving = { f->loop };
      g_autoptr (GBytes) read = NULL;
      g_autoptr (GBytes) loaded = NULL;
      int n_ended;

      g_cancellable_reset (cancellable);
      evp_proactor_event_loop_read_async (f->files, f->fd, SIZE, 0, cancellable, evp_test_ready_cb, &await);
      evp_proactor_event_loop_load_file_async (f->files, file, cancellable, evp_test_ready_cb, &loading);
      evp_proactor_event_loop_save_file_async (f->files, file, contents, cancellable, evp_test_ready_cb, &saving);
      for (guint j = 0; j < i; j++)
        g_main_context_iteration (NULL, FALSE);
      if (i % 2 == 1)
        evp_test_run_ready (f->loop);
      n_ended = (await.result != NULL) + (loading.result != NULL) + (saving.result != NULL);
      g_cancellable_cancel (cancellable);
      /* inside the call nobody is told */
      g_assert_cmpint ((await.result != NULL) + (loading.result != NULL) + (saving.result != NULL), ==, n_ended);

      read = evp_proactor_event_loop_read_finish (f->files, await_one (&await), &error);
      if (read == NULL)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      else
        assert_pattern (read, 0, SIZE);
      g_clear_error (&error);
      loaded = evp_proactor_event_loop_load_file_finish (f->files, await_one (&loading), &error);
      if (loaded == NULL)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      else
        assert_pattern (loaded, 0, SIZE);
      g_clear_error (&error);
      if (!evp_proactor_event_loop_save_file_finish (f->files, await_one (&saving), &error))
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
    }
}

/* Leaves a name that nobody listens at. */
static void
bind_socket (const char *path)
{
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (g_socket_bind (socket, address, FALSE, &error));
  g_assert_no_error (error);
}

static void
test_load (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autoptr (GFile) folder = g_file_new_for_path (f->folder);
  g_autoptr (GFile) missing = g_file_get_child (folder, "missing");
  g_autoptr (GFile) empty = g_file_get_child (folder, "empty");
  g_autoptr (GFile) pipe = g_file_get_child (folder, "pipe");
  g_autoptr (GFile) socket_file = g_file_get_child (folder, "socket");
  g_autoptr (GFile) sizeless = g_file_new_for_path ("/proc/self/status");
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GBytes) nothing = NULL;
  g_autoptr (GBytes) text = NULL;
  g_autoptr (GError) error = NULL;

  bytes = load (f, file, NULL, &error);
  g_assert_no_error (error);
  assert_pattern (bytes, 0, SIZE);

  g_assert_true (g_file_set_contents (g_file_peek_path (empty), "", 0, NULL));
  nothing = load (f, empty, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (nothing), ==, 0);

  /* one that says that it is empty, and is not */
  text = load (f, sizeless, NULL, &error);
  g_assert_no_error (error);
  g_assert_nonnull (g_strstr_len (g_bytes_get_data (text, NULL), (gssize) g_bytes_get_size (text), "\nThreads:"));

  g_assert_null (load (f, missing, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, g_file_peek_path (missing)));
  g_clear_error (&error);

  g_assert_null (load (f, folder, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY);
  g_clear_error (&error);

  /* nobody is at its other end, and nobody waits for him */
  g_assert_cmpint (mkfifo (g_file_peek_path (pipe), 0600), ==, 0);
  g_assert_null (load (f, pipe, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE);
  g_clear_error (&error);

  /* nor is a socket one */
  bind_socket (g_file_peek_path (socket_file));
  g_assert_null (load (f, socket_file, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE);
}

/* A file of more bytes than there are addresses, most of which it does not really have. */
static void
test_load_huge (Fixture *f)
{
  const gint64 sizes[] = { G_MAXINT64, (G_GINT64_CONSTANT (1) << 32) + 3, G_GINT64_CONSTANT (1) << 31 };
  char path[] = "/dev/shm/evp-XXXXXX"; /* other file systems have smaller limits */
  g_autoptr (GFile) file = NULL;
  int fd = g_mkstemp (path);

  if (fd < 0 || ftruncate (fd, G_MAXINT64) != 0)
    {
      g_test_skip ("there is no file system for a file as large as this");
    }
  else
    {
      file = g_file_new_for_path (path);
      for (guint i = 0; i < (sizeof (gsize) < sizeof (gint64) ? G_N_ELEMENTS (sizes) : 1); i++)
        {
          g_autoptr (GError) error = NULL;

          g_assert_cmpint (ftruncate (fd, sizes[i]), ==, 0);
          g_assert_null (load (f, file, NULL, &error));
          g_assert_error (error, G_IO_ERROR, (int) g_io_error_from_errno (EFBIG));
          g_assert_nonnull (strstr (error->message, g_strerror (EFBIG)));
        }
    }
  if (fd >= 0)
    {
      close (fd);
      g_unlink (path);
    }
}

static guint
count_names (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  return n;
}

static void
assert_contents (const char *path,
                 GBytes     *expected)
{
  g_autofree char *contents = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (path, &contents, &length, NULL));
  g_assert_cmpmem (contents, length, g_bytes_get_data (expected, NULL), g_bytes_get_size (expected));
}

static void
test_save (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autoptr (GFile) folder = g_file_new_for_path (f->folder);
  g_autoptr (GFile) fresh = g_file_get_child (folder, "fresh");
  g_autoptr (GFile) link = g_file_get_child (folder, "link");
  g_autoptr (GFile) twin = g_file_get_child (folder, "twin");
  g_autoptr (GFile) nowhere = g_file_get_child (folder, "no/where");
  g_autoptr (GFile) pipe = g_file_get_child (folder, "pipe");
  g_autoptr (GBytes) bytes = pattern_bytes (9, 300000);
  g_autoptr (GBytes) none = g_bytes_new_static ("", 0);
  g_autoptr (GBytes) old = NULL;
  g_autoptr (GError) error = NULL;
  struct stat before, after;

  /* a new one */
  g_assert_true (save (f, fresh, bytes, NULL, &error));
  g_assert_no_error (error);
  assert_contents (g_file_peek_path (fresh), bytes);
  g_assert_true (save (f, fresh, none, NULL, &error));
  assert_contents (g_file_peek_path (fresh), none);

  /* in the place of an old one, of which whoever has it open still sees all */
  g_assert_cmpint (chmod (f->path, 0640), ==, 0);
  g_assert_true (save (f, file, bytes, NULL, &error));
  g_assert_no_error (error);
  assert_contents (f->path, bytes);
  g_assert_cmpint (stat (f->path, &after), ==, 0);
  g_assert_cmpint (after.st_mode & 07777, ==, 0640);
  old = read_bytes (f, f->fd, SIZE + 1, 0, NULL, &error);
  assert_pattern (old, 0, SIZE);

  /* through a link */
  g_assert_cmpint (symlink (f->path, g_file_peek_path (link)), ==, 0);
  g_assert_true (save (f, link, none, NULL, &error));
  g_assert_no_error (error);
  assert_contents (f->path, none);
  g_assert_cmpint (lstat (g_file_peek_path (link), &after), ==, 0);
  g_assert_true (S_ISLNK (after.st_mode));

  /* one with two names keeps both */
  g_assert_cmpint (linkat (AT_FDCWD, f->path, AT_FDCWD, g_file_peek_path (twin), 0), ==, 0);
  g_assert_cmpint (stat (f->path, &before), ==, 0);
  g_assert_true (save (f, file, bytes, NULL, &error));
  assert_contents (g_file_peek_path (twin), bytes);
  g_assert_cmpint (stat (f->path, &after), ==, 0);
  g_assert_cmpuint (before.st_ino, ==, after.st_ino);

  g_assert_false (save (f, nowhere, bytes, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (save (f, folder, bytes, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY);
  g_clear_error (&error);
  g_assert_cmpint (mkfifo (g_file_peek_path (pipe), 0600), ==, 0);
  g_assert_false (save (f, pipe, bytes, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE);
  g_clear_error (&error);

  /* file, fresh, link, twin, pipe: nothing is left of what served to make them */
  g_assert_cmpuint (count_names (f->folder), ==, 5);
}

/* Until the thread has let go of a save that was cancelled. */
static void
await_threads (Fixture *f)
{
  g_auto (EvpTestAwait) await = { f->loop };
  g_autoptr (GError) error = NULL;

  evp_event_loop_shutdown_default_executor_async (f->loop, -1, NULL, evp_test_ready_cb, &await);
  g_assert_true (evp_event_loop_shutdown_default_executor_finish (f->loop, evp_test_await (&await), &error));
  g_assert_no_error (error);
}

/* One that is cancelled before anything was written has changed nothing, also where it would write over the old one. */
/* Rules: K-18 */
static void
test_save_cancelled (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autofree char *twin = g_build_filename (f->folder, "twin", NULL);
  g_autoptr (GBytes) bytes = pattern_bytes (4, 1000);
  g_autoptr (GBytes) old = pattern_bytes (0, SIZE);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };

  g_assert_cmpint (link (f->path, twin), ==, 0);
  evp_proactor_event_loop_save_file_async (f->files, file, bytes, cancellable, evp_test_ready_cb, &await);
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_proactor_event_loop_save_file_finish (f->files, evp_test_await (&await), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  await_threads (f);
  assert_contents (f->path, old);
}

/* What is written over a longer one has no rest of it. */
static void
test_save_shorter (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autofree char *twin = g_build_filename (f->folder, "twin", NULL);
  g_autoptr (GBytes) none = g_bytes_new_static ("", 0);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (link (f->path, twin), ==, 0);
  for (gsize size = SIZE - 1; size > 0; size /= 1000)
    {
      g_autoptr (GBytes) bytes = pattern_bytes (4, size);

      g_assert_true (save (f, file, bytes, NULL, &error));
      g_assert_no_error (error);
      assert_contents (twin, bytes);
    }
  g_assert_true (save (f, file, none, NULL, &error));
  assert_contents (twin, none);
}

/* A link to what does not exist yet stays one: saving makes what it points to. */
static void
test_save_dangling (Fixture *f)
{
  g_autoptr (GFile) folder = g_file_new_for_path (f->folder);
  g_autoptr (GFile) link = g_file_get_child (folder, "link");
  g_autoptr (GFile) second = g_file_get_child (folder, "second");
  g_autoptr (GFile) target = g_file_get_child (folder, "target");
  g_autoptr (GFile) circle = g_file_get_child (folder, "circle");
  g_autoptr (GBytes) bytes = pattern_bytes (4, 1000);
  g_autoptr (GError) error = NULL;
  struct stat status;

  /* one by its full name, one by what it is called beside the link */
  g_assert_cmpint (symlink (g_file_peek_path (second), g_file_peek_path (link)), ==, 0);
  g_assert_cmpint (symlink ("target", g_file_peek_path (second)), ==, 0);
  g_assert_true (save (f, link, bytes, NULL, &error));
  g_assert_no_error (error);
  assert_contents (g_file_peek_path (target), bytes);
  g_assert_cmpint (lstat (g_file_peek_path (link), &status), ==, 0);
  g_assert_true (S_ISLNK (status.st_mode));
  g_assert_cmpint (lstat (g_file_peek_path (second), &status), ==, 0);
  g_assert_true (S_ISLNK (status.st_mode));
  g_assert_cmpint (lstat (g_file_peek_path (target), &status), ==, 0);
  g_assert_true (S_ISREG (status.st_mode));

  g_assert_cmpint (symlink ("circle", g_file_peek_path (circle)), ==, 0);
  g_assert_false (save (f, circle, bytes, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_LINKS);
  /* and the file of the fixture */
  g_assert_cmpuint (count_names (f->folder), ==, 5);
}

/* Who may read a file by its group may read it afterwards, too. */
static void
test_save_group (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autoptr (GBytes) bytes = pattern_bytes (4, 1000);
  g_autoptr (GError) error = NULL;
  gid_t groups[64];
  gid_t other = (gid_t) -1;
  int n = getgroups (G_N_ELEMENTS (groups), groups);
  struct stat status;

  for (int i = 0; i < n; i++)
    if (groups[i] != getegid ())
      other = groups[i];
  if (geteuid () == 0)
    other = 12345;
  if (other == (gid_t) -1 || chown (f->path, (uid_t) -1, other) != 0)
    {
      g_test_skip ("this user is in one group only");
      return;
    }
  g_assert_cmpint (chmod (f->path, 0640), ==, 0);
  g_assert_true (save (f, file, bytes, NULL, &error));
  g_assert_no_error (error);
  assert_contents (f->path, bytes);
  g_assert_cmpint (stat (f->path, &status), ==, 0);
  g_assert_cmpuint (status.st_gid, ==, other);
  g_assert_cmpint (status.st_mode & 07777, ==, 0640);
  g_assert_cmpuint (count_names (f->folder), ==, 1);
}

/* Who had the rights of another user while it ran had them for its old contents. */
static void
test_save_rights (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autofree char *twin = g_build_filename (f->folder, "twin", NULL);
  g_autoptr (GBytes) bytes = pattern_bytes (4, 1000);
  g_autoptr (GBytes) none = g_bytes_new_static ("", 0);
  g_autoptr (GError) error = NULL;
  struct stat status;

  /* one that is replaced, and then one that is written over */
  for (guint i = 0; i < 4; i++)
    {
      GBytes *contents = i % 2 == 0 ? bytes : none;

      if (i == 2)
        g_assert_cmpint (link (f->path, twin), ==, 0);
      g_assert_cmpint (chmod (f->path, 06751), ==, 0);
      g_assert_true (save (f, file, contents, NULL, &error));
      g_assert_no_error (error);
      assert_contents (f->path, contents);
      g_assert_cmpint (stat (f->path, &status), ==, 0);
      g_assert_cmpint (status.st_mode & 07777, ==, 0751);
    }
}

/* Nor has what is in the middle of being written over, and stays so when that fails; before that it has them still. */
static void
test_save_rights_fails (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autofree char *twin = g_build_filename (f->folder, "twin", NULL);
  g_autofree char *contents = NULL;
  g_autoptr (GBytes) bytes = pattern_bytes (4, 2 * SIZE);
  g_autoptr (GBytes) old = pattern_bytes (0, SIZE);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (EvpTestAwait) await = { f->loop };
  struct rlimit before, limit;
  void (*handler) (int) = signal (SIGXFSZ, SIG_IGN);
  struct stat status;
  gsize length;

  g_assert_cmpint (link (f->path, twin), ==, 0);
  g_assert_cmpint (chmod (f->path, 06751), ==, 0);
  evp_proactor_event_loop_save_file_async (f->files, file, bytes, cancellable, evp_test_ready_cb, &await);
  g_cancellable_cancel (cancellable);
  g_assert_false (evp_proactor_event_loop_save_file_finish (f->files, evp_test_await (&await), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_cmpint (stat (f->path, &status), ==, 0);
  g_assert_cmpint (status.st_mode & 07777, ==, 06751);
  assert_contents (f->path, old);

  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  limit = before;
  limit.rlim_cur = SIZE + 600;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  g_assert_false (save (f, file, bytes, NULL, &error));
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &before), ==, 0);
  signal (SIGXFSZ, handler);
  g_assert_nonnull (strstr (error->message, g_strerror (EFBIG)));
  g_assert_cmpint (stat (f->path, &status), ==, 0);
  g_assert_cmpint (status.st_mode & 07777, ==, 0751);
  g_assert_true (g_file_get_contents (f->path, &contents, &length, NULL));
  g_assert_cmpmem (contents, length, g_bytes_get_data (bytes, NULL), SIZE + 600);
  await_threads (f);
}

#ifdef __linux__
# define ACL_NAME "system.posix_acl_access"

/* The owner and user 12345 may write, the group may read. Says stat(): the group may write, because that is the mask. */
static gboolean
set_acl (const char *path,
         const char *name)
{
  const struct
  {
    guint32 version;
    struct
    {
      guint16 tag, permissions;
      guint32 id;
    } entries[5];
  } acl = {
    GUINT32_TO_LE (2),
    { { GUINT16_TO_LE (0x01), GUINT16_TO_LE (6), G_MAXUINT32 },
      { GUINT16_TO_LE (0x02), GUINT16_TO_LE (6), GUINT32_TO_LE (12345) },
      { GUINT16_TO_LE (0x04), GUINT16_TO_LE (4), G_MAXUINT32 },
      { GUINT16_TO_LE (0x10), GUINT16_TO_LE (6), G_MAXUINT32 },
      { GUINT16_TO_LE (0x20), GUINT16_TO_LE (0), G_MAXUINT32 } },
  };

  return setxattr (path, name, &acl, sizeof acl, 0) == 0;
}

/* Who may do what by an access control list may do that afterwards, and nobody else. */
static void
test_save_acl (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autofree char *path = g_build_filename (f->folder, "other", NULL);
  g_autoptr (GFile) other = g_file_new_for_path (path);
  g_autoptr (GBytes) bytes = pattern_bytes (4, 1000);
  g_autoptr (GError) error = NULL;
  char before[256], after[256];
  gssize length;

  /* one without, in a folder that would give it one */
  g_assert_true (g_file_set_contents (path, "old", -1, NULL));
  g_assert_cmpint (chmod (path, 0660), ==, 0);
  if (!set_acl (f->path, ACL_NAME) || !set_acl (f->folder, "system.posix_acl_default"))
    {
      g_test_skip ("this file system has no access control lists");
      return;
    }
  g_assert_true (save (f, other, bytes, NULL, &error));
  g_assert_no_error (error);
  assert_contents (path, bytes);
  g_assert_cmpint (getxattr (path, ACL_NAME, after, sizeof after), ==, -1);

  length = getxattr (f->path, ACL_NAME, before, sizeof before);
  g_assert_cmpint (length, >, 0);
  g_assert_true (save (f, file, bytes, NULL, &error));
  g_assert_no_error (error);
  assert_contents (f->path, bytes);
  g_assert_cmpint (getxattr (f->path, ACL_NAME, after, sizeof after), ==, length);
  g_assert_cmpmem (before, (gsize) length, after, (gsize) length);
  g_assert_cmpuint (count_names (f->folder), ==, 2);
}

/* For this process only, of which nobody else sees anything. */
static gboolean
mount_alone (const char *source,
             const char *target)
{
  return unshare (CLONE_NEWNS) == 0 && mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
         && mount (source, target, NULL, MS_BIND, NULL) == 0;
}

static gboolean
may_mount (const char *source,
           const char *target)
{
  int status = -1;
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    evp_test_exit_forked (mount_alone (source, target) ? 0 : 1);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return WIFEXITED (status) && WEXITSTATUS (status) == 0;
}

/* A file on which another was mounted, as containers have them, cannot be replaced. It is written over. */
static void
test_save_mount (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autofree char *source = g_build_filename (f->folder, "source", NULL);
  g_autoptr (GBytes) bytes = pattern_bytes (4, 100000);
  g_autoptr (GBytes) none = g_bytes_new_static ("", 0);
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (source, "something that is longer than nothing", -1, NULL));
  if (!may_mount (source, f->path))
    {
      g_test_skip ("mounting in a name space of one's own is not permitted");
      return;
    }
  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }
  g_assert_true (mount_alone (source, f->path));
  g_assert_true (save (f, file, bytes, NULL, &error));
  g_assert_no_error (error);
  assert_contents (source, bytes);
  g_assert_true (save (f, file, none, NULL, &error));
  g_assert_no_error (error);
  assert_contents (source, none);

  /* nor in a folder that can only be read, in which nothing can be made either */
  g_assert_cmpint (mount (f->folder, f->folder, NULL, MS_BIND | MS_REC, NULL), ==, 0);
  g_assert_cmpint (mount (NULL, f->folder, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), ==, 0);
  g_assert_true (save (f, file, bytes, NULL, &error));
  g_assert_no_error (error);
  assert_contents (f->path, bytes);
  g_assert_cmpint (umount (f->path), ==, 0);
  g_assert_cmpint (umount (f->folder), ==, 0);
  g_assert_cmpint (umount (f->path), ==, 0);
  assert_contents (source, bytes);
  g_assert_cmpuint (count_names (f->folder), ==, 2);
}
#endif

/* One that fails on the way leaves the old contents. */
static void
test_save_fails (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autoptr (GBytes) bytes = pattern_bytes (1, 2 * SIZE);
  g_autoptr (GBytes) old = pattern_bytes (0, SIZE);
  g_autoptr (GError) error = NULL;
  struct rlimit before, limit;
  void (*handler) (int) = signal (SIGXFSZ, SIG_IGN);

  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &before), ==, 0);
  limit = before;
  limit.rlim_cur = SIZE;
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &limit), ==, 0);
  g_assert_false (save (f, file, bytes, NULL, &error));
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &before), ==, 0);
  signal (SIGXFSZ, handler);
  g_assert_nonnull (strstr (error->message, g_strerror (EFBIG)));
  assert_contents (f->path, old);
  g_assert_cmpuint (count_names (f->folder), ==, 1);
}

/* What has no name here is left to GIO. */
static void
test_elsewhere (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_uri ("resource:///org/evp/test/test-loop-files.gresource.xml");
  g_autoptr (GFile) missing = g_file_new_for_uri ("resource:///org/evp/test/missing");
  g_autofree char *same = g_test_build_filename (G_TEST_DIST, "loop", "test-loop-files.gresource.xml", NULL);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;

  bytes = load (f, file, NULL, &error);
  g_assert_no_error (error);
  assert_contents (same, bytes);

  g_assert_null (load (f, missing, NULL, &error));
  g_assert_error (error, G_RESOURCE_ERROR, G_RESOURCE_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (save (f, file, bytes, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
}

/* Another thread has the loop's main context for a moment, before the loop runs. */
/* Rules: V-5 */
static void
test_elsewhere_occupied (Fixture *f)
{
  g_autoptr (GFile) file = g_file_new_for_uri ("resource:///org/evp/test/test-loop-files.gresource.xml");
  g_autofree char *same = g_test_build_filename (G_TEST_DIST, "loop", "test-loop-files.gresource.xml", NULL);
  g_autoptr (GError) error = NULL;

  for (int i = 0; i < 3; i++)
    {
      g_auto (EvpTestAwait) loading = { f->loop };
      g_auto (EvpTestAwait) saving = { f->loop };
      EvpTestOccupation *occupation = evp_test_occupy (f->loop);
      g_autoptr (GBytes) none = pattern_bytes (0, 10);
      g_autoptr (GBytes) bytes = NULL;

      evp_event_loop_set_debug (f->loop, i == 1);
      evp_proactor_event_loop_load_file_async (f->files, file, NULL, evp_test_ready_cb, &loading);
      evp_proactor_event_loop_save_file_async (f->files, file, none, NULL, evp_test_ready_cb, &saving);
      evp_test_occupation_end (occupation);
      if (i == 2)
        g_assert_true (evp_event_loop_close (f->loop, NULL));
      while (loading.result == NULL)
        evp_test_await (&loading);
      while (saving.result == NULL)
        evp_test_await (&saving);
      bytes = evp_proactor_event_loop_load_file_finish (f->files, loading.result, &error);
      if (i < 2)
        assert_contents (same, bytes);
      else
        g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
      g_clear_error (&error);
      g_assert_false (evp_proactor_event_loop_save_file_finish (f->files, saving.result, &error));
      if (i < 2)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
      else
        g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
      g_clear_error (&error);
    }
}

typedef struct
{
  Fixture *f;
  guint n_done;
  guint n_closed;
} Closing;

static void
closed_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  Closing *closing = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = evp_proactor_event_loop_read_finish (closing->f->files, result, &error);

  closing->n_done++;
  if (bytes == NULL)
    {
      g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
      closing->n_closed++;
    }
}

static void
load_closed_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  Closing *closing = user_data;
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_proactor_event_loop_load_file_finish (closing->f->files, result, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  closing->n_done++;
}

static void
save_closed_cb (GObject      *source,
                GAsyncResult *result,
                gpointer      user_data)
{
  Closing *closing = user_data;
  g_autoptr (GError) error = NULL;

  g_assert_false (evp_proactor_event_loop_save_file_finish (closing->f->files, result, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  closing->n_done++;
}

/* Rules: V-5 */
static void
test_close (Fixture *f)
{
  Closing closing = { f };
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autoptr (GBytes) bytes = pattern_bytes (0, SIZE);

  for (guint i = 0; i < 300; i++)
    evp_proactor_event_loop_read_async (f->files, f->fd, 64 * 1024, i, NULL, closed_cb, &closing);
  evp_proactor_event_loop_load_file_async (f->files, file, NULL, load_closed_cb, &closing);
  evp_proactor_event_loop_save_file_async (f->files, file, bytes, NULL, save_closed_cb, &closing);
  g_assert_true (evp_event_loop_close (f->loop, NULL));
  g_assert_cmpuint (closing.n_done, ==, 302);
  g_test_message ("%u of 300 reads were under way or done", 300 - closing.n_closed);

  /* afterwards it says so, in the main context, for there is no loop */
  evp_proactor_event_loop_load_file_async (f->files, file, NULL, load_closed_cb, &closing);
  evp_proactor_event_loop_read_async (f->files, f->fd, 10, 0, NULL, closed_cb, &closing);
  g_assert_cmpuint (closing.n_done, ==, 302);
  while (closing.n_done < 304)
    g_main_context_iteration (NULL, TRUE);
}

typedef struct
{
  guint n_done;
  GError *error;
  GBytes *bytes;
} Forked;

static void
forked_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  Forked *forked = user_data;

  forked->n_done++;
  forked->bytes = evp_proactor_event_loop_read_finish (EVP_PROACTOR_EVENT_LOOP (source), result, &forked->error);
}

/* The child of fork() ends what it knows of; the parent's requests go on. */
/* Rules: V-5 */
static void
test_fork (Fixture *f)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Forked first = { 0 }, second = { 0 };
  int status;
  pid_t pid;

  evp_proactor_event_loop_read_async (f->files, f->fd, 100, 7, cancellable, forked_cb, &first);
  evp_proactor_event_loop_read_async (f->files, f->fd, 100, 9, NULL, forked_cb, &second);
  pid = fork ();
  if (pid == 0)
    {
      alarm (30);
      g_cancellable_cancel (cancellable);
      if (!evp_event_loop_close (f->loop, NULL))
        evp_test_exit_forked (1);
      if (first.n_done != 1 || !g_error_matches (first.error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED))
        evp_test_exit_forked (2);
      if (second.n_done != 1 || !g_error_matches (second.error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED))
        evp_test_exit_forked (3);
      evp_test_exit_forked (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);

  while (first.n_done == 0 || second.n_done == 0)
    g_main_context_iteration (evp_base_event_loop_get_main_context (EVP_BASE_EVENT_LOOP (f->loop)), TRUE);
  assert_pattern (first.bytes, 7, 100);
  assert_pattern (second.bytes, 9, 100);
  g_bytes_unref (first.bytes);
  g_bytes_unref (second.bytes);
}

/* A loop that somebody else iterates. */
static void
test_adopted (Fixture *f)
{
  g_autoptr (EvpProactor) proactor = g_object_new (G_OBJECT_TYPE (evp_proactor_event_loop_get_proactor (f->files)), NULL);
  EvpAbstractEventLoop *loop = g_object_new (G_OBJECT_TYPE (f->loop), "main-context", g_main_context_default (),
                                             "proactor", proactor, NULL);
  EvpAbstractEventLoop *own = f->loop;
  EvpProactorEventLoop *files = f->files;
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autoptr (GError) error = NULL;
  GAsyncResult *result;

  f->loop = loop;
  f->files = EVP_PROACTOR_EVENT_LOOP (loop);
  {
    EvpTestAwait await = { loop };

    evp_proactor_event_loop_load_file_async (f->files, file, NULL, evp_test_ready_cb, &await);
    while (await.result == NULL)
      g_main_context_iteration (NULL, TRUE);
    result = await.result;
    {
      g_autoptr (GBytes) bytes = evp_proactor_event_loop_load_file_finish (f->files, result, &error);

      g_assert_no_error (error);
      assert_pattern (bytes, 0, SIZE);
    }
    evp_test_await_clear (&await);
  }
  g_assert_true (evp_event_loop_close (loop, NULL));
  f->loop = own;
  f->files = files;
  g_object_unref (loop);
}

typedef struct
{
  EvpAbstractEventLoop *loop; /* a weak pointer, then a reference */
  guint n_done;
} Dropped;

static void
dropped_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Dropped *dropped = user_data;

  g_assert_true (source == G_OBJECT (dropped->loop));
  g_assert_cmpint (evp_proactor_event_loop_read_into_finish (EVP_PROACTOR_EVENT_LOOP (source), result, NULL), ==, 10);
  if (++dropped->n_done < 3)
    return;
  g_object_remove_weak_pointer (source, (gpointer *) &dropped->loop);
  g_object_ref (source);
}

/* Requests keep the loop until the last of them has called back. */
/* Rules: V-5 */
static void
test_dropped (Fixture *f)
{
  Dropped dropped = { g_object_new (G_OBJECT_TYPE (f->loop), "main-context", g_main_context_default (), NULL) };
  EvpProactorEventLoop *files = EVP_PROACTOR_EVENT_LOOP (dropped.loop);
  char buffer[3][10];

  for (guint i = 0; i < 3; i++)
    evp_proactor_event_loop_read_into_async (files, f->fd, buffer[i], 10, i, NULL, dropped_cb, &dropped);
  g_object_add_weak_pointer (G_OBJECT (files), (gpointer *) &dropped.loop);
  g_object_unref (files);
  while (dropped.n_done < 3)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (evp_event_loop_close (dropped.loop, NULL));
  g_assert_finalize_object (dropped.loop);
}

typedef struct
{
  const char *name;
  void (*run) (Fixture *fixture);
} Case;

static const Case cases[] = {
  { "read", test_read },
  { "read-into", test_read_into },
  { "write", test_write },
  { "write-limited", test_write_limited },
  { "errors", test_errors },
  { "overlap", test_overlap },
  { "cancel", test_cancel },
  { "load", test_load },
  { "load-huge", test_load_huge },
  { "save", test_save },
  { "save-fails", test_save_fails },
  { "save-cancelled", test_save_cancelled },
  { "save-shorter", test_save_shorter },
  { "save-dangling", test_save_dangling },
  { "save-group", test_save_group },
  { "save-rights", test_save_rights },
  { "save-rights-fails", test_save_rights_fails },
#ifdef __linux__
  { "save-acl", test_save_acl },
  { "save-mount", test_save_mount },
#endif
  { "elsewhere", test_elsewhere },
  { "elsewhere-occupied", test_elsewhere_occupied },
  { "close", test_close },
  { "fork", test_fork },
  { "adopted", test_adopted },
  { "dropped", test_dropped },
};

typedef struct
{
  const Case *what;
  EvpProactor *(*make) (GError **error);
} Entry;

static void
remove_all (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename (folder, name, NULL);

      g_unlink (path);
    }
  g_rmdir (folder);
}

static void
run_case (gconstpointer data)
{
  const Entry *entry = data;
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, entry->what->name);
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  Fixture f = { NULL };
  g_autoptr (GBytes) contents = pattern_bytes (0, SIZE);
  g_autoptr (GError) error = NULL;
  EvpProactor *proactor = entry->make (&error);

  g_assert_no_error (error);
  f.loop = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
  g_object_unref (proactor);
  f.files = EVP_PROACTOR_EVENT_LOOP (f.loop);
  f.folder = g_dir_make_tmp ("evp-files-XXXXXX", &error);
  g_assert_no_error (error);
  f.path = g_build_filename (f.folder, "file", NULL);
  g_assert_true (g_file_set_contents (f.path, g_bytes_get_data (contents, NULL), SIZE, NULL));
  f.fd = open (f.path, O_RDWR | O_CLOEXEC);
  g_assert_cmpint (f.fd, >=, 0);

  /* those that close the loop, or bring another one, do not run inside it */
  if (entry->what->run == test_close || entry->what->run == test_fork || entry->what->run == test_adopted
      || entry->what->run == test_dropped || entry->what->run == test_elsewhere_occupied)
    entry->what->run (&f);
  else
    evp_test_run_case_in_loop (f.loop, (GTestFixtureFunc) (void (*) (void)) entry->what->run, &f);

  g_assert_true (evp_event_loop_close (f.loop, NULL));
  /* the executor's threads may still be on their way out, and hold the loop */
  evp_test_wait_for_threads (leaks.threads);
  g_assert_finalize_object (f.loop);
  /* what a thread lets go of after its loop was closed */
  while (g_main_context_iteration (NULL, FALSE))
    ;
  close (f.fd);
  remove_all (f.folder);
  g_free (f.path);
  g_free (f.folder);
  evp_test_leaks_check (&leaks);
}

/* Not allocated: a process that runs one of them only would leak the others. */
static Entry gio_entries[G_N_ELEMENTS (cases)], uring_entries[G_N_ELEMENTS (cases)];

static void
add_cases (const char   *name,
           Entry        *entries,
           EvpProactor *(*make) (GError **error))
{
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/loop/files/%s/%s", name, cases[i].name);

      entries[i] = (Entry) { &cases[i], make };
      g_test_add_data_func (path, &entries[i], run_case);
    }
}

static EvpProactor *
make_gio (GError **error)
{
  return evp_gio_proactor_new ();
}

/* A proactor that can do nothing: what is left is done by readiness, which files do not have. */
#define TEST_TYPE_PROACTOR (test_proactor_get_type ())
G_DECLARE_FINAL_TYPE (TestProactor, test_proactor, TEST, PROACTOR, EvpProactor)

struct _TestProactor
{
  EvpProactor parent_instance;
};

G_DEFINE_FINAL_TYPE (TestProactor, test_proactor, EVP_TYPE_PROACTOR)

static void
test_proactor_class_init (TestProactorClass *klass)
{
}

static void
test_proactor_init (TestProactor *self)
{
}

static EvpProactor *
make_incapable (GError **error)
{
  return g_object_new (TEST_TYPE_PROACTOR, NULL);
}

static void
test_not_supported (Fixture *f)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static ("x", 1);
  g_autoptr (GError) error = NULL;

  g_assert_null (read_bytes (f, f->fd, 10, 0, NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "EvpProactorEventLoop"));
  g_assert_nonnull (strstr (error->message, "read_async"));
  g_clear_error (&error);
  g_assert_cmpint (write_bytes (f, f->fd, bytes, 0, NULL, &error), ==, -1);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "write_async"));
}

/* A proactor that writes little at a time, as a full disk or a network does, and cancels after its second write. */
#define TEST_TYPE_SHORT_PROACTOR (test_short_proactor_get_type ())
G_DECLARE_FINAL_TYPE (TestShortProactor, test_short_proactor, TEST, SHORT_PROACTOR, EvpProactor)

struct _TestShortProactor
{
  EvpProactor parent_instance;

  GCancellable *cancellable;
  guint n_writes;
};

G_DEFINE_FINAL_TYPE (TestShortProactor, test_short_proactor, EVP_TYPE_PROACTOR)

static gboolean
test_short_proactor_supports (EvpProactor     *proactor,
                              EvpOperationKind kind)
{
  return kind == EVP_OPERATION_WRITE;
}

static gboolean
test_short_proactor_submit (EvpProactor  *proactor,
                            EvpOperation *operation,
                            GError      **error)
{
  TestShortProactor *self = TEST_SHORT_PROACTOR (proactor);
  g_autoptr (GBytes) bytes = evp_operation_copy_data (operation);
  gssize n = pwrite (evp_operation_get_fd (operation), g_bytes_get_data (bytes, NULL),
                     MIN (g_bytes_get_size (bytes), 1000), evp_operation_get_offset (operation));

  g_assert_cmpint (n, >, 0);
  evp_operation_complete (operation, n);
  if (++self->n_writes == 2)
    g_cancellable_cancel (self->cancellable);
  return TRUE;
}

static void
test_short_proactor_class_init (TestShortProactorClass *klass)
{
  EVP_PROACTOR_CLASS (klass)->supports = test_short_proactor_supports;
  EVP_PROACTOR_CLASS (klass)->submit = test_short_proactor_submit;
}

static void
test_short_proactor_init (TestShortProactor *self)
{
}

static EvpProactor *
make_short (GError **error)
{
  return g_object_new (TEST_TYPE_SHORT_PROACTOR, NULL);
}

/* Rules: V-15, K-18 */
static void
test_cancelled_between (Fixture *f)
{
  TestShortProactor *proactor = TEST_SHORT_PROACTOR (evp_proactor_event_loop_get_proactor (f->files));
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GBytes) bytes = pattern_bytes (100, 5000);
  g_autoptr (GFile) file = g_file_new_for_path (f->path);
  g_autoptr (GError) error = NULL;
  g_autofree char *contents = NULL;
  gsize length;

  /* what has been written is no error, and no more is written */
  proactor->cancellable = cancellable;
  g_assert_cmpint (write_bytes (f, f->fd, bytes, 0, cancellable, &error), ==, 2000);
  g_assert_no_error (error);
  g_assert_cmpuint (proactor->n_writes, ==, 2);

  /* a file is saved as a whole, or not at all */
  proactor->n_writes = 0;
  g_cancellable_reset (cancellable);
  g_assert_false (save (f, file, bytes, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (proactor->n_writes, ==, 2);
  g_assert_cmpuint (count_names (f->folder), ==, 1);
  g_assert_true (g_file_get_contents (f->path, &contents, &length, NULL));
  g_assert_cmpuint (length, ==, SIZE);
  g_assert_true (contents[1999] == pattern (2099));
  g_assert_true (contents[2000] == pattern (2000));
}

int
main (int    argc,
      char **argv)
{
  static const Case cancelled_between = { "cancelled-between", test_cancelled_between };
  static const Entry cancelling = { &cancelled_between, make_short };
  static const Case not_supported = { "not-supported", test_not_supported };
  static const Entry incapable = { &not_supported, make_incapable };

  g_test_init (&argc, &argv, NULL);

  add_cases ("gio", gio_entries, make_gio);
  if (evp_test_has_uring ())
    add_cases ("uring", uring_entries, evp_uring_proactor_new);
  g_test_add_data_func ("/evp/loop/files/not-supported", &incapable, run_case);
  g_test_add_data_func ("/evp/loop/files/cancelled-between", &cancelling, run_case);

  return g_test_run ();
}
