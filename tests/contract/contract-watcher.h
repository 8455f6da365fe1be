/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/watcher/evp-abstract-child-watcher.h"

G_BEGIN_DECLS

/*
 * What every child watcher must do, whoever wrote it. The cases, for suites in other languages; the watcher
 * is attached to a loop of the main thread unless the case says otherwise:
 *
 *  codes        exit codes 0, 7, 255; killed by SIGKILL and SIGTERM; each once, on the loop's thread
 *  dead         a child that has ended before it is added
 *  replace      a second add for a pid: only the second callback runs, the first one's data is released
 *  remove       TRUE, then FALSE; the callback never runs; the next child is noticed all the same
 *  remove-late  the callback of one dead child removes another dead child
 *  readd        removed and added again
 *  strangers    children of other code are left alone (see the flags)
 *  stolen       somebody else reaps: 255, lost, one warning
 *  ignored      SIGCHLD is ignored: lost, or the real code where the watcher takes the signal
 *  refused      pid 0, a closed loop: errors, and the data is released
 *  adopted      the loop's context is iterated by somebody else: the loop is the running one in the callback
 *  nested       a main loop inside a callback notices the next child
 *  threads      loops of other threads: each callback on the thread that added
 *  closed-loop  the handler's loop is closed first: one warning with the pid, no callback, data released
 *  move         attached to another loop: the pending handler goes along
 *  close        forgets, twice; inactive; WATCHER_CLOSED; attaching opens again
 *  dropped      finalised with a child pending: a warning, and nothing left
 *  fork         in a forked child: FORKED or nothing; the parent's children are not touched
 *  table        a subclass that writes into the table of its parent is reported
 */

typedef enum
{
  CONTRACT_WATCHER_SIGNAL = 1 << 0,  /* takes SIGCHLD */
  CONTRACT_WATCHER_SWEEPS = 1 << 1,  /* works in the attached loop only, and keeps handlers when that is closed */
  CONTRACT_WATCHER_STEALS = 1 << 2,  /* reaps the children of others */
  CONTRACT_WATCHER_NEEDS_PROCESS = 1 << 3, /* an error, instead of "lost", if there is no such process */
} ContractWatcherFlags;

/* Adds the cases as /evp/watcher/@name/contract/…; @make returns a new watcher. */
void contract_watcher_add (const char               *name,
                           EvpAbstractChildWatcher *(*make) (void),
                           ContractWatcherFlags      flags);

/* The same with loops of another kind. */
typedef EvpAbstractEventLoop *(*ContractWatcherLoop) (GError **error);

void contract_watcher_add_with_loop (const char               *name,
                                     EvpAbstractChildWatcher *(*make) (void),
                                     ContractWatcherLoop       loop,
                                     ContractWatcherFlags      flags);

G_END_DECLS
