/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-pipe-stream-private.h"

G_BEGIN_DECLS

/*
 * The reading end of a pipe, socket or terminal as a pollable GInputStream whose asynchronous calls go
 * through the loop. For the loop's thread; may be released on any.
 */
#define EVP_TYPE_PIPE_INPUT_STREAM (evp_pipe_input_stream_get_type ())

G_DECLARE_FINAL_TYPE (EvpPipeInputStream, evp_pipe_input_stream, EVP, PIPE_INPUT_STREAM, GInputStream)

/* Takes the descriptor, which must be in non-blocking mode. */
GInputStream *evp_pipe_input_stream_new            (EvpAbstractEventLoop *loop,
                                                    int                   fd);
gboolean      evp_pipe_input_stream_get_ended      (EvpPipeInputStream   *self);
void          evp_pipe_input_stream_set_ended_func (EvpPipeInputStream   *self,
                                                    EvpPipeEndedFunc      func,
                                                    gpointer              data,
                                                    GDestroyNotify        destroy);
/* Closes the descriptor at once; a pending read fails with G_IO_ERROR_CLOSED. */
void          evp_pipe_input_stream_abort          (EvpPipeInputStream   *self);

G_END_DECLS
