# SPDX-License-Identifier: LGPL-2.1-or-later
"""How `evp run` ends what it has started: time limits, the first failure, Ctrl-C."""

import ctypes
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shlex
import signal
import sys
import tempfile
import termios
import time
import unittest

import evptool
from evptool import CHILD, WATCHERS

LIBC = ctypes.CDLL(None)

# ends when it is told to, and says that it is ready to be told
POLITE = f'sh -c {shlex.quote(f"echo ready; exec {CHILD} pause")}'
# does not
STUBBORN = f'{CHILD} ignore 15'
# has started something else, which gets no signal if only the command does (a shell that waits for it may say that
# it was terminated)
PARENT = f'sh -c {shlex.quote(f"{CHILD} pause & echo ready; exec {CHILD} pause")}'

# one that leaves somebody behind who does not end when told to
ORPHANING = f'sh -c {shlex.quote(f"{CHILD} ignore 15 & wait")}'

# a process that loses its first thread; the second goes on
THREAD = '; '.join([
    'import ctypes, os, signal, sys, threading',
    'signal.signal(signal.SIGTERM, signal.SIG_IGN)',
    'held = open(sys.argv[1], "w")',  # until the end of the process
    'threading.Thread(target=threading.Event().wait).start()',
    'print("ready", flush=True)',
    'os.closerange(0, 3)',  # who holds the output is waited for as well
    'ctypes.CDLL(None).pthread_exit(None)',
])

# signals to a group that has lost its leader (pidfd_send_signal() with PIDFD_SIGNAL_PROCESS_GROUP)
HAS_GROUPS = tuple(map(int, re.match(r'(\d+)\.(\d+)', os.uname().release).groups())) >= (6, 9)


def state(pid):
    """The letter for what a process is doing; T is suspended."""
    return pathlib.Path(f'/proc/{pid}/stat').read_text(encoding='utf-8', errors='replace').rpartition(')')[2].split()[0]


def take_orphans():
    """For who is about to become the tool: orphans come to it (PR_SET_CHILD_SUBREAPER), and it does not reap them."""
    LIBC.prctl(36, 1, 0, 0, 0)


class Stop(evptool.ToolTest):
    def start_ready(self, *arguments, commands, ready=None, **more):
        """Starts the tool and returns when so many of the commands have said "ready" (--json: on stderr)."""
        process = self.start('run', '-j', '10', '--json', *arguments, **more)
        process.stdin.write(''.join(command + '\n' for command in commands).encode())
        process.stdin.close()
        for _ in range(len(commands) if ready is None else ready):
            self.assertEqual(process.stderr.readline(), b'ready\n')
        return process

    def finish(self, process, status):
        """The JSON objects of the rest, by command."""
        lines = [json.loads(line) for line in process.stdout.read().splitlines()]
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), status)
        self.assertEqual(process.stderr.read(), b'')
        self.assertEqual(self.descendants(), [])
        return {line['command']: line for line in lines}

    def test_timeout(self):
        # Rules: Q-14
        # The limit is long enough for all of them to be ready for it, on a slow machine, too.
        parting = "sh -c 'trap \"exit 0\" TERM; echo ready; while :; do sleep 0.05; done'"
        results = {
            f'{CHILD} pause': (-signal.SIGTERM, True),
            'true': (0, False),
            PARENT: (-signal.SIGTERM, True),
            STUBBORN: (-signal.SIGKILL, True),
            parting: (0, True),  # it ended well, but it has taken too long
        }
        if HAS_GROUPS:
            results[ORPHANING] = (-signal.SIGTERM, True)
        result = self.evp('run', '--json', '-j', '10', '--timeout', '10', commands=list(results))
        self.assertEqual(result.status, 1)
        # (a shell may also tell what has ended)
        self.assertEqual(result.err.splitlines().count(b'ready'), len(results) - 2)
        lines = {line['command']: line for line in result.objects()}
        self.assertEqual({command: (line['returncode'], 'timed_out' in line) for command, line in lines.items()}, results)
        self.assertEqual(set(lines[STUBBORN]), {'pid', 'command', 'returncode', 'wall', 'cpu', 'timed_out'})
        self.assertEqual(self.descendants(), [])

    def test_timeout_with_unreaped_orphans(self):
        """Nobody reaps orphans, as in a container: what is dead is not waited for, though its group has it still."""
        script = f'sleep 1000 & exec {CHILD} ignore 15'
        for limit in ('0.5', '3', '20'):
            result = self.evp('run', '--json', '--timeout', limit, commands=[f'sh -c {shlex.quote(script)}'],
                              preexec_fn=take_orphans)
            line, = result.objects()
            # otherwise it was not ready to ignore anything
            if line['returncode'] == -signal.SIGKILL:
                break
        self.assertEqual((line['returncode'], line['timed_out']), (-signal.SIGKILL, True))
        self.assertEqual(result.status, 1)

    def test_interrupt_with_dead_orphans(self):
        """All have ended when they were told to: that is seen before the time is over that others are given."""
        for _ in range(10):
            with tempfile.TemporaryDirectory() as folder:
                path = f'{folder}/fifo'
                os.mkfifo(path)
                fifo = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                self.addCleanup(os.close, fifo)
                script = f'trap "" TERM; echo ready; read line <{shlex.quote(path)}; exit 7'
                waiting = f'sh -c {shlex.quote(script)}'
                process = self.start_ready(commands=[waiting, PARENT], preexec_fn=take_orphans)
                process.send_signal(signal.SIGINT)
                line = json.loads(process.stdout.readline())
                self.assertEqual((line['command'], line['returncode']), (PARENT, -signal.SIGTERM))
                # who is told that now, and was started first, has been killed if the other was not seen to be dead
                os.write(fifo, b'\n')
                returncode = self.finish(process, 130)[waiting]['returncode']
            # on a slow machine the time may be over all the same
            if returncode == 7:
                break
        self.assertEqual(returncode, 7)

    @unittest.skipUnless(HAS_GROUPS, 'this kernel does not know process groups that have lost their leader')
    def test_interrupt_with_living_orphans(self):
        """Among the dead that nobody reaps there is one who lives; one of a process that has lost its first thread."""
        with tempfile.TemporaryDirectory() as folder:
            path = f'{folder}/fifo'
            os.mkfifo(path)
            thread = shlex.join([sys.executable, '-c', THREAD, path])
            scripts = [f'{CHILD} pause & {ORPHANING}', f'{CHILD} pause & {thread} & echo ready; exec {CHILD} pause']
            commands = [f'sh -c {shlex.quote(script)}' for script in scripts]
            fifo = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self.addCleanup(os.close, fifo)
            process = self.start_ready(commands=commands, ready=3, preexec_fn=take_orphans)
            process.send_signal(signal.SIGINT)
            results = self.finish(process, 130)
            self.assertEqual({line['returncode'] for line in results.values()}, {-signal.SIGTERM})
            # it has been closed: /proc does not tell what a process without its first thread descends from
            self.assertTrue(select.select([fifo], [], [], evptool.DEADLINE)[0])
            self.assertEqual(os.read(fifo, 1), b'')

    def test_timeout_and_success(self):
        """What took too long has failed, also if it then ends as if nothing were."""
        for limit in ('0.5', '3', '20'):
            result = self.evp('run', '--timeout', limit, '--', 'sh', '-c', 'trap "exit 0" TERM; sleep 1000 & wait',
                              commands='')
            _, rows, below = result.table()
            # otherwise it was not ready
            if rows[0]['RESULT'] != 'SIGTERM, timed out':
                break
        self.assertEqual(rows[0]['RESULT'], '0, timed out')
        self.assertEqual((result.status, below), (1, '1 command: 0 succeeded, 1 failed, 0 not started'))

    def test_timeout_of_one_command(self):
        result = self.evp('run', '--timeout', '0.3', '--', 'sleep', '100', commands='')
        self.assertEqual(result.status, 1)
        self.assertEqual(result.table()[1][0]['RESULT'], 'SIGTERM, timed out')

    def test_timeout_is_per_command(self):
        """Not for all of them together."""
        result = self.evp('run', '-j', '1', '--timeout', '30', commands=['sleep 0.2'] * 5)
        self.assertEqual(result.status, 0)

    def test_fail_fast(self):
        """After the first failure nothing is started, and what runs is ended."""
        result = self.evp('run', '--json', '--fail-fast', '-j', '3',
                          commands=[f'{CHILD} pause', 'false', PARENT] + ['true'] * 100)
        self.assertEqual(result.status, 1)
        lines = result.objects()
        self.assertEqual(len(lines), 103)
        by_command = {line['command']: line for line in lines}
        self.assertEqual(by_command['false']['returncode'], 1)
        self.assertEqual(by_command[f'{CHILD} pause']['returncode'], -signal.SIGTERM)
        self.assertEqual(by_command[PARENT]['returncode'], -signal.SIGTERM)
        unstarted = [line for line in lines if 'error' in line]
        self.assertGreater(len(unstarted), 0)
        self.assertEqual({line['command'] for line in unstarted}, {'true'})

    def test_fail_fast_and_timeout(self):
        """A limit that passes while a command is being ended for something else has not ended it."""
        for limit in (1, 2, 3.5, 5, 6.5):
            with tempfile.TemporaryDirectory() as folder:
                fifo = shlex.quote(f'{folder}/ready')
                os.mkfifo(f'{folder}/ready')
                stubborn = f'sh -c {shlex.quote(f"exec {CHILD} ignore 15 >{fifo}")}'
                failing = f'sh -c {shlex.quote(f"read line <{fifo}; exit 1")}'
                result = self.evp('run', '--json', '--fail-fast', '-j', '2', '--timeout', str(limit),
                                  commands=[stubborn, failing])
            line = {line['command']: line for line in result.objects()}[stubborn]
            # on a slow machine the limit may be first; and it may come too late
            if 'timed_out' not in line and line['wall'] > limit:
                break
        self.assertEqual((line['returncode'], 'timed_out' in line), (-signal.SIGKILL, False))
        self.assertGreater(line['wall'], limit)

    def test_fail_fast_cannot_start(self):
        """That is a failure, too."""
        result = self.evp('run', '--json', '--fail-fast', '-j', '1', commands=['/nonexistent', 'true'])
        self.assertEqual(result.status, 1)
        self.assertEqual([set(line) for line in result.objects()], [{'command', 'error'}] * 2)

    def test_fail_fast_without_failure(self):
        result = self.evp('run', '--fail-fast', commands=['true'] * 20)
        self.assertEqual(result.status, 0)

    def test_without_fail_fast(self):
        """All the others run."""
        result = self.evp('run', commands=['false'] + ['true'] * 20)
        self.assertEqual(result.table()[2], '21 commands: 20 succeeded, 1 failed, 0 not started')

    def test_interrupt(self):
        # Rules: Q-14
        for watcher in WATCHERS:
            with self.subTest(watcher=watcher):
                process = self.start_ready('--watcher', watcher, '-j', '2', commands=[POLITE, PARENT, 'true'], ready=2)
                process.send_signal(signal.SIGINT)
                lines = self.finish(process, 130)
                self.assertEqual(lines[POLITE]['returncode'], -signal.SIGTERM)
                self.assertEqual(lines[PARENT]['returncode'], -signal.SIGTERM)
                self.assertEqual(set(lines['true']), {'command', 'error'})

    def test_interrupt_ignored(self):
        """Who ignores SIGTERM gets SIGKILL a little later."""
        process = self.start_ready(commands=[POLITE, STUBBORN])
        process.send_signal(signal.SIGINT)
        lines = self.finish(process, 130)
        self.assertEqual(lines[POLITE]['returncode'], -signal.SIGTERM)
        self.assertEqual(lines[STUBBORN]['returncode'], -signal.SIGKILL)

    def test_interrupt_with_unreaped_orphans(self):
        """Nor is it waited for after Ctrl-C."""
        command = f'sh -c {shlex.quote(f"sleep 1000 & exec {CHILD} ignore 15")}'
        process = self.start('run', '--json', preexec_fn=take_orphans)
        process.stdin.write(f'{command}\n'.encode())
        process.stdin.close()
        self.assertEqual(process.stderr.readline(), b'ready\n')
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(process, 130)[command]['returncode'], -signal.SIGKILL)

    def test_interrupt_twice(self):
        """The second Ctrl-C does not wait. Between them, the first is known to have arrived."""
        process = self.start_ready(commands=[POLITE, STUBBORN])
        process.send_signal(signal.SIGINT)
        self.assertEqual(json.loads(process.stdout.readline())['returncode'], -signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        lines = self.finish(process, 130)
        self.assertEqual(lines[STUBBORN]['returncode'], -signal.SIGKILL)

    def send_and_wait(self, process, number):
        """Sends a signal, and waits until the tool has woken up for that and sleeps again, or has ended."""
        def sleeps():
            status = pathlib.Path(f'/proc/{process.pid}/task/{process.pid}/status').read_text(encoding='utf-8')
            return int(re.search(r'(?m)^voluntary_ctxt_switches:\s+(\d+)', status)[1])

        before = sleeps()
        process.send_signal(number)
        deadline = time.monotonic() + evptool.DEADLINE
        while state(process.pid) != 'Z' and (sleeps() == before or state(process.pid) != 'S'):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_terminate_twice(self):
        """`timeout 10 evp run`, which sends SIGTERM twice: commands have their time to end all the same."""
        script = 'trap "echo trapped; read x; exit 3" TERM; sleep 1000 & echo ready; wait'
        for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGHUP, signal.SIGHUP),
                              (signal.SIGTERM, signal.SIGHUP), (signal.SIGINT, signal.SIGTERM)):
            with self.subTest(first=first, second=second):
                # a slow machine may take longer than the grace
                for _ in range(10):
                    process = self.start('run', '--', 'sh', '-c', script)
                    self.assertEqual(process.stdout.readline(), b'ready\n')
                    process.send_signal(first)
                    self.assertEqual(process.stdout.readline(), b'trapped\n')
                    self.send_and_wait(process, second)
                    process.stdin.write(b'go on\n')
                    out, err = process.communicate(timeout=evptool.DEADLINE)
                    self.assertEqual(process.returncode, 128 + second)
                    result = evptool.Result(process.returncode, out, err).table()[1][0]['RESULT']
                    if result != 'SIGKILL':
                        break
                self.assertEqual(result, '3')

    def test_interrupt_while_somebody_keeps_the_pipe(self):
        # Rules: Q-10
        # A grandchild that writes for ever, in a session of its own, out of reach: nobody waits for it.
        script = shlex.quote('setsid sh -c "echo ready; while echo more; do sleep 0.05; done" &')
        process = self.start('run', '--json')
        process.stdin.write(f'sh -c {script}\n'.encode())
        process.stdin.close()
        self.assertEqual(process.stderr.readline(), b'ready\n')
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        self.assertEqual(len(process.stdout.read().splitlines()), 1)
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 130)
        process.stderr.close()
        # it dies of the broken pipe
        self.assertEqual(self.descendants(), [])

    def test_terminate(self):
        """Other signals end it the same way, with their own status."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                process = self.start_ready(commands=[POLITE])
                process.send_signal(number)
                self.assertEqual(self.finish(process, 128 + number)[POLITE]['returncode'], -signal.SIGTERM)

    def test_nohup(self):
        """A signal that was ignored from the start stays ignored."""
        def ignore():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        process = self.start('run', '--json', preexec_fn=ignore)
        process.stdin.write(f'{POLITE}\n'.encode())
        process.stdin.close()
        self.assertEqual(process.stderr.readline(), b'ready\n')
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(process, 130)[POLITE]['returncode'], -signal.SIGTERM)

    def test_blocked(self):
        """Signals that were blocked by who started the tool: children are noticed, and Ctrl-C is."""
        def block():
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

        for watcher in WATCHERS:
            with self.subTest(watcher=watcher):
                process = self.start('run', '--json', '-j', '2', '--watcher', watcher, preexec_fn=block)
                process.stdin.write(f'true\n{POLITE}\n'.encode())
                process.stdin.close()
                self.assertEqual(process.stderr.readline(), b'ready\n')
                self.assertEqual(json.loads(process.stdout.readline())['returncode'], 0)
                process.send_signal(signal.SIGINT)
                self.assertEqual(self.finish(process, 130)[POLITE]['returncode'], -signal.SIGTERM)

    def test_interrupt_of_one_command(self):
        process = self.start('run', '--', 'sh', '-c', f'echo ready; exec {CHILD} pause')
        self.assertEqual(process.stdout.readline(), b'ready\n')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=evptool.DEADLINE)
        self.assertEqual((process.returncode, err), (130, b''))
        self.assertIn(b'SIGTERM', out)

    def test_timeout_of_one_command_with_children(self):
        """The command, and what it has started."""
        script = f'{CHILD} pause & {CHILD} pause'
        result = self.evp('run', '--timeout', '0.5', '--', 'sh', '-c', script, commands='')
        self.assertEqual(result.status, 1)
        self.assertEqual(result.table()[1][0]['RESULT'], 'SIGTERM, timed out')
        self.assertEqual(self.descendants(), [])

    def test_terminate_one_command_with_children(self):
        """A supervisor ends the tool, and with it everything."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(signal=number):
                process = self.start('run', '--', 'sh', '-c', f'{CHILD} pause & echo ready; exec {CHILD} pause')
                self.assertEqual(process.stdout.readline(), b'ready\n')
                process.send_signal(number)
                _, err = process.communicate(timeout=evptool.DEADLINE)
                self.assertEqual((process.returncode, err), (128 + number, b''))
                self.assertEqual(self.descendants(), [])

    @unittest.skipUnless(HAS_GROUPS, 'this kernel does not know process groups that have lost their leader')
    def test_outlived(self):
        """Who ignores SIGTERM and outlives the command gets SIGKILL: after a time limit, see above, Ctrl-C, a failure."""
        process = self.start_ready(commands=[ORPHANING])
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.finish(process, 130)[ORPHANING]['returncode'], -signal.SIGTERM)

        # the failure waits until the other is ready to ignore
        with tempfile.TemporaryDirectory() as folder:
            fifo = shlex.quote(f'{folder}/ready')
            os.mkfifo(f'{folder}/ready')
            orphaning = f'sh -c {shlex.quote(f"{CHILD} ignore 15 >{fifo} & wait")}'
            failing = f'sh -c {shlex.quote(f"read line <{fifo}; exit 1")}'
            result = self.evp('run', '--json', '--fail-fast', '-j', '2', commands=[orphaning, failing])
        self.assertEqual({line['command']: line['returncode'] for line in result.objects()},
                         {orphaning: -signal.SIGTERM, failing: 1})
        self.assertEqual(self.descendants(), [])

    @unittest.skipUnless(HAS_GROUPS, 'this kernel does not know process groups that have lost their leader')
    def test_interrupt_twice_outlived(self):
        """The second Ctrl-C reaches them at once. The first has, when the command itself has ended."""
        script = shlex.quote(f'trap "echo trapped; exit 3" TERM; {CHILD} ignore 15 & wait')
        process = self.start('run', '--json')
        process.stdin.write(f'sh -c {script}\n'.encode())
        process.stdin.close()
        self.assertEqual(process.stderr.readline(), b'ready\n')
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.stderr.readline(), b'trapped\n')
        process.send_signal(signal.SIGINT)
        self.assertIn(json.loads(process.stdout.readline())['returncode'], (3, -signal.SIGKILL))
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 130)
        self.assertEqual(self.descendants(), [])

    def test_background_is_left(self):
        """What a command that ends by itself leaves in the background is not ours to end."""
        script = f'{CHILD} pause >/dev/null 2>&1 & echo $!'
        result = self.evp('run', '--timeout', '60', '--', 'sh', '-c', script, commands='')
        self.assertEqual(result.status, 0)
        pid = int(result.table()[0][0])
        self.assertIn(pid, [int(entry.name) for entry in pathlib.Path('/proc').iterdir() if entry.name.isdigit()])
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(self.descendants(), [])

    def wait_stopped(self, pid):
        deadline = time.monotonic() + evptool.DEADLINE
        while state(pid) != 'T':
            self.assertLess(time.monotonic(), deadline, f'process {pid} is not suspended')
            time.sleep(0.01)

    def test_suspend(self):
        """Ctrl-Z suspends both, fg continues both."""
        # (a shell that starts something just then waits for that, and is not seen to be suspended)
        process = self.start('run', '--', 'sh', '-c', 'echo $$; read line; echo over',
                             preexec_fn=lambda: os.setpgid(0, 0))
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGTSTP)
        self.wait_stopped(process.pid)
        self.wait_stopped(pid)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=evptool.DEADLINE)
        self.assertEqual((process.returncode, err), (0, b''))
        self.assertTrue(out.startswith(b'over\n'), out)

    def test_terminate_suspended(self):
        """Who is suspended is made to go on, so that it can end."""
        process = self.start('run', '--', 'sh', '-c', f'echo $$; exec {CHILD} pause')
        pid = int(process.stdout.readline())
        os.kill(pid, signal.SIGSTOP)
        self.wait_stopped(pid)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=evptool.DEADLINE)
        self.assertEqual(process.returncode, 143)
        self.assertIn(b'SIGTERM', out)

    def start_on_terminal(self, *arguments):
        """Starts the tool with a terminal of its own as standard input; gives the process and who types there."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)

        def prepare():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        try:
            return self.start(*arguments, stdin=theirs, preexec_fn=prepare), ours
        finally:
            os.close(theirs)

    def test_terminal(self):
        """A single command may use the terminal."""
        process, keyboard = self.start_on_terminal('run', '--', 'sh', '-c', 'read line; echo "got $line"')
        os.write(keyboard, b'something\n')
        self.assertEqual(process.stdout.readline(), b'got something\n')
        process.stdout.read()
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)

    def test_terminal_and_interrupt(self):
        """Ctrl-C on the terminal."""
        process, keyboard = self.start_on_terminal('run', '--', 'sh', '-c', f'echo ready; exec {CHILD} pause')
        self.assertEqual(process.stdout.readline(), b'ready\n')
        os.write(keyboard, b'\x03')
        process.stdout.read()
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 130)

    def test_terminal_and_timeout(self):
        """With a time limit it has a group of its own, and does not wait for what it could not read."""
        process, _ = self.start_on_terminal('run', '--timeout', str(evptool.DEADLINE), '--', 'cat')
        process.stdout.read()
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)

    def test_table_after_interrupt(self):
        """What there is to tell is told."""
        process = self.start('run', '-j', '1')
        process.stdin.write(f'{POLITE}\ntrue\n'.encode())
        process.stdin.close()
        self.assertEqual(process.stdout.readline(), b'ready\n')
        process.send_signal(signal.SIGINT)
        out, err = process.stdout.read(), process.stderr.read()
        self.assertEqual((process.wait(timeout=evptool.DEADLINE), err), (130, b''))
        _, rows, below = evptool.Result(130, out, err).table()
        self.assertEqual([row['RESULT'] for row in rows], ['SIGTERM', 'not started'])
        self.assertEqual(below, '2 commands: 0 succeeded, 1 failed, 1 not started')


if __name__ == '__main__':
    evptool.main('test_stop', 'stop')
