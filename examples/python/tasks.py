#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What asyncio has around tasks, with futures: sleep(), gather() and wait_for()."""

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp, GLib  # noqa: E402


def sleep(loop, seconds):
    future = loop.create_future()
    timer = loop.call_later(seconds, future.set_result)
    future.add_done_callback(lambda _: timer.cancel())   # when it is cancelled itself
    return future


async def gather(loop, *coroutines):
    """All at the same time; the first that fails has its exception raised, and the others are cancelled."""
    tasks = [loop.create_task(coroutine) for coroutine in coroutines]
    try:
        return [await task for task in tasks]
    finally:
        for task in tasks:
            task.cancel()


async def wait_for(loop, coroutine, seconds):
    task = loop.create_task(coroutine)
    timer = loop.call_later(seconds, task.cancel)
    try:
        return await task
    except GLib.Error as error:
        if timer.cancelled() or not error.matches(Evp.Error.quark(), Evp.Error.CANCELLED):
            raise
        raise TimeoutError from error
    finally:
        timer.cancel()


async def slow(loop, number):
    try:
        await sleep(loop, number / 50)
        return number
    finally:
        print(f'{number} is over')


async def main(loop):
    print(await gather(loop, slow(loop, 3), slow(loop, 1), slow(loop, 2)))
    try:
        await wait_for(loop, slow(loop, 1000), 0.1)
    except TimeoutError:
        print('that took too long')


Evp.run(main)
