/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-fast-child-watcher.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/watcher/evp-base-child-watcher-private.h"
#include "evp/watcher/evp-sigchld-private.h"

/**
 * EvpFastChildWatcher:
 *
 * Notices the end of children by `SIGCHLD`, and reaps **every** child of the process, whoever started it.
 *
 * **It steals from strangers.** Where it is used, `GSubprocess`, `g_spawn_sync()`, `popen()`, `system()` and
 * everybody else who waits for a child of this process may find that its exit status is gone, and believe that it
 * succeeded, or fail. Each stolen status is a warning. Take it only in a program that owns all its
 * children; [class@Evp.PidfdChildWatcher] is as fast and harms nobody.
 *
 * The conditions of [class@Evp.SafeChildWatcher] apply. Besides, spawning and adding a child must stand
 * between [method@Evp.AbstractChildWatcher.enter] and [method@Evp.AbstractChildWatcher.exit]: a child that
 * ends in between is kept until it is added, and what nobody has asked for at the end is reported in one warning.
 *
 * The cost of an exit is O(1) here, whatever the number of children.
 *
 * Methods may be called from any thread, apart from [method@Evp.AbstractChildWatcher.attach_loop] with a loop.
 *
 * In asyncio: `asyncio.FastChildWatcher`.
 *
 * Since: 1.0
 */

/* How a child has ended. */
typedef struct
{
  int returncode;
  double cpu_time;
} End;

/* A g_atomic_rc_box; under the table's lock. */
typedef struct
{
  guint n_brackets;  /* enter() without exit() yet */
  GHashTable *stash; /* pid → End, of children that have ended before they were added */
} Stash;

typedef struct
{
  EvpSigchld *sigchld; /* under the table's lock; (owned) (nullable) */
  Stash *stash;        /* constant */
} EvpFastChildWatcherPrivate;

static EvpAbstractChildWatcherInterface own_table;

static void evp_fast_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpFastChildWatcher, evp_fast_child_watcher, EVP_TYPE_BASE_CHILD_WATCHER,
                         G_ADD_PRIVATE (EvpFastChildWatcher)
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, evp_fast_child_watcher_iface_init))

#define PRIVATE(watcher) \
  ((EvpFastChildWatcherPrivate *) evp_fast_child_watcher_get_instance_private (EVP_FAST_CHILD_WATCHER (watcher)))

static const EvpWatchFuncs watch_funcs = {
  .size = sizeof (EvpWatch),
};

static void
stash_clear (gpointer data)
{
  Stash *stash = data;

  g_hash_table_unref (stash->stash);
}

static guint
quick (EvpWatchTable *table,
       gpointer       data)
{
  Stash *stash = data;
  guint n = 0;

  for (;;)
    {
      g_autoptr (EvpChildHandler) handler = NULL;
      gboolean found, stranger = FALSE;
      End end = { 0, EVP_CPU_TIME_UNKNOWN };
      pid_t pid = 0;

      /* in one step with what add_handler() does, which therefore finds it either running or in the stash */
      g_mutex_lock (&table->lock);
      /* nor is anybody's child taken once a callback has closed or detached the watcher */
      found = table->loop != NULL && evp_os_wait_reap_any (&pid, &end.returncode, &end.cpu_time);
      if (found)
        {
          EvpWatch *watch = g_hash_table_lookup (table->watches, GINT_TO_POINTER (pid));

          if (watch != NULL)
            {
              evp_watch_ref (watch);
              handler = evp_watch_take_locked (watch);
              g_assert (handler != NULL);
            }
          else if (stash->n_brackets > 0)
            g_hash_table_insert (stash->stash, GINT_TO_POINTER (pid), g_memdup2 (&end, sizeof end));
          else
            stranger = TRUE;
          g_mutex_unlock (&table->lock);
          if (watch != NULL)
            evp_watch_unref (watch);
        }
      else
        g_mutex_unlock (&table->lock);

      if (!found)
        return n;
      if (handler != NULL)
        {
          n++;
          evp_child_handler_set_cpu_time (handler, end.cpu_time);
          evp_sigchld_tell (table, handler, EVP_WAIT_EXITED, end.returncode);
        }
      else if (stranger)
        evp_warn_runtime (_("FastChildWatcher caught the end of a child that it does not watch: process %d, "
                            "return code %d; whoever waits for it will not learn of it"),
                          (int) pid, end.returncode);
    }
}

static gboolean
evp_fast_child_watcher_add_handler (EvpAbstractChildWatcher *watcher,
                                    GPid                     pid,
                                    EvpChildHandler         *handler,
                                    GError                 **error)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
  Stash *stash = PRIVATE (watcher)->stash;
  g_autoptr (EvpChildHandler) ended = NULL;
  EvpChildHandler *replaced;
  EvpWaitResult result;
  g_autofree End *stashed = NULL;
  EvpWatch *watch;
  int returncode = 0;

  if (!evp_watch_table_lock_open (table, error))
    return FALSE;
  if (stash->n_brackets == 0)
    {
      g_mutex_unlock (&table->lock);
      g_critical ("A child can be added to an EvpFastChildWatcher only between "
                  "evp_child_watcher_enter() and evp_child_watcher_exit()");
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                           _("A child can be added to this child watcher only between enter() and exit()"));
      return FALSE;
    }
  if (g_hash_table_steal_extended (stash->stash, GINT_TO_POINTER (pid), NULL, (gpointer *) &stashed))
    {
      g_mutex_unlock (&table->lock);
      evp_child_handler_set_cpu_time (handler, stashed->cpu_time);
      evp_sigchld_tell (table, handler, EVP_WAIT_EXITED, stashed->returncode);
      return TRUE;
    }
  watch = evp_watch_table_add_locked (table, handler, &watch_funcs, &replaced);
  g_mutex_unlock (&table->lock);
  evp_watch_replaced (watch, replaced);

  /* it may have ended before SIGCHLD was ours, or be nobody's any more */
  ended = evp_watch_collect (watch, &result, &returncode);
  evp_watch_unref (watch);
  if (ended != NULL)
    evp_sigchld_tell (table, ended, result, returncode);
  return TRUE;
}

static gboolean
evp_fast_child_watcher_attach_loop (EvpAbstractChildWatcher *watcher,
                                    EvpAbstractEventLoop    *loop,
                                    GError                 **error)
{
  EvpFastChildWatcherPrivate *priv = PRIVATE (watcher);

  return evp_sigchld_attach (watcher, &priv->sigchld, loop, quick, priv->stash, stash_clear, error);
}

static gboolean
evp_fast_child_watcher_is_active (EvpAbstractChildWatcher *watcher)
{
  return evp_sigchld_is_active (watcher);
}

static void
evp_fast_child_watcher_do_close (EvpFastChildWatcher *self)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (self);
  EvpFastChildWatcherPrivate *priv = PRIVATE (self);

  evp_sigchld_close (self, &priv->sigchld);
  g_mutex_lock (&table->lock);
  g_hash_table_remove_all (priv->stash->stash);
  g_mutex_unlock (&table->lock);
}

static void
evp_fast_child_watcher_close (EvpAbstractChildWatcher *watcher)
{
  if (!evp_watch_table_is_forked (evp_base_child_watcher_get_table (watcher)))
    evp_fast_child_watcher_do_close (EVP_FAST_CHILD_WATCHER (watcher));
}

static void
evp_fast_child_watcher_enter (EvpAbstractChildWatcher *watcher)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);

  if (evp_watch_table_is_forked (table))
    return;
  g_mutex_lock (&table->lock);
  PRIVATE (watcher)->stash->n_brackets++;
  g_mutex_unlock (&table->lock);
}

static int
compare_pids (gconstpointer a,
              gconstpointer b)
{
  return GPOINTER_TO_INT (a) - GPOINTER_TO_INT (b);
}

static void
evp_fast_child_watcher_exit (EvpAbstractChildWatcher *watcher)
{
  EvpWatchTable *table = evp_base_child_watcher_get_table (watcher);
  Stash *stash = PRIVATE (watcher)->stash;
  g_autoptr (GString) list = NULL;
  gboolean balanced;

  if (evp_watch_table_is_forked (table))
    return;
  g_mutex_lock (&table->lock);
  balanced = stash->n_brackets > 0;
  if (balanced && --stash->n_brackets == 0 && g_hash_table_size (stash->stash) > 0)
    {
      GList *pids = g_list_sort (g_hash_table_get_keys (stash->stash), compare_pids);

      list = g_string_new (NULL);
      for (GList *l = pids; l != NULL; l = l->next)
        {
          const End *end = g_hash_table_lookup (stash->stash, l->data);

          g_string_append_printf (list, "%s%d (%d)", list->len > 0 ? ", " : "", GPOINTER_TO_INT (l->data),
                                  end->returncode);
        }
      g_list_free (pids);
      g_hash_table_remove_all (stash->stash);
    }
  g_mutex_unlock (&table->lock);

  if (!balanced)
    g_critical ("evp_child_watcher_exit() was called more often than evp_child_watcher_enter()");
  if (list != NULL)
    /* Translators: %s is a list of process ids, each with a return code in parentheses */
    evp_warn_runtime (_("FastChildWatcher caught the end of children that were not added to it (process and return "
                        "code): %s"),
                      list->str);
}

static void
evp_fast_child_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->add_handler = evp_fast_child_watcher_add_handler;
  iface->attach_loop = evp_fast_child_watcher_attach_loop;
  iface->is_active = evp_fast_child_watcher_is_active;
  iface->close = evp_fast_child_watcher_close;
  iface->enter = evp_fast_child_watcher_enter;
  iface->exit = evp_fast_child_watcher_exit;
  own_table = *iface;
}

static void
evp_fast_child_watcher_dispose (GObject *object)
{
  if (evp_base_child_watcher_begin_dispose (object))
    evp_fast_child_watcher_do_close (EVP_FAST_CHILD_WATCHER (object));

  G_OBJECT_CLASS (evp_fast_child_watcher_parent_class)->dispose (object);
}

static void
evp_fast_child_watcher_finalize (GObject *object)
{
  g_atomic_rc_box_release_full (PRIVATE (object)->stash, stash_clear);

  G_OBJECT_CLASS (evp_fast_child_watcher_parent_class)->finalize (object);
}

static void
evp_fast_child_watcher_class_init (EvpFastChildWatcherClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->dispose = evp_fast_child_watcher_dispose;
  object_class->finalize = evp_fast_child_watcher_finalize;
}

static void
evp_fast_child_watcher_init (EvpFastChildWatcher *self)
{
  EvpFastChildWatcherPrivate *priv = evp_fast_child_watcher_get_instance_private (self);

  evp_child_watcher_check_table (EVP_TYPE_FAST_CHILD_WATCHER, &own_table);
  priv->stash = g_atomic_rc_box_new0 (Stash);
  priv->stash->stash = g_hash_table_new_full (NULL, NULL, NULL, g_free);
}

/**
 * evp_fast_child_watcher_new:
 *
 * Makes a watcher, which is attached to no loop yet. From the first attachment on, all children of the process
 * are reaped by it.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpFastChildWatcher): a new watcher
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_fast_child_watcher_new (void)
{
  return g_object_new (EVP_TYPE_FAST_CHILD_WATCHER, NULL);
}
