/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-debug-private.h"
#include "evp/evp.h"

#include "support/evp-test-support.h"
#include "support/evp-test-watcher.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* A policy whose every answer is an error: asking it where nobody should is noticed. */

typedef GObject RefusingPolicy;
typedef GObjectClass RefusingPolicyClass;

GType refusing_policy_get_type (void);

static EvpAbstractEventLoop *
refusing_policy_get_event_loop (EvpAbstractEventLoopPolicy *self,
                                GError                    **error)
{
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED, "do not ask");
  return NULL;
}

static void
refusing_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->get_event_loop = refusing_policy_get_event_loop;
}

G_DEFINE_TYPE_WITH_CODE (RefusingPolicy, refusing_policy, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, refusing_policy_iface_init))

static void
refusing_policy_class_init (RefusingPolicyClass *klass)
{
}

static void
refusing_policy_init (RefusingPolicy *self)
{
}

/* A policy that has loops but no child watchers. */

typedef struct
{
  GObject parent_instance;
  EvpAbstractEventLoop *loop;
} LoopOnlyPolicy;

typedef GObjectClass LoopOnlyPolicyClass;

GType loop_only_policy_get_type (void);

static void loop_only_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface);

G_DEFINE_TYPE_WITH_CODE (LoopOnlyPolicy, loop_only_policy, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, loop_only_policy_iface_init))

static EvpAbstractEventLoop *
loop_only_policy_get_event_loop (EvpAbstractEventLoopPolicy *self,
                                 GError                    **error)
{
  return g_object_ref (((LoopOnlyPolicy *) self)->loop);
}

static gboolean
loop_only_policy_set_event_loop (EvpAbstractEventLoopPolicy *self,
                                 EvpAbstractEventLoop       *loop,
                                 GError                    **error)
{
  g_set_object (&((LoopOnlyPolicy *) self)->loop, loop);
  return TRUE;
}

static EvpAbstractEventLoop *
loop_only_policy_new_event_loop (EvpAbstractEventLoopPolicy *self,
                                 GError                    **error)
{
  return evp_selector_event_loop_new (NULL, NULL, error);
}

static void
loop_only_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  iface->get_event_loop = loop_only_policy_get_event_loop;
  iface->set_event_loop = loop_only_policy_set_event_loop;
  iface->new_event_loop = loop_only_policy_new_event_loop;
}

static void
loop_only_policy_finalize (GObject *object)
{
  g_clear_object (&((LoopOnlyPolicy *) object)->loop);

  G_OBJECT_CLASS (loop_only_policy_parent_class)->finalize (object);
}

static void
loop_only_policy_class_init (LoopOnlyPolicyClass *klass)
{
  klass->finalize = loop_only_policy_finalize;
}

static void
loop_only_policy_init (LoopOnlyPolicy *self)
{
}

static EvpTestDeadline *deadline;

static void
close_and_unref (EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_close (loop, &error);
  g_assert_no_error (error);
  g_object_unref (loop);
}

/* Rules: P-1, P-3, P-6 */
static void
test_policy (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) first = evp_get_event_loop_policy ();
  g_autoptr (EvpAbstractEventLoopPolicy) same = evp_get_event_loop_policy ();
  g_autoptr (EvpAbstractEventLoopPolicy) second = NULL;
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop;

  g_assert_true (G_OBJECT_TYPE (first) == EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY);
  g_assert_true (same == first);

  loop = evp_new_event_loop (&error);
  g_assert_no_error (error);
  evp_set_event_loop (loop, &error);
  g_assert_no_error (error);
  evp_set_event_loop_policy (NULL);
  second = evp_get_event_loop_policy ();
  g_assert_true (second != first);

  /* what the first one knew is not visible, and not lost */
  g_object_set (second, "missing-loop", EVP_MISSING_LOOP_ERROR, NULL);
  g_assert_null (evp_get_event_loop (&error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
  g_clear_error (&error);
  evp_set_event_loop_policy (first);
  g_object_unref (evp_get_event_loop (&error));
  g_assert_no_error (error);
  g_assert_true (evp_set_event_loop (NULL, &error));
  evp_set_event_loop_policy (NULL);
  close_and_unref (loop);
}

static gpointer
get_policy_thread (gpointer data)
{
  return evp_get_event_loop_policy ();
}

/* Rules: P-2, Z-15 */
static void
test_policy_race (void)
{
  for (guint round = 0; round < 200; round++)
    {
      GThread *threads[4];
      gpointer policies[4];

      evp_set_event_loop_policy (NULL);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = g_thread_new ("asker", get_policy_thread, NULL);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        policies[i] = g_thread_join (threads[i]);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_assert_true (policies[i] == policies[0]);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_object_unref (policies[i]);
    }
  evp_set_event_loop_policy (NULL);
}

static int stop_replacing; /* atomic */

static gpointer
replace_policy_thread (gpointer data)
{
  while (!g_atomic_int_get (&stop_replacing))
    {
      g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_default_event_loop_policy_new ();

      evp_set_event_loop_policy (policy);
    }
  return NULL;
}

/* Rules: P-2, Z-15 */
static void
test_policy_replaced_while_asked (void)
{
  GThread *thread = g_thread_new ("replacer", replace_policy_thread, NULL);

  for (guint i = 0; i < 20000; i++)
    {
      g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();

      g_assert_true (EVP_IS_EVENT_LOOP_POLICY (policy));
    }
  g_atomic_int_set (&stop_replacing, TRUE);
  g_thread_join (thread);
  evp_set_event_loop_policy (NULL);
}

/* Rules: P-4 */
static void
test_policy_nonsense (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) before = evp_get_event_loop_policy ();
  g_autoptr (EvpAbstractEventLoopPolicy) after = NULL;
  g_autoptr (GObject) nonsense = g_object_new (G_TYPE_OBJECT, NULL);

  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*EVP_IS_EVENT_LOOP_POLICY (policy)*");
  evp_set_event_loop_policy ((EvpAbstractEventLoopPolicy *) nonsense);
  g_test_assert_expected_messages ();
  after = evp_get_event_loop_policy ();
  g_assert_true (after == before);
}

/* Rules: P-5, P-33 */
static void
test_replacing_closes_nothing (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_default_event_loop_policy_new ();
  g_autoptr (EvpTestWatcher) watcher = evp_test_watcher_new ();
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop;

  evp_set_event_loop_policy (policy);
  loop = evp_new_event_loop (&error);
  g_assert_no_error (error);
  evp_set_event_loop (loop, &error);
  g_assert_no_error (error);
  evp_set_child_watcher (EVP_CHILD_WATCHER (watcher), &error);
  g_assert_no_error (error);
  evp_set_event_loop_policy (NULL);
  g_clear_object (&policy);
  g_assert_false (evp_event_loop_is_closed (loop));
  g_assert_cmpuint (watcher->n_closed, ==, 0);
  close_and_unref (loop);
}

/* Rules: P-6 */
static void
test_forwarding (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (refusing_policy_get_type (), NULL);
  g_autoptr (GError) error = NULL;

  evp_set_event_loop_policy (policy);
  g_assert_null (evp_get_event_loop (&error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED);
  g_clear_error (&error);
  g_assert_false (evp_set_event_loop (NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  g_assert_null (evp_new_event_loop (&error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  g_assert_null (evp_get_child_watcher (&error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_clear_error (&error);
  g_assert_false (evp_set_child_watcher (NULL, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  evp_set_event_loop_policy (NULL);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpAbstractEventLoop *other;
  guint n_run;
} Running;

static void
check_running_cb (gpointer user_data)
{
  Running *self = user_data;
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (refusing_policy_get_type (), NULL);
  g_autoptr (EvpAbstractEventLoopPolicy) mine = evp_get_event_loop_policy ();
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) found = evp_get_event_loop (&error);
  g_autoptr (EvpAbstractEventLoop) running = NULL;
  g_autoptr (EvpAbstractEventLoop) current = NULL;

  g_assert_no_error (error);
  g_assert_true (found == self->loop);
  running = evp_get_running_loop (&error);
  g_assert_no_error (error);
  g_assert_true (running == self->loop);

  /* the policy itself does not look at what runs */
  current = evp_event_loop_policy_get_event_loop (mine, &error);
  g_assert_no_error (error);
  g_assert_true (current == self->other);

  /* and another policy, which would refuse, is not asked */
  evp_set_event_loop_policy (policy);
  g_clear_object (&found);
  found = evp_get_event_loop (&error);
  g_assert_no_error (error);
  g_assert_true (found == self->loop);
  evp_set_event_loop_policy (mine);

  self->n_run++;
  evp_event_loop_stop (self->loop);
}

/* Rules: P-5, P-17, P-20, P-21, P-22, P-40 */
static void
test_running_loop (void)
{
  g_autoptr (GError) error = NULL;
  Running running = { evp_new_event_loop (NULL), evp_new_event_loop (NULL), 0 };

  g_assert_null (evp_get_running_loop (&error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_RUNNING_LOOP);
  g_clear_error (&error);

  evp_set_event_loop (running.other, &error);
  g_assert_no_error (error);
  for (guint i = 1; i <= 2; i++)
    {
      evp_event_loop_call_soon (running.loop, check_running_cb, &running, NULL, &error);
      g_assert_no_error (error);
      evp_event_loop_run_forever (running.loop, &error);
      g_assert_no_error (error);
      g_assert_cmpuint (running.n_run, ==, i);
      g_assert_null (evp_get_running_loop (NULL));
    }
  evp_set_event_loop (NULL, &error);
  g_assert_no_error (error);
  evp_set_event_loop_policy (NULL);
  close_and_unref (running.loop);
  close_and_unref (running.other);
}

static void
adopted_cb (gpointer user_data)
{
  Running *self = user_data;
  g_autoptr (EvpAbstractEventLoop) running = evp_get_running_loop (NULL);

  g_assert_true (running == self->loop);
  self->n_run++;
}

/* Rules: P-24 */
static void
test_adopted_loop (void)
{
  g_autoptr (GError) error = NULL;
  Running running = { evp_get_event_loop (&error), NULL, 0 };

  /* nobody runs the loop: its context is iterated by us */
  g_assert_no_error (error);
  evp_event_loop_call_soon (running.loop, adopted_cb, &running, NULL, &error);
  g_assert_no_error (error);
  while (running.n_run == 0)
    g_main_context_iteration (g_main_context_default (), TRUE);
  g_assert_null (evp_get_running_loop (NULL));
  evp_set_event_loop_policy (NULL);
  close_and_unref (running.loop);
}

/* Rules: P-21, P-24 */
static void
test_set_running_loop (void)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_new_event_loop (&error);
  g_autoptr (EvpAbstractEventLoop) running = NULL;
  g_autoptr (EvpAbstractEventLoop) found = NULL;

  /* for loops whose turns are driven by others */
  g_assert_no_error (error);
  evp_set_running_loop (loop);
  running = evp_get_running_loop (&error);
  found = evp_get_event_loop (&error);
  evp_set_running_loop (NULL);
  g_assert_no_error (error);
  g_assert_true (running == loop);
  g_assert_true (found == loop);
  g_assert_null (evp_get_running_loop (NULL));
  close_and_unref (loop);
}

static void
fork_cb (gpointer user_data)
{
  Running *self = user_data;
  int status = -1;
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    _exit (evp_get_running_loop (NULL) == NULL ? 0 : 1);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  evp_event_loop_stop (self->loop);
}

/* Rules: P-19, P-23 */
static void
test_running_loop_after_fork (void)
{
  g_autoptr (GError) error = NULL;
  Running running = { evp_new_event_loop (&error), NULL, 0 };

  g_assert_no_error (error);
  evp_event_loop_call_soon (running.loop, fork_cb, &running, NULL, &error);
  evp_event_loop_run_forever (running.loop, &error);
  g_assert_no_error (error);
  close_and_unref (running.loop);
}

/* Rules: P-1 */
static void
test_environment (void)
{
  static const struct
  {
    const char *name;
    const char *type;
  } cases[] = {
    { "", "EvpDefaultEventLoopPolicy" },
    { "default", "EvpDefaultEventLoopPolicy" },
    { "selector", "EvpSelectorEventLoopPolicy" },
    { "proactor", "EvpProactorEventLoopPolicy" },
    { "main-context", "EvpMainContextEventLoopPolicy" },
  };

  if (g_test_subprocess ())
    {
      g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();

      g_assert_cmpstr (G_OBJECT_TYPE_NAME (policy), ==, g_getenv ("EVP_TEST_TYPE"));
      g_assert_cmpuint (evp_warn_runtime_get_count (), ==, 0);
      return;
    }
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_setenv ("EVP_TEST_TYPE", cases[i].type, TRUE);
      g_setenv ("EVP_POLICY", cases[i].name, TRUE);
      g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
      g_unsetenv ("EVP_POLICY");
      g_test_trap_assert_passed ();
    }
}

/* Rules: P-1 */
static void
test_environment_unknown (void)
{
  if (g_test_subprocess ())
    {
      for (guint i = 0; i < 3; i++)
        {
          g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();

          g_assert_true (G_OBJECT_TYPE (policy) == EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY);
          evp_set_event_loop_policy (NULL);
        }
      g_assert_cmpuint (evp_warn_runtime_get_count (), ==, 1);
      return;
    }
  g_setenv ("EVP_POLICY", "uvloop", TRUE);
  g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
  g_unsetenv ("EVP_POLICY");
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr ("*EVP_POLICY=uvloop*default, selector, proactor, main-context*");
}

typedef RefusingPolicy SelfishPolicy;
typedef RefusingPolicyClass SelfishPolicyClass;

GType selfish_policy_get_type (void);

G_DEFINE_TYPE (SelfishPolicy, selfish_policy, refusing_policy_get_type ())

static void
selfish_policy_class_init (SelfishPolicyClass *klass)
{
}

static void
selfish_policy_init (SelfishPolicy *self)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();

  g_assert_true (G_OBJECT_TYPE (policy) == EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY);
}

/* Rules: P-1, P-2 */
static void
test_extension (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = NULL;

  if (!g_test_subprocess ())
    {
      g_setenv ("EVP_POLICY", "selfish", TRUE);
      g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
      g_unsetenv ("EVP_POLICY");
      g_test_trap_assert_passed ();
      return;
    }
  /* registered by the program itself; asks for the policy while it is made, and is told off */
  g_assert_nonnull (g_io_extension_point_implement (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME,
                                                    selfish_policy_get_type (), "selfish", 0));
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "evp_get_event_loop_policy: *");
  policy = evp_get_event_loop_policy ();
  g_test_assert_expected_messages ();
  g_assert_true (G_OBJECT_TYPE (policy) == selfish_policy_get_type ());
}

/* Rules: P-1 */
static void
test_abstract_extension (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = NULL;

  if (!g_test_subprocess ())
    {
      g_setenv ("EVP_POLICY", "unfinished", TRUE);
      g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
      g_unsetenv ("EVP_POLICY");
      g_test_trap_assert_passed ();
      return;
    }
  /* a name that stands for nothing that could be made is as good as unknown */
  g_type_ensure (EVP_TYPE_BASE_EVENT_LOOP_POLICY);
  g_assert_nonnull (g_io_extension_point_implement (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME,
                                                    EVP_TYPE_BASE_EVENT_LOOP_POLICY, "unfinished", 0));
  policy = evp_get_event_loop_policy ();
  g_assert_true (G_OBJECT_TYPE (policy) == EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, 1);
}

/* A policy that a toolkit could have brought: its objects float at first, and making one can fail. */
typedef GInitiallyUnowned ForeignPolicy;
typedef GInitiallyUnownedClass ForeignPolicyClass;

static gboolean
foreign_policy_initable_init (GInitable    *initable,
                              GCancellable *cancellable,
                              GError      **error)
{
  g_assert_false (g_object_is_floating (initable));
  if (g_getenv ("EVP_TEST_FAILS") == NULL)
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_NOT_CONNECTED, "no toolkit here");
  return FALSE;
}

static void
foreign_policy_initable_iface_init (GInitableIface *iface)
{
  iface->init = foreign_policy_initable_init;
}

GType foreign_policy_get_type (void);

G_DEFINE_TYPE_WITH_CODE (ForeignPolicy, foreign_policy, G_TYPE_INITIALLY_UNOWNED,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, refusing_policy_iface_init)
                         G_IMPLEMENT_INTERFACE (G_TYPE_INITABLE, foreign_policy_initable_iface_init))

static void
foreign_policy_class_init (ForeignPolicyClass *klass)
{
}

static void
foreign_policy_init (ForeignPolicy *self)
{
}

/* Rules: P-1, P-3 */
static void
test_foreign_extension (void)
{
  EvpAbstractEventLoopPolicy *policy;
  gboolean fails = g_getenv ("EVP_TEST_FAILS") != NULL;

  if (!g_test_subprocess ())
    {
      g_setenv ("EVP_POLICY", "foreign", TRUE);
      g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
      g_test_trap_assert_passed ();
      g_setenv ("EVP_TEST_FAILS", "1", TRUE);
      g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
      g_unsetenv ("EVP_TEST_FAILS");
      g_unsetenv ("EVP_POLICY");
      g_test_trap_assert_passed ();
      g_test_trap_assert_stderr ("*ForeignPolicy*no toolkit here*");
      return;
    }
  g_type_ensure (EVP_TYPE_EVENT_LOOP_POLICY);
  g_assert_nonnull (g_io_extension_point_implement (EVP_EVENT_LOOP_POLICY_EXTENSION_POINT_NAME,
                                                    foreign_policy_get_type (), "foreign", 0));
  for (guint i = 0; i < 3; i++)
    {
      EvpAbstractEventLoopPolicy *again;

      policy = evp_get_event_loop_policy ();
      again = evp_get_event_loop_policy ();
      g_assert_true (again == policy);
      g_object_unref (again);
      g_assert_true (G_OBJECT_TYPE (policy) == (fails ? EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY
                                                      : foreign_policy_get_type ()));
      g_assert_false (g_object_is_floating (policy));
      evp_set_event_loop_policy (NULL);
      g_assert_finalize_object (policy);
    }
  /* it is not tried again */
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, fails ? 1 : 0);
}

/* Rules: P-7, P-41 */
static void
test_loop_only_policy (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (loop_only_policy_get_type (), NULL);
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop, *found;

  evp_set_event_loop_policy (policy);
  loop = evp_new_event_loop (&error);
  g_assert_no_error (error);
  g_assert_true (evp_set_event_loop (loop, &error));
  found = evp_get_event_loop (&error);
  g_assert_true (found == loop);
  g_object_unref (found);
  g_assert_null (evp_get_child_watcher (&error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "get_child_watcher"));
  evp_set_event_loop_policy (NULL);
  close_and_unref (loop);
}

static void
set_up (gpointer *f,
        gconstpointer data)
{
  deadline = evp_test_deadline_start (60, "a test of the namespace's functions");
}

static void
tear_down (gpointer *f,
           gconstpointer data)
{
  g_assert_null (evp_get_running_loop (NULL));
  evp_test_deadline_stop (deadline);
}

static void
run_case (gpointer *f,
          gconstpointer data)
{
  ((void (*) (void)) data) ();
}

int
main (int    argc,
      char **argv)
{
  static const struct
  {
    const char *path;
    void (*run) (void);
  } cases[] = {
    { "policy", test_policy },
    { "policy-race", test_policy_race },
    { "policy-replaced-while-asked", test_policy_replaced_while_asked },
    { "policy-nonsense", test_policy_nonsense },
    { "replacing-closes-nothing", test_replacing_closes_nothing },
    { "forwarding", test_forwarding },
    { "running-loop", test_running_loop },
    { "adopted-loop", test_adopted_loop },
    { "set-running-loop", test_set_running_loop },
    { "running-loop-after-fork", test_running_loop_after_fork },
    { "loop-only-policy", test_loop_only_policy },
    { "environment", test_environment },
    { "environment-unknown", test_environment_unknown },
    { "extension", test_extension },
    { "abstract-extension", test_abstract_extension },
    { "foreign-extension", test_foreign_extension },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/evp/roof/global/", cases[i].path, NULL);

      g_test_add (path, gpointer, cases[i].run, set_up, run_case, tear_down);
    }
  return g_test_run ();
}
