/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-loop-slots-private.h"

#include "evp/os/evp-os-fork-private.h"

/* What a thread knows about the policies that it has used. */
typedef struct
{
  GPtrArray *slots;          /* (element-type Slot) those that this thread filled; under slots_lock */
  guint n_dead;              /* how many of them have lost their policy; under slots_lock */
  EvpLoopCreation *creation; /* innermost creation in progress; this thread only */
} ThreadData;

typedef struct
{
  EvpLoopSlots *owner;        /* NULL once the policy is gone */
  gpointer key;               /* the GMainContext or the ThreadData */
  GMainContext *context;      /* a reference, so that the key stays unique; NULL for a thread */
  ThreadData *thread;         /* who empties the slot; NULL for nobody but the policy */
  EvpAbstractEventLoop *loop; /* the current loop, nullable */
  guint generation;           /* of the process that filled it */
} Slot;

struct _EvpLoopSlots
{
  GHashTable *by_key; /* (element-type gpointer Slot) under slots_lock; slots are freed by hand */
};

static void thread_data_free (gpointer data);

/* Protects all slots. One lock, because a policy and a thread may die at the same time. */
static GMutex slots_lock;
static GPrivate thread_private = G_PRIVATE_INIT (thread_data_free);

static ThreadData *
thread_data_get (void)
{
  ThreadData *data = g_private_get (&thread_private);

  if (data == NULL)
    {
      data = g_new0 (ThreadData, 1);
      data->slots = g_ptr_array_new ();
      g_private_set (&thread_private, data);
    }
  return data;
}

/* Never under the lock: releasing a loop runs code of strangers. */
static void
slot_free (gpointer data)
{
  Slot *slot = data;

  /* what the parent process left is forgotten, not released */
  if (slot->generation == evp_os_fork_generation ())
    {
      g_clear_object (&slot->loop);
      g_clear_pointer (&slot->context, g_main_context_unref);
    }
  g_free (slot);
}

/* Takes the slots whose policy is gone out of @data; the caller frees them without the lock. */
static GPtrArray *
take_dead_slots (ThreadData *data)
{
  GPtrArray *dead;

  if (G_LIKELY (data->n_dead == 0))
    return NULL;
  dead = g_ptr_array_new_with_free_func (slot_free);
  for (guint i = data->slots->len; i > 0; i--)
    {
      Slot *slot = data->slots->pdata[i - 1];

      if (slot->owner == NULL)
        g_ptr_array_add (dead, g_ptr_array_remove_index_fast (data->slots, i - 1));
    }
  data->n_dead = 0;
  return dead;
}

static void
free_slots (GPtrArray *slots)
{
  if (slots != NULL)
    g_ptr_array_unref (slots);
}

static void
thread_data_free (gpointer user_data)
{
  ThreadData *data = user_data;
  GPtrArray *slots;

  g_mutex_lock (&slots_lock);
  slots = g_steal_pointer (&data->slots);
  for (guint i = 0; i < slots->len; i++)
    {
      Slot *slot = slots->pdata[i];

      if (slot->owner != NULL && g_hash_table_lookup (slot->owner->by_key, slot->key) == slot)
        g_hash_table_remove (slot->owner->by_key, slot->key);
    }
  g_mutex_unlock (&slots_lock);

  g_ptr_array_set_free_func (slots, slot_free);
  g_ptr_array_unref (slots);
  g_free (data);
}

EvpLoopSlots *
evp_loop_slots_new (void)
{
  EvpLoopSlots *self = g_new0 (EvpLoopSlots, 1);

  self->by_key = g_hash_table_new (NULL, NULL);
  return self;
}

void
evp_loop_slots_free (EvpLoopSlots *self)
{
  ThreadData *here = thread_data_get ();
  GPtrArray *ours = g_ptr_array_new_with_free_func (slot_free);
  GHashTableIter iter;
  Slot *slot;

  g_mutex_lock (&slots_lock);
  g_hash_table_iter_init (&iter, self->by_key);
  while (g_hash_table_iter_next (&iter, NULL, (gpointer *) &slot))
    {
      slot->owner = NULL;
      if (slot->thread == here)
        g_ptr_array_remove_fast (here->slots, slot);
      if (slot->thread == here || slot->thread == NULL)
        g_ptr_array_add (ours, slot);
      else
        slot->thread->n_dead++;
    }
  g_mutex_unlock (&slots_lock);

  g_ptr_array_unref (ours);
  g_hash_table_unref (self->by_key);
  g_free (self);
}

gboolean
evp_loop_slots_lookup (EvpLoopSlots          *self,
                       GMainContext          *context,
                       EvpAbstractEventLoop **loop)
{
  ThreadData *here = thread_data_get ();
  GPtrArray *dead;
  Slot *slot;
  gboolean found;

  g_mutex_lock (&slots_lock);
  dead = take_dead_slots (here);
  slot = g_hash_table_lookup (self->by_key, context != NULL ? (gpointer) context : here);
  found = slot != NULL && slot->generation == evp_os_fork_generation ();
  *loop = found && slot->loop != NULL ? g_object_ref (slot->loop) : NULL;
  g_mutex_unlock (&slots_lock);

  free_slots (dead);
  return found;
}

void
evp_loop_slots_store (EvpLoopSlots         *self,
                      GMainContext         *context,
                      EvpAbstractEventLoop *loop)
{
  ThreadData *here = thread_data_get ();
  gpointer key = context != NULL ? (gpointer) context : here;
  GPtrArray *dead;
  EvpAbstractEventLoop *old = NULL;
  Slot *slot;

  g_mutex_lock (&slots_lock);
  dead = take_dead_slots (here);
  slot = g_hash_table_lookup (self->by_key, key);
  if (slot == NULL || slot->generation != evp_os_fork_generation ())
    {
      /* a slot of the parent process is left to its thread's list */
      if (slot != NULL)
        {
          slot->owner = NULL;
          if (slot->thread != NULL)
            slot->thread->n_dead++;
        }
      slot = g_new0 (Slot, 1);
      slot->owner = self;
      slot->key = key;
      slot->context = context != NULL ? g_main_context_ref (context) : NULL;
      slot->generation = evp_os_fork_generation ();
      /* the default context outlives the worker that happened to name its loop */
      if (context != g_main_context_default () || evp_os_is_main_thread ())
        {
          slot->thread = here;
          g_ptr_array_add (here->slots, slot);
        }
      g_hash_table_insert (self->by_key, key, slot);
    }
  else
    {
      old = slot->loop;
      /* a context that has moved: what is in it now is not the earlier thread's to empty */
      if (slot->thread != NULL && slot->thread != here && context != g_main_context_default ())
        {
          g_ptr_array_remove_fast (slot->thread->slots, slot);
          slot->thread = here;
          g_ptr_array_add (here->slots, slot);
        }
    }
  slot->loop = loop != NULL ? g_object_ref (loop) : NULL;
  g_mutex_unlock (&slots_lock);

  g_clear_object (&old);
  free_slots (dead);
}

void
evp_loop_creation_begin (EvpLoopCreation *self,
                         gconstpointer    policy,
                         GMainContext    *context)
{
  ThreadData *here = thread_data_get ();

  self->outer = here->creation;
  self->policy = policy;
  self->context = context;
  here->creation = self;
}

void
evp_loop_creation_end (EvpLoopCreation *self)
{
  thread_data_get ()->creation = self->outer;
}

gboolean
evp_loop_creation_is_active (gconstpointer policy)
{
  EvpLoopCreation *creation = thread_data_get ()->creation;

  while (creation != NULL && creation->policy != policy)
    creation = creation->outer;
  return creation != NULL;
}

GMainContext *
evp_loop_creation_get_context (void)
{
  EvpLoopCreation *creation = thread_data_get ()->creation;

  return creation != NULL ? creation->context : NULL;
}
