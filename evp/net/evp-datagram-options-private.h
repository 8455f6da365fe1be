/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/net/evp-datagram-options.h"

G_BEGIN_DECLS

struct _EvpDatagramOptions
{
  GObject parent_instance;

  GSocketFamily family;
  gboolean allow_broadcast;
  gboolean reuse_port;
  GSocket *socket;
};

G_END_DECLS
