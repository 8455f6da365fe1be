/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/proactor/evp-proactor.h"

G_BEGIN_DECLS

/* What every proactor must do, whoever wrote it: each kind of operation, in each state, exactly once. */

/* A fresh one; NULL with @error if this machine has none. */
typedef EvpProactor *(*ContractProactorNew) (GError **error);

/* What a loop asks such a proactor before it sleeps: TRUE if there is something to collect already. */
typedef gboolean (*ContractProactorPrepare) (EvpProactor *proactor);

/* Adds the cases as /evp/proactor/@name/contract/…; @prepare may be NULL. */
void contract_proactor_add (const char             *name,
                            ContractProactorNew     make,
                            ContractProactorPrepare prepare);

G_END_DECLS
