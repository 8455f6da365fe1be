#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connections: a server that sends back what it gets, and clients, over TCP, a unix socket, and TLS."""

import os
import tempfile

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp, Gio, GLib  # noqa: E402

CLIENTS = 5


async def echo(stream):
    """Sends back what comes, until the other end has no more to say."""
    await Evp.call_gio(stream.get_output_stream().splice_async, stream.get_input_stream(),
                       Gio.OutputStreamSpliceFlags.NONE, GLib.PRIORITY_DEFAULT)
    await Evp.call_gio(stream.close_async, GLib.PRIORITY_DEFAULT)


async def ask(stream, number):
    """Says something, and checks what comes back."""
    lines = Gio.DataInputStream.new(stream.get_input_stream())
    for word in ('hello', 'goodbye'):
        text = f'{word} from client {number}'
        await Evp.call_gio(stream.get_output_stream().write_bytes_async, GLib.Bytes.new(f'{text}\n'.encode()),
                           GLib.PRIORITY_DEFAULT)
        answer, _ = await Evp.call_gio(lines.read_line_async, GLib.PRIORITY_DEFAULT)
        assert answer.decode() == text, answer
    await Evp.call_gio(stream.close_async, GLib.PRIORITY_DEFAULT)


async def run(name, loop, server, connect):
    """Clients at once, and a server until they have gone."""
    async def client(number):
        await ask(await connect(), number)

    async with server:
        server.connect('incoming', lambda server, stream: loop.create_task(echo(stream)))
        for task in [loop.create_task(client(number)) for number in range(CLIENTS)]:
            await task
    print(f'{name}: {CLIENTS} clients got back what they said')


async def make_certificate(loop, path):
    """A certificate for localhost, and its key; False if there is no openssl."""
    options = Evp.SubprocessOptions(stdout=Evp.Stdio.PIPE, stderr=Evp.Stdio.PIPE)
    try:
        process = await loop.subprocess_exec_async(
            ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
             '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '1',
             '-keyout', '-', '-out', '-'], options)
    except GLib.Error as error:
        print(f'no TLS: {error.message}')
        return False
    _, pem, _ = await process.communicate_async()
    with open(path, 'wb') as file:
        file.write(pem.get_data())
    return True


async def main(loop, folder):
    server = await loop.create_server_async('127.0.0.1', 0)
    port = server.sockets[0].get_local_address().get_port()
    await run('TCP', loop, server, lambda: loop.create_connection_async('127.0.0.1', port))

    path = os.path.join(folder, 'socket')
    server = await loop.create_unix_server_async(path)
    await run('unix socket', loop, server, lambda: loop.create_unix_connection_async(path))

    path = os.path.join(folder, 'certificate.pem')
    if Gio.TlsBackend.get_default().supports_tls() and await make_certificate(loop, path):
        identity = Evp.TlsOptions(certificate=Gio.TlsCertificate.new_from_file(path))
        trust = Evp.TlsOptions(database=Gio.TlsFileDatabase.new(path))
        server = await loop.create_server_async('127.0.0.1', 0, options=Evp.ServerOptions(tls_options=identity))
        port = server.sockets[0].get_local_address().get_port()
        options = Evp.ConnectionOptions(tls=True, tls_options=trust, server_name='localhost')
        await run('TLS', loop, server, lambda: loop.create_connection_async('127.0.0.1', port, options))


with tempfile.TemporaryDirectory() as temporary:
    Evp.run(main, temporary)
