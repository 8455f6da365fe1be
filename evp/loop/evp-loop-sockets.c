/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-sockets-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-base-event-loop-private.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/loop/evp-loop-task-private.h"

#include <errno.h>
#include <unistd.h>

/*
 * The operations on a socket that the caller made. Each is one operation of the loop and one task.
 *
 * A socket keeps the last call of each direction for the next one: with it comes what the loop
 * remembers of the descriptor, so that a busy socket costs neither memory nor registrations. A call that
 * finds none there, because one of its direction is pending, makes another.
 */
typedef struct _EvpSockState EvpSockState;

typedef struct
{
  EvpOperation *operation;
  gsize core_serial;       /* of the loop that it was made for; 0: one written elsewhere */

  /* while it is in use */
  EvpLoopTask *task;
  GSocket *socket;
  EvpSockState *state;     /* of the socket */
  GBytes *bytes;           /* to send */
  gsize sent;              /* of them, by operations that ended before all were */
  GSocketAddress *address; /* to connect to */
  EvpTimerHandle *timer;   /* until the next try to connect */
  guint delay_ms;
  gboolean connecting;     /* waits for a connection under way */
} EvpSockCall;

struct _EvpSockState
{
  EvpSockCall *calls[2]; /* atomic: reading and writing, for sockets that several loops share */
  gboolean is_stream;
  GSocket *socket;       /* that it is part of */
  gpointer owner;        /* the loop; atomic, and written under owned_lock */
  int owned_fd;          /* its key in owned_fds */
};

typedef struct
{
  GBytes *bytes;
  gssize n;
  GSocketAddress *address;
} EvpReceived;

/* The states of sockets that have an owner, by descriptor. */
static GMutex owned_lock;
static GHashTable *owned_fds;
static guint n_owned; /* atomic: the size of the table */

/* A unix socket whose queue is full is tried again after 1 ms, then less and less often. */
#define MAX_DELAY_MS 64

static void
received_free (gpointer data)
{
  EvpReceived *received = data;

  g_clear_pointer (&received->bytes, g_bytes_unref);
  g_clear_object (&received->address);
  g_free (received);
}

static void
call_free (EvpSockCall *call)
{
  evp_operation_unref (call->operation);
  g_free (call);
}

/* Under owned_lock. */
static void
disown (EvpSockState *state)
{
  if (state->owner == NULL)
    return;
  /* if the number was used again, the entry is another's */
  if (g_hash_table_lookup (owned_fds, GINT_TO_POINTER (state->owned_fd)) == state)
    g_hash_table_remove (owned_fds, GINT_TO_POINTER (state->owned_fd));
  g_atomic_int_set (&n_owned, g_hash_table_size (owned_fds));
  g_atomic_pointer_set (&state->owner, NULL);
}

static void
state_free (gpointer data)
{
  EvpSockState *state = data;

  if (g_atomic_pointer_get (&state->owner) != NULL)
    {
      g_mutex_lock (&owned_lock);
      disown (state);
      g_mutex_unlock (&owned_lock);
    }
  g_clear_pointer (&state->calls[0], call_free);
  g_clear_pointer (&state->calls[1], call_free);
  g_free (state);
}

static inline GQuark
get_quark (void)
{
  static GQuark quark = 0; /* the same whoever sets it */

  if (G_UNLIKELY (quark == 0))
    quark = g_quark_from_static_string ("evp-sock-state");
  return quark;
}

static EvpSockState *
get_state (GSocket *socket)
{
  const GQuark quark = get_quark ();
  EvpSockState *state = g_object_get_qdata ((GObject *) socket, quark);

  if (G_LIKELY (state != NULL))
    return state;

  state = g_new0 (EvpSockState, 1);
  state->socket = socket;
  state->is_stream = g_socket_get_socket_type (socket) == G_SOCKET_TYPE_STREAM;
  if (!g_object_replace_qdata (G_OBJECT (socket), quark, NULL, state, state_free, NULL))
    {
      g_free (state);
      state = g_object_get_qdata (G_OBJECT (socket), quark);
    }
  return state;
}

/*
 * The same, on a loop: most calls come from the callback of the last one on the same socket, whose state need not be
 * looked up. @core may be NULL.
 */
static inline EvpSockState *
get_state_on (EvpLoopCore *core,
              GSocket     *socket)
{
  return G_LIKELY (core != NULL && core->served_socket == socket) ? core->served_state : get_state (socket);
}

/* EVP_IS_EVENT_LOOP() looks an interface up; this asks the classes of the library first. */
static inline gboolean
is_loop (EvpAbstractEventLoop *loop)
{
  return loop != NULL && (G_LIKELY (evp_loop_peek_core (loop) != NULL) || EVP_IS_EVENT_LOOP (loop));
}

void
evp_loop_socket_set_owner (GSocket              *socket,
                           EvpAbstractEventLoop *loop)
{
  EvpSockState *state = loop != NULL ? get_state (socket)
                                     : g_object_get_qdata (G_OBJECT (socket), get_quark ());

  if (state == NULL)
    return;
  g_mutex_lock (&owned_lock);
  disown (state);
  if (loop != NULL)
    {
      if (owned_fds == NULL)
        owned_fds = g_hash_table_new (NULL, NULL);
      state->owned_fd = g_socket_get_fd (socket);
      g_hash_table_replace (owned_fds, GINT_TO_POINTER (state->owned_fd), state);
      g_atomic_int_set (&n_owned, g_hash_table_size (owned_fds));
      g_atomic_pointer_set (&state->owner, loop);
    }
  g_mutex_unlock (&owned_lock);
}

gboolean
evp_loop_fd_is_owned (EvpAbstractEventLoop *loop,
                      int                   fd)
{
  EvpSockState *state;
  gboolean owned;

  if (g_atomic_int_get (&n_owned) == 0)
    return FALSE;
  g_mutex_lock (&owned_lock);
  state = g_hash_table_lookup (owned_fds, GINT_TO_POINTER (fd));
  owned = state != NULL && state->owner == loop && g_socket_get_fd (state->socket) == fd;
  g_mutex_unlock (&owned_lock);
  return owned;
}

static inline EvpSockCall **
get_slot (EvpSockState *state,
          EvpOperation *operation)
{
  return &state->calls[evp_operation_get_direction (operation) == EVP_IO_EVENTS_WRITE];
}

/* G_IS_SOCKET() without registering the types of four enumerations again, which g_socket_get_type() does. */
static inline gboolean
is_socket (GSocket *socket)
{
  static GType type = 0; /* the same whoever sets it */

  if (G_UNLIKELY (type == 0))
    type = G_TYPE_SOCKET;
  return socket != NULL && (G_LIKELY (G_TYPE_FROM_INSTANCE (socket) == type) || G_IS_SOCKET (socket));
}

/* Whether the call can be made now. */
static gboolean
check (EvpAbstractEventLoop *loop,
       GSocket              *socket,
       EvpSockState         *state,
       int                   fd,
       GCancellable         *cancellable,
       GError              **error)
{
  EvpLoopCore *core = evp_loop_peek_core (loop);

  if (G_UNLIKELY (core != NULL ? core->closed : evp_event_loop_is_closed (loop)))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return FALSE;
    }
  if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (G_UNLIKELY (fd < 0))
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED, _("The socket is closed"));
      return FALSE;
    }
  if (G_UNLIKELY (g_atomic_pointer_get (&state->owner) != NULL))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                           _("The socket belongs to a stream; use that, or close it first"));
      return FALSE;
    }
  if (G_UNLIKELY (core != NULL ? core->debug : evp_event_loop_get_debug (loop)) && g_socket_get_blocking (socket))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The socket must be non-blocking; call g_socket_set_blocking (socket, FALSE)"));
      return FALSE;
    }
  return TRUE;
}

gboolean
evp_loop_socket_check (EvpAbstractEventLoop *loop,
                       GSocket              *socket,
                       GCancellable         *cancellable,
                       GError              **error)
{
  return check (loop, socket, get_state (socket), g_socket_get_fd (socket), cancellable, error);
}

static void sock_done_cb (EvpOperation *operation,
                          gpointer      user_data);

/* NULL: it has failed, and the caller's callback will be told. */
static EvpSockCall *
begin (EvpAbstractEventLoop *loop,
       GSocket              *socket,
       EvpOperationKind      kind,
       gpointer              tag,
       GCancellable         *cancellable,
       GAsyncReadyCallback   callback,
       gpointer              user_data)
{
  EvpLoopCore *core = evp_loop_peek_core (loop);
  EvpSockState *state = get_state_on (core, socket);
  EvpLoopTask *task = evp_loop_task_new (loop, loop, tag, cancellable, callback, user_data);
  EvpSockCall *call, **slot;
  EvpOperation *operation;
  GError *error = NULL;
  const int fd = g_socket_get_fd (socket);

  if (G_UNLIKELY (!check (loop, socket, state, fd, cancellable, &error)))
    {
      evp_loop_task_return_error (task, error);
      evp_loop_task_release (task);
      return NULL;
    }

  slot = &state->calls[kind != EVP_OPERATION_RECV && kind != EVP_OPERATION_RECV_FROM && kind != EVP_OPERATION_ACCEPT];
  call = g_atomic_pointer_exchange (slot, NULL);
  /* the loop may be another one at the same address; those that are written elsewhere tell nobody */
  if (call != NULL && (core == NULL || call->core_serial != core->serial || call->operation->fd != fd))
    g_clear_pointer (&call, call_free);
  if (call == NULL)
    {
      call = g_new0 (EvpSockCall, 1);
      call->core_serial = core != NULL ? core->serial : 0;
      call->operation = evp_operation_new (kind, fd, sock_done_cb, call);
      call->operation->flags = EVP_OPERATION_BORROWED;
    }
  call->task = task;
  call->socket = g_object_ref (socket);
  call->state = state;

  operation = call->operation;
  operation->loop = loop;
  operation->kind = (guint8) kind;
  operation->flags &= (guint8) ~(EVP_OPERATION_ALL | EVP_OPERATION_ALLOCATE);
  operation->buffer = NULL;
  operation->length = 0;
  if (G_UNLIKELY (!state->is_stream))
    operation->flags &= (guint8) ~EVP_OPERATION_DRAINED; /* it was a short message, not the last one */
  return call;
}

/* Ends the use of a call, so that a callback can start the next one; the task and the socket stay the caller's. */
static void
put_back (EvpSockCall *call)
{
  EvpSockCall **slot = get_slot (call->state, call->operation);

  g_clear_pointer (&call->bytes, g_bytes_unref);
  g_clear_object (&call->address);
  call->operation->buffer = NULL;
  call->task = NULL;
  call->socket = NULL;
  call->state = NULL;
  call->sent = 0;
  call->delay_ms = 0;
  call->connecting = FALSE;
  if (!g_atomic_pointer_compare_and_exchange (slot, NULL, call))
    call_free (call);
}

/* A failure before or between operations. */
static void
fail_later (EvpSockCall *call,
            GError      *error)
{
  EvpLoopTask *task = call->task;
  g_autoptr (GSocket) socket = call->socket;

  put_back (call);
  evp_loop_task_return_error (task, error);
  evp_loop_task_release (task);
}

static void
submit (EvpSockCall *call)
{
  GError *error = NULL;

  if (!evp_loop_submit_operation (call->operation->loop, call->operation, &error))
    fail_later (call, error);
}

/* Connecting may take several operations. */

typedef struct
{
  EvpSockCall *call; /* NULL once it was tried again */
} EvpSockRetry;

static gboolean
check_not_cancelled (EvpSockCall *call)
{
  GError *error = NULL;

  if (!g_cancellable_set_error_if_cancelled (evp_loop_task_get_cancellable (call->task), &error))
    return TRUE;
  fail_later (call, error);
  return FALSE;
}

static void
retry_cb (gpointer user_data)
{
  EvpSockRetry *retry = user_data;
  EvpSockCall *call = g_steal_pointer (&retry->call);

  g_clear_pointer (&call->timer, evp_timer_handle_unref);
  if (check_not_cancelled (call))
    submit (call);
}

/* After retry_cb(), or instead of it: the call was cancelled, or the loop is closed. */
static void
retry_free (gpointer user_data)
{
  EvpSockRetry *retry = user_data;
  EvpSockCall *call = retry->call;

  g_free (retry);
  if (call == NULL)
    return;
  g_clear_pointer (&call->timer, evp_timer_handle_unref);
  if (check_not_cancelled (call))
    fail_later (call, g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                           _("The event loop is closed; make a new one")));
}

static void
retry_later (EvpSockCall *call)
{
  EvpSockRetry *retry;
  EvpTimerHandle *timer;

  if (!check_not_cancelled (call))
    return;
  call->delay_ms = call->delay_ms == 0 ? 1 : MIN (call->delay_ms * 2, MAX_DELAY_MS);
  retry = g_new (EvpSockRetry, 1);
  retry->call = call;
  timer = evp_event_loop_call_later (call->operation->loop, call->delay_ms / 1000.0, retry_cb, retry, retry_free, NULL);
  if (timer != NULL) /* else it has failed already */
    call->timer = evp_timer_handle_ref (timer);
}

static void
connect_cancelled_cb (EvpLoopTask *task,
                      gpointer     data)
{
  EvpSockCall *call = data;

  if (call->timer != NULL)
    evp_timer_handle_cancel (call->timer);
  else
    evp_loop_cancel_operation (call->operation->loop, call->operation);
}

/* TRUE if there is another step to wait for. */
static gboolean
connect_goes_on (EvpSockCall *call)
{
  EvpOperation *operation = call->operation;

  switch (operation->result)
    {
    case -EBUSY:
    case -EAGAIN:
      if (call->connecting || g_socket_get_family (call->socket) != G_SOCKET_FAMILY_UNIX)
        return FALSE;
      retry_later (call);
      return TRUE;

    case -EALREADY:
    case -EINPROGRESS:
      /* an earlier call was cancelled, but the connection is still being made */
      if (call->connecting)
        return FALSE;
      if (check_not_cancelled (call))
        {
          call->connecting = TRUE;
          operation->kind = EVP_OPERATION_POLL;
          operation->events = EVP_IO_EVENTS_WRITE;
          submit (call);
        }
      return TRUE;

    default:
      return FALSE;
    }
}

static gboolean
connect_check (EvpAbstractEventLoop *loop,
               EvpSockCall          *call,
               GError              **error)
{
  g_autofree char *address = NULL;
  g_autofree char *what = NULL;
  g_autoptr (GError) failure = NULL;

  if (G_LIKELY (call->operation->result >= 0))
    {
      /* asks SO_ERROR, and lets the GSocket know that it is connected */
      if (g_socket_check_connect_result (call->socket, &failure))
        return TRUE;
    }
  address = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (call->address));
  /* Translators: %s is a socket address */
  what = g_strdup_printf (_("Cannot connect to %s"), address);
  if (failure == NULL)
    return evp_loop_check_operation (loop, call->operation, what, error);
  g_set_error (error, failure->domain, failure->code, "%s: %s", what, failure->message);
  return FALSE;
}

static GError *
send_error (EvpAbstractEventLoop *loop,
            EvpSockCall          *call)
{
  EvpOperation *operation = call->operation;
  g_autoptr (GError) error = NULL;

  evp_loop_check_operation (loop, operation, _("Cannot send"), &error);
  return g_error_new (error->domain, error->code,
                      /* Translators: %s says why sending failed; the first %zu is the number of bytes that were sent */
                      _("%s (%zu of %zu bytes were sent)"), error->message,
                      call->sent + operation->transferred, call->sent + operation->length);
}

/*
 * A proactor written elsewhere may send a part, and say how much. TRUE if the rest is on its way; else, if there is one, that
 * is an error, in the result.
 */
static gboolean
send_goes_on (EvpSockCall *call)
{
  EvpOperation *operation = call->operation;
  const gsize n = (gsize) operation->result;

  if (n == operation->length)
    return FALSE;
  operation->transferred = 0;
  call->sent += n;
  operation->buffer = (char *) operation->buffer + n;
  operation->length -= n;
  if (n == 0)
    operation->result = -EIO; /* or it would go on like this for ever */
  else if (g_cancellable_is_cancelled (evp_loop_task_get_cancellable (call->task)))
    operation->result = -ECANCELED;
  else
    {
      submit (call);
      return TRUE;
    }
  return FALSE;
}

static GSocket *
accept_result (EvpOperation *operation,
               GError      **error)
{
  const int fd = (int) operation->result;
  GSocket *socket = g_socket_new_from_fd (fd, error);

  if (socket != NULL)
    g_socket_set_blocking (socket, FALSE);
  else
    close (fd);
  return socket;
}

/* The bytes of an operation that brought its buffer. */
static GBytes *
take_bytes (EvpOperation *operation)
{
  gpointer buffer = g_steal_pointer (&operation->buffer);

  if (operation->result > 0 && (gsize) operation->result < operation->length)
    buffer = g_realloc (buffer, (gsize) operation->result);
  if (operation->result > 0)
    return g_bytes_new_take (buffer, (gsize) operation->result);
  g_free (buffer);
  return operation->result == 0 ? g_bytes_new (NULL, 0) : NULL;
}

static EvpReceived *
received_new (EvpOperation *operation)
{
  EvpReceived *received = g_new0 (EvpReceived, 1);

  if ((operation->flags & EVP_OPERATION_ALLOCATE) != 0)
    received->bytes = take_bytes (operation);
  received->n = operation->result;
  /* a connected socket names no sender, and one without a name is none that could be answered */
  received->address = evp_operation_get_address (operation, NULL);
  return received;
}

/* Runs foreign code; the caller holds the socket meanwhile, and with it the state. */
static void
return_now (EvpLoopTask   *task,
            GError        *error,
            gpointer       pointer,
            GDestroyNotify destroy,
            gssize         result)
{
  if (error != NULL)
    evp_loop_task_return_error_now (task, error);
  else if (pointer != NULL)
    evp_loop_task_return_pointer_now (task, pointer, destroy);
  else
    evp_loop_task_return_int_now (task, result);
}

static void
sock_done_cb (EvpOperation *operation,
              gpointer      user_data)
{
  EvpSockCall *call = user_data;
  EvpAbstractEventLoop *loop = operation->loop;
  EvpLoopTask *task = call->task;
  EvpLoopCore *core = evp_loop_peek_core (loop);
  EvpSockState *state = call->state;
  GSocket *socket = call->socket;
  gpointer pointer = NULL;
  GDestroyNotify destroy = NULL;
  GError *error = NULL;
  gssize result;

  if ((operation->flags & EVP_OPERATION_ALL) != 0 && operation->result >= 0 && send_goes_on (call))
    return;
  result = operation->result;
  if (call->address != NULL)
    {
      if (connect_goes_on (call))
        return;
      connect_check (loop, call, &error);
    }
  else if (G_UNLIKELY (result < 0))
    {
      if ((operation->flags & EVP_OPERATION_ALLOCATE) != 0)
        g_free (operation->buffer);
      if ((operation->flags & EVP_OPERATION_ALL) != 0)
        error = send_error (loop, call);
      else
        evp_loop_check_operation (loop, operation,
                                  operation->kind == EVP_OPERATION_ACCEPT    ? _("Cannot accept a connection")
                                  : operation->kind == EVP_OPERATION_SEND_TO ? _("Cannot send")
                                                                             : _("Cannot receive"),
                                  &error);
    }
  else if (operation->kind == EVP_OPERATION_RECV_FROM)
    {
      pointer = received_new (operation);
      destroy = received_free;
    }
  else if (operation->kind == EVP_OPERATION_ACCEPT)
    {
      pointer = accept_result (operation, &error);
      destroy = g_object_unref;
    }
  else if ((operation->flags & EVP_OPERATION_ALLOCATE) != 0)
    {
      pointer = take_bytes (operation);
      destroy = (GDestroyNotify) g_bytes_unref;
    }

  put_back (call);
  if (G_LIKELY (core != NULL))
    {
      /* the task holds the loop, and with it the core */
      gpointer outer_socket = core->served_socket;
      gpointer outer_state = core->served_state;

      core->served_socket = socket;
      core->served_state = state;
      return_now (task, error, pointer, destroy, result);
      core->served_socket = outer_socket;
      core->served_state = outer_state;
    }
  else
    return_now (task, error, pointer, destroy, result);
  evp_loop_task_release (task);
  g_object_unref (socket);
}

/* Submits a call that is one operation. */
static void
start (EvpSockCall *call)
{
  EvpLoopTask *task = call->task;
  GCancellable *cancellable = evp_loop_task_get_cancellable (task);
  EvpOperation *operation = call->operation;

  if (cancellable == NULL)
    {
      submit (call);
      return;
    }
  /* submitting may fail, and the task go with it */
  g_object_ref (task);
  submit (call);
  if (!evp_loop_task_get_returned (task))
    evp_loop_task_set_operation (task, operation);
  g_object_unref (task);
}

/* Nothing was asked of a stream: it has no boundaries that could be waited for. TRUE if that was it. */
static gboolean
receives_nothing (EvpSockCall *call)
{
  EvpLoopTask *task = call->task;
  g_autoptr (GSocket) socket = NULL;

  if (G_LIKELY (call->operation->length > 0) || !call->state->is_stream)
    return FALSE;
  socket = call->socket;
  if ((call->operation->flags & EVP_OPERATION_ALLOCATE) != 0)
    evp_loop_task_return_pointer (task, g_bytes_new (NULL, 0), (GDestroyNotify) g_bytes_unref);
  else
    evp_loop_task_return_int (task, 0);
  put_back (call);
  evp_loop_task_release (task);
  return TRUE;
}

/**
 * evp_event_loop_sock_recv_async:
 * @self: a loop
 * @socket: a connected socket
 * @n: how many bytes at most
 * @cancellable: (nullable): ends it early; what has not been received then stays in the socket, where the
 *   loop can see to that
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Receives up to @n bytes from a socket.
 *
 * The system call is tried at once; if there is nothing, the loop waits until there is. The
 * callback runs as one of the loop, in the order of everything else there, never inside this call.
 *
 * A loop on a selector waits for one reader of a socket: a second call that has to wait takes the place
 * of the first, which then ends only when it is cancelled or the loop is closed. Nothing is lost
 * by cancelling. On a loop on a proactor calls may overlap, and one that is cancelled when bytes have
 * already come succeeds with them.
 *
 * Close a socket when nothing is pending on it; to end what is pending, cancel it, or use
 * [method@Gio.Socket.shutdown].
 *
 * Corresponds to asyncio's `loop.sock_recv()`. Each GSocket can be used: those of Python's `socket` are
 * wrapped by [ctor@Gio.Socket.new_from_fd], which takes the descriptor, so give it a duplicate.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_event_loop_sock_recv_async (EvpAbstractEventLoop *self,
                                GSocket              *socket,
                                gsize                 n,
                                GCancellable         *cancellable,
                                GAsyncReadyCallback   callback,
                                gpointer              user_data)
{
  EvpSockCall *call;

  g_return_if_fail (is_loop (self));
  g_return_if_fail (is_socket (socket));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  call = begin (self, socket, EVP_OPERATION_RECV, evp_event_loop_sock_recv_async, cancellable, callback, user_data);
  if (call == NULL)
    return;
  call->operation->flags |= EVP_OPERATION_ALLOCATE;
  call->operation->length = MIN (n, G_MAXSSIZE);
  if (!receives_nothing (call))
    start (call);
}

/**
 * evp_event_loop_sock_recv_finish:
 * @self: a loop
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Evp.AbstractEventLoop.sock_recv_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR for what the system reports, with its text, among them %G_IO_ERROR_CANCELLED;
 * %EVP_ERROR_LOOP_CLOSED; %EVP_ERROR_INVALID_STATE if the socket belongs to a stream; in debug
 * mode, %EVP_ERROR_INVALID_ARGUMENT for a blocking socket.
 *
 * Returns: (transfer full): the bytes, none at the end of the stream; `NULL` with @error set
 *
 * Since: 1.0
 */
GBytes *
evp_event_loop_sock_recv_finish (EvpAbstractEventLoop *self,
                                 GAsyncResult         *result,
                                 GError              **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sock_recv_async), NULL);

  return evp_loop_task_propagate_pointer ((EvpLoopTask *) result, error);
}

/**
 * evp_event_loop_sock_recv_into_async:
 * @self: a loop
 * @socket: a connected socket
 * @buffer: (array length=size) (element-type guint8): where to put what is received; it has to stay there
 *   until the callback runs
 * @size: how many bytes there is room for
 * @cancellable: (nullable): ends it early
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Receives into memory of the caller, without any of its own.
 *
 * For the rest it is [method@Evp.AbstractEventLoop.sock_recv_async]. @buffer belongs to the
 * operation until the callback runs, also after cancelling.
 *
 * Corresponds to asyncio's `loop.sock_recv_into()`.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_event_loop_sock_recv_into_async (EvpAbstractEventLoop *self,
                                     GSocket              *socket,
                                     void                 *buffer,
                                     gsize                 size,
                                     GCancellable         *cancellable,
                                     GAsyncReadyCallback   callback,
                                     gpointer              user_data)
{
  EvpSockCall *call;

  g_return_if_fail (is_loop (self));
  g_return_if_fail (is_socket (socket));
  g_return_if_fail (buffer != NULL || size == 0);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  call = begin (self, socket, EVP_OPERATION_RECV, evp_event_loop_sock_recv_into_async,
                cancellable, callback, user_data);
  if (call == NULL)
    return;
  call->operation->buffer = buffer;
  call->operation->length = MIN (size, G_MAXSSIZE);
  if (!receives_nothing (call))
    start (call);
}

/**
 * evp_event_loop_sock_recv_into_finish:
 * @self: a loop
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Evp.AbstractEventLoop.sock_recv_into_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: as [method@Evp.AbstractEventLoop.sock_recv_finish].
 *
 * Returns: how many bytes were received, 0 at the end of the stream; −1 with @error set
 *
 * Since: 1.0
 */
gssize
evp_event_loop_sock_recv_into_finish (EvpAbstractEventLoop *self,
                                      GAsyncResult         *result,
                                      GError              **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sock_recv_into_async), -1);

  return (gssize) evp_loop_task_propagate_int ((EvpLoopTask *) result, error);
}

/**
 * evp_event_loop_sock_recvfrom_async:
 * @self: a loop
 * @socket: a socket, of datagrams usually
 * @n: how many bytes at most; the rest of a longer datagram is dropped by the system
 * @cancellable: (nullable): ends it early
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Receives one datagram and learns its sender.
 *
 * For the rest it is [method@Evp.AbstractEventLoop.sock_recv_async].
 *
 * Corresponds to asyncio's `loop.sock_recvfrom()`.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_event_loop_sock_recvfrom_async (EvpAbstractEventLoop *self,
                                    GSocket              *socket,
                                    gsize                 n,
                                    GCancellable         *cancellable,
                                    GAsyncReadyCallback   callback,
                                    gpointer              user_data)
{
  EvpSockCall *call;

  g_return_if_fail (is_loop (self));
  g_return_if_fail (is_socket (socket));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  call = begin (self, socket, EVP_OPERATION_RECV_FROM, evp_event_loop_sock_recvfrom_async,
                cancellable, callback, user_data);
  if (call == NULL)
    return;
  evp_operation_ensure_address (call->operation);
  call->operation->flags |= EVP_OPERATION_ALLOCATE;
  call->operation->length = MIN (n, G_MAXSSIZE);
  start (call);
}

/**
 * evp_event_loop_sock_recvfrom_finish:
 * @self: a loop
 * @result: what the callback was given
 * @address: (out) (optional) (nullable) (transfer full): return location for the sender; `NULL` if it has
 *   no name
 * @error: return location for an error
 *
 * Finishes [method@Evp.AbstractEventLoop.sock_recvfrom_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: as [method@Evp.AbstractEventLoop.sock_recv_finish].
 *
 * Returns: (transfer full): the datagram, which may be empty; `NULL` with @error set
 *
 * Since: 1.0
 */
GBytes *
evp_event_loop_sock_recvfrom_finish (EvpAbstractEventLoop *self,
                                     GAsyncResult         *result,
                                     GSocketAddress      **address,
                                     GError              **error)
{
  EvpReceived *received;
  GBytes *bytes;

  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sock_recvfrom_async), NULL);

  received = evp_loop_task_propagate_pointer ((EvpLoopTask *) result, error);
  if (address != NULL)
    *address = received != NULL ? g_steal_pointer (&received->address) : NULL;
  if (received == NULL)
    return NULL;
  bytes = g_steal_pointer (&received->bytes);
  received_free (received);
  return bytes;
}

/**
 * evp_event_loop_sock_recvfrom_into_async:
 * @self: a loop
 * @socket: a socket, of datagrams usually
 * @buffer: (array length=size) (element-type guint8): where to put what is received; it has to stay there
 *   until the callback runs
 * @size: how many bytes there is room for
 * @cancellable: (nullable): ends it early
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Receives one datagram into memory of the caller, and learns its sender.
 *
 * For the rest it is [method@Evp.AbstractEventLoop.sock_recv_into_async].
 *
 * Corresponds to asyncio's `loop.sock_recvfrom_into()`.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_event_loop_sock_recvfrom_into_async (EvpAbstractEventLoop *self,
                                         GSocket              *socket,
                                         void                 *buffer,
                                         gsize                 size,
                                         GCancellable         *cancellable,
                                         GAsyncReadyCallback   callback,
                                         gpointer              user_data)
{
  EvpSockCall *call;

  g_return_if_fail (is_loop (self));
  g_return_if_fail (is_socket (socket));
  g_return_if_fail (buffer != NULL || size == 0);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  call = begin (self, socket, EVP_OPERATION_RECV_FROM, evp_event_loop_sock_recvfrom_into_async,
                cancellable, callback, user_data);
  if (call == NULL)
    return;
  evp_operation_ensure_address (call->operation);
  call->operation->buffer = buffer;
  call->operation->length = MIN (size, G_MAXSSIZE);
  start (call);
}

/**
 * evp_event_loop_sock_recvfrom_into_finish:
 * @self: a loop
 * @result: what the callback was given
 * @address: (out) (optional) (nullable) (transfer full): return location for the sender; `NULL` if it has
 *   no name
 * @error: return location for an error
 *
 * Finishes [method@Evp.AbstractEventLoop.sock_recvfrom_into_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: as [method@Evp.AbstractEventLoop.sock_recv_finish].
 *
 * Returns: how many bytes were received; −1 with @error set
 *
 * Since: 1.0
 */
gssize
evp_event_loop_sock_recvfrom_into_finish (EvpAbstractEventLoop *self,
                                          GAsyncResult         *result,
                                          GSocketAddress      **address,
                                          GError              **error)
{
  EvpReceived *received;
  gssize n;

  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sock_recvfrom_into_async), -1);

  received = evp_loop_task_propagate_pointer ((EvpLoopTask *) result, error);
  if (address != NULL)
    *address = received != NULL ? g_steal_pointer (&received->address) : NULL;
  if (received == NULL)
    return -1;
  n = received->n;
  received_free (received);
  return n;
}

/**
 * evp_event_loop_sock_sendall_async:
 * @self: a loop
 * @socket: a connected socket
 * @bytes: what to send
 * @cancellable: (nullable): ends it early
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Sends all bytes, in as many parts as the socket takes them in.
 *
 * What @callback is told after an error or cancelling says how much was handed to the system. How much of that
 * the other side has received nobody knows. There is never a `SIGPIPE`.
 *
 * Two of them at a time on one socket mix their bytes on a loop on a proactor; on one on a selector, the
 * second that has to wait takes the place of the first, as with [method@Evp.AbstractEventLoop.sock_recv_async].
 *
 * Corresponds to asyncio's `loop.sock_sendall()`.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_event_loop_sock_sendall_async (EvpAbstractEventLoop *self,
                                   GSocket              *socket,
                                   GBytes               *bytes,
                                   GCancellable         *cancellable,
                                   GAsyncReadyCallback   callback,
                                   gpointer              user_data)
{
  EvpSockCall *call;

  g_return_if_fail (is_loop (self));
  g_return_if_fail (is_socket (socket));
  g_return_if_fail (bytes != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  call = begin (self, socket, EVP_OPERATION_SEND, evp_event_loop_sock_sendall_async,
                cancellable, callback, user_data);
  if (call == NULL)
    return;
  call->bytes = g_bytes_ref (bytes);
  call->operation->buffer = (gpointer) g_bytes_get_data (bytes, &call->operation->length);
  call->operation->flags |= EVP_OPERATION_ALL;
  start (call);
}

/**
 * evp_event_loop_sock_sendall_finish:
 * @self: a loop
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Evp.AbstractEventLoop.sock_sendall_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: as [method@Evp.AbstractEventLoop.sock_recv_finish]; the message says how many bytes were sent.
 *
 * Returns: whether all was sent
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_sock_sendall_finish (EvpAbstractEventLoop *self,
                                    GAsyncResult         *result,
                                    GError              **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sock_sendall_async), FALSE);

  return evp_loop_task_propagate_int ((EvpLoopTask *) result, error) >= 0;
}

/**
 * evp_event_loop_sock_sendto_async:
 * @self: a loop
 * @socket: a socket of datagrams
 * @bytes: the datagram, which may be empty
 * @address: where to send it
 * @cancellable: (nullable): ends it early
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Sends one datagram.
 *
 * Corresponds to asyncio's `loop.sock_sendto()`.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_event_loop_sock_sendto_async (EvpAbstractEventLoop *self,
                                  GSocket              *socket,
                                  GBytes               *bytes,
                                  GSocketAddress       *address,
                                  GCancellable         *cancellable,
                                  GAsyncReadyCallback   callback,
                                  gpointer              user_data)
{
  EvpSockCall *call;
  GError *error = NULL;

  g_return_if_fail (is_loop (self));
  g_return_if_fail (is_socket (socket));
  g_return_if_fail (bytes != NULL);
  g_return_if_fail (G_IS_SOCKET_ADDRESS (address));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  call = begin (self, socket, EVP_OPERATION_SEND_TO, evp_event_loop_sock_sendto_async,
                cancellable, callback, user_data);
  if (call == NULL)
    return;
  if (!evp_operation_set_address (call->operation, address, &error))
    {
      fail_later (call, error);
      return;
    }
  call->bytes = g_bytes_ref (bytes);
  call->operation->buffer = (gpointer) g_bytes_get_data (bytes, &call->operation->length);
  start (call);
}

/**
 * evp_event_loop_sock_sendto_finish:
 * @self: a loop
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Evp.AbstractEventLoop.sock_sendto_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: as [method@Evp.AbstractEventLoop.sock_recv_finish].
 *
 * Returns: how many bytes were sent; −1 with @error set
 *
 * Since: 1.0
 */
gssize
evp_event_loop_sock_sendto_finish (EvpAbstractEventLoop *self,
                                   GAsyncResult         *result,
                                   GError              **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sock_sendto_async), -1);

  return (gssize) evp_loop_task_propagate_int ((EvpLoopTask *) result, error);
}

/**
 * evp_event_loop_sock_accept_async:
 * @self: a loop
 * @socket: a listening socket
 * @cancellable: (nullable): ends it early
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Accepts one connection.
 *
 * A call that is cancelled takes no connection: who has connected is met by the next one. If a
 * loop on a proactor had already taken one, the call succeeds with it.
 *
 * Too many open files are an error of this call like any other, and the connection goes on waiting: to
 * accept again at once would fail at once; wait a while.
 *
 * Corresponds to asyncio's `loop.sock_accept()`; the other side's address is
 * [method@Gio.Socket.get_remote_address].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_sock_accept_async (EvpAbstractEventLoop *self,
                                  GSocket              *socket,
                                  GCancellable         *cancellable,
                                  GAsyncReadyCallback   callback,
                                  gpointer              user_data)
{
  EvpSockCall *call;

  g_return_if_fail (is_loop (self));
  g_return_if_fail (is_socket (socket));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  call = begin (self, socket, EVP_OPERATION_ACCEPT, evp_event_loop_sock_accept_async,
                cancellable, callback, user_data);
  if (call != NULL)
    start (call);
}

/**
 * evp_event_loop_sock_accept_finish:
 * @self: a loop
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Evp.AbstractEventLoop.sock_accept_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: as [method@Evp.AbstractEventLoop.sock_recv_finish].
 *
 * Returns: (transfer full): the connection, non-blocking and closed on exec; `NULL` with @error set
 *
 * Since: 1.0
 */
GSocket *
evp_event_loop_sock_accept_finish (EvpAbstractEventLoop *self,
                                   GAsyncResult         *result,
                                   GError              **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sock_accept_async), NULL);

  return evp_loop_task_propagate_pointer ((EvpLoopTask *) result, error);
}

/**
 * evp_event_loop_sock_connect_async:
 * @self: a loop
 * @socket: a socket
 * @address: where to connect to
 * @cancellable: (nullable): ends it early
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Connects a socket.
 *
 * An address is what it is: no names are looked up. A unix socket whose queue of connections is full
 * cannot be waited for; it is tried again after a while, less and less often, until it succeeds or is
 * cancelled.
 *
 * Cancelling ends the wait. The connection may come about all the same; a later call on the same socket then
 * waits for it.
 *
 * Corresponds to asyncio's `loop.sock_connect()`.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Since: 1.0
 */
void
evp_event_loop_sock_connect_async (EvpAbstractEventLoop *self,
                                   GSocket              *socket,
                                   GSocketAddress       *address,
                                   GCancellable         *cancellable,
                                   GAsyncReadyCallback   callback,
                                   gpointer              user_data)
{
  EvpSockCall *call;
  EvpLoopTask *task;
  GError *error = NULL;

  g_return_if_fail (is_loop (self));
  g_return_if_fail (is_socket (socket));
  g_return_if_fail (G_IS_SOCKET_ADDRESS (address));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  call = begin (self, socket, EVP_OPERATION_CONNECT, evp_event_loop_sock_connect_async,
                cancellable, callback, user_data);
  if (call == NULL)
    return;
  if (!evp_operation_set_address (call->operation, address, &error))
    {
      fail_later (call, error);
      return;
    }
  call->address = g_object_ref (address);
  task = g_object_ref (call->task);
  submit (call);
  if (!evp_loop_task_get_returned (task))
    evp_loop_task_set_cancel_func (task, connect_cancelled_cb, call);
  g_object_unref (task);
}

/**
 * evp_event_loop_sock_connect_finish:
 * @self: a loop
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Finishes [method@Evp.AbstractEventLoop.sock_connect_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: as [method@Evp.AbstractEventLoop.sock_recv_finish]; the message names the address.
 *
 * Returns: whether the socket is connected
 *
 * Since: 1.0
 */
gboolean
evp_event_loop_sock_connect_finish (EvpAbstractEventLoop *self,
                                    GAsyncResult         *result,
                                    GError              **error)
{
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_event_loop_sock_connect_async), FALSE);

  return evp_loop_task_propagate_int ((EvpLoopTask *) result, error) >= 0;
}
