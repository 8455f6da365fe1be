/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-proactor.h"

#include "evp/os/evp-capabilities.h"
#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-uring-proactor-private.h"

static EvpProactor *
make_gio (GError **error)
{
  return evp_gio_proactor_new ();
}

static gboolean
prepare_uring (EvpProactor *proactor)
{
  return evp_uring_proactor_prepare (EVP_URING_PROACTOR (proactor));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  contract_proactor_add ("gio-proactor", make_gio, NULL);
  if (evp_capabilities_get ("io-uring"))
    contract_proactor_add ("uring-proactor", evp_uring_proactor_new, prepare_uring);
  else
    g_test_message ("uring-proactor is skipped: %s", evp_capabilities_explain ("io-uring"));

  return g_test_run ();
}
