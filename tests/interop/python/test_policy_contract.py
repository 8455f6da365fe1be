# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every policy must do, on the library's, on one derived in Python, and on one written from scratch in it."""

import threading

from evptest import Evp, GLib, TestCase, main
from gi.repository import GObject


class PythonPolicy(GObject.Object, Evp.AbstractEventLoopPolicy):
    """A loop per thread and a watcher for all, by asyncio's rules."""

    def __init__(self):
        super().__init__()
        self.local = threading.local()
        self.watcher = None

    def do_get_event_loop(self):
        if getattr(self.local, 'loop', None) is None:
            main_thread = threading.current_thread() is threading.main_thread()
            if not main_thread or getattr(self.local, 'was_set', False):
                raise GLib.Error.new_literal(Evp.Error.quark(), f'no loop in {threading.current_thread().name}',
                                             Evp.Error.NO_EVENT_LOOP)
            self.set_event_loop(self.new_event_loop())
        return self.local.loop

    def do_set_event_loop(self, loop):
        self.local.loop = loop
        self.local.was_set = True
        if self.watcher is not None and threading.current_thread() is threading.main_thread():
            self.watcher.attach_loop(loop)
        return True

    def do_new_event_loop(self):
        return Evp.SelectorEventLoop()

    def do_get_child_watcher(self):
        if self.watcher is None:
            self.watcher = Evp.PidfdChildWatcher()
        return self.watcher

    def do_set_child_watcher(self, watcher):
        if self.watcher is not None and self.watcher != watcher:
            self.watcher.close()
        self.watcher = watcher
        return True


class Derived(Evp.DefaultEventLoopPolicy):
    """Every slot overridden, every one chained up."""

    def do_get_event_loop(self):
        return super().do_get_event_loop()

    def do_set_event_loop(self, loop):
        return super().do_set_event_loop(loop)

    def do_new_event_loop(self):
        return super().do_new_event_loop()

    def do_get_child_watcher(self):
        return super().do_get_child_watcher()

    def do_set_child_watcher(self, watcher):
        return super().do_set_child_watcher(watcher)


class Contract:
    make = None

    def setUp(self):
        super().setUp()
        self.policy = type(self).make()
        self.addCleanup(self.tidy)

    def tidy(self):
        self.policy.set_child_watcher(None)
        self.policy.set_event_loop(None)

    def new_loop(self):
        loop = self.policy.new_event_loop()
        self.addCleanup(loop.close)
        return loop

    def in_thread(self, work):
        """What `work` returns, or the error that it raises, in another thread."""
        result = []

        def run():
            try:
                result.append(work())
            except GLib.Error as error:
                result.append(error)

        thread = threading.Thread(target=run, name='elsewhere')
        thread.start()
        thread.join(60)
        self.assertFalse(thread.is_alive())
        return result[0]

    # Rules: P-9
    def test_new_event_loop(self):
        first, second = self.new_loop(), self.new_loop()
        self.assertNotEqual(first, second)
        self.policy.set_event_loop(second)
        self.new_loop()
        self.assertEqual(self.policy.get_event_loop(), second)

    # Rules: P-10, P-16
    def test_set_and_get(self):
        first, second = self.new_loop(), self.new_loop()
        for loop in (first, second, second):
            self.policy.set_event_loop(loop)
            self.assertEqual(self.policy.get_event_loop(), loop)
        self.assertFalse(first.is_closed())
        second.close()
        self.assertEqual(self.policy.get_event_loop(), second)

    # Rules: P-12
    def test_set_none(self):
        self.policy.set_event_loop(self.new_loop())
        self.policy.set_event_loop(None)
        for _ in range(2):
            with self.assertError(Evp.Error.NO_EVENT_LOOP):
                self.policy.get_event_loop()
        loop = self.new_loop()
        self.policy.set_event_loop(loop)
        self.assertEqual(self.policy.get_event_loop(), loop)

    # Rules: P-11
    def test_set_nonsense(self):
        loop = self.new_loop()
        self.policy.set_event_loop(loop)
        with self.assertRaises(TypeError):
            self.policy.set_event_loop('nonsense')
        self.assertEqual(self.policy.get_event_loop(), loop)

    # Rules: P-13, P-14, P-16, P-28
    def test_missing_loop(self):
        with self.assertRaises(TypeError):
            self.policy.set_event_loop('nonsense')
        loop = self.policy.get_event_loop()
        self.addCleanup(loop.close)
        self.assertEqual(self.policy.get_event_loop(), loop)
        self.assertFalse(loop.is_closed())

    # Rules: P-8, P-15
    def test_other_thread(self):
        mine = self.new_loop()
        self.policy.set_event_loop(mine)
        error = self.in_thread(self.policy.get_event_loop)
        self.assertIsInstance(error, GLib.Error)
        self.assertTrue(error.matches(Evp.Error.quark(), Evp.Error.NO_EVENT_LOOP))

        theirs = self.new_loop()

        def set_and_get():
            self.policy.set_event_loop(theirs)
            return self.policy.get_event_loop()

        self.assertEqual(self.in_thread(set_and_get), theirs)
        self.assertEqual(self.policy.get_event_loop(), mine)

    # Rules: P-29, P-30
    def test_child_watcher(self):
        watcher = self.policy.get_child_watcher()
        self.assertEqual(self.policy.get_child_watcher(), watcher)
        self.assertEqual(self.in_thread(self.policy.get_child_watcher), watcher)
        mine = Evp.ThreadedChildWatcher()
        self.policy.set_child_watcher(mine)
        self.assertEqual(self.policy.get_child_watcher(), mine)
        self.policy.set_child_watcher(mine)
        self.assertTrue(mine.is_active())
        self.policy.set_child_watcher(None)
        self.assertFalse(mine.is_active())
        self.assertNotEqual(self.policy.get_child_watcher(), mine)

    # Rules: P-31, P-32
    def test_attach_child_watcher(self):
        attached = []

        class Watcher(GObject.Object, Evp.AbstractChildWatcher):
            def do_attach_loop(self, loop):
                attached.append(loop)
                return True

            def do_is_active(self):
                return True

            def do_close(self):
                pass

        loop = self.new_loop()
        self.policy.set_event_loop(loop)
        self.policy.set_child_watcher(Watcher())
        self.assertEqual(attached, [])
        self.policy.set_event_loop(loop)
        self.policy.set_event_loop(None)
        self.assertEqual(attached, [loop, None])
        self.in_thread(lambda: self.policy.set_event_loop(loop))
        self.assertEqual(attached, [loop, None])

    # Rules: P-33
    def test_own_child_watcher(self):
        other = type(self).make()
        self.addCleanup(lambda: other.set_child_watcher(None))
        self.assertNotEqual(self.policy.get_child_watcher(), other.get_child_watcher())

    # Rules: P-6, P-20, P-40
    def test_installed(self):
        self.addCleanup(Evp.set_event_loop_policy, None)
        Evp.set_event_loop_policy(self.policy)
        set_loop, running = self.new_loop(), self.new_loop()
        Evp.set_event_loop(set_loop)
        self.assertEqual(Evp.get_event_loop(), set_loop)
        seen = []
        running.call_soon(lambda: seen.extend((Evp.get_event_loop(), self.policy.get_event_loop())))
        running.call_soon(running.stop)
        running.run_forever()
        self.assertEqual(seen, [running, set_loop])


class DefaultTest(Contract, TestCase):
    make = Evp.DefaultEventLoopPolicy


class DerivedTest(Contract, TestCase):
    make = Derived


class ScratchTest(Contract, TestCase):
    make = PythonPolicy


if __name__ == '__main__':
    main()
