#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unix signals as ordinary callbacks."""

import os
import signal

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp  # noqa: E402

loop = Evp.get_event_loop()


def received(signum):
    print(f'received {signal.Signals(signum).name}')
    if signum == signal.SIGTERM:
        loop.stop()


for signum in (signal.SIGHUP, signal.SIGTERM):
    loop.add_signal_handler(signum, received)

# somebody sends them; here it is the program itself
loop.call_soon(os.kill, os.getpid(), signal.SIGHUP)
loop.call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)

loop.run_forever()
loop.close()
