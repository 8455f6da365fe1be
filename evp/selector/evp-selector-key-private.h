/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/selector/evp-selector-key.h"

G_BEGIN_DECLS

/* For the selectors of the library: no checks per event. */
struct _EvpSelectorKey
{
  GObject parent_instance;

  int fd;                   /* set once, before anybody else sees the key */
  guint32 generation;       /* set by the table; differs between registrations of one number */
  EvpIOEvents events;
  EvpIOEvents ready_events; /* of the last select */
  guint64 selected;         /* the select of the table that last reported it */
  gboolean never_blocks;    /* a regular file, for selectors whose kernel call would refuse it */
  GValue data;              /* unset (type 0): none */
};

G_END_DECLS
