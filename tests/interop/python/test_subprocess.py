# SPDX-License-Identifier: LGPL-2.1-or-later
"""Child processes, under watchers of the library and of Python."""

import os
import signal
import threading

from evptest import Evp, GLib, TestCase, main
from gi.repository import Gio
from pywatcher import WaitingWatcher

CHILD = os.environ['EVP_TEST_CHILD']


def options(**kwargs):
    result = Evp.SubprocessOptions()
    for name, value in kwargs.items():
        getattr(result, f'set_{name}')(value)
    return result


PIPES = {'stdin': Evp.Stdio.PIPE, 'stdout': Evp.Stdio.PIPE, 'stderr': Evp.Stdio.PIPE}


class SubprocessTest(TestCase):
    def setUp(self):
        super().setUp()
        self.loop = self.new_loop()
        Evp.set_event_loop(self.loop)
        self.addCleanup(Evp.set_event_loop, None)

    def run_program(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    # Rules
    def test_communicate(self):
        async def program():
            process = await self.loop.subprocess_exec_async([CHILD, 'cat'], options(**PIPES))
            self.assertIsNone(process.returncode)
            self.assertIsNone(process.get_returncode())
            self.assertGreater(process.pid, 0)
            self.assertIsInstance(process.stdin, Gio.OutputStream)
            self.assertIsInstance(process.stdout, Gio.InputStream)
            self.assertIsInstance(process.stderr, Gio.InputStream)
            _, output, errors = await process.communicate_async(GLib.Bytes.new(b'hello'))
            return output.get_data(), errors.get_data(), process.returncode, await process.wait_async()

        self.assertEqual(self.run_program(program()), (b'hello', b'', 0, 0))

    # Rules: Q-6
    def test_callbacks(self):
        """The same in GIO's style."""
        seen = []

        def spawned(loop, result, text):
            process = loop.subprocess_exec_finish(result)
            seen.append(text)
            process.communicate_async(None, None, ended)

        def ended(process, result):
            seen.append(process.communicate_finish(result)[1].get_data())
            self.loop.stop()

        self.loop.subprocess_exec_async([CHILD, 'echo', 'hi'], options(stdout=Evp.Stdio.PIPE), None, spawned, 'extra')
        self.loop.run_forever()
        self.assertEqual(seen[0], 'extra')
        self.assertIn(b'hi', seen[1])

    # Rules
    def test_exception_in_callback(self):
        seen = []
        self.loop.set_exception_handler(lambda loop, context: (seen.append(context.exception), loop.stop()))

        def ended(process, result):
            process.wait_finish(result)
            raise KeyError('callback')

        def spawned(loop, result):
            loop.subprocess_exec_finish(result).wait_async(None, ended)

        self.loop.subprocess_exec_async([CHILD, 'exit', '0'], None, None, spawned)
        self.loop.run_forever()
        self.assertIsInstance(seen[0], KeyError)

    # Rules
    def test_failure(self):
        async def program():
            await self.loop.subprocess_exec_async(['/does/not/exist'], None)

        with self.assertRaises(GLib.Error) as caught:
            self.run_program(program())
        self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_FOUND), caught.exception)

    # Rules: Q-13
    def test_shell(self):
        async def program():
            process = await self.loop.subprocess_shell_async('echo out; exit 5', options(stdout=Evp.Stdio.PIPE))
            _, output, _ = await process.communicate_async(None)
            return output.get_data(), process.returncode

        self.assertEqual(self.run_program(program()), (b'out\n', 5))

    # Rules
    def test_signals(self):
        async def program():
            codes = []
            for method, args in (('terminate', ()), ('kill', ()), ('send_signal', (signal.SIGINT,))):
                process = await self.loop.subprocess_exec_async([CHILD, 'pause'], None)
                getattr(process, method)(*args)
                codes.append(await process.wait_async())
                with self.assertError(Evp.Error.NOT_FOUND):
                    process.kill()
            return codes

        self.assertEqual(self.run_program(program()), [-15, -9, -2])

    # Rules
    def test_options(self):
        async def program():
            process = await self.loop.subprocess_shell_async(
                'pwd; echo $EVP_COLOUR; echo error >&2',
                options(stdout=Evp.Stdio.PIPE, stderr=Evp.Stdio.MERGE, stdin=Evp.Stdio.NULL, cwd='/',
                        environment=['EVP_COLOUR=green', 'PATH=/usr/bin:/bin']))
            return (await process.communicate_async(None))[1].get_data()

        self.assertEqual(self.run_program(program()), b'/\ngreen\nerror\n')

    # Rules
    def test_exited_signal(self):
        async def program():
            seen = []
            # it does not end before somebody listens
            process = await self.loop.subprocess_exec_async([CHILD, 'cat'], options(stdin=Evp.Stdio.PIPE))
            process.connect('exited', lambda process, code: seen.append(code))
            process.stdin.close()
            await process.wait_async()
            return seen

        self.assertEqual(self.run_program(program()), [0])

    # Rules: Q-6
    def test_many(self):
        async def one(number):
            process = await self.loop.subprocess_exec_async([CHILD, 'exit', str(number)], None)
            return await process.wait_async()

        async def program():
            tasks = [self.loop.create_task(one(number)) for number in range(30)]
            return [await task for task in tasks]

        self.assertEqual(self.run_program(program()), list(range(30)))

    # Rules: Q-1, W-5, W-9
    def test_inactive_watcher(self):
        class Inactive(WaitingWatcher):
            def do_is_active(self):
                return False

        watcher = Inactive()
        Evp.set_child_watcher(watcher)

        async def program():
            await self.loop.subprocess_exec_async(['touch', '/tmp/evp-must-not-exist'], None)

        with self.assertError(Evp.Error.WATCHER_INACTIVE):
            self.run_program(program())
        self.assertEqual(watcher.added, [])
        Evp.set_child_watcher(None)

    # Rules: P-41
    def test_policy_without_watcher(self):
        class LoopHalf(Evp.DefaultEventLoopPolicy):
            def do_get_child_watcher(self):
                raise GLib.Error.new_literal(Evp.Error.quark(), 'no watchers', Evp.Error.NOT_SUPPORTED)

        Evp.set_event_loop_policy(LoopHalf())

        async def program():
            await self.loop.subprocess_exec_async(['true'], None)

        with self.assertError(Evp.Error.NOT_SUPPORTED, 'no watchers'):
            self.run_program(program())

    # Rules: W-2, Q-6
    def test_python_watcher(self):
        watcher = WaitingWatcher()
        Evp.set_child_watcher(watcher)

        async def program():
            process = await self.loop.subprocess_exec_async([CHILD, 'exit', '4'], None)
            self.assertEqual(watcher.added, [process.pid])
            return await process.wait_async()

        self.assertEqual(self.run_program(program()), 4)
        self.assertEqual(watcher.bracket, 0)
        Evp.set_child_watcher(None)

    # Rules: W-2, Q-6
    def test_every_watcher(self):
        for cls in (Evp.PidfdChildWatcher, Evp.ThreadedChildWatcher, Evp.SafeChildWatcher, Evp.FastChildWatcher,
                    Evp.MultiLoopChildWatcher, Evp.GLibChildWatcher):
            with self.subTest(cls.__name__):
                watcher = cls()
                Evp.set_child_watcher(watcher)
                watcher.attach_loop(self.loop)

                async def program():
                    process = await self.loop.subprocess_exec_async([CHILD, 'exit', '6'], None)
                    return await process.wait_async()

                self.assertEqual(self.run_program(program()), 6)
                Evp.set_child_watcher(None)

    # Rules: Q-12, U-4
    def test_cancelled_wait(self):
        async def program():
            process = await self.loop.subprocess_exec_async([CHILD, 'pause'], None)
            waiting = process.wait_async()
            self.loop.call_soon(waiting.cancel)
            with self.assertError(Evp.Error.CANCELLED):
                await waiting
            process.kill()
            return await process.wait_async()

        self.assertEqual(self.run_program(program()), -9)

    # Rules: Q-6
    def test_adopted(self):
        """Under a main loop of somebody else."""
        loop = self.new_loop(GLib.MainContext.default())
        outer = GLib.MainLoop()
        seen = []

        async def program():
            process = await loop.subprocess_exec_async([CHILD, 'echo', 'adopted'], options(stdout=Evp.Stdio.PIPE))
            seen.append((await process.communicate_async(None))[1].get_data())
            outer.quit()

        loop.create_task(program())
        outer.run()
        self.assertIn(b'adopted', seen[0])

    # Rules: Q-6, W-38
    def test_thread(self):
        result = []

        def work():
            loop = Evp.SelectorEventLoop()

            async def program():
                process = await loop.subprocess_exec_async([CHILD, 'exit', '3'], None)
                return await process.wait_async()

            result.append(loop.run_until_complete(program()))
            loop.close()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(result, [3])


if __name__ == '__main__':
    main()
