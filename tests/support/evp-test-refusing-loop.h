/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#include "evp/evp.h"

G_BEGIN_DECLS

/* A loop that has its reasons not to take an operation, once. */
#define EVP_TYPE_TEST_REFUSING_LOOP (evp_test_refusing_loop_get_type ())

G_DECLARE_FINAL_TYPE (EvpTestRefusingLoop, evp_test_refusing_loop, EVP, TEST_REFUSING_LOOP, EvpSelectorEventLoop)

struct _EvpTestRefusingLoop
{
  EvpSelectorEventLoop parent_instance;

  gboolean refuses; /* the next operation */
  gboolean fails;   /* the same, but says so later */
};

EvpTestRefusingLoop *evp_test_refusing_loop_new (void);

G_END_DECLS
