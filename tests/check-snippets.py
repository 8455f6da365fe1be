#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Code in README.md and doc/*.md is correct: C and Vala compile, Python and shell parse.

    check-snippets.py --source DIR --build DIR [--valac VALAC] -- CC…
"""

import argparse
import ast
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r'^```(\w+)\n(.*?)^```$', re.M | re.S)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--source', type=pathlib.Path, required=True)
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--valac', help='Vala is left out without it')
    parser.add_argument('compiler', nargs='+')
    arguments = parser.parse_args()

    flags = subprocess.run(['pkg-config', '--cflags', 'gio-2.0', 'gio-unix-2.0'],
                           check=True, capture_output=True, text=True).stdout.split()
    flags += ['-I', arguments.source, '-I', arguments.build, '-I', arguments.source / 'tests' / 'contract' / 'suite',
              '-Wall', '-Werror', '-Wno-unused-function',
              '-Wno-unused-variable', '-Wno-unused-but-set-variable', '-fsyntax-only', '-x', 'c', '-']

    def compile_vala(place, code):
        if 'int main' not in code:
            code += '\nint main () { return 0; }\n'
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / 'snippet.vala').write_text(code, encoding='utf-8')
            directory = (arguments.build / 'introspection').resolve()
            result = subprocess.run([arguments.valac, '-C', '--vapidir', directory, '--girdir', directory,
                                     '--pkg', 'gio-2.0', '--pkg', 'evp-1', 'snippet.vala'],
                                    cwd=folder, capture_output=True, text=True)
            return f'{place}: {result.stderr}' if result.returncode else ''

    def check(place, language, code):
        if language == 'c':
            # pages may leave out what every program begins with
            result = subprocess.run([*arguments.compiler, *flags], text=True, capture_output=True,
                                    input=f'#include <evp/evp.h>\n#line 1 "{place}"\n{code}')
            return result.stderr
        if language == 'python':
            try:
                ast.parse(code)
            except SyntaxError as error:
                return f'{place}: {error}\n'
        elif language == 'sh':
            result = subprocess.run(['sh', '-n'], input=code, text=True, capture_output=True)
            return result.stderr and f'{place}: {result.stderr}'
        elif language == 'vala':
            return compile_vala(place, code) if arguments.valac else ''
        elif language not in ('js', 'meson', 'text'):
            return f'{place}: unknown language {language}\n'
        return ''

    blocks = []
    for page in [arguments.source / 'README.md', *sorted((arguments.source / 'doc').glob('*.md'))]:
        text = page.read_text(encoding='utf-8')
        for match in BLOCK.finditer(text):
            line = text.count('\n', 0, match.start()) + 1
            blocks.append((f'{page.relative_to(arguments.source)}:{line}', match.group(1), match.group(2)))
    if not any(language == 'c' for _, language, _ in blocks):
        sys.exit('no snippet was found')

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        complaints = [complaint for complaint in pool.map(lambda block: check(*block), blocks) if complaint]
    print(*complaints, sep='', end='')
    print(f'{len(blocks)} snippets, {len(complaints)} wrong')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
