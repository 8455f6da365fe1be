/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-proactor.h"

#include "evp/base/evp-error.h"
#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-operation-private.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

typedef struct
{
  EvpProactor *proactor;
  ContractProactorPrepare prepare;
  GMainContext *context;
  EvpTestLeaks leaks;
  EvpTestDeadline *deadline;
  GPtrArray *requests;
  guint n_completed; /* completions, of all requests */
  int pair[2];       /* connected sockets; non-blocking */
  char *path;        /* of a file that holds 256 KiB of a known pattern */
  int file;          /* open for reading and writing */
} Fixture;

/* An operation and what became of it. */
typedef struct
{
  Fixture *fixture;
  EvpOperation *operation;
  char *buffer; /* as large as it was said to be, to the byte; goes as soon as the operation is complete */
  guint n_completed;
  gboolean releases_buffer;
} Request;

typedef int Pair[2];

#define FILE_SIZE (256 * 1024)

static char
pattern (gsize position)
{
  return (char) (position * 7 + position / 251);
}

static void
assert_pattern (const char *data,
                gsize       length,
                gsize       position)
{
  for (gsize i = 0; i < length; i++)
    if (data[i] != pattern (position + i))
      g_error ("byte %" G_GSIZE_FORMAT " is not what was written there", position + i);
}

/* What the loop does; it would call the operation's function later. */
static void
complete_cb (EvpOperation *operation)
{
  Request *request = operation->user_data;

  request->n_completed++;
  request->fixture->n_completed++;
  operation->state = EVP_OPERATION_IDLE;
  if (request->releases_buffer)
    {
      memset (request->buffer, 0, operation->length);
      g_clear_pointer (&request->buffer, g_free);
      operation->buffer = NULL;
    }
}

static Request *
request_new (Fixture         *fixture,
             EvpOperationKind kind,
             int              fd,
             const char      *data,
             gsize            length)
{
  Request *request = g_new0 (Request, 1);

  request->fixture = fixture;
  request->operation = evp_operation_new (kind, fd, NULL, request);
  request->buffer = g_malloc (length);
  if (data != NULL)
    memcpy (request->buffer, data, length);
  request->operation->buffer = request->buffer;
  request->operation->length = length;
  g_ptr_array_add (fixture->requests, request);
  return request;
}

static void
request_free (gpointer data)
{
  Request *request = data;

  if (request->operation->state == EVP_OPERATION_IDLE)
    {
      /* nobody else holds it any more */
      g_assert_cmpint (g_atomic_int_get (&request->operation->ref_count), ==, 1);
    }
  evp_operation_unref (request->operation);
  g_free (request->buffer);
  g_free (request);
}

static Request *
submit (Request *request)
{
  g_autoptr (GError) error = NULL;
  gboolean ok;

  request->operation->state = EVP_OPERATION_SUBMITTED;
  request->operation->complete_func = complete_cb;
  request->operation->transferred = 0;
  ok = evp_proactor_submit (request->fixture->proactor, request->operation, &error);
  g_assert_no_error (error);
  g_assert_true (ok);
  return request;
}

static gboolean
refused (Request *request,
         GError **error)
{
  request->operation->state = EVP_OPERATION_SUBMITTED;
  request->operation->complete_func = complete_cb;
  if (evp_proactor_submit (request->fixture->proactor, request->operation, error))
    return FALSE;
  request->operation->state = EVP_OPERATION_IDLE;
  return TRUE;
}

static void
cancel (Request *request)
{
  evp_proactor_cancel (request->fixture->proactor, request->operation);
}

/* Looks once, without waiting. */
static void
turn (Fixture *fixture)
{
  evp_proactor_poll (fixture->proactor);
  while (g_main_context_iteration (fixture->context, FALSE))
    ;
  evp_proactor_poll (fixture->proactor);
}

/* Waits as a loop does: by its context, and on the proactor's descriptor. */
static void
wait_once (Fixture *fixture)
{
  GPollFD fds[32];
  struct pollfd *ready;
  int priority, timeout = -1, n;
  guint n_completed = fixture->n_completed;
  int own;

  turn (fixture);
  if (fixture->n_completed > n_completed)
    return;
  if (fixture->prepare != NULL && fixture->prepare (fixture->proactor))
    {
      evp_proactor_poll (fixture->proactor);
      return;
    }
  if (!g_main_context_acquire (fixture->context))
    g_assert_not_reached ();
  g_main_context_prepare (fixture->context, &priority);
  n = g_main_context_query (fixture->context, priority, &timeout, fds, G_N_ELEMENTS (fds) - 1);
  g_assert_cmpint (n, <, (int) G_N_ELEMENTS (fds));
  own = evp_proactor_get_fd (fixture->proactor);
  if (own >= 0)
    {
      fds[n].fd = own;
      fds[n].events = G_IO_IN;
      fds[n].revents = 0;
    }
  ready = (struct pollfd *) fds;
  if (poll (ready, (nfds_t) n + (own >= 0), timeout) < 0)
    g_assert_cmpint (errno, ==, EINTR);
  if (g_main_context_check (fixture->context, priority, fds, n))
    g_main_context_dispatch (fixture->context);
  g_main_context_release (fixture->context);
  evp_proactor_poll (fixture->proactor);
}

static gssize
wait_for (Request *request)
{
  while (request->operation->state == EVP_OPERATION_SUBMITTED)
    wait_once (request->fixture);
  g_assert_cmpuint (request->n_completed, >, 0);
  return request->operation->result;
}

static void
wait_for_completions (Fixture *fixture,
                      guint    n)
{
  while (fixture->n_completed < n)
    wait_once (fixture);
}

static void
make_pair (int fds[2])
{
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
}

static void
close_fd (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

static void
put (int         fd,
     const char *text)
{
  g_assert_cmpint (write (fd, text, strlen (text)), ==, (gssize) strlen (text));
}

static int
bind_to_loopback (struct sockaddr_in *address)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  socklen_t length = sizeof *address;

  memset (address, 0, sizeof *address);
  address->sin_family = AF_INET;
  address->sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_cmpint (bind (fd, (struct sockaddr *) address, length), ==, 0);
  g_assert_cmpint (getsockname (fd, (struct sockaddr *) address, &length), ==, 0);
  return fd;
}

static int
listen_on_loopback (struct sockaddr_in *address)
{
  int fd = bind_to_loopback (address);

  g_assert_cmpint (listen (fd, 8), ==, 0);
  return fd;
}

static void
set_address (Request    *request,
             const void *address,
             gsize       length)
{
  evp_operation_ensure_address (request->operation);
  memcpy (request->operation->address, address, length);
  request->operation->address_length = (socklen_t) length;
}

/* Rules: V-5 */
static void
test_recv (Fixture *fixture)
{
  Request *request = request_new (fixture, EVP_OPERATION_RECV, fixture->pair[0], NULL, 16);

  /* there already */
  put (fixture->pair[1], "one");
  g_assert_cmpint (wait_for (submit (request)), ==, 3);
  g_assert_cmpmem (request->buffer, 3, "one", 3);

  /* the same operation again and again, each time before there is anything */
  for (guint i = 0; i < 5; i++)
    {
      submit (request);
      turn (fixture);
      g_assert_cmpint (request->operation->state, ==, EVP_OPERATION_SUBMITTED);
      put (fixture->pair[1], "later");
      g_assert_cmpint (wait_for (request), ==, 5);
      g_assert_cmpmem (request->buffer, 5, "later", 5);
    }

  /* more than there is room for stays */
  put (fixture->pair[1], "0123456789abcdefghij");
  g_assert_cmpint (wait_for (submit (request)), ==, 16);
  g_assert_cmpint (wait_for (submit (request)), ==, 4);
  g_assert_cmpmem (request->buffer, 4, "ghij", 4);

  /* nobody asks: it stays, and does not keep anybody busy */
  put (fixture->pair[1], "unasked");
  turn (fixture);
  turn (fixture);
  g_assert_false (g_main_context_pending (fixture->context));
  g_assert_cmpint (wait_for (submit (request)), ==, 7);

  close_fd (&fixture->pair[1]);
  g_assert_cmpint (wait_for (submit (request)), ==, 0);
  g_assert_cmpint (wait_for (submit (request)), ==, 0);
  g_assert_cmpuint (request->n_completed, ==, 11);
}

static void
test_recv_peek (Fixture *fixture)
{
  Request *request = request_new (fixture, EVP_OPERATION_RECV, fixture->pair[0], NULL, 4);

  request->operation->msg_flags = MSG_PEEK;
  put (fixture->pair[1], "seen");
  g_assert_cmpint (wait_for (submit (request)), ==, 4);
  request->operation->msg_flags = 0;
  g_assert_cmpint (wait_for (submit (request)), ==, 4);
  g_assert_cmpmem (request->buffer, 4, "seen", 4);
}

static void
test_recv_from (Fixture *fixture)
{
  struct sockaddr_in addresses[2];
  socklen_t length = sizeof addresses[0];
  g_autoptr (GError) error = NULL;
  int fds[2];

  for (guint i = 0; i < 2; i++)
    {
      fds[i] = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      memset (&addresses[i], 0, sizeof addresses[i]);
      addresses[i].sin_family = AF_INET;
      addresses[i].sin_addr.s_addr = htonl (INADDR_LOOPBACK);
      g_assert_cmpint (bind (fds[i], (struct sockaddr *) &addresses[i], length), ==, 0);
      g_assert_cmpint (getsockname (fds[i], (struct sockaddr *) &addresses[i], &length), ==, 0);
    }
  {
    Request *receive = submit (request_new (fixture, EVP_OPERATION_RECV_FROM, fds[0], NULL, 8));
    Request *send = request_new (fixture, EVP_OPERATION_SEND_TO, fds[1], "datagram", 8);

    turn (fixture);
    g_assert_cmpint (receive->operation->state, ==, EVP_OPERATION_SUBMITTED);
    set_address (send, &addresses[0], sizeof addresses[0]);
    for (guint i = 0; i < 3; i++)
      {
        g_autoptr (GSocketAddress) from = NULL;

        g_assert_cmpint (wait_for (submit (send)), ==, 8);
        g_assert_cmpint (wait_for (receive), ==, 8);
        g_assert_cmpmem (receive->buffer, 8, "datagram", 8);
        from = evp_operation_get_address (receive->operation, &error);
        g_assert_no_error (error);
        g_assert_cmpint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (from)), ==,
                         ntohs (addresses[1].sin_port));
        submit (receive);
      }

    /* an empty one is one, too */
    send->operation->length = 0;
    g_assert_cmpint (wait_for (submit (send)), ==, 0);
    g_assert_cmpint (wait_for (receive), ==, 0);
  }
  close (fds[0]);
  close (fds[1]);
}

static void
test_send (Fixture *fixture)
{
  Request *request = request_new (fixture, EVP_OPERATION_SEND, fixture->pair[0], "greetings", 9);
  char buffer[16];

  g_assert_cmpint (wait_for (submit (request)), ==, 9);
  g_assert_cmpint (read (fixture->pair[1], buffer, sizeof buffer), ==, 9);
  g_assert_cmpmem (buffer, 9, "greetings", 9);

  /* a peer that has gone is an error, and no signal */
  close_fd (&fixture->pair[1]);
  g_assert_cmpint (wait_for (submit (request)), ==, -EPIPE);
}

static void
test_send_all (Fixture *fixture)
{
  const gsize size = 3 * 1024 * 1024;
  g_autofree char *received = g_malloc (size);
  Request *request = request_new (fixture, EVP_OPERATION_SEND, fixture->pair[0], NULL, size);
  gsize n_received = 0;

  for (gsize i = 0; i < size; i++)
    request->buffer[i] = pattern (i);
  request->operation->flags |= EVP_OPERATION_ALL;
  submit (request);
  while (n_received < size)
    {
      struct pollfd readable = { fixture->pair[1], POLLIN, 0 };
      gssize n;

      turn (fixture);
      /* the sender may need a turn of its own before there is more */
      if (poll (&readable, 1, 1) == 0)
        continue;
      n = read (fixture->pair[1], received + n_received, size - n_received);
      g_assert_cmpint (n, >, 0);
      n_received += (gsize) n;
    }
  g_assert_cmpint (wait_for (request), ==, (gssize) size);
  g_assert_cmpuint (request->n_completed, ==, 1);
  g_assert_cmpuint (request->operation->transferred, ==, size);
  assert_pattern (received, size, 0);

  /* what went is known after an error */
  submit (request);
  turn (fixture);
  g_assert_cmpint (request->operation->state, ==, EVP_OPERATION_SUBMITTED);
  close_fd (&fixture->pair[1]);
  g_assert_cmpint (wait_for (request), <, 0);
  g_assert_true (request->operation->result == -EPIPE || request->operation->result == -ECONNRESET);
  g_assert_cmpuint (request->operation->transferred, >, 0);
  g_assert_cmpuint (request->operation->transferred, <, size);
}

static void
test_accept (Fixture *fixture)
{
  struct sockaddr_in address, own;
  socklen_t length = sizeof own;
  int listener = listen_on_loopback (&address);
  Request *request = request_new (fixture, EVP_OPERATION_ACCEPT, listener, NULL, 0);
  g_autoptr (GSocketAddress) peer = NULL;
  int client = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int accepted;

  evp_operation_ensure_address (request->operation);
  submit (request);
  turn (fixture);
  g_assert_cmpint (request->operation->state, ==, EVP_OPERATION_SUBMITTED);
  g_assert_cmpint (connect (client, (struct sockaddr *) &address, sizeof address), ==, 0);
  accepted = (int) wait_for (request);
  g_assert_cmpint (accepted, >=, 0);
  g_assert_cmpint (fcntl (accepted, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (fcntl (accepted, F_GETFL) & O_NONBLOCK, ==, O_NONBLOCK);
  g_assert_cmpint (getsockname (client, (struct sockaddr *) &own, &length), ==, 0);
  peer = evp_operation_get_address (request->operation, NULL);
  g_assert_cmpint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (peer)), ==, ntohs (own.sin_port));
  close (accepted);

  /* one that was cancelled accepts nobody, and the listener is as good as before */
  submit (request);
  turn (fixture);
  cancel (request);
  g_assert_cmpint (wait_for (request), ==, -ECANCELED);
  close (client);
  client = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_assert_cmpint (connect (client, (struct sockaddr *) &address, sizeof address), ==, 0);
  accepted = (int) wait_for (submit (request));
  g_assert_cmpint (accepted, >=, 0);

  close (accepted);
  close (client);
  close (listener);
}

static void
test_connect (Fixture *fixture)
{
  struct sockaddr_in address;
  struct sockaddr_un missing = { .sun_family = AF_UNIX };
  int listener = listen_on_loopback (&address), nobody;
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  Request *request = request_new (fixture, EVP_OPERATION_CONNECT, fd, NULL, 0);
  char byte;
  int accepted;

  set_address (request, &address, sizeof address);
  g_assert_cmpint (wait_for (submit (request)), ==, 0);
  /* who connects may know of it before the kernel has told the listener */
  g_assert_cmpint (g_poll (&(GPollFD) { .fd = listener, .events = G_IO_IN }, 1, -1), ==, 1);
  accepted = accept (listener, NULL, NULL);
  g_assert_cmpint (accepted, >=, 0);
  put (accepted, "x");
  request->operation->kind = EVP_OPERATION_POLL;
  request->operation->events = EVP_IO_EVENTS_READ;
  g_assert_cmpint (wait_for (submit (request)), ==, EVP_IO_EVENTS_READ);
  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
  close (accepted);
  close (listener);
  close (fd);

  /* one who has the address and does not listen */
  nobody = bind_to_loopback (&address);
  fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  request = request_new (fixture, EVP_OPERATION_CONNECT, fd, NULL, 0);
  set_address (request, &address, sizeof address);
  g_assert_cmpint (wait_for (submit (request)), ==, -ECONNREFUSED);
  close (fd);
  close (nobody);

  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  request = request_new (fixture, EVP_OPERATION_CONNECT, fd, NULL, 0);
  g_strlcpy (missing.sun_path, fixture->path, sizeof missing.sun_path - 1);
  strcat (missing.sun_path, "-");
  set_address (request, &missing, sizeof missing);
  g_assert_cmpint (wait_for (submit (request)), ==, -ENOENT);
  close (fd);
}

static void
test_read (Fixture *fixture)
{
  Request *request = request_new (fixture, EVP_OPERATION_READ, fixture->file, NULL, 4096);
  Request *large = request_new (fixture, EVP_OPERATION_READ, fixture->file, NULL, FILE_SIZE + 1);

  request->operation->offset = 1000;
  g_assert_cmpint (wait_for (submit (request)), ==, 4096);
  assert_pattern (request->buffer, 4096, 1000);

  /* an end in the middle, and the end */
  request->operation->offset = FILE_SIZE - 10;
  g_assert_cmpint (wait_for (submit (request)), ==, 10);
  assert_pattern (request->buffer, 10, FILE_SIZE - 10);
  request->operation->offset = FILE_SIZE;
  g_assert_cmpint (wait_for (submit (request)), ==, 0);

  /* none of it has moved the file's own position */
  for (guint i = 0; i < 3; i++)
    {
      request->operation->offset = -1;
      g_assert_cmpint (wait_for (submit (request)), ==, 4096);
      assert_pattern (request->buffer, 4096, i * 4096);
    }

  large->operation->offset = 0;
  g_assert_cmpint (wait_for (submit (large)), ==, FILE_SIZE);
  assert_pattern (large->buffer, FILE_SIZE, 0);

  request->operation->length = 0;
  request->operation->offset = 5;
  g_assert_cmpint (wait_for (submit (request)), ==, 0);
}

static void
test_write (Fixture *fixture)
{
  Request *request = request_new (fixture, EVP_OPERATION_WRITE, fixture->file, "written", 7);
  char buffer[8];

  request->operation->offset = 100;
  g_assert_cmpint (wait_for (submit (request)), ==, 7);
  g_assert_cmpint (pread (fixture->file, buffer, 8, 100), ==, 8);
  g_assert_cmpmem (buffer, 7, "written", 7);
  g_assert_true (buffer[7] == pattern (107));

  /* beyond the end; what is between reads as zeros */
  request->operation->offset = FILE_SIZE + 3;
  g_assert_cmpint (wait_for (submit (request)), ==, 7);
  g_assert_cmpint (pread (fixture->file, buffer, 8, FILE_SIZE + 2), ==, 8);
  g_assert_cmpmem (buffer, 8, "\0written", 8);

  /* where the file stands, which moves */
  request->operation->offset = -1;
  g_assert_cmpint (wait_for (submit (request)), ==, 7);
  g_assert_cmpint (wait_for (submit (request)), ==, 7);
  g_assert_cmpint (lseek (fixture->file, 0, SEEK_CUR), ==, 14);
  g_assert_cmpint (pread (fixture->file, buffer, 8, 6), ==, 8);
  g_assert_cmpmem (buffer, 8, "nwritten", 8);
}

static void
test_pipe (Fixture *fixture)
{
  int fds[2];
  Request *in, *out;

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0); /* blocking */
  in = submit (request_new (fixture, EVP_OPERATION_READ, fds[0], NULL, 8));
  turn (fixture);
  g_assert_cmpint (in->operation->state, ==, EVP_OPERATION_SUBMITTED);
  out = request_new (fixture, EVP_OPERATION_WRITE, fds[1], "water", 5);
  g_assert_cmpint (wait_for (submit (out)), ==, 5);
  g_assert_cmpint (wait_for (in), ==, 5);
  g_assert_cmpmem (in->buffer, 5, "water", 5);

  /* nothing comes; it can be given up */
  submit (in);
  turn (fixture);
  cancel (in);
  g_assert_cmpint (wait_for (in), ==, -ECANCELED);
  g_assert_cmpint (wait_for (submit (out)), ==, 5);
  g_assert_cmpint (wait_for (submit (in)), ==, 5);

  close (fds[1]);
  g_assert_cmpint (wait_for (submit (in)), ==, 0);
  close (fds[0]);
}

/* Two wait at a pipe that blocks: what is enough for one keeps nobody waiting for the other. */
static void
test_pipe_several (Fixture *fixture)
{
  char block[PIPE_BUF] = { 0 };
  Request *first, *second;
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0); /* blocking */
  first = submit (request_new (fixture, EVP_OPERATION_READ, fds[0], NULL, 8));
  second = submit (request_new (fixture, EVP_OPERATION_READ, fds[0], NULL, 8));
  turn (fixture);
  put (fds[1], "one");
  wait_for_completions (fixture, 1);
  turn (fixture);
  g_assert_cmpuint (fixture->n_completed, ==, 1);
  put (fds[1], "three");
  g_assert_cmpint (wait_for (first) + wait_for (second), ==, 8);

  /* one block fits, and then another */
  g_assert_cmpint (fcntl (fds[1], F_SETFL, O_NONBLOCK), ==, 0);
  while (write (fds[1], block, sizeof block) > 0)
    ;
  g_assert_cmpint (fcntl (fds[1], F_SETFL, 0), ==, 0);
  fixture->n_completed = 0;
  first = submit (request_new (fixture, EVP_OPERATION_WRITE, fds[1], block, sizeof block));
  second = submit (request_new (fixture, EVP_OPERATION_WRITE, fds[1], block, sizeof block));
  turn (fixture);
  g_assert_cmpuint (fixture->n_completed, ==, 0);
  g_assert_cmpint (read (fds[0], block, sizeof block), ==, sizeof block);
  wait_for_completions (fixture, 1);
  turn (fixture);
  g_assert_cmpuint (fixture->n_completed, ==, 1);
  g_assert_cmpint (read (fds[0], block, sizeof block), ==, sizeof block);
  g_assert_cmpint (wait_for (first) + wait_for (second), ==, 2 * sizeof block);

  close (fds[0]);
  close (fds[1]);
}

/* What is no file and may never become ready does not keep anybody waiting either. */
static void
test_eventfd (Fixture *fixture)
{
  guint64 one = 1;
  int fd = eventfd (0, EFD_CLOEXEC); /* blocking */
  Request *in = submit (request_new (fixture, EVP_OPERATION_READ, fd, NULL, 8));

  turn (fixture);
  g_assert_cmpint (in->operation->state, ==, EVP_OPERATION_SUBMITTED);
  g_assert_cmpint (write (fd, &one, sizeof one), ==, sizeof one);
  g_assert_cmpint (wait_for (in), ==, 8);
  g_assert_cmpmem (in->buffer, 8, &one, 8);
  submit (in);
  turn (fixture);
  cancel (in);
  g_assert_cmpint (wait_for (in), ==, -ECANCELED);
  /* and closing ends it */
  submit (in);
  turn (fixture);
  evp_proactor_close (fixture->proactor);
  g_assert_cmpint (in->operation->result, ==, -ECANCELED);
  close (fd);
}

/* An operation goes on with another descriptor, while the first is still open. */
static void
test_other_descriptor (Fixture *fixture)
{
  Request *request = submit (request_new (fixture, EVP_OPERATION_RECV, fixture->pair[0], NULL, 8));
  int fds[2];

  make_pair (fds);
  turn (fixture);
  put (fixture->pair[1], "one");
  g_assert_cmpint (wait_for (request), ==, 3);
  request->operation->fd = fds[0];
  submit (request);
  turn (fixture);
  put (fds[1], "three");
  g_assert_cmpint (wait_for (request), ==, 5);
  close (fds[0]);
  close (fds[1]);
}

/* A pipe and a socket have no places: as with pread() and pwrite(). */
static void
test_pipe_offset (Fixture *fixture)
{
  Request *in, *out, *file;
  char buffer[8];
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  in = request_new (fixture, EVP_OPERATION_READ, fds[0], NULL, 8);
  out = request_new (fixture, EVP_OPERATION_WRITE, fds[1], "water", 5);
  put (fds[1], "kept");
  for (gint64 offset = 0; offset < 2; offset++)
    {
      in->operation->offset = offset;
      g_assert_cmpint (wait_for (submit (in)), ==, -ESPIPE);
      out->operation->offset = offset;
      g_assert_cmpint (wait_for (submit (out)), ==, -ESPIPE);
    }
  /* beside a file that has places */
  file = request_new (fixture, EVP_OPERATION_READ, fixture->file, NULL, 8);
  file->operation->offset = 7;
  submit (file);
  submit (in);
  g_assert_cmpint (wait_for (file), ==, 8);
  assert_pattern (file->buffer, 8, 7);
  g_assert_cmpint (wait_for (in), ==, -ESPIPE);
  /* which is then closed, and its number the pipe's */
  g_assert_cmpint (wait_for (submit (file)), ==, 8);
  g_assert_cmpint (dup2 (fds[0], fixture->file), ==, fixture->file);
  g_assert_cmpint (wait_for (submit (file)), ==, -ESPIPE);
  in->operation->offset = -1;
  g_assert_cmpint (wait_for (submit (in)), ==, 4);
  g_assert_cmpmem (in->buffer, 4, "kept", 4);
  close (fds[0]);
  close (fds[1]);

  put (fixture->pair[1], "kept");
  in->operation->fd = fixture->pair[0];
  in->operation->offset = 0;
  g_assert_cmpint (wait_for (submit (in)), ==, -ESPIPE);
  out->operation->fd = fixture->pair[0];
  out->operation->offset = 0;
  g_assert_cmpint (wait_for (submit (out)), ==, -ESPIPE);
  g_assert_cmpint (read (fixture->pair[0], buffer, sizeof buffer), ==, 4);
  g_assert_cmpint (read (fixture->pair[1], buffer, sizeof buffer), ==, -1);
}

/* A unix socket whose server's queue is full cannot be waited for: that is said, or waited for without any work. */
static void
test_connect_full (Fixture *fixture)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  socklen_t length = sizeof address.sun_family;
  int listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int clients[16];
  guint n = 0;
  Request *request;

  /* a name that the system chooses */
  g_assert_cmpint (bind (listener, (struct sockaddr *) &address, length), ==, 0);
  length = sizeof address;
  g_assert_cmpint (getsockname (listener, (struct sockaddr *) &address, &length), ==, 0);
  g_assert_cmpint (listen (listener, 1), ==, 0);
  do
    {
      g_assert_cmpuint (n, <, G_N_ELEMENTS (clients));
      clients[n] = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
  while (connect (clients[n++], (struct sockaddr *) &address, length) == 0);
  g_assert_cmpint (errno, ==, EAGAIN);

  request = request_new (fixture, EVP_OPERATION_CONNECT, clients[n - 1], NULL, 0);
  set_address (request, &address, length);
  submit (request);
  /* the kernel may try for a while */
  for (guint i = 0; i < 2000 && request->operation->state == EVP_OPERATION_SUBMITTED; i++)
    turn (fixture);
  if (request->operation->state == EVP_OPERATION_SUBMITTED)
    {
      guint n_busy = 0;

      for (guint i = 0; i < 100 && request->operation->state == EVP_OPERATION_SUBMITTED; i++)
        {
          n_busy += fixture->prepare == NULL || fixture->prepare (fixture->proactor);
          turn (fixture);
        }
      /* one that tries all the time has something to do each time; the kernel may give up just now */
      g_assert_cmpuint (n_busy, <, 50);
      cancel (request);
      wait_for (request);
    }
  g_assert_true (request->operation->result == -EBUSY || request->operation->result == -ECANCELED);

  while (n > 0)
    close (clients[--n]);
  close (listener);
}

/* A blocking pipe that is written more than it takes: whoever has to wait, it is not the loop. */
static void
test_pipe_full (Fixture *fixture)
{
  const gsize size = 300000;
  g_autofree char *data = g_malloc0 (size);
  g_autofree char *received = g_malloc (size);
  gsize n_received = 0;
  Request *out;
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  out = submit (request_new (fixture, EVP_OPERATION_WRITE, fds[1], data, size));
  turn (fixture);
  g_assert_cmpint (fcntl (fds[0], F_SETFL, O_NONBLOCK), ==, 0);
  while (out->n_completed == 0)
    {
      gssize n = read (fds[0], received, size);

      if (n > 0)
        n_received += (gsize) n;
      turn (fixture);
    }
  g_assert_cmpint (out->operation->result, >, 0);
  while (n_received < (gsize) out->operation->result)
    {
      gssize n = read (fds[0], received, size);

      g_assert_cmpint (n, >, 0);
      n_received += (gsize) n;
    }
  g_assert_cmpuint (n_received, ==, (gsize) out->operation->result);
  close (fds[0]);
  close (fds[1]);
}

/* What hangs up is ready in each direction, also where the system says nothing else of it. */
static void
test_poll_hang_up (Fixture *fixture)
{
  Request *in, *out;
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  in = request_new (fixture, EVP_OPERATION_POLL, fds[0], NULL, 0);
  in->operation->events = EVP_IO_EVENTS_READ;
  submit (in);
  turn (fixture);
  g_assert_cmpint (in->operation->state, ==, EVP_OPERATION_SUBMITTED);
  close (fds[1]);
  g_assert_cmpint (wait_for (in), ==, EVP_IO_EVENTS_READ);
  close (fds[0]);

  /* the other end: it is full, and then nobody reads it any more */
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
  while (write (fds[1], fds, sizeof fds) > 0)
    ;
  out = request_new (fixture, EVP_OPERATION_POLL, fds[1], NULL, 0);
  out->operation->events = EVP_IO_EVENTS_WRITE;
  submit (out);
  turn (fixture);
  g_assert_cmpint (out->operation->state, ==, EVP_OPERATION_SUBMITTED);
  close (fds[0]);
  g_assert_cmpint (wait_for (out), ==, EVP_IO_EVENTS_WRITE);
  close (fds[1]);
}

/* A descriptor that was closed too early makes no loop spin. A ring holds the open file. */
static void
test_closed_descriptor (Fixture *fixture)
{
  Request *in;
  int fd;

  if (!EVP_IS_GIO_PROACTOR (fixture->proactor))
    return;
  fd = fcntl (fixture->pair[0], F_DUPFD_CLOEXEC, 0);
  g_assert_cmpint (fd, >=, 0);
  in = submit (request_new (fixture, EVP_OPERATION_RECV, fd, NULL, 8));
  turn (fixture);
  g_assert_cmpint (in->operation->state, ==, EVP_OPERATION_SUBMITTED);
  close (fd);
  g_assert_cmpint (wait_for (in), ==, -EBADF);
}

static void
test_poll (Fixture *fixture)
{
  Request *request = request_new (fixture, EVP_OPERATION_POLL, fixture->pair[0], NULL, 0);
  Request *other = request_new (fixture, EVP_OPERATION_POLL, fixture->pair[0], NULL, 0);

  request->operation->events = EVP_IO_EVENTS_READ;
  submit (request);
  turn (fixture);
  g_assert_cmpint (request->operation->state, ==, EVP_OPERATION_SUBMITTED);

  /* each direction for itself */
  other->operation->events = EVP_IO_EVENTS_WRITE;
  g_assert_cmpint (wait_for (submit (other)), ==, EVP_IO_EVENTS_WRITE);
  g_assert_cmpint (request->operation->state, ==, EVP_OPERATION_SUBMITTED);

  put (fixture->pair[1], "x");
  g_assert_cmpint (wait_for (request), ==, EVP_IO_EVENTS_READ);
  /* it is still there: level-triggered, and told once */
  g_assert_cmpint (wait_for (submit (request)), ==, EVP_IO_EVENTS_READ);
  turn (fixture);
  g_assert_cmpuint (request->n_completed, ==, 2);

  /* the same request, for something else */
  g_assert_cmpint (recv (fixture->pair[0], (char[1]) { 0 }, 1, 0), ==, 1);
  submit (request);
  turn (fixture);
  g_assert_cmpint (request->operation->state, ==, EVP_OPERATION_SUBMITTED);
  cancel (request);
  g_assert_cmpint (wait_for (request), ==, -ECANCELED);
  request->operation->events = EVP_IO_EVENTS_WRITE;
  g_assert_cmpint (wait_for (submit (request)), ==, EVP_IO_EVENTS_WRITE);
  put (fixture->pair[1], "x");

  request->operation->events = EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE;
  g_assert_cmpint (wait_for (submit (request)), ==, EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE);

  /* somebody who hangs up makes it ready for everything */
  close_fd (&fixture->pair[1]);
  g_assert_cmpint (wait_for (submit (request)), ==, EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE);
}

static void
test_errors (Fixture *fixture)
{
  int directory = open (g_get_tmp_dir (), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int read_only = open (fixture->path, O_RDONLY | O_CLOEXEC);
  int full = open ("/dev/full", O_WRONLY | O_CLOEXEC);
  int closed;
  Request *request;

  /* first, because the proactor may open descriptors of its own with the first operation */
  request = request_new (fixture, EVP_OPERATION_SEND, fixture->pair[0], "x", 1);
  g_assert_cmpint (wait_for (submit (request)), ==, 1);
  g_assert_cmpint (full, >=, 0);
  closed = dup (directory);
  close (closed);
  for (int kind = EVP_OPERATION_RECV; kind <= EVP_OPERATION_WRITE; kind++)
    {
      struct sockaddr_in address = { .sin_family = AF_INET };

      request = request_new (fixture, (EvpOperationKind) kind, closed, "x", 1);
      if (kind == EVP_OPERATION_SEND_TO || kind == EVP_OPERATION_CONNECT)
        set_address (request, &address, sizeof address);
      g_assert_cmpint (wait_for (submit (request)), ==, -EBADF);
      if (kind == EVP_OPERATION_READ || kind == EVP_OPERATION_WRITE)
        continue;
      request->operation->fd = fixture->file;
      g_assert_cmpint (wait_for (submit (request)), ==, -ENOTSOCK);
    }

  request = request_new (fixture, EVP_OPERATION_READ, directory, NULL, 16);
  request->operation->offset = 0;
  g_assert_cmpint (wait_for (submit (request)), ==, -EISDIR);
  request = request_new (fixture, EVP_OPERATION_WRITE, read_only, "x", 1);
  request->operation->offset = 0;
  g_assert_cmpint (wait_for (submit (request)), ==, -EBADF);
  request = request_new (fixture, EVP_OPERATION_WRITE, full, "x", 1);
  g_assert_cmpint (wait_for (submit (request)), ==, -ENOSPC);
  request = request_new (fixture, EVP_OPERATION_ACCEPT, fixture->pair[0], NULL, 0);
  g_assert_cmpint (wait_for (submit (request)), ==, -EINVAL);

  close (directory);
  close (read_only);
  close (full);
}

/* Rules: K-18 */
static void
test_cancel (Fixture *fixture)
{
  Request *request = request_new (fixture, EVP_OPERATION_RECV, fixture->pair[0], NULL, 16);

  /* before the kernel has heard of it */
  submit (request);
  cancel (request);
  g_assert_cmpint (wait_for (request), ==, -ECANCELED);

  /* while it waits; twice */
  submit (request);
  turn (fixture);
  cancel (request);
  cancel (request);
  g_assert_cmpint (wait_for (request), ==, -ECANCELED);
  turn (fixture);
  g_assert_cmpuint (request->n_completed, ==, 2);

  /* when it is not pending */
  cancel (request);
  turn (fixture);
  g_assert_cmpuint (request->n_completed, ==, 2);

  /* too late: the result decides, and whatever it is, nothing gets lost on the way */
  submit (request);
  turn (fixture);
  put (fixture->pair[1], "kept");
  cancel (request);
  if (wait_for (request) == -ECANCELED)
    g_assert_cmpint (wait_for (submit (request)), ==, 4);
  else
    g_assert_cmpint (request->operation->result, ==, 4);
  g_assert_cmpmem (request->buffer, 4, "kept", 4);

  /* one of two, and the other is not disturbed */
  {
    Request *other = submit (request_new (fixture, EVP_OPERATION_RECV, fixture->pair[0], NULL, 16));

    submit (request);
    turn (fixture);
    cancel (other);
    g_assert_cmpint (wait_for (other), ==, -ECANCELED);
    put (fixture->pair[1], "mine");
    g_assert_cmpint (wait_for (request), ==, 4);
  }
}

static void
test_cancel_send (Fixture *fixture)
{
  const gsize size = 3 * 1024 * 1024;
  Request *request = request_new (fixture, EVP_OPERATION_SEND, fixture->pair[0], NULL, size);
  gsize n_received = 0;
  char buffer[4096];
  gssize n;

  memset (request->buffer, 'x', size);
  request->operation->flags |= EVP_OPERATION_ALL;
  request->releases_buffer = TRUE;
  submit (request);
  turn (fixture);
  cancel (request);
  g_assert_cmpint (wait_for (request), ==, -ECANCELED);
  g_assert_cmpuint (request->n_completed, ==, 1);
  while ((n = read (fixture->pair[1], buffer, sizeof buffer)) > 0)
    n_received += (gsize) n;
  g_assert_cmpuint (n_received, >, 0);
  g_assert_cmpuint (n_received, <, size);
  g_assert_cmpuint (request->operation->transferred, ==, n_received);
}

static void
test_cancel_connect (Fixture *fixture)
{
  struct sockaddr_in address;
  int listener = listen_on_loopback (&address);
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  Request *request = request_new (fixture, EVP_OPERATION_CONNECT, fd, NULL, 0);
  gssize result;

  set_address (request, &address, sizeof address);
  submit (request);
  cancel (request);
  result = wait_for (request);
  g_assert_true (result == 0 || result == -ECANCELED);
  close (fd);
  close (listener);
}

/* Some are queued, some have a thread or the kernel at work. */
static void
test_cancel_files (Fixture *fixture)
{
  const guint n = 200;
  Request *requests[200];

  for (guint i = 0; i < n; i++)
    {
      requests[i] = request_new (fixture, EVP_OPERATION_READ, fixture->file, NULL, 64 * 1024);
      requests[i]->operation->offset = i;
      submit (requests[i]);
    }
  for (guint i = 0; i < n; i += 2)
    cancel (requests[i]);
  wait_for_completions (fixture, n);
  for (guint i = 0; i < n; i++)
    {
      g_assert_cmpuint (requests[i]->n_completed, ==, 1);
      if (requests[i]->operation->result != -ECANCELED || i % 2 == 1)
        {
          g_assert_cmpint (requests[i]->operation->result, ==, 64 * 1024);
          assert_pattern (requests[i]->buffer, 64 * 1024, i);
        }
    }
}

/* Two receive from one socket: each gets something else, and nobody twice. */
static void
test_several (Fixture *fixture)
{
  Request *first = submit (request_new (fixture, EVP_OPERATION_RECV, fixture->pair[0], NULL, 4));
  Request *second = submit (request_new (fixture, EVP_OPERATION_RECV, fixture->pair[0], NULL, 4));
  Request *send = submit (request_new (fixture, EVP_OPERATION_SEND, fixture->pair[0], "back", 4));
  char buffer[8];

  g_assert_cmpint (wait_for (send), ==, 4);
  g_assert_cmpint (read (fixture->pair[1], buffer, sizeof buffer), ==, 4);
  g_assert_cmpint (first->operation->state, ==, EVP_OPERATION_SUBMITTED);
  g_assert_cmpint (second->operation->state, ==, EVP_OPERATION_SUBMITTED);
  put (fixture->pair[1], "aaaabbbb");
  g_assert_cmpint (wait_for (first), ==, 4);
  g_assert_cmpint (wait_for (second), ==, 4);
  g_assert_true ((memcmp (first->buffer, "aaaa", 4) == 0 && memcmp (second->buffer, "bbbb", 4) == 0)
                 || (memcmp (first->buffer, "bbbb", 4) == 0 && memcmp (second->buffer, "aaaa", 4) == 0));
}

static void
test_many (Fixture *fixture)
{
  const guint n = 300;
  Pair *pairs = g_newa (Pair, n);
  Request **requests = g_newa (Request *, n);

  for (guint i = 0; i < n; i++)
    {
      make_pair (pairs[i]);
      requests[i] = submit (request_new (fixture, EVP_OPERATION_RECV, pairs[i][0], NULL, 8));
    }
  /* last to first */
  for (guint i = n; i > 0; i--)
    {
      char text[16];

      g_snprintf (text, sizeof text, "%u", i - 1);
      put (pairs[i - 1][1], text);
    }
  /* a poll() of its own is too small for these; the proactor is asked until it has them */
  while (fixture->n_completed < n)
    turn (fixture);
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      g_assert_cmpuint (requests[i]->n_completed, ==, 1);
      g_assert_cmpmem (requests[i]->buffer, requests[i]->operation->result, text, strlen (text));
      close (pairs[i][0]);
      close (pairs[i][1]);
    }
}

/* Rules: V-5 */
static void
test_close (Fixture *fixture)
{
  const guint n = 200;
  Pair *pairs = g_newa (Pair, n);
  guint n_submitted = 0;
  struct sockaddr_in address;
  int listener = listen_on_loopback (&address);

  for (guint i = 0; i < n; i++)
    {
      Request *request;

      make_pair (pairs[i]);
      request = request_new (fixture, EVP_OPERATION_RECV, pairs[i][0], NULL, 512);
      request->releases_buffer = TRUE;
      submit (request);
      request = request_new (fixture, EVP_OPERATION_SEND, pairs[i][0], NULL, 512 * 1024);
      memset (request->buffer, 'x', 512 * 1024);
      request->operation->flags |= EVP_OPERATION_ALL;
      request->releases_buffer = TRUE;
      submit (request);
      request = request_new (fixture, EVP_OPERATION_READ, fixture->file, NULL, 64 * 1024);
      request->operation->offset = i;
      request->releases_buffer = TRUE;
      submit (request);
      request = request_new (fixture, EVP_OPERATION_POLL, pairs[i][1], NULL, 0);
      request->operation->events = EVP_IO_EVENTS_READ;
      n_submitted += 3;
      if (i == 100)
        turn (fixture);
    }
  submit (request_new (fixture, EVP_OPERATION_ACCEPT, listener, NULL, 0));
  n_submitted++;
  /* some have data by now */
  for (guint i = 0; i < n; i += 3)
    put (pairs[i][1], "late");

  evp_proactor_close (fixture->proactor);
  g_assert_cmpuint (fixture->n_completed, ==, n_submitted);
  for (guint i = 0; i < fixture->requests->len; i++)
    {
      Request *request = g_ptr_array_index (fixture->requests, i);

      g_assert_cmpuint (request->n_completed, ==, request->operation->kind != EVP_OPERATION_POLL);
      if (request->operation->kind == EVP_OPERATION_ACCEPT || request->operation->kind == EVP_OPERATION_SEND)
        g_assert_cmpint (request->operation->result, ==, -ECANCELED);
      else if (request->operation->kind == EVP_OPERATION_READ)
        g_assert_true (request->operation->result == -ECANCELED || request->operation->result == 64 * 1024);
      else if (request->operation->kind == EVP_OPERATION_RECV)
        g_assert_true (request->operation->result == -ECANCELED || request->operation->result == 4);
    }
  for (guint i = 0; i < n; i++)
    {
      close (pairs[i][0]);
      close (pairs[i][1]);
    }
  close (listener);
}

static void
test_closed (Fixture *fixture)
{
  Request *request = request_new (fixture, EVP_OPERATION_RECV, fixture->pair[0], NULL, 8);
  g_autoptr (GError) error = NULL;

  put (fixture->pair[1], "one");
  g_assert_cmpint (wait_for (submit (request)), ==, 3);
  evp_proactor_close (fixture->proactor);
  evp_proactor_close (fixture->proactor);
  g_assert_true (refused (request, &error));
  g_assert_nonnull (error);
  g_assert_cmpuint (request->n_completed, ==, 1);
  g_assert_cmpuint (evp_proactor_poll (fixture->proactor), ==, 0);
}

/* One that nobody uses costs nothing. */
static void
test_unused (Fixture *fixture)
{
  for (int kind = EVP_OPERATION_RECV; kind <= EVP_OPERATION_POLL; kind++)
    g_assert_true (evp_proactor_supports (fixture->proactor, (EvpOperationKind) kind));
  g_assert_cmpuint (evp_proactor_poll (fixture->proactor), ==, 0);
}

static gpointer
drop_thread (gpointer request)
{
  request_free (request);
  return NULL;
}

/* A garbage collector drops the last reference to an operation that is not pending. */
static void
test_drop_elsewhere (Fixture *fixture)
{
  Request *request = request_new (fixture, EVP_OPERATION_RECV, fixture->pair[0], NULL, 8);

  submit (request);
  turn (fixture);
  put (fixture->pair[1], "one");
  g_assert_cmpint (wait_for (request), ==, 3);
  g_ptr_array_steal_index (fixture->requests, 0);
  g_thread_join (g_thread_new ("drop", drop_thread, request));
  put (fixture->pair[1], "two");
  turn (fixture);
  g_assert_false (g_main_context_pending (fixture->context));
}

/* A number is closed and used again: its operations have nothing to do with the former ones. */
static void
test_reused_descriptor (Fixture *fixture)
{
  for (guint i = 0; i < 20; i++)
    {
      int fds[2];
      Request *request;

      make_pair (fds);
      request = request_new (fixture, EVP_OPERATION_RECV, fds[0], NULL, 8);
      submit (request);
      turn (fixture);
      put (fds[1], "one");
      g_assert_cmpint (wait_for (request), ==, 3);
      submit (request);
      turn (fixture);
      cancel (request);
      g_assert_cmpint (wait_for (request), ==, -ECANCELED);
      if (request->operation->engine_free != NULL)
        request->operation->engine_free (request->operation);
      close (fds[0]);
      close (fds[1]);
    }
}

typedef struct
{
  const char *name;
  void (*run) (Fixture *fixture);
} Case;

static const Case cases[] = {
  { "unused", test_unused },
  { "recv", test_recv },
  { "recv-peek", test_recv_peek },
  { "recv-from", test_recv_from },
  { "send", test_send },
  { "send-all", test_send_all },
  { "accept", test_accept },
  { "connect", test_connect },
  { "connect-full", test_connect_full },
  { "read", test_read },
  { "write", test_write },
  { "pipe", test_pipe },
  { "pipe-full", test_pipe_full },
  { "pipe-several", test_pipe_several },
  { "pipe-offset", test_pipe_offset },
  { "eventfd", test_eventfd },
  { "poll", test_poll },
  { "poll-hang-up", test_poll_hang_up },
  { "closed-descriptor", test_closed_descriptor },
  { "errors", test_errors },
  { "cancel", test_cancel },
  { "cancel-send", test_cancel_send },
  { "cancel-connect", test_cancel_connect },
  { "cancel-files", test_cancel_files },
  { "several", test_several },
  { "many", test_many },
  { "drop-elsewhere", test_drop_elsewhere },
  { "reused-descriptor", test_reused_descriptor },
  { "other-descriptor", test_other_descriptor },
  { "close", test_close },
  { "closed", test_closed },
};

typedef struct
{
  const char *name;
  ContractProactorNew make;
  ContractProactorPrepare prepare;
  const Case *what;
} Entry;

static void
set_up (Fixture      *fixture,
        gconstpointer data)
{
  const Entry *entry = data;
  g_autoptr (GError) error = NULL;

  fixture->leaks = evp_test_leaks_begin ();
  fixture->deadline = evp_test_deadline_start (30, entry->what->name);
  fixture->requests = g_ptr_array_new_with_free_func (request_free);
  fixture->context = g_main_context_new ();
  fixture->proactor = entry->make (&error);
  g_assert_no_error (error);
  fixture->prepare = entry->prepare;
  evp_proactor_attach (fixture->proactor, fixture->context);
  make_pair (fixture->pair);
  fixture->file = g_file_open_tmp ("evp-proactor-XXXXXX", &fixture->path, &error);
  g_assert_no_error (error);
  for (gsize i = 0; i < FILE_SIZE; i += 4096)
    {
      char block[4096];

      for (gsize j = 0; j < sizeof block; j++)
        block[j] = pattern (i + j);
      g_assert_cmpint (pwrite (fixture->file, block, sizeof block, (off_t) i), ==, sizeof block);
    }
}

static void
run_case (Fixture      *fixture,
          gconstpointer data)
{
  ((const Entry *) data)->what->run (fixture);
}

static void
tear_down (Fixture      *fixture,
           gconstpointer data)
{
  evp_proactor_close (fixture->proactor);
  g_assert_finalize_object (fixture->proactor);
  g_ptr_array_unref (fixture->requests);
  /* nothing of it stays in the context */
  g_assert_false (g_main_context_pending (fixture->context));
  g_main_context_unref (fixture->context);
  close_fd (&fixture->pair[0]);
  close_fd (&fixture->pair[1]);
  close_fd (&fixture->file);
  g_unlink (fixture->path);
  g_free (fixture->path);
  evp_test_deadline_stop (fixture->deadline);
  evp_test_leaks_check (&fixture->leaks);
}

void
contract_proactor_add (const char             *name,
                       ContractProactorNew     make,
                       ContractProactorPrepare prepare)
{
  static Entry entries[4 * G_N_ELEMENTS (cases)]; /* as long as the tests may run */
  static guint n_entries = 0;

  g_assert_cmpuint (n_entries + G_N_ELEMENTS (cases), <=, G_N_ELEMENTS (entries));
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/proactor/%s/contract/%s", name, cases[i].name);
      Entry *entry = &entries[n_entries++];

      entry->name = name;
      entry->make = make;
      entry->prepare = prepare;
      entry->what = &cases[i];
      g_test_add_vtable (path, sizeof (Fixture), entry, (GTestFixtureFunc) set_up,
                         (GTestFixtureFunc) run_case, (GTestFixtureFunc) tear_down);
    }
}
