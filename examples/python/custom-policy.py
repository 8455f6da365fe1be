#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A policy of one's own, for the whole process.

The policy decides which loop and which child watcher a piece of code gets that asks for "the" loop.
This one counts the loops it makes and remembers who asked, and leaves the rest to its parent.
"""

import sys

import gi

gi.require_version('Evp', '1.0')
from gi.repository import Evp, GLib  # noqa: E402


class CountingPolicy(Evp.DefaultEventLoopPolicy):
    """Chains up in every method: what it returns is what the default policy would return."""

    def __init__(self):
        super().__init__()
        self.made = 0
        self.asked = 0

    def do_new_event_loop(self):
        loop = super().do_new_event_loop()
        self.made += 1
        return loop

    def do_get_child_watcher(self):
        watcher = super().do_get_child_watcher()
        self.asked += 1
        return watcher


def main():
    policy = CountingPolicy()
    Evp.set_event_loop_policy(policy)

    loop = Evp.get_event_loop()             # nobody has set one: the policy makes it
    assert loop == Evp.get_event_loop()     # and from now on it is the current one
    output = loop.create_future()

    def spawned(source, result):
        try:
            process = source.subprocess_exec_finish(result)
        except GLib.Error as error:
            output.set_error(error)
            return
        process.communicate_async(None, None, communicated)

    def communicated(process, result):
        _, stdout, _ = process.communicate_finish(result)
        text = stdout.get_data().decode().strip()
        output.set_result(f'process {process.get_pid()} said "{text}" and ended with {process.get_returncode()}')

    options = Evp.SubprocessOptions()
    options.set_stdout(Evp.Stdio.PIPE)
    loop.subprocess_exec_async(['echo', 'hello from a child'], options, None, spawned)
    loop.run_until_complete(output)

    print(output.get_result())
    print(f'loops that the policy made: {policy.made}; questions for a child watcher: {policy.asked}')

    Evp.set_event_loop_policy(None)         # the default policy again
    loop.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
