#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""evp_asyncio compared with stock asyncio, gbulb and uvloop. By hand, on a machine that does nothing else.

    bench-asyncio.py [--rounds N] [--seconds S] [--case NAME]…

Each loop has a process of its own, a new one in each round, in which all of them take turns five times, stock's
twice: what lies between its two figures is noise. One process does not tell much: how its memory happens to be laid
out can make a third of a difference.

Printed are medians: for stock what is done in a second of the processor's time, that of all threads, and of children
where those are what is measured; for the others the share of stock's in the same turn. The line below has the same
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
import math
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
TURNS = 5  # in a round
BESIDE, ALONE = 'idle 1k', 'protocol 1k'


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
        waiting[0].recv(1)  # until the server is gone
        return
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
    tasks = set()

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


async def prepare_echo(kind, size):
    loop = asyncio.get_running_loop()
    Echo.size = SIZES[size]
    listener = socket.create_server(('127.0.0.1', 0), backlog=2000)
    listener.setblocking(False)
    if kind == 'streams':
        await asyncio.start_server(echo_streams, sock=listener, limit=1 << 18)
    elif kind == 'sock':
        async def accept():
            while True:
                connection, _address = await loop.sock_accept(listener)
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Echo.tasks.add(loop.create_task(echo_sock(loop, connection)))
        Echo.tasks.add(loop.create_task(accept()))
    else:
        await loop.create_server(Echo, sock=listener)

    start_client(listener)
    if kind == 'idle':
        start_client(listener, IDLE)
    while Echo.count < 100 or (kind == 'idle' and Echo.connections < IDLE + 10):
        await asyncio.sleep(0.01)


async def echo(seconds):
    before, meter = Echo.count, Meter()
    await asyncio.sleep(seconds)
    return meter.rates(Echo.count - before)


def start_client(listener, idle=0):
    subprocess.Popen([sys.executable, __file__, '--client', str(listener.getsockname()[1]), str(Echo.size),
                      str(idle)])  # ends when we do


def prepare_bare_echo(kind, size):
    Echo.size = SIZES[size]
    listener = socket.create_server(('127.0.0.1', 0), backlog=2000)
    start_client(listener)
    if kind == 'idle':
        start_client(listener, IDLE)
    poll = select.epoll()
    connections = {}
    for _ in range(10 + (IDLE if kind == 'idle' else 0)):
        connection, _address = listener.accept()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connections[connection.fileno()] = [connection, 0, b'']
        poll.register(connection, select.EPOLLIN)

    def bare_echo(seconds):
        before, meter = Echo.count, Meter()
        while time.perf_counter() - meter.start[1] < seconds:
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
        return meter.rates(Echo.count - before)

    return bare_echo


async def chain(_seconds):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    left = 20000

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
    return meter.rates(20000)


async def many(_seconds):
    loop = asyncio.get_running_loop()

    def step():
        pass

    meter = Meter()
    for _ in range(400):
        for _ in range(100):
            loop.call_soon(step)
        await asyncio.sleep(0)
    return meter.rates(40000)


async def timers(_seconds):
    loop = asyncio.get_running_loop()
    meter = Meter()
    for _ in range(200):
        for handle in [loop.call_later(60, print) for _ in range(100)]:
            handle.cancel()
        await asyncio.sleep(0)
    return meter.rates(20000)


async def spawn(_seconds):
    meter = Meter(children=True)
    for _ in range(3):
        processes = [await asyncio.create_subprocess_exec('/bin/true') for _ in range(10)]
        for process in processes:
            await process.wait()
    return meter.rates(30)


def bare_spawn(_seconds):
    meter = Meter(children=True)
    for _ in range(3):
        for process in [subprocess.Popen('/bin/true') for _ in range(10)]:
            process.wait()
    return meter.rates(30)


# One loop in a process: it works when it is told to

def measurement(name, case):
    """A function that works for some seconds; None where there is nothing to compare."""
    kind, _, size = case.partition(' ')
    if name == 'no loop':
        if kind == 'spawn':
            return bare_spawn
        return prepare_bare_echo(kind, size) if size and kind != 'streams' else None
    loop = new_loop(name)
    asyncio.set_event_loop(loop)
    if kind == 'spawn' and name not in ('uvloop', 'gbulb'):
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(loop)
        asyncio.set_child_watcher(watcher)
    if size:
        loop.run_until_complete(prepare_echo(kind, size))
    work = echo if size else globals()[kind]
    return lambda seconds: loop.run_until_complete(work(seconds))


def measure(name, case, seconds):
    work = measurement(name, case)
    for _turn in sys.stdin if work is not None else ():
        print(json.dumps(work(seconds)), flush=True)
    os._exit(0)


class Worker:
    def __init__(self, name, case, seconds):
        self.process = subprocess.Popen(
            [sys.executable, '-W', 'ignore', __file__, '--measure', name, case, str(seconds)], text=True,
            env={**os.environ, 'MALLOC_TRIM_THRESHOLD_': str(256 << 20), 'MALLOC_MMAP_THRESHOLD_': str(256 << 20)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def work(self):
        """The rates of a turn, or None: gbulb cannot do everything."""
        try:
            print('go', file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, ValueError):
            return None

    def end(self):
        self.process.kill()
        self.process.communicate()


def main():
    if sys.argv[1:2] == ['--client']:
        client(*map(int, sys.argv[2:5]))
        return
    if sys.argv[1:2] == ['--measure']:
        measure(sys.argv[2], sys.argv[3], float(sys.argv[4]))
        return

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--seconds', type=float, default=0.1)
    parser.add_argument('--case', action='append', choices=CASES)
    arguments = parser.parse_args()
    print(f'{"":15}' + ''.join(f'{name:>14}' for name in LOOPS))
    for case in arguments.case or CASES:
        cases = (case, ALONE) if case == BESIDE else (case,)
        rates = {(each, name): [] for name in LOOPS for each in cases}
        for _ in range(arguments.rounds):
            workers = {(each, name): Worker(name, each, arguments.seconds) for each, name in rates}
            for _ in range(TURNS):
                for key, worker in workers.items():
                    rates[key].append(worker.work())
            for worker in workers.values():
                worker.end()
        show(case, {name: rates[case, name] for name in LOOPS})
        if case == BESIDE:
            left = {name: share(0, rates[case, name], rates[ALONE, name]) for name in LOOPS}
            print(f'{"   of none idle":15}' + columns(left.values())
                  + (f'   below {IDLE_FLOOR}' if left['evp'] < IDLE_FLOOR else ''), flush=True)


def share(of, rates, others):
    """The median of what one did in relation to another in the same turn, or NaN."""
    shares = [rate[of] / other[of] for rate, other in zip(rates, others) if rate and other]
    return statistics.median(shares) if shares else math.nan


def columns(values):
    return ''.join(f'{"–":>14}' if math.isnan(value) else f'{value:14.2f}' for value in values)


def show(case, rates):
    """Prints the shares of a case, of the processor's time and of the clock's, and what falls short."""
    stock = rates['stock']
    for title, of in ((case, 0), ('   by the clock', 1)):
        count = statistics.median([rate[of] for rate in stock if rate] or [0])
        line = f'{title:15}{count:14,.0f}' + columns(share(of, rates[name], stock) for name in LOOPS[1:])
        if of == 0:
            floor = FLOORS.get(case, 0.9)
            if share(0, rates['evp'], stock) < floor:
                line += f'   below {floor} × stock'
            times = share(0, rates['evp'], rates['gbulb'])
            if times < GBULB:
                line += f'   {times:.1f} × gbulb'
        print(line, flush=True)


if __name__ == '__main__':
    main()
