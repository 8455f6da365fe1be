/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/base/evp-types.h"

G_BEGIN_DECLS

/**
 * EVP_ERROR:
 *
 * The error domain of libevp.
 *
 * Errors of the operating system stay in %G_IO_ERROR.
 *
 * Since: 1.0
 */
#define EVP_ERROR (evp_error_quark ())

/**
 * EvpError:
 * @EVP_ERROR_FAILED: something failed that has no code of its own
 * @EVP_ERROR_NOT_SUPPORTED: the class or this machine does not offer the operation
 * @EVP_ERROR_NO_EVENT_LOOP: no loop was set for this context
 * @EVP_ERROR_NO_RUNNING_LOOP: no loop runs in this thread
 * @EVP_ERROR_LOOP_RUNNING: the loop runs already, or another one runs in this thread
 * @EVP_ERROR_LOOP_CLOSED: the loop was closed
 * @EVP_ERROR_LOOP_STOPPED: the loop was stopped before the future was done
 * @EVP_ERROR_WRONG_THREAD: not in this thread
 * @EVP_ERROR_FORKED: the object belongs to the process from before the fork
 * @EVP_ERROR_INVALID_STATE: the future is not done yet, or done already
 * @EVP_ERROR_INVALID_ARGUMENT: an impossible value
 * @EVP_ERROR_EXISTS: it is registered already
 * @EVP_ERROR_NOT_FOUND: it is not registered, or no longer there
 * @EVP_ERROR_CANCELLED: the future was cancelled
 * @EVP_ERROR_WATCHER_INACTIVE: the child watcher would not notice the end of a child
 * @EVP_ERROR_WATCHER_CLOSED: the child watcher was closed
 *
 * Errors in the domain %EVP_ERROR.
 *
 * Since: 1.0
 */
typedef enum
{
  EVP_ERROR_FAILED,
  EVP_ERROR_NOT_SUPPORTED,
  EVP_ERROR_NO_EVENT_LOOP,
  EVP_ERROR_NO_RUNNING_LOOP,
  EVP_ERROR_LOOP_RUNNING,
  EVP_ERROR_LOOP_CLOSED,
  EVP_ERROR_LOOP_STOPPED,
  EVP_ERROR_WRONG_THREAD,
  EVP_ERROR_FORKED,
  EVP_ERROR_INVALID_STATE,
  EVP_ERROR_INVALID_ARGUMENT,
  EVP_ERROR_EXISTS,
  EVP_ERROR_NOT_FOUND,
  EVP_ERROR_CANCELLED,
  EVP_ERROR_WATCHER_INACTIVE,
  EVP_ERROR_WATCHER_CLOSED,
} EvpError;

EVP_AVAILABLE_IN_1_0
GQuark evp_error_quark (void);

G_END_DECLS
