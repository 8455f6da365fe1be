# SPDX-License-Identifier: LGPL-2.1-or-later
"""A proactor for files written in Python, as somebody else would; one that loses a byte; and a selector."""

import os

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp, GLib  # noqa: E402


class Files(Evp.Proactor):
    """Reads and writes at once, but completes when it is polled."""

    def __init__(self):
        super().__init__()
        self.pending = []
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def do_supports(self, kind):
        return kind in (Evp.OperationKind.READ, Evp.OperationKind.WRITE)

    def do_submit(self, operation):
        self.pending.append(operation)
        os.eventfd_write(self.fd, 1)
        return True

    def do_cancel(self, operation):
        pass  # it is done before anybody could

    def do_poll(self):
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass
        pending, self.pending = self.pending, []
        for operation in pending:
            self.execute(operation)
        return len(pending)

    def do_get_fd(self):
        return self.fd

    def do_close(self):
        if self.fd >= 0:
            self.do_poll()
            os.close(self.fd)
            self.fd = -1

    def execute(self, operation):
        fd, offset = operation.get_fd(), operation.get_offset()
        try:
            if operation.get_kind() == Evp.OperationKind.READ:
                count = operation.get_length()
                data = os.read(fd, count) if offset < 0 else os.pread(fd, count, offset)
                operation.store_data(GLib.Bytes.new(self.seen(data)))
                operation.complete(len(self.seen(data)))
            else:
                data = operation.copy_data().get_data()
                operation.complete(os.write(fd, data) if offset < 0 else os.pwrite(fd, data, offset))
        except OSError as error:
            operation.fail(error.errno)

    def seen(self, data):
        return data


class Forgetful(Files):
    """It is always one byte short."""

    def seen(self, data):
        return data[:-1]


class Polling(Evp.PollSelector):
    """Ours, with an override that chains up."""

    def do_select(self, timeout):
        return super().do_select(timeout)
