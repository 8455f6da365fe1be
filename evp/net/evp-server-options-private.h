/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/net/evp-server-options.h"

G_BEGIN_DECLS

struct _EvpServerOptions
{
  GObject parent_instance;

  char **hosts;
  GSocketFamily family;
  gboolean reuse_address;
  gboolean reuse_port;
  gboolean start_serving;
  GSocket *socket;
  int socket_mode;
  gboolean cleanup_socket;
  EvpTlsOptions *tls_options;
};

/* A copy that nobody else changes; of the defaults if @options is NULL. */
EvpServerOptions *evp_server_options_snapshot (EvpServerOptions *options);

G_END_DECLS
