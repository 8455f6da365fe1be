// SPDX-License-Identifier: LGPL-2.1-or-later
// Datagrams and names, with promises and with callbacks.

imports.searchPath.unshift(imports.gi.GLib.path_get_dirname(imports.system.programInvocationName));
const {test, run, assert, assertEqual, assertError} = imports.evptest;
const {Evp, Gio, GLib} = imports.gi;

// promises run in the default main context
function withLoop(func) {
    return () => {
        const loop = Evp.SelectorEventLoop.new(null, GLib.MainContext.default());
        let failure = null;
        try {
            func(loop).catch(error => (failure = error)).then(() => loop.stop());
            loop.run_forever();
        } finally {
            loop.close();
        }
        if (failure)
            throw failure;
    };
}

const anyPort = Gio.InetSocketAddress.new_from_string('127.0.0.1', 0);
const text = bytes => new TextDecoder().decode(bytes.toArray());

// Rules: T-12
test('talk', withLoop(async loop => {
    const server = await loop.create_datagram_endpoint_async(anyPort, null, null, null);
    const client = await loop.create_datagram_endpoint_async(null, server.get_local_address(), null, null);
    server.connect('datagram-received', (_, data, address) => server.send(data, address));
    client.send(new GLib.Bytes('hello'), null);
    client.send(new GLib.Bytes(''), null);
    const [data, address] = await client.receive_async(null);
    assertEqual(text(data), 'hello');
    assertEqual(address.get_port(), server.get_local_address().get_port());
    const [empty] = await client.receive_async(null);
    assertEqual(empty.get_size(), 0);
    assertError(() => client.send(new GLib.Bytes('astray'), anyPort), Evp.Error.INVALID_ARGUMENT, 'remote address');
    client.close();
    server.close();
}));

// Rules: T-12
test('callbacks', () => {
    const loop = Evp.SelectorEventLoop.new(null, GLib.MainContext.default());
    let received = null;
    loop.create_datagram_endpoint_async(anyPort, null, null, null, (_loop, result) => {
        const endpoint = loop.create_datagram_endpoint_finish(result);
        endpoint.receive_async(null, (_endpoint, answer) => {
            received = endpoint.receive_finish(answer);
            endpoint.close();
            loop.stop();
        });
        endpoint.send(new GLib.Bytes('to itself'), endpoint.get_local_address());
    });
    loop.run_forever();
    loop.close();
    assertEqual(text(received[0]), 'to itself');
    assert(received[1].get_port() > 0);
});

// Rules: N-2
test('names', withLoop(async loop => {
    const addresses = await loop.getaddrinfo_async('127.0.0.1', '80', Gio.SocketFamily.INVALID, null);
    assertEqual(addresses.length, 1);
    assertEqual(addresses[0].get_port(), 80);
    const [host, service] = await loop.getnameinfo_async(addresses[0], null);
    assert(host.length > 0);
    assert(service.length > 0);
}));

run();
