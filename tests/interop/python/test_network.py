# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets, datagrams and names, on every loop of the library and on one that is written in Python."""

import gc
import threading

from evptest import Evp, GLib, TestCase, main
from gi.repository import Gio
from pyloop import PythonLoop


def address(port=0, host='127.0.0.1'):
    return Gio.InetSocketAddress.new_from_string(host, port)


def new_socket(kind=Gio.SocketType.STREAM):
    sock = Gio.Socket.new(Gio.SocketFamily.IPV4, kind, Gio.SocketProtocol.DEFAULT)
    sock.set_blocking(False)
    return sock


def bound(kind=Gio.SocketType.STREAM):
    """A socket with a port of its own: nobody else can have that, and, if it is a stream's, nobody connect to it."""
    sock = new_socket(kind)
    sock.bind(address(), False)
    return sock


def listener():
    sock = new_socket()
    sock.bind(address(), True)
    sock.listen()
    return sock


class Contract:
    """Each test is a coroutine that the loop runs."""

    def setUp(self):
        super().setUp()
        self.loop = self.make()
        self.addCleanup(self.loop.close)
        Evp.set_event_loop(self.loop)
        self.addCleanup(Evp.set_event_loop, None)
        reports = []
        self.loop.set_exception_handler(lambda loop, context: reports.append(str(context.exception)))
        self.addCleanup(lambda: self.assertEqual(reports, []))

    def run_program(self, program):
        return self.loop.run_until_complete(program())

    async def pair(self):
        """Two ends of a TCP connection."""
        server = listener()
        client = new_socket()
        accepting = self.loop.sock_accept_async(server)
        self.assertTrue(await self.loop.sock_connect_async(client, server.get_local_address()))
        accepted = await accepting
        server.close()
        return client, accepted

    def assertIOError(self, error, code):
        self.assertTrue(error.matches(Gio.io_error_quark(), code), str(error))

    # Rules: K-7, K-9, K-11, K-12
    def test_stream(self):
        async def program():
            loop = self.loop
            client, accepted = await self.pair()
            self.assertFalse(accepted.get_blocking())
            self.assertTrue(await loop.sock_sendall_async(client, GLib.Bytes.new(b'hello')))
            data = await loop.sock_recv_async(accepted, 3)
            self.assertEqual(data.get_data(), b'hel')
            data = await loop.sock_recv_async(accepted, 100)
            self.assertEqual(data.get_data(), b'lo')
            client.shutdown(False, True)
            self.assertEqual((await loop.sock_recv_async(accepted, 100)).get_size(), 0)

        self.run_program(program)

    # Rules: K-9
    def test_much(self):
        """More than the kernel keeps: both ends work at the same time."""
        async def program():
            client, accepted = await self.pair()
            sent = bytes(range(256)) * 16384
            sending = self.loop.sock_sendall_async(client, sent)
            received = bytearray()
            while len(received) < len(sent):
                received += (await self.loop.sock_recv_async(accepted, 1 << 20)).get_data()
            self.assertTrue(await sending)
            self.assertEqual(received, sent)

        self.run_program(program)

    # Rules: K-7
    def test_into(self):
        """The buffer is Python's, whatever happens to it meanwhile."""
        async def program():
            loop = self.loop
            client, accepted = await self.pair()
            buffer = bytearray(b'.' * 8)
            receiving = loop.sock_recv_into_async(accepted, memoryview(buffer)[2:6])
            gc.collect()
            await loop.sock_sendall_async(client, b'hello')
            self.assertEqual(await receiving, 4)
            self.assertEqual(buffer, b'..hell..')
            self.assertEqual(await loop.sock_recv_into_async(accepted, buffer), 1)
            self.assertEqual(buffer[:2], b'o.')
            with self.assertRaises(TypeError):
                loop.sock_recv_into_async(accepted, b'this cannot be written to')

            async def forgotten():
                loop.sock_recv_into_async(accepted, bytearray(4096)).cancel()

            await forgotten()
            gc.collect()
            await loop.sock_sendall_async(client, b'x' * 4096)

        self.run_program(program)

    # Rules: K-7
    def test_callbacks(self):
        """The same in GIO's style, with further arguments for the callback."""
        async def program():
            loop = self.loop
            client, accepted = await self.pair()
            ended = loop.create_future()
            buffer = bytearray(8)

            def received_into(source, result, number):
                self.assertEqual(source, loop)
                ended.set_result((number, loop.sock_recv_into_finish(result), bytes(buffer)))

            def received(source, result, number):
                self.assertEqual(loop.sock_recv_finish(result).get_data(), b'he')
                loop.sock_recv_into_async(accepted, buffer, None, received_into, number + 1)

            loop.sock_recv_async(accepted, 2, None, received, 1)
            loop.sock_sendall_async(client, GLib.Bytes.new(b'hello'), None, None)
            self.assertEqual(await ended, (2, 3, b'llo\0\0\0\0\0'))

        self.run_program(program)

    # Rules: K-7
    def test_arguments(self):
        """By name and by position; what may be left out is left out."""
        async def program():
            loop = self.loop
            client, accepted = await self.pair()
            await loop.sock_sendall_async(bytes=memoryview(b'hello'), socket=client)
            self.assertEqual((await loop.sock_recv_async(accepted, n=9, cancellable=None)).get_data(), b'hello')
            with self.assertRaisesRegex(TypeError, 'n'):
                loop.sock_recv_async(accepted)
            with self.assertRaisesRegex(TypeError, 'size'):
                loop.sock_recv_async(accepted, 3, size=3)
            with self.assertRaises(TypeError):
                loop.sock_recv_async(accepted, 3, None, 'not a function')

        self.run_program(program)

    # Rules: K-8, K-10
    def test_datagram_sockets(self):
        async def program():
            loop = self.loop
            left, right = (new_socket(Gio.SocketType.DATAGRAM) for _ in range(2))
            for sock in (left, right):
                sock.bind(address(), False)
            self.assertEqual(await loop.sock_sendto_async(left, b'hello', right.get_local_address()), 5)
            data, sender = await loop.sock_recvfrom_async(right, 100)
            self.assertEqual(data.get_data(), b'hello')
            self.assertEqual(sender.get_port(), left.get_local_address().get_port())
            buffer = bytearray(16)
            receiving = loop.sock_recvfrom_into_async(left, buffer)
            self.assertEqual(await loop.sock_sendto_async(right, GLib.Bytes.new(b'back'), sender), 4)
            size, sender = await receiving
            self.assertEqual((size, bytes(buffer[:size])), (4, b'back'))
            self.assertEqual(sender.get_port(), right.get_local_address().get_port())

        self.run_program(program)

    # Rules: K-11
    def test_refused(self):
        async def program():
            nobody = bound()
            with self.assertRaises(GLib.Error) as caught:
                await self.loop.sock_connect_async(new_socket(), nobody.get_local_address())
            self.assertIOError(caught.exception, Gio.IOErrorEnum.CONNECTION_REFUSED)

        self.run_program(program)

    # Rules: K-5, K-18
    def test_cancel(self):
        async def program():
            loop = self.loop
            client, accepted = await self.pair()
            cancellable = Gio.Cancellable()
            receiving = loop.sock_recv_async(accepted, 10, cancellable)
            loop.call_soon(cancellable.cancel)
            with self.assertRaises(GLib.Error) as caught:
                await receiving
            self.assertIOError(caught.exception, Gio.IOErrorEnum.CANCELLED)

            # a future that is cancelled cancels what it is the future of
            receiving = loop.sock_recv_async(accepted, 10)
            waited = loop.create_future()
            loop.call_soon(loop.call_soon, receiving.cancel)
            receiving.add_done_callback(lambda future: waited.set_result(future.cancelled()))
            self.assertTrue(await waited)
            await loop.sock_sendall_async(client, b'later')
            self.assertEqual((await loop.sock_recv_async(accepted, 10)).get_data(), b'later')

        self.run_program(program)

    # Rules: K-2, K-12
    def test_errors(self):
        async def program():
            sock = new_socket()
            sock.close()
            with self.assertRaises(GLib.Error) as caught:
                await self.loop.sock_recv_async(sock, 1)
            self.assertIOError(caught.exception, Gio.IOErrorEnum.CLOSED)

        self.run_program(program)

    # Rules: T-12, N-22
    def test_endpoint(self):
        async def program():
            loop = self.loop
            server = await loop.create_datagram_endpoint_async(address())
            client = await loop.create_datagram_endpoint_async(remote=server.get_local_address())
            self.assertIsInstance(server, Evp.DatagramEndpoint)
            self.assertEqual(client.get_loop(), loop)

            client.send(b'one')
            data, sender = await server.receive_async()
            self.assertEqual(data.get_data(), b'one')
            server.send(GLib.Bytes.new(b'two'), sender)
            data, sender = await client.receive_async()
            self.assertEqual((data.get_data(), sender.get_port()), (b'two', server.get_local_address().get_port()))

            # by signal
            seen = loop.create_future()
            server.connect('datagram-received', lambda endpoint, data, sender, extra: seen.set_result(
                (endpoint == server, data.get_data(), sender.get_port(), extra)), 'extra')
            client.send(data=b'three')
            self.assertEqual(await seen, (True, b'three', client.get_local_address().get_port(), 'extra'))

            with self.assertRaises(GLib.Error):
                client.send(b'elsewhere', address(9))
            closed = loop.create_future()
            server.connect('closed', closed.set_result)
            server.close()
            client.close()
            self.assertTrue(server.is_closing())
            self.assertEqual(await closed, server)
            with self.assertRaises(GLib.Error) as caught:
                server.get_local_address()
            self.assertIOError(caught.exception, Gio.IOErrorEnum.CLOSED)

        self.run_program(program)

    # Rules: T-12
    def test_endpoint_error(self):
        async def program():
            loop = self.loop
            options = Evp.DatagramOptions(family=Gio.SocketFamily.IPV4)
            nobody = bound(Gio.SocketType.DATAGRAM)
            client = await loop.create_datagram_endpoint_async(None, nobody.get_local_address(), options)
            nobody.close()
            failed = loop.create_future()
            client.connect('error-received', lambda endpoint, error: failed.set_result(error))
            client.connect('datagram-received', lambda *given: self.fail('nobody can have answered'))
            client.send(b'is anybody there?')
            error = await failed
            self.assertIsInstance(error, GLib.Error)
            self.assertIOError(error, Gio.IOErrorEnum.CONNECTION_REFUSED)
            client.abort()

        self.run_program(program)

    # Rules: N-24
    def test_names(self):
        async def program():
            loop = self.loop
            found = await loop.getaddrinfo_async('127.0.0.1', '80', Gio.SocketFamily.IPV4)
            self.assertEqual([(item.get_address().to_string(), item.get_port()) for item in found], [('127.0.0.1', 80)])
            self.assertEqual(len(await loop.getaddrinfo_async('127.0.0.1')), 1)
            host, service = await loop.getnameinfo_async(address(80))
            self.assertTrue(host)
            self.assertIn(service, ('http', '80'))

        self.run_program(program)

    # Rules: K-5
    def test_dropped_elsewhere(self):
        """The last references of sockets, futures and endpoints go on another thread."""
        async def program():
            loop = self.loop
            things = []
            for _ in range(10):
                left, right = await self.pair()
                things += [left, right, loop.sock_recv_async(right, 10), loop.sock_accept_async(listener()),
                           await loop.create_datagram_endpoint_async(address())]
                things[-1].receive_async(None, lambda endpoint, result: None)
                things[-1].close()
            del left, right

            def drop():
                while things:
                    del things[:7]
                    gc.collect()

            thread = threading.Thread(target=drop)
            thread.start()
            while thread.is_alive():
                await self.tick()
            thread.join()

        self.run_program(program)

    async def tick(self):
        future = self.loop.create_future()
        self.loop.call_later(0.001, future.set_result)
        await future


class SelectorTest(Contract, TestCase):
    make = Evp.SelectorEventLoop


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
    """It has readers and writers, and gets the rest for them."""
    make = PythonLoop


if __name__ == '__main__':
    main()
