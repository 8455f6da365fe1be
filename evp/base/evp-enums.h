/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include <glib-object.h>

G_BEGIN_DECLS

/**
 * EvpIOEvents:
 * @EVP_IO_EVENTS_NONE: nothing
 * @EVP_IO_EVENTS_READ: reading will not block
 * @EVP_IO_EVENTS_WRITE: writing will not block
 *
 * What a file descriptor is watched for, or is ready for.
 *
 * Since: 1.0
 */
typedef enum /*< flags >*/
{
  EVP_IO_EVENTS_NONE = 0,
  EVP_IO_EVENTS_READ = 1,
  EVP_IO_EVENTS_WRITE = 2,
} EvpIOEvents;

/**
 * EvpMissingLoop:
 * @EVP_MISSING_LOOP_CREATE: make a loop (asyncio up to Python 3.11)
 * @EVP_MISSING_LOOP_WARN: make a loop and warn (asyncio of Python 3.12 and 3.13)
 * @EVP_MISSING_LOOP_ERROR: fail with %EVP_ERROR_NO_EVENT_LOOP (asyncio of Python 3.14)
 *
 * What a policy does when the main thread asks for its loop and none was set.
 *
 * Since: 1.0
 */
typedef enum
{
  EVP_MISSING_LOOP_CREATE,
  EVP_MISSING_LOOP_WARN,
  EVP_MISSING_LOOP_ERROR,
} EvpMissingLoop;

G_END_DECLS
