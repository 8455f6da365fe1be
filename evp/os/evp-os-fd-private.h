/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* A descriptor that closes itself at the end of its scope: g_auto (EvpFd) fd = EVP_FD_NONE; */
typedef int EvpFd;
#define EVP_FD_NONE (-1)

void     evp_os_fd_close        (int      fd);   /* keeps errno; ignores -1 */
int      evp_os_fd_steal        (EvpFd   *fd);
gboolean evp_os_fd_is_open      (int      fd);
gboolean evp_os_fd_set_nonblock (int      fd,
                                 GError **error);
gboolean evp_os_fd_set_cloexec  (int      fd,
                                 GError **error);
/* A pipe, close-on-exec from birth; [0] reads. */
gboolean evp_os_fd_pipe         (int      fds[2],
                                 gboolean nonblock,
                                 GError **error);
/* Whether a main context can be made: GLib ends the process if no descriptor is left for it. */
gboolean evp_os_fd_check_left   (GError **error);
/* write() that raises no SIGPIPE. */
gssize   evp_os_fd_write        (int         fd,
                                 const void *buffer,
                                 gsize       count);
/* sendfile() from an offset, which raises none either; ENOSYS where the system has none that is like Linux's. */
gssize   evp_os_fd_sendfile     (int         fd,
                                 int         file,
                                 gint64      offset,
                                 gsize       count);

/* A descriptor with several owners, in any threads; the last one closes it. */
typedef struct
{
  gatomicrefcount ref_count;
  int fd; /* constant */
} EvpSharedFd;

EvpSharedFd *evp_os_shared_fd_new   (int          fd); /* takes it */
EvpSharedFd *evp_os_shared_fd_ref   (EvpSharedFd *self);
void         evp_os_shared_fd_unref (EvpSharedFd *self);

G_DEFINE_AUTO_CLEANUP_FREE_FUNC (EvpFd, evp_os_fd_close, EVP_FD_NONE)

G_END_DECLS
