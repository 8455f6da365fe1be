/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-bench-private.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * What proactors are for: messages over sockets, and reads of a file.
 */

#define N_PAIRS 8
#define MESSAGE_SIZE 64
#define BLOCK_SIZE 4096
#define N_BLOCKS 1024
#define DEPTH 16

typedef struct _Io Io;

typedef struct
{
  Io *io;
  GSocket *socket;
  GSource *source;           /* GLib's */
  GFileInputStream *stream;  /* GLib's */
  guint64 block;
  char buffer[BLOCK_SIZE];
} Slot;

struct _Io
{
  EvpAbstractEventLoop *loop; /* or these two */
  GMainContext *context;
  GMainLoop *main_loop;
  GCancellable *cancellable;
  Slot *slots;
  guint n_slots;
  guint64 to_start, to_finish;
  guint n_pending;
  gboolean closing;
  GRand *rand;
  int fd;
  GError *error;
};

static void
io_stop (Io *self)
{
  if (self->loop != NULL)
    evp_event_loop_stop (self->loop);
  else
    g_main_loop_quit (self->main_loop);
}

static gboolean
io_run (Io      *self,
        GError **error)
{
  gboolean ran = TRUE;

  if (self->loop != NULL)
    ran = evp_event_loop_run_forever (self->loop, error);
  else
    {
      /* asynchronous operations come back to it */
      g_main_context_push_thread_default (self->context);
      g_main_loop_run (self->main_loop);
      g_main_context_pop_thread_default (self->context);
    }
  if (ran && self->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&self->error));
      ran = FALSE;
    }
  return ran;
}

static void
io_fail (Io     *self,
         GError *error)
{
  if (self->error == NULL)
    self->error = error;
  else
    g_error_free (error);
  io_stop (self);
}

static void
io_free (gpointer data)
{
  Io *self = data;

  /* what is under way uses the buffers */
  self->closing = TRUE;
  g_cancellable_cancel (self->cancellable);
  if (self->n_pending > 0)
    io_run (self, NULL);
  for (guint i = 0; i < self->n_slots; i++)
    {
      Slot *slot = &self->slots[i];

      if (slot->source != NULL)
        g_source_destroy (slot->source);
      g_clear_pointer (&slot->source, g_source_unref);
      g_clear_object (&slot->socket);
      g_clear_object (&slot->stream);
    }
  if (self->loop != NULL)
    evp_event_loop_close (self->loop, NULL);
  g_clear_object (&self->loop);
  g_clear_pointer (&self->main_loop, g_main_loop_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_object (&self->cancellable);
  g_clear_pointer (&self->rand, g_rand_free);
  g_clear_error (&self->error);
  if (self->fd >= 0)
    close (self->fd);
  g_free (self->slots);
  g_free (self);
}

static Io *
io_new (const EvpToolBenchSubject *subject,
        guint                      n_slots,
        GError                   **error)
{
  Io *self = g_new0 (Io, 1);

  self->fd = -1;
  self->n_slots = n_slots;
  self->slots = g_new0 (Slot, n_slots);
  self->cancellable = g_cancellable_new ();
  self->rand = g_rand_new_with_seed (7);
  for (guint i = 0; i < n_slots; i++)
    self->slots[i].io = self;
  if (subject->new_loop != NULL)
    {
      self->loop = subject->new_loop (error);
      if (self->loop == NULL)
        g_clear_pointer (&self, io_free);
      return self;
    }
  self->context = g_main_context_new ();
  self->main_loop = g_main_loop_new (self->context, FALSE);
  return self;
}

/* Echo: each end of a pair of sockets sends back what it receives */

static void echo_receive (Slot *slot);

static void
echo_send (Slot *slot)
{
  Io *self = slot->io;
  GError *error = NULL;

  if (g_socket_send (slot->socket, slot->buffer, MESSAGE_SIZE, NULL, &error) < 0)
    io_fail (self, error);
}

/* @size bytes are there. */
static void
echo_received (Slot  *slot,
               gssize size)
{
  Io *self = slot->io;

  if (size <= 0)
    return;
  if (self->to_finish > 0 && --self->to_finish == 0)
    io_stop (self);
  /* when enough were counted it goes on all the same, up to where the loop stops */
  echo_send (slot);
}

static void
echo_received_cb (GObject      *source,
                  GAsyncResult *result,
                  gpointer      data)
{
  Slot *slot = data;
  Io *self = slot->io;
  GError *error = NULL;
  gssize size = evp_event_loop_sock_recv_into_finish (EVP_EVENT_LOOP (source), result, &error);

  self->n_pending--;
  if (self->closing)
    {
      g_clear_error (&error);
      if (self->n_pending == 0)
        io_stop (self);
      return;
    }
  if (size < 0)
    {
      io_fail (self, error);
      return;
    }
  echo_received (slot, size);
  echo_receive (slot);
}

static void
echo_receive (Slot *slot)
{
  Io *self = slot->io;

  self->n_pending++;
  evp_event_loop_sock_recv_into_async (self->loop, slot->socket, slot->buffer, MESSAGE_SIZE, self->cancellable,
                                       echo_received_cb, slot);
}

static gboolean
echo_source_cb (GSocket     *socket,
                GIOCondition condition,
                gpointer     data)
{
  Slot *slot = data;

  echo_received (slot, g_socket_receive (socket, slot->buffer, MESSAGE_SIZE, NULL, NULL));
  return G_SOURCE_CONTINUE;
}

static void
echo_begin_cb (gpointer data)
{
  Io *self = data;

  for (guint i = 0; i < self->n_slots; i++)
    echo_receive (&self->slots[i]);
  for (guint i = 0; i < self->n_slots; i += 2)
    echo_send (&self->slots[i]);
}

static gboolean
echo_fill (Io      *self,
           GError **error)
{
  int fds[2];

  for (guint i = 0; i < self->n_slots; i++)
    {
      Slot *slot = &self->slots[i];

      if (i % 2 == 0 && socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        {
          g_set_error_literal (error, G_IO_ERROR, g_io_error_from_errno (errno), g_strerror (errno));
          return FALSE;
        }
      slot->socket = g_socket_new_from_fd (fds[i % 2], error);
      if (slot->socket == NULL)
        {
          close (fds[i % 2]);
          return FALSE;
        }
      g_socket_set_blocking (slot->socket, FALSE);
      if (self->loop != NULL)
        continue;
      slot->source = g_socket_create_source (slot->socket, G_IO_IN, NULL);
      g_source_set_callback (slot->source, G_SOURCE_FUNC (echo_source_cb), slot, NULL);
      g_source_attach (slot->source, self->context);
    }
  if (self->loop != NULL)
    return evp_event_loop_call_soon (self->loop, echo_begin_cb, self, NULL, error) != NULL;
  for (guint i = 0; i < self->n_slots; i += 2)
    echo_send (&self->slots[i]);
  return TRUE;
}

static gpointer
echo_set_up (const EvpToolBenchSubject *subject,
             GError                   **error)
{
  Io *self = io_new (subject, 2 * N_PAIRS, error);

  if (self != NULL && !echo_fill (self, error))
    g_clear_pointer (&self, io_free);
  return self;
}

static gboolean
echo_run (gpointer          state,
          guint64           n,
          EvpToolBenchCost *cost,
          GError          **error)
{
  Io *self = state;
  gboolean ran;

  self->to_finish = n;
  evp_tool_bench_start (cost);
  ran = io_run (self, error);
  evp_tool_bench_stop (cost);
  return ran;
}

const EvpToolBenchWorkload evp_tool_bench_echo = {
  "echo", N_("Messages over sockets"), N_("a message, received and answered"), NULL, { 0 }, 0, 1,
  evp_tool_bench_any_loop, 200, 0, NULL, NULL, echo_set_up, echo_run, io_free,
};

/* Files: blocks read at random from a file in the page cache */

static void files_read (Slot *slot);

static void
files_read_done (Slot   *slot,
                 gssize  size,
                 GError *error)
{
  Io *self = slot->io;
  guint64 found;

  self->n_pending--;
  memcpy (&found, slot->buffer, sizeof found);
  if (size >= 0 && (size != BLOCK_SIZE || found != slot->block))
    error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_INVALID_DATA, _("What was read is not what is in the file"));
  if (error != NULL)
    {
      io_fail (self, error);
      return;
    }
  if (--self->to_finish == 0)
    io_stop (self);
  files_read (slot);
}

static void
files_read_cb (GObject      *source,
               GAsyncResult *result,
               gpointer      data)
{
  GError *error = NULL;
  gssize size = evp_proactor_event_loop_read_into_finish (EVP_PROACTOR_EVENT_LOOP (source), result, &error);

  files_read_done (data, size, error);
}

static void
files_stream_read_cb (GObject      *source,
                      GAsyncResult *result,
                      gpointer      data)
{
  GError *error = NULL;
  gssize size = g_input_stream_read_finish (G_INPUT_STREAM (source), result, &error);

  files_read_done (data, size, error);
}

static void
files_read (Slot *slot)
{
  Io *self = slot->io;
  GError *error = NULL;

  if (self->to_start == 0 || self->error != NULL)
    return;
  self->to_start--;
  slot->block = (guint64) g_rand_int_range (self->rand, 0, N_BLOCKS);
  if (self->loop == NULL && !g_seekable_seek (G_SEEKABLE (slot->stream), (goffset) slot->block * BLOCK_SIZE,
                                              G_SEEK_SET, NULL, &error))
    {
      io_fail (self, error);
      return;
    }
  self->n_pending++;
  if (self->loop != NULL)
    evp_proactor_event_loop_read_into_async (EVP_PROACTOR_EVENT_LOOP (self->loop), self->fd, slot->buffer, BLOCK_SIZE,
                                             (gint64) slot->block * BLOCK_SIZE, NULL, files_read_cb, slot);
  else
    g_input_stream_read_async (G_INPUT_STREAM (slot->stream), slot->buffer, BLOCK_SIZE, G_PRIORITY_DEFAULT, NULL,
                               files_stream_read_cb, slot);
}

static void
files_begin_cb (gpointer data)
{
  Io *self = data;

  for (guint i = 0; i < self->n_slots; i++)
    files_read (&self->slots[i]);
}

static gboolean
files_begin_source_cb (gpointer data)
{
  files_begin_cb (data);
  return G_SOURCE_REMOVE;
}

/* A file that says in each block which one it is. */
static gboolean
files_fill (Io      *self,
            GError **error)
{
  g_autofree char *path = NULL;
  g_autofree guint64 *content = g_malloc0 (N_BLOCKS * BLOCK_SIZE);
  g_autoptr (GFile) file = NULL;
  gboolean good;

  for (guint64 i = 0; i < N_BLOCKS; i++)
    content[i * BLOCK_SIZE / sizeof *content] = i;
  self->fd = g_file_open_tmp ("evp-bench-XXXXXX", &path, error);
  if (self->fd < 0)
    return FALSE;
  file = g_file_new_for_path (path);
  good = g_file_set_contents_full (path, (const char *) content, N_BLOCKS * BLOCK_SIZE, G_FILE_SET_CONTENTS_NONE, 0600,
                                   error);
  for (guint i = 0; good && self->loop == NULL && i < self->n_slots; i++)
    {
      self->slots[i].stream = g_file_read (file, NULL, error);
      good = self->slots[i].stream != NULL;
    }
  g_unlink (path);
  return good;
}

static gpointer
files_set_up (const EvpToolBenchSubject *subject,
              GError                   **error)
{
  Io *self = io_new (subject, DEPTH, error);

  if (self != NULL && !files_fill (self, error))
    g_clear_pointer (&self, io_free);
  return self;
}

static gboolean
files_run (gpointer          state,
           guint64           n,
           EvpToolBenchCost *cost,
           GError          **error)
{
  Io *self = state;
  gboolean ran;

  self->to_start = self->to_finish = n;
  if (self->loop != NULL)
    evp_event_loop_call_soon (self->loop, files_begin_cb, self, NULL, NULL);
  else
    {
      GSource *source = g_idle_source_new ();

      g_source_set_callback (source, files_begin_source_cb, self, NULL);
      g_source_attach (source, self->context);
      g_source_unref (source);
    }
  evp_tool_bench_start (cost);
  ran = io_run (self, error);
  evp_tool_bench_stop (cost);
  return ran;
}

const EvpToolBenchWorkload evp_tool_bench_files = {
  "files", N_("Files"), N_("4 KiB, read at random"), NULL, { 0 }, 0, 1,
  evp_tool_bench_proactors, 50, 0, NULL, NULL, files_set_up, files_run, io_free,
};
