/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <evp/evp.h>

G_BEGIN_DECLS

/*
 * The process group that a child leads.
 *
 * Its number may belong to strangers once the leader is reaped and the last member gone. A pidfd of the
 * leader, made while it cannot be reaped unseen, names the group for good (Linux 6.9); without it nothing is
 * sent any more after the leader has gone.
 */
typedef struct _EvpToolGroup EvpToolGroup;

/* @pid: our child, and the leader. */
EvpToolGroup *evp_tool_group_new    (GPid           pid);
void          evp_tool_group_free   (EvpToolGroup  *self);
/* To all members, and to nobody else. @leader: NULL if its end is known. */
void          evp_tool_group_signal (EvpToolGroup  *self,
                                     int            signum,
                                     EvpSubprocess *leader);
/* Whether there is anybody left whom a signal would end, with the leader gone; to be asked again and again. */
gboolean      evp_tool_group_lives  (EvpToolGroup  *self);

G_END_DECLS
