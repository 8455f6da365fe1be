# SPDX-License-Identifier: LGPL-2.1-or-later
"""Running programs and applications."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any, Coroutine, List, Optional, TypeVar

from gi.repository import Evp, Gio

from ._loop import EventLoop

_T = TypeVar('_T')


def install(evp: Optional[Evp.AbstractEventLoopPolicy] = None) -> None:
    """Lets all new asyncio loops of the process be :class:`EventLoop`: ``asyncio.run()`` and others use it.

    A policy of Evp's decides which main contexts they live in, and which child watcher there is.
    """
    from ._policy import policy_class
    import evp_asyncio
    if policy_class() is None:
        raise RuntimeError('asyncio has no policies any more; use evp_asyncio.run(), or '
                           'asyncio.run(…, loop_factory=evp_asyncio.EventLoop)')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        asyncio.set_event_loop_policy(evp_asyncio.EventLoopPolicy(evp))


def _tidy(loop: EventLoop) -> None:
    """What asyncio.Runner.close() does."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler({
                'message': 'unhandled exception while the application ended',
                'exception': task.exception(),
                'task': task,
            })
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())


def run(main: Coroutine[Any, Any, _T], *, debug: Optional[bool] = None,
        application: Optional[Gio.Application] = None, argv: Optional[List[str]] = None) -> Optional[_T]:
    """Like ``asyncio.run()``, in an :class:`EventLoop`; returns what the coroutine returns.

    With an application that one runs as well, and drives the loop: it quits when the coroutine ends. If the application
    quits before, the coroutine is cancelled; it may still return something, else the result is None.
    """
    if asyncio._get_running_loop() is not None:  # before anything is made
        raise RuntimeError('evp_asyncio.run() cannot be called from a running event loop')
    if application is None:
        with asyncio.Runner(debug=debug, loop_factory=EventLoop) as runner:
            return runner.run(main)

    if not asyncio.iscoroutine(main):
        raise ValueError(f'a coroutine was expected, got {main!r}')
    loop = EventLoop()
    task = loop.create_task(main)
    task.add_done_callback(lambda _task: application.quit())
    try:
        run_application(application, argv, debug=debug, loop=loop)
    except BaseException:
        if task.done() and not task.cancelled():
            task.exception()  # what came out is more important
        raise
    return None if task.cancelled() else task.result()


def run_application(application: Gio.Application, argv: Optional[List[str]] = None, *, debug: Optional[bool] = None,
                    loop: Optional[EventLoop] = None) -> int:
    """Runs an application that drives asyncio; returns its exit status.

    asyncio's running loop is set as long as the application runs, so tasks can be made in signal handlers.
    Afterwards tasks that are left are cancelled, asynchronous generators closed, and the loop with them. Exceptions that
    end asyncio, KeyboardInterrupt for one, come out.
    """
    if loop is None:
        loop = EventLoop()
    if debug is not None:
        loop.set_debug(debug)
    try:
        try:
            with loop.running(application.quit):
                return application.run(argv)
        finally:
            _tidy(loop)
    finally:
        loop.close()


_tasks = set()


def create_application_task(application: Gio.Application, coroutine: Coroutine[Any, Any, _T], *,
                            name: Optional[str] = None) -> asyncio.Task[_T]:
    """Makes a task that is kept, and keeps an application running, until it is done."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    application.hold()
    _tasks.add(task)

    def ended(task: asyncio.Task) -> None:
        _tasks.discard(task)
        application.release()

    task.add_done_callback(ended)
    return task
