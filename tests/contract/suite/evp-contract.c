/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/suite/evp-contract/evp-contract.h"

#include "contract/contract-loop.h"
#include "contract/contract-own-proactor.h"
#include "contract/contract-policy.h"
#include "contract/contract-selector.h"
#include "contract/contract-watcher.h"
#include "evp/base/evp-debug-private.h"
#include "evp/loop/evp-running-loop-private.h"

#include <dlfcn.h>

/*
 * The contracts, outside the library's own tests: what those look up inside the library is told here by what
 * every program can see.
 */

G_STATIC_ASSERT ((int) EVP_CONTRACT_LOOP_SOCKETS == (int) CONTRACT_LOOP_SOCKETS);
G_STATIC_ASSERT ((int) EVP_CONTRACT_LOOP_STALE_REPORTS == (int) CONTRACT_LOOP_STALE_REPORTS);
G_STATIC_ASSERT ((int) EVP_CONTRACT_WATCHER_NEEDS_PROCESS == (int) CONTRACT_WATCHER_NEEDS_PROCESS);
G_STATIC_ASSERT ((int) EVP_CONTRACT_SELECTOR_HALF_HANG_UP == (int) CONTRACT_SELECTOR_HALF_HANG_UP);

static GMutex last_lock; /* protects the two below */
static char *last_warning;
static guint n_warnings;

static gboolean
field_is (const GLogField *field,
          const char      *name,
          const char      *value)
{
  return strcmp (field->key, name) == 0 && field->length == -1 && strcmp (field->value, value) == 0;
}

/* Warnings of a watcher or loop are those of the library's, or its own. */
static GLogWriterOutput
count_warnings (GLogLevelFlags   level,
                const GLogField *fields,
                gsize            n_fields,
                gpointer         user_data)
{
  gboolean ours = FALSE;
  const char *message = NULL;

  for (gsize i = 0; i < n_fields; i++)
    {
      if (field_is (&fields[i], "GLIB_DOMAIN", "Evp"))
        ours = TRUE;
      if (strcmp (fields[i].key, "MESSAGE") == 0 && fields[i].length == -1)
        message = fields[i].value;
    }
  if ((level & G_LOG_LEVEL_WARNING) != 0 || ((level & G_LOG_LEVEL_CRITICAL) != 0 && ours))
    {
      g_mutex_lock (&last_lock);
      g_free (last_warning);
      last_warning = g_strdup (message);
      n_warnings++;
      g_mutex_unlock (&last_lock);
    }
  return g_log_writer_default (level, fields, n_fields, user_data);
}

guint
evp_warn_runtime_get_count (void)
{
  g_mutex_lock (&last_lock);
  guint count = n_warnings;
  g_mutex_unlock (&last_lock);
  return count;
}

char *
evp_warn_runtime_dup_last (void)
{
  g_mutex_lock (&last_lock);
  char *copy = g_strdup (last_warning);
  g_mutex_unlock (&last_lock);
  return copy;
}

EvpAbstractEventLoop *
evp_running_loop_get (void)
{
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_running_loop (NULL);

  return loop; /* whoever runs it holds it */
}

/* The child program of the tests is installed beside this library, wherever that is. */
static void
find_child (void)
{
  Dl_info info;

  if (g_getenv ("EVP_TEST_CHILD") == NULL && dladdr (evp_contract_init, &info) != 0)
    {
      g_autofree char *folder = g_path_get_dirname (info.dli_fname);
      g_autofree char *absolute = g_canonicalize_filename (folder, NULL);
      g_autofree char *child = g_build_filename (absolute, "evp-1", "evp-contract-child", NULL);

      g_setenv ("EVP_TEST_CHILD", child, TRUE);
    }
}

void
evp_contract_init (int    *argc,
                   char ***argv)
{
  g_log_set_writer_func (count_warnings, NULL, NULL);
  find_child ();
  g_test_init (argc, argv, NULL);
  /* that a child was lost is told by a warning, and has to be */
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
}

void
evp_contract_add_loop (const char          *name,
                       EvpContractLoopNew   make,
                       EvpContractLoopFlags flags)
{
  contract_loop_add (name, make, (ContractLoopFlags) flags);
}

void
evp_contract_add_watcher (const char             *name,
                          EvpContractWatcherNew   make,
                          EvpContractWatcherFlags flags)
{
  contract_watcher_add (name, make, (ContractWatcherFlags) flags);
}

void
evp_contract_add_selector (const char              *name,
                           EvpContractSelectorNew   make,
                           EvpContractSelectorFlags flags)
{
  contract_selector_add (name, make, (ContractSelectorFlags) flags);
}

void
evp_contract_add_proactor (const char            *name,
                           EvpContractProactorNew make)
{
  contract_own_proactor_add (name, make);
}

void
evp_contract_add_policy (const char            *name,
                         EvpContractPolicyNew   make,
                         EvpContractPolicyFlags flags)
{
  g_autofree char *prefix = g_strdup_printf ("/evp/policy/%s/contract", name);

  evp_contract_policy_add (prefix, make, flags);
}

int
evp_contract_run (void)
{
  return g_test_run ();
}
