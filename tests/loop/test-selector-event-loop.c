/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"
#include "evp/os/evp-os-fd-private.h"
#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
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
  evp_test_spin (1000);
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

static void
nothing_cb (int      fd,
            gpointer user_data)
{
}

static void
stop_loop_cb (gpointer user_data)
{
  evp_event_loop_stop (user_data);
}

/* A selector that was closed before is good for nothing, and what can still be done says so. */
/* Rules: S-10, S-17 */
static void
test_closed_selector (void)
{
  EvpSelector *(*kinds[]) (void) = { evp_selector_new_default, evp_poll_selector_new, evp_select_selector_new };

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "closed selector");
      g_autoptr (EvpSelector) selector = kinds[i] ();
      EvpAbstractEventLoop *loop;
      g_autoptr (GError) error = NULL;
      int fds[2];

      evp_selector_close (selector);
      g_assert_null (evp_selector_event_loop_new (selector, NULL, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
      g_clear_error (&error);

      loop = g_object_new (EVP_TYPE_SELECTOR_EVENT_LOOP, "selector", selector, NULL);
      g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
      g_assert_false (evp_event_loop_add_reader (loop, fds[0], nothing_cb, NULL, NULL, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
      g_clear_error (&error);
      g_assert_false (evp_event_loop_remove_reader (loop, fds[0]));
      g_assert_nonnull (evp_event_loop_call_later (loop, 0.001, stop_loop_cb, loop, NULL, &error));
      g_assert_true (evp_event_loop_run_forever (loop, &error));
      g_assert_no_error (error);
      g_assert_true (evp_event_loop_close (loop, &error));
      g_assert_no_error (error);
      g_assert_finalize_object (loop);
      close (fds[0]);
      close (fds[1]);
    }
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  int number;    /* that is watched */
  int duplicate; /* of what it named first */
  int next;      /* what it names then */
  guint n_calls;
} Renamed;

/* Closes what it was called for, of which a duplicate stays ready, and gives its number to something else. */
static void
rename_cb (int      fd,
           gpointer user_data)
{
  Renamed *renamed = user_data;
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (renamed->loop);

  if (renamed->n_calls++ > 0)
    return;
  renamed->duplicate = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  close (fd);
  /* the descriptor leaves the set, as far as that can be asked for; looking once more would find out */
  g_main_context_iteration (context, FALSE);
  g_assert_no_errno (dup3 (renamed->next, fd, O_CLOEXEC));
}

/* What a duplicate still reports is not taken for what its number names now. */
/* Rules: F-11, F-12 */
static void
test_renamed_while_nested (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a number with two owners");
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (NULL, NULL, NULL);
  Renamed renamed = { .loop = loop };
  g_autoptr (GError) error = NULL;
  int first[2], second[2];

  g_object_set (loop, "turn-budget", 0.0, NULL);
  g_assert_no_errno (pipe2 (first, O_CLOEXEC));
  g_assert_no_errno (pipe2 (second, O_CLOEXEC));
  renamed.number = first[0];
  renamed.next = second[0];
  g_assert_cmpint (write (first[1], "x", 1), ==, 1);
  g_assert_true (evp_event_loop_add_reader (loop, first[0], rename_cb, &renamed, NULL, &error));
  g_assert_no_error (error);
  while (renamed.n_calls == 0)
    evp_test_run_ready (loop);
  for (int i = 0; i < 5; i++)
    evp_test_run_ready (loop);
  g_assert_cmpuint (renamed.n_calls, ==, 1);

  g_assert_cmpint (write (second[1], "x", 1), ==, 1);
  while (renamed.n_calls == 1)
    evp_test_run_ready (loop);

  g_assert_true (evp_event_loop_remove_reader (loop, renamed.number));
  close (renamed.number);
  close (renamed.duplicate);
  close (first[1]);
  close (second[0]);
  close (second[1]);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_finalize_object (loop);
}

/* A selector that lists what is not ready, too, and says of some of it what nobody asked for. */
#define TEST_TYPE_CHATTY_SELECTOR (test_chatty_selector_get_type ())
G_DECLARE_FINAL_TYPE (TestChattySelector, test_chatty_selector, TEST, CHATTY_SELECTOR, EvpPollSelector)

struct _TestChattySelector
{
  EvpPollSelector parent_instance;
};

G_DEFINE_FINAL_TYPE (TestChattySelector, test_chatty_selector, EVP_TYPE_POLL_SELECTOR)

static GPtrArray *
test_chatty_selector_select (EvpSelector *selector,
                             double       timeout,
                             GError     **error)
{
  g_autoptr (GPtrArray) map = evp_selector_get_map (selector);
  GPtrArray *keys = EVP_SELECTOR_CLASS (test_chatty_selector_parent_class)->select (selector, timeout, error);

  for (guint i = 0; keys != NULL && i < map->len; i++)
    {
      EvpSelectorKey *key = g_ptr_array_index (map, i);

      if (evp_selector_key_get_ready_events (key) != EVP_IO_EVENTS_NONE)
        continue;
      if (evp_selector_key_get_fd (key) % 2 == 0)
        evp_selector_key_set_ready_events (key, EVP_IO_EVENTS_WRITE);
      g_ptr_array_add (keys, g_object_ref (key));
    }
  return keys;
}

static void
test_chatty_selector_class_init (TestChattySelectorClass *klass)
{
  EVP_SELECTOR_CLASS (klass)->select = test_chatty_selector_select;
}

static void
test_chatty_selector_init (TestChattySelector *self)
{
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  int pipes[4][2];
  guint n_calls;
} Relay;

/* Passes the byte on to the next pipe. */
static void
relay_cb (int      fd,
          gpointer user_data)
{
  Relay *relay = user_data;
  char byte;

  g_assert_cmpint (fd, ==, relay->pipes[relay->n_calls][0]);
  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
  if (++relay->n_calls == G_N_ELEMENTS (relay->pipes))
    evp_event_loop_stop (relay->loop);
  else
    g_assert_cmpint (write (relay->pipes[relay->n_calls][1], &byte, 1), ==, 1);
}

/* Rules: F-1, S-7 */
static void
test_chatty_selector (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "readers that were not ready at first");
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  g_autoptr (GError) error = NULL;
  EvpSelector *selector = g_object_new (TEST_TYPE_CHATTY_SELECTOR, NULL);
  Relay relay = { 0 };

  relay.loop = evp_selector_event_loop_new (selector, NULL, &error);
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (relay.pipes); i++)
    {
      g_assert_no_errno (pipe2 (relay.pipes[i], O_CLOEXEC));
      g_assert_true (evp_event_loop_add_reader (relay.loop, relay.pipes[i][0], relay_cb, &relay, NULL, &error));
      g_assert_no_error (error);
    }
  g_assert_cmpint (write (relay.pipes[0][1], "x", 1), ==, 1);

  /* those that were listed without being ready are still watched when they are */
  g_assert_true (evp_event_loop_run_forever (relay.loop, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (relay.n_calls, ==, G_N_ELEMENTS (relay.pipes));

  g_assert_true (evp_event_loop_close (relay.loop, &error));
  g_assert_finalize_object (relay.loop);
  g_assert_finalize_object (selector);
  for (guint i = 0; i < G_N_ELEMENTS (relay.pipes); i++)
    {
      close (relay.pipes[i][0]);
      close (relay.pipes[i][1]);
    }
  evp_test_leaks_check (&leaks);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  GString *log;
} Twice;

static void
stop_cb (gpointer user_data)
{
  Twice *twice = user_data;

  g_string_append_c (twice->log, 'b');
  evp_event_loop_stop (twice->loop);
}

/* A class that is derived may hand on a handle once too often. */
static void
schedule_twice_cb (gpointer user_data)
{
  Twice *twice = user_data;
  EvpAbstractEventLoopInterface *slots = EVP_EVENT_LOOP_GET_IFACE (twice->loop);
  g_autoptr (GError) error = NULL;
  EvpTimerHandle *timer;
  EvpHandle *handle;

  g_string_append_c (twice->log, 'a');
  handle = evp_event_loop_call_soon (twice->loop, stop_cb, twice, NULL, &error);
  g_assert_no_error (error);
  g_assert_false (slots->schedule (twice->loop, handle, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_assert_false (slots->schedule_threadsafe (twice->loop, handle, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);

  timer = evp_event_loop_call_later (twice->loop, 3600, stop_cb, twice, NULL, &error);
  g_assert_no_error (error);
  g_assert_false (slots->schedule_timer (twice->loop, timer, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  /* nor is it due: that would tear it out of the list of timers */
  g_assert_false (slots->schedule (twice->loop, (EvpHandle *) timer, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
  g_clear_error (&error);
  g_assert_false (slots->schedule_threadsafe (twice->loop, (EvpHandle *) timer, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_STATE);
}

/* A loop that sees each handle before it is scheduled, as those written in other languages do. */
#define TEST_TYPE_DERIVED_LOOP (test_derived_loop_get_type ())
G_DECLARE_FINAL_TYPE (TestDerivedLoop, test_derived_loop, TEST, DERIVED_LOOP, EvpSelectorEventLoop)

struct _TestDerivedLoop
{
  EvpSelectorEventLoop parent_instance;
};

static void test_derived_loop_iface_init (EvpAbstractEventLoopInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (TestDerivedLoop, test_derived_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                               G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, test_derived_loop_iface_init))

static gboolean
test_derived_loop_schedule_timer (EvpAbstractEventLoop *loop,
                                  EvpTimerHandle       *handle,
                                  GError              **error)
{
  EvpAbstractEventLoopInterface *parent = g_type_interface_peek (test_derived_loop_parent_class, EVP_TYPE_EVENT_LOOP);

  return parent->schedule_timer (loop, handle, error);
}

static void
test_derived_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  iface->schedule_timer = test_derived_loop_schedule_timer;
}

static void
test_derived_loop_class_init (TestDerivedLoopClass *klass)
{
}

static void
test_derived_loop_init (TestDerivedLoop *self)
{
}

static void
count_cb (gpointer user_data)
{
  ++*(guint *) user_data;
}

/* Rules: C-11, C-14, C-17, C-18 */
static void
test_cancelled_timers (gconstpointer data)
{
  enum { N = 3000 };
  const char *how = data;
  g_autofree EvpTimerHandle **timers = g_new0 (EvpTimerHandle *, N);
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (GError) error = NULL;
  guint n_runs = 0, n_released = 0;

  loop = g_str_equal (how, "derived") ? g_object_new (TEST_TYPE_DERIVED_LOOP, NULL)
                                      : evp_selector_event_loop_new (NULL, NULL, &error);
  g_assert_no_error (error);
  if (g_str_equal (how, "debug"))
    evp_event_loop_set_debug (loop, TRUE);

  for (guint i = 0; i < N; i++)
    {
      if (g_str_equal (how, "posted"))
        evp_event_loop_call_soon_threadsafe (loop, count_cb, &n_runs, NULL, NULL);
      timers[i] = evp_event_loop_call_later (loop, 1000 + i * 0.01, count_cb, &n_released, count_cb, &error);
      g_assert_no_error (error);
      evp_timer_handle_ref (timers[i]);
      /* as a server does that gives each request an hour: none is left behind */
      if (i % 2 == 0)
        {
          evp_timer_handle_cancel (timers[i]);
          g_assert_cmpuint (n_released, ==, i / 2 + 1);
        }
      g_assert_cmpuint (evp_test_count_timers (loop), ==, (i + 1) / 2);
    }
  for (guint i = 0; i < N; i++)
    {
      evp_timer_handle_cancel (timers[i]);
      evp_timer_handle_cancel (timers[i]);
      g_assert_true (evp_timer_handle_cancelled (timers[i]));
      g_assert_cmpfloat (evp_timer_handle_when (timers[i]), >, evp_event_loop_time (loop));
      evp_timer_handle_unref (timers[i]);
    }
  g_assert_cmpuint (n_released, ==, N);
  g_assert_cmpuint (evp_test_count_timers (loop), ==, 0);
  g_assert_true (evp_event_loop_close (loop, &error));
  g_assert_no_error (error);
}

/* Rules: C-1 */
static void
test_scheduled_twice (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "a handle that was scheduled twice");
  g_autoptr (GError) error = NULL;
  Twice twice = { NULL, g_string_new (NULL) };

  twice.loop = evp_selector_event_loop_new (NULL, NULL, &error);
  g_assert_no_error (error);
  evp_event_loop_call_soon (twice.loop, schedule_twice_cb, &twice, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (evp_event_loop_run_forever (twice.loop, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (twice.log->str, ==, "ab");

  g_assert_true (evp_event_loop_close (twice.loop, &error));
  g_assert_finalize_object (twice.loop);
  g_string_free (twice.log, TRUE);
}

/* Rules: L-13 */
static void
test_closed_in_any_order (void)
{
  static const guint orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
  EvpTestLeaks leaks = evp_test_leaks_begin ();

  /* what the library knows of its loops is a list; what is left of it must be right whichever goes first */
  for (guint i = 0; i < G_N_ELEMENTS (orders); i++)
    {
      EvpAbstractEventLoop *loops[3];

      for (guint j = 0; j < 3; j++)
        {
          loops[j] = evp_selector_event_loop_new (NULL, NULL, NULL);
          g_assert_nonnull (loops[j]);
        }
      for (guint j = 0; j < 3; j++)
        {
          g_assert_true (evp_event_loop_close (loops[orders[i][j]], NULL));
          g_assert_finalize_object (loops[orders[i][j]]);
        }
    }
  evp_test_leaks_check (&leaks);
}

static guint
count_fds (EvpAbstractEventLoop *loop)
{
  g_autoptr (EvpLoopStatistics) statistics = evp_base_event_loop_get_statistics (EVP_BASE_EVENT_LOOP (loop));

  return evp_loop_statistics_get_fds (statistics);
}

static void
unexpected_cb (int      fd,
               gpointer user_data)
{
  g_assert_not_reached ();
}

static void
check_fds_counted (EvpSelector *selector)
{
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop = evp_selector_event_loop_new (selector, NULL, &error);
  int fds[2];

  g_assert_no_error (error);
  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  g_assert_true (evp_event_loop_add_reader (loop, fds[0], unexpected_cb, NULL, NULL, &error));
  g_assert_true (evp_event_loop_add_writer (loop, fds[1], unexpected_cb, NULL, NULL, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (count_fds (loop), ==, 2);

  /* with its last direction a descriptor leaves at once: it may be closed next */
  g_assert_true (evp_event_loop_remove_writer (loop, fds[1]));
  g_assert_cmpuint (count_fds (loop), ==, 1);

  /* one that was closed is not watched by epoll any longer; the others look it up in their next turn, and tell */
  close (fds[0]);
  g_assert_false (evp_event_loop_add_reader (loop, fds[0], unexpected_cb, NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, (int) g_io_error_from_errno (EBADF));
  if (EVP_IS_EPOLL_SELECTOR (evp_selector_event_loop_get_selector (EVP_SELECTOR_EVENT_LOOP (loop))))
    {
      g_assert_cmpuint (count_fds (loop), ==, 0);
      g_assert_false (evp_event_loop_remove_reader (loop, fds[0]));
    }

  close (fds[1]);
  g_assert_true (evp_event_loop_close (loop, NULL));
  g_assert_finalize_object (loop);
  g_clear_object (&selector);
}

/* Rules: F-4, F-7 */
static void
test_fds_counted (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();

  check_fds_counted (NULL);
  check_fds_counted (evp_poll_selector_new ());
  check_fds_counted (evp_select_selector_new ());
  evp_test_leaks_check (&leaks);
}

static void
readable_cb (int      fd,
             gpointer user_data)
{
}

/* Rules: F-11 */
static void
test_refused_for_closed (gconstpointer data)
{
  g_autoptr (EvpSelector) selector = ((EvpSelector *(*) (void)) data) ();
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (GError) error = NULL;
  guint n_released = 0;
  int fds[2];

  loop = evp_selector_event_loop_new (selector, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (evp_os_fd_pipe (fds, TRUE, NULL));
  g_assert_true (evp_event_loop_add_reader (loop, fds[0], readable_cb, &n_released, count_cb, &error));
  g_assert_no_error (error);

  /* what was registered under the number goes with the descriptor, now that the loop knows */
  close (fds[0]);
  g_assert_false (evp_event_loop_add_reader (loop, fds[0], readable_cb, NULL, NULL, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_cmpuint (n_released, ==, 1);
  g_assert_false (evp_event_loop_remove_reader (loop, fds[0]));

  close (fds[1]);
  g_assert_true (evp_event_loop_close (loop, &error));
  g_assert_no_error (error);
}

/* A loop with a clock of its own, as one that plays a recording has. */
#define TEST_TYPE_CLOCK_LOOP (test_clock_loop_get_type ())
G_DECLARE_FINAL_TYPE (TestClockLoop, test_clock_loop, TEST, CLOCK_LOOP, EvpSelectorEventLoop)

struct _TestClockLoop
{
  EvpSelectorEventLoop parent_instance;
  gint64 time_us;
};

static void test_clock_loop_iface_init (EvpAbstractEventLoopInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (TestClockLoop, test_clock_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                               G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, test_clock_loop_iface_init))

static gint64
test_clock_loop_get_time_us (EvpAbstractEventLoop *loop)
{
  return TEST_CLOCK_LOOP (loop)->time_us;
}

static void
test_clock_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  iface->get_time_us = test_clock_loop_get_time_us;
}

static void
test_clock_loop_class_init (TestClockLoopClass *klass)
{
}

static void
test_clock_loop_init (TestClockLoop *self)
{
}

/* Rules: C-5, C-9, C-14 */
static void
test_clock (void)
{
  static const struct
  {
    gint64 time_us;
    double delay, when;
  } cases[] = {
    { 5000000, 1.5, 6.5 },
    { 5000000, -7, -2 },
    /* it starts anywhere, and goes anywhere */
    { -5000000, 1.5, -3.5 },
    { -5000000, 0, -5 },
    { -5000000, INFINITY, INFINITY },
    { 5000000, INFINITY, INFINITY },
    { G_MAXINT64, 1, INFINITY },
    { G_MAXINT64 / 1000 - 1000, 1e9, INFINITY },
    { G_MININT64, 1, -9223372035.854775807 },
    { G_MININT64 / 1000 + 1000, -1e9, -9223372036.854775807 },
    { -5000000, -INFINITY, -9223372036.854775807 },
  };
  g_autoptr (TestClockLoop) clock = g_object_new (TEST_TYPE_CLOCK_LOOP, NULL);
  EvpAbstractEventLoop *loop = EVP_EVENT_LOOP (clock);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      EvpTimerHandle *timer;

      clock->time_us = cases[i].time_us;
      g_assert_cmpfloat_with_epsilon (evp_event_loop_time (loop), (double) cases[i].time_us / 1e6, 1e-3);
      timer = evp_event_loop_call_later (loop, cases[i].delay, count_cb, NULL, NULL, &error);
      g_assert_no_error (error);
      if (isinf (cases[i].when))
        g_assert_true (isinf (evp_timer_handle_when (timer)));
      else
        g_assert_cmpfloat_with_epsilon (evp_timer_handle_when (timer), cases[i].when, 1e-5);
      evp_timer_handle_cancel (timer);
    }
  g_assert_true (evp_event_loop_close (loop, &error));
  g_assert_no_error (error);
}

/* Rules: F-7 */
static void
test_refused_number (gconstpointer data)
{
  g_autoptr (EvpSelector) selector = ((EvpSelector *(*) (void)) data) ();
  g_autoptr (EvpAbstractEventLoop) loop = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  loop = evp_selector_event_loop_new (selector, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (evp_os_fd_pipe (fds, TRUE, NULL));
  g_assert_true (evp_event_loop_add_reader (loop, fds[0], readable_cb, NULL, NULL, &error));
  g_assert_no_error (error);

  /* tables have a place for each number up to the largest that is open, and not for what is none */
  for (int fd = G_MAXINT; fd > 1000 * 1000; fd /= 2)
    {
      g_assert_false (evp_event_loop_add_reader (loop, fd, readable_cb, NULL, NULL, &error));
      g_assert_error (error, G_IO_ERROR, (int) g_io_error_from_errno (EBADF));
      g_clear_error (&error);
      g_assert_false (evp_event_loop_add_writer (loop, fd, unexpected_cb, NULL, NULL, &error));
      g_clear_error (&error);
      g_assert_false (evp_event_loop_remove_reader (loop, fd));
    }
  g_assert_true (evp_event_loop_remove_reader (loop, fds[0]));

  close (fds[0]);
  close (fds[1]);
  g_assert_true (evp_event_loop_close (loop, &error));
  g_assert_no_error (error);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/loop/selector-event-loop/asked-once", test_asked_once);
  g_test_add_func ("/evp/loop/selector-event-loop/closed-selector", test_closed_selector);
  g_test_add_func ("/evp/loop/selector-event-loop/renamed-while-nested", test_renamed_while_nested);
  g_test_add_func ("/evp/loop/selector-event-loop/chatty-selector", test_chatty_selector);
  g_test_add_func ("/evp/loop/selector-event-loop/scheduled-twice", test_scheduled_twice);
  g_test_add_data_func ("/evp/loop/selector-event-loop/cancelled-timers/posted", "posted", test_cancelled_timers);
  g_test_add_data_func ("/evp/loop/selector-event-loop/cancelled-timers/debug", "debug", test_cancelled_timers);
  g_test_add_data_func ("/evp/loop/selector-event-loop/cancelled-timers/derived", "derived", test_cancelled_timers);
  g_test_add_func ("/evp/loop/selector-event-loop/closed-in-any-order", test_closed_in_any_order);
  g_test_add_func ("/evp/loop/selector-event-loop/fds-counted", test_fds_counted);
  g_test_add_data_func ("/evp/loop/selector-event-loop/refused-for-closed/epoll", evp_epoll_selector_new,
                        test_refused_for_closed);
  g_test_add_data_func ("/evp/loop/selector-event-loop/refused-for-closed/poll", evp_poll_selector_new,
                        test_refused_for_closed);
  g_test_add_data_func ("/evp/loop/selector-event-loop/refused-for-closed/select", evp_select_selector_new,
                        test_refused_for_closed);
  g_test_add_func ("/evp/loop/selector-event-loop/clock", test_clock);
  g_test_add_data_func ("/evp/loop/selector-event-loop/refused-number/epoll", evp_epoll_selector_new,
                        test_refused_number);
  g_test_add_data_func ("/evp/loop/selector-event-loop/refused-number/poll", evp_poll_selector_new,
                        test_refused_number);
  g_test_add_data_func ("/evp/loop/selector-event-loop/refused-number/select", evp_select_selector_new,
                        test_refused_number);

  return g_test_run ();
}
