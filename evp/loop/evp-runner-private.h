/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/*
 * Runs @main_func in @loop until the future that it returns is done, then tidies up: cancels the
 * future if the loop was stopped before, shuts the default executor down, and lets the callbacks of
 * all that run. The loop stays open. In the main thread the first SIGINT cancels the future, unless
 * the program handles or ignores that signal; the second one is not ours any more.
 *
 * Fails with the future's error, with EVP_ERROR_CANCELLED, also after SIGINT, and with what running a
 * loop fails with.
 */
gboolean evp_runner_run (EvpAbstractEventLoop *loop,
                         EvpMainFunc           main_func,
                         gpointer              user_data,
                         GError              **error);

G_END_DECLS
