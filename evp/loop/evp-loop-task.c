/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-loop-task-private.h"

#include "evp/loop/evp-base-event-loop-private.h"
#include "evp/loop/evp-loop-operation-private.h"

struct _EvpLoopTask
{
  GObject parent_instance;

  /* set once */
  EvpAbstractEventLoop *loop;
  GObject *source_object;
  gpointer tag;
  GCancellable *cancellable;
  GAsyncReadyCallback callback;
  gpointer user_data;
  gboolean borrows; /* see evp_loop_task_renew() */

  /* the loop's thread only */
  EvpLoopTaskFunc cancel_func;
  gpointer cancel_data;
  gulong cancel_id;
  gboolean returned;

  /* the result; an error wins */
  gint64 integer;
  gpointer pointer;
  GDestroyNotify pointer_destroy;
  GError *error;
};

static void evp_loop_task_async_result_init (GAsyncResultIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (EvpLoopTask, evp_loop_task, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_ASYNC_RESULT,
                                                      evp_loop_task_async_result_init))

static void
evp_loop_task_clear_pointer (EvpLoopTask *self)
{
  gpointer pointer = g_steal_pointer (&self->pointer);

  if (pointer != NULL && self->pointer_destroy != NULL)
    self->pointer_destroy (pointer);
}

static void
evp_loop_task_deliver_cb (gpointer user_data)
{
  EvpLoopTask *self = user_data;
  GAsyncReadyCallback callback = g_steal_pointer (&self->callback);

  if (callback != NULL)
    callback (self->source_object, (GAsyncResult *) self, self->user_data);
}

static gboolean
evp_loop_task_deliver_idle_cb (gpointer user_data)
{
  evp_loop_task_deliver_cb (user_data);
  return G_SOURCE_REMOVE;
}

static void
evp_loop_task_schedule (EvpLoopTask *self)
{
  g_autoptr (GSource) source = NULL;

  if (self->callback == NULL)
    return;
  if (evp_event_loop_call_soon (self->loop, evp_loop_task_deliver_cb,
                                g_object_ref (self), (GDestroyNotify) evp_loop_task_release, NULL) != NULL)
    return;

  /* The loop takes nothing any more. GIO's promise to call back holds all the same. */
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[evp] result of a closed loop");
  g_source_set_callback (source, evp_loop_task_deliver_idle_cb, g_object_ref (self), g_object_unref);
  g_source_attach (source, g_main_context_get_thread_default ());
}

/* Whether this is the first return. */
static gboolean
evp_loop_task_begin_return (EvpLoopTask *self)
{
  gulong id = self->cancel_id;

  if (self->returned)
    return FALSE;
  self->returned = TRUE;
  self->cancel_func = NULL;
  self->cancel_id = 0;
  /* Not g_cancellable_disconnect(): it would wait for itself if another handler of the same
   * cancellation led here. The emission holds the closure, and that holds the task. */
  if (id != 0)
    g_signal_handler_disconnect (self->cancellable, id);
  return TRUE;
}

static void
evp_loop_task_cancel_on_loop_cb (gpointer user_data)
{
  EvpLoopTask *self = user_data;
  EvpLoopTaskFunc func = g_steal_pointer (&self->cancel_func);

  if (func != NULL)
    func (self, self->cancel_data);
}

static void
evp_loop_task_cancel_operation (EvpLoopTask *self,
                                gpointer     operation)
{
  evp_loop_cancel_operation (self->loop, operation);
}

/* Any thread. */
static void
evp_loop_task_cancelled_cb (GCancellable *cancellable,
                            EvpLoopTask  *self)
{
  EvpLoopCore *core = evp_loop_peek_core (self->loop);

  if (core != NULL && __atomic_load_n (&core->pool.owner, __ATOMIC_RELAXED) == evp_handle_thread_token ()
      && self->cancel_func == evp_loop_task_cancel_operation)
    {
      evp_loop_task_cancel_on_loop_cb (self);
      return;
    }
  evp_event_loop_call_soon_threadsafe (self->loop, evp_loop_task_cancel_on_loop_cb,
                                       g_object_ref (self), g_object_unref, NULL);
}

static gpointer
evp_loop_task_get_user_data (GAsyncResult *result)
{
  return EVP_LOOP_TASK (result)->user_data;
}

static GObject *
evp_loop_task_get_source_object (GAsyncResult *result)
{
  EvpLoopTask *self = EVP_LOOP_TASK (result);

  return self->source_object != NULL ? g_object_ref (self->source_object) : NULL;
}

static gboolean
evp_loop_task_is_tagged (GAsyncResult *result,
                         gpointer      source_tag)
{
  return EVP_LOOP_TASK (result)->tag == source_tag;
}

/* What remains can be used for another call. */
static void
evp_loop_task_clear (EvpLoopTask *self)
{
  evp_loop_task_clear_pointer (self);
  g_clear_error (&self->error);
  g_clear_object (&self->cancellable);
  /* the loop itself, most times: one reference will do */
  if (self->source_object != (GObject *) self->loop && !self->borrows)
    g_clear_object (&self->source_object);
  self->source_object = NULL;
}

static void
evp_loop_task_finalize (GObject *object)
{
  EvpLoopTask *self = EVP_LOOP_TASK (object);

  evp_loop_task_clear (self);
  if (!self->borrows)
    g_clear_object (&self->loop);

  G_OBJECT_CLASS (evp_loop_task_parent_class)->finalize (object);
}

static void
evp_loop_task_async_result_init (GAsyncResultIface *iface)
{
  iface->get_user_data = evp_loop_task_get_user_data;
  iface->get_source_object = evp_loop_task_get_source_object;
  iface->is_tagged = evp_loop_task_is_tagged;
}

static void
evp_loop_task_class_init (EvpLoopTaskClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = evp_loop_task_finalize;
}

static void
evp_loop_task_init (EvpLoopTask *self)
{
}

EvpLoopTask *
evp_loop_task_new (EvpAbstractEventLoop *loop,
                   gpointer              source_object,
                   gpointer              tag,
                   GCancellable         *cancellable,
                   GAsyncReadyCallback   callback,
                   gpointer              user_data)
{
  EvpLoopCore *core = evp_loop_peek_core (loop);
  EvpLoopTask *self = NULL;

  if (core != NULL && g_atomic_pointer_get (&core->spare_task) != NULL)
    self = g_atomic_pointer_exchange (&core->spare_task, NULL);
  if (self == NULL)
    self = g_object_new (EVP_TYPE_LOOP_TASK, NULL);

  self->loop = g_object_ref (loop);
  if (source_object == (gpointer) loop)
    self->source_object = source_object;
  else
    g_set_object (&self->source_object, source_object);
  self->tag = tag;
  g_set_object (&self->cancellable, cancellable);
  self->callback = callback;
  self->user_data = user_data;
  return self;
}

EvpLoopTask *
evp_loop_task_renew (EvpLoopTask          *self,
                     EvpAbstractEventLoop *loop,
                     gpointer              source_object,
                     gpointer              tag,
                     GCancellable         *cancellable,
                     GAsyncReadyCallback   callback,
                     gpointer              user_data)
{
  if (self == NULL)
    self = g_object_new (EVP_TYPE_LOOP_TASK, NULL);
  self->borrows = TRUE;
  self->loop = loop;
  self->source_object = source_object;
  self->tag = tag;
  if (cancellable != NULL)
    self->cancellable = g_object_ref (cancellable);
  self->callback = callback;
  self->user_data = user_data;
  return self;
}

gboolean
evp_loop_task_park (EvpLoopTask *self)
{
  GObject *object = (GObject *) self;

  /* as in evp_loop_task_release() */
  if (self->returned && g_atomic_int_get (&object->ref_count) == 1 && g_atomic_pointer_get (&object->qdata) == NULL)
    {
      if (G_UNLIKELY (self->cancellable != NULL || self->error != NULL || self->pointer != NULL))
        {
          evp_loop_task_clear_pointer (self);
          g_clear_error (&self->error);
          g_clear_object (&self->cancellable);
        }
      self->returned = FALSE;
      self->integer = 0;
      return TRUE;
    }
  g_object_ref (self->loop);
  if (self->source_object != (GObject *) self->loop)
    g_object_ref (self->source_object);
  self->borrows = FALSE;
  return FALSE;
}

EvpAbstractEventLoop *
evp_loop_task_get_loop (EvpLoopTask *self)
{
  return self->loop;
}

gpointer
evp_loop_task_get_source (EvpLoopTask *self)
{
  return self->source_object;
}

GCancellable *
evp_loop_task_get_cancellable (EvpLoopTask *self)
{
  return self->cancellable;
}

gboolean
evp_loop_task_get_returned (EvpLoopTask *self)
{
  return self->returned;
}

void
evp_loop_task_set_cancel_func (EvpLoopTask    *self,
                               EvpLoopTaskFunc func,
                               gpointer        data)
{
  gulong id;

  if (self->cancellable == NULL || self->returned)
    return;
  self->cancel_func = func;
  self->cancel_data = data;
  id = g_cancellable_connect (self->cancellable, G_CALLBACK (evp_loop_task_cancelled_cb),
                              g_object_ref (self), g_object_unref);
  self->cancel_id = id;
}

void
evp_loop_task_set_operation (EvpLoopTask  *self,
                             EvpOperation *operation)
{
  evp_loop_task_set_cancel_func (self, evp_loop_task_cancel_operation, operation);
}

void
evp_loop_task_return_int (EvpLoopTask *self,
                          gint64       value)
{
  if (!evp_loop_task_begin_return (self))
    return;
  self->integer = value;
  evp_loop_task_schedule (self);
}

void
evp_loop_task_return_pointer (EvpLoopTask   *self,
                              gpointer       value,
                              GDestroyNotify destroy)
{
  if (!evp_loop_task_begin_return (self))
    {
      if (value != NULL && destroy != NULL)
        destroy (value);
      return;
    }
  self->pointer = value;
  self->pointer_destroy = destroy;
  evp_loop_task_schedule (self);
}

void
evp_loop_task_return_error (EvpLoopTask *self,
                            GError      *error)
{
  if (!evp_loop_task_begin_return (self))
    {
      g_error_free (error);
      return;
    }
  self->error = error;
  evp_loop_task_schedule (self);
}

void
evp_loop_task_return_new_error (EvpLoopTask *self,
                                GQuark       domain,
                                int          code,
                                const char  *format,
                                ...)
{
  va_list args;
  GError *error;

  va_start (args, format);
  error = g_error_new_valist (domain, code, format, args);
  va_end (args);
  evp_loop_task_return_error (self, error);
}

void
evp_loop_task_return_int_now (EvpLoopTask *self,
                              gint64       value)
{
  if (!evp_loop_task_begin_return (self))
    return;
  self->integer = value;
  evp_loop_task_deliver_cb (self);
}

void
evp_loop_task_return_pointer_now (EvpLoopTask   *self,
                                  gpointer       value,
                                  GDestroyNotify destroy)
{
  if (!evp_loop_task_begin_return (self))
    {
      if (value != NULL && destroy != NULL)
        destroy (value);
      return;
    }
  self->pointer = value;
  self->pointer_destroy = destroy;
  g_object_ref (self);
  evp_loop_task_deliver_cb (self);
  g_object_unref (self);
}

void
evp_loop_task_return_error_now (EvpLoopTask *self,
                                GError      *error)
{
  if (!evp_loop_task_begin_return (self))
    {
      g_error_free (error);
      return;
    }
  self->error = error;
  g_object_ref (self);
  evp_loop_task_deliver_cb (self);
  g_object_unref (self);
}

void
evp_loop_task_release (EvpLoopTask *self)
{
  GObject *object = &self->parent_instance;
  EvpLoopCore *core = evp_loop_peek_core (self->loop);
  EvpAbstractEventLoop *loop;

  /* Toggle references and whoever holds it count; weak references and a language's wrapper are data of
   * the object. Without any of them nobody can tell that it is not a new one. */
  if (core == NULL || core->closed || !self->returned
      || g_atomic_int_get (&object->ref_count) != 1 || g_atomic_pointer_get (&object->qdata) != NULL
      || __atomic_load_n (&core->pool.owner, __ATOMIC_RELAXED) != evp_handle_thread_token ())
    {
      g_object_unref (self);
      return;
    }
  evp_loop_task_clear (self);
  loop = g_steal_pointer (&self->loop);
  self->callback = NULL;
  self->returned = FALSE;
  self->integer = 0;
  if (!g_atomic_pointer_compare_and_exchange (&core->spare_task, NULL, self))
    g_object_unref (self);
  g_object_unref (loop); /* and the core with it, maybe */
}

gboolean
evp_loop_task_is_valid (gpointer result,
                        gpointer source_object,
                        gpointer tag)
{
  return EVP_IS_LOOP_TASK (result)
         && ((EvpLoopTask *) result)->source_object == source_object
         && ((EvpLoopTask *) result)->tag == tag;
}

/* -1 with an error. */
gint64
evp_loop_task_propagate_int (EvpLoopTask *self,
                             GError     **error)
{
  if (self->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&self->error));
      self->integer = -1;
      return -1;
    }
  return self->integer;
}

/* NULL with an error; the caller owns the value. */
gpointer
evp_loop_task_propagate_pointer (EvpLoopTask *self,
                                 GError     **error)
{
  if (self->error != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&self->error));
      return NULL;
    }
  return g_steal_pointer (&self->pointer);
}
