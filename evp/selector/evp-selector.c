/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-selector.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

#include <errno.h>
#include <math.h>
#include <sys/stat.h>

/**
 * EvpSelector:
 *
 * Tells which of many file descriptors can be read from or written to without blocking.
 *
 * It is asyncio's (Python's) `selectors.BaseSelector`. A [class@Evp.SelectorEventLoop] has one; a
 * program that has a loop uses [method@Evp.AbstractEventLoop.add_reader] and never meets it.
 * Use one directly for a small loop of your own, or derive a class from it and give an instance to
 * a loop to change how the loop waits.
 *
 * ```c
 * g_autoptr (EvpSelector) selector = evp_selector_new_default ();
 * g_autoptr (EvpSelectorKey) key = NULL;
 * g_autoptr (GPtrArray) ready = NULL;
 *
 * key = evp_selector_register (selector, fd, EVP_IO_EVENTS_READ, NULL, &error);
 * if (key == NULL)
 *   return FALSE;
 * ready = evp_selector_select (selector, 1.5, &error);
 * if (ready == NULL)
 *   return FALSE;
 * for (guint i = 0; i < ready->len; i++)
 *   handle (g_ptr_array_index (ready, i));
 * ```
 *
 * [class@Evp.EpollSelector] and `EvpKqueueSelector` cost O(1) per ready descriptor,
 * [class@Evp.PollSelector] and [class@Evp.SelectSelector] O(n) per call.
 * [ctor@Evp.Selector.new_default] takes the best that works here.
 *
 * Readiness is level-triggered: a descriptor is reported by each `select()` for as long as it is
 * ready. It may be spurious; reading or writing may still say `EAGAIN`. An error or a hang-up makes
 * a descriptor ready for everything that it is watched for. Regular files, which never block,
 * are always ready, whatever the selector.
 *
 * A selector never closes the descriptors that it watches. Unregister a descriptor before closing
 * it. One that was closed first can still be unregistered, and modifying one whose number was
 * reused watches its successor.
 *
 * A class that derives from it fills all slots it can; those it leaves out fail with
 * %EVP_ERROR_NOT_SUPPORTED. Arguments were checked when a slot is called.
 *
 * Use a selector from one thread at a time. A selector that was given to a loop belongs to it: the
 * loop closes it, and nobody else should change it.
 *
 * Since: 1.0
 */

/**
 * EvpSelectorClass::register_fd:
 * @self: a selector
 * @fd: file descriptor; open, not negative
 * @events: what to watch it for; not %EVP_IO_EVENTS_NONE
 * @data: (nullable): what to attach to the key; copied
 * @error: return location for an error
 *
 * Watches a file descriptor; see [method@Evp.Selector.register].
 *
 * Returns: (transfer full): the key
 *
 * Since: 1.0
 */

/**
 * EvpSelectorClass::modify:
 * @self: a selector
 * @fd: file descriptor; not negative
 * @events: what to watch it for from now on; not %EVP_IO_EVENTS_NONE
 * @data: (nullable): what to attach to the key from now on; copied
 * @error: return location for an error
 *
 * Changes what a file descriptor is watched for; see [method@Evp.Selector.modify].
 *
 * Returns: (transfer full): the key
 *
 * Since: 1.0
 */

/**
 * EvpSelectorClass::unregister:
 * @self: a selector
 * @fd: file descriptor; not negative
 * @error: return location for an error
 *
 * Watches a file descriptor no longer; see [method@Evp.Selector.unregister].
 *
 * Returns: %TRUE, or %FALSE with an error
 *
 * Since: 1.0
 */

/**
 * EvpSelectorClass::select:
 * @self: a selector
 * @timeout: seconds to wait; negative for ever; never NaN
 * @error: return location for an error
 *
 * Waits for events; see [method@Evp.Selector.select].
 *
 * The array and a reference to each key are the caller's; in C it has no free function.
 *
 * Returns: (transfer full) (element-type EvpSelectorKey): the keys that are ready
 *
 * Since: 1.0
 */

/**
 * EvpSelectorClass::get_key:
 * @self: a selector
 * @fd: file descriptor; not negative
 * @error: return location for an error
 *
 * Finds the key of a file descriptor; see [method@Evp.Selector.get_key].
 *
 * Returns: (transfer full): the key
 *
 * Since: 1.0
 */

/**
 * EvpSelectorClass::get_map:
 * @self: a selector
 *
 * Lists all keys; see [method@Evp.Selector.get_map].
 *
 * The array and a reference to each key are the caller's; in C it has no free function.
 *
 * Returns: (transfer full) (nullable) (element-type EvpSelectorKey): the keys
 *
 * Since: 1.0
 */

/**
 * EvpSelectorClass::close:
 * @self: a selector
 *
 * Frees what the selector holds; see [method@Evp.Selector.close].
 *
 * Since: 1.0
 */

/**
 * EvpSelectorClass::get_fd:
 * @self: a selector
 *
 * Gets the selector's own file descriptor; see [method@Evp.Selector.get_fd].
 *
 * Returns: the file descriptor, or −1
 *
 * Since: 1.0
 */

G_DEFINE_ABSTRACT_TYPE (EvpSelector, evp_selector, G_TYPE_OBJECT)

static gboolean
evp_selector_check_fd (int      fd,
                       GError **error)
{
  if (fd >= 0)
    return TRUE;

  g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
               _("%d is not a file descriptor; it must not be negative"), fd);
  return FALSE;
}

static gboolean
evp_selector_check_events (EvpIOEvents events,
                           GError    **error)
{
  if (events != EVP_IO_EVENTS_NONE &&
      ((guint) events & ~(guint) (EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE)) == 0)
    return TRUE;

  g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
               _("0x%x is nothing that a file descriptor can be watched for; "
                 "use READ, WRITE or both"), (guint) events);
  return FALSE;
}

/* What a slot returned becomes what C callers expect: an array that releases its elements. */
static GPtrArray *
evp_selector_adopt_keys (GPtrArray *keys)
{
  if (keys != NULL)
    g_ptr_array_set_free_func (keys, g_object_unref);
  return keys;
}

static EvpSelectorKey *
evp_selector_real_register_fd (EvpSelector  *self,
                               int           fd,
                               EvpIOEvents   events,
                               const GValue *data,
                               GError      **error)
{
  evp_set_error_unimplemented (error, self, "register_fd");
  return NULL;
}

static EvpSelectorKey *
evp_selector_real_modify (EvpSelector  *self,
                          int           fd,
                          EvpIOEvents   events,
                          const GValue *data,
                          GError      **error)
{
  evp_set_error_unimplemented (error, self, "modify");
  return NULL;
}

static gboolean
evp_selector_real_unregister (EvpSelector  *self,
                              int           fd,
                              GError      **error)
{
  evp_set_error_unimplemented (error, self, "unregister");
  return FALSE;
}

static GPtrArray *
evp_selector_real_select (EvpSelector  *self,
                          double        timeout,
                          GError      **error)
{
  evp_set_error_unimplemented (error, self, "select");
  return NULL;
}

static EvpSelectorKey *
evp_selector_real_get_key (EvpSelector  *self,
                           int           fd,
                           GError      **error)
{
  evp_set_error_unimplemented (error, self, "get_key");
  return NULL;
}

static GPtrArray *
evp_selector_real_get_map (EvpSelector *self)
{
  return NULL;
}

static void
evp_selector_real_close (EvpSelector *self)
{
}

static int
evp_selector_real_get_fd (EvpSelector *self)
{
  return -1;
}

static void
evp_selector_class_init (EvpSelectorClass *klass)
{
  klass->register_fd = evp_selector_real_register_fd;
  klass->modify = evp_selector_real_modify;
  klass->unregister = evp_selector_real_unregister;
  klass->select = evp_selector_real_select;
  klass->get_key = evp_selector_real_get_key;
  klass->get_map = evp_selector_real_get_map;
  klass->close = evp_selector_real_close;
  klass->get_fd = evp_selector_real_get_fd;
}

static void
evp_selector_init (EvpSelector *self)
{
}

/**
 * evp_selector_register:
 * @self: a selector
 * @fd: file descriptor
 * @events: what to watch it for: read, write or both
 * @data: (nullable): what to attach to the key; copied
 * @error: return location for an error
 *
 * Watches a file descriptor.
 *
 * Fails with %EVP_ERROR_EXISTS if it is registered already, with %EVP_ERROR_INVALID_ARGUMENT if the
 * selector cannot take it, with %EVP_ERROR_INVALID_STATE after [method@Evp.Selector.close],
 * and with %G_IO_ERROR if it is not open or the kernel refuses. After an error nothing is
 * registered that was not before.
 *
 * It is asyncio's `BaseSelector.register()`. Use it from the thread of the selector. O(1).
 *
 * Returns: (transfer full): the key of the file descriptor
 *
 * Since: 1.0
 */
EvpSelectorKey *
evp_selector_register (EvpSelector  *self,
                       int           fd,
                       EvpIOEvents   events,
                       const GValue *data,
                       GError      **error)
{
  g_autoptr (EvpSelectorKey) key = NULL;
  GError *slot_error = NULL;
  struct stat st;

  g_return_val_if_fail (EVP_IS_SELECTOR (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!evp_selector_check_fd (fd, error) || !evp_selector_check_events (events, error))
    return NULL;
  if (fstat (fd, &st) != 0 && errno == EBADF)
    {
      evp_set_error_from_errno (error, EBADF, _("Registering file descriptor %d failed"), fd);
      return NULL;
    }

  key = EVP_SELECTOR_GET_CLASS (self)->register_fd (self, fd, events, data, &slot_error);
  if (!evp_check_slot_result (key != NULL, slot_error, self, "register_fd", error))
    return NULL;
  return g_steal_pointer (&key);
}

/**
 * evp_selector_modify:
 * @self: a selector
 * @fd: file descriptor
 * @events: what to watch it for from now on: read, write or both
 * @data: (nullable): what to attach to the key from now on; copied
 * @error: return location for an error
 *
 * Changes what a file descriptor is watched for, and the data of its key.
 *
 * If the number was closed and reused since it was registered, its successor is watched
 * from now on.
 *
 * Fails with %EVP_ERROR_NOT_FOUND if the file descriptor is not registered and as
 * [method@Evp.Selector.register] does. If the kernel refuses, the file descriptor is no longer registered.
 *
 * It is asyncio's `BaseSelector.modify()`. Use it from the thread of the selector. O(1).
 *
 * Returns: (transfer full): the key of the file descriptor
 *
 * Since: 1.0
 */
EvpSelectorKey *
evp_selector_modify (EvpSelector  *self,
                     int           fd,
                     EvpIOEvents   events,
                     const GValue *data,
                     GError      **error)
{
  g_autoptr (EvpSelectorKey) key = NULL;
  GError *slot_error = NULL;

  g_return_val_if_fail (EVP_IS_SELECTOR (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!evp_selector_check_fd (fd, error) || !evp_selector_check_events (events, error))
    return NULL;

  key = EVP_SELECTOR_GET_CLASS (self)->modify (self, fd, events, data, &slot_error);
  if (!evp_check_slot_result (key != NULL, slot_error, self, "modify", error))
    return NULL;
  return g_steal_pointer (&key);
}

/**
 * evp_selector_unregister:
 * @self: a selector
 * @fd: file descriptor
 * @error: return location for an error
 *
 * Watches a file descriptor no longer.
 *
 * Do it before closing the descriptor; afterwards, and when its number was reused, it works too.
 *
 * Fails with %EVP_ERROR_NOT_FOUND if the file descriptor is not registered, with
 * %EVP_ERROR_INVALID_ARGUMENT if it is negative, and with %EVP_ERROR_INVALID_STATE after
 * [method@Evp.Selector.close].
 *
 * It is asyncio's `BaseSelector.unregister()`. Use it from the thread of the selector. O(1).
 *
 * Returns: %TRUE, or %FALSE with an error
 *
 * Since: 1.0
 */
gboolean
evp_selector_unregister (EvpSelector *self,
                         int          fd,
                         GError     **error)
{
  GError *slot_error = NULL;
  gboolean done;

  g_return_val_if_fail (EVP_IS_SELECTOR (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!evp_selector_check_fd (fd, error))
    return FALSE;

  done = EVP_SELECTOR_GET_CLASS (self)->unregister (self, fd, &slot_error);
  return evp_check_slot_result (done, slot_error, self, "unregister", error);
}

/**
 * evp_selector_select:
 * @self: a selector
 * @timeout: seconds to wait at least; 0 only looks, negative waits for ever
 * @error: return location for an error
 *
 * Waits until at least one file descriptor is ready, or the time is over.
 *
 * What a key is ready for is in [method@Evp.SelectorKey.get_ready_events], until the next call.
 * A signal does not end the wait. Without any file descriptor it waits for the
 * whole time, possibly for ever.
 *
 * Fails with %EVP_ERROR_INVALID_ARGUMENT if @timeout is not a number, with
 * %EVP_ERROR_INVALID_STATE after [method@Evp.Selector.close], and with %G_IO_ERROR if the
 * kernel refuses.
 *
 * It is asyncio's `BaseSelector.select()`. Use it from the thread of the selector.
 * For the cost see the classes.
 *
 * Returns: (transfer full) (element-type EvpSelectorKey): the keys of the file descriptors
 *   that are ready; empty after a timeout. In C the array releases the keys.
 *
 * Since: 1.0
 */
GPtrArray *
evp_selector_select (EvpSelector *self,
                     double       timeout,
                     GError     **error)
{
  g_autoptr (GPtrArray) keys = NULL;
  GError *slot_error = NULL;

  g_return_val_if_fail (EVP_IS_SELECTOR (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (isnan (timeout))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The timeout is not a number; use 0 to look and a negative one to wait for ever"));
      return NULL;
    }

  keys = evp_selector_adopt_keys (EVP_SELECTOR_GET_CLASS (self)->select (self, timeout, &slot_error));
  if (!evp_check_slot_result (keys != NULL, slot_error, self, "select", error))
    return NULL;
  return g_steal_pointer (&keys);
}

/**
 * evp_selector_get_key:
 * @self: a selector
 * @fd: file descriptor
 * @error: return location for an error
 *
 * Finds the key of a file descriptor.
 *
 * Fails with %EVP_ERROR_NOT_FOUND if the file descriptor is not registered, with
 * %EVP_ERROR_INVALID_ARGUMENT if it is negative, and with %EVP_ERROR_INVALID_STATE after
 * [method@Evp.Selector.close].
 *
 * It is asyncio's `BaseSelector.get_key()`. Use it from the thread of the selector. O(1).
 *
 * Returns: (transfer full): the key
 *
 * Since: 1.0
 */
EvpSelectorKey *
evp_selector_get_key (EvpSelector *self,
                      int          fd,
                      GError     **error)
{
  g_autoptr (EvpSelectorKey) key = NULL;
  GError *slot_error = NULL;

  g_return_val_if_fail (EVP_IS_SELECTOR (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!evp_selector_check_fd (fd, error))
    return NULL;

  key = EVP_SELECTOR_GET_CLASS (self)->get_key (self, fd, &slot_error);
  if (!evp_check_slot_result (key != NULL, slot_error, self, "get_key", error))
    return NULL;
  return g_steal_pointer (&key);
}

/**
 * evp_selector_get_map:
 * @self: a selector
 *
 * Lists the keys of all file descriptors that are registered.
 *
 * The keys are those of the selector, the array is a copy: unlike asyncio's `get_map()` it does
 * not change when something is registered later.
 *
 * Use it from the thread of the selector. O(n).
 *
 * Returns: (transfer full) (nullable) (element-type EvpSelectorKey): the keys, in no
 *   particular order, or %NULL after [method@Evp.Selector.close]. In C the array releases the keys.
 *
 * Since: 1.0
 */
GPtrArray *
evp_selector_get_map (EvpSelector *self)
{
  g_return_val_if_fail (EVP_IS_SELECTOR (self), NULL);

  return evp_selector_adopt_keys (EVP_SELECTOR_GET_CLASS (self)->get_map (self));
}

/**
 * evp_selector_close:
 * @self: a selector
 *
 * Forgets all file descriptors and frees what the selector holds; closes none of those it watched.
 *
 * Closing twice does nothing. Afterwards [method@Evp.Selector.get_map] is %NULL,
 * [method@Evp.Selector.get_fd] is −1, and everything else fails with %EVP_ERROR_INVALID_STATE.
 * Dropping the last reference closes the selectors of the library too.
 *
 * It is asyncio's `BaseSelector.close()`. Use it from the thread of the selector. O(n).
 *
 * Since: 1.0
 */
void
evp_selector_close (EvpSelector *self)
{
  g_return_if_fail (EVP_IS_SELECTOR (self));

  EVP_SELECTOR_GET_CLASS (self)->close (self);
}

/**
 * evp_selector_get_fd:
 * @self: a selector
 *
 * Gets the selector's own file descriptor, which is readable while something is ready.
 *
 * So a selector can be watched by another one. It belongs to the selector.
 *
 * Use it from the thread of the selector. O(1).
 *
 * Returns: the file descriptor, or −1 if the selector has none or is closed
 *
 * Since: 1.0
 */
int
evp_selector_get_fd (EvpSelector *self)
{
  g_return_val_if_fail (EVP_IS_SELECTOR (self), -1);

  return EVP_SELECTOR_GET_CLASS (self)->get_fd (self);
}

/*
 * A binding must know whether the array releases its elements. What a slot returns must be (transfer
 * full), or a list that was made on the spot in Python dies before C sees it; what the methods return
 * releases its elements, which is (transfer container). But a method and a slot of one name
 * are given one annotation, and other names would be unlike asyncio. So Python and JavaScript
 * call these two by the names of the methods.
 */

/**
 * evp_selector_select_keys: (rename-to evp_selector_select)
 * @self: a selector
 * @timeout: seconds to wait at least; 0 only looks, negative waits for ever
 * @error: return location for an error
 *
 * Waits until at least one file descriptor is ready, or the time is over.
 *
 * This is [method@Evp.Selector.select] for languages other than C; it does and costs the same, and fails with
 * the same errors.
 *
 * Use it from the thread of the selector.
 *
 * Returns: (transfer container) (element-type EvpSelectorKey): the keys of the file descriptors
 *   that are ready; empty after a timeout
 *
 * Since: 1.0
 */
GPtrArray *
evp_selector_select_keys (EvpSelector *self,
                          double       timeout,
                          GError     **error)
{
  return evp_selector_select (self, timeout, error);
}

/**
 * evp_selector_list_keys: (rename-to evp_selector_get_map)
 * @self: a selector
 *
 * Lists the keys of all file descriptors that are registered.
 *
 * This is [method@Evp.Selector.get_map] for languages other than C; it does and costs the same.
 *
 * Use it from the thread of the selector.
 *
 * Returns: (transfer container) (nullable) (element-type EvpSelectorKey): the keys, in no
 *   particular order, or %NULL after [method@Evp.Selector.close]
 *
 * Since: 1.0
 */
GPtrArray *
evp_selector_list_keys (EvpSelector *self)
{
  return evp_selector_get_map (self);
}
