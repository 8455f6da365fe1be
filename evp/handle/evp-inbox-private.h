/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/handle/evp-handle-private.h"

G_BEGIN_DECLS

/* One callback from another thread; with a handle, that is run instead of the callback. */
typedef struct
{
  EvpCallback callback;
  gpointer user_data; /* or the EvpHandle (owned), if callback is NULL */
  GDestroyNotify destroy;
} EvpPost;

/*
 * What other threads posted, taken out of the inbox as a whole: one entry of the ready queue
 * whose posts are run one by one. It stays at the head of the queue until its last post is taken, so
 * that a nested loop goes on with it.
 */
typedef struct
{
  EvpHandle handle; /* kind BATCH */
  EvpPost *posts;
  guint n_posts, capacity;
  guint next;
} EvpBatch;

/* Filled from any thread, emptied by the loop's. */
typedef struct
{
  GMutex lock; /* protects all below */
  EvpPost *posts;
  guint n_posts; /* atomic for looks without the lock */
  guint capacity;
  gboolean closed;
  EvpBatch *spare; /* loop's thread only */
} EvpInbox;

void      evp_inbox_init    (EvpInbox *self);
void      evp_inbox_clear   (EvpInbox *self); /* after close */
/* FALSE if the inbox is closed; then nothing was taken over. */
gboolean  evp_inbox_post    (EvpInbox      *self,
                             EvpCallback    callback,
                             gpointer       user_data,
                             GDestroyNotify destroy);
/* All posts as a batch, or NULL if there are none. */
EvpBatch *evp_inbox_drain   (EvpInbox *self);
/* Gives back the memory of a batch whose posts were all taken. */
void      evp_inbox_recycle (EvpInbox *self,
                             EvpBatch *batch);
/* From now on posts are refused; the last ones come out, or NULL. */
EvpBatch *evp_inbox_close   (EvpInbox *self);

void      evp_post_run      (EvpPost *self);
void      evp_post_drop     (EvpPost *self);

static inline gboolean
evp_inbox_is_empty (EvpInbox *self)
{
  return __atomic_load_n (&self->n_posts, __ATOMIC_SEQ_CST) == 0;
}

G_END_DECLS
