# SPDX-License-Identifier: LGPL-2.1-or-later
"""A child for the tests: writer.py NAME COUNT FD writes numbered lines, in pieces that have nothing to do with them."""

import os
import sys

name, count, fd = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
text = ''.join(f'{name}:{i}:{name * (i % 90)}\n' for i in range(count)).encode()
start = 0
while start < len(text):
    start += os.write(fd, text[start:start + 777])
