/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/evp.h"
#include "support/evp-test-loop.h"

G_BEGIN_DECLS

/* Straight-line children: each of these runs the loop until it has an answer. */

/* Starts the child program of the tests in the given mode (see evp-test-child.c). */
EvpSubprocess *evp_test_start          (EvpAbstractEventLoop    *loop,
                                        EvpAbstractChildWatcher *watcher,
                                        EvpSubprocessOptions    *options,
                                        GError                 **error,
                                        const char              *mode,
                                        ...) G_GNUC_NULL_TERMINATED;
EvpSubprocess *evp_test_start_argv     (EvpAbstractEventLoop    *loop,
                                        EvpAbstractChildWatcher *watcher,
                                        EvpSubprocessOptions    *options,
                                        const char * const      *argv,
                                        GCancellable            *cancellable,
                                        GError                 **error);
int            evp_test_wait           (EvpAbstractEventLoop    *loop,
                                        EvpSubprocess           *process,
                                        GError                 **error);
/* What the child wrote to standard output, as text; NULL with @error. */
char          *evp_test_communicate    (EvpAbstractEventLoop    *loop,
                                        EvpSubprocess           *process,
                                        const char              *input,
                                        char                   **stderr_text,
                                        GError                 **error);
char          *evp_test_read_line      (EvpAbstractEventLoop    *loop,
                                        GInputStream            *stream);
/* Options with the given modes. */
EvpSubprocessOptions *evp_test_options (EvpStdio                 in,
                                        EvpStdio                 out,
                                        EvpStdio                 err);

G_END_DECLS
