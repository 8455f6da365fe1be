/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * A place for one object that is made when it is first asked for. Any number of threads may ask at
 * once: one of them makes the object and the others wait for it, and no lock is held meanwhile,
 * for making may run code of strangers. Static storage needs no evp_lazy_slot_init().
 */
typedef struct
{
  GMutex lock; /* protects the rest */
  GCond changed;
  gpointer object;
  guint object_generation;
  gboolean emptied_by_fork; /* set once: in a child of fork() what the parent had is not there */
  GThread *maker;           /* who is making the object now */
  guint maker_generation;
} EvpLazySlot;

typedef gpointer (*EvpLazySlotFactory) (gpointer user_data,
                                        GError **error);

void     evp_lazy_slot_init    (EvpLazySlot *self);
void     evp_lazy_slot_clear   (EvpLazySlot *self);

/* A reference to the object, or NULL if there is none yet. */
gpointer evp_lazy_slot_dup     (EvpLazySlot *self);

/*
 * A reference to the object, made by @factory if there is none. Something that was stored by
 * another thread while the factory ran wins; what the factory made then goes to @discard.
 * EVP_ERROR_INVALID_STATE when the factory itself asks.
 */
gpointer evp_lazy_slot_ensure  (EvpLazySlot        *self,
                                EvpLazySlotFactory  factory,
                                GDestroyNotify      discard,
                                gpointer            user_data,
                                GError            **error);

/* Stores @object (transfer none, nullable) and returns what was there (transfer full, nullable). */
gpointer evp_lazy_slot_replace (EvpLazySlot *self,
                                gpointer     object);

G_END_DECLS
