/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A GIO module as a third party writes it: a policy that EVP_POLICY=from-a-module selects. */

#include <evp/evp.h>

typedef EvpDefaultEventLoopPolicy ModulePolicy;
typedef EvpDefaultEventLoopPolicyClass ModulePolicyClass;

GType module_policy_get_type (void);

G_DEFINE_DYNAMIC_TYPE (ModulePolicy, module_policy, EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY)

static void
module_policy_class_init (ModulePolicyClass *klass)
{
}

static void
module_policy_class_finalize (ModulePolicyClass *klass)
{
}

static void
module_policy_init (ModulePolicy *self)
{
}

G_MODULE_EXPORT void
g_io_evptestmodule_load (GIOModule *module)
{
  g_type_module_use (G_TYPE_MODULE (module));
  module_policy_register_type (G_TYPE_MODULE (module));
  g_io_extension_point_implement (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME, module_policy_get_type (),
                                  "from-a-module", 0);
}

G_MODULE_EXPORT void
g_io_evptestmodule_unload (GIOModule *module)
{
}

G_MODULE_EXPORT char **
g_io_evptestmodule_query (void)
{
  return g_strsplit (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME, "!", -1);
}
