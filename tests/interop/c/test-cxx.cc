/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* <evp/evp.h> is C++ as well, with its macros and its inline functions. */

#include <evp/evp.h>

#include <cstring>

int
main ()
{
  EvpIOEvents both = static_cast<EvpIOEvents> (EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE);

  if (static_cast<int> (both) != 3)
    return 1;
  if (!EVP_CHECK_VERSION (1, 0, 0))
    return 2;
  if (std::strlen (evp_get_version ()) == 0)
    return 3;
  if (g_type_from_name ("EvpIOEvents") == 0 && EVP_TYPE_IO_EVENTS == 0)
    return 4;
  return evp_returncode_from_wait_status (0);
}
