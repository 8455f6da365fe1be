/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/policy/evp-default-event-loop-policy-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-proactor-event-loop.h"
#include "evp/loop/evp-selector-event-loop.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/policy/evp-abstract-event-loop-policy-private.h"
#include "evp/policy/evp-base-event-loop-policy-private.h"
#include "evp/policy/evp-loop-slots-private.h"
#include "evp/policy/evp-policy-environment-private.h"
#include "evp/proactor/evp-uring-proactor.h"

/**
 * EvpDefaultEventLoopPolicy:
 *
 * The policy of a process that has not chosen another one, and the one to subclass.
 *
 * It keeps one loop per thread and one child watcher for all of them, as
 * [class@Evp.BaseEventLoopPolicy] describes, and makes loops of
 * [property@Evp.DefaultEventLoopPolicy:loop-type] and a watcher of
 * [property@Evp.DefaultEventLoopPolicy:child-watcher-type].
 *
 * ## Changing one answer
 *
 * Derive from it, override one slot, chain up, and install an instance with
 * [func@Evp.set_event_loop_policy]. The interface is named again at every level that overrides, so
 * that the class has a table of its own; otherwise the override would be written into the table of
 * the parent, and a critical warning tells so.
 *
 * In C:
 *
 * ```c
 * static EvpAbstractEventLoopPolicyInterface *parent_iface;
 *
 * static EvpAbstractEventLoop *
 * my_policy_get_event_loop (EvpAbstractEventLoopPolicy *self,
 *                           GError                    **error)
 * {
 *   g_autoptr (EvpAbstractEventLoop) loop = parent_iface->get_event_loop (self, error);
 *
 *   if (loop != NULL)
 *     evp_event_loop_set_debug (loop, TRUE);
 *   return g_steal_pointer (&loop);
 * }
 *
 * static void
 * my_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
 * {
 *   parent_iface = g_type_interface_peek_parent (iface);
 *   iface->get_event_loop = my_policy_get_event_loop;
 * }
 *
 * G_DEFINE_TYPE_WITH_CODE (MyPolicy, my_policy, EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY,
 *                          G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, my_policy_iface_init))
 * ```
 *
 * In Python (without our override file, list `Evp.AbstractEventLoopPolicy` as a second base):
 *
 * ```python
 * class MyPolicy(Evp.DefaultEventLoopPolicy):
 *     def do_get_event_loop(self):
 *         loop = super().do_get_event_loop()
 *         loop.set_debug(True)
 *         return loop
 *
 * Evp.set_event_loop_policy(MyPolicy())
 * ```
 *
 * In GJS:
 *
 * ```js
 * const MyPolicy = GObject.registerClass({
 *     Implements: [Evp.AbstractEventLoopPolicy],
 * }, class MyPolicy extends Evp.DefaultEventLoopPolicy {
 *     vfunc_get_event_loop() {
 *         const loop = super.vfunc_get_event_loop();
 *         loop.set_debug(true);
 *         return loop;
 *     }
 * });
 * ```
 *
 * In Vala:
 *
 * ```vala
 * class MyPolicy : Evp.DefaultEventLoopPolicy, Evp.AbstractEventLoopPolicy {
 *     public virtual Evp.AbstractEventLoop get_event_loop () throws GLib.Error {
 *         var loop = base.get_event_loop ();
 *         loop.set_debug (true);
 *         return loop;
 *     }
 * }
 * ```
 *
 * Overriding `new_event_loop` alone changes the loops that programs ask for and the one that is made
 * for the main thread. A loop made there lives in GLib's default main context only if the override
 * chains up, or passes that context itself.
 *
 * ## Choosing without a program
 *
 * The environment variables `EVP_CHILD_WATCHER` (pidfd, threaded, safe, fast, multi-loop, glib),
 * `EVP_SELECTOR` (epoll, poll, select, kqueue) and `EVP_PROACTOR` (uring, gio) are read when the first
 * policy is made, and become the defaults of the properties of every policy of this class.
 *
 * May be used from any thread; set properties before others use the policy.
 *
 * Known from asyncio as `DefaultEventLoopPolicy`.
 *
 * Since: 1.0
 */

typedef struct
{
  GMutex lock;              /* protects the types below */
  GType loop_type;
  GType child_watcher_type; /* G_TYPE_INVALID: the best that works here */
  GType selector_type;      /* G_TYPE_INVALID: the best that works here */
  GType proactor_type;      /* G_TYPE_INVALID: the best that works here */
  gboolean loop_type_fixed; /* set once, before anybody else sees the policy */
} EvpDefaultEventLoopPolicyPrivate;

static void evp_default_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpDefaultEventLoopPolicy, evp_default_event_loop_policy,
                         EVP_TYPE_BASE_EVENT_LOOP_POLICY,
                         G_ADD_PRIVATE (EvpDefaultEventLoopPolicy)
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY,
                                                evp_default_event_loop_policy_iface_init))

enum
{
  PROP_LOOP_TYPE = 1,
  PROP_CHILD_WATCHER_TYPE,
  PROP_SELECTOR_TYPE,
  PROP_PROACTOR_TYPE,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

/* what this class filled in; written once, when the class is made */
static EvpAbstractEventLoopPolicyInterface filled_in;

static EvpDefaultEventLoopPolicyPrivate *
get_private (gpointer self)
{
  return evp_default_event_loop_policy_get_instance_private (EVP_DEFAULT_EVENT_LOOP_POLICY (self));
}

static GType
read_type (EvpDefaultEventLoopPolicy *self,
           const GType               *type)
{
  EvpDefaultEventLoopPolicyPrivate *priv = get_private (self);
  GType result;

  g_mutex_lock (&priv->lock);
  result = *type;
  g_mutex_unlock (&priv->lock);
  return result;
}

static void
write_type (EvpDefaultEventLoopPolicy *self,
            GType                     *type,
            GType                      new_type,
            GParamSpec                *pspec)
{
  EvpDefaultEventLoopPolicyPrivate *priv = get_private (self);
  gboolean changed;

  g_mutex_lock (&priv->lock);
  changed = *type != new_type;
  *type = new_type;
  g_mutex_unlock (&priv->lock);
  if (changed)
    g_object_notify_by_pspec (G_OBJECT (self), pspec);
}

/* Whether an object of @type can be made; an error that tells what to do if not. */
static gboolean
check_type (gpointer    self,
            GType       type,
            GType       wanted,
            const char *property,
            GError    **error)
{
  if (G_TYPE_IS_OBJECT (type) && g_type_is_a (type, wanted) && !G_TYPE_IS_ABSTRACT (type))
    return TRUE;
  g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
               /* Translators: class name, property name, type name, type name */
               _("The property %s::%s is %s, of which no object can be made; "
                 "set it to a class that implements %s and is not abstract"),
               G_OBJECT_TYPE_NAME (self), property, g_type_name (type), g_type_name (wanted));
  return FALSE;
}

/* g_object_new(), and g_initable_init() for what can fail. Takes properties that may be NULL. */
static gpointer
make_object (GType       type,
             guint       n_properties,
             const char *names[],
             GValue      values[],
             GError    **error)
{
  g_autoptr (GObject) object = g_object_new_with_properties (type, n_properties, names, values);

  if (g_object_is_floating (object))
    g_object_ref_sink (object);
  if (G_IS_INITABLE (object) && !g_initable_init (G_INITABLE (object), NULL, error))
    return NULL;
  return g_steal_pointer (&object);
}

static EvpAbstractChildWatcher *
make_child_watcher (EvpBaseEventLoopPolicy *policy,
                    GError                **error)
{
  EvpDefaultEventLoopPolicy *self = EVP_DEFAULT_EVENT_LOOP_POLICY (policy);
  GType type = read_type (self, &get_private (self)->child_watcher_type);

  if (type == G_TYPE_INVALID)
    return evp_child_watcher_new_default ();
  if (!check_type (self, type, EVP_TYPE_CHILD_WATCHER, "child-watcher-type", error))
    return NULL;
  return make_object (type, 0, NULL, NULL, error);
}

static EvpSelector *
make_selector (EvpDefaultEventLoopPolicy *self,
               GType                      type,
               GError                   **error)
{
  if (!check_type (self, type, EVP_TYPE_SELECTOR, "selector-type", error))
    return NULL;
  return make_object (type, 0, NULL, NULL, error);
}

static EvpProactor *
make_proactor (EvpDefaultEventLoopPolicy *self,
               GType                      type,
               GError                   **error)
{
  if (!check_type (self, type, EVP_TYPE_PROACTOR, "proactor-type", error))
    return NULL;
  /* says why there is none */
  if (type == EVP_TYPE_URING_PROACTOR)
    return evp_uring_proactor_new (error);
  return make_object (type, 0, NULL, NULL, error);
}

EvpAbstractEventLoop *
evp_default_event_loop_policy_make_loop (EvpDefaultEventLoopPolicy *self,
                                         GType                      type,
                                         GError                   **error)
{
  GType selector_type = read_type (self, &get_private (self)->selector_type);
  GType proactor_type = read_type (self, &get_private (self)->proactor_type);
  GMainContext *context = evp_loop_creation_get_context ();
  g_autoptr (EvpSelector) selector = NULL;
  g_autoptr (EvpProactor) proactor = NULL;
  const char *names[2];
  GValue values[] = { G_VALUE_INIT, G_VALUE_INIT };
  guint n_properties = 0;
  EvpAbstractEventLoop *loop;

  if (!check_type (self, type, EVP_TYPE_EVENT_LOOP, "loop-type", error))
    return NULL;
  if (g_type_is_a (type, EVP_TYPE_SELECTOR_EVENT_LOOP) && selector_type != G_TYPE_INVALID)
    {
      selector = make_selector (self, selector_type, error);
      if (selector == NULL)
        return NULL;
    }
  else if (g_type_is_a (type, EVP_TYPE_PROACTOR_EVENT_LOOP) && proactor_type != G_TYPE_INVALID)
    {
      proactor = make_proactor (self, proactor_type, error);
      if (proactor == NULL)
        return NULL;
    }
  if (type == EVP_TYPE_SELECTOR_EVENT_LOOP)
    return evp_selector_event_loop_new (selector, context, error);

  if (g_type_is_a (type, EVP_TYPE_BASE_EVENT_LOOP))
    {
      if (context == NULL && !evp_os_fd_check_left (error))
        return NULL;
      names[n_properties] = "main-context";
      g_value_init (&values[n_properties], G_TYPE_MAIN_CONTEXT);
      g_value_set_boxed (&values[n_properties++], context);
    }
  if (selector != NULL)
    {
      names[n_properties] = "selector";
      g_value_init (&values[n_properties], EVP_TYPE_SELECTOR);
      g_value_set_object (&values[n_properties++], selector);
    }
  if (proactor != NULL)
    {
      names[n_properties] = "proactor";
      g_value_init (&values[n_properties], EVP_TYPE_PROACTOR);
      g_value_set_object (&values[n_properties++], proactor);
    }
  loop = make_object (type, n_properties, names, values, error);
  for (guint i = 0; i < n_properties; i++)
    g_value_unset (&values[i]);
  return loop;
}

static EvpAbstractEventLoop *
evp_default_event_loop_policy_new_event_loop (EvpAbstractEventLoopPolicy *policy,
                                              GError                    **error)
{
  EvpDefaultEventLoopPolicy *self = EVP_DEFAULT_EVENT_LOOP_POLICY (policy);
  GType type = read_type (self, &get_private (self)->loop_type);

  return evp_default_event_loop_policy_make_loop (self, type, error);
}

static void
evp_default_event_loop_policy_finalize (GObject *object)
{
  g_mutex_clear (&get_private (object)->lock);

  G_OBJECT_CLASS (evp_default_event_loop_policy_parent_class)->finalize (object);
}

static void
evp_default_event_loop_policy_get_property (GObject    *object,
                                            guint       prop_id,
                                            GValue     *value,
                                            GParamSpec *pspec)
{
  EvpDefaultEventLoopPolicy *self = EVP_DEFAULT_EVENT_LOOP_POLICY (object);

  switch (prop_id)
    {
    case PROP_LOOP_TYPE:
      g_value_set_gtype (value, evp_default_event_loop_policy_get_loop_type (self));
      break;
    case PROP_CHILD_WATCHER_TYPE:
      g_value_set_gtype (value, evp_default_event_loop_policy_get_child_watcher_type (self));
      break;
    case PROP_SELECTOR_TYPE:
      g_value_set_gtype (value, evp_default_event_loop_policy_get_selector_type (self));
      break;
    case PROP_PROACTOR_TYPE:
      g_value_set_gtype (value, evp_default_event_loop_policy_get_proactor_type (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_default_event_loop_policy_set_property (GObject      *object,
                                            guint         prop_id,
                                            const GValue *value,
                                            GParamSpec   *pspec)
{
  EvpDefaultEventLoopPolicy *self = EVP_DEFAULT_EVENT_LOOP_POLICY (object);

  switch (prop_id)
    {
    case PROP_LOOP_TYPE:
      evp_default_event_loop_policy_set_loop_type (self, g_value_get_gtype (value));
      break;
    case PROP_CHILD_WATCHER_TYPE:
      evp_default_event_loop_policy_set_child_watcher_type (self, g_value_get_gtype (value));
      break;
    case PROP_SELECTOR_TYPE:
      evp_default_event_loop_policy_set_selector_type (self, g_value_get_gtype (value));
      break;
    case PROP_PROACTOR_TYPE:
      evp_default_event_loop_policy_set_proactor_type (self, g_value_get_gtype (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_default_event_loop_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->new_event_loop = evp_default_event_loop_policy_new_event_loop;
  filled_in = *iface;
}

static void
evp_default_event_loop_policy_class_init (EvpDefaultEventLoopPolicyClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = evp_default_event_loop_policy_finalize;
  object_class->get_property = evp_default_event_loop_policy_get_property;
  object_class->set_property = evp_default_event_loop_policy_set_property;

  /**
   * EvpDefaultEventLoopPolicy:loop-type: (getter get_loop_type) (setter set_loop_type)
   *
   * The type of the loops that the policy makes; by default [class@Evp.SelectorEventLoop].
   *
   * The interface type itself stands for the default. The subclasses that are named after a kind of
   * loop do not let it be changed.
   *
   * Since: 1.0
   */
  properties[PROP_LOOP_TYPE] =
      g_param_spec_gtype ("loop-type", NULL, NULL, EVP_TYPE_EVENT_LOOP,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpDefaultEventLoopPolicy:child-watcher-type: (getter get_child_watcher_type) (setter set_child_watcher_type)
   *
   * The type of the child watcher that the policy makes when it is first asked for one; by default
   * what `EVP_CHILD_WATCHER` names, else the best that works here.
   *
   * The interface type itself stands for the best that works here.
   *
   * Since: 1.0
   */
  properties[PROP_CHILD_WATCHER_TYPE] =
      g_param_spec_gtype ("child-watcher-type", NULL, NULL, EVP_TYPE_CHILD_WATCHER,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpDefaultEventLoopPolicy:selector-type: (getter get_selector_type) (setter set_selector_type)
   *
   * The type of the selectors of the selector loops that the policy makes; by default what
   * `EVP_SELECTOR` names, else [class@Evp.Selector] itself, which stands for the best that works here.
   *
   * Since: 1.0
   */
  properties[PROP_SELECTOR_TYPE] =
      g_param_spec_gtype ("selector-type", NULL, NULL, EVP_TYPE_SELECTOR,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpDefaultEventLoopPolicy:proactor-type: (getter get_proactor_type) (setter set_proactor_type)
   *
   * The type of the proactors of the proactor loops that the policy makes; by default what
   * `EVP_PROACTOR` names, else [class@Evp.Proactor] itself, which stands for the best that works here.
   *
   * Since: 1.0
   */
  properties[PROP_PROACTOR_TYPE] =
      g_param_spec_gtype ("proactor-type", NULL, NULL, EVP_TYPE_PROACTOR,
                          G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_default_event_loop_policy_init (EvpDefaultEventLoopPolicy *self)
{
  EvpDefaultEventLoopPolicyPrivate *priv = get_private (self);

  evp_event_loop_policy_check_table (EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY, &filled_in);
  g_mutex_init (&priv->lock);
  priv->loop_type = EVP_TYPE_SELECTOR_EVENT_LOOP;
  priv->child_watcher_type = evp_policy_environment_get_child_watcher_type ();
  priv->selector_type = evp_policy_environment_get_selector_type ();
  priv->proactor_type = evp_policy_environment_get_proactor_type ();
  evp_base_event_loop_policy_set_make_child_watcher (EVP_BASE_EVENT_LOOP_POLICY (self),
                                                     make_child_watcher);
}

void
evp_default_event_loop_policy_fix_loop_type (EvpDefaultEventLoopPolicy *self,
                                             GType                      type)
{
  EvpDefaultEventLoopPolicyPrivate *priv = get_private (self);

  priv->loop_type = type;
  priv->loop_type_fixed = TRUE;
}

/**
 * evp_default_event_loop_policy_new:
 *
 * Makes a policy.
 *
 * It is not installed; see [func@Evp.set_event_loop_policy].
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpDefaultEventLoopPolicy): a new policy
 *
 * Since: 1.0
 */
EvpAbstractEventLoopPolicy *
evp_default_event_loop_policy_new (void)
{
  return g_object_new (EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY, NULL);
}

/**
 * evp_default_event_loop_policy_get_loop_type: (get-property loop-type)
 * @self: the policy
 *
 * Tells of which type the loops are that the policy makes.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the type
 *
 * Since: 1.0
 */
GType
evp_default_event_loop_policy_get_loop_type (EvpDefaultEventLoopPolicy *self)
{
  g_return_val_if_fail (EVP_IS_DEFAULT_EVENT_LOOP_POLICY (self), G_TYPE_INVALID);

  return read_type (self, &get_private (self)->loop_type);
}

/**
 * evp_default_event_loop_policy_set_loop_type: (set-property loop-type)
 * @self: the policy
 * @loop_type: a type that implements [iface@Evp.AbstractEventLoop], or that interface for the default
 *
 * Sets of which type the loops are that the policy makes from now on.
 *
 * It is an error of the program to call this on a policy that is named after a kind of loop.
 *
 * May be called from any thread; the property is notified on that thread. O(1).
 *
 * Since: 1.0
 */
void
evp_default_event_loop_policy_set_loop_type (EvpDefaultEventLoopPolicy *self,
                                             GType                      loop_type)
{
  EvpDefaultEventLoopPolicyPrivate *priv;

  g_return_if_fail (EVP_IS_DEFAULT_EVENT_LOOP_POLICY (self));
  g_return_if_fail (g_type_is_a (loop_type, EVP_TYPE_EVENT_LOOP));

  priv = get_private (self);
  g_return_if_fail (!priv->loop_type_fixed);
  if (loop_type == EVP_TYPE_EVENT_LOOP)
    loop_type = EVP_TYPE_SELECTOR_EVENT_LOOP;
  write_type (self, &priv->loop_type, loop_type, properties[PROP_LOOP_TYPE]);
}

/**
 * evp_default_event_loop_policy_get_child_watcher_type: (get-property child-watcher-type)
 * @self: the policy
 *
 * Tells of which type the child watcher is that the policy makes.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the type; never the interface itself
 *
 * Since: 1.0
 */
GType
evp_default_event_loop_policy_get_child_watcher_type (EvpDefaultEventLoopPolicy *self)
{
  g_autoptr (EvpAbstractChildWatcher) best = NULL;
  GType type;

  g_return_val_if_fail (EVP_IS_DEFAULT_EVENT_LOOP_POLICY (self), G_TYPE_INVALID);

  type = read_type (self, &get_private (self)->child_watcher_type);
  if (type != G_TYPE_INVALID)
    return type;
  best = evp_child_watcher_new_default ();
  return G_OBJECT_TYPE (best);
}

/**
 * evp_default_event_loop_policy_set_child_watcher_type: (set-property child-watcher-type)
 * @self: the policy
 * @child_watcher_type: a type that implements [iface@Evp.AbstractChildWatcher], or that interface for
 *   the best that works here
 *
 * Sets of which type the child watcher is that the policy makes when it needs one.
 *
 * A watcher that exists already stays.
 *
 * May be called from any thread; the property is notified on that thread. O(1).
 *
 * Since: 1.0
 */
void
evp_default_event_loop_policy_set_child_watcher_type (EvpDefaultEventLoopPolicy *self,
                                                      GType                      child_watcher_type)
{
  g_return_if_fail (EVP_IS_DEFAULT_EVENT_LOOP_POLICY (self));
  g_return_if_fail (g_type_is_a (child_watcher_type, EVP_TYPE_CHILD_WATCHER));

  if (child_watcher_type == EVP_TYPE_CHILD_WATCHER)
    child_watcher_type = G_TYPE_INVALID;
  write_type (self, &get_private (self)->child_watcher_type, child_watcher_type,
              properties[PROP_CHILD_WATCHER_TYPE]);
}

/**
 * evp_default_event_loop_policy_get_selector_type: (get-property selector-type)
 * @self: the policy
 *
 * Tells of which type the selectors are of the loops that the policy makes.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the type; [class@Evp.Selector] itself stands for the best that works here
 *
 * Since: 1.0
 */
GType
evp_default_event_loop_policy_get_selector_type (EvpDefaultEventLoopPolicy *self)
{
  GType type;

  g_return_val_if_fail (EVP_IS_DEFAULT_EVENT_LOOP_POLICY (self), G_TYPE_INVALID);

  type = read_type (self, &get_private (self)->selector_type);
  return type != G_TYPE_INVALID ? type : EVP_TYPE_SELECTOR;
}

/**
 * evp_default_event_loop_policy_set_selector_type: (set-property selector-type)
 * @self: the policy
 * @selector_type: a subclass of [class@Evp.Selector], or that class for the best that works here
 *
 * Sets of which type the selectors are of the loops that the policy makes from now on.
 *
 * May be called from any thread; the property is notified on that thread. O(1).
 *
 * Since: 1.0
 */
void
evp_default_event_loop_policy_set_selector_type (EvpDefaultEventLoopPolicy *self,
                                                 GType                      selector_type)
{
  g_return_if_fail (EVP_IS_DEFAULT_EVENT_LOOP_POLICY (self));
  g_return_if_fail (g_type_is_a (selector_type, EVP_TYPE_SELECTOR));

  if (selector_type == EVP_TYPE_SELECTOR)
    selector_type = G_TYPE_INVALID;
  write_type (self, &get_private (self)->selector_type, selector_type, properties[PROP_SELECTOR_TYPE]);
}

/**
 * evp_default_event_loop_policy_get_proactor_type: (get-property proactor-type)
 * @self: the policy
 *
 * Tells of which type the proactors are of the loops that the policy makes.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the type; [class@Evp.Proactor] itself stands for the best that works here
 *
 * Since: 1.0
 */
GType
evp_default_event_loop_policy_get_proactor_type (EvpDefaultEventLoopPolicy *self)
{
  GType type;

  g_return_val_if_fail (EVP_IS_DEFAULT_EVENT_LOOP_POLICY (self), G_TYPE_INVALID);

  type = read_type (self, &get_private (self)->proactor_type);
  return type != G_TYPE_INVALID ? type : EVP_TYPE_PROACTOR;
}

/**
 * evp_default_event_loop_policy_set_proactor_type: (set-property proactor-type)
 * @self: the policy
 * @proactor_type: a subclass of [class@Evp.Proactor], or that class for the best that works here
 *
 * Sets of which type the proactors are of the loops that the policy makes from now on.
 *
 * May be called from any thread; the property is notified on that thread. O(1).
 *
 * Since: 1.0
 */
void
evp_default_event_loop_policy_set_proactor_type (EvpDefaultEventLoopPolicy *self,
                                                 GType                      proactor_type)
{
  g_return_if_fail (EVP_IS_DEFAULT_EVENT_LOOP_POLICY (self));
  g_return_if_fail (g_type_is_a (proactor_type, EVP_TYPE_PROACTOR));

  if (proactor_type == EVP_TYPE_PROACTOR)
    proactor_type = G_TYPE_INVALID;
  write_type (self, &get_private (self)->proactor_type, proactor_type, properties[PROP_PROACTOR_TYPE]);
}
