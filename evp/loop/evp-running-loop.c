/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-running-loop-private.h"
#include "evp/loop/evp-running-loop.h"

#include "evp/os/evp-os-fork-private.h"

/* Which loop this thread is in. Filled for the whole of run_*() and, in adopted loops, around each dispatch. */
static __thread EvpRunningLoop running __attribute__ ((tls_model ("initial-exec")));

EvpAbstractEventLoop *
evp_running_loop_get (void)
{
  /* a loop that ran when the process was forked runs in the parent only */
  if (running.loop == NULL || running.generation != evp_os_fork_generation ())
    return NULL;
  return running.loop;
}

EvpRunningLoop
evp_running_loop_push (EvpAbstractEventLoop *loop)
{
  EvpRunningLoop previous = running;

  running.loop = loop;
  running.generation = evp_os_fork_generation ();
  return previous;
}

void
evp_running_loop_pop (EvpRunningLoop previous)
{
  running = previous;
}

/**
 * evp_set_running_loop:
 * @loop: (nullable): the loop that now runs in this thread, or `NULL`
 *
 * Fills the calling thread's slot that [func@Evp.get_running_loop] reads.
 *
 * The library's loops do this themselves, and so does
 * [method@Evp.AbstractEventLoop.run_forever] for loops written elsewhere. It is for loops whose turns are
 * driven by other means: set it before a turn, and `NULL` after it. The slot holds no reference.
 *
 * Concerns the calling thread only. O(1).
 *
 * Since: 1.0
 */
void
evp_set_running_loop (EvpAbstractEventLoop *loop)
{
  g_return_if_fail (loop == NULL || EVP_IS_EVENT_LOOP (loop));

  evp_running_loop_push (loop);
}
