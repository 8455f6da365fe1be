/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A GIO module that is loaded because EVP_POLICY names what it registers. The module and this
 * program share the installed kind of the library, so this program uses the public API only.
 */

#include <evp/evp.h>

static void
run_subprocess (const char *variable,
                const char *name)
{
  g_setenv (variable, g_getenv ("EVP_TEST_MODULE_DIR"), TRUE);
  g_setenv ("EVP_POLICY", name, TRUE);
  g_test_trap_subprocess (NULL, 30 * G_USEC_PER_SEC, 0);
  g_unsetenv ("EVP_POLICY");
  g_unsetenv (variable);
  g_test_trap_assert_passed ();
}

static void
check_policy (const char *type)
{
  g_autoptr (EvpAbstractEventLoopPolicy) policy = evp_get_event_loop_policy ();
  g_autoptr (EvpAbstractEventLoopPolicy) again = NULL;
  g_autoptr (GError) error = NULL;
  EvpAbstractEventLoop *loop;

  g_assert_cmpstr (G_OBJECT_TYPE_NAME (policy), ==, type);
  loop = evp_new_event_loop (&error);
  g_assert_no_error (error);
  evp_event_loop_close (loop, &error);
  g_assert_no_error (error);
  g_object_unref (loop);

  /* what comes after NULL is a new one of the same type */
  evp_set_event_loop_policy (NULL);
  again = evp_get_event_loop_policy ();
  g_assert_true (again != policy);
  g_assert_cmpstr (G_OBJECT_TYPE_NAME (again), ==, type);
}

/* Rules: P-1, P-3 */
static void
test_module_path (void)
{
  if (g_test_subprocess ())
    check_policy ("ModulePolicy");
  else
    run_subprocess ("EVP_MODULE_PATH", "from-a-module");
}

/* Rules: P-1 */
static void
test_gio_extra_modules (void)
{
  if (g_test_subprocess ())
    check_policy ("ModulePolicy");
  else
    run_subprocess ("GIO_EXTRA_MODULES", "from-a-module");
}

/* Rules: P-1 */
static void
test_unknown_name (void)
{
  if (g_test_subprocess ())
    {
      check_policy ("EvpDefaultEventLoopPolicy");
      return;
    }
  run_subprocess ("EVP_MODULE_PATH", "from-nowhere");
  g_test_trap_assert_stderr ("*EVP_POLICY=from-nowhere*default, selector, proactor, main-context*from-a-module*");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/evp/policy/module/module-path", test_module_path);
  g_test_add_func ("/evp/policy/module/gio-extra-modules", test_gio_extra_modules);
  g_test_add_func ("/evp/policy/module/unknown-name", test_unknown_name);
  return g_test_run ();
}
