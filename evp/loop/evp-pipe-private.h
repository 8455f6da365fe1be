/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/base/evp-enums.h"
#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/*
 * What the pipe streams stand on: a descriptor in non-blocking mode that belongs to a loop, system
 * calls on it, and waiting for it through the loop's add_reader() or add_writer().
 *
 * The descriptor stays registered after a wait is over, because the next wait is usually near; if it
 * becomes ready while nobody waits, it is taken out. An idle stream therefore wakes nobody up, and a
 * busy one costs no epoll_ctl() per operation.
 *
 * Everything happens on the loop's thread, apart from evp_pipe_close() and evp_pipe_unref(), which a
 * garbage collector may call from another one while nothing is being waited for.
 */
typedef struct _EvpPipe EvpPipe;

/*
 * The descriptor is ready (@error NULL), or waiting for it came to an end (@error (transfer full)):
 * LOOP_CLOSED if the loop was closed, else INVALID_STATE, somebody has taken the registration away.
 */
typedef void (*EvpPipeFunc) (gpointer  stream,
                             GError   *error);

#define EVP_PIPE_WOULD_BLOCK (-2)

/* Takes the descriptor, which must be in non-blocking mode. @stream is not referenced. */
EvpPipe              *evp_pipe_new         (EvpAbstractEventLoop *loop,
                                            int                   fd,
                                            EvpIOEvents           direction,
                                            EvpPipeFunc           func,
                                            gpointer              stream);
/*
 * The writing end of a FIFO seen from its other side: becomes ready when the last reader has gone. It
 * borrows the descriptor of @pipe and must be closed before that.
 */
EvpPipe              *evp_pipe_new_hang_up (EvpPipe              *pipe,
                                            EvpPipeFunc           func,
                                            gpointer              stream);
void                  evp_pipe_unref       (EvpPipe              *self);
EvpAbstractEventLoop *evp_pipe_get_loop    (EvpPipe              *self);
int                   evp_pipe_get_fd      (EvpPipe              *self); /* -1 once closed */

/* One func call follows, unless evp_pipe_stop_waiting() or evp_pipe_close() comes first. */
gboolean              evp_pipe_wait        (EvpPipe              *self,
                                            GError              **error);
void                  evp_pipe_stop_waiting
                                           (EvpPipe              *self);
void                  evp_pipe_close       (EvpPipe              *self);

/* Whether the loop has, or had, the descriptor: then it is closed in the loop's thread. From any thread. */
gboolean              evp_pipe_was_watched (EvpPipe              *self);

/* The number of bytes, -1 with @error, or EVP_PIPE_WOULD_BLOCK. */
gssize                evp_pipe_read        (EvpPipe              *self,
                                            void                 *buffer,
                                            gsize                 count,
                                            GError              **error);
gssize                evp_pipe_write       (EvpPipe              *self,
                                            const void           *buffer,
                                            gsize                 count,
                                            GError              **error);
/* Blocks until the descriptor is ready or the cancellable is cancelled. */
gboolean              evp_pipe_poll        (EvpPipe              *self,
                                            GCancellable         *cancellable,
                                            GError              **error);
gboolean              evp_pipe_is_ready    (EvpPipe              *self);
gboolean              evp_pipe_has_hung_up (EvpPipe              *self);

G_END_DECLS
