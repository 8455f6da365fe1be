# SPDX-License-Identifier: LGPL-2.1-or-later
"""Proactors: files on the library's own, and a proactor written in Python."""

import errno
import os
import socket
import tempfile

from gi.repository import Gio

from evptest import Evp, GLib, TestCase, main


class PlainProactor(Evp.Proactor):
    """Does files, when the loop asks for what is done; everything else is left to the loop."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.pending = []

    def do_attach(self, context):
        self.calls.append('attach')

    def do_supports(self, kind):
        return kind in (Evp.OperationKind.READ, Evp.OperationKind.WRITE)

    def do_submit(self, operation):
        self.calls.append('submit')
        self.pending.append(operation)
        return True

    def do_cancel(self, operation):
        self.calls.append('cancel')
        self.pending.remove(operation)
        operation.fail(errno.ECANCELED)

    def do_poll(self):
        pending, self.pending = self.pending, []
        for operation in pending:
            fd, offset = operation.get_fd(), operation.get_offset()
            try:
                if operation.get_kind() == Evp.OperationKind.READ:
                    data = os.pread(fd, operation.get_length(), offset)
                    operation.complete(operation.store_data(GLib.Bytes.new(data)))
                else:
                    operation.complete(os.pwrite(fd, operation.copy_data().get_data(), offset))
            except OSError as error:
                operation.fail(error.errno)
        return len(pending)

    def do_get_fd(self):
        return -1

    def do_close(self):
        self.calls.append('close')
        for operation in self.pending:
            operation.fail(errno.ECANCELED)
        self.pending = []


class ProactorTest(TestCase):
    def setUp(self):
        super().setUp()
        self.file = tempfile.TemporaryFile()
        self.addCleanup(self.file.close)
        self.fd = self.file.fileno()

    def new_proactor_loop(self, proactor):
        loop = Evp.ProactorEventLoop(proactor=proactor)
        self.addCleanup(loop.close)
        return loop

    def use_files(self, loop):
        os.pwrite(self.fd, b'0123456789', 0)

        async def work():
            data = await loop.read_async(self.fd, 4, 2)
            self.assertEqual(data.get_data(), b'2345')
            self.assertEqual(await loop.write_async(self.fd, GLib.Bytes.new(b'xyz'), 3), 3)
            data = await loop.read_async(self.fd, 100, 0)
            self.assertEqual(data.get_data(), b'012xyz6789')
            self.assertEqual((await loop.read_async(self.fd, 100, 10)).get_size(), 0)

        loop.run_until_complete(work())

    def test_own(self):
        for make in (Evp.GioProactor, Evp.Proactor.new_default):
            with self.subTest(make=make):
                self.use_files(self.new_proactor_loop(make()))

    def test_whole_files(self):
        loop = self.new_proactor_loop(Evp.Proactor.new_default())
        with tempfile.TemporaryDirectory() as folder:
            file = Gio.File.new_for_path(os.path.join(folder, 'file'))

            async def work():
                self.assertTrue(await loop.save_file_async(file, GLib.Bytes.new(b'contents')))
                self.assertEqual((await loop.load_file_async(file)).get_data(), b'contents')
                with self.assertRaises(GLib.Error) as caught:
                    await loop.load_file_async(file.get_child('none'))
                self.assertTrue(caught.exception.matches(Gio.io_error_quark(), Gio.IOErrorEnum.NOT_DIRECTORY))

            loop.run_until_complete(work())

    # Rules: V-5
    def test_in_python(self):
        proactor = PlainProactor()
        loop = self.new_proactor_loop(proactor)
        self.use_files(loop)
        self.assertEqual(proactor.calls[:2], ['attach', 'submit'])
        self.assertEqual(proactor.calls.count('attach'), 1)

        # its errors are the caller's
        async def fail():
            closed = os.dup(self.fd)
            os.close(closed)
            with self.assertRaises(GLib.Error) as caught:
                await loop.read_async(closed, 1, 0)
            self.assertIn(os.strerror(errno.EBADF), caught.exception.message)

        loop.run_until_complete(fail())

        # what is pending when the loop closes ends with it
        ended = []

        def done(source, result):
            try:
                loop.read_finish(result)
            except GLib.Error as error:
                ended.append(error)

        loop.read_async(self.fd, 4, 0, None, done)
        loop.close()
        self.assertEqual(proactor.calls[-1], 'close')
        self.assertEqual(len(ended), 1)
        self.assertTrue(ended[0].matches(Evp.Error.quark(), Evp.Error.LOOP_CLOSED))

    def test_unsupported(self):
        """What it cannot do is done by readiness: sockets work on a loop whose proactor knows only files."""
        loop = self.new_proactor_loop(PlainProactor())
        ours, peer = socket.socketpair()
        self.addCleanup(peer.close)
        sock = Gio.Socket.new_from_fd(ours.detach())
        sock.set_blocking(False)
        self.addCleanup(sock.close)

        async def talk():
            loop.call_soon(peer.send, b'hello')
            return (await loop.sock_recv_async(sock, 16)).get_data()

        self.assertEqual(loop.run_until_complete(talk()), b'hello')


if __name__ == '__main__':
    main()
