/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/*
 * What every event loop must do, whoever wrote it. Each case is run twice: with run_forever() and
 * run_until_complete(), and *adopted*, which is to say that the test iterates the loop's main context
 * (here the default one, as GTK does) and never calls run_*. Some make sense one way only.
 */

typedef enum
{
  CONTRACT_LOOP_FDS = 1 << 0,          /* add_reader() and its relatives */
  CONTRACT_LOOP_SIGNALS = 1 << 1,      /* add_signal_handler() */
  CONTRACT_LOOP_ADOPTABLE = 1 << 2,    /* works when somebody else iterates its context */
  CONTRACT_LOOP_STALE_REPORTS = 1 << 3, /* a closed descriptor that is still watched is reported, and given up */
  CONTRACT_LOOP_SOCKETS = 1 << 4,      /* sock_recv_async() and its relatives */
} ContractLoopFlags;

/* A loop in @context; NULL: in one of its own. */
typedef EvpAbstractEventLoop *(*ContractLoopNew) (GMainContext *context,
                                                  GError      **error);

/* Adds the cases as /evp/loop/@name/contract/run/… and …/adopted/…. */
void contract_loop_add (const char       *name,
                        ContractLoopNew   make,
                        ContractLoopFlags flags);

G_END_DECLS
