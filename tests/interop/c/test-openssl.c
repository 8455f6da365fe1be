/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* <evp/evp.h> beside <openssl/evp.h>, in either order, and both libraries in one program. */

#ifdef OPENSSL_FIRST
# include <openssl/evp.h>
#endif
#include <evp/evp.h>
#ifdef OPENSSL_LAST
# include <openssl/evp.h>
#endif

int
main (void)
{
  EVP_MD_CTX *digest = EVP_MD_CTX_new ();
  unsigned char result[EVP_MAX_MD_SIZE];
  unsigned int length = 0;

  g_assert_nonnull (digest);
  g_assert_cmpint (EVP_DigestInit_ex (digest, EVP_sha256 (), NULL), ==, 1);
  g_assert_cmpint (EVP_DigestUpdate (digest, evp_get_version (), 5), ==, 1);
  g_assert_cmpint (EVP_DigestFinal_ex (digest, result, &length), ==, 1);
  g_assert_cmpuint (length, ==, 32);
  EVP_MD_CTX_free (digest);

  /* the macros of both still mean what they meant */
  g_assert_cmpstr (g_quark_to_string (EVP_ERROR), ==, "evp-error-quark");
  g_assert_true (EVP_CHECK_VERSION (1, 0, 0));
  return 0;
}
