/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/selector/evp-selector-key.h"

G_BEGIN_DECLS

#define EVP_TYPE_SELECTOR (evp_selector_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpSelector, evp_selector, EVP, SELECTOR, GObject)

/**
 * EvpSelectorClass:
 * @register_fd: watches a file descriptor
 * @modify: changes what it is watched for
 * @unregister: watches it no longer
 * @select: waits for events
 * @get_key: finds the key of a file descriptor
 * @get_map: lists all keys
 * @close: frees what the selector holds
 * @get_fd: the selector's own file descriptor
 *
 * The slots of a selector. Each has a default that fails with %EVP_ERROR_NOT_SUPPORTED.
 *
 * They are called on the thread of the selector.
 *
 * Since: 1.0
 */
struct _EvpSelectorClass
{
  GObjectClass parent_class;

  /*< public >*/
  EvpSelectorKey *(*register_fd) (EvpSelector  *self,
                                  int           fd,
                                  EvpIOEvents   events,
                                  const GValue *data,
                                  GError      **error);
  EvpSelectorKey *(*modify)      (EvpSelector  *self,
                                  int           fd,
                                  EvpIOEvents   events,
                                  const GValue *data,
                                  GError      **error);
  gboolean        (*unregister)  (EvpSelector  *self,
                                  int           fd,
                                  GError      **error);
  GPtrArray      *(*select)      (EvpSelector  *self,
                                  double        timeout,
                                  GError      **error);
  EvpSelectorKey *(*get_key)     (EvpSelector  *self,
                                  int           fd,
                                  GError      **error);
  GPtrArray      *(*get_map)     (EvpSelector  *self);
  void            (*close)       (EvpSelector  *self);
  int             (*get_fd)      (EvpSelector  *self);

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
EvpSelector    *evp_selector_new_default (void) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpSelectorKey *evp_selector_register    (EvpSelector  *self,
                                          int           fd,
                                          EvpIOEvents   events,
                                          const GValue *data,
                                          GError      **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpSelectorKey *evp_selector_modify      (EvpSelector  *self,
                                          int           fd,
                                          EvpIOEvents   events,
                                          const GValue *data,
                                          GError      **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
gboolean        evp_selector_unregister  (EvpSelector  *self,
                                          int           fd,
                                          GError      **error);
EVP_AVAILABLE_IN_1_0
GPtrArray      *evp_selector_select      (EvpSelector  *self,
                                          double        timeout,
                                          GError      **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
EvpSelectorKey *evp_selector_get_key     (EvpSelector  *self,
                                          int           fd,
                                          GError      **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GPtrArray      *evp_selector_get_map     (EvpSelector  *self);
EVP_AVAILABLE_IN_1_0
void            evp_selector_close       (EvpSelector  *self);
EVP_AVAILABLE_IN_1_0
int             evp_selector_get_fd      (EvpSelector  *self);

/* select() and get_map() as Python and JavaScript see them */
EVP_AVAILABLE_IN_1_0
GPtrArray      *evp_selector_select_keys (EvpSelector  *self,
                                          double        timeout,
                                          GError      **error) G_GNUC_WARN_UNUSED_RESULT;
EVP_AVAILABLE_IN_1_0
GPtrArray      *evp_selector_list_keys   (EvpSelector  *self);

G_END_DECLS
