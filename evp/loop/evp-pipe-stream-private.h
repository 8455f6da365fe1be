/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-loop-task-private.h"
#include "evp/loop/evp-pipe-private.h"

G_BEGIN_DECLS

/* Called once, in the thread of the loop, when the stream has reached its end, has failed, or has been closed. */
typedef void (*EvpPipeEndedFunc) (gpointer data);

/*
 * What EvpPipeInputStream and EvpPipeOutputStream share, as a part of their structs: a pipe, the one
 * transfer that may wait for it, and taking note of the end. A transfer is a read or a write, as the
 * direction of the pipe has it.
 */
typedef struct
{
  /* set once */
  EvpPipe *pipe; /* NULL: the stream was made by g_object_new() */
  EvpIOEvents direction;
  gpointer stream; /* the object that this is part of */
  GThread *thread; /* where it was made: the loop's, when nobody runs that */

  /* the transfer that waits; GIO allows one at a time and keeps the stream alive for it */
  EvpLoopTask *task;
  gpointer buffer; /* a write only reads it */
  gsize count;

  EvpPipe *hang_up; /* NULL: not watched */
  gboolean ended;
  EvpPipeEndedFunc ended_func; /* atomic: set and cleared in the loop's thread */
  gpointer ended_data;
  GDestroyNotify ended_destroy;
} EvpPipeStream;

/* Takes the descriptor, which must be in non-blocking mode. */
void     evp_pipe_stream_init                 (EvpPipeStream       *self,
                                               gpointer             stream,
                                               EvpAbstractEventLoop *loop,
                                               int                  fd,
                                               EvpIOEvents          direction);
void     evp_pipe_stream_clear                (EvpPipeStream       *self);
void     evp_pipe_stream_set_ended_func       (EvpPipeStream       *self,
                                               EvpPipeEndedFunc     func,
                                               gpointer             data,
                                               GDestroyNotify       destroy);
void     evp_pipe_stream_end                  (EvpPipeStream       *self);
/* Takes note that the reader has gone while nothing is being written. */
void     evp_pipe_stream_watch_hang_up        (EvpPipeStream       *self);
void     evp_pipe_stream_ignore_hang_up       (EvpPipeStream       *self);

gssize   evp_pipe_stream_transfer             (EvpPipeStream       *self,
                                               gpointer             buffer,
                                               gsize                count,
                                               GCancellable        *cancellable,
                                               GError             **error);
/* Fails with G_IO_ERROR_WOULD_BLOCK instead of waiting. */
gssize   evp_pipe_stream_transfer_nonblocking (EvpPipeStream       *self,
                                               gpointer             buffer,
                                               gsize                count,
                                               GError             **error);
/* The result is an EvpLoopTask of @stream with the given tag, and the number of bytes. */
void     evp_pipe_stream_transfer_async       (EvpPipeStream       *self,
                                               gpointer             stream,
                                               gpointer             tag,
                                               gpointer             buffer,
                                               gsize                count,
                                               GCancellable        *cancellable,
                                               GAsyncReadyCallback  callback,
                                               gpointer             user_data);
/* For a GPollableInputStream or a GPollableOutputStream. */
GSource *evp_pipe_stream_create_source        (EvpPipeStream       *self,
                                               gpointer             stream,
                                               GCancellable        *cancellable);
void     evp_pipe_stream_close                (EvpPipeStream       *self);
/*
 * Closes, and fails the transfer that waits. FALSE: there was none, so the stream can be closed as such. On another
 * thread, which cannot know, it is all left to the loop's.
 */
gboolean evp_pipe_stream_abort                (EvpPipeStream       *self);

G_END_DECLS
