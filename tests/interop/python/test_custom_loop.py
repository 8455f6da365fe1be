# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every loop must do, on the library's, on one derived in Python, and on one written from scratch in it."""

import os
import signal
import socket
import threading
import weakref

from evptest import Evp, TestCase, main
from gi.repository import GObject
from pyloop import PythonLoop


class Thing:
    def __call__(self, *args):
        pass


class Contract:
    make = None

    def setUp(self):
        super().setUp()
        self.loop = type(self).make()
        self.addCleanup(self.loop.close)
        self.left, self.right = socket.socketpair()
        self.addCleanup(self.left.close)
        self.addCleanup(self.right.close)
        self.seen = []

    def turn(self):
        self.loop.stop()
        self.loop.run_forever()

    # Rules: C-1, C-2, I-3
    def test_call_soon(self):
        loop = self.loop

        def first():
            self.seen.append(1)
            loop.call_soon(self.seen.append, 3)

        loop.call_soon(first)
        loop.call_soon(self.seen.append, 2)
        self.assertEqual(self.seen, [])
        self.turn()
        self.assertEqual(self.seen, [1, 2])
        self.turn()
        self.assertEqual(self.seen, [1, 2, 3])

    # Rules: L-2, L-4, L-5
    def test_stop(self):
        loop = self.loop
        loop.call_soon(loop.stop)
        loop.call_soon(self.seen.append, 'same round')
        loop.call_soon(lambda: loop.call_soon(self.seen.append, 'next run'))
        loop.run_forever()
        self.assertEqual(self.seen, ['same round'])
        self.turn()
        self.assertEqual(self.seen, ['same round', 'next run'])

    # Rules: C-11, C-12, I-4
    def test_cancel(self):
        thing = Thing()
        gone = weakref.ref(thing)
        handle = self.loop.call_soon(thing)
        timer = self.loop.call_later(0, thing)
        del thing
        handle.cancel()
        timer.cancel()
        self.assertTrue(handle.cancelled() and timer.cancelled())
        self.assertDropped(gone)
        later = self.loop.call_later(0, self.seen.append, 'never')
        self.loop.call_soon(later.cancel)
        self.turn()
        self.turn()
        self.assertEqual(self.seen, [])

    # Rules: C-5, C-7, C-14
    def test_timers(self):
        loop = self.loop
        start = loop.time()
        for delay, name in ((0.004, 'c'), (0.002, 'a'), (0.002, 'b')):
            loop.call_at(start + delay, lambda name: self.seen.append((name, loop.time() - start)), name)
        loop.call_at(start + 0.004, loop.stop)
        loop.run_forever()
        self.assertEqual([name for name, _ in self.seen], ['a', 'b', 'c'])
        # the slots' clock counts microseconds
        self.assertGreaterEqual(self.seen[0][1], 0.002 - 1e-6)
        self.assertGreaterEqual(self.seen[2][1], 0.004 - 1e-6)

    # Rules: C-3
    def test_threadsafe(self):
        loop = self.loop
        thread = threading.Thread(target=lambda: (loop.call_soon_threadsafe(self.seen.append, 'thread'),
                                                  loop.call_soon_threadsafe(loop.stop)))
        loop.call_soon(thread.start)
        loop.run_forever()
        thread.join()
        self.assertEqual(self.seen, ['thread'])

    # Rules: F-1, F-2, F-3, F-4
    def test_descriptors(self):
        loop = self.loop
        left, right = self.left, self.right
        loop.add_reader(left, self.seen.append)
        loop.add_reader(left, lambda fd, text: (self.seen.append(text), left.recv(8), loop.stop()), 'replaced')
        loop.add_writer(right, lambda fd: (right.send(b'x'), loop.remove_writer(fd)))
        loop.run_forever()
        self.assertEqual(self.seen, ['replaced'])
        self.assertTrue(loop.remove_reader(left))
        self.assertFalse(loop.remove_reader(left))
        self.assertFalse(loop.remove_writer(right))

    # Rules: F-17, I-4
    def test_remove_in_batch(self):
        loop = self.loop
        other = socket.socketpair()
        self.addCleanup(other[0].close)
        self.addCleanup(other[1].close)

        def first(fd):
            self.seen.append(fd)
            loop.remove_reader(self.left)
            loop.remove_reader(other[0])

        self.right.send(b'x')
        other[1].send(b'x')
        loop.add_reader(self.left, first)
        loop.add_reader(other[0], first)
        self.turn()
        self.turn()
        self.assertEqual(len(self.seen), 1)

    # Rules: G-4, G-5, G-6
    def test_signals(self):
        loop = self.loop
        loop.add_signal_handler(signal.SIGUSR1, lambda *args: (self.seen.append(args), loop.stop()), 'x')
        loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        loop.run_forever()
        self.assertEqual(self.seen, [(signal.SIGUSR1, 'x')])
        self.assertTrue(loop.remove_signal_handler(signal.SIGUSR1))
        self.assertFalse(loop.remove_signal_handler(signal.SIGUSR1))
        self.assertEqual(signal.getsignal(signal.SIGUSR1), signal.SIG_DFL)

    # Rules: U-5, L-6, L-7, L-10
    def test_futures(self):
        loop = self.loop
        future = loop.create_future()
        self.assertEqual(future.get_loop(), loop)
        loop.call_later(0.001, future.set_result, 'later')
        self.assertEqual(loop.run_until_complete(future), 'later')
        self.assertEqual(loop.run_until_complete(future), 'later')
        loop.call_soon(loop.stop)
        with self.assertError(Evp.Error.LOOP_STOPPED):
            loop.run_until_complete(loop.create_future())
        failed = loop.create_future()
        failed.set_exception(KeyError('key'))
        with self.assertRaises(KeyError):
            loop.run_until_complete(failed)

    # Rules: P-20, P-21, P-22, P-24
    def test_running_loop(self):
        loop = self.loop

        def look():
            self.seen.append((Evp.get_running_loop() == loop, Evp.get_event_loop() == loop, loop.is_running()))

        loop.call_soon(look)
        self.turn()
        self.assertEqual(self.seen, [(True, True, True)])
        self.assertFalse(loop.is_running())
        with self.assertError(Evp.Error.NO_RUNNING_LOOP):
            Evp.get_running_loop()

    # Rules: L-8, L-9, L-12
    def test_running_twice(self):
        loop = self.loop
        other = PythonLoop()
        self.addCleanup(other.close)

        def nested():
            for call in (loop.run_forever, other.run_forever, loop.close):
                with self.assertError(Evp.Error.LOOP_RUNNING):
                    call()
            self.seen.append(Evp.get_running_loop() == loop)

        loop.set_exception_handler(lambda loop, context: self.seen.append(context.exception))
        loop.call_soon(nested)
        self.turn()
        self.assertEqual(self.seen, [True])

    # Rules
    def test_exceptions(self):
        loop = self.loop
        loop.set_exception_handler(lambda loop, context: self.seen.append(context.exception))
        loop.call_soon(lambda: 1 / 0)
        loop.call_soon(self.seen.append, 'goes on')
        self.turn()
        self.assertIsInstance(self.seen[0], ZeroDivisionError)
        self.assertEqual(self.seen[1:], ['goes on'])

    # Rules: L-17
    def test_hard_exceptions(self):
        def leave():
            raise SystemExit(4)

        self.loop.call_soon(leave)
        with self.assertRaises(SystemExit):
            self.loop.run_forever()
        self.assertFalse(self.loop.is_running())
        self.loop.call_soon(self.seen.append, 'again')
        self.turn()
        self.assertEqual(self.seen, ['again'])

    # Rules: L-12, L-13, L-14
    def test_close(self):
        loop = self.loop
        references = []
        for schedule in (loop.call_soon, loop.call_soon_threadsafe, lambda thing: loop.call_later(60, thing),
                         lambda thing: loop.add_reader(self.left, thing),
                         lambda thing: loop.add_signal_handler(signal.SIGUSR2, thing)):
            thing = Thing()
            references.append(weakref.ref(thing))
            schedule(thing)
        del thing
        loop.close()
        loop.close()
        self.assertTrue(loop.is_closed())
        for reference in references:
            self.assertDropped(reference)
        for call in (lambda: loop.call_soon(print), lambda: loop.call_later(1, print), loop.run_forever,
                     lambda: loop.call_soon_threadsafe(print), lambda: loop.add_reader(self.left, print),
                     lambda: loop.add_signal_handler(signal.SIGUSR1, print)):
            with self.assertError(Evp.Error.LOOP_CLOSED):
                call()
        self.assertFalse(loop.remove_reader(self.left))
        self.assertFalse(loop.remove_signal_handler(signal.SIGUSR1))

    # Rules: E-1, E-2
    def test_executor(self):
        self.assertEqual(self.loop.run_until_complete(self.loop.run_in_executor(lambda: {'a': 1})), {'a': 1})

    # Rules: D-1
    def test_debug(self):
        self.assertFalse(self.loop.get_debug())
        self.loop.set_debug(True)
        self.assertTrue(self.loop.get_debug())

    # Rules: P-10, P-36
    def test_as_policy_loop(self):
        made = self.loop

        class Policy(Evp.DefaultEventLoopPolicy):
            def do_new_event_loop(self):
                return made

        Evp.set_event_loop_policy(Policy())
        self.assertEqual(Evp.get_event_loop(), made)
        self.assertEqual(Evp.get_event_loop(), made)
        Evp.set_event_loop(None)


class LibraryLoopTest(Contract, TestCase):
    make = Evp.SelectorEventLoop


def chain(name):
    def slot(self, *args):
        return getattr(super(Derived, self), name)(*args)
    return slot


# all slots of this class lead through Python and back
Derived = type('Derived', (Evp.SelectorEventLoop,), {name: chain(name) for name in (
    'do_run_forever', 'do_stop', 'do_is_running', 'do_is_closed', 'do_close', 'do_get_time_us', 'do_schedule',
    'do_schedule_threadsafe', 'do_schedule_timer', 'do_watch_reader', 'do_watch_writer', 'do_remove_reader',
    'do_remove_writer', 'do_watch_signal', 'do_remove_signal_handler', 'do_create_future', 'do_get_debug',
    'do_set_debug', 'do_default_exception_handler')})


class DerivedLoopTest(Contract, TestCase):
    make = Derived


class PythonLoopTest(Contract, TestCase):
    make = PythonLoop

    # Rules: C-1
    def test_handles(self):
        """What comes to the slots is what the caller got."""
        handle = self.loop.call_soon(print)
        self.assertIsInstance(self.loop.ready[0], Evp.Handle)
        self.assertEqual(self.loop.ready[0], handle)
        timer = self.loop.call_later(60, print)
        self.assertIsInstance(self.loop.timers[0][2], Evp.TimerHandle)
        self.assertEqual(self.loop.timers[0][2], timer)

    # Rules: L-1
    def test_slots_left_out(self):
        class Empty(GObject.Object, Evp.AbstractEventLoop):
            pass

        loop = Empty()
        for call, slot in ((loop.run_forever, 'run_forever'), (lambda: loop.call_soon(print), 'call_soon'),
                           (lambda: loop.call_soon_threadsafe(print), 'call_soon_threadsafe'),
                           (lambda: loop.call_later(1, print), 'call_at'),
                           (lambda: loop.add_reader(0, print), 'add_reader'),
                           (lambda: loop.add_writer(0, print), 'add_writer'),
                           (lambda: loop.add_signal_handler(10, print), 'add_signal_handler'),
                           (loop.close, 'close')):
            with self.assertError(Evp.Error.NOT_SUPPORTED, slot) as caught:
                call()
            self.assertIn('Empty', caught.exception.message)
        self.assertFalse(loop.is_closed() or loop.is_running() or loop.remove_reader(0))
        loop.stop()
        self.assertGreater(loop.time(), 0)

    # Rules: X-10
    def test_wrong_answers(self):
        class Wrong(PythonLoop):
            def do_schedule(self, handle):
                pass  # forgets to return True

            def do_create_future(self):
                return None

        loop = Wrong()
        self.addCleanup(loop.close)
        with self.assertError(Evp.Error.FAILED, 'Wrong'):
            loop.call_soon(print)
        self.assertIsInstance(loop.create_future(), Evp.Future)


if __name__ == '__main__':
    main()
