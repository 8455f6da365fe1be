/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-proactor-event-loop.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-base-event-loop-private.h"
#include "evp/loop/evp-loop-proactor-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-fork-private.h"

/**
 * EvpProactorEventLoop:
 *
 * A loop that hands requests to a proactor and learns when they are done.
 *
 * It is the loop for asynchronous reading and writing of files. For sockets it does what
 * [class@Evp.SelectorEventLoop] does with fewer system calls, which pays with many small messages on many connections and
 * costs with large ones. Readers, writers, signals and child watchers work on it as well.
 *
 * ```c
 * g_autoptr (EvpAbstractEventLoop) loop = evp_proactor_event_loop_new (NULL, &error);
 * ```
 *
 * Without a proactor given it takes the best of this machine, and if that stops working, because of a limit or a
 * sandbox, [class@Evp.GioProactor] instead of it; give one with
 * [property@Evp.ProactorEventLoop:proactor] to choose, and to hear of errors then. A proactor that is given to
 * a loop belongs to it, and is closed with it. Closing ends what is pending, and waits until the system has let go of all buffers.
 *
 * A pending request belongs to the thread that ran the loop when it was made.
 *
 * Use it from the thread that iterates its main context; see [class@Evp.BaseEventLoop].
 *
 * In asyncio: `asyncio.ProactorEventLoop`, there for Windows only.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpLoopProactor *io;
} EvpProactorEventLoopPrivate;

static EvpAbstractEventLoopInterface *parent_iface;

static void evp_proactor_event_loop_iface_init (EvpAbstractEventLoopInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpProactorEventLoop, evp_proactor_event_loop, EVP_TYPE_BASE_EVENT_LOOP,
                         G_ADD_PRIVATE (EvpProactorEventLoop)
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, evp_proactor_event_loop_iface_init))

enum
{
  PROP_PROACTOR = 1,
  N_PROPS,
};

static GParamSpec *properties[N_PROPS];

#define PRIVATE(loop) \
  ((EvpProactorEventLoopPrivate *) evp_proactor_event_loop_get_instance_private ((EvpProactorEventLoop *) (loop)))

static gboolean
check_usable (EvpAbstractEventLoop *loop,
              GError              **error)
{
  EvpLoopCore *core = evp_base_event_loop_get_core (EVP_BASE_EVENT_LOOP (loop));

  if (G_UNLIKELY (core->closed))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return FALSE;
    }
  if (G_UNLIKELY (core->fork_generation != evp_os_fork_generation ()))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_FORKED,
                           _("The event loop belongs to the process from before fork(); make a new one in the child"));
      return FALSE;
    }
  return TRUE;
}

static gboolean
evp_proactor_event_loop_watch_reader (EvpAbstractEventLoop *loop,
                                      int                   fd,
                                      EvpHandle            *handle,
                                      GError              **error)
{
  return check_usable (loop, error)
         && evp_loop_io_watch (evp_loop_proactor_get_readiness (PRIVATE (loop)->io), fd, EVP_IO_EVENTS_READ,
                               handle, error);
}

static gboolean
evp_proactor_event_loop_watch_writer (EvpAbstractEventLoop *loop,
                                      int                   fd,
                                      EvpHandle            *handle,
                                      GError              **error)
{
  return check_usable (loop, error)
         && evp_loop_io_watch (evp_loop_proactor_get_readiness (PRIVATE (loop)->io), fd, EVP_IO_EVENTS_WRITE,
                               handle, error);
}

static gboolean
evp_proactor_event_loop_remove_reader (EvpAbstractEventLoop *loop,
                                       int                   fd)
{
  return check_usable (loop, NULL)
         && evp_loop_io_unwatch (evp_loop_proactor_get_readiness (PRIVATE (loop)->io), fd, EVP_IO_EVENTS_READ);
}

static gboolean
evp_proactor_event_loop_remove_writer (EvpAbstractEventLoop *loop,
                                       int                   fd)
{
  return check_usable (loop, NULL)
         && evp_loop_io_unwatch (evp_loop_proactor_get_readiness (PRIVATE (loop)->io), fd, EVP_IO_EVENTS_WRITE);
}

static gboolean
evp_proactor_event_loop_submit_operation (EvpAbstractEventLoop *loop,
                                          EvpOperation         *operation,
                                          GError              **error)
{
  return check_usable (loop, error) && evp_loop_proactor_submit (PRIVATE (loop)->io, operation, error);
}

static void
evp_proactor_event_loop_cancel_operation (EvpAbstractEventLoop *loop,
                                          EvpOperation         *operation)
{
  evp_loop_proactor_cancel (PRIVATE (loop)->io, operation);
}

static void
evp_proactor_event_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  parent_iface = g_type_interface_peek_parent (iface);

  iface->watch_reader = evp_proactor_event_loop_watch_reader;
  iface->watch_writer = evp_proactor_event_loop_watch_writer;
  iface->remove_reader = evp_proactor_event_loop_remove_reader;
  iface->remove_writer = evp_proactor_event_loop_remove_writer;
  iface->submit_operation = evp_proactor_event_loop_submit_operation;
  iface->cancel_operation = evp_proactor_event_loop_cancel_operation;
}

static void
evp_proactor_event_loop_constructed (GObject *object)
{
  EvpAbstractEventLoopInterface *own =
    g_type_interface_peek (g_type_class_peek (EVP_TYPE_PROACTOR_EVENT_LOOP), EVP_TYPE_EVENT_LOOP);

  /* see inspect_class() in evp-base-event-loop.c */
  if (own->watch_reader != evp_proactor_event_loop_watch_reader
      || own->watch_writer != evp_proactor_event_loop_watch_writer
      || own->remove_reader != evp_proactor_event_loop_remove_reader
      || own->remove_writer != evp_proactor_event_loop_remove_writer
      || own->submit_operation != evp_proactor_event_loop_submit_operation
      || own->cancel_operation != evp_proactor_event_loop_cancel_operation
      || own->run_forever != parent_iface->run_forever || own->schedule != parent_iface->schedule
      || own->schedule_timer != parent_iface->schedule_timer || own->close != parent_iface->close
      || own->schedule_threadsafe != parent_iface->schedule_threadsafe || own->stop != parent_iface->stop
      || own->create_future != parent_iface->create_future
      || own->default_exception_handler != parent_iface->default_exception_handler)
    g_critical ("A subclass wrote into EvpProactorEventLoop: list Evp.AbstractEventLoop among its bases");

  G_OBJECT_CLASS (evp_proactor_event_loop_parent_class)->constructed (object);
}

static void
evp_proactor_event_loop_get_property (GObject    *object,
                                      guint       prop_id,
                                      GValue     *value,
                                      GParamSpec *pspec)
{
  switch (prop_id)
    {
    case PROP_PROACTOR:
      g_value_set_object (value, evp_proactor_event_loop_get_proactor (EVP_PROACTOR_EVENT_LOOP (object)));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_proactor_event_loop_set_property (GObject      *object,
                                      guint         prop_id,
                                      const GValue *value,
                                      GParamSpec   *pspec)
{
  EvpLoopCore *core = evp_base_event_loop_get_core (EVP_BASE_EVENT_LOOP (object));
  EvpProactor *proactor;

  switch (prop_id)
    {
    case PROP_PROACTOR:
      proactor = g_value_get_object (value);
      if (proactor != NULL && evp_loop_proactor_is_taken (proactor))
        {
          g_critical ("The proactor already belongs to another event loop; make one for each");
          proactor = NULL;
        }
      PRIVATE (object)->io = evp_loop_proactor_new (core, proactor);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_proactor_event_loop_class_init (EvpProactorEventLoopClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = evp_proactor_event_loop_constructed;
  object_class->get_property = evp_proactor_event_loop_get_property;
  object_class->set_property = evp_proactor_event_loop_set_property;

  /**
   * EvpProactorEventLoop:proactor:
   *
   * The proactor; `NULL` at construction takes the best of this machine.
   *
   * A proactor that belongs to a loop already is not taken. One that the loop has taken by itself may later be another.
   * Construction cannot fail: a loop that is made with a closed proactor has everything but operations, of which
   * each fails with %EVP_ERROR_INVALID_STATE.
   *
   * Since: 1.0
   */
  properties[PROP_PROACTOR] =
    g_param_spec_object ("proactor", NULL, NULL, EVP_TYPE_PROACTOR,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_proactor_event_loop_init (EvpProactorEventLoop *self)
{
}

/**
 * evp_proactor_event_loop_new:
 * @main_context: (nullable): the main context to live in, or `NULL` for a new one
 * @error: return location for an error
 *
 * Makes a loop on the best proactor of this machine.
 *
 * Give a main context that somebody else iterates to adopt it: the loop then works without being run.
 *
 * May be called from any thread. O(1).
 *
 * Errors: those of the system, if no descriptor is left for a new main context. What else it refuses comes out
 * when the loop is first used.
 *
 * Returns: (transfer full) (type EvpProactorEventLoop): a new loop
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_proactor_event_loop_new (GMainContext *main_context,
                             GError      **error)
{
  if (main_context == NULL && !evp_os_fd_check_left (error))
    return NULL;
  return g_object_new (EVP_TYPE_PROACTOR_EVENT_LOOP, "main-context", main_context, NULL);
}

/**
 * evp_proactor_event_loop_get_proactor:
 * @self: a loop
 *
 * Gives the loop's proactor. It is the loop's to use: do not submit to it.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (transfer none): the proactor
 *
 * Since: 1.0
 */
EvpProactor *
evp_proactor_event_loop_get_proactor (EvpProactorEventLoop *self)
{
  g_return_val_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self), NULL);

  return evp_loop_proactor_get_proactor (PRIVATE (self)->io);
}
