/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-abstract-child-watcher-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-running-loop-private.h"
#include "evp/watcher/evp-child-handler-private.h"

/**
 * EvpAbstractChildWatcher:
 *
 * Notices that child processes have ended, and calls back with their return codes.
 *
 * The policy has one for the whole process: [func@Evp.get_child_watcher]. Which class to take is the
 * question of the page [choosing a watcher](choosing-a-watcher.html); the default is right for nearly everybody.
 *
 * ```c
 * static void
 * ended (GPid     pid,
 *        int      returncode,
 *        gpointer user_data)
 * {
 *   g_print ("child %d ended with %d\n", (int) pid, returncode);
 * }
 *
 * evp_child_watcher_enter (watcher);
 * pid = start_a_child ();
 * evp_child_watcher_add_child_handler (watcher, pid, ended, NULL, NULL, &error);
 * evp_child_watcher_exit (watcher);
 * ```
 *
 * Spawning and registering stand between [method@Evp.AbstractChildWatcher.enter] and
 * [method@Evp.AbstractChildWatcher.exit]: [class@Evp.FastChildWatcher] needs that, the others do not mind.
 *
 * Nobody else may wait for a child that is watched: no `waitpid()`, no second watcher, no `g_child_watch_add()`.
 * A status that somebody else took is reported as lost. At most one watcher of a process should be of a class
 * that takes `SIGCHLD` ([class@Evp.SafeChildWatcher], [class@Evp.FastChildWatcher],
 * [class@Evp.MultiLoopChildWatcher]).
 *
 * After `fork()`, a watcher is of no use in the new process, as the children belong to the old one: every
 * method fails with %EVP_ERROR_FORKED or does nothing.
 *
 * ## Watchers of one's own
 *
 * A class that implements the slots can be installed with [func@Evp.set_child_watcher]. It gets an
 * [class@Evp.ChildHandler] instead of a callback, and calls [method@Evp.ChildHandler.invoke] when the
 * child has ended.
 *
 * In asyncio: `asyncio.AbstractChildWatcher`.
 *
 * Since: 1.0
 */
typedef EvpAbstractChildWatcherInterface EvpChildWatcherInterface;

G_DEFINE_INTERFACE (EvpAbstractChildWatcher, evp_child_watcher, G_TYPE_OBJECT)

static gboolean
default_add_handler (EvpAbstractChildWatcher *self,
                     GPid                     pid,
                     EvpChildHandler         *handler,
                     GError                 **error)
{
  evp_set_error_unimplemented (error, self, "add_child_handler");
  return FALSE;
}

static gboolean
default_remove_handler (EvpAbstractChildWatcher *self,
                        GPid                     pid)
{
  return FALSE;
}

static gboolean
default_attach_loop (EvpAbstractChildWatcher *self,
                     EvpAbstractEventLoop    *loop,
                     GError                 **error)
{
  evp_set_error_unimplemented (error, self, "attach_loop");
  return FALSE;
}

static gboolean
default_is_active (EvpAbstractChildWatcher *self)
{
  return FALSE;
}

static void
default_nothing (EvpAbstractChildWatcher *self)
{
}

static void
evp_child_watcher_default_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->add_handler = default_add_handler;
  iface->remove_handler = default_remove_handler;
  iface->attach_loop = default_attach_loop;
  iface->is_active = default_is_active;
  iface->close = default_nothing;
  iface->enter = default_nothing;
  iface->exit = default_nothing;
}

void
evp_child_watcher_check_table (GType                                   type,
                               const EvpAbstractChildWatcherInterface *expected)
{
  const EvpAbstractChildWatcherInterface *iface;

  iface = g_type_interface_peek (g_type_class_peek (type), EVP_TYPE_CHILD_WATCHER);
  if (G_UNLIKELY (iface->add_handler != expected->add_handler
                  || iface->remove_handler != expected->remove_handler
                  || iface->attach_loop != expected->attach_loop
                  || iface->is_active != expected->is_active
                  || iface->close != expected->close
                  || iface->enter != expected->enter
                  || iface->exit != expected->exit))
    g_critical ("A subclass wrote into %s: list Evp.AbstractChildWatcher among its bases", g_type_name (type));
}

/* Doc comments of the slots */

/**
 * EvpAbstractChildWatcherInterface::add_handler:
 * @self: a watcher
 * @pid: a child of this process
 * @handler: what to invoke when the child has ended; keep a reference
 * @error: return location for an error
 *
 * Watches a child. A handler that was there for the same child is cancelled and replaced.
 *
 * Returns: whether the child is watched now
 *
 * Since: 1.0
 */

/**
 * EvpAbstractChildWatcherInterface::remove_handler:
 * @self: a watcher
 * @pid: a child of this process
 *
 * Forgets a child: its handler is cancelled.
 *
 * Returns: whether there was a handler
 *
 * Since: 1.0
 */

/**
 * EvpAbstractChildWatcherInterface::attach_loop:
 * @self: a watcher
 * @loop: (nullable): the loop to work with, or `NULL` to leave the former one only
 * @error: return location for an error
 *
 * Moves the watcher to a loop.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */

/**
 * EvpAbstractChildWatcherInterface::is_active:
 * @self: a watcher
 *
 * Tells whether the end of a child that is added now would be noticed.
 *
 * Returns: whether it would
 *
 * Since: 1.0
 */

/**
 * EvpAbstractChildWatcherInterface::close:
 * @self: a watcher
 *
 * Forgets all children and frees what the watcher holds. It waits for nothing, and may be repeated.
 *
 * Since: 1.0
 */

/**
 * EvpAbstractChildWatcherInterface::enter:
 * @self: a watcher
 *
 * Begins the bracket round spawning and registering.
 *
 * Since: 1.0
 */

/**
 * EvpAbstractChildWatcherInterface::exit:
 * @self: a watcher
 *
 * Ends the bracket round spawning and registering.
 *
 * Since: 1.0
 */

/**
 * evp_child_watcher_add_handler:
 * @self: a watcher
 * @pid: a child of this process
 * @handler: what to invoke when the child has ended
 * @error: return location for an error
 *
 * Watches a child with a handler of one's own making.
 *
 * Programs use [method@Evp.AbstractChildWatcher.add_child_handler]; this one is for launchers that name the
 * loop themselves. On error the handler stays as it was.
 *
 * The library's watchers may be called from any thread. O(1).
 *
 * Errors: those of [method@Evp.AbstractChildWatcher.add_child_handler].
 *
 * Returns: whether the child is watched now
 *
 * Since: 1.0
 */
gboolean
evp_child_watcher_add_handler (EvpAbstractChildWatcher *self,
                               GPid                     pid,
                               EvpChildHandler         *handler,
                               GError                 **error)
{
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  GError *slot_error = NULL;
  gboolean ok;

  g_return_val_if_fail (EVP_IS_CHILD_WATCHER (self), FALSE);
  g_return_val_if_fail (EVP_IS_CHILD_HANDLER (handler), FALSE);
  g_return_val_if_fail (evp_child_handler_get_pid (handler) == pid, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (pid <= 0)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT, _("%d is not the process id of a child"), (int) pid);
      return FALSE;
    }
  loop = evp_child_handler_dup_loop (handler);
  ok = EVP_CHILD_WATCHER_GET_IFACE (self)->add_handler (self, pid, handler, &slot_error);
  if (!ok)
    /* the watcher may have put it into its own, before it failed */
    evp_child_handler_put_into (handler, loop);
  return evp_check_slot_result (ok, slot_error, self, "add_child_handler", error);
}

/**
 * evp_child_watcher_remove_handler:
 * @self: a watcher
 * @pid: a child of this process
 *
 * The same as [method@Evp.AbstractChildWatcher.remove_child_handler].
 *
 * The library's watchers may be called from any thread. O(1).
 *
 * Returns: whether there was a handler
 *
 * Since: 1.0
 */
gboolean
evp_child_watcher_remove_handler (EvpAbstractChildWatcher *self,
                                  GPid                     pid)
{
  g_return_val_if_fail (EVP_IS_CHILD_WATCHER (self), FALSE);

  return EVP_CHILD_WATCHER_GET_IFACE (self)->remove_handler (self, pid);
}

/**
 * evp_child_watcher_add_child_handler:
 * @self: a watcher
 * @pid: a child of this process
 * @callback: (scope notified) (closure user_data) (destroy destroy): what to call when the child has ended
 * @user_data: data for @callback
 * @destroy: (nullable): releases @user_data, on the thread of the loop or on this one
 * @error: return location for an error
 *
 * Watches a child: @callback is called once, with its return code, when it has ended.
 *
 * The callback runs in the loop that runs in this thread, else in the loop that the watcher is attached to.
 * Some watchers call back inside this method if the child has ended already. A second call for the
 * same child replaces the callback.
 *
 * The return code is the exit code 0–255, or minus the number of the signal that killed the child, or
 * %EVP_RETURNCODE_LOST, with a warning, if somebody else took the status.
 *
 * The library's watchers may be called from any thread. O(1).
 *
 * Errors: %EVP_ERROR_NO_RUNNING_LOOP if the watcher needs a loop and none runs here or is attached;
 * %EVP_ERROR_LOOP_CLOSED; %EVP_ERROR_WATCHER_CLOSED; %EVP_ERROR_FORKED; %EVP_ERROR_INVALID_ARGUMENT for an
 * impossible @pid; %G_IO_ERROR if the system refuses, with %G_IO_ERROR_NOT_FOUND if there is no such process.
 *
 * In asyncio: `AbstractChildWatcher.add_child_handler()`.
 *
 * Returns: whether the child is watched now; if not, the data was released
 *
 * Since: 1.0
 */
gboolean
evp_child_watcher_add_child_handler (EvpAbstractChildWatcher *self,
                                     GPid                     pid,
                                     EvpChildCallback         callback,
                                     gpointer                 user_data,
                                     GDestroyNotify           destroy,
                                     GError                 **error)
{
  g_autoptr (EvpChildHandler) handler = NULL;

  g_return_val_if_fail (EVP_IS_CHILD_WATCHER (self), FALSE);
  g_return_val_if_fail (callback != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  handler = evp_child_handler_new (pid, evp_running_loop_get (), callback, user_data, destroy);
  if (evp_child_watcher_add_handler (self, pid, handler, error))
    return TRUE;
  evp_child_handler_cancel (handler);
  return FALSE;
}

/**
 * evp_child_watcher_remove_child_handler:
 * @self: a watcher
 * @pid: a child of this process
 *
 * Forgets a child: its callback is never called after that.
 *
 * The child itself is left alone, and when it ends, the watchers other than [class@Evp.FastChildWatcher]
 * leave it to whoever waits for it. A callback that is just running on another thread is not interrupted.
 *
 * The library's watchers may be called from any thread. O(1).
 *
 * In asyncio: `AbstractChildWatcher.remove_child_handler()`.
 *
 * Returns: whether there was a handler
 *
 * Since: 1.0
 */
gboolean
evp_child_watcher_remove_child_handler (EvpAbstractChildWatcher *self,
                                        GPid                     pid)
{
  g_return_val_if_fail (EVP_IS_CHILD_WATCHER (self), FALSE);

  return EVP_CHILD_WATCHER_GET_IFACE (self)->remove_handler (self, pid);
}

/**
 * evp_child_watcher_attach_loop:
 * @self: a watcher
 * @loop: (nullable): the loop to work with, or `NULL` to leave the former one only
 * @error: return location for an error
 *
 * Moves the watcher to a loop.
 *
 * Handlers that were added for the loop that the watcher was attached to move along, and none is lost. Those
 * that were added in another loop stay there, also when the watcher is attached to their loop later, and
 * leaves it again.
 * [class@Evp.SafeChildWatcher] and [class@Evp.FastChildWatcher] cannot do without, and must be attached
 * in the main thread; for the others, it is the loop of those who add a child where no loop runs.
 *
 * Call it from the thread of @loop. O(number of handlers).
 *
 * Errors: %EVP_ERROR_LOOP_CLOSED; %EVP_ERROR_WRONG_THREAD; %EVP_ERROR_FORKED; those of the loop. Then
 * everything is as before.
 *
 * In asyncio: `AbstractChildWatcher.attach_loop()`.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */
gboolean
evp_child_watcher_attach_loop (EvpAbstractChildWatcher *self,
                               EvpAbstractEventLoop    *loop,
                               GError                 **error)
{
  GError *slot_error = NULL;
  gboolean ok;

  g_return_val_if_fail (EVP_IS_CHILD_WATCHER (self), FALSE);
  g_return_val_if_fail (loop == NULL || EVP_IS_EVENT_LOOP (loop), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  ok = EVP_CHILD_WATCHER_GET_IFACE (self)->attach_loop (self, loop, &slot_error);
  return evp_check_slot_result (ok, slot_error, self, "attach_loop", error);
}

/**
 * evp_child_watcher_is_active:
 * @self: a watcher
 *
 * Tells whether the end of a child that is added now would be noticed.
 *
 * Launchers ask it between [method@Evp.AbstractChildWatcher.enter] and
 * [method@Evp.AbstractChildWatcher.exit], and spawn nothing if it says no.
 *
 * The library's watchers may be called from any thread. O(1).
 *
 * In asyncio: `AbstractChildWatcher.is_active()`.
 *
 * Returns: whether it would
 *
 * Since: 1.0
 */
gboolean
evp_child_watcher_is_active (EvpAbstractChildWatcher *self)
{
  g_return_val_if_fail (EVP_IS_CHILD_WATCHER (self), FALSE);

  return EVP_CHILD_WATCHER_GET_IFACE (self)->is_active (self);
}

/**
 * evp_child_watcher_close:
 * @self: a watcher
 *
 * Forgets all children and frees what the watcher holds.
 *
 * It waits for no child, and may be repeated. Children that still run are nobody's afterwards.
 * The library's watchers refuse children after that with %EVP_ERROR_WATCHER_CLOSED, until they are
 * attached to a loop again.
 *
 * The library's watchers may be called from any thread. O(number of handlers).
 *
 * In asyncio: `AbstractChildWatcher.close()`.
 *
 * Since: 1.0
 */
void
evp_child_watcher_close (EvpAbstractChildWatcher *self)
{
  g_return_if_fail (EVP_IS_CHILD_WATCHER (self));

  EVP_CHILD_WATCHER_GET_IFACE (self)->close (self);
}

/**
 * evp_child_watcher_enter:
 * @self: a watcher
 *
 * Begins the bracket round spawning and registering; brackets nest, and may overlap between threads.
 *
 * Always use it: [class@Evp.FastChildWatcher] needs it. In Python it is `with watcher:`.
 *
 * The library's watchers may be called from any thread. O(1).
 *
 * In asyncio: `AbstractChildWatcher.__enter__()`.
 *
 * Since: 1.0
 */
void
evp_child_watcher_enter (EvpAbstractChildWatcher *self)
{
  g_return_if_fail (EVP_IS_CHILD_WATCHER (self));

  EVP_CHILD_WATCHER_GET_IFACE (self)->enter (self);
}

/**
 * evp_child_watcher_exit:
 * @self: a watcher
 *
 * Ends the bracket that [method@Evp.AbstractChildWatcher.enter] began.
 *
 * The library's watchers may be called from any thread. O(1).
 *
 * In asyncio: `AbstractChildWatcher.__exit__()`.
 *
 * Since: 1.0
 */
void
evp_child_watcher_exit (EvpAbstractChildWatcher *self)
{
  g_return_if_fail (EVP_IS_CHILD_WATCHER (self));

  EVP_CHILD_WATCHER_GET_IFACE (self)->exit (self);
}
