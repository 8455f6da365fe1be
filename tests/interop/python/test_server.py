# SPDX-License-Identifier: LGPL-2.1-or-later
"""Connections, servers and TLS, on every loop of the library and on one that is written in Python."""

import gc
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest

from evptest import Evp, GLib, TestCase, main
from gi.repository import Gio
from pyloop import ContextLoop, PythonLoop

PRIORITY = GLib.PRIORITY_DEFAULT


def read(stream, size=4096):
    return Evp.call_gio(stream.get_input_stream().read_bytes_async, size, PRIORITY)


def write(stream, data):
    return Evp.call_gio(stream.get_output_stream().write_bytes_async, GLib.Bytes.new(data), PRIORITY)


def close(stream):
    return Evp.call_gio(stream.close_async, PRIORITY)


async def echo(stream):
    """Sends back what comes, until the end."""
    while data := (await read(stream)).get_data():
        await write(stream, data)
    await close(stream)


def port_of(server):
    return server.sockets[0].get_local_address().get_port()


class Contract:
    """Each test is a coroutine that the loop runs."""

    def setUp(self):
        super().setUp()
        self.loop = self.make()
        self.addCleanup(self.loop.close)
        Evp.set_event_loop(self.loop)
        self.addCleanup(Evp.set_event_loop, None)
        self.reports = []
        self.loop.set_exception_handler(lambda loop, context: self.reports.append(str(context.exception)))
        self.addCleanup(lambda: self.assertEqual(self.reports, []))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def run_program(self, program):
        return self.loop.run_until_complete(program())

    def assertIOError(self, error, code):
        self.assertTrue(error.matches(Gio.io_error_quark(), code), str(error))

    async def converse(self, server, connect, count=3):
        """Clients at once, each of which gets back what it says."""
        loop = self.loop
        kept = []

        def incoming(given, stream):
            self.assertEqual(given, server)
            kept.append(stream)  # nobody else keeps it
            loop.create_task(echo(stream))

        async def client(number):
            stream = await connect()
            self.assertIsInstance(stream, Gio.IOStream)
            for text in (b'hello %d' % number, b'bye'):
                await write(stream, text)
                self.assertEqual((await read(stream)).get_data(), text)
            await close(stream)

        server.connect('incoming', incoming)
        for task in [loop.create_task(client(number)) for number in range(count)]:
            await task
        self.assertEqual(len(kept), count)
        kept.clear()

    # Rules: N-13, N-17, N-18, T-3
    def test_tcp(self):
        async def program():
            loop = self.loop
            async with await loop.create_server_async('127.0.0.1') as server:
                self.assertIsInstance(server, Evp.Server)
                self.assertTrue(server.is_serving())
                self.assertEqual((server.get_loop(), len(server.sockets)), (loop, 1))
                port = port_of(server)
                await self.converse(server, lambda: loop.create_connection_async('127.0.0.1', port))
            self.assertFalse(server.is_serving())
            self.assertEqual(server.sockets, [])
            with self.assertRaises(GLib.Error) as caught:
                await loop.create_connection_async('127.0.0.1', port)
            self.assertIOError(caught.exception, Gio.IOErrorEnum.CONNECTION_REFUSED)

        self.run_program(program)

    # Rules: N-20
    def test_unix(self):
        async def program():
            loop = self.loop
            for path in (os.path.join(self.folder, 'socket'), f'@evp-{os.getpid()}-{id(self)}'):
                async with await loop.create_unix_server_async(path, backlog=10) as server:
                    await self.converse(server, lambda: loop.create_unix_connection_async(path))
                self.assertFalse(os.path.exists(path))
                with self.assertRaises(GLib.Error):
                    await loop.create_unix_connection_async(path)
            # asyncio's abstract names, and paths
            for path in (f'\0evp-{os.getpid()}-{id(self)}', b'\0evp-%d-b' % os.getpid(),
                         pathlib.Path(self.folder, 'other')):
                async with await loop.create_unix_server_async(path) as server:
                    await self.converse(server, lambda: loop.create_unix_connection_async(path))

        self.run_program(program)

    # Rules: N-14, N-17
    def test_accept(self):
        """Connections one by one, from a server that starts later."""
        async def program():
            loop = self.loop
            options = Evp.ServerOptions(start_serving=False, reuse_port=True, family=Gio.SocketFamily.IPV4)
            server = await loop.create_server_async('localhost', 0, 5, options)
            self.assertFalse(server.is_serving())
            server.start_serving()
            accepting = server.accept_async()
            client = await loop.create_connection_async(
                'localhost', port_of(server), Evp.ConnectionOptions(family=Gio.SocketFamily.IPV4, timeout=30.0))
            stream = await accepting
            self.assertIsInstance(stream, Gio.TcpConnection)
            self.assertEqual(stream.get_remote_address().get_port(), client.get_local_address().get_port())

            # GIO's own helpers
            lines = Gio.DataInputStream.new(client.get_input_stream())
            await write(stream, b'one\ntwo\nthree\nrest')
            await close(stream)
            self.assertEqual([(await Evp.call_gio(lines.read_line_async, PRIORITY))[0] for _ in range(2)],
                             [b'one', b'two'])
            self.assertEqual([(await Evp.call_gio(lines.read_line_async, PRIORITY, finish='read_line_finish_utf8'))[0]
                              for _ in range(3)], ['three', 'rest', None])
            await close(client)

            accepting = server.accept_async()
            server.close()
            with self.assertRaises(GLib.Error):
                await accepting
            self.assertTrue(await server.wait_closed_async())

        self.run_program(program)

    def test_call_gio(self):
        """What is begun before the loop runs ends in it; whatever finishing raises ends the future."""
        file = Gio.File.new_for_path(__file__)
        done, contents, _tag = self.loop.run_until_complete(Evp.call_gio(file.load_contents_async))
        self.assertTrue(done)
        self.assertIn(b'test_call_gio', contents)
        with self.assertRaises(AttributeError):
            self.loop.run_until_complete(Evp.call_gio(file.load_contents_async, finish='no_such_method'))

    # Rules: N-8, T-6
    def test_cancel(self):
        async def program():
            loop = self.loop
            cancelled = Gio.Cancellable()
            cancelled.cancel()
            async with await loop.create_server_async('127.0.0.1') as server:
                for pending in (loop.create_connection_async('127.0.0.1', port_of(server), None, cancelled),
                                server.accept_async(cancelled)):
                    with self.assertRaises(GLib.Error) as caught:
                        await pending
                    self.assertIOError(caught.exception, Gio.IOErrorEnum.CANCELLED)

                accepting = server.accept_async()
                client = await loop.create_connection_async('127.0.0.1', port_of(server))
                stream = await accepting
                reading = read(stream)
                loop.call_soon(reading.cancel)
                with self.assertRaises(GLib.Error):
                    await reading
                self.assertTrue(reading.cancelled())
                while stream.get_input_stream().has_pending():
                    await self.tick()
                await write(client, b'later')
                self.assertEqual((await read(stream)).get_data(), b'later')
                await close(client)
                await close(stream)

        self.run_program(program)

    async def tick(self):
        future = self.loop.create_future()
        self.loop.call_soon(future.set_result)
        await future

    # Rules: N-25
    def test_sendfile(self):
        async def program():
            loop = self.loop
            path = os.path.join(self.folder, 'file')
            with open(path, 'wb') as file:
                file.write(bytes(range(256)) * 1000)
            async with await loop.create_server_async('127.0.0.1') as server:
                accepting = server.accept_async()
                client = await loop.create_connection_async('127.0.0.1', port_of(server))
                stream = await accepting
                sending = loop.sendfile_async(stream, Gio.File.new_for_path(path), offset=1)
                received = bytearray()
                while len(received) < 255999:
                    received += (await read(client, 1 << 20)).get_data()
                self.assertEqual(await sending, 255999)
                self.assertEqual(received, (bytes(range(256)) * 1000)[1:])
                await close(client)
                await close(stream)

        self.run_program(program)

    # Rules: N-9, N-10, N-11
    def test_tls(self):
        path = os.path.join(self.folder, 'certificate.pem')
        make_certificate(path)
        certificate = Gio.TlsCertificate.new_from_file(path)
        ours = Evp.TlsOptions(certificate=certificate)
        trust = Evp.TlsOptions(database=Gio.TlsFileDatabase.new(path))

        async def program():
            loop = self.loop
            # by option
            server_options = Evp.ServerOptions(tls_options=ours)
            options = Evp.ConnectionOptions(tls=True, tls_options=trust, server_name='localhost')
            async with await loop.create_server_async('127.0.0.1', options=server_options) as server:
                await self.converse(
                    server, lambda: loop.create_connection_async('127.0.0.1', port_of(server), options))
                self.assertEqual(self.reports, [])
                with self.assertRaises(GLib.Error) as caught:  # nobody trusts it
                    await loop.create_connection_async('127.0.0.1', port_of(server), Evp.ConnectionOptions(tls=True))
                self.assertTrue(caught.exception.matches(Gio.tls_error_quark(), Gio.TlsError.BAD_CERTIFICATE),
                                str(caught.exception))

            # on a connection that exists
            left, right = await self.pair()
            shaking = loop.start_tls_with_options_async(left, True, ours)
            client = await loop.start_tls_with_options_async(right, options=trust, hostname='localhost')
            server_side = await shaking
            self.assertIsInstance(client, Gio.TlsClientConnection)
            self.assertIsInstance(server_side, Gio.TlsServerConnection)
            await write(client, b'secret')
            self.assertEqual((await read(server_side)).get_data(), b'secret')
            await close(client)
            await close(server_side)
            with self.assertError(Evp.Error.INVALID_ARGUMENT):
                await loop.start_tls_async(client, hostname='localhost')

        self.run_program(program)

    async def pair(self):
        """Both ends of a connection."""
        server = await self.loop.create_server_async('127.0.0.1')
        accepting = server.accept_async()
        client = await self.loop.create_connection_async('127.0.0.1', port_of(server))
        stream = await accepting
        server.close()
        return client, stream

    # Rules: T-6, N-18
    def test_dropped_elsewhere(self):
        """The last references of streams, and of what is pending on them, go on another thread."""
        async def program():
            things = []
            for number in range(10):
                left, right = await self.pair()
                things += [left, right]
                if number % 2:
                    left.get_input_stream().read_bytes_async(10, PRIORITY, None, lambda *given: None)
                    things.append(left.get_input_stream())
            del left, right

            def drop():
                while things:
                    del things[:3]
                    gc.collect()

            thread = threading.Thread(target=drop)
            thread.start()
            while thread.is_alive():
                await self.tick()
            thread.join()

        self.run_program(program)

    # Rules: T-13
    def test_loop_closed_first(self):
        async def program():
            server = await self.loop.create_server_async('127.0.0.1')
            server.connect('incoming', lambda server, stream: None)
            return server, await self.loop.create_connection_async('127.0.0.1', port_of(server))

        server, stream = self.run_program(program)
        self.loop.close()
        self.assertFalse(server.is_serving())
        stream.close(None)
        self.assertTrue(stream.is_closed())


def make_certificate(path):
    """A certificate for localhost that is its own authority, and its key."""
    if not Gio.TlsBackend.get_default().supports_tls():
        raise unittest.SkipTest('GIO has no TLS here: install glib-networking')
    if shutil.which('openssl') is None:
        raise unittest.SkipTest('no openssl to make a certificate with')
    with open(path, 'wb') as file:
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                        '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-days', '1',
                        '-keyout', '-', '-out', '-'], stdout=file, stderr=subprocess.DEVNULL, check=True)


class SelectorTest(Contract, TestCase):
    make = Evp.SelectorEventLoop

    # Rules: T-11
    def test_registered(self):
        """GIO's own clients and services use the loop, without knowing."""
        async def program():
            service = Gio.SocketService.new()
            port = service.add_any_inet_port(None)
            seen = self.loop.create_future()
            service.connect('incoming', lambda service, stream, source: seen.set_result(stream))
            client = await Evp.call_gio(Gio.SocketClient.new().connect_to_host_async, f'127.0.0.1:{port}', port)
            stream = await seen
            for connection in (client, stream):
                self.assertIn('Evp', connection.get_input_stream().__gtype__.name)
            await write(client, b'hello')
            self.assertEqual((await read(stream)).get_data(), b'hello')
            await close(client)
            await close(stream)
            service.stop()
            service.close()

        Evp.socket_connection_register()
        self.addCleanup(Evp.socket_connection_unregister)
        self.run_program(program)


class SelectTest(Contract, TestCase):
    def make(self):
        return Evp.SelectorEventLoop(selector=Evp.SelectSelector())


class ProactorTest(Contract, TestCase):
    make = Evp.ProactorEventLoop


class GioProactorTest(Contract, TestCase):
    def make(self):
        return Evp.ProactorEventLoop(proactor=Evp.GioProactor())


class AdoptedTest(Contract, TestCase):
    """The loop lives in a main context that somebody else iterates."""

    def make(self):
        return Evp.SelectorEventLoop(main_context=GLib.MainContext.default())

    def run_program(self, program):
        main_loop = GLib.MainLoop()
        task = self.loop.create_task(program())
        task.add_done_callback(lambda task: main_loop.quit())
        main_loop.run()
        return task.get_result()


class PythonLoopTest(Contract, TestCase):
    """It has readers and writers, and gets streams and servers for them."""
    make = ContextLoop


class PlainPythonLoopTest(TestCase):
    """One without a main context has no use for what GIO does in one."""

    # Rules: N-17, N-18
    def test_connect(self):
        loop = PythonLoop()
        self.addCleanup(loop.close)
        Evp.set_event_loop(loop)
        self.addCleanup(Evp.set_event_loop, None)

        async def program():
            async with await loop.create_server_async('127.0.0.1') as server:
                accepting = server.accept_async()
                client = await loop.create_connection_async('127.0.0.1', port_of(server))
                stream = await accepting
                with self.assertError(Evp.Error.NOT_SUPPORTED):
                    await loop.start_tls_async(client, hostname='localhost')
                stream.close(None)
                client.close(None)

        loop.run_until_complete(program())


if __name__ == '__main__':
    main()
