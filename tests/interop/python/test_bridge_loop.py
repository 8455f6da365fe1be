# SPDX-License-Identifier: LGPL-2.1-or-later
"""evp_asyncio: the loop, what drives it, and what comes out of it. The rules in the docstrings are those of doc/asyncio.md."""

import asyncio
import errno
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import unittest
import warnings
import weakref

import evptest
from evptest import Evp, GLib
from gi.module import get_introspection_module
from gi.repository import Gio

import evp_asyncio

DEFAULT = GLib.MainContext.default()

# What becomes of asyncio: who asks for policies and child watchers is warned
# where asyncio has not changed so far by itself
MODERN = '' if not hasattr(asyncio, 'AbstractChildWatcher') else '''
import asyncio
import warnings
old = {name: getattr(asyncio, name) for name in (
    'AbstractChildWatcher', 'DefaultEventLoopPolicy', 'get_event_loop_policy', 'set_event_loop_policy')}
for name in old:
    delattr(asyncio, name)
def __getattr__(name):
    if name not in old:
        raise AttributeError(name)
    warnings.warn(name, DeprecationWarning, stacklevel=2)
    return old[name]
asyncio.__getattr__ = __getattr__
'''
USE = '''
import asyncio
import evp_asyncio
from evp_asyncio import *

async def main():
    return type(asyncio.get_running_loop()).__name__

evp_asyncio.run(main())
evp_asyncio.install()
print(asyncio.run(main()))
'''


class Loop(evp_asyncio.EventLoop):
    """Counts its turns."""

    dispatches = 0

    def _turn(self):
        self.dispatches += 1
        return super()._turn()


class BridgeTestCase(evptest.TestCase):
    def setUp(self):
        super().setUp()
        self.loop = Loop()
        self.addCleanup(self.loop.close)

    def run_loop(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def add_source(self, source, callback, context=DEFAULT):
        source.set_callback(callback)
        source.attach(context)
        self.addCleanup(source.destroy)
        return source


class TestLoop(BridgeTestCase):
    def test_is_asyncios(self):
        """R1, R13: it is asyncio's loop, in the default context in the main thread, in its own elsewhere."""
        self.assertIsInstance(self.loop, asyncio.SelectorEventLoop)
        self.assertEqual(self.loop.main_context, DEFAULT)
        contexts = []

        def in_thread():
            loop = evp_asyncio.EventLoop()
            contexts.append(loop.main_context)
            contexts.append(loop.run_until_complete(asyncio.sleep(0.001, 'slept')))
            contexts.append(loop.run_until_complete(asyncio.to_thread(GLib.MainContext.get_thread_default)))
            loop.close()

        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
        self.assertNotEqual(contexts[0], DEFAULT)
        self.assertEqual(contexts[1:], ['slept', None])

    def test_streams(self):
        """R1: servers and connections are CPython's."""
        async def main():
            async def serve(reader, writer):
                writer.write((await reader.readline()).upper())
                await writer.drain()
                writer.close()

            server = await asyncio.start_server(serve, '127.0.0.1', 0)
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b'hello\n')
                answer = await reader.read()
                writer.close()
                await writer.wait_closed()
            return answer

        self.assertEqual(self.run_loop(main()), b'HELLO\n')

    def test_one_descriptor(self):
        """R2: the main context polls the descriptor of the selector, whatever the loop watches."""
        self.assertEqual(self.loop._source.get_fd(), self.loop._selector.fileno())
        pairs = [socket.socketpair() for _ in range(20)]
        seen = []
        for number, (reader, _writer) in enumerate(pairs):
            self.loop.add_reader(reader, lambda number=number: (seen.append(number), self.loop.stop()))
        pairs[7][1].send(b'x')
        self.loop.run_forever()
        self.assertEqual(seen, [7])
        for reader, writer in pairs:
            self.loop.remove_reader(reader)
            reader.close()
            writer.close()

    def test_selectors(self):
        """R2: a selector of the user's has to have a descriptor, and only looks."""
        import selectors
        with self.assertRaisesRegex(ValueError, 'no descriptor'):
            evp_asyncio.EventLoop(selectors.SelectSelector())
        loop = evp_asyncio.EventLoop(selectors.EpollSelector())
        self.assertEqual(loop.run_until_complete(asyncio.sleep(0.002, 5)), 5)
        loop.close()

    def test_no_needless_turns(self):
        """R3, R4: other sources of the context are no reason for a turn."""
        others = []

        def other(*_data):
            others.append(1)
            if len(others) == 100:
                done.set_result(None)
            return len(others) < 100

        async def main():
            self.add_source(GLib.Idle(), other)
            await done

        done = self.loop.create_future()
        self.run_loop(main())
        self.assertEqual(len(others), 100)
        self.assertLess(self.loop.dispatches, 10)

    def test_woken_by_glib(self):
        """R5: a callback of GLib's resolves futures, and sets timers, while the loop sleeps."""
        async def main():
            future = self.loop.create_future()
            late = self.loop.call_later(3600, lambda: None)  # there is a deadline to be moved
            self.add_source(GLib.Timeout(2), lambda *_: future.set_result('now') or False)
            self.assertEqual(await future, 'now')
            future = self.loop.create_future()
            self.add_source(GLib.Timeout(2), lambda *_: self.loop.call_later(0.001, future.set_result, 1) and False)
            self.assertEqual(await future, 1)
            late.cancel()
            # a timer that is later than another one moves nothing
            for arm in self.loop.call_later, self.loop.call_at:
                future = self.loop.create_future()
                self.loop.call_later(0.02, future.set_result, 'in time')
                timers = []
                self.add_source(GLib.Timeout(1), lambda *_, arm=arm: timers.append(arm(self.loop.time() + 1e6, print)))
                self.assertEqual(await future, 'in time')
                while not timers:
                    await asyncio.sleep(0.001)
                timers[0].cancel()

        for debug in False, True:
            self.loop.set_debug(debug)
            self.loop.slow_callback_duration = 60
            self.run_loop(main())

    def test_nested_main_loop_in_task(self):
        """R6: a main loop that a task runs neither enters the loop again nor spins."""
        seen = []
        iterations = []

        async def main():
            reader, writer = socket.socketpair()
            self.loop.add_reader(reader, seen.append, 'reader')
            writer.send(b'x')
            self.loop.call_soon(seen.append, 'soon')
            nested = GLib.MainContext.default()
            ended = []
            self.add_source(GLib.Timeout(20), lambda *_: ended.append(1))
            while not ended:
                nested.iteration(True)
                iterations.append(1)
            self.assertEqual(seen, [])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.assertIn('soon', seen)
            self.assertIn('reader', seen)
            self.loop.remove_reader(reader)
            reader.close()
            writer.close()

        self.run_loop(main())
        self.assertLess(len(iterations), 20)

    def test_nested_main_loop_in_glib(self):
        """R6: a main loop that a callback of GLib's runs goes on driving the loop."""
        async def main():
            done = self.loop.create_future()

            def nest(*_data):
                nested = GLib.MainLoop()
                self.loop.create_task(asyncio.sleep(0.001)).add_done_callback(lambda _task: nested.quit())
                nested.run()
                done.set_result('nested')

            self.add_source(GLib.Idle(), nest)
            return await done

        self.assertEqual(self.run_loop(main()), 'nested')

    def test_fairness(self):
        """R7: neither idle sources nor tasks starve beside each other."""
        idles, others = [], []

        async def main():
            self.add_source(GLib.Idle(), lambda *_: idles.append(1) or True)
            turns = 0
            while len(idles) < 5:  # at the lowest priority, beside a task that is always ready
                await asyncio.sleep(0)
                turns += 1
            # how many fit between two idle sources is a matter of the machine
            self.assertGreater(turns, 2 * len(idles))

            source = GLib.Idle()
            source.set_priority(GLib.PRIORITY_DEFAULT)
            self.add_source(source, lambda *_: others.append(1) or True)
            for _ in range(100):
                await asyncio.sleep(0)
            self.assertGreater(len(others), 0)

        self.run_loop(main())

    def test_priorities(self):
        """R7: the loop has a priority, and so can a callback."""
        order = []
        self.assertEqual(self.loop.priority, GLib.PRIORITY_DEFAULT)
        self.loop.priority = GLib.PRIORITY_LOW
        self.assertEqual(self.loop.priority, GLib.PRIORITY_LOW)
        self.loop.priority = GLib.PRIORITY_DEFAULT

        def urgent():
            self.loop.call_with_priority(GLib.PRIORITY_HIGH, order.append, 'urgent')
            self.loop.call_soon(order.append, 'later')

        def repeat_until(expected, run):
            """Until it is that: one that was busy for 8 ms lets others go first."""
            deadline = self.loop.time() + evptest.DEADLINE / 4
            while True:
                order.clear()
                run()
                if order == expected or self.loop.time() > deadline:
                    break
            self.assertEqual(order, expected)

        def all_of_them():
            self.run_loop(asyncio.sleep(0))  # what is left of the last time
            order.clear()
            self.loop.call_with_priority(GLib.PRIORITY_LOW, lambda: (order.append('low'), self.loop.stop()))
            dropped = self.loop.call_with_priority(GLib.PRIORITY_DEFAULT, order.append, 'dropped')
            dropped.cancel()
            self.loop.call_soon(order.append, 'soon')
            self.loop.call_soon(urgent)
            self.loop.run_forever()

        self.loop.turns_per_dispatch = 1
        repeat_until(['soon', 'urgent', 'later', 'low'], all_of_them)

        # what was not run is not lost, and nothing of it is in the context meanwhile
        def not_run():
            self.loop.call_with_priority(GLib.PRIORITY_LOW, order.append, 'again')
            self.run_loop(asyncio.sleep(0))

        repeat_until([], not_run)
        self.assertFalse(DEFAULT.pending())
        self.loop.call_with_priority(GLib.PRIORITY_DEFAULT_IDLE + 200, self.loop.stop)  # after GLib.PRIORITY_LOW
        self.loop.run_forever()
        self.assertEqual(order, ['again'])

        # what is cancelled, before the run and while it runs, is not there in the next one
        def cancelled():
            handles = [self.loop.call_with_priority(GLib.PRIORITY_LOW, order.append, 'cancelled')]
            self.loop.call_soon(lambda: handles.append(
                self.loop.call_with_priority(GLib.PRIORITY_LOW, order.append, 'cancelled')))
            handles[0].cancel()
            self.run_loop(asyncio.sleep(0))
            for handle in handles:
                handle.cancel()

        repeat_until([], cancelled)
        reported = []
        self.loop.set_exception_handler(lambda _loop, context: reported.append(context))
        self.loop.call_with_priority(GLib.PRIORITY_DEFAULT_IDLE + 200, self.loop.stop)
        self.loop.run_forever()
        self.assertEqual((order, reported), ([], []))
        self.loop.set_exception_handler(None)

    def test_evp_loop(self):
        """R7b: the Evp loop beside it runs, and is the running one; either stop() ends both."""
        seen = []

        async def main():
            self.assertEqual(Evp.get_running_loop(), self.loop.evp)
            self.assertEqual(self.loop.evp.dup_main_context(), self.loop.main_context)
            future = self.loop.create_future()
            self.loop.evp.call_later(0.001, future.set_result, 'a timer of Evp')
            seen.append(await future)

        self.run_loop(main())
        self.assertEqual(seen, ['a timer of Evp'])
        with self.assertError(Evp.Error.NO_RUNNING_LOOP):
            Evp.get_running_loop()
        self.loop.call_soon(self.loop.evp.stop)
        self.loop.run_forever()
        self.loop.evp.call_soon(self.loop.stop)
        self.loop.run_forever()
        evp = self.loop.evp
        self.loop.close()
        self.assertTrue(evp.is_closed())

    def test_exceptions(self):
        """R8: what is no Exception comes out of the loop, from wherever it was raised."""
        def fail(exception):
            raise exception

        async def task(exception):
            raise exception

        for kind in KeyboardInterrupt, SystemExit:
            with self.assertRaises(kind):
                self.loop.call_soon(fail, kind())
                self.loop.run_forever()
            with self.assertRaises(kind):
                self.run_loop(task(kind()))
            with self.assertRaises(kind):
                self.loop.call_with_priority(GLib.PRIORITY_DEFAULT, fail, kind())
                self.loop.run_forever()
            with self.assertRaises(kind):
                self.loop.evp.call_soon(fail, kind())
                self.loop.run_forever()
            self.assertEqual(self.run_loop(asyncio.sleep(0, 'goes on')), 'goes on')
        with self.assertRaises(ZeroDivisionError):
            self.run_loop(task(ZeroDivisionError()))
        # of two in one round of the main context the first
        self.loop.call_soon(lambda: [self.loop.call_with_priority(GLib.PRIORITY_HIGH, fail, SystemExit(code))
                                     for code in (1, 2)])
        with self.assertRaises(SystemExit) as caught:
            self.loop.run_forever()
        self.assertEqual(caught.exception.code, 1)
        self.assertFalse(self.loop._prioritized)
        seen = []
        self.loop.set_exception_handler(lambda loop, context: (seen.append(context['exception']), loop.stop()))
        self.loop.call_soon(fail, ValueError('reported'))
        self.loop.run_forever()
        self.assertEqual(str(seen[0]), 'reported')

    def test_never_early(self):
        """R9: no timer is early."""
        async def main():
            for delay in (0.0001, 0.0015, 0.00149, 0.0021, 0.003) * 4:
                start = self.loop.time()
                await asyncio.sleep(delay)
                self.assertGreaterEqual(self.loop.time() - start, delay)
            handle = self.loop.call_later(float('inf'), lambda: None)
            await asyncio.sleep(0.001)
            handle.cancel()

        self.run_loop(main())

    def test_odd_times(self):
        """R4, R9: what is long past, or no number, is due, and nothing has to wait for it."""
        for past in float('-inf'), -1e300, -1, float('nan'):
            for arm in self.loop.call_later, self.loop.call_at:
                seen = []

                def both(arm=arm, past=past, seen=seen):
                    arm(past, lambda: (seen.append(past), self.loop.stop()))

                # before the run, in a turn, and between two
                arm(past, lambda: (seen.append(past), self.loop.stop()))
                self.loop.run_forever()
                self.loop.call_soon(both)
                self.loop.run_forever()
                self.add_source(GLib.Timeout(1), lambda *_: both())
                self.loop.run_forever()
                self.assertEqual(seen, [past] * 3)
        for never in float('inf'), 1e300:
            timer = self.loop.call_later(never, self.fail)
            self.assertEqual(self.run_loop(asyncio.sleep(0.001, 'slept')), 'slept')
            timer.cancel()

    def test_other_clock(self):
        """R9: a loop whose time() is another clock than the main context's waits as long as on stock asyncio."""
        class Shifted(Loop):
            shift = 0.0

            def time(self):
                return super().time() + self.shift

        for shift in 1000, -1000, -1e7:
            loop = Shifted()
            loop.shift = shift
            seen = []

            def arm(name, *_data, loop=loop, seen=seen):
                loop.call_later(0.002, seen.append, name)
                loop.call_at(loop.time() + 0.003, loop.stop)

            # before the run, in a turn, and between two
            arm('before')
            loop.run_forever()
            loop.call_soon(arm, 'in a turn')
            loop.run_forever()
            self.add_source(GLib.Timeout(1), lambda *_, arm=arm: arm('between'))
            loop.run_forever()
            # and a clock that becomes another one meanwhile
            loop.call_soon(setattr, loop, 'shift', 0)
            loop.call_soon(arm, 'after')
            loop.run_forever()
            loop.close()
            self.assertEqual(seen, ['before', 'in a turn', 'between', 'after'])
            self.assertLess(loop.dispatches, 100)

        # one that is set by hand
        class ByHand(Loop):
            now = 5.0

            def time(self):
                return self.now

        loop = ByHand()
        seen = []
        loop.call_later(3600, lambda: (seen.append('hour'), loop.stop()))
        loop.call_later(7200, self.fail)
        self.add_source(GLib.Timeout(2), lambda *_: (setattr(loop, 'now', 3700.0), loop.call_soon(seen.append, 'set')))
        loop.run_forever()
        self.assertEqual(seen, ['set', 'hour'])
        loop.close()

    def test_timers(self):
        """R5, R9: timers are asyncio's: in order, with arguments and context, cancelled or refused."""
        import contextvars
        variable = contextvars.ContextVar('variable', default='outside')
        context = contextvars.copy_context()
        context.run(variable.set, 'inside')
        seen = []
        for arm in self.loop.call_later, self.loop.call_at:
            start = self.loop.time()
            offset = start if arm == self.loop.call_at else 0
            # the earlier one first, and each pair for itself: the clock goes on between two lines
            seen.clear()
            arm(offset + 0.002, lambda *given: seen.append((variable.get(), *given)), 1, 2, context=context)
            arm(offset + 0.004, lambda: seen.append(variable.get()))
            timer = arm(offset + 0.003, seen.append, 'cancelled')
            self.assertIsInstance(timer, asyncio.TimerHandle)
            self.assertGreaterEqual(timer.when(), start + 0.003)
            timer.cancel()
            with self.assertRaises(TypeError):
                arm(None, print)
            self.loop.call_later(0.005, self.loop.stop)
            self.loop.run_forever()
            self.assertEqual(seen, [('inside', 1, 2), 'outside'])

        # asyncio's call_later() goes through call_at(), for who derives
        class Later(evp_asyncio.EventLoop):
            def call_at(self, when, callback, *args, context=None):
                return super().call_at(when + 3600, callback, *args, context=context)

        class Derived(Later):
            def call_later(self, delay, callback, *args, context=None):
                return super().call_later(delay + 7200, callback, *args, context=context)

        for kind, delay in (Loop, 0), (Later, 3600), (Derived, 10800):
            loop = kind()
            for debug in False, True:
                loop.set_debug(debug)
                self.assertEqual((loop.call_later(1, print).when() - loop.time() + 1) // 3600 * 3600, delay)
            loop.close()

        # many cancelled ones do not stay
        for _ in range(10):
            for timer in [self.loop.call_later(3600, print) for _ in range(100)]:
                timer.cancel()
            self.run_loop(asyncio.sleep(0))
        self.assertLess(len(self.loop._scheduled), 300)

        self.loop.close()
        for arm in self.loop.call_later, self.loop.call_at:
            with self.assertRaisesRegex(RuntimeError, 'closed'):
                arm(1, print)

    def test_end_of_pipe(self):
        """R10: the end of a pipe is noticed, and is no reason to spin."""
        async def main():
            process = await asyncio.create_subprocess_exec(
                os.environ['EVP_TEST_CHILD'], 'echo', 'hello', stdout=asyncio.subprocess.PIPE)
            output, _ = await process.communicate()
            self.assertEqual(output.strip(), b'hello')

            reader, writer = os.pipe()
            stream = asyncio.StreamReader()
            transport, _protocol = await self.loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reader, 'rb'))
            os.close(writer)
            self.assertEqual(await stream.read(), b'')
            before = self.loop.dispatches
            await asyncio.sleep(0.02)
            self.assertLess(self.loop.dispatches - before, 10)
            transport.close()

        self.run_loop(main())

    def test_signals(self):
        """R11: every signal can be handled, SIGCHLD included, and the handler is gone afterwards."""
        for number in signal.SIGUSR1, signal.SIGCHLD, signal.SIGWINCH, signal.SIGIO:
            before = signal.getsignal(number)
            self.loop.add_signal_handler(number, self.loop.stop)
            self.loop.call_soon(os.kill, os.getpid(), number)
            self.loop.run_forever()
            self.assertTrue(self.loop.remove_signal_handler(number))
            self.assertEqual(signal.getsignal(number), signal.SIG_DFL)
            signal.signal(number, before)
        self.assertEqual(signal.set_wakeup_fd(-1), -1)

        # added before the run, and removed inside
        self.loop.add_signal_handler(signal.SIGUSR1, print)
        self.loop.call_soon(self.loop.remove_signal_handler, signal.SIGUSR1)
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        self.assertEqual(signal.set_wakeup_fd(-1), -1)

    def test_wakeup_fd(self):
        """R12: a signal wakes a loop that sleeps; whose the wakeup descriptor was has it again."""
        seen = []
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno())
        before = signal.signal(signal.SIGUSR1, lambda *_: (seen.append(1), self.loop.stop()))
        killer = threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGUSR1))
        self.loop.call_soon(killer.start)
        self.loop.run_forever()
        killer.join()
        signal.signal(signal.SIGUSR1, before)
        self.assertEqual(seen, [1])
        self.assertEqual(signal.set_wakeup_fd(-1), writer.fileno())
        reader.close()
        writer.close()

    def test_wakeup_fd_of_others(self):
        """R12: whose the wakeup descriptor was sees what comes while the loop runs, as it does beside asyncio's."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        seen = []
        before = signal.signal(signal.SIGUSR1, lambda *_: None)
        signal.set_wakeup_fd(writer.fileno())
        # in the middle of a run, beside a handler of the loop's
        self.loop.add_reader(reader, lambda: (seen.append(reader.recv(10)), self.loop.stop()))
        self.loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        self.loop.run_forever()
        self.assertEqual(seen, [bytes([signal.SIGUSR1])])
        # in the last turn
        self.loop.remove_reader(reader)
        self.loop.call_soon(self.loop.stop)
        self.loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        self.loop.run_forever()
        self.assertEqual(reader.recv(10), bytes([signal.SIGUSR1]))
        # what wakes the loop is nobody else's business; and nor is what somebody does not read
        self.loop.call_soon_threadsafe(self.loop.call_soon_threadsafe, self.loop.stop)
        self.loop.run_forever()
        with self.assertRaises(BlockingIOError):
            reader.recv(10)
        with self.assertRaises(BlockingIOError):
            while True:
                writer.send(bytes(1000))
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self.loop.call_soon(self.loop.call_soon, self.loop.stop)
        self.loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        self.loop.run_forever()
        self.assertEqual(signal.set_wakeup_fd(-1), writer.fileno())
        reader.close()
        writer.close()

        # another loop's, whose handler is called when that runs again
        other = evp_asyncio.EventLoop()
        other.add_signal_handler(signal.SIGUSR1, other.stop)
        self.loop.call_soon(self.loop.call_soon, self.loop.stop)
        self.loop.call_soon(os.kill, os.getpid(), signal.SIGUSR1)
        self.loop.run_forever()
        other.run_forever()
        other.close()
        signal.signal(signal.SIGUSR1, before)

    def test_interrupt_while_sleeping(self):
        """R12: Ctrl-C ends a loop that waits for ever, with the default handler and with asyncio.run()'s."""
        program = '''
import asyncio, os, signal, threading
import evp_asyncio

def interrupt():
    threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

loop = evp_asyncio.EventLoop()
loop.call_later(0.001, interrupt)
try:
    loop.run_forever()
except KeyboardInterrupt:
    print('forever')
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

def removed():
    loop.add_signal_handler(signal.SIGINT, print, 'not that')
    loop.remove_signal_handler(signal.SIGINT)
    loop.call_later(0.001, interrupt)

loop.call_soon(removed)
try:
    loop.run_forever()
except KeyboardInterrupt:
    print('removed')
def busy():
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(10**6):
        pass
    print('not that')
loop.call_soon(busy)
try:
    loop.run_forever()
except KeyboardInterrupt:
    print('busy')
loop.close()

async def main():
    asyncio.get_running_loop().call_later(0.001, interrupt)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print('cancelled')
        raise

try:
    evp_asyncio.run(main())
except KeyboardInterrupt:
    print('run')
'''
        _status, output, _errors = self.run_python(program)
        self.assertEqual(output.split(), ['forever', 'removed', 'busy', 'cancelled', 'run'])

    def test_interrupt_before_and_after(self):
        """R12, R16: Ctrl-C before the first turn and after the last one comes out, once, and ends no other run."""
        class Interrupted(Loop):
            where = None

            def interrupt(self, where):
                if self.where == where:
                    self.where = None
                    signal.raise_signal(signal.SIGINT)

            def _attach(self):
                self.interrupt('before attaching')
                super()._attach()
                self.interrupt('before')

            def _detach(self):
                self.interrupt('after')
                super()._detach()
                self.interrupt('after detaching')

        main_loop = GLib.MainLoop()
        for guest in False, True:
            for where in 'before attaching', 'before', 'after', 'after detaching':
                with self.subTest(where, guest=guest):
                    loop = Interrupted()
                    loop.where = where
                    with self.assertRaises(KeyboardInterrupt):
                        if guest:
                            with loop.running(main_loop.quit):
                                if where.startswith('after'):
                                    loop.call_soon(main_loop.quit)
                                main_loop.run()
                        else:
                            if where.startswith('after'):
                                loop.call_soon(loop.stop)
                            loop.run_forever()
                    self.assertIsNone(loop.where)
                    self.assertEqual(loop.run_until_complete(asyncio.sleep(0.001, 'whole')), 'whole')
                    loop.close()

        # beside a source that lets the loop have no turn
        self.loop.priority = GLib.PRIORITY_LOW
        busy = []

        def never_ends(*_data):
            busy.append(1)
            if len(busy) == 3:
                signal.raise_signal(signal.SIGINT)
            return True

        source = self.add_source(GLib.Idle(), never_ends)
        with self.assertRaises(KeyboardInterrupt):
            self.loop.run_forever()
        source.destroy()
        self.assertEqual(self.run_loop(asyncio.sleep(0.001, 'whole')), 'whole')

    def test_raising_handlers(self):
        """R8, R12: what a signal handler raises while the loop sleeps comes out of the run, after the task has tidied up."""
        program = '''
import asyncio, os, signal, threading, time
import evp_asyncio

def send(number, loop):
    def when_asleep():  # in a callback, it would be that which fails
        while not loop._idle:
            time.sleep(0.001)
        os.kill(os.getpid(), number)
    threading.Thread(target=when_asleep).start()

class Alarm(Exception):
    pass

def handler(number, frame):
    raise kinds[number]

kinds = {signal.SIGTERM: SystemExit(3), signal.SIGUSR1: Alarm()}
for number in kinds:
    signal.signal(number, handler)

async def main(number):
    send(number, asyncio.get_running_loop())
    try:
        await asyncio.Event().wait()
    finally:
        print('tidied up')

for number in signal.SIGTERM, signal.SIGUSR1:
    try:
        evp_asyncio.run(main(number))
    except BaseException as exception:
        print(exception is kinds[number])

# the second Ctrl-C is for those who ignore the first
async def stubborn():
    send(signal.SIGINT, asyncio.get_running_loop())
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print('once')
        send(signal.SIGINT, asyncio.get_running_loop())
        await asyncio.Event().wait()

try:
    evp_asyncio.run(stubborn())
except KeyboardInterrupt:
    print('twice')

# and it can be run again
loop = evp_asyncio.EventLoop()
for number in signal.SIGTERM, signal.SIGUSR1:
    loop.call_soon(send, number, loop)
    try:
        loop.run_forever()
    except BaseException as exception:
        print(exception is kinds[number])
print(loop.run_until_complete(asyncio.sleep(0.001, 'goes on')))
loop.close()

application = Gio.Application(flags=Gio.ApplicationFlags.NON_UNIQUE)
def activate(application):
    application.hold()
    loop = asyncio.get_running_loop()
    loop.call_soon(send, signal.SIGTERM, loop)
application.connect('activate', activate)
try:
    evp_asyncio.run_application(application)
except SystemExit:
    print('application')
'''
        _status, output, _errors = self.run_python(program)
        self.assertEqual(output.splitlines(), ['tidied up', 'True'] * 2 + ['once', 'twice', 'True', 'True', 'goes on',
                                                                           'application'])

    def test_interrupt_nested(self):
        """R8, R12: Ctrl-C ends main loops that callbacks run, from the inside out; so does what else leaves a turn."""
        program = '''
import asyncio, os, signal, threading
import evp_asyncio

def interrupt():  # once the innermost runs
    GLib.idle_add(threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start)

def leave():
    raise SystemExit

def nest(name, inside):
    inside()
    GLib.MainLoop().run()
    print(name)

loop = evp_asyncio.EventLoop()
for inside in interrupt, lambda: loop.call_soon(leave):
    GLib.idle_add(nest, 'outer', lambda inside=inside: GLib.idle_add(nest, 'inner', inside))
    try:
        loop.run_forever()
    except (KeyboardInterrupt, SystemExit) as exception:
        print(type(exception).__name__)
    print(loop.run_until_complete(asyncio.sleep(0.001, 'goes on')))

# with a main loop around
def around():
    loop.call_soon(interrupt)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        print('ours')

GLib.idle_add(around)
try:
    GLib.MainLoop().run()
except KeyboardInterrupt:
    print('around')
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
main_loop = GLib.MainLoop()
GLib.idle_add(main_loop.quit)
main_loop.run()
loop.close()

application = Gio.Application(flags=Gio.ApplicationFlags.NON_UNIQUE)
def activate(application):
    application.hold()
    GLib.idle_add(nest, 'in the application', interrupt)
application.connect('activate', activate)
try:
    evp_asyncio.run_application(application)
except KeyboardInterrupt:
    print('application')
'''
        _status, output, _errors = self.run_python(program)
        self.assertEqual(output.splitlines(), ['inner', 'outer', 'KeyboardInterrupt', 'goes on',
                                               'inner', 'outer', 'SystemExit', 'goes on', 'ours', 'around',
                                               'in the application', 'application'])

    def test_interrupt_in_task(self):
        """R6, R12: Ctrl-C ends main loops that a task runs, too, and what their end is not the end of goes on."""
        program = '''
import asyncio, os, signal, threading
import evp_asyncio

def send(number):
    threading.Thread(target=os.kill, args=(os.getpid(), number)).start()

def nest(name, inside):
    main_loop = GLib.MainLoop()
    GLib.idle_add(lambda: inside(main_loop) and False)
    main_loop.run()
    print(name)

loop = evp_asyncio.EventLoop()
interrupt = lambda _main_loop: send(signal.SIGINT)
for inside in interrupt, lambda _main_loop: nest('innermost', interrupt):
    async def main():
        nest('nested', inside)
        await asyncio.sleep(0)
        print('not that')
    task = loop.create_task(main())
    try:
        loop.run_until_complete(task)
    except KeyboardInterrupt:
        print('interrupted')
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
nested = []
def signalled(number, _frame):
    print('at once')
    nested[0].quit()

async def main():
    # a handler of one's own runs at once, a callback of the loop's when the main loop has ended
    loop = asyncio.get_running_loop()
    old = signal.signal(signal.SIGUSR1, signalled)
    nest('own handler', lambda main_loop: (nested.append(main_loop), send(signal.SIGUSR1)))
    signal.signal(signal.SIGUSR1, old)
    loop.add_signal_handler(signal.SIGUSR2, print, 'afterwards')
    def wait_for_it(main_loop):
        send(signal.SIGUSR2)
        GLib.timeout_add(20, main_loop.quit)
    nest('handler of the loop', wait_for_it)
    await asyncio.sleep(0.001)
    loop.remove_signal_handler(signal.SIGUSR2)
    try:
        nest('in a task', interrupt)
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        print('cancelled')
        nest('tidies up', GLib.MainLoop.quit)
        await asyncio.sleep(0.001)
        print('goes on')
        raise

try:
    evp_asyncio.run(main())
except KeyboardInterrupt:
    print('run')
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
main_loop = GLib.MainLoop()
GLib.idle_add(main_loop.quit)
main_loop.run()
GLib.idle_add(send, signal.SIGINT)
try:
    main_loop.run()
except KeyboardInterrupt:
    print('main loop')
loop.close()
'''
        _status, output, errors = self.run_python(program)
        self.assertEqual(output.splitlines(), [
            'nested', 'interrupted', 'innermost', 'nested', 'interrupted', 'at once', 'own handler',
            'handler of the loop', 'afterwards', 'in a task', 'cancelled', 'tidies up', 'goes on', 'run', 'main loop'],
            errors)

    def test_two_at_once(self):
        """R13: a second loop is refused at once, and the first goes on."""
        other = evp_asyncio.EventLoop()

        async def main():
            coroutine = asyncio.sleep(0)
            with self.assertRaisesRegex(RuntimeError, 'another loop is running'):
                other.run_until_complete(coroutine)
            coroutine.close()
            with self.assertRaisesRegex(RuntimeError, 'already running'):
                self.loop.run_forever()
            errors = []

            def in_thread():
                loop = evp_asyncio.EventLoop(context=DEFAULT)
                try:
                    loop.run_forever()
                except RuntimeError as error:
                    errors.append(str(error))
                loop.close()

            await asyncio.to_thread(in_thread)
            self.assertRegex(errors[0], 'Another thread')
            return await asyncio.sleep(0.001, 'untouched')

        self.assertEqual(self.run_loop(main()), 'untouched')
        # but one after the other
        self.assertEqual(other.run_until_complete(asyncio.sleep(0, 'later')), 'later')
        other.close()

    def test_released(self):
        """R13, R16: after a run its main context is free for another thread, and a cancelled callback has not run."""
        seen = []
        self.loop.set_exception_handler(lambda _loop, context: seen.append(context))

        def first():
            cancelled.cancel()
            self.loop.stop()

        self.loop.call_soon(first)
        cancelled = self.loop.call_soon(seen.append, 'cancelled')
        self.loop.run_forever()

        def in_thread():
            seen.append(DEFAULT.acquire())
            if seen[-1]:
                DEFAULT.release()

        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
        self.assertEqual(seen, [True])

    def test_running_nests(self):
        """R14, R15: running() nests, and stop() ends the innermost first."""
        ended = []

        def nest(*_data):
            nested = GLib.MainLoop()
            with self.loop.running(nested.quit):
                self.loop.call_soon(self.loop.stop)
                nested.run()
                ended.append('inner')

        self.assertEqual(self.loop._context, DEFAULT)
        outer = GLib.MainLoop()
        with self.loop.running(outer.quit):
            self.assertIs(asyncio.get_running_loop(), self.loop)
            self.assertEqual(Evp.get_running_loop(), self.loop.evp)
            self.add_source(GLib.Idle(), nest)
            outer.run()
            ended.append('outer')
        self.assertEqual(ended, ['inner', 'outer'])
        self.assertIsNone(asyncio._get_running_loop())

        # in a task, where the loop has no turns
        async def main():
            nested = GLib.MainLoop()
            with self.loop.running(nested.quit):
                self.add_source(GLib.Idle(), lambda *_: self.loop.stop())
                nested.run()
            ended.append('task')

        task = self.loop.create_task(main())
        self.loop.run_forever()
        self.assertEqual(ended[2:], ['task'])
        self.assertTrue(task.done())

    def test_driven_in_a_thread(self):
        """R13, R15: the context of a loop that somebody drives is the thread-default one meanwhile, and not after."""
        seen = []

        def in_thread():
            loop = evp_asyncio.EventLoop()
            main_loop = GLib.MainLoop(loop.main_context)
            with loop.running(main_loop.quit):
                loop.call_soon(lambda: seen.append(GLib.MainContext.get_thread_default() == loop.main_context))
                loop.call_soon(loop.stop)
                main_loop.run()
            seen.append(GLib.MainContext.get_thread_default())
            loop.close()

        thread = threading.Thread(target=in_thread)
        thread.start()
        thread.join()
        self.assertEqual(seen, [True, None])

    def test_exception_beside_another(self):
        """R8, R15: what ended a loop that somebody drives comes out there, whatever else does, and not of the next run."""
        async def leave():
            raise SystemExit(3)

        task = self.loop.create_task(leave())
        main_loop = GLib.MainLoop()
        with self.assertRaises(SystemExit) as caught:
            with self.loop.running(main_loop.quit):
                main_loop.run()
                raise ZeroDivisionError
        self.assertIsInstance(caught.exception.__context__, ZeroDivisionError)
        self.assertIsInstance(task.exception(), SystemExit)
        with self.assertRaises(ZeroDivisionError):
            with self.loop.running():
                raise ZeroDivisionError
        self.assertEqual(self.run_loop(asyncio.sleep(0, 'goes on')), 'goes on')

    def test_paused(self):
        """R14: inside paused() the loop does not run."""
        seen = []
        nested = GLib.MainLoop()

        def nest(*_data):
            with self.loop.paused():
                self.assertIsNone(asyncio._get_running_loop())
                self.loop.call_soon(seen.append, 'soon')
                self.add_source(GLib.Timeout(2), lambda *_: nested.quit())
                nested.run()
                self.assertEqual(seen, [])
            self.assertIs(asyncio._get_running_loop(), self.loop)
            self.loop.call_soon(self.loop.stop)

        self.add_source(GLib.Idle(), nest)
        self.loop.run_forever()
        self.assertEqual(seen, ['soon'])

        def nest_again(*_data):
            with self.loop.paused():
                self.loop.call_with_priority(GLib.PRIORITY_DEFAULT, seen.append, 'with priority')
                while nested.get_context().iteration(False):
                    pass
                self.assertEqual(seen, ['soon'])
                self.loop.call_with_priority(GLib.PRIORITY_DEFAULT, seen.append, 'once')
            self.loop.call_with_priority(GLib.PRIORITY_LOW, self.loop.stop)

        self.add_source(GLib.Idle(), nest_again)
        self.loop.run_forever()
        self.assertEqual(sorted(seen[1:]), ['once', 'with priority'])

    def test_paused_in_task(self):
        """R6, R14: a task that iterates the context inside paused() does not spin, and is not entered again after it."""
        seen = []
        context = GLib.MainContext.default()

        async def main():
            ended = []
            iterations = 0
            self.loop.call_soon(seen.append, 'soon')
            self.loop.call_with_priority(GLib.PRIORITY_HIGH, seen.append, 'with priority')
            self.add_source(GLib.Timeout(20), lambda *_: ended.append(1))
            with self.loop.paused():
                self.loop.call_with_priority(GLib.PRIORITY_HIGH, seen.append, 'meanwhile')
                context.iteration(False)
            self.assertEqual(seen, [])
            # as C code does it: PyGObject does not get to know
            main_loop = get_introspection_module('GLib').MainLoop
            nested = main_loop.new(context, False)
            self.add_source(GLib.Timeout(10), lambda *_: main_loop.quit(nested))
            main_loop.run(nested)
            self.assertEqual(sorted(seen), ['meanwhile', 'with priority'])
            while not ended:
                with self.loop.paused():
                    context.iteration(True)
                iterations += 1
            await asyncio.sleep(0)
            self.assertEqual(seen[2:], ['soon'])
            self.assertLess(iterations, 20)

        self.run_loop(main())

    def test_paused_in_callback(self):
        """R6, R14: a callback of GLib's that iterates the context inside paused() does not spin."""
        seen = []
        context = GLib.MainContext.default()
        reader, writer = socket.socketpair()
        self.addCleanup(reader.close)
        self.addCleanup(writer.close)
        writer.send(b'x')

        def read():
            seen.append(reader.recv(1))
            self.loop.remove_reader(reader)

        def iterate(*_data):
            ended = []
            iterations = 0
            self.add_source(GLib.Timeout(20), lambda *_: ended.append(1))
            self.loop.call_soon(seen.append, 'soon')
            self.loop.call_later(0.005, seen.append, 'later')
            self.loop.add_reader(reader, read)
            while not ended:
                with self.loop.paused():
                    context.iteration(True)
                iterations += 1
            self.assertEqual(seen, [])
            self.assertLess(iterations, 20)
            self.loop.call_later(0.01, self.loop.stop)

        self.add_source(GLib.Idle(), iterate)
        self.loop.run_forever()
        self.assertEqual(sorted(seen, key=str), [b'x', 'later', 'soon'])

    def test_paused_is_not_over(self):
        """R13, R14: a loop that is paused is neither run nor closed meanwhile, and goes on; others may run."""
        seen = []

        def tried(*_data):
            seen.clear()
            with self.loop.paused():
                for use in self.loop.run_forever, self.loop.running().__enter__, self.loop.close:
                    with self.assertRaisesRegex(RuntimeError, 'running'):
                        use()
                coroutine = asyncio.sleep(0)
                with self.assertRaisesRegex(RuntimeError, 'running'):
                    self.loop.run_until_complete(coroutine)
                coroutine.close()
                self.assertEqual(asyncio.all_tasks(self.loop), set())  # it is not run later, either
                for factory in asyncio.SelectorEventLoop, evp_asyncio.EventLoop:
                    with asyncio.Runner(loop_factory=factory) as runner:
                        seen.append(runner.run(asyncio.sleep(0.001, factory)))
                with self.assertError(Evp.Error.NO_RUNNING_LOOP):
                    Evp.get_running_loop()
            self.assertEqual(Evp.get_running_loop(), self.loop.evp)
            self.loop.call_later(0.001, self.loop.stop)

        main_loop = GLib.MainLoop()
        for start in lambda: self.add_source(GLib.Idle(), tried), lambda: self.loop.call_soon(tried):
            start()
            self.loop.run_forever()
            self.assertEqual(seen, [asyncio.SelectorEventLoop, evp_asyncio.EventLoop])
            start()
            with self.loop.running(main_loop.quit):
                main_loop.run()
            self.assertEqual(seen, [asyncio.SelectorEventLoop, evp_asyncio.EventLoop])

    def test_driven_by_evp(self):
        """R7b, R15: the Evp loop beside it can drive it, like any other main loop."""
        other = self.new_loop(DEFAULT)

        async def main():
            await asyncio.sleep(0.001)
            self.assertEqual(Evp.get_running_loop(), evp)
            self.loop.stop()

        evp = self.loop.evp
        for _ in range(2):
            with self.loop.running(evp.stop):
                self.assertEqual(Evp.get_running_loop(), evp)
                task = self.loop.create_task(main())
                evp.run_forever()
                self.assertIsNone(task.result())
                self.assertEqual(Evp.get_running_loop(), evp)
        with self.loop.running(evp.stop):
            self.assertEqual(evp.run_until_complete(evp_asyncio.wrap_future(asyncio.sleep(0.001, 'slept'))), 'slept')
        with self.assertError(Evp.Error.NO_RUNNING_LOOP):
            Evp.get_running_loop()

        # but it runs already in callbacks of asyncio and its own, and then no other one does
        def inside(*_data):
            for driver in evp, other:
                with self.assertError(Evp.Error.LOOP_RUNNING):
                    driver.run_forever()
            seen.append('refused')
            main_loop.quit()

        seen = []
        main_loop = GLib.MainLoop()
        with self.loop.running(main_loop.quit):
            for schedule in self.loop.call_soon, evp.call_soon:
                schedule(inside)
                main_loop.run()
            with self.assertError(Evp.Error.LOOP_RUNNING):
                other.run_forever()
        self.assertEqual(seen, ['refused', 'refused'])

    def test_stop_and_restart(self):
        """R16: stop() before the run makes one turn; nothing stays in the context; the loop can run again."""
        seen = []
        self.loop.call_soon(lambda: (seen.append(1), self.loop.call_soon(seen.append, 2)))
        self.loop.stop()
        self.loop.run_forever()
        self.assertEqual(seen, [1])
        self.assertFalse(self.loop._source.is_attached())
        self.assertFalse(DEFAULT.pending())
        self.loop.stop()
        self.loop.run_forever()
        self.assertEqual(seen, [1, 2])

        self.add_source(GLib.Timeout(2), lambda *_: self.loop.stop())
        self.loop.run_forever()

        async def main():
            with self.assertRaisesRegex(RuntimeError, 'running'):
                self.loop.close()

        self.run_loop(main())
        self.loop.close()
        self.loop.close()
        with self.assertRaisesRegex(RuntimeError, 'closed'):
            self.loop.run_forever()

    def test_threads(self):
        """R17: call_soon_threadsafe() reaches a loop that sleeps."""
        for _ in range(20):
            thread = threading.Thread(target=self.loop.call_soon_threadsafe, args=(self.loop.stop,))
            thread.start()
            self.loop.run_forever()
            thread.join()

    def test_fork(self):
        """R17: a child process can run a loop of its own, in the middle of its parent's."""
        async def main():
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    asyncio._set_running_loop(None)
                    loop = evp_asyncio.EventLoop(context=GLib.MainContext.new())
                    status = loop.run_until_complete(asyncio.sleep(0.001, 7))
                    loop.close()
                finally:
                    os._exit(status)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

        self.assertEqual(self.run_loop(main()), 7)

    def test_dropped(self):
        """R16: a closed loop is freed, and as asyncio's without waiting for the garbage collector."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        loop = evp_asyncio.EventLoop()
        loop.call_soon(signal.raise_signal, signal.SIGINT)
        with self.assertRaises(KeyboardInterrupt):
            loop.run_forever()
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.close()
        reference = weakref.ref(loop)
        del loop
        self.assertIsNone(reference())
        gc.enable()

        loop = evp_asyncio.EventLoop()
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.close()
        reference = weakref.ref(loop)
        del loop
        self.assertDropped(reference)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            loop = evp_asyncio.EventLoop()
            loop.run_until_complete(asyncio.sleep(0))
            reference = weakref.ref(loop)
            del loop
            gc.collect()
        self.assertDropped(reference)
        self.assertEqual([warning.category for warning in caught], [ResourceWarning])

    def test_never_closed(self):
        """R16: programs that do not close their loops end as quietly as on stock asyncio."""
        program = '''
import asyncio, atexit, sys
import evp_asyncio

def at_the_end():
    print(never_closed.run_until_complete(asyncio.sleep(0, 'at the end')))

evp_asyncio.install({policy})
atexit.register(at_the_end)
never_closed = asyncio.new_event_loop()
print(never_closed.run_until_complete(asyncio.sleep(0, 'never closed')))
policys = asyncio.new_event_loop()
asyncio.set_event_loop(policys)
assert asyncio.get_event_loop_policy().get_event_loop() is policys
print(policys.run_until_complete(asyncio.sleep(0, 'of the policy')))
never_run = asyncio.new_event_loop()
{then}
'''
        for policy in '', 'evp_asyncio._Evp.DefaultEventLoopPolicy()':
            for then in 'never_closed.evp', 'sys.exit(0)', 'atexit.unregister(at_the_end); atexit.register(at_the_end)':
                _status, output, _errors = self.run_python(program.format(policy=policy, then=then),
                                                           PYTHONWARNINGS='ignore')
                self.assertEqual(output.splitlines(), ['never closed', 'of the policy', 'at the end'])

    def test_debug(self):
        """R5, R20: debug mode names who scheduled something, not us."""
        self.loop.set_debug(True)
        for handle in (self.loop.call_soon(print), self.loop.call_later(1, print), self.loop.call_at(1, print),
                       self.loop.call_soon_threadsafe(print)):
            self.assertEqual(handle._source_traceback[-1].name, 'test_debug')
            handle.cancel()


class TestSockets(BridgeTestCase):
    """sock_recv(), sock_recv_into() and sock_sendall(), which wait without a reader or a writer of asyncio's."""

    def setUp(self):
        super().setUp()
        self.sockets = []
        self.addCleanup(lambda: [each.close() for each in self.sockets])

    def pair(self):
        pair = socket.socketpair()
        self.sockets += pair
        for each in pair:
            each.setblocking(False)
        return pair

    def turns(self, count=3):
        for _ in range(count):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    @staticmethod
    def fill(near):
        while True:
            try:
                near.send(bytes(65536))
            except BlockingIOError:
                break

    def waiting(self, coroutine):
        task = self.loop.create_task(coroutine)
        self.turns()
        self.assertFalse(task.done())
        return task

    def test_echo(self):
        """R1: they do what asyncio's do, with more than fits at once, in both directions, and in debug mode."""
        size = 3_000_000
        data = bytes(range(256)) * (size // 256)

        async def echo(near):
            left = len(data)
            while left:
                received = await self.loop.sock_recv(near, 65536)
                left -= len(received)
                await self.loop.sock_sendall(near, received)

        async def receive(far):
            buffer, received = bytearray(100_000), b''
            while len(received) < len(data):
                number = await self.loop.sock_recv_into(far, buffer)
                received += buffer[:number]
            return received

        async def main():
            near, far = self.pair()
            results = await asyncio.gather(echo(near), self.loop.sock_sendall(far, data), receive(far))
            self.assertEqual(results[2], data)
            near.close()
            self.assertEqual(await self.loop.sock_recv(far, 10), b'')

        for debug in False, True, False:
            self.loop.set_debug(debug)
            self.loop.slow_callback_duration = 60
            self.run_loop(main())

    def test_debug_meanwhile(self):
        """R1: what waits goes on when debug mode is switched on, and off."""
        near, far = self.pair()
        task = self.waiting(self.loop.sock_recv(near, 10))
        self.loop.set_debug(True)
        self.loop.slow_callback_duration = 60
        far.send(b'one')
        self.assertEqual(self.run_loop(task), b'one')
        task = self.waiting(self.loop.sock_recv(near, 10))
        self.loop.set_debug(False)
        far.send(b'two')
        self.assertEqual(self.run_loop(task), b'two')

    def test_cancel(self):
        """R1: what is cancelled takes nothing from the socket, even when it was ready already."""
        near, far = self.pair()
        task = self.waiting(self.loop.sock_recv(near, 10))
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            self.run_loop(task)
        self.assertFalse(self.loop._selector.readers)

        task = self.waiting(self.loop.sock_recv(near, 10))
        far.send(b'kept')
        self.loop.call_soon(task.cancel)  # in the turn that finds the socket ready, before the task goes on
        with self.assertRaises(asyncio.CancelledError):
            self.run_loop(task)
        self.assertEqual(self.run_loop(self.loop.sock_recv(near, 10)), b'kept')

        coroutine = self.loop.sock_recv(near, 10)  # one that is left when the loop is closed
        coroutine.send(None)
        self.loop.close()
        coroutine.close()

    def test_interrupted(self):
        """R1, R8: what the kernel has told, once, is not lost when Ctrl-C comes before it is passed on."""
        near, far = self.pair()
        task = self.waiting(self.loop.sock_recv(near, 10))
        far.send(b'told once')

        def interrupted(*_event):
            del self.loop._selector.wake
            raise KeyboardInterrupt

        self.loop._selector.wake = interrupted
        with self.assertRaises(KeyboardInterrupt):
            self.loop.run_forever()
        self.assertEqual(self.run_loop(task), b'told once')

    def test_not_waited_for(self):
        """R1: what the kernel cannot wait for is an error, and nothing of it is left."""
        near, far = self.pair()
        selector = self.loop._selector

        def fails(_fd):
            del selector.arm
            raise OSError(errno.ENOSPC, 'no more watches')

        for receive in self.loop.sock_recv(near, 10), self.loop.sock_recv_into(near, bytearray(10)):
            selector.arm = fails
            with self.assertRaisesRegex(OSError, 'no more watches'):
                self.run_loop(receive)
            self.assertEqual(selector.readers, {})
        self.fill(near)
        selector.arm = fails
        with self.assertRaisesRegex(OSError, 'no more watches'):
            self.run_loop(self.loop.sock_sendall(near, b'x'))
        self.assertEqual(selector.writers, {})
        task = self.waiting(self.loop.sock_recv(near, 10))
        far.send(b'goes on')
        self.assertEqual(self.run_loop(task), b'goes on')

    def test_removed(self):
        """R1: what waits counts as a reader or a writer, and waits for nothing more when that is removed."""
        near, far = self.pair()
        for debug in True, False:  # with asyncio's, and with ours
            self.loop.set_debug(debug)
            self.loop.slow_callback_duration = 60
            for remove_by in near, near.fileno():
                task = self.waiting(self.loop.sock_recv(near, 10))
                self.assertFalse(self.loop.remove_writer(remove_by))
                self.assertTrue(self.loop.remove_reader(remove_by))
                self.assertFalse(self.loop.remove_reader(remove_by))
                far.send(b'kept')
                self.turns()
                self.assertFalse(task.done())
                task.cancel()
                self.turns()
                self.assertEqual(self.run_loop(self.loop.sock_recv(near, 10)), b'kept')

            self.fill(near)
            task = self.waiting(self.loop.sock_sendall(near, b'x'))
            receiving = self.waiting(self.loop.sock_recv(near, 10))
            self.assertTrue(self.loop.remove_writer(near))
            self.assertFalse(self.loop.remove_writer(near))
            while True:
                try:
                    far.recv(1 << 20)
                except BlockingIOError:
                    break
            self.turns()
            self.assertFalse(task.done())
            task.cancel()
            far.send(b'other')  # the other direction goes on
            self.assertEqual(self.run_loop(receiving), b'other')
        self.loop.close()
        self.assertFalse(self.loop.remove_reader(near))
        self.assertFalse(self.loop.remove_writer(near))

    def test_the_last_one(self):
        """R1: of two that receive from one socket the last one gets what comes, as in asyncio."""
        near, far = self.pair()
        first = self.waiting(self.loop.sock_recv(near, 10))
        second = self.waiting(self.loop.sock_recv(near, 10))
        first.cancel()
        self.turns()
        far.send(b'for the second')
        self.assertEqual(self.run_loop(second), b'for the se')
        self.assertTrue(first.cancelled())

    def test_beside_readers(self):
        """R1: readers and writers can be added for what waits, and for what has waited."""
        near, far = self.pair()
        seen = []
        task = self.waiting(self.loop.sock_recv(near, 10))
        self.loop.add_writer(near, lambda: (seen.append('writable'), self.loop.remove_writer(near)))
        self.turns()
        self.assertEqual(seen, ['writable'])
        far.send(b'received')
        self.assertEqual(self.run_loop(task), b'received')
        self.assertFalse(self.loop.remove_reader(near))

        self.loop.add_reader(near, lambda: (seen.append(near.recv(10)), self.loop.stop()))
        far.send(b'read')
        self.loop.run_forever()
        far.send(b'again')
        self.loop.run_forever()
        self.assertEqual(seen[1:], [b'read', b'again'])
        self.assertTrue(self.loop.remove_reader(near))

        # and what waits for a socket that has a reader or a writer
        self.loop.add_writer(near, seen.clear)
        task = self.waiting(self.loop.sock_recv(near, 10))
        far.send(b'beside')
        self.assertEqual(self.run_loop(task), b'beside')
        self.assertTrue(self.loop.remove_writer(near))

        # what has waited to send for one that has a reader now
        self.fill(near)
        sending = self.waiting(self.loop.sock_sendall(near, b'x'))
        self.loop.add_reader(near, near.recv, 10)
        self.turns()
        self.loop.add_reader(far, far.recv, 1 << 20)
        self.run_loop(sending)
        self.turns()
        self.assertFalse(self.loop.remove_writer(near))
        self.assertTrue(self.loop.remove_reader(near))
        self.assertTrue(self.loop.remove_reader(far))

        # a full socket, with one waiting in each direction
        self.fill(near)
        receiving = self.waiting(self.loop.sock_recv(near, 10))
        sending = self.waiting(self.loop.sock_sendall(near, b'x'))
        far.send(b'first')
        self.assertEqual(self.run_loop(receiving), b'first')
        self.assertFalse(sending.done())
        receiving = self.waiting(self.loop.sock_recv(near, 10))
        self.loop.add_reader(far, far.recv, 1 << 20)
        self.run_loop(sending)
        self.assertFalse(receiving.done())
        self.loop.remove_reader(far)
        self.assertFalse(self.loop.remove_writer(near))
        far.send(b'second')
        self.assertEqual(self.run_loop(receiving), b'second')

    def test_number_again(self):
        """R1: a descriptor that is closed and comes again is another one, for whoever waits."""
        near, far = self.pair()
        task = self.waiting(self.loop.sock_recv(near, 10))
        far.send(b'once')
        self.assertEqual(self.run_loop(task), b'once')
        lost = self.waiting(self.loop.sock_recv(near, 10))
        for wait in (lambda near: self.loop.sock_recv(near, 10), self.read):
            number = near.fileno()
            near.close()
            near, far = self.pair()
            if far.fileno() == number:
                near, far = far, near
            self.assertEqual(near.fileno(), number)
            task = self.waiting(wait(near))
            far.send(b'new')
            self.assertEqual(self.run_loop(task), b'new')
        lost.cancel()
        self.turns()

    async def read(self, near):
        future = self.loop.create_future()
        self.loop.add_reader(near, lambda: future.set_result(near.recv(10)))
        try:
            return await future
        finally:
            self.loop.remove_reader(near)

    def test_copy_of_descriptor(self):
        """R1: a descriptor that goes on in a copy, a child's for example, keeps nobody busy."""
        near, far = self.pair()
        task = self.waiting(self.loop.sock_recv(near, 10))
        far.send(b'once')
        self.assertEqual(self.run_loop(task), b'once')
        copy = os.dup(near.fileno())
        near.close()
        far.send(b'for the copy')
        before = self.loop.dispatches
        self.add_source(GLib.Timeout(20), lambda *_: self.loop.stop())
        self.loop.run_forever()
        os.close(copy)
        self.assertLess(self.loop.dispatches - before, 10)

    def test_transport(self):
        """R1: a socket that belongs to a transport is refused."""
        async def main():
            near, far = self.pair()
            transport, _protocol = await self.loop.create_connection(asyncio.Protocol, sock=near)
            with self.assertRaisesRegex(RuntimeError, 'is used by transport'):
                await self.loop.sock_recv(near, 10)
            transport.close()
            far.close()

        self.run_loop(main())


class TestApplication(evptest.TestCase):
    def application(self, activate):
        application = Gio.Application(flags=Gio.ApplicationFlags.NON_UNIQUE)
        application.connect('activate', activate)
        return application

    def test_run_application(self):
        """R15: an application drives the loop; tasks can be made in signal handlers, and end with it."""
        seen = []

        async def ticks():
            try:
                while True:
                    yield 1
            finally:
                seen.append('generator closed')

        async def forever():
            try:
                async for _tick in ticks():
                    await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append('cancelled')
                raise

        async def work(application):
            seen.append(Evp.get_running_loop() == asyncio.get_running_loop().evp)
            await asyncio.sleep(0.001)
            seen.append('worked')

        def activate(application):
            loops.append(asyncio.get_running_loop())
            tasks.append(loops[0].create_task(forever()))
            evp_asyncio.create_application_task(application, work(application))

        loops, tasks = [], []
        self.assertEqual(evp_asyncio.run_application(self.application(activate)), 0)
        self.assertEqual(seen[:2], [True, 'worked'])
        self.assertEqual(sorted(seen[2:]), ['cancelled', 'generator closed'])
        self.assertTrue(tasks[0].cancelled())
        self.assertTrue(loops[0].is_closed())

    def test_what_is_left(self):
        """R15: in the end generators are closed, threads have ended, and exceptions are reported."""
        reported, seen, threads, kept = [], [], [], []
        may_end = threading.Event()

        async def generator():
            try:
                yield 1
            finally:
                seen.append('generator closed')
                may_end.set()

        async def fail():
            kept.append(generator())  # held, so that nothing but the end of the loop closes it
            await kept[0].__anext__()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise ZeroDivisionError from None

        def work():
            threads.append(threading.current_thread())
            started.set()
            may_end.wait()

        started = threading.Event()

        def activate(application):
            application.hold()
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _loop, context: reported.append((context['message'], context['task'])))
            tasks.append(loop.create_task(fail()))
            loop.run_in_executor(None, work)
            loop.call_soon(loop.call_soon, lambda: (started.wait(), application.quit()))

        tasks = []
        self.assertEqual(evp_asyncio.run_application(self.application(activate)), 0)
        self.assertEqual(seen, ['generator closed'])
        self.assertEqual(reported, [('unhandled exception while the application ended', tasks[0])])
        self.assertFalse(threads[0].is_alive())

    def test_arguments(self):
        """R15, R19: what is given to the application, the loop and the tasks gets there, and the status comes back."""
        seen = []

        async def note():
            seen.append(asyncio.current_task().get_name())

        def command_line(application, given):
            seen.extend((given.get_arguments(), asyncio.get_running_loop().get_debug()))
            if hold:
                evp_asyncio.create_application_task(application, note(), name='named')
            return 3

        def new():
            application = Gio.Application(flags=Gio.ApplicationFlags.NON_UNIQUE
                                          | Gio.ApplicationFlags.HANDLES_COMMAND_LINE)
            application.connect('command-line', command_line)
            return application

        argv = ['program', 'argument']
        hold = False  # GIO forgets the status of one that is held
        in_debug = evp_asyncio.EventLoop()
        in_debug.set_debug(True)
        for options, debug in ({'debug': True}, True), ({}, False), ({'loop': in_debug}, True):
            seen.clear()
            self.assertEqual(evp_asyncio.run_application(new(), argv, **options), 3)
            self.assertEqual(seen, [argv, debug])
        self.assertTrue(in_debug.is_closed())

        async def main():
            while 'named' not in seen:
                await asyncio.sleep(0)
            return asyncio.get_running_loop().get_debug()

        hold = True
        for debug in True, False:
            seen.clear()
            self.assertIs(evp_asyncio.run(main(), application=new(), argv=argv, debug=debug), debug)
            self.assertEqual(seen, [argv, debug, 'named'])
            self.assertIs(evp_asyncio.run(main(), debug=debug), debug)

    def test_two_exceptions(self):
        """R8, R19: what ends run() is more than what its coroutine raised, which is not reported as lost then."""
        reported = []

        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _loop, context: reported.append(context))
            loop.call_soon(sys.exit, 3)
            raise ZeroDivisionError

        with self.assertRaises(SystemExit):
            evp_asyncio.run(main(), application=self.application(lambda application: application.hold()))
        gc.collect()
        self.assertEqual(reported, [])

    def test_tasks_are_kept(self):
        """R15: a task of the application's that nobody holds goes on, and is let go of when it is done."""
        tasks = []

        async def work():
            future = asyncio.get_running_loop().create_future()
            wake = weakref.ref(future)
            GLib.timeout_add(1, lambda: (gc.collect(), wake() and wake().set_result(None)) and False)
            await future
            del future
            return 'worked'

        def activate(application):
            tasks.append(weakref.ref(evp_asyncio.create_application_task(application, work())))
            tasks[0]().add_done_callback(lambda task: seen.append(task.result()))

        seen = []
        self.assertEqual(evp_asyncio.run_application(self.application(activate)), 0)
        self.assertEqual(seen, ['worked'])
        self.assertDropped(tasks[0])

    def test_stop_quits(self):
        """R15: stop() ends the application."""
        def activate(application):
            application.hold()
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)

        self.assertEqual(evp_asyncio.run_application(self.application(activate)), 0)

    def test_exceptions(self):
        """R8, R15: exceptions come out of the application."""
        async def leave():
            raise SystemExit(3)

        def activate(application):
            application.hold()
            tasks.append(asyncio.get_running_loop().create_task(leave()))

        tasks = []
        with self.assertRaises(SystemExit) as caught:
            evp_asyncio.run_application(self.application(activate))
        self.assertEqual(caught.exception.code, 3)
        self.assertIsInstance(tasks[0].exception(), SystemExit)

    def test_run_with_application(self):
        """R15, R19: run() with an application ends it with the coroutine."""
        async def main():
            await active.wait()
            return 'result'

        active = asyncio.Event()

        def activate(application):
            application.hold()
            active.set()

        self.assertEqual(evp_asyncio.run(main(), application=self.application(activate)), 'result')

        async def cancelled():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return 'tidied up'

        def quit(application):
            application.quit()

        self.assertIn(evp_asyncio.run(cancelled(), application=self.application(quit)), ('tidied up', None))

    def test_no_coroutine(self):
        """R19: run() wants a coroutine, and makes nothing before it has one."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            for application in None, self.application(lambda _application: None):
                # asyncio's, and with it ours, is the one or the other, as Python gets older
                with self.assertRaisesRegex((ValueError, TypeError), 'a coroutine was expected|awaitable is required'):
                    evp_asyncio.run(asyncio.sleep, application=application)
            gc.collect()
        self.assertEqual([str(warning.message) for warning in caught if 'unclosed' in str(warning.message)], [])

    def test_interrupt(self):
        """R12, R15: Ctrl-C ends an application that sleeps."""
        _status, output, _errors = self.run_python('''
import os, signal, threading
import evp_asyncio
application = Gio.Application(flags=Gio.ApplicationFlags.NON_UNIQUE)
def activate(application):
    application.hold()
    GLib.timeout_add(2, lambda: threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start())
application.connect('activate', activate)
try:
    evp_asyncio.run_application(application)
except KeyboardInterrupt:
    print('interrupted')
''')
        self.assertEqual(output.strip(), 'interrupted')


class TestInstalled(evptest.TestCase):
    def setUp(self):
        super().setUp()
        evp_asyncio.install()
        self.addCleanup(asyncio.set_event_loop_policy, None)

    def test_run_in_run(self):
        """R19: like asyncio.run(), run() refuses to run inside of a loop before it makes anything."""
        async def main():
            inner = asyncio.sleep(0)
            try:
                with self.assertRaisesRegex(RuntimeError, 'running event loop'):
                    evp_asyncio.run(inner)
            finally:
                inner.close()
            gc.collect()

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            evp_asyncio.run(main())
        self.assertEqual([str(warning.message) for warning in caught if 'never awaited' in str(warning.message)
                          or 'unclosed' in str(warning.message)], [])

    def test_asyncio_run(self):
        """R13, R19: asyncio.run(), Runner and IsolatedAsyncioTestCase work, in other threads too."""
        async def main():
            return type(asyncio.get_running_loop())

        self.assertIs(asyncio.run(main()), evp_asyncio.EventLoop)
        with asyncio.Runner() as runner:
            self.assertIs(runner.run(main()), evp_asyncio.EventLoop)

        class Case(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                self.loop = asyncio.get_running_loop()

            async def test(self):
                self.assertIsInstance(self.loop, evp_asyncio.EventLoop)
                await asyncio.sleep(0.001)

        result = unittest.TestResult()
        Case('test').run(result)
        self.assertEqual((result.testsRun, result.errors, result.failures), (1, [], []))

        kinds = []
        threads = [threading.Thread(target=lambda: kinds.append(asyncio.run(main()))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(kinds, [evp_asyncio.EventLoop] * 4)

    def test_policy(self):
        """R19: the policy is asyncio's default one, with our loops."""
        policy = asyncio.get_event_loop_policy()
        self.assertIsInstance(policy, evp_asyncio.EventLoopPolicy)
        self.assertIsInstance(policy, asyncio.DefaultEventLoopPolicy)
        self.assertIn('EventLoopPolicy', dir(evp_asyncio))
        with self.assertRaises(AttributeError):
            evp_asyncio.NoSuchThing

    def test_evp_policy(self):
        """R13, R19: a policy of Evp's written in Python chooses the context and the child watcher."""
        context = GLib.MainContext.new()
        watcher = Evp.ThreadedChildWatcher()
        self.addCleanup(watcher.close)

        class Policy(Evp.DefaultEventLoopPolicy):
            def do_new_event_loop(self):
                return Evp.SelectorEventLoop(main_context=context)

            def do_get_child_watcher(self):
                return watcher

        evp_asyncio.install(Policy())

        async def main():
            loop = asyncio.get_running_loop()
            process = await asyncio.create_subprocess_exec(os.environ['EVP_TEST_CHILD'], 'exit', '3')
            return loop.main_context, GLib.MainContext.get_thread_default(), await process.wait()

        self.assertEqual(asyncio.run(main()), (context, context, 3))
        if hasattr(asyncio, 'get_child_watcher'):
            self.assertEqual(asyncio.get_child_watcher().evp, watcher)

        # one that needs a loop gets the policy's
        for kind in (Evp.SafeChildWatcher, Evp.FastChildWatcher):
            watcher = kind()
            self.addCleanup(watcher.close)
            evp_asyncio.install(Policy())
            self.assertEqual(asyncio.run(main()), (context, context, 3))

    def test_policy_that_fails(self):
        """R19: what a policy of Evp's fails with is a RuntimeError of asyncio's; what it gives is asked for once."""
        asked = []

        class Policy(Evp.DefaultEventLoopPolicy):
            def do_new_event_loop(self):
                raise GLib.Error.new_literal(Evp.Error.quark(), 'no loop today', Evp.Error.FAILED)

            def do_get_child_watcher(self):
                asked.append(1)
                if len(asked) == 1:
                    raise GLib.Error.new_literal(Evp.Error.quark(), 'no watcher today', Evp.Error.FAILED)
                return Evp.PidfdChildWatcher()

        evp_asyncio.install(Policy())
        policy = asyncio.get_event_loop_policy()
        with self.assertRaisesRegex(RuntimeError, '^no loop today$'):
            asyncio.new_event_loop()
        if not hasattr(policy, 'get_child_watcher'):  # gone in Python 3.14
            return
        with self.assertRaisesRegex(RuntimeError, '^no watcher today$'):
            policy.get_child_watcher()
        watcher = policy.get_child_watcher()
        self.assertIs(policy.get_child_watcher(), watcher)
        self.assertEqual(len(asked), 2)
        mine = asyncio.ThreadedChildWatcher()
        policy.set_child_watcher(mine)
        self.assertIs(policy.get_child_watcher(), mine)

    @unittest.skipUnless(hasattr(asyncio, 'set_child_watcher'), "this Python's asyncio has no child watchers")
    def test_watcher_of_a_policy(self):
        """R18: the watcher is attached to the main thread's loop if there is one, and to no other thread's."""
        class Watcher(Evp.SafeChildWatcher):
            def do_attach_loop(self, loop):
                attached.append(loop)
                return True

        class Policy(Evp.DefaultEventLoopPolicy):
            def do_get_child_watcher(self):
                return Watcher()

        def ask(loop):
            evp_asyncio.install(Policy())
            asyncio.set_event_loop(loop)
            asyncio.get_child_watcher()

        attached = []
        loop = evp_asyncio.EventLoop()
        self.addCleanup(loop.close)
        ask(loop)
        self.assertEqual(attached, [loop.evp])
        attached.clear()
        thread = threading.Thread(target=ask, args=(loop,))
        thread.start()
        thread.join()
        ask(None)
        self.assertEqual(attached, [])

    def test_factory(self):
        """R19: a policy that derives from ours makes loops of its own kind."""
        class Mine(evp_asyncio.EventLoop):
            pass

        class Policy(evp_asyncio.EventLoopPolicy):
            _loop_factory = Mine

        asyncio.set_event_loop_policy(Policy())
        for _ in range(2):
            loop = asyncio.new_event_loop()
            self.assertIs(type(loop), Mine)
            loop.close()
            asyncio.set_event_loop_policy(Policy(Evp.DefaultEventLoopPolicy()))

    def test_import(self):
        """R19, R20: importing never warns, and says what is missing in a Python that it does not know."""
        status, _output, errors = self.run_python('''
import warnings
warnings.simplefilter('error')
import evp_asyncio
evp_asyncio.EventLoopPolicy
''')
        self.assertEqual((status, errors), (0, ''))
        # nor does PyGObject inside, whatever else there is
        for preparation in '', MODERN:
            done = subprocess.run([sys.executable, '-X', 'dev', '-W', 'error', '-c', preparation + USE],
                                  capture_output=True, text=True, timeout=evptest.DEADLINE, check=False)
            self.assertEqual((done.returncode, done.stderr, done.stdout), (0, '', 'EventLoop\n'))
        status, output, _errors = self.run_python('''
import asyncio
del asyncio.base_events.BaseEventLoop._run_once
try:
    import evp_asyncio
except ImportError as error:
    print(error)
''')
        self.assertIn('_run_once', output)
        # without policies, and without child watchers
        status, output, _errors = self.run_python('''
import asyncio
for name in 'DefaultEventLoopPolicy', 'AbstractChildWatcher':
    if name in vars(asyncio):
        delattr(asyncio, name)
vars(asyncio).pop('__getattr__', None)  # names that are on their way out
import evp_asyncio
for use in (lambda: evp_asyncio.EventLoopPolicy), evp_asyncio.install:
    try:
        use()
    except (AttributeError, RuntimeError) as error:
        print(type(error).__name__)
print(evp_asyncio.ChildWatcher(Evp.PidfdChildWatcher()).is_active())
print(evp_asyncio.run(asyncio.sleep(0, 'runs')))
''')
        self.assertEqual(output.split(), ['AttributeError', 'RuntimeError', 'True', 'runs'])


if __name__ == '__main__':
    evptest.main()
