/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/os/evp-os-spawn-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-wait-private.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
# include <sys/syscall.h>
#endif

/*
 * The child shares our memory until it has become another program, as after vfork(), while our thread
 * sleeps: nothing is copied, however large we are. Therefore everything is prepared before, in a
 * SpawnPlan; the child has a stack of its own, runs with all signals blocked, and makes bare system
 * calls only: not even the C library's wrappers, some of which keep books in memory that is ours, and
 * all of which a sanitizer may have replaced.
 *
 * It also shares our table of descriptors, because copying a table of thousands is dear, and leaves it
 * with its very first call, which copies only the part that the child needs. With 10,000 descriptors open
 * a start then takes a sixth of the parent's time, and with few it takes no more than before.
 *
 * Where vfork semantics are refused or imitated (valgrind, some emulators, the thread sanitizer, other
 * systems) the same function runs after a plain fork() and reports through a pipe.
 */

#if defined (__SANITIZE_THREAD__)
# define UNDER_TSAN 1
#elif defined (__has_feature)
# if __has_feature (thread_sanitizer)
#  define UNDER_TSAN 1
# endif
#endif

/* Runs on a stack, and in a moment, that a sanitizer knows nothing of. */
#define IN_CHILD __attribute__ ((no_sanitize ("address", "thread", "undefined")))

#if defined (__linux__) && !defined (UNDER_TSAN)
# define SHARE_MEMORY 1
# ifndef CLONE_PIDFD
#  define CLONE_PIDFD 0x00001000
# endif
#endif

#ifdef __linux__
# define CALL(name, ...) syscall (SYS_##name, ##__VA_ARGS__)
/* numbers that headers older than the kernel lack; they are the same on every architecture but alpha */
# if !defined (SYS_close_range) && !defined (__alpha__)
#  define SYS_close_range 436
# endif
# ifdef SYS_setuid32
#  define SYS_evp_setuid SYS_setuid32
#  define SYS_evp_setgid SYS_setgid32
#  define SYS_evp_setgroups SYS_setgroups32
# else
#  define SYS_evp_setuid SYS_setuid
#  define SYS_evp_setgid SYS_setgid
#  define SYS_evp_setgroups SYS_setgroups
# endif
#else
# define CALL(name, ...) name (__VA_ARGS__)
# define evp_setuid setuid
# define evp_setgid setgid
# define evp_setgroups setgroups
#endif

#define EVP_CLOSE_RANGE_UNSHARE (1U << 1)
#define STACK_SIZE (64 * 1024)

typedef enum
{
  STAGE_NONE, /* nothing failed */
  STAGE_UNSHARE,
  STAGE_SESSION,
  STAGE_GROUP,
  STAGE_FDS,
  STAGE_DIRECTORY,
  STAGE_IDS,
  STAGE_EXEC,
} SpawnStage;

typedef struct
{
  SpawnStage stage;
  int error;
} SpawnReport;

/* All that the child needs, made by the parent; only `report` and `sources` are written by the child. */
typedef struct
{
  const EvpOsSpawnRequest *request;
  const char *const *candidates; /* paths to try, NULL-terminated */
  char **searched;   /* what was allocated of them */
  const char *named[2]; /* the one path if it was not searched for */
  char *const *argv;
  char *const *envp;

  int *sources;      /* of the request's fds */
  int first_free;    /* above all targets; perhaps there is nothing */
  int *kept;         /* sorted: what stays open */
  gsize n_kept;
  int *numbers;      /* the memory of both */
  int few[16];       /* is usually enough */
  int unshare_from;  /* above all that the child needs of our table; -1: it has a copy */
  int report_fd;     /* the pipe's end after a fork(); else -1 */

  SpawnReport report;
} SpawnPlan;

static void child_exit (int code) G_GNUC_NORETURN;

IN_CHILD static void
child_exit (int code)
{
#ifdef __linux__
  for (;;)
    CALL (exit_group, code);
#else
  _exit (code);
#endif
}

IN_CHILD G_GNUC_NORETURN static void
child_fail (SpawnPlan *plan,
            SpawnStage stage,
            int        error)
{
  plan->report.error = error;
  plan->report.stage = stage;
  if (plan->report_fd >= 0)
    while (CALL (write, plan->report_fd, &plan->report, sizeof plan->report) < 0 && errno == EINTR)
      ;
  child_exit (127);
}

IN_CHILD static gboolean
child_close_range (unsigned first,
                   unsigned last,
                   unsigned flags)
{
#ifdef SYS_close_range
  return CALL (close_range, first, last, flags) == 0;
#else
  errno = ENOSYS;
  return FALSE;
#endif
}

IN_CHILD static gboolean
child_keeps (const SpawnPlan *plan,
             int              fd)
{
  gsize low = 0, high = plan->n_kept;

  while (low < high)
    {
      gsize middle = low + (high - low) / 2;

      if (plan->kept[middle] == fd)
        return TRUE;
      if (plan->kept[middle] < fd)
        low = middle + 1;
      else
        high = middle;
    }
  return FALSE;
}

#ifdef __linux__
/* What the kernel writes; the C library's name for it comes and goes. */
typedef struct
{
  guint64 inode;
  gint64 offset;
  guint16 length;
  guint8 type;
  char name[];
} KernelDirent;

IN_CHILD static gboolean
child_close_listed (const SpawnPlan *plan)
{
  char buffer[2048] __attribute__ ((aligned (8)));
  int directory = (int) CALL (openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  long n;

  if (directory < 0)
    return FALSE;
  while ((n = CALL (getdents64, directory, buffer, sizeof buffer)) > 0)
    for (long at = 0; at < n;)
      {
        const KernelDirent *entry = (const KernelDirent *) (buffer + at);
        int fd = 0;

        for (const char *c = entry->name; *c >= '0' && *c <= '9'; c++)
          fd = fd * 10 + (*c - '0');
        if (entry->name[0] != '.' && fd != directory && !child_keeps (plan, fd))
          CALL (close, fd);
        at += entry->length;
      }
  CALL (close, directory);
  return n == 0;
}
#endif

/* For kernels without close_range(), and sandboxes that forbid it. */
IN_CHILD static void
child_close_one_by_one (const SpawnPlan *plan)
{
  struct rlimit limit;
  int end = 65536;

#ifdef __linux__
  if (child_close_listed (plan))
    return;
  if (CALL (prlimit64, 0, RLIMIT_NOFILE, NULL, &limit) == 0 && limit.rlim_cur < INT_MAX)
    end = (int) limit.rlim_cur;
#else
  if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT_MAX)
    end = (int) limit.rlim_cur;
#endif
  for (int fd = 0; fd < end; fd++)
    if (!child_keeps (plan, fd))
      CALL (close, fd);
}

IN_CHILD static void
child_close_others (const SpawnPlan *plan)
{
  int first = 0;

  for (gsize i = 0; i < plan->n_kept; i++)
    {
      int fd = plan->kept[i];

      if (fd > first && !child_close_range ((unsigned) first, (unsigned) fd - 1, 0))
        {
          child_close_one_by_one (plan);
          return;
        }
      first = fd + 1;
    }
  if (!child_close_range ((unsigned) first, ~0U, 0))
    child_close_one_by_one (plan);
}

/* Another number for a descriptor, none of the targets; -1 with errno. The parent calls it, too. */
IN_CHILD static int
child_move_fd (const SpawnPlan *plan,
               int              fd)
{
  int first = plan->first_free;
  gboolean above = TRUE;

  for (;;)
    {
      int moved = (int) CALL (fcntl, fd, F_DUPFD_CLOEXEC, first);

      if (moved >= 0 && !child_keeps (plan, moved))
        return moved;
      if (moved >= 0)
        {
          CALL (close, moved);
          first = moved + 1;
        }
      else if (above && (errno == EINVAL || errno == EMFILE))
        {
          /* the targets reach up to the limit */
          above = FALSE;
          first = 0;
        }
      else
        return -1;
    }
}

IN_CHILD static void
child_arrange_fds (SpawnPlan *plan)
{
  const EvpOsSpawnFd *fds = plan->request->fds;
  gsize n_fds = plan->request->n_fds;

  /* first those that are in the way of others, so that 0 and 1 can change places */
  for (gsize i = 0; i < n_fds; i++)
    if (fds[i].source != fds[i].target && child_keeps (plan, fds[i].source))
      {
        plan->sources[i] = child_move_fd (plan, fds[i].source);
        if (plan->sources[i] < 0)
          child_fail (plan, STAGE_FDS, errno);
      }
  for (gsize i = 0; i < n_fds; i++)
    {
      long result;

      if (plan->sources[i] == fds[i].target)
        result = CALL (fcntl, fds[i].target, F_SETFD, 0);
      else
        do
#ifdef __linux__
          result = CALL (dup3, plan->sources[i], fds[i].target, 0);
#else
          result = dup2 (plan->sources[i], fds[i].target);
#endif
        while (result < 0 && (errno == EINTR || errno == EBUSY));
      if (result < 0)
        child_fail (plan, STAGE_FDS, errno);
    }
  child_close_others (plan);
}

/*
 * A handler of ours must never run in the child: it would work on our memory. exec() resets handlers
 * anyway; what is ignored stays so, unless we are asked to restore it.
 */
IN_CHILD static void
child_reset_signals (const SpawnPlan *plan)
{
#ifdef __linux__
  /* struct sigaction as the kernel has it: the handler comes first, on MIPS after the flags */
# ifdef __mips__
  enum { HANDLER = 1 };
# else
  enum { HANDLER = 0 };
# endif
  /* one word for the mask of 64 signals; MIPS has 128 */
  const size_t set_size = _NSIG / 8;
  unsigned long none[32] = { 0 }, ignore[32] = { 0 }, action[32];

  ignore[HANDLER] = 1; /* SIG_IGN */
  for (int i = 1; i < _NSIG; i++)
    {
      if (i == SIGKILL || i == SIGSTOP)
        continue;
      action[HANDLER] = 0;
      CALL (rt_sigaction, i, NULL, action, set_size);
      if (action[HANDLER] == 1 && !plan->request->restore_signals)
        continue;
      /*
       * A Ctrl-Z that is pending must not stop the child between here and exec(): our thread waits for
       * it, so we could not stop too, and the shell would wait for both for ever. To ignore is to forget.
       */
      if (i == SIGTSTP || i == SIGTTIN || i == SIGTTOU)
        CALL (rt_sigaction, i, ignore, NULL, set_size);
      else if (action[HANDLER] == 0)
        continue;
      CALL (rt_sigaction, i, none, NULL, set_size);
    }
  CALL (rt_sigprocmask, SIG_SETMASK, none, NULL, set_size);
#else
  struct sigaction action;
  sigset_t none;

  for (int i = 1; i < NSIG; i++)
    if (sigaction (i, NULL, &action) == 0 && action.sa_handler != SIG_DFL
        && (action.sa_handler != SIG_IGN || plan->request->restore_signals))
      {
        memset (&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction (i, &action, NULL);
      }
  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
#endif
}

IN_CHILD static int
child_main (void *data)
{
  SpawnPlan *plan = data;
  const EvpOsSpawnRequest *request = plan->request;
  int failure = ENOENT;

  /* until here every change of the table would be one of the parent's */
  if (plan->unshare_from >= 0
      && !child_close_range ((unsigned) plan->unshare_from, ~0U, EVP_CLOSE_RANGE_UNSHARE))
    child_fail (plan, STAGE_UNSHARE, errno);

  if (request->new_session && CALL (setsid) < 0)
    child_fail (plan, STAGE_SESSION, errno);
  /* the leader of a session leads a group already */
  if (request->process_group >= 0 && !(request->new_session && request->process_group == 0)
      && CALL (setpgid, 0, request->process_group) < 0)
    child_fail (plan, STAGE_GROUP, errno);

  child_arrange_fds (plan);

  if (request->cwd != NULL && CALL (chdir, request->cwd) < 0)
    child_fail (plan, STAGE_DIRECTORY, errno);

  if ((request->set_groups && CALL (evp_setgroups, request->n_groups, request->groups) < 0)
      || (request->set_gid && CALL (evp_setgid, request->gid) < 0)
      || (request->set_uid && CALL (evp_setuid, request->uid) < 0))
    child_fail (plan, STAGE_IDS, errno);

  child_reset_signals (plan);

  /* as execvpe() does: a file that may not be run is what went wrong only if no other can be */
  for (const char *const *path = plan->candidates; *path != NULL; path++)
    {
      CALL (execve, *path, plan->argv, plan->envp);
      if (errno == EACCES)
        failure = EACCES;
      else if (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG && errno != ESTALE
               && errno != ENODEV && errno != ETIMEDOUT)
        {
          failure = errno;
          break;
        }
      else if (plan->candidates[1] == NULL)
        failure = errno;
    }
  child_fail (plan, STAGE_EXEC, failure);
}

static const char *
find_path (const char *const *envp)
{
  for (; *envp != NULL; envp++)
    if (strncmp (*envp, "PATH=", 5) == 0)
      return *envp + 5;
  return "/bin:/usr/bin"; /* what execvp() takes; not the current directory */
}

/* Where to look for a program that is named without a slash. */
static char **
list_candidates (const char        *name,
                 const char *const *envp)
{
  GPtrArray *candidates = g_ptr_array_new ();

  if (*name != '\0')
    {
      g_auto (GStrv) folders = g_strsplit (find_path (envp), ":", -1);

      /* an empty one means the current directory; an empty PATH has one empty folder, which g_strsplit() drops */
      if (folders[0] == NULL)
        g_ptr_array_add (candidates, g_strdup (name));
      for (char **folder = folders; *folder != NULL; folder++)
        g_ptr_array_add (candidates, **folder == '\0' ? g_strdup (name) : g_strconcat (*folder, "/", name, NULL));
    }
  g_ptr_array_add (candidates, NULL);
  return (char **) g_ptr_array_free (candidates, FALSE);
}

static int
compare_fds (const void *a,
             const void *b)
{
  int one = *(const int *) a, other = *(const int *) b;

  return (one > other) - (one < other);
}

static void
plan_init (SpawnPlan               *plan,
           const EvpOsSpawnRequest *request)
{
  const char *const *envp = request->envp != NULL ? request->envp : (const char *const *) environ;

  memset (plan, 0, sizeof *plan);
  plan->request = request;
  plan->argv = (char *const *) request->argv;
  plan->envp = (char *const *) envp;
  if (strchr (request->argv[0], '/') != NULL)
    {
      plan->named[0] = request->argv[0];
      plan->candidates = plan->named;
    }
  else
    {
      plan->searched = list_candidates (request->argv[0], envp);
      plan->candidates = (const char *const *) plan->searched;
    }

  /* one more for the pipe of plan_keep() */
  plan->numbers = request->n_fds < G_N_ELEMENTS (plan->few) / 2 ? plan->few : g_new (int, 2 * (request->n_fds + 1));
  plan->sources = plan->numbers;
  plan->kept = plan->numbers + request->n_fds + 1;
  plan->unshare_from = 3;
  for (gsize i = 0; i < request->n_fds; i++)
    {
      plan->sources[i] = request->fds[i].source;
      plan->kept[plan->n_kept++] = request->fds[i].target;
      plan->first_free = MAX (plan->first_free, MIN (request->fds[i].target, G_MAXINT - 1) + 1);
      plan->unshare_from = MAX (plan->unshare_from, MIN (request->fds[i].source, G_MAXINT - 1) + 1);
    }
  qsort (plan->kept, plan->n_kept, sizeof *plan->kept, compare_fds);
  plan->report_fd = -1;
}

/* Keeps one more. */
static void
plan_keep (SpawnPlan *plan,
           int        fd)
{
  plan->kept[plan->n_kept++] = fd;
  qsort (plan->kept, plan->n_kept, sizeof *plan->kept, compare_fds);
}

static void
plan_clear (SpawnPlan *plan)
{
  g_strfreev (plan->searched);
  if (plan->numbers != plan->few)
    g_free (plan->numbers);
}

/* A child that failed is gone before its error is told. */
static void
reap (pid_t pid)
{
  while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
    ;
}

#ifdef SHARE_MEMORY

/* One stack is kept for the next time: mapping it costs as much as half of the clone(). */
static gpointer spare_stack; /* atomic */

static gpointer
stack_acquire (void)
{
  gpointer stack = g_atomic_pointer_exchange (&spare_stack, NULL);
  long page = sysconf (_SC_PAGESIZE);

  if (stack != NULL)
    return stack;
  stack = mmap (NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED)
    return NULL;
  mprotect (stack, (size_t) page, PROT_NONE);
  return stack;
}

static void
stack_release (gpointer stack)
{
  if (!g_atomic_pointer_compare_and_exchange (&spare_stack, NULL, stack))
    munmap (stack, STACK_SIZE);
}

/* Deliberately not CLONE_FS or CLONE_SIGHAND: directory and dispositions are the child's own. */
static pid_t
clone_child (int (*function) (void *),
             gpointer stack,
             int      flags,
             void    *data,
             int     *pidfd)
{
  return clone (function, (char *) stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | flags, data, pidfd);
}

IN_CHILD static int
probe_main (void *data)
{
  *(volatile int *) data = 1;
  child_exit (0);
}

/*
 * Whether a child really shares our memory and we really wait for it: emulators make a fork() of it,
 * and then could not tell us that exec() failed. No SIGCHLD is sent for this child.
 */
static gboolean
can_share_memory (void)
{
  static int probed; /* atomic: 0 not yet, 1 it can, 2 it cannot */
  volatile int seen = 0;
  gpointer stack;
  pid_t pid = -1;
  int failure = 0;

  if (g_atomic_int_get (&probed) != 0)
    return g_atomic_int_get (&probed) == 1;

  /* two threads may find out at the same time, and find the same */
  stack = stack_acquire ();
  if (stack != NULL)
    {
      pid = clone_child (probe_main, stack, 0, (void *) &seen, NULL);
      failure = pid < 0 ? errno : 0;
      while (pid > 0 && waitpid (pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
      stack_release (stack);
    }
  /* a shortage says nothing about the next time, nor what came of this child */
  if (stack == NULL || failure == EAGAIN || failure == ENOMEM)
    return FALSE;
  EVP_DEBUG_NOTE (EVP_DEBUG_PROCESS, "children %s", pid > 0 && seen ? "share our memory until exec()" : "are forked");
  g_atomic_int_set (&probed, pid > 0 && seen ? 1 : 2);
  return pid > 0 && seen;
}

/* What a kernel or a sandbox says when it does not want us to; other errors are about this one child. */
static gboolean
is_refusal (int failure)
{
  return failure == EINVAL || failure == ENOSYS || failure == EPERM;
}

/* Which features were refused so far; only ever set. */
static int no_shared_files; /* atomic */
static int no_clone_pidfd;  /* atomic */

/* 0 or an errno; signals are blocked. */
static int
start_sharing_memory (SpawnPlan *plan,
                      pid_t     *pid,
                      int       *pidfd)
{
  gpointer stack = stack_acquire ();
  int unshare_from = plan->unshare_from;
  int failure;

  if (stack == NULL)
    return errno;

  for (;;)
    {
      gboolean share_files = !g_atomic_int_get (&no_shared_files);
      gboolean with_pidfd = pidfd != NULL && !g_atomic_int_get (&no_clone_pidfd);
      int new_pidfd = -1;

      plan->unshare_from = share_files ? unshare_from : -1;
      plan->report = (SpawnReport) { STAGE_NONE, 0 };
      *pid = clone_child (child_main, stack, SIGCHLD | (share_files ? CLONE_FILES : 0) | (with_pidfd ? CLONE_PIDFD : 0),
                          plan, &new_pidfd);
      failure = *pid < 0 ? errno : 0;
      if (failure != 0)
        {
          if (!is_refusal (failure) || (!with_pidfd && !share_files))
            break;
          /* one less at a time */
          g_atomic_int_set (with_pidfd ? &no_clone_pidfd : &no_shared_files, 1);
          continue;
        }
      if (plan->report.stage == STAGE_NONE)
        {
          if (pidfd != NULL)
            *pidfd = new_pidfd;
          else
            evp_os_fd_close (new_pidfd);
          break;
        }

      /* it has not touched anything of ours, least of all the table if it could not leave it */
      evp_os_fd_close (new_pidfd);
      reap (*pid);
      if (plan->report.stage != STAGE_UNSHARE)
        break;
      g_atomic_int_set (&no_shared_files, 1);
    }
  stack_release (stack);
  return failure;
}

#endif

/* 0 or an errno; signals are blocked. */
static int
start_forked (SpawnPlan *plan,
              pid_t     *pid)
{
  int fds[2], high;
  gssize n;

  if (!evp_os_fd_pipe (fds, FALSE, NULL))
    return errno;
  /* out of the way of the child's targets */
  high = child_move_fd (plan, fds[1]);
  if (high < 0)
    {
      int failure = errno;

      evp_os_fd_close (fds[0]);
      evp_os_fd_close (fds[1]);
      return failure;
    }
  evp_os_fd_close (fds[1]);
  plan->report_fd = high;
  plan->unshare_from = -1;
  plan->report = (SpawnReport) { STAGE_NONE, 0 };
  plan_keep (plan, high);

  *pid = fork ();
  if (*pid == 0)
    {
      child_main (plan);
      child_exit (127);
    }
  int failure = *pid < 0 ? errno : 0;
  evp_os_fd_close (high);
  if (failure == 0)
    {
      /* the pipe closes itself when exec() succeeds */
      do
        n = read (fds[0], &plan->report, sizeof plan->report);
      while (n < 0 && errno == EINTR);
      if (plan->report.stage != STAGE_NONE)
        reap (*pid);
    }
  evp_os_fd_close (fds[0]);
  return failure;
}

static void
set_exec_error (GError   **error,
                const char *name,
                int         failure)
{
  const char *remedy;

  switch (failure)
    {
    case ENOENT:
      remedy = strchr (name, '/') == NULL
                 ? _("Check the name and PATH.")
                 : _("Check the path and, of a script, the interpreter that its first line names.");
      break;
    case EACCES:
      remedy = _("Check that it is an executable file, and no directory.");
      break;
    case ENOEXEC:
      remedy = _("Check that it is a program for this machine; a script needs a first line such as “#!/bin/sh”.");
      break;
    case E2BIG:
      remedy = _("The arguments and the environment are too long; hand the data over in a file or a pipe.");
      break;
    default:
      remedy = NULL;
      break;
    }
  if (remedy != NULL)
    g_set_error (error, G_IO_ERROR, g_io_error_from_errno (failure),
                 /* Translators: a program, the system's reason, what to do about it */
                 _("Cannot start “%s”: %s. %s"), name, g_strerror (failure), remedy);
  else
    evp_set_error_from_errno (error, failure, _("Cannot start “%s”"), name);
}

static void
set_report_error (GError                 **error,
                  const EvpOsSpawnRequest *request,
                  const SpawnReport       *report)
{
  const char *name = request->argv[0];

  switch (report->stage)
    {
    case STAGE_SESSION:
      evp_set_error_from_errno (error, report->error, _("Cannot start “%s” in a new session"), name);
      break;
    case STAGE_GROUP:
      evp_set_error_from_errno (error, report->error,
                                _("Cannot start “%s” in process group %d (it must belong to the same session)"),
                                name, (int) request->process_group);
      break;
    case STAGE_FDS:
      evp_set_error_from_errno (error, report->error,
                                _("Cannot start “%s”: a file descriptor cannot be passed to it"), name);
      break;
    case STAGE_DIRECTORY:
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (report->error),
                   /* Translators: a program, a directory, the system's reason */
                   _("Cannot start “%s” in the directory “%s”: %s. Check that the directory exists and may be entered."),
                   name, request->cwd, g_strerror (report->error));
      break;
    case STAGE_IDS:
      evp_set_error_from_errno (error, report->error,
                                _("Cannot start “%s” as another user or group (this takes privileges)"), name);
      break;
    case STAGE_NONE:
    case STAGE_UNSHARE:
    case STAGE_EXEC:
    default:
      set_exec_error (error, name, report->error);
      break;
    }
}

gboolean
evp_os_spawn (const EvpOsSpawnRequest *request,
              pid_t                   *pid,
              int                     *pidfd,
              GError                 **error)
{
  SpawnPlan plan;
  sigset_t all, mask;
  int cancel_state;
  int failure;
  gboolean want_pidfd;

  g_return_val_if_fail (request != NULL, FALSE);
  g_return_val_if_fail (request->argv != NULL && request->argv[0] != NULL, FALSE);
  g_return_val_if_fail (request->n_fds == 0 || request->fds != NULL, FALSE);
  g_return_val_if_fail (pid != NULL, FALSE);

  *pid = -1;
  if (pidfd != NULL)
    *pidfd = EVP_FD_NONE;
  want_pidfd = pidfd != NULL && evp_os_pidfd_supported (NULL);
  plan_init (&plan, request);

  /* cancelling a thread that shares its memory with a child would take both apart */
  pthread_setcancelstate (PTHREAD_CANCEL_DISABLE, &cancel_state);
  sigfillset (&all);
  pthread_sigmask (SIG_BLOCK, &all, &mask);
#ifdef SHARE_MEMORY
  failure = can_share_memory () ? start_sharing_memory (&plan, pid, want_pidfd ? pidfd : NULL) : ENOSYS;
  if (is_refusal (failure))
#endif
    failure = start_forked (&plan, pid);
  pthread_sigmask (SIG_SETMASK, &mask, NULL);
  pthread_setcancelstate (cancel_state, NULL);

  if (failure != 0)
    {
      *pid = -1;
      if (failure == EAGAIN)
        g_set_error (error, G_IO_ERROR, g_io_error_from_errno (failure),
                     _("Cannot start “%s”: %s. There are too many processes; wait for some to end, or raise the limit with “ulimit -u”."),
                     request->argv[0], g_strerror (failure));
      else if (failure == EMFILE || failure == ENFILE)
        g_set_error (error, G_IO_ERROR, g_io_error_from_errno (failure),
                     _("Cannot start “%s”: %s. Close some, or raise the limit with “ulimit -n”."),
                     request->argv[0], g_strerror (failure));
      else
        evp_set_error_from_errno (error, failure, _("Cannot start “%s”"), request->argv[0]);
    }
  else if (plan.report.stage != STAGE_NONE)
    {
      *pid = -1;
      set_report_error (error, request, &plan.report);
    }
  else
    {
      /* nobody but us reaps it, so the pid is still the child's */
      if (want_pidfd && *pidfd < 0)
        *pidfd = evp_os_pidfd_open (*pid, NULL);
      EVP_DEBUG_NOTE (EVP_DEBUG_PROCESS, "started %s as process %d", request->argv[0], (int) *pid);
    }
  plan_clear (&plan);
  return *pid > 0;
}
