/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

G_BEGIN_DECLS

/* A loop of each kind, with what is the best of it here. */
typedef EvpAbstractEventLoop *(*EvpTestMakeLoop) (GError **error);

EvpAbstractEventLoop *evp_test_make_selector_loop (GError **error);
EvpAbstractEventLoop *evp_test_make_gio_loop      (GError **error); /* a proactor loop, like the next */
EvpAbstractEventLoop *evp_test_make_uring_loop    (GError **error);

/*
 * Straight-line tests of asynchronous functions: the body of a test runs in a callback of a running
 * loop, and waits there by running the loop's context further.
 */

/* Calls @body from run_forever() of @loop, and returns when it has returned. */
void          evp_test_run_in_loop (EvpAbstractEventLoop *loop,
                                    EvpCallback           body,
                                    gpointer              user_data);
/* The same for a body that is written as a case of g_test_add(); it gets no data. */
void          evp_test_run_case_in_loop
                                   (EvpAbstractEventLoop *loop,
                                    GTestFixtureFunc      test,
                                    gpointer              fixture);
/* The same as a case of g_test_add() itself: its data is the body, and the loop the fixture's first member. */
void          evp_test_case_in_loop
                                   (gpointer              fixture,
                                    gconstpointer         test);

/* A GAsyncResult to come. Its address is the user_data of evp_test_ready_cb(). */
typedef struct
{
  EvpAbstractEventLoop *loop;
  GAsyncResult *result;
} EvpTestAwait;

void          evp_test_ready_cb    (GObject              *source,
                                    GAsyncResult         *result,
                                    gpointer              await);
/* Runs the loop until there is a result. It stays the EvpTestAwait's until evp_test_await_clear(). */
GAsyncResult *evp_test_await       (EvpTestAwait         *await);
void          evp_test_await_clear (EvpTestAwait         *await);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (EvpTestAwait, evp_test_await_clear)

/* Runs the loop until *@flag is TRUE. */
void          evp_test_run_until   (EvpAbstractEventLoop *loop,
                                    gboolean             *flag);
/* Runs what is ready now, without waiting: a few turns of the loop. */
void          evp_test_run_ready   (EvpAbstractEventLoop *loop);

/*
 * Another thread has the main context of the loop, which does not run, until evp_test_occupation_end(): as in
 * g_main_context_invoke(), which any thread may call on the default context.
 */
typedef struct _EvpTestOccupation EvpTestOccupation;

EvpTestOccupation *evp_test_occupy (EvpAbstractEventLoop *loop);
void          evp_test_occupation_end
                                   (EvpTestOccupation    *self);

/* How many timers a loop of the library's has. */
guint         evp_test_count_timers (EvpAbstractEventLoop *loop);
/* Whether the loop, if nothing happens, would sleep for ever. */
gboolean      evp_test_sleeps      (EvpAbstractEventLoop *loop);

/* Whether cases can be added for io_uring; if not, one case says aloud why they are missing. */
gboolean      evp_test_has_uring   (void);

G_END_DECLS
