/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/evp.h"

#include "support/evp-test-loop.h"
#include "support/evp-test-support.h"

G_BEGIN_DECLS

/* The kinds of loop that everything on the net floor must work on. */

/* A loop as somebody else would write it: with slots of its own, so that nothing goes past them. */
typedef struct
{
  EvpSelectorEventLoop parent_instance;
} NetForeignLoop;

typedef EvpSelectorEventLoopClass NetForeignLoopClass;

GType net_foreign_loop_get_type (void);

static gboolean
net_foreign_loop_schedule (EvpAbstractEventLoop *loop,
                           EvpHandle            *handle,
                           GError              **error)
{
  EvpAbstractEventLoopInterface *parent =
    g_type_interface_peek_parent (EVP_EVENT_LOOP_GET_IFACE (loop));

  return parent->schedule (loop, handle, error);
}

static void
net_foreign_loop_iface_init (gpointer iface,
                             gpointer data)
{
  ((EvpAbstractEventLoopInterface *) iface)->schedule = net_foreign_loop_schedule;
}

G_DEFINE_TYPE_WITH_CODE (NetForeignLoop, net_foreign_loop, EVP_TYPE_SELECTOR_EVENT_LOOP,
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, net_foreign_loop_iface_init))

static void
net_foreign_loop_class_init (NetForeignLoopClass *klass)
{
}

static void
net_foreign_loop_init (NetForeignLoop *self)
{
}

typedef struct
{
  const char *name;
  EvpTestMakeLoop make;
  gboolean adopted; /* the context is run by the test, not by the loop */
} NetLoop;

/* As GTK does: the default context, which somebody else iterates. */
static EvpAbstractEventLoop *
net_make_adopted (GError **error)
{
  return evp_selector_event_loop_new (NULL, g_main_context_default (), error);
}

static EvpAbstractEventLoop *
net_make_foreign (GError **error)
{
  return g_object_new (net_foreign_loop_get_type (), NULL);
}

static const NetLoop net_loops[] = {
  { "selector", evp_test_make_selector_loop, FALSE },
  { "adopted", net_make_adopted, TRUE },
  { "foreign", net_make_foreign, FALSE },
  { "proactor-gio", evp_test_make_gio_loop, FALSE },
  { "proactor-uring", evp_test_make_uring_loop, FALSE }, /* last: not everywhere */
};

/* Where every test begins and ends: a loop, a deadline, and nothing left open. */
typedef struct
{
  const NetLoop *kind;
  EvpAbstractEventLoop *loop;
  EvpTestDeadline *deadline;
  EvpTestLeaks leaks;
} NetFixture;

typedef void (*NetCase) (NetFixture *fixture);

typedef struct
{
  const NetLoop *kind;
  NetCase body;
} NetTest;

typedef struct
{
  NetFixture *fixture;
  const NetTest *test;
} NetRun;

/* Waits for the workers. */
static void
net_shut_down_executor (NetFixture *fixture)
{
  g_auto (EvpTestAwait) await = { fixture->loop, NULL };

  evp_event_loop_shutdown_default_executor_async (fixture->loop, -1, NULL, evp_test_ready_cb, &await);
  g_assert_true (evp_event_loop_shutdown_default_executor_finish (fixture->loop, evp_test_await (&await), NULL));
}

static void
net_run_cb (gpointer user_data)
{
  NetRun *run = user_data;

  run->test->body (run->fixture);
  net_shut_down_executor (run->fixture);
}

static void
net_test_run (gconstpointer data)
{
  const NetTest *test = data;
  NetFixture fixture = { .kind = test->kind };
  NetRun run = { &fixture, test };
  g_autoptr (GError) error = NULL;

  fixture.deadline = evp_test_deadline_start (60, test->kind->name);
  fixture.leaks = evp_test_leaks_begin ();
  fixture.loop = test->kind->make (NULL);
  if (test->kind->adopted)
    {
      g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (fixture.loop);

      g_main_context_push_thread_default (context);
      net_run_cb (&run);
      g_main_context_pop_thread_default (context);
    }
  else
    {
      evp_test_run_in_loop (fixture.loop, net_run_cb, &run);
    }
  evp_event_loop_close (fixture.loop, &error);
  g_assert_no_error (error);
  /* what workers had still to give back when the loop was closed is released in the default context, if that was its */
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_assert_finalize_object (fixture.loop);
  evp_test_leaks_check (&fixture.leaks);
  evp_test_deadline_stop (fixture.deadline);
}

/* Adds a case, /evp/net/<what>/<name>/<loop>, for each kind of loop. */
static inline void
net_test_add (const char *what,
              const char *name,
              NetCase     body)
{
  guint n = G_N_ELEMENTS (net_loops) - !evp_test_has_uring ();

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *path = g_strdup_printf ("/evp/net/%s/%s/%s", what, name, net_loops[i].name);
      NetTest *test = g_new (NetTest, 1);

      *test = (NetTest) { &net_loops[i], body };
      g_test_add_data_func_full (path, test, net_test_run, g_free);
    }
}

G_END_DECLS
