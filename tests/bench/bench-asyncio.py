#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""evp_asyncio compared with stock asyncio, gbulb and uvloop. By hand, on a machine that does nothing else.

    bench-asyncio.py [--rounds N] [--seconds S] [--case NAME]…

Each figure comes from a process of its own. In every round all loops take turns, stock's twice: what lies between
its two figures is noise. Printed are medians, as what is done in a second of the processor's time, and as shares of stock's.

Echo servers count the requests of ten connections of a client in another process. The thresholds at which malloc
gives memory back are pinned: otherwise they decide, not the loops.
"""

import argparse
import asyncio
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import time

LOOPS = ('stock', 'evp', 'stock again', 'gbulb', 'uvloop')
SIZES = {'1k': 1024, '10k': 10 * 1024, '100k': 100 * 1024}
CASES = ([f'{kind} {size}' for kind in ('protocol', 'streams', 'sock') for size in SIZES]
         + ['idle 1k', 'chain', 'many', 'timers', 'spawn'])
# at least this share of stock's
FLOORS = {'chain': 0.7, 'timers': 0.7}


def new_loop(name):
    if name == 'evp':
        import evp_asyncio
        return evp_asyncio.EventLoop()
    if name == 'uvloop':
        import uvloop
        return uvloop.new_event_loop()
    if name == 'gbulb':
        import gbulb
        gbulb.install()
        return asyncio.new_event_loop()
    return asyncio.SelectorEventLoop()


# The client: as many requests as there are connections are on their way at any time

def client(port, size, idle):
    def connect():
        connection = socket.create_connection(('127.0.0.1', port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    waiting = [connect() for _ in range(idle)]
    poll = select.epoll()
    connections = {}
    message = b'x' * size
    for _ in range(10):
        connection = connect()
        connections[connection.fileno()] = [connection, 0]
        poll.register(connection, select.EPOLLIN)
    buffer = bytearray(1 << 18)
    for connection, _left in connections.values():
        connection.sendall(message)
    try:
        while True:
            for fd, _events in poll.poll():
                entry = connections[fd]
                received = entry[0].recv_into(buffer)
                if not received:
                    return
                entry[1] += received
                if entry[1] >= size:
                    entry[1] -= size
                    entry[0].sendall(message)
    except OSError:
        pass
    finally:
        del waiting


# The servers

class Echo(asyncio.Protocol):
    size = 0
    count = 0

    def connection_made(self, transport):
        transport.get_extra_info('socket').setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = transport
        self.received = 0

    def data_received(self, data):
        self.transport.write(data)
        self.received += len(data)
        if self.received >= Echo.size:
            self.received -= Echo.size
            Echo.count += 1


async def echo_streams(reader, writer):
    try:
        while True:
            writer.write(await reader.readexactly(Echo.size))
            await writer.drain()
            Echo.count += 1
    except (OSError, asyncio.IncompleteReadError):
        writer.close()


async def echo_sock(loop, connection):
    try:
        received = 0
        while True:
            data = await loop.sock_recv(connection, 1 << 18)
            if not data:
                break
            await loop.sock_sendall(connection, data)
            received += len(data)
            if received >= Echo.size:
                received -= Echo.size
                Echo.count += 1
    except OSError:
        pass
    connection.close()


async def echo(kind, size, seconds):
    loop = asyncio.get_running_loop()
    Echo.size = SIZES[size]
    listener = socket.create_server(('127.0.0.1', 0), backlog=2000)
    listener.setblocking(False)
    tasks = set()
    if kind == 'streams':
        await asyncio.start_server(echo_streams, sock=listener, limit=1 << 18)
    elif kind == 'sock':
        async def accept():
            while True:
                connection, _address = await loop.sock_accept(listener)
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                tasks.add(loop.create_task(echo_sock(loop, connection)))
        tasks.add(loop.create_task(accept()))
    else:
        await loop.create_server(Echo, sock=listener)
    process = subprocess.Popen([sys.executable, __file__, '--client', str(listener.getsockname()[1]),
                                str(Echo.size), '1000' if kind == 'idle' else '0'])
    while Echo.count < 100:
        await asyncio.sleep(0.01)
    count, start = Echo.count, time.process_time()
    await asyncio.sleep(seconds)
    rate = (Echo.count - count) / (time.process_time() - start)
    process.kill()
    process.wait()
    return rate


async def chain(_seconds):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = 100000

    def step():
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(step)
        else:
            done.set_result(None)

    start = time.process_time()
    loop.call_soon(step)
    await done
    return 100000 / (time.process_time() - start)


async def many(_seconds):
    loop = asyncio.get_running_loop()

    def step():
        pass

    start = time.process_time()
    for _ in range(2000):
        for _ in range(100):
            loop.call_soon(step)
        await asyncio.sleep(0)
    return 200000 / (time.process_time() - start)


async def timers(_seconds):
    loop = asyncio.get_running_loop()
    start = time.process_time()
    for _ in range(1000):
        for handle in [loop.call_later(60, print) for _ in range(100)]:
            handle.cancel()
        await asyncio.sleep(0)
    return 100000 / (time.process_time() - start)


async def spawn(_seconds):
    start = time.perf_counter()  # the children's time counts
    for _ in range(20):
        processes = [await asyncio.create_subprocess_exec('/bin/true') for _ in range(10)]
        for process in processes:
            await process.wait()
    return 200 / (time.perf_counter() - start)


def measure(name, case, seconds):
    loop = new_loop(name)
    asyncio.set_event_loop(loop)
    if case == 'spawn':
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(loop)
        if name not in ('uvloop', 'gbulb'):
            asyncio.set_child_watcher(watcher)
    kind, _, size = case.partition(' ')
    rate = loop.run_until_complete(echo(kind, size, seconds) if size else globals()[kind](seconds))
    print(json.dumps(rate), flush=True)
    os._exit(0)


def main():
    if sys.argv[1:2] == ['--client']:
        client(*map(int, sys.argv[2:5]))
        return
    if sys.argv[1:2] == ['--measure']:
        measure(sys.argv[2], sys.argv[3], float(sys.argv[4]))
        return

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=1)
    parser.add_argument('--case', action='append', choices=CASES)
    arguments = parser.parse_args()
    environment = {**os.environ, 'MALLOC_TRIM_THRESHOLD_': str(256 << 20), 'MALLOC_MMAP_THRESHOLD_': str(256 << 20)}

    print(f'{"":15}' + ''.join(f'{name:>14}' for name in LOOPS))
    for case in arguments.case or CASES:
        rates = {name: [] for name in LOOPS}
        for _ in range(arguments.rounds):
            for name in LOOPS:
                try:
                    done = subprocess.run([sys.executable, '-W', 'ignore', __file__, '--measure', name, case,
                                           str(arguments.seconds)], env=environment, capture_output=True, text=True,
                                          timeout=60 + 10 * arguments.seconds, check=True)
                    rates[name].append(json.loads(done.stdout))
                except (subprocess.SubprocessError, ValueError):
                    pass  # gbulb cannot do everything
        stock = statistics.median(rates['stock'] or [0])
        line = f'{case:15}{stock:14,.0f}'
        for name in LOOPS[1:]:
            line += f'{statistics.median(rates[name]) / stock:14.2f}' if rates[name] and stock else f'{"–":>14}'
        if rates['evp'] and stock:
            floor = FLOORS.get(case, 0.9)
            reached = statistics.median(rates['evp']) / stock
            line += '' if reached >= floor else f'   below {floor}'
        print(line, flush=True)


if __name__ == '__main__':
    main()
