/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/proactor/evp-gio-proactor.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/proactor/evp-file-pool-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <limits.h>
#include <sys/stat.h>

/**
 * EvpGioProactor:
 *
 * A proactor that needs nothing but GLib's main context and threads.
 *
 * It works wherever the library does, and is what a loop falls back to where io_uring is not available.
 * On a system with io_uring, `EVP_PROACTOR=gio` asks for it.
 *
 * What concerns a socket or a pipe is tried at once, on the loop's thread; if it would have to wait, a
 * source of the main context waits for it, and it is tried again. The source stays, since the next
 * wait is usually near, and leaves when something comes that nobody waits for. Files are read and
 * written by a few threads, which are started when the first file is, and end with the proactor.
 *
 * A request that a thread works on cannot be interrupted: cancelled, it ends with its
 * result. Closing waits for it.
 *
 * Costs: the main context polls each socket that waits: O(n) per turn, as in every program on GLib. A
 * file costs two changes of thread.
 *
 * Use it from the thread of its loop.
 *
 * Since: 1.0
 */

typedef struct _EvpGioWait EvpGioWait;

/* All waits of a proactor; they may go on any thread, and outlive it. */
typedef struct
{
  gatomicrefcount ref_count;
  GMutex lock; /* protects the list and its links; nothing else is called while it is held */
  EvpGioWait *first;
} EvpGioWaits;

/* The source that waits for an operation: as long as the operation lives, or until it is not wanted. */
struct _EvpGioWait
{
  GSource source;

  EvpGioWaits *waits; /* owned */
  EvpGioWait *next, *previous;
  gboolean listed;

  /* the loop's thread only */
  EvpOperation *operation; /* that waits; owned; NULL: none */
  gpointer tag;
  int fd;
  GIOCondition condition;
};

/* Completes what the file threads have done. */
typedef struct
{
  GSource source;
  EvpGioProactor *proactor; /* borrowed: it destroys the source */
} EvpGioCollector;

typedef struct
{
  GMainContext *context; /* NULL: not attached, or closed */
  gboolean closed;       /* for good */
  EvpGioWaits *waits;
  EvpFilePool *pool;  /* NULL: no file has been touched */
  GSource *collector; /* with the pool */
} EvpGioProactorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (EvpGioProactor, evp_gio_proactor, EVP_TYPE_PROACTOR)

#define PRIVATE(self) \
  ((EvpGioProactorPrivate *) evp_gio_proactor_get_instance_private ((EvpGioProactor *) (self)))

static void
evp_gio_waits_unref (EvpGioWaits *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* Any thread. */
static void
evp_gio_wait_leave (EvpGioWait *self)
{
  EvpGioWaits *waits = self->waits;

  g_mutex_lock (&waits->lock);
  if (self->listed)
    {
      if (self->previous != NULL)
        self->previous->next = self->next;
      else
        waits->first = self->next;
      if (self->next != NULL)
        self->next->previous = self->previous;
      self->listed = FALSE;
    }
  g_mutex_unlock (&waits->lock);
  g_source_destroy (&self->source);
}

/* The operation's `engine_free`: it goes or its descriptor will be closed, on any thread. */
static void
evp_gio_wait_release (EvpOperation *operation)
{
  EvpGioWait *self = g_steal_pointer (&operation->engine_data);

  operation->engine_free = NULL;
  evp_gio_wait_leave (self);
  g_source_unref (&self->source);
}

static void
complete (EvpOperation *operation, /* (transfer full) */
          gssize        result)
{
  evp_operation_complete (operation, result);
  evp_operation_unref (operation);
}

static gssize
result_of_poll (EvpOperation *operation,
                GIOCondition  revents)
{
  const gboolean hung_up = (revents & (G_IO_HUP | G_IO_ERR)) != 0;
  EvpIOEvents events = EVP_IO_EVENTS_NONE;

  if (hung_up || (revents & G_IO_IN) != 0)
    events |= EVP_IO_EVENTS_READ;
  if (hung_up || (revents & G_IO_OUT) != 0)
    events |= EVP_IO_EVENTS_WRITE;
  events &= operation->events;
  return events != 0 ? (gssize) events : -EAGAIN;
}

static GIOCondition
condition_of (EvpOperation *operation)
{
  EvpIOEvents events = evp_operation_get_direction (operation);

  return ((events & EVP_IO_EVENTS_READ) != 0 ? G_IO_IN : 0) | ((events & EVP_IO_EVENTS_WRITE) != 0 ? G_IO_OUT : 0);
}

/*
 * A pipe, say, that may be blocking. Since the context has asked it, another operation may have taken what made it
 * ready, so it is asked again; what is ready takes PIPE_BUF bytes, at least.
 */
static gssize
try_file (EvpOperation *operation)
{
  const gsize length = operation->length;
  const int flags = fcntl (operation->fd, F_GETFL);
  GPollFD ready = { .fd = operation->fd, .events = (gushort) condition_of (operation) };
  gssize result;

  if (flags >= 0 && (flags & O_NONBLOCK) == 0)
    {
      if (g_poll (&ready, 1, 0) <= 0)
        return -EAGAIN;
      if (operation->kind == EVP_OPERATION_WRITE)
        operation->length = MIN (length, PIPE_BUF);
    }
  result = evp_operation_try (operation, TRUE);
  operation->length = length;
  return result;
}

static gboolean
evp_gio_wait_dispatch (GSource    *source,
                       GSourceFunc callback,
                       gpointer    user_data)
{
  EvpGioWait *self = (EvpGioWait *) source;
  GIOCondition revents = g_source_query_unix_fd (source, self->tag);
  gssize result;

  if (self->operation == NULL)
    {
      evp_gio_wait_leave (self);
      return G_SOURCE_REMOVE;
    }
  if ((revents & G_IO_NVAL) != 0)
    result = -EBADF;
  else if (self->operation->kind == EVP_OPERATION_POLL)
    result = result_of_poll (self->operation, revents);
  else if (self->operation->kind == EVP_OPERATION_READ || self->operation->kind == EVP_OPERATION_WRITE)
    result = try_file (self->operation);
  else
    result = evp_operation_try (self->operation, TRUE);

  if (result == -EAGAIN || result == -EWOULDBLOCK)
    return G_SOURCE_CONTINUE;
  complete (g_steal_pointer (&self->operation), result);
  return G_SOURCE_CONTINUE;
}

static void
evp_gio_wait_finalize (GSource *source)
{
  evp_gio_waits_unref (((EvpGioWait *) source)->waits);
}

static GSourceFuncs evp_gio_wait_funcs = {
  .dispatch = evp_gio_wait_dispatch,
  .finalize = evp_gio_wait_finalize,
};

static void
wait_ready (EvpGioProactorPrivate *priv,
            EvpOperation          *operation)
{
  const GIOCondition condition = condition_of (operation);
  EvpGioWait *self = operation->engine_data;

  if (self != NULL
      && (g_source_is_destroyed (&self->source) || self->fd != operation->fd || self->condition != condition))
    {
      evp_gio_wait_release (operation);
      self = NULL;
    }
  if (self == NULL)
    {
      self = (EvpGioWait *) g_source_new (&evp_gio_wait_funcs, sizeof (EvpGioWait));
      g_source_set_static_name (&self->source, "[evp] operation");
      g_source_set_can_recurse (&self->source, TRUE);
      g_atomic_ref_count_inc (&priv->waits->ref_count);
      self->waits = priv->waits;
      self->fd = operation->fd;
      self->condition = condition;
      self->tag = g_source_add_unix_fd (&self->source, operation->fd, condition);
      g_source_attach (&self->source, priv->context);
      operation->engine_data = self;
      operation->engine_free = evp_gio_wait_release;

      g_mutex_lock (&priv->waits->lock);
      self->next = priv->waits->first;
      if (self->next != NULL)
        self->next->previous = self;
      priv->waits->first = self;
      self->listed = TRUE;
      g_mutex_unlock (&priv->waits->lock);
    }
  self->operation = evp_operation_ref (operation);
}

static void
complete_all (EvpOperation *operation)
{
  while (operation != NULL)
    {
      EvpOperation *next = g_steal_pointer (&operation->next);

      complete (operation, operation->result);
      operation = next;
    }
}

static guint
collect (EvpGioProactorPrivate *priv)
{
  EvpOperation *done = priv->pool != NULL ? evp_file_pool_collect (priv->pool) : NULL;
  guint n = 0;

  for (EvpOperation *operation = done; operation != NULL; operation = operation->next)
    n++;
  complete_all (done);
  return n;
}

static gboolean
evp_gio_collector_dispatch (GSource    *source,
                            GSourceFunc callback,
                            gpointer    user_data)
{
  g_source_set_ready_time (source, -1); /* first: what is done from here on is told anew */
  collect (PRIVATE (((EvpGioCollector *) source)->proactor));
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs evp_gio_collector_funcs = {
  .dispatch = evp_gio_collector_dispatch,
};

/* On a worker. */
static void
collector_notify (gpointer collector)
{
  g_source_set_ready_time (collector, 0);
}

static gboolean
submit_to_pool (EvpGioProactor *self,
                EvpOperation   *operation,
                GError        **error)
{
  EvpGioProactorPrivate *priv = PRIVATE (self);

  if (priv->pool == NULL)
    {
      priv->collector = g_source_new (&evp_gio_collector_funcs, sizeof (EvpGioCollector));
      g_source_set_static_name (priv->collector, "[evp] files");
      g_source_set_can_recurse (priv->collector, TRUE);
      ((EvpGioCollector *) priv->collector)->proactor = self;
      g_source_attach (priv->collector, priv->context);
      priv->pool = evp_file_pool_new (collector_notify, priv->collector);
    }
  evp_operation_ref (operation);
  if (evp_file_pool_submit (priv->pool, operation, error))
    return TRUE;
  evp_operation_unref (operation);
  return FALSE;
}

/* What can be waited for does not occupy a thread: pipes, terminals, descriptors that are no files at all. */
static gboolean
submit_file (EvpGioProactor *self,
             EvpOperation   *operation,
             GError        **error)
{
  struct stat status;

  if (fstat (operation->fd, &status) != 0)
    status.st_mode = S_IFREG; /* the call itself will say what is wrong */
  if (S_ISREG (status.st_mode) || S_ISBLK (status.st_mode) || S_ISDIR (status.st_mode))
    return submit_to_pool (self, operation, error);
  if ((S_ISFIFO (status.st_mode) || S_ISSOCK (status.st_mode)) && operation->offset >= 0)
    complete (evp_operation_ref (operation), -ESPIPE);
  else
    wait_ready (PRIVATE (self), operation);
  return TRUE;
}

static void
evp_gio_proactor_attach (EvpProactor  *self,
                         GMainContext *context)
{
  EvpGioProactorPrivate *priv = PRIVATE (self);

  g_return_if_fail (priv->context == NULL);

  if (!priv->closed)
    priv->context = g_main_context_ref (context);
}

static gboolean
evp_gio_proactor_supports (EvpProactor     *self,
                           EvpOperationKind kind)
{
  return TRUE;
}

static gboolean
evp_gio_proactor_submit (EvpProactor  *self,
                         EvpOperation *operation,
                         GError      **error)
{
  EvpGioProactorPrivate *priv = PRIVATE (self);
  gssize result;

  if (priv->context == NULL)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                           _("The proactor is closed or belongs to no event loop; attach a new one"));
      return FALSE;
    }
  if (operation->kind == EVP_OPERATION_READ || operation->kind == EVP_OPERATION_WRITE)
    return submit_file (EVP_GIO_PROACTOR (self), operation, error);

  if ((operation->flags & EVP_OPERATION_DRAINED) != 0 && operation->kind == EVP_OPERATION_RECV)
    {
      operation->flags &= (guint8) ~EVP_OPERATION_DRAINED;
      result = -EAGAIN;
    }
  else
    result = evp_operation_try (operation, FALSE);

  if (result == -EAGAIN || result == -EWOULDBLOCK)
    wait_ready (priv, operation);
  else
    complete (evp_operation_ref (operation), result);
  return TRUE;
}

static void
evp_gio_proactor_cancel (EvpProactor  *self,
                         EvpOperation *operation)
{
  EvpGioProactorPrivate *priv = PRIVATE (self);
  EvpGioWait *wait = operation->engine_data;

  if (operation->state != EVP_OPERATION_SUBMITTED)
    return;
  if (wait != NULL && wait->operation == operation)
    complete (g_steal_pointer (&wait->operation), -ECANCELED);
  else if (priv->pool != NULL && evp_file_pool_cancel (priv->pool, operation))
    complete (operation, -ECANCELED);
}

static guint
evp_gio_proactor_poll (EvpProactor *self)
{
  return collect (PRIVATE (self));
}

static void
evp_gio_proactor_close (EvpProactor *self)
{
  EvpGioProactorPrivate *priv = PRIVATE (self);
  EvpFilePool *pool = g_steal_pointer (&priv->pool);
  EvpGioWait *wait;

  priv->closed = TRUE;
  g_clear_pointer (&priv->context, g_main_context_unref);

  /* one by one: what is told below may bring more operations to their end */
  while (TRUE)
    {
      EvpOperation *operation;

      g_mutex_lock (&priv->waits->lock);
      wait = priv->waits->first;
      if (wait != NULL)
        g_source_ref (&wait->source);
      g_mutex_unlock (&priv->waits->lock);
      if (wait == NULL)
        break;
      evp_gio_wait_leave (wait);
      operation = g_steal_pointer (&wait->operation);
      if (operation != NULL)
        complete (operation, -ECANCELED);
      g_source_unref (&wait->source);
    }

  if (pool != NULL)
    {
      EvpOperation *done = evp_file_pool_close (pool);

      g_source_destroy (priv->collector);
      g_clear_pointer (&priv->collector, g_source_unref);
      complete_all (done);
    }
}

static void
evp_gio_proactor_dispose (GObject *object)
{
  evp_gio_proactor_close (EVP_PROACTOR (object));

  G_OBJECT_CLASS (evp_gio_proactor_parent_class)->dispose (object);
}

static void
evp_gio_proactor_finalize (GObject *object)
{
  evp_gio_waits_unref (PRIVATE (object)->waits);

  G_OBJECT_CLASS (evp_gio_proactor_parent_class)->finalize (object);
}

static void
evp_gio_proactor_class_init (EvpGioProactorClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  EvpProactorClass *proactor_class = EVP_PROACTOR_CLASS (klass);

  proactor_class->attach = evp_gio_proactor_attach;
  proactor_class->supports = evp_gio_proactor_supports;
  proactor_class->submit = evp_gio_proactor_submit;
  proactor_class->cancel = evp_gio_proactor_cancel;
  proactor_class->poll = evp_gio_proactor_poll;
  proactor_class->close = evp_gio_proactor_close;

  object_class->dispose = evp_gio_proactor_dispose;
  object_class->finalize = evp_gio_proactor_finalize;
}

static void
evp_gio_proactor_init (EvpGioProactor *self)
{
  EvpGioProactorPrivate *priv = PRIVATE (self);

  priv->waits = g_new0 (EvpGioWaits, 1);
  g_atomic_ref_count_init (&priv->waits->ref_count);
  g_mutex_init (&priv->waits->lock);
}

/**
 * evp_gio_proactor_new:
 *
 * Makes a proactor. It starts no thread and opens no file before it has something to do.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): a new proactor
 *
 * Since: 1.0
 */
EvpProactor *
evp_gio_proactor_new (void)
{
  return g_object_new (EVP_TYPE_GIO_PROACTOR, NULL);
}
