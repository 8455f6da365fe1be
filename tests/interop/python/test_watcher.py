# SPDX-License-Identifier: LGPL-2.1-or-later
"""Child watchers: the contract of tests/contract/contract-watcher.h on one written in Python, on one that chains up,
and on those of the library."""

import os
import signal
import subprocess
import threading
import weakref

from evptest import Evp, GLib, TestCase, main, spawn
from gi.repository import GObject
from pywatcher import WaitingWatcher

CHILD = os.environ['EVP_TEST_CHILD']


class Thing:
    def __call__(self, *args):
        raise AssertionError('it must not be called')


class Contract:
    make = None

    def setUp(self):
        super().setUp()
        self.loop = self.new_loop()
        Evp.set_event_loop(self.loop)
        self.addCleanup(Evp.set_event_loop, None)
        self.watcher = type(self).make()
        self.watcher.attach_loop(self.loop)
        self.addCleanup(self.watcher.close)
        self.ended = []

    def add(self, pid, *args):
        """Watches a child; the loop stops when it has ended."""
        def ended(*given):
            self.assertEqual(Evp.get_running_loop(), self.loop)
            self.ended.append(given)
            self.loop.stop()

        self.assertTrue(self.watcher.add_child_handler(pid, ended, *args))

    def pipe_child(self):
        """A child that ends with 3 when its standard input is closed."""
        child = subprocess.Popen([CHILD, 'wait-exit', '3'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        child.returncode = 0  # nobody but the watcher waits for it
        self.addCleanup(child.stdin.close)
        return child.pid, child.stdin

    # Rules: W-2, W-6, W-17, W-22
    def test_codes(self):
        for mode, code in ((('exit', '0'), 0), (('exit', '7'), 7), (('exit', '255'), 255), (('signal', '9'), -9),
                           (('signal', '15'), -15)):
            with self.watcher as entered:
                self.assertEqual(entered, self.watcher)
                pid = spawn(CHILD, *mode)
                self.add(pid, mode, 'x')
            self.loop.run_forever()
            self.assertEqual(self.ended.pop(), (pid, code, mode, 'x'))
        self.assertEqual(self.ended, [])

    # Rules: W-20, W-29, W-36
    def test_dead(self):
        pid = spawn(CHILD, 'exit', '5')
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        self.add(pid)
        if not self.ended:
            self.loop.run_forever()
        self.assertEqual(self.ended, [(pid, 5)])

    # Rules: W-2, W-47
    def test_replace(self):
        pid, stdin = self.pipe_child()
        thing = Thing()
        gone = weakref.ref(thing)
        self.watcher.add_child_handler(pid, thing)
        del thing
        self.add(pid)
        self.assertDropped(gone)
        self.loop.call_soon(stdin.close)
        self.loop.run_forever()
        self.assertEqual(self.ended, [(pid, 3)])

    # Rules: W-3, W-22, W-47
    def test_remove(self):
        pid, stdin = self.pipe_child()
        thing = Thing()
        gone = weakref.ref(thing)
        self.watcher.add_child_handler(pid, thing)
        del thing
        self.assertTrue(self.watcher.remove_child_handler(pid))
        self.assertFalse(self.watcher.remove_child_handler(pid))
        self.assertDropped(gone)
        # and added again, while it lives: who has no handler may be reaped and forgotten
        self.add(pid)
        self.loop.call_soon(stdin.close)
        self.loop.run_forever()
        self.assertEqual(self.ended, [(pid, 3)])

    # Rules: W-28, W-33, W-59, Z-32
    def test_strangers(self):
        stranger = spawn(CHILD, 'exit', '9')
        pid = spawn(CHILD, 'exit', '1')
        self.add(pid)
        self.loop.run_forever()
        self.assertEqual(self.ended, [(pid, 1)])
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(stranger, 0)[1]), 9)

    # Rules: W-6, W-7, W-32, Z-34
    def test_stolen(self):
        pid = spawn(CHILD, 'exit', '9')
        os.waitpid(pid, 0)
        handlers = []

        class Keeping(type(self.watcher)):
            def do_add_handler(self, pid, handler):
                handlers.append(handler)
                return super().do_add_handler(pid, handler)

        self.watcher = Keeping()
        self.watcher.attach_loop(self.loop)
        self.addCleanup(self.watcher.close)
        try:
            self.add(pid)
        except GLib.Error:
            return  # a watcher that notices at once may refuse
        if not self.ended:
            self.loop.run_forever()
        self.assertEqual(self.ended, [(pid, 255)])
        self.assertTrue(handlers[0].get_lost())

    # Rules: W-14, W-21
    def test_refused(self):
        thing = Thing()
        gone = weakref.ref(thing)
        with self.assertError(Evp.Error.INVALID_ARGUMENT):
            self.watcher.add_child_handler(0, thing)
        del thing
        self.assertDropped(gone)
        with self.assertRaises(TypeError):
            self.watcher.add_child_handler(1, None)

    # Rules: W-2, W-26, W-38, W-60, Z-42
    def test_threads(self):
        result = []

        def work():
            loop = Evp.SelectorEventLoop()
            Evp.set_event_loop(loop)
            pid = spawn(CHILD, 'exit', '4')
            here = threading.get_ident()

            def start():
                self.watcher.add_child_handler(pid, lambda *given: (
                    result.append((given == (pid, 4), threading.get_ident() == here, Evp.get_running_loop() == loop)),
                    loop.stop()))

            loop.call_soon(start)
            loop.run_forever()
            Evp.set_event_loop(None)
            loop.close()
            self.loop.call_soon_threadsafe(self.loop.stop)

        thread = threading.Thread(target=work)
        thread.start()
        self.loop.run_forever()
        thread.join()
        self.assertEqual(result, [(True, True, True)])

    # Rules: W-5, W-8, W-24, W-34, W-56
    def test_close(self):
        pid, stdin = self.pipe_child()
        thing = Thing()
        gone = weakref.ref(thing)
        self.watcher.add_child_handler(pid, thing)
        del thing
        self.assertTrue(self.watcher.is_active())
        self.watcher.close()
        self.watcher.close()
        self.assertFalse(self.watcher.is_active())
        self.assertDropped(gone)
        with self.assertError(Evp.Error.WATCHER_CLOSED):
            self.add(pid)
        stdin.close()
        # opens again
        self.watcher.attach_loop(self.loop)
        self.assertTrue(self.watcher.is_active())
        again = spawn(CHILD, 'exit', '6')
        self.add(again)
        self.loop.run_forever()
        self.assertEqual(self.ended, [(again, 6)])

    # Rules: X-2, W-16
    def test_failing_callback(self):
        seen = []
        self.loop.set_exception_handler(lambda loop, context: (seen.append(context.exception), loop.stop()))
        self.watcher.add_child_handler(spawn(CHILD, 'exit', '0'), lambda pid, returncode: {}['key'])
        self.loop.run_forever()
        self.assertIsInstance(seen[0], KeyError)

    # Rules: P-30, W-2
    def test_process_wide(self):
        Evp.set_child_watcher(self.watcher)
        self.assertEqual(Evp.get_child_watcher(), self.watcher)
        self.watcher.attach_loop(self.loop)
        pid = spawn(CHILD, 'exit', '2')
        Evp.get_child_watcher().add_child_handler(pid, lambda *given: (self.ended.append(given), self.loop.stop()))
        self.loop.run_forever()
        self.assertEqual(self.ended, [(pid, 2)])
        Evp.set_child_watcher(None)


class PythonWatcherTest(Contract, TestCase):
    make = WaitingWatcher

    # Rules: W-1
    def test_bracket(self):
        self.assertEqual(self.watcher.bracket, 0)
        with self.watcher:
            self.assertEqual(self.watcher.bracket, 1)
        self.assertEqual(self.watcher.bracket, 0)

    # Rules: W-1
    def test_slots_left_out(self):
        class Empty(GObject.Object, Evp.AbstractChildWatcher):
            pass

        watcher = Empty()
        with self.assertError(Evp.Error.NOT_SUPPORTED, 'Empty'):
            watcher.add_child_handler(12345, print)
        with self.assertError(Evp.Error.NOT_SUPPORTED, 'Empty'):
            watcher.attach_loop(None)
        self.assertFalse(watcher.remove_child_handler(12345))
        with watcher:
            pass
        watcher.close()


class HandlerTest(TestCase):
    # Rules: W-2, X-2
    def test_handler(self):
        """What a watcher does with a handler that it made itself."""
        loop = self.new_loop()
        seen = []
        handler = Evp.ChildHandler.new(4711, loop, lambda *given: (seen.append(given), {}['key']), 'x')
        loop.set_exception_handler(lambda loop, context: (seen.append(type(context.exception)), loop.stop()))
        loop.call_soon(handler.invoke, 4711, 3)
        loop.call_soon(handler.invoke, 4711, 4)
        loop.run_forever()
        self.assertEqual(seen, [(4711, 3, 'x'), KeyError])
        self.assertTrue(handler.get_done())
        self.assertEqual(handler.get_returncode(), 3)


class ThreadedWatcherTest(Contract, TestCase):
    make = Evp.ThreadedChildWatcher


class Chaining(Evp.ThreadedChildWatcher):
    def __init__(self):
        super().__init__()
        self.calls = []

    def do_add_handler(self, pid, handler):
        self.calls.append((pid, handler.get_pid()))
        return super().do_add_handler(pid, handler)

    def do_close(self):
        self.calls.append('close')
        super().do_close()


class Chaining2(Chaining):
    def do_add_handler(self, pid, handler):
        self.calls.append('2')
        return super().do_add_handler(pid, handler)


class ChainingWatcherTest(Contract, TestCase):
    make = Chaining2

    # Rules: P-36
    def test_chain(self):
        pid = spawn(CHILD, 'exit', '0')
        self.add(pid)
        self.loop.run_forever()
        self.watcher.close()
        self.assertEqual(self.watcher.calls, ['2', (pid, pid), 'close'])

    # Rules: P-36
    def test_parents_stay_untouched(self):
        one = Chaining()
        one.attach_loop(self.loop)
        for watcher in (one, Evp.ThreadedChildWatcher()):
            pid = spawn(CHILD, 'exit', '0')
            watcher.attach_loop(self.loop)
            watcher.add_child_handler(pid, lambda *given: self.loop.stop())
            self.loop.run_forever()
            self.assertEqual(getattr(watcher, 'calls', []), [(pid, pid)] if watcher is one else [])
            watcher.close()


if hasattr(os, 'pidfd_open') and (not hasattr(Evp, 'capabilities_get') or Evp.capabilities_get('pidfd')):
    class PidfdWatcherTest(Contract, TestCase):
        make = Evp.PidfdChildWatcher


if __name__ == '__main__':
    main()
