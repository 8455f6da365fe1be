# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library's loop, as Python sees it."""

import contextlib
import contextvars
import os
import re
import signal
import socket
import sys
import threading
import time
import weakref

from evptest import PROLOGUE, Evp, GLib, TestCase, main


class Thing:
    """Something with a weak reference."""

    def __call__(self, *args):
        pass


class LoopTest(TestCase):
    def setUp(self):
        super().setUp()
        self.loop = self.new_loop()
        self.seen = []

    def turn(self, loop=None):
        """Runs what is queued, once."""
        loop = loop or self.loop
        loop.stop()
        loop.run_forever()

    # Rules: C-1, C-2, C-3, C-8
    def test_order_and_arguments(self):
        loop = self.loop
        loop.call_soon(self.seen.append, 'soon')
        loop.call_soon_threadsafe(lambda *args: self.seen.append(args), 1, 'a', None)
        loop.call_later(0, self.seen.append, 'timer')
        loop.call_soon(lambda: self.seen.append(()))
        loop.call_later(0.001, loop.stop)
        self.assertEqual(self.seen, [])
        loop.run_forever()
        self.assertEqual(self.seen, ['soon', (1, 'a', None), (), 'timer'])

    # Rules: C-5, C-7, C-14
    def test_timers(self):
        loop = self.loop
        now = loop.time()
        for delay, name in ((0.02, 'c'), (0.01, 'a'), (0.01, 'b')):
            handle = loop.call_at(now + delay, lambda name: self.seen.append((name, loop.time())), name)
            self.assertAlmostEqual(handle.when(), now + delay, places=6)
        loop.call_at(now + 0.02, loop.stop)
        loop.run_forever()
        self.assertEqual([name for name, _ in self.seen], ['a', 'b', 'c'])
        self.assertGreaterEqual(self.seen[0][1], now + 0.01)
        self.assertGreaterEqual(self.seen[2][1], now + 0.02)
        with self.assertError(Evp.Error.INVALID_ARGUMENT):
            loop.call_later(float('nan'), print)

    # Rules: C-16, X-8
    def test_context_variables(self):
        """Callbacks run with the context variables of whoever schedules them, and keep what they set to themselves."""
        loop = self.loop
        variable = contextvars.ContextVar('variable', default='outside')

        def see(*given):
            self.seen.append((given[-1], variable.get()))
            variable.set('of a callback')

        def schedule():
            variable.set('inside')
            future = loop.create_future()
            future.add_done_callback(see, 'done')
            future.set_result(None)
            loop.call_soon(see, 'soon')
            loop.call_soon_threadsafe(see, 'threadsafe')
            loop.call_later(0, see, 'later')
            loop.call_at(0, see, 'at')
            loop.add_signal_handler(signal.SIGUSR1, lambda _number: (see('signal'), loop.stop()))
            variable.set('changed')

        contextvars.copy_context().run(schedule)
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.run_forever()
        self.assertEqual(sorted(self.seen), [(name, 'inside') for name in (
            'at', 'done', 'later', 'signal', 'soon', 'threadsafe')])
        self.assertEqual(variable.get(), 'outside')

        # the exception handler sees those of what failed
        self.seen.clear()
        loop.set_exception_handler(lambda _loop, context: see(context.exception))
        loop.call_soon(lambda: (variable.set('failing'), 1 / 0))
        self.turn()
        self.assertEqual([value for _exception, value in self.seen], ['failing'])
        self.assertEqual(variable.get(), 'outside')

    # Rules: C-16
    def test_context_variables_of_a_reader(self):
        """What runs more than once has the same context each time; a copy, if it has not returned from the last time."""
        class Keeping(Evp.SelectorEventLoop):
            def do_watch_reader(self, _fd, handle):
                self.handle = handle
                return True

        loop = self.new_loop(cls=Keeping)
        variable = contextvars.ContextVar('variable', default=0)

        def readable(_fd):
            self.seen.append(variable.get())
            variable.set(len(self.seen))
            if len(self.seen) == 2:
                loop.handle.run()
                self.assertEqual(variable.get(), 2)

        with socket.socket() as near:
            loop.add_reader(near, readable)
            variable.set(-1)
            for _ in range(3):
                loop.handle.run()
        self.assertEqual((self.seen, variable.get()), ([0, 1, 2, 2], -1))
        variable.set(0)

    # Rules: C-11, C-12, C-13, I-4
    def test_cancel(self):
        loop = self.loop
        thing = Thing()
        gone = weakref.ref(thing)
        handles = [loop.call_soon(self.seen.append, 1), loop.call_later(0, self.seen.append, 2),
                   loop.call_soon_threadsafe(self.seen.append, 3), loop.call_soon(thing)]
        del thing
        for handle in handles:
            self.assertFalse(handle.cancelled())
            handle.cancel()
            handle.cancel()
            self.assertTrue(handle.cancelled())
        self.assertDropped(gone)
        own = [loop.call_soon(lambda: own[0].cancel())]
        self.turn()
        self.assertEqual(self.seen, [])

    # Rules: C-15, C-2
    def test_drop_when_run(self):
        thing = Thing()
        gone = weakref.ref(thing)
        handle = self.loop.call_soon(thing, thing)
        del thing
        self.assertIsNotNone(gone())
        self.turn()
        self.assertDropped(gone)
        self.assertFalse(handle.cancelled())

    # Rules: L-13
    def test_drop_when_closed(self):
        loop = Evp.SelectorEventLoop()
        reader, writer = socket.socketpair()
        with reader, writer:
            references = []
            for schedule in (loop.call_soon, loop.call_soon_threadsafe, lambda thing: loop.call_later(60, thing),
                             lambda thing: loop.add_reader(reader, thing),
                             lambda thing: loop.add_signal_handler(signal.SIGUSR2, thing)):
                thing = Thing()
                references.append(weakref.ref(thing))
                schedule(thing)
            del thing
            loop.close()
            for reference in references:
                self.assertDropped(reference)

    # Rules: L-18
    def test_cycle(self):
        # the loop is not kept by what it will call
        loop = Evp.SelectorEventLoop()
        loop.mark = Thing()
        mark = weakref.ref(loop.mark)
        loop.call_later(60, print)
        loop.close()
        del loop
        self.assertDropped(mark)

    # Rules: L-14
    def test_closed(self):
        loop = self.new_loop()
        loop.close()
        thing = Thing()
        gone = weakref.ref(thing)
        for call in (loop.run_forever, lambda: loop.call_soon(thing), lambda: loop.call_soon_threadsafe(thing),
                     lambda: loop.call_later(1, thing), lambda: loop.call_at(1, thing),
                     lambda: loop.add_reader(0, thing), lambda: loop.add_writer(0, thing),
                     lambda: loop.add_signal_handler(signal.SIGUSR1, thing),
                     lambda: loop.run_in_executor(thing)):
            with self.assertError(Evp.Error.LOOP_CLOSED):
                call()
        del call, thing
        self.assertDropped(gone)
        self.assertFalse(loop.remove_reader(0))
        self.assertTrue(loop.is_closed())
        self.assertFalse(loop.create_future().done())

    # Rules: D-3
    def test_not_callable(self):
        for call in (lambda: self.loop.call_soon(None), lambda: self.loop.call_later(1, 'text'),
                     lambda: self.loop.call_soon_threadsafe(3), lambda: self.loop.run_in_executor(None),
                     lambda: self.loop.add_reader(0, None), lambda: self.loop.set_exception_handler('text')):
            with self.assertRaises(TypeError):
                call()

    # Rules: F-1, F-3, F-4, F-5
    def test_readers_and_writers(self):
        loop = self.loop
        left, right = socket.socketpair()
        with left, right:
            def readable(fd, *args):
                self.seen.append((fd, args, right.recv(10)))
                loop.remove_reader(right)
                loop.stop()

            def writable(fd, data):
                os.write(fd, data)
                self.assertTrue(loop.remove_writer(left))

            loop.add_reader(right, readable, 1, 2)
            loop.add_writer(left.fileno(), writable, b'hello')
            loop.run_forever()
            self.assertEqual(self.seen, [(right.fileno(), (1, 2), b'hello')])
            self.assertFalse(loop.remove_writer(left))
            self.assertFalse(loop.remove_reader(right))
        with self.assertError(Evp.Error.INVALID_ARGUMENT):
            loop.add_reader(-1, print)
        for method in (lambda fd: loop.add_reader(fd, print), lambda fd: loop.add_writer(fd, print),
                       loop.remove_reader, loop.remove_writer):
            for fd in (None, 'text', 1.5, object()):
                with self.assertRaises(ValueError):
                    method(fd)

    # Rules: G-2, G-4, G-5, G-9
    def test_signals(self):
        loop = self.loop
        before = signal.getsignal(signal.SIGUSR1)
        loop.add_signal_handler(signal.SIGUSR1, lambda *args: (self.seen.append(args), loop.stop()), 'x')
        os.kill(os.getpid(), signal.SIGUSR1)
        loop.run_forever()
        self.assertEqual(self.seen, [(signal.SIGUSR1, 'x')])
        self.assertTrue(loop.remove_signal_handler(signal.SIGUSR1))
        self.assertFalse(loop.remove_signal_handler(signal.SIGUSR1))
        self.assertEqual(signal.getsignal(signal.SIGUSR1), before)
        with self.assertError(Evp.Error.INVALID_ARGUMENT):
            loop.add_signal_handler(0, print)

    # Rules, Z-43
    def test_exceptions(self):
        loop = self.loop
        left, right = socket.socketpair()
        with left, right:
            def fail(*_args):
                raise ValueError('mine')

            def failing_reader(_fd):
                left.recv(1)
                raise ValueError('mine')

            def handler(handled, context, extra):
                self.assertEqual((handled, extra), (loop, 'extra'))
                self.seen.append(context)

            loop.set_exception_handler(handler, 'extra')
            right.send(b'x')
            future = loop.create_future()
            future.add_done_callback(fail)
            future.set_result()
            loop.call_soon(fail)
            loop.call_later(0, fail)
            loop.call_soon_threadsafe(fail)
            loop.add_reader(left, failing_reader)
            loop.add_signal_handler(signal.SIGUSR1, fail)
            os.kill(os.getpid(), signal.SIGUSR1)
            done = []
            loop.call_soon(done.append, True)
            while len(self.seen) < 6:
                self.turn()
        self.assertEqual(done, [True])
        for context in self.seen:
            self.assertIsInstance(context.exception, ValueError)
            self.assertIn('exception in callback', context.message)
            self.assertEqual(context.get_error().message, 'ValueError: mine')
            self.assertTrue(context.get_error().matches(Evp.Error.quark(), Evp.Error.FAILED))
            self.assertIn("raise ValueError('mine')", context.get_string('traceback'))
            self.assertIn('traceback', context.get_keys())
            self.assertIn('mine', context.to_string())

    # Rules: X-2
    def test_gerror_in_callback(self):
        def fail():
            raise GLib.Error.new_literal(Evp.Error.quark(), 'gone', Evp.Error.NOT_FOUND)

        self.loop.set_exception_handler(lambda loop, context: self.seen.append(context.exception))
        self.loop.call_soon(fail)
        self.turn()
        self.assertTrue(self.seen[0].matches(Evp.Error.quark(), Evp.Error.NOT_FOUND))

    # Rules
    def test_failing_exception_handler(self):
        class Reporting(Evp.SelectorEventLoop):
            reports = []

            def do_default_exception_handler(self, context):
                self.reports.append(context)

        loop = self.new_loop(cls=Reporting)
        loop.call_soon(lambda: 1 / 0)
        loop.set_exception_handler(lambda loop, context: {}['key'])
        self.turn(loop)
        context, = loop.reports
        self.assertIn('exception handler', context.get_message())
        self.assertIn('KeyError', context.get_error().message)
        self.assertIn('ZeroDivisionError', context.get_context().get_error().message)

        # restored: the default one is asked again
        loop.set_exception_handler(None)
        loop.call_soon(lambda: 1 / 0)
        self.turn(loop)
        self.assertIn('ZeroDivisionError', loop.reports[1].get_error().message)

    # Rules: X-5
    def test_default_exception_handler(self):
        status, _, errors = self.run_python('''
loop = Evp.SelectorEventLoop()
def breaking():
    raise ValueError('broken')
loop.call_soon(breaking)
loop.call_soon(loop.stop)
loop.run_forever()
loop.close()
''', check=False)
        self.assertEqual(status, 0, errors)
        for text in ('exception in callback <function breaking', 'ValueError: broken', "in breaking"):
            self.assertIn(text, errors)

    # Rules: L-17, L-2
    def test_hard_exceptions(self):
        loop = self.loop
        for exception in (KeyboardInterrupt('keys'), SystemExit(3)):
            def fail(exception=exception):
                raise exception

            future = loop.create_future()
            for run in (loop.run_forever, lambda future=future: loop.run_until_complete(future)):
                loop.call_soon(fail)
                loop.call_soon(self.seen.append, 'rest of the round')
                with self.assertRaises(type(exception)) as caught:
                    run()
                self.assertIs(caught.exception, exception)
                self.assertFalse(loop.is_running())
                self.assertEqual(self.seen.pop(), 'rest of the round')
                with self.assertError(Evp.Error.NO_RUNNING_LOOP):
                    Evp.get_running_loop()
            # and it can be run again
            loop.call_soon(self.seen.append, 'again')
            self.turn()
            self.assertEqual(self.seen.pop(), 'again')

    # Rules: L-7, L-9
    def test_refused_coroutine(self):
        """A coroutine that cannot be run now does not begin."""
        async def work():
            self.seen.append('begun')

        def run():
            with self.assertError(Evp.Error.LOOP_RUNNING):
                self.loop.run_until_complete(work())
            self.loop.call_soon(self.loop.call_soon, self.loop.stop)

        self.loop.call_soon(run)
        self.loop.run_forever()
        self.assertEqual(self.seen, [])

    # Rules: L-7, L-8, L-9, L-10
    def test_refused_runs(self):
        loop = self.loop
        other = self.new_loop()
        done = loop.create_future()
        done.set_result('must not be asked for')

        def nested():
            for run in (loop.run_forever, other.run_forever, lambda: Evp.run(lambda loop: None),
                        lambda: loop.run_until_complete(done), lambda: other.run_until_complete(other.create_future())):
                try:
                    run()
                except GLib.Error as error:
                    self.seen.append(error.code)
            loop.stop()

        loop.call_soon(nested)
        loop.call_soon(lambda: self.seen.append(Evp.get_running_loop() == loop))
        loop.run_forever()
        self.assertEqual(self.seen, [Evp.Error.LOOP_RUNNING] * 5 + [True])
        with self.assertError(Evp.Error.INVALID_ARGUMENT):
            loop.run_until_complete(other.create_future())
        loop.call_soon(loop.stop)
        with self.assertError(Evp.Error.LOOP_STOPPED):
            loop.run_until_complete(loop.create_future())

    # Rules: L-11, P-21
    def test_main_contexts(self):
        private = GLib.MainContext()
        for context in (private, GLib.MainContext.default()):
            loop = self.new_loop(context)
            self.assertEqual(loop.get_main_context(), context)

            def inside(loop=loop, context=context):
                self.assertTrue(loop.is_running())
                self.assertEqual(GLib.MainContext.ref_thread_default(), context)
                self.seen.append(Evp.get_running_loop() == loop)
                loop.stop()

            loop.call_soon(inside)
            loop.run_forever()
        self.assertEqual(self.seen, [True, True])
        loop = Evp.SelectorEventLoop.new(None, private)
        self.assertEqual(loop.get_main_context(), private)
        loop.close()

    # Rules: P-24, I-3
    def test_adopted(self):
        """The loop does not run: somebody else iterates its main context."""
        loop = self.new_loop(GLib.MainContext.default())
        outer = GLib.MainLoop()
        inner = GLib.MainLoop()
        left, right = socket.socketpair()
        with left, right:
            def modal():
                self.seen.append(('modal', Evp.get_running_loop() == loop))
                loop.add_reader(left, lambda fd: (left.recv(1), self.seen.append('reader'), inner.quit()))
                loop.call_later(0.005, lambda: (self.seen.append('timer'), right.send(b'x')))
                inner.run()
                self.seen.append('closed')
                outer.quit()

            loop.call_soon(modal)
            outer.run()
        self.assertEqual(self.seen, [('modal', True), 'timer', 'reader', 'closed'])

    # Rules
    def test_exception_in_adopted(self):
        loop = self.new_loop(GLib.MainContext.default())
        outer = GLib.MainLoop()
        loop.set_exception_handler(lambda loop, context: (self.seen.append(context.exception), outer.quit()))
        loop.call_soon(lambda: 1 / 0)
        outer.run()
        self.assertIsInstance(self.seen[0], ZeroDivisionError)

    # Rules: C-3, C-4
    def test_threads(self):
        loop = self.loop
        n_threads, n_calls = 4, 500
        finished = threading.Barrier(n_threads, action=lambda: loop.call_soon_threadsafe(loop.stop))

        def post(number):
            for i in range(n_calls):
                loop.call_soon_threadsafe(self.seen.append, (number, i))
            finished.wait()

        threads = [threading.Thread(target=post, args=(number,)) for number in range(n_threads)]
        for thread in threads:
            thread.start()
        loop.run_forever()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.seen), n_threads * n_calls)
        for number in range(n_threads):
            self.assertEqual([i for who, i in self.seen if who == number], list(range(n_calls)))

    # Rules: C-3
    def test_cancel_from_thread(self):
        handle = self.loop.call_soon_threadsafe(self.seen.append, 1)
        thread = threading.Thread(target=handle.cancel)
        thread.start()
        thread.join()
        self.turn()
        self.assertEqual(self.seen, [])

    # Rules: D-2
    def test_debug_wrong_thread(self):
        self.loop.set_debug(True)
        self.assertTrue(self.loop.get_debug())
        ready = threading.Event()

        def work():
            ready.wait()
            try:
                self.loop.call_soon(print)
            except GLib.Error as error:
                self.seen.append(error.code)
            self.loop.call_soon_threadsafe(self.loop.stop)

        thread = threading.Thread(target=work)
        thread.start()
        self.loop.call_soon(ready.set)
        self.loop.run_forever()
        thread.join()
        self.assertEqual(self.seen, [Evp.Error.WRONG_THREAD])

    # Rules: E-1, E-2, E-5
    def test_executor(self):
        loop = self.loop
        here = threading.get_ident()

        def work(a, b):
            return threading.get_ident() != here, a + b

        self.assertEqual(loop.run_until_complete(loop.run_in_executor(work, 1, 2**80)), (True, 2**80 + 1))
        with self.assertRaises(ZeroDivisionError):
            loop.run_until_complete(loop.run_in_executor(lambda: 1 / 0))
        self.assertIsNone(loop.run_until_complete(loop.run_in_executor(lambda: None)))
        executor = Evp.Executor.new(1)
        self.assertEqual(loop.run_until_complete(executor.submit(loop, lambda x: [x], 1)), [1])
        executor.shutdown(True)
        loop.run_until_complete(loop.shutdown_default_executor_async(10))
        with self.assertError(Evp.Error.INVALID_STATE):
            loop.run_in_executor(print)

    # Rules: E-3
    def test_executor_cancelled(self):
        loop = self.loop
        go = threading.Event()
        future = loop.run_in_executor(go.wait)
        self.assertTrue(future.cancel())
        go.set()
        with self.assertError(Evp.Error.CANCELLED):
            loop.run_until_complete(future)

    # Rules: L-19
    def test_run(self):
        made = []

        async def program(loop, first):
            made.append(loop)
            self.assertEqual(Evp.get_running_loop(), loop)
            second = await loop.run_in_executor(lambda: 20)
            return first + second

        self.assertEqual(Evp.run(program, 22), 42)
        self.assertTrue(made[0].is_closed())

        def returns_future(loop):
            future = loop.create_future()
            loop.call_later(0.001, future.set_result, 'later')
            return future

        self.assertEqual(Evp.run(returns_future), 'later')

    # Rules: L-19
    def test_run_fails(self):
        async def fail(_loop):
            raise KeyError('key')

        def leave(_loop):
            sys.exit(5)

        with self.assertRaises(KeyError):
            Evp.run(fail)
        with self.assertRaises(KeyError):
            Evp.run(lambda loop: {}['key'])
        with self.assertRaises(SystemExit):
            Evp.run(leave)
        with self.assertRaises(TypeError):
            Evp.run(lambda loop: 42)

        def stopped(loop):
            loop.call_soon(loop.stop)
            return loop.create_future()

        with self.assertError(Evp.Error.LOOP_STOPPED):
            Evp.run(stopped)

    # Rules: L-3, G-8
    def test_statistics(self):
        self.loop.call_soon(self.seen.append, 1)
        self.turn()
        statistics = self.loop.get_statistics()
        self.assertIsInstance(statistics, Evp.LoopStatistics)
        self.assertGreaterEqual(statistics.get_callbacks(), 1)
        self.assertGreaterEqual(statistics.get_turns(), 1)
        self.assertEqual((statistics.get_timers(), statistics.get_fds()), (0, 0))
        self.assertGreaterEqual(statistics.get_wakeups(), 0)
        self.assertGreater(statistics.get_longest_callback(), 0)
        self.assertGreaterEqual(statistics.get_time_asleep(), 0)
        timer = self.loop.call_later(3600, self.seen.append, 2)
        self.assertEqual(self.loop.get_statistics().get_timers(), 1)
        self.assertEqual(statistics.copy().get_timers(), 0)
        timer.cancel()

    # Rules: D-4, D-5
    def test_slow_callbacks_are_named(self):
        code = '''
def slow():
    pass

loop = Evp.SelectorEventLoop()
DEBUG
loop.props.slow_callback_duration = 0
loop.call_soon(slow)
loop.call_later(0, slow)
loop.call_at(loop.time(), lambda: loop.stop())
loop.run_forever()
loop.close()
'''
        for debug, environment in (('loop.set_debug(True)', {}), ('', {'EVP_DEBUG': 'loop'})):
            with self.subTest(debug=debug):
                _, _, messages = self.run_python(code.replace('DEBUG', debug), check=False, **environment)
                line = r'Executing <function slow at 0x[0-9a-f]+>, scheduled at <string>:\d+, took \d+\.\d{3} seconds'
                self.assertEqual(len(re.findall(line, messages)), 2, messages)
                self.assertRegex(messages, r'Executing <function <lambda> at .*>, scheduled at <string>:\d+, took')

    # Rules: D-4, D-5
    def test_slow_callbacks_without_a_handle_are_named(self):
        code = '''
import os, signal

def ready(fd): pass
def signalled(signum): first.set_result(1)
def done(future): pass
def posted(): pass

async def inner(future):
    await future
    return 1

async def main(loop):
    loop.set_debug(True)
    loop.props.slow_callback_duration = 0
    global first
    first, second = loop.create_future(), loop.create_future()
    reader, writer = os.pipe()
    os.write(writer, b'x')
    loop.add_reader(reader, ready)
    loop.add_signal_handler(signal.SIGUSR1, signalled)
    os.kill(os.getpid(), signal.SIGUSR1)
    loop.call_soon_threadsafe(posted)
    first.add_done_callback(done)
    await inner(first)
    loop.remove_reader(reader)
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.call_soon(second.set_result, 1)
    await inner(second)

Evp.run(main)
'''
        _, _, messages = self.run_python(code, check=False)
        lines = (PROLOGUE + code).splitlines()
        waits = lines.index('    await future') + 1
        for name in ('ready', 'signalled', 'posted', 'done'):
            line = next(number for number, text in enumerate(lines, 1) if f'{name})' in text)
            self.assertRegex(messages, rf'Executing <function {name} at 0x[0-9a-f]+>, scheduled at <string>:{line}, took')
        # the step of a coroutine, by where it went on and where it waits now
        self.assertIn(f'Executing main() from <string>:{waits} to <string>:{waits} took', messages)
        self.assertIn(f'Executing main() from <string>:{waits} to its end took', messages)

    # Rules: L-19
    def test_what_people_of_asyncio_write_first(self):
        async def main(loop):
            with self.assertRaisesRegex(TypeError, 'a list of strings is needed.*subprocess_shell_async'):
                await loop.subprocess_exec_async('ls -l')

        with self.assertRaisesRegex(TypeError, r'write Evp\.run\(main\)'):
            Evp.run(main(None))
        Evp.run(main)

        async def fails(loop):
            raise KeyError(loop)

        with self.assertRaises(KeyError) as raised:
            Evp.run(fails)
        self.assertIsNone(raised.exception.__context__)  # the GLib.Error says nothing new


class CtrlCTest(TestCase):
    """A SIGINT while C waits is a KeyboardInterrupt, as the user of a Python program expects."""

    def interrupt(self):
        os.kill(os.getpid(), signal.SIGINT)

    @contextlib.contextmanager
    def interrupted(self):
        # from another thread: the main one waits in C
        ready = threading.Event()

        def work():
            ready.wait()
            self.interrupt()

        thread = threading.Thread(target=work)
        thread.start()
        with self.assertRaises(KeyboardInterrupt):
            yield ready
        thread.join()
        self.assertIs(signal.getsignal(signal.SIGINT), signal.default_int_handler)

    # Rules: L-17
    def test_run_forever(self):
        for context in (GLib.MainContext(), GLib.MainContext.default()):
            loop = self.new_loop(context)
            with self.interrupted() as ready:
                loop.call_soon(ready.set)
                loop.run_forever()
            self.assertFalse(loop.is_running())
            loop.call_soon(loop.stop)
            loop.run_forever()

    # Rules: L-17
    def test_run_until_complete(self):
        loop = self.new_loop()
        future = loop.create_future()
        with self.interrupted() as ready:
            loop.call_soon(ready.set)
            loop.run_until_complete(future)
        self.assertFalse(future.done())

    # Rules: L-19
    def test_run(self):
        ended = []

        async def program(loop):
            loop.call_soon(ready.set)
            try:
                await loop.create_future()
            except GLib.Error as error:
                ended.append(error.code)
                raise

        with self.interrupted() as ready:
            Evp.run(program)
        self.assertEqual(ended, [Evp.Error.CANCELLED])

    # Rules: L-17
    def test_nested_main_loop(self):
        loop = self.new_loop(GLib.MainContext.default())
        inner = GLib.MainLoop()
        after = []

        def modal():
            loop.call_soon(ready.set)
            inner.run()
            after.append('modal')

        with self.interrupted() as ready:
            loop.call_soon(modal)
            loop.run_forever()
        self.assertEqual(after, ['modal'])

    # Rules: G-5, G-9
    def test_own_handler(self):
        """A program that handles SIGINT through the loop is left alone."""
        loop = self.new_loop()
        seen = []
        loop.add_signal_handler(signal.SIGINT, lambda signum: (seen.append(signum), loop.stop()))
        loop.call_soon(self.interrupt)
        loop.run_forever()
        self.assertEqual(seen, [signal.SIGINT])
        loop.remove_signal_handler(signal.SIGINT)

    # Rules: L-17
    def test_raising_handlers(self):
        """What a handler of signal.signal() raises while C waits comes out of the call that runs the loop."""
        class Alarm(Exception):
            pass

        def handler(*_args):
            raise kind(5)

        before = signal.signal(signal.SIGUSR1, handler)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        loop = self.new_loop()
        running = []

        def main(new):
            running.append(new)
            new.call_soon(ready.set)
            return new.create_future()

        def when_running():  # there is nothing of Python's then that the handler could interrupt
            while not loop.is_running():
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGUSR1)

        def when_ready():
            ready.wait()
            os.kill(os.getpid(), signal.SIGUSR1)

        for kind in SystemExit, KeyboardInterrupt, Alarm:
            for run, work in ((loop.run_forever, when_running),
                              (lambda: loop.run_until_complete(loop.create_future()), when_running),
                              (lambda: Evp.run(main), when_ready)):
                if kind is Alarm and work is when_ready:
                    continue  # it is for the exception handler while there is a callback
                ready = threading.Event()
                thread = threading.Thread(target=work)
                thread.start()
                with self.assertRaises(kind):
                    run()
                thread.join()
                self.assertFalse(loop.is_running())
                self.assertEqual(signal.set_wakeup_fd(-1), -1)
        self.assertEqual([each.is_closed() for each in running], [True, True])

    # Rules: L-17
    def test_wakeup_fd_closed_meanwhile(self):
        """A wakeup descriptor that goes while the loop runs is no longer put back."""
        loop = self.new_loop()
        left, right = socket.socketpair()
        left.setblocking(False)
        signal.set_wakeup_fd(left.fileno())
        loop.call_soon(left.close)
        loop.call_soon(loop.stop)
        loop.run_forever()
        self.assertEqual(signal.set_wakeup_fd(-1), -1)
        right.close()

    # Rules: L-17
    def test_other_handlers(self):
        """Handlers of signal.signal() run while C waits, and set_wakeup_fd() is put back."""
        loop = self.new_loop()
        seen = []
        before = signal.signal(signal.SIGUSR1, lambda *args: (seen.append(args[0]), loop.stop()))
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            signal.set_wakeup_fd(left.fileno())
            ready = threading.Event()
            thread = threading.Thread(target=lambda: (ready.wait(), os.kill(os.getpid(), signal.SIGUSR1)))
            thread.start()
            loop.call_soon(ready.set)
            loop.run_forever()
            thread.join()
            self.assertEqual(signal.set_wakeup_fd(-1), left.fileno())
            # and who had it before is told, too
            self.assertEqual(right.recv(1), bytes([signal.SIGUSR1]))
        self.assertEqual(seen, [signal.SIGUSR1])


class Deriving(Evp.SelectorEventLoop):
    """A loop that is the library's, but for what it counts."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = []

    def do_schedule(self, handle):
        self.calls.append('schedule')
        return super().do_schedule(handle)

    def do_schedule_timer(self, handle):
        self.calls.append(('timer', handle.when()))
        return super().do_schedule_timer(handle)

    def do_run_forever(self):
        self.calls.append('run')
        return super().do_run_forever()

    def do_watch_reader(self, fd, handle):
        self.calls.append(('reader', fd))
        return super().do_watch_reader(fd, handle)


class Deriving2(Deriving):
    def do_schedule(self, handle):
        self.calls.append('schedule 2')
        return super().do_schedule(handle)

    def do_create_future(self):
        self.calls.append('future')
        return super().do_create_future()


class DerivedLoopTest(TestCase):
    # Rules: C-1, L-2
    def test_chain_up(self):
        loop = self.new_loop(cls=Deriving2)
        left, right = socket.socketpair()
        with left, right:
            seen = []
            loop.call_soon(seen.append, 1)
            timer = loop.call_later(0.001, seen.append, 2)
            loop.add_reader(left, lambda fd: (left.recv(1), loop.stop()))
            loop.call_later(0.002, right.send, b'x')
            future = loop.create_future()
            self.assertFalse(future.done())
            loop.run_forever()
            self.assertEqual(loop.calls[3], ('reader', left.fileno()))
        self.assertEqual(seen, [1, 2])
        self.assertEqual(loop.calls[:3], ['schedule 2', 'schedule', ('timer', timer.when())])
        self.assertEqual(loop.calls[5:7], ['future', 'run'])

    # Rules: C-1
    def test_parents_stay_untouched(self):
        self.new_loop(cls=Deriving2).call_soon(print)
        loop = self.new_loop(cls=Deriving)
        loop.call_soon(print)
        self.assertEqual(loop.calls, ['schedule'])
        plain = self.new_loop()
        plain.call_soon(plain.stop)
        plain.run_forever()
        self.assertFalse(hasattr(plain, 'calls'))

    # Rules: X-10
    def test_failing_slot(self):
        class Full(Evp.SelectorEventLoop):
            def do_schedule(self, handle):
                raise GLib.Error.new_literal(Evp.Error.quark(), 'full', Evp.Error.FAILED)

        loop = self.new_loop(cls=Full)
        thing = Thing()
        gone = weakref.ref(thing)
        with self.assertError(Evp.Error.FAILED, 'full'):
            loop.call_soon(thing)
        del thing
        self.assertDropped(gone)


if __name__ == '__main__':
    main()
