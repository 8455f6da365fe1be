/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-output-private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_SIZE (16 * 1024)
/* a line longer than this is passed on in parts */
#define LONG_LINE (64 * 1024)
/* who has to wait for somebody else's long line stops reading here */
#define MAX_WAITING (1024 * 1024)
/* while a slow reader has this much before it, nothing more is read */
#define MAX_QUEUE (256 * 1024)
/* more than a pipe ever holds, unless somebody goes on writing */
#define MAX_REST (1024 * 1024)

struct _EvpToolSink
{
  EvpAbstractEventLoop *loop;
  int fd;
  gboolean owns_fd;    /* which then never blocks */
  EvpToolNotify before_write;
  EvpToolFailed failed;
  gpointer user_data;
  gboolean is_file;    /* always ready, says poll() */
  gboolean is_broken;
  gboolean is_waiting; /* the loop tells when there is room */
  GString *queue;      /* what goes out, in this order … */
  gsize n_written;     /* … and how much of it has */
  EvpToolPipe *holder; /* in the middle of a line; NULL: anybody may write */
  GPtrArray *pipes;    /* owned */
  GString *own;        /* our own lines, while somebody holds the sink */
  gboolean advancing, again;
};

struct _EvpToolPipe
{
  EvpToolSink *sink;
  GInputStream *stream;
  GCancellable *cancellable;
  EvpToolNotify activity;
  EvpToolNotify closed;
  gpointer user_data;
  GString *pending;   /* read, not passed on yet */
  gboolean reading;   /* a read is under way */
  gboolean abandoned;
  gboolean ended;
  char buffer[READ_SIZE];
};

static void pipe_read (EvpToolPipe *self);
static void sink_advance (EvpToolSink *self);

/* Writing */

static gsize
sink_queue_size (EvpToolSink *self)
{
  return self->queue->len - self->n_written;
}

static void
sink_unwatch (EvpToolSink *self)
{
  if (self->is_waiting)
    evp_event_loop_remove_writer (self->loop, self->fd);
  self->is_waiting = FALSE;
}

static void
sink_break (EvpToolSink *self,
            int          error_number)
{
  sink_unwatch (self);
  g_string_truncate (self->queue, 0);
  self->n_written = 0;
  self->is_broken = TRUE;
  self->failed (error_number, self->user_data);
}

/* Writes as much as possible; FALSE if it would have to wait. */
static gboolean
sink_write (EvpToolSink *self,
            gboolean     may_wait)
{
  while (sink_queue_size (self) > 0)
    {
      struct pollfd room = { .fd = self->fd, .events = POLLOUT };
      gsize length = sink_queue_size (self);
      gssize n;

      if (!self->is_file && !self->owns_fd && !may_wait)
        {
          /* the descriptor is shared with others, who may not expect O_NONBLOCK; so little never blocks */
          if (poll (&room, 1, 0) == 0)
            return FALSE;
          length = MIN (length, PIPE_BUF);
        }
      self->before_write (self->user_data);
      n = write (self->fd, self->queue->str + self->n_written, length);
      if (n >= 0)
        self->n_written += (gsize) n;
      else if (errno == EAGAIN)
        {
          if (!may_wait)
            return FALSE;
          poll (&room, 1, -1);
        }
      else if (errno != EINTR)
        {
          sink_break (self, errno);
          return TRUE;
        }
    }
  g_string_truncate (self->queue, 0);
  self->n_written = 0;
  return TRUE;
}

static void
sink_room_cb (int      fd,
              gpointer user_data)
{
  EvpToolSink *self = user_data;

  if (sink_write (self, FALSE))
    sink_unwatch (self);
  sink_advance (self);
}

static void
sink_flush (EvpToolSink *self)
{
  if (self->is_waiting || sink_write (self, FALSE))
    return;
  self->is_waiting = evp_event_loop_add_writer (self->loop, self->fd, sink_room_cb, self, NULL, NULL);
  if (!self->is_waiting)
    sink_write (self, TRUE);
}

static void
sink_append (EvpToolSink *self,
             const char  *text,
             gsize        length)
{
  if (self->is_broken)
    return;
  /* with a slow reader there is always something left: what is written must not stay until there is not */
  if (self->n_written > sink_queue_size (self))
    {
      g_string_erase (self->queue, 0, (gssize) self->n_written);
      self->n_written = 0;
    }
  g_string_append_len (self->queue, text, (gssize) length);
}

/* Lines */

/* Passes on what may be passed on now. Returns whether the sink became free for others. */
static gboolean
pipe_emit (EvpToolPipe *self)
{
  EvpToolSink *sink = self->sink;
  const char *last;
  gsize length;

  if (sink->holder != NULL && sink->holder != self)
    return FALSE;

  last = memrchr (self->pending->str, '\n', self->pending->len);
  length = last != NULL ? (gsize) (last - self->pending->str) + 1 : 0;
  if (self->ended && (self->pending->len > length || (sink->holder == self && length == 0)))
    {
      /* the last line has no end; others must not go on in it */
      g_string_append_c (self->pending, '\n');
      length = self->pending->len;
    }
  if (length > 0)
    {
      gboolean was_held = sink->holder == self;

      sink_append (sink, self->pending->str, length);
      g_string_erase (self->pending, 0, (gssize) length);
      sink->holder = NULL;
      if (was_held)
        return TRUE;
    }
  if (self->pending->len > LONG_LINE)
    {
      sink_append (sink, self->pending->str, self->pending->len);
      g_string_truncate (self->pending, 0);
      sink->holder = self;
    }
  return FALSE;
}

static void
sink_take_lines (EvpToolSink *self)
{
  /* whoever holds the sink goes on; when it lets go, it is everybody's turn */
  if (self->holder != NULL && !pipe_emit (self->holder))
    return;
  sink_append (self, self->own->str, self->own->len);
  g_string_truncate (self->own, 0);
  for (guint i = 0; i < self->pipes->len && self->holder == NULL; i++)
    pipe_emit (g_ptr_array_index (self->pipes, i));
}

static gboolean
pipe_may_read (EvpToolPipe *self)
{
  return !self->ended && !self->reading && self->pending->len < MAX_WAITING
         && sink_queue_size (self->sink) < MAX_QUEUE;
}

/* What has ended and passed on everything can go; what had stopped reading goes on. */
static void
sink_tend_pipes (EvpToolSink *self)
{
  for (guint i = 0; i < self->pipes->len;)
    {
      EvpToolPipe *pipe = g_ptr_array_index (self->pipes, i);

      if (pipe->ended && pipe->pending->len == 0 && self->holder != pipe)
        {
          EvpToolNotify closed = pipe->closed;
          gpointer user_data = pipe->user_data;

          g_ptr_array_remove_index_fast (self->pipes, i);
          closed (user_data);
          continue;
        }
      if (pipe_may_read (pipe))
        pipe_read (pipe);
      i++;
    }
}

static void
sink_advance (EvpToolSink *self)
{
  /* whoever is told that a pipe is closed may start another child or print something */
  if (self->advancing)
    {
      self->again = TRUE;
      return;
    }
  self->advancing = TRUE;
  do
    {
      self->again = FALSE;
      sink_take_lines (self);
      sink_flush (self);
      sink_tend_pipes (self);
    }
  while (self->again);
  self->advancing = FALSE;
}

/* Reading */

static void
pipe_free (gpointer data)
{
  EvpToolPipe *self = data;

  g_object_unref (self->stream);
  g_object_unref (self->cancellable);
  g_string_free (self->pending, TRUE);
  g_free (self);
}

/* What a child has written before it ended is there, even if somebody else still has the pipe. */
static void
pipe_take_rest (EvpToolPipe *self)
{
  gsize taken = 0;
  gssize n = 0;

  if (!G_IS_POLLABLE_INPUT_STREAM (self->stream))
    return;
  do
    {
      taken += (gsize) n;
      n = g_pollable_input_stream_read_nonblocking (G_POLLABLE_INPUT_STREAM (self->stream), self->buffer,
                                                    sizeof self->buffer, NULL, NULL);
      if (n > 0)
        g_string_append_len (self->pending, self->buffer, n);
    }
  while (n > 0 && taken < MAX_REST);
}

static void
pipe_read_cb (GObject      *source,
              GAsyncResult *result,
              gpointer      user_data)
{
  EvpToolPipe *self = user_data;
  gssize n = g_input_stream_read_finish (self->stream, result, NULL);

  self->reading = FALSE;
  if (n > 0)
    {
      g_string_append_len (self->pending, self->buffer, n);
      self->activity (self->user_data);
    }
  if (self->abandoned)
    pipe_take_rest (self);
  /* an error is an end, too */
  self->ended = n <= 0 || self->abandoned;

  if (pipe_emit (self) || self->ended)
    sink_advance (self->sink);
  else
    {
      sink_flush (self->sink);
      if (pipe_may_read (self))
        pipe_read (self);
    }
}

static void
pipe_read (EvpToolPipe *self)
{
  self->reading = TRUE;
  g_input_stream_read_async (self->stream, self->buffer, sizeof self->buffer, G_PRIORITY_DEFAULT,
                             self->cancellable, pipe_read_cb, self);
}

/* For the others */

/*
 * A terminal that Ctrl-S has stopped, or that nobody reads, takes some bytes and then waits for room for the rest.
 * O_NONBLOCK belongs to everybody who has it open; opened once more, it is ours alone. -1: that cannot be done.
 */
static int
open_terminal_again (int fd)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  const int flags = O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  int again;

  /* the other side of a terminal is made anew whenever it is opened */
  if (!isatty (fd) || ptsname (fd) != NULL)
    return -1;
  again = open (path, flags);
  if (again < 0 && ttyname (fd) != NULL)
    again = open (ttyname (fd), flags);
  return again;
}

EvpToolSink *
evp_tool_sink_new (EvpAbstractEventLoop *loop,
                   int                   fd,
                   EvpToolNotify         before_write,
                   EvpToolFailed         failed,
                   gpointer              user_data)
{
  EvpToolSink *self = g_new0 (EvpToolSink, 1);
  struct stat status;

  self->loop = g_object_ref (loop);
  self->fd = open_terminal_again (fd);
  self->owns_fd = self->fd >= 0;
  if (!self->owns_fd)
    self->fd = fd;
  self->before_write = before_write;
  self->failed = failed;
  self->user_data = user_data;
  self->is_file = fstat (fd, &status) == 0 && (S_ISREG (status.st_mode) || S_ISBLK (status.st_mode));
  self->queue = g_string_new (NULL);
  self->pipes = g_ptr_array_new_with_free_func (pipe_free);
  self->own = g_string_new (NULL);
  return self;
}

void
evp_tool_sink_free (EvpToolSink *self)
{
  sink_unwatch (self);
  if (self->owns_fd)
    close (self->fd);
  g_ptr_array_unref (self->pipes);
  g_string_free (self->queue, TRUE);
  g_string_free (self->own, TRUE);
  g_object_unref (self->loop);
  g_free (self);
}

void
evp_tool_sink_print (EvpToolSink *self,
                     const char  *text)
{
  g_string_append (self->own, text);
  sink_advance (self);
}

gboolean
evp_tool_sink_show (EvpToolSink *self,
                    const char  *text)
{
  struct pollfd room = { .fd = self->fd, .events = POLLOUT };

  return poll (&room, 1, 0) > 0 && write (self->fd, text, strlen (text)) >= 0;
}

gboolean
evp_tool_sink_is_idle (EvpToolSink *self)
{
  return self->holder == NULL && sink_queue_size (self) == 0;
}

void
evp_tool_sink_finish (EvpToolSink *self)
{
  sink_unwatch (self);
  sink_write (self, TRUE);
}

EvpToolPipe *
evp_tool_pipe_new (EvpToolSink  *sink,
                   GInputStream *stream,
                   EvpToolNotify activity,
                   EvpToolNotify closed,
                   gpointer      user_data)
{
  EvpToolPipe *self = g_malloc (sizeof (EvpToolPipe));

  /* all but the buffer, whose pages need not be touched before they are needed */
  memset (self, 0, G_STRUCT_OFFSET (EvpToolPipe, buffer));
  self->sink = sink;
  self->stream = g_object_ref (stream);
  self->cancellable = g_cancellable_new ();
  self->activity = activity;
  self->closed = closed;
  self->user_data = user_data;
  self->pending = g_string_new (NULL);
  g_ptr_array_add (sink->pipes, self);
  if (pipe_may_read (self))
    pipe_read (self);
  return self;
}

gboolean
evp_tool_pipe_is_paused (EvpToolPipe *self)
{
  return !self->reading && !self->ended;
}

void
evp_tool_pipe_abandon (EvpToolPipe *self)
{
  if (self->abandoned || self->ended)
    return;
  self->abandoned = TRUE;
  if (self->reading)
    g_cancellable_cancel (self->cancellable);
  else
    {
      pipe_take_rest (self);
      self->ended = TRUE;
      sink_advance (self->sink);
    }
}
