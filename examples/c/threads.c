/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: work on a worker thread, a loop per thread, and calls from one into the loop of another. */

#include <evp/evp.h>

#define N_THREADS 2

typedef struct
{
  EvpAbstractEventLoop *outer; /* of the main thread */
  EvpFuture *finished;
  int number;
} Job;

/* runs on a worker thread */
static void
compute_digest (EvpFuture *future,
                gpointer   user_data)
{
  const char *text = user_data;
  g_auto (GValue) value = G_VALUE_INIT;

  g_value_init (&value, G_TYPE_STRING);
  g_value_take_string (&value, g_compute_checksum_for_string (G_CHECKSUM_MD5, text, -1));
  evp_future_set_result (future, &value, NULL); /* takes effect on the thread of the loop */
}

/* runs on the main thread again */
static void
finish (gpointer user_data)
{
  Job *job = user_data;

  g_print ("the loop of thread %d has run\n", job->number);
  evp_future_set_result (job->finished, NULL, NULL);
}

static void
stop (gpointer user_data)
{
  evp_event_loop_stop (user_data);
}

/* a thread with a loop of its own */
static gpointer
run_loop (gpointer user_data)
{
  Job *job = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_new_event_loop (&error);

  if (loop == NULL
      || !evp_set_event_loop (loop, &error)
      || evp_event_loop_call_later (loop, 0.05, stop, loop, NULL, &error) == NULL
      || !evp_event_loop_run_forever (loop, &error)
      || !evp_event_loop_close (loop, &error)
      || !evp_set_event_loop (NULL, &error))
    g_printerr ("%s\n", error->message);
  g_clear_error (&error);

  if (!evp_event_loop_call_soon_threadsafe (job->outer, finish, job, NULL, &error))
    g_printerr ("%s\n", error->message);
  return NULL;
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_event_loop (&error);
  g_autoptr (EvpFuture) digest = NULL;
  GThread *threads[N_THREADS];
  Job jobs[N_THREADS];

  if (loop == NULL)
    goto out;
  digest = evp_event_loop_run_in_executor (loop, compute_digest, g_strdup ("text"), g_free, &error);
  if (digest == NULL || !evp_event_loop_run_until_complete (loop, digest, &error))
    goto out;
  g_print ("MD5 of \"text\": %s\n", g_value_get_string (evp_future_get_result (digest, NULL)));

  for (int i = 0; i < N_THREADS; i++)
    {
      jobs[i] = (Job) { loop, evp_event_loop_create_future (loop), i + 1 };
      threads[i] = g_thread_new ("loop", run_loop, &jobs[i]);
    }
  for (int i = 0; i < N_THREADS; i++)
    {
      if (error == NULL)
        evp_event_loop_run_until_complete (loop, jobs[i].finished, &error);
      g_thread_join (threads[i]);
      g_object_unref (jobs[i].finished);
    }
  if (error == NULL)
    evp_event_loop_close (loop, &error);

out:
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
