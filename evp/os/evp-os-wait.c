/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-wait-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-exit-status.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fd-private.h"

#include <errno.h>
#include <signal.h>
#ifdef __linux__
# include <linux/posix_types.h>
#endif
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
/* numbers that headers older than the kernel lack; they are the same on every architecture but alpha */
# if !defined (SYS_pidfd_open) && !defined (__alpha__)
#  define SYS_pidfd_open 434
# endif
# if !defined (SYS_pidfd_send_signal) && !defined (__alpha__)
#  define SYS_pidfd_send_signal 424
# endif
/* an enumerator in some C libraries, where #ifdef cannot see it */
# define EVP_P_PIDFD ((idtype_t) 3)
#endif

static int
decode (const siginfo_t *info)
{
  switch (info->si_code)
    {
    case CLD_EXITED:
      return info->si_status & 0xff;
    case CLD_KILLED:
    case CLD_DUMPED:
      return -info->si_status;
    default:
      return info->si_status;
    }
}

#ifdef __linux__
/* struct rusage as the kernel writes it, whatever the C library makes of time_t */
typedef struct
{
  __kernel_long_t user[2], system[2]; /* seconds and microseconds */
  __kernel_long_t rest[14];
} KernelUsage;

/* The system call takes one more argument than the function of the C library. */
static int
wait_once (idtype_t   type,
           id_t       id,
           siginfo_t *info,
           int        options,
           double    *cpu_time)
{
  KernelUsage usage = { 0 };

  if (syscall (SYS_waitid, type, id, info, options, cpu_time != NULL ? &usage : NULL) != 0)
    return errno;
  if (cpu_time != NULL)
    *cpu_time = (double) (usage.user[0] + usage.system[0]) + (double) (usage.user[1] + usage.system[1]) / 1e6;
  return 0;
}
#else
static int
wait_once (idtype_t   type,
           id_t       id,
           siginfo_t *info,
           int        options,
           double    *cpu_time)
{
  if (cpu_time != NULL)
    *cpu_time = EVP_CPU_TIME_UNKNOWN;
  return waitid (type, id, info, options) == 0 ? 0 : errno;
}
#endif

/* waitid() that is never interrupted: 0 or an errno. */
static int
wait_for (idtype_t   type,
          id_t       id,
          siginfo_t *info,
          int        options,
          double    *cpu_time)
{
  int failure;

  do
    {
      /* POSIX leaves it open whether si_pid is cleared when nobody has ended */
      info->si_pid = 0;
      failure = wait_once (type, id, info, options, cpu_time);
    }
  while (failure == EINTR);
  return failure;
}

static EvpWaitResult
result_of (int              failure,
           const siginfo_t *info,
           int             *returncode,
           double          *cpu_time)
{
  if (failure != 0)
    {
      *returncode = EVP_RETURNCODE_LOST;
      if (cpu_time != NULL)
        *cpu_time = EVP_CPU_TIME_UNKNOWN;
      return EVP_WAIT_LOST;
    }
  if (info->si_pid == 0)
    return EVP_WAIT_RUNNING;
  *returncode = decode (info);
  return EVP_WAIT_EXITED;
}

EvpWaitResult
evp_os_wait_reap (pid_t   pid,
                  int    *returncode,
                  double *cpu_time)
{
  siginfo_t info;
  int failure;

  /* a group or "any child" is never meant here */
  g_return_val_if_fail (pid > 0, EVP_WAIT_LOST);
  g_return_val_if_fail (returncode != NULL, EVP_WAIT_LOST);

  failure = wait_for (P_PID, (id_t) pid, &info, WEXITED | WNOHANG, cpu_time);
  return result_of (failure, &info, returncode, cpu_time);
}

EvpWaitResult
evp_os_wait_look (pid_t pid)
{
  siginfo_t info;
  int failure, returncode;

  g_return_val_if_fail (pid > 0, EVP_WAIT_LOST);

  failure = wait_for (P_PID, (id_t) pid, &info, WEXITED | WNOHANG | WNOWAIT, NULL);
  return result_of (failure, &info, &returncode, NULL);
}

gboolean
evp_os_wait_look_any (pid_t *pid)
{
  siginfo_t info;

  g_return_val_if_fail (pid != NULL, FALSE);

  if (wait_for (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT, NULL) != 0 || info.si_pid == 0)
    return FALSE;
  *pid = info.si_pid;
  return TRUE;
}

EvpWaitResult
evp_os_wait_reap_pidfd (int     pidfd,
                        pid_t   pid,
                        int    *returncode,
                        double *cpu_time)
{
#ifdef __linux__
  siginfo_t info;
  int failure;

  g_return_val_if_fail (pid > 0, EVP_WAIT_LOST);
  g_return_val_if_fail (returncode != NULL, EVP_WAIT_LOST);

  failure = wait_for (EVP_P_PIDFD, (id_t) pidfd, &info, WEXITED | WNOHANG, cpu_time);
  if (failure == 0 || failure == ECHILD)
    return result_of (failure, &info, returncode, cpu_time);
  /* Linux 5.3 has pidfds, but waitid() takes them since 5.4 only; the pid of an unreaped child is as good */
#endif
  return evp_os_wait_reap (pid, returncode, cpu_time);
}

gboolean
evp_os_wait_peek (pid_t pid)
{
  siginfo_t info;

  g_return_val_if_fail (pid > 0, FALSE);

  return wait_for (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT, NULL) == 0;
}

gboolean
evp_os_wait_reap_any (pid_t  *pid,
                      int    *returncode,
                      double *cpu_time)
{
  siginfo_t info;

  g_return_val_if_fail (pid != NULL, FALSE);
  g_return_val_if_fail (returncode != NULL, FALSE);

  if (wait_for (P_ALL, 0, &info, WEXITED | WNOHANG, cpu_time) != 0 || info.si_pid == 0)
    return FALSE;
  *pid = info.si_pid;
  *returncode = decode (&info);
  return TRUE;
}

static int
pidfd_open_raw (pid_t pid)
{
#ifdef SYS_pidfd_open
  return (int) syscall (SYS_pidfd_open, pid, 0);
#else
  errno = ENOSYS;
  return -1;
#endif
}

int
evp_os_pidfd_open (pid_t    pid,
                   GError **error)
{
  int pidfd = pidfd_open_raw (pid);

  if (pidfd < 0)
    {
      int saved_errno = errno;

      if (saved_errno == ESRCH)
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, _("There is no process %d"), (int) pid);
      else
        evp_set_error_from_errno (error, saved_errno, _("Cannot open a pidfd for process %d"), (int) pid);
      errno = saved_errno;
    }
  return pidfd;
}

int
evp_os_pidfd_send_signal (int pidfd,
                          int signum)
{
#ifdef SYS_pidfd_send_signal
  return syscall (SYS_pidfd_send_signal, pidfd, signum, NULL, 0) == 0 ? 0 : errno;
#else
  return ENOSYS;
#endif
}

/* The probe: an errno, or 0 when pidfds work. */
static int
try_pidfd (void)
{
  int pidfd = pidfd_open_raw (getpid ());
  int failure;

  if (pidfd < 0)
    /* for want of a free descriptor: the kernel knows the call and does not forbid it */
    return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? 0 : errno;
  failure = evp_os_pidfd_send_signal (pidfd, 0);
  evp_os_fd_close (pidfd);
  return failure;
}

gboolean
evp_os_pidfd_supported (const char **reason)
{
  static gsize probed = 0;
  static const char *refusal = NULL; /* written once, before `probed` */

  if (g_once_init_enter (&probed))
    {
      int failure = try_pidfd ();

      if (failure == ENOSYS)
        refusal = g_intern_string (_("The kernel has no pidfds (Linux 5.3 or newer has them)"));
      else if (failure == EPERM || failure == EACCES)
        refusal = g_intern_string (_("A sandbox (seccomp or the like) forbids pidfds in this process"));
      else if (failure != 0)
        {
          /* Translators: %s is an error message of the system */
          g_autofree char *text = g_strdup_printf (_("The kernel refuses pidfds: %s"), g_strerror (failure));

          refusal = g_intern_string (text);
        }
      g_once_init_leave (&probed, failure == 0 ? 1 : 2);
    }
  if (reason != NULL)
    *reason = refusal;
  return probed == 1;
}
