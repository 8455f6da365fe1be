/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-poll-selector.h"

#include "evp/selector/evp-selector-table-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

#include <errno.h>
#include <poll.h>

/**
 * EvpPollSelector:
 *
 * A selector that uses `poll()`: on every Unix, without limits, O(n) per call.
 *
 * Good for a few descriptors, or where [class@Evp.EpollSelector] is forbidden. It has no file
 * descriptor of its own.
 *
 * A file descriptor that is closed while registered is reported as ready by every call until it is
 * unregistered.
 *
 * It is asyncio's (Python's) `PollSelector`. Use it from one thread at a time.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpSelectorTable table;
  GArray *fds;    /* struct pollfd, one per key, in the order of the descriptors */
  gboolean stale; /* fds is to be filled again before the next wait */
} EvpPollSelectorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (EvpPollSelector, evp_poll_selector, EVP_TYPE_SELECTOR)

static inline EvpPollSelectorPrivate *
evp_poll_selector_get_private (EvpSelector *self)
{
  return evp_poll_selector_get_instance_private (EVP_POLL_SELECTOR (self));
}

static void
evp_poll_selector_fill (EvpPollSelectorPrivate *priv)
{
  g_array_set_size (priv->fds, 0);
  for (guint fd = 0; fd < priv->table.size; fd++)
    if (priv->table.keys[fd] != NULL)
      {
        EvpIOEvents events = priv->table.keys[fd]->events;
        struct pollfd pollfd = { .fd = (int) fd };

        if (events & EVP_IO_EVENTS_READ)
          pollfd.events |= POLLIN;
        if (events & EVP_IO_EVENTS_WRITE)
          pollfd.events |= POLLOUT;
        g_array_append_val (priv->fds, pollfd);
      }
  priv->stale = FALSE;
}

/* One poll() that lasts at least @timeout_ns unless interrupted; -1 with errno. */
static int
evp_poll_selector_poll (GArray *fds,
                        gint64  timeout_ns)
{
#ifdef HAVE_PPOLL
  struct timespec ts = evp_clock_ns_to_timespec (timeout_ns);

  return ppoll ((struct pollfd *) (gpointer) fds->data, fds->len,
                timeout_ns < 0 ? NULL : &ts, NULL);
#else
  gint64 ms = timeout_ns / EVP_NSEC_PER_MSEC + (timeout_ns % EVP_NSEC_PER_MSEC != 0);

  return poll ((struct pollfd *) (gpointer) fds->data, fds->len,
               timeout_ns < 0 ? -1 : (int) MIN (ms, G_MAXINT));
#endif
}

static EvpSelectorKey *
evp_poll_selector_register_fd (EvpSelector  *self,
                               int           fd,
                               EvpIOEvents   events,
                               const GValue *data,
                               GError      **error)
{
  EvpPollSelectorPrivate *priv = evp_poll_selector_get_private (self);
  EvpSelectorKey *key = evp_selector_table_add (&priv->table, fd, events, data, error);

  if (key == NULL)
    return NULL;

  priv->stale = TRUE;
  return g_object_ref (key);
}

static EvpSelectorKey *
evp_poll_selector_modify (EvpSelector  *self,
                          int           fd,
                          EvpIOEvents   events,
                          const GValue *data,
                          GError      **error)
{
  EvpPollSelectorPrivate *priv = evp_poll_selector_get_private (self);
  EvpSelectorKey *key = evp_selector_table_find (&priv->table, fd, error);

  if (key == NULL)
    return NULL;

  g_object_ref (key);
  if (key->events != events)
    {
      key->events = events;
      priv->stale = TRUE;
    }
  evp_selector_key_set_data (key, data);
  return key;
}

static gboolean
evp_poll_selector_unregister (EvpSelector *self,
                              int          fd,
                              GError     **error)
{
  EvpPollSelectorPrivate *priv = evp_poll_selector_get_private (self);

  if (evp_selector_table_find (&priv->table, fd, error) == NULL)
    return FALSE;

  priv->stale = TRUE;
  evp_selector_table_remove (&priv->table, fd);
  return TRUE;
}

static GPtrArray *
evp_poll_selector_select (EvpSelector *self,
                          double       timeout,
                          GError     **error)
{
  EvpPollSelectorPrivate *priv = evp_poll_selector_get_private (self);
  gint64 left = evp_selector_timeout_to_ns (timeout);
  gint64 deadline = evp_selector_deadline (left);
  int n;

  if (!evp_selector_table_begin_select (&priv->table, error))
    return NULL;

  if (priv->stale)
    evp_poll_selector_fill (priv);

  while ((n = evp_poll_selector_poll (priv->fds, left)) <= 0)
    {
      if (n < 0 && errno != EINTR)
        {
          evp_set_error_from_errno (error, errno, _("Waiting for file descriptors failed"));
          return NULL;
        }
      left = evp_selector_time_left (deadline);
      if (left == 0 && (n == 0 || timeout > 0))
        break;
    }

  for (guint i = 0; n > 0 && i < priv->fds->len; i++)
    {
      const struct pollfd *pollfd = &g_array_index (priv->fds, struct pollfd, i);
      EvpIOEvents events = EVP_IO_EVENTS_NONE;

      if (pollfd->revents == 0)
        continue;

      n--;
      /* an error, a hang-up and a closed descriptor (POLLNVAL) wake both directions */
      if (pollfd->revents & ~POLLIN)
        events |= EVP_IO_EVENTS_WRITE;
      if (pollfd->revents & ~POLLOUT)
        events |= EVP_IO_EVENTS_READ;
      evp_selector_table_add_ready (&priv->table, priv->table.keys[pollfd->fd], events);
    }
  return evp_selector_table_end_select (&priv->table);
}

static EvpSelectorKey *
evp_poll_selector_get_key (EvpSelector *self,
                           int          fd,
                           GError     **error)
{
  EvpPollSelectorPrivate *priv = evp_poll_selector_get_private (self);
  EvpSelectorKey *key = evp_selector_table_find (&priv->table, fd, error);

  return key != NULL ? g_object_ref (key) : NULL;
}

static GPtrArray *
evp_poll_selector_get_map (EvpSelector *self)
{
  EvpPollSelectorPrivate *priv = evp_poll_selector_get_private (self);

  return evp_selector_table_get_map (&priv->table);
}

static void
evp_poll_selector_close (EvpSelector *self)
{
  EvpPollSelectorPrivate *priv = evp_poll_selector_get_private (self);

  g_clear_pointer (&priv->fds, g_array_unref);
  evp_selector_table_close (&priv->table);
}

static void
evp_poll_selector_finalize (GObject *object)
{
  evp_poll_selector_close (EVP_SELECTOR (object));

  G_OBJECT_CLASS (evp_poll_selector_parent_class)->finalize (object);
}

static void
evp_poll_selector_class_init (EvpPollSelectorClass *klass)
{
  EvpSelectorClass *selector_class = EVP_SELECTOR_CLASS (klass);

  selector_class->register_fd = evp_poll_selector_register_fd;
  selector_class->modify = evp_poll_selector_modify;
  selector_class->unregister = evp_poll_selector_unregister;
  selector_class->select = evp_poll_selector_select;
  selector_class->get_key = evp_poll_selector_get_key;
  selector_class->get_map = evp_poll_selector_get_map;
  selector_class->close = evp_poll_selector_close;

  G_OBJECT_CLASS (klass)->finalize = evp_poll_selector_finalize;
}

static void
evp_poll_selector_init (EvpPollSelector *self)
{
  EvpPollSelectorPrivate *priv = evp_poll_selector_get_instance_private (self);

  evp_selector_table_init (&priv->table);
  priv->fds = g_array_new (FALSE, FALSE, sizeof (struct pollfd));
}

/**
 * evp_poll_selector_new:
 *
 * Creates a selector that uses `poll()`.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpPollSelector): a new selector
 *
 * Since: 1.0
 */
EvpSelector *
evp_poll_selector_new (void)
{
  return g_object_new (EVP_TYPE_POLL_SELECTOR, NULL);
}
