/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/net/evp-tls-options.h"

G_BEGIN_DECLS

/* Whether all values are possible; for a server a certificate is one of them. */
gboolean evp_tls_options_check  (EvpTlsOptions        *self,
                                 gboolean              server_side,
                                 GError              **error);
/* Whether a certificate with these faults is good enough, by the flags or by a handler of the signal. */
gboolean evp_tls_options_accept (EvpTlsOptions        *self,
                                 GTlsConnection       *connection,
                                 GTlsCertificate      *certificate,
                                 GTlsCertificateFlags  faults);

G_END_DECLS
