/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-epoll-selector.h"

#include "evp/selector/evp-epoll-selector-private.h"
#include "evp/selector/evp-selector-table-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

/**
 * EvpEpollSelector:
 *
 * A selector that uses Linux's `epoll`: O(1) per ready file descriptor, however many are watched.
 *
 * The best choice on Linux, and what [ctor@Evp.Selector.new_default] makes there. It has a file
 * descriptor of its own, made on first use, that can be polled itself.
 *
 * What `epoll` refuses because it never blocks (regular files, `/dev/null`) is always
 * ready. A file descriptor that was closed without being unregistered while a duplicate of it is
 * open goes quiet as soon as it is unregistered; other programs spin.
 *
 * After a `fork()` the child's selector gets a set of its own on first use.
 *
 * It is asyncio's (Python's) `EpollSelector`. Use it from one thread at a time.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpSelectorTable table;
  EvpEpoll epoll;
} EvpEpollSelectorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (EvpEpollSelector, evp_epoll_selector, EVP_TYPE_SELECTOR)

static inline EvpEpollSelectorPrivate *
evp_epoll_selector_get_private (EvpSelector *self)
{
  return evp_epoll_selector_get_instance_private (EVP_EPOLL_SELECTOR (self));
}

static EvpSelectorKey *
evp_epoll_selector_register_fd (EvpSelector  *self,
                                int           fd,
                                EvpIOEvents   events,
                                const GValue *data,
                                GError      **error)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_private (self);
  EvpSelectorKey *key;
  int saved_errno;

  key = evp_selector_table_add (&priv->table, fd, events, data, error);
  if (key == NULL)
    return NULL;

  saved_errno = evp_epoll_set (&priv->epoll, fd, events, key->generation);
  if (saved_errno != 0)
    {
      evp_set_error_from_errno (error, saved_errno, _("Registering file descriptor %d failed"), fd);
      evp_selector_table_remove (&priv->table, fd);
      return NULL;
    }
  return g_object_ref (key);
}

static EvpSelectorKey *
evp_epoll_selector_modify (EvpSelector  *self,
                           int           fd,
                           EvpIOEvents   events,
                           const GValue *data,
                           GError      **error)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_private (self);
  g_autoptr (EvpSelectorKey) key = NULL;
  int saved_errno;

  key = evp_selector_table_find (&priv->table, fd, error);
  if (key == NULL)
    return NULL;
  g_object_ref (key);

  /* the kernel is asked even if the events are the same: the number may have been reused */
  saved_errno = evp_epoll_set (&priv->epoll, fd, events, key->generation);
  if (saved_errno != 0)
    {
      evp_set_error_from_errno (error, saved_errno, _("Modifying file descriptor %d failed"), fd);
      evp_selector_table_remove (&priv->table, fd);
      return NULL;
    }
  key->events = events;
  evp_selector_key_set_data (key, data);
  return g_steal_pointer (&key);
}

static gboolean
evp_epoll_selector_unregister (EvpSelector *self,
                               int          fd,
                               GError     **error)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_private (self);

  if (evp_selector_table_find (&priv->table, fd, error) == NULL)
    return FALSE;

  evp_epoll_set (&priv->epoll, fd, EVP_IO_EVENTS_NONE, 0);
  evp_selector_table_remove (&priv->table, fd);
  return TRUE;
}

static GPtrArray *
evp_epoll_selector_select (EvpSelector *self,
                           double       timeout,
                           GError     **error)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_private (self);
  EvpEpollEvent events[EVP_EPOLL_BATCH];
  gint64 left = evp_selector_timeout_to_ns (timeout);
  gint64 deadline = evp_selector_deadline (left);

  if (!evp_selector_table_begin_select (&priv->table, error))
    return NULL;

  for (;;)
    {
      guint n_before = priv->table.ready->len;
      int n = evp_epoll_wait (&priv->epoll, events, EVP_EPOLL_BATCH, left);
      int saved_errno = n < 0 ? -n : 0;

      for (int i = 0; i < n; i++)
        {
          EvpSelectorKey *key = evp_selector_table_peek (&priv->table, events[i].fd);

          if (G_LIKELY (key != NULL && key->generation == events[i].generation))
            evp_selector_table_add_ready (&priv->table, key, events[i].events);
          else
            saved_errno = evp_epoll_drop (&priv->epoll, &events[i]);
        }

      if (saved_errno != 0)
        {
          /* what an earlier batch of this call found is ready all the same */
          if (priv->table.ready->len > 0)
            break;
          evp_set_error_from_errno (error, saved_errno, _("Waiting for file descriptors failed"));
          return NULL;
        }

      if (priv->table.ready->len > 0)
        {
          /* a full batch may not have been all: look for more until nothing new turns up */
          if (n < EVP_EPOLL_BATCH || priv->table.ready->len == n_before ||
              priv->table.ready->len >= priv->table.n_keys)
            break;
          left = 0;
        }
      else if (left == 0 || n == 0)
        {
          break; /* time is over */
        }
      else
        {
          left = evp_selector_time_left (deadline); /* only events that nobody knows: wait on */
        }
    }
  return evp_selector_table_end_select (&priv->table);
}

static EvpSelectorKey *
evp_epoll_selector_get_key (EvpSelector *self,
                            int          fd,
                            GError     **error)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_private (self);
  EvpSelectorKey *key = evp_selector_table_find (&priv->table, fd, error);

  return key != NULL ? g_object_ref (key) : NULL;
}

static GPtrArray *
evp_epoll_selector_get_map (EvpSelector *self)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_private (self);

  return evp_selector_table_get_map (&priv->table);
}

static void
evp_epoll_selector_close (EvpSelector *self)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_private (self);

  evp_epoll_clear (&priv->epoll);
  evp_selector_table_close (&priv->table);
}

static int
evp_epoll_selector_get_fd (EvpSelector *self)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_private (self);

  if (priv->table.closed || !evp_epoll_ensure (&priv->epoll, NULL))
    return -1;
  return evp_epoll_get_fd (&priv->epoll);
}

static void
evp_epoll_selector_finalize (GObject *object)
{
  evp_epoll_selector_close (EVP_SELECTOR (object));

  G_OBJECT_CLASS (evp_epoll_selector_parent_class)->finalize (object);
}

static void
evp_epoll_selector_class_init (EvpEpollSelectorClass *klass)
{
  EvpSelectorClass *selector_class = EVP_SELECTOR_CLASS (klass);

  selector_class->register_fd = evp_epoll_selector_register_fd;
  selector_class->modify = evp_epoll_selector_modify;
  selector_class->unregister = evp_epoll_selector_unregister;
  selector_class->select = evp_epoll_selector_select;
  selector_class->get_key = evp_epoll_selector_get_key;
  selector_class->get_map = evp_epoll_selector_get_map;
  selector_class->close = evp_epoll_selector_close;
  selector_class->get_fd = evp_epoll_selector_get_fd;

  G_OBJECT_CLASS (klass)->finalize = evp_epoll_selector_finalize;
}

static void
evp_epoll_selector_init (EvpEpollSelector *self)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_instance_private (self);

  evp_selector_table_init (&priv->table);
  evp_epoll_init (&priv->epoll);
}

/**
 * evp_epoll_selector_new:
 *
 * Creates a selector that uses `epoll`.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpEpollSelector): a new selector
 *
 * Since: 1.0
 */
EvpSelector *
evp_epoll_selector_new (void)
{
  return g_object_new (EVP_TYPE_EPOLL_SELECTOR, NULL);
}

EvpEpoll *
evp_epoll_selector_get_epoll (EvpEpollSelector *self)
{
  EvpEpollSelectorPrivate *priv = evp_epoll_selector_get_private (EVP_SELECTOR (self));

  return priv->table.closed ? NULL : &priv->epoll;
}
