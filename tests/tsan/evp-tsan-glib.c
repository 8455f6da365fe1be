/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the thread sanitizer has to know of GLib.
 *
 * It finds races by knowing what happens before what, and it learns that from instrumented atomics and
 * from the functions of libc that it replaces. The distribution's GLib is neither: its mutexes are futexes
 * of its own, its reference counts are atomics that nobody saw. Without this file each GMutex protects
 * nothing, and every second object is freed "while another thread uses it".
 *
 * The functions below are linked into each test program, and so come before GLib's own, for our library,
 * our tests, libgobject and libgio alike. Each says what it orders, and calls GLib's function of that name;
 * reference counts are counted here, so that the last one knows all others to be done. Calls within one
 * library of GLib stay there; nothing of what they order is used by us but through a function below.
 *
 * As little is ordered as GLib orders. An edge too many would hide a race: tests/tsan/test-races.c races
 * beside most of these functions, and the sanitizer must see it.
 */

#include <dlfcn.h>
#include <gio/gio.h>
#include <sanitizer/tsan_interface.h>

#undef g_once_init_enter
#undef g_once_init_leave
#undef g_object_ref
#undef g_mutex_lock
#undef g_atomic_rc_box_acquire
#undef g_atomic_rc_box_dup
#undef g_atomic_ref_count_init
#undef g_atomic_ref_count_inc
#undef g_atomic_ref_count_dec
#undef g_atomic_ref_count_compare

#define EXPORT __attribute__ ((visibility ("default")))
#define UNSEEN __attribute__ ((no_sanitize ("thread")))

/* GLib's own function of that name. */
#define REAL(name)                                                              \
  ({                                                                            \
    static void *evp_real_##name;                                               \
    (__typeof__ (&(name))) real_function (&evp_real_##name, #name);             \
  })

UNSEEN static void *
real_function (void      **function,
               const char *name)
{
  void *found = __atomic_load_n (function, __ATOMIC_RELAXED);

  if (found == NULL)
    {
      found = dlsym (RTLD_NEXT, name);
      if (found == NULL)
        __builtin_trap ();
      __atomic_store_n (function, found, __ATOMIC_RELAXED);
    }
  return found;
}

#define ACQUIRE(address) __tsan_acquire ((void *) (address))
#define RELEASE(address) __tsan_release ((void *) (address))

/* --- locks --- */

EXPORT void
g_mutex_init (GMutex *mutex)
{
  REAL (g_mutex_init) (mutex);
  __tsan_mutex_create (mutex, __tsan_mutex_not_static);
}

EXPORT void
g_mutex_clear (GMutex *mutex)
{
  __tsan_mutex_destroy (mutex, 0);
  REAL (g_mutex_clear) (mutex);
}

EXPORT void
g_mutex_lock (GMutex *mutex)
{
  __tsan_mutex_pre_lock (mutex, 0);
  REAL (g_mutex_lock) (mutex);
  __tsan_mutex_post_lock (mutex, 0, 0);
}

EXPORT gboolean
g_mutex_trylock (GMutex *mutex)
{
  gboolean locked;

  __tsan_mutex_pre_lock (mutex, __tsan_mutex_try_lock);
  locked = REAL (g_mutex_trylock) (mutex);
  __tsan_mutex_post_lock (mutex, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
  return locked;
}

EXPORT void
g_mutex_unlock (GMutex *mutex)
{
  __tsan_mutex_pre_unlock (mutex, 0);
  REAL (g_mutex_unlock) (mutex);
  __tsan_mutex_post_unlock (mutex, 0);
}

EXPORT void
g_rec_mutex_clear (GRecMutex *mutex)
{
  __tsan_mutex_destroy (mutex, 0);
  REAL (g_rec_mutex_clear) (mutex);
}

EXPORT void
g_rec_mutex_lock (GRecMutex *mutex)
{
  __tsan_mutex_pre_lock (mutex, __tsan_mutex_write_reentrant);
  REAL (g_rec_mutex_lock) (mutex);
  __tsan_mutex_post_lock (mutex, __tsan_mutex_write_reentrant, 0);
}

EXPORT gboolean
g_rec_mutex_trylock (GRecMutex *mutex)
{
  unsigned int flags = __tsan_mutex_write_reentrant | __tsan_mutex_try_lock;
  gboolean locked;

  __tsan_mutex_pre_lock (mutex, flags);
  locked = REAL (g_rec_mutex_trylock) (mutex);
  __tsan_mutex_post_lock (mutex, flags | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
  return locked;
}

EXPORT void
g_rec_mutex_unlock (GRecMutex *mutex)
{
  __tsan_mutex_pre_unlock (mutex, 0);
  REAL (g_rec_mutex_unlock) (mutex);
  __tsan_mutex_post_unlock (mutex, 0);
}

EXPORT void
g_rw_lock_clear (GRWLock *lock)
{
  __tsan_mutex_destroy (lock, 0);
  REAL (g_rw_lock_clear) (lock);
}

EXPORT void
g_rw_lock_writer_lock (GRWLock *lock)
{
  __tsan_mutex_pre_lock (lock, 0);
  REAL (g_rw_lock_writer_lock) (lock);
  __tsan_mutex_post_lock (lock, 0, 0);
}

EXPORT gboolean
g_rw_lock_writer_trylock (GRWLock *lock)
{
  gboolean locked;

  __tsan_mutex_pre_lock (lock, __tsan_mutex_try_lock);
  locked = REAL (g_rw_lock_writer_trylock) (lock);
  __tsan_mutex_post_lock (lock, __tsan_mutex_try_lock | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
  return locked;
}

EXPORT void
g_rw_lock_writer_unlock (GRWLock *lock)
{
  __tsan_mutex_pre_unlock (lock, 0);
  REAL (g_rw_lock_writer_unlock) (lock);
  __tsan_mutex_post_unlock (lock, 0);
}

EXPORT void
g_rw_lock_reader_lock (GRWLock *lock)
{
  __tsan_mutex_pre_lock (lock, __tsan_mutex_read_lock);
  REAL (g_rw_lock_reader_lock) (lock);
  __tsan_mutex_post_lock (lock, __tsan_mutex_read_lock, 0);
}

EXPORT gboolean
g_rw_lock_reader_trylock (GRWLock *lock)
{
  unsigned int flags = __tsan_mutex_read_lock | __tsan_mutex_try_lock;
  gboolean locked;

  __tsan_mutex_pre_lock (lock, flags);
  locked = REAL (g_rw_lock_reader_trylock) (lock);
  __tsan_mutex_post_lock (lock, flags | (locked ? 0 : __tsan_mutex_try_lock_failed), 0);
  return locked;
}

EXPORT void
g_rw_lock_reader_unlock (GRWLock *lock)
{
  __tsan_mutex_pre_unlock (lock, __tsan_mutex_read_lock);
  REAL (g_rw_lock_reader_unlock) (lock);
  __tsan_mutex_post_unlock (lock, __tsan_mutex_read_lock);
}

/* A condition orders nothing; the mutex that is let go of while waiting does. */
EXPORT void
g_cond_wait (GCond  *cond,
             GMutex *mutex)
{
  __tsan_mutex_pre_unlock (mutex, 0);
  __tsan_mutex_post_unlock (mutex, 0);
  REAL (g_cond_wait) (cond, mutex);
  __tsan_mutex_pre_lock (mutex, 0);
  __tsan_mutex_post_lock (mutex, 0, 0);
}

EXPORT gboolean
g_cond_wait_until (GCond  *cond,
                   GMutex *mutex,
                   gint64  end_time)
{
  gboolean signalled;

  __tsan_mutex_pre_unlock (mutex, 0);
  __tsan_mutex_post_unlock (mutex, 0);
  signalled = REAL (g_cond_wait_until) (cond, mutex, end_time);
  __tsan_mutex_pre_lock (mutex, 0);
  __tsan_mutex_post_lock (mutex, 0, 0);
  return signalled;
}

/* --- what is done once --- */

EXPORT gboolean
(g_once_init_enter) (volatile void *location)
{
  gboolean first = REAL (g_once_init_enter) (location);

  if (!first)
    ACQUIRE (location);
  return first;
}

EXPORT void
(g_once_init_leave) (volatile void *location,
                     gsize          result)
{
  RELEASE (location);
  REAL (g_once_init_leave) (location, result);
}

/* --- reference counts, counted with atomics that the sanitizer sees --- */

EXPORT void
(g_atomic_ref_count_init) (gatomicrefcount *count)
{
  __atomic_store_n (count, 1, __ATOMIC_SEQ_CST);
}

EXPORT void
(g_atomic_ref_count_inc) (gatomicrefcount *count)
{
  __atomic_fetch_add (count, 1, __ATOMIC_SEQ_CST);
}

EXPORT gboolean
(g_atomic_ref_count_dec) (gatomicrefcount *count)
{
  return __atomic_fetch_sub (count, 1, __ATOMIC_SEQ_CST) == 1;
}

EXPORT gboolean
(g_atomic_ref_count_compare) (gatomicrefcount *count,
                              gint             value)
{
  return __atomic_load_n (count, __ATOMIC_SEQ_CST) == value;
}

/* All of the family, since they share a header that is none of GLib's here. */
typedef struct
{
  gatomicrefcount count;
  gsize size;
} __attribute__ ((aligned (16))) RcBox;

#define RC_BOX(mem) ((RcBox *) (mem) - 1)

EXPORT gpointer
g_atomic_rc_box_alloc (gsize size)
{
  RcBox *box = g_malloc (sizeof *box + size);

  (g_atomic_ref_count_init) (&box->count);
  box->size = size;
  return box + 1;
}

EXPORT gpointer
g_atomic_rc_box_alloc0 (gsize size)
{
  return memset (g_atomic_rc_box_alloc (size), 0, size);
}

EXPORT gpointer
g_atomic_rc_box_dup (gsize         size,
                     gconstpointer mem)
{
  return memcpy (g_atomic_rc_box_alloc (size), mem, size);
}

EXPORT gpointer
(g_atomic_rc_box_acquire) (gpointer mem)
{
  (g_atomic_ref_count_inc) (&RC_BOX (mem)->count);
  return mem;
}

EXPORT void
g_atomic_rc_box_release_full (gpointer       mem,
                              GDestroyNotify clear)
{
  if ((g_atomic_ref_count_dec) (&RC_BOX (mem)->count))
    {
      if (clear != NULL)
        clear (mem);
      g_free (RC_BOX (mem));
    }
}

EXPORT void
g_atomic_rc_box_release (gpointer mem)
{
  g_atomic_rc_box_release_full (mem, NULL);
}

EXPORT gsize
g_atomic_rc_box_get_size (gpointer mem)
{
  return RC_BOX (mem)->size;
}

/*
 * All references but the last are dropped here, so that whoever drops the last has seen what the others
 * did; disposal is GLib's. A toggle reference wants to know of the last but one: left to GLib.
 */
EXPORT void
g_object_unref (gpointer data)
{
  GObject *object = data;

  if (!G_IS_OBJECT (object))
    {
      REAL (g_object_unref) (data);
      return;
    }
  if (!(g_datalist_get_flags (&object->qdata) & 1))
    {
      guint *count = (guint *) &object->ref_count;
      guint before = __atomic_load_n (count, __ATOMIC_SEQ_CST);

      while (before > 1)
        if (__atomic_compare_exchange_n (count, &before, before - 1, FALSE, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
          return;
    }
  ACQUIRE (&object->ref_count);
  RELEASE (&object->ref_count);
  REAL (g_object_unref) (object);
}

EXPORT void
g_bytes_unref (GBytes *bytes)
{
  if (bytes != NULL)
    {
      RELEASE (bytes);
      ACQUIRE (bytes);
    }
  REAL (g_bytes_unref) (bytes);
}

EXPORT void
g_source_unref (GSource *source)
{
  RELEASE (source);
  ACQUIRE (source);
  REAL (g_source_unref) (source);
}

EXPORT void
g_main_context_unref (GMainContext *context)
{
  RELEASE (context);
  ACQUIRE (context);
  REAL (g_main_context_unref) (context);
}

/*
 * Freeing memory is a use of it. What GLib frees itself is not looked at (see suppressions.txt), what we
 * free is.
 */
EXPORT void
g_free (gpointer memory)
{
  free (memory);
}

/* --- classes: what their initialisation wrote is there for everyone who makes an object --- */

static char classes_clock;

typedef struct
{
  GClassInitFunc init;
  gconstpointer data;
} ClassInit;

static void
class_init_cb (gpointer klass,
               gpointer data)
{
  ClassInit *self = data;

  self->init (klass, (gpointer) self->data);
  RELEASE (&classes_clock);
}

typedef struct
{
  GInterfaceInitFunc init;
  gpointer data;
} InterfaceInit;

static void
interface_init_cb (gpointer iface,
                   gpointer data)
{
  InterfaceInit *self = data;

  self->init (iface, self->data);
  RELEASE (&classes_clock);
}

/* for the life of the process, as types are */
static gpointer
keep (gconstpointer data,
      gsize         size)
{
  static void *kept[4096];
  static int n_kept;
  gpointer copy = g_memdup2 (data, size);

  /* a leak checker finds it */
  kept[__atomic_fetch_add (&n_kept, 1, __ATOMIC_RELAXED) % G_N_ELEMENTS (kept)] = copy;
  return copy;
}

EXPORT GType
g_type_register_static (GType            parent,
                        const gchar     *name,
                        const GTypeInfo *info,
                        GTypeFlags       flags)
{
  GTypeInfo wrapped = *info;

  if (info->class_init != NULL)
    {
      ClassInit data = { info->class_init, info->class_data };

      wrapped.class_init = class_init_cb;
      wrapped.class_data = keep (&data, sizeof data);
    }
  return REAL (g_type_register_static) (parent, name, &wrapped, flags);
}

EXPORT GType
g_type_register_static_simple (GType             parent,
                               const gchar      *name,
                               guint             class_size,
                               GClassInitFunc    class_init,
                               guint             instance_size,
                               GInstanceInitFunc instance_init,
                               GTypeFlags        flags)
{
  GTypeInfo info = {
    .class_size = (guint16) class_size,
    .class_init = class_init,
    .instance_size = (guint16) instance_size,
    .instance_init = instance_init,
  };

  return g_type_register_static (parent, name, &info, flags);
}

EXPORT void
g_type_add_interface_static (GType                 type,
                             GType                 interface_type,
                             const GInterfaceInfo *info)
{
  GInterfaceInfo wrapped = *info;

  if (info->interface_init != NULL)
    {
      InterfaceInit data = { info->interface_init, info->interface_data };

      wrapped.interface_init = interface_init_cb;
      wrapped.interface_data = keep (&data, sizeof data);
    }
  REAL (g_type_add_interface_static) (type, interface_type, &wrapped);
}

EXPORT gpointer
g_type_class_ref (GType type)
{
  gpointer klass = REAL (g_type_class_ref) (type);

  ACQUIRE (&classes_clock);
  return klass;
}

EXPORT GObject *
g_object_new_with_properties (GType         type,
                              guint         n_properties,
                              const gchar  *names[],
                              const GValue  values[])
{
  g_type_class_unref (g_type_class_ref (type));
  return REAL (g_object_new_with_properties) (type, n_properties, names, values);
}

EXPORT GObject *
g_object_new_valist (GType        type,
                     const gchar *first,
                     va_list      arguments)
{
  g_type_class_unref (g_type_class_ref (type));
  return REAL (g_object_new_valist) (type, first, arguments);
}

EXPORT gpointer
g_object_new (GType        type,
              const gchar *first,
              ...)
{
  GObject *object;
  va_list arguments;

  if (first == NULL)
    return g_object_new_with_properties (type, 0, NULL, NULL);
  va_start (arguments, first);
  object = g_object_new_valist (type, first, arguments);
  va_end (arguments);
  return object;
}

/* --- main contexts --- */

/*
 * Whoever attaches a source, or asks a loop to quit, is followed by the next turn of that context. A thread
 * that is woken up for it learns so from the eventfd already; this is for one that was not asleep.
 */
static __thread GMainContext *turning; /* the context of the innermost turn of this thread */

static gint
poll_cb (GPollFD *fds,
         guint    n_fds,
         gint     timeout)
{
  gint n = g_poll (fds, n_fds, timeout);

  if (turning != NULL)
    ACQUIRE (turning);
  return n;
}

static GMainContext *
enter_context (GMainContext *context)
{
  GMainContext *before = turning;

  if (context == NULL)
    context = g_main_context_default ();
  /* one who has set a function of his own orders with what he uses himself */
  if (g_main_context_get_poll_func (context) == g_poll)
    g_main_context_set_poll_func (context, poll_cb);
  turning = context;
  ACQUIRE (context);
  return before;
}

static void
leave_context (GMainContext *before)
{
  RELEASE (turning);
  turning = before;
}

EXPORT gboolean
g_main_context_iteration (GMainContext *context,
                          gboolean      may_block)
{
  GMainContext *before = enter_context (context);
  gboolean dispatched = REAL (g_main_context_iteration) (context, may_block);

  leave_context (before);
  return dispatched;
}

EXPORT gboolean
g_main_context_pending (GMainContext *context)
{
  GMainContext *before = enter_context (context);
  gboolean pending = REAL (g_main_context_pending) (context);

  leave_context (before);
  return pending;
}

EXPORT void
g_main_loop_run (GMainLoop *loop)
{
  GMainContext *before = enter_context (g_main_loop_get_context (loop));

  REAL (g_main_loop_run) (loop);
  ACQUIRE (loop);
  leave_context (before);
}

EXPORT void
g_main_loop_quit (GMainLoop *loop)
{
  RELEASE (loop);
  RELEASE (g_main_loop_get_context (loop));
  REAL (g_main_loop_quit) (loop);
}

EXPORT gboolean
g_main_loop_is_running (GMainLoop *loop)
{
  gboolean running = REAL (g_main_loop_is_running) (loop);

  ACQUIRE (loop);
  return running;
}

EXPORT gboolean
g_main_context_acquire (GMainContext *context)
{
  gboolean acquired = REAL (g_main_context_acquire) (context);

  if (acquired)
    ACQUIRE (context != NULL ? context : g_main_context_default ());
  return acquired;
}

EXPORT void
g_main_context_release (GMainContext *context)
{
  RELEASE (context != NULL ? context : g_main_context_default ());
  REAL (g_main_context_release) (context);
}

EXPORT void
g_main_context_push_thread_default (GMainContext *context)
{
  REAL (g_main_context_push_thread_default) (context);
  ACQUIRE (context != NULL ? context : g_main_context_default ());
}

EXPORT void
g_main_context_pop_thread_default (GMainContext *context)
{
  RELEASE (context != NULL ? context : g_main_context_default ());
  REAL (g_main_context_pop_thread_default) (context);
}

/* those who turn a context by hand */
EXPORT gboolean
g_main_context_prepare (GMainContext *context,
                        gint         *priority)
{
  ACQUIRE (context);
  return REAL (g_main_context_prepare) (context, priority);
}

EXPORT gboolean
g_main_context_check (GMainContext *context,
                      gint          max_priority,
                      GPollFD      *fds,
                      gint          n_fds)
{
  ACQUIRE (context);
  return REAL (g_main_context_check) (context, max_priority, fds, n_fds);
}

EXPORT void
g_main_context_wakeup (GMainContext *context)
{
  RELEASE (context != NULL ? context : g_main_context_default ());
  REAL (g_main_context_wakeup) (context);
}

EXPORT guint
g_source_attach (GSource      *source,
                 GMainContext *context)
{
  RELEASE (context != NULL ? context : g_main_context_default ());
  return REAL (g_source_attach) (source, context);
}

EXPORT void
g_source_destroy (GSource *source)
{
  GMainContext *context = g_source_is_destroyed (source) ? NULL : g_source_get_context (source);

  if (context != NULL)
    {
      RELEASE (context);
      ACQUIRE (context);
    }
  REAL (g_source_destroy) (source);
}

EXPORT void
g_source_set_ready_time (GSource *source,
                         gint64   ready_time)
{
  GMainContext *context = g_source_is_destroyed (source) ? NULL : g_source_get_context (source);

  if (context != NULL)
    RELEASE (context);
  REAL (g_source_set_ready_time) (source, ready_time);
}

EXPORT guint
g_idle_add_full (gint           priority,
                 GSourceFunc    function,
                 gpointer       data,
                 GDestroyNotify notify)
{
  RELEASE (g_main_context_default ());
  return REAL (g_idle_add_full) (priority, function, data, notify);
}

EXPORT guint
g_timeout_add_full (gint           priority,
                    guint          interval,
                    GSourceFunc    function,
                    gpointer       data,
                    GDestroyNotify notify)
{
  RELEASE (g_main_context_default ());
  return REAL (g_timeout_add_full) (priority, interval, function, data, notify);
}

EXPORT void
g_main_context_invoke_full (GMainContext  *context,
                            gint           priority,
                            GSourceFunc    function,
                            gpointer       data,
                            GDestroyNotify notify)
{
  RELEASE (context != NULL ? context : g_main_context_default ());
  ACQUIRE (context != NULL ? context : g_main_context_default ());
  REAL (g_main_context_invoke_full) (context, priority, function, data, notify);
}

EXPORT void
g_main_context_invoke (GMainContext *context,
                       GSourceFunc   function,
                       gpointer      data)
{
  g_main_context_invoke_full (context, G_PRIORITY_DEFAULT, function, data, NULL);
}

/* --- queues and pools --- */

EXPORT void
g_async_queue_push (GAsyncQueue *queue,
                    gpointer     data)
{
  RELEASE (queue);
  REAL (g_async_queue_push) (queue, data);
}

EXPORT gpointer
g_async_queue_pop (GAsyncQueue *queue)
{
  gpointer data = REAL (g_async_queue_pop) (queue);

  ACQUIRE (queue);
  return data;
}

EXPORT gpointer
g_async_queue_try_pop (GAsyncQueue *queue)
{
  gpointer data = REAL (g_async_queue_try_pop) (queue);

  ACQUIRE (queue);
  return data;
}

EXPORT gpointer
g_async_queue_timeout_pop (GAsyncQueue *queue,
                           guint64      timeout)
{
  gpointer data = REAL (g_async_queue_timeout_pop) (queue, timeout);

  ACQUIRE (queue);
  return data;
}

typedef struct
{
  GFunc function;
  gpointer data;
} PoolWork;

static void
pool_work_cb (gpointer task,
              gpointer data)
{
  PoolWork *self = data;

  ACQUIRE (self);
  self->function (task, self->data);
}

EXPORT GThreadPool *
g_thread_pool_new_full (GFunc          function,
                        gpointer       data,
                        GDestroyNotify item_free,
                        gint           max_threads,
                        gboolean       exclusive,
                        GError       **error)
{
  PoolWork work = { function, data };

  return REAL (g_thread_pool_new_full) (pool_work_cb, keep (&work, sizeof work), item_free, max_threads, exclusive,
                                        error);
}

EXPORT GThreadPool *
g_thread_pool_new (GFunc     function,
                   gpointer  data,
                   gint      max_threads,
                   gboolean  exclusive,
                   GError  **error)
{
  return g_thread_pool_new_full (function, data, NULL, max_threads, exclusive, error);
}

EXPORT gboolean
g_thread_pool_push (GThreadPool *pool,
                    gpointer     task,
                    GError     **error)
{
  RELEASE (pool->user_data);
  return REAL (g_thread_pool_push) (pool, task, error);
}
