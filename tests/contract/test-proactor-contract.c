/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-proactor.h"

#include "evp/proactor/evp-gio-proactor.h"

static EvpProactor *
make_gio (GError **error)
{
  return evp_gio_proactor_new ();
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  contract_proactor_add ("gio-proactor", make_gio);

  return g_test_run ();
}
