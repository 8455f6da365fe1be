/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

const char *evp_gettext  (const char *message) G_GNUC_FORMAT (1);
const char *evp_ngettext (const char *singular,
                          const char *plural,
                          gulong      n) G_GNUC_FORMAT (1) G_GNUC_FORMAT (2);

#define _(message) evp_gettext (message)
#define N_(message) (message)

G_END_DECLS
