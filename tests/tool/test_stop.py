# SPDX-License-Identifier: LGPL-2.1-or-later
"""How `evp run` ends what it has started: time limits, the first failure, Ctrl-C."""

import json
import shlex
import signal

import evptool
from evptool import CHILD, WATCHERS

# ends when it is told to, and says that it is ready to be told
POLITE = f'sh -c {shlex.quote(f"echo ready; exec {CHILD} pause")}'
# does not
STUBBORN = f'{CHILD} ignore 15'
# a shell that waits for something else, which gets no signal if only the shell does
PARENT = f'sh -c {shlex.quote(f"{CHILD} pause & echo ready; wait")}'


class Stop(evptool.ToolTest):
    def start_ready(self, *arguments, commands, ready=None):
        """Starts the tool and returns when so many of the commands have said "ready" (--json: on stderr)."""
        process = self.start('run', '-j', '10', '--json', *arguments)
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
        result = self.evp('run', '-j', '3', '--timeout', '3', commands=[f'{CHILD} pause', 'true', PARENT])
        self.assertEqual(result.status, 1)
        above, rows, below = result.table()
        self.assertEqual(above, ['ready'])
        self.assertEqual([row['RESULT'] for row in rows], ['SIGTERM, timed out', '0', 'SIGTERM, timed out'])
        self.assertEqual(below, '3 commands: 1 succeeded, 2 failed, 0 not started')

    def test_timeout_ignored(self):
        """One that ignores SIGTERM gets SIGKILL; the limit is long enough for it to come so far."""
        result = self.evp('run', '--json', '--timeout', '3', commands=[STUBBORN])
        self.assertEqual(result.status, 1)
        self.assertEqual(result.err, b'ready\n')
        line, = result.objects()
        self.assertEqual(set(line), {'pid', 'command', 'returncode', 'wall', 'cpu', 'timed_out'})
        self.assertEqual((line['returncode'], line['timed_out']), (-signal.SIGKILL, True))

    def test_timeout_of_one_command(self):
        result = self.evp('run', '--timeout', '0.3', '--', 'sleep', '100', commands='')
        self.assertEqual(result.status, 1)
        self.assertEqual(result.table()[1][0]['RESULT'], 'SIGTERM, timed out')

    def test_timeout_is_per_command(self):
        """Not for all of them together."""
        result = self.evp('run', '-j', '1', '--timeout', '30', commands=['sleep 0.2'] * 5)
        self.assertEqual(result.status, 0)

    def test_polite_after_timeout(self):
        """A command that ends well after SIGTERM has still taken too long."""
        script = shlex.quote('trap "exit 0" TERM; echo ready; while :; do sleep 0.05; done')
        result = self.evp('run', '--timeout', '3', commands=[f'sh -c {script}'])
        self.assertEqual(result.status, 1)
        self.assertEqual(result.table()[1][0]['RESULT'], '0, timed out')

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

    def test_interrupt_twice(self):
        """The second Ctrl-C does not wait. Between them, the first is known to have arrived."""
        process = self.start_ready(commands=[POLITE, STUBBORN])
        process.send_signal(signal.SIGINT)
        self.assertEqual(json.loads(process.stdout.readline())['returncode'], -signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        lines = self.finish(process, 130)
        self.assertEqual(lines[STUBBORN]['returncode'], -signal.SIGKILL)

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

    def test_interrupt_of_one_command(self):
        process = self.start('run', '--', 'sh', '-c', f'echo ready; exec {CHILD} pause')
        self.assertEqual(process.stdout.readline(), b'ready\n')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=evptool.DEADLINE)
        self.assertEqual((process.returncode, err), (130, b''))
        self.assertIn(b'SIGTERM', out)

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
