/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * Certificates that are made when they are asked for: an authority, and what it has signed. FALSE from
 * evp_test_tls_available() means that GIO has no TLS here, or that the tests were built without GnuTLS; the
 * test has been skipped then, with the reason.
 */
gboolean         evp_test_tls_available   (void);

/* What is issued to a host that is known as localhost, 127.0.0.1 and ::1; borrowed. */
GTlsCertificate *evp_test_tls_certificate (void);
/* As above, but nobody's time: it expired long ago. */
GTlsCertificate *evp_test_tls_expired     (void);
/* Issued to a client. */
GTlsCertificate *evp_test_tls_client      (void);
/* Knows the authority, and no other; borrowed. */
GTlsDatabase    *evp_test_tls_database    (void);
/* Certificate and private key of the host, and the certificate of the authority, as PEM; borrowed. */
const char      *evp_test_tls_pem         (void);
const char      *evp_test_tls_ca_pem      (void);

G_END_DECLS
