/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"
#include "evp/net/evp-server-options.h"

G_BEGIN_DECLS

/*
 * One listening socket of a server: bound, then listening, then closed.
 *
 * Connections are accepted only while somebody wants them; the others wait in the kernel, whose queue is
 * what the backlog limits. Everything happens on the loop's thread, apart from the last reference to one
 * that never listened.
 */
typedef struct _EvpListener EvpListener;

typedef struct
{
  /* whether a connection would be taken */
  gboolean (*wants)    (gpointer data);
  /* @socket (transfer full): non-blocking and close-on-exec */
  void     (*accepted) (GSocket *socket,
                        gpointer data);
} EvpListenerFuncs;

/*
 * Binds a new socket. NULL without an error: this address is to be left out, because the machine has no
 * such sockets or not this address.
 */
EvpListener *evp_listener_bind       (EvpAbstractEventLoop   *loop,
                                      GSocketAddress         *address,
                                      EvpServerOptions       *options,
                                      GError                **error);
/* For a socket that is bound already. */
EvpListener *evp_listener_new        (EvpAbstractEventLoop   *loop,
                                      GSocket                *socket);
EvpListener *evp_listener_ref        (EvpListener            *self);
void         evp_listener_unref      (EvpListener            *self);
GSocket     *evp_listener_get_socket (EvpListener            *self);
/* Listens, and accepts until it is closed. */
gboolean     evp_listener_start      (EvpListener            *self,
                                      int                     backlog,
                                      const EvpListenerFuncs *funcs,
                                      gpointer                data,
                                      GError                **error);
/* Somebody wants connections again. */
void         evp_listener_resume     (EvpListener            *self);
/* Nobody can connect any more; no function is called any more. */
void         evp_listener_close      (EvpListener            *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpListener, evp_listener_unref)

G_END_DECLS
