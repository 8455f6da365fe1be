/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/net/evp-connection-options.h"

G_BEGIN_DECLS

struct _EvpConnectionOptions
{
  GObject parent_instance;

  GSocketFamily family;
  char *local_host;
  guint16 local_port;
  double happy_eyeballs_delay;
  int interleave;
  double timeout;
  GSocket *socket;
  gboolean tls;
  char *server_name;
  EvpTlsOptions *tls_options;
};

/* A copy that nobody else changes; of the defaults if @options is NULL. */
EvpConnectionOptions *evp_connection_options_snapshot (EvpConnectionOptions *options);

G_END_DECLS
