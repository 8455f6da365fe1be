/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-policy.h"

#include "support/evp-test-support.h"
#include "support/evp-test-watcher.h"

typedef struct
{
  EvpContractPolicyNew make;
  EvpContractPolicyFlags flags;
} Contract;

typedef struct
{
  EvpAbstractEventLoopPolicy *policy;
  EvpContractPolicyFlags flags;
  EvpTestDeadline *deadline;
} Fixture;

static void
fixture_set_up (Fixture       *f,
                gconstpointer  data)
{
  const Contract *contract = data;

  f->deadline = evp_test_deadline_start (60, "a case of the policy contract");
  f->policy = contract->make ();
  f->flags = contract->flags;
  g_assert_true (EVP_IS_EVENT_LOOP_POLICY (f->policy));
}

static void
fixture_tear_down (Fixture       *f,
                   gconstpointer  data)
{
  /* nothing in the library may hold a policy that nobody installed */
  g_object_add_weak_pointer (G_OBJECT (f->policy), (gpointer *) &f->policy);
  g_object_unref (f->policy);
  g_assert_null (f->policy);
  evp_test_deadline_stop (f->deadline);
}

static EvpAbstractEventLoop *
make_loop (void)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (NULL, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (loop);
  return loop;
}

static void
close_loop (EvpAbstractEventLoop *loop)
{
  g_autoptr (GError) error = NULL;

  evp_event_loop_close (loop, &error);
  g_assert_no_error (error);
}

static void
set_loop (EvpAbstractEventLoopPolicy *policy,
          EvpAbstractEventLoop       *loop)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_event_loop_policy_set_event_loop (policy, loop, &error));
  g_assert_no_error (error);
}

static void
assert_loop (EvpAbstractEventLoopPolicy *policy,
             EvpAbstractEventLoop       *loop)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) found = evp_event_loop_policy_get_event_loop (policy, &error);

  g_assert_no_error (error);
  g_assert_true (found == loop);
}

static void
assert_no_loop (EvpAbstractEventLoopPolicy *policy)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) found = evp_event_loop_policy_get_event_loop (policy, &error);

  g_assert_null (found);
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NO_EVENT_LOOP);
  g_assert_cmpstr (error->message, !=, "");
}

/* Rules: P-9, V-9 */
static void
new_event_loop (Fixture       *f,
                gconstpointer  data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) current = make_loop ();
  g_autoptr (EvpAbstractEventLoop) one = NULL;
  g_autoptr (EvpAbstractEventLoop) two = NULL;

  set_loop (f->policy, current);
  one = evp_event_loop_policy_new_event_loop (f->policy, &error);
  if ((f->flags & EVP_CONTRACT_POLICY_MAKES_LOOPS) != 0)
    {
      g_autoptr (GMainContext) context_one = NULL;
      g_autoptr (GMainContext) context_two = NULL;

      g_assert_no_error (error);
      two = evp_event_loop_policy_new_event_loop (f->policy, &error);
      g_assert_no_error (error);
      g_assert_true (EVP_IS_EVENT_LOOP (one));
      g_assert_true (EVP_IS_EVENT_LOOP (two));
      g_assert_true (one != two);
      /* each brings a context of its own */
      context_one = evp_event_loop_dup_main_context (one);
      context_two = evp_event_loop_dup_main_context (two);
      g_assert_true (context_one != g_main_context_default ());
      g_assert_true (context_one != context_two);
      close_loop (one);
      close_loop (two);
    }
  else
    {
      g_assert_null (one);
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
      g_assert_nonnull (strstr (error->message, "use "));
    }
  assert_loop (f->policy, current);
  set_loop (f->policy, NULL);
  close_loop (current);
}

/* Rules: P-10, P-16 */
static void
set_and_get (Fixture       *f,
             gconstpointer  data)
{
  EvpAbstractEventLoop *one = make_loop ();
  EvpAbstractEventLoop *two = make_loop ();

  set_loop (f->policy, one);
  assert_loop (f->policy, one);
  set_loop (f->policy, two);
  assert_loop (f->policy, two);
  g_assert_false (evp_event_loop_is_closed (one));

  /* a closed loop may be set, and stays */
  close_loop (one);
  set_loop (f->policy, one);
  assert_loop (f->policy, one);
  set_loop (f->policy, two);
  close_loop (two);
  assert_loop (f->policy, two);

  /* the policy holds a reference, and lets it go */
  g_object_add_weak_pointer (G_OBJECT (two), (gpointer *) &two);
  g_object_unref (two);
  g_assert_nonnull (two);
  set_loop (f->policy, NULL);
  g_assert_null (two);
  g_object_unref (one);
}

/* Rules: P-12 */
static void
set_null (Fixture       *f,
          gconstpointer  data)
{
  g_autoptr (EvpAbstractEventLoop) loop = make_loop ();

  set_loop (f->policy, NULL);
  assert_no_loop (f->policy);
  assert_no_loop (f->policy);
  set_loop (f->policy, loop);
  assert_loop (f->policy, loop);
  set_loop (f->policy, NULL);
  assert_no_loop (f->policy);
  close_loop (loop);
}

/* Rules: P-11 */
static void
set_nonsense (Fixture       *f,
              gconstpointer  data)
{
  g_autoptr (EvpAbstractEventLoop) loop = make_loop ();
  g_autoptr (GObject) nonsense = g_object_new (G_TYPE_OBJECT, NULL);
  gboolean set;

  set_loop (f->policy, loop);
  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*EVP_IS_EVENT_LOOP (loop)*");
  set = evp_event_loop_policy_set_event_loop (f->policy, (EvpAbstractEventLoop *) nonsense, NULL);
  g_test_assert_expected_messages ();
  g_assert_false (set);
  assert_loop (f->policy, loop);

  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*EVP_IS_CHILD_WATCHER (watcher)*");
  set = evp_event_loop_policy_set_child_watcher (f->policy, (EvpAbstractChildWatcher *) nonsense, NULL);
  g_test_assert_expected_messages ();
  g_assert_false (set);
  set_loop (f->policy, NULL);
  close_loop (loop);
}

/* Rules: P-11, P-13 */
static void
nonsense_raises_no_flag (Fixture       *f,
                         gconstpointer  data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (GObject) nonsense = g_object_new (G_TYPE_OBJECT, NULL);

  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*EVP_IS_EVENT_LOOP (loop)*");
  evp_event_loop_policy_set_event_loop (f->policy, (EvpAbstractEventLoop *) nonsense, NULL);
  g_test_assert_expected_messages ();

  loop = evp_event_loop_policy_get_event_loop (f->policy, &error);
  if ((f->flags & EVP_CONTRACT_POLICY_MAKES_MISSING) != 0)
    {
      g_assert_no_error (error);
      close_loop (loop);
    }
  else
    {
      g_assert_nonnull (error);
    }
}

/* Rules: P-13, P-14, P-16, P-28 */
static void
missing_loop (Fixture       *f,
              gconstpointer  data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_event_loop_policy_get_event_loop (f->policy, &error);

  if ((f->flags & EVP_CONTRACT_POLICY_MAKES_MISSING) != 0)
    {
      g_autoptr (GMainContext) context = NULL;

      g_assert_no_error (error);
      context = evp_event_loop_dup_main_context (loop);
      g_assert_true (context == g_main_context_default ());
      assert_loop (f->policy, loop);
      set_loop (f->policy, NULL);
      assert_no_loop (f->policy);
      close_loop (loop);
    }
  else
    {
      g_assert_null (loop);
      g_assert_nonnull (error);
      g_assert_true (error->domain == EVP_ERROR);
    }
}

static gpointer
own_loop_thread (gpointer data)
{
  EvpAbstractEventLoopPolicy *policy = data;
  g_autoptr (EvpAbstractEventLoop) loop = make_loop ();

  assert_no_loop (policy);
  set_loop (policy, NULL);
  assert_no_loop (policy);
  set_loop (policy, loop);
  assert_loop (policy, loop);
  close_loop (loop);
  return NULL;
}

/* Rules: P-8, P-15 */
static void
other_thread (Fixture       *f,
              gconstpointer  data)
{
  g_autoptr (EvpAbstractEventLoop) loop = NULL;

  if ((f->flags & EVP_CONTRACT_POLICY_PER_THREAD) == 0)
    {
      g_test_skip ("context does not mean thread here");
      return;
    }
  g_thread_join (g_thread_new ("other", own_loop_thread, f->policy));

  /* neither the loop nor the flag of the other thread is seen here */
  loop = make_loop ();
  set_loop (f->policy, loop);
  g_thread_join (g_thread_new ("other", own_loop_thread, f->policy));
  assert_loop (f->policy, loop);
  set_loop (f->policy, NULL);
  close_loop (loop);
}

static gpointer
drop_loop_thread (gpointer data)
{
  EvpAbstractEventLoopPolicy *policy = data;
  EvpAbstractEventLoop *loop = make_loop ();
  gpointer *weak = g_new (gpointer, 1);

  set_loop (policy, loop);
  close_loop (loop);
  *weak = loop;
  g_object_add_weak_pointer (G_OBJECT (loop), weak);
  g_object_unref (loop);
  g_assert_nonnull (*weak);
  return weak;
}

/* Rules: P-18 */
static void
thread_ends (Fixture       *f,
             gconstpointer  data)
{
  g_autofree gpointer *weak = NULL;

  if ((f->flags & EVP_CONTRACT_POLICY_PER_THREAD) == 0)
    {
      g_test_skip ("context does not mean thread here");
      return;
    }
  weak = g_thread_join (g_thread_new ("ending", drop_loop_thread, f->policy));
  g_assert_null (*weak);
}

static gpointer
get_watcher_thread (gpointer data)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractChildWatcher *watcher = evp_event_loop_policy_get_child_watcher (data, &error);

  g_assert_no_error (error);
  return watcher;
}

/* Rules: P-7, P-29, P-34, W-67, V-10 */
static void
child_watcher (Fixture       *f,
               gconstpointer  data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractChildWatcher) watcher = evp_event_loop_policy_get_child_watcher (f->policy, &error);

  if ((f->flags & EVP_CONTRACT_POLICY_HAS_WATCHERS) == 0)
    {
      g_assert_null (watcher);
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
      return;
    }
  g_assert_no_error (error);
  g_assert_true (EVP_IS_CHILD_WATCHER (watcher));
  for (guint i = 0; i < 4; i++)
    {
      g_autoptr (EvpAbstractChildWatcher) same = g_thread_join (g_thread_new ("asker", get_watcher_thread, f->policy));

      g_assert_true (same == watcher);
    }
  evp_child_watcher_close (watcher);
}

/* Rules: P-30, P-35, V-10 */
static void
set_child_watcher (Fixture       *f,
                   gconstpointer  data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTestWatcher) one = evp_test_watcher_new ();
  g_autoptr (EvpTestWatcher) two = evp_test_watcher_new ();
  g_autoptr (EvpAbstractChildWatcher) found = NULL;

  if (!evp_event_loop_policy_set_child_watcher (f->policy, EVP_CHILD_WATCHER (one), &error))
    {
      g_assert_false ((f->flags & EVP_CONTRACT_POLICY_HAS_WATCHERS) != 0);
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
      return;
    }
  g_assert_no_error (error);
  found = evp_event_loop_policy_get_child_watcher (f->policy, &error);
  g_assert_no_error (error);
  g_assert_true (found == EVP_CHILD_WATCHER (one));
  g_assert_cmpuint (one->n_attached, ==, 0);

  /* the same one again changes nothing */
  g_assert_true (evp_event_loop_policy_set_child_watcher (f->policy, EVP_CHILD_WATCHER (one), &error));
  g_assert_cmpuint (one->n_closed, ==, 0);

  g_assert_true (evp_event_loop_policy_set_child_watcher (f->policy, EVP_CHILD_WATCHER (two), &error));
  g_assert_cmpuint (one->n_closed, ==, 1);
  g_assert_cmpuint (two->n_attached, ==, 0);

  g_assert_true (evp_event_loop_policy_set_child_watcher (f->policy, NULL, &error));
  g_assert_cmpuint (two->n_closed, ==, 1);
  g_clear_object (&found);
  found = evp_event_loop_policy_get_child_watcher (f->policy, &error);
  g_assert_no_error (error);
  g_assert_true (EVP_IS_CHILD_WATCHER (found));
  g_assert_false (EVP_IS_TEST_WATCHER (found));
  evp_child_watcher_close (found);
}

static gpointer
set_loop_thread (gpointer data)
{
  g_autoptr (EvpAbstractEventLoop) loop = make_loop ();
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  set_loop (data, loop);
  set_loop (data, NULL);
  g_main_context_pop_thread_default (context);
  close_loop (loop);
  return NULL;
}

/* Rules: P-31, P-32, W-65 */
static void
attach_child_watcher (Fixture       *f,
                      gconstpointer  data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTestWatcher) watcher = evp_test_watcher_new ();
  g_autoptr (EvpAbstractEventLoop) loop = make_loop ();
  guint n_made = evp_test_watcher_n_made ();

  if ((f->flags & EVP_CONTRACT_POLICY_HAS_WATCHERS) == 0)
    {
      g_test_skip ("no child watchers here");
      close_loop (loop);
      return;
    }
  set_loop (f->policy, loop);
  g_assert_true (evp_event_loop_policy_set_child_watcher (f->policy, EVP_CHILD_WATCHER (watcher), &error));
  g_assert_no_error (error);
  g_assert_cmpuint (watcher->n_attached, ==, 0);

  set_loop (f->policy, loop);
  g_assert_cmpuint (watcher->n_attached, ==, 1);
  g_assert_true (watcher->loop == loop);

  /* only the main thread attaches */
  g_thread_join (g_thread_new ("other", set_loop_thread, f->policy));
  g_assert_cmpuint (watcher->n_attached, ==, 1);

  set_loop (f->policy, NULL);
  g_assert_cmpuint (watcher->n_attached, ==, 2);
  g_assert_null (watcher->loop);
  g_assert_cmpuint (evp_test_watcher_n_made (), ==, n_made);
  close_loop (loop);
}

/* Rules: P-33 */
static void
own_child_watcher (Fixture       *f,
                   gconstpointer  data)
{
  const Contract *contract = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTestWatcher) watcher = evp_test_watcher_new ();
  g_autoptr (EvpAbstractEventLoopPolicy) other = contract->make ();
  g_autoptr (EvpAbstractChildWatcher) found = NULL;

  if ((f->flags & EVP_CONTRACT_POLICY_HAS_WATCHERS) == 0)
    {
      g_test_skip ("no child watchers here");
      return;
    }
  g_assert_true (evp_event_loop_policy_set_child_watcher (f->policy, EVP_CHILD_WATCHER (watcher), &error));
  evp_set_event_loop_policy (f->policy);
  evp_set_event_loop_policy (other);
  found = evp_get_child_watcher (&error);
  g_assert_no_error (error);
  g_assert_true (found != EVP_CHILD_WATCHER (watcher));
  evp_set_event_loop_policy (NULL);
  g_assert_cmpuint (watcher->n_closed, ==, 0);
  g_assert_cmpuint (watcher->n_attached, ==, 0);
  evp_child_watcher_close (found);
}

void
evp_contract_policy_add (const char             *prefix,
                         EvpContractPolicyNew    make,
                         EvpContractPolicyFlags  flags)
{
  static const struct
  {
    const char *name;
    void (*run) (Fixture *, gconstpointer);
  } cases[] = {
    { "new-event-loop", new_event_loop },
    { "set-and-get", set_and_get },
    { "set-null", set_null },
    { "set-nonsense", set_nonsense },
    { "nonsense-raises-no-flag", nonsense_raises_no_flag },
    { "missing-loop", missing_loop },
    { "other-thread", other_thread },
    { "thread-ends", thread_ends },
    { "child-watcher", child_watcher },
    { "set-child-watcher", set_child_watcher },
    { "attach-child-watcher", attach_child_watcher },
    { "own-child-watcher", own_child_watcher },
  };
  /* lives as long as the test program */
  static Contract contracts[32];
  static guint n_contracts;
  Contract *contract;

  g_assert_cmpuint (n_contracts, <, G_N_ELEMENTS (contracts));
  contract = &contracts[n_contracts++];
  contract->make = make;
  contract->flags = flags;
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("%s/%s", prefix, cases[i].name);

      g_test_add (path, Fixture, contract, fixture_set_up, cases[i].run, fixture_tear_down);
    }
}
