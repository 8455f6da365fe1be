#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// An HTTP server: libsoup on the loop, which it knows nothing of. With a port it serves until Ctrl-C.

imports.gi.versions.Evp = '1.0';
imports.gi.versions.Soup = '3.0';
const {Evp, GLib, Soup} = imports.gi;

const loop = Evp.get_event_loop();
const port = Number(ARGV[0] ?? 0);

// from here on GIO's connections, and so libsoup's, are the loop's
Evp.socket_connection_register();

const server = new Soup.Server();
server.add_handler(null, (_server, message, path) => {
    message.set_status(Soup.Status.OK, null);
    message.set_response('text/plain', Soup.MemoryUse.COPY, `You asked for ${path}\n`);
});
server.listen_local(port, Soup.ServerListenOptions.IPV4_ONLY);

if (port === 0) {
    const uri = server.get_uris()[0].parse_relative('/hello', GLib.UriFlags.NONE);
    const session = new Soup.Session();

    session.send_and_read_async(Soup.Message.new_from_uri('GET', uri), GLib.PRIORITY_DEFAULT, null, (_session, result) => {
        const body = session.send_and_read_finish(result);
        print(new TextDecoder().decode(body.get_data()).trimEnd());
        loop.stop();
    });
}

loop.run_forever();
server.disconnect();
Evp.socket_connection_unregister();
loop.close();
