/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-refusing-loop.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* Operations by readiness, on a loop with the default selector, and on io_uring. */

typedef struct
{
  void (*test) (gpointer fixture);
  gboolean proactor;
} Case;

typedef struct
{
  EvpAbstractEventLoop *loop;
  int fds[2];
  gboolean done;
  guint calls;
  gssize result;
} Fixture;

static void
set_up (Fixture      *fixture,
        gconstpointer data)
{
  fixture->loop = ((const Case *) data)->proactor ? evp_proactor_event_loop_new (NULL, NULL)
                                                  : evp_selector_event_loop_new (NULL, NULL, NULL);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fixture->fds), ==, 0);
}

static void
tear_down (Fixture      *fixture,
           gconstpointer data)
{
  if (fixture->fds[0] >= 0)
    close (fixture->fds[0]);
  close (fixture->fds[1]);
  evp_event_loop_close (fixture->loop, NULL);
  g_assert_finalize_object (fixture->loop);
}

static void
done_cb (EvpOperation *operation,
         gpointer      user_data)
{
  Fixture *fixture = user_data;

  g_assert_false (evp_operation_is_pending (operation));
  fixture->done = TRUE;
  fixture->calls++;
  fixture->result = operation->result;
}

static void
submit (Fixture      *fixture,
        EvpOperation *operation)
{
  g_autoptr (GError) error = NULL;

  fixture->done = FALSE;
  g_assert_true (evp_loop_submit_operation (fixture->loop, operation, &error));
  g_assert_no_error (error);
  g_assert_false (fixture->done); /* never inside the call */
}

static gssize
wait_for (Fixture *fixture)
{
  evp_test_run_until (fixture->loop, &fixture->done);
  return fixture->result;
}

static EvpOperation *
new_operation (Fixture         *fixture,
               EvpOperationKind kind,
               gpointer         buffer,
               gsize            length)
{
  EvpOperation *operation = evp_operation_new (kind, fixture->fds[0], done_cb, fixture);

  operation->buffer = buffer;
  operation->length = length;
  return operation;
}

static void
test_recv (Fixture *fixture)
{
  char buffer[16];
  g_autoptr (EvpOperation) operation = new_operation (fixture, EVP_OPERATION_RECV, buffer, sizeof buffer);

  /* there already */
  g_assert_cmpint (write (fixture->fds[1], "one", 3), ==, 3);
  submit (fixture, operation);
  g_assert_cmpint (wait_for (fixture), ==, 3);
  g_assert_cmpmem (buffer, 3, "one", 3);

  /* the same operation again and again, each time before there is anything */
  for (guint i = 0; i < 3; i++)
    {
      submit (fixture, operation);
      evp_test_run_ready (fixture->loop);
      g_assert_false (fixture->done);
      g_assert_cmpint (write (fixture->fds[1], "later", 5), ==, 5);
      g_assert_cmpint (wait_for (fixture), ==, 5);
      g_assert_cmpmem (buffer, 5, "later", 5);
    }

  /* what arrives while nobody waits stays in the socket and wakes nobody up */
  g_assert_cmpint (write (fixture->fds[1], "unasked", 7), ==, 7);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (fixture->calls, ==, 4);
  submit (fixture, operation);
  g_assert_cmpint (wait_for (fixture), ==, 7);

  shutdown (fixture->fds[1], SHUT_WR);
  submit (fixture, operation);
  g_assert_cmpint (wait_for (fixture), ==, 0);
}

static void
test_cancel (Fixture *fixture)
{
  char buffer[16];
  g_autoptr (EvpOperation) operation = new_operation (fixture, EVP_OPERATION_RECV, buffer, sizeof buffer);

  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  evp_loop_cancel_operation (fixture->loop, operation);
  evp_loop_cancel_operation (fixture->loop, operation);
  g_assert_cmpint (wait_for (fixture), ==, -ECANCELED);
  g_assert_cmpuint (fixture->calls, ==, 1);

  /* nothing was consumed */
  g_assert_cmpint (write (fixture->fds[1], "kept", 4), ==, 4);
  evp_test_run_ready (fixture->loop);
  submit (fixture, operation);
  g_assert_cmpint (wait_for (fixture), ==, 4);
  evp_loop_cancel_operation (fixture->loop, operation);
  g_assert_cmpuint (fixture->calls, ==, 2);
}

static void
test_send_all (Fixture *fixture)
{
  const gsize size = 4 * 1024 * 1024;
  g_autofree char *data = g_malloc (size);
  g_autofree char *received = g_malloc (size);
  g_autoptr (EvpOperation) operation = new_operation (fixture, EVP_OPERATION_SEND, data, size);
  gsize n_received = 0;

  for (gsize i = 0; i < size; i++)
    data[i] = (char) (i * 7 + i / 251);
  operation->flags |= EVP_OPERATION_ALL;
  submit (fixture, operation);
  while (n_received < size)
    {
      gssize n;

      evp_test_run_ready (fixture->loop);
      n = read (fixture->fds[1], received + n_received, size - n_received);
      if (n > 0)
        n_received += (gsize) n;
    }
  g_assert_cmpint (wait_for (fixture), ==, (gssize) size);
  g_assert_cmpmem (data, size, received, size);

  /* how much went is known after an error, which is no signal */
  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  g_assert_false (fixture->done);
  close (fixture->fds[1]);
  g_assert_cmpint (wait_for (fixture), ==, -EPIPE);
  g_assert_cmpuint (operation->transferred, >, 0);
  g_assert_cmpuint (operation->transferred, <, size);
  fixture->fds[1] = -1;
}

static void
test_poll (Fixture *fixture)
{
  g_autoptr (EvpOperation) operation = new_operation (fixture, EVP_OPERATION_POLL, NULL, 0);

  operation->events = EVP_IO_EVENTS_READ;
  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  g_assert_false (fixture->done);
  g_assert_cmpint (write (fixture->fds[1], "x", 1), ==, 1);
  g_assert_cmpint (wait_for (fixture), ==, EVP_IO_EVENTS_READ);
}

static void
test_close (Fixture *fixture)
{
  char buffer[16];
  g_autoptr (EvpOperation) operation = new_operation (fixture, EVP_OPERATION_RECV, buffer, sizeof buffer);
  g_autoptr (EvpOperation) completed = new_operation (fixture, EVP_OPERATION_RECV, buffer, sizeof buffer);
  g_autoptr (GError) error = NULL;

  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  g_assert_cmpuint (fixture->calls, ==, 1);
  g_assert_cmpint (fixture->result, ==, -ECANCELED);
  g_assert_false (evp_loop_check_operation (fixture->loop, operation, "x", &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
  g_clear_error (&error);

  g_assert_false (evp_loop_submit_operation (fixture->loop, completed, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
}

/* What completed before the loop was closed is not lost with it. */
static void
test_close_completed (Fixture *fixture)
{
  char buffer[16];
  g_autoptr (EvpOperation) operation = new_operation (fixture, EVP_OPERATION_RECV, buffer, sizeof buffer);

  g_assert_cmpint (write (fixture->fds[1], "one", 3), ==, 3);
  submit (fixture, operation);
  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  g_assert_cmpuint (fixture->calls, ==, 1);
  g_assert_cmpint (fixture->result, ==, 3);
}

static void
again_cb (EvpOperation *operation,
          gpointer      user_data)
{
  Fixture *fixture = user_data;

  done_cb (operation, user_data);
  g_assert_cmpint (operation->result, ==, 1);
  g_assert_cmpint (*(char *) operation->buffer, ==, "abc"[fixture->calls - 1]);
  if (fixture->calls < 3)
    submit (fixture, operation);
}

/* Submitted from inside its function, where it completes at once: called once for each time. */
static void
test_again (Fixture *fixture)
{
  char buffer[1];
  g_autoptr (EvpOperation) operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], again_cb, fixture);

  operation->buffer = buffer;
  operation->length = sizeof buffer;
  g_assert_cmpint (write (fixture->fds[1], "abc", 3), ==, 3);
  submit (fixture, operation);
  while (fixture->calls < 3)
    evp_test_run_until (fixture->loop, &fixture->done);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (fixture->calls, ==, 3);
}

static void
cancel_inside_cb (EvpOperation *operation,
                  gpointer      user_data)
{
  Fixture *fixture = user_data;

  done_cb (operation, user_data);
  if (fixture->calls > 1)
    return;
  submit (fixture, operation);
  evp_loop_cancel_operation (fixture->loop, operation);
  g_assert_cmpuint (fixture->calls, ==, 1);
}

/* The same with one that is cancelled there. */
static void
test_cancel_inside (Fixture *fixture)
{
  char buffer[1];
  g_autoptr (EvpOperation) operation =
    evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], cancel_inside_cb, fixture);

  operation->buffer = buffer;
  operation->length = sizeof buffer;
  g_assert_cmpint (write (fixture->fds[1], "a", 1), ==, 1);
  submit (fixture, operation);
  while (fixture->calls < 2)
    evp_test_run_ready (fixture->loop);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (fixture->calls, ==, 2);
  g_assert_cmpint (fixture->result, ==, -ECANCELED);
}

static void
nested_cb (EvpOperation *operation,
           gpointer      user_data)
{
  Fixture *fixture = user_data;

  done_cb (operation, user_data);
  if (fixture->calls > 1)
    return;
  submit (fixture, operation);
  evp_test_run_until (fixture->loop, &fixture->done);
  evp_test_run_ready (fixture->loop);
}

/* And with a loop that runs inside the function. */
static void
test_nested (Fixture *fixture)
{
  char buffer[1];
  g_autoptr (EvpOperation) operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], nested_cb, fixture);

  operation->buffer = buffer;
  operation->length = sizeof buffer;
  g_assert_cmpint (write (fixture->fds[1], "ab", 2), ==, 2);
  submit (fixture, operation);
  while (fixture->calls < 2)
    evp_test_run_ready (fixture->loop);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (fixture->calls, ==, 2);
}

static void
nested_wait_cb (EvpOperation *operation,
                gpointer      user_data)
{
  Fixture *fixture = user_data;

  done_cb (operation, user_data);
  g_assert_cmpint (operation->result, ==, 1);
  if (fixture->calls >= 3)
    return;
  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  g_assert_false (fixture->done);
  g_assert_cmpint (write (fixture->fds[1], "b", 1), ==, 1);
  evp_test_run_until (fixture->loop, &fixture->done);
}

/* Rules: K-3 */
/* A loop inside the function serves the operation that it had to wait for, as deep as it goes. */
static void
test_nested_wait (Fixture *fixture)
{
  char buffer[1];
  g_autoptr (EvpOperation) operation =
    evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], nested_wait_cb, fixture);

  operation->buffer = buffer;
  operation->length = sizeof buffer;
  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (write (fixture->fds[1], "a", 1), ==, 1);
  while (fixture->calls < 3)
    evp_test_run_ready (fixture->loop);
  /* nothing is queued a second time */
  submit (fixture, operation);
  g_assert_cmpint (write (fixture->fds[1], "c", 1), ==, 1);
  g_assert_cmpint (wait_for (fixture), ==, 1);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (fixture->calls, ==, 4);
}

static void
drop_inside_cb (EvpOperation *operation,
                gpointer      user_data)
{
  Fixture *fixture = user_data;

  done_cb (operation, user_data);
  evp_loop_retire_operation (operation);
  close (fixture->fds[0]);
  fixture->fds[0] = -1;
  evp_operation_unref (operation);
}

/* The function lets go of everything, also of what the loop is just coming from. */
static void
test_drop_inside (Fixture *fixture)
{
  char buffer[4];
  EvpOperation *operation = evp_operation_new (EVP_OPERATION_RECV, fixture->fds[0], drop_inside_cb, fixture);

  operation->buffer = buffer;
  operation->length = sizeof buffer;
  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (write (fixture->fds[1], "a", 1), ==, 1);
  g_assert_cmpint (wait_for (fixture), ==, 1);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpuint (fixture->calls, ==, 1);
}

typedef struct
{
  EvpOperation *operation;
  char expected;
  guint calls;
} Sharer;

static void
shared_cb (EvpOperation *operation,
           gpointer      user_data)
{
  Sharer *sharer = user_data;

  g_assert_cmpint (operation->result, ==, 1);
  g_assert_cmpint (*(char *) operation->buffer, ==, sharer->expected);
  sharer->calls++;
}

/* Who had to wait is told before anything else is received, so what came is still in the processor's cache. */
static void
test_told_at_once (Fixture *fixture)
{
  Sharer sharers[2] = { 0 };
  char buffer[4];
  int other[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, other), ==, 0);
  for (guint i = 0; i < 2; i++)
    {
      sharers[i].expected = (char) ('a' + i);
      sharers[i].operation = evp_operation_new (EVP_OPERATION_RECV, i == 0 ? fixture->fds[0] : other[0],
                                                shared_cb, &sharers[i]);
      sharers[i].operation->buffer = buffer;
      sharers[i].operation->length = sizeof buffer;
      submit (fixture, sharers[i].operation);
    }
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (write (fixture->fds[1], "a", 1), ==, 1);
  g_assert_cmpint (write (other[1], "b", 1), ==, 1);
  while (sharers[0].calls + sharers[1].calls < 2)
    evp_test_run_ready (fixture->loop);
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpuint (sharers[i].calls, ==, 1);
      evp_loop_retire_operation (sharers[i].operation);
      evp_operation_unref (sharers[i].operation);
    }
  close (other[0]);
  close (other[1]);
}

/* Somebody else's reader takes the place of the wait, which then ends by cancellation only. */
static void
test_replaced (Fixture *fixture)
{
  char buffer[16];
  g_autoptr (EvpOperation) first = new_operation (fixture, EVP_OPERATION_RECV, buffer, sizeof buffer);
  g_autoptr (EvpOperation) second = new_operation (fixture, EVP_OPERATION_RECV, buffer, sizeof buffer);

  submit (fixture, first);
  submit (fixture, second);
  evp_loop_cancel_operation (fixture->loop, first);
  g_assert_cmpint (wait_for (fixture), ==, -ECANCELED);
  g_assert_true (evp_operation_is_pending (second));
  g_assert_cmpint (write (fixture->fds[1], "one", 3), ==, 3);
  fixture->done = FALSE;
  g_assert_cmpint (wait_for (fixture), ==, 3);
}

static gpointer
drop_thread (gpointer operation)
{
  evp_operation_unref (operation);
  return NULL;
}

/* A garbage collector drops the last reference on a thread of its own. */
static void
test_drop_elsewhere (Fixture *fixture)
{
  char buffer[16];
  EvpOperation *operation = new_operation (fixture, EVP_OPERATION_RECV, buffer, sizeof buffer);

  submit (fixture, operation);
  evp_test_run_ready (fixture->loop);
  g_assert_cmpint (write (fixture->fds[1], "one", 3), ==, 3);
  g_assert_cmpint (wait_for (fixture), ==, 3);
  g_thread_join (g_thread_new ("drop", drop_thread, operation));
  evp_test_run_ready (fixture->loop);
  g_assert_false (evp_event_loop_remove_reader (fixture->loop, fixture->fds[0]));
}

static void
receive_full (Fixture      *fixture,
              EvpOperation *operation,
              const char   *expected)
{
  g_assert_cmpint (wait_for (fixture), ==, (gssize) operation->length);
  g_assert_cmpmem (operation->buffer, operation->length, expected, operation->length);
}

/* Rules: K-3 */
/*
 * A reader whose buffer is as long as each message stops looking for the next one before there is word of it, and loses
 * nothing by that: neither what had come before, nor a rush of messages, nor the end, nor what comes after a cancellation.
 */
static void
test_full_reads (Fixture *fixture)
{
  char buffer[4];
  g_autoptr (EvpOperation) operation = new_operation (fixture, EVP_OPERATION_RECV, buffer, sizeof buffer);
  gboolean tried = FALSE;

  for (guint i = 0; i < 40; i++)
    {
      submit (fixture, operation);
      g_assert_cmpint (write (fixture->fds[1], "ping", 4), ==, 4);
      receive_full (fixture, operation, "ping");
    }

  /* it waits first: what is there already does not complete it */
  for (guint i = 0; i < 2; i++)
    {
      g_assert_cmpint (write (fixture->fds[1], "here", 4), ==, 4);
      submit (fixture, operation);
      g_assert_true (operation->state == EVP_OPERATION_SUBMITTED);
      receive_full (fixture, operation, "here");
    }

  /* also if it came, and was reported, while nobody waited */
  g_assert_cmpint (write (fixture->fds[1], "idle", 4), ==, 4);
  evp_test_run_ready (fixture->loop);
  submit (fixture, operation);
  receive_full (fixture, operation, "idle");

  /* a cancelled one takes nothing away */
  submit (fixture, operation);
  g_assert_cmpint (write (fixture->fds[1], "kept", 4), ==, 4);
  evp_loop_cancel_operation (fixture->loop, operation);
  g_assert_cmpint (wait_for (fixture), ==, -ECANCELED);
  submit (fixture, operation);
  receive_full (fixture, operation, "kept");

  /* a rush: soon it is looked for at once again, and then each time */
  for (guint i = 0; i < 64; i++)
    g_assert_cmpint (write (fixture->fds[1], i % 2 == 0 ? "even" : "odd.", 4), ==, 4);
  for (guint i = 0; i < 64; i++)
    {
      submit (fixture, operation);
      if (operation->state == EVP_OPERATION_COMPLETED)
        tried = TRUE;
      else
        g_assert_false (tried);
      receive_full (fixture, operation, i % 2 == 0 ? "even" : "odd.");
    }
  g_assert_true (tried);

  shutdown (fixture->fds[1], SHUT_WR);
  submit (fixture, operation);
  g_assert_cmpint (wait_for (fixture), ==, 0);
}

/* An operation that is refused leaves nothing behind that it brought. */
static void
test_refused (void)
{
  EvpTestRefusingLoop *refusing = evp_test_refusing_loop_new ();
  EvpAbstractEventLoop *loop = EVP_EVENT_LOOP (refusing);
  g_autoptr (EvpOperation) operation = evp_operation_new (EVP_OPERATION_RECV, 0, NULL, NULL);
  g_autoptr (GError) error = NULL;

  operation->flags |= EVP_OPERATION_ALLOCATE;
  operation->length = 1 << 20;
  refusing->refuses = TRUE;
  g_assert_false (evp_loop_submit_operation (loop, operation, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_FAILED);
  g_assert_null (operation->buffer);
  g_assert_false (evp_operation_is_pending (operation));
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_finalize_object (loop);
}

static void
test_data (void)
{
  char buffer[4] = "abc";
  g_autoptr (EvpOperation) operation = evp_operation_new (EVP_OPERATION_RECV, 7, NULL, NULL);
  g_autoptr (GBytes) bytes = g_bytes_new_static ("xyzzy", 5);
  g_autoptr (GBytes) copy = NULL;
  g_autoptr (GSocketAddress) address = g_inet_socket_address_new_from_string ("127.0.0.1", 80);
  g_autoptr (GSocketAddress) back = NULL;
  g_autoptr (GError) error = NULL;

  operation->buffer = buffer;
  operation->length = 3;
  g_assert_cmpint (evp_operation_get_kind (operation), ==, EVP_OPERATION_RECV);
  g_assert_cmpint (evp_operation_get_fd (operation), ==, 7);
  g_assert_cmpuint (evp_operation_get_length (operation), ==, 3);
  g_assert_cmpint (evp_operation_get_offset (operation), ==, -1);
  g_assert_cmpuint (evp_operation_store_data (operation, bytes), ==, 3);
  copy = evp_operation_copy_data (operation);
  g_assert_cmpmem (g_bytes_get_data (copy, NULL), g_bytes_get_size (copy), "xyz", 3);

  g_assert_null (evp_operation_get_address (operation, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_true (evp_operation_set_address (operation, address, &error));
  g_assert_no_error (error);
  back = evp_operation_get_address (operation, &error);
  g_assert_no_error (error);
  g_assert_cmpint (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (back)), ==, 80);
}

static void
run_case (Fixture      *fixture,
          gconstpointer data)
{
  ((const Case *) data)->test (fixture);
}

static void
add (const char *name,
     void      (*test) (Fixture *),
     gboolean    both)
{
  g_autofree char *path = g_strdup_printf ("/evp/loop/operation/%s", name);
  g_autofree char *proactor_path = g_strdup_printf ("/evp/loop/operation/proactor/%s", name);
  static Case all_cases[40]; /* GLib only borrows them */
  static guint n_cases;
  Case *cases = &all_cases[n_cases];

  n_cases += 2;
  g_assert_cmpuint (n_cases, <=, G_N_ELEMENTS (all_cases));
  cases[0].test = cases[1].test = (void (*) (gpointer)) test;
  cases[1].proactor = TRUE;
  g_test_add_vtable (path, sizeof (Fixture), &cases[0], (GTestFixtureFunc) set_up, (GTestFixtureFunc) run_case,
                     (GTestFixtureFunc) tear_down);
  if (both)
    g_test_add_vtable (proactor_path, sizeof (Fixture), &cases[1], (GTestFixtureFunc) set_up,
                       (GTestFixtureFunc) run_case, (GTestFixtureFunc) tear_down);
}

int
main (int    argc,
      char **argv)
{
  gboolean uring;

  g_test_init (&argc, &argv, NULL);

  uring = evp_test_has_uring ();
  add ("recv", test_recv, uring);
  add ("cancel", test_cancel, uring);
  add ("send-all", test_send_all, uring);
  add ("poll", test_poll, uring);
  add ("close", test_close, uring);
  add ("close-completed", test_close_completed, FALSE);
  add ("again", test_again, uring);
  add ("cancel-inside", test_cancel_inside, uring);
  add ("nested", test_nested, uring);
  add ("nested-wait", test_nested_wait, uring);
  add ("drop-inside", test_drop_inside, uring);
  add ("told-at-once", test_told_at_once, FALSE);
  add ("replaced", test_replaced, FALSE);
  add ("full-reads", test_full_reads, FALSE);
  add ("drop-elsewhere", test_drop_elsewhere, uring);
  g_test_add_func ("/evp/loop/operation/data", test_data);
  g_test_add_func ("/evp/loop/operation/refused", test_refused);

  return g_test_run ();
}
