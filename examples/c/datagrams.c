/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Datagrams: an echo server over UDP, and a client that asks it. */

#include <evp/evp.h>

typedef struct
{
  EvpAbstractEventLoop *loop;
  EvpDatagramEndpoint *server;
  EvpDatagramEndpoint *client;
  GError *error;
} Program;

/* Takes the error, and ends the program. */
static void
finish (Program *program,
        GError  *error)
{
  program->error = error;
  evp_event_loop_stop (program->loop);
}

static void
echo_cb (EvpDatagramEndpoint *server,
         GBytes              *data,
         GSocketAddress      *sender,
         gpointer             user_data)
{
  g_autofree char *name = g_inet_address_to_string (g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (sender)));

  g_print ("%" G_GSIZE_FORMAT " bytes from %s\n", g_bytes_get_size (data), name);
  evp_datagram_endpoint_send (server, data, sender, NULL);
}

static void
answer_cb (GObject      *client,
           GAsyncResult *result,
           gpointer      user_data)
{
  Program *program = user_data;
  GError *error = NULL;
  g_autoptr (GBytes) data = evp_datagram_endpoint_receive_finish (EVP_DATAGRAM_ENDPOINT (client), result, NULL, &error);

  if (data != NULL)
    g_print ("the answer: %.*s\n", (int) g_bytes_get_size (data), (const char *) g_bytes_get_data (data, NULL));
  finish (program, error);
}

static void
client_cb (GObject      *loop,
           GAsyncResult *result,
           gpointer      user_data)
{
  Program *program = user_data;
  g_autoptr (GBytes) question = g_bytes_new_static ("hello", 5);
  GError *error = NULL;

  program->client = evp_event_loop_create_datagram_endpoint_finish (EVP_EVENT_LOOP (loop), result, &error);
  if (program->client == NULL || !evp_datagram_endpoint_send (program->client, question, NULL, &error))
    finish (program, error);
  else
    evp_datagram_endpoint_receive_async (program->client, NULL, answer_cb, program);
}

static void
server_cb (GObject      *loop,
           GAsyncResult *result,
           gpointer      user_data)
{
  Program *program = user_data;
  g_autoptr (GSocketAddress) address = NULL;
  GError *error = NULL;

  program->server = evp_event_loop_create_datagram_endpoint_finish (EVP_EVENT_LOOP (loop), result, &error);
  if (program->server != NULL)
    address = evp_datagram_endpoint_get_local_address (program->server, &error);
  if (address == NULL)
    {
      finish (program, error);
      return;
    }
  g_signal_connect (program->server, "datagram-received", G_CALLBACK (echo_cb), NULL);
  evp_event_loop_create_datagram_endpoint_async (EVP_EVENT_LOOP (loop), NULL, address, NULL, NULL, client_cb, program);
}

static void
begin (gpointer user_data)
{
  Program *program = user_data;
  g_autoptr (GSocketAddress) any_port = g_inet_socket_address_new_from_string ("127.0.0.1", 0);

  evp_event_loop_create_datagram_endpoint_async (program->loop, any_port, NULL, NULL, NULL, server_cb, program);
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (EvpAbstractEventLoop) loop = evp_get_event_loop (&error);
  Program program = { loop, NULL, NULL, NULL };

  if (loop != NULL && evp_event_loop_call_soon (loop, begin, &program, NULL, &error) != NULL)
    evp_event_loop_run_forever (loop, &error);
  if (program.client != NULL)
    evp_datagram_endpoint_close (program.client);
  if (program.server != NULL)
    evp_datagram_endpoint_close (program.server);
  g_clear_object (&program.client);
  g_clear_object (&program.server);
  if (error == NULL)
    error = g_steal_pointer (&program.error);
  if (error == NULL)
    evp_event_loop_close (loop, &error);
  if (error != NULL)
    g_printerr ("%s\n", error->message);
  return error != NULL;
}
