/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-memory-private.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

void
evp_os_memory_populate (gpointer start,
                        gsize    size)
{
#ifdef MADV_POPULATE_WRITE
  static int missing; /* atomic: the kernel is older than 5.14, or a sandbox refuses it */
  static gsize page_size; /* atomic */
  gsize page = __atomic_load_n (&page_size, __ATOMIC_RELAXED);
  guintptr begin = (guintptr) start;
  int saved_errno = errno;

  if (size == 0 || __atomic_load_n (&missing, __ATOMIC_RELAXED))
    return;
  if (page == 0)
    {
      page = (gsize) sysconf (_SC_PAGESIZE);
      __atomic_store_n (&page_size, page, __ATOMIC_RELAXED);
    }
  size += begin & (page - 1);
  begin &= ~(guintptr) (page - 1);
  /* whatever the reason: without it the pages come when they are written to */
  if (madvise ((gpointer) begin, size, MADV_POPULATE_WRITE) != 0 && errno != EAGAIN && errno != EINTR)
    __atomic_store_n (&missing, TRUE, __ATOMIC_RELAXED);
  errno = saved_errno;
#endif
}
