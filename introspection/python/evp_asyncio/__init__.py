# SPDX-License-Identifier: LGPL-2.1-or-later
"""asyncio inside a GLib main context: beside GTK, GIO, D-Bus and the loops of Evp.

::

    import evp_asyncio

    evp_asyncio.run(main())                          # instead of asyncio.run()
    evp_asyncio.install()                            # or: let asyncio.run() and all others use it
    asyncio.Runner(loop_factory=evp_asyncio.EventLoop)
    evp_asyncio.run_application(app, sys.argv)       # Gtk.Application drives asyncio

An :class:`EventLoop` is asyncio's own selector event loop: transports, TLS, subprocesses and streams are
CPython's. Only the waiting is done by the main context, which polls one descriptor for all of the loop's.
"""

from __future__ import annotations

import warnings
from typing import Any

import gi

gi.require_version('Evp', '1.0')

with warnings.catch_warnings():
    warnings.simplefilter('ignore', ImportWarning)  # of how older PyGObjects import what is in a repository
    from gi.repository import Evp as _Evp, Gio as _Gio, GLib as _GLib, GObject as _GObject  # noqa: F401

# pylint: disable=wrong-import-position
from ._bridge import as_evp, gio, wrap_future
from ._loop import EventLoop
from ._run import create_application_task, install, run, run_application
from ._watchers import ChildWatcher, EvpChildWatcher

__all__ = ['ChildWatcher', 'EventLoop', 'EventLoopPolicy', 'EvpChildWatcher', 'as_evp', 'create_application_task',
           'gio', 'install', 'run', 'run_application', 'wrap_future']


def __getattr__(name: str) -> Any:
    # made when it is asked for: asyncio's policies warn from Python 3.14 on, and go in 3.16
    if name == 'EventLoopPolicy':
        from ._policy import policy_class
        policy = policy_class()
        if policy is not None:
            globals()[name] = policy
            return policy
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
