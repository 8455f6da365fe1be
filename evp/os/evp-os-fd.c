/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-fd-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#ifdef HAVE_SYS_EVENTFD_H
# include <sys/eventfd.h>
#endif
#ifdef __linux__
# include <sys/sendfile.h>
#endif

void
evp_os_fd_close (int fd)
{
  int saved_errno = errno;

  /* never again after EINTR: Linux has closed the descriptor by then, and another thread may own the number */
  if (fd >= 0)
    close (fd);
  errno = saved_errno;
}

int
evp_os_fd_steal (EvpFd *fd)
{
  int stolen = *fd;

  *fd = EVP_FD_NONE;
  return stolen;
}

gboolean
evp_os_fd_is_open (int fd)
{
  int saved_errno = errno;
  gboolean is_open = fcntl (fd, F_GETFD) >= 0;

  errno = saved_errno;
  return is_open;
}

gboolean
evp_os_fd_set_nonblock (int      fd,
                        GError **error)
{
  int flags = fcntl (fd, F_GETFL);

  if (flags >= 0 && (flags & O_NONBLOCK) != 0)
    return TRUE;
  if (flags >= 0 && fcntl (fd, F_SETFL, flags | O_NONBLOCK) == 0)
    return TRUE;
  evp_set_error_from_errno (error, errno, _("Cannot make file descriptor %d non-blocking"), fd);
  return FALSE;
}

gboolean
evp_os_fd_set_cloexec (int      fd,
                       GError **error)
{
  int flags = fcntl (fd, F_GETFD);

  if (flags >= 0 && (flags & FD_CLOEXEC) != 0)
    return TRUE;
  if (flags >= 0 && fcntl (fd, F_SETFD, flags | FD_CLOEXEC) == 0)
    return TRUE;
  evp_set_error_from_errno (error, errno, _("Cannot make file descriptor %d close-on-exec"), fd);
  return FALSE;
}

gboolean
evp_os_fd_pipe (int      fds[2],
                gboolean nonblock,
                GError **error)
{
#ifdef HAVE_PIPE2
  if (pipe2 (fds, O_CLOEXEC | (nonblock ? O_NONBLOCK : 0)) == 0)
    return TRUE;
#else
  if (pipe (fds) == 0)
    {
      gboolean prepared = TRUE;

      for (int i = 0; i < 2 && prepared; i++)
        prepared = evp_os_fd_set_cloexec (fds[i], error)
                   && (!nonblock || evp_os_fd_set_nonblock (fds[i], error));
      if (prepared)
        return TRUE;
      for (int i = 0; i < 2; i++)
        {
          evp_os_fd_close (fds[i]);
          fds[i] = EVP_FD_NONE;
        }
      return FALSE;
    }
#endif
  fds[0] = fds[1] = EVP_FD_NONE;
  evp_set_error_from_errno (error, errno,
                            _("Cannot make a pipe (if too many files are open, raise the limit with “ulimit -n”)"));
  return FALSE;
}

gboolean
evp_os_fd_check_left (GError **error)
{
  g_auto (EvpFd) reader = EVP_FD_NONE;
  g_auto (EvpFd) writer = EVP_FD_NONE;
  int fds[2];

#ifdef HAVE_SYS_EVENTFD_H
  /* the same as GLib does, in the same order */
  reader = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (reader >= 0)
    return TRUE;
#endif
  if (!evp_os_fd_pipe (fds, TRUE, error))
    return FALSE;
  reader = fds[0];
  writer = fds[1];
  return TRUE;
}

/* A time without SIGPIPE. Only this thread's mask changes. */
typedef struct
{
  sigset_t sigpipe;
  sigset_t before;
  gboolean was_pending; /* one that was already waiting here is left waiting */
} EvpOsSigpipe;

static void
evp_os_sigpipe_block (EvpOsSigpipe *self)
{
  sigset_t pending;

  self->was_pending = FALSE;
  sigemptyset (&self->sigpipe);
  sigaddset (&self->sigpipe, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &self->sigpipe, &self->before);
  if (sigismember (&self->before, SIGPIPE) == 1)
    {
      /* the caller blocks it: then one may have been waiting, and it would be his */
      sigpending (&pending);
      self->was_pending = sigismember (&pending, SIGPIPE) == 1;
    }
}

/*
 * After a call that was to transfer @count bytes and returned @n. Keeps errno. The signal also comes without an error:
 * when the other end went after the first part, which then is the result.
 */
static void
evp_os_sigpipe_unblock (EvpOsSigpipe *self,
                        gssize        n,
                        gsize         count)
{
  const struct timespec zero = { 0, 0 };
  int saved_errno = errno;

  if ((n < 0 ? saved_errno == EPIPE : (gsize) n < count) && !self->was_pending)
    while (sigtimedwait (&self->sigpipe, NULL, &zero) < 0 && errno == EINTR)
      ;
  if (sigismember (&self->before, SIGPIPE) != 1)
    pthread_sigmask (SIG_SETMASK, &self->before, NULL);
  errno = saved_errno;
}

/* write() that never kills the process. */
gssize
evp_os_fd_write (int         fd,
                 const void *buffer,
                 gsize       count)
{
  EvpOsSigpipe sigpipe;
  gssize n;

  evp_os_sigpipe_block (&sigpipe);
  do
    n = write (fd, buffer, count);
  while (n < 0 && errno == EINTR);
  evp_os_sigpipe_unblock (&sigpipe, n, count);
  return n;
}

/* The same for sendfile(). */
gssize
evp_os_fd_sendfile (int    fd,
                    int    file,
                    gint64 offset,
                    gsize  count)
{
#ifdef __linux__
  EvpOsSigpipe sigpipe;
  off_t from = (off_t) offset;
  gssize n;

  evp_os_sigpipe_block (&sigpipe);
  do
    n = sendfile (fd, file, &from, count);
  while (n < 0 && errno == EINTR);
  evp_os_sigpipe_unblock (&sigpipe, n, count);
  return n;
#else
  errno = ENOSYS;
  return -1;
#endif
}

EvpSharedFd *
evp_os_shared_fd_new (int fd)
{
  EvpSharedFd *self = g_new (EvpSharedFd, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->fd = fd;
  return self;
}

EvpSharedFd *
evp_os_shared_fd_ref (EvpSharedFd *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
evp_os_shared_fd_unref (EvpSharedFd *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  evp_os_fd_close (self->fd);
  g_free (self);
}
