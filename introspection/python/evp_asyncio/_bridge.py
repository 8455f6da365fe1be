# SPDX-License-Identifier: LGPL-2.1-or-later
"""Between asyncio's and Evp's loops and futures, and from GIO's asynchronous methods."""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from typing import Any, Awaitable, Callable, Optional, Union

from gi.module import get_introspection_module
from gi.overrides import Evp as _override
from gi.repository import Evp, Gio, GLib, GObject

from ._loop import EventLoop


def _error(code: Evp.Error, message: str) -> GLib.Error:
    return GLib.Error.new_literal(Evp.Error.quark(), message, code)


def _nothing() -> None:
    pass


class _AsyncioLoop(GObject.Object, Evp.AbstractEventLoop):
    """Any loop of asyncio's, as one of Evp's."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._reference = weakref.ref(loop)
        self._around = None  # what runs in this thread beside our callbacks

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        loop = self._reference()
        if loop is None or loop.is_closed():
            raise _error(Evp.Error.LOOP_CLOSED, "asyncio's event loop is closed")
        return loop

    def _run(self, handle: Union[Evp.Handle, Evp.TimerHandle]) -> None:
        around = self._around
        if around is None:
            run = getattr(_override._thread, 'run', None)
            around = None if run is None else run.around()
        Evp.set_running_loop(self)
        try:
            handle.run()
        finally:
            Evp.set_running_loop(around)

    def do_run_forever(self) -> bool:
        loop = self.loop
        around, self._around = self._around, self
        try:
            loop.run_forever()
        except RuntimeError as error:
            raise _error(Evp.Error.LOOP_RUNNING, str(error)) from None
        except BaseException as exception:  # pylint: disable=broad-except
            run = getattr(_override._thread, 'run', None)
            if run is None:
                raise
            if run.around() is not self:
                run.leave_with(exception)
            elif run.exception is None:
                run.exception = exception  # there is no way for it through C
        finally:
            self._around = around
        return True

    def do_stop(self) -> None:
        loop = self._reference()
        if loop is not None:
            loop.stop()
            if not loop.is_closed() and loop.is_running():
                loop.call_soon_threadsafe(_nothing)  # it may be asleep, and this a signal's handler

    def do_is_running(self) -> bool:
        loop = self._reference()
        return loop is not None and loop.is_running()

    def do_is_closed(self) -> bool:
        loop = self._reference()
        return loop is None or loop.is_closed()

    def do_close(self) -> bool:
        loop = self._reference()
        if loop is not None:
            try:
                loop.close()
            except RuntimeError as error:
                raise _error(Evp.Error.LOOP_RUNNING, str(error)) from None
        return True

    def do_get_time_us(self) -> int:
        loop = self._reference()
        return int((time.monotonic() if loop is None else loop.time()) * 1e6)

    def do_schedule(self, handle: Evp.Handle) -> bool:
        self.loop.call_soon(self._run, handle)
        return True

    def do_schedule_threadsafe(self, handle: Evp.Handle) -> bool:
        self.loop.call_soon_threadsafe(self._run, handle)
        return True

    def do_schedule_timer(self, handle: Evp.TimerHandle) -> bool:
        self.loop.call_at(handle.when(), self._run, handle)
        return True

    def do_watch_reader(self, fd: int, handle: Evp.Handle) -> bool:
        self.loop.add_reader(fd, self._run, handle)
        return True

    def do_watch_writer(self, fd: int, handle: Evp.Handle) -> bool:
        self.loop.add_writer(fd, self._run, handle)
        return True

    def do_remove_reader(self, fd: int) -> bool:
        return not self.do_is_closed() and self.loop.remove_reader(fd)

    def do_remove_writer(self, fd: int) -> bool:
        return not self.do_is_closed() and self.loop.remove_writer(fd)

    def do_watch_signal(self, signum: int, handle: Evp.Handle) -> bool:
        self.loop.add_signal_handler(signum, self._run, handle)
        return True

    def do_remove_signal_handler(self, signum: int) -> bool:
        return not self.do_is_closed() and self.loop.remove_signal_handler(signum)

    def do_get_debug(self) -> bool:
        loop = self._reference()
        return loop is not None and loop.get_debug()

    def do_set_debug(self, enabled: bool) -> None:
        loop = self._reference()
        if loop is not None:
            loop.set_debug(enabled)

    def do_dup_main_context(self) -> Optional[GLib.MainContext]:
        return getattr(self._reference(), '_context', None)


_adapters: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def as_evp(loop: asyncio.AbstractEventLoop) -> Evp.AbstractEventLoop:
    """An asyncio loop as an ``Evp.AbstractEventLoop``, for C code that takes one.

    Of an :class:`EventLoop` it is the loop of the library's beside it. Of any other, asyncio's own or uvloop's, it is an
    object that schedules on it: callbacks, timers, descriptors, signals and futures work, and what needs more fails
    with ``Evp.Error.NOT_SUPPORTED``. It does not keep the asyncio loop alive.
    """
    if isinstance(loop, EventLoop):
        return loop.evp
    adapter = _adapters.get(loop)
    if adapter is None:
        adapter = _adapters[loop] = _AsyncioLoop(loop)
    return adapter


def wrap_future(future: Awaitable, *, loop: Optional[asyncio.AbstractEventLoop] = None) -> Evp.Future:
    """An asyncio future, task or coroutine as an ``Evp.Future``; cancelling either cancels both.

    The way back is ``await``: an ``Evp.Future`` can be awaited in a task of asyncio's.
    """
    source = asyncio.ensure_future(future, loop=loop)
    target = as_evp(source.get_loop()).create_future()

    def ended(source: asyncio.Future) -> None:
        with contextlib.suppress(GLib.Error):  # done meanwhile
            if source.cancelled():
                target.cancel()
            elif source.exception() is not None:
                target.set_exception(source.exception())
            else:
                target.set_result(source.result())

    def target_ended(target: Evp.Future) -> None:
        if target.cancelled():
            source.cancel()

    source.add_done_callback(ended)
    target.add_done_callback(target_ended)
    return target


def gio(method: Callable, *args: Any, cancellable: Optional[Gio.Cancellable] = None,
        finish: Optional[str] = None) -> asyncio.Future:
    """Starts an asynchronous method of GIO, and returns the asyncio future of what it finishes with.

    ``contents = await evp_asyncio.gio(file.load_contents_async)``: the arguments are those before the cancellable.
    Cancelling the future (or the task that awaits it) cancels the cancellable, and the other way round. ``finish`` is the
    name of the method that finishes it where there are several: ``'read_line_finish_utf8'``.
    """
    loop = asyncio.get_running_loop()
    context = getattr(loop, '_context', None)
    if context is None:
        raise RuntimeError('asynchronous methods of GIO need an event loop that runs in a main context, '
                           'such as evp_asyncio.EventLoop')
    if (GLib.MainContext.get_thread_default() or GLib.MainContext.default()) != context:
        raise RuntimeError('the main context of the event loop is not the thread-default one')
    name = method.__name__
    names = [argument.get_name() for argument in method.get_arguments()]
    if 'cancellable' not in names:
        raise TypeError(f'{name}() cannot be called so: it has no cancellable')
    finish_name = finish or (name[:-len('_async')] if name.endswith('_async') else name) + '_finish'
    cancellable = cancellable or Gio.Cancellable()
    future = loop.create_future()

    def done(source: Any, result: Gio.AsyncResult, *_data: Any) -> None:
        if source is None:  # a function or a constructor
            source = get_introspection_module(method.get_namespace())
            container = method.get_container()
            if container is not None:
                source = getattr(source, container.get_name())
        nobody_waits = future.done() or loop.is_closed()
        try:
            value = getattr(source, finish_name)(result)
        except GLib.Error as error:
            if nobody_waits:
                return
            if cancellable.is_cancelled() and error.matches(Gio.io_error_quark(), Gio.IOErrorEnum.CANCELLED):
                future.cancel()
            else:
                future.set_exception(error)
        except BaseException as error:  # pylint: disable=broad-except
            if not nobody_waits:
                future.set_exception(error)
        else:
            if not nobody_waits:
                future.set_result(value)

    def ended(future: asyncio.Future) -> None:
        if future.cancelled():
            cancellable.cancel()

    future.add_done_callback(ended)
    method(*args, cancellable, done)
    return future
