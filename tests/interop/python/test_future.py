# SPDX-License-Identifier: LGPL-2.1-or-later
"""Futures and coroutines."""

import contextvars
import enum
import gc
import importlib.util
import os
import pathlib
import threading
import weakref

from evptest import Evp, GLib, TestCase, main
from gi.repository import Gio


class Thing:
    pass


class Number(enum.IntEnum):
    ONE = 1


class FutureTest(TestCase):
    def setUp(self):
        super().setUp()
        self.loop = self.new_loop()
        self.seen = []

    def turn(self):
        self.loop.stop()
        self.loop.run_forever()

    # Rules: U-1, U-3
    def test_values(self):
        thing = Thing()
        for value in (None, True, False, 0, -1, 2**31 - 1, 2**31, -2**31, -2**31 - 1, 2**53 + 1, 2**63 - 1, -2**63,
                      2**63, -2**64, 2**200, 0.0, 1.5, float('inf'), '', 'text', 'naïve ☃', 'a\0b', '☃\0', os.fsdecode(b'\xff'), b'', b'\0bytes', [], [1, [2]], (1,),
                      {'key': None}, {1, 2}, thing, Thing, len, Number.ONE, Evp.Error.FAILED, Evp.IOEvents.READ,
                      self.loop, Gio.File.new_for_path('/'), GLib.Variant('s', 'x'), GLib.Bytes.new(b'x'),
                      ValueError('as a value')):
            future = self.loop.create_future()
            self.assertTrue(future.set_result(value))
            for result in (future.get_result(), future.result(), self.loop.run_until_complete(future)):
                self.assertEqual(result, value)
                self.assertEqual(isinstance(result, bool), isinstance(value, bool))
            if type(value) in (list, dict, set, Thing, Number):
                self.assertIs(future.get_result(), value)
            self.assertTrue(future.done())
            self.assertFalse(future.cancelled())
            self.assertIsNone(future.exception())

    # Rules: U-3
    def test_cause(self):
        """An exception comes out with the cause, and the context, that it was raised with."""
        def fail():
            try:
                raise KeyError('cause')
            except KeyError as error:
                raise ValueError('effect') from error

        async def fails(*_loop):
            fail()

        def fail_again():
            try:
                raise KeyError('cause')
            except KeyError:
                fail_again.error = ValueError('effect')
                raise fail_again.error

        future = self.loop.run_in_executor(fail)
        for wait in (lambda: self.loop.run_until_complete(future), future.result,
                     lambda: self.loop.run_until_complete(fails()), lambda: Evp.run(fails)):
            with self.assertRaises(ValueError) as caught:
                wait()
            self.assertIsInstance(caught.exception.__cause__, KeyError)
            self.assertIsInstance(caught.exception.__context__, KeyError)
        future = self.loop.run_in_executor(fail_again)
        with self.assertRaises(ValueError) as caught:
            self.loop.run_until_complete(future)
        self.assertIsInstance(caught.exception.__context__, KeyError)
        self.assertFalse(caught.exception.__suppress_context__)

    # Rules: U-1
    def test_value_lives(self):
        future = self.loop.create_future()
        thing = Thing()
        gone = weakref.ref(thing)
        future.set_result([thing])
        del thing
        gc.collect()
        self.assertIs(future.get_result()[0], gone())
        del future
        self.assertDropped(gone)

    # Rules: U-1
    def test_boxed_value_outlives_future(self):
        """A GValue keeps what is in it to itself."""
        def result_of(text):
            future = self.loop.create_future()
            future.set_result(GLib.Bytes.new(text))
            return future.get_result()

        kept = [result_of(b'%d' % number * 100) for number in range(20)]
        gc.collect()
        self.assertEqual([item.get_data() for item in kept], [b'%d' % number * 100 for number in range(20)])

    # Rules: U-2, U-3, U-4
    def test_states(self):
        future = self.loop.create_future()
        self.assertFalse(future.done())
        for call in (future.get_result, future.exception):
            with self.assertError(Evp.Error.INVALID_STATE):
                call()
        future.set_result(1)
        for call in (lambda: future.set_result(2), lambda: future.set_exception(ValueError()),
                     lambda: future.set_error(GLib.Error('x'))):
            with self.assertError(Evp.Error.INVALID_STATE):
                call()
        self.assertFalse(future.cancel())
        self.assertEqual(future.get_result(), 1)

        future = self.loop.create_future()
        self.assertTrue(future.cancel())
        self.assertTrue(future.done() and future.cancelled())
        self.assertFalse(future.cancel())
        for call in (future.get_result, future.exception, lambda: self.loop.run_until_complete(future)):
            with self.assertError(Evp.Error.CANCELLED):
                call()
        with self.assertError(Evp.Error.INVALID_STATE):
            future.set_result(1)

    # Rules: U-3
    def test_exceptions(self):
        mine = ValueError('mine')
        foreign = GLib.Error.new_literal(Gio.io_error_quark(), 'io', Gio.IOErrorEnum.NOT_FOUND)
        for given, kind in ((mine, ValueError), (foreign, GLib.Error), (KeyError, KeyError),
                            (SystemExit(1), SystemExit)):
            for setter in ('set_exception', 'set_error'):
                future = self.loop.create_future()
                getattr(future, setter)(given)
                with self.assertRaises(kind) as caught:
                    future.get_result()
                self.assertIsInstance(future.exception(), kind)
                with self.assertRaises(kind):
                    self.loop.run_until_complete(future)
        self.assertEqual(caught.exception.code, 1)
        future = self.loop.create_future()
        future.set_exception(mine)
        self.assertIs(future.exception(), mine)
        with self.assertRaises(TypeError):
            self.loop.create_future().set_exception('text')

    # Rules: U-3
    def test_exception_survives_wrapper(self):
        """The future is kept by C only for a while; the exception is still Python's."""
        future = self.loop.create_future()
        future.set_exception(ValueError('mine'))
        self.loop.call_soon(lambda future: self.seen.append(future), future)
        del future
        gc.collect()
        self.turn()
        with self.assertRaises(ValueError):
            self.seen[0].get_result()

    # Rules: U-5, U-6
    def test_callbacks(self):
        future = self.loop.create_future()
        add = future.add_done_callback
        add(lambda done, *args: self.seen.append((done == future, args)), 1, 'a')
        removed = add(self.seen.append)
        add(lambda done: self.seen.append('last'))
        self.assertTrue(future.remove_done_callback(removed))
        self.assertFalse(future.remove_done_callback(removed))
        future.set_result()
        self.assertEqual(self.seen, [])
        add(lambda done: self.seen.append('late'))
        self.turn()
        self.assertEqual(self.seen, [(True, (1, 'a')), 'last', 'late'])

    # Rules: U-7, X-2
    def test_failing_callback(self):
        self.loop.set_exception_handler(lambda loop, context: self.seen.append(context.exception))
        future = self.loop.create_future()
        future.add_done_callback(lambda future: {}['key'])
        future.add_done_callback(lambda future: self.seen.append('next'))
        future.set_result()
        self.turn()
        self.assertIsInstance(self.seen[0], KeyError)
        self.assertEqual(self.seen[1:], ['next'])

    # Rules: U-9, U-13
    def test_never_retrieved(self):
        self.loop.set_exception_handler(lambda loop, context: self.seen.append(context.get_error().message))
        future = self.loop.create_future()
        future.set_exception(ValueError('lost'))
        del future
        gc.collect()
        self.turn()
        self.assertEqual(self.seen, ['ValueError: lost'])

    # Rules: U-8
    def test_from_thread(self):
        for value, kind in ((2**70, None), (None, None), (ValueError('thread'), ValueError)):
            future = self.loop.create_future()
            work = future.set_exception if kind else future.set_result
            thread = threading.Thread(target=work, args=(value,))
            self.loop.call_soon(thread.start)
            if kind:
                with self.assertRaises(kind):
                    self.loop.run_until_complete(future)
            else:
                self.assertEqual(self.loop.run_until_complete(future), value)
            thread.join()

    # Rules: U-11, U-12
    def test_chain(self):
        source, target = self.loop.create_future(), self.loop.create_future()
        source.chain(target)
        source.set_result(['x'])
        self.assertEqual(self.loop.run_until_complete(target), ['x'])
        source, target = self.loop.create_future(), self.loop.create_future()
        source.chain(target)
        target.cancel()
        self.turn()
        self.turn()
        self.assertTrue(source.cancelled())

    # Rules: U-13
    def test_await_async(self):
        future = self.loop.create_future()
        future.await_async(None, lambda source, result: (self.seen.append(source.await_finish(result)),
                                                         self.loop.stop()))
        future.set_result([1])
        self.loop.run_forever()
        self.assertEqual(self.seen, [[1]])

    # Rules: U-13
    def test_gio_to_future(self):
        future = self.loop.create_future()

        def loaded(file, result):
            _, content, _ = file.load_contents_finish(result)
            future.set_result(content)

        self.loop.call_soon(lambda: Gio.File.new_for_path('/proc/self/comm').load_contents_async(None, loaded))
        self.assertIn(b'python', self.loop.run_until_complete(future))


class CoroutineTest(TestCase):
    def setUp(self):
        super().setUp()
        self.loop = self.new_loop()

    # Rules: U-3, U-5
    def test_await(self):
        loop = self.loop

        async def inner(value):
            future = loop.create_future()
            loop.call_later(0.001, future.set_result, value)
            return await future

        async def outer():
            done = loop.create_future()
            done.set_result(1)
            failed = loop.create_future()
            failed.set_exception(KeyError('key'))
            try:
                await failed
            except KeyError as error:
                return [await done, await inner(2), error.args[0]]

        self.assertEqual(loop.run_until_complete(outer()), [1, 2, 'key'])

    # Rules: C-16
    def test_context_variables(self):
        """A coroutine has a copy of the context variables of whoever makes the task, from its first line to its last."""
        variable = contextvars.ContextVar('variable', default='outside')
        seen = []
        gate, reached, ended = (self.loop.create_future() for _ in range(3))

        def see(name, future, count):
            seen.append((name, variable.get()))
            if len(seen) == count:
                future.set_result(None)

        async def wait(name):
            try:
                see(name, None, 0)
                variable.set(name)
                await gate
                see(name, reached, 4)
                await self.loop.create_future()
            finally:
                see(name, ended, 6)

        async def main():
            variable.set('main')
            tasks = [self.loop.create_task(wait(name)) for name in ('a', 'b')]
            variable.set('changed')
            self.loop.call_later(0.001, gate.set_result, None)
            await reached
            for task in tasks:
                task.cancel()
            await ended
            return variable.get()

        self.assertEqual(self.loop.run_until_complete(main()), 'changed')
        self.assertEqual(variable.get(), 'outside')
        self.assertEqual(sorted(seen), [(name, value) for name in ('a', 'b') for value in sorted((name, name, 'main'))])

    # Rules: U-3
    def test_several(self):
        order = []

        async def count(name, n):
            for i in range(n):
                await self.loop.run_in_executor(lambda: None)
                order.append((name, i))
            return name

        async def both():
            first, second = self.loop.create_task(count('a', 3)), self.loop.create_task(count('b', 2))
            return await first + await second

        self.assertEqual(self.loop.run_until_complete(both()), 'ab')
        self.assertEqual(sorted(order), [('a', 0), ('a', 1), ('a', 2), ('b', 0), ('b', 1)])

    # Rules: U-4, U-12
    def test_cancel(self):
        cleaned = []
        waited = self.loop.create_future()

        async def wait():
            try:
                await waited
            finally:
                cleaned.append(True)

        task = self.loop.create_task(wait())
        self.loop.call_later(0.001, task.cancel)
        with self.assertError(Evp.Error.CANCELLED):
            self.loop.run_until_complete(task)
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        self.assertTrue(waited.cancelled())
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        self.assertEqual(cleaned, [True])

    # Rules: U-4, U-12
    def test_example_of_wait_for(self):
        """That of examples/python/tasks.py ends as asyncio's does: after what it waits for has tidied up."""
        path = pathlib.Path(__file__).resolve().parents[3] / 'examples' / 'python' / 'tasks.py'
        spec = importlib.util.spec_from_file_location('tasks', path)
        example = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(example)
        loop, seen = self.loop, []

        async def slow(at_the_end=None):
            try:
                await loop.create_future()
            except GLib.Error:
                await example.sleep(loop, 0.001)
                seen.append('tidied up')
                if at_the_end is None:
                    raise
                return at_the_end()

        async def quick(value):
            return value

        async def too_long():
            with self.assertRaises(TimeoutError):
                await example.wait_for(loop, slow(), 0.001)
            return list(seen)

        self.assertEqual(loop.run_until_complete(too_long()), ['tidied up'])
        self.assertEqual(loop.run_until_complete(example.wait_for(loop, quick(1), 60)), 1)
        self.assertEqual(loop.run_until_complete(example.wait_for(loop, slow(lambda: 2), 0.001)), 2)
        with self.assertRaises(ZeroDivisionError):
            loop.run_until_complete(example.wait_for(loop, slow(lambda: 1 / 0), 0.001))

        # cancelled from outside, when it waits, and when it has hardly begun
        del seen[:]
        ended = loop.create_future()

        async def outside(coroutine):
            try:
                await example.wait_for(loop, coroutine, 60)
            except GLib.Error as error:
                ended.set_result((error.matches(Evp.Error.quark(), Evp.Error.CANCELLED), list(seen)))

        task = loop.create_task(outside(slow()))
        loop.call_later(0.001, task.cancel)
        self.assertEqual(loop.run_until_complete(ended), (True, ['tidied up']))
        ended = loop.create_future()
        task = loop.create_task(outside(slow()))
        loop.call_soon(task.cancel)
        self.assertEqual(loop.run_until_complete(ended), (True, ['tidied up'] * 2))

    # Rules: U-3
    def test_foreign_awaitable(self):
        class Foreign:
            def __await__(self):
                yield 42

        async def wait():
            await Foreign()

        with self.assertRaises(TypeError):
            self.loop.run_until_complete(wait())
        with self.assertRaises(TypeError):
            self.loop.create_task(42)

    # Rules: L-17
    def test_exit(self):
        async def leave():
            raise SystemExit(2)

        with self.assertRaises(SystemExit):
            self.loop.run_until_complete(leave())

    # Rules: E-5
    def test_awaitable_methods(self):
        async def program():
            value = await self.loop.run_in_executor(lambda: 1)
            await self.loop.shutdown_default_executor_async(10)
            with self.assertRaises(GLib.Error):
                self.loop.run_in_executor(print)
            return value

        self.assertEqual(self.loop.run_until_complete(program()), 1)


if __name__ == '__main__':
    main()
