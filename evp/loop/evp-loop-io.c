/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-io-private.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-source-private.h"
#include "evp/os/evp-os-fd-private.h"
#include "evp/selector/evp-epoll-private.h"
#include "evp/selector/evp-epoll-selector-private.h"
#include "evp/selector/evp-epoll-selector.h"

#include <errno.h>
#include <string.h>

/*
 * The table of descriptors, indexed by number. With the library's own epoll selector the loop talks to
 * its plain C core and no object is touched per event; any other selector is asked through its slots.
 * A selector with a descriptor of its own is polled by that one; for one without, the main
 * context polls each descriptor, which is what poll() and select() cost anyway.
 */
typedef struct
{
  EvpHandle *reader, *writer; /* owned */
  GPollFD *tag;               /* of the main context's poll, if the selector has no descriptor */
  guint32 generation;         /* travels with events, so that those of an earlier life of the number are known */
  guint8 registered;          /* EvpIOEvents that the selector watches now */
} EvpFdEntry;

struct _EvpLoopIo
{
  EvpLoopCore *core; /* which owns this */
  EvpSelector *selector;
  EvpEpoll *epoll;   /* the fast path, inside `selector` */
  int polled_fd;     /* the selector's, once the context polls it; else -1 */
  GPollFD *tag;
  EvpFdEntry *entries;
  guint n_entries;
  guint n_fds;
};

static inline EvpIOEvents
wanted (EvpFdEntry *entry)
{
  EvpIOEvents events = EVP_IO_EVENTS_NONE;

  if (entry->reader != NULL && (entry->reader->flags & EVP_HANDLE_SUSPENDED) == 0)
    events |= EVP_IO_EVENTS_READ;
  if (entry->writer != NULL && (entry->writer->flags & EVP_HANDLE_SUSPENDED) == 0)
    events |= EVP_IO_EVENTS_WRITE;
  return events;
}

static inline EvpHandle **
slot (EvpFdEntry *entry,
      EvpIOEvents direction)
{
  return direction == EVP_IO_EVENTS_READ ? &entry->reader : &entry->writer;
}

static EvpFdEntry *
find (EvpLoopIo *self,
      int        fd)
{
  return fd >= 0 && (guint) fd < self->n_entries ? &self->entries[fd] : NULL;
}

static gboolean
ensure_selector (EvpLoopIo *self)
{
  if (self->selector == NULL)
    self->selector = evp_selector_new_default ();
  if (self->epoll == NULL && G_OBJECT_TYPE (self->selector) == EVP_TYPE_EPOLL_SELECTOR)
    self->epoll = evp_epoll_selector_get_epoll (EVP_EPOLL_SELECTOR (self->selector));
  return self->epoll != NULL;
}

static void
poll_selector_fd (EvpLoopIo *self)
{
  int fd = self->epoll != NULL ? evp_epoll_get_fd (self->epoll) : evp_selector_get_fd (self->selector);

  if (fd == self->polled_fd)
    return;
  if (self->tag != NULL)
    evp_loop_source_remove_fd (self->core, g_steal_pointer (&self->tag));
  self->polled_fd = fd;
  if (fd >= 0)
    self->tag = evp_loop_source_add_fd (self->core, fd, G_IO_IN);
}

static GIOCondition
to_condition (EvpIOEvents events)
{
  return ((events & EVP_IO_EVENTS_READ) != 0 ? G_IO_IN : 0) | ((events & EVP_IO_EVENTS_WRITE) != 0 ? G_IO_OUT : 0);
}

/* Another selector than our own epoll: by its slots. */
static gboolean
set_generic (EvpLoopIo  *self,
             int         fd,
             EvpFdEntry *entry,
             EvpIOEvents events,
             GError    **error)
{
  g_autoptr (EvpSelectorKey) key = NULL;

  if (events == EVP_IO_EVENTS_NONE)
    evp_selector_unregister (self->selector, fd, NULL);
  else if (!evp_os_fd_is_open (fd))
    {
      evp_set_error_from_errno (error, EBADF, _("Cannot watch file descriptor %d"), fd);
      return FALSE;
    }
  else if (entry->registered == 0)
    key = evp_selector_register (self->selector, fd, events, NULL, error);
  else
    key = evp_selector_modify (self->selector, fd, events, NULL, error);
  if (events != EVP_IO_EVENTS_NONE && key == NULL)
    return FALSE;

  poll_selector_fd (self);
  if (self->polled_fd >= 0 || self->core->source == NULL)
    return TRUE;
  if (entry->tag != NULL && events != EVP_IO_EVENTS_NONE)
    entry->tag->events = (gushort) (to_condition (events) | G_IO_ERR | G_IO_HUP);
  else if (entry->tag != NULL)
    evp_loop_source_remove_fd (self->core, g_steal_pointer (&entry->tag));
  else if (events != EVP_IO_EVENTS_NONE)
    entry->tag = evp_loop_source_add_fd (self->core, fd, to_condition (events));
  return TRUE;
}

static gboolean
set_events (EvpLoopIo  *self,
            int         fd,
            EvpIOEvents events,
            GError    **error)
{
  EvpFdEntry *entry = &self->entries[fd];
  int failed;

  if (entry->registered == 0 && events == EVP_IO_EVENTS_NONE)
    return TRUE;
  if (entry->registered == 0)
    entry->generation++;

  if (self->epoll != NULL)
    {
      failed = evp_epoll_set (self->epoll, fd, events, entry->generation);
      if (failed != 0)
        {
          if (entry->registered != 0)
            self->n_fds--;
          entry->registered = 0;
          evp_set_error_from_errno (error, failed, _("Cannot watch file descriptor %d"), fd);
          return FALSE;
        }
      if (G_UNLIKELY (self->tag == NULL))
        poll_selector_fd (self);
    }
  else if (!set_generic (self, fd, entry, events, error))
    return FALSE;

  if (entry->registered == 0)
    self->n_fds++;
  else if (events == EVP_IO_EVENTS_NONE)
    self->n_fds--;
  entry->registered = (guint8) events;
  return TRUE;
}

/* The table gives up a handle; if it is queued or running, the queue or the runner lets it go. */
static void
give_up (EvpHandle *handle)
{
  if (handle == NULL)
    return;
  if ((handle->flags & (EVP_HANDLE_QUEUED | EVP_HANDLE_RUNNING)) != 0)
    {
      handle->flags |= EVP_HANDLE_DETACHED;
      evp_handle_ref (handle);
      evp_handle_cancel (handle);
      evp_handle_unref (handle);
    }
  else
    {
      evp_handle_cancel (handle);
      evp_handle_unref (handle);
    }
}

/* What was registered under this number was closed behind our back. */
static void
forget (EvpLoopIo *self,
        int        fd)
{
  EvpFdEntry *entry = find (self, fd);
  EvpHandle *reader, *writer;

  if (entry == NULL)
    return;
  reader = g_steal_pointer (&entry->reader);
  writer = g_steal_pointer (&entry->writer);
  set_events (self, fd, EVP_IO_EVENTS_NONE, NULL);
  give_up (reader);
  give_up (writer);
}

gboolean
evp_loop_io_watch (EvpLoopIo   *self,
                   int          fd,
                   EvpIOEvents  direction,
                   EvpHandle   *handle,
                   GError     **error)
{
  EvpFdEntry *entry;
  EvpHandle *old;

  /* before the selector is made: what it opens might get this very number; and before the table
   * grows: a number that is none could be any, and take all memory there is */
  if ((self->epoll == NULL || evp_epoll_get_fd (self->epoll) < 0 || (guint) fd >= self->n_entries)
      && !evp_os_fd_is_open (fd))
    {
      evp_set_error_from_errno (error, EBADF, _("Cannot watch file descriptor %d"), fd);
      forget (self, fd);
      return FALSE;
    }

  ensure_selector (self);
  if ((guint) fd >= self->n_entries)
    {
      guint n = MAX (64, self->n_entries);

      while (n <= (guint) fd)
        n *= 2;
      self->entries = g_renew (EvpFdEntry, self->entries, n);
      memset (self->entries + self->n_entries, 0, (n - self->n_entries) * sizeof (EvpFdEntry));
      self->n_entries = n;
    }

  entry = &self->entries[fd];
  /* the kernel is told even if nothing seems to change: the number may have a new owner, and what the
   * old one's duplicates still report must be known from its events */
  entry->generation++;
  if (!set_events (self, fd, wanted (entry) | direction, error))
    {
      forget (self, fd);
      return FALSE;
    }

  entry = &self->entries[fd];
  old = *slot (entry, direction);
  *slot (entry, direction) = evp_handle_ref (handle);
  give_up (old);
  evp_loop_core_wake (self->core);
  return TRUE;
}

gboolean
evp_loop_io_unwatch (EvpLoopIo   *self,
                     int          fd,
                     EvpIOEvents  direction)
{
  EvpFdEntry *entry = find (self, fd);
  EvpHandle *old;

  if (entry == NULL || *slot (entry, direction) == NULL)
    return FALSE;

  old = g_steal_pointer (slot (entry, direction));
  /* the last direction leaves the kernel at once, the descriptor may be closed next; one of two leaves
   * when an event comes that nobody wants */
  if (entry->reader == NULL && entry->writer == NULL)
    set_events (self, fd, EVP_IO_EVENTS_NONE, NULL);
  give_up (old);
  return TRUE;
}

static guint
evp_loop_io_count (gpointer io)
{
  return ((EvpLoopIo *) io)->n_fds;
}

static gboolean
evp_loop_io_forgets_closed (gpointer io)
{
  return ((EvpLoopIo *) io)->epoll != NULL;
}

EvpSelector *
evp_loop_io_get_selector (EvpLoopIo *self)
{
  ensure_selector (self);
  return self->selector;
}

static gboolean
evp_loop_io_polled (gpointer io)
{
  EvpLoopIo *self = io;

  if (self->core->source == NULL)
    return FALSE;
  if (self->tag != NULL)
    return self->tag->revents != 0;
  if (self->selector == NULL || self->epoll != NULL)
    return FALSE;
  for (guint i = 0, left = self->n_fds; i < self->n_entries && left > 0; i++)
    if (self->entries[i].registered != 0)
      {
        left--;
        if (self->entries[i].tag != NULL && self->entries[i].tag->revents != 0)
          return TRUE;
      }
  return FALSE;
}

/*
 * An event that nothing was queued for: one of two directions was dropped, or the callback is running further
 * down the stack and a nested main loop polls. The kernel must not report it again, or that loop would
 * spin; hang-ups and errors cannot be masked, so for those the descriptor leaves the set.
 */
static void
reduce (EvpLoopIo  *self,
        int         fd,
        EvpIOEvents events)
{
  EvpFdEntry *entry = &self->entries[fd];
  EvpIOEvents less;

  if (entry->reader != NULL && (events & EVP_IO_EVENTS_READ) != 0
      && (entry->reader->flags & EVP_HANDLE_RUNNING) != 0)
    entry->reader->flags |= EVP_HANDLE_SUSPENDED;
  if (entry->writer != NULL && (events & EVP_IO_EVENTS_WRITE) != 0
      && (entry->writer->flags & EVP_HANDLE_RUNNING) != 0)
    entry->writer->flags |= EVP_HANDLE_SUSPENDED;

  less = wanted (entry);
  set_events (self, fd, less == entry->registered ? EVP_IO_EVENTS_NONE : less, NULL);
}

static inline gboolean
queue_watch (EvpLoopIo *self,
             EvpHandle *handle)
{
  if (handle == NULL || (handle->flags & EVP_HANDLE_RUNNING) != 0)
    return FALSE;
  /* once per turn, also if it is reported again before it has run */
  if ((handle->flags & EVP_HANDLE_QUEUED) == 0)
    {
      evp_loop_core_push (self->core, handle);
      self->core->n_queued_watches++;
    }
  return TRUE;
}

static inline guint
queue_events (EvpLoopIo  *self,
              int         fd,
              EvpIOEvents events)
{
  EvpFdEntry *entry = &self->entries[fd];
  guint queued = 0;

  if ((events & EVP_IO_EVENTS_READ) != 0 && queue_watch (self, entry->reader))
    queued++;
  if ((events & EVP_IO_EVENTS_WRITE) != 0 && queue_watch (self, entry->writer))
    queued++;
  if (G_UNLIKELY (queued == 0 || (entry->registered & events & ~(guint) wanted (entry)) != 0))
    {
      if (queued == 0)
        reduce (self, fd, events);
      else
        set_events (self, fd, wanted (entry), NULL);
    }
  return queued;
}

static guint
harvest_epoll (EvpLoopIo *self)
{
  EvpEpollEvent events[EVP_EPOLL_BATCH];
  guint queued = 0;
  int n;

  n = evp_epoll_wait (self->epoll, events, EVP_EPOLL_BATCH, 0);
  for (int i = 0; i < n; i++)
    {
      EvpFdEntry *entry = find (self, events[i].fd);

      if (G_LIKELY (entry != NULL && entry->registered != 0 && entry->generation == events[i].generation))
        queued += queue_events (self, events[i].fd, events[i].events);
      else
        evp_epoll_drop (self->epoll, &events[i]);
    }
  return queued;
}

static void
report_stale (EvpLoopIo *self,
              int        fd)
{
  g_autoptr (EvpExceptionContext) context = NULL;
  g_autoptr (GError) error = NULL;
  EvpFdEntry *entry = &self->entries[fd];
  EvpHandle *reader = g_steal_pointer (&entry->reader);
  EvpHandle *writer = g_steal_pointer (&entry->writer);

  set_events (self, fd, EVP_IO_EVENTS_NONE, NULL);
  give_up (reader);
  give_up (writer);

  evp_set_error_from_errno (&error, EBADF,
                            _("File descriptor %d was closed while it was watched; remove its readers and writers first"), fd);
  context = evp_exception_context_new (_("A watched file descriptor was closed"));
  evp_exception_context_set_error (context, error);
  if (self->core->loop != NULL)
    evp_event_loop_call_exception_handler (self->core->loop, context);
}

static guint
harvest_generic (EvpLoopIo *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) keys = evp_selector_select (self->selector, 0.0, &error);
  guint queued = 0;

  if (keys == NULL)
    {
      g_autoptr (EvpExceptionContext) context = NULL;
      guint n_stale = 0;

      /* select() fails as a whole for one closed descriptor */
      for (guint i = 0; i < self->n_entries; i++)
        if (self->entries[i].registered != 0 && !evp_os_fd_is_open ((int) i))
          {
            report_stale (self, (int) i);
            n_stale++;
          }
      if (n_stale > 0)
        return 0;

      context = evp_exception_context_new (_("The selector of the loop failed"));
      evp_exception_context_set_error (context, error);
      if (self->core->loop != NULL)
        evp_event_loop_call_exception_handler (self->core->loop, context);
      return 0;
    }

  for (guint i = 0; i < keys->len; i++)
    {
      EvpSelectorKey *key = g_ptr_array_index (keys, i);
      int fd = evp_selector_key_get_fd (key);
      EvpFdEntry *entry = find (self, fd);

      if (entry == NULL || entry->registered == 0)
        continue;
      if (entry->tag != NULL && self->core->source != NULL
          && (entry->tag->revents & G_IO_NVAL) != 0)
        report_stale (self, fd);
      else
        {
          /* one that was written elsewhere may say more than it was asked for, or nothing: neither is a surplus event */
          EvpIOEvents events = evp_selector_key_get_ready_events (key) & entry->registered;

          if (events != EVP_IO_EVENTS_NONE)
            queued += queue_events (self, fd, events);
        }
    }
  return queued;
}

static guint
evp_loop_io_harvest (gpointer io)
{
  EvpLoopIo *self = io;

  if (self->n_fds == 0 && self->tag == NULL)
    return 0;
  return self->epoll != NULL ? harvest_epoll (self) : harvest_generic (self);
}

static void
evp_loop_io_settle (gpointer   io,
                    EvpHandle *handle)
{
  EvpLoopIo *self = io;
  EvpFdEntry *entry = find (self, (int) handle->when);

  if ((handle->flags & EVP_HANDLE_SUSPENDED) != 0)
    {
      handle->flags &= (guint8) ~EVP_HANDLE_SUSPENDED;
      if (entry != NULL && (entry->reader == handle || entry->writer == handle)
          && !set_events (self, (int) handle->when, wanted (entry), NULL))
        report_stale (self, (int) handle->when);
    }
  if ((handle->flags & EVP_HANDLE_DETACHED) != 0)
    evp_handle_unref (handle);
}

static void
evp_loop_io_close (gpointer io)
{
  EvpLoopIo *self = io;
  EvpFdEntry *entries = g_steal_pointer (&self->entries);
  guint n_entries = self->n_entries;

  /* one close() takes all descriptors out of the kernel's set */
  self->n_entries = 0;
  self->n_fds = 0;
  self->tag = NULL;
  self->polled_fd = -1;
  if (self->selector != NULL)
    evp_selector_close (self->selector);
  self->epoll = NULL;

  for (guint i = 0; i < n_entries; i++)
    {
      give_up (entries[i].reader);
      give_up (entries[i].writer);
    }
  g_free (entries);
}

static void
evp_loop_io_free (gpointer io)
{
  EvpLoopIo *self = io;

  g_clear_object (&self->selector);
  g_free (self->entries);
  g_free (self);
}

static const EvpLoopIoFuncs evp_loop_io_funcs = {
  .polled = evp_loop_io_polled,
  .harvest = evp_loop_io_harvest,
  .settle = evp_loop_io_settle,
  .count = evp_loop_io_count,
  .forgets_closed = evp_loop_io_forgets_closed,
  .close = evp_loop_io_close,
  .free = evp_loop_io_free,
};

static GQuark
taken_quark (void)
{
  return g_quark_from_static_string ("evp-loop-owns-selector");
}

gboolean
evp_loop_io_is_taken (EvpSelector *selector)
{
  return g_object_get_qdata (G_OBJECT (selector), taken_quark ()) != NULL;
}

EvpLoopIo *
evp_loop_io_new (EvpLoopCore *core,
                 EvpSelector *selector)
{
  EvpLoopIo *self = g_new0 (EvpLoopIo, 1);

  self->core = core;
  if (selector != NULL)
    {
      self->selector = g_object_ref (selector);
      g_object_set_qdata (G_OBJECT (selector), taken_quark (), self);
    }
  self->polled_fd = -1;
  core->io = self;
  core->io_funcs = &evp_loop_io_funcs;
  return self;
}
