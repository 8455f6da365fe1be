/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include <gio/gio.h>
#include <string.h>

/*
 * Whether the thread sanitizer, with what evp-tsan-glib.c tells it of GLib, sees the races that there are
 * and no others. Each case is two threads that use one variable, the second after the first in time; what
 * tells the second is hidden from the sanitizer. A case is a race if nothing else orders them.
 */

#define UNSEEN __attribute__ ((no_sanitize ("thread"), noinline))

static struct
{
  int value; /* what they race for */
  GMutex mutex, other_mutex;
  GRecMutex rec_mutex;
  GRWLock rw_lock;
  GObject *object, *other_object;
  gpointer box;
  GBytes *bytes;
  GMainContext *context, *other_context;
  GAsyncQueue *queue, *other_queue;
  GThreadPool *pool;
  gsize once;
  int *memory;
} shared;

static int first_done;  /* atomic, unseen */
static int second_done; /* atomic, unseen */

UNSEEN static void
tell (int *flag)
{
  __atomic_store_n (flag, 1, __ATOMIC_SEQ_CST);
}

UNSEEN static void
await (int *flag)
{
  while (!__atomic_load_n (flag, __ATOMIC_SEQ_CST))
    g_thread_yield ();
}

static void
use (void)
{
  shared.value++;
}

static void
use_cb (gpointer data)
{
  use ();
}

static gboolean
use_source_cb (gpointer data)
{
  use ();
  return G_SOURCE_REMOVE;
}

static void
use_pool_cb (gpointer task,
             gpointer data)
{
  use ();
  tell (&second_done);
}

/* --- races --- */

static void
lock_mutex (void)
{
  g_mutex_lock (&shared.mutex);
  use ();
  g_mutex_unlock (&shared.mutex);
}

static void
lock_other_mutex (void)
{
  g_mutex_lock (&shared.other_mutex);
  use ();
  g_mutex_unlock (&shared.other_mutex);
}

static void
use_after_unlock (void)
{
  g_mutex_lock (&shared.mutex);
  g_mutex_unlock (&shared.mutex);
  use ();
}

static void
read_lock (void)
{
  g_rw_lock_reader_lock (&shared.rw_lock);
  use ();
  g_rw_lock_reader_unlock (&shared.rw_lock);
}

static void
unref_then_use (void)
{
  g_object_unref (shared.object);
  use ();
}

static void
use_then_unref (void)
{
  use ();
  g_object_unref (shared.object);
}

static void
unref_other_object (void)
{
  g_object_unref (shared.other_object);
  use ();
}

/* not freed again: that takes a lock that all objects have in common, and so does order the two */
static void
use_then_make_object (void)
{
  use ();
  shared.other_object = g_object_new (G_TYPE_OBJECT, NULL);
}

static void
make_object_then_use (void)
{
  shared.object = g_object_new (G_TYPE_OBJECT, NULL);
  use ();
}

static void
attach (void)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  use ();
  g_source_set_callback (source, use_source_cb, NULL, NULL);
  g_source_attach (source, shared.context);
}

static void
turn (void)
{
  g_main_context_iteration (shared.context, FALSE);
}

static void
turn_other (void)
{
  g_main_context_iteration (shared.other_context, FALSE);
  use ();
}

static void
push (void)
{
  use ();
  g_async_queue_push (shared.queue, &shared);
}

static void
push_then_use (void)
{
  g_async_queue_push (shared.queue, &shared);
  use ();
}

static void
pop (void)
{
  g_assert_true (g_async_queue_pop (shared.queue) == &shared);
  use ();
}

static void
pop_other (void)
{
  g_assert_null (g_async_queue_try_pop (shared.other_queue));
  use ();
}

static void
use_memory (void)
{
  shared.memory[3]++;
}

static void
free_memory (void)
{
  g_free (shared.memory);
}

/* --- what is in order --- */

static void
lock_rec_mutex (void)
{
  g_rec_mutex_lock (&shared.rec_mutex);
  g_rec_mutex_lock (&shared.rec_mutex);
  use ();
  g_rec_mutex_unlock (&shared.rec_mutex);
  g_rec_mutex_unlock (&shared.rec_mutex);
}

static void
write_lock (void)
{
  g_rw_lock_writer_lock (&shared.rw_lock);
  use ();
  g_rw_lock_writer_unlock (&shared.rw_lock);
}

static void
release_box (void)
{
  g_atomic_rc_box_release_full (shared.box, use_cb);
}

static void
use_then_release_box (void)
{
  use ();
  release_box ();
}

static void
unref_object (void)
{
  g_object_unref (shared.object); /* the last: its data calls use() */
}

static void
unref_bytes (void)
{
  g_bytes_unref (shared.bytes);
}

static void
use_then_unref_bytes (void)
{
  use ();
  unref_bytes ();
}

static void
push_pool (void)
{
  use ();
  g_thread_pool_push (shared.pool, &shared, NULL);
}

static void
await_pool (void)
{
  await (&second_done);
}

static void
once (void)
{
  if (g_once_init_enter (&shared.once))
    {
      use ();
      g_once_init_leave (&shared.once, 1);
    }
}

static void
once_then_use (void)
{
  once ();
  use ();
}

typedef struct
{
  const char *name;
  void (*first) (void);
  void (*second) (void);
  gboolean races;
} Case;

static const Case cases[] = {
  { "nothing", use, use, TRUE },
  { "two-mutexes", lock_mutex, lock_other_mutex, TRUE },
  { "one-without-mutex", lock_mutex, use, TRUE },
  { "after-unlock", use_after_unlock, use_after_unlock, TRUE },
  { "two-readers-that-write", read_lock, read_lock, TRUE },
  { "after-unref", unref_then_use, unref_object, TRUE },
  { "two-objects", use_then_unref, unref_other_object, TRUE },
  { "new-objects", use_then_make_object, make_object_then_use, TRUE },
  { "two-contexts", attach, turn_other, TRUE },
  { "two-queues", push, pop_other, TRUE },
  { "after-push", push_then_use, pop, TRUE },
  { "free", use_memory, free_memory, TRUE },

  { "mutex", lock_mutex, lock_mutex, FALSE },
  { "rec-mutex", lock_rec_mutex, lock_rec_mutex, FALSE },
  { "rw-lock", write_lock, read_lock, FALSE },
  { "rw-lock-back", read_lock, write_lock, FALSE },
  { "rc-box", use_then_release_box, release_box, FALSE },
  { "object", use_then_unref, unref_object, FALSE },
  { "bytes", use_then_unref_bytes, unref_bytes, FALSE },
  { "context", attach, turn, FALSE },
  { "queue", push, pop, FALSE },
  { "pool", push_pool, await_pool, FALSE },
  { "once", once, once_then_use, FALSE },
};

static gpointer
first_thread (gpointer data)
{
  const Case *self = data;

  self->first ();
  tell (&first_done);
  return NULL;
}

static gpointer
second_thread (gpointer data)
{
  const Case *self = data;

  await (&first_done);
  self->second ();
  return NULL;
}

static void
run_threads (const Case *self)
{
  GThread *threads[2];

  shared.object = g_object_new (G_TYPE_OBJECT, NULL);
  g_object_set_data_full (g_object_ref (shared.object), "use", &shared, use_cb);
  shared.other_object = g_object_ref (g_object_new (G_TYPE_OBJECT, NULL));
  shared.box = g_atomic_rc_box_acquire (g_atomic_rc_box_alloc (8));
  shared.bytes = g_bytes_ref (g_bytes_new_with_free_func (&shared, 1, use_cb, NULL));
  shared.context = g_main_context_new ();
  shared.other_context = g_main_context_new ();
  shared.queue = g_async_queue_new ();
  shared.other_queue = g_async_queue_new ();
  shared.pool = g_thread_pool_new (use_pool_cb, NULL, 1, FALSE, NULL);
  shared.memory = g_new0 (int, 16);

  threads[0] = g_thread_new ("first", first_thread, (gpointer) self);
  threads[1] = g_thread_new ("second", second_thread, (gpointer) self);
  g_thread_join (threads[0]);
  g_thread_join (threads[1]);
}

/* A report ends the program with a status of its own. */
static void
test_case (gconstpointer data)
{
  const Case *self = data;

  if (g_test_subprocess ())
    {
      run_threads (self);
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  if (self->races)
    {
      g_test_trap_assert_failed ();
      g_test_trap_assert_stderr ("*ThreadSanitizer: data race*");
    }
  else
    g_test_trap_assert_passed ();
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/evp/tsan/races/", cases[i].name, NULL);

      g_test_add_data_func (path, &cases[i], test_case);
    }
  return g_test_run ();
}
