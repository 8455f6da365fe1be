/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-own-proactor.h"
#include "contract/contract-proactor.h"

#include "evp/os/evp-capabilities.h"
#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-uring-proactor-private.h"
#include "support/evp-test-loop.h"

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
  contract_own_proactor_add ("gio-proactor", make_gio);
  if (evp_test_has_uring ())
    {
      contract_proactor_add ("uring-proactor", evp_uring_proactor_new, prepare_uring);
      contract_own_proactor_add ("uring-proactor", evp_uring_proactor_new);
    }

  return g_test_run ();
}
