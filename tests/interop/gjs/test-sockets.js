// SPDX-License-Identifier: LGPL-2.1-or-later
// The operations on sockets, with promises and with callbacks.

imports.searchPath.unshift(imports.gi.GLib.path_get_dirname(imports.system.programInvocationName));
const {test, run, assert, assertEqual} = imports.evptest;
const {Evp, Gio, GLib} = imports.gi;
const {fromString, toString} = imports.byteArray;

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

function newSocket(type) {
    const socket = Gio.Socket.new(Gio.SocketFamily.IPV4, type, Gio.SocketProtocol.DEFAULT);
    socket.set_blocking(false);
    return socket;
}

function bound(socket) {
    socket.bind(Gio.InetSocketAddress.new_from_string('127.0.0.1', 0), true);
    return socket.get_local_address();
}

async function pair(loop) {
    const listener = newSocket(Gio.SocketType.STREAM);
    const address = bound(listener);
    listener.listen();
    const client = newSocket(Gio.SocketType.STREAM);
    const accepting = loop.sock_accept_async(listener, null);
    assert(await loop.sock_connect_async(client, address, null));
    const server = await accepting;
    listener.close();
    return [client, server];
}

// Rules: K-7, K-9, K-11, K-12
test('stream', withLoop(async loop => {
    const [client, server] = await pair(loop);
    assert(!server.get_blocking());
    const receiving = loop.sock_recv_async(server, 64, null);
    assert(await loop.sock_sendall_async(client, new GLib.Bytes(fromString('hello')), null));
    assertEqual(toString((await receiving).toArray()), 'hello');

    await loop.sock_sendall_async(server, new GLib.Bytes(fromString('01234')), null);
    const buffer = new Uint8Array(3);
    assertEqual(await loop.sock_recv_into_async(client, buffer, null), 3);
    assertEqual(toString(buffer), '012');
    assertEqual(await loop.sock_recv_into_async(client, buffer.subarray(1), null), 2);
    assertEqual(toString(buffer), '034');

    client.close();
    assertEqual((await loop.sock_recv_async(server, 64, null)).get_size(), 0);
    server.close();
}));

// Rules: K-8, K-10
test('datagrams', withLoop(async loop => {
    const receiver = newSocket(Gio.SocketType.DATAGRAM);
    const sender = newSocket(Gio.SocketType.DATAGRAM);
    const address = bound(receiver);
    assertEqual(await loop.sock_sendto_async(sender, new GLib.Bytes(fromString('one')), address, null), 3);
    const [bytes, from] = await loop.sock_recvfrom_async(receiver, 64, null);
    assertEqual(toString(bytes.toArray()), 'one');
    assertEqual(from.get_port(), sender.get_local_address().get_port());
    await loop.sock_sendto_async(sender, new GLib.Bytes(fromString('two')), address, null);
    const buffer = new Uint8Array(8);
    const [size] = await loop.sock_recvfrom_into_async(receiver, buffer, null);
    assertEqual(toString(buffer.subarray(0, size)), 'two');
    receiver.close();
    sender.close();
}));

// the methods that fill a buffer call back as others do, and are no promise then
// Rules: K-7, K-8
test('into-a-buffer-with-callback', withLoop(async loop => {
    const [client, server] = await pair(loop);
    client.send(fromString('called'), null);
    const buffer = new Uint8Array(8);
    const size = await new Promise((resolve, reject) => {
        const promise = loop.sock_recv_into_async(server, buffer, null, (source, result) => {
            try {
                assert(source === loop);
                resolve(loop.sock_recv_into_finish(result));
            } catch (failure) {
                reject(failure);
            }
        });
        assert(promise === undefined, 'it is a promise as well');
    });
    assertEqual(toString(buffer.subarray(0, size)), 'called');
    client.close();
    server.close();

    const receiver = newSocket(Gio.SocketType.DATAGRAM);
    const sender = newSocket(Gio.SocketType.DATAGRAM);
    sender.send_to(bound(receiver), fromString('from'), null);
    const [received, from] = await new Promise((resolve, reject) => {
        loop.sock_recvfrom_into_async(receiver, buffer, null, (_, result) => {
            try {
                resolve(loop.sock_recvfrom_into_finish(result));
            } catch (failure) {
                reject(failure);
            }
        });
    });
    assertEqual(toString(buffer.subarray(0, received)), 'from');
    assertEqual(from.get_port(), sender.get_local_address().get_port());
    receiver.close();
    sender.close();
}));

// Rules: K-7
test('into-any-buffer', withLoop(async loop => {
    const [client, server] = await pair(loop);
    const words = new Uint16Array(4);
    const plain = new ArrayBuffer(8);
    for (const buffer of [words.subarray(1), new DataView(plain, 2)]) {
        client.send(new Uint8Array([1, 2, 3, 4]), null);
        assertEqual(await loop.sock_recv_into_async(server, buffer, null), 4);
    }
    assertEqual([...new Uint8Array(words.buffer)], [0, 0, 1, 2, 3, 4, 0, 0]);
    assertEqual([...new Uint8Array(plain)], [0, 0, 1, 2, 3, 4, 0, 0]);
    client.send(new Uint8Array([5]), null);
    assertEqual(await loop.sock_recv_into_async(server, plain, null), 1);
    assertEqual(new Uint8Array(plain)[0], 5);
    for (const buffer of [null, 'text', 8, [0, 0]]) {
        let failure = null;
        await loop.sock_recv_into_async(server, buffer, null).catch(error => (failure = error));
        assert(failure instanceof TypeError, `${failure}`);
    }
    client.close();
    server.close();
}));

// Rules: K-5
test('cancelled', withLoop(async loop => {
    const [client, server] = await pair(loop);
    const cancellable = new Gio.Cancellable();
    const receiving = loop.sock_recv_async(server, 64, cancellable);
    loop.call_soon(() => cancellable.cancel());
    let error = null;
    await receiving.catch(caught => (error = caught));
    assert(error.matches(Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED));
    await new Promise((resolve, reject) => {
        loop.sock_recv_async(server, 64, null, (source, result) => {
            try {
                resolve(assertEqual(toString(loop.sock_recv_finish(result).toArray()), 'kept'));
            } catch (failure) {
                reject(failure);
            }
        });
        client.send(fromString('kept'), null);
    });
    client.close();
    server.close();
}));

run();
