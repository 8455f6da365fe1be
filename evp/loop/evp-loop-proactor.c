/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-proactor-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/loop/evp-loop-source-private.h"
#include "evp/os/evp-os-fork-private.h"
#include "evp/proactor/evp-gio-proactor.h"
#include "evp/proactor/evp-operation-private.h"
#include "evp/proactor/evp-uring-proactor-private.h"

/* So many rounds of operations may go by before descriptors are looked at. */
#define MAX_UNWATCHED 16

/*
 * Operations go to the proactor; readers and writers have a selector beside it, made with the first of them.
 *
 * They could be requests of the ring. But such a request holds the open file, not its number: a
 * descriptor that was closed while it was watched, or before the ring learned that it is watched no longer,
 * would stay open in the kernel, its port taken and its peer waiting for the end of the stream. An epoll
 * set forgets what is closed.
 */
struct _EvpLoopProactor
{
  EvpLoopCore *core; /* which owns this */
  EvpLoopIo *readiness;
  const EvpLoopIoFuncs *readiness_funcs;
  EvpProactor *proactor;
  EvpUringProactor *uring; /* the same, if it is the library's own: not asked through its slots */
  gboolean automatic;      /* the proactor was not given: it may be another later */
  gboolean fell_back;      /* it is; operations may still remember the first */
  gboolean attached;
  gboolean submitted;      /* something was, since the proactor was last polled */
  gboolean delivering;     /* what it completed then is queued, up to this generation of the loop */
  guint32 generation;
  guint n_unwatched;       /* how often in a row descriptors were not asked about */
  int polled_fd;           /* the proactor's, once the context polls it; else -1 */
  GPollFD *tag;
};

static GQuark
taken_quark (void)
{
  return g_quark_from_static_string ("evp-loop-owns-proactor");
}

static void
take (EvpLoopProactor *self,
      EvpProactor     *proactor)
{
  self->proactor = proactor;
  g_object_set_qdata (G_OBJECT (proactor), taken_quark (), self);
  if (EVP_IS_URING_PROACTOR (proactor))
    self->uring = EVP_URING_PROACTOR (proactor);
}

EvpProactor *
evp_loop_proactor_get_proactor (EvpLoopProactor *self)
{
  if (self->proactor == NULL)
    {
      self->automatic = TRUE;
      take (self, evp_proactor_new_default ());
      if (self->uring != NULL)
        evp_uring_proactor_set_has_substitute (self->uring);
    }
  return self->proactor;
}

EvpLoopIo *
evp_loop_proactor_get_readiness (EvpLoopProactor *self)
{
  return self->readiness;
}

gboolean
evp_loop_proactor_submit (EvpLoopProactor *self,
                          EvpOperation    *operation,
                          GError         **error)
{
  EvpProactor *proactor = evp_loop_proactor_get_proactor (self);

  if (G_UNLIKELY (self->fell_back))
    evp_uring_proactor_disown (operation);
  if (self->uring == NULL && !evp_proactor_supports (proactor, (EvpOperationKind) operation->kind))
    {
      /* it brings its own */
      if ((operation->flags & EVP_OPERATION_ALLOCATE) != 0)
        g_clear_pointer (&operation->buffer, g_free);
      return evp_loop_readiness_submit (self->core->loop, operation, error);
    }

  if (G_UNLIKELY (!self->attached))
    {
      evp_proactor_attach (proactor, self->core->context);
      self->attached = TRUE;
    }
  if (!EVP_PROACTOR_GET_CLASS (proactor)->submit (proactor, operation, error))
    return FALSE;
  self->submitted = TRUE;
  evp_loop_core_wake (self->core);
  return TRUE;
}

void
evp_loop_proactor_cancel (EvpLoopProactor *self,
                          EvpOperation    *operation)
{
  if (self->uring == NULL && !evp_proactor_supports (self->proactor, (EvpOperationKind) operation->kind))
    {
      evp_loop_readiness_cancel (self->core->loop, operation);
      return;
    }
  evp_proactor_cancel (self->proactor, operation);
  self->submitted = TRUE;
  evp_loop_core_wake (self->core);
}

static void
poll_proactor_fd (EvpLoopProactor *self)
{
  int fd = evp_proactor_get_fd (self->proactor);

  if (G_LIKELY (fd == self->polled_fd))
    return;
  if (self->tag != NULL)
    evp_loop_source_remove_fd (self->core, g_steal_pointer (&self->tag));
  self->polled_fd = fd;
  if (fd >= 0)
    self->tag = evp_loop_source_add_fd (self->core, fd, G_IO_IN);
}

/*
 * The ring that worked when it was tried cannot be made, or does not work any more: a limit was reached, a sandbox
 * closed. GLib's means take over, with what was submitted.
 */
static void
fall_back (EvpLoopProactor *self,
           int              reason)
{
  g_autoptr (EvpProactor) first = self->proactor;
  EvpUringProactor *uring = self->uring;
  EvpOperation *operation;

  EVP_DEBUG_NOTE (EVP_DEBUG_LOOP, "io_uring is given up for GLib's means: %s", g_strerror (reason));
  if (self->tag != NULL)
    evp_loop_source_remove_fd (self->core, g_steal_pointer (&self->tag));
  self->polled_fd = -1;
  self->uring = NULL;
  self->fell_back = TRUE;
  take (self, evp_gio_proactor_new ());
  evp_proactor_attach (self->proactor, self->core->context);
  while ((operation = evp_uring_proactor_take_waiting (uring)) != NULL)
    if (!evp_loop_proactor_submit (self, operation, NULL))
      evp_operation_fail (operation, reason);
  evp_proactor_close (first);
}

static gboolean
evp_loop_proactor_prepare (gpointer io)
{
  EvpLoopProactor *self = io;

  if (!self->attached)
    return FALSE;
  if (self->uring == NULL)
    return self->submitted;
  return evp_uring_proactor_prepare (self->uring);
}

static gboolean
proactor_is_ready (EvpLoopProactor *self)
{
  if (!self->attached)
    return FALSE;
  if (self->tag != NULL && self->core->source != NULL && self->tag->revents != 0)
    return TRUE;
  return self->uring != NULL ? evp_uring_proactor_has_work (self->uring) : self->submitted;
}

static gboolean
evp_loop_proactor_polled (gpointer io)
{
  EvpLoopProactor *self = io;

  return proactor_is_ready (self) || self->readiness_funcs->polled (self->readiness);
}

/*
 * As with descriptors, the kernel is asked again only when all that it completed has been told:
 * what is submitted meanwhile is handed over together then.
 */
static gboolean
is_delivering (EvpLoopProactor *self)
{
  EvpHandle *head = self->core->ready.head;

  if (self->delivering)
    self->delivering = head != NULL && (gint32) (head->generation - self->generation) <= 0;
  return self->delivering;
}

/*
 * A loop that lives on operations watches few descriptors, its servers' perhaps, and they are
 * rarely ready. The context's poll tells; between two of them it is enough to ask now and then.
 */
static gboolean
must_ask_readiness (EvpLoopProactor *self,
                    guint            harvested)
{
  if ((harvested > 0 || self->core->ready.head == NULL) && ++self->n_unwatched < MAX_UNWATCHED
      && !self->readiness_funcs->polled (self->readiness))
    return FALSE;
  self->n_unwatched = 0;
  return TRUE;
}

static guint
evp_loop_proactor_harvest (gpointer io)
{
  EvpLoopProactor *self = io;
  guint harvested = 0;

  if (self->attached)
    {
      if (is_delivering (self))
        return 1;
      self->submitted = FALSE;
      harvested = EVP_PROACTOR_GET_CLASS (self->proactor)->poll (self->proactor);
      if (G_UNLIKELY (harvested == 0 && self->automatic && self->uring != NULL))
        {
          int refused = evp_uring_proactor_get_refused (self->uring);

          if (refused != 0)
            fall_back (self, refused);
        }
      self->delivering = harvested > 0;
      self->generation = self->core->generation;
      poll_proactor_fd (self);
      if (!must_ask_readiness (self, harvested))
        return harvested;
    }
  return harvested + self->readiness_funcs->harvest (self->readiness);
}

static void
evp_loop_proactor_settle (gpointer   io,
                          EvpHandle *handle)
{
  EvpLoopProactor *self = io;

  self->readiness_funcs->settle (self->readiness, handle);
}

static guint
evp_loop_proactor_count (gpointer io)
{
  EvpLoopProactor *self = io;

  return self->readiness_funcs->count (self->readiness);
}

/* What the proactor waits for is no matter: nothing of it outlives the wait. */
static gboolean
evp_loop_proactor_forgets_closed (gpointer io)
{
  EvpLoopProactor *self = io;

  return self->readiness_funcs->forgets_closed (self->readiness);
}

static void
evp_loop_proactor_close (gpointer io)
{
  EvpLoopProactor *self = io;

  self->tag = NULL;
  self->polled_fd = -1;
  if (self->proactor != NULL)
    evp_proactor_close (self->proactor);
  self->attached = FALSE;
  self->readiness_funcs->close (self->readiness);
}

static void
evp_loop_proactor_free (gpointer io)
{
  EvpLoopProactor *self = io;

  g_clear_object (&self->proactor);
  self->readiness_funcs->free (self->readiness);
  g_free (self);
}

static const EvpLoopIoFuncs evp_loop_proactor_funcs = {
  .prepare = evp_loop_proactor_prepare,
  .polled = evp_loop_proactor_polled,
  .harvest = evp_loop_proactor_harvest,
  .settle = evp_loop_proactor_settle,
  .count = evp_loop_proactor_count,
  .forgets_closed = evp_loop_proactor_forgets_closed,
  .close = evp_loop_proactor_close,
  .free = evp_loop_proactor_free,
};

gboolean
evp_loop_proactor_is_taken (EvpProactor *proactor)
{
  return g_object_get_qdata (G_OBJECT (proactor), taken_quark ()) != NULL;
}

EvpLoopProactor *
evp_loop_proactor_new (EvpLoopCore *core,
                       EvpProactor *proactor)
{
  EvpLoopProactor *self = g_new0 (EvpLoopProactor, 1);

  self->core = core;
  self->polled_fd = -1;
  /* it takes the core's place for descriptors, which is then ours */
  self->readiness = evp_loop_io_new (core, NULL);
  self->readiness_funcs = core->io_funcs;
  if (proactor != NULL)
    take (self, g_object_ref (proactor));
  core->io = self;
  core->io_funcs = &evp_loop_proactor_funcs;
  return self;
}
