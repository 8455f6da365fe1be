/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-operation-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-base-event-loop-private.h"

#include <errno.h>
#include <math.h>

/*
 * Operations by readiness: the system call is tried at once, and again whenever the descriptor is ready.
 *
 * The registration with the loop outlives the wait, because the next wait is usually near; if the
 * descriptor becomes ready while nobody waits, it is taken out. So a busy socket costs no epoll_ctl() and
 * an idle one wakes nobody up.
 *
 * A descriptor that may be closed without a word is treated so only on epoll, which forgets it by itself;
 * otherwise it is registered for as long as somebody waits.
 *
 * A try that took less than there was room for has emptied the socket: the next one waits first. One that filled
 * its buffer may have left something, so the next tries again, unless that has been in vain before: then the
 * buffer is as long as the messages, and who asks for the next one has not got it yet. Now and then it tries all the
 * same, as messages may come to be sent without waiting for the answer.
 */
typedef struct
{
  gatomicrefcount ref_count;
  EvpOperation *operation; /* not owned; NULL once it has gone; see link_lock */
  EvpAbstractEventLoop *loop;
  GThread *thread;
  int fd;
  EvpIOEvents direction;
  gboolean registered;
  gboolean waiting;
  gboolean outlives; /* the registration outlives the wait */
  /*
   * A timer that never fires, while an operation waits whose registration was replaced: the loop drops it
   * when it closes. It holds a reference to this.
   */
  EvpTimerHandle *replaced;
} EvpReadiness;

/*
 * Guards the link between an operation and its registration where one of the two goes: an
 * operation may go on another thread, when a garbage collector drops a stream. Never taken while
 * something is being waited for.
 */
static GMutex link_lock;

/*
 * What comes without a buffer of the caller goes through one of the loop, which stays warm, and into memory of
 * the right size; only if there is much of it, that buffer is given away instead. Larger ones are made for
 * each call.
 */
#define SCRATCH_SIZE (64 * 1024)
#define COPIED_SIZE (16 * 1024)

#define VAIN_TRIES 2  /* in a row, before it waits first */
#define TRY_EVERY 16  /* then; a power of two */

static gssize
try_operation (EvpLoopCore  *core,
               EvpOperation *operation,
               gboolean      again)
{
  gpointer scratch;
  gssize result;

  if ((operation->flags & EVP_OPERATION_ALLOCATE) == 0 || operation->buffer != NULL || core == NULL
      || operation->length > SCRATCH_SIZE)
    return evp_operation_try (operation, again);

  scratch = core->scratch != NULL ? g_steal_pointer (&core->scratch) : g_malloc (SCRATCH_SIZE);
  operation->buffer = scratch;
  result = evp_operation_try (operation, again);
  if (result > COPIED_SIZE)
    return result; /* with the buffer */
  operation->buffer = NULL;
  if (result > 0)
    {
      operation->buffer = g_memdup2 (scratch, (gsize) result);
      operation->length = (gsize) result;
    }
  if (core->closed)
    g_free (scratch);
  else
    core->scratch = scratch;
  return result;
}

/* Parts a registration from its operation, which may have gone already: then the result is NULL. */
static EvpOperation *
part (EvpReadiness *self)
{
  EvpOperation *operation;

  g_mutex_lock (&link_lock);
  operation = g_steal_pointer (&self->operation);
  if (operation != NULL)
    {
      operation->flags &= (guint8) ~EVP_OPERATION_DRAINED;
      operation->engine_count = 0;
      operation->engine_data = NULL;
      g_atomic_pointer_set (&operation->engine_free, NULL);
    }
  g_mutex_unlock (&link_lock);
  return operation;
}

static void
unregister (EvpReadiness *self)
{
  if (!self->registered)
    return;
  self->registered = FALSE; /* first: the notify that follows is ours */
  part (self);              /* not then: a loop written elsewhere may keep the callback for a while */
  evp_loop_unwatch_fd (self->loop, self->direction, self->fd);
}

static void
ready_cb (int      fd,
          gpointer user_data)
{
  EvpReadiness *self = user_data;
  EvpOperation *operation = self->operation;
  EvpLoopCore *core = evp_loop_peek_core (self->loop);
  const gboolean here = core != NULL && core->may_deliver;
  gssize result;

  if (here)
    core->may_deliver = FALSE;
  if (!self->waiting)
    {
      unregister (self);
      return;
    }
  result = try_operation (core, operation, TRUE);
  if (result == -EAGAIN || result == -EWOULDBLOCK)
    return;
  self->waiting = FALSE;
  if (!self->outlives)
    unregister (self);
  if (here)
    evp_loop_deliver_operation (operation, result);
  else
    evp_operation_complete (operation, result);
}

static void
readiness_unref (gpointer user_data)
{
  EvpReadiness *self = user_data;

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_object_unref (self->loop);
  g_free (self);
}

static void
replaced_cb (gpointer user_data)
{
}

/* The operation was cancelled, or the loop closes. */
static void
replaced_gone_cb (gpointer user_data)
{
  EvpReadiness *self = user_data;
  EvpOperation *operation = NULL;

  if (self->replaced != NULL)
    {
      g_clear_pointer (&self->replaced, evp_timer_handle_unref);
      self->waiting = FALSE;
      operation = part (self);
    }
  if (operation != NULL)
    evp_operation_fail (operation, ECANCELED);
  readiness_unref (self);
}

static void
wait_for_close (EvpReadiness *self)
{
  EvpTimerHandle *timer;

  g_atomic_ref_count_inc (&self->ref_count);
  timer = evp_event_loop_call_later (self->loop, INFINITY, replaced_cb, self, replaced_gone_cb, NULL);
  if (timer != NULL)
    self->replaced = evp_timer_handle_ref (timer);
}

/* It may be the end of this. */
static void
stop_waiting_for_close (EvpReadiness *self)
{
  EvpTimerHandle *timer = g_steal_pointer (&self->replaced);

  part (self);
  evp_timer_handle_cancel (timer);
  evp_timer_handle_unref (timer);
}

/*
 * The loop has let go of the registration: it was asked to, it closes, or somebody else has registered
 * the descriptor. In the last case the operation waits in vain until it is cancelled or the loop closes, as
 * in asyncio.
 */
static void
forgotten_cb (gpointer user_data)
{
  EvpReadiness *self = user_data;
  EvpOperation *operation;

  self->registered = FALSE;
  if (self->waiting && !evp_event_loop_is_closed (self->loop))
    wait_for_close (self);
  else
    {
      const gboolean waiting = self->waiting;

      self->waiting = FALSE;
      operation = part (self);
      if (operation != NULL && waiting)
        evp_operation_fail (operation, ECANCELED);
    }
  readiness_unref (self);
}

static void
unregister_cb (gpointer user_data)
{
  unregister (user_data);
}

/* The operation goes, or its descriptor will be closed. Nothing is being waited for. */
static void
readiness_release (EvpOperation *operation)
{
  EvpReadiness *self;

  g_mutex_lock (&link_lock);
  self = operation->engine_data;
  operation->engine_data = NULL;
  if (self != NULL)
    {
      self->operation = NULL;
      g_atomic_ref_count_inc (&self->ref_count);
    }
  g_mutex_unlock (&link_lock);

  if (self == NULL)
    return;
  if (self->thread != g_thread_self ()
      && evp_event_loop_call_soon_threadsafe (self->loop, unregister_cb, self, readiness_unref, NULL))
    return;
  if (self->thread == g_thread_self ())
    {
      unregister (self);
      readiness_unref (self);
    }
}

/* Whether closing a descriptor ends its registration with the loop. */
static gboolean
forgets_closed (EvpAbstractEventLoop *loop)
{
  EvpLoopCore *core = evp_loop_peek_core (loop);

  return core != NULL && core->io_funcs != NULL && core->io_funcs->forgets_closed != NULL
         && core->io_funcs->forgets_closed (core->io);
}

static gboolean
wait_ready (EvpAbstractEventLoop *loop,
            EvpOperation         *operation,
            GError              **error)
{
  EvpReadiness *self = operation->engine_data;

  if (self == NULL)
    {
      self = g_new (EvpReadiness, 1);
      g_atomic_ref_count_init (&self->ref_count);
      self->operation = operation;
      self->loop = g_object_ref (loop);
      self->thread = g_thread_self ();
      self->fd = operation->fd;
      self->direction = evp_operation_get_direction (operation);
      self->registered = TRUE;
      self->waiting = FALSE; /* a refusal must not complete it as well */
      self->outlives = FALSE; /* not known before there is a selector */
      self->replaced = NULL;
      operation->engine_data = self;
      operation->engine_free = readiness_release;
      if (!evp_loop_watch_fd (loop, self->direction, self->fd, ready_cb, self, forgotten_cb, error))
        return FALSE; /* and freed */
      self->outlives = operation->kind != EVP_OPERATION_CONNECT
                       && ((operation->flags & EVP_OPERATION_BORROWED) == 0 || forgets_closed (loop));
    }
  self->waiting = TRUE;
  return TRUE;
}

/* Whether to receive before there is word that something has come; `engine_count` counts those who did not, in a row. */
static inline gboolean
is_worth_a_try (EvpOperation *operation)
{
  if ((operation->flags & EVP_OPERATION_DRAINED) != 0)
    {
      operation->flags &= (guint8) ~EVP_OPERATION_DRAINED;
      return FALSE;
    }
  return operation->engine_count < VAIN_TRIES || ++operation->engine_count % TRY_EVERY == 0;
}

gboolean
evp_loop_readiness_submit (EvpAbstractEventLoop *loop,
                           EvpOperation         *operation,
                           GError              **error)
{
  const gboolean receives = operation->kind == EVP_OPERATION_RECV;
  gssize result;

  if (operation->kind == EVP_OPERATION_READ || operation->kind == EVP_OPERATION_WRITE)
    {
      evp_set_error_unimplemented (error, loop, operation->kind == EVP_OPERATION_READ ? "read_async" : "write_async");
      return FALSE;
    }
  if (receives && !is_worth_a_try (operation))
    return wait_ready (loop, operation, error);
  result = try_operation (evp_loop_peek_core (loop), operation, FALSE);
  if (result == -EAGAIN || result == -EWOULDBLOCK)
    {
      if (receives)
        operation->engine_count++;
      return wait_ready (loop, operation, error);
    }
  if (receives)
    operation->engine_count = 0;
  evp_operation_complete (operation, result);
  return TRUE;
}

void
evp_loop_readiness_cancel (EvpAbstractEventLoop *loop,
                           EvpOperation         *operation)
{
  EvpReadiness *self = operation->engine_data;

  if (self != NULL)
    {
      self->waiting = FALSE;
      if (self->replaced != NULL)
        stop_waiting_for_close (self);
      else if (!self->outlives)
        unregister (self);
    }
  evp_operation_fail (operation, ECANCELED);
}
