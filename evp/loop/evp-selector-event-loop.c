/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-selector-event-loop.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-base-event-loop-private.h"
#include "evp/loop/evp-loop-io-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/os/evp-os-fork-private.h"

/**
 * EvpSelectorEventLoop:
 *
 * A loop that learns from a selector which file descriptors are ready.
 *
 * It is the usual loop on Unix. Without a selector given it takes the best of this machine, and makes it
 * when the first descriptor is watched; give one to choose.
 *
 * ```c
 * g_autoptr (EvpSelector) selector = evp_poll_selector_new ();
 * g_autoptr (EvpAbstractEventLoop) loop = evp_selector_event_loop_new (selector, NULL, &error);
 * ```
 *
 * A selector that is given to a loop belongs to it, and is closed with it.
 *
 * Costs: with [class@Evp.EpollSelector] O(1) per event, whatever the number of descriptors. With a selector
 * that has no descriptor of its own, the main context polls all of them each turn: O(n).
 *
 * Use it from the thread that iterates its main context; see [class@Evp.BaseEventLoop].
 *
 * In asyncio: `asyncio.SelectorEventLoop`.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpLoopIo *io;
} EvpSelectorEventLoopPrivate;

static EvpAbstractEventLoopInterface *parent_iface;

static void evp_selector_event_loop_iface_init (EvpAbstractEventLoopInterface *iface);

G_DEFINE_TYPE_WITH_CODE (EvpSelectorEventLoop, evp_selector_event_loop, EVP_TYPE_BASE_EVENT_LOOP,
                         G_ADD_PRIVATE (EvpSelectorEventLoop)
                         G_IMPLEMENT_INTERFACE (EVP_TYPE_EVENT_LOOP, evp_selector_event_loop_iface_init))

enum
{
  PROP_SELECTOR = 1,
  N_PROPS,
};

static GParamSpec *properties[N_PROPS];

#define PRIVATE(loop) \
  ((EvpSelectorEventLoopPrivate *) evp_selector_event_loop_get_instance_private ((EvpSelectorEventLoop *) (loop)))

static gboolean
watch (EvpAbstractEventLoop *loop,
       int                   fd,
       EvpIOEvents           direction,
       EvpHandle            *handle,
       GError              **error)
{
  EvpLoopCore *core = evp_base_event_loop_get_core (EVP_BASE_EVENT_LOOP (loop));

  if (core->closed)
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      return FALSE;
    }
  if (core->fork_generation != evp_os_fork_generation ())
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_FORKED,
                           _("The event loop belongs to the process from before fork(); make a new one in the child"));
      return FALSE;
    }
  return evp_loop_io_watch (PRIVATE (loop)->io, fd, direction, handle, error);
}

static gboolean
unwatch (EvpAbstractEventLoop *loop,
         int                   fd,
         EvpIOEvents           direction)
{
  EvpLoopCore *core = evp_base_event_loop_get_core (EVP_BASE_EVENT_LOOP (loop));

  return !core->closed && core->fork_generation == evp_os_fork_generation ()
         && evp_loop_io_unwatch (PRIVATE (loop)->io, fd, direction);
}

static gboolean
evp_selector_event_loop_watch_reader (EvpAbstractEventLoop *loop,
                                      int                   fd,
                                      EvpHandle            *handle,
                                      GError              **error)
{
  return watch (loop, fd, EVP_IO_EVENTS_READ, handle, error);
}

static gboolean
evp_selector_event_loop_watch_writer (EvpAbstractEventLoop *loop,
                                      int                   fd,
                                      EvpHandle            *handle,
                                      GError              **error)
{
  return watch (loop, fd, EVP_IO_EVENTS_WRITE, handle, error);
}

static gboolean
evp_selector_event_loop_remove_reader (EvpAbstractEventLoop *loop,
                                       int                   fd)
{
  return unwatch (loop, fd, EVP_IO_EVENTS_READ);
}

static gboolean
evp_selector_event_loop_remove_writer (EvpAbstractEventLoop *loop,
                                       int                   fd)
{
  return unwatch (loop, fd, EVP_IO_EVENTS_WRITE);
}

static void
evp_selector_event_loop_iface_init (EvpAbstractEventLoopInterface *iface)
{
  parent_iface = g_type_interface_peek_parent (iface);

  iface->watch_reader = evp_selector_event_loop_watch_reader;
  iface->watch_writer = evp_selector_event_loop_watch_writer;
  iface->remove_reader = evp_selector_event_loop_remove_reader;
  iface->remove_writer = evp_selector_event_loop_remove_writer;
}

static void
evp_selector_event_loop_constructed (GObject *object)
{
  EvpAbstractEventLoopInterface *own =
    g_type_interface_peek (g_type_class_peek (EVP_TYPE_SELECTOR_EVENT_LOOP), EVP_TYPE_EVENT_LOOP);

  /* see inspect_class() in evp-base-event-loop.c */
  if (own->watch_reader != evp_selector_event_loop_watch_reader
      || own->watch_writer != evp_selector_event_loop_watch_writer
      || own->remove_reader != evp_selector_event_loop_remove_reader
      || own->remove_writer != evp_selector_event_loop_remove_writer
      || own->run_forever != parent_iface->run_forever || own->schedule != parent_iface->schedule
      || own->schedule_timer != parent_iface->schedule_timer || own->close != parent_iface->close
      || own->schedule_threadsafe != parent_iface->schedule_threadsafe || own->stop != parent_iface->stop
      || own->create_future != parent_iface->create_future
      || own->default_exception_handler != parent_iface->default_exception_handler)
    g_critical ("A subclass wrote into EvpSelectorEventLoop: list Evp.AbstractEventLoop among its bases");

  G_OBJECT_CLASS (evp_selector_event_loop_parent_class)->constructed (object);
}

static void
evp_selector_event_loop_get_property (GObject    *object,
                                      guint       prop_id,
                                      GValue     *value,
                                      GParamSpec *pspec)
{
  switch (prop_id)
    {
    case PROP_SELECTOR:
      g_value_set_object (value, evp_selector_event_loop_get_selector (EVP_SELECTOR_EVENT_LOOP (object)));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_selector_event_loop_set_property (GObject      *object,
                                      guint         prop_id,
                                      const GValue *value,
                                      GParamSpec   *pspec)
{
  switch (prop_id)
    {
    case PROP_SELECTOR:
      PRIVATE (object)->io = evp_loop_io_new (evp_base_event_loop_get_core (EVP_BASE_EVENT_LOOP (object)),
                                              g_value_get_object (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_selector_event_loop_class_init (EvpSelectorEventLoopClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = evp_selector_event_loop_constructed;
  object_class->get_property = evp_selector_event_loop_get_property;
  object_class->set_property = evp_selector_event_loop_set_property;

  /**
   * EvpSelectorEventLoop:selector:
   *
   * The selector; `NULL` at construction takes the best of this machine.
   *
   * Construction as a plain object cannot fail: a loop that is made with a closed selector that way
   * has everything but descriptors, of which each is refused.
   *
   * Since: 1.0
   */
  properties[PROP_SELECTOR] =
    g_param_spec_object ("selector", NULL, NULL, EVP_TYPE_SELECTOR,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_selector_event_loop_init (EvpSelectorEventLoop *self)
{
}

/* Only a closed selector says this of a descriptor, whatever the number. */
static gboolean
check_open (EvpSelector *selector,
            GError     **error)
{
  g_autoptr (GError) local_error = NULL;
  g_autoptr (EvpSelectorKey) key = evp_selector_get_key (selector, 0, &local_error);

  if (!g_error_matches (local_error, EVP_ERROR, EVP_ERROR_INVALID_STATE))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local_error));
  return FALSE;
}

/**
 * evp_selector_event_loop_new:
 * @selector: (nullable) (transfer none): the selector, or `NULL` for the best of this machine
 * @main_context: (nullable): the main context to live in, or `NULL` for a new one
 * @error: return location for an error
 *
 * Makes a loop.
 *
 * Give a main context that somebody else iterates to adopt it: the loop then works without being run.
 *
 * May be called from any thread. O(1).
 *
 * Errors: %EVP_ERROR_INVALID_ARGUMENT if @selector already belongs to a loop; %EVP_ERROR_INVALID_STATE if it is
 * closed; those of the system, if no descriptor is left for a new main context.
 *
 * Returns: (transfer full) (type EvpSelectorEventLoop): a new loop
 *
 * Since: 1.0
 */
EvpAbstractEventLoop *
evp_selector_event_loop_new (EvpSelector  *selector,
                             GMainContext *main_context,
                             GError      **error)
{
  g_return_val_if_fail (selector == NULL || EVP_IS_SELECTOR (selector), NULL);

  if (selector != NULL && evp_loop_io_is_taken (selector))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                           _("The selector already belongs to another event loop; make one for each"));
      return NULL;
    }
  if (selector != NULL && !check_open (selector, error))
    return NULL;
  if (main_context == NULL && !evp_os_fd_check_left (error))
    return NULL;
  /* properties that are named cost GObject a look-up each, with locks */
  if (main_context == NULL && selector == NULL)
    return g_object_new (EVP_TYPE_SELECTOR_EVENT_LOOP, NULL);
  return g_object_new (EVP_TYPE_SELECTOR_EVENT_LOOP, "selector", selector, "main-context", main_context, NULL);
}

/**
 * evp_selector_event_loop_get_selector:
 * @self: a loop
 *
 * Gives the loop's selector. It is the loop's to use: do not register or wait with it.
 *
 * Use it from the thread of the loop. O(1).
 *
 * Returns: (transfer none): the selector
 *
 * Since: 1.0
 */
EvpSelector *
evp_selector_event_loop_get_selector (EvpSelectorEventLoop *self)
{
  g_return_val_if_fail (EVP_IS_SELECTOR_EVENT_LOOP (self), NULL);

  return evp_loop_io_get_selector (PRIVATE (self)->io);
}
