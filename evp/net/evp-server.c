/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-server-private.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-post-private.h"
#include "evp/loop/evp-loop-task-private.h"
#include "evp/net/evp-demand-private.h"
#include "evp/net/evp-loop-tls.h"
#include "evp/net/evp-server-options-private.h"
#include "evp/net/evp-socket-stream-private.h"

#include <math.h>

/**
 * EvpServer:
 *
 * Listening sockets of a loop, and the connections that come in through them.
 *
 * It comes from [method@Evp.AbstractEventLoop.create_server_finish] or
 * [method@Evp.AbstractEventLoop.create_unix_server_finish]. Connections are handed over in one of two ways:
 *
 * - the signal [signal@Evp.Server::incoming] is emitted for each as it comes;
 * - [method@Evp.Server.accept_async] asks for one at a time, and goes first.
 *
 * While nobody does either, connections wait in the kernel, as many as the backlog says, and come as soon as
 * somebody does.
 *
 * ```c
 * static void
 * incoming_cb (EvpServer *server, GIOStream *connection, gpointer user_data)
 * {
 *   // keep a reference to the connection for as long as it is to last
 * }
 *
 * static void
 * created_cb (GObject *source, GAsyncResult *result, gpointer user_data)
 * {
 *   g_autoptr (GError) error = NULL;
 *   g_autoptr (EvpServer) server = evp_event_loop_create_server_finish (EVP_EVENT_LOOP (source), result, &error);
 *
 *   if (server != NULL)
 *     g_signal_connect (server, "incoming", G_CALLBACK (incoming_cb), NULL);
 * }
 * ```
 *
 * A server that listens keeps itself alive, as a [class@Gio.SocketService] does: dropping the last reference
 * does not end it, [method@Evp.Server.close] does, or closing the loop. One that does not listen yet closes its
 * sockets when the last reference goes.
 *
 * When the system has no descriptors or memory left for another connection, the exception handler of the
 * loop is told, and accepting rests for a second.
 *
 * Corresponds to asyncio's `Server`.
 *
 * Use it from the thread of the loop. A server costs no GSource and nothing per turn, unless a connection waits
 * that nobody wants.
 *
 * Since: 1.0
 */

struct _EvpServer
{
  GObject parent_instance;

  /* set once */
  EvpAbstractEventLoop *loop;
  GThread *thread;
  int backlog;
  EvpTlsOptions *tls_options; /* NULL: no TLS */

  /* the loop's thread only */
  GPtrArray *listeners;    /* of EvpListener; empty once closed */
  gboolean serving;
  gboolean closed;
  guint n_connections;     /* that are open */
  guint n_handshakes;      /* connections that have not been handed over */
  GQueue accepts;          /* of EvpLoopTask, owned */
  GQueue unwanted;         /* of GIOStream, owned: more than were asked for when their handshakes ended */
  EvpDemand *demand;       /* while there are such; holds a reference to this */
  GQueue closed_waiters;   /* of EvpLoopTask, owned */
  EvpLoopTask *forever;    /* of serve_forever(); NULL: nobody waits */
  /*
   * A timer that never fires, while the server listens or somebody waits: it keeps the server alive, and
   * the loop drops it when it closes.
   */
  EvpTimerHandle *guard;
};

G_DEFINE_FINAL_TYPE (EvpServer, evp_server, G_TYPE_OBJECT)

enum
{
  SIGNAL_INCOMING,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

static GError *
evp_server_new_loop_closed_error (void)
{
  return g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED, _("The event loop is closed; make a new one"));
}

/* Takes a task out of a queue for its cancel function; FALSE if it is not there. */
static gboolean
evp_server_take_task (GQueue      *queue,
                      EvpLoopTask *task)
{
  if (!g_queue_remove (queue, task))
    return FALSE;
  evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s", _("Operation was cancelled"));
  g_object_unref (task);
  return TRUE;
}

/* Fails every task of a queue, at once if the loop is closing. */
static void
evp_server_fail_tasks (EvpServer *self,
                       GQueue    *queue)
{
  EvpLoopTask *task;

  while ((task = g_queue_pop_head (queue)) != NULL)
    {
      if (evp_event_loop_is_closed (self->loop))
        evp_loop_task_return_error_now (task, evp_server_new_loop_closed_error ());
      else
        evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CLOSED, "%s", _("The server is closed"));
      g_object_unref (task);
    }
}

static void
evp_server_guard_cb (gpointer user_data)
{
}

/* The guard was not needed any more, or the loop has closed. */
static void
evp_server_guard_gone_cb (gpointer user_data)
{
  g_autoptr (EvpServer) self = user_data;

  if (self->guard == NULL)
    return;
  g_clear_pointer (&self->guard, evp_timer_handle_unref);
  evp_server_close (self);
  evp_server_fail_tasks (self, &self->closed_waiters);
}

static gboolean
evp_server_needs_guard (EvpServer *self)
{
  return (self->serving && !self->closed) || self->forever != NULL
         || !g_queue_is_empty (&self->accepts) || !g_queue_is_empty (&self->closed_waiters);
}

static void
evp_server_update_guard (EvpServer *self)
{
  if (evp_server_needs_guard (self) == (self->guard != NULL))
    return;
  if (self->guard == NULL)
    {
      EvpTimerHandle *guard = evp_event_loop_call_later (self->loop, INFINITY, evp_server_guard_cb,
                                                         g_object_ref (self), evp_server_guard_gone_cb, NULL);

      if (guard != NULL)
        self->guard = evp_timer_handle_ref (guard);
    }
  else
    {
      EvpTimerHandle *guard = g_steal_pointer (&self->guard);

      evp_timer_handle_cancel (guard);
      evp_timer_handle_unref (guard);
    }
}

static void
evp_server_check_closed (EvpServer *self)
{
  EvpLoopTask *task;

  if (!self->closed || self->n_connections > 0 || self->n_handshakes > 0)
    return;
  while ((task = g_queue_pop_head (&self->closed_waiters)) != NULL)
    {
      evp_loop_task_return_int (task, TRUE);
      g_object_unref (task);
    }
  evp_server_update_guard (self);
}

static void
evp_server_connection_gone (EvpServer *self)
{
  self->n_connections--;
  evp_server_check_closed (self);
}

static void
evp_server_connection_gone_cb (gpointer user_data)
{
  evp_server_connection_gone (user_data);
}

/* Any thread: a connection closes. */
static void
evp_server_connection_closed_cb (gpointer data)
{
  g_autoptr (EvpServer) self = data;

  if (evp_loop_is_local_thread (self->loop, self->thread))
    evp_server_connection_gone (self);
  else
    evp_event_loop_call_soon_threadsafe (self->loop, evp_server_connection_gone_cb,
                                         g_object_ref (self), g_object_unref, NULL);
}

static gboolean
evp_server_has_handler (EvpServer *self)
{
  return g_signal_has_handler_pending (self, signals[SIGNAL_INCOMING], 0, FALSE);
}

static void evp_server_mind_unwanted (EvpServer *self);

/* A handler has come, most probably. */
static void
evp_server_hand_over_cb (gpointer user_data)
{
  EvpServer *self = user_data;

  while (!g_queue_is_empty (&self->unwanted) && evp_server_has_handler (self))
    {
      g_autoptr (GIOStream) connection = g_queue_pop_head (&self->unwanted);

      g_signal_emit (self, signals[SIGNAL_INCOMING], 0, connection);
    }
  evp_server_mind_unwanted (self);
}

static gboolean
evp_server_wanted_cb (gpointer data)
{
  return evp_server_has_handler (data);
}

static void
evp_server_wanted_now_cb (gpointer data)
{
  EvpServer *self = data;

  evp_event_loop_call_soon (self->loop, evp_server_hand_over_cb, g_object_ref (self), g_object_unref, NULL);
  evp_demand_stop (&self->demand);
}

static const EvpDemandFuncs evp_server_demand_funcs = {
  evp_server_wanted_cb,
  evp_server_wanted_now_cb,
};

/* Nobody tells that a handler was connected. */
static void
evp_server_mind_unwanted (EvpServer *self)
{
  if (g_queue_is_empty (&self->unwanted))
    evp_demand_stop (&self->demand);
  else if (self->demand == NULL)
    self->demand = evp_demand_start (self->loop, &evp_server_demand_funcs, g_object_ref (self), g_object_unref);
}

static void
evp_server_deliver (EvpServer *self,
                    GIOStream *connection)
{
  g_autoptr (EvpLoopTask) task = g_queue_pop_head (&self->accepts);

  if (task != NULL)
    {
      evp_loop_task_return_pointer (task, g_object_ref (connection), g_object_unref);
      evp_server_update_guard (self);
    }
  else if (g_queue_is_empty (&self->unwanted) && evp_server_has_handler (self))
    g_signal_emit (self, signals[SIGNAL_INCOMING], 0, connection);
  else
    {
      /* or others were there before it, whose turn is soon */
      g_queue_push_tail (&self->unwanted, g_object_ref (connection));
      evp_server_mind_unwanted (self);
    }
}

/* A connection that failed is nobody's business but that of whoever looks for it. */
static void
evp_server_report_handshake (EvpServer *self,
                             GError    *error)
{
  g_autoptr (EvpExceptionContext) context = NULL;

  if (evp_event_loop_is_closed (self->loop) || !evp_event_loop_get_debug (self->loop))
    return;
  context = evp_exception_context_new (_("A connection to a server was dropped: its TLS handshake failed"));
  evp_exception_context_set_error (context, error);
  evp_event_loop_call_exception_handler (self->loop, context);
}

static void
evp_server_resume (EvpServer *self)
{
  for (guint i = 0; i < self->listeners->len; i++)
    evp_listener_resume (g_ptr_array_index (self->listeners, i));
}

static void
evp_server_encrypted_cb (GObject      *source,
                         GAsyncResult *result,
                         gpointer      user_data)
{
  g_autoptr (EvpServer) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GIOStream) connection = evp_event_loop_start_tls_with_options_finish (self->loop, result, &error);

  self->n_handshakes--;
  if (error != NULL)
    evp_server_report_handshake (self, error);
  else if (!self->closed)
    evp_server_deliver (self, connection);
  evp_server_resume (self);
  evp_server_check_closed (self);
}

static gboolean
evp_server_wants_cb (gpointer data)
{
  EvpServer *self = data;

  /* clients that do not shake hands must not keep the others out, so there may be more than are asked for */
  if (!g_queue_is_empty (&self->accepts))
    return self->tls_options == NULL || self->n_handshakes < (guint) self->backlog;
  return evp_server_has_handler (self);
}

static void
evp_server_accepted_cb (GSocket *accepted,
                        gpointer data)
{
  g_autoptr (EvpServer) self = g_object_ref (data);
  g_autoptr (GSocket) socket = accepted;
  g_autoptr (GIOStream) connection = evp_socket_stream_new (self->loop, socket);

  self->n_connections++;
  evp_socket_stream_set_closed_func (connection, evp_server_connection_closed_cb, g_object_ref (self));
  if (self->tls_options == NULL)
    {
      evp_server_deliver (self, connection);
      return;
    }
  self->n_handshakes++;
  evp_event_loop_start_tls_with_options_async (self->loop, connection, TRUE, self->tls_options, NULL, NULL,
                                               evp_server_encrypted_cb, g_object_ref (self));
}

static const EvpListenerFuncs evp_server_listener_funcs = {
  evp_server_wants_cb,
  evp_server_accepted_cb,
};

static void
evp_server_cancel_accept_cb (EvpLoopTask *task,
                             gpointer     data)
{
  EvpServer *self = data;

  if (evp_server_take_task (&self->accepts, task))
    evp_server_update_guard (self);
}

static void
evp_server_cancel_wait_closed_cb (EvpLoopTask *task,
                                  gpointer     data)
{
  EvpServer *self = data;

  if (evp_server_take_task (&self->closed_waiters, task))
    evp_server_update_guard (self);
}

static void
evp_server_cancel_forever_cb (EvpLoopTask *task,
                              gpointer     data)
{
  EvpServer *self = data;

  g_clear_object (&self->forever);
  evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "%s", _("Operation was cancelled"));
  evp_server_close (self);
}

static void
evp_server_finalize (GObject *object)
{
  EvpServer *self = EVP_SERVER (object);

  g_ptr_array_unref (self->listeners);
  g_queue_clear_full (&self->unwanted, g_object_unref);
  g_clear_object (&self->tls_options);
  g_clear_object (&self->loop);

  G_OBJECT_CLASS (evp_server_parent_class)->finalize (object);
}

static void
evp_server_class_init (EvpServerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = evp_server_finalize;

  /**
   * EvpServer::incoming:
   * @self: the server
   * @connection: the connection; it is closed with its last reference
   *
   * Emitted for each connection, on the thread of the loop, as a callback of the loop.
   *
   * It is a [class@Gio.SocketConnection], or with TLS a [class@Gio.TlsConnection] whose handshake is over.
   *
   * Since: 1.0
   */
  signals[SIGNAL_INCOMING] = g_signal_new ("incoming", EVP_TYPE_SERVER, G_SIGNAL_RUN_LAST, 0,
                                           NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_IO_STREAM);
}

static void
evp_server_init (EvpServer *self)
{
  self->listeners = g_ptr_array_new ();
}

EvpServer *
evp_server_new (EvpAbstractEventLoop *loop,
                GPtrArray            *listeners,
                int                   backlog,
                EvpServerOptions     *options)
{
  EvpServer *self = g_object_new (EVP_TYPE_SERVER, NULL);

  self->loop = g_object_ref (loop);
  self->thread = g_thread_self ();
  g_ptr_array_unref (self->listeners);
  self->listeners = listeners;
  self->backlog = backlog;
  g_set_object (&self->tls_options, options->tls_options);
  return self;
}

/**
 * evp_server_get_loop:
 * @self: a server
 *
 * Gets the loop that the server belongs to.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer none): the loop
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_server_get_loop (EvpServer *self)
{
  g_return_val_if_fail (EVP_IS_SERVER (self), NULL);

  return self->loop;
}

/**
 * evp_server_get_sockets:
 * @self: a server
 *
 * Gets the sockets that the server listens on, one for each address.
 *
 * If the server was made with port 0, their local addresses tell which ports it got. The sockets belong to the
 * server; do not accept from them, and do not close them. A closed server has none.
 *
 * Corresponds to asyncio's `Server.sockets`.
 *
 * Use it from the thread of the loop. O(n) in the number of sockets.
 *
 * Returns: (transfer container) (element-type Gio.Socket): the sockets
 *
 * Since: 1.0
 */
GPtrArray *
evp_server_get_sockets (EvpServer *self)
{
  GPtrArray *sockets;

  g_return_val_if_fail (EVP_IS_SERVER (self), NULL);

  sockets = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < self->listeners->len; i++)
    g_ptr_array_add (sockets, g_object_ref (evp_listener_get_socket (g_ptr_array_index (self->listeners, i))));
  return sockets;
}

/**
 * evp_server_is_serving:
 * @self: a server
 *
 * Says whether the server listens: it was started and not closed.
 *
 * Corresponds to asyncio's `Server.is_serving()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: `TRUE` if it listens
 *
 * Since: 1.0
 */
gboolean
evp_server_is_serving (EvpServer *self)
{
  g_return_val_if_fail (EVP_IS_SERVER (self), FALSE);

  return self->serving && !self->closed;
}

/**
 * evp_server_start_serving:
 * @self: a server
 * @error: return location for an error
 *
 * Begins to listen, if the server was made with [property@Evp.ServerOptions:start-serving] off.
 *
 * One that listens already goes on. From now on the server keeps itself alive until it is closed.
 *
 * Corresponds to asyncio's `Server.start_serving()`.
 *
 * Use it from the thread of the loop. O(n) in the number of sockets.
 *
 * Errors: %EVP_ERROR_INVALID_STATE if it was closed, %EVP_ERROR_LOOP_CLOSED, %G_IO_ERROR with what the system
 * says, for example %G_IO_ERROR_ADDRESS_IN_USE.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */
gboolean
evp_server_start_serving (EvpServer *self,
                          GError   **error)
{
  g_return_val_if_fail (EVP_IS_SERVER (self) && self->loop != NULL, FALSE);

  if (evp_event_loop_is_closed (self->loop))
    {
      g_propagate_error (error, evp_server_new_loop_closed_error ());
      return FALSE;
    }
  if (self->closed)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE, _("The server is closed; make a new one"));
      return FALSE;
    }
  if (self->serving)
    return TRUE;
  for (guint i = 0; i < self->listeners->len; i++)
    if (!evp_listener_start (g_ptr_array_index (self->listeners, i), self->backlog,
                             &evp_server_listener_funcs, self, error))
      {
        /* those that listen already have this server for their data */
        if (i > 0)
          evp_server_close (self);
        return FALSE;
      }
  self->serving = TRUE;
  evp_server_update_guard (self);
  return TRUE;
}

/**
 * evp_server_serve_forever_async:
 * @self: a server
 * @cancellable: (nullable): closes the server
 * @callback: (nullable) (scope async) (closure user_data): called through the loop when the server is closed
 * @user_data: for @callback
 *
 * Begins to listen, and waits until the server is closed.
 *
 * Cancelling it closes the server. Only one can wait at a time. All errors come out of
 * [method@Evp.Server.serve_forever_finish].
 *
 * Corresponds to asyncio's `Server.serve_forever()`.
 *
 * Use it from the thread of the loop. O(n) in the number of sockets.
 *
 * Since: 1.0
 */
void
evp_server_serve_forever_async (EvpServer          *self,
                                GCancellable       *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer            user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_SERVER (self) && self->loop != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self->loop, self, evp_server_serve_forever_async, cancellable, callback, user_data);
  if (self->forever != NULL)
    evp_loop_task_return_new_error (task, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                                    "%s", _("Somebody waits for the server already; only one can"));
  else if (!evp_server_start_serving (self, &error))
    evp_loop_task_return_error (task, error);
  else
    {
      self->forever = g_object_ref (task);
      evp_loop_task_set_cancel_func (task, evp_server_cancel_forever_cb, self);
    }
}

/**
 * evp_server_serve_forever_finish:
 * @self: a server
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes waiting for the end of a server.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR_CANCELLED, and then the server was closed; %EVP_ERROR_INVALID_STATE if it was closed before,
 * or somebody waits already; %EVP_ERROR_LOOP_CLOSED; those of [method@Evp.Server.start_serving].
 *
 * Returns: `TRUE` if the server was closed
 *
 * Since: 1.0
 */
gboolean
evp_server_serve_forever_finish (EvpServer    *self,
                                 GAsyncResult *result,
                                 GError      **error)
{
  g_return_val_if_fail (EVP_IS_SERVER (self), FALSE);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_server_serve_forever_async), FALSE);

  return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error) > 0;
}

/**
 * evp_server_accept_async:
 * @self: a server
 * @cancellable: (nullable): takes the request back; no connection is lost
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Asks for the next connection.
 *
 * Requests are served in their order, and go before handlers of [signal@Evp.Server::incoming]. It may be called
 * before the server listens.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_server_accept_async (EvpServer          *self,
                         GCancellable       *cancellable,
                         GAsyncReadyCallback callback,
                         gpointer            user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_SERVER (self) && self->loop != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self->loop, self, evp_server_accept_async, cancellable, callback, user_data);
  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    evp_loop_task_return_error (task, error);
  else if (evp_event_loop_is_closed (self->loop))
    evp_loop_task_return_error (task, evp_server_new_loop_closed_error ());
  else if (self->closed)
    evp_loop_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_CLOSED, "%s", _("The server is closed"));
  else if (!g_queue_is_empty (&self->unwanted))
    {
      evp_loop_task_return_pointer (task, g_queue_pop_head (&self->unwanted), g_object_unref);
      evp_server_mind_unwanted (self);
    }
  else
    {
      g_queue_push_tail (&self->accepts, g_object_ref (task));
      evp_loop_task_set_cancel_func (task, evp_server_cancel_accept_cb, self);
      evp_server_update_guard (self);
      evp_server_resume (self);
    }
}

/**
 * evp_server_accept_finish:
 * @self: a server
 * @result: what the callback got
 * @error: return location for an error
 *
 * Takes the connection that was asked for.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR_CLOSED if the server was closed, %EVP_ERROR_LOOP_CLOSED, %G_IO_ERROR_CANCELLED.
 *
 * Returns: (transfer full): a [class@Gio.SocketConnection], or with TLS a [class@Gio.TlsConnection], or `NULL` with
 *   @error set
 *
 * Since: 1.0
 */
GIOStream *
evp_server_accept_finish (EvpServer    *self,
                          GAsyncResult *result,
                          GError      **error)
{
  g_return_val_if_fail (EVP_IS_SERVER (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_server_accept_async), NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}

/**
 * evp_server_close:
 * @self: a server
 *
 * Stops listening and closes the listening sockets.
 *
 * Connections that were handed over are left alone, and no other is handed over any more. Requests for more fail with %G_IO_ERROR_CLOSED, and
 * [method@Evp.Server.serve_forever_async] ends. The file of a unix socket is removed, if it still is this server's.
 * A server that is closed already stays so.
 *
 * Corresponds to asyncio's `Server.close()`.
 *
 * Use it from the thread of the loop. O(n) in the number of sockets.
 *
 * Since: 1.0
 */
void
evp_server_close (EvpServer *self)
{
  g_autoptr (EvpServer) keep = NULL;
  EvpLoopTask *forever;

  g_return_if_fail (EVP_IS_SERVER (self));

  if (self->closed || self->loop == NULL)
    return;
  keep = g_object_ref (self);
  self->closed = TRUE;
  for (guint i = 0; i < self->listeners->len; i++)
    evp_listener_close (g_ptr_array_index (self->listeners, i));
  g_ptr_array_set_size (self->listeners, 0);
  g_queue_clear_full (&self->unwanted, g_object_unref);
  g_queue_init (&self->unwanted);
  evp_demand_stop (&self->demand);

  forever = g_steal_pointer (&self->forever);
  if (forever != NULL)
    {
      if (evp_event_loop_is_closed (self->loop))
        evp_loop_task_return_error_now (forever, evp_server_new_loop_closed_error ());
      else
        evp_loop_task_return_int (forever, TRUE);
      g_object_unref (forever);
    }
  evp_server_fail_tasks (self, &self->accepts);
  evp_server_check_closed (self);
  evp_server_update_guard (self);
}

/**
 * evp_server_wait_closed_async:
 * @self: a server
 * @cancellable: (nullable): ends the wait, and nothing else
 * @callback: (nullable) (scope async) (closure user_data): called through the loop
 * @user_data: for @callback
 *
 * Waits until the server is closed and all its connections are closed, too, in whatever order.
 *
 * A connection is closed by [method@Gio.IOStream.close] and its relatives, or with its last reference. Any
 * number of callers may wait.
 *
 * Corresponds to asyncio's `Server.wait_closed()`, as it is from Python 3.12.1 on.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_server_wait_closed_async (EvpServer          *self,
                              GCancellable       *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer            user_data)
{
  g_autoptr (EvpLoopTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (EVP_IS_SERVER (self) && self->loop != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = evp_loop_task_new (self->loop, self, evp_server_wait_closed_async, cancellable, callback, user_data);
  if (g_cancellable_set_error_if_cancelled (cancellable, &error))
    evp_loop_task_return_error (task, error);
  else if (evp_event_loop_is_closed (self->loop))
    evp_loop_task_return_error (task, evp_server_new_loop_closed_error ());
  else
    {
      g_queue_push_tail (&self->closed_waiters, g_object_ref (task));
      evp_loop_task_set_cancel_func (task, evp_server_cancel_wait_closed_cb, self);
      evp_server_update_guard (self);
      evp_server_check_closed (self);
    }
}

/**
 * evp_server_wait_closed_finish:
 * @self: a server
 * @result: what the callback got
 * @error: return location for an error
 *
 * Finishes waiting for the end of a server and its connections.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %EVP_ERROR_LOOP_CLOSED, %G_IO_ERROR_CANCELLED.
 *
 * Returns: whether all is closed
 *
 * Since: 1.0
 */
gboolean
evp_server_wait_closed_finish (EvpServer    *self,
                               GAsyncResult *result,
                               GError      **error)
{
  g_return_val_if_fail (EVP_IS_SERVER (self), FALSE);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_server_wait_closed_async), FALSE);

  return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error) > 0;
}
