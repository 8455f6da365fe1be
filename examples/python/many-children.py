#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many children at once, of which at most a few run at the same time."""

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp  # noqa: E402

N_CHILDREN = 40
AT_ONCE = 8


async def worker(loop, numbers, codes):
    for number in numbers:  # all workers take from the same iterator
        process = await loop.subprocess_shell_async(f'exit {number % 3}', None)
        codes[number] = await process.wait_async()


async def main(loop):
    numbers = iter(range(N_CHILDREN))
    codes: dict[int, int] = {}
    for task in [loop.create_task(worker(loop, numbers, codes)) for _ in range(AT_ONCE)]:
        await task
    for code in range(3):
        print(f'{list(codes.values()).count(code)} ended with {code}')


Evp.run(main)
