#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// Datagrams: an echo server over UDP, and a client that asks it.

imports.gi.versions.Evp = '1.0';
const {Evp, Gio, GLib} = imports.gi;

Evp.run(async loop => {
    const anyPort = Gio.InetSocketAddress.new_from_string('127.0.0.1', 0);
    const server = await loop.create_datagram_endpoint_async(anyPort, null, null, null);
    server.connect('datagram-received', (_, data, sender) => {
        print(`${data.get_size()} bytes from ${sender.get_address().to_string()}`);
        server.send(data, sender);
    });

    const client = await loop.create_datagram_endpoint_async(null, server.get_local_address(), null, null);
    client.send(new GLib.Bytes('hello'), null);
    const [answer] = await client.receive_async(null);
    print(`the answer: ${new TextDecoder().decode(answer.get_data())}`);

    client.close();
    server.close();
});
