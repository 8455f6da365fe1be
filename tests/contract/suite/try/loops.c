/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <evp-contract/evp-contract.h>

/*
 * A program of somebody else's, with a loop and a selector of the library, and, with BROKEN, a loop that
 * runs at once what has to wait for the next turn.
 */

#ifdef BROKEN
typedef struct
{
  EvpSelectorEventLoop parent_instance;
} HastyLoop;

typedef EvpSelectorEventLoopClass HastyLoopClass;

static GType hasty_loop_get_type (void);

static gboolean
hasty_loop_schedule (EvpAbstractEventLoop *loop,
                     EvpHandle            *handle,
                     GError              **error)
{
  evp_handle_run (handle);
  return TRUE;
}

static void
hasty_loop_iface_init (gpointer iface,
                       gpointer data)
{
  ((EvpAbstractEventLoopInterface *) iface)->schedule = hasty_loop_schedule;
}

G_DEFINE_TYPE_WITH_CODE (HastyLoop, hasty_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, hasty_loop_iface_init))

static void
hasty_loop_class_init (HastyLoopClass *klass)
{
}

static void
hasty_loop_init (HastyLoop *self)
{
}
#endif

static EvpAbstractEventLoop *
make_loop (GMainContext *context,
           GError      **error)
{
#ifdef BROKEN
  return g_object_new (hasty_loop_get_type (), "main-context", context, NULL);
#else
  return evp_selector_event_loop_new (NULL, context, error);
#endif
}

#ifndef BROKEN
static EvpProactor *
make_proactor (GError **error)
{
  return evp_gio_proactor_new ();
}
#endif

int
main (int    argc,
      char **argv)
{
  evp_contract_init (&argc, &argv);
  evp_contract_add_loop ("mine", make_loop,
                         EVP_CONTRACT_LOOP_FDS | EVP_CONTRACT_LOOP_SIGNALS | EVP_CONTRACT_LOOP_ADOPTABLE
                         | EVP_CONTRACT_LOOP_SOCKETS);
#ifndef BROKEN
  evp_contract_add_selector ("mine", evp_poll_selector_new,
                             EVP_CONTRACT_SELECTOR_CLOSED_READY);
  evp_contract_add_proactor ("mine", make_proactor);
  evp_contract_add_watcher ("mine", evp_threaded_child_watcher_new, 0);
  evp_contract_add_policy ("mine", evp_default_event_loop_policy_new,
                           EVP_CONTRACT_POLICY_MAKES_LOOPS | EVP_CONTRACT_POLICY_HAS_WATCHERS
                           | EVP_CONTRACT_POLICY_PER_THREAD | EVP_CONTRACT_POLICY_MAKES_MISSING);
#endif
  return evp_contract_run ();
}
