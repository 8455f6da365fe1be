/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/proactor/evp-operation.h"

#include <sys/socket.h>
#include <sys/un.h>

G_BEGIN_DECLS

/*
 * Called once per submission, as an ordinary callback of the loop, or while the loop closes. The
 * operation may be submitted again from inside.
 */
typedef void (*EvpOperationFunc) (EvpOperation *operation,
                                  gpointer      user_data);

/* Told by evp_operation_complete(), on whatever thread that is called: hands the operation to its loop. */
typedef void (*EvpOperationCompleteFunc) (EvpOperation *operation);

typedef enum
{
  EVP_OPERATION_IDLE,      /* belongs to whoever made it; may be changed and submitted */
  EVP_OPERATION_SUBMITTED, /* belongs to the loop or proactor, which holds a reference */
  EVP_OPERATION_COMPLETED, /* has a result; its function has not been called yet */
} EvpOperationState;

typedef enum
{
  EVP_OPERATION_ALL = 1 << 0,       /* SEND: complete when everything is sent, not after the first part */
  EVP_OPERATION_CANCELLING = 1 << 1, /* cancel was asked for; the result decides */
  EVP_OPERATION_DRAINED = 1 << 2,   /* the last try took less than there was room for: wait before trying again */
  EVP_OPERATION_ALLOCATE = 1 << 3,  /* RECV, RECV_FROM: brings a buffer from g_malloc(), as late as it can; the caller frees it */
  EVP_OPERATION_BORROWED = 1 << 4,  /* the descriptor may be closed without evp_loop_retire_operation(), when nothing is pending */
} EvpOperationFlags;

typedef union
{
  struct sockaddr any;
  struct sockaddr_un un;
  struct sockaddr_storage storage;
} EvpSockaddr;

/*
 * One request. It is made once and submitted as often as needed; a stream has one for each direction.
 * Buffers must stay until it completes, whatever asked for its end: cancelling only asks.
 *
 * It belongs to the loop's thread, apart from the reference count and, for proactors with threads,
 * evp_operation_complete().
 */
struct _EvpOperation
{
  /* what to do */
  guint8 kind;
  guint8 state;
  guint8 flags;
  guint8 events;        /* POLL: EvpIOEvents */
  gint ref_count;       /* atomic */
  guint n_delivered;    /* the loop's: calls of the function that still have to be released */
  int fd;
  guint32 index;        /* for whoever executes it */
  gpointer buffer;
  gsize length;
  gint64 offset;
  EvpSockaddr *address; /* NULL for kinds without one */
  socklen_t address_length;
  int msg_flags;        /* more flags of recv() and send() */

  /* what came of it */
  gssize result;        /* or minus errno */
  gsize transferred;    /* with EVP_OPERATION_ALL: how much went, also after an error */

  /* whom to tell */
  EvpOperationFunc func;
  gpointer user_data;
  EvpOperationCompleteFunc complete_func; /* set by the loop */
  gpointer slots;                         /* set by the loop: its interface */
  EvpAbstractEventLoop *loop;             /* set by the loop; referenced from submission to completion */

  /* for whoever executes it: list links, a watch that outlives one submission, a slot in a ring */
  EvpOperation *next, *previous;
  gpointer engine_data;
  void (*engine_free) (EvpOperation *operation); /* releases `engine_data` when the operation goes */
  guint engine_count;                            /* how often something happened in a row */
};

EvpOperation *evp_operation_new (EvpOperationKind kind,
                                 int              fd,
                                 EvpOperationFunc func,
                                 gpointer         user_data);
/* Room for an address, for kinds that have one. */
void          evp_operation_ensure_address (EvpOperation *self);
/* Makes the error of a failed operation, FALSE if it did not fail. */
gboolean      evp_operation_check_result   (EvpOperation *self,
                                            const char   *what,
                                            GError      **error);

/*
 * Makes the system call: its result, or minus errno; -EAGAIN asks to wait for readiness and to try
 * @again. Sockets never block, whatever their flags, apart from connect() and accept(); files do.
 */
gssize        evp_operation_try            (EvpOperation *self,
                                            gboolean      again);

static inline EvpIOEvents
evp_operation_get_direction (const EvpOperation *self)
{
  switch (self->kind)
    {
    case EVP_OPERATION_RECV:
    case EVP_OPERATION_RECV_FROM:
    case EVP_OPERATION_ACCEPT:
    case EVP_OPERATION_READ:
      return EVP_IO_EVENTS_READ;
    case EVP_OPERATION_POLL:
      return (EvpIOEvents) self->events;
    default:
      return EVP_IO_EVENTS_WRITE;
    }
}

G_END_DECLS
