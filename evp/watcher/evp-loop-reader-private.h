/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/*
 * Whether the calling thread may touch a loop's tables right now: because the loop runs in it, or because @home
 * says that the loop is this thread's, and nobody iterates its context meanwhile.
 */
typedef struct
{
  GMainContext *context; /* acquired, until evp_loop_access_end() */
} EvpLoopAccess;

gboolean evp_loop_access_begin (EvpLoopAccess        *access,
                                EvpAbstractEventLoop *loop,
                                GThread              *home);
void     evp_loop_access_end   (EvpLoopAccess        *access);

/*
 * A descriptor that is watched in a loop; put there and taken away from any thread. It works with loops
 * written in any language.
 */
typedef struct _EvpLoopReader EvpLoopReader;

typedef struct
{
  /* The descriptor is readable. On the loop's thread. */
  void (*ready)   (gpointer data);
  /* The loop was closed, or refuses the descriptor. On the loop's thread, or on that of evp_loop_reader_new(). */
  void (*dropped) (gpointer data);
  /* The last call, always: the descriptor is in no loop any more and may be closed. Any thread. */
  void (*gone)    (gpointer data);
} EvpLoopReaderFuncs;

/*
 * NULL if it fails at once; then nothing is called. @home is the thread that the loop belongs to while
 * it does not run, or NULL if that is not known.
 */
EvpLoopReader        *evp_loop_reader_new      (EvpAbstractEventLoop     *loop,
                                                GThread                  *home,
                                                int                       fd,
                                                const EvpLoopReaderFuncs *funcs,
                                                gpointer                  data,
                                                GError                  **error);
EvpAbstractEventLoop *evp_loop_reader_get_loop (EvpLoopReader            *self);
/* Takes the descriptor away and frees the reader; ready() and dropped() are not called any more. */
void                  evp_loop_reader_stop     (EvpLoopReader            *self);

G_END_DECLS
