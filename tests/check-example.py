#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs an example, and sees whether it prints what it should: the same in every language.

    check-example.py NAME COMMAND ARGUMENT…
"""

import pathlib
import re
import subprocess
import sys

# lines that have to be there, in any order; each a regular expression
LINES = {
    'hello': ['hello', 'and goodbye, .*'],
    'timers': [rf'[0-9.,]+ s: {n} to go' for n in range(5)],
    'signals': ['received SIGHUP', 'received SIGTERM'],
    'child': [r'HELLO FROM A CHILD \(return code 0\)', 'as it should: Cannot start “/does/not/exist”: .*'],
    'many-children': ['14 ended with 0', '13 ended with 1', '13 ended with 2'],
    'custom-policy': ['.*policy made.* 1.*'],
    'custom-watcher': ['.*the return code is 3|and its return code is 3'],
    'threads': ['the loop of thread 1 has run', 'the loop of thread 2 has run'],
    'datagrams': ['5 bytes from 127.0.0.1', 'the answer: hello'],
    'copy-file': ['[1-9][0-9]* bytes copied'],
    'tasks': [r'\[3, 1, 2\]', 'that took too long'],
    'echo': [f'{name}: 5 clients got back what they said' for name in ('TCP', 'unix socket', 'TLS')],
}


def main():
    name, *command = sys.argv[1:]
    script = pathlib.Path(command[-1])
    if script.suffix == '.py' and script.stem in sys.stdlib_module_names:
        # what is beside a script comes first, for all that is imported
        print(f'{script.name} stands before the module of that name that Python has')
        return 1
    result = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    text = result.stdout.decode('utf-8')
    print(text, end='')
    if result.returncode != 0:
        return result.returncode if result.returncode > 0 else 1
    lines = text.splitlines()
    missing = [line for line in LINES[name] if not any(re.fullmatch(line, found) for found in lines)]
    for line in missing:
        print(f'not printed: {line}')
    return 1 if missing else 0


if __name__ == '__main__':
    sys.exit(main())
