# SPDX-License-Identifier: LGPL-2.1-or-later
"""The part of fuzz-api.py for C: every pointer is NULL, every number is extreme.

The bindings refuse NULL where the documentation does. C does not, so each function of the library has to:
with a critical and a harmless result, or with an error.
"""

import ctypes
import json
import math
import os
import random
import sys

with open(sys.argv[1], encoding='utf-8') as file:
    JOB = json.load(file)

LOG = os.open(JOB['log'], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
RANDOM = random.Random(JOB['seed'])

INTEGERS = {
    'gint': ctypes.c_int, 'gint32': ctypes.c_int32, 'guint': ctypes.c_uint, 'guint32': ctypes.c_uint32,
    'gint64': ctypes.c_int64, 'guint64': ctypes.c_uint64, 'gsize': ctypes.c_size_t, 'gssize': ctypes.c_ssize_t,
    'gboolean': ctypes.c_int, 'GLib.Pid': ctypes.c_int, 'GType': ctypes.c_size_t, 'gulong': ctypes.c_ulong,
}


def log(text):
    os.write(LOG, (text + '\n').encode())


def number(kind):
    if kind == 'gdouble':
        return ctypes.c_double(RANDOM.choice((0.0, -1.0, math.nan, math.inf, -math.inf, 1e308)))
    c_type = INTEGERS.get(kind, ctypes.c_int)  # an enumeration
    bits = ctypes.sizeof(c_type) * 8
    if kind == 'GType':  # GObject itself trusts these
        return c_type(RANDOM.choice((0, 4, 80)))
    return c_type(RANDOM.choice((0, 1, -1, 2**(bits - 1) - 1, -2**(bits - 1), 2**bits - 1)))


def main():
    library = ctypes.CDLL('libevp-1.so.0')
    entry = JOB['classes'][JOB['name']]
    if 'get_type' in entry:
        kind = getattr(library, entry['get_type'])
        kind.restype = ctypes.c_size_t
        kind()
    calls = [(function, True) for function in entry.get('methods', [])]
    calls += [(function, False) for what in ('constructors', 'functions') for function in entry.get(what, [])]
    for function, method in calls:
        if not function['symbol'].startswith('evp_') or not hasattr(library, function['symbol']):
            continue
        call = getattr(library, function['symbol'])
        call.restype = ctypes.c_double if function['returns'] == 'gdouble' else ctypes.c_void_p
        for _ in range(6):
            values = [None] if method else []
            values += [None if kind == 'pointer' or '.' in kind and kind not in INTEGERS and not enum(kind)
                       else number(kind) for kind in function['all']]
            if function['throws']:
                values.append(None)
            log(f'{function["symbol"]} ({", ".join("NULL" if value is None else str(value.value) for value in values)})')
            call(*values)
    log('END')


def enum(kind):
    """Whether a type that is no number by itself is one all the same."""
    return kind.partition('.')[2] in JOB['enums'] if kind.startswith('Evp.') else kind in (
        'Gio.SocketFamily', 'Gio.TlsAuthenticationMode', 'Gio.TlsCertificateFlags')


main()
