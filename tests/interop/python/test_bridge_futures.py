# SPDX-License-Identifier: LGPL-2.1-or-later
"""evp_asyncio: futures, methods of GIO, child watchers, and asyncio's loops for code that takes one of Evp's."""

import asyncio
import contextvars
import os
import signal
import socket
import threading
import unittest
import weakref

import evptest
from evptest import Evp, GLib
from gi.repository import Gio

import evp_asyncio

CHILD = os.environ['EVP_TEST_CHILD']
WATCHERS = (Evp.PidfdChildWatcher, Evp.ThreadedChildWatcher, Evp.SafeChildWatcher, Evp.FastChildWatcher,
            Evp.MultiLoopChildWatcher, Evp.GLibChildWatcher)
needs_watchers = unittest.skipUnless(hasattr(asyncio, 'set_child_watcher'), "this Python's asyncio has no child watchers")


class TestGio(evptest.TestCase):
    def test_result(self):
        """R14: methods of GIO are awaited, and fail with their errors."""
        async def main():
            file = Gio.File.new_for_path(__file__)
            done, contents, _etag = await evp_asyncio.gio(file.load_contents_async)
            self.assertTrue(done)
            self.assertIn(b'SPDX', contents)
            stream = await evp_asyncio.gio(file.read_async, GLib.PRIORITY_DEFAULT)
            self.assertEqual((await evp_asyncio.gio(stream.read_bytes_async, 6, GLib.PRIORITY_DEFAULT)).get_data(),
                             b'# SPDX')
            with self.assertRaises(GLib.Error) as caught:
                await evp_asyncio.gio(Gio.File.new_for_path('/nonexistent').load_contents_async)
            self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_FOUND))
            with self.assertRaisesRegex(TypeError, 'no cancellable'):
                evp_asyncio.gio(file.get_path)

        evp_asyncio.run(main())

    def test_finish(self):
        """R14: the method that finishes is the one of the same name, or another."""
        async def main():
            stream = Gio.DataInputStream.new(Gio.MemoryInputStream.new_from_bytes(GLib.Bytes.new('é\n\n'.encode())))
            read = stream.read_line_async, GLib.PRIORITY_DEFAULT
            lines = [(await evp_asyncio.gio(*read, finish='read_line_finish_utf8'))[0] for _ in range(3)]
            self.assertEqual(lines, ['é', '', None])
            info = await evp_asyncio.gio(Gio.File.new_for_path('/').query_info_async, '*',
                                         Gio.FileQueryInfoFlags.NONE, GLib.PRIORITY_DEFAULT)
            self.assertEqual(info.get_file_type(), Gio.FileType.DIRECTORY)
            # of a function, too, which has no object
            file, stream = await evp_asyncio.gio(Gio.File.new_tmp_async, 'evp-XXXXXX', GLib.PRIORITY_DEFAULT)
            stream.close()
            file.delete()

        evp_asyncio.run(main())

    def test_cancel(self):
        """R14: cancelling the task cancels the cancellable, and the other way round."""
        async def main():
            ours, theirs = socket.socketpair()
            with ours, theirs:
                stream = Gio.Socket.new_from_fd(ours.detach()).connection_factory_create_connection().get_input_stream()
                cancellable = Gio.Cancellable()

                async def read():
                    return await evp_asyncio.gio(stream.read_bytes_async, 1, GLib.PRIORITY_DEFAULT,
                                                 cancellable=cancellable)

                task = asyncio.create_task(read())
                await asyncio.sleep(0)
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                self.assertTrue(cancellable.is_cancelled())
                while stream.has_pending():
                    await asyncio.sleep(0.001)

                cancellable = Gio.Cancellable()
                task = asyncio.create_task(read())
                await asyncio.sleep(0)
                cancellable.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                stream.close()

        evp_asyncio.run(main())

    def test_closed(self):
        """R14: what ends when its loop is closed is told to nobody, as what asyncio runs in a thread."""
        ended = []

        class Read:
            """Notes that the callback has been called."""

            def __init__(self, stream):
                self.method = stream.read_bytes_async
                self.__name__ = self.method.__name__
                self.get_arguments = self.method.get_arguments

            def __call__(self, *args):
                def done(*given):
                    ended.append(1)
                    args[-1](*given)

                self.method(*args[:-1], done)

        pairs = [socket.socketpair() for _ in range(2)]
        connections = [Gio.SocketConnection(socket=Gio.Socket.new_from_fd(os.dup(ours.fileno())))
                       for ours, _theirs in pairs]

        async def main():
            return [evp_asyncio.gio(Read(connection.get_input_stream()), 10, GLib.PRIORITY_DEFAULT)
                    for connection in connections]

        futures = evp_asyncio.run(main())
        pairs[0][1].send(b'x')
        pairs[1][0].send(b'not read, so what closes there resets the connection')
        pairs[1][1].close()
        with self.uncaught() as seen:
            while len(ended) < 2:
                GLib.MainContext.default().iteration(True)
        self.assertEqual(seen, [])
        self.assertEqual([future.done() for future in futures], [False, False])
        for each in sum(pairs, ()):
            each.close()

    def test_ends(self):
        """R14: how an operation ends decides, unless nobody waits any more; only cancelling by its cancellable cancels."""
        def error(code):
            return GLib.Error.new_literal(Gio.io_error_quark(), code.value_nick, code)

        class Source:
            def __init__(self, ends):
                self.ends = ends

            def work_finish(self, _result):
                if isinstance(self.ends, BaseException):
                    raise self.ends
                return self.ends

        class Work:
            """Looks like a method of GIO's; it ends when it is told to."""

            __name__ = 'work_async'
            get_arguments = Gio.File.load_contents_async.get_arguments

            def __call__(self, cancellable, done):
                self.cancellable, self.done = cancellable, done

        async def main():
            for ends, cancel in ((error(Gio.IOErrorEnum.CANCELLED), False), (error(Gio.IOErrorEnum.FAILED), True),
                                 (ZeroDivisionError(), False)):
                work = Work()
                future = evp_asyncio.gio(work)
                if cancel:
                    work.cancellable.cancel()
                work.done(Source(ends), None)
                with self.assertRaises(type(ends)) as caught:
                    await future
                self.assertEqual(str(caught.exception), str(ends))
            for ends in 'result', error(Gio.IOErrorEnum.FAILED), ZeroDivisionError():
                work = Work()
                future = evp_asyncio.gio(work)
                future.cancel()
                work.done(Source(ends), None)
                self.assertTrue(future.cancelled())

        evp_asyncio.run(main())

    def test_other_loops(self):
        """R14: a loop that is in no main context, or not in the one where GIO would call back, is told so."""
        start = Gio.File.new_for_path('/').query_info_async, '*', Gio.FileQueryInfoFlags.NONE, 0

        async def main():
            with self.assertRaisesRegex(RuntimeError, 'need an event loop that runs in a main context'):
                evp_asyncio.gio(*start)

        asyncio.run(main())

        async def elsewhere():
            context = GLib.MainContext.new()
            context.push_thread_default()
            try:
                with self.assertRaisesRegex(RuntimeError, 'not the thread-default one'):
                    evp_asyncio.gio(*start)
            finally:
                context.pop_thread_default()

        evp_asyncio.run(elsewhere())


async def wrapped_by_asyncio(future):
    return await future


class TestFutures(evptest.TestCase):
    def test_await(self):
        """R7b: futures of Evp's are awaited by asyncio's tasks."""
        async def main():
            loop = asyncio.get_running_loop()
            future = loop.evp.create_future()
            loop.call_later(0.001, future.set_result, {'any': 'value'})
            self.assertEqual(await future, {'any': 'value'})
            self.assertEqual(await future, {'any': 'value'})

            future = loop.evp.create_future()
            loop.evp.call_later(0.001, future.set_exception, KeyError('key'))
            with self.assertRaises(KeyError):
                await future
            # from a thread
            self.assertEqual(await loop.evp.run_in_executor(lambda: 6 * 7), 42)
            # methods of Evp's
            process = await loop.evp.subprocess_exec_async([CHILD, 'exit', '5'], Evp.SubprocessOptions())
            self.assertEqual(await process.wait_async(), 5)
            # beside asyncio's own
            results = await asyncio.gather(*(loop.evp.run_in_executor(str, n) for n in range(3)))
            self.assertEqual(results, ['0', '1', '2'])

        evp_asyncio.run(main())

    def test_cancel(self):
        """R7b: cancelling either future cancels both."""
        async def main():
            loop = asyncio.get_running_loop()

            async def wait(future):
                await future

            future = loop.evp.create_future()
            task = asyncio.create_task(wait(future))
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertTrue(future.cancelled())

            future = loop.evp.create_future()
            task = asyncio.create_task(wait(future))
            await asyncio.sleep(0)
            future.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            # and one that is cancelled already
            with self.assertRaises(asyncio.CancelledError):
                await future
            wrapped = evp_asyncio.wrap_future(asyncio.sleep(3600))
            wrapped.cancel()
            task = asyncio.ensure_future(wrapped)
            await asyncio.wait([task])
            self.assertTrue(task.cancelled())

        evp_asyncio.run(main())

    def test_closed(self):
        """R7b: a future of Evp's that is done when the loop of who awaits it is closed tells nobody."""
        other = self.new_loop(GLib.MainContext.new())
        futures = [other.create_future() for _ in range(3)]

        async def main():
            for future in futures:
                tasks.append(asyncio.ensure_future(future))
            await asyncio.sleep(0)

        tasks = []
        loop = evp_asyncio.EventLoop()
        loop.run_until_complete(main())
        loop.close()
        seen = []
        other.set_exception_handler(lambda *given: seen.append(given))
        futures[0].set_result(1)
        futures[1].set_exception(ValueError())
        futures[2].cancel()
        other.call_soon(other.stop)
        other.run_forever()
        self.assertIsInstance(futures[1].exception(), ValueError)
        self.assertEqual(seen, [])
        self.assertEqual([task.done() for task in tasks], [False] * 3)
        for task in tasks:
            task._log_destroy_pending = False

    def test_evp_tasks(self):
        """R7b: a task of Evp's own goes on awaiting futures of Evp's, with asyncio around it."""
        async def evp_task(loop):
            future = loop.create_future()
            loop.call_later(0.001, future.set_result, 'inner')
            return await future

        async def main():
            evp = asyncio.get_running_loop().evp
            return await evp.create_task(evp_task(evp))

        self.assertEqual(evp_asyncio.run(main()), 'inner')

    def test_wrap_future(self):
        """R7b: asyncio's futures become Evp's, with results, exceptions and cancelling."""
        async def fail():
            raise ZeroDivisionError

        async def main():
            loop = asyncio.get_running_loop()
            wrapped = evp_asyncio.wrap_future(asyncio.sleep(0.001, 'result'))
            self.assertIsInstance(wrapped, Evp.Future)
            self.assertEqual(wrapped.get_loop(), loop.evp)
            self.assertEqual(await wrapped, 'result')
            with self.assertRaises(ZeroDivisionError):
                await evp_asyncio.wrap_future(fail())

            task = asyncio.create_task(asyncio.Event().wait())
            wrapped = evp_asyncio.wrap_future(task)
            wrapped.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            task = asyncio.create_task(asyncio.Event().wait())
            wrapped = evp_asyncio.wrap_future(task)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await wrapped

            # one that has a result already takes none
            reported = []
            loop.set_exception_handler(lambda _loop, context: reported.append(context))
            gate = loop.create_future()
            wrapped = evp_asyncio.wrap_future(gate)
            wrapped.set_result('of its own')
            gate.set_result('late')
            await asyncio.sleep(0)
            self.assertEqual((await wrapped, reported), ('of its own', []))

        evp_asyncio.run(main())

        loop = evp_asyncio.EventLoop()  # that does not run yet
        wrapped = evp_asyncio.wrap_future(asyncio.sleep(0, 'given'), loop=loop)
        self.assertEqual(wrapped.get_loop(), loop.evp)
        loop.run_until_complete(wrapped_by_asyncio(wrapped))
        self.assertEqual(wrapped.get_result(), 'given')
        loop.close()


class TestAsEvp(evptest.TestCase):
    def test_own(self):
        """R7b: of our loops it is the library's loop beside it."""
        loop = evp_asyncio.EventLoop()
        self.assertEqual(evp_asyncio.as_evp(loop), loop.evp)
        loop.close()

    def test_stock(self):
        """R7b: stock asyncio's loop runs what is scheduled on an Evp loop."""
        loop = asyncio.SelectorEventLoop()
        evp = evp_asyncio.as_evp(loop)
        self.assertIs(evp_asyncio.as_evp(loop), evp)
        seen = []
        reader, writer = socket.socketpair()

        async def main():
            self.assertTrue(evp.is_running())
            with self.assertError(Evp.Error.LOOP_RUNNING):
                evp.close()
            self.assertAlmostEqual(evp.time(), loop.time(), delta=30)
            evp.call_soon(lambda: seen.append(Evp.get_running_loop() == evp))
            evp.call_later(0.001, seen.append, 'later')
            evp.call_soon(seen.append, 'cancelled').cancel()
            evp.add_reader(reader, lambda fd: (seen.append('reader'), evp.remove_reader(fd)))
            evp.add_writer(writer, lambda fd: (seen.append('writer'), evp.remove_writer(fd)))
            writer.send(b'x')
            await asyncio.to_thread(evp.call_soon_threadsafe, seen.append, 'threadsafe')
            evp.add_signal_handler(signal.SIGUSR1, seen.append)
            os.kill(os.getpid(), signal.SIGUSR1)
            future = evp.create_future()
            evp.call_later(0.01, future.set_result, 'future')
            seen.append(await future)
            self.assertTrue(evp.remove_signal_handler(signal.SIGUSR1))
            self.assertEqual(await evp_asyncio.wrap_future(asyncio.sleep(0, 'wrapped')), 'wrapped')

        loop.run_until_complete(main())
        self.assertEqual(sorted(map(str, seen)), sorted(
            ['True', 'later', 'reader', 'writer', 'threadsafe', str(int(signal.SIGUSR1)), 'future']))
        with self.assertError(Evp.Error.NO_RUNNING_LOOP):
            Evp.get_running_loop()
        # run as an Evp loop it is the running one all the time, not only in callbacks of its own
        seen.clear()
        evp.call_soon(seen.clear)
        loop.call_later(0.001, lambda: (evp.stop(), seen.append(Evp.get_running_loop() == evp)))
        evp.run_forever()
        self.assertEqual(seen, [True])
        # and not afterwards, nor is it in any main context
        evp.call_soon(lambda: None)
        loop.run_until_complete(asyncio.sleep(0))
        with self.assertError(Evp.Error.NO_RUNNING_LOOP):
            Evp.get_running_loop()
        self.assertEqual((evp.is_running(), evp.is_closed(), evp.dup_main_context()), (False, False, None))
        loop.set_debug(True)  # in which asyncio refuses what other threads may not do
        scheduled = []
        thread = threading.Thread(target=lambda: scheduled.append(evp.call_soon_threadsafe(evp.stop)))
        loop.call_soon(thread.start)
        loop.run_forever()
        thread.join()
        self.assertEqual(len(scheduled), 1)
        loop.set_debug(False)
        # a signal's handler stops it while it sleeps
        handler = signal.signal(signal.SIGALRM, lambda *_given: evp.stop())
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        evp.run_forever()
        signal.signal(signal.SIGALRM, handler)
        evp.close()
        self.assertTrue(loop.is_closed())
        with self.assertError(Evp.Error.LOOP_CLOSED):
            evp.call_soon(print)
        # what asyncio's loop can do when it is closed
        with self.uncaught() as seen:
            evp.stop()
            self.assertEqual((evp.remove_reader(0), evp.remove_writer(0), evp.remove_signal_handler(signal.SIGUSR1)),
                             (False, False, False))
            self.assertGreater(evp.time(), 0)
            evp.set_debug(True)
            self.assertTrue(evp.get_debug() and loop.get_debug())
            reference = weakref.ref(loop)
            del loop
            self.assertDropped(reference)
            evp.stop()
            evp.set_debug(False)
            self.assertGreater(evp.time(), 0)
            self.assertEqual((evp.get_debug(), evp.is_running(), evp.is_closed()), (False, False, True))
        self.assertEqual(seen, [])
        reader.close()
        writer.close()

    def test_stock_in_a_callback(self):
        """R7b: the Evp loop in whose callback stock asyncio's loop runs is the running one again, then and between."""
        around = self.new_loop()
        loop = asyncio.SelectorEventLoop()
        self.addCleanup(loop.close)
        evp = evp_asyncio.as_evp(loop)
        seen = []

        def see(*_data):
            try:
                seen.append(Evp.get_running_loop())
            except GLib.Error:
                seen.append(None)

        def run():
            evp.call_soon(see)
            loop.call_soon(loop.call_soon, see)
            loop.run_until_complete(asyncio.sleep(0.001))
            see()
            around.stop()

        around.call_soon(run)
        around.run_forever()
        self.assertEqual(seen, [evp, around, around])

        seen.clear()
        outer = evp_asyncio.EventLoop()
        self.addCleanup(outer.close)

        def paused(*_data):
            with outer.paused():
                evp.call_soon(outer.call_soon, seen.append, 'called')
                loop.run_until_complete(asyncio.sleep(0.001))
                see()
            see()
            outer.call_soon(outer.stop)

        outer.call_soon(paused)
        outer.run_forever()
        self.assertEqual(seen, [None, outer.evp, 'called'])

    def test_stock_leaves(self):
        """R7b, R8: what leaves stock asyncio's loop comes out of Evp's run_forever(), and so does Ctrl-C."""
        program = '''
import asyncio, os, signal, sys, threading
import evp_asyncio

loop = asyncio.SelectorEventLoop()
evp = evp_asyncio.as_evp(loop)
for start in evp.run_forever, lambda: evp.run_until_complete(evp.create_future()):
    for end in (lambda: sys.exit(3), lambda: evp.call_soon(sys.exit),
                threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start):
        loop.call_soon(loop.call_later, 0.001, end)
        try:
            start()
        except (SystemExit, KeyboardInterrupt) as exception:
            print(type(exception).__name__, asyncio._get_running_loop())
        print(loop.run_until_complete(asyncio.sleep(0.001, 'goes on')))
loop.close()
'''
        _status, output, _errors = self.run_python(program)
        self.assertEqual(output.splitlines(), [
            'SystemExit None', 'goes on', 'SystemExit None', 'goes on', 'KeyboardInterrupt None', 'goes on'] * 2)

    def test_stock_processes(self):
        """R7b: what has no loop to ask for completes in stock asyncio's, too."""
        loop = asyncio.SelectorEventLoop()

        async def main():
            evp = evp_asyncio.as_evp(loop)
            process = await evp.subprocess_exec_async([CHILD, 'exit', '5'], Evp.SubprocessOptions())
            while process.get_returncode() == Evp.RETURNCODE_NONE:
                await asyncio.sleep(0.001)
            return await process.wait_async()  # of a child that has ended, there is nothing to wake anybody

        self.assertEqual(loop.run_until_complete(asyncio.wait_for(main(), 30)), 5)
        loop.close()


class TestWatchers(evptest.TestCase):
    def setUp(self):
        super().setUp()
        evp_asyncio.install()
        self.addCleanup(asyncio.set_event_loop_policy, None)

    def test_not_watchers(self):
        """R18: what is no watcher is refused at once, not when the first child starts."""
        for kind in evp_asyncio.ChildWatcher, evp_asyncio.EvpChildWatcher:
            for value in 5, 'text', object():
                with self.assertRaises(TypeError):
                    kind(value)

    def test_direct(self):
        """R18: each of Evp's watchers calls back in the running loop, also where asyncio knows of no watchers."""
        async def main(watcher):
            loop = asyncio.get_running_loop()
            watcher.attach_loop(loop)
            done = asyncio.Queue()
            pids = {}
            with watcher:
                for mode, argument, expected in (('exit', '0', 0), ('exit', '200', 200), ('signal', '9', -9)):
                    pid = evptest.spawn(CHILD, mode, argument)
                    pids[pid] = expected
                    watcher.add_child_handler(pid, lambda *given: done.put_nowait((*given, asyncio.get_running_loop())),
                                              mode)
            for _ in range(len(pids)):
                pid, returncode, mode, running = await done.get()
                self.assertEqual((returncode, running), (pids.pop(pid), loop))
                self.assertEqual(mode, 'signal' if returncode < 0 else 'exit')
            self.assertEqual(pids, {})

        for kind in WATCHERS:
            with self.subTest(kind.__name__):
                watcher = evp_asyncio.ChildWatcher(kind())
                asyncio.run(main(watcher))
                watcher.close()

    @needs_watchers
    def test_asyncio_with_evps(self):
        """R18: asyncio starts children with each of Evp's watchers; return codes are right."""
        async def main(watcher):
            self.assertTrue(watcher.is_active())
            for mode, argument, expected in (('exit', '0', 0), ('exit', '200', 200), ('signal', '9', -9)):
                process = await asyncio.create_subprocess_exec(CHILD, mode, argument)
                self.assertEqual(await process.wait(), expected)
            processes = [await asyncio.create_subprocess_exec(CHILD, 'exit', str(n)) for n in range(8)]
            self.assertEqual([await process.wait() for process in processes], list(range(8)))

        for kind in WATCHERS:
            with self.subTest(kind.__name__):
                watcher = evp_asyncio.ChildWatcher(kind())
                with asyncio.Runner() as runner:
                    runner.get_loop()
                    watcher.attach_loop(runner.get_loop())
                    asyncio.set_child_watcher(watcher)
                    runner.run(main(watcher))
                asyncio.set_child_watcher(None)

    def test_default(self):
        """R18: without an argument it is Evp's default watcher."""
        watcher = evp_asyncio.ChildWatcher()
        self.assertIs(type(watcher.evp), type(Evp.AbstractChildWatcher.new_default()))
        self.assertIsInstance(watcher, getattr(asyncio, 'AbstractChildWatcher', object))
        variable = contextvars.ContextVar('variable', default='outside')

        async def main():
            done = asyncio.get_running_loop().create_future()
            variable.set('inside')
            with watcher:
                pid = evptest.spawn(CHILD, 'exit', '7')
                watcher.add_child_handler(pid, lambda *given: done.set_result((*given, variable.get())), 'argument')
            variable.set('changed')
            self.assertEqual(await done, (pid, 7, 'argument', 'inside'))  # as asyncio's callbacks
            self.assertFalse(watcher.remove_child_handler(pid))

        asyncio.run(main())
        watcher.close()

    @needs_watchers
    def test_evp_with_asyncios(self):
        """R18: Evp watches children with asyncio's watchers."""
        async def main(watcher):
            loop = asyncio.get_running_loop()
            evp = evp_asyncio.EvpChildWatcher(watcher)
            evp.attach_loop(loop.evp)
            self.assertTrue(evp.is_active())
            done = loop.create_future()
            with evp:
                pid = evptest.spawn(CHILD, 'exit', '9')
                evp.add_child_handler(pid, lambda *given: done.set_result(given))
            self.assertEqual(await done, (pid, 9))
            evp.close()

        for kind in (asyncio.ThreadedChildWatcher, asyncio.PidfdChildWatcher, asyncio.SafeChildWatcher):
            with self.subTest(kind.__name__):
                asyncio.run(main(kind()))

    @needs_watchers
    def test_loops_and_removal(self):
        """R18: what is asked of a watcher reaches the one inside, and only the running loop can be attached."""
        async def main():
            loop = asyncio.get_running_loop()
            inner = asyncio.SafeChildWatcher()
            evp = evp_asyncio.EvpChildWatcher(inner)
            evp.attach_loop(loop.evp)
            other = self.new_loop(GLib.MainContext.new())
            with self.assertError(Evp.Error.NOT_SUPPORTED):
                evp.attach_loop(other)
            pid = evptest.spawn(CHILD, 'pause')
            with evp:
                evp.add_child_handler(pid, self.fail)
            self.assertTrue(evp.remove_handler(pid))
            self.assertFalse(evp.remove_handler(pid))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            evp.close()

        asyncio.run(main())
        watcher = evp_asyncio.ChildWatcher(Evp.SafeChildWatcher())
        loop = evp_asyncio.EventLoop()
        loop.close()
        watcher.attach_loop(loop)
        self.assertFalse(watcher.is_active())
        watcher.close()

    def test_what_fails(self):
        """R18: what fails inside is asyncio's error outside, and the other way round; exceptions are asyncio's to report."""
        class Refusing(Evp.PidfdChildWatcher):
            def do_add_handler(self, _pid, _handler):
                raise GLib.Error.new_literal(Evp.Error.quark(), 'not watched', Evp.Error.FAILED)

            def do_attach_loop(self, _loop):
                raise GLib.Error.new_literal(Evp.Error.quark(), 'not attached', Evp.Error.FAILED)

        class RefusingOfAsyncio:
            def __init__(self, failure):
                self.failure = failure

            def add_child_handler(self, _pid, _callback, *_args):
                raise self.failure

            def __enter__(self):
                pass

            def __exit__(self, *_given):
                pass

        async def main():
            watcher = evp_asyncio.ChildWatcher(Refusing())
            with self.assertRaisesRegex(RuntimeError, '^not watched$'):
                watcher.add_child_handler(os.getpid(), print)
            with self.assertRaisesRegex(RuntimeError, '^not attached$'):
                watcher.attach_loop(asyncio.get_running_loop())
            watcher.close()
            for failure in RuntimeError('refused'), OSError('refused, too'):
                with self.assertError(Evp.Error.FAILED, str(failure)):
                    evp_asyncio.EvpChildWatcher(RefusingOfAsyncio(failure)).add_child_handler(os.getpid(), print)

            loop = asyncio.get_running_loop()
            reported = loop.create_future()
            loop.set_exception_handler(lambda _loop, context: reported.set_result(context['exception']))
            with evp_asyncio.ChildWatcher() as watcher:
                watcher.add_child_handler(evptest.spawn(CHILD, 'exit', '0'), lambda *_given: 1 / 0)
            self.assertIsInstance(await reported, ZeroDivisionError)

        asyncio.run(main())

    def test_every_method(self):
        """R18: what is asked of a watcher is asked of the one inside."""
        asked = []

        class Inner(Evp.PidfdChildWatcher):
            def do_enter(self):
                asked.append('enter')

            def do_exit(self):
                asked.append('exit')

            def do_close(self):
                asked.append('close')

            def do_is_active(self):
                return False

        watcher = evp_asyncio.ChildWatcher(Inner())
        with watcher:
            self.assertFalse(watcher.is_active())
        watcher.close()
        self.assertEqual(asked, ['enter', 'exit', 'close'])

        class InnerOfAsyncio:
            def add_child_handler(self, _pid, _callback, *_args):
                pass

            def __enter__(self):
                asked.append('enter')

            def __exit__(self, *given):
                asked.append(('exit', *given))

            def close(self):
                asked.append('close')

            def is_active(self):
                return False

            def attach_loop(self, loop):
                asked.append(loop)

        asked.clear()
        evp = evp_asyncio.EvpChildWatcher(InnerOfAsyncio())
        with evp:
            self.assertFalse(evp.is_active())
        evp.attach_loop(None)
        evp.close()
        self.assertEqual(asked, ['enter', ('exit', None, None, None), None, 'close'])
        loop = evp_asyncio.EventLoop()
        with self.assertError(Evp.Error.NOT_SUPPORTED):
            evp.attach_loop(loop.evp)
        loop.close()

    @needs_watchers
    def test_stock_loop(self):
        """R18: Evp's watchers serve stock asyncio's loops as well."""
        asyncio.set_event_loop_policy(None)

        async def main():
            process = await asyncio.create_subprocess_exec(CHILD, 'exit', '4')
            return await process.wait()

        for kind in (Evp.ThreadedChildWatcher, Evp.PidfdChildWatcher):
            with self.subTest(kind.__name__):
                asyncio.set_child_watcher(evp_asyncio.ChildWatcher(kind()))
                self.assertEqual(asyncio.run(main()), 4)
        asyncio.set_child_watcher(None)


if __name__ == '__main__':
    evptest.main()
