/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp-global.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-runner-private.h"
#include "evp/loop/evp-running-loop-private.h"
#include "evp/policy/evp-default-event-loop-policy.h"
#include "evp/policy/evp-lazy-slot-private.h"
#include "evp/policy/evp-loop-slots-private.h"
#include "evp/policy/evp-main-context-event-loop-policy.h"
#include "evp/policy/evp-proactor-event-loop-policy.h"
#include "evp/policy/evp-selector-event-loop-policy.h"

#include <stdlib.h>
#include <unistd.h>

/*
 * The policy of the process. It is never released at exit: a policy written in Python or JavaScript
 * must not be touched when its interpreter is gone.
 */
static EvpLazySlot policy_slot;

/* A directory list from the environment, but not for a program with more rights than its user. */
static const char *
get_module_path (const char *variable)
{
#ifdef HAVE_SECURE_GETENV
  return secure_getenv (variable);
#else
  return getuid () == geteuid () && getgid () == getegid () ? g_getenv (variable) : NULL;
#endif
}

static void
scan_modules (void)
{
  const char *variables[] = { "EVP_MODULE_PATH", "GIO_EXTRA_MODULES" };

  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    {
      const char *path = get_module_path (variables[i]);
      g_auto (GStrv) directories = g_strsplit (path != NULL ? path : "", G_SEARCHPATH_SEPARATOR_S, -1);

      for (guint j = 0; directories[j] != NULL; j++)
        if (*directories[j] != '\0')
          g_io_modules_scan_all_in_directory (directories[j]);
    }
  g_io_modules_scan_all_in_directory (EVP_MODULE_DIR);
}

static GType
find_policy_type (GIOExtensionPoint *point,
                  const char        *name)
{
  GIOExtension *extension = g_io_extension_point_get_extension_by_name (point, name);
  GType type = extension != NULL ? g_io_extension_get_type (extension) : G_TYPE_INVALID;

  return G_TYPE_IS_ABSTRACT (type) ? G_TYPE_INVALID : type;
}

/* The type that EVP_POLICY names. Called by one thread at a time, without a lock. */
static GType
choose_policy_type (void)
{
  const char *name = g_getenv ("EVP_POLICY");
  GIOExtensionPoint *point;
  g_autoptr (GString) known = NULL;
  GType type;

  g_type_ensure (EVP_TYPE_EVENT_LOOP_POLICY);
  point = g_io_extension_point_lookup (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME);
  g_io_extension_point_implement (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME,
                                  EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY, "default", 40);
  g_io_extension_point_implement (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME,
                                  EVP_TYPE_SELECTOR_EVENT_LOOP_POLICY, "selector", 30);
  g_io_extension_point_implement (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME,
                                  EVP_TYPE_PROACTOR_EVENT_LOOP_POLICY, "proactor", 20);
  g_io_extension_point_implement (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME,
                                  EVP_TYPE_MAIN_CONTEXT_EVENT_LOOP_POLICY, "main-context", 10);

  if (name == NULL || *name == '\0')
    return EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY;
  type = find_policy_type (point, name);
  if (type == G_TYPE_INVALID)
    {
      scan_modules ();
      type = find_policy_type (point, name);
    }
  if (type != G_TYPE_INVALID)
    return type;

  known = g_string_new (NULL);
  for (GList *l = g_io_extension_point_get_extensions (point); l != NULL; l = l->next)
    g_string_append_printf (known, "%s%s", known->len > 0 ? ", " : "",
                            g_io_extension_get_name (l->data));
  evp_warn_runtime (
      /* Translators: name of an environment variable, its value, a list of values */
      _("%s=%s is not known and is ignored; known are: %s"), "EVP_POLICY", name, known->str);
  return EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY;
}

static gpointer
make_policy (gpointer user_data,
             GError **error)
{
  /* only the thread that fills the slot comes here, and the slot's lock orders it with the next */
  static GType type = G_TYPE_INVALID;
  g_autoptr (GError) local_error = NULL;
  gpointer policy;

  if (type == G_TYPE_INVALID)
    type = choose_policy_type ();
  policy = g_object_new (type, NULL);
  if (g_object_is_floating (policy))
    g_object_ref_sink (policy);
  if (G_IS_INITABLE (policy) && !g_initable_init (policy, NULL, &local_error))
    {
      /* Translators: name of an environment variable, name of a class, what is wrong with it */
      evp_warn_runtime (_("The policy that %s names, %s, cannot be used and is ignored: %s"), "EVP_POLICY",
                        g_type_name (type), local_error->message);
      g_object_unref (policy);
      type = EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY;
      policy = evp_default_event_loop_policy_new ();
    }
  EVP_DEBUG_NOTE (EVP_DEBUG_POLICY, "the default policy is %s", g_type_name (type));
  return policy;
}

/**
 * evp_get_event_loop_policy:
 *
 * Finds the policy of the process.
 *
 * If none was set, the default one is made and kept: an [class@Evp.DefaultEventLoopPolicy], or what
 * the environment variable `EVP_POLICY` names: default, selector, proactor, main-context, or a type
 * that a GIO module registered at [const@Evp.EVENT_LOOP_POLICY_EXTENSION_POINT_NAME]. Modules are
 * looked for in the directories of `EVP_MODULE_PATH` and `GIO_EXTRA_MODULES`, and in that of the
 * library. An unknown name is a warning, and so is a type whose [iface@Gio.Initable] fails.
 *
 * May be called from any thread. O(1).
 *
 * Known from asyncio as `get_event_loop_policy()`.
 *
 * Returns: (transfer full): the policy; never `NULL`
 *
 * Since: 1.0
 */
EvpAbstractEventLoopPolicy *
evp_get_event_loop_policy (void)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoopPolicy *policy = evp_lazy_slot_ensure (&policy_slot, make_policy, g_object_unref,
                                                             NULL, &error);

  if (G_LIKELY (policy != NULL))
    return policy;
  /* the policy that EVP_POLICY names asked for itself while it was made */
  g_critical ("evp_get_event_loop_policy: %s", error->message);
  return evp_default_event_loop_policy_new ();
}

/**
 * evp_set_event_loop_policy:
 * @policy: (transfer none) (nullable): the policy, or `NULL` for a new default one on next use
 *
 * Replaces the policy of the process.
 *
 * Nothing is closed: the loops and the child watcher of the previous policy live on with it. A loop
 * that runs goes on running, and [func@Evp.get_event_loop] goes on finding it in its callbacks.
 *
 * May be called from any thread. O(1).
 *
 * Known from asyncio as `set_event_loop_policy()`.
 *
 * Since: 1.0
 */
void
evp_set_event_loop_policy (EvpAbstractEventLoopPolicy *policy)
{
  g_autoptr (EvpAbstractEventLoopPolicy) old = NULL;

  g_return_if_fail (policy == NULL || EVP_IS_EVENT_LOOP_POLICY (policy));

  old = evp_lazy_slot_replace (&policy_slot, policy);
}

/**
 * evp_get_event_loop:
 * @error: return location for an error, or `NULL`
 *
 * Finds the loop that runs in this thread, else the current loop of the policy.
 *
 * In a callback this is the loop that called, whatever the policy says.
 *
 * May be called from any thread. O(1).
 *
 * Fails with what [method@Evp.AbstractEventLoopPolicy.get_event_loop] fails with, mostly
 * %EVP_ERROR_NO_EVENT_LOOP.
 *
 * Known from asyncio as `get_event_loop()`.
 *
 * Returns: (transfer full): the loop
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_get_event_loop (GError **error)
{
  EvpAbstractEventLoop *running = evp_running_loop_get ();
  g_autoptr (EvpAbstractEventLoopPolicy) policy = NULL;

  if (running != NULL)
    return g_object_ref (running);
  policy = evp_get_event_loop_policy ();
  return evp_event_loop_policy_get_event_loop (policy, error);
}

/**
 * evp_set_event_loop:
 * @loop: (transfer none) (nullable): the loop, or `NULL` to clear it
 * @error: return location for an error, or `NULL`
 *
 * Makes a loop the current one, see [method@Evp.AbstractEventLoopPolicy.set_event_loop].
 *
 * May be called from any thread. O(1).
 *
 * Fails with what that method fails with.
 *
 * Known from asyncio as `set_event_loop()`.
 *
 * Returns: `TRUE` if the loop was set
 *
 * Since: 1.0
 */
gboolean
evp_set_event_loop (EvpAbstractEventLoop *loop,
                    GError              **error)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();

  return evp_event_loop_policy_set_event_loop (policy, loop, error);
}

/**
 * evp_new_event_loop:
 * @error: return location for an error, or `NULL`
 *
 * Makes a loop, see [method@Evp.AbstractEventLoopPolicy.new_event_loop].
 *
 * It does not become the current one, and brings a main context of its own.
 *
 * May be called from any thread. O(1).
 *
 * Fails with what that method fails with.
 *
 * Known from asyncio as `new_event_loop()`.
 *
 * Returns: (transfer full): a new loop
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_new_event_loop (GError **error)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();

  return evp_event_loop_policy_new_event_loop (policy, error);
}

/**
 * evp_get_running_loop:
 * @error: return location for an error, or `NULL`
 *
 * Finds the loop that runs in this thread.
 *
 * It never makes a loop, and never asks the policy. In an adopted loop, whose main context somebody
 * else iterates, the loop runs while its callbacks do.
 *
 * May be called from any thread. O(1).
 *
 * Fails with %EVP_ERROR_NO_RUNNING_LOOP.
 *
 * Known from asyncio as `get_running_loop()`.
 *
 * Returns: (transfer full): the loop
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_get_running_loop (GError **error)
{
  EvpAbstractEventLoop *running = evp_running_loop_get ();

  if (running == NULL)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_NO_RUNNING_LOOP,
                           _("No event loop is running in this thread; ask in a callback of a loop, or "
                             "use evp_get_event_loop()"));
      return NULL;
    }
  return g_object_ref (running);
}

/**
 * evp_get_child_watcher:
 * @error: return location for an error, or `NULL`
 *
 * Finds the child watcher, see [method@Evp.AbstractEventLoopPolicy.get_child_watcher].
 *
 * May be called from any thread. O(1).
 *
 * Fails with what that method fails with.
 *
 * Known from asyncio as `get_child_watcher()`.
 *
 * Returns: (transfer full): the watcher
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_get_child_watcher (GError **error)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();

  return evp_event_loop_policy_get_child_watcher (policy, error);
}

/**
 * evp_set_child_watcher:
 * @watcher: (transfer none) (nullable): the watcher, or `NULL` for a new default one on next use
 * @error: return location for an error, or `NULL`
 *
 * Replaces the child watcher, see [method@Evp.AbstractEventLoopPolicy.set_child_watcher].
 *
 * May be called from any thread. O(1).
 *
 * Fails with what that method fails with.
 *
 * Known from asyncio as `set_child_watcher()`.
 *
 * Returns: `TRUE` if the watcher was set
 *
 * Since: 1.0
 */
gboolean
evp_set_child_watcher (EvpAbstractChildWatcher *watcher,
                       GError                 **error)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();

  return evp_event_loop_policy_set_child_watcher (policy, watcher, error);
}

/**
 * evp_run:
 * @main_func: (scope notified) (closure user_data) (destroy destroy): returns the future whose end is
 *   the end of the program
 * @user_data: what @main_func gets
 * @destroy: (nullable): frees @user_data, before this returns
 * @error: return location for an error, or `NULL`
 *
 * Runs a whole program: a main function in a new loop.
 *
 * The policy makes the loop, which becomes the current one of this thread; in the main thread the
 * policy's child watcher is attached to it if there is one already. @main_func is called in
 * the running loop, and the loop runs until the future that it returned is done. Then the default
 * executor is shut down, the current loop is set to `NULL`, and the loop is closed, which cancels
 * what is still scheduled.
 *
 * In the main thread the first SIGINT cancels the future, and the call fails with
 * %EVP_ERROR_CANCELLED; the second one has its default effect and ends the process. A program that
 * handles or ignores SIGINT itself is left alone.
 *
 * ```c
 * static EvpFuture *
 * say_hello (EvpAbstractEventLoop *loop,
 *            gpointer              user_data)
 * {
 *   g_autoptr (EvpFuture) future = evp_event_loop_create_future (loop);
 *
 *   g_print ("hello\n");
 *   evp_future_set_result (future, NULL, NULL);
 *   return g_steal_pointer (&future);
 * }
 *
 * int
 * main (void)
 * {
 *   g_autoptr (GError) error = NULL;
 *
 *   if (!evp_run (say_hello, NULL, NULL, &error))
 *     g_printerr ("%s\n", error->message);
 *   return error != NULL;
 * }
 * ```
 *
 * May be called from any thread in which no loop runs. O(1), and what the loop does.
 *
 * Fails with the future's own error; %EVP_ERROR_CANCELLED if it was cancelled;
 * %EVP_ERROR_LOOP_STOPPED if the loop was stopped before; %EVP_ERROR_LOOP_RUNNING if a loop runs in
 * this thread; %EVP_ERROR_FAILED if @main_func returned `NULL`; and with what making a loop fails with.
 *
 * Known from asyncio as `run()`.
 *
 * Returns: `TRUE` if the future got a result
 *
 * Since: 1.0
 */
gboolean
evp_run (EvpMainFunc    main_func,
         gpointer       user_data,
         GDestroyNotify destroy,
         GError       **error)
{
  return evp_run_in_context (NULL, main_func, user_data, destroy, error);
}

/**
 * evp_run_in_context:
 * @main_context: (transfer none) (nullable): the main context in which the loop shall live, or `NULL`
 *   for one of its own
 * @main_func: (scope notified) (closure user_data) (destroy destroy): returns the future whose end is
 *   the end of the program
 * @user_data: what @main_func gets
 * @destroy: (nullable): frees @user_data, before this returns
 * @error: return location for an error, or `NULL`
 *
 * Does what [func@Evp.run] does, with a loop that adopts a main context.
 *
 * With GLib's default context everything else that uses it goes on while the program runs: GTK, or
 * the promises of GJS. A policy whose own `new_event_loop` does not chain up may bring a loop
 * that lives elsewhere.
 *
 * May be called from any thread in which no loop runs, and which owns @main_context or may own it.
 * O(1), and what the loop does.
 *
 * Fails with what [func@Evp.run] fails with.
 *
 * Returns: `TRUE` if the future got a result
 *
 * Since: 1.0
 */
gboolean
evp_run_in_context (GMainContext  *main_context,
                    EvpMainFunc    main_func,
                    gpointer       user_data,
                    GDestroyNotify destroy,
                    GError       **error)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (GError) main_error = NULL;
  g_autoptr (GError) close_error = NULL;

  g_return_val_if_fail (main_func != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  policy = evp_get_event_loop_policy ();
  if (evp_running_loop_get () != NULL)
    {
      g_set_error_literal (&main_error, EVP_ERROR, EVP_ERROR_LOOP_RUNNING,
                           _("evp_run() cannot be called while a loop runs in this thread; "
                             "call the function itself"));
    }
  else
    {
      EvpLoopCreation creation;

      evp_loop_creation_begin (&creation, policy, main_context);
      loop = evp_event_loop_policy_new_event_loop (policy, &main_error);
      evp_loop_creation_end (&creation);
    }
  if (loop != NULL)
    {
      if (evp_event_loop_policy_set_event_loop (policy, loop, &main_error))
        evp_runner_run (loop, main_func, user_data, &main_error);
      /* setting a loop may fail after it was set: that is undone in any case, quietly */
      evp_event_loop_policy_set_event_loop (policy, NULL, NULL);
      if (!evp_event_loop_close (loop, &close_error))
        evp_warn_runtime (
            /* Translators: %s is an error message */
            _("Closing the loop of evp_run() failed: %s"), close_error->message);
    }

  if (destroy != NULL)
    destroy (user_data);
  if (main_error == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&main_error));
  return FALSE;
}
