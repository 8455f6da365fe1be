/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-socket-connection.h"

#include "evp/loop/evp-loop-source-private.h"
#include "evp/loop/evp-running-loop-private.h"
#include "evp/net/evp-socket-stream-private.h"

/*
 * GIO's connection factory cannot be given another type for sockets that it has a type for already: it
 * frees the second registration of a family, type and protocol, and goes on using it. So the
 * factory's own types, GTcpConnection and GUnixConnection, get functions that know of our streams. They are set
 * once and stay: connections without our streams do as before, and those made while registered keep them.
 */
static GMutex register_lock;
static guint n_registered; /* see register_lock; atomic where it is only read */

/* GIO's functions, saved before they were replaced. */
static void (*gio_tcp_constructed) (GObject *object);
static void (*gio_unix_constructed) (GObject *object);

/*
 * The loop of the calling thread. That of another thread will not do, even if it lives in the same context: in a worker
 * thread without a context of its own, the thread-default one is the main thread's.
 */
static EvpAbstractEventLoop *
evp_socket_connection_find_loop (GMainContext *context)
{
  EvpAbstractEventLoop *running = evp_running_loop_get ();

  if (context == NULL)
    context = g_main_context_default ();
  if (running != NULL)
    {
      g_autoptr (GMainContext) home = evp_event_loop_dup_main_context (running);

      if (home == context && !evp_event_loop_is_closed (running))
        return g_object_ref (running);
    }
  return g_main_context_is_owner (context) ? evp_loop_source_find_loop (context) : NULL;
}

static void
evp_socket_connection_constructed (GObject *object)
{
  GType type = G_OBJECT_TYPE (object);
  void (*constructed) (GObject *) = G_IS_TCP_CONNECTION (object) ? gio_tcp_constructed : gio_unix_constructed;

  constructed (object);
  /* classes derived from these have their own ideas */
  if (g_atomic_int_get (&n_registered) > 0 && (type == G_TYPE_TCP_CONNECTION || type == G_TYPE_UNIX_CONNECTION))
    evp_socket_stream_attach (G_IO_STREAM (object), NULL, evp_socket_connection_find_loop);
}

static void
evp_socket_connection_replace (GType   type,
                               GType   own_type,
                               void (**gio_constructed) (GObject *object))
{
  /* never given back: classes of static types do not go */
  GObjectClass *klass;

  g_type_class_ref (own_type); /* has taken note of GIO's functions once it exists */
  klass = g_type_class_ref (type);
  *gio_constructed = klass->constructed;
  evp_socket_stream_set_functions (G_IO_STREAM_CLASS (klass));
  klass->constructed = evp_socket_connection_constructed;
}

/**
 * evp_socket_connection_register:
 * @error: return location for an error
 *
 * Lets the connections that GIO makes from now on use the event loops of this library.
 *
 * Programs on [class@Gio.SocketClient], [class@Gio.SocketListener] and [class@Gio.SocketService], libsoup
 * among them, then get the loop's own input and output streams, without a change: a connection that waits costs
 * nothing per turn of the main context, however many there are. Each asynchronous function belongs to the loop
 * that lives in the thread-default main context of its caller, or that runs in the calling thread; where there is
 * none, a connection does what GIO's own does. That is decided when such a function is called, so loops may come
 * and go.
 *
 * The types stay [class@Gio.TcpConnection] and [class@Gio.UnixConnection]; connections made earlier are not
 * touched. Every call is undone by one call of [func@Evp.socket_connection_unregister].
 *
 * May be called from any thread; best at the start of the program, before there are connections. O(1).
 *
 * Never fails at present.
 *
 * Returns: whether it succeeded
 *
 * Since: 1.0
 */
gboolean
evp_socket_connection_register (GError **error)
{
  static gboolean replaced;

  g_mutex_lock (&register_lock);
  if (!replaced)
    {
      evp_socket_connection_replace (G_TYPE_TCP_CONNECTION, EVP_TYPE_TCP_CONNECTION, &gio_tcp_constructed);
      evp_socket_connection_replace (G_TYPE_UNIX_CONNECTION, EVP_TYPE_UNIX_CONNECTION, &gio_unix_constructed);
      replaced = TRUE;
    }
  g_atomic_int_inc (&n_registered);
  g_mutex_unlock (&register_lock);
  return TRUE;
}

/**
 * evp_socket_connection_unregister:
 *
 * Undoes one call of [func@Evp.socket_connection_register]: after the last one, connections are GIO's own again.
 *
 * Connections that exist keep what they have.
 *
 * May be called from any thread. O(1).
 *
 * Since: 1.0
 */
void
evp_socket_connection_unregister (void)
{
  gboolean was_registered;

  g_mutex_lock (&register_lock);
  was_registered = n_registered > 0;
  if (was_registered)
    g_atomic_int_add (&n_registered, -1);
  g_mutex_unlock (&register_lock);

  g_return_if_fail (was_registered);
}
