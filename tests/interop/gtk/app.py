# SPDX-License-Identifier: LGPL-2.1-or-later
"""A GtkApplication drives the loop of the default context: a child's output arrives in a label, and nested main loops,
timers and threads work."""

import os
import sys

import gi

gi.require_version('Evp', '1.0')
try:
    gi.require_version('Gtk', '4.0')
    from gi.repository import Gtk
except (ImportError, ValueError) as error:
    print(f'1..0 # SKIP no GTK 4 in Python: {error}')
    sys.exit(0)
from gi.repository import Evp, Gio, GLib

if not Gtk.init_check():
    print('1..0 # SKIP no display')
    sys.exit(0)

CHILD = os.environ['EVP_TEST_CHILD']
results = []


def check(name, value):
    results.append(bool(value))
    print(f'{"" if value else "not "}ok {len(results)} - {name}', flush=True)


class Application(Gtk.Application):
    def do_activate(self):
        # nobody runs this loop: the application iterates the main context that it lives in
        self.loop = Evp.get_event_loop()
        self.label = Gtk.Label(label='nothing yet')
        self.window = Gtk.ApplicationWindow(application=self, child=self.label)
        self.window.present()
        GLib.timeout_add_seconds(30, lambda: os._exit(3))
        self.loop.create_task(self.program()).add_done_callback(self.ended)

    # Rules: Q-22, P-24, L-11
    async def program(self):
        loop = self.loop
        check('the loop lives in the default context', loop.get_main_context() == GLib.MainContext.default())
        check('the running loop is known', Evp.get_running_loop() == loop)

        options = Evp.SubprocessOptions()
        options.set_stdout(Evp.Stdio.PIPE)
        process = await loop.subprocess_exec_async([CHILD, 'echo', 'hello from a child'], options)
        _, output, _ = await process.communicate_async(None)
        self.label.set_label(output.get_data().decode().strip())
        check('the output of a child is in the label', 'hello from a child' in self.label.get_label())
        check('its return code is known', process.returncode == 0)

        self.label.set_label(await loop.run_in_executor(lambda: 'from a thread'))
        check('a thread filled the label', self.label.get_label() == 'from a thread')

        # a dialog, as it were: timers run inside
        modal = GLib.MainLoop()
        seen = []
        loop.call_later(0.01, lambda: (seen.append('timer'), modal.quit()))
        modal.run()
        check('a timer ran inside a nested main loop', seen == ['timer'])

        # drawing goes on while the loop is busy
        frames = []
        frame = loop.create_future()

        def drawn(_widget, _clock):
            frames.append(True)
            if len(frames) == 3:
                frame.set_result()
            return len(frames) < 3

        def busy():
            if not frame.done():
                loop.call_soon(busy)

        self.label.add_tick_callback(drawn)
        loop.call_soon(busy)
        await frame
        check('frames are drawn beside a busy loop', len(frames) == 3)

    def ended(self, task):
        try:
            task.get_result()
        except Exception as exception:  # pylint: disable=broad-except
            check(f'no exception: {exception!r}', False)
        self.window.destroy()
        self.quit()


application = Application(application_id='com.example.EvpTest', flags=Gio.ApplicationFlags.NON_UNIQUE)
application.run()
application.loop.close()
print(f'1..{len(results)}')
sys.exit(0 if all(results) else 1)
