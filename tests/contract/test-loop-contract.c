/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-loop.h"

#include "evp/loop/evp-proactor-event-loop.h"
#include "evp/loop/evp-selector-event-loop.h"
#include "evp/os/evp-capabilities.h"
#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-uring-proactor.h"
#include "evp/selector/evp-poll-selector.h"
#include "evp/selector/evp-select-selector.h"
#include "support/evp-test-loop.h"

static EvpAbstractEventLoop *
make_default (GMainContext *context,
              GError      **error)
{
  return evp_selector_event_loop_new (NULL, context, error);
}

static EvpAbstractEventLoop *
make_poll (GMainContext *context,
           GError      **error)
{
  g_autoptr (EvpSelector) selector = evp_poll_selector_new ();

  return evp_selector_event_loop_new (selector, context, error);
}

static EvpAbstractEventLoop *
make_select (GMainContext *context,
             GError      **error)
{
  g_autoptr (EvpSelector) selector = evp_select_selector_new ();

  return evp_selector_event_loop_new (selector, context, error);
}

static EvpAbstractEventLoop *
make_uring (GMainContext *context,
            GError      **error)
{
  g_autoptr (EvpProactor) proactor = evp_uring_proactor_new (error);

  if (proactor == NULL)
    return NULL;
  return g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, "main-context", context, NULL);
}

static EvpAbstractEventLoop *
make_gio (GMainContext *context,
          GError      **error)
{
  g_autoptr (EvpProactor) proactor = evp_gio_proactor_new ();

  return g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, "main-context", context, NULL);
}

int
main (int    argc,
      char **argv)
{
  ContractLoopFlags all = CONTRACT_LOOP_FDS | CONTRACT_LOOP_SIGNALS | CONTRACT_LOOP_ADOPTABLE
                          | CONTRACT_LOOP_SOCKETS;

  g_test_init (&argc, &argv, NULL);

  contract_loop_add ("selector", make_default, all);
  contract_loop_add ("selector-poll", make_poll, all | CONTRACT_LOOP_STALE_REPORTS);
  contract_loop_add ("selector-select", make_select, all | CONTRACT_LOOP_STALE_REPORTS);
  contract_loop_add ("proactor-gio", make_gio, all);
  if (evp_test_has_uring ())
    contract_loop_add ("proactor-uring", make_uring, all);

  return g_test_run ();
}
