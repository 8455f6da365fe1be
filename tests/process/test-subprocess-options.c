/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/evp.h"

static void
notify_cb (GObject    *object,
           GParamSpec *pspec,
           gpointer    user_data)
{
  g_string_append_printf (user_data, "%s ", pspec->name);
}

/* Rules: Q-3 */
static void
test_defaults (void)
{
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  int stdin_fd, stdout_fd, stderr_fd;
  guint uid, gid;

  g_assert_cmpint (evp_subprocess_options_get_stdin (options), ==, EVP_STDIO_INHERIT);
  g_assert_cmpint (evp_subprocess_options_get_stdout (options), ==, EVP_STDIO_INHERIT);
  g_assert_cmpint (evp_subprocess_options_get_stderr (options), ==, EVP_STDIO_INHERIT);
  g_assert_null (evp_subprocess_options_get_cwd (options));
  g_assert_null (evp_subprocess_options_get_environment (options));
  g_assert_false (evp_subprocess_options_get_new_session (options));
  g_assert_cmpint (evp_subprocess_options_get_process_group (options), ==, -1);
  g_assert_true (evp_subprocess_options_get_restore_signals (options));
  g_assert_null (evp_subprocess_options_get_child_watcher (options));
  g_object_get (options, "stdin-fd", &stdin_fd, "stdout-fd", &stdout_fd, "stderr-fd", &stderr_fd,
                "uid", &uid, "gid", &gid, NULL);
  g_assert_cmpint (stdin_fd, ==, -1);
  g_assert_cmpint (stdout_fd, ==, -1);
  g_assert_cmpint (stderr_fd, ==, -1);
  g_assert_cmpuint (uid, ==, G_MAXUINT);
  g_assert_cmpuint (gid, ==, G_MAXUINT);
}

/* Rules: Q-3 */
static void
test_construct (void)
{
  const char *environment[] = { "A=1", "B=2", NULL };
  g_autoptr (EvpAbstractChildWatcher) watcher = evp_threaded_child_watcher_new ();
  g_autoptr (EvpSubprocessOptions) options =
    g_object_new (EVP_TYPE_SUBPROCESS_OPTIONS, "stdin", EVP_STDIO_NULL, "stdout-fd", 7, "stderr", EVP_STDIO_MERGE,
                  "cwd", "/", "environment", environment, "new-session", TRUE, "process-group", 0,
                  "uid", 1u, "gid", 2u, "restore-signals", FALSE, "child-watcher", watcher, NULL);
  EvpStdio in, out, err;
  g_autofree char *cwd = NULL;
  g_auto (GStrv) strings = NULL;
  gboolean new_session, restore_signals;
  int fd, process_group;
  guint uid, gid;
  g_autoptr (EvpAbstractChildWatcher) same = NULL;

  g_object_get (options, "stdin", &in, "stdout", &out, "stdout-fd", &fd, "stderr", &err, "cwd", &cwd,
                "environment", &strings, "new-session", &new_session, "process-group", &process_group,
                "uid", &uid, "gid", &gid, "restore-signals", &restore_signals, "child-watcher", &same, NULL);
  g_assert_cmpint (in, ==, EVP_STDIO_NULL);
  g_assert_cmpint (out, ==, EVP_STDIO_FD);
  g_assert_cmpint (fd, ==, 7);
  g_assert_cmpint (err, ==, EVP_STDIO_MERGE);
  g_assert_cmpstr (cwd, ==, "/");
  g_assert_cmpstrv (strings, environment);
  g_assert_true (new_session);
  g_assert_cmpint (process_group, ==, 0);
  g_assert_cmpuint (uid, ==, 1);
  g_assert_cmpuint (gid, ==, 2);
  g_assert_false (restore_signals);
  g_assert_true (same == watcher);
}

/* Rules: Q-3 */
static void
test_fds (void)
{
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  g_autoptr (GString) notified = g_string_new (NULL);

  g_signal_connect (options, "notify", G_CALLBACK (notify_cb), notified);
  evp_subprocess_options_set_stderr_fd (options, 5);
  g_assert_cmpstr (notified->str, ==, "stderr-fd stderr ");
  g_assert_cmpint (evp_subprocess_options_get_stderr (options), ==, EVP_STDIO_FD);
  g_string_truncate (notified, 0);

  evp_subprocess_options_set_stderr_fd (options, 5);
  g_assert_cmpstr (notified->str, ==, "");
  evp_subprocess_options_set_stderr (options, EVP_STDIO_PIPE);
  g_assert_cmpstr (notified->str, ==, "stderr ");
  /* taking a descriptor away does not touch another mode */
  evp_subprocess_options_set_stderr_fd (options, -1);
  g_assert_cmpint (evp_subprocess_options_get_stderr (options), ==, EVP_STDIO_PIPE);
  evp_subprocess_options_set_stdin_fd (options, 0);
  g_assert_cmpint (evp_subprocess_options_get_stdin (options), ==, EVP_STDIO_FD);
  evp_subprocess_options_set_stdin_fd (options, -1);
  g_assert_cmpint (evp_subprocess_options_get_stdin (options), ==, EVP_STDIO_INHERIT);
}

/* Rules: Q-3 */
static void
test_environment (void)
{
  const char *two[] = { "A=1", "B=2", NULL };
  const char *changed[] = { "B=3", "C=4", NULL };
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  g_autoptr (GString) notified = g_string_new (NULL);
  char **environment;

  evp_subprocess_options_set_environment (options, two);
  g_signal_connect (options, "notify", G_CALLBACK (notify_cb), notified);
  evp_subprocess_options_setenv (options, "B", "3");
  evp_subprocess_options_setenv (options, "C", "4");
  evp_subprocess_options_unsetenv (options, "A");
  g_assert_cmpstr (notified->str, ==, "environment environment environment ");
  environment = evp_subprocess_options_get_environment (options);
  g_assert_cmpuint (g_strv_length (environment), ==, 2);
  for (int i = 0; i < 2; i++)
    g_assert_true (g_strv_contains ((const char * const *) environment, changed[i]));

  /* without one it starts from that of this process, which stays as it is */
  evp_subprocess_options_set_environment (options, NULL);
  g_assert_null (evp_subprocess_options_get_environment (options));
  g_setenv ("EVP_TEST_PARENT", "parent", TRUE);
  evp_subprocess_options_setenv (options, "EVP_TEST_OWN", "own");
  environment = evp_subprocess_options_get_environment (options);
  g_assert_cmpstr (g_environ_getenv (environment, "EVP_TEST_PARENT"), ==, "parent");
  g_assert_cmpstr (g_environ_getenv (environment, "EVP_TEST_OWN"), ==, "own");
  g_assert_null (g_getenv ("EVP_TEST_OWN"));
  evp_subprocess_options_unsetenv (options, "EVP_TEST_PARENT");
  g_assert_null (g_environ_getenv (evp_subprocess_options_get_environment (options), "EVP_TEST_PARENT"));
  g_assert_cmpstr (g_getenv ("EVP_TEST_PARENT"), ==, "parent");
}

/* What is set may be a piece of what is set already. */
/* Rules: Q-3 */
static void
test_own_value (void)
{
  const char *environment[] = { "PATH=/bin:/usr/bin", "NAME=NAME", "KEPT=1", NULL };
  const char *added[] = { "PATH=/usr/bin", "NAME=/usr/bin", "KEPT=1", NULL };
  const char *removed[] = { "PATH=/usr/bin", "KEPT=1", NULL };
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  const char *value;

  evp_subprocess_options_set_cwd (options, "/srv/usr");
  evp_subprocess_options_set_cwd (options, evp_subprocess_options_get_cwd (options) + strlen ("/srv"));
  g_assert_cmpstr (evp_subprocess_options_get_cwd (options), ==, "/usr");

  evp_subprocess_options_set_environment (options, environment);
  evp_subprocess_options_set_environment (options,
    (const char * const *) evp_subprocess_options_get_environment (options));
  g_assert_cmpstrv (evp_subprocess_options_get_environment (options), environment);

  value = g_environ_getenv (evp_subprocess_options_get_environment (options), "PATH");
  evp_subprocess_options_setenv (options, "PATH", value + strlen ("/bin:"));
  value = g_environ_getenv (evp_subprocess_options_get_environment (options), "NAME");
  evp_subprocess_options_setenv (options, value, "/usr/bin");
  g_assert_cmpstrv (evp_subprocess_options_get_environment (options), added);

  evp_subprocess_options_setenv (options, "NAME", "NAME");
  value = g_environ_getenv (evp_subprocess_options_get_environment (options), "NAME");
  evp_subprocess_options_unsetenv (options, value);
  g_assert_cmpstrv (evp_subprocess_options_get_environment (options), removed);
}

/* Rules: Q-3 */
static void
test_notify (void)
{
  g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
  g_autoptr (EvpAbstractChildWatcher) watcher = evp_threaded_child_watcher_new ();
  g_autoptr (GString) notified = g_string_new (NULL);
  const guint groups[] = { 1, 2 };

  g_signal_connect (options, "notify", G_CALLBACK (notify_cb), notified);
  for (int i = 0; i < 2; i++) /* the second time nothing changes */
    {
      evp_subprocess_options_set_stdin (options, EVP_STDIO_PIPE);
      evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
      evp_subprocess_options_set_cwd (options, "/tmp");
      evp_subprocess_options_set_new_session (options, TRUE);
      evp_subprocess_options_set_process_group (options, 0);
      evp_subprocess_options_set_uid (options, 3);
      evp_subprocess_options_set_gid (options, 4);
      evp_subprocess_options_set_groups (options, groups, 2);
      evp_subprocess_options_set_restore_signals (options, FALSE);
      evp_subprocess_options_set_child_watcher (options, watcher);
    }
  g_assert_cmpstr (notified->str, ==,
                   "stdin stdout cwd new-session process-group uid gid restore-signals child-watcher ");
  evp_subprocess_options_set_groups (options, NULL, 0);
  evp_subprocess_options_set_child_watcher (options, NULL);
  g_assert_null (evp_subprocess_options_get_child_watcher (options));
  g_assert_finalize_object (g_steal_pointer (&options));
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/evp/process/sub-process-options/defaults", test_defaults);
  g_test_add_func ("/evp/process/sub-process-options/construct", test_construct);
  g_test_add_func ("/evp/process/sub-process-options/fds", test_fds);
  g_test_add_func ("/evp/process/sub-process-options/environment", test_environment);
  g_test_add_func ("/evp/process/sub-process-options/own-value", test_own_value);
  g_test_add_func ("/evp/process/sub-process-options/notify", test_notify);
  return g_test_run ();
}
