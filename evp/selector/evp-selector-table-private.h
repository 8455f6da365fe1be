/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/selector/evp-selector-key-private.h"

G_BEGIN_DECLS

/*
 * The keys of a selector, indexed by descriptor, and the rules that all selectors of the library
 * share. Every function is O(1) unless it says otherwise.
 */
typedef struct
{
  EvpSelectorKey **keys; /* owned; NULL where nothing is registered */
  guint size;
  guint n_keys;
  guint32 generation;    /* of the last registration */
  guint64 selects;       /* how many there have been; never comes round to that of a key */
  GPtrArray *ready;      /* the keys of the last select, referenced */
  gboolean closed;
} EvpSelectorTable;

void            evp_selector_table_init         (EvpSelectorTable  *self);
/* Forgets all keys and refuses everything from now on. Idempotent. O(n) */
void            evp_selector_table_close        (EvpSelectorTable  *self);
/* FALSE, with EVP_ERROR_INVALID_STATE, after close. */
gboolean        evp_selector_table_check_open   (EvpSelectorTable  *self,
                                                 GError           **error);
/* A new key, borrowed; or NULL: closed, EXISTS. */
EvpSelectorKey *evp_selector_table_add          (EvpSelectorTable  *self,
                                                 int                fd,
                                                 EvpIOEvents        events,
                                                 const GValue      *data,
                                                 GError           **error);
/* The key, borrowed; or NULL: closed, NOT_FOUND. */
EvpSelectorKey *evp_selector_table_find         (EvpSelectorTable  *self,
                                                 int                fd,
                                                 GError           **error);
/* Takes the key out; its data may be dropped and run anything, so call this last. */
void            evp_selector_table_remove       (EvpSelectorTable  *self,
                                                 int                fd);
/* All keys, each referenced, no free function (as a slot returns it); NULL after close. O(n) */
GPtrArray      *evp_selector_table_get_map      (EvpSelectorTable  *self);
/* Before a kernel call: no key is ready any longer. FALSE: closed, maybe by what this has dropped. */
gboolean        evp_selector_table_begin_select (EvpSelectorTable  *self,
                                                 GError           **error);
/* What the kernel says about a key; directions that it is not watched for are ignored. */
void            evp_selector_table_add_ready    (EvpSelectorTable  *self,
                                                 EvpSelectorKey    *key,
                                                 EvpIOEvents        events);
/* The ready keys, as a slot returns them. O(ready) */
GPtrArray      *evp_selector_table_end_select   (EvpSelectorTable  *self);

/* The key, borrowed, or NULL. */
static inline EvpSelectorKey *
evp_selector_table_peek (const EvpSelectorTable *self,
                         int                     fd)
{
  return fd >= 0 && (guint) fd < self->size ? self->keys[fd] : NULL;
}

/* The `timeout` of select() in nanoseconds: −1 for ever, 0 poll, else rounded up. */
gint64          evp_selector_timeout_to_ns      (double             timeout);
/* When a wait that begins now and may last @timeout_ns is over: EVP_TIME_NEVER if it is < 0. */
gint64          evp_selector_deadline           (gint64             timeout_ns);
/* What is left until then, never less than 0; −1 for ever. */
gint64          evp_selector_time_left          (gint64             deadline);

G_END_DECLS
