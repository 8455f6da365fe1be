/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-lazy-slot-private.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fork-private.h"

void
evp_lazy_slot_init (EvpLazySlot *self)
{
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
}

/* With the lock held. */
static void
forget_object_of_parent (EvpLazySlot *self)
{
  /* it is not released: that could disturb what the parent uses, and wait for threads that are not here */
  if (self->emptied_by_fork && self->object_generation != evp_os_fork_generation ())
    self->object = NULL;
}

static void
store_object (EvpLazySlot *self,
              gpointer     object)
{
  self->object = object;
  self->object_generation = evp_os_fork_generation ();
}

void
evp_lazy_slot_clear (EvpLazySlot *self)
{
  forget_object_of_parent (self);
  g_clear_object (&self->object);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
}

gpointer
evp_lazy_slot_dup (EvpLazySlot *self)
{
  gpointer object;

  g_mutex_lock (&self->lock);
  forget_object_of_parent (self);
  /* referenced under the lock, or another thread could free it in between */
  object = self->object != NULL ? g_object_ref (self->object) : NULL;
  g_mutex_unlock (&self->lock);
  return object;
}

gpointer
evp_lazy_slot_ensure (EvpLazySlot        *self,
                      EvpLazySlotFactory  factory,
                      GDestroyNotify      discard,
                      gpointer            user_data,
                      GError            **error)
{
  gpointer made, chosen;
  gboolean used;

  g_mutex_lock (&self->lock);
  forget_object_of_parent (self);
  /* a maker from before a fork() will never come back */
  while (self->object == NULL && self->maker != NULL && self->maker != g_thread_self ()
         && self->maker_generation == evp_os_fork_generation ())
    g_cond_wait (&self->changed, &self->lock);
  if (self->object != NULL)
    {
      chosen = g_object_ref (self->object);
      g_mutex_unlock (&self->lock);
      return chosen;
    }
  if (self->maker == g_thread_self () && self->maker_generation == evp_os_fork_generation ())
    {
      g_mutex_unlock (&self->lock);
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                           _("An object was asked for while it was being made; "
                             "do not ask for it from its own constructor"));
      return NULL;
    }
  self->maker = g_thread_self ();
  self->maker_generation = evp_os_fork_generation ();
  g_mutex_unlock (&self->lock);

  made = factory (user_data, error);

  g_mutex_lock (&self->lock);
  self->maker = NULL;
  used = self->object == NULL && made != NULL;
  if (used)
    store_object (self, g_object_ref (made));
  chosen = used ? made : NULL;
  if (made != NULL && !used)
    chosen = g_object_ref (self->object);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);

  if (made != NULL && !used)
    discard (made);
  return chosen;
}

gpointer
evp_lazy_slot_replace (EvpLazySlot *self,
                       gpointer     object)
{
  gpointer old;

  g_mutex_lock (&self->lock);
  forget_object_of_parent (self);
  old = self->object;
  store_object (self, object != NULL ? g_object_ref (object) : NULL);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return old;
}
