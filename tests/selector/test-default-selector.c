/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/selector/evp-epoll-selector.h"
#include "evp/selector/evp-poll-selector.h"
#include "evp/selector/evp-select-selector.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Rules: S-13, V-12 */
static void
test_best (void)
{
  g_autoptr (EvpSelector) selector = NULL;

  /* the variable is the policy's, not ours */
  g_setenv ("EVP_SELECTOR", "select", TRUE);
  selector = evp_selector_new_default ();
#ifdef HAVE_SYS_EPOLL_H
  g_assert_true (EVP_IS_EPOLL_SELECTOR (selector));
#else
  g_assert_false (EVP_IS_SELECT_SELECTOR (selector));
#endif
}

/* Rules: S-13 */
static void
test_tried (void)
{
  g_autoptr (EvpSelector) selector = NULL;
  g_autoptr (EvpSelectorKey) key = NULL;
  g_autoptr (GPtrArray) ready = NULL;
  g_autoptr (GError) error = NULL;
  struct rlimit saved, few;
  int fds[2];

  /* epoll needs a descriptor and there is none left: the next one that works is taken */
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &saved), ==, 0);
  few = saved;
  few.rlim_cur = 0;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &few), ==, 0);
  selector = evp_selector_new_default ();
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &saved), ==, 0);

  g_assert_true (EVP_IS_POLL_SELECTOR (selector));
  key = evp_selector_register (selector, fds[1], EVP_IO_EVENTS_WRITE, NULL, &error);
  g_assert_no_error (error);
  ready = evp_selector_select (selector, -1, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ready->len, ==, 1);
  g_assert_true (g_ptr_array_index (ready, 0) == key);
  close (fds[0]);
  close (fds[1]);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/selector/default-selector/best", test_best);
  g_test_add_func ("/evp/selector/default-selector/tried", test_tried);

  return g_test_run ();
}
