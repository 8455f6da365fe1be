#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The contracts as others get them: installed, in C through pkg-config, and in Python.

    test-installed.py --build DIR --prefix DIR --libdir DIR --meson MESON [--python PROGRAM --site DIR] -- CC…

They pass for what is the library's own, and fail for what is broken.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def call(*command, expect=0, **options):
    words = [str(word) for word in command]
    print('$', *words, flush=True)
    result = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                            timeout=240, check=False, **options)
    if (result.returncode == 0) != (expect == 0):
        print(result.stdout)
        sys.exit(f'exit status {result.returncode}')
    return result.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--build', type=pathlib.Path, required=True)
    parser.add_argument('--prefix', type=pathlib.Path, required=True)
    parser.add_argument('--libdir', required=True)
    parser.add_argument('--site', default='')
    parser.add_argument('--meson', required=True)
    parser.add_argument('--python')
    parser.add_argument('compiler', nargs='+')
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix='evp-contract-') as folder:
        folder = pathlib.Path(folder)
        root = folder / 'root'
        environment = {name: value for name, value in os.environ.items()
                       if name not in ('DESTDIR', 'EVP_TEST_CHILD', 'LD_PRELOAD', 'G_DEBUG')}
        call(arguments.meson, 'install', '-C', arguments.build, '--no-rebuild', '--destdir', root,
             '--tags', 'runtime,devel,typelib,python-runtime', env=environment)
        prefix = root / arguments.prefix.relative_to('/')
        libdir = prefix / arguments.libdir
        environment.update(PKG_CONFIG_PATH=f'{libdir}/pkgconfig', PKG_CONFIG_SYSROOT_DIR=str(root),
                           LD_LIBRARY_PATH=str(libdir), GI_TYPELIB_PATH=f'{libdir}/girepository-1.0',
                           PYTHONDONTWRITEBYTECODE='1')

        # system headers are in no other root
        flags = call('pkg-config', '--cflags', '--libs', 'evp-contract-1', env=environment).split()
        flags = [flag if flag.startswith(f'-I{prefix}') or flag.startswith(f'-L{prefix}')
                 else flag.replace(f'-I{root}', '-I').replace(f'-L{root}', '-L') for flag in flags]
        good, broken = folder / 'good', folder / 'broken'
        call(*arguments.compiler, '-Wall', '-Werror', '-o', good, HERE / 'try' / 'loops.c', *flags, env=environment)
        call(*arguments.compiler, '-Wall', '-Werror', '-DBROKEN', '-o', broken, HERE / 'try' / 'loops.c', *flags,
             env=environment)
        passed = call(good, env=environment)
        if passed.count('\nok ') < 100 or '\nnot ok ' in passed:
            sys.exit(f'too few cases passed\n{passed}')
        failed = call(broken, expect=1, env=environment)
        if 'contract-loop' not in failed:
            sys.exit(f'it did not fail where it should\n{failed}')

        if not arguments.python:
            print('Without PyGObject there is no front in Python.')
            return 0
        site = root / pathlib.Path(arguments.site).relative_to('/')
        environment['PYTHONPATH'] = f'{site}:{HERE / "try"}'
        front = (arguments.python, '-m', 'evp_contract', 'watcher')
        passed = call(*front, 'watchers:Waiting', env=environment)
        if passed.count('\nok ') < 15:
            sys.exit(f'too few cases passed\n{passed}')
        passed = call(arguments.python, '-m', 'evp_contract', 'proactor', 'proactors:Files', env=environment)
        if passed.count('\nok ') < 9 or passed.count('# SKIP') >= passed.count('\nok ') - 3:
            sys.exit(f'too few cases passed\n{passed}')
        passed = call(arguments.python, '-m', 'evp_contract', 'selector', 'proactors:Polling', '--flags', 'closed-ready',
                      '/register', '/ready', '/closed', '/close', env=environment)
        if passed.count('\nok ') < 4:
            sys.exit(f'too few cases passed\n{passed}')
        failed = call(arguments.python, '-m', 'evp_contract', 'proactor', 'proactors:Forgetful', '/files', expect=1,
                      env=environment)
        if '\nnot ok ' not in failed:
            sys.exit(f'it did not fail where it should\n{failed}')
        failed = call(*front, 'watchers:Wrong', '/codes', expect=1, env=environment)
        if '\nnot ok ' not in failed or 'returncode' not in failed:
            sys.exit(f'it did not fail where it should\n{failed}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
