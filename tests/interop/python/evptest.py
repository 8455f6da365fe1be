# SPDX-License-Identifier: LGPL-2.1-or-later
"""unittest that speaks TAP, and what the tests of the Python binding share."""

import contextlib
import faulthandler
import gc
import os
import subprocess
import sys
import traceback
import unittest
import weakref

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp, GLib  # noqa: E402

DEADLINE = 60  # seconds after which a test has failed, with a traceback of all threads


class TestCase(unittest.TestCase):
    """Leaves no policy behind, and lets no test wait for ever."""

    def setUp(self):
        faulthandler.dump_traceback_later(DEADLINE, exit=True)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)
        self.addCleanup(Evp.set_event_loop_policy, None)

    def new_loop(self, context=None, cls=Evp.SelectorEventLoop):
        """A loop that is closed at the end."""
        loop = cls(main_context=context) if context is not None else cls()
        self.addCleanup(loop.close)
        return loop

    @contextlib.contextmanager
    def assertError(self, code, text=''):
        """Something raises a GLib.Error of Evp with a code, and a message with a text."""
        with self.assertRaises(GLib.Error) as caught:
            yield caught
        error = caught.exception
        self.assertTrue(error.matches(Evp.Error.quark(), code), f'not {code.value_nick}: {error}')
        self.assertIn(text, error.message)

    @contextlib.contextmanager
    def uncaught(self):
        """Collects what PyGObject prints through sys.excepthook."""
        seen = []
        hook, sys.excepthook = sys.excepthook, lambda kind, value, trace: seen.append(value)
        try:
            yield seen
        finally:
            sys.excepthook = hook

    def assertDropped(self, reference):
        """What a weak reference is for is gone, after the garbage collector ran."""
        self.assertIsInstance(reference, weakref.ref)
        for _ in range(5):
            if reference() is None:
                return
            gc.collect()
        self.fail(f'{reference()!r} is still there')

    def run_python(self, code, check=True, override=True, **environment):
        """Runs a program in an interpreter of its own; returns status, standard output and error.

        With override=False it is one that does not see our override, as in a virtual environment.
        """
        if not override:
            code = "import sys; sys.modules['gi.overrides.Evp'] = None\n" + PROLOGUE + code
        else:
            code = PROLOGUE + code
        done = subprocess.run([sys.executable, '-c', code], env={**os.environ, **environment},
                              capture_output=True, text=True, timeout=DEADLINE, check=False)
        if check:
            self.assertEqual((done.returncode, done.stderr), (0, ''), done.stdout)
        return done.returncode, done.stdout, done.stderr


PROLOGUE = '''
import gi
gi.require_version('Evp', '1.0')
from gi.repository import Evp, Gio, GLib, GObject
'''


def spawn(*argv):
    """Starts a child that nobody but a watcher waits for; returns its pid."""
    return os.posix_spawnp(argv[0], argv, os.environ)


class _Result(unittest.TestResult):
    def _case(self, test, outcome, directive=''):
        self.count = getattr(self, 'count', 0) + 1
        name = test.id().removeprefix('__main__.')
        print(f'{outcome} {self.count} - {name}{directive}', flush=True)

    def _failed(self, test, err):
        for line in ''.join(traceback.format_exception(*err)).splitlines():
            print(f'# {line}', flush=True)
        self._case(test, 'not ok')

    def addSuccess(self, test):
        super().addSuccess(test)
        self._case(test, 'ok')

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._failed(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._case(test, 'ok', f' # SKIP {reason}')


def main():
    suite = unittest.defaultTestLoader.loadTestsFromName('__main__' if len(sys.argv) < 2 else f'__main__.{sys.argv[1]}')
    result = _Result()
    suite.run(result)
    print(f'1..{getattr(result, "count", 0)}', flush=True)
    sys.exit(0 if result.wasSuccessful() else 1)
