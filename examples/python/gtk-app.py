#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A GTK application: it drives the loop, and nobody calls run_forever()."""

import sys

import gi

gi.require_version('Evp', '1.0')
gi.require_version('Gtk', '4.0')
from gi.repository import Evp, Gio, GLib, Gtk  # noqa: E402


class Application(Gtk.Application):
    def do_activate(self):
        # it lives in the default main context, which the application iterates
        self.loop = Evp.get_event_loop()
        self.label = Gtk.Label(label='…')
        self.window = Gtk.ApplicationWindow(application=self, title='Evp', child=self.label, default_width=400)
        self.window.present()
        self.loop.create_task(self.show_kernel())

    async def show_kernel(self):
        options = Evp.SubprocessOptions()
        options.set_stdout(Evp.Stdio.PIPE)
        try:
            process = await self.loop.subprocess_exec_async(['uname', '-s'], options)
            _, output, _ = await process.communicate_async(None)
            self.label.set_label(f'this is {output.get_data().decode().strip()}')
        except GLib.Error as error:
            self.label.set_label(error.message)
        print(self.label.get_label())
        self.loop.call_later(0.5, self.window.close)


if not Gtk.init_check():
    print('there is no display', file=sys.stderr)
    sys.exit(77)
application = Application(application_id='com.example.Evp', flags=Gio.ApplicationFlags.NON_UNIQUE)
sys.exit(application.run())
