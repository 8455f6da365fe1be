#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What ts-for-gir makes of the GIR, with evp-overrides.d.ts, is right for TypeScript, and so for GJS.

    test_types.py --gir Evp-1.0.gir --girdir DIR --overrides evp-overrides.d.ts --gjs GJS

It needs what "npm ci" installs beside it (tests/prepare.sh does), a node that is new enough for it included; without,
it is skipped. It speaks TAP.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
DEADLINE = 280  # seconds, of one program
TOOLS = HERE / 'node_modules' / '.bin'
NODES = [str(path) for path in HERE.glob('node_modules/node-linux-*/bin')]  # for the most common processors
PATH = os.pathsep.join([*NODES, os.environ['PATH']])

EXPECTED = '''cancelled: false
TypeError of JavaScript
finally
for the handler
handled of a callback, no child, soon 1, threadsafe
it runs
it has not ended
not found
from a child
hello 3 3
'''

count = 0
failed = 0


def check(name, right, output=''):
    global count, failed
    count += 1
    failed += not right
    if not right:
        for line in output.splitlines():
            print('#', line)
    print(f'{"" if right else "not "}ok {count} - {name}', flush=True)


def call(*command, cwd):
    return subprocess.run([str(word) for word in command], cwd=cwd, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE,
                          env={**os.environ, 'PATH': PATH})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--gir', type=pathlib.Path, required=True)
    parser.add_argument('--girdir', required=True)
    parser.add_argument('--overrides', type=pathlib.Path, required=True)
    parser.add_argument('--gjs', required=True)
    arguments = parser.parse_args()

    if shutil.which('node', path=PATH) is None or not (TOOLS / 'tsc').exists() or not (TOOLS / 'ts-for-gir').exists():
        print('1..0 # SKIP there is no node with ts-for-gir and TypeScript; "npm ci" in', HERE, 'installs them')
        return 0
    # its compiler is a program for some processors only, each in a package of its own
    version = call(TOOLS / 'tsc', '--version', cwd=HERE)
    if version.returncode != 0 and '@typescript/typescript-' in version.stdout:
        print('1..0 # SKIP there is no TypeScript for this processor')
        return 0

    with tempfile.TemporaryDirectory(prefix='evp-types-') as name:
        folder = pathlib.Path(name)
        types = folder / 'types'
        done = call(TOOLS / 'ts-for-gir', 'generate', 'Evp-1.0', '-g', arguments.gir.resolve().parent,
                    '-g', arguments.girdir, '-o', types, '--ignoreVersionConflicts', '--noComments', cwd=folder)
        check('types are generated', done.returncode == 0 and (types / 'evp-1.0.d.ts').exists(), done.stdout)
        shutil.copy(arguments.overrides, types)

        def compile_program(program):
            shutil.copy(HERE / program, folder)
            (folder / 'tsconfig.json').write_text(json.dumps({
                'compilerOptions': {
                    'strict': True, 'target': 'es2022', 'module': 'esnext', 'moduleResolution': 'bundler',
                    'lib': ['es2022'], 'types': [], 'skipLibCheck': True},
                'files': ['types/index.d.ts', 'types/evp-overrides.d.ts', program]}), encoding='utf-8')
            return call(TOOLS / 'tsc', '--project', folder, '--pretty', 'false', cwd=folder).stdout

        output = compile_program('program.ts')
        check('nothing is wrong in a program that is right', output == '', output)
        done = call(arguments.gjs, '-m', folder / 'program.js', cwd=folder)
        # the first two depend on the moment
        lines = [line for line in done.stdout.splitlines(keepends=True) if line not in ('soon 1\n', 'later 2\n')]
        check('GJS runs it', done.returncode == 0 and sorted(lines) == sorted(EXPECTED.splitlines(keepends=True))
              and 'soon 1\n' in done.stdout and 'later 2\n' in done.stdout, done.stdout)

        text = (HERE / 'mistakes.ts').read_text(encoding='utf-8')
        expected = [(number, line.split('// wrong: ')[1]) for number, line in enumerate(text.splitlines(), 1)
                    if '// wrong: ' in line]
        output = compile_program('mistakes.ts')
        found = [(int(line), code) for line, code in re.findall(r'^mistakes\.ts\((\d+),\d+\): error (TS\d+)', output, re.M)]
        check('every mistake is found, and no other', found == expected and len(found) > 8, output)

    print(f'1..{count}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
