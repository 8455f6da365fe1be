# SPDX-License-Identifier: LGPL-2.1-or-later
"""A child watcher written in Python: a thread that waits for each child."""

import os
import threading

from evptest import Evp, GLib
from gi.repository import GObject


class WaitingWatcher(GObject.Object, Evp.AbstractChildWatcher):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
        self.handlers = {}
        self.threads = {}
        self.loop = None
        self.closed = False
        self.bracket = 0
        self.added = []

    def do_add_handler(self, pid, handler):
        if self.closed:
            raise GLib.Error.new_literal(Evp.Error.quark(), 'closed', Evp.Error.WATCHER_CLOSED)
        self.added.append(pid)
        with self.lock:
            replaced = self.handlers.get(pid)
            self.handlers[pid] = handler
            if pid not in self.threads:
                self.threads[pid] = threading.Thread(target=self.wait, args=(pid,), daemon=True)
                self.threads[pid].start()
        if replaced is not None:
            replaced.cancel()
        return True

    def wait(self, pid):
        lost = False
        returncode = None
        try:
            returncode = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        except ChildProcessError:
            lost = True
        with self.lock:
            handler = self.handlers.pop(pid, None)
            del self.threads[pid]
        if handler is None:
            return
        report = (handler.invoke_lost, pid) if lost else (handler.invoke, pid, returncode)
        if handler.get_loop() is None and self.loop is not None:
            # it was added where no loop ran: ours is the one that it is for
            self.loop.call_soon_threadsafe(*report)
        else:
            report[0](*report[1:])

    def do_remove_handler(self, pid):
        with self.lock:
            handler = self.handlers.pop(pid, None)
        if handler is not None:
            handler.cancel()
        return handler is not None

    def do_attach_loop(self, loop):
        self.loop = loop
        self.closed = False
        return True

    def do_is_active(self):
        return not self.closed

    def do_close(self):
        self.closed = True
        with self.lock:
            handlers = list(self.handlers.values())
            self.handlers.clear()
        for handler in handlers:
            handler.cancel()

    def do_enter(self):
        self.bracket += 1

    def do_exit(self):
        self.bracket -= 1
