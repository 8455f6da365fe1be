/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Datagrams: an echo server over UDP, and a client that asks it. */

async void talk (Evp.AbstractEventLoop loop) {
  try {
    var any_port = new InetSocketAddress.from_string ("127.0.0.1", 0);
    var server = yield loop.create_datagram_endpoint_async (any_port, null, null, null);
    server.datagram_received.connect ((data, sender) => {
      print ("%d bytes from %s\n", data.length, ((InetSocketAddress) sender).address.to_string ());
      try {
        server.send (data, sender);
      } catch (Error error) {
        printerr ("%s\n", error.message);
      }
    });

    var client = yield loop.create_datagram_endpoint_async (null, server.get_local_address (), null, null);
    client.send (new Bytes ("hello".data), null);
    SocketAddress sender;
    var answer = yield client.receive_async (null, out sender);
    print ("the answer: %.*s\n", answer.length, (string) answer.get_data ());

    client.close ();
    server.close ();
  } catch (Error error) {
    printerr ("%s\n", error.message);
  }
  loop.stop ();
}

int main () {
  try {
    var loop = Evp.get_event_loop ();
    loop.call_soon (() => talk.begin (loop));
    loop.run_forever ();
    loop.close ();
  } catch (Error error) {
    printerr ("%s\n", error.message);
    return 1;
  }
  return 0;
}
