/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include <glib-object.h>

G_BEGIN_DECLS

/*
 * What EVP_CHILD_WATCHER, EVP_SELECTOR and EVP_PROACTOR choose. They are read once, when the first
 * policy is made; an unknown value is one warning, and then counts as unset. Any thread.
 */

/* The type chosen, or G_TYPE_INVALID for the best that works here. */
GType evp_policy_environment_get_child_watcher_type (void);
GType evp_policy_environment_get_selector_type      (void);
GType evp_policy_environment_get_proactor_type      (void);

G_END_DECLS
