# SPDX-License-Identifier: LGPL-2.1-or-later
"""A selector written in Python, on select.poll()."""

import math
import select

from evptest import Evp, GLib

EVENTS = ((Evp.IOEvents.READ, select.POLLIN), (Evp.IOEvents.WRITE, select.POLLOUT))
ALWAYS = select.POLLHUP | select.POLLERR | select.POLLNVAL


def error(code, message):
    return GLib.Error.new_literal(Evp.Error.quark(), message, code)


class PollingSelector(Evp.Selector):
    """Knows nothing but select.poll(); counts what it is asked."""

    def __init__(self):
        super().__init__()
        self.keys = {}
        self.poll = select.poll()
        self.selects = 0

    def check_open(self):
        if self.keys is None:
            raise error(Evp.Error.INVALID_STATE, 'the selector is closed')

    def find(self, fd):
        self.check_open()
        if fd not in self.keys:
            raise error(Evp.Error.NOT_FOUND, f'{fd} is not registered')
        return self.keys[fd]

    def watch(self, key):
        self.poll.register(key.get_fd(), sum(mask for event, mask in EVENTS if key.get_events() & event))

    def do_register_fd(self, fd, events, data):
        self.check_open()
        if fd in self.keys:
            raise error(Evp.Error.EXISTS, f'{fd} is registered already')
        key = self.keys[fd] = Evp.SelectorKey.new(fd, events, data)
        self.watch(key)
        return key

    def do_modify(self, fd, events, data):
        key = self.find(fd)
        key.set_events(events)
        key.set_data(data)
        self.watch(key)
        return key

    def do_unregister(self, fd):
        self.find(fd)
        del self.keys[fd]
        self.poll.unregister(fd)
        return True

    def do_select(self, timeout):
        self.check_open()
        self.selects += 1
        for key in self.keys.values():
            key.set_ready_events(Evp.IOEvents.NONE)
        ready = []
        # milliseconds, rounded up: never too early
        for fd, mask in self.poll.poll(None if timeout < 0 else math.ceil(timeout * 1000)):
            key = self.keys[fd]
            events = Evp.IOEvents.NONE
            for event, bit in EVENTS:
                if key.get_events() & event and mask & (bit | ALWAYS):
                    events |= event
            if events:
                key.set_ready_events(events)
                ready.append(key)
        return ready

    def do_get_key(self, fd):
        return self.find(fd)

    def do_get_map(self):
        return None if self.keys is None else list(self.keys.values())

    def do_close(self):
        self.keys = None
        self.poll = None
