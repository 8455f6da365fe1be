/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/handle/evp-handle-pool-private.h"

G_BEGIN_DECLS

/* An intrusive FIFO of handles. It owns a reference to what is in it. */
typedef struct
{
  EvpHandle *head;
  EvpHandle *tail;
} EvpReadyQueue;

/* The caller has set EVP_HANDLE_QUEUED. */
static inline void
evp_ready_queue_append (EvpReadyQueue *self,
                        EvpHandle     *handle,
                        guint32        generation)
{
  handle->next = NULL;
  handle->generation = generation;
  if (self->head == NULL)
    self->head = handle;
  else
    self->tail->next = handle;
  self->tail = handle;
}

static inline void
evp_ready_queue_push (EvpReadyQueue *self,
                      EvpHandle     *handle,
                      guint32        generation)
{
  handle->flags |= EVP_HANDLE_QUEUED;
  evp_ready_queue_append (self, handle, generation);
}

static inline EvpHandle *
evp_ready_queue_pop (EvpReadyQueue *self)
{
  EvpHandle *handle = self->head;

  self->head = handle->next;
  handle->flags &= (guint8) ~EVP_HANDLE_QUEUED;
  return handle;
}

G_END_DECLS
