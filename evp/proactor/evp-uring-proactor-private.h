/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/handle/evp-handle-pool-private.h"
#include "evp/os/evp-os-uring-private.h"
#include "evp/proactor/evp-operation-private.h"
#include "evp/proactor/evp-uring-proactor.h"

G_BEGIN_DECLS

#ifdef HAVE_LIBURING

typedef struct _EvpUringReceiver EvpUringReceiver;

/* Where an operation is: in its `index`. */
typedef enum
{
  EVP_URING_WAITING,   /* in `waiting`: not prepared yet */
  EVP_URING_PREPARED,  /* in `in_flight`: the ring has it */
  EVP_URING_POLLING,   /* in `in_flight`: the ring waits until it is worth another try */
  EVP_URING_RECEIVING, /* its receiver will complete it */
} EvpUringStage;

typedef struct
{
  EvpOperation *head, *tail;
} EvpOperationList;

/* The memory that receivers receive into; see evp-uring-receiver.c. */
typedef struct
{
  struct io_uring_buf_ring *ring; /* NULL: not made yet */
  char *memory;
  gboolean refused;               /* this kernel cannot do it */
} EvpUringBuffers;

#endif

struct _EvpUringProactor
{
  EvpProactor parent_instance;

#ifdef HAVE_LIBURING
  EvpUring uring;             /* made when first needed, by the thread that polls */
  gpointer thread;            /* which that was: evp_handle_thread_token() */
  EvpOperationList waiting;   /* submitted before there was a ring, or while it was full */
  EvpOperationList in_flight;
  guint n_in_flight;          /* the same, and armed receivers */
  guint fork_generation;
  gboolean has_substitute;    /* see evp_uring_proactor_get_refused() */
  int refused;                /* the same */
  gboolean cancels_missing;   /* a cancellation found no room in the ring: see send_cancels() */
  EvpUringBuffers buffers;
  EvpUringReceiver *receivers; /* armed ones */

  GMutex lock;                /* protects the fields below */
  gboolean closed;            /* written by the loop's thread only */
  EvpUringReceiver *dropped;  /* atomic for the look from poll(); dropped by other threads */
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
/*
 * Whether one is submitted to another proactor or was taken: forgets what this one remembers of it. TRUE: it is
 * complete, with what was received ahead.
 */
gboolean      evp_uring_proactor_disown             (EvpOperation     *operation);

#ifdef HAVE_LIBURING

/* What marks the user data of a request that is not an operation's. */
# define EVP_URING_TAG_RECEIVER 1

/* What is worth receiving ahead. */
# define EVP_URING_SMALL_PART 4096

/* Puts an operation, whose stage is not set, into the ring or the queue before it. */
void     evp_uring_proactor_put     (EvpUringProactor *self,
                                     EvpOperation     *operation);
/* Of an operation that is in no list any more. Foreign code may run if the loop is closing. */
void     evp_uring_proactor_finish  (EvpOperation     *operation,
                                     gssize            result);
guint    evp_uring_proactor_collect (EvpUringProactor *self);

/* A RECV operation with EVP_OPERATION_AHEAD is submitted. FALSE: it goes into the ring like any other. */
gboolean evp_uring_receiver_submit  (EvpUringProactor *proactor,
                                     EvpOperation     *operation);
void     evp_uring_receiver_cancel  (EvpOperation     *operation);
/* See evp_uring_proactor_disown(). */
gboolean evp_uring_receiver_disown  (EvpOperation     *operation);
/* An answer of the ring; returns how many operations it completed. */
guint    evp_uring_receiver_answer  (EvpUringReceiver *self,
                                     int               answer,
                                     guint             flags);
/* All stop, those that were dropped on other threads too. FALSE: there was no room in the ring, ask again. */
gboolean evp_uring_receivers_stop   (EvpUringProactor *proactor);
/* Those that were dropped on other threads. */
void     evp_uring_receivers_sweep  (EvpUringProactor *proactor);
/* Nothing is in flight, and there is no ring any more; or the ring is a parent process's. */
void     evp_uring_receivers_clear  (EvpUringProactor *proactor);

#endif

G_END_DECLS
