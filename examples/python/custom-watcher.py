#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A child watcher of one's own, for the whole process: it tells how long each child lived.

It leaves the noticing to its parent. A watcher from scratch derives from GObject.Object and
Evp.AbstractChildWatcher instead, and calls handler.invoke(pid, returncode) itself.
"""

import time

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp  # noqa: E402


class TimingWatcher(Evp.ThreadedChildWatcher):
    def do_add_handler(self, pid, handler):
        start = time.monotonic()

        def ended(pid, returncode):
            print(f'child {pid} ended with {returncode} after {time.monotonic() - start:.3f} s')
            handler.invoke(pid, returncode)

        # our handler goes to the parent in place of the caller's, which it calls
        return super().do_add_handler(pid, Evp.ChildHandler.new(pid, handler.get_loop(), ended))


async def main(loop):
    process = await loop.subprocess_shell_async('exit 3', None)
    print(f'and its return code is {await process.wait_async()}')


Evp.set_child_watcher(TimingWatcher())
Evp.run(main)
