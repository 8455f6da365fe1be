/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-timer-private.h"

#include "evp/base/evp-clock-private.h"

#ifdef HAVE_SYS_TIMERFD_H
# include <sys/timerfd.h>

int
evp_os_timer_new (void)
{
  return timerfd_create (CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
}

static gboolean
set_time (int    timer_fd,
          gint64 when)
{
  struct itimerspec spec = { .it_value = evp_clock_ns_to_timespec (when) };

  return timerfd_settime (timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0;
}

gboolean
evp_os_timer_arm (int    timer_fd,
                  gint64 when)
{
  /* zero would disarm it */
  return set_time (timer_fd, MAX (when, 1));
}

void
evp_os_timer_disarm (int timer_fd)
{
  set_time (timer_fd, 0);
}

#else

int
evp_os_timer_new (void)
{
  return -1;
}

gboolean
evp_os_timer_arm (int    timer_fd,
                  gint64 when)
{
  return FALSE;
}

void
evp_os_timer_disarm (int timer_fd)
{
}

#endif
