/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-debug-private.h"
#include "evp/evp.h"

#include "support/evp-test-support.h"
#include "support/evp-test-watcher.h"

#include <sys/wait.h>
#include <unistd.h>

/* A policy that makes loops and counts how it is asked; what asyncio's tests call MockPolicy. */

typedef struct
{
  EvpBaseEventLoopPolicy parent_instance;
  guint n_new;
  guint n_set;
  gboolean fails;           /* new_event_loop fails */
  gboolean forgets;         /* set_event_loop does not chain up */
  gboolean asks_for_itself; /* new_event_loop asks for the loop that it makes */
} CountingPolicy;

typedef EvpBaseEventLoopPolicyClass CountingPolicyClass;

GType counting_policy_get_type (void);

static EvpAbstractEventLoopPolicyInterface *counting_parent;

static gboolean
counting_policy_set_event_loop (EvpAbstractEventLoopPolicy *policy,
                                EvpAbstractEventLoop       *loop,
                                GError                    **error)
{
  CountingPolicy *self = (CountingPolicy *) policy;

  self->n_set++;
  return self->forgets || counting_parent->set_event_loop (policy, loop, error);
}

static EvpAbstractEventLoop *
counting_policy_new_event_loop (EvpAbstractEventLoopPolicy *policy,
                                GError                    **error)
{
  CountingPolicy *self = (CountingPolicy *) policy;

  self->n_new++;
  if (self->asks_for_itself)
    return evp_event_loop_policy_get_event_loop (policy, error);
  if (self->fails)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES, "out of descriptors");
      return NULL;
    }
  return evp_selector_event_loop_new (NULL, NULL, error);
}

static void
counting_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  counting_parent = g_type_interface_peek_parent (iface);
  iface->set_event_loop = counting_policy_set_event_loop;
  iface->new_event_loop = counting_policy_new_event_loop;
}

G_DEFINE_TYPE_WITH_CODE (CountingPolicy, counting_policy, EVP_TYPE_BASE_EVENT_LOOP_POLICY,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, counting_policy_iface_init))

static void
counting_policy_class_init (CountingPolicyClass *klass)
{
}

static void
counting_policy_init (CountingPolicy *self)
{
}

static EvpAbstractEventLoopPolicy *
counting_policy_new (EvpMissingLoop missing_loop)
{
  return g_object_new (counting_policy_get_type (), "missing-loop", missing_loop, NULL);
}

static void
close_and_unref (EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_close (loop, &error);
  g_assert_no_error (error);
  g_object_unref (loop);
}

static gpointer
ask_in_thread (gpointer data)
{
  GError *error = NULL;

  g_assert_null (evp_event_loop_policy_get_event_loop (data, &error));
  return error;
}

/* Rules: P-13, P-14, P-15, P-16, P-25, P-26, P-28 */
static void
test_missing_loop (gconstpointer data)
{
  EvpMissingLoop missing_loop = GPOINTER_TO_UINT (data);
  g_autoptr (EvpAbstractEventLoopPolicy) policy = counting_policy_new (missing_loop);
  CountingPolicy *counting = (CountingPolicy *) policy;
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) thread_error = NULL;
  guint n_warnings = evp_warn_runtime_get_count ();
  EvpAbstractEventLoop *loop, *again;

  /* other threads never get one made for them */
  thread_error = g_thread_join (g_thread_new ("worker-bee", ask_in_thread, policy));
  g_assert_error (thread_error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
  g_assert_nonnull (strstr (thread_error->message, "worker-bee"));
  g_assert_cmpuint (counting->n_new, ==, 0);

  /* a running or set loop is found without a warning */
  loop = evp_event_loop_policy_get_event_loop (policy, &error);
  if (missing_loop == EVP_MISSING_LOOP_ERROR)
    {
      g_assert_null (loop);
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
      g_assert_nonnull (strstr (error->message, "main thread"));
      g_clear_error (&error);
      g_assert_cmpuint (counting->n_new, ==, 0);
      g_assert_cmpuint (counting->n_set, ==, 0);
      loop = evp_event_loop_policy_new_event_loop (policy, &error);
      g_assert_no_error (error);
      evp_event_loop_policy_set_event_loop (policy, loop, &error);
      g_assert_no_error (error);
    }
  else
    {
      g_assert_no_error (error);
      g_assert_cmpuint (counting->n_new, ==, 1);
      g_assert_cmpuint (counting->n_set, ==, 1);
    }
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==,
                    n_warnings + (missing_loop == EVP_MISSING_LOOP_WARN ? 1 : 0));

  /* it is current now: nothing more is made, and nobody is warned */
  again = evp_event_loop_policy_get_event_loop (policy, &error);
  g_assert_no_error (error);
  g_assert_true (again == loop);
  g_object_unref (again);
  g_assert_cmpuint (counting->n_new, ==, 1);
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==,
                    n_warnings + (missing_loop == EVP_MISSING_LOOP_WARN ? 1 : 0));

  /* once NULL was set, nothing is made, whatever the value */
  evp_event_loop_policy_set_event_loop (policy, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
  g_assert_cmpuint (counting->n_new, ==, 1);
  close_and_unref (loop);
}

static void
notify_cb (GObject    *object,
           GParamSpec *pspec,
           gpointer    user_data)
{
  (*(guint *) user_data)++;
}

/* Rules: P-26 */
static void
test_missing_loop_property (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (counting_policy_get_type (), NULL);
  EvpBaseEventLoopPolicy *base = EVP_BASE_EVENT_LOOP_POLICY (policy);
  g_autoptr (GError) error = NULL;
  EvpMissingLoop value;
  EvpAbstractEventLoop *loop;
  guint n_notified = 0;

  g_assert_cmpint (evp_base_event_loop_policy_get_missing_loop (base), ==, EVP_MISSING_LOOP_CREATE);
  g_signal_connect (policy, "notify::missing-loop", G_CALLBACK (notify_cb), &n_notified);
  evp_base_event_loop_policy_set_missing_loop (base, EVP_MISSING_LOOP_CREATE);
  g_assert_cmpuint (n_notified, ==, 0);
  evp_base_event_loop_policy_set_missing_loop (base, EVP_MISSING_LOOP_ERROR);
  g_assert_cmpuint (n_notified, ==, 1);
  g_object_get (policy, "missing-loop", &value, NULL);
  g_assert_cmpint (value, ==, EVP_MISSING_LOOP_ERROR);

  /* a change applies to later calls */
  g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
  g_clear_error (&error);
  g_object_set (policy, "missing-loop", EVP_MISSING_LOOP_CREATE, NULL);
  g_assert_cmpuint (n_notified, ==, 2);
  loop = evp_event_loop_policy_get_event_loop (policy, &error);
  g_assert_no_error (error);
  close_and_unref (loop);

  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*missing_loop <= EVP_MISSING_LOOP_ERROR*");
  evp_base_event_loop_policy_set_missing_loop (base, 17);
  g_test_assert_expected_messages ();
  g_assert_cmpint (evp_base_event_loop_policy_get_missing_loop (base), ==, EVP_MISSING_LOOP_CREATE);
}

/* Rules: P-9, P-14 */
static void
test_creation_fails (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = counting_policy_new (EVP_MISSING_LOOP_CREATE);
  CountingPolicy *counting = (CountingPolicy *) policy;
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop;

  counting->fails = TRUE;
  g_assert_null (evp_event_loop_policy_new_event_loop (policy, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_clear_error (&error);
  g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_clear_error (&error);
  g_assert_cmpuint (counting->n_set, ==, 0);

  /* a failure is not remembered */
  counting->fails = FALSE;
  loop = evp_event_loop_policy_get_event_loop (policy, &error);
  g_assert_no_error (error);
  close_and_unref (loop);
}

/* Rules: P-14, P-38 */
static void
test_override_forgets (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = counting_policy_new (EVP_MISSING_LOOP_CREATE);
  CountingPolicy *counting = (CountingPolicy *) policy;
  g_autoptr (EvpTestWatcher) watcher = evp_test_watcher_new ();
  g_autoptr (GError) error = NULL;

  counting->forgets = TRUE;
  evp_event_loop_policy_set_child_watcher (policy, EVP_CHILD_WATCHER (watcher), &error);
  g_assert_no_error (error);
  for (guint i = 1; i <= 2; i++)
    {
      g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
      g_assert_nonnull (strstr (error->message, "CountingPolicy.set_event_loop()"));
      g_clear_error (&error);
      g_assert_cmpuint (counting->n_set, ==, i);
    }
  g_assert_cmpuint (watcher->n_attached, ==, 0);
}

/* Rules: P-14, P-16 */
static void
test_override_asks_for_itself (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = counting_policy_new (EVP_MISSING_LOOP_CREATE);
  g_autoptr (GError) error = NULL;

  ((CountingPolicy *) policy)->asks_for_itself = TRUE;
  g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
}

/* Rules: P-14, P-31 */
static void
test_creation_attaches (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = counting_policy_new (EVP_MISSING_LOOP_CREATE);
  g_autoptr (EvpTestWatcher) watcher = evp_test_watcher_new ();
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop;

  evp_event_loop_policy_set_child_watcher (policy, EVP_CHILD_WATCHER (watcher), &error);
  g_assert_no_error (error);
  loop = evp_event_loop_policy_get_event_loop (policy, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (watcher->n_attached, ==, 1);
  g_assert_true (watcher->loop == loop);
  close_and_unref (loop);
}

/* Rules: P-7, P-9 */
static void
test_without_factory (void)
{
  GType type = g_type_register_static_simple (EVP_TYPE_BASE_EVENT_LOOP_POLICY, "BarePolicy",
                                              sizeof (EvpBaseEventLoopPolicyClass), NULL,
                                              sizeof (EvpBaseEventLoopPolicy), NULL, 0);
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (type, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;

  g_assert_null (evp_event_loop_policy_get_event_loop (policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "new_event_loop"));
  g_clear_error (&error);
  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  evp_child_watcher_close (watcher);
}

typedef struct
{
  EvpAbstractEventLoopPolicy *policy;
  EvpAbstractEventLoop *loop; /* weak pointer */
  GMutex lock;
  GCond changed;
  int step;
} Rendezvous;

static void
rendezvous_reach (Rendezvous *self,
                  int         step)
{
  g_mutex_lock (&self->lock);
  self->step = step;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

static void
rendezvous_wait (Rendezvous *self,
                 int         step)
{
  g_mutex_lock (&self->lock);
  while (self->step < step)
    g_cond_wait (&self->changed, &self->lock);
  g_mutex_unlock (&self->lock);
}

static gpointer
keep_loop_thread (gpointer data)
{
  Rendezvous *self = data;
  g_autoptr (EvpAbstractEventLoopPolicy) other = counting_policy_new (EVP_MISSING_LOOP_CREATE);
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (NULL, NULL, NULL);

  evp_event_loop_close (loop, NULL);
  evp_event_loop_policy_set_event_loop (self->policy, loop, NULL);
  self->loop = loop;
  g_object_add_weak_pointer (G_OBJECT (loop), (gpointer *) &self->loop);
  g_object_unref (loop);
  rendezvous_reach (self, 1);
  rendezvous_wait (self, 2);
  /* the policy is gone; this thread's loop is released by this thread, at its next look */
  g_assert_nonnull (self->loop);
  g_assert_null (evp_event_loop_policy_get_event_loop (other, NULL));
  g_assert_null (self->loop);
  return NULL;
}

/* Rules: P-3, P-18, Z-16 */
static void
test_policy_dies_first (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "the thread of a dead policy");
  Rendezvous rendezvous = { .policy = counting_policy_new (EVP_MISSING_LOOP_CREATE) };
  EvpAbstractEventLoop *here = evp_selector_event_loop_new (NULL, NULL, NULL);
  GThread *thread;

  evp_event_loop_close (here, NULL);
  evp_event_loop_policy_set_event_loop (rendezvous.policy, here, NULL);
  g_object_add_weak_pointer (G_OBJECT (here), (gpointer *) &here);
  g_object_unref (here);
  g_assert_nonnull (here);

  thread = g_thread_new ("keeper", keep_loop_thread, &rendezvous);
  rendezvous_wait (&rendezvous, 1);
  g_assert_finalize_object (rendezvous.policy);
  g_assert_null (here);
  rendezvous_reach (&rendezvous, 2);
  g_thread_join (thread);
}

static void
assert_child_succeeds (pid_t pid)
{
  int status = -1;

  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

static gpointer
fork_in_thread (gpointer data)
{
  EvpAbstractEventLoopPolicy *policy = data;
  pid_t pid = fork ();

  if (pid == 0)
    {
      /* the thread that forked is the main thread here */
      EvpAbstractEventLoop *loop = evp_event_loop_policy_get_event_loop (policy, NULL);

      evp_test_exit_forked (loop != NULL ? 0 : 1);
    }
  return GINT_TO_POINTER (pid);
}

/* Rules: P-19, P-13, Z-17 */
static void
test_fork (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = counting_policy_new (EVP_MISSING_LOOP_CREATE);
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (NULL, NULL, &error);
  EvpAbstractEventLoop *found;
  pid_t pid;

  g_assert_no_error (error);
  evp_event_loop_policy_set_event_loop (policy, loop, &error);
  g_assert_no_error (error);
  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      EvpAbstractEventLoop *made;
      EvpAbstractEventLoop *other;

      /* neither the loop of the parent nor the flag is there */
      made = evp_event_loop_policy_get_event_loop (policy, NULL);
      if (made == NULL || made == loop)
        evp_test_exit_forked (1);
      other = evp_event_loop_policy_get_event_loop (policy, NULL);
      if (other != made)
        evp_test_exit_forked (2);
      if (!evp_event_loop_policy_set_event_loop (policy, NULL, NULL)
          || evp_event_loop_policy_get_event_loop (policy, NULL) != NULL)
        evp_test_exit_forked (3);
      /* forgetting is not releasing: that could disturb what the parent uses */
      g_object_add_weak_pointer (G_OBJECT (loop), (gpointer *) &loop);
      g_object_unref (loop);
      g_object_unref (policy);
      if (loop == NULL || evp_event_loop_is_closed (loop))
        evp_test_exit_forked (4);
      evp_test_exit_forked (0);
    }
  assert_child_succeeds (pid);

  pid = GPOINTER_TO_INT (g_thread_join (g_thread_new ("forker", fork_in_thread, policy)));
  g_assert_cmpint (pid, >, 0);
  assert_child_succeeds (pid);

  /* nothing happened to the parent */
  found = evp_event_loop_policy_get_event_loop (policy, &error);
  g_assert_no_error (error);
  g_assert_true (found == loop);
  g_object_unref (found);
  close_and_unref (loop);
}

static void
grandchild_cb (GPid     pid,
               int      returncode,
               gpointer user_data)
{
  EvpFuture *future = user_data;
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_INT);
  g_value_set_int (&value, returncode);
  evp_future_set_result (future, &value, NULL);
}

/* What a process with a policy of its parent's can do; returns how it shall end. */
static int
use_policy_of_parent (EvpAbstractEventLoopPolicy *policy,
                      EvpAbstractChildWatcher    *watcher_of_parent)
{
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;
  g_autoptr (EvpFuture) ended = NULL;
  pid_t pid;

  loop = evp_event_loop_policy_get_event_loop (policy, NULL);
  if (loop == NULL)
    return 1;
  watcher = evp_event_loop_policy_get_child_watcher (policy, NULL);
  if (watcher == NULL || watcher == watcher_of_parent)
    return 2;
  ended = evp_event_loop_create_future (loop);
  pid = fork ();
  if (pid == 0)
    evp_test_exit_forked (7);
  if (!evp_child_watcher_attach_loop (watcher, loop, NULL)
      || !evp_child_watcher_add_child_handler (watcher, pid, grandchild_cb, ended, NULL, NULL)
      || !evp_event_loop_run_until_complete (loop, ended, NULL))
    return 3;
  return g_value_get_int (evp_future_get_result (ended, NULL)) == 7 ? 0 : 4;
}

/* Rules: P-19, W-66 */
static void
test_fork_watcher (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a child with a policy of its parent's");
  g_autoptr (EvpAbstractEventLoopPolicy) policy = counting_policy_new (EVP_MISSING_LOOP_CREATE);
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_event_loop_policy_get_event_loop (policy, &error);
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;
  g_autoptr (EvpAbstractChildWatcher) found = NULL;
  pid_t pid;

  g_assert_no_error (error);
  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  g_assert_true (evp_child_watcher_attach_loop (watcher, loop, &error));
  g_assert_no_error (error);

  pid = fork ();
  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    evp_test_exit_forked (use_policy_of_parent (policy, watcher));
  assert_child_succeeds (pid);

  /* nothing happened to the parent */
  found = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  g_assert_true (found == watcher);
  close_and_unref (loop);
}

static gpointer
get_watcher_thread (gpointer data)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractChildWatcher *watcher = evp_event_loop_policy_get_child_watcher (data, &error);

  g_assert_no_error (error);
  return watcher;
}

/* Rules: P-29 */
static void
test_watcher_race (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "threads that ask for a watcher");

  for (guint round = 0; round < 100; round++)
    {
      g_autoptr (EvpAbstractEventLoopPolicy) policy =
          g_object_new (EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY, "child-watcher-type", EVP_TYPE_TEST_WATCHER, NULL);
      guint n_made = evp_test_watcher_n_made ();
      GThread *threads[4];
      EvpAbstractChildWatcher *watchers[4];

      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = g_thread_new ("asker", get_watcher_thread, policy);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        watchers[i] = g_thread_join (threads[i]);
      g_assert_cmpuint (evp_test_watcher_n_made (), ==, n_made + 1);
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        {
          g_assert_true (watchers[i] == watchers[0]);
          g_assert_cmpuint (EVP_TEST_WATCHER (watchers[i])->n_attached, ==, 0);
        }
      for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
        g_object_unref (watchers[i]);
    }
}

/* Rules: P-29, W-67 */
static void
test_watcher_made_in_main_thread (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy =
      g_object_new (EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY, "child-watcher-type", EVP_TYPE_TEST_WATCHER, NULL);
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_event_loop_policy_get_event_loop (policy, &error);
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;

  g_assert_no_error (error);
  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  g_assert_true (EVP_TEST_WATCHER (watcher)->loop == loop);
  close_and_unref (loop);
}

static gpointer
watcher_beside_loop_thread (gpointer user_data)
{
  EvpAbstractEventLoopPolicy *policy = user_data;
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_event_loop_policy_new_event_loop (policy, &error);
  EvpAbstractChildWatcher *watcher;

  g_assert_no_error (error);
  evp_event_loop_policy_set_event_loop (policy, loop, &error);
  g_assert_no_error (error);
  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  close_and_unref (loop);
  return watcher;
}

/* Rules: P-29, P-31 */
static void
test_watcher_made_in_worker (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy =
      g_object_new (EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY, "child-watcher-type", EVP_TYPE_TEST_WATCHER, NULL);
  g_autoptr (EvpAbstractChildWatcher) watcher =
      g_thread_join (g_thread_new ("worker", watcher_beside_loop_thread, policy));

  /* the loop of a worker is not everybody's */
  g_assert_cmpuint (EVP_TEST_WATCHER (watcher)->n_attached, ==, 0);
}

/* Rules: P-10, P-29 */
static void
test_watcher_beside_closed_loop (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy =
      g_object_new (EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY, "child-watcher-type", EVP_TYPE_TEST_WATCHER, NULL);
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_event_loop_policy_get_event_loop (policy, &error);
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;

  g_assert_no_error (error);
  evp_event_loop_close (loop, &error);
  g_assert_no_error (error);
  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (EVP_TEST_WATCHER (watcher)->n_attached, ==, 0);
  g_object_unref (loop);
}

/* A watcher that cannot be attached, which counts how often it is closed. Its objects float, as some toolkits' do. */
typedef GInitiallyUnowned FloatingWatcher;
typedef GInitiallyUnownedClass FloatingWatcherClass;

static guint n_floating_closed;

static void
floating_watcher_close (EvpAbstractChildWatcher *watcher)
{
  n_floating_closed++;
}

static void
floating_watcher_iface_init (EvpAbstractChildWatcherInterface *iface)
{
  iface->close = floating_watcher_close;
}

GType floating_watcher_get_type (void);

G_DEFINE_TYPE_WITH_CODE (FloatingWatcher, floating_watcher, G_TYPE_INITIALLY_UNOWNED,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_CHILD_WATCHER, floating_watcher_iface_init))

static void
floating_watcher_class_init (FloatingWatcherClass *klass)
{
}

static void
floating_watcher_init (FloatingWatcher *self)
{
}

/* Rules: P-29, W-8 */
static void
test_watcher_refuses_loop (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy =
      g_object_new (EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY, "child-watcher-type", floating_watcher_get_type (), NULL);
  EvpAbstractChildWatcher *watcher;
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop;

  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  g_assert_false (g_object_is_floating (watcher));
  evp_event_loop_policy_set_child_watcher (policy, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n_floating_closed, ==, 1);
  g_assert_finalize_object (watcher);

  /* what is given up is closed, too */
  loop = evp_event_loop_policy_get_event_loop (policy, &error);
  g_assert_no_error (error);
  g_assert_null (evp_event_loop_policy_get_child_watcher (policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
  g_assert_cmpuint (n_floating_closed, ==, 2);
  close_and_unref (loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_data_func ("/evp/policy/base-event-loop-policy/missing-loop/create",
                        GUINT_TO_POINTER (EVP_MISSING_LOOP_CREATE), test_missing_loop);
  g_test_add_data_func ("/evp/policy/base-event-loop-policy/missing-loop/warn",
                        GUINT_TO_POINTER (EVP_MISSING_LOOP_WARN), test_missing_loop);
  g_test_add_data_func ("/evp/policy/base-event-loop-policy/missing-loop/error",
                        GUINT_TO_POINTER (EVP_MISSING_LOOP_ERROR), test_missing_loop);
  g_test_add_func ("/evp/policy/base-event-loop-policy/missing-loop/property", test_missing_loop_property);
  g_test_add_func ("/evp/policy/base-event-loop-policy/creation-fails", test_creation_fails);
  g_test_add_func ("/evp/policy/base-event-loop-policy/creation-attaches", test_creation_attaches);
  g_test_add_func ("/evp/policy/base-event-loop-policy/override-forgets", test_override_forgets);
  g_test_add_func ("/evp/policy/base-event-loop-policy/override-asks-for-itself", test_override_asks_for_itself);
  g_test_add_func ("/evp/policy/base-event-loop-policy/without-factory", test_without_factory);
  g_test_add_func ("/evp/policy/base-event-loop-policy/policy-dies-first", test_policy_dies_first);
  g_test_add_func ("/evp/policy/base-event-loop-policy/fork", test_fork);
  g_test_add_func ("/evp/policy/base-event-loop-policy/fork-watcher", test_fork_watcher);
  g_test_add_func ("/evp/policy/base-event-loop-policy/watcher-race", test_watcher_race);
  g_test_add_func ("/evp/policy/base-event-loop-policy/watcher-made-in-main-thread",
                   test_watcher_made_in_main_thread);
  g_test_add_func ("/evp/policy/base-event-loop-policy/watcher-made-in-worker", test_watcher_made_in_worker);
  g_test_add_func ("/evp/policy/base-event-loop-policy/watcher-beside-closed-loop",
                   test_watcher_beside_closed_loop);
  g_test_add_func ("/evp/policy/base-event-loop-policy/watcher-refuses-loop", test_watcher_refuses_loop);
  return g_test_run ();
}
