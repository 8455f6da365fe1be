/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-backtrace-private.h"

#include <stdlib.h>
#ifdef HAVE_BACKTRACE
# include <execinfo.h>
#endif

void
evp_backtrace_take (EvpBacktrace *self)
{
#ifdef HAVE_BACKTRACE
  self->n_frames = backtrace (self->frames, G_N_ELEMENTS (self->frames));
#else
  self->n_frames = 0;
#endif
}

char *
evp_backtrace_describe (const EvpBacktrace *self,
                        const char         *title)
{
#ifdef HAVE_BACKTRACE
  /* the first one is evp_backtrace_take() itself */
  if (self->n_frames > 1)
    {
      char **symbols = backtrace_symbols (self->frames, self->n_frames);
      GString *string = g_string_new (title);

      for (int i = 1; symbols != NULL && i < self->n_frames; i++)
        g_string_append_printf (string, "\n%s", symbols[i]);
      free (symbols);
      return g_string_free (string, FALSE);
    }
#endif
  return NULL;
}
