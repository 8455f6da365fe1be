/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/base/evp-debug-private.h"
#include "evp/evp.h"

#include "support/evp-test-watcher.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#ifdef __linux__
# include <linux/filter.h>
# include <linux/seccomp.h>
# include <sys/prctl.h>
# include <sys/syscall.h>
#endif

/*
 * Three levels below the default policy. Each has a table of its own and counts its own calls; the
 * middle one overrides nothing but get_event_loop.
 */

typedef struct
{
  EvpDefaultEventLoopPolicy parent_instance;
  guint n_get[3];
  guint n_new;
} LevelPolicy;

typedef EvpDefaultEventLoopPolicyClass LevelPolicyClass;

typedef LevelPolicy OnePolicy;
typedef LevelPolicyClass OnePolicyClass;
typedef LevelPolicy TwoPolicy;
typedef LevelPolicyClass TwoPolicyClass;
typedef LevelPolicy ThreePolicy;
typedef LevelPolicyClass ThreePolicyClass;

GType one_policy_get_type (void);
GType two_policy_get_type (void);
GType three_policy_get_type (void);

static EvpAbstractEventLoopPolicyInterface *parents[3];

#define DEFINE_GET(level) \
  static EvpAbstractEventLoop * \
  get_event_loop_##level (EvpAbstractEventLoopPolicy *self, \
                          GError                    **error) \
  { \
    ((LevelPolicy *) self)->n_get[level]++; \
    return parents[level]->get_event_loop (self, error); \
  }

DEFINE_GET (0)
DEFINE_GET (1)
DEFINE_GET (2)

static EvpAbstractEventLoop *
new_event_loop_0 (EvpAbstractEventLoopPolicy *self,
                  GError                    **error)
{
  EvpAbstractEventLoop *loop = parents[0]->new_event_loop (self, error);

  ((LevelPolicy *) self)->n_new++;
  if (loop != NULL)
    evp_event_loop_set_debug (loop, TRUE);
  return loop;
}

static void
one_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  parents[0] = g_type_interface_peek_parent (iface);
  iface->get_event_loop = get_event_loop_0;
  iface->new_event_loop = new_event_loop_0;
}

static void
two_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  parents[1] = g_type_interface_peek_parent (iface);
  iface->get_event_loop = get_event_loop_1;
}

static void
three_policy_iface_init (EvpAbstractEventLoopPolicyInterface *iface)
{
  parents[2] = g_type_interface_peek_parent (iface);
  iface->get_event_loop = get_event_loop_2;
}

G_DEFINE_TYPE_WITH_CODE (OnePolicy, one_policy, EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, one_policy_iface_init))
G_DEFINE_TYPE_WITH_CODE (TwoPolicy, two_policy, one_policy_get_type (),
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, two_policy_iface_init))
G_DEFINE_TYPE_WITH_CODE (ThreePolicy, three_policy, two_policy_get_type (),
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP_POLICY, three_policy_iface_init))

static void
one_policy_class_init (OnePolicyClass *klass)
{
}

static void
one_policy_init (OnePolicy *self)
{
}

static void
two_policy_class_init (TwoPolicyClass *klass)
{
}

static void
two_policy_init (TwoPolicy *self)
{
}

static void
three_policy_class_init (ThreePolicyClass *klass)
{
}

static void
three_policy_init (ThreePolicy *self)
{
}

/* A loop of a program's own type. */

typedef EvpSelectorEventLoop MyLoop;
typedef EvpSelectorEventLoopClass MyLoopClass;

GType my_loop_get_type (void);

G_DEFINE_TYPE (MyLoop, my_loop, EVP_TYPE_SELECTOR_EVENT_LOOP)

static void
my_loop_class_init (MyLoopClass *klass)
{
}

static void
my_loop_init (MyLoop *self)
{
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
get_table (GType type)
{
  return g_type_interface_peek (g_type_class_peek (type), EVP_TYPE_EVENT_LOOP_POLICY);
}

/* Rules: P-36, P-37 */
static void
test_chain_up (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) plain = evp_default_event_loop_policy_new ();
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (three_policy_get_type (), NULL);
  LevelPolicy *level = (LevelPolicy *) policy;
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_event_loop_policy_get_event_loop (policy, &error);
  EvpAbstractEventLoop *again;

  /* every level was asked once, and the override of new_event_loop made the missing loop */
  g_assert_no_error (error);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (level->n_get[i], ==, 1);
  g_assert_cmpuint (level->n_new, ==, 1);
  g_assert_true (evp_event_loop_get_debug (loop));

  evp_set_event_loop_policy (policy);
  again = evp_get_event_loop (&error);
  g_assert_no_error (error);
  g_assert_true (again == loop);
  g_assert_cmpuint (level->n_get[0], ==, 2);
  g_object_unref (again);
  again = evp_new_event_loop (&error);
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_get_debug (again));
  close_and_unref (again);
  g_assert_cmpuint (level->n_new, ==, 2);
  evp_set_event_loop_policy (NULL);
  evp_event_loop_policy_set_event_loop (policy, NULL, NULL);
  close_and_unref (loop);

  /* the parent class is untouched: its loops are made without us */
  again = evp_event_loop_policy_get_event_loop (plain, &error);
  g_assert_no_error (error);
  g_assert_false (evp_event_loop_get_debug (again));
  close_and_unref (again);
  g_assert_true (get_table (EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY) != get_table (one_policy_get_type ()));
  g_assert_true (get_table (one_policy_get_type ()) != get_table (two_policy_get_type ()));
  g_assert_true (parents[1]->get_event_loop == get_event_loop_0);
  g_assert_true (parents[2]->get_event_loop == get_event_loop_1);
}

/* Rules: P-36 */
static void
test_middle_level (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = g_object_new (one_policy_get_type (), NULL);
  g_autoptr (EvpAbstractEventLoopPolicy) deeper = g_object_new (two_policy_get_type (), NULL);
  g_autoptr (GError) error = NULL;

  close_and_unref (evp_event_loop_policy_get_event_loop (policy, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (((LevelPolicy *) policy)->n_get[0], ==, 1);
  g_assert_cmpuint (((LevelPolicy *) policy)->n_get[1], ==, 0);
  close_and_unref (evp_event_loop_policy_get_event_loop (deeper, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (((LevelPolicy *) deeper)->n_get[1], ==, 1);
  g_assert_cmpuint (((LevelPolicy *) deeper)->n_get[2], ==, 0);
}

static void
notify_cb (GObject    *object,
           GParamSpec *pspec,
           gpointer    user_data)
{
  (*(guint *) user_data)++;
}

/* Rules: P-9, P-13, P-37 */
static void
test_loop_type (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_default_event_loop_policy_new ();
  EvpDefaultEventLoopPolicy *self = EVP_DEFAULT_EVENT_LOOP_POLICY (policy);
  g_autoptr (GError) error = NULL;
  g_autoptr (GMainContext) context = NULL;
  EvpAbstractEventLoop *loop;
  guint n_notified = 0;
  GType type;

  g_assert_true (evp_default_event_loop_policy_get_loop_type (self) == EVP_TYPE_SELECTOR_EVENT_LOOP);
  loop = evp_event_loop_policy_new_event_loop (policy, &error);
  g_assert_no_error (error);
  g_assert_true (G_OBJECT_TYPE (loop) == EVP_TYPE_SELECTOR_EVENT_LOOP);
  close_and_unref (loop);

  g_signal_connect (policy, "notify::loop-type", G_CALLBACK (notify_cb), &n_notified);
  g_object_set (policy, "loop-type", my_loop_get_type (), NULL);
  g_assert_cmpuint (n_notified, ==, 1);
  g_object_get (policy, "loop-type", &type, NULL);
  g_assert_true (type == my_loop_get_type ());
  loop = evp_event_loop_policy_new_event_loop (policy, &error);
  g_assert_no_error (error);
  g_assert_true (G_OBJECT_TYPE (loop) == my_loop_get_type ());
  context = evp_event_loop_dup_main_context (loop);
  g_assert_true (context != g_main_context_default ());
  close_and_unref (loop);

  /* also when it is made for the main thread, and then in the default context */
  loop = evp_event_loop_policy_get_event_loop (policy, &error);
  g_assert_no_error (error);
  g_assert_true (G_OBJECT_TYPE (loop) == my_loop_get_type ());
  g_clear_pointer (&context, g_main_context_unref);
  context = evp_event_loop_dup_main_context (loop);
  g_assert_true (context == g_main_context_default ());
  close_and_unref (loop);

  /* the interface is the way back to the default; an abstract class is refused when it is used */
  evp_default_event_loop_policy_set_loop_type (self, EVP_TYPE_EVENT_LOOP);
  g_assert_true (evp_default_event_loop_policy_get_loop_type (self) == EVP_TYPE_SELECTOR_EVENT_LOOP);
  evp_default_event_loop_policy_set_loop_type (self, EVP_TYPE_BASE_EVENT_LOOP);
  g_assert_null (evp_event_loop_policy_new_event_loop (policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "loop-type"));

  g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*g_type_is_a (loop_type, EVP_TYPE_EVENT_LOOP)*");
  evp_default_event_loop_policy_set_loop_type (self, G_TYPE_OBJECT);
  g_test_assert_expected_messages ();
}

/* Rules: P-29, W-67 */
static void
test_child_watcher_type (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_default_event_loop_policy_new ();
  EvpDefaultEventLoopPolicy *self = EVP_DEFAULT_EVENT_LOOP_POLICY (policy);
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractChildWatcher) best = evp_child_watcher_new_default ();
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;

  g_assert_true (evp_default_event_loop_policy_get_child_watcher_type (self) == G_OBJECT_TYPE (best));
  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  g_assert_true (G_OBJECT_TYPE (watcher) == G_OBJECT_TYPE (best));

  /* the next one is of the new type */
  g_object_set (policy, "child-watcher-type", EVP_TYPE_TEST_WATCHER, NULL);
  evp_event_loop_policy_set_child_watcher (policy, NULL, &error);
  g_assert_no_error (error);
  g_clear_object (&watcher);
  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  g_assert_true (EVP_IS_TEST_WATCHER (watcher));

  evp_default_event_loop_policy_set_child_watcher_type (self, EVP_TYPE_BASE_CHILD_WATCHER);
  evp_event_loop_policy_set_child_watcher (policy, NULL, &error);
  g_assert_no_error (error);
  g_assert_null (evp_event_loop_policy_get_child_watcher (policy, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  evp_child_watcher_close (best);
}

/* Rules: V-12, S-13 */
static void
test_selector_type (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_default_event_loop_policy_new ();
  EvpDefaultEventLoopPolicy *self = EVP_DEFAULT_EVENT_LOOP_POLICY (policy);
  GType types[] = { EVP_TYPE_SELECTOR_EVENT_LOOP, my_loop_get_type () };
  g_autoptr (GError) error = NULL;

  g_assert_true (evp_default_event_loop_policy_get_selector_type (self) == EVP_TYPE_SELECTOR);
  evp_default_event_loop_policy_set_selector_type (self, EVP_TYPE_POLL_SELECTOR);
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      EvpAbstractEventLoop *loop;

      evp_default_event_loop_policy_set_loop_type (self, types[i]);
      loop = evp_event_loop_policy_new_event_loop (policy, &error);
      g_assert_no_error (error);
      g_assert_true (EVP_IS_POLL_SELECTOR (evp_selector_event_loop_get_selector (EVP_SELECTOR_EVENT_LOOP (loop))));
      close_and_unref (loop);
    }
  evp_default_event_loop_policy_set_selector_type (self, EVP_TYPE_SELECTOR);
  g_assert_true (evp_default_event_loop_policy_get_selector_type (self) == EVP_TYPE_SELECTOR);
}

/* Rules: V-12 */
static void
test_choose_proactor (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_proactor_event_loop_policy_new ();
  EvpDefaultEventLoopPolicy *self = EVP_DEFAULT_EVENT_LOOP_POLICY (policy);
  g_autoptr (EvpProactor) best = evp_proactor_new_default ();
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop;
  EvpProactor *proactor;

  g_assert_true (evp_default_event_loop_policy_get_proactor_type (self) == EVP_TYPE_PROACTOR);
  loop = evp_event_loop_policy_new_event_loop (policy, &error);
  g_assert_no_error (error);
  proactor = evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (loop));
  g_assert_true (G_OBJECT_TYPE (proactor) == G_OBJECT_TYPE (best));
  close_and_unref (loop);

  evp_default_event_loop_policy_set_proactor_type (self, EVP_TYPE_GIO_PROACTOR);
  loop = evp_event_loop_policy_new_event_loop (policy, &error);
  g_assert_no_error (error);
  g_assert_true (EVP_IS_GIO_PROACTOR (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (loop))));
  close_and_unref (loop);

  /* where there is none, it is said why */
  evp_default_event_loop_policy_set_proactor_type (self, EVP_TYPE_URING_PROACTOR);
  loop = evp_event_loop_policy_new_event_loop (policy, &error);
  if (evp_capabilities_get ("io-uring"))
    {
      g_assert_no_error (error);
      g_assert_true (EVP_IS_URING_PROACTOR (evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (loop))));
      close_and_unref (loop);
    }
  else
    {
      g_assert_null (loop);
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_SUPPORTED);
      g_assert_nonnull (strstr (error->message, evp_capabilities_explain ("io-uring")));
      g_clear_error (&error);
    }

  /* an abstract class stands for the best, or is refused */
  evp_default_event_loop_policy_set_proactor_type (self, EVP_TYPE_PROACTOR);
  g_assert_true (evp_default_event_loop_policy_get_proactor_type (self) == EVP_TYPE_PROACTOR);
}

/* Rules: V-9, V-10 */
static void
test_fixed_loop_types (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) selector = evp_selector_event_loop_policy_new ();
  g_autoptr (EvpAbstractEventLoopPolicy) proactor = evp_proactor_event_loop_policy_new ();
  g_autoptr (EvpAbstractEventLoopPolicy) windows = evp_windows_selector_event_loop_policy_new ();
  EvpAbstractEventLoopPolicy *policies[] = { selector, proactor, windows };

  for (guint i = 0; i < G_N_ELEMENTS (policies); i++)
    {
      g_test_expect_message ("Evp", G_LOG_LEVEL_CRITICAL, "*loop_type_fixed*");
      evp_default_event_loop_policy_set_loop_type (EVP_DEFAULT_EVENT_LOOP_POLICY (policies[i]), my_loop_get_type ());
      g_test_assert_expected_messages ();
    }
  g_assert_true (evp_default_event_loop_policy_get_loop_type (EVP_DEFAULT_EVENT_LOOP_POLICY (selector))
                 == EVP_TYPE_SELECTOR_EVENT_LOOP);
  g_assert_true (evp_default_event_loop_policy_get_loop_type (EVP_DEFAULT_EVENT_LOOP_POLICY (proactor))
                 == EVP_TYPE_PROACTOR_EVENT_LOOP);
}

/* Rules: P-37 */
static void
test_proactor_type (void)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_proactor_event_loop_policy_new ();
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_event_loop_policy_get_event_loop (policy, &error);
  g_autoptr (GMainContext) context = NULL;

  g_assert_no_error (error);
  g_assert_true (G_OBJECT_TYPE (loop) == EVP_TYPE_PROACTOR_EVENT_LOOP);
  context = evp_event_loop_dup_main_context (loop);
  g_assert_true (context == g_main_context_default ());
  close_and_unref (loop);
}

static EvpAbstractEventLoop *
intruder (EvpAbstractEventLoopPolicy *self,
          GError                    **error)
{
  return NULL;
}

/* Rules: P-36 */
static void
test_guard (gconstpointer data)
{
  GType type = g_type_from_name (data);

  if (g_test_subprocess ())
    {
      EvpAbstractEventLoopPolicyInterface *iface;
      GTypeQuery query;
      GType subtype;

      g_type_query (type, &query);
      subtype = g_type_register_static_simple (type, "CarelessPolicy", query.class_size, NULL,
                                               query.instance_size, NULL, 0);
      iface = g_type_interface_peek (g_type_class_ref (subtype), EVP_TYPE_EVENT_LOOP_POLICY);
      iface->get_event_loop = intruder; /* as PyGObject does */
      g_object_unref (g_object_new (subtype, NULL));
      return;
    }
  g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*CRITICAL*wrote into Evp*list Evp.AbstractEventLoopPolicy*");
}

static void
in_subprocess (const char *variable,
               const char *value,
               const char *expected)
{
  g_setenv (variable, value, TRUE);
  g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
  g_unsetenv (variable);
  g_test_trap_assert_passed ();
  if (expected != NULL)
    g_test_trap_assert_stderr (expected);
  else
    g_test_trap_assert_stderr_unmatched ("*EVP_*");
}

static void
assert_type_in_subprocess (const char *property)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_default_event_loop_policy_new ();
  GType type;

  g_object_get (policy, property, &type, NULL);
  g_assert_cmpstr (g_type_name (type), ==, g_getenv ("EVP_TEST_TYPE"));
}

/* Rules: P-29, S-13 */
static void
test_environment (void)
{
  static const struct
  {
    const char *variable;
    const char *value;
    const char *property;
    const char *type;
  } cases[] = {
    { "EVP_CHILD_WATCHER", "pidfd", "child-watcher-type", "EvpPidfdChildWatcher" },
    { "EVP_CHILD_WATCHER", "threaded", "child-watcher-type", "EvpThreadedChildWatcher" },
    { "EVP_CHILD_WATCHER", "safe", "child-watcher-type", "EvpSafeChildWatcher" },
    { "EVP_CHILD_WATCHER", "fast", "child-watcher-type", "EvpFastChildWatcher" },
    { "EVP_CHILD_WATCHER", "multi-loop", "child-watcher-type", "EvpMultiLoopChildWatcher" },
    { "EVP_CHILD_WATCHER", "glib", "child-watcher-type", "EvpGLibChildWatcher" },
    { "EVP_SELECTOR", "poll", "selector-type", "EvpPollSelector" },
    { "EVP_SELECTOR", "select", "selector-type", "EvpSelectSelector" },
#ifdef HAVE_SYS_EPOLL_H
    { "EVP_SELECTOR", "epoll", "selector-type", "EvpEpollSelector" },
#endif
    { "EVP_SELECTOR", "", "selector-type", "EvpSelector" },
    { "EVP_PROACTOR", "gio", "proactor-type", "EvpGioProactor" },
    { "EVP_PROACTOR", "", "proactor-type", "EvpProactor" },
  };

  if (g_test_subprocess ())
    {
      assert_type_in_subprocess (g_getenv ("EVP_TEST_PROPERTY"));
      return;
    }
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      if (strcmp (cases[i].value, "pidfd") == 0 && !evp_capabilities_get ("pidfd"))
        continue;
      g_setenv ("EVP_TEST_PROPERTY", cases[i].property, TRUE);
      g_setenv ("EVP_TEST_TYPE", cases[i].type, TRUE);
      in_subprocess (cases[i].variable, cases[i].value, NULL);
    }
}

/* Rules: P-29, S-13 */
static void
test_environment_unknown (void)
{
  static const struct
  {
    const char *variable;
    const char *value;
    const char *warning;
  } cases[] = {
    { "EVP_CHILD_WATCHER", "nanny", "*EVP_CHILD_WATCHER=nanny*pidfd, threaded, safe, fast, multi-loop, glib*" },
    { "EVP_SELECTOR", "devpoll", "*EVP_SELECTOR=devpoll*epoll, poll, select, kqueue*" },
    { "EVP_PROACTOR", "iocp", "*EVP_PROACTOR=iocp*uring, gio*" },
#ifndef HAVE_SYS_EVENT_H
    { "EVP_SELECTOR", "kqueue", "*EVP_SELECTOR=kqueue*not available*poll, select*" },
#endif
  };

  if (g_test_subprocess ())
    {
      g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_default_event_loop_policy_new ();
      g_autoptr (EvpAbstractEventLoopPolicy) another = evp_default_event_loop_policy_new ();
      g_autoptr (GError) error = NULL;

      /* one warning, and then the default */
      g_assert_cmpuint (evp_warn_runtime_get_count (), ==, 1);
      close_and_unref (evp_event_loop_policy_new_event_loop (another, &error));
      g_assert_no_error (error);
      return;
    }
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    in_subprocess (cases[i].variable, cases[i].value, cases[i].warning);
}

#ifdef SYS_pidfd_open
/* A watcher that cannot work here is treated as a selector that cannot: a warning, and the best that works. */
/* Rules: P-29, W-58 */
static void
test_environment_no_pidfds (void)
{
  struct sock_filter filter[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { .len = G_N_ELEMENTS (filter), .filter = filter };
  g_autoptr (EvpAbstractEventLoopPolicy) policy = NULL;
  g_autoptr (EvpAbstractChildWatcher) watcher = NULL;
  g_autoptr (GError) error = NULL;

  if (!g_test_subprocess ())
    {
      in_subprocess ("EVP_CHILD_WATCHER", "pidfd",
                     "*EVP_CHILD_WATCHER=pidfd*not available*threaded, safe, fast, multi-loop, glib*");
      return;
    }
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    g_error ("no seccomp: %s", g_strerror (errno));
  policy = evp_default_event_loop_policy_new ();
  g_assert_cmpuint (evp_warn_runtime_get_count (), ==, 1);
  watcher = evp_event_loop_policy_get_child_watcher (policy, &error);
  g_assert_no_error (error);
  g_assert_true (EVP_IS_THREADED_CHILD_WATCHER (watcher));
}
#endif

int
main (int    argc,
      char **argv)
{
  GType types[] = {
    EVP_TYPE_DEFAULT_EVENT_LOOP_POLICY,
    EVP_TYPE_SELECTOR_EVENT_LOOP_POLICY,
    EVP_TYPE_PROACTOR_EVENT_LOOP_POLICY,
    EVP_TYPE_MAIN_CONTEXT_EVENT_LOOP_POLICY,
    EVP_TYPE_WINDOWS_SELECTOR_EVENT_LOOP_POLICY,
    EVP_TYPE_WINDOWS_PROACTOR_EVENT_LOOP_POLICY,
  };

  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/evp/policy/default-event-loop-policy/chain-up", test_chain_up);
  g_test_add_func ("/evp/policy/default-event-loop-policy/middle-level", test_middle_level);
  g_test_add_func ("/evp/policy/default-event-loop-policy/loop-type", test_loop_type);
  g_test_add_func ("/evp/policy/default-event-loop-policy/child-watcher-type", test_child_watcher_type);
  g_test_add_func ("/evp/policy/default-event-loop-policy/selector-type", test_selector_type);
  g_test_add_func ("/evp/policy/default-event-loop-policy/choose-proactor", test_choose_proactor);
  g_test_add_func ("/evp/policy/default-event-loop-policy/fixed-loop-types", test_fixed_loop_types);
  g_test_add_func ("/evp/policy/default-event-loop-policy/proactor-type", test_proactor_type);
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/policy/default-event-loop-policy/guard/%s", g_type_name (types[i]));

      g_test_add_data_func (path, g_type_name (types[i]), test_guard);
    }
  g_test_add_func ("/evp/policy/default-event-loop-policy/environment", test_environment);
  g_test_add_func ("/evp/policy/default-event-loop-policy/environment-unknown", test_environment_unknown);
#ifdef SYS_pidfd_open
  g_test_add_func ("/evp/policy/default-event-loop-policy/environment-no-pidfds", test_environment_no_pidfds);
#endif
  return g_test_run ();
}
