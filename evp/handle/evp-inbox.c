/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-inbox-private.h"

/* A burst may leave behind a large array; more than this is given back when it is empty. */
#define KEEP_POSTS 4096

void
evp_inbox_init (EvpInbox *self)
{
  g_mutex_init (&self->lock);
}

static void
evp_batch_free (EvpBatch *batch)
{
  g_free (batch->posts);
  g_aligned_free (batch);
}

void
evp_inbox_clear (EvpInbox *self)
{
  g_clear_pointer (&self->posts, g_free);
  g_clear_pointer (&self->spare, evp_batch_free);
  g_mutex_clear (&self->lock);
}

gboolean
evp_inbox_post (EvpInbox      *self,
                EvpCallback    callback,
                gpointer       user_data,
                GDestroyNotify destroy)
{
  guint n;

  g_mutex_lock (&self->lock);
  if (self->closed)
    {
      g_mutex_unlock (&self->lock);
      return FALSE;
    }
  n = self->n_posts;
  if (G_UNLIKELY (n == self->capacity))
    {
      self->capacity = self->capacity == 0 ? 16 : self->capacity * 2;
      self->posts = g_renew (EvpPost, self->posts, self->capacity);
    }
  self->posts[n] = (EvpPost) { callback, user_data, destroy };
  /* the loop looks at this without the lock before it sleeps: see evp_loop_core_wake() */
  __atomic_store_n (&self->n_posts, n + 1, __ATOMIC_SEQ_CST);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

static EvpBatch *
evp_inbox_take (EvpInbox *self,
                gboolean  closing)
{
  EvpBatch *batch = g_steal_pointer (&self->spare);
  EvpPost *posts;
  guint capacity;

  if (batch == NULL)
    {
      batch = g_aligned_alloc0 (1, sizeof (EvpBatch), 64);
      batch->handle.kind = EVP_HANDLE_BATCH;
      batch->handle.ref_count = 1;
    }
  batch->next = 0;

  g_mutex_lock (&self->lock);
  posts = self->posts;
  capacity = self->capacity;
  batch->n_posts = self->n_posts;
  self->posts = batch->posts;
  self->capacity = batch->capacity;
  __atomic_store_n (&self->n_posts, 0, __ATOMIC_SEQ_CST);
  if (closing)
    self->closed = TRUE;
  g_mutex_unlock (&self->lock);

  batch->posts = posts;
  batch->capacity = capacity;
  return batch;
}

EvpBatch *
evp_inbox_drain (EvpInbox *self)
{
  EvpBatch *batch;

  if (evp_inbox_is_empty (self))
    return NULL;
  batch = evp_inbox_take (self, FALSE);
  if (batch->n_posts == 0)
    {
      evp_inbox_recycle (self, batch);
      return NULL;
    }
  return batch;
}

void
evp_inbox_recycle (EvpInbox *self,
                   EvpBatch *batch)
{
  if (batch->capacity > KEEP_POSTS)
    {
      g_clear_pointer (&batch->posts, g_free);
      batch->capacity = 0;
    }
  if (self->spare == NULL)
    self->spare = batch;
  else
    evp_batch_free (batch);
}

EvpBatch *
evp_inbox_close (EvpInbox *self)
{
  gboolean empty;

  g_mutex_lock (&self->lock);
  empty = self->n_posts == 0;
  self->closed = self->closed || empty;
  g_mutex_unlock (&self->lock);
  if (empty)
    return NULL;
  return evp_inbox_take (self, TRUE);
}

void
evp_post_run (EvpPost *self)
{
  if (self->callback != NULL)
    {
      self->callback (self->user_data);
      if (self->destroy != NULL)
        self->destroy (self->user_data);
    }
  else
    {
      EvpHandle *handle = self->user_data;

      evp_handle_run (handle);
      evp_handle_unref (handle);
    }
}

void
evp_post_drop (EvpPost *self)
{
  if (self->callback == NULL)
    {
      EvpHandle *handle = self->user_data;

      evp_handle_cancel (handle);
      evp_handle_drop (handle);
      evp_handle_unref (handle);
    }
  else if (self->destroy != NULL)
    self->destroy (self->user_data);
}
