/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-uring-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/os/evp-os-fd-private.h"

#include <errno.h>

#ifdef HAVE_LIBURING

# include <fcntl.h>
# include <poll.h>
# include <sys/eventfd.h>
# include <unistd.h>

/* Without these a socket that is not ready would occupy a kernel thread, and completions could be lost. */
# define REQUIRED_FEATURES (IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL | IORING_FEAT_SUBMIT_STABLE)

/* How long the kernel may take to let go of a ring whose thread has gone. */
# define PATIENCE_MS 5000

/* The best first. Never SQPOLL: a kernel thread that spins for us costs more than it saves. */
static const struct
{
  guint flags;
  gboolean flagged, deferred;
} flavours[] = {
  { IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    TRUE, TRUE },
  { IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, TRUE, FALSE },
  { 0, FALSE, FALSE },
};

void
evp_uring_init (EvpUring *self)
{
  *self = (EvpUring) { .event_fd = -1, .gone_fd = -1 };
}

static void
close_descriptors (EvpUring *self)
{
  evp_os_fd_close (self->event_fd);
  evp_os_fd_close (self->gone_fd);
  self->event_fd = self->gone_fd = -1;
}

static int
register_descriptors (EvpUring *self)
{
  g_auto (EvpFd) writer = EVP_FD_NONE;
  int fds[2];
  int failed;

  self->event_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (self->event_fd < 0 || pipe2 (fds, O_CLOEXEC) != 0)
    return errno;
  self->gone_fd = fds[0];
  writer = fds[1];
  /* from here on only the ring has the pipe open for writing */
  failed = -io_uring_register_files (&self->ring, &writer, 1);
  return failed != 0 ? failed : -io_uring_register_eventfd (&self->ring, self->event_fd);
}

int
evp_uring_open (EvpUring *self,
                guint     entries)
{
  struct io_uring_params params;
  int failed = EINVAL;

  for (guint i = 0; i < G_N_ELEMENTS (flavours) && failed == EINVAL; i++)
    {
      params = (struct io_uring_params) { .flags = flavours[i].flags | IORING_SETUP_CLAMP };
      failed = -io_uring_queue_init_params (entries, &self->ring, &params);
      self->flagged = flavours[i].flagged;
      self->deferred = flavours[i].deferred;
    }
  if (failed != 0)
    return failed;
  if ((params.features & REQUIRED_FEATURES) != REQUIRED_FEATURES)
    {
      io_uring_queue_exit (&self->ring);
      return ENOSYS;
    }

  /* a child made by fork() must not even see it */
  io_uring_ring_dontfork (&self->ring);
  failed = register_descriptors (self);
  if (failed != 0)
    {
      io_uring_queue_exit (&self->ring);
      close_descriptors (self);
      return failed;
    }
  self->wakeups = TRUE;
  evp_uring_set_wakeups (self, FALSE);
  return 0;
}

void
evp_uring_close (EvpUring *self)
{
  if (!evp_uring_is_open (self))
    return;
  io_uring_queue_exit (&self->ring);
  close_descriptors (self);
}

gboolean
evp_uring_close_elsewhere (EvpUring *self)
{
  struct pollfd gone = { .fd = self->gone_fd, .events = POLLIN };
  gint64 deadline, left = PATIENCE_MS;
  int n;

  if (!evp_uring_is_open (self))
    return TRUE;
  io_uring_queue_exit (&self->ring);
  deadline = evp_clock_get_time_ns () + PATIENCE_MS * EVP_NSEC_PER_MSEC;
  /* signals that come all the time must not begin it anew each time */
  while ((n = poll (&gone, 1, (int) left)) < 0 && errno == EINTR)
    {
      left = (deadline - evp_clock_get_time_ns ()) / EVP_NSEC_PER_MSEC;
      left = MAX (left, 0);
    }
  close_descriptors (self);
  return n > 0;
}

void
evp_uring_abandon (EvpUring *self)
{
  if (!evp_uring_is_open (self))
    return;
  evp_os_fd_close (self->ring.ring_fd);
  close_descriptors (self);
}

int
evp_uring_enter (EvpUring *self,
                 guint     n_wait)
{
  int failed;

  do
    failed = n_wait > 0 ? io_uring_submit_and_wait (&self->ring, n_wait)
                        : io_uring_submit_and_get_events (&self->ring);
  while (failed == -EINTR || (failed > 0 && io_uring_sq_ready (&self->ring) > 0));
  return failed < 0 ? -failed : 0;
}

gboolean
evp_uring_is_refused (int failed)
{
  switch (failed)
    {
    case 0:
    case EAGAIN:
    case EBUSY:
    case EINTR:
    case ENOMEM:
    case ETIME:
      return FALSE;
    default:
      return TRUE;
    }
}

void
evp_uring_set_wakeups (EvpUring *self,
                       gboolean  on)
{
  eventfd_t value;

  if (self->wakeups == on)
    return;
  self->wakeups = on;
  if (self->ring.cq.kflags != NULL)
    io_uring_cq_eventfd_toggle (&self->ring, on);
  if (on)
    /* the kernel flags its work, then looks whether to signal it; we ask for signals, then look for the flag */
    __atomic_thread_fence (__ATOMIC_SEQ_CST);
  else
    (void) eventfd_read (self->event_fd, &value);
}

int
evp_uring_probe (void)
{
  EvpUring uring;
  struct io_uring_sqe *sqe;
  int failed;

  evp_uring_init (&uring);
  failed = evp_uring_open (&uring, 2);
  if (failed != 0)
    return failed;

  /* a sandbox may allow one of the system calls and not the other */
  sqe = evp_uring_get_sqe (&uring);
  io_uring_prep_nop (sqe);
  failed = evp_uring_enter (&uring, 1);
  if (failed == 0 && io_uring_cq_ready (&uring.ring) == 0)
    failed = ENOSYS;
  evp_uring_close (&uring);
  return failed;
}

#else

int
evp_uring_probe (void)
{
  return ENOSYS;
}

#endif
