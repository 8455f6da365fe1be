# SPDX-License-Identifier: LGPL-2.1-or-later
"""Selectors: the contract of tests/contract/contract-selector.h on one written in Python and on those of the
library, and a loop on one written in Python."""

import gc
import os
import signal
import socket
import tempfile
import time
import unittest
import weakref

from evptest import Evp, GLib, TestCase, main
from gi.repository import Gio
from pyselector import PollingSelector

READ = Evp.IOEvents.READ
WRITE = Evp.IOEvents.WRITE
BOTH = READ | WRITE


class Contract:
    """What every selector must do."""

    make = None
    own_fd = False
    closed_ready = False

    def setUp(self):
        super().setUp()
        self.selector = type(self).make()
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.left, self.right = (end.detach() for end in self.nonblocking_pair())
        self.open = {self.reader, self.writer, self.left, self.right}

    def tearDown(self):
        self.selector.close()
        for fd in self.open:
            os.close(fd)
        super().tearDown()

    @staticmethod
    def nonblocking_pair():
        pair = socket.socketpair()
        for end in pair:
            end.setblocking(False)
        return pair

    def close(self, fd):
        os.close(fd)
        self.open.discard(fd)

    def expect(self, timeout, expected):
        ready = {key.get_fd(): key.get_ready_events() for key in self.selector.select(timeout)}
        self.assertEqual(ready, expected)

    def expect_full_wait(self, seconds):
        start = time.monotonic()
        self.expect(seconds, {})
        self.assertGreaterEqual(time.monotonic() - start, seconds)

    def expect_not_found(self, fd):
        with self.assertError(Evp.Error.NOT_FOUND):
            self.selector.get_key(fd)

    # Rules: S-1, S-2, S-6
    def test_arguments(self):
        selector = self.selector
        for call in (lambda: selector.register(-1, READ), lambda: selector.modify(-1, READ),
                     lambda: selector.unregister(-7), lambda: selector.get_key(-1),
                     lambda: selector.register(self.reader, Evp.IOEvents.NONE),
                     lambda: selector.select(float('nan'))):
            with self.assertError(Evp.Error.INVALID_ARGUMENT):
                call()
        for events in (0, 4, 255):
            with self.assertError(Evp.Error.INVALID_ARGUMENT):
                selector.register(self.reader, events)
        for fd in (None, 'text', [], object()):
            with self.assertRaises(ValueError):
                selector.register(fd, READ)
        self.expect_not_found(self.reader)
        selector.register(self.reader, 1)  # as asyncio's numbers
        self.assertEqual(selector.get_key(self.reader).get_events(), READ)
        selector.modify(self.reader, 3)
        self.assertEqual(selector.get_key(self.reader).get_events(), BOTH)
        selector.unregister(self.reader)
        selector.register(self.reader, READ)
        with self.assertError(Evp.Error.INVALID_ARGUMENT):
            selector.modify(self.reader, Evp.IOEvents.NONE)
        os.write(self.writer, b'x')
        self.expect(-1, {self.reader: READ})

    # Rules: S-2
    def test_register(self):
        self.expect_not_found(self.reader)
        key = self.selector.register(self.reader, READ, 'attached')
        self.assertEqual((key.get_fd(), key.get_events(), key.get_ready_events(), key.get_data()),
                         (self.reader, READ, Evp.IOEvents.NONE, 'attached'))
        self.assertEqual(self.selector.get_key(self.reader), key)
        with self.assertError(Evp.Error.EXISTS):
            self.selector.register(self.reader, WRITE)
        self.assertEqual(key.get_events(), READ)
        self.expect_not_found(self.writer)
        with self.assertError(Evp.Error.NOT_FOUND):
            self.selector.unregister(self.writer)

    # Rules: S-2
    def test_data(self):
        key = self.selector.register(self.reader, READ, ['any', {'thing': None}])
        self.assertEqual(key.get_data(), ['any', {'thing': None}])
        key = self.selector.modify(self.reader, READ, 2**70)
        self.assertEqual(key.get_data(), 2**70)
        self.assertIsNone(self.selector.modify(self.reader, READ).get_data())

    # Rules: F-6, Z-22
    def test_fd_zero(self):
        saved = os.dup(0)
        os.dup2(self.reader, 0)
        try:
            self.selector.register(0, READ)
            self.expect(0, {})
            os.write(self.writer, b'x')
            self.expect(-1, {0: READ})
            self.selector.unregister(0)
            self.expect(0, {})
        finally:
            os.dup2(saved, 0)
            os.close(saved)

    # Rules: F-7, S-3
    def test_not_open(self):
        self.close(self.reader)
        with self.assertRaises(GLib.Error) as caught:
            self.selector.register(self.reader, READ)
        self.assertEqual(caught.exception.domain, GLib.quark_to_string(Gio.io_error_quark()))
        self.expect_not_found(self.reader)
        self.expect(0, {})

    # Rules: F-8, S-3, S-14
    def test_regular_file(self):
        with tempfile.TemporaryFile() as file, open('/dev/null', 'wb') as null:
            self.selector.register(file, READ)
            self.expect(-1, {file.fileno(): READ})
            self.selector.modify(file, BOTH)
            self.expect(-1, {file.fileno(): BOTH})
            self.selector.register(null, WRITE)
            self.selector.register(self.reader, READ)
            os.write(self.writer, b'x')
            for _ in range(2):
                self.expect(-1, {file.fileno(): BOTH, null.fileno(): WRITE, self.reader: READ})
            self.selector.unregister(file)
            self.selector.unregister(self.reader)
            self.expect(-1, {null.fileno(): WRITE})
            self.selector.unregister(null)
            self.expect(0, {})

    # Rules: S-7, S-8, F-1, F-3
    def test_ready(self):
        selector = self.selector
        selector.register(self.reader, READ)
        self.expect(0, {})
        os.write(self.writer, b'x')
        self.expect(-1, {self.reader: READ})
        self.expect(-1, {self.reader: READ})
        os.read(self.reader, 16)
        self.expect(0, {})

        selector.register(self.left, READ)
        self.expect(0, {})
        selector.modify(self.left, WRITE)
        self.expect(-1, {self.left: WRITE})
        os.write(self.right, b'x')
        self.expect(-1, {self.left: WRITE})
        selector.modify(self.left, BOTH)
        self.expect(-1, {self.left: BOTH})
        os.read(self.left, 16)
        self.expect(-1, {self.left: WRITE})
        selector.modify(self.left, READ)
        self.expect(0, {})

    # Rules: S-7
    def test_ready_events(self):
        key = self.selector.register(self.left, BOTH)
        os.write(self.right, b'x')
        self.expect(-1, {self.left: BOTH})
        self.assertEqual(key.get_ready_events(), BOTH)
        os.read(self.left, 16)
        self.expect(-1, {self.left: WRITE})
        self.selector.modify(self.left, READ)
        self.expect(0, {})
        self.assertEqual(key.get_ready_events(), Evp.IOEvents.NONE)

    # Rules: S-2, S-5
    def test_modify(self):
        with self.assertError(Evp.Error.NOT_FOUND):
            self.selector.modify(self.left, READ)
        self.selector.register(self.left, READ)
        key = self.selector.modify(self.left, WRITE, 42)
        self.assertEqual((key.get_events(), key.get_data()), (WRITE, 42))
        self.expect(-1, {self.left: WRITE})
        self.assertEqual(self.selector.get_key(self.left), key)
        self.assertEqual(self.selector.modify(self.left, WRITE, 42), key)

    # Rules: S-2
    def test_unregister(self):
        key = self.selector.register(self.reader, READ, 'kept')
        os.write(self.writer, b'x')
        self.assertTrue(self.selector.unregister(self.reader))
        self.expect(0, {})
        self.assertEqual((key.get_fd(), key.get_events(), key.get_data()), (self.reader, READ, 'kept'))
        self.expect_not_found(self.reader)
        self.selector.register(self.reader, READ)
        self.expect(-1, {self.reader: READ})

    # Rules: S-6, S-9
    def test_timeout(self):
        self.expect(0, {})
        self.expect_full_wait(0.003)
        self.selector.register(self.reader, READ)
        self.expect_full_wait(0.0201)
        self.expect_full_wait(0.0001)

    # Rules: S-9
    def test_signal(self):
        arrived = []
        before = signal.signal(signal.SIGALRM, lambda *_args: arrived.append(1))
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.selector.register(self.reader, READ)
        signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
        try:
            while len(arrived) < 3:
                self.expect_full_wait(0.02)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    # Rules: F-10, S-8, Z-19
    def test_hang_up(self):
        self.selector.register(self.reader, READ)
        self.close(self.writer)
        self.expect(-1, {self.reader: READ})
        self.selector.unregister(self.reader)

        reader, writer = os.pipe()
        self.selector.register(writer, READ)
        self.expect(0, {})
        os.close(reader)
        for events in (READ, WRITE, BOTH):
            self.selector.modify(writer, events)
            self.expect(-1, {writer: events})
        self.selector.unregister(writer)
        os.close(writer)

        self.selector.register(self.left, BOTH)
        self.close(self.right)
        self.expect(-1, {self.left: BOTH})

    # Rules: S-7, S-14
    def test_many(self):
        pipes = [os.pipe() for _ in range(300)]
        for reader, writer in pipes:
            os.write(writer, b'x')
            self.selector.register(reader, READ)
        self.expect(-1, {reader: READ for reader, _ in pipes})
        for reader, _ in pipes:
            if reader != pipes[123][0]:
                self.selector.unregister(reader)
        self.expect(-1, {pipes[123][0]: READ})
        for fds in pipes:
            for fd in fds:
                os.close(fd)

    # Rules: S-4
    def test_unregister_late(self):
        self.selector.register(self.reader, READ)
        self.close(self.reader)
        self.selector.unregister(self.reader)
        self.expect_not_found(self.reader)
        self.expect(0, {})

        # the number is reused before it is unregistered
        self.selector.register(self.left, READ)
        os.dup2(self.right, self.left)
        self.selector.unregister(self.left)
        self.expect(0, {})
        self.selector.register(self.left, WRITE)
        self.expect(-1, {self.left: WRITE})

    # Rules: S-16
    def test_closed(self):
        self.selector.register(self.reader, READ)
        self.close(self.reader)
        self.expect(-1 if self.closed_ready else 0, {self.reader: READ} if self.closed_ready else {})
        self.selector.unregister(self.reader)
        self.expect(0, {})

    # Rules: F-11, S-5, Z-21
    def test_reused(self):
        for first, events in enumerate((READ, WRITE, BOTH)):
            reader, writer = os.pipe()
            self.selector.register(reader, READ)
            os.close(reader)
            os.dup2(self.left, reader)
            self.selector.modify(reader, events)
            if first == 0:
                os.write(self.right, b'x')
            self.expect(-1, {reader: events})
            self.selector.unregister(reader)
            self.expect(0, {})
            os.close(reader)
            os.close(writer)

    # Rules: F-12, Z-21
    def test_duplicate(self):
        duplicate = os.dup(self.reader)
        self.addCleanup(os.close, duplicate)
        self.selector.register(self.reader, READ)
        self.close(self.reader)
        self.selector.unregister(self.reader)
        os.write(self.writer, b'x')
        self.expect(0, {})
        self.expect_full_wait(0.005)

        os.dup2(self.left, self.reader)
        self.open.add(self.reader)
        self.selector.register(self.reader, READ)
        self.expect_full_wait(0.005)
        os.write(self.right, b'x')
        self.expect(-1, {self.reader: READ})

    # Rules: S-10
    def test_map(self):
        self.assertEqual(self.selector.get_map(), [])
        keys = [self.selector.register(self.reader, READ), self.selector.register(self.right, BOTH)]
        self.assertCountEqual([key.get_fd() for key in self.selector.get_map()], [self.reader, self.right])
        for key in self.selector.get_map():
            self.assertIn(key, keys)

    # Rules: S-10, S-11, F-16
    def test_close(self):
        selector = self.selector
        with selector:
            selector.register(self.reader, READ)
            os.write(self.writer, b'x')
        selector.close()
        self.assertFalse(selector.get_map())
        self.assertEqual(selector.get_fd(), -1)
        for call in (lambda: selector.get_key(self.reader), lambda: selector.register(self.reader, READ),
                     lambda: selector.modify(self.reader, READ), lambda: selector.unregister(self.reader),
                     lambda: selector.select(0)):
            with self.assertError(Evp.Error.INVALID_STATE):
                call()
        self.assertEqual(os.read(self.reader, 16), b'x')

    # Rules: S-12
    def test_own_fd(self):
        fd = self.selector.get_fd()
        self.assertEqual(fd >= 0, self.own_fd)
        if fd >= 0:
            self.assertFalse(os.get_inheritable(fd))

    # Rules: S-11
    def test_release(self):
        class Thing:
            pass

        thing = Thing()
        attached = weakref.ref(thing)
        self.selector.register(self.reader, READ, thing)
        del thing
        gc.collect()
        self.assertIsNotNone(attached())
        self.selector.unregister(self.reader)
        self.assertDropped(attached)

        key = self.selector.register(self.reader, READ)
        key.mark = Thing()
        mark = weakref.ref(key.mark)
        del key
        gc.collect()
        self.assertIsNotNone(mark())
        self.selector.close()
        self.selector = Evp.PollSelector.new()
        self.assertDropped(mark)


class PythonSelectorTest(Contract, TestCase):
    make = PollingSelector
    closed_ready = True


class DerivedSelector(PollingSelector):
    """Chains up to a selector in Python, which is one more level."""

    def do_select(self, timeout):
        return super().do_select(timeout)


class DerivedSelectorTest(Contract, TestCase):
    make = DerivedSelector
    closed_ready = True


class PollSelectorTest(Contract, TestCase):
    make = Evp.PollSelector.new
    closed_ready = True


class Chaining(Evp.EpollSelector):
    """Chains up to a selector in C."""

    def do_register_fd(self, fd, events, data):
        self.registered = getattr(self, 'registered', 0) + 1
        return super().do_register_fd(fd, events, data)

    def do_select(self, timeout):
        self.selects = getattr(self, 'selects', 0) + 1
        return super().do_select(timeout)


@unittest.skipUnless(Evp.capabilities_get('epoll') if hasattr(Evp, 'capabilities_get') else True, 'no epoll here')
class ChainingSelectorTest(Contract, TestCase):
    make = Chaining
    own_fd = True

    # Rules: S-7
    def test_called(self):
        self.selector.register(self.reader, READ)
        self.selector.select(0)
        self.assertEqual((self.selector.registered, self.selector.selects), (1, 1))
        self.assertFalse(hasattr(Evp.EpollSelector(), 'selects'))


class SlotsTest(TestCase):
    # Rules: S-1
    def test_left_out(self):
        class Empty(Evp.Selector):
            pass

        selector = Empty()
        for call in (lambda: selector.register(0, READ), lambda: selector.modify(0, READ),
                     lambda: selector.unregister(0), lambda: selector.select(0), lambda: selector.get_key(0)):
            with self.assertError(Evp.Error.NOT_SUPPORTED, 'Empty'):
                call()
        self.assertEqual(selector.get_fd(), -1)
        selector.close()

    # Rules: S-1
    def test_nothing_returned(self):
        class Nothing(Evp.Selector):
            def do_register_fd(self, fd, events, data):
                pass

            def do_select(self, timeout):
                return None

        selector = Nothing()
        for call in (lambda: selector.register(0, READ), lambda: selector.select(0)):
            with self.assertError(Evp.Error.FAILED, 'Nothing'):
                call()


class LoopTest(TestCase):
    """A loop whose selector is written in Python."""

    def setUp(self):
        super().setUp()
        self.selector = PollingSelector()
        self.loop = Evp.SelectorEventLoop.new(self.selector, None)
        self.addCleanup(self.loop.close)
        self.left, self.right = socket.socketpair()
        self.addCleanup(self.left.close)
        self.addCleanup(self.right.close)
        self.seen = []

    # Rules: S-1, S-17
    def test_property(self):
        self.assertEqual(self.loop.get_selector(), self.selector)

    # Rules: F-1, F-3, F-4, I-2
    def test_readers_and_writers(self):
        loop = self.loop

        later = [b'two', b'three']

        def readable(fd):
            self.seen.append(os.read(fd, 16))
            if later:
                # each when the one before has been read: two would be read as one
                loop.call_later(0.002, self.right.send, later.pop(0))
            else:
                loop.remove_reader(self.left)
                loop.stop()

        def writable(fd, data):
            os.write(fd, data.pop(0))
            if not data:
                loop.remove_writer(self.right)

        loop.add_reader(self.left, readable)
        loop.add_writer(self.right, writable, [b'one'])
        loop.run_forever()
        self.assertEqual(self.seen, [b'one', b'two', b'three'])
        self.assertGreater(self.selector.selects, 0)
        self.assertEqual(self.selector.get_map(), [])

    # Rules: C-3, C-5, I-6
    def test_timers_and_threads(self):
        loop = self.loop
        loop.add_reader(self.left, self.seen.append)
        start = loop.time()
        loop.call_later(0.005, lambda: self.seen.append(loop.time() - start))
        self.assertEqual(loop.run_until_complete(loop.run_in_executor(lambda: 'thread')), 'thread')
        loop.call_later(0.01, loop.stop)
        loop.run_forever()
        self.assertGreaterEqual(self.seen[0], 0.005)

    # Rules: P-24
    def test_adopted(self):
        loop = Evp.SelectorEventLoop.new(PollingSelector(), GLib.MainContext.default())
        self.addCleanup(loop.close)
        outer = GLib.MainLoop()
        loop.add_reader(self.left, lambda fd: (self.seen.append(os.read(fd, 16)), outer.quit()))
        loop.call_later(0.002, self.right.send, b'hello')
        outer.run()
        self.assertEqual(self.seen, [b'hello'])

    # Rules: L-13, S-10
    def test_close(self):
        self.loop.add_reader(self.left, print)
        self.loop.close()
        self.assertIsNone(self.selector.keys)

    # Rules
    def test_failing(self):
        class Failing(PollingSelector):
            def do_register_fd(self, fd, events, data):
                raise GLib.Error.new_literal(Evp.Error.quark(), 'no more', Evp.Error.FAILED)

        loop = Evp.SelectorEventLoop.new(Failing(), None)
        self.addCleanup(loop.close)
        with self.assertError(Evp.Error.FAILED, 'no more'):
            loop.add_reader(self.left, print)
        loop.call_soon(loop.stop)
        loop.run_forever()


if __name__ == '__main__':
    main()
