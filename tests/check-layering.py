#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks that includes never go up: every #include under evp/ against the floors of the house.

    check-layering.py [--source DIR] [--self-test]

A file includes files of its own folder and of lower floors: never a higher floor, never another folder
of the same floor. An include names the folder ("evp/selector/evp-selector.h"), so that readers see the
floor. Includes inside a folder form no circle. The tool stands outside the house: it sees what an
application sees, <evp/evp.h>, and its own folder.

--self-test builds a small house with each mistake in turn, and checks that each is found.
"""

import argparse
import pathlib
import posixpath
import re
import sys
import tempfile

FLOORS = {
    'base': 0,
    'os': 1,
    'handle': 2,
    'selector': 3,
    'proactor': 3,
    'loop': 4,
    'watcher': 5,
    'process': 6,
    'net': 6,
    'policy': 7,
    '': 8,  # the roof, evp/ itself
    'tool': 9,
}

# Generated from the enumerations of all floors, it includes nothing but the base: everybody may.
GENERATED = {'evp/evp-enum-types.h': 'base'}

COMMENTS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
INCLUDE = re.compile(r'^[ \t\v]*#[ \t\v]*include(?:_next)?\b[ \t\v]*(.*?)[ \t\v]*$', re.MULTILINE)


def without_comments(text):
    """The text with comments blanked, and a vertical tab where a backslash continued the line."""
    def blank(match):
        found = match.group()
        return found if found.startswith('"') else re.sub(r'[^\n\v]', ' ', found)
    return COMMENTS.sub(blank, text.replace('\\\n', '\v'))


def includes(text):
    """(line, what follows #include) of each."""
    text = without_comments(text)
    return [(len(re.findall(r'[\n\v]', text[:text.index('#', match.start())])) + 1, match.group(1))
            for match in INCLUDE.finditer(text)]


def folder_of(name):
    """'evp/os/evp-os-fd.h' stands in 'os', 'evp/evp.h' in ''; None if it is not a place in the house."""
    parts = name.split('/')
    folder = GENERATED.get(name, '/'.join(parts[1:-1]))
    return folder if parts[0] == 'evp' and folder in FLOORS else None


def describe(folder):
    return f'evp/{folder}/ (floor {FLOORS[folder]})' if folder else f'the roof evp/ (floor {FLOORS[folder]})'


def collect(source):
    """Name as included: path, for all C files under evp/, those made from templates too."""
    files = {}
    for path in sorted((source / 'evp').rglob('*')):
        name = path.relative_to(source).as_posix()
        stem = re.sub(r'\.(in|template)$', '', name)
        if path.is_file() and re.search(r'\.[ch]$', stem):
            files[stem] = path
    return files


def check_include(name, folder, target, files):
    """What is wrong with one include; None if nothing is."""
    quoted = re.fullmatch(r'"([^"]*)"', target)
    angled = re.fullmatch(r'<([^>]*)>', target)
    if not quoted and not angled:
        return f'#include {target} is computed, so its floor cannot be seen'

    included = (quoted or angled).group(1)
    if angled and not re.match(r'evp[-/]', included):
        return None  # of the system
    if quoted and included == 'config.h':
        return None
    if folder == 'tool':
        if target == '<evp/evp.h>' or (quoted and included in files and folder_of(included) == 'tool'):
            return None
        return f'#include {target}: the tool includes <evp/evp.h> and evp/tool/ only'
    if angled:
        return f'#include {target}: files of the house are included in quotes'
    if not included.startswith('evp/') or posixpath.normpath(included) != included:
        return f'#include {target} lacks its folder (write "evp/<floor>/…")'
    to = folder_of(included)
    if to is None:
        return f'#include {target}: no such floor'
    if included not in files:
        return f'#include {target}: no such file'
    if to == folder:
        return None
    if FLOORS[to] > FLOORS[folder]:
        return f'#include {target} goes up, from {describe(folder)} to {describe(to)}'
    if FLOORS[to] == FLOORS[folder]:
        return f'#include {target} goes sideways, from {describe(folder)} to {describe(to)}'
    return None


def find_circles(graph):
    """Each circle once, as a list of names that begins and ends with the same."""
    circles = []
    done = set()

    def visit(name, trail):
        if name in trail:
            circles.append(trail[trail.index(name):] + [name])
            return
        if name in done:
            return
        for other in graph.get(name, []):
            visit(other, trail + [name])
        done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return circles


def check(source):
    files = collect(source)
    problems = []
    graph = {}
    n_includes = 0

    for name, path in files.items():
        folder = folder_of(name)
        if folder is None:
            problems.append(f'{path.relative_to(source)}: {posixpath.dirname(name)}/ is not a floor')
            continue
        graph[name] = []
        for line, target in includes(path.read_text(encoding='utf-8')):
            n_includes += 1
            problem = check_include(name, folder, target, files)
            if problem:
                problems.append(f'{path.relative_to(source)}:{line}: {problem}')
            elif target.startswith('"') and folder_of(target[1:-1]) == folder:
                graph[name].append(target[1:-1])

    for circle in find_circles(graph):
        problems.append(f'{circle[0]}: includes form a circle: ' + ' → '.join(circle))
    return problems, len(files), n_includes


# A house in order, and for each mistake: the file, what is in it, and what has to be said about it.
GOOD = {
    'evp/evp.h': '#include "evp/base/evp-types.h"\n#include "evp/evp-global.h"\n',
    'evp/evp-global.h': '#include "evp/policy/evp-policy.h"\n',
    'evp/evp-global.c': '#include "config.h"\n\n#include "evp/evp-global.h"\n#include "evp/evp-enum-types.h"\n',
    'evp/evp-enum-types.h.template': '#include "evp/base/evp-types.h"\n',
    'evp/evp-enum-types.c.template': '#include "evp/evp-enum-types.h"\n#include "evp/policy/evp-policy.h"\n',
    'evp/base/evp-types.h': '#include <gio/gio.h>\n#include "evp/base/evp-version.h"\n',
    'evp/base/evp-version.h.in': '#ifdef __has_include\n#endif\n',
    'evp/os/evp-os-fd-private.h': '# include "evp/base/evp-types.h" /* why */\n#include <sys/epoll.h>\n',
    'evp/selector/evp-selector.h': '#include "evp/base/evp-types.h"\n',
    'evp/selector/evp-selector.c':
        '/*\n#include "evp/loop/evp-loop.h"\n*/\n// #include "evp-nothing.h"\n'
        '#include "evp/selector/evp-selector.h"\n#include "evp/os/evp-os-fd-private.h"\n'
        '#include "evp/evp-enum-types.h"\nstatic const char *url = "https://x"; /* #include "y" */\n',
    'evp/proactor/evp-proactor.h': '#include "evp/base/evp-types.h"\n',
    'evp/loop/evp-loop.h': '#include "evp/selector/evp-selector.h"\n#include "evp/proactor/evp-proactor.h"\n',
    'evp/process/evp-subprocess.h': '#include "evp/loop/evp-loop.h"\n',
    'evp/net/evp-server.h': '#include "evp/loop/evp-loop.h"\n',
    'evp/policy/evp-policy.h': '#include "evp/net/evp-server.h"\n#include "evp/process/evp-subprocess.h"\n',
    'evp/tool/evp-tool.h': '#include <evp/evp.h>\n',
    'evp/tool/evp-tool.c': '#include "config.h"\n#include "evp/tool/evp-tool.h"\n#include <stdio.h>\n',
}
BAD = [
    ('evp/base/evp-error.c', '#include "evp/os/evp-os-fd-private.h"\n', ':1: .* goes up, .*floor 0.*floor 1'),
    ('evp/loop/evp-x.c', '\n\n  #  include\t"evp/policy/evp-policy.h"\n', ':3: .* goes up'),
    ('evp/loop/evp-x.c', '/* a\n b */ #include "evp/policy/evp-policy.h"\n', ':2: .* goes up'),
    ('evp/policy/evp-x.c', '#include "evp/evp.h"\n', 'goes up, .*the roof'),
    ('evp/policy/evp-x.c', '\\\n#include \\\n  "evp/evp-global.h"\n', ':2: .* goes up'),
    ('evp/evp-x.c', '#include "evp/tool/evp-tool.h"\n', 'goes up'),
    ('evp/selector/evp-x.c', '#include "evp/proactor/evp-proactor.h"\n', 'goes sideways'),
    ('evp/proactor/evp-x.h', '#include "evp/selector/evp-selector.h"\n', 'goes sideways'),
    ('evp/process/evp-x.c', '#include "evp/net/evp-server.h"\n', 'goes sideways'),
    ('evp/net/evp-x.c', '#include "evp/process/evp-subprocess.h"\n', 'goes sideways'),
    ('evp/evp-enum-types.h.template', '#include "evp/loop/evp-loop.h"\n', 'template:1: .* goes up'),
    ('evp/base/evp-version.h.in', '#include "evp/loop/evp-loop.h"\n', r'\.in:1: .* goes up'),
    ('evp/selector/evp-x.c', '#include "evp-selector.h"\n', 'lacks its folder'),
    ('evp/selector/evp-x.c', '#include "selector/evp-selector.h"\n', 'lacks its folder'),
    ('evp/selector/evp-x.c', '#include "../base/evp-types.h"\n', 'lacks its folder'),
    ('evp/selector/evp-x.c', '#include "evp/selector/../loop/evp-loop.h"\n', 'lacks its folder'),
    ('evp/selector/evp-x.c', '#include "evp/base/evp-gone.h"\n', 'no such file'),
    ('evp/selector/evp-x.c', '#include "evp/attic/evp-selector.h"\n', 'no such floor'),
    ('evp/attic/evp-x.c', '#include "evp/base/evp-types.h"\n', 'evp/attic/ is not a floor'),
    ('evp/loop/evp-x.c', '#include <evp/evp.h>\n', 'in quotes'),
    ('evp/loop/evp-x.c', '#include <evp-selector.h>\n', 'in quotes'),
    ('evp/loop/evp-x.c', '#include EVP_HEADER\n', 'is computed'),
    ('evp/tool/evp-x.c', '#include "evp/base/evp-types.h"\n', 'the tool includes'),
    ('evp/tool/evp-x.c', '#include "evp/evp.h"\n', 'the tool includes'),
    ('evp/tool/evp-x.c', '#include <evp/base/evp-types.h>\n', 'the tool includes'),
    ('evp/tool/evp-x.c', '#include "evp-tool.h"\n', 'the tool includes'),
    ('evp/base/evp-version.h.in', '#include "evp/base/evp-types.h"\n',
     'circle: evp/base/evp-types.h → evp/base/evp-version.h → evp/base/evp-types.h'),
    ('evp/os/evp-os-fd-private.h', '#include "evp/os/evp-os-fd-private.h"\n', 'circle: '),
    ('evp/evp-global.h', '#include "evp/evp.h"\n', 'circle: '),
]


def self_test():
    failures = []

    def build(files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding='utf-8')
            return check(pathlib.Path(folder))[0]

    found = build(GOOD)
    if found:
        failures.append('a house in order, but it says:\n  ' + '\n  '.join(found))
    for name, text, expected in BAD:
        found = build({**GOOD, name: text})
        if len(found) != 1 or not re.search(expected, found[0]):
            failures.append(f'{name} with {text!r}: expected “{expected}”, but it says:\n  ' +
                            ('\n  '.join(found) or 'nothing'))
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f'self-test: {len(BAD) + 1 - len(failures)} of {len(BAD) + 1} houses were judged rightly')
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--source', type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent,
                        help='root of the source tree')
    parser.add_argument('--self-test', action='store_true', help='check that each kind of mistake is found')
    arguments = parser.parse_args()

    if arguments.self_test:
        return self_test()

    problems, n_files, n_includes = check(arguments.source)
    for problem in problems:
        print(problem, file=sys.stderr)
    if n_includes == 0:
        print(f'no includes under {arguments.source}/evp: is it the source tree?', file=sys.stderr)
        return 1
    print(f'{n_includes} includes in {n_files} files, {len(problems)} against the layout')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
