/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-policy.h"

/* A policy that derives from the default one and overrides everything, chaining up. */

typedef EvpDefaultEventLoopPolicy ChainingPolicy;
typedef EvpDefaultEventLoopPolicyClass ChainingPolicyClass;

static EvpAbstractEventLoopPolicyInterface *chaining_parent;

static EvpAbstractEventLoop *
chaining_policy_get_event_loop (EvpAbstractEventLoopPolicy *self,
                                GError                    **error)
{
  return chaining_parent->get_event_loop (self, error);
}

static gboolean
chaining_policy_set_event_loop (EvpAbstractEventLoopPolicy *self,
                                EvpAbstractEventLoop       *loop,
                                GError                    **error)
{
  return chaining_parent->set_event_loop (self, loop, error);
}

static EvpAbstractEventLoop *
chaining_policy_new_event_loop (EvpAbstractEventLoopPolicy *self,
                                GError                    **error)
{
  return chaining_parent->new_event_loop (self, error);
}

static EvpAbstractChildWatcher *
chaining_policy_get_child_watcher (EvpAbstractEventLoopPolicy *self,
                                   GError                    **error)
{
  return chaining_parent->get_child_watcher (self, error);
}

static gboolean
chaining_policy_set_child_watcher (EvpAbstractEventLoopPolicy *self,
                                   EvpAbstractChildWatcher    *watcher,
                                   GError                    **error)
{
  return chaining_parent->set_child_watcher (self, watcher, error);
}

static void
chaining_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  chaining_parent = g_type_interface_peek_parent (iface);
  iface->get_event_loop = chaining_policy_get_event_loop;
  iface->set_event_loop = chaining_policy_set_event_loop;
  iface->new_event_loop = chaining_policy_new_event_loop;
  iface->get_child_watcher = chaining_policy_get_child_watcher;
  iface->set_child_watcher = chaining_policy_set_child_watcher;
}

GType chaining_policy_get_type (void);

G_DEFINE_TYPE_WITH_CODE (ChainingPolicy, chaining_policy, EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, chaining_policy_iface_init))

static void
chaining_policy_class_init (ChainingPolicyClass *klass)
{
}

static void
chaining_policy_init (ChainingPolicy *self)
{
}

static EvpAbstractEventLoopPolicy *
chaining_policy_new (void)
{
  return g_object_new (chaining_policy_get_type (), NULL);
}

/* A policy from scratch that keeps a default one and asks it: composition. */

typedef struct
{
  GObject parent_instance;
  EvpAbstractEventLoopPolicy *inner;
} ComposedPolicy;

typedef GObjectClass ComposedPolicyClass;

GType composed_policy_get_type (void);

static void composed_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface);

G_DEFINE_TYPE_WITH_CODE (ComposedPolicy, composed_policy, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, composed_policy_iface_init))

static EvpAbstractEventLoop *
composed_policy_get_event_loop (EvpAbstractEventLoopPolicy *self,
                                GError                    **error)
{
  return evp_event_loop_policy_get_event_loop (((ComposedPolicy *) self)->inner, error);
}

static gboolean
composed_policy_set_event_loop (EvpAbstractEventLoopPolicy *self,
                                EvpAbstractEventLoop       *loop,
                                GError                    **error)
{
  return evp_event_loop_policy_set_event_loop (((ComposedPolicy *) self)->inner, loop, error);
}

static EvpAbstractEventLoop *
composed_policy_new_event_loop (EvpAbstractEventLoopPolicy *self,
                                GError                    **error)
{
  return evp_event_loop_policy_new_event_loop (((ComposedPolicy *) self)->inner, error);
}

static EvpAbstractChildWatcher *
composed_policy_get_child_watcher (EvpAbstractEventLoopPolicy *self,
                                   GError                    **error)
{
  return evp_event_loop_policy_get_child_watcher (((ComposedPolicy *) self)->inner, error);
}

static gboolean
composed_policy_set_child_watcher (EvpAbstractEventLoopPolicy *self,
                                   EvpAbstractChildWatcher    *watcher,
                                   GError                    **error)
{
  return evp_event_loop_policy_set_child_watcher (((ComposedPolicy *) self)->inner, watcher, error);
}

static void
composed_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->get_event_loop = composed_policy_get_event_loop;
  iface->set_event_loop = composed_policy_set_event_loop;
  iface->new_event_loop = composed_policy_new_event_loop;
  iface->get_child_watcher = composed_policy_get_child_watcher;
  iface->set_child_watcher = composed_policy_set_child_watcher;
}

static void
composed_policy_finalize (GObject *object)
{
  g_object_unref (((ComposedPolicy *) object)->inner);

  G_OBJECT_CLASS (composed_policy_parent_class)->finalize (object);
}

static void
composed_policy_class_init (ComposedPolicyClass *klass)
{
  klass->finalize = composed_policy_finalize;
}

static void
composed_policy_init (ComposedPolicy *self)
{
  self->inner = evp_default_event_loop_policy_new ();
}

static EvpAbstractEventLoopPolicy *
composed_policy_new (void)
{
  return g_object_new (composed_policy_get_type (), NULL);
}

int
main (int    argc,
      char **argv)
{
  EvpContractPolicyFlags all = EVP_CONTRACT_POLICY_MAKES_LOOPS | EVP_CONTRACT_POLICY_HAS_WATCHERS
                               | EVP_CONTRACT_POLICY_PER_THREAD | EVP_CONTRACT_POLICY_MAKES_MISSING;

  g_test_init (&argc, &argv, NULL);
  evp_contract_policy_add ("/evp/contract/policy/default", evp_default_event_loop_policy_new, all);
  evp_contract_policy_add ("/evp/contract/policy/selector", evp_selector_event_loop_policy_new, all);
  evp_contract_policy_add ("/evp/contract/policy/proactor", evp_proactor_event_loop_policy_new, all);
  evp_contract_policy_add ("/evp/contract/policy/main-context", evp_main_context_event_loop_policy_new,
                           all & ~EVP_CONTRACT_POLICY_PER_THREAD);
  evp_contract_policy_add ("/evp/contract/policy/windows-selector",
                           evp_windows_selector_event_loop_policy_new, EVP_CONTRACT_POLICY_PER_THREAD);
  evp_contract_policy_add ("/evp/contract/policy/windows-proactor",
                           evp_windows_proactor_event_loop_policy_new, EVP_CONTRACT_POLICY_PER_THREAD);
  evp_contract_policy_add ("/evp/contract/policy/chaining", chaining_policy_new, all);
  evp_contract_policy_add ("/evp/contract/policy/composed", composed_policy_new, all);
  return g_test_run ();
}
