/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/tool/evp-tool-private.h"

G_BEGIN_DECLS

/*
 * Passes on what many children write, line by line: what comes out of one sink is never mixed within a
 * line. A line that is too long to be kept is passed on in parts, and the others wait for its end.
 *
 * A sink never waits for its reader while the loop runs: when the reader is slow, the children are
 * no longer read, so that signals and time limits work all the same.
 */
typedef struct _EvpToolSink EvpToolSink;
typedef struct _EvpToolPipe EvpToolPipe;

typedef void (*EvpToolNotify) (gpointer user_data);
typedef void (*EvpToolFailed) (int      error_number,
                               gpointer user_data);

/* @before_write is called before each write, @failed once when nothing can be written any more. */
EvpToolSink *evp_tool_sink_new       (EvpAbstractEventLoop *loop,
                                      int                   fd,
                                      EvpToolNotify         before_write,
                                      EvpToolFailed         failed,
                                      gpointer              user_data);
void         evp_tool_sink_free      (EvpToolSink          *self);
/* Writes whole lines of our own; they wait for their turn like everybody else's. */
void         evp_tool_sink_print     (EvpToolSink          *self,
                                      const char           *text);
/* Writes something that may be left out, now or never. FALSE: never, because there is no room for it. */
gboolean     evp_tool_sink_show      (EvpToolSink          *self,
                                      const char           *text);
/* Whether all is written and no line is unfinished. */
gboolean     evp_tool_sink_is_idle   (EvpToolSink          *self);
/* When the loop runs no more: writes the rest, and waits for the reader. */
void         evp_tool_sink_finish    (EvpToolSink          *self);

/* Reads a child's stream to its end; @activity is called for each piece, @closed at the end. */
EvpToolPipe *evp_tool_pipe_new       (EvpToolSink          *sink,
                                      GInputStream         *stream,
                                      EvpToolNotify         activity,
                                      EvpToolNotify         closed,
                                      gpointer              user_data);
/* Whether it does not read, because others write a long line or nobody takes the output. */
gboolean     evp_tool_pipe_is_paused (EvpToolPipe          *self);
/* Takes what is there already and stops reading; @closed is called as at the end of the stream. */
void         evp_tool_pipe_abandon   (EvpToolPipe          *self);

G_END_DECLS
