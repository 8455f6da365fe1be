#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Threads: work on a worker thread, and calls from one into the loop."""

import hashlib
import threading

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp  # noqa: E402


def digest(text):
    """Takes its time, and does not block the loop."""
    return hashlib.pbkdf2_hmac('sha256', text.encode(), b'salt', 10000).hex()[:16]


async def main(loop):
    for text in ('one', 'two'):
        print(f'{text}: {await loop.run_in_executor(digest, text)}')

    try:
        await loop.run_in_executor(digest, None)
    except AttributeError as error:
        print(f'an exception comes along: {error}')

    # a thread of one's own reports through the loop
    finished = loop.create_future()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(finished.set_result, 'the thread is done'))
    thread.start()
    print(await finished)
    thread.join()


Evp.run(main)
