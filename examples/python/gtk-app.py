#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A GTK application: children run, their output appears line by line, and the window stays responsive.

The application drives the loop; nobody calls run_forever(). With --quit it starts by itself, and ends with the children.
"""

import sys

import gi

gi.require_version('Evp', '1.0')
gi.require_version('Gtk', '4.0')
from gi.repository import Evp, Gio, GLib, Gtk  # noqa: E402

N_CHILDREN = 3
SCRIPT = 'for step in 1 2 3 4 5; do echo "step $step of 5"; sleep 0.2; done'


class Application(Gtk.Application):
    running = 0
    frames = 0
    quit_at_end = False

    def do_activate(self):
        # it lives in the default main context, which the application iterates
        self.loop = Evp.get_event_loop()
        self.button = Gtk.Button(label=f'Start {N_CHILDREN} children')
        self.button.connect('clicked', lambda button: self.start())
        self.status = Gtk.Label(label='nothing runs', xalign=0)
        self.text = Gtk.TextView(editable=False, monospace=True, left_margin=6, top_margin=6)
        header = Gtk.HeaderBar()
        header.pack_start(self.button)
        box = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12, margin_top=12, margin_bottom=12,
                      margin_start=12, margin_end=12)
        box.append(self.status)
        box.append(Gtk.ScrolledWindow(child=self.text, vexpand=True, has_frame=True))
        self.window = Gtk.ApplicationWindow(application=self, title='Children', titlebar=header, child=box,
                                            default_width=480, default_height=360)
        self.window.add_tick_callback(self.draw)
        self.window.present()
        if self.quit_at_end:
            self.start()

    def draw(self, _widget, _clock):
        """Before each frame: as long as this number grows, the window is alive."""
        if self.running > 0:
            self.frames += 1
            self.status.set_label(f'{self.running} running, {self.frames} frames drawn meanwhile')
        return GLib.SOURCE_CONTINUE

    def append(self, line):
        buffer = self.text.get_buffer()
        buffer.insert(buffer.get_end_iter(), line + '\n')

    def start(self):
        self.button.set_sensitive(False)
        self.running = N_CHILDREN
        for number in range(1, N_CHILDREN + 1):
            self.loop.create_task(self.run_child(number))

    async def run_child(self, number):
        options = Evp.SubprocessOptions(stdout=Evp.Stdio.PIPE)
        try:
            process = await self.loop.subprocess_shell_async(SCRIPT, options)
            lines = Gio.DataInputStream(base_stream=process.stdout)
            while True:
                line, _ = await Evp.call_gio(lines.read_line_async, GLib.PRIORITY_DEFAULT,
                                             finish='read_line_finish_utf8')
                if line is None:
                    break
                self.append(f'child {number}: {line}')
            self.append(f'child {number} ended with {await process.wait_async()}')
        except GLib.Error as error:
            self.append(error.message)
        self.running -= 1
        if self.running == 0:
            self.button.set_sensitive(True)
            self.status.set_label(f'nothing runs, {self.frames} frames were drawn')
            if self.quit_at_end:
                print(self.text.get_buffer().props.text, end='')
                self.window.close()


if not Gtk.init_check():
    print('there is no display', file=sys.stderr)
    sys.exit(77)
application = Application(application_id='com.example.Evp', flags=Gio.ApplicationFlags.NON_UNIQUE)
application.quit_at_end = '--quit' in sys.argv
sys.exit(application.run())
