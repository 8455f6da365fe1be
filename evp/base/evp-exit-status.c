/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-exit-status.h"

#include <sys/wait.h>

/**
 * evp_returncode_from_wait_status:
 * @wait_status: a status as `waitpid()` or [callback@GLib.ChildWatchFunc] gives it
 *
 * Decodes a raw wait status into a return code.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the exit code 0–255; minus the signal's number if a signal killed the child; the
 *   status itself if it is neither
 *
 * Since: 1.0
 */
int
evp_returncode_from_wait_status (int wait_status)
{
  if (WIFEXITED (wait_status))
    return WEXITSTATUS (wait_status);
  if (WIFSIGNALED (wait_status))
    return -WTERMSIG (wait_status);
  return wait_status;
}
