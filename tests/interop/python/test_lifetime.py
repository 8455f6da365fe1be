# SPDX-License-Identifier: LGPL-2.1-or-later
"""Dropping, collecting, and leaving the interpreter, which must be silent."""

import gc
import os
import weakref

from evptest import Evp, TestCase, main, spawn
from pyloop import PythonLoop
from pyselector import PollingSelector
from pywatcher import WaitingWatcher

HERE = os.path.dirname(os.path.abspath(__file__))
CHILD = os.environ['EVP_TEST_CHILD']


class Mark:
    """Something to be held."""


class ExitTest(TestCase):
    """A program ends with something of Python's installed: status 0, not a word."""

    def exits(self, code):
        path = os.pathsep.join((HERE, os.environ.get('PYTHONPATH', '')))
        self.run_python(code, PYTHONPATH=path)

    # Rules: P-5
    def test_policy(self):
        self.exits('''
class Policy(Evp.DefaultEventLoopPolicy):
    def do_new_event_loop(self):
        return super().do_new_event_loop()
    def do_get_child_watcher(self):
        return super().do_get_child_watcher()
Evp.set_event_loop_policy(Policy())
Evp.get_event_loop().call_soon(print)
Evp.get_child_watcher()
Evp.get_event_loop().close()
''')

    # Rules: P-5
    def test_policy_from_scratch(self):
        self.exits('''
class Policy(GObject.Object, Evp.AbstractEventLoopPolicy):
    def do_get_event_loop(self):
        return self.loop
policy = Policy()
policy.loop = Evp.SelectorEventLoop()
Evp.set_event_loop_policy(policy)
policy.loop.close()
''')

    # Rules: P-5
    def test_policy_in_module_globals(self):
        self.exits('''
import sys
class Policy(Evp.SelectorEventLoopPolicy):
    def do_set_event_loop(self, loop):
        return super().do_set_event_loop(loop)
policy = Policy()
Evp.set_event_loop_policy(policy)
loop = Evp.get_event_loop()
loop.run_until_complete(loop.run_in_executor(lambda: 1))
loop.close()
sys.exit(0)
''')

    # Rules: P-5
    def test_watcher(self):
        self.exits(f'''
from pywatcher import WaitingWatcher
from evptest import spawn
Evp.set_child_watcher(WaitingWatcher())
loop = Evp.get_event_loop()
Evp.get_child_watcher().attach_loop(loop)
Evp.get_child_watcher().add_child_handler(spawn({CHILD!r}, 'exit', '0'), lambda *given: loop.stop())
loop.run_forever()
loop.close()
''')

    # Rules: L-18
    def test_loop_and_selector(self):
        self.exits('''
from pyloop import PythonLoop
from pyselector import PollingSelector
loops = [PythonLoop(), Evp.SelectorEventLoop.new(PollingSelector(), None)]
Evp.set_event_loop(loops[0])
for loop in loops:
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
''')

    # Rules: L-18, U-9
    def test_pending_future(self):
        self.exits('''
loop = Evp.SelectorEventLoop()
future = loop.create_future()
future.add_done_callback(print)
loop.close()
''')

    # Rules: L-18
    def test_adopted_loop(self):
        self.exits('''
loop = Evp.get_event_loop()
main_loop = GLib.MainLoop()
loop.call_later(0.001, main_loop.quit)
main_loop.run()
loop.close()
''')

    # Rules: L-18
    def test_exit_in_callback(self):
        status, output, errors = self.run_python('''
import sys
loop = Evp.get_event_loop()
loop.call_soon(sys.exit, 7)
try:
    loop.run_forever()
finally:
    print('came out')
    loop.close()
''', check=False)
        self.assertEqual((status, output, errors), (7, 'came out\n', ''))


class DropTest(TestCase):
    # Rules: P-3, P-10, L-18
    def test_policy_and_loop(self):
        class Policy(Evp.DefaultEventLoopPolicy):
            def do_new_event_loop(self):
                return PythonLoop()

        references = []
        Evp.set_event_loop_policy(Policy())
        policy = Evp.get_event_loop_policy()
        loop = Evp.get_event_loop()
        # their wrappers may come and go, what these hold may not
        for item in (policy, loop):
            item.state = Mark()
            references.append(weakref.ref(item.state))
        del item
        loop.close()
        del policy, loop
        gc.collect()
        self.assertIsNotNone(references[0]())
        self.assertIsNotNone(references[1]())
        self.assertIs(Evp.get_event_loop_policy().state, references[0]())
        self.assertIs(type(Evp.get_event_loop_policy()), Policy)
        Evp.set_event_loop_policy(None)
        for reference in references:
            self.assertDropped(reference)

    # Rules: L-18, S-11
    def test_loop_with_selector(self):
        selector = PollingSelector()
        loop = Evp.SelectorEventLoop.new(selector, None)
        reference = weakref.ref(selector)
        loop.close()
        del loop, selector
        self.assertDropped(reference)

    # Rules: P-30, W-2
    def test_watcher(self):
        watcher = WaitingWatcher()
        watcher.state = Mark()
        reference = weakref.ref(watcher.state)
        Evp.set_child_watcher(watcher)
        del watcher
        gc.collect()
        self.assertIsNotNone(reference())
        Evp.set_child_watcher(None)
        self.assertDropped(reference)

    # Rules: C-15
    def test_last_reference_inside_callback(self):
        class Holder:
            pass

        holder = Holder()
        holder.loop = loop = Evp.SelectorEventLoop()
        holder.loop.mark = holder.mark = Holder()
        gone = weakref.ref(holder.mark)
        seen = []

        def drop():
            holder.loop.stop()
            del holder.loop, holder.mark
            gc.collect()
            seen.append(True)

        loop.call_soon(drop)
        loop.run_forever()
        self.assertEqual(seen, [True])
        loop.close()
        del loop
        self.assertDropped(gone)

    # Rules: W-2, W-3
    def test_handler_data(self):
        loop = self.new_loop()

        class Thing:
            def __call__(self, *args):
                loop.stop()

        watcher = Evp.ThreadedChildWatcher()
        self.addCleanup(watcher.close)
        watcher.attach_loop(loop)
        thing = Thing()
        gone = weakref.ref(thing)
        watcher.add_child_handler(spawn(CHILD, 'exit', '0'), thing)
        del thing
        loop.run_forever()
        self.assertDropped(gone)

    # Rules: C-15
    def test_garbage_while_running(self):
        """The garbage collector runs in the middle of everything."""
        loop = self.new_loop()
        seen = []
        threshold = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *threshold)
        gc.set_threshold(1)
        for number in range(200):
            future = loop.create_future()
            future.add_done_callback(lambda future: seen.append(future.get_result()))
            loop.call_soon(future.set_result, [number])
            loop.call_later(0, lambda: None).cancel()
        future.add_done_callback(lambda _future: loop.stop())  # the last one
        loop.run_forever()
        self.assertEqual(seen, [[number] for number in range(200)])


if __name__ == '__main__':
    main()
