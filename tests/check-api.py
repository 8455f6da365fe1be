#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks the public interface: exported, documented, dated, and usable from every language.

    check-api.py --library libevp-1.so --gir Evp-1.0.gir [--part N]

Every symbol of tests/api-symbols.txt up to part N, and every other one of evp/libevp.map, has to be
exported with its version, and to stand in the GIR with documentation and a "Since:" tag. Slots
without a usable description are dropped by the scanner in silence; here they are an error. A function
that takes a callback has to be bindable: one callback, its data, and what releases it.

Rules: Z-41
"""

import argparse
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

SOURCE = pathlib.Path(__file__).resolve().parent.parent
CORE = '{http://www.gtk.org/introspection/core/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'

# generated from a macro: there is no comment to hold
WITHOUT_COMMENT = {'evp_error_quark'}


# only where the system has it
ELSEWHERE = () if sys.platform.startswith(('darwin', 'freebsd')) else ('evp_kqueue_selector_',)


def exported(library):
    output = subprocess.run(['nm', '-D', '--defined-only', '--with-symbol-versions', library],
                            check=True, capture_output=True, text=True).stdout
    symbols = {}
    for line in output.splitlines():
        fields = line.split()
        name, _, version = fields[-1].partition('@@')
        if fields[-2] in 'TtDBR' and name.startswith('evp_'):
            symbols[name] = version
    return symbols


def callback_problems(function, callbacks):
    """What keeps languages from passing a callback to a function, or from releasing it."""
    name = function.get(C + 'identifier')
    found = []
    for parameter in function.iterfind(f'{CORE}parameters/{CORE}parameter'):
        kind = parameter.find(CORE + 'type')
        if parameter.find(CORE + 'varargs') is not None:
            yield f'{name} takes any number of arguments'
        elif kind is not None and kind.get('name') in callbacks:
            found.append(parameter)
    if len(found) > 1:
        yield f'{name} takes {len(found)} callbacks'
    for parameter in found:
        scope = parameter.get('scope')
        if scope not in ('notified', 'async'):
            yield f'the callback of {name} has the scope {scope}'
        elif parameter.get('closure') is None:
            yield f'the callback of {name} has no data'
        elif scope == 'notified' and parameter.get('destroy') is None:
            yield f'the data of the callback of {name} is never released'


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--library', required=True)
    parser.add_argument('--gir', required=True)
    parser.add_argument('--part', type=int, default=1)
    arguments = parser.parse_args()
    problems = []

    promised = set()
    for line in (SOURCE / 'tests' / 'api-symbols.txt').read_text(encoding='utf-8').splitlines():
        if line and not line.startswith('#'):
            part, symbol = line.split()
            if int(part) <= arguments.part:
                promised.add(symbol)

    mapped = {}
    version = None
    for line in (SOURCE / 'evp' / 'libevp.map').read_text(encoding='utf-8').splitlines():
        node = re.match(r'(LIBEVP_\S+) \{', line)
        if node:
            version = node.group(1)
        elif re.match(r'\s+evp_\w+;', line) and not line.strip().startswith(ELSEWHERE):
            mapped[line.strip(' ;')] = version

    for symbol in sorted(promised - mapped.keys()):
        problems.append(f'{symbol} is promised, but not in evp/libevp.map')

    symbols = exported(arguments.library)
    for symbol, version in sorted(mapped.items()):
        if symbol not in symbols:
            problems.append(f'{symbol} is declared, but the library does not export it')
        elif symbols[symbol] != version:
            problems.append(f'{symbol} is exported as {symbols[symbol] or "unversioned"}, not as {version}')
    for symbol in sorted(symbols.keys() - mapped.keys()):
        problems.append(f'{symbol} is exported, but no public header declares it')

    described = {}
    slots = 0
    gir = ElementTree.parse(arguments.gir)
    callbacks = {callback.get('name') for callback in gir.iterfind(f'{CORE}namespace/{CORE}callback')}
    callbacks.add('Gio.AsyncReadyCallback')
    for element in gir.iter():
        if element.get(C + 'identifier') and element.get('introspectable') != '0':
            problems += callback_problems(element, callbacks)
        name = element.get(C + 'identifier') or element.get(GLIB + 'get-type')
        if name and name not in described:
            described[name] = element
        what = element.tag.replace(CORE, '')
        if what == 'virtual-method':
            slots += 1
            if element.get('introspectable') == '0':
                problems.append(f'the slot {element.get("name")} cannot be implemented in any language: '
                                'its comment lacks something')
            if element.find(CORE + 'doc') is None:
                problems.append(f'the slot {element.get("name")} has no documentation')
        elif what in ('property', GLIB + 'signal'):
            if element.find(CORE + 'doc') is None or element.get('version') is None:
                problems.append(f'the {what.split("}")[-1]} {element.get("name")} lacks documentation or "Since:"')
    if slots == 0:
        problems.append('the GIR has no slots at all')

    for symbol in sorted(promised | mapped.keys()):
        element = described.get(symbol)
        if element is None:
            problems.append(f'{symbol} is not in the GIR')
            continue
        if element.find(CORE + 'doc') is None and symbol not in WITHOUT_COMMENT:
            problems.append(f'{symbol} has no documentation')
        if element.get('version') is None and symbol not in WITHOUT_COMMENT:
            problems.append(f'{symbol} has no "Since:" tag')
        if element.get('introspectable') == '0':
            problems.append(f'{symbol} cannot be called from any language')
        # a _new() that returns an interface needs "Returns: (type EvpThatClass)", and "(constructor)" where
        # another class's prefix fits as well
        if symbol.endswith('_new') and element.tag != CORE + 'constructor':
            problems.append(f'{symbol} is no constructor in the GIR, so languages cannot write "new"')

    for problem in problems:
        print(problem)
    print(f'{len(promised)} symbols promised, {len(mapped)} declared, {len(symbols)} exported, '
          f'{slots} slots, {len(problems)} problems')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
