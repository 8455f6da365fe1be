/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <evp/evp.h>

#include "support/evp-test-support.h"

#include <signal.h>
#include <sys/wait.h>

/* Rules: W-6, Q-13 */
static void
test_exited (void)
{
  for (int code = 0; code <= 255; code++)
    g_assert_cmpint (evp_returncode_from_wait_status (W_EXITCODE (code, 0)), ==, code);
}

/* Rules: W-6, Q-13 */
static void
test_signalled (void)
{
  for (int signum = 1; signum <= SIGRTMAX; signum++)
    {
      g_assert_cmpint (evp_returncode_from_wait_status (W_EXITCODE (0, signum)), ==, -signum);
      /* with a core dump, too */
      g_assert_cmpint (evp_returncode_from_wait_status (W_EXITCODE (0, signum) | WCOREFLAG), ==, -signum);
    }
}

/* Rules: W-6 */
static void
test_neither (void)
{
  g_assert_cmpint (evp_returncode_from_wait_status (W_STOPCODE (SIGSTOP)), ==, W_STOPCODE (SIGSTOP));
  g_assert_cmpint (evp_returncode_from_wait_status (0xffff), ==, 0xffff);
}

/* Rules: W-6, Z-39 */
static void
test_lost (void)
{
  /* the same number, and one is a raw status: only the handler can tell a lost status from exit (255) */
  g_assert_cmpint (EVP_RETURNCODE_LOST, ==, 255);
  g_assert_cmpint (evp_returncode_from_wait_status (255 << 8), ==, EVP_RETURNCODE_LOST);
}

/* Rules: W-6, Q-13, Z-39 */
static void
test_real_children (void)
{
  g_autoptr (EvpTestDeadline) deadline = evp_test_deadline_start (60, "the end of a child");
  int status;

  g_assert_cmpint (waitpid (evp_test_spawn_child ("exit", "42", NULL), &status, 0), >, 0);
  g_assert_cmpint (status, !=, 42);
  g_assert_cmpint (evp_returncode_from_wait_status (status), ==, 42);
  g_assert_cmpint (waitpid (evp_test_spawn_child ("signal", "9", NULL), &status, 0), >, 0);
  g_assert_cmpint (evp_returncode_from_wait_status (status), ==, -SIGKILL);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/base/exit-status/exited", test_exited);
  g_test_add_func ("/evp/base/exit-status/signalled", test_signalled);
  g_test_add_func ("/evp/base/exit-status/neither", test_neither);
  g_test_add_func ("/evp/base/exit-status/lost", test_lost);
  g_test_add_func ("/evp/base/exit-status/real-children", test_real_children);

  return g_test_run ();
}
