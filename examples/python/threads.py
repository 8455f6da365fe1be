#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Threads: work on a worker thread, a loop per thread, and calls from one into the loop of another."""

import hashlib
import threading

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp  # noqa: E402


def digest(text):
    """Takes its time, and does not block the loop."""
    return hashlib.pbkdf2_hmac('sha256', text.encode(), b'salt', 10000).hex()[:16]


def run_loop(number, outer, report):
    """What a thread does."""
    loop = Evp.new_event_loop()
    Evp.set_event_loop(loop)
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    loop.close()
    Evp.set_event_loop(None)
    outer.call_soon_threadsafe(report.set_result, f'the loop of thread {number} has run')


async def main(loop):
    for text in ('one', 'two'):
        print(f'{text}: {await loop.run_in_executor(digest, text)}')

    try:
        await loop.run_in_executor(digest, None)
    except AttributeError as error:
        print(f'an exception comes along: {error}')

    # each thread has a loop of its own, and reports through this one
    reports = [loop.create_future() for _ in range(2)]
    threads = [threading.Thread(target=run_loop, args=(number, loop, report))
               for number, report in enumerate(reports, 1)]
    for thread in threads:
        thread.start()
    for report in reports:
        print(await report)
    for thread in threads:
        thread.join()


Evp.run(main)
