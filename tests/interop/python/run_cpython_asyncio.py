# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPython's own tests of asyncio, with our loop wherever they take one.

    run_cpython_asyncio.py [--quick] [--jobs N] [--mode MODE]… [MODULE]…

Each module runs in a process of its own, with a time limit, once with asyncio as it is and once for each mode:

    factory   asyncio.SelectorEventLoop, and what stock's policy makes, is evp_asyncio.EventLoop
    policy    the default policy is evp_asyncio.EventLoopPolicy
    watchers  as factory, and the tests of subprocesses run with each child watcher of Evp's

Every test that passes with stock asyncio has to pass. One that does not gets a second chance, alone: some of them
measure time, and the machine may be busy. --quick leaves out what takes long and what has nothing to do with loops.

The output is TAP, one line for each module and mode. Debian's libpython3.11-testsuite has the tests.
"""

import argparse
import asyncio
import concurrent.futures
import faulthandler
import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

MODES = ('factory', 'policy', 'watchers')
LIMIT = 240  # seconds for a module
# mocks of loops and transports, other systems, and what never sees a loop
WITHOUT_LOOP = {'test_proactor_events', 'test_windows_events', 'test_windows_utils', 'test_protocols',
                'test_transports', 'test_selector_events', 'test_sslproto'}
SLOW = {'test_ssl', 'test_sendfile', 'test_futures2'}
WATCHERS = ('PidfdChildWatcher', 'ThreadedChildWatcher', 'SafeChildWatcher', 'FastChildWatcher',
            'MultiLoopChildWatcher', 'GLibChildWatcher')


# In the process of a module

def substitute(mode):
    """Puts our loop where the tests look for one."""
    import evp_asyncio

    class EventLoop(evp_asyncio.EventLoop):
        """Tests ask for selectors without a descriptor, too; they get ours."""

        def __init__(self, selector=None):
            super().__init__(selector if hasattr(selector, 'fileno') else None)

    if mode == 'policy':
        class Policy(evp_asyncio.EventLoopPolicy):
            _loop_factory = EventLoop
        # what makes the default one; newer Pythons put an underscore before it
        name = '_DefaultEventLoopPolicy' if hasattr(asyncio.unix_events, '_DefaultEventLoopPolicy') else 'DefaultEventLoopPolicy'
        setattr(asyncio, name, Policy)
        setattr(asyncio.unix_events, name, Policy)
    else:
        asyncio.SelectorEventLoop = asyncio.unix_events.SelectorEventLoop = EventLoop
        if hasattr(asyncio, 'EventLoop'):
            asyncio.EventLoop = asyncio.unix_events.EventLoop = EventLoop
        asyncio.unix_events._UnixDefaultEventLoopPolicy._loop_factory = EventLoop


def add_watchers(module):
    """Adds the tests of subprocesses with each watcher; returns the names of the classes."""
    import evp_asyncio
    from gi.repository import Evp

    for name in WATCHERS:
        def make(cls=getattr(Evp, name)):
            return evp_asyncio.ChildWatcher(cls())
        setattr(module, name, type(name, (module.SubprocessWatcherMixin, module.test_utils.TestCase),
                                   {'Watcher': staticmethod(make),
                                    '_get_watcher': staticmethod(make),  # what newer Pythons call
                                    '__module__': module.__name__}))
    return list(WATCHERS)


class Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def note(self, test, outcome, text=''):
        self.outcomes[test.id()] = [outcome, text]

    def addSuccess(self, test):
        super().addSuccess(test)
        self.outcomes.setdefault(test.id(), ['passed', ''])

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note(test, 'passed')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, 'skipped', reason)

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, 'failed', self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, 'failed', self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, 'failed', self._exc_info_to_string(err, test))


def run_module(mode, name, output, tests):
    faulthandler.dump_traceback_later(LIMIT - 10, exit=True)
    from test import support
    support.use_resources = []  # no network
    if mode != 'stock':
        substitute(mode)
    try:
        module = importlib.import_module('test.test_asyncio.' + name)
    except unittest.SkipTest:  # for another system
        pathlib.Path(output).write_text('{}', encoding='utf-8')
        return
    if mode == 'watchers':
        watchers = add_watchers(module)
        tests = tests or watchers
    loader = unittest.defaultTestLoader
    suite = loader.loadTestsFromModule(module) if not tests else loader.loadTestsFromNames(
        [test.removeprefix(module.__name__ + '.') for test in tests], module)
    result = Result()
    suite.run(result)
    pathlib.Path(output).write_text(json.dumps(result.outcomes), encoding='utf-8')


# In the process that watches over them

def outcomes(mode, name, tests=()):
    """Runs a module; returns the outcome of each of its tests, and what went wrong with all of it."""
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, 'outcomes')
        try:
            done = subprocess.run([sys.executable, '-W', 'ignore', __file__, '--child', mode, name, output, *tests],
                                  cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=LIMIT, check=False)
        except subprocess.TimeoutExpired as error:
            return {}, f'took longer than {LIMIT} seconds\n' + (error.output or b'').decode(errors='replace')
        if not os.path.exists(output):
            return {}, f'ended with {done.returncode}\n' + done.stdout.decode(errors='replace')
        return json.loads(pathlib.Path(output).read_text(encoding='utf-8')), ''


def expected(mode, stock):
    """The names of the tests that have to pass."""
    passed = {test for test, (outcome, _text) in stock.items() if outcome == 'passed'}
    if mode != 'watchers':
        return passed
    # what passes with stock's thread for each child
    methods = {test.rpartition('.')[2] for test in passed if '.SubprocessThreadedWatcherTests.' in test}
    return {f'test.test_asyncio.test_subprocess.{watcher}.{method}' for watcher in WATCHERS for method in methods}


def compare(mode, name, stock):
    """Returns the number of tests that passed, and what each of the others said."""
    seen, trouble = outcomes(mode, name)
    if trouble:
        seen, trouble = outcomes(mode, name)
    if trouble:
        return 0, {name: trouble}
    missing = sorted(expected(mode, stock) - {test for test, (outcome, _) in seen.items()
                                                    if outcome == 'passed'})
    if missing:
        again, trouble = outcomes(mode, name, missing)
        seen.update(again)
    failed = {test: (seen.get(test) or ['', trouble or 'was not run'])[1] for test in missing
              if seen.get(test, [''])[0] != 'passed'}
    return sum(outcome == 'passed' for outcome, _text in seen.values()), failed


def main():
    if sys.argv[1:2] == ['--child']:
        run_module(*sys.argv[2:5], sys.argv[5:])
        return 0

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quick', action='store_true')
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('--mode', action='append', choices=MODES)
    parser.add_argument('modules', nargs='*')
    arguments = parser.parse_args()

    try:
        from test import test_asyncio
    except ImportError as error:
        print(f"1..0 # SKIP CPython's tests are not installed: {error}")
        return 0
    names = arguments.modules or sorted(path.stem for path in pathlib.Path(test_asyncio.__file__).parent.glob('test_*.py'))
    if arguments.quick:
        names = [name for name in names if name not in WITHOUT_LOOP | SLOW]

    wanted = [(mode, name) for mode in arguments.mode or MODES for name in names
              if mode != 'watchers' or name == 'test_subprocess']
    unknown = [] if hasattr(asyncio, 'set_child_watcher') else [job for job in wanted if job[0] == 'watchers']
    wanted = [job for job in wanted if job not in unknown]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        stock = {name: pool.submit(outcomes, 'stock', name) for name in names}
        results = [pool.submit(lambda mode, name: compare(mode, name, stock[name].result()[0]), *job) for job in wanted]
        print(f'1..{len(wanted) + len(unknown)}', flush=True)
        failures = 0
        for number, ((mode, name), result) in enumerate(zip(wanted, results), 1):
            passed, failed = result.result()
            reference, trouble = stock[name].result()
            reference = sum(outcome == 'passed' for outcome, _text in reference.values())
            if trouble:
                failed[name] = 'with stock asyncio it ' + trouble
            failures += bool(failed)
            for test, text in failed.items():
                for line in [test, *text.splitlines()[-40:]]:
                    print('# ' + line)
            print(f'{"not " if failed else ""}ok {number} - {mode} {name}: {passed} passed, {reference} with stock',
                  flush=True)
        for number, (mode, name) in enumerate(unknown, len(wanted) + 1):
            print(f"ok {number} - {mode} {name} # SKIP this Python's asyncio has no child watchers")
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
