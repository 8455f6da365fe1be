/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-epoll-private.h"

#include "evp/os/evp-os-fork-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#ifdef HAVE_SYS_EPOLL_H
# include <sys/epoll.h>
# include <sys/eventfd.h>
#endif

#ifdef HAVE_SYS_EPOLL_H

/* The event data of ready_fd: a descriptor that cannot be. */
#define EVP_EPOLL_READY_DATA G_GUINT64_CONSTANT (0xffffffff)

static inline guint64
evp_epoll_pack (int     fd,
                guint32 generation)
{
  return (guint64) generation << 32 | (guint32) fd;
}

static inline guint32
evp_epoll_to_kernel (EvpIOEvents events)
{
  return ((events & EVP_IO_EVENTS_READ) ? (guint32) EPOLLIN : 0u) |
         ((events & EVP_IO_EVENTS_WRITE) ? (guint32) EPOLLOUT : 0u);
}

static inline EvpIOEvents
evp_epoll_from_kernel (guint32 events)
{
  return ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) ? EVP_IO_EVENTS_READ : 0) |
         ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) ? EVP_IO_EVENTS_WRITE : 0);
}

/* 0, or an errno. */
static int
evp_epoll_ctl (EvpEpoll *self,
               int       op,
               int       fd,
               guint32   events,
               guint64   data)
{
  struct epoll_event event = { .events = events, .data.u64 = data };

  return epoll_ctl (self->fd, op, fd, &event) == 0 ? 0 : errno;
}

/* Makes the epoll descriptor readable for as long as something is always ready. */
static int
evp_epoll_arm_ready (EvpEpoll *self)
{
  int saved_errno;

  if (self->ready_fd < 0)
    {
      self->ready_fd = eventfd (1, EFD_CLOEXEC | EFD_NONBLOCK);
      if (self->ready_fd < 0)
        return errno;
    }
  saved_errno = evp_epoll_ctl (self, EPOLL_CTL_ADD, self->ready_fd, EPOLLIN, EVP_EPOLL_READY_DATA);
  return saved_errno == EEXIST ? 0 : saved_errno;
}

static void
evp_epoll_disarm_ready (EvpEpoll *self)
{
  if (self->ready_fd < 0)
    return;

  evp_epoll_ctl (self, EPOLL_CTL_DEL, self->ready_fd, 0, 0);
  close (self->ready_fd);
  self->ready_fd = -1;
}

static int
evp_epoll_add_always (EvpEpoll *self,
                      int       fd)
{
  if (self->n_always == 0)
    {
      int saved_errno = evp_epoll_arm_ready (self);

      if (saved_errno != 0)
        return saved_errno;
    }
  if (self->n_always == self->always_size)
    {
      self->always_size = MAX (8, self->always_size * 2);
      self->always = g_renew (int, self->always, self->always_size);
    }
  self->always[self->n_always++] = fd;
  self->entries[fd].always = TRUE;
  return 0;
}

static void
evp_epoll_remove_always (EvpEpoll *self,
                         int       fd)
{
  for (guint i = 0; i < self->n_always; i++)
    if (self->always[i] == fd)
      {
        self->always[i] = self->always[--self->n_always];
        break;
      }
  self->entries[fd].always = FALSE;
  if (self->n_always == 0)
    evp_epoll_disarm_ready (self);
}

/* ADD and MOD of an entry whose events and generation are set; heals what has gone stale. */
static int
evp_epoll_tell (EvpEpoll *self,
                int       op,
                int       fd)
{
  const EvpEpollEntry *entry = &self->entries[fd];
  guint32 events = evp_epoll_to_kernel (entry->events);
  guint64 data = evp_epoll_pack (fd, entry->generation);
  int saved_errno = evp_epoll_ctl (self, op, fd, events, data);

  /* closed and reused: the kernel has forgotten */
  if (saved_errno == ENOENT && op == EPOLL_CTL_MOD)
    return evp_epoll_ctl (self, EPOLL_CTL_ADD, fd, events, data);
  /* closed, and put back from a duplicate: the kernel remembers */
  if (saved_errno == EEXIST && op == EPOLL_CTL_ADD)
    return evp_epoll_ctl (self, EPOLL_CTL_MOD, fd, events, data);
  return saved_errno;
}

/*
 * Replaces the kernel's set by a new one under the same number, with everything in it that the
 * table has. Returns 0 or an errno; then the old set stays.
 */
static int
evp_epoll_rebuild (EvpEpoll *self)
{
  int fresh = epoll_create1 (EPOLL_CLOEXEC);

  if (fresh < 0)
    return errno;

  if (self->fd < 0)
    {
      self->fd = fresh;
    }
  else
    {
      /* closes this process's reference to the old set; a parent process keeps its own */
      if (dup3 (fresh, self->fd, O_CLOEXEC) < 0)
        {
          int saved_errno = errno;

          close (fresh);
          return saved_errno;
        }
      close (fresh);
    }

  self->rebuilt = self->waits;
  self->fork_generation = evp_os_fork_generation ();
  if (self->n_always > 0)
    evp_epoll_arm_ready (self);
  for (guint fd = 0; fd < self->n_entries; fd++)
    {
      const EvpEpollEntry *entry = &self->entries[fd];

      /* what fails here was closed behind our back: silent until set again or removed */
      if (entry->events != 0 && !entry->always &&
          evp_epoll_tell (self, EPOLL_CTL_ADD, (int) fd) == EPERM)
        evp_epoll_add_always (self, (int) fd);
    }
  return 0;
}

/* What every use of the kernel's set begins with; 0 or an errno. */
static inline int
evp_epoll_use (EvpEpoll *self)
{
  if (G_LIKELY (self->fd >= 0 && self->fork_generation == evp_os_fork_generation ()))
    return 0;

  return evp_epoll_rebuild (self);
}

/* epoll_wait() that waits at least @timeout_ns; how many, or minus an errno. */
static int
evp_epoll_wait_kernel (int                 fd,
                       struct epoll_event *kernel,
                       int                 n_kernel,
                       gint64              timeout_ns)
{
  gint64 deadline = EVP_TIME_NEVER;
  gint64 left = timeout_ns;
  int n;

  if (timeout_ns <= 0 || timeout_ns == EVP_TIME_NEVER)
    {
      do
        n = epoll_wait (fd, kernel, n_kernel, timeout_ns == 0 ? 0 : -1);
      while (n < 0 && errno == EINTR);
      return n < 0 ? -errno : n;
    }

  deadline = evp_clock_get_time_ns ();
  deadline = timeout_ns > EVP_TIME_NEVER - deadline ? EVP_TIME_NEVER : deadline + timeout_ns;

  for (;;)
    {
#ifdef HAVE_EPOLL_PWAIT2
      static int missing; /* atomic: the C library has it, but the kernel or a sandbox does not */

      if (!g_atomic_int_get (&missing))
        {
          struct timespec ts = evp_clock_ns_to_timespec (left);

          n = epoll_pwait2 (fd, kernel, n_kernel, &ts, NULL);
          if (n < 0 && (errno == ENOSYS || errno == EPERM))
            {
              g_atomic_int_set (&missing, TRUE);
              continue;
            }
        }
      else
#endif
        {
          gint64 ms = left / EVP_NSEC_PER_MSEC + (left % EVP_NSEC_PER_MSEC != 0);

          n = epoll_wait (fd, kernel, n_kernel, (int) MIN (ms, G_MAXINT));
        }
      if (n > 0)
        return n;
      if (n < 0 && errno != EINTR)
        return -errno;

      left = deadline - evp_clock_get_time_ns ();
      if (left <= 0)
        return 0;
    }
}

void
evp_epoll_init (EvpEpoll *self)
{
  *self = (EvpEpoll) { .fd = -1, .ready_fd = -1 };
}

void
evp_epoll_clear (EvpEpoll *self)
{
  if (self->ready_fd >= 0)
    close (self->ready_fd);
  if (self->fd >= 0)
    close (self->fd);
  g_free (self->entries);
  g_free (self->always);
  evp_epoll_init (self);
}

int
evp_epoll_get_fd (EvpEpoll *self)
{
  return self->fd;
}

gboolean
evp_epoll_ensure (EvpEpoll *self,
                  GError  **error)
{
  int saved_errno = evp_epoll_use (self);

  if (saved_errno != 0)
    {
      evp_set_error_from_errno (error, saved_errno, _("Making an epoll set failed"));
      return FALSE;
    }
  return TRUE;
}

int
evp_epoll_set (EvpEpoll   *self,
               int         fd,
               EvpIOEvents events,
               guint32     generation)
{
  EvpEpollEntry *entry;
  gboolean watched;
  int saved_errno;

  if (fd < 0)
    return EBADF;
  if ((guint) fd >= self->n_entries)
    {
      guint n_entries = MAX (64, self->n_entries);

      if (events == 0)
        return 0;
      while (n_entries <= (guint) fd)
        n_entries *= 2;
      self->entries = g_renew (EvpEpollEntry, self->entries, n_entries);
      memset (self->entries + self->n_entries, 0,
              (n_entries - self->n_entries) * sizeof (EvpEpollEntry));
      self->n_entries = n_entries;
    }

  entry = &self->entries[fd];
  watched = entry->events != 0;
  if (!watched && events == 0)
    return 0;

  saved_errno = evp_epoll_use (self);
  if (saved_errno != 0)
    {
      if (watched && entry->always)
        evp_epoll_remove_always (self, fd);
      entry->events = 0;
      return events == 0 ? 0 : saved_errno;
    }

  entry->changed = self->waits;
  entry->generation = generation;
  entry->events = (guint8) events;

  if (events == 0)
    {
      /* a number that was closed (EBADF) or reused (ENOENT, EPERM) has nothing to remove; if a
         duplicate of it goes on reporting, evp_epoll_drop() deals with that */
      if (entry->always)
        evp_epoll_remove_always (self, fd);
      else
        evp_epoll_ctl (self, EPOLL_CTL_DEL, fd, 0, 0);
      return 0;
    }

  /* an always-ready number may have been reused by something that blocks, so it is tried too */
  saved_errno = evp_epoll_tell (self, watched && !entry->always ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd);
  if (saved_errno == EPERM)
    saved_errno = entry->always ? 0 : evp_epoll_add_always (self, fd);
  else if (entry->always)
    evp_epoll_remove_always (self, fd);

  if (saved_errno != 0)
    {
      if (watched)
        evp_epoll_ctl (self, EPOLL_CTL_DEL, fd, 0, 0);
      entry->events = 0;
    }
  return saved_errno;
}

int
evp_epoll_wait (EvpEpoll      *self,
                EvpEpollEvent *events,
                int            n_events,
                gint64         timeout_ns)
{
  struct epoll_event kernel[EVP_EPOLL_BATCH];
  int n_kernel = MIN (n_events, EVP_EPOLL_BATCH);
  int room = n_kernel;
  int n_found = 0;
  int n, saved_errno;

  saved_errno = evp_epoll_use (self);
  if (G_UNLIKELY (saved_errno != 0))
    return -saved_errno;

  self->waits++;
  if (G_UNLIKELY (self->n_always > 0))
    {
      timeout_ns = 0;
      n_kernel -= (int) MIN (self->n_always, (guint) n_kernel / 2);
    }

  n = evp_epoll_wait_kernel (self->fd, kernel, n_kernel, timeout_ns);
  if (n < 0)
    return n;

  for (int i = 0; i < n; i++)
    {
      guint64 data = kernel[i].data.u64;

      if (G_UNLIKELY (data == EVP_EPOLL_READY_DATA))
        continue;
      events[n_found].fd = (int) (guint32) data;
      events[n_found].generation = (guint32) (data >> 32);
      events[n_found].events = evp_epoll_from_kernel (kernel[i].events);
      n_found++;
    }

  for (guint i = 0; i < self->n_always && n_found < room; i++)
    {
      int fd = self->always[self->next_always++ % self->n_always];

      events[n_found].fd = fd;
      events[n_found].generation = self->entries[fd].generation;
      events[n_found].events = self->entries[fd].events;
      n_found++;
    }
  return n_found;
}

int
evp_epoll_drop (EvpEpoll            *self,
                const EvpEpollEvent *event)
{
  const EvpEpollEntry *entry;
  int saved_errno;

  saved_errno = evp_epoll_use (self);
  if (saved_errno != 0)
    return saved_errno;
  if (event->fd < 0 || self->rebuilt == self->waits)
    return 0;

  entry = (guint) event->fd < self->n_entries ? &self->entries[event->fd] : NULL;
  if (entry != NULL && entry->changed == self->waits)
    return 0; /* the event is older than the change, and the kernel is up to date */

  if (entry != NULL && entry->events != 0 && entry->generation == event->generation)
    return evp_epoll_set (self, event->fd, EVP_IO_EVENTS_NONE, 0);
  if ((entry == NULL || entry->events == 0) &&
      evp_epoll_ctl (self, EPOLL_CTL_DEL, event->fd, 0, 0) == 0)
    return 0;

  EVP_DEBUG_NOTE (EVP_DEBUG_SELECTOR,
                  "descriptor %d was closed without being removed and a duplicate of it is open: "
                  "making a new epoll set", event->fd);
  return evp_epoll_rebuild (self);
}

#else /* !HAVE_SYS_EPOLL_H */

void
evp_epoll_init (EvpEpoll *self)
{
  *self = (EvpEpoll) { .fd = -1, .ready_fd = -1 };
}

void
evp_epoll_clear (EvpEpoll *self)
{
}

int
evp_epoll_get_fd (EvpEpoll *self)
{
  return -1;
}

gboolean
evp_epoll_ensure (EvpEpoll *self,
                  GError  **error)
{
  evp_set_error_from_errno (error, ENOSYS, _("Making an epoll set failed"));
  return FALSE;
}

int
evp_epoll_set (EvpEpoll   *self,
               int         fd,
               EvpIOEvents events,
               guint32     generation)
{
  return events == 0 ? 0 : ENOSYS;
}

int
evp_epoll_wait (EvpEpoll      *self,
                EvpEpollEvent *events,
                int            n_events,
                gint64         timeout_ns)
{
  return -ENOSYS;
}

int
evp_epoll_drop (EvpEpoll            *self,
                const EvpEpollEvent *event)
{
  return 0;
}

#endif
