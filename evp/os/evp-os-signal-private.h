/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * The process-wide signal table. A subscriber (one per loop, or per watcher that takes SIGCHLD on
 * its own) has a descriptor that becomes readable when one of its signals arrives, and a counter
 * per signal. The C handler only counts and writes.
 */
typedef struct _EvpOsSignalSubscriber EvpOsSignalSubscriber;

/* A new subscriber without signals; NULL with @error if there is no descriptor left. */
EvpOsSignalSubscriber *evp_os_signal_subscriber_new    (GError **error);
/* Unsubscribes from all signals, restores what was there, and frees. Any thread. */
void                   evp_os_signal_subscriber_free   (EvpOsSignalSubscriber *self);
/* The descriptor to poll for reading; constant. */
int                    evp_os_signal_subscriber_get_fd (EvpOsSignalSubscriber *self);
/*
 * Installs the process's handler if this is the signal's first subscriber. The sigaction that was
 * there is kept; for SIGCHLD it is also called each time (chained). G_IO_ERROR on failure, and
 * nothing changed. Subscribing twice is harmless.
 */
gboolean               evp_os_signal_subscribe         (EvpOsSignalSubscriber *self,
                                                        int                    signum,
                                                        GError               **error);
/* The last one out puts back what was there, if the handler is still ours. FALSE if not subscribed. */
gboolean               evp_os_signal_unsubscribe       (EvpOsSignalSubscriber *self,
                                                        int                    signum);
/* Empties the descriptor. Call it before taking the counts, or a signal may be lost. */
void                   evp_os_signal_drain             (EvpOsSignalSubscriber *self);
/* How often @signum arrived since it was last asked for. */
guint                  evp_os_signal_take_count        (EvpOsSignalSubscriber *self,
                                                        int                    signum);
/* Whether a number names a signal that programs may use: not 0, not libc's own. */
gboolean               evp_os_signal_is_valid          (int                    signum);
/* Whether the process's handler for @signum is ours right now. */
gboolean               evp_os_signal_is_installed      (int                    signum);
/* Whether nobody handles or ignores @signum right now: it has its default effect. */
gboolean               evp_os_signal_is_default        (int                    signum);

G_END_DECLS
