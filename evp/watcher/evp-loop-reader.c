/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/watcher/evp-loop-reader-private.h"

#include "evp/base/evp-debug-private.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-running-loop-private.h"

gboolean
evp_loop_access_begin (EvpLoopAccess        *access,
                       EvpAbstractEventLoop *loop,
                       GThread              *home)
{
  access->context = NULL;
  if (evp_running_loop_get () == loop)
    return TRUE;
  if (home != g_thread_self ())
    return FALSE;

  access->context = evp_event_loop_dup_main_context (loop);
  if (access->context == NULL)
    return !evp_event_loop_is_running (loop);
  /* it may have been handed to another thread that runs it now */
  if (g_main_context_acquire (access->context))
    return TRUE;
  g_clear_pointer (&access->context, g_main_context_unref);
  return FALSE;
}

void
evp_loop_access_end (EvpLoopAccess *access)
{
  if (access->context != NULL)
    g_main_context_release (access->context);
  g_clear_pointer (&access->context, g_main_context_unref);
}

typedef enum
{
  STATE_POSTING, /* evp_loop_reader_new() has not returned yet */
  STATE_WAITING, /* a callback that will put it into the loop is on its way */
  STATE_ARMING,  /* being put into the loop right now */
  STATE_ARMED,   /* in the loop */
  STATE_STOPPED,
} State;

struct _EvpLoopReader
{
  gatomicrefcount ref_count;

  /* constant */
  EvpAbstractEventLoop *loop;
  int fd;
  const EvpLoopReaderFuncs *funcs;
  gpointer data;

  GMutex lock; /* protects what follows; not held while a function of the loop or of the owner runs */
  State state;
  gboolean returned; /* evp_loop_reader_new() has; until then nobody is told of a failure but its caller … */
  GError *error;     /* … of this one */
  gboolean released; /* the loop has let go of the descriptor; it may have it again, from another reader */
  gboolean gone;
  GThread *home; /* (owned) (nullable) */
};

static EvpLoopReader *
evp_loop_reader_ref (EvpLoopReader *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

static void
evp_loop_reader_unref (gpointer data)
{
  EvpLoopReader *self = data;

  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_object_unref (self->loop);
  g_clear_pointer (&self->home, g_thread_unref);
  g_clear_error (&self->error);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* Sets the state and returns the former one; a stopped reader stays stopped. */
static State
evp_loop_reader_set_state (EvpLoopReader *self,
                           State          state)
{
  State former;

  g_mutex_lock (&self->lock);
  former = self->state;
  if (former != STATE_STOPPED)
    self->state = state;
  g_mutex_unlock (&self->lock);
  return former;
}

static void
evp_loop_reader_finish (EvpLoopReader *self)
{
  gboolean first;

  g_mutex_lock (&self->lock);
  first = !self->gone;
  self->gone = TRUE;
  g_mutex_unlock (&self->lock);
  if (first)
    self->funcs->gone (self->data);
}

/* It was not us who ended it. */
static void
evp_loop_reader_fail (EvpLoopReader *self)
{
  if (evp_loop_reader_set_state (self, STATE_STOPPED) == STATE_STOPPED)
    return;
  self->funcs->dropped (self->data);
  evp_loop_reader_finish (self);
}

static void
evp_loop_reader_ready_cb (int      fd,
                          gpointer user_data)
{
  EvpLoopReader *self = user_data;
  gboolean armed;

  g_mutex_lock (&self->lock);
  armed = self->state == STATE_ARMED;
  g_mutex_unlock (&self->lock);
  if (!armed)
    return;
  evp_loop_reader_ref (self);
  self->funcs->ready (self->data);
  evp_loop_reader_unref (self);
}

/* The loop has let go of the descriptor: because we wanted that, because it refused it, or because it was closed. */
static void
evp_loop_reader_released_cb (gpointer user_data)
{
  EvpLoopReader *self = user_data;
  gboolean armed;

  g_mutex_lock (&self->lock);
  self->released = TRUE;
  armed = self->state == STATE_ARMED;
  g_mutex_unlock (&self->lock);
  if (armed)
    evp_loop_reader_fail (self);
  evp_loop_reader_unref (self);
}

/* On the loop's thread. */
static void
evp_loop_reader_take_out (EvpLoopReader *self)
{
  gboolean released;

  g_mutex_lock (&self->lock);
  released = self->released;
  g_mutex_unlock (&self->lock);
  if (!released)
    evp_event_loop_remove_reader (self->loop, self->fd);
}

/* On the loop's thread; if it fails, the state stays "arming" unless the reader was stopped. */
static gboolean
evp_loop_reader_arm (EvpLoopReader *self,
                     GError       **error)
{
  g_mutex_lock (&self->lock);
  if (self->state != STATE_WAITING && self->state != STATE_POSTING)
    {
      g_mutex_unlock (&self->lock);
      return TRUE;
    }
  self->state = STATE_ARMING;
  /* if this is not the thread that we were told, it is the loop's all the same */
  if (self->home != g_thread_self ())
    {
      g_clear_pointer (&self->home, g_thread_unref);
      self->home = g_thread_ref (g_thread_self ());
    }
  g_mutex_unlock (&self->lock);

  if (!evp_event_loop_add_reader (self->loop, self->fd, evp_loop_reader_ready_cb, evp_loop_reader_ref (self),
                                  evp_loop_reader_released_cb, error))
    return FALSE;
  if (evp_loop_reader_set_state (self, STATE_ARMED) == STATE_STOPPED)
    {
      /* another thread stopped it meanwhile, and left the rest to us */
      evp_loop_reader_take_out (self);
      evp_loop_reader_finish (self);
    }
  return TRUE;
}

static void
evp_loop_reader_arm_cb (gpointer user_data)
{
  EvpLoopReader *self = user_data;
  g_autoptr (GError) error = NULL;
  gboolean returned;

  if (evp_loop_reader_arm (self, &error))
    return;
  g_mutex_lock (&self->lock);
  returned = self->returned;
  if (!returned)
    {
      self->state = STATE_STOPPED;
      self->error = g_steal_pointer (&error);
    }
  g_mutex_unlock (&self->lock);
  if (!returned)
    return;
  evp_warn_runtime ("%s", error->message);
  evp_loop_reader_fail (self);
  evp_loop_reader_finish (self);
}

/* The callback that puts it into the loop has run, or the loop is closed. */
static void
evp_loop_reader_arm_released_cb (gpointer user_data)
{
  EvpLoopReader *self = user_data;
  gboolean waiting;

  g_mutex_lock (&self->lock);
  waiting = self->state == STATE_WAITING;
  if (self->state == STATE_POSTING)
    {
      self->state = STATE_STOPPED;
      self->error = g_error_new_literal (EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                                         _("The event loop is closed; make a new one"));
    }
  g_mutex_unlock (&self->lock);
  if (waiting)
    evp_loop_reader_fail (self);
  evp_loop_reader_unref (self);
}

EvpLoopReader *
evp_loop_reader_new (EvpAbstractEventLoop     *loop,
                     GThread                  *home,
                     int                       fd,
                     const EvpLoopReaderFuncs *funcs,
                     gpointer                  data,
                     GError                  **error)
{
  EvpLoopReader *self = g_new0 (EvpLoopReader, 1);
  EvpLoopAccess access;
  gboolean ok;

  g_atomic_ref_count_init (&self->ref_count);
  g_mutex_init (&self->lock);
  self->loop = g_object_ref (loop);
  self->home = home != NULL ? g_thread_ref (home) : NULL;
  self->fd = fd;
  self->funcs = funcs;
  self->data = data;

  if (evp_loop_access_begin (&access, loop, home))
    {
      ok = evp_loop_reader_arm (self, error);
      evp_loop_access_end (&access);
    }
  else
    {
      ok = evp_event_loop_call_soon_threadsafe (loop, evp_loop_reader_arm_cb, evp_loop_reader_ref (self),
                                                evp_loop_reader_arm_released_cb, error);
      g_mutex_lock (&self->lock);
      self->returned = TRUE;
      if (ok && self->state == STATE_POSTING)
        self->state = STATE_WAITING;
      else if (ok && self->error != NULL)
        {
          ok = FALSE;
          g_propagate_error (error, g_steal_pointer (&self->error));
        }
      g_mutex_unlock (&self->lock);
    }
  if (ok)
    return self;
  evp_loop_reader_unref (self);
  return NULL;
}

EvpAbstractEventLoop *
evp_loop_reader_get_loop (EvpLoopReader *self)
{
  return self->loop;
}

static void
evp_loop_reader_remove_cb (gpointer user_data)
{
  EvpLoopReader *self = user_data;

  evp_loop_reader_take_out (self);
}

/* It was taken away, or the loop is closed. */
static void
evp_loop_reader_remove_released_cb (gpointer user_data)
{
  EvpLoopReader *self = user_data;

  evp_loop_reader_finish (self);
  evp_loop_reader_unref (self);
}

void
evp_loop_reader_stop (EvpLoopReader *self)
{
  g_autoptr (GThread) home = NULL;
  EvpLoopAccess access;
  State former;

  g_mutex_lock (&self->lock);
  former = self->state;
  self->state = STATE_STOPPED;
  home = self->home != NULL ? g_thread_ref (self->home) : NULL;
  g_mutex_unlock (&self->lock);

  if (former == STATE_WAITING)
    evp_loop_reader_finish (self);
  else if (former == STATE_ARMED)
    {
      if (evp_loop_access_begin (&access, self->loop, home))
        {
          evp_loop_reader_take_out (self);
          evp_loop_access_end (&access);
          evp_loop_reader_finish (self);
        }
      else
        evp_event_loop_call_soon_threadsafe (self->loop, evp_loop_reader_remove_cb, evp_loop_reader_ref (self),
                                             evp_loop_reader_remove_released_cb, NULL);
    }
  evp_loop_reader_unref (self);
}
