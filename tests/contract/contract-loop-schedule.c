/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "contract/contract-loop-fixture.h"

#include <math.h>

static void
add_bcd_cb (gpointer user_data)
{
  soon (user_data, "d");
  soon (user_data, "e");
}

/* Rules: C-1, C-2, C-15, I-3, Z-1, Z-3 */
static void
case_fifo (Fixture *fixture)
{
  soon (fixture, "a");
  soon_then (fixture, "b", add_bcd_cb);
  soon (fixture, "c");
  assert_log (fixture, ""); /* never at once */
  turn (fixture);
  g_assert_true (g_str_has_prefix (fixture->log->str, "abc"));
  if (!fixture->kind->adopted)
    assert_log (fixture, "abc"); /* what a callback adds runs in the next iteration */
  soon_then (fixture, "f", finish_cb);
  drive (fixture);
  assert_log (fixture, "abcdef");
}

static void
again_cb (gpointer user_data)
{
  call (user_data, again_cb, user_data);
}

static void
add_soon_and_later_cb (gpointer user_data)
{
  later (user_data, 0, "t");
  soon (user_data, "s");
}

/* Rules: C-8, I-1, I-3 */
static void
case_delay_zero_in_callback (Fixture *fixture)
{
  soon_then (fixture, "a", add_soon_and_later_cb);
  turn (fixture);
  turn (fixture);
  assert_log (fixture, "ast");
}

/* Rules: I-3, Z-1, Z-2 */
static void
case_rescheduling_starves_no_timer (Fixture *fixture)
{
  call (fixture, again_cb, fixture);
  later (fixture, 0.002, "t");
  call_later (fixture, 0.005, finish_cb, fixture);
  drive (fixture);
  assert_log (fixture, "t");
}

/* Rules: C-1, C-11, Z-7 */
static void
case_released (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpHandle) kept = NULL;
  EvpHandle *handle;

  /* right after the callback, also if somebody keeps the handle */
  handle = evp_event_loop_call_soon (fixture->loop, note_cb, note (fixture, "a"), note_free, &error);
  kept = evp_handle_ref (handle);
  soon (fixture, "b");
  turn (fixture);
  assert_log (fixture, "a~b");
  g_assert_false (evp_handle_cancelled (kept));
  evp_handle_cancel (kept); /* now it only sets the flag */
  g_assert_true (evp_handle_cancelled (kept));
  turn (fixture);
  assert_log (fixture, "a~b");
}

/* Rules: C-11, I-4, Z-7 */
static void
case_cancel (Fixture *fixture)
{
  g_autoptr (EvpHandle) handle = NULL;
  g_autoptr (GError) error = NULL;
  Note *canceller = note (fixture, "a");

  handle = evp_handle_ref (evp_event_loop_call_soon (fixture->loop, note_cb, note (fixture, "never"), note_free, &error));
  evp_handle_cancel (handle);
  assert_log (fixture, "~"); /* released inside cancel */
  g_assert_true (evp_handle_cancelled (handle));
  evp_handle_cancel (handle);
  assert_log (fixture, "~");
  turn (fixture);
  assert_log (fixture, "~");

  /* later in the same batch */
  clear_log (fixture);
  evp_event_loop_call_soon (fixture->loop, note_cb, canceller, g_free, &error);
  canceller->handle = evp_event_loop_call_soon (fixture->loop, note_cb, note (fixture, "never"), note_free, &error);
  soon (fixture, "c");
  turn (fixture);
  assert_log (fixture, "a~c");
}

/* Rules: C-13, C-11 */
static void
case_cancel_itself (Fixture *fixture)
{
  Note *data = note (fixture, "a");
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpHandle) handle = NULL;
  Note *timed = note (fixture, "t");

  handle = evp_handle_ref (evp_event_loop_call_soon (fixture->loop, note_cb, data, note_free, &error));
  data->handle = handle;
  timed->timer = evp_event_loop_call_later (fixture->loop, 0, note_cb, timed, note_free, &error);
  turn (fixture);
  assert_log (fixture, "a~t~");
  g_assert_true (evp_handle_cancelled (handle));
}

typedef struct
{
  Fixture *fixture;
  EvpHandle *victim;
} Releasing;

static void
releasing_free (gpointer data)
{
  Releasing *self = data;

  /* foreign code inside cancel(): schedules, cancels others */
  g_string_append_c (self->fixture->log, 'R');
  evp_handle_cancel (self->victim);
  soon (self->fixture, "s");
  g_free (self);
}

/* Rules: C-11, Z-7 */
static void
case_release_reenters (Fixture *fixture)
{
  Releasing *releasing = g_new0 (Releasing, 1);
  g_autoptr (EvpHandle) handle = NULL;
  g_autoptr (EvpHandle) victim = NULL;

  releasing->fixture = fixture;
  handle = evp_handle_ref (evp_event_loop_call_soon (fixture->loop, note_cb, releasing, releasing_free, NULL));
  victim = evp_handle_ref (evp_event_loop_call_soon (fixture->loop, note_cb, note (fixture, "never"), note_free, NULL));
  releasing->victim = victim;
  evp_handle_cancel (handle);
  assert_log (fixture, "R~");
  turn (fixture);
  assert_log (fixture, "R~s");
}

/* Rules: C-3 */
static void
case_threadsafe_order (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  soon (fixture, "a");
  g_assert_true (evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "b"), note_free, &error));
  soon (fixture, "c");
  g_assert_true (evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "d"), note_free, &error));
  g_assert_true (evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "e"), note_free, &error));
  soon (fixture, "f");
  assert_log (fixture, "");
  turn (fixture);
  assert_log (fixture, "ab~cd~e~f");
}

static void
post_and_call_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "1"), g_free, NULL);
  soon (fixture, "2");
  evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "3"), g_free, NULL);
  soon_then (fixture, "4", finish_cb);
}

/* Rules: C-3, I-3 */
static void
case_threadsafe_order_in_callback (Fixture *fixture)
{
  soon_then (fixture, "a", post_and_call_cb);
  soon (fixture, "b");
  drive (fixture);
  assert_log (fixture, "ab1234");
}

static gpointer
post_elsewhere (gpointer data)
{
  Fixture *fixture = data;

  evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "1"), g_free, NULL);
  return NULL;
}

static void
post_after_thread_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  g_thread_join (g_thread_new ("post", post_elsewhere, fixture));
  evp_event_loop_call_soon_threadsafe (fixture->loop, note_cb, note (fixture, "2"), g_free, NULL);
  soon_then (fixture, "3", finish_cb);
}

/* Rules: C-3 */
static void
case_threadsafe_order_of_threads (Fixture *fixture)
{
  soon_then (fixture, "a", post_after_thread_cb);
  drive (fixture);
  assert_log (fixture, "a123");
}

#define N_PRODUCERS 4
#define N_POSTS 5000

typedef struct
{
  Fixture *fixture;
  guint number;
  guint next; /* loop's thread: the post that must come next */
} Producer;

typedef struct
{
  Producer *producer;
  guint number;
} Post;

static guint n_arrived; /* loop's thread */

static void
post_cb (gpointer user_data)
{
  Post *post = user_data;

  g_assert_cmpuint (post->number, ==, post->producer->next);
  post->producer->next++;
  if (++n_arrived == N_PRODUCERS * N_POSTS)
    finish (post->producer->fixture);
}

static gpointer
producer_thread (gpointer data)
{
  Producer *producer = data;
  GRand *random = g_rand_new_with_seed (producer->number);

  for (guint i = 0; i < N_POSTS; i++)
    {
      Post *post = g_new (Post, 1);
      g_autoptr (GError) error = NULL;

      *post = (Post) { producer, i };
      g_assert_true (evp_event_loop_call_soon_threadsafe (producer->fixture->loop, post_cb, post, g_free, &error));
      g_assert_no_error (error);
      /* bursts, and pauses in which the loop goes to sleep */
      if (g_rand_int_range (random, 0, 200) == 0)
        evp_test_spin (50);
    }
  g_rand_free (random);
  return NULL;
}

/* Rules: C-3, C-4 */
static void
case_producers (Fixture *fixture)
{
  Producer producers[N_PRODUCERS];
  GThread *threads[N_PRODUCERS];

  n_arrived = 0;
  for (guint i = 0; i < N_PRODUCERS; i++)
    {
      producers[i] = (Producer) { fixture, i, 0 };
      threads[i] = g_thread_new ("producer", producer_thread, &producers[i]);
    }
  drive (fixture);
  for (guint i = 0; i < N_PRODUCERS; i++)
    {
      g_thread_join (threads[i]);
      g_assert_cmpuint (producers[i].next, ==, N_POSTS);
    }
  turn (fixture);
  g_assert_cmpuint (n_arrived, ==, N_PRODUCERS * N_POSTS);
}

typedef struct
{
  Fixture *fixture;
  gint *n_released;
  gint *n_posted;
  gint *n_refused;
} Racing;

static void
racing_cb (gpointer user_data)
{
}

static void
racing_free (gpointer data)
{
  gint *n_released = data;

  g_atomic_int_inc (n_released);
}

static gpointer
racing_thread (gpointer data)
{
  Racing *racing = data;

  for (;;)
    {
      g_autoptr (GError) error = NULL;

      g_atomic_int_inc (racing->n_posted);
      if (!evp_event_loop_call_soon_threadsafe (racing->fixture->loop, racing_cb, racing->n_released, racing_free, &error))
        {
          g_assert_error (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED);
          g_atomic_int_inc (racing->n_refused);
          return NULL;
        }
    }
}

/* Rules: C-4, L-13, L-14 */
static void
case_post_races_close (Fixture *fixture)
{
  gint n_released = 0, n_posted = 0, n_refused = 0;
  Racing racing = { fixture, &n_released, &n_posted, &n_refused };
  GThread *threads[N_PRODUCERS];

  for (guint i = 0; i < N_PRODUCERS; i++)
    threads[i] = g_thread_new ("racing", racing_thread, &racing);
  while (g_atomic_int_get (&n_posted) < 1000)
    turn (fixture);
  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  for (guint i = 0; i < N_PRODUCERS; i++)
    g_thread_join (threads[i]);
  /* each was run, dropped or refused, and none was lost */
  g_assert_cmpint (n_refused, ==, N_PRODUCERS);
  g_assert_cmpint (n_released, ==, n_posted);
}

static gpointer
cancel_thread (gpointer data)
{
  EvpHandle *handle = data;

  evp_handle_cancel (handle);
  g_assert_true (evp_handle_cancelled (handle));
  evp_handle_unref (handle);
  return NULL;
}

static void
note_thread_free (gpointer data)
{
  Note *self = data;

  g_string_append_printf (self->fixture->log, "%s~", self->then == (EvpCallback) g_thread_self () ? "" : "foreign thread");
  g_free (self);
}

/* Rules: C-4, C-11, Z-42 */
static void
case_threadsafe_handle (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpHandle) runs = NULL;
  Note *data = note (fixture, "never");
  EvpHandle *handle;

  data->then = (EvpCallback) g_thread_self ();
  handle = evp_event_loop_call_soon_threadsafe_handle (fixture->loop, note_cb, data, note_thread_free, &error);
  g_assert_no_error (error);
  runs = evp_event_loop_call_soon_threadsafe_handle (fixture->loop, note_cb, note (fixture, "b"), note_free, &error);
  g_assert_no_error (error);
  /* cancelled by another thread, which also has the last reference but the loop's */
  g_thread_join (g_thread_new ("cancel", cancel_thread, handle));
  turn (fixture);
  assert_log (fixture, "~b~");
  g_assert_false (evp_handle_cancelled (runs));
}

static gpointer
drop_handle_thread (gpointer data)
{
  evp_handle_unref (data);
  return NULL;
}

/* Rules: C-15 */
static void
case_handle_dropped_by_thread (Fixture *fixture)
{
  EvpHandle *handle = evp_handle_ref (soon (fixture, "a"));
  EvpTimerHandle *timer = evp_timer_handle_ref (later (fixture, 0, "t"));

  turn (fixture);
  g_thread_join (g_thread_new ("drop", drop_handle_thread, handle));
  g_thread_join (g_thread_new ("drop", drop_handle_thread, timer));
  soon (fixture, "b");
  turn (fixture);
  assert_log (fixture, "atb");
}

/* Rules: C-15, L-13 */
static void
case_handle_outlives_loop (Fixture *fixture)
{
  g_autoptr (EvpHandle) handle = evp_handle_ref (soon (fixture, "never"));
  g_autoptr (EvpTimerHandle) timer = evp_timer_handle_ref (later (fixture, 5, "never"));

  g_assert_true (evp_event_loop_close (fixture->loop, NULL));
  g_assert_finalize_object (g_steal_pointer (&fixture->loop));
  evp_handle_cancel (handle);
  evp_timer_handle_cancel (timer);
  g_assert_true (evp_handle_cancelled (handle));
  g_assert_true (evp_timer_handle_cancelled (timer));
  g_assert_true (evp_timer_handle_when (timer) > 0);
  assert_log (fixture, "");
}

/* Rules: C-5, C-7, C-10, I-1, I-2, Z-6 */
static void
case_timer_order (Fixture *fixture)
{
  double now = evp_event_loop_time (fixture->loop);
  g_autoptr (GError) error = NULL;
  struct
  {
    double when;
    const char *text;
  } timers[] = {
    /* overdue, all in one batch, by time; equal times in the order of scheduling */
    { now - 1, "d" }, { now - 3, "a" }, { now - 1, "e" }, { now - 2, "c" }, { now - 2.5, "b" }, { now - 1, "f" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (timers); i++)
    {
      evp_event_loop_call_at (fixture->loop, timers[i].when, note_cb, note (fixture, timers[i].text), g_free, &error);
      g_assert_no_error (error);
    }
  soon (fixture, "0");
  turn (fixture);
  assert_log (fixture, "0abcdef");
}

typedef struct
{
  Fixture *fixture;
  double when;
  EvpTimerHandle *handle;
  guint *n_left;
  double *last;
} Due;

static void
due_cb (gpointer user_data)
{
  Due *due = user_data;

  g_assert_cmpfloat (evp_event_loop_time (due->fixture->loop), >=, due->when);
  g_assert_cmpfloat (due->when, >=, *due->last);
  *due->last = due->when;
  if (--*due->n_left == 0)
    finish (due->fixture);
}

/* Rules: C-6, C-7, I-6 */
static void
case_never_early (Fixture *fixture)
{
  enum { N = 200 };
  Due dues[N];
  guint n_left = N;
  double last = 0, now = evp_event_loop_time (fixture->loop);
  g_autoptr (GRand) random = g_rand_new_with_seed (42);

  for (guint i = 0; i < N; i++)
    {
      dues[i] = (Due) { fixture, now + g_rand_double_range (random, 0, 0.05), NULL, &n_left, &last };
      evp_event_loop_call_at (fixture->loop, dues[i].when, due_cb, &dues[i], NULL, NULL);
    }
  drive (fixture);
  g_assert_cmpuint (n_left, ==, 0);
}

static void
next_sleep_cb (gpointer user_data)
{
  static const double sleeps[] = { 1e-2, 1e-4, 1e-6, 1e-8, 1e-10 };
  Fixture *fixture = user_data;

  if (fixture->log->len == G_N_ELEMENTS (sleeps))
    {
      finish (fixture);
      return;
    }
  g_string_append_c (fixture->log, '.');
  call_later (fixture, sleeps[fixture->log->len - 1], next_sleep_cb, fixture);
}

/* Rules: I-6, Z-5 */
static void
case_short_sleeps (Fixture *fixture)
{
  count_polls (fixture);
  call (fixture, next_sleep_cb, fixture);
  drive (fixture);
  g_assert_cmpuint (n_polls (fixture), <=, 20);
}

/* Rules: C-8, I-1, I-2 */
static void
case_no_delay (Fixture *fixture)
{
  soon (fixture, "a");
  later (fixture, 0, "z");
  soon (fixture, "b");
  later (fixture, -2, "x");
  later (fixture, -1, "y");
  later (fixture, -INFINITY, "w");
  later (fixture, -1e300, "W");
  assert_log (fixture, "");
  turn (fixture);
  assert_log (fixture, "abwWxyz");
}

/* Rules: C-9, Z-5 */
static void
case_odd_times (Fixture *fixture)
{
  static const double never[] = { INFINITY, 1e300, 1e18, 9.3e9, 1e10, 4e9, 86400.0 * 365 * 200 };
  g_autoptr (GError) error = NULL;

  g_assert_null (evp_event_loop_call_later (fixture->loop, NAN, note_cb, note (fixture, "never"), note_free, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_null (evp_event_loop_call_at (fixture->loop, -NAN, note_cb, note (fixture, "never"), note_free, &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  assert_log (fixture, "~~"); /* released, as what was refused is */
  clear_log (fixture);

  for (guint i = 0; i < G_N_ELEMENTS (never); i++)
    {
      later (fixture, never[i], "never");
      evp_event_loop_call_at (fixture->loop, never[i] + evp_event_loop_time (fixture->loop),
                              note_cb, note (fixture, "never"), g_free, &error);
      g_assert_no_error (error);
    }
  evp_event_loop_call_at (fixture->loop, 0, note_cb, note (fixture, "a"), g_free, &error);
  evp_event_loop_call_at (fixture->loop, -5, note_cb, note (fixture, "0"), g_free, &error);
  g_assert_no_error (error);

  /* they never fire, and the loop sleeps */
  count_polls (fixture);
  call_later (fixture, 0.05, finish_cb, fixture);
  drive (fixture);
  assert_log (fixture, "0a");
  g_assert_cmpuint (n_polls (fixture), <=, 10);
}

/* Rules: C-5, C-14 */
static void
case_when (Fixture *fixture)
{
  double now = evp_event_loop_time (fixture->loop);
  g_autoptr (EvpTimerHandle) at = NULL;
  g_autoptr (EvpTimerHandle) delayed = NULL;

  at = evp_timer_handle_ref (evp_event_loop_call_at (fixture->loop, now + 1000.25, note_cb, note (fixture, "never"), g_free, NULL));
  g_assert_cmpfloat_with_epsilon (evp_timer_handle_when (at), now + 1000.25, 1e-6);
  delayed = evp_timer_handle_ref (later (fixture, 10, "never"));
  g_assert_cmpfloat (evp_timer_handle_when (delayed), >=, now + 10 - 1e-6);
  g_assert_cmpfloat (evp_timer_handle_when (delayed), <=, evp_event_loop_time (fixture->loop) + 10 + 1e-6);

  evp_timer_handle_cancel (at);
  g_assert_true (evp_timer_handle_cancelled (at));
  g_assert_cmpfloat_with_epsilon (evp_timer_handle_when (at), now + 1000.25, 1e-6);
}

/* Rules: C-11, C-17, C-19, I-4 */
static void
case_cancel_timer (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpTimerHandle) timer = NULL;
  double now = evp_event_loop_time (fixture->loop);
  Note *canceller = note (fixture, "a");

  timer = evp_timer_handle_ref (evp_event_loop_call_later (fixture->loop, 0.001, note_cb, note (fixture, "never"), note_free, &error));
  evp_timer_handle_cancel (timer);
  assert_log (fixture, "~");
  evp_timer_handle_cancel (timer);
  assert_log (fixture, "~");

  /* it does not wake the loop */
  count_polls (fixture);
  call_later (fixture, 0.03, finish_cb, fixture);
  drive (fixture);
  assert_log (fixture, "~");
  g_assert_cmpuint (n_polls (fixture), <=, 6);

  /* two that are due together: the first cancels the second */
  clear_log (fixture);
  evp_event_loop_call_at (fixture->loop, now - 2, note_cb, canceller, g_free, &error);
  canceller->timer = evp_event_loop_call_at (fixture->loop, now - 1, note_cb, note (fixture, "never"), note_free, &error);
  soon (fixture, "0");
  turn (fixture);
  assert_log (fixture, "0a~");
}

/* Rules: C-11, C-17, C-18 */
static void
case_cancel_many (Fixture *fixture)
{
  enum { N = 10000 };
  EvpTimerHandle *timers[N];
  g_autoptr (GRand) random = g_rand_new_with_seed (7);
  guint n_left = 0;
  double last = 0, now = evp_event_loop_time (fixture->loop);
  Due *dues = g_new0 (Due, N);

  for (guint i = 0; i < N; i++)
    {
      dues[i] = (Due) { fixture, now + g_rand_double_range (random, -0.01, 0.03), NULL, &n_left, &last };
      timers[i] = evp_timer_handle_ref (evp_event_loop_call_at (fixture->loop, dues[i].when, due_cb, &dues[i], NULL, NULL));
    }
  for (guint i = 0; i < N; i++)
    {
      if (i % 4 != 0)
        evp_timer_handle_cancel (timers[i]);
      else
        n_left++;
      evp_timer_handle_unref (timers[i]);
    }
  drive (fixture);
  g_assert_cmpuint (n_left, ==, 0);
  g_free (dues);
}

static void
rearm_cb (gpointer user_data)
{
  Fixture *fixture = user_data;

  g_string_append_c (fixture->log, '.');
  if (fixture->log->len < 1000)
    call_later (fixture, 0, rearm_cb, fixture);
  else
    finish (fixture);
}

/* Rules: C-8, I-3 */
static void
case_timer_chain (Fixture *fixture)
{
  call_later (fixture, 0, rearm_cb, fixture);
  drive (fixture);
  g_assert_cmpuint (fixture->log->len, ==, 1000);
}

/* Rules: C-19, I-1, I-6 */
static void
case_idle (Fixture *fixture)
{
  /* nothing but one timer: the loop sleeps until it is due */
  call_later (fixture, 0.2, finish_cb, fixture);
  count_polls (fixture);
  drive (fixture);
  g_assert_cmpuint (n_polls (fixture), <=, 4);
}

static gpointer
quiet_thread (gpointer data)
{
  Fixture *fixture = data;

  soon (fixture, "never");
  return NULL;
}

/* Rules: D-2, C-2 */
static void
case_prepared_elsewhere (Fixture *fixture)
{
  /* while nobody runs it, any one thread may prepare a loop */
  g_thread_join (g_thread_new ("prepare", quiet_thread, fixture));
  turn (fixture);
  assert_log (fixture, "never");
}

const ContractEntry contract_loop_schedule_cases[] = {
  { "fifo", case_fifo, IN_BOTH },
  { "delay-zero-in-callback", case_delay_zero_in_callback, IN_BOTH },
  { "rescheduling-starves-no-timer", case_rescheduling_starves_no_timer, IN_BOTH },
  { "released", case_released, IN_BOTH },
  { "cancel", case_cancel, IN_BOTH },
  { "cancel-itself", case_cancel_itself, IN_BOTH },
  { "release-reenters", case_release_reenters, IN_BOTH },
  { "threadsafe-order", case_threadsafe_order, IN_BOTH },
  { "threadsafe-order-in-callback", case_threadsafe_order_in_callback, IN_BOTH },
  { "threadsafe-order-of-threads", case_threadsafe_order_of_threads, IN_BOTH },
  { "producers", case_producers, IN_BOTH },
  { "post-races-close", case_post_races_close, IN_BOTH },
  { "threadsafe-handle", case_threadsafe_handle, IN_BOTH },
  { "handle-dropped-by-thread", case_handle_dropped_by_thread, IN_BOTH },
  { "handle-outlives-loop", case_handle_outlives_loop, IN_BOTH },
  { "timer-order", case_timer_order, IN_BOTH },
  { "never-early", case_never_early, IN_BOTH },
  { "short-sleeps", case_short_sleeps, IN_BOTH },
  { "no-delay", case_no_delay, IN_BOTH },
  { "odd-times", case_odd_times, IN_BOTH },
  { "when", case_when, IN_BOTH },
  { "cancel-timer", case_cancel_timer, IN_BOTH },
  { "cancel-many", case_cancel_many, IN_BOTH },
  { "timer-chain", case_timer_chain, IN_BOTH },
  { "idle", case_idle, IN_BOTH },
  { "prepared-elsewhere", case_prepared_elsewhere, IN_BOTH },
  { NULL },
};
