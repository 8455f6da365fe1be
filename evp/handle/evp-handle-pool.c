/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-handle-pool-private.h"

#include <string.h>

/* The first slab is small: many loops never schedule more than a few callbacks. */
#define FIRST_SLAB_HANDLES 16
#define SLAB_HANDLES 64
/* ... and those that schedule many get larger ones, so that a million does not cost a million / 64 allocations. */
#define MAX_SLAB_HANDLES 1024

__thread char evp_handle_thread_mark __attribute__ ((tls_model ("initial-exec")));

void
evp_handle_pool_init (EvpHandlePool *self,
                      void         (*destroy) (EvpHandlePool *pool))
{
  g_mutex_init (&self->lock);
  self->destroy = destroy;
}

static void
evp_handle_pool_destroy (EvpHandlePool *self)
{
  g_clear_pointer (&self->slabs, g_ptr_array_unref);
  g_mutex_clear (&self->lock);
  self->destroy (self);
}

void
evp_handle_pool_orphan (EvpHandlePool *self)
{
  gboolean unused;

  g_mutex_lock (&self->lock);
  self->timer_cancelled = NULL;
  self->n_live = self->n_handles;
  for (EvpHandle *handle = self->free; handle != NULL; handle = handle->next)
    self->n_live--;
  for (EvpHandle *handle = self->returned; handle != NULL; handle = handle->next)
    self->n_live--;
  self->orphaned = TRUE;
  __atomic_store_n (&self->owner, NULL, __ATOMIC_RELAXED);
  unused = self->n_live == 0;
  g_mutex_unlock (&self->lock);

  if (unused)
    evp_handle_pool_destroy (self);
}

EvpHandle *
evp_handle_pool_grow (EvpHandlePool *self)
{
  EvpHandle *list;
  guint n;

  if (__atomic_load_n (&self->returned, __ATOMIC_RELAXED) != NULL)
    {
      g_mutex_lock (&self->lock);
      list = self->returned;
      __atomic_store_n (&self->returned, NULL, __ATOMIC_RELAXED);
      g_mutex_unlock (&self->lock);
      return list;
    }

  n = self->slabs == NULL ? FIRST_SLAB_HANDLES : (guint) CLAMP (self->n_handles, SLAB_HANDLES, MAX_SLAB_HANDLES);
  list = g_aligned_alloc (n, sizeof (EvpHandle), 64);
  for (guint i = 0; i < n; i++)
    {
      list[i].pool = self;
      list[i].next = i + 1 < n ? &list[i + 1] : NULL;
    }
  self->n_handles += n;
  if (self->slabs == NULL)
    self->slabs = g_ptr_array_new_with_free_func (g_aligned_free);
  g_ptr_array_add (self->slabs, list);
  return list;
}

void
evp_handle_pool_give_back (EvpHandlePool *self,
                           EvpHandle     *handle)
{
  gboolean last = FALSE;

  g_mutex_lock (&self->lock);
  if (self->orphaned)
    last = --self->n_live == 0;
  else
    {
      handle->next = self->returned;
      __atomic_store_n (&self->returned, handle, __ATOMIC_RELAXED);
    }
  g_mutex_unlock (&self->lock);

  if (last)
    evp_handle_pool_destroy (self);
}
