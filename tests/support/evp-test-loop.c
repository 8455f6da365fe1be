/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "support/evp-test-loop.h"

#include "evp/loop/evp-proactor-event-loop.h"
#include "evp/loop/evp-selector-event-loop.h"
#include "evp/os/evp-capabilities.h"
#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-uring-proactor.h"
#include "support/evp-test-support.h"

EvpAbstractEventLoop *
evp_test_make_selector_loop (GError **error)
{
  return evp_selector_event_loop_new (NULL, NULL, error);
}

EvpAbstractEventLoop *
evp_test_make_gio_loop (GError **error)
{
  g_autoptr (EvpProactor) proactor = evp_gio_proactor_new ();

  return g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
}

EvpAbstractEventLoop *
evp_test_make_uring_loop (GError **error)
{
  g_autoptr (EvpProactor) proactor = evp_uring_proactor_new (error);

  if (proactor == NULL)
    return NULL;
  return g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "proactor", proactor, NULL);
}

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpCallback body;
  gpointer user_data;
} Body;

static void
body_cb (gpointer user_data)
{
  Body *body = user_data;

  body->body (body->user_data);
  evp_event_loop_stop (body->loop);
}

void
evp_test_run_in_loop (EvpAbstractEventLoop *loop,
                      EvpCallback           callback,
                      gpointer              user_data)
{
  g_autoptr (GError) error = NULL;
  Body body = { loop, callback, user_data };

  evp_event_loop_call_soon (loop, body_cb, &body, NULL, &error);
  g_assert_no_error (error);
  evp_event_loop_run_forever (loop, &error);
  g_assert_no_error (error);
}

typedef struct
{
  GTestFixtureFunc test;
  gpointer fixture;
} Case;

static void
case_cb (gpointer user_data)
{
  Case *what = user_data;

  what->test (what->fixture, NULL);
}

void
evp_test_run_case_in_loop (EvpAbstractEventLoop *loop,
                           GTestFixtureFunc      test,
                           gpointer              fixture)
{
  Case what = { test, fixture };

  evp_test_run_in_loop (loop, case_cb, &what);
}

void
evp_test_case_in_loop (gpointer      fixture,
                       gconstpointer test)
{
  EvpAbstractEventLoop **loop = fixture;

  evp_test_run_case_in_loop (*loop, (GTestFixtureFunc) test, fixture);
}

void
evp_test_ready_cb (GObject      *source,
                   GAsyncResult *result,
                   gpointer      user_data)
{
  EvpTestAwait *await = user_data;

  g_assert_null (await->result);
  await->result = g_object_ref (result);
}

GAsyncResult *
evp_test_await (EvpTestAwait *await)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (await->loop);

  /* an _async() function never calls back before it has returned */
  g_assert_null (await->result);
  while (await->result == NULL)
    g_main_context_iteration (context, TRUE);
  return await->result;
}

void
evp_test_await_clear (EvpTestAwait *await)
{
  g_clear_object (&await->result);
}

void
evp_test_run_until (EvpAbstractEventLoop *loop,
                    gboolean             *flag)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (loop);

  while (!*flag)
    g_main_context_iteration (context, TRUE);
}

static void
mark_cb (gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
}

void
evp_test_run_ready (EvpAbstractEventLoop *loop)
{
  for (int i = 0; i < 3; i++)
    {
      gboolean seen = FALSE;

      evp_event_loop_call_soon (loop, mark_cb, &seen, NULL, NULL);
      evp_test_run_until (loop, &seen);
    }
}

struct _EvpTestOccupation
{
  GMainContext *context;
  GThread *thread;
  GMutex mutex;
  GCond changed;
  gboolean begun;
  gboolean ended;
};

static gpointer
occupy_thread (gpointer data)
{
  EvpTestOccupation *self = data;

  g_assert_true (g_main_context_acquire (self->context));
  g_mutex_lock (&self->mutex);
  self->begun = TRUE;
  g_cond_signal (&self->changed);
  while (!self->ended)
    g_cond_wait (&self->changed, &self->mutex);
  g_mutex_unlock (&self->mutex);
  g_main_context_release (self->context);
  return NULL;
}

EvpTestOccupation *
evp_test_occupy (EvpAbstractEventLoop *loop)
{
  EvpTestOccupation *self = g_new0 (EvpTestOccupation, 1);

  self->context = evp_event_loop_dup_main_context (loop);
  g_mutex_init (&self->mutex);
  g_cond_init (&self->changed);
  self->thread = g_thread_new ("occupier", occupy_thread, self);
  g_mutex_lock (&self->mutex);
  while (!self->begun)
    g_cond_wait (&self->changed, &self->mutex);
  g_mutex_unlock (&self->mutex);
  return self;
}

void
evp_test_occupation_end (EvpTestOccupation *self)
{
  g_mutex_lock (&self->mutex);
  self->ended = TRUE;
  g_cond_signal (&self->changed);
  g_mutex_unlock (&self->mutex);
  g_thread_join (self->thread);
  g_mutex_clear (&self->mutex);
  g_cond_clear (&self->changed);
  g_main_context_unref (self->context);
  g_free (self);
}

guint
evp_test_count_timers (EvpAbstractEventLoop *loop)
{
  g_autoptr (EvpLoopStatistics) statistics = evp_base_event_loop_get_statistics (EVP_BASE_EVENT_LOOP (loop));

  return evp_loop_statistics_get_timers (statistics);
}

gboolean
evp_test_sleeps (EvpAbstractEventLoop *loop)
{
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (loop);
  GPollFD fds[16];
  gboolean ready;
  int priority, timeout, n;

  g_assert_true (g_main_context_acquire (context));
  ready = g_main_context_prepare (context, &priority);
  n = g_main_context_query (context, priority, &timeout, fds, (int) G_N_ELEMENTS (fds));
  g_assert_cmpint (n, <=, (int) G_N_ELEMENTS (fds));
  g_main_context_check (context, priority, fds, 0);
  g_main_context_release (context);
  return !ready && timeout < 0;
}

static void
skip_uring (void)
{
  g_test_skip (evp_test_has_valgrind () ? "valgrind does not see what the kernel writes into memory behind its back"
                                        : evp_capabilities_explain ("io-uring"));
}

gboolean
evp_test_has_uring (void)
{
  static gboolean told = FALSE;

  if (evp_capabilities_get ("io-uring") && !evp_test_has_valgrind ())
    return TRUE;
  if (!told)
    g_test_add_func ("/evp/io-uring", skip_uring);
  told = TRUE;
  return FALSE;
}
