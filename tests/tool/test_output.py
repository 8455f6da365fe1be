# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `evp run` passes on: all of it, line by line, to readers quick and slow."""

import collections
import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import resource
import select
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

import evptool
from evptool import CHILD

WRITER = str(pathlib.Path(__file__).with_name('writer.py'))


def writer(name, count, fd=1):
    return shlex.join([sys.executable, WRITER, name, str(count), str(fd)])


class Output(evptool.ToolTest):
    def assertWhole(self, text, names, count):
        """Every line of every child is there, in its order and unmixed. Returns the other lines."""
        found = collections.Counter()
        others = []
        for line in text.decode().splitlines():
            match = re.fullmatch(r'([a-z]):(\d+):(\1*)', line)
            if not match:
                others.append(line)
                continue
            name, number = match[1], int(match[2])
            self.assertEqual(number, found[name], line)
            self.assertEqual(len(match[3]), number % 90)
            found[name] += 1
        self.assertEqual(found, {name: count for name in names})
        return others

    def test_much(self):
        """Several megabytes from children that write at the same time."""
        names = 'abcdefgh'
        result = self.evp('run', '-j', '8', commands=[writer(name, 15000) for name in names])
        self.assertEqual(result.status, 0, result.err)
        self.assertGreater(len(result.out), 5000000)
        self.assertEqual(len(self.assertWhole(result.out, names, 15000)), len(names) + 2)

    def test_much_on_stderr(self):
        """Each stream to its own: the errors of children to standard error."""
        result = self.evp('run', '-j', '4', commands=[writer('a', 8000), writer('b', 8000, 2), writer('c', 8000, 2)])
        self.assertEqual(result.status, 0)
        self.assertEqual(len(self.assertWhole(result.out, 'a', 8000)), 3 + 2)
        self.assertEqual(self.assertWhole(result.err, 'bc', 8000), [])

    def test_both_streams_in_one(self):
        """2>&1: lines do not mix there either."""
        names = 'abcd'
        result = self.evp('run', '-j', '8', stderr=subprocess.STDOUT,
                          commands=[writer(name, 8000, 1 + i % 2) for i, name in enumerate(names)])
        self.assertEqual(len(self.assertWhole(result.out, names, 8000)), len(names) + 2)

    def test_json(self):
        """Children write to standard error; standard output is JSON and nothing else."""
        names = 'abcd'
        result = self.evp('run', '--json', '-j', '4', commands=[writer(name, 8000) for name in names])
        self.assertEqual([line['returncode'] for line in result.objects()], [0] * 4)
        self.assertEqual(self.assertWhole(result.err, names, 8000), [])

    def test_endless_line(self):
        """Five megabytes without a newline, beside children that write lines."""
        names = 'abc'
        commands = [f'{CHILD} flood 5000000'] + [writer(name, 8000) for name in names]
        result = self.evp('run', '-j', '4', commands=commands)
        self.assertEqual(result.status, 0)
        others = self.assertWhole(result.out, names, 8000)
        floods = [line for line in others if line.startswith('x')]
        self.assertEqual([len(line) for line in floods], [5000000])
        self.assertEqual(len(others), 1 + 4 + 2)

    def test_last_line_without_end(self):
        """The next line is not glued to it."""
        result = self.evp('run', '-j', '1', commands=['printf one', 'printf two', "printf 'three\\n\\n'", 'printf ""'])
        self.assertEqual(result.table()[0], ['one', 'two', 'three', ''])

    def test_zeros(self):
        """Bytes are bytes."""
        result = self.evp('run', commands=[r"printf 'a\000b\377\n'"])
        self.assertEqual(result.out.split(b'\n')[0], b'a\0b\xff')

    def test_grandchild(self):
        # Rules: Q-10
        # Somebody who keeps the pipe keeps neither the tool nor what the child has written.
        process = self.start('run', '--json', stdout=subprocess.PIPE)
        out, err = process.communicate(f'{CHILD} grandchild\n'.encode(), timeout=evptool.DEADLINE)
        grandchild = int(err)
        os.kill(grandchild, signal.SIGKILL)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(json.loads(out)['returncode'], 0)

    def test_grandchild_that_writes(self):
        """What comes from the background for as long as it comes is passed on."""
        # the shell writes first: two writers of one pipe may meet within a line
        script = shlex.quote('echo 0; seq 1 100000 &')
        result = self.evp('run', commands=[f'sh -c {script}'])
        self.assertEqual(result.status, 0)
        self.assertEqual(sorted(int(line) for line in result.table()[0]), list(range(100001)))

    def test_closed_early(self):
        """`evp run | head -1`: ends in silence, and so do the children."""
        for count in (1, 50):
            process = self.start('run', '-j', '4')
            process.stdin.write(f'{CHILD} flood 100000000\nyes\n{CHILD} pause\nsleep 100\n'.encode() * count)
            process.stdin.close()
            self.assertNotEqual(process.stdout.read(2), b'')
            process.stdout.close()
            self.assertEqual(process.wait(timeout=evptool.DEADLINE), 1)
            self.assertEqual(process.stderr.read(), b'')
            process.stderr.close()
            self.assertEqual(self.descendants(), [])

    def test_closed_from_the_start(self):
        for fd in (1, 2):
            process = self.start('run', preexec_fn=lambda: os.close(fd))
            out, err = process.communicate(b'sh -c "echo out; echo err >&2"\n', timeout=evptool.DEADLINE)
            if fd == 1:
                self.assertEqual((process.returncode, out), (1, b''))
                self.assertIn(b'Bad file descriptor', err)
            else:
                self.assertEqual((process.returncode, err), (0, b''))
                self.assertEqual(out.splitlines()[0], b'out')

    def test_full_disk(self):
        """What cannot be written is an error that is told."""
        with open('/dev/full', 'wb') as full:
            for arguments in (('run',), ('run', '--json'), ('info',), ('info', '--json'), ('--help',),
                              ('run', '--help'), ('--version',)):
                with self.subTest(arguments=arguments):
                    process = self.start(*arguments, stdout=full)
                    _, err = process.communicate(b'echo hello\n', timeout=evptool.DEADLINE)
                    self.assertEqual(process.returncode, 1)
                    self.assertIn('No space left on device', err.decode())

    def test_largest_file(self):
        """Nor is what no file may be as large as (ulimit -f); what runs beside that is not left behind."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

        for arguments in (('run', '-j', '2'), ('run', '--help')):
            with self.subTest(arguments=arguments), tempfile.TemporaryFile() as file:
                process = self.start(*arguments, stdout=file, preexec_fn=limit)
                _, err = process.communicate(f'{CHILD} pause\n{CHILD} flood 100000\n'.encode(), timeout=evptool.DEADLINE)
                self.assertEqual(process.returncode, 1)
                self.assertIn('File too large', err.decode())
                self.assertEqual(file.seek(0, os.SEEK_END), 100)

    def test_slow_reader(self):
        """Nobody reads what the children write: time limits work all the same, and nothing is lost."""
        process = self.start('run', '--json', '-j', '2', '--timeout', '1')
        process.stdin.write(f'{CHILD} pause\n{writer("a", 20000)}\n'.encode())
        process.stdin.close()
        first = json.loads(process.stdout.readline())
        self.assertEqual(first['returncode'], -signal.SIGTERM)
        self.assertTrue(first['timed_out'])
        process.kill()

    def test_slow_reader_of_stderr(self):
        """What is still to be written when all have ended is written."""
        process = self.start('run')
        process.stdin.write(f'sh -c {shlex.quote(f"{CHILD} flood 200000 >&2")}\n'.encode())
        process.stdin.close()
        # the table comes when the loop runs no more
        self.assertEqual(process.stdout.readline().decode().split(), evptool.TABLE)
        self.assertEqual(process.stderr.read(), b'x' * 200000 + b'\n')
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)

    def test_slow_reader_and_memory(self):
        """What has been passed on is forgotten, also while the reader never catches up."""
        reader, writer = os.pipe()
        process = self.start('run', stdout=writer)
        process.stdin.write(f'{CHILD} flood 40000000\n'.encode())
        process.stdin.close()

        def most_memory():
            status = pathlib.Path(f'/proc/{process.pid}/status').read_text()
            return int(re.search(r'VmHWM:\s+(\d+) kB', status)[1]) * 1024

        taken, before = 0, None
        deadline = time.monotonic() + evptool.DEADLINE
        while taken < 38000000:
            # only when there is no room left for it, there is surely more to come
            while select.select([], [writer], [], 0)[1]:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.0005)
            taken += len(os.read(reader, 32768))
            if before is None and taken > 4000000:
                before = most_memory()
        after = most_memory()
        os.close(writer)
        while os.read(reader, 1 << 20):
            pass
        os.close(reader)
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)
        self.assertLess(after - before, 16000000)

    def test_slow_reader_and_interrupt(self):
        """Nobody reads what the children write: Ctrl-C works all the same."""
        process = self.start('run', '--json', '-j', '3')
        process.stdin.write(f'{CHILD} exit 0\n{CHILD} flood 100000000\n{CHILD} pause\n'.encode())
        process.stdin.close()
        self.assertEqual(json.loads(process.stdout.readline())['returncode'], 0)
        # as much as fits is there: nobody takes it away
        select.select([process.stderr], [], [])
        process.send_signal(signal.SIGINT)
        rest = [json.loads(process.stdout.readline()) for _ in range(2)]
        self.assertEqual([line['returncode'] for line in rest], [-signal.SIGTERM] * 2)
        written = process.stderr.read()
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 130)
        self.assertEqual(set(written), set(b'x\n'))


class Screen:
    """As much of a terminal as the progress bar needs."""

    def __init__(self):
        self.lines = ['']
        self.column = 0

    def feed(self, text):
        for piece in re.findall(r'\x1b\[K|\r|\n|[^\x1b\r\n]+|\x1b', text):
            line = self.lines[-1]
            if piece == '\x1b[K':
                self.lines[-1] = line[:self.column]
            elif piece == '\r':
                self.column = 0
            elif piece == '\n':
                self.lines.append('')
                self.column = 0
            else:
                self.lines[-1] = line[:self.column] + piece + line[self.column + len(piece):]
                self.column += len(piece)


class Terminal(evptool.ToolTest):
    def open_terminal(self, width=80):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('4H', 24, width, 0, 0))
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.addCleanup(os.close, master)
        return master, slave

    def read_all(self, master, watch=lambda text: None):
        text = b''
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                piece = b''
            if not piece:
                return text.decode()
            text += piece
            watch(text.decode(errors='replace'))

    def run_in_terminal(self, *arguments, commands, watch=lambda text: None, width=80, **streams):
        master, slave = self.open_terminal(width)
        for stream in ('stdout', 'stderr'):
            if stream not in streams:
                streams[stream] = slave
        process = self.start('run', *arguments, **streams)
        os.close(slave)
        process.stdin.write(''.join(command + '\n' for command in commands).encode())
        process.stdin.close()
        text = self.read_all(master, watch)
        return process, text

    def test_progress(self):
        """A bar that goes away before every line of output, and at the end."""
        with tempfile.TemporaryDirectory() as directory:
            gate = pathlib.Path(directory, 'gate')
            os.mkfifo(gate)

            def open_gate(text):
                # the last command waits until the bar has told of all the others
                if re.search(r'\[#+\.+\] 4 of 5, 1 running, 1 failed', text) and gate.exists():
                    gate.write_text('x\n')
                    gate.unlink()

            process, text = self.run_in_terminal('-j', '1', watch=open_gate, commands=[
                'echo one', 'sleep 0.1', 'false', 'echo two', f'sh -c "read x < {gate}"'])
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 1)
        self.assertRegex(text, r'\[\.{30}\] 0 of 5, \d running, 0 failed')
        screen = Screen()
        screen.feed(text)
        self.assertEqual(screen.lines[:2], ['one', 'two'])
        self.assertEqual(screen.lines[2].split(), evptool.TABLE)
        self.assertEqual(screen.lines[-2], '5 commands: 4 succeeded, 1 failed, 0 not started')
        self.assertEqual(screen.lines[-1], '')
        self.assertNotIn('[', ''.join(screen.lines))

    def test_progress_in_narrow_terminals(self):
        """The bar is no longer than a line: what stands in the next would not go away."""
        for width in (50, 34, 20, 1):
            with self.subTest(width=width):
                process, text = self.run_in_terminal('-j', '1', commands=['echo one', 'sleep 0.1'], width=width)
                self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)
                shown = [piece for piece in re.findall(r'\r([^\r\x1b]*)\x1b\[K', text) if piece]
                beginning = {50: r'\[\.{19}\] 0 of 2, 0 running, 0 failed', 34: '0 of 2, 0 running, 0 failed',
                             20: '0 of 2, 0 running, '}
                if width in beginning:
                    self.assertRegex(shown[0], f'^{beginning[width]}$')
                self.assertLess(max(map(len, shown), default=0), width)

    def test_progress_beside_a_file(self):
        """`evp run > file` in a terminal: the bar is on the terminal, the table in the file."""
        process, text = self.run_in_terminal(commands=['echo one', 'sleep 0.3'], stdout=subprocess.PIPE)
        out = process.stdout.read()
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)
        self.assertIn('0 of 2', text)
        screen = Screen()
        screen.feed(text)
        self.assertEqual(screen.lines, [''])
        self.assertTrue(out.startswith(b'one\n'))
        self.assertNotIn(b'\r', out)

    def test_no_progress(self):
        """No bar where nobody looks, and none for a single command, which has the terminal to itself."""
        process, text = self.run_in_terminal(commands=['echo one', 'sleep 0.3'], stderr=subprocess.PIPE)
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)
        self.assertNotIn('\r', text)
        self.assertEqual(process.stderr.read(), b'')
        process, text = self.run_in_terminal('--', 'sleep', '0.3', commands=[])
        self.assertNotIn('\r', text)

    def test_unfinished_line(self):
        """The bar is not drawn over the first part of a very long line."""
        process, text = self.run_in_terminal(
            commands=['sh -c ' + shlex.quote(f'{CHILD} flood 200000; sleep 0.5; echo end'), 'sleep 0.3'])
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 0)
        screen = Screen()
        screen.feed(text)
        self.assertEqual(screen.lines[0], 'x' * 200000 + 'end')

    def test_ctrl_c(self):
        """From the keyboard."""
        master, slave = self.open_terminal()

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = self.start('run', stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal)
        os.close(slave)
        text = os.read(master, 1000)
        self.assertIn(b'Ctrl-D', text)
        os.write(master, f'sh -c "echo ready; exec {CHILD} pause"\n\x04'.encode())
        while b'ready\n' not in text:
            text += os.read(master, 1000)
        os.write(master, b'\x03')
        text += self.read_all(master).encode()
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 130)
        self.assertIn(b'SIGTERM', text)

    def test_frozen(self):
        """A terminal that nobody reads, or that Ctrl-S has stopped: time limits and Ctrl-C work all the same."""
        for stopped in (False, True):
            with self.subTest(stopped=stopped):
                master, slave = self.open_terminal()
                if stopped:
                    termios.tcflow(slave, termios.TCOOFF)
                # standard error has the output of the commands, and the bar
                process = self.start('run', '--json', '-j', '3', '--timeout', '0.5', stderr=slave)
                process.stdin.write(f'{CHILD} pause\n{CHILD} flood 100000000\n'.encode())
                process.stdin.close()
                line = json.loads(process.stdout.readline())
                self.assertEqual((line['command'], line['timed_out']), (f'{CHILD} pause', True))
                process.send_signal(signal.SIGINT)
                line = json.loads(process.stdout.readline())
                self.assertEqual(line['returncode'], -signal.SIGTERM)
                # the rest of the output is for whoever comes back to it
                self.assertIsNone(process.poll())
                termios.tcflow(slave, termios.TCOON)
                os.close(slave)
                screen = Screen()
                screen.feed(self.read_all(master))
                self.assertEqual(process.wait(timeout=evptool.DEADLINE), 130)
                self.assertEqual(screen.lines[-1], '')
                self.assertLessEqual(set(''.join(screen.lines)), {'x'})

    def test_frozen_and_full_disk(self):
        """That the output cannot be written is not told to such a terminal before what runs is told to end."""
        master, slave = self.open_terminal()
        termios.tcflow(slave, termios.TCOOFF)
        with tempfile.TemporaryDirectory() as folder, open('/dev/full', 'wb') as full:
            for name in ('life', 'go'):
                os.mkfifo(f'{folder}/{name}')
            life = os.open(f'{folder}/life', os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self.addCleanup(os.close, life)
            go = os.open(f'{folder}/go', os.O_RDWR | os.O_CLOEXEC)
            self.addCleanup(os.close, go)
            process = self.start('run', '--json', '-j', '2', stdout=full, stderr=slave, cwd=folder)
            process.stdin.write(f"""sh -c 'exec >life; echo begun; exec "$0" pause' {CHILD}\n"""
                                "sh -c 'read line <go'\n".encode())
            process.stdin.close()
            for expected in (b'begun\n', b''):
                self.assertTrue(select.select([life], [], [], evptool.DEADLINE)[0])
                self.assertEqual(os.read(life, 100), expected)
                os.write(go, b'\n')
        self.assertIsNone(process.poll())
        termios.tcflow(slave, termios.TCOON)
        os.close(slave)
        self.assertIn('No space left on device', self.read_all(master))
        self.assertEqual(process.wait(timeout=evptool.DEADLINE), 1)

    def test_columns(self):
        """Columns stand below each other, also with wide characters and in other languages."""
        for language in ('', 'ja', 'id') if evptool.LOCALES else ('',):
            user = evptool.language(language) if language else contextlib.nullcontext()
            with self.subTest(language=language), user as env:
                result = self.evp('run', commands=['true 漢字', 'false', f'{CHILD} signal 15', '/nonexistent',
                                                   'sleep 0.01'], env=env)
                lines = result.lines()[:-1]
                self.assertEqual(len(lines), 6)
                commands = ['true 漢字', 'false', f'{CHILD} signal 15', '/nonexistent', 'sleep 0.01']
                starts = {evptool.columns(line[:line.index(command)]) for line, command in zip(lines[1:], commands)}
                self.assertEqual(len(starts), 1, lines)
                # the title begins there, too
                title = lines[0].split()[-1]
                self.assertEqual({evptool.columns(lines[0][:lines[0].rindex(title)])}, starts)


if __name__ == '__main__':
    evptool.main('test_output', 'output')
