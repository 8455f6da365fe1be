#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An installed copy works in each language, with no variables but those that its prefix needs.

    installed.py --build DIR --prefix PREFIX --meson MESON --examples DIR [--python PYTHON]
                 [--gjs GJS] [--lua LUA FILE] -- CC…

The build is installed into a temporary folder, which is mounted over the prefix for the programs of this test alone;
that needs root and a mount namespace, and is skipped without. Only the typelib has to be looked for outside of /usr:
GI_TYPELIB_PATH names its folder then. It speaks TAP.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

INSIDE = 'EVP_INSTALLED_INSIDE'


def run(*command, **options):
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, **options)


def skip(why):
    print('1..0 # SKIP', why)
    return 0


def install(arguments):
    """Installs, and runs this file again where the copy is mounted over the prefix."""
    if arguments.prefix in ('/usr', '/'):
        return skip('the prefix is that of the system')
    if not os.path.isdir(arguments.prefix):
        return skip(f'there is no folder {arguments.prefix} to mount over')
    if pathlib.Path(arguments.prefix) in arguments.examples.resolve().parents:
        return skip('the sources are below the prefix')
    if os.geteuid() != 0 or run('unshare', '--mount', '--propagation', 'private', 'true').returncode != 0:
        return skip('this needs root and a mount namespace')
    with tempfile.TemporaryDirectory(prefix='evp-installed-') as folder:
        done = run(arguments.meson, 'install', '-C', arguments.build, '--no-rebuild', '--destdir', folder)
        if done.returncode != 0:
            print(done.stdout, 'Bail out! it could not be installed')
            return 1
        environment = {'PATH': '/usr/bin:/bin:/usr/sbin:/sbin', 'LC_ALL': 'C.UTF-8', 'HOME': folder, INSIDE: folder}
        return subprocess.run(['unshare', '--mount', '--propagation', 'private', sys.executable, __file__,
                               *sys.argv[1:]], env=environment).returncode


def programs(arguments, folder):
    """Commands by name: each compiles what there is to compile, and runs it."""
    examples = arguments.examples

    def compiled(*compile_command):
        def call():
            done = run(*compile_command, cwd=folder)
            return run(folder / 'program') if done.returncode == 0 else done
        return call

    flags = run('pkg-config', '--cflags', '--libs', 'evp-1').stdout.split()
    yield 'C', compiled(*arguments.compiler, '-o', folder / 'program', examples / 'c' / 'child.c', *flags)
    if shutil.which('valac'):
        yield 'Vala', compiled('valac', '-q', '--pkg', 'evp-1', '-X', '-w', '-o', folder / 'program',
                               examples / 'vala' / 'child.vala')
    if arguments.python:
        yield 'Python', lambda: run(arguments.python, examples / 'python' / 'child.py')
    if arguments.gjs:
        yield 'GJS', lambda: run(arguments.gjs, examples / 'gjs' / 'child.js')
    if arguments.lua:
        yield 'Lua', lambda: run(*arguments.lua)
    yield 'evp', lambda: run(pathlib.Path(arguments.prefix) / 'bin' / 'evp', 'info')


def inside(arguments):
    folder = pathlib.Path(os.environ.pop(INSIDE))
    copy = folder / arguments.prefix.lstrip('/')
    subprocess.run(['mount', '--bind', copy, arguments.prefix], check=True)
    # what "ldconfig" does after an installation
    subprocess.run(['ldconfig', '-C', folder / 'cache', *map(str, pathlib.Path(arguments.prefix).glob('lib*'))],
                   check=True)
    subprocess.run(['mount', '--bind', folder / 'cache', '/etc/ld.so.cache'], check=True)
    typelib = next(pathlib.Path(arguments.prefix).rglob('Evp-1.0.typelib'), None)
    if typelib is not None:
        os.environ['GI_TYPELIB_PATH'] = str(typelib.parent)

    count = failed = 0
    for name, call in programs(arguments, folder):
        done = call()
        count += 1
        failed += done.returncode != 0
        for line in done.stdout.splitlines():
            print('#', line)
        print(f'{"not " if done.returncode else ""}ok {count} - {name}', flush=True)
    print(f'1..{count}')
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', required=True)
    parser.add_argument('--prefix', required=True)
    parser.add_argument('--meson', required=True)
    parser.add_argument('--examples', type=pathlib.Path, required=True)
    parser.add_argument('--python')
    parser.add_argument('--gjs')
    parser.add_argument('--lua', nargs=2)
    parser.add_argument('compiler', nargs='+')
    arguments = parser.parse_args()
    return inside(arguments) if INSIDE in os.environ else install(arguments)


if __name__ == '__main__':
    sys.exit(main())
