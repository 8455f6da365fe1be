#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The smallest program: a main function in a loop."""

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp  # noqa: E402


async def main(loop):
    print('hello')
    later = loop.create_future()
    loop.call_later(0.1, later.set_result, 'and goodbye, 0.1 seconds later')
    print(await later)


Evp.run(main)
