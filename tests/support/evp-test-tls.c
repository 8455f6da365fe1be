/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "support/evp-test-tls.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_GNUTLS

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#define must(call) \
  G_STMT_START { \
    int must_ = (call); \
    if (must_ < 0) \
      g_error ("%s: %s", #call, gnutls_strerror (must_)); \
  } G_STMT_END

typedef struct
{
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t certificate;
  char *pem; /* the certificate, then the key */
} Identity;

static char *
export (gnutls_datum_t *datum)
{
  char *text = g_strndup ((const char *) datum->data, datum->size);

  gnutls_free (datum->data);
  return text;
}

/* Whoever @authority has signed is trusted; its file stays until the end. */
static GTlsDatabase *
make_database (const char  *authority,
               char       **path)
{
  g_autoptr (GError) error = NULL;
  GTlsDatabase *database;
  int fd = g_file_open_tmp ("evp-test-XXXXXX.pem", path, &error);

  g_assert_no_error (error);
  close (fd);
  g_file_set_contents (*path, authority, -1, &error);
  g_assert_no_error (error);
  database = g_tls_file_database_new (*path, &error);
  g_assert_no_error (error);
  return database;
}

/* @issuer NULL: an authority, which signs itself. */
static void
identity_init (Identity   *self,
               Identity   *issuer,
               const char *name,
               const char *purpose,
               time_t      from,
               time_t      to)
{
  static guint8 serial = 0;
  const guint8 ipv4[4] = { 127, 0, 0, 1 };
  const guint8 ipv6[16] = { [15] = 1 };
  gnutls_datum_t datum;
  g_autofree char *certificate = NULL;
  g_autofree char *key = NULL;

  must (gnutls_x509_privkey_init (&self->key));
  must (gnutls_x509_privkey_generate (self->key, GNUTLS_PK_ECDSA,
                                      GNUTLS_CURVE_TO_BITS (GNUTLS_ECC_CURVE_SECP256R1), 0));
  must (gnutls_x509_crt_init (&self->certificate));
  must (gnutls_x509_crt_set_version (self->certificate, 3));
  serial++;
  must (gnutls_x509_crt_set_serial (self->certificate, &serial, sizeof serial));
  must (gnutls_x509_crt_set_activation_time (self->certificate, from));
  must (gnutls_x509_crt_set_expiration_time (self->certificate, to));
  must (gnutls_x509_crt_set_dn_by_oid (self->certificate, GNUTLS_OID_X520_COMMON_NAME, 0,
                                       name, (unsigned int) strlen (name)));
  must (gnutls_x509_crt_set_key (self->certificate, self->key));
  if (issuer == NULL)
    {
      must (gnutls_x509_crt_set_basic_constraints (self->certificate, 1, 0));
      must (gnutls_x509_crt_set_key_usage (self->certificate, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN));
    }
  else
    {
      must (gnutls_x509_crt_set_basic_constraints (self->certificate, 0, -1));
      must (gnutls_x509_crt_set_key_usage (self->certificate, GNUTLS_KEY_DIGITAL_SIGNATURE));
      must (gnutls_x509_crt_set_key_purpose_oid (self->certificate, purpose, 0));
      must (gnutls_x509_crt_set_subject_alt_name (self->certificate, GNUTLS_SAN_DNSNAME,
                                                  "localhost", strlen ("localhost"), GNUTLS_FSAN_SET));
      must (gnutls_x509_crt_set_subject_alt_name (self->certificate, GNUTLS_SAN_IPADDRESS,
                                                  ipv4, sizeof ipv4, GNUTLS_FSAN_APPEND));
      must (gnutls_x509_crt_set_subject_alt_name (self->certificate, GNUTLS_SAN_IPADDRESS,
                                                  ipv6, sizeof ipv6, GNUTLS_FSAN_APPEND));
    }
  must (gnutls_x509_crt_sign2 (self->certificate,
                               issuer != NULL ? issuer->certificate : self->certificate,
                               issuer != NULL ? issuer->key : self->key, GNUTLS_DIG_SHA256, 0));

  must (gnutls_x509_crt_export2 (self->certificate, GNUTLS_X509_FMT_PEM, &datum));
  certificate = export (&datum);
  must (gnutls_x509_privkey_export2 (self->key, GNUTLS_X509_FMT_PEM, &datum));
  key = export (&datum);
  self->pem = g_strconcat (certificate, key, NULL);
}

static GTlsCertificate *
identity_to_certificate (Identity *self)
{
  g_autoptr (GError) error = NULL;
  GTlsCertificate *certificate = g_tls_certificate_new_from_pem (self->pem, -1, &error);

  g_assert_no_error (error);
  return certificate;
}

static struct
{
  char *path; /* of the file with the authority: it is read when it is first needed */
  char *system_path;
  char *host_pem;
  char *ca_pem;
  GTlsCertificate *host;
  GTlsCertificate *expired;
  GTlsCertificate *client;
  GTlsDatabase *database;
} all;

static void
identity_clear (Identity *self)
{
  g_clear_pointer (&self->pem, g_free);
  gnutls_x509_crt_deinit (self->certificate);
  gnutls_x509_privkey_deinit (self->key);
}

static void
forget_all (void)
{
  g_unlink (all.path);
  g_unlink (all.system_path);
}

static void
make_all (void)
{
  const time_t day = 24 * 60 * 60;
  const time_t now = time (NULL);
  g_autoptr (GTlsDatabase) system = NULL;
  Identity ca, host, expired, client, stranger;

  if (all.host != NULL)
    return;
  identity_init (&ca, NULL, "An authority for tests", NULL, now - day, now + day);
  identity_init (&host, &ca, "localhost", GNUTLS_KP_TLS_WWW_SERVER, now - day, now + day);
  identity_init (&expired, &ca, "localhost", GNUTLS_KP_TLS_WWW_SERVER, now - 3 * day, now - 2 * day);
  identity_init (&client, &ca, "somebody", GNUTLS_KP_TLS_WWW_CLIENT, now - day, now + day);

  all.host = identity_to_certificate (&host);
  all.expired = identity_to_certificate (&expired);
  all.client = identity_to_certificate (&client);
  all.host_pem = g_steal_pointer (&host.pem);
  all.ca_pem = g_steal_pointer (&ca.pem);

  all.database = make_database (all.ca_pem, &all.path);
  /* who trusts the system trusts one authority, that nobody has; each connection reads the hundreds of the real one */
  identity_init (&stranger, NULL, "Another authority", NULL, now - day, now + day);
  system = make_database (stranger.pem, &all.system_path);
  g_tls_backend_set_default_database (g_tls_backend_get_default (), system);
  g_assert_cmpint (atexit (forget_all), ==, 0);

  identity_clear (&ca);
  identity_clear (&host);
  identity_clear (&expired);
  identity_clear (&client);
  identity_clear (&stranger);
}

gboolean
evp_test_tls_available (void)
{
  if (!g_tls_backend_supports_tls (g_tls_backend_get_default ()))
    {
      g_test_skip ("GIO has no TLS here: glib-networking is missing");
      return FALSE;
    }
  make_all ();
  return TRUE;
}

GTlsCertificate *
evp_test_tls_certificate (void)
{
  make_all ();
  return all.host;
}

GTlsCertificate *
evp_test_tls_expired (void)
{
  make_all ();
  return all.expired;
}

GTlsCertificate *
evp_test_tls_client (void)
{
  make_all ();
  return all.client;
}

GTlsDatabase *
evp_test_tls_database (void)
{
  make_all ();
  return all.database;
}

const char *
evp_test_tls_pem (void)
{
  make_all ();
  return all.host_pem;
}

const char *
evp_test_tls_ca_pem (void)
{
  make_all ();
  return all.ca_pem;
}

#else /* !HAVE_GNUTLS */

gboolean
evp_test_tls_available (void)
{
  g_test_skip ("the tests were built without GnuTLS, which makes their certificates");
  return FALSE;
}

GTlsCertificate *
evp_test_tls_certificate (void)
{
  g_assert_not_reached ();
}

GTlsCertificate *
evp_test_tls_expired (void)
{
  g_assert_not_reached ();
}

GTlsCertificate *
evp_test_tls_client (void)
{
  g_assert_not_reached ();
}

GTlsDatabase *
evp_test_tls_database (void)
{
  g_assert_not_reached ();
}

const char *
evp_test_tls_pem (void)
{
  g_assert_not_reached ();
}

const char *
evp_test_tls_ca_pem (void)
{
  g_assert_not_reached ();
}

#endif
