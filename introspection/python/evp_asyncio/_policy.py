# SPDX-License-Identifier: LGPL-2.1-or-later
"""asyncio's event loop policy, for Pythons that have them."""

from __future__ import annotations

import asyncio
import threading
import warnings
from typing import Any, Optional

from gi.repository import Evp, GLib

from ._loop import EventLoop
from ._watchers import ChildWatcher


def policy_class() -> Optional[type]:
    """Makes the class, or returns None where asyncio has no policies any more."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        base: Any = getattr(asyncio, 'DefaultEventLoopPolicy', None)
        if base is None:
            return None

        class EventLoopPolicy(base):
            """Makes loops that live in GLib main contexts.

            With a policy of Evp's, which may be one written in Python, new loops live beside that policy's, in the
            main contexts that it chooses, and its child watcher is the one that asyncio gets.
            """

            _loop_factory = EventLoop

            def __init__(self, evp: Optional[Evp.AbstractEventLoopPolicy] = None) -> None:
                super().__init__()
                self.evp = evp

            def new_event_loop(self) -> EventLoop:
                if self.evp is None:
                    return self._loop_factory()
                try:
                    evp = self.evp.new_event_loop()
                except GLib.Error as error:
                    raise RuntimeError(error.message) from None
                return self._loop_factory(evp=evp)

            if hasattr(base, 'get_child_watcher'):
                def get_child_watcher(self) -> Any:
                    """The watcher that was set, or that of Evp's policy, or asyncio's default."""
                    if self._watcher is None and self.evp is not None:
                        try:
                            watcher = ChildWatcher(self.evp.get_child_watcher())
                        except GLib.Error as error:
                            raise RuntimeError(error.message) from None
                        loop = self._local._loop
                        if loop is not None and threading.current_thread() is threading.main_thread():
                            watcher.attach_loop(loop)  # as asyncio does with its own
                        self._watcher = watcher
                    return super().get_child_watcher()

    EventLoopPolicy.__module__ = __package__
    EventLoopPolicy.__qualname__ = 'EventLoopPolicy'
    return EventLoopPolicy
