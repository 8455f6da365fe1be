/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-handle-pool-private.h"

#include "evp/base/evp-i18n-private.h"

#include <dlfcn.h>

/**
 * EvpHandle:
 *
 * One callback that was scheduled with a loop, and can be cancelled.
 *
 * Handles come from [method@Evp.AbstractEventLoop.call_soon] and its relatives, which return them
 * *borrowed*: a program that wants to cancel later keeps a reference, and a program that does not may forget the
 * handle at once, because the loop holds it until the callback has run.
 *
 * ```c
 * EvpHandle *handle = evp_handle_ref (evp_event_loop_call_soon (loop, greet, NULL, NULL, &error));
 * …
 * evp_handle_cancel (handle);
 * evp_handle_unref (handle);
 * ```
 *
 * Callback and data are released as soon as the callback has run, the handle is cancelled, or the
 * loop is closed, and not only when the handle itself goes.
 *
 * A handle belongs to the thread of its loop. References may be taken and dropped in any thread. Only
 * handles of [method@Evp.AbstractEventLoop.call_soon_threadsafe_handle] may be cancelled from any thread.
 *
 * In asyncio: `asyncio.Handle`.
 *
 * Since: 1.0
 */
G_DEFINE_BOXED_TYPE (EvpHandle, evp_handle, evp_handle_ref, evp_handle_unref)

EvpHandle *
evp_handle_new_standalone (EvpHandleKind  kind,
                           gpointer       callback,
                           gpointer       user_data,
                           GDestroyNotify destroy)
{
  EvpHandle *self = g_aligned_alloc0 (1, kind == EVP_HANDLE_TIMER ? sizeof (EvpOwnTimer) : sizeof (EvpHandle), 64);

  self->ref_count = 1;
  self->kind = kind;
  self->callback.any = callback;
  self->user_data = user_data;
  self->destroy = destroy;
  return self;
}

EvpHandle *
evp_handle_new_traced (EvpHandleKind  kind,
                       gpointer       callback,
                       gpointer       user_data,
                       GDestroyNotify destroy)
{
  EvpTracedHandle *self = g_aligned_alloc0 (1, sizeof (EvpTracedHandle), 64);

  self->handle.ref_count = 1;
  self->handle.kind = kind;
  self->handle.callback.any = callback;
  self->handle.user_data = user_data;
  self->handle.destroy = destroy;
  self->handle.is_traced = TRUE;
  evp_backtrace_take (&self->origin);
  return &self->handle;
}

static inline EvpTracedHandle *
get_traced (EvpHandle *self)
{
  return self->pool == NULL && self->is_traced ? (EvpTracedHandle *) self : NULL;
}

EvpHandle *
evp_handle_new_traced_as (EvpHandle     *model,
                          gpointer       callback,
                          gpointer       user_data,
                          GDestroyNotify destroy)
{
  EvpHandle *self;

  if (get_traced (model) == NULL)
    return NULL;
  self = evp_handle_new_traced (EVP_HANDLE_CALLBACK, callback, user_data, destroy);
  get_traced (self)->name = evp_handle_describe (model);
  get_traced (self)->origin = get_traced (model)->origin;
  return self;
}

void
evp_handle_drop (EvpHandle *self)
{
  GDestroyNotify destroy = self->destroy;
  gpointer user_data = self->user_data;

  if ((self->flags & EVP_HANDLE_DROPPED) != 0)
    return;
  self->flags |= EVP_HANDLE_DROPPED;
  self->destroy = NULL;
  self->user_data = NULL;
  if (destroy != NULL)
    destroy (user_data);
}

char *
evp_handle_describe (EvpHandle *self)
{
  EvpTracedHandle *traced = get_traced (self);
  Dl_info info;

  if (traced != NULL && traced->name != NULL)
    return g_strdup (traced->name);
  if (self->callback.any != NULL && dladdr (self->callback.any, &info) != 0)
    {
      if (info.dli_sname != NULL)
        return g_strdup_printf ("%s()", info.dli_sname);
      /* as backtrace_symbols() has it: what addr2line wants, wherever the file was loaded */
      return g_strdup_printf ("callback at %s(+0x%" G_GINTPTR_MODIFIER "x)", info.dli_fname,
                              (guintptr) self->callback.any - (guintptr) info.dli_fbase);
    }
  return g_strdup_printf ("callback at %p", self->callback.any);
}

char *
evp_handle_describe_origin (EvpHandle *self)
{
  EvpTracedHandle *traced = get_traced (self);

  if (traced == NULL)
    return NULL;
  return evp_backtrace_describe (&traced->origin, _("Scheduled at (most recent call first):"));
}

/**
 * evp_handle_ref:
 * @self: a handle
 *
 * Takes a reference.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): @self
 *
 * Since: 1.0
 */
EvpHandle *
evp_handle_ref (EvpHandle *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  g_atomic_int_inc (&self->ref_count);
  return self;
}

/**
 * evp_handle_unref:
 * @self: (transfer full): a handle
 *
 * Drops a reference. This does not cancel: the loop has a reference of its own until the callback has run.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_handle_unref (EvpHandle *self)
{
  EvpHandlePool *pool;

  g_return_if_fail (self != NULL);

  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;

  evp_handle_drop (self);
  pool = self->pool;
  if (pool == NULL)
    {
      if (self->is_traced)
        g_free (((EvpTracedHandle *) self)->name);
      g_aligned_free (self);
    }
  else if (__atomic_load_n (&pool->owner, __ATOMIC_RELAXED) == evp_handle_thread_token ())
    evp_handle_pool_release_local (pool, self);
  else
    evp_handle_pool_give_back (pool, self);
}

/**
 * evp_handle_run:
 * @self: a handle
 *
 * Runs the callback, unless the handle was cancelled or has run already.
 *
 * Only loops call this: it is how a loop written in any language runs what it was given.
 * A handle of a file descriptor or of a signal can be run any number of times, the others once.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_handle_run (EvpHandle *self)
{
  GDestroyNotify destroy;
  gpointer user_data;

  g_return_if_fail (self != NULL);

  if ((self->flags & (EVP_HANDLE_CANCELLED | EVP_HANDLE_DROPPED)) != 0)
    return;

  switch (self->kind)
    {
    case EVP_HANDLE_CALLBACK:
    case EVP_HANDLE_TIMER:
      if (evp_handle_cancelled (self))
        {
          evp_handle_drop (self);
          return;
        }
      user_data = self->user_data;
      destroy = self->destroy;
      self->user_data = NULL;
      self->destroy = NULL;
      self->flags |= EVP_HANDLE_DROPPED;
      self->callback.plain (user_data);
      if (destroy != NULL)
        destroy (user_data);
      break;

    case EVP_HANDLE_FD:
    case EVP_HANDLE_SIGNAL:
      {
        gboolean nested = (self->flags & EVP_HANDLE_RUNNING) != 0;

        evp_handle_ref (self);
        self->flags |= EVP_HANDLE_RUNNING;
        self->callback.fd ((int) self->when, self->user_data);
        if (!nested)
          {
            self->flags &= (guint8) ~EVP_HANDLE_RUNNING;
            if ((self->flags & EVP_HANDLE_CANCELLED) != 0)
              evp_handle_drop (self);
          }
        evp_handle_unref (self);
        break;
      }

    default:
      g_assert_not_reached ();
    }
}

/**
 * evp_handle_cancel:
 * @self: a handle
 *
 * Makes sure that the callback does not run any more, and releases its data at once.
 *
 * Cancelling twice, or after the callback has run, does no harm; a callback may cancel its own handle.
 *
 * Use it from the thread of the loop; a handle of
 * [method@Evp.AbstractEventLoop.call_soon_threadsafe_handle] may be cancelled from any thread, and then its data is
 * released on the loop's thread. O(1); O(log n) in the number of timers for a timer.
 *
 * Since: 1.0
 */
void
evp_handle_cancel (EvpHandle *self)
{
  EvpHandlePool *pool, *queue;

  g_return_if_fail (self != NULL);

  if ((self->flags & EVP_HANDLE_THREADSAFE) != 0)
    {
      __atomic_store_n (&self->index, 1, __ATOMIC_RELEASE);
      return;
    }
  if ((self->flags & EVP_HANDLE_CANCELLED) != 0)
    return;

  self->flags |= EVP_HANDLE_CANCELLED;
  pool = self->pool;
  queue = pool != NULL ? pool : self->kind == EVP_HANDLE_TIMER ? ((EvpOwnTimer *) self)->armed_in : NULL;
  if ((self->flags & EVP_HANDLE_ARMED) != 0 && queue != NULL && queue->timer_cancelled != NULL)
    {
      /* the queue's reference is ours now; dropping runs foreign code, which may end the loop */
      queue->timer_cancelled (queue, self);
      evp_handle_drop (self);
      if (pool == NULL || pool->orphaned)
        evp_handle_unref (self);
      else
        evp_handle_release (self);
    }
  else if ((self->flags & EVP_HANDLE_RUNNING) == 0)
    evp_handle_drop (self);
}

/**
 * evp_handle_cancelled:
 * @self: a handle
 *
 * Tells whether [method@Evp.Handle.cancel] was called.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: whether the handle was cancelled
 *
 * Since: 1.0
 */
gboolean
evp_handle_cancelled (EvpHandle *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  if ((self->flags & EVP_HANDLE_THREADSAFE) != 0)
    return __atomic_load_n (&self->index, __ATOMIC_ACQUIRE) != 0;
  return (self->flags & EVP_HANDLE_CANCELLED) != 0;
}

/**
 * evp_handle_set_name:
 * @self: a handle
 * @name: (nullable): what to call the callback; `NULL` for its address
 *
 * Says what messages about slow callbacks call this one.
 *
 * It is for languages whose callbacks have no symbol in C; the overrides for Python and JavaScript
 * use it. Only handles that were made in debug mode keep a name.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_handle_set_name (EvpHandle  *self,
                     const char *name)
{
  EvpTracedHandle *traced;

  g_return_if_fail (self != NULL);

  traced = get_traced (self);
  if (traced == NULL)
    return;
  g_free (traced->name);
  traced->name = g_strdup (name);
}
