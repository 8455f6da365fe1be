/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/process/evp-subprocess-options-private.h"

#include "evp/base/evp-string-private.h"
#include "evp/evp-enum-types.h"

#include <string.h>

/**
 * EvpSubprocessOptions:
 *
 * What is special about a child to be started.
 *
 * Without options a child inherits standard input, output and error, the environment and the working
 * directory, and no other descriptor. Its signal mask is empty, and signals that this program ignores
 * or handles have their default action. A standard stream that this program has closed is `/dev/null`.
 *
 * ```c
 * g_autoptr (EvpSubprocessOptions) options = evp_subprocess_options_new ();
 *
 * evp_subprocess_options_set_stdout (options, EVP_STDIO_PIPE);
 * evp_subprocess_options_set_stderr (options, EVP_STDIO_MERGE);
 * evp_subprocess_options_setenv (options, "LC_ALL", "C");
 * ```
 *
 * In Python the properties are keyword arguments:
 * `Evp.SubprocessOptions(stdout=Evp.Stdio.PIPE, stderr=Evp.Stdio.MERGE)`.
 *
 * Options are only read, and only while [method@Evp.AbstractEventLoop.subprocess_exec_async] or
 * [method@Evp.AbstractEventLoop.subprocess_shell_async] runs: one object serves any number of children,
 * and may be changed between two of them. Descriptors are borrowed; they may be closed as soon as the
 * call has returned. Impossible combinations are found when a child is started, and come out of the
 * `_finish()` function.
 *
 * An options object belongs to one thread at a time.
 *
 * Since: 1.0
 */

struct _EvpSubprocessOptions
{
  GObject parent_instance;

  EvpStdio stdio[3];
  int stdio_fd[3]; /* -1: none */
  char *cwd;
  char **environment; /* NULL: the parent's, as it is when a child is started */
  GArray *fds;        /* of EvpOsSpawnFd; NULL: none */
  GArray *groups;     /* of gid_t; NULL: unchanged */
  guint uid;
  guint gid;
  int process_group;
  gboolean new_session;
  gboolean restore_signals;
  EvpAbstractChildWatcher *child_watcher;
};

#define EVP_ID_UNCHANGED G_MAXUINT

G_DEFINE_FINAL_TYPE (EvpSubprocessOptions, evp_subprocess_options, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_STDIN,
  PROP_STDOUT,
  PROP_STDERR,
  PROP_STDIN_FD,
  PROP_STDOUT_FD,
  PROP_STDERR_FD,
  PROP_CWD,
  PROP_ENVIRONMENT,
  PROP_NEW_SESSION,
  PROP_PROCESS_GROUP,
  PROP_UID,
  PROP_GID,
  PROP_RESTORE_SIGNALS,
  PROP_CHILD_WATCHER,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

static void
evp_subprocess_options_set_stdio (EvpSubprocessOptions *self,
                                  int                   stream,
                                  EvpStdio              mode)
{
  if (self->stdio[stream] == mode)
    return;
  self->stdio[stream] = mode;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_STDIN + stream]);
}

static void
evp_subprocess_options_set_stdio_fd (EvpSubprocessOptions *self,
                                     int                   stream,
                                     int                   fd)
{
  g_return_if_fail (fd >= -1);

  if (self->stdio_fd[stream] != fd)
    {
      self->stdio_fd[stream] = fd;
      g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_STDIN_FD + stream]);
    }
  if (fd >= 0)
    evp_subprocess_options_set_stdio (self, stream, EVP_STDIO_FD);
  else if (self->stdio[stream] == EVP_STDIO_FD)
    evp_subprocess_options_set_stdio (self, stream, EVP_STDIO_INHERIT);
}

static void
evp_subprocess_options_take_environment (EvpSubprocessOptions *self,
                                         char                **environment)
{
  g_strfreev (self->environment);
  self->environment = environment;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_ENVIRONMENT]);
}

static char **
evp_subprocess_options_steal_environment (EvpSubprocessOptions *self)
{
  return self->environment != NULL ? g_steal_pointer (&self->environment) : g_get_environ ();
}

static void
evp_subprocess_options_finalize (GObject *object)
{
  EvpSubprocessOptions *self = EVP_SUBPROCESS_OPTIONS (object);

  g_clear_pointer (&self->cwd, g_free);
  g_clear_pointer (&self->environment, g_strfreev);
  g_clear_pointer (&self->fds, g_array_unref);
  g_clear_pointer (&self->groups, g_array_unref);
  g_clear_object (&self->child_watcher);

  G_OBJECT_CLASS (evp_subprocess_options_parent_class)->finalize (object);
}

static void
evp_subprocess_options_get_property (GObject    *object,
                                     guint       property_id,
                                     GValue     *value,
                                     GParamSpec *pspec)
{
  EvpSubprocessOptions *self = EVP_SUBPROCESS_OPTIONS (object);

  switch (property_id)
    {
    case PROP_STDIN:
    case PROP_STDOUT:
    case PROP_STDERR:
      g_value_set_enum (value, (int) self->stdio[property_id - PROP_STDIN]);
      break;
    case PROP_STDIN_FD:
    case PROP_STDOUT_FD:
    case PROP_STDERR_FD:
      g_value_set_int (value, self->stdio_fd[property_id - PROP_STDIN_FD]);
      break;
    case PROP_CWD:
      g_value_set_string (value, self->cwd);
      break;
    case PROP_ENVIRONMENT:
      g_value_set_boxed (value, self->environment);
      break;
    case PROP_NEW_SESSION:
      g_value_set_boolean (value, self->new_session);
      break;
    case PROP_PROCESS_GROUP:
      g_value_set_int (value, self->process_group);
      break;
    case PROP_UID:
      g_value_set_uint (value, self->uid);
      break;
    case PROP_GID:
      g_value_set_uint (value, self->gid);
      break;
    case PROP_RESTORE_SIGNALS:
      g_value_set_boolean (value, self->restore_signals);
      break;
    case PROP_CHILD_WATCHER:
      g_value_set_object (value, self->child_watcher);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_subprocess_options_set_property (GObject      *object,
                                     guint         property_id,
                                     const GValue *value,
                                     GParamSpec   *pspec)
{
  EvpSubprocessOptions *self = EVP_SUBPROCESS_OPTIONS (object);

  switch (property_id)
    {
    case PROP_STDIN:
    case PROP_STDOUT:
    case PROP_STDERR:
      evp_subprocess_options_set_stdio (self, (int) property_id - PROP_STDIN,
                                        (EvpStdio) g_value_get_enum (value));
      break;
    case PROP_STDIN_FD:
    case PROP_STDOUT_FD:
    case PROP_STDERR_FD:
      evp_subprocess_options_set_stdio_fd (self, (int) property_id - PROP_STDIN_FD, g_value_get_int (value));
      break;
    case PROP_CWD:
      evp_subprocess_options_set_cwd (self, g_value_get_string (value));
      break;
    case PROP_ENVIRONMENT:
      evp_subprocess_options_set_environment (self, g_value_get_boxed (value));
      break;
    case PROP_NEW_SESSION:
      evp_subprocess_options_set_new_session (self, g_value_get_boolean (value));
      break;
    case PROP_PROCESS_GROUP:
      evp_subprocess_options_set_process_group (self, g_value_get_int (value));
      break;
    case PROP_UID:
      evp_subprocess_options_set_uid (self, g_value_get_uint (value));
      break;
    case PROP_GID:
      evp_subprocess_options_set_gid (self, g_value_get_uint (value));
      break;
    case PROP_RESTORE_SIGNALS:
      evp_subprocess_options_set_restore_signals (self, g_value_get_boolean (value));
      break;
    case PROP_CHILD_WATCHER:
      evp_subprocess_options_set_child_watcher (self, g_value_get_object (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_subprocess_options_class_init (EvpSubprocessOptionsClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;

  object_class->finalize = evp_subprocess_options_finalize;
  object_class->get_property = evp_subprocess_options_get_property;
  object_class->set_property = evp_subprocess_options_set_property;

  /**
   * EvpSubprocessOptions:stdin:
   *
   * What the child's standard input is.
   *
   * Since: 1.0
   */
  properties[PROP_STDIN] = g_param_spec_enum ("stdin", NULL, NULL, EVP_TYPE_STDIO, EVP_STDIO_INHERIT, flags);
  /**
   * EvpSubprocessOptions:stdout:
   *
   * What the child's standard output is.
   *
   * Since: 1.0
   */
  properties[PROP_STDOUT] = g_param_spec_enum ("stdout", NULL, NULL, EVP_TYPE_STDIO, EVP_STDIO_INHERIT, flags);
  /**
   * EvpSubprocessOptions:stderr:
   *
   * What the child's standard error is.
   *
   * Since: 1.0
   */
  properties[PROP_STDERR] = g_param_spec_enum ("stderr", NULL, NULL, EVP_TYPE_STDIO, EVP_STDIO_INHERIT, flags);
  /**
   * EvpSubprocessOptions:stdin-fd:
   *
   * The descriptor that becomes the child's standard input. Setting one sets
   * [property@Evp.SubprocessOptions:stdin] to %EVP_STDIO_FD; -1 is none, and inherits again.
   *
   * Since: 1.0
   */
  properties[PROP_STDIN_FD] = g_param_spec_int ("stdin-fd", NULL, NULL, -1, G_MAXINT, -1, flags);
  /**
   * EvpSubprocessOptions:stdout-fd:
   *
   * The descriptor that becomes the child's standard output. Setting one sets
   * [property@Evp.SubprocessOptions:stdout] to %EVP_STDIO_FD; -1 is none, and inherits again.
   *
   * Since: 1.0
   */
  properties[PROP_STDOUT_FD] = g_param_spec_int ("stdout-fd", NULL, NULL, -1, G_MAXINT, -1, flags);
  /**
   * EvpSubprocessOptions:stderr-fd:
   *
   * The descriptor that becomes the child's standard error. Setting one sets
   * [property@Evp.SubprocessOptions:stderr] to %EVP_STDIO_FD; -1 is none, and inherits again.
   *
   * Since: 1.0
   */
  properties[PROP_STDERR_FD] = g_param_spec_int ("stderr-fd", NULL, NULL, -1, G_MAXINT, -1, flags);
  /**
   * EvpSubprocessOptions:cwd:
   *
   * The child's working directory; `NULL` for the parent's.
   *
   * Since: 1.0
   */
  properties[PROP_CWD] = g_param_spec_string ("cwd", NULL, NULL, NULL, flags);
  /**
   * EvpSubprocessOptions:environment:
   *
   * The child's environment, strings of the form `NAME=value`; `NULL` for the parent's.
   *
   * Since: 1.0
   */
  properties[PROP_ENVIRONMENT] = g_param_spec_boxed ("environment", NULL, NULL, G_TYPE_STRV, flags);
  /**
   * EvpSubprocessOptions:new-session:
   *
   * Whether the child leads a session of its own, without a terminal.
   *
   * Since: 1.0
   */
  properties[PROP_NEW_SESSION] = g_param_spec_boolean ("new-session", NULL, NULL, FALSE, flags);
  /**
   * EvpSubprocessOptions:process-group:
   *
   * The child's process group: -1 for the parent's, 0 for one of its own, or the number of a group.
   *
   * Since: 1.0
   */
  properties[PROP_PROCESS_GROUP] = g_param_spec_int ("process-group", NULL, NULL, -1, G_MAXINT, -1, flags);
  /**
   * EvpSubprocessOptions:uid:
   *
   * The user that the child runs as; %G_MAXUINT for the parent's.
   *
   * Since: 1.0
   */
  properties[PROP_UID] = g_param_spec_uint ("uid", NULL, NULL, 0, G_MAXUINT, EVP_ID_UNCHANGED, flags);
  /**
   * EvpSubprocessOptions:gid:
   *
   * The group that the child runs as; %G_MAXUINT for the parent's.
   *
   * Since: 1.0
   */
  properties[PROP_GID] = g_param_spec_uint ("gid", NULL, NULL, 0, G_MAXUINT, EVP_ID_UNCHANGED, flags);
  /**
   * EvpSubprocessOptions:restore-signals:
   *
   * Whether signals that this program ignores have their default action in the child.
   *
   * Since: 1.0
   */
  properties[PROP_RESTORE_SIGNALS] = g_param_spec_boolean ("restore-signals", NULL, NULL, TRUE, flags);
  /**
   * EvpSubprocessOptions:child-watcher:
   *
   * The watcher that notices the child's end; `NULL` for that of the policy.
   *
   * Since: 1.0
   */
  properties[PROP_CHILD_WATCHER] = g_param_spec_object ("child-watcher", NULL, NULL,
                                                        EVP_TYPE_CHILD_WATCHER, flags);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_subprocess_options_init (EvpSubprocessOptions *self)
{
  for (int i = 0; i < 3; i++)
    self->stdio_fd[i] = -1;
  self->uid = EVP_ID_UNCHANGED;
  self->gid = EVP_ID_UNCHANGED;
  self->process_group = -1;
  self->restore_signals = TRUE;
}

int
evp_subprocess_options_get_stdio_fd (EvpSubprocessOptions *self,
                                     int                   stream)
{
  return self->stdio_fd[stream];
}

const GArray *
evp_subprocess_options_get_fds (EvpSubprocessOptions *self)
{
  return self->fds;
}

void
evp_subprocess_options_fill (EvpSubprocessOptions *self,
                             EvpOsSpawnRequest    *request)
{
  request->envp = (const char * const *) self->environment;
  request->cwd = self->cwd;
  request->new_session = self->new_session;
  request->process_group = self->process_group;
  request->set_uid = self->uid != EVP_ID_UNCHANGED;
  request->uid = (uid_t) self->uid;
  request->set_gid = self->gid != EVP_ID_UNCHANGED;
  request->gid = (gid_t) self->gid;
  request->set_groups = self->groups != NULL;
  if (self->groups != NULL)
    {
      request->groups = (const gid_t *) (gconstpointer) self->groups->data;
      request->n_groups = self->groups->len;
    }
  request->restore_signals = self->restore_signals;
}

/**
 * evp_subprocess_options_new:
 *
 * Creates options that change nothing: all three standard streams are inherited.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): new options
 *
 * Since: 1.0
 */
EvpSubprocessOptions *
evp_subprocess_options_new (void)
{
  return g_object_new (EVP_TYPE_SUBPROCESS_OPTIONS, NULL);
}

/**
 * evp_subprocess_options_get_stdin:
 * @self: options
 *
 * Gets what the child's standard input is.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the mode
 *
 * Since: 1.0
 */
EvpStdio
evp_subprocess_options_get_stdin (EvpSubprocessOptions *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self), EVP_STDIO_INHERIT);

  return self->stdio[0];
}

/**
 * evp_subprocess_options_get_stdout:
 * @self: options
 *
 * Gets what the child's standard output is.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the mode
 *
 * Since: 1.0
 */
EvpStdio
evp_subprocess_options_get_stdout (EvpSubprocessOptions *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self), EVP_STDIO_INHERIT);

  return self->stdio[1];
}

/**
 * evp_subprocess_options_get_stderr:
 * @self: options
 *
 * Gets what the child's standard error is.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: the mode
 *
 * Since: 1.0
 */
EvpStdio
evp_subprocess_options_get_stderr (EvpSubprocessOptions *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self), EVP_STDIO_INHERIT);

  return self->stdio[2];
}

/**
 * evp_subprocess_options_get_cwd:
 * @self: options
 *
 * Gets the child's working directory.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none) (type filename): the directory, or `NULL` for the
 *   parent's
 *
 * Since: 1.0
 */
const char *
evp_subprocess_options_get_cwd (EvpSubprocessOptions *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self), NULL);

  return self->cwd;
}

/**
 * evp_subprocess_options_get_environment:
 * @self: options
 *
 * Gets the child's environment.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none) (array zero-terminated=1) (element-type filename):
 *   strings of the form `NAME=value`, or `NULL` for the parent's
 *
 * Since: 1.0
 */
char **
evp_subprocess_options_get_environment (EvpSubprocessOptions *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self), NULL);

  return self->environment;
}

/**
 * evp_subprocess_options_get_new_session:
 * @self: options
 *
 * Gets whether the child leads a session of its own.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: `TRUE` for a new session
 *
 * Since: 1.0
 */
gboolean
evp_subprocess_options_get_new_session (EvpSubprocessOptions *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self), FALSE);

  return self->new_session;
}

/**
 * evp_subprocess_options_get_process_group:
 * @self: options
 *
 * Gets the child's process group.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: -1 for the parent's, 0 for one of its own, or the number of a group
 *
 * Since: 1.0
 */
int
evp_subprocess_options_get_process_group (EvpSubprocessOptions *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self), -1);

  return self->process_group;
}

/**
 * evp_subprocess_options_get_restore_signals:
 * @self: options
 *
 * Gets whether ignored signals have their default action in the child.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: `TRUE` for default actions
 *
 * Since: 1.0
 */
gboolean
evp_subprocess_options_get_restore_signals (EvpSubprocessOptions *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self), TRUE);

  return self->restore_signals;
}

/**
 * evp_subprocess_options_get_child_watcher:
 * @self: options
 *
 * Gets the watcher that notices the child's end.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Returns: (nullable) (transfer none): the watcher, or `NULL` for that of the policy
 *
 * Since: 1.0
 */
EvpAbstractChildWatcher *
evp_subprocess_options_get_child_watcher (EvpSubprocessOptions *self)
{
  g_return_val_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self), NULL);

  return self->child_watcher;
}

/**
 * evp_subprocess_options_set_stdin:
 * @self: options
 * @mode: what to make of it
 *
 * Sets what the child's standard input is.
 *
 * %EVP_STDIO_FD needs a descriptor from [method@Evp.SubprocessOptions.set_stdin_fd].
 * %EVP_STDIO_MERGE is for standard error; a child with it here cannot be started.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_stdin (EvpSubprocessOptions *self,
                                  EvpStdio              mode)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  evp_subprocess_options_set_stdio (self, 0, mode);
}

/**
 * evp_subprocess_options_set_stdout:
 * @self: options
 * @mode: what to make of it
 *
 * Sets what the child's standard output is.
 *
 * %EVP_STDIO_FD needs a descriptor from [method@Evp.SubprocessOptions.set_stdout_fd].
 * %EVP_STDIO_MERGE is for standard error; a child with it here cannot be started.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_stdout (EvpSubprocessOptions *self,
                                   EvpStdio              mode)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  evp_subprocess_options_set_stdio (self, 1, mode);
}

/**
 * evp_subprocess_options_set_stderr:
 * @self: options
 * @mode: what to make of it
 *
 * Sets what the child's standard error is.
 *
 * %EVP_STDIO_FD needs a descriptor from [method@Evp.SubprocessOptions.set_stderr_fd].
 * %EVP_STDIO_MERGE joins it to standard output, wherever that goes.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_stderr (EvpSubprocessOptions *self,
                                   EvpStdio              mode)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  evp_subprocess_options_set_stdio (self, 2, mode);
}

/**
 * evp_subprocess_options_set_stdin_fd:
 * @self: options
 * @fd: a descriptor, or -1 to inherit again
 *
 * Makes a descriptor the child's standard input.
 *
 * The descriptor stays the caller's, and must be open when a child is started.
 * It sets [property@Evp.SubprocessOptions:stdin] to %EVP_STDIO_FD.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_stdin_fd (EvpSubprocessOptions *self,
                                     int                   fd)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  evp_subprocess_options_set_stdio_fd (self, 0, fd);
}

/**
 * evp_subprocess_options_set_stdout_fd:
 * @self: options
 * @fd: a descriptor, or -1 to inherit again
 *
 * Makes a descriptor the child's standard output.
 *
 * The descriptor stays the caller's, and must be open when a child is started.
 * It sets [property@Evp.SubprocessOptions:stdout] to %EVP_STDIO_FD.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_stdout_fd (EvpSubprocessOptions *self,
                                      int                   fd)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  evp_subprocess_options_set_stdio_fd (self, 1, fd);
}

/**
 * evp_subprocess_options_set_stderr_fd:
 * @self: options
 * @fd: a descriptor, or -1 to inherit again
 *
 * Makes a descriptor the child's standard error.
 *
 * The descriptor stays the caller's, and must be open when a child is started.
 * It sets [property@Evp.SubprocessOptions:stderr] to %EVP_STDIO_FD.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_stderr_fd (EvpSubprocessOptions *self,
                                      int                   fd)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  evp_subprocess_options_set_stdio_fd (self, 2, fd);
}

/**
 * evp_subprocess_options_set_cwd:
 * @self: options
 * @cwd: (nullable) (type filename): a directory, or `NULL` for the parent's
 *
 * Sets the child's working directory.
 *
 * A program whose name contains a slash is looked up from there; one that does not exist makes
 * starting fail with %G_IO_ERROR_NOT_FOUND, naming the directory.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_cwd (EvpSubprocessOptions *self,
                                const char           *cwd)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  if (evp_set_string (&self->cwd, cwd))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CWD]);
}

/**
 * evp_subprocess_options_set_environment:
 * @self: options
 * @environment: (nullable) (array zero-terminated=1) (element-type filename): strings of the form
 *   `NAME=value`
 *
 * Sets the child's whole environment.
 *
 * `NULL` is the parent's as it is when a child is started. O(n).
 *
 * Use it from the thread that owns the options.
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_environment (EvpSubprocessOptions *self,
                                        const char * const   *environment)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  evp_subprocess_options_take_environment (self, g_strdupv ((char **) environment));
}

/**
 * evp_subprocess_options_setenv:
 * @self: options
 * @name: (type filename): a name without `=`
 * @value: (type filename): its value
 *
 * Sets a variable of the child's environment.
 *
 * The first such call takes a copy of the parent's environment, unless there is one already. O(n).
 *
 * Use it from the thread that owns the options.
 *
 * Since: 1.0
 */
void
evp_subprocess_options_setenv (EvpSubprocessOptions *self,
                               const char           *name,
                               const char           *value)
{
  g_autofree char *own_name = NULL;
  g_autofree char *own_value = NULL;

  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));
  g_return_if_fail (name != NULL && *name != '\0' && strchr (name, '=') == NULL);
  g_return_if_fail (value != NULL);

  /* they may be pieces of a string that is replaced */
  own_name = g_strdup (name);
  own_value = g_strdup (value);
  evp_subprocess_options_take_environment (self,
    g_environ_setenv (evp_subprocess_options_steal_environment (self), own_name, own_value, TRUE));
}

/**
 * evp_subprocess_options_unsetenv:
 * @self: options
 * @name: (type filename): a name without `=`
 *
 * Takes a variable out of the child's environment.
 *
 * The first such call takes a copy of the parent's environment, unless there is one already. O(n).
 *
 * Use it from the thread that owns the options.
 *
 * Since: 1.0
 */
void
evp_subprocess_options_unsetenv (EvpSubprocessOptions *self,
                                 const char           *name)
{
  g_autofree char *own_name = NULL;

  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));
  g_return_if_fail (name != NULL && *name != '\0' && strchr (name, '=') == NULL);

  own_name = g_strdup (name); /* it may be a piece of a string that is freed */
  evp_subprocess_options_take_environment (self,
    g_environ_unsetenv (evp_subprocess_options_steal_environment (self), own_name));
}

/**
 * evp_subprocess_options_pass_fd:
 * @self: options
 * @source_fd: a descriptor of this process
 * @target_fd: its number in the child, more than 2
 *
 * Lets the child have one more descriptor.
 *
 * Descriptors 0 to 2 have methods of their own. A second descriptor for the same number replaces the
 * first. The descriptor stays the caller's, and must be open when a child is started. O(n).
 *
 * Use it from the thread that owns the options.
 *
 * Since: 1.0
 */
void
evp_subprocess_options_pass_fd (EvpSubprocessOptions *self,
                                int                   source_fd,
                                int                   target_fd)
{
  const EvpOsSpawnFd pair = { source_fd, target_fd };

  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));
  g_return_if_fail (source_fd >= 0);
  g_return_if_fail (target_fd > 2);

  if (self->fds == NULL)
    self->fds = g_array_new (FALSE, FALSE, sizeof (EvpOsSpawnFd));
  for (guint i = 0; i < self->fds->len; i++)
    if (g_array_index (self->fds, EvpOsSpawnFd, i).target == target_fd)
      {
        g_array_index (self->fds, EvpOsSpawnFd, i).source = source_fd;
        return;
      }
  g_array_append_val (self->fds, pair);
}

/**
 * evp_subprocess_options_set_new_session:
 * @self: options
 * @new_session: `TRUE` for a new session
 *
 * Sets whether the child leads a session of its own.
 *
 * Such a child has no controlling terminal: Ctrl-C does not reach it.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_new_session (EvpSubprocessOptions *self,
                                        gboolean              new_session)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  new_session = !!new_session;
  if (self->new_session == new_session)
    return;
  self->new_session = new_session;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_NEW_SESSION]);
}

/**
 * evp_subprocess_options_set_process_group:
 * @self: options
 * @process_group: -1 for the parent's, 0 for one of its own, or the number of a group
 *
 * Sets the child's process group.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_process_group (EvpSubprocessOptions *self,
                                          int                   process_group)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));
  g_return_if_fail (process_group >= -1);

  if (self->process_group == process_group)
    return;
  self->process_group = process_group;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_PROCESS_GROUP]);
}

/**
 * evp_subprocess_options_set_uid:
 * @self: options
 * @uid: a user's number, or %G_MAXUINT for the parent's
 *
 * Sets the user that the child runs as.
 *
 * It needs privileges: without them starting fails with %G_IO_ERROR_PERMISSION_DENIED.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_uid (EvpSubprocessOptions *self,
                                guint                 uid)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  if (self->uid == uid)
    return;
  self->uid = uid;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_UID]);
}

/**
 * evp_subprocess_options_set_gid:
 * @self: options
 * @gid: a group's number, or %G_MAXUINT for the parent's
 *
 * Sets the group that the child runs as.
 *
 * It needs privileges: without them starting fails with %G_IO_ERROR_PERMISSION_DENIED.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_gid (EvpSubprocessOptions *self,
                                guint                 gid)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  if (self->gid == gid)
    return;
  self->gid = gid;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_GID]);
}

/**
 * evp_subprocess_options_set_groups:
 * @self: options
 * @groups: (nullable) (array length=n_groups): numbers of groups
 * @n_groups: how many
 *
 * Sets the child's supplementary groups.
 *
 * `NULL` leaves the parent's; an empty array that is not `NULL` takes them all away. O(n).
 *
 * Use it from the thread that owns the options.
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_groups (EvpSubprocessOptions *self,
                                   const guint          *groups,
                                   gsize                 n_groups)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  g_clear_pointer (&self->groups, g_array_unref);
  if (groups == NULL)
    return;
  self->groups = g_array_sized_new (FALSE, FALSE, sizeof (gid_t), (guint) n_groups);
  for (gsize i = 0; i < n_groups; i++)
    {
      gid_t group = (gid_t) groups[i];

      g_array_append_val (self->groups, group);
    }
}

/**
 * evp_subprocess_options_set_restore_signals:
 * @self: options
 * @restore_signals: `TRUE` for default actions
 *
 * Sets whether signals that this program ignores have their default action in the child.
 *
 * Signals with a handler always have, and the mask of the child is always empty.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_restore_signals (EvpSubprocessOptions *self,
                                            gboolean              restore_signals)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));

  restore_signals = !!restore_signals;
  if (self->restore_signals == restore_signals)
    return;
  self->restore_signals = restore_signals;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_RESTORE_SIGNALS]);
}

/**
 * evp_subprocess_options_set_child_watcher:
 * @self: options
 * @watcher: (nullable): a watcher, or `NULL` for that of the policy
 *
 * Sets the watcher that notices the child's end.
 *
 * Without one it is the watcher of the policy, looked up when a child is started.
 *
 * Use it from the thread that owns the options. O(1).
 *
 * Since: 1.0
 */
void
evp_subprocess_options_set_child_watcher (EvpSubprocessOptions    *self,
                                          EvpAbstractChildWatcher *watcher)
{
  g_return_if_fail (EVP_IS_SUBPROCESS_OPTIONS (self));
  g_return_if_fail (watcher == NULL || EVP_IS_CHILD_WATCHER (watcher));

  if (g_set_object (&self->child_watcher, watcher))
    g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CHILD_WATCHER]);
}
