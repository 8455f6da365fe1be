/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-own-proactor.h"

#include "evp/loop/evp-loop-files.h"
#include "evp/loop/evp-loop-sockets.h"
#include "evp/loop/evp-proactor-event-loop.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpProactor *proactor; /* the loop's */
  GMainContext *context;
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
} Fixture;

typedef void (*Case) (Fixture *fixture);

typedef struct
{
  ContractOwnProactorNew make;
  Case func;
  EvpOperationKind kinds[2]; /* that it needs */
} Plan;

/* A call and its result. */
typedef struct
{
  GAsyncResult *result;
} Await;

static void
ready_cb (GObject      *source,
          GAsyncResult *result,
          gpointer      user_data)
{
  Await *await = user_data;

  g_assert_null (await->result); /* once */
  await->result = g_object_ref (result);
}

static GAsyncResult *
wait_for (Fixture *fixture,
          Await   *await)
{
  while (await->result == NULL)
    g_main_context_iteration (fixture->context, TRUE);
  return await->result;
}

static void
await_clear (Await *await)
{
  g_clear_object (&await->result);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Await, await_clear)

/* What is ready now; no more than a loop that has nothing to do needs. */
static void
settle (Fixture *fixture)
{
  for (guint i = 0; i < 10; i++)
    g_main_context_iteration (fixture->context, FALSE);
}

static GSocket *
take_socket (int fd)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new_from_fd (fd, &error);

  g_assert_no_error (error);
  g_socket_set_blocking (socket, FALSE);
  return socket;
}

static void
make_pair (GSocket **a,
           GSocket **b)
{
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
  *a = take_socket (fds[0]);
  *b = take_socket (fds[1]);
}

static void
put (GSocket    *socket,
     const char *text)
{
  g_assert_cmpint (send (g_socket_get_fd (socket), text, strlen (text), 0), ==, (gssize) strlen (text));
}

static void
assert_received (Fixture    *fixture,
                 Await      *await,
                 const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) bytes = evp_event_loop_sock_recv_finish (fixture->loop, wait_for (fixture, await), &error);

  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), text, strlen (text));
}

/* Nothing was submitted: polling it completes nothing, and its descriptor stays what it is. */
static void
case_idle (Fixture *fixture)
{
  int fd = evp_proactor_get_fd (fixture->proactor);

  g_assert_cmpint (fd, >=, -1);
  g_assert_cmpuint (evp_proactor_poll (fixture->proactor), ==, 0);
  settle (fixture);
  g_assert_cmpint (evp_proactor_get_fd (fixture->proactor), ==, fd);
}

/* A receive waits for what comes, takes no more than was asked for, and sees the end. */
/* Rules: K-7 */
static void
case_recv (Fixture *fixture)
{
  g_autoptr (GSocket) ours = NULL;
  g_autoptr (GSocket) theirs = NULL;
  g_auto (Await) first = { NULL };
  g_auto (Await) second = { NULL };
  g_auto (Await) end = { NULL };

  make_pair (&ours, &theirs);
  evp_event_loop_sock_recv_async (fixture->loop, ours, 4, NULL, ready_cb, &first);
  settle (fixture);
  g_assert_null (first.result);
  put (theirs, "first.");
  assert_received (fixture, &first, "firs");
  evp_event_loop_sock_recv_async (fixture->loop, ours, 100, NULL, ready_cb, &second);
  assert_received (fixture, &second, "t.");
  g_socket_close (theirs, NULL);
  evp_event_loop_sock_recv_async (fixture->loop, ours, 100, NULL, ready_cb, &end);
  assert_received (fixture, &end, "");
}

/* More than a socket holds is sent while somebody takes it. */
/* Rules: K-9 */
static void
case_send (Fixture *fixture)
{
  const gsize size = 1 << 20;
  g_autoptr (GSocket) ours = NULL;
  g_autoptr (GSocket) theirs = NULL;
  g_autofree char *data = g_malloc (size);
  g_autofree char *arrived = g_malloc (size);
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Await) sent = { NULL };
  gsize n_arrived = 0;

  for (gsize i = 0; i < size; i++)
    data[i] = (char) (i * 7 + i / 251);
  bytes = g_bytes_new (data, size);
  make_pair (&ours, &theirs);
  evp_event_loop_sock_sendall_async (fixture->loop, ours, bytes, NULL, ready_cb, &sent);
  while (n_arrived < size)
    {
      gssize n = recv (g_socket_get_fd (theirs), arrived + n_arrived, size - n_arrived, 0);

      g_assert_true (n > 0 || (n < 0 && errno == EAGAIN));
      if (n > 0)
        n_arrived += (gsize) n;
      g_main_context_iteration (fixture->context, FALSE);
    }
  g_assert_true (evp_event_loop_sock_sendall_finish (fixture->loop, wait_for (fixture, &sent), &error));
  g_assert_no_error (error);
  g_assert_cmpmem (data, size, arrived, size);
}

/* Many wait at once; each gets what is its own, once, in whatever order. */
/* Rules: K-7 */
static void
case_many (Fixture *fixture)
{
  enum { N = 100 };
  GSocket *ours[N], *theirs[N];
  Await received[N] = { { NULL } };

  for (guint i = 0; i < N; i++)
    {
      make_pair (&ours[i], &theirs[i]);
      evp_event_loop_sock_recv_async (fixture->loop, ours[i], 100, NULL, ready_cb, &received[i]);
    }
  settle (fixture);
  for (guint i = N; i-- > 0;)
    {
      g_autofree char *text = g_strdup_printf ("for %u", i);

      put (theirs[i], text);
    }
  for (guint i = 0; i < N; i++)
    {
      g_autofree char *text = g_strdup_printf ("for %u", i);

      assert_received (fixture, &received[i], text);
      await_clear (&received[i]);
      g_object_unref (ours[i]);
      g_object_unref (theirs[i]);
    }
}

/* A cancelled receive ends as such, and what comes later is the next one's. */
/* Rules: K-5 */
static void
case_cancel (Fixture *fixture)
{
  g_autoptr (GSocket) ours = NULL;
  g_autoptr (GSocket) theirs = NULL;
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  g_auto (Await) cancelled = { NULL };
  g_auto (Await) next = { NULL };

  make_pair (&ours, &theirs);
  evp_event_loop_sock_recv_async (fixture->loop, ours, 100, cancellable, ready_cb, &cancelled);
  settle (fixture);
  g_cancellable_cancel (cancellable);
  g_assert_null (evp_event_loop_sock_recv_finish (fixture->loop, wait_for (fixture, &cancelled), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  put (theirs, "kept");
  evp_event_loop_sock_recv_async (fixture->loop, ours, 100, NULL, ready_cb, &next);
  assert_received (fixture, &next, "kept");
}

/* Closing the loop ends what waits, once. */
/* Rules: V-5 */
static void
case_close (Fixture *fixture)
{
  g_autoptr (GSocket) ours = NULL;
  g_autoptr (GSocket) theirs = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Await) pending = { NULL };

  make_pair (&ours, &theirs);
  evp_event_loop_sock_recv_async (fixture->loop, ours, 100, NULL, ready_cb, &pending);
  settle (fixture);
  g_assert_true (evp_event_loop_close (fixture->loop, &error));
  g_assert_no_error (error);
  g_assert_null (evp_event_loop_sock_recv_finish (fixture->loop, wait_for (fixture, &pending), &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  settle (fixture);
}

static int
make_file (void)
{
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  int fd = g_file_open_tmp ("evp-contract-XXXXXX", &path, &error);

  g_assert_no_error (error);
  g_assert_cmpint (g_unlink (path), ==, 0);
  return fd;
}

static void
write_text (Fixture    *fixture,
            int         fd,
            const char *text,
            gint64      offset)
{
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  g_autoptr (GError) error = NULL;
  g_auto (Await) written = { NULL };

  evp_proactor_event_loop_write_async (EVP_PROACTOR_EVENT_LOOP (fixture->loop), fd, bytes, offset, NULL, ready_cb,
                                       &written);
  g_assert_cmpint (evp_proactor_event_loop_write_finish (EVP_PROACTOR_EVENT_LOOP (fixture->loop),
                                                         wait_for (fixture, &written), &error),
                   ==, (gssize) strlen (text));
  g_assert_no_error (error);
}

static void
assert_text (Fixture    *fixture,
             int         fd,
             gsize       count,
             gint64      offset,
             const char *text)
{
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (Await) done = { NULL };

  evp_proactor_event_loop_read_async (EVP_PROACTOR_EVENT_LOOP (fixture->loop), fd, count, offset, NULL, ready_cb, &done);
  bytes = evp_proactor_event_loop_read_finish (EVP_PROACTOR_EVENT_LOOP (fixture->loop), wait_for (fixture, &done),
                                               &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), text, strlen (text));
}

/* Files are written and read at an offset, or where they stand; there is nothing behind their end. */
static void
case_files (Fixture *fixture)
{
  int fd = make_file ();

  write_text (fixture, fd, "0123456789", 0);
  write_text (fixture, fd, "xyz", 4);
  assert_text (fixture, fd, 100, 0, "0123xyz789");
  assert_text (fixture, fd, 3, 3, "3xy");
  assert_text (fixture, fd, 10, 10, "");
  assert_text (fixture, fd, 10, 1000, "");
  g_assert_cmpint (lseek (fd, 0, SEEK_SET), ==, 0);
  assert_text (fixture, fd, 5, -1, "0123x");
  assert_text (fixture, fd, 5, -1, "yz789");
  assert_text (fixture, fd, 5, -1, "");
  write_text (fixture, fd, "end", -1);
  assert_text (fixture, fd, 100, 0, "0123xyz789end");
  close (fd);
}

/* The system's error is the result. */
static void
case_file_error (Fixture *fixture)
{
  EvpProactorEventLoop *loop = EVP_PROACTOR_EVENT_LOOP (fixture->loop);
  int fd = open ("/dev/null", O_WRONLY | O_CLOEXEC);
  g_autoptr (GError) error = NULL;
  g_auto (Await) done = { NULL };

  evp_proactor_event_loop_read_async (loop, fd, 10, 0, NULL, ready_cb, &done);
  g_assert_null (evp_proactor_event_loop_read_finish (loop, wait_for (fixture, &done), &error));
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
  close (fd);
}

/* Requests on files overlap, beside a socket. */
static void
case_files_at_once (Fixture *fixture)
{
  enum { N = 50 };
  EvpProactorEventLoop *loop = EVP_PROACTOR_EVENT_LOOP (fixture->loop);
  g_autoptr (GSocket) ours = NULL;
  g_autoptr (GSocket) theirs = NULL;
  g_auto (Await) received = { NULL };
  Await done[N] = { { NULL } };
  int fd = make_file ();

  make_pair (&ours, &theirs);
  evp_event_loop_sock_recv_async (fixture->loop, ours, 100, NULL, ready_cb, &received);
  for (guint i = 0; i < N; i++)
    {
      g_autofree char *text = g_strdup_printf ("%04u", i);

      write_text (fixture, fd, text, 4 * i);
    }
  for (guint i = 0; i < N; i++)
    evp_proactor_event_loop_read_async (loop, fd, 4, 4 * i, NULL, ready_cb, &done[i]);
  for (guint i = 0; i < N; i++)
    {
      g_autofree char *text = g_strdup_printf ("%04u", i);
      g_autoptr (GError) error = NULL;
      g_autoptr (GBytes) bytes = evp_proactor_event_loop_read_finish (loop, wait_for (fixture, &done[i]), &error);

      g_assert_no_error (error);
      g_assert_cmpmem (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes), text, 4);
      await_clear (&done[i]);
    }
  g_assert_null (received.result);
  put (theirs, "last");
  assert_received (fixture, &received, "last");
  close (fd);
}

static const struct
{
  const char *name;
  Case func;
  EvpOperationKind kinds[2];
} cases[] = {
  { "idle", case_idle, { EVP_OPERATION_POLL, EVP_OPERATION_POLL } },
  { "recv", case_recv, { EVP_OPERATION_RECV, EVP_OPERATION_RECV } },
  { "send", case_send, { EVP_OPERATION_SEND, EVP_OPERATION_SEND } },
  { "many", case_many, { EVP_OPERATION_RECV, EVP_OPERATION_RECV } },
  { "cancel", case_cancel, { EVP_OPERATION_RECV, EVP_OPERATION_RECV } },
  { "close", case_close, { EVP_OPERATION_RECV, EVP_OPERATION_RECV } },
  { "files", case_files, { EVP_OPERATION_READ, EVP_OPERATION_WRITE } },
  { "file-error", case_file_error, { EVP_OPERATION_READ, EVP_OPERATION_WRITE } },
  { "files-at-once", case_files_at_once, { EVP_OPERATION_READ, EVP_OPERATION_WRITE } },
};

static void
set_up (Fixture      *fixture,
        gconstpointer data)
{
  const Plan *plan = data;
  g_autoptr (EvpProactor) proactor = NULL;
  g_autoptr (GError) error = NULL;

  fixture->deadline = evp_test_deadline_start (60, "a request of a proactor");
  fixture->leaks = evp_test_leaks_begin ();
  proactor = plan->make (&error);
  g_assert_no_error (error);
  fixture->context = g_main_context_new ();
  fixture->loop = g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP,
                                "main-context", fixture->context, "proactor", proactor, NULL);
  fixture->proactor = proactor;
  g_assert_true (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (fixture->loop)) == proactor);
}

static void
run_case (Fixture      *fixture,
          gconstpointer data)
{
  const Plan *plan = data;

  /* what it does not do is done in other ways, or refused */
  if (plan->func != case_idle
      && !(evp_proactor_supports (fixture->proactor, plan->kinds[0])
           && evp_proactor_supports (fixture->proactor, plan->kinds[1])))
    g_test_skip ("the proactor does not support it");
  else
    plan->func (fixture);
}

static void
tear_down (Fixture      *fixture,
           gconstpointer data)
{
  if (!evp_event_loop_is_closed (fixture->loop))
    g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  g_assert_finalize_object (fixture->loop);
  g_main_context_unref (fixture->context);
  evp_test_leaks_check (&fixture->leaks);
  evp_test_deadline_stop (fixture->deadline);
}

/* They live as long as the program, which ends with the tests. */
static GSList *plans;

void
contract_own_proactor_add (const char            *name,
                           ContractOwnProactorNew make)
{
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/proactor/%s/own-contract/%s", name, cases[i].name);
      Plan *plan = g_new0 (Plan, 1);

      plan->make = make;
      plan->func = cases[i].func;
      memcpy (plan->kinds, cases[i].kinds, sizeof plan->kinds);
      plans = g_slist_prepend (plans, plan);
      g_test_add (path, Fixture, plan, set_up, run_case, tear_down);
    }
}
