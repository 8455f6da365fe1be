/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/net/evp-listener-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/net/evp-demand-private.h"
#include "evp/net/evp-server-options-private.h"
#include "evp/os/evp-os-fd-private.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * How long accepting rests, in seconds, after the system had no descriptor or memory to give. A listening
 * socket stays readable, so without a rest the loop would spin.
 */
#define REST 1.0

struct _EvpListener
{
  gatomicrefcount ref_count;

  /* set once */
  EvpAbstractEventLoop *loop;
  GSocket *socket;
  char *path;           /* the file of a unix socket, to be removed; NULL: none */
  dev_t path_device;
  ino_t path_inode;

  /* NULL or 0 until it listens */
  const EvpListenerFuncs *funcs;
  gpointer data;        /* not owned */
  int backlog;
  EvpOperation *poll;   /* waits for connections; holds a reference to this while it is pending */
  EvpOperation *accept; /* never submitted: its system call is made when there is a connection */
  EvpTimerHandle *rest; /* holds a reference, too */
  EvpDemand *demand;    /* holds a reference, too; while a connection waits and nobody wants it */
  gboolean closed;
};

static void
evp_listener_close_socket (EvpListener *self)
{
  if (self->poll != NULL)
    evp_loop_retire_operation (self->poll);
  g_socket_close (self->socket, NULL);
}

static void
evp_listener_remove_path (EvpListener *self)
{
  g_autofree char *path = g_steal_pointer (&self->path);
  GStatBuf status;

  /* another server may have taken the path meanwhile */
  if (path != NULL && g_lstat (path, &status) == 0
      && status.st_dev == self->path_device && status.st_ino == self->path_inode)
    g_unlink (path);
}

static void
evp_listener_stop_rest (EvpListener *self)
{
  EvpTimerHandle *rest = g_steal_pointer (&self->rest);

  if (rest == NULL)
    return;
  evp_timer_handle_cancel (rest);
  evp_timer_handle_unref (rest);
}

static gboolean evp_listener_wait (EvpListener *self,
                                   GError     **error);

static void
evp_listener_rested_cb (gpointer user_data)
{
  EvpListener *self = user_data;

  g_clear_pointer (&self->rest, evp_timer_handle_unref);
  evp_listener_wait (self, NULL);
}

static void
evp_listener_start_rest (EvpListener *self)
{
  EvpTimerHandle *rest = evp_event_loop_call_later (self->loop, REST, evp_listener_rested_cb,
                                                    evp_listener_ref (self),
                                                    (GDestroyNotify) evp_listener_unref, NULL);

  if (rest != NULL) /* else the loop is closing */
    self->rest = evp_timer_handle_ref (rest);
}

static gboolean
evp_listener_wanted_cb (gpointer data)
{
  EvpListener *self = data;

  return self->funcs != NULL && self->funcs->wants (self->data);
}

static void
evp_listener_resume_cb (gpointer data)
{
  evp_listener_resume (data);
}

static const EvpDemandFuncs evp_listener_demand_funcs = {
  evp_listener_wanted_cb,
  evp_listener_resume_cb,
};

static char *
evp_listener_dup_name (EvpListener *self)
{
  g_autoptr (GSocketAddress) address = g_socket_get_local_address (self->socket, NULL);

  return address != NULL ? g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address)) : g_strdup ("?");
}

static void
evp_listener_report (EvpListener *self,
                     int          saved_errno)
{
  g_autoptr (EvpExceptionContext) context = NULL;
  g_autofree char *name = evp_listener_dup_name (self);
  g_autoptr (GError) error = NULL;

  /* Translators: %s is the address of a socket */
  evp_set_error_from_errno (&error, saved_errno, _("No connection can be accepted at %s"), name);
  context = evp_exception_context_new (_("A server cannot accept connections; it tries again in a second"));
  evp_exception_context_set_error (context, error);
  evp_exception_context_set_string (context, "socket", name);
  evp_event_loop_call_exception_handler (self->loop, context);
}

/* Whether accept() told of a connection that has died in the queue; others may be behind it. */
static gboolean
evp_listener_is_lost_connection (int saved_errno)
{
  switch (saved_errno)
    {
    case ECONNABORTED:
    case EINTR:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case EPERM: /* a firewall */
    case EPROTO:
#ifdef ENONET
    case ENONET:
#endif
      return TRUE;
    default:
      return FALSE;
    }
}

/* Accepts what is there; TRUE if one has to wait for more, FALSE with what else is to happen arranged for. */
static gboolean
evp_listener_accept (EvpListener *self)
{
  for (int i = 0; i < self->backlog && !self->closed; i++)
    {
      g_autoptr (GError) error = NULL;
      GSocket *socket;
      gssize fd;

      if (!self->funcs->wants (self->data))
        {
          self->demand = evp_demand_start (self->loop, &evp_listener_demand_funcs, evp_listener_ref (self),
                                           (GDestroyNotify) evp_listener_unref);
          return FALSE;
        }
      fd = evp_operation_try (self->accept, FALSE);
      if (fd == -EAGAIN || fd == -EWOULDBLOCK)
        return TRUE;
      if (fd < 0 && evp_listener_is_lost_connection ((int) -fd))
        continue;
      if (fd < 0)
        {
          evp_listener_report (self, (int) -fd);
          if (!self->closed)
            evp_listener_start_rest (self);
          return FALSE;
        }
      socket = g_socket_new_from_fd ((int) fd, &error);
      if (socket == NULL)
        {
          EVP_DEBUG_NOTE (EVP_DEBUG_LOOP, "a connection is dropped: %s", error->message);
          evp_os_fd_close ((int) fd);
          continue;
        }
      g_socket_set_blocking (socket, FALSE);
      self->funcs->accepted (socket, self->data);
    }
  return TRUE;
}

static void
evp_listener_ready_cb (EvpOperation *operation,
                       gpointer      user_data)
{
  g_autoptr (EvpListener) self = user_data;

  if (self->closed)
    {
      evp_listener_close_socket (self);
      return;
    }
  if (operation->result < 0)
    {
      /* the server hears of a loop that closes, and closes this */
      if (operation->result == -ECANCELED)
        return;
      evp_listener_report (self, (int) -operation->result);
      if (!self->closed)
        evp_listener_start_rest (self);
      return;
    }
  if (evp_listener_accept (self))
    evp_listener_wait (self, NULL);
}

static gboolean
evp_listener_wait (EvpListener *self,
                   GError     **error)
{
  if (self->closed)
    return TRUE;
  evp_listener_ref (self); /* given back by ready_cb() */
  if (evp_loop_submit_operation (self->loop, self->poll, error))
    return TRUE;
  evp_listener_unref (self); /* the loop is closed, and the server hears of that */
  return FALSE;
}

/* Removes the file that a server which is gone has left behind. */
static void
evp_listener_remove_stale (const char *path)
{
  GStatBuf status;

  if (g_lstat (path, &status) == 0)
    {
      if (!S_ISSOCK (status.st_mode) || g_unlink (path) == 0)
        return;
    }
  if (errno != ENOENT)
    /* Translators: the first %s is the name of a file, the second an error message */
    evp_warn_runtime (_("The old socket %s cannot be removed: %s"), path, g_strerror (errno));
}

static gboolean
evp_listener_set_options (GSocket          *socket,
                          EvpServerOptions *options,
                          GError          **error)
{
  GSocketFamily family = g_socket_get_family (socket);

  if (family == G_SOCKET_FAMILY_UNIX)
    return TRUE;
  if (options->reuse_address && !g_socket_set_option (socket, SOL_SOCKET, SO_REUSEADDR, 1, error))
    return FALSE;
  if (options->reuse_port)
    {
#ifdef SO_REUSEPORT
      if (!g_socket_set_option (socket, SOL_SOCKET, SO_REUSEPORT, 1, NULL))
#endif
        {
          g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT,
                               _("This system cannot share a port; leave out reuse-port"));
          return FALSE;
        }
    }
  /* or it would take the IPv4 port, too */
  return family != G_SOCKET_FAMILY_IPV6 || g_socket_set_option (socket, IPPROTO_IPV6, IPV6_V6ONLY, 1, error);
}

/* The errno of bind(), or 0; -1 with @error. */
static int
evp_listener_bind_socket (GSocket        *socket,
                          GSocketAddress *address,
                          GError        **error)
{
  union
  {
    struct sockaddr any;
    struct sockaddr_storage storage;
  } native;
  gssize size = g_socket_address_get_native_size (address);

  if (!g_socket_address_to_native (address, &native, sizeof native, error))
    return -1;
  return bind (g_socket_get_fd (socket), &native.any, (socklen_t) size) == 0 ? 0 : errno;
}

/* Sets the permissions of the file, and learns how to know it again. */
static gboolean
evp_listener_adopt_path (EvpListener      *self,
                         const char       *path,
                         EvpServerOptions *options,
                         GError          **error)
{
  GStatBuf status;

  if (g_lstat (path, &status) == 0)
    {
      self->path = g_strdup (path);
      self->path_device = status.st_dev;
      self->path_inode = status.st_ino;
      if (options->socket_mode < 0 || g_chmod (path, options->socket_mode) == 0)
        {
          if (!options->cleanup_socket)
            g_clear_pointer (&self->path, g_free);
          return TRUE;
        }
    }
  evp_set_error_from_errno (error, errno, _("Cannot set the permissions of %s"), path);
  evp_listener_remove_path (self);
  return FALSE;
}

EvpListener *
evp_listener_bind (EvpAbstractEventLoop *loop,
                   GSocketAddress       *address,
                   EvpServerOptions     *options,
                   GError              **error)
{
  g_autoptr (GSocket) socket = NULL;
  g_autoptr (EvpListener) self = NULL;
  g_autoptr (GError) socket_error = NULL;
  g_autofree char *name = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
  const char *path = NULL;
  int failed;

  socket = g_socket_new (g_socket_address_get_family (address), G_SOCKET_TYPE_STREAM,
                         G_SOCKET_PROTOCOL_DEFAULT, &socket_error);
  if (socket == NULL)
    {
      EVP_DEBUG_NOTE (EVP_DEBUG_LOOP, "%s is left out: %s", name, socket_error->message);
      return NULL;
    }
  g_socket_set_blocking (socket, FALSE);
  if (!evp_listener_set_options (socket, options, error))
    return NULL;

  if (G_IS_UNIX_SOCKET_ADDRESS (address)
      && g_unix_socket_address_get_address_type (G_UNIX_SOCKET_ADDRESS (address)) == G_UNIX_SOCKET_ADDRESS_PATH)
    path = g_unix_socket_address_get_path (G_UNIX_SOCKET_ADDRESS (address));
  if (path != NULL)
    evp_listener_remove_stale (path);
  failed = evp_listener_bind_socket (socket, address, error);
  if (failed < 0)
    return NULL;
  if (failed == EADDRNOTAVAIL && path == NULL)
    {
      EVP_DEBUG_NOTE (EVP_DEBUG_LOOP, "%s is left out: %s", name, g_strerror (failed));
      return NULL;
    }
  if (failed > 0)
    {
      /* Translators: %s is the address of a socket */
      evp_set_error_from_errno (error, failed, _("Cannot listen at %s"), name);
      return NULL;
    }
  self = evp_listener_new (loop, socket);
  if (path != NULL && !evp_listener_adopt_path (self, path, options, error))
    return NULL;
  return g_steal_pointer (&self);
}

EvpListener *
evp_listener_new (EvpAbstractEventLoop *loop,
                  GSocket              *socket)
{
  EvpListener *self = g_new0 (EvpListener, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->loop = g_object_ref (loop);
  self->socket = g_object_ref (socket);
  return self;
}

EvpListener *
evp_listener_ref (EvpListener *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
evp_listener_unref (EvpListener *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  if (!self->closed) /* it never listened */
    {
      evp_listener_remove_path (self);
      g_socket_close (self->socket, NULL);
    }
  g_clear_pointer (&self->poll, evp_operation_unref);
  g_clear_pointer (&self->accept, evp_operation_unref);
  g_object_unref (self->socket);
  g_object_unref (self->loop);
  g_free (self);
}

GSocket *
evp_listener_get_socket (EvpListener *self)
{
  return self->socket;
}

/* A socket that was given may listen already, which GSocket does not want to be told twice. */
static gboolean
evp_listener_listen (EvpListener *self,
                     int          backlog,
                     GError     **error)
{
  int listens = 0;

  if (!g_socket_get_option (self->socket, SOL_SOCKET, SO_ACCEPTCONN, &listens, NULL) || !listens)
    {
      g_socket_set_listen_backlog (self->socket, backlog);
      return g_socket_listen (self->socket, error);
    }
  if (listen (g_socket_get_fd (self->socket), backlog) != 0)
    {
      int saved_errno = errno;
      g_autofree char *name = evp_listener_dup_name (self);

      evp_set_error_from_errno (error, saved_errno, _("Cannot listen at %s"), name);
      return FALSE;
    }
  return TRUE;
}

gboolean
evp_listener_start (EvpListener            *self,
                    int                     backlog,
                    const EvpListenerFuncs *funcs,
                    gpointer                data,
                    GError                **error)
{
  int fd = g_socket_get_fd (self->socket);

  if (self->poll != NULL)
    return TRUE;
  if (!evp_listener_listen (self, backlog, error))
    return FALSE;
  self->backlog = backlog;
  self->funcs = funcs;
  self->data = data;
  self->poll = evp_operation_new (EVP_OPERATION_POLL, fd, evp_listener_ready_cb, self);
  self->poll->events = EVP_IO_EVENTS_READ;
  self->accept = evp_operation_new (EVP_OPERATION_ACCEPT, fd, NULL, NULL);
  if (evp_listener_wait (self, error))
    return TRUE;
  g_clear_pointer (&self->poll, evp_operation_unref);
  g_clear_pointer (&self->accept, evp_operation_unref);
  self->funcs = NULL;
  self->data = NULL;
  return FALSE;
}

void
evp_listener_resume (EvpListener *self)
{
  if (self->demand == NULL)
    return;
  evp_demand_stop (&self->demand);
  evp_listener_wait (self, NULL);
}

void
evp_listener_close (EvpListener *self)
{
  if (self->closed)
    return;
  self->closed = TRUE;
  self->funcs = NULL;
  self->data = NULL;
  evp_listener_stop_rest (self);
  evp_demand_stop (&self->demand);
  evp_listener_remove_path (self);
  if (self->poll != NULL && evp_operation_is_pending (self->poll))
    {
      evp_loop_cancel_operation (self->loop, self->poll);
      if (evp_operation_is_pending (self->poll))
        {
          /* a proactor still has the descriptor; nobody shall connect meanwhile */
          shutdown (self->poll->fd, SHUT_RDWR);
          return;
        }
    }
  evp_listener_close_socket (self);
}
