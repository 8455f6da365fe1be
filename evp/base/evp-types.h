/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-version-macros.h"

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _EvpHandle           EvpHandle;
typedef struct _EvpTimerHandle      EvpTimerHandle;
typedef struct _EvpExceptionContext EvpExceptionContext;
typedef struct _EvpFuture           EvpFuture;
typedef struct _EvpOperation        EvpOperation;
typedef struct _EvpExecutor         EvpExecutor;
typedef struct _EvpChildHandler     EvpChildHandler;

typedef struct _EvpAbstractEventLoop       EvpAbstractEventLoop;
typedef struct _EvpAbstractChildWatcher    EvpAbstractChildWatcher;
typedef struct _EvpAbstractEventLoopPolicy EvpAbstractEventLoopPolicy;

/**
 * EvpCallback:
 * @user_data: what was given with the callback
 *
 * Work that a loop runs once, on the thread of the loop.
 *
 * Since: 1.0
 */
typedef void (*EvpCallback) (gpointer user_data);

/**
 * EvpFdCallback:
 * @fd: the file descriptor that is ready
 * @user_data: what was given with the callback
 *
 * Called on the thread of the loop while a file descriptor is readable or writable, once per turn.
 *
 * Readiness may be spurious: reading or writing may still say `EAGAIN`.
 *
 * Since: 1.0
 */
typedef void (*EvpFdCallback) (int      fd,
                               gpointer user_data);

/**
 * EvpSignalCallback:
 * @signum: the signal that arrived
 * @user_data: what was given with the callback
 *
 * Called on the loop's thread, as an ordinary callback, after a Unix signal arrived.
 *
 * Since: 1.0
 */
typedef void (*EvpSignalCallback) (int      signum,
                                   gpointer user_data);

/**
 * EvpChildCallback:
 * @pid: the child that ended
 * @returncode: exit code 0–255, or minus the number of the signal that killed it
 * @user_data: what was given with the callback
 *
 * Called once when a child process has ended, on the thread of the loop that the handler belongs to.
 *
 * Since: 1.0
 */
typedef void (*EvpChildCallback) (GPid     pid,
                                  int      returncode,
                                  gpointer user_data);

/**
 * EvpExceptionHandler:
 * @loop: the loop in which something failed
 * @context: what is known about it
 * @user_data: what was given with the handler
 *
 * Told about failures that nobody else can be told about.
 *
 * Called on the thread of the loop; on that of the caller when somebody calls
 * [method@Evp.AbstractEventLoop.call_exception_handler] from elsewhere.
 *
 * Since: 1.0
 */
typedef void (*EvpExceptionHandler) (EvpAbstractEventLoop *loop,
                                     EvpExceptionContext  *context,
                                     gpointer              user_data);

/**
 * EvpFutureCallback:
 * @future: the future that is done
 * @user_data: what was given with the callback
 *
 * Called through the loop after a future got its result or error, or was cancelled.
 *
 * Since: 1.0
 */
typedef void (*EvpFutureCallback) (EvpFuture *future,
                                   gpointer   user_data);

/**
 * EvpExecutorFunc:
 * @future: the future to complete with a result or an error
 * @user_data: what was given with the function
 *
 * Work that runs on a worker thread.
 *
 * It completes @future from there; a future that is still pending when the
 * function returns gets the result `NULL`.
 *
 * Since: 1.0
 */
typedef void (*EvpExecutorFunc) (EvpFuture *future,
                                 gpointer   user_data);

/**
 * EvpMainFunc:
 * @loop: the loop that was made for the program
 * @user_data: what was given with the function
 *
 * The main function of a program under [func@Evp.run].
 *
 * Called once, in the running loop, on the thread that called [func@Evp.run].
 *
 * Returns: (transfer full): the future whose end is the end of the program
 *
 * Since: 1.0
 */
typedef EvpFuture *(*EvpMainFunc) (EvpAbstractEventLoop *loop,
                                   gpointer              user_data);

/**
 * EvpTurnCallback:
 * @user_data: what was given with the callback
 *
 * One turn of a loop that an [class@Evp.TurnSource] drives.
 *
 * Called on the thread that iterates the source's main context.
 *
 * Returns: when the next turn is due at the latest, in microseconds of the monotonic clock
 *   ([func@GLib.get_monotonic_time]); 0 for at once, -1 for never
 *
 * Since: 1.0
 */
typedef gint64 (*EvpTurnCallback) (gpointer user_data);

G_END_DECLS
