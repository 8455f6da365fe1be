# SPDX-License-Identifier: LGPL-2.1-or-later
"""`evp run`: what it starts, how that ends, and what it says about it."""

import os
import pathlib
import resource
import tempfile
import unittest

import evptool
from evptool import CHILD, WATCHERS


class Run(evptool.ToolTest):
    def test_all_succeed(self):
        """Exit status 0; a row for each, in the order of the input."""
        result = self.evp('run', commands=['true', 'sleep 0.01', 'true with arguments'])
        self.assertEqual(result.status, 0, result.err)
        self.assertEqual(result.err, b'')
        above, rows, below = result.table()
        self.assertEqual(above, [])
        self.assertEqual([row['COMMAND'] for row in rows], ['true', 'sleep 0.01', 'true with arguments'])
        self.assertEqual([row['RESULT'] for row in rows], ['0'] * 3)
        self.assertEqual(below, '3 commands: 3 succeeded, 0 failed, 0 not started')
        self.assertEqual(len({int(row['PID']) for row in rows}), 3)

    def test_results_in_table(self):
        # Rules, W-6
        result = self.evp('run', commands=['true', 'false', f'{CHILD} exit 255', f'{CHILD} signal 9',
                                           f'{CHILD} signal 11', '/nonexistent/program'])
        self.assertEqual(result.status, 1)
        _, rows, below = result.table()
        self.assertEqual([row['RESULT'] for row in rows], ['0', '1', '255', 'SIGKILL', 'SIGSEGV', 'not started'])
        self.assertEqual(rows[5]['PID'], '-')
        self.assertIn('No such file', rows[5]['COMMAND'])
        self.assertEqual(below, '6 commands: 1 succeeded, 4 failed, 1 not started')

    def test_results_in_json(self):
        # Rules: Q-13, W-6
        result = self.evp('run', '--json', commands=[f'{CHILD} exit 0', f'{CHILD} exit 7', f'{CHILD} signal 9',
                                                     f'{CHILD} signal 15'])
        self.assertEqual(result.status, 1)
        codes = {line['command'].removeprefix(CHILD): line['returncode'] for line in result.objects()}
        self.assertEqual(codes, {' exit 0': 0, ' exit 7': 7, ' signal 9': -9, ' signal 15': -15})

    def test_json_shape(self):
        # Rules: Q-5
        result = self.evp('run', '--json', commands=['sh -c "exit 3"', 'no-such-program-anywhere x'])
        self.assertEqual(result.status, 1)
        lines = {line['command']: line for line in result.objects()}
        started = lines['sh -c "exit 3"']
        self.assertEqual(set(started), {'pid', 'command', 'returncode', 'wall', 'cpu'})
        self.assertIsInstance(started['pid'], int)
        self.assertEqual(started['returncode'], 3)
        self.assertGreater(started['wall'], 0)
        self.assertGreaterEqual(started['cpu'], 0)
        missing = lines['no-such-program-anywhere x']
        self.assertEqual(set(missing), {'command', 'error'})
        self.assertIn('no-such-program-anywhere', missing['error'])

    def test_json_text(self):
        """Everything that a command may contain comes out as the JSON string that it is."""
        commands = [r"""true 'a "b" \c' """.strip(), 'true é漢字😀', "true '\x01\x1f\x7f\t'"]
        result = self.evp('run', '--json', commands=commands)
        self.assertEqual(sorted(line['command'] for line in result.objects()), sorted(commands))
        # what is no text at all is no text in JSON either
        result = self.evp('run', '--json', commands=b"true '\xff\xfe'\n")
        self.assertEqual(result.status, 0)
        self.assertEqual(result.objects()[0]['command'], "true '\ufffd\ufffd'")

    def test_json_numbers_in_any_locale(self):
        """A decimal comma would be no JSON."""
        result = self.evp('run', '--json', commands=['true'], env={'LC_ALL': 'de_DE.UTF-8'})
        self.assertEqual(result.status, 0)
        self.assertIsInstance(result.objects()[0]['wall'], float)

    def test_cpu_time(self):
        """Children that work have processor time, unless GLib reaps them because it has no pidfds."""
        for watcher in WATCHERS:
            with self.subTest(watcher=watcher):
                result = self.evp('run', '--watcher', watcher, '--json', commands=[f'{CHILD} burn'])
                cpu = result.objects()[0]['cpu']
                if watcher != 'glib' or cpu is not None:
                    self.assertGreater(cpu, 0)

    def test_cannot_be_executed(self):
        # Rules: Q-5
        with tempfile.TemporaryDirectory() as directory:
            plain = pathlib.Path(directory, 'plain')
            plain.write_text('#!/bin/sh\n')
            strange = pathlib.Path(directory, 'strange')
            strange.write_text('#!/nonexistent/interpreter\n')
            strange.chmod(0o755)
            for watcher in WATCHERS:
                with self.subTest(watcher=watcher):
                    result = self.evp('run', '--watcher', watcher, '--json',
                                      commands=['/nonexistent/program', str(plain), directory, str(strange), "''"])
                    self.assertEqual(result.status, 1)
                    self.assertEqual(result.err, b'')
                    lines = {line['command']: line for line in result.objects()}
                    self.assertEqual(len(lines), 5)
                    for line in lines.values():
                        self.assertEqual(set(line), {'command', 'error'})
                    self.assertIn('No such file', lines['/nonexistent/program']['error'])
                    self.assertIn('Permission denied', lines[str(plain)]['error'])
                    self.assertIn('Permission denied', lines[directory]['error'])

    def test_one_command(self):
        """After "--" comes one command, with the streams that the tool has itself."""
        result = self.evp('run', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7', commands='')
        self.assertEqual(result.status, 1)
        above, rows, below = result.table()
        self.assertEqual(above, ['out'])
        self.assertEqual(result.err, b'err\n')
        self.assertEqual(rows[0]['RESULT'], '7')
        self.assertEqual(rows[0]['COMMAND'], "sh -c 'echo out; echo err >&2; exit 7'")
        self.assertEqual(below, '1 command: 0 succeeded, 1 failed, 0 not started')

    def test_one_command_reads_stdin(self):
        result = self.evp('run', '--', 'cat', commands='some\ninput\n')
        self.assertEqual(result.status, 0)
        self.assertEqual(result.table()[0], ['some', 'input'])

    def test_one_command_json(self):
        """Even then only JSON is on standard output."""
        result = self.evp('run', '--json', '--', 'sh', '-c', 'echo out; echo err >&2', commands='')
        self.assertEqual(result.status, 0)
        self.assertEqual([line['returncode'] for line in result.objects()], [0])
        self.assertEqual(sorted(result.err.split()), [b'err', b'out'])

    def test_one_command_with_options(self):
        """What comes after "--" is not for us, be it another "--"."""
        result = self.evp('run', '--', 'printf', '%s\n', '--json', '--', '-j', commands='')
        self.assertEqual(result.table()[0], ['--json', '--', '-j'])

    def test_control_characters(self):
        """A command line does not write over the table."""
        result = self.evp('run', '--', 'true', 'a\nb\x1b[2Jc\td', commands='')
        self.assertEqual(result.status, 0)
        self.assertNotIn(b'\x1b', result.out)
        self.assertEqual(result.table()[1][0]['COMMAND'], r"true 'a\nb\x1b[2Jc\td'")

    def test_list_has_no_stdin(self):
        """The commands of a list do not read each other's lines."""
        result = self.evp('run', commands=['cat', f'{CHILD} wait-exit 0'])
        self.assertEqual(result.status, 0)
        self.assertEqual(result.table()[0], [])

    def test_descriptors(self):
        # Rules: Q-20
        result = self.evp('run', commands=[f'{CHILD} fds'])
        self.assertEqual(result.table()[0], ['0', '1', '2'])

    def test_signals_of_children(self):
        # Rules: Q-20
        # The tool ignores SIGPIPE; its children do not, whoever started it.
        result = self.evp('run', commands=[f'{CHILD} signals'])
        self.assertEqual([line.strip() for line in result.table()[0]], ['', ''])

    def test_environment_of_children(self):
        """Options are for the tool, not for what it runs."""
        result = self.evp('run', '--policy', 'selector', '--watcher', 'threaded',
                          commands=[f'{CHILD} env EVP_POLICY', f'{CHILD} env EVP_CHILD_WATCHER'])
        self.assertEqual(result.table()[0], ['(unset)'] * 2)
        result = self.evp('run', '--policy', 'selector', commands=[f'{CHILD} env EVP_POLICY'],
                          env={'EVP_POLICY': 'main-context'})
        self.assertEqual(result.table()[0], ['main-context'])

    def test_policies(self):
        # Rules: P-1
        for policy in ['default', 'selector', 'main-context']:
            with self.subTest(policy=policy):
                result = self.evp('run', '--policy', policy, '--', 'sh', '-c', 'exit 0', commands='')
                self.assertEqual(result.status, 0, result.err)
                self.assertEqual(result.err, b'')

    def test_policy_of_a_module(self):
        # Rules: P-1
        env = {'EVP_MODULE_PATH': os.environ['EVP_TEST_MODULE_DIR']}
        result = self.evp('run', '--policy', 'from-a-module', commands=['true'], env=env)
        self.assertEqual(result.status, 0, result.err)
        self.assertEqual(result.err, b'')

    def test_empty_input(self):
        """Nothing to do is done."""
        for commands in ['', '\n', '# only a comment\n\n   \n']:
            result = self.evp('run', commands=commands)
            self.assertEqual(result.status, 0, result.err)
            self.assertEqual(result.table()[1:], ([], '0 commands: 0 succeeded, 0 failed, 0 not started'))
            self.assertEqual(self.evp('run', '--json', commands=commands).out, b'')


class Many(evptool.ToolTest):
    def check(self, n, *arguments, **more):
        result = self.evp('run', '--json', *arguments, commands=['true'] * n, **more)
        self.assertEqual(result.status, 0, result.err)
        self.assertEqual(result.err, b'')
        lines = result.objects()
        self.assertEqual(len(lines), n)
        self.assertEqual({line['returncode'] for line in lines}, {0})

    def test_watchers(self):
        # Rules: Q-21, W-17
        for watcher in WATCHERS:
            with self.subTest(watcher=watcher):
                self.check(2000, '--watcher', watcher, '-j', '64')

    def test_one_at_a_time(self):
        # Rules: Q-21
        self.check(500, '-j', '1')

    def test_all_at_once(self):
        # Rules: Q-21
        self.check(2000, '-j', '2000')

    def test_each_gets_its_own(self):
        # Rules: Q-21
        commands = [f'{CHILD} exit {i % 256}' for i in range(600)]
        result = self.evp('run', '-j', '50', commands=commands)
        _, rows, _ = result.table()
        self.assertEqual([row['RESULT'] for row in rows], [str(i % 256) for i in range(600)])

    def test_at_most_j(self):
        """Never more than -j at the same time: each holds a lock file that the next but two must find free."""
        with tempfile.TemporaryDirectory() as directory:
            script = 'mkdir "$0/$$" || exit 9; ls "$0" | wc -l; rmdir "$0/$$"'
            result = self.evp('run', '-j', '3', commands=[f"sh -c '{script}' {directory}"] * 100)
            self.assertEqual(result.status, 0)
            self.assertLessEqual(max(int(line) for line in result.table()[0]), 3)

    def test_few_descriptors(self):
        """Too much at once for the descriptors that there are: fewer at once, and all of them in the end."""
        def limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        for watcher in WATCHERS:
            with self.subTest(watcher=watcher):
                self.check(300, '--watcher', watcher, '-j', '500', preexec_fn=limit)

    def test_too_few_descriptors(self):
        """A message that says what to do, before GLib aborts."""
        for n in (6, 13, 15, 17):
            def limit():
                resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))
            for arguments in (('run',), ('run', '--watcher', 'glib'), ('bench', '--quick', '--only', 'loops')):
                with self.subTest(n=n, arguments=arguments):
                    result = self.evp(*arguments, commands=['true'] * 3, preexec_fn=limit)
                    self.assertUsage(result, 'ulimit -n')

    @unittest.skipUnless(os.getuid() == 0, 'only root may become somebody else')
    def test_few_processes(self):
        """The same for a limit of processes, for a user who has no others."""
        # (several of these tests may run at the same time)
        uid = 20000 + os.getpid() % 40000

        def become(limit):
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        if any(not parent.stat().st_mode & 0o001 for parent in pathlib.Path(evptool.EVP).resolve().parents):
            self.skipTest('another user cannot reach the program')
        # not our own child program: a sanitizer in it would need processes, too
        result = self.evp('run', '--json', '-j', '40', commands=['sleep 0.1'] * 40, preexec_fn=lambda: become(10))
        self.assertEqual(result.status, 0, result.out)
        self.assertEqual([line['returncode'] for line in result.objects()], [0] * 40)

        # just one, and the thread that waits for it: the next may have to wait for that thread to go
        result = self.evp('run', '--json', '--watcher', 'threaded', commands=['true'] * 100,
                          preexec_fn=lambda: become(3))
        self.assertEqual(result.status, 0, result.out)
        self.assertEqual([line['returncode'] for line in result.objects()], [0] * 100)

        # none at all: that is told, and does not take a moment for each
        result = self.evp('run', '--json', commands=['true'] * 1000, preexec_fn=lambda: become(1))
        self.assertEqual(result.status, 1)
        self.assertEqual([set(line) for line in result.objects()], [{'command', 'error'}] * 1000)


if __name__ == '__main__':
    evptool.main('test_run', 'run')
