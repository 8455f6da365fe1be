/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/proactor/evp-proactor.h"

G_BEGIN_DECLS

/*
 * What every proactor must do, as a loop sees it that has it: only by what every program can call, so that others
 * can test theirs. What a proactor does not support is left out, and said so.
 */

/* A fresh one; NULL with @error if this machine has none. */
typedef EvpProactor *(*ContractOwnProactorNew) (GError **error);

/* Adds the cases as /evp/proactor/@name/own-contract/…. */
void contract_own_proactor_add (const char            *name,
                                ContractOwnProactorNew make);

G_END_DECLS
