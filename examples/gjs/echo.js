#!/usr/bin/env gjs
// SPDX-License-Identifier: LGPL-2.1-or-later
// Connections: a server that sends back what it gets, and clients, over TCP, a unix socket, and TLS.

imports.gi.versions.Evp = '1.0';
const {Evp, Gio, GLib} = imports.gi;

Gio._promisify(Gio.DataInputStream.prototype, 'read_line_async', 'read_line_finish_utf8');
Gio._promisify(Gio.OutputStream.prototype, 'splice_async', 'splice_finish');
Gio._promisify(Gio.OutputStream.prototype, 'write_bytes_async', 'write_bytes_finish');

const CLIENTS = 5;

// stream.close_async() of a TLS connection would be that of Gio.DtlsConnection in GJS
function close(stream) {
    const {close_async, close_finish} = Gio.IOStream.prototype;
    return new Promise((resolve, reject) => {
        close_async.call(stream, GLib.PRIORITY_DEFAULT, null, (_, result) => {
            try {
                resolve(close_finish.call(stream, result));
            } catch (error) {
                reject(error);
            }
        });
    });
}

// sends back what comes, until the other end has no more to say
async function echo(stream) {
    await stream.get_output_stream().splice_async(stream.get_input_stream(), Gio.OutputStreamSpliceFlags.NONE,
        GLib.PRIORITY_DEFAULT, null);
    await close(stream);
}

// says something, and checks what comes back
async function ask(stream, number) {
    const lines = Gio.DataInputStream.new(stream.get_input_stream());
    for (const word of ['hello', 'goodbye']) {
        const text = `${word} from client ${number}`;
        const bytes = new GLib.Bytes(`${text}\n`);
        await stream.get_output_stream().write_bytes_async(bytes, GLib.PRIORITY_DEFAULT, null);
        const [answer] = await lines.read_line_async(GLib.PRIORITY_DEFAULT, null);
        if (answer !== text)
            throw new Error(`“${answer}” came back for “${text}”`);
    }
    await close(stream);
}

// clients at once, and a server until they have gone
async function run(name, server, connect) {
    server.connect('incoming', (_, stream) => echo(stream).catch(logError));

    await Promise.all([...Array(CLIENTS).keys()].map(async number => ask(await connect(), number)));
    server.close();
    await server.wait_closed_async(null);
    print(`${name}: ${CLIENTS} clients got back what they said`);
}

// a certificate for localhost, and its key; false if there is no openssl
async function makeCertificate(loop, file) {
    const options = new Evp.SubprocessOptions({stdout: Evp.Stdio.PIPE, stderr: Evp.Stdio.PIPE});
    let process;
    try {
        process = await loop.subprocess_exec_async(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '1',
                '-keyout', '-', '-out', '-'], options, null);
    } catch (error) {
        print(`no TLS: ${error.message}`);
        return false;
    }
    const [pem] = await process.communicate_async(null, null);
    file.replace_contents(pem.get_data(), null, false, Gio.FileCreateFlags.PRIVATE, null);
    return true;
}

const folder = Gio.File.new_for_path(GLib.dir_make_tmp('echo-XXXXXX'));
const certificate = folder.get_child('certificate.pem');

Evp.run(async loop => {
    let server = await loop.create_server_async('127.0.0.1', 0, 0, null, null);
    let port = server.get_sockets()[0].get_local_address().get_port();
    await run('TCP', server, () => loop.create_connection_async('127.0.0.1', port, null, null));

    const path = folder.get_child('socket').get_path();
    server = await loop.create_unix_server_async(path, 0, null, null);
    await run('unix socket', server, () => loop.create_unix_connection_async(path, null, null));

    if (Gio.TlsBackend.get_default().supports_tls() && await makeCertificate(loop, certificate)) {
        const identity = new Evp.TlsOptions({certificate: Gio.TlsCertificate.new_from_file(certificate.get_path())});
        const trust = new Evp.TlsOptions({database: Gio.TlsFileDatabase.new(certificate.get_path())});
        const serverOptions = new Evp.ServerOptions({tls_options: identity});
        server = await loop.create_server_async('127.0.0.1', 0, 0, serverOptions, null);
        port = server.get_sockets()[0].get_local_address().get_port();
        const options = new Evp.ConnectionOptions({tls: true, tls_options: trust, server_name: 'localhost'});
        await run('TLS', server, () => loop.create_connection_async('127.0.0.1', port, options, null));
        certificate.delete(null);
    }
});
folder.delete(null);
