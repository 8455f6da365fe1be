/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-selector-key-private.h"

#include "evp/evp-enum-types.h"

/**
 * EvpSelectorKey:
 *
 * A file descriptor registered with a [class@Evp.Selector], what it is watched for, what it was
 * ready for in the last [method@Evp.Selector.select], and data of the caller's choice.
 *
 * Keys come from [method@Evp.Selector.register]. The selector changes its key when it is modified
 * and with each `select()`; after the descriptor was unregistered the key keeps its last values.
 * The setters are for selectors written elsewhere, which make their keys with
 * [ctor@Evp.SelectorKey.new]: changing the key of a selector of the library changes nothing in
 * the kernel; use [method@Evp.Selector.modify] for that.
 *
 * It is asyncio's `SelectorKey`. Use it from the thread of its selector only. All methods are O(1).
 *
 * Since: 1.0
 */

G_DEFINE_FINAL_TYPE (EvpSelectorKey, evp_selector_key, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_FD,
  PROP_EVENTS,
  PROP_READY_EVENTS,
  N_PROPS,
};

static GParamSpec *properties[N_PROPS];

static void
evp_selector_key_finalize (GObject *object)
{
  EvpSelectorKey *self = EVP_SELECTOR_KEY (object);

  if (G_IS_VALUE (&self->data))
    g_value_unset (&self->data);

  G_OBJECT_CLASS (evp_selector_key_parent_class)->finalize (object);
}

static void
evp_selector_key_get_property (GObject    *object,
                               guint       prop_id,
                               GValue     *value,
                               GParamSpec *pspec)
{
  EvpSelectorKey *self = EVP_SELECTOR_KEY (object);

  switch (prop_id)
    {
    case PROP_FD:
      g_value_set_int (value, self->fd);
      break;

    case PROP_EVENTS:
      g_value_set_flags (value, self->events);
      break;

    case PROP_READY_EVENTS:
      g_value_set_flags (value, self->ready_events);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_selector_key_set_property (GObject      *object,
                               guint         prop_id,
                               const GValue *value,
                               GParamSpec   *pspec)
{
  EvpSelectorKey *self = EVP_SELECTOR_KEY (object);

  switch (prop_id)
    {
    case PROP_FD:
      self->fd = g_value_get_int (value);
      break;

    case PROP_EVENTS:
      self->events = g_value_get_flags (value);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
evp_selector_key_class_init (EvpSelectorKeyClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = evp_selector_key_finalize;
  object_class->get_property = evp_selector_key_get_property;
  object_class->set_property = evp_selector_key_set_property;

  /**
   * EvpSelectorKey:fd:
   *
   * The file descriptor.
   *
   * Since: 1.0
   */
  properties[PROP_FD] =
    g_param_spec_int ("fd", NULL, NULL, -1, G_MAXINT, -1,
                      G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpSelectorKey:events:
   *
   * What the file descriptor is watched for.
   *
   * Since: 1.0
   */
  properties[PROP_EVENTS] =
    g_param_spec_flags ("events", NULL, NULL, EVP_TYPE_IO_EVENTS, EVP_IO_EVENTS_NONE,
                        G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * EvpSelectorKey:ready-events:
   *
   * What the file descriptor was ready for in the last `select()`.
   *
   * Since: 1.0
   */
  properties[PROP_READY_EVENTS] =
    g_param_spec_flags ("ready-events", NULL, NULL, EVP_TYPE_IO_EVENTS, EVP_IO_EVENTS_NONE,
                        G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_selector_key_init (EvpSelectorKey *self)
{
}

/**
 * evp_selector_key_new:
 * @fd: file descriptor
 * @events: what it is watched for
 * @data: (nullable): anything; copied
 *
 * Creates a key, for selectors that are written outside the library.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): a new key
 *
 * Since: 1.0
 */
EvpSelectorKey *
evp_selector_key_new (int           fd,
                      EvpIOEvents   events,
                      const GValue *data)
{
  EvpSelectorKey *self = g_object_new (EVP_TYPE_SELECTOR_KEY, NULL);

  self->fd = fd;
  self->events = events;
  evp_selector_key_set_data (self, data);
  return self;
}

/**
 * evp_selector_key_get_fd:
 * @self: a key
 *
 * Gets the file descriptor.
 *
 * Use it from the thread of the selector. O(1).
 *
 * Returns: the file descriptor
 *
 * Since: 1.0
 */
int
evp_selector_key_get_fd (EvpSelectorKey *self)
{
  g_return_val_if_fail (EVP_IS_SELECTOR_KEY (self), -1);

  return self->fd;
}

/**
 * evp_selector_key_get_events:
 * @self: a key
 *
 * Gets what the file descriptor is watched for.
 *
 * Use it from the thread of the selector. O(1).
 *
 * Returns: the events
 *
 * Since: 1.0
 */
EvpIOEvents
evp_selector_key_get_events (EvpSelectorKey *self)
{
  g_return_val_if_fail (EVP_IS_SELECTOR_KEY (self), EVP_IO_EVENTS_NONE);

  return self->events;
}

/**
 * evp_selector_key_get_ready_events:
 * @self: a key
 *
 * Gets what the file descriptor was ready for in the last [method@Evp.Selector.select].
 *
 * Never more than it is watched for. Use it from the thread of the selector. O(1).
 *
 * Returns: the events; %EVP_IO_EVENTS_NONE if the key was not among the results
 *
 * Since: 1.0
 */
EvpIOEvents
evp_selector_key_get_ready_events (EvpSelectorKey *self)
{
  g_return_val_if_fail (EVP_IS_SELECTOR_KEY (self), EVP_IO_EVENTS_NONE);

  return self->ready_events;
}

/**
 * evp_selector_key_get_data:
 * @self: a key
 *
 * Gets what the caller attached to the file descriptor.
 *
 * Use it from the thread of the selector. O(1). The value is valid until the data is replaced.
 *
 * Returns: (transfer none) (nullable): the data, or %NULL if there is none
 *
 * Since: 1.0
 */
const GValue *
evp_selector_key_get_data (EvpSelectorKey *self)
{
  g_return_val_if_fail (EVP_IS_SELECTOR_KEY (self), NULL);

  return G_IS_VALUE (&self->data) ? &self->data : NULL;
}

/**
 * evp_selector_key_set_events:
 * @self: a key
 * @events: what the file descriptor is watched for
 *
 * Changes what the key says; for selectors that are written outside the library.
 *
 * Use it from the thread of the selector. O(1).
 *
 * Since: 1.0
 */
void
evp_selector_key_set_events (EvpSelectorKey *self,
                             EvpIOEvents     events)
{
  g_return_if_fail (EVP_IS_SELECTOR_KEY (self));

  self->events = events;
}

/**
 * evp_selector_key_set_ready_events:
 * @self: a key
 * @events: what the file descriptor is ready for
 *
 * Sets the result of a `select()`; for selectors that are written outside the library.
 *
 * Use it from the thread of the selector. O(1).
 *
 * Since: 1.0
 */
void
evp_selector_key_set_ready_events (EvpSelectorKey *self,
                                   EvpIOEvents     events)
{
  g_return_if_fail (EVP_IS_SELECTOR_KEY (self));

  self->ready_events = events;
}

/**
 * evp_selector_key_set_data:
 * @self: a key
 * @data: (nullable): anything; copied
 *
 * Replaces what is attached to the file descriptor.
 *
 * Use it from the thread of the selector. O(1), and the copy of the value.
 *
 * Since: 1.0
 */
void
evp_selector_key_set_data (EvpSelectorKey *self,
                           const GValue   *data)
{
  GValue old;

  g_return_if_fail (EVP_IS_SELECTOR_KEY (self));

  if (data == &self->data)
    return;

  /* dropping the old data may run anything, so it comes last */
  old = self->data;
  self->data = (GValue) G_VALUE_INIT;
  if (data != NULL && G_IS_VALUE (data))
    {
      g_value_init (&self->data, G_VALUE_TYPE (data));
      g_value_copy (data, &self->data);
    }
  if (G_IS_VALUE (&old))
    g_value_unset (&old);
}
