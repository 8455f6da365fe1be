/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: work on a worker thread, and calls from one into the loop. */

#include <evp/evp.h>

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpFuture *finished;
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

/* runs on the thread of the loop again */
static void
finish (gpointer user_data)
{
  Job *job = user_data;

  g_print ("the thread is done\n");
  evp_future_set_result (job->finished, NULL, NULL);
}

static gpointer
work (gpointer user_data)
{
  Job *job = user_data;
  g_autoptr (GError) error = NULL;

  if (!evp_event_loop_call_soon_threadsafe (job->loop, finish, job, NULL, &error))
    g_printerr ("%s\n", error->message);
  return NULL;
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_event_loop (&error);
  g_autoptr (EvpFuture) digest = NULL;
  g_autoptr (EvpFuture) finished = NULL;
  GThread *thread;
  Job job;

  if (loop == NULL)
    goto out;
  digest = evp_event_loop_run_in_executor (loop, compute_digest, g_strdup ("text"), g_free, &error);
  if (digest == NULL || !evp_event_loop_run_until_complete (loop, digest, &error))
    goto out;
  g_print ("MD5 of \"text\": %s\n", g_value_get_string (evp_future_get_result (digest, NULL)));

  /* a thread of one's own reports through the loop */
  finished = evp_event_loop_create_future (loop);
  job.loop = loop;
  job.finished = finished;
  thread = g_thread_new ("worker", work, &job);
  if (evp_event_loop_run_until_complete (loop, finished, &error))
    evp_event_loop_close (loop, &error);
  g_thread_join (thread);

out:
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
