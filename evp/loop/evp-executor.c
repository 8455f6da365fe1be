/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config.h"

#include "evp/loop/evp-executor.h"

#include "evp/base/evp-error.h"
#include "evp/base/evp-i18n-private.h"
#include "evp/loop/evp-future-private.h"
#include "evp/loop/evp-loop-post-private.h"
#include "evp/os/evp-os-fork-private.h"
#include "evp/os/evp-os-thread-private.h"

/**
 * EvpExecutor:
 *
 * A pool of threads that work for event loops.
 *
 * It is for what has no asynchronous form: long computations, libraries that block. A loop has one of
 * its own, which [method@Evp.AbstractEventLoop.run_in_executor] makes when it is first needed; make another
 * to limit some kind of work to few threads, to share threads between loops, or to keep slow jobs from
 * standing in the way of quick ones.
 *
 * ```c
 * static void
 * count_cb (EvpFuture *future, gpointer user_data)
 * {
 *   g_auto (GValue) value = G_VALUE_INIT;
 *
 *   g_value_init (&value, G_TYPE_INT);
 *   g_value_set_int (&value, count_the_stars (user_data));
 *   evp_future_set_result (future, &value, NULL);
 * }
 *
 * g_autoptr (EvpExecutor) executor = evp_executor_new (2);
 * g_autoptr (EvpFuture) future = evp_executor_submit (executor, loop, count_cb, sky, NULL, &error);
 * ```
 *
 * Threads are started as jobs come, up to the limit, and stay until the executor is shut down or
 * finalized. Jobs begin in the order in which they were submitted. The threads have all signals
 * blocked.
 *
 * In asyncio this is `concurrent.futures.ThreadPoolExecutor`.
 *
 * May be used from any thread.
 *
 * Since: 1.0
 */

typedef struct
{
  EvpFuture *future;
  EvpExecutorFunc func;
  gpointer user_data;
  GDestroyNotify destroy;
} EvpExecutorJob;

/* What the workers share; they outlive an executor that nobody waits for. */
typedef struct
{
  gint ref_count; /* atomic */
  guint max_workers;
  guint fork_generation;

  GMutex lock; /* protects the fields below */
  GCond work;  /* there is a job, or the end */
  GCond ended; /* a worker has ended */
  GQueue jobs;
  GPtrArray *threads; /* those nobody has joined */
  guint n_workers;
  guint n_idle; /* waiting for a job; some may have been woken for one */
  guint n_started;
  guint n_shutting; /* whose jobs wait, or have waited, for the other workers */
  gboolean shut_down;
} EvpExecutorPool;

struct _EvpExecutor
{
  GObject parent_instance;

  int max_workers;       /* constant after construction */
  EvpExecutorPool *pool; /* constant after construction */
};

G_DEFINE_FINAL_TYPE (EvpExecutor, evp_executor, G_TYPE_OBJECT)

enum
{
  PROP_0,
  PROP_MAX_WORKERS,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

static __thread EvpExecutorPool *own_pool; /* of a worker */
static __thread gboolean shutting;         /* it is one of the pool's n_shutting */

static void
evp_executor_job_free (gpointer data)
{
  EvpExecutorJob *job = data;

  if (job->destroy != NULL)
    job->destroy (job->user_data);
  g_object_unref (job->future);
  g_free (job);
}

static void
evp_executor_job_run (EvpExecutorJob *job)
{
  /* cancelled before it began, perhaps */
  if (!evp_future_is_settled (job->future))
    {
      job->func (job->future, job->user_data);
      if (!evp_future_is_settled (job->future))
        evp_future_set_result (job->future, NULL, NULL);
    }
  /* both the future and the data belong to the thread of the loop */
  evp_loop_post_release (evp_future_get_loop (job->future), evp_executor_job_free, job);
}

static void
evp_executor_pool_unref (EvpExecutorPool *pool)
{
  if (!g_atomic_int_dec_and_test (&pool->ref_count))
    return;
  g_ptr_array_unref (pool->threads);
  g_queue_clear (&pool->jobs);
  g_cond_clear (&pool->work);
  g_cond_clear (&pool->ended);
  g_mutex_clear (&pool->lock);
  g_free (pool);
}

static gpointer
evp_executor_pool_worker (gpointer data)
{
  EvpExecutorPool *pool = data;

  own_pool = pool;
  g_mutex_lock (&pool->lock);
  for (;;)
    {
      EvpExecutorJob *job = g_queue_pop_head (&pool->jobs);

      if (job != NULL)
        {
          g_mutex_unlock (&pool->lock);
          evp_executor_job_run (job);
          g_mutex_lock (&pool->lock);
          continue;
        }
      if (pool->shut_down)
        break;
      pool->n_idle++;
      while (g_queue_is_empty (&pool->jobs) && !pool->shut_down)
        g_cond_wait (&pool->work, &pool->lock);
      pool->n_idle--;
    }
  pool->n_workers--;
  if (shutting)
    pool->n_shutting--;
  g_cond_broadcast (&pool->ended);
  g_mutex_unlock (&pool->lock);
  evp_executor_pool_unref (pool);
  return NULL;
}

/* With the lock. */
static gboolean
evp_executor_pool_start_worker (EvpExecutorPool *pool,
                                GError         **error)
{
  g_autofree char *name = g_strdup_printf ("evp-%u", pool->n_started);
  GThread *thread;

  g_atomic_int_inc (&pool->ref_count);
  thread = evp_os_thread_new (name, evp_executor_pool_worker, pool, error);
  if (thread == NULL)
    {
      g_atomic_int_add (&pool->ref_count, -1);
      return FALSE;
    }
  g_ptr_array_add (pool->threads, thread);
  pool->n_started++;
  pool->n_workers++;
  return TRUE;
}

static void
evp_executor_pool_shutdown (EvpExecutorPool *pool,
                            gboolean         wait)
{
  g_autoptr (GPtrArray) threads = NULL;
  gboolean working = own_pool == pool;

  if (pool->fork_generation != evp_os_fork_generation ())
    return; /* its threads stayed in the parent, and perhaps one of them held the lock */

  g_mutex_lock (&pool->lock);
  pool->shut_down = TRUE;
  g_cond_broadcast (&pool->work);
  if (wait)
    {
      /* jobs that wait here do not wait for each other */
      if (working && !shutting)
        {
          shutting = TRUE;
          pool->n_shutting++;
          g_cond_broadcast (&pool->ended);
        }
      while (pool->n_workers > (working ? pool->n_shutting : 0))
        g_cond_wait (&pool->ended, &pool->lock);
      threads = g_steal_pointer (&pool->threads);
      pool->threads = g_ptr_array_new_with_free_func ((GDestroyNotify) g_thread_unref);
    }
  g_mutex_unlock (&pool->lock);

  /* they are on their way out; joined so that nothing of them is left when this returns */
  while (threads != NULL && threads->len > 0)
    {
      GThread *thread = g_ptr_array_steal_index_fast (threads, threads->len - 1);

      if (thread == g_thread_self ())
        g_thread_unref (thread);
      else
        g_thread_join (thread);
    }
}

static void
evp_executor_constructed (GObject *object)
{
  EvpExecutor *self = EVP_EXECUTOR (object);

  G_OBJECT_CLASS (evp_executor_parent_class)->constructed (object);

  if (self->max_workers <= 0)
    self->max_workers = (int) MIN (32, g_get_num_processors () + 4);

  self->pool = g_new0 (EvpExecutorPool, 1);
  self->pool->ref_count = 1;
  self->pool->max_workers = (guint) self->max_workers;
  self->pool->fork_generation = evp_os_fork_generation ();
  self->pool->threads = g_ptr_array_new_with_free_func ((GDestroyNotify) g_thread_unref);
  g_mutex_init (&self->pool->lock);
  g_cond_init (&self->pool->work);
  g_cond_init (&self->pool->ended);
  g_queue_init (&self->pool->jobs);
}

static void
evp_executor_finalize (GObject *object)
{
  EvpExecutor *self = EVP_EXECUTOR (object);

  evp_executor_pool_shutdown (self->pool, FALSE);
  evp_executor_pool_unref (self->pool);

  G_OBJECT_CLASS (evp_executor_parent_class)->finalize (object);
}

static void
evp_executor_get_property (GObject    *object,
                           guint       property_id,
                           GValue     *value,
                           GParamSpec *pspec)
{
  EvpExecutor *self = EVP_EXECUTOR (object);

  switch (property_id)
    {
    case PROP_MAX_WORKERS:
      g_value_set_int (value, self->max_workers);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_executor_set_property (GObject      *object,
                           guint         property_id,
                           const GValue *value,
                           GParamSpec   *pspec)
{
  EvpExecutor *self = EVP_EXECUTOR (object);

  switch (property_id)
    {
    case PROP_MAX_WORKERS:
      self->max_workers = g_value_get_int (value);
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, property_id, pspec);
    }
}

static void
evp_executor_class_init (EvpExecutorClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = evp_executor_constructed;
  object_class->finalize = evp_executor_finalize;
  object_class->get_property = evp_executor_get_property;
  object_class->set_property = evp_executor_set_property;

  /**
   * EvpExecutor:max-workers:
   *
   * The largest number of threads.
   *
   * When the executor is made, 0 or less stands for four more than there are processors, and at most 32.
   *
   * Since: 1.0
   */
  properties[PROP_MAX_WORKERS] =
    g_param_spec_int ("max-workers", NULL, NULL, -1, G_MAXINT, -1,
                      G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
evp_executor_init (EvpExecutor *self)
{
}

/**
 * evp_executor_new:
 * @max_workers: largest number of threads; 0 or less: four more than there are processors, and at most 32
 *
 * Creates an executor.
 *
 * It starts no thread before there is a job.
 *
 * May be called from any thread. O(1).
 *
 * Returns: (transfer full): a new executor
 *
 * Since: 1.0
 */
EvpExecutor *
evp_executor_new (int max_workers)
{
  return g_object_new (EVP_TYPE_EXECUTOR, "max-workers", MAX (max_workers, -1), NULL);
}

/**
 * evp_executor_get_max_workers:
 * @self: executor
 *
 * Gets the largest number of threads.
 *
 * May be called from any thread. O(1).
 *
 * Returns: the number, at least 1
 *
 * Since: 1.0
 */
int
evp_executor_get_max_workers (EvpExecutor *self)
{
  g_return_val_if_fail (EVP_IS_EXECUTOR (self), 0);

  return self->max_workers;
}

/**
 * evp_executor_is_shut_down:
 * @self: executor
 *
 * Tells whether the executor takes no more jobs.
 *
 * May be called from any thread. O(1).
 *
 * Returns: whether it was shut down, or belongs to the process from before a `fork()`
 *
 * Since: 1.0
 */
gboolean
evp_executor_is_shut_down (EvpExecutor *self)
{
  gboolean shut_down;

  g_return_val_if_fail (EVP_IS_EXECUTOR (self), TRUE);

  if (self->pool->fork_generation != evp_os_fork_generation ())
    return TRUE; /* and perhaps somebody in the parent held the lock */

  g_mutex_lock (&self->pool->lock);
  shut_down = self->pool->shut_down;
  g_mutex_unlock (&self->pool->lock);
  return shut_down;
}

/**
 * evp_executor_submit:
 * @self: executor
 * @loop: the loop that wants the result
 * @func: (scope notified) (closure user_data) (destroy destroy): the work
 * @user_data: data for @func
 * @destroy: (nullable): releases @user_data, on the thread of @loop, after the work
 * @error: return location for an error
 *
 * Has a function run on a thread of the executor.
 *
 * The function completes the future that it is given; if it does not, the result is `NULL`. Cancelling
 * the future before the function runs skips it; later the function goes on, and what it gives the future
 * is dropped, as it is when the loop has been closed.
 *
 * Fails with %EVP_ERROR_INVALID_STATE if the executor was shut down, with %EVP_ERROR_LOOP_CLOSED, with
 * %EVP_ERROR_FORKED if the executor was made before a `fork()`, and with a %G_THREAD_ERROR if there can be
 * no thread. After a failure @destroy has been called.
 *
 * Use it from the thread of @loop. O(1), and the start of a thread if none is idle.
 *
 * Returns: (transfer full): a future of @loop, or %NULL with an error
 *
 * Since: 1.0
 */
EvpFuture *
evp_executor_submit (EvpExecutor          *self,
                     EvpAbstractEventLoop *loop,
                     EvpExecutorFunc       func,
                     gpointer              user_data,
                     GDestroyNotify        destroy,
                     GError              **error)
{
  g_autoptr (EvpFuture) future = NULL;
  EvpExecutorPool *pool;
  EvpExecutorJob *job;

  g_return_val_if_fail (EVP_IS_EXECUTOR (self), NULL);
  g_return_val_if_fail (EVP_IS_EVENT_LOOP (loop), NULL);
  g_return_val_if_fail (func != NULL, NULL);

  pool = self->pool;
  if (pool->fork_generation != evp_os_fork_generation ())
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_FORKED,
                           _("The executor's threads stayed in the parent process; make a new executor"));
      goto refused;
    }
  if (evp_event_loop_is_closed (loop))
    {
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_LOOP_CLOSED,
                           _("The event loop is closed; make a new one"));
      goto refused;
    }

  future = evp_event_loop_create_future (loop);
  job = g_new (EvpExecutorJob, 1);
  *job = (EvpExecutorJob) { g_object_ref (future), func, user_data, destroy };

  g_mutex_lock (&pool->lock);
  if (pool->shut_down)
    {
      g_mutex_unlock (&pool->lock);
      g_set_error_literal (error, EVP_ERROR, EVP_ERROR_INVALID_STATE,
                           _("The executor was shut down and takes no more jobs"));
      evp_executor_job_free (job);
      return NULL;
    }
  if (pool->n_idle <= g_queue_get_length (&pool->jobs) && pool->n_workers < pool->max_workers
      && !evp_executor_pool_start_worker (pool, pool->n_workers == 0 ? error : NULL)
      && pool->n_workers == 0)
    {
      g_mutex_unlock (&pool->lock);
      evp_executor_job_free (job);
      return NULL;
    }
  g_queue_push_tail (&pool->jobs, job);
  g_cond_signal (&pool->work);
  g_mutex_unlock (&pool->lock);
  return g_steal_pointer (&future);

refused:
  if (destroy != NULL)
    destroy (user_data);
  return NULL;
}

/**
 * evp_executor_shutdown:
 * @self: executor
 * @wait: whether to return only after all threads have ended
 *
 * Takes no more jobs.
 *
 * What was submitted before still runs. Shutting down twice does no harm. A job may shut down its own
 * executor; it waits for the other threads only, and not for jobs that do the same.
 *
 * Waiting blocks the calling thread, and a job that waits for that thread in turn never ends: in a loop use
 * [method@Evp.AbstractEventLoop.shutdown_default_executor_async], or do not wait.
 *
 * May be called from any thread. O(n) in the number of threads.
 *
 * Since: 1.0
 */
void
evp_executor_shutdown (EvpExecutor *self,
                       gboolean     wait)
{
  g_return_if_fail (EVP_IS_EXECUTOR (self));

  evp_executor_pool_shutdown (self->pool, wait);
}
