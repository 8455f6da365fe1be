# SPDX-License-Identifier: LGPL-2.1-or-later
"""A child watcher written in Python, as somebody else would; and one that counts wrong."""

import os
import threading

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp, GObject  # noqa: E402


class Waiting(Evp.ThreadedChildWatcher):
    """Ours, with an override that chains up."""

    def do_add_handler(self, pid, handler):
        return super().do_add_handler(pid, handler)


class Wrong(GObject.Object, Evp.AbstractChildWatcher):
    """It is always one off."""

    loop = None

    def do_add_handler(self, pid, handler):
        threading.Thread(target=self.wait, args=(pid, handler), daemon=True).start()
        return True

    def wait(self, pid, handler):
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            code = 254
        (handler.get_loop() or self.loop).call_soon_threadsafe(handler.invoke, pid, code + 1)

    def do_remove_handler(self, pid):
        return False

    def do_attach_loop(self, loop):
        self.loop = loop
        return True

    def do_is_active(self):
        return True

    def do_close(self):
        pass

    def do_enter(self):
        pass

    def do_exit(self):
        pass
