/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/selector/evp-selector.h"

G_BEGIN_DECLS

/*
 * What every EvpSelector must do, whoever wrote it. The cases, for suites in other languages:
 *
 *  arguments        negative descriptors, no or unknown events, NaN: INVALID_ARGUMENT, nothing changed
 *  register         key with fd, events, data; twice: EXISTS; get_key finds it; unknown: NOT_FOUND
 *  fd-zero          0 is an ordinary descriptor
 *  not-open         a closed number is refused, nothing is registered
 *  regular-file     regular files and /dev/null are always ready, beside ordinary ones
 *  ready            only registered directions; both of one descriptor in one key; level-triggered
 *  ready-events     are those of the last select(), then none
 *  modify           events and data; equal events; unknown: NOT_FOUND
 *  unregister       silence; key keeps its values; can be registered again
 *  timeout          0 looks, positive waits at least so long, also with nothing registered
 *  signal           a signal does not shorten the wait
 *  hang-up          wakes the directions that are registered
 *  many             hundreds of ready descriptors in one call
 *  unregister-late  after close, and after the number was reused
 *  closed           what select() does with a closed descriptor: see the flags
 *  reused           modify() of a closed and reused number watches the successor
 *  duplicate        a duplicate of a closed descriptor does not keep select() awake
 *  map              lists the keys
 *  close            idempotent; INVALID_STATE, no map, no fd; watched descriptors stay open
 *  own-fd           is readable while something is ready, or is −1
 *  release          nothing is kept after the last reference
 */

typedef enum
{
  CONTRACT_SELECTOR_OWN_FD = 1 << 0,        /* has a descriptor of its own (S-12) */
  CONTRACT_SELECTOR_CLOSED_SILENT = 1 << 1, /* a closed descriptor is never reported (S-16) … */
  CONTRACT_SELECTOR_CLOSED_READY = 1 << 2,  /* … or by every call … */
  CONTRACT_SELECTOR_CLOSED_FAILS = 1 << 3,  /* … or makes every call fail */
  CONTRACT_SELECTOR_HALF_HANG_UP = 1 << 4,  /* a hang-up does not make a read end writable (S-8) */
} ContractSelectorFlags;

/* Adds the cases as /evp/selector/@name/contract/…; @make returns a new selector. */
void contract_selector_add (const char            *name,
                            EvpSelector         *(*make) (void),
                            ContractSelectorFlags  flags);

G_END_DECLS
