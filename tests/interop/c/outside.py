#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program of somebody else's, with libevp as a subproject or from an installed prefix.

    outside.py subproject|installed --source DIR --meson MESON -- CC…
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
LEFT_OUT = ['tests', 'contract', 'examples']  # as a subproject without being told
OPTIONS = {'tests': 'false', 'contract': 'false', 'examples': 'false', 'introspection': 'disabled', 'documentation': 'disabled'}


def call(*command, **options):
    words = [str(word) for word in command]
    print('$', *words, flush=True)
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if result.returncode != 0:
        print(result.stdout)
        sys.exit(f'exit status {result.returncode}')
    return result.stdout


def check_output(output, version):
    if output != f'{version} 0\n':
        sys.exit(f'the program printed {output!r}')
    print('The program printed', output.strip())


def subproject(folder, arguments, version):
    shutil.copytree(HERE / 'program', folder / 'program')
    (folder / 'program' / 'subprojects').mkdir()
    os.symlink(arguments.source, folder / 'program' / 'subprojects' / 'libevp')
    build = folder / 'build'
    call(arguments.meson, 'setup', build, folder / 'program', '--wrap-mode=nodownload', '--buildtype=plain',
         '--force-fallback-for=evp-1', *(f'-Dlibevp:{name}={value}' for name, value in OPTIONS.items()
                                         if name not in LEFT_OUT))
    targets = json.loads((build / 'meson-info' / 'intro-targets.json').read_text(encoding='utf-8'))
    unwanted = [target['name'] for target in targets if re.search('/libevp/(tests|examples)/', target['defined_in'])]
    if unwanted:
        sys.exit(f'who wants the library gets {unwanted}')
    call('ninja', '-C', build, 'program')
    check_output(call(build / 'program'), version)


def installed(folder, arguments, version):
    build = folder / 'build'
    prefix = folder / 'prefix'
    call(arguments.meson, 'setup', build, arguments.source, '--prefix', prefix, '--libdir=lib', '--buildtype=plain',
         *(f'-D{name}={value}' for name, value in OPTIONS.items()))
    call('ninja', '-C', build)
    call(arguments.meson, 'install', '-C', build, '--no-rebuild')

    environment = dict(os.environ, PKG_CONFIG_PATH=str(prefix / 'lib' / 'pkgconfig'),
                       LD_LIBRARY_PATH=str(prefix / 'lib'))
    found = call('pkg-config', '--modversion', 'evp-1', env=environment).strip()
    if found != version:
        sys.exit(f'pkg-config says {found}, the library is {version}')
    flags = call('pkg-config', '--cflags', '--libs', 'evp-1', env=environment).split()
    program = folder / 'program'
    call(*arguments.compiler, '-Wall', '-Werror', '-o', program, HERE / 'program' / 'program.c', *flags, env=environment)
    check_output(call(program, env=environment), version)

    # OpenSSL's <openssl/evp.h> is sometimes found as a bare <evp.h>: ours must never be
    bare = folder / 'bare.c'
    bare.write_text('#include <evp.h>\n', encoding='utf-8')
    result = subprocess.run([*arguments.compiler, '-fsyntax-only', bare, *flags], env=environment, capture_output=True)
    if result.returncode == 0:
        sys.exit('a bare <evp.h> is on the include path')


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('how', choices=['subproject', 'installed'])
    parser.add_argument('--source', type=pathlib.Path, required=True)
    parser.add_argument('--meson', required=True)
    parser.add_argument('compiler', nargs='+')
    arguments = parser.parse_args()

    # tests of a subproject or of a sanitized build must not hand their settings on
    for name in ('DESTDIR', 'CFLAGS', 'LDFLAGS', 'LD_PRELOAD'):
        os.environ.pop(name, None)
    os.environ['CC'] = ' '.join(arguments.compiler)

    project = (arguments.source / 'meson.build').read_text(encoding='utf-8')
    version = project.split("version: '", 1)[1].split("'", 1)[0]
    with tempfile.TemporaryDirectory(prefix='evp-outside-') as folder:
        globals()[arguments.how](pathlib.Path(folder), arguments, version)
    return 0


if __name__ == '__main__':
    sys.exit(main())
