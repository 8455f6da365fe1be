/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-operation-private.h"
#include "evp/loop/evp-loop-task-private.h"

G_BEGIN_DECLS

typedef struct _EvpSocketChannel EvpSocketChannel;
typedef struct _EvpSocketSource EvpSocketSource;

/* Called once, when a channel that was closed has given up its descriptor. */
typedef void (*EvpSocketChannelFunc) (gpointer data);

/* Does a step of a transfer without waiting; FALSE if it has to wait until the socket is ready. */
typedef gboolean (*EvpSocketTryFunc) (gpointer data);

/*
 * Tells the loop of a channel that was not given one: (transfer full) (nullable), that of the calling thread
 * in @context. NULL: the channel does as GIO does.
 */
typedef EvpAbstractEventLoop *(*EvpSocketLoopFunc) (GMainContext *context);

/*
 * One direction of a connected socket on a loop: what EvpSocketInputStream and EvpSocketOutputStream are made of, as a
 * part of their structs. There is one operation, kept for life, so a request allocates nothing and a
 * connection that waits for nothing has neither a GSource nor a GPollFD.
 *
 * The operation either transfers or, for pollable sources, waits until a transfer could succeed. A
 * transfer that comes while it does the latter waits for it to end, so the two never compete for the
 * descriptor.
 *
 * It belongs to the thread of the loop, apart from the blocking calls and from the end: a garbage collector
 * may close or clear it on a thread of its own.
 */
struct _EvpSocketChannel
{
  /* set once */
  gpointer stream;                /* not owned */
  GSocket *socket;
  EvpIOEvents direction;
  EvpSocketLoopFunc find_loop;    /* NULL: the loop was given */

  EvpAbstractEventLoop *loop;     /* NULL: not found yet */
  GThread *thread;                /* of the loop, once there is an operation */
  GMainContext *context;          /* not owned: the thread-default one for which the loop was found */
  EvpOperation *operation;        /* made with the first request */
  gboolean closed;
  gint64 patience_us;             /* of blocking writes; -1: without end */

  /* the transfer that has not ended; GIO allows one at a time and keeps the stream alive for it */
  EvpLoopTask *task;
  EvpLoopTask *spare;             /* for the next one */
  gpointer buffer;                /* a write only reads it */
  gsize count;
  const GOutputVector *vectors;   /* instead of `buffer`, if there are any */
  gsize n_vectors;
  EvpSocketTryFunc try_func;      /* instead of both, with `buffer` as its data */
  EvpTimerHandle *timeout;        /* of the socket, if it has one */
  gboolean timed_out;

  EvpSocketSource *sources;       /* that wait; see evp-socket-source.c */

  EvpSocketChannelFunc closed_func;
  gpointer closed_data;
};

/* @loop may be NULL, then @find_loop is asked when one is needed. */
void                  evp_socket_channel_init           (EvpSocketChannel     *self,
                                                         gpointer              stream,
                                                         GSocket              *socket,
                                                         EvpIOEvents           direction,
                                                         EvpAbstractEventLoop *loop,
                                                         EvpSocketLoopFunc     find_loop);
void                  evp_socket_channel_clear          (EvpSocketChannel     *self);
/* NULL: this channel does as GIO does. */
EvpAbstractEventLoop *evp_socket_channel_get_loop       (EvpSocketChannel     *self);

/* The result is an EvpLoopTask of the stream with the given tag, and the number of bytes. */
void                  evp_socket_channel_transfer_async (EvpSocketChannel     *self,
                                                         gpointer              tag,
                                                         gpointer              buffer,
                                                         gsize                 count,
                                                         GCancellable         *cancellable,
                                                         GAsyncReadyCallback   callback,
                                                         gpointer              user_data);
void                  evp_socket_channel_writev_async   (EvpSocketChannel     *self,
                                                         gpointer              tag,
                                                         const GOutputVector  *vectors,
                                                         gsize                 n_vectors,
                                                         GCancellable         *cancellable,
                                                         GAsyncReadyCallback   callback,
                                                         gpointer              user_data);
/* What the socket has, or takes, right now. */
gssize                evp_socket_channel_receive        (EvpSocketChannel     *self,
                                                         void                 *buffer,
                                                         gsize                 count,
                                                         GError              **error);
gssize                evp_socket_channel_send           (EvpSocketChannel     *self,
                                                         const void           *buffer,
                                                         gsize                 count,
                                                         GError              **error);
/* Calls @func until it is TRUE, whenever the socket is ready; the result is 0. */
void                  evp_socket_channel_try_async      (EvpSocketChannel     *self,
                                                         gpointer              tag,
                                                         EvpSocketTryFunc      func,
                                                         gpointer              data,
                                                         GCancellable         *cancellable,
                                                         GAsyncReadyCallback   callback,
                                                         gpointer              user_data);
/* Sends right here: waits for ever with -1 as @timeout_us, not at all with 0. */
GPollableReturn       evp_socket_channel_writev         (EvpSocketChannel     *self,
                                                         const GOutputVector  *vectors,
                                                         gsize                 n_vectors,
                                                         gint64                timeout_us,
                                                         gsize                *n_written,
                                                         GCancellable         *cancellable,
                                                         GError              **error);
/* For a pollable stream. */
GSource              *evp_socket_channel_create_source  (EvpSocketChannel     *self,
                                                         GCancellable         *cancellable);
/* Waits until a transfer could succeed, then tells the sources. */
gboolean              evp_socket_channel_poll           (EvpSocketChannel     *self);
/* No source waits any more; from any thread. */
void                  evp_socket_channel_stop_polling   (EvpSocketChannel     *self);
/* The stream is closed: there is no transfer, and nobody waits for one to become possible. */
void                  evp_socket_channel_close          (EvpSocketChannel     *self);
/*
 * Closes, and ends the transfer with G_IO_ERROR_CLOSED. FALSE: the descriptor is still in use, and must not
 * be closed before @func has been called.
 */
gboolean              evp_socket_channel_abort          (EvpSocketChannel     *self,
                                                         EvpSocketChannelFunc  func,
                                                         gpointer              data);

/* In evp-socket-source.c: a source without a descriptor, that the channel wakes. */
GSource              *evp_socket_source_new             (EvpSocketChannel     *channel);
void                  evp_socket_channel_wake_sources   (EvpSocketChannel     *self);
gboolean              evp_socket_channel_has_sources    (EvpSocketChannel     *self);

G_END_DECLS
