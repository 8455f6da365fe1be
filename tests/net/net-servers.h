/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/evp.h"
#include "net/net-sockets.h"
#include "support/evp-test-loop.h"

G_BEGIN_DECLS

/* Straight-line servers and connections: each of these runs the loop until it has an answer. */

/* What a request made earlier has come to; it may have while something else was waited for. */
static inline GAsyncResult *
net_result (EvpTestAwait *await)
{
  return await->result != NULL ? await->result : evp_test_await (await);
}

static inline EvpServer *
net_serve_full (EvpAbstractEventLoop *loop,
                const char           *host,
                guint16               port,
                int                   backlog,
                EvpServerOptions     *options,
                GError              **error)
{
  g_auto (EvpTestAwait) await = { loop, NULL };

  evp_event_loop_create_server_async (loop, host, port, backlog, options, NULL, evp_test_ready_cb, &await);
  return evp_event_loop_create_server_finish (loop, evp_test_await (&await), error);
}

static inline EvpServer *
net_serve (EvpAbstractEventLoop *loop,
           const char           *host)
{
  g_autoptr (GError) error = NULL;
  EvpServer *server = net_serve_full (loop, host, 0, 0, NULL, &error);

  g_assert_no_error (error);
  return server;
}

static inline EvpServer *
net_serve_unix (EvpAbstractEventLoop *loop,
                const char           *path,
                EvpServerOptions     *options,
                GError              **error)
{
  g_auto (EvpTestAwait) await = { loop, NULL };

  evp_event_loop_create_unix_server_async (loop, path, 0, options, NULL, evp_test_ready_cb, &await);
  return evp_event_loop_create_unix_server_finish (loop, evp_test_await (&await), error);
}

static inline GIOStream *
net_connect_full (EvpAbstractEventLoop *loop,
                  const char           *host,
                  guint16               port,
                  EvpConnectionOptions *options,
                  GCancellable         *cancellable,
                  GError              **error)
{
  g_auto (EvpTestAwait) await = { loop, NULL };

  evp_event_loop_create_connection_async (loop, host, port, options, cancellable, evp_test_ready_cb, &await);
  return evp_event_loop_create_connection_finish (loop, evp_test_await (&await), error);
}

static inline GIOStream *
net_connect_unix (EvpAbstractEventLoop *loop,
                  const char           *path,
                  EvpConnectionOptions *options,
                  GError              **error)
{
  g_auto (EvpTestAwait) await = { loop, NULL };

  evp_event_loop_create_unix_connection_async (loop, path, options, NULL, evp_test_ready_cb, &await);
  return evp_event_loop_create_unix_connection_finish (loop, evp_test_await (&await), error);
}

/* The port of the server's first socket. */
static inline guint16
net_server_port (EvpServer *server)
{
  g_autoptr (GPtrArray) sockets = evp_server_get_sockets (server);

  g_assert_cmpuint (sockets->len, >, 0);
  return net_local_port (g_ptr_array_index (sockets, 0));
}

static inline GIOStream *
net_connect (EvpAbstractEventLoop *loop,
             EvpServer            *server)
{
  g_autoptr (GError) error = NULL;
  GIOStream *stream = net_connect_full (loop, "127.0.0.1", net_server_port (server), NULL, NULL, &error);

  g_assert_no_error (error);
  return stream;
}

static inline GIOStream *
net_server_accept (EvpAbstractEventLoop *loop,
                   EvpServer            *server,
                   GCancellable         *cancellable,
                   GError              **error)
{
  g_auto (EvpTestAwait) await = { loop, NULL };

  evp_server_accept_async (server, cancellable, evp_test_ready_cb, &await);
  return evp_server_accept_finish (server, evp_test_await (&await), error);
}

static inline void
net_wait_closed (EvpAbstractEventLoop *loop,
                 EvpServer            *server)
{
  g_auto (EvpTestAwait) await = { loop, NULL };
  g_autoptr (GError) error = NULL;

  evp_server_wait_closed_async (server, NULL, evp_test_ready_cb, &await);
  evp_server_wait_closed_finish (server, evp_test_await (&await), &error);
  g_assert_no_error (error);
}

/* Sends a word through @from, and sees it come out of @to. */
static inline void
net_assert_connected (EvpAbstractEventLoop *loop,
                      GIOStream            *from,
                      GIOStream            *to)
{
  g_auto (EvpTestAwait) sent = { loop, NULL };
  g_auto (EvpTestAwait) received = { loop, NULL };
  g_autoptr (GError) error = NULL;
  char buffer[5] = "";
  gsize n;

  g_output_stream_write_all_async (g_io_stream_get_output_stream (from), "word", 4, G_PRIORITY_DEFAULT, NULL,
                                   evp_test_ready_cb, &sent);
  g_output_stream_write_all_finish (g_io_stream_get_output_stream (from), net_result (&sent), NULL, &error);
  g_assert_no_error (error);
  g_input_stream_read_all_async (g_io_stream_get_input_stream (to), buffer, 4, G_PRIORITY_DEFAULT, NULL,
                                 evp_test_ready_cb, &received);
  g_input_stream_read_all_finish (g_io_stream_get_input_stream (to), net_result (&received), &n, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (buffer, ==, "word");
}

G_END_DECLS
