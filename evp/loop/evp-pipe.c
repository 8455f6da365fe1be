/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-pipe-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fd-private.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* One registration with the loop. Its end is told apart from the end of an earlier one by its address. */
typedef struct
{
  EvpPipe *pipe; /* owned */
} EvpPipeWatch;

struct _EvpPipe
{
  gatomicrefcount ref_count;

  /* set once */
  EvpAbstractEventLoop *loop;
  EvpIOEvents direction;
  EvpPipeFunc func;
  gpointer stream; /* not owned; touched only while `waiting`, when GIO's pending operation owns it */
  gboolean is_socket;
  gboolean is_device;
  gboolean borrowed;   /* the descriptor belongs to another EvpPipe */

  int fd;
  EvpPipeWatch *watch; /* NULL: not registered */
  GSource *source;     /* for loops that watch no descriptors; belongs to `watch` */
  GThread *thread;     /* where `watch` was registered last; atomic, for evp_pipe_was_watched() */
  gboolean waiting;
};

static EvpPipe *
evp_pipe_ref (EvpPipe *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

static void
evp_pipe_unregister (EvpPipe *self)
{
  if (self->watch == NULL)
    return;
  self->watch = NULL; /* first: the notify that follows is ours */
  if (self->source != NULL)
    {
      g_autoptr (GSource) source = g_steal_pointer (&self->source);

      g_source_destroy (source);
    }
  else if (self->direction == EVP_IO_EVENTS_READ)
    evp_event_loop_remove_reader (self->loop, self->fd);
  else
    evp_event_loop_remove_writer (self->loop, self->fd);
}

static void
evp_pipe_ready_cb (int      fd,
                   gpointer user_data)
{
  EvpPipeWatch *watch = user_data;
  EvpPipe *self = watch->pipe;

  if (self->watch != watch)
    return;
  if (!self->waiting)
    {
      evp_pipe_unregister (self);
      return;
    }
  self->waiting = FALSE;
  if (evp_event_loop_is_closed (self->loop)) /* only the fallback source still runs then */
    self->func (self->stream, g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                                   _("The event loop is closed; make a new one")));
  else
    self->func (self->stream, NULL);
}

static gboolean
evp_pipe_source_cb (int          fd,
                    GIOCondition condition,
                    gpointer     user_data)
{
  evp_pipe_ready_cb (fd, user_data);
  return G_SOURCE_CONTINUE;
}

/* The loop has let go of the registration: because it was asked to, or on its own account. */
static void
evp_pipe_watch_free (gpointer user_data)
{
  EvpPipeWatch *watch = user_data;
  EvpPipe *self = watch->pipe;

  if (self->watch == watch)
    {
      self->watch = NULL;
      g_clear_pointer (&self->source, g_source_unref);
      if (self->waiting)
        {
          self->waiting = FALSE;
          if (evp_event_loop_is_closed (self->loop))
            self->func (self->stream, g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                                           _("The event loop is closed; make a new one")));
          else
            self->func (self->stream,
                        g_error_new (EVP_ERROR, EVP_ERROR_INVALID_STATE,
                                     /* Translators: %d is the number of a file descriptor */
                                     _("File descriptor %d belongs to a stream; somebody else has "
                                       "registered or removed it on the loop"), self->fd));
        }
    }
  evp_pipe_unref (self);
  g_free (watch);
}

static gboolean
evp_pipe_attach_source (EvpPipe      *self,
                        EvpPipeWatch *watch,
                        GError      **error)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (self->loop);

  if (context == NULL)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
                   /* Translators: %s is a class name */
                   _("%s can neither watch descriptors nor has it a main context that could"),
                   G_OBJECT_TYPE_NAME (self->loop));
      return FALSE;
    }
  self->source = g_unix_fd_source_new (self->fd, self->direction == EVP_IO_EVENTS_READ
                                                 ? G_IO_IN | G_IO_HUP | G_IO_ERR
                                                 : G_IO_OUT | G_IO_HUP | G_IO_ERR);
  g_source_set_static_name (self->source, "[evp] pipe");
  g_source_set_callback (self->source, G_SOURCE_FUNC (evp_pipe_source_cb), watch, evp_pipe_watch_free);
  g_source_attach (self->source, context);
  return TRUE;
}

static gboolean
evp_pipe_register (EvpPipe *self,
                   GError **error)
{
  g_autoptr (GError) local_error = NULL;
  EvpPipeWatch *watch = g_new (EvpPipeWatch, 1);
  gboolean registered;

  watch->pipe = evp_pipe_ref (self);
  if (self->direction == EVP_IO_EVENTS_READ)
    registered = evp_event_loop_add_reader (self->loop, self->fd, evp_pipe_ready_cb,
                                            watch, evp_pipe_watch_free, &local_error);
  else
    registered = evp_event_loop_add_writer (self->loop, self->fd, evp_pipe_ready_cb,
                                            watch, evp_pipe_watch_free, &local_error);
  if (!registered)
    {
      /* the refused registration has been freed */
      if (!g_error_matches (local_error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED))
        {
          g_propagate_error (error, g_steal_pointer (&local_error));
          return FALSE;
        }
      watch = g_new (EvpPipeWatch, 1);
      watch->pipe = evp_pipe_ref (self);
      if (!evp_pipe_attach_source (self, watch, error))
        {
          evp_pipe_watch_free (watch);
          return FALSE;
        }
    }
  self->watch = watch;
  g_atomic_pointer_set (&self->thread, g_thread_self ());
  return TRUE;
}

static void
evp_pipe_close_now (EvpPipe *self)
{
  evp_pipe_unregister (self); /* before the descriptor goes: a duplicate of it may live on */
  if (!self->borrowed)
    evp_os_fd_close (self->fd);
  self->fd = -1;
}

static void
evp_pipe_close_cb (gpointer user_data)
{
  evp_pipe_close_now (user_data);
}

static int
evp_pipe_check_open (EvpPipe *self,
                     GError **error)
{
  if (self->fd < 0)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED, _("Stream is closed"));
  return self->fd;
}

EvpPipe *
evp_pipe_new (EvpAbstractEventLoop *loop,
              int                   fd,
              EvpIOEvents           direction,
              EvpPipeFunc           func,
              gpointer              stream)
{
  EvpPipe *self = g_new0 (EvpPipe, 1);
  struct stat status;

  g_atomic_ref_count_init (&self->ref_count);
  self->loop = g_object_ref (loop);
  self->fd = fd;
  self->direction = direction;
  self->func = func;
  self->stream = stream;
  if (fstat (fd, &status) == 0)
    {
      self->is_socket = S_ISSOCK (status.st_mode);
      self->is_device = S_ISCHR (status.st_mode);
    }
  return self;
}

EvpPipe *
evp_pipe_new_hang_up (EvpPipe    *pipe,
                      EvpPipeFunc func,
                      gpointer    stream)
{
  EvpPipe *self = evp_pipe_new (pipe->loop, pipe->fd, EVP_IO_EVENTS_READ, func, stream);

  self->borrowed = TRUE;
  return self;
}

void
evp_pipe_unref (EvpPipe *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  if (!self->borrowed)
    evp_os_fd_close (self->fd);
  g_object_unref (self->loop);
  g_free (self);
}

EvpAbstractEventLoop *
evp_pipe_get_loop (EvpPipe *self)
{
  return self->loop;
}

int
evp_pipe_get_fd (EvpPipe *self)
{
  return self->fd;
}

gboolean
evp_pipe_wait (EvpPipe *self,
               GError **error)
{
  if (self->watch == NULL && !evp_pipe_register (self, error))
    return FALSE;
  self->waiting = TRUE;
  return TRUE;
}

void
evp_pipe_stop_waiting (EvpPipe *self)
{
  self->waiting = FALSE;
}

void
evp_pipe_close (EvpPipe *self)
{
  if (self->fd < 0)
    return;
  self->waiting = FALSE;
  if (self->watch != NULL && self->thread != g_thread_self ()
      && evp_event_loop_call_soon_threadsafe (self->loop, evp_pipe_close_cb, evp_pipe_ref (self),
                                              (GDestroyNotify) evp_pipe_unref, NULL))
    return;
  evp_pipe_close_now (self);
}

gboolean
evp_pipe_was_watched (EvpPipe *self)
{
  return g_atomic_pointer_get (&self->thread) != NULL;
}

gssize
evp_pipe_read (EvpPipe *self,
               void    *buffer,
               gsize    count,
               GError **error)
{
  gssize n;

  if (evp_pipe_check_open (self, error) < 0)
    return -1;
  do
    n = read (self->fd, buffer, MIN (count, G_MAXSSIZE));
  while (n < 0 && errno == EINTR);
  if (n >= 0)
    return n;
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return EVP_PIPE_WOULD_BLOCK;
  if (errno == EIO && self->is_device)
    return 0; /* a terminal whose other side is gone */
  evp_set_error_from_errno (error, errno, _("Reading from file descriptor %d failed"), self->fd);
  return -1;
}

gssize
evp_pipe_write (EvpPipe    *self,
                const void *buffer,
                gsize       count,
                GError    **error)
{
  gssize n;

  if (evp_pipe_check_open (self, error) < 0)
    return -1;
  count = MIN (count, G_MAXSSIZE);
  if (self->is_socket)
    do
      n = send (self->fd, buffer, count, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
  else
    n = evp_os_fd_write (self->fd, buffer, count);
  if (n >= 0)
    return n;
  if (errno == EAGAIN || errno == EWOULDBLOCK)
    return EVP_PIPE_WOULD_BLOCK;
  evp_set_error_from_errno (error, errno, _("Writing to file descriptor %d failed"), self->fd);
  return -1;
}

gboolean
evp_pipe_poll (EvpPipe      *self,
               GCancellable *cancellable,
               GError      **error)
{
  GPollFD fds[2] = { { .fd = self->fd, .events = self->direction == EVP_IO_EVENTS_READ ? G_IO_IN : G_IO_OUT } };
  guint n_fds = 1;
  int result;

  if (g_cancellable_make_pollfd (cancellable, &fds[1]))
    n_fds = 2;
  do
    result = g_poll (fds, n_fds, -1);
  while (result < 0 && errno == EINTR);
  if (n_fds == 2)
    {
      int saved_errno = errno;

      g_cancellable_release_fd (cancellable);
      errno = saved_errno;
    }
  if (result < 0)
    {
      evp_set_error_from_errno (error, errno, _("Waiting for file descriptor %d failed"), self->fd);
      return FALSE;
    }
  return !g_cancellable_set_error_if_cancelled (cancellable, error);
}

gboolean
evp_pipe_has_hung_up (EvpPipe *self)
{
  struct pollfd fd = { .fd = self->fd, .events = 0 };

  return poll (&fd, 1, 0) > 0 && (fd.revents & (POLLERR | POLLHUP)) != 0;
}

gboolean
evp_pipe_is_ready (EvpPipe *self)
{
  struct pollfd fd = { .fd = self->fd, .events = self->direction == EVP_IO_EVENTS_READ ? POLLIN : POLLOUT };

  return poll (&fd, 1, 0) > 0;
}
