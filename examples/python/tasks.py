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
    """Ends only when the coroutine has tidied up, also if it takes too long or this is cancelled itself."""
    over = loop.create_future()  # the future of a task is done as soon as that is cancelled
    expired = False

    async def run():
        try:
            over.set_result(await coroutine)
        except Exception as exception:
            over.set_exception(exception)

    def expire():
        nonlocal expired
        expired = task.cancel()

    task = loop.create_task(run())
    timer = loop.call_later(seconds, expire)
    try:
        await task
    except GLib.Error:
        pass  # cancelled, by the timer or together with this
    finally:
        timer.cancel()
    try:
        return await over
    except GLib.Error as error:
        if expired and error.matches(Evp.Error.quark(), Evp.Error.CANCELLED):
            raise TimeoutError from error
        raise


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


if __name__ == '__main__':
    Evp.run(main)
