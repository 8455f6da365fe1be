/* SPDX-License-Identifier: LGPL-2.1-or-later */

#pragma once

#if !defined (EVP_INSIDE) && !defined (EVP_COMPILATION)
# error "Include <evp/evp.h> instead."
#endif

#ifndef _EVP_EXTERN
# ifdef EVP_COMPILATION
#  define _EVP_EXTERN __attribute__ ((visibility ("default"))) extern
# else
#  define _EVP_EXTERN extern
# endif
#endif

#define EVP_AVAILABLE_IN_1_0 _EVP_EXTERN
