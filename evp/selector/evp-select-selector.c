/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-select-selector.h"

#include "evp/selector/evp-selector-table-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

#include <errno.h>
#include <sys/select.h>

/**
 * EvpSelectSelector:
 *
 * A selector that uses `select()`: everywhere, but only for file descriptors below `FD_SETSIZE`
 * (usually 1024), O(n) per call.
 *
 * The last choice, for systems without anything better. Registering a larger file
 * descriptor fails with %EVP_ERROR_INVALID_ARGUMENT. It has no file descriptor of its own.
 *
 * While a file descriptor that was closed is registered, every [method@Evp.Selector.select]
 * fails. A hang-up does not make the reading end of a pipe writable.
 *
 * It is asyncio's (Python's) `SelectSelector`. Use it from one thread at a time.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpSelectorTable table;
} EvpSelectSelectorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (EvpSelectSelector, evp_select_selector, EVP_TYPE_SELECTOR)

static inline EvpSelectSelectorPrivate *
evp_select_selector_get_private (EvpSelector *self)
{
  return evp_select_selector_get_instance_private (EVP_SELECT_SELECTOR (self));
}

static EvpSelectorKey *
evp_select_selector_register_fd (EvpSelector  *self,
                                 int           fd,
                                 EvpIOEvents   events,
                                 const GValue *data,
                                 GError      **error)
{
  EvpSelectSelectorPrivate *priv = evp_select_selector_get_private (self);
  EvpSelectorKey *key;

  if (!evp_selector_table_check_open (&priv->table, error))
    return NULL;
  if (fd >= FD_SETSIZE)
    {
      g_set_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                   _("File descriptor %d is too large for select(), which ends at %d; "
                     "use poll or epoll"), fd, FD_SETSIZE - 1);
      return NULL;
    }

  key = evp_selector_table_add (&priv->table, fd, events, data, error);
  return key != NULL ? g_object_ref (key) : NULL;
}

static EvpSelectorKey *
evp_select_selector_modify (EvpSelector  *self,
                            int           fd,
                            EvpIOEvents   events,
                            const GValue *data,
                            GError      **error)
{
  EvpSelectSelectorPrivate *priv = evp_select_selector_get_private (self);
  EvpSelectorKey *key = evp_selector_table_find (&priv->table, fd, error);

  if (key == NULL)
    return NULL;

  g_object_ref (key);
  key->events = events;
  evp_selector_key_set_data (key, data);
  return key;
}

static gboolean
evp_select_selector_unregister (EvpSelector *self,
                                int          fd,
                                GError     **error)
{
  EvpSelectSelectorPrivate *priv = evp_select_selector_get_private (self);

  if (evp_selector_table_find (&priv->table, fd, error) == NULL)
    return FALSE;

  evp_selector_table_remove (&priv->table, fd);
  return TRUE;
}

static GPtrArray *
evp_select_selector_select (EvpSelector *self,
                            double       timeout,
                            GError     **error)
{
  EvpSelectSelectorPrivate *priv = evp_select_selector_get_private (self);
  gint64 left = evp_selector_timeout_to_ns (timeout);
  gint64 deadline = evp_selector_deadline (left);
  fd_set readable, writable;
  int n_fds = 0;
  int n;

  if (!evp_selector_table_begin_select (&priv->table, error))
    return NULL;

  do
    {
      struct timespec ts = evp_clock_ns_to_timespec (left);

      FD_ZERO (&readable);
      FD_ZERO (&writable);
      for (guint fd = 0; fd < priv->table.size; fd++)
        if (priv->table.keys[fd] != NULL)
          {
            if (priv->table.keys[fd]->events & EVP_IO_EVENTS_READ)
              FD_SET (fd, &readable);
            if (priv->table.keys[fd]->events & EVP_IO_EVENTS_WRITE)
              FD_SET (fd, &writable);
            n_fds = (int) fd + 1;
          }

      n = pselect (n_fds, &readable, &writable, NULL, left < 0 ? NULL : &ts, NULL);
      if (n < 0 && errno != EINTR)
        {
          evp_set_error_from_errno (error, errno, _("Waiting for file descriptors failed"));
          return NULL;
        }
      left = evp_selector_time_left (deadline);
    }
  while (n < 0 ? left != 0 || timeout <= 0 : n == 0 && left != 0);

  for (int fd = 0; n > 0 && fd < n_fds; fd++)
    if (priv->table.keys[fd] != NULL)
      {
        EvpIOEvents events = EVP_IO_EVENTS_NONE;

        if (FD_ISSET (fd, &readable))
          events |= EVP_IO_EVENTS_READ;
        if (FD_ISSET (fd, &writable))
          events |= EVP_IO_EVENTS_WRITE;
        evp_selector_table_add_ready (&priv->table, priv->table.keys[fd], events);
      }
  return evp_selector_table_end_select (&priv->table);
}

static EvpSelectorKey *
evp_select_selector_get_key (EvpSelector *self,
                             int          fd,
                             GError     **error)
{
  EvpSelectSelectorPrivate *priv = evp_select_selector_get_private (self);
  EvpSelectorKey *key = evp_selector_table_find (&priv->table, fd, error);

  return key != NULL ? g_object_ref (key) : NULL;
}

static GPtrArray *
evp_select_selector_get_map (EvpSelector *self)
{
  EvpSelectSelectorPrivate *priv = evp_select_selector_get_private (self);

  return evp_selector_table_get_map (&priv->table);
}

static void
evp_select_selector_close (EvpSelector *self)
{
  EvpSelectSelectorPrivate *priv = evp_select_selector_get_private (self);

  evp_selector_table_close (&priv->table);
}

static void
evp_select_selector_finalize (GObject *object)
{
  evp_select_selector_close (EVP_SELECTOR (object));

  G_OBJECT_CLASS (evp_select_selector_parent_class)->finalize (object);
}

static void
evp_select_selector_class_init (EvpSelectSelectorClass *klass)
{
  EvpSelectorClass *selector_class = EVP_SELECTOR_CLASS (klass);

  selector_class->register_fd = evp_select_selector_register_fd;
  selector_class->modify = evp_select_selector_modify;
  selector_class->unregister = evp_select_selector_unregister;
  selector_class->select = evp_select_selector_select;
  selector_class->get_key = evp_select_selector_get_key;
  selector_class->get_map = evp_select_selector_get_map;
  selector_class->close = evp_select_selector_close;

  G_OBJECT_CLASS (klass)->finalize = evp_select_selector_finalize;
}

static void
evp_select_selector_init (EvpSelectSelector *self)
{
  EvpSelectSelectorPrivate *priv = evp_select_selector_get_instance_private (self);

  evp_selector_table_init (&priv->table);
}

/**
 * evp_select_selector_new:
 *
 * Creates a selector that uses `select()`.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpSelectSelector): a new selector
 *
 * Since: 1.0
 */
EvpSelector *
evp_select_selector_new (void)
{
  return g_object_new (EVP_TYPE_SELECT_SELECTOR, NULL);
}
