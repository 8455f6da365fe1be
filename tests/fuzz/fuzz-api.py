#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile arguments through introspection: nothing that a program passes may crash the library.

    fuzz-api.py --gir Evp-1.0.gir [--seed N] [--calls N] [--language python|plain|javascript|c] [CLASS…]

Every class, interface, boxed type and the functions of the namespace get a process of their own, with a
time limit. In it, random constructors, methods and properties are called with random arguments: what is
allowed, what is not, extreme numbers, closed descriptors, closed, dead and half-made objects, callbacks
that raise, calls from another thread. Criticals are what a programmer's mistake earns, and are counted;
a process that dies of a signal or does not end in time is a failure, and the last calls are printed.

The languages are Python with our override, Python without it ("plain"), JavaScript, and C: there every
pointer is NULL, which the bindings would not let through.

The same seed makes the same calls. It is printed; give it with --seed to see a failure again.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
CORE = '{http://www.gtk.org/introspection/core/1.0}'
C = '{http://www.gtk.org/introspection/c/1.0}'
GLIB = '{http://www.gtk.org/introspection/glib/1.0}'

TIME_LIMIT = 60  # seconds; a process takes about one
SHOWN = 12       # calls that are printed after a failure


# What there is to call

def _type(element, callbacks):
    array = element.find(CORE + 'array')
    if array is not None:
        inner = array.find(CORE + 'type')
        return 'array:' + (inner.get('name') if inner is not None else 'gpointer')
    kind = element.find(CORE + 'type')
    if kind is None:
        return 'void'
    name = kind.get('name')
    if name in callbacks:
        return 'callback:' + name
    if name in ('GLib.List', 'GLib.SList', 'GLib.PtrArray', 'GLib.HashTable'):
        return 'container'
    return name if '.' in name or name[0].islower() or name == 'GType' else 'Evp.' + name


def _function(element, callbacks):
    function = {
        'name': element.get('shadows') or element.get('name'),
        'symbol': element.get(C + 'identifier'),
        'throws': element.get('throws') == '1',
        'returns': 'void',
        'hidden': element.get('introspectable') == '0',
        'arguments': [],
        'all': [],
    }
    returned = element.find(CORE + 'return-value')
    if returned is not None:
        function['returns'] = _type(returned, callbacks)
    parameters = element.find(CORE + 'parameters')
    listed = [] if parameters is None else parameters.findall(CORE + 'parameter')
    if any(parameter.find(CORE + 'varargs') is not None for parameter in listed):
        return None
    silent = set()
    for number, parameter in enumerate(listed):
        array = parameter.find(CORE + 'array')
        if array is not None and array.get('length'):
            silent.add(int(array.get('length')))
        kind = _type(parameter, callbacks)
        if kind.startswith('callback:'):
            # the data of a callback carries the attribute, too, where it names the callback
            silent.update(int(parameter.get(what)) for what in ('closure', 'destroy') if parameter.get(what))
    for number, parameter in enumerate(listed):
        kind = _type(parameter, callbacks)
        pointer = '*' in (next(iter(parameter)).get(C + 'type') or '') or kind in ('utf8', 'filename', 'gpointer')
        pointer = pointer or kind.startswith(('callback:', 'array:', 'container')) or kind in callbacks
        function['all'].append('pointer' if pointer or parameter.get('direction') in ('out', 'inout') else kind)
        if number in silent or parameter.get('direction') == 'out' or kind == 'GLib.DestroyNotify':
            continue
        function['arguments'].append({
            'name': parameter.get('name'),
            'type': kind,
            'nullable': parameter.get('nullable') == '1' or parameter.get('allow-none') == '1',
        })
    return function


def plan(gir):
    """The classes of a GIR file, and what they offer, as JSON can hold it."""
    namespace = ElementTree.parse(gir).getroot().find(CORE + 'namespace')
    callbacks = {callback.get('name') for callback in namespace.findall(CORE + 'callback')}
    callbacks.add('Gio.AsyncReadyCallback')
    classes = {}
    enums = [element.get('name') for what in ('enumeration', 'bitfield') for element in namespace.findall(CORE + what)]
    functions = [_function(element, callbacks) for element in namespace.findall(CORE + 'function')]
    classes['(functions)'] = {'kind': 'namespace', 'functions': functions}
    for kind in ('class', 'interface', 'record'):
        for element in namespace.findall(CORE + kind):
            if element.get(GLIB + 'is-gtype-struct-for') or element.get(GLIB + 'get-type') is None:
                continue
            members = {what: [_function(member, callbacks) for member in element.findall(CORE + tag)]
                       for what, tag in (('constructors', 'constructor'), ('methods', 'method'),
                                         ('functions', 'function'), ('slots', 'virtual-method'))}
            classes[element.get('name')] = {
                'kind': kind,
                'abstract': element.get('abstract') == '1',
                'get_type': element.get(GLIB + 'get-type'),
                'properties': [{'name': member.get('name'), 'type': _type(member, callbacks),
                                'writable': member.get('writable') == '1',
                                'construct_only': member.get('construct-only') == '1'}
                               for member in element.findall(CORE + 'property')],
                **members,
            }
    for entry in classes.values():
        for what in ('constructors', 'methods', 'functions', 'slots'):
            entry[what] = [function for function in entry.get(what, []) if function is not None]
    return {'classes': classes, 'enums': enums}


# Running one of them

def command(language, job):
    if language == 'javascript':
        return ['gjs', str(HERE / 'fuzz-api.js'), job]
    return [sys.executable, str(HERE / ('fuzz_c.py' if language == 'c' else 'fuzz_python.py')), job]


def run_one(language, name, what, arguments, folder):
    """Returns what went wrong, or None, and how many calls and criticals there were."""
    place = pathlib.Path(tempfile.mkdtemp(prefix='fuzz-', dir=folder))
    (place / 'work').mkdir()
    seed = random.Random(f'{arguments.seed} {language} {name}').getrandbits(31)
    job = place / 'job.json'
    job.write_text(json.dumps({
        **what, 'name': name, 'seed': seed, 'calls': arguments.calls, 'log': str(place / 'calls'),
        'override': language != 'plain',
    }), encoding='utf-8')
    environment = {**os.environ, 'G_DEBUG': '', 'EVP_DEBUG': '', 'LC_ALL': 'C.UTF-8', 'TMPDIR': str(place / 'work')}
    with open(place / 'errors', 'wb') as errors:
        process = subprocess.Popen(command(language, str(job)), cwd=place / 'work', env=environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                                   start_new_session=True)
        try:
            status = process.wait(TIME_LIMIT)
            problem = None if status == 0 else f'status {status}'
            if status < 0:
                problem = f'died of {signal.Signals(-status).name}'
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # Python prints where its threads are
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            problem = f'did not end in {TIME_LIMIT} s'
    # what it started, and nobody waited for; the group is that of the process, which we started
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    calls = (place / 'calls').read_text(encoding='utf-8', errors='replace').splitlines() \
        if (place / 'calls').exists() else []
    text = (place / 'errors').read_text(encoding='utf-8', errors='replace')
    criticals = len(re.findall(r'CRITICAL \*\*', text))
    if problem is None and (not calls or calls[-1] != 'END'):
        problem = 'did not come to its end'
    if problem is not None:
        tail = text.splitlines()
        tail = tail[:60] if len(tail) <= 60 else tail[:5] + ['…'] + tail[-55:]
        problem = '\n'.join([problem, 'the last calls:', *calls[-SHOWN:], 'what it printed:', *tail])
    shutil.rmtree(place, ignore_errors=True)
    return problem, max(len(calls) - 1, 0), criticals


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--gir', required=True, type=pathlib.Path)
    parser.add_argument('--seed', type=int, default=20240607)
    parser.add_argument('--calls', type=int, default=300, help='how many per class')
    parser.add_argument('--language', choices=('python', 'plain', 'javascript', 'c'), default='python')
    parser.add_argument('--jobs', type=int, default=2)
    parser.add_argument('classes', nargs='*')
    arguments = parser.parse_args()

    what = plan(arguments.gir)
    names = arguments.classes or sorted(what['classes'])
    unknown = set(names) - what['classes'].keys()
    if unknown:
        sys.exit(f'There is no {", ".join(sorted(unknown))} in {arguments.gir}.')
    print(f'1..{len(names)}')
    print(f'# seed {arguments.seed}', flush=True)
    failed = total = criticals = 0
    with tempfile.TemporaryDirectory(prefix='evp-fuzz-') as folder, \
            concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = [(name, pool.submit(run_one, arguments.language, name, what, arguments, folder)) for name in names]
        for number, (name, result) in enumerate(results, 1):
            problem, n_calls, n_criticals = result.result()
            total += n_calls
            criticals += n_criticals
            if problem is not None:
                failed += 1
                for line in problem.splitlines():
                    print(f'# {line}')
            elif n_calls == 0:
                print(f'# {name} has nothing that could be called')
            print(f'{"ok" if problem is None else "not ok"} {number} - {arguments.language}/{name}', flush=True)
    print(f'# {total} calls, {criticals} criticals, {failed} failures, seed {arguments.seed}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
