#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Timers: once, repeated, and cancelled."""

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp  # noqa: E402

loop = Evp.get_event_loop()
start = loop.time()


def tick(when, left):
    print(f'{loop.time() - start:.2f} s: {left} to go')
    if left == 0:
        loop.stop()
    else:
        # from the time it was due, not from now: so it does not drift
        when += 0.05
        loop.call_at(when, tick, when, left - 1)


loop.call_at(start, tick, start, 4)
forgotten = loop.call_later(0.1, print, 'this is never printed')
loop.call_soon(forgotten.cancel)

loop.run_forever()
loop.close()
