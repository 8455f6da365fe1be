# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program with types, for test_stubs.py: mypy must find what "wrong:" announces, and nothing else."""

from __future__ import annotations

import socket

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp, Gio, GLib, GObject  # noqa: E402


class Policy(Evp.DefaultEventLoopPolicy):
    def do_get_event_loop(self) -> Evp.AbstractEventLoop:
        return super().do_get_event_loop()

    def do_set_event_loop(self, loop: str) -> bool:  # wrong: override
        return True


class Watcher(GObject.Object, Evp.AbstractChildWatcher):
    def do_add_handler(self, pid: int, handler: Evp.ChildHandler) -> bool:
        handler.invoke(pid, 0)
        handler.invoke('pid', 0)  # wrong: arg-type
        return True


def readable(fd: int, name: str) -> None:
    print(fd, name)


async def child(loop: Evp.AbstractEventLoop) -> int:
    options = Evp.SubprocessOptions(stdout=Evp.Stdio.PIPE, cwd='/')
    options.set_stdin('pipe')  # wrong: arg-type
    process = await loop.subprocess_exec_async(['true'], options)
    fine, output, _ = await process.communicate_async(b'input')
    text: str = output  # wrong: assignment
    if output is not None:
        data: bytes = output.get_data()
        print(data, fine, text)
    length: int = process.returncode  # wrong: assignment
    process.no_such_method()  # wrong: attr-defined
    return await process.wait_async()


async def main(loop: Evp.AbstractEventLoop) -> str:
    left, right = socket.socketpair()
    loop.add_reader(left, readable, 'left')
    loop.add_reader('left', readable)  # wrong: arg-type
    loop.call_later(0.1, readable, 1, 'one').cancel()
    when: float = loop.call_at(loop.time() + 1, print).when()
    loop.call_later('soon', print)  # wrong: arg-type
    number: int = await loop.run_in_executor(lambda: 3)
    task = loop.create_task(child(loop))
    code: str = await task  # wrong: assignment
    print(when, number, code, await loop.create_task(child(loop)) + 1)
    future: Evp.Future[str] = loop.create_future()
    future.set_result(3)  # wrong: arg-type
    future.set_exception(ValueError)
    server = await loop.create_server_async(port=0)
    async with server:
        print(server.sockets)
    with Evp.PollSelector() as selector:
        key: Evp.SelectorKey = selector.register(right, Evp.IOEvents.READ)
        print(key.get_fd(), selector.select(0.5))
    loop.sock_recv_async(Gio.Socket(), 10, None, lambda source, result: source.sock_recv_finish(result))
    try:
        Evp.get_running_loop()
    except GLib.Error as error:
        print(error.matches(Evp.Error.quark(), Evp.Error.NO_RUNNING_LOOP))
    return 'done'


Evp.set_event_loop_policy(Policy(missing_loop=Evp.MissingLoop.WARN))
Evp.set_child_watcher(Watcher())
Evp.set_child_watcher(Policy())  # wrong: arg-type
print(Evp.run(main).upper())
