/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "support/evp-test-support.h"

#include <fcntl.h>
#include <unistd.h>

/* A selector that counts how often it is asked. */
#define TEST_TYPE_COUNTING_SELECTOR (test_counting_selector_get_type ())
G_DECLARE_FINAL_TYPE (TestCountingSelector, test_counting_selector, TEST, COUNTING_SELECTOR, EvpPollSelector)

struct _TestCountingSelector
{
  EvpPollSelector parent_instance;
  guint n_asked;
};

G_DEFINE_FINAL_TYPE (TestCountingSelector, test_counting_selector, EVP_TYPE_POLL_SELECTOR)

static GPtrArray *
test_counting_selector_select (EvpSelector *selector,
                               double       timeout,
                               GError     **error)
{
  TEST_COUNTING_SELECTOR (selector)->n_asked++;
  return EVP_SELECTOR_CLASS (test_counting_selector_parent_class)->select (selector, timeout, error);
}

static void
test_counting_selector_class_init (TestCountingSelectorClass *klass)
{
  EVP_SELECTOR_CLASS (klass)->select = test_counting_selector_select;
}

static void
test_counting_selector_init (TestCountingSelector *self)
{
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  TestCountingSelector *selector;
  guint n_calls;
  guint n_asked; /* when the first callback ran */
} Slow;

/* Takes longer than the loop usually waits before it asks again. */
static void
slow_cb (int      fd,
         gpointer user_data)
{
  Slow *slow = user_data;
  char byte;

  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
  if (slow->n_calls++ == 0)
    slow->n_asked = slow->selector->n_asked;
  g_assert_cmpuint (slow->selector->n_asked, ==, slow->n_asked);
  g_usleep (1000);
  if (slow->n_calls == 3)
    evp_event_loop_stop (slow->loop);
}

/* Rules: F-1, I-3 */
static void
test_asked_once (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "slow readers");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_autoptr (GError) error = NULL;
  Slow slow = { 0 };
  int pipes[3][2];

  slow.selector = g_object_new (TEST_TYPE_COUNTING_SELECTOR, NULL);
  slow.loop = evp_selector_event_loop_new (EVP_SELECTOR (slow.selector), NULL, &error);
  g_assert_no_error (error);
  g_object_set (slow.loop, "turn-budget", 60.0, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (pipes); i++)
    {
      g_assert_no_errno (pipe2 (pipes[i], O_CLOEXEC));
      g_assert_cmpint (write (pipes[i][1], "x", 1), ==, 1);
      g_assert_true (evp_event_loop_add_reader (slow.loop, pipes[i][0], slow_cb, &slow, NULL, &error));
      g_assert_no_error (error);
    }

  /* what was found ready runs before the kernel is asked once more, however long it takes */
  g_assert_true (evp_event_loop_run_forever (slow.loop, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (slow.n_calls, ==, 3);

  g_assert_true (evp_event_loop_close (slow.loop, &error));
  g_assert_finalize_object (slow.loop);
  g_assert_finalize_object (slow.selector);
  for (guint i = 0; i < G_N_ELEMENTS (pipes); i++)
    {
      close (pipes[i][0]);
      close (pipes[i][1]);
    }
  evp_test_leaks_check (&leaks);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/loop/selector-event-loop/asked-once", test_asked_once);

  return g_test_run ();
}
