/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-files.h"

#include "evp/base/evp-error-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-executor.h"
#include "evp/loop/evp-future.h"
#include "evp/loop/evp-loop-operation-private.h"
#include "evp/loop/evp-loop-task-private.h"
#include "evp/os/evp-os-fd-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#ifdef __linux__
# include <sys/xattr.h>
#endif
#include <unistd.h>

/*
 * Whole files, by name. Opening one, and putting a new one in the place of an old one, is done by a thread
 * of the loop's executor, because there is nothing to wait for it by; the contents by operations of the
 * loop. A file that has no name here is left to GIO.
 *
 * The thread and the loop take turns with a transfer. Whoever lets go of it last tidies up: on a
 * thread, if the loop was closed meanwhile.
 */
typedef struct _EvpFileTransfer EvpFileTransfer;

typedef void (*EvpFileTransferFunc) (EvpFileTransfer *transfer);

struct _EvpFileTransfer
{
  gatomicrefcount ref_count;
  EvpAbstractEventLoop *loop;
  char *path;               /* NULL: GIO does it */
  GFile *file;              /* then */
  EvpFileTransferFunc work; /* for the thread */
  EvpFileTransferFunc next; /* what follows, on the loop's thread */

  /* the loop's thread */
  EvpLoopTask *task; /* NULL once it has returned */
  gulong closed_id;
  gboolean too_late; /* to be cancelled */

  /* whoever's turn it is */
  int fd;
  int failed;          /* errno */
  gboolean irregular;  /* no file whose contents could be loaded or saved */
  gboolean over;       /* what is there is written over */
  gboolean has_rights; /* which are taken from it first */
  char *target;        /* what `path` stands for */
  char *temporary;     /* what will take its place */
  EvpOperation *operation;
  GBytes *bytes;       /* to save */
  char *buffer;        /* loaded so far */
  gsize size;          /* of the buffer */
  gsize expected;      /* what the file says of its size */
  gsize length;        /* of what has been loaded or saved */
};

#define LARGEST_REQUEST 0x7ffff000
#define FIRST_SIZE (64 * 1024) /* for files that do not say how large they are */

static EvpFileTransfer *
transfer_ref (EvpFileTransfer *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

static void
tidy_up (EvpFileTransfer *self)
{
  evp_os_fd_close (self->fd);
  self->fd = -1;
  if (self->temporary != NULL)
    g_unlink (self->temporary);
  g_clear_pointer (&self->temporary, g_free);
}

static void
transfer_unref (gpointer data)
{
  EvpFileTransfer *self = data;

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  tidy_up (self);
  g_clear_pointer (&self->operation, evp_operation_unref);
  g_clear_pointer (&self->bytes, g_bytes_unref);
  g_free (self->target);
  g_free (self->buffer);
  g_free (self->path);
  g_clear_object (&self->file);
  g_object_unref (self->loop);
  g_free (self);
}

static void
transfer_closure_unref (gpointer  data,
                        GClosure *closure)
{
  transfer_unref (data);
}

/* The task, for its return. */
static EvpLoopTask *
take_task (EvpFileTransfer *self)
{
  EvpLoopTask *task = g_steal_pointer (&self->task);

  g_clear_signal_handler (&self->closed_id, self->loop);
  return task;
}

static void
fail (EvpFileTransfer *self,
      GError          *error)
{
  EvpLoopTask *task = take_task (self);

  evp_loop_task_return_error_now (task, error);
  evp_loop_task_release (task);
}

static void
fail_at_file (EvpFileTransfer *self)
{
  g_autofree char *name = g_filename_display_name (self->path);
  g_autofree char *what = NULL;
  GError *error = NULL;

  if (self->irregular)
    {
      fail (self, g_error_new (G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE,
                               /* Translators: %s is the name of a file */
                               _("“%s” is not a regular file; open it, and use it by its descriptor"), name));
      return;
    }
  /* Translators: %s is the name of a file */
  what = g_strdup_printf (self->bytes != NULL ? _("Cannot save “%s”") : _("Cannot load “%s”"), name);
  evp_set_error_from_errno (&error, self->failed, "%s", what);
  fail (self, error);
}

static void
closed_cb (EvpAbstractEventLoop *loop,
           EvpFileTransfer      *self)
{
  fail (self, g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                   _("The event loop is closed; make a new one")));
}

static void
cancelled_cb (EvpLoopTask *task,
              gpointer     data)
{
  EvpFileTransfer *self = data;

  /* its result decides */
  if (self->operation != NULL && self->operation->state != EVP_OPERATION_IDLE)
    evp_loop_cancel_operation (self->loop, self->operation);
  else if (!self->too_late)
    fail (self, g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, _("Operation was cancelled")));
}

static void
back_cb (gpointer data)
{
  EvpFileTransfer *self = data;

  if (self->task != NULL)
    self->next (self);
}

static void
thread_cb (EvpFuture *future,
           gpointer   data)
{
  EvpFileTransfer *self = data;

  self->work (self);
  evp_event_loop_call_soon_threadsafe (self->loop, back_cb, transfer_ref (self), transfer_unref, NULL);
}

/* Has a thread do @work, and then goes on with @next. */
static void
do_on_thread (EvpFileTransfer    *self,
              EvpFileTransferFunc work,
              EvpFileTransferFunc next)
{
  g_autoptr (EvpFuture) future = NULL;
  GError *error = NULL;

  self->work = work;
  self->next = next;
  future = evp_event_loop_run_in_executor (self->loop, thread_cb, transfer_ref (self), transfer_unref, &error);
  if (future == NULL)
    fail (self, error);
}

static EvpFileTransfer *
transfer_new (EvpProactorEventLoop *loop,
              GFile                *file,
              GBytes               *bytes,
              EvpLoopTask          *task)
{
  EvpFileTransfer *self = g_new0 (EvpFileTransfer, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->loop = EVP_EVENT_LOOP (g_object_ref (loop));
  self->path = g_file_get_path (file);
  self->bytes = bytes != NULL ? g_bytes_ref (bytes) : NULL;
  self->fd = -1;
  self->task = task;
  self->closed_id = g_signal_connect_data (loop, "closed", G_CALLBACK (closed_cb), transfer_ref (self),
                                           transfer_closure_unref, 0);
  evp_loop_task_set_cancel_func (task, cancelled_cb, self);
  return self;
}

/* FALSE if it was cancelled too late for the last step, and so has ended before the next. */
static gboolean
goes_on (EvpFileTransfer *self)
{
  GError *error = NULL;

  if (!g_cancellable_set_error_if_cancelled (evp_loop_task_get_cancellable (self->task), &error))
    return TRUE;
  tidy_up (self);
  fail (self, error);
  return FALSE;
}

/* The next part of the contents; the operation holds a reference until it is done. */
static void
submit (EvpFileTransfer *self,
        gpointer         buffer,
        gsize            length)
{
  GError *error = NULL;

  if (!goes_on (self))
    return;
  self->operation->buffer = buffer;
  self->operation->length = MIN (length, LARGEST_REQUEST);
  self->operation->offset = (gint64) self->length;
  transfer_ref (self);
  if (evp_loop_submit_operation (self->loop, self->operation, &error))
    return;
  fail (self, error);
  transfer_unref (self);
}

/* FALSE if the operation has failed, and so has the transfer. */
static gboolean
check (EvpFileTransfer *self,
       EvpOperation    *operation)
{
  GError *error = NULL;

  if (operation->result >= 0)
    return TRUE;
  tidy_up (self); /* first: the callback finds everything as it will be */
  if (operation->result != -ECANCELED)
    {
      self->failed = (int) -operation->result;
      fail_at_file (self);
      return FALSE;
    }
  evp_loop_check_operation (self->loop, operation, "", &error);
  fail (self, error);
  return FALSE;
}

/* Loading. */

static void
open_to_load (EvpFileTransfer *self)
{
  struct stat status;

  /* a pipe would keep the thread waiting for its other end */
  self->fd = open (self->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (self->fd < 0 || fstat (self->fd, &status) != 0)
    self->failed = errno;
  else if (S_ISDIR (status.st_mode))
    self->failed = EISDIR;
  else if (!S_ISREG (status.st_mode))
    self->irregular = TRUE;
  else if (status.st_size >= G_MAXSSIZE)
    self->failed = EFBIG; /* for any memory; with 32 bits there are such files */
  else
    self->expected = (gsize) status.st_size;
}

static void
load_more (EvpFileTransfer *self)
{
  if (self->length == self->size)
    {
      gsize size = self->size > 0 ? self->size * 2 : self->expected > 0 ? self->expected + 1 : FIRST_SIZE;
      gboolean too_large = self->size > G_MAXSSIZE / 2;
      char *buffer = too_large ? NULL : g_try_realloc (self->buffer, size);

      if (buffer == NULL)
        {
          self->failed = too_large ? EFBIG : ENOMEM;
          tidy_up (self);
          fail_at_file (self);
          return;
        }
      self->buffer = buffer;
      self->size = size;
    }
  submit (self, self->buffer + self->length, self->size - self->length);
}

static void
loaded_cb (EvpOperation *operation,
           gpointer      user_data)
{
  EvpFileTransfer *self = user_data;
  EvpLoopTask *task;

  if (check (self, operation))
    {
      self->length += (gsize) operation->result;
      /* the end; a file that says how large it is says so by coming up short, too */
      if (operation->result == 0
          || ((gsize) operation->result < operation->length && self->expected > 0 && self->length >= self->expected))
        {
          char *buffer = g_realloc (g_steal_pointer (&self->buffer), self->length);

          tidy_up (self);
          task = take_task (self);
          evp_loop_task_return_pointer_now (task, g_bytes_new_take (buffer, self->length), (GDestroyNotify) g_bytes_unref);
          evp_loop_task_release (task);
        }
      else
        load_more (self);
    }
  transfer_unref (self);
}

static void
load_opened (EvpFileTransfer *self)
{
  if (self->failed != 0 || self->irregular)
    {
      tidy_up (self);
      fail_at_file (self);
      return;
    }
  self->operation = evp_operation_new (EVP_OPERATION_READ, self->fd, loaded_cb, self);
  load_more (self);
}

/* Saving. */

#define MAX_LINKS 40

/* The name behind links. The last of them may point to what does not exist yet. */
static char *
resolve (const char *path)
{
  g_autofree char *name = g_strdup (path);

  for (guint i = 0; i < MAX_LINKS; i++)
    {
      g_autofree char *link = NULL;
      g_autofree char *folder = NULL;
      char *real = realpath (name, NULL);

      if (real != NULL)
        {
          g_free (name);
          name = g_strdup (real);
          free (real);
          break;
        }
      link = g_file_read_link (name, NULL);
      if (link == NULL)
        break;
      folder = g_path_get_dirname (name);
      g_free (name);
      name = g_path_is_absolute (link) ? g_steal_pointer (&link) : g_build_filename (folder, link, NULL);
    }
  return g_steal_pointer (&name);
}

/* Whether there is more to who may use a file than its permissions, of which those of the group then mean another thing. */
static gboolean
has_acl (int fd)
{
#ifdef __linux__
  return fgetxattr (fd, "system.posix_acl_access", NULL, 0) >= 0;
#else
  return FALSE;
#endif
}

/* The rights of its owner, which a program may have while it runs, were given to the contents that it had. */
#define RIGHTS (S_ISUID | S_ISGID)

static gboolean
gives_rights (const struct stat *status)
{
  /* without the other, the bit for the group has once been for locks */
  return (status->st_mode & S_ISUID) != 0 || (status->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
}

static mode_t
plain_mode (const struct stat *old)
{
  return old->st_mode & 07777 & ~(mode_t) RIGHTS;
}

/* Makes a new file the same to others as the old one. 0 or an errno. */
static int
resemble (int                fd,
          const struct stat *old)
{
  struct stat status;

  /* the folder gives it one */
  if (has_acl (fd))
    return EPERM;
  if (fstat (fd, &status) == 0 && (status.st_gid == old->st_gid || fchown (fd, (uid_t) -1, old->st_gid) == 0)
      && fchmod (fd, plain_mode (old)) == 0)
    return 0;
  return errno;
}

/*
 * A new file takes the place of the old one, so that nobody ever sees half of it. The old one is written
 * over where a new one would not be the same to others: if it belongs to somebody else or has several
 * names, or a group that cannot be given, or an access control list, or if the folder takes no new files. It gets
 * its length last: until something was written, nothing has happened to it.
 */
static void
open_to_save (EvpFileTransfer *self)
{
  g_autofree char *folder = NULL;
  struct stat status;
  gboolean exists;

  /* the file that a link points to is replaced, not the link */
  self->target = resolve (self->path);

  self->fd = open (self->target, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
  exists = self->fd >= 0;
  if ((!exists && errno != ENOENT) || (exists && fstat (self->fd, &status) != 0))
    {
      self->failed = errno;
      /* a pipe that nobody reads */
      self->irregular = errno == ENXIO;
      return;
    }
  if (exists && !S_ISREG (status.st_mode))
    {
      self->irregular = TRUE;
      return;
    }

  self->over = exists && (self->over || status.st_uid != geteuid () || status.st_nlink > 1 || has_acl (self->fd));
  if (!self->over)
    {
      int fd;

      folder = g_path_get_dirname (self->target);
      self->temporary = g_build_filename (folder, ".evp-XXXXXX", NULL);
      fd = g_mkstemp_full (self->temporary, O_WRONLY | O_CLOEXEC, 0666);
      self->failed = fd < 0 ? errno : exists ? resemble (fd, &status) : 0;
      if (self->failed == 0)
        {
          evp_os_fd_close (self->fd);
          self->fd = fd;
          return;
        }
      if (fd >= 0)
        {
          g_unlink (self->temporary);
          evp_os_fd_close (fd);
        }
      g_clear_pointer (&self->temporary, g_free);
      if (exists && (self->failed == EACCES || self->failed == EPERM || self->failed == EROFS))
        self->failed = 0;
    }
  self->has_rights = exists && (status.st_mode & RIGHTS) != 0;
}

/*
 * The system does that when somebody writes, unless it is root. It is done before: with a part of the new contents
 * the old file, which may be somebody else's, must not have them either, if writing fails or we are killed.
 */
static void
drop_rights (EvpFileTransfer *self)
{
  struct stat status;

  if (fstat (self->fd, &status) != 0
      || ((status.st_mode & RIGHTS) != 0 && fchmod (self->fd, plain_mode (&status)) != 0
          /* who may write it need not be its owner, and then is hardly root: the system does it */
          && errno != EPERM))
    self->failed = errno;
}

static void
put_in_place (EvpFileTransfer *self)
{
  int fd = self->fd;

  if (self->temporary == NULL)
    {
      struct stat status;

      if (ftruncate (fd, (off_t) self->length) != 0 || fstat (fd, &status) != 0)
        self->failed = errno;
      else if (gives_rights (&status))
        self->failed = EPERM;
      if (self->failed != 0)
        return;
    }
  /* some file systems tell only now that there was no room */
  self->fd = -1;
  if (close (fd) != 0 && errno != EINTR)
    self->failed = errno;
  else if (self->temporary != NULL)
    {
      if (g_rename (self->temporary, self->target) == 0)
        g_clear_pointer (&self->temporary, g_free);
      else if (errno != EBUSY)
        self->failed = errno;
      else
        {
          /* something was mounted there: no other file can take that place */
          tidy_up (self);
          g_clear_pointer (&self->target, g_free);
          self->over = TRUE;
          open_to_save (self);
        }
    }
}

static void save_begin (EvpFileTransfer *self);

static void
save_put (EvpFileTransfer *self)
{
  EvpLoopTask *task;

  /* once more, then */
  if (self->fd >= 0 && self->failed == 0 && !self->irregular)
    {
      self->too_late = FALSE;
      self->length = 0;
      self->operation->fd = self->fd;
      save_begin (self);
      return;
    }
  tidy_up (self);
  if (self->failed != 0 || self->irregular)
    {
      fail_at_file (self);
      return;
    }
  task = take_task (self);
  evp_loop_task_return_int_now (task, TRUE);
  evp_loop_task_release (task);
}

static void
save_more (EvpFileTransfer *self)
{
  gsize size;
  const char *data = g_bytes_get_data (self->bytes, &size);

  if (self->length < size)
    submit (self, (gpointer) (data + self->length), size - self->length);
  else if (goes_on (self))
    {
      self->too_late = TRUE;
      do_on_thread (self, put_in_place, save_put);
    }
}

static void
saved_cb (EvpOperation *operation,
          gpointer      user_data)
{
  EvpFileTransfer *self = user_data;

  if (operation->result == 0)
    operation->result = -EIO; /* or it would go on like this for ever */
  if (check (self, operation))
    {
      self->length += (gsize) operation->result;
      save_more (self);
    }
  transfer_unref (self);
}

static void
save_without_rights (EvpFileTransfer *self)
{
  if (self->failed == 0)
    {
      save_more (self);
      return;
    }
  tidy_up (self);
  fail_at_file (self);
}

static void
save_begin (EvpFileTransfer *self)
{
  if (self->temporary != NULL || !self->has_rights)
    save_more (self);
  /* whoever has cancelled it by now finds the old file as it was */
  else if (goes_on (self))
    do_on_thread (self, drop_rights, save_without_rights);
}

static void
save_opened (EvpFileTransfer *self)
{
  if (self->failed != 0 || self->irregular)
    {
      tidy_up (self);
      fail_at_file (self);
      return;
    }
  self->operation = evp_operation_new (EVP_OPERATION_WRITE, self->fd, saved_cb, self);
  save_begin (self);
}

/* Files that only GIO knows. */

static void
elsewhere_loaded_cb (GObject      *source,
                     GAsyncResult *result,
                     gpointer      user_data)
{
  EvpFileTransfer *self = user_data;
  GError *error = NULL;
  GBytes *bytes = g_file_load_bytes_finish (G_FILE (source), result, NULL, &error);
  EvpLoopTask *task = self->task != NULL ? take_task (self) : NULL;

  if (task == NULL)
    {
      g_clear_pointer (&bytes, g_bytes_unref);
      g_clear_error (&error);
    }
  else
    {
      if (bytes != NULL)
        evp_loop_task_return_pointer (task, bytes, (GDestroyNotify) g_bytes_unref);
      else
        evp_loop_task_return_error (task, error);
      evp_loop_task_release (task);
    }
  transfer_unref (self);
}

static void
elsewhere_saved_cb (GObject      *source,
                    GAsyncResult *result,
                    gpointer      user_data)
{
  EvpFileTransfer *self = user_data;
  GError *error = NULL;
  gboolean ok = g_file_replace_contents_finish (G_FILE (source), result, NULL, &error);
  EvpLoopTask *task = self->task != NULL ? take_task (self) : NULL;

  if (task == NULL)
    g_clear_error (&error);
  else
    {
      if (ok)
        evp_loop_task_return_int (task, TRUE);
      else
        evp_loop_task_return_error (task, error);
      evp_loop_task_release (task);
    }
  transfer_unref (self);
}

static void
transfer_elsewhere_cb (gpointer data)
{
  EvpFileTransfer *self = data;
  g_autoptr (GMainContext) context = evp_event_loop_dup_main_context (self->loop);
  GCancellable *cancellable;

  if (self->task == NULL)
    return;
  /* g_main_context_invoke() on another thread may have the context for a moment, while the loop does not run */
  if (!g_main_context_acquire (context))
    {
      evp_event_loop_call_soon_threadsafe (self->loop, transfer_elsewhere_cb, transfer_ref (self), transfer_unref, NULL);
      return;
    }
  cancellable = evp_loop_task_get_cancellable (self->task);
  g_main_context_push_thread_default (context);
  if (self->bytes != NULL)
    g_file_replace_contents_bytes_async (self->file, self->bytes, NULL, FALSE, G_FILE_CREATE_NONE, cancellable,
                                         elsewhere_saved_cb, transfer_ref (self));
  else
    g_file_load_bytes_async (self->file, cancellable, elsewhere_loaded_cb, transfer_ref (self));
  g_main_context_pop_thread_default (context);
  g_main_context_release (context);
}

static void
start (EvpProactorEventLoop *self,
       GFile                *file,
       GBytes               *bytes,
       gpointer              tag,
       GCancellable         *cancellable,
       GAsyncReadyCallback   callback,
       gpointer              user_data)
{
  EvpAbstractEventLoop *loop = EVP_EVENT_LOOP (self);
  EvpLoopTask *task = evp_loop_task_new (loop, loop, tag, cancellable, callback, user_data);
  EvpFileTransfer *transfer;
  GError *error = NULL;

  if (evp_event_loop_is_closed (loop))
    g_set_error_literal (&error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                         _("The event loop is closed; make a new one"));
  else
    g_cancellable_set_error_if_cancelled (cancellable, &error);
  if (error != NULL)
    {
      evp_loop_task_return_error (task, error);
      evp_loop_task_release (task);
      return;
    }

  transfer = transfer_new (self, file, bytes, task);
  if (transfer->path == NULL)
    {
      transfer->file = g_object_ref (file);
      transfer_elsewhere_cb (transfer);
    }
  else if (bytes != NULL)
    do_on_thread (transfer, open_to_save, save_opened);
  else
    do_on_thread (transfer, open_to_load, load_opened);
  transfer_unref (transfer);
}

/**
 * evp_proactor_event_loop_load_file_async:
 * @self: a loop
 * @file: a file
 * @cancellable: (nullable): ends it early
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Loads the contents of a file.
 *
 * A file of this machine is opened by a thread of the loop's executor and read by the loop's proactor.
 * Others, on the web or in an archive, are left to GIO. Files that are no files, such as devices and pipes,
 * are refused.
 *
 * asyncio has no such function.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_proactor_event_loop_load_file_async (EvpProactorEventLoop *self,
                                         GFile                *file,
                                         GCancellable         *cancellable,
                                         GAsyncReadyCallback   callback,
                                         gpointer              user_data)
{
  g_return_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self));
  g_return_if_fail (G_IS_FILE (file));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start (self, file, NULL, evp_proactor_event_loop_load_file_async, cancellable, callback, user_data);
}

/**
 * evp_proactor_event_loop_load_file_finish:
 * @self: a loop
 * @result: the result that the callback was given
 * @error: return location for an error
 *
 * Ends [method@Evp.ProactorEventLoop.load_file_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: %G_IO_ERROR: what the system says, such as %G_IO_ERROR_NOT_FOUND, or %G_IO_ERROR_CANCELLED, or
 * %G_IO_ERROR_NOT_REGULAR_FILE; %EVP_ERROR_LOOP_CLOSED.
 *
 * Returns: (transfer full): the contents
 *
 * Since: 1.0
 */
GBytes *
evp_proactor_event_loop_load_file_finish (EvpProactorEventLoop *self,
                                          GAsyncResult         *result,
                                          GError              **error)
{
  g_return_val_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self), NULL);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_proactor_event_loop_load_file_async), NULL);

  return evp_loop_task_propagate_pointer (EVP_LOOP_TASK (result), error);
}

/**
 * evp_proactor_event_loop_save_file_async:
 * @self: a loop
 * @file: a file, which need not exist
 * @bytes: the contents that it will have
 * @cancellable: (nullable): ends it early
 * @callback: (scope async) (nullable): what to call when it is done
 * @user_data: data for @callback
 *
 * Makes a file, or replaces the contents of one.
 *
 * A file of this machine is written by the loop's proactor beside the old one, whose group and permissions it gets,
 * and then takes its place; so the old contents stay if anything fails. A file that belongs to somebody else or to a
 * group that you are not in, has several names or an access control list, was mounted where it is (as containers have
 * them), or lies in a folder that takes no new files is written over instead: if that fails on the way, or ends early, a
 * part of the new contents is in it. Others, on the web or in an archive, are left to GIO. What is written has not
 * necessarily reached the disk.
 *
 * The bits that let a program run with the rights of its owner or group (set-user-ID, set-group-ID) were given to
 * the old contents; the new ones never have them, nor a part of them. Nor do extended attributes go over to a new file.
 *
 * Cancelling too late has no effect: when the new file takes the place of the old one.
 *
 * asyncio has no such function.
 *
 * Use it from the thread of the loop. O(n).
 *
 * Since: 1.0
 */
void
evp_proactor_event_loop_save_file_async (EvpProactorEventLoop *self,
                                         GFile                *file,
                                         GBytes               *bytes,
                                         GCancellable         *cancellable,
                                         GAsyncReadyCallback   callback,
                                         gpointer              user_data)
{
  g_return_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self));
  g_return_if_fail (G_IS_FILE (file));
  g_return_if_fail (bytes != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start (self, file, bytes, evp_proactor_event_loop_save_file_async, cancellable, callback, user_data);
}

/**
 * evp_proactor_event_loop_save_file_finish:
 * @self: a loop
 * @result: the result that the callback was given
 * @error: return location for an error
 *
 * Ends [method@Evp.ProactorEventLoop.save_file_async].
 *
 * Use it from the thread of the loop. O(1).
 *
 * Errors: those of [method@Evp.ProactorEventLoop.load_file_finish], %G_IO_ERROR_NO_SPACE among them.
 *
 * Returns: whether the file was saved
 *
 * Since: 1.0
 */
gboolean
evp_proactor_event_loop_save_file_finish (EvpProactorEventLoop *self,
                                          GAsyncResult         *result,
                                          GError              **error)
{
  g_return_val_if_fail (EVP_IS_PROACTOR_EVENT_LOOP (self), FALSE);
  g_return_val_if_fail (evp_loop_task_is_valid (result, self, evp_proactor_event_loop_save_file_async), FALSE);

  return evp_loop_task_propagate_int (EVP_LOOP_TASK (result), error) > 0;
}
