/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/loop/evp-abstract-event-loop.h"

#include <gio/gio.h>

G_BEGIN_DECLS

/*
 * Connects one socket to one of several addresses: the attempts start one after the other, each when its
 * predecessor has failed or had some time for itself, and the first that succeeds ends the others (happy
 * eyeballs, RFC 8305).
 *
 * Everything happens on the loop's thread.
 */
typedef struct _EvpConnector EvpConnector;

/*
 * A connected socket, or an error; both (transfer full). Called once, when no attempt is under way any
 * more and no other socket is open. It may be called before evp_connector_start() returns.
 */
typedef void (*EvpConnectorFunc) (GSocket *socket,
                                  GError  *error,
                                  gpointer user_data);

EvpConnector *evp_connector_new    (EvpAbstractEventLoop *loop,
                                    EvpConnectorFunc      func,
                                    gpointer              user_data);
EvpConnector *evp_connector_ref    (EvpConnector         *self);
void          evp_connector_unref  (EvpConnector         *self);
/* The addresses to connect to, of GSocketAddress, best first. */
void          evp_connector_set_addresses
                                   (EvpConnector         *self,
                                    GList                *addresses);
/* The addresses to connect from; without any the system chooses. */
void          evp_connector_set_local_addresses
                                   (EvpConnector         *self,
                                    GList                *addresses);
/* As the properties of EvpConnectionOptions. */
void          evp_connector_set_happy_eyeballs
                                   (EvpConnector         *self,
                                    double                delay,
                                    int                   interleave);
/* Once. */
void          evp_connector_start  (EvpConnector         *self);
/* Ends all attempts; the error is G_IO_ERROR_CANCELLED then. Nothing happens once it has ended. */
void          evp_connector_cancel (EvpConnector         *self);

/* @addresses regrouped by family in turns, the first family first with @first_count of them; of borrowed addresses. */
GPtrArray    *evp_connector_interleave
                                   (GPtrArray            *addresses,
                                    guint                 first_count);
/* One error of several: the only one, or the one whose text they share, or one that lists all texts. */
GError       *evp_connector_merge_errors
                                   (GPtrArray            *errors);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EvpConnector, evp_connector_unref)

G_END_DECLS
