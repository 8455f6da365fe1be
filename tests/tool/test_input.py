# SPDX-License-Identifier: LGPL-2.1-or-later
"""How `evp run` reads its list, and what it says to a wrong one."""

import errno
import os
import pathlib
import subprocess
import tempfile

import evptool
from evptool import CHILD


class Input(evptool.ToolTest):
    def argv(self, line):
        """The words that the command of a line gets."""
        result = self.evp('run', commands=line)
        self.assertEqual(result.status, 0, result.err)
        return result.table()[0]

    def assertBroken(self, commands, *messages):
        """Exit status 2, a message with the number of the line for each, and nothing was started."""
        with tempfile.TemporaryDirectory() as directory:
            trace = pathlib.Path(directory, 'trace')
            if isinstance(commands, str):
                commands = commands.encode()
            result = self.evp('run', commands=f'touch {trace}\n'.encode() + commands + f'\ntouch {trace}\n'.encode())
            self.assertUsage(result, *messages)
            self.assertEqual(len(result.err.splitlines()), len(messages), result.err)
            self.assertFalse(trace.exists())

    def test_words(self):
        """Quotes and backslashes, as a shell reads them."""
        self.assertEqual(self.argv(f'{CHILD} argv a  b\tc'), ['a', 'b', 'c'])
        self.assertEqual(self.argv(f"{CHILD} argv 'a b' \"c d\" e'f'\"g\" ''"), ['a b', 'c d', 'efg', ''])
        self.assertEqual(self.argv(rf'{CHILD} argv a\ b \"c\" "\"d\"" \\'), ['a b', '"c"', '"d"', '\\'])
        self.assertEqual(self.argv(rf"""{CHILD} argv 'a\b' "c\d" """), [r'a\b', r'c\d'])
        self.assertEqual(self.argv(f"""{CHILD} argv 'a\tb' "c\td\\"\te" '\\'\tf\\\tg"""),
                         ['a\tb', 'c\td"\te', '\\', 'f\tg'])

    def test_no_shell(self):
        """Nothing else of a shell: no variables, no patterns, no pipes."""
        self.assertEqual(self.argv(f'{CHILD} argv $HOME * ~ a | b > c && d; e'),
                         ['$HOME', '*', '~', 'a', '|', 'b', '>', 'c', '&&', 'd;', 'e'])

    def test_empty_lines_and_comments(self):
        result = self.evp('run', commands='\n# one\n   \n\t# two\ntrue # three\n\ntrue a#b\n#\ntrue\t# it\'s four\n')
        self.assertEqual(result.status, 0, result.err)
        self.assertEqual([row['COMMAND'] for row in result.table()[1]],
                         ['true # three', 'true a#b', "true\\t# it's four"])
        self.assertEqual(self.argv(f'{CHILD} argv a#b \'#c\' # d'), ['a#b', '#c'])
        # a blank that is part of the word, as in the names of many songs
        self.assertEqual(self.argv(rf"""{CHILD} argv a\ #1.ogg \ # "b "# 'c '#d e\##f # g"""),
                         ['a #1.ogg', ' #', 'b #', 'c #d', 'e##f'])

    def test_line_ends(self):
        """Lines of other systems, a last line without an end, a byte order mark."""
        self.assertEqual(self.argv(f'{CHILD} argv a\r\n'), ['a'])
        self.assertEqual(self.argv(f'{CHILD} argv a b\r\n\r\n# c\r\n'), ['a', 'b'])
        self.assertEqual(self.argv(f'{CHILD} argv a'), ['a'])
        self.assertEqual(self.argv(f'\ufeff{CHILD} argv a\n'), ['a'])

    def test_spaces_at_the_ends(self):
        """They separate words, unless one is part of a word."""
        self.assertEqual(self.argv(f'  {CHILD} argv a  \n'), ['a'])
        self.assertEqual(self.argv(f'{CHILD} argv a\\ \n'), ['a '])
        self.assertEqual(self.argv(f"{CHILD} argv 'a '\n"), ['a '])
        for line, command in [('  true  ', 'true'), ('true a\\ ', 'true a\\ '), ('true a\\\\  ', 'true a\\\\'),
                              ('true a\\  \r', 'true a\\ '), ('\ttrue\t\r', 'true')]:
            result = self.evp('run', '--json', commands=line + '\n')
            self.assertEqual([line['command'] for line in result.objects()], [command])

    def test_bytes(self):
        """What is no text reaches the command as it is."""
        result = self.evp('run', commands=CHILD.encode() + b" argv '\xff\xfe'\n")
        self.assertEqual(result.out.splitlines()[0], b'\xff\xfe')

    def test_long_line(self):
        """A line of 100,000 characters is a line like others."""
        self.assertEqual(self.argv(f'{CHILD} argv ' + 'x' * 100000), ['x' * 100000])

    def test_unmatched_quote(self):
        self.assertBroken("true\n\n# it's fine\necho 'oops\n", 'line 5')
        self.assertBroken('echo "oops', 'line 2')
        self.assertBroken('echo oops\\', 'line 2')
        self.assertBroken("echo 'a\ntrue\r\necho \"b\r\n", 'line 2', 'line 4')

    def test_message_quotes_the_list(self):
        """Without what a terminal would obey, and not all of a long line."""
        result = self.evp('run', commands=b"echo 'a\x1b[2J\xff" + b'x' * 100000 + b'\n')
        self.assertUsage(result, 'line 1', r"echo 'a\x1b[2J", '…')
        self.assertNotIn(b'\x1b', result.err)
        self.assertLess(len(result.err), 2000)

    def test_nul_byte(self):
        self.assertBroken(b'true\necho a\0b\n', 'line 3')

    def test_endless(self):
        """What never ends is refused before it has taken all the memory, rather than read until the program dies."""
        for path, message in (('/dev/zero', 'line 1'), ('/dev/full', 'line 1')):
            with self.subTest(path=path), open(path, 'rb') as file:
                self.assertUsage(self.evp('run', stdin=file.fileno()), message)
        yes = subprocess.Popen(['yes', 'x' * 4000], stdout=subprocess.PIPE)
        try:
            self.assertUsage(self.evp('run', stdin=yes.stdout.fileno()), os.strerror(errno.EFBIG))
        finally:
            yes.stdout.close()
            yes.wait()

    def test_directory(self):
        fd = os.open('/', os.O_RDONLY)
        try:
            result = self.evp('run', stdin=fd)
        finally:
            os.close(fd)
        self.assertUsage(result, 'Is a directory')

    def test_closed(self):
        result = self.evp('run', stdin=None, preexec_fn=lambda: os.close(0))
        self.assertUsage(result, 'Bad file descriptor')

    def test_does_not_block(self):
        """A pipe that somebody has made non-blocking is waited for."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        process = self.start('run', stdin=reader)
        os.close(reader)
        os.write(writer, b'true\n')
        os.write(writer, b'true\n')
        os.close(writer)
        out, err = process.communicate(timeout=evptool.DEADLINE)
        self.assertEqual((process.returncode, err), (0, b''))
        self.assertIn(b'2 commands: 2 succeeded', out)


class Arguments(evptool.ToolTest):
    def test_numbers(self):
        for arguments in [('-j', '0'), ('-j', '-3'), ('-j', 'x'), ('-j', ''), ('-j',), ('-j', '99999999999'),
                          ('-j0',), ('-jx',),
                          ('--jobs=1.5',), ('--timeout', 'nan'), ('--timeout', '-1'), ('--timeout', 'inf'),
                          ('--timeout', 'soon'), ('--timeout',)]:
            with self.subTest(arguments=arguments):
                self.assertUsage(self.evp('run', *arguments, commands=['true']), 'evp run --help')

    def test_big_numbers(self):
        """What is only large is no mistake."""
        for arguments in [('-j', '2147483647'), ('--timeout', '1e300'), ('--timeout', '1e-300'), ('--timeout', '0')]:
            with self.subTest(arguments=arguments):
                # one that is over at once may or may not be quicker than its limit
                result = self.evp('run', *arguments, commands=['true'])
                self.assertIn(result.status, (0, 1) if arguments[1] == '1e-300' else (0,), result.err)

    def test_jobs(self):
        """With and without a blank; what follows “--” is the command's."""
        for arguments in [('-j', '2'), ('-j2',), ('--jobs', '2'), ('--jobs=2',)]:
            with self.subTest(arguments=arguments):
                result = self.evp('run', *arguments, commands=['true'])
                self.assertEqual((result.status, result.err), (0, b''))
        result = self.evp('run', '-j1', '--', 'echo', '-j7')
        self.assertEqual((result.status, result.err), (0, b''))
        self.assertIn(b'-j7\n', result.out)

    def test_unknown(self):
        self.assertUsage(self.evp(), 'evp --help')
        self.assertUsage(self.evp('fly'), 'fly')
        self.assertUsage(self.evp('run', '--fly', commands=['true']), '--fly')
        self.assertUsage(self.evp('run', 'true', commands=['true']), 'true', '--')
        self.assertUsage(self.evp('info', '--fly'), '--fly')
        self.assertUsage(self.evp('info', 'fly'), 'fly')

    def test_unknown_watcher(self):
        self.assertUsage(self.evp('run', '--watcher', 'bird', commands=['true']), 'bird', *evptool.WATCHERS)
        self.assertUsage(self.evp('run', '--watcher', '', commands=['true']), *evptool.WATCHERS)

    def test_unknown_policy(self):
        # Rules: P-1
        result = self.evp('run', '--policy', 'foreign', commands=['true'])
        self.assertUsage(result, 'foreign', 'default', 'selector', 'proactor', 'main-context')
        # once is enough
        self.assertNotIn('EVP_POLICY', result.err.decode())

    def test_policies(self):
        # Rules: V-9
        for policy, proactor in [('selector', ''), ('main-context', ''), ('proactor', ''), ('proactor', 'gio')]:
            with self.subTest(policy=policy, proactor=proactor):
                result = self.evp('run', '--policy', policy, commands=['echo worked'],
                                  env={'EVP_PROACTOR': proactor})
                self.assertEqual((result.status, result.err), (0, b''))
                self.assertIn('worked', result.out.decode())

    def test_no_command(self):
        self.assertUsage(self.evp('run', '--', commands=['true']), '--')

    def test_help(self):
        for arguments, words in [(('--help',), ['run', 'info', '--version']), (('-h',), ['run', 'info']),
                                 (('help',), ['run', 'info']),
                                 (('run', '--help'), ['--policy', '--watcher', '-j', '--timeout', '--fail-fast',
                                                      '--json', 'evp run', 'Exit status']),
                                 (('info', '--help'), ['--json', 'evp info'])]:
            with self.subTest(arguments=arguments):
                result = self.evp(*arguments)
                self.assertEqual((result.status, result.err), (0, b''))
                for word in words:
                    self.assertIn(word, result.out.decode())

    def test_version(self):
        result = self.evp('--version')
        self.assertEqual((result.status, result.err), (0, b''))
        self.assertRegex(result.out.decode(), r'\Aevp \d+\.\d+\.\d+\n\Z')


if __name__ == '__main__':
    evptool.main('test_input', 'input')
