#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Generates the symbol map of the library.

Every function that a public header declares belongs to the version in its EVP_AVAILABLE_IN_x_y
line, and that has to agree with the "Since:" tag of its documentation.

    generate-map.py [SOURCE_DIR]            prints the map
    generate-map.py --check [SOURCE_DIR]    compares it with the committed evp/libevp.map
    generate-map.py --write [SOURCE_DIR]    writes evp/libevp.map
"""

import argparse
import difflib
import pathlib
import re
import sys

AVAILABLE = re.compile(r'^EVP_AVAILABLE_IN_(\d+)_(\d+)\s*$')
DECLARE = re.compile(r'G_DECLARE_(?:FINAL_TYPE|DERIVABLE_TYPE|INTERFACE)\s*\(\s*\w+\s*,\s*(\w+)')
FUNCTION = re.compile(r'\b(evp_\w+)\s*\(')
ENUM = re.compile(r'^typedef enum\b.*?^\}\s*(Evp\w+);', re.M | re.S)
COMMENT = re.compile(r'/\*\*\n(.*?)\*/', re.S)


def public_headers(source):
    for path in sorted((source / 'evp').rglob('*.h*')):
        if path.suffix == '.h' and not path.name.endswith('-private.h') or path.name.endswith('.h.in'):
            yield path


def snake(name):
    """EvpIOEvents -> evp_io_events, as glib-mkenums does it."""
    name = re.sub(r'([^A-Z])([A-Z])', r'\1_\2', name)
    name = re.sub(r'([A-Z][A-Z])([A-Z][0-9a-z])', r'\1_\2', name)
    return name.lower()


def header_symbols(source):
    """symbol -> version, from the headers."""
    symbols = {}
    for path in public_headers(source):
        text = path.read_text(encoding='utf-8')
        lines = text.splitlines()
        for number, line in enumerate(lines):
            available = AVAILABLE.match(line)
            if not available:
                continue
            version = tuple(map(int, available.groups()))
            declaration = ' '.join(lines[number + 1:number + 3])
            declared = DECLARE.search(declaration)
            if declared:
                symbols[declared.group(1) + '_get_type'] = version
                continue
            function = FUNCTION.search(declaration)
            if not function:
                sys.exit(f'{path}:{number + 1}: no function after EVP_AVAILABLE_IN_…')
            symbols[function.group(1)] = version
        for enum in ENUM.findall(text):
            since = documented(COMMENT.findall(text)).get(enum)
            if since is None:
                sys.exit(f'{path}: {enum} has no documentation with a "Since:" tag')
            symbols[snake(enum) + '_get_type'] = since
    return symbols


def documented(comments):
    """name -> version, from documentation comments."""
    names = {}
    for comment in comments:
        name = re.match(r'\s*\*\s*([\w:-]+?):?\s*(?:\(.*\))?\s*\n', comment)
        since = re.search(r'^\s*\*\s*Since:\s*(\d+)\.(\d+)', comment, re.M)
        if name and since:
            names[name.group(1).rstrip(':')] = tuple(map(int, since.groups()))
    return names


def source_docs(source):
    names = {}
    for path in sorted((source / 'evp').rglob('*.[ch]')) + sorted((source / 'evp').rglob('*.h.in')):
        names.update(documented(COMMENT.findall(path.read_text(encoding='utf-8'))))
    return names


def generate(source):
    symbols = header_symbols(source)
    docs = source_docs(source)
    for symbol, version in sorted(symbols.items()):
        since = docs.get(symbol)
        if since is not None and since != version:
            sys.exit(f'{symbol}: the header says {version}, "Since:" says {since}')

    output = []
    previous = None
    for version in sorted(set(symbols.values())):
        node = 'LIBEVP_%d.%d' % version
        output.append(f'{node} {{')
        output.append('  global:')
        output += [f'    {s};' for s in sorted(symbols) if symbols[s] == version]
        if previous is None:
            output += ['  local:', '    *;', '};']
        else:
            output.append(f'}} {previous};')
        output.append('')
        previous = node
    return '\n'.join(output[:-1]) + '\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true')
    parser.add_argument('--write', action='store_true')
    parser.add_argument('source', nargs='?', type=pathlib.Path,
                        default=pathlib.Path(__file__).resolve().parent.parent)
    arguments = parser.parse_args()

    generated = generate(arguments.source)
    committed = arguments.source / 'evp' / 'libevp.map'
    if arguments.write:
        committed.write_text(generated, encoding='utf-8')
    elif arguments.check:
        before = committed.read_text(encoding='utf-8')
        if before != generated:
            sys.stdout.writelines(difflib.unified_diff(
                before.splitlines(True), generated.splitlines(True), 'committed', 'generated'))
            print('evp/libevp.map is out of date: run "python3 evp/generate-map.py --write"')
            return 1
    else:
        sys.stdout.write(generated)
    return 0


if __name__ == '__main__':
    sys.exit(main())
