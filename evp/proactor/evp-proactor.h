/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#include "evp/proactor/evp-operation.h"

G_BEGIN_DECLS

#define EVP_TYPE_PROACTOR (evp_proactor_get_type ())

EVP_AVAILABLE_IN_1_0
G_DECLARE_DERIVABLE_TYPE (EvpProactor, evp_proactor, EVP, PROACTOR, GObject)

/**
 * EvpProactorClass:
 * @attach: learns the main context of its loop
 * @supports: says whether it can do a kind of operation
 * @submit: starts an operation
 * @cancel: asks for the end of an operation
 * @poll: hands over to the kernel what was submitted, and collects what has completed
 * @get_fd: the proactor's own file descriptor
 * @close: ends all operations and frees what the proactor holds
 *
 * The slots of a proactor. Each has a default.
 *
 * They are called on the thread of the loop.
 *
 * Since: 1.0
 */
struct _EvpProactorClass
{
  GObjectClass parent_class;

  /*< public >*/
  void     (*attach)   (EvpProactor     *self,
                        GMainContext    *context);
  gboolean (*supports) (EvpProactor     *self,
                        EvpOperationKind kind);
  gboolean (*submit)   (EvpProactor     *self,
                        EvpOperation    *operation,
                        GError         **error);
  void     (*cancel)   (EvpProactor     *self,
                        EvpOperation    *operation);
  guint    (*poll)     (EvpProactor     *self);
  int      (*get_fd)   (EvpProactor     *self);
  void     (*close)    (EvpProactor     *self);

  /*< private >*/
  gpointer padding[8];
};

EVP_AVAILABLE_IN_1_0
EvpProactor *evp_proactor_new_default (void) G_GNUC_WARN_UNUSED_RESULT;

EVP_AVAILABLE_IN_1_0
void     evp_proactor_attach   (EvpProactor     *self,
                                GMainContext    *context);
EVP_AVAILABLE_IN_1_0
gboolean evp_proactor_supports (EvpProactor     *self,
                                EvpOperationKind kind);
EVP_AVAILABLE_IN_1_0
gboolean evp_proactor_submit   (EvpProactor     *self,
                                EvpOperation    *operation,
                                GError         **error);
EVP_AVAILABLE_IN_1_0
void     evp_proactor_cancel   (EvpProactor     *self,
                                EvpOperation    *operation);
EVP_AVAILABLE_IN_1_0
guint    evp_proactor_poll     (EvpProactor     *self);
EVP_AVAILABLE_IN_1_0
int      evp_proactor_get_fd   (EvpProactor     *self);
EVP_AVAILABLE_IN_1_0
void     evp_proactor_close    (EvpProactor     *self);

G_END_DECLS
