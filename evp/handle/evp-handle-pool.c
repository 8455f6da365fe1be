/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-handle-pool-private.h"

#include "evp/os/evp-os-memory-private.h"

/*
 * The first slab is small: many loops never schedule more than a few callbacks. Each one after that is four times as
 * large, so that a million does not cost a million / 64 allocations.
 */
#define FIRST_SLAB_HANDLES 16
#define MAX_SLAB_HANDLES   1024

/*
 * How many become available at a time. What a slab has beyond is no memory yet, and in a loop of a few hundred timers
 * most of what a timer costs is the first touch of its memory.
 */
#define FRESH_HANDLES 64

/*
 * With so many in use, memory is asked for in pieces of that many: four pages at once cost less than a fault for
 * each. Before that, what is asked for and then not used outweighs it.
 */
#define POPULATE_FROM    1024
#define POPULATE_HANDLES 256

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

static void
evp_handle_pool_add_slab (EvpHandlePool *self)
{
  if (self->slabs == NULL)
    {
      self->slabs = g_ptr_array_new_with_free_func (g_aligned_free);
      self->slab_handles = FIRST_SLAB_HANDLES;
    }
  else
    self->slab_handles = MIN (self->slab_handles * 4, MAX_SLAB_HANDLES);
  self->fresh = g_aligned_alloc (self->slab_handles, sizeof (EvpHandle), 64);
  self->n_fresh = self->slab_handles;
  self->n_populated = 0;
  g_ptr_array_add (self->slabs, self->fresh);
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

  if (self->n_fresh == 0)
    evp_handle_pool_add_slab (self);
  n = MIN (self->n_fresh, FRESH_HANDLES);
  list = self->fresh;
  if (self->n_handles >= POPULATE_FROM && self->n_populated == 0)
    {
      self->n_populated = MIN (self->n_fresh, POPULATE_HANDLES);
      evp_os_memory_populate (list, self->n_populated * sizeof (EvpHandle));
    }
  for (guint i = 0; i < n; i++)
    {
      list[i].pool = self;
      list[i].next = i + 1 < n ? &list[i + 1] : NULL;
    }
  self->fresh += n;
  self->n_fresh -= n;
  self->n_populated -= MIN (self->n_populated, n);
  self->n_handles += n;
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
