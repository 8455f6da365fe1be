/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-i18n-private.h"

#ifdef ENABLE_NLS
# include <libintl.h>
#endif

/*
 * A library has no main() in which to bind its text domain, and constructors are not ours to
 * run, so the first message does it.
 */
static void
bind_domain (void)
{
#ifdef ENABLE_NLS
  static gsize bound = 0;

  if (g_once_init_enter (&bound))
    {
      bindtextdomain (GETTEXT_PACKAGE, EVP_LOCALEDIR);
      bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
      g_once_init_leave (&bound, 1);
    }
#endif
}

const char *
evp_gettext (const char *message)
{
  bind_domain ();
  return g_dgettext (GETTEXT_PACKAGE, message);
}

const char *
evp_ngettext (const char *singular,
              const char *plural,
              gulong      n)
{
  bind_domain ();
  return g_dngettext (GETTEXT_PACKAGE, singular, plural, n);
}
