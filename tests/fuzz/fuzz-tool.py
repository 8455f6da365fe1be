#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds fuzz-tool-run.c with clang and libFuzzer, and runs it for a short time.

    fuzz-tool.py --source DIR --build DIR [--seconds N] [--seed N] [--corpus DIR]

Without clang, or its runtime for fuzzing, the test is skipped, and says so. --corpus keeps what was
found from one run to the next: `fuzz-tool.py … --seconds 3600 --corpus ~/evp-corpus` is for a night.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

FLAGS = ['-fsanitize=fuzzer,address,undefined', '-fno-sanitize-recover=undefined', '-g', '-O1']

# Where the fuzzer begins: the first byte is the kind of what follows.
SEEDS = [
    b'\x00--jobs=3\n--timeout\n2.5\n--json\n--fail-fast\n--\ntrue\na b', b'\x00-j\n4\n--policy=default\n--watcher\npidfd',
    b'\x00--watcher=nobody', b'\x00--timeout=nan', b'\x00-j\n-1', b'\x00--', b'\x00word', b'\x00--jobs=99999999999999999999',
    b'\x01true\nfalse # no\n\n# nothing\necho "a b" \'c\' d\\ e\n', b'\x01\xef\xbb\xbfecho x\r\n', b'\x01echo "open\n',
    b"\x01echo 'it'\\''s' a#b \\# c\n", b'\x01a\0b\n', b'\x01echo \xff\xfe\n', b'\x01\\', b'\x01x \\\n',
]


def skip(why):
    print(f'SKIPPED: {why}')
    sys.exit(77)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--source', required=True, type=pathlib.Path)
    parser.add_argument('--build', required=True, type=pathlib.Path)
    parser.add_argument('--seconds', type=int, default=10)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--corpus', type=pathlib.Path)
    arguments = parser.parse_args()

    clang = shutil.which('clang')
    if clang is None:
        skip('there is no clang here, which brings libFuzzer')
    with tempfile.TemporaryDirectory(prefix='evp-fuzz-') as folder:
        folder = pathlib.Path(folder)
        (folder / 'empty.c').write_text(
            '#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput (const uint8_t *d, size_t n);\n'
            'int LLVMFuzzerTestOneInput (const uint8_t *d, size_t n) { return 0; }\n', encoding='utf-8')
        if subprocess.run([clang, *FLAGS, str(folder / 'empty.c'), '-o', str(folder / 'empty')],
                          capture_output=True, check=False).returncode != 0:
            skip('this clang has no runtime for fuzzing (Debian: libclang-rt-dev)')

        package = subprocess.run(['pkg-config', '--cflags', '--libs', 'gio-unix-2.0'],
                                 check=True, capture_output=True, text=True).stdout.split()
        tool = arguments.source / 'evp' / 'tool'
        places = [f'-I{place}' for place in (arguments.build, arguments.source, arguments.build / 'evp')]
        objects = []
        # the rest of the tool as it is; fuzz-tool-run.c contains evp-tool-run.c, and libFuzzer has a main() of its own
        sources = [path for path in sorted(tool.glob('*.c')) if path.name != 'evp-tool-run.c']
        for path in (arguments.source / 'tests' / 'fuzz' / 'fuzz-tool-run.c', *sources):
            objects.append(str(folder / (path.stem + '.o')))
            subprocess.run([clang, *FLAGS, '-D_GNU_SOURCE', '-std=gnu11', '-DG_DISABLE_CAST_CHECKS', *places,
                            *(['-Dmain=evp_tool_main'] if path.name == 'evp-tool.c' else []),
                            '-c', str(path), '-o', objects[-1],
                            *[flag for flag in package if not flag.startswith('-l')]], check=True)
        library = arguments.build / 'evp'
        subprocess.run([clang, *FLAGS, *objects, '-o', str(folder / 'fuzz'), f'-L{library}', '-levp-1',
                        f'-Wl,-rpath,{library}', *package, '-lm'], check=True)

        seeds = folder / 'seeds'
        corpus = arguments.corpus or folder / 'corpus'
        seeds.mkdir()
        corpus.mkdir(exist_ok=True)
        for number, seed in enumerate(SEEDS):
            (seeds / str(number)).write_bytes(seed)
        result = subprocess.run(
            [str(folder / 'fuzz'), f'-max_total_time={arguments.seconds}', f'-seed={arguments.seed}', '-max_len=400',
             '-timeout=10', f'-artifact_prefix={folder}/', '-print_final_stats=1', str(corpus), str(seeds)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            env={**os.environ, 'LC_ALL': 'C.UTF-8', 'ASAN_OPTIONS': 'detect_leaks=1', 'G_SLICE': 'always-malloc'})
        lines = result.stdout.decode('utf-8', 'replace').splitlines()
        print('\n'.join(lines[-80:] if result.returncode else [line for line in lines if line.startswith('stat::')]))
        for kind in ('crash', 'leak', 'timeout', 'oom'):
            for found in folder.glob(kind + '-*'):
                print(f'{kind}: {found.read_bytes()!r}')
        return 1 if result.returncode else 0


if __name__ == '__main__':
    sys.exit(main())
