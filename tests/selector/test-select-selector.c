/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-select-selector.h"

#include "evp/base/evp-error.h"
#include "contract/contract-selector.h"

#include <fcntl.h>
#include <sys/select.h>
#include <unistd.h>

/* Rules: S-14 */
static void
test_above_fd_setsize (void)
{
  g_autoptr (EvpSelector) selector = evp_select_selector_new ();
  g_autoptr (EvpSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];
  int high;

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  high = fcntl (fds[0], F_DUPFD_CLOEXEC, FD_SETSIZE);
  if (high < 0)
    {
      g_test_skip ("the limit of descriptors is below FD_SETSIZE");
    }
  else
    {
      g_assert_null (evp_selector_register (selector, high, EVP_IO_EVENTS_READ, NULL, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_INVALID_ARGUMENT);
      g_assert_nonnull (strstr (error->message, "use poll or epoll"));
      g_clear_error (&error);
      g_assert_null (evp_selector_get_key (selector, high, &error));
      g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);
      g_clear_error (&error);
      close (high);

      /* the last number below the limit is fine */
      high = fcntl (fds[0], F_DUPFD_CLOEXEC, FD_SETSIZE - 1);
      g_assert_cmpint (high, ==, FD_SETSIZE - 1);
      g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
      key = evp_selector_register (selector, high, EVP_IO_EVENTS_READ, NULL, &error);
      g_assert_no_error (error);
      {
        g_autoptr (GPtrArray) ready = evp_selector_select (selector, -1, &error);

        g_assert_no_error (error);
        g_assert_cmpuint (ready->len, ==, 1);
      }
      close (high);
    }
  close (fds[0]);
  close (fds[1]);
}

/* Rules: S-8 */
static void
test_hang_up_is_not_writable (void)
{
  g_autoptr (EvpSelector) selector = evp_select_selector_new ();
  g_autoptr (EvpSelectorKey) key = NULL;
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  key = evp_selector_register (selector, fds[0], EVP_IO_EVENTS_READ | EVP_IO_EVENTS_WRITE, NULL,
                               &error);
  g_assert_no_error (error);
  close (fds[1]);
  ready = evp_selector_select (selector, -1, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, ==, 1);
  g_assert_cmpint (evp_selector_key_get_ready_events (key), ==, EVP_IO_EVENTS_READ);
  close (fds[0]);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  contract_selector_add ("select-selector", evp_select_selector_new,
                         CONTRACT_SELECTOR_CLOSED_FAILS | CONTRACT_SELECTOR_HALF_HANG_UP);
  g_test_add_func ("/evp/selector/select-selector/above-fd-setsize", test_above_fd_setsize);
  g_test_add_func ("/evp/selector/select-selector/hang-up-is-not-writable",
                   test_hang_up_is_not_writable);

  return g_test_run ();
}
