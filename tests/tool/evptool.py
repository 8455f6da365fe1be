# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the `evp` command share: they run the real program, as its users do."""

import contextlib
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unicodedata
import unittest
import uuid

EVP = os.environ['EVP_TOOL']
CHILD = shlex.quote(os.environ['EVP_TEST_CHILD'])
LOCALES = os.environ.get('EVP_TEST_LOCALEDIR')  # none in a build without translations
C_UTF_8 = pathlib.Path('/usr/lib/locale/C.utf8')
DEADLINE = 120
WATCHERS = ['pidfd', 'threaded', 'safe', 'fast', 'multi-loop', 'glib']

TABLE = ['PID', 'RESULT', 'WALL', 'CPU', 'COMMAND']


def columns(text):
    """How many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(c) in 'WF' else 1 for c in text)


@contextlib.contextmanager
def language(name):
    """The environment of a user of that language.

    Some C libraries translate nothing in C.UTF-8, whatever LANGUAGE says, and a small machine has no other locale: so
    the same has another name here.
    """
    if not C_UTF_8.is_dir():
        raise unittest.SkipTest(f'there is no {C_UTF_8} to make a locale of')
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / f'{name}.utf8').symlink_to(C_UTF_8)
        yield {'LC_ALL': f'{name}.UTF-8', 'LOCPATH': folder, 'LANGUAGE': name, 'EVP_LOCALEDIR': LOCALES}


class Result:
    """What a run of the tool left behind."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    def lines(self):
        return self.out.decode().splitlines()

    def objects(self):
        """The JSON objects, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def table(self):
        """(output above it, rows, the line below it); a row is a dictionary by the titles."""
        lines = self.lines()
        head = max(i for i, line in enumerate(lines) if line.split() == TABLE)
        # RESULT and COMMAND begin where their titles do; the numbers between end there
        result = lines[head].index('RESULT')
        command = lines[head].index('COMMAND')
        rows = []
        for line in lines[head + 1:-1]:
            # a return code may be followed by ", timed out"; the times are one column each
            ended, wall, cpu = re.fullmatch(r'(.*?) +(\S+(?: s)?) +(\S+(?: s)?) *', line[result:command]).groups()
            rows.append({'PID': line[:result].strip(), 'RESULT': ended, 'WALL': wall,
                         'CPU': cpu, 'COMMAND': line[command:]})
        return lines[:head], rows, lines[-1]


class ToolTest(unittest.TestCase):
    def setUp(self):
        # every process that descends from this test has it in its environment
        self.mark = uuid.uuid4().hex
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()
        left = self.descendants()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        self.assertEqual(left, [], 'processes that are left behind')

    def environment(self, more=None):
        env = {name: value for name, value in os.environ.items() if not name.startswith(('EVP_', 'LC_', 'LANG'))}
        env['EVP_TEST_CHILD'] = os.environ['EVP_TEST_CHILD']
        env['LC_ALL'] = 'C.UTF-8'
        env['EVP_TEST_MARK'] = self.mark
        env.update(more or {})
        return env

    def descendants(self):
        """Processes that this test started and that live on, after a moment in which they may still die."""
        deadline = time.monotonic() + 10
        while True:
            found = []
            for entry in pathlib.Path('/proc').iterdir():
                try:
                    if entry.name.isdigit() and self.mark.encode() in (entry / 'environ').read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def start(self, *arguments, env=None, **more):
        """Starts `evp …` with pipes, unless @more says otherwise."""
        for stream in ('stdin', 'stdout', 'stderr'):
            more.setdefault(stream, subprocess.PIPE)
        prepare = more.pop('preexec_fn', lambda: None)

        def preexec():
            # whatever the machinery round the tests has done to them
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP):
                signal.signal(number, signal.SIG_DFL)
            prepare()

        process = subprocess.Popen([EVP, *arguments], env=self.environment(env), preexec_fn=preexec, **more)
        self.processes.append(process)
        return process

    def evp(self, *arguments, commands='', env=None, **more):
        """Runs `evp …` to its end. @commands: a list, or text or bytes for standard input."""
        if isinstance(commands, list):
            commands = ''.join(command + '\n' for command in commands)
        if isinstance(commands, str):
            commands = commands.encode()
        if 'stdin' in more:
            commands = None
        process = self.start(*arguments, env=env, **more)
        out, err = process.communicate(commands, timeout=DEADLINE)
        return Result(process.returncode, out, err)

    def assertUsage(self, result, *words):
        """Wrong usage: exit status 2, a message, nothing on standard output."""
        self.assertEqual(result.status, 2, result.err)
        self.assertEqual(result.out, b'')
        self.assertTrue(result.err.startswith(b'evp'), result.err)
        for word in words:
            self.assertIn(word, result.err.decode())


class TapResult(unittest.TestResult):
    def __init__(self, prefix, count):
        super().__init__()
        self.prefix = prefix
        self.number = 0
        self.broken = None
        print(f'1..{count}', flush=True)

    def report(self, test, verdict, tail='', text=''):
        self.number += 1
        name = test.id().rsplit('.', 1)[-1].removeprefix('test_').replace('_', '-')
        print(f'{verdict} {self.number} - {self.prefix}/{name}{tail}')
        for line in text.splitlines():
            print(f'# {line}')
        sys.stdout.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        self.report(test, 'ok')

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.report(test, 'ok', f' # SKIP {reason}')

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.report(test, 'not ok', text=''.join(traceback.format_exception(*err)))

    def addSubTest(self, test, subtest, err):
        # a test with failed parts gets no addSuccess(): the first of them is its line
        super().addSubTest(test, subtest, err)
        if err is None:
            return
        text = subtest._subDescription() + '\n' + ''.join(traceback.format_exception(*err))
        if test is not self.broken:
            self.broken = test
            self.report(test, 'not ok', text=text)
        else:
            for line in text.splitlines():
                print(f'# {line}')

    def addError(self, test, err):
        super().addError(test, err)
        self.report(test, 'not ok', text=''.join(traceback.format_exception(*err)))


def main(module, name):
    """Runs the tests of a module; TAP on standard output."""
    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    result = TapResult(f'/evp/tool/{name}', suite.countTestCases())
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
