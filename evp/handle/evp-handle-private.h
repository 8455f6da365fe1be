/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/base/evp-backtrace-private.h"
#include "evp/handle/evp-timer-handle.h"

G_BEGIN_DECLS

typedef struct _EvpHandlePool EvpHandlePool;

typedef enum
{
  EVP_HANDLE_CALLBACK, /* runs once */
  EVP_HANDLE_TIMER,    /* runs once, when due; an EvpTimerHandle */
  EVP_HANDLE_FD,       /* runs whenever its descriptor is ready */
  EVP_HANDLE_SIGNAL,   /* runs whenever its signal arrives */
  EVP_HANDLE_BATCH,    /* a whole inbox of callbacks from other threads; never public */
} EvpHandleKind;

typedef enum
{
  EVP_HANDLE_CANCELLED = 1 << 0,  /* cancel() was called */
  EVP_HANDLE_DROPPED = 1 << 1,    /* callback and data are released, or have run */
  EVP_HANDLE_QUEUED = 1 << 2,     /* in the ready queue, which then owns a reference or borrows the table's */
  EVP_HANDLE_RUNNING = 1 << 3,    /* its callback is on the stack */
  EVP_HANDLE_DETACHED = 1 << 4,   /* the table gave it up while it was queued or running */
  EVP_HANDLE_ARMED = 1 << 5,      /* in the timer queue, which owns a reference */
  EVP_HANDLE_THREADSAFE = 1 << 6, /* any thread may cancel: `index` is the atomic flag */
  EVP_HANDLE_SUSPENDED = 1 << 7,  /* fd: taken out of the kernel's set while its callback is on the stack */
} EvpHandleFlags;

/*
 * One scheduled callback: 64 bytes, one cache line, from the free list of its loop. It belongs to the
 * loop's thread, apart from the reference count, which is atomic.
 */
struct _EvpHandle
{
  EvpHandle *next; /* link of the ready queue and of the free list; free for the timer queue's use while armed */
  union
  {
    EvpCallback plain;
    EvpFdCallback fd;
    EvpSignalCallback signal;
    gpointer any;
  } callback;
  gpointer user_data;
  GDestroyNotify destroy;
  EvpHandlePool *pool; /* where its memory returns to; NULL: g_free() */
  gint64 when;         /* timers: when due, ns of the monotonic clock; fds and signals: the number */
  gint ref_count;
  guint32 generation;  /* the round in which it was queued */
  guint32 index;       /* for the timer queue while armed, or see EVP_HANDLE_THREADSAFE */
  guint8 kind;
  guint8 flags;
  guint8 is_traced;    /* without a pool: it is an EvpTracedHandle */
  guint8 reentrant;    /* fd: may be queued again while its callback is on the stack; see run_watch() */
};

/* A timer of its own: without a pool it has to know whose queue it leaves when it is cancelled. */
typedef struct
{
  EvpHandle handle;
  EvpHandlePool *armed_in; /* while armed */
} EvpOwnTimer;

/* What debug mode also knows; a handle of its own. Begins as EvpOwnTimer does. */
typedef struct
{
  EvpHandle handle;
  EvpHandlePool *armed_in;
  char *name; /* or NULL */
  EvpBacktrace origin;
} EvpTracedHandle;

G_STATIC_ASSERT (sizeof (void *) != 8 || sizeof (EvpHandle) == 64);

struct _EvpTimerHandle
{
  EvpHandle handle;
};

/* A handle of its own, not from a pool; for loops written elsewhere and for other threads. */
EvpHandle *evp_handle_new_standalone (EvpHandleKind  kind,
                                      gpointer       callback,
                                      gpointer       user_data,
                                      GDestroyNotify destroy);
/* The same, and where it was called is kept for messages. */
EvpHandle *evp_handle_new_traced     (EvpHandleKind  kind,
                                      gpointer       callback,
                                      gpointer       user_data,
                                      GDestroyNotify destroy);
/* The same in the name of @model, if that is traced; otherwise NULL. */
EvpHandle *evp_handle_new_traced_as  (EvpHandle     *model,
                                      gpointer       callback,
                                      gpointer       user_data,
                                      GDestroyNotify destroy);
/* Releases callback and data; they never run after that. Runs foreign code. */
void       evp_handle_drop           (EvpHandle     *self);
/* What to call it in messages: its name, or the callback's symbol where it can be found. */
char      *evp_handle_describe       (EvpHandle     *self);
/* Where it was scheduled, in several lines; NULL if that is not known. */
char      *evp_handle_describe_origin (EvpHandle    *self);

G_END_DECLS
