/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/tool/evp-tool-group-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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
  int pidfd;           /* -1: there is none that names the group */
  gboolean lived;      /* when that was asked last */
  guint zombies_since; /* the number of the census that was the first to find nobody else in it; 0: none */
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

/*
 * Where nobody reaps orphans, as in many a container, a group keeps its dead, and a signal "reaches" them. Only
 * /proc tells them from the living. One look at all processes serves all groups, and a look that takes long
 * serves for longer. It is no snapshot: who starts another and dies meanwhile is seen dead, and the other may not be
 * seen. So it needs two looks in a row that find nobody alive.
 */
#define CENSUS_USEC (10 * G_TIME_SPAN_MILLISECOND)
#define CENSUS_SHARE 10 /* of the time at most */

static struct
{
  GHashTable *groups; /* number of a group to HAS_DEAD or HAS_LIVING; NULL: nobody can tell */
  guint number;
  gint64 valid_until;
} census;

enum { HAS_DEAD = 1, HAS_LIVING = 2 };

/* Whether /proc shows all that we have started: not those of another name space, nor only our own (hidepid). */
static gboolean
proc_is_ours (int proc)
{
  char own[32];
  gssize n = readlinkat (proc, "self", own, sizeof own - 1);

  own[MAX (n, 0)] = '\0';
  return n > 0 && g_ascii_strtoll (own, NULL, 10) == getpid () && faccessat (proc, "1/stat", R_OK, 0) == 0;
}

/* Notes one process. FALSE: it is there, but nobody can tell more. */
static gboolean
count_process (int         proc,
               const char *name,
               GHashTable *groups)
{
  g_autofree char *path = g_strconcat (name, "/stat", NULL);
  char text[1024];
  const char *rest;
  gssize n = -1;
  char state;
  int fd = openat (proc, path, O_RDONLY | O_CLOEXEC);
  int group, n_threads, failure;

  if (fd >= 0)
    n = read (fd, text, sizeof text - 1);
  failure = errno;
  if (fd >= 0)
    close (fd);
  if (n < 0)
    return failure == ENOENT || failure == ESRCH;
  text[n] = '\0';
  /* the name of a program may have anything in it, but nothing after it has a parenthesis */
  rest = strrchr (text, ')');
  if (rest == NULL
      || sscanf (rest + 1, " %c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d", &state, &group,
                 &n_threads)
           != 3)
    return FALSE;
  /* the first thread may have ended before the others */
  if ((state != 'Z' && state != 'X') || n_threads > 1)
    g_hash_table_insert (groups, GINT_TO_POINTER (group), GINT_TO_POINTER (HAS_LIVING));
  else if (!g_hash_table_contains (groups, GINT_TO_POINTER (group)))
    g_hash_table_insert (groups, GINT_TO_POINTER (group), GINT_TO_POINTER (HAS_DEAD));
  return TRUE;
}

static GHashTable *
count_processes (void)
{
  g_autoptr (GHashTable) groups = g_hash_table_new (NULL, NULL);
  DIR *folder = opendir ("/proc");
  struct dirent *entry;
  gboolean ok;

  if (folder == NULL)
    return NULL;
  ok = proc_is_ours (dirfd (folder));
  errno = 0;
  while (ok && (entry = readdir (folder)) != NULL)
    {
      if (g_ascii_isdigit (*entry->d_name))
        ok = count_process (dirfd (folder), entry->d_name, groups);
      errno = 0;
    }
  ok = ok && errno == 0;
  closedir (folder);
  return ok ? g_steal_pointer (&groups) : NULL;
}

static void
take_census (void)
{
  gint64 begin = g_get_monotonic_time (), end;

  if (begin < census.valid_until)
    return;
  g_clear_pointer (&census.groups, g_hash_table_unref);
  census.groups = count_processes ();
  census.number++;
  end = g_get_monotonic_time ();
  census.valid_until = end + MAX (CENSUS_USEC, (end - begin) * CENSUS_SHARE);
}

static gboolean
has_only_dead (EvpToolGroup *self)
{
  take_census ();
  if (census.groups == NULL
      || g_hash_table_lookup (census.groups, GINT_TO_POINTER (self->pid)) != GINT_TO_POINTER (HAS_DEAD))
    {
      self->zombies_since = 0;
      return FALSE;
    }
  if (self->zombies_since == 0)
    self->zombies_since = census.number;
  return self->zombies_since != census.number;
}

gboolean
evp_tool_group_lives (EvpToolGroup *self)
{
  if (self->pidfd < 0 || send_to_group (self->pidfd, 0) == ESRCH)
    return FALSE;
  /* mostly somebody does reap, and all are gone when that is asked again */
  if (self->lived && has_only_dead (self))
    return FALSE;
  self->lived = TRUE;
  return TRUE;
}
