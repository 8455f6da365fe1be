# SPDX-License-Identifier: LGPL-2.1-or-later
"""The event loop: asyncio's, with the waiting done by a GLib main context."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import functools
import heapq
import math
import os
import select
import selectors
import signal
import socket
import sys
import threading
import time
import weakref
from asyncio import events
from typing import Any, Callable, Iterator, Optional

from gi import _ossighelper
from gi.module import get_introspection_module
from gi.overrides import Evp as _override
from gi.repository import Evp, GLib

_raw = get_introspection_module('Evp').AbstractEventLoop  # without what our override does for callbacks and Ctrl-C

# what is used of asyncio beside its documented methods
_NEEDED = ('_run_once', '_call_soon', '_check_closed', '_check_running', '_read_from_self', '_process_self_data',
           '_set_coroutine_origin_tracking', '_asyncgen_firstiter_hook', '_asyncgen_finalizer_hook')
_NEEDED_ATTRIBUTES = ('_ready', '_scheduled', '_stopping', '_thread_id', '_selector', '_csock', '_ssock',
                      '_signal_handlers', '_debug')

for _name in _NEEDED:
    if not hasattr(asyncio.SelectorEventLoop, _name):
        raise ImportError(f'evp_asyncio does not know this Python: asyncio.SelectorEventLoop has no {_name}()')

# what our own turn and our own sock_*() need beyond that; without them they are asyncio's
_QUICK = ('_add_reader', '_add_writer', '_remove_reader', '_remove_writer', '_sock_read_done', '_sock_write_done')
_QUICK_ATTRIBUTES = ('_timer_cancelled_count', '_clock_resolution', '_transports')

_poll = selectors.DefaultSelector.select
_clock = functools.partial(time.clock_gettime, time.CLOCK_MONOTONIC)  # the main context's
_EPOLLIN = getattr(select, 'EPOLLIN', 0)
_EPOLLOUT = getattr(select, 'EPOLLOUT', 0)
_EPOLLONESHOT = getattr(select, 'EPOLLONESHOT', 0)


class _Selector(selectors.DefaultSelector):
    """The selector of this system, which only looks: waiting is the main context's."""

    def select(self, timeout: Optional[float] = None) -> list:
        return _poll(self, 0)


class _EpollSelector(getattr(selectors, 'EpollSelector', selectors.DefaultSelector)):
    """Epoll that only looks, and besides the registered descriptors knows futures that wait for one, once.

    What waits once is not registered. The kernel disarms such a descriptor by itself when it is ready, and keeps it for
    the next time, which then costs one system call rather than two. A descriptor that is closed meanwhile leaves nothing
    behind that could ever fire.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: dict[int, asyncio.Future] = {}
        self.writers: dict[int, asyncio.Future] = {}

    def select(self, timeout: Optional[float] = None) -> list:
        keys = self._fd_to_key
        found = []
        for fd, event in self._selector.poll(0, len(keys) + len(self.readers) + len(self.writers) or 1):
            key = keys.get(fd)
            if key is None:
                self.wake(fd, event)
                continue
            mask = ((selectors.EVENT_READ if event & ~_EPOLLOUT else 0)
                    | (selectors.EVENT_WRITE if event & ~_EPOLLIN else 0))
            found.append((key, mask & key.events))
        return found

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        try:
            return super().register(fileobj, events, data)
        except FileExistsError:  # it has waited once, and lies there disarmed
            self._selector.unregister(self._fileobj_lookup(fileobj))
            return super().register(fileobj, events, data)

    def arm(self, fd: int) -> None:
        """Lets the kernel tell once about what waits for a descriptor."""
        mask = _EPOLLONESHOT
        if fd in self.readers:
            mask |= _EPOLLIN
        if fd in self.writers:
            mask |= _EPOLLOUT
        try:
            self._selector.modify(fd, mask)
        except FileNotFoundError:
            self._selector.register(fd, mask)

    def disarm(self, fd: int) -> None:
        """After something has stopped waiting: tells about the rest, or about nothing."""
        try:
            if fd in self.readers or fd in self.writers:
                self.arm(fd)
            else:
                self._selector.unregister(fd)
        except OSError:  # it has been closed
            pass

    def arm_again(self) -> None:
        """After a turn that may have been left before it got to what the kernel had told."""
        for fd in {*self.readers, *self.writers}:
            self.disarm(fd)

    def wake(self, fd: int, event: int) -> None:
        """What waits for a descriptor may go on."""
        # in this order, for Ctrl-C may come in between
        if event & ~_EPOLLOUT and fd in self.readers:
            _resolve(self.readers[fd])
            del self.readers[fd]
        if event & ~_EPOLLIN and fd in self.writers:
            _resolve(self.writers[fd])
            del self.writers[fd]
        if fd in self.readers or fd in self.writers:
            self.disarm(fd)


def _may_be_quick() -> bool:
    if selectors.DefaultSelector is not getattr(selectors, 'EpollSelector', None):
        return False
    with selectors.DefaultSelector() as selector:
        return (all(hasattr(selector, name) for name in ('_fd_to_key', '_selector', '_fileobj_lookup'))
                and all(hasattr(asyncio.SelectorEventLoop, name) for name in _QUICK))


_is_quick = _may_be_quick()
_TIMERS = 100  # asyncio tidies up when there are more timers than this, and more than half of them cancelled


class _Handle(events.Handle):
    """A handle as asyncio makes it outside of debug mode, without asking whether that is on."""

    __slots__ = ()

    def __init__(self, callback: Callable, args: Any, loop: EventLoop, context: Any) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


_Handle.__name__ = _Handle.__qualname__ = 'Handle'  # repr() shows it
if set(events.Handle.__slots__) != {'_context', '_loop', '_callback', '_args', '_cancelled', '_repr',
                                    '_source_traceback', '__weakref__'}:
    _Handle = events.Handle


def _resolve(future: asyncio.Future) -> None:
    if not future.done():
        future.set_result(None)


def _only_looks(selector: Any) -> Any:
    """A selector that somebody made: its select() no longer waits."""
    if not hasattr(selector, 'fileno'):
        raise ValueError(f'{type(selector).__name__} has no descriptor of its own that a main context could poll; '
                         'use selectors.DefaultSelector')
    look = selector.select
    selector.select = lambda timeout=None: look(0)
    return selector


def _evp_running_loop() -> Optional[Evp.AbstractEventLoop]:
    try:
        return Evp.get_running_loop()
    except GLib.Error:
        return None


class _Prioritized(events.Handle):
    """A callback with a priority of its own: a source beside the loop's."""

    __slots__ = ('_priority', '_source')

    def cancel(self) -> None:
        if not self._cancelled:
            self._loop._drop_prioritized(self)
        super().cancel()


def _is_runners(handler: Any) -> bool:
    """Whether what handles Ctrl-C is asyncio.run()'s, which cancels the task."""
    runner = getattr(asyncio, 'Runner', None)
    return runner is not None and isinstance(getattr(getattr(handler, 'func', None), '__self__', None), runner)


class _MainLoops(list):
    """How to end the main loops that PyGObject runs, as it keeps them; tells when one begins."""

    def __init__(self, quits: list, began: Callable[[], None]) -> None:
        super().__init__(quits)
        self._began = began

    def append(self, quit: Any) -> None:
        super().append(quit)
        self._began()


_loops: weakref.WeakSet = weakref.WeakSet()


@atexit.register
def _close_evp() -> None:
    """For programs that close no loop: asyncio does it at the very end, when PyGObject can do nothing any more."""
    for loop in list(_loops):
        if loop._evp is not None and not loop.is_running():
            with contextlib.suppress(GLib.Error):
                loop._evp.close()
            loop._evp = None


class EventLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop, inside a GLib main context.

    In the main thread that is the default one, so GTK, GIO and D-Bus live beside it; in other threads each loop has a
    context of its own. ``context`` names another one. The loop is in its context only while it runs.

    ``evp`` is the :class:`Evp.AbstractEventLoop` beside it: what C code gets as the running loop. One that is
    given names the context, and is closed with this loop.
    """

    #: How many turns may follow each other, while callbacks are ready, before the context's other sources get theirs.
    turns_per_dispatch = 16

    _closed = True  # as long as asyncio's __init__() has not been reached

    def __init__(self, selector: Any = None, *, context: Optional[GLib.MainContext] = None,
                 evp: Optional[Evp.AbstractEventLoop] = None) -> None:
        if evp is not None:
            own = evp.dup_main_context()
            if own is None:
                raise ValueError(f'{evp!r} does not live in a main context')
            if context is not None and context != own:
                raise ValueError('the Evp loop lives in another main context')
            context = own
        elif context is None:
            context = (GLib.MainContext.default() if threading.current_thread() is threading.main_thread()
                       else GLib.MainContext.new())
        self._evp = evp
        self._idle = False           # nothing is ready: whoever adds something has to wake the source
        self._in_turn = False
        self._ended = False          # the main loop has been told to quit, and has not done it yet
        self._guest = False          # the main loop that drives us is somebody else's
        self._turn_depth = 0         # len(self._quits) when the turn began
        self._quits: list[Callable[[], Any]] = []  # how to end the main loops that drive us, outermost first
        self._exception: Optional[BaseException] = None  # what has to come out of the outermost
        self._prioritized: set[_Prioritized] = set()
        self._source: Optional[Evp.TurnSource] = None
        self._context = context      # PyGObject looks for it
        self._wakeup_before = -1     # whose wakeup descriptor ours stands in for
        self._pygobject_depth: Optional[int] = None  # how many main loops of PyGObject's there are around us
        self._watch: Optional[Evp.TurnSource] = None  # sees signals while a turn runs a main loop
        self._watched_from = 0       # how many main loops of PyGObject's there were before
        self._quick = selector is None and _is_quick  # whether turns, and waiting for sockets, are ours
        if selector is not None:
            selector = _only_looks(selector)
        else:
            selector = _EpollSelector() if _is_quick else _Selector()
        super().__init__(selector)
        for name in _NEEDED_ATTRIBUTES:
            if not hasattr(self, name):
                raise RuntimeError(f'evp_asyncio does not know this Python: its event loops have no {name}')
        self._quick = self._quick and all(hasattr(self, name) for name in _QUICK_ATTRIBUTES)
        self._source = Evp.TurnSource.new(context, self._selector.fileno())
        _loops.add(self)

    # What it lives in

    @property
    def evp(self) -> Evp.AbstractEventLoop:
        """The Evp loop in the same main context, for C code; made when it is first asked for."""
        if self._evp is None:
            self._check_closed()
            self._evp = Evp.SelectorEventLoop(main_context=self._context)
        return self._evp

    @property
    def main_context(self) -> GLib.MainContext:
        """The main context that the loop lives in."""
        return self._context

    @property
    def priority(self) -> int:
        """The priority of the loop's turns in its main context."""
        return self._source.get_priority()

    @priority.setter
    def priority(self, priority: int) -> None:
        self._source.set_priority(priority)

    # Turns

    def _turns(self) -> Iterator[int]:
        """What the source calls is the ``__next__()`` of this.

        A signal that comes while the context waits has its handler run when Python is entered again. Here that is inside
        of ``try``; what it raises at the first instruction of a function, nobody could catch.
        """
        due = -1
        while True:
            try:
                while True:
                    yield due
                    due = self._turn()
            except GeneratorExit:  # of close()
                return
            except BaseException as exception:  # pylint: disable=broad-except
                self._leave(exception)
                due = -1

    def _turn(self) -> int:
        """One dispatch of the source; returns when the next one is due, for C."""
        if self._ended:
            return -1
        if self._exception is not None:  # Ctrl-C, between two turns
            self._quit()
            return -1
        try:
            self._idle = False
            self._turn_depth = len(self._quits)
            self._in_turn = True
            try:
                run_once = self._run_once
                for _ in range(self.turns_per_dispatch):
                    run_once()
                    if self._stopping or not self._ready:
                        break
            finally:
                self._in_turn = False
                if self._watch is not None:
                    self._watch.set_callback(None)
                    self._watch = None
        except BaseException as exception:  # pylint: disable=broad-except
            if self._quick:
                self._selector.arm_again()
            self._leave(exception)  # a binding would print and drop it
            return -1
        if self._stopping:
            self._quit()
            return -1
        return self._due()

    def _run_once(self) -> None:
        # asyncio's, without what is not needed here: it never waits, and builds no list of what is ready
        scheduled = self._scheduled
        if self._debug or not self._quick or self._timer_cancelled_count * 2 > len(scheduled) > _TIMERS:
            super()._run_once()
            return
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1
            heapq.heappop(scheduled)._scheduled = False

        ready = self._ready
        selector = self._selector
        keys = selector._fd_to_key
        for fd, event in selector._selector.poll(0, len(keys) + len(selector.readers) + len(selector.writers) or 1):
            key = keys.get(fd)
            if key is None:
                selector.wake(fd, event)
                continue
            reader, writer = key.data
            if reader is not None and event & ~_EPOLLOUT:
                if reader._cancelled:
                    self._remove_reader(key.fileobj)
                else:
                    ready.append(reader)
            if writer is not None and event & ~_EPOLLIN:
                if writer._cancelled:
                    self._remove_writer(key.fileobj)
                else:
                    ready.append(writer)

        if scheduled:
            end = self.time() + self._clock_resolution
            while scheduled:
                if scheduled[0]._when >= end:  # what is no number is due
                    break
                timer = heapq.heappop(scheduled)
                timer._scheduled = False
                ready.append(timer)

        next_handle = ready.popleft
        for _ in range(len(ready)):  # what they schedule is for the next turn
            handle = next_handle()
            if not handle._cancelled:
                handle._run()

    def _due(self) -> int:
        if self._ready or self._stopping:
            return 0
        self._idle = True
        if self._scheduled:
            when = self._on_clock(self._scheduled[0]._when) * 1e6
            if when < 9e18:
                return math.ceil(when) if when > 0 else 0
            if math.isnan(when):
                return 0
        return -1

    def _on_clock(self, when: float) -> float:
        """A time of the loop's on the clock of the main context, should time() have become another: a test's, for one."""
        now = self.time()
        there = _clock()
        return when if abs(there - now) < 0.001 else when - now + there

    def _quit(self) -> None:
        """Ends the innermost main loop; the others follow as they get to know."""
        self._ended = True
        if self._quits:
            self._quits[-1]()

    def _leave(self, exception: BaseException) -> None:
        """Ends all main loops that drive us, and has the outermost raise an exception."""
        if self._exception is None:
            self._exception = exception
        self._stopping = True
        self._quit()
        if self._pygobject_depth is not None and len(_ossighelper._callback_stack) > self._pygobject_depth + 1:
            # main loops that PyGObject runs inside of us: the innermost ends, and as they do after Ctrl-C, the others
            _ossighelper._sigint_called = True
            _ossighelper._callback_stack.pop()()

    # What our override of Evp calls, of what runs in a thread

    def leave_with(self, exception: BaseException) -> None:
        """A KeyboardInterrupt or SystemExit of a callback."""
        self._leave(exception)

    def around(self) -> Optional[Evp.AbstractEventLoop]:
        """The Evp loop that runs, but for what somebody runs inside of it."""
        return self._evp if self.is_running() else None

    @contextlib.contextmanager
    def driven_by(self, evp: Optional[Evp.AbstractEventLoop]) -> Iterator[None]:
        """An Evp loop is about to run. If it is ours, it drives us, and until now did not run but counted as if."""
        if not self._guest or self._in_turn or not self.is_running() or evp != self._evp:
            yield
            return
        Evp.set_running_loop(None)
        try:
            yield
        finally:
            Evp.set_running_loop(self._evp)

    def call_soon(self, callback: Callable, *args: Any, context: Any = None) -> events.Handle:
        if self._debug or self._closed:  # what is wrong or to be traced is left to asyncio
            handle = super().call_soon(callback, *args, context=context)
            if handle._source_traceback:
                del handle._source_traceback[-1]
            return handle
        handle = _Handle(callback, args, self, context)
        self._ready.append(handle)
        if self._idle:  # a callback of GLib's, between two turns
            self._idle = False
            self._source.wake()
        return handle

    def _call_soon(self, callback: Callable, args: Any, context: Any) -> events.Handle:
        handle = events.Handle(callback, args, self, context)
        if handle._source_traceback:
            del handle._source_traceback[-1]
        self._ready.append(handle)
        if self._idle:
            self._idle = False
            self._source.wake()
        return handle

    # asyncio's call_later() goes through its call_at(), and that through this one's; armed a hundred thousand times a
    # second that counts. Only one of a derived class is gone through.

    _call_at_is_ours = True

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._call_at_is_ours = cls.call_at is EventLoop.call_at

    def call_later(self, delay: float, callback: Callable, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if self._debug or self._closed or delay is None or not self._call_at_is_ours:
            timer = super().call_later(delay, callback, *args, context=context)
            if timer._source_traceback:
                del timer._source_traceback[-1]
            return timer
        timer = events.TimerHandle(self.time() + delay, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        if self._idle and self._scheduled[0] is timer:
            self._set_deadline(timer._when)
        return timer

    def call_at(self, when: float, callback: Callable, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if self._debug or self._closed or when is None:
            timer = super().call_at(when, callback, *args, context=context)
            if timer._source_traceback:
                del timer._source_traceback[-1]
        else:
            timer = events.TimerHandle(when, callback, args, self, context)
            heapq.heappush(self._scheduled, timer)
            timer._scheduled = True
        if self._idle and self._scheduled[0] is timer:
            self._set_deadline(when)
        return timer

    def _set_deadline(self, when: float) -> None:
        if math.isnan(when):
            self._source.wake()
        else:
            self._source.set_deadline(self._on_clock(when))

    def stop(self) -> None:
        """Ends what runs the loop: run_forever(), or the application that drives it."""
        super().stop()
        if not self._quits:
            return
        if self._in_turn:
            if len(self._quits) > self._turn_depth:  # a main loop nested in the turn, which cannot have turns
                self._quit()
        else:
            self._source.wake()

    # Sockets: asyncio adds a reader, has that receive, removes it, and lets a turn pass before the task goes on. Here
    # the task goes on when the socket is ready, and receives itself. What is out of the ordinary is left to asyncio.

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        if self._debug or self._closed or not self._quick or type(sock) is not socket.socket:
            return await super().sock_recv(sock, n)
        while True:
            try:
                return sock.recv(n)
            except (BlockingIOError, InterruptedError):
                pass
            if not await self._wait_once(sock.fileno(), self._selector.readers):
                return await super().sock_recv(sock, n)

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        if self._debug or self._closed or not self._quick or type(sock) is not socket.socket:
            return await super().sock_recv_into(sock, buf)
        while True:
            try:
                return sock.recv_into(buf)
            except (BlockingIOError, InterruptedError):
                pass
            if not await self._wait_once(sock.fileno(), self._selector.readers):
                return await super().sock_recv_into(sock, buf)

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        if self._debug or self._closed or not self._quick or type(sock) is not socket.socket:
            return await super().sock_sendall(sock, data)
        try:
            sent = sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent == len(data):
            return None
        view = memoryview(data)
        while True:
            if not await self._wait_once(sock.fileno(), self._selector.writers):
                return await super().sock_sendall(sock, view[sent:])
            try:
                sent += sock.send(view[sent:])
            except (BlockingIOError, InterruptedError):
                continue
            if sent == len(view):
                return None

    async def _wait_once(self, fd: int, waiting: dict[int, asyncio.Future]) -> bool:
        """Until a descriptor is ready; False at once if it is a transport's, or has a reader or writer."""
        if fd in self._selector._fd_to_key or fd in self._transports:
            return False
        future = waiting[fd] = self.create_future()  # the last one to come is the one, as in asyncio
        try:
            self._selector.arm(fd)
            await future
        except BaseException:
            if waiting.get(fd) is future:
                del waiting[fd]
                if not self._closed:
                    self._selector.disarm(fd)
            raise
        return True

    def _no_longer_once(self, fd: Any) -> None:
        """Somebody adds a reader or a writer for a descriptor: what waits for it goes on waiting as one."""
        if not isinstance(fd, int):
            fd = fd.fileno()
        selector = self._selector
        reading, writing = selector.readers.pop(fd, None), selector.writers.pop(fd, None)
        if reading is None and writing is None:
            return
        if reading is not None:
            handle = super()._add_reader(fd, _resolve, reading)
            reading.add_done_callback(functools.partial(self._sock_read_done, fd, handle=handle))
        if writing is not None:
            handle = super()._add_writer(fd, _resolve, writing)
            writing.add_done_callback(functools.partial(self._sock_write_done, fd, handle=handle))

    def _add_reader(self, fd: Any, callback: Callable, *args: Any) -> Any:
        if self._quick and not self._closed and (self._selector.readers or self._selector.writers):
            self._no_longer_once(fd)
        return super()._add_reader(fd, callback, *args)

    def _add_writer(self, fd: Any, callback: Callable, *args: Any) -> Any:
        if self._quick and not self._closed and (self._selector.readers or self._selector.writers):
            self._no_longer_once(fd)
        return super()._add_writer(fd, callback, *args)

    # What waits without a reader of asyncio's, but with one for whoever asks

    def remove_reader(self, fd: Any) -> bool:
        return super().remove_reader(fd) or (self._quick and not self._closed
                                             and self._forget(fd, self._selector.readers))

    def remove_writer(self, fd: Any) -> bool:
        return super().remove_writer(fd) or (self._quick and not self._closed
                                             and self._forget(fd, self._selector.writers))

    def _forget(self, fd: Any, waiting: dict[int, asyncio.Future]) -> bool:
        if not isinstance(fd, int):
            fd = fd.fileno()
        if waiting.pop(fd, None) is None:
            return False
        self._selector.disarm(fd)
        return True

    # Callbacks with a priority

    def call_with_priority(self, priority: int, callback: Callable, *args: Any,
                           context: Any = None) -> asyncio.Handle:
        """Like call_soon(), at a priority of GLib: ``GLib.PRIORITY_DEFAULT_IDLE`` runs when nothing else is to be done.

        It is not in order with what call_soon() runs.
        """
        self._check_closed()
        handle = _Prioritized(callback, args, self, context)
        handle._priority = priority
        handle._source = None
        self._prioritized.add(handle)
        if self._source.is_attached() and self._thread_id is not None:  # it runs, and is not paused
            self._attach_prioritized(handle)
        return handle

    def _attach_prioritized(self, handle: _Prioritized) -> None:
        def run(*_data: Any) -> bool:
            self._prioritized.discard(handle)
            try:
                handle._run()
            except BaseException as exception:  # pylint: disable=broad-except
                self._leave(exception)
            return GLib.SOURCE_REMOVE

        handle._source = GLib.idle_source_new()
        handle._source.set_priority(handle._priority)
        handle._source.set_callback(run)
        handle._source.attach(self._context)

    def _attach_all_prioritized(self) -> None:
        for handle in self._prioritized:
            if handle._source is None:
                self._attach_prioritized(handle)

    def _detach_all_prioritized(self) -> None:
        for handle in self._prioritized:
            if handle._source is not None:
                handle._source.destroy()
                handle._source = None

    def _drop_prioritized(self, handle: _Prioritized) -> None:
        self._prioritized.discard(handle)
        if handle._source is not None:
            handle._source.destroy()
            handle._source = None

    # Running

    def run_forever(self) -> None:
        """Runs the main context, and in it this loop and the Evp loop beside it, until stop()."""
        self._check_closed()
        evp = self.evp
        with self._running(evp.stop, guest=False):
            try:
                _raw.run_forever(evp)
            except GLib.Error as error:
                raise RuntimeError(error.message) from None

    def _check_running(self) -> None:
        super()._check_running()
        if self._quits:
            raise RuntimeError('This event loop is already running, and paused')

    @contextlib.contextmanager
    def running(self, quit: Optional[Callable[[], Any]] = None) -> Iterator[EventLoop]:
        """The loop runs inside this block, driven by whoever iterates its main context there.

        ::

            with loop.running(app.quit):
                app.run(sys.argv)

        ``quit`` is what stop() calls. It can be nested, for a main loop that is run by a callback; stop() then ends the
        innermost, and the others after it.
        """
        if quit is None:
            def quit() -> None:
                pass
        if self._quits and events._get_running_loop() is self:
            self._quits.append(quit)
            try:
                yield self
            finally:
                self._quits.pop()
                if self._stopping and (self._ended or not self._in_turn):
                    self._ended = False
                    if self._exception is not None or not self._in_turn or len(self._quits) > self._turn_depth:
                        self._quit()
            return
        with self._running(quit, guest=True):
            yield self

    @contextlib.contextmanager
    def _running(self, quit: Callable[[], Any], guest: bool) -> Iterator[None]:
        self._check_closed()
        self._check_running()
        if not self._context.acquire():
            raise RuntimeError('Another thread is iterating the main context of the event loop')
        try:
            with contextlib.ExitStack() as stack:
                stack.callback(self._context.release)
                if guest:
                    stack.callback(Evp.set_running_loop, _evp_running_loop())
                    Evp.set_running_loop(self.evp)
                    if self._context != GLib.MainContext.default():
                        self._context.push_thread_default()
                        stack.callback(self._context.pop_thread_default)
                stack.callback(setattr, _override._thread, 'run', getattr(_override._thread, 'run', None))
                _override._thread.run = self

                self._guest = guest
                self._quits.append(quit)
                stack.callback(self._quits.clear)
                hooks = sys.get_asyncgen_hooks()
                self._set_coroutine_origin_tracking(self._debug)
                self._thread_id = threading.get_ident()
                sys.set_asyncgen_hooks(firstiter=self._asyncgen_firstiter_hook,
                                       finalizer=self._asyncgen_finalizer_hook)
                events._set_running_loop(self)
                try:
                    with self._signals():
                        self._attach()
                        try:
                            yield
                        finally:
                            self._detach()
                finally:
                    self._stopping = self._ended = False
                    self._thread_id = None
                    events._set_running_loop(None)
                    self._set_coroutine_origin_tracking(False)
                    sys.set_asyncgen_hooks(*hooks)
        finally:  # whatever comes out of the block, too: it would else come out of the next run
            self._raise()

    def _raise(self) -> None:
        exception, self._exception = self._exception, None
        if exception is not None:
            try:
                raise exception
            finally:
                del exception  # and with it a cycle through its traceback

    def _attach(self) -> None:
        # the callback is here only for this long: C would keep the loop for ever
        turns = self._turns()
        next(turns)
        self._source.set_callback(turns.__next__)
        self._arm()
        self._source.attach()
        self._attach_all_prioritized()

    def _arm(self) -> None:
        """Lets the next turn be when it is due."""
        if self._due() == 0:
            self._source.wake()
        else:
            self._set_deadline(self._scheduled[0]._when if self._scheduled else math.inf)

    def _detach(self) -> None:
        self._idle = False
        self._source.set_callback(None)
        self._detach_all_prioritized()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Inside this block the loop does not run, even if its main context is iterated."""
        if not self._quits or events._get_running_loop() is not self:
            yield
            return
        self._idle = False
        self._source.pause()
        self._detach_all_prioritized()
        evp = _evp_running_loop()
        Evp.set_running_loop(None)
        thread, self._thread_id = self._thread_id, None
        events._set_running_loop(None)
        try:
            yield
        finally:
            events._set_running_loop(self)
            self._thread_id = thread
            Evp.set_running_loop(evp)
            self._attach_all_prioritized()
            if not self._in_turn:
                self._arm()
            self._source.resume()

    def close(self) -> None:
        if self.is_running() or self._quits:
            raise RuntimeError('Cannot close a running event loop')
        if self.is_closed():
            return
        for handle in list(self._prioritized):
            handle.cancel()
        if self._evp is not None and not sys.is_finalizing():
            try:
                self._evp.close()
            except GLib.Error as error:
                raise RuntimeError(error.message) from None
        super().close()

    # Signals

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Lets a signal wake the main context, and Ctrl-C come out of it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        try:
            previous = self._set_wakeup_fd()
            if previous == self._csock.fileno():  # of a handler that was added before, and may go now
                previous = -1
        except (ValueError, OSError):  # no signals in this interpreter
            yield
            return
        self._wakeup_before = previous
        self._catch_sigint()
        # PyGObject's overrides would point the wakeup descriptor at a socket of theirs
        helped = getattr(_ossighelper, '_wakeup_fd_is_active', None)
        if helped is not None:
            _ossighelper._wakeup_fd_is_active = True
        try:
            with self._among_main_loops():
                yield
        finally:
            if helped is not None:
                _ossighelper._wakeup_fd_is_active = helped
            with contextlib.suppress(ValueError, OSError):
                if signal.getsignal(signal.SIGINT) == self._on_sigint:
                    signal.signal(signal.SIGINT, signal.default_int_handler)
            if not self._signal_handlers:  # else it stays ours, as asyncio has it
                self._restore_wakeup_fd(previous)
            if previous != -1:
                self._read_from_self()  # what came last is for that one as well
                self._wakeup_before = -1

    @contextlib.contextmanager
    def _among_main_loops(self) -> Iterator[None]:
        """Ctrl-C ends main loops that PyGObject runs from the inside out; we have our place among them."""
        stack = getattr(_ossighelper, '_callback_stack', None)
        if stack is None or not hasattr(_ossighelper, '_sigint_called'):
            yield
            return
        depth = self._pygobject_depth = len(stack)
        _ossighelper._callback_stack = _MainLoops([*stack, self._interrupted_inside], self._main_loop_begins)
        try:
            yield
        finally:
            self._pygobject_depth = None
            del _ossighelper._callback_stack[depth:]
            stack[:] = _ossighelper._callback_stack
            _ossighelper._callback_stack = stack
            if depth == 0:
                _ossighelper._sigint_called = False
            elif not isinstance(self._exception, KeyboardInterrupt):
                _ossighelper._sigint_called = False
            elif _ossighelper._sigint_called and stack:  # the one around us is next
                stack.pop()()

    def _interrupted_inside(self) -> None:
        if self._exception is None:
            self._leave(KeyboardInterrupt())

    # A turn that runs a main loop keeps our source from seeing anything until it ends. Signals are looked for meanwhile,
    # or Ctrl-C would have to wait as well.

    def _main_loop_begins(self) -> None:
        if not self._in_turn or self._watch is not None:
            return
        self._watched_from = len(_ossighelper._callback_stack) - 1
        self._watch = Evp.TurnSource.new(self._context, self._ssock.fileno())
        self._watch.set_callback(self._look_at_signals)
        self._watch.attach()

    def _look_at_signals(self) -> int:
        # that this is Python has had their handlers run already
        with contextlib.suppress(BlockingIOError, InterruptedError):
            if (signal.SIGINT in self._ssock.recv(4096, socket.MSG_PEEK) and self._exception is None
                    and _is_runners(signal.getsignal(signal.SIGINT))):
                # the task is cancelled now, and gets to know when the main loops in it have ended
                for quit in reversed(_ossighelper._callback_stack[self._watched_from:]):
                    quit()
            self._read_from_self()
        return -1

    def _process_self_data(self, data: bytes) -> None:
        super()._process_self_data(data)
        # asyncio takes the wakeup descriptor only for handlers of its own; whoever had it sees the same signals here
        if self._wakeup_before != -1 and (signals := data.replace(b'\0', b'')):
            with contextlib.suppress(OSError):
                os.write(self._wakeup_before, signals)

    def _set_wakeup_fd(self) -> int:
        return signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)

    def _restore_wakeup_fd(self, previous: int) -> None:
        try:
            current = signal.set_wakeup_fd(previous)
        except (ValueError, OSError):  # it has been closed meanwhile
            current = signal.set_wakeup_fd(-1)
        if current not in (-1, self._csock.fileno()):  # somebody's who set it meanwhile
            with contextlib.suppress(ValueError, OSError):
                signal.set_wakeup_fd(current)

    def _catch_sigint(self) -> None:
        # KeyboardInterrupt could strike on the way into _turn(), where nobody could catch it
        with contextlib.suppress(ValueError, OSError):
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._on_sigint)

    def _on_sigint(self, signum: int, frame: Any) -> None:
        nested = len(self._quits) > self._turn_depth or (
            self._watch is not None and len(_ossighelper._callback_stack) > self._watched_from)
        if self._in_turn and not nested:
            signal.default_int_handler(signum, frame)
        inside = self._pygobject_depth is not None and len(_ossighelper._callback_stack) > self._pygobject_depth + 1
        if self._in_turn or inside or len(self._quits) > 1:
            self._leave(KeyboardInterrupt())
        elif self._exception is None:
            # what drives us may not have begun yet, or be over: told now, it would not know, or its next run would end
            self._exception = KeyboardInterrupt()
            self._stopping = True
            self._source.wake()
            with contextlib.suppress(GLib.Error):  # that none runs
                if not self._guest and Evp.get_running_loop() == self._evp:
                    self._evp.stop()  # our turn might not come beside sources of higher priority

    def remove_signal_handler(self, sig: int) -> bool:
        removed = super().remove_signal_handler(sig)
        if removed and self._quits and threading.current_thread() is threading.main_thread():
            with contextlib.suppress(ValueError, OSError):
                self._set_wakeup_fd()
            if sig == signal.SIGINT:
                self._catch_sigint()
        return removed
