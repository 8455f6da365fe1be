# SPDX-License-Identifier: LGPL-2.1-or-later
"""Policies written in Python."""

import gc
import threading
import unittest
import weakref

from evptest import Evp, GLib, TestCase, main
from gi.repository import GObject


class Mark:
    """Something to be held."""


class Leaving(BaseException):
    """No error, as KeyboardInterrupt; a Python that has printed one of these ends as if nobody had caught it."""


class Scratch(GObject.Object, Evp.AbstractEventLoopPolicy):
    """A policy that owes nothing to the library."""

    def __init__(self):
        super().__init__()
        self.loop = None
        self.watcher = None
        self.made = 0

    def do_get_event_loop(self):
        if self.loop is None:
            raise GLib.Error.new_literal(Evp.Error.quark(), 'no loop here', Evp.Error.NO_EVENT_LOOP)
        return self.loop

    def do_set_event_loop(self, loop):
        self.loop = loop
        return True

    def do_new_event_loop(self):
        self.made += 1
        return Evp.SelectorEventLoop()

    def do_get_child_watcher(self):
        return self.watcher

    def do_set_child_watcher(self, watcher):
        self.watcher = watcher
        return True


class Counting(Evp.DefaultEventLoopPolicy):
    """One level below the default policy."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def do_get_event_loop(self):
        self.calls.append('get 1')
        return super().do_get_event_loop()

    def do_new_event_loop(self):
        self.calls.append('new 1')
        return super().do_new_event_loop()

    def do_set_event_loop(self, loop):
        self.calls.append('set 1')
        return super().do_set_event_loop(loop)


class Counting2(Counting):
    """Two levels."""

    def do_get_event_loop(self):
        self.calls.append('get 2')
        return super().do_get_event_loop()


class Counting3(Counting2):
    """Three, and one slot that the levels between leave alone."""

    def do_get_event_loop(self):
        self.calls.append('get 3')
        return super().do_get_event_loop()

    def do_get_child_watcher(self):
        self.calls.append('watcher 3')
        return super().do_get_child_watcher()


class PolicyTest(TestCase):
    # Rules: P-7, P-9, P-35, P-39
    def test_from_scratch(self):
        policy = Scratch()
        Evp.set_event_loop_policy(policy)
        self.assertEqual(Evp.get_event_loop_policy(), policy)
        with self.assertError(Evp.Error.NO_EVENT_LOOP, 'no loop here'):
            Evp.get_event_loop()

        loop = Evp.new_event_loop()
        self.addCleanup(loop.close)
        self.assertEqual(policy.made, 1)
        self.assertTrue(Evp.set_event_loop(loop))
        self.assertEqual(Evp.get_event_loop(), loop)
        Evp.set_event_loop(None)
        self.assertIsNone(policy.loop)

        watcher = Evp.ThreadedChildWatcher()
        self.assertTrue(Evp.set_child_watcher(watcher))
        self.assertEqual(Evp.get_child_watcher(), watcher)
        Evp.set_child_watcher(None)

    # Rules: P-1, P-3, P-5
    def test_install(self):
        first = Evp.get_event_loop_policy()
        self.assertEqual(first, Evp.get_event_loop_policy())
        Evp.set_event_loop_policy(Scratch())
        self.assertIsInstance(Evp.get_event_loop_policy(), Scratch)
        Evp.set_event_loop_policy(None)
        again = Evp.get_event_loop_policy()
        self.assertIsInstance(again, Evp.DefaultEventLoopPolicy)
        self.assertNotEqual(first, again)

    # Rules: P-4, P-11
    def test_wrong_types(self):
        before = Evp.get_event_loop_policy()
        with self.assertRaises(TypeError):
            Evp.set_event_loop_policy(object())
        self.assertEqual(Evp.get_event_loop_policy(), before)
        with self.assertRaises(TypeError):
            Evp.set_event_loop(before)

    # Rules: P-16, P-36
    def test_returns_none(self):
        policy = Scratch()
        with self.assertError(Evp.Error.FAILED, 'Scratch'):
            policy.get_child_watcher()

        class Nothing(Evp.DefaultEventLoopPolicy):
            def do_get_event_loop(self):
                return None

            def do_set_event_loop(self, loop):
                pass  # forgets to return True

        for call in (Nothing().get_event_loop, lambda: Nothing().set_event_loop(None)):
            with self.assertError(Evp.Error.FAILED, 'Nothing'):
                call()

    # Rules: P-16
    def test_returns_wrong_type(self):
        # PyGObject 3.58 leaves what it returns to C then undefined, also without us
        status, _, _ = self.run_python('''
from gi.repository import Gio, GObject
class Wrong(GObject.Object, Gio.File):
    def do_get_parent(self):
        return 42
assert Wrong().get_parent() is None
''', check=False, G_DEBUG='')
        if status != 0:
            self.skipTest('this PyGObject does not get along with methods that return something of a wrong type')

        class Wrong(Evp.DefaultEventLoopPolicy):
            def do_new_event_loop(self):
                return 42

        with self.uncaught() as seen, self.assertError(Evp.Error.FAILED, 'Wrong'):
            Wrong().new_event_loop()
        self.assertEqual([type(value) for value in seen], [TypeError])

    # Rules: P-9, P-35
    def test_raises(self):
        class Raising(Evp.DefaultEventLoopPolicy):
            def do_new_event_loop(self):
                raise self.what

        policy = Raising()
        policy.what = GLib.Error.new_literal(Evp.Error.quark(), 'mine', Evp.Error.FORKED)
        with self.assertError(Evp.Error.FORKED, 'mine'):
            policy.new_event_loop()
        policy.what = GLib.Error.new_literal(GLib.quark_from_string('foreign'), 'theirs', 7)
        with self.assertRaises(GLib.Error) as caught:
            policy.new_event_loop()
        self.assertEqual((caught.exception.domain, caught.exception.code, caught.exception.message),
                         ('foreign', 7, 'theirs'))
        for what in (ValueError('value'), Leaving('whoever can')):
            policy.what = what
            with self.uncaught() as seen, self.assertError(Evp.Error.FAILED, 'Raising'):
                policy.new_event_loop()
            self.assertEqual(seen, [what])

    # Rules: P-7, P-41
    def test_slots_left_out(self):
        class LoopHalf(GObject.Object, Evp.AbstractEventLoopPolicy):
            def do_new_event_loop(self):
                return Evp.SelectorEventLoop()

        policy = LoopHalf()
        policy.new_event_loop().close()
        for call, slot in ((policy.get_event_loop, 'get_event_loop'),
                           (lambda: policy.set_event_loop(None), 'set_event_loop'),
                           (policy.get_child_watcher, 'get_child_watcher'),
                           (lambda: policy.set_child_watcher(None), 'set_child_watcher')):
            with self.assertError(Evp.Error.NOT_SUPPORTED, slot) as caught:
                call()
            self.assertIn('LoopHalf', caught.exception.message)

    # Rules: P-14, P-28, P-36, P-37, P-38
    def test_chain_up(self):
        policy = Counting()
        Evp.set_event_loop_policy(policy)
        loop = Evp.get_event_loop()
        self.addCleanup(loop.close)
        # creation goes through the overrides, in this order
        self.assertEqual(policy.calls, ['get 1', 'new 1', 'set 1'])
        self.assertEqual(Evp.get_event_loop(), loop)
        self.assertEqual(policy.calls[3:], ['get 1'])

    # Rules: P-36
    def test_chain_up_three_levels(self):
        policy = Counting3()
        loop = policy.get_event_loop()
        self.addCleanup(loop.close)
        self.assertEqual(policy.calls, ['get 3', 'get 2', 'get 1', 'new 1', 'set 1'])
        del policy.calls[:]
        self.assertIsInstance(policy.get_child_watcher(), Evp.AbstractChildWatcher)
        self.assertEqual(policy.calls, ['watcher 3'])

    # Rules: P-36
    def test_parents_stay_untouched(self):
        Counting3().get_event_loop().close()
        for cls, calls in ((Counting2, ['get 2', 'get 1', 'new 1', 'set 1']),
                           (Counting, ['get 1', 'new 1', 'set 1'])):
            policy = cls()
            policy.get_event_loop().close()
            self.assertEqual(policy.calls, calls)
        for cls in (Evp.DefaultEventLoopPolicy, Evp.SelectorEventLoopPolicy, Evp.MainContextEventLoopPolicy):
            policy = cls()
            policy.get_event_loop().close()
            self.assertFalse(hasattr(policy, 'calls'))

    # Rules: P-36
    def test_every_class_chains_up(self):
        for parent in (Evp.BaseEventLoopPolicy, Evp.DefaultEventLoopPolicy, Evp.SelectorEventLoopPolicy,
                       Evp.MainContextEventLoopPolicy):
            namespace = {}

            def do_set_event_loop(self, loop, *, cell=namespace):
                self.seen = loop
                return super(cell['cls'], self).do_set_event_loop(loop)

            cls = namespace['cls'] = type(f'Deriving{parent.__name__}', (parent,),
                                          {'do_set_event_loop': do_set_event_loop})
            policy = cls()
            loop = self.new_loop()
            self.assertTrue(policy.set_event_loop(loop), parent)
            self.assertEqual(policy.seen, loop)
            self.assertEqual(policy.get_event_loop(), loop)

    # Rules: P-36
    def test_composition(self):
        class Composed(GObject.Object, Evp.AbstractEventLoopPolicy):
            def __init__(self):
                super().__init__()
                self.inner = Evp.DefaultEventLoopPolicy()

            def do_get_event_loop(self):
                return self.inner.get_event_loop()

        Evp.set_event_loop_policy(Composed())
        loop = Evp.get_event_loop()
        self.addCleanup(loop.close)
        self.assertIsInstance(loop, Evp.SelectorEventLoop)

    # Rules: P-13, P-15, P-25, P-26
    def test_missing_loop(self):
        policy = Evp.DefaultEventLoopPolicy(missing_loop=Evp.MissingLoop.ERROR)
        with self.assertError(Evp.Error.NO_EVENT_LOOP):
            policy.get_event_loop()
        policy.props.missing_loop = Evp.MissingLoop.CREATE
        policy.get_event_loop().close()

    # Rules: P-6, P-20, P-40
    def test_running_loop_wins(self):
        Evp.set_event_loop_policy(Scratch())
        loop = self.new_loop()
        seen = []

        def look():
            seen.append((Evp.get_event_loop(), Evp.get_running_loop()))
            loop.stop()

        loop.call_soon(look)
        loop.run_forever()
        self.assertEqual(seen, [(loop, loop)])
        with self.assertError(Evp.Error.NO_RUNNING_LOOP):
            Evp.get_running_loop()

    # Rules: P-8, P-15
    def test_threads(self):
        policy = Counting()
        Evp.set_event_loop_policy(policy)
        found = []

        def work():
            try:
                Evp.get_event_loop()
            except GLib.Error as error:
                found.append(error.code)
            loop = Evp.new_event_loop()
            Evp.set_event_loop(loop)
            found.append(Evp.get_event_loop() == loop)
            loop.run_until_complete(loop.run_in_executor(found.append, 'ran'))
            Evp.set_event_loop(None)
            loop.close()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(found, [Evp.Error.NO_EVENT_LOOP, True, 'ran'])
        self.assertIn('new 1', policy.calls)

    # Rules: P-3
    def test_lifetime(self):
        policy = Counting()
        policy.mark = Mark()  # the policy's own wrapper may come and go, what it holds may not
        mark = weakref.ref(policy.mark)
        Evp.set_event_loop_policy(policy)
        del policy
        gc.collect()
        # dropped here, but state and class are those of the installed one
        self.assertIsNotNone(mark())
        self.assertIsInstance(Evp.get_event_loop_policy(), Counting)
        Evp.get_event_loop().close()
        self.assertEqual(Evp.get_event_loop_policy().calls[0], 'get 1')
        Evp.set_event_loop_policy(None)
        self.assertDropped(mark)

    # Rules: P-29, P-30
    def test_child_watcher(self):
        policy = Evp.DefaultEventLoopPolicy()
        watcher = policy.get_child_watcher()
        self.assertEqual(policy.get_child_watcher(), watcher)
        mine = Evp.ThreadedChildWatcher()
        policy.set_child_watcher(mine)
        self.assertEqual(policy.get_child_watcher(), mine)
        policy.set_child_watcher(None)
        self.assertNotEqual(policy.get_child_watcher(), mine)


class WithoutOverrideTest(TestCase):
    """A PyGObject that does not see our override, as in a virtual environment."""

    # Rules: P-36
    def test_guard(self):
        status, _, errors = self.run_python('''
class Careless(Evp.DefaultEventLoopPolicy):
    def do_new_event_loop(self):
        return Evp.SelectorEventLoop()
Evp.DefaultEventLoopPolicy()
''', check=False, override=False, G_DEBUG='')
        self.assertEqual(status, 0, errors)
        self.assertIn('CRITICAL', errors)
        self.assertIn('list Evp.AbstractEventLoopPolicy among', errors)

    # Rules: P-36
    def test_relisted(self):
        self.run_python('''
class Careful(Evp.DefaultEventLoopPolicy, Evp.AbstractEventLoopPolicy):
    def do_new_event_loop(self):
        return Evp.SelectorEventLoop.new(None, None)
Careful().new_event_loop().close()
Evp.DefaultEventLoopPolicy().new_event_loop().close()
''', override=False)


if __name__ == '__main__':
    main()
