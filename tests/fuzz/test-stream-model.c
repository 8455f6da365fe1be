/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-socket-stream-private.h"
#include "fuzz/fuzz-random.h"
#include "net/net-loops.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Random reads and writes on both ends of a connection, each end on a loop of its own: of random
 * sizes, some cancelled, with half-closes in between. The model is that what was written comes out
 * again, in order, all of it and nothing else, and that every request is answered once.
 */

#define N_STEPS 150
#define MAX_SIZE 150000

typedef struct _Round Round;

/* From one end to the other. */
typedef struct
{
  Round *round;
  GSocketConnection *connection; /* borrowed: the writer's */
  GOutputStream *output; /* borrowed */
  GInputStream *input;   /* borrowed */
  guint64 n_written;     /* that the writer was told */
  guint64 n_maybe;       /* that may be written beyond that: of a cancelled write */
  guint64 n_read;
  guint8 *write_buffer, *read_buffer;
  gsize write_size, read_size;
  GCancellable *write_cancellable, *read_cancellable;
  gboolean writing, reading, closing, ended;
  gboolean shut; /* no more writes: the end comes, or has come */
} Direction;

struct _Round
{
  GRand *rand;
  EvpAbstractEventLoop *loops[2];
  GMainContext *contexts[2];
  gboolean adopted[2];
  GIOStream *streams[2];
  Direction directions[2];
};

/* What stands at a place of the endless text that every direction sends. */
static guint8
text_at (guint64 place)
{
  return (guint8) ((place * 2654435761u) >> 13);
}

static gsize
random_size (GRand *rand)
{
  return (gsize) fuzz_below (rand, (guint) 1 << fuzz_below (rand, 18)) + 1;
}

static void
written_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Direction *self = user_data;
  g_autoptr (GError) error = NULL;
  gssize n = g_output_stream_write_finish (G_OUTPUT_STREAM (source), result, &error);

  g_assert_true (self->writing);
  self->writing = FALSE;
  if (n < 0)
    {
      /* all, some or nothing of it may be on its way: nothing can follow it */
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_true (g_cancellable_is_cancelled (self->write_cancellable));
      self->n_maybe = self->write_size;
      self->shut = TRUE;
    }
  else
    {
      g_assert_cmpint (n, >, 0);
      g_assert_cmpuint ((gsize) n, <=, self->write_size);
      self->n_written += (guint64) n;
    }
  g_clear_pointer (&self->write_buffer, g_free);
  g_clear_object (&self->write_cancellable);
}

static void
read_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  Direction *self = user_data;
  g_autoptr (GError) error = NULL;
  gssize n = g_input_stream_read_finish (G_INPUT_STREAM (source), result, &error);

  g_assert_true (self->reading);
  self->reading = FALSE;
  if (n < 0)
    {
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_true (g_cancellable_is_cancelled (self->read_cancellable));
    }
  else if (n == 0)
    {
      g_assert_true (self->closing);
      g_assert_cmpuint (self->n_read, >=, self->n_written);
      g_assert_cmpuint (self->n_read, <=, self->n_written + self->n_maybe);
      self->ended = TRUE;
    }
  else
    {
      g_assert_cmpuint ((gsize) n, <=, self->read_size);
      for (gssize i = 0; i < n; i++)
        g_assert_cmpuint (self->read_buffer[i], ==, text_at (self->n_read + (guint64) i));
      self->n_read += (guint64) n;
    }
  g_clear_pointer (&self->read_buffer, g_free);
  g_clear_object (&self->read_cancellable);
}

static void
start_write (Direction *self)
{
  if (self->writing || self->shut)
    return;
  self->write_size = random_size (self->round->rand);
  self->write_buffer = g_malloc (self->write_size);
  for (gsize i = 0; i < self->write_size; i++)
    self->write_buffer[i] = text_at (self->n_written + i);
  self->write_cancellable = g_cancellable_new ();
  self->writing = TRUE;
  g_output_stream_write_async (self->output, self->write_buffer, self->write_size, G_PRIORITY_DEFAULT,
                               self->write_cancellable, written_cb, self);
}

static void
start_read (Direction *self)
{
  if (self->reading || self->ended)
    return;
  self->read_size = random_size (self->round->rand);
  self->read_buffer = g_malloc (self->read_size);
  self->read_cancellable = g_cancellable_new ();
  self->reading = TRUE;
  g_input_stream_read_async (self->input, self->read_buffer, self->read_size, G_PRIORITY_DEFAULT,
                             self->read_cancellable, read_cb, self);
}

static void
half_close (Direction *self)
{
  g_autoptr (GError) error = NULL;

  if (self->writing || self->closing)
    return;
  self->shut = self->closing = TRUE;
  g_socket_shutdown (g_socket_connection_get_socket (self->connection), FALSE, TRUE, &error);
  g_assert_no_error (error);
}

/* What is ready on both loops, without waiting. */
static void
turn (Round *self)
{
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;

      if (self->adopted[i])
        {
          g_main_context_iteration (self->contexts[i], FALSE);
          continue;
        }
      evp_event_loop_stop (self->loops[i]);
      g_assert_true (evp_event_loop_run_forever (self->loops[i], &error));
      g_assert_no_error (error);
    }
}

/* Requests are made where the stream's loop is at home. */
static void
act_on (Round      *self,
        guint       end,
        void      (*act) (Direction *direction),
        Direction  *direction)
{
  g_main_context_push_thread_default (self->contexts[end]);
  act (direction);
  g_main_context_pop_thread_default (self->contexts[end]);
}

static void
step (Round *self)
{
  guint from = fuzz_below (self->rand, 2);
  Direction *direction = &self->directions[from];
  guint what = fuzz_below (self->rand, 100);

  if (what < 35)
    act_on (self, from, start_write, direction);
  else if (what < 80)
    act_on (self, 1 - from, start_read, direction);
  else if (what < 92)
    {
      if (direction->reading)
        g_cancellable_cancel (direction->read_cancellable);
    }
  else if (what < 93)
    {
      if (direction->writing)
        g_cancellable_cancel (direction->write_cancellable);
    }
  else if (what < 94)
    act_on (self, from, half_close, direction);
  for (guint n = fuzz_below (self->rand, 3); n > 0; n--)
    turn (self);
}

typedef struct
{
  guint first, second; /* of net_loops */
} Kinds;

static void
round_cb (GRand        *rand,
          gconstpointer data)
{
  const Kinds *kinds = data;
  const NetLoop *ends[2] = { &net_loops[kinds->first], &net_loops[kinds->second] };
  Round self = { .rand = rand };
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GSocket) socket = g_socket_new_from_fd (fds[i], &error);

      g_assert_no_error (error);
      self.loops[i] = ends[i]->make (NULL);
      self.adopted[i] = ends[i]->adopted;
      self.contexts[i] = evp_event_loop_dup_main_context (self.loops[i]);
      self.streams[i] = evp_socket_stream_new (self.loops[i], socket);
    }
  for (guint i = 0; i < 2; i++)
    self.directions[i] = (Direction) {
      .round = &self,
      .connection = G_SOCKET_CONNECTION (self.streams[i]),
      .output = g_io_stream_get_output_stream (self.streams[i]),
      .input = g_io_stream_get_input_stream (self.streams[1 - i]),
    };

  for (guint i = 0; i < N_STEPS; i++)
    step (&self);

  /* the end: everything that was written comes, and then nothing more */
  while (!self.directions[0].ended || !self.directions[1].ended)
    {
      for (guint i = 0; i < 2; i++)
        {
          act_on (&self, i, half_close, &self.directions[i]);
          act_on (&self, 1 - i, start_read, &self.directions[i]);
        }
      turn (&self);
      sched_yield ();
    }

  for (guint i = 0; i < 2; i++)
    {
      g_assert_false (self.directions[i].reading);
      g_assert_false (self.directions[i].writing);
      g_object_unref (self.streams[i]);
    }
  turn (&self);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_true (evp_event_loop_close (self.loops[i], &error));
      g_assert_no_error (error);
      while (g_main_context_iteration (NULL, FALSE))
        ;
      g_main_context_unref (self.contexts[i]);
      g_assert_finalize_object (self.loops[i]);
    }
  evp_test_leaks_check (&leaks);
}

static FuzzArguments arguments;

/* Rules: T-1, T-2, T-3, T-4, T-5, T-7 */
static void
test_model (gconstpointer data)
{
  g_autoptr (EvpTestDeadline) deadline = arguments.rounds > 0 ? evp_test_deadline_start (100, "random transfers") : NULL;

  fuzz_rounds (&arguments, round_cb, data);
}

int
main (int    argc,
      char **argv)
{
  static Kinds kinds[G_N_ELEMENTS (net_loops) * G_N_ELEMENTS (net_loops)];
  guint n, n_kinds = 0;

  arguments = fuzz_init (&argc, &argv, 30);
  n = G_N_ELEMENTS (net_loops) - !evp_test_has_uring ();
  for (guint i = 0; i < n; i++)
    for (guint j = i; j < n; j++)
      {
        g_autofree char *path = g_strdup_printf ("/evp/fuzz/stream-model/%s/%s", net_loops[i].name, net_loops[j].name);

        kinds[n_kinds] = (Kinds) { i, j };
        g_test_add_data_func (path, &kinds[n_kinds++], test_model);
      }
  return g_test_run ();
}
