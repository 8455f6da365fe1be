# SPDX-License-Identifier: LGPL-2.1-or-later
"""Datagrams, names and files over sockets, awaited and with callbacks."""

import os
import socket
import tempfile

from gi.repository import Gio

from evptest import Evp, GLib, TestCase, main


class DatagramsTest(TestCase):
    def setUp(self):
        super().setUp()
        self.loop = self.new_loop()
        self.any_port = Gio.InetSocketAddress.new_from_string('127.0.0.1', 0)

    def run_task(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    # Rules: T-12
    def test_talk(self):
        async def talk():
            server = await self.loop.create_datagram_endpoint_async(self.any_port, None, None)
            client = await self.loop.create_datagram_endpoint_async(None, server.get_local_address(), None)
            server.connect('datagram-received', lambda self, data, address: self.send(data, address))
            client.send(b'hello')
            client.send(GLib.Bytes.new(b''))
            answers = [await client.receive_async() for _ in range(2)]
            with self.assertRaises(GLib.Error) as caught:
                client.send(b'astray', self.any_port)
            client.close()
            server.close()
            return [answer.get_data() or b'' for answer, _ in answers], answers[0][1].get_port(), caught.exception

        data, port, error = self.run_task(talk())
        self.assertEqual(data, [b'hello', b''])
        self.assertGreater(port, 0)
        self.assertTrue(error.matches(Evp.Error.quark(), Evp.Error.INVALID_ARGUMENT))

    # Rules: N-22, N-23
    def test_options(self):
        async def make():
            options = Evp.DatagramOptions(family=Gio.SocketFamily.IPV4, allow_broadcast=True)
            endpoint = await self.loop.create_datagram_endpoint_async(None, None, options)
            broadcast = endpoint.get_socket().get_broadcast()
            endpoint.close()
            with self.assertRaises(GLib.Error) as caught:
                await self.loop.create_datagram_endpoint_async(None, None, None)
            return broadcast, caught.exception

        broadcast, error = self.run_task(make())
        self.assertTrue(broadcast)
        self.assertTrue(error.matches(Evp.Error.quark(), Evp.Error.INVALID_ARGUMENT))

    # Rules: T-12
    def test_callbacks(self):
        seen = []

        def created(loop, result, text):
            seen.append(text)
            self.endpoint = loop.create_datagram_endpoint_finish(result)
            self.endpoint.receive_async(None, received)
            self.endpoint.send(b'to itself', self.endpoint.get_local_address())

        def received(endpoint, result):
            data, _ = endpoint.receive_finish(result)
            seen.append(data.get_data())
            endpoint.close()
            self.loop.stop()

        self.loop.create_datagram_endpoint_async(self.any_port, None, None, None, created, 'created')
        self.loop.run_forever()
        self.assertEqual(seen, ['created', b'to itself'])

    # Rules: N-2
    def test_names(self):
        async def look_up():
            addresses = await self.loop.getaddrinfo_async('127.0.0.1', '80', Gio.SocketFamily.INVALID)
            host, service = await self.loop.getnameinfo_async(addresses[0])
            return [(a.get_address().to_string(), a.get_port()) for a in addresses], host, service

        addresses, host, service = self.run_task(look_up())
        self.assertEqual(addresses, [('127.0.0.1', 80)])
        self.assertEqual((host, service), socket.getnameinfo(('127.0.0.1', 80), 0))

    # Rules: K-14, K-16
    def test_sendfile(self):
        ours, peer = socket.socketpair()
        self.addCleanup(peer.close)
        sock = Gio.Socket.new_from_fd(ours.detach())
        sock.set_blocking(False)
        self.addCleanup(sock.close)

        with tempfile.TemporaryFile() as file:
            file.write(b'0123456789')
            file.flush()

            async def send():
                return await self.loop.sock_sendfile_async(sock, file.fileno(), 2, 5, False)

            self.assertEqual(self.run_task(send()), 5)
            self.assertEqual(peer.recv(64), b'23456')
            self.assertEqual(os.lseek(file.fileno(), 0, os.SEEK_CUR), 7)


if __name__ == '__main__':
    main()
