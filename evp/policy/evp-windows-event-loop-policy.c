/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-windows-event-loop-policy-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

static EvpAbstractEventLoop *
evp_windows_event_loop_policy_new_event_loop (EvpAbstractEventLoopPolicy *policy,
                                              GError                    **error)
{
  g_set_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED,
               /* Translators: %s is a class name */
               _("%s makes loops on Windows only; use EvpSelectorEventLoopPolicy or EvpProactorEventLoopPolicy, "
                 "which work on every platform"),
               G_OBJECT_TYPE_NAME (policy));
  return NULL;
}

static EvpAbstractChildWatcher *
evp_windows_event_loop_policy_get_child_watcher (EvpAbstractEventLoopPolicy *policy,
                                                 GError                    **error)
{
  evp_set_error_unimplemented (error, policy, "get_child_watcher");
  return NULL;
}

static gboolean
evp_windows_event_loop_policy_set_child_watcher (EvpAbstractEventLoopPolicy *policy,
                                                 EvpAbstractChildWatcher    *watcher,
                                                 GError                    **error)
{
  evp_set_error_unimplemented (error, policy, "set_child_watcher");
  return FALSE;
}

void
evp_windows_event_loop_policy_fill_in (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->new_event_loop = evp_windows_event_loop_policy_new_event_loop;
  iface->get_child_watcher = evp_windows_event_loop_policy_get_child_watcher;
  iface->set_child_watcher = evp_windows_event_loop_policy_set_child_watcher;
}
