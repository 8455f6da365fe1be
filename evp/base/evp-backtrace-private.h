/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Where something was made, for messages in debug mode. Empty where the system cannot tell. */
typedef struct
{
  int n_frames;
  void *frames[12];
} EvpBacktrace;

void  evp_backtrace_take     (EvpBacktrace       *self);
/* @title and a line for each caller, the nearest first; NULL if nothing is known. */
char *evp_backtrace_describe (const EvpBacktrace *self,
                              const char         *title);

G_END_DECLS
