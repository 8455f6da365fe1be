/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-uring-proactor.h"

/**
 * evp_proactor_new_default:
 *
 * Makes a proactor of the most efficient kind that works here: io_uring, or else GLib's means.
 *
 * io_uring is tried, not assumed: where the kernel, a sandbox or a limit refuses it, the other is
 * taken, and `evp_capabilities_explain ("io-uring")` says why. What was only a shortage, of descriptors say, is not
 * remembered: the next proactor is io_uring's if it has passed. Nothing in the environment changes the choice; the
 * variable `EVP_PROACTOR` is the default policy's.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): a new proactor
 *
 * Since: 1.0
 */
EvpProactor *
evp_proactor_new_default (void)
{
  EvpProactor *proactor = evp_uring_proactor_new (NULL);

  return proactor != NULL ? proactor : evp_gio_proactor_new ();
}
