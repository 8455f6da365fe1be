# SPDX-License-Identifier: LGPL-2.1-or-later
"""The event loop: asyncio's, with the waiting done by a GLib main context."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import selectors
import signal
import sys
import threading
from asyncio import events
from typing import Any, Callable, Iterator, Optional

from gi import _ossighelper
from gi.module import get_introspection_module
from gi.overrides import Evp as _override
from gi.repository import Evp, GLib

_raw = get_introspection_module('Evp').AbstractEventLoop  # without what our override does for callbacks and Ctrl-C

# what is used of asyncio beside its documented methods
_NEEDED = ('_run_once', '_call_soon', '_check_closed', '_check_running', '_set_coroutine_origin_tracking',
           '_asyncgen_firstiter_hook', '_asyncgen_finalizer_hook')
_NEEDED_ATTRIBUTES = ('_ready', '_scheduled', '_stopping', '_thread_id', '_selector', '_csock', '_signal_handlers',
                      '_debug')

for _name in _NEEDED:
    if not hasattr(asyncio.SelectorEventLoop, _name):
        raise ImportError(f'evp_asyncio does not know this Python: asyncio.SelectorEventLoop has no {_name}()')

_poll = selectors.DefaultSelector.select


class _Selector(selectors.DefaultSelector):
    """The selector of this system, which only looks: waiting is the main context's."""

    def select(self, timeout: Optional[float] = None) -> list:
        return _poll(self, 0)


def _only_looks(selector: Any) -> Any:
    """A selector that somebody made: its select() no longer waits."""
    if not hasattr(selector, 'fileno'):
        raise ValueError(f'{type(selector).__name__} has no descriptor of its own that a main context could poll; '
                         'use selectors.DefaultSelector')
    look = selector.select
    selector.select = lambda timeout=None: look(0)
    return selector


class _Prioritized(events.Handle):
    """A callback with a priority of its own: a source beside the loop's."""

    __slots__ = ('_priority', '_source')

    def cancel(self) -> None:
        if not self._cancelled:
            self._loop._drop_prioritized(self)
        super().cancel()


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
        self._turn_depth = 0         # len(self._quits) when the turn began
        self._quits: list[Callable[[], Any]] = []  # how to end the main loops that drive us, outermost first
        self._exception: Optional[BaseException] = None  # what has to come out of the outermost
        self._prioritized: set[_Prioritized] = set()
        self._source: Optional[Evp.TurnSource] = None
        self._context = context      # PyGObject looks for it
        self._pygobject_depth: Optional[int] = None  # how many main loops of PyGObject's there are around us
        self._interrupt = self._on_sigint  # one object, to know it again
        super().__init__(_Selector() if selector is None else _only_looks(selector))
        for name in _NEEDED_ATTRIBUTES:
            if not hasattr(self, name):
                raise RuntimeError(f'evp_asyncio does not know this Python: its event loops have no {name}')
        self._source = Evp.TurnSource.new(context, self._selector.fileno())

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

    def _turn(self) -> int:
        """One dispatch of the source; returns when the next one is due, for C."""
        if self._ended:
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
        except BaseException as exception:  # pylint: disable=broad-except
            self._leave(exception)  # a binding would print and drop it
            return -1
        if self._stopping:
            self._quit()
            return -1
        return self._due()

    def _due(self) -> int:
        if self._ready or self._stopping:
            return 0
        self._idle = True
        if self._scheduled:
            when = self._scheduled[0]._when * 1e6
            if when < 9e18:
                return max(math.ceil(when), 0)
        return -1

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

    def leave_with(self, exception: BaseException) -> None:
        """What our override of Evp calls with a KeyboardInterrupt or SystemExit of a callback."""
        self._leave(exception)

    def _call_soon(self, callback: Callable, args: Any, context: Any) -> events.Handle:
        handle = events.Handle(callback, args, self, context)
        if handle._source_traceback:
            del handle._source_traceback[-1]
        self._ready.append(handle)
        if self._idle:  # a callback of GLib's, between two turns
            self._idle = False
            self._source.wake()
        return handle

    # asyncio's call_later() goes through its call_at(), and that through this one's; armed a hundred thousand times a
    # second that counts. What is wrong or to be traced is left to asyncio.

    def call_later(self, delay: float, callback: Callable, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if self._debug or self._closed or delay is None:
            timer = super().call_later(delay, callback, *args, context=context)
            if timer._source_traceback:
                del timer._source_traceback[-1]
            return timer
        timer = events.TimerHandle(self.time() + delay, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True
        if self._idle and self._scheduled[0] is timer:
            self._source.set_deadline(timer._when)
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
            self._source.set_deadline(when)
        return timer

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
        if self._quits:
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

    def _drop_prioritized(self, handle: _Prioritized) -> None:
        self._prioritized.discard(handle)
        if handle._source is not None:
            handle._source.destroy()
            handle._source = None

    # Running

    def run_forever(self) -> None:
        """Runs the main context, and in it this loop and the Evp loop beside it, until stop()."""
        self._check_closed()
        self._check_running()
        evp = self.evp
        with self._running(evp.stop, guest=False):
            try:
                _raw.run_forever(evp)
            except GLib.Error as error:
                raise RuntimeError(error.message) from None

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
        with contextlib.ExitStack() as stack:
            stack.callback(self._context.release)
            if guest:
                try:
                    evp_running = Evp.get_running_loop()
                except GLib.Error:
                    evp_running = None
                stack.callback(Evp.set_running_loop, evp_running)
                Evp.set_running_loop(self.evp)
                if self._context != GLib.MainContext.default():
                    self._context.push_thread_default()
                    stack.callback(self._context.pop_thread_default)
            stack.callback(setattr, _override._thread, 'run', getattr(_override._thread, 'run', None))
            _override._thread.run = self

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
        self._source.set_callback(self._turn)
        if self._due() == 0:
            self._source.wake()
        else:
            self._source.set_deadline(self._scheduled[0]._when if self._scheduled else math.inf)
        self._source.attach()
        for handle in self._prioritized:
            self._attach_prioritized(handle)

    def _detach(self) -> None:
        self._idle = False
        self._source.set_callback(None)
        for handle in self._prioritized:
            handle._source.destroy()
            handle._source = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Inside this block the loop does not run, even if its main context is iterated."""
        if not self._quits or events._get_running_loop() is not self:
            yield
            return
        self._detach()
        thread, self._thread_id = self._thread_id, None
        events._set_running_loop(None)
        try:
            yield
        finally:
            events._set_running_loop(self)
            self._thread_id = thread
            self._attach()

    def close(self) -> None:
        if self.is_running():
            raise RuntimeError('Cannot close a running event loop')
        if self.is_closed():
            return
        for handle in list(self._prioritized):
            handle.cancel()
        if self._evp is not None:
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
        except (ValueError, OSError):  # no signals in this interpreter
            yield
            return
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
                if signal.getsignal(signal.SIGINT) is self._interrupt:
                    signal.signal(signal.SIGINT, signal.default_int_handler)
            if not self._signal_handlers:  # else it stays ours, as asyncio has it
                self._restore_wakeup_fd(previous)

    @contextlib.contextmanager
    def _among_main_loops(self) -> Iterator[None]:
        """Ctrl-C ends main loops that PyGObject runs from the inside out; we have our place among them."""
        stack = getattr(_ossighelper, '_callback_stack', None)
        if stack is None or not hasattr(_ossighelper, '_sigint_called'):
            yield
            return
        depth = self._pygobject_depth = len(stack)
        stack.append(self._interrupted_inside)
        try:
            yield
        finally:
            self._pygobject_depth = None
            del stack[depth:]
            if depth == 0:
                _ossighelper._sigint_called = False
            elif not isinstance(self._exception, KeyboardInterrupt):
                _ossighelper._sigint_called = False
            elif _ossighelper._sigint_called and stack:  # the one around us is next
                stack.pop()()

    def _interrupted_inside(self) -> None:
        if self._exception is None:
            self._leave(KeyboardInterrupt())

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
                signal.signal(signal.SIGINT, self._interrupt)

    def _on_sigint(self, signum: int, frame: Any) -> None:
        if self._in_turn and len(self._quits) <= self._turn_depth:
            signal.default_int_handler(signum, frame)
        self._leave(KeyboardInterrupt())

    def remove_signal_handler(self, sig: int) -> bool:
        removed = super().remove_signal_handler(sig)
        if removed and self._quits and threading.current_thread() is threading.main_thread():
            with contextlib.suppress(ValueError, OSError):
                self._set_wakeup_fd()
            if sig == signal.SIGINT:
                self._catch_sigint()
        return removed
