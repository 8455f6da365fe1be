/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-error-private.h"

#include "evp/base/evp-i18n-private.h"

#include <errno.h>

G_DEFINE_QUARK (evp-error-quark, evp_error)

/*
 * Sets @error from an errno value: the domain is G_IO_ERROR, the message says what was
 * being done and ends with the system's own words.
 */
void
evp_set_error_from_errno (GError    **error,
                          int         saved_errno,
                          const char *format,
                          ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);

  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
               "%s: %s", what, g_strerror (saved_errno));
}

/*
 * Sets EVP_ERROR_NOT_SUPPORTED for a slot that the class of @object leaves out.
 */
void
evp_set_error_unimplemented (GError    **error,
                             gpointer    object,
                             const char *method)
{
  g_set_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
               /* Translators: the first %s is a class name, the second the name of a method */
               _("%s does not support %s()"), G_OBJECT_TYPE_NAME (object), method);
}

/*
 * What every public wrapper of a slot does with the slot's answer: an error is passed on;
 * "nothing, and no error" (an exception in a language, a forgotten return) becomes an error.
 * Returns TRUE if the slot succeeded.
 */
gboolean
evp_check_slot_result (gboolean    succeeded,
                       GError     *slot_error,
                       gpointer    object,
                       const char *method,
                       GError    **error)
{
  if (slot_error != NULL)
    {
      g_propagate_error (error, slot_error);
      return FALSE;
    }
  if (!succeeded)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_FAILED,
                   /* Translators: the first %s is a class name, the second the name of a method */
                   _("%s.%s() failed without an error; an implementation must never return NULL or FALSE without setting one"),
                   G_OBJECT_TYPE_NAME (object), method);
      return FALSE;
    }
  return TRUE;
}
