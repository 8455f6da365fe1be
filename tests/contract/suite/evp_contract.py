# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tests that every event loop, child watcher, selector, proactor and policy has to pass, for yours.

    python3 -m evp_contract loop|watcher|selector|proactor|policy MODULE:FACTORY [--flags FLAG,…] [CASE…]

FACTORY is what makes a new one, a class for example; a loop's is called with the GLib.MainContext that it
has to live in, or with None. The flags say what there is to be tested: those of evp-contract.h, in lower
case and without their prefix, "fds,sockets" for example. Each case runs in a process of its own; TAP is
printed, and the exit status is 1 if a case failed.
"""

import argparse
import ctypes
import importlib
import os
import signal
import subprocess
import sys
import tempfile

FLAGS = {
    'loop': ('fds', 'signals', 'adoptable', 'stale-reports', 'sockets'),
    'watcher': ('signal', 'sweeps', 'steals', 'needs-process'),
    'selector': ('own-fd', 'closed-silent', 'closed-ready', 'closed-fails', 'half-hang-up'),
    'proactor': (),
    'policy': ('makes-loops', 'has-watchers', 'per-thread', 'makes-missing'),
}
TIME_LIMIT = 120  # seconds for a case; it gives up by itself earlier


def _find(where):
    module, colon, name = where.partition(':')
    if not colon:
        sys.exit(f'evp_contract: “{where}” is not of the form MODULE:FACTORY')
    sys.path.insert(0, '')
    found = importlib.import_module(module)
    for part in name.split('.'):
        found = getattr(found, part)
    return found


def _library():
    return ctypes.CDLL('libevp-contract-1.so.0')


def _call(arguments, words):
    """Runs the C program that the contract is, in this process, and returns its status."""
    import gi
    gi.require_version('Evp', '1.0')
    from gi.repository import Evp, GLib  # noqa: F401, for the factory

    factory = _find(arguments.factory)
    library = _library()
    gobject = ctypes.CDLL('libgobject-2.0.so.0')
    gobject.g_object_ref.argtypes = [ctypes.c_void_p]
    gobject.g_object_ref.restype = ctypes.c_void_p
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]
    pointer_of.restype = ctypes.c_void_p

    def made(thing):
        return gobject.g_object_ref(pointer_of(thing.__gpointer__, None))

    def make_loop(context, _error):
        # the contract has two: the default one, and one of the loop's own
        return made(factory(GLib.MainContext.default() if context else None))

    def make():
        return made(factory())

    def make_proactor(_error):
        return made(factory())

    kinds = {'loop': (ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p), make_loop),
             'proactor': (ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p), make_proactor)}
    signature, maker = kinds.get(arguments.kind, (ctypes.CFUNCTYPE(ctypes.c_void_p), make))
    maker = signature(maker)
    flags = sum(1 << FLAGS[arguments.kind].index(flag) for flag in arguments.flags)

    words = [b'evp-contract', *(word.encode() for word in words)]
    count = ctypes.c_int(len(words))
    vector = (ctypes.c_char_p * (len(words) + 1))(*words, None)
    pointer = ctypes.cast(vector, ctypes.c_void_p)
    library.evp_contract_init(ctypes.byref(count), ctypes.byref(pointer))
    add = getattr(library, f'evp_contract_add_{arguments.kind}')
    # a proactor has no flags: what it supports it says itself
    add(arguments.name.encode(), maker, *([ctypes.c_int(flags)] if FLAGS[arguments.kind] else []))
    return library.evp_contract_run()


def _again(*words):
    """The command that runs this program with further words."""
    return [sys.executable, '-m', 'evp_contract', *sys.argv[1:], *words]


def _cases():
    listed = subprocess.run(_again('--inside=-l'), capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        sys.exit(f'evp_contract: the cases cannot be listed\n{listed.stdout}{listed.stderr}')
    # newer GLibs list them as comments of TAP
    lines = [line.removeprefix('# ') for line in listed.stdout.splitlines()]
    return [line for line in lines if line.startswith('/')]


def _run(case):
    """What went wrong, or None; and why it was skipped, or None."""
    # into a file: children that a failed case leaves behind would hold a pipe open
    with tempfile.TemporaryFile('w+', errors='replace') as output:
        process = subprocess.Popen(_again(f'--inside=-p {case}'), stdout=output, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            status = process.wait(TIME_LIMIT)
        except subprocess.TimeoutExpired:
            status = None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        output.seek(0)
        text = output.read()
    if status is None:
        return f'no end after {TIME_LIMIT} s\n{text}', None
    lines = text.splitlines()
    skipped = [line.partition('# SKIP')[2].strip() for line in lines if '# SKIP' in line]
    if status != 0 or not any(line.startswith('ok ') for line in lines):
        return f'status {status}\n{text}', None
    return None, skipped[0] if skipped else None


def main():
    parser = argparse.ArgumentParser(prog='python3 -m evp_contract', description=__doc__.splitlines()[0])
    parser.add_argument('kind', choices=sorted(FLAGS))
    parser.add_argument('factory', metavar='MODULE:FACTORY')
    parser.add_argument('--name', default='yours', help='in the paths of the cases')
    parser.add_argument('--flags', default='', type=lambda text: [flag for flag in text.split(',') if flag])
    parser.add_argument('--inside', metavar='WORDS', help=argparse.SUPPRESS)
    parser.add_argument('cases', nargs='*', metavar='CASE', help='only those whose path ends so')
    arguments = parser.parse_intermixed_args()
    for flag in arguments.flags:
        if flag not in FLAGS[arguments.kind]:
            parser.error(f'there is no flag “{flag}” for a {arguments.kind}; there are {", ".join(FLAGS[arguments.kind]) or "none"}')

    if arguments.inside is not None:
        sys.stdout.flush()
        # not through the interpreter's end: the contract is a C program
        os._exit(_call(arguments, arguments.inside.split()))

    _find(arguments.factory)
    cases = [case for case in _cases() if not arguments.cases or case.endswith(tuple(arguments.cases))]
    print(f'1..{len(cases)}', flush=True)
    failed = 0
    for number, case in enumerate(cases, 1):
        problem, skipped = _run(case)
        if problem is not None:
            failed += 1
            for line in problem.splitlines():
                print(f'# {line}')
        print(f'{"not ok" if problem is not None else "ok"} {number} {case}{f" # SKIP {skipped}" if skipped else ""}',
              flush=True)
    return 1 if failed or not cases else 0


if __name__ == '__main__':
    sys.exit(main())
