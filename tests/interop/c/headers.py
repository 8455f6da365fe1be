#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Public headers: each compiles on its own, and none can be included directly.

    headers.py --source DIR --build DIR -- CC…
"""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--source', type=pathlib.Path, required=True)
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('compiler', nargs='+')
    arguments = parser.parse_args()

    flags = subprocess.run(['pkg-config', '--cflags', 'gio-2.0'],
                           check=True, capture_output=True, text=True).stdout.split()
    flags += ['-I', arguments.source, '-I', arguments.build, '-Wall', '-Wextra', '-Wno-unused-parameter',
              '-Werror', '-Wfatal-errors', '-fsyntax-only']

    def compile_text(text, language):
        return subprocess.run([*arguments.compiler, *flags, '-x', language, '-'], input=text,
                              capture_output=True, text=True)

    headers = [str(path.relative_to(base))
               for base in (arguments.source, arguments.build)
               for path in sorted((base / 'evp').rglob('*.h'))
               if not path.name.endswith('-private.h') and path.name != 'evp.h']
    if len(headers) < 20:
        sys.exit(f'only {len(headers)} headers were found')

    def check(header):
        complaint = ''
        alone = compile_text(f'#define EVP_INSIDE\n#include "{header}"\n', 'c')
        if alone.returncode != 0:
            complaint += f'{header} does not compile on its own:\n{alone.stderr}'
        direct = compile_text(f'#include "{header}"\n', 'c')
        # the complaint has to be the header's own, not that of one that it includes
        guard = re.search(r'^.*' + re.escape(header) + r':\d+:\d+: \S* ?error: .*Include <evp/evp.h> instead',
                          direct.stderr, re.M)
        if direct.returncode == 0 or not guard:
            complaint += f'{header} can be included directly\n'
        return complaint

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        complaints = [complaint for complaint in pool.map(check, headers) if complaint]
    for complaint in complaints:
        print(complaint, end='')
    failures = len(complaints)

    for language in ('c', 'c++'):
        twice = compile_text('#include <evp/evp.h>\n#include <evp/evp.h>\n', language)
        if twice.returncode != 0:
            print(f'<evp/evp.h> does not compile twice as {language}:\n{twice.stderr}')
            failures += 1
    print(f'{len(headers)} headers, {failures} failures')
    return 1 if failures else 0


if __name__ == '__main__':
    sys.exit(main())
