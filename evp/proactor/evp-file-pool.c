/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/proactor/evp-file-pool-private.h"

#include "evp/os/evp-os-fork-private.h"
#include "evp/os/evp-os-thread-private.h"

#include <errno.h>

/* `index` of an operation here */
enum
{
  QUEUED = 1,
  TAKEN, /* a worker has it, or has done it */
};

struct _EvpFilePool
{
  EvpFilePoolNotify notify;
  gpointer user_data;
  guint max_workers;
  guint fork_generation;
  GPtrArray *operations; /* all that it has been given; `engine_count` is the place; the owner's thread only */

  GMutex lock; /* protects what follows */
  GCond work;  /* there is an operation, or the end */
  EvpOperation *queue, *queue_last;
  EvpOperation *done, *done_last;
  GPtrArray *threads;
  guint n_queued;
  guint n_idle; /* waiting; some may have been woken up for what is queued */
  gboolean closing;
};

/* All of these with the lock. */
static void
append (EvpOperation **first,
        EvpOperation **last,
        EvpOperation  *operation)
{
  operation->next = NULL;
  operation->previous = *last;
  if (*last != NULL)
    (*last)->next = operation;
  else
    *first = operation;
  *last = operation;
}

static void
take_out (EvpOperation **first,
          EvpOperation **last,
          EvpOperation  *operation)
{
  if (operation->previous != NULL)
    operation->previous->next = operation->next;
  else
    *first = operation->next;
  if (operation->next != NULL)
    operation->next->previous = operation->previous;
  else
    *last = operation->previous;
  operation->next = NULL;
  operation->previous = NULL;
}

static EvpOperation *
take_done (EvpFilePool *self)
{
  EvpOperation *done = g_steal_pointer (&self->done);

  self->done_last = NULL;
  return done;
}

/* Without the lock: the owner's own book, which a child of fork() can rely on. */
static void
enter (EvpFilePool  *self,
       EvpOperation *operation)
{
  operation->engine_count = self->operations->len;
  g_ptr_array_add (self->operations, operation);
}

static void
strike (EvpFilePool  *self,
        EvpOperation *operation)
{
  const guint place = operation->engine_count;

  g_ptr_array_remove_index_fast (self->operations, place);
  if (place < self->operations->len)
    ((EvpOperation *) g_ptr_array_index (self->operations, place))->engine_count = place;
  operation->engine_count = 0;
}

static gboolean
is_forked (EvpFilePool *self)
{
  return G_UNLIKELY (self->fork_generation != evp_os_fork_generation ());
}

static gpointer
worker (gpointer data)
{
  EvpFilePool *self = data;

  g_mutex_lock (&self->lock);
  while (TRUE)
    {
      EvpOperation *operation = self->queue;

      if (operation != NULL)
        {
          take_out (&self->queue, &self->queue_last, operation);
          self->n_queued--;
          operation->index = TAKEN;
          g_mutex_unlock (&self->lock);
          operation->result = evp_operation_try (operation, TRUE);
          g_mutex_lock (&self->lock);
          append (&self->done, &self->done_last, operation);
          if (self->done == operation)
            self->notify (self->user_data);
          continue;
        }
      if (self->closing)
        break;
      self->n_idle++;
      while (self->queue == NULL && !self->closing)
        g_cond_wait (&self->work, &self->lock);
      self->n_idle--;
    }
  g_mutex_unlock (&self->lock);
  return NULL;
}

EvpFilePool *
evp_file_pool_new (EvpFilePoolNotify notify,
                   gpointer          user_data)
{
  EvpFilePool *self = g_new0 (EvpFilePool, 1);

  self->notify = notify;
  self->user_data = user_data;
  /* threads that wait for a disk, not for a processor */
  self->max_workers = CLAMP (g_get_num_processors () * 2, 4, 16);
  self->fork_generation = evp_os_fork_generation ();
  g_mutex_init (&self->lock);
  g_cond_init (&self->work);
  self->threads = g_ptr_array_new ();
  self->operations = g_ptr_array_new ();
  return self;
}

gboolean
evp_file_pool_submit (EvpFilePool  *self,
                      EvpOperation *operation,
                      GError      **error)
{
  gboolean ok = TRUE;

  g_mutex_lock (&self->lock);
  if (self->n_queued >= self->n_idle && self->threads->len < self->max_workers)
    {
      /* where there are threads at all, they will do */
      GThread *thread = evp_os_thread_new ("evp-file", worker, self, self->threads->len == 0 ? error : NULL);

      if (thread != NULL)
        g_ptr_array_add (self->threads, thread);
      ok = self->threads->len > 0;
    }
  if (ok)
    {
      operation->index = QUEUED;
      append (&self->queue, &self->queue_last, operation);
      self->n_queued++;
      g_cond_signal (&self->work);
    }
  g_mutex_unlock (&self->lock);
  if (ok)
    enter (self, operation);
  return ok;
}

gboolean
evp_file_pool_cancel (EvpFilePool  *self,
                      EvpOperation *operation)
{
  gboolean queued;

  if (is_forked (self))
    return FALSE; /* a thread of the parent's may have held the lock */
  g_mutex_lock (&self->lock);
  queued = operation->index == QUEUED;
  if (queued)
    {
      take_out (&self->queue, &self->queue_last, operation);
      self->n_queued--;
      operation->index = TAKEN;
    }
  g_mutex_unlock (&self->lock);
  if (queued)
    strike (self, operation);
  return queued;
}

EvpOperation *
evp_file_pool_collect (EvpFilePool *self)
{
  EvpOperation *done;

  if (is_forked (self))
    return NULL;
  g_mutex_lock (&self->lock);
  done = take_done (self);
  g_mutex_unlock (&self->lock);
  for (EvpOperation *operation = done; operation != NULL; operation = operation->next)
    strike (self, operation);
  return done;
}

/* The threads stayed in the parent, and go on there; here all of it ends. */
static EvpOperation *
abandon (EvpFilePool *self)
{
  EvpOperation *first = NULL, *last = NULL;

  for (guint i = 0; i < self->operations->len; i++)
    {
      EvpOperation *operation = g_ptr_array_index (self->operations, i);

      operation->result = -ECANCELED;
      append (&first, &last, operation);
    }
  g_ptr_array_set_size (self->operations, 0);
  return first;
}

EvpOperation *
evp_file_pool_close (EvpFilePool *self)
{
  EvpOperation *done;

  if (is_forked (self))
    return abandon (self);

  g_mutex_lock (&self->lock);
  self->closing = TRUE;
  while (self->queue != NULL)
    {
      EvpOperation *operation = self->queue;

      take_out (&self->queue, &self->queue_last, operation);
      operation->result = -ECANCELED;
      append (&self->done, &self->done_last, operation);
    }
  g_cond_broadcast (&self->work);
  g_mutex_unlock (&self->lock);

  for (guint i = 0; i < self->threads->len; i++)
    g_thread_join (g_ptr_array_index (self->threads, i));

  done = take_done (self);
  g_ptr_array_unref (self->threads);
  g_ptr_array_unref (self->operations);
  g_cond_clear (&self->work);
  g_mutex_clear (&self->lock);
  g_free (self);
  return done;
}
