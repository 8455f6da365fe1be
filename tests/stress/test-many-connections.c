/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "net/net-loops.h"
#include "net/net-servers.h"

/* Connections that come and go through a server, in all states; fewer where everything is slow. */
#define N_CONNECTIONS (g_getenv ("EVP_TEST_SLOW") != NULL ? 2000u : 20000u)
#define AT_ONCE 64u

typedef struct
{
  NetFixture *fixture;
  EvpServer *server;
  guint16 port;
  guint n_started;
  guint n_ended;
  guint n_incoming;
  guint n_cancelled;
  guint n_total;
  gboolean done;
} Crowd;

typedef struct
{
  Crowd *crowd;
  guint number;
  GCancellable *cancellable;
} Member;

static void crowd_start_one (Crowd *crowd);

static void
member_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  Member *member = user_data;
  Crowd *crowd = member->crowd;
  g_autoptr (GError) error = NULL;
  g_autoptr (GIOStream) stream = evp_event_loop_create_connection_finish (EVP_EVENT_LOOP (source), result, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    crowd->n_cancelled++;
  else
    g_assert_no_error (error);
  if (stream != NULL && member->number % 3 == 0)
    g_io_stream_close (stream, NULL, NULL); /* else with its last reference */
  g_object_unref (member->cancellable);
  g_free (member);
  if (++crowd->n_ended == crowd->n_total)
    crowd->done = TRUE;
  else if (crowd->n_started < crowd->n_total)
    crowd_start_one (crowd);
}

static void
crowd_start_one (Crowd *crowd)
{
  Member *member = g_new (Member, 1);

  *member = (Member) { crowd, crowd->n_started++, g_cancellable_new () };
  evp_event_loop_create_connection_async (crowd->fixture->loop, "127.0.0.1", crowd->port, NULL, member->cancellable,
                                          member_cb, member);
  if (member->number % 10 == 0)
    g_cancellable_cancel (member->cancellable);
}

static void
incoming_cb (EvpServer *server,
             GIOStream *connection,
             gpointer   user_data)
{
  Crowd *crowd = user_data;

  crowd->n_incoming++;
}

/* Rules: N-8, N-15, N-18 */
static void
test_many (NetFixture *fixture)
{
  Crowd crowd = { .fixture = fixture, .server = net_serve (fixture->loop, "127.0.0.1"), .n_total = N_CONNECTIONS };
  guint fds;

  crowd.port = net_server_port (crowd.server);
  g_signal_connect (crowd.server, "incoming", G_CALLBACK (incoming_cb), &crowd);
  g_object_unref (net_connect (fixture->loop, crowd.server)); /* the loop has what it needs now */
  evp_test_run_ready (fixture->loop);
  fds = evp_test_count_fds ();
  for (guint i = 0; i < AT_ONCE; i++)
    crowd_start_one (&crowd);
  evp_test_run_until (fixture->loop, &crowd.done);
  /* who connects may know of it before the kernel has told the server */
  while (crowd.n_incoming < crowd.n_total - crowd.n_cancelled || evp_test_count_fds () > fds)
    evp_test_run_ready (fixture->loop);
  evp_server_close (crowd.server);
  net_wait_closed (fixture->loop, crowd.server);
  g_object_unref (crowd.server);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  net_test_add ("stress", "many-connections", test_many);
  return g_test_run ();
}
