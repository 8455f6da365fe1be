/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-epoll-selector.h"
#ifdef HAVE_SYS_EVENT_H
# include "evp/selector/evp-kqueue-selector.h"
#endif
#include "evp/selector/evp-poll-selector.h"
#include "evp/selector/evp-select-selector.h"

#include <errno.h>
#include <poll.h>

/* A selector of this class if its kernel interface answers here and now. */
static EvpSelector *
evp_default_selector_try (EvpSelector *(*make) (void))
{
  g_autoptr (EvpSelector) selector = make ();

  return evp_selector_get_fd (selector) >= 0 ? g_steal_pointer (&selector) : NULL;
}

static gboolean
evp_default_selector_poll_works (void)
{
  int n;

  do
    n = poll (NULL, 0, 0);
  while (n < 0 && errno == EINTR);
  return n == 0;
}

/**
 * evp_selector_new_default:
 *
 * Creates a selector of the most efficient kind that works here: kqueue, epoll, poll or select.
 *
 * Each is tried, not assumed: where a sandbox forbids one, the next is taken. Nothing in the
 * environment changes the choice; the variable `EVP_SELECTOR` is the default policy's.
 *
 * It is asyncio's (Python's) `DefaultSelector`. May be called from any thread. O(1).
 *
 * Returns: (transfer full): a new selector
 *
 * Since: 1.0
 */
EvpSelector *
evp_selector_new_default (void)
{
  EvpSelector *selector = NULL;

#ifdef HAVE_SYS_EVENT_H
  selector = evp_default_selector_try (evp_kqueue_selector_new);
#endif
  if (selector == NULL)
    selector = evp_default_selector_try (evp_epoll_selector_new);
  if (selector == NULL && evp_default_selector_poll_works ())
    selector = evp_poll_selector_new ();
  return selector != NULL ? selector : evp_select_selector_new ();
}
