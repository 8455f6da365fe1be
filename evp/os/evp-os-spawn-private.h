/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>
#include <sys/types.h>

G_BEGIN_DECLS

typedef struct
{
  int source; /* a descriptor of the parent */
  int target; /* its number in the child */
} EvpOsSpawnFd;

typedef struct
{
  const char *const *argv;   /* argv[0] is looked up in the PATH of @envp, as execvpe() does */
  const char *const *envp;   /* NULL: the parent's */
  const char *cwd;           /* NULL: the parent's */
  const EvpOsSpawnFd *fds;   /* all descriptors of the child, 0 to 2 too; all others are closed in it */
  gsize n_fds;
  gboolean new_session;      /* setsid() */
  pid_t process_group;       /* -1: the parent's; 0: its own; else that one */
  gboolean set_uid, set_gid, set_groups;
  uid_t uid;
  gid_t gid;
  const gid_t *groups;
  gsize n_groups;
  gboolean restore_signals;  /* dispositions that are ignored or handled become default; the mask is always emptied */
} EvpOsSpawnRequest;

/*
 * Starts a child with vfork semantics: its cost does not depend on the size of the parent. Returns
 * only after the child's exec() has succeeded; otherwise @error holds the errno of what failed, names
 * program or directory, and there is no child. @pidfd (nullable) gets a close-on-exec pidfd, or -1
 * where there are none.
 */
gboolean evp_os_spawn (const EvpOsSpawnRequest *request,
                       pid_t                   *pid,
                       int                     *pidfd,
                       GError                 **error);

G_END_DECLS
