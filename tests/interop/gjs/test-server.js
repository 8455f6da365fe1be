// SPDX-License-Identifier: LGPL-2.1-or-later
// Connections, servers, TLS and files, with promises.

imports.searchPath.unshift(imports.gi.GLib.path_get_dirname(imports.system.programInvocationName));
const {test, run, assert, assertEqual} = imports.evptest;
const {Evp, Gio, GLib} = imports.gi;
const System = imports.system;

const PRIORITY = GLib.PRIORITY_DEFAULT;
const HOST = '127.0.0.1';

const kinds = {
    selector: () => Evp.SelectorEventLoop.new(null, GLib.MainContext.default()),
    proactor: () => Evp.ProactorEventLoop.new(GLib.MainContext.default()),
    gio: () => new Evp.ProactorEventLoop({proactor: new Evp.GioProactor(), main_context: GLib.MainContext.default()}),
};

// an async test on each kind of loop
function testLoops(name, func) {
    for (const [kind, make] of Object.entries(kinds)) {
        test(`${name}-${kind}`, () => {
            const loop = make();
            const folder = Gio.File.new_for_path(GLib.dir_make_tmp('evp-XXXXXX'));
            let failure = null;
            Evp.set_event_loop(loop);
            try {
                func(loop, folder).catch(error => (failure = error)).then(() => loop.stop());
                loop.run_forever();
            } finally {
                Evp.set_event_loop(null);
                loop.close();
                folder.delete(null);
            }
            if (failure)
                throw failure;
        });
    }
}

// object.name_async (...args), found in a class: a TLS connection has several close_async()
function call(type, object, name, ...args) {
    return new Promise((resolve, reject) => {
        type.prototype[`${name}_async`].call(object, ...args, PRIORITY, null, (_, result) => {
            try {
                resolve(type.prototype[`${name}_finish`].call(object, result));
            } catch (error) {
                reject(error);
            }
        });
    });
}

async function read(stream) {
    const bytes = await call(Gio.InputStream, stream.get_input_stream(), 'read_bytes', 4096);
    return new TextDecoder().decode(bytes.get_data() ?? new Uint8Array());
}

const write = (stream, text) => call(Gio.OutputStream, stream.get_output_stream(), 'write_bytes', new GLib.Bytes(text));
const close = stream => call(Gio.IOStream, stream, 'close');
const portOf = server => server.get_sockets()[0].get_local_address().get_port();

async function echo(stream) {
    for (let text = await read(stream); text; text = await read(stream))
        await write(stream, text);
    await close(stream);
}

async function converse(server, connect) {
    const failures = [];
    let count = 0;
    server.connect('incoming', (given, stream) => {
        assert(given === server && stream instanceof Gio.IOStream);
        count++;
        echo(stream).catch(error => failures.push(error.message));
    });
    await Promise.all([0, 1, 2].map(async number => {
        const stream = await connect();
        for (const text of [`hello ${number}`, 'bye']) {
            await write(stream, text);
            assertEqual(await read(stream), text);
        }
        await close(stream);
    }));
    server.close();
    assert(await server.wait_closed_async(null));
    assertEqual([count, failures], [3, []]);
    assert(!server.is_serving());
    assertEqual(server.get_sockets().length, 0);
}

async function assertRejects(promise, domain, code) {
    let error = null;
    await promise.catch(caught => (error = caught));
    assert(error instanceof GLib.Error && error.matches(domain, code), `${error}`);
    return error;
}

// Rules: N-13, N-17, N-18
testLoops('tcp', async loop => {
    const server = await loop.create_server_async(HOST, 0, 0, null, null);
    const port = portOf(server);
    assert(server instanceof Evp.Server && server.get_loop() === loop && server.is_serving());
    await converse(server, () => loop.create_connection_async(HOST, port, null, null));
    await assertRejects(loop.create_connection_async(HOST, port, null, null),
        Gio.IOErrorEnum, Gio.IOErrorEnum.CONNECTION_REFUSED);
});

// Rules: N-20
testLoops('unix', async (loop, folder) => {
    const path = folder.get_child('socket').get_path();
    const server = await loop.create_unix_server_async(path, 0, null, null);
    await converse(server, () => loop.create_unix_connection_async(path, null, null));
    assert(!GLib.file_test(path, GLib.FileTest.EXISTS));
});

// Rules: N-8, N-14, N-17
testLoops('accept', async loop => {
    const server = await loop.create_server_async(HOST, 0, 0, new Evp.ServerOptions({start_serving: false}), null);
    assert(!server.is_serving());
    server.start_serving();
    const accepting = server.accept_async(null);
    const client = await loop.create_connection_async(HOST, portOf(server),
        new Evp.ConnectionOptions({timeout: 30, happy_eyeballs_delay: 0}), null);
    const stream = await accepting;
    assert(stream instanceof Gio.TcpConnection);

    const lines = Gio.DataInputStream.new(stream.get_input_stream());
    await write(client, 'one\ntwo\n');
    for (const line of ['one', 'two']) {
        const [text] = await call(Gio.DataInputStream, lines, 'read_line');
        assertEqual(new TextDecoder().decode(text), line);
    }
    await close(client);
    await close(stream);

    const cancellable = new Gio.Cancellable();
    loop.call_soon(() => cancellable.cancel());
    await assertRejects(server.accept_async(cancellable), Gio.IOErrorEnum, Gio.IOErrorEnum.CANCELLED);
    server.close();
    await server.wait_closed_async(null);
});

// Rules: N-9, N-11
testLoops('tls', async (loop, folder) => {
    if (!Gio.TlsBackend.get_default().supports_tls() || !GLib.find_program_in_path('openssl')) {
        print('# no TLS, or no openssl to make a certificate with');
        return;
    }
    const file = folder.get_child('certificate.pem');
    const options = new Evp.SubprocessOptions({stdout: Evp.Stdio.PIPE, stderr: Evp.Stdio.PIPE});
    const process = await loop.subprocess_exec_async(
        ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj',
            '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '1', '-keyout', '-', '-out', '-'],
        options, null);
    const [pem] = await process.communicate_async(null, null);
    file.replace_contents(pem.get_data(), null, false, Gio.FileCreateFlags.NONE, null);
    const ours = new Evp.TlsOptions({certificate: Gio.TlsCertificate.new_from_file(file.get_path())});
    const trust = new Evp.TlsOptions({database: Gio.TlsFileDatabase.new(file.get_path())});

    let server = await loop.create_server_async(HOST, 0, 0, new Evp.ServerOptions({tls_options: ours}), null);
    const port = portOf(server);
    await converse(server, () => loop.create_connection_async(HOST, port,
        new Evp.ConnectionOptions({tls: true, tls_options: trust, server_name: 'localhost'}), null));

    server = await loop.create_server_async(HOST, 0, 0, null, null);
    const accepting = server.accept_async(null);
    const plain = await loop.create_connection_async(HOST, portOf(server), null, null);
    const shaking = accepting.then(stream => loop.start_tls_with_options_async(stream, true, ours, null, null));
    const left = await loop.start_tls_with_options_async(plain, false, trust, 'localhost', null);
    const right = await shaking;
    assert(left instanceof Gio.TlsConnection && right instanceof Gio.TlsConnection);
    await write(left, 'secret');
    assertEqual(await read(right), 'secret');
    await assertRejects(loop.start_tls_async(left, false, null, 'localhost', null), Evp.Error,
        Evp.Error.INVALID_ARGUMENT);
    await close(left);
    await close(right);
    server.close();
    file.delete(null);
});

// Rules: N-25
testLoops('sendfile', async (loop, folder) => {
    const file = folder.get_child('file');
    file.replace_contents('0123456789', null, false, Gio.FileCreateFlags.NONE, null);
    const server = await loop.create_server_async(HOST, 0, 0, null, null);
    const accepting = server.accept_async(null);
    const client = await loop.create_connection_async(HOST, portOf(server), null, null);
    const stream = await accepting;
    assertEqual(await loop.sendfile_async(stream, file, 2, 5, true, null), 5);
    assertEqual(await read(client), '23456');
    await close(client);
    await close(stream);
    server.close();
    file.delete(null);
});

// Rules: T-13
testLoops('dropped', async loop => {
    const server = await loop.create_server_async(HOST, 0, 0, null, null);
    for (let i = 0; i < 20; i++) {
        const accepting = server.accept_async(null);
        const client = await loop.create_connection_async(HOST, portOf(server), null, null);
        await accepting;
        if (i % 2)
            client.get_input_stream().read_bytes_async(1, PRIORITY, null, () => {});
        if (i % 5 === 0)
            System.gc();
    }
    server.close();
    System.gc();
});

// Rules: V-5
test('files', () => {
    const loop = kinds.proactor();
    const file = Gio.File.new_for_path(GLib.build_filenamev([GLib.get_tmp_dir(), `evp-${GLib.uuid_string_random()}`]));
    let failure = null;
    (async () => {
        assert(await loop.save_file_async(file, new GLib.Bytes('hello world'), null));
        assertEqual(new TextDecoder().decode((await loop.load_file_async(file, null)).get_data()), 'hello world');
        const stream = file.open_readwrite(null);
        const fd = stream.get_input_stream().get_fd();
        assertEqual(new TextDecoder().decode((await loop.read_async(fd, 5, 6, null)).get_data()), 'world');
        assertEqual(await loop.write_async(fd, new GLib.Bytes('W'), 6, null), 1);
        const buffer = new Uint8Array(4);
        assertEqual(await loop.read_into_async(fd, buffer.subarray(1), 6, null), 3);
        assertEqual([...buffer], [0, ...new TextEncoder().encode('Wor')]);
        stream.close(null);
        file.delete(null);
        await assertRejects(loop.load_file_async(file, null), Gio.IOErrorEnum, Gio.IOErrorEnum.NOT_FOUND);
    })().catch(error => (failure = error)).then(() => loop.stop());
    loop.run_forever();
    loop.close();
    if (failure)
        throw failure;
});

// Rules: T-11
test('registered', () => {
    const loop = kinds.selector();
    let failure = null;
    Evp.socket_connection_register();
    (async () => {
        const service = Gio.SocketService.new();
        const port = service.add_any_inet_port(null);
        const incoming = new Promise(resolve => service.connect('incoming', (_, stream) => resolve(stream)));
        const client = await new Promise((resolve, reject) => {
            new Gio.SocketClient().connect_to_host_async(`${HOST}:${port}`, port, null, (self, result) => {
                try {
                    resolve(self.connect_to_host_finish(result));
                } catch (error) {
                    reject(error);
                }
            });
        });
        const stream = await incoming;
        assert(`${client.get_input_stream()}`.includes('Evp'), `${client.get_input_stream()}`);
        await write(client, 'hello');
        assertEqual(await read(stream), 'hello');
        await close(client);
        await close(stream);
        service.stop();
        service.close();
    })().catch(error => (failure = error)).then(() => loop.stop());
    loop.run_forever();
    Evp.socket_connection_unregister();
    loop.close();
    if (failure)
        throw failure;
});

run();
