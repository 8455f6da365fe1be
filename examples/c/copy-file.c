/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file is copied by a proactor: the kernel, or a worker thread, reads and writes while the loop goes on. */

#include <evp/evp.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#define BLOCK (64 * 1024)

typedef struct
{
  EvpProactorEventLoop *loop;
  int from;
  int to;
  gint64 offset;
  GError *error;
} Copy;

static void read_next (Copy *copy);

static void
finish (Copy *copy)
{
  evp_event_loop_stop (EVP_EVENT_LOOP (copy->loop));
}

static void
written_cb (GObject      *source,
            GAsyncResult *result,
            gpointer      user_data)
{
  Copy *copy = user_data;
  gssize n = evp_proactor_event_loop_write_finish (copy->loop, result, &copy->error);

  if (n < 0)
    {
      finish (copy);
      return;
    }
  /* after a short write the rest is read once more */
  copy->offset += n;
  read_next (copy);
}

static void
read_cb (GObject      *source,
         GAsyncResult *result,
         gpointer      user_data)
{
  Copy *copy = user_data;
  g_autoptr (GBytes) block = evp_proactor_event_loop_read_finish (copy->loop, result, &copy->error);

  if (block == NULL || g_bytes_get_size (block) == 0) /* the end of the file */
    finish (copy);
  else
    evp_proactor_event_loop_write_async (copy->loop, copy->to, block, copy->offset, NULL, written_cb, copy);
}

static void
read_next (Copy *copy)
{
  evp_proactor_event_loop_read_async (copy->loop, copy->from, BLOCK, copy->offset, NULL, read_cb, copy);
}

static void
begin (gpointer user_data)
{
  read_next (user_data);
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_proactor_event_loop_new (NULL, &error);
  g_autofree char *copied = NULL;
  Copy copy = { 0 };

  if (loop == NULL)
    {
      g_printerr ("%s\n", error->message);
      return 1;
    }
  copy.loop = EVP_PROACTOR_EVENT_LOOP (loop);
  copy.from = g_open (argc > 1 ? argv[1] : argv[0], O_RDONLY | O_CLOEXEC);
  copy.to = g_file_open_tmp ("copy-XXXXXX", &copied, &error);
  if (copy.from >= 0 && copy.to >= 0 && evp_event_loop_call_soon (loop, begin, &copy, NULL, &error) != NULL)
    evp_event_loop_run_forever (loop, &error);
  if (error == NULL)
    error = g_steal_pointer (&copy.error);
  if (error == NULL)
    g_print ("%" G_GINT64_FORMAT " bytes copied\n", copy.offset);

  if (copy.from >= 0)
    close (copy.from);
  if (copy.to >= 0)
    {
      close (copy.to);
      g_unlink (copied);
    }
  if (error == NULL)
    evp_event_loop_close (loop, &error);
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
