/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-selector-table-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

void
evp_selector_table_init (EvpSelectorTable *self)
{
  *self = (EvpSelectorTable) { .ready = g_ptr_array_new_with_free_func (g_object_unref) };
}

void
evp_selector_table_close (EvpSelectorTable *self)
{
  g_autofree EvpSelectorKey **keys = g_steal_pointer (&self->keys);
  guint size = self->size;

  self->closed = TRUE;
  self->size = self->n_keys = 0;
  g_clear_pointer (&self->ready, g_ptr_array_unref);
  for (guint fd = 0; fd < size; fd++)
    g_clear_object (&keys[fd]);
}

gboolean
evp_selector_table_check_open (EvpSelectorTable *self,
                               GError          **error)
{
  if (!self->closed)
    return TRUE;

  g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                       _("The selector is closed; make a new one"));
  return FALSE;
}

EvpSelectorKey *
evp_selector_table_add (EvpSelectorTable *self,
                        int               fd,
                        EvpIOEvents       events,
                        const GValue     *data,
                        GError          **error)
{
  EvpSelectorKey *key;

  if (!evp_selector_table_check_open (self, error))
    return NULL;
  if (evp_selector_table_peek (self, fd) != NULL)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_EXISTS,
                   _("File descriptor %d is registered already; modify or unregister it"), fd);
      return NULL;
    }

  if ((guint) fd >= self->size)
    {
      guint size = MAX (64, self->size);

      while (size <= (guint) fd)
        size *= 2;
      self->keys = g_renew (EvpSelectorKey *, self->keys, size);
      memset (self->keys + self->size, 0, (size - self->size) * sizeof *self->keys);
      self->size = size;
    }

  key = evp_selector_key_new (fd, events, data);
  key->generation = ++self->generation;
  self->keys[fd] = key;
  self->n_keys++;
  return key;
}

EvpSelectorKey *
evp_selector_table_find (EvpSelectorTable *self,
                         int               fd,
                         GError          **error)
{
  EvpSelectorKey *key;

  if (!evp_selector_table_check_open (self, error))
    return NULL;

  key = evp_selector_table_peek (self, fd);
  if (key == NULL)
    g_set_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND,
                 _("File descriptor %d is not registered; register it first"), fd);
  return key;
}

void
evp_selector_table_remove (EvpSelectorTable *self,
                           int               fd)
{
  if (evp_selector_table_peek (self, fd) == NULL)
    return;

  self->n_keys--;
  g_clear_object (&self->keys[fd]);
}

GPtrArray *
evp_selector_table_get_map (EvpSelectorTable *self)
{
  GPtrArray *map;

  if (self->closed)
    return NULL;

  map = g_ptr_array_sized_new (self->n_keys);
  for (guint fd = 0; fd < self->size; fd++)
    if (self->keys[fd] != NULL)
      g_ptr_array_add (map, g_object_ref (self->keys[fd]));
  return map;
}

gboolean
evp_selector_table_begin_select (EvpSelectorTable *self,
                                 GError          **error)
{
  GPtrArray *last;

  if (!evp_selector_table_check_open (self, error))
    return FALSE;

  last = g_steal_pointer (&self->ready);
  self->ready = g_ptr_array_new_with_free_func (g_object_unref);
  self->selects++;
  for (guint i = 0; i < last->len; i++)
    EVP_SELECTOR_KEY (g_ptr_array_index (last, i))->ready_events = EVP_IO_EVENTS_NONE;

  /* the last reference to a key may run anything, also what closes the selector */
  g_ptr_array_unref (last);
  return evp_selector_table_check_open (self, error);
}

void
evp_selector_table_add_ready (EvpSelectorTable *self,
                              EvpSelectorKey   *key,
                              EvpIOEvents       events)
{
  events &= key->events;
  if (events == EVP_IO_EVENTS_NONE)
    return;

  if (key->selected != self->selects)
    {
      key->selected = self->selects;
      key->ready_events = EVP_IO_EVENTS_NONE;
      g_ptr_array_add (self->ready, g_object_ref (key));
    }
  key->ready_events |= events;
}

GPtrArray *
evp_selector_table_end_select (EvpSelectorTable *self)
{
  GPtrArray *result = g_ptr_array_sized_new (self->ready->len);

  for (guint i = 0; i < self->ready->len; i++)
    g_ptr_array_add (result, g_object_ref (g_ptr_array_index (self->ready, i)));
  return result;
}

gint64
evp_selector_timeout_to_ns (double timeout)
{
  gint64 ns;

  if (timeout < 0)
    return -1;

  ns = evp_clock_seconds_to_ns (timeout);
  return ns == EVP_TIME_NEVER ? -1 : ns;
}

gint64
evp_selector_deadline (gint64 timeout_ns)
{
  gint64 now;

  if (timeout_ns < 0)
    return EVP_TIME_NEVER;
  if (timeout_ns == 0)
    return 0;

  now = evp_clock_get_time_ns ();
  return timeout_ns > EVP_TIME_NEVER - now ? EVP_TIME_NEVER : now + timeout_ns;
}

gint64
evp_selector_time_left (gint64 deadline)
{
  gint64 left;

  if (deadline == EVP_TIME_NEVER)
    return -1;
  if (deadline == 0)
    return 0;

  left = deadline - evp_clock_get_time_ns ();
  return MAX (left, 0);
}
