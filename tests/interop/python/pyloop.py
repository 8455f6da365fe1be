# SPDX-License-Identifier: LGPL-2.1-or-later
"""A loop written from scratch in Python: it implements the slots, and gets handles to run."""

import collections
import heapq
import itertools
import selectors
import signal
import socket
import time

from evptest import Evp, GLib
from gi.repository import GObject


def error(code, message):
    return GLib.Error.new_literal(Evp.Error.quark(), message, code)


class PythonLoop(GObject.Object, Evp.AbstractEventLoop):
    def __init__(self):
        super().__init__()
        self.ready = collections.deque()
        self.timers = []
        self.count = itertools.count()
        self.selector = selectors.DefaultSelector()
        self.wakeup, self.waker = socket.socketpair()
        self.wakeup.setblocking(False)
        self.waker.setblocking(False)
        self.selector.register(self.wakeup, selectors.EVENT_READ, {})
        self.signals = {}
        self.running = self.stopping = self.closed = self.debug = False

    def check_open(self):
        if self.closed:
            raise error(Evp.Error.LOOP_CLOSED, 'closed')

    # running

    def do_run_forever(self):
        self.check_open()
        if self.running:
            raise error(Evp.Error.LOOP_RUNNING, 'running')
        self.running = True
        try:
            while True:
                self.turn()
                if self.stopping:
                    break
        finally:
            self.running = self.stopping = False
        return True

    def turn(self):
        while self.timers and self.timers[0][2].cancelled():
            heapq.heappop(self.timers)
        if self.ready or self.stopping:
            timeout = 0
        elif self.timers:
            timeout = min(max(0, self.timers[0][0] - time.monotonic()), 86400)  # some timers are for ever
        else:
            timeout = None
        for key, events in self.wait(timeout):
            if key.fileobj is self.wakeup:
                try:
                    self.wakeup.recv(4096)
                except BlockingIOError:
                    pass
                continue
            for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                if events & event:
                    self.ready.append(key.data[event])
        while self.timers and self.timers[0][0] <= time.monotonic():
            self.ready.append(heapq.heappop(self.timers)[2])
        for _ in range(len(self.ready)):
            self.ready.popleft().run()

    def wait(self, timeout):
        return self.selector.select(timeout)

    def do_stop(self):
        self.stopping = True

    def do_is_running(self):
        return self.running

    def do_is_closed(self):
        return self.closed

    def do_close(self):
        if self.running:
            raise error(Evp.Error.LOOP_RUNNING, 'running')
        if not self.closed:
            self.closed = True
            for number in list(self.signals):
                self.do_remove_signal_handler(number)
            # what is scheduled is dropped now, not when the garbage collector comes
            for handle in self.ready:
                handle.cancel()
            for _, _, handle in self.timers:
                handle.cancel()
            for key in list(self.selector.get_map().values()):
                for handle in key.data.values():
                    handle.cancel()
            self.ready.clear()
            self.timers.clear()
            self.selector.close()
            self.wakeup.close()
            self.waker.close()
        return True

    # scheduling

    def do_schedule(self, handle):
        self.check_open()
        self.ready.append(handle)
        return True

    def do_schedule_threadsafe(self, handle):
        self.check_open()
        self.ready.append(handle)
        self.wake_up()
        return True

    def wake_up(self):
        try:
            self.waker.send(b'\0')
        except BlockingIOError:
            pass

    def do_schedule_timer(self, handle):
        self.check_open()
        heapq.heappush(self.timers, (handle.when(), next(self.count), handle))
        return True

    def do_get_time_us(self):
        return time.monotonic_ns() // 1000

    # descriptors and signals

    def watch(self, fd, event, handle):
        self.check_open()
        try:
            key = self.selector.get_key(fd)
        except KeyError:
            self.selector.register(fd, event, {event: handle})
        else:
            if event in key.data:
                key.data[event].cancel()
            self.selector.modify(fd, key.events | event, {**key.data, event: handle})
        return True

    def unwatch(self, fd, event):
        if self.closed or fd not in self.selector.get_map():
            return False
        key = self.selector.get_key(fd)
        if event not in key.data:
            return False
        key.data.pop(event).cancel()
        if key.data:
            self.selector.modify(fd, key.events & ~event, key.data)
        else:
            self.selector.unregister(fd)
        return True

    def do_watch_reader(self, fd, handle):
        return self.watch(fd, selectors.EVENT_READ, handle)

    def do_watch_writer(self, fd, handle):
        return self.watch(fd, selectors.EVENT_WRITE, handle)

    def do_remove_reader(self, fd):
        return self.unwatch(fd, selectors.EVENT_READ)

    def do_remove_writer(self, fd):
        return self.unwatch(fd, selectors.EVENT_WRITE)

    def do_watch_signal(self, signum, handle):
        self.check_open()
        self.do_remove_signal_handler(signum)

        def arrived(_signum, _frame):
            self.ready.append(handle)
            self.wake_up()

        self.signals[signum] = handle, signal.signal(signum, arrived)
        return True

    def do_remove_signal_handler(self, signum):
        if signum not in self.signals:
            return False
        handle, before = self.signals.pop(signum)
        handle.cancel()
        signal.signal(signum, before)
        return True

    def do_get_debug(self):
        return self.debug

    def do_set_debug(self, enabled):
        self.debug = enabled


class ContextLoop(PythonLoop):
    """It waits by iterating GLib's default main context, in which GIO's own helpers end.

    The context is its own all the while: between two iterations another thread would run there what is invoked in it.
    """

    def __init__(self):
        super().__init__()
        self.source = GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, self.selector.fileno(), GLib.IOCondition.IN,
                                            lambda *given: True)

    def do_run_forever(self):
        context = GLib.MainContext.default()
        if not context.acquire():
            raise error(Evp.Error.LOOP_RUNNING, 'another thread iterates the main context')
        try:
            return super().do_run_forever()
        finally:
            context.release()

    def wait(self, timeout):
        context = GLib.MainContext.default()
        if timeout == 0:
            context.iteration(False)
        else:
            timer = None if timeout is None else GLib.timeout_source_new(int(timeout * 1000) + 1)
            if timer is not None:
                GObject.source_set_closure(timer, lambda: False)
                timer.attach(context)
            context.iteration(True)
            if timer is not None:
                timer.destroy()
        return super().wait(0)

    def do_dup_main_context(self):
        return GLib.MainContext.default()

    def do_close(self):
        if not self.closed:
            GLib.source_remove(self.source)
        return super().do_close()
