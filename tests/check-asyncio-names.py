#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every public name of asyncio and selectors has a row on the page "From asyncio".

    check-asyncio-names.py PAGE

The names are those of the Python that runs this, and those that other Pythons have up to the newest one that the page
is about. A Python that is newer still may have more: if only such are missing, the test is skipped, and says which.
"""

import asyncio
import inspect
import itertools
import pathlib
import re
import selectors
import sys
import warnings

# what is on its way out is on the page, too
warnings.simplefilter('ignore', DeprecationWarning)

NEWEST = (3, 14)  # the Python that the page is about

# the names that are not in all of them
ADDED = {
    (3, 12): ['create_eager_task_factory', 'eager_task_factory', 'get_context'],
    (3, 13): ['EventLoop', 'QueueShutDown', 'abort_clients', 'close_clients', 'shutdown'],
    (3, 14): ['FrameCallGraphEntry', 'FutureCallGraph', 'capture_call_graph', 'format_call_graph',
              'future_add_to_awaited_by', 'future_discard_from_awaited_by', 'print_call_graph'],
}
REMOVED = {
    (3, 11): ['coroutine'],
    (3, 14): ['AbstractChildWatcher', 'FastChildWatcher', 'MultiLoopChildWatcher', 'PidfdChildWatcher',
              'SafeChildWatcher', 'ThreadedChildWatcher', 'add_child_handler', 'attach_loop', 'get_child_watcher',
              'is_active', 'remove_child_handler', 'set_child_watcher'],
    (3, 16): ['AbstractEventLoopPolicy', 'DefaultEventLoopPolicy', 'WindowsProactorEventLoopPolicy',
              'WindowsSelectorEventLoopPolicy', 'get_event_loop_policy', 'set_event_loop_policy'],
}

# classes whose methods and attributes are names, too, as far as this Python has them
CLASSES = [getattr(asyncio, name) for name in (
    'AbstractEventLoop', 'BaseEventLoop', 'AbstractEventLoopPolicy', 'AbstractChildWatcher', 'Handle', 'TimerHandle',
    'Future', 'Task', 'TaskGroup', 'Timeout', 'Runner', 'AbstractServer', 'Server', 'BaseTransport', 'ReadTransport',
    'WriteTransport', 'Transport', 'DatagramTransport', 'SubprocessTransport', 'BaseProtocol', 'Protocol',
    'BufferedProtocol', 'DatagramProtocol', 'SubprocessProtocol', 'StreamReader', 'StreamWriter', 'Lock', 'Event',
    'Condition', 'Semaphore', 'Barrier', 'Queue') if hasattr(asyncio, name)]
CLASSES += [asyncio.subprocess.Process, selectors.BaseSelector, selectors.SelectorKey]

# of other platforms
ELSEWHERE = ['ProactorEventLoop', 'IocpProactor', 'WindowsSelectorEventLoopPolicy', 'WindowsProactorEventLoopPolicy',
             'KqueueSelector', 'DevpollSelector', 'PIPE', 'STDOUT', 'DEVNULL', 'EVENT_READ', 'EVENT_WRITE',
             'pid', 'returncode', 'stdin', 'stdout', 'stderr', 'slow_callback_duration', 'TaskGroup']


def known_names():
    """What is on the page whatever Python runs this."""
    return {*ELSEWHERE, *itertools.chain(*ADDED.values(), *REMOVED.values())}


def names_of_asyncio():
    names = {name for name in asyncio.__all__ if not name.startswith('_')}
    names |= {name for name in dir(selectors) if name.endswith(('Selector', 'SelectorKey')) and not name.startswith('_')}
    for cls in CLASSES:
        names |= {name for name, _ in inspect.getmembers(cls) if not name.startswith('_')}
    # what SelectorKey has as a tuple
    return names - {'index', 'count'}


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
    known, there = known_names(), names_of_asyncio()
    missing = (known | there) - names_on_page(pathlib.Path(sys.argv[1]).read_text(encoding='utf-8'))
    for name in sorted(missing):
        print(f'{name} is not on the page')
    print(f'{len(known | there)} names, {len(missing)} missing')
    if missing and missing.isdisjoint(known) and sys.version_info[:2] > NEWEST:
        print(f'this Python is newer than {NEWEST[0]}.{NEWEST[1]}, the newest that the page is about')
        return 77
    return 1 if missing else 0


if __name__ == '__main__':
    sys.exit(main())
