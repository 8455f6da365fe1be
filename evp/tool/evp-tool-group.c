/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-group-private.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
# include <sys/syscall.h>
/* numbers that headers older than the kernel lack; they are the same on every architecture but alpha */
# if !defined (SYS_pidfd_open) && !defined (__alpha__)
#  define SYS_pidfd_open 434
# endif
# if !defined (SYS_pidfd_send_signal) && !defined (__alpha__)
#  define SYS_pidfd_send_signal 424
# endif
# define GROUP_P_PIDFD ((idtype_t) 3)  /* P_PIDFD */
# define SIGNAL_PROCESS_GROUP (1u << 2) /* PIDFD_SIGNAL_PROCESS_GROUP */
#endif

struct _EvpToolGroup
{
  GPid pid;
  int pidfd; /* -1: there is none that names the group */
};

/* 0 or an errno. */
static int
send_to_group (int pidfd,
               int signum)
{
#ifdef SYS_pidfd_send_signal
  return syscall (SYS_pidfd_send_signal, pidfd, signum, NULL, SIGNAL_PROCESS_GROUP) == 0 ? 0 : errno;
#else
  return ENOSYS;
#endif
}

static int
open_group (GPid pid)
{
#ifdef SYS_pidfd_open
  int pidfd = (int) syscall (SYS_pidfd_open, pid, 0);
  siginfo_t info;

  if (pidfd < 0)
    return -1;
  /* a watcher's thread may have reaped the child before it was opened; and older kernels do not know groups */
  if (waitid (GROUP_P_PIDFD, (id_t) pidfd, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && send_to_group (pidfd, 0) == 0)
    return pidfd;
  close (pidfd);
#endif
  return -1;
}

EvpToolGroup *
evp_tool_group_new (GPid pid)
{
  EvpToolGroup *self = g_new0 (EvpToolGroup, 1);

  self->pid = pid;
  self->pidfd = open_group (pid);
  return self;
}

void
evp_tool_group_free (EvpToolGroup *self)
{
  if (self->pidfd >= 0)
    close (self->pidfd);
  g_free (self);
}

/* Whether the number is still taken, by our child that may be dead but has not been reaped. */
static gboolean
is_unreaped (GPid pid)
{
  siginfo_t info;

  return waitid (P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

void
evp_tool_group_signal (EvpToolGroup  *self,
                       int            signum,
                       EvpSubprocess *leader)
{
  if (self->pidfd >= 0)
    send_to_group (self->pidfd, signum);
  else if (leader != NULL && is_unreaped (self->pid))
    kill (-self->pid, signum);
  /* it may have left the group that it led */
  if (leader != NULL && signum == SIGKILL)
    evp_subprocess_kill (leader, NULL);
}

gboolean
evp_tool_group_lives (EvpToolGroup *self)
{
  return self->pidfd >= 0 && send_to_group (self->pidfd, 0) != ESRCH;
}
