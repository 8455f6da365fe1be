#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A file is copied by a proactor: the kernel, or a worker thread, reads and writes while the loop goes on."""

import sys
import tempfile

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp  # noqa: E402

BLOCK = 64 * 1024


async def copy(loop, source, target):
    offset = 0
    while True:
        block = await loop.read_async(source.fileno(), BLOCK, offset)
        if block.get_size() == 0:
            return offset
        # after a short write the rest is read once more
        offset += await loop.write_async(target.fileno(), block, offset)


async def main(loop):
    with open(sys.argv[-1], 'rb') as source, tempfile.TemporaryFile() as target:
        print(f'{await copy(loop, source, target)} bytes copied')


Evp.set_event_loop_policy(Evp.ProactorEventLoopPolicy())
Evp.run(main)
