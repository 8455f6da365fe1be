/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/evp.h"

G_BEGIN_DECLS

/* What the policy under test offers; the contract checks that the rest is refused in the right way. */
typedef enum
{
  EVP_CONTRACT_POLICY_MAKES_LOOPS = 1 << 0,
  EVP_CONTRACT_POLICY_HAS_WATCHERS = 1 << 1,
  EVP_CONTRACT_POLICY_PER_THREAD = 1 << 2,  /* context means thread */
  EVP_CONTRACT_POLICY_MAKES_MISSING = 1 << 3, /* the main thread's missing loop is made */
} EvpContractPolicyFlags;

typedef EvpAbstractEventLoopPolicy *(*EvpContractPolicyNew) (void);

/* Adds the cases that every policy has to pass, as PREFIX/case; @make is called once per case. */
void evp_contract_policy_add (const char             *prefix,
                              EvpContractPolicyNew    make,
                              EvpContractPolicyFlags  flags);

G_END_DECLS
