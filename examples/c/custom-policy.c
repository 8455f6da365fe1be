/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A policy of one's own, for the whole process: it counts the loops it makes. */

#include <evp/evp.h>

#define COUNTING_TYPE_POLICY (counting_policy_get_type ())
G_DECLARE_FINAL_TYPE (CountingPolicy, counting_policy, COUNTING, POLICY, EvpDefaultEventLoopPolicy)

struct _CountingPolicy
{
  EvpDefaultEventLoopPolicy parent_instance;

  int made;
};

/* what the parent class does; slots that are not set below stay its own */
static EvpAbstractEventLoopPolicyInterface *parent_iface;

static EvpAbstractEventLoop *
counting_policy_new_event_loop (EvpAbstractEventLoopPolicy *policy,
                                GError                    **error)
{
  EvpAbstractEventLoop *loop = parent_iface->new_event_loop (policy, error);

  if (loop != NULL)
    COUNTING_POLICY (policy)->made++;
  return loop; /* NULL with the error set passes through */
}

static void
counting_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  parent_iface = g_type_interface_peek_parent (iface);
  iface->new_event_loop = counting_policy_new_event_loop;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (CountingPolicy, counting_policy, EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY,
                               G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, counting_policy_iface_init))

static void
counting_policy_class_init (CountingPolicyClass *klass)
{
}

static void
counting_policy_init (CountingPolicy *self)
{
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (CountingPolicy) policy = g_object_new (COUNTING_TYPE_POLICY, NULL);
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (EvpAbstractEventLoop) again = NULL;

  evp_set_event_loop_policy (EVP_EVENT_LOOP_POLICY (policy));
  loop = evp_get_event_loop (&error); /* nobody has set one: the policy makes it */
  again = loop != NULL ? evp_get_event_loop (&error) : NULL;
  if (again == NULL || !evp_event_loop_close (loop, &error))
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  g_print ("the same loop again: %s\n", loop == again ? "yes" : "no");
  g_print ("the policy made %d loop\n", policy->made);

  evp_set_event_loop_policy (NULL); /* the default policy again */
  return 0;
}
