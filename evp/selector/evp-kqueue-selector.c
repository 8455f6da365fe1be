/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-kqueue-selector.h"

#include "evp/selector/evp-selector-table-private.h"

#include "evp/os/evp-os-fork-private.h"

#include "evp/base/evp-clock-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/**
 * EvpKqueueSelector:
 *
 * A selector that uses `kqueue()` of the BSDs and macOS: O(1) per ready file descriptor.
 *
 * The best choice where it exists, and what [ctor@Evp.Selector.new_default] makes there; on
 * other systems there is no such class. It has a file descriptor of its own, made on first use,
 * that can be polled itself. Regular files are always ready.
 *
 * It is asyncio's (Python's) `KqueueSelector`. Use it from one thread at a time.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpSelectorTable table;
  int kq;                /* -1 before first use */
  guint fork_generation; /* of the process that made it: a child does not inherit it */
  guint n_never_blocks;  /* keys that are not in the kernel's queue but always ready */
} EvpKqueueSelectorPrivate;

G_DEFINE_TYPE_WITH_PRIVATE (EvpKqueueSelector, evp_kqueue_selector, EVP_TYPE_SELECTOR)

static inline EvpKqueueSelectorPrivate *
evp_kqueue_selector_get_private (EvpSelector *self)
{
  return evp_kqueue_selector_get_instance_private (EVP_KQUEUE_SELECTOR (self));
}

#define EVP_KQUEUE_BATCH 256

/* 0, or an errno. */
static int
evp_kqueue_selector_change (EvpKqueueSelectorPrivate *priv,
                            int fd,
                            int filter,
                            int flags,
                            guint32 generation)
{
  struct kevent change;

  EV_SET (&change, fd, filter, flags, 0, 0, GUINT_TO_POINTER (generation));
  return kevent (priv->kq, &change, 1, NULL, 0, NULL) < 0 ? errno : 0;
}

/* Makes the queue's own descriptor readable while something in it is always ready. */
static void
evp_kqueue_selector_update_ready (EvpKqueueSelectorPrivate *priv)
{
#ifdef EVFILT_USER
  struct kevent change;

  if (priv->n_never_blocks > 0)
    EV_SET (&change, 0, EVFILT_USER, EV_ADD, NOTE_TRIGGER, 0, NULL);
  else
    EV_SET (&change, 0, EVFILT_USER, EV_DELETE, 0, 0, NULL);
  kevent (priv->kq, &change, 1, NULL, 0, NULL);
#endif
}

/*
 * From @old to @events; the queue is asked for every direction, so that a reused number heals.
 * 0, or an errno.
 */
static int
evp_kqueue_selector_set (EvpKqueueSelectorPrivate *priv,
                         EvpSelectorKey *key,
                         EvpIOEvents events)
{
  int saved_errno = 0;

  if (events & EVP_IO_EVENTS_READ)
    saved_errno = evp_kqueue_selector_change (priv, key->fd, EVFILT_READ, EV_ADD, key->generation);
  else
    evp_kqueue_selector_change (priv, key->fd, EVFILT_READ, EV_DELETE, 0);

  if (saved_errno == 0 && (events & EVP_IO_EVENTS_WRITE))
    saved_errno = evp_kqueue_selector_change (priv, key->fd, EVFILT_WRITE, EV_ADD, key->generation);
  else
    evp_kqueue_selector_change (priv, key->fd, EVFILT_WRITE, EV_DELETE, 0);

  if (saved_errno != 0)
    evp_kqueue_selector_change (priv, key->fd, EVFILT_READ, EV_DELETE, 0);
  return saved_errno;
}

/* Looks at the file again, as its number may have been reused, and tells the queue. */
static int
evp_kqueue_selector_watch (EvpKqueueSelectorPrivate *priv,
                           EvpSelectorKey *key,
                           EvpIOEvents events)
{
  gboolean never_blocks = FALSE;
  struct stat st;

  if (events != EVP_IO_EVENTS_NONE)
    {
      if (fstat (key->fd, &st) != 0)
        events = EVP_IO_EVENTS_NONE;
      else
        never_blocks = S_ISREG (st.st_mode) || S_ISDIR (st.st_mode);
      if (events == EVP_IO_EVENTS_NONE)
        {
          evp_kqueue_selector_watch (priv, key, EVP_IO_EVENTS_NONE);
          return EBADF;
        }
    }

  if (key->never_blocks != never_blocks)
    {
      key->never_blocks = never_blocks;
      priv->n_never_blocks += never_blocks ? 1 : -1u;
      evp_kqueue_selector_update_ready (priv);
    }
  return evp_kqueue_selector_set (priv, key, never_blocks ? EVP_IO_EVENTS_NONE : events);
}

/* Makes the queue on first use, and in a child of fork(), which has none. 0, or an errno. */
static int
evp_kqueue_selector_use (EvpKqueueSelectorPrivate *priv)
{
  guint fork_generation = evp_os_fork_generation ();

  if (priv->kq >= 0 && priv->fork_generation == fork_generation)
    return 0;

  priv->kq = kqueue ();
  if (priv->kq < 0)
    return errno;

  fcntl (priv->kq, F_SETFD, FD_CLOEXEC);
  priv->fork_generation = fork_generation;
  for (guint fd = 0; fd < priv->table.size; fd++)
    if (priv->table.keys[fd] != NULL && !priv->table.keys[fd]->never_blocks)
      evp_kqueue_selector_set (priv, priv->table.keys[fd], priv->table.keys[fd]->events);
  if (priv->n_never_blocks > 0)
    evp_kqueue_selector_update_ready (priv);
  return 0;
}

static EvpSelectorKey *
evp_kqueue_selector_register_fd (EvpSelector  *self,
                                 int           fd,
                                 EvpIOEvents   events,
                                 const GValue *data,
                                 GError      **error)
{
  EvpKqueueSelectorPrivate *priv = evp_kqueue_selector_get_private (self);
  EvpSelectorKey *key;
  int saved_errno;

  key = evp_selector_table_add (&priv->table, fd, events, data, error);
  if (key == NULL)
    return NULL;

  saved_errno = evp_kqueue_selector_use (priv);
  if (saved_errno == 0)
    saved_errno = evp_kqueue_selector_watch (priv, key, events);
  if (saved_errno != 0)
    {
      evp_set_error_from_errno (error, saved_errno, _("Registering file descriptor %d failed"), fd);
      evp_selector_table_remove (&priv->table, fd);
      return NULL;
    }
  return g_object_ref (key);
}

static EvpSelectorKey *
evp_kqueue_selector_modify (EvpSelector  *self,
                            int           fd,
                            EvpIOEvents   events,
                            const GValue *data,
                            GError      **error)
{
  EvpKqueueSelectorPrivate *priv = evp_kqueue_selector_get_private (self);
  g_autoptr (EvpSelectorKey) key = NULL;
  int saved_errno;

  key = evp_selector_table_find (&priv->table, fd, error);
  if (key == NULL)
    return NULL;
  g_object_ref (key);

  saved_errno = evp_kqueue_selector_use (priv);
  if (saved_errno == 0)
    saved_errno = evp_kqueue_selector_watch (priv, key, events);
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
evp_kqueue_selector_unregister (EvpSelector *self,
                                int          fd,
                                GError     **error)
{
  EvpKqueueSelectorPrivate *priv = evp_kqueue_selector_get_private (self);
  EvpSelectorKey *key = evp_selector_table_find (&priv->table, fd, error);

  if (key == NULL)
    return FALSE;

  if (evp_kqueue_selector_use (priv) == 0)
    evp_kqueue_selector_watch (priv, key, EVP_IO_EVENTS_NONE);
  evp_selector_table_remove (&priv->table, fd);
  return TRUE;
}

static GPtrArray *
evp_kqueue_selector_select (EvpSelector *self,
                            double       timeout,
                            GError     **error)
{
  EvpKqueueSelectorPrivate *priv = evp_kqueue_selector_get_private (self);
  struct kevent events[EVP_KQUEUE_BATCH];
  gint64 left = evp_selector_timeout_to_ns (timeout);
  gint64 deadline = evp_selector_deadline (left);
  int saved_errno;

  if (!evp_selector_table_begin_select (&priv->table, error))
    return NULL;

  saved_errno = evp_kqueue_selector_use (priv);

  if (priv->n_never_blocks > 0)
    {
      left = 0;
      for (guint fd = 0; fd < priv->table.size; fd++)
        {
          EvpSelectorKey *key = priv->table.keys[fd];

          if (key != NULL && key->never_blocks)
            evp_selector_table_add_ready (&priv->table, key, key->events);
        }
    }

  while (saved_errno == 0)
    {
      struct timespec ts = evp_clock_ns_to_timespec (left);
      guint n_before = priv->table.ready->len;
      int n = kevent (priv->kq, NULL, 0, events, EVP_KQUEUE_BATCH, left < 0 ? NULL : &ts);

      if (n < 0 && errno != EINTR)
        saved_errno = errno;

      for (int i = 0; i < n; i++)
        {
          EvpSelectorKey *key = evp_selector_table_peek (&priv->table, (int) events[i].ident);

          if (key == NULL || (gpointer) events[i].udata != GUINT_TO_POINTER (key->generation))
            continue;
          if (events[i].filter == EVFILT_READ)
            evp_selector_table_add_ready (&priv->table, key, EVP_IO_EVENTS_READ);
          else if (events[i].filter == EVFILT_WRITE)
            evp_selector_table_add_ready (&priv->table, key, EVP_IO_EVENTS_WRITE);
        }

      if (priv->table.ready->len > 0)
        {
          /* a full batch may not have been all: look for more until nothing new turns up */
          if (n < EVP_KQUEUE_BATCH || priv->table.ready->len == n_before)
            break;
          left = 0;
        }
      else
        {
          left = evp_selector_time_left (deadline);
          if (left == 0 && (n >= 0 || timeout > 0))
            break; /* time is over */
        }
    }

  if (saved_errno != 0 && priv->table.ready->len == 0)
    {
      evp_set_error_from_errno (error, saved_errno, _("Waiting for file descriptors failed"));
      return NULL;
    }
  return evp_selector_table_end_select (&priv->table);
}

static EvpSelectorKey *
evp_kqueue_selector_get_key (EvpSelector *self,
                             int          fd,
                             GError     **error)
{
  EvpKqueueSelectorPrivate *priv = evp_kqueue_selector_get_private (self);
  EvpSelectorKey *key = evp_selector_table_find (&priv->table, fd, error);

  return key != NULL ? g_object_ref (key) : NULL;
}

static GPtrArray *
evp_kqueue_selector_get_map (EvpSelector *self)
{
  EvpKqueueSelectorPrivate *priv = evp_kqueue_selector_get_private (self);

  return evp_selector_table_get_map (&priv->table);
}

static void
evp_kqueue_selector_close (EvpSelector *self)
{
  EvpKqueueSelectorPrivate *priv = evp_kqueue_selector_get_private (self);

  if (priv->kq >= 0 && priv->fork_generation == evp_os_fork_generation ())
    close (priv->kq);
  priv->kq = -1;
  evp_selector_table_close (&priv->table);
}

static int
evp_kqueue_selector_get_fd (EvpSelector *self)
{
  EvpKqueueSelectorPrivate *priv = evp_kqueue_selector_get_private (self);

  if (priv->table.closed || evp_kqueue_selector_use (priv) != 0)
    return -1;
  return priv->kq;
}

static void
evp_kqueue_selector_finalize (GObject *object)
{
  evp_kqueue_selector_close (EVP_SELECTOR (object));

  G_OBJECT_CLASS (evp_kqueue_selector_parent_class)->finalize (object);
}

static void
evp_kqueue_selector_class_init (EvpKqueueSelectorClass *klass)
{
  EvpSelectorClass *selector_class = EVP_SELECTOR_CLASS (klass);

  selector_class->register_fd = evp_kqueue_selector_register_fd;
  selector_class->modify = evp_kqueue_selector_modify;
  selector_class->unregister = evp_kqueue_selector_unregister;
  selector_class->select = evp_kqueue_selector_select;
  selector_class->get_key = evp_kqueue_selector_get_key;
  selector_class->get_map = evp_kqueue_selector_get_map;
  selector_class->close = evp_kqueue_selector_close;
  selector_class->get_fd = evp_kqueue_selector_get_fd;

  G_OBJECT_CLASS (klass)->finalize = evp_kqueue_selector_finalize;
}

static void
evp_kqueue_selector_init (EvpKqueueSelector *self)
{
  EvpKqueueSelectorPrivate *priv = evp_kqueue_selector_get_instance_private (self);

  evp_selector_table_init (&priv->table);
  priv->kq = -1;
}

/**
 * evp_kqueue_selector_new:
 *
 * Creates a selector that uses `kqueue()`.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full) (type EvpKqueueSelector): a new selector
 *
 * Since: 1.0
 */
EvpSelector *
evp_kqueue_selector_new (void)
{
  return g_object_new (EVP_TYPE_KQUEUE_SELECTOR, NULL);
}
