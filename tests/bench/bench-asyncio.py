#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""evp_asyncio compared with stock asyncio, gbulb and uvloop. By hand, on a machine that does nothing else.

    bench-asyncio.py [--rounds N] [--seconds S] [--case NAME]…

Each figure comes from a process of its own. In every round all loops take turns, stock's twice: what lies between
its two figures is noise. Printed are medians: for stock what is done in a second of the processor's time, that of all
threads, and of children where those are what is measured; for the others the share of it. The line below has the same
by the clock, which on a machine that does something else as well means little.

Beside idle connections a third line has what is left of what each does without them.

"no loop" does the work with nothing but system calls: one epoll that never changes, fork and wait. What it reaches
is the limit for every loop in Python.

Echo servers count the requests of ten connections of a client in another process. The thresholds at which malloc
gives memory back are pinned: otherwise they decide, not the loops.
"""

import argparse
import asyncio
import json
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import time

LOOPS = ('stock', 'evp', 'stock again', 'gbulb', 'uvloop', 'no loop')
SIZES = {'1k': 1024, '10k': 10 * 1024, '100k': 100 * 1024}
CASES = ([f'{kind} {size}' for kind in ('protocol', 'streams', 'sock') for size in SIZES]
         + ['idle 1k', 'chain', 'many', 'timers', 'spawn'])
# at least this share of stock's
FLOORS = {'chain': 0.7, 'timers': 0.7}
GBULB = 3  # and this many times gbulb's
IDLE = 1000  # connections, and what is left beside them of what there is without
IDLE_FLOOR = 0.95


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


class Meter:
    """The seconds that something takes: the processor's, and the clock's."""

    def __init__(self, children=False):
        self.whose = [resource.RUSAGE_SELF] + [resource.RUSAGE_CHILDREN] * children
        self.start = self.now()

    def now(self):
        usages = [resource.getrusage(whose) for whose in self.whose]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages), time.perf_counter()

    def rates(self, count):
        return [count / (now - start) for now, start in zip(self.now(), self.start)]


# The client: as many requests as there are connections are on their way at any time

def client(port, size, idle):
    def connect():
        connection = socket.create_connection(('127.0.0.1', port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    if idle:
        waiting = [connect() for _ in range(idle)]
        while waiting:
            time.sleep(3600)
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


# The servers

class Echo(asyncio.Protocol):
    size = 0
    count = 0
    connections = 0

    def connection_made(self, transport):
        Echo.connections += 1
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
    async def count():
        before, meter = Echo.count, Meter()
        await asyncio.sleep(seconds)
        return meter.rates(Echo.count - before)

    processes = [start_client(listener)]
    while Echo.count < 100:
        await asyncio.sleep(0.01)
    rates = await count()
    if kind == 'idle':
        processes.append(start_client(listener, IDLE))
        while Echo.connections < IDLE + 10:
            await asyncio.sleep(0.01)
        without, rates = rates, await count()
        rates.append(rates[0] / without[0])
    for process in processes:
        process.kill()
        process.wait()
    return rates


def start_client(listener, idle=0):
    return subprocess.Popen([sys.executable, __file__, '--client', str(listener.getsockname()[1]), str(Echo.size),
                             str(idle)])


def bare_echo(kind, size, seconds):
    Echo.size = SIZES[size]
    listener = socket.create_server(('127.0.0.1', 0), backlog=2000)
    processes = [start_client(listener)] + ([start_client(listener, IDLE)] if kind == 'idle' else [])
    poll = select.epoll()
    connections = {}
    for _ in range(10 + (IDLE if kind == 'idle' else 0)):
        connection, _address = listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections[connection.fileno()] = [connection, 0, b'']
        poll.register(connection, select.EPOLLIN)
    meter = None
    while meter is None or time.perf_counter() - meter.start[1] < seconds:
        for fd, event in poll.poll():
            entry = connections[fd]
            if event & select.EPOLLIN:
                data = entry[0].recv(1 << 18)
                entry[1] += len(data)
            else:
                data = entry[2]
            try:
                left = data[entry[0].send(data):]
            except BlockingIOError:
                left = data
            if left or entry[2]:
                poll.modify(fd, select.EPOLLOUT if left else select.EPOLLIN)
                entry[2] = left
            if not left and entry[1] >= Echo.size:
                entry[1] -= Echo.size
                Echo.count += 1
        if meter is None and Echo.count >= 100:
            count, meter = Echo.count, Meter()
    rates = meter.rates(Echo.count - count)
    for process in processes:
        process.kill()
        process.wait()
    return rates


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

    meter = Meter()
    loop.call_soon(step)
    await done
    return meter.rates(100000)


async def many(_seconds):
    loop = asyncio.get_running_loop()

    def step():
        pass

    meter = Meter()
    for _ in range(2000):
        for _ in range(100):
            loop.call_soon(step)
        await asyncio.sleep(0)
    return meter.rates(200000)


async def timers(_seconds):
    loop = asyncio.get_running_loop()
    meter = Meter()
    for _ in range(1000):
        for handle in [loop.call_later(60, print) for _ in range(100)]:
            handle.cancel()
        await asyncio.sleep(0)
    return meter.rates(100000)


async def spawn(_seconds):
    meter = Meter(children=True)
    for _ in range(20):
        processes = [await asyncio.create_subprocess_exec('/bin/true') for _ in range(10)]
        for process in processes:
            await process.wait()
    return meter.rates(200)


def bare_spawn():
    meter = Meter(children=True)
    for _ in range(20):
        for process in [subprocess.Popen('/bin/true') for _ in range(10)]:
            process.wait()
    return meter.rates(200)


def measure_bare(case, seconds):
    kind, _, size = case.partition(' ')
    if kind == 'spawn':
        return bare_spawn()
    if size and kind != 'streams':
        return bare_echo(kind, size, seconds)
    return None


def measure(name, case, seconds):
    if name == 'no loop':
        finish(measure_bare(case, seconds))
    loop = new_loop(name)
    asyncio.set_event_loop(loop)
    if case == 'spawn':
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(loop)
        if name not in ('uvloop', 'gbulb'):
            asyncio.set_child_watcher(watcher)
    kind, _, size = case.partition(' ')
    finish(loop.run_until_complete(echo(kind, size, seconds) if size else globals()[kind](seconds)))


def finish(rates):
    print(json.dumps(rates), flush=True)
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
        show(case, {name: [statistics.median(column) for column in zip(*filter(None, rates[name]))]
                    for name in LOOPS})


def show(case, medians):
    """Prints the shares of a case, of the processor's time and of the clock's, and what falls short."""
    stock = medians['stock']
    for title, of in ((case, 0), ('   by the clock', 1)):
        if not stock:
            print(f'{title:15}{"–":>14}', flush=True)
            continue
        line = f'{title:15}{stock[of]:14,.0f}'
        for name in LOOPS[1:]:
            line += f'{medians[name][of] / stock[of]:14.2f}' if medians[name] else f'{"–":>14}'
        if of == 0 and medians['evp']:
            reached, floor = medians['evp'][0], FLOORS.get(case, 0.9)
            if reached < floor * stock[0]:
                line += f'   below {floor} × stock'
            if medians['gbulb'] and reached < GBULB * medians['gbulb'][0]:
                line += f'   {reached / medians["gbulb"][0]:.1f} × gbulb'
        print(line, flush=True)
    if stock and len(stock) > 2:
        line = f'{"   of none idle":15}' + ''.join(f'{medians[name][2]:14.2f}' for name in LOOPS if len(medians[name]) > 2)
        print(line + ('' if medians['evp'][2] >= IDLE_FLOOR else f'   below {IDLE_FLOOR}'), flush=True)


if __name__ == '__main__':
    main()
