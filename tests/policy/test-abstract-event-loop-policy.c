/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"

/* A policy that leaves out every slot. */

typedef GObject EmptyPolicy;
typedef GObjectClass EmptyPolicyClass;

GType empty_policy_get_type (void);

G_DEFINE_TYPE_WITH_CODE (EmptyPolicy, empty_policy, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, NULL))

static void
empty_policy_class_init (EmptyPolicyClass *klass)
{
}

static void
empty_policy_init (EmptyPolicy *self)
{
}

/* A policy that answers nothing, and gives no reason, as a language does after an exception. */

typedef GObject SilentPolicy;
typedef GObjectClass SilentPolicyClass;

GType silent_policy_get_type (void);

static gpointer
silent_policy_get (EvpAbstractEventLoopPolicy *self,
                   GError                    **error)
{
  return NULL;
}

static gboolean
silent_policy_set (EvpAbstractEventLoopPolicy *self,
                   gpointer                    object,
                   GError                    **error)
{
  return FALSE;
}

static void
silent_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->get_event_loop = (gpointer) silent_policy_get;
  iface->set_event_loop = (gpointer) silent_policy_set;
  iface->new_event_loop = (gpointer) silent_policy_get;
  iface->get_child_watcher = (gpointer) silent_policy_get;
  iface->set_child_watcher = (gpointer) silent_policy_set;
}

G_DEFINE_TYPE_WITH_CODE (SilentPolicy, silent_policy, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, silent_policy_iface_init))

static void
silent_policy_class_init (SilentPolicyClass *klass)
{
}

static void
silent_policy_init (SilentPolicy *self)
{
}

/* A policy that returns a loop and an error at once. */

typedef GObject ConfusedPolicy;
typedef GObjectClass ConfusedPolicyClass;

GType confused_policy_get_type (void);

static EvpAbstractEventLoop *confused_loop;

static EvpAbstractEventLoop *
confused_policy_get_event_loop (EvpAbstractEventLoopPolicy *self,
                                GError                    **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_BUSY, "busy");
  return g_object_ref (confused_loop);
}

static void
confused_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->get_event_loop = confused_policy_get_event_loop;
}

G_DEFINE_TYPE_WITH_CODE (ConfusedPolicy, confused_policy, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, confused_policy_iface_init))

static void
confused_policy_class_init (ConfusedPolicyClass *klass)
{
}

static void
confused_policy_init (ConfusedPolicy *self)
{
}

static void
assert_message (GError     *error,
                int         code,
                const char *type,
                const char *method)
{
  g_assert_error (error, EVP_ERROR, code);
  g_assert_nonnull (strstr (error->message, type));
  g_assert_nonnull (strstr (error->message, method));
}

static void
check_all_fail (EvpAbstractEventLoopPolicy *policy,
                int                         code)
{
  const char *type = G_OBJECT_TYPE_NAME (policy);
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
  assert_message (error, code, type, "get_event_loop");
  g_clear_error (&error);
  g_assert_false (evp_event_loop_policy_set_event_loop (policy, NULL, &error));
  assert_message (error, code, type, "set_event_loop");
  g_clear_error (&error);
  g_assert_null (evp_event_loop_policy_new_event_loop (policy, &error));
  assert_message (error, code, type, "new_event_loop");
  g_clear_error (&error);
  g_assert_null (evp_event_loop_policy_get_child_watcher (policy, &error));
  assert_message (error, code, type, "get_child_watcher");
  g_clear_error (&error);
  g_assert_false (evp_event_loop_policy_set_child_watcher (policy, NULL, &error));
  assert_message (error, code, type, "set_child_watcher");

  /* who does not want to know why */
  g_assert_null (evp_event_loop_policy_get_event_loop (policy, NULL));
  g_assert_false (evp_event_loop_policy_set_event_loop (policy, NULL, NULL));
}

/* Rules: P-7, P-35, P-41, Z-18 */
static void
test_empty (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (empty_policy_get_type (), NULL);

  check_all_fail (policy, EVP_ERROR_NOT_SUPPORTED);
}

/* Rules: P-16, P-36 */
static void
test_silent (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (silent_policy_get_type (), NULL);

  check_all_fail (policy, EVP_ERROR_FAILED);
}

/* Rules: P-16, P-36 */
static void
test_confused (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (confused_policy_get_type (), NULL);
  g_autoptr (GError) error = NULL;

  confused_loop = evp_selector_event_loop_new (NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  evp_event_loop_close (confused_loop, NULL);
  /* the answer that came with the error was released */
  g_assert_finalize_object (confused_loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/evp/policy/abstract-event-loop-policy/empty", test_empty);
  g_test_add_func ("/evp/policy/abstract-event-loop-policy/silent", test_silent);
  g_test_add_func ("/evp/policy/abstract-event-loop-policy/confused", test_confused);
  return g_test_run ();
}
