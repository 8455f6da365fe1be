/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <evp/evp.h>

G_BEGIN_DECLS

/*
 * The tests that the library's own event loops, child watchers, selectors, proactors and policies have to
 * pass, for yours:
 *
 *   int
 *   main (int    argc,
 *         char **argv)
 *   {
 *     evp_contract_init (&argc, &argv);
 *     evp_contract_add_loop ("my-loop", my_loop_new, EVP_CONTRACT_LOOP_FDS);
 *     return evp_contract_run ();
 *   }
 *
 * The program is one of g_test_run(): "-l" lists the cases, "-p PATH" runs one of them, and TAP is printed. The flags
 * say what there is to be tested; what is left out need not work. Names are parts of the paths of the cases, and are
 * copied.
 */

#ifndef EVP_CONTRACT_EXTERN
# define EVP_CONTRACT_EXTERN extern
#endif

typedef enum
{
  EVP_CONTRACT_LOOP_FDS = 1 << 0,           /* add_reader() and its relatives */
  EVP_CONTRACT_LOOP_SIGNALS = 1 << 1,       /* add_signal_handler() */
  EVP_CONTRACT_LOOP_ADOPTABLE = 1 << 2,     /* works when somebody else iterates its context */
  EVP_CONTRACT_LOOP_STALE_REPORTS = 1 << 3, /* a closed descriptor that is still watched is reported, and given up */
  EVP_CONTRACT_LOOP_SOCKETS = 1 << 4,       /* sock_recv_async() and its relatives */
} EvpContractLoopFlags;

typedef enum
{
  EVP_CONTRACT_WATCHER_SIGNAL = 1 << 0,        /* takes SIGCHLD */
  EVP_CONTRACT_WATCHER_SWEEPS = 1 << 1,        /* works in the attached loop only, keeps handlers when that is closed */
  EVP_CONTRACT_WATCHER_STEALS = 1 << 2,        /* reaps the children of others */
  EVP_CONTRACT_WATCHER_NEEDS_PROCESS = 1 << 3, /* an error, instead of "lost", if there is no such process */
} EvpContractWatcherFlags;

typedef enum
{
  EVP_CONTRACT_SELECTOR_OWN_FD = 1 << 0,        /* has a descriptor of its own */
  EVP_CONTRACT_SELECTOR_CLOSED_SILENT = 1 << 1, /* a closed descriptor is never reported … */
  EVP_CONTRACT_SELECTOR_CLOSED_READY = 1 << 2,  /* … or by every call … */
  EVP_CONTRACT_SELECTOR_CLOSED_FAILS = 1 << 3,  /* … or makes every call fail */
  EVP_CONTRACT_SELECTOR_HALF_HANG_UP = 1 << 4,  /* a hang-up does not make a read end writable */
} EvpContractSelectorFlags;

typedef enum
{
  EVP_CONTRACT_POLICY_MAKES_LOOPS = 1 << 0,
  EVP_CONTRACT_POLICY_HAS_WATCHERS = 1 << 1,
  EVP_CONTRACT_POLICY_PER_THREAD = 1 << 2,    /* context means thread */
  EVP_CONTRACT_POLICY_MAKES_MISSING = 1 << 3, /* the main thread's missing loop is made */
} EvpContractPolicyFlags;

/* (transfer full): a new one. A loop is made in @context, or, if that is NULL, in one of its own. */
typedef EvpAbstractEventLoop       *(*EvpContractLoopNew)     (GMainContext *context,
                                                               GError      **error);
typedef EvpAbstractChildWatcher    *(*EvpContractWatcherNew)  (void);
typedef EvpSelector                *(*EvpContractSelectorNew) (void);
typedef EvpProactor                *(*EvpContractProactorNew) (GError      **error);
typedef EvpAbstractEventLoopPolicy *(*EvpContractPolicyNew)   (void);

/* Instead of g_test_init(). */
EVP_CONTRACT_EXTERN
void evp_contract_init         (int                     *argc,
                                char                  ***argv);
EVP_CONTRACT_EXTERN
void evp_contract_add_loop     (const char              *name,
                                EvpContractLoopNew       make,
                                EvpContractLoopFlags     flags);
EVP_CONTRACT_EXTERN
void evp_contract_add_watcher  (const char              *name,
                                EvpContractWatcherNew    make,
                                EvpContractWatcherFlags  flags);
EVP_CONTRACT_EXTERN
void evp_contract_add_selector (const char              *name,
                                EvpContractSelectorNew   make,
                                EvpContractSelectorFlags flags);
/* What it does not support is left out. */
EVP_CONTRACT_EXTERN
void evp_contract_add_proactor (const char              *name,
                                EvpContractProactorNew   make);
EVP_CONTRACT_EXTERN
void evp_contract_add_policy   (const char              *name,
                                EvpContractPolicyNew     make,
                                EvpContractPolicyFlags   flags);
/* The status to end the program with. */
EVP_CONTRACT_EXTERN
int  evp_contract_run          (void);

G_END_DECLS
