/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/handle/evp-handle-pool-private.h"
#include "evp/os/evp-os-uring-private.h"
#include "evp/proactor/evp-operation-private.h"
#include "evp/proactor/evp-uring-proactor.h"

G_BEGIN_DECLS

#ifdef HAVE_LIBURING

/* Where an operation is: in its `index`. */
typedef enum
{
  EVP_URING_WAITING,   /* in `waiting`: not prepared yet */
  EVP_URING_PREPARED,  /* in `in_flight`: the ring has it */
  EVP_URING_POLLING,   /* in `in_flight`: the ring waits until it is worth another try */
} EvpUringStage;

typedef struct
{
  EvpOperation *head, *tail;
} EvpOperationList;

#endif

struct _EvpUringProactor
{
  EvpProactor parent_instance;

#ifdef HAVE_LIBURING
  EvpUring uring;             /* made when first needed, by the thread that polls */
  gpointer thread;            /* which that was: evp_handle_thread_token() */
  EvpOperationList waiting;   /* submitted before there was a ring, or while it was full */
  EvpOperationList in_flight;
  guint n_in_flight;          /* the same */
  guint fork_generation;
  gboolean has_substitute;    /* see evp_uring_proactor_get_refused() */
  int refused;                /* the same */
  int checked_fd;             /* a file that has places, until the next poll: see has_places(); or -1 */
  gboolean cancels_missing;   /* a cancellation found no room in the ring: see send_cancels() */
  gboolean closed;
#endif
};

/*
 * The loop's short cuts. Before the loop sleeps on evp_proactor_get_fd(): whether evp_proactor_poll() has something
 * to do now. If not, the descriptor becomes readable when it has; at other times it may stay silent.
 */
gboolean evp_uring_proactor_prepare  (EvpUringProactor *self);
/* The same question without going to sleep. */
gboolean evp_uring_proactor_has_work (EvpUringProactor *self);

/*
 * For a loop that chose by itself, and has another proactor to fall back to: if no ring can be made, what was submitted
 * waits on instead of failing, and an errno says so after evp_uring_proactor_poll(). It can be taken then, one by one,
 * and given to the other.
 */
void          evp_uring_proactor_set_has_substitute (EvpUringProactor *self);
int           evp_uring_proactor_get_refused        (EvpUringProactor *self);
EvpOperation *evp_uring_proactor_take_waiting       (EvpUringProactor *self);
/* It is submitted to another proactor, or was taken: forgets what this one remembers of it. */
void          evp_uring_proactor_disown             (EvpOperation     *operation);

G_END_DECLS
