/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An HTTP server: libsoup on the loop, which it knows nothing of. With a port it serves until Ctrl-C. */

#include <evp/evp.h>
#include <libsoup/soup.h>
#include <stdlib.h>
#include <string.h>

static void
request_cb (SoupServer        *server,
            SoupServerMessage *message,
            const char        *path,
            GHashTable        *query,
            gpointer           user_data)
{
  char *text = g_strdup_printf ("You asked for %s\n", path);

  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_server_message_set_response (message, "text/plain", SOUP_MEMORY_TAKE, text, strlen (text));
}

static void
answer_cb (GObject      *source,
           GAsyncResult *result,
           gpointer      user_data)
{
  EvpAbstractEventLoop *loop = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) body = soup_session_send_and_read_finish (SOUP_SESSION (source), result, &error);

  if (body != NULL)
    g_print ("%.*s", (int) g_bytes_get_size (body), (const char *) g_bytes_get_data (body, NULL));
  else
    g_printerr ("%s\n", error->message);
  evp_event_loop_stop (loop);
}

int
main (int   argc,
      char *argv[])
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_event_loop (&error);
  g_autoptr (SoupServer) server = NULL;
  g_autoptr (SoupSession) session = NULL;
  g_autoptr (SoupMessage) message = NULL;
  const guint port = argc > 1 ? (guint) atoi (argv[1]) : 0;

  /* from here on GIO's connections, and so libsoup's, are the loop's */
  if (loop == NULL || !evp_socket_connection_register (&error))
    goto out;
  server = soup_server_new (NULL, NULL);
  soup_server_add_handler (server, NULL, request_cb, NULL, NULL);
  if (!soup_server_listen_local (server, port, SOUP_SERVER_LISTEN_IPV4_ONLY, &error))
    goto out;

  if (port == 0)
    {
      GSList *uris = soup_server_get_uris (server);
      g_autoptr (GUri) uri = g_uri_parse_relative (uris->data, "/hello", G_URI_FLAGS_NONE, &error);

      g_slist_free_full (uris, (GDestroyNotify) g_uri_unref);
      if (uri == NULL)
        goto out;
      session = soup_session_new ();
      message = soup_message_new_from_uri (SOUP_METHOD_GET, uri);
      soup_session_send_and_read_async (session, message, G_PRIORITY_DEFAULT, NULL, answer_cb, loop);
    }
  if (evp_event_loop_run_forever (loop, &error))
    {
      soup_server_disconnect (server);
      evp_socket_connection_unregister ();
      evp_event_loop_close (loop, &error);
    }

out:
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
