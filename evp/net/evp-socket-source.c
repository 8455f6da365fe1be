/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-socket-channel-private.h"

#include <glib-unix.h>

/*
 * A pollable source, of the same kind as GIO's, but in one piece: a main context looks at each source in each
 * turn. In the main context of the loop it has no descriptor: the channel waits through the loop and wakes
 * it by its ready time. Anywhere else, as in a thread that does a TLS handshake, it polls the descriptor.
 */
struct _EvpSocketSource
{
  GSource source;

  gpointer stream;           /* owned: keeps the channel */
  EvpSocketChannel *channel;
  EvpSocketSource *next;     /* in the channel's list; see sources_lock */
  gboolean listed;           /* see sources_lock */
  gpointer fd_tag;           /* in a foreign context */
};

/*
 * Guards the lists of waiting sources: they are the loop's, but a source can be destroyed on any thread.
 * Nothing foreign runs under it.
 */
static GMutex sources_lock;

static gboolean
evp_socket_source_is_at_home (EvpSocketSource *self)
{
  g_autoptr (GMainContext) home = NULL;
  GMainContext *context = g_source_get_context (&self->source);

  if (self->channel->loop == NULL || evp_event_loop_is_closed (self->channel->loop))
    return FALSE;
  home = evp_event_loop_dup_main_context (self->channel->loop);
  return home != NULL && home == context;
}

static gboolean
evp_socket_source_wait (EvpSocketSource *self)
{
  EvpSocketChannel *channel = self->channel;

  g_mutex_lock (&sources_lock);
  if (!self->listed)
    {
      self->listed = TRUE;
      self->next = channel->sources;
      channel->sources = self;
    }
  g_mutex_unlock (&sources_lock);
  return evp_socket_channel_poll (channel);
}

/* Returns whether it was the last one that waited. */
static gboolean
evp_socket_source_unlist (EvpSocketSource *self)
{
  EvpSocketSource **link;
  gboolean last = FALSE;

  g_mutex_lock (&sources_lock);
  if (self->listed)
    {
      for (link = &self->channel->sources; *link != self; link = &(*link)->next)
        ;
      *link = self->next;
      self->listed = FALSE;
      last = self->channel->sources == NULL;
    }
  g_mutex_unlock (&sources_lock);
  return last;
}

static gboolean
evp_socket_source_prepare (GSource *source,
                           int     *timeout)
{
  EvpSocketSource *self = (EvpSocketSource *) source;

  *timeout = -1;
  if (self->listed || self->fd_tag != NULL)
    return FALSE;
  if (g_source_get_ready_time (source) == 0)
    return TRUE; /* woken, and not dispatched yet */
  if (self->channel->closed || g_socket_is_closed (self->channel->socket))
    return TRUE; /* a transfer says so */
  if (evp_socket_source_is_at_home (self) && evp_socket_source_wait (self))
    return FALSE;
  evp_socket_source_unlist (self);
  self->fd_tag = g_source_add_unix_fd (source, g_socket_get_fd (self->channel->socket),
                                       self->channel->direction == EVP_IO_EVENTS_READ ? G_IO_IN : G_IO_OUT);
  return FALSE;
}

static gboolean
evp_socket_source_check (GSource *source)
{
  EvpSocketSource *self = (EvpSocketSource *) source;

  return self->fd_tag != NULL && g_source_query_unix_fd (source, self->fd_tag) != 0;
}

static gboolean
evp_socket_source_dispatch (GSource    *source,
                            GSourceFunc callback,
                            gpointer    user_data)
{
  EvpSocketSource *self = (EvpSocketSource *) source;

  if (self->fd_tag == NULL)
    g_source_set_ready_time (source, -1);
  return callback == NULL || ((GPollableSourceFunc) (void (*) (void)) callback) (self->stream, user_data);
}

/* Not in finalize: until now it can be woken. */
static void
evp_socket_source_dispose (GSource *source)
{
  EvpSocketSource *self = (EvpSocketSource *) source;

  if (evp_socket_source_unlist (self))
    evp_socket_channel_stop_polling (self->channel);
}

static void
evp_socket_source_finalize (GSource *source)
{
  g_object_unref (((EvpSocketSource *) source)->stream);
}

/* What calls back if a closure was set, as GLib and languages do. */
static gboolean
evp_socket_source_closure_cb (GObject *stream,
                              gpointer closure)
{
  GValue result = G_VALUE_INIT;
  GValue argument = G_VALUE_INIT;
  gboolean goes_on;

  g_value_init (&result, G_TYPE_BOOLEAN);
  g_value_init (&argument, G_TYPE_OBJECT);
  g_value_set_object (&argument, stream);
  g_closure_invoke (closure, &result, 1, &argument, NULL);
  goes_on = g_value_get_boolean (&result);
  g_value_unset (&argument);
  g_value_unset (&result);
  return goes_on;
}

static GSourceFuncs evp_socket_source_funcs = {
  .prepare = evp_socket_source_prepare,
  .check = evp_socket_source_check,
  .dispatch = evp_socket_source_dispatch,
  .finalize = evp_socket_source_finalize,
  .closure_callback = (GSourceFunc) (void (*) (void)) evp_socket_source_closure_cb,
};

GSource *
evp_socket_source_new (EvpSocketChannel *channel)
{
  GSource *source = g_source_new (&evp_socket_source_funcs, sizeof (EvpSocketSource));
  EvpSocketSource *self = (EvpSocketSource *) source;

  g_source_set_static_name (source, "[evp] socket");
  g_source_set_dispose_function (source, evp_socket_source_dispose);
  self->channel = channel;
  self->stream = g_object_ref (channel->stream);
  return source;
}

void
evp_socket_channel_wake_sources (EvpSocketChannel *self)
{
  EvpSocketSource *source;

  g_mutex_lock (&sources_lock);
  while ((source = self->sources) != NULL)
    {
      self->sources = source->next;
      source->listed = FALSE;
      g_source_set_ready_time (&source->source, 0);
    }
  g_mutex_unlock (&sources_lock);
}

gboolean
evp_socket_channel_has_sources (EvpSocketChannel *self)
{
  gboolean has;

  g_mutex_lock (&sources_lock);
  has = self->sources != NULL;
  g_mutex_unlock (&sources_lock);
  return has;
}
