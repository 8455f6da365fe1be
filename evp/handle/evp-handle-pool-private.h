/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/handle/evp-handle-private.h"

G_BEGIN_DECLS

/*
 * The memory of one loop's handles: slabs, a free list, and a list of what other threads gave
 * back. The free list and what is fresh belong to the loop's thread; which thread that is says `owner`.
 */
struct _EvpHandlePool
{
  EvpHandle *free;
  gpointer owner; /* atomic: evp_handle_thread_token() of the thread that is inside the loop, or NULL */
  /* takes an armed timer out of its queue; the queue's reference goes to the caller */
  void (*timer_cancelled) (EvpHandlePool *pool,
                           EvpHandle     *handle);
  /* the pool and what it is part of can go: the loop is gone, and no handle is out */
  void (*destroy) (EvpHandlePool *pool);
  EvpHandle *fresh;    /* the rest of the newest slab, which was never in the free list */
  guint n_fresh;
  guint n_populated;   /* of these, those whose memory was asked for */
  guint slab_handles;  /* how many the newest slab has */

  GMutex lock;         /* protects the fields below */
  EvpHandle *returned; /* atomic for the look from alloc */
  gsize n_live;        /* once orphaned: handles that users still hold */
  gboolean orphaned;   /* the loop is gone: the last handle takes the pool along */
  GPtrArray *slabs;
  gsize n_handles;     /* in all slabs, without the fresh ones */
};

void           evp_handle_pool_init   (EvpHandlePool *self,
                                       void         (*destroy) (EvpHandlePool *pool));
/* The loop is gone. Handles that users still hold keep the pool alive; `destroy` is called without them, maybe now. */
void           evp_handle_pool_orphan (EvpHandlePool *self);
/* Slow path of alloc: takes back what other threads returned, or fresh ones, from a new slab if need be. */
EvpHandle     *evp_handle_pool_grow (EvpHandlePool *self);
/* Slow path of free: from another thread, or after the loop's end. */
void           evp_handle_pool_give_back (EvpHandlePool *self,
                                          EvpHandle     *handle);

extern __thread char evp_handle_thread_mark __attribute__ ((tls_model ("initial-exec"), visibility ("hidden")));

static inline gpointer
evp_handle_thread_token (void)
{
  return &evp_handle_thread_mark;
}

/* A handle with one reference, from the loop's thread; the caller fills in the rest. */
static inline EvpHandle *
evp_handle_pool_alloc (EvpHandlePool *self)
{
  EvpHandle *handle = self->free;

  if (G_UNLIKELY (handle == NULL))
    handle = evp_handle_pool_grow (self);
  self->free = handle->next;
  handle->ref_count = 1;
  return handle;
}

/* On the loop's thread only. */
static inline void
evp_handle_pool_release_local (EvpHandlePool *self,
                               EvpHandle     *handle)
{
  handle->next = self->free;
  self->free = handle;
}

/* The loop's own reference goes; on its thread. A sole owner needs no atomic write. */
static inline void
evp_handle_release (EvpHandle *handle)
{
  EvpHandlePool *pool = handle->pool;

  if (G_LIKELY (pool != NULL && __atomic_load_n (&handle->ref_count, __ATOMIC_ACQUIRE) == 1))
    evp_handle_pool_release_local (pool, handle);
  else
    evp_handle_unref (handle);
}

G_END_DECLS
