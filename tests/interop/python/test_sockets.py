# SPDX-License-Identifier: LGPL-2.1-or-later
"""The operations on sockets, awaited and with callbacks."""

import socket

from gi.repository import Gio

from evptest import Evp, GLib, TestCase, main


def wrap(sock):
    """The GSocket of a Python socket, which gives its descriptor away."""
    wrapped = Gio.Socket.new_from_fd(sock.detach())
    wrapped.set_blocking(False)
    return wrapped


class SocketsTest(TestCase):
    def setUp(self):
        super().setUp()
        self.loop = self.new_loop()
        ours, self.peer = socket.socketpair()
        self.sock = wrap(ours)
        self.addCleanup(self.peer.close)
        self.addCleanup(self.sock.close)

    def run_task(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    # Rules: K-7, K-9
    def test_awaited(self):
        loop = self.loop

        async def talk():
            await loop.sock_sendall_async(self.sock, GLib.Bytes.new(b'hello'))
            self.assertEqual(self.peer.recv(64), b'hello')
            loop.call_soon(self.peer.send, b'world')
            received = await loop.sock_recv_async(self.sock, 64)
            self.assertEqual(received.get_data(), b'world')
            self.peer.shutdown(socket.SHUT_WR)
            received = await loop.sock_recv_async(self.sock, 64)
            self.assertEqual(received.get_size(), 0)
            return 'done'

        self.assertEqual(self.run_task(talk()), 'done')

    # Rules: K-7
    def test_recv_into(self):
        loop = self.loop

        async def talk():
            buffer = bytearray(b'........')
            self.peer.send(b'hello')
            self.assertEqual(await loop.sock_recv_into_async(self.sock, buffer), 5)
            self.assertEqual(buffer, b'hello...')
            loop.call_soon(self.peer.send, b'0123456789')
            self.assertEqual(await loop.sock_recv_into_async(self.sock, memoryview(buffer)[2:5]), 3)
            self.assertEqual(buffer, b'he012...')
            with self.assertRaises(TypeError):
                loop.sock_recv_into_async(self.sock, b'constant')

        self.run_task(talk())

    # Rules: K-7
    def test_callbacks(self):
        loop, seen, buffer = self.loop, [], bytearray(4)

        def received(source, result, mark):
            seen.append((mark, source.sock_recv_finish(result).get_data()))
            source.sock_recv_into_async(self.sock, buffer, None, received_into, 'second')

        def received_into(source, result, mark):
            seen.append((mark, source.sock_recv_into_finish(result)))
            loop.stop()

        loop.sock_recv_async(self.sock, 3, None, received, 'first')
        self.peer.send(b'abcde')
        loop.run_forever()
        self.assertEqual(seen, [('first', b'abc'), ('second', 2)])
        self.assertEqual(bytes(buffer), b'de\0\0')

    # Rules: K-5, U-12
    def test_cancelled(self):
        loop = self.loop

        async def talk():
            future = loop.sock_recv_async(self.sock, 64)
            loop.call_soon(future.cancel)
            try:
                await future
            except BaseException:  # pylint: disable=broad-except
                self.assertTrue(future.cancelled())
            self.peer.send(b'kept')
            self.assertEqual((await loop.sock_recv_async(self.sock, 64)).get_data(), b'kept')

        self.run_task(talk())

    # Rules: K-11, K-12
    def test_connect_accept(self):
        loop = self.loop
        listening = socket.create_server(('127.0.0.1', 0))
        address = Gio.InetSocketAddress.new_from_string(*listening.getsockname())
        listener = wrap(listening)
        self.addCleanup(listener.close)

        async def talk():
            client = wrap(socket.socket())
            accepting = loop.sock_accept_async(listener)
            self.assertTrue(await loop.sock_connect_async(client, address))
            server = await accepting
            self.assertFalse(server.get_blocking())
            await loop.sock_sendall_async(client, GLib.Bytes.new(b'hi'))
            self.assertEqual((await loop.sock_recv_async(server, 64)).get_data(), b'hi')
            client.close()
            self.assertEqual((await loop.sock_recv_async(server, 64)).get_size(), 0)
            server.close()

        self.run_task(talk())

    # Rules: K-8, K-10
    def test_datagrams(self):
        loop = self.loop
        receiving = socket.socket(type=socket.SOCK_DGRAM)
        receiving.bind(('127.0.0.1', 0))
        address = Gio.InetSocketAddress.new_from_string(*receiving.getsockname())
        receiver, sender = wrap(receiving), wrap(socket.socket(type=socket.SOCK_DGRAM))
        self.addCleanup(receiver.close)
        self.addCleanup(sender.close)

        async def talk():
            buffer = bytearray(8)
            self.assertEqual(await loop.sock_sendto_async(sender, GLib.Bytes.new(b'one'), address), 3)
            datagram, origin = await loop.sock_recvfrom_async(receiver, 64)
            self.assertEqual(datagram.get_data(), b'one')
            self.assertEqual(origin.get_port(), sender.get_local_address().get_port())
            await loop.sock_sendto_async(sender, GLib.Bytes.new(b'two'), address)
            self.assertEqual((await loop.sock_recvfrom_into_async(receiver, buffer))[0], 3)
            self.assertEqual(bytes(buffer[:3]), b'two')

        self.run_task(talk())


if __name__ == '__main__':
    main()
