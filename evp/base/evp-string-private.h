/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * Puts a copy of the string, or NULL, in the place of the one that is there, which is freed last:
 * the new one may be a piece of it. Whether they differed.
 */
static inline gboolean
evp_set_string (char       **place,
                const char  *string)
{
  char *former = *place;

  if (g_strcmp0 (former, string) == 0)
    return FALSE;
  *place = g_strdup (string);
  g_free (former);
  return TRUE;
}

G_END_DECLS
