/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-pipe-stream-private.h"

G_BEGIN_DECLS

/*
 * The writing end of a pipe, socket or terminal as a pollable GOutputStream whose asynchronous calls go
 * through the loop. It never raises SIGPIPE. For the loop's thread; may be released on any.
 */
#define EVP_TYPE_PIPE_OUTPUT_STREAM (evp_pipe_output_stream_get_type ())

G_DECLARE_FINAL_TYPE (EvpPipeOutputStream, evp_pipe_output_stream, EVP, PIPE_OUTPUT_STREAM, GOutputStream)

/* Takes the descriptor, which must be in non-blocking mode. */
GOutputStream *evp_pipe_output_stream_new            (EvpAbstractEventLoop *loop,
                                                      int                   fd);
gboolean       evp_pipe_output_stream_get_ended      (EvpPipeOutputStream  *self);
/* Called once, when writing has failed or the stream has been closed. */
void           evp_pipe_output_stream_set_ended_func (EvpPipeOutputStream  *self,
                                                      EvpPipeEndedFunc      func,
                                                      gpointer              data,
                                                      GDestroyNotify        destroy);
/* Also notices that the reader has gone while nothing is being written. */
void           evp_pipe_output_stream_watch_hang_up  (EvpPipeOutputStream  *self);
void           evp_pipe_output_stream_ignore_hang_up (EvpPipeOutputStream  *self);
/* Closes the descriptor at once; a pending write fails with G_IO_ERROR_CLOSED. */
void           evp_pipe_output_stream_abort          (EvpPipeOutputStream  *self);

G_END_DECLS
