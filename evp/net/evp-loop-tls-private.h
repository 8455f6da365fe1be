/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/net/evp-loop-tls.h"

G_BEGIN_DECLS

/* Remembers which host a connection was made to: the name that TLS expects by default. */
void evp_tls_set_default_hostname (GIOStream  *stream,
                                   const char *hostname);

G_END_DECLS
