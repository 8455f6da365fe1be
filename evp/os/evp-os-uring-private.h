/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

#ifdef HAVE_LIBURING
# include <liburing.h>
#endif

G_BEGIN_DECLS

/*
 * Why io_uring cannot be used here: an errno, ENOSYS also for a kernel that is too old or a library built
 * without it. 0: it works. Tries it each time.
 */
int evp_uring_probe (void);

#ifdef HAVE_LIBURING

/*
 * A ring and the descriptor to poll for it.
 *
 * The ring is made by, and belongs to, one thread. The kernel completes requests only when that
 * thread asks (`deferred`), or at any of its system calls; never behind its back on an interrupt. Of
 * such a ring the own descriptor does not become readable, so the kernel signals an eventfd. It does so only
 * while somebody sleeps:
 *
 *   evp_uring_set_wakeups (&uring, TRUE);
 *   if (evp_uring_has_work (&uring))
 *     do not sleep, there is something already
 *   …poll() of event_fd…
 *   evp_uring_set_wakeups (&uring, FALSE);
 */
typedef struct
{
  struct io_uring ring;
  int event_fd;        /* -1: not open */
  int gone_fd;         /* a pipe that ends when the kernel has let go of the ring; see evp_uring_close_elsewhere() */
  gboolean flagged;    /* the kernel says in a flag that it has work to do for us */
  gboolean deferred;   /* only evp_uring_enter() makes it do that work */
  gboolean wakeups;
} EvpUring;

void     evp_uring_init  (EvpUring *self);
/* 0 or an errno. */
int      evp_uring_open  (EvpUring *self,
                          guint     entries);
/* What is in flight is not waited for. */
void     evp_uring_close (EvpUring *self);
/*
 * The same on another thread than the one that made it, and waits until the kernel has let go of all that was
 * in flight. FALSE: it does not, a process made by fork() holds the ring.
 */
gboolean evp_uring_close_elsewhere (EvpUring *self);
/* In a child made by fork(): lets go of the descriptors, touches nothing else. */
void     evp_uring_abandon (EvpUring *self);
/* Hands over what was prepared and has the kernel complete what it can; waits for @n_wait completions. 0 or an errno. */
int      evp_uring_enter (EvpUring *self,
                          guint     n_wait);
/* Whether what evp_uring_enter() returned means that it never works again: a sandbox was closed meanwhile, say. */
gboolean evp_uring_is_refused (int       failed);
void     evp_uring_set_wakeups (EvpUring *self,
                                gboolean  on);

static inline gboolean
evp_uring_is_open (EvpUring *self)
{
  return self->event_fd >= 0;
}

/* Whether there are completions, or evp_uring_enter() would bring some. */
static inline gboolean
evp_uring_has_work (EvpUring *self)
{
  return io_uring_cq_ready (&self->ring) > 0
         || (__atomic_load_n (self->ring.sq.kflags, __ATOMIC_ACQUIRE) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/* An entry to fill in; NULL if there is no room even after handing over what was there. */
static inline struct io_uring_sqe *
evp_uring_get_sqe (EvpUring *self)
{
  struct io_uring_sqe *sqe = io_uring_get_sqe (&self->ring);

  if (G_UNLIKELY (sqe == NULL))
    {
      io_uring_submit (&self->ring);
      sqe = io_uring_get_sqe (&self->ring);
    }
  return sqe;
}

/* The data of one of the io_uring_sq_ready() entries that the kernel has not taken. */
static inline gpointer
evp_uring_get_unsent (EvpUring *self,
                      guint     i)
{
  struct io_uring_sq *sq = &self->ring.sq;

  return (gpointer) (guintptr) sq->sqes[(sq->sqe_tail - io_uring_sq_ready (&self->ring) + i) & sq->ring_mask].user_data;
}

#endif

G_END_DECLS
