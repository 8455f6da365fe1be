/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>
#include <sys/types.h>

G_BEGIN_DECLS

typedef enum
{
  EVP_WAIT_RUNNING, /* not ended yet */
  EVP_WAIT_EXITED,  /* ended; the return code is known */
  EVP_WAIT_LOST,    /* ended, or never ours; somebody else has the status (ECHILD) */
} EvpWaitResult;

/* The processor time of a child that the system does not tell. */
#define EVP_CPU_TIME_UNKNOWN (-1.0)

/*
 * Looks at one child without blocking; reaps it if it has ended. @cpu_time (nullable) gets the processor
 * time, in seconds, of the child and of those of its descendants that were waited for.
 */
EvpWaitResult evp_os_wait_reap      (pid_t   pid,
                                     int    *returncode,
                                     double *cpu_time);
/* Looks at one child without blocking, and leaves it as it is. */
EvpWaitResult evp_os_wait_look      (pid_t pid);
/* The same for any child: one that has ended and is not reaped yet; FALSE when there is none. */
gboolean      evp_os_wait_look_any  (pid_t *pid);
/* Like evp_os_wait_reap() through a pidfd. */
EvpWaitResult evp_os_wait_reap_pidfd (int     pidfd,
                                      pid_t   pid,
                                      int    *returncode,
                                      double *cpu_time);
/* Blocks until the child has ended and leaves it a zombie; FALSE if there is no such child (ECHILD). */
gboolean      evp_os_wait_peek      (pid_t pid);
/* Reaps any child that has ended; FALSE when there is none. */
gboolean      evp_os_wait_reap_any  (pid_t  *pid,
                                     int    *returncode,
                                     double *cpu_time);

/* A pidfd, close-on-exec; -1 with @error (errno kept: ESRCH is NOT_FOUND). */
int           evp_os_pidfd_open        (pid_t    pid,
                                        GError **error);
/* 0, or an errno. */
int           evp_os_pidfd_send_signal (int      pidfd,
                                        int      signum);
/* Tried once, with one's own pid; after that one load. @reason (static string, nullable) says why not. */
gboolean      evp_os_pidfd_supported   (const char **reason);

G_END_DECLS
