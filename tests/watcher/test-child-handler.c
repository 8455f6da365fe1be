/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-child-handler-private.h"

#include "watcher/watcher-fixture.h"

/* Rules: W-2, W-62 */
static void
test_without_loop (void)
{
  Child child = { .pid = 4711 };
  EvpChildHandler *handler = evp_child_handler_new (4711, NULL, child_cb, &child, child_destroy_cb);

  g_assert_cmpint (evp_child_handler_get_pid (handler), ==, 4711);
  g_assert_null (evp_child_handler_get_loop (handler));
  g_assert_false (evp_child_handler_get_done (handler));
  g_assert_cmpint (evp_child_handler_get_returncode (handler), ==, 0);

  evp_child_handler_invoke (handler, 4711, 7);
  evp_child_handler_invoke (handler, 4711, 8);
  evp_child_handler_invoke_lost (handler, 4711);
  evp_child_handler_cancel (handler);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  g_assert_cmpint (child.returncode, ==, 7);
  g_assert_true (evp_child_handler_get_done (handler));
  g_assert_false (evp_child_handler_get_lost (handler));
  g_assert_cmpint (evp_child_handler_get_returncode (handler), ==, 7);
  g_assert_finalize_object (handler);
}

static gpointer
invoke_thread (gpointer handler)
{
  evp_child_handler_invoke (handler, evp_child_handler_get_pid (handler), -9);
  return NULL;
}

/* Rules: W-2, W-60, Z-42 */
static void
test_hop (void)
{
  EvpAbstractEventLoop *loop = test_loop_new ();
  Child child = { .pid = 4711, .stop = loop };
  EvpChildHandler *handler = evp_child_handler_new (4711, loop, child_cb, &child, child_destroy_cb);

  g_assert_true (evp_child_handler_get_loop (handler) == loop);
  g_thread_join (g_thread_new ("invoke", invoke_thread, handler));
  g_assert_cmpint (child.n_calls, ==, 0);
  g_assert_true (evp_child_handler_get_done (handler));
  test_loop_run (loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, -9);
  g_assert_true (child.loop == loop);
  g_assert_true (child.thread == g_thread_self ());
  g_assert_true (child.destroy_thread == g_thread_self ());
  g_assert_finalize_object (handler);
  test_loop_close (loop);
}

typedef struct
{
  EvpChildHandler *handler;
  Child *child;
  int n_calls_inside;
} Inside;

static void
inside_cb (gpointer user_data)
{
  Inside *inside = user_data;

  evp_child_handler_invoke (inside->handler, 4711, 1);
  inside->n_calls_inside = inside->child->n_calls;
}

/* Rules: W-52 */
static void
test_direct (void)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = test_loop_new ();
  Child child = { .pid = 4711, .stop = loop };
  g_autoptr (EvpChildHandler) handler = evp_child_handler_new (4711, loop, child_cb, &child, child_destroy_cb);
  Inside inside = { handler, &child, 0 };

  evp_event_loop_call_soon (loop, inside_cb, &inside, NULL, &error);
  g_assert_no_error (error);
  test_loop_run (loop);
  g_assert_cmpint (inside.n_calls_inside, ==, 1);
  g_clear_object (&handler);
  test_loop_close (loop);
}

/* Rules: W-3, W-62 */
static void
test_cancel (void)
{
  EvpAbstractEventLoop *loop = test_loop_new ();
  Child pending = { .pid = 1 }, posted = { .pid = 2 };
  g_autoptr (EvpChildHandler) one = evp_child_handler_new (1, loop, child_cb, &pending, child_destroy_cb);
  g_autoptr (EvpChildHandler) two = evp_child_handler_new (2, loop, child_cb, &posted, child_destroy_cb);

  evp_child_handler_cancel (one);
  g_assert_cmpint (pending.n_destroyed, ==, 1);
  evp_child_handler_invoke (one, 1, 0);
  g_assert_false (evp_child_handler_get_done (one));

  /* already on its way */
  evp_child_handler_invoke (two, 2, 0);
  evp_child_handler_cancel (two);
  g_assert_cmpint (posted.n_destroyed, ==, 1);
  test_loop_turn (loop);
  g_assert_cmpint (pending.n_calls, ==, 0);
  g_assert_cmpint (posted.n_calls, ==, 0);
  g_clear_object (&one);
  g_clear_object (&two);
  test_loop_close (loop);
}

static gpointer
cancel_thread (gpointer handler)
{
  evp_child_handler_enter_helper_thread ();
  evp_child_handler_cancel (handler);
  return NULL;
}

/* Rules: Z-42 */
static void
test_release_thread (void)
{
  EvpAbstractEventLoop *loop = test_loop_new ();
  Child child = { .pid = 1 }, alone = { .pid = 2 };
  g_autoptr (EvpChildHandler) handler = evp_child_handler_new (1, loop, child_cb, &child, child_destroy_cb);
  g_autoptr (EvpChildHandler) free_handler = evp_child_handler_new (2, NULL, child_cb, &alone, child_destroy_cb);

  /* a foreign thread does not release: the loop does */
  g_thread_join (g_thread_new ("cancel", cancel_thread, handler));
  g_assert_cmpint (child.n_destroyed, ==, 0);
  test_loop_turn (loop);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  g_assert_true (child.destroy_thread == g_thread_self ());

  /* without a loop, the default main context */
  g_thread_join (g_thread_new ("cancel", cancel_thread, free_handler));
  g_assert_cmpint (alone.n_destroyed, ==, 0);
  while (alone.n_destroyed == 0)
    g_main_context_iteration (NULL, FALSE);
  g_assert_true (alone.destroy_thread == g_thread_self ());
  g_clear_object (&handler);
  test_loop_close (loop);
}

/* Rules: W-6, Z-35, Z-39 */
static void
test_lost (void)
{
  guint n_warnings = evp_warn_runtime_get_count ();
  Child child = { .pid = 4711 };
  g_autoptr (EvpChildHandler) handler = evp_child_handler_new (4711, NULL, child_cb, &child, child_destroy_cb);

  evp_child_handler_invoke_lost (handler, 4711);
  evp_child_handler_invoke_lost (handler, 4711);
  g_assert_true (evp_child_handler_get_lost (handler));
  g_assert_cmpint (evp_child_handler_get_returncode (handler), ==, EVP_RETURNCODE_LOST);
  g_assert_cmpint (child.returncode, ==, 255);
  g_assert_cmpint (child.n_calls, ==, 1);
  assert_warned (n_warnings, 1, 4711);
}

/* Rules: W-40, W-45, Z-40 */
static void
test_loop_closed (void)
{
  guint n_warnings = evp_warn_runtime_get_count ();
  EvpAbstractEventLoop *loop = test_loop_new ();
  Child before = { .pid = 1 }, posted = { .pid = 2 }, guarded = { .pid = 3 };
  g_autoptr (EvpChildHandler) one = evp_child_handler_new (1, loop, child_cb, &before, child_destroy_cb);
  g_autoptr (EvpChildHandler) two = evp_child_handler_new (2, loop, child_cb, &posted, child_destroy_cb);
  g_autoptr (EvpChildHandler) three = evp_child_handler_new (3, loop, child_cb, &guarded, child_destroy_cb);

  evp_child_handler_guard (three);
  evp_child_handler_invoke (two, 2, 0);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_cmpint (posted.n_destroyed, ==, 1);
  g_assert_cmpint (guarded.n_destroyed, ==, 1);
  g_assert_cmpint (before.n_destroyed, ==, 0);
  assert_warned (n_warnings, 2, 3);

  evp_child_handler_invoke (one, 1, 0);
  g_assert_cmpint (before.n_destroyed, ==, 1);
  assert_warned (n_warnings, 3, 1);

  evp_child_handler_invoke (three, 3, 0);
  assert_warned (n_warnings, 3, 0);
  g_assert_cmpint (before.n_calls + posted.n_calls + guarded.n_calls, ==, 0);
  g_clear_object (&one);
  g_clear_object (&two);
  g_clear_object (&three);
  g_assert_finalize_object (loop);
}

/* Rules: W-55 */
static void
test_moved (void)
{
  EvpAbstractEventLoop *first = test_loop_new (), *second = test_loop_new ();
  guint n_warnings = evp_warn_runtime_get_count ();
  Child child = { .pid = 1, .stop = second };
  g_autoptr (EvpChildHandler) handler = evp_child_handler_new (1, first, child_cb, &child, child_destroy_cb);

  evp_child_handler_guard (handler);
  evp_child_handler_set_loop (handler, second);
  test_loop_close (first);
  evp_child_handler_invoke (handler, 1, 3);
  test_loop_run (second);
  g_assert_cmpint (child.returncode, ==, 3);
  assert_warned (n_warnings, 0, 0);
  g_clear_object (&handler);

  /* it is the loop that it has moved to whose end it minds */
  first = test_loop_new ();
  child = (Child) { .pid = 1 };
  handler = evp_child_handler_new (1, first, child_cb, &child, child_destroy_cb);
  evp_child_handler_guard (handler);
  evp_child_handler_set_loop (handler, second);
  test_loop_close (first);
  g_assert_cmpint (child.n_destroyed, ==, 0);
  evp_event_loop_close (second, NULL);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  assert_warned (n_warnings, 1, 1);
  g_clear_object (&handler);
  g_assert_finalize_object (second);
}

static gpointer
invoke_lost_thread (gpointer handler)
{
  evp_child_handler_invoke_lost (handler, evp_child_handler_get_pid (handler));
  return NULL;
}

/* Rules: W-2, W-6 */
static void
test_twice (void)
{
  guint n_warnings = evp_warn_runtime_get_count ();
  EvpAbstractEventLoop *loop = test_loop_new ();
  Child child = { .pid = 4711, .stop = loop };
  EvpChildHandler *handler = evp_child_handler_new (4711, loop, child_cb, &child, child_destroy_cb);

  /* who comes second has nothing to say, even while the callback is on its way */
  g_thread_join (g_thread_new ("invoke", invoke_thread, handler));
  g_thread_join (g_thread_new ("invoke-lost", invoke_lost_thread, handler));
  g_assert_false (evp_child_handler_get_lost (handler));
  g_assert_cmpint (evp_child_handler_get_returncode (handler), ==, -9);
  test_loop_run (loop);
  test_loop_turn (loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_cmpint (child.returncode, ==, -9);
  assert_warned (n_warnings, 0, 0);
  g_assert_finalize_object (handler);
  test_loop_close (loop);
}

/* Rules: W-2, W-3, W-6 */
static void
test_outcome (void)
{
  EvpAbstractEventLoop *loop = test_loop_new ();
  EvpChildOutcome outcome = { .cpu_time = -1.0 };
  Child child = { .pid = 4711, .stop = loop };
  EvpChildHandler *handler = evp_child_handler_new (4711, loop, child_cb, &child, child_destroy_cb);

  /* known at once, while the callback is on its way */
  evp_child_handler_set_outcome (handler, &outcome);
  evp_child_handler_set_cpu_time (handler, 1.5);
  g_assert_false (outcome.done);
  g_thread_join (g_thread_new ("invoke", invoke_thread, handler));
  g_assert_cmpint (child.n_calls, ==, 0);
  g_assert_true (outcome.done);
  g_assert_false (outcome.lost);
  g_assert_cmpfloat (outcome.cpu_time, ==, 1.5);
  test_loop_run (loop);
  g_assert_cmpint (child.n_calls, ==, 1);
  g_assert_finalize_object (handler);

  /* whoever is not called any more is not told either */
  outcome = (EvpChildOutcome) { .cpu_time = -1.0 };
  child = (Child) { .pid = 4711 };
  handler = evp_child_handler_new (4711, loop, child_cb, &child, child_destroy_cb);
  evp_child_handler_set_outcome (handler, &outcome);
  evp_child_handler_cancel (handler);
  evp_child_handler_invoke (handler, 4711, 0);
  g_assert_cmpint (child.n_destroyed, ==, 1);
  g_assert_false (outcome.done);
  g_assert_finalize_object (handler);
  test_loop_close (loop);
}

/* Rules: W-3 */
static void
test_unused (void)
{
  Child child = { .pid = 1 };
  EvpChildHandler *handler = evp_child_handler_new (1, NULL, child_cb, &child, child_destroy_cb);

  g_assert_finalize_object (handler);
  g_assert_cmpint (child.n_calls, ==, 0);
  g_assert_cmpint (child.n_destroyed, ==, 1);

  /* one that a binding made without arguments has nothing to call */
  handler = g_object_new (EVP_TYPE_CHILD_HANDLER, NULL);
  evp_child_handler_invoke (handler, 0, 0);
  evp_child_handler_cancel (handler);
  g_assert_finalize_object (handler);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/watcher/child-handler/without-loop", test_without_loop);
  g_test_add_func ("/evp/watcher/child-handler/hop", test_hop);
  g_test_add_func ("/evp/watcher/child-handler/direct", test_direct);
  g_test_add_func ("/evp/watcher/child-handler/cancel", test_cancel);
  g_test_add_func ("/evp/watcher/child-handler/release-thread", test_release_thread);
  g_test_add_func ("/evp/watcher/child-handler/lost", test_lost);
  g_test_add_func ("/evp/watcher/child-handler/loop-closed", test_loop_closed);
  g_test_add_func ("/evp/watcher/child-handler/moved", test_moved);
  g_test_add_func ("/evp/watcher/child-handler/twice", test_twice);
  g_test_add_func ("/evp/watcher/child-handler/outcome", test_outcome);
  g_test_add_func ("/evp/watcher/child-handler/unused", test_unused);

  return g_test_run ();
}
