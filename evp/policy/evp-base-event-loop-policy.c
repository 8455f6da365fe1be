/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-base-event-loop-policy-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/evp-enum-types.h"
#include "evp/loop/evp-running-loop-private.h"
#include "evp/os/evp-os-fork-private.h"
#include "evp/policy/evp-abstract-event-loop-policy-private.h"
#include "evp/policy/evp-lazy-slot-private.h"
#include "evp/policy/evp-loop-slots-private.h"

#include <pthread.h>

/**
 * EvpBaseEventLoopPolicy:
 *
 * A policy that remembers one loop per thread, and one child watcher for all of them.
 *
 * It does not know how to make a loop: [class@Evp.DefaultEventLoopPolicy] does, and is the one to
 * subclass as a rule. Derive from this class to bring your own
 * [method@Evp.AbstractEventLoopPolicy.new_event_loop].
 *
 * When the main thread asks for its loop and none was ever set there,
 * [property@Evp.BaseEventLoopPolicy:missing-loop] decides. The loop that is then made lives in
 * GLib's default main context, so that GTK and everything else that uses this context runs on it.
 * Other threads have to set a loop before they ask for one.
 *
 * When a thread ends, its loop is released, but not closed. After fork() the child process has no current
 * loops and no child watcher; both are made anew when somebody asks.
 *
 * May be used from any thread.
 *
 * Known from asyncio as `BaseDefaultEventLoopPolicy`.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpLoopSlots *loops;              /* has a lock of its own */
  EvpLazySlot watcher;              /* has a lock of its own */
  EvpMakeChildWatcher make_watcher; /* set once, before anybody else sees the policy */
  int missing_loop;                 /* atomic; an EvpMissingLoop */
} EvpBaseEventLoopPolicyPrivate;

static void evp_base_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface);

G_DEFINE_ABSTRACT_TYPE_WITH_CODE (EvpBaseEventLoopPolicy, evp_base_event_loop_policy, G_TYPE_OBJECT,
                                  G_ADD_PRIVATE (EvpBaseEventLoopPolicy)
                                  G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY,
                                                         evp_base_event_loop_policy_iface_init))

enum
{
  PROP_MISSING_LOOP = 1,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

/* what this class filled in; written once, when the class is made */
static EvpAbstractEventLoopPolicyInterface filled_in;

static EvpBaseEventLoopPolicyPrivate *
get_private (gpointer self)
{
  return evp_base_event_loop_policy_get_instance_private (EVP_BASE_EVENT_LOOP_POLICY (self));
}

static char *
describe_thread (void)
{
  char name[64] = "";

  if (evp_os_is_main_thread ())
    return g_strdup (_("the main thread"));
#ifdef HAVE_PTHREAD_GETNAME_NP
  if (pthread_getname_np (pthread_self (), name, sizeof name) != 0)
    name[0] = '\0';
#endif
  if (*name == '\0' || !g_utf8_validate (name, -1, NULL))
    return g_strdup (_("a thread without a name"));
  /* Translators: %s is the name of a thread */
  return g_strdup_printf (_("thread “%s”"), name);
}

static void
set_no_loop_error (GMainContext *place,
                   gboolean      was_set,
                   GError      **error)
{
  g_autofree char *thread = describe_thread ();

  if (was_set)
    g_set_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP,
                 /* Translators: the first %s is "the main thread" or "thread “name”" */
                 _("There is no current event loop in %s, because it was set to NULL there; "
                   "set one with evp_set_event_loop(), or use evp_run()"),
                 thread);
  else if (place != NULL)
    g_set_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP,
                 /* Translators: the first %s is "the main thread" or "thread “name”" */
                 _("There is no current event loop for the thread-default main context of %s; set one "
                   "with evp_set_event_loop(), or push a main context of the thread's own first"),
                 thread);
  else
    g_set_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP,
                 /* Translators: the first %s is "the main thread" or "thread “name”" */
                 _("There is no current event loop in %s; make one with evp_new_event_loop() and set "
                   "it with evp_set_event_loop(), or use evp_run()"),
                 thread);
}

/* The watcher is made without a lock; only afterwards do others see it. */
static gpointer
make_child_watcher (gpointer user_data,
                    GError **error)
{
  EvpBaseEventLoopPolicy *self = user_data;
  g_autoptr (EvpAbstractChildWatcher) watcher = get_private (self)->make_watcher (self, error);
  g_autoptr (EvpAbstractEventLoop) loop = NULL;

  if (watcher == NULL)
    return NULL;
  EVP_DEBUG_NOTE (EVP_DEBUG_POLICY, "%s made a child watcher, %s", G_OBJECT_TYPE_NAME (self),
                  G_OBJECT_TYPE_NAME (watcher));
  if (!evp_os_is_main_thread ())
    return g_steal_pointer (&watcher);

  /* As asyncio does: made in the main thread, it can be used there at once. */
  evp_loop_slots_lookup (get_private (self)->loops, NULL, &loop);
  if (loop == NULL)
    evp_loop_slots_lookup (get_private (self)->loops, g_main_context_default (), &loop);
  if (loop == NULL)
    g_set_object (&loop, evp_running_loop_get ());
  if (loop != NULL && !evp_event_loop_is_closed (loop)
      && !evp_child_watcher_attach_loop (watcher, loop, error))
    {
      evp_child_watcher_close (watcher);
      return NULL;
    }
  return g_steal_pointer (&watcher);
}

static void
discard_child_watcher (gpointer watcher)
{
  evp_child_watcher_close (watcher);
  g_object_unref (watcher);
}

static EvpAbstractChildWatcher *
make_default_child_watcher (EvpBaseEventLoopPolicy *self,
                            GError                **error)
{
  return evp_child_watcher_new_default ();
}

static EvpAbstractEventLoop *
evp_base_event_loop_policy_get_event_loop (EvpAbstractEventLoopPolicy *policy,
                                           GError                    **error)
{
  GMainContext *adopt = evp_os_is_main_thread () ? g_main_context_default () : NULL;

  return evp_base_event_loop_policy_find_loop (EVP_BASE_EVENT_LOOP_POLICY (policy), NULL, adopt, error);
}

static gboolean
evp_base_event_loop_policy_set_event_loop (EvpAbstractEventLoopPolicy *policy,
                                           EvpAbstractEventLoop       *loop,
                                           GError                    **error)
{
  return evp_base_event_loop_policy_store_loop (EVP_BASE_EVENT_LOOP_POLICY (policy), NULL, loop,
                                                evp_os_is_main_thread (), error);
}

static EvpAbstractChildWatcher *
evp_base_event_loop_policy_get_child_watcher (EvpAbstractEventLoopPolicy *policy,
                                              GError                    **error)
{
  return evp_lazy_slot_ensure (&get_private (policy)->watcher, make_child_watcher,
                               discard_child_watcher, policy, error);
}

static gboolean
evp_base_event_loop_policy_set_child_watcher (EvpAbstractEventLoopPolicy *policy,
                                              EvpAbstractChildWatcher    *watcher,
                                              GError                    **error)
{
  EvpBaseEventLoopPolicyPrivate *priv = get_private (policy);
  g_autoptr (EvpAbstractChildWatcher) old = evp_lazy_slot_replace (&priv->watcher, watcher);

  if (old != NULL && old != watcher)
    evp_child_watcher_close (old);
  return TRUE;
}

static void
evp_base_event_loop_policy_finalize (GObject *object)
{
  EvpBaseEventLoopPolicyPrivate *priv = get_private (object);

  evp_lazy_slot_clear (&priv->watcher);
  evp_loop_slots_free (priv->loops);

  G_OBJECT_CLASS (evp_base_event_loop_policy_parent_class)->finalize (object);
}

static void
evp_base_event_loop_policy_get_property (GObject    *object,
                                         guint       prop_id,
                                         GValue     *value,
                                         GParamSpec *pspec)
{
  EvpBaseEventLoopPolicy *self = EVP_BASE_EVENT_LOOP_POLICY (object);

  switch (prop_id)
    {
    case PROP_MISSING_LOOP:
      g_value_set_enum (value, evp_base_event_loop_policy_get_missing_loop (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_base_event_loop_policy_set_property (GObject      *object,
                                         guint         prop_id,
                                         const GValue *value,
                                         GParamSpec   *pspec)
{
  EvpBaseEventLoopPolicy *self = EVP_BASE_EVENT_LOOP_POLICY (object);

  switch (prop_id)
    {
    case PROP_MISSING_LOOP:
      evp_base_event_loop_policy_set_missing_loop (self, g_value_get_enum (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_base_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->get_event_loop = evp_base_event_loop_policy_get_event_loop;
  iface->set_event_loop = evp_base_event_loop_policy_set_event_loop;
  iface->get_child_watcher = evp_base_event_loop_policy_get_child_watcher;
  iface->set_child_watcher = evp_base_event_loop_policy_set_child_watcher;
  filled_in = *iface;
}

static void
evp_base_event_loop_policy_class_init (EvpBaseEventLoopPolicyClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = evp_base_event_loop_policy_finalize;
  object_class->get_property = evp_base_event_loop_policy_get_property;
  object_class->set_property = evp_base_event_loop_policy_set_property;

  /**
   * EvpBaseEventLoopPolicy:missing-loop: (getter get_missing_loop) (setter set_missing_loop)
   *
   * What happens when the main thread asks for its loop and none was ever set there.
   *
   * The three values behave like asyncio up to Python 3.11, of Python 3.12 and 3.13, and of
   * Python 3.14. A change applies to later calls.
   *
   * Since: 1.0
   */
  properties[PROP_MISSING_LOOP] =
      g_param_spec_enum ("missing-loop", NULL, NULL,
                         EVP_TYPE_MISSING_LOOP, EVP_MISSING_LOOP_CREATE,
                         G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_base_event_loop_policy_init (EvpBaseEventLoopPolicy *self)
{
  EvpBaseEventLoopPolicyPrivate *priv = get_private (self);

  evp_event_loop_policy_check_table (EVP_TYPE_BASE_EVENT_LOOP_POLICY, &filled_in);
  priv->loops = evp_loop_slots_new ();
  evp_lazy_slot_init (&priv->watcher);
  priv->watcher.emptied_by_fork = TRUE;
  priv->make_watcher = make_default_child_watcher;
}

void
evp_base_event_loop_policy_set_make_child_watcher (EvpBaseEventLoopPolicy *self,
                                                   EvpMakeChildWatcher     make)
{
  get_private (self)->make_watcher = make;
}

gboolean
evp_base_event_loop_policy_lookup_loop (EvpBaseEventLoopPolicy *self,
                                        GMainContext           *place,
                                        EvpAbstractEventLoop  **loop)
{
  return evp_loop_slots_lookup (get_private (self)->loops, place, loop);
}

EvpAbstractEventLoop *
evp_base_event_loop_policy_find_loop (EvpBaseEventLoopPolicy *self,
                                      GMainContext           *place,
                                      GMainContext           *adopt,
                                      GError                **error)
{
  EvpBaseEventLoopPolicyPrivate *priv = get_private (self);
  EvpAbstractEventLoopPolicy *policy = EVP_EVENT_LOOP_POLICY (self);
  EvpMissingLoop missing_loop = g_atomic_int_get (&priv->missing_loop);
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (EvpAbstractEventLoop) made = NULL;
  EvpLoopCreation creation;
  gboolean was_set;

  was_set = evp_loop_slots_lookup (priv->loops, place, &loop);
  if (loop != NULL)
    return g_steal_pointer (&loop);
  if (was_set || adopt == NULL || missing_loop == EVP_MISSING_LOOP_ERROR)
    {
      set_no_loop_error (place, was_set, error);
      return NULL;
    }
  if (evp_loop_creation_is_active (self))
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                   /* Translators: %s is a class name */
                   _("%s.new_event_loop() asked for the loop that it was making; "
                     "it must not call get_event_loop()"),
                   G_OBJECT_TYPE_NAME (self));
      return NULL;
    }
  if (missing_loop == EVP_MISSING_LOOP_WARN)
    {
      g_autofree char *thread = describe_thread ();

      evp_warn_runtime (
          /* Translators: %s is "the main thread" or "thread “name”" */
          _("There is no current event loop in %s, and one is made; set one with "
            "evp_set_event_loop(), or use evp_run()"),
          thread);
    }

  /* through the public functions, so that what a subclass overrides is seen */
  evp_loop_creation_begin (&creation, self, adopt);
  made = evp_event_loop_policy_new_event_loop (policy, error);
  evp_loop_creation_end (&creation);
  if (made == NULL || !evp_event_loop_policy_set_event_loop (policy, made, error))
    return NULL;

  evp_loop_slots_lookup (priv->loops, place, &loop);
  if (loop == NULL)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP,
                   /* Translators: %s is a class name */
                   _("%s.set_event_loop() did not keep the loop that was made; an override has to "
                     "chain up, or to override get_event_loop() too"),
                   G_OBJECT_TYPE_NAME (self));
      return NULL;
    }
  EVP_DEBUG_NOTE (EVP_DEBUG_POLICY, "%s made a missing loop, %s", G_OBJECT_TYPE_NAME (self),
                  G_OBJECT_TYPE_NAME (loop));
  return g_steal_pointer (&loop);
}

gboolean
evp_base_event_loop_policy_store_loop (EvpBaseEventLoopPolicy *self,
                                       GMainContext           *place,
                                       EvpAbstractEventLoop   *loop,
                                       gboolean                attach,
                                       GError                **error)
{
  EvpBaseEventLoopPolicyPrivate *priv = get_private (self);
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;

  evp_loop_slots_store (priv->loops, place, loop);
  if (!attach)
    return TRUE;
  watcher = evp_lazy_slot_dup (&priv->watcher);
  return watcher == NULL || evp_child_watcher_attach_loop (watcher, loop, error);
}

/**
 * evp_base_event_loop_policy_get_missing_loop: (get-property missing-loop)
 * @self: the policy
 *
 * Tells what happens when the main thread asks for its loop and none was ever set there.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the behaviour
 *
 * Since: 1.0
 */
EvpMissingLoop
evp_base_event_loop_policy_get_missing_loop (EvpBaseEventLoopPolicy *self)
{
  g_return_val_if_fail (EVP_IS_BASE_EVENT_LOOP_POLICY (self), EVP_MISSING_LOOP_CREATE);

  return g_atomic_int_get (&get_private (self)->missing_loop);
}

/**
 * evp_base_event_loop_policy_set_missing_loop: (set-property missing-loop)
 * @self: the policy
 * @missing_loop: the behaviour
 *
 * Sets what happens when the main thread asks for its loop and none was ever set there.
 *
 * It applies to later calls; a loop that was made already stays.
 *
 * May be called from any thread; the property is notified on that thread. O(1).
 *
 * Since: 1.0
 */
void
evp_base_event_loop_policy_set_missing_loop (EvpBaseEventLoopPolicy *self,
                                             EvpMissingLoop          missing_loop)
{
  EvpBaseEventLoopPolicyPrivate *priv;
  int old;

  g_return_if_fail (EVP_IS_BASE_EVENT_LOOP_POLICY (self));
  g_return_if_fail (missing_loop <= EVP_MISSING_LOOP_ERROR);

  priv = get_private (self);
  do
    old = g_atomic_int_get (&priv->missing_loop);
  while (!g_atomic_int_compare_and_exchange (&priv->missing_loop, old, (int) missing_loop));
  if (old != (int) missing_loop)
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MISSING_LOOP]);
}
