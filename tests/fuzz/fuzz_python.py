# SPDX-License-Identifier: LGPL-2.1-or-later
"""The part of fuzz-api.py that runs in a process of its own: random calls from Python."""

import faulthandler
import fcntl
import gc
import json
import math
import os
import random
import resource
import signal
import socket
import sys
import threading
import time
import traceback

faulthandler.enable()

with open(sys.argv[1], encoding='utf-8') as file:
    JOB = json.load(file)

import gi  # noqa: E402

if not JOB['override']:
    sys.modules['gi.overrides.Evp'] = None
gi.require_version('Evp', '1.0')
from gi.repository import Evp, Gio, GLib, GObject  # noqa: E402

# Descriptors that are passed are never closed here: some calls take them. So there have to be enough.
LIMIT = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
# The log keeps out of the way of small numbers.
LOG = fcntl.fcntl(os.open(JOB['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND), fcntl.F_DUPFD_CLOEXEC, LIMIT - 8)
RANDOM = random.Random(JOB['seed'])
CHILD = os.environ.get('EVP_TEST_CHILD', '/bin/true')
LONG = 'x' * 100000
MAX_POOL = 400

# Waiting for what never comes is what these are for: arguments that end it are made below.
NEVER = {
    'await_finish',     # a future that is pending is waited for by its own loop
}

INTEGERS = {
    'gint8': (-2**7, 2**7 - 1), 'guint8': (0, 2**8 - 1), 'gint16': (-2**15, 2**15 - 1), 'guint16': (0, 2**16 - 1),
    'gint': (-2**31, 2**31 - 1), 'gint32': (-2**31, 2**31 - 1), 'guint': (0, 2**32 - 1), 'guint32': (0, 2**32 - 1),
    'gint64': (-2**63, 2**63 - 1), 'guint64': (0, 2**64 - 1), 'glong': (-2**63, 2**63 - 1),
    'gulong': (0, 2**64 - 1), 'gsize': (0, 2**64 - 1), 'gssize': (-2**63, 2**63 - 1), 'GLib.Pid': (-2**31, 2**31 - 1),
}
DOUBLES = (0.0, -0.0, 1e-9, 0.001, -1.0, 3.5, 1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan)
STRINGS = ('', 'x', 'default', 'a b', 'ä\u20ac\U0001f600', '%s%n%d', '/nonexistent/x', 'line\nline', LONG)
HOSTS = ('', '127.0.0.1', '::1', '0.0.0.0', '300.1.1.1.1.1', '\n', LONG)  # nothing that a name server would be asked


def log(text):
    os.write(LOG, (text[:300].replace('\n', ' ') + '\n').encode('utf-8', 'replace'))


def show(value):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:60] + f'…({len(text)})'


class Never(Exception):
    pass


def callback(*_arguments):
    if RANDOM.random() < 0.1:
        raise ValueError('raised on purpose')


def attempt(function, *arguments):
    """What a function returns, or None: there are kernels and moments in which something cannot be made."""
    try:
        return function(*arguments)
    except (GLib.Error, TypeError, ValueError, OSError, RuntimeError, OverflowError):
        return None


class Pool:
    """Objects that calls are made on and with, in all states."""

    def __init__(self):
        self.objects = []
        self.threads = []
        self.stock()

    def add(self, thing):
        if thing is None or isinstance(thing, (int, float, str, bytes, bool)):
            return thing
        if isinstance(thing, (tuple, list)):
            for item in thing[:8]:
                self.add(item)
            return thing
        if isinstance(thing, (GObject.Object, GObject.GInterface, GLib.Bytes, GLib.Variant)) or hasattr(thing, '__gtype__'):
            self.objects.append(thing)
            if len(self.objects) > MAX_POOL:
                del self.objects[RANDOM.randrange(len(self.objects))]
        return thing

    def stock(self):
        loops = [attempt(Evp.SelectorEventLoop), attempt(Evp.ProactorEventLoop)]
        for selector in (Evp.PollSelector, Evp.SelectSelector, Evp.EpollSelector):
            loops.append(attempt(lambda kind=selector: Evp.SelectorEventLoop(selector=kind())))
        loops.append(attempt(lambda: Evp.ProactorEventLoop(proactor=Evp.GioProactor())))
        loops.append(attempt(lambda: Evp.SelectorEventLoop(main_context=GLib.MainContext.default())))
        closed = [attempt(Evp.SelectorEventLoop), attempt(Evp.ProactorEventLoop)]
        self.add(loops)
        for loop in closed:
            if loop is not None:
                self.add([attempt(loop.call_soon, callback), attempt(loop.create_future)])
                loop.close()
                self.add(loop)
        self.elsewhere()
        for loop in filter(None, loops):
            pending, done, failed, cancelled = (loop.create_future() for _ in range(4))
            attempt(done.set_result, None)
            attempt(failed.set_error, GLib.Error.new_literal(Evp.Error.quark(), 'why', Evp.Error.FAILED))
            cancelled.cancel()
            self.add([pending, done, failed, cancelled])
            queued, run, cut = (loop.call_soon(callback) for _ in range(3))
            cut.cancel()
            self.add([queued, run, cut, loop.call_later(0.01, callback), loop.call_at(1e300, callback)])
            left, right = socket.socketpair()
            for end in (left, right):
                self.add(attempt(loop.connect_read_pipe, os.dup(end.fileno())))
                self.add(attempt(loop.connect_write_pipe, os.dup(end.fileno())))
                self.add(attempt(Gio.Socket.new_from_fd, os.dup(end.fileno())))
                end.close()
        for name in ('Pidfd', 'Threaded', 'Safe', 'Fast', 'MultiLoop', 'GLib'):
            watcher = attempt(getattr(Evp, name + 'ChildWatcher'))
            if watcher is not None and name != 'Fast':  # it takes everybody's children
                attempt(watcher.attach_loop, loops[0])
            self.add(watcher)
            closed = attempt(getattr(Evp, name + 'ChildWatcher'))
            if closed is not None:
                closed.close()
                self.add(closed)
        for name in ('Poll', 'Select', 'Epoll'):
            selector, closed = (getattr(Evp, name + 'Selector')() for _ in range(2))
            reader = self.fd()
            self.add(attempt(selector.register, reader, Evp.IOEvents.READ, None))
            closed.close()
            self.add([selector, closed])
        self.add([attempt(Evp.UringProactor.new), Evp.GioProactor(), attempt(Evp.UringProactor)])
        self.add([Evp.Executor(max_workers=1), Evp.Executor()])
        for name in ('Default', 'Selector', 'Proactor', 'MainContext', 'WindowsSelector', 'WindowsProactor'):
            self.add(attempt(getattr(Evp, name + 'EventLoopPolicy')))
        # half-made: any language can make any type without arguments
        for name in JOB['classes']:
            kind = getattr(Evp, name, None)
            if kind is not None and JOB['classes'][name]['kind'] == 'class' and not JOB['classes'][name]['abstract']:
                for _ in range(2):
                    self.add(attempt(GObject.new, kind.__gtype__))
            self.add(attempt(getattr(kind, 'new', object)))
        self.add([Gio.Cancellable(), Gio.Cancellable()])
        self.objects[-1].cancel()
        self.add([GLib.MainContext.new(), GLib.MainContext.default()])
        self.add([Gio.Task.new(None, None, None), Gio.Task.new(loops[0], None, None)])
        self.add([Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.DATAGRAM, 0),
                  Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.STREAM, 0),
                  Gio.Socket.new(Gio.SocketFamily.UNIX, Gio.SocketType.STREAM, 0)])
        closed = Gio.Socket.new(Gio.SocketFamily.IPV4, Gio.SocketType.STREAM, 0)
        closed.close()
        self.add(closed)
        self.add([Gio.InetSocketAddress.new_from_string('127.0.0.1', port) for port in (0, 1, 65535)])
        self.add([Gio.UnixSocketAddress.new('/nonexistent/socket'), Gio.UnixSocketAddress.new('socket')])
        self.add([Gio.InetAddress.new_from_string('127.0.0.1')])
        self.add([Gio.MemoryInputStream.new_from_bytes(GLib.Bytes.new(b'x' * 100000)),
                  Gio.MemoryOutputStream.new_resizable()])
        self.add(Gio.SimpleIOStream.new(self.objects[-2], self.objects[-1]))
        with open('file', 'wb') as small:
            small.write(b'0123456789')
        self.add([Gio.File.new_for_path(path) for path in ('file', 'other', 'missing/file', '.')])
        self.add([GLib.Bytes.new(b''), GLib.Bytes.new(b'hello'), GLib.Bytes.new(b'x' * 1000000)])
        self.add(GObject.Object())

    def elsewhere(self):
        """A loop that runs in another thread."""
        ready = threading.Event()

        def work():
            loop = Evp.SelectorEventLoop()
            self.add([loop, loop.create_future(), loop.call_later(1000, callback)])
            self.threads.append((thread, loop))
            loop.call_soon(ready.set)
            loop.run_forever()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        ready.wait(20)

    def fd(self):
        """A descriptor, or a number that is none."""
        kind = RANDOM.randrange(8)
        if kind == 0:
            return RANDOM.choice((-1, -2**31, 2**31 - 1, 1000000, -2))
        if kind == 1:
            return LIMIT - 9  # closed: numbers are given from below
        if kind == 2:
            fds = [os.open('file' if os.path.exists('file') else '.', os.O_RDONLY | os.O_CLOEXEC)]
        elif kind == 3:
            fds = [os.open('/dev/null', os.O_RDWR | os.O_CLOEXEC)]
        elif kind == 4:
            fds = [end.detach() for end in socket.socketpair()]
        elif kind == 5:
            fds = [end.detach() for end in socket.socketpair(type=socket.SOCK_DGRAM)]
        else:
            fds = list(os.pipe())
        return RANDOM.choice(fds)

    def some(self, kind):
        found = [thing for thing in self.objects if isinstance(thing, kind)]
        return RANDOM.choice(found) if found else None


def resolve(name):
    namespace, _, name = name.partition('.')
    module = {'Evp': Evp, 'Gio': Gio, 'GLib': GLib, 'GObject': GObject}.get(namespace)
    return getattr(module, name, None)


def spawn():
    return os.posix_spawn(CHILD, [CHILD, 'exit', '3'], os.environ)


class Caller:
    def __init__(self, pool):
        self.pool = pool
        self.children = []

    def integer(self, kind, name):
        low, high = INTEGERS[kind]
        if 'fd' in name:
            return self.pool.fd()
        if kind == 'GLib.Pid' or name == 'pid':
            if RANDOM.random() < 0.5:
                self.children.append(spawn())
                return self.children[-1]
            return RANDOM.choice((0, -1, low, high, 1, 999999999 % 2**31))
        if name in ('group', 'process_group'):
            return RANDOM.choice((0, -1, low, high))
        return RANDOM.choice((0, 1, 2, 3, 5, 17, 64, 4096, 65536, low, high, low + 1, high - 1, high // 2,
                              RANDOM.randrange(low, high + 1), -1 if low < 0 else high))

    def value(self, argument):
        kind, name = argument['type'], argument['name'] or ''
        if name == 'timeout' and 'select' in argument['function']:
            # one below zero waits for ever
            return RANDOM.choice((0.0, -0.0, 0.001, math.nan, 1e-300))
        if argument['nullable'] and RANDOM.random() < 0.3:
            return None
        if RANDOM.random() < 0.04:  # something that does not belong there
            return RANDOM.choice((None, 1, -1, 'x', b'x', [], [None], {}, 1.5, callback, RANDOM.choice(self.pool.objects)))
        if kind in INTEGERS:
            return self.integer(kind, name)
        if kind in ('gdouble', 'gfloat'):
            return RANDOM.choice(DOUBLES)
        if kind == 'gboolean':
            return RANDOM.random() < 0.5
        if kind in ('utf8', 'filename'):
            if 'host' in name or 'server_name' in name or name in ('node', 'name'):
                return RANDOM.choice(HOSTS)
            if 'path' in name:
                return RANDOM.choice(('', 'socket', 'file', '/nonexistent/x', LONG, '.'))
            return RANDOM.choice(STRINGS)
        if kind == 'GType':
            return RANDOM.choice([GObject.TYPE_INVALID, GObject.TYPE_INT, GObject.TYPE_OBJECT]
                                 + [thing.__gtype__ for thing in RANDOM.sample(self.pool.objects, 5)
                                    if hasattr(thing, '__gtype__')])
        if kind == 'GObject.Value':
            return RANDOM.choice((None, 1, 1.5, 'x', True, [1], {'a': 1}, RANDOM.choice(self.pool.objects)))
        if kind.startswith('callback:'):
            return callback
        if kind.startswith('array:') or kind == 'container':
            if kind == 'array:guint8':
                return RANDOM.choice((b'', b'x', b'x' * 100000))
            if kind in ('array:utf8', 'array:filename'):
                return RANDOM.choice(([], [CHILD, 'exit', '1'], [CHILD], ['x'], [''], ['/nonexistent/x'], ['A=B'] * 3,
                                      ['x'] * 1000, ['127.0.0.1'], [LONG]))
            if kind[6:] in INTEGERS:
                return RANDOM.choice(([], [0], [-1 if INTEGERS[kind[6:]][0] < 0 else 1], [1, 2, 3], [0] * 1000))
            return RANDOM.choice(([], [RANDOM.choice(self.pool.objects)]))
        if kind == 'GLib.Error':
            return GLib.Error.new_literal(Evp.Error.quark(), RANDOM.choice(STRINGS), RANDOM.choice(list(range(5))))
        if kind == 'Evp.ExceptionContext' and RANDOM.random() < 0.2:
            return {'message': 'x'}
        found = resolve(kind)
        if found is None:
            return None
        if isinstance(found, type) and issubclass(found, int):
            return RANDOM.choice((0, 1, 2, 3, -1, 2**31 - 1, 64))
        return self.pool.some(found)

    def arguments(self, function):
        return [self.value({**argument, 'function': function['name']}) for argument in function['arguments']]

    def prepare(self, name, owner):
        """Sees to it that what waits for an end finds one."""
        if name.endswith(('run_forever', 'run_until_complete')) and isinstance(owner, Evp.AbstractEventLoop):
            # raised twice: once may be used up by what ran before
            attempt(owner.call_soon_threadsafe, owner.stop)
            owner.stop()

    def call(self, owner, function, what):
        name = function['name']
        if name in NEVER:
            return
        arguments = self.arguments(function)
        elsewhere = RANDOM.random() < 0.06 and 'run' not in name
        log(f'{what}.{name} ({", ".join(map(show, arguments))}) on {show(owner)}{" in a thread" if elsewhere else ""}')
        self.prepare(name, owner)
        target = getattr(owner, name, None)
        if target is None:
            return
        if elsewhere:
            done = []
            thread = threading.Thread(target=lambda: done.append(self.result(target, arguments)), daemon=True)
            thread.start()
            thread.join(20)
            if not done:
                raise Never(f'{what}.{name} did not return in a thread')
            self.pool.add(done[0])
        else:
            self.pool.add(self.result(target, arguments))

    @staticmethod
    def result(target, arguments):
        try:
            return target(*arguments)
        except (GLib.Error, TypeError, ValueError, OverflowError, AttributeError, KeyError, NotImplementedError,
                RuntimeError, OSError, UnicodeError, LookupError):
            return None

    def make(self, kind, entry, name):
        """A new object with random properties."""
        properties = {}
        for member in entry['properties']:
            if member['writable'] and RANDOM.random() < 0.5:
                properties[member['name'].replace('-', '_')] = self.value(
                    {'name': member['name'], 'type': member['type'], 'nullable': True, 'function': ''})
        log(f'{name} ({", ".join(f"{key}={show(value)}" for key, value in properties.items())})')
        self.pool.add(self.result(lambda: kind(**properties), []))

    def property(self, owner, member, name):
        key = member['name'].replace('-', '_')
        if member['writable'] and not member['construct_only'] and RANDOM.random() < 0.6:
            value = self.value({'name': member['name'], 'type': member['type'], 'nullable': True, 'function': ''})
            log(f'{name}:{key} = {show(value)} on {show(owner)}')
            self.result(setattr, [owner.props, key, value])
        else:
            log(f'{name}:{key} on {show(owner)}')
            self.pool.add(self.result(getattr, [owner.props, key]))

    def step(self, name):
        entry = JOB['classes'][name]
        if entry['kind'] == 'namespace':
            self.call(Evp, RANDOM.choice(entry['functions']), 'Evp')
            return
        kind = getattr(Evp, name)
        choice = RANDOM.random()
        statics = entry['constructors'] + entry['functions']
        if choice < 0.1 and statics:
            self.call(kind, RANDOM.choice(statics), name)
        elif choice < 0.15 and entry['kind'] == 'class' and not entry['abstract']:
            self.make(kind, entry, name)
        else:
            owner = self.pool.some(kind)
            if owner is None:
                if statics:
                    self.call(kind, RANDOM.choice(statics), name)
            elif choice < 0.2 and entry['slots'] and JOB['override']:
                # what super().do_…() is: past the checks of the method
                slot = RANDOM.choice(entry['slots'])
                self.call(owner, {**slot, 'name': 'do_' + slot['name']}, name)
            elif choice < 0.28 and entry.get('properties'):
                self.property(owner, RANDOM.choice(entry['properties']), name)
            elif entry['methods']:
                self.call(owner, RANDOM.choice(entry['methods']), name)

    def breathe(self):
        """Lets everything go on for a moment."""
        for loop in [thing for thing in self.pool.objects if isinstance(thing, Evp.AbstractEventLoop)]:
            if all(loop is not other for _, other in self.pool.threads):
                log(f'turn of {show(loop)}')
                if attempt(loop.call_soon, loop.stop) is not None:
                    self.result(loop.run_forever, [])
        for _ in range(5):
            GLib.MainContext.default().iteration(False)


def main():
    sys.excepthook = lambda *_arguments: None  # callbacks raise on purpose
    threading.excepthook = sys.excepthook
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    others = [name for name in JOB['classes'] if JOB['classes'][name]['kind'] != 'record']
    pool = Pool()
    caller = Caller(pool)
    for number in range(JOB['calls']):
        caller.step(JOB['name'] if RANDOM.random() < 0.75 else RANDOM.choice(others))
        if number % 20 == 19:
            caller.breathe()
    log('the end begins')
    for thread, loop in pool.threads:
        deadline = time.monotonic() + 20
        while thread.is_alive():
            attempt(loop.call_soon_threadsafe, loop.stop)
            thread.join(0.05)
            if time.monotonic() > deadline:
                raise Never('a loop in a thread did not stop')
    log('dropping')
    pool.objects.clear()
    gc.collect()
    Evp.set_event_loop_policy(None)
    for _ in range(5):
        GLib.MainContext.default().iteration(False)
    gc.collect()
    log('END')


try:
    main()
except BaseException:
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)
