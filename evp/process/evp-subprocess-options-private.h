/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/os/evp-os-spawn-private.h"
#include "evp/process/evp-subprocess-options.h"

G_BEGIN_DECLS

/* The descriptor that goes with EVP_STDIO_FD for stream 0, 1 or 2; -1 if none was set. */
int           evp_subprocess_options_get_stdio_fd (EvpSubprocessOptions *self,
                                                   int                   stream);
const GArray *evp_subprocess_options_get_fds      (EvpSubprocessOptions *self); /* of EvpOsSpawnFd; nullable */
/* Everything but argv and the descriptors; borrows from the options. */
void          evp_subprocess_options_fill         (EvpSubprocessOptions *self,
                                                   EvpOsSpawnRequest    *request);

G_END_DECLS
