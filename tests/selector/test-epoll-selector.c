/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-epoll-selector.h"

#include "evp/base/evp-error.h"
#include "contract/contract-selector.h"
#include "support/evp-test-support.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Rules: S-3, S-5, F-11 */
static void
test_modify_refused (void)
{
  g_autoptr (EvpSelector) selector = evp_epoll_selector_new ();
  g_autoptr (EvpSelectorKey) key = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  key = evp_selector_register (selector, fds[0], EVP_IO_EVENTS_READ, NULL, &error);
  g_assert_no_error (error);
  close (fds[0]);

  /* the kernel refuses a closed descriptor: the key is taken back */
  g_assert_null (evp_selector_modify (selector, fds[0], EVP_IO_EVENTS_READ, NULL, &error));
  g_assert_nonnull (error);
  g_assert_true (error->domain == G_IO_ERROR);
  g_assert_nonnull (strstr (error->message, g_strerror (EBADF)));
  g_clear_error (&error);
  g_assert_null (evp_selector_get_key (selector, fds[0], &error));
  g_assert_error (error, EVP_ERROR, EVP_ERROR_NOT_FOUND);
  close (fds[1]);
}

/* Rules: S-9, S-12 */
static void
test_lazy (void)
{
  EvpTestLeaks leaks = evp_test_leaks_begin ();
  EvpSelector *selector = evp_epoll_selector_new ();
  int fd;

  /* nothing is open before the first use, and nothing after close */
  evp_test_leaks_check (&leaks);
  fd = evp_selector_get_fd (selector);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (evp_selector_get_fd (selector), ==, fd);
  evp_selector_close (selector);
  evp_test_leaks_check (&leaks);
  g_assert_finalize_object (selector);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  contract_selector_add ("epoll-selector", evp_epoll_selector_new,
                         CONTRACT_SELECTOR_OWN_FD | CONTRACT_SELECTOR_CLOSED_SILENT);
  g_test_add_func ("/evp/selector/epoll-selector/modify-refused", test_modify_refused);
  g_test_add_func ("/evp/selector/epoll-selector/lazy", test_lazy);

  return g_test_run ();
}
