/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/handle/evp-handle-pool-private.h"
#include "evp/os/evp-os-memory-private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* More than the largest slab, so that there are some of every size. */
#define MANY 3000

typedef struct
{
  EvpHandlePool pool; /* first: see destroy_cb() */
  guint n_destroyed;
} TestPool;

static void
destroy_cb (EvpHandlePool *pool)
{
  ((TestPool *) pool)->n_destroyed++;
}

static TestPool *
test_pool_new (void)
{
  TestPool *self = g_new0 (TestPool, 1);

  evp_handle_pool_init (&self->pool, destroy_cb);
  __atomic_store_n (&self->pool.owner, evp_handle_thread_token (), __ATOMIC_RELAXED);
  return self;
}

/* As the loop fills one in. */
static EvpHandle *
take (TestPool *self)
{
  EvpHandle *handle = evp_handle_pool_alloc (&self->pool);

  handle->kind = EVP_HANDLE_CALLBACK;
  handle->flags = EVP_HANDLE_DROPPED;
  return handle;
}

static int
compare_addresses (gconstpointer a,
                   gconstpointer b)
{
  const EvpHandle *one = *(EvpHandle *const *) a, *other = *(EvpHandle *const *) b;

  return one < other ? -1 : one > other;
}

static void
test_distinct (void)
{
  g_autofree EvpHandle **handles = g_new (EvpHandle *, MANY);
  g_autofree TestPool *pool = test_pool_new ();

  for (guint i = 0; i < MANY; i++)
    {
      handles[i] = take (pool);
      g_assert_true (handles[i]->pool == &pool->pool);
      g_assert_cmpint (handles[i]->ref_count, ==, 1);
      /* one cache line; with 32 bits it is less, and two of them share one */
      if (sizeof (EvpHandle) == 64)
        g_assert_cmpuint ((guintptr) handles[i] % 64, ==, 0);
      /* all of it is the handle's own, as the sanitizers see */
      memset (&handles[i]->callback, 0xa5, sizeof handles[i]->callback);
    }
  qsort (handles, MANY, sizeof *handles, compare_addresses);
  for (guint i = 1; i < MANY; i++)
    g_assert_true (handles[i] >= handles[i - 1] + 1);

  for (guint i = 0; i < MANY; i++)
    evp_handle_release (handles[i]);
  evp_handle_pool_orphan (&pool->pool);
  g_assert_cmpuint (pool->n_destroyed, ==, 1);
}

/* What came back is used before more memory is. */
static void
test_reused (void)
{
  g_autofree TestPool *pool = test_pool_new ();
  EvpHandle *handles[40];
  gsize n_handles;

  for (guint i = 0; i < G_N_ELEMENTS (handles); i++)
    handles[i] = take (pool);
  n_handles = pool->pool.n_handles;
  for (guint turn = 0; turn < 100; turn++)
    {
      for (guint i = 0; i < G_N_ELEMENTS (handles); i++)
        evp_handle_release (handles[i]);
      for (guint i = 0; i < G_N_ELEMENTS (handles); i++)
        handles[i] = take (pool);
    }
  g_assert_cmpuint (pool->pool.n_handles, ==, n_handles);

  for (guint i = 0; i < G_N_ELEMENTS (handles); i++)
    evp_handle_release (handles[i]);
  evp_handle_pool_orphan (&pool->pool);
  g_assert_cmpuint (pool->n_destroyed, ==, 1);
}

/* The pool goes with the last handle that is out, and not before, however far its newest slab was used. */
static void
test_orphan (void)
{
  static const guint counts[] = { 1, 2, 16, 17, 80, 81, 150, 336, 337, 400, 1360, 1361, 1500 };

  for (guint c = 0; c < G_N_ELEMENTS (counts); c++)
    {
      g_autofree EvpHandle **handles = g_new (EvpHandle *, counts[c]);
      g_autofree TestPool *pool = test_pool_new ();
      guint n_kept = 0;

      for (guint i = 0; i < counts[c]; i++)
        handles[i] = take (pool);
      /* every third one is kept, the last one among them */
      for (guint i = 0; i < counts[c]; i++)
        if ((counts[c] - 1 - i) % 3 == 0)
          handles[n_kept++] = handles[i];
        else
          evp_handle_release (handles[i]);

      evp_handle_pool_orphan (&pool->pool);
      for (guint i = 0; i < n_kept; i++)
        {
          g_assert_cmpuint (pool->n_destroyed, ==, 0);
          evp_handle_unref (handles[i]);
        }
      g_assert_cmpuint (pool->n_destroyed, ==, 1);
    }
}

static void
test_orphan_unused (void)
{
  g_autofree TestPool *pool = test_pool_new ();

  evp_handle_pool_orphan (&pool->pool);
  g_assert_cmpuint (pool->n_destroyed, ==, 1);
}

static gpointer
unref_all (gpointer data)
{
  EvpHandle **handles = data;

  for (guint i = 0; i < MANY; i++)
    evp_handle_unref (handles[i]);
  return NULL;
}

/* What another thread gave back is used before fresh memory is. */
static void
test_other_thread (void)
{
  g_autofree EvpHandle **handles = g_new (EvpHandle *, MANY);
  g_autofree TestPool *pool = test_pool_new ();
  gsize n_handles;

  for (guint i = 0; i < MANY; i++)
    handles[i] = take (pool);
  n_handles = pool->pool.n_handles;
  g_thread_join (g_thread_new ("unref", unref_all, handles));
  for (guint i = 0; i < MANY; i++)
    handles[i] = take (pool);
  g_assert_cmpuint (pool->pool.n_handles, ==, n_handles);

  evp_handle_pool_orphan (&pool->pool);
  g_assert_cmpuint (pool->n_destroyed, ==, 0);
  g_thread_join (g_thread_new ("unref", unref_all, handles));
  g_assert_cmpuint (pool->n_destroyed, ==, 1);
}

/* Asking for pages changes neither what is in them nor errno, wherever it begins and ends. */
static void
test_populate (void)
{
  gsize page = (gsize) sysconf (_SC_PAGESIZE);
  g_autofree guint8 *memory = g_malloc (8 * page);

  memset (memory, 0x5a, 8 * page);
  errno = ERANGE;
  for (gsize start = 0; start < 4 * page; start += page / 2 + 8)
    for (gsize size = 0; size < 4 * page; size += page / 2 + 24)
      evp_os_memory_populate (memory + start, size);
  g_assert_cmpint (errno, ==, ERANGE);
  for (gsize i = 0; i < 8 * page; i++)
    g_assert_cmphex (memory[i], ==, 0x5a);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/evp/handle/handle-pool/distinct", test_distinct);
  g_test_add_func ("/evp/handle/handle-pool/reused", test_reused);
  g_test_add_func ("/evp/handle/handle-pool/orphan", test_orphan);
  g_test_add_func ("/evp/handle/handle-pool/orphan-unused", test_orphan_unused);
  g_test_add_func ("/evp/handle/handle-pool/other-thread", test_other_thread);
  g_test_add_func ("/evp/handle/handle-pool/populate", test_populate);

  return g_test_run ();
}
