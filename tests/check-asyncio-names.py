#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every public name of asyncio and selectors has a row on the page "From asyncio".

    check-asyncio-names.py PAGE

The names are those of the Python that runs this. A Python that is newer than the page may have more: then the test
is skipped, and says which.
"""

import asyncio
import inspect
import pathlib
import re
import selectors
import sys
import warnings

# what is on its way out is on the page, too
warnings.simplefilter('ignore', DeprecationWarning)

NEWEST = (3, 11)  # the Python that the page is about

# classes whose methods and attributes are names, too
CLASSES = [asyncio.AbstractEventLoop, asyncio.BaseEventLoop, asyncio.AbstractEventLoopPolicy, asyncio.Handle,
           asyncio.TimerHandle, asyncio.Future, asyncio.Task, asyncio.AbstractServer, asyncio.Server,
           asyncio.BaseTransport, asyncio.ReadTransport, asyncio.WriteTransport, asyncio.Transport,
           asyncio.DatagramTransport, asyncio.SubprocessTransport, asyncio.BaseProtocol, asyncio.Protocol,
           asyncio.BufferedProtocol, asyncio.DatagramProtocol, asyncio.SubprocessProtocol,
           asyncio.StreamReader, asyncio.StreamWriter, asyncio.subprocess.Process,
           asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.Queue,
           selectors.BaseSelector, selectors.SelectorKey]
CLASSES += [getattr(asyncio, name) for name in ('Barrier', 'Runner', 'TaskGroup', 'Timeout', 'AbstractChildWatcher')
            if hasattr(asyncio, name)]

# of other platforms
ELSEWHERE = ['ProactorEventLoop', 'IocpProactor', 'WindowsSelectorEventLoopPolicy', 'WindowsProactorEventLoopPolicy',
             'KqueueSelector', 'DevpollSelector', 'PIPE', 'STDOUT', 'DEVNULL', 'EVENT_READ', 'EVENT_WRITE',
             'pid', 'returncode', 'stdin', 'stdout', 'stderr', 'slow_callback_duration', 'TaskGroup']


def names_of_asyncio():
    names = {name for name in asyncio.__all__ if not name.startswith('_')}
    names |= {name for name in dir(selectors) if name.endswith(('Selector', 'SelectorKey')) and not name.startswith('_')}
    for cls in CLASSES:
        names |= {name for name, _ in inspect.getmembers(cls) if not name.startswith('_')}
    # what SelectorKey has as a tuple
    return (names | set(ELSEWHERE)) - {'index', 'count'}


def names_on_page(text):
    """What stands in code in the first column of a table."""
    names = set()
    for row in re.findall(r'^\| (.*?) \|', text, re.M):
        for code in re.findall(r'`([^`]+)`', row):
            names.update(re.findall(r'[A-Za-z_]\w*', code))
    return names


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    missing = sorted(names_of_asyncio() - names_on_page(pathlib.Path(sys.argv[1]).read_text(encoding='utf-8')))
    for name in missing:
        print(f'{name} is not on the page')
    print(f'{len(names_of_asyncio())} names, {len(missing)} missing')
    if missing and sys.version_info[:2] > NEWEST:
        print(f'this Python is newer than {NEWEST[0]}.{NEWEST[1]}, which the page is about')
        return 77
    return 1 if missing else 0


if __name__ == '__main__':
    sys.exit(main())
