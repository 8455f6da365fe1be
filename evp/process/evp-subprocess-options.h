/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-enums.h"
#include "evp/watcher/evp-abstract-child-watcher.h"

G_BEGIN_DECLS

/**
 * EvpStdio:
 * @EVP_STDIO_INHERIT: the parent's
 * @EVP_STDIO_PIPE: a pipe, whose other end is a stream of the [class@Evp.Subprocess]
 * @EVP_STDIO_NULL: `/dev/null`
 * @EVP_STDIO_FD: a file descriptor of the parent
 * @EVP_STDIO_MERGE: for standard error only: the same as standard output
 *
 * What becomes of one of a child's standard streams.
 *
 * Since: 1.0
 */
typedef enum
{
  EVP_STDIO_INHERIT,
  EVP_STDIO_PIPE,
  EVP_STDIO_NULL,
  EVP_STDIO_FD,
  EVP_STDIO_MERGE,
} EvpStdio;

#define EVP_TYPE_SUBPROCESS_OPTIONS (evp_subprocess_options_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_FINAL_TYPE (EvpSubprocessOptions, evp_subprocess_options, EVP, SUBPROCESS_OPTIONS, GObject)

EVP_AVAILABLE_IN_1_0
EvpSubprocessOptions    *evp_subprocess_options_new                 (void) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpStdio                 evp_subprocess_options_get_stdin           (EvpSubprocessOptions    *self);
EVP_AVAILABLE_IN_1_0
EvpStdio                 evp_subprocess_options_get_stdout          (EvpSubprocessOptions    *self);
EVP_AVAILABLE_IN_1_0
EvpStdio                 evp_subprocess_options_get_stderr          (EvpSubprocessOptions    *self);
EVP_AVAILABLE_IN_1_0
const char              *evp_subprocess_options_get_cwd             (EvpSubprocessOptions    *self);
EVP_AVAILABLE_IN_1_0
char                   **evp_subprocess_options_get_environment     (EvpSubprocessOptions    *self);
EVP_AVAILABLE_IN_1_0
gboolean                 evp_subprocess_options_get_new_session     (EvpSubprocessOptions    *self);
EVP_AVAILABLE_IN_1_0
int                      evp_subprocess_options_get_process_group   (EvpSubprocessOptions    *self);
EVP_AVAILABLE_IN_1_0
gboolean                 evp_subprocess_options_get_restore_signals (EvpSubprocessOptions    *self);
EVP_AVAILABLE_IN_1_0
EvpAbstractChildWatcher *evp_subprocess_options_get_child_watcher   (EvpSubprocessOptions    *self);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_stdin           (EvpSubprocessOptions    *self,
                                                                     EvpStdio                 mode);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_stdout          (EvpSubprocessOptions    *self,
                                                                     EvpStdio                 mode);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_stderr          (EvpSubprocessOptions    *self,
                                                                     EvpStdio                 mode);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_stdin_fd        (EvpSubprocessOptions    *self,
                                                                     int                      fd);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_stdout_fd       (EvpSubprocessOptions    *self,
                                                                     int                      fd);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_stderr_fd       (EvpSubprocessOptions    *self,
                                                                     int                      fd);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_cwd             (EvpSubprocessOptions    *self,
                                                                     const char              *cwd);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_environment     (EvpSubprocessOptions    *self,
                                                                     const char * const      *environment);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_setenv              (EvpSubprocessOptions    *self,
                                                                     const char              *name,
                                                                     const char              *value);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_unsetenv            (EvpSubprocessOptions    *self,
                                                                     const char              *name);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_pass_fd             (EvpSubprocessOptions    *self,
                                                                     int                      source_fd,
                                                                     int                      target_fd);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_new_session     (EvpSubprocessOptions    *self,
                                                                     gboolean                 new_session);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_process_group   (EvpSubprocessOptions    *self,
                                                                     int                      process_group);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_uid             (EvpSubprocessOptions    *self,
                                                                     guint                    uid);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_gid             (EvpSubprocessOptions    *self,
                                                                     guint                    gid);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_groups          (EvpSubprocessOptions    *self,
                                                                     const guint             *groups,
                                                                     gsize                    n_groups);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_restore_signals (EvpSubprocessOptions    *self,
                                                                     gboolean                 restore_signals);
EVP_AVAILABLE_IN_1_0
void                     evp_subprocess_options_set_child_watcher   (EvpSubprocessOptions    *self,
                                                                     EvpAbstractChildWatcher *watcher);

G_END_DECLS
