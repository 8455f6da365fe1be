/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/base/evp-enums.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * An epoll set as a plain struct: what EvpEpollSelector is made of, and what the loop uses
 * directly. It costs what epoll costs: no allocation and no look-up per event.
 *
 * Events carry the generation that came with the descriptor, so that the caller can tell the
 * events of a closed and reused number from those of its successor:
 *
 *   n = evp_epoll_wait (&epoll, events, EVP_EPOLL_BATCH, 0);
 *   for (i = 0; i < n; i++)
 *     if (events[i].generation is not what the caller's table has for events[i].fd)
 *       evp_epoll_drop (&epoll, &events[i]);
 *     else if (events[i].events & wanted)
 *       …
 *
 * Look at all events of a wait before running anything that changes the set: evp_epoll_drop()
 * judges an event by whether its descriptor has changed since the last wait.
 *
 * Descriptors that epoll refuses because they never block (regular files, /dev/null) are always
 * ready. While there are any, the epoll descriptor itself is readable and waits do not block.
 *
 * In the child of a fork() the first use gives the child a set of its own under the same number;
 * the parent's is never touched. Whoever polls the descriptor elsewhere calls evp_epoll_ensure() first,
 * each time: it costs two loads.
 *
 * All functions: from one thread at a time. The kernel's descriptor is made on first use.
 */

#define EVP_EPOLL_BATCH 256

typedef struct
{
  int fd;
  guint32 generation;
  EvpIOEvents events; /* error and hang-up are both directions, also unwanted ones */
} EvpEpollEvent;

/* What the kernel was last told about one descriptor; written on change, never read per event. */
typedef struct
{
  guint32 generation;
  guint32 changed;   /* the value of `waits` at the last change */
  guint8 events;     /* EvpIOEvents; 0: not watched */
  guint8 always;     /* kept beside the kernel's set, in `always` */
} EvpEpollEntry;

typedef struct
{
  int fd;                /* the epoll descriptor; -1 before first use */
  int ready_fd;          /* an eventfd that stays readable while n_always > 0; else -1 */
  guint fork_generation; /* of the process that made the set */
  guint32 waits;
  guint32 rebuilt;       /* the value of `waits` when the set was last made anew */
  EvpEpollEntry *entries; /* indexed by descriptor */
  guint n_entries;
  int *always;           /* the descriptors that are always ready */
  guint n_always;
  guint always_size;
  guint next_always;     /* where the next wait begins, so that all have their turn */
} EvpEpoll;

void     evp_epoll_init   (EvpEpoll            *self);
/* Frees everything; the struct is as after evp_epoll_init(). Watched descriptors stay open. */
void     evp_epoll_clear  (EvpEpoll            *self);
/* The descriptor to poll for reading; -1 before first use. Its number never changes after that. */
int      evp_epoll_get_fd (EvpEpoll            *self);
gboolean evp_epoll_ensure (EvpEpoll            *self,
                           GError             **error);
/*
 * Watches @fd for @events (0: no longer), whatever was before, and puts @generation into its events.
 * Always asks the kernel, so that a number that was closed and reused heals. Returns 0 or an errno;
 * after an errno @fd is not watched. Removing cannot fail. O(1).
 */
int      evp_epoll_set    (EvpEpoll            *self,
                           int                  fd,
                           EvpIOEvents          events,
                           guint32              generation);
/*
 * Harvests events of at most @n_events (≥ 2; more than EVP_EPOLL_BATCH make no difference)
 * descriptors. Waits at least @timeout_ns (0: not at all, < 0: for ever); signals do not shorten it.
 * Returns how many, or minus an errno. Ready descriptors that did not fit come with the next calls.
 */
int      evp_epoll_wait   (EvpEpoll            *self,
                           EvpEpollEvent       *events,
                           int                  n_events,
                           gint64               timeout_ns);
/*
 * Says that nobody knows an event of the last wait: makes the kernel stop reporting it. Cheap if the
 * number still names what was watched; otherwise (it was closed without being removed, and a
 * duplicate keeps it alive) the only way is a new set with everything else in it, O(n). Returns 0,
 * or the errno of making that set (no descriptor is left); the event then comes again.
 */
int      evp_epoll_drop   (EvpEpoll            *self,
                           const EvpEpollEvent *event);

G_END_DECLS
