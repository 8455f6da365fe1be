/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-loop.h"

#include "evp/loop/evp-selector-event-loop.h"
#include "evp/selector/evp-poll-selector.h"
#include "evp/selector/evp-select-selector.h"

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

int
main (int    argc,
      char **argv)
{
  ContractLoopFlags all = CONTRACT_LOOP_FDS | CONTRACT_LOOP_SIGNALS | CONTRACT_LOOP_ADOPTABLE;

  g_test_init (&argc, &argv, NULL);

  contract_loop_add ("selector", make_default, all);
  contract_loop_add ("selector-poll", make_poll, all | CONTRACT_LOOP_STALE_REPORTS);
  contract_loop_add ("selector-select", make_select, all | CONTRACT_LOOP_STALE_REPORTS);

  return g_test_run ();
}
