#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Datagrams: an echo server over UDP, and a client that asks it."""

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp, Gio  # noqa: E402


def echo(server, data, sender):
    print(f'{data.get_size()} bytes from {sender.get_address().to_string()}')
    server.send(data, sender)


async def main(loop):
    any_port = Gio.InetSocketAddress.new_from_string('127.0.0.1', 0)
    server = await loop.create_datagram_endpoint_async(any_port, None, None)
    server.connect('datagram-received', echo)

    client = await loop.create_datagram_endpoint_async(None, server.get_local_address(), None)
    client.send(b'hello')
    answer, _ = await client.receive_async()
    print(f'the answer: {answer.get_data().decode()}')

    client.close()
    server.close()


Evp.run(main)
