#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A child process: its input, its output, and how it ended."""

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp, GLib  # noqa: E402


async def main(loop):
    options = Evp.SubprocessOptions()
    options.set_stdin(Evp.Stdio.PIPE)
    options.set_stdout(Evp.Stdio.PIPE)
    process = await loop.subprocess_exec_async(['tr', 'a-z', 'A-Z'], options)
    _, output, _ = await process.communicate_async(GLib.Bytes.new(b'hello from a child'))
    print(f'{output.get_data().decode()} (return code {process.returncode})')

    try:
        await loop.subprocess_exec_async(['/does/not/exist'], None)
    except GLib.Error as error:
        print(f'as it should: {error.message}')


Evp.run(main)
