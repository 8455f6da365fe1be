/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "contract/suite/evp-contract/evp-contract.h"

G_BEGIN_DECLS

/* Adds the cases that every policy has to pass, as PREFIX/case; @make is called once per case. */
void evp_contract_policy_add (const char             *prefix,
                              EvpContractPolicyNew    make,
                              EvpContractPolicyFlags  flags);

G_END_DECLS
