# SPDX-License-Identifier: LGPL-2.1-or-later
"""Child watchers in both directions."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any, Callable, Optional

from gi.repository import Evp, GLib, GObject

from ._bridge import as_evp

with warnings.catch_warnings():
    warnings.simplefilter('ignore', DeprecationWarning)
    _Base: Any = getattr(asyncio, 'AbstractChildWatcher', object)  # gone in Python 3.14

    class ChildWatcher(_Base):
        """A child watcher of Evp's, for asyncio: ``asyncio.set_child_watcher(ChildWatcher(Evp.PidfdChildWatcher()))``.

        On Pythons whose asyncio has no child watchers it is a plain object with the same methods.
        """

        def __init__(self, evp: Optional[Evp.AbstractChildWatcher] = None) -> None:
            if evp is not None and not isinstance(evp, Evp.AbstractChildWatcher):
                raise TypeError(f'an Evp.AbstractChildWatcher is needed, not {type(evp).__name__}')
            self.evp = Evp.AbstractChildWatcher.new_default() if evp is None else evp

        def add_child_handler(self, pid: int, callback: Callable, *args: Any) -> None:
            """Runs ``callback(pid, returncode, *args)`` in the running loop when a child has ended."""
            loop = asyncio.get_running_loop()

            def ended(pid: int, returncode: int) -> None:
                loop.call_soon(callback, pid, returncode, *args)

            try:
                self.evp.add_handler(pid, Evp.ChildHandler.new(pid, as_evp(loop), ended))
            except GLib.Error as error:
                raise RuntimeError(error.message) from None

        def remove_child_handler(self, pid: int) -> bool:
            return self.evp.remove_handler(pid)

        def attach_loop(self, loop: Optional[asyncio.AbstractEventLoop]) -> None:
            try:
                self.evp.attach_loop(None if loop is None or loop.is_closed() else as_evp(loop))
            except GLib.Error as error:
                raise RuntimeError(error.message) from None

        def is_active(self) -> bool:
            return self.evp.is_active()

        def close(self) -> None:
            self.evp.close()

        def __enter__(self) -> ChildWatcher:
            self.evp.enter()
            return self

        def __exit__(self, *_exception: Any) -> None:
            self.evp.exit()


class EvpChildWatcher(GObject.Object, Evp.AbstractChildWatcher):
    """A child watcher of asyncio's, for C code that takes one of Evp's.

    Children can be added while a loop of asyncio's runs.
    """

    def __init__(self, watcher: Any) -> None:
        if not callable(getattr(watcher, 'add_child_handler', None)):  # asyncio's class is gone since Python 3.14
            raise TypeError(f'a child watcher of asyncio is needed, not {type(watcher).__name__}')
        super().__init__()
        self.watcher = watcher

    def do_add_handler(self, pid: int, handler: Evp.ChildHandler) -> bool:
        try:
            self.watcher.add_child_handler(pid, self._ended, handler)
        except (RuntimeError, OSError) as error:
            raise GLib.Error.new_literal(Evp.Error.quark(), str(error), Evp.Error.FAILED) from None
        return True

    @staticmethod
    def _ended(pid: int, returncode: int, handler: Evp.ChildHandler) -> None:
        handler.invoke(pid, returncode)

    def do_remove_handler(self, pid: int) -> bool:
        return bool(self.watcher.remove_child_handler(pid))

    def do_attach_loop(self, loop: Optional[Evp.AbstractEventLoop]) -> bool:
        if loop is None:
            self.watcher.attach_loop(None)
            return True
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is None or as_evp(running) != loop:
            raise GLib.Error.new_literal(Evp.Error.quark(), 'only the running loop of asyncio can be attached',
                                         Evp.Error.NOT_SUPPORTED)
        self.watcher.attach_loop(running)
        return True

    def do_is_active(self) -> bool:
        return self.watcher.is_active()

    def do_close(self) -> None:
        self.watcher.close()

    def do_enter(self) -> None:
        self.watcher.__enter__()

    def do_exit(self) -> None:
        self.watcher.__exit__(None, None, None)
